"""LFM-2B: a bz2 tsv of ids with header; skips are derived later."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from skipwise.core.errors import UserError
from skipwise.raw.archives import Block, archive_members, is_archive, text_blocks
from skipwise.raw.glimpse import Glimpse
from skipwise.raw.ledger import Ledger
from skipwise.raw.scrobbles import file_blocks, timed_rows
from skipwise.raw.tabular import Layout

MEMBER = "listening-events.tsv"

_LAYOUT = Layout(
    columns={"user_id": pl.String, "track_id": pl.String, "timestamp": pl.String},
    separator="\t",
    quote=None,
    required=frozenset({"user_id", "track_id", "timestamp"}),
)


def recognises(file: Glimpse) -> bool:
    """Whether a file looks like one of this form."""
    return file.has(f"{MEMBER}*", f"*/{MEMBER}") and file.has_columns(*_LAYOUT.columns)


def read_events(path: Path, entry: dict, ledger: Ledger) -> Iterator[pl.DataFrame]:
    """Read ``listening-events.tsv.bz2``, or an archive with it, some plays at a time.

    ``session_key`` is the user, ``skipped`` stays null.  Invalid rows are rejected.
    """
    for rows in timed_rows(_blocks(path), _LAYOUT, ledger):
        yield rows.select(
            "started_at", session_key="user_id", position="line", track_key="track_id"
        )


def _blocks(path: Path) -> Iterator[Block]:
    if not is_archive(path):
        yield from file_blocks(path)
        return
    found = False
    for _, read in archive_members(path, lambda name: name.rsplit("/", 1)[-1] == MEMBER):
        found = True
        yield from text_blocks(read, str(path))
    if not found:
        raise UserError(f"{path} has no member {MEMBER}; unpack it and give the file of plays")
