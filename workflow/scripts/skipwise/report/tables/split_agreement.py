"""Do models keep their order in another split, and among other candidates? Kendall's τ of all
models and variants, 1 if the order is the same and 0 if one says nothing of the other, with the
pairs that change place. A conclusion from one split, or from sampled candidates, is worth as much
as this. config/answer_splits.yaml runs it.
"""

from collections.abc import Container, Iterator
from itertools import combinations

import pyarrow as pa

from skipwise.core.schemas import CANDIDATES, required, rows_of
from skipwise.evaluation.comparisons import RankedRuns, headlines, known
from skipwise.evaluation.orders import Measured, agreement, measured
from skipwise.report.columns import Column
from skipwise.report.variants import unlearned, which_unlearned
from skipwise.report.write import Given

NEEDS = ("ranks", "split", "run")
SETTINGS = ("simulated", "intervals")
TARGET = "answer"
GIGABYTES = 4
MINUTES = 60
TITLE = "Whether models keep their order"
MEASURES = (("hr", 10), ("ndcg", 10))
COLUMNS = rows_of(
    *(required(name, pa.string()) for name in ("dataset", "data", "metric", "first", "second")),
    required("models", pa.int64()),
    *(pa.field(f"tau{end}", pa.float64()) for end in ("", "_low", "_high")),
    *(required(name, pa.int64()) for name in ("pairs", "told", "changed")),
    *(required(name, pa.string()) for name in ("change_place", "best_first", "best_second")),
)
EXPLAINS = {
    "first": Column("first", "Split and candidates of one measurement."),
    "second": Column("second", "Split and candidates of the other one."),
    "models": Column("models", "Models with their variants."),
    "tau": Column("τ", "Kendall's τ_b of the means, with its bounds in brackets.", "{:.2f}".format),
    "pairs": Column("pairs", "Of models."),
    "told": Column("told", "Pairs whose order is told in both measurements."),
    "changed": Column("changed", "Pairs that have the other order in the second measurement."),
    "change_place": Column(
        "change place", "Of these, pairs whose order is told in both: better first > worse first."
    ),
    "best_first": Column("best, first", "The model with the highest mean."),
    "best_second": Column("best, second", "The model with the highest mean."),
}


def note(given: Given) -> str:
    left_out = which_unlearned(given)
    return (
        (f"{left_out}These variants are left out. " if left_out else "")
        + f"The order of two models is told in a measurement if the {given.level:.0%} interval of "
        "their difference, over clusters of sessions and over seeds, excludes 0, without a "
        "correction. The bounds of τ are its values if every pair that is not told in both has "
        "the other order, or the same."
    )


def rows(given: Given) -> Iterator[dict]:
    """One row per data set, metric and two splits, then two sets of candidates in a split."""
    runs, heads = RankedRuns(given["ranks"]), headlines(given["split"])
    failed = unlearned(given["run"])
    by_dataset: dict[str, list[str]] = {}
    for dataset, split in runs.splits():
        by_dataset.setdefault(dataset, []).append(split)
    for dataset, splits in by_dataset.items():
        for metric in MEASURES:
            for one, other in combinations(splits, 2):
                led = [(split, heads[dataset, split]) for split in (one, other)]
                yield from _row(given, runs, failed, dataset, metric, led)
            for split in splits:
                for pair in combinations(CANDIDATES, 2):
                    led = [(split, candidates) for candidates in pair]
                    yield from _row(given, runs, failed, dataset, metric, led)


def _row(
    given: Given,
    runs: RankedRuns,
    failed: Container[tuple[str, ...]],
    dataset: str,
    metric: tuple[str, int],
    of: list[tuple[str, str]],
) -> Iterator[dict]:
    """The row of two measurements, each a split and candidates, without the models that ``failed``
    to learn; none of fewer than three models.
    """
    models = [
        (model, variant)
        for model, variants in runs.models(dataset, of[0][0]).items()
        for variant in variants
        if (dataset, of[1][0], model, variant) in runs
        and not any((dataset, split, model, variant) in failed for split, _ in of)
    ]
    if len(models) < 3:
        return
    one, other = (_measured(runs, dataset, split, models, metric, kind) for split, kind in of)
    found = agreement(one, other, given.settings["intervals"]["level"])
    names = [f"{model} {variant}" for model, variant in models]
    yield {
        "dataset": dataset,
        "data": given.source(dataset),
        "metric": f"{metric[0]}_{metric[1]}",
        "first": " ".join(of[0]),
        "second": " ".join(of[1]),
        "models": len(models),
        "tau": known(found.tau),
        "tau_low": known(found.low),
        "tau_high": known(found.high),
        "pairs": found.pairs,
        "told": found.told,
        "changed": len(found.changed),
        "change_place": "; ".join(f"{names[i]} > {names[j]}" for i, j in found.reversed),
        "best_first": _best(one, names),
        "best_second": _best(other, names),
    }


def _measured(
    runs: RankedRuns,
    dataset: str,
    split: str,
    models: list[tuple[str, str]],
    metric: tuple[str, int],
    candidates: str,
) -> Measured:
    ranked = (runs[dataset, split, model, variant] for model, variant in models)
    return measured(ranked, *metric, candidates)


def _best(its: Measured, names: list[str]) -> str:
    return max(zip(its.sums, names, strict=True), key=lambda pair: pair[0].sum(1).mean())[1]
