"""Intervals, p-values and Holm's correction: it is the ordinary bootstrap, and it covers."""

import math
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skipwise.evaluation import bootstrap
from skipwise.evaluation.bootstrap import (
    estimate,
    holm,
    interval,
    mean_interval,
    p_value,
    resampled_sums,
)


def plain_bootstrap(values, *, resamples, level, seed):
    """Resample sessions one by one; also the standard deviation of the resampled means."""
    rng = np.random.default_rng(seed)
    means = np.array([rng.choice(values, len(values)).mean() for _ in range(resamples)])
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return low, high, means.std()


def gains(n, seed):
    """NDCG@10 of random ranks."""
    rank = np.random.default_rng(seed).geometric(0.08, n)
    return np.where(rank <= 10, 1 / np.log2(rank + 1), 0.0)


@pytest.mark.parametrize("level", [0.5, 0.8, 0.95, 0.99])
@pytest.mark.parametrize(
    "values",
    [
        gains(150, 1),
        (np.arange(120) % 4 == 0).astype(float),
        np.random.default_rng(2).normal(size=80),
    ],
    ids=["ndcg", "hits", "all distinct"],
)
def test_quantiles_are_those_of_the_plain_bootstrap(values, level):
    resamples = 10_000
    low, high, spread = plain_bootstrap(values, resamples=resamples, level=level, seed=3)
    found = mean_interval(values, np.random.default_rng(4), resamples=resamples, level=level)
    # The standard error of a quantile at p is √(p(1−p)/R) / density; here for a normal density,
    # twice over, five of them.
    p = (1 - level) / 2
    z = {0.5: 0.6745, 0.8: 1.2816, 0.95: 1.96, 0.99: 2.5758}[level]
    error = (
        math.sqrt(p * (1 - p) / resamples)
        / (math.exp(-z * z / 2) / math.sqrt(2 * math.pi))
        * spread
    )
    assert found == pytest.approx(
        (low, high), abs=5 * math.sqrt(2) * error + 1 / len(values) * (len(np.unique(values)) == 2)
    )


def test_width_is_that_of_the_normal_interval():
    values = gains(2000, 5)
    low, high = mean_interval(values, np.random.default_rng(0), resamples=20_000)
    half = 1.96 * values.std() / math.sqrt(2000)
    assert (low, high) == pytest.approx(
        (values.mean() - half, values.mean() + half), abs=0.06 * half
    )


def test_interval_covers_the_true_mean():
    rng = np.random.default_rng(6)
    covered = 0
    for _ in range(1000):
        low, high = mean_interval((rng.random(400) < 0.3).astype(float), rng, resamples=1000)
        covered += low <= 0.3 <= high
    # 95 % of 1,000, whose standard deviation is 7; the percentile bootstrap covers slightly less.
    assert 925 <= covered <= 970


def test_difference_is_paired():
    """Two models that agree on almost every session: their difference is known far better than each
    of them.
    """
    rng = np.random.default_rng(7)
    ours = (rng.random(3000) < 0.4).astype(float)
    orig = np.where(rng.random(3000) < 0.05, 1 - ours, ours)
    low, high = mean_interval(ours - orig, np.random.default_rng(8))
    assert low < (ours - orig).mean() < high
    half = 1.96 * (ours - orig).std() / math.sqrt(3000)
    assert high - low == pytest.approx(2 * half, rel=0.06)
    unpaired = 1.96 * math.sqrt((ours.var() + orig.var()) / 3000)
    assert high - low < 0.5 * 2 * unpaired


def test_difference_of_a_model_with_itself_is_nothing():
    values = gains(500, 9)
    assert mean_interval(values - values, np.random.default_rng(0)) == (0.0, 0.0)


@pytest.mark.parametrize("constant", [0.0, 1.0, 1 / math.log2(3), -0.25])
def test_constant_values_have_no_spread(constant):
    low, high = mean_interval(np.full(1234, constant), np.random.default_rng(0))
    assert (low, high) == pytest.approx((constant, constant), abs=1e-12)
    assert low == high


def test_one_session():
    assert mean_interval(np.array([0.5]), np.random.default_rng(0)) == (0.5, 0.5)


