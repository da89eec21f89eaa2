"""Every column name and the schema of every artifact, once.

An artifact is a parquet file that one rule writes and others read.  Its :class:`Artifact` gives the
columns with fixed types and the columns that put its rows in a total order, so two runs of the same
configuration write equal files.

Conventions: track ids are dense integers from 1, 0 is padding; positions count from 1 within a
session; a null in ``skipped`` means that the label is unknown, in ``events`` that the raw data does
not say; times are UTC without a zone.
"""

from typing import NamedTuple

import pyarrow as pa

PADDING = 0
MAX_LENGTH = 2**15 - 1  # plays of a piece of a session, whose positions are int16
# The sets of candidates that a target is ranked among (docs/protocol.md), and those of them that a
# model may be selected on and that a table may lead with.
CANDIDATES = ("full", "new", "sampled")
HEADLINES = ("full", "new")
# What the contrastive term compares with tracks: ŷ, or the embedding of the track before it.
QUERIES = ("hidden", "item")


class Artifact(NamedTuple):
    """Schema of one parquet artifact and the columns that order its rows."""

    schema: pa.Schema
    order: tuple[str, ...]


def required(name: str, kind: pa.DataType) -> pa.Field:
    return pa.field(name, kind, nullable=False)


_TIME = pa.timestamp("ms")

# What some data sets know about a play besides the track; null where a set does not have it.
CONTEXT = (
    pa.field("started_at", _TIME),
    pa.field("day", pa.int32()),
    pa.field("hour", pa.int8()),
    pa.field("premium", pa.bool_()),
    pa.field("shuffle", pa.bool_()),
    pa.field("context_type", pa.string()),
    pa.field("is_organic", pa.bool_()),
    pa.field("is_random", pa.bool_()),  # shown at random, to measure without a recommender
)
# Those of them that a column of a user's own table may give.
FLAGS = tuple(field.name for field in CONTEXT if pa.types.is_boolean(field.type))

_SPLIT = Artifact(
    pa.schema(
        [
            required("session_id", pa.int32()),
            required("tracks", pa.list_(pa.int32())),
            required("skipped", pa.list_(pa.bool_())),
            pa.field("target", pa.int32()),
            required("unseen_skips", pa.list_(pa.int32())),
            pa.field("time", pa.float64()),  # of the session, in days; null if the data has none
            required("cluster", pa.int32()),
        ]
    ),
    ("session_id",),
)


def rows_of(*fields: pa.Field) -> Artifact:
    """A table or the numbers of a figure: the rows keep the order in which they are made."""
    return Artifact(pa.schema(fields), ())


