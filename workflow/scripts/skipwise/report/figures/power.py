"""The smallest gain in HR@10 that a study detects in four of five tries, by its test sessions and
seeds, before Holm's correction. The curves are those of the variant with the largest measured gain
or loss, the dotted line: being the largest of many it is larger than the true one. The models stay
the same; only the number of test sessions and seeds changes.
"""

from collections import defaultdict

import polars as pl
import pyarrow as pa
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from skipwise.core.schemas import required
from skipwise.evaluation.comparisons import Intervals
from skipwise.report.drawing import (
    GRID,
    PALETTE,
    columns_of,
    grid,
    parts_of,
    title_of,
)
from skipwise.report.variants import STUDY_SEEDS, gains
from skipwise.report.write import Given

NEEDS = ("ranks", "split")
SETTINGS = ("simulated", "references", "intervals", "model_registry")
TARGET = "answer"
GIGABYTES = 4
MINUTES = 60
# Sessions of a study, by those of the run.
TIMES = tuple(2.0**power for power in range(-2, 8))
# The model and variant are those of the largest gain or loss, ``gain``.
COLUMNS = columns_of(
    required("seeds", pa.int32()),
    required("sessions", pa.int64()),
    required("detectable", pa.float64()),
    required("gain", pa.float64()),
)


def numbers(given: Given) -> list[dict]:
    """One row per data set, split, number of seeds and number of test sessions."""
    intervals = Intervals(**given.settings["intervals"])
    parts = defaultdict(list)
    for keys, sessions, found in gains(given, intervals):
        parts[keys["dataset"], keys["split"]].append((keys, sessions, found))
    return [
        {name: largest[name] for name in ("dataset", "data", "split", "model", "variant")}
        | {
            "seeds": seeds,
            "sessions": round(times * sessions),
            "detectable": gain.resized(times, seeds).detectable(intervals.level),
            "gain": gain.value,
        }
        for part in parts.values()
        for largest, sessions, gain in [max(part, key=lambda row: abs(row[2].value))]
        for seeds in STUDY_SEEDS
        for times in TIMES
    ]


def draw(frame: pl.DataFrame) -> Figure:
    """One panel per data set and split, one curve per number of seeds, on logarithmic axes."""
    panels = parts_of(frame, "dataset", "split")
    plot, axes = grid(1, len(panels), width=1 + 2.6 * len(panels), height=3.4, sharey=True)
    for axis, panel in zip(axes[0], panels, strict=True):
        for curve, style in zip(parts_of(panel, "seeds"), PALETTE[1:], strict=False):
            label = f"{curve['seeds'][0]} seeds"
            axis.plot(
                curve["sessions"], curve["detectable"], **style.look, markersize=4, label=label
            )
        model, variant, gain = panel.select("model", "variant", "gain").row(0)
        axis.axhline(abs(gain), color="#777777", linestyle=":", linewidth=1.2)
        axis.annotate(
            f"{model} {variant}: {gain:+.3f}".replace("-", "−"),
            (0.98, abs(gain)),
            xycoords=("axes fraction", "data"),
            xytext=(0, 2),
            textcoords="offset points",
            horizontalalignment="right",
            fontsize=7,
        )
        axis.set_xscale("log")
        axis.set_yscale("log")
        axis.xaxis.set_major_formatter("{x:,.0f}")
        axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.yaxis.set_major_formatter("{x:g}")
        axis.yaxis.set_minor_formatter("")
        axis.set_title(title_of(panel))
        axis.set_xlabel("test sessions")
        axis.grid(**GRID)
    axes[0][0].set_ylabel("smallest gain in HR@10 that is detected")
    return plot
