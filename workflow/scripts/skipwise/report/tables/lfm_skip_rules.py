"""What each rule that derives skips from the time between plays makes of the logs that have no skip
label, by the pause that ends a session, beside the counts of the authors' notebook where there are
any. Where two rules differ in the share of skips, results depend on which one a study used.
"""

import pyarrow as pa
import pyarrow.parquet as pq

from skipwise.core.config import rule_words
from skipwise.core.paths import hive_keys
from skipwise.core.registry import reads_lengths
from skipwise.core.schemas import required, rows_of
from skipwise.report.write import Given
from skipwise.sessions.lengths import median_gaps
from skipwise.sessions.recipe import Recipe
from skipwise.sessions.steps import Steps

NEEDS = ("gaps", "gap_sessions", "skip_rules")
SETTINGS = ("lfm_skip_rules", "registry", "simulated")
OPTIONAL = True
MINUTES = 60
THREADS = "data"
TITLE = "Skip rules"
NOTE = (
    "A play is a skip where the next one of the session starts too early: gap_below by a fixed "
    "number of seconds, "
    "length_margin by the track's length less a margin. zero_gaps are plays at the second of the "
    "one before, left out. "
    "check_ are the counts of the authors' notebook. Last.fm stores a play after half the track "
    "or four minutes, so early "
    "skips are mostly absent."
)
# One row per data set, skip rule and session gap.  check_* are the counts of the authors'
# notebook, where there are.
COLUMNS = rows_of(
    required("dataset", pa.string()),
    required("data", pa.string()),
    required("skip_rule", pa.string()),
    required("session_gap_minutes", pa.float64()),
    required("sessions", pa.int64()),
    required("sessions_longer_than_5", pa.int64()),
    required("skip_share", pa.float64()),
    required("zero_gaps", pa.int64()),
    pa.field("check_sessions", pa.int64()),
    pa.field("check_sessions_longer_than_5", pa.int64()),
)


def rows(given: Given) -> list[dict]:
    """One row per data set, rule and session gap.

    A gap between two plays is in a session if it is at most the session gap, so one count of gaps
    gives all session gaps.  The entry of a data set may hold published counts as ``check``.
    """
    found = []
    for dataset in dict.fromkeys(hive_keys(path)["dataset"] for path in given["gaps"]):
        gaps, counted = (
            [path for path in given[need] if hive_keys(path)["dataset"] == dataset]
            for need in ("gaps", "gap_sessions")
        )
        with Steps(given.machine, spill_beside=given.outputs["csv"]) as steps:
            steps.view("gaps", gaps)
            for rule in given.settings["lfm_skip_rules"]["rules"]:
                for count in _summed(counted):
                    entry = given.settings["registry"][dataset]
                    row = _row(steps, entry, rule, count)
                    found.append({"dataset": dataset, "data": given.source(dataset)} | row)
    return found


def _summed(paths: list[str]) -> list[dict]:
    """The rows of ``gap_sessions`` of all parts, by session gap."""
    tables = [pq.read_table(path, partitioning=None).to_pylist() for path in paths]
    return [
        {
            name: rows[0][name] if name == "session_gap" else sum(row[name] for row in rows)
            for name in rows[0]
        }
        for rows in zip(*tables, strict=True)
    ]


def _row(steps: Steps, entry: dict, rule: dict, count: dict) -> dict:
    gap = count["session_gap"]
    check = entry.get("check", {})
    check = check if check.get("session_gap") == gap else {}
    return {
        "skip_rule": rule_words(rule),
        "session_gap_minutes": gap / 60,
        "sessions": count["sessions"],
        "sessions_longer_than_5": count["sessions_longer_than_5"],
        "skip_share": count_skips(steps, rule, gap) / count["plays"] if count["plays"] else 0.0,
        "zero_gaps": count["zero_gaps"],
        "check_sessions": check.get("sessions"),
        "check_sessions_longer_than_5": check.get("sessions_longer_than_5"),
    }


def count_skips(steps: Steps, rule: dict, session_gap: float) -> int:
    """Skips of ``rule`` among the ``gaps`` in sessions of ``session_gap`` seconds.

    The rule's own statement labels each gap as if it were the play before it.
    """
    if reads_lengths(rule["name"]):
        median_gaps(steps, rule["min_support"], session_gap)
    steps.table("sessionised", "gaps_as_plays", session_gap=session_gap)
    recipe = Recipe("", rule)
    steps.table("labelled", f"skip_rules/{recipe.rule}", **recipe.parameters)
    return steps.value("select coalesce(sum(n) filter (skipped), 0)::bigint from labelled")
