"""Feedback as input: the encoder sees of each play whether it was listened to or skipped.

    input_i = e_{x_i} + f_{y_i},  y_i listened or skipped

f are two learned vectors; a masked play and one of unknown label have none.  Predictions see the
labels of their context, too.  Mei et al., "Negative Feedback for Music Personalization", UMAP 2024,
arXiv 2406.04488, give the feedback to the encoder as well; so do the action tokens of HSTU (Zhai et
al., ICML 2024, arXiv 2402.17152).
"""

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from skipwise.training.hooks import deviation

SETTINGS = ()


class LabelVectors(nn.Module):
    """Labels (B, L), 1 for listened and 2 for skipped, to their vectors (B, L, D); 0 has none."""

    def __init__(self, settings: dict, generator: Generator):
        super().__init__()
        self.vectors = nn.Parameter(
            torch.empty(2, settings["dimension"]).normal_(
                0, deviation(settings), generator=generator
            )
        )

    def forward(self, labels: Tensor) -> Tensor:
        return functional.embedding(labels, functional.pad(self.vectors, (0, 0, 1, 0)))


def added(settings: dict, generator: Generator) -> nn.Module:
    """The two vectors, drawn as those of tracks are."""
    return LabelVectors(settings, generator)
