"""Adapter of the rule rank_sessions."""

from pathlib import Path

from skipwise.core.log import rule_log

with rule_log(snakemake.log[0], snakemake.rule):
    from skipwise.evaluation.rank_sessions import rank_sessions

    rank_sessions(
        Path(snakemake.input.weights).parent,
        snakemake.input.train,
        snakemake.input.test,
        snakemake.output[0],
        candidates=snakemake.params.candidates["sampled"],
        seed=snakemake.params.candidates["seed"],
        cutoff=snakemake.params.candidates["rank_cutoff"],
        threads=snakemake.threads,
    )
