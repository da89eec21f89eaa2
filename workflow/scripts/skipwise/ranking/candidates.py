"""Drawing tracks: candidates of the training loss and of the sampled evaluation."""

import numpy as np


def draw_distinct(
    rng: np.random.Generator, n_tracks: int, size: int, forbidden: np.ndarray
) -> np.ndarray:
    """For each row draw ``size`` distinct tracks uniformly from 1..``n_tracks`` without the row's
    forbidden ones.

    ``forbidden`` is (R, F), padded with 0.  Returns (R, size) int32; rows are in no order that
    means anything.  The cost does not grow with the catalogue: tracks are drawn with replacement
    and those that repeat or are forbidden drawn again, which gives every allowed set the same
    chance.  Where ``size`` is a large part of the catalogue, a random order of all tracks is
    cheaper and used instead.  A row with fewer than ``size`` allowed tracks gets all of them,
    filled up with 0.
    """
    rows = len(forbidden)
    if n_tracks < 4 * (size + forbidden.shape[1]):
        return _draw_from_small_catalogue(rng, n_tracks, size, forbidden)
    fixed = forbidden.shape[1]
    drawn = np.concatenate([forbidden.astype(np.int32), np.zeros((rows, size), np.int32)], axis=1)
    row, column = np.nonzero(np.ones((rows, size), bool))
    column += fixed
    while len(row):
        drawn[row, column] = rng.integers(1, n_tracks + 1, len(row), dtype=np.int32)
        redrawn = np.unique(row)
        row, column = _repeated(drawn[redrawn], fixed)
        row = redrawn[row]
    return drawn[:, fixed:]


def _ordered(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values (R, C) int32, none negative, sorted within each row, and their columns (R, C).

    Equal ones stay from left to right, as in a stable `argsort`.  Value and column make one number,
    and numbers are sorted several times as fast as indices.
    """
    bits = values.shape[1].bit_length()
    small = values.max(initial=0) < 2 ** (32 - bits)
    number: np.ndarray = values.astype(np.uint32 if small else np.uint64)
    shift, mask = (np.array(part, number.dtype) for part in (bits, 2**bits - 1))
    np.left_shift(number, shift, out=number)
    np.bitwise_or(number, np.arange(values.shape[1], dtype=number.dtype), out=number)
    number.sort(axis=1)
    return np.right_shift(number, shift), np.bitwise_and(number, mask)


def _repeated(drawn: np.ndarray, fixed: int) -> tuple[np.ndarray, np.ndarray]:
    """Row and column, at or after ``fixed``, of all values that stand further left in their row."""
    value, from_column = _ordered(drawn)
    row, at = np.nonzero(value[:, 1:] == value[:, :-1])
    column = from_column[row, at + 1]
    redraw = column >= fixed
    return row[redraw], column[redraw]


def _draw_from_small_catalogue(
    rng: np.random.Generator, n_tracks: int, size: int, forbidden: np.ndarray
) -> np.ndarray:
    rows = len(forbidden)
    key = rng.random((rows, n_tracks + 1), dtype=np.float32)
    key[:, 0] = np.inf
    np.put_along_axis(key, forbidden.astype(np.int64), np.inf, axis=1)
    # As whole numbers the bits of floats that are not negative have the order of the floats.
    drawn = _ordered(key.view(np.int32))[1][:, :size].astype(np.int32)
    drawn[np.isinf(np.take_along_axis(key, drawn.astype(np.int64), axis=1))] = 0
    if drawn.shape[1] < size:
        drawn = np.pad(drawn, ((0, 0), (0, size - drawn.shape[1])))
    return drawn


def sampled_candidates(
    rng: np.random.Generator, n_tracks: int, size: int, contexts: np.ndarray, targets: np.ndarray
) -> np.ndarray:
    """Candidates of one group of sessions in the sampled evaluation (docs/protocol.md, ranking
    candidates).

    For each of G sessions: its own target, ``size`` uniformly drawn tracks that it did not observe,
    and the targets of the other sessions of the group.  ``contexts`` (G, L) holds the observed
    tracks, padded with 0; ``targets`` (G,).  Returns (G, 1 + G + size) int32 of distinct tracks
    with 0 in the place of those that are left out.
    """
    group = len(targets)
    own = targets[:, None]
    others = np.broadcast_to(targets, (group, group)).astype(np.int32)
    drawn = draw_distinct(rng, n_tracks, size, np.concatenate([contexts, own], axis=1))
    # A track that is drawn, or the target of several sessions, is one candidate: the first stays.
    candidates = np.concatenate([own, others, drawn], axis=1).astype(np.int32)
    row, column = _repeated(candidates, 1)
    candidates[row, column] = 0
    return candidates
