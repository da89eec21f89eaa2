"""Shared by the scripts that tools/compare_peers.py runs: the job, the sessions, the ranks, the run
file, the early stop.

A script gets one job: a model with its settings and a seed, the folder of a split and the part,
``valid`` or ``test``, after whose contexts it ranks the catalogue.  It trains on the train
sequences, a session being a user, and writes a run file: ``session_id``, ``track_id`` and
``score``, the best TOP tracks of each context.  A peer without scores may write any number that
falls with the rank.  A session without rows, or a track that the peer does not know, has no rank,
which is a miss.

Two candidate sets are read from one run: ``full`` is the whole catalogue; ``new`` leaves the
tracks of a context out, and a session whose target is in its context does not count.

It needs nothing but numpy and pyarrow, which every peer's environment has.
"""

import argparse
import json
import logging
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

# A context has up to 20 tracks, so that at least 80 of these are new to it.
TOP = 100
CUTOFF = 10
CANDIDATES = ("full", "new")
# Epochs without a better look at the validation data that end a training, and epochs that every
# training has: a SASRec with small initial embeddings may stay at its start for ten.
PATIENCE = 5
MIN_EPOCHS = 20
MOST_EPOCHS = 100


@dataclass(frozen=True)
class Contexts:
    """The sessions of a part of a split: their ids, the tracks of their contexts, their targets."""

    sessions: np.ndarray
    tracks: list[list[int]]
    targets: np.ndarray

    def __len__(self) -> int:
        return len(self.sessions)

    def known(self, tracks: set[int]) -> list[list[int]]:
        """The contexts without tracks that a peer does not know."""
        return [[track for track in one if track in tracks] for one in self.tracks]


@dataclass(frozen=True)
class Run:
    """The rows of a run file."""

    sessions: np.ndarray
    tracks: np.ndarray
    scores: np.ndarray


@dataclass(frozen=True)
class Job:
    """What a script is to do, see the head of this file."""

    split: Path
    n_tracks: int
    dimension: int
    model: str
    settings: dict
    seed: int
    part: str
    candidates: str
    out: Path
    threads: int

    def train(self) -> Contexts:
        return read(self.split / "train.parquet")

    def contexts(self) -> Contexts:
        return read(self.split / f"{self.part}.parquet")