def test_a_rare_hit():
    """One hit in 1,000: the count of a resample is about Poisson(1), whose 2.5 % and 97.5 %
    quantiles are 0 and 3.
    """
    values = np.zeros(1000)
    values[17] = 1
    assert mean_interval(values, np.random.default_rng(0)) == pytest.approx((0.0, 0.003), abs=1e-12)


def test_order_of_the_sessions_does_not_matter():
    values = gains(300, 10)
    shuffled = np.random.default_rng(1).permutation(values)
    first, second = (mean_interval(order, np.random.default_rng(2)) for order in (values, shuffled))
    assert first == pytest.approx(second, abs=1e-12)


def test_interval_depends_on_the_seed_alone():
    values = gains(300, 10)
    first, again, other = (mean_interval(values, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_a_higher_level_is_wider():
    values = gains(300, 11)
    intervals = [
        mean_interval(values, np.random.default_rng(1), level=level) for level in (0.5, 0.9, 0.99)
    ]
    lows, highs = zip(*intervals, strict=True)
    assert list(lows) == sorted(lows, reverse=True)
    assert list(highs) == sorted(highs)
    assert len(set(lows)) == 3


def test_as_many_sessions_as_the_papers_have():
    values = gains(450_000, 12)
    low, high = mean_interval(values, np.random.default_rng(0), resamples=10_000)
    half = 1.96 * values.std() / math.sqrt(450_000)
    assert (low, high) == pytest.approx(
        (values.mean() - half, values.mean() + half), abs=0.1 * half
    )


# --- Sums of several columns


def plain_sums(values, *, resamples, seed):
    rng = np.random.default_rng(seed)
    return np.array(
        [values[rng.integers(0, len(values), len(values))].sum(0) for _ in range(resamples)]
    )


def skips(n, seed):
    """Hits of skipped tracks and number of skipped tracks of each session, both 0 for some."""
    rng = np.random.default_rng(seed)
    count = rng.integers(0, 5, n)
    return np.stack([rng.binomial(count, 0.3), count], axis=1).astype(float)


def test_columns_are_drawn_together():
    values = skips(300, 1)
    sums = resampled_sums(values, np.random.default_rng(2))
    plain = plain_sums(values, resamples=10_000, seed=3)
    assert sums.shape == plain.shape
    # Standard errors of a mean, a standard deviation and a correlation of 10,000 draws, five of
    # them.
    assert sums.mean(0) == pytest.approx(300 * values.mean(0), abs=5 * plain.std(0).max() / 100)
    assert sums.std(0) == pytest.approx(plain.std(0), rel=5 / math.sqrt(10_000))
    assert np.corrcoef(sums.T)[0, 1] == pytest.approx(np.corrcoef(values.T)[0, 1], abs=0.05)


def test_interval_of_a_ratio_is_that_of_the_plain_bootstrap():
    values = skips(200, 4)
    found, plain = (
        interval(sums[:, 0] / sums[:, 1], 0.95)
        for sums in (
            resampled_sums(values, np.random.default_rng(5)),
            plain_sums(values, resamples=10_000, seed=6),
        )
    )
    assert found == pytest.approx(plain, abs=0.1 * (plain[1] - plain[0]))


def test_many_distinct_rows_are_drawn_as_cells_and_lose_little_variance():
    rng = np.random.default_rng(7)
    values = rng.normal(size=(20_000, 2)) @ np.array([[1, 0.5], [0, 0.2]])
    rows, counts = bootstrap._grouped(values)
    assert bootstrap.EXACT < len(rows) <= bootstrap.MOST_CELLS
    assert counts.sum() == 20_000
    assert counts @ rows == pytest.approx(values.sum(0))
    variance = counts @ (rows - values.mean(0)) ** 2 / 20_000
    assert np.all(variance <= values.var(0))
    lost = 1 - variance / values.var(0)
    sums = resampled_sums(values, np.random.default_rng(8))
    # What the cells lose is what the sums lose, within the error of a variance of 10,000 draws.
    assert sums.var(0) / (20_000 * values.var(0)) == pytest.approx(
        1 - lost, rel=5 * math.sqrt(2 / 10_000)
    )
    assert lost.max() < 0.01


def test_one_column_of_many_values_loses_at_most_what_is_said():
    values = np.random.default_rng(9).beta(0.5, 3, (30_000, 1))
    rows, counts = bootstrap._grouped(values)
    assert bootstrap.EXACT >= len(rows) > 16
    assert counts @ (rows - values.mean(0)) ** 2 / 30_000 >= (1 - bootstrap.LOST) * values.var(0)


def test_few_distinct_rows_are_drawn_as_they_are():
    values = np.stack([np.arange(600) % 16, np.arange(600) % 15], axis=1).astype(float)
    rows, counts = bootstrap._grouped(values)
    assert {tuple(row) for row in rows} == {tuple(row) for row in values}
    assert len(rows) == 240 == 16 * 15
    assert sorted(counts.tolist()) == [2] * 120 + [3] * 120


@pytest.mark.slow
def test_a_paired_ratio_of_the_papers_size_takes_seconds():
    n = 450_000
    values = np.concatenate([skips(n, 10), gains(n, 11)[:, None], gains(n, 12)[:, None]], axis=1)
    started = time.perf_counter()
    resampled_sums(values, np.random.default_rng(0))
    assert time.perf_counter() - started < 30


# --- p-values


def test_p_value_is_that_of_the_normal_distribution():
    samples = np.array([-1.0, 1.0])  # standard deviation 1
    assert p_value(1.959964, samples) == pytest.approx(0.05, abs=1e-6)
    assert p_value(-2.575829, 10 + samples) == pytest.approx(0.01, abs=1e-6)
    assert p_value(0.0, samples) == 1
    assert p_value(0.0, np.zeros(5)) == 1
    assert p_value(0.1, np.full(5, 0.1)) == 0


def test_p_values_of_no_difference_are_uniform():
    rng = np.random.default_rng(3)
    found = []
    for _ in range(400):
        values = rng.normal(size=(100, 1))
        found.append(estimate(values, lambda sums: sums[..., 0], rng, resamples=400).p)
    # 40 expected below 0.1 and 200 below 0.5, with standard deviations of 6 and 10.
    assert 20 <= (np.array(found) < 0.1).sum() <= 62
    assert 165 <= (np.array(found) < 0.5).sum() <= 235


def test_an_estimate_of_a_ratio_is_that_of_the_plain_bootstrap():
    rng = np.random.default_rng(5)
    hits, size = rng.integers(0, 3, 200).astype(float), rng.integers(0, 4, 200).astype(float)
    found = estimate(
        np.stack([hits, size], 1),
        lambda sums: sums[..., 0] / sums[..., 1],
        np.random.default_rng(1),
    )
    chosen = np.random.default_rng(2).integers(0, 200, (10_000, 200))
    plain = hits[chosen].sum(1) / size[chosen].sum(1)
    assert found.value == hits.sum() / size.sum()
    assert (found.low, found.high) == pytest.approx(
        np.quantile(plain, [0.025, 0.975]), abs=0.1 * plain.std()
    )
    assert found.p < 1e-10


def test_an_estimate_that_is_not_defined_is_not_a_number():
    nothing = estimate(
        np.zeros((10, 2)), lambda sums: sums[..., 0] / sums[..., 1], np.random.default_rng(1)
    )
    assert np.isnan(nothing).all()
    # One session of 20 has a denominator: the resamples without it say nothing, the others say 3.
    one = np.zeros((20, 2))
    one[4] = 3, 1
    assert estimate(one, lambda sums: sums[..., 0] / sums[..., 1], np.random.default_rng(1))[
        :3
    ] == (3, 3, 3)


def test_holm_by_hand():
    # Sorted: 0.01 × 4, 0.02 × 3, 0.03 × 2 → at least the one before, 0.04 × 1 → likewise.
    assert holm([0.03, 0.01, None, 0.04, 0.02]) == pytest.approx(
        [3 * 0.02, 4 * 0.01, None, 3 * 0.02, 3 * 0.02]
    )
    assert holm([0.5, 0.9]) == [1, 1]
    assert holm([0.2]) == [0.2]
    assert holm([None]) == [None]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_lies_between_the_p_value_and_bonferroni(p_values):
    for p, corrected in zip(p_values, holm(p_values), strict=True):
        assert p <= corrected <= min(1, len(p_values) * p) + 1e-12
    order = np.argsort(p_values)
    assert np.all(np.diff(np.array(holm(p_values))[order]) >= 0)
