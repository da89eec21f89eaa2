"""Metrics: arithmetic by hand, a brute force that sorts, and the bounds between them.  Libraries:
test_agreement.py.
"""

import math

import numpy as np
import pyarrow as pa
import pytest
from examples import ranks_table
from hypothesis import given, settings
from hypothesis import strategies as st
from skipwise.core.artifacts import read_artifact, write_artifact
from skipwise.ranking.metrics import (
    CUTOFFS,
    average_precision,
    check_bounds,
    compute_metrics,
    hit_rate,
    ndcg,
    per_session,
    summarise,
)

log2 = math.log2
nan = math.nan


def test_values_by_hand():
    rank = np.array([1.0, 2.0, 5.0, 6.0, 10.0, 11.0, nan])
    assert hit_rate(rank, 1).tolist() == [1, 0, 0, 0, 0, 0, 0]
    assert hit_rate(rank, 5).tolist() == [1, 1, 1, 0, 0, 0, 0]
    assert hit_rate(rank, 10).tolist() == [1, 1, 1, 1, 1, 0, 0]
    assert ndcg(rank, 5).tolist() == pytest.approx(
        [1, 1 / log2(3), 1 / log2(6), 0, 0, 0, 0], abs=1e-15
    )
    assert ndcg(rank, 10).tolist() == pytest.approx(
        [1, 1 / log2(3), 1 / log2(6), 1 / log2(7), 1 / log2(11), 0, 0], abs=1e-15
    )
    assert average_precision(rank, 10).tolist() == pytest.approx(
        [1, 1 / 2, 1 / 5, 1 / 6, 1 / 10, 0, 0], abs=1e-15
    )


def test_integer_ranks_give_the_same():
    rank = np.array([1, 2, 10, 11], np.int32)
    for metric in (hit_rate, ndcg, average_precision):
        assert metric(rank, 10).tolist() == metric(rank.astype(np.float64), 10).tolist()


def test_every_metric_at_every_cutoff():
    values = per_session(np.array([3.0]), {"hr": [1, 3], "ndcg": [3], "map": [2, 3]})
    expected = {("hr", 1): 0, ("hr", 3): 1, ("ndcg", 3): 1 / 2, ("map", 2): 0, ("map", 3): 1 / 3}
    assert {key: value.tolist() for key, value in values.items()} == {
        key: [value] for key, value in expected.items()
    }
    assert set(per_session(np.array([3.0]))) == {
        (name, k) for name, ks in CUTOFFS.items() for k in ks
    }


def brute_force(scores: list[float], target: int, k: int) -> tuple[float, float, float]:
    """HR, NDCG and AP by sorting: the target comes behind every track of equal score."""
    order = sorted(range(len(scores)), key=lambda track: (-scores[track], track == target))
    hits, gain, precisions = 0, 0.0, 0.0
    for position, track in enumerate(order[:k], start=1):
        if track == target:
            hits += 1
            gain += 1 / log2(position + 1)
            precisions += hits / position
    return hits, gain, precisions


@settings(deadline=None)
@given(st.lists(st.integers(0, 12), min_size=1, max_size=30), st.integers(1, 25), st.data())
def test_brute_force_agrees(scores, k, data):
    target = data.draw(st.integers(0, len(scores) - 1))
    rank = np.array([float(sum(score >= scores[target] for score in scores))])
    hits, gain, precision = brute_force(scores, target, k)
    assert hit_rate(rank, k)[0] == hits
    assert ndcg(rank, k)[0] == pytest.approx(gain, abs=1e-12)
    assert average_precision(rank, k)[0] == pytest.approx(precision, abs=1e-12)


# --- bounds


def means(rank) -> dict[str, float]:
    values = per_session(np.array(rank, np.float64))
    return {f"{name}_{k}": float(value.mean()) for (name, k), value in values.items()}


@settings(deadline=None)
@given(st.lists(st.one_of(st.integers(1, 30), st.just(nan)), min_size=1, max_size=40))
def test_ranks_never_break_the_bounds(rank):
    check_bounds(means(rank), "here")


