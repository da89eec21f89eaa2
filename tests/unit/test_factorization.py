"""WRMF and BPR: what they see, the pairs of BPR, its trainer against implicit's, and the folding in
of a context.
"""

import math

import numpy as np
import pyarrow as pa
import pytest
import torch
from examples import random_sessions, sequences, settings_of
from implicit.cpu.als import AlternatingLeastSquares
from implicit.cpu.bpr import BayesianPersonalizedRanking
from scipy.sparse import csr_matrix
from skipwise.core.artifacts import write_artifact
from skipwise.core.errors import DivergedError, UserError
from skipwise.core.registry import find_model
from skipwise.core.schemas import ARTIFACTS
from skipwise.models import bpr
from skipwise.models.bpr import PairSampler, fit_with_rejected
from skipwise.ranking.metrics import ndcg
from skipwise.sessions.recipe import Machine
from skipwise.sessions.sequences import Sequences
from skipwise.sessions.split import PARTS, split_sessions
from skipwise.training.train import train_model

pytestmark = pytest.mark.long

BPR_VARIANTS = ["orig", "bl", "nr"]


def cells(rows: list[list[int]], n_tracks: int) -> csr_matrix:
    """(S, N + 1) with a one for each track of each session."""
    matrix = np.zeros((len(rows), n_tracks + 1), np.float32)
    for session, tracks in enumerate(rows):
        matrix[session, tracks] = 1
    return csr_matrix(matrix)


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    """40 sessions in which every play has a track of its own, and the plays that training may see
    by hand.
    """
    folder = tmp_path_factory.mktemp("split")
    rng = np.random.default_rng(1)
    plays, seen, track = [], [], 0
    for session in range(1, 41):
        skipped = rng.random(rng.integers(6, 21)) < 0.4
        listened = np.flatnonzero(~skipped)
        for position, skip in enumerate(skipped):
            track += 1
            plays.append((session, position + 1, track, bool(skip)))
            if len(listened) >= 3 and listened[-3] >= 1 and position <= listened[-3]:
                seen.append((session, track, bool(skip)))
    names = ("session_id", "position", "track_id", "skipped")
    rows = [dict(zip(names, play, strict=True)) for play in plays]
    table = pa.Table.from_pylist(rows, schema=ARTIFACTS["sessions"].schema)
    write_artifact(table, "sessions", folder / "sessions.parquet")
    tracks = {"track_id": range(1, track + 1), "track_key": [str(i) for i in range(track)]}
    counts = {"n_plays": [1] * track, "n_skips": [int(play[3]) for play in plays]}
    write_artifact(pa.table(tracks | counts), "tracks", folder / "tracks.parquet")
    parts = {part: str(folder / f"{part}.parquet") for part in PARTS}
    sessions = str(folder / "sessions.parquet")
    out = {"outputs": parts, "out_stats": str(folder / "split.json")}
    keys = {"session_id": range(1, 41), "piece": [0] * 40, "n_plays": [6] * 40, "n_skips": [1] * 40}
    keys |= {name: [str(i) for i in range(40)] for name in ("session_key", "cluster_key")}
    write_artifact(pa.table(keys), "keys", folder / "keys.parquet")
    key_file = str(folder / "keys.parquet")
    split_sessions(
        sessions, key_file, Machine(), split="paper", parameters={}, headline="full", **out
    )
    return folder, parts, seen


class TestHeldOut:
    """No play after the train sequence is in the matrix that a model is fitted to."""

    @pytest.mark.parametrize(
        ("model", "variant", "of_a_skip"),
        [
            ("wrmf", "orig", 1),
            ("wrmf", "bl", 0),
            ("wrmf", "nr", -0.5),
            ("bpr", "orig", 1),
            ("bpr", "bl", 0),
            ("bpr", "nr", -1),
        ],
    )
    def test_the_matrix_is_the_train_sequences(
        self, split, monkeypatch, tmp_path, model, variant, of_a_skip
    ):
        folder, parts, seen = split
        given = []

        def spy(of, name, matrix_of):
            original = getattr(of, name)

            def spied(*args, **kwargs):
                given.append(matrix_of(*args))
                return original(*args, **kwargs)

            monkeypatch.setattr(of, name, spied)

        spy(AlternatingLeastSquares, "fit", lambda _, matrix: matrix)
        spy(BayesianPersonalizedRanking, "fit", lambda _, matrix: matrix)
        spy(bpr, "PairSampler", lambda preferred, rejected, _: preferred - rejected)
        train_model(
            parts["train"],
            parts["valid"],
            str(folder / "tracks.parquet"),
            str(folder / "split.json"),
            tmp_path,
            model=model,
            recommender=model,
            variant=variant,
            settings=settings_of(model, variant),
            seed=1,
            threads=1,
        )
        (matrix,) = given
        session_ids = Sequences.read("train", parts["train"]).session_id
        row, track = matrix.nonzero()
        found = set(
            zip(
                session_ids[row].tolist(),
                track.tolist(),
                matrix[row, track].A1.tolist(),
                strict=True,
            )
        )
        expected = {(session, track, of_a_skip if skip else 1) for session, track, skip in seen}
        assert len(seen) > 150
        assert found == {cell for cell in expected if cell[2] != 0}


