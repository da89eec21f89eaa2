"""Start times in milliseconds UTC from what files hold; a time that cannot be has a reason."""

import datetime

import polars as pl

from skipwise.core.errors import UserError
from skipwise.raw.tabular import first_row

PER_SECOND = {"s": 1, "ms": 1000, "us": 1_000_000, "ns": 1_000_000_000}
# Plays between these seconds are plausible: no log of plays is older than 1990, and milliseconds
# read as seconds end far past the year 2100.
EARLIEST = 631_152_000
LATEST = 4_102_444_800
_ISO = r"^\d{4}-\d{2}-\d{2}([T ]|$)"
_UNITS = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
# Days of a spreadsheet, which counts from 1899-12-30, of the same years.
_FIRST_DAY, _LAST_DAY = 32_874, 73_051
_LONGEST = 86_400  # seconds that a play may last


class Clock:
    """Reads the times of one file, some at a time.

    Text is ISO, or unix numbers in ``unit`` if the first value is one.  Numbers are plausible from
    1990 to 2100.  A clock that ``starts_nowhere``, known of the form or seen in the first rows of
    the file (numbers from 0 on, in no other unit a date), is only held to not being negative.
    """

    def __init__(self, unit: str = "s", *, starts_nowhere: bool | None = None):
        self._unit, self._starts_nowhere = unit, starts_nowhere
        self._numeric: bool | None = None

    def read(self, column: pl.Series) -> tuple[pl.Series, pl.Series]:
        """Times, null if there is none that can be, and the reasons why not, else null."""
        if column.dtype in (pl.Date, pl.Datetime):
            return self._dates(_utc(column), column)
        if column.dtype != pl.String and not column.dtype.is_numeric():
            nothing = pl.Series(dtype=pl.Datetime("ms")).clear(len(column))
            what = f"a column of {column.dtype} values holds no times"
            return nothing, pl.Series([what]).new_from_index(0, len(column))
        if column.dtype != pl.String:
            return self._numbers(column)
        if self._numeric is None and column.count():
            first = column.drop_nulls().head(1)
            self._numeric = bool(first.cast(pl.Float64, strict=False).count())
        if self._numeric:
            return self._numbers(column)
        iso = pl.select(pl.when(column.str.contains(_ISO)).then(column)).to_series()
        found = iso.str.to_datetime(time_unit="ms", time_zone="UTC", strict=False)
        return self._dates(found.dt.replace_time_zone(None), column)

    def _dates(self, found: pl.Series, column: pl.Series) -> tuple[pl.Series, pl.Series]:
        right = (found.dt.epoch("ms") / 1000).is_between(EARLIEST, LATEST)
        unread = pl.when(pl.col("found").is_null())
        what = unread.then(pl.lit("is neither ISO text nor a number")).otherwise(
            pl.lit("is not between 1990 and 2100")
        )
        return _judged(found, right, column, what)

    def _numbers(self, column: pl.Series) -> tuple[pl.Series, pl.Series]:
        numbers = column.cast(pl.Float64, strict=False)
        seconds = numbers / PER_SECOND[self._unit]
        if self._starts_nowhere is None and numbers.count():
            self._starts_nowhere = self._sees_no_start(numbers, seconds)
        if self._starts_nowhere:
            right, what = seconds.is_between(0, EARLIEST), "is not one of a clock that starts at 0"
        else:
            right = seconds.is_between(EARLIEST, LATEST)
            what = f"is not between 1990 and 2100 in unix {_UNITS[self._unit]}"
        right = right.fill_null(False)
        if not right.all() and not self._starts_nowhere:
            number = numbers.filter(~right).drop_nulls().head(1).to_list()
            what += self._remedy(*number) if number else ""
        whole = (seconds * 1000).round().set(~right, None)
        found = pl.from_epoch(whole.cast(pl.Int64), time_unit="ms")
        return _judged(found, right, column, pl.lit(what))

    def _sees_no_start(self, numbers: pl.Series, seconds: pl.Series) -> bool:
        """Whether the clock of these numbers starts nowhere."""
        if seconds.is_between(EARLIEST, LATEST).any():
            return False
        least = numbers.filter(numbers >= 0).min()
        return (
            isinstance(least, float)
            and not self._remedy(least)
            and bool((seconds < EARLIEST).all())
        )

    def _remedy(self, number: float) -> str:
        """What a number may be that is no time in the unit, or nothing."""
        for unit, per_second in PER_SECOND.items():
            if unit != self._unit and EARLIEST <= number / per_second <= LATEST:
                return f": it is one in {_UNITS[unit]}, set time_unit: {unit}"
        if _is_date(number):
            return ": it is a date written as a number, write it as YYYY-MM-DD"
        if _FIRST_DAY <= number <= _LAST_DAY:
            return ": it is a day of a spreadsheet, write it as ISO text"
        return ""


def durations(column: pl.Series, unit: str) -> tuple[pl.Series, pl.Series]:
    """Durations in milliseconds, null if there is none that can be, and the reasons why not."""
    if column.dtype == pl.Duration:
        seconds = column.dt.total_milliseconds() / 1000
    else:
        seconds = column.cast(pl.Float64, strict=False) / PER_SECOND[unit]
    right = seconds.is_between(0, _LONGEST).fill_null(False)
    other = "ms" if unit == "s" else "s"
    what = (
        f"is not a duration of a play in {_UNITS[unit]}; correct it, or set duration_unit: {other}"
    )
    held = (seconds * 1000).round().cast(pl.Int64, strict=False)
    found = held.set(~right, None)
    return _judged(found, right, column, pl.lit(what), "duration")


def unix_times(
    column: pl.Series, unit: str, name: str, *, starts_nowhere: bool = False
) -> pl.Series:
    """Unix numbers in ``unit`` (s, ms, us, ns) between 1990 and 2100, or with ``starts_nowhere``
    numbers from 0 on; raises UserError that names the first row with another one.
    """
    found, reasons = Clock(unit, starts_nowhere=starts_nowhere).read(column.cast(pl.Float64))
    if reasons.count():
        row = first_row(reasons.is_not_null())
        raise UserError(f"{name}, row {row + 1}: {reasons[row]}; correct or remove this row")
    return found


def _utc(column: pl.Series) -> pl.Series:
    if getattr(column.dtype, "time_zone", None):
        column = column.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    return column.cast(pl.Datetime("ms"), strict=False)


def _judged(
    found: pl.Series, right: pl.Series, column: pl.Series, what: pl.Expr, kind: str = "time"
) -> tuple[pl.Series, pl.Series]:
    """``found`` where it is ``right``, and elsewhere the reason."""
    right = right.fill_null(False)
    if right.all():
        return found, pl.Series(dtype=pl.String).clear(len(found))
    held = column.cast(pl.String, strict=False)
    frame = pl.DataFrame({"found": found, "right": right, "held": held})
    empty = pl.col("held").str.strip_chars().fill_null("") == ""
    reason = pl.format("the {} '{}' {}", pl.lit(kind), "held", what)
    judged = frame.select(
        found=pl.when("right").then("found"),
        reason=pl.when(~pl.col("right")).then(
            pl.when(empty).then(pl.lit(f"the {kind} is empty")).otherwise(reason)
        ),
    )
    return judged["found"], judged["reason"]


def _is_date(number: float) -> bool:
    """Whether a number is a date like 20200131 of a plausible year."""
    if number != number // 1 or not 19_900_101 <= number <= 21_001_231:
        return False
    year, day = divmod(int(number), 10_000)
    try:
        datetime.date(year, day // 100, day % 100)
    except ValueError:
        return False
    return True
