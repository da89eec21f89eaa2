"""What the columns of a table of plays are, by their names and values, where nobody says it."""

import re
from collections.abc import Iterator

import polars as pl

from skipwise.core.errors import UserError
from skipwise.raw.conditions import judged_labels
from skipwise.raw.glimpse import Glimpse
from skipwise.raw.tabular import as_numbers
from skipwise.raw.times import PER_SECOND, Clock

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
# What makes a play a skip, by the words of a column's name.  With numbers the largest value must be
# above the first, and nine of ten not above the second: shares are not read as percents, and
# seconds not as milliseconds, whatever a column is called.
_PLAYED = r"play(ed|ing|back|time)?|listen(ed|ing)?|watch(ed|ing)?|heard|(time)?spent"
_SHARE = rf"ratio|fraction|completion( rate)?|share ({_PLAYED})|({_PLAYED}) share"
_ANY = float("inf")
_IN_MS = rf"({_PLAYED})( .*)? ms|ms (.* )?({_PLAYED})|ms(played|heard)"
_IN_SECONDS = rf"{_PLAYED}|playse(c|cs|conds)"
_HOURS = 7200  # seconds: nine of ten plays are shorter
_RULES: tuple[tuple[str, str, tuple[float, float] | None], ...] = (
    (r"skip(s|ped|ping|label)?|(dislike|hate)[sd]?", "{}", None),
    (r"reason end", "{} == fwdbtn", None),
    (r"pct|percent(age)?", "{} < 50", (1.5, _ANY)),
    (_SHARE, "{} < 0.5", (0, 2)),
    (_SHARE, "{} < 50", (2, _ANY)),
    (_IN_MS, "{} < 30000", (1000, _ANY)),
    (_IN_SECONDS, "{} < 30", (1, _HOURS)),
    (_IN_SECONDS, "{} < 30000", (_HOURS, _ANY)),
    (r"ratings?|stars?", "{} < 4", (1, _ANY)),
)
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
    spelled = {_letters(column): column for column in reversed(head.columns)}
    unread = []
    for name, called in _CALLED.items():
        found = [spelled[spelling] for spelling in called if spelling in spelled]
        if name == "time":
            found += [column for column in head.columns if _is_time(column, head[column])]
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
        raise UserError(f"{file.path} holds no plays: it has a header and no row that can be read")
    if unread and not columns.keys() & {"session", "time"}:
        shown = next(iter(head[unread[0]].drop_nulls().to_list()), "")
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


def rules_of(file: Glimpse, columns: dict[str, str]) -> Iterator[str]:
    """The rules for ``skipped_when`` that fit the other columns, the likeliest first."""
    # A name with an operator would be read as a rule.
    read = {*columns.values()}
    left = [name for name in file.head.columns if name not in read and not {*name} & {*"<>="}]
    for pattern, rule, between in _RULES:
        for column in [column for column in left if _is_called(column, pattern, between)]:
            held, said = file.head[column], rule.format(column)
            if not held.count() or held.dtype.is_nested() or judged_labels(held, said)[1].count():
                continue
            if _NOT.search(_words(column)) and not (said := _negation(held, said)):
                continue
            if between is None or _is_between(held, *between):
                left.remove(column)
                yield said


def durations_of(file: Glimpse) -> Iterator[tuple[str, str]]:
    """The columns that are called like the time that was played, each with its unit."""
    for pattern, unit, between in (
        (_IN_MS, "ms", (1000, _ANY)),
        (_IN_SECONDS, "s", (1, _HOURS)),
        (_IN_SECONDS, "ms", (_HOURS, _ANY)),
    ):
        for column in file.head.columns:
            if _is_called(column, pattern, between) and _is_between(file.head[column], *between):
                yield column, unit


def _is_called(column: str, pattern: str, between: tuple[float, float] | None) -> bool:
    """Whether whole words of a column's name are a pattern of the rules."""
    words = _words(column)
    return bool(re.search(rf"\b({pattern})\b", words)) and (
        between is None or bool(_OF_A_NUMBER.fullmatch(words))
    )


def _is_between(held: pl.Series, low: float, high: float) -> bool:
    """Whether the largest number is above ``low``, and nine of ten are not above ``high``."""
    numbers = as_numbers(held)
    largest, most = numbers.max(), numbers.quantile(0.9)
    return isinstance(largest, float) and largest > low and most is not None and most <= high


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
    parted = re.sub(r"([^\W\d_A-Z])([A-Z])|([A-Z])([A-Z][a-z])", r"\1\3 \2\4", column)
    return " ".join(re.findall(r"[^\W\d_]+", parted.lower()))


def _letters(column: str) -> str:
    return re.sub("[^a-z]", "", column.lower())
