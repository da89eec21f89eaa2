"""Adapter of the rule split_sessions."""

from skipwise.core.log import rule_log
from skipwise.sessions.recipe import Machine
from skipwise.sessions.split import PARTS, split_sessions

with rule_log(snakemake.log[0], snakemake.rule):
    split_sessions(
        snakemake.input.sessions,
        snakemake.input.session_keys,
        Machine(snakemake.threads),
        split=snakemake.wildcards.split,
        parameters=snakemake.params.parameters,
        headline=snakemake.params.headline,
        outputs={part: snakemake.output[part] for part in PARTS},
        out_stats=snakemake.output.stats,
    )
