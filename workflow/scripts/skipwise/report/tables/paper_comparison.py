"""What the papers print, quoted with its source, and this run beside it in columns of its own. The
papers rank among sampled candidates, so *here, sampled* is the counterpart. Levels depend on data,
sample and candidates and are not expected to agree; what can be compared is the sign and order of
the changes. Rows whose data set is simulated only show the form of the comparison.
"""

import polars as pl
import pyarrow as pa

from skipwise.core.schemas import required, rows_of
from skipwise.evaluation.comparisons import REFERENCE
from skipwise.report.write import Given

NEEDS = ("hr_ndcg", "recsys24_main", "skip_downranking", "papers")
SETTINGS = ("forms",)
GIGABYTES = 4
MINUTES = 60
TITLE = "What the papers print, and this run"
NOTE = (
    "paper: quoted from its source; other data and other sampled candidates than ours. ours: "
    "this run, on the data "
    "set of the same raw form; a simulated one says nothing about real listeners. P2's MAP@10 "
    "breaks a bound that must "
    "hold (docs/protocol.md), and how its skip MRR was computed is not published."
)
# One row per cell of a table of the papers, and what this run has in its place, in columns of its
# own.
COLUMNS = rows_of(
    *(
        required(name, pa.string())
        for name in ("table", "form", "model", "variant", "metric", "source")
    ),
    required("paper", pa.float64()),
    pa.field("paper_relative_change", pa.float64()),
    pa.field("dataset", pa.string()),
    pa.field("data", pa.string()),
    pa.field("split", pa.string()),
    *(
        pa.field(f"ours_{candidates}{end}", pa.float64())
        for candidates in ("sampled", "full", "new")
        for end in ("", "_low", "_high", "_relative_change")
    ),
    pa.field("sessions", pa.int64()),
    pa.field("seeds", pa.string()),
)


def rows(given: Given) -> list[dict]:
    """Every cell of the papers' tables, and next to it that of a data set of the same raw form.

    The papers rank among sampled candidates, so ``ours_sampled`` is the counterpart.  Null if this
    run has none.
    """
    tables = ("hr_ndcg", "recsys24_main", "skip_downranking")
    ours = _our_cells(*(pl.read_parquet(given[table]) for table in tables))
    papers = pl.read_csv(given["papers"])
    forms = given.settings["forms"]
    place = ("table", "form", "model", "variant", "metric", "k")
    printed = {tuple(cell[name] for name in place): cell["value"] for cell in papers.to_dicts()}
    found = []
    for cell in papers.to_dicts():
        metric = f"{cell['metric']}_{cell['k']}"
        reference = printed[tuple((cell | {"variant": REFERENCE})[name] for name in place)]
        row = {name: cell[name] for name in ("table", "form", "model", "variant", "source")}
        row |= {"metric": metric, "paper": cell["value"]}
        row["paper_relative_change"] = (
            None if cell["variant"] == REFERENCE else cell["value"] / reference - 1
        )
        places = [
            key
            for key in ours
            if forms.get(key[0]) == cell["form"]
            and key[2:] == (cell["model"], cell["variant"], metric)
        ]
        found += [row | ours[place] for place in places] or [row]
    return found


def _our_cells(hr_ndcg: pl.DataFrame, *comparisons: pl.DataFrame) -> dict[tuple, dict]:
    """(data set, split, model, variant, metric) to the columns of this run."""
    cells: dict[tuple, dict] = {}

    def cell(row: dict, metric: str) -> dict:
        labels = {name: row[name] for name in ("dataset", "data", "split", "sessions", "seeds")}
        return cells.setdefault(
            (row["dataset"], row["split"], row["model"], row["variant"], metric), labels
        )

    metrics = [name.removesuffix("_low") for name in hr_ndcg.columns if name.endswith("_low")]
    for row in hr_ndcg.to_dicts():
        for metric in metrics:
            values = {
                f"ours_{row['candidates']}{end}": row[f"{metric}{end}"]
                for end in ("", "_low", "_high")
            }
            cell(row, metric).update(values)
    against_orig = pl.col("reference") == REFERENCE
    for row in (row for table in comparisons for row in table.filter(against_orig).to_dicts()):
        name = f"ours_{row['candidates']}"
        cell(row, row["metric"]).update(
            {f"{name}_relative_change": row["relative_change"], name: row["value"]}
        )
        cell(row | {"variant": REFERENCE}, row["metric"]).setdefault(name, row["reference_value"])
    return cells
