"""Skipped tracks are ranked lower with the term (P2)."""

from collections.abc import Iterator

from skipwise.evaluation.comparisons import HEADLINE, skip_measures, subset
from skipwise.evaluation.evidence import HIT, Claim, Evidence

PLACE = 8
CLAIM = Claim(
    "skips sink",
    "Skipped tracks are ranked lower with the term (P2).",
    "share of unseen skips that rank below the target of their session, variant − orig",
    printed=("mrr_skipped", 10),
)
WORLDS = {
    "true": {("*", "S+"): {"sinks": 1.0}},
    "false": {("*", "S+"): {"sinks": -1.0}},
    "absent": {},
    # A model that ranks everything worse pushes skips down too.
    "worse": {("*", "S+"): {"better": -1.0, "sinks": 1.0}},
}
BELOW_TARGET = skip_measures({"hr": []}, HEADLINE)[-1]


def rows(evidence: Evidence, claim: Claim = CLAIM) -> Iterator[dict]:
    """One row per variant with the term: skips relative to the target, whose own change stands
    beside it.  Where the target falls, any model that mixes up the ranks would let skips sink.
    """
    for keys, orig, ours in evidence.variants():
        row = evidence.difference(claim, keys, BELOW_TARGET, ours, orig)
        with_skips = ours.n_skips > 0
        parts = subset(ours, with_skips), subset(orig, with_skips)
        change = evidence.intervals.difference(HIT, *parts)
        low, high = change.interval(evidence.intervals.level)
        note = (
            f"Change of the target's HR@10 on the {with_skips.sum():,} sessions with unseen skips: "
            f"{change.value:+.4f} [{low:+.4f}, {high:+.4f}]."
        )
        falls = "the target falls too" if high < 0 else ""
        yield row | {"note": note, "sessions": int(with_skips.sum()), "unless": falls}
