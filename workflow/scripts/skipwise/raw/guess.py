"""What the columns of a table of plays are, by their names and values, where nobody says it."""

import math
import re
from collections.abc import Iterator

import polars as pl

from skipwise.core.errors import UserError
from skipwise.raw.conditions import judged_labels
from skipwise.raw.glimpse import Glimpse
from skipwise.raw.tabular import PER_SECOND, as_numbers, as_text
from skipwise.raw.times import Clock

# How columns are called, in letters only, the likeliest name first.
_CALLED = {
    "track": (
        *("trackid", "trackuri", "track", "trackkey", "songid", "song", "itemid", "item"),
        *("recordingid", "videoid", "trackname", "songname", "title"),
    ),
    "session": ("sessionid", "session", "sessionkey", "visitid", "visit"),
    "user": ("userid", "user", "uid", "username", "userkey", "listenerid", "listener"),
    "time": (
        *("startedat", "playedat", "listenedat", "timestamp", "datetime", "starttime", "time"),
        *("ts", "timems", "unixtime", "date", "at"),
    ),
}
# Other names of times have such words only, as event_time and streamEndTime have.
_TIME = r"time|timestamp|datetime|date|ts|at|on|start(ed)?|end(ed)?|unix|logged"
_OF_A_TIME = re.compile(
    rf"(({_TIME}|play(ed)?|listen(ed)?|stream(ed)?|scrobbled|created|log|event|utc|local|of"
    r"|server|client|epoch|iso|s|ms|us|ns)( |$))+"
)
# What makes a play a skip, by the words of a column's name.
_PLAYED = r"play(ed|ing|back|time)?|listen(ed|ing)?|watch(ed|ing)?|heard|(time)?spent"
_SHARE = rf"ratio|fraction|completion( rate)?|share ({_PLAYED})|({_PLAYED}) share"
_RULES = ((r"skip(s|ped|ping|label)?|(dislike|hate)[sd]?", "{}"), (r"reason end", "{} == fwdbtn"))
# Of numbers the largest must be above the first, and nine of ten not above the second, so that
# shares are not read as percents.
_ANY = float("inf")
_RULES_OF_NUMBERS = (
    (r"pct|percent(age)?", "{} < 50", 1.5, _ANY),
    (_SHARE, "{} < 0.5", 0, 10),
    (_SHARE, "{} < 50", 10, _ANY),
)
_RATED = (r"ratings?|stars?", "{} < 4", 1, _ANY)
# The time that was played, in milliseconds or seconds by its name, or else by its numbers: nine of
# ten plays are shorter than two hours.
_IN_MS = rf"({_PLAYED})( .*)? ms|ms (.* )?({_PLAYED})|ms(played|heard)"
_IN_SECONDS = (
    rf"({_PLAYED})( .*)? s(ecs?|econds?)?|s(ecs?|econds?)? (.* )?({_PLAYED})|playse(c|cs|conds)"
)
_TWO_HOURS = 7200
# All words of a name with a number: the id of a play and the year of a rating are numbers too.
_OF_A_NUMBER = re.compile(
    rf"(({_PLAYED}|{_SHARE}|pct|percent(age)?|ratings?|stars?|time|duration|length|total|of|to|s"
    r"|secs?|seconds?|ms|ms(played|heard)|playse(c|cs|conds)|track|song|item|video|user|completed?"
    r"|elapsed|position|avg|average|float|double)( |$))+"
)
_NOT = re.compile(r"\b(not?|non|never|without)\b")


def columns_of(file: Glimpse, named: dict[str, str] | None = None) -> dict:
    """The keys ``columns``, ``time_unit`` and ``session_gap`` of an entry that reads a table.

    ``named`` has columns that somebody named.  Raises UserError if the file is no table or lacks
    one of those, or no column is called like a track, or none like a user or session.
    """
    named = named or {}
    head, columns = file.head, dict(named)
    if file.error:
        raise file.error
    if missing := [column for column in named.values() if column not in head.columns]:
        raise UserError(
            f"{file.path} has no column '{missing[0]}' (it has: {file.columns_in_words})"
        )
    unread = []
    for name in _CALLED:
        # A folder is a column only where the file has none.
        own = [column for column in head.columns if column not in file.folders]
        found = [*_called(name, head.select(own)), *_called(name, head.select(file.folders))]
        if name == "time":
            unread = [column for column in found if not unit_of(head[column])]
        found = [column for column in found if column not in unread]
        if found and name not in named:
            columns[name] = found[0]
    if "track" not in columns or not columns.keys() & {"user", "session"}:
        what = "user or session" if "track" in columns else "track"
        raise UserError(
            f"{file.path} is no log of plays as far as can be seen: no column is called like a "
            f"{what} (it has: {file.columns_in_words}); if it is one, name its columns: --track, "
            "--user or --session, --time; and say what a skip is: --skipped-when"
        )
    if head.is_empty():
        why = "".join(f" (line {line}: {reason})" for line, reason in file.wrong.head(1).rows())
        raise UserError(
            f"{file.path} holds no plays: it has a header and no row that can be read{why}"
        )
    if unread and not columns.keys() & {"session", "time"}:
        held = head[unread[0]].drop_nulls()
        shown = next(iter(held.to_list() if held.dtype.is_nested() else as_text(held)), "")
        raise UserError(
            f"{file.path}: column '{unread[0]}' is called like a time, and {shown!r} is none; "
            "write times as 2021-12-31 23:59:00, or name another column: --time or --session"
        )
    if not columns.keys() & {"session", "time"}:
        raise UserError(
            f"{file.path}: no column is called like a time or a session (it has: "
            f"{file.columns_in_words}); name one: --time, or --session (the column of the user, if "
            "all plays of a user are one session)"
        )
    unit = unit_of(head[columns["time"]]) if "time" in columns else "s"
    by_gap = {"session_gap": None if "session" in columns else 1200}
    return {"columns": columns} | ({"time_unit": unit} if unit != "s" else {}) | by_gap


