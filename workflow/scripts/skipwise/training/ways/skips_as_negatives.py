"""Skips as negatives: the session's own skips join the candidates of the cross-entropy, weighted.

    L = mean over predicted positions i of −log(e^s(t) / (e^s(t) + Σ_c e^s(c) + w Σ_x e^s(x)))

with s(x) = ŷ_i · e_x and t the target.  The second sum is over the distinct skipped tracks of the
session's train sequence without t, the first over the candidates without t and these.  So a skip
weighs as much as w drawn tracks, whether it was drawn or not; where every track is a candidate,
w = 1 is the plain cross-entropy.  Mei et al., "Negative Feedback for Music Personalization", UMAP
2024, arXiv 2406.04488, train with a listener's skips as negative samples.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

from skipwise.core.errors import UserError
from skipwise.training.hooks import Step
from skipwise.training.losses import full_precision

SETTINGS = ("weight",)
SEARCH = {"weight": {"low": 0.3, "high": 300.0, "log": True}}


def base(step: Step) -> Tensor:
    """The weighted cross-entropy, instead of the plain one.  Raises UserError unless w > 0."""
    weight = step.settings["weight"]
    if not weight > 0:
        raise UserError(f"the way skips-as-negatives: weight is a number above 0, not {weight!r}")
    session = step.positions // step.skipped.shape[1]
    predictions = step.predictions.flatten(0, 1).index_select(0, step.positions)

    # Skips, each track once (B, L), and those of a predicted position without its target (P, L).
    same = step.tracks.unsqueeze(2) == step.tracks.unsqueeze(1)
    earlier = (same & step.skipped.unsqueeze(1)).tril(-1).any(2)
    once = (step.skipped & ~earlier).index_select(0, session)
    among = step.among.index_select(0, session)
    skips = once & (among != step.targets.unsqueeze(1))

    # Scores of the candidates (P, C) without these skips, and of these skips (P, L).
    scores = full_precision(predictions @ step.candidates.T)
    place = torch.where(skips & (among >= 0), among, scores.shape[1])  # one past the end: nowhere
    drawn = functional.pad(torch.zeros_like(scores, dtype=torch.bool), (0, 1))
    drawn = drawn.scatter_(1, place, True)[:, :-1]
    of_skips = full_precision(step.predictions @ step.embedded.transpose(1, 2))
    of_skips = of_skips.flatten(0, 1).index_select(0, step.positions) + math.log(weight)

    # −log softmax of the target among both.
    others = [scores.masked_fill(drawn, -torch.inf), of_skips.masked_fill(~skips, -torch.inf)]
    target = scores.gather(1, step.targets.unsqueeze(1)).squeeze(1)
    return (torch.cat(others, 1).logsumexp(1) - target).mean()
