"""The contrastive term helps every model on every data set (P1, P2)."""

from collections.abc import Iterator

from skipwise.evaluation.evidence import HIT, Claim, Evidence

PLACE = 1
CLAIM = Claim(
    "helps everywhere",
    "The contrastive term helps every model on every data set (P1, P2).",
    "HR@10, variant − orig",
    in_hr=True,
)
WORLDS = {
    "true": {("*", "S+"): {"better": 0.5}},
    "false": {("*", "S+"): {"better": -0.5}},
    "absent": {},
}


def rows(evidence: Evidence) -> Iterator[dict]:
    """One row per variant with the term."""
    for keys, orig, ours in evidence.variants():
        yield evidence.difference(CLAIM, keys, HIT, ours, orig)
