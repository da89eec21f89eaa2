"""Sessions in memory: flat arrays with offsets, so that batches are index arithmetic and nothing
loops over sessions.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from skipwise.core.artifacts import read_artifact
from skipwise.core.schemas import PADDING

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


@dataclass(frozen=True)
class Ragged:
    """S rows of different lengths: row ``i`` is ``values[offsets[i] : offsets[i + 1]]``."""

    values: np.ndarray  # (E,)
    offsets: np.ndarray  # (S + 1,) int64

    @classmethod
    def from_arrow(cls, column: pa.ChunkedArray) -> "Ragged":
        """A list column without null rows."""
        lists = column.combine_chunks()
        offsets = lists.offsets.to_numpy().astype(np.int64)
        values = lists.values.to_numpy(zero_copy_only=False)
        return cls(values[offsets[0] : offsets[-1]], offsets - offsets[0])

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> np.ndarray:
        """(S,) number of values of each row."""
        return np.diff(self.offsets)

    def row_of_value(self) -> np.ndarray:
        """(E,) the row that each value belongs to."""
        return np.repeat(np.arange(len(self)), self.lengths)

    def take(self, rows: np.ndarray) -> "Ragged":
        """The given rows, in the given order."""
        lengths = self.lengths[rows]
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        at = np.arange(offsets[-1]) - np.repeat(offsets[:-1] - self.offsets[rows], lengths)
        return Ragged(self.values[at], offsets)

    def padded(self, fill=PADDING) -> np.ndarray:
        """(S, L) rows padded at the end to the longest; L is 0 where all rows are empty."""
        lengths = self.lengths
        width = int(lengths.max(initial=0))
        inside = np.arange(width) < lengths[:, None]
        out = np.full(inside.shape, fill, self.values.dtype)
        out[inside] = self.values
        return out


@dataclass(frozen=True)
class Sequences:
    """One part of a split.  ``tracks`` and ``skipped`` are the plays that a model may see;
    ``target`` is 0 in train.  A play whose label is ``unknown`` is neither skipped nor listened;
    None: every label is known.  ``time`` is when a session began, in days; None where a session of
    the part has no time.  Sessions of one ``cluster`` are not independent; None: all are.
    """

    session_id: np.ndarray  # (S,) int32
    tracks: Ragged  # int32
    skipped: Ragged  # bool, same offsets as tracks
    target: np.ndarray  # (S,) int32
    unseen_skips: Ragged  # int32
    unknown: Ragged | None = None  # bool, same offsets as tracks
    time: np.ndarray | None = None  # (S,) float64
    cluster: np.ndarray | None = None  # (S,) int32

    @property
    def listened(self) -> Ragged:
        """Plays that are known to have been listened to; same offsets as tracks."""
        not_listened = self.skipped.values
        if self.unknown is not None:
            not_listened = not_listened | self.unknown.values
        return Ragged(~not_listened, self.skipped.offsets)

    @property
    def labels(self) -> Ragged:
        """Labels of the plays as numbers: 0 unknown, 1 listened, 2 skipped; same offsets as
        tracks.
        """
        listened, skipped = self.listened.values, self.skipped.values
        return Ragged(listened + 2 * skipped.astype(np.int64), self.skipped.offsets)

    @classmethod
    def read(cls, part: str, path: str | Path) -> "Sequences":
        """Read a ``train``, ``valid`` or ``test`` artifact."""
        table = read_artifact(part, path)
        tracks = Ragged.from_arrow(table["tracks"])
        labels = table["skipped"].combine_chunks().flatten()
        skipped = labels.fill_null(False).to_numpy(zero_copy_only=False)
        unknown = labels.is_null().to_numpy(zero_copy_only=False)
        return cls(
            table["session_id"].to_numpy(),
            tracks,
            Ragged(skipped, tracks.offsets),
            table["target"].fill_null(PADDING).to_numpy(),
            Ragged.from_arrow(table["unseen_skips"]),
            Ragged(unknown, tracks.offsets) if unknown.any() else None,
            None if table["time"].null_count else table["time"].to_numpy(),
            table["cluster"].to_numpy(),
        )

    def __len__(self) -> int:
        return len(self.session_id)

    def take(self, rows: np.ndarray) -> "Sequences":
        """The given sessions, in the given order."""
        return Sequences(
            self.session_id[rows],
            self.tracks.take(rows),
            self.skipped.take(rows),
            self.target[rows],
            self.unseen_skips.take(rows),
            None if self.unknown is None else self.unknown.take(rows),
            None if self.time is None else self.time[rows],
            None if self.cluster is None else self.cluster[rows],
        )

    def with_plays(self, plays: np.ndarray | slice) -> "Sequences":
        """The sessions with the chosen plays (E,) only."""
        if isinstance(plays, slice):
            return self
        kept = np.bincount(self.tracks.row_of_value()[plays], minlength=len(self))
        offsets = np.concatenate([[0], np.cumsum(kept)])
        return replace(
            self,
            tracks=Ragged(self.tracks.values[plays], offsets),
            skipped=Ragged(self.skipped.values[plays], offsets),
            unknown=self.unknown and Ragged(self.unknown.values[plays], offsets),
        )

    def distinct_tracks(self) -> Ragged:
        """The distinct tracks of each session, in ascending order."""
        rows = self.tracks.row_of_value()
        order = np.lexsort((self.tracks.values, rows))
        row, track = rows[order], self.tracks.values[order]
        first = np.ones(len(order), bool)
        first[1:] = (row[1:] != row[:-1]) | (track[1:] != track[:-1])
        lengths = np.bincount(row[first], minlength=len(self))
        return Ragged(track[first], np.concatenate([[0], np.cumsum(lengths)]))

    def repeats(self) -> np.ndarray:
        """(S,) whether the target is a track of the context."""
        row = self.tracks.row_of_value()
        same = self.tracks.values == self.target[row]
        return np.bincount(row, same, minlength=len(self)) > 0

    def counts(self, n_tracks: int) -> np.ndarray:
        """(N + 1,) plays of each track."""
        return np.bincount(self.tracks.values, minlength=n_tracks + 1)

    def matrix(self, n_tracks: int, plays: np.ndarray | slice = slice(None)) -> "csr_matrix":
        """(S, N + 1) play counts; ``plays`` (E,) may choose which plays count."""
        from scipy.sparse import (
            csr_matrix,
        )  # a quarter of a second that a neural model does without

        cells = (self.tracks.row_of_value()[plays], self.tracks.values[plays])
        ones = np.ones(len(cells[0]), np.float32)
        return csr_matrix((ones, cells), shape=(len(self), n_tracks + 1))

    def listened_and_rejected(self, n_tracks: int) -> tuple["csr_matrix", "csr_matrix"]:
        """(S, N + 1) counts of listened plays, and (S, N + 1) counts of skips of tracks never
        listened to in the session.
        """
        listened = self.matrix(n_tracks, self.listened.values)
        skipped = self.matrix(n_tracks, self.skipped.values)
        return listened, (skipped - skipped.multiply(listened > 0)).tocsr()
