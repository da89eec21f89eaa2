"""Hit rates are highest on MSSD, then on LFM-2B, then on LFM-1K (P2)."""

from collections.abc import Iterator

from skipwise.evaluation.bootstrap import Estimate, resampled_sums
from skipwise.evaluation.comparisons import Ranked
from skipwise.evaluation.evidence import HIT, Claim, Evidence, per_session

PLACE = 6
CLAIM = Claim(
    "MSSD > LFM-2B > LFM-1K",
    "Hit rates are highest on MSSD, then on LFM-2B, then on LFM-1K (P2).",
    "HR@10 of SASRec",
)


def rows(evidence: Evidence) -> Iterator[dict]:
    """One row per split and pair of neighbours in that order.

    Data sets have sessions of their own, so each is resampled on its own.
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
                row = evidence.row(CLAIM, keys, _unpaired(evidence, ours, theirs), ours)
                yield row | {"measured": f"{CLAIM.measured}, {one} − {other}"}


def _unpaired(evidence: Evidence, better: Ranked, worse: Ranked) -> Estimate:
    rng, means, drawn = evidence.resampling.rng(), [], []
    for ranked in (better, worse):
        hits = per_session(HIT, ranked)
        means.append(hits.mean())
        drawn.append(
            resampled_sums(hits[:, None], rng, resamples=evidence.resampling.resamples)[:, 0]
            / len(hits)
        )
    return Estimate.of(float(means[0] - means[1]), drawn[0] - drawn[1], evidence.resampling.level)
