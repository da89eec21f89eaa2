"""Which share of the targets (full markers, solid) and of the unseen skips (empty markers, dashed)
has at most a rank among the headline candidates; seeds are pooled. A variant pulls targets up where
its solid curve lies above that of *orig*, and pushes skips down where its dashed curve lies below.
Curves end below 1 where ranks past the cut-off of the configuration were not told.
"""

import numpy as np
import polars as pl
import pyarrow as pa
from matplotlib.figure import Figure

from skipwise.core.schemas import required
from skipwise.evaluation.comparisons import HEADLINE, Ranked, headlines
from skipwise.report.drawing import (
    GRID,
    by,
    columns_of,
    data_by_model,
    label,
    named,
    panels_of,
    styles_of,
)
from skipwise.report.write import Given

NEEDS = ("ranks", "split")
SETTINGS = ("simulated",)
FAMILY = "neural"
# share of the tracks (target, unseen skips) with at most this rank.
COLUMNS = columns_of(
    required("tracks", pa.string()),
    required("rank", pa.int32()),
    required("share", pa.float64()),
)
POINTS = 200


def numbers(given: Given) -> list[dict]:
    """The share of targets and of unseen skips with at most each rank among the headline
    candidates; seeds pooled.

    At most ``POINTS`` ranks per curve, evenly spaced in their logarithm from 1 to the last rank of
    any curve of the data set, split and model.
    """
    rows, headline = [], headlines(given["split"])
    for panel in panels_of(given["ranks"]):
        curves = []
        for keys, paths in panel:
            ranked = Ranked.read(paths).led_by(headline[keys["dataset"], keys["split"]])
            curves += [
                (keys, "target", ranked.rank[HEADLINE].ravel()),
                (keys, "unseen skips", ranked.skip_rank[HEADLINE].ravel()),
            ]
        grid = _log_grid(max(int(np.nanmax(rank, initial=1)) for *_, rank in curves))
        for keys, tracks, rank in curves:
            if len(rank):
                share = np.searchsorted(np.sort(rank), grid, side="right") / len(rank)
                shared = named(given, keys) | {"tracks": tracks}
                rows += [
                    shared | {"rank": at, "share": below}
                    for at, below in zip(grid, share, strict=True)
                ]
    return rows


def draw(frame: pl.DataFrame) -> Figure:
    """One panel per data set, split and model."""
    styles = styles_of(frame["variant"])
    plot, axes, panels = data_by_model(frame, sharey=True)
    for axis, panel in panels:
        for i, ((variant, tracks), series) in enumerate(by(panel, "variant", "tracks")):
            target, style = tracks == "target", styles[variant]
            axis.plot(
                series["rank"],
                series["share"],
                color=style.colour,
                linestyle="-" if target else (0, (4, 2)),
                linewidth=1.3,
                marker=style.marker,
                markersize=4.5,
                markerfacecolor=style.colour if target else "white",
                markevery=(0.03 * i, 0.25),
                label=f"{variant}, {tracks}",
            )
        axis.set_xscale("log")
        axis.set_xlim(left=1)
        axis.set_ylim(0, 1)
        axis.grid(**GRID)
    label(axes, "rank among the headline candidates", "share with at most this rank")
    return plot


def _log_grid(last: int) -> np.ndarray:
    return np.unique(np.geomspace(1, last, POINTS).round().astype(np.int32))
