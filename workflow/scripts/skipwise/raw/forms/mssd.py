"""Spotify's Music Streaming Sessions Dataset: archives of logs with 21 columns (docs/protocol.md,
data sets, MSSD columns).
"""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from skipwise.core.errors import UserError
from skipwise.raw.archives import (
    Block,
    archive_members,
    is_archive,
    opened,
    prefetched,
    text_blocks,
)
from skipwise.raw.glimpse import Glimpse
from skipwise.raw.ledger import Ledger
from skipwise.raw.tabular import Layout, parse_block
from skipwise.sessions.draw import draws

COLUMNS = (
    "session_id",
    "session_position",
    "session_length",
    "track_id_clean",
    "skip_1",
    "skip_2",
    "skip_3",
    "not_skipped",
    "context_switch",
    "no_pause_before_play",
    "short_pause_before_play",
    "long_pause_before_play",
    "hist_user_behavior_n_seekfwd",
    "hist_user_behavior_n_seekback",
    "hist_user_behavior_is_shuffle",
    "hour_of_day",
    "date",
    "premium",
    "context_type",
    "hist_user_behavior_reason_start",
    "hist_user_behavior_reason_end",
)

_LAYOUT = Layout(
    columns={
        "session_id": pl.String,
        "session_position": pl.Int32,
        "session_length": pl.Int32,
        "track_id_clean": pl.String,
        "skip_1": pl.Boolean,
        "skip_2": pl.Boolean,
        "skip_3": pl.Boolean,
        "hist_user_behavior_is_shuffle": pl.Boolean,
        "hour_of_day": pl.Int8,
        "premium": pl.Boolean,
        "context_type": pl.String,
    },
    required=frozenset(
        {
            "session_id",
            "session_position",
            "session_length",
            "track_id_clean",
            "skip_1",
            "skip_2",
            "skip_3",
        }
    ),
)

_WRONG = {"line": pl.Int64, "session_id": pl.String, "fault": pl.String, "reason": pl.String}
_FAULTS = {
    "twice": "has a position twice",
    "lengths": "does not have the same session_length in all rows",
    "outside": "has a position that is not from 1 to its session_length",
    "missing": "lacks a position",
}
_MEMBER = re.compile(r"(\./)?(training_set/)?log_(\d_\d{8}_\d{12}|mini)\.csv")


# Its sessions are given.
SESSIONS = True


def recognises(file: Glimpse) -> bool:
    """Whether a file looks like one of this form."""
    return file.has_columns("session_id", "track_id_clean", "skip_1", "session_length")


def read_events(path: Path, entry: dict, ledger: Ledger) -> Iterator[pl.DataFrame]:
    """Read a ``.tar.gz`` of logs, or one ``.csv`` or ``.csv.gz`` log; gives whole sessions, some at
    a time.

    ``skipped`` is ``skip_2``.  Set apart are rows that do not fit their column, rows whose flags
    are not nested (skip_1 ⇒ skip_2 ⇒ skip_3), and the rows of sessions that do not have each of the
    positions 1 to ``session_length`` once within their log.  ``day`` is the number before ``_`` in
    the session id: the column ``date`` holds absurd years and is not used.

    With ``entry["keep"]`` (``share``, ``sampling_seed``, ``max_length``) only sessions are given
    whose draw can be among that share of the smallest; the others are counted.
    """
    rest, holes = None, 0
    for block in prefetched(_blocks(path)):
        rows, wrong = parse_block(block, _LAYOUT)
        ledger.read(rows.height + wrong.height)
        ledger.reject(block.name, wrong)
        rows, unnested = _nested(rows)
        ledger.reject(block.name, unnested)
        holes += wrong.height + unnested.height
        whole, rest, wrong = whole_sessions(
            rows if rest is None else pl.concat([rest, rows]), last=block.last
        )
        # A session is not invalid by itself if it lacks a row that was rejected.
        sessions = Counter(wrong.unique("session_id")["fault"].to_list())
        missing = sessions.pop("missing", 0)
        ledger.reject(block.name, wrong, faults=sessions.total() + max(0, missing - holes))
        holes = 0 if block.last else holes
        whole = _kept(whole, entry.get("keep"), ledger)
        if not whole.is_empty():
            yield _plays(whole)


def _blocks(path: Path) -> Iterator[Block]:
    """Every log of a raw file in blocks of lines."""
    if not is_archive(path):
        with opened(path) as read:
            yield from text_blocks(read, str(path))
        return
    found = False
    for name, read in archive_members(path, lambda name: bool(_MEMBER.fullmatch(name))):
        found = True
        yield from text_blocks(read, f"{path}, {name}")
    if not found:
        raise UserError(
            f"{path} holds no training_set/log_*.csv; this is not an archive of the MSSD training "
            "set"
        )


