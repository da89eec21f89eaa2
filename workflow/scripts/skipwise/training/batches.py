"""Mini-batches of train sequences."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from skipwise.core.schemas import PADDING
from skipwise.sessions.sequences import Ragged, Sequences


def next_listened(skipped: Ragged) -> Ragged:
    """For each play the position (from 0) of the next listened play of its session, −1 where there
    is none.
    """
    row = skipped.row_of_value()
    listened = np.flatnonzero(~skipped.values)
    following = np.searchsorted(listened, np.arange(len(row)), side="right")
    found = np.append(listened, -1)[following]
    same = (following < len(listened)) & (row[found] == row)
    return Ragged(np.where(same, found - skipped.offsets[row], -1), skipped.offsets)


@dataclass(frozen=True)
class Batch:
    """A mini-batch of train sequences, padded at the end."""

    tracks: np.ndarray  # (B, L) int32, 0 is padding
    skipped: np.ndarray  # (B, L) bool, false at padding
    next_listened: np.ndarray  # (B, L) position of the next listened track, −1 if there is none
    weight: float = (
        1.0  # its number of positions with a target, relative to the mean of all batches
    )

    @property
    def predicted(self) -> np.ndarray:
        """(B, L) positions with a target: all that a listened track follows."""
        return self.next_listened >= 0

    @property
    def targets(self) -> np.ndarray:
        """(P,) target track of each predicted position."""
        return np.take_along_axis(self.tracks, np.maximum(self.next_listened, 0), axis=1)[
            self.predicted
        ]

    @property
    def queries(self) -> np.ndarray:
        """(B, L) positions of the contrastive term: listened, with a later listened track."""
        return self.predicted & ~self.skipped & (self.tracks > 0)

    def mask(self, share: float, rng: np.random.Generator) -> np.ndarray:
        """(B, L) positions to mask: the last listened track of each session, and ``share`` of the
        other listened ones.

        A skipped track is never masked, so it is never a target.
        """
        listened = ~self.skipped & (self.tracks > 0)
        last = listened & (self.next_listened < 0)
        return last | (listened & (rng.random(listened.shape) < share))


class Batches:
    """The train sequences as shuffled mini-batches.

    Sequences are shuffled, then ordered by length within every ``SORTED`` batches' worth of them,
    so that a batch holds hardly any padding.  The order of the batches is random again.  A batch of
    short sessions has few positions and weighs accordingly: every position of the training counts
    the same, as in batches of random lengths.
    """

    SORTED = 16

    def __init__(self, train: Sequences, size: int):
        self._size = size
        self._offsets, self._lengths = train.tracks.offsets, train.tracks.lengths
        # One value past the end, for padding to point at.
        self._tracks = np.append(train.tracks.values, np.int32(PADDING))
        self._skipped = np.append(train.skipped.values, False)
        self._next = np.append(next_listened(train.skipped).values, -1)
        self._mean_predicted = max((self._next >= 0).sum(), 1) / max(len(self), 1)

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
        batch = Batch(self._tracks[at], self._skipped[at], self._next[at])
        return replace(batch, weight=float(batch.predicted.sum() / self._mean_predicted))
