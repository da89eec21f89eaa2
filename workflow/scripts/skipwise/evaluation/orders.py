"""Do models keep their order: Kendall's τ between two measurements of the same models.

τ is no smooth function of means, and where models are close every resampling has a lower τ than the
truth, so a bootstrap's interval covers it in anything from 0 to 95 % of simulated studies.  Its
bounds come from the pairs of models instead: the order of a pair is told in a measurement where the
interval of its difference, over clusters of sessions and over seeds, excludes 0, and a pair whose
order is not told in both may agree or not.
"""

from collections.abc import Iterable
from itertools import combinations
from typing import NamedTuple

import numpy as np

from skipwise.evaluation.comparisons import Ranked
from skipwise.evaluation.intervals import Ratio, estimate, first_less_others


class Measured(NamedTuple):
    """A metric of M models on the same sessions, by cluster."""

    sums: list[np.ndarray]  # of each model (R, C) sums over the sessions of a cluster
    sizes: np.ndarray  # (C,) sessions of each cluster that count


class Agreement(NamedTuple):
    """τ with its bounds, and the pairs of models (i, j) whose order changes."""

    tau: float
    low: float
    high: float
    pairs: int
    told: int  # pairs whose order is told in both
    changed: list[tuple[int, int]]  # i is ahead first, and j then
    reversed: list[tuple[int, int]]  # those of them that are told


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


def agreement(one: Measured, other: Measured, level: float) -> Agreement:
    """Kendall's τ_b of the means of ``one`` and ``other``, which measure the same models.

    The bounds are those of τ if each pair that is not told in both, at this ``level``, disagrees,
    and if each agrees.  NaN where one measurement does not tell any two models apart.
    """
    signs, told = zip(*(_orders(its, level) for its in (one, other)), strict=True)
    both = told[0] & told[1]
    sure, free = (signs[0] * signs[1])[both].sum(), (~both).sum()
    found, n = float(tau(*signs)), len(both)
    pairs = np.array(list(combinations(range(len(one.sums)), 2)))

    def named(kept: np.ndarray) -> list[tuple[int, int]]:
        ahead = zip(pairs[kept].tolist(), signs[0][kept], strict=True)
        return [(i, j) if sign > 0 else (j, i) for (i, j), sign in ahead]

    changed = signs[0] * signs[1] < 0
    return Agreement(
        found,
        float(np.minimum((sure - free) / n, found)),
        float(np.maximum((sure + free) / n, found)),
        n,
        int(both.sum()),
        named(changed),
        named(changed & both),
    )


def _orders(its: Measured, level: float) -> tuple[np.ndarray, np.ndarray]:
    """(P,) signs of the differences of all pairs, and which of them are told."""
    signs, told = [], []
    clusters = np.arange(len(its.sizes))
    for ahead, behind in combinations(its.sums, 2):
        difference = ahead - behind  # a model without chance has one seed
        found = estimate([Ratio(difference, its.sizes)], first_less_others, clusters)
        low, high = found.interval(level)
        signs.append(np.sign(found.value))
        told.append(low > 0 or high < 0)
    return np.array(signs), np.array(told)


def tau(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """τ_b (…,) from the signs (…, P) of the differences of all pairs; NaN where all are tied."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return (one * other).sum(-1) / np.sqrt((one**2).sum(-1) * (other**2).sum(-1))
