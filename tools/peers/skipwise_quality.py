"""skipwise's own neural models on the sessions of a split, trained and looked at like the peers.

The settings are those of a finished training, whole.  The look after each epoch is that of the
peers, on all validation sessions, and says when to stop; the product's own validation has one
session here, so it takes no time.
"""

import contextlib
import sys
import time
from pathlib import Path

import numpy as np
import torch
from quality import MOST_EPOCHS, Contexts, EarlyStop, Job, Run, answer, best, job, joined

sys.path.insert(0, str(Path(__file__).parents[2] / "workflow" / "scripts"))

from skipwise.core.registry import find_model
from skipwise.core.torch_setup import use_threads
from skipwise.recommender import VectorRecommender
from skipwise.sessions.sequences import Sequences


class EnoughError(Exception):
    """Further epochs bring nothing."""


@torch.inference_mode()
def predict(model: VectorRecommender, asked: Sequences) -> Run:
    """The best tracks after each context."""
    runs, tracks = [], np.arange(1, model.n_tracks + 1)
    for start in range(0, len(asked), 512):
        some = asked.take(np.arange(start, min(start + 512, len(asked))))
        scores = model.score(some)[:, 1:].numpy()
        runs.append(best(some.session_id, scores, tracks))
    return joined(runs)


def fitted(given: Job) -> EarlyStop:
    """The best look of the training that the job asks for."""
    train, valid, asked = (
        Sequences.read(part, given.split / f"{part}.parquet")
        for part in ("train", "valid", given.part)
    )
    unended = {"max_epochs": MOST_EPOCHS, "min_epochs": MOST_EPOCHS, "validation_sessions": 1}
    model = find_model(given.model.lower())(given.n_tracks, given.settings | unended)

    def ranked(contexts: Contexts) -> Run:
        return predict(model, valid if contexts is looks.valid else asked)

    def look(row: dict) -> None:
        if looks.look(row["epoch"]):
            raise EnoughError

    looks, model.watch = EarlyStop(given, ranked), look
    with contextlib.suppress(EnoughError):
        model.fit(train, valid, seed=given.seed, threads=given.threads)
    return looks


def main() -> None:
    given, started = job(__doc__), time.perf_counter()
    use_threads(given.threads)
    looks = fitted(given)
    answer(given, "torch", looks.run, started, **looks.found())


if __name__ == "__main__":
    main()
