"""The contrastive term as the code released with P2 computes it, difference by difference.

With f(x) = e^{cos(c_i,x)/τ}, as in the way contrastive:

    L = mean over rows i of −log(f(p_i) / (f(p_i) + Σ_x f(x)))

Each setting is one difference; its first value is the papers' text, and with all of these the term
is that of the way contrastive.

- ``negatives_from`` ``own``: x are the skips of the session of row i.  ``batch``: the skips are
  tiled along the batch of B sessions, so row k = b·L + l, play l of session b, meets those of
  session k mod B, its own once in B.
- ``empty_slots`` ``masked``: only queries are rows and only skips are negatives.  ``kept``: every
  place of the padded batch is a row and a negative; one that is no query or no skip is a zero
  vector there, so its cosines are 0.
- ``no_next_positive`` ``dropped``: a listened play that no listened one follows is no query.
  ``first``: it is one, and its positive is the session's first track.
- ``heldout_labels`` ``unused``: what follows the train sequence is not known.  ``used``: it is
  known that a held-out listened play follows (the targets of validation and test), so the last
  listened play is a query.  Its positive is the held-out place, a zero vector.  With ``labels:
  inverted`` held-out plays count as skipped, so none follows.

The other differences are settings of every variant: ``labels``, ``targets``, ``head``,
``positions`` and ``query`` (docs/released_code.md).  The code also takes held-out places as queries
where ŷ is read at padding; here they are empty places.
"""

import torch
from torch import Tensor
from torch.nn import functional

from skipwise.core.errors import UserError
from skipwise.core.schemas import QUERIES
from skipwise.training.hooks import Step
from skipwise.training.losses import full_precision

SETTINGS = (
    "query",
    "tau",
    "negatives_from",
    "empty_slots",
    "no_next_positive",
    "heldout_labels",
)
SEARCH = {
    "alpha": {"low": 0.02, "high": 5.0, "log": True},
    "tau": {"low": 0.03, "high": 5.0, "log": True},
}
CHOICES = {
    "query": QUERIES,
    "negatives_from": ("own", "batch"),
    "empty_slots": ("masked", "kept"),
    "no_next_positive": ("dropped", "first"),
    "heldout_labels": ("unused", "used"),
}


def loss(step: Step) -> Tensor:
    """The mean over all rows of the batch, 0 if it has none.  Raises UserError for a setting that
    is none of its choices.
    """
    its = step.settings
    for name, choices in CHOICES.items():
        if its[name] not in choices:
            raise UserError(
                f"the way contrastive-released: {name} is {' or '.join(choices)}, not {its[name]!r}"
            )
    sessions, length = step.skipped.shape
    dimension = step.embedded.shape[2]

    # Positives (B, L, D): the next listened track; for the last listened play a zero vector, the
    # first track of the session, or nothing, and then it is no query (B, L).
    last = step.listened & ~step.queries
    followed = its["heldout_labels"] == "used" and its.get("labels", "right") != "inverted"
    at = step.next_listened.clamp(min=0).unsqueeze(2).expand(-1, -1, dimension)
    positives = step.embedded.gather(1, at)  # of a play that none follows: the first track
    if followed:
        positives = positives.masked_fill(last.unsqueeze(2), 0.0)
    query = step.queries
    if followed or its["no_next_positive"] == "first":
        query = query | last

    # Unit vectors of queries (B·L, D), and of the skips that each meets (B·L, L, D); else zeros.
    c = step.predictions if its["query"] == "hidden" else step.embedded
    queries = functional.normalize(c * query.unsqueeze(2), dim=-1).flatten(0, 1)
    skips = functional.normalize(step.embedded * step.skipped.unsqueeze(2), dim=-1)
    row = torch.arange(sessions * length, device=skips.device)
    met = row // length if its["negatives_from"] == "own" else row % sessions

    # Cosines over τ with the positive (B·L,) and with the skips (B·L, L).
    positive = (queries * functional.normalize(positives, dim=-1).flatten(0, 1)).sum(1)
    positive = full_precision(positive) / its["tau"]
    negatives = torch.bmm(skips.index_select(0, met), queries.unsqueeze(2)).squeeze(2)
    negatives = full_precision(negatives) / its["tau"]

    # −log softmax of the positive, and the rows (B·L,) that count.
    if its["empty_slots"] == "kept":
        counts = torch.ones_like(row, dtype=torch.bool)
    else:
        are_skips = step.skipped.index_select(0, met)
        negatives = negatives.masked_fill(~are_skips, -torch.inf)
        counts = query.flatten() & are_skips.any(1)
    each = torch.cat([positive.unsqueeze(1), negatives], 1).logsumexp(1) - positive
    return torch.where(counts, each, 0.0).sum() / counts.sum().clamp(min=1)
