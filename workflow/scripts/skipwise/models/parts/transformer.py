"""Transformer encoder with learned positions: as the papers have it (P1 and P2: post-norm layers),
or as the field builds it (pre-norm).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from skipwise.core.errors import UserError
from skipwise.models.parts.layers import Dropout, linear


class TransformerEncoder(nn.Module):
    """Positions, dropout and layers: (B, L, D) to (B, L, D).

    Padding stands at the end of a row and is never attended to.  With ``causal`` a position sees
    itself and earlier ones.

    Positions count back from the last track that predicts, so the place that a prediction is read
    from is trained by every session, whatever the length of a context.  (A causal model does not
    predict at the last track of a training sequence, which is a target only.)  Tracks further back
    than those of any training sequence share the last trained position.  With ``positions: start``,
    a switch of the audit, they count from the first track, and a context that is longer than those
    of training is read at a position that training never reached.

    ``norm`` is ``post``, after each sum as in torch's ``TransformerEncoderLayer``, or ``pre``,
    before each part and once at the end (Xiong et al. 2020).
    """

    trained: Tensor

    def __init__(self, settings: dict, length: int, *, causal: bool, generator: torch.Generator):
        super().__init__()
        dimension = settings["dimension"]
        if dimension % settings["heads"]:
            raise UserError(
                f"neural.dimension ({dimension}) must be a multiple of heads "
                f"({settings['heads']}); change one of them"
            )
        self.causal, self.from_start = causal, settings["positions"] == "start"
        self.positions = nn.Parameter(
            torch.empty(length, dimension).normal_(0, dimension**-0.5, generator=generator)
        )
        # The number of positions that training has reached.
        self.register_buffer("trained", torch.ones(1, dtype=torch.int64))
        self.dropout = Dropout(settings["dropout"], generator)
        self.layers = nn.ModuleList(
            TransformerLayer(settings, generator) for _ in range(settings["layers"])
        )
        self.norm = nn.LayerNorm(dimension) if settings["norm"] == "pre" else nn.Identity()

    def forward(self, embedded: Tensor, real: Tensor) -> Tensor:
        length = embedded.shape[1]
        # A padded row must see something, or its softmax is 0 / 0: with causal it is the first
        # position, else all.
        if self.causal:
            hidden = torch.ones(1, length, length, dtype=torch.bool, device=real.device).triu(1)
        else:
            hidden = ~real.unsqueeze(1)
        mask = torch.zeros(hidden.shape, device=real.device, dtype=embedded.dtype).masked_fill(
            hidden, -torch.inf
        )
        x = self.dropout(embedded + self._positions(real))
        for layer in self.layers:
            x = layer(x, mask)
        return self.norm(x)

    def _positions(self, real: Tensor) -> Tensor:
        """The vectors of the positions, (B, L, D) or, from the start, (L, D)."""
        length = real.shape[1]
        if self.from_start:
            return self.positions[:length]
        predicting = real.sum(1, keepdim=True)
        if self.training:
            predicting = predicting - int(self.causal)
            self.trained.clamp_(min=length - int(self.causal))
        back = predicting - 1 - torch.arange(length, device=real.device)  # (B, L)
        # Negative at padding, and at the last track of a causal model's training sequence.
        back = torch.minimum(back.clamp(min=0), self.trained - 1)
        return functional.embedding(back, self.positions)


class TransformerLayer(nn.Module):
    """Self-attention and feed-forward with ReLU."""

    def __init__(self, settings: dict, generator: torch.Generator):
        super().__init__()
        dimension = settings["dimension"]
        self.heads = settings["heads"]
        self.pre_norm = settings["norm"] == "pre"
        self.attention_in = linear(dimension, 3 * dimension, generator)
        self.attention_out = linear(dimension, dimension, generator)
        self.inner = linear(dimension, settings["feed_forward"], generator)
        self.outer = linear(settings["feed_forward"], dimension, generator)
        self.attention_norm = nn.LayerNorm(dimension)
        self.feed_forward_norm = nn.LayerNorm(dimension)
        self.dropout = Dropout(settings["dropout"], generator)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """``x`` (B, L, D); ``mask`` (1 or B, 1 or L, L) is −∞ where a position may not look, else
        0.
        """
        if self.pre_norm:
            x = x + self.dropout(self._attend(self.attention_norm(x), mask))
            return x + self.dropout(self._feed_forward(self.feed_forward_norm(x)))
        x = self.attention_norm(x + self.dropout(self._attend(x, mask)))
        return self.feed_forward_norm(x + self.dropout(self._feed_forward(x)))

    def _feed_forward(self, x: Tensor) -> Tensor:
        return self.outer(self.dropout(functional.relu(self.inner(x))))

    def _attend(self, x: Tensor, mask: Tensor) -> Tensor:
        # A plain batched product: torch's fused attention is slower on a CPU for sequences this
        # short.
        batch, length, dimension = x.shape
        width = dimension // self.heads
        query, key, value = (
            part.reshape(batch * self.heads, length, width)
            for part in self.attention_in(x)
            .view(batch, length, 3, self.heads, width)
            .permute(2, 0, 3, 1, 4)
        )
        # Scale and mask go with the product, where they cost no pass of their own, forward or
        # backward.
        if len(mask) > 1:
            mask = mask.repeat_interleave(self.heads, 0)
        weights = torch.baddbmm(mask, query, key.transpose(1, 2), alpha=width**-0.5).softmax(
            -1
        )  # (B·H, L, L)
        attended = (self.dropout(weights) @ value).view(batch, self.heads, length, width)
        return self.attention_out(attended.transpose(1, 2).reshape(batch, length, dimension))
