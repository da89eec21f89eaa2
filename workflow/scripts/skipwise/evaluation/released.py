"""What the metric of the papers' released code would print (docs/released_code.md, metrics).

It ranks in batches of test sessions: the candidates of a session are its target, the targets of the
other sessions of its batch, and drawn tracks.  And it numbers the sessions of each batch from 0 and
groups by this number what MAP and the MRR of skips are computed from, so that one query has the
candidates and the relevant tracks of as many sessions as there are batches.
"""

from typing import NamedTuple

import numpy as np

from skipwise.core.schemas import PADDING
from skipwise.ranking.candidates import sampled_candidates
from skipwise.recommender import Recommender
from skipwise.sessions.sequences import Sequences

CUTOFF = 10


class Best(NamedTuple):
    """The best candidates of each query, in order: their scores and which are relevant (Q, 10)."""

    scores: np.ndarray
    relevant: np.ndarray


def released_metrics(
    model: Recommender, test: Sequences, *, batch: int, candidates: int, seed: int
) -> list[dict]:
    """HR@10 and MAP@10 of the targets and MRR@10 of unseen skips: ``sampled``, the mean over
    sessions, and ``merged``, that over the queries whose sessions are merged over batches.

    The relevant tracks of the MRR are the unseen skips of a session, which are candidates too.  HR
    is not merged.  A batch of 64 has the sessions and draws of the ranks among sampled candidates.
    """
    order = np.random.default_rng([seed, 0]).permutation(len(test))
    of_target: list[Best] = []
    of_skips: list[Best] = []
    for start in range(0, len(test), batch):
        sessions = test.take(order[start : start + batch])
        rng = np.random.default_rng([seed, 1, start // batch])
        drawn = sampled_candidates(
            rng, model.n_tracks, candidates, sessions.tracks.padded(), sessions.target
        )
        scores = model.score(sessions).numpy()
        is_target = np.zeros(drawn.shape, bool)
        is_target[:, 0] = True
        of_target.append(best(scores, drawn, is_target))
        of_skips.append(best(scores, *with_skips(drawn, sessions)))
    hits = np.concatenate([part.relevant.any(1) for part in of_target])
    skipped = test.unseen_skips.lengths[order] > 0
    reciprocal = np.concatenate([first_relevant(part) for part in of_skips])
    return [
        {"metric": "hr_10", "sampled": hits.mean(), "merged": None},
        {
            "metric": "map_10",
            "sampled": np.concatenate([average_precision(part) for part in of_target]).mean(),
            "merged": average_precision(merged(of_target)).mean(),
        },
        {
            "metric": "mrr_skipped_10",
            "sampled": reciprocal[skipped].mean() if skipped.any() else None,
            "merged": first_relevant(merged(of_skips)).mean() if skipped.any() else None,
        },
    ]


def with_skips(drawn: np.ndarray, sessions: Sequences) -> tuple[np.ndarray, np.ndarray]:
    """Candidates (B, C + U) with the unseen skips of each session, each track once, and which of
    them are skips.
    """
    skips = sessions.unseen_skips.padded()
    is_skip = ((drawn[:, :, None] == skips[:, None, :]) & (skips[:, None, :] != PADDING)).any(2)
    again = (skips[:, :, None] == drawn[:, None, :]).any(2)
    again |= np.tril(skips[:, :, None] == skips[:, None, :], -1).any(2)
    skips = np.where(again, PADDING, skips)
    return np.concatenate([drawn, skips], 1), np.concatenate([is_skip, skips != PADDING], 1)


def best(scores: np.ndarray, candidates: np.ndarray, relevant: np.ndarray) -> Best:
    """The best of the candidates (B, C) by the scores (B, N + 1) of all tracks; 0 is none.  Among
    equal ones a relevant track is the last, as everywhere.
    """
    own = np.take_along_axis(scores, candidates.astype(np.int64), 1)
    own = np.where(candidates == PADDING, -np.inf, own)
    return _first(own, relevant & (candidates != PADDING))


def _first(scores: np.ndarray, relevant: np.ndarray) -> Best:
    order = np.lexsort((relevant, -scores), axis=1)[:, :CUTOFF]
    return Best(np.take_along_axis(scores, order, 1), np.take_along_axis(relevant, order, 1))


def merged(batches: list[Best]) -> Best:
    """The best of each query: of the sessions of the same place in every batch."""
    size = len(batches[0].scores)  # the last batch may be smaller
    scores, relevant = (
        np.concatenate(
            [
                np.pad(part[at], ((0, size - len(part[at])), (0, 0)), constant_values=fill)
                for part in batches
            ],
            axis=1,
        )
        for at, fill in ((0, -np.inf), (1, False))
    )
    return _first(scores, relevant)


def average_precision(query: Best) -> np.ndarray:
    """(Q,) the mean, over the relevant tracks among the best ten, of the precision at each; 0 if
    there is none.
    """
    precision = query.relevant.cumsum(1) / np.arange(1, query.relevant.shape[1] + 1)
    found = query.relevant.sum(1)
    return (precision * query.relevant).sum(1) / np.maximum(found, 1)


def first_relevant(query: Best) -> np.ndarray:
    """(Q,) the reciprocal rank of the first relevant track among the best ten; 0 if there is
    none.
    """
    return np.where(query.relevant.any(1), 1 / (query.relevant.argmax(1) + 1), 0.0)