class TestPairs:
    def test_listened_wins_over_skipped(self):
        sessions = sequences(
            [[1, 2, 2, 3, 1], [4, 4, 5]], [[False, True, True, False, True], [True, False, True]]
        )
        listened, rejected = sessions.listened_and_rejected(5)
        assert listened.toarray().tolist() == [[0, 1, 0, 1, 0, 0], [0, 0, 0, 0, 1, 0]]
        assert rejected.toarray().tolist() == [[0, 0, 2, 0, 0, 0], [0, 0, 0, 0, 0, 1]]

    def drawn(self, share: float, n: int = 4000) -> np.ndarray:
        """(P, 3) pairs of three sessions: with skips, without, and without a listened track."""
        preferred = cells([[1, 2], [2, 4, 5], []], 6)
        rejected = cells([[3, 6], [], [1]], 6)
        sampler, rng = PairSampler(preferred, rejected, share), np.random.default_rng(1)
        return np.concatenate([np.stack(sampler.draw(rng), 1) for _ in range(n)])

    def test_pairs_are_of_the_allowed_kind_and_all_of_them(self):
        drawn = self.drawn(0.3)
        skips = {(0, p, n) for p in (1, 2) for n in (3, 6)}
        # 3 and 6 were listened to nowhere, so they are drawn only as skips; 1 is unobserved in
        # session 1, 4 and 5 in session 0.
        unobserved = {(0, p, n) for p in (1, 2) for n in (4, 5)} | {(1, p, 1) for p in (2, 4, 5)}
        assert set(map(tuple, drawn.tolist())) == skips | unobserved

    @pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
    def test_the_share_of_skips_is_that_of_the_setting_in_sessions_with_skips(self, share):
        drawn = self.drawn(share)
        with_skips = drawn[drawn[:, 0] == 0]
        from_skips = np.isin(with_skips[:, 2], [3, 6]).mean()
        assert from_skips == pytest.approx(
            share, abs=4 * math.sqrt(share * (1 - share) / len(with_skips))
        )
        assert set(drawn[drawn[:, 0] == 1][:, 2]) == {1}

    def test_as_many_pairs_stay_whatever_the_share(self):
        # Of 5 × 5 equally likely draws the other is unobserved for 2 × 2 of session 0 and 3 × 1 of
        # session 1.
        for share in (0.0, 1.0):
            assert len(self.drawn(share)) == pytest.approx(4000 * 5 * 7 / 25, rel=0.03)

    def test_others_are_as_frequent_as_their_sessions(self):
        sampler = PairSampler(cells([[1], [2], [2], [2], [3]], 3), cells([[]] * 5, 3), 0.0)
        rng = np.random.default_rng(1)
        session, _, other = np.concatenate(
            [np.stack(sampler.draw(rng)) for _ in range(4000)], axis=1
        )
        count = np.bincount(other[session == 0], minlength=4)
        assert count[:2].tolist() == [0, 0]
        assert count[2] / count[3] == pytest.approx(3, rel=0.15)


