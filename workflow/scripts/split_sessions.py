"""Adapter of the rule split_sessions."""

from skipwise.core.log import rule_log
from skipwise.sessions.split import PARTS, split_sessions

with rule_log(snakemake.log[0], snakemake.rule):
    split_sessions(
        snakemake.input.sessions,
        outputs={part: snakemake.output[part] for part in PARTS},
        out_stats=snakemake.output.stats,
        split=snakemake.wildcards.split,
        shares=snakemake.params.shares,
        threads=snakemake.threads,
    )