@pytest.mark.parametrize("rank", [1, 2, 5, 6, 10, 20, 21, nan])
def test_bounds_hold_where_they_are_tight(rank):
    check_bounds(means([rank] * 7), "here")


# HR@1 + (HR@5−HR@1)/5 + (HR@10−HR@5)/10 = 0.24 ≤ MAP@10 ≤ HR@1 + (HR@5−HR@1)/2 + (HR@10−HR@5)/6 =
# 0.3583…
GOOD = {
    "hr_1": 0.15,
    "hr_5": 0.5,
    "hr_10": 0.7,
    "hr_20": 0.8,
    "ndcg_5": 0.3,
    "ndcg_10": 0.4,
    "ndcg_20": 0.5,
    "map_10": 0.25,
}
LOW = 0.15 + (0.5 - 0.15) / 5 + (0.7 - 0.5) / 10
HIGH = 0.15 + (0.5 - 0.15) / 2 + (0.7 - 0.5) / 6


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"map_10": LOW},
        {"map_10": HIGH},
        {"ndcg_5": 0.5},
        {"ndcg_10": 0.0},
        {"hr_1": 0.5, "map_10": 0.53},
        {"hr_20": 1.0},
        {"hr_20": 0.7},
    ],
)
def test_values_within_the_bounds_are_accepted(change):
    check_bounds(GOOD | change, "here")


@pytest.mark.parametrize(
    ("change", "bound"),
    [
        ({"hr_1": -0.01}, "0 ≤ HR@k ≤ 1, rising with k"),
        ({"hr_1": 0.51}, "0 ≤ HR@k ≤ 1, rising with k"),
        ({"hr_5": 0.71}, "0 ≤ HR@k ≤ 1, rising with k"),
        ({"hr_10": 0.81}, "0 ≤ HR@k ≤ 1, rising with k"),
        ({"hr_20": 1.01}, "0 ≤ HR@k ≤ 1, rising with k"),
        ({"ndcg_5": 0.501}, "0 ≤ NDCG@5 ≤ HR@5"),
        ({"ndcg_10": 0.701}, "0 ≤ NDCG@10 ≤ HR@10"),
        ({"ndcg_20": 0.801}, "0 ≤ NDCG@20 ≤ HR@20"),
        ({"ndcg_10": -0.001}, "0 ≤ NDCG@10 ≤ HR@10"),
        ({"map_10": LOW - 1e-6}, "MAP@10 between its bounds"),
        ({"map_10": HIGH + 1e-6}, "MAP@10 between its bounds"),
    ],
)
def test_each_broken_bound_is_named(change, bound):
    with pytest.raises(ValueError, match=r"^mssd, sasrec breaks ") as caught:
        check_bounds(GOOD | change, "mssd, sasrec")
    assert f"breaks {bound}" in str(caught.value)


@pytest.mark.parametrize("name", ["hr_10", "ndcg_10", "map_10"])
def test_a_value_that_is_no_number_satisfies_no_bound(name):
    with pytest.raises(ValueError, match="breaks"):
        check_bounds(GOOD | {name: nan}, "here")


def test_cutoffs_may_be_few():
    check_bounds({"hr_10": 0.4}, "here")
    check_bounds(
        {"hr_3": 0.4, "ndcg_7": 0.6, "map_10": 0.2}, "here"
    )  # no hit rate at 7: nothing to compare with
    with pytest.raises(ValueError, match="0 ≤ MAP@10 ≤ HR@10"):
        check_bounds({"hr_10": 0.4, "map_10": 0.5}, "here")


def test_a_metric_whose_name_starts_like_another_is_bounded_by_neither():
    check_bounds(GOOD | {"hr_weighted_10": 1.7, "ndcg_at_20": 0.9}, "here")


def test_the_maps_of_the_papers_break_the_bounds():
    """P2 prints for SASRec on MSSD an HR@1 of .377 and a MAP@10 of .397, but .377 + .238 / 5 + .081
    / 10 = .4327.
    """
    with pytest.raises(ValueError, match="MAP@10 between its bounds"):
        check_bounds(
            {"hr_1": 0.377, "hr_5": 0.615, "hr_10": 0.696, "hr_20": 0.767, "map_10": 0.397},
            "P2, MSSD, SASRec",
        )