ARTIFACTS: dict[str, Artifact] = {
    # One row per play, as the raw data has it.  session_key is the session where the raw data has
    # sessions, else the user; positions order its plays.  part is a hash of the session_key: a job
    # reads the row groups of one part of all shards. Rows are in the order of the raw file, part by
    # part: sorting them would take a memory that grows with the file.
    "events": Artifact(
        pa.schema(
            [
                required("part", pa.int16()),
                required("session_key", pa.string()),
                required("position", pa.int64()),
                required("track_key", pa.string()),
                pa.field("skipped", pa.bool_()),
                *CONTEXT,
                pa.field("track_length", pa.float64()),  # seconds, if the raw data says
                pa.field("member", pa.string()),  # of an archive; null where the file is one table
            ]
        ),
        (),
    ),
    # One row per rejected row of a raw file.
    "rejected": Artifact(
        pa.schema(
            [
                required("file", pa.string()),
                required("line", pa.int64()),
                required("reason", pa.string()),
            ]
        ),
        ("file", "line"),
    ),
    # One row per track and gap: how often the next play of a listener started so many seconds after
    # this track did.
    "gaps": Artifact(
        pa.schema(
            [
                required("track_key", pa.string()),
                required("gap", pa.float64()),
                required("n", pa.int64()),
            ]
        ),
        ("track_key", "gap"),
    ),
    # One row per session gap that lfm_skip_rules compares.
    "gap_sessions": Artifact(
        pa.schema(
            [
                required("session_gap", pa.float64()),
                required("plays", pa.int64()),
                required("zero_gaps", pa.int64()),
                required("sessions", pa.int64()),
                required("sessions_longer_than_5", pa.int64()),
            ]
        ),
        ("session_gap",),
    ),
    # One row per track with enough plays: its length in seconds, from the gaps after it.
    "lengths": Artifact(
        pa.schema([required("track_key", pa.string()), required("length", pa.float64())]),
        ("track_key",),
    ),
    # One row per play of a session that may be sampled; draw is the seeded hash that decides.
    "labelled": Artifact(
        pa.schema(
            [
                required("draw", pa.uint64()),
                required("session_key", pa.string()),
                required("piece", pa.int32()),
                required("position", pa.int16()),
                required("track_key", pa.string()),
                pa.field("skipped", pa.bool_()),
                required("n_plays", pa.int16()),
                required("n_skips", pa.int16()),
                *CONTEXT,
            ]
        ),
        ("draw", "session_key", "piece", "position"),
    ),
    # One row per play of a kept session.
    "sessions": Artifact(
        pa.schema(
            [
                required("session_id", pa.int32()),
                required("position", pa.int16()),
                required("track_id", pa.int32()),
                pa.field("skipped", pa.bool_()),
                *CONTEXT,
            ]
        ),
        ("session_id", "position"),
    ),
    # One row per kept session: its source.  A long session is cut into pieces, counted from 0.
    # cluster_key is its user where sessions are made from the plays of users, else session_key.
    "keys": Artifact(
        pa.schema(
            [
                required("session_id", pa.int32()),
                required("session_key", pa.string()),
                required("piece", pa.int32()),
                required("cluster_key", pa.string()),
                required("n_plays", pa.int16()),
                required("n_skips", pa.int16()),
            ]
        ),
        ("session_id",),
    ),
    # One row per track of the catalogue.
    "tracks": Artifact(
        pa.schema(
            [
                required("track_id", pa.int32()),
                required("track_key", pa.string()),
                required("n_plays", pa.int64()),
                required("n_skips", pa.int64()),
            ]
        ),
        ("track_id",),
    ),
    # One row per session.  tracks and skipped are the context, with null for an unknown label;
    # target is null in train, where every position has one.  Sessions of one user, or where the
    # raw data has none the pieces of one of its sessions, have one cluster.
    "train": _SPLIT,
    "valid": _SPLIT,
    "test": _SPLIT,
    # One row per epoch.  Loss parts are null for models that have none.
    "history": Artifact(
        pa.schema(
            [
                required("epoch", pa.int32()),
                pa.field("loss", pa.float64()),
                pa.field("loss_base", pa.float64()),
                pa.field("loss_skip", pa.float64()),
                pa.field("valid_ndcg_10", pa.float64()),
                pa.field("valid_hr_10", pa.float64()),
                required("seconds", pa.float64()),
                pa.field("sessions_per_second", pa.float64()),
                required("best", pa.bool_()),
            ]
        ),
        ("epoch",),
    ),
    # One row per trial of a search.  state is complete, pruned, diverged or impossible (settings
    # that exclude each other); the metrics are those of the best epoch.  settings are json, of
    # what was searched only.
    "trials": Artifact(
        pa.schema(
            [
                required("trial", pa.int32()),
                required("state", pa.string()),
                pa.field("valid_ndcg_10", pa.float64()),
                pa.field("valid_hr_10", pa.float64()),
                pa.field("best_epoch", pa.int32()),
                required("epochs", pa.int32()),
                required("seconds", pa.float64()),
                required("settings", pa.string()),
            ]
        ),
        ("trial",),
    ),
    # One row per test session.  Ranks start at 1; null is past candidates.rank_cutoff or, in the
    # columns of `new`, no candidate: a track of the context.
    "ranks": Artifact(
        pa.schema(
            [
                required("session_id", pa.int32()),
                required("cluster", pa.int32()),
                pa.field("rank_full", pa.int32()),
                pa.field("rank_new", pa.int32()),
                pa.field("rank_sampled", pa.int32()),
                required("n_candidates", pa.int32()),
                required("skip_share", pa.float32()),
                required("is_repeat", pa.bool_()),
                required("target_popularity", pa.int32()),
                required("skip_ranks_full", pa.list_(pa.int32())),
                required("skip_ranks_new", pa.list_(pa.int32())),
                required("skip_outranks", pa.list_(pa.bool_())),
            ]
        ),
        ("session_id",),
    ),
    # One row per test session with a skip in its context.  The query is ŷ (hidden) or the last
    # listened track (item); skips are those of the context.  Null: no unseen skip, or no listened
    # track in the context.
    "cosines": Artifact(
        pa.schema(
            [
                required("session_id", pa.int32()),
                required("hidden_target", pa.float32()),
                required("hidden_skips", pa.float32()),
                pa.field("hidden_unseen_skips", pa.float32()),
                pa.field("item_target", pa.float32()),
                pa.field("item_skips", pa.float32()),
                pa.field("item_unseen_skips", pa.float32()),
            ]
        ),
        ("session_id",),
    ),
    # One row per test session of a simulated data set, state of knowledge (blind, plays, labels;
    # see simulation/oracle.py) and number of particles: the rank of the target by the truth.
    # rank_new is null where the target is in the context.
    "truth": Artifact(
        pa.schema(
            [
                required("session_id", pa.int32()),
                required("cluster", pa.int32()),
                required("knows", pa.string()),
                required("particles", pa.int32()),
                required("rank_full", pa.int32()),
                pa.field("rank_new", pa.int32()),
            ]
        ),
        ("session_id", "knows", "particles"),
    ),
    # One row per size of a batch and metric: what the metric of the papers' released code prints,
    # with queries by session, and merged over batches (evaluation/released.py).
    "released": Artifact(
        pa.schema(
            [
                required("batch", pa.int32()),
                required("metric", pa.string()),
                pa.field("sampled", pa.float64()),
                pa.field("merged", pa.float64()),
            ]
        ),
        ("batch", "metric"),
    ),
    # One row per asked test session: how far tracks like its last listened play fall, in log2 of
    # ranks, if it was skipped, and how many are among the best 20 (evaluation/responses.py).  The
    # logits are of a skip of the target and of the unseen skips; null: not predicted.
    "responses": Artifact(
        pa.schema(
            [
                required("session_id", pa.int32()),
                required("cluster", pa.int32()),
                pa.field("fall", pa.float64()),
                pa.field("target_fall", pa.float64()),
                pa.field("near_before", pa.float64()),
                pa.field("near_after", pa.float64()),
                pa.field("target_logit", pa.float64()),
                pa.field("skip_logits", pa.list_(pa.float64())),
            ]
        ),
        ("session_id",),
    ),
    # One row per metric.  k is null for metrics without a cut-off; n is the number of sessions or
    # pairs behind the value.
    "metrics": Artifact(
        pa.schema(
            [
                required("metric", pa.string()),
                pa.field("k", pa.int16()),
                required("candidates", pa.string()),
                required("subset", pa.string()),
                pa.field("value", pa.float64()),
                required("n", pa.int64()),
            ]
        ),
        ("candidates", "subset", "metric", "k"),
    ),
}
