"""Adapter of the rule plot_gain_by_skip_share."""

from skipwise.core.log import rule_log

with rule_log(snakemake.log[0], snakemake.rule):
    from skipwise.report.plots import plot_gain_by_skip_share

    plot_gain_by_skip_share(snakemake.input.table, dict(snakemake.output.items()))
