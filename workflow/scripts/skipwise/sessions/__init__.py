"""Sessions: from plays to the sampled, labelled sessions and their split.

Every step is a DuckDB statement in an ``.sql`` file beside this module, which reads the tables of the steps before it and
takes named parameters.  docs/protocol.md, sessions, derived skips, split.
"""

import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa

from skipwise.artifacts import read_json, write_artifact, write_batches, write_json
from skipwise.draws import bound
from skipwise.errors import UserError
from skipwise.log import logger

SPLITS = ("paper", "temporal", "authors_code")
PARTS = ("train", "valid", "test")
_BATCH = 2**17  # rows that are written at a time


class Steps:
    """A DuckDB connection on which the steps leave their tables."""

    def __init__(self, *, threads: int = 1, memory: int | None = None, spill: str | Path | None = None):
        """``memory`` in MB is what the process may take; what does not fit goes to the folder ``spill``."""
        settings = {"threads": threads, "preserve_insertion_order": False}
        if memory:
            # DuckDB counts its buffers alone, and what it gives out is beside them.
            settings["memory_limit"] = f"{memory * 6 // 10}MB"
        if spill:
            shutil.rmtree(spill, ignore_errors=True)  # of a job that was killed
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

    def read(self, table: str, paths: list[str], *, part: int | None = None) -> None:
        """Read parquet files, or one part of events, as ``table``."""
        statement = f"create or replace temp table {table} as from read_parquet($paths, hive_partitioning = false)"
        parameters = {"paths": [str(path) for path in paths]}
        if part is not None:
            statement, parameters = f"{statement} where part = $part", parameters | {"part": part}
        self.connection.sql(statement, params=parameters)

    def view(self, table: str, paths: list[str]) -> None:
        """Let ``table`` stand for parquet files, which are read when they are needed."""
        files = self.connection.read_parquet([str(path) for path in paths], hive_partitioning=False)
        files.create_view(table)

    def row(self, name: str) -> dict:
        """The one row that ``name.sql`` gives, by column."""
        found = self.query(name)
        return dict(zip(found.columns, found.fetchall()[0], strict=True))

    def batches(self, statement: str) -> Iterator[pa.RecordBatch]:
        """The result of a statement, a batch at a time."""
        return self.connection.sql(statement).to_arrow_reader(_BATCH)

    def rows(self, table: str) -> int:
        """Number of rows of ``table``."""
        return self.value(f"select count(*) from {table}")

    def value(self, statement: str):
        """The one value that a statement gives."""
        return self.connection.sql(statement).fetchall()[0][0]


def _statement(name: str) -> str:
    return Path(__file__).with_name(f"{name}.sql").read_text(encoding="utf-8")


def label_plays(steps: Steps, *, skip_rule: dict, session_gap: float | None, sessions: dict) -> dict:
    """Take the tables ``plays``, and for ``length_margin`` ``lengths``, to ``pieces`` and ``eligible``; return the counts.

    ``skip_rule`` is ``{"name": "given" | "gap_below" | "length_margin", …}`` with the parameters of that rule;
    ``session_gap`` (seconds) is None where sessions are given; ``sessions`` holds ``min_length``, ``max_length``,
    and ``skip_polarity``.
    """
    rule = dict(skip_rule)
    name = rule.pop("name")
    rule.pop("min_support", None)  # which the lengths have seen
    counts = {"plays_read": steps.rows("plays")}
    counts |= _drop_batch_scrobbles(steps, name)
    if session_gap is None:
        steps.table("sessionised", "sessionise_given")
    else:
        steps.table("sessionised", "sessionise_by_gap", session_gap=session_gap)
    steps.table("labelled", f"label_{name}", **rule)
    if sessions.get("skip_polarity", "right") == "inverted":
        steps.table("labelled", "invert")
    steps.table("pieces", "cut", max_length=sessions["max_length"])
    steps.table("eligible", "filter", min_length=sessions["min_length"])
    return counts | steps.row("count_steps")


