"""Skip labels for your own log, by the rules of the workflow (docs/protocol.md, skip labels)."""

from pathlib import Path

import polars as pl

from skipwise.core.errors import UserError
from skipwise.core.log import logger
from skipwise.core.mistakes import rule_mistakes
from skipwise.core.registry import parameters, reads_lengths, statement
from skipwise.core.schemas import MAX_LENGTH
from skipwise.raw.forms.events import Plays
from skipwise.raw.ledger import Ledger
from skipwise.raw.tables import Dialect, check_flat, folder_columns, read_rows
from skipwise.raw.tabular import check_columns
from skipwise.sessions.label import check_shards, label_plays
from skipwise.sessions.recipe import Recipe
from skipwise.sessions.steps import Steps

# What is added to the rows of the log.
ADDED = ("session", "position", "skipped")
# Parameters of the rules that derive skips, in seconds and plays.
DEFAULTS = {"margin": 30, "min_support": 3, "default_length": 180, "seconds": 30}


def label_file(path: str | Path, *, entry: dict) -> pl.DataFrame:
    """The rows of a csv, tsv or parquet file, with ``session``, ``position`` and ``skipped``.

    The three columns come last and replace columns of these names; positions count from 1.
    ``entry`` names the columns like a data set of the form ``events`` in the registry: ``columns``,
    ``time_unit``, ``skipped_when``, ``session_gap`` (seconds, None if sessions are given) and
    ``skip_rule``.  Rows are ordered by session and position.  If skips are derived from time, only
    the first of the plays of one user at one second stays; the number of the others is logged.
    Raises UserError if the file does not fit.
    """
    path = Path(path)
    rows, plays = _read(path, entry)
    absent: dict[str, pl.DataType] = {
        "skipped": pl.Boolean(),
        "started_at": pl.Datetime("ms"),
        "track_length": pl.Float64(),
    }
    plays = plays.with_columns(
        row=pl.col("position").abs(),
        **{name: pl.lit(None, kind) for name, kind in absent.items() if name not in plays.columns},
    )
    # Labels are of sessions before they are cut.
    whole = {"min_length": 1, "max_length": MAX_LENGTH}
    recipe = Recipe(
        path.name,
        entry["skip_rule"],
        entry["session_gap"],
        whole,
        columns=entry["columns"],
        session_ids=entry.get("session_ids"),
    )
    labels, counts = label(plays, recipe)
    if dropped := counts.get("batch_scrobbles_dropped"):
        logger.warning(
            "%s: %d plays at the same second as another one of their user are left out",
            path,
            dropped,
        )
    logger.info(
        "%s: %d plays in %d sessions, %.1f %% of them skipped",
        path,
        labels.height,
        labels["session"].n_unique(),
        100 * labels["skipped"].sum() / max(labels.height, 1),
    )
    rows = rows[(labels["row"] - 1).to_list()].drop(*ADDED, strict=False)
    return pl.concat([rows, labels.select(ADDED)], how="horizontal")


def _read(path: Path, entry: dict) -> tuple[pl.DataFrame, pl.DataFrame]:
    """All columns of the rows of a file, and the plays that they are, none of which is rejected."""
    ledger, reader = Ledger(str(path), tolerance=0), Plays(path, entry)
    rows, plays = [], []
    folders = tuple(folder_columns(path).keys() & {*reader.wanted})
    known = tuple(reader.wanted)
    for given in read_rows(path, None, Dialect.of(entry), optional=folders, known=known):
        check_columns(given.rows.columns, reader.wanted, given.name)
        check_flat(given.rows, reader.wanted, given.name)
        plays.append(reader.of(given, ledger))
        rows.append(given.rows)
        ledger.check()
    if not rows:
        raise UserError(f"{path} holds no plays")
    # Tables of an archive may have their columns in another order, or others besides.
    return pl.concat(rows, how="diagonal"), pl.concat(plays)


def label(plays: pl.DataFrame, recipe: Recipe) -> tuple[pl.DataFrame, dict]:
    """The columns row, session, position and skipped of ``plays``, and the counts of the steps.

    ``plays`` has the columns row, session_key, position, track_key, skipped and started_at, and of
    an archive member.  Rows are ordered by session and position.
    """
    with Steps() as steps:
        steps.connection.register("given", plays.to_arrow())
        steps.connection.execute("create temp table plays as from given")
        if "member" in plays.columns:
            steps.connection.execute(
                "create view shards as select *, member as filename from plays"
            )
            check_shards(steps, recipe)
        counts = label_plays(steps, recipe, measure=True)
        labelled = steps.connection.sql(
            "select row, session_key as session, position, skipped from labelled "
            "order by session_key, position"
        )
        return labelled.pl(), counts


def rule_with(name: str, given: list[str], *, reads_length: bool = False) -> dict:
    """The skip rule ``name`` with the parameters that its statement needs.

    ``given`` are texts like ``share=0.5``; of the parameters in ``DEFAULTS`` those that are not
    given are as there.  Raises UserError for an unknown rule, a text of another form, a parameter
    without a value or of another rule, and where a length is given that the rule does not read.
    """
    values: dict[str, float] = {}
    for text in given:
        parameter, _, number = text.partition("=")
        try:
            values[parameter] = float(number)
        except ValueError as error:
            raise UserError(f"--parameter is NAME=NUMBER, not '{text}'") from error
    needed = parameters("skip rule", name) | ({"min_support"} if reads_lengths(name) else set())
    if strange := sorted(values.keys() - needed):
        raise UserError(
            f"the skip rule {name} has no parameter '{strange[0]}'; it has "
            f"{', '.join(sorted(needed)) or 'none'}"
        )
    if reads_length and "track_length" not in statement("skip rule", name):
        raise UserError(f"the skip rule {name} reads no --length; take one that does: known_length")
    values = {key: DEFAULTS[key] for key in needed & DEFAULTS.keys()} | values
    if missing := sorted(needed - values.keys()):
        raise UserError(f"the skip rule {name} needs --parameter {missing[0]}=NUMBER")
    rule = {"name": name} | {parameter: values[parameter] for parameter in sorted(needed)}
    for key, wrong in rule_mistakes(name, rule):
        raise UserError(f"{key}: {wrong}")
    return rule
