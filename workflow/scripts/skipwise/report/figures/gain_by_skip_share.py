"""What each variant gains over its reference in HR@10 among the headline candidates, by quarter of
the sessions by share of skips in the context, with paired intervals over sessions and seeds. Above
0 the variant is better. The papers say that the lines rise from left to right.
"""

import polars as pl
import pyarrow as pa
from matplotlib.figure import Figure

from skipwise.core.schemas import required
from skipwise.report.drawing import (
    GRID,
    columns_of,
    data_by_model,
    interval_lengths,
    label,
    points,
    styles_of,
)
from skipwise.report.write import Given

NEEDS = ("by_skip_share",)
GIGABYTES = 1
MINUTES = 10
# difference is that of a variant to orig in HR@10; share_low and share_high are the limits of
# the quartile.
COLUMNS = columns_of(
    required("quartile", pa.int16()),
    required("share_low", pa.float64()),
    required("share_high", pa.float64()),
    *(pa.field(f"difference{end}", pa.float64()) for end in ("", "_low", "_high")),
)


def numbers(given: Given) -> list[dict]:
    """One row per variant and quartile of the skip share: the gain in HR@10, headline."""
    frame = pl.read_parquet(given["by_skip_share"])
    shown = frame.filter(pl.col("headline"), pl.col("metric") == "hr_10")
    return shown.select(COLUMNS.schema.names).to_dicts()


def draw(frame: pl.DataFrame) -> Figure:
    """One panel per data set, split and model, one line per variant."""
    styles = styles_of(frame["variant"])
    plot, axes, panels = data_by_model(frame, sharey=True)
    for axis, panel in panels:
        axis.axhline(0, color="#777777", linewidth=0.9)
        for at, (variant, style) in enumerate(styles.items()):
            series = panel.filter(variant=variant)
            if series.is_empty():
                continue
            # So that no interval hides another.
            beside = (at - (len(styles) - 1) / 2) * 0.5 / len(styles)
            points(
                axis,
                series["quartile"] + beside,
                series["difference"],
                style,
                yerr=interval_lengths(series, "difference", "difference_low", "difference_high"),
                label=variant,
            )
        shares = panel.unique("quartile", maintain_order=True).sort("quartile")
        labels = [f"{row['share_low']:.0%}–{row['share_high']:.0%}" for row in shares.to_dicts()]
        axis.set_xticks(shares["quartile"].to_list(), labels, fontsize=8)
        axis.grid(axis="y", **GRID)
    label(axes, "share of skips in the context", "HR@10, variant − reference")
    return plot
