"""The table hr_ndcg."""

import numpy as np
import polars as pl

from skipwise.core.artifacts import read_artifact
from skipwise.core.paths import hive_keys
from skipwise.core.schemas import hr_ndcg_table
from skipwise.evaluation.bootstrap import mean_interval
from skipwise.ranking import metrics
from skipwise.report.write import data_source, write_table


def make_hr_ndcg_table(
    ranks: list[str],
    metric_files: list[str],
    outputs: dict[str, str],
    *,
    simulated: list[str],
    cutoffs: dict,
    intervals: dict,
) -> None:
    """All models of all data sets: metrics, mean over seeds, with a bootstrap interval over
    sessions.

    ``ranks`` and ``metric_files`` are parallel, one a run; ``simulated`` names the simulated data
    sets.  A session's value is its mean over the seeds, and sessions are resampled.  Raises
    ValueError when a row breaks the bounds of docs/protocol.md.
    """
    groups: dict[tuple, list[tuple[str, str, str]]] = {}
    for rank_file, metric_file in zip(ranks, metric_files, strict=True):
        keys = hive_keys(rank_file)
        group = tuple(keys[name] for name in ("dataset", "split", "model", "variant"))
        groups.setdefault(group, []).append((keys["seed"], rank_file, metric_file))
    rows = []
    for (dataset, split, model, variant), seeds in groups.items():
        of_seed = [read_artifact("ranks", rank_file) for _, rank_file, _ in seeds]
        values = pl.read_parquet([path for *_, path in seeds], hive_partitioning=False).filter(
            pl.col("subset") == "all"
        )
        for candidates in metrics.ranked_among(of_seed[0]):
            row = {
                "dataset": dataset,
                "data": data_source(dataset, simulated),
                "split": split,
                "model": model,
                "variant": variant,
                "candidates": candidates,
                "sessions": of_seed[0].num_rows,
                "seeds": " ".join(seed for seed, *_ in seeds),
            }
            if any(table["session_id"] != of_seed[0]["session_id"] for table in of_seed):
                raise ValueError(
                    f"{dataset}, {split}, {model} {variant}: the seeds did not rank the same sessions"
                )
            rank = np.stack(
                [table[f"rank_{candidates}"].to_numpy().astype(np.float64) for table in of_seed]
            )
            per_session = metrics.per_session(rank, cutoffs)
            means = {
                f"{name}_{k}": values.filter(metric=name, k=k, candidates=candidates)[
                    "value"
                ].mean()
                for name, k in per_session
            }
            metrics.check_bounds(
                means, f"{dataset}, {split}, {model} {variant}, {candidates} candidates"
            )
            for (name, k), value in per_session.items():
                # The same resampling in every row, so that a further model changes no other row.
                rng = np.random.default_rng(intervals["seed"])
                low, high = mean_interval(
                    value.mean(0), rng, resamples=intervals["resamples"], level=intervals["level"]
                )
                mean = means[f"{name}_{k}"]
                # Where all sessions agree, the limits and the mean are sums in different orders:
                # equal but for the last bit.
                row |= {
                    f"{name}_{k}": mean,
                    f"{name}_{k}_low": min(low, mean),
                    f"{name}_{k}_high": max(high, mean),
                }
            rows.append(row)
    write_table(
        rows,
        hr_ndcg_table([f"{name}_{k}" for name, ks in cutoffs.items() for k in ks]),
        outputs,
        title="Hit rate, NDCG and MAP by model and variant",
        note=f"Mean over seeds; {intervals['level']:.0%} bootstrap interval over sessions in _low and _high. "
        "full: ranked in the whole catalogue; sampled: among sampled candidates, which flatters every model.",
        level=intervals["level"],
    )
