"""WRMF: weighted matrix factorisation of sessions and tracks (Hu, Koren & Volinsky 2008), implicit's ALS."""

import numpy as np
import torch
from implicit.cpu.als import AlternatingLeastSquares
from threadpoolctl import threadpool_limits
from torch import Tensor

from skipwise.models.base import Recommender
from skipwise.sequences import Sequences


class WRMF(Recommender):
    """A session is a user, a listened or skipped track is preferred (variant ``orig``); confidence = alpha × plays.

    A test session is folded in: its vector is the least-squares solution for its context with the item factors fixed.  No
    track outside the train sequences and the context is ever seen.
    """

    family = "factorization"
    SETTINGS = frozenset({"factors", "regularization", "alpha", "iterations"})

    def fit(self, train: Sequences, valid: Sequences, *, seed: int, threads: int) -> list[dict]:
        history: list[dict] = []

        def note(iteration: int, seconds: float, _loss) -> None:
            speed = len(train) / max(seconds, 1e-9)
            history.append({"epoch": iteration + 1, "seconds": seconds, "sessions_per_second": speed, "best": False})

        # implicit runs its own threads; those of BLAS below it would only get in the way.
        with threadpool_limits(1, "blas"):
            als = self._als(iterations=self.settings["iterations"], random_state=seed, num_threads=threads)
            als.fit(train.matrix(self.n_tracks), show_progress=False, callback=note)
        history[-1]["best"] = True
        self._use(als.item_factors)
        return history

    def score(self, contexts: Sequences) -> Tensor:
        with threadpool_limits(1, "blas"):
            sessions = self._folder.recalculate_user(np.arange(len(contexts)), contexts.matrix(self.n_tracks))
        return torch.from_numpy(sessions) @ self.items.T

    def state(self) -> dict[str, Tensor]:
        return {"items": self.items}

    def load_state(self, state: dict[str, Tensor]) -> None:
        self._use(state["items"].numpy())

    def _als(self, **arguments) -> AlternatingLeastSquares:
        names = ("factors", "regularization", "alpha")
        return AlternatingLeastSquares(**{name: self.settings[name] for name in names}, **arguments)

    def _use(self, item_factors: np.ndarray) -> None:
        self.items = torch.from_numpy(np.ascontiguousarray(item_factors))
        with threadpool_limits(1, "blas"):
            self._folder = self._als(num_threads=torch.get_num_threads())
        self._folder.item_factors = self.items.numpy()


MODEL = WRMF
