"""Anything a user has: text, json or parquet tables whose column names the configuration gives."""

import datetime
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from skipwise.core.conditions import label_rules, parse_rule
from skipwise.core.errors import UserError
from skipwise.core.registry import derives_skips
from skipwise.core.schemas import FLAGS
from skipwise.raw.archives import is_archive
from skipwise.raw.conditions import judged_labels
from skipwise.raw.identities import ids, session_keys
from skipwise.raw.ledger import Ledger
from skipwise.raw.tables import Dialect, Rows, counts_rows, read_rows
from skipwise.raw.times import Clock, Stopwatch

# Keys of its entry in the registry, and the source of its labels.
NEEDS = ("columns",)
LABELS = "skipped_when"
# It reads `disliked_when`.
DISLIKES = True

_ENOUGH = 10  # plays that show whether a file is newest first


def read_events(path: Path, entry: dict, ledger: Ledger) -> Iterator[pl.DataFrame]:
    """Read a table of plays, some at a time; invalid rows are rejected.

    ``entry["columns"]`` names the columns: ``track``, and ``session`` (sessions as given, those of
    a ``user`` if it is named too) or ``user`` and ``time`` (sessions from gaps).  ``time`` is ISO
    text, a parquet timestamp, or a unix number (``time_unit``); with ``time_is: end`` the start is
    ``duration`` (``duration_unit``) earlier.  ``length`` is that of the track, in the same unit.
    With ``session_ids: per_file`` the file is part of the session's key.  Without ``time`` the
    order of the rows is that of the plays, and of plays at the same time, too, in a file that is
    newest first the other way round.  Events keep boolean columns that are named as
    ``is_organic``, ``is_random``, ``shuffle`` or ``premium``.  ``entry["skipped_when"]`` is a
    boolean column or a rule ``column operator value``; it may be absent where a derived skip rule
    is used.  A play of which ``entry["disliked_when"]`` is true is a skip too.
    """
    plays = Plays(path, entry)
    for rows in read_rows(path, plays.wanted, Dialect.of(entry)):
        yield plays.of(rows, ledger)


class Plays:
    """Makes plays of the rows of one file; ``wanted`` are the columns that it needs.

    ``context`` are boolean columns that events have too.  ``starts_nowhere`` is that of
    :class:`Clock`, None where the file shows it.  ``knows_unit`` says that the units of times and
    durations are those of the form.
    """

    def __init__(
        self,
        path: Path,
        entry: dict,
        *,
        context: tuple[str, ...] = (),
        starts_nowhere: bool | None = None,
        knows_unit: bool = False,
    ):
        self._path, self._entry, self._columns = path, entry, entry["columns"]
        if not self._columns.keys() & {"session", "user"}:
            raise UserError(
                "columns: give `session` (sessions as they are) or `user` (sessions from gaps in "
                "time)"
            )
        self._rules = label_rules(entry)
        self._context = {name: name for name in context}
        self._context |= {name: self._columns[name] for name in FLAGS if name in self._columns}
        read = (parse_rule(rule)[0] for rule in self._rules)
        self.wanted = list(dict.fromkeys([*self._columns.values(), *read, *context]))
        self._clock = Clock(
            entry.get("time_unit", "s"),
            starts_nowhere=starts_nowhere,
            fixes=knows_unit or entry.get("form", "events") != "events",
        )
        unit = entry.get("duration_unit", "s")
        self._duration = Stopwatch(unit, "duration", known=knows_unit)
        self._length = Stopwatch(unit, "length", known=knows_unit, optional=True)
        self._rows, self._first = 0, ""
        self._member = ""
        self._descends: bool | None = None  # newest first; None: not yet known

    def of(self, given: Rows, ledger: Ledger) -> pl.DataFrame:
        """The plays of some rows; ``position`` counts the rows of the file, downwards in one
        that is newest first.
        """
        ledger.unit = "row" if counts_rows(self._path) else "line"
        rows, entry = given.rows, self._entry
        keys, reasons = {}, []
        for name in ("user", "session", "track"):
            if name in self._columns:
                keys[name], reason = ids(rows[self._columns[name]], self._columns[name])
                reasons.append(reason)
        # The first table of an archive goes by the archive's name: one that is packed by itself has
        # the keys that a loose one has.
        self._first = self._first or given.name
        if "session" in keys and entry.get("session_ids") == "per_file":
            keys["session"] += f" of {self._path if given.name == self._first else given.name}"
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
        if is_archive(self._path):
            columns["member"] = pl.repeat(given.name, rows.height, eager=True)
        labels: pl.Series | None = None
        for rule in self._rules:
            found, reason = judged_labels(rows[parse_rule(rule)[0]], rule)
            reasons.append(reason)
            # The second rule is that of dislikes: no dislike, or none known, says nothing.
            labels = found if labels is None else labels.set(found.fill_null(False), True)
            columns["skipped"] = labels
        if "time" in self._columns:
            columns["started_at"], reason = self._clock.read(rows[self._columns["time"]])
            reasons.append(reason)
            if entry.get("time_is") == "end":
                lasted, reason = self._duration.read(rows[self._columns["duration"]])
                reasons.append(reason)
                columns["ended_at"] = columns["started_at"]
                columns["started_at"] -= lasted.cast(pl.Duration("ms"))
        if "length" in self._columns:
            length, reason = self._length.read(rows[self._columns["length"]])
            reasons.append(reason)
            columns["track_length"] = length / 1000
        for name, column in self._context.items():
            columns[name], reason = judged_labels(rows[column], column)
            reasons.append(reason)
        self._rows += rows.height
        judged = pl.DataFrame(columns).with_columns(
            reason=pl.select(pl.coalesce(reasons)).to_series()
        )
        if "started_at" in columns:
            judged = self._in_order(judged, given.name)
        ledger.read(rows.height + given.wrong.height)
        ledger.reject(given.name, given.wrong)
        wrong = pl.col("reason").is_not_null()
        ledger.reject(given.name, judged.filter(wrong).select("line", "reason"))
        return judged.filter(~wrong).drop("line", "reason")

    def _in_order(self, plays: pl.DataFrame, member: str) -> pl.DataFrame:
        """The plays with positions in the order of time, and without ``ended_at``."""
        if member != self._member:
            self._member, self._descends = member, None
        if self._descends is None:
            down, up = _steps(plays)
            descends = down > 0 and down >= 9 * up
            self._descends = descends if down + up >= _ENOUGH else None
        else:
            descends = self._descends
        if descends:
            plays = plays.with_columns(position=-pl.col("position"))
        if "ended_at" not in plays.columns:
            return plays
        # Where skips are derived, plays at one second are one batch.
        if derives_skips(self._entry.get("skip_rule", {}).get("name", "given")):
            return plays.drop("ended_at")
        # Ends are cut to seconds, so a start that is derived from one may be up to a second early,
        # and of quick skips before that of the play that ended first.
        before = pl.col("started_at").cum_max().over("session_key")
        early = before - pl.col("started_at") < pl.duration(seconds=1)
        return (
            plays.with_row_index("row")
            .sort("ended_at", "position")
            .with_columns(started_at=pl.when(early).then(before).otherwise("started_at"))
            .sort("row")
            .drop("row", "ended_at")
        )


def _steps(plays: pl.DataFrame) -> tuple[int, int]:
    """How many plays of a user or session come before the one above, and how many after it."""
    logged = "ended_at" if "ended_at" in plays.columns else "started_at"
    later = plays.select(later=pl.col(logged).diff().over("session_key"))["later"]
    still = datetime.timedelta()
    return int((later < still).sum()), int((later > still).sum())


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
