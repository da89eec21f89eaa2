"""What a ranker gives, and the ranker of models that score the whole catalogue."""

from abc import ABC, abstractmethod

import numpy as np
import torch

from skipwise.core.errors import UserError
from skipwise.core.schemas import PADDING
from skipwise.recommender import Recommender
from skipwise.sessions.sequences import Ragged, Sequences

# Scores of a batch against the whole catalogue stay below this many bytes, where a model gives all
# scores at once.
SCORE_BYTES = 128 * 2**20
SESSIONS = 512


class Ranker(ABC):
    """Ranks for one model.  A rank past ``cutoff`` is 0, which no rank is; ``cutoff`` None means
    that every rank counts.
    """

    @abstractmethod
    def rank(
        self,
        contexts: Sequences,
        items: Ragged,
        candidates: np.ndarray | None = None,
        *,
        cutoff: int | None = None,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rank the tracks ``items`` (S rows, I values, none empty) of each session.

        Returns (I,) their ranks in the catalogue, (S,) the rank of each row's first item among its
        ``candidates``, which are (S, C), padded with 0, and (I,) whether an item scores at least as
        high as the first of its row.  Without candidates the second is empty.  Raises UserError
        where a score is not finite, because a rank of it would mean nothing.
        """


class ScoreRanker(Ranker):
    """Ranks for a model that gives the scores of the whole catalogue."""

    def __init__(self, model: Recommender):
        self.model = model
        self.sessions = int(np.clip(SCORE_BYTES // (4 * (model.n_tracks + 1)), 1, SESSIONS))

    def rank(self, contexts, items, candidates=None, *, cutoff=None):
        ranks, among, outranks = [], [np.empty(0, np.int64)], []
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
                raise diverged(contexts.session_id[rows[int((~finite).nonzero()[0])]])
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
            outranks.append((own >= first[row]).numpy())
            if candidates is not None:
                drawn = torch.from_numpy(candidates[rows].astype(np.int64))
                of_drawn = scores.gather(1, drawn).masked_fill_(drawn == PADDING, -torch.inf)
                among.append((of_drawn >= first[:, None]).sum(1).numpy())
        return (
            cut(joined(ranks, np.int64), cutoff),
            np.concatenate(among),
            joined(outranks, bool),
        )


def cut(ranks: np.ndarray, cutoff: int | None) -> np.ndarray:
    return ranks if cutoff is None else np.where(ranks <= cutoff, ranks, 0)


def joined(parts: list[np.ndarray], dtype: type) -> np.ndarray:
    return np.concatenate([np.empty(0, dtype), *parts])


def diverged(session: int) -> UserError:
    return UserError(
        f"the model gives session {session} a score that is not finite: its training diverged; "
        "lower neural.learning_rate and run again"
    )
