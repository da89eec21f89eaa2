"""Times a training step and its fast parts: `make bench`.  Run it on an idle machine.

`--device cuda` times the steps on a GPU.
"""

import argparse
import itertools
import resource
import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow" / "scripts"))

from skipwise.core.torch_setup import use_threads
from skipwise.models.parts.layers import Dropout
from skipwise.models.sasrec import SASRec
from skipwise.sessions.sequences import Ragged, Sequences
from skipwise.training.batches import Batches
from skipwise.training.loop import TrainStep

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
    "targets": "listened",
    "layers": 2,
    "heads": 8,
    "feed_forward": 128,
    "norm": "post",
    "positions": "end",
    "head": "linear-gelu",
    "scale": False,
    "initialization": None,
}
# By variant, the settings of its way to use skips.
VARIANTS: dict[str, dict] = {
    "orig": {"way": None},
    **{
        f"contrastive-{query}": {
            "way": "contrastive",
            "query": query,
            "alpha": 1.0,
            "beta": 1.0,
            "tau": 0.1,
        }
        for query in ("item", "hidden")
    },
}


def sessions(n: int, n_tracks: int, rng: np.random.Generator) -> Sequences:
    """Train sequences of 10 to 20 tracks with a Zipf-like popularity, 45 % skipped."""
    lengths = np.where(rng.random(n) < 0.45, 20, rng.integers(10, 20, n))
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    tracks = (n_tracks ** rng.random(offsets[-1])).astype(np.int32)
    skipped = rng.random(offsets[-1]) < 0.45
    skipped[offsets[1:] - 1] = False
    nothing = Ragged(np.zeros(0, np.int32), np.zeros(n + 1, np.int64))
    return Sequences(
        np.arange(n, dtype=np.int32),
        Ragged(tracks, offsets),
        Ragged(skipped, offsets),
        np.zeros(n),
        nothing,
    )


def milliseconds(run, repeats: int = 5) -> float:
    """Median time of a call."""
    run()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        run()
        times.append((time.perf_counter() - started) * 1e3)
    return statistics.median(times)


class Case(NamedTuple):
    """The data of a timed step."""

    tracks: int = 100_000
    sessions: int = 64 * 40
    dimension: int = 128


class Measured(NamedTuple):
    """Median milliseconds of a step of each variant, milliseconds to order an epoch, and the peak
    of memory in GiB: that of the process or, on a GPU, the memory that torch has reserved there.
    """

    orig: float
    contrastive: float
    order: float
    peak: float


def peak_memory(device: str) -> float:
    """The peak of memory of this process in GiB."""
    if device == "cuda":
        return torch.cuda.max_memory_reserved() / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def measure(case: Case, threads: int, settings: dict) -> Measured:
    """Time the steps of SASRec at batch 64: the first forty batches of an epoch, both variants in
    turn.
    """
    use_threads(threads)
    rng = np.random.default_rng(1)
    of_case = sessions(case.sessions, case.tracks, rng)
    batches = Batches(of_case, 64)
    steps: dict[str, TrainStep] = {}
    times: dict[str, list[float]] = {"orig": [], "contrastive-hidden": []}
    for variant in times:
        of_variant = VARIANTS[variant] | {"dimension": case.dimension}
        model = SASRec(case.tracks, SETTINGS | settings | of_variant)
        model.initialise(1)
        model.network.train()
        steps[variant] = TrainStep(model, steps=10_000, rng=rng)
        if variant == "orig":
            for batch in itertools.islice(batches.epoch(rng), 3):
                steps[variant](batch)
            peak = peak_memory(settings["device"])
    first = list(itertools.islice(batches.epoch(rng), 40))
    for _ in range(5):
        for variant, taken in times.items():
            started = time.perf_counter()
            for batch in first:
                done = steps[variant](batch)
            done.cpu()  # a GPU may be behind
            taken.append((time.perf_counter() - started) * 1e3 / len(first))
    order = milliseconds(lambda: next(batches.epoch(rng)))
    return Measured(*(statistics.median(taken[1:]) for taken in times.values()), order, peak)


def main() -> None:
    """Print the tables of docs/performance.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument(
        "--case",
        nargs=3,
        type=int,
        metavar=("TRACKS", "SESSIONS", "DIMENSION"),
        action="append",
        help="instead of the table's cases; two models of so many tracks must fit into memory",
    )
    given = parser.parse_args()
    threads, settings = given.threads, {"device": given.device, "precision": given.precision}
    where = torch.cuda.get_device_name() if given.device == "cuda" else f"{threads} thread(s)"
    print(f"torch {torch.__version__}, {where}, {given.precision}\n")
    print(
        "| tracks | sessions | dimension | step orig, ms | step contrastive-hidden, ms "
        "| sessions/s orig | peak GiB | three tables, GiB | order of an epoch, ms |\n"
        "|---|---|---|---|---|---|---|---|---|"
    )
    cases = [Case(*case) for case in given.case or []]
    if not cases:
        cases += [Case(tracks=n) for n in (10_000, 100_000, 1_000_000, 3_000_000)]
        cases += [Case(sessions=n) for n in (25_600, 450_000)]
        cases += [Case(dimension=n) for n in (32, 64, 256)]
    for case in cases:
        # One process per case, for its peak of memory.
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            found = pool.submit(measure, case, threads, settings).result()
        tables = 3 * 4 * case.tracks * case.dimension / 2**30
        print(
            f"| {case.tracks:,} | {case.sessions:,} | {case.dimension} | {found.orig:.1f} "
            f"| {found.contrastive:.1f} | {64e3 / found.orig:,.0f} | {found.peak:.2f} "
            f"| {tables:.2f} | {found.order:.0f} |",
            flush=True,
        )

    if given.device == "cuda" or given.case:
        return
    use_threads(threads)
    generator = torch.Generator().manual_seed(1)
    masked = torch.randn(64, 8, 20, 20, generator=generator)
    dropout = Dropout(0.2, generator).train()
    plain = milliseconds(
        lambda: masked * torch.empty_like(masked).bernoulli_(0.8, generator=generator).mul_(1.25),
        50,
    )
    ours = milliseconds(lambda: dropout(masked), 50)
    print("\n| part | plain torch, ms | here, ms | ratio |\n|---|---|---|---|")
    print(f"| dropout of (64, 8, 20, 20) | {plain:.2f} | {ours:.2f} | {plain / ours:.1f} |")


if __name__ == "__main__":
    main()
