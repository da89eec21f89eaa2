"""Caser: convolutions over the last tracks (Tang & Wang 2018)."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from skipwise.models.parts.layers import Dropout, linear
from skipwise.models.parts.neural import NeuralRecommender

LIMITS = {
    "window": {"type": "integer", "minimum": 1},
    "horizontal_filters": {"type": "integer", "minimum": 1},
    "vertical_filters": {"type": "integer", "minimum": 1},
}
SEARCH = {
    "learning_rate": {"low": 0.0002, "high": 0.02, "log": True},
    "dropout": {"low": 0.0, "high": 0.8, "limit": "low"},
    "window": {"low": 1, "high": 15, "limit": "low"},
}


class Convolutions(nn.Module):
    """At each position horizontal and vertical convolutions over the window of the last W tracks:
    (B, L, D) to (B, L, D).

    Horizontal filters of each height 1..W span the whole dimension and are max-pooled over the
    window; vertical filters weigh the W tracks.  Windows that begin before the session are filled
    with zeros, as in the paper.
    """

    def __init__(self, settings: dict, generator: torch.Generator):
        super().__init__()
        dimension, self.window = settings["dimension"], settings["window"]
        across, along = settings["horizontal_filters"], settings["vertical_filters"]
        self.horizontal = nn.ModuleList(
            linear(height * dimension, across, generator) for height in range(1, self.window + 1)
        )
        self.vertical = linear(self.window, along, generator)
        self.joined = linear(across * self.window + along * dimension, dimension, generator)
        self.dropout = Dropout(settings["dropout"], generator)

    def forward(self, embedded: Tensor, real: Tensor) -> Tensor:
        batch, length, dimension = embedded.shape
        padded = functional.pad(embedded * real.unsqueeze(2), (0, 0, self.window - 1, 0))
        windows = padded.unfold(1, self.window, 1).transpose(2, 3)  # (B, L, W, D)
        features = [self.vertical(windows.transpose(2, 3)).flatten(2)]  # (B, L, D·filters)
        for height, layer in enumerate(self.horizontal, start=1):
            strips = (
                windows.unfold(2, height, 1)
                .transpose(3, 4)
                .reshape(batch, length, -1, height * dimension)
            )
            features.append(functional.relu(layer(strips)).amax(2))
        return functional.relu(self.joined(self.dropout(torch.cat(features, dim=2))))


class Caser(NeuralRecommender):
    """Differences to Tang & Wang: no user embedding, since sessions are anonymous; a prediction at
    every position by a sliding window; tied embeddings and
    sampled-softmax cross-entropy instead of binary."""

    causal = True
    SETTINGS = NeuralRecommender.SETTINGS | {"window", "horizontal_filters", "vertical_filters"}

    def build_encoder(self, generator: torch.Generator) -> nn.Module:
        return Convolutions(self.settings, generator)


MODEL = Caser
