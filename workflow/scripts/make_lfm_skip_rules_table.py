"""Adapter of the rule make_lfm_skip_rules_table."""

from skipwise.core.log import rule_log
from skipwise.report.tables.lfm_skip_rules import make_lfm_skip_rules_table

with rule_log(snakemake.log[0], snakemake.rule):
    make_lfm_skip_rules_table(
        list(snakemake.input.gaps),
        list(snakemake.input.gap_sessions),
        dict(snakemake.output.items()),
        rules=snakemake.params.rules,
        registry=snakemake.params.registry,
        threads=snakemake.threads,
        memory=snakemake.resources.mem_mb,
    )
