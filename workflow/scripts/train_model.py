"""Adapter of the rule train_model."""

from pathlib import Path

from skipwise.core import paths
from skipwise.core.log import rule_log

with rule_log(snakemake.log[0], snakemake.rule):
    from skipwise.training.train import train_model

    weights = Path(snakemake.output.weights)
    train_model(
        snakemake.input.train,
        snakemake.input.valid,
        snakemake.input.tracks,
        snakemake.input.split,
        weights.parent,
        model=snakemake.wildcards.model,
        recommender=snakemake.params.recommender,
        variant=snakemake.wildcards.variant,
        settings=snakemake.params.settings,
        seed=int(snakemake.wildcards.seed),
        threads=snakemake.threads,
        settings_source=snakemake.params.settings_source,
        validation_sessions=snakemake.params.validation_sessions,
        best=snakemake.input.best or None,
        checkpoint=paths.beside(weights, "checkpoint"),
        code=snakemake.input.code,
    )
