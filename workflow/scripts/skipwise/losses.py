"""The two losses of the papers, each on plain tensors.

Shapes: B batch, L length, D dimension, C candidates, P predicted positions of the batch.
"""

import torch
from torch import Tensor
from torch.nn import functional


def candidate_cross_entropy(predictions: Tensor, candidates: Tensor, target: Tensor) -> Tensor:
    """Mean cross-entropy of the next listened track among the candidates (docs/protocol.md, main loss).

    ``predictions`` (P, D) are ŷ, ``candidates`` (C, D) embeddings, ``target`` (P,) indices into the candidates.
    """
    return _CandidateCrossEntropy.apply(predictions, candidates.to(predictions.dtype), target)


class _CandidateCrossEntropy(torch.autograd.Function):
    """Product, softmax and mean in one: the softmax (P, C) is the gradient of the scores but for the target, so that no pass
    over the scores is needed backward but the two products.

    The candidates are filled up to a multiple of 32, so that each row of scores starts at a multiple of 64 bytes: with rows at
    odd addresses the product takes up to twice as long.
    """

    @staticmethod
    def forward(ctx, predictions: Tensor, candidates: Tensor, target: Tensor) -> Tensor:
        ctx.count = len(candidates)
        candidates = functional.pad(candidates, (0, 0, 0, -ctx.count % 32))
        scores = predictions @ candidates.T
        scores[:, ctx.count :] = -torch.inf
        # Low precision ends at the scores.
        scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
        each = torch.arange(len(scores), device=target.device)
        gradient = scores.softmax(1)
        log_sum = scores.amax(1) - gradient.amax(1).log()
        gradient[each, target] -= 1
        ctx.save_for_backward(predictions, candidates, gradient)
        return (log_sum - scores[each, target]).mean()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, of_loss: Tensor) -> tuple[Tensor, Tensor, None]:
        predictions, candidates, gradient = ctx.saved_tensors
        gradient = gradient.to(predictions.dtype)
        of_loss = (of_loss / len(predictions)).to(predictions.dtype)
        return (gradient @ candidates).mul_(of_loss), (gradient.T @ predictions)[: ctx.count].mul_(of_loss), None


def skip_contrastive(
    queries: Tensor, items: Tensor, next_listened: Tensor, query: Tensor, skipped: Tensor, tau: float
) -> Tensor:
    """InfoNCE with the session's own skips as negatives (P1 and P2; docs/protocol.md, contrastive term).

    For each query position i: −log( e^{cos(c_i,p)/τ} / (e^{cos(c_i,p)/τ} + Σ_skips e^{cos(c_i,x)/τ}) ), averaged over all
    queries of the batch whose session has a skip.  Every skipped *play* of the session's train sequence is a negative, before
    or after the query; a track skipped twice counts twice.

    - ``queries`` (B, L, D): c, either ŷ or the item embedding at each position
    - ``items`` (B, L, D): embeddings of the session's own tracks
    - ``next_listened`` (B, L): position of the positive, below L; not looked at where ``query`` is false
    - ``query`` (B, L): positions that are queries: listened, with a later listened track
    - ``skipped`` (B, L): positions that are negatives

    Returns 0 when the batch has no query with a negative.
    """
    query = query & skipped.any(1, keepdim=True)
    cosine = functional.normalize(queries, dim=-1) @ functional.normalize(items, dim=-1).transpose(1, 2) / tau  # (B, L, L)
    positive = cosine.gather(2, next_listened.clamp(min=0).unsqueeze(2)).squeeze(2)  # (B, L)
    negatives = cosine.masked_fill(~skipped.unsqueeze(1), -torch.inf)
    loss = torch.logsumexp(torch.cat([positive.unsqueeze(2), negatives], dim=2), dim=2) - positive
    return torch.where(query, loss, 0.0).sum() / query.sum().clamp(min=1)