def _drop_batch_scrobbles(steps: Steps, rule: str) -> dict:
    """Where skips are derived from time, keep the first of the plays of one second: they have no time of their own."""
    if rule == "given":
        return {}
    before = steps.rows("plays")
    steps.table("plays", "drop_batch_scrobbles")
    return {"batch_scrobbles_dropped": before - steps.rows("plays")}


def draw_sample(steps: Steps, *, sessions: dict) -> None:
    """Take ``drawn`` to ``sampled``, the ``n_sessions`` smallest draws (None: all)."""
    steps.table("sampled", "sample", n_sessions=sessions["n_sessions"])


def count_gaps(
    events: list[str],
    *,
    out_gaps: str,
    out_gap_sessions: str,
    dataset: str,
    part: int,
    session_gap: float | None,
    session_gaps: list[float],
    threads: int = 1,
    memory: int | None = None,
) -> None:
    """Write ``gaps`` of one part of a data set, from which the lengths of tracks are told, and ``gap_sessions``.

    Gaps longer than ``session_gap`` and all of ``session_gaps``, which are compared by lfm_skip_rules, are in no session.
    Raises UserError where a play has no time.
    """
    with Steps(threads=threads, memory=memory, spill=_spill(out_gaps)) as steps:
        steps.read("plays", events, part=part)
        _check_times(steps, dataset)
        zero = _drop_batch_scrobbles(steps, "derived")["batch_scrobbles_dropped"]
        longest = None if session_gap is None else max([session_gap, *session_gaps])
        steps.table("gaps", "count_gaps", longest=longest)
        write_batches(steps.batches("from gaps order by track_key, gap"), "gaps", out_gaps)
        steps.table("compared", "count_session_gaps", session_gaps=session_gaps, zero_gaps=zero)
        write_artifact(steps.connection.table("compared").to_arrow_table(), "gap_sessions", out_gap_sessions)


def measure_tracks(
    gaps: list[str],
    *,
    out_lengths: str,
    skip_rule: dict,
    session_gap: float | None,
    threads: int = 1,
    memory: int | None = None,
) -> None:
    """Write ``lengths`` of the tracks of a data set from the ``gaps`` of all parts."""
    with Steps(threads=threads, memory=memory, spill=_spill(out_lengths)) as steps:
        steps.view("gaps", gaps)
        steps.table("lengths", "measure_tracks", session_gap=session_gap, min_support=skip_rule["min_support"])
        write_batches(steps.batches("from lengths order by track_key"), "lengths", out_lengths)


def label_sessions(
    events: list[str],
    lengths: str | None,
    *,
    out_labelled: str,
    out_counts: str,
    dataset: str,
    part: int,
    skip_rule: dict,
    session_gap: float | None,
    sessions: dict,
    keep_share: float | None = None,
    threads: int = 1,
    memory: int | None = None,
) -> None:
    """Write the ``labelled`` sessions of one part of a data set that can be in its sample, and the counts of every step.

    These are the ``n_sessions`` smallest draws of the part, and with ``keep_share`` only those among that share of all draws.
    ``lengths`` is needed by the rule ``length_margin``.  Raises UserError where the rules need a time that is not there, or
    a play is there twice.
    """
    with Steps(threads=threads, memory=memory, spill=_spill(out_labelled)) as steps:
        steps.read("plays", events, part=part)
        if session_gap is not None or skip_rule["name"] != "given":
            _check_times(steps, dataset, skip_rule["name"])
        _check_order(steps, dataset)
        if lengths:
            steps.read("lengths", [lengths])
        counts = label_plays(steps, skip_rule=skip_rule, session_gap=session_gap, sessions=sessions)
        steps.table("drawn", "draw", seed=str(sessions["sampling_seed"]))
        draw_sample(steps, sessions=sessions)
        selected = steps.query("select_labelled", bound=bound(keep_share))
        write_batches(selected.to_arrow_reader(_BATCH), "labelled", out_labelled)
    write_json(counts, out_counts)


