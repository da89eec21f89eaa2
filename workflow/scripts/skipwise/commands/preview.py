"""What skipwise takes files for, and the overlay to start from: comments and YAML in one text."""

import re
from collections import Counter
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

import polars as pl
import yaml

from skipwise.core.conditions import parse_rule
from skipwise.core.config import rule_words
from skipwise.core.errors import UserError
from skipwise.core.mistakes import entry_mistakes
from skipwise.core.reading import read_yaml
from skipwise.core.registry import PROJECT, declared, find, names
from skipwise.raw.extract import read_plays
from skipwise.raw.glimpse import Glimpse
from skipwise.raw.guess import columns_of, durations_of, is_end, rules_of
from skipwise.raw.ledger import MOST_NAMED, Ledger, first_of_each_reason
from skipwise.raw.tables import counts_rows
from skipwise.raw.tabular import as_numbers
from skipwise.sessions.label import check_shards, label_plays
from skipwise.sessions.recipe import Recipe
from skipwise.sessions.steps import Steps

CONFIG = PROJECT / "config"
# What the steps from plays to sessions read.
_PLAYS = {
    "session_key": pl.String(),
    "position": pl.Int64(),
    "track_key": pl.String(),
    "skipped": pl.Boolean(),
    "started_at": pl.Datetime("ms"),
    "track_length": pl.Float64(),
    "member": pl.String(),
}
# The end of a time with a zone.
_ZONE = re.compile(r":\d{2}(\.\d+)?\s*(Z|[+-]\d{2}(:?\d{2})?)\s*$", re.IGNORECASE)


class Source(NamedTuple):
    """What a file is taken for: the data set ``name`` with this ``entry`` of the registry.

    ``given`` are the keys of the entry that the registry does not have, ``rules`` what may be said
    in ``skipped_when``.
    """

    name: str
    entry: dict
    given: dict
    rules: list[str]


def preview(
    paths: list[Path],
    most: int = 1_000_000,
    *,
    named: dict[str, str] | None = None,
    skipped_when: str | None = None,
) -> str:
    """A configuration that runs on these files of one data set, with what they hold as comments.

    The first ``most`` rows are counted.  ``named`` has columns of a table by what they are, and
    ``skipped_when`` says what a skip is; else both are found.  Raises UserError if a file is no
    log, or if the files are not of one form.
    """
    registry = read_yaml(CONFIG / "datasets.yaml")["registry"]
    config = read_yaml(CONFIG / "config.yaml")
    paths = list({path.resolve(): path for path in reversed(paths)}.values())[::-1]
    files = [Glimpse(path) for path in paths]
    derived = config["lfm_skip_rules"]["rules"]
    source, *others = (identify(file, registry, derived, named, skipped_when) for file in files)
    for file, other in zip(files[1:], others, strict=True):
        if (other.name, other.entry) != (source.name, source.entry):
            raise UserError(
                f"{file.path} is not like {paths[0]} ({other.name}, form {other.entry['form']}; "
                f"{source.name}, form {source.entry['form']}); preview them one by one"
            )
    reading = Reading(paths, source.entry, most)
    said = [*_description(files[0], source), *_counts(reading, source, config)]
    comments = "".join(f"# {_printable(line)}".rstrip() + "\n" for line in said)
    entry = {**source.given, "paths": [str(path.resolve()) for path in paths]}
    overlay = {"datasets": [source.name], "registry": {source.name: entry}}
    if not (reading.is_cut or "keep_share" in source.entry):
        overlay["sessions"] = {"n_sessions": None}
    return comments + yaml.safe_dump(
        overlay, default_flow_style=None, sort_keys=False, allow_unicode=True, width=1000
    )


