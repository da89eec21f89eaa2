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
# What makes a play a skip, by the name of a column; with a number the largest value must be above
# it, so that shares are not read as percents and seconds not as milliseconds.
_RULES: tuple[tuple[str, str, float | None], ...] = (
    (r"skip|dislike|hate", "{}", None),
    (r"reasonend", "{} == fwdbtn", None),
    (r"pct|percent", "{} < 50", 1.5),
    (r"ratio|share|fraction|completion", "{} < 0.5", 0),
    (r"(play|listen|watch|heard|spent).*ms$|ms(played|heard)", "{} < 30000", 1000),
    (r"play|listen|watch|heard|spent", "{} < 30", 1),
    (r"rating|stars", "{} < 4", 1),
)


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
    if unread and not columns.keys() & {"session", "time"}:
        shown = next(iter(head[unread[0]].drop_nulls().to_list()), "")
        raise UserError(
            f"{file.path}: column '{unread[0]}' is called like a time, and {shown!r} is none; "
            "write times as 2021-12-31 23:59:00, or name another column: --time or --session"
        )
    if columns.keys() == {"track", "user"}:
        columns = {"session": columns["user"], "track": columns["track"]}
    unit = unit_of(head[columns["time"]]) if "time" in columns else "s"
    by_gap = {"session_gap": None if "session" in columns else 1200}
    return {"columns": columns} | ({"time_unit": unit} if unit != "s" else {}) | by_gap


def rules_of(file: Glimpse, columns: dict[str, str]) -> Iterator[str]:
    """The rules for ``skipped_when`` that fit the other columns, the likeliest first."""
    left = [column for column in file.head.columns if column not in columns.values()]
    for pattern, rule, least in _RULES:
        for column in [column for column in left if re.search(pattern, _letters(column))]:
            held, said = file.head[column], rule.format(column)
            if not held.count() or held.dtype.is_nested() or judged_labels(held, said)[1].count():
                continue
            largest = as_numbers(held).max() if least is not None else None
            if least is None or (isinstance(largest, float) and largest > least):
                left.remove(column)
                yield said


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


def _letters(column: str) -> str:
    return re.sub("[^a-z]", "", column.lower())
