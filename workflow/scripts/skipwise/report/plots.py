"""Figures: svg with the same bytes for the same numbers, colours that colour-blind readers and grey
printers can tell apart.

Every figure has its numbers in a parquet file beside it, and is drawn from them and nothing else.
"""

import math
from itertools import cycle
from typing import NamedTuple

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from skipwise.core.artifacts import whole_file, write_artifact
from skipwise.core.schemas import QUERIES
from skipwise.evaluation.comparisons import REFERENCE
from skipwise.report import numbers as figures


class Style(NamedTuple):
    """What tells one series from another: in colour by all three, in grey by marker and line."""

    colour: str
    marker: str
    line: str


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
matplotlib.rcParams.update({"svg.hashsalt": "skipwise", "svg.fonttype": "none", "font.size": 9})
GRID = {"color": "#dddddd", "linewidth": 0.7}


def plot_hit_rates(table: str, outputs: dict[str, str]) -> None:
    """HR@k of every model and variant on the full catalogue with its interval: a panel for each
    data set and split.

    ``table`` is ``hr_ndcg.parquet``; ``outputs`` has the paths of ``svg`` and ``parquet``, as in
    all functions here.
    """
    frame = _written("hit_rates", figures.hit_rates(table), outputs)
    panels = _split(frame, "dataset", "split")
    frame = frame.with_columns(row=pl.concat_str("model", "variant", separator=" "))
    rows = frame["row"].unique(maintain_order=True).to_list()
    styles = _styles(frame["k"])
    plot, axes = _grid(
        1, len(panels), width=2.2 + 2.9 * len(panels), height=1.3 + 0.32 * len(rows), sharey=True
    )
    for axis, panel in zip(axes[0], panels, strict=True):
        for k, style in styles.items():
            series = panel.filter(k=k)
            names = series.select(pl.concat_str("model", "variant", separator=" ")).to_series()
            height = [len(rows) - 1 - rows.index(name) for name in names]
            spread = _spread(series, "hr", "hr_low", "hr_high")
            _points(
                axis, series["hr"], height, style, xerr=spread, linestyle="none", label=f"HR@{k}"
            )
        axis.set_title(_title(panel))
        axis.set_xlabel("hit rate, full catalogue")
        axis.set_xlim(left=0)
        axis.grid(axis="x", **GRID)
    _separate_models(axes[0], frame.unique("row", maintain_order=True)["model"].to_list())
    axes[0][0].set_yticks(range(len(rows)), rows[::-1])
    _finish(plot, outputs)


def _separate_models(axes: np.ndarray, model_of_row: list[str]) -> None:
    """A line between the rows of one model and the next, from the top."""
    for axis in axes:
        axis.set_ylim(-0.6, len(model_of_row) - 0.4)
        for i in range(1, len(model_of_row)):
            if model_of_row[i] != model_of_row[i - 1]:
                axis.axhline(len(model_of_row) - i - 0.5, **GRID)


