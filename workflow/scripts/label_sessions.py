"""Adapter of the rule label_sessions."""

from skipwise.core.log import rule_log
from skipwise.sessions.label import label_sessions
from skipwise.sessions.recipe import Machine, Recipe

with rule_log(snakemake.log[0], snakemake.rule):
    label_sessions(
        list(snakemake.input.events),
        snakemake.input.lengths or None,
        Recipe(**snakemake.params.recipe),
        Machine(snakemake.threads, snakemake.resources.mem_mb),
        part=int(snakemake.wildcards.part),
        out_labelled=snakemake.output.labelled,
        out_counts=snakemake.output.counts,
    )
