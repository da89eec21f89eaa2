"""Adapter of the rule make_hr_ndcg_table."""

from skipwise.core.log import rule_log
from skipwise.report.tables.hr_ndcg import make_hr_ndcg_table

with rule_log(snakemake.log[0], snakemake.rule):
    make_hr_ndcg_table(
        list(snakemake.input.ranks),
        list(snakemake.input.metrics),
        dict(snakemake.output.items()),
        simulated=snakemake.params.simulated,
        cutoffs=snakemake.params.cutoffs,
        intervals=snakemake.params.intervals,
    )