# --- summary

CONFIGURED = {"hr": [1, 5, 10, 20], "ndcg": [5, 10, 20], "map": [10]}

# rank_full, rank_sampled, is_repeat, skip_ranks
TEN = [
    (1, 1, True, [2]),
    (2, 1, False, [1, 30]),
    (5, 2, True, []),
    (6, 3, False, [6]),
    (10, 5, False, [None]),
    (11, 6, True, []),
    (20, 10, False, []),
    (21, 11, False, []),
    (None, 21, True, [4, None]),
    (3, None, False, []),
]


def table_of(rows) -> pa.Table:
    full, sampled, repeat, skips = zip(*rows, strict=True)
    return ranks_table(full, sampled=sampled, repeat=repeat, skips=skips)


def summary(rows, cutoffs=CONFIGURED) -> dict[tuple, tuple]:
    """(metric, k, candidates, subset) to (value, n)."""
    return cells_of(summarise(table_of(rows), cutoffs))


def cells_of(table: pa.Table) -> dict[tuple, tuple]:
    found = table.to_pylist()
    cells = {
        (row["metric"], row["k"], row["candidates"], row["subset"]): (row["value"], row["n"])
        for row in found
    }
    assert len(cells) == len(found), "a metric stands twice"
    return cells


def mean_of(*terms, n):
    return (pytest.approx(sum(terms) / n, abs=1e-12), n)


def test_summary_of_the_targets():
    cells = summary(TEN)
    hit = {
        ("full", "all"): (10, {1: 1, 5: 4, 10: 6, 20: 8}),
        ("full", "repeat"): (4, {1: 1, 5: 2, 10: 2, 20: 3}),
        ("full", "new"): (6, {1: 0, 5: 2, 10: 4, 20: 5}),
        ("sampled", "all"): (10, {1: 2, 5: 5, 10: 7, 20: 8}),
        ("sampled", "repeat"): (4, {1: 1, 5: 2, 10: 3, 20: 3}),
        ("sampled", "new"): (6, {1: 1, 5: 3, 10: 4, 20: 5}),
    }
    for (candidates, subset), (n, hits) in hit.items():
        for k, count in hits.items():
            assert cells["hr", k, candidates, subset] == mean_of(count, n=n), (
                candidates,
                subset,
                k,
            )
    first_five = (1, 1 / log2(3), 1 / log2(6), 1 / log2(4))  # ranks 1, 2, 5, 3
    first_ten = (*first_five, 1 / log2(7), 1 / log2(11))  # and 6, 10
    assert cells["ndcg", 5, "full", "all"] == mean_of(*first_five, n=10)
    assert cells["ndcg", 10, "full", "all"] == mean_of(*first_ten, n=10)
    assert cells["ndcg", 20, "full", "all"] == mean_of(*first_ten, 1 / log2(12), 1 / log2(21), n=10)
    assert cells["map", 10, "full", "all"] == mean_of(1, 1 / 2, 1 / 5, 1 / 6, 1 / 10, 1 / 3, n=10)
    assert cells["map", 10, "full", "repeat"] == mean_of(1, 1 / 5, n=4)
    assert cells["map", 10, "full", "new"] == mean_of(1 / 2, 1 / 6, 1 / 10, 1 / 3, n=6)
    assert cells["map", 10, "sampled", "all"] == mean_of(
        1, 1, 1 / 2, 1 / 3, 1 / 5, 1 / 6, 1 / 10, n=10
    )


