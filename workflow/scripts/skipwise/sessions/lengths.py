"""The lengths of tracks, derived from the pauses after them (docs/protocol.md, derived skips)."""

from skipwise.core.artifacts import write_artifact, write_batches
from skipwise.sessions.recipe import Machine, Recipe
from skipwise.sessions.steps import Steps, check_times, drop_batch_scrobbles


def count_gaps(
    events: list[str],
    recipe: Recipe,
    machine: Machine,
    *,
    part: int,
    session_gaps: list[float],
    out_gaps: str,
    out_gap_sessions: str,
) -> None:
    """Write ``gaps`` of one part of a data set, and ``gap_sessions`` for the table lfm_skip_rules.

    Gaps longer than the session gap of the recipe and all of ``session_gaps`` (seconds), which that
    table compares, are in no session.  Raises UserError if a play has no time.
    """
    with Steps(machine, spill_beside=out_gaps) as steps:
        steps.read("plays", events, part=part)
        check_times(steps, recipe)
        zero_gaps = drop_batch_scrobbles(steps)
        gap = recipe.session_gap
        steps.table("gaps", "count_gaps", longest=None if gap is None else max(gap, *session_gaps))
        write_batches(steps.batches("from gaps order by track_key, gap"), "gaps", out_gaps)
        counts = {"session_gaps": session_gaps, "zero_gaps": zero_gaps}
        steps.table("compared", "count_session_gaps", **counts)
        write_artifact(steps.arrow("compared"), "gap_sessions", out_gap_sessions)


def measure_tracks(gaps: list[str], recipe: Recipe, machine: Machine, *, out_lengths: str) -> None:
    """Write ``lengths`` of the tracks of a data set from the ``gaps`` of all parts."""
    with Steps(machine, spill_beside=out_lengths) as steps:
        steps.view("gaps", gaps)
        median_gaps(steps, recipe.skip_rule["min_support"], recipe.session_gap)
        write_batches(steps.batches("from lengths order by track_key"), "lengths", out_lengths)


def median_gaps(steps: Steps, min_support: int, session_gap: float | None) -> None:
    """Take ``gaps`` to ``lengths``, for tracks with at least ``min_support`` gaps in sessions."""
    parameters = {"session_gap": session_gap, "min_support": min_support}
    steps.table("lengths", "measure_tracks", **parameters)
