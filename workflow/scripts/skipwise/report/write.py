"""Making a table: csv, parquet, html and tex from the same rows.

A table is a file in ``report/tables``.  Its docstring is the caption in the report.  For
workflow/rules/common.smk it declares as literals ``NEEDS`` (what it reads) and, if it has them,
``SETTINGS`` (keys of the configuration), ``FAMILY`` (reads only runs of these models),
``CATEGORY`` (where the report lists it), ``GIGABYTES``, ``MINUTES``, ``THREADS`` (a key of
``threads``), ``TARGET`` (not ``all``) and ``OPTIONAL`` (left out if it has nothing to read).  It
has ``TITLE``, ``rows(given)``, ``COLUMNS`` or ``columns(given)``, ``NOTE`` or ``note(given)``, and
in ``EXPLAINS`` the columns that report/columns.py lacks.  With ``wide(given, rows)`` page and tex
lead with the layout of the papers; csv and parquet hold the long rows.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl
import pyarrow as pa

from skipwise.core.artifacts import whole_file, write_artifact
from skipwise.core.registry import find
from skipwise.core.schemas import Artifact
from skipwise.report import columns
from skipwise.report.latex import rows_in_latex, wide_in_latex
from skipwise.report.page.page import write_page
from skipwise.report.wide import Wide
from skipwise.sessions.recipe import Machine

SIMULATED = (
    "Simulated data: the listeners are made up by this workflow. "
    "The figures say nothing about real listeners."
)


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
    rows = list(table.rows(given))
    write_table(
        rows,
        table.columns(given) if hasattr(table, "columns") else table.COLUMNS,
        given.outputs,
        title=table.TITLE,
        note=table.note(given) if hasattr(table, "note") else table.NOTE,
        level=given.level,
        wide=table.wide(given, rows) if hasattr(table, "wide") else [],
    )


def write_table(
    rows: Iterable[dict],
    artifact: Artifact,
    outputs: dict[str, str],
    *,
    title: str,
    note: str,
    level: float | None = None,
    wide: Sequence[Wide] = (),
) -> None:
    """Write rows as csv, parquet, html and tex; a key that a row lacks is null.

    Numbers have six decimals in csv and four in html and tex.  If a row is of simulated data, the
    page and the tex say so.  ``level`` is that of the intervals in ``_low`` and ``_high``.
    ``wide`` has the rows in the layout of the papers: the page leads with it, and the tex holds it
    instead of the rows.
    """
    table = pa.Table.from_pylist(list(rows), schema=artifact.schema)
    write_artifact(table, artifact, outputs["parquet"])
    frame = pl.DataFrame(table)
    with whole_file(outputs["csv"]) as partial:
        frame.write_csv(partial, float_precision=6)
    warning = SIMULATED if "simulated" in frame["data"].to_list() else ""
    write_page(
        frame, outputs["html"], title=title, note=note, warning=warning, level=level, wide=wide
    )
    with whole_file(outputs["tex"]) as partial:
        partial.write_text(
            "".join(wide_in_latex(table, title, warning) for table in wide)
            or rows_in_latex(frame, title, warning, note),
            encoding="utf-8",
        )
