"""Drawn tracks: which they may be, and that each allowed set is as likely as the next."""

import itertools
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare
from skipwise.ranking.candidates import _ordered, draw_distinct, sampled_candidates


def padded(rows: list[list[int]]) -> np.ndarray:
    width = max(map(len, rows), default=0)
    return np.array([row + [0] * (width - len(row)) for row in rows], np.int32).reshape(
        len(rows), width
    )


@settings(deadline=None, max_examples=300)
@given(st.integers(1, 60), st.integers(0, 12), st.integers(0, 2**32 - 1), st.data())
def test_draws_are_distinct_and_allowed(n_tracks, size, seed, data):
    forbidden = data.draw(st.lists(st.lists(st.integers(1, n_tracks), max_size=5), max_size=4))
    drawn = draw_distinct(np.random.default_rng(seed), n_tracks, size, padded(forbidden))
    assert drawn.shape == (len(forbidden), size)
    assert drawn.dtype == np.int32
    for row, never in zip(drawn.tolist(), forbidden, strict=True):
        allowed = set(range(1, n_tracks + 1)) - set(never)
        tracks = [track for track in row if track != 0]
        assert set(tracks) <= allowed
        assert len(set(tracks)) == len(tracks) == min(size, len(allowed))
        assert row == tracks + [0] * (size - len(tracks))  # filled up at the end