class TestTrainer:
    def test_a_step_is_the_update_of_the_paper_for_each_of_its_pairs(self):
        """Two pairs that share a session and a track, from Rendle et al. 2009, figure 4, with the
        bias of implicit.
        """

        class TwoPairs(PairSampler):
            def draw(self, rng):
                return np.array([0, 0]), np.array([1, 1]), np.array([2, 3])

        sampler = TwoPairs(cells([[1, 2, 3]], 4), cells([[]], 4), 0.0)
        common = {"factors": 2, "learning_rate": 0.1, "regularization": 0.3}
        (x,), y = fit_with_rejected(
            sampler, **common, iterations=0, rng=np.random.default_rng(1), callback=None
        )
        assert x[2] == 1
        assert np.abs(y[1:4]).max() <= 0.25
        assert not y[[0, 4]].any()
        (moved_x,), moved_y = fit_with_rejected(
            sampler, **common, iterations=1, rng=np.random.default_rng(1), callback=lambda *_: None
        )
        z = {n: 1 / (1 + math.exp(x @ (y[1] - y[n]))) for n in (2, 3)}
        expected = x + 0.1 * sum(z[n] * (y[1] - y[n]) - 0.3 * x for n in (2, 3))
        np.testing.assert_allclose(moved_x, [*expected[:2], 1], rtol=1e-5)
        np.testing.assert_allclose(
            moved_y[1], y[1] + 0.1 * sum(z[n] * x - 0.3 * y[1] for n in (2, 3)), rtol=1e-5
        )
        for n in (2, 3):
            np.testing.assert_allclose(moved_y[n], y[n] + 0.1 * (-z[n] * x - 0.3 * y[n]), rtol=1e-5)
        assert not moved_y[[0, 4]].any()

    def test_without_pairs_with_skips_it_agrees_with_implicit(self):
        """Mean AUC and NDCG@10 over seeds differ by less than one model differs from seed to seed.

        The sessions have no skips: implicit takes a skipped track for an unobserved one, the
        trainer never does.
        """
        train, valid = tastes(600, seed=1, skips=0), tastes(400, seed=2, skips=0)
        values = {}
        for variant, own in (("bl", {}), ("nr", {"skip_pair_share": 0.0})):
            settings = settings_of("bpr", variant) | {"factors": 16, "iterations": 30} | own
            values[variant] = np.array(
                [quality(settings, train, valid, seed) for seed in range(20)]
            )
        spread = np.sqrt((values["bl"].var(0, ddof=1) + values["nr"].var(0, ddof=1)) / 2)
        difference = np.abs(values["bl"].mean(0) - values["nr"].mean(0))
        assert (difference < spread).all(), (difference, spread)
        # What they agree on is something learned: chance has an AUC of 0.5, and a wide spread would
        # hide a difference.
        assert (values["nr"][:, 0] > 0.8).all()
        assert (spread < [0.005, 0.02]).all()

    @pytest.mark.parametrize("variant", BPR_VARIANTS)
    def test_a_diverging_rate_is_named(self, variant):
        train = random_sessions(100, 50, seed=1)
        settings = settings_of("bpr", variant) | {"learning_rate": 1e30}
        with pytest.raises(DivergedError, match="lower model_registry.bpr.settings.learning_rate"):
            find_model("bpr")(50, settings).fit(train, train, seed=1, threads=1)

    def test_more_threads_give_the_same_model(self):
        train = random_sessions(400, 50, seed=1)
        for variant in BPR_VARIANTS:
            states = []
            for threads in (1, 2):
                model = find_model("bpr")(50, settings_of("bpr", variant))
                model.fit(train, train, seed=1, threads=threads)
                states.append(model.items)
            assert torch.equal(*states)


N_TASTES, PER_TASTE = 6, 20


def tastes(n: int, seed: int, skips: float = 1 / 3) -> Sequences:
    """Sessions of six tastes with 20 tracks each, from which 80 % of the plays and the target
    come.
    """
    rng = np.random.default_rng(seed)
    sizes = rng.integers(6, 16, n)
    tracks, skipped, targets = [], [], []
    for size in sizes:
        own = rng.permutation(PER_TASTE) + 1 + PER_TASTE * rng.integers(N_TASTES)
        anything = rng.integers(1, N_TASTES * PER_TASTE + 1, size)
        tracks.append(np.where(rng.random(size) < 0.8, own[:size], anything).tolist())
        skipped.append([False, *(rng.random(size - 1) < skips).tolist()])
        targets.append(own[-1])
    return sequences(tracks, skipped, targets)


def quality(settings: dict, train: Sequences, valid: Sequences, seed: int) -> tuple[float, float]:
    """AUC and NDCG@10 of the targets of ``valid`` among all tracks."""
    model = find_model("bpr")(N_TASTES * PER_TASTE, settings)
    model.fit(train, valid, seed=seed, threads=1)
    scores = model.score(valid).numpy()[:, 1:]
    rank = (scores >= scores[np.arange(len(valid)), valid.target - 1][:, None]).sum(1)
    return float(1 - (rank - 1).mean() / (scores.shape[1] - 1)), float(ndcg(rank, 10).mean())


