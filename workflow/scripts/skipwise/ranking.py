"""Ranks in the catalogue and among drawn candidates (docs/protocol.md, ranking candidates).

The rank of a track is the number of candidates whose score is at least its own: it counts itself, and ties count against it.
To count is cheaper than to sort, and takes the memory of a block of scores or, for candidates, of vectors.

A model that scores by vectors is ranked in blocks of tracks, the most played first, so that with a cut-off a session leaves
the count as soon as its rank is known to lie past it.  A block's scores come out of a product of matrices in low precision,
whose last bits depend on the shapes; they only screen.  A score nearer to the threshold than the error can be is computed again
in float64, always in the same order of additions.  So ranks are those of float64 arithmetic on the vectors, equal vectors tie,
and neither blocks nor threads nor the device of the ranking change one.  (A network's queries differ by their last bits between
devices.)
"""

from abc import ABC, abstractmethod
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from skipwise.columns import PADDING
from skipwise.errors import UserError
from skipwise.machine import fast_bfloat16, float32_products, single_threads
from skipwise.models.base import Recommender, VectorRecommender
from skipwise.sequences import Ragged, Sequences

# Scores of a batch against the whole catalogue stay below this many bytes, where a model gives all scores at once.
SCORE_BYTES = 128 * 2**20
SESSIONS = 512
# Tracks of a block: its scores with a batch of sessions stay near a core; a GPU wants much to do at once.
BLOCK = 8_192
BLOCK_OF_GPU = 65_536
# Scores computed one by one at once.
EXACT = 16_384
# Scores of a row whose comparisons are counted together, eight at a time and a byte each: at most 8 · 255.
GROUP = 8 * 128


