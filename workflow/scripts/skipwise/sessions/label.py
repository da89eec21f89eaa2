"""Sessions: from plays to the sampled, labelled sessions and their split.

Every step is a DuckDB statement in an ``.sql`` file beside this module, which reads the tables of
the steps before it and takes named parameters.  docs/protocol.md, sessions, derived skips, split.
"""

from skipwise.core.artifacts import write_batches, write_json
from skipwise.core.errors import UserError
from skipwise.sessions.draw import bound
from skipwise.sessions.sample import draw_sample
from skipwise.sessions.steps import _BATCH, Steps, _check_times, _drop_batch_scrobbles, _spill


def label_plays(
    steps: Steps, *, skip_rule: dict, session_gap: float | None, sessions: dict
) -> dict:
    """Take the tables ``plays``, and for ``length_margin`` ``lengths``, to ``pieces`` and
    ``eligible``; return the counts.

    ``skip_rule`` is ``{"name": "given" | "gap_below" | "length_margin", …}`` with the parameters of
    that rule; ``session_gap`` (seconds) is None where sessions are given; ``sessions`` holds
    ``min_length``, ``max_length``, and ``skip_polarity``.
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
    steps.table("labelled", f"skip_rules/{name}", **rule)
    if sessions.get("skip_polarity", "right") == "inverted":
        steps.table("labelled", "invert")
    steps.table("pieces", "cut", max_length=sessions["max_length"])
    steps.table("eligible", "filter", min_length=sessions["min_length"])
    return counts | steps.row("count_steps")


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
    """Write the ``labelled`` sessions of one part of a data set that can be in its sample, and the
    counts of every step.

    These are the ``n_sessions`` smallest draws of the part, and with ``keep_share`` only those
    among that share of all draws. ``lengths`` is needed by the rule ``length_margin``.  Raises
    UserError where the rules need a time that is not there, or a play is there twice.
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
