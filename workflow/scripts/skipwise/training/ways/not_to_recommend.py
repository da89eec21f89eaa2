"""Not to recommend: the probability of a track is lowered where it was then skipped.

    L = mean over skips x at position i > 1 of −log(1 − p(x)),
    p(x) = e^s(x) / (e^s(x) + Σ_c e^s(c)),  s(x) = ŷ_{i−1} · e_x

The sum is over the candidates of the step other than x.  Wang et al., "Learning from Negative User
Feedback and Measuring Responsiveness for Sequential Recommenders", RecSys 2023, arXiv 2308.12256.
"""

import torch
from torch import Tensor
from torch.nn import functional

from skipwise.training.hooks import Step
from skipwise.training.losses import full_precision

SETTINGS = ()
# p is small, and so is the term: only a large weight makes it as large as the main loss.
SEARCH = {"alpha": {"low": 0.1, "high": 1000.0, "log": True}}
CAUSAL = True


def loss(step: Step) -> Tensor:
    """The mean over all skips of the batch but those at the start of their session."""
    # ŷ (K, D) before each skip, and the scores (K,) of the skipped tracks.
    before = step.predictions.flatten(0, 1).index_select(0, step.rejected - 1)
    skips = step.embedded.flatten(0, 1).index_select(0, step.rejected)
    own = full_precision((before * skips).sum(1))

    # The log of the sum (K,) over the candidates without the skipped track itself.
    scores = full_precision(before @ step.candidates.T)
    among = step.among.flatten().index_select(0, step.rejected).unsqueeze(1)
    itself = torch.arange(len(step.candidates), device=among.device) == among
    others = scores.masked_fill(itself, -torch.inf).logsumexp(1)

    # −log(1 − p) = log(1 + e^(own − others)).
    return functional.softplus(own - others).sum() / max(len(own), 1)
