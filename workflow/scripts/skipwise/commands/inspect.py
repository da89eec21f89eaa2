"""The contents of a data set: counts of every step, lengths and skips of sessions, splits."""

from pathlib import Path

import duckdb

from skipwise.core import paths
from skipwise.core.artifacts import read_json
from skipwise.core.errors import UserError

# Counts of stats.json in the order of the steps, and what they are.
STEPS = {
    "plays_read": "plays read",
    "rows_rejected": "rows rejected",
    "batch_scrobbles_dropped": "plays at the second of another one, dropped",
    "plays_sessionised": "plays in sessions",
    "sessions_formed": "sessions formed",
    "sessions_longer_than_5": "sessions of more than 5 plays",
    "pieces_cut": "pieces after cutting long sessions",
    "sessions_eligible": "sessions with enough plays and a skip",
    "sessions": "sessions in the sample",
    "plays": "plays in the sample",
    "tracks": "tracks in the sample",
}


def inspect_dataset(dataset: str, results: str | Path = "results") -> dict:
    """The contents of a data set in the folder ``results``.

    Gives ``steps`` (what and how many, in order), ``left_out`` (reason and rows), ``skip_share``
    before the filters and in the sample, ``rules``, ``lengths`` and ``skips`` (plays or skips of a
    session and number of sessions), ``tracks`` (the five most played with plays and skips),
    ``splits`` (by name, sessions of each part).

    Raises UserError if there is no such data set.
    """
    stats_file = paths.result("stats", results, dataset=dataset)
    if not stats_file.is_file():
        there = [paths.hive_keys(path)["dataset"] for path in paths.found("stats", results)]
        remedy = "run snakemake first, or name another folder with --results"
        raise UserError(
            f"{results} holds no sessions of the data set '{dataset}'; "
            + (f"it has {', '.join(there)}" if there else remedy)
        )
    stats = read_json(stats_file)
    counts = stats["counts"]
    plays, tracks = (
        duckdb.read_parquet(
            str(paths.result(name, results, dataset=dataset)), hive_partitioning=False
        )
        for name in ("sessions", "tracks")
    )
    sessions = plays.aggregate(
        "count(*) as plays, count(*) filter (skipped) as skips", "session_id"
    )
    return {
        "dataset": dataset,
        "steps": [
            (what, counts[name]) for name, what in STEPS.items() if counts.get(name) is not None
        ],
        "left_out": counts.get("plays_left_out", {}),
        "skip_share": {
            "before the filters": counts["skip_share_before_filter"],
            "in the sample": counts["skip_share"],
        },
        "rules": stats["rules"],
        "lengths": sessions.aggregate("plays, count(*)", "plays").order("plays").fetchall(),
        "skips": sessions.aggregate("skips, count(*)", "skips").order("skips").fetchall(),
        "tracks": tracks.order("track_id")
        .limit(5)
        .project("track_key, n_plays, n_skips")
        .fetchall(),
        "splits": {
            paths.hive_keys(path)["split"]: read_json(path)["counts"]
            for path in paths.found("split", results, dataset=dataset)
        },
    }