@pytest.mark.parametrize("width", [1, 3, 1023, 1024, 1085])
@pytest.mark.parametrize("largest", [0, 5, 2**21 - 1, 2**21, 2**22, 2**31 - 1])
def test_values_and_their_columns_are_ordered_as_by_a_stable_argsort(width, largest):
    """32 bits hold value and column up to a border, 64 do beyond."""
    values = np.random.default_rng(1).integers(0, largest, (3, width), np.int32, endpoint=True)
    values[:, width // 2] = values[0, 0] = largest
    ordered, column = _ordered(values)
    order = np.argsort(values, axis=1, kind="stable")
    np.testing.assert_array_equal(column, order)
    np.testing.assert_array_equal(ordered, np.take_along_axis(values, order, axis=1))


def test_draws_from_millions_of_tracks_are_distinct_and_allowed():
    forbidden = np.arange(1, 1101, dtype=np.int32)[None].repeat(50, 0)
    drawn = draw_distinct(np.random.default_rng(1), 2**21 + 100, 1000, forbidden)
    assert all(
        len(set(row)) == 1000 and min(row) > 1100 and max(row) <= 2**21 + 100
        for row in drawn.tolist()
    )


# Tracks, size, forbidden: the branch changes where n_tracks = 4 (size + forbidden).
SMALL = (10, 3, [4, 9])  # 8 allowed tracks, 56 sets
LARGE = (40, 2, [4, 9])  # 38 allowed tracks, 703 sets
BORDER = (16, 2, [4, 9])  # the smallest catalogue of the large branch: 14 allowed tracks, 91 sets


@pytest.mark.parametrize(("n_tracks", "size", "forbidden"), [SMALL, BORDER, LARGE])
def test_each_set_of_allowed_tracks_is_equally_likely(n_tracks, size, forbidden):
    allowed = sorted(set(range(1, n_tracks + 1)) - set(forbidden))
    rows = 100 * math.comb(len(allowed), size)
    drawn = draw_distinct(
        np.random.default_rng(11), n_tracks, size, np.array([forbidden] * rows, np.int32)
    )
    counts = Counter(map(tuple, np.sort(drawn, axis=1).tolist()))
    observed = [counts[tracks] for tracks in itertools.combinations(allowed, size)]
    assert sum(observed) == rows  # so there is no other set
    assert chisquare(observed).pvalue > 0.001


@pytest.mark.parametrize(("n_tracks", "size", "forbidden"), [SMALL, LARGE])
def test_rows_are_drawn_independently(n_tracks, size, forbidden):
    """Which track is first in one row says nothing about which is first in the next."""
    allowed = sorted(set(range(1, n_tracks + 1)) - set(forbidden))
    pairs = 20 * len(allowed) ** 2
    drawn = draw_distinct(
        np.random.default_rng(12), n_tracks, size, np.array([forbidden] * (2 * pairs), np.int32)
    )
    first = drawn.min(1).reshape(pairs, 2)
    together = Counter(map(tuple, first.tolist()))
    left, right = Counter(first[:, 0].tolist()), Counter(first[:, 1].tolist())
    cells = [(a, b) for a in left for b in right if left[a] * right[b] / pairs >= 5]
    statistic = sum(
        (together[a, b] - left[a] * right[b] / pairs) ** 2 / (left[a] * right[b] / pairs)
        for a, b in cells
    )
    freedom = (len({a for a, _ in cells}) - 1) * (len({b for _, b in cells}) - 1)
    assert statistic < freedom + 5 * math.sqrt(2 * freedom)


def test_each_row_has_its_own_forbidden_tracks():
    drawn = draw_distinct(
        np.random.default_rng(0), 6, 5, np.array([[1, 2, 3], [4, 5, 6], [6, 0, 0]], np.int32)
    )
    assert [sorted(row) for row in drawn.tolist()] == [
        [0, 0, 4, 5, 6],
        [0, 0, 1, 2, 3],
        [1, 2, 3, 4, 5],
    ]


def test_a_row_may_have_no_allowed_track():
    drawn = draw_distinct(
        np.random.default_rng(0), 3, 4, np.array([[1, 2, 3], [3, 0, 0]], np.int32)
    )
    assert drawn[0].tolist() == [0, 0, 0, 0]
    assert sorted(drawn[1].tolist()) == [0, 0, 1, 2]


def test_more_may_be_asked_than_the_catalogue_has():
    drawn = draw_distinct(np.random.default_rng(0), 3, 10, np.array([[2], [0]], np.int32))
    assert sorted(drawn[0].tolist()) == [0] * 8 + [1, 3]
    assert sorted(drawn[1].tolist()) == [0] * 7 + [1, 2, 3]


@pytest.mark.parametrize("n_tracks", [30, 3000])
def test_draws_depend_on_the_seed_alone(n_tracks):
    forbidden = np.array([[1, 2], [3, 0]], np.int32)
    first, again, other = (
        draw_distinct(np.random.default_rng(seed), n_tracks, 10, forbidden) for seed in (5, 5, 6)
    )
    np.testing.assert_array_equal(first, again)
    assert first.tolist() != other.tolist()


def test_a_forbidden_track_may_stand_twice_and_anywhere():
    drawn = draw_distinct(
        np.random.default_rng(0), 100, 20, np.tile(np.array([7, 0, 7, 5], np.int32), (200, 1))
    )
    assert not np.isin(drawn, [0, 5, 7]).any()
    assert set(range(1, 101)) - set(drawn.ravel().tolist()) == {5, 7}


# --- candidates of the sampled evaluation


def group(n_tracks: int, sessions: int, seed: int, *, length: int = 12):
    rng = np.random.default_rng(seed)
    contexts = rng.integers(1, n_tracks + 1, (sessions, length)).astype(np.int32)
    contexts[np.arange(length) >= rng.integers(1, length + 1, sessions)[:, None]] = 0
    return contexts, rng.integers(1, n_tracks + 1, sessions).astype(np.int32)


@pytest.mark.parametrize(
    ("n_tracks", "size", "sessions"),
    [
        (5000, 1000, 64),
        (20_000, 1000, 64),
        (300, 50, 64),
        (90, 1000, 64),
        (400, 20, 22),
        (50, 10, 1),
    ],
)
def test_candidates_are_target_uniform_tracks_and_the_other_targets(n_tracks, size, sessions):
    contexts, targets = group(n_tracks, sessions, seed=n_tracks)
    candidates = sampled_candidates(np.random.default_rng(1), n_tracks, size, contexts, targets)
    assert candidates.dtype == np.int32
    assert len(candidates) == sessions
    for row, context, target in zip(
        candidates.tolist(), contexts.tolist(), targets.tolist(), strict=True
    ):
        tracks = [track for track in row if track != 0]
        assert row[0] == target
        assert len(set(tracks)) == len(tracks)
        assert set(targets.tolist()) <= set(tracks)
        assert set(tracks) <= set(range(1, n_tracks + 1))
        uniform = set(tracks) - set(targets.tolist())
        assert not uniform & set(context)
        # A drawn track that is also another's target counts once, so the candidates may be a few
        # less than drawn.
        free = n_tracks - len((set(context) | {target}) - {0})
        assert min(size, free) - len(set(targets.tolist())) < len(uniform) <= size


def test_other_targets_are_candidates_even_where_they_were_observed():
    contexts, targets = np.array([[2, 3], [1, 0]], np.int32), np.array([1, 2], np.int32)
    candidates = sampled_candidates(np.random.default_rng(0), 6, 10, contexts, targets)
    assert [sorted(set(row) - {0}) for row in candidates.tolist()] == [
        [1, 2, 4, 5, 6],
        [1, 2, 3, 4, 5, 6],
    ]


def test_a_target_that_was_observed_is_a_candidate():
    contexts, targets = np.array([[1, 2, 1]], np.int32), np.array([1], np.int32)
    candidates = sampled_candidates(np.random.default_rng(0), 5, 10, contexts, targets)
    assert candidates[0, 0] == 1
    assert sorted(candidates[candidates > 0].tolist()) == [1, 3, 4, 5]


def test_one_target_of_a_whole_group_is_one_candidate():
    contexts, targets = np.full((64, 1), 3, np.int32), np.full(64, 7, np.int32)
    candidates = sampled_candidates(np.random.default_rng(0), 5000, 100, contexts, targets)
    assert (candidates[:, 0] == 7).all()
    assert ((candidates == 7).sum(1) == 1).all()
    assert ((candidates > 0).sum(1) == 101).all()


def test_candidates_depend_on_the_seed_alone():
    contexts, targets = group(3000, 64, seed=2)
    first, again, other = (
        sampled_candidates(np.random.default_rng(s), 3000, 100, contexts, targets)
        for s in (5, 5, 6)
    )
    np.testing.assert_array_equal(first, again)
    assert first.tolist() != other.tolist()


@pytest.mark.parametrize("n_tracks", [41, 60])
def test_every_unobserved_track_is_drawn_equally_often(n_tracks):
    """2,000 sessions of the same context and target: 8 of n other tracks each."""
    contexts, targets = np.tile(np.array([5, 6], np.int32), (50, 1)), np.full(50, 1, np.int32)
    rng = np.random.default_rng(3)
    candidates = np.concatenate(
        [sampled_candidates(rng, n_tracks, 8, contexts, targets) for _ in range(40)]
    )
    counts = np.bincount(candidates.ravel(), minlength=n_tracks + 1)
    assert counts[[1, 5, 6]].tolist() == [2000, 0, 0]
    observed = np.delete(counts, [0, 1, 5, 6])
    assert observed.sum() == 2000 * 8
    # Drawn without replacement, the counts vary less than independent ones by (n − 8) / (n − 1).
    n = n_tracks - 3
    expected = 2000 * 8 / n
    statistic = ((observed - expected) ** 2 / expected).sum() * (n - 1) / (n - 8)
    assert abs(statistic - (n - 1)) < 4 * math.sqrt(2 * (n - 1))
