"""skipwise's own models, measured like the peers: TrainStep on its batches of 64, then the ranks of
the contexts' targets.

The same 1,000 drawn candidates, and the batch's targets, for all positions of a batch.  Ranking
includes the way from the context to the query.  Of every second session the target is among its
best 1,000 tracks, as after training, of the others it is drawn by popularity; with a cut-off, a
session leaves the count once its rank is past it.
"""

import statistics
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2] / "workflow" / "scripts"))

from bench_training import SETTINGS, VARIANTS
from measure import THREADS, Clock, answer, case, counted, peak_gib
from skipwise.core.torch_setup import use_threads
from skipwise.models.gru4rec import GRU4Rec
from skipwise.models.sasrec import SASRec
from skipwise.ranking.ranker import ranker
from skipwise.sessions.sequences import Ragged, Sequences
from skipwise.training.batches import Batches
from skipwise.training.loop import TrainStep

MODELS = {
    "SASRec orig": (SASRec, "orig", "float32"),
    "SASRec contrastive-hidden": (SASRec, "contrastive-hidden", "float32"),
    "SASRec orig, bfloat16": (SASRec, "orig", "bfloat16"),
    "GRU4Rec orig": (GRU4Rec, "orig", "float32"),
    "GRU4Rec orig, bfloat16": (GRU4Rec, "orig", "bfloat16"),
}


def read(path: Path) -> Sequences:
    """The sessions of a file."""
    table = pq.read_table(path)
    n = len(table)
    nothing = Ragged(np.empty(0, np.int32), np.zeros(n + 1, np.int64))
    tracks, skipped = (Ragged.from_arrow(table[name]) for name in ("tracks", "skipped"))
    return Sequences(
        table["session_id"].to_numpy(), tracks, skipped, np.zeros(n, np.int32), nothing
    )


def targets(model, contexts: Sequences, rng: np.random.Generator) -> Ragged:
    """A target for each context."""
    drawn = (model.n_tracks ** rng.random(len(contexts))).astype(np.int32)
    for start in range(0, len(contexts), 512):
        rows = np.arange(start, min(start + 512, len(contexts)), 2)
        scores = model.queries(contexts.take(rows)) @ model.vectors[1:].T
        best = scores.topk(1000).indices.numpy() + 1
        drawn[rows] = best[np.arange(len(rows)), (1000 ** rng.random(len(rows))).astype(int)]
    return Ragged(drawn, np.arange(len(contexts) + 1))


def main() -> None:
    given = case(__doc__)
    use_threads(THREADS)
    kind, variant, precision = MODELS[given.model]
    known = kind.SETTINGS | kind.OPTIONAL
    settings = {name: value for name, value in SETTINGS.items() if name in known}
    model = kind(given.tracks, settings | VARIANTS[variant] | {"precision": precision})
    model.initialise(1)
    model.network.train()
    train, rng = read(given.data / "sessions.parquet"), np.random.default_rng(1)
    batches = Batches(train, SETTINGS["batch_size"])
    step = TrainStep(model, steps=10_000, rng=rng)
    clock = Clock(given.seconds)
    for batch in counted(
        lambda: batches.epoch(rng),
        clock,
        lambda batch: (len(batch.tracks), int(batch.predicted.sum())),
    ):
        step(batch)
    sessions_per_s, targets_per_s = clock.rates()
    trained_gib = peak_gib()

    contexts = read(given.data / "contexts.parquet")
    with torch.inference_mode():
        items = targets(model, contexts, rng)
    ranking = ranker(model, train.counts(given.tracks))
    seconds: dict[int | None, list[float]] = {None: [], 1000: [], 10: []}
    for _ in range(3):
        for cutoff, taken in seconds.items():
            started = time.perf_counter()
            ranking.rank(contexts, items, cutoff=cutoff)
            taken.append(time.perf_counter() - started)
    every, to_1000, to_10 = (len(contexts) / statistics.median(taken) for taken in seconds.values())
    answer(
        given,
        "torch",
        step_ms=clock.step_ms,
        sessions_per_s=sessions_per_s,
        targets_per_s=targets_per_s,
        ranked_per_s=every,
        ranked_to_1000_per_s=to_1000,
        ranked_to_10_per_s=to_10,
        train_gib=trained_gib,
        peak_gib=peak_gib(),
    )


if __name__ == "__main__":
    main()
