"""Ranks of targets and unseen skips among the candidates (docs/protocol.md, ranking candidates)."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from skipwise.artifacts import read_json, write_artifact
from skipwise.columns import PADDING
from skipwise.errors import UserError
from skipwise.log import logger
from skipwise.machine import use_threads
from skipwise.models.base import Recommender
from skipwise.sampling import sampled_candidates
from skipwise.sequences import Ragged, Sequences

# Scores of a batch against the whole catalogue stay below this many bytes.
SCORE_BYTES = 128 * 2**20
GROUP = 64


def batch_size(n_tracks: int) -> int:
    """Sessions scored at once: whole groups of 64 where they fit, so that memory does not grow with the sessions."""
    return int(np.clip(SCORE_BYTES // (4 * (n_tracks + 1)), 1, 8 * GROUP))


def rank_among(scores: Tensor, candidates: Tensor, items: Tensor) -> Tensor:
    """Rank of each item among the candidates of its row: the number of candidates with at least its score.

    ``scores`` (B, N + 1); ``candidates`` (B, C), padded with 0; ``items`` (B, K), padded with 0, each one of the candidates of
    its row.  An item counts itself, so the best has rank 1, and other candidates of equal score count against it.
    Returns (B, K) int64, meaningless where the item is padding.
    """
    among = scores.gather(1, candidates).masked_fill_(candidates == PADDING, -torch.inf)
    own = scores.gather(1, items)
    return torch.stack([(among >= own[:, k : k + 1]).sum(1) for k in range(items.shape[1])], dim=1)


def rank_in_catalogue(scores: Tensor, items: Tensor) -> Tensor:
    """Rank of each item among all tracks of the catalogue; shapes and ties as in :func:`rank_among`."""
    tracks = scores[:, 1:]
    own = scores.gather(1, items)
    ranks = torch.zeros(items.shape, dtype=torch.int64)
    for k in range(items.shape[1]):
        wanted = items[:, k] != PADDING
        # The threshold comes out of the same product as the scores it is compared with: equal scores are equal bits.
        rows = slice(None) if bool(wanted.all()) else wanted
        ranks[rows, k] = (tracks[rows] >= own[rows, k : k + 1]).sum(1)
    return ranks


def checked_scores(model: Recommender, contexts: Sequences) -> Tensor:
    """Scores of a batch; raises UserError where one is not finite, because a rank of it would mean nothing."""
    scores = model.score(contexts)
    finite = torch.isfinite(scores[:, 1:]).all(1)
    if not finite.all():
        session = contexts.session_id[int((~finite).nonzero()[0])]
        raise UserError(
            f"the model gives session {session} a score that is not finite: its training diverged; "
            "lower neural.learning_rate and run again"
        )
    return scores


def validation_ranks(model: Recommender, sequences: Sequences) -> np.ndarray:
    """(S,) rank of each session's target in the whole catalogue."""
    ranks = []
    size = batch_size(model.n_tracks)
    for start in range(0, len(sequences), size):
        batch = sequences.take(np.arange(start, min(start + size, len(sequences))))
        target = torch.from_numpy(batch.target.astype(np.int64)).unsqueeze(1)
        ranks.append(rank_in_catalogue(checked_scores(model, batch), target)[:, 0])
    return torch.cat(ranks).numpy()


def rank_test_sessions(model: Recommender, test: Sequences, popularity: np.ndarray, *, candidates: int, seed: int) -> pa.Table:
    """The rows of a ``ranks`` artifact.

    ``candidates`` uniform tracks and the targets of the group's other sessions are the sampled candidates of a session.
    Groups of 64 sessions are drawn by ``seed``, the same for every model.  ``popularity`` (N + 1,) is the number of plays in
    training.  ``skip_share`` is the share of skipped plays in the context, ``is_repeat`` says that the target is in it.
    """
    n_tracks = model.n_tracks
    order = np.random.default_rng([seed, 0]).permutation(len(test))
    rank_full = np.zeros(len(test), np.int32)
    rank_sampled = np.zeros(len(test), np.int32)
    n_candidates = np.zeros(len(test), np.int32)
    skip_ranks = np.zeros(test.unseen_skips.padded().shape, np.int32)
    size = batch_size(n_tracks)
    for group, start in enumerate(range(0, len(test), GROUP)):
        rows = order[start : start + GROUP]
        sessions = test.take(rows)
        rng = np.random.default_rng([seed, 1, group])
        sampled = sampled_candidates(rng, n_tracks, candidates, sessions.tracks.padded(), sessions.target)
        for first in range(0, len(rows), size):
            part = slice(first, first + size)
            batch = sessions.take(np.arange(len(rows))[part])
            scores = checked_scores(model, batch)
            items = np.concatenate([batch.target[:, None], batch.unseen_skips.padded()], axis=1).astype(np.int64)
            ranks = rank_in_catalogue(scores, torch.from_numpy(items)).numpy()
            rank_full[rows[part]] = ranks[:, 0]
            skip_ranks[rows[part], : ranks.shape[1] - 1] = ranks[:, 1:]
            among = torch.from_numpy(sampled[part].astype(np.int64))
            rank_sampled[rows[part]] = rank_among(scores, among, torch.from_numpy(items[:, :1]))[:, 0].numpy()
            n_candidates[rows[part]] = (sampled[part] != PADDING).sum(1)
    plays = test.tracks.row_of_value()
    repeats = np.bincount(plays, test.tracks.values == test.target[plays], minlength=len(test)) > 0
    unseen = Ragged(skip_ranks[np.arange(skip_ranks.shape[1]) < test.unseen_skips.lengths[:, None]], test.unseen_skips.offsets)
    return pa.table(
        {
            "session_id": test.session_id,
            "rank_full": rank_full,
            "rank_sampled": rank_sampled,
            "n_candidates": n_candidates,
            "skip_share": (np.bincount(plays, test.skipped.values, minlength=len(test)) / test.tracks.lengths),
            "is_repeat": repeats,
            "target_popularity": popularity[test.target],
            "skip_ranks": pa.ListArray.from_arrays(pa.array(unseen.offsets, pa.int32()), pa.array(unseen.values)),
        }
    )


def rank_sessions(
    model_folder: str | Path, train: str, test: str, ranks: str, *, candidates: int, seed: int, threads: int
) -> None:
    """Rank every test session with a saved model and write a ``ranks`` artifact."""
    from skipwise.runs import load_model

    use_threads(threads)
    model = load_model(model_folder)
    sequences = Sequences.read("test", test)
    popularity = Sequences.read("train", train).counts(model.n_tracks)
    table = rank_test_sessions(model, sequences, popularity, candidates=candidates, seed=seed)
    write_artifact(table, "ranks", ranks)
    logger.info("%s: %d sessions ranked", read_json(Path(model_folder) / "run.json")["model"], len(sequences))
