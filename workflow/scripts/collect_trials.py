"""Adapter of the rule collect_trials."""

from skipwise.core.log import rule_log

with rule_log(snakemake.log[0], snakemake.rule):
    from skipwise.training.tuning import collect_trials

    collect_trials(list(snakemake.input.trials), list(snakemake.output))
