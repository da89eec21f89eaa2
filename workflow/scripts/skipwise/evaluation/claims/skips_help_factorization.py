"""WRMF and BPR gain from skips, as left out and more as negatives (P2)."""

from collections.abc import Iterator
from dataclasses import replace

from skipwise.evaluation.comparisons import REFERENCE
from skipwise.evaluation.evidence import HIT, Claim, Evidence

PLACE = 10
CLAIM = Claim(
    "skips help factorisation",
    "WRMF and BPR gain from skips that are left out, and from skips as negatives (P2).",
    "HR@10, variant − orig",
    in_hr=True,
)
NEGATIVES = replace(
    CLAIM,
    papers_say="WRMF and BPR gain more from skips as negatives than from leaving them out (P2).",
    measured="HR@10, skips as negatives − skips left out",
)
WORLDS = {
    "true": {("*", "BL"): {"better": 0.5}, ("*", "NR"): {"better": 1.0}},
    "false": {("*", "BL"): {"better": -0.5}, ("*", "NR"): {"better": -1.0}},
    "absent": {},
}


def rows(evidence: Evidence) -> Iterator[dict]:
    """Three rows per data set, split and model: each variant against orig, and against each
    other.
    """
    left_out, negatives = (evidence.variants_of.get(name) for name in ("BL", "NR"))
    compared = (
        (CLAIM, left_out, REFERENCE),
        (CLAIM, negatives, REFERENCE),
        (NEGATIVES, negatives, left_out),
    )
    for dataset, split in evidence.runs.splits():
        for model in evidence.factorization:
            for claim, one, other in compared:
                place = {"dataset": dataset, "split": split, "model": model}
                pair = evidence.paired((dataset, split, model, one), (dataset, split, model, other))
                if pair:
                    variant = one if other == REFERENCE else f"{one} − {other}"
                    yield evidence.difference(claim, place | {"variant": variant}, HIT, *pair)
