"""The controls that the gains of a run ask for: a gain is one of skips only if shuffled labels do
not gain as much, and which use of skips gains is known after the run.
"""

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from skipwise.core.config import read_yaml, right_targets, run_settings, variants
from skipwise.core.errors import UserError
from skipwise.report.tables import answer, methods


def asked_controls(results: str | Path = "results") -> dict:
    """An overlay with the control of each gain of the run in ``results`` that ran without one: the
    same variant with all labels shuffled, those of its targets too.  {} if there is none.

    Gains are those of the table ``answer`` and, if the run made it, of ``methods``.  Raises
    UserError if the run has no table ``answer``.
    """
    tables, used = Path(results) / "tables", Path(results) / "config.yaml"
    if not (tables / "answer.parquet").is_file() or not used.is_file():
        raise UserError(f"{results} has no tables/answer.parquet; make it with snakemake first")
    config, models = read_yaml(used), dict[str, dict]()
    for split, model, variant in _untried(tables):
        if model not in config["models"] or variant not in variants(config, model):
            raise UserError(
                f"{used} is of a run without {model} {variant}, which {tables} is of; make the "
                "tables again"
            )
        name = f"{variant}-shuffled"
        control = config["model_registry"][model]["variants"][variant] | {"labels": "shuffled"}
        if right_targets(run_settings(config, model, variant, split)):
            # The one with the right targets may be in the run, too.
            name, control["targets"] = f"{variant}-all-shuffled", "labelled"
        models.setdefault(model, {"variants": {}})["variants"][name] = control
    return {"model_registry": models} if models else {}


def _untried(tables: Path) -> Iterator[tuple[str, str, str]]:
    """Split, model and variant of each gain without a control."""
    rows = pl.read_parquet(tables / "answer.parquet").filter(answer=answer.UNTRIED)
    for split, best in rows.select("split", "with_skips").iter_rows():
        yield split, *best.split(" ")
    if (tables / "methods.parquet").is_file():
        rows = pl.read_parquet(tables / "methods.parquet").filter(outcome=methods.UNTRIED)
        yield from rows.select("split", "model", "variant").iter_rows()
