"""Intervals, p-values and Holm's correction: clusters and seeds are in them, and they cover."""

import math
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta, binomtest, norm
from scipy.stats import t as student
from skipwise.evaluation.intervals import (
    FLIPS,
    Component,
    Estimate,
    Ratio,
    estimate,
    first_less_others,
    holm,
    interval_of_hits,
    mean_estimate,
    sign_flip_p,
)


def study(
    rng, *, seeds, users, per_user, of_seed, of_user, of_session, of_both, of_user_and_seed=0.0
):
    """Gains (seeds, S) whose true mean is 0, and the user of each session."""
    user = np.repeat(np.arange(users), per_user)
    size = (seeds, len(user))
    gains = rng.normal(0, of_session, len(user)) + rng.normal(0, of_both, size)
    gains += rng.normal(0, of_seed, (seeds, 1)) + rng.normal(0, of_user, users)[user]
    gains += rng.normal(0, of_user_and_seed, (seeds, users))[:, user]
    return gains, user


class TestVariance:
    def test_one_training_of_independent_sessions_is_the_t_interval(self):
        values = np.random.default_rng(1).normal(0.2, 1, (1, 40))
        found = mean_estimate(values, np.arange(40))
        half = student.isf(0.025, 39) * values.std(ddof=1) / math.sqrt(40)
        assert found.value == pytest.approx(values.mean())
        assert found.interval(0.95) == pytest.approx((values.mean() - half, values.mean() + half))
        assert found.design_effect == pytest.approx(1)

    @pytest.mark.parametrize("columns", [1, 2, 4, 8])
    def test_clusters_and_seeds_by_hand(self, columns):
        """The sum of the means of several columns, by loops over clusters and seeds."""
        rng = np.random.default_rng(2)
        seeds, n = 4, 60
        cluster = rng.permutation(n) % 12
        values = rng.normal(size=(seeds, n, columns)) + rng.normal(size=(seeds, 1, 1))
        values += rng.normal(0, 2, 12)[cluster][:, None]
        means = [Ratio(column, np.ones(n)) for column in np.moveaxis(values, 2, 0)]
        found = estimate(means, lambda ratios: ratios.sum(-1), cluster)
        total = values.sum(2)
        mean = total.mean()
        within = np.array(
            [[(total[r][cluster == c] - mean).sum() / n for c in range(12)] for r in range(seeds)]
        )
        clusters, of_seed = within.mean(0), within.sum(1)
        over_clusters = (clusters**2).sum() * 12 / 11
        both = within - clusters - of_seed[:, None] / 12
        over_both = (both**2).sum() * 12 / (11 * (seeds - 1)) / seeds
        beyond = over_clusters - over_both
        assert beyond > 0
        over_seeds = of_seed.var(ddof=1) / seeds
        assert found.components[0] == pytest.approx((beyond, 11), rel=1e-6)
        assert found.components[1] == pytest.approx((over_seeds, seeds - 1), rel=1e-6)
        assert found.design_effect == pytest.approx(
            math.sqrt(over_clusters / ((total.mean(0) - mean) ** 2).sum() * n * (n - 1)), rel=1e-6
        )

    @pytest.mark.parametrize("seeds", [1, 3, 10])
    def test_a_million_sessions_lose_no_variance(self, seeds):
        """Eight columns of continuous values: the standard error is that of theory."""
        rng = np.random.default_rng(3)
        n = 1_000_000 // seeds
        values = rng.normal(0, 1, (seeds, n, 8))
        means = [Ratio(column, np.ones(n)) for column in np.moveaxis(values, 2, 0)]
        found = estimate(means, lambda ratios: ratios.sum(-1), np.arange(n))
        error = math.sqrt(found.over_clusters)
        assert error == pytest.approx(math.sqrt(8 / (seeds * n)), rel=0.02)

    def test_a_ratio_agrees_with_resampling_its_clusters(self):
        rng = np.random.default_rng(4)
        cluster = np.repeat(np.arange(80), rng.integers(1, 9, 80))
        n = len(cluster)
        size = rng.integers(0, 4, n).astype(float)
        hits = rng.binomial(size.astype(int), 0.2 + 0.4 * rng.random(80)[cluster]).astype(float)
        found = estimate([Ratio(hits, size)], first_less_others, cluster)
        sums = np.stack([np.bincount(cluster, hits), np.bincount(cluster, size)], axis=1)
        drawn = sums[rng.integers(0, 80, (20_000, 80))].sum(1)
        assert found.value == hits.sum() / size.sum()
        assert math.sqrt(found.components[0].variance) == pytest.approx(
            (drawn[:, 0] / drawn[:, 1]).std(), rel=0.05
        )
        assert found.design_effect > 1.1

    @pytest.mark.parametrize("several", [False, True])
    def test_what_is_of_clusters_is_that_of_leaving_each_one_out(self, several):
        """Of unequal clusters, and of a difference of ratios with other denominators."""
        rng = np.random.default_rng(14)
        n = 25
        cluster = np.repeat(np.arange(n), rng.lognormal(2, 1, n).astype(int) + 1)
        skips = rng.poisson(rng.lognormal(0, 1, n)[cluster]).astype(float)
        skips[cluster == 3] = 0  # a user whom only the other mean counts
        seeds = 4 if several else 1
        hits = rng.normal(0.3, 1, (seeds, len(cluster))) + rng.normal(0, 1, (seeds, n))[:, cluster]
        ratios = [Ratio(hits**2 * skips, skips), Ratio(hits, np.ones(len(cluster)))]

        def left(out):
            kept = cluster != out
            return [of.numerator[:, kept].sum(1) / of.denominator[kept].sum() for of in ratios]

        whole = left(-1)
        moved = np.stack([np.subtract(whole, left(out)) for out in range(n)])  # (C, M, R)
        change = (moved[:, 0] - moved[:, 1]) * (n - 1) / n
        over_clusters = (change.mean(1) ** 2).sum() * n / (n - 1)
        found = estimate(ratios, first_less_others, cluster)
        assert found.value == pytest.approx((whole[0] - whole[1]).mean())
        assert found.over_clusters == pytest.approx(over_clusters, rel=1e-6)
        fewest = min(
            1 / ((np.bincount(cluster, of.denominator) / of.denominator.sum()) ** 2).sum()
            for of in ratios
        )
        assert found.components[0].freedom == int(fewest) - 1
        if several:
            rest = change - change.mean(1, keepdims=True)
            of_both = (rest**2).sum() * n / ((n - 1) * (seeds - 1)) / seeds
            assert found.crossed == pytest.approx(of_both, rel=1e-6)

    def test_sessions_are_in_no_order_and_clusters_have_no_names(self):
        rng = np.random.default_rng(5)
        values, cluster = rng.normal(size=(3, 90)), rng.integers(0, 20, 90)
        order = rng.permutation(90)
        first = mean_estimate(values, cluster)
        again = mean_estimate(values[:, order], cluster[order] * 7 + 3)
        assert again.interval(0.95) == pytest.approx(first.interval(0.95))

    def test_fewer_than_three_seeds_speak_of_these_trainings(self):
        values = np.random.default_rng(6).normal(size=(2, 50)) + np.array([[0.0], [9.0]])
        found = mean_estimate(values, np.arange(50))
        assert len(found.components) == 1
        low, high = found.interval(0.95)
        assert high - low < 1  # the seeds lie 9 apart

    def test_what_is_not_known_is_not_a_number(self):
        nothing = mean_estimate(np.zeros((1, 0)), np.arange(0))
        one_user = mean_estimate(np.ones((1, 9)), np.zeros(9))
        undefined = estimate([Ratio(np.zeros(9), np.zeros(9))], first_less_others, np.arange(9))
        skips = np.repeat([2.0, 0.0], [4, 16])  # of one user
        of_skips = Ratio(np.random.default_rng(1).normal(size=(3, 20)) * skips, skips)
        of_one = estimate([of_skips], first_less_others, np.arange(20) // 4)
        for found in (nothing, one_user, undefined, of_one):
            assert np.isnan([*found.interval(0.95), found.p]).all()
        assert one_user.value == 1

    def test_where_all_sessions_agree_there_is_no_width(self):
        found = mean_estimate(np.full((3, 50), 0.25), np.arange(50))
        assert found.interval(0.95) == pytest.approx((0.25, 0.25))
        assert found.p < 1e-300

    @pytest.mark.parametrize("hit", [0.0, 1.0])
    def test_hits_that_are_all_alike_have_the_interval_of_so_many_users(self, hit):
        values, user = np.full((3, 60), hit), np.arange(60) // 3
        low, high = interval_of_hits(values, user, 0.95)
        assert (low, high)[int(hit)] == hit
        # 20 users of whom none is a hit: the share at which that happens in 2.5 %.
        assert abs(hit - (high, low)[int(hit)]) == pytest.approx(1 - 0.025 ** (1 / 20))
        assert np.isnan(interval_of_hits(values, np.zeros(60), 0.95)).all()

    @pytest.mark.parametrize("hits", [1, 2, 5, 95, 99])
    def test_few_hits_have_the_interval_of_their_binomial_distribution(self, hits):
        values = (np.arange(100) < hits).astype(float)[None]
        exact = beta.ppf(0.025, hits, 101 - hits), beta.ppf(0.975, hits + 1, 100 - hits)
        assert interval_of_hits(values, np.arange(100), 0.95) == pytest.approx(exact)

    def test_more_hits_have_higher_limits(self):
        found = [
            interval_of_hits((np.arange(100) < hits).astype(float)[None], np.arange(100), 0.95)
            for hits in range(101)
        ]
        assert (np.diff(found, axis=0) > 0)[1:-1].all()
        assert (np.diff(found, axis=0) >= 0).all()

    def test_five_trainings_of_few_hits_are_not_five_times_the_sessions(self):
        """A hit in one of five says no less than none: how much seeds agree is not seen in it."""
        values, session = np.zeros((5, 2000)), np.arange(2000)
        none = interval_of_hits(values, session, 0.95)
        values[2, 7] = 1
        one = interval_of_hits(values, session, 0.95)
        assert one[1] > none[1]

    def test_of_many_hits_the_interval_is_that_of_the_mean(self):
        rng = np.random.default_rng(16)
        values, user = (rng.random((3, 9000)) < 0.2).astype(float), np.arange(9000) // 3
        symmetric = mean_estimate(values, user).interval(0.95)
        assert interval_of_hits(values, user, 0.95) == pytest.approx(symmetric, abs=0.001)

    def test_a_ratio_of_rare_hits_has_the_interval_of_its_counts(self):
        """Of 1 and 3 hits in 300,000 sessions, in the steps of its gradient."""
        n = 300_000
        hits = [np.zeros((3, n)) for _ in range(2)]
        hits[0][:, :3], hits[1][:, 7] = 1, 1
        ratios = [Ratio(of, np.ones(n)) for of in hits]
        found = estimate(ratios, lambda means: means[..., 0] / means[..., 1], np.arange(n))
        assert found.value == pytest.approx(3)
        # By hand: 3² · (1/3 + 1/1), the squares of the relative errors of the counts.
        assert found.over_clusters == pytest.approx(9 * (1 / 3 + 1), rel=1e-4)

    def test_users_without_what_is_counted_are_none(self):
        """The mean over the skips of 5 users is that of 5 users, whoever else is there."""
        rng = np.random.default_rng(17)
        user, counted = np.arange(200) // 4, np.arange(200) < 20
        of_user = rng.normal(size=50)[user] + rng.normal(size=(3, 50))[:, user]
        values = (of_user + rng.normal(size=(3, 200))) * counted

        def found(these):
            ratio = Ratio(values[:, these], counted[these].astype(float))
            return estimate([ratio], first_less_others, user[these])

        all_users, five = found(np.full(200, True)), found(counted)
        for part, of_five in zip(all_users.components, five.components, strict=True):
            assert part == pytest.approx(of_five)
        assert five.components[0].variance > 0
        assert (all_users.crossed, all_users.naive) == pytest.approx((five.crossed, five.naive))

    def test_independent_estimates_are_subtracted(self):
        rng = np.random.default_rng(7)
        one, other = (mean_estimate(rng.normal(size=(3, 50)), np.arange(50)) for _ in range(2))
        difference = one - other
        assert difference.value == one.value - other.value
        assert difference.components == one.components + other.components

    @pytest.mark.slow
    def test_the_papers_size_takes_seconds(self):
        rng = np.random.default_rng(8)
        values, cluster = rng.random((5, 450_000)), rng.integers(0, 20_000, 450_000)
        started = time.perf_counter()
        mean_estimate(values, cluster)
        assert time.perf_counter() - started < 5


SHAPES = {
    "sessions": {"of_seed": 0.0, "of_user": 0.0, "of_session": 0.2, "of_both": 0.3},
    "users": {"of_seed": 0.0, "of_user": 0.08, "of_session": 0.2, "of_both": 0.3},
    "seeds": {"of_seed": 0.02, "of_user": 0.0, "of_session": 0.2, "of_both": 0.3},
    "all": {"of_seed": 0.01, "of_user": 0.05, "of_session": 0.2, "of_both": 0.3},
    "seeds and both": {"of_seed": 0.03, "of_user": 0.0, "of_session": 0.05, "of_both": 0.3},
    "mostly seeds": {"of_seed": 0.05, "of_user": 0.05, "of_session": 0.1, "of_both": 0.2},
}


class TestCoverage:
    @pytest.mark.parametrize("seeds", [3, 5, 10])
    @pytest.mark.parametrize("shape", SHAPES)
    def test_the_interval_covers(self, seeds, shape):
        rng = np.random.default_rng([seeds, *shape.encode()])
        covered = 0
        for _ in range(500):
            gains, user = study(rng, seeds=seeds, users=100, per_user=5, **SHAPES[shape])
            low, high = mean_estimate(gains, user).interval(0.95)
            covered += low <= 0 <= high
        # 93 to 98 % is asked for; 500 studies tell it with an error of 1 %.
        assert 0.93 - 0.025 < covered / 500 < 0.98 + 0.015, covered

    @pytest.mark.parametrize("of_user_and_seed", [0.0, 0.1])
    @pytest.mark.parametrize("seeds", [1, 5, 10])
    @pytest.mark.parametrize("users", [10, 30, 100])
    def test_it_covers_where_few_users_have_most_sessions(self, users, seeds, of_user_and_seed):
        rng = np.random.default_rng([seeds, users])
        shape = SHAPES["all"] | {"of_user_and_seed": of_user_and_seed}
        if seeds == 1:
            shape |= {"of_seed": 0.0, "of_both": 0.0}
        covered = 0
        for _ in range(500):
            sizes = np.maximum(rng.lognormal(2, 1.2, users), 1).astype(int)
            gains, user = study(rng, seeds=seeds, users=users, per_user=sizes, **shape)
            low, high = mean_estimate(gains, user).interval(0.95)
            covered += low <= 0 <= high
        assert covered / 500 > 0.93 - 0.025, covered

    @pytest.mark.parametrize("users", [10, 30])
    def test_it_covers_where_few_users_have_most_skips(self, users):
        """The same sessions of each user, and a mean over skips, of which some have many."""
        rng = np.random.default_rng(users)
        user = np.repeat(np.arange(users), 20)
        covered = 0
        for _ in range(1000):
            skips = rng.poisson(rng.lognormal(0, 1.2, users)[user] + 0.1).astype(float)
            gains = rng.normal(0, 0.3, len(user)) + rng.normal(0, 0.2, users)[user]
            found = estimate([Ratio(gains * skips, skips)], first_less_others, user)
            low, high = found.interval(0.95)
            covered += low <= 0 <= high
        assert covered / 1000 > 0.93 - 0.02, covered

    def test_without_clusters_it_would_not(self):
        """950 users with 20 sessions each and a share of variance of .04."""
        rng = np.random.default_rng(9)
        covered = np.zeros(2)
        for _ in range(200):
            gains, user = study(
                rng,
                seeds=1,
                users=950,
                per_user=20,
                of_seed=0,
                of_user=math.sqrt(0.04),
                of_session=math.sqrt(0.96),
                of_both=0,
            )
            for which, cluster in enumerate((user, np.arange(len(user)))):
                low, high = mean_estimate(gains, cluster).interval(0.95)
                covered[which] += low <= 0 <= high
        assert covered[0] / 200 > 0.91
        assert covered[1] / 200 < 0.91

    def test_the_same_model_three_seeds_against_three(self):
        """Ten seeds of one model; three are called the variant, three others the reference."""
        rng = np.random.default_rng(10)
        excluded = 0
        for _ in range(300):
            hard = rng.random(500)
            hits = (hard + rng.normal(0, 0.02, (10, 1)) + rng.normal(0, 0.1, (10, 500))) < 0.3
            chosen = rng.permutation(10)
            gains = hits[chosen[:3]].astype(float) - hits[chosen[3:6]]
            low, high = mean_estimate(gains, np.arange(500)).interval(0.95)
            excluded += not low <= 0 <= high
        assert binomtest(excluded, 300, 0.05).pvalue > 0.001, excluded


class TestPValues:
    def test_it_is_the_level_at_which_the_interval_touches_zero(self):
        rng = np.random.default_rng(11)
        for shift in (0.02, 0.1, 0.4):
            found = mean_estimate(rng.normal(shift, 1, (3, 200)), np.arange(200) // 4)
            low, high = found.interval(1 - found.p)
            assert min(abs(low), abs(high)) == pytest.approx(0, abs=1e-3 * (high - low))

    def test_of_one_part_it_is_that_of_the_t_distribution(self):
        assert Estimate(3.0, (Component(1.0, 5),)).p == pytest.approx(
            2 * student.sf(3, 5), rel=1e-3
        )
        assert Estimate(-2.575829, (Component(1.0, 10**9),)).p == pytest.approx(0.01, rel=1e-3)
        assert Estimate(0.0, (Component(1.0, 5),)).p == 1

    def test_within_a_limit_it_is_the_level_at_which_the_interval_reaches_it(self):
        rng = np.random.default_rng(11)
        for shift in (-0.3, 0.0, 0.2):
            found = mean_estimate(rng.normal(shift, 1, (3, 200)), np.arange(200) // 4)
            for limit in (0.1, 0.5, 1.0):
                p = found.p_within(limit)
                if abs(found.value) >= limit:
                    assert p == 1
                    continue
                low, high = found.interval(1 - p)
                assert max(-low, high) == pytest.approx(limit, abs=1e-3 * limit)
                low, high = found.interval(0.95)
                assert (p < 0.05) == (-limit < low and high < limit)

    def test_of_one_part_within_a_limit_it_is_twice_that_of_a_one_sided_test(self):
        found = Estimate(1.0, (Component(1.0, 5),))
        assert found.p_within(4) == pytest.approx(2 * student.sf(3, 5), rel=1e-3)
        assert np.isnan(Estimate(np.nan, (Component(np.nan, 1),)).p_within(1))

    def test_of_no_difference_they_are_uniform(self):
        rng = np.random.default_rng(12)
        found = [
            mean_estimate(rng.normal(size=(3, 100)) + rng.normal(size=(3, 1)), np.arange(100)).p
            for _ in range(400)
        ]
        assert binomtest(int((np.array(found) < 0.1).sum()), 400, 0.1).pvalue > 1e-3
        assert binomtest(int((np.array(found) < 0.5).sum()), 400, 0.5).pvalue > 1e-3

    def test_what_can_be_detected_is_detected_with_power_80(self):
        rng = np.random.default_rng(13)
        effect = mean_estimate(rng.normal(size=(1, 400)), np.arange(400)).detectable(0.95)
        assert effect == pytest.approx((norm.isf(0.025) + norm.isf(0.2)) / 20, rel=0.1)
        shown = sum(
            mean_estimate(rng.normal(effect, 1, (1, 400)), np.arange(400)).interval(0.95)[0] > 0
            for _ in range(400)
        )
        assert shown / 400 == pytest.approx(0.8, abs=0.1)


class TestSignFlips:
    def test_few_values_have_all_signs(self):
        assert sign_flip_p(np.ones(5), 1) == 2 / 2**5
        assert sign_flip_p(np.array([3.0, 0, 0, -1, 1]), 1) == 6 / 2**3
        assert sign_flip_p(np.zeros(4), 1) == 1

    def test_many_values_are_as_normal_ones(self):
        rng = np.random.default_rng(14)
        values = rng.normal(0.1, 1, 400)
        z = values.sum() / math.sqrt((values**2).sum())
        assert sign_flip_p(values, 1) == pytest.approx(2 * norm.sf(abs(z)), abs=0.02)
        assert sign_flip_p(np.ones(100), 1) == 1 / (FLIPS + 1)

    def test_one_session_decides_nothing(self):
        """A single session that differs a lot: no normal tail, so no small p-value."""
        values = np.zeros(1000)
        values[3] = 1
        assert sign_flip_p(values, 1) == 1


@pytest.mark.parametrize(("times", "seeds"), [(1, 4), (4, 4), (1, 20), (0.25, 3)])
def test_a_study_of_another_size_has_the_variances_of_theory(times, seeds):
    """Means of 400 studies of 60 users and 4 seeds, resized, against the true parts."""
    parts = {"of_seed": 0.3, "of_user": 0.8, "of_session": 1.0, "of_both": 2.0}
    rng = np.random.default_rng(5)
    found = []
    for _ in range(400):
        made = mean_estimate(*study(rng, seeds=4, users=60, per_user=2, **parts))
        found.append([part.variance for part in made.resized(times, seeds).components])
    n = 120 * times
    over_users = (parts["of_user"] ** 2 * 2 + parts["of_session"] ** 2) / n
    over_seeds = (parts["of_seed"] ** 2 + parts["of_both"] ** 2 / n) / seeds
    assert np.mean(found, axis=0) == pytest.approx([over_users, over_seeds], rel=0.12)


@pytest.mark.parametrize("times", [0.5, 2.0])
def test_the_residual_is_taken_to_shrink_and_no_more(times):
    """Where seeds happen to differ less than the residual says, the seeds alone add nothing."""
    parts = (Component(2.0, 59), Component(1.0, 4))
    _, over_seeds = Estimate(1.0, parts, crossed=3.0).resized(times, 5).components
    assert over_seeds == pytest.approx((3.0 / times, 4))


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
