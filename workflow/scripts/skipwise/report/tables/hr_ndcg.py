"""Hit rate, NDCG and MAP of the next listened track, of every model and variant, mean over seeds
with an interval over clusters of sessions and over seeds. Higher is better in all columns. Compare
rows of one data set and one candidate set only: among sampled candidates every model looks better
than in the full catalogue, and the order of models can change. Bold is the best of such rows; where
intervals overlap, the paired differences of the table recsys24_main say more.
"""

import numpy as np
import polars as pl
import pyarrow as pa

from skipwise.core.artifacts import read_artifact
from skipwise.core.paths import VARIANT, by_variant, hive_keys
from skipwise.core.schemas import Artifact, required, rows_of
from skipwise.evaluation.comparisons import headlines, known
from skipwise.evaluation.intervals import interval_of_hits
from skipwise.ranking import metrics
from skipwise.report.variants import of_which_trainings, which_unfinished, which_unlearned
from skipwise.report.write import Given

NEEDS = ("ranks", "metrics", "split", "run")
SETTINGS = ("simulated", "metrics", "intervals", "sources")
TITLE = "Hit rate, NDCG and MAP by model and variant"


def note(given: Given) -> str:
    return (
        f"{of_which_trainings(given)}{which_unlearned(given)}{which_unfinished(given)}"
        f"Mean over seeds; {given.level:.0%} interval over clusters of "
        "sessions and over seeds in _low and _high; a model without chance has one seed. "
        "full: ranked in the whole catalogue; new: without the tracks of the context, on the "
        "sessions whose target is new; sampled: among sampled candidates, which flatters every "
        "model. headline: the set that models are selected on."
    )


def columns(given: Given) -> Artifact:
    """One row per data set, split, model, variant and candidate set.

    Each metric, named like ``hr_10``, has its interval in ``_low`` and ``_high``.
    """
    keys = ("dataset", "data", "split", "model", "variant", "settings", "candidates")
    names = [f"{name}_{k}" for name, ks in given.settings["metrics"].items() for k in ks]
    return rows_of(
        *(required(key, pa.string()) for key in keys),
        required("headline", pa.bool_()),
        required("sessions", pa.int64()),
        required("repeats_left_out", pa.int64()),
        required("seeds", pa.string()),
        *(pa.field(f"{n}{end}", pa.float64()) for n in names for end in ("", "_low", "_high")),
    )


def rows(given: Given) -> list[dict]:
    """Metrics, mean over seeds, with an interval.

    Raises ValueError if a row breaks the bounds of
    docs/protocol.md.
    """
    cutoffs, intervals = given.settings["metrics"], given.settings["intervals"]
    headline = headlines(given["split"])
    sources = given.settings["sources"]
    metric_files = by_variant(given["metrics"])
    found = []
    for key, rank_files in by_variant(given["ranks"]).items():
        dataset, split, model, variant = key
        of_seed = [read_artifact("ranks", path) for path in rank_files]
        values = pl.read_parquet(metric_files[key], hive_partitioning=False).filter(subset="all")
        for candidates in metrics.ranked_among(of_seed[0]):
            inside = metrics.counted(of_seed[0], candidates)
            if not inside.any():
                continue
            row = {
                "dataset": dataset,
                "data": given.source(dataset),
                "split": split,
                "model": model,
                "variant": variant,
                "settings": sources[
                    VARIANT.format(dataset=dataset, split=split, model=model, variant=variant)
                ],
                "candidates": candidates,
                "headline": candidates == headline[dataset, split],
                "sessions": int(inside.sum()),
                "repeats_left_out": int((~inside).sum()),
                "seeds": " ".join(hive_keys(path)["seed"] for path in rank_files),
            }
            if any(table["session_id"] != of_seed[0]["session_id"] for table in of_seed):
                raise ValueError(
                    f"{dataset}, {split}, {model} {variant}: the seeds did not rank the same "
                    "sessions"
                )
            rank = np.stack(
                [
                    table[f"rank_{candidates}"].to_numpy().astype(np.float64)[inside]
                    for table in of_seed
                ]
            )
            per_session = metrics.per_session(rank, cutoffs)
            means = {
                f"{name}_{k}": _mean(
                    values.filter(metric=name, k=k, candidates=candidates)["value"]
                )
                for name, k in per_session
            }
            metrics.check_bounds(
                means, f"{dataset}, {split}, {model} {variant}, {candidates} candidates"
            )
            cluster = of_seed[0]["cluster"].to_numpy()[inside]
            for (name, k), value in per_session.items():
                low, high = interval_of_hits(value, cluster, intervals["level"])
                mean = means[f"{name}_{k}"]
                # The mean of the metrics and that of the ranks are sums in different orders: equal
                # but for the last bit.
                row |= {
                    f"{name}_{k}": mean,
                    f"{name}_{k}_low": known(min(low, mean)),
                    f"{name}_{k}_high": known(max(high, mean)),
                }
            found.append(row)
    return found


def _mean(values: pl.Series) -> float:
    mean = values.mean()
    assert isinstance(mean, float)
    return mean
