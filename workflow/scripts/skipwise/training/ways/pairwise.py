"""Pairwise: the next listened track is to score above each track that was skipped before it.

    L = mean over skips x at position i > 1 of −log σ(s(p) − s(x) − r),  s(x) = ŷ_{i−1} · e_x

where p is the next listened track after the skip.  A skip that no listened track follows has no
pair.  The loss is that of BPR (Rendle et al., UAI 2009), on the pairs of a listened and a rejected
track that preference optimisation takes (S-DPO, Chen et al., NeurIPS 2024, arXiv 2406.09215).

Without ``reference_epochs`` r is 0.  With them the model is first trained for so many epochs on the
base loss only; the best of them by validation is copied and trained on, and r is s(p) − s(x) of the
frozen copy.  As the softmax of both tracks has the same denominator, that is the loss of direct
preference optimisation with its β at 1.
"""

from torch import Tensor
from torch.nn import functional

from skipwise.training.hooks import Step
from skipwise.training.losses import full_precision

SETTINGS = ("reference_epochs",)
SEARCH = {"alpha": {"low": 0.02, "high": 5.0, "log": True}}
CAUSAL = True


def loss(step: Step) -> Tensor:
    """The mean over all pairs of the batch; 0 while there is no reference yet."""
    if step.settings["reference_epochs"] and step.reference is None:
        return step.predictions.sum() * 0.0
    # The skips (K,), and the position of the next listened track after each, −1 if there is none.
    length = step.skipped.shape[1]
    session, at = step.rejected // length, step.rejected % length
    after = step.next_listened[session, at]

    def below(predictions: Tensor, embedded: Tensor) -> Tensor:
        """s(x) − s(p) (K,) from ŷ before each skip."""
        apart = embedded[session, at] - embedded[session, after]
        return full_precision((predictions[session, at - 1] * apart).sum(1))

    margin = below(step.predictions, step.embedded)
    if step.reference is not None:
        margin = margin - below(*step.reference)
    pairs = after >= 0
    return (functional.softplus(margin) * pairs).sum() / pairs.sum().clamp(min=1)
