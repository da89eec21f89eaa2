"""Adapter of the rule search_settings."""

from skipwise.core import paths
from skipwise.core.log import rule_log

with rule_log(snakemake.log[0], snakemake.rule):
    from skipwise.training.tuning import Search, search_settings

    search_settings(
        snakemake.input.train,
        snakemake.input.valid,
        snakemake.input.tracks,
        snakemake.input.split,
        snakemake.output.trials,
        snakemake.output.best,
        search=Search(**snakemake.params.search, threads=snakemake.threads),
        trials=snakemake.params.trials,
        journal=paths.beside(snakemake.output.trials, "journal"),
        checkpoint=paths.beside(snakemake.output.trials, "trial_checkpoint"),
        first=snakemake.input.first or None,
        code=snakemake.input.code,
    )