def identify(
    file: Glimpse,
    registry: dict[str, dict],
    derived: list[dict],
    named: dict[str, str] | None = None,
    skipped_when: str | None = None,
) -> Source:
    """What a file is taken for: the form that recognises it, an entry whose names of file and
    columns it has, or what its columns are called.

    Without a column that shows a skip the first of the rules ``derived`` is taken.
    """
    for form in () if named else names("raw form"):
        recognises = getattr(find("raw form", form), "recognises", None)
        if recognises and recognises(file):
            rules = [*declared("raw form", form).get("RULES", ())]
            source = _known(form, registry, rules)
            if known := _with_rule(source, skipped_when, file):
                return known
    for name, entry in () if named else registry.items():
        columns = entry.get("columns", {})
        called = any(fnmatch(file.path.name, Path(path).name) for path in entry.get("paths", ()))
        rules = [entry["skipped_when"]] if "skipped_when" in entry else []
        wanted = (*columns.values(), *(parse_rule(rule)[0] for rule in rules))
        if columns and called and file.has_columns(*wanted):
            source = Source(name, entry, {}, [*rules_of(file, columns)])
            if known := _with_rule(source, skipped_when, file):
                return known
    found = columns_of(file, named)
    rules = [*([skipped_when] if skipped_when else []), *rules_of(file, found["columns"])]
    by_ends = found["session_gap"] and is_end(found["columns"]["time"])
    if by_ends and (duration := next(durations_of(file.head), None)):
        found["columns"]["duration"], unit = duration
        found |= {"time_is": "end", "duration_unit": unit}
    if rules:
        how = {"skipped_when": rules[0], "skip_rule": {"name": "given"}}
    elif found["session_gap"] and not by_ends:
        how = {"skip_rule": derived[0]}
    else:
        raise UserError(
            f"{file.path} has no column that shows a skip, and skips are derived only from the "
            f"starts of a user's plays (it has: {file.columns_in_words}); say what a skip is, "
            "--skipped-when 'seconds < 30'"
        )
    entry = {"form": "events", **found, **how}
    return Source("mine", entry, entry, rules)


def _known(form: str, registry: dict[str, dict], rules: list[str]) -> Source:
    """The data set of the registry that has this form."""
    for name, entry in registry.items():
        if entry["form"] == form and "simulation" not in entry:
            return Source(name, entry, {}, rules)
    entry = {"form": form, "skip_rule": {"name": "given"}, "session_gap": 1200}
    return Source("mine", entry, entry, rules)


def _with_rule(source: Source, skipped_when: str | None, file: Glimpse) -> Source | None:
    """The source with what the user says a skip is; None if its form does not read that column,
    which the file has.  Raises UserError if the form takes no rule and the file has no such column.
    """
    if skipped_when is None:
        return source
    said = {"skipped_when": skipped_when, "skip_rule": {"name": "given"}}
    entry = source.entry | said
    has_column = file.has_columns(parse_rule(skipped_when)[0])
    for _, wrong in entry_mistakes("", {"paths": [str(file.path)], **entry}):
        if has_column:
            return None
        raise UserError(f"{file.path}: --skipped-when: {wrong}")
    try:
        next(Reading([file.path], entry, 1).plays(), None)
    except UserError:
        if has_column:
            return None
    return source._replace(entry=entry, given=source.given | said)


class Reading:
    """The plays of some files, and what became of their rows.

    At most about ``most`` rows are read; ``is_cut`` says that there are more.
    """

    def __init__(self, paths: list[Path], entry: dict, most: int):
        self.paths, self._entry, self._most = paths, entry, most
        self.rows, self.rejected, self.is_cut = 0, 0, False
        self.reasons: list[tuple[str, int, str, int]] = []
        self.left_out: Counter[str] = Counter()

    def plays(self) -> Iterator[pl.DataFrame]:
        """The plays, some at a time, with the columns that sessions are made of."""
        for path in self.paths:
            if self.rows >= self._most:
                self.is_cut = True
                return
            ledger = Ledger(str(path), tolerance=1)
            for plays in read_plays(path, self._entry, ledger):
                found = plays.select(
                    (pl.col(name) if name in plays.columns else pl.lit(None).alias(name)).cast(kind)
                    for name, kind in _PLAYS.items()
                )
                yield found.with_columns(pl.col("member").fill_null(str(path)))
                if self.rows + ledger.rows >= self._most:
                    self.is_cut = True
                    break
            self.rows += ledger.rows
            self.left_out.update(ledger.left_out)
            rejected = ledger.rejected()
            self.rejected += rejected.height
            self.reasons += first_of_each_reason(rejected)

    def share(self, rule: str) -> float | None:
        """The share of skips among the plays that have a label by this ``skipped_when``; None also
        where one of the files cannot have it.
        """
        entry = self._entry | {"skipped_when": rule}
        try:
            labels = [plays["skipped"] for plays in Reading(self.paths, entry, self._most).plays()]
        except UserError:
            return None
        found = pl.concat(labels).mean()
        return found if isinstance(found, float) else None