class TestWRMF:
    def test_a_context_is_folded_in_by_the_least_squares_of_the_paper(self):
        """Hu, Koren & Volinsky 2008, equation 4: x = (Yᵀ C Y + λ I)⁻¹ Yᵀ C p, with what each
        variant says of a skip.
        """
        context = sequences([[1, 2, 3, 2, 2]], [[False, False, True, False, True]])
        train = random_sessions(60, 10, seed=1)
        for variant, confidence, preference in (
            ("orig", [4, 12, 4], [1, 1, 1]),  # alpha × plays
            ("bl", [4, 8, 1], [1, 1, 0]),
            ("nr", [4, 8, 2], [1, 1, 0]),
        ):
            model = find_model("wrmf")(10, settings_of("wrmf", variant) | {"alpha": 4.0})
            model.fit(train, train, seed=1, threads=1)
            y = model.items.numpy().astype(np.float64)
            c, p = np.ones(11), np.zeros(11)
            c[[1, 2, 3]], p[[1, 2, 3]] = confidence, preference
            x = np.linalg.solve(y.T @ (c[:, None] * y) + 0.01 * np.eye(8), y.T @ (c * p))
            np.testing.assert_allclose(model.score(context).numpy()[0], y @ x, rtol=1e-3, atol=1e-4)

    def test_a_rejection_no_stronger_than_an_unobserved_track_is_an_error(self):
        settings = settings_of("wrmf", "nr")
        with pytest.raises(
            UserError, match=r"wrmf: alpha × skip_confidence must be above 1.*; it is 0\.8$"
        ):
            find_model("wrmf")(10, settings | {"alpha": 1.6})

    def test_factors_that_are_not_finite_are_named(self):
        train = random_sessions(60, 10, seed=1)
        for model, name, value in (
            ("wrmf", "alpha", 1e30),
            ("bpr", "regularization", 1000),
        ):
            recommender = find_model(model)(10, settings_of(model, "orig") | {name: value})
            with pytest.raises(
                DivergedError, match=rf"lower model_registry\.{model}\.settings\.{name}"
            ):
                recommender.fit(train, train, seed=1, threads=1)

    @pytest.mark.parametrize("variant", ["orig", "bl", "nr"])
    def test_an_alpha_that_gives_a_play_no_weight_is_an_error(self, variant):
        settings = settings_of("wrmf", variant) | {"alpha": 1.0}
        with pytest.raises(
            UserError, match=r"wrmf: alpha: 1\.0 is less than or equal to the minimum"
        ):
            find_model("wrmf")(10, settings)


class TestBPR:
    @pytest.mark.parametrize("variant", BPR_VARIANTS)
    def test_it_completes_a_checkerboard(self, variant):
        """Session i listens to the tracks of its own parity but i itself, which must then be the
        best of the unheard.
        """
        n = 40
        tracks = [
            [track for track in range(1, n + 1) if (session - track) % 2 == 0 and track != session]
            for session in range(n)
        ]
        train = sequences(tracks)
        model = find_model("bpr")(
            n, settings_of("bpr", variant) | {"factors": 16, "iterations": 200}
        )
        model.fit(train, train, seed=1, threads=1)
        scores = model.score(train).numpy()
        for session in range(1, n):
            other_parity = [track for track in range(1, n + 1) if (session - track) % 2]
            assert scores[session, session] > scores[session, other_parity].max()

    def test_a_rejected_track_scores_below_an_unobserved_one(self):
        train = tastes(400, seed=1)
        row, track = train.tracks.row_of_value(), train.tracks.values.astype(int)
        listened, _ = train.listened_and_rejected(N_TASTES * PER_TASTE)
        rejected = train.skipped.values & (listened[row, track].A1 == 0)
        scores = {}
        for variant in BPR_VARIANTS:
            own = {"skip_pair_share": 0.3} if variant == "nr" else {}
            model = find_model("bpr")(
                N_TASTES * PER_TASTE,
                settings_of("bpr", variant) | {"factors": 16, "iterations": 30} | own,
            )
            model.fit(train, train, seed=1, threads=1)
            found = model.score(train).numpy()
            # Above or below the session's unobserved tracks, because scores of two models have no
            # common scale.
            unobserved = np.where(train.matrix(model.n_tracks).toarray() > 0, np.nan, found)[:, 1:]
            place = (found[row, track][:, None] > unobserved[row]).mean(1)
            scores[variant] = place[rejected].mean()
        assert scores["nr"] < scores["bl"] - 0.1
        assert scores["bl"] < scores["orig"] - 0.05

    def test_a_row_of_the_history_is_an_iteration(self):
        train = random_sessions(60, 50, seed=1)
        for variant in BPR_VARIANTS:
            model = find_model("bpr")(50, settings_of("bpr", variant))
            history = model.fit(train, train, seed=1, threads=1)
            assert [row["epoch"] for row in history] == [1, 2, 3, 4, 5]
            assert [row["best"] for row in history] == [False] * 4 + [True]
            assert all(
                row["sessions_per_second"] == pytest.approx(60 / row["seconds"]) for row in history
            )


