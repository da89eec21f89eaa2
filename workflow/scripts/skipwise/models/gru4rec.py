"""GRU4Rec: a gated recurrent unit over the session (Hidasi et al. 2016)."""

import torch
from torch import Tensor, nn

from skipwise.models.parts.layers import Dropout
from skipwise.models.parts.neural import NeuralRecommender

SEARCH = {
    "learning_rate": {"low": 0.0002, "high": 0.02, "log": True},
    "dropout": {"low": 0.0, "high": 0.8, "limit": "low"},
    "batch_size": {"choices": [4, 8, 16, 32, 64, 128, 256]},
    # Which first vectors are best differs from set to set; no other model depends on them so much.
    "initialization": {"low": 0.01, "high": 0.5, "log": True},
}


class Recurrence(nn.Module):
    """Dropout, one GRU layer, dropout: (B, L, D) to (B, L, D).  Padding stands at the end, where
    nothing reads it.
    """

    def __init__(self, settings: dict, generator: torch.Generator):
        super().__init__()
        dimension = settings["dimension"]
        self.dropout = Dropout(settings["dropout"], generator)
        # As in `linear`: torch's own draw leaves the global generator as it was.
        with torch.random.fork_rng(devices=[]):
            self.gru = nn.GRU(dimension, dimension, batch_first=True)
        for weight in self.gru.parameters():
            nn.init.uniform_(weight, -(dimension**-0.5), dimension**-0.5, generator=generator)

    def forward(self, embedded: Tensor, real: Tensor) -> Tensor:
        return self.dropout(self.gru(self.dropout(embedded))[0])


class GRU4Rec(NeuralRecommender):
    """Differences to Hidasi et al.: tied embeddings,
    sampled-softmax cross-entropy instead of a pairwise ranking loss, whole sessions in a batch
    instead of session-parallel mini-batches, Adam."""

    causal = True

    def build_encoder(self, generator: torch.Generator) -> nn.Module:
        return Recurrence(self.settings, generator)


MODEL = GRU4Rec
