"""Cornac's GRU4Rec, which follows the official PyTorch code: session-parallel batches, sparse
gradients, Adagrad.

``fit`` is Cornac's own; the iterator that it takes its batches from is wrapped so that the clock
ticks between them.  ``shipped``: batch 512 and 2,048 negatives next to the batch's own targets,
Cornac's defaults; ``sampled-1000``: 1,000 negatives. A step has as many targets as sessions in
parallel.  Ranking is ``score``, one session at a time, because Cornac offers nothing else.
"""

import contextlib

from cornac.data import SequentialDataset
from cornac.models import GRU4Rec
from cornac.models.gru4rec import recom_gru4rec
from measure import DIMENSION, NEGATIVES, Clock, answer, case, lists, peak_gib

MODELS = {"shipped": {}, "sampled-1000": {"n_sample": NEGATIVES}}


class EnoughError(Exception):
    """Enough steps have been timed."""


def main() -> None:
    given = case(__doc__)
    sessions = lists(given.data / "sessions.parquet")
    everything = sessions + lists(given.data / "catalogue.parquet")
    rows = [
        (number, track, place)
        for number, tracks in enumerate(everything)
        for place, track in enumerate(tracks)
    ]
    dataset = SequentialDataset.from_sit(rows, seed=1)
    assert dataset.num_items == given.tracks
    train, plain = Clock(given.seconds), recom_gru4rec.io_iter

    def timed(**arguments):
        for batch in plain(**arguments):
            yield batch
            if train.tick(len(batch[0])):
                raise EnoughError

    recom_gru4rec.io_iter = timed
    model = GRU4Rec(layers=[DIMENSION], n_epochs=1000, seed=1, **MODELS[given.model])
    with contextlib.suppress(EnoughError):
        model.fit(dataset)
    (targets,) = train.rates()
    trained_gib = peak_gib()
    rank = Clock(given.seconds)
    contexts = [
        [dataset.iid_map[track] for track in tracks]
        for tracks in lists(given.data / "contexts.parquet")
    ]
    for context in contexts:
        model.score(0, context)
        if rank.tick(1):
            break
    of_session = sum(len(tracks) - 1 for tracks in sessions) / len(sessions)
    answer(
        given,
        "cornac",
        step_ms=train.step_ms,
        sessions_per_s=targets / of_session,
        targets_per_s=targets,
        ranked_per_s=rank.rates()[0],
        train_gib=trained_gib,
        peak_gib=peak_gib(),
    )


if __name__ == "__main__":
    main()
