"""MovieLens 100K: explicit ratings, the negatives of people who rate (docs/protocol.md, data sets, ml100k)."""

import zipfile
from pathlib import Path

import polars as pl

from skipwise.datasets.rules import skip_expression
from skipwise.datasets.tabular import Layout, read_delimited
from skipwise.errors import UserError

_NAMES = ("user_id", "item_id", "rating", "timestamp")
_KINDS = (pl.String, pl.String, pl.Float64, pl.Float64)


def read_events(path: Path, entry: dict) -> pl.DataFrame:
    """Read the published zip, its ``u.data``, or the same ratings as RecBole's ``ml-100k.inter``.

    Ratings of one second stay in the order of the file, which is shuffled, so that no order is read into them.
    """
    try:
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive:
                raw = archive.read("ml-100k/u.data")
        else:
            raw = path.read_bytes()
    except (zipfile.BadZipFile, KeyError, EOFError) as error:
        raise UserError(f"{path} is not the MovieLens 100K archive or is damaged ({error}); get it again") from error
    header = raw.startswith(b"user_id:token")
    names = ("user_id:token", "item_id:token", "rating:float", "timestamp:float") if header else _NAMES
    layout = Layout(dict(zip(names, _KINDS, strict=True)), "\t", header=header, quote=None, required=frozenset(names))
    frame = read_delimited(raw, layout, str(path)).rename(dict(zip(names, _NAMES, strict=True)))
    return frame.select(
        session_key="user_id",
        position=(pl.int_range(pl.len()) + 1).cast(pl.Int32),
        track_key="item_id",
        skipped=skip_expression(entry["skipped_when"]),
        started_at=pl.from_epoch((pl.col("timestamp") * 1000).cast(pl.Int64), time_unit="ms"),
    )