def test_summary_of_the_unseen_skips():
    """Seven skipped plays: ranks 2, 1, 30, 6, null, 4, null."""
    cells = summary(TEN)
    assert cells["hr_skipped", 1, "full", "all"] == mean_of(1, n=7)
    assert cells["hr_skipped", 5, "full", "all"] == mean_of(3, n=7)
    assert cells["hr_skipped", 10, "full", "all"] == mean_of(4, n=7)
    assert cells["hr_skipped", 20, "full", "all"] == mean_of(4, n=7)
    gain = 1 / log2(3) + 1 + 1 / log2(7) + 1 / log2(5)
    assert cells["ndcg_skipped", 10, "full", "all"] == mean_of(gain, n=7)
    assert cells["mrr_skipped", 10, "full", "all"] == mean_of(1 / 2, 1, 1 / 6, 1 / 4, n=7)
    # 1 < 2 yes, 2 < 1 no, 2 < 30 yes, 6 < 6 no, 10 < null yes, null < 4 no, null < null: the scores
    # decide, here yes
    assert cells["pairwise_accuracy", None, "full", "all"] == mean_of(4, n=7)
    target_gain = 1 + 1 / log2(3) + 1 / log2(6) + 1 / log2(4) + 1 / log2(7) + 1 / log2(11)
    assert cells["delta_hr", 10, "full", "all"] == (pytest.approx(6 / 10 - 4 / 7, abs=1e-12), 7)
    assert cells["delta_ndcg", 10, "full", "all"] == (
        pytest.approx(target_gain / 10 - gain / 7, abs=1e-12),
        7,
    )


# Among new candidates the targets that repeat, 1, 5, 11 and the null one, have no rank and do not
# count, and neither do their skips; the others move up by the tracks of the context before them.
NEW = [None, 1, None, 4, 10, None, 11, 20, None, 3]
NEW_SKIPS = [[1], [None, 22], [], [4], [None], [], [], [], [2, None], []]


def test_summary_among_new_candidates():
    """Six targets with ranks 1, 4, 10, 11, 20, 3, and four skips with ranks null, 22, 4, null."""
    full, sampled, repeat, skips = zip(*TEN, strict=True)
    table = ranks_table(
        full, sampled=sampled, repeat=repeat, skips=skips, new=NEW, skips_new=NEW_SKIPS
    )
    cells = cells_of(summarise(table, CONFIGURED))
    for k, hits in {1: 1, 5: 3, 10: 4, 20: 6}.items():
        assert cells["hr", k, "new", "all"] == mean_of(hits, n=6), k
    first_five = (1, 1 / log2(5), 1 / log2(4))
    assert cells["ndcg", 5, "new", "all"] == mean_of(*first_five, n=6)
    assert cells["ndcg", 10, "new", "all"] == mean_of(*first_five, 1 / log2(11), n=6)
    assert cells["ndcg", 20, "new", "all"] == mean_of(
        *first_five, 1 / log2(11), 1 / log2(12), 1 / log2(21), n=6
    )
    assert cells["map", 10, "new", "all"] == mean_of(1, 1 / 4, 1 / 10, 1 / 3, n=6)
    for k, hits in {1: 0, 5: 1, 10: 1, 20: 1}.items():
        assert cells["hr_skipped", k, "new", "all"] == mean_of(hits, n=4), k
    assert cells["ndcg_skipped", 10, "new", "all"] == mean_of(1 / log2(5), n=4)
    assert cells["mrr_skipped", 10, "new", "all"] == mean_of(1 / 4, n=4)
    # By scores, of a track of the context too: 2 < 1 no, 2 < 30 yes, 6 < 6 no, 10 < null yes.
    assert cells["pairwise_accuracy", None, "new", "all"] == mean_of(2, n=4)
    assert cells["delta_hr", 10, "new", "all"] == (pytest.approx(4 / 6 - 1 / 4, abs=1e-12), 4)
    gain = sum((*first_five, 1 / log2(11))) / 6 - 1 / log2(5) / 4
    assert cells["delta_ndcg", 10, "new", "all"] == (pytest.approx(gain, abs=1e-12), 4)
    # The other candidates do not read these ranks.
    others = {key: cell for key, cell in summary(TEN).items() if key[2] != "new"}
    assert {key: cell for key, cell in cells.items() if key[2] != "new"} == others


def test_summary_has_every_row_once():
    # Metrics × subsets: all three among full and sampled candidates, all among new ones.
    targets = 8 * (3 + 1 + 3)
    skips = 4 + 1 + 1 + 1 + 2  # hr, ndcg, mrr, pairwise accuracy, the two differences
    assert len(summary(TEN)) == targets + 2 * skips  # among full and new candidates


