"""Metrics from ranks, and the bounds that every table of them must satisfy (docs/protocol.md,
metrics).

A rank counts from 1; NaN stands for a rank past the cut-off, which is worse than any ``k``.
"""

import itertools

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from skipwise.core.artifacts import read_artifact, write_artifact

CUTOFFS = {"hr": (1, 5, 10, 20), "ndcg": (5, 10, 20), "map": (10,)}


def hit_rate(rank: np.ndarray, k: int) -> np.ndarray:
    """HR@k of each session: 1 where the target is among the first k."""
    return (rank <= k).astype(np.float64)


def ndcg(rank: np.ndarray, k: int) -> np.ndarray:
    """NDCG@k of each session; with one relevant track the ideal is 1, so it is 1 / log2(rank + 1)."""
    return np.where(rank <= k, 1 / np.log2(np.where(rank <= k, rank, 1) + 1), 0.0)


def average_precision(rank: np.ndarray, k: int) -> np.ndarray:
    """AP@k of each session; with one relevant track it equals the reciprocal rank, so MAP@k =
    MRR@k.
    """
    return np.where(rank <= k, 1 / np.where(rank <= k, rank, 1), 0.0)


METRICS = {"hr": hit_rate, "ndcg": ndcg, "map": average_precision}


def per_session(
    rank: np.ndarray, cutoffs: dict[str, list[int]] = CUTOFFS
) -> dict[tuple[str, int], np.ndarray]:
    """Every metric at every cut-off: ``(name, k)`` to its (S,) values."""
    return {(name, k): METRICS[name](rank, k) for name, ks in cutoffs.items() for k in ks}


def check_bounds(values: dict[str, float], where: str) -> None:
    """Assert what must hold between the metrics of one model, whatever the data (docs/protocol.md,
    metrics).

    ``values`` maps names like ``hr_10`` to values.  Raises ValueError that names ``where`` and the
    broken bound.
    """
    hit = {
        int(name.removeprefix("hr_")): value
        for name, value in values.items()
        if name.startswith("hr_")
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
    """The candidates that a ``ranks`` artifact has ranks among; a run of another tool has none that
    were sampled.
    """
    return ["full", "sampled"] if pc.any(pc.greater(ranks["n_candidates"], 0)).as_py() else ["full"]


def summarise(ranks: pa.Table, cutoffs: dict[str, list[int]]) -> pa.Table:
    """The rows of a ``metrics`` artifact from a ``ranks`` artifact.

    Subsets are ``all``, ``repeat`` and ``new``: whether the target stands in the context.  Metrics
    of the unseen skips (lower is better: ``hr_skipped``, ``ndcg_skipped``, ``mrr_skipped``) are
    means over skipped plays and exist for the full catalogue; ``delta_hr`` and ``delta_ndcg`` are
    target minus skips.  Without sampled candidates there are no rows of them.
    """
    repeat = ranks["is_repeat"].to_numpy()
    subsets = {"all": np.ones(len(repeat), bool), "repeat": repeat, "new": ~repeat}
    rows = []
    for candidates in ranked_among(ranks):
        rank = ranks[f"rank_{candidates}"].to_numpy().astype(np.float64)
        for subset, inside in subsets.items():
            for (metric, k), values in per_session(rank[inside], cutoffs).items():
                rows.append((metric, k, candidates, subset, values))
    rank = ranks["rank_full"].to_numpy().astype(np.float64)
    skip_rank = (
        ranks["skip_ranks"]
        .combine_chunks()
        .flatten()
        .to_numpy(zero_copy_only=False)
        .astype(np.float64)
    )
    skipped = {("hr", k): hit_rate(skip_rank, k) for k in cutoffs["hr"]} | {
        ("ndcg", 10): ndcg(skip_rank, 10)
    }
    rows += [
        (f"{metric}_skipped", k, "full", "all", values) for (metric, k), values in skipped.items()
    ]
    rows.append(("mrr_skipped", 10, "full", "all", average_precision(skip_rank, 10)))
    outranks = ranks["skip_outranks"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    rows.append(("pairwise_accuracy", None, "full", "all", 1.0 - outranks.astype(np.float64)))
    table = [(*keys, _mean(values), int((~np.isnan(values)).sum())) for *keys, values in rows]
    for metric, of in (("delta_hr", hit_rate), ("delta_ndcg", ndcg)):
        value = _mean(of(rank, 10)) - _mean(of(skip_rank, 10)) if len(skip_rank) else None
        table.append((metric, 10, "full", "all", value, len(skip_rank)))
    columns = zip(*table, strict=True)
    return pa.table(
        dict(
            zip(
                ("metric", "k", "candidates", "subset", "value", "n"),
                map(list, columns),
                strict=True,
            )
        )
    )


def _mean(values: np.ndarray) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None


def compute_metrics(ranks: str, metrics: str, *, cutoffs: dict[str, list[int]]) -> None:
    """Write the ``metrics`` artifact of a ``ranks`` artifact."""
    write_artifact(summarise(read_artifact("ranks", ranks), cutoffs), "metrics", metrics)
