"""Every column name and the schema of every artifact, once.

An artifact is a parquet file that one rule writes and others read.  Its :class:`Artifact` gives the
columns with fixed types and the columns that put its rows in a total order, so two runs of the same
configuration write equal files.

Conventions: track ids are dense integers from 1, 0 is padding; positions count from 1 within a
session; a null in ``skipped`` of ``events`` means that the raw data does not say; times are UTC
without a zone.
"""

from typing import NamedTuple

import pyarrow as pa

PADDING = 0
# What the contrastive term compares with tracks: ŷ, or the embedding of the track before it.
QUERIES = ("hidden", "item")


class Artifact(NamedTuple):
    """Schema of one parquet artifact and the columns that order its rows."""

    schema: pa.Schema
    order: tuple[str, ...]


def _required(name: str, kind: pa.DataType) -> pa.Field:
    return pa.field(name, kind, nullable=False)


_TIME = pa.timestamp("ms")

# What some data sets know about a play beside the track; null where a set does not have it.
CONTEXT = (
    pa.field("started_at", _TIME),
    pa.field("day", pa.int32()),
    pa.field("hour", pa.int8()),
    pa.field("premium", pa.bool_()),
    pa.field("shuffle", pa.bool_()),
    pa.field("context_type", pa.string()),
    pa.field("is_organic", pa.bool_()),
)

_SPLIT = Artifact(
    pa.schema(
        [
            _required("session_id", pa.int32()),
            _required("tracks", pa.list_(pa.int32())),
            _required("skipped", pa.list_(pa.bool_())),
            pa.field("target", pa.int32()),
            _required("unseen_skips", pa.list_(pa.int32())),
        ]
    ),
    ("session_id",),
)


def _figure(*fields: pa.Field) -> Artifact:
    """What a figure draws: the keys of a model and variant, and ``fields``."""
    keys = (_required(key, pa.string()) for key in ("dataset", "data", "split", "model", "variant"))
    return Artifact(pa.schema([*keys, *fields]), ())


def _comparison(*keys: pa.Field) -> Artifact:
    """A table of paired comparisons: one row a data set, split, candidate set, model, variant and
    metric.

    ``keys`` stand before ``metric``.  ``difference`` is value − orig, ``relative_change``
    difference / orig.  What cannot be told, for example a change of nothing, is null.
    """
    fields = [
        _required(key, pa.string())
        for key in ("dataset", "data", "split", "candidates", "model", "variant")
    ]
    fields += [*keys, _required("metric", pa.string())]
    numbers = (
        "orig",
        "value",
        "difference",
        "difference_low",
        "difference_high",
        "relative_change",
        "p",
        "p_holm",
        "seed_sd",
    )
    fields += [pa.field(name, pa.float64()) for name in numbers]
    return Artifact(
        pa.schema([*fields, _required("sessions", pa.int64()), _required("seeds", pa.string())]), ()
    )


