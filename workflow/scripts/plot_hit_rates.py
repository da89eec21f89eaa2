"""Adapter of the rule plot_hit_rates."""

from skipwise.core.log import rule_log

with rule_log(snakemake.log[0], snakemake.rule):
    from skipwise.report.plots import plot_hit_rates

    plot_hit_rates(snakemake.input.table, dict(snakemake.output.items()))
