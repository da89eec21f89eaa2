"""Start times in milliseconds UTC from what files hold; a time that cannot be has a reason."""

import datetime

import polars as pl

from skipwise.core.errors import UserError
from skipwise.raw.identities import EXACT
from skipwise.raw.tabular import MISSING, PER_SECOND, as_numbers, as_text, first_row

# Plays between these seconds are plausible: no log of plays is older than 1990, and milliseconds
# read as seconds end far past the year 2100.
EARLIEST = 631_152_000
LATEST = 4_102_444_800
_ISO = r"^\d{4}-\d{2}-\d{2}([T ]|$)"
# A number as spreadsheets write one that is long: decimals, and the power of ten.  (Java writes all
# digits, and no plus.)
_SCIENTIFIC = r"^\s*[+-]?\d(?:\.(\d+))?[eE]\+(\d+)\s*$"
_UNITS = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
# What the same years are in other counts: from and to, and what a number between them is.
_COUNTS = (
    (1990, 2100, "a year"),
    (199_001, 210_012, "a month"),
    (32_874, 73_051, "a day of a spreadsheet"),  # which counts from 1899-12-30
    (2_447_892, 2_488_070, "a Julian day"),
    (EARLIEST // 60, LATEST // 60, "one in minutes"),
    (199_001_010_000, 210_012_312_359, "a date and time written as a number"),
    (19_900_101_000_000, 21_001_231_235_959, "a date and time written as a number"),
)
_LONGEST = 86_400  # seconds that a play may last
_ENOUGH = 3  # durations that show their unit


class Clock:
    """Reads the times of one file, some at a time.

    Text is ISO, or unix numbers in ``unit`` if the first value is one.  Numbers are plausible from
    1990 to 2100.  A clock that ``starts_nowhere``, known of the form or seen in the first rows of
    the file (numbers from 0 on that are no date in any count), is only held to not being negative.
    A unit that the form ``fixes`` cannot be set to another.
    """

    def __init__(self, unit: str = "s", *, starts_nowhere: bool | None = None, fixes: bool = False):
        self._unit, self._starts_nowhere, self._fixes = unit, starts_nowhere, fixes
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
        if self._numeric is None:
            text = column.str.strip_chars()
            number = text.cast(pl.Float64, strict=False).is_finite().fill_null(False)
            known = number.filter(number | text.str.contains(_ISO).fill_null(False))
            self._numeric = known[0] if len(known) else None
        if self._numeric:
            return self._numbers(column)
        found, again = _iso(column), column
        # Polars reads either the times with a zone or those without, and none with spaces around.
        while again.count() and (left := found.is_null() & column.is_not_null()).any():
            again = _iso(column.filter(left).str.strip_chars())
            found = found.scatter(left.arg_true(), again)
        return self._dates(found.dt.replace_time_zone(None), column)

    def _dates(self, found: pl.Series, column: pl.Series) -> tuple[pl.Series, pl.Series]:
        right = (found.dt.epoch("ms") / 1000).is_between(EARLIEST, LATEST)
        unread = pl.when(pl.col("found").is_null())
        kind = "neither ISO text nor a number" if self._numeric is None else "not ISO text"
        what = unread.then(pl.lit(f"is {kind}; write it as 2021-12-31T23:59:00")).otherwise(
            pl.lit("is not between 1990 and 2100")
        )
        return _judged(found, right, column, what)

    def _numbers(self, column: pl.Series) -> tuple[pl.Series, pl.Series]:
        numbers = as_numbers(column)
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
        inexact = right & _rounded(column, numbers)
        if inexact.any():
            right &= ~inexact
            what = "is a rounded number; write times as whole numbers"
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
                remedy = f"write it in {_UNITS[self._unit]}, as the form has it"
                remedy = remedy if self._fixes else f"set time_unit: {unit}"
                return f": it is one in {_UNITS[unit]}, {remedy}"
        if _is_date(number):
            return ": it is a date written as a number, write it as YYYY-MM-DD"
        for low, high, what in _COUNTS:
            if low <= number <= high:
                return f": it is {what}, write it as ISO text"
        return ""


class Stopwatch:
    """Reads how long plays or tracks of one file last, some at a time.

    Numbers are in ``unit``.  If it is not ``known`` of the form, the first rows show whether it is
    too small: nine of ten would last less than a second, and none ten seconds.  With ``optional`` a
    missing cell, zero and less are none.
    """

    def __init__(self, unit: str, kind: str, *, known: bool = False, optional: bool = False):
        self._unit, self._kind, self._optional = unit, kind, optional
        self._too_small = False if known else None

    def read(self, column: pl.Series) -> tuple[pl.Series, pl.Series]:
        """Milliseconds, null if there is none that can be, and the reasons why not."""
        seconds = as_numbers(column)
        what = "is not between 0 and 24 hours"
        if column.dtype.is_temporal():
            column = seconds
        else:
            seconds /= PER_SECOND[self._unit]
            longer = seconds.filter((seconds > 0) & seconds.is_finite())
            if self._too_small is None and len(longer) >= _ENOUGH:
                short = (longer < 1).sum() >= 0.9 * len(longer) and (longer < 10).all()
                self._too_small = self._unit != "s" and short
            what = "is less than a second, like nine of ten," if self._too_small else what
            what += f" in {_UNITS[self._unit]}; correct it, or set duration_unit: "
            what += "ms" if self._unit == "s" else "s"
        right = seconds.is_between(0, 0 if self._too_small else _LONGEST).fill_null(False)
        if self._optional:
            none = (seconds <= 0).fill_null(False)
            if not right.all():
                text = column.cast(pl.String, strict=False).str.strip_chars()
                none |= text.is_in((*MISSING, "NA")).fill_null(True)
            seconds, right = seconds.set(none, None), right | none
        found = (seconds * 1000).round().set(~right, None).cast(pl.Int64, strict=False)
        return _judged(found, right, column, pl.lit(what), self._kind)


def _iso(text: pl.Series) -> pl.Series:
    """Times of ISO text in UTC, null where a cell is none."""
    iso = pl.select(pl.when(text.str.contains(_ISO)).then(text)).to_series()
    return iso.str.to_datetime(time_unit="ms", time_zone="UTC", strict=False)


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


def _rounded(column: pl.Series, numbers: pl.Series) -> pl.Series:
    """Which cells have lost digits of the whole number that they stand for: of a small floating
    type, or text such as 1.60946E+12 if most is written so (R writes so what ends in zeros).
    """
    if column.dtype in (pl.Float16, pl.Float32):
        return numbers.abs() > EXACT[type(column.dtype)]
    if column.dtype != pl.String or not column.str.contains("(?i)e").any():
        return pl.Series([False]).new_from_index(0, len(column))
    decimals, power = (column.str.extract(_SCIENTIFIC, group) for group in (1, 2))
    lost = decimals.str.len_bytes().fill_null(0) < power.cast(pl.Int64, strict=False)
    return (lost & (2 * power.count() > numbers.count())).fill_null(False)


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
    held = as_text(column)
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
