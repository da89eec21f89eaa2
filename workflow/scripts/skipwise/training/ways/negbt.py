"""NegBT: the state after the listened plays is to be that after all plays (Barlow Twins).

    L = β · L_listened + α · decay^epoch · L_BT
    L_BT = (Σ_i (1 − C_ii)² + off_diagonal · Σ_{i≠j} C_ij²) / width

The encoder sees the listened plays and predicts the next one.  A second pass of it, in training
only, sees all plays.  The last states ŷ of both passes, of length 1, go through two linear layers
without bias, batch norm and ReLU between; C (width × width) are the correlations of the features of
the first pass with those of the second over the sessions of the batch.  From the code of V.
Ivanova, github.com/Veronika-Ivanova/negbt (α .25, off_diagonal .005, decay .97, width 64); Barlow
Twins are by Zbontar et al., ICML 2021, arXiv 2103.03230.
"""

import numpy as np
import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from skipwise.sessions.sequences import Sequences
from skipwise.training.hooks import Step
from skipwise.training.losses import full_precision

SETTINGS = ("off_diagonal", "decay", "width")
SEARCH = {
    "alpha": {"low": 0.005, "high": 5.0, "log": True},
    "off_diagonal": {"low": 0.0005, "high": 0.05, "log": True},
    "decay": {"low": 0.9, "high": 1.0, "limit": "high"},
}
CAUSAL = True


class Projector(nn.Module):
    """States (B, D) to features (B, width)."""

    def __init__(self, dimension: int, width: int, generator: Generator):
        super().__init__()
        with torch.random.fork_rng(devices=[]):  # drawn over from the given generator
            self.inner = nn.Linear(dimension, width, bias=False)
            self.outer = nn.Linear(width, width, bias=False)
        for layer in (self.inner, self.outer):
            nn.init.xavier_uniform_(layer.weight, generator=generator)

    def forward(self, states: Tensor) -> Tensor:
        hidden = self.inner(functional.normalize(states, dim=1))
        hidden = functional.batch_norm(hidden, None, None, training=True, eps=1e-8)
        return self.outer(functional.relu(hidden))


def enters(sessions: Sequences) -> np.ndarray:
    """(E,) the plays that were not skipped."""
    return ~sessions.skipped.values


def second(sessions: Sequences) -> np.ndarray:
    """(E,) all plays."""
    return np.ones_like(sessions.skipped.values)


def weights(settings: dict, generator: Generator) -> nn.Module:
    """The projector of both passes."""
    return Projector(settings["dimension"], settings["width"], generator)


def loss(step: Step) -> Tensor:
    """The Barlow Twins loss of the batch in this epoch; 0 for a single session."""
    assert step.second is not None
    assert step.weights is not None
    if len(step.tracks) < 2:
        return step.predictions.sum() * 0.0
    first = standardised(step.weights(last(step.predictions, step.tracks > 0)))
    other = standardised(step.weights(last(step.second.predictions, step.second.real)))
    correlation = first.T @ other / len(first)
    diagonal = correlation.diagonal()
    off_diagonal = correlation.square().sum() - diagonal.square().sum()
    twins = (1 - diagonal).square().sum() + step.settings["off_diagonal"] * off_diagonal
    return step.settings["decay"] ** step.epoch * twins / len(diagonal)


def last(states: Tensor, real: Tensor) -> Tensor:
    """The states (B, D) at the last play of each session."""
    return states[torch.arange(len(states), device=states.device), real.sum(1) - 1]


def standardised(features: Tensor) -> Tensor:
    """Features (B, width) with mean 0 and standard deviation 1 over the batch."""
    features = full_precision(features)
    return (features - features.mean(0)) / features.std(0).clamp(min=1e-8)