def plot_gain_by_skip_share(table: str, outputs: dict[str, str]) -> None:
    """What each variant gains in HR@10 by quartile of the skip share, with its interval: a panel
    for each data set and split.

    ``table`` is ``by_skip_share.parquet``.
    """
    frame = _written("gain_by_skip_share", figures.gain_by_skip_share(table), outputs)
    if frame.is_empty():
        return _finish(_nothing(), outputs)
    panels = _split(frame, "dataset", "split")
    # A model has a colour and a marker, a variant a line and a full or empty marker.
    models, variants = _styles(frame["model"]), _styles(frame["variant"])
    lines = frame.select("model", "variant").unique(maintain_order=True).rows()
    plot, axes = _grid(
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
            _points(
                axis,
                series["quartile"] + beside,
                series["difference"],
                style,
                yerr=_spread(series, "difference", "difference_low", "difference_high"),
                markerfacecolor="white" if list(variants).index(variant) % 2 else style.colour,
                label=f"{model} {variant}",
            )
        shares = panel.unique("quartile", maintain_order=True).sort("quartile")
        labels = [f"{row['share_low']:.0%}–{row['share_high']:.0%}" for row in shares.to_dicts()]
        axis.set_xticks(shares["quartile"].to_list(), labels)
        axis.set_title(_title(panel))
        axis.set_xlabel("share of skips in the context, by quartile")
        axis.grid(axis="y", **GRID)
    axes[0][0].set_ylabel("HR@10, variant − orig (above 0: better)")
    _finish(plot, outputs)


def plot_rank_distribution(
    ranks: list[str], outputs: dict[str, str], *, simulated: list[str]
) -> None:
    """ECDF of the ranks of targets and of unseen skips by variant: a panel for each data set, split
    and neural model.
    """
    frame = _written(
        "rank_distribution", figures.rank_distribution(ranks, simulated=simulated), outputs
    )
    if frame.is_empty():
        return _finish(_nothing(), outputs)
    styles = _styles(frame["variant"])
    plot, axes, panels = _data_by_model(frame, sharey=True)
    for axis, panel in panels:
        for i, ((variant, tracks), series) in enumerate(_by(panel, "variant", "tracks")):
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
    _label(axes, "rank in the full catalogue", "share with at most this rank")
    _finish(plot, outputs)


def plot_learning_curves(
    histories: list[str], outputs: dict[str, str], *, simulated: list[str]
) -> None:
    """Validation NDCG@10 by epoch, a line a run, the best epoch marked: a panel for each data set,
    split and neural model.
    """
    frame = _written(
        "learning_curves", figures.learning_curves(histories, simulated=simulated), outputs
    )
    if frame.is_empty():
        return _finish(_nothing(), outputs)
    styles = _styles(frame["variant"])
    plot, axes, panels = _data_by_model(frame, sharey="row")
    for axis, panel in panels:
        for (variant, _), run in _by(panel, "variant", "seed"):
            style = styles[variant]
            axis.plot(
                run["epoch"],
                run["valid_ndcg_10"],
                color=style.colour,
                linestyle=style.line,
                linewidth=1.0,
                marker=style.marker,
                markersize=6,
                markevery=np.flatnonzero(run["best"]).tolist(),
                label=variant,
            )
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.grid(**GRID)
    _label(axes, "epoch (marked: the best)", "validation NDCG@10, higher: better")
    _finish(plot, outputs)


def plot_query_cosines(
    cosines: list[str],
    outputs: dict[str, str],
    *,
    queries: dict[str, dict[str, str | None]],
    simulated: list[str],
) -> None:
    """Cosines of the query with next-positive and skips without the contrastive term and with it,
    median and quartiles.

    A panel for each data set, split and neural model; ``queries`` as in
    :func:`skipwise.report.numbers.query_cosines`.
    """
    frame = _written(
        "query_cosines",
        figures.query_cosines(cosines, queries=queries, simulated=simulated),
        outputs,
    )
    if frame.is_empty():
        return _finish(_nothing(), outputs)
    rows = frame.select("query", "variant").unique(maintain_order=True).rows()
    rows.sort(key=lambda row: (QUERIES.index(row[0]), row[1] != REFERENCE))
    styles = dict(zip(("next-positive", "skips"), PALETTE[1:3], strict=True))
    plot, axes, panels = _data_by_model(
        frame, row_height=1.0 + 0.34 * len(rows), sharex=True, sharey=True
    )
    for axis, panel in panels:
        axis.axvline(0, color="#777777", linewidth=0.9)
        for (to,), series in _by(panel, "to"):
            above = 0.14 if to == "next-positive" else -0.14
            height = [
                len(rows) - 1 - rows.index(row) + above
                for row in series.select("query", "variant").rows()
            ]
            spread = _spread(series, "median", "low", "high")
            _points(
                axis, series["median"], height, styles[to], xerr=spread, linestyle="none", label=to
            )
        axis.set_ylim(-0.6, len(rows) - 0.4)
        axis.grid(axis="x", **GRID)
    for axis in axes[:, 0]:
        axis.set_yticks(range(len(rows)), [f"{query}: {variant}" for query, variant in rows[::-1]])
    _label(axes, "cosine with the query", "")
    _finish(plot, outputs)


def _written(name: str, frame: pl.DataFrame, outputs: dict[str, str]) -> pl.DataFrame:
    write_artifact(frame.to_arrow(), name, outputs["parquet"])
    return frame


def _split(frame: pl.DataFrame, *keys: str) -> list[pl.DataFrame]:
    return frame.partition_by(*keys, maintain_order=True)


def _by(frame: pl.DataFrame, *keys: str) -> list[tuple[tuple, pl.DataFrame]]:
    """The parts of a frame with their keys, the reference variant first."""
    parts = frame.partition_by(*keys, maintain_order=True, as_dict=True).items()
    return sorted(parts, key=lambda part: REFERENCE not in part[0])


def _styles(names: pl.Series) -> dict:
    """A style for each name, in the order of the configuration but the reference first, the same in
    every panel.
    """
    return dict(
        zip(
            sorted(names.unique(maintain_order=True), key=lambda name: name != REFERENCE),
            cycle(PALETTE),
        )
    )


def _title(panel: pl.DataFrame) -> str:
    """Data set, split unless it is the papers' own, and whether the data are simulated."""
    dataset, data, split = panel.select("dataset", "data", "split").row(0)
    return f"{dataset}{'' if split == 'paper' else f', {split} split'}\n({data} data)"


def _grid(
    rows: int, columns: int, *, width: float, height: float, **shared
) -> tuple[Figure, np.ndarray]:
    """Axes (rows, columns)."""
    plot, axes = plt.subplots(
        rows, columns, figsize=(width, height), squeeze=False, layout="constrained", **shared
    )
    plot.get_layout_engine().set(
        w_pad=0.1
    )  # a viewer's font may be wider than the one that was measured
    for axis in axes.flat:
        axis.spines[["top", "right"]].set_visible(False)
        axis.set_axisbelow(True)
    return plot, axes


def _nothing() -> Figure:
    """A figure that says that it is empty, for example where no model of the configuration is
    neural.
    """
    plot = plt.figure(figsize=(6, 1))
    plot.text(
        0.5,
        0.5,
        "No run of this configuration has numbers for this figure.",
        ha="center",
        va="center",
    )
    return plot


def _data_by_model(
    frame: pl.DataFrame, *, row_height: float = 2.5, **shared
) -> tuple[Figure, np.ndarray, list[tuple[Axes, pl.DataFrame]]]:
    """A grid with a row for each data set and split and a column for each model, and each axis with
    its part of the frame.
    """
    rows = frame.select("dataset", "split").unique(maintain_order=True).rows()
    models = frame["model"].unique(maintain_order=True).to_list()
    plot, axes = _grid(
        len(rows),
        len(models),
        width=1.6 + 2.6 * len(models),
        height=0.9 + row_height * len(rows),
        **shared,
    )
    panels = []
    for panel in _split(frame, "dataset", "split", "model"):
        dataset, split, model = panel.select("dataset", "split", "model").row(0)
        axis = axes[rows.index((dataset, split)), models.index(model)]
        axis.set_title(f"{model}, {_title(panel)}", fontsize=9)
        panels.append((axis, panel))
    return plot, axes, panels


def _label(axes: np.ndarray, x: str, y: str) -> None:
    """Labels at the left and the bottom of a grid."""
    for axis in axes[-1]:
        axis.set_xlabel(x)
    for axis in axes[:, 0]:
        axis.set_ylabel(y)


def _points(axis: Axes, x, y, style: Style, **more) -> None:
    """Points with their intervals."""
    look = {
        "color": style.colour,
        "marker": style.marker,
        "linestyle": style.line,
        "markersize": 5,
        "linewidth": 1,
    }
    axis.errorbar(x, y, **(look | {"elinewidth": 1.2, "capsize": 2} | more))


def _spread(series: pl.DataFrame, value: str, low: str, high: str) -> np.ndarray:
    """(2, n) lengths of the interval below and above the value."""
    return np.stack([series[value] - series[low], series[high] - series[value]])


def _finish(plot: Figure, outputs: dict[str, str]) -> None:
    """A legend outside, where it hides no value, and the file."""
    entries = {}
    for axis in plot.axes:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    if entries:
        width = 0.6 + 0.07 * max(map(len, entries))  # of an entry, in inches
        rows = math.ceil(len(entries) / max(1, plot.get_figwidth() // width))
        columns = math.ceil(len(entries) / rows)
        plot.legend(
            entries.values(),
            entries.keys(),
            loc="outside lower center",
            ncols=columns,
            frameon=False,
        )
    with whole_file(outputs["svg"]) as partial:
        plot.savefig(partial, format="svg", metadata={"Date": None, "Creator": "skipwise"})
    plt.close(plot)
