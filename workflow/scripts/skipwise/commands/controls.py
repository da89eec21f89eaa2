"""The controls that a run's answer asks for: a gain is one of skips only if shuffled labels do not
gain as much, and which use of skips gains is known after the run.
"""

from pathlib import Path

import polars as pl

from skipwise.core.config import read_yaml, right_targets, run_settings, variants
from skipwise.core.errors import UserError
from skipwise.report.tables.answer import UNTRIED


def asked_controls(results: str | Path = "results") -> dict:
    """An overlay with the control of each gain of the run in ``results`` that ran without one: the
    same variant with all labels shuffled, those of its targets too.  {} if there is none.

    Raises UserError if the run has no table ``answer``.
    """
    table, used = Path(results) / "tables/answer.parquet", Path(results) / "config.yaml"
    if not table.is_file() or not used.is_file():
        raise UserError(f"{results} has no tables/answer.parquet; make it with snakemake first")
    config, models = read_yaml(used), dict[str, dict]()
    rows = pl.read_parquet(table).filter(answer=UNTRIED).select("with_skips", "split")
    for best, split in rows.iter_rows():
        model, variant = best.split(" ")
        if model not in config["models"] or variant not in variants(config, model):
            raise UserError(
                f"{used} is of a run without {best}, which {table} is of; make the table again"
            )
        name = f"{variant}-shuffled"
        control = config["model_registry"][model]["variants"][variant] | {"labels": "shuffled"}
        if right_targets(run_settings(config, model, variant, split)):
            # The one with the right targets may be in the run, too.
            name, control["targets"] = f"{variant}-all-shuffled", "labelled"
        models.setdefault(model, {"variants": {}})["variants"][name] = control
    return {"model_registry": models} if models else {}
