"""Adapter of the rule measure_headroom."""

from skipwise.core.log import rule_log

with rule_log(snakemake.log[0], snakemake.rule):
    from skipwise.simulation.oracle import measure_headroom

    measure_headroom(
        snakemake.input.test,
        snakemake.input.tracks,
        snakemake.input.session_keys,
        snakemake.output[0],
        simulation=snakemake.params.simulation,
        **snakemake.params.headroom,
    )