class Ranker(ABC):
    """Ranks for one model.  A rank past ``cutoff`` is 0, which no rank is; ``cutoff`` None means that every rank counts."""

    @abstractmethod
    def rank(
        self, contexts: Sequences, items: Ragged, candidates: np.ndarray | None = None, *, cutoff: int | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rank the tracks ``items`` (S rows, I values, none empty) of each session.

        Returns (I,) their ranks in the catalogue, (S,) the rank of each row's first item among its ``candidates``, which are
        (S, C), padded with 0, and (I,) whether an item scores at least as high as the first of its row.  Without candidates
        the second is empty.  Raises UserError where a score is not finite, because a rank of it would mean nothing.
        """


def ranker(model: Recommender, popularity: np.ndarray) -> Ranker:
    """The ranker of a model.  ``popularity`` (N + 1,) orders the catalogue; it changes the time that ranking takes, no rank."""
    return VectorRanker(model, popularity) if isinstance(model, VectorRecommender) else ScoreRanker(model)


class ScoreRanker(Ranker):
    """Ranks for a model that gives the scores of the whole catalogue."""

    def __init__(self, model: Recommender):
        self.model = model
        self.sessions = int(np.clip(SCORE_BYTES // (4 * (model.n_tracks + 1)), 1, SESSIONS))

    def rank(self, contexts, items, candidates=None, *, cutoff=None):
        ranks, among, outranks = [], [np.empty(0, np.int64)], []
        for start in range(0, len(contexts), self.sessions):
            rows = np.arange(start, min(start + self.sessions, len(contexts)))
            wanted = items.take(rows)
            row, item = torch.from_numpy(wanted.row_of_value()), torch.from_numpy(wanted.values.astype(np.int64))
            scores = self.model.score(contexts.take(rows))
            tracks = scores[:, 1:]
            finite = torch.isfinite(tracks).all(1)
            if not finite.all():
                raise _diverged(contexts.session_id[rows[int((~finite).nonzero()[0])]])
            own = scores[row, item]
            first = own[torch.from_numpy(wanted.offsets[:-1])]
            # One comparison of whole rows for each place in a row: few sessions have many items.
            rank = torch.empty(len(item), dtype=torch.int64)
            place = torch.arange(len(item)) - torch.from_numpy(wanted.offsets)[row]
            for k in range(int(place.max()) + 1):
                at = (place == k).nonzero()[:, 0]
                above = (tracks[row[at]] >= own[at, None]).numpy()
                rank[at] = torch.tensor([np.count_nonzero(of_row) for of_row in above])
            ranks.append(rank.numpy())
            outranks.append((own >= first[row]).numpy())
            if candidates is not None:
                drawn = torch.from_numpy(candidates[rows].astype(np.int64))
                of_drawn = scores.gather(1, drawn).masked_fill_(drawn == PADDING, -torch.inf)
                among.append((of_drawn >= first[:, None]).sum(1).numpy())
        return _cut(_joined(ranks, np.int64), cutoff), np.concatenate(among), _joined(outranks, bool)


class VectorRanker(Ranker):
    """Ranks for a model whose score is the product of two vectors."""

    def __init__(self, model: VectorRecommender, popularity: np.ndarray):
        self.model = model
        self.order = torch.from_numpy(np.argsort(-popularity[1:], kind="stable") + 1)

    @torch.inference_mode()
    def rank(self, contexts, items, candidates=None, *, cutoff=None):
        self.vectors = self.model.vectors
        queries, error = self._queries(contexts)
        row, item = self._there(items.row_of_value()), self._there(items.values)
        own = self._exact(queries, row, item)
        first = own[self._there(items.offsets[:-1])]
        with float32_products():
            ranks = self._count(queries, error, row, own, cutoff)
            among = np.empty(0, np.int64) if candidates is None else self._among(queries, error, first, candidates)
        return _cut(ranks.cpu().numpy(), cutoff), among, (own >= first[row]).cpu().numpy()

    def _there(self, numbers: np.ndarray) -> Tensor:
        """Whole numbers as int64 on the device of the model."""
        return torch.from_numpy(numbers.astype(np.int64)).to(self.vectors.device)

    def _queries(self, contexts: Sequences) -> tuple[Tensor, Tensor]:
        """(S, D) queries, finite and small enough that no product of theirs overflows, and (S,) how far one can be off."""
        parts = [
            self.model.queries(contexts.take(np.arange(start, min(start + SESSIONS, len(contexts)))))
            for start in range(0, len(contexts), SESSIONS)
        ]
        queries = torch.cat([self.vectors[:0], *parts])
        largest = torch.stack([_length(block).max() for block in self.vectors.split(BLOCK)]).max()
        size = _length(queries) * largest
        fine = size < torch.finfo(torch.float32).max
        if not fine.all():
            raise _diverged(contexts.session_id[int((~fine).nonzero()[0])])
        return queries, _added_up(size, queries.shape[1])

    def _exact(self, queries: Tensor, row: Tensor, item: Tensor) -> Tensor:
        """(P,) float64 scores of pairs of a row of ``queries`` and a track; the same pair has the same bits in any company."""
        parts = [
            _sum_of_rows(queries.index_select(0, rows).double() * self.vectors.index_select(0, tracks).double())
            for rows, tracks in zip(row.split(EXACT), item.split(EXACT), strict=True)
        ]
        return torch.cat([queries.new_empty(0, dtype=torch.float64), *parts])

    def _reaches(self, queries: Tensor, error: Tensor, row: Tensor, item: Tensor, threshold: Tensor) -> Tensor:
        """(P,) whether the exact scores of pairs are at least ``threshold`` (P,); float32 decides all but the nearest."""
        parts = [queries.new_empty(0, dtype=torch.bool)]
        for rows, tracks, near in zip(row.split(EXACT), item.split(EXACT), threshold.split(EXACT), strict=True):
            scores = (queries.index_select(0, rows) * self.vectors.index_select(0, tracks)).sum(1)
            above = scores.double() - near
            unclear = above.abs() <= error[rows]
            above[unclear] = self._exact(queries, rows[unclear], tracks[unclear]) - near[unclear]
            parts.append(above >= 0)
        return torch.cat(parts)

    def _count(self, queries: Tensor, error: Tensor, row: Tensor, threshold: Tensor, cutoff: int | None) -> Tensor:
        """(P,) number of tracks that score at least ``threshold`` (P,) with the query ``row`` (P,), which ascends.

        Some number past ``cutoff`` where it is past it.
        """
        counts = torch.zeros_like(row)
        # With a cut-off only targets of high rank are counted to the end, and few scores are near theirs; without one, most
        # scores would be near a target in the middle.
        screen = torch.bfloat16 if cutoff is not None and not row.is_cuda and fast_bfloat16() else torch.float32
        rounded, of_query = _rounded(queries, screen)
        pairs = torch.arange(len(row), device=row.device)
        order = self.order.to(row.device)

        @torch.inference_mode()  # a setting of the thread
        def above(tracks: Tensor) -> Tensor:
            """(P,) how many of ``tracks`` score at least the threshold; 0 for those that have left ``pairs``."""
            block, of_block = _rounded(self.vectors.index_select(0, tracks), screen)
            off = of_query.error(of_block, self.vectors.shape[1])
            found = torch.zeros_like(counts)
            for at in pairs.split(SESSIONS):
                sessions, of = row[at].unique_consecutive(return_inverse=True)
                scores = rounded.index_select(0, sessions) @ block.T
                sure, (pair, column) = _screen(scores, of, threshold[at], off[row[at]])
                pair = at[pair]
                reached = self._reaches(queries, error, row[pair], tracks[column], threshold[pair])
                found[at] = sure
                found.index_add_(0, pair, reached.to(torch.int64))
            return found

        with single_threads() as (pool, threads):
            size, at_once = (BLOCK_OF_GPU, 1) if order.is_cuda else (BLOCK, threads)
            blocks = order.split(min(size, -(-len(order) // at_once)))
            for start in range(0, len(blocks), at_once):
                counts += sum(pool.map(above, blocks[start : start + at_once]))
                if cutoff is not None:
                    pairs = pairs[counts[pairs] <= cutoff]
                if not len(pairs):
                    break
        return counts

    def _among(self, queries: Tensor, error: Tensor, threshold: Tensor, candidates: np.ndarray) -> np.ndarray:
        """(S,) number of ``candidates`` (S, C) that score at least ``threshold`` (S,)."""
        found = []
        size = max(1, SCORE_BYTES // (4 * candidates.shape[1] * queries.shape[1]))
        for start in range(0, len(queries), size):
            rows = slice(start, start + size)
            drawn = self._there(candidates[rows])
            vectors = functional.embedding(drawn, self.vectors)  # (B, C, D)
            scores = (vectors @ queries[rows].unsqueeze(2)).squeeze(2).masked_fill_(drawn == PADDING, -torch.inf)
            near = threshold[rows]
            sure, (row, column) = _screen(scores, torch.arange(len(drawn), device=drawn.device), near, error[rows])
            reached = self._reaches(queries[rows], error[rows], row, drawn[row, column], near[row])
            found.append(sure.index_add_(0, row, reached.to(torch.int64)).cpu().numpy())
        return _joined(found, np.int64)


class Lengths(NamedTuple):
    """Of vectors that were rounded to a lower precision: their lengths and how much each lost, (R,) float64."""

    length: Tensor
    lost: Tensor

    def error(self, others: "Lengths", dimension: int) -> Tensor:
        """(R,) how far a product with one of ``others``, added up in float32 in any order, can be from the exact one."""
        longest, most = others.length.max(), others.lost.max()
        return _added_up(self.length * longest, dimension) + self.lost * longest + (self.length + self.lost) * most


def _added_up(size: Tensor, dimension: int) -> Tensor:
    """How far products of float32 vectors are from the exact ones if added up in float32; ``size`` is of lengths' products."""
    # The last term is for products that are too small for float32.
    return 1.01 * dimension * (2.0**-24 * size + 2.0**-125)


def _rounded(vectors: Tensor, precision: torch.dtype) -> tuple[Tensor, Lengths]:
    """Vectors (R, D) float32 in another precision."""
    rounded = vectors.to(precision)
    if precision == vectors.dtype:
        length = _length(vectors)
        return rounded, Lengths(length, torch.zeros_like(length))
    exact = rounded.to(vectors.dtype)
    return rounded, Lengths(_length(exact), _length(vectors - exact))


def _length(vectors: Tensor) -> Tensor:
    """(R,) float64, at least the lengths of float32 vectors (R, D), and hardly more."""
    length = vectors.norm(dim=1)
    # Squares of numbers that are too small for float32 vanish.
    if not (length > 2.0**-50).all():
        length = vectors.double().norm(dim=1)
    return 1.001 * length.double()


def _sum_of_rows(values: Tensor) -> Tensor:
    """(R,) sums of the rows of ``values`` (R, D), which are used up, the same bits on every device.

    One half is added to the other again and again; the order in which `Tensor.sum` adds depends on shape and device.
    """
    width = values.shape[1]
    while width > 1:
        half = width // 2
        values[:, :half] += values[:, width - half : width]
        width -= half
    return values[:, 0].clone()  # not a view, which would keep all of them


def _screen(scores: Tensor, row: Tensor, threshold: Tensor, error: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Compare rows of ``scores`` (R, T) with thresholds: pair p is of row ``row[p]``.  Rows ascend, each has a pair.

    Before they were rounded to their precision, the scores were off by at most ``error`` (P,).  Rounding keeps order: what is
    above the rounded ``threshold + error`` is above the threshold, and what is not is below the rounded ``threshold − error``.
    Returns (P,) the number of scores that are surely above ``threshold`` (P,), and pairs and columns of the doubtful ones.
    """
    high, low = ((threshold + sign * error).float().to(scores.dtype) for sign in (1, -1))
    low = low.clamp(min=torch.finfo(low.dtype).min)  # above what stands for no score
    if scores.is_cuda:
        return _compare(scores, row, high, low)
    if padding := -scores.shape[1] % GROUP:
        scores = functional.pad(scores, (0, padding), value=-torch.inf)
    # numpy compares several times as fast as torch.
    values, high, low = _comparable(scores, high, low)
    leads = torch.ones(len(row), dtype=torch.bool)
    torch.ne(row[1:], row[:-1], out=leads[1:])
    sure = np.empty(len(row), np.int64)
    pairs, columns = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    in_row = scores.shape[1] // GROUP
    # The first pair of every row is compared in place, the others with a copy of their rows.
    others = (~leads).nonzero()[:, 0].numpy()
    for at, of_pair in ((leads.nonzero()[:, 0].numpy(), values), (others, values[row[others].numpy()])):
        if not len(at):
            continue
        groups = of_pair.reshape(-1, GROUP)
        of = np.repeat(at, in_row)
        maybe = (of_pair >= low[at]).reshape(-1, GROUP)
        n_maybe = _true(maybe)
        # Past the first blocks few groups have a score near the threshold, and those without are not looked at again.
        some = np.flatnonzero(n_maybe)
        n_above = np.zeros_like(n_maybe)
        if 2 * len(some) < len(groups):
            n_above[some] = _true(groups[some] > high[of[some]])
        else:
            n_above = _true((of_pair > high[at]).reshape(-1, GROUP))
        sure[at] = n_above.reshape(len(at), in_row).sum(1)
        unclear = np.flatnonzero(n_maybe > n_above)
        group, column = divmod(np.flatnonzero(maybe[unclear] & (groups[unclear] <= high[of[unclear]])), GROUP)
        pairs.append(of[unclear[group]])
        columns.append(unclear[group] % in_row * GROUP + column)
    return torch.from_numpy(sure), tuple(torch.from_numpy(np.concatenate(each)) for each in (pairs, columns))


def _compare(scores: Tensor, row: Tensor, high: Tensor, low: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """What :func:`_screen` returns, of the rounded thresholds (P,): plain and, on a GPU, fast."""
    of_pair = scores if len(row) == len(scores) else scores.index_select(0, row)
    above = of_pair > high[:, None]
    unclear = (of_pair >= low[:, None]) ^ above
    return above.sum(1), unclear.nonzero(as_tuple=True)


def _comparable(scores: Tensor, high: Tensor, low: Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores (R, T), and thresholds as (P, 1), in a type of numpy such that ``> high`` and ``>= low`` say the same.

    numpy has no bfloat16.  The bits of its positive numbers are integers in the same order, those of its negative ones are
    negative integers in reverse order.
    """
    high, low = high[:, None], low[:, None]
    if scores.dtype == torch.float32:
        return scores.numpy(), high.numpy(), low.numpy()
    # As integers 0 is above −0: with these signs neither zero is above ``high``, and both are at least ``low``.
    high, low = high + 0.0, -(0.0 - low)
    bits = [tensor.view(torch.int16).numpy() for tensor in (scores, high, low)]
    return tuple(bits) if (low > 0).all() else tuple(each ^ ((each >> 15) & 0x7FFF) for each in bits)


def _true(mask: np.ndarray) -> np.ndarray:
    """(G,) number of true values in each row of a mask (G, GROUP), many times faster than ``mask.sum(1)``."""
    # A word holds eight values, a byte each.  The bytes of the words add up without a carry into the next byte.
    words = np.ascontiguousarray(mask).view(np.uint64).sum(1)
    return words.view(np.uint8).reshape(-1, 8).sum(1, dtype=np.int64)


def _cut(ranks: np.ndarray, cutoff: int | None) -> np.ndarray:
    return ranks if cutoff is None else np.where(ranks <= cutoff, ranks, 0)


def _joined(parts: list[np.ndarray], dtype: type) -> np.ndarray:
    return np.concatenate([np.empty(0, dtype), *parts])


def _diverged(session: int) -> UserError:
    return UserError(
        f"the model gives session {session} a score that is not finite: its training diverged; "
        "lower neural.learning_rate and run again"
    )
