"""Pairwise: the next listened track is to score above each track that was skipped before it.

    L = mean over skips x at position i > 1 of −log σ(s(p) − s(x)),  s(x) = ŷ_{i−1} · e_x

where p is the next listened track after the skip.  A skip that no listened track follows has no
pair.  The loss is that of BPR (Rendle et al., UAI 2009), on the pairs of a listened and a rejected
track that preference optimisation takes (S-DPO, Chen et al., NeurIPS 2024, arXiv 2406.09215), here
without a reference model.
"""

from torch import Tensor
from torch.nn import functional

from skipwise.training.hooks import Step
from skipwise.training.losses import full_precision

SETTINGS = ()
SEARCH = {"alpha": {"low": 0.02, "high": 5.0, "log": True}}
CAUSAL = True


def loss(step: Step) -> Tensor:
    """The mean over all pairs of the batch."""
    # The skips (K,), and the position of the next listened track after each, −1 if there is none.
    length = step.skipped.shape[1]
    session, at = step.rejected // length, step.rejected % length
    after = step.next_listened[session, at]

    # s(x) − s(p) from ŷ (K, D) before each skip.
    before = step.predictions[session, at - 1]
    apart = step.embedded[session, at] - step.embedded[session, after]
    each = functional.softplus(full_precision((before * apart).sum(1)))
    pairs = after >= 0
    return (each * pairs).sum() / pairs.sum().clamp(min=1)
