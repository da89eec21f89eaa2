"""Adapter of the rule sample_sessions."""

from skipwise.core.log import rule_log
from skipwise.sessions.recipe import Machine, Recipe
from skipwise.sessions.sample import sample_sessions

with rule_log(snakemake.log[0], snakemake.rule):
    sample_sessions(
        list(snakemake.input.labelled),
        list(snakemake.input.counts),
        list(snakemake.input.sources),
        Recipe(**snakemake.params.recipe),
        Machine(snakemake.threads, snakemake.resources.mem_mb),
        out_sessions=snakemake.output.sessions,
        out_tracks=snakemake.output.tracks,
        out_keys=snakemake.output.session_keys,
        out_stats=snakemake.output.stats,
    )
