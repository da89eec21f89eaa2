"""Ranks of targets and unseen skips among the candidates (docs/protocol.md, ranking candidates)."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from skipwise.core.artifacts import write_artifact
from skipwise.core.log import logger
from skipwise.core.schemas import HEADLINES, PADDING
from skipwise.core.torch_setup import use_threads
from skipwise.ranking.candidates import sampled_candidates
from skipwise.ranking.ranker import ranker
from skipwise.recommender import Recommender
from skipwise.sessions.sequences import Ragged, Sequences
from skipwise.training.saved import load_model

# Sessions whose targets are each other's candidates (docs/protocol.md), and groups of them that are
# ranked at once.
GROUP = 64
GROUPS = 128


def _with_unseen_skips(sequences: Sequences) -> Ragged:
    """One row per session, with its target and then its unseen skips."""
    skips = sequences.unseen_skips
    return Ragged(
        np.insert(skips.values, skips.offsets[:-1], sequences.target),
        skips.offsets + np.arange(len(skips) + 1),
    )


def rank_test_sessions(
    model: Recommender,
    test: Sequences,
    popularity: np.ndarray,
    *,
    candidates: int,
    seed: int,
    cutoff: int | None = None,
) -> pa.Table:
    """The rows of a ``ranks`` artifact.

    ``candidates`` uniform tracks and the targets of the group's other sessions are the sampled
    candidates of a session. Groups of 64 sessions are drawn by ``seed``, the same for every model.
    ``popularity`` (N + 1,) is the number of plays in training.  Ranks in the catalogue past
    ``cutoff`` are null, None ranks all; among new candidates a track of the context has none.
    ``skip_outranks`` says of each unseen skip whether it scores at least as high as the target,
    whatever the cut-off.  ``skip_share`` is the share of skipped plays in the context,
    ``is_repeat`` says that the target is in it.
    """
    order = np.random.default_rng([seed, 0]).permutation(len(test))
    sampled_ranks, n_candidates = np.zeros(len(test), np.int32), np.zeros(len(test), np.int32)
    items = _with_unseen_skips(test)
    full, new = (np.zeros(len(items.values), np.int32) for _ in HEADLINES)
    outranks = np.zeros(len(items.values), bool)
    ranking = ranker(model, popularity)
    for start in range(0, len(test), GROUPS * GROUP):
        rows = order[start : start + GROUPS * GROUP]
        sessions, wanted = test.take(rows), items.take(rows)
        drawn = np.concatenate(
            [
                _candidates(
                    sessions.take(group),
                    seed,
                    (start + group[0]) // GROUP,
                    model.n_tracks,
                    candidates,
                )
                for group in np.split(np.arange(len(rows)), range(GROUP, len(rows), GROUP))
            ]
        )
        at = np.arange(len(wanted.values)) + np.repeat(
            items.offsets[rows] - wanted.offsets[:-1], wanted.lengths
        )
        found = ranking.rank(sessions, wanted, drawn, cutoff=cutoff)
        full[at], new[at], outranks[at] = found.full, found.new, found.outranks
        sampled_ranks[rows] = found.sampled
        n_candidates[rows] = (drawn != PADDING).sum(1)
        logger.info("%d of %d sessions ranked", start + len(rows), len(test))
    of_target = np.zeros(len(items.values), bool)
    of_target[items.offsets[:-1]] = True
    plays = test.tracks.row_of_value()
    skips = pa.array(test.unseen_skips.offsets, pa.int32())
    return pa.table(
        {
            "session_id": test.session_id,
            "cluster": test.session_id if test.cluster is None else test.cluster,
            "rank_full": _null_where_zero(full[of_target]),
            "rank_new": _null_where_zero(new[of_target]),
            "rank_sampled": sampled_ranks,
            "n_candidates": n_candidates,
            "skip_share": (
                np.bincount(plays, test.skipped.values, minlength=len(test)) / test.tracks.lengths
            ),
            "is_repeat": test.repeats(),
            "target_popularity": popularity[test.target],
            "skip_ranks_full": pa.ListArray.from_arrays(skips, _null_where_zero(full[~of_target])),
            "skip_ranks_new": pa.ListArray.from_arrays(skips, _null_where_zero(new[~of_target])),
            "skip_outranks": pa.ListArray.from_arrays(skips, pa.array(outranks[~of_target])),
        }
    )


def _candidates(sessions: Sequences, seed: int, group: int, n_tracks: int, size: int) -> np.ndarray:
    """(64, 1 + 64 + size) candidates of a group, padded with 0 also where it has fewer sessions
    than 64.
    """
    rng = np.random.default_rng([seed, 1, group])
    drawn = sampled_candidates(rng, n_tracks, size, sessions.tracks.padded(), sessions.target)
    return np.pad(drawn, ((0, 0), (0, 1 + GROUP + size - drawn.shape[1])))


def _null_where_zero(ranks: np.ndarray) -> pa.Array:
    return pa.array(ranks, mask=ranks == 0)


def rank_sessions(
    model_folder: str | Path,
    train: str,
    test: str,
    ranks: str,
    *,
    candidates: int,
    seed: int,
    cutoff: int | None,
    threads: int,
) -> None:
    """Rank every test session with a saved model and write a ``ranks`` artifact."""
    use_threads(threads)
    model = load_model(model_folder)
    if model.settings.get("device") == "cuda" and not torch.cuda.is_available():
        logger.warning("torch finds no GPU here: the sessions are ranked on the CPU")
    else:
        model.use_device()
    sequences = Sequences.read("test", test)
    popularity = Sequences.read("train", train).counts(model.n_tracks)
    table = rank_test_sessions(
        model, sequences, popularity, candidates=candidates, seed=seed, cutoff=cutoff
    )
    write_artifact(table, "ranks", ranks)
    logger.info("%s: ranks of %d sessions written", model_folder, len(sequences))
