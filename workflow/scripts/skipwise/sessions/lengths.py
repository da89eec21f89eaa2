"""The lengths of tracks, as the pauses after them tell."""

from skipwise.core.artifacts import write_artifact, write_batches
from skipwise.sessions.steps import Steps, _check_times, _drop_batch_scrobbles, _spill


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
    """Write ``gaps`` of one part of a data set, from which the lengths of tracks are told, and
    ``gap_sessions``.

    Gaps longer than ``session_gap`` and all of ``session_gaps``, which are compared by
    lfm_skip_rules, are in no session. Raises UserError where a play has no time.
    """
    with Steps(threads=threads, memory=memory, spill=_spill(out_gaps)) as steps:
        steps.read("plays", events, part=part)
        _check_times(steps, dataset)
        zero = _drop_batch_scrobbles(steps, "derived")["batch_scrobbles_dropped"]
        longest = None if session_gap is None else max([session_gap, *session_gaps])
        steps.table("gaps", "count_gaps", longest=longest)
        write_batches(steps.batches("from gaps order by track_key, gap"), "gaps", out_gaps)
        steps.table("compared", "count_session_gaps", session_gaps=session_gaps, zero_gaps=zero)
        write_artifact(
            steps.connection.table("compared").to_arrow_table(), "gap_sessions", out_gap_sessions
        )


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
        steps.table(
            "lengths",
            "measure_tracks",
            session_gap=session_gap,
            min_support=skip_rule["min_support"],
        )
        write_batches(steps.batches("from lengths order by track_key"), "lengths", out_lengths)
