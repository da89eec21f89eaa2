"""Both rankers against a brute force: ties, cut-offs, blocks, batches, broken scores.

The tests marked `gpu` need a GPU: `pytest -m gpu tests/unit`.
"""

import resource

import numpy as np
import pytest
import torch
from examples import FixedScores, random_sessions, sequences
from hypothesis import given, settings
from hypothesis import strategies as st
from skipwise.core.errors import UserError
from skipwise.ranking import base, screen
from skipwise.ranking import vectors as ranking
from skipwise.ranking.ranker import ranker
from skipwise.ranking.vectors import VectorRanker
from skipwise.recommender import VectorRecommender
from skipwise.sessions.sequences import Ragged

pytestmark = pytest.mark.long


@pytest.fixture(params=["cpu", "as on a GPU", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request, monkeypatch) -> str:
    """Where a model's vectors are; ``as on a GPU`` goes a GPU's way on the CPU."""
    if request.param == "as on a GPU":
        monkeypatch.setattr(torch.Tensor, "is_cuda", True)
        return "cpu"
    return request.param


class Vectors(VectorRecommender):
    """Queries of a session are row ``session_id`` of a table."""

    family = "baseline"
    vectors = None

    def __init__(self, queries: np.ndarray, vectors: np.ndarray, device: str = "cpu"):
        super().__init__(len(vectors) - 1, {})
        self.table, self.vectors = (
            torch.from_numpy(array).to(device) for array in (queries, vectors)
        )
        self.seen: list[list[int]] = []

    def queries(self, contexts):
        self.seen.append(contexts.session_id.tolist())
        return self.table[contexts.session_id]

    fit = FixedScores.fit
    state = load_state = None


def by_vectors(table: np.ndarray) -> Vectors:
    """The model of the same scores, as products: the query of a session chooses its row."""
    vectors = np.ascontiguousarray(table.T)
    return Vectors(np.eye(len(table), dtype=np.float32), vectors)


MODELS = pytest.mark.parametrize("model_of", [FixedScores, by_vectors], ids=["scores", "vectors"])


def in_brute_force(scores: np.ndarray, candidates, item: int) -> int:
    """1 + candidates scored higher + other candidates scored equal, in Python floats."""
    mine = float(scores[item])
    higher = sum(float(scores[track]) > mine for track in candidates)
    return 1 + higher + sum(float(scores[track]) == mine and track != item for track in candidates)


def ranks_of(
    model, items: list[list[int]], candidates=None, *, cutoff=None, popularity=None, seen=None
):
    """Ranks of ``items`` as arrays, and the items; session ``i`` has row ``i + 1`` of the model's
    table and the context ``seen[i]``, by default track 1.
    """
    popularity = np.arange(model.n_tracks + 1)[::-1] if popularity is None else popularity
    wanted = Ragged(np.concatenate(items).astype(np.int32), np.cumsum([0, *map(len, items)]))
    contexts = sequences(seen or [[1]] * len(items))
    found = ranker(model, popularity).rank(contexts, wanted, candidates, cutoff=cutoff)
    return found, wanted


def rank_all(model, items: list[list[int]], candidates=None, **given):
    """Ranks, ranks among and outranking as lists, see :func:`ranks_of`."""
    found, wanted = ranks_of(model, items, candidates, **given)
    return (
        by_session(found.full, wanted),
        found.sampled.tolist(),
        by_session(found.outranks, wanted),
    )


def rank_new(model, items: list[list[int]], seen: list[list[int]], **given) -> list[list[int]]:
    """Ranks among the tracks that the context lacks as lists, see :func:`ranks_of`."""
    found, wanted = ranks_of(model, items, seen=seen, **given)
    return by_session(found.new, wanted)


def by_session(values: np.ndarray, items: Ragged) -> list[list]:
    """Values of the items as a list for each session."""
    return [part.tolist() for part in np.split(values, items.offsets[1:-1])]


# Few distinct scores: ties abound.
N_TRACKS = 6
SCORES = st.lists(st.integers(-2, 2).map(lambda x: x / 4), min_size=N_TRACKS, max_size=N_TRACKS)
TRACKS = st.integers(1, N_TRACKS)


@MODELS
@settings(deadline=None)
@given(st.lists(SCORES, min_size=1, max_size=4), st.data())
def test_all_ranks_are_those_of_the_brute_force(model_of, rows, data):
    items = [data.draw(st.lists(TRACKS, min_size=1, max_size=4)) for _ in rows]
    drawn = [
        data.draw(st.permutations([*{item[0], *data.draw(st.sets(TRACKS))}])) for item in items
    ]
    candidates = np.array([[*row, *[0] * (N_TRACKS - len(row))] for row in drawn], np.int32)
    cutoff = data.draw(st.sampled_from([None, 1, 3, 6]))
    # Contexts in which tracks repeat and which may hold an item.
    seen = [data.draw(st.lists(TRACKS, min_size=1, max_size=8)) for _ in rows]
    table = np.array([[9.0] * (N_TRACKS + 1), *([8.0, *row] for row in rows)], np.float32)
    model, given = model_of(table), {"cutoff": cutoff, "seen": seen}
    ranks, among, outranks = rank_all(model, items, candidates, **given)
    new = rank_new(model, items, **given)

    def within(rank: int) -> int:
        return rank if cutoff is None or rank <= cutoff else 0

    for i, row in enumerate(table[1:]):
        unseen = set(range(1, N_TRACKS + 1)) - set(seen[i])
        assert new[i] == [
            within(in_brute_force(row, unseen, item)) if item in unseen else 0 for item in items[i]
        ]
        exact = [in_brute_force(row, range(1, N_TRACKS + 1), item) for item in items[i]]
        assert ranks[i] == [within(rank) for rank in exact]
        assert among[i] == in_brute_force(row, drawn[i], items[i][0])
        assert outranks[i] == [bool(row[item] >= row[items[i][0]]) for item in items[i]]


@MODELS
def test_ties_count_against_the_model(model_of):
    table = np.array([[0.0] * 6, [7.0, 1.0, 2.0, 2.0, 3.0, 2.0]], np.float32)
    found = rank_all(model_of(table), [[2, 4, 3, 5, 1]], np.array([[0, 3, 2, 0, 1]]))
    assert found == ([[4, 1, 4, 4, 5]], [2], [[True, True, True, True, False]])


@MODELS
def test_a_model_that_scores_everything_the_same_is_last(model_of):
    found = rank_all(
        model_of(np.zeros((3, 31), np.float32)),
        [[1], [30, 2]],
        np.array([[4, 1, 6, 0], [30, 8, 0, 0]]),
    )
    assert found == ([[30], [30, 30]], [3, 2], [[True], [True, True]])


def hard_case(
    sessions: int, n_tracks: int, dimension: int, seed: int, device: str = "cpu"
) -> Vectors:
    """Vectors of any size with many equal ones and many that differ in their last bits, all over
    the catalogue.
    """
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(n_tracks + 1, dimension)).astype(np.float32) * rng.lognormal(
        0, 1, (n_tracks + 1, 1)
    ).astype("f4")
    twins = rng.permutation(n_tracks)[: n_tracks // 2] + 1
    vectors[twins] = vectors[rng.integers(1, n_tracks + 1, len(twins))]
    near = twins[::2]
    vectors[near, rng.integers(dimension, size=len(near))] *= np.float32(1 + 2**-22)
    queries = rng.normal(size=(sessions + 1, dimension)).astype(np.float32)
    # These sessions tie or nearly tie with everything: their scores are sums that cancel.
    queries[1 : sessions // 4] *= np.float32(1e-20)
    queries[sessions // 2 :: 3] = 0
    return Vectors(queries, vectors, device)


def float64_scores(model: Vectors, sessions: int) -> np.ndarray:
    """(S, N) by torch's sum of float64 products, track by track: the same for equal vectors."""
    queries, vectors = model.table.cpu().double(), model.vectors.cpu().double()
    return np.stack([(queries[i + 1] * vectors[1:]).sum(1).numpy() for i in range(sessions)])


@pytest.mark.parametrize("bfloat16", [True, False], ids=["bfloat16", "float32"])
@pytest.mark.parametrize("cutoff", [None, 1, 50, 1000])
@pytest.mark.parametrize(("n_tracks", "dimension"), [(1100, 128), (700, 7), (5, 4)])
def test_ranks_are_those_of_float64_whatever_the_blocks(
    monkeypatch, n_tracks, dimension, cutoff, bfloat16, device
):
    monkeypatch.setattr(ranking, "fast_bfloat16", lambda: bfloat16)
    sessions = 60
    model = hard_case(sessions, n_tracks, dimension, seed=n_tracks, device=device)
    rng = np.random.default_rng(1)
    items = [rng.integers(1, n_tracks + 1, rng.integers(1, 5)).tolist() for _ in range(sessions)]
    drawn = np.array([[item[0], *rng.permutation(n_tracks)[:100] + 1] for item in items])
    drawn[:, 1:][drawn[:, 1:] == drawn[:, :1]] = 0
    scores = float64_scores(model, sessions)
    expected = [
        [int((row >= row[item - 1]).sum()) for item in of]
        for row, of in zip(scores, items, strict=True)
    ]
    among = [
        int((row[of[of > 0] - 1] >= row[of[0] - 1]).sum())
        for row, of in zip(scores, drawn, strict=True)
    ]
    cut = [[rank if cutoff is None or rank <= cutoff else 0 for rank in row] for row in expected]
    for block, at_once, exact, popularity in (
        (8192, 512, 65_536, np.zeros(n_tracks + 1)),
        (400, 7, 50, rng.random(n_tracks + 1)),
        (64, 1, 1, np.arange(n_tracks + 1)),
    ):
        if block == 64 and n_tracks > 5:
            exact = 10_000
        for name, value in (
            ("BLOCK", block),
            ("BLOCK_OF_GPU", block),
            ("SESSIONS", at_once),
            ("EXACT", exact),
        ):
            monkeypatch.setattr(ranking, name, value)
        assert rank_all(model, items, drawn, cutoff=cutoff, popularity=popularity)[:2] == (
            cut,
            among,
        )
        assert max(map(len, model.seen)) <= at_once
        model.seen.clear()


@pytest.mark.parametrize("bfloat16", [True, False], ids=["bfloat16", "float32"])
@pytest.mark.parametrize("size", [1e-15, 1e-24, 1e-37, 1e-41])
def test_vectors_whose_squares_are_too_small_for_float32(monkeypatch, size, bfloat16, device):
    monkeypatch.setattr(ranking, "fast_bfloat16", lambda: bfloat16)
    rng = np.random.default_rng(1)
    vectors = (rng.normal(size=(501, 64)) * size).astype(np.float32)
    model = Vectors(rng.normal(size=(9, 64)).astype(np.float32), vectors, device)
    scores = float64_scores(model, 8)
    items = [[int(row.argmax()) + 1, 7, 300] for row in scores]
    expected = [
        [int((row >= row[item - 1]).sum()) for item in of]
        for row, of in zip(scores, items, strict=True)
    ]
    assert rank_all(model, items, cutoff=501)[0] == expected
    assert rank_all(model, items)[0] == expected


def test_a_large_tie_needs_little_memory():
    """Doubtful scores of a batch are bounded by its pairs, however many tracks of a session are
    ranked.
    """
    model = Vectors(np.ones((201, 4), np.float32), np.ones((5_001, 4), np.float32))
    items = [[*range(1, 21)]] * 200
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert rank_all(model, items)[0] == [[5_000] * 20] * 200
    assert (
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    ) / 1024 < 500  # MB; of all pairs at once it is 900


@pytest.mark.parametrize("bfloat16", [True, False], ids=["bfloat16", "float32"])
@pytest.mark.parametrize("cutoff", [None, 1, 20, 50])
def test_new_ranks_are_those_of_float64_without_the_context(monkeypatch, cutoff, bfloat16, device):
    """Of tracks that score nearly the same, whatever the blocks.  Half of a context are the best
    tracks of its session, so that many ranks are within the cut-off only without them.
    """
    monkeypatch.setattr(ranking, "fast_bfloat16", lambda: bfloat16)
    sessions, n_tracks = 60, 800
    model = hard_case(sessions, n_tracks, 32, seed=5, device=device)
    scores, rng = float64_scores(model, sessions), np.random.default_rng(1)
    seen = [
        [*np.argsort(-row)[: rng.integers(0, 40)] + 1, *rng.integers(1, n_tracks + 1, 20)]
        for row in scores
    ]
    items = [
        [*np.argsort(-row)[rng.integers(0, 90, 6)] + 1, seen[i][0]] for i, row in enumerate(scores)
    ]
    expected = []
    for row, context, of in zip(scores, seen, items, strict=True):
        is_new = ~np.isin(np.arange(1, n_tracks + 1), context)
        rank = [int((is_new & (row >= row[item - 1])).sum()) * is_new[item - 1] for item in of]
        expected.append([r if cutoff is None or r <= cutoff else 0 for r in rank])
    for block, at_once, exact in ((8192, 512, 65_536), (100, 7, 50), (7, 60, 1000)):
        for name, value in (
            ("BLOCK", block),
            ("BLOCK_OF_GPU", block),
            ("SESSIONS", at_once),
            ("EXACT", exact),
        ):
            monkeypatch.setattr(ranking, name, value)
        popularity = rng.random(n_tracks + 1)
        assert rank_new(model, items, seen, cutoff=cutoff, popularity=popularity) == expected
    assert any(any(of) for of in expected)
    assert all(of[-1] == 0 for of in expected)  # no candidate


@MODELS
def test_a_rank_past_the_cutoff_may_be_within_it_without_the_context(monkeypatch, model_of):
    """Track t of 60 scores −t: the target 30 is at rank 30, and at rank 10 of a context with the
    20 best, one of them played twice.  Popular tracks are counted first, the best last of all.
    """
    monkeypatch.setattr(ranking, "BLOCK", 3)
    table = np.stack([-np.arange(61, dtype=np.float32)] * 2)
    context = [*range(1, 21), 20]
    items, seen = [[30, 31, 20, 60]], [context]
    for popularity in (np.arange(61), np.arange(61)[::-1]):
        given = {"cutoff": 10, "popularity": popularity}
        assert rank_all(model_of(table), items, seen=seen, **given)[0] == [[0, 0, 0, 0]]
        assert rank_new(model_of(table), items, seen, **given) == [[10, 0, 0, 0]]
        assert rank_new(model_of(table), items, seen, **given | {"cutoff": 40}) == [[10, 11, 0, 40]]
        assert rank_new(model_of(table), items, seen, **given | {"cutoff": None}) == [
            [10, 11, 0, 40]
        ]


@MODELS
def test_a_tie_with_a_track_of_the_context_does_not_count(model_of):
    """Everything ties: only tracks that the context lacks count, the item itself among them."""
    model = model_of(np.zeros((3, 31), np.float32))
    seen = [[1, 2, 2, 3], [30, 30]]
    assert rank_new(model, [[4, 2], [1, 30]], seen) == [[27, 0], [29, 0]]


@MODELS
def test_a_session_of_a_context_of_one_track(model_of):
    """One pair of an item and a track, which arrays of torch and numpy treat in different ways."""
    model = model_of(np.array([[0, 0, 0, 0], [0, 1, 2, 3]], np.float32))
    found = [rank_new(model, [[item]], [[track]]) for track, item in ((3, 2), (2, 3), (1, 2))]
    assert found == [[[1]], [[1]], [[2]]]
    assert rank_new(model, [[3]], [[3]]) == [[0]]


def test_the_screen_alone_would_be_wrong():
    """The case above is hard: counting in float32 gives other ranks."""
    model = hard_case(60, 3000, 128, seed=3000)
    exact, single = float64_scores(model, 60), (model.table[1:] @ model.vectors[1:].T).numpy()
    target = np.arange(60) * 40
    wrong = [
        (s >= s[t]).sum() != (e >= e[t]).sum()
        for e, s, t in zip(exact, single, target, strict=True)
    ]
    assert sum(wrong) > 5


def test_the_threads_change_no_rank(device):
    model = hard_case(60, 3000, 128, seed=3, device=device)
    items = [[i * 40 + 1, 3] for i in range(60)]
    threads = torch.get_num_threads()
    found = []
    for n in (1, 2):
        torch.set_num_threads(n)
        found.append(rank_all(model, items))
    torch.set_num_threads(threads)
    assert found[0] == found[1]


def test_a_lower_precision_of_torch_changes_no_rank(monkeypatch, device):
    """On a processor with products in bfloat16, `medium` makes float32 products wrong by more than
    the screen allows for.
    """
    during = []
    screened = ranking.screened
    backends = torch.backends.mkldnn.matmul, torch.backends.cuda.matmul
    monkeypatch.setattr(
        ranking,
        "screened",
        lambda *a: during.extend(b.fp32_precision for b in backends) or screened(*a),
    )
    model = hard_case(60, 3000, 128, seed=3, device=device)
    items = [[i * 40 + 1, 3] for i in range(60)]
    candidates = np.array([[item, *range(2, 41)] for item, _ in items])
    expected = rank_all(model, items, candidates)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        assert rank_all(model, items, candidates) == expected
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)
    assert set(during) == {"ieee"}


def test_a_session_past_the_cutoff_leaves_the_count(monkeypatch, device):
    """With a cut-off most of the catalogue is never multiplied with."""
    monkeypatch.setattr(ranking, "BLOCK", 100)
    monkeypatch.setattr(ranking, "BLOCK_OF_GPU", 100)
    blocks = []
    screened = ranking.screened
    monkeypatch.setattr(
        ranking,
        "screened",
        lambda scores, *rest: blocks.append(scores.shape) or screened(scores, *rest),
    )
    rng = np.random.default_rng(0)
    model = Vectors(rng.random((41, 8), np.float32), rng.random((5001, 8), np.float32), device)
    best = int((model.vectors[1:] @ model.table[1]).argmax()) + 1
    rank_all(model, [[best]] + [[track + 1] for track in range(39)], cutoff=10)
    assert len(blocks) == 50  # the best of all is counted to the end
    assert sum(rows for rows, _ in blocks) < 400  # of 40 · 50


@pytest.mark.parametrize("share", [0, 0.01, 0.7, 1])
def test_true_values_are_counted(share):
    mask = np.random.default_rng(1).random((40, screen.GROUP)) < share
    assert screen._true(mask).tolist() == mask.sum(1).tolist()
    assert screen._true(mask[::3]).tolist() == mask[::3].sum(1).tolist()


@MODELS
@pytest.mark.parametrize("at_once", [1, 7, 500])
def test_ranks_do_not_depend_on_the_batch_size(monkeypatch, model_of, at_once):
    table = np.random.default_rng(8).integers(0, 15, (151, 91)).astype(np.float32)
    items = [
        [track, 91 - track] for track in np.random.default_rng(9).integers(1, 91, 150).tolist()
    ]
    expected = rank_all(model_of(table), items)
    for module in (base, ranking):
        monkeypatch.setattr(module, "SESSIONS", at_once)
    model = model_of(table)
    assert rank_all(model, items) == expected
    assert max(map(len, model.seen)) == min(at_once, 150)


def test_a_catalogue_larger_than_the_memory_is_scored_one_by_one(monkeypatch):
    monkeypatch.setattr(base, "SCORE_BYTES", 10)
    model = FixedScores(np.zeros((4, 1001), np.float32))
    rank_all(model, [[1], [2], [3]])
    assert model.seen == [[1], [2], [3]]


@MODELS
@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_a_score_that_is_not_finite_is_an_error_with_the_session(model_of, wrong):
    model = model_of(np.random.default_rng(1).random((91, 51), np.float32))
    model.table[37, 36] = wrong
    with pytest.raises(UserError, match="gives session 37 a score that is not finite"):
        rank_all(model, [[1]] * 90)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, 1e30])
