"""Popularity: every session gets the tracks with most plays in training."""

import torch
from torch import Tensor

from skipwise.recommender import Recommender, Savepoint
from skipwise.sessions.sequences import Sequences


class Popularity(Recommender):
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

    def score(self, contexts: Sequences) -> Tensor:
        return self.plays.expand(len(contexts), -1)

    def state(self) -> dict[str, Tensor]:
        return {"plays": self.plays}

    def load_state(self, state: dict[str, Tensor]) -> None:
        self.plays = state["plays"]


MODEL = Popularity
