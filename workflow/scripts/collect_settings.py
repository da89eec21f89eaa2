"""Adapter of the rule collect_settings."""

from skipwise.core.log import rule_log

with rule_log(snakemake.log[0], snakemake.rule):
    from skipwise.training.tuning import collect_settings

    collect_settings(
        list(snakemake.input.best),
        snakemake.output[0],
        seed=snakemake.params.seed,
        command=snakemake.params.command,
    )
