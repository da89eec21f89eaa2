"""LFM-2B: a bz2 tsv of ids with header; skips are derived later."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl

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
    for rows in timed_rows(file_blocks(path, MEMBER), _LAYOUT, ledger):
        yield rows.select(
            "started_at", session_key="user_id", position="line", track_key="track_id"
        )
