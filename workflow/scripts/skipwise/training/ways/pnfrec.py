"""PNFRec: listened and skipped plays have an encoder each, with shared embeddings.

    L = α · (negative_weight · L_skips + contrast_weight · L_contrast) + β · L_listened
    L_contrast = mean over positions i of −log(e^s(p) / (e^s(p) + Σ_x e^s(x))),  s(x) = ŷ_i · e_x

The first encoder sees the listened plays and predicts the next one, L_listened being the main loss;
the second sees the skipped plays and predicts the next skipped one, with the same cross-entropy
L_skips.  In the contrast ŷ_i is the first encoder's, p the next listened track and x all skipped
plays of the session; a position without a skip in its session adds 0 to the mean.  The first
encoder alone predicts.  Ivanova et al., "Benefiting from Negative yet Informative Feedback by
Contrasting Opposing Sequential Patterns", RecSys 2025, arXiv 2508.14786.  Here both losses have the
candidates of the step, and the encoders have positions and a last norm of their own.
"""

import numpy as np
import torch
from torch import Tensor

from skipwise.sessions.sequences import Sequences
from skipwise.training.hooks import Step
from skipwise.training.losses import candidate_cross_entropy, full_precision

SETTINGS = ("negative_weight", "contrast_weight")
SEARCH = {
    "negative_weight": {"low": 0.01, "high": 2.0, "log": True},
    "contrast_weight": {"low": 0.01, "high": 2.0, "log": True},
}
CAUSAL = True
OWN_ENCODER = True


def enters(sessions: Sequences) -> np.ndarray:
    """(E,) the plays of the first encoder: those that were not skipped."""
    return ~sessions.skipped.values


def second(sessions: Sequences) -> np.ndarray:
    """(E,) the plays of the second encoder: the skipped ones."""
    return sessions.skipped.values


def loss(step: Step) -> Tensor:
    """What the skips add to the main loss."""
    assert step.second is not None
    its = step.settings
    return its["negative_weight"] * of_skips(step) + its["contrast_weight"] * contrast(step)


def of_skips(step: Step) -> Tensor:
    """Mean cross-entropy of the next skipped track; 0 if no skip follows another."""
    assert step.second is not None
    if not len(step.second.positions):
        return step.predictions.sum() * 0.0
    predictions = step.second.predictions.flatten(0, 1).index_select(0, step.second.positions)
    return candidate_cross_entropy(predictions, step.candidates, step.second.targets)


def contrast(step: Step) -> Tensor:
    """The mean over the predicted positions of the first encoder."""
    assert step.second is not None
    # Scores of the skips (P, L2), of the target (P,), and −log softmax of the target among both.
    skips = full_precision(step.predictions @ step.second.embedded.transpose(1, 2))
    skips = skips.masked_fill(~step.second.real.unsqueeze(1), -torch.inf)
    skips = skips.flatten(0, 1).index_select(0, step.positions)
    predictions = step.predictions.flatten(0, 1).index_select(0, step.positions)
    listened = step.candidates.index_select(0, step.targets)
    positive = full_precision((predictions * listened).sum(1))
    each = torch.cat([positive.unsqueeze(1), skips], 1).logsumexp(1) - positive
    return each.mean()
