"""The contract that every model keeps, and what holds for the neural ones."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from examples import (
    cyclic_sessions,
    default_config,
    random_sessions,
    relabelled,
    sequences,
    settings_of,
)
from safetensors.torch import load_file, save_file
from skipwise.core.config import variants
from skipwise.core.errors import UserError
from skipwise.core.registry import find_model, names, uses_labels
from skipwise.models.parts import plays
from skipwise.models.parts.layers import Dropout
from skipwise.models.parts.neural import NeuralRecommender
from skipwise.models.parts.plays import weighted_tracks
from skipwise.ranking.base import ScoreRanker
from skipwise.ranking.ranker import ranker, validation_ranks
from skipwise.sessions.sequences import Ragged
from skipwise.training.batches import Batches, seen_labels

pytestmark = pytest.mark.long

CONFIG = default_config()
FAMILY = {model: CONFIG["model_registry"][model]["family"] for model in names("model")}
RUNS = [(model, variant) for model in FAMILY for variant in variants(CONFIG, model)]
NEURAL = [model for model, family in FAMILY.items() if family == "neural"]
BASELINES = [model for model, family in FAMILY.items() if family == "baseline"]
N_TRACKS = 50
FEW = {model: {"max_epochs": 2} for model in NEURAL}


def fitted(model, variant, seed=3, train=None, valid=None, n_tracks=N_TRACKS, **settings):
    recommender = find_model(model)(n_tracks, settings_of(model, variant) | settings)
    train = train or random_sessions(60, n_tracks, seed=1)
    history = recommender.fit(train, valid or train_targets(train), seed=seed, threads=1)
    return recommender, history


@cache
def trained(model, variant, **settings):
    """The model of all tests that only read one, and its history; few epochs do."""
    return fitted(model, variant, **(FEW.get(model, {}) | settings))


def train_targets(sessions):
    """Validation sessions: the contexts of ``sessions``, each with its own last track as the
    target.
    """
    last = sessions.tracks.values[sessions.tracks.offsets[1:] - 1]
    return replace(sessions, target=last)


def test_registry_holds_the_model_files():
    assert {model for model, _ in RUNS} == set(names("model"))
    assert "neural" not in names("model")
    with pytest.raises(UserError, match=r"unknown model 'sasrek'; the models are .*sasrec"):
        find_model("sasrek")


@pytest.mark.parametrize(("model", "variant"), RUNS)
class TestContract:
    def test_scores_have_a_column_for_every_track_and_are_finite(self, model, variant):
        recommender, _ = trained(model, variant)
        contexts = random_sessions(7, N_TRACKS, seed=2)
        scores = recommender.score(contexts)
        assert scores.shape == (7, N_TRACKS + 1)
        assert scores.dtype == torch.float32
        assert torch.isfinite(scores).all()

    def test_its_ranks_are_those_of_its_scores(self, model, variant):
        recommender, _ = trained(model, variant)
        contexts = train_targets(random_sessions(20, N_TRACKS, seed=2))
        counts = random_sessions(60, N_TRACKS, seed=1).counts(N_TRACKS)
        ours, plain = (
            validation_ranks(ranking, contexts, cutoff=None)
            for ranking in (ranker(recommender, counts), ScoreRanker(recommender))
        )
        assert np.array_equal(ours, plain)

    def test_a_score_does_not_depend_on_the_other_sessions_of_the_batch(self, model, variant):
        recommender, _ = trained(model, variant)
        contexts = random_sessions(9, N_TRACKS, seed=2)
        together = recommender.score(contexts)
        alone = torch.cat([recommender.score(contexts.take(np.array([i]))) for i in range(9)])
        torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)

    def test_the_target_and_the_unseen_skips_are_never_looked_at(self, model, variant):
        recommender, _ = trained(model, variant)
        contexts = random_sessions(5, N_TRACKS, seed=2)
        other = replace(
            contexts,
            target=contexts.target[::-1],
            unseen_skips=contexts.unseen_skips.take(np.arange(5)[::-1]),
        )
        assert torch.equal(recommender.score(contexts), recommender.score(other))

    def test_the_same_seed_gives_the_same_model_and_another_seed_another(self, model, variant):
        contexts = random_sessions(5, N_TRACKS, seed=2)
        first = trained(model, variant)[0].score(contexts)
        again, other = (
            fitted(model, variant, seed, **FEW.get(model, {}))[0].score(contexts) for seed in (3, 4)
        )
        assert torch.equal(first, again)
        if model not in BASELINES:
            assert not torch.equal(first, other)

    def test_fitting_leaves_the_global_generators_alone(self, model, variant):
        torch.manual_seed(5)
        np.random.seed(5)
        before = torch.get_rng_state(), np.random.get_state()[1].copy()
        fitted(model, variant, **FEW.get(model, {}))
        assert torch.equal(before[0], torch.get_rng_state())
        assert np.array_equal(before[1], np.random.get_state()[1])

    def test_a_saved_model_scores_the_same(self, model, variant, tmp_path):
        recommender, _ = trained(model, variant)
        save_file(recommender.state(), tmp_path / "model.safetensors")
        loaded = find_model(model)(N_TRACKS, recommender.settings)
        loaded.load_state(load_file(tmp_path / "model.safetensors"))
        contexts = random_sessions(5, N_TRACKS, seed=2)
        assert torch.equal(recommender.score(contexts), loaded.score(contexts))

    def test_an_unknown_or_missing_setting_is_named(self, model, variant):
        settings = settings_of(model, variant)
        with pytest.raises(
            UserError, match=rf"model_registry\.{model}: the model has no setting 'layerss'"
        ):
            find_model(model)(N_TRACKS, settings | {"layerss": 3})
        for name in sorted(find_model(model).SETTINGS):
            with pytest.raises(UserError, match=f"needs the setting '{name}'"):
                find_model(model)(
                    N_TRACKS, {key: value for key, value in settings.items() if key != name}
                )

    def test_its_control_is_the_model_of_other_labels(self, model, variant):
        settings = settings_of(model, variant)
        if not uses_labels(settings):
            with pytest.raises(UserError, match="the model has no setting 'labels'"):
                find_model(model)(N_TRACKS, settings | {"labels": "shuffled"})
            return
        train, few = random_sessions(60, N_TRACKS, seed=1), FEW.get(model, {})
        valid, contexts = train_targets(train), random_sessions(5, N_TRACKS, seed=2)
        if "targets" in settings:
            few = few | {"targets": "labelled"}
        control, _ = fitted(model, variant, train=train, valid=valid, labels="shuffled", **few)

        def others(plays, stays="last"):
            return seen_labels(plays, "shuffled", stays=stays)

        stays = "first" if "targets" in settings else "last"
        of_others = {"train": others(train, stays), "valid": others(valid)}
        twin, _ = fitted(model, variant, **of_others, **few)
        assert torch.equal(control.score(contexts), twin.score(others(contexts)))
        right, _ = fitted(model, variant, train=train, valid=valid, **few)
        assert not torch.equal(control.score(contexts), right.score(contexts))


BLIND = [model for model, variant in RUNS if variant == "blind"]


class TestBlind:
    """``blind`` reads no label, and ``orig`` differs from it by the labels of its targets alone."""

    def states(self, model, variant, *trains):
        """The states of a model that is fitted on the same plays with different labels."""
        return [
            fitted(model, variant, train=train, valid=train_targets(train), **FEW.get(model, {}))[
                0
            ].state()
            for train in trains
        ]

    def test_it_exists_for_every_model_that_trains_on_targets(self):
        assert set(BLIND) == {*NEURAL, "markov", "item-knn", "session-knn"}

    @pytest.mark.parametrize("model", BLIND)
    def test_other_labels_change_nothing(self, model):
        train = random_sessions(60, N_TRACKS, seed=1)
        first, *others = self.states(
            model, "blind", train, relabelled(train, 2), relabelled(train, 3)
        )
        for other in others:
            assert first.keys() == other.keys()
            assert all(torch.equal(first[name], other[name]) for name in first)

    @pytest.mark.parametrize("model", BLIND)
    def test_other_labels_change_orig(self, model):
        train = random_sessions(60, N_TRACKS, seed=1)
        first, other = self.states(model, "orig", train, relabelled(train, 2))
        assert any(
            first[name].shape != other[name].shape or not torch.equal(first[name], other[name])
            for name in first
        )

    @pytest.mark.parametrize("model", BLIND)
    def test_where_everything_is_listened_to_orig_is_blind(self, model):
        train = random_sessions(60, N_TRACKS, seed=1)
        train = replace(train, skipped=Ragged(train.skipped.values & False, train.skipped.offsets))
        (blind,), (orig,) = (self.states(model, variant, train) for variant in ("blind", "orig"))
        assert all(torch.equal(blind[name], orig[name]) for name in blind)

    @pytest.mark.parametrize("model", BLIND)
    def test_scores_see_no_label_either(self, model):
        recommender, _ = trained(model, "blind")
        contexts = random_sessions(9, N_TRACKS, seed=2)
        scores = recommender.score(contexts)
        assert torch.equal(scores, recommender.score(relabelled(contexts, 1)))


@pytest.mark.parametrize("model", NEURAL)
class TestNeural:
    def network(self, model, **settings):
        recommender: NeuralRecommender = find_model(model)(
            N_TRACKS, settings_of(model, "orig") | settings
        )
        recommender.initialise(1)
        recommender.network.eval()
        return recommender

    def test_the_table_begins_with_the_deviation_of_the_settings(self, model):
        plain, small = (
            self.network(model, initialization=deviation).table for deviation in (None, 0.02)
        )
        times = 0.02 * plain.shape[1] ** 0.5
        torch.testing.assert_close(small, plain * times)
        assert small[1:].std().item() == pytest.approx(0.02, rel=0.1)

    def test_a_causal_model_does_not_see_later_tracks_and_another_does(self, model):
        recommender = self.network(model)
        tracks = torch.from_numpy(
            random_sessions(1, N_TRACKS, seed=2, lengths=(12, 12)).tracks.padded().astype("int64")
        )
        changed = tracks.clone()
        changed[0, 7] = tracks[0, 7] % N_TRACKS + 1
        with torch.inference_mode():
            first, second = (
                recommender.network(recommender.table[t], t > 0)[0] for t in (tracks, changed)
            )
        assert recommender.causal == (model != "bert4rec")
        assert torch.equal(first[:7], second[:7]) == recommender.causal
        assert not torch.allclose(first[7:], second[7:])

    def test_padding_changes_nothing(self, model):
        recommender = self.network(model)
        tracks = torch.from_numpy(
            random_sessions(1, N_TRACKS, seed=2, lengths=(8, 8)).tracks.padded().astype("int64")
        )
        padded = torch.cat([tracks, torch.zeros(1, 4, dtype=torch.int64)], dim=1)
        recommender.table[0] = 1e6
        with torch.inference_mode():
            short = recommender.network(recommender.table[tracks], tracks > 0)
            long = recommender.network(recommender.table[padded], padded > 0)
        torch.testing.assert_close(short, long[:, :8], rtol=1e-5, atol=1e-6)

    @pytest.mark.parametrize("variant", ["orig", "contrastive-item", "contrastive-hidden"])
    def test_the_history_says_what_happened(self, model, variant):
        _, history = trained(model, variant, max_epochs=6)
        assert len(history) > 2
        assert [row["epoch"] for row in history] == list(range(1, len(history) + 1))
        best = max(history, key=lambda row: row["valid_ndcg_10"])
        assert [row["epoch"] for row in history if row["best"]] == [best["epoch"]]
        for row in history:
            expected = row["loss_base"] + (row["loss_skip"] or 0)
            assert row["loss"] == pytest.approx(expected, rel=1e-5)
            assert (row["loss_skip"] is None) == (variant == "orig")

    def test_the_model_is_left_at_its_best_epoch(self, model):
        train = random_sessions(60, N_TRACKS, seed=1)
        recommender, history = trained(model, "orig", max_epochs=6)
        from skipwise.ranking import metrics
        from skipwise.ranking.ranker import ranker, validation_ranks

        value = metrics.ndcg(
            validation_ranks(
                ranker(recommender, np.zeros(N_TRACKS + 1)), train_targets(train), cutoff=10
            ),
            10,
        ).mean()
        assert value == pytest.approx(max(row["valid_ndcg_10"] for row in history), rel=1e-9)

    def test_it_learns_a_cycle_by_heart(self, model):
        parts = {
            "train": cyclic_sessions(200, 30, seed=1),
            "valid": cyclic_sessions(50, 30, seed=3),
        }
        patience = 25 if model == "bert4rec" else 5  # it learns slowly
        recommender, _ = fitted(
            model, "orig", **parts, n_tracks=30, dropout=0.0, max_epochs=120, patience=patience
        )
        contexts = cyclic_sessions(50, 30, seed=2)
        assert (
            recommender.score(contexts)[:, 1:].argmax(1).numpy() + 1 == contexts.target
        ).mean() > 0.9

    def test_a_diverged_training_is_one_clear_error(self, model):
        # Past float32 in a few steps, also where an encoder's output is bounded.
        recommender = find_model(model)(
            N_TRACKS, settings_of(model, "orig") | {"learning_rate": 1e38}
        )
        train = random_sessions(60, N_TRACKS, seed=1)
        with pytest.raises(UserError, match=r"lower neural\.learning_rate"):
            recommender.fit(train, train_targets(train), seed=1, threads=1)


class TestTransformer:
    @pytest.mark.parametrize("causal", [True, False])
    @pytest.mark.parametrize("norm", ["post", "pre"])
    @pytest.mark.parametrize("positions", ["end", "start"])
    def test_it_equals_torchs_own_layers_on_the_same_weights(self, causal, norm, positions):
        from skipwise.models.parts.transformer import TransformerEncoder

        settings = {"dimension": 16, "heads": 4, "layers": 2, "feed_forward": 24, "dropout": 0.0}
        settings |= {"norm": norm, "positions": positions}
        encoder = TransformerEncoder(
            settings, 12, causal=causal, generator=torch.Generator().manual_seed(1)
        ).eval()
        encoder.trained.fill_(12)
        layers = [
            torch.nn.TransformerEncoderLayer(
                16, 4, 24, dropout=0.0, batch_first=True, norm_first=norm == "pre"
            ).eval()
            for _ in range(2)
        ]
        for theirs, ours in zip(layers, encoder.layers, strict=True):
            weights = {
                "self_attn.in_proj_weight": ours.attention_in.weight,
                "self_attn.in_proj_bias": ours.attention_in.bias,
                "self_attn.out_proj.weight": ours.attention_out.weight,
                "self_attn.out_proj.bias": ours.attention_out.bias,
                "linear1.weight": ours.inner.weight,
                "linear1.bias": ours.inner.bias,
                "linear2.weight": ours.outer.weight,
                "linear2.bias": ours.outer.bias,
                "norm1.weight": ours.attention_norm.weight,
                "norm1.bias": ours.attention_norm.bias,
                "norm2.weight": ours.feed_forward_norm.weight,
                "norm2.bias": ours.feed_forward_norm.bias,
            }
            theirs.load_state_dict(weights)
        x = torch.randn(3, 9, 16, generator=torch.Generator().manual_seed(2))
        real = torch.arange(9) < torch.tensor([9, 5, 1]).unsqueeze(1)
        mask = torch.ones(9, 9, dtype=torch.bool).triu(1) if causal else None
        place = (
            torch.arange(9)
            if positions == "start"
            else (real.sum(1, keepdim=True) - 1 - torch.arange(9)).clamp(min=0)
        )
        with torch.no_grad():
            expected = x + encoder.positions[place]
            for layer in layers:
                expected = layer(expected, src_mask=mask, src_key_padding_mask=~real)
            if norm == "pre":
                expected = torch.nn.functional.layer_norm(
                    expected, (16,), encoder.norm.weight, encoder.norm.bias
                )
            ours = encoder(x, real)
        torch.testing.assert_close(ours[real], expected[real], rtol=1e-4, atol=1e-5)


class TestDropout:
    def test_it_drops_the_rate_and_keeps_the_mean(self):
        dropout = Dropout(0.2, torch.Generator().manual_seed(1)).train()
        out = dropout(torch.ones(1000, 1000))
        assert (out == 0).float().mean().item() == pytest.approx(0.2, abs=0.002)
        assert out.max().item() == pytest.approx(1 / 0.8, rel=1e-4)
        assert out.mean().item() == pytest.approx(1.0, abs=0.003)

    def test_masks_are_independent_in_rows_and_columns(self):
        kept = (
            Dropout(0.5, torch.Generator().manual_seed(1)).train()(torch.ones(2000, 64)) > 0
        ).double()
        correlation = torch.corrcoef(kept.T) - torch.eye(64, dtype=torch.float64)
        assert (
            correlation.abs().max().item() < 0.12
        )  # over 5 standard deviations of a correlation of 2,000 pairs

    def test_it_does_nothing_in_evaluation(self):
        x = torch.randn(5, 5)
        assert Dropout(0.9, torch.Generator()).eval()(x) is x


class TestWRMF:
    def preferences(self, variant):
        recommender = find_model("wrmf")(5, settings_of("wrmf", variant) | {"skip_confidence": 3.0})
        sessions = sequences(
            [[1, 2, 2, 3, 1], [4, 4, 5]], [[False, True, True, False, True], [True, False, False]]
        )
        return recommender._preferences(sessions).toarray().tolist()

    def test_a_skip_is_preferred_left_out_or_rejected(self):
        assert self.preferences("orig") == [[0, 2, 2, 1, 0, 0], [0, 0, 0, 0, 2, 1]]
        assert self.preferences("bl") == [[0, 1, 0, 1, 0, 0], [0, 0, 0, 0, 1, 1]]
        # Tracks 1 and 4 were listened to as well, so only track 2 is rejected, twice.
        assert self.preferences("nr") == [[0, 1, -6, 1, 0, 0], [0, 0, 0, 0, 1, 1]]

    def test_a_rejected_track_scores_below_an_unobserved_one(self):
        train = random_sessions(200, N_TRACKS, seed=1)
        scores = {}
        for variant in ("bl", "nr"):
            recommender, _ = fitted("wrmf", variant, train=train)
            row, track = train.tracks.row_of_value(), train.tracks.values.astype(int)
            scores[variant] = (
                recommender.score(train).numpy()[row, track][train.skipped.values].mean()
            )
        assert scores["nr"] < scores["bl"]


class TestBaselines:
    def test_markov_counts_what_followed(self):
        train = sequences([[1, 2, 3], [1, 2, 1], [4, 2, 3]])
        recommender, _ = fitted("markov", "orig", train=train, n_tracks=4)
        scores = recommender.score(sequences([[3, 4, 2], [9 % 5, 1]])).numpy()
        # After 2 came 3 twice and 1 once; after 1 came 2 twice.  The rest is popularity below 1:
        # plays / (4 of track 2... + 1).
        counts = np.array([0, 3, 3, 2, 1])
        np.testing.assert_allclose(scores[0], np.array([0, 1, 0, 2, 0]) + counts / 4, rtol=1e-6)
        np.testing.assert_allclose(scores[1], np.array([0, 0, 2, 0, 0]) + counts / 4, rtol=1e-6)

    @pytest.mark.parametrize(
        ("variant", "after_1"), [("blind", [0, 0, 2, 0, 0]), ("orig", [0, 0, 0, 1, 1])]
    )
    def test_markov_counts_the_next_listened_or_the_next_track(self, variant, after_1):
        """After 1 came 2, skipped once and of unknown label once; the next listened ones are 3 and
        4.
        """
        train = sequences([[1, 2, 3], [1, 2, 4]], [[False, True, False], [False, None, False]])
        recommender, _ = fitted("markov", variant, train=train, n_tracks=4)
        plays = np.array([0, 2, 2, 1, 1])
        np.testing.assert_allclose(
            recommender.score(sequences([[1]])).numpy(), [np.array(after_1) + plays / 3], rtol=1e-6
        )

    def test_session_knn_sums_the_similarity_of_its_neighbours(self):
        train = sequences([[1, 2], [1, 3], [2, 3, 4, 4], [5]])
        recommender = session_knn(5, train, neighbours=2)
        context = sequences([[1, 2, 2]])
        context.session_id[0] = 99
        # Cosines of {1, 2}: 1 with {1, 2}; 1/2 with {1, 3}; 1/√6 with {2, 3, 4}, which is the third
        # and no neighbour.
        np.testing.assert_allclose(
            recommender.score(context).numpy(), [[0, 1.5, 1, 0.5, 0, 0]], rtol=1e-6
        )
        context.session_id[0] = 1  # the first training session itself
        expected = [[0, 0.5, 6**-0.5, 0.5 + 6**-0.5, 6**-0.5, 0]]
        np.testing.assert_allclose(recommender.score(context).numpy(), expected, rtol=1e-6)

    def test_session_knn_weighs_recent_and_rare_tracks(self):
        train = sequences([[1, 2], [1, 3], [1, 4]])
        recommender = session_knn(4, train, neighbours=3, weighting="linear", idf=True)
        # Track 1 is in every session, so its idf log(3/3) is 0; 2 and 3 have log 3 with the weights
        # 1/3 and 2/3 of their positions in [2, 3, 1]: the cosines are 1/√5 and 2/√5.
        scores = recommender.score(context_of([2, 3, 1])).numpy()
        expected = np.array([[0, 3, 1, 2, 0]]) / 5**0.5
        np.testing.assert_allclose(scores, expected, rtol=1e-6)

    @pytest.mark.parametrize(
        ("weighting", "weights"),
        [
            ("none", [1, 1, 1]),
            ("linear", [2 / 4, 3 / 4, 1]),
            ("quadratic", [4 / 16, 9 / 16, 1]),
            ("log", [1 / np.log10(3.7), 1 / np.log10(2.7), 1 / np.log10(1.7)]),
        ],
    )
    def test_a_track_has_the_weight_of_its_last_play(self, weighting, weights):
        sessions = sequences([[5, 2], [3, 1, 2, 3]])
        found = weighted_tracks(sessions, 5, weighting).toarray()
        tracks = [1, 2, 3]  # last played at positions 2, 3 and 4 of 4
        np.testing.assert_allclose(found[1, tracks], weights, rtol=1e-12)
        assert found[1].nonzero()[0].tolist() == tracks
        assert found[0].nonzero()[0].tolist() == [2, 5]

    def test_plays_that_do_not_count_keep_the_places_of_the_others(self):
        sessions = sequences([[3, 1, 2, 3]], [[False, True, False, True]])
        found = weighted_tracks(sessions, 3, "linear", sessions.listened.values)
        assert found.toarray().tolist() == [[0, 0, 3 / 4, 1 / 4]]

    @pytest.mark.parametrize(
        ("models", "name", "value", "expected"),
        [
            (["session-knn", "item-knn", "ease"], "weighting", "cubic", "'cubic' is not one of"),
            (["bpr", "wrmf", "ease"], "skips", "typo", "'typo' is not one of"),
            (["session-knn"], "idf", "no", "'no' is not of type 'boolean'"),
            (["sasrec", "bert4rec"], "norm", "none", "'none' is not one of"),
            (["wrmf"], "alpha", float("inf"), "inf is not a finite number"),
            (["item-knn"], "shrinkage", float("nan"), "nan is not a finite number"),
            (["item-knn"], "half_life", "7", "'7' is text to YAML; write 7"),
        ],
    )
    def test_a_value_that_is_not_allowed_is_named(self, models, name, value, expected):
        for model in models:
            said = rf"^model_registry\.{model}: {name}: {expected}"
            with pytest.raises(UserError, match=said):
                find_model(model)(5, settings_of(model, "orig") | {name: value})

    @pytest.mark.parametrize("model", ["bpr", "wrmf"])
    def test_rejected_skips_need_their_own_setting(self, model):
        with pytest.raises(UserError, match="the model needs the setting 'skip_"):
            find_model(model)(5, settings_of(model, "orig") | {"skips": "rejected"})

    def test_a_neighbour_votes_for_what_may_be_a_target(self):
        train = sequences([[1, 2, 3], [1, 3]], [[False, True, False], [False, True]])
        votes = {}
        for targets in ("listened", "next"):
            recommender = session_knn(3, train, neighbours=2, targets=targets)
            votes[targets] = recommender.score(context_of([1])).numpy()
        a, b = 3**-0.5, 2**-0.5  # the cosines are over all plays
        np.testing.assert_allclose(votes["listened"], [[0, a + b, 0, a]], rtol=1e-6)
        np.testing.assert_allclose(votes["next"], [[0, a + b, a, a + b]], rtol=1e-6)

    def test_only_the_latest_sessions_that_share_a_track_are_compared(self):
        train = sequences([[1], [1, 2], [1, 3], [4]])
        times = np.array([5.0, 1.0, 7.0, 9.0])
        timed = replace(train, time=times)
        recommender = session_knn(4, timed, neighbours=9, sample_size=2)
        a = 2**-0.5
        scores = recommender.score(context_of([1])).numpy()
        np.testing.assert_allclose(scores, [[0, 1 + a, 0, a, 0]], rtol=1e-6)
        # Without times all are.
        scores = session_knn(4, train, neighbours=9, sample_size=2).score(context_of([1])).numpy()
        np.testing.assert_allclose(scores, [[0, 1 + 2 * a, a, a, 0]], rtol=1e-6)

    def test_equal_neighbours_are_taken_in_order_and_blocks_change_nothing(self, monkeypatch):
        train = sequences([[1, track] for track in (2, 3, 4, 5)])
        recommender = session_knn(5, train, neighbours=2)
        scores = recommender.score(context_of([1])).numpy()
        assert scores.nonzero()[1].tolist() == [1, 2, 3]
        settings = settings_of("session-knn", "orig")
        recommender = find_model("session-knn")(N_TRACKS, settings)
        recommender.fit(random_sessions(60, N_TRACKS, seed=1), None, seed=1, threads=1)
        contexts = random_sessions(9, N_TRACKS, seed=2)
        expected = recommender.score(contexts)
        for cells in (1, 100):
            monkeypatch.setattr(plays, "CELLS", cells)
            assert torch.equal(recommender.score(contexts), expected)

    def test_item_knn_is_shrunk_cosine_of_the_sessions_of_two_tracks(self):
        train = sequences([[1, 2], [1, 2, 3], [3, 1, 1]], [[False, True], [False] * 3, [False] * 3])
        scores = (
            item_knn(3, train, neighbours=2, shrinkage=2.0).score(sequences([[1], [2]])).numpy()
        )
        # 1 is played in three sessions.  2 is listened to in one, with 1; 3 in two, both with 1.
        expected = [0, 0, 1 / (3**0.5 + 2), 2 / (6**0.5 + 2)]
        np.testing.assert_allclose(scores[0], expected, rtol=1e-6)
        # 2 is played in two: 1 is listened to in both, and in three in all; 3 in one, and in two.
        expected = [0, 2 / (6**0.5 + 2), 0, 1 / (2 + 2)]
        np.testing.assert_allclose(scores[1], expected, rtol=1e-6)
        # With plain next targets the skip of 2 is a play: in two sessions, both with 1.
        blind = item_knn(3, train, neighbours=1, shrinkage=0.0, targets="next")
        # Both are 2/√6, and the one neighbour is the first of them.
        np.testing.assert_allclose(
            blind.score(sequences([[1]])).numpy(), [[0, 0, 2 / 6**0.5, 0]], rtol=1e-6
        )

    def test_item_knn_sums_over_the_weighted_context(self):
        train = sequences([[1, 3], [2, 3], [1, 2]])
        recommender = item_knn(3, train, shrinkage=0.0, weighting="linear")
        # Every pair is in one session and every track in two: 1/2.
        scores = recommender.score(sequences([[1, 2]])).numpy()
        np.testing.assert_allclose(scores, [[0, 1 / 2, 1 / 4, 3 / 4]], rtol=1e-6)

    def test_item_knn_counts_a_session_by_its_age(self):
        train = replace(sequences([[1, 2], [1, 3], [1, 3]]), time=np.array([10.0, 8.0, 6.0]))
        recommender = item_knn(3, train, shrinkage=0.0, half_life=2.0)
        # The weights are 1, 1/2 and 1/4.
        scores = recommender.score(sequences([[1]])).numpy()
        expected = [[0, 0, 1 / 1.75**0.5, 0.75 / (1.75 * 0.75) ** 0.5]]
        np.testing.assert_allclose(scores, expected, rtol=1e-6)

    def test_item_knn_is_the_same_in_blocks(self, monkeypatch):
        train, contexts = (random_sessions(60, N_TRACKS, seed=seed) for seed in (1, 2))
        expected = item_knn(N_TRACKS, train, neighbours=5).score(contexts)
        for cells in (1, 300):
            monkeypatch.setattr(plays, "CELLS", cells)
            assert torch.equal(item_knn(N_TRACKS, train, neighbours=5).score(contexts), expected)

    def test_ease_is_the_closed_form(self):
        train = sequences([[1, 2], [1, 2], [1]])
        settings = {"regularization": 1.0, "weighting": "none", "skips": "preferred"}
        recommender = find_model("ease")(2, settings)
        recommender.fit(train, train, seed=1, threads=1)
        # XᵀX + I = [[4, 2], [2, 3]], so P = [[3, -2], [-2, 4]] / 8 and b_12 = 2/4, b_21 = 2/3.
        scores = recommender.score(sequences([[1], [2], [2, 1]])).numpy()
        expected = [[0, 0, 1 / 2], [0, 2 / 3, 0], [0, 2 / 3, 1 / 2]]
        np.testing.assert_allclose(scores, expected, rtol=1e-6)

    def test_ease_is_the_least_squares_of_each_track_on_the_others(self):
        train = random_sessions(60, 8, seed=1)
        recommender = find_model("ease")(8, settings_of("ease", "bl") | {"regularization": 3.0})
        recommender.fit(train, train, seed=1, threads=1)
        x = (train.matrix(8, train.listened.values).toarray() > 0).astype(float)
        for track in range(1, 9):
            others = [other for other in range(1, 9) if other != track]
            of_others = x[:, others]
            weights = np.linalg.solve(
                of_others.T @ of_others + 3 * np.eye(7), of_others.T @ x[:, track]
            )
            np.testing.assert_allclose(recommender.weights[others, track], weights, atol=1e-6)
            assert recommender.weights[track, track] == 0

    def test_ease_leaves_skips_out_of_training_and_context(self):
        train = sequences([[1, 2, 3], [1, 3]], [[False, True, False], [False, False]])
        recommender = find_model("ease")(3, settings_of("ease", "bl"))
        recommender.fit(train, train, seed=1, threads=1)
        assert (recommender.weights[2] == 0).all()
        assert (recommender.weights[:, 2] == 0).all()
        contexts = sequences([[1, 3], [1]], [[False, True], [False]])
        assert torch.equal(*recommender.score(contexts))

    def test_popularity_decays_with_the_days_between_two_sessions(self):
        train = replace(
            sequences([[1, 2], [2, 2], [3]], [[True, False], [False] * 2, [False]]),
            time=np.array([10.0, 14.0, 12.0]),
        )
        recommender = find_model("decayed-popularity")(3, {"half_life": 2.0})
        recommender.fit(train, train, seed=1, threads=1)
        contexts = replace(sequences([[3], [3], [3]]), time=np.array([12.0, 16.0, 12.0]))
        contexts.session_id[:] = [91, 92, 2]
        # On day 12 sessions 1 and 2 are a half-life away; on day 16 they are 3 and 1, 3 is 2.
        expected = [
            [0, 1 / 2, 1 / 2 + 2 / 2, 1],
            [0, 1 / 8, 1 / 8 + 2 / 2, 1 / 4],
            [0, 1 / 2, 1 / 2, 1],  # session 2 itself does not count
        ]
        np.testing.assert_allclose(recommender.score(contexts).numpy(), expected, rtol=1e-6)
        # Without a time a context is at the end of the training: day 14.
        untimed = context_of([3])
        expected = [[0, 1 / 4, 1 / 4 + 2, 1 / 2]]
        np.testing.assert_allclose(recommender.score(untimed).numpy(), expected, rtol=1e-6)

    def test_without_times_popularity_does_not_decay(self, caplog):
        train, contexts = (random_sessions(60, N_TRACKS, seed=seed) for seed in (1, 2))
        contexts.session_id[:] += 1000
        recommender, _ = fitted("decayed-popularity", "orig", train=train)
        assert "half_life has no effect" in caplog.text
        plain, _ = fitted("popularity", "orig", train=train)
        assert torch.equal(recommender.score(contexts), plain.score(contexts))

    def test_a_half_life_is_above_zero(self):
        for model in ("decayed-popularity", "item-knn"):
            with pytest.raises(
                UserError, match="half_life: 0 is less than or equal to the minimum"
            ):
                find_model(model)(5, settings_of(model, "orig") | {"half_life": 0})


def session_knn(n_tracks, train, **settings):
    """A fitted session kNN; plain cosines and all plays as votes, where nothing else is asked."""
    plain = {"weighting": "none", "idf": False, "sample_size": None, "targets": "next"}
    recommender = find_model("session-knn")(n_tracks, plain | settings)
    recommender.fit(train, train, seed=1, threads=1)
    return recommender


def item_knn(n_tracks, train, **settings):
    """A fitted item kNN of the default settings and these."""
    recommender = find_model("item-knn")(n_tracks, settings_of("item-knn", "orig") | settings)
    recommender.fit(train, train, seed=1, threads=1)
    return recommender


def context_of(tracks):
    """One context of a session that is not in training."""
    context = sequences([tracks])
    context.session_id[0] = 99
    return context


class TestOthersLayers:
    """Encoders against independent computations on the same weights."""

    def test_gru4rec_is_the_textbook_recurrence(self):
        recommender = find_model("gru4rec")(N_TRACKS, settings_of("gru4rec", "orig"))
        recommender.initialise(1)
        gru = recommender.network.encoder.gru
        x = torch.randn(2, 6, gru.input_size, generator=torch.Generator().manual_seed(1))
        hidden = torch.zeros(2, gru.hidden_size)
        expected = []
        with torch.no_grad():
            for step in range(6):
                from_input = (x[:, step] @ gru.weight_ih_l0.T + gru.bias_ih_l0).chunk(3, 1)
                from_state = (hidden @ gru.weight_hh_l0.T + gru.bias_hh_l0).chunk(3, 1)
                reset, update = (torch.sigmoid(from_input[i] + from_state[i]) for i in (0, 1))
                new = torch.tanh(from_input[2] + reset * from_state[2])
                hidden = (1 - update) * new + update * hidden
                expected.append(hidden)
            found = recommender.network.eval().encoder(x, torch.ones(2, 6, dtype=torch.bool))
        torch.testing.assert_close(found, torch.stack(expected, 1), rtol=1e-4, atol=1e-5)

    def test_caser_is_torchs_own_convolutions_on_each_window(self):
        recommender = find_model("caser")(N_TRACKS, settings_of("caser", "orig"))
        recommender.initialise(1)
        encoder, dimension = recommender.network.eval().encoder, recommender.settings["dimension"]
        x = torch.randn(2, 7, dimension, generator=torch.Generator().manual_seed(1))
        conv = torch.nn.functional.conv2d
        with torch.no_grad():
            found = encoder(x, torch.ones(2, 7, dtype=torch.bool))
            for at in range(7):
                window = torch.zeros(2, 1, 5, dimension)
                seen = x[:, max(0, at - 4) : at + 1]
                window[:, 0, 5 - seen.shape[1] :] = seen
                vertical = conv(
                    window, encoder.vertical.weight.view(-1, 1, 5, 1), encoder.vertical.bias
                )  # (B, filters, 1, D)
                features = [vertical.squeeze(2).transpose(1, 2).flatten(1)]
                for height, layer in enumerate(encoder.horizontal, start=1):
                    out = conv(
                        window, layer.weight.view(-1, 1, height, dimension), layer.bias
                    ).squeeze(3)
                    features.append(out.relu().amax(2))
                expected = encoder.joined(torch.cat(features, 1)).relu()
                torch.testing.assert_close(found[:, at], expected, rtol=1e-4, atol=1e-5)


class TestMask:
    def test_the_last_listened_track_is_masked_always_and_others_by_share(self):
        train = random_sessions(4000, N_TRACKS, seed=1)
        batch = next(Batches(train, 4000).epoch(np.random.default_rng(1)))
        masked = batch.mask(0.15, np.random.default_rng(2))
        listened = ~batch.skipped & (batch.tracks > 0)
        assert not (masked & ~listened).any()
        last = listened.shape[1] - 1 - listened[:, ::-1].argmax(1)
        assert masked[np.arange(len(masked)), last].all()
        others = listened.copy()
        others[np.arange(len(others)), last] = False
        assert masked[others].mean() == pytest.approx(0.15, abs=0.01)

    def test_of_plain_next_targets_the_last_track_is_masked_always_and_any_by_share(self):
        train = relabelled(random_sessions(4000, N_TRACKS, seed=1), 2)
        batch = next(Batches(train, 4000, "next").epoch(np.random.default_rng(1)))
        masked, real = batch.mask(0.15, np.random.default_rng(2)), batch.tracks > 0
        assert not (masked & ~real).any()
        last = real.sum(1) - 1
        assert masked[np.arange(len(masked)), last].all()
        others = real.copy()
        others[np.arange(len(others)), last] = False
        for some in (others & batch.skipped, others & batch.listened):
            assert masked[some].mean() == pytest.approx(0.15, abs=0.01)

    def test_a_track_of_unknown_label_is_never_masked_where_targets_are_listened(self):
        train = relabelled(random_sessions(400, N_TRACKS, seed=1), 2)
        for batch in Batches(train, 64).epoch(np.random.default_rng(1)):
            assert not (batch.mask(0.9, np.random.default_rng(2)) & ~batch.listened).any()
