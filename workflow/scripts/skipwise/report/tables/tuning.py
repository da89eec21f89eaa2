"""The search of settings on validation data, one row per variant: what it cost, what it gained and
what it found. Every variant of a model had the same number of trials, and a way to use skips some
more for what it adds. No test data was read.
"""

import json

import pyarrow as pa

from skipwise.core.artifacts import read_artifact, read_json
from skipwise.core.paths import hive_keys
from skipwise.core.schemas import required, rows_of
from skipwise.report.write import Given

NEEDS = ("trials", "best")
SETTINGS = ("simulated",)
GIGABYTES = 1
MINUTES = 10
TARGET = "tune"
OPTIONAL = True
TITLE = "Tuning on validation data"
# One row per search.  valid_ndcg_10_begin is null if the first training diverged.
COLUMNS = rows_of(
    *(required(name, pa.string()) for name in ("dataset", "data", "split", "model", "variant")),
    required("trials", pa.int32()),
    required("pruned", pa.int32()),
    required("seconds", pa.float64()),
    pa.field("valid_ndcg_10_begin", pa.float64()),
    required("valid_ndcg_10_tuned", pa.float64()),
    required("found", pa.string()),
    required("at_edge", pa.string()),
)


def note(given: Given) -> str:
    return (
        "The first trial has the configured settings. Those of a way to use skips are the trials "
        "of orig or blind, with whose best it begins, and its own; pruned trials and seconds are "
        "of its own. The highest validation NDCG@10 of a variant decides. No test data is read."
    )


def rows(given: Given) -> list[dict]:
    """One row per search."""
    found = []
    for trial_file, best_file in zip(given["trials"], given["best"], strict=True):
        keys, best = hive_keys(trial_file), read_json(best_file)
        trials = read_artifact("trials", trial_file).to_pylist()
        found.append(
            {
                **{name: keys[name] for name in ("dataset", "split", "model", "variant")},
                "data": given.source(keys["dataset"]),
                "trials": best["trials"],
                "pruned": sum(trial["state"] == "pruned" for trial in trials),
                "seconds": sum(trial["seconds"] for trial in trials),
                "valid_ndcg_10_begin": trials[0]["valid_ndcg_10"],
                "valid_ndcg_10_tuned": best["value"],
                "found": ", ".join(
                    f"{name} {_few(value)}" for name, value in best["settings"].items()
                ),
                "at_edge": ", ".join(best["at_edge"]) or "no",
            }
        )
    return found


def _few(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else json.dumps(value)