def job(description: str | None) -> Job:
    """The arguments of the script as its job."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--split", type=Path, required=True, help="folder of train, valid, test")
    parser.add_argument("--tracks", type=int, required=True, dest="n_tracks")
    parser.add_argument("--dimension", type=int, default=64)
    parser.add_argument("--model", required=True)
    parser.add_argument("--settings", type=json.loads, default={}, help="as JSON")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--part", choices=["valid", "test"], required=True)
    parser.add_argument("--candidates", choices=CANDIDATES, default="full", help="to stop by")
    parser.add_argument("--out", type=Path, required=True, help="the run file")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    for noisy in ("lightning", "lightning.pytorch", "pytorch_lightning"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    return Job(**vars(given))


def read(path: Path) -> Contexts:
    """A part of a split; train sequences have target 0."""
    table = pq.read_table(path, columns=["session_id", "tracks", "target"])
    targets = [target or 0 for target in table["target"].to_pylist()]
    return Contexts(
        table["session_id"].to_numpy(), table["tracks"].to_pylist(), np.array(targets, np.int64)
    )


def best(sessions: np.ndarray, scores: np.ndarray, tracks: np.ndarray, top: int = TOP) -> Run:
    """The run of a matrix of scores, one row per session and one column per track."""
    top = min(top, scores.shape[1])
    chosen = np.argpartition(-scores, top - 1, axis=1)[:, :top]
    return Run(
        np.repeat(sessions, top),
        tracks[chosen].ravel(),
        np.take_along_axis(scores, chosen, axis=1).ravel(),
    )


def joined(runs: Sequence[Run]) -> Run:
    """Runs of different sessions as one."""
    return Run(
        *(
            np.concatenate([getattr(run, name) for run in runs])
            for name in ("sessions", "tracks", "scores")
        )
    )


def write_run(path: Path, run: Run) -> None:
    """The run file, with scores in double precision so that no tie is made."""
    columns = {
        "session_id": run.sessions.astype(np.int32),
        "track_id": run.tracks.astype(np.int32),
        "score": run.scores.astype(np.float64),
    }
    pq.write_table(pa.table(columns), path)


def read_run(path: Path) -> Run:
    """A run file; with ``rank`` in place of ``score``, the better rank scores higher."""
    table = pq.read_table(path)
    value = "score" if "score" in table.column_names else "rank"
    missing = {"session_id", "track_id", value} - set(table.column_names)
    if missing:
        raise ValueError(f"{path}: a run file has no column {', '.join(sorted(missing))}")
    scores = table[value].to_numpy().astype(np.float64)
    if not np.isfinite(scores).all():
        raise ValueError(f"{path}: a {value} is not a finite number")
    sessions, tracks = (table[name].to_numpy() for name in ("session_id", "track_id"))
    return Run(sessions, tracks, scores if value == "score" else -scores)


def ranks(run: Run, contexts: Contexts, candidates: str) -> tuple[np.ndarray, np.ndarray]:
    """The rank of every session's target, 0 if the run does not hold it, and whether the session
    counts.

    The rank is the number of the session's candidates that score at least as high, so ties count
    against the model.  Raises ValueError if the run has a session that is not one of the contexts,
    or a track twice.
    """
    n = len(contexts)
    order = np.argsort(contexts.sessions)
    places = np.searchsorted(contexts.sessions, run.sessions, sorter=order)
    row = order[np.minimum(places, n - 1)]
    strange = contexts.sessions[row] != run.sessions
    if strange.any():
        raise ValueError(f"session {run.sessions[strange][0]} of the run is not in the split")
    span = 1 + max(run.tracks.max(initial=0), contexts.targets.max(), *map(max, contexts.tracks))
    keys = row * span + run.tracks
    if len(np.unique(keys)) < len(keys):
        raise ValueError("the run has a track of a session twice")
    counts, scores = np.ones(n, bool), run.scores.copy()
    if candidates == "new":
        lengths = [len(tracks) for tracks in contexts.tracks]
        seen = np.repeat(np.arange(n), lengths) * span + np.concatenate(contexts.tracks)
        counts = ~np.isin(np.arange(n) * span + contexts.targets, seen)
        scores[np.isin(keys, seen)] = np.nan
    is_target = run.tracks == contexts.targets[row]
    of_target = np.full(n, np.nan)
    of_target[row[is_target]] = scores[is_target]
    return np.bincount(row[scores >= of_target[row]], minlength=n), counts


def metrics(run: Run, contexts: Contexts, candidates: str) -> dict[str, float]:
    """HR@10 and NDCG@10 over the sessions that count, their number, and that of the others."""
    found, counts = ranks(run, contexts, candidates)
    hits = (found[counts] > 0) & (found[counts] <= CUTOFF)
    gains = hits / np.log2(np.maximum(found[counts], 1) + 1)
    return {
        "sessions": int(counts.sum()),
        "left_out": int((~counts).sum()),
        f"hr_{CUTOFF}": float(hits.mean()),
        f"ndcg_{CUTOFF}": float(gains.mean()),
    }


class EarlyStop:
    """Looks at the validation data while a peer trains, and keeps the run of the best look.

    ``looks`` are epoch, seconds of training without the looks themselves, and NDCG@10.
    """

    def __init__(self, job: Job, predict: Callable[[Contexts], Run]):
        self.job, self.predict = job, predict
        self.valid, self.contexts = read(job.split / "valid.parquet"), job.contexts()
        self.value, self.epoch, self.without = -1.0, 0, 0
        self.run: Run | None = None
        self.looks: list[tuple[int, float, float]] = []
        self.trained, self.since = 0.0, time.perf_counter()

    def look(self, epoch: int) -> bool:
        """Predict after this epoch; returns whether to stop."""
        self.trained += time.perf_counter() - self.since
        run = self.predict(self.valid)
        value = metrics(run, self.valid, self.job.candidates)[f"ndcg_{CUTOFF}"]
        self.without += 1
        if value > self.value:
            self.value, self.epoch, self.without = value, epoch, 0
            self.run = run if self.job.part == "valid" else self.predict(self.contexts)
        self.looks.append((epoch, round(self.trained, 3), value))
        self.since = time.perf_counter()
        return (self.without >= PATIENCE and epoch >= MIN_EPOCHS) or epoch >= MOST_EPOCHS

    def found(self) -> dict:
        """What the driver is told of the training."""
        return {"epochs": self.epoch, "valid": self.value, "looks": self.looks}


def answer(job: Job, package: str, run: Run | None, started: float, **more: object) -> None:
    """Write the run file, and the line that the driver reads."""
    if run is None:
        raise ValueError("the training ended before its first look at the validation data")
    write_run(job.out, run)
    seconds = round(time.perf_counter() - started, 1)
    print(json.dumps({"version": version(package), "seconds": seconds, **more}), flush=True)
