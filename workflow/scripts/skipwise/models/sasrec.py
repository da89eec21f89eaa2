"""SASRec: a causal transformer (Kang & McAuley 2018), as P1 ("Uni") and P2 use it."""

import torch
from torch import nn

from skipwise.models.parts.neural import NeuralRecommender
from skipwise.models.parts.transformer import TransformerEncoder

LIMITS = {
    "layers": {"type": "integer", "minimum": 1},
    "heads": {"type": "integer", "minimum": 1},
    "feed_forward": {"type": "integer", "minimum": 1},
    "norm": {"enum": ["pre", "post"]},
    "positions": {"enum": ["start", "end"]},
}
SEARCH = {
    "learning_rate": {"low": 0.0002, "high": 0.02, "log": True},
    "dropout": {"low": 0.0, "high": 0.8, "limit": "low"},
    "layers": {"choices": [1, 2, 3, 4], "limit": "low"},
}


class SASRec(NeuralRecommender):
    """Differences to Kang & McAuley: cross-entropy among sampled candidates instead of binary, and
    positions that count from the end.  The entry
    ``sasrec-papers`` also has the papers' post-norm layers and GELU head.
    """

    causal = True
    SETTINGS = NeuralRecommender.SETTINGS | {"layers", "heads", "feed_forward", "norm", "positions"}

    def build_encoder(self, generator: torch.Generator) -> nn.Module:
        return TransformerEncoder(
            self.settings, self.settings["max_length"], causal=True, generator=generator
        )


MODEL = SASRec
