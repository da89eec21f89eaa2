"""From plays to labelled sessions: form sessions, label skips, cut, filter (docs/protocol.md)."""

from pathlib import Path

from skipwise.core.artifacts import write_batches, write_json
from skipwise.core.errors import UserError
from skipwise.core.registry import reads_lengths
from skipwise.sessions.draw import bound
from skipwise.sessions.lengths import median_gaps
from skipwise.sessions.recipe import Machine, Recipe
from skipwise.sessions.sample import draw_sample
from skipwise.sessions.steps import Steps, check_times, drop_batch_scrobbles


def label_plays(steps: Steps, recipe: Recipe, *, measure: bool = False) -> dict:
    """Take ``plays`` to ``pieces`` and ``eligible``; returns the counts of every step.

    A rule that reads ``lengths`` finds them in the table of that name, or with ``measure`` they are
    derived from the plays.  Of the key ``sessions``
    only ``min_length``, ``max_length``, ``unknown_labels`` and ``skip_polarity`` are read.
    """
    sessions = recipe.sessions
    counts = {"plays_read": steps.rows("plays")}
    if recipe.derives_skips:
        counts["batch_scrobbles_dropped"] = drop_batch_scrobbles(steps)
    if measure and reads_lengths(recipe.rule):
        steps.table("gaps", "count_gaps", longest=recipe.session_gap)
        median_gaps(steps, recipe.skip_rule["min_support"], recipe.session_gap)
    if recipe.session_gap is None:
        steps.table("sessionised", "sessionise_given")
    else:
        steps.table("sessionised", "sessionise_by_gap", session_gap=recipe.session_gap)
    steps.table("labelled", f"skip_rules/{recipe.rule}", **recipe.parameters)
    if sessions.get("unknown_labels", "kept") == "listened":
        steps.table("labelled", "read_unknown_as_listened")
    if sessions.get("skip_polarity", "right") == "inverted":
        steps.table("labelled", "invert")
    steps.table("pieces", "cut", max_length=sessions["max_length"])
    steps.table("eligible", "filter", min_length=sessions["min_length"])
    return counts | steps.row("count_steps")


def label_sessions(
    events: list[str],
    lengths: str | None,
    recipe: Recipe,
    machine: Machine,
    *,
    part: int,
    out_labelled: str,
    out_counts: str,
) -> None:
    """Write the ``labelled`` sessions of one part of a data set that can be in its sample.

    These are the ``n_sessions`` smallest draws of the part, and with a ``keep_share`` only those
    among that share of all draws.  The counts of every step go to ``out_counts``.  ``lengths`` is
    given if the skip rule reads them.  Raises UserError if the rules need a time that is missing,
    a play is there twice, or a session is spread over files and nobody said that it may be.
    """
    with Steps(machine, spill_beside=out_labelled) as steps:
        steps.read("plays", events, part=part)
        if recipe.session_gap is not None or recipe.derives_skips:
            check_times(steps, recipe)
        _check_order(steps, recipe)
        _check_files(steps, events, recipe, part)
        if lengths:
            steps.read("lengths", [lengths])
        counts = label_plays(steps, recipe)
        steps.table("drawn", "draw", seed=str(recipe.sessions["sampling_seed"]))
        draw_sample(steps, recipe)
        selected = steps.batches_of("select_labelled", bound=bound(recipe.keep_share))
        write_batches(selected, "labelled", out_labelled)
    write_json(counts, out_counts)


def _check_order(steps: Steps, recipe: Recipe) -> None:
    """Plays without a time are ordered only by position, so a position must not come twice."""
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
            f"{recipe.dataset}: session '{session}' has two plays at position {position}; a file "
            "is there twice, or a session is spread over files without a time column to order it"
        )


def _check_files(steps: Steps, events: list[str], recipe: Recipe, part: int) -> None:
    """:func:`check_shards` of the files of events."""
    quoted = ", ".join("'" + path.replace("'", "''") + "'" for path in events)
    steps.connection.execute(
        "create view shards as select * replace (coalesce(member, filename) as filename) from "
        f"read_parquet([{quoted}], filename = true, hive_partitioning = false) where part = {part}"
    )
    check_shards(steps, recipe)


def check_shards(steps: Steps, recipe: Recipe) -> None:
    """Raise UserError if two files of ``shards`` (``plays`` with the ``filename`` of each) that are
    a user's own, or members of an archive, share a play, or a session without a reason.
    """
    columns = recipe.columns
    if columns is None and not recipe.plays_are_unique:
        return
    if steps.value("select min(filename) = max(filename) from shards"):
        return
    for session, track, started, *files in steps.query("find_shared_play").fetchall():
        raise UserError(
            f"{recipe.dataset}: {_shards(files)} have the same play, track '{track}' of "
            f"'{session}' at {started}; name one of the files in `paths`, or remove from one what "
            "they share"
        )
    if recipe.session_gap is not None or columns is None:
        return
    or_per_file = ", or set session_ids to per_file if each file numbers its own sessions"
    or_per_file = or_per_file if "session" in columns else ""
    for session, *files in steps.query("find_spread_session").fetchall():
        if "time" not in columns:
            raise UserError(
                f"{recipe.dataset}: {_shards(files)} have plays of '{session}', and without a time "
                f"column their order is not known; name the column{or_per_file}"
            )
        if "session" in columns and recipe.session_ids is None:
            raise UserError(
                f"{recipe.dataset}: {_shards(files)} have plays of session '{session}'; set "
                "session_ids to per_file if each file numbers its own sessions, or to global if "
                "it goes on from one file to the other"
            )


def _shards(files: list[str]) -> str:
    """Members of archives by their names, files of events by those of their shards."""
    shards = (Path(file).parent.name.partition("shard=")[2] for file in files)
    return " and ".join(shard or file for shard, file in zip(shards, files, strict=True))
