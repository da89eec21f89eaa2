"""BERT4Rec on MSSD is the exception: skipped tracks rise (P2)."""

from collections.abc import Iterator

from skipwise.evaluation.claims import skips_sink
from skipwise.evaluation.evidence import Claim, Evidence

PLACE = 9
CLAIM = Claim(
    "skips rise with BERT4Rec on MSSD",
    "BERT4Rec on MSSD is the exception: skipped tracks rise (P2).",
    skips_sink.CLAIM.measured,
    -1,
    printed=skips_sink.CLAIM.printed,
)
WORLDS = {
    "true": {("BERT4Rec", "S+"): {"sinks": -1.0}},
    "false": {("BERT4Rec", "S+"): {"sinks": 1.0}},
    "absent": {},
}


def rows(evidence: Evidence) -> Iterator[dict]:
    """One row per variant of BERT4Rec on MSSD itself: the paper says nothing about simulated
    listeners.
    """
    for row in skips_sink.rows(evidence, CLAIM):
        on_mssd = evidence.forms[row["dataset"]] == "mssd"
        real = row["dataset"] not in evidence.simulated
        if on_mssd and real and row["model"] == evidence.models.get("BERT4Rec"):
            yield row
