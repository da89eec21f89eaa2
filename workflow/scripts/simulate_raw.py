"""Adapter of the rule simulate_raw."""

from skipwise.core.log import rule_log
from skipwise.simulation.writers import simulate_raw

with rule_log(snakemake.log[0], snakemake.rule):
    simulate_raw(
        snakemake.output[0], form=snakemake.params.form, simulation=snakemake.params.simulation
    )
