"""What a use of skips does to targets and to skips at once, both against its reference, which is
*orig*, or *blind* for *orig* and for what predicts the next track, listened to or not: to the right
more targets are among the best 10, further down fewer unseen skips are among the best 20. Down and
to the right is better than the reference in both; up and to the right a model only plays more of
the same. The title of a panel says whether its data are simulated.
"""

import polars as pl
import pyarrow as pa
from matplotlib.figure import Figure

from skipwise.core.schemas import required
from skipwise.report.drawing import (
    GRID,
    KEYS,
    columns_of,
    data_by_model,
    interval_lengths,
    label,
    parts_of,
    points,
    styles_of,
)
from skipwise.report.variants import with_controls
from skipwise.report.write import Given

NEEDS = ("skip_gains", "skip_downranking")
SETTINGS = ("controls",)
TARGET = "answer"
GIGABYTES = 1
MINUTES = 10
# Differences to the reference, in HR@10 of targets and in HR@20 of unseen skips.
MEASURED = {"skip_gains": ("hr_10", "targets"), "skip_downranking": ("hr_skipped_20", "skips")}
ENDS = ("", "_low", "_high")
COLUMNS = columns_of(
    required("reference", pa.string()),
    *(pa.field(f"{name}{end}", pa.float64()) for _, name in MEASURED.values() for end in ENDS),
)


def numbers(given: Given) -> list[dict]:
    """One row per variant that has a reference and is no control, among headline candidates."""
    keys = [*KEYS, "reference"]
    parts = [
        pl.read_parquet(given[table])
        .filter(pl.col("headline"), pl.col("metric") == metric)
        .select(*keys, *(pl.col(f"difference{end}").alias(f"{name}{end}") for end in ENDS))
        for table, (metric, name) in MEASURED.items()
    ]
    joined = with_controls(given, parts[0].join(parts[1], on=keys, maintain_order="left"))
    return joined.filter(pl.col("control_of").is_null()).select(COLUMNS.schema.names).to_dicts()


def draw(frame: pl.DataFrame) -> Figure:
    """One row of panels per data set and split, one column per model, one point per variant."""
    plot, axes, panels = data_by_model(frame, row_height=3.4, column_width=3.4)
    styles = styles_of(frame["variant"])
    for axis, panel in panels:
        axis.axhline(0, color="#777777", linewidth=0.9)
        axis.axvline(0, color="#777777", linewidth=0.9)
        for part in parts_of(panel, "variant"):
            name, reference = part.select("variant", "reference").row(0)
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
                elinewidth=0.6,
                capsize=0,
                label=f"{name} − {reference}",
            )
        axis.locator_params(nbins=5)
        axis.grid(**GRID)
    label(axes, "HR@10 of targets, − reference", "HR@20 of skips, − reference")
    return plot
