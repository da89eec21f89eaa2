"""EASE: a linear model of tracks and tracks in closed form, the "embarrassingly shallow
autoencoder".

Steck (WWW 2019, arXiv 1905.03375).
"""

import numpy as np
import torch
from scipy.linalg import lapack
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits
from torch import Tensor

from skipwise.core.errors import DivergedError
from skipwise.models.parts.plays import weighted_tracks
from skipwise.recommender import Recommender, Savepoint
from skipwise.sessions.sequences import Sequences
from skipwise.training.batches import seen_labels

# Tables of N × N float32 that a training holds at once, and what they are.  Rules ask for them.
SQUARES = (5, "the tracks' common sessions, their inverse and the weights")
LIMITS = {
    "regularization": {"type": "number", "exclusiveMinimum": 0},
    "weighting": {"enum": ["none", "linear", "quadratic", "log"]},
    "skips": {"enum": ["preferred", "unobserved"]},
}
SEARCH = {
    "regularization": {"low": 1.0, "high": 100000.0, "log": True},
    "weighting": {"choices": ["none", "linear", "quadratic", "log"]},
}


class EASE(Recommender):
    """Score = weights of the context's tracks, by ``weighting``, times B (N × N).

    With X (S × N) the tracks of the training sessions, B is the solution of min ‖X − XB‖² +
    ``regularization`` ‖B‖² whose diagonal is 0: with P = (XᵀX + ``regularization`` I)⁻¹, b_ij =
    −p_ij / p_jj.  What a skipped track is, the setting ``skips`` says:

    - ``preferred`` (variant ``orig``): the same as a listened one
    - ``unobserved`` (``bl``): left out, of X and of the context
    """

    family = "baseline"
    SETTINGS = frozenset({"regularization", "weighting", "skips"})

    def fit(
        self,
        train: Sequences,
        valid: Sequences,
        *,
        seed: int,
        threads: int,
        checkpoint: Savepoint | None = None,
    ) -> list[dict]:
        x = self._tracks(train, "none").astype(np.float32)
        together = (x.T @ x).toarray(order="F").astype(np.float64, order="F")  # (N + 1, N + 1)
        together[np.diag_indices_from(together)] += self.settings["regularization"]
        with threadpool_limits(threads, "blas"):
            # In place: the lower triangle of the factor, then of the inverse.
            factor, wrong = lapack.dpotrf(together, lower=True, overwrite_a=True)
            inverse, singular = lapack.dpotri(factor, lower=True, overwrite_c=True)
        least = np.finfo(np.float32).tiny  # whose reciprocal is still finite
        if wrong or singular or not (np.diag(inverse) >= least).all():
            raise DivergedError(
                "the matrix cannot be inverted with model_registry.ease.settings.regularization: "
                f"{self.settings['regularization']:g}; take a number such as 100"
            )
        scale = (-1 / np.diag(inverse)).astype(np.float32)
        lower = np.tril(inverse.astype(np.float32))
        del together, factor, inverse
        weights = lower + np.tril(lower, -1).T
        weights *= scale
        np.fill_diagonal(weights, 0)
        self.weights = np.ascontiguousarray(weights)
        return []

    def score(self, contexts: Sequences) -> Tensor:
        tracks = self._tracks(contexts, self.settings["weighting"]).astype(np.float32)
        return torch.from_numpy(tracks @ self.weights)

    def state(self) -> dict[str, Tensor]:
        return {"weights": torch.from_numpy(self.weights)}

    def load_state(self, state: dict[str, Tensor]) -> None:
        self.weights = state["weights"].numpy()

    def _tracks(self, sessions: Sequences, weighting: str) -> csr_matrix:
        """(S, N + 1) weights of the tracks that count."""
        plays = None
        if self.settings["skips"] == "unobserved":
            plays = seen_labels(sessions, self.labels, stays="last").listened.values
        return weighted_tracks(sessions, self.n_tracks, weighting, plays)


MODEL = EASE
