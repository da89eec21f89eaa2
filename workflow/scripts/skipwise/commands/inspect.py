"""What a data set holds: counts of every filter step, lengths and skips of its sessions, its
splits.
"""

from pathlib import Path

import duckdb

from skipwise.core.artifacts import read_json
from skipwise.core.errors import UserError

# Counts of stats.json in the order of the steps, and what they are.
STEPS = {
    "plays_read": "plays read",
    "rows_rejected": "rows set apart as wrong",
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
    """What the workflow left of a data set in the folder ``results``.

    Gives ``steps`` (what and how many, in order), ``left_out`` (reason and rows), ``skip_share``
    before the filters and in the sample, ``rules``, ``lengths`` and ``skips`` (plays or skips of a
    session and number of sessions), ``tracks`` (the five most played with plays and skips),
    ``splits`` (by name, sessions of each part).

    Raises UserError where there is no such data set.
    """
    root = Path(results, "sessions")
    folder = root / f"dataset={dataset}"
    if not (folder / "stats.json").is_file():
        there = sorted(
            path.parent.name.removeprefix("dataset=") for path in root.glob("dataset=*/stats.json")
        )
        raise UserError(
            f"{results} holds no sessions of the data set '{dataset}'; "
            + (
                f"it has {', '.join(there)}"
                if there
                else "run snakemake first, or name another folder with --results"
            )
        )
    stats = read_json(folder / "stats.json")
    counts = stats["counts"]
    plays = duckdb.read_parquet(str(folder / "sessions.parquet"), hive_partitioning=False)
    sessions = plays.aggregate("count(*) as plays, count_if(skipped) as skips", "session_id")
    tracks = duckdb.read_parquet(str(folder / "tracks.parquet"), hive_partitioning=False)
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
            path.parent.name.removeprefix("split="): read_json(path)["counts"]
            for path in sorted(Path(results, "splits", folder.name).glob("split=*/split.json"))
        },
    }
