"""The tables: each as csv, parquet, html and tex from the same rows."""

from pathlib import Path

import polars as pl
import pyarrow as pa
from great_tables import GT, md

from skipwise.core.artifacts import whole_file, write_artifact
from skipwise.core.schemas import Artifact
from skipwise.report.page.page import SIMULATED, write_page


def data_source(dataset: str, simulated: list[str]) -> str:
    """What tables say about where a data set comes from."""
    return "simulated" if dataset in simulated else "real"


def write_table(
    rows: list[dict],
    schema: Artifact,
    outputs: dict[str, str],
    *,
    title: str,
    note: str,
    level: float | None = None,
) -> None:
    """Write rows as ``outputs["csv"]``, ``["parquet"]``, ``["html"]`` and ``["tex"]``; a key that a
    row lacks is null.

    Numbers have six decimals in csv and four in html and tex.  Where a row is of simulated data the
    pages say so.  ``level`` is that of the intervals in ``_low`` and ``_high``.
    """
    table = pa.Table.from_pylist(rows, schema=schema.schema)
    write_artifact(table, schema, outputs["parquet"])
    frame = pl.DataFrame(table)
    with whole_file(outputs["csv"]) as partial:
        frame.write_csv(partial, float_precision=6)
    warning = [SIMULATED] if "simulated" in frame["data"].to_list() else []
    page = (
        GT(_with_intervals(frame), id=Path(outputs["html"]).stem)
        .tab_header(title=title, subtitle=" ".join(warning) or None)
        .tab_source_note(md(note))
        .sub_missing(missing_text="–")
    )
    write_page(frame, outputs["html"], title=title, note=note, level=level)
    with whole_file(outputs["tex"]) as partial:
        partial.write_text(page.as_latex(), encoding="utf-8")


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
