"""The gain is largest at small k (P1, P2)."""

from collections.abc import Iterator

import numpy as np

from skipwise.evaluation.comparisons import HEADLINE, Ranked
from skipwise.evaluation.evidence import Claim, Evidence, estimate_of

PLACE = 2
CLAIM = Claim(
    "most at small k",
    "The gain is largest at small k (P1, P2).",
    "relative gain at HR@1 − relative gain at HR@20",
    of_a_gain=True,
)
WORLDS = {
    "true": {("*", "S+"): {"better": 1.5}},
    "false": {("*", "S+"): {"better": -0.5, "better_below_the_first": 5.0}},
    "absent": {},
    "worse": {("*", "S+"): {"better": -0.5}},
}


def rows(evidence: Evidence) -> Iterator[dict]:
    """One row per variant with the term."""
    for keys, orig, ours in evidence.variants():
        yield evidence.row(CLAIM, keys, _gains(ours, orig), ours, orig)


def _gains(ours: Ranked, orig: Ranked):
    return estimate_of(ours, orig, _hits, [], _difference)


def _hits(ranked: Ranked) -> list[np.ndarray]:
    return [ranked.metric("hr", k, HEADLINE) for k in (1, 20)]


def _difference(means: np.ndarray) -> np.ndarray:
    return means[..., 0] / means[..., 2] - means[..., 1] / means[..., 3]
