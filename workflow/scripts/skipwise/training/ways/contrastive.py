"""The contrastive term of both papers: InfoNCE with the session's own skips as negatives."""

import torch
from torch import Tensor
from torch.nn import functional

from skipwise.core.errors import UserError
from skipwise.core.schemas import QUERIES
from skipwise.training.hooks import Step

SETTINGS = ("query", "tau")
SEARCH = {
    "alpha": {"low": 0.02, "high": 20.0, "log": True},
    "tau": {"low": 0.03, "high": 5.0, "log": True},
}


def loss(step: Step) -> Tensor:
    """The term with c = ŷ (``query: hidden``) or c = e (``query: item``) as the query.

    Raises UserError for any other query.
    """
    query = step.settings["query"]
    if query not in QUERIES:
        raise UserError(f"the way contrastive: query is {' or '.join(QUERIES)}, not {query!r}")
    return skip_contrastive(
        step.predictions if query == "hidden" else step.embedded,
        step.embedded,
        step.next_listened,
        step.queries,
        step.skipped,
        step.settings["tau"],
    )


def skip_contrastive(
    queries: Tensor,
    items: Tensor,
    next_listened: Tensor,
    query: Tensor,
    skipped: Tensor,
    tau: float,
) -> Tensor:
    """InfoNCE on plain tensors (P1 and P2; docs/protocol.md, contrastive term).

    For each query position i, with f(x) = e^{cos(c_i,x)/τ}: −log( f(p) / (f(p) + Σ_skips f(x)) ),
    averaged over all queries of the batch whose session has a skip.  Every skipped *play* of the
    session's train sequence is a negative, before or after the query; a track that was skipped
    twice counts twice.

    - ``queries`` (B, L, D): c, either ŷ or the item embedding at each position
    - ``items`` (B, L, D): embeddings of the session's own tracks
    - ``next_listened`` (B, L): position of the positive, below L; not read where ``query`` is false
    - ``query`` (B, L): positions that are queries: listened, with a later listened track
    - ``skipped`` (B, L): positions that are negatives

    Returns 0 if the batch has no query with a negative.
    """
    query = query & skipped.any(1, keepdim=True)

    # Cosines (B, L, L) of each query with each track of its session, over τ.
    unit_queries, unit_items = (functional.normalize(x, dim=-1) for x in (queries, items))
    cosine = unit_queries @ unit_items.transpose(1, 2) / tau

    # −log softmax of the positive (B, L) among itself and the session's skips.
    positive = cosine.gather(2, next_listened.clamp(min=0).unsqueeze(2)).squeeze(2)
    negatives = cosine.masked_fill(~skipped.unsqueeze(1), -torch.inf)
    loss = torch.logsumexp(torch.cat([positive.unsqueeze(2), negatives], dim=2), dim=2) - positive
    return torch.where(query, loss, 0.0).sum() / query.sum().clamp(min=1)
