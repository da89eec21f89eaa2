"""Writing events while they are read: row groups of one part each, in a bounded memory."""

import zlib
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from skipwise.core.artifacts import whole_file
from skipwise.core.schemas import ARTIFACTS

# Rows that wait for their row group, over all parts.
_WAITING = 2**20


def part_of(session_key: str, parts: int) -> int:
    """The part of a session or user: a hash of its key, the same in every file and on every
    machine.
    """
    return zlib.crc32(session_key.encode()) % parts


class EventsWriter:
    """Writes plays as an ``events`` artifact; the file appears when the block ends well, or not at
    all.

    Columns that a form does not have become null.
    """

    def __init__(self, path: str | Path, parts: int):
        self._parts = parts
        self._schema = ARTIFACTS["events"].schema
        self._path = path
        self._waiting: dict[int, list[pa.Table]] = defaultdict(list)
        self._rows: dict[int, int] = defaultdict(int)

    def __enter__(self) -> "EventsWriter":
        with ExitStack() as stack:
            partial = stack.enter_context(whole_file(self._path))
            self._writer = stack.enter_context(
                pq.ParquetWriter(partial, self._schema, compression="zstd")
            )
            stack.push(
                self._write_waiting
            )  # on a full disk say, what follows must know that this failed
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def _write_waiting(self, kind: type | None, *_) -> None:
        if kind is None:
            for part in sorted(self._rows):
                self._write(part)

    def write(self, plays: pl.DataFrame) -> None:
        """Add plays; a part is written when too many rows wait."""
        for part, of_part in self._parted(plays):
            self._waiting[part].append(self._table(of_part, part))
            self._rows[part] += of_part.height
        while sum(self._rows.values()) >= _WAITING:
            self._write(max(sorted(self._rows), key=self._rows.__getitem__))

    def _parted(self, plays: pl.DataFrame) -> list[tuple[int, pl.DataFrame]]:
        if self._parts == 1:
            return [(0, plays)]
        keys = plays["session_key"].unique(maintain_order=True)
        part = pl.Series("part", [part_of(key, self._parts) for key in keys], pl.Int16)
        parted = plays.join(
            pl.DataFrame([keys, part]), on="session_key", how="left", maintain_order="left"
        )
        found = parted.partition_by("part", as_dict=True, include_key=False, maintain_order=True)
        return sorted((part, of_part) for (part,), of_part in found.items())

    def _table(self, plays: pl.DataFrame, part: int) -> pa.Table:
        """The plays with all columns of events; one that their form does not give is null."""
        table = plays.to_arrow()
        columns = [
            pa.repeat(pa.scalar(part, pa.int16()), plays.height)
            if field.name == "part"
            else table[field.name]
            if field.name in table.column_names
            else pa.nulls(plays.height, field.type)
            for field in self._schema
        ]
        return pa.table(columns, self._schema.names).cast(self._schema)

    def _write(self, part: int) -> None:
        rows = pa.concat_tables(self._waiting.pop(part))
        del self._rows[part]
        self._writer.write_table(rows, row_group_size=rows.num_rows)
