"""Shared by the scripts of all peers: the case to measure, the settings of the process, the clock,
the answer.

A script is run by tools/bench_peers.py with the Python of its peer's environment.  It gets a folder
with

- ``sessions.parquet``: session_id, tracks (list of 1..N, 10 to 20 of them), skipped; the training
  data,
- ``contexts.parquet``: the same columns; sessions after which the complete catalogue is ranked,
- ``catalogue.parquet``: sessions of 20 that play every track once, for peers that take their
  catalogue from the training data,

and writes one line of JSON.  Only the steps are timed: not imports, reading, building the model,
nor the first steps.
"""

import argparse
import ctypes
import json
import logging
import resource
import statistics
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import pyarrow.parquet as pq
import torch

THREADS = 2
LENGTH = 20
DIMENSION = 128
LAYERS = 2
HEADS = 8
DROPOUT = 0.2
NEGATIVES = 1000
TOP = 10
# Sessions that are scored against the whole catalogue at once.
AT_ONCE = 256


def case(description: str) -> argparse.Namespace:
    """The arguments of the script, and the process set up for them."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--tracks", type=int, required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--settings", choices=["shipped", "same", "math"], required=True)
    parser.add_argument("--seconds", type=float, default=1.5, help="of a window")
    given = parser.parse_args()
    for noisy in ("lightning", "lightning.pytorch", "pytorch_lightning", "recbole"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    torch.manual_seed(1)
    torch.set_num_threads(THREADS)
    if given.settings != "shipped":
        # oneDNN multiplies instead of MKL, of factors that it rounds to bfloat16 where the
        # processor multiplies these, and glibc keeps large blocks for the next step instead of
        # giving them back.
        torch.set_float32_matmul_precision("medium")
        trim_threshold, mmap_threshold = -1, -3
        ctypes.CDLL(None).mallopt(mmap_threshold, 2**30)
        ctypes.CDLL(None).mallopt(trim_threshold, 2**31 - 1)
    if given.settings == "math":
        # The fused attention of the processor can be several times slower with "medium" from 17
        # tokens on.
        torch.backends.cuda.enable_flash_sdp(False)
    return given


def lists(path: Path, column: str = "tracks") -> list[list[int]]:
    """A list column of a parquet file."""
    return pq.read_table(path, columns=[column])[column].to_pylist()


@dataclass
class Clock:
    """Steps in windows of some seconds, after a warm-up; a slow step is its own window."""

    seconds: float
    windows: int = 3
    warm_up: int = 1
    _started: float = 0.0
    _steps: int = 0
    _counts: tuple[int, ...] = ()
    _done: list[tuple[float, int, tuple[int, ...]]] = field(default_factory=list)

    @property
    def is_over(self) -> bool:
        return len(self._done) >= self.windows

    def tick(self, *counts: int) -> bool:
        """Count a step with so many of each thing; returns whether the windows are full."""
        now = time.perf_counter()
        if self.warm_up:
            self.warm_up -= 1
            self._started = now
            return False
        self._steps += 1
        self._counts = tuple(map(sum, zip(self._counts or (0,) * len(counts), counts, strict=True)))
        if now - self._started >= self.seconds and not self.is_over:
            self._done.append((now - self._started, self._steps, self._counts))
            self._started, self._steps, self._counts = now, 0, ()
        return self.is_over

    @property
    def step_ms(self) -> float:
        return 1e3 * statistics.median(seconds / steps for seconds, steps, _ in self._done)

    def rates(self) -> list[float]:
        """Median over the windows of each count per second."""
        each = [[count / seconds for count in counts] for seconds, _, counts in self._done]
        return [statistics.median(rates) for rates in zip(*each, strict=True)]


def counted(
    epoch: Callable[[], Iterable], clock: Clock, counts: Callable[..., tuple[int, ...]]
) -> Iterator:
    """The batches of epoch after epoch; the clock ticks when the next is requested.

    ``counts`` gives the counts of a batch.
    """
    while True:
        for batch in epoch():
            yield batch
            if clock.tick(*counts(batch)):
                return


def peak_gib() -> float:
    """The peak memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def answer(given: argparse.Namespace, package: str, **found: float) -> None:
    """Write the answer that the driver reads."""
    print(
        json.dumps(
            {
                "version": version(package),
                "torch": torch.__version__,
                "model": given.model,
                "tracks": given.tracks,
                "settings": given.settings,
                **found,
            }
        ),
        flush=True,
    )
