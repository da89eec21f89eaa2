"""The numbers behind the figures: each function gives exactly what is drawn, in the order in which
it is drawn.
"""

from collections.abc import Iterator

import numpy as np
import polars as pl
import pyarrow as pa

from skipwise.core.artifacts import read_artifact
from skipwise.core.paths import hive_keys
from skipwise.core.schemas import ARTIFACTS, QUERIES
from skipwise.evaluation.comparisons import REFERENCE
from skipwise.report.write import data_source

KEYS = ("dataset", "data", "split", "model", "variant")
ECDF_POINTS = 200


def hit_rates(table: str) -> pl.DataFrame:
    """HR@k on the full catalogue with its interval, from the table ``hr_ndcg``: one row a model,
    variant and k.
    """
    frame = pl.read_parquet(table).filter(pl.col("candidates") == "full")
    cutoffs = [
        name.removeprefix("hr_")
        for name in frame.columns
        if name.startswith("hr_") and name[3:].isdigit()
    ]
    rows = [
        {key: row[key] for key in KEYS}
        | {
            "k": int(k),
            "hr": row[f"hr_{k}"],
            "hr_low": row[f"hr_{k}_low"],
            "hr_high": row[f"hr_{k}_high"],
        }
        for row in frame.to_dicts()
        for k in cutoffs
    ]
    return _frame("hit_rates", rows)


def gain_by_skip_share(table: str) -> pl.DataFrame:
    """What a variant gains in HR@10 on the full catalogue, by quartile of the skip share, from the
    table ``by_skip_share``.
    """
    frame = pl.read_parquet(table).filter(
        pl.col("candidates") == "full", pl.col("metric") == "hr_10"
    )
    return _frame(
        "gain_by_skip_share", frame.select(ARTIFACTS["gain_by_skip_share"].schema.names).to_dicts()
    )


def rank_distribution(ranks: list[str], *, simulated: list[str]) -> pl.DataFrame:
    """ECDF of the full-catalogue ranks of targets and of unseen skips, from ``ranks``; seeds are
    pooled.

    A row says which share of them has at most this rank.  There are at most ``ECDF_POINTS`` ranks a
    curve, evenly spaced in their logarithm from 1 to the last rank of any of them, the same for all
    curves of a data set, split and model.
    """
    rows = []
    for panel in _panels(ranks):
        curves = []
        for keys, paths in panel:
            tables = [read_artifact("ranks", path, ["rank_full", "skip_ranks"]) for path in paths]
            curves += [
                (
                    keys,
                    "target",
                    np.concatenate([table["rank_full"].to_numpy() for table in tables]),
                ),
                (
                    keys,
                    "unseen skips",
                    np.concatenate(
                        [table["skip_ranks"].combine_chunks().flatten() for table in tables]
                    ),
                ),
            ]
        grid = _log_grid(max(int(np.nanmax(rank, initial=1)) for *_, rank in curves))
        for keys, tracks, rank in curves:
            if len(rank):
                share = np.searchsorted(np.sort(rank), grid, side="right") / len(rank)
                named = _named(keys, simulated) | {"tracks": tracks}
                rows += [
                    named | {"rank": at, "share": below}
                    for at, below in zip(grid, share, strict=True)
                ]
    return _frame("rank_distribution", rows)


def _log_grid(last: int) -> np.ndarray:
    return np.unique(np.geomspace(1, last, ECDF_POINTS).round().astype(np.int32))


def learning_curves(histories: list[str], *, simulated: list[str]) -> pl.DataFrame:
    """Validation NDCG@10 by epoch of every run, from ``history``."""
    rows = []
    for path in histories:
        keys = hive_keys(path)
        named = _named(keys, simulated) | {"seed": int(keys["seed"])}
        for epoch in read_artifact("history", path, ["epoch", "valid_ndcg_10", "best"]).to_pylist():
            rows.append(named | epoch)
    return _frame("learning_curves", rows)


def query_cosines(
    cosines: list[str], *, queries: dict[str, dict[str, str | None]], simulated: list[str]
) -> pl.DataFrame:
    """Quartiles over sessions of the cosine of the query with next-positive and skips of the
    context, from ``cosines``.

    ``queries`` says by model and variant which query the contrastive term has, null for none.  A
    variant is shown with its own query, ``orig`` with that of every variant of its model.  Seeds
    are pooled.
    """
    rows = []
    for panel in _panels(cosines):
        by_variant = {keys["variant"]: (keys, paths) for keys, paths in panel}
        of_model = queries[panel[0][0]["model"]]
        for query in QUERIES:
            trained = [variant for variant in by_variant if of_model[variant] == query]
            shown = (
                [variant for variant in by_variant if variant == REFERENCE or variant in trained]
                if trained
                else []
            )
            for variant in shown:
                keys, paths = by_variant[variant]
                for to, column in (
                    ("next-positive", f"{query}_target"),
                    ("skips", f"{query}_skips"),
                ):
                    values = np.concatenate(
                        [
                            read_artifact("cosines", path, [column])[column].drop_null().to_numpy()
                            for path in paths
                        ]
                    )
                    if len(values):
                        low, median, high = np.quantile(
                            values.astype(np.float64), [0.25, 0.5, 0.75]
                        )
                        named = _named(keys, simulated) | {"query": query, "to": to}
                        rows.append(
                            named | {"low": low, "median": median, "high": high, "n": len(values)}
                        )
    return _frame("query_cosines", rows)


def _panels(paths: list[str]) -> Iterator[list[tuple[dict[str, str], list[str]]]]:
    """For each data set, split and model: keys and paths of each of its variants, a path a seed."""
    panels: dict[tuple, dict[str, tuple[dict[str, str], list[str]]]] = {}
    for path in paths:
        keys = hive_keys(path)
        variants = panels.setdefault((keys["dataset"], keys["split"], keys["model"]), {})
        variants.setdefault(keys["variant"], (keys, []))[1].append(path)
    for variants in panels.values():
        yield list(variants.values())


def _named(keys: dict[str, str], simulated: list[str]) -> dict[str, str]:
    return {"data": data_source(keys["dataset"], simulated)} | {
        key: keys[key] for key in KEYS if key != "data"
    }


def _frame(name: str, rows: list[dict]) -> pl.DataFrame:
    return pl.DataFrame(pa.Table.from_pylist(rows, schema=ARTIFACTS[name].schema))
