"""Adapter of the rule run_trial."""

from skipwise.core.log import rule_log

with rule_log(snakemake.log[0], snakemake.rule):
    from skipwise.training.tuning import run_trial

    run_trial(
        snakemake.input.train,
        snakemake.input.valid,
        snakemake.input.tracks,
        snakemake.input.split,
        snakemake.output.history,
        snakemake.output.trial,
        recommender=snakemake.params.recommender,
        settings=snakemake.params.settings,
        tuning=snakemake.params.tuning,
        trial=int(snakemake.wildcards.trial),
        seed=snakemake.params.seed,
        threads=snakemake.threads,
    )
