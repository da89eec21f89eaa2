"""Adapter of the rule train_model."""

from pathlib import Path

from skipwise.log import rule_log

with rule_log(snakemake.log[0], snakemake.rule):
    from skipwise.runs import train_model

    train_model(
        snakemake.input.train,
        snakemake.input.valid,
        snakemake.input.tracks,
        Path(snakemake.output.weights).parent,
        model=snakemake.wildcards.model,
        variant=snakemake.wildcards.variant,
        settings=snakemake.params.settings,
        seed=int(snakemake.wildcards.seed),
        threads=snakemake.threads,
    )
