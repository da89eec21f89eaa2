"""Adapter of the rule make_findings_table."""

from skipwise.core.log import rule_log

with rule_log(snakemake.log[0], snakemake.rule):
    from skipwise.report.findings import make_findings_table

    make_findings_table(
        list(snakemake.input.ranks),
        snakemake.input.papers,
        dict(snakemake.output.items()),
        simulated=snakemake.params.simulated,
        intervals=snakemake.params.intervals,
        papers=snakemake.params.papers,
        forms=snakemake.params.forms,
    )
