"""Making a table: csv, parquet, html and tex from the same rows.

A table is a file in ``report/tables``.  Its docstring is the caption in the report.  For
workflow/rules/common.smk it declares as literals ``NEEDS`` (what it reads) and, if it has them,
``SETTINGS`` (keys of the configuration), ``FAMILY`` (reads only runs of these models),
``CATEGORY`` (where the report lists it), ``GIGABYTES``, ``MINUTES``, ``THREADS`` (a key of
``threads``), ``TARGET`` (not ``all``) and ``OPTIONAL`` (left out if it has nothing to read).  It
has ``TITLE``, ``rows(given)``, ``COLUMNS`` or ``columns(given)``, ``NOTE`` or ``note(given)``, and
in ``EXPLAINS`` the columns that report/columns.py lacks.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import polars as pl
import pyarrow as pa

from skipwise.core.artifacts import whole_file, write_artifact
from skipwise.core.registry import find
from skipwise.core.schemas import Artifact
from skipwise.report import columns
from skipwise.report.page.page import write_page
from skipwise.sessions.recipe import Machine

SIMULATED = (
    "Simulated data: the listeners are made up by this workflow. "
    "The figures say nothing about real listeners."
)
_LATEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
_LATEX |= {"<": r"\textless{}", ">": r"\textgreater{}"}


@dataclass(frozen=True)
class Given:
    """What a table or figure is given: the paths of its ``NEEDS`` and its ``SETTINGS``, by name."""

    paths: dict[str, list[str]]
    settings: dict[str, Any] = field(default_factory=dict)
    machine: Machine = field(default_factory=Machine)
    outputs: dict[str, str] = field(default_factory=dict)  # by format

    def __getitem__(self, need: str) -> list[str]:
        return self.paths[need]

    @property
    def level(self) -> float | None:
        """The level of the intervals, None for a table without."""
        return self.settings.get("intervals", {}).get("level")

    def source(self, dataset: str) -> str:
        """Where a data set is from: simulated, or real listeners."""
        return "simulated" if dataset in self.settings["simulated"] else "real"


def make_table(name: str, given: Given) -> None:
    """Make a table and write it in all four formats to ``given.outputs``."""
    table = find("table", name)
    columns.COLUMNS.update(getattr(table, "EXPLAINS", {}))
    write_table(
        table.rows(given),
        table.columns(given) if hasattr(table, "columns") else table.COLUMNS,
        given.outputs,
        title=table.TITLE,
        note=table.note(given) if hasattr(table, "note") else table.NOTE,
        level=given.level,
    )


def write_table(
    rows: Iterable[dict],
    artifact: Artifact,
    outputs: dict[str, str],
    *,
    title: str,
    note: str,
    level: float | None = None,
) -> None:
    """Write rows as csv, parquet, html and tex; a key that a row lacks is null.

    Numbers have six decimals in csv and four in html and tex.  If a row is of simulated data, the
    page and the tex say so.  ``level`` is that of the intervals in ``_low`` and ``_high``.
    """
    table = pa.Table.from_pylist(list(rows), schema=artifact.schema)
    write_artifact(table, artifact, outputs["parquet"])
    frame = pl.DataFrame(table)
    with whole_file(outputs["csv"]) as partial:
        frame.write_csv(partial, float_precision=6)
    warning = SIMULATED if "simulated" in frame["data"].to_list() else ""
    write_page(frame, outputs["html"], title=title, note=note, warning=warning, level=level)
    with whole_file(outputs["tex"]) as partial:
        partial.write_text(_latex(frame, title, warning, note), encoding="utf-8")


def _latex(frame: pl.DataFrame, title: str, warning: str, note: str) -> str:
    """The table in LaTeX: intervals behind their value, numbers to the right."""
    shown = _with_intervals(frame)
    sides = "".join(
        "r" if kind.is_integer() else "c" if kind == pl.Boolean else "l"
        for kind in shown.schema.values()
    )
    rows = [["–" if cell is None else str(cell) for cell in row] for row in shown.iter_rows()]
    head = rf"{{\large {_escaped(title)}}}"
    return "\n".join(
        [
            r"\begin{table}[!t]",
            r"\caption*{",
            rf"{head} \\" + f"\n{{\\small {_escaped(warning)}}}" if warning else head,
            "} ",
            "",
            r"\fontsize{12.0pt}{14.4pt}\selectfont",
            "",
            rf"\begin{{tabular*}}{{\linewidth}}{{@{{\extracolsep{{\fill}}}}{sides}}}",
            r"\toprule",
            " & ".join(map(_escaped, shown.columns)) + r" \\ ",
            r"\midrule\addlinespace[2.5pt]",
            *(" & ".join(map(_escaped, row)) + r" \\" for row in rows),
            r"\bottomrule",
            r"\end{tabular*}",
            r"\begin{minipage}{\linewidth}",
            _escaped(note).replace("'", r"\textquotesingle{}") + r"\\",
            r"\end{minipage}",
            r"\end{table}",
            "",
        ]
    )


def _escaped(text: str) -> str:
    return re.sub(r"[\\&%$#_{}~^<>]", lambda mark: _LATEX.get(mark[0], "\\" + mark[0]), text)


def _with_intervals(frame: pl.DataFrame) -> pl.DataFrame:
    """For reading: ``x [x_low, x_high]`` in one column, numbers with four decimals."""
    columns = []
    for name in frame.columns:
        if name.endswith(("_low", "_high")) and name.rsplit("_", 1)[0] in frame.columns:
            continue
        column = pl.col(name)
        if f"{name}_low" in frame.columns:
            parts = [_decimals(pl.col(f"{name}{end}")) for end in ("", "_low", "_high")]
            column = pl.format("{} [{}, {}]", *parts).alias(name)
        elif frame.schema[name].is_float():
            column = _decimals(column)
        columns.append(column)
    return frame.select(columns)


def _decimals(column: pl.Expr) -> pl.Expr:
    return column.round(4).map_elements(lambda value: f"{value:.4f}", return_dtype=pl.String)
