"""Adapter of the rule measure_tracks."""

from skipwise.core.log import rule_log
from skipwise.sessions.lengths import measure_tracks
from skipwise.sessions.recipe import Machine, Recipe

with rule_log(snakemake.log[0], snakemake.rule):
    measure_tracks(
        list(snakemake.input.gaps),
        Recipe(**snakemake.params.recipe),
        Machine(snakemake.threads, snakemake.resources.mem_mb),
        out_lengths=snakemake.output[0],
    )
