"""Search of learning rate, α and τ on validation data: the same number of trials for every variant
of every model.

The test data is no input of anything here.
"""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from scipy.stats import loguniform
from sklearn.model_selection import ParameterSampler

from skipwise.core.artifacts import read_artifact, read_json, whole_file, write_artifact, write_json
from skipwise.core.log import logger
from skipwise.core.paths import hive_keys
from skipwise.core.registry import find_model
from skipwise.core.schemas import ARTIFACTS
from skipwise.report.write import data_source, write_table
from skipwise.sessions.sequences import Sequences
from skipwise.training.memory import check_memory


def trial_settings(settings: dict, space: dict[str, list[float]], trial: int, seed: int) -> dict:
    """The settings of a trial: trial 0 has those of the configuration, the others draw
    log-uniformly from ``space``.

    ``space`` maps learning_rate, alpha and tau to their lowest and highest value.  Every variant
    gets the same draws of what it uses; ``orig`` has no α and τ, so its trials differ in the
    learning rate alone.
    """
    if trial == 0:
        return settings
    ranges = {name: loguniform(*limits) for name, limits in space.items()}
    drawn = list(ParameterSampler(ranges, trial, random_state=seed))[-1]
    return settings | {
        name: float(f"{value:.3g}") for name, value in drawn.items() if name in settings
    }


def run_trial(
    train: str,
    valid: str,
    tracks: str,
    out_history: str,
    out_trial: str,
    *,
    model: str,
    settings: dict,
    tuning: dict,
    trial: int,
    seed: int,
    threads: int,
) -> None:
    """Train one model with the settings of a trial; write its ``history`` and what it reached on
    validation as json.
    """
    space = {name: tuning[name] for name in ("learning_rate", "alpha", "tau")}
    settings = trial_settings(settings, space, trial, tuning["seed"])
    logger.info("trial %d of %s: %s", trial, model, settings)
    n_tracks = pq.read_metadata(tracks).num_rows
    recommender = find_model(model)(n_tracks, settings)
    check_memory(
        recommender.family, settings, n_tracks=n_tracks, n_sessions=pq.read_metadata(train).num_rows
    )
    history = recommender.fit(
        Sequences.read("train", train), Sequences.read("valid", valid), seed=seed, threads=threads
    )
    write_artifact(
        pa.Table.from_pylist(history, schema=ARTIFACTS["history"].schema), "history", out_history
    )
    write_json({"settings": settings, "seed": seed}, out_trial)


def collect_trials(
    trials: list[str],
    outputs: dict[str, str],
    overlays: list[str],
    *,
    simulated: list[str],
    budget: int,
) -> None:
    """The table of all trials, and for each data set and split an overlay with the best settings of
    each variant.

    ``trials`` are the json files of :func:`run_trial`, each beside its history; ``overlays`` are
    the paths to write, with the keys of data set and split.  The best trial has the highest
    validation NDCG@10, the earlier one of equals.
    """
    rows, chosen = [], {}
    for path in trials:
        keys, settings = hive_keys(path), read_json(path)["settings"]
        history = read_artifact("history", Path(path).with_name("history.parquet")).to_pylist()
        best = next(row for row in history if row["best"])
        row = {
            **{name: keys[name] for name in ("dataset", "split", "model", "variant")},
            "data": data_source(keys["dataset"], simulated),
            "trial": int(keys["trial"]),
            **{name: settings.get(name) for name in ("learning_rate", "alpha", "tau")},
            "valid_ndcg_10": best["valid_ndcg_10"],
            "valid_hr_10": best["valid_hr_10"],
            "best_epoch": best["epoch"],
            "epochs": len(history),
            "seconds": sum(epoch["seconds"] for epoch in history),
            "chosen": False,
        }
        rows.append(row)
        key = (row["dataset"], row["split"], row["model"], row["variant"])
        if key not in chosen or row["valid_ndcg_10"] > chosen[key]["valid_ndcg_10"]:
            chosen[key] = row
    for row in chosen.values():
        row["chosen"] = True
    write_table(
        rows,
        ARTIFACTS["tuning"],
        outputs,
        title="Tuning on validation data",
        note=f"{budget} trials for every variant, trial 0 with the configured settings; chosen: the highest validation NDCG@10 "
        "of a variant. No test data is read.",
    )
    for path in overlays:
        keys = hive_keys(path)
        _write_overlay(
            [row for key, row in chosen.items() if key[:2] == (keys["dataset"], keys["split"])],
            path,
        )


def _write_overlay(rows: list[dict], path: str) -> None:
    """A configuration overlay that sets what was chosen for each variant of one data set and split."""
    registry: dict[str, dict] = {}
    for row in rows:
        settings = {
            name: row[name] for name in ("learning_rate", "alpha", "tau") if row[name] is not None
        }
        registry.setdefault(row["model"], {"variants": {}})["variants"][row["variant"]] = settings
    overlay = {
        "datasets": [rows[0]["dataset"]],
        "splits": [rows[0]["split"]],
        "model_registry": registry,
    }
    with whole_file(path) as partial:
        partial.write_text(
            "# Chosen on validation data by `snakemake tune`.\n" + yaml.safe_dump(overlay),
            encoding="utf-8",
        )
