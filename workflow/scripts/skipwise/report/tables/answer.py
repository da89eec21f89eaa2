"""What are skips worth on each data set, in one sentence: the best model that uses labels of skips,
in any way, against the best that sees none. Both are chosen by validation NDCG@10 among all models
and variants of the run, and compared on the same test sessions. Where they are two models, the
difference may be that of the models: so the better one must also be told from its own model's best
variant of the other side. A use of skips must also be told from its control, the same with shuffled
labels, those of its targets too: a model may gain by what it does with any labels. With fewer than
three seeds of a model that trains at random nothing is told. On simulated listeners the sentence is
about the simulation.
"""

from collections.abc import Iterator
from typing import NamedTuple

import pyarrow as pa

from skipwise.core import registry
from skipwise.core.artifacts import read_json
from skipwise.core.config import is_control_of
from skipwise.core.paths import hive_keys
from skipwise.core.schemas import required, rows_of
from skipwise.evaluation.comparisons import (
    Intervals,
    RankedRuns,
    compared,
    headlines,
    mean_measure,
)
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
_DIFFERENCE = ("difference", "difference_low", "difference_high")
# One row per data set and split; reference is the best model that sees no label.
COLUMNS = rows_of(
    *(required(name, pa.string()) for name in ("dataset", "data", "split", "candidates")),
    *(required(name, pa.string()) for name in ("answer", "with_skips", "without")),
    *(
        pa.field(name, pa.float64())
        for name in ("reference_value", "value", *_DIFFERENCE, "p", "detectable")
    ),
    required("within", pa.string()),
    *(pa.field(f"within_{name}", pa.float64()) for name in _DIFFERENCE),
    required("deciding", pa.int64()),
    required("sessions", pa.int64()),
    required("seeds", pa.string()),
    required("sentence", pa.string()),
)
EXPLAINS = {
    "answer": Column("answer", "Whether the difference is told from 0, and to which side."),
    "with_skips": Column(
        "best with skips", "By validation NDCG@10, of those that use labels of skips."
    ),
    "without": Column("best without", "By validation NDCG@10, of those that see no label."),
    "within": Column(
        "within a model", "The better one's model, with its best use of labels − without; or none."
    ),
    "within_difference": Column(
        "difference within", "Of these two, with its interval in brackets.", "{:+.3f}".format
    ),
    "sentence": Column("in words", "The row as a sentence."),
}
NOTE = (
    "HR@10 among the candidates of the row, on the same test sessions, with the interval over "
    "clusters of sessions and over seeds. detectable: the smallest difference that this run tells "
    "from 0 with power 0.8; skips are worth something if it is also told from its control. Each "
    "row asks one question of its data set, so no p is corrected."
)
WORTH, COST, NOTHING = "skips are worth something", "skips cost something", "practically nothing"
UNKNOWN = "cannot be told"
MODELS = f"{UNKNOWN}: the models may make the difference"
SHUFFLED = f"{UNKNOWN}: shuffled labels may gain as much"
UNTRIED = f"{UNKNOWN}: its control with shuffled labels did not run"
UNLEARNED = f"{UNKNOWN}: a training learned nothing"
UNTAUGHT = f"{UNKNOWN}: its control with shuffled labels learned nothing"
FEW = f"{UNKNOWN}: fewer than {LEAST_SEEDS} seeds"


class Best(NamedTuple):
    """A variant with its mean NDCG@10 on validation data."""

    value: float
    model: str
    variant: str
    # The first of the variants that are its control.
    control: str | None = None


def rows(given: Given) -> Iterator[dict]:
    """One row per data set and split that has a model of either kind."""
    of_heads = headlines(given["split"])
    runs = RankedRuns(given["ranks"], unlearned=variants.unlearned(given["run"]))
    for (dataset, split), (using, blind) in _by_validation(given["run"]).items():
        if using and blind:
            keys = {"dataset": dataset, "data": given.source(dataset), "split": split}
            keys["candidates"] = of_heads[dataset, split]
            yield keys | _row(given, runs, keys, using, blind)


