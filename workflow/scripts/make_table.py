"""Adapter of the rule make_table."""

from skipwise.core.log import rule_log

with rule_log(snakemake.log[0], snakemake.rule):
    from skipwise.report.write import Given, make_table
    from skipwise.sessions.recipe import Machine

    needs = {name: paths for name, paths in snakemake.input.items() if name != "code"}
    given = Given(
        {name: [paths] if isinstance(paths, str) else list(paths) for name, paths in needs.items()},
        snakemake.params.settings,
        Machine(snakemake.threads, snakemake.resources.mem_mb),
        dict(snakemake.output.items()),
    )
    make_table(snakemake.wildcards.table, given)
