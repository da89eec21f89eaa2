"""Ranks against a brute force, and a stub model through the whole ranking."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from examples import FixedScores, random_sessions, sequences
from skipwise.core.artifacts import read_artifact, write_artifact
from skipwise.evaluation import rank_sessions as evaluation
from skipwise.evaluation.rank_sessions import rank_test_sessions
from skipwise.ranking.ranker import ranker, validation_ranks

GROUP = 64


def brute_rank(scores, candidates, item) -> int:
    """1 + candidates scored higher + other candidates scored equal, in Python floats."""
    mine = float(scores[item])
    higher = sum(float(scores[track]) > mine for track in candidates)
    equal = sum(float(scores[track]) == mine and track != item for track in candidates)
    return 1 + higher + equal


def random_scores(sessions: int, n_tracks: int, seed: int, levels: int = 15) -> np.ndarray:
    """Scores at few levels, so that ties abound."""
    return (
        np.random.default_rng(seed)
        .integers(0, levels, (sessions + 1, n_tracks + 1))
        .astype(np.float32)
    )


@pytest.fixture
def drawn(monkeypatch):
    """What sampled_candidates got and gave: (contexts, targets, candidates) of each group."""
    calls = []

    def spy(rng, n_tracks, size, contexts, targets):
        candidates = original(rng, n_tracks, size, contexts, targets)
        calls.append((contexts.copy(), targets.copy(), candidates.copy()))
        return candidates

    original = evaluation.sampled_candidates
    monkeypatch.setattr(evaluation, "sampled_candidates", spy)
    return calls


def ranked(model, test, *, candidates=20, seed=1, popularity=None, cutoff=None):
    popularity = np.arange(model.n_tracks + 1) * 10 if popularity is None else popularity
    return rank_test_sessions(
        model, test, popularity, candidates=candidates, seed=seed, cutoff=cutoff
    )


def with_targets(test, targets):
    return replace(test, target=np.asarray(targets, np.int32))


def test_every_column_by_hand():
    table = np.array(
        [
            [0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
            [0, 0.9, 0.1, 0.5, 0.5, 0.3, 0.2],
            [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6],
            [0, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4],
        ],
        np.float32,
    )
    test = sequences(
        [[1, 2, 1], [6], [5, 5, 4, 3]],
        [[True, False, False], [False], [True, True, True, False]],
        targets=[3, 6, 2],
        unseen=[[2, 1, 4], [], [6, 6]],
    )
    test = replace(test, cluster=np.array([7, 9, 7], np.int32))
    rows = ranked(
        FixedScores(table), test, popularity=np.array([0, 11, 22, 33, 44, 55, 66]), candidates=100
    ).to_pylist()
    # Every unobserved track is drawn, so the candidates are all six but the observed ones that are
    # nobody's target: without 1 in session 1; without 4 and 5 in session 3.
    # New candidates of session 1 are 3 to 6 (scores 0.5, 0.5, 0.3, 0.2), so the target 3 is second,
    # behind its equal, and of the skips only 4 is one; those of session 3 are 1, 2 and 6, equal.
    third, most = pytest.approx(1 / 3), pytest.approx(3 / 4)
    assert [tuple(row.values()) for row in rows] == [
        (1, 7, 3, 2, 2, 5, third, False, 33, [6, 1, 3], [None, None, 2], [False, True, True]),
        (2, 9, 1, None, 1, 6, 0.0, True, 66, [], [], []),
        (3, 7, 6, 3, 4, 4, most, False, 22, [6, 6], [3, 3], [True, True]),
    ]


@pytest.mark.parametrize(
    ("groups", "n_tracks", "size"),
    [([GROUP, GROUP, 22], 400, 30), ([GROUP], 300, 20), ([10], 40, 100)],
    ids=str,
)
def test_ranks_are_those_of_the_brute_force(drawn, groups, n_tracks, size):
    sessions = sum(groups)
    rng = np.random.default_rng(sessions)
    # Each session has a target of its own, which tells the rows of a group apart.
    test = with_targets(
        random_sessions(sessions, n_tracks, seed=4), rng.permutation(n_tracks)[:sessions] + 1
    )
    table = random_scores(sessions, n_tracks, seed=5)
    found = ranked(FixedScores(table), test, candidates=size).to_pylist()
    assert [row["session_id"] for row in found] == test.session_id.tolist()
    assert [len(targets) for _, targets, _ in drawn] == groups
    candidates_of = {
        row[0]: row[row > 0].tolist() for _, _, candidates in drawn for row in candidates
    }
    assert sorted(candidates_of) == sorted(test.target.tolist())
    offsets = test.unseen_skips.offsets
    for i, row in enumerate(found):
        scores, target = table[test.session_id[i]], test.target[i]
        context = test.tracks.values[test.tracks.offsets[i] : test.tracks.offsets[i + 1]].tolist()
        skips = test.unseen_skips.values[offsets[i] : offsets[i + 1]]
        assert row["rank_full"] == brute_rank(scores, range(1, n_tracks + 1), target)
        assert row["rank_sampled"] == brute_rank(scores, candidates_of[target], target)
        assert row["n_candidates"] == len(candidates_of[target])
        assert row["skip_ranks_full"] == [
            brute_rank(scores, range(1, n_tracks + 1), skip) for skip in skips
        ]
        new = set(range(1, n_tracks + 1)) - set(context)
        assert row["rank_new"] == (brute_rank(scores, new, target) if target in new else None)
        assert row["skip_ranks_new"] == [
            brute_rank(scores, new, skip) if skip in new else None for skip in skips
        ]
        assert row["skip_outranks"] == [bool(scores[skip] >= scores[target]) for skip in skips]
        skipped = test.skipped.values[test.tracks.offsets[i] : test.tracks.offsets[i + 1]]
        assert row["skip_share"] == pytest.approx(sum(skipped.tolist()) / len(context))
        assert row["is_repeat"] == (target in context)
        assert row["target_popularity"] == 10 * target
    assert any(row["is_repeat"] for row in found)
    assert any(not row["skip_ranks_full"] for row in found)


def test_candidates_come_from_the_sessions_own_group(drawn):
    test = with_targets(
        random_sessions(150, 400, seed=4), np.random.default_rng(0).permutation(400)[:150] + 1
    )
    ranked(FixedScores(random_scores(150, 400, seed=5)), test, candidates=30)
    context_of = dict(zip(test.target.tolist(), test.tracks.padded().tolist(), strict=True))
    for contexts, targets, candidates in drawn:
        for context, target, row in zip(
            contexts.tolist(), targets.tolist(), candidates.tolist(), strict=True
        ):
            # Context and target belong together.
            assert [track for track in context if track] == [
                track for track in context_of[target] if track
            ]
            assert set(targets.tolist()) <= set(row)
    everyone = [target for _, targets, _ in drawn for target in targets.tolist()]
    assert sorted(everyone) == sorted(test.target.tolist())
    assert everyone != test.target.tolist()  # groups are drawn, not consecutive


def test_a_target_above_or_below_all_others():
    test = random_sessions(100, 50, seed=1)
    table = np.zeros((101, 51), np.float32)
    table[test.session_id, test.target] = 1
    best = ranked(FixedScores(table), test)
    assert set(best["rank_full"].to_pylist()) == set(best["rank_sampled"].to_pylist()) == {1}
    worst = ranked(FixedScores(-table), test)
    assert set(worst["rank_full"].to_pylist()) == {50}
    assert worst["rank_sampled"].to_pylist() == worst["n_candidates"].to_pylist()


@pytest.mark.parametrize("groups", [1, 2, 100])
def test_ranks_do_not_depend_on_how_many_groups_are_ranked_at_once(monkeypatch, groups):
    test = random_sessions(150, 90, seed=3)
    table = random_scores(150, 90, seed=8)
    expected = ranked(FixedScores(table), test)
    monkeypatch.setattr(evaluation, "GROUPS", groups)
    model = FixedScores(table)
    assert ranked(model, test).equals(expected)
    # The setting took effect, and every session was scored once.
    assert max(map(len, model.seen)) == min(groups * GROUP, 150)
    assert sorted(session for batch in model.seen for session in batch) == test.session_id.tolist()


@pytest.mark.parametrize("cutoff", [1, 10, 90])
def test_a_rank_past_the_cutoff_is_null_and_everything_else_is_the_same(cutoff):
    test = random_sessions(150, 90, seed=3)
    table = random_scores(150, 90, seed=8)
    whole, cut = ranked(FixedScores(table), test), ranked(FixedScores(table), test, cutoff=cutoff)

    def within(ranks: list[int | None]) -> list[int | None]:
        return [rank if rank and rank <= cutoff else None for rank in ranks]

    of_targets, of_skips = ("rank_full", "rank_new"), ("skip_ranks_full", "skip_ranks_new")
    for name in of_targets:
        assert cut[name].to_pylist() == within(whole[name].to_pylist()), name
    for name in of_skips:
        assert cut[name].to_pylist() == [within(ranks) for ranks in whole[name].to_pylist()], name
    for name in set(whole.column_names) - {*of_targets, *of_skips}:
        assert cut[name].equals(whole[name]), name


def test_validation_ranks_are_those_of_the_brute_force():
    valid = random_sessions(80, 30, seed=3)
    table = random_scores(80, 30, seed=8, levels=9)
    expected = [
        brute_rank(table[s], range(1, 31), t)
        for s, t in zip(valid.session_id, valid.target, strict=True)
    ]
    assert (
        validation_ranks(ranker(FixedScores(table), np.zeros(31)), valid, cutoff=30).tolist()
        == expected
    )
    few = validation_ranks(ranker(FixedScores(table), np.zeros(31)), valid, cutoff=5)
    np.testing.assert_array_equal(few, [rank if rank <= 5 else np.nan for rank in expected])


@pytest.mark.parametrize("cutoff", [None, 5])
def test_validation_ranks_among_new_are_of_the_sessions_with_a_new_target(cutoff):
    valid = random_sessions(80, 30, seed=3)
    table = random_scores(80, 30, seed=8, levels=9)
    contexts = [
        set(valid.tracks.values[start:stop].tolist())
        for start, stop in itertools.pairwise(valid.tracks.offsets)
    ]
    expected = [
        brute_rank(table[s], set(range(1, 31)) - seen, t)
        for s, t, seen in zip(valid.session_id, valid.target, contexts, strict=True)
        if t not in seen
    ]
    assert 0 < len(expected) < 80
    ranks = ranker(FixedScores(table), np.zeros(31))
    found = validation_ranks(ranks, valid, cutoff=cutoff, candidates="new")
    np.testing.assert_array_equal(
        found, [rank if cutoff is None or rank <= cutoff else np.nan for rank in expected]
    )


def test_an_unknown_label_is_no_skip_in_the_share():
    test = sequences([[1, 2, 3, 4]], [[True, None, False, None]], targets=[5])
    row = ranked(FixedScores(random_scores(1, 9, seed=1)), test).to_pylist()[0]
    assert row["skip_share"] == pytest.approx(1 / 4)


def test_every_model_gets_the_same_candidates(drawn):
    test = random_sessions(100, 300, seed=3)
    first = ranked(FixedScores(random_scores(100, 300, seed=1)), test)
    second = ranked(FixedScores(random_scores(100, 300, seed=2)), test)
    half = len(drawn) // 2
    assert half == 2
    for ours, theirs in zip(drawn[:half], drawn[half:], strict=True):
        for one, other in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(one, other)
    assert first["n_candidates"].equals(second["n_candidates"])
    assert not first["rank_sampled"].equals(second["rank_sampled"])


def test_candidates_depend_on_the_seed(drawn):
    test = random_sessions(64, 300, seed=3)
    model = FixedScores(random_scores(64, 300, seed=1))
    full = [ranked(model, test, seed=seed)["rank_full"] for seed in (1, 2)]
    assert full[0].equals(full[1])
    assert sorted(map(sorted, drawn[0][2].tolist())) != sorted(map(sorted, drawn[1][2].tolist()))


def test_draws_depend_on_the_seed_where_groups_cannot(drawn):
    test = sequences([[1]], targets=[2])
    for seed in (1, 2):
        ranked(FixedScores(random_scores(1, 1000, seed=1)), test, seed=seed)
    assert drawn[0][2].tolist() != drawn[1][2].tolist()


def test_groups_of_one_run_have_different_draws(drawn):
    """128 sessions of one context and one target: only the draw tells the groups apart."""
    test = sequences([[1]] * 128, targets=[2] * 128)
    ranked(FixedScores(random_scores(128, 1000, seed=1)), test)
    assert drawn[0][2].tolist() != drawn[1][2].tolist()


def test_no_session():
    test = random_sessions(3, 20, seed=1).take(np.array([], np.int64))
    assert ranked(FixedScores(random_scores(3, 20, seed=1)), test).num_rows == 0


def test_without_any_unseen_skip():
    test = sequences([[1, 2], [3]], targets=[3, 4])
    assert ranked(FixedScores(random_scores(2, 5, seed=1)), test)[
        "skip_ranks_full"
    ].to_pylist() == [
        [],
        [],
    ]


def test_ranks_fit_their_artifact(tmp_path):
    test = random_sessions(70, 30, seed=1)
    table = ranked(FixedScores(random_scores(70, 30, seed=2)), test)
    write_artifact(table, "ranks", tmp_path / "ranks.parquet")
    written = read_artifact("ranks", tmp_path / "ranks.parquet")
    assert written["session_id"].to_pylist() == test.session_id.tolist()
    for name in (
        "rank_full",
        "rank_new",
        "rank_sampled",
        "n_candidates",
        "is_repeat",
        "target_popularity",
        "skip_ranks_full",
        "skip_ranks_new",
        "skip_outranks",
    ):
        assert written[name].to_pylist() == table[name].to_pylist(), name
    assert written["skip_share"].to_pylist() == pytest.approx(table["skip_share"].to_pylist())
