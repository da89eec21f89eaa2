"""Session kNN: the tracks of the training sessions that are most like this one (Jannach & Ludewig
2017).
"""

import numpy as np
import torch
from scipy.sparse import csr_matrix, diags
from torch import Tensor

from skipwise.recommender import Recommender, Savepoint
from skipwise.sessions.sequences import Sequences

SEARCH = {"neighbours": {"low": 10, "high": 2000, "log": True}}


class SessionKNN(Recommender):
    """Score = sum over the ``neighbours`` most similar training sessions that hold the track of
    their similarity.

    Similarity is the cosine of the sets of played tracks.  The session's own train sequence is no
    neighbour.  Ties of similarity at the border are broken by the order of the training sessions.
    """

    family = "baseline"
    SETTINGS = frozenset({"neighbours"})

    def fit(
        self,
        train: Sequences,
        valid: Sequences,
        *,
        seed: int,
        threads: int,
        checkpoint: Savepoint | None = None,
    ) -> list[dict]:
        self.session_id = train.session_id.astype(np.int32)
        self._use(train.matrix(self.n_tracks))
        return []

    def score(self, contexts: Sequences) -> Tensor:
        similarity = (_unit_sets(contexts.matrix(self.n_tracks)) @ self.unit.T).toarray()  # (B, S)
        similarity[contexts.session_id[:, None] == self.session_id] = 0
        beyond = similarity.shape[1] - self.settings["neighbours"]
        if beyond > 0:
            order = np.argsort(-similarity, axis=1, kind="stable")[:, self.settings["neighbours"] :]
            np.put_along_axis(similarity, order, 0, axis=1)
        return torch.from_numpy((csr_matrix(similarity) @ self.sets).toarray())

    def state(self) -> dict[str, Tensor]:
        parts = {
            name: torch.from_numpy(getattr(self.sets, name))
            for name in ("data", "indices", "indptr")
        }
        return parts | {"session_id": torch.from_numpy(self.session_id)}

    def load_state(self, state: dict[str, Tensor]) -> None:
        self.session_id = state["session_id"].numpy()
        parts = tuple(state[name].numpy() for name in ("data", "indices", "indptr"))
        self._use(csr_matrix(parts, shape=(len(self.session_id), self.n_tracks + 1)))

    def _use(self, plays: csr_matrix) -> None:
        self.sets = csr_matrix(
            (np.ones_like(plays.data), plays.indices, plays.indptr), shape=plays.shape
        )
        self.unit = _unit_sets(self.sets)


def _unit_sets(plays: csr_matrix) -> csr_matrix:
    """Rows of 0 and 1 scaled to length 1."""
    sets = csr_matrix((np.ones_like(plays.data), plays.indices, plays.indptr), shape=plays.shape)
    return (diags(np.diff(sets.indptr).clip(min=1).astype(np.float32) ** -0.5) @ sets).tocsr()


MODEL = SessionKNN
