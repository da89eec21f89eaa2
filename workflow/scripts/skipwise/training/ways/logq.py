"""LogQ: the cross-entropy with its sampling corrected; it reads no skip.

    L = mean over predicted positions of w · (−s(t) + log Σ_c e^(s(c) − log q_c))
    w = 1 − e^s(t) / (e^s(t) + Σ_c e^(s(c) − log q_c)),  without a gradient

with t the target, c the other candidates and q_c the probability that c is a candidate of a step:
as a target of its batch, or else drawn.  Popular tracks are targets of many batches, so without the
correction they are negatives too often.  The target itself is never sampled and has none.  The
weight makes the gradient that of the softmax: with every track a candidate, where nothing is
sampled, it is that of the plain cross-entropy, and the step is that of `orig`.  Khrylchenko et al.,
"Correcting the LogQ Correction", RecSys 2025, arXiv 2507.09331.  A base loss to compare with, for
catalogues larger than `sampled_candidates`.
"""

import torch
from torch import Tensor

from skipwise.training.hooks import Step, cross_entropy
from skipwise.training.losses import full_precision

SETTINGS = ()
CAUSAL = True  # The targets of a bidirectional model are masked at random.
LABELS = False
INCLUSION = True


def base(step: Step) -> Tensor:
    """The mean over the predicted positions."""
    if len(step.candidates) == step.n_tracks:
        return cross_entropy(step)
    assert step.inclusion is not None
    predictions = step.predictions.flatten(0, 1).index_select(0, step.positions)
    scores = full_precision(predictions @ step.candidates.T)
    target = scores.gather(1, step.targets.unsqueeze(1)).squeeze(1)
    corrected = scores - step.inclusion.to(scores.dtype).log()
    others = corrected.scatter(1, step.targets.unsqueeze(1), -torch.inf).logsumexp(1)
    weight = torch.sigmoid(others - target).detach()
    return (weight * (others - target)).mean()
