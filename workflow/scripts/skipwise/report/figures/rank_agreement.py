"""Whether models keep their place in another split and among other candidates: the place of each
model and variant by HR@10, 1 is the best, a line for each. Lines that cross change place; whether
an order is told is in the table split_agreement. The title of a panel says whether its data are
simulated.
"""

import polars as pl
import pyarrow as pa
from matplotlib.figure import Figure

from skipwise.core.schemas import required
from skipwise.report.drawing import GRID, columns_of, grid, parts_of, styles_of
from skipwise.report.write import Given

NEEDS = ("hr_ndcg",)
TARGET = "answer"
GIGABYTES = 1
MINUTES = 10
# place is that of the mean by HR@10 among the models of a data set, split and candidate set.
COLUMNS = columns_of(
    required("candidates", pa.string()),
    required("place", pa.int64()),
    pa.field("hr_10", pa.float64()),
)


def numbers(given: Given) -> list[dict]:
    """One row per model, variant, split and candidate set that all of its data set have."""
    frame = pl.read_parquet(given["hr_ndcg"])
    names, measured = ("dataset", "model", "variant"), ("dataset", "split", "candidates")
    in_all = pl.struct(measured).n_unique().over(names) == (
        pl.struct(measured).n_unique().over("dataset")
    )
    kept = frame.filter(in_all)
    place = pl.col("hr_10").rank("ordinal", descending=True).over(measured).cast(pl.Int64)
    return kept.with_columns(place=place).select(COLUMNS.schema.names).to_dicts()


def draw(frame: pl.DataFrame) -> Figure:
    """One panel per data set; splits and candidates from left to right, places from the top."""
    frame = frame.with_columns(at=pl.concat_str("split", "candidates", separator="\n"))
    panels, styles = parts_of(frame, "dataset"), styles_of(frame["model"])
    ticks = frame["at"].unique(maintain_order=True).to_list()
    plot, axes = grid(
        1,
        len(panels),
        width=1.5 + (1.6 + 0.75 * len(ticks)) * len(panels),
        height=1.6 + 0.2 * max(frame["place"].to_list()),
    )
    for axis, panel in zip(axes[0], panels, strict=True):
        for line in parts_of(panel, "model", "variant"):
            style = styles[line["model"][0]]
            at = [ticks.index(name) for name in line["at"]]
            axis.plot(
                at, line["place"], **style.look, linewidth=1, markersize=4, label=line["model"][0]
            )
            axis.annotate(
                f"{line['model'][0]} {line['variant'][0]}",
                (at[-1], line["place"][-1]),
                xytext=(5, 0),
                textcoords="offset points",
                fontsize=7,
                va="center",
            )
        dataset, data = panel.select("dataset", "data").row(0)
        axis.set_title(f"{dataset}\n({data} data)")
        axis.set_xticks(range(len(ticks)), ticks)
        axis.set_xlim(-0.3, len(ticks) + 0.9)
        axis.invert_yaxis()
        axis.set_ylabel("place by HR@10")
        axis.grid(axis="y", **GRID)
    return plot
