"""The speed-up of a training step by a change: the steps of two checkouts in turn, on the same
batches.

    git worktree add ../before main~1
    python tools/compare_steps.py ../before . --tracks 1000000 --threads 2

Two runs of the same step differ by more than most changes bring.  Here both steps take the same
batch, one right after the other and first by turns, so that other work of the machine slows both
down; the median of the ratios is the effect of the change.  The layout of memory differs between
processes: call it a few times.
"""

import argparse
import importlib
import itertools
import statistics
import sys
import time
from pathlib import Path
from types import ModuleType

import numpy as np

MODELS = ["sasrec", "gru4rec"]  # those that `make bench` and `make bench-peers` have settings for
WARM_UP = 10


def load(checkout: Path, models: list[str]) -> tuple[ModuleType, dict[str, type]]:
    """The module `bench_training` of a checkout, and its classes of models; the modules of another
    checkout are unloaded.
    """
    for name in [
        name for name in sys.modules if name.partition(".")[0] in ("skipwise", "bench_training")
    ]:
        del sys.modules[name]
    folders = [str(checkout.resolve() / "tools"), str(checkout.resolve() / "workflow" / "scripts")]
    sys.path[:0] = folders
    try:
        bench = importlib.import_module("bench_training")
        find_model = importlib.import_module("skipwise.core.registry").find_model
        return bench, {model: find_model(model) for model in models}
    finally:
        sys.path[:] = [folder for folder in sys.path if folder not in folders]


def step_of(bench: ModuleType, model: type, n_tracks: int, variant: str):
    """A training step of a model on the settings of `make bench`."""
    known = model.SETTINGS | model.OPTIONAL
    settings = {name: value for name, value in bench.SETTINGS.items() if name in known}
    recommender = model(n_tracks, settings | bench.VARIANTS[variant])
    recommender.initialise(1)
    recommender.network.train()
    return bench.TrainStep(recommender, steps=100_000, rng=np.random.default_rng(1))


def compare(steps: list, batches: list) -> tuple[list[float], list[float]]:
    """Milliseconds of each batch with either step."""
    times: tuple[list[float], list[float]] = ([], [])
    for number, batch in enumerate(batches):
        for which in (0, 1) if number % 2 else (1, 0):
            started = time.perf_counter()
            steps[which](batch)
            times[which].append((time.perf_counter() - started) * 1e3)
    return times[0][WARM_UP:], times[1][WARM_UP:]


def main() -> None:
    """Print a table with one row per model."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("before", type=Path, help="folder of a checkout")
    parser.add_argument("after", type=Path, help="folder of another")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS)
    parser.add_argument(
        "--variant",
        choices=["orig", "contrastive-item", "contrastive-hidden"],
        default="orig",
    )
    parser.add_argument("--tracks", type=int, default=1_000_000)
    parser.add_argument("--batches", type=int, default=256)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    checkouts = [load(folder, given.models) for folder in (given.before, given.after)]
    bench, _ = checkouts[1]
    bench.use_threads(given.threads)
    print("| model | before, ms | after, ms | ratio | its quartiles |\n|---|---|---|---|---|")
    for model in given.models:
        rng = np.random.default_rng(1)
        train = bench.sessions(64 * (given.batches + WARM_UP), given.tracks, rng)
        batches = list(
            itertools.islice(bench.Batches(train, 64).epoch(rng), given.batches + WARM_UP)
        )
        steps = [
            step_of(of, classes[model], given.tracks, given.variant) for of, classes in checkouts
        ]
        before, after = compare(steps, batches)
        low, middle, high = statistics.quantiles(b / a for b, a in zip(before, after, strict=True))
        times = " | ".join(f"{statistics.median(taken):.1f}" for taken in (before, after))
        print(f"| {model} | {times} | {middle:.2f} | {low:.2f} to {high:.2f} |", flush=True)


if __name__ == "__main__":
    main()
