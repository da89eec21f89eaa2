"""Adapter of the rule measure_cosines."""

from pathlib import Path

from skipwise.core.log import rule_log

with rule_log(snakemake.log[0], snakemake.rule):
    from skipwise.evaluation.cosines import measure_cosines

    measure_cosines(
        Path(snakemake.input.weights).parent,
        snakemake.input.test,
        snakemake.output[0],
        threads=snakemake.threads,
    )
