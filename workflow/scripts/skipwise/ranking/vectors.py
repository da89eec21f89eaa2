"""Ranks in the catalogue and among drawn candidates (docs/protocol.md, ranking candidates).

The rank of a track is the number of candidates whose score is at least its own: it counts itself,
and ties count against it. To count is cheaper than to sort, and takes the memory of a block of
scores or, for candidates, of vectors.

A model that scores by vectors is ranked in blocks of tracks, the most played first, so that with a
cut-off a session leaves the count as soon as its rank is known to lie past it.  A block's scores
come out of a product of matrices in low precision, whose last bits depend on the shapes; they only
screen.  A score nearer to the threshold than the error can be is computed again in float64, always
in the same order of additions.  So ranks are those of float64 arithmetic on the vectors, equal
vectors tie, and neither blocks nor threads nor the device of the ranking change one.  (A network's
queries differ by their last bits between devices.)
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from skipwise.core.schemas import PADDING
from skipwise.core.torch_setup import fast_bfloat16, float32_products, single_threads
from skipwise.ranking.base import (
    SCORE_BYTES,
    SESSIONS,
    Ranker,
    diverged,
    joined,
    pairs_with_context,
    told,
)
from skipwise.ranking.screen import added_up, lengths_of, round_to, screened, sum_of_rows
from skipwise.recommender import VectorRecommender
from skipwise.sessions.sequences import Sequences

# Tracks of a block: its scores with a batch of sessions stay near a core; a GPU wants much to do at
# once.
BLOCK = 8_192
BLOCK_OF_GPU = 65_536
# Scores computed one by one at once.
EXACT = 16_384


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
        # Tracks of the context are taken off the count, so it must be right a little further.
        longest = int(contexts.tracks.lengths.max(initial=0))
        with float32_products():
            ranks = self._count(
                queries, error, row, own, None if cutoff is None else cutoff + longest
            )
            of_item, track = map(self._there, pairs_with_context(contexts, items))
            reached = self._reaches(queries, error, row[of_item], track, own[of_item])
            seen = torch.zeros_like(row).index_add_(0, of_item, reached.to(torch.int64))
            among = (
                np.empty(0, np.int64)
                if candidates is None
                else self._among(queries, error, first, candidates)
            )
        counts = (ranks.cpu().numpy(), seen.cpu().numpy())
        return told(contexts, items, *counts, among, (own >= first[row]).cpu().numpy(), cutoff)

    def _there(self, numbers: np.ndarray) -> Tensor:
        """Whole numbers as int64 on the device of the model."""
        return torch.from_numpy(numbers.astype(np.int64)).to(self.vectors.device)

    def _queries(self, contexts: Sequences) -> tuple[Tensor, Tensor]:
        """(S, D) queries, finite and small enough that no product of theirs overflows, and (S,) how
        far one can be off.
        """
        parts = [
            self.model.queries(
                contexts.take(np.arange(start, min(start + SESSIONS, len(contexts))))
            )
            for start in range(0, len(contexts), SESSIONS)
        ]
        queries = torch.cat([self.vectors[:0], *parts])
        largest = torch.stack(
            [lengths_of(block).max() for block in self.vectors.split(BLOCK)]
        ).max()
        size = lengths_of(queries) * largest
        fine = size < torch.finfo(torch.float32).max
        if not fine.all():
            raise diverged(contexts.session_id[int((~fine).nonzero()[0])], self.model)
        return queries, added_up(size, queries.shape[1])

    def _exact(self, queries: Tensor, row: Tensor, item: Tensor) -> Tensor:
        """(P,) float64 scores of pairs of a row of ``queries`` and a track; the same pair has the
        same bits in any company.
        """
        parts = [
            sum_of_rows(
                queries.index_select(0, rows).double()
                * self.vectors.index_select(0, tracks).double()
            )
            for rows, tracks in zip(row.split(EXACT), item.split(EXACT), strict=True)
        ]
        return torch.cat([queries.new_empty(0, dtype=torch.float64), *parts])

    def _reaches(
        self, queries: Tensor, error: Tensor, row: Tensor, item: Tensor, threshold: Tensor
    ) -> Tensor:
        """(P,) whether the exact scores of pairs are at least ``threshold`` (P,); float32 decides
        all but the nearest.
        """
        parts = [queries.new_empty(0, dtype=torch.bool)]
        for rows, tracks, near in zip(
            row.split(EXACT), item.split(EXACT), threshold.split(EXACT), strict=True
        ):
            scores = (queries.index_select(0, rows) * self.vectors.index_select(0, tracks)).sum(1)
            above = scores.double() - near
            unclear = above.abs() <= error[rows]
            above[unclear] = self._exact(queries, rows[unclear], tracks[unclear]) - near[unclear]
            parts.append(above >= 0)
        return torch.cat(parts)

    def _count(
        self, queries: Tensor, error: Tensor, row: Tensor, threshold: Tensor, cutoff: int | None
    ) -> Tensor:
        """(P,) number of tracks that score at least ``threshold`` (P,) with the query ``row`` (P,),
        which ascends.

        Some number past ``cutoff`` where it is past it.
        """
        counts = torch.zeros_like(row)
        # With a cut-off only targets of high rank are counted to the end, and few scores are near
        # theirs; without one, most scores would be near a target in the middle.
        low = (
            torch.bfloat16
            if cutoff is not None and not row.is_cuda and fast_bfloat16()
            else torch.float32
        )
        low_queries, of_query = round_to(queries, low)
        pairs = torch.arange(len(row), device=row.device)
        order = self.order.to(row.device)

        @torch.inference_mode()  # a setting of the thread
        def above(tracks: Tensor) -> Tensor:
            """(P,) how many of ``tracks`` score at least the threshold; 0 for those that have left
            ``pairs``.
            """
            block, of_block = round_to(self.vectors.index_select(0, tracks), low)
            off = of_query.error(of_block, self.vectors.shape[1])
            found = torch.zeros_like(counts)
            for at in pairs.split(SESSIONS):
                sessions, of = row[at].unique_consecutive(return_inverse=True)
                scores = low_queries.index_select(0, sessions) @ block.T
                sure, (pair, column) = screened(scores, of, threshold[at], off[row[at]])
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

    def _among(
        self, queries: Tensor, error: Tensor, threshold: Tensor, candidates: np.ndarray
    ) -> np.ndarray:
        """(S,) number of ``candidates`` (S, C) that score at least ``threshold`` (S,)."""
        found = []
        size = max(1, SCORE_BYTES // (4 * candidates.shape[1] * queries.shape[1]))
        for start in range(0, len(queries), size):
            rows = slice(start, start + size)
            drawn = self._there(candidates[rows])
            vectors = functional.embedding(drawn, self.vectors)  # (B, C, D)
            scores = (
                (vectors @ queries[rows].unsqueeze(2))
                .squeeze(2)
                .masked_fill_(drawn == PADDING, -torch.inf)
            )
            near = threshold[rows]
            sure, (row, column) = screened(
                scores, torch.arange(len(drawn), device=drawn.device), near, error[rows]
            )
            reached = self._reaches(queries[rows], error[rows], row, drawn[row, column], near[row])
            found.append(sure.index_add_(0, row, reached.to(torch.int64)).cpu().numpy())
        return joined(found, np.int64)
