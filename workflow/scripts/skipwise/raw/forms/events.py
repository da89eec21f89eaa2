"""Anything a user has: a CSV, TSV or parquet file whose column names the configuration gives."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from skipwise.core.errors import UserError
from skipwise.raw.conditions import parse_rule, skip_labels
from skipwise.raw.ledger import Ledger
from skipwise.raw.tables import read_columns
from skipwise.raw.tabular import first_row
from skipwise.raw.times import times

# Keys of its entry in the registry, and the source of its labels.
NEEDS = ("columns",)
LABELS = "skipped_when"


def read_events(path: Path, entry: dict, ledger: Ledger) -> Iterator[pl.DataFrame]:
    """Read a table of plays, at once.

    ``entry["columns"]`` names the columns: ``track``, and ``session`` (sessions as given) or
    ``user`` and ``time`` (sessions from gaps).  ``time`` is ISO text, a parquet timestamp, or unix
    seconds or milliseconds (``time_unit``). Without ``time`` the order of the rows is the order of
    the plays.  ``entry["skipped_when"]`` is a boolean column or a rule ``column operator value``;
    it may be absent where a derived skip rule is used.
    """
    columns = entry["columns"]
    group = columns.get("session") or columns.get("user")
    if not group:
        raise UserError(
            "columns: give `session` (sessions as they are) or `user` (sessions from gaps in time)"
        )
    rule = entry.get("skipped_when")
    wanted = [group, columns["track"]]
    wanted += [columns["time"]] if "time" in columns else []
    wanted += [parse_rule(rule)[0]] if rule else []
    frame = read_columns(path, list(dict.fromkeys(wanted)))
    plays = frame.select(
        session_key=pl.col(group).cast(pl.String),
        position=(pl.int_range(pl.len()) + 1).cast(pl.Int32),
        track_key=pl.col(columns["track"]).cast(pl.String),
    )
    for name, source in (("session_key", group), ("track_key", columns["track"])):
        empty = (plays[name].str.len_bytes() == 0).fill_null(True)
        if empty.any():
            raise UserError(
                f"{path}, row {first_row(empty) + 1}: column '{source}' is empty; correct or "
                "remove this row"
            )
    if rule:
        plays = plays.with_columns(
            skipped=skip_labels(frame, rule, str(path), header=path.suffix != ".parquet")
        )
    if "time" in columns:
        plays = plays.with_columns(
            started_at=times(frame[columns["time"]], entry.get("time_unit", "s"), str(path))
        )
    ledger.read(plays.height)
    yield plays
