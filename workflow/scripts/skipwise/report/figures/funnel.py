"""From raw rows to test sessions, on a logarithmic scale: the plays that were read, the sessions
that they form, those that pass the filters, those that were sampled, and those that are trained on
and tested. Where long sessions are cut, more can pass the filters than were formed. The title of a
panel says whether its data are simulated.
"""

import polars as pl
import pyarrow as pa
from matplotlib.figure import Figure

from skipwise.core.schemas import required, rows_of
from skipwise.report.drawing import GRID, PALETTE, grid, parts_of, title_of
from skipwise.report.write import Given

NEEDS = ("datasets",)
TARGET = "answer"
GIGABYTES = 1
MINUTES = 10
STAGES = {
    "plays_read": "plays read",
    "sessions_formed": "sessions formed",
    "sessions_eligible": "sessions eligible",
    "sessions": "sessions sampled",
    "train_sessions": "train sessions",
    "test_sessions": "test sessions",
}
COLUMNS = rows_of(
    *(required(name, pa.string()) for name in ("dataset", "data", "split", "stage")),
    required("count", pa.int64()),
)


def numbers(given: Given) -> list[dict]:
    """One row per data set, split and stage."""
    return [
        {key: row[key] for key in ("dataset", "data", "split")}
        | {"stage": words, "count": row[stage]}
        for row in pl.read_parquet(given["datasets"]).to_dicts()
        for stage, words in STAGES.items()
    ]


def draw(frame: pl.DataFrame) -> Figure:
    """One panel per data set and split, one bar per stage, with its number."""
    panels, stages = parts_of(frame, "dataset", "split"), list(STAGES.values())
    plot, axes = grid(1, len(panels), width=1.8 + 2.4 * len(panels), height=2.8, sharey=True)
    for axis, panel in zip(axes[0], panels, strict=True):
        at = [len(stages) - 1 - stages.index(stage) for stage in panel["stage"]]
        axis.barh(at, panel["count"].clip(1), height=0.7, color=PALETTE[6].colour)
        for place, count in zip(at, panel["count"], strict=True):
            axis.text(1.2, place, f"{count:,}", va="center", fontsize=8)
        axis.set_xscale("log")
        axis.set_xlim(left=1)
        axis.set_title(title_of(panel))
        axis.set_xlabel("number")
        axis.grid(axis="x", **GRID)
    axes[0][0].set_yticks(range(len(stages)), stages[::-1])
    return plot
