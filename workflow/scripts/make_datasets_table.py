"""Adapter of the rule make_datasets_table."""

from skipwise.core.log import rule_log
from skipwise.report.tables.datasets import make_datasets_table

with rule_log(snakemake.log[0], snakemake.rule):
    make_datasets_table(
        list(snakemake.input.stats),
        list(snakemake.input.splits),
        dict(snakemake.output.items()),
        registry=snakemake.params.registry,
    )
