"""Skipped tracks are ranked lower with the term, except by BERT4Rec on MSSD (P2)."""

from collections.abc import Iterator
from dataclasses import replace

from skipwise.evaluation.comparisons import HEADLINE, skip_measures
from skipwise.evaluation.evidence import Claim, Evidence

PLACE = 8
CLAIM = Claim(
    "skips sink",
    "Skipped tracks are ranked lower with the term (P2).",
    "MRR@10 of unseen skips, variant − orig",
    -1,
    printed=("mrr_skipped", 10),
)
EXCEPTION = replace(
    CLAIM,
    papers_say="BERT4Rec on MSSD is the exception: skipped tracks rise (P2).",
    sign=1,
)


def rows(evidence: Evidence) -> Iterator[dict]:
    """One row per variant with the term."""
    measure = skip_measures({"hr": []}, HEADLINE)[0]
    bert4rec = evidence.models.get("BERT4Rec")
    for keys, orig, ours in evidence.variants():
        exception = evidence.forms[keys["dataset"]] == "mssd" and keys["model"] == bert4rec
        claim = EXCEPTION if exception else CLAIM
        yield evidence.difference(claim, keys, measure, ours, orig)
