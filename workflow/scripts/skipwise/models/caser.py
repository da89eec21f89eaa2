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
    with zeros, as in the paper.  Windows overlap, so a filter meets each strip of tracks once and
    the pooling slides over what it found.
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
        dimension, before = embedded.shape[2], self.window - 1
        padded = functional.pad((embedded * real.unsqueeze(2)).transpose(1, 2), (before, 0))
        windows = padded.unfold(2, self.window, 1)  # (B, D, L, W)
        features = [self.vertical(windows).transpose(1, 2).flatten(2)]  # (B, L, D·filters)
        for height, layer in enumerate(self.horizontal, start=1):
            weight, bias = layer.parameters()
            kernel = weight.unflatten(1, (height, dimension)).transpose(1, 2)
            found = functional.relu(functional.conv1d(padded, kernel, bias))
            pooled = functional.max_pool1d(found, self.window + 1 - height, 1)
            features.append(pooled.transpose(1, 2))
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
