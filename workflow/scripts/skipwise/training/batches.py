"""Mini-batches of train sequences."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from skipwise.core.errors import UserError
from skipwise.core.schemas import PADDING
from skipwise.sessions.sequences import Ragged, Sequences

# What a position of a train sequence predicts: the next track that was listened to, or simply the
# next one.
TARGETS = ("listened", "next")


def following(chosen: Ragged) -> Ragged:
    """For each play the position (from 0) of the next play of its session that is ``chosen``, −1
    where there is none.
    """
    row = chosen.row_of_value()
    places = np.flatnonzero(chosen.values)
    after = np.searchsorted(places, np.arange(len(row)), side="right")
    found = np.append(places, -1)[after]
    same = (after < len(places)) & (row[found] == row)
    return Ragged(np.where(same, found - chosen.offsets[row], -1), chosen.offsets)


def may_be_target(train: Sequences, targets: str) -> Ragged:
    """Which plays may be a target: those listened to or, with ``targets: next``, all.  Raises
    UserError for anything else.
    """
    if targets not in TARGETS:
        raise UserError(f"targets is {' or '.join(TARGETS)}, not {targets!r}")
    if targets == "listened":
        return train.listened
    return Ragged(np.ones_like(train.skipped.values), train.skipped.offsets)


@dataclass(frozen=True)
class Batch:
    """A mini-batch of train sequences, padded at the end."""

    tracks: np.ndarray  # (B, L) int32, 0 is padding
    skipped: np.ndarray  # (B, L) bool, false at padding
    listened: np.ndarray  # (B, L) bool, false at padding; an unknown label is neither
    next_listened: np.ndarray  # (B, L) position of the next listened track, −1 if there is none
    may_be_target: np.ndarray  # (B, L) bool, false at padding
    next_target: np.ndarray  # (B, L) position of the target, −1 if there is none
    weight: float = (
        1.0  # its number of positions with a target, relative to the mean of all batches
    )

    @property
    def predicted(self) -> np.ndarray:
        """(B, L) positions with a target."""
        return self.next_target >= 0

    @property
    def targets(self) -> np.ndarray:
        """(P,) target track of each predicted position."""
        return np.take_along_axis(self.tracks, np.maximum(self.next_target, 0), axis=1)[
            self.predicted
        ]

    @property
    def queries(self) -> np.ndarray:
        """(B, L) positions of the contrastive term: listened, with a later listened track."""
        return self.listened & (self.next_listened >= 0)

    def mask(self, share: float, rng: np.random.Generator) -> np.ndarray:
        """(B, L) positions to mask: the last track of each session that may be a target, and
        ``share`` of the others that may.
        """
        last = self.may_be_target & ~self.predicted
        return last | (self.may_be_target & (rng.random(last.shape) < share))


class Batches:
    """The train sequences as shuffled mini-batches.

    Sequences are shuffled, then ordered by length within every ``SORTED`` batches' worth of them,
    so that a batch holds hardly any padding.  The order of the batches is random again.  A batch of
    short sessions has few positions and weighs accordingly: every position of the training counts
    the same, as in batches of random lengths.
    """

    SORTED = 16

    def __init__(self, train: Sequences, size: int, targets: str = "listened"):
        self._size = size
        self._offsets, self._lengths = train.tracks.offsets, train.tracks.lengths
        eligible = may_be_target(train, targets)
        next_target = following(eligible).values
        # By field of a batch, with one value past the end for padding to point at.
        self._values = {
            "tracks": np.append(train.tracks.values, np.int32(PADDING)),
            "skipped": np.append(train.skipped.values, False),
            "listened": np.append(train.listened.values, False),
            "next_listened": np.append(following(train.listened).values, -1),
            "may_be_target": np.append(eligible.values, False),
            "next_target": np.append(next_target, -1),
        }
        self._mean_predicted = max((next_target >= 0).sum(), 1) / max(len(self), 1)

    def __len__(self) -> int:
        return -(-len(self._lengths) // self._size)

    def epoch(self, rng: np.random.Generator) -> Iterator[Batch]:
        """All sequences once, in random order."""
        order = rng.permutation(len(self._lengths))
        chunk = np.arange(len(order)) // (self.SORTED * self._size)
        order = order[np.lexsort((self._lengths[order], chunk))]
        starts = np.arange(0, len(order), self._size)
        for start in rng.permutation(starts):
            yield self._batch(order[start : start + self._size])

    def _batch(self, rows: np.ndarray) -> Batch:
        at = np.arange(self._lengths[rows].max())
        at = np.where(at < self._lengths[rows, None], self._offsets[rows, None] + at, -1)
        fields: dict[str, Any] = {name: values[at] for name, values in self._values.items()}
        weight = float((fields["next_target"] >= 0).sum() / self._mean_predicted)
        return Batch(**fields, weight=weight)