class TestFoldIn:
    @pytest.mark.parametrize("share", [0.0, 0.3])
    def test_it_finds_the_vector_that_training_found(self, share):
        train = tastes(600, seed=1)
        listened, rejected = train.listened_and_rejected(N_TASTES * PER_TASTE)
        rng, rates = np.random.default_rng(1), {"learning_rate": 0.05, "regularization": 0.01}
        sampler = PairSampler(listened, rejected, share)
        learned, items = fit_with_rejected(
            sampler, **rates, factors=16, iterations=40, rng=rng, callback=lambda *_: None
        )
        drawn = torch.from_numpy(listened.indices[rng.integers(listened.nnz, size=(40, 16))])
        padded = [bpr._padded(matrix) for matrix in (listened, rejected)]
        folded = bpr.fold_in(
            torch.from_numpy(items), drawn, *padded, **rates, skip_pair_share=share
        ).numpy()
        cosine = (learned * folded)[:, :-1].sum(1)
        cosine /= np.linalg.norm(learned[:, :-1], axis=1) * np.linalg.norm(folded[:, :-1], axis=1)
        assert np.median(cosine) > 0.95
        assert (folded[:, -1] == 1).all()

    def test_an_epoch_is_the_sum_of_the_expected_updates(self):
        """One session with two preferred tracks, a rejected one and two drawn ones, of which one is
        observed.
        """
        items = torch.randn(6, 3, generator=torch.Generator().manual_seed(1))
        x = np.array([0.0, 0.0, 1.0])
        y = items.numpy().astype(np.float64)
        found = bpr.fold_in(
            items,
            torch.tensor([[4, 2], [5, 1]]),
            torch.tensor([[1, 2]]),
            torch.tensor([[3]]),
            learning_rate=0.1,
            regularization=0.2,
            skip_pair_share=0.25,
        )
        for unobserved in (4, 5):
            # Half of the pairs are left out because the drawn track is observed; a quarter of the
            # rest gets the rejected track.
            chances = {unobserved: 0.5 * 0.75, 3: 0.5 * 0.25}
            step = np.zeros(3)
            for p in (1, 2):
                for n, chance in chances.items():
                    z = 1 / (1 + np.exp(x @ (y[p] - y[n])))
                    step += chance * (z * (y[p] - y[n]) - 0.2 * x)
            x = x + 0.1 * step * [1, 1, 0]
        np.testing.assert_allclose(found.numpy()[0], x, rtol=1e-5)

    def test_a_context_without_a_preferred_track_is_ranked_by_bias(self):
        train = random_sessions(60, 50, seed=1)
        for variant in ("bl", "nr"):
            model = find_model("bpr")(50, settings_of("bpr", variant))
            model.fit(train, train, seed=1, threads=1)
            scores = model.score(sequences([[3, 4]], [[True, True]]))
            assert torch.equal(scores[0], model.items[:, -1])


@pytest.mark.parametrize(
    ("model", "variant", "changed", "named"),
    [
        ("wrmf", "bl", {"alpha": 40.0, "regularization": 1e-12}, "regularization"),
        ("wrmf", "nr", {"skip_confidence": 1e12}, "skip_confidence"),
        ("ease", "orig", {"regularization": 1e-300}, "ease.settings.regularization"),
        ("ease", "orig", {"regularization": 1e308}, "ease.settings.regularization"),
    ],
)
def test_settings_that_no_matrix_bears_are_named(model, variant, changed, named):
    sessions = random_sessions(30, 80, seed=1)
    settings = settings_of(model, variant) | ({"factors": 100} if model == "wrmf" else {})
    recommender = find_model(model)(80, settings | changed)

    def fitted_and_asked():
        recommender.fit(sessions, sessions, seed=1, threads=1)
        recommender.score(sessions)

    with pytest.raises(DivergedError, match=named):
        fitted_and_asked()
