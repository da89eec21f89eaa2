"""Adapter of the rule extract_events."""

from skipwise.datasets import extract_events
from skipwise.log import rule_log

with rule_log(snakemake.log[0], snakemake.rule):
    extract_events(snakemake.input.raw, snakemake.output.events, snakemake.output.source, entry=snakemake.params.entry)
