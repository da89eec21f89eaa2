"""Skip labels for a log of one's own, by the rules of the workflow (docs/protocol.md, skip labels)."""

from pathlib import Path

import polars as pl

from skipwise.core.log import logger
from skipwise.raw.forms.events import read_events
from skipwise.raw.ledger import Ledger
from skipwise.raw.tables import separator
from skipwise.sessions.label import label_plays
from skipwise.sessions.steps import Steps

# What is added to the rows of the log.
ADDED = ("session", "position", "skipped")


def label_file(path: str | Path, *, entry: dict) -> pl.DataFrame:
    """The rows of a csv, tsv or parquet file with the columns ``session``, ``position`` (from 1)
    and ``skipped`` at the end.

    ``entry`` says what the columns are, as a data set of the form ``events`` does in the registry:
    ``columns``, ``time_unit``, ``skipped_when``, ``session_gap`` (seconds, None where sessions are
    given) and ``skip_rule``.  Rows are ordered by session and position.  Where skips are derived
    from time, of the plays of one user at one second the first stays, and the number of the others
    is logged.  Raises UserError where the file does not fit.
    """
    path = Path(path)
    plays = pl.concat(list(read_events(path, entry, Ledger(str(path), tolerance=0))))
    absent = {"skipped": pl.Boolean, "started_at": pl.Datetime("ms")}
    plays = plays.with_columns(
        row="position",
        **{name: pl.lit(None, kind) for name, kind in absent.items() if name not in plays.columns},
    )
    labels, counts = label(plays, skip_rule=entry["skip_rule"], session_gap=entry["session_gap"])
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
        100 * (labels["skipped"].mean() or 0),
    )
    # All columns of the file, which read_events has found sound.
    if path.suffix == ".parquet":
        rows = pl.read_parquet(path)
    else:
        rows = pl.read_csv(path, separator=separator(path), infer_schema=False)
    rows = rows[(labels["row"] - 1).to_list()].drop(*ADDED, strict=False)
    return pl.concat([rows, labels.select(ADDED)], how="horizontal")


def label(
    plays: pl.DataFrame, *, skip_rule: dict, session_gap: float | None
) -> tuple[pl.DataFrame, dict]:
    """The columns row, session, position and skipped of ``plays``, ordered by session and position,
    and counts of the steps.

    ``plays`` has the columns row, session_key, position, track_key, skipped and started_at.
    """
    with Steps() as steps:
        steps.connection.register("given", plays.to_arrow())
        steps.connection.execute("create temp table plays as from given")
        if skip_rule["name"] == "length_margin":
            steps.table("gaps", "count_gaps", longest=session_gap)
            steps.table(
                "lengths",
                "measure_tracks",
                session_gap=session_gap,
                min_support=skip_rule["min_support"],
            )
        whole = {"min_length": 1, "max_length": max(plays.height, 1)}  # no session is cut
        counts = label_plays(steps, skip_rule=skip_rule, session_gap=session_gap, sessions=whole)
        labelled = steps.connection.sql(
            "select row, session_key as session, position, skipped from labelled order by session_key, position"
        )
        return labelled.pl(), counts
