"""Figures: svg with the same bytes for the same numbers, colours that colour-blind readers and grey printers can tell apart."""

from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import polars as pl

from skipwise.artifacts import whole_file

# Okabe & Ito's palette, dark to light, each with a marker of its own.
_STYLES = {1: ("#000000", "o"), 5: ("#0072B2", "s"), 10: ("#D55E00", "D"), 20: ("#E69F00", "^")}
_SPARE = (("#56B4E9", "v"), ("#009E73", "P"), ("#CC79A7", "X"))


def plot_hit_rates(table: str | Path, figure: str | Path) -> None:
    """HR@k of every model and variant on the full catalogue with its interval: a panel for each data set and split."""
    frame = pl.read_parquet(table).filter(pl.col("candidates") == "full")
    cutoffs = [int(name.removeprefix("hr_")) for name in frame.columns if name.startswith("hr_") and name[3:].isdigit()]
    panels = frame.partition_by("dataset", "split", maintain_order=True)
    rows = frame.select(pl.concat_str("model", "variant", separator=" ")).to_series().unique(maintain_order=True).to_list()
    matplotlib.rcParams.update({"svg.hashsalt": "skipwise", "svg.fonttype": "none", "font.size": 9})
    plot, axes = plt.subplots(
        1,
        len(panels),
        figsize=(2.2 + 2.9 * len(panels), 1.3 + 0.32 * len(rows)),
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for axis, panel in zip(axes[0], panels, strict=True):
        names = panel.select(pl.concat_str("model", "variant", separator=" ")).to_series().to_list()
        height = [len(rows) - 1 - rows.index(name) for name in names]
        for i, k in enumerate(cutoffs):
            colour, marker = _STYLES.get(k, _SPARE[i % len(_SPARE)])
            value = panel[f"hr_{k}"].to_numpy()
            spread = [value - panel[f"hr_{k}_low"].to_numpy(), panel[f"hr_{k}_high"].to_numpy() - value]
            axis.errorbar(
                value,
                height,
                xerr=spread,
                fmt=marker,
                color=colour,
                markersize=5,
                elinewidth=1.2,
                capsize=2,
                label=f"HR@{k}",
            )
        split = "" if panel["split"][0] == "paper" else f", {panel['split'][0]} split"
        axis.set_title(f"{panel['dataset'][0]}{split}\n({panel['data'][0]} data)")
        axis.set_xlabel("hit rate, full catalogue")
        axis.set_xlim(left=0)
        axis.grid(axis="x", color="#dddddd", linewidth=0.7)
        axis.spines[["top", "right"]].set_visible(False)
        axis.set_axisbelow(True)
    axes[0][0].set_yticks(range(len(rows)), rows[::-1])
    # Outside, where it hides no value.
    plot.legend(*axes[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=len(cutoffs), frameon=False)
    with whole_file(figure) as partial:
        plot.savefig(partial, format="svg", metadata={"Date": None, "Creator": "skipwise"})
    plt.close(plot)
