"""WRMF: weighted matrix factorisation of sessions and tracks (Hu, Koren & Volinsky 2008),
implicit's ALS.
"""

import numpy as np
import torch
from implicit.cpu.als import AlternatingLeastSquares
from implicit.recommender_base import ModelFitError
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits
from torch import Tensor

from skipwise.core.errors import DivergedError, UserError
from skipwise.recommender import Savepoint, VectorRecommender
from skipwise.sessions.sequences import Sequences
from skipwise.training.batches import seen_labels

LIMITS = {
    "factors": {"type": "integer", "minimum": 1},
    "iterations": {"type": "integer", "minimum": 1},
    "regularization": {"type": "number", "exclusiveMinimum": 0},
    "alpha": {"type": "number", "exclusiveMinimum": 1},
    "skip_confidence": {"type": "number", "exclusiveMinimum": 0},
    "skips": {"enum": ["preferred", "unobserved", "rejected"]},
}
SEARCH = {
    "alpha": {"low": 1.1, "high": 100.0, "log": True, "limit": "low"},
    "regularization": {"low": 0.1, "high": 500.0, "log": True},
    "iterations": {"low": 3, "high": 100, "log": True},
    "skip_confidence": {"low": 0.1, "high": 20.0, "log": True},  # of rejected skips
}


class WRMF(VectorRecommender):
    """A session is a user.  A track with r plays in it has the confidence ``alpha`` × r, and an
    unobserved one has 1: ``alpha`` is the weight of a play in units of an unobserved track.  It
    must be above 1, because with 1 a play weighs no more than no play.  What a skipped track is,
    the setting ``skips`` says:

    - ``preferred`` (variant ``orig``): the same as a listened one
    - ``unobserved`` (``bl``): left out
    - ``rejected`` (``nr``): preference 0 with the confidence alpha × ``skip_confidence`` × skips,
      which implicit reads from a negative value; an unobserved track has preference 0 with
      confidence 1, so it must be above 1 to mean anything; a track that was also listened to in the
      session counts as listened

    A test session is folded in: its vector is the least-squares solution for its context with the
    item factors fixed.  No track outside the train sequences and the context is ever seen.
    """

    family = "factorization"
    SETTINGS = frozenset({"factors", "regularization", "alpha", "iterations", "skips"})
    OPTIONAL = frozenset({"skip_confidence"})

    def __init__(self, n_tracks: int, settings: dict):
        super().__init__(n_tracks, settings)
        if settings["skips"] == "rejected" and settings["alpha"] * settings["skip_confidence"] <= 1:
            raise UserError(
                "model_registry.wrmf: alpha × skip_confidence must be above 1, the confidence of "
                "an unobserved track; "
                f"it is {settings['alpha'] * settings['skip_confidence']:g}"
            )

    def fit(
        self,
        train: Sequences,
        valid: Sequences,
        *,
        seed: int,
        threads: int,
        checkpoint: Savepoint | None = None,
    ) -> list[dict]:
        history: list[dict] = []

        def note(iteration: int, seconds: float, _loss) -> None:
            speed = len(train) / max(seconds, 1e-9)
            history.append(
                {
                    "epoch": iteration + 1,
                    "seconds": seconds,
                    "sessions_per_second": speed,
                    "best": False,
                }
            )

        # implicit runs its own threads; those of BLAS below it would only get in the way.
        with threadpool_limits(1, "blas"):
            als = self._als(
                iterations=self.settings["iterations"], random_state=seed, num_threads=threads
            )
            try:
                als.fit(self._preferences(train), show_progress=False, callback=note)
            except ModelFitError as error:
                raise self._diverged() from error
        history[-1]["best"] = True
        self._use(als.item_factors)
        return history

    @property
    def vectors(self) -> Tensor:
        return self.items

    def queries(self, contexts: Sequences) -> Tensor:
        with threadpool_limits(1, "blas"):
            try:
                sessions = self._folder.recalculate_user(
                    np.arange(len(contexts)), self._preferences(contexts)
                )
            except ValueError as error:  # of LAPACK
                raise self._diverged() from error
        return torch.from_numpy(sessions)

    def _diverged(self) -> DivergedError:
        names = ("alpha", "skip_confidence", "regularization")
        its = ", ".join(
            f"{name} {self.settings[name]:g}" for name in names if name in self.settings
        )
        return DivergedError(
            "the factors are no longer finite; lower model_registry.wrmf.settings.alpha or "
            f"skip_confidence, or raise a small regularization or lower a huge one (now {its})"
        )

    def state(self) -> dict[str, Tensor]:
        return {"items": self.items}

    def load_state(self, state: dict[str, Tensor]) -> None:
        self._use(state["items"].numpy())

    def _preferences(self, sessions: Sequences) -> csr_matrix:
        """(S, N + 1) plays; negative where a track is rejected."""
        if self.settings["skips"] == "preferred":
            return sessions.matrix(self.n_tracks)
        seen = seen_labels(sessions, self.labels, stays="last")
        listened, rejected = seen.listened_and_rejected(self.n_tracks)
        if self.settings["skips"] == "unobserved":
            return listened
        return (listened - self.settings["skip_confidence"] * rejected).tocsr().astype(np.float32)

    def _als(self, **arguments) -> AlternatingLeastSquares:
        names = ("factors", "regularization", "alpha")
        return AlternatingLeastSquares(**{name: self.settings[name] for name in names}, **arguments)

    def _use(self, item_factors: np.ndarray) -> None:
        self.items = torch.from_numpy(np.ascontiguousarray(item_factors))
        with threadpool_limits(1, "blas"):
            self._folder = self._als(num_threads=torch.get_num_threads())
        self._folder.item_factors = self.items.numpy()


MODEL = WRMF
