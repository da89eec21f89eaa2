"""Adapter of the rule plot_learning_curves."""

from skipwise.core.log import rule_log

with rule_log(snakemake.log[0], snakemake.rule):
    from skipwise.report.plots import plot_learning_curves

    plot_learning_curves(
        list(snakemake.input.histories),
        dict(snakemake.output.items()),
        simulated=snakemake.params.simulated,
    )
