"""Times the ranking of sessions in complete catalogues: part of `make bench`.  Run it on an idle
machine.

Queries and tracks are random vectors; of every second session the target is among its best 1,000
tracks, as after training, of the others it is drawn by popularity.  Random scores do not follow
popularity, so a cut-off helps less here than on data. `--device cuda` ranks on a GPU.
"""

import argparse
import statistics
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow" / "scripts"))

from skipwise.core.torch_setup import use_threads
from skipwise.ranking.ranker import ranker
from skipwise.recommender import VectorRecommender
from skipwise.sessions.sequences import Ragged, Sequences

DIMENSION = 128
AT_ONCE = 256


class Vectors(VectorRecommender):
    """A model with given vectors; the query of a session is the row of its id."""

    vectors = None

    def __init__(self, sessions: Tensor, vectors: Tensor):
        super().__init__(len(vectors) - 1, {})
        self.sessions, self.vectors = sessions, vectors

    def queries(self, contexts: Sequences) -> Tensor:
        return self.sessions[contexts.session_id]

    fit = state = load_state = None


def case(n_tracks: int, n_sessions: int, device: str) -> tuple[Vectors, Sequences, np.ndarray]:
    """A model, sessions with a target each, and the popularity of the tracks."""
    generator, rng = torch.Generator().manual_seed(1), np.random.default_rng(1)
    popularity = n_tracks / np.arange(1.0, n_tracks + 2)
    vectors = torch.randn(n_tracks + 1, DIMENSION, generator=generator) * DIMENSION**-0.5
    vectors[:, 0] += torch.from_numpy(0.05 * np.log(popularity)).float()
    queries = torch.randn(n_sessions, DIMENSION, generator=generator)
    queries[:, 0].abs_()
    target = (n_tracks ** rng.random(n_sessions)).astype(np.int32)
    best = torch.cat(
        [(part @ vectors.T)[:, 1:].topk(1000).indices + 1 for part in queries[::2].split(AT_ONCE)]
    ).numpy()
    target[::2] = best[np.arange(len(best)), (1000 ** rng.random(len(best))).astype(int)]
    ends = np.arange(n_sessions + 1)
    one, nothing = (
        np.ones(n_sessions, np.int32),
        Ragged(np.empty(0, np.int32), np.zeros(n_sessions + 1, np.int64)),
    )
    contexts = Sequences(ends[:-1], Ragged(one, ends), Ragged(one == 0, ends), target, nothing)
    return Vectors(queries.to(device), vectors.to(device)), contexts, popularity


def top_1000(model: Vectors, contexts: Sequences) -> None:
    """The way of most libraries: all scores of a batch, and the best tracks of each session."""
    for part in model.queries(contexts).split(AT_ONCE):
        (part @ model.vectors.T).topk(1000)


def all_at_once(model: Vectors, contexts: Sequences) -> None:
    """All scores of a batch, compared with the target's."""
    target = torch.from_numpy(contexts.target.astype(np.int64)).to(model.vectors.device)
    for part, wanted in zip(
        model.queries(contexts).split(AT_ONCE), target.split(AT_ONCE), strict=True
    ):
        scores = part @ model.vectors.T
        (scores >= scores.gather(1, wanted[:, None])).sum(1)


def brute_force(
    model: Vectors, contexts: Sequences, at_once: int = 16
) -> tuple[np.ndarray, np.ndarray]:
    """(S,) ranks of all targets by products in float64, and (S,) whether one of them is a tie.

    A tie is another score as near to the target's as two orders of adding up can differ.
    """
    vectors, found = model.vectors[1:].double(), []
    lengths = vectors.norm(dim=1, keepdim=True)
    for start in range(0, len(contexts), at_once):
        rows = slice(start, start + at_once)
        queries = model.sessions[contexts.session_id[rows]].double()
        target = torch.from_numpy(contexts.target[rows] - 1).long().to(queries.device)
        above = vectors @ queries.T  # (N, B)
        above -= above.gather(0, target[None])
        nearest = 2 * DIMENSION * 2.0**-53 * queries.norm(dim=1) * (lengths + lengths[target, 0])
        found.append(torch.stack([(above >= 0).sum(0), (above.abs() <= nearest).sum(0)]))
    rank, near = torch.cat(found, 1).cpu().numpy()
    return rank, near > 1


def main() -> None:
    """Print the table of docs/performance.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--sessions", type=int, default=2048)
    parser.add_argument(
        "--checked",
        type=int,
        default=1000,
        help="sessions whose ranks are compared with a brute force's",
    )
    parser.add_argument("--tracks", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    given = parser.parse_args()
    use_threads(given.threads)
    finish, where = lambda: None, f"{given.threads} thread(s)"
    if given.device == "cuda":
        finish, where = torch.cuda.synchronize, torch.cuda.get_device_name()
    print(f"torch {torch.__version__}, {where}, {given.sessions} sessions\n")
    print(
        "| tracks | all scores, top 1,000 | all scores, compared | all ranks | ranks to 1,000 "
        "| ranks to 10 |\n|---|---|---|---|---|---|"
    )
    for n_tracks in given.tracks:
        model, contexts, popularity = case(n_tracks, given.sessions, given.device)
        ranking = ranker(model, popularity)
        targets = Ragged(contexts.target, np.arange(len(contexts) + 1))
        ways = [partial(top_1000, model, contexts), partial(all_at_once, model, contexts)]
        cutoffs = (None, 1000, 10)
        ways += [partial(ranking.rank, contexts, targets, cutoff=cutoff) for cutoff in cutoffs]
        times: list[list[float]] = [[] for _ in ways]
        # In turn, so that a machine that slows down slows all of them down.
        for _ in range(3):
            for way, taken in zip(ways, times, strict=True):
                started = time.perf_counter()
                way()
                finish()
                taken.append(time.perf_counter() - started)
        print(
            f"| {n_tracks:,} | "
            + " | ".join(f"{given.sessions / statistics.median(taken):,.0f}" for taken in times)
            + " |",
            flush=True,
        )
        if given.checked:
            some = contexts.take(np.arange(min(given.checked, len(contexts))))
            targets = Ragged(some.target, np.arange(len(some) + 1))
            exact, tied = brute_force(model, some)
            for cutoff in (None, 1000):
                expected = exact if cutoff is None else np.where(exact <= cutoff, exact, 0)
                equal = ranking.rank(some, targets, cutoff=cutoff).full == expected
                named = "all ranks" if cutoff is None else f"ranks to {cutoff:,}"
                of_all = (
                    f"{equal.sum()} of {len(some)} equal to float64, "
                    f"{(tied & ~equal).sum()} others by ties"
                )
                print(f"{n_tracks:,} tracks, {named}: {of_all}", file=sys.stderr)


if __name__ == "__main__":
    main()
