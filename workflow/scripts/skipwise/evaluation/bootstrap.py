"""Bootstrap over sessions: resampled sums, intervals, p-values, and Holm's correction
(docs/protocol.md, uncertainty).

A resample of S sessions is a multinomial draw of how often each *distinct* row of values comes up,
and rank metrics take few distinct values.  So this is the ordinary bootstrap, at a cost that hardly
grows with the number of sessions.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr

# Up to so many distinct rows are drawn as they are.  More are drawn as cells of a grid, each
# represented by its mean: the finest grid of at most MOST_CELLS cells, or the first that takes no
# more than LOST of the variance of any column away.
EXACT = 256
MOST_CELLS = 4096
LOST = 1e-3


def resampled_sums(
    values: np.ndarray, rng: np.random.Generator, *, resamples: int = 10_000
) -> np.ndarray:
    """Sums (R, C) of the columns of ``values`` (S, C) over R resamples of the S sessions, drawn
    jointly for all columns.

    A statistic of two models goes in with the columns of both, which makes its bootstrap a paired
    one; a ratio goes in with a column for its top and one for its bottom.  Where rows are grouped
    into cells (see the head of this module) the variance of a resampled sum is too small by the
    share of the variance within cells, at most 0.1 % while ``MOST_CELLS`` suffices.
    """
    # Sums of the same terms in another order are one value.
    rows, counts = _grouped(np.round(np.asarray(values, np.float64), 12))
    n, share = len(values), counts / counts.sum()
    block = max(1, 2**22 // len(rows))  # bounds the memory
    sizes = [min(block, resamples - start) for start in range(0, resamples, block)]
    return np.concatenate([rng.multinomial(n, share, size=size) @ rows for size in sizes])


def _grouped(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows (K, C) that represent all rows of ``values`` (S, C), and their numbers of rows (K,)."""
    group = _group_of_row(values)
    if group.max() < EXACT:
        return _cell_means(values, group)
    low, width = values.min(0), np.ptp(values, axis=0)
    spread = values.var(0)
    rows, counts = _cell_means(values, np.zeros(len(values), np.int64))
    for steps in 2 ** np.arange(4, 21):
        cell = _group_of_row(np.round((values - low) / np.where(width > 0, width, 1) * steps))
        if cell.max() >= MOST_CELLS:
            break
        rows, counts = _cell_means(values, cell)
        kept = counts / counts.sum() @ (rows - values.mean(0)) ** 2
        if np.all(kept >= (1 - LOST) * spread):
            break
    return rows, counts


def _group_of_row(values: np.ndarray) -> np.ndarray:
    """A number (S,) for each row of ``values`` (S, C), equal for equal rows and below the number of
    distinct ones.
    """
    group = np.zeros(len(values), np.int64)
    for column in values.T:
        distinct, place = np.unique(column, return_inverse=True)
        group = np.unique(group * len(distinct) + place, return_inverse=True)[1]
    return group


def _cell_means(values: np.ndarray, group: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    counts = np.bincount(group)
    sums = np.stack([np.bincount(group, weights=column) for column in values.T], axis=1)
    return sums / counts[:, None], counts


def interval(samples: np.ndarray, level: float) -> tuple[float, float]:
    """Percentile interval of the resampled values (R,) of a statistic."""
    low, high = np.quantile(samples, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def p_value(value: float, samples: np.ndarray) -> float:
    """Two-sided p-value of "the statistic is 0": of ``value`` over the standard deviation of its
    resamples (R,), normal.

    Counting the resamples on the other side of 0 could give nothing between 0 and 1 / R, which does
    not survive the correction for a table of hundreds of rows.  Where no resample differs, 0 is all
    that can be said of a value of 0, and any other value is beyond doubt.
    """
    spread = samples.std()
    if spread <= 1e-12:
        return 1.0 if abs(value) <= 1e-12 else 0.0
    return float(2 * ndtr(-abs(value) / spread))


class Estimate(NamedTuple):
    """A statistic of the sessions with its percentile interval and the p-value of its being 0."""

    value: float
    low: float
    high: float
    p: float

    @classmethod
    def of(cls, value: float, samples: np.ndarray, level: float) -> "Estimate":
        """From a statistic and its resampled values (R,), without those that are not defined (0 /
        0); NaN where none is.
        """
        samples = samples[np.isfinite(samples)]
        if not np.isfinite(value) or not len(samples):
            return cls(np.nan, np.nan, np.nan, np.nan)
        low, high = interval(samples, level)
        # Where hardly any session differs a limit may lie on the wrong side of the value by the
        # last bit.
        return cls(value, min(low, value), max(high, value), p_value(value, samples))


def estimate(
    columns: np.ndarray,
    statistic: Callable[[np.ndarray], np.ndarray],
    rng: np.random.Generator,
    *,
    resamples: int = 10_000,
    level: float = 0.95,
) -> Estimate:
    """Estimate of ``statistic``, a function of the sums of ``columns`` (S, C) over the sessions:
    (…, C) to (…).  Nothing is known without a session.
    """
    if not len(columns):
        return Estimate(np.nan, np.nan, np.nan, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = float(statistic(columns.sum(0)))
        samples = statistic(resampled_sums(columns, rng, resamples=resamples))
    return Estimate.of(value, samples, level)


def holm(p_values: list[float | None]) -> list[float | None]:
    """Holm's step-down correction over all p-values of a table (Holm 1979); None stays None and
    counts for nothing.
    """
    known = sorted((p, i) for i, p in enumerate(p_values) if p is not None)
    corrected, highest = list(p_values), 0.0
    for place, (p, i) in enumerate(known):
        highest = max(highest, min(1.0, (len(known) - place) * p))
        corrected[i] = highest
    return corrected


def mean_interval(
    values: np.ndarray, rng: np.random.Generator, *, resamples: int = 10_000, level: float = 0.95
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean of ``values`` (S,), one value a session.

    Differences of two models go in as the difference in each session, which makes the bootstrap a
    paired one.
    """
    return interval(
        resampled_sums(values[:, None], rng, resamples=resamples)[:, 0] / len(values), level
    )
