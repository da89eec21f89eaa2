"""Adapter of the rule train_model."""

from pathlib import Path

from skipwise.core.log import rule_log

with rule_log(snakemake.log[0], snakemake.rule):
    from skipwise.training.train import train_model

    folder = Path(
        snakemake.output.weights
    ).parent  # <results>/models/dataset=…/split=…/model=…/variant=…/seed=…
    run = folder.parts[-5:]
    train_model(
        snakemake.input.train,
        snakemake.input.valid,
        snakemake.input.tracks,
        folder,
        model=snakemake.wildcards.model,
        variant=snakemake.wildcards.variant,
        settings=snakemake.params.settings,
        seed=int(snakemake.wildcards.seed),
        threads=snakemake.threads,
        checkpoint=Path(*folder.parts[:-6], "checkpoints", ",".join(run) + ".safetensors"),
        code=snakemake.input.code,
    )
