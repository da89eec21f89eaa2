"""Sessions with more skips gain more (P2)."""

from collections.abc import Iterator

import numpy as np

from skipwise.evaluation.bootstrap import Estimate
from skipwise.evaluation.comparisons import Ranked, quartiles
from skipwise.evaluation.evidence import HIT, Claim, Evidence, per_session

PLACE = 7
CLAIM = Claim(
    "gain grows with skips",
    "Sessions with more skips gain more (P2).",
    "gain in HR@10 of the quarter of sessions with most skips − of the quarter with fewest",
)


def rows(evidence: Evidence) -> Iterator[dict]:
    """One row per variant with the term."""
    for keys, orig, ours in evidence.variants():
        yield evidence.row(CLAIM, keys, _gain_by_skips(evidence, ours, orig), ours)


def _gain_by_skips(evidence: Evidence, ours: Ranked, orig: Ranked) -> Estimate:
    quartile = quartiles(orig.skip_share)
    gain = per_session(HIT, ours) - per_session(HIT, orig)
    columns = [
        column * (quartile == number) for number in (4, 1) for column in (gain, np.ones_like(gain))
    ]
    return evidence.resampling.estimate(
        np.stack(columns, axis=1),
        lambda sums: sums[..., 0] / sums[..., 1] - sums[..., 2] / sums[..., 3],
    )
