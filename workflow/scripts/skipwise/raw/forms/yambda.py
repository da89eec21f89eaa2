"""Yandex Music's Yambda: the `listens.parquet` of one size, or its `multi_event.parquet`
(docs/protocol.md, data sets).
"""

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from skipwise.core.errors import UserError
from skipwise.raw.conditions import parse_rule, skip_labels
from skipwise.raw.ledger import Ledger
from skipwise.raw.tabular import check_columns, first_row
from skipwise.raw.times import unix_times

# Keys of its entry in the registry.
NEEDS = ("skipped_when",)

_COLUMNS = ("uid", "timestamp", "item_id", "is_organic", "played_ratio_pct", "track_length_seconds")
_EVENT = "event_type"
_ROWS = 2**20


def read_events(path: Path, entry: dict, ledger: Ledger) -> Iterator[pl.DataFrame]:
    """Read the plays of a file, some at a time; ``session_key`` is the user.

    Of a file with an ``event_type`` only the listens are plays; likes, dislikes and what takes them
    back are left out and counted.  ``timestamp`` counts seconds, in steps of 5, from a start that
    is not published.
    ``entry["skipped_when"]`` is a rule on a column, such as ``played_ratio_pct < 50``; a share
    above 100 is a track partly heard again.  Plays within one step stay in the order of the file.
    """
    column = parse_rule(entry["skipped_when"])[0]
    check_columns(list(_COLUMNS), [column], f"the form yambda of {path}")
    wanted = [
        "uid",
        "timestamp",
        "item_id",
        "is_organic",
        *({column} - {"uid", "timestamp", "item_id", "is_organic"}),
    ]
    try:
        with pq.ParquetFile(path) as file:
            check_columns(file.schema_arrow.names, wanted, str(path))
            wanted += [_EVENT] if _EVENT in file.schema_arrow.names else []
            for batch in file.iter_batches(_ROWS, columns=wanted):
                yield _plays(pl.DataFrame(pa.table(batch)), entry["skipped_when"], path, ledger)
    except (pa.ArrowException, OSError) as error:
        raise UserError(
            f"{path} is not a readable parquet file ({str(error).splitlines()[0]}); get it again"
        ) from error


def _plays(rows: pl.DataFrame, rule: str, path: Path, ledger: Ledger) -> pl.DataFrame:
    before = ledger.rows
    ledger.read(rows.height)
    name = str(path)
    for column in ("uid", "item_id", "is_organic"):
        if rows[column].null_count():
            row = before + first_row(rows[column].is_null()) + 1
            raise UserError(f"{name}, row {row}: column '{column}' is empty; get the file again")
    rows = rows.with_columns(position=before + pl.int_range(1, pl.len() + 1, dtype=pl.Int64))
    if _EVENT in rows.columns:
        listens = (rows[_EVENT].cast(pl.String) == "listen").fill_null(False)
        ledger.leave_out("not a listen", int((~listens).sum()))
        rows = rows.filter(listens)
    return rows.select(
        "position",
        session_key=pl.col("uid").cast(pl.String),
        track_key=pl.col("item_id").cast(pl.String),
        skipped=skip_labels(rows, rule, name),
        started_at=unix_times(rows["timestamp"], "s", name, starts_nowhere=True),
        is_organic=pl.col("is_organic").cast(pl.Boolean),
    )