def sample_sessions(
    labelled: list[str],
    counts: list[str],
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
    keep_share: float | None = None,
    threads: int = 1,
    memory: int | None = None,
) -> None:
    """Write ``sessions``, ``tracks``, ``keys`` and ``stats.json`` of a data set from the ``labelled`` sessions of all parts.

    Raises UserError when no session is left, with the count of every step, and when ``keep_share`` let too few through for
    the sample to be the one that all sessions would have given.
    """
    read = [read_json(source) for source in sources]
    total = _total([read_json(path) for path in counts], read)
    requested = sessions["n_sessions"]
    with Steps(threads=threads, memory=memory, spill=_spill(out_stats)) as steps:
        steps.view("pieces", labelled)
        steps.table("drawn", "list_drawn")
        draw_sample(steps, sessions=sessions)
        total |= steps.row("count_sampled")
        if keep_share is not None and total["sessions"] < requested:
            raise UserError(
                f"{dataset}: {requested} sessions are asked for, of which {total['sessions']} are among the share of "
                f"{keep_share:g} that is kept; set registry.{dataset}.keep_share to "
                f"{_enough(keep_share, total['sessions'], requested)} or ask for fewer n_sessions"
            )
        if total["sessions"] == 0:
            raise UserError(
                f"{dataset}: no session is left: {total['plays_read']} plays in {total['sessions_formed']} sessions, none "
                f"with at least {sessions['min_length']} plays and a skip (skip share "
                f"{total['skip_share_before_filter'] or 0:.1%}); check skip_rule, skipped_when and sessions.min_length"
            )
        if requested is not None and total["sessions"] < requested:
            logger.warning(
                "%s: %d sessions are eligible, %d were asked for; all are taken", dataset, total["sessions"], requested
            )
        steps.table("tracks", "count_tracks")
        total["tracks"] = steps.rows("tracks")
        write_batches(steps.query("select_sessions").to_arrow_reader(_BATCH), "sessions", out_sessions)
        write_artifact(steps.connection.table("tracks").to_arrow_table(), "tracks", out_tracks)
        write_artifact(steps.connection.table("sampled").to_arrow_table(), "keys", out_keys)
    rules = {"skip_rule": skip_rule, "session_gap": session_gap, **sessions}
    if keep_share is not None:
        rules["keep_share"] = keep_share
    write_json({"dataset": dataset, "counts": total, "rules": rules, "sources": read}, out_stats)
    logger.info("%s: %d sessions, %d tracks, skip share %.3f", dataset, total["sessions"], total["tracks"], total["skip_share"])


def _total(parts: list[dict], sources: list[dict]) -> dict:
    """The counts of all parts together, and of what no part has seen because it was set apart or left out in reading."""
    total = {name: sum(part[name] for part in parts) for name in parts[0]}
    skips = total.pop("plays_skipped")
    total["skip_share_before_filter"] = skips / total["plays_sessionised"] if total["plays_sessionised"] else None
    total["rows_rejected"] = sum(source.get("rejected", 0) for source in sources)
    left_out: Counter = Counter()
    for source in sources:
        left_out.update(source.get("left_out", {}))
    total["plays_left_out"] = dict(left_out)
    total["plays_read"] += total["rows_rejected"] + sum(left_out.values())
    return total


def _enough(share: float, found: int, requested: int) -> str:
    """A share that lets enough sessions through, with a margin of a fifth."""
    needed = share * requested / max(found, 1) * 1.2
    return f"{needed:.2g}" if needed < 1 else "null"


def _spill(output: str) -> Path:
    """Where DuckDB puts what does not fit into memory."""
    return Path(output).parent / ".duckdb"


def _check_times(steps: Steps, dataset: str, rule: str = "length_margin") -> None:
    if steps.value("select count(*) from plays where started_at is null"):
        raise UserError(
            f"{dataset}: session_gap and the skip rule '{rule}' need the time of every play, which this data "
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
