"""Cornac's GRU4Rec on the sessions of a split, trained by its own `fit`.

The iterator that `fit` takes an epoch's batches from is wrapped so that the validation data is
ranked after each epoch; the epoch with the best validation NDCG@10 counts.  `score` ranks one
session at a time, so contexts of one length are ranked by the same steps together.  Defaults are
Cornac's but for the size of the layer and the number of epochs.
"""

import contextlib
import time
from collections import defaultdict
from collections.abc import Iterator

import numpy as np
import torch
from cornac.data import SequentialDataset
from cornac.models import GRU4Rec
from cornac.models.gru4rec import recom_gru4rec
from quality import MOST_EPOCHS, Contexts, EarlyStop, Job, Run, answer, best, job, joined


class EnoughError(Exception):
    """Further epochs bring nothing."""


def dataset(train: Contexts) -> SequentialDataset:
    """One row per play, in order."""
    rows = [
        (session, track, place)
        for session, tracks in zip(train.sessions.tolist(), train.tracks, strict=True)
        for place, track in enumerate(tracks)
    ]
    return SequentialDataset.from_sit(rows, seed=1)


@torch.inference_mode()
def scores(model: GRU4Rec, contexts: list[list[int]]) -> np.ndarray:
    """What Cornac's `score` says after contexts of the same length, of its numbers of tracks."""
    model.model.eval()
    states = [torch.zeros(len(contexts), size) for size in model.layers]
    out = None
    for step in torch.tensor(contexts).T:
        out = model.model.forward(step, states, None, training=False)
    assert out is not None
    return out[:, : model.total_items].numpy()


def predict(model: GRU4Rec, fitted: SequentialDataset, contexts: Contexts) -> Run:
    """The best tracks after each context, without the tracks that were not fitted."""
    numbers = dict(fitted.iid_map)
    tracks = np.array(sorted(numbers, key=numbers.__getitem__))
    groups = defaultdict(list)
    for row, context in enumerate(contexts.known(set(numbers))):
        if context:
            groups[len(context)].append((row, [numbers[track] for track in context]))
    runs = []
    for rows in groups.values():
        found = scores(model, [context for _, context in rows])
        runs.append(best(contexts.sessions[[row for row, _ in rows]], found, tracks))
    return joined(runs)


def fitted(given: Job) -> EarlyStop:
    """The best look of the training that the job asks for."""
    torch.manual_seed(given.seed)
    np.random.seed(given.seed)
    train = dataset(given.train())
    model = GRU4Rec(
        layers=[given.dimension], n_epochs=MOST_EPOCHS, seed=given.seed, **given.settings
    )
    looks = EarlyStop(given, lambda contexts: predict(model, train, contexts))
    plain, epochs = recom_gru4rec.io_iter, iter(range(1, MOST_EPOCHS + 1))

    def watched(**arguments: object) -> Iterator:
        yield from plain(**arguments)
        if looks.look(next(epochs)):
            raise EnoughError
        model.model.train()

    recom_gru4rec.io_iter = watched
    with contextlib.suppress(EnoughError):
        model.fit(train)
    return looks


def main() -> None:
    given, started = job(__doc__), time.perf_counter()
    torch.set_num_threads(given.threads)
    looks = fitted(given)
    answer(given, "cornac", looks.run, started, **looks.found())


if __name__ == "__main__":
    main()
