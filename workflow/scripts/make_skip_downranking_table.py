"""Adapter of the rule make_skip_downranking_table."""

from skipwise.core.log import rule_log

with rule_log(snakemake.log[0], snakemake.rule):
    from skipwise.report.comparison_tables import make_skip_downranking_table

    make_skip_downranking_table(
        list(snakemake.input.ranks),
        dict(snakemake.output.items()),
        simulated=snakemake.params.simulated,
        intervals=snakemake.params.intervals,
        cutoffs=snakemake.params.cutoffs,
    )
