"""LFM-1K: a tsv without header in a tar.gz, newest first within a user; skips are derived."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from skipwise.raw.glimpse import Glimpse
from skipwise.raw.ledger import Ledger
from skipwise.raw.scrobbles import file_blocks, timed_rows
from skipwise.raw.tabular import Layout

MEMBER = "userid-timestamp-artid-artname-traid-traname.tsv"

_NAMES = b"user\ttimestamp\tartist_mbid\tartist\ttrack_mbid\ttrack"
_LAYOUT = Layout(
    columns=dict.fromkeys(("user", "timestamp", "artist", "track"), pl.String),
    separator="\t",
    quote=None,  # names hold bare quotes
    required=frozenset({"user", "timestamp", "track"}),
)


def recognises(file: Glimpse) -> bool:
    """Whether a file looks like one of this form."""
    return file.has(MEMBER, f"*/{MEMBER}")


def read_events(path: Path, entry: dict, ledger: Ledger) -> Iterator[pl.DataFrame]:
    """Read the archive, or its tsv, some plays at a time.

    ``session_key`` is the user, ``skipped`` stays null.  A track is artist name and track name
    together (the authors' code takes only the track name).  The file is newest first: lines are
    counted downwards, so that positions ascend in time.  Invalid rows are rejected.
    """
    track = pl.concat_str(pl.col("artist").fill_null(""), pl.col("track"), separator="\t")
    for rows in timed_rows(file_blocks(path, MEMBER, _NAMES), _LAYOUT, ledger):
        yield rows.select(
            "started_at", session_key="user", position=-pl.col("line"), track_key=track
        )
