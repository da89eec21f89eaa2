"""What a use of skips does to targets and to skips at once, both against *orig*: to the right more
targets are among the best 10, further down fewer unseen skips are among the best 20. Down and to
the right is better in both; up and to the right a model only plays more of the same. The title of a
panel says whether its data are simulated.
"""

import polars as pl
import pyarrow as pa
from matplotlib.figure import Figure

from skipwise.report.drawing import (
    GRID,
    columns_of,
    data_by_model,
    interval_lengths,
    label,
    parts_of,
    points,
    styles_of,
)
from skipwise.report.write import Given

NEEDS = ("skip_gains", "skip_downranking")
TARGET = "answer"
GIGABYTES = 1
MINUTES = 10
# Differences to orig, in HR@10 of targets and in HR@20 of unseen skips.
MEASURED = {"skip_gains": ("hr_10", "targets"), "skip_downranking": ("hr_skipped_20", "skips")}
ENDS = ("", "_low", "_high")
COLUMNS = columns_of(
    *(pa.field(f"{name}{end}", pa.float64()) for _, name in MEASURED.values() for end in ENDS)
)


def numbers(given: Given) -> list[dict]:
    """One row per variant that is compared with orig, among headline candidates."""
    keys = ["dataset", "data", "split", "model", "variant"]
    parts = [
        pl.read_parquet(given[table])
        .filter(pl.col("headline"), pl.col("metric") == metric, pl.col("reference") == "orig")
        .select(*keys, *(pl.col(f"difference{end}").alias(f"{name}{end}") for end in ENDS))
        for table, (metric, name) in MEASURED.items()
    ]
    joined = parts[0].join(parts[1], on=keys, maintain_order="left")
    return joined.select(COLUMNS.schema.names).to_dicts()


def draw(frame: pl.DataFrame) -> Figure:
    """One row of panels per data set and split, one column per model, one point per variant."""
    plot, axes, panels = data_by_model(frame, row_height=3.0)
    styles = styles_of(frame["variant"])
    for axis, panel in panels:
        axis.axhline(0, color="#777777", linewidth=0.9)
        axis.axvline(0, color="#777777", linewidth=0.9)
        for part in parts_of(panel, "variant"):
            name = part["variant"][0]
            x, y = (
                interval_lengths(part, kind, f"{kind}_low", f"{kind}_high")
                for kind in ("targets", "skips")
            )
            points(
                axis,
                part["targets"],
                part["skips"],
                styles[name],
                xerr=x,
                yerr=y,
                linestyle="none",
                label=name,
            )
        axis.grid(**GRID)
    label(axes, "HR@10 of targets, − orig", "HR@20 of skips, − orig")
    return plot
