"""Adapter of the rule measure_tracks."""

from skipwise.core.log import rule_log
from skipwise.sessions.lengths import measure_tracks

with rule_log(snakemake.log[0], snakemake.rule):
    measure_tracks(
        list(snakemake.input.gaps),
        out_lengths=snakemake.output[0],
        skip_rule=snakemake.params.skip_rule,
        session_gap=snakemake.params.session_gap,
        threads=snakemake.threads,
        memory=snakemake.resources.mem_mb,
    )
