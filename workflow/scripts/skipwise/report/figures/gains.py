"""What every use of skips gains over its reference in HR@10 among the headline candidates, with
its interval over sessions and seeds: the reference is the model *orig*, or *blind* for *orig* and
for what predicts the next track, listened to or not. To the right of 0 is better; in the shaded
band a difference is practically nothing. A full marker is told from 0, after Holm's correction and,
if training draws at random, with three seeds or more; an empty one is not. A cross is the control
of the row: the same use of labels that were shuffled. A gain that it has, too, does not come from
skips. The title of a panel says whether its data are simulated.
"""

import polars as pl
import pyarrow as pa
from matplotlib.figure import Figure

from skipwise.core.schemas import required
from skipwise.evaluation.intervals import LEAST_SEEDS
from skipwise.report.drawing import (
    GRID,
    PALETTE,
    Style,
    columns_of,
    grid,
    interval_lengths,
    parts_of,
    points,
    separate_models,
    title_of,
)
from skipwise.report.variants import with_controls, without_chance
from skipwise.report.write import Given

NEEDS = ("skip_gains", "recsys24_main")
SETTINGS = ("intervals", "controls", "model_registry")
CATEGORY = "1 Findings"
GIGABYTES = 1
MINUTES = 10
# difference is that of a variant to its reference in HR@10; it is told from 0 if Holm's p is below
# 1 − level and there are enough seeds; equivalence is the half of the band.
COLUMNS = columns_of(
    required("reference", pa.string()),
    pa.field("control_of", pa.string()),
    *(pa.field(f"difference{end}", pa.float64()) for end in ("", "_low", "_high")),
    required("told", pa.bool_()),
    required("equivalence", pa.float64()),
)


def numbers(given: Given) -> list[dict]:
    """One row per variant that has a reference: its gain in HR@10, headline."""
    intervals = given.settings["intervals"]
    enough = pl.col("seeds").str.split(" ").list.len() >= LEAST_SEEDS
    frame = pl.concat(pl.read_parquet(given[table]) for table in NEEDS)
    frame = frame.filter(pl.col("headline"), pl.col("metric") == "hr_10")
    shown = with_controls(given, frame).with_columns(
        told=(pl.col("p_holm") < 1 - intervals["level"]).fill_null(False)
        & (enough | pl.col("model").is_in(list(without_chance(given)))),
        equivalence=pl.lit(intervals["equivalence"], pl.Float64),
    )
    return shown.select(COLUMNS.schema.names).to_dicts()


_LOOKS = {
    "told from 0": PALETTE[1],
    "not told": PALETTE[0]._replace(is_filled=False),
    "with shuffled labels": Style("#777777", "x", "-"),
}


def draw(frame: pl.DataFrame) -> Figure:
    """One panel per data set and split, one row per model and variant with its control."""
    is_control = pl.col("control_of").is_not_null()
    told, not_told, control = map(pl.lit, _LOOKS)
    frame = frame.with_columns(
        row=pl.format("{}: {} − {}", "model", pl.coalesce("control_of", "variant"), "reference"),
        look=pl.when(is_control).then(control).when("told").then(told).otherwise(not_told),
        below=0.3 * is_control,
    )
    panels = parts_of(frame, "dataset", "split")
    rows = frame["row"].unique(maintain_order=True).to_list()
    plot, axes = grid(
        1, len(panels), width=2.6 + 2.9 * len(panels), height=1.3 + 0.24 * len(rows), sharey=True
    )
    for axis, panel in zip(axes[0], panels, strict=True):
        band = panel["equivalence"][0]
        axis.axvspan(-band, band, color="#e8e8e8", zorder=0, label=f"within ±{band:g}")
        axis.axvline(0, color="#777777", linewidth=0.9)
        for look, style in _LOOKS.items():
            series = panel.filter(look=look)
            if series.is_empty():
                continue
            at = [len(rows) - 1 - rows.index(name) for name in series["row"]]
            points(
                axis,
                series["difference"],
                at - series["below"].to_numpy(),
                style,
                xerr=interval_lengths(series, "difference", "difference_low", "difference_high"),
                linestyle="none",
                label=look,
            )
        axis.set_title(title_of(panel))
        axis.set_xlabel("HR@10, variant − reference")
        axis.grid(axis="x", **GRID)
    separate_models(axes[0], frame.unique("row", maintain_order=True)["model"].to_list())
    axes[0][0].set_yticks(range(len(rows)), rows[::-1])
    return plot
