"""WRMF and BPR gain from skips, as left out and more as negatives (P2)."""

from collections.abc import Iterator

from skipwise.evaluation.evidence import HIT, Claim, Evidence

PLACE = 9
CLAIM = Claim(
    "skips help factorisation",
    "WRMF and BPR gain from skips, as left out and more as negatives (P2).",
    "HR@10, variant − orig",
)


def rows(evidence: Evidence) -> Iterator[dict]:
    """One row per variant of WRMF and BPR."""
    variants = [evidence.variants_of.get(name) for name in ("BL", "NR")]
    for keys, orig, ours in evidence.runs.against_reference():
        if keys["model"] in evidence.factorization and keys["variant"] in variants:
            yield evidence.difference(CLAIM, keys, HIT, ours, orig)
