"""The controls that the gains of a run ask for: a gain is one of skips only if shuffled labels do
not gain as much, and which use of skips gains is known after the run.
"""

from pathlib import Path

import polars as pl

from skipwise.core.config import right_targets, run_settings, variants
from skipwise.core.errors import UserError
from skipwise.core.reading import read_yaml
from skipwise.report.tables import answer, methods


def asked_controls(results: str | Path = "results") -> dict:
    """An overlay with the control of each gain of the run in ``results`` that ran without one.  {}
    if there is none.

    For the table ``answer`` it is the same variant with all labels shuffled, those of its targets
    too.  For ``methods``, if the run made it, it has the targets of its variant, so that it says
    what labels add to them.  Raises UserError if the run has no table ``answer``.
    """
    tables, used = Path(results) / "tables", Path(results) / "config.yaml"
    for needed in ("tables/answer.parquet", used.name):
        if not Path(results, needed).is_file():
            raise UserError(f"{results} has no {needed}; make it with snakemake first")
    config, models = read_yaml(used), dict[str, dict]()

    def ask(model: str, variant: str, more: dict, name: str = "shuffled") -> None:
        control = config["model_registry"][model]["variants"][variant] | {"labels": "shuffled"}
        its = models.setdefault(model, {"variants": {}})["variants"]
        its[f"{variant}-{name}"] = control | more

    def ran(model: str, variant: str) -> bool:
        return model in config["models"] and variant in variants(config, model)

    if (tables / "methods.parquet").is_file():
        rows = pl.read_parquet(tables / "methods.parquet").filter(outcome=methods.UNTRIED)
        for model, variant in rows.select("model", "variant").iter_rows():
            if ran(model, variant):  # the table may be of an earlier run
                ask(model, variant, {})
    rows = pl.read_parquet(tables / "answer.parquet").filter(answer=answer.UNTRIED)
    for best, split in rows.select("with_skips", "split").iter_rows():
        model, variant = best.split(" ")
        if not ran(model, variant):
            raise UserError(
                f"{used} is of a run without {best}, which {tables} is of; make the tables again"
            )
        if right_targets(run_settings(config, model, variant, split)):
            ask(model, variant, {"targets": "labelled"}, "all-shuffled")
        else:
            ask(model, variant, {})
    return {"model_registry": models} if models else {}
