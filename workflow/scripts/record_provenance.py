"""Adapter of the rule record_provenance."""

from skipwise.core.log import rule_log
from skipwise.core.provenance import record_provenance

with rule_log(snakemake.log[0], snakemake.rule):
    record_provenance(
        list(snakemake.input.runs),
        list(snakemake.input.stats),
        snakemake.output[0],
        config=snakemake.params.config,
    )
