"""The base loss of all neural models, on plain tensors."""

import torch
from torch import Tensor
from torch.nn import functional


def full_precision(scores: Tensor) -> Tensor:
    """Scores in float32 at least: low precision ends at the scores."""
    return scores.to(torch.promote_types(scores.dtype, torch.float32))


def candidate_cross_entropy(predictions: Tensor, candidates: Tensor, target: Tensor) -> Tensor:
    """Mean cross-entropy of the next listened track among the candidates (docs/protocol.md, main
    loss).

    ``predictions`` (P, D) are ŷ, ``candidates`` (C, D) embeddings, ``target`` (P,) indices into the
    candidates.
    """
    return _CandidateCrossEntropy.apply(predictions, candidates.to(predictions.dtype), target)


class _CandidateCrossEntropy(torch.autograd.Function):
    """Product, softmax and mean in one: the softmax (P, C) is the gradient of the scores but for
    the target, so that no pass over the scores is needed backward but the two products.

    The candidates are filled up to a multiple of 32, so that each row of scores starts at a
    multiple of 64 bytes: with rows at odd addresses the product takes up to twice as long.
    """

    @staticmethod
    def forward(ctx, predictions: Tensor, candidates: Tensor, target: Tensor) -> Tensor:
        ctx.count = len(candidates)
        candidates = functional.pad(candidates, (0, 0, 0, -ctx.count % 32))
        scores = predictions @ candidates.T
        scores[:, ctx.count :] = -torch.inf
        scores = full_precision(scores)
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
        return (
            (gradient @ candidates).mul_(of_loss),
            (gradient.T @ predictions)[: ctx.count].mul_(of_loss),
            None,
        )
