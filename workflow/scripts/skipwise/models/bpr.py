"""BPR: matrix factorisation of sessions and tracks by pairwise ranking (Rendle et al. 2009),
implicit's and one with skips.
"""

import time
from collections.abc import Iterator

import numpy as np
import torch
from implicit.cpu.bpr import BayesianPersonalizedRanking
from implicit.recommender_base import ModelFitError
from scipy.sparse import csr_matrix
from scipy.special import expit
from torch import Tensor

from skipwise.core.errors import DivergedError
from skipwise.recommender import Savepoint, VectorRecommender
from skipwise.sessions.sequences import Ragged, Sequences
from skipwise.training.batches import seen_labels

# Pairs of one step of the trainer for skips.  A step sees the factors as they were before it, so it
# should be a small part of an epoch; with an eighth of the pairs the trainer is three times slower,
# with sixteen times as many a quarter faster.
PAIRS = 1024
# Unobserved tracks drawn for one epoch of the fold-in.
FOLD_IN_TRACKS = 16
LIMITS = {
    "factors": {"type": "integer", "minimum": 1},
    "iterations": {"type": "integer", "minimum": 1},
    "learning_rate": {"type": "number", "exclusiveMinimum": 0},
    "regularization": {"type": "number", "minimum": 0},
    "skip_pair_share": {"type": "number", "minimum": 0, "maximum": 1},
    "skips": {"enum": ["preferred", "unobserved", "rejected"]},
}
SEARCH = {
    "learning_rate": {"low": 0.001, "high": 0.3, "log": True},
    "regularization": {"low": 0.0005, "high": 0.1, "log": True},
    "iterations": {"low": 10, "high": 1000, "log": True},
    "skip_pair_share": {"low": 0.005, "high": 0.9},  # of rejected skips
}


class BPR(VectorRecommender):
    """A session is a user; it prefers a track p to a track n.  Which pairs there are, the setting
    ``skips`` says:

    - ``preferred`` (variant ``orig``): p listened to or skipped, n neither
    - ``unobserved`` (``bl``): p listened to, n not; a skipped track is as likely an n as any other
    - ``rejected`` (``nr``): p listened to; n is a track that the session only skipped in the share
      ``skip_pair_share`` of the pairs, and in the others a track that it neither listened to nor
      skipped; a session without skips has others only

    The first two are implicit's BPR, on one thread whatever the rule gives: with more it updates
    without locks, and two runs of one seed differ.  The third is :func:`fit_with_rejected`, the
    same model and update.

    A test session is folded in: :func:`fold_in` finds its vector from its context with the item
    factors fixed.  No track outside the train sequences and the context is ever seen.  ``items`` is
    (N + 1, F + 1); its last column is the bias of a track, for which every session has a 1, as in
    implicit.
    """

    family = "factorization"
    SETTINGS = frozenset({"factors", "learning_rate", "regularization", "iterations", "skips"})
    OPTIONAL = frozenset({"skip_pair_share"})

    def fit(
        self,
        train: Sequences,
        valid: Sequences,
        *,
        seed: int,
        threads: int,
        checkpoint: Savepoint | None = None,
    ) -> list[dict]:
        rng = np.random.default_rng(seed)
        history: list[dict] = []

        def note(iteration: int, seconds: float, *_) -> None:
            speed = len(train) / max(seconds, 1e-9)
            history.append(
                {
                    "epoch": iteration + 1,
                    "seconds": seconds,
                    "sessions_per_second": speed,
                    "best": False,
                }
            )

        preferred, rejected = self._feedback(train)
        names = ("factors", "learning_rate", "regularization", "iterations")
        settings = {name: self.settings[name] for name in names}
        if self.settings["skips"] == "rejected":
            sampler = PairSampler(preferred, rejected, self.settings["skip_pair_share"])
            with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is found below
                _, items = fit_with_rejected(sampler, **settings, rng=rng, callback=note)
        else:
            bpr = BayesianPersonalizedRanking(**settings, num_threads=1, random_state=rng)
            try:
                bpr.fit(preferred, show_progress=False, callback=note)
            except ModelFitError as error:
                raise self._diverged() from error
            items = bpr.item_factors
        if not np.isfinite(items).all():
            raise self._diverged()
        history[-1]["best"] = True
        self.items = torch.from_numpy(items)
        # Drawn here and kept, so that a context always has the same vector: by plays, like the
        # pairs of the training.
        drawn = rng.integers(preferred.nnz, size=(self.settings["iterations"], FOLD_IN_TRACKS))
        self.fold_in_tracks = torch.from_numpy(preferred.indices[drawn])
        return history

    def _diverged(self) -> DivergedError:
        rate, weight = self.settings["learning_rate"], self.settings["regularization"]
        # A step takes rate × weight of a factor away.
        name = "regularization" if rate * weight > 1 and weight > 1 else "learning_rate"
        return DivergedError(
            f"the factors are no longer finite; lower model_registry.bpr.settings.{name}, which is "
            f"{self.settings[name]:g}"
        )

    @property
    def vectors(self) -> Tensor:
        return self.items

    def queries(self, contexts: Sequences) -> Tensor:
        preferred, rejected = self._feedback(contexts)
        return fold_in(
            self.items,
            self.fold_in_tracks,
            _padded(preferred),
            _padded(rejected),
            learning_rate=self.settings["learning_rate"],
            regularization=self.settings["regularization"],
            skip_pair_share=self.settings.get("skip_pair_share", 0.0),
        )

    def state(self) -> dict[str, Tensor]:
        return {"items": self.items, "fold_in_tracks": self.fold_in_tracks}

    def load_state(self, state: dict[str, Tensor]) -> None:
        self.items, self.fold_in_tracks = state["items"], state["fold_in_tracks"]

    def _feedback(self, sessions: Sequences) -> tuple[csr_matrix, csr_matrix]:
        """(S, N + 1) tracks that are p of a pair, and (S, N + 1) tracks that are n of the pairs
        with skips.
        """
        if self.settings["skips"] == "preferred":
            preferred = sessions.matrix(self.n_tracks)
            return preferred, csr_matrix(preferred.shape, dtype=np.float32)
        seen = seen_labels(sessions, self.labels, stays="last")
        listened, rejected = seen.listened_and_rejected(self.n_tracks)
        if self.settings["skips"] == "unobserved":
            return listened, csr_matrix(listened.shape, dtype=np.float32)
        return listened, rejected


