"""First-order Markov: what came after the last track of the context in training."""

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import Tensor

from skipwise.models.popularity import Popularity
from skipwise.recommender import Savepoint
from skipwise.sessions.sequences import Sequences
from skipwise.training.batches import following, may_be_target

LIMITS = {
    "targets": {"enum": ["listened", "labelled", "next"]},
}


class Markov(Popularity):
    """Score = how often the track was the target after the context's last track + popularity
    scaled below 1.

    The target after a play is what the setting ``targets`` says: the next listened track, or simply
    the next one.
    """

    SETTINGS = frozenset({"targets"})

    def fit(
        self,
        train: Sequences,
        valid: Sequences,
        *,
        seed: int,
        threads: int,
        checkpoint: Savepoint | None = None,
    ) -> list[dict]:
        super().fit(train, valid, seed=seed, threads=threads)
        target = following(may_be_target(train, self.settings["targets"], self.labels))
        start = target.offsets[target.row_of_value()]
        has_one, track = target.values >= 0, train.tracks.values
        cells = (track[has_one], track[(start + target.values)[has_one]])
        ones = np.ones(len(cells[0]), np.float32)
        self.follows = csr_matrix((ones, cells), shape=(self.n_tracks + 1, self.n_tracks + 1))
        return []

    def score(self, contexts: Sequences) -> Tensor:
        last = contexts.tracks.values[contexts.tracks.offsets[1:] - 1]
        return torch.from_numpy(self.follows[last].toarray()) + self.plays / (self.plays.max() + 1)

    def state(self) -> dict[str, Tensor]:
        parts = {
            name: torch.from_numpy(getattr(self.follows, name))
            for name in ("data", "indices", "indptr")
        }
        return super().state() | parts

    def load_state(self, state: dict[str, Tensor]) -> None:
        super().load_state(state)
        parts = tuple(state[name].numpy() for name in ("data", "indices", "indptr"))
        self.follows = csr_matrix(parts, shape=(self.n_tracks + 1, self.n_tracks + 1))


MODEL = Markov
