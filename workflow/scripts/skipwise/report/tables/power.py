"""The smallest gain in HR@10 that this study detects, and how many test sessions a study needs to
detect a gain as large as the one that was measured, with three, five and ten seeds. The variance
over sessions shrinks with their number, that over seeds with theirs; the models stay the same. All
of this is before Holm's correction, which asks for more. A measured gain is not the true one: where
its interval is wide, so is the number of sessions, and where the interval contains 0 there is none.
"""

import pyarrow as pa

from skipwise.core.schemas import required, rows_of
from skipwise.evaluation.comparisons import Intervals
from skipwise.evaluation.intervals import Estimate
from skipwise.report.columns import Column, describe
from skipwise.report.variants import STUDY_SEEDS, gains
from skipwise.report.write import Given

NEEDS = ("ranks", "split")
SETTINGS = ("simulated", "references", "intervals", "model_registry")
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
    "detectable": Column("detects", "The smallest gain that this study detects, power 0.8.", _gain),
    **{
        name: Column(
            f"needed, {n} seeds",
            f"Test sessions that detect a true gain of this size with {n} seeds; empty: the "
            f"interval contains 0, or more than {MOST_TIMES:,} times as many are not enough.",
        )
        for n, name in zip(STUDY_SEEDS, NEEDED, strict=True)
    },
}


def note(given: Given) -> str:
    return (
        "HR@10 among headline candidates. A study detects a gain if it finds it in four of five "
        f"tries, at a level of {1 - given.settings['intervals']['level']:.0%} and before Holm's "
        "correction. Sessions are those of the test; the models stay the same. The measured gain "
        "is taken for the true one."
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
    """Test sessions with which so many seeds detect a gain as large as the measured one; None if
    its interval contains 0 or none are enough.
    """

    def detects(times: float) -> bool:
        return found.resized(times, seeds).detectable(level) <= abs(found.value)

    low, high = 2 / (found.components[0].freedom + 1), float(MOST_TIMES)
    lowest, highest = found.interval(level)
    if lowest <= 0 <= highest or not detects(high):
        return None
    while high / low > 1.001:  # by halves on the scale of powers
        middle = (low * high) ** 0.5
        low, high = (low, middle) if detects(middle) else (middle, high)
    return round(high * sessions)
