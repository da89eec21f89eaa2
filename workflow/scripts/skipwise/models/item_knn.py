"""Item kNN: the tracks that most often share a session with those of the context.

Sarwar et al. (WWW 2001) and Deshpande & Karypis (ACM TOIS 2004), with the shrinkage of Bell & Koren
(ICDM 2007) and the decay in time of Ding & Li (CIKM 2005).
"""

import numpy as np
import torch
from scipy.sparse import csr_matrix, diags, vstack
from torch import Tensor

from skipwise.core.log import logger
from skipwise.models.parts.plays import (
    blocks,
    decay,
    largest,
    matrix_of,
    tensors_of,
    weighted_tracks,
)
from skipwise.recommender import Recommender, Savepoint
from skipwise.sessions.sequences import Sequences
from skipwise.training.batches import may_be_target

LIMITS = {
    "neighbours": {"type": "integer", "minimum": 1},
    "shrinkage": {"type": "number", "minimum": 0},
    "weighting": {"enum": ["none", "linear", "quadratic", "log"]},
    "half_life": {"type": ["number", "null"], "exclusiveMinimum": 0},
    "targets": {"enum": ["listened", "labelled", "next"]},
}
SEARCH = {
    "neighbours": {"low": 10, "high": 3000, "log": True},
    "shrinkage": {"low": 1, "high": 1000, "log": True},
    "weighting": {"choices": ["none", "linear", "quadratic", "log"]},
}


class ItemKNN(Recommender):
    """Score = sum over the tracks of the context, weighted by ``weighting``, of the similarity to
    their ``neighbours`` most similar tracks.

    The similarity of a track i to j is c_ij / (√(n_i m_j) + ``shrinkage``): c_ij is the number of
    training sessions that played i and in which j, another track, may be a target; n_i that of the
    sessions that played i; m_j that of the sessions in which j may be a target.  With ``targets:
    listened`` a track may be a target where it was listened to, with ``next`` everywhere, so that
    no label is read.

    With a ``half_life`` in days a session counts by its age at the end of the training: half for
    each half-life before the last session.  Where the data has no time that has no effect.
    """

    family = "baseline"
    SETTINGS = frozenset({"neighbours", "shrinkage", "weighting", "half_life", "targets"})

    def fit(
        self,
        train: Sequences,
        valid: Sequences,
        *,
        seed: int,
        threads: int,
        checkpoint: Savepoint | None = None,
    ) -> list[dict]:
        age = self._age(train)
        played = weighted_tracks(train, self.n_tracks)
        may_follow = weighted_tracks(
            train,
            self.n_tracks,
            plays=may_be_target(train, self.settings["targets"], self.labels).values,
        )
        n, m = played.T @ age, may_follow.T @ age  # (N + 1,)
        sessions, counted = played.T.tocsr(), (diags(age) @ may_follow).tocsr()
        # Products of a track: the tracks of all sessions that it is in.
        cells = sessions @ np.diff(may_follow.indptr)
        self.similar = vstack(
            [
                self._most_similar(sessions[rows] @ counted, np.arange(len(n))[rows], n, m)
                for rows in blocks(cells)
            ],
            "csr",
        )
        return []

    def _most_similar(
        self, together: csr_matrix, tracks: np.ndarray, n: np.ndarray, m: np.ndarray
    ) -> csr_matrix:
        """(R, N + 1) float32 similarities of the neighbours of ``tracks`` (R,), from their weighted
        common sessions ``together``.
        """
        cells = together.tocoo()
        i, j = tracks[cells.row], cells.col
        similarity = cells.data / (np.sqrt(n[i] * m[j]) + self.settings["shrinkage"])
        other = i != j
        found = csr_matrix(
            (similarity[other].astype(np.float32), (cells.row[other], j[other])),
            shape=cells.shape,
        )
        return largest(found, self.settings["neighbours"])

    def _age(self, train: Sequences) -> np.ndarray:
        """(S,) weight of each session."""
        if self.settings["half_life"] is None:
            return np.ones(len(train))
        if train.time is None:
            logger.warning("half_life has no effect: not every train session has a time")
            return np.ones(len(train))
        return decay(train.time.max() - train.time, self.settings["half_life"])

    def score(self, contexts: Sequences) -> Tensor:
        weights = weighted_tracks(contexts, self.n_tracks, self.settings["weighting"])
        return torch.from_numpy((weights @ self.similar).toarray().astype(np.float32))

    def state(self) -> dict[str, Tensor]:
        return tensors_of(self.similar, "similar")

    def load_state(self, state: dict[str, Tensor]) -> None:
        self.similar = matrix_of(state, "similar", self.n_tracks)


MODEL = ItemKNN
