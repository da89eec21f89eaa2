"""The gain is largest at small k (P1, P2)."""

from collections.abc import Iterator

import numpy as np

from skipwise.evaluation.bootstrap import Estimate
from skipwise.evaluation.comparisons import HEADLINE, Ranked, mean_measure
from skipwise.evaluation.evidence import Claim, Evidence, per_session

PLACE = 2
CLAIM = Claim(
    "most at small k",
    "The gain is largest at small k (P1, P2).",
    "relative gain at HR@1 − relative gain at HR@20",
)


def rows(evidence: Evidence) -> Iterator[dict]:
    """One row per variant with the term."""
    for keys, orig, ours in evidence.variants():
        yield evidence.row(CLAIM, keys, _relative_gains(evidence, ours, orig), ours)


def _relative_gains(evidence: Evidence, ours: Ranked, orig: Ranked) -> Estimate:
    """The relative gain at HR@1 less that at HR@20."""
    columns = [
        per_session(mean_measure("hr", k, HEADLINE), ranked)
        for k in (1, 20)
        for ranked in (ours, orig)
    ]
    return evidence.resampling.estimate(
        np.stack(columns, axis=1),
        lambda sums: sums[..., 0] / sums[..., 1] - sums[..., 2] / sums[..., 3],
    )
