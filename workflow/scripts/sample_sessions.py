"""Adapter of the rule sample_sessions."""

from skipwise.core.log import rule_log
from skipwise.sessions.sample import sample_sessions

with rule_log(snakemake.log[0], snakemake.rule):
    sample_sessions(
        list(snakemake.input.labelled),
        list(snakemake.input.counts),
        list(snakemake.input.sources),
        out_sessions=snakemake.output.sessions,
        out_tracks=snakemake.output.tracks,
        out_keys=snakemake.output.session_keys,
        out_stats=snakemake.output.stats,
        dataset=snakemake.wildcards.dataset,
        skip_rule=snakemake.params.skip_rule,
        session_gap=snakemake.params.session_gap,
        sessions=snakemake.params.sessions,
        keep_share=snakemake.params.keep_share,
        threads=snakemake.threads,
        memory=snakemake.resources.mem_mb,
    )
