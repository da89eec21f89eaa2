"""Last.fm listening logs: LFM-1K (one tsv in a tar.gz) and LFM-2B (a bz2 tsv of ids).  Skips are
derived later.
"""

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from skipwise.core.errors import UserError
from skipwise.raw.archives import Block, prefetched, tar_members, text_blocks
from skipwise.raw.ledger import Ledger
from skipwise.raw.scrobbles import _blocks, _timed
from skipwise.raw.tabular import Layout, parse_block

LFM1K_MEMBER = "userid-timestamp-artid-artname-traid-traname.tsv"

_LFM1K_NAMES = b"user\ttimestamp\tartist_mbid\tartist\ttrack_mbid\ttrack"
# Names hold bare quotes, so quoting is off in both.
_LFM1K = Layout(
    columns=dict.fromkeys(("user", "timestamp", "artist", "track"), pl.String),
    separator="\t",
    quote=None,
    required=frozenset({"user", "timestamp", "track"}),
)
_LFM2B = Layout(
    columns={"user_id": pl.String, "track_id": pl.String, "timestamp": pl.String},
    separator="\t",
    quote=None,
    required=frozenset({"user_id", "track_id", "timestamp"}),
)


def read_events(path: Path, entry: dict, ledger: Ledger) -> Iterator[pl.DataFrame]:
    """Read one file of the form that ``entry`` names, some plays at a time.

    ``session_key`` is the user, ``skipped`` stays null.  A track of LFM-1K is artist name and track
    name together (the authors' code takes the track name alone).  Its file is newest first: lines
    are counted downwards, so that positions ascend in time.  Rows that do not fit are set apart.
    """
    lfm1k = entry["form"] == "lfm1k"
    layout = _LFM1K if lfm1k else _LFM2B
    for block in prefetched(_lfm1k_blocks(path) if lfm1k else _blocks(path)):
        rows, wrong = parse_block(block, layout)
        ledger.read(rows.height + wrong.height)
        ledger.reject(block.name, wrong)
        rows = _timed(rows, block.name, ledger)
        if lfm1k:
            track = pl.concat_str(pl.col("artist").fill_null(""), pl.col("track"), separator="\t")
            yield rows.select(
                session_key="user",
                position=-pl.col("line"),
                track_key=track,
                started_at="started_at",
            )
        else:
            yield rows.select(
                session_key="user_id",
                position="line",
                track_key="track_id",
                started_at="started_at",
            )


def _lfm1k_blocks(path: Path) -> Iterator[Block]:
    if not path.name.endswith((".tar.gz", ".tgz")):
        yield from _blocks(path, _LFM1K_NAMES)
        return
    found = False
    for _, read in tar_members(path, lambda name: name.rsplit("/", 1)[-1] == LFM1K_MEMBER):
        if found:
            raise UserError(
                f"{path} has two members {LFM1K_MEMBER}; this is not the LFM-1K archive"
            )
        found = True
        yield from text_blocks(read, str(path), names=_LFM1K_NAMES)
    if not found:
        raise UserError(f"{path} has no member {LFM1K_MEMBER}; this is not the LFM-1K archive")
