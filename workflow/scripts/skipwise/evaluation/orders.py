"""Do models keep their order: Kendall's τ between two measurements of the same models.

τ is no smooth function of means, so unlike every other number its interval comes from resampling:
clusters of sessions are drawn with replacement, and for each model its seeds.  Measurements of the
same sessions and trainings are drawn together.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from skipwise.evaluation.comparisons import Ranked


class Measured(NamedTuple):
    """A metric of M models on the same sessions, by cluster."""

    sums: list[np.ndarray]  # of each model (R, C) sums over the sessions of a cluster
    sizes: np.ndarray  # (C,) sessions of each cluster that count


class Agreement(NamedTuple):
    """τ with its interval, and the pairs of models (i, j) whose order changes."""

    tau: float
    low: float
    high: float
    pairs: int
    changed: list[tuple[int, int]]  # i is ahead first, and j then
    told: list[tuple[int, int]]  # those of them whose order is told in both


def measured(models: Iterable[Ranked], name: str, k: int, candidates: str) -> Measured:
    """The metric of each model, on the sessions that count among these candidates; models are
    taken one after the other.
    """
    sums = []
    for model in models:
        clusters = np.unique(model.cluster)
        counted = model.among(candidates)
        place, n = np.searchsorted(clusters, counted.cluster), len(clusters)
        values = counted.metric(name, k, candidates)
        sums.append(np.stack([np.bincount(place, row, minlength=n) for row in values]))
        sizes = np.bincount(place, minlength=n).astype(np.float64)
    return Measured(sums, sizes)


def agreement(
    one: Measured, other: Measured, *, together: bool, draws: int, level: float, seed: int
) -> Agreement:
    """Kendall's τ_b of the means of ``one`` and ``other``, which measure the same models.

    ``together``: on the same clusters and trainings.  The interval has the quantiles of ``draws``
    resamplings.  An order of two models is told if all but half of 1 − ``level`` of them have it.
    NaN where one measurement does not tell any two models apart.
    """
    n = len(one.sums)
    first, second = np.triu_indices(n, 1)
    means = [np.array([of.sum(1).mean() for of in its.sums]) for its in (one, other)]
    signs = [np.sign(of[first] - of[second]) for of in means]
    rng = np.random.default_rng(seed)
    state = rng.bit_generator.state
    drawn = []
    for its in (one, other):
        if together:
            rng.bit_generator.state = state
        of = resampled(its, draws, rng)
        drawn.append(np.sign(of[:, first] - of[:, second]))
    tail = (1 - level) / 2
    taus = tau(*drawn)
    taus = taus[np.isfinite(taus)]
    low, high = np.quantile(taus, [tail, 1 - tail]) if len(taus) else (np.nan, np.nan)
    reverse = np.flatnonzero(signs[0] * signs[1] < 0)
    sure = np.all(
        [(of == sign).mean(0) >= 1 - tail for of, sign in zip(drawn, signs, strict=True)], 0
    )

    def named(pairs: np.ndarray) -> list[tuple[int, int]]:
        ahead = [(first[at], second[at])[:: int(signs[0][at])] for at in pairs]
        return [(int(i), int(j)) for i, j in ahead]

    return Agreement(
        float(tau(*signs)),
        float(low),
        float(high),
        len(first),
        named(reverse),
        named(reverse[sure[reverse]]),
    )


def tau(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """τ_b (…,) from the signs (…, P) of the differences of all pairs; NaN where all are tied."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return (one * other).sum(-1) / np.sqrt((one**2).sum(-1) * (other**2).sum(-1))


def resampled(its: Measured, draws: int, rng: np.random.Generator) -> np.ndarray:
    """(draws, M) means of resampled clusters, each model with resampled seeds."""
    n = len(its.sizes)
    weights = rng.multinomial(n, np.full(n, 1 / n), draws).astype(np.float64)  # (draws, C)
    sizes = np.maximum(weights @ its.sizes, 1)
    means = np.empty((draws, len(its.sums)))
    for at, sums in enumerate(its.sums):
        seeds = len(sums)
        of_seed = rng.multinomial(seeds, np.full(seeds, 1 / seeds), draws)  # (draws, R)
        means[:, at] = ((weights @ sums.T) * of_seed).sum(1) / seeds / sizes
    return means