def _called(name: str, head: pl.DataFrame) -> Iterator[str]:
    """The columns that are called like one of the kind ``name``, the likeliest first."""
    spelled = {_letters(column): column for column in reversed(head.columns)}
    yield from (spelled[spelling] for spelling in _CALLED[name] if spelling in spelled)
    if name == "time":
        yield from (column for column in head.columns if _is_time(column, head[column]))


def rules_of(file: Glimpse, columns: dict[str, str]) -> Iterator[str]:
    """The rules for ``skipped_when`` that fit the other columns, the likeliest first."""
    # A name with an operator would be read as a rule.
    read = {*columns.values()}
    left = [name for name in file.head.columns if name not in read and not {*name} & {*"<>="}]
    for column, rule in _candidates(file.head):
        held, said = file.head[column], rule.format(column)
        if column not in left or judged_labels(held, said)[1].count():
            continue
        if _NOT.search(_words(column)) and not (said := _negation(held, said)):
            continue
        left.remove(column)
        yield said


def _candidates(head: pl.DataFrame) -> Iterator[tuple[str, str]]:
    """Columns that are called like what makes a play a skip, each with its rule."""
    for pattern, rule in _RULES:
        for column in head.columns:
            held = head[column]
            if _has_words(column, pattern) and held.count() and not held.dtype.is_nested():
                yield column, rule
    yield from _of_numbers(head, *_RULES_OF_NUMBERS)
    for column, unit in durations_of(head):
        yield column, {"s": "{} < 30", "ms": "{} < 30000"}[unit]
    yield from _of_numbers(head, _RATED)


def _of_numbers(
    head: pl.DataFrame, *rules: tuple[str, str, float, float]
) -> Iterator[tuple[str, str]]:
    """The columns that a rule of numbers fits, with its text."""
    for pattern, rule, low, high in rules:
        for column in head.columns:
            if _is_number_called(column, pattern):
                largest, most = _extent(head[column])
                if largest > low and most <= high:
                    yield column, rule


def durations_of(head: pl.DataFrame) -> Iterator[tuple[str, str]]:
    """The columns that are called like the time that was played, each with its unit."""
    for pattern, unit, low in ((_IN_MS, "ms", 1000), (_IN_SECONDS, "s", 1), (_PLAYED, "", 1)):
        for column in head.columns:
            if _is_number_called(column, pattern):
                largest, most = _extent(head[column])
                if largest > low:
                    yield column, unit or ("s" if most <= _TWO_HOURS else "ms")


def _has_words(column: str, pattern: str) -> bool:
    """Whether whole words of a column's name are a pattern."""
    return bool(re.search(rf"\b({pattern})\b", _words(column)))


def _is_number_called(column: str, pattern: str) -> bool:
    """The same for a number, all of whose words have to be such as those of numbers have."""
    return _has_words(column, pattern) and bool(_OF_A_NUMBER.fullmatch(_words(column)))


def _extent(held: pl.Series) -> tuple[float, float]:
    """The largest number of a column, and what nine of ten are not above; NaN if it has none."""
    if held.dtype.is_nested():
        return math.nan, math.nan
    numbers = as_numbers(held)
    numbers = numbers.filter(numbers.is_finite())
    largest, most = numbers.max(), numbers.quantile(0.9)
    if not isinstance(largest, float) or most is None:
        return math.nan, math.nan
    return largest, most


def _negation(held: pl.Series, rule: str) -> str:
    """The rule that is true where a boolean column is false, empty if there is none."""
    labels, _ = judged_labels(held, rule)
    spelled = held.filter(~labels).cast(pl.String).unique(maintain_order=True)
    rules = (f"{rule} == {word.strip()}" for word in spelled)
    return next((said for said in rules if judged_labels(held, said)[0].equals(~labels)), "")


def is_end(column: str) -> bool:
    """Whether a column is called like the end of a play."""
    return bool(re.search(r"\bend(ed)?\b", _words(column)))


def _is_time(column: str, held: pl.Series) -> bool:
    """Whether a column is called like a time, and not like a duration: it has no small numbers."""
    words = _words(column)
    if not _OF_A_TIME.fullmatch(words) or not re.search(rf"\b({_TIME})\b", words):
        return False
    unit = unit_of(held)
    return not unit or (Clock(unit).read(held)[0].dt.year() >= 1990).any()


def unit_of(column: pl.Series) -> str | None:
    """The unit in which nine of ten of the first values are times, ``s`` for text and dates.

    None if they are no times in any unit.
    """
    column = column.drop_nulls().head(100)
    for unit in PER_SECOND if len(column) else ():
        found, _ = Clock(unit).read(column)
        if found.count() >= 0.9 * len(column):
            return unit
    return None


def _words(column: str) -> str:
    """The words of a column's name in small letters: ``end time`` of endTime and End_Time2."""
    parted = re.sub(
        r"([^\W\d_A-Z])([A-Z])|([A-Z])([A-Z][a-z])", r"\1\3 \2\4", _without_type(column)
    )
    return " ".join(re.findall(r"[^\W\d_]+", parted.lower()))


def _letters(column: str) -> str:
    return re.sub("[^a-z]", "", _without_type(column).lower())


def _without_type(column: str) -> str:
    """A column's name without the type that RecBole's atomic files add: ``user_id:token``."""
    return re.sub(r":(token|float)(_seq)?$", "", column)
