"""Adapter of the rule compute_metrics."""

from skipwise.core.log import rule_log
from skipwise.ranking.metrics import compute_metrics

with rule_log(snakemake.log[0], snakemake.rule):
    compute_metrics(snakemake.input.ranks, snakemake.output[0], cutoffs=snakemake.params.cutoffs)
