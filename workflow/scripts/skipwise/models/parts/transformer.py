"""Transformer encoder in the papers' form: learned positions, post-norm layers (P1 and P2)."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from skipwise.core.errors import UserError
from skipwise.models.parts.layers import Dropout, linear


class TransformerEncoder(nn.Module):
    """Positions, dropout and layers: (B, L, D) to (B, L, D).

    Padding stands at the end of a row and is never attended to.  With ``causal`` a position sees
    itself and earlier ones, and positions count from the start of the session.  Without, they count
    back from its last track: there stands the mask that prediction is read from, and so it has the
    same, always trained position after contexts of every length.
    """

    def __init__(self, settings: dict, length: int, *, causal: bool, generator: torch.Generator):
        super().__init__()
        dimension = settings["dimension"]
        if dimension % settings["heads"]:
            raise UserError(
                f"neural.dimension ({dimension}) must be a multiple of heads "
                f"({settings['heads']}); change one of them"
            )
        self.causal = causal
        self.positions = nn.Parameter(
            torch.empty(length, dimension).normal_(0, dimension**-0.5, generator=generator)
        )
        self.dropout = Dropout(settings["dropout"], generator)
        self.layers = nn.ModuleList(
            TransformerLayer(settings, generator) for _ in range(settings["layers"])
        )

    def forward(self, embedded: Tensor, real: Tensor) -> Tensor:
        length = embedded.shape[1]
        # A padded row must see something, or its softmax is 0 / 0: with causal it is the first
        # position, else all.
        if self.causal:
            hidden = torch.ones(1, length, length, dtype=torch.bool, device=real.device).triu(1)
            positions = self.positions[:length]
        else:
            hidden = ~real.unsqueeze(1)
            back = (
                real.sum(1, keepdim=True) - 1 - torch.arange(length, device=real.device)
            )  # (B, L), negative at padding
            positions = functional.embedding(back.clamp(min=0), self.positions)
        mask = torch.zeros(hidden.shape, device=real.device, dtype=embedded.dtype).masked_fill(
            hidden, -torch.inf
        )
        x = self.dropout(embedded + positions)
        for layer in self.layers:
            x = layer(x, mask)
        return x


class TransformerLayer(nn.Module):
    """Post-norm self-attention and feed-forward with ReLU, as in torch's
    ``TransformerEncoderLayer``.
    """

    def __init__(self, settings: dict, generator: torch.Generator):
        super().__init__()
        dimension = settings["dimension"]
        self.heads = settings["heads"]
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
        x = self.attention_norm(x + self.dropout(self._attend(x, mask)))
        inner = self.dropout(functional.relu(self.inner(x)))
        return self.feed_forward_norm(x + self.dropout(self.outer(inner)))

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