def _description(file: Glimpse, source: Source) -> Iterator[str]:
    """The form, and the columns with their types."""
    entry = source.entry
    how = "by the names of its columns" if source.given else f"data set {source.name}"
    yield f"{file.path.name}: form {entry['form']}, {how}"
    yield ""
    if columns := entry.get("columns"):
        kinds = (f"{column.name} ({_kind(column)})" for column in file.head.get_columns())
        yield f"columns   {', '.join(kinds)}"
        yield "read as   " + ", ".join(f"{name}: {column}" for name, column in columns.items())
        if "time" in columns:
            yield "times are " + _clock(file.head[columns["time"]], entry.get("time_unit", "s"))
            if is_end(columns["time"]) and entry["session_gap"] and "time_is" not in entry:
                yield (
                    f"          {columns['time']} is called like an end and read as a start: set "
                    "time_is: end and columns.duration, the time that was played"
                )
        elif "session" in columns:
            yield "no times: the plays of a session are in the order of the file"
        left = (column for column in file.head.get_columns() if column.name not in columns.values())
        numbers = [column.name for column in left if _is_number(column)]
        if numbers and "skipped_when" not in entry:
            yield (
                f"not used  {', '.join(numbers)}: if one of them shows a skip, say so: "
                f"--skipped-when '{numbers[0]} < 30'"
            )


def _is_number(column: pl.Series) -> bool:
    return column.dtype.is_numeric() or _kind(column) in ("integer", "number")


def _kind(column: pl.Series) -> str:
    """The type of a column; of text, what all its values are."""
    if column.dtype != pl.String:
        return str(column.dtype).lower()
    values = column.drop_nulls()
    for kind, name in ((pl.Int64, "integer"), (pl.Float64, "number")):
        if len(values) and not values.cast(kind, strict=False).null_count():
            return name
    words = {*values.str.to_lowercase().unique().head(3)}
    return "boolean" if words and words <= {"true", "false"} else "text"


def _clock(column: pl.Series, unit: str) -> str:
    """How times are written."""
    if column.dtype == pl.Datetime:
        zone = getattr(column.dtype, "time_zone", None)
        return f"timestamps in {zone}" if zone else "timestamps without a zone, read as UTC"
    text = column.cast(pl.String).drop_nulls().head(1).to_list()
    if text and not as_numbers(pl.Series(text)).count():
        return "text with a zone" if _ZONE.search(text[0]) else "text without a zone, read as UTC"
    return f"unix numbers in {unit}"


