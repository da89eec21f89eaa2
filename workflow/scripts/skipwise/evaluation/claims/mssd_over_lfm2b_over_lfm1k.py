"""Hit rates are highest on MSSD, then on LFM-2B, then on LFM-1K (P2)."""

from collections.abc import Iterator
from dataclasses import replace

from skipwise.evaluation.comparisons import Ranked, mean_measure
from skipwise.evaluation.evidence import Claim, Evidence
from skipwise.evaluation.intervals import UNKNOWN, mean_estimate

PLACE = 6
CLAIM = Claim(
    "MSSD > LFM-2B > LFM-1K",
    "Hit rates are highest on MSSD, then on LFM-2B, then on LFM-1K (P2).",
    "HR@10 of SASRec among sampled candidates",
    in_hr=True,
)
WORLDS = {
    "true": {("mssd", "*", "*"): {"better": 1.0}, ("lfm1k", "*", "*"): {"better": -1.0}},
    "false": {("mssd", "*", "*"): {"better": -1.0}, ("lfm1k", "*", "*"): {"better": 1.0}},
    "absent": {},
}
HIT = mean_measure("hr", 10, "sampled")
# Numbers of candidates that differ by no more than this share count as equal.
ALIKE = 0.02


def rows(evidence: Evidence) -> Iterator[dict]:
    """One row per split and pair of neighbours in that order.

    A hit is easier among fewer candidates, so it is of the sampled ones, and nothing is said where
    a catalogue is too small for as many of them as the other has.
    """
    model, variant = evidence.models.get("SASRec"), evidence.variants_of.get("ours")
    for split in dict.fromkeys(split for _, split in evidence.runs.splits()):
        found: dict[str, tuple[str, Ranked]] = {}
        for dataset, of_split in evidence.runs.splits():
            key = (dataset, split, model, variant)
            if of_split == split and key in evidence.runs:
                found.setdefault(evidence.forms[dataset], (dataset, evidence.runs[key]))
        for better, worse in (("mssd", "lfm2b"), ("lfm2b", "lfm1k")):
            if better in found and worse in found:
                (one, ours), (other, theirs) = found[better], found[worse]
                keys = {"dataset": one, "split": split, "model": model, "variant": variant}
                claim = replace(CLAIM, measured=f"{CLAIM.measured}, {one} − {other}")
                sizes = [ranked.n_candidates.mean() for ranked in (ours, theirs)]
                alike = abs(sizes[0] - sizes[1]) <= ALIKE * max(sizes)
                difference = _hit_rate(ours) - _hit_rate(theirs) if alike else UNKNOWN
                note = f"Candidates of a session: {sizes[0]:.0f} and {sizes[1]:.0f}."
                row = evidence.row(claim, keys, difference, ours, theirs, note)
                yield row | {"candidates": "sampled"}


def _hit_rate(ranked: Ranked):
    return mean_estimate(HIT.ratios(ranked)[0].numerator, ranked.cluster)
