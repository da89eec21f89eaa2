"""Adapter of the rule extract_events."""

import os

# Polars reads it when it is imported.
os.environ.setdefault("POLARS_MAX_THREADS", str(snakemake.threads))

from skipwise.core.log import rule_log
from skipwise.raw.extract import extract_events

with rule_log(snakemake.log[0], snakemake.rule):
    extract_events(
        snakemake.input.raw,
        snakemake.output.events,
        snakemake.output.source,
        snakemake.output.rejected,
        entry=snakemake.params.entry,
        tolerance=snakemake.params.tolerance,
        checksums=snakemake.params.checksums,
    )
