"""Search of learning rate, α and τ on validation data: the same number of trials for every variant
of every model.

The test data is not an input of anything here.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from skipwise.core.artifacts import read_artifact, read_json, whole_file, write_artifact, write_json
from skipwise.core.log import logger
from skipwise.core.paths import hive_keys
from skipwise.core.registry import find_model
from skipwise.core.schemas import ARTIFACTS
from skipwise.sessions.sequences import Sequences
from skipwise.training.memory import check_memory

SEARCHED = ("learning_rate", "alpha", "tau")
VARIANT = ("dataset", "split", "model", "variant")


def trial_settings(settings: dict, space: dict[str, list[float]], trial: int, seed: int) -> dict:
    """The settings of a trial: trial 0 has those of the configuration, the others are drawn.

    ``space`` maps the name of a setting to its lowest and highest value, between which it is drawn
    log-uniformly.  Every variant gets the same draws of the settings that it uses: one without a
    skip loss has no α and τ, so its trials differ only in the learning rate.
    """
    if trial == 0:
        return settings
    names = sorted(space)
    # The draws of scikit-learn's ParameterSampler over loguniform ranges, without its import.
    share = np.random.RandomState(seed).uniform(size=(trial, len(names)))[-1]
    low, high = np.log([space[name] for name in names]).T
    drawn = dict(zip(names, np.exp(low + share * (high - low)), strict=True))
    return settings | {name: float(f"{drawn[name]:.3g}") for name in names if name in settings}


def run_trial(
    train: str,
    valid: str,
    tracks: str,
    split: str,
    out_history: str,
    out_trial: str,
    *,
    recommender: str,
    settings: dict,
    tuning: dict,
    trial: int,
    seed: int,
    threads: int,
) -> None:
    """Train one model with the settings of a trial; write its ``history`` and its settings."""
    space = {name: tuning[name] for name in SEARCHED}
    settings = trial_settings(settings, space, trial, tuning["seed"])
    logger.info("trial %d of %s: %s", trial, recommender, settings)
    n_tracks, n_sessions = (pq.read_metadata(path).num_rows for path in (tracks, train))
    model = find_model(recommender)(n_tracks, settings)
    model.candidates = read_json(split)["headline"]
    check_memory(model.family, settings, n_tracks=n_tracks, n_sessions=n_sessions)
    parts = Sequences.read("train", train), Sequences.read("valid", valid)
    history = model.fit(*parts, seed=seed, threads=threads)
    table = pa.Table.from_pylist(history, schema=ARTIFACTS["history"].schema)
    write_artifact(table, "history", out_history)
    write_json({"settings": settings, "seed": seed}, out_trial)


def trial_rows(trials: list[str]) -> list[dict]:
    """One row per trial: its keys, its settings and the validation metrics of its best epoch.

    ``trials`` are the json files of :func:`run_trial`, each next to its history.  ``chosen`` marks
    the best trial of each variant, which has the highest validation NDCG@10; the earlier of equals.
    """
    rows: list[dict] = []
    best_of: dict[tuple, dict] = {}
    for path in trials:
        keys, settings = hive_keys(path), read_json(path)["settings"]
        history = read_artifact("history", Path(path).with_name("history.parquet")).to_pylist()
        best = next(row for row in history if row["best"])
        row = {
            **{name: keys[name] for name in VARIANT},
            "trial": int(keys["trial"]),
            **{name: settings.get(name) for name in SEARCHED},
            "valid_ndcg_10": best["valid_ndcg_10"],
            "valid_hr_10": best["valid_hr_10"],
            "best_epoch": best["epoch"],
            "epochs": len(history),
            "seconds": sum(epoch["seconds"] for epoch in history),
            "chosen": False,
        }
        rows.append(row)
        variant = tuple(row[name] for name in VARIANT)
        if variant not in best_of or row["valid_ndcg_10"] > best_of[variant]["valid_ndcg_10"]:
            best_of[variant] = row
    for row in best_of.values():
        row["chosen"] = True
    return rows


def collect_trials(trials: list[str], overlays: list[str]) -> None:
    """Write for each data set and split an overlay with the best settings of each variant.

    ``overlays`` are the paths to write, with the keys of data set and split.
    """
    chosen = [row for row in trial_rows(trials) if row["chosen"]]
    for path in overlays:
        keys = hive_keys(path)
        place = keys["dataset"], keys["split"]
        _write_overlay([row for row in chosen if (row["dataset"], row["split"]) == place], path)


def _write_overlay(rows: list[dict], path: str) -> None:
    """A configuration overlay with the settings that were chosen for each variant."""
    registry: dict[str, dict] = {}
    for row in rows:
        settings = {name: row[name] for name in SEARCHED if row[name] is not None}
        registry.setdefault(row["model"], {"variants": {}})["variants"][row["variant"]] = settings
    overlay = {
        "datasets": [rows[0]["dataset"]],
        "splits": [rows[0]["split"]],
        "model_registry": registry,
    }
    with whole_file(path) as partial:
        head = "# Chosen on validation data by `snakemake tune`.\n"
        partial.write_text(head + yaml.safe_dump(overlay), encoding="utf-8")
