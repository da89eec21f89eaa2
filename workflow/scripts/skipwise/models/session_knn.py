"""Session kNN: the tracks of the training sessions that are most like this one.

S-KNN of Jannach & Ludewig (RecSys 2017) and V-SKNN of Ludewig & Jannach (UMUAI 2018), which
compares sessions with more weight on the plays at the end of the context.
"""

import numpy as np
import torch
from scipy.sparse import csr_matrix, diags
from torch import Tensor

from skipwise.core.log import logger
from skipwise.models.parts.plays import (
    blocks,
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
    "sample_size": {"type": ["integer", "null"], "minimum": 1},
    "weighting": {"enum": ["none", "linear", "quadratic", "log"]},
    "idf": {"type": "boolean"},
    "targets": {"enum": ["listened", "labelled", "next"]},
}
SEARCH = {
    "neighbours": {"low": 10, "high": 2000, "log": True},
    "weighting": {"choices": ["none", "linear", "quadratic", "log"]},
    "idf": {"choices": [False, True]},
}


class SessionKNN(Recommender):
    """Score = sum over the ``neighbours`` most similar training sessions that vote for the track of
    their similarity.

    Similarity is the cosine of the played tracks of the context, weighted by ``weighting``, and of
    those of the training session; with ``idf`` both are also weighted by log(S / sessions of the
    track).  A neighbour votes for the tracks that may be a target: with ``targets: listened`` those
    it listened to, with ``next`` all, so that no label is read.  Only the ``sample_size`` latest of
    the sessions that share a track are compared (null: all); without times that is all.

    The session's own train sequence is no neighbour.  Ties at a border are broken by the order of
    the training sessions.
    """

    family = "baseline"
    SETTINGS = frozenset({"neighbours", "weighting", "idf", "sample_size", "targets"})

    def fit(
        self,
        train: Sequences,
        valid: Sequences,
        *,
        seed: int,
        threads: int,
        checkpoint: Savepoint | None = None,
    ) -> list[dict]:
        if self.settings["sample_size"] is not None and train.time is None:
            logger.warning("sample_size has no effect: not every train session has a time")
        votes = weighted_tracks(
            train,
            self.n_tracks,
            plays=may_be_target(train, self.settings["targets"], self.labels).values,
        )
        time = np.zeros(len(train)) if train.time is None else train.time
        plays = weighted_tracks(train, self.n_tracks)
        self._use(train.session_id.astype(np.int32), time.astype(np.float64), plays, votes)
        return []

    def score(self, contexts: Sequences) -> Tensor:
        weights = weighted_tracks(contexts, self.n_tracks, self.settings["weighting"])
        weights = self._unit(weights)
        # Products of a row: the sessions that each of its tracks is in.
        cells = (weights != 0) @ np.diff(self.sessions.indptr)
        scores = np.empty((len(contexts), self.n_tracks + 1), np.float32)
        for rows in blocks(cells):
            neighbours = self._neighbours(weights[rows], contexts.session_id[rows])
            scores[rows] = (neighbours @ self.votes).toarray()
        return torch.from_numpy(scores)

    def _neighbours(self, weights: csr_matrix, session_id: np.ndarray) -> csr_matrix:
        """(R, S) similarity of each context's neighbours."""
        similarity = (weights @ self.sessions).tocoo()
        row, column = similarity.row, similarity.col
        other = (self.session_id[column] != session_id[row]) & (similarity.data > 0)
        shape, row, column = similarity.shape, row[other], column[other]
        similarity = csr_matrix((similarity.data[other], (row, column)), shape=shape)
        if (size := self.settings["sample_size"]) is not None and self.time.any():
            # The latest ones: ranks of times are whole numbers, so equal times stay in order.
            place = np.unique(self.time, return_inverse=True)[1] + 1.0
            latest = csr_matrix((place[column], (row, column)), shape=shape)
            similarity = similarity.multiply(largest(latest, size) > 0).tocsr()
        return largest(similarity, self.settings["neighbours"])

    def state(self) -> dict[str, Tensor]:
        return {
            "session_id": torch.from_numpy(self.session_id),
            "time": torch.from_numpy(self.time),
            **tensors_of(self.plays, "plays"),
            **tensors_of(self.votes, "votes"),
        }

    def load_state(self, state: dict[str, Tensor]) -> None:
        plays, votes = (matrix_of(state, name, self.n_tracks) for name in ("plays", "votes"))
        self._use(state["session_id"].numpy(), state["time"].numpy(), plays, votes)

    def _use(
        self, session_id: np.ndarray, time: np.ndarray, plays: csr_matrix, votes: csr_matrix
    ) -> None:
        self.session_id, self.time, self.plays, self.votes = session_id, time, plays, votes
        of_track = np.bincount(plays.indices, minlength=self.n_tracks + 1)
        self.idf = np.log(max(len(session_id), 1) / of_track.clip(min=1))
        self.sessions = self._unit(plays).T.tocsr()  # (N + 1, S)

    def _unit(self, weights: csr_matrix) -> csr_matrix:
        """Rows of weights scaled to length 1."""
        if self.settings["idf"]:
            weights = weights @ diags(self.idf)
        length = np.sqrt(np.asarray(weights.multiply(weights).sum(1)).ravel())
        return (diags(1 / np.where(length > 0, length, 1)) @ weights).tocsr()


MODEL = SessionKNN
