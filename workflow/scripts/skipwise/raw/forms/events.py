"""Anything a user has: text, json or parquet tables whose column names the configuration gives."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from skipwise.core.errors import UserError
from skipwise.raw.conditions import judged_labels, parse_rule
from skipwise.raw.identities import ids, session_keys
from skipwise.raw.ledger import Ledger
from skipwise.raw.tables import Dialect, Rows, counts_rows, read_rows
from skipwise.raw.times import Clock, durations

# Keys of its entry in the registry, and the source of its labels.
NEEDS = ("columns",)
LABELS = "skipped_when"


def read_events(path: Path, entry: dict, ledger: Ledger) -> Iterator[pl.DataFrame]:
    """Read a table of plays, some at a time; invalid rows are rejected.

    ``entry["columns"]`` names the columns: ``track``, and ``session`` (sessions as given, those of
    a ``user`` if it is named too) or ``user`` and ``time`` (sessions from gaps).  ``time`` is ISO
    text, a parquet timestamp, or a unix number (``time_unit``); with ``time_is: end`` the start is
    ``duration`` (``duration_unit``) earlier.  With ``session_ids: per_file`` the file is part of
    the session's key.  Without ``time`` the order of the rows is the order
    of the plays.  ``entry["skipped_when"]`` is a boolean column or a rule ``column operator
    value``; it may be absent where a derived skip rule is used.
    """
    ledger.unit = "row" if counts_rows(path) else "line"
    plays = Plays(path, entry)
    for rows in read_rows(path, plays.wanted, Dialect.of(entry)):
        yield plays.of(rows, ledger)


class Plays:
    """Makes plays of the rows of one file; ``wanted`` are the columns that it needs."""

    def __init__(self, path: Path, entry: dict):
        self._path, self._entry, self._columns = path, entry, entry["columns"]
        if not self._columns.keys() & {"session", "user"}:
            raise UserError(
                "columns: give `session` (sessions as they are) or `user` (sessions from gaps in "
                "time)"
            )
        rule = entry.get("skipped_when")
        wanted = [*self._columns.values(), *([parse_rule(rule)[0]] if rule else [])]
        self.wanted = list(dict.fromkeys(wanted))
        self._clock = Clock(entry.get("time_unit", "s"))
        self._rows = 0

    def of(self, given: Rows, ledger: Ledger) -> pl.DataFrame:
        """The plays of some rows; ``position`` counts the rows of the file."""
        rows, entry = given.rows, self._entry
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
                lasted, reason = durations(
                    rows[self._columns["duration"]], entry.get("duration_unit", "s")
                )
                reasons.append(reason)
                columns["started_at"] -= lasted.cast(pl.Duration("ms"))
        self._rows += rows.height
        judged = pl.DataFrame(columns).with_columns(
            reason=pl.select(pl.coalesce(reasons)).to_series()
        )
        ledger.read(rows.height + given.wrong.height)
        ledger.reject(given.name, given.wrong)
        wrong = pl.col("reason").is_not_null()
        ledger.reject(given.name, judged.filter(wrong).select("line", "reason"))
        return judged.filter(~wrong).drop("line", "reason")
