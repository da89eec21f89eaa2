"""Start times in milliseconds UTC from what files hold; a time that cannot be is an error that
names its row.
"""

import polars as pl

from skipwise.core.errors import UserError
from skipwise.raw.tabular import first_row

_PER_SECOND = {"s": 1, "ms": 1000}
# Nobody scrobbled before the first digital recording, and milliseconds read as seconds end far past
# the year 2100.
LATEST = 4_102_444_800
_ISO = r"^\d{4}-\d{2}-\d{2}([T ]|$)"


def unix_times(column: pl.Series, unit: str, name: str) -> pl.Series:
    """Unix numbers in ``unit`` (s or ms); raises UserError for one that is missing or outside the
    years 1970 to 2100.
    """
    seconds = column.cast(pl.Float64, strict=False) / _PER_SECOND[unit]
    right = seconds.is_between(0, LATEST).fill_null(False)
    if not right.all():
        row = first_row(~right)
        raise UserError(
            f"{name}, row {row + 1}: the time '{column[row]}' is not one between 1970 and 2100 in "
            f"unix {'seconds' if unit == 's' else 'milliseconds'}; correct or remove this row, or "
            "set time_unit"
        )
    return pl.from_epoch((seconds * 1000).round().cast(pl.Int64), time_unit="ms")


def times(column: pl.Series, unit: str, name: str) -> pl.Series:
    """Times from timestamps, numbers or text; text is ISO, or unix numbers where the first value is
    one.
    """
    if column.dtype.is_temporal():
        if getattr(column.dtype, "time_zone", None):
            column = column.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
        found = column.cast(pl.Datetime("ms"))
    elif (
        column.dtype != pl.String
        or column.head(1).cast(pl.Float64, strict=False).is_not_null().any()
    ):
        return unix_times(column, unit, name)
    else:
        iso = pl.select(pl.when(column.str.contains(_ISO)).then(column)).to_series()
        found = iso.str.to_datetime(
            time_unit="ms", time_zone="UTC", strict=False
        ).dt.replace_time_zone(None)
    if found.null_count():
        row = first_row(found.is_null())
        what = (
            f"time '{column[row]}' is neither ISO text nor a number"
            if column[row]
            else "time is empty"
        )
        raise UserError(f"{name}, row {row + 1}: the {what}; correct or remove this row")
    return found
