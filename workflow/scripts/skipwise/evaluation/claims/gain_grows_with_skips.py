"""Sessions with more skips gain more (P2)."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from skipwise.evaluation.comparisons import Ranked, quartiles
from skipwise.evaluation.evidence import Claim, Evidence, estimate_of, hits

PLACE = 7
CLAIM = Claim(
    "gain grows with skips",
    "Sessions with more skips gain more (P2).",
    "slope of the gain in HR@10 over the share of skips, all sessions",
    of_a_gain=True,
)
RELATIVE = replace(
    CLAIM, measured="slope of the relative gain in HR@10 over the share of skips, all sessions"
)
WORLDS = {
    "true": {("*", "S+"): {"better": 0.6, "with_skips": 2.0}},
    "false": {("*", "S+"): {"better": 0.6, "with_skips": -2.0}},
    "absent": {},
    "worse": {("*", "S+"): {"better": -0.5}},
}


def rows(evidence: Evidence) -> Iterator[dict]:
    """Two rows per variant with the term: the gain as a difference, and as a ratio."""
    for keys, orig, ours in evidence.variants():
        sizes = np.bincount(quartiles(orig.skip_share), minlength=5)[1:]
        note = f"Sessions in the quarters by share of skips: {', '.join(map(str, sizes))}."
        for claim, statistic in ((CLAIM, _absolute), (RELATIVE, _relative)):
            found = _slope(ours, orig, statistic)
            yield evidence.row(claim, keys, found, ours, orig, note)


def _slope(ours: Ranked, orig: Ranked, statistic):
    share = orig.skip_share.astype(np.float64)
    return estimate_of(
        ours, orig, lambda ranked: _with_share(ranked, share), [share, share**2], statistic
    )


def _with_share(ranked: Ranked, share: np.ndarray) -> list[np.ndarray]:
    return [hits(ranked), hits(ranked) * share]


def _absolute(means: np.ndarray) -> np.ndarray:
    slope_ours, slope_orig, _, _ = _lines(means)
    return slope_ours - slope_orig


def _relative(means: np.ndarray) -> np.ndarray:
    """Of ours / orig, at the mean share, by the slopes of the logarithms."""
    slope_ours, slope_orig, mean_ours, mean_orig = _lines(means)
    return slope_ours / mean_ours - slope_orig / mean_orig


def _lines(means: np.ndarray) -> tuple[np.ndarray, ...]:
    """The slopes of the least-squares lines of hits over shares, and the means of the hits."""
    ours, ours_share, orig, orig_share, share, squares = np.moveaxis(means, -1, 0)
    spread = squares - share**2
    slopes = [
        (with_share - hit * share) / spread
        for hit, with_share in ((ours, ours_share), (orig, orig_share))
    ]
    return (*slopes, ours, orig)
