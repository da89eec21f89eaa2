"""BERT4Rec: a bidirectional transformer that fills in masked tracks (Sun et al. 2019), as P1 ("Bi")
and P2 use it.
"""

import torch
from torch import nn

from skipwise.models.parts.neural import NeuralRecommender
from skipwise.models.parts.transformer import TransformerEncoder

LIMITS = {
    "layers": {"type": "integer", "minimum": 1},
    "heads": {"type": "integer", "minimum": 1},
    "feed_forward": {"type": "integer", "minimum": 1},
    "mask_share": {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
    "norm": {"enum": ["pre", "post"]},
    "positions": {"enum": ["start", "end"]},
}
SEARCH = {
    "learning_rate": {"low": 0.0002, "high": 0.02, "log": True},
    "dropout": {"low": 0.0, "high": 0.8, "limit": "low"},
    "mask_share": {"low": 0.05, "high": 0.95},
}


class BERT4Rec(NeuralRecommender):
    """Training masks the last listened track always, which is the task at prediction, and
    ``mask_share`` of the others.

    Differences to Sun et al.: no skipped track is a target, the last track is always masked, and
    the layers, head and loss are shared by all models here.  The contrastive term reads ŷ
    from the same masked pass; its track embeddings are never masked.
    """

    causal = False
    SETTINGS = NeuralRecommender.SETTINGS | {
        "layers",
        "heads",
        "feed_forward",
        "norm",
        "positions",
        "mask_share",
    }

    def build_encoder(self, generator: torch.Generator) -> nn.Module:
        # One position more than a context, for the mask that is appended to it.
        return TransformerEncoder(
            self.settings, self.settings["max_length"] + 1, causal=False, generator=generator
        )


MODEL = BERT4Rec
