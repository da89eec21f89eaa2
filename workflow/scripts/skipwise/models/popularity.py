"""Popularity: every session gets the tracks with most plays in training."""

import torch
from torch import Tensor

from skipwise.recommender import Savepoint, VectorRecommender
from skipwise.sessions.sequences import Sequences


class Popularity(VectorRecommender):
    """Score = number of plays in the train sequences, listened or skipped."""

    family = "baseline"

    def fit(
        self,
        train: Sequences,
        valid: Sequences,
        *,
        seed: int,
        threads: int,
        checkpoint: Savepoint | None = None,
    ) -> list[dict]:
        self.plays = torch.from_numpy(train.counts(self.n_tracks)).float()
        return []

    @property
    def vectors(self) -> Tensor:
        return self.plays.unsqueeze(1)

    def queries(self, contexts: Sequences) -> Tensor:
        return torch.ones(len(contexts), 1)

    def state(self) -> dict[str, Tensor]:
        return {"plays": self.plays}

    def load_state(self, state: dict[str, Tensor]) -> None:
        self.plays = state["plays"]


MODEL = Popularity
