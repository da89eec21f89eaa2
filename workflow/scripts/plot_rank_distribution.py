"""Adapter of the rule plot_rank_distribution."""

from skipwise.core.log import rule_log

with rule_log(snakemake.log[0], snakemake.rule):
    from skipwise.report.plots import plot_rank_distribution

    plot_rank_distribution(
        list(snakemake.input.ranks),
        dict(snakemake.output.items()),
        simulated=snakemake.params.simulated,
    )
