"""What size of a study each gain takes: the smallest gain in HR@10 that this study tells, and how
many test sessions it takes to tell the gain that was found, with three, five and ten seeds. The
variance over sessions shrinks with their number, that over seeds with theirs; what more sessions to
train on would change is not in it. Before Holm's correction, which asks for more.
"""

import pyarrow as pa

from skipwise.core.schemas import required, rows_of
from skipwise.evaluation.comparisons import Intervals
from skipwise.evaluation.intervals import Estimate
from skipwise.report.columns import Column, describe
from skipwise.report.variants import STUDY_SEEDS, gains
from skipwise.report.write import Given

NEEDS = ("ranks", "split")
SETTINGS = ("simulated", "intervals", "model_registry")
TARGET = "answer"
GIGABYTES = 4
MINUTES = 60
TITLE = "What size of a study it takes"
# More than so many times the sessions is as good as never.
MOST_TIMES = 10_000
NEEDED = tuple(f"needed_{n}_seeds" for n in STUDY_SEEDS)
COLUMNS = rows_of(
    *(required(name, pa.string()) for name in ("dataset", "data", "split", "candidates")),
    *(required(name, pa.string()) for name in ("model", "variant", "reference")),
    *(pa.field(f"difference{end}", pa.float64()) for end in ("", "_low", "_high")),
    pa.field("detectable", pa.float64()),
    required("sessions", pa.int64()),
    required("seeds", pa.int64()),
    *(pa.field(name, pa.int64()) for name in NEEDED),
)
_gain = describe("difference").show
EXPLAINS = {
    "difference": Column("gain", "HR@10, variant − reference, on the same sessions.", _gain),
    "detectable": Column("told from", "The smallest gain that this study tells, power 0.8.", _gain),
    **{
        name: Column(
            f"needed, {n} seeds",
            f"Test sessions that tell this gain with {n} seeds; none: no number of sessions does, "
            f"or more than {MOST_TIMES:,} times as many.",
        )
        for n, name in zip(STUDY_SEEDS, NEEDED, strict=True)
    },
}


def note(given: Given) -> str:
    return (
        "HR@10 among headline candidates. Told means that a study of this size finds the gain in "
        f"four of five tries, at a level of {1 - given.settings['intervals']['level']:.0%} and "
        "before Holm's correction. Sessions are those of the test; the models stay the same."
    )


def rows(given: Given) -> list[dict]:
    """One row per variant that is no control and has seeds enough to tell anything."""
    intervals = Intervals(**given.settings["intervals"])
    return [
        {
            **keys,
            **intervals.columns(found, "difference"),
            "sessions": sessions,
            "seeds": found.components[1].freedom + 1,
            **{
                name: needed(found, sessions, n, intervals.level)
                for n, name in zip(STUDY_SEEDS, NEEDED, strict=True)
            },
        }
        for keys, sessions, found in gains(given, intervals)
    ]


def needed(found: Estimate, sessions: int, seeds: int, level: float) -> int | None:
    """Test sessions with which so many seeds tell the gain that was found; None if none do."""

    def tells(times: float) -> bool:
        return found.resized(times, seeds).detectable(level) <= abs(found.value)

    low, high = 2 / (found.components[0].freedom + 1), float(MOST_TIMES)
    if not tells(high):
        return None
    while high / low > 1.001:  # by halves on the scale of powers
        middle = (low * high) ** 0.5
        low, high = (low, middle) if tells(middle) else (middle, high)
    return round(high * sessions)
