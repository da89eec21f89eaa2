"""Estimates with their uncertainty over clusters of sessions and over seeds, and Holm's correction
(docs/protocol.md, uncertainty).

Clusters and seeds are crossed: all seeds rank the same sessions.  The variance of a mean is that
over seeds, plus what the clusters add beyond what clusters and seeds together explain (Cameron,
Gelbach & Miller 2011).  Each part has its own degrees of freedom, and a half-width is the root of
the sum of the squared half-widths of the parts (Graybill & Wang 1980), so three seeds have the t
quantile of three seeds.  The variance over clusters is that of leaving each one out (the
jackknife), with the degrees of freedom of their effective number (Kish 1965): clusters of which a
few have most sessions say less than as many that are equal.  Nothing is resampled but the signs of
:func:`sign_flip_p`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy.special import betaincinv, stdtrit

# An interval covers seeds, and a claim about a method may be decided, from so many on.
LEAST_SEEDS = 3
# From so many deciding clusters on the tails of a mean are those of its t distribution.
MANY = 500
# Values whose signs are flipped in all ways; of more values so many flips are drawn.
EXACT, FLIPS = 13, 10_000
SIGNS_OF_BYTES = np.unpackbits(np.arange(256, dtype=np.uint8)[None], axis=0) * 2.0 - 1.0  # (8, 256)
# So many hits, or misses, say how much seeds agree on them.
FEW_HITS = 10
POWER = 0.8


class Component(NamedTuple):
    """A part of the variance of an estimate, with its degrees of freedom."""

    variance: float
    freedom: int


@dataclass(frozen=True)
class Estimate:
    """A statistic of sessions and seeds.

    ``naive`` is the variance over sessions as if they were independent, and ``over_clusters`` that
    over clusters.  ``deciding`` sessions are those that make a difference; ``sign_flip`` is the
    p-value of :func:`sign_flip_p` where it was asked for.  ``crossed`` is the variance, in the
    part over seeds, that clusters and seeds explain only together.
    """

    value: float
    components: tuple[Component, ...]
    naive: float = np.nan
    over_clusters: float = np.nan
    deciding: int = 0
    sign_flip: float | None = None
    crossed: float = 0.0

    def half_width(self, tail: np.ndarray | float) -> np.ndarray:
        """Of the interval that leaves ``tail`` (…,) on each side; NaN where a part is not known."""
        with np.errstate(over="ignore", invalid="ignore"):  # a tiny tail has an infinite quantile
            squares = [v * stdtrit(n, tail) ** 2 for v, n in self.components]
            return np.sqrt(np.sum(squares, axis=0))

    def interval(self, level: float) -> tuple[float, float]:
        half = float(self.half_width((1 - level) / 2))
        return self.value - half, self.value + half

    @property
    def p(self) -> float:
        """Two-sided p-value of "the statistic is 0": the level at which the interval touches 0, and
        no less than that of the flipped signs.  NaN where nothing is known.
        """
        return max(self._p_at(abs(self.value)), self.sign_flip or 0.0)

    def p_within(self, limit: float) -> float:
        """The p-value of "the statistic is not within ± ``limit``": twice that of two one-sided
        tests (Schuirmann 1987), so that it is below 1 − level where the interval is within.
        """
        return self._p_at(max(limit - abs(self.value), 0.0))

    def _p_at(self, distance: float) -> float:
        """Both tails of the interval whose half-width is ``distance``; NaN if nothing is known."""
        if not np.isfinite(self.value + self.half_width(0.1)):
            return np.nan
        low, high = -700.0, float(np.log(0.5))  # of the log of one tail
        for _ in range(4):
            tails = np.linspace(low, high, 65)
            outside = np.flatnonzero(self.half_width(np.exp(tails)) >= distance)
            at = outside[-1] if len(outside) else 0  # the half-width shrinks with the tail's size
            low, high = tails[at], tails[min(at + 1, 64)]
        return min(2 * float(np.exp(low)), 1.0)

    def detectable(self, level: float, power: float = POWER, tests: int = 1) -> float:
        """The smallest effect that a study like this one shows with this power; of several
        ``tests``, as the first that Holm's correction lets pass.
        """
        return float(self.half_width((1 - level) / 2 / tests) + self.half_width(1 - power))

    def resized(self, sessions: float, seeds: int) -> "Estimate":
        """The estimate that a study with ``sessions`` times as many test sessions and so many seeds
        would give, of the same models: what a larger training set changes is not in it.

        The part over clusters shrinks with the sessions, that over seeds with the seeds, and what
        only both together explain with both.  For estimates with both parts.
        """
        over_clusters, over_seeds = self.components
        n_clusters = max(round((over_clusters.freedom + 1) * sessions), 2)
        of_seed = max(over_seeds.variance - self.crossed, 0.0) + self.crossed / sessions
        return replace(
            self,
            components=(
                Component(over_clusters.variance / sessions, n_clusters - 1),
                Component(of_seed * (over_seeds.freedom + 1) / seeds, seeds - 1),
            ),
        )

    @property
    def design_effect(self) -> float:
        """Ratio of the standard errors over clusters and over independent sessions."""
        return float(np.sqrt(self.over_clusters / self.naive)) if self.naive > 0 else np.nan

    def __sub__(self, other: "Estimate") -> "Estimate":
        """The difference of two estimates from independent data."""
        return Estimate(
            self.value - other.value,
            self.components + other.components,
            self.naive + other.naive,
            self.over_clusters + other.over_clusters,
            self.deciding + other.deciding,
        )


UNKNOWN = Estimate(np.nan, (Component(np.nan, 1),))


class Ratio(NamedTuple):
    """Sum over sessions of one number by the sum of another, which is of the sessions alone: the
    same for every seed, model and variant.  With a denominator of ones it is a mean.
    """

    numerator: np.ndarray  # (R, S), or (S,) if it is the same for all seeds
    denominator: np.ndarray  # (S,)


def estimate(
    ratios: list[Ratio],
    statistic: Callable[[np.ndarray], np.ndarray],
    clusters: np.ndarray,
    *,
    differs: np.ndarray | None = None,
) -> Estimate:
    """Estimate of ``statistic``, a smooth function (…, M) to (…) of M ``ratios``, mean over the R
    seeds.

    ``clusters`` (S,) has a whole number for each session, equal for sessions that are not
    independent.  The size of a cluster is its share of the denominator, which for a mean over
    unseen skips is not that of the sessions; with several ratios the least effective number of
    clusters counts.  ``differs`` (S,) says which sessions decide, default those with a numerator
    that is not 0.  With fewer than ``LEAST_SEEDS`` seeds the estimate is of these trainings alone.
    Nothing is known without two clusters.
    """
    numerators = np.broadcast_arrays(*(np.atleast_2d(of.numerator) for of in ratios))
    n_seeds, n_sessions = numerators[0].shape
    if n_sessions == 0:
        return UNKNOWN
    sizes = np.array([of.denominator.sum() for of in ratios])
    with np.errstate(divide="ignore", invalid="ignore"):
        means = np.array([of_seeds.sum(1).mean() for of_seeds in numerators]) / sizes
        value = float(statistic(means))
        scale = np.array([np.abs(of_seeds).sum(1).mean() for of_seeds in numerators]) / sizes
        slope = _gradient(statistic, means, scale)
    if not np.isfinite(value) or not np.isfinite(slope).all():
        return UNKNOWN
    if differs is None:
        differs = np.logical_or.reduce([of_seeds.any(0) for of_seeds in numerators])
    decides = int(differs.sum())
    index = np.unique(clusters, return_inverse=True)[1]
    n = int(index.max()) + 1
    if n < 2:
        return Estimate(value, UNKNOWN.components, deciding=decides)
    # Clusters that no mean counts are none.
    counts = np.logical_or.reduce([of.denominator > 0 for of in ratios])
    n_counted = len(np.unique(index[counts]))
    freedom, naive = n_counted - 1, np.zeros(n_sessions)
    by_cluster, both, of_seed = np.zeros((n_seeds, n)), np.zeros((n_seeds, n)), np.zeros(n_seeds)
    for of_seeds, of, mean, by in zip(numerators, ratios, means, slope / sizes, strict=True):
        influence = (of_seeds - mean * of.denominator) * by
        naive += influence.mean(0)
        part = np.stack([np.bincount(index, row, minlength=n) for row in influence])
        share = np.bincount(index, of.denominator, minlength=n) / of.denominator.sum()
        if share.max() == 1:  # a mean over the skips of a single cluster
            return Estimate(value, UNKNOWN.components, deciding=decides)
        left_out = (1 - 1 / n_counted) / (1 - share)  # of the jackknife; 1 where clusters are equal
        by_cluster += part * left_out
        both += (part - part.mean(0) - np.outer(part.sum(1), share)) * left_out
        of_seed += part.sum(1)
        freedom = min(freedom, max(int(1 / (share**2).sum() + 1e-6) - 1, 1))
    over_clusters = _variance(by_cluster.mean(0), n_counted)
    components, crossed = [Component(over_clusters, freedom)], 0.0
    if n_seeds >= LEAST_SEEDS:
        crossed = _variance(both, n_counted) / ((n_seeds - 1) * n_seeds)
        components = [
            Component(float(np.maximum(over_clusters - crossed, 0.0)), freedom),
            Component(float(of_seed.var(ddof=1)) / n_seeds, n_seeds - 1),
        ]
    return Estimate(
        value,
        tuple(components),
        _variance(naive, int(counts.sum())),
        over_clusters,
        decides,
        crossed=crossed,
    )


def _variance(influence: np.ndarray, n: int) -> float:
    """Of a sum of ``n`` independent terms whose mean is 0."""
    return float((influence**2).sum() * n / (n - 1)) if n > 1 else np.nan


def _gradient(
    statistic: Callable[[np.ndarray], np.ndarray], at: np.ndarray, scale: np.ndarray
) -> np.ndarray:
    """(M,) by central differences, one column at a time; ``scale`` (M,) is the size of what each
    mean is of, which may be far from 1 (few hits) and from the mean (gains and losses).
    """
    step = 1e-6 * np.where(scale > 0, scale, 1.0)
    moved = np.diag(step)
    return (statistic(at + moved) - statistic(at - moved)) / (2 * step)


def sign_flip_p(values: np.ndarray, seed: int) -> float:
    """Two-sided p-value of "each of the values (N,) has either sign with the same probability".

    It needs no normal tail, so it holds for a handful of clusters that differ.  Of at most ``MANY``
    values; where signs are drawn, those of the data count as one more draw.
    """
    values = values[values != 0]
    n = len(values)
    if n == 0:
        return 1.0
    if n <= EXACT:
        sums = np.array(np.meshgrid(*[[-1.0, 1.0]] * n)).reshape(n, -1).T @ values
    else:
        # Eight values at a time have only 256 sums, which the flips look up by a byte of signs.
        by_eight = np.pad(values, (0, -n % 8)).reshape(-1, 8)
        drawn = zip(by_eight @ SIGNS_OF_BYTES, _signs(seed), strict=False)
        sums = np.append(sum(eight[signs] for eight, signs in drawn), values.sum())
    rounding = 1e-9 * np.abs(values).sum()  # sums that are equal are added in different orders
    return float((np.abs(sums) >= abs(values.sum()) - rounding).mean())


@lru_cache(maxsize=1)
def _signs(seed: int) -> np.ndarray:
    """(MANY / 8, FLIPS) random signs, eight in a byte."""
    drawn = np.random.default_rng(seed).integers(0, 2, (FLIPS, MANY))
    return np.ascontiguousarray(np.packbits(drawn, axis=1).T)


def holm(p_values: list[float | None]) -> list[float | None]:
    """Holm's step-down correction over p-values (Holm 1979); None stays None and counts for
    nothing.
    """
    known = sorted((p, i) for i, p in enumerate(p_values) if p is not None)
    corrected, highest = list(p_values), 0.0
    for place, (p, i) in enumerate(known):
        highest = max(highest, min(1.0, (len(known) - place) * p))
        corrected[i] = highest
    return corrected


def mean_estimate(values: np.ndarray, clusters: np.ndarray) -> Estimate:
    """Estimate of the mean of ``values`` (R, S) over sessions and seeds."""
    return estimate([Ratio(values, np.ones(values.shape[1]))], first_less_others, clusters)


def interval_of_hits(values: np.ndarray, clusters: np.ndarray, level: float) -> tuple[float, float]:
    """The interval of the mean of ``values`` (R, S) from 0 to 1, which a symmetric one may leave.

    It is that of Clopper & Pearson (1934) for so many independent sessions as would have the half
    width of the estimate (Korn & Graubard 1998); where all values are 0, or 1, so that nothing
    varies, for so many as there are clusters.
    """
    found, tail = mean_estimate(values, clusters), (1 - level) / 2
    mean, half = found.value, float(found.half_width(tail))
    if mean in (0, 1) and half == 0:
        n = found.components[0].freedom + 1.0
    elif half > 1e-9:
        sessions = values.shape[1]
        n = 1 + mean * (1 - mean) * (float(stdtrit(sessions - 1, tail)) / half) ** 2
        # Seeds that agree on few hits do not show how much they agree: a session counts once then.
        n = min(n, sessions * max(1.0, sessions * min(mean, 1 - mean) / FEW_HITS))
    else:  # all sessions agree on something between, or nothing is known
        return mean - half, mean + half
    hits = n * mean
    low = betaincinv(hits, n - hits + 1, tail) if mean > 0 else 0.0
    high = betaincinv(hits + 1, n - hits, 1 - tail) if mean < 1 else 1.0
    return float(low), float(high)


def first_less_others(ratios: np.ndarray) -> np.ndarray:
    """The first of the ratios (…, M) less all others."""
    return ratios[..., 0] - ratios[..., 1:].sum(-1)
