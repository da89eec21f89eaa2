"""SASRec is better than BERT4Rec (P1, P2)."""

from collections.abc import Iterator

from skipwise.evaluation.comparisons import REFERENCE
from skipwise.evaluation.evidence import HIT, Claim, Evidence

PLACE = 3
CLAIM = Claim(
    "unidirectional beats bidirectional",
    "SASRec is better than BERT4Rec (P1, P2).",
    "HR@10, SASRec − BERT4Rec",
    in_hr=True,
)
WORLDS = {
    "true": {("Uni", "*"): {"better": 0.5}},
    "false": {("Uni", "*"): {"better": -0.5}},
    "absent": {},
}


def rows(evidence: Evidence) -> Iterator[dict]:
    """One row per data set, split and variant."""
    uni, bi = (evidence.models.get(name) for name in ("Uni", "Bi"))
    for dataset, split in evidence.runs.splits():
        for variant in (REFERENCE, *evidence.contrastive):
            pair = evidence.paired((dataset, split, uni, variant), (dataset, split, bi, variant))
            if pair:
                keys = {"dataset": dataset, "split": split, "model": f"{uni} − {bi}"}
                yield evidence.difference(CLAIM, keys | {"variant": variant}, HIT, *pair)
