"""Adapter of the rule probe_model."""

from pathlib import Path

from skipwise.core.log import rule_log

with rule_log(snakemake.log[0], snakemake.rule):
    from skipwise.evaluation.probe import probe_model

    probe_model(
        Path(snakemake.input.weights).parent,
        snakemake.input.train,
        snakemake.input.test,
        snakemake.output.released,
        snakemake.output.responses,
        candidates=snakemake.params.candidates["sampled"],
        seed=snakemake.params.candidates["seed"],
        threads=snakemake.threads,
    )
