"""Session popularity: the session's own tracks by count, the rest by popularity."""

import torch
from torch import Tensor

from skipwise.models.popularity import Popularity
from skipwise.sessions.sequences import Sequences


class SessionPopularity(Popularity):
    """Score = plays in the session's context + popularity scaled below 1, which orders tracks of
    equal count.
    """

    def score(self, contexts: Sequences) -> Tensor:
        scores = (self.plays / (self.plays.max() + 1)).repeat(len(contexts), 1)
        row = torch.from_numpy(contexts.tracks.row_of_value())
        track = torch.from_numpy(contexts.tracks.values.astype("int64"))
        return scores.index_put_((row, track), torch.ones(len(track)), accumulate=True)


MODEL = SessionPopularity
