"""Anything a user has: text, json or parquet tables whose column names the configuration gives."""

import re
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from skipwise.core.errors import UserError
from skipwise.raw.conditions import judged_labels, parse_rule
from skipwise.raw.glimpse import Glimpse
from skipwise.raw.identities import ids, session_keys
from skipwise.raw.ledger import Ledger
from skipwise.raw.tables import Dialect, Rows, counts_rows, read_rows
from skipwise.raw.times import PER_SECOND, Clock, durations

# Keys of its entry in the registry, and the source of its labels.
NEEDS = ("columns",)
LABELS = "skipped_when"

# How columns are called, without case and underscores, the likeliest name first.
_CALLED = {
    "track": (
        *("trackid", "trackuri", "track", "trackkey", "songid", "song", "itemid", "item"),
        *("recordingid", "videoid", "trackname", "songname", "title"),
    ),
    "session": ("sessionid", "session", "sessionkey", "visitid", "visit"),
    "user": ("userid", "user", "uid", "username", "userkey", "listenerid", "listener", "who"),
    "time": (
        *("startedat", "playedat", "listenedat", "timestamp", "datetime", "starttime", "time"),
        *("ts", "timems", "unixtime", "date", "at"),
    ),
}
# What makes a play a skip, by the name of a column: the first that fits its values.
_RULES = (
    (r"skip|dislike|hate", "{}", None),
    (r"reasonend", "{} == fwdbtn", None),
    (r"pct|percent", "{} < 50", 1.5),
    (r"ratio|share|fraction|completion", "{} < 0.5", 0),
    (r"(play|listen|watch|heard|spent).*ms$|ms(played|heard)", "{} < 30000", 1000),
    (r"play|listen|watch|heard|spent", "{} < 30", 1),
    (r"rating|stars", "{} < 4", 1),
)


def guess(file: Glimpse) -> dict:
    """The entry of a table of plays whose columns say what they are; raises UserError for others.

    ``skipped_when`` is the likeliest rule; :func:`rules` gives all that fit.
    """
    if file.error:
        raise file.error
    head, columns = file.head, {}
    spelled = {re.sub("[^a-z]", "", column.lower()): column for column in reversed(head.columns)}
    for name, called in _CALLED.items():
        found = [spelled[spelling] for spelling in called if spelling in spelled]
        if name == "time":
            found = [column for column in found if _unit(head[column])]
        columns |= {name: column for column in found[:1]}
    if "track" not in columns or not columns.keys() & {"user", "session"}:
        what = "track" if "track" not in columns else "user or session"
        raise UserError(
            f"{file.path} is no log of plays as far as can be seen: no column is called like a "
            f"{what} (it has: {', '.join(head.columns)}); name its columns yourself, as "
            "docs/tutorials/own_data.md says"
        )
    if columns.keys() == {"track", "user"}:
        columns = {"session": columns["user"], "track": columns["track"]}
    entry: dict = {"form": "events", "columns": columns}
    if "time" in columns and _unit(head[columns["time"]]) != "s":
        entry["time_unit"] = _unit(head[columns["time"]])
    if fitting := rules(file, entry):
        entry["skipped_when"] = fitting[0]
    entry["session_gap"] = None if "session" in columns else 1200
    return entry


def rules(file: Glimpse, entry: dict) -> list[str]:
    """The rules for ``skipped_when`` that fit a column by its name and values."""
    found = []
    for pattern, rule, least in _RULES:
        for column in file.head.columns:
            held = file.head[column]
            if column in entry["columns"].values() or not held.count() or held.dtype.is_nested():
                continue
            if any(one.startswith(column) for one in found):
                continue
            if not re.search(pattern, re.sub("[^a-z]", "", column.lower())):
                continue
            said = rule.format(column)
            _, wrong = judged_labels(held, said)
            largest = 0 if least is None else held.cast(pl.Float64, strict=False).max()
            if not wrong.count() and (least is None or (largest or 0) > least):
                found.append(said)
    return found


def _unit(column: pl.Series) -> str | None:
    """The unit in which the values of a column are times, ``s`` for text; None if they are none."""
    column = column.drop_nulls().head(100)
    for unit in PER_SECOND if len(column) else ():
        found, _ = Clock(unit).read(column)
        if not found.null_count():
            return unit
    return None


