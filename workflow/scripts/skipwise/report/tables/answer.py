"""What are skips worth on each data set, in one sentence: the best model that uses labels of skips,
in any way, against the best that sees none. Both are chosen by validation NDCG@10 among all models
and variants of the run, and compared on the same test sessions. With fewer than three seeds of a
model that trains at random nothing is told. On simulated listeners the sentence is about the
simulation.
"""

from collections.abc import Iterator
from typing import NamedTuple

import pyarrow as pa

from skipwise.core.artifacts import read_json
from skipwise.core.paths import hive_keys
from skipwise.core.schemas import required, rows_of
from skipwise.evaluation.comparisons import Intervals, RankedRuns, compared, headlines, mean_measure
from skipwise.evaluation.intervals import LEAST_SEEDS
from skipwise.report import variants
from skipwise.report.columns import Column
from skipwise.report.write import Given

NEEDS = ("ranks", "run", "split")
SETTINGS = ("simulated", "intervals", "model_registry")
CATEGORY = "1 Findings"
GIGABYTES = 4
MINUTES = 60
TITLE = "What skips are worth here"
# One row per data set and split; reference is the best model that sees no label.
COLUMNS = rows_of(
    *(required(name, pa.string()) for name in ("dataset", "data", "split", "candidates")),
    *(required(name, pa.string()) for name in ("answer", "with_skips", "without")),
    *(
        pa.field(name, pa.float64())
        for name in ("reference_value", "value", "difference", "difference_low", "difference_high")
    ),
    *(pa.field(name, pa.float64()) for name in ("p", "detectable")),
    required("deciding", pa.int64()),
    required("sessions", pa.int64()),
    required("seeds", pa.string()),
    required("sentence", pa.string()),
)
EXPLAINS = {
    "answer": Column("answer", "Whether the difference is told from 0, and to which side."),
    "with_skips": Column("best with skips", "By validation, of those that use labels of skips."),
    "without": Column("best without", "By validation, of those that see no label."),
    "sentence": Column("in words", "The row as a sentence."),
}
NOTE = (
    "HR@10 among the candidates of the row, on the same test sessions, with the interval over "
    "clusters of sessions and over seeds. detectable: the smallest difference that this run shows "
    "with power 0.8. Each row asks one question of its data set, so no p is corrected."
)
WORTH, COST, NOTHING = "skips are worth something", "skips cost something", "practically nothing"
UNKNOWN = "cannot be told"


class Best(NamedTuple):
    """A variant with its mean NDCG@10 on validation data."""

    value: float
    model: str
    variant: str


def rows(given: Given) -> Iterator[dict]:
    """One row per data set and split that has a model of either kind."""
    of_heads = headlines(given["split"])
    runs = RankedRuns(given["ranks"])
    intervals = Intervals(**given.settings["intervals"])
    for (dataset, split), kinds in _best(given["run"]).items():
        if len(kinds) < 2:
            continue
        ours, other = kinds[True], kinds[False]
        keys = {"dataset": dataset, "data": given.source(dataset), "split": split}
        candidates = of_heads[dataset, split]
        one, two = (runs[dataset, split, best.model, best.variant] for best in (ours, other))
        row = compared(mean_measure("hr", 10, candidates), one, two, intervals)
        by_chance = {ours.model, other.model} - variants.without_chance(given)
        row |= keys | {
            "candidates": candidates,
            "with_skips": f"{ours.model} {ours.variant}",
            "without": f"{other.model} {other.variant}",
        }
        row["answer"] = _answer(row, intervals, few=bool(by_chance) and _few(row["seeds"]))
        yield row | {"sentence": _sentence(row, intervals)}


def uses_labels(settings: dict) -> bool:
    """Whether a model of these settings sees labels of skips: by its way, in its targets, or in how
    it counts plays.
    """
    return (
        settings.get("way") is not None
        or settings.get("targets", "next") != "next"
        or settings.get("skips", "preferred") != "preferred"
    )


def _best(runs: list[str]) -> dict[tuple[str, str], dict[bool, Best]]:
    """By data set and split, the best variant with labels (True) and the best without; controls
    with wrong labels are left out.
    """
    values: dict[tuple[str, str, str, str], list[float]] = {}
    labels: dict[tuple[str, str, str, str], bool] = {}
    for path in runs:
        keys, run = hive_keys(path), read_json(path)
        if run["valid_ndcg_10"] is None or run["settings"].get("labels", "right") != "right":
            continue
        key = (keys["dataset"], keys["split"], keys["model"], keys["variant"])
        values.setdefault(key, []).append(run["valid_ndcg_10"])
        labels[key] = uses_labels(run["settings"])
    found: dict[tuple[str, str], dict[bool, Best]] = {}
    for (dataset, split, model, variant), of_seeds in values.items():
        best = Best(sum(of_seeds) / len(of_seeds), model, variant)
        kinds = found.setdefault((dataset, split), {})
        kind = labels[dataset, split, model, variant]
        if kind not in kinds or best.value > kinds[kind].value:
            kinds[kind] = best
    return found


def _few(seeds: str) -> bool:
    return len(seeds.split()) < LEAST_SEEDS


def _answer(row: dict, intervals: Intervals, *, few: bool) -> str:
    low, high, practically = row["difference_low"], row["difference_high"], intervals.equivalence
    if few:
        return f"{UNKNOWN}: fewer than {LEAST_SEEDS} seeds"
    if low is None or row["p"] is None:
        return f"{UNKNOWN}: too few sessions differ"
    if -practically < low and high < practically:
        return NOTHING
    if row["p"] < 1 - intervals.level and (low > 0 or high < 0):
        return WORTH if low > 0 else COST
    return UNKNOWN


def _sentence(row: dict, intervals: Intervals) -> str:
    low, high = (row[f"difference_{end}"] for end in ("low", "high"))
    interval = "" if low is None else f" ({_signed(low)} to {_signed(high)})"
    ending = ""
    if row["answer"].startswith(UNKNOWN) and row["detectable"] is not None:
        ending = f"; a difference of {row['detectable']:.3f} would have shown"
    elif row["answer"] == NOTHING:
        ending = f" (within ±{intervals.equivalence:g})"
    return (
        f"{row['dataset']} ({row['data']} data, split {row['split']}, {row['sessions']:,} test "
        f"sessions, seeds {row['seeds']}): the best use of skips, {row['with_skips']}, has an "
        f"HR@10 of {row['value']:.3f}, the best without labels, {row['without']}, "
        f"{row['reference_value']:.3f}: {_signed(row['difference'])}{interval}. In short: "
        f"{row['answer']}{ending}."
    )


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−")
