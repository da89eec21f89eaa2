"""Adapter of the rule make_murs23_context_table."""

from skipwise.core.log import rule_log

with rule_log(snakemake.log[0], snakemake.rule):
    from skipwise.report.comparison_tables import make_murs23_context_table

    make_murs23_context_table(
        list(snakemake.input.ranks),
        dict(snakemake.output.items()),
        simulated=snakemake.params.simulated,
        intervals=snakemake.params.intervals,
        papers=snakemake.params.papers,
    )
