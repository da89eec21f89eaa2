"""Hit rate of the next listened track among the headline candidates, by model and variant, mean
over seeds with intervals over sessions and seeds; further right is better. A variant helps where
its points lie to the right of those of *orig* of the same model by more than the intervals. The
title of a panel says whether its data are simulated.
"""

import polars as pl
import pyarrow as pa
from matplotlib.figure import Figure

from skipwise.core.schemas import required
from skipwise.report.drawing import (
    GRID,
    KEYS,
    columns_of,
    grid,
    interval_lengths,
    parts_of,
    points,
    separate_models,
    styles_of,
    title_of,
)
from skipwise.report.write import Given

NEEDS = ("hr_ndcg",)
GIGABYTES = 1
MINUTES = 10
COLUMNS = columns_of(
    required("candidates", pa.string()),
    required("k", pa.int16()),
    required("hr", pa.float64()),
    *(pa.field(f"hr{end}", pa.float64()) for end in ("_low", "_high")),
)


def numbers(given: Given) -> list[dict]:
    """One row per model, variant and k: HR@k among the headline candidates with its interval."""
    frame = pl.read_parquet(given["hr_ndcg"]).filter(pl.col("headline"))
    metrics = [name for name in frame.columns if name.startswith("hr_") and name[3:].isdigit()]
    return [
        {key: row[key] for key in (*KEYS, "candidates")}
        | {"k": int(name[3:])}
        | {f"hr{end}": row[f"{name}{end}"] for end in ("", "_low", "_high")}
        for row in frame.to_dicts()
        for name in metrics
    ]


def draw(frame: pl.DataFrame) -> Figure:
    """One panel per data set and parts_of, one row per model and variant."""
    panels = parts_of(frame, "dataset", "split")
    frame = frame.with_columns(row=pl.concat_str("model", "variant", separator=" "))
    rows = frame["row"].unique(maintain_order=True).to_list()
    styles = styles_of(frame["k"])
    plot, axes = grid(
        1, len(panels), width=2.2 + 2.9 * len(panels), height=1.3 + 0.32 * len(rows), sharey=True
    )
    for axis, panel in zip(axes[0], panels, strict=True):
        for k, style in styles.items():
            series = panel.filter(k=k)
            names = series.select(pl.concat_str("model", "variant", separator=" ")).to_series()
            height = [len(rows) - 1 - rows.index(name) for name in names]
            spread = interval_lengths(series, "hr", "hr_low", "hr_high")
            points(
                axis, series["hr"], height, style, xerr=spread, linestyle="none", label=f"HR@{k}"
            )
        axis.set_title(title_of(panel))
        axis.set_xlabel(f"hit rate, {panel['candidates'][0]} candidates")
        axis.set_xlim(left=0)
        axis.grid(axis="x", **GRID)
    separate_models(axes[0], frame.unique("row", maintain_order=True)["model"].to_list())
    axes[0][0].set_yticks(range(len(rows)), rows[::-1])
    return plot
