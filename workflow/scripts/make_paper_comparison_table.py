"""Adapter of the rule make_paper_comparison_table."""

from skipwise.core.log import rule_log

with rule_log(snakemake.log[0], snakemake.rule):
    from skipwise.report.comparison_tables import make_paper_comparison_table

    make_paper_comparison_table(
        snakemake.input.hr_ndcg,
        snakemake.input.recsys24,
        snakemake.input.skip_downranking,
        snakemake.input.papers,
        dict(snakemake.output.items()),
        forms=snakemake.params.forms,
    )