class PairSampler:
    """Pairs of an epoch: (session, preferred track, other track), drawn as implicit draws them and
    then part of them changed.

    ``preferred`` and ``rejected`` are (S, N + 1) and have no cell in common; their values mean
    nothing.
    """

    def __init__(self, preferred: csr_matrix, rejected: csr_matrix, skip_pair_share: float):
        self.shape = preferred.shape
        self.session, self.track = preferred.nonzero()
        self.rejected = Ragged(rejected.indices, rejected.indptr.astype(np.int64))
        self.share = skip_pair_share
        self.observed = np.sort(
            np.concatenate([self._cell(*matrix.nonzero()) for matrix in (preferred, rejected)])
        )

    def _cell(self, session: np.ndarray, track: np.ndarray) -> np.ndarray:
        return session.astype(np.int64) * self.shape[1] + track

    def draw(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """At most as many pairs as there are preferred cells, in random order: three (P,) arrays.

        Preferred cells are drawn uniformly with replacement, and so are others, which makes them as
        frequent as their sessions.  A pair whose other track is observed in the session is left
        out.  Of those that stay, the share ``skip_pair_share`` in sessions with a rejected track
        gets one of these instead, uniformly.
        """
        pairs = rng.integers(len(self.track), size=(2, len(self.track)))
        session, preferred, other = (
            self.session[pairs[0]],
            self.track[pairs[0]],
            self.track[pairs[1]],
        )
        cell = self._cell(session, other)
        at = np.searchsorted(self.observed, cell)
        stays = self.observed[np.minimum(at, len(self.observed) - 1)] != cell
        session, preferred, other = session[stays], preferred[stays], other[stays]
        n_rejected = self.rejected.lengths[session]
        change = (rng.random(len(session)) < self.share) & (n_rejected > 0)
        other[change] = self.rejected.values[
            self.rejected.offsets[session[change]] + rng.integers(n_rejected[change])
        ]
        return session, preferred, other


def fit_with_rejected(
    sampler: PairSampler,
    *,
    factors: int,
    learning_rate: float,
    regularization: float,
    iterations: int,
    rng: np.random.Generator,
    callback,
) -> tuple[np.ndarray, np.ndarray]:
    """BPR on the pairs of ``sampler``: session factors (S, F + 1) and item factors (N + 1, F + 1),
    float32.

    Start, update, learning rate, regularisation and bias are implicit's.  The difference is that a
    step takes ``PAIRS`` pairs at once: each is computed from the factors before the step.
    ``callback(iteration, seconds)`` is called after an epoch.
    """
    n_sessions, width = sampler.shape
    items = _start(width, factors, sampler.track, rng)
    sessions = _start(n_sessions, factors, sampler.session, rng)
    sessions[:, -1] = 1
    for iteration in range(iterations):
        start = time.perf_counter()
        for session, preferred, other in _steps(sampler.draw(rng)):
            x, difference = sessions[session], items[preferred] - items[other]
            z = expit(-np.einsum("pf,pf->p", x, difference))
            _ascend(sessions[:, :-1], session, z, difference[:, :-1], learning_rate, regularization)
            tracks, weights = np.concatenate([preferred, other]), np.concatenate([z, -z])
            _ascend(items, tracks, weights, x, learning_rate, regularization)
        callback(iteration, time.perf_counter() - start)
    return sessions, items


def _start(rows: int, factors: int, used: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(rows, F + 1) small random numbers; 0 in rows that nothing is known of."""
    start = (rng.random((rows, factors + 1), dtype=np.float32) - 0.5) / factors
    start[np.bincount(used, minlength=rows) == 0] = 0
    return start


def _steps(pairs: tuple[np.ndarray, ...]) -> Iterator[tuple[np.ndarray, ...]]:
    for first in range(0, len(pairs[0]), PAIRS):
        yield tuple(part[first : first + PAIRS] for part in pairs)


def _ascend(
    factors: np.ndarray,
    rows: np.ndarray,
    weights: np.ndarray,
    vectors: np.ndarray,
    learning_rate: float,
    regularization: float,
) -> None:
    """Add to each row its weighted vectors less its regularisation, once for each time it stands in
    ``rows``.

    ``factors`` (R, F) is changed in place; ``rows`` and ``weights`` are (K,); ``vectors`` (P, F)
    repeats to K rows.
    """
    used, at, times = np.unique(rows, return_inverse=True, return_counts=True)
    vector = np.arange(len(rows)) % len(vectors)
    sums = csr_matrix((weights, (at, vector)), shape=(len(used), len(vectors))) @ vectors
    factors[used] += learning_rate * (
        sums - regularization * times.astype(np.float32)[:, None] * factors[used]
    )


def fold_in(
    items: Tensor,
    drawn: Tensor,
    preferred: Tensor,
    rejected: Tensor,
    *,
    learning_rate: float,
    regularization: float,
    skip_pair_share: float,
) -> Tensor:
    """Session vectors (B, F + 1) by the epochs of the training, with ``items`` (N + 1, F + 1) fixed
    and no chance.

    An epoch is one step with the sum of the expected updates of a session's pairs: every preferred
    track, (B, P), against every rejected one, (B, R), and against the tracks ``drawn`` (epochs, K)
    for the epoch that the session did not observe. ``preferred`` and ``rejected`` are padded with
    0.  A session without a preferred track stays at the start, 0 with bias 1.
    """
    likes, skips = items[preferred], items[rejected]  # (B, P, F + 1), (B, R, F + 1)
    is_like, is_skip = preferred > 0, rejected > 0
    observed = torch.cat([preferred, rejected], dim=1).unsqueeze(1)  # (B, 1, P + R)
    n_skips = is_skip.sum(1, keepdim=True)
    share = skip_pair_share * (n_skips > 0)  # (B, 1)
    size = learning_rate * is_like.sum(1, keepdim=True)
    sessions = torch.zeros(len(preferred), items.shape[1])
    sessions[:, -1] = 1
    for tracks in drawn.long():
        unobserved = ~(observed == tracks.unsqueeze(1)).any(2)  # (B, K)
        stays = unobserved.float().mean(1, keepdim=True)
        weights = torch.cat(
            [
                (1 - share) * unobserved / len(tracks),
                share * stays * is_skip / n_skips.clamp(min=1),
            ],
            dim=1,
        )  # (B, K + R), the chance that a pair of the session has this other track
        like_scores = torch.einsum("bpf,bf->bp", likes, sessions)
        other_scores = torch.cat(
            [sessions @ items[tracks].T, torch.einsum("brf,bf->br", skips, sessions)], dim=1
        )
        z = (
            torch.sigmoid(other_scores.unsqueeze(1) - like_scores.unsqueeze(2))
            * weights.unsqueeze(1)
            * is_like.unsqueeze(2)
        )
        of_others = z.sum(1)  # (B, K + R)
        ascent = torch.einsum("bp,bpf->bf", z.sum(2), likes)
        ascent -= of_others[:, : len(tracks)] @ items[tracks]
        ascent -= torch.einsum("br,brf->bf", of_others[:, len(tracks) :], skips)
        ascent = learning_rate * ascent - size * stays * regularization * sessions
        sessions[:, :-1] += ascent[:, :-1]
    return sessions


def _padded(matrix: csr_matrix) -> Tensor:
    """(S, L) int64 columns of the cells of each row, padded with 0."""
    return torch.from_numpy(
        Ragged(matrix.indices.astype(np.int64), matrix.indptr.astype(np.int64)).padded()
    )


MODEL = BPR
