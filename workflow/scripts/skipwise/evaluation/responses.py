"""How a model responds to one skip, and how well it predicts skips.

Counterfactual, after Wang et al. (RecSys 2023, arXiv 2308.12256): of a test context the last
listened play is taken as a skipped one, and everything else stays.  A model that listens should
rank tracks like it lower.  Tracks like it are those with the largest cosine of train sessions,
which no model decides.  A model that sees no label at prediction does not respond at all.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from skipwise.ranking.ranker import ranker, validation_sample
from skipwise.recommender import Recommender
from skipwise.sessions.sequences import Ragged, Sequences

LIKE = 10  # tracks like the play
TOP = 20
# Test sessions that are asked, a random sample.
MOST = 2000


def responses(model: Recommender, test: Sequences, train: Sequences) -> pa.Table:
    """The rows of a ``responses`` artifact.

    ``fall`` is the mean over the tracks like the play of log2(rank after / rank before) among all
    tracks, ``target_fall`` that of the target; ``near_before`` and ``near_after`` count those among
    the best 20.  They are null for a context without a listened play, or whose play has no track
    like it.  The logits are those of a skip of the target and of each unseen skip, null of a model
    that predicts none.
    """
    test = validation_sample(test, MOST)
    plays, changed = last_listened(test), with_a_skip(test)
    like = similar(train, np.where(plays < 0, -1, test.tracks.values[plays]), model.n_tracks)
    asked = np.flatnonzero(like.lengths)
    items = _with_targets(like.take(asked), test.target[asked])
    ranking = ranker(model, train.counts(model.n_tracks))
    before, after = (
        ranking.rank(sessions.take(asked), items).full.astype(np.float64)
        for sessions in (test, changed)
    )
    is_target = np.zeros(len(before), bool)
    is_target[items.offsets[:-1]] = True
    row = items.row_of_value()[~is_target]
    n = items.lengths - 1
    fall = np.log2(after / before)
    values = {
        "fall": np.bincount(row, fall[~is_target], minlength=len(asked)) / n,
        "target_fall": fall[is_target],
        "near_before": np.bincount(row, before[~is_target] <= TOP, minlength=len(asked)),
        "near_after": np.bincount(row, after[~is_target] <= TOP, minlength=len(asked)),
    }
    columns: dict[str, Any] = {
        "session_id": test.session_id,
        "cluster": test.session_id if test.cluster is None else test.cluster,
    }
    absent = np.ones(len(test), bool)
    absent[asked] = False
    for name, of_asked in values.items():
        of_all = np.zeros(len(test))
        of_all[asked] = of_asked
        columns[name] = pa.array(of_all, pa.float64(), mask=absent)
    return pa.table(columns | _logits(model, test))


def last_listened(sessions: Sequences) -> np.ndarray:
    """(S,) place among all plays of the last listened one of each session, −1 without one."""
    listened = np.flatnonzero(sessions.listened.values)
    found = np.full(len(sessions), -1)
    found[sessions.tracks.row_of_value()[listened]] = listened  # of several the last one stays
    return found


def with_a_skip(sessions: Sequences) -> Sequences:
    """The sessions with their last listened play as a skipped one."""
    places = last_listened(sessions)
    skipped = sessions.skipped.values.copy()
    skipped[places[places >= 0]] = True
    return replace(sessions, skipped=Ragged(skipped, sessions.skipped.offsets))


def similar(train: Sequences, tracks: np.ndarray, n_tracks: int) -> Ragged:
    """At most ``LIKE`` tracks like each of ``tracks`` (S,), of which −1 has none: those with the
    largest cosine of the train sessions that they are in, the smaller number first of equal ones.
    """
    matrix = (train.matrix(n_tracks) > 0).astype(np.float64).tocsc()
    size = np.sqrt(np.maximum(np.asarray(matrix.sum(0)).ravel(), 1))
    found: dict[int, np.ndarray] = {}
    for track in np.unique(tracks[tracks >= 0]):
        together = np.asarray((matrix[:, [track]].T @ matrix).todense()).ravel()
        cosine = together / size
        cosine[[0, track]] = 0
        best = np.argsort(-cosine, kind="stable")[:LIKE]
        found[int(track)] = best[cosine[best] > 0].astype(np.int32)
    none = np.empty(0, np.int32)
    rows = [found.get(int(track), none) for track in tracks]
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    return Ragged(np.concatenate([none, *rows]), offsets)


def _with_targets(like: Ragged, targets: np.ndarray) -> Ragged:
    """One row per session, with its target and then the tracks like its play."""
    values = np.insert(like.values, like.offsets[:-1], targets)
    return Ragged(values, like.offsets + np.arange(len(like) + 1))


def _logits(model: Recommender, test: Sequences) -> dict[str, pa.Array]:
    """The columns of predicted skips."""
    predict = getattr(model, "skip_logits", None)
    found = predict(test) if predict else None
    if found is None:
        nulls = pa.nulls(len(test), pa.list_(pa.float64()))
        return {"target_logit": pa.nulls(len(test), pa.float64()), "skip_logits": nulls}
    scores = found.numpy().astype(np.float64)
    skips = test.unseen_skips
    of_skips = pa.array(scores[skips.row_of_value(), skips.values])
    return {
        "target_logit": pa.array(scores[np.arange(len(test)), test.target]),
        "skip_logits": pa.ListArray.from_arrays(pa.array(skips.offsets, pa.int32()), of_skips),
    }
