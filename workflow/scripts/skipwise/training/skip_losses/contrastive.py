"""The contrastive term of both papers."""

import torch
from torch import Tensor
from torch.nn import functional


def skip_contrastive(
    queries: Tensor,
    items: Tensor,
    next_listened: Tensor,
    query: Tensor,
    skipped: Tensor,
    tau: float,
) -> Tensor:
    """InfoNCE with the session's own skips as negatives (P1 and P2; docs/protocol.md, contrastive
    term).

    For each query position i: −log( e^{cos(c_i,p)/τ} / (e^{cos(c_i,p)/τ} + Σ_skips
    e^{cos(c_i,x)/τ}) ), averaged over all queries of the batch whose session has a skip.  Every
    skipped *play* of the session's train sequence is a negative, before or after the query; a track
    skipped twice counts twice.

    - ``queries`` (B, L, D): c, either ŷ or the item embedding at each position
    - ``items`` (B, L, D): embeddings of the session's own tracks
    - ``next_listened`` (B, L): position of the positive, below L; not looked at where ``query`` is
      false
    - ``query`` (B, L): positions that are queries: listened, with a later listened track
    - ``skipped`` (B, L): positions that are negatives

    Returns 0 when the batch has no query with a negative.
    """
    query = query & skipped.any(1, keepdim=True)
    cosine = (
        functional.normalize(queries, dim=-1)
        @ functional.normalize(items, dim=-1).transpose(1, 2)
        / tau
    )  # (B, L, L)
    positive = cosine.gather(2, next_listened.clamp(min=0).unsqueeze(2)).squeeze(2)  # (B, L)
    negatives = cosine.masked_fill(~skipped.unsqueeze(1), -torch.inf)
    loss = torch.logsumexp(torch.cat([positive.unsqueeze(2), negatives], dim=2), dim=2) - positive
    return torch.where(query, loss, 0.0).sum() / query.sum().clamp(min=1)