def test_vectors_that_are_not_finite_are_an_error(wrong):
    model = by_vectors(np.random.default_rng(1).random((5, 51), np.float32))
    model.vectors[50, 1] = wrong
    model.table *= 1e10
    with pytest.raises(UserError, match="not finite"):
        rank_all(model, [[1]] * 4)


@MODELS
def test_no_session(model_of):
    model = model_of(np.zeros((4, 21), np.float32))
    none = random_sessions(3, 20, seed=1).take(np.array([], np.int64))
    found = ranker(model, np.arange(21)).rank(
        none, Ragged(np.empty(0, np.int32), np.zeros(1, np.int64)), np.empty((0, 7))
    )
    assert [array.tolist() for array in found] == [[], [], [], []]


def test_a_model_of_vectors_is_ranked_by_them():
    assert isinstance(ranker(by_vectors(np.zeros((2, 3), np.float32)), np.zeros(3)), VectorRanker)


@pytest.mark.parametrize("cutoff", [None, 10])
@pytest.mark.parametrize("n_tracks", [1, 1024, 4096, 8192])
def test_one_track_a_session_in_catalogues_of_whole_blocks(n_tracks, cutoff, device):
    model = hard_case(5, n_tracks, 16, seed=1, device=device)
    scores = float64_scores(model, 5)
    items = [[session % n_tracks + 1] for session in range(5)]
    ranks = [
        [int((row >= row[item - 1]).sum()) for item in of]
        for row, of in zip(scores, items, strict=True)
    ]
    expected = [[rank if cutoff is None or rank <= cutoff else 0 for rank in row] for row in ranks]
    assert rank_all(model, items, cutoff=cutoff)[0] == expected


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("positive", [True, False])
def test_comparable_values_order_as_the_scores(precision, positive):
    rng = np.random.default_rng(1)
    special = [0.0, -0.0, 1e-40, -1e-40, np.inf, -np.inf, 1.0, -1.0, 3e38, -3e38]
    scores = torch.tensor(np.concatenate([rng.normal(size=500), special]), dtype=precision)[None]
    thresholds = scores[0, scores[0] > 0] if positive else scores[0]
    values, high, low = screen._comparable(scores, thresholds, thresholds)
    np.testing.assert_array_equal(values > high, (scores > thresholds[:, None]).numpy())
    np.testing.assert_array_equal(values >= low, (scores >= thresholds[:, None]).numpy())
