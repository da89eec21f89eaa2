"""gBCE: generalised binary cross-entropy instead of the softmax; it reads no skip.

    L = mean over predicted positions of −(b · log σ(s(t) − log k) + Σ_c log(1 − σ(s(c) − log k)))
    b = a · (calibration · (1 − 1/a) + 1/a),  a = k / (N − 1)

with t the target, c the other k candidates, which are the sampled ones and the other targets of the
batch, and N tracks; the formula of a is that of uniform draws, as in the source.  With the
calibration 0 it is plain binary cross-entropy; with 1 the probabilities of sampled negatives are
corrected in full.  Petrov & Macdonald, "gSASRec: Reducing Overconfidence in Sequential
Recommendation Trained with Negative Sampling", RecSys 2023, arXiv 2308.07192.  A base loss to
compare with, so that a better loss is not mistaken for the worth of skips.

The offset log k moves no rank: a score of 0 has the odds of one target among k others (as Lin et
al., ICCV 2017, begin a classifier of rare classes).  gSASRec has vectors of its own for the output,
which learn it.  Ours are also the input: there, all of them would learn one large component, next
to which a state cannot tell tracks apart, and the model would stay at popularity.
"""

import math

from torch import Tensor
from torch.nn import functional

from skipwise.core.errors import UserError
from skipwise.training.hooks import Step
from skipwise.training.losses import full_precision

SETTINGS = ("calibration",)
SEARCH = {"calibration": {"low": 0.0, "high": 1.0}}
LABELS = False


def base(step: Step) -> Tensor:
    """The mean over the predicted positions.  Raises UserError unless 0 ≤ calibration ≤ 1."""
    calibration = step.settings["calibration"]
    if not 0 <= calibration <= 1:
        raise UserError(f"the way gbce: calibration is from 0 to 1, not {calibration!r}")
    negatives = len(step.candidates) - 1
    sampled = negatives / max(step.n_tracks - 1, 1)
    power = calibration * (sampled - 1) + 1

    # −log(1 − σ(s)) = softplus(s) of all (P, C); for the target −log σ(s) = softplus(−s) instead.
    predictions = step.predictions.flatten(0, 1).index_select(0, step.positions)
    scores = full_precision(predictions @ step.candidates.T) - math.log(max(negatives, 1))
    target = scores.gather(1, step.targets.unsqueeze(1)).squeeze(1)
    others = functional.softplus(scores).sum(1) - functional.softplus(target)
    return (power * functional.softplus(-target) + others).mean()
