"""Spotify's Music Streaming Sessions Dataset: archives of logs with 21 columns (docs/protocol.md, data sets, MSSD columns)."""

import re
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from skipwise.datasets.archives import DAMAGE, damaged, decompressed, tar_members
from skipwise.datasets.tabular import Layout, read_delimited
from skipwise.errors import UserError

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
        "track_id_clean": pl.String,
        "skip_1": pl.Boolean,
        "skip_2": pl.Boolean,
        "skip_3": pl.Boolean,
        "hist_user_behavior_is_shuffle": pl.Boolean,
        "hour_of_day": pl.Int8,
        "premium": pl.Boolean,
        "context_type": pl.String,
    },
    required=frozenset({"session_id", "session_position", "track_id_clean", "skip_1", "skip_2", "skip_3"}),
)

_MEMBER = re.compile(r"(\./)?(training_set/)?log_(\d_\d{8}_\d{12}|mini)\.csv")


def read_events(path: Path, entry: dict) -> pl.DataFrame:
    """Read a ``.tar.gz`` of logs, or one ``.csv`` or ``.csv.gz`` log.

    ``skipped`` is ``skip_2``; the flags are nested (skip_1 ⇒ skip_2 ⇒ skip_3), a row that breaks this is an error.
    ``day`` is the number before ``_`` in the session id: the column ``date`` holds absurd years and is not used.
    """
    return pl.concat(_plays(raw, name) for name, raw in _logs(path))


def _logs(path: Path) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of every log of a raw file."""
    if not path.name.endswith((".tar.gz", ".tgz")):
        try:
            yield str(path), decompressed(path)
        except DAMAGE as error:
            raise damaged(path, error) from error
        return
    found = False
    for name, raw in tar_members(path, lambda name: bool(_MEMBER.fullmatch(name))):
        found = True
        yield f"{path}, {name}", raw
    if not found:
        raise UserError(f"{path} holds no training_set/log_*.csv; this is not an archive of the MSSD training set")


def _plays(raw: bytes, name: str) -> pl.DataFrame:
    frame = read_delimited(raw, _LAYOUT, name)
    broken = frame.select((pl.col("skip_1") & ~pl.col("skip_2")) | (pl.col("skip_2") & ~pl.col("skip_3"))).to_series()
    if broken.any():
        raise UserError(
            f"{name}, line {broken.arg_max() + 2}: the skip flags are not nested (skip_1 implies skip_2 implies skip_3) "
            f"in {broken.sum()} rows; the columns are mixed up or the file is not the original"
        )
    return frame.select(
        session_key="session_id",
        position="session_position",
        track_key="track_id_clean",
        skipped="skip_2",
        day=pl.col("session_id").str.extract(r"^(\d+)_").cast(pl.Int32),
        hour="hour_of_day",
        premium="premium",
        shuffle="hist_user_behavior_is_shuffle",
        context_type="context_type",
    )
