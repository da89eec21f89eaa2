"""Adapter of the rule retrieve_raw."""

from skipwise.core.log import rule_log
from skipwise.raw.retrieve import retrieve_raw

with rule_log(snakemake.log[0], snakemake.rule):
    retrieve_raw(
        snakemake.output[0], urls=snakemake.params.urls, checksums=snakemake.params.checksums
    )
