"""Drawing a figure: svg with the same bytes for the same numbers, and these numbers as parquet.

A figure is a file in ``report/figures``.  Its docstring is the caption in the report.  It declares
``NEEDS``, ``SETTINGS`` and the like as a table does (report/write.py), and has ``COLUMNS``,
``numbers(given)``, the rows that it draws, and ``draw(frame)``, which draws them and nothing else.
Colour-blind readers and grey printers can distinguish all series.
"""

import math
from collections.abc import Iterator
from itertools import cycle
from typing import Any, NamedTuple, cast

import matplotlib
import numpy as np
import polars as pl
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from skipwise.core.artifacts import whole_file, write_artifact
from skipwise.core.paths import by_variant, hive_keys
from skipwise.core.registry import find
from skipwise.core.schemas import Artifact, required, rows_of
from skipwise.evaluation.comparisons import REFERENCE
from skipwise.report import words
from skipwise.report.write import Given

KEYS = ("dataset", "data", "split", "model", "variant")
# Panels in a row of a grid by model: what a page can show.
SIDE_BY_SIDE = 4


class Style(NamedTuple):
    """The look of a series: in colour all differ, in grey marker and line."""

    colour: str
    marker: str
    line: Any
    is_filled: bool = True

    @property
    def look(self) -> dict[str, Any]:
        """The properties of a line with markers."""
        return {
            "color": self.colour,
            "marker": self.marker,
            "linestyle": self.line,
            "markerfacecolor": self.colour if self.is_filled else "white",
        }


# Okabe & Ito's palette without its yellow, which is too light for a line, dark to light.
PALETTE = (
    Style("#000000", "o", "-"),
    Style("#0072B2", "s", "--"),
    Style("#D55E00", "D", "-."),
    Style("#E69F00", "^", ":"),
    Style("#009E73", "P", (0, (5, 1, 1, 1, 1, 1))),
    Style("#CC79A7", "X", (0, (8, 2))),
    Style("#56B4E9", "v", (0, (1, 3))),
)
# For more series than that: empty markers, then other ones.
_OTHER = [style._replace(marker=marker) for style, marker in zip(PALETTE, "*<>ph8d", strict=True)]
_STYLES = [
    style._replace(is_filled=is_filled)
    for styles in (PALETTE, _OTHER)
    for is_filled in (True, False)
    for style in styles
]
matplotlib.rcParams.update({"svg.hashsalt": "skipwise", "svg.fonttype": "none", "font.size": 9})
GRID: dict[str, Any] = {"color": "#dddddd", "linewidth": 0.7}


def parts_of(frame: pl.DataFrame, *keys: str) -> list[pl.DataFrame]:
    return frame.partition_by(*keys, maintain_order=True)


def by(frame: pl.DataFrame, *keys: str) -> list[tuple[tuple, pl.DataFrame]]:
    """The parts of a frame with their keys, the reference variant first."""
    parts = frame.partition_by(*keys, maintain_order=True, as_dict=True).items()
    return sorted(parts, key=lambda part: REFERENCE not in part[0])


def styles_of(names: pl.Series) -> dict:
    """A style for each name, in the order of the configuration but the reference first, the same in
    every panel.
    """
    return dict(
        zip(
            sorted(names.unique(maintain_order=True), key=lambda name: name != REFERENCE),
            cycle(_STYLES),
        )
    )


def title_of(panel: pl.DataFrame) -> str:
    """Data set, split unless it is the papers' own, and whether the data are simulated."""
    dataset, data, split = panel.select("dataset", "data", "split").row(0)
    return f"{dataset}{'' if split == 'paper' else f', {split} split'}\n({data} data)"


def grid(
    rows: int, columns: int, *, width: float, height: float, **shared
) -> tuple[Figure, np.ndarray]:
    """Axes (rows, columns)."""
    plot = Figure(figsize=(width, height), layout="constrained")
    axes = plot.subplots(rows, columns, squeeze=False, **shared)
    # A viewer's font may be wider than the one that was measured.
    cast(ConstrainedLayoutEngine, plot.get_layout_engine()).set(w_pad=0.1)
    for axis in axes.flat:
        axis.spines[["top", "right"]].set_visible(False)
        axis.set_axisbelow(True)
    return plot, axes


def nothing() -> Figure:
    """A figure that says that it is empty, for example where no model of the configuration is
    neural.
    """
    plot = Figure(figsize=(6, 1))
    plot.text(
        0.5,
        0.5,
        "No run of this configuration has numbers for this figure.",
        ha="center",
        va="center",
    )
    return plot


