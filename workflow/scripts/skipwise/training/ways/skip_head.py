"""Skip head: the model also predicts whether the next play is skipped, and scores by both.

    L = β · L_main + α · mean over plays i + 1 of known label of −log p(y_{i+1} | i, x_{i+1})
    p(skip of x | i) = σ(z_i(x)),  z_i(x) = (W ŷ_i + b) · e_x + c
    score of x after i = ŷ_i · e_x + skip_weight · log(1 − p(skip of x | i))

ŷ_i · e_x is log p(x) but for a constant of the context, which changes no rank.  ``skip_weight`` is
searched on validation data.  The next track and the feedback on it as two tasks are those of ARGUS
(Khrylchenko et al., "Scaling Recommender Transformers to One Billion Parameters", arXiv
2507.15994); here the head is bilinear, so that a catalogue is scored by one product.
"""

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from skipwise.training.hooks import Step
from skipwise.training.losses import full_precision

SETTINGS = ("skip_weight",)
SEARCH = {
    "alpha": {"low": 0.02, "high": 5.0, "log": True},
    "skip_weight": {"low": 0.01, "high": 5.0, "log": True, "limit": "low"},
}
CAUSAL = True


class SkipHead(nn.Module):
    """Queries of the skip, W ŷ + b (…, D), and the constant c."""

    def __init__(self, dimension: int, generator: Generator):
        super().__init__()
        with torch.random.fork_rng(devices=[]):  # drawn over from the given generator
            self.query = nn.Linear(dimension, dimension)
        nn.init.xavier_uniform_(self.query.weight, generator=generator)
        nn.init.zeros_(self.query.bias)
        self.constant = nn.Parameter(torch.zeros(()))


def weights(settings: dict, generator: Generator) -> nn.Module:
    """W, b and c."""
    return SkipHead(settings["dimension"], generator)


def loss(step: Step) -> Tensor:
    """Binary cross-entropy of the label of the next play, the mean over the batch."""
    head = step.weights
    assert isinstance(head, SkipHead)
    logits = (head.query(step.predictions[:, :-1]) * step.embedded[:, 1:]).sum(2)
    logits = full_precision(logits + head.constant)
    skipped = step.skipped[:, 1:]
    known = skipped | step.listened[:, 1:]
    each = functional.binary_cross_entropy_with_logits(
        logits, skipped.to(logits.dtype), reduction="none"
    )
    return torch.where(known, each, 0.0).sum() / known.sum().clamp(min=1)


def skip_logits(head: nn.Module, queries: Tensor, vectors: Tensor) -> Tensor:
    """z (B, N + 1) of all tracks."""
    assert isinstance(head, SkipHead)
    return head.query(queries) @ vectors.T + head.constant


def score(head: nn.Module, settings: dict, queries: Tensor, vectors: Tensor) -> Tensor:
    """Scores (B, N + 1) of all tracks; log(1 − σ(z)) = −log(1 + e^z)."""
    logits = skip_logits(head, queries, vectors)
    return queries @ vectors.T - settings["skip_weight"] * functional.softplus(logits)
