"""Mini-batches of train sequences."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from skipwise.core.errors import UserError
from skipwise.core.schemas import PADDING
from skipwise.sessions.sequences import Ragged, Sequences

# What a position of a train sequence predicts: the next track that was listened to, by the right
# labels or by those that the variant sees (``labelled``), or simply the next one.
TARGETS = ("listened", "labelled", "next")
# The labels that a way to use skips sees.
LABELS = ("right", "inverted", "shuffled")


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


def seen_labels(plays: Sequences, labels: str, *, stays: str) -> Sequences:
    """The plays with the labels that a use of skips sees: the ``right`` ones; ``inverted``,
    skipped and listened exchanged; or ``shuffled``, in another order within each session but for
    the play that ``stays``.

    ``last`` is for contexts: their last play was listened to, and a way that leaves skips out would
    lose it.  ``first`` is for training: the first play is no target, so with it in its place a
    session keeps its number of targets.

    The order is that of a hash of the session's plays, so it is the same at every call and does not
    depend on labels or on other sessions.  Raises UserError for any other word.
    """
    if labels not in LABELS:
        raise UserError(f"labels is {', '.join(LABELS)}, not {labels!r}")
    if labels == "inverted":
        return replace(plays, skipped=plays.listened)
    if labels == "shuffled":
        order = _hashed_order(plays.tracks, stays)
        skipped, unknown = plays.skipped, plays.unknown
        return replace(
            plays,
            skipped=replace(skipped, values=skipped.values[order]),
            unknown=unknown and replace(unknown, values=unknown.values[order]),
        )
    return plays


def _hashed_order(tracks: Ragged, stays: str) -> np.ndarray:
    """(E,) plays in an order that keeps sessions together, and the first or last of each in its
    place, and is random otherwise.
    """
    row = tracks.row_of_value()
    place = np.arange(len(row)) - tracks.offsets[row]
    play = _mixed(_mixed(tracks.values.astype(np.uint64)) + place.astype(np.uint64))
    reached = np.concatenate([[np.uint64(0)], np.cumsum(play)])
    session = reached[tracks.offsets[1:]] - reached[tracks.offsets[:-1]]
    order = _mixed(play + session[row])
    full = np.diff(tracks.offsets) > 0
    if stays == "last":
        order[tracks.offsets[1:][full] - 1] = np.iinfo(np.uint64).max
    else:
        order[tracks.offsets[:-1][full]] = 0
    return np.lexsort((order, row))


def _mixed(x: np.ndarray) -> np.ndarray:
    """The output function of SplitMix64 (Steele, Lea & Flood, OOPSLA 2014)."""
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def may_be_target(train: Sequences, targets: str, labels: str = "right") -> Ragged:
    """Which plays may be a target: those listened to, as far as the ``labels`` say, or, with
    ``targets: next``, all.  Raises UserError for other words.
    """
    if targets not in TARGETS:
        raise UserError(f"targets is {', '.join(TARGETS)}, not {targets!r}")
    if targets == "next":
        return Ragged(np.ones_like(train.skipped.values), train.skipped.offsets)
    return seen_labels(train, labels, stays="first").listened


@dataclass(frozen=True)
class Batch:
    """A mini-batch of train sequences, padded at the end."""

    tracks: np.ndarray  # (B, L) int32, 0 is padding
    skipped: np.ndarray  # (B, L) bool, false at padding
    listened: np.ndarray  # (B, L) bool, false at padding; an unknown label is neither
    next_listened: np.ndarray  # (B, L) position of the next listened track, −1 if there is none
    may_be_target: np.ndarray  # (B, L) bool, false at padding
    next_target: np.ndarray  # (B, L) position of the next play that may be one, −1 if there is none
    target: np.ndarray  # (B, L) target track, which need not be in the input; 0 if there is none
    weight: float = (
        1.0  # its number of positions with a target, relative to the mean of all batches
    )
    second: np.ndarray | None = None  # (B, L2) int32 tracks of the second pass, 0 is padding

    @property
    def predicted(self) -> np.ndarray:
        """(B, L) positions with a target."""
        return self.target > 0

    @property
    def targets(self) -> np.ndarray:
        """(P,) target track of each predicted position."""
        return self.target[self.predicted]

    @property
    def queries(self) -> np.ndarray:
        """(B, L) positions of the contrastive term: listened, with a later listened track."""
        return self.listened & (self.next_listened >= 0)

    @property
    def labels(self) -> np.ndarray:
        """(B, L) int64: 0 padding or unknown, 1 listened, 2 skipped."""
        return self.listened + 2 * self.skipped.astype(np.int64)

    @property
    def rejected(self) -> np.ndarray:
        """(K,) skipped plays that another play precedes, as indices into the B · L plays."""
        return np.flatnonzero(self.skipped & (np.arange(self.skipped.shape[1]) > 0))

    def mask(self, share: float, rng: np.random.Generator) -> np.ndarray:
        """(B, L) positions to mask: the last track of each session that may be a target, and
        ``share`` of the others that may.
        """
        last = self.may_be_target & (self.next_target < 0)
        return last | (self.may_be_target & (rng.random(last.shape) < share))


class Batches:
    """The train sequences as shuffled mini-batches.

    Sequences are shuffled, then ordered by length within every ``SORTED`` batches' worth of them,
    so that a batch holds hardly any padding.  The order of the batches is random again.  A batch of
    short sessions has few positions and weighs accordingly: every position of the training counts
    the same, as in batches of random lengths.

    Targets are by the labels of ``train``.  What a way to use skips reads (``skipped``,
    ``listened``, ``next_listened``) is by those of ``seen``, the same plays as :func:`seen_labels`
    gives them.  Only the chosen ``plays`` (E,) are in a batch; the target at a position is the same
    as if all were.  ``second`` (E,) chooses the plays of a second pass.
    """

    SORTED = 16

    def __init__(
        self,
        train: Sequences,
        size: int,
        targets: str = "listened",
        seen: Sequences | None = None,
        plays: np.ndarray | slice = slice(None),
        second: np.ndarray | None = None,
    ):
        self._size = size
        # The target of each play, found among all plays of its session.
        eligible = may_be_target(train, targets)
        after = following(eligible).values
        start = train.tracks.offsets[train.tracks.row_of_value()]
        target = np.where(after >= 0, train.tracks.values[start + np.maximum(after, 0)], PADDING)

        # The plays that enter.
        seen = train if seen is None else seen
        self._second = None if second is None else seen.with_plays(second).tracks
        seen = seen.with_plays(plays)
        self._offsets, self._lengths = seen.tracks.offsets, seen.tracks.lengths
        eligible = Ragged(eligible.values[plays], self._offsets)
        # By field of a batch, with one value past the end for padding to point at.
        self._values = {
            "tracks": np.append(seen.tracks.values, np.int32(PADDING)),
            "skipped": np.append(seen.skipped.values, False),
            "listened": np.append(seen.listened.values, False),
            "next_listened": np.append(following(seen.listened).values, -1),
            "may_be_target": np.append(eligible.values, False),
            "next_target": np.append(following(eligible).values, -1),
            "target": np.append(target[plays], PADDING),
        }
        predicted = (self._values["target"] > 0).sum()
        self._mean_predicted = max(predicted, 1) / max(len(self), 1)

    def target_shares(self, n_tracks: int) -> np.ndarray:
        """(N + 1,) share of the sessions that have each track as a target."""
        session = np.repeat(np.arange(len(self._lengths)), self._lengths)
        pairs = np.unique(session * (n_tracks + 1) + self._values["target"][:-1])
        shares = np.bincount(pairs % (n_tracks + 1), minlength=n_tracks + 1) / len(self._lengths)
        shares[PADDING] = 0
        return shares

    def predict(self, *, causal: bool) -> bool:
        """Whether there is anything to predict: a target, or a play that may be masked."""
        return bool(self._values["target" if causal else "may_be_target"].any())

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
        weight = float((fields["target"] > 0).sum() / self._mean_predicted)
        second = None
        if self._second is not None:
            second = self._second.take(rows).padded()
            second = second if second.shape[1] else np.zeros((len(rows), 1), np.int32)
        return Batch(**fields, weight=weight, second=second)
