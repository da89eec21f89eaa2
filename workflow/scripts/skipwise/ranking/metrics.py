"""Metrics from ranks, and the bounds that every table must keep (docs/protocol.md, metrics).

A metric is a function of ranks (S,) and a cut-off k, marked with its name in the configuration.  A
rank counts from 1; NaN stands for a rank past the cut-off, which is worse than any ``k``.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from skipwise.core.artifacts import read_artifact, write_artifact
from skipwise.core.schemas import CANDIDATES, HEADLINES
from skipwise.ranking.gains import average_precision, hit_rate, ndcg

Metric = Callable[[np.ndarray, int], np.ndarray]
METRICS: dict[str, Metric] = {}
CUTOFFS = {"hr": (1, 5, 10, 20), "ndcg": (5, 10, 20), "map": (10,)}


def metric(name: str) -> Callable[[Metric], Metric]:
    """Make a function the metric ``name``, which the configuration may ask for."""

    def register(function: Metric) -> Metric:
        METRICS[name] = function
        return function

    return register


metric("hr")(hit_rate)
metric("ndcg")(ndcg)
metric("map")(average_precision)


def per_session(
    rank: np.ndarray, cutoffs: Mapping[str, Sequence[int]] = CUTOFFS
) -> dict[tuple[str, int], np.ndarray]:
    """Every metric at every cut-off: ``(name, k)`` to its (S,) values."""
    return {(name, k): METRICS[name](rank, k) for name, ks in cutoffs.items() for k in ks}


def check_bounds(values: dict[str, float], where: str) -> None:
    """Assert the bounds between the metrics of one model, which hold for any data.

    ``values`` maps names like ``hr_10`` to values.  Raises ValueError that names ``where`` and the
    broken bound.
    """
    hit = {
        int(k): value
        for (metric, _, k), value in ((name.rpartition("_"), v) for name, v in values.items())
        if metric == "hr"
    }
    chains = {"0 ≤ HR@k ≤ 1, rising with k": [0.0, *(hit[k] for k in sorted(hit)), 1.0]}
    for name, value in values.items():
        metric, k = name.rsplit("_", 1)
        if metric in ("ndcg", "map") and int(k) in hit:
            chains[f"0 ≤ {metric.upper()}@{k} ≤ HR@{k}"] = [0.0, value, hit[int(k)]]
    if "map_10" in values and {1, 5, 10} <= hit.keys():
        low = hit[1] + (hit[5] - hit[1]) / 5 + (hit[10] - hit[5]) / 10
        high = hit[1] + (hit[5] - hit[1]) / 2 + (hit[10] - hit[5]) / 6
        chains["MAP@10 between its bounds from HR@1, HR@5 and HR@10"] = [
            low,
            values["map_10"],
            high,
        ]
    for bound, chain in chains.items():
        if not all(left <= right + 1e-9 for left, right in itertools.pairwise(chain)):
            raise ValueError(f"{where} breaks {bound}: {chain}")


def ranked_among(ranks: pa.Table) -> list[str]:
    """The candidate sets of a ``ranks`` artifact; a run of another tool has no sampled ones."""
    drawn = pc.any(pc.greater(ranks["n_candidates"], 0)).as_py()
    return [name for name in CANDIDATES if drawn or name != "sampled"]


def counted(ranks: pa.Table, candidates: str) -> np.ndarray:
    """(S,) the sessions that count among ``candidates``: among new ones those with a new target."""
    repeat = ranks["is_repeat"].to_numpy()
    return ~repeat if candidates == "new" else np.ones(len(repeat), bool)


def summarise(ranks: pa.Table, cutoffs: Mapping[str, Sequence[int]]) -> pa.Table:
    """The rows of a ``metrics`` artifact from a ``ranks`` artifact.

    Subsets are ``all``, ``repeat`` and ``new``: whether the target is in the context; among new
    candidates ``all`` are those with a new target, and there are no others.  Metrics of the unseen
    skips (lower is better: ``hr_skipped``, ``ndcg_skipped``, ``mrr_skipped``) are means over
    skipped plays and exist among full and new candidates; ``delta_hr`` and ``delta_ndcg`` are
    target minus skips.  Without sampled candidates there are no rows of them.
    """
    repeat = ranks["is_repeat"].to_numpy()
    found: list[tuple[str, int | None, str, str, np.ndarray]] = []
    for candidates in ranked_among(ranks):
        subsets = {"all": counted(ranks, candidates)}
        if candidates != "new":
            subsets |= {"repeat": repeat, "new": ~repeat}
        rank = _floats(ranks[f"rank_{candidates}"])
        for subset, inside in subsets.items():
            for (name, k), values in per_session(rank[inside], cutoffs).items():
                found.append((name, k, candidates, subset, values))
    rows = [(*keys, _mean(values), int((~np.isnan(values)).sum())) for *keys, values in found]
    for candidates in HEADLINES:
        rows += [
            (*row[:2], candidates, "all", *row[2:]) for row in _of_skips(ranks, candidates, cutoffs)
        ]
    names = ("metric", "k", "candidates", "subset", "value", "n")
    return pa.table(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)))


def _of_skips(
    ranks: pa.Table, candidates: str, cutoffs: Mapping[str, Sequence[int]]
) -> list[tuple[str, int | None, float | None, int]]:
    """Metric, k, value and number of pairs of the unseen skips of the sessions that count."""
    inside = counted(ranks, candidates)
    rank = _floats(ranks[f"rank_{candidates}"])[inside]
    lists = ranks[f"skip_ranks_{candidates}"].combine_chunks()
    of_inside = np.repeat(inside, lists.value_lengths().to_numpy())
    skip_rank = _floats(lists.flatten())[of_inside]
    outranks = _floats(ranks["skip_outranks"].combine_chunks().flatten())[of_inside]
    found: list[tuple[str, int | None, np.ndarray]] = [
        *(("hr_skipped", k, hit_rate(skip_rank, k)) for k in cutoffs["hr"]),
        ("ndcg_skipped", 10, ndcg(skip_rank, 10)),
        ("mrr_skipped", 10, average_precision(skip_rank, 10)),
        ("pairwise_accuracy", None, 1.0 - outranks),
    ]
    rows = [(name, k, _mean(values), int((~np.isnan(values)).sum())) for name, k, values in found]
    for name, of in (("delta_hr", hit_rate), ("delta_ndcg", ndcg)):
        of_target, of_skip = _mean(of(rank, 10)), _mean(of(skip_rank, 10))
        value = None if of_target is None or of_skip is None else of_target - of_skip
        rows.append((name, 10, value, len(skip_rank)))
    return rows


def _floats(column: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """Ranks or truth values as float64, NaN for null."""
    return column.to_numpy(zero_copy_only=False).astype(np.float64)


def _mean(values: np.ndarray) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None


def compute_metrics(ranks: str, metrics: str, *, cutoffs: Mapping[str, Sequence[int]]) -> None:
    """Write the ``metrics`` artifact of a ``ranks`` artifact."""
    write_artifact(summarise(read_artifact("ranks", ranks), cutoffs), "metrics", metrics)
