"""The base loss of all neural models, and the contract of skip losses, both on plain tensors.

Shapes: B batch, L length, D dimension, C candidates, P predicted positions of the batch.
"""

from typing import NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn import functional


class Step(NamedTuple):
    """What a skip loss may use of one step; padding is at the end of each row."""

    predictions: Tensor  # (B, L, D) ŷ at each position
    embedded: Tensor  # (B, L, D) embeddings of the session's tracks
    candidates: Tensor  # (C, D) embeddings of the candidates of the cross-entropy
    positions: Tensor  # (P,) predicted positions, as indices into the B · L positions
    targets: Tensor  # (P,) their targets, as indices into the candidates
    next_listened: Tensor  # (B, L) position of the next listened track, −1 if there is none
    queries: Tensor  # (B, L) listened positions that a later listened track follows
    skipped: Tensor  # (B, L) skipped plays, false at padding
    settings: dict  # merged settings of the variant


class SkipLoss(Protocol):
    """The function ``loss`` of a file in ``training/skip_losses``, whose ``SETTINGS`` it reads.

    A variant of the configuration names the file: ``{skip_loss: contrastive, query: item}``.
    """

    def __call__(self, step: Step) -> Tensor:
        """A scalar, the mean over the batch; 0 if nothing in the batch was skipped."""


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
        return (
            (gradient @ candidates).mul_(of_loss),
            (gradient.T @ predictions)[: ctx.count].mul_(of_loss),
            None,
        )