def data_by_model(
    frame: pl.DataFrame, *, row_height: float = 2.5, column_width: float = 2.6, **shared
) -> tuple[Figure, np.ndarray, list[tuple[Axes, pl.DataFrame]]]:
    """A panel for each data set, split and model: the figure, its grid of axes, and each axis with
    its part of the frame.  A row has at most ``SIDE_BY_SIDE`` panels, all of one data set and
    split.
    """
    rows = []
    for part in parts_of(frame, "dataset", "split"):
        models = parts_of(part, "model")
        rows += [models[at : at + SIDE_BY_SIDE] for at in range(0, len(models), SIDE_BY_SIDE)]
    columns = max(map(len, rows))
    plot, axes = grid(
        len(rows),
        columns,
        width=1.6 + column_width * columns,
        height=0.9 + row_height * len(rows),
        **shared,
    )
    panels = []
    for line, parts in zip(axes, rows, strict=True):
        for axis, panel in zip(line, parts, strict=False):
            axis.set_title(f"{panel['model'][0]}, {title_of(panel)}", fontsize=9)
            panels.append((axis, panel))
        for axis in line[len(parts) :]:
            axis.remove()
    return plot, axes, panels


def label(axes: np.ndarray, x: str, y: str) -> None:
    """Labels at the left and the bottom of a grid, from which axes may be removed."""
    for column in axes.T:
        lowest = [axis for axis in column if axis.figure][-1]
        lowest.set_xlabel(x)
        lowest.tick_params(labelbottom=True)
    for axis in axes[:, 0]:
        axis.set_ylabel(y)


def points(axis: Axes, x, y, style: Style, **more) -> None:
    """Points with their intervals."""
    sizes = {"markersize": 5, "linewidth": 1, "elinewidth": 1.2, "capsize": 2}
    axis.errorbar(x, y, **(style.look | sizes | more))


def separate_models(axes: np.ndarray, model_of_row: list[str]) -> None:
    """A line between the rows of one model and the next, from the top."""
    for axis in axes:
        axis.set_ylim(-0.6, len(model_of_row) - 0.4)
        for i in range(1, len(model_of_row)):
            if model_of_row[i] != model_of_row[i - 1]:
                axis.axhline(len(model_of_row) - i - 0.5, **GRID)


def interval_lengths(series: pl.DataFrame, value: str, low: str, high: str) -> np.ndarray:
    """(2, n) lengths of the interval below and above the value."""
    return np.stack([series[value] - series[low], series[high] - series[value]])


def plot_figure(name: str, given: Given) -> None:
    """Make a figure: its numbers and its svg, to ``given.outputs``."""
    figure = find("figure", name)
    table = pa.Table.from_pylist(list(figure.numbers(given)), schema=figure.COLUMNS.schema)
    write_artifact(table, figure.COLUMNS, given.outputs["parquet"])
    frame = pl.DataFrame(table)
    variants = ("variant", "reference", "control_of")
    named = pl.col([name for name in variants if name in frame.columns])
    frame = frame.with_columns(named.replace({name: words.label(name) for name in words.VARIANTS}))
    _save(nothing() if frame.is_empty() else figure.draw(frame), given.outputs["svg"])


def columns_of(*fields: pa.Field) -> Artifact:
    """What a figure draws: the keys of a model and variant, and ``fields``."""
    return rows_of(*(required(key, pa.string()) for key in KEYS), *fields)


def _save(plot: Figure, path: str) -> None:
    """Add a legend outside, where it hides no value, and write the svg."""
    entries: dict[str, Any] = {}
    for axis in plot.axes:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    if entries:
        width = 0.6 + 0.07 * max(map(len, entries))  # of an entry, in inches
        rows = math.ceil(len(entries) / max(1, plot.get_figwidth() // width))
        columns = math.ceil(len(entries) / rows)
        # The panels keep their height where the legend has many rows.
        plot.set_figheight(plot.get_figheight() + 0.19 * (rows - 1))
        plot.legend(
            list(entries.values()),
            list(entries),
            loc="outside lower center",
            ncols=columns,
            frameon=False,
        )
    with whole_file(path) as partial:
        plot.savefig(partial, format="svg", metadata={"Date": None, "Creator": "skipwise"})


def panels_of(paths: list[str]) -> Iterator[list[tuple[dict[str, str], list[str]]]]:
    """For each data set, split and model: keys and paths of each of its variants, a path a seed."""
    panels: dict[tuple, list[tuple[dict[str, str], list[str]]]] = {}
    for key, of_variant in by_variant(paths).items():
        panels.setdefault(key[:3], []).append((hive_keys(of_variant[0]), of_variant))
    yield from panels.values()


def named(given: Given, keys: dict[str, str]) -> dict[str, str]:
    return {"data": given.source(keys["dataset"])} | {
        key: keys[key] for key in KEYS if key != "data"
    }
