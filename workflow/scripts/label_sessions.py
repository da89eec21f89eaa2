"""Adapter of the rule label_sessions."""

from skipwise.core.log import rule_log
from skipwise.sessions.label import label_sessions

with rule_log(snakemake.log[0], snakemake.rule):
    label_sessions(
        list(snakemake.input.events),
        snakemake.input.lengths or None,
        out_labelled=snakemake.output.labelled,
        out_counts=snakemake.output.counts,
        dataset=snakemake.wildcards.dataset,
        part=int(snakemake.wildcards.part),
        skip_rule=snakemake.params.skip_rule,
        session_gap=snakemake.params.session_gap,
        sessions=snakemake.params.sessions,
        keep_share=snakemake.params.keep_share,
        threads=snakemake.threads,
        memory=snakemake.resources.mem_mb,
    )
