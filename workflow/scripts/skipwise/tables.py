"""The tables: each as csv, parquet, html and tex from the same rows."""

import re
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
from great_tables import GT, md

from skipwise import metrics
from skipwise.artifacts import read_artifact, read_json, whole_file, write_artifact
from skipwise.bootstrap import mean_interval
from skipwise.columns import ARTIFACTS, Artifact, hr_ndcg_table
from skipwise.pages import SIMULATED, write_page

_KEY = re.compile(r"(\w+)=([^/]+)")


def hive_keys(path: str | Path) -> dict[str, str]:
    """The keys in a path: ``…/dataset=a/split=b/x.parquet`` gives ``{"dataset": "a", "split": "b"}``."""
    return dict(_KEY.findall(str(path)))


def data_source(dataset: str, simulated: list[str]) -> str:
    """What tables say about where a data set comes from."""
    return "simulated" if dataset in simulated else "real"


def make_hr_ndcg_table(
    ranks: list[str],
    metric_files: list[str],
    outputs: dict[str, str],
    *,
    simulated: list[str],
    cutoffs: dict,
    intervals: dict,
) -> None:
    """All models of all data sets: metrics, mean over seeds, with a bootstrap interval over sessions.

    ``ranks`` and ``metric_files`` are parallel, one a run; ``simulated`` names the simulated data sets.  A session's value is
    its mean over the seeds, and sessions are resampled.  Raises ValueError when a row breaks the bounds of docs/protocol.md.
    """
    groups: dict[tuple, list[tuple[str, str, str]]] = {}
    for rank_file, metric_file in zip(ranks, metric_files, strict=True):
        keys = hive_keys(rank_file)
        group = tuple(keys[name] for name in ("dataset", "split", "model", "variant"))
        groups.setdefault(group, []).append((keys["seed"], rank_file, metric_file))
    rows = []
    for (dataset, split, model, variant), seeds in groups.items():
        of_seed = [read_artifact("ranks", rank_file) for _, rank_file, _ in seeds]
        values = pl.read_parquet([path for *_, path in seeds], hive_partitioning=False).filter(pl.col("subset") == "all")
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
                raise ValueError(f"{dataset}, {split}, {model} {variant}: the seeds did not rank the same sessions")
            rank = np.stack([table[f"rank_{candidates}"].to_numpy().astype(np.float64) for table in of_seed])
            per_session = metrics.per_session(rank, cutoffs)
            means = {
                f"{name}_{k}": values.filter(metric=name, k=k, candidates=candidates)["value"].mean() for name, k in per_session
            }
            metrics.check_bounds(means, f"{dataset}, {split}, {model} {variant}, {candidates} candidates")
            for (name, k), value in per_session.items():
                # The same resampling in every row, so that a further model changes no other row.
                rng = np.random.default_rng(intervals["seed"])
                low, high = mean_interval(value.mean(0), rng, resamples=intervals["resamples"], level=intervals["level"])
                mean = means[f"{name}_{k}"]
                # Where all sessions agree, the limits and the mean are sums in different orders: equal but for the last bit.
                row |= {f"{name}_{k}": mean, f"{name}_{k}_low": min(low, mean), f"{name}_{k}_high": max(high, mean)}
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


def make_datasets_table(stats: list[str], splits: list[str], outputs: dict[str, str], *, registry: dict) -> None:
    """What every data set holds and what the filters left; ``splits`` are the ``split.json`` of the data sets in ``stats``."""
    rows = []
    by_dataset = {hive_keys(path)["dataset"]: read_json(path) for path in stats}
    for path in splits:
        dataset = hive_keys(path)["dataset"]
        entry, split, stat = registry[dataset], read_json(path), by_dataset[dataset]
        counts = stat["counts"]
        rows.append(
            {
                "dataset": dataset,
                "data": "simulated" if "simulation" in entry else "real",
                "form": entry["form"],
                "licence": entry["licence"],
                "skip_rule": " ".join(_rule_words(entry)),
                "plays_read": counts["plays_read"],
                "sessions_formed": counts["sessions_formed"],
                "sessions_eligible": counts["sessions_eligible"],
                "sessions": counts["sessions"],
                "plays": counts["plays"],
                "tracks": counts["tracks"],
                "skip_share": counts["skip_share"],
                "length_median": counts["length_quantiles"][2],
                "length_mean": counts["length_mean"],
                "split": split["split"],
                "train_sessions": split["counts"]["train"],
                "test_sessions": split["counts"]["test"],
                "unseen_target_share": split["unseen_target_share"],
            }
        )
    write_table(
        rows,
        ARTIFACTS["datasets"],
        outputs,
        title="Data sets",
        note="skip_share and lengths are those of the sampled sessions; unseen_target_share is the share of test targets that "
        "no train sequence holds.",
    )


def _rule_words(entry: dict) -> list[str]:
    rule = dict(entry["skip_rule"])
    words = [rule.pop("name"), *(f"{name}={value}" for name, value in rule.items())]
    return words + ([f"({entry['skipped_when']})"] if "skipped_when" in entry else [])


def write_table(
    rows: list[dict], schema: Artifact, outputs: dict[str, str], *, title: str, note: str, level: float | None = None
) -> None:
    """Write rows as ``outputs["csv"]``, ``["parquet"]``, ``["html"]`` and ``["tex"]``; a key that a row lacks is null.

    Numbers have six decimals in csv and four in html and tex.  Where a row is of simulated data the pages say so.  ``level`` is
    that of the intervals in ``_low`` and ``_high``.
    """
    table = pa.Table.from_pylist(rows, schema=schema.schema)
    write_artifact(table, schema, outputs["parquet"])
    frame = pl.DataFrame(table)
    with whole_file(outputs["csv"]) as partial:
        frame.write_csv(partial, float_precision=6)
    warning = [SIMULATED] if "simulated" in frame["data"].to_list() else []
    page = (
        GT(_with_intervals(frame), id=Path(outputs["html"]).stem)
        .tab_header(title=title, subtitle=" ".join(warning) or None)
        .tab_source_note(md(note))
        .sub_missing(missing_text="–")
    )
    write_page(frame, outputs["html"], title=title, note=note, level=level)
    with whole_file(outputs["tex"]) as partial:
        partial.write_text(page.as_latex(), encoding="utf-8")


def _with_intervals(frame: pl.DataFrame) -> pl.DataFrame:
    """For reading: ``x [x_low, x_high]`` in one column, numbers with four decimals."""
    columns = []
    for name in frame.columns:
        if name.endswith(("_low", "_high")) and name.rsplit("_", 1)[0] in frame.columns:
            continue
        column = pl.col(name)
        if f"{name}_low" in frame.columns:
            parts = [_decimals(pl.col(f"{name}{end}")) for end in ("", "_low", "_high")]
            column = pl.format("{} [{}, {}]", *parts).alias(name)
        elif frame.schema[name].is_float():
            column = _decimals(column)
        columns.append(column)
    return frame.select(columns)


def _decimals(column: pl.Expr) -> pl.Expr:
    return column.round(4).map_elements(lambda value: f"{value:.4f}", return_dtype=pl.String)
