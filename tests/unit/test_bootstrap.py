"""The interval of a mean: it is the ordinary bootstrap, and it covers."""

import math

import numpy as np
import pytest
from skipwise.bootstrap import mean_interval


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
    [gains(150, 1), (np.arange(120) % 4 == 0).astype(float), np.random.default_rng(2).normal(size=80)],
    ids=["ndcg", "hits", "all distinct"],
)
def test_quantiles_are_those_of_the_plain_bootstrap(values, level):
    resamples = 10_000
    low, high, spread = plain_bootstrap(values, resamples=resamples, level=level, seed=3)
    found = mean_interval(values, np.random.default_rng(4), resamples=resamples, level=level)
    # The standard error of a quantile at p is √(p(1−p)/R) / density; here for a normal density, twice over, five of them.
    p = (1 - level) / 2
    z = {0.5: 0.6745, 0.8: 1.2816, 0.95: 1.96, 0.99: 2.5758}[level]
    error = math.sqrt(p * (1 - p) / resamples) / (math.exp(-z * z / 2) / math.sqrt(2 * math.pi)) * spread
    assert found == pytest.approx((low, high), abs=5 * math.sqrt(2) * error + 1 / len(values) * (len(np.unique(values)) == 2))


def test_width_is_that_of_the_normal_interval():
    values = gains(2000, 5)
    low, high = mean_interval(values, np.random.default_rng(0), resamples=20_000)
    half = 1.96 * values.std() / math.sqrt(2000)
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.06 * half)


def test_interval_covers_the_true_mean():
    rng = np.random.default_rng(6)
    covered = 0
    for _ in range(1000):
        low, high = mean_interval((rng.random(400) < 0.3).astype(float), rng, resamples=1000)
        covered += low <= 0.3 <= high
    # 95 % of 1,000, whose standard deviation is 7; the percentile bootstrap covers slightly less.
    assert 925 <= covered <= 970


def test_difference_is_paired():
    """Two models that agree on almost every session: their difference is known far better than each of them."""
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
    """One hit in 1,000: the count of a resample is about Poisson(1), whose 2.5 % and 97.5 % quantiles are 0 and 3."""
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
    intervals = [mean_interval(values, np.random.default_rng(1), level=level) for level in (0.5, 0.9, 0.99)]
    lows, highs = zip(*intervals, strict=True)
    assert list(lows) == sorted(lows, reverse=True)
    assert list(highs) == sorted(highs)
    assert len(set(lows)) == 3


def test_as_many_sessions_as_the_papers_have():
    values = gains(450_000, 12)
    low, high = mean_interval(values, np.random.default_rng(0), resamples=10_000)
    half = 1.96 * values.std() / math.sqrt(450_000)
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.1 * half)