ARTIFACTS: dict[str, Artifact] = {
    # One row a play, as the raw data has it.  session_key is the session where the raw data has
    # sessions, else the user; positions order its plays.  part is a hash of the session_key: a job
    # reads the row groups of one part of all shards. Rows are in the order of the raw file, part by
    # part: sorting them would take a memory that grows with the file.
    "events": Artifact(
        pa.schema(
            [
                _required("part", pa.int16()),
                _required("session_key", pa.string()),
                _required("position", pa.int64()),
                _required("track_key", pa.string()),
                pa.field("skipped", pa.bool_()),
                *CONTEXT,
            ]
        ),
        (),
    ),
    # One row a row of a raw file that was set apart.
    "rejected": Artifact(
        pa.schema(
            [
                _required("file", pa.string()),
                _required("line", pa.int64()),
                _required("reason", pa.string()),
            ]
        ),
        ("file", "line"),
    ),
    # One row a track and gap: how often the next play of a listener started so many seconds after
    # this track did.
    "gaps": Artifact(
        pa.schema(
            [
                _required("track_key", pa.string()),
                _required("gap", pa.float64()),
                _required("n", pa.int64()),
            ]
        ),
        ("track_key", "gap"),
    ),
    # One row a session gap that lfm_skip_rules compares.
    "gap_sessions": Artifact(
        pa.schema(
            [
                _required("session_gap", pa.float64()),
                _required("plays", pa.int64()),
                _required("zero_gaps", pa.int64()),
                _required("sessions", pa.int64()),
                _required("sessions_longer_than_5", pa.int64()),
            ]
        ),
        ("session_gap",),
    ),
    # One row a track with enough plays: its length in seconds, as the gaps after it tell.
    "lengths": Artifact(
        pa.schema([_required("track_key", pa.string()), _required("length", pa.float64())]),
        ("track_key",),
    ),
    # One row a play of a session that may be sampled; draw is the seeded hash that decides.
    "labelled": Artifact(
        pa.schema(
            [
                _required("draw", pa.uint64()),
                _required("session_key", pa.string()),
                _required("piece", pa.int32()),
                _required("position", pa.int16()),
                _required("track_key", pa.string()),
                _required("skipped", pa.bool_()),
                _required("n_plays", pa.int16()),
                _required("n_skips", pa.int16()),
                *CONTEXT,
            ]
        ),
        ("draw", "session_key", "piece", "position"),
    ),
    # One row a play of a kept session.
    "sessions": Artifact(
        pa.schema(
            [
                _required("session_id", pa.int32()),
                _required("position", pa.int16()),
                _required("track_id", pa.int32()),
                _required("skipped", pa.bool_()),
                *CONTEXT,
            ]
        ),
        ("session_id", "position"),
    ),
    # One row a kept session: where it comes from.  A long session is cut into pieces, counted from
    # 0.
    "keys": Artifact(
        pa.schema(
            [
                _required("session_id", pa.int32()),
                _required("session_key", pa.string()),
                _required("piece", pa.int32()),
                _required("n_plays", pa.int16()),
                _required("n_skips", pa.int16()),
            ]
        ),
        ("session_id",),
    ),
    # One row a track of the catalogue.
    "tracks": Artifact(
        pa.schema(
            [
                _required("track_id", pa.int32()),
                _required("track_key", pa.string()),
                _required("n_plays", pa.int64()),
                _required("n_skips", pa.int64()),
            ]
        ),
        ("track_id",),
    ),
    # One row a session.  tracks and skipped are the context; target is null in train, where every
    # position has one.
    "train": _SPLIT,
    "valid": _SPLIT,
    "test": _SPLIT,
    # One row an epoch.  Loss parts are null for models that have none.
    "history": Artifact(
        pa.schema(
            [
                _required("epoch", pa.int32()),
                pa.field("loss", pa.float64()),
                pa.field("loss_base", pa.float64()),
                pa.field("loss_skip", pa.float64()),
                pa.field("valid_ndcg_10", pa.float64()),
                pa.field("valid_hr_10", pa.float64()),
                _required("seconds", pa.float64()),
                pa.field("sessions_per_second", pa.float64()),
                _required("best", pa.bool_()),
            ]
        ),
        ("epoch",),
    ),
    # One row a test session.  Ranks start at 1; null is past candidates.rank_cutoff.
    "ranks": Artifact(
        pa.schema(
            [
                _required("session_id", pa.int32()),
                pa.field("rank_full", pa.int32()),
                pa.field("rank_sampled", pa.int32()),
                _required("n_candidates", pa.int32()),
                _required("skip_share", pa.float32()),
                _required("is_repeat", pa.bool_()),
                _required("target_popularity", pa.int32()),
                _required("skip_ranks", pa.list_(pa.int32())),
                _required("skip_outranks", pa.list_(pa.bool_())),
            ]
        ),
        ("session_id",),
    ),
    # One row a test session with a skip in its context.  The query is ŷ (hidden) or the last
    # listened track (item); skips are those of the context.  Null: no unseen skip, or no listened
    # track in the context.
    "cosines": Artifact(
        pa.schema(
            [
                _required("session_id", pa.int32()),
                _required("hidden_target", pa.float32()),
                _required("hidden_skips", pa.float32()),
                pa.field("hidden_unseen_skips", pa.float32()),
                pa.field("item_target", pa.float32()),
                pa.field("item_skips", pa.float32()),
                pa.field("item_unseen_skips", pa.float32()),
            ]
        ),
        ("session_id",),
    ),
    # One row a metric.  k is null for metrics without a cut-off; n is the number of sessions or
    # pairs behind the value.
    "metrics": Artifact(
        pa.schema(
            [
                _required("metric", pa.string()),
                pa.field("k", pa.int16()),
                _required("candidates", pa.string()),
                _required("subset", pa.string()),
                pa.field("value", pa.float64()),
                _required("n", pa.int64()),
            ]
        ),
        ("candidates", "subset", "metric", "k"),
    ),
    "murs23_context": _comparison(
        _required("context", pa.string()), _required("skips", pa.string())
    ),
    "recsys24_main": _comparison(),
    "skip_downranking": _comparison(),
    # share_low and share_high are the least and the greatest share of skips in the quartile.
    "by_skip_share": _comparison(
        _required("quartile", pa.int16()),
        _required("share_low", pa.float64()),
        _required("share_high", pa.float64()),
    ),
    # One row a cell of a table of the papers, and what this run has in its place, in columns of its
    # own.
    "paper_comparison": Artifact(
        pa.schema(
            [
                *(
                    _required(name, pa.string())
                    for name in ("table", "form", "model", "variant", "metric", "source")
                ),
                _required("paper", pa.float64()),
                pa.field("paper_relative_change", pa.float64()),
                pa.field("dataset", pa.string()),
                pa.field("data", pa.string()),
                pa.field("split", pa.string()),
                *(
                    pa.field(f"ours_{candidates}{end}", pa.float64())
                    for candidates in ("sampled", "full")
                    for end in ("", "_low", "_high", "_relative_change")
                ),
                pa.field("sessions", pa.int64()),
                pa.field("seeds", pa.string()),
            ]
        ),
        (),
    ),
    # One row a trial of the tuning.  alpha and tau are null for variants without the contrastive
    # term.
    "tuning": Artifact(
        pa.schema(
            [
                *(
                    _required(name, pa.string())
                    for name in ("dataset", "data", "split", "model", "variant")
                ),
                _required("trial", pa.int32()),
                _required("learning_rate", pa.float64()),
                pa.field("alpha", pa.float64()),
                pa.field("tau", pa.float64()),
                _required("valid_ndcg_10", pa.float64()),
                _required("valid_hr_10", pa.float64()),
                _required("best_epoch", pa.int32()),
                _required("epochs", pa.int32()),
                _required("seconds", pa.float64()),
                _required("chosen", pa.bool_()),
            ]
        ),
        (),
    ),
    # One row a claim of the papers, data set and model.
    "findings": Artifact(
        pa.schema(
            [
                *(
                    _required(name, pa.string())
                    for name in ("claim", "papers_say", "verdict", "measured")
                ),
                *(
                    pa.field(name, pa.string())
                    for name in ("dataset", "data", "split", "model", "variant", "candidates")
                ),
                *(
                    pa.field(name, pa.float64())
                    for name in ("estimate", "estimate_low", "estimate_high", "p", "p_holm")
                ),
                pa.field("single_seed_low", pa.float64()),
                pa.field("single_seed_high", pa.float64()),
                pa.field("papers_print", pa.string()),
                pa.field("sessions", pa.int64()),
                pa.field("seeds", pa.string()),
                _required("note", pa.string()),
            ]
        ),
        (),
    ),
    # One row a data set, skip rule and session gap.  check_* are the counts of the authors'
    # notebook, where there are.
    "lfm_skip_rules": Artifact(
        pa.schema(
            [
                _required("dataset", pa.string()),
                _required("data", pa.string()),
                _required("skip_rule", pa.string()),
                _required("session_gap_minutes", pa.float64()),
                _required("sessions", pa.int64()),
                _required("sessions_longer_than_5", pa.int64()),
                _required("skip_share", pa.float64()),
                _required("zero_gaps", pa.int64()),
                pa.field("check_sessions", pa.int64()),
                pa.field("check_sessions_longer_than_5", pa.int64()),
            ]
        ),
        (),
    ),
    # One row a data set and split.  The rows keep the order of the configuration.
    "datasets": Artifact(
        pa.schema(
            [
                _required("dataset", pa.string()),
                _required("data", pa.string()),
                _required("form", pa.string()),
                _required("licence", pa.string()),
                _required("skip_rule", pa.string()),
                _required("plays_read", pa.int64()),
                _required("sessions_formed", pa.int64()),
                _required("sessions_eligible", pa.int64()),
                _required("sessions", pa.int64()),
                _required("plays", pa.int64()),
                _required("tracks", pa.int64()),
                _required("skip_share", pa.float64()),
                _required("length_median", pa.float64()),
                _required("length_mean", pa.float64()),
                _required("split", pa.string()),
                _required("train_sessions", pa.int64()),
                _required("test_sessions", pa.int64()),
                _required("unseen_target_share", pa.float64()),
            ]
        ),
        (),
    ),
    # --- The numbers that a figure draws.  The rows keep the order of the configuration.
    "hit_rates": _figure(
        _required("k", pa.int16()),
        *(_required(f"hr{end}", pa.float64()) for end in ("", "_low", "_high")),
    ),
    # difference is that of a variant to orig in HR@10; share_low and share_high are the limits of
    # the quartile.
    "gain_by_skip_share": _figure(
        _required("quartile", pa.int16()),
        _required("share_low", pa.float64()),
        _required("share_high", pa.float64()),
        *(pa.field(f"difference{end}", pa.float64()) for end in ("", "_low", "_high")),
    ),
    # share of the tracks (target, unseen skips) with at most this rank in the full catalogue.
    "rank_distribution": _figure(
        _required("tracks", pa.string()),
        _required("rank", pa.int32()),
        _required("share", pa.float64()),
    ),
    "learning_curves": _figure(
        _required("seed", pa.int32()),
        _required("epoch", pa.int32()),
        pa.field("valid_ndcg_10", pa.float64()),
        _required("best", pa.bool_()),
    ),
    # Quartiles over n sessions of the cosine of the query (hidden, item) with next-positive or
    # skips of the context.
    "query_cosines": _figure(
        _required("query", pa.string()),
        _required("to", pa.string()),
        *(_required(name, pa.float64()) for name in ("low", "median", "high")),
        _required("n", pa.int64()),
    ),
}


def hr_ndcg_table(metrics: list[str]) -> Artifact:
    """Schema of ``hr_ndcg``: one row a data set, split, model, variant and candidate set, in the
    order of the configuration.

    ``metrics`` are names like ``hr_10``; each has its interval in ``_low`` and ``_high``.
    """
    keys = ("dataset", "data", "split", "model", "variant", "candidates")
    fields = [_required(key, pa.string()) for key in keys]
    fields += [_required("sessions", pa.int64()), _required("seeds", pa.string())]
    fields += [
        _required(f"{metric}{end}", pa.float64())
        for metric in metrics
        for end in ("", "_low", "_high")
    ]
    return Artifact(pa.schema(fields), ())
