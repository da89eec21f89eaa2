"""Validation NDCG@10 after every epoch, a line a run; higher is better. The marked epoch is the one
that is tested; training stops some epochs after it. Lines of one variant that lie apart are its
seeds. A run that is still rising at its end was stopped too early, and a flat one has not begun to
learn: their differences say little about skips.
"""

import numpy as np
import polars as pl
import pyarrow as pa
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from skipwise.core.artifacts import read_artifact
from skipwise.core.paths import hive_keys
from skipwise.core.schemas import required
from skipwise.report.drawing import (
    GRID,
    by,
    columns_of,
    data_by_model,
    label,
    named,
    styles_of,
)
from skipwise.report.write import Given

NEEDS = ("history",)
SETTINGS = ("simulated",)
FAMILY = "neural"
GIGABYTES = 1
MINUTES = 10
COLUMNS = columns_of(
    required("seed", pa.int32()),
    required("epoch", pa.int32()),
    pa.field("valid_ndcg_10", pa.float64()),
    required("best", pa.bool_()),
)


def numbers(given: Given) -> list[dict]:
    """One row per epoch of every run."""
    rows = []
    for path in given["history"]:
        keys = hive_keys(path)
        shared = named(given, keys) | {"seed": int(keys["seed"])}
        for epoch in read_artifact("history", path, ["epoch", "valid_ndcg_10", "best"]).to_pylist():
            rows.append(shared | epoch)
    return rows


def draw(frame: pl.DataFrame) -> Figure:
    """One panel per data set, split and model; one line per run, its best epoch marked."""
    styles = styles_of(frame["variant"])
    plot, axes, panels = data_by_model(frame, sharey="row")
    for axis, panel in panels:
        for (variant, _), run in by(panel, "variant", "seed"):
            axis.plot(
                run["epoch"],
                run["valid_ndcg_10"],
                **styles[variant].look,
                linewidth=1.0,
                markersize=6,
                markevery=np.flatnonzero(run["best"]).tolist(),
                label=variant,
            )
        locator = axis.xaxis.get_major_locator()
        assert isinstance(locator, MaxNLocator)
        locator.set_params(integer=True)
        axis.grid(**GRID)
    label(axes, "epoch (marked: the best)", "validation NDCG@10, higher: better")
    return plot
