"""Leaving skips out of the input matters more than P2's term (Ivanova et al. 2025).

Ivanova, Frolov & Vasilev, "Benefiting from Negative yet Informative Feedback by Contrasting
Opposing Sequential Patterns", RecSys 2025, arXiv 2508.14786, measure models by the ΔHR@10 of
positive and negative items, and compare SASRec on positive feedback only with P2's term.
"""

from collections.abc import Iterator

from skipwise.evaluation.comparisons import HEADLINE, skip_measures
from skipwise.evaluation.evidence import Claim, Evidence

PLACE = 11
CLAIM = Claim(
    "input matters more than the term",
    "Leaving skips out of the input raises ΔHR@10 more than P2's term (Ivanova et al. 2025).",
    "ΔHR@10, skips left out of the input − the term",
)
LISTENED_ONLY = "listened-only"
WORLDS = {
    "true": {("sasrec", LISTENED_ONLY): {"better": 0.5, "sinks": 0.5}},
    "false": {("sasrec", LISTENED_ONLY): {"better": -0.5, "sinks": -0.5}},
    "absent": {},
}
DELTA = next(
    measure for measure in skip_measures({"hr": []}, HEADLINE) if measure.name == "delta_hr_10"
)


def rows(evidence: Evidence) -> Iterator[dict]:
    """One row per model with both, and variant with the term."""
    for dataset, split in evidence.runs.splits():
        for model in evidence.neural:
            for term in evidence.contrastive:
                place = {"dataset": dataset, "split": split, "model": model}
                pair = evidence.paired(
                    (dataset, split, model, LISTENED_ONLY), (dataset, split, model, term)
                )
                if pair:
                    variant = f"{LISTENED_ONLY} − {term}"
                    yield evidence.difference(CLAIM, place | {"variant": variant}, DELTA, *pair)
