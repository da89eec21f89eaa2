"""The ranker of a model, and ranks on validation sessions."""

import numpy as np

from skipwise.ranking.base import Ranker, ScoreRanker
from skipwise.ranking.vectors import VectorRanker
from skipwise.recommender import Recommender, VectorRecommender
from skipwise.sessions.sequences import Ragged, Sequences


def validation_ranks(
    ranker: Ranker, sequences: Sequences, *, cutoff: int | None, candidates: str = "full"
) -> np.ndarray:
    """(S,) rank of each session's target among the ``candidates`` full or new, NaN past ``cutoff``.

    Among new candidates only sessions whose target is one count: S is their number.
    """
    found = ranker.rank(sequences, _targets(sequences), cutoff=cutoff)
    ranks = found.new[~sequences.repeats()] if candidates == "new" else found.full
    return np.where(ranks > 0, ranks, np.nan)


def validation_sample(valid: Sequences, most: int) -> Sequences:
    """The validation sessions that are ranked: at most ``most``, the same at every call."""
    if len(valid) <= most:
        return valid
    chosen = np.random.default_rng(0).choice(len(valid), most, replace=False)
    return valid.take(np.sort(chosen))


def _targets(sequences: Sequences) -> Ragged:
    """One row per session, with its target."""
    return Ragged(sequences.target, np.arange(len(sequences) + 1))


def ranker(model: Recommender, popularity: np.ndarray) -> Ranker:
    """The ranker of a model.  ``popularity`` (N + 1,) orders the catalogue; it changes the time
    that ranking takes, no rank.
    """
    return (
        VectorRanker(model, popularity)
        if isinstance(model, VectorRecommender) and model.products
        else ScoreRanker(model)
    )
