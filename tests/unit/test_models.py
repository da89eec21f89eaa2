"""The contract that every model keeps, and what holds for the neural ones."""

from dataclasses import replace

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
from skipwise.core.registry import find_model, names
from skipwise.models.parts.layers import Dropout
from skipwise.models.parts.neural import NeuralRecommender
from skipwise.sessions.sequences import Ragged
from skipwise.training.batches import Batches

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
        recommender, _ = fitted(model, variant)
        contexts = random_sessions(7, N_TRACKS, seed=2)
        scores = recommender.score(contexts)
        assert scores.shape == (7, N_TRACKS + 1)
        assert scores.dtype == torch.float32
        assert torch.isfinite(scores).all()

    def test_a_score_does_not_depend_on_the_other_sessions_of_the_batch(self, model, variant):
        recommender, _ = fitted(model, variant)
        contexts = random_sessions(9, N_TRACKS, seed=2)
        together = recommender.score(contexts)
        alone = torch.cat([recommender.score(contexts.take(np.array([i]))) for i in range(9)])
        torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)

    def test_the_target_and_the_unseen_skips_are_never_looked_at(self, model, variant):
        recommender, _ = fitted(model, variant)
        contexts = random_sessions(5, N_TRACKS, seed=2)
        other = replace(
            contexts,
            target=contexts.target[::-1],
            unseen_skips=contexts.unseen_skips.take(np.arange(5)[::-1]),
        )
        assert torch.equal(recommender.score(contexts), recommender.score(other))

    def test_the_same_seed_gives_the_same_model_and_another_seed_another(self, model, variant):
        contexts = random_sessions(5, N_TRACKS, seed=2)
        first, again, other = (
            fitted(model, variant, seed)[0].score(contexts) for seed in (3, 3, 4)
        )
        assert torch.equal(first, again)
        if model not in BASELINES:
            assert not torch.equal(first, other)

    def test_fitting_leaves_the_global_generators_alone(self, model, variant):
        torch.manual_seed(5)
        np.random.seed(5)
        before = torch.get_rng_state(), np.random.get_state()[1].copy()
        fitted(model, variant)
        assert torch.equal(before[0], torch.get_rng_state())
        assert np.array_equal(before[1], np.random.get_state()[1])

    def test_a_saved_model_scores_the_same(self, model, variant, tmp_path):
        recommender, _ = fitted(model, variant)
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
        assert set(BLIND) == {*NEURAL, "markov"}

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
        recommender, _ = fitted(model, "blind", **FEW.get(model, {}))
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
        _, history = fitted(model, variant)
        assert [row["epoch"] for row in history] == list(range(1, len(history) + 1))
        best = max(history, key=lambda row: row["valid_ndcg_10"])
        assert [row["epoch"] for row in history if row["best"]] == [best["epoch"]]
        for row in history:
            expected = row["loss_base"] + (row["loss_skip"] or 0)
            assert row["loss"] == pytest.approx(expected, rel=1e-5)
            assert (row["loss_skip"] is None) == (variant == "orig")

    def test_the_model_is_left_at_its_best_epoch(self, model):
        train = random_sessions(60, N_TRACKS, seed=1)
        recommender, history = fitted(model, "orig", train=train)
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
        recommender, _ = fitted(model, "orig", **parts, n_tracks=30, max_epochs=120, patience=25)
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
        plays = np.array([0, 3, 3, 2, 1])
        np.testing.assert_allclose(scores[0], np.array([0, 1, 0, 2, 0]) + plays / 4, rtol=1e-6)
        np.testing.assert_allclose(scores[1], np.array([0, 0, 2, 0, 0]) + plays / 4, rtol=1e-6)

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
        recommender = find_model("session-knn")(5, {"neighbours": 2})
        recommender.fit(train, train, seed=1, threads=1)
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
