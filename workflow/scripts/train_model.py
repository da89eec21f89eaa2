"""Adapter of the rule train_model."""

import gc
from pathlib import Path

from skipwise.core import paths
from skipwise.core.log import rule_log

with rule_log(snakemake.log[0], snakemake.rule):
    from skipwise.evaluation.cosines import measure_cosines
    from skipwise.evaluation.rank_sessions import rank_sessions
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
        finished=paths.beside(weights, "finished"),
        code=snakemake.input.code,
    )
    gc.collect()  # what was trained; its weights are in their file
    rank_sessions(
        weights.parent,
        snakemake.input.train,
        snakemake.input.test,
        snakemake.output.ranks,
        candidates=snakemake.params.candidates["sampled"],
        seed=snakemake.params.candidates["seed"],
        cutoff=snakemake.params.candidates["rank_cutoff"],
        threads=snakemake.threads,
    )
    measure_cosines(
        weights.parent, snakemake.input.test, snakemake.output.cosines, threads=snakemake.threads
    )
