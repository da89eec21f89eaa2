"""Decayed popularity: the tracks with most plays in training around the time of the session.

Popularity in a window of time (Ji et al., "A Re-visit of the Popularity Baseline in Recommender
Systems", SIGIR 2020), with weights that halve in place of the window.
"""

from typing import Literal

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import Tensor

from skipwise.core.log import logger
from skipwise.models.parts.plays import decay, matrix_of, tensors_of
from skipwise.recommender import Recommender, Savepoint
from skipwise.sessions.sequences import Sequences

LIMITS = {
    "half_life": {"type": "number", "exclusiveMinimum": 0},
}
SEARCH = {"half_life": {"low": 0.5, "high": 1000.0, "log": True}}


class DecayedPopularity(Recommender):
    """Score = sum over the plays in the train sequences of other sessions, listened or skipped, of
    0.5^(days between the two sessions / ``half_life``).

    All of the training is before a held-out session in a temporal split; in other splits sessions
    after it count too, as they do for every model.  A context without a time is one at the end of
    the training.  Where the data has no time the decay has no effect: the score is the number of
    plays.
    """

    family = "baseline"
    SETTINGS = frozenset({"half_life"})

    def fit(
        self,
        train: Sequences,
        valid: Sequences,
        *,
        seed: int,
        threads: int,
        checkpoint: Savepoint | None = None,
    ) -> list[dict]:
        if train.time is None:
            logger.warning("half_life has no effect: not every train session has a time")
        order = np.argsort(train.session_id, kind="stable")
        time = np.zeros(len(train)) if train.time is None else train.time
        self.session_id = train.session_id[order].astype(np.int32)
        self.time = time[order].astype(np.float64)
        self.plays = train.matrix(self.n_tracks)[order].astype(np.float64)
        return []

    def score(self, contexts: Sequences) -> Tensor:
        time = contexts.time
        if time is None or not self.time.any():
            time = np.full(len(contexts), self.time.max())
        at, of_context = np.unique(time, return_inverse=True)  # (U,), (B,)
        sums = self._sums(at, self.time, "left")
        sums += self._sums(-at[::-1], -self.time, "right")[::-1]
        row, track, plays = self._own(contexts.session_id, time)
        others = sums[of_context[row], track] - plays
        scores = sums.astype(np.float32)[of_context]
        scores[row, track] = others.clip(min=0)
        return torch.from_numpy(scores)

    def _sums(self, at: np.ndarray, time: np.ndarray, side: Literal["left", "right"]) -> np.ndarray:
        """(U, N + 1) decayed plays up to each of the times ``at`` (U,), which ascend; with ``side``
        right only those before it.
        """
        # A session counts from the first of the times that is not before it, and decays on.
        first = np.searchsorted(at, time, side=side)
        session = np.flatnonzero(first < len(at))
        first = first[session]
        weight = decay(at[first] - time[session], self.settings["half_life"])
        shape = (len(at), len(time))
        new = csr_matrix((weight, (first, session)), shape=shape) @ self.plays
        sums = new.toarray()
        for k in range(1, len(at)):
            sums[k] += decay(at[k] - at[k - 1], self.settings["half_life"]) * sums[k - 1]
        return sums

    def _own(self, session_id: np.ndarray, time: np.ndarray) -> tuple[np.ndarray, ...]:
        """Row of the context, track and decayed plays of the cells of the contexts' own train
        sequences.
        """
        train = np.searchsorted(self.session_id, session_id).clip(max=len(self.session_id) - 1)
        row = np.flatnonzero(self.session_id[train] == session_id)
        train = train[row]
        days = np.abs(time[row] - self.time[train])
        own = self.plays[train].tocoo()
        return row[own.row], own.col, own.data * decay(days, self.settings["half_life"])[own.row]

    def state(self) -> dict[str, Tensor]:
        return {
            "session_id": torch.from_numpy(self.session_id),
            "time": torch.from_numpy(self.time),
            **tensors_of(self.plays, "plays"),
        }

    def load_state(self, state: dict[str, Tensor]) -> None:
        self.session_id, self.time = state["session_id"].numpy(), state["time"].numpy()
        self.plays = matrix_of(state, "plays", self.n_tracks)


MODEL = DecayedPopularity
