"""Cosine of a session's query with the next-positive and with the skips of its context, median and
quartiles over sessions, seeds pooled: without the contrastive term (*orig*) and with it. The query
is the prediction ŷ (*hidden*) or the embedding of the last listened track (*item*). The term does
what it is meant to where the two lie further apart than for *orig*.
"""

import numpy as np
import polars as pl
import pyarrow as pa
from matplotlib.figure import Figure

from skipwise.core.artifacts import read_artifact
from skipwise.core.schemas import QUERIES, required
from skipwise.evaluation.comparisons import REFERENCE
from skipwise.report.drawing import (
    GRID,
    PALETTE,
    by,
    columns_of,
    data_by_model,
    interval_lengths,
    label,
    named,
    panels_of,
    points,
)
from skipwise.report.write import Given

NEEDS = ("cosines",)
SETTINGS = ("simulated", "queries")
FAMILY = "neural"
# Quartiles over n sessions of the cosine of the query (hidden, item) with next-positive or
# skips of the context.
COLUMNS = columns_of(
    required("query", pa.string()),
    required("to", pa.string()),
    *(required(name, pa.float64()) for name in ("low", "median", "high")),
    required("n", pa.int64()),
)


def numbers(given: Given) -> list[dict]:
    """Quartiles over sessions of the cosine of the query with next-positive and skips.

    The setting ``queries`` has the query of each model and variant, null without one.  A variant is
    shown with its own query, ``orig`` with those of all variants of its model.  Seeds are pooled.
    """
    rows = []
    for panel in panels_of(given["cosines"]):
        by_variant = {keys["variant"]: (keys, paths) for keys, paths in panel}
        of_model = given.settings["queries"][panel[0][0]["model"]]
        for query in QUERIES:
            trained = [variant for variant in by_variant if of_model[variant] == query]
            shown = (
                [variant for variant in by_variant if variant == REFERENCE or variant in trained]
                if trained
                else []
            )
            for variant in shown:
                keys, paths = by_variant[variant]
                for to, column in (
                    ("next-positive", f"{query}_target"),
                    ("skips", f"{query}_skips"),
                ):
                    values = np.concatenate(
                        [
                            read_artifact("cosines", path, [column])[column].drop_null().to_numpy()
                            for path in paths
                        ]
                    )
                    if len(values):
                        low, median, high = np.quantile(
                            values.astype(np.float64), [0.25, 0.5, 0.75]
                        )
                        shared = named(given, keys) | {"query": query, "to": to}
                        rows.append(
                            shared | {"low": low, "median": median, "high": high, "n": len(values)}
                        )
    return rows


def draw(frame: pl.DataFrame) -> Figure:
    """One panel per data set, split and model; one row per query and variant."""
    rows = frame.select("query", "variant").unique(maintain_order=True).rows()
    rows.sort(key=lambda row: (QUERIES.index(row[0]), row[1] != REFERENCE))
    styles = dict(zip(("next-positive", "skips"), PALETTE[1:3], strict=True))
    plot, axes, panels = data_by_model(
        frame, row_height=1.0 + 0.34 * len(rows), sharex=True, sharey=True
    )
    for axis, panel in panels:
        axis.axvline(0, color="#777777", linewidth=0.9)
        for (to,), series in by(panel, "to"):
            above = 0.14 if to == "next-positive" else -0.14
            height = [
                len(rows) - 1 - rows.index(row) + above
                for row in series.select("query", "variant").rows()
            ]
            spread = interval_lengths(series, "median", "low", "high")
            points(
                axis, series["median"], height, styles[to], xerr=spread, linestyle="none", label=to
            )
        axis.set_ylim(-0.6, len(rows) - 0.4)
        axis.grid(axis="x", **GRID)
    for axis in axes[:, 0]:
        axis.set_yticks(range(len(rows)), [f"{query}: {variant}" for query, variant in rows[::-1]])
    label(axes, "cosine with the query", "")
    return plot