def _counts(reading: Reading, source: Source, config: dict) -> Iterator[str]:
    """Rows, plays, users, sessions, and the share of skips by each rule that fits."""
    entry, sessions = source.entry, config["sessions"] | {"n_sessions": None}
    with Steps() as steps:
        empty = pl.DataFrame(schema=_PLAYS)
        steps.connection.register("read", empty.to_arrow())
        steps.connection.execute("create temp table found as from read")
        for plays in reading.plays():
            steps.connection.register("read", plays.to_arrow())
            steps.connection.execute("insert into found from read")
        recipe = Recipe(
            source.name,
            entry["skip_rule"],
            entry["session_gap"],
            sessions,
            form=entry["form"],
            columns=entry.get("columns"),
        )
        yield from _rows(reading, config["raw"]["tolerance"])
        steps.connection.execute("create view plays as from found")
        steps.connection.execute("create view shards as select *, member as filename from found")
        try:
            check_shards(steps, recipe)
        except UserError as error:
            yield f"          a run ends here: {error}"
        steps.connection.execute("drop view plays")
        n, tracks, first, last, untimed = steps.connection.sql(
            "select count(*), count(distinct track_key), min(started_at), max(started_at), "
            "count(*) filter (started_at is null) from found"
        ).fetchall()[0]
        if not n:
            found = reading.reasons[:1]
            why = "".join(f": {_place(file, line)}: {reason}" for file, line, reason, _ in found)
            raise UserError(f"{reading.paths[-1]} holds no plays of the form {entry['form']}{why}")
        if first is not None:
            nowhere = ", of a clock that starts nowhere" if last.year < 1990 else " UTC"
            yield f"times     {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M}{nowhere}"
        user = "session_key"
        if entry["session_gap"] is None and recipe.keys_hold_user:
            user = "regexp_replace(session_key, '@[^@]*$', '')"
        is_known = entry["session_gap"] is not None or recipe.keys_hold_user
        users = steps.value(f"select count(distinct {user}) from found")
        by = f" and {users:,} users" if is_known else ""
        yield f"plays     {n:,} of {tracks:,} tracks{by}"
        counts, share = _labelled(steps, recipe)
        made = f"a pause of more than {entry['session_gap']} s between two starts ends one"
        yield (
            f"sessions  {counts['sessions_formed']:,}"
            + (f" ({made})" if entry["session_gap"] else " (as given)")
            + f"; {counts['sessions_eligible']:,} pieces have {sessions['min_length']} plays or "
            "more and a skip"
        )
        chosen = entry.get("skipped_when") or rule_words(entry["skip_rule"])
        yield f"skips     {_percent(share)}  {chosen} (in the overlay)"
        for rule in source.rules:
            if rule != chosen:
                yield f"          {_percent(reading.share(rule))}  {rule}"
        for rule in config["lfm_skip_rules"]["rules"] if entry["session_gap"] else ():
            if rule != entry["skip_rule"] and not untimed:
                other = Recipe(source.name, rule, entry["session_gap"], sessions)
                yield f"          {_percent(_labelled(steps, other)[1])}  {rule_words(rule)}"
        yield ""


def _rows(reading: Reading, tolerance: float) -> Iterator[str]:
    more = ", the first ones" if reading.is_cut else ""
    yield f"rows      {reading.rows:,} read{more}, {reading.rejected:,} rejected"
    for file, line, reason, n in reading.reasons[:MOST_NAMED]:
        yield f"          {_place(file, line)}: {reason}" + (f" ({n:,} such)" if n > 1 else "")
    if reading.rejected > tolerance * reading.rows:
        yield f"          a run ends with more than {tolerance:.1%}: correct them"
    for what, n in reading.left_out.items():
        yield f"          {n:,} left out: {what}"


def _place(file: str, line: int) -> str:
    return f"{file}, {'row' if counts_rows(Path(file)) else 'line'} {line}"


def _labelled(steps: Steps, recipe: Recipe) -> tuple[dict, float | None]:
    """The counts of the steps to sessions, and the share of skips among the labelled plays."""
    steps.connection.execute(
        "create or replace temp table plays as select * exclude member from found"
    )
    counts = label_plays(steps, recipe, measure=True)
    return counts, steps.value("select avg(skipped::int) from labelled")


def _printable(line: str) -> str:
    """A line without what would end a comment of YAML, as cells may hold anything."""
    return "".join(sign if sign.isprintable() else " " for sign in line)


def _percent(share: float | None) -> str:
    return "     –" if share is None else f"{share:6.1%}"
