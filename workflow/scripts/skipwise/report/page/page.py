"""A table as a page for the browser: one file without network that sorts, searches and reads on a
phone, in the dark, on paper.

The page says where the data are from, which seeds, candidates and sessions are behind the rows, and
what each column means. The best value of a column is bold among comparable rows only: same data
set, split, candidates, metric.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jinja2
import polars as pl

from skipwise.core.artifacts import whole_file
from skipwise.report.columns import describe, is_metric, lower_is_better
from skipwise.report.wide import Wide

MISSING = "–"


# What rows must share to be compared, and the columns whose best value is marked among them.
_COMPARABLE = (
    *("dataset", "split", "candidates", "reference", "table", "form", "metric", "quartile"),
)
_OF_THE_PAPER = ("table", "form", "metric")
_MARKED = (
    *("reference_value", "value", "difference", "relative_change", "valid_ndcg_10", "valid_hr_10"),
    *("paper", "paper_relative_change"),
    *(
        f"ours_{candidates}{end}"
        for candidates in ("sampled", "full", "new")
        for end in ("", "_relative_change")
    ),
)
# Columns that a reader picks one value of, and those that head the page when all rows share them.
_FILTERS = (
    "claim",
    "verdict",
    "dataset",
    "split",
    "candidates",
    "table",
    "model",
    "variant",
    "skips",
    "quartile",
    "metric",
)
_FACTS = (
    "split",
    "candidates",
    "table",
    "form",
    "context",
    "skips",
    "licence",
    "sessions",
    "seeds",
)
# Rows that need no search.
_FEW = 6
_VERDICTS = {"holds": "✓", "does not hold": "✗", "cannot be told": "?", "mixed": "±"}


class _Cell(NamedTuple):
    text: str
    key: float | str | None  # what the column is sorted by
    interval: str = ""
    best: bool = False


def write_page(
    frame: pl.DataFrame,
    path: str | Path,
    *,
    title: str,
    note: str,
    warning: str,
    level: float | None = None,
    wide: Sequence[Wide] = (),
) -> None:
    """Write the page of a table to ``path``.

    ``frame`` has the columns of the csv, at least ``data``; its column ``sentence``, if there is
    one, stands as a list above the table.  ``note`` says how to read it, ``warning`` that data are
    simulated, ``level`` is that of the intervals.  ``wide`` has the rows in the layout of the
    papers: it comes first, and the rows are one click away.  Raises KeyError for a column that has
    no explanation.
    """
    simulated = frame.filter(data="simulated")
    listed = frame
    overview: dict = {}
    if "verdict" in frame.columns:
        overview = _overview(frame)
        listed = frame.filter(pl.col("model").is_not_null()).drop("papers_say", "note")
    sentences = frame["sentence"].to_list() if "sentence" in frame.columns else []
    listed = listed.drop("sentence", strict=False)
    facts, dropped = _facts(listed, level)
    shown = [name for name in _columns(listed) if name not in dropped]
    best = _best(listed)
    run = "model" in shown and "variant" in shown and "claim" not in shown
    if run:
        shown = ["model", *(name for name in shown if name not in ("model", "variant"))]
    rows = []
    for at, row in enumerate(listed.to_dicts()):
        cells = [_cell(name, row, at in best.get(name, ())) for name in shown]
        if run:
            cells[0] = _Cell(f"{row['model']} {row['variant']}", f"{row['model']} {row['variant']}")
        rows.append((cells, {name: row[name] for name in _FILTERS if row.get(name) is not None}))
    head = [
        {
            "name": name,
            "label": "model and variant" if run and name == "model" else describe(name).label,
            "number": any(isinstance(cells[i].key, int | float) for cells, _ in rows),
        }
        for i, name in enumerate(shown)
    ]
    page = _TEMPLATE.render(
        title=title,
        note=re.sub(r"(\d)%", r"\1 %", note),
        few=_FEW,
        warning=warning,
        simulated=", ".join(_distinct(simulated, "dataset")),
        facts=facts,
        sentences=sentences,
        overview=overview,
        symbols=_VERDICTS,
        wide=wide,
        missing=MISSING,
        head=head,
        rows=rows,
        filters=[
            (name, describe(name), _distinct(listed, name))
            for name in _FILTERS
            if len(_distinct(listed, name)) > 1
        ],
        show=lambda name, value: describe(name).show(value),
        marked=bool(best),
        glossary=[(name, describe(name)) for name in (*shown, *(["variant"] if run else []))],
    )
    with whole_file(path) as partial:
        partial.write_text(page, encoding="utf-8")


def _distinct(frame: pl.DataFrame, name: str) -> list:
    return (
        frame[name].drop_nulls().unique(maintain_order=True).to_list()
        if name in frame.columns
        else []
    )


def _columns(frame: pl.DataFrame) -> list[str]:
    """The columns of the page: a value and its limits stand in one, two limits alone too; what is
    behind a row last.
    """
    names = dict.fromkeys(re.sub("_(low|high)$", "", name) for name in frame.columns)
    return sorted(
        names, key=lambda name: "seeds" in names and name in ("source", "sessions", "seeds")
    )


def _cell(name: str, row: dict, best: bool) -> _Cell:
    show = describe(name).show
    low, high = (row.get(f"{name}_{end}") for end in ("low", "high"))
    if name not in row:
        return _Cell(MISSING, None) if low is None else _Cell(f"{show(low)} to {show(high)}", low)
    value = row[name]
    if value is None:
        return _Cell(MISSING, None)
    interval = "" if low is None else f"[{show(low)}, {show(high)}]"
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return _Cell(show(value), value if number else show(value), interval, best)


def _facts(frame: pl.DataFrame, level: float | None) -> tuple[list[tuple[str, str]], set[str]]:
    """What stands above the table, and the columns that need not stand in it because all rows
    agree.
    """
    sources = (
        frame.select("dataset", "data").drop_nulls().unique(maintain_order=True).rows()
        if len(frame)
        else []
    )
    facts = (
        [("Data", ", ".join(f"{dataset} ({data})" for dataset, data in sources))] if sources else []
    )
    alone = {
        name
        for name in (*_FACTS, "dataset", "data")
        if len(_distinct(frame, name)) == 1 and not frame[name].has_nulls()
    }
    for name in _FACTS:
        values = [describe(name).show(value) for value in _distinct(frame, name)]
        if values and (name in alone or name in ("split", "candidates", "seeds")):
            facts.append(
                (
                    describe(name).label.capitalize(),
                    (" or " if name == "seeds" else ", ").join(values),
                )
            )
    if level is not None:
        facts.append(
            (
                "Intervals",
                f"{level:.0%}".replace("%", " %") + " over sessions and seeds, in [brackets]",
            )
        )
    # One row alone keeps what names it.
    return facts, alone & {"data"} if len(frame) == 1 else alone


def _best(frame: pl.DataFrame) -> dict[str, set[int]]:
    """By column, the rows whose value is the best of their comparable rows, or prints like it.  One
    row alone is not marked.
    """
    found: dict[str, set[int]] = {}
    metrics = [name for name in frame.columns if f"{name}_low" in frame.columns and is_metric(name)]
    for name in (*metrics, *(name for name in _MARKED if name in frame.columns)):
        keys = (
            _OF_THE_PAPER
            if name.startswith("paper")
            else [key for key in _COMPARABLE if key in frame.columns]
        )
        groups: dict[tuple, list[tuple[int, float]]] = {}
        for at, row in enumerate(frame.to_dicts()):
            if row[name] is not None:
                groups.setdefault(tuple(row[key] for key in keys), []).append((at, row[name]))
        for group in groups.values():
            metric = frame["metric"][group[0][0]] if "metric" in frame.columns else name
            if name == "relative_change" and metric.startswith("delta_"):
                continue  # orig may be negative, and then the sign says nothing
            value = (min if lower_is_better(metric) else max)(value for _, value in group)
            show = describe(name).show
            if len(group) > 1:
                found.setdefault(name, set()).update(
                    at for at, other in group if show(other) == show(value)
                )
    return found


def _overview(findings: pl.DataFrame) -> dict:
    """One row per claim and kind of data, and in it a cell for each of the settings of the models:
    the verdict, and how many rows have which.
    """
    single = findings.filter(pl.col("model").is_not_null())
    of_all = findings.filter(pl.col("model").is_null())
    settings = [name for name in of_all["settings"].unique(maintain_order=True) if name]
    rows: dict[tuple, dict] = {}
    for row in of_all.to_dicts():
        shown = rows.setdefault(
            (row["claim"], row["data"]),
            {"papers_say": row["papers_say"], "data": row["data"], "cells": {}, "reason": ""},
        )
        if row["settings"] is None:  # a claim that this run cannot be put to
            shown["reason"] = row["reason"]
            continue
        part = single.filter(
            *(pl.col(name).eq_missing(pl.lit(row[name])) for name in ("claim", "data", "settings"))
        )
        counts = {name: part.filter(verdict=name).height for name in _VERDICTS}
        shown["cells"][row["settings"]] = {"verdict": row["verdict"], "counts": counts}
    kinds = {row["data"] for row in rows.values()} - {None}
    return {"settings": settings, "rows": [*rows.values()], "several": len(kinds) > 1}


_TEMPLATE = jinja2.Environment(
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=jinja2.StrictUndefined,
    keep_trailing_newline=True,
).from_string(Path(__file__).with_name("page.html.jinja").read_text(encoding="utf-8"))
