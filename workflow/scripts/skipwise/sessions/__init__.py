"""Sessions: from plays to the sampled, labelled sessions and their split.

Every step is a DuckDB statement in an ``.sql`` file beside this module, which reads the tables of the steps before it and
takes named parameters.  docs/protocol.md, sessions, derived skips, split.
"""

from pathlib import Path

import duckdb

from skipwise.artifacts import read_json, write_artifact, write_json
from skipwise.errors import UserError
from skipwise.log import logger

SPLITS = ("paper", "temporal", "authors_code")
PARTS = ("train", "valid", "test")


class Steps:
    """A DuckDB connection on which the steps leave their tables."""

    def __init__(self, *, threads: int = 1, memory: str | None = None, spill: str | Path | None = None):
        settings = {"threads": threads, "preserve_insertion_order": False}
        if memory:
            settings["memory_limit"] = memory
        if spill:
            settings["temp_directory"] = str(spill)
        self.connection = duckdb.connect(config=settings)

    def __enter__(self) -> "Steps":
        return self

    def __exit__(self, *_) -> None:
        self.connection.close()

    def query(self, name: str, **parameters) -> duckdb.DuckDBPyRelation:
        """The result of ``name.sql``."""
        return self.connection.sql(_statement(name), params=parameters)

    def table(self, table: str, name: str, **parameters) -> None:
        """Run ``name.sql`` and keep its result as ``table``."""
        self.connection.sql(f"create or replace temp table {table} as {_statement(name)}", params=parameters)

    def read(self, table: str, paths: list[str]) -> None:
        """Read parquet files as ``table``."""
        statement = f"create or replace temp table {table} as from read_parquet($paths, hive_partitioning = false)"
        self.connection.sql(statement, params={"paths": paths})

    def rows(self, table: str) -> int:
        """Number of rows of ``table``."""
        return self.value(f"select count(*) from {table}")

    def value(self, statement: str):
        """The one value that a statement gives."""
        return self.connection.sql(statement).fetchall()[0][0]


def _statement(name: str) -> str:
    return Path(__file__).with_name(f"{name}.sql").read_text(encoding="utf-8")


def sample_sessions(steps: Steps, *, skip_rule: dict, session_gap: float | None, sessions: dict) -> dict:
    """Take the table ``plays`` to the tables ``sampled``, ``tracks`` and ``pieces``; return the counts of every step.

    ``skip_rule`` is ``{"name": "given" | "gap_below" | "length_margin", …}`` with the parameters of that rule;
    ``session_gap`` (seconds) is None where sessions are given; ``sessions`` holds ``min_length``, ``max_length``,
    ``n_sessions`` (None: all) and ``sampling_seed``.
    """
    rule = dict(skip_rule)
    name = rule.pop("name")
    counts = {"plays_read": steps.rows("plays")}
    if name != "given":
        steps.table("plays", "drop_batch_scrobbles")
        counts["batch_scrobbles_dropped"] = counts["plays_read"] - steps.rows("plays")
    if session_gap is None:
        steps.table("sessionised", "sessionise_given")
    else:
        steps.table("sessionised", "sessionise_by_gap", session_gap=session_gap)
    steps.table("labelled", f"label_{name}", **rule)
    steps.table("pieces", "cut", max_length=sessions["max_length"])
    steps.table("eligible", "filter", min_length=sessions["min_length"])
    steps.table("sampled", "sample", n_sessions=sessions["n_sessions"], seed=str(sessions["sampling_seed"]))
    steps.table("tracks", "count_tracks")
    steps_left = steps.query("count_steps")
    return counts | dict(zip(steps_left.columns, steps_left.fetchall()[0], strict=True))


