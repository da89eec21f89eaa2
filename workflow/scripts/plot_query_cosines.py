"""Adapter of the rule plot_query_cosines."""

from skipwise.core.log import rule_log

with rule_log(snakemake.log[0], snakemake.rule):
    from skipwise.report.plots import plot_query_cosines

    plot_query_cosines(
        list(snakemake.input.cosines),
        dict(snakemake.output.items()),
        queries=snakemake.params.queries,
        simulated=snakemake.params.simulated,
    )
