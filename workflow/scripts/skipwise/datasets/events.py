"""Anything a user has: a CSV, TSV or parquet file whose column names the configuration gives."""

from pathlib import Path

import polars as pl

from skipwise.datasets.rules import parse_rule, skip_expression
from skipwise.datasets.tabular import Layout, check_columns, convert, read_delimited
from skipwise.errors import UserError

_UNITS = {"s": 1000, "ms": 1}


def read_events(path: Path, entry: dict) -> pl.DataFrame:
    """Read a table of plays.

    ``entry["columns"]`` names the columns: ``track``, and ``session`` (sessions as given) or ``user`` and ``time``
    (sessions from gaps).  ``time`` is ISO text, a parquet timestamp, or unix seconds or milliseconds (``time_unit``).
    Without ``time`` the order of the rows is the order of the plays.  ``entry["skipped_when"]`` is a boolean column or
    a rule ``column operator value``; it may be absent where a derived skip rule is used.
    """
    columns = entry["columns"]
    group = columns.get("session") or columns.get("user")
    if not group:
        raise UserError("columns: give `session` (sessions as they are) or `user` (sessions from gaps in time)")
    rule = entry.get("skipped_when")
    wanted = [group, columns["track"], *([columns["time"]] if "time" in columns else [])]
    wanted += [parse_rule(rule)[0]] if rule else []
    frame = _read(path, list(dict.fromkeys(wanted)), rule)
    plays = frame.select(
        session_key=pl.col(group).cast(pl.String),
        position=(pl.int_range(pl.len()) + 1).cast(pl.Int32),
        track_key=pl.col(columns["track"]).cast(pl.String),
    )
    for name in ("session_key", "track_key"):
        if plays[name].null_count():
            source = group if name == "session_key" else columns["track"]
            raise UserError(f"{path}, row {plays[name].is_null().arg_max() + 1}: column '{source}' is empty; mend or remove it")
    if rule:
        plays = plays.with_columns(frame.select(skipped=skip_expression(rule)))
    if "time" in columns:
        started_at = _times(frame[columns["time"]], _UNITS[entry.get("time_unit", "s")], path)
        plays = plays.with_columns(started_at=started_at)
    return plays


def _read(path: Path, wanted: list[str], rule: str | None) -> pl.DataFrame:
    """The wanted columns; a column with a skip rule gets the type that the rule needs."""
    if path.suffix == ".parquet":
        try:
            check_columns(pl.read_parquet_schema(path).names(), wanted, str(path))
            return pl.read_parquet(path, columns=wanted)
        except pl.exceptions.PolarsError as error:
            raise UserError(f"{path} is not a readable parquet file ({str(error).splitlines()[0]})") from error
    separator = "\t" if path.suffix in (".tsv", ".tab") else ","
    layout = Layout(dict.fromkeys(wanted, pl.String), separator)
    text = read_delimited(path, layout, str(path))
    if rule is None:
        return text
    column, operator, value = parse_rule(rule)
    kind = pl.Boolean if operator is None else pl.String if isinstance(value, str) else pl.Float64
    return convert(text, Layout({**layout.columns, column: kind}, separator), str(path))


def _times(column: pl.Series, milliseconds: int, path: Path) -> pl.Series:
    """Start times in milliseconds UTC from timestamps, numbers or text."""
    if column.dtype.is_temporal():
        if getattr(column.dtype, "time_zone", None):
            column = column.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
        times = column.cast(pl.Datetime("ms"))
    else:
        number = column.cast(pl.Float64, strict=False)
        if number.null_count() == column.null_count():
            times = pl.from_epoch((number * milliseconds).cast(pl.Int64), time_unit="ms")
        else:
            times = column.str.to_datetime(time_unit="ms", time_zone="UTC", strict=False).dt.replace_time_zone(None)
    if times.null_count():
        row = times.is_null().arg_max()
        raise UserError(
            f"{path}, row {row + 1}: the time '{column[row]}' is neither ISO text nor a number; mend or remove this row"
        )
    return times
