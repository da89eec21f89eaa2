"""How much there is to gain in simulated worlds, and how far each variant comes: bars are its HR@10
among headline candidates; lines are the ranking by the truth with plays only and with their labels.
Between the lines lies the headroom, the most that labels in the input can be worth to a model that
has learned everything else. These data are simulated.
"""

import polars as pl
import pyarrow as pa
from matplotlib.figure import Figure

from skipwise.report.drawing import GRID, PALETTE, columns_of, grid, parts_of, title_of
from skipwise.report.variants import with_controls
from skipwise.report.write import Given

NEEDS = ("headroom",)
SETTINGS = ("controls",)
TARGET = "answer"
GIGABYTES = 1
MINUTES = 10
TRUTHS = {"truth_plays": "truth, plays only", "truth_labels": "truth, plays and labels"}
COLUMNS = columns_of(*(pa.field(name, pa.float64()) for name in ("value", *TRUTHS)))


def numbers(given: Given) -> list[dict]:
    """One row per world, model and variant that is no control."""
    frame = pl.read_parquet(given["headroom"]).filter(metric="hr_10")
    frame = with_controls(given, frame).filter(pl.col("control_of").is_null())
    return frame.select(COLUMNS.schema.names).to_dicts()


def draw(frame: pl.DataFrame) -> Figure:
    """One panel per world and split, one bar per model and variant."""
    named = pl.concat_str("model", "variant", separator=" ")
    rows = frame.select(named).to_series().unique(maintain_order=True).to_list()
    panels = parts_of(frame, "dataset", "split")
    plot, axes = grid(
        1, len(panels), width=2.2 + 2.2 * len(panels), height=1.6 + 0.2 * len(rows), sharey=True
    )
    for axis, panel in zip(axes[0], panels, strict=True):
        at = [len(rows) - 1 - rows.index(name) for name in panel.select(named).to_series()]
        axis.barh(at, panel["value"], height=0.7, color="#bbbbbb", label="variant")
        for (name, words), style in zip(TRUTHS.items(), PALETTE[1:], strict=False):
            look = {"color": style.colour, "linestyle": style.line}
            axis.axvline(panel[name].mean(), **look, linewidth=1.5, label=words)
        axis.set_title(title_of(panel))
        axis.set_xlabel("HR@10")
        axis.grid(axis="x", **GRID)
    axes[0][0].set_yticks(range(len(rows)), rows[::-1])
    return plot
