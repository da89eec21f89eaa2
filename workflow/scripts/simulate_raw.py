"""Adapter of the rule simulate_raw."""

from skipwise.datasets.simulate import simulate_raw
from skipwise.log import rule_log

with rule_log(snakemake.log[0], snakemake.rule):
    simulate_raw(snakemake.output[0], form=snakemake.params.form, simulation=snakemake.params.simulation)
