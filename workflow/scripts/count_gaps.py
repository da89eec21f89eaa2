"""Adapter of the rule count_gaps."""

from skipwise.core.log import rule_log
from skipwise.sessions.lengths import count_gaps

with rule_log(snakemake.log[0], snakemake.rule):
    count_gaps(
        list(snakemake.input.events),
        out_gaps=snakemake.output.gaps,
        out_gap_sessions=snakemake.output.gap_sessions,
        dataset=snakemake.wildcards.dataset,
        part=int(snakemake.wildcards.part),
        session_gap=snakemake.params.session_gap,
        session_gaps=snakemake.params.session_gaps,
        threads=snakemake.threads,
        memory=snakemake.resources.mem_mb,
    )