def _row(given: Given, runs: RankedRuns, keys: dict, using: list[Best], blind: list[Best]) -> dict:
    """The best of those ``using`` labels against the best that is ``blind``, then both sides of the
    better one's model.
    """
    intervals = Intervals(**given.settings["intervals"])
    measure = mean_measure("hr", 10, keys["candidates"])
    fixed = variants.without_chance(given)

    def asked(ours: Best, other: Best) -> dict:
        one, two = (
            runs[keys["dataset"], keys["split"], best.model, best.variant] for best in (ours, other)
        )
        row = compared(measure, one, two, intervals)
        few = {ours.model, other.model} - fixed and len(row["seeds"].split()) < LEAST_SEEDS
        if not (one.learned and two.learned):
            return row | {"answer": UNLEARNED}
        return row | {"answer": _answer(row, intervals, few=bool(few))}

    row = asked(using[0], blind[0])
    ahead = (using[0] if row["difference"] > 0 else blind[0]).model
    pair = [best for side in (using, blind) if (best := _of_model(side, ahead))]
    same = asked(*pair) if len(pair) == 2 else {}
    if row["answer"] in (WORTH, COST) and same.get("answer") != row["answer"]:
        row["answer"] = UNLEARNED if same.get("answer") == UNLEARNED else MODELS
    if row["answer"] == WORTH:
        best = using[0]
        if not best.control:
            row["answer"] = UNTRIED
        else:
            beyond = asked(best, best._replace(variant=best.control))["answer"]
            if beyond != WORTH:
                row["answer"] = UNTAUGHT if beyond == UNLEARNED else SHUFFLED
    row["within"] = f"{ahead} {' − '.join(best.variant for best in pair)}" if same else ""
    row |= {f"within_{name}": same.get(name) for name in _DIFFERENCE}
    for name, best in (("with_skips", using[0]), ("without", blind[0])):
        row[name] = f"{best.model} {best.variant}"
    return row | {"sentence": _sentence(keys | row, intervals)}


def _by_validation(runs: list[str]) -> dict[tuple[str, str], tuple[list[Best], list[Best]]]:
    """By data set and split, the variants with labels and those without, each from the best one
    down; controls with wrong labels are left out.
    """
    values: dict[tuple[str, str, str], dict[str, list[float]]] = {}
    settings: dict[tuple[str, str, str], dict[str, dict]] = {}
    for path in runs:
        keys, run = hive_keys(path), read_json(path)
        if run["valid_ndcg_10"] is None:
            continue
        of, variant = (keys["dataset"], keys["split"], keys["model"]), keys["variant"]
        settings.setdefault(of, {})[variant] = run["settings"]
        if run["settings"].get("labels", "right") == "right":
            values.setdefault(of, {}).setdefault(variant, []).append(run["valid_ndcg_10"])
    found: dict[tuple[str, str], tuple[list[Best], list[Best]]] = {}
    for (dataset, split, model), of_variants in values.items():
        using, blind = found.setdefault((dataset, split), ([], []))
        ran = settings[dataset, split, model]
        for variant, of_seeds in of_variants.items():
            controls = (name for name, its in ran.items() if is_control_of(its, ran[variant]))
            best = Best(sum(of_seeds) / len(of_seeds), model, variant, next(controls, None))
            (using if registry.uses_labels(ran[variant]) else blind).append(best)
    for sides in found.values():
        for side in sides:
            side.sort(key=lambda best: -best.value)
    return found


def _of_model(side: list[Best], model: str) -> Best | None:
    return next((best for best in side if best.model == model), None)


def _answer(row: dict, intervals: Intervals, *, few: bool) -> str:
    low, high, practically = row["difference_low"], row["difference_high"], intervals.equivalence
    if few:
        return FEW
    if low is None or row["p"] is None:
        return f"{UNKNOWN}: too few sessions differ"
    if -practically < low and high < practically:
        return NOTHING
    if row["p"] < 1 - intervals.level and (low > 0 or high < 0):
        return WORTH if low > 0 else COST
    return UNKNOWN


def _sentence(row: dict, intervals: Intervals) -> str:
    ending = ""
    if row["answer"] == MODELS:
        ending = " (the better one has no variant of the other side)"
        if row["within"]:
            ending = f" ({row['within']}: {_gain(row, 'within_difference')})"
    elif row["answer"] == FEW:
        ending = ", as whether labels or chance made the difference is not known"
    elif row["answer"] in (SHUFFLED, UNTRIED, UNTAUGHT, UNLEARNED):
        ending = ""
    elif row["answer"].startswith(UNKNOWN) and row["detectable"] is not None:
        ending = (
            f"; a true one of {row['detectable']:.3f} is told from 0 in four of five such studies"
        )
    elif row["answer"] == NOTHING:
        ending = f" (within ±{intervals.equivalence:g})"
    return (
        f"{row['dataset']} ({row['data']} data, split {row['split']}, {row['sessions']:,} test "
        f"sessions, seeds {row['seeds']}): the best use of skips, {row['with_skips']}, has an "
        f"HR@10 of {row['value']:.3f}, the best without labels, {row['without']}, "
        f"{row['reference_value']:.3f}: {_gain(row, 'difference')}. "
        f"In short: {row['answer']}{ending}."
    )


def _gain(row: dict, name: str) -> str:
    """A difference with its interval, where that is known."""
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    interval = "" if low is None else f" ({_signed(low)} to {_signed(high)})"
    return _signed(row[name]) + interval


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−")
