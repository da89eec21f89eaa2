"""The search of settings on validation data, one row per variant: what it cost, what it gained and
what it found. Every variant of a model had the same number of trials, and a way to use skips some
more for what it adds. A way may take other settings than its reference, so what the reference had
with the settings of the way stands beside it. No test data was read.
"""

import json

import pyarrow as pa

from skipwise.core.artifacts import read_artifact, read_json
from skipwise.core.paths import variant_key
from skipwise.core.schemas import required, rows_of
from skipwise.evaluation.comparisons import reference_of
from skipwise.report.columns import Column
from skipwise.report.write import Given

NEEDS = ("trials", "best")
SETTINGS = ("simulated", "references")
GIGABYTES = 1
MINUTES = 10
TARGET = "tune"
OPTIONAL = True
TITLE = "Tuning on validation data"
# One row per search.  valid_ndcg_10_begin is null if the first training diverged, and
# valid_ndcg_10_reference if the reference was not trained to an end with these settings.
COLUMNS = rows_of(
    *(required(name, pa.string()) for name in ("dataset", "data", "split", "model", "variant")),
    required("trials", pa.int32()),
    required("pruned", pa.int32()),
    required("seconds", pa.float64()),
    pa.field("valid_ndcg_10_begin", pa.float64()),
    required("valid_ndcg_10_tuned", pa.float64()),
    pa.field("valid_ndcg_10_reference", pa.float64()),
    required("found", pa.string()),
    required("at_edge", pa.string()),
)
EXPLAINS = {
    "valid_ndcg_10_reference": Column(
        "reference, same settings",
        "The same of orig or blind, whichever predicts the same targets, with the settings found.",
        "{:.4f}".format,
    ),
}


def note(given: Given) -> str:
    return (
        "The first trial has the configured settings. Those of a way to use skips are the trials "
        "of orig or blind, with whose best it begins, and its own; pruned trials and seconds are "
        "of its own. The highest validation NDCG@10 of a variant decides. No test data is read."
    )


def rows(given: Given) -> list[dict]:
    """One row per search."""
    found = []
    all_trials = {
        variant_key(path): read_artifact("trials", path).to_pylist() for path in given["trials"]
    }
    for trial_file, best_file in zip(given["trials"], given["best"], strict=True):
        best = read_json(best_file)
        dataset, split, model, variant = variant_key(trial_file)
        trials = all_trials[dataset, split, model, variant]
        reference = reference_of(given.settings["references"], model, variant)
        others = all_trials.get((dataset, split, model, reference), [])
        found.append(
            {
                "dataset": dataset,
                "data": given.source(dataset),
                "split": split,
                "model": model,
                "variant": variant,
                "trials": best["trials"],
                "pruned": sum(trial["state"] == "pruned" for trial in trials),
                "seconds": sum(trial["seconds"] for trial in trials),
                "valid_ndcg_10_begin": trials[0]["valid_ndcg_10"],
                "valid_ndcg_10_tuned": best["value"],
                "valid_ndcg_10_reference": _with_settings(others, best["settings"]),
                "found": ", ".join(
                    f"{name} {_few(value)}" for name, value in best["settings"].items()
                ),
                "at_edge": ", ".join(best["at_edge"]) or "no",
            }
        )
    return found


def _with_settings(trials: list[dict], settings: dict) -> float | None:
    """The value of the trial that ended with these of its settings, if there is one."""
    for trial in trials:
        tried = json.loads(trial["settings"])
        if trial["state"] == "complete" and tried.items() <= settings.items():
            return trial["valid_ndcg_10"]
    return None


def _few(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else json.dumps(value)