def _nested(rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows whose flags are nested, and the others as ``line`` and ``reason``."""
    broken = (pl.col("skip_1") & ~pl.col("skip_2")) | (pl.col("skip_2") & ~pl.col("skip_3"))
    wrong = rows.filter(broken)
    reason = "the skip flags are not nested (skip_1 implies skip_2 implies skip_3)"
    return rows if wrong.is_empty() else rows.filter(~broken), wrong.select(
        "line", reason=pl.lit(reason)
    )


def whole_sessions(
    rows: pl.DataFrame, *, last: bool
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Part rows of a log into whole sessions, one after the other by position; sessions to be
    continued; and wrong rows.

    A session is whole with each position from 1 to its ``session_length`` once.  Where rows are
    left that make no whole session, they wait for more, and at the ``last`` rows of the log they
    are wrong: ``line``, ``session_id``, ``fault`` (a word) and ``reason`` (a sentence).
    """
    whole = _whole_up_to(rows)
    if whole is None or (last and whole < rows.height):
        return _whole_by_group(rows, last=last)
    return rows[:whole], rows[whole:], pl.DataFrame(schema=_WRONG)


def _whole_up_to(rows: pl.DataFrame) -> int | None:
    """Rows up to the last session, which may go on, where all before it are whole, in order and
    different; else None.
    """
    position, length = rows["session_position"].to_numpy(), rows["session_length"].to_numpy()
    starts = np.flatnonzero(position == 1)
    if not len(starts) or starts[0] != 0:
        return None if rows.height else 0
    session = rows["session_id"]
    same = (session == session.shift(1)).fill_null(False).to_numpy()
    goes_on = same & (position == np.roll(position, 1) + 1) & (length == np.roll(length, 1))
    begins = (position == 1) & ~same & (np.roll(position, 1) == np.roll(length, 1))
    begins[0] = True
    if not (goes_on | begins).all() or session.gather(starts).n_unique() != len(starts):
        return None
    return rows.height if position[-1] == length[-1] else int(starts[-1])


def _whole_by_group(
    rows: pl.DataFrame, *, last: bool
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """:func:`whole_sessions` of rows in any order."""
    position, length = pl.col("session_position"), pl.col("session_length")
    sessions = rows.group_by("session_id").agg(
        twice=position.n_unique() < pl.len(),
        lengths=length.n_unique() > 1,
        outside=((position < 1) | (position > length)).any(),
        missing=pl.len() < length.first(),
        first=pl.col("line").min(),
    )
    fault = pl.coalesce(pl.when(name).then(pl.lit(name)) for name in _FAULTS)
    judged = rows.join(
        sessions.select("session_id", "first", fault=fault),
        on="session_id",
        how="left",
        maintain_order="left",
    )
    sound = pl.col("fault").is_null()
    whole = judged.filter(sound).sort("first", position).select(rows.columns)
    left = judged.filter(~sound)
    if not last:
        return whole, left.select(rows.columns), pl.DataFrame(schema=_WRONG)
    reason = pl.format(
        "session '{}' {} (session_length {})",
        "session_id",
        pl.col("fault").replace(_FAULTS),
        length,
    )
    return whole, rows.clear(), left.select("line", "session_id", "fault", reason=reason)


def _kept(rows: pl.DataFrame, keep: dict | None, ledger: Ledger) -> pl.DataFrame:
    """Whole sessions of which a piece may be in the sample; the rows of the others are counted."""
    if keep is None or rows.is_empty():
        return rows
    first = rows.filter(pl.col("session_position") == 1)
    length = first["session_length"].to_numpy()
    kept = np.zeros(len(length), bool)
    for piece in range(-(-int(length.max()) // keep["max_length"])):
        there = length > piece * keep["max_length"]
        kept |= there & (
            draws(first["session_id"], piece, keep["sampling_seed"]) < keep["share"] * 2.0**64
        )
    ledger.leave_out("outside keep_share", int(length[~kept].sum()))
    return rows.filter(pl.Series(np.repeat(kept, length)))


def _plays(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.select(
        session_key="session_id",
        position="session_position",
        track_key="track_id_clean",
        skipped="skip_2",
        day=pl.col("session_id").str.extract(r"^(\d+)_").cast(pl.Int32, strict=False),
        hour="hour_of_day",
        premium="premium",
        shuffle="hist_user_behavior_is_shuffle",
        context_type="context_type",
    )
