"""What a ranker gives, and the ranker of models that score the whole catalogue."""

from abc import ABC, abstractmethod
from typing import NamedTuple

import numpy as np
import torch

from skipwise.core.errors import DivergedError
from skipwise.core.schemas import PADDING
from skipwise.recommender import Recommender
from skipwise.sessions.sequences import Ragged, Sequences

# Scores of a batch against the whole catalogue stay below this many bytes, where a model gives all
# scores at once.
SCORE_BYTES = 128 * 2**20
SESSIONS = 512


class Ranks(NamedTuple):
    """Ranks of I tracks of S sessions; 0, which no rank is, stands for none.

    ``full`` (I,) is the rank in the catalogue, ``new`` (I,) that in the catalogue without the
    tracks of the context, 0 for a track of the context; both are 0 past the cut-off.  ``sampled``
    (S,) is the rank of each session's first item among its drawn candidates, empty without them.
    ``outranks`` (I,) says whether an item scores at least as high as the first of its session.
    """

    full: np.ndarray
    new: np.ndarray
    sampled: np.ndarray
    outranks: np.ndarray


class Ranker(ABC):
    """Ranks for one model."""

    @abstractmethod
    def rank(
        self,
        contexts: Sequences,
        items: Ragged,
        candidates: np.ndarray | None = None,
        *,
        cutoff: int | None = None,
    ) -> Ranks:
        """Rank the tracks ``items`` (S rows, I values, no row empty) of each session.

        ``candidates`` (S, C) are drawn tracks, padded with 0.  Ranks past ``cutoff`` need not be
        known; None means that every rank counts.  Raises DivergedError where a score is not finite,
        because a rank of it would mean nothing.
        """


class ScoreRanker(Ranker):
    """Ranks for a model that gives the scores of the whole catalogue."""

    def __init__(self, model: Recommender):
        self.model = model
        self.sessions = int(np.clip(SCORE_BYTES // (4 * (model.n_tracks + 1)), 1, SESSIONS))

    def rank(self, contexts, items, candidates=None, *, cutoff=None):
        ranks, seen, among, outranks = [], [], [np.empty(0, np.int64)], []
        for start in range(0, len(contexts), self.sessions):
            rows = np.arange(start, min(start + self.sessions, len(contexts)))
            wanted = items.take(rows)
            row, item = (
                torch.from_numpy(wanted.row_of_value()),
                torch.from_numpy(wanted.values.astype(np.int64)),
            )
            scores = self.model.score(contexts.take(rows))
            tracks = scores[:, 1:]
            finite = torch.isfinite(tracks).all(1)
            if not finite.all():
                first = contexts.session_id[rows[int((~finite).nonzero()[0])]]
                raise diverged(first, self.model)
            own = scores[row, item]
            first = own[torch.from_numpy(wanted.offsets[:-1])]
            # One comparison of whole rows for each place in a row: few sessions have many items.
            rank = torch.empty(len(item), dtype=torch.int64)
            place = torch.arange(len(item)) - torch.from_numpy(wanted.offsets)[row]
            for k in range(int(place.max()) + 1):
                at = (place == k).nonzero()[:, 0]
                above = (tracks[row[at]] >= own[at, None]).numpy()
                rank[at] = torch.tensor([np.count_nonzero(of_row) for of_row in above])
            ranks.append(rank.numpy())
            of_item, track = pairs_with_context(contexts.take(rows), wanted)
            reaches = (scores[row[of_item], track] >= own[of_item]).numpy()
            seen.append(np.bincount(of_item[reaches], minlength=len(item)))
            outranks.append((own >= first[row]).numpy())
            if candidates is not None:
                drawn = torch.from_numpy(candidates[rows].astype(np.int64))
                of_drawn = scores.gather(1, drawn).masked_fill_(drawn == PADDING, -torch.inf)
                among.append((of_drawn >= first[:, None]).sum(1).numpy())
        return told(
            contexts,
            items,
            joined(ranks, np.int64),
            joined(seen, np.int64),
            np.concatenate(among),
            joined(outranks, bool),
            cutoff,
        )


def pairs_with_context(contexts: Sequences, items: Ragged) -> tuple[np.ndarray, np.ndarray]:
    """Each item with each distinct track of its session's context: (P,) index of the item, (P,)
    track, both int64.
    """
    of_session = contexts.distinct_tracks()
    of_item = of_session.take(items.row_of_value())
    return of_item.row_of_value(), of_item.values.astype(np.int64)


def told(
    contexts: Sequences,
    items: Ragged,
    ranks: np.ndarray,
    seen: np.ndarray,
    sampled: np.ndarray,
    outranks: np.ndarray,
    cutoff: int | None,
) -> Ranks:
    """Ranks from those in the catalogue (I,), which need only be right up to ``cutoff`` and the
    number of tracks of a context, and (I,) the number of tracks of the context that score at least
    as high as the item.
    """
    of_item, track = pairs_with_context(contexts, items)
    in_context = np.zeros(len(ranks), bool)
    in_context[of_item[track == items.values[of_item]]] = True
    new = np.where(in_context, 0, ranks - seen)
    return Ranks(cut(ranks, cutoff), cut(new, cutoff), sampled, outranks)


def cut(ranks: np.ndarray, cutoff: int | None) -> np.ndarray:
    return ranks if cutoff is None else np.where(ranks <= cutoff, ranks, 0)


def joined(parts: list[np.ndarray], dtype: type) -> np.ndarray:
    return np.concatenate([np.empty(0, dtype), *parts])


def diverged(session: int, model: Recommender) -> DivergedError:
    remedy = "change its settings in model_registry"
    if "learning_rate" in model.settings:
        remedy = "lower the learning_rate of the model (or neural.learning_rate)"
    return DivergedError(
        f"the model gives session {session} a score that is not finite: its training diverged; "
        f"{remedy} and run again"
    )
