"""MovieLens 100K: explicit ratings, the negatives of people who rate (docs/protocol.md, data sets,
ml100k).
"""

import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from skipwise.core.errors import UserError
from skipwise.raw.conditions import parse_rule, skip_labels
from skipwise.raw.ledger import Ledger
from skipwise.raw.tabular import Layout, check_columns, read_delimited
from skipwise.raw.times import unix_times

# Keys of its entry in the registry.
NEEDS = ("skipped_when",)

_COLUMNS = {
    "user_id": pl.String,
    "item_id": pl.String,
    "rating": pl.Float64,
    "timestamp": pl.Float64,
}
# RecBole's spelling of the same columns; its file has a header.
_RECBOLE = {
    "user_id:token": "user_id",
    "item_id:token": "item_id",
    "rating:float": "rating",
    "timestamp:float": "timestamp",
}


def read_events(path: Path, entry: dict, ledger: Ledger) -> Iterator[pl.DataFrame]:
    """Read, at once, the published zip, its ``u.data``, or the same ratings as RecBole's
    ``ml-100k.inter``.

    Ratings of one second stay in the order of the file, which is shuffled, so that no order is read
    into them.
    """
    check_columns(list(_COLUMNS), [parse_rule(entry["skipped_when"])[0]], str(path))
    raw = _ratings(path)
    header = b":token" in raw.split(b"\n", 1)[0]
    columns = {name: _COLUMNS[of] for name, of in _RECBOLE.items()} if header else _COLUMNS
    layout = Layout(columns, "\t", header=header, quote=None, required=frozenset(columns))
    frame = read_delimited(raw, layout, str(path)).rename(_RECBOLE if header else {})
    ledger.read(frame.height)
    yield frame.select(
        session_key="user_id",
        position=(pl.int_range(pl.len()) + 1).cast(pl.Int32),
        track_key="item_id",
        skipped=skip_labels(frame, entry["skipped_when"], str(path), header=header),
        started_at=unix_times(frame["timestamp"], "s", str(path)),
    )


def _ratings(path: Path) -> bytes:
    if path.suffix != ".zip":
        return path.read_bytes()
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.read("ml-100k/u.data")
    except (
        zipfile.BadZipFile,
        zlib.error,
        KeyError,
        EOFError,
        NotImplementedError,
        RuntimeError,
        OSError,
    ) as error:
        what = str(error).strip("'\"")
        raise UserError(
            f"{path} is not the MovieLens 100K archive or is damaged ({what}); get it again"
        ) from error
