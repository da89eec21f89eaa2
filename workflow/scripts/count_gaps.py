"""Adapter of the rule count_gaps."""

from skipwise.core.log import rule_log
from skipwise.sessions.lengths import count_gaps
from skipwise.sessions.recipe import Machine, Recipe

with rule_log(snakemake.log[0], snakemake.rule):
    count_gaps(
        list(snakemake.input.events),
        Recipe(**snakemake.params.recipe),
        Machine(snakemake.threads, snakemake.resources.mem_mb),
        part=int(snakemake.wildcards.part),
        session_gaps=snakemake.params.session_gaps,
        out_gaps=snakemake.output.gaps,
        out_gap_sessions=snakemake.output.gap_sessions,
    )