def read_events(path: Path, entry: dict, ledger: Ledger) -> Iterator[pl.DataFrame]:
    """Read a table of plays, some at a time; invalid rows are rejected.

    ``entry["columns"]`` names the columns: ``track``, and ``session`` (sessions as given, those of
    a ``user`` if it is named too) or ``user`` and ``time`` (sessions from gaps).  ``time`` is ISO
    text, a parquet timestamp, or a unix number (``time_unit``); with ``time_is: end`` the start is
    ``duration`` (``duration_unit``) earlier.  ``length`` is that of the track, in the same unit.
    With ``session_ids: per_file`` the file is part of the session's key.  Without ``time`` the
    order of the rows is the order of the plays.  ``entry["skipped_when"]`` is a boolean column or a
    rule ``column operator value``; it may be absent where a derived skip rule is used.
    """
    plays = Plays(path, entry)
    for rows in read_rows(path, plays.wanted, Dialect.of(entry)):
        yield plays.of(rows, ledger)


class Plays:
    """Makes plays of the rows of one file; ``wanted`` are the columns that it needs.

    ``context`` are boolean columns that events have too.  ``starts_nowhere`` is that of
    :class:`Clock`, None where the file shows it.
    """

    def __init__(
        self,
        path: Path,
        entry: dict,
        *,
        context: tuple[str, ...] = (),
        starts_nowhere: bool | None = None,
    ):
        self._path, self._entry, self._columns = path, entry, entry["columns"]
        if not self._columns.keys() & {"session", "user"}:
            raise UserError(
                "columns: give `session` (sessions as they are) or `user` (sessions from gaps in "
                "time)"
            )
        rule = entry.get("skipped_when")
        wanted = [*self._columns.values(), *([parse_rule(rule)[0]] if rule else []), *context]
        self.wanted = list(dict.fromkeys(wanted))
        self._context = context
        self._clock = Clock(entry.get("time_unit", "s"), starts_nowhere=starts_nowhere)
        self._rows = 0

    def of(self, given: Rows, ledger: Ledger) -> pl.DataFrame:
        """The plays of some rows; ``position`` counts the rows of the file."""
        ledger.unit = "row" if counts_rows(self._path) else "line"
        rows, entry = given.rows, self._entry
        unit = entry.get("duration_unit", "s")
        keys, reasons = {}, []
        for name in ("user", "session", "track"):
            if name in self._columns:
                keys[name], reason = ids(rows[self._columns[name]], self._columns[name])
                reasons.append(reason)
        if "session" in keys and entry.get("session_ids") == "per_file":
            keys["session"] += f" of {self._path}"
        session = keys.get("session", keys.get("user"))
        if len(keys) == 3:
            session = session_keys(keys["user"], keys["session"])
        columns = {
            "line": given.lines,
            "session_key": session,
            "position": pl.int_range(
                self._rows + 1, self._rows + rows.height + 1, dtype=pl.Int64, eager=True
            ),
            "track_key": keys["track"],
        }
        if rule := entry.get("skipped_when"):
            columns["skipped"], reason = judged_labels(rows[parse_rule(rule)[0]], rule)
            reasons.append(reason)
        if "time" in self._columns:
            columns["started_at"], reason = self._clock.read(rows[self._columns["time"]])
            reasons.append(reason)
            if entry.get("time_is") == "end":
                lasted, reason = durations(rows[self._columns["duration"]], unit)
                reasons.append(reason)
                columns["started_at"] -= lasted.cast(pl.Duration("ms"))
        if "length" in self._columns:
            # A length that cannot be is none: the play is right.
            length, _ = durations(rows[self._columns["length"]], unit)
            columns["track_length"] = length / 1000
        for name in self._context:
            columns[name], reason = judged_labels(rows[name], name)
            reasons.append(reason)
        self._rows += rows.height
        judged = pl.DataFrame(columns).with_columns(
            reason=pl.select(pl.coalesce(reasons)).to_series()
        )
        ledger.read(rows.height + given.wrong.height)
        ledger.reject(given.name, given.wrong)
        wrong = pl.col("reason").is_not_null()
        ledger.reject(given.name, judged.filter(wrong).select("line", "reason"))
        return judged.filter(~wrong).drop("line", "reason")


def plays_only(given: Rows, ledger: Ledger, others: dict[str, pl.Series]) -> Rows:
    """The rows that are plays; the ledger counts the ``others``, by what they are.

    Each of ``others`` is true where a row is of that kind; a row is counted once.
    """
    left = pl.Series([True]).new_from_index(0, given.rows.height)
    for what, found in others.items():
        found = found.fill_null(False) & left
        ledger.leave_out(what, int(found.sum()))
        left &= ~found
    ledger.read(given.rows.height - int(left.sum()))
    return given._replace(rows=given.rows.filter(left), lines=given.lines.filter(left))