def label_and_sample_sessions(
    events: list[str],
    sources: list[str],
    *,
    out_sessions: str,
    out_tracks: str,
    out_keys: str,
    out_stats: str,
    dataset: str,
    skip_rule: dict,
    session_gap: float | None,
    sessions: dict,
    threads: int = 1,
    memory: str | None = None,
) -> None:
    """Write ``sessions``, ``tracks``, ``keys`` and ``stats.json`` of a data set from its ``events`` shards.

    Raises UserError when no session is left, with the count of every step.
    """
    spill = Path(out_stats).parent / ".duckdb"
    with Steps(threads=threads, memory=memory, spill=spill) as steps:
        steps.read("plays", [str(path) for path in events])
        _check_times(steps, dataset, session_gap, skip_rule)
        _check_order(steps, dataset)
        counts = sample_sessions(steps, skip_rule=skip_rule, session_gap=session_gap, sessions=sessions)
        if counts["sessions"] == 0:
            raise UserError(
                f"{dataset}: no session is left: {counts['plays_read']} plays in {counts['sessions_formed']} sessions, none "
                f"with at least {sessions['min_length']} plays and a skip (skip share "
                f"{counts['skip_share_before_filter'] or 0:.1%}); check skip_rule, skipped_when and sessions.min_length"
            )
        counts["tracks"] = steps.rows("tracks")
        requested = sessions["n_sessions"]
        if requested is not None and counts["sessions"] < requested:
            logger.warning(
                "%s: %d sessions are eligible, %d were asked for; all are taken", dataset, counts["sessions"], requested
            )
        write_artifact(steps.query("select_sessions").to_arrow_table(), "sessions", out_sessions)
        write_artifact(steps.connection.table("tracks").to_arrow_table(), "tracks", out_tracks)
        write_artifact(steps.connection.table("sampled").to_arrow_table(), "keys", out_keys)
    rules = {"skip_rule": skip_rule, "session_gap": session_gap, **sessions}
    write_json({"dataset": dataset, "counts": counts, "rules": rules, "sources": [read_json(s) for s in sources]}, out_stats)
    logger.info(
        "%s: %d sessions, %d tracks, skip share %.3f",
        dataset,
        counts["sessions"],
        counts["tracks"],
        counts["skip_share"],
    )


def _check_times(steps: Steps, dataset: str, session_gap: float | None, skip_rule: dict) -> None:
    if session_gap is None and skip_rule["name"] == "given":
        return
    if steps.value("select count(*) from plays where started_at is null"):
        raise UserError(
            f"{dataset}: session_gap and the skip rule '{skip_rule['name']}' need the time of every play, which this data "
            "does not have; name the time column, or set session_gap: null and skip_rule: {name: given}"
        )


def _check_order(steps: Steps, dataset: str) -> None:
    """Plays without a time are ordered by position alone, so a position must not come twice."""
    twice = steps.connection.sql(
        """
        select session_key, position from plays
        where started_at is null
        group by all having count(*) > 1 order by all limit 1
        """
    ).fetchall()
    if twice:
        session, position = twice[0]
        raise UserError(
            f"{dataset}: session '{session}' has two plays at position {position}; a file is there twice, or a "
            "session is spread over files without a time column to order it"
        )


def split_sessions(
    sessions: str, *, outputs: dict[str, str], out_stats: str, split: str, shares: dict, threads: int = 1
) -> None:
    """Split sessions into ``train``, ``valid`` and ``test`` artifacts and count them in a json file.

    ``shares`` gives ``valid_share`` and ``test_share`` of the temporal split.  Sessions too short for the split are counted,
    not written.  Raises UserError when a part is empty or the temporal split has no time to go by.
    """
    with Steps(threads=threads) as steps:
        steps.read("plays", [sessions])
        steps.table("listed", "list_sessions")
        if split == "temporal" and steps.value("select count(*) from listed where time is null"):
            raise UserError(f"{sessions}: the temporal split needs a time or a day for every session; use split: paper")
        steps.table("parts", f"split_{split}", **(shares if split == "temporal" else {}))
        counts = {"sessions": steps.rows("listed")}
        for part in PARTS:
            rows = steps.connection.sql("from parts where part = $part", params={"part": part}).to_arrow_table()
            if rows.num_rows == 0:
                raise UserError(f"{sessions}: the split '{split}' leaves no {part} session; take more sessions")
            counts[part] = rows.num_rows
            write_artifact(rows, part, outputs[part])
        unseen = steps.value(
            """
            with seen as (select distinct unnest(tracks) as track from parts where part = 'train')
            select avg((target not in (from seen))::int) from parts where part = 'test'
            """
        )
    write_json({"split": split, "counts": counts, "unseen_target_share": unseen}, out_stats)
    logger.info("split %s: %s; %.2f %% of test targets are never seen in training", split, counts, 100 * unseen)
