"""What LFM-1K and LFM-2B share: blocks of lines, and the times of listening."""

from collections.abc import Iterator
from pathlib import Path

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
from skipwise.raw.ledger import Ledger
from skipwise.raw.tabular import Layout, parse_block
from skipwise.raw.times import EARLIEST, LATEST

_TIME = "%Y-%m-%d %H:%M:%S"


def file_blocks(path: Path, member: str, names: bytes | None = None) -> Iterator[Block]:
    """The lines of a file in blocks, of an archive those of its one ``member``; ``names`` are the
    columns if it has no header.
    """
    if not is_archive(path):
        with opened(path) as read:
            yield from text_blocks(read, str(path), names=names)
        return
    found = False
    for _, read in archive_members(path, lambda name: name.rsplit("/", 1)[-1] == member):
        if found:
            raise UserError(f"{path} has two members {member}; this is not the published archive")
        found = True
        yield from text_blocks(read, str(path), names=names)
    if not found:
        raise UserError(f"{path} has no member {member}; this is not the published archive")


def timed_rows(blocks: Iterator[Block], layout: Layout, ledger: Ledger) -> Iterator[pl.DataFrame]:
    """The valid rows of each block with ``started_at``; the ledger gets the others.

    A valid time is text like 2009-05-04 23:08:57, or unix seconds.
    """
    for block in prefetched(blocks):
        rows, wrong = parse_block(block, layout)
        ledger.read(rows.height + wrong.height)
        ledger.reject(block.name, wrong)
        rows = rows.with_columns(started_at=listening_times(rows["timestamp"]))
        seconds = pl.col("started_at").dt.epoch("s")
        what = (
            pl.when(seconds.is_null())
            .then(pl.lit("is neither a time like 2009-05-04 23:08:57 nor unix seconds"))
            .otherwise(pl.lit("is not between 1990 and 2100"))
        )
        reason = pl.format("column 'timestamp' holds '{}', which {}", "timestamp", what)
        timed = seconds.is_between(EARLIEST, LATEST).fill_null(False)
        ledger.reject(block.name, rows.filter(~timed).select("line", reason=reason))
        yield rows.filter(timed)


def listening_times(text: pl.Series) -> pl.Series:
    """Times in milliseconds from text like 2009-05-04T23:08:57Z, the same with a space, or unix
    seconds; else null.
    """
    found = (
        text.str.replace("T", " ")
        .str.strip_suffix("Z")
        .str.to_datetime(_TIME, time_unit="ms", strict=False)
    )
    if not found.null_count():
        return found
    seconds = text.str.strip_chars().cast(pl.Int64, strict=False)
    seconds = pl.select(pl.when(seconds.is_between(0, LATEST)).then(seconds)).to_series()
    return pl.select(pl.coalesce(found, pl.from_epoch(seconds * 1000, time_unit="ms"))).to_series()
