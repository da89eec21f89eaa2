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
    grid,
    interval_lengths,
    parts_of,
    points,
    styles_of,
    title_of,
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
    """One panel per data set and split; a model has a colour, a variant a line."""
    panels = parts_of(frame, "dataset", "split")
    # A model has a colour and a marker, a variant a line and a full or empty marker.
    models, variants = styles_of(frame["model"]), styles_of(frame["variant"])
    lines = frame.select("model", "variant").unique(maintain_order=True).rows()
    plot, axes = grid(
        1, len(panels), width=1.5 + 3.6 * len(panels), height=3.6 + 0.11 * len(lines), sharey=True
    )
    for axis, panel in zip(axes[0], panels, strict=True):
        axis.axhline(0, color="#777777", linewidth=0.9)
        for i, (model, variant) in enumerate(lines):
            series = panel.filter(model=model, variant=variant)
            beside = (
                (i - (len(lines) - 1) / 2) * 0.7 / len(lines)
            )  # so that no interval hides another
            style = models[model]._replace(line=variants[variant].line)
            points(
                axis,
                series["quartile"] + beside,
                series["difference"],
                style,
                yerr=interval_lengths(series, "difference", "difference_low", "difference_high"),
                markerfacecolor="white" if list(variants).index(variant) % 2 else style.colour,
                label=f"{model} {variant}",
            )
        shares = panel.unique("quartile", maintain_order=True).sort("quartile")
        labels = [f"{row['share_low']:.0%}–{row['share_high']:.0%}" for row in shares.to_dicts()]
        axis.set_xticks(shares["quartile"].to_list(), labels)
        axis.set_title(title_of(panel))
        axis.set_xlabel("share of skips in the context, by quartile")
        axis.grid(axis="y", **GRID)
    axes[0][0].set_ylabel("HR@10, variant − reference (above 0: better)")
    return plot
