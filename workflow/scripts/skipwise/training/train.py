"""Training a model as the workflow does it, and the folder it leaves: weights, history and
run.json.
"""

import hashlib
import json
import math
import platform
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from safetensors.torch import save_file

from skipwise.core.artifacts import read_json, sha256, whole_file, write_artifact, write_json
from skipwise.core.log import logger
from skipwise.core.provenance import environment
from skipwise.core.registry import find_model
from skipwise.core.schemas import ARTIFACTS
from skipwise.ranking.gains import validation_metrics
from skipwise.ranking.ranker import ranker, validation_ranks, validation_sample
from skipwise.recommender import Recommender
from skipwise.sessions.sequences import Sequences
from skipwise.training.checkpoints import Checkpoint, Finished
from skipwise.training.memory import check_memory, peak_memory, squares_of
from skipwise.training.saved import HISTORY, RUN, WEIGHTS


def train_model(
    train: str,
    valid: str,
    tracks: str,
    split: str,
    folder: str | Path,
    *,
    model: str,
    recommender: str,
    variant: str,
    settings: dict,
    seed: int,
    threads: int,
    validation_sessions: int = 10_000,
    settings_source: str = "as configured",
    best: str | None = None,
    checkpoint: str | Path | None = None,
    finished: str | Path | None = None,
    code: Iterable[str] = (),
) -> None:
    """Fit a model on a split and write its folder: weights, history and ``run.json``.

    ``model`` is its name in the registry, ``recommender`` that of its file; ``split`` is the
    ``split.json``, which says what candidates validation ranks among.  ``best`` is the
    ``best.json`` of a search, whose settings are taken over; ``settings_source`` says in words
    where the settings are from.  At most ``validation_sessions`` are ranked to validate.
    A model that trains for long saves itself in the file ``checkpoint`` and continues from there if
    everything that it depends on is the same, the files ``code`` too.  If the same training has
    ended before, it is taken over from the folder ``finished``, where it is kept.  Raises UserError
    if there is too little memory.
    """
    folder = Path(folder)
    if best:
        settings = settings | read_json(best)["settings"]
    n_tracks = pq.read_metadata(tracks).num_rows
    n_sessions = pq.read_metadata(train).num_rows
    fitted: Recommender = find_model(recommender)(n_tracks, settings)
    fitted.candidates = read_json(split)["headline"]
    logger.info("%s %s, seed %d: %d tracks, settings %s", model, variant, seed, n_tracks, settings)
    check_memory(
        fitted.family,
        settings,
        n_tracks=n_tracks,
        n_sessions=n_sessions,
        squares=squares_of(recommender),
    )
    data = {"train": sha256(train), "valid": sha256(valid), "tracks": sha256(tracks)}
    mark = fingerprint(
        recommender,
        [settings, settings_source, validation_sessions],
        [fitted.candidates, seed, threads],
        data,
        code=code,
    )
    kept = Finished(finished, mark) if finished else None
    weights, epochs, run = files = folder / WEIGHTS, folder / HISTORY, folder / RUN
    if kept and kept.take(*files):
        return
    parts = Sequences.read("train", train), Sequences.read("valid", valid)
    history = fitted.fit(
        *parts,
        seed=seed,
        threads=threads,
        checkpoint=Checkpoint(checkpoint, mark) if checkpoint else None,
    )
    with whole_file(weights) as partial:
        save_file(fitted.state(), partial)
    best_epoch = next((row for row in history if row["best"]), {})
    if best_epoch.get("valid_ndcg_10") is None:
        best_epoch = best_epoch | validated(fitted, *parts, validation_sessions)
    value = best_epoch["valid_ndcg_10"]
    schema = ARTIFACTS["history"].schema
    write_artifact(pa.Table.from_pylist(history, schema=schema), "history", epochs)
    write_json(
        {
            "model": model,
            "recommender": recommender,
            "variant": variant,
            "seed": seed,
            "settings": settings,
            "candidates": fitted.candidates,
            "settings_source": settings_source,
            "n_tracks": n_tracks,
            "threads": threads,
            "epochs": len(history),
            "best_epoch": best_epoch.get("epoch"),
            "valid_ndcg_10": None if math.isnan(value) else value,
            "learned": None if fitted.floor is None or math.isnan(value) else value > fitted.floor,
            "seconds": sum(row["seconds"] for row in history),
            "peak_bytes": peak_memory(),
            "data": data,
            **environment(),
        },
        run,
    )
    if kept:
        kept.keep(*files)
    if checkpoint:
        Path(checkpoint).unlink(missing_ok=True)


def validated(
    model: Recommender, train: Sequences, valid: Sequences, validation_sessions: int
) -> dict[str, float]:
    """The validation metrics of a fitted model that has no epochs with validation."""
    sessions = validation_sample(valid, validation_sessions)
    ranking = ranker(model, train.counts(model.n_tracks))
    ranks = validation_ranks(ranking, sessions, cutoff=10, candidates=model.candidates)
    return validation_metrics(ranks)


def fingerprint(*things: object, code: Iterable[str], packages: Iterable[str] = ()) -> str:
    """A hash of everything that the bits of a training or ranking depend on: ``things`` that json
    can hold, files of code, versions of libraries, to which ``packages`` adds, and the processor.
    """
    libraries = ("torch", "numpy", "implicit", "polars", "pyarrow", *packages)
    depends_on = [
        things,
        {name: version(name) for name in libraries},
        platform.python_version(),
        [platform.machine(), torch.backends.cpu.get_cpu_capability()],
        sorted(map(sha256, code)),
    ]
    return hashlib.sha256(json.dumps(depends_on, sort_keys=True).encode()).hexdigest()
