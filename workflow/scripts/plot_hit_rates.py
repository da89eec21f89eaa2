"""Adapter of the rule plot_hit_rates."""

from skipwise.log import rule_log
from skipwise.plots import plot_hit_rates

with rule_log(snakemake.log[0], snakemake.rule):
    plot_hit_rates(snakemake.input.table, snakemake.output[0])