def test_without_drawn_candidates_there_are_no_rows_of_them():
    full, _, repeat, skips = zip(*TEN, strict=True)
    table = ranks_table(full, sampled=[None] * 10, repeat=repeat, skips=skips, n_candidates=0)
    found = {candidates for _, _, candidates, _ in cells_of(summarise(table, CONFIGURED))}
    assert found == {"full", "new"}


def test_other_cutoffs():
    cells = summary(TEN, {"hr": [3], "ndcg": [2], "map": [5]})
    assert cells["hr", 3, "full", "all"] == mean_of(3, n=10)
    assert cells["ndcg", 2, "full", "all"] == mean_of(1, 1 / log2(3), n=10)
    assert cells["map", 5, "full", "all"] == mean_of(1, 1 / 2, 1 / 5, 1 / 3, n=10)
    assert cells["hr_skipped", 3, "full", "all"] == mean_of(2, n=7)
    assert ("hr", 10, "full", "all") not in cells
    assert cells["delta_hr", 10, "full", "all"] == (pytest.approx(6 / 10 - 4 / 7, abs=1e-12), 7)


def test_without_any_unseen_skip_the_skip_metrics_are_null():
    rows = [(full, sampled, repeat, []) for full, sampled, repeat, _ in TEN]
    cells = summary(rows)
    about_skips = {
        key: cell
        for key, cell in cells.items()
        if "skipped" in key[0] or key[0].startswith(("delta", "pairwise"))
    }
    assert len(about_skips) == 2 * 9
    assert set(about_skips.values()) == {(None, 0)}
    others = {key: cell for key, cell in cells.items() if key not in about_skips}
    assert others == {key: cell for key, cell in summary(TEN).items() if key not in about_skips}


def test_a_subset_without_sessions_is_null():
    cells = summary([(1, 1, True, []), (2, 1, True, [])])
    assert cells["hr", 10, "full", "new"] == cells["hr", 10, "new", "all"] == (None, 0)
    assert cells["hr", 10, "full", "repeat"] == cells["hr", 10, "full", "all"] == (1.0, 2)


def test_ranks_that_are_all_past_the_cutoff():
    cells = summary([(None, None, False, [None])] * 3)
    assert cells["hr", 20, "full", "all"] == cells["ndcg", 20, "sampled", "all"] == (0.0, 3)
    assert cells["hr_skipped", 20, "full", "all"] == (0.0, 3)
    assert cells["pairwise_accuracy", None, "full", "all"] == (1.0, 3)


@settings(deadline=None, max_examples=50)
@given(
    st.lists(
        st.tuples(
            st.integers(1, 30),
            st.integers(1, 30),
            st.booleans(),
            st.lists(st.one_of(st.none(), st.integers(1, 30)), max_size=3),
        ),
        min_size=1,
        max_size=15,
    )
)
def test_every_summary_keeps_the_bounds(rows):
    cells = summary(rows)
    of_all = [(candidates, "all") for candidates in ("full", "new", "sampled")]
    parts = [(candidates, part) for candidates in ("full", "sampled") for part in ("repeat", "new")]
    assert {key[2:] for key in cells} == {*of_all, *parts}
    for candidates, subset in of_all + parts:
        found = {
            f"{key[0]}_{key[1]}": cell[0]
            for key, cell in cells.items()
            if key[2:] == (candidates, subset)
        }
        values = {name: found[name] for name in GOOD}
        if None not in values.values():
            check_bounds(values, f"{candidates} {subset}")
    assert cells["hr", 10, "full", "repeat"][1] == sum(repeat for _, _, repeat, _ in rows)


def test_the_metrics_file_holds_the_summary_in_order(tmp_path):
    write_artifact(table_of(TEN), "ranks", tmp_path / "ranks.parquet")
    compute_metrics(
        str(tmp_path / "ranks.parquet"), str(tmp_path / "metrics.parquet"), cutoffs=CONFIGURED
    )
    rows = read_artifact("metrics", tmp_path / "metrics.parquet").to_pylist()
    cells = {
        (row["metric"], row["k"], row["candidates"], row["subset"]): (row["value"], row["n"])
        for row in rows
    }
    assert cells == summary(TEN)
    order = [(row["candidates"], row["subset"], row["metric"], row["k"] or 0) for row in rows]
    assert order == sorted(order)
