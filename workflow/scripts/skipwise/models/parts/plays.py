"""Sparse matrices of sessions and tracks, weighted by how recent a play is."""

from collections.abc import Iterator

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import Tensor

from skipwise.sessions.sequences import Sequences

# Weight of a track whose last play is at position p (from 1) of a session of L plays.  All but
# "none" are decays of V-SKNN (Ludewig & Jannach 2018, and the code of its authors).
WEIGHTINGS = {
    "none": lambda p, length: np.ones(len(p)),
    "linear": lambda p, length: p / length,
    "quadratic": lambda p, length: (p / length) ** 2,
    "log": lambda p, length: 1 / np.log10(length - p + 1.7),
}
# Products of two cells that a block of a sparse product may have.
CELLS = 2**22


def weighted_tracks(
    sessions: Sequences, n_tracks: int, weighting: str = "none", plays: np.ndarray | None = None
) -> csr_matrix:
    """(S, N + 1) float64: each distinct track of a session with the weight of its last play.

    ``plays`` (E,) chooses the plays that count; positions are those of all plays.
    """
    tracks = sessions.tracks
    chosen = slice(None) if plays is None else plays
    row, track = tracks.row_of_value()[chosen], tracks.values[chosen]
    position = (np.arange(len(tracks.values)) + 1)[chosen] - tracks.offsets[row]
    weight = WEIGHTINGS[weighting](position, tracks.lengths[row])
    # Plays of one cell stand together, the last one at the end.
    order = np.lexsort((position, track, row))
    cell = row[order] * (n_tracks + 1) + track[order]
    last = order[np.append(cell[1:] != cell[:-1], True)[: len(order)]]
    return csr_matrix((weight[last], (row[last], track[last])), shape=(len(sessions), n_tracks + 1))


def decay(days: np.ndarray, half_life: float) -> np.ndarray:
    """Weights that halve with every ``half_life`` days."""
    return 0.5 ** (days / half_life)


def largest(matrix: csr_matrix, k: int) -> csr_matrix:
    """The ``k`` largest cells of each row; equal ones by their column."""
    row = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    order = np.lexsort((matrix.indices, -matrix.data, row))
    kept = order[np.arange(len(order)) - matrix.indptr[row] < k]
    return csr_matrix((matrix.data[kept], (row[kept], matrix.indices[kept])), shape=matrix.shape)


def blocks(cells: np.ndarray) -> Iterator[slice]:
    """Slices of rows with ``cells`` (R,) products each, so that a slice has at most ``CELLS`` of
    them, or one row.
    """
    reached, start = np.concatenate([[0], np.cumsum(cells)]), 0
    while start < len(cells):
        stop = int(np.searchsorted(reached, reached[start] + CELLS, side="right")) - 1
        yield slice(start, max(stop, start + 1))
        start = max(stop, start + 1)


def tensors_of(matrix: csr_matrix, name: str) -> dict[str, Tensor]:
    """A sparse matrix as the state of a model."""
    parts = ("data", "indices", "indptr")
    return {f"{name}_{part}": torch.from_numpy(getattr(matrix, part)) for part in parts}


def matrix_of(state: dict[str, Tensor], name: str, n_tracks: int) -> csr_matrix:
    """The inverse of :func:`tensors_of` for a matrix of N + 1 columns."""
    data, indices, indptr = (
        state[f"{name}_{part}"].numpy() for part in ("data", "indices", "indptr")
    )
    return csr_matrix((data, indices, indptr), shape=(len(indptr) - 1, n_tracks + 1))
