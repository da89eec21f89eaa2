"""Times a training step and what was done to make it fast: `make bench`.  Run it on an idle machine."""

import argparse
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow" / "scripts"))

from skipwise.models.neural import Dropout
from skipwise.models.sasrec import SASRec
from skipwise.sequences import Ragged, Sequences
from skipwise.training import Batches, TrainStep

SETTINGS = {
    "dimension": 128,
    "dropout": 0.2,
    "learning_rate": 0.005,
    "batch_size": 64,
    "sampled_candidates": 1000,
    "gradient_clip": 5.0,
    "min_epochs": 1,
    "max_epochs": 100,
    "patience": 1,
    "validation_sessions": 1,
    "max_length": 20,
    "layers": 2,
    "heads": 8,
    "feed_forward": 128,
    "alpha": 1.0,
    "beta": 1.0,
    "tau": 0.1,
}


def sessions(n: int, n_tracks: int, rng: np.random.Generator) -> Sequences:
    """Train sequences of 10 to 20 tracks with a Zipf-like popularity, 45 % skipped."""
    lengths = np.where(rng.random(n) < 0.45, 20, rng.integers(10, 20, n))
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    tracks = (n_tracks ** rng.random(offsets[-1])).astype(np.int32)
    skipped = rng.random(offsets[-1]) < 0.45
    skipped[offsets[1:] - 1] = False
    nothing = Ragged(np.zeros(0, np.int32), np.zeros(n + 1, np.int64))
    return Sequences(np.arange(n, dtype=np.int32), Ragged(tracks, offsets), Ragged(skipped, offsets), np.zeros(n), nothing)


def milliseconds(run, repeats: int = 5) -> float:
    """Median time of a call."""
    run()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        run()
        times.append((time.perf_counter() - started) * 1e3)
    return statistics.median(times)


def step_time(n_tracks: int, query: str | None) -> float:
    """Median milliseconds of a step at batch 64."""
    rng = np.random.default_rng(1)
    model = SASRec(n_tracks, SETTINGS | {"query": query})
    model.initialise(1)
    model.network.train()
    batches = list(Batches(sessions(64 * 40, n_tracks, rng), 64).epoch(rng))
    step = TrainStep(model, steps=10_000, rng=rng)

    def epoch():
        for batch in batches:
            step(batch)

    return milliseconds(epoch) / len(batches)


def main() -> None:
    """Print the tables of docs/performance.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    torch.set_num_threads(parser.parse_args().threads)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} thread(s)\n")
    print("| tracks | step orig, ms | step contrastive-hidden, ms | sessions/s orig |\n|---|---|---|---|")
    for n_tracks in (10_000, 100_000, 1_000_000):
        plain, contrastive = step_time(n_tracks, None), step_time(n_tracks, "hidden")
        print(f"| {n_tracks:,} | {plain:.1f} | {contrastive:.1f} | {64e3 / plain:,.0f} |")

    generator = torch.Generator().manual_seed(1)
    masked = torch.randn(64, 8, 20, 20, generator=generator)
    dropout = Dropout(0.2, generator).train()
    plain = milliseconds(lambda: masked * torch.empty_like(masked).bernoulli_(0.8, generator=generator).mul_(1.25), 50)
    ours = milliseconds(lambda: dropout(masked), 50)
    print("\n| part | plain torch, ms | here, ms | ratio |\n|---|---|---|---|")
    print(f"| dropout of (64, 8, 20, 20) | {plain:.2f} | {ours:.2f} | {plain / ours:.1f} |")


if __name__ == "__main__":
    main()
