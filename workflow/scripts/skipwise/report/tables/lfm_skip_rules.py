"""The table lfm_skip_rules: what each rule that derives skips from time makes of a data set
(docs/protocol.md).
"""

from pathlib import Path

import pyarrow.parquet as pq

from skipwise.core.config import rule_words
from skipwise.core.paths import hive_keys
from skipwise.core.schemas import ARTIFACTS
from skipwise.report.write import write_table
from skipwise.sessions.steps import Steps

_NOTE = (
    "A play is a skip where the next one of the session starts too early: gap_below by a fixed number of seconds, "
    "length_margin by the track's length less a margin. zero_gaps are plays at the second of the one before, left out. "
    "check_ are the counts of the authors' notebook. Last.fm stores a play after half the track or four minutes, so early "
    "skips are mostly absent."
)


def make_lfm_skip_rules_table(
    gaps: list[str],
    gap_sessions: list[str],
    outputs: dict[str, str],
    *,
    rules: list[dict],
    registry: dict,
    threads: int = 1,
    memory: int | None = None,
) -> None:
    """A row for each data set, rule of ``rules`` and session gap, from the ``gaps`` and
    ``gap_sessions`` of all parts.

    A gap between two plays is in a session if it is at most the session gap, so all session gaps
    can be told from one count. ``registry`` has the data sets' entries, whose ``check`` holds
    published counts.
    """
    rows = []
    for dataset in dict.fromkeys(hive_keys(path)["dataset"] for path in gaps):
        of_dataset = [path for path in gaps if hive_keys(path)["dataset"] == dataset]
        counted = [path for path in gap_sessions if hive_keys(path)["dataset"] == dataset]
        spill = Path(outputs["csv"]).parent / ".duckdb"
        with Steps(threads=threads, memory=memory, spill=spill) as steps:
            steps.view("gaps", of_dataset)
            for rule in rules:
                for count in _summed(counted):
                    rows.append(_row(steps, dataset, registry[dataset], rule, count))
    write_table(rows, ARTIFACTS["lfm_skip_rules"], outputs, title="Skip rules", note=_NOTE)


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


def _row(steps: Steps, dataset: str, entry: dict, rule: dict, count: dict) -> dict:
    gap = count["session_gap"]
    check = entry.get("check", {})
    check = check if check.get("session_gap") == gap else {}
    return {
        "dataset": dataset,
        "data": "simulated" if "simulation" in entry else "real",
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
    """Skips that ``rule`` sees in the table ``gaps`` with sessions of ``session_gap`` seconds."""
    support = rule.get("min_support", 1)
    steps.table("lengths", "measure_tracks", session_gap=session_gap, min_support=support)
    parameters = {name: rule.get(name) for name in ("seconds", "default_length", "margin")}
    return steps.query("compare_skip_rules", session_gap=session_gap, **parameters).fetchall()[0][0]
