"""Ways to use skips against plain loops on hand-made batches, and what holds for each of them."""

import itertools
import math
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
import yaml
from examples import ROOT, default_config, random_sessions, relabelled, sequences, settings_of
from skipwise.core import registry
from skipwise.core.config import run_settings, search_space, variants, way_settings
from skipwise.core.errors import UserError
from skipwise.core.mistakes import check_config
from skipwise.core.registry import find_model
from skipwise.ranking.ranker import ranker, validation_ranks
from skipwise.sessions.sequences import Ragged
from skipwise.training.batches import LABELS, Batches, seen_labels
from skipwise.training.hooks import Reference, Second, Step, cross_entropy, entering, way_named
from skipwise.training.loop import Training, TrainStep
from torch.nn import functional

pytestmark = pytest.mark.long

N_TRACKS = 50
SCHEMA = yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text("utf-8"))
CONFIG = default_config()
# What a variant must give for ways that have settings without a default.
GIVEN = {"contrastive": {"query": "hidden"}, "contrastive-released": {"query": "hidden"}}
WAYS = registry.names("way")
CARRIED = [
    (model, way)
    for model in ("sasrec", "bert4rec", "gru4rec", "caser")
    for way in WAYS
    if model != "bert4rec" or not registry.declared("way", way).get("CAUSAL")
]


def settings_with(model: str, way: str, **given) -> dict:
    """Small settings of a variant that uses skips in this way."""
    of_way = way_settings(CONFIG, way) | GIVEN.get(way, {}) | {"way": way, "max_epochs": 2}
    return settings_of(model, "orig") | of_way | given


def random_step(seed: int, **settings) -> Step:
    """A step of six sessions of at most nine plays of 12 tracks in float64.  Nine tracks are
    candidates, among them all targets; so some skipped tracks are, and some are not.
    """
    rng = np.random.default_rng(seed)
    train = random_sessions(6, 12, seed=seed, lengths=(2, 9))
    (batch,) = Batches(train, 6).epoch(rng)
    needed = np.unique(batch.targets)
    others = rng.permutation(np.setdiff1d(np.arange(1, 13), needed))
    candidates = np.concatenate([needed, others[: max(9 - len(needed), 1)]])
    place = np.full(13, -1)
    place[candidates] = np.arange(len(candidates))
    table = torch.from_numpy(rng.normal(size=(13, 4)))
    table[0] = 0
    return Step(
        predictions=torch.from_numpy(rng.normal(size=(*batch.tracks.shape, 4))),
        embedded=table[batch.tracks],
        candidates=table[candidates],
        positions=torch.from_numpy(np.flatnonzero(batch.predicted)),
        targets=torch.from_numpy(place[batch.targets]),
        tracks=torch.from_numpy(batch.tracks.astype(np.int64)),
        among=torch.from_numpy(place[batch.tracks]),
        next_listened=torch.from_numpy(batch.next_listened),
        queries=torch.from_numpy(batch.queries),
        skipped=torch.from_numpy(batch.skipped),
        listened=torch.from_numpy(batch.listened),
        rejected=torch.from_numpy(batch.rejected),
        n_tracks=12,
        settings=settings,
    )


def with_second_pass(step: Step, seed: int) -> Step:
    """The step with the skipped plays in a second pass; every track of the sessions is a
    candidate.
    """
    rng = np.random.default_rng(seed)
    numbers = dict(zip(step.among.flatten().tolist(), step.tracks.flatten().tolist(), strict=True))
    vectors = dict(zip(step.tracks.flatten().tolist(), step.embedded.flatten(0, 1), strict=True))
    vectors[0] = torch.zeros(4, dtype=torch.float64)
    place = {number: index for index, number in enumerate(sorted(vectors.keys() - {0}))} | {0: -1}

    skips = [row[chosen].tolist() for row, chosen in zip(step.tracks, step.skipped, strict=True)]
    width = max(1, *map(len, skips))
    padded = torch.tensor([row + [0] * (width - len(row)) for row in skips])
    follows = functional.pad(padded[:, 1:] > 0, (0, 1))
    second = Second(
        predictions=torch.from_numpy(rng.normal(size=(len(skips), width, 4))),
        positions=follows.flatten().nonzero().squeeze(1),
        targets=torch.tensor([place[n] for row in skips for n in row[1:]], dtype=torch.int64),
        embedded=torch.stack([torch.stack([vectors[n] for n in row]) for row in padded.tolist()]),
        real=padded > 0,
    )
    return step._replace(
        candidates=torch.stack([vectors[number] for number in place if number]),
        targets=torch.tensor([place[numbers[index]] for index in step.targets.tolist()]),
        among=torch.tensor([[place[n] for n in row] for row in step.tracks.tolist()]),
        second=second,
    )


def plays(step: Step):
    """Session and position of every play."""
    for session, row in enumerate(step.tracks):
        for at in range(int((row > 0).sum())):
            yield session, at


def score(step: Step, session: int, at: int, vector: torch.Tensor) -> float:
    """ŷ at a position times a vector."""
    return float(step.predictions[session, at] @ vector)


def sum_of_candidates(step: Step, session: int, at: int, without: tuple[int, ...] = ()) -> float:
    """Σ e^score of the candidates but for some of them, by their index."""
    return sum(
        math.exp(score(step, session, at, vector))
        for index, vector in enumerate(step.candidates)
        if index not in without
    )


def differentiable(step: Step) -> tuple[Step, list[torch.Tensor]]:
    """The step with leaves that collect gradients: predictions, embedded, candidates."""
    leaves = [part.clone().requires_grad_() for part in (step[0], step[1], step[2])]
    return step._replace(predictions=leaves[0], embedded=leaves[1], candidates=leaves[2]), leaves


SEEDS = pytest.mark.parametrize("seed", range(8))
TEXT = {
    "negatives_from": "own",
    "empty_slots": "masked",
    "no_next_positive": "dropped",
    "heldout_labels": "unused",
}
RELEASED = {
    "negatives_from": "batch",
    "empty_slots": "kept",
    "no_next_positive": "first",
    "heldout_labels": "used",
}


def released_loop(step: Step) -> float:
    """The contrastive term with its switches, row by row."""
    its = step.settings
    sessions, length = step.skipped.shape
    zero = torch.zeros(4, dtype=torch.float64)

    def similar(a, b):
        size = float(a.norm() * b.norm())
        return math.exp((float(a @ b) / size if size else 0.0) / its["tau"])

    rows = []
    for session in range(sessions):
        vectors = step.embedded[session]
        for at in range(length):
            c = (step.predictions[session] if its["query"] == "hidden" else vectors)[at]
            later = [j for j in range(at + 1, length) if step.listened[session, j]]
            positive = None
            if step.listened[session, at]:
                if later:
                    positive = vectors[later[0]]
                elif its["heldout_labels"] == "used" and its.get("labels") != "inverted":
                    positive = zero
                elif its["no_next_positive"] == "first":
                    positive = vectors[0]
            of = session
            if its["negatives_from"] == "batch":
                of = (session * length + at) % sessions
            slots = [step.embedded[of, j] if step.skipped[of, j] else None for j in range(length)]
            if its["empty_slots"] == "kept":
                if positive is None:
                    c = positive = zero
                slots = [zero if slot is None else slot for slot in slots]
            negatives = [similar(c, slot) for slot in slots if slot is not None]
            if positive is not None and negatives:
                up = similar(c, positive)
                rows.append(-math.log(up / (up + sum(negatives))))
    return float(np.mean(rows)) if rows else 0.0


class TestContrastiveReleased:
    loss = staticmethod(way_named("contrastive-released").loss)

    @SEEDS
    @pytest.mark.parametrize("query", ["item", "hidden"])
    def test_by_the_text_it_is_the_contrastive_term(self, seed, query):
        step = random_step(seed, query=query, tau=0.3, **TEXT)
        expected = way_named("contrastive").loss(step)
        assert self.loss(step).item() == pytest.approx(expected.item(), rel=1e-12)

    @SEEDS
    @pytest.mark.parametrize("query", ["item", "hidden"])
    @pytest.mark.parametrize("switched", [*([name] for name in TEXT), list(TEXT)])
    def test_each_switch_and_all_together_are_those_of_the_loop(self, seed, query, switched):
        changed = {name: RELEASED[name] for name in switched}
        for labels in ("right", "inverted"):
            step = random_step(seed, query=query, tau=0.3, labels=labels, **TEXT | changed)
            assert self.loss(step).item() == pytest.approx(released_loop(step), abs=1e-6)

    def test_every_switch_changes_something(self):
        found = {
            self.loss(random_step(2, query="hidden", tau=0.3, **TEXT | changed)).item()
            for changed in ({}, RELEASED, *({name: RELEASED[name]} for name in TEXT))
        }
        assert len(found) == 6

    def test_one_query_in_as_many_as_sessions_meets_its_own_skips(self):
        """The gradient of a lone query reaches the skips of one session."""
        step = random_step(2, query="hidden", tau=0.3, **TEXT | {"negatives_from": "batch"})
        sessions, length = step.skipped.shape
        for session, at in plays(step):
            if step.queries[session, at]:
                of = (session * length + at) % sessions
                lone = torch.zeros_like(step.queries)
                lone[session, at] = True
                alone, (_, embedded, _) = differentiable(
                    step._replace(queries=lone, listened=step.listened & lone)
                )
                self.loss(alone).backward()
                reached = {int(s) for s in (embedded.grad.any(2) & step.skipped).nonzero()[:, 0]}
                assert reached == ({of} if step.skipped[of].any() else set())

    def test_a_wrong_value_is_named(self):
        with pytest.raises(UserError, match="empty_slots is masked or kept, not 'left'"):
            self.loss(random_step(1, query="item", tau=1.0, **TEXT | {"empty_slots": "left"}))


class TestNotToRecommend:
    @SEEDS
    def test_it_is_that_of_the_loop(self, seed):
        step = random_step(seed)
        losses = []
        for session, at in plays(step):
            if at and step.skipped[session, at]:
                own = math.exp(score(step, session, at - 1, step.embedded[session, at]))
                others = sum_of_candidates(step, session, at - 1, (int(step.among[session, at]),))
                losses.append(-math.log(1 - own / (own + others)))
        found = way_named("not-to-recommend").loss(step)
        assert found.item() == pytest.approx(sum(losses) / max(len(losses), 1), rel=1e-10)

    def test_with_labels_in_the_input_it_is_both_ways(self):
        both = way_named("not-to-recommend-input")
        assert both.loss is way_named("not-to-recommend").loss
        assert both.added is way_named("feedback-input").added

    def test_gradients_reach_the_positions_before_skips_and_the_skipped_tracks_alone(self):
        step, (predictions, embedded, candidates) = differentiable(random_step(3))
        way_named("not-to-recommend").loss(step).backward()
        before = torch.zeros_like(step.skipped)
        before[:, :-1] = step.skipped[:, 1:]
        assert torch.equal(predictions.grad.any(2), before)
        reached = step.skipped.clone()
        reached[:, 0] = False
        assert torch.equal(embedded.grad.any(2), reached)
        assert candidates.grad.any(1).sum() > 1
        # The step down the gradient lowers the score of a skipped track.
        moved = ((predictions - predictions.grad) * step.embedded.roll(-1, 1)).sum(2)
        assert (moved < (predictions * step.embedded.roll(-1, 1)).sum(2))[before].all()


class TestPairwise:
    @SEEDS
    @pytest.mark.parametrize("with_reference", [False, True])
    def test_it_is_that_of_the_loop(self, seed, with_reference):
        step = random_step(seed, reference_epochs=1 if with_reference else None)
        rng = np.random.default_rng(seed)
        reference = step._replace(
            predictions=torch.from_numpy(rng.normal(size=step.predictions.shape)),
            embedded=torch.from_numpy(rng.normal(size=step.embedded.shape)),
        )
        if with_reference:
            step = step._replace(reference=Reference(reference.predictions, reference.embedded))
        losses = []
        for session, at in plays(step):
            after = int(step.next_listened[session, at])
            if at and step.skipped[session, at] and after >= 0:
                skip, listened = (
                    score(step, session, at - 1, step.embedded[session, place])
                    for place in (at, after)
                )
                margin = listened - skip
                if with_reference:
                    skip, listened = (
                        score(reference, session, at - 1, reference.embedded[session, place])
                        for place in (at, after)
                    )
                    margin -= listened - skip
                losses.append(-math.log(1 / (1 + math.exp(-margin))))
        found = way_named("pairwise").loss(step)
        assert found.item() == pytest.approx(sum(losses) / max(len(losses), 1), rel=1e-10)

    def test_before_there_is_a_reference_it_trains_the_base_loss_alone(self):
        step, (predictions, *_) = differentiable(random_step(3, reference_epochs=2))
        loss = way_named("pairwise").loss(step)
        loss.backward()
        assert loss.item() == 0
        assert not predictions.grad.any()

    @pytest.mark.parametrize("best", [1, 2])
    def test_the_way_begins_at_the_best_of_its_reference_without_dropout(self, best, monkeypatch):
        """Of the first batch there: no margin is left, so each pair costs log 2."""
        values = iter([2, 1] if best == 1 else [1, 2])
        monkeypatch.setattr(
            "skipwise.training.loop.validation_metrics",
            lambda _: {"valid_hr_10": 0.0, "valid_ndcg_10": next(values) / 20},
        )
        train = random_sessions(60, N_TRACKS, seed=1)
        settings = settings_with("sasrec", "pairwise", reference_epochs=2, max_epochs=2, dropout=0)
        recommender = find_model("sasrec")(N_TRACKS, settings | {"batch_size": 64})
        recommender.initialise(1)
        training = Training(
            recommender, ranker(recommender, train.counts(N_TRACKS)), train, train, seed=1
        )
        states = []
        for _ in range(2):
            assert not training.step.reference
            for _ in training.steps():
                pass
            assert training.sums[2] == 0
            training.step.rows.catch_up_all()
            states.append({name: t.clone() for name, t in recommender.state().items()})
            training.evaluate()
        frozen = {name: tensor.clone() for name, tensor in training.step.reference.items()}
        assert frozen.keys() == recommender.state().keys()
        for name, tensor in recommender.state().items():
            assert torch.equal(frozen[name], states[best - 1][name]), name
            assert torch.equal(tensor, frozen[name]), name
        # A new optimiser: nothing moves a row that has no gradient yet.
        training.step.rows.catch_up_all()
        assert torch.equal(recommender.table, frozen["table"])
        (first,) = training.batches.epoch(np.random.default_rng(1))
        assert training.step(first)[2].item() == pytest.approx(math.log(2), rel=1e-4)
        assert training.step(first)[2].item() < math.log(2) - 1e-4
        for name, tensor in training.step.reference.items():
            assert torch.equal(tensor, frozen[name])

    @pytest.mark.parametrize(("learns", "epochs"), [(False, 3 + 4), (True, 9)])
    def test_epochs_of_the_reference_are_neither_the_best_nor_waited_for(
        self, learns, epochs, monkeypatch
    ):
        """NDCG@10 falls from the first epoch on, or rises: patience begins with the way."""
        values = iter(range(1, 20) if learns else range(20, 1, -1))
        monkeypatch.setattr(
            "skipwise.training.loop.validation_metrics",
            lambda _: {"valid_hr_10": 0.0, "valid_ndcg_10": next(values) / 20},
        )
        settings = settings_with("sasrec", "pairwise", reference_epochs=3, max_epochs=9)
        settings |= {"min_epochs": 2, "patience": 3}
        recommender = find_model("sasrec")(N_TRACKS, settings)
        sessions = random_sessions(20, N_TRACKS, seed=1)
        history = recommender.fit(sessions, sessions, seed=1, threads=1)
        assert len(history) == epochs
        assert [row["epoch"] for row in history if row["best"]] == [9 if learns else 4]

    def test_gradients_pull_the_listened_track_up_and_push_the_skip_down(self):
        step, (predictions, embedded, candidates) = differentiable(
            random_step(3, reference_epochs=None)
        )
        way_named("pairwise").loss(step).backward()
        session, at = (step.skipped[:, 1:] & (step.next_listened[:, 1:] >= 0)).nonzero()[0]
        up = step.next_listened[session, at + 1]
        before = predictions[session, at]
        assert embedded.grad[session, up] @ before < 0
        assert embedded.grad[session, at + 1] @ before > 0
        assert candidates.grad is None


class TestSkipsAsNegatives:
    @SEEDS
    @pytest.mark.parametrize("weight", [0.5, 1.0, 20.0])
    def test_it_is_that_of_the_loop(self, seed, weight):
        step = random_step(seed, weight=weight)
        vectors = {
            int(step.tracks[session, at]): step.embedded[session, at] for session, at in plays(step)
        }
        numbers = dict.fromkeys(range(len(step.candidates)))
        for session, at in plays(step):
            if step.among[session, at] >= 0:
                numbers[int(step.among[session, at])] = int(step.tracks[session, at])
        losses = []
        for position, target in zip(step.positions.tolist(), step.targets.tolist(), strict=True):
            session, at = divmod(position, step.tracks.shape[1])
            skips = {
                int(step.tracks[session, place])
                for place in range(step.tracks.shape[1])
                if step.skipped[session, place]
            } - {numbers[target]}
            left_out = tuple(index for index, track in numbers.items() if track in skips)
            total = sum_of_candidates(step, session, at, left_out)
            for track in skips:
                total += weight * math.exp(score(step, session, at, vectors[track]))
            losses.append(
                -math.log(math.exp(score(step, session, at, step.candidates[target])) / total)
            )
        found = way_named("skips-as-negatives").base(step)
        assert found.item() == pytest.approx(np.mean(losses), rel=1e-10)

    def test_a_skip_of_another_session_changes_nothing(self):
        step = random_step(3, weight=10.0)
        lone = step.positions // step.tracks.shape[1] == 5
        step = step._replace(positions=step.positions[lone], targets=step.targets[lone])
        others = torch.arange(len(step.skipped)).unsqueeze(1) < 5
        base = way_named("skips-as-negatives").base
        assert base(step._replace(skipped=step.skipped & ~others)) == base(step)
        assert base(step._replace(skipped=step.skipped & others)) != base(step)

    def test_gradients_push_the_skips_down(self):
        step, (predictions, embedded, candidates) = differentiable(random_step(3, weight=10.0))
        way_named("skips-as-negatives").base(step).backward()
        assert embedded.grad.any(2)[step.skipped].any()
        assert not embedded.grad[~step.skipped].any()
        assert predictions.grad.flatten(0, 1)[step.positions].any(1).all()
        assert candidates.grad.any(1).all()

    def test_a_weight_is_above_zero(self):
        with pytest.raises(UserError, match="weight is a number above 0, not 0"):
            way_named("skips-as-negatives").base(random_step(1, weight=0))


class TestPnfrec:
    @SEEDS
    def test_it_is_that_of_the_loop(self, seed):
        step = with_second_pass(random_step(seed, negative_weight=0.3, contrast_weight=0.7), seed)
        length = step.tracks.shape[1]
        of_skips = []
        for session, (among, chosen) in enumerate(zip(step.among, step.skipped, strict=True)):
            for at, follower in enumerate(among[chosen].tolist()[1:]):
                query = step.second.predictions[session, at]
                sums = sum(math.exp(query @ vector) for vector in step.candidates)
                of_skips.append(-math.log(math.exp(query @ step.candidates[follower]) / sums))
        contrast = []
        for position, target in zip(step.positions.tolist(), step.targets.tolist(), strict=True):
            session, at = divmod(position, length)
            up = math.exp(score(step, session, at, step.candidates[target]))
            down = sum(
                math.exp(score(step, session, at, step.embedded[session, place]))
                for place in range(length)
                if step.skipped[session, place]
            )
            contrast.append(-math.log(up / (up + down)))
        expected = 0.3 * sum(of_skips) / max(len(of_skips), 1) + 0.7 * np.mean(contrast)
        assert way_named("pnfrec").loss(step).item() == pytest.approx(expected, rel=1e-10)

    def test_the_second_encoder_learns_and_does_not_score(self):
        train = random_sessions(40, N_TRACKS, seed=1)
        recommender = find_model("sasrec")(N_TRACKS, settings_with("sasrec", "pnfrec"))
        recommender.initialise(1)
        second = recommender.network.second
        before = [weight.detach().clone() for weight in second.parameters()]
        training = Training(recommender, None, train, train, seed=1)
        for _ in training.steps():
            pass
        moved = [
            not torch.equal(weight, old)
            for weight, old in zip(second.parameters(), before, strict=True)
        ]
        assert all(moved)
        contexts = random_sessions(9, N_TRACKS, seed=2)
        scores = recommender.score(contexts)
        for weight in second.parameters():
            weight.data.zero_()
        assert torch.equal(recommender.score(contexts), scores)

    def test_the_second_encoder_sees_the_skipped_plays_in_their_order(self):
        train = sequences([[5, 6, 7, 8], [9, 3, 4]], [[True, False, True, False], [False] * 3])
        way = way_named("pnfrec")
        (batch,) = Batches(train, 2, plays=entering(way, train), second=way.second(train)).epoch(
            np.random.default_rng(1)
        )
        rows = dict(zip(map(tuple, batch.tracks.tolist()), batch.second.tolist(), strict=True))
        assert rows == {(6, 8, 0): [5, 7], (9, 3, 4): [0, 0]}
        assert sorted(batch.targets.tolist()) == [3, 4, 8]


class TestNegbt:
    def step(self, seed: int) -> Step:
        """Six sessions of listened plays, and all their plays in the second pass."""
        rng = np.random.default_rng(seed)
        settings = {"off_diagonal": 0.3, "decay": 0.5, "width": 5, "dimension": 4}
        step = random_step(seed, **settings)
        lengths = torch.tensor([1, 3, 2, 2, 4, 5]).unsqueeze(1)
        real = torch.arange(5) < lengths
        second = Second(
            predictions=torch.from_numpy(rng.normal(size=(6, 5, 4))),
            positions=torch.zeros(0, dtype=torch.int64),
            targets=torch.zeros(0, dtype=torch.int64),
            embedded=torch.zeros(6, 5, 4, dtype=torch.float64),
            real=real,
        )
        weights = registry.find("way", "negbt").weights(settings, torch.Generator().manual_seed(1))
        return step._replace(second=second, weights=weights.double(), epoch=3)

    @SEEDS
    def test_it_is_that_of_the_loop(self, seed):
        step = self.step(seed)
        inner, outer = (step.weights.inner.weight.detach(), step.weights.outer.weight.detach())

        def standard(rows: list[list[float]], ddof: int) -> np.ndarray:
            x = np.array(rows)
            return (x - x.mean(0)) / x.std(0, ddof=ddof)

        def features(states: torch.Tensor, real: torch.Tensor) -> np.ndarray:
            rows = []
            for state, chosen in zip(states, real, strict=True):
                last = state[int(chosen.sum()) - 1]
                rows.append((inner @ (last / last.norm())).tolist())
            hidden = np.maximum(standard(rows, ddof=0), 0)
            return standard([(outer.numpy() @ row).tolist() for row in hidden], ddof=1)

        first = features(step.predictions, step.tracks > 0)
        second = features(step.second.predictions, step.second.real)
        expected = 0.0
        for i in range(5):
            for j in range(5):
                correlation = sum(first[:, i] * second[:, j]) / 6
                expected += (1 - correlation) ** 2 if i == j else 0.3 * correlation**2
        found = way_named("negbt").loss(step)
        assert found.item() == pytest.approx(0.5**3 * expected / 5, rel=1e-6)

    def test_gradients_reach_the_last_states_of_both_passes_and_the_weights(self):
        step, (predictions, _, _) = differentiable(self.step(1))
        second = step.second.predictions.clone().requires_grad_()
        step = step._replace(second=step.second._replace(predictions=second))
        way_named("negbt").loss(step).backward()
        for states, real in ((predictions, step.tracks > 0), (second, step.second.real)):
            last = torch.arange(real.shape[1]) == real.sum(1, keepdim=True) - 1
            assert torch.equal(states.grad.any(2), last)
        assert all(weight.grad.any() for weight in step.weights.parameters())

    def test_the_second_pass_goes_through_the_same_encoder_and_epochs_count(self):
        train = random_sessions(40, N_TRACKS, seed=1)
        settings = settings_with("sasrec", "negbt", max_epochs=3, min_epochs=3)
        recommender = find_model("sasrec")(N_TRACKS, settings)
        recommender.initialise(1)
        assert not hasattr(recommender.network, "second")
        training = Training(
            recommender, ranker(recommender, train.counts(N_TRACKS)), train, train, 1
        )
        seen = []
        while not training.is_over:
            for _ in training.steps():
                seen.append(training.step.epoch)
            training.evaluate()
        assert sorted(set(seen)) == [1, 2, 3]

    def test_one_session_has_no_correlation(self):
        step = self.step(1)
        lone = step._replace(
            predictions=step.predictions[:1],
            tracks=step.tracks[:1],
            second=step.second._replace(
                predictions=step.second.predictions[:1], real=step.second.real[:1]
            ),
        )
        assert way_named("negbt").loss(lone).item() == 0


class TestSkipHead:
    def head(self):
        head = registry.find("way", "skip-head").weights(
            {"dimension": 4}, torch.Generator().manual_seed(1)
        )
        torch.nn.init.normal_(head.query.bias, generator=torch.Generator().manual_seed(2))
        head.constant.data.fill_(0.3)
        return head.double()

    @torch.no_grad()
    def logit(self, head, query, vector) -> float:
        return float((head.query.weight @ query + head.query.bias) @ vector + head.constant)

    @SEEDS
    def test_it_is_that_of_the_loop(self, seed):
        head = self.head()
        step = random_step(seed)._replace(weights=head)
        unknown = torch.zeros_like(step.listened)
        unknown[0, 1] = True
        step = step._replace(skipped=step.skipped & ~unknown, listened=step.listened & ~unknown)
        losses = []
        for session, at in plays(step):
            if at and not unknown[session, at]:
                query, vector = step.predictions[session, at - 1], step.embedded[session, at]
                p = 1 / (1 + math.exp(-self.logit(head, query, vector)))
                losses.append(-math.log(p if step.skipped[session, at] else 1 - p))
        found = way_named("skip-head").loss(step)
        assert found.item() == pytest.approx(np.mean(losses), rel=1e-10)

    def test_scores_are_those_of_the_loop_and_ranked(self):
        settings = settings_with("sasrec", "skip-head", skip_weight=2.0)
        recommender = find_model("sasrec")(N_TRACKS, settings)
        recommender.initialise(1)
        contexts = random_sessions(5, N_TRACKS, seed=2)
        scores, queries = recommender.score(contexts), recommender.queries(contexts)
        head = recommender.network.weights
        for row, query in zip(scores, queries, strict=True):
            for track in range(1, N_TRACKS + 1):
                vector = recommender.table[track]
                p = 1 / (1 + math.exp(-self.logit(head, query, vector)))
                expected = float(query @ vector) + 2.0 * math.log(1 - p)
                assert float(row[track]) == pytest.approx(expected, abs=1e-4)
        ranks = validation_ranks(ranker(recommender, np.zeros(N_TRACKS + 1)), contexts, cutoff=None)
        own = scores[torch.arange(5), torch.from_numpy(contexts.target).long()]
        assert ranks.tolist() == (scores[:, 1:] >= own.unsqueeze(1)).sum(1).tolist()

    def test_without_weight_the_score_is_the_product(self):
        settings = settings_with("sasrec", "skip-head", skip_weight=0.0)
        recommender = find_model("sasrec")(N_TRACKS, settings)
        recommender.initialise(1)
        contexts = random_sessions(5, N_TRACKS, seed=2)
        expected = recommender.queries(contexts) @ recommender.vectors.T
        torch.testing.assert_close(recommender.score(contexts), expected)

    def test_it_learns_which_tracks_are_skipped(self):
        """Even tracks are always skipped, odd ones never."""
        train = random_sessions(200, 20, seed=1)
        even = Ragged(train.tracks.values % 2 == 0, train.tracks.offsets)
        train = replace(train, skipped=even)
        settings = settings_with("sasrec", "skip-head", max_epochs=10, min_epochs=10, dropout=0.0)
        recommender = find_model("sasrec")(20, settings)
        history = recommender.fit(train, train, seed=1, threads=1)
        assert history[-1]["loss_skip"] < 0.2 * history[0]["loss_skip"]


class TestGbce:
    @SEEDS
    @pytest.mark.parametrize("calibration", [0.0, 0.75, 1.0])
    def test_it_is_that_of_the_loop(self, seed, calibration):
        step = random_step(seed, calibration=calibration)
        negatives = len(step.candidates) - 1
        a = negatives / (12 - 1)
        b = a * (calibration * (1 - 1 / a) + 1 / a)
        losses = []
        for position, target in zip(step.positions.tolist(), step.targets.tolist(), strict=True):
            at = divmod(position, step.tracks.shape[1])
            odds = [math.exp(score(step, *at, vector)) / negatives for vector in step.candidates]
            p = [x / (1 + x) for x in odds]
            of_negatives = sum(math.log(1 - q) for c, q in enumerate(p) if c != target)
            losses.append(-(math.log(p[target] ** b) + of_negatives))
        found = way_named("gbce").base(step)
        assert found.item() == pytest.approx(np.mean(losses), rel=1e-10)

    def test_it_leaves_popularity_behind(self):
        """Tracks follow each other round a circle.  Without the offset all vectors would learn one
        large component first: after six epochs NDCG@10 is .95 with it and .01 without.
        """
        n_tracks = 600
        starts = np.random.default_rng(1).integers(n_tracks, size=(500, 1))
        plays = (starts + np.arange(9)) % n_tracks + 1
        train = sequences(plays[:, :8].tolist(), targets=plays[:, 8])
        settings = settings_with(
            "sasrec", "gbce", max_epochs=6, min_epochs=6, dropout=0.0, learning_rate=0.003
        )
        recommender = find_model("sasrec")(n_tracks, settings)
        history = recommender.fit(train, train, seed=1, threads=1)
        assert history[-1]["valid_ndcg_10"] > 0.8

    def test_a_calibration_is_a_share(self):
        with pytest.raises(UserError, match="calibration is from 0 to 1, not 2"):
            way_named("gbce").base(random_step(1, calibration=2))


class TestLogq:
    def corrected(self, seed: int) -> Step:
        step = random_step(seed)
        inclusion = np.random.default_rng(seed).uniform(0.1, 1.0, len(step.candidates))
        # One track more than the candidates, so that something is sampled.
        more = {"inclusion": torch.from_numpy(inclusion), "n_tracks": len(inclusion) + 1}
        return step._replace(**more)

    @SEEDS
    def test_it_is_that_of_the_loop(self, seed):
        step = self.corrected(seed)
        losses = []
        for position, target in zip(step.positions.tolist(), step.targets.tolist(), strict=True):
            at = divmod(position, step.tracks.shape[1])
            scores = [score(step, *at, vector) for vector in step.candidates]
            others = sum(
                math.exp(s) / q
                for c, (s, q) in enumerate(zip(scores, step.inclusion.tolist(), strict=True))
                if c != target
            )
            right = math.exp(scores[target])
            weight = 1 - right / (right + others)
            losses.append(weight * (math.log(others) - scores[target]))
        found = way_named("logq").base(step)
        assert found.item() == pytest.approx(np.mean(losses), rel=1e-10)

    @pytest.mark.parametrize("sampled", [1, 0])
    def test_with_every_track_a_candidate_its_gradient_is_that_of_the_cross_entropy(self, sampled):
        gradients = []
        for loss in (way_named("logq").base, cross_entropy):
            step, leaves = differentiable(self.corrected(3))
            every = len(step.candidates)
            loss(step._replace(inclusion=torch.ones(every), n_tracks=every + sampled)).backward()
            gradients.append([leaf.grad for leaf in leaves if leaf.grad is not None])
        for ours, plain in zip(*gradients, strict=True):
            assert sampled or ours.equal(plain)
            torch.testing.assert_close(ours, plain)

    def test_a_step_knows_how_probably_a_track_is_a_candidate(self):
        train = random_sessions(300, N_TRACKS, seed=1, lengths=(3, 5))
        # Half of the plays are of the first ten tracks.
        tracks = train.tracks.values.copy()
        tracks[::2] = tracks[::2] % 10 + 1
        train = replace(train, tracks=Ragged(tracks, train.tracks.offsets))
        settings = settings_with("sasrec", "logq", sampled_candidates=5, batch_size=4)
        recommender = find_model("sasrec")(N_TRACKS, settings)
        recommender.initialise(1)
        training = Training(recommender, None, train, train, seed=1)
        numbers = {tuple(row): at for at, row in enumerate(recommender.table.tolist())}
        found = []

        class SeenError(Exception):
            """Instead of a loss: no step is taken, so the table stays."""

        def base(step):
            found.append((step.candidates.tolist(), step.inclusion.tolist()))
            raise SeenError

        training.step.way = replace(training.step.way, base=base)
        rng = np.random.default_rng(2)
        for _ in range(4):
            for batch in training.batches.epoch(rng):
                with pytest.raises(SeenError):
                    training.step(batch)
        seen, said = np.zeros(N_TRACKS + 1), np.zeros(N_TRACKS + 1)
        for vectors, probabilities in found:
            at = [numbers[tuple(vector)] for vector in vectors]
            seen[at] += 1
            said[at] += probabilities
        for group in (slice(1, 11), slice(11, None)):
            share = seen[group].mean() / len(found)
            assert said[group].sum() / seen[group].sum() == pytest.approx(share, rel=0.1)
        assert seen[1:11].mean() > 1.5 * seen[11:].mean()


class TestFeedbackInput:
    def model(self, model="sasrec", **settings):
        recommender = find_model(model)(
            N_TRACKS, settings_with(model, "feedback-input", **settings)
        )
        recommender.initialise(1)
        return recommender

    def inputs(self, recommender, call) -> list[torch.Tensor]:
        """What the encoder is given while something is called."""
        found = []
        hook = recommender.network.encoder.register_forward_pre_hook(
            lambda _, given: found.append(given[0].detach())
        )
        call()
        hook.remove()
        return found

    @pytest.mark.parametrize("model", ["sasrec", "bert4rec"])
    def test_the_vector_of_its_label_is_added_to_each_play_at_prediction(self, model):
        recommender = self.model(model)
        contexts = sequences([[5, 6, 7], [8, 9]], [[True, None, False], [False, True]])
        [given] = self.inputs(recommender, lambda: recommender.queries(contexts))
        listened, skipped = recommender.network.added.vectors
        scale = recommender.network.scale
        table = recommender.table
        expected = [
            [table[5] + skipped, table[6], table[7] + listened],
            [table[8] + listened, table[9] + skipped],
        ]
        for row, vectors in zip(given, expected, strict=True):
            for ours, theirs in zip(row, vectors, strict=False):
                torch.testing.assert_close(ours, scale * theirs)
            if model == "bert4rec":  # the mask behind a context has no label
                torch.testing.assert_close(row[len(vectors)], scale * recommender.network.mask)

    def test_training_gives_the_encoder_the_same_and_learns_the_vectors(self):
        recommender = self.model(dropout=0.0)
        train = sequences([[5, 6, 7, 8]], [[True, None, False, False]])
        (batch,) = Batches(train, 1).epoch(np.random.default_rng(1))
        step = TrainStep(recommender, steps=1, rng=np.random.default_rng(1))
        before = recommender.network.added.vectors.detach().clone()
        table = recommender.table.clone()
        [given] = self.inputs(recommender, lambda: step(batch))
        expected = torch.stack(
            [table[5] + before[1], table[6], table[7] + before[0], table[8] + before[0]]
        )
        torch.testing.assert_close(given[0], recommender.network.scale * expected)
        assert (recommender.network.added.vectors != before).any(1).all()

    def test_a_masked_track_shows_no_label(self):
        recommender = self.model("bert4rec", mask_share=1.0)
        train = sequences([[5, 6, 7, 8]], [[True, False, False, False]])
        (batch,) = Batches(train, 1).epoch(np.random.default_rng(1))
        step = TrainStep(recommender, steps=1, rng=np.random.default_rng(1))
        mask = recommender.network.mask.detach().clone()
        [given] = self.inputs(recommender, lambda: step(batch))
        torch.testing.assert_close(given[0, 1:], (recommender.network.scale * mask).expand(3, -1))

    def test_scores_depend_on_the_labels_of_the_context(self):
        recommender = self.model()
        contexts = random_sessions(9, N_TRACKS, seed=2)
        assert not torch.equal(
            recommender.score(contexts), recommender.score(relabelled(contexts, 3))
        )


class TestListenedOnly:
    def test_which_plays_enter_by_hand(self):
        contexts = sequences(
            [[5, 6, 7, 8], [9, 9], [4]], [[True, False, None, True], [True, True], [False]]
        )
        way = way_named("listened-only")
        found = contexts.with_plays(entering(way, contexts))
        assert found.tracks.values.tolist() == [6, 7, 9, 4]
        assert found.tracks.offsets.tolist() == [0, 2, 3, 4]
        assert found.skipped.values.tolist() == [False, False, True, False]
        assert found.unknown.values.tolist() == [False, True, False, False]

    @pytest.mark.parametrize("model", ["sasrec", "bert4rec", "gru4rec", "caser"])
    def test_a_score_is_that_of_orig_after_the_listened_plays(self, model):
        recommender = find_model(model)(N_TRACKS, settings_with(model, "listened-only"))
        recommender.initialise(1)
        plain = find_model(model)(N_TRACKS, settings_of(model, "orig"))
        plain.load_state(recommender.state())
        contexts = random_sessions(20, N_TRACKS, seed=2)
        chosen = [
            contexts.tracks.values[start:stop][~contexts.skipped.values[start:stop]].tolist()
            for start, stop in itertools.pairwise(contexts.tracks.offsets)
        ]
        expected = plain.score(sequences(chosen))
        torch.testing.assert_close(recommender.score(contexts), expected, rtol=1e-5, atol=1e-6)

    @pytest.mark.parametrize("model", ["sasrec", "bert4rec"])
    def test_training_is_that_of_orig_on_the_listened_plays(self, model):
        train = random_sessions(60, N_TRACKS, seed=1)
        chosen = [
            train.tracks.values[start:stop][~train.skipped.values[start:stop]].tolist()
            for start, stop in itertools.pairwise(train.tracks.offsets)
        ]
        bare = sequences(chosen)
        contexts = random_sessions(40, N_TRACKS, seed=2)
        heard = replace(
            contexts, skipped=Ragged(contexts.skipped.values & False, contexts.skipped.offsets)
        )
        states = []
        for variant, sessions in (("listened-only", train), (None, bare)):
            settings = settings_with(model, "listened-only") | {"way": variant}
            recommender = find_model(model)(N_TRACKS, settings)
            recommender.fit(sessions, heard, seed=3, threads=1)
            states.append(recommender.state())
        for name, tensor in states[0].items():
            assert torch.equal(tensor, states[1][name])

    def test_targets_are_those_of_all_plays_whatever_the_labels_are(self):
        train = sequences([[5, 6, 7, 8]], [[False, True, True, False]])
        way = way_named("listened-only")
        for labels, tracks, targets in (
            ("right", [5, 8], [8]),
            ("inverted", [6, 7], [8, 8]),
        ):
            seen = seen_labels(train, labels, stays="first")
            (batch,) = Batches(train, 1, seen=seen, plays=entering(way, seen)).epoch(
                np.random.default_rng(1)
            )
            assert batch.tracks.tolist() == [tracks]
            assert batch.targets.tolist() == targets

    def test_a_batch_without_a_target_takes_no_step(self):
        sessions = [[5, 6], [7, 8], [3, 4, 2, 1]]
        train = sequences(sessions, [[True, False], [True, False], [False] * 4])
        settings = settings_with("sasrec", "listened-only", batch_size=2)
        recommender = find_model("sasrec")(N_TRACKS, settings)
        recommender.initialise(1)
        training = Training(recommender, None, train, train, seed=1)
        losses = [
            training.step(batch)[0].item()
            for batch in training.batches.epoch(np.random.default_rng(1))
        ]
        assert sorted(losses)[0] == 0.0 < sorted(losses)[1]

    def test_nothing_to_predict_is_said(self):
        train = sequences([[5, 6], [7, 8]], [[True, False], [False, True]])
        recommender = find_model("sasrec")(N_TRACKS, settings_with("sasrec", "listened-only"))
        with pytest.raises(UserError, match="listened-only leaves nothing to predict in the train"):
            recommender.fit(train, train, seed=1, threads=1)


class TestTheRunOfAllWays:
    METHODS = yaml.safe_load((ROOT / "config/methods.yaml").read_text(encoding="utf-8"))
    CONFIG = default_config(METHODS)

    def test_it_has_every_way_and_its_control(self):
        found = {
            (settings["way"], settings.get("labels", "right"))
            for variant in variants(self.CONFIG, "sasrec")
            if (settings := run_settings(self.CONFIG, "sasrec", variant))["way"]
        }
        controls = {way for way in WAYS if registry.declared("way", way).get("LABELS", True)}
        expected = {(way, "right") for way in WAYS} | {(way, "shuffled") for way in controls}
        assert found == expected

    def test_its_configuration_is_right_and_its_settings_are_read(self):
        check_config(self.CONFIG, SCHEMA)
        # Snakemake fills in the defaults of the schema, which no variant may have.
        variant = SCHEMA["properties"]["model_registry"]["additionalProperties"]["properties"]
        variant = variant["variants"]["additionalProperties"]["properties"]
        assert not [name for name, its in variant.items() if "default" in its]
        for variant in variants(self.CONFIG, "sasrec"):
            find_model("sasrec")(N_TRACKS, run_settings(self.CONFIG, "sasrec", variant))
            space = search_space(self.CONFIG, "sasrec", variant)
            way = run_settings(self.CONFIG, "sasrec", variant)["way"]
            own = registry.declared("way", way).get("SEARCH", {}) if way else {}
            assert own.keys() <= space.keys()


@pytest.mark.parametrize("name", WAYS)
class TestEveryWay:
    def test_it_says_its_formula_source_and_settings(self, name):
        declared = registry.declared("way", name)
        assert len(declared["caption"]) > 80
        assert isinstance(declared["SETTINGS"], tuple)
        assert f"`{name}`" in (ROOT / "docs/protocol.md").read_text(encoding="utf-8")
        known = {*declared["SETTINGS"], "alpha", "beta"}
        assert way_settings(CONFIG, name).keys() | GIVEN.get(name, {}).keys() <= known
        assert {*declared["SETTINGS"]} <= settings_with("sasrec", name).keys()

    def test_its_search_space_names_settings_that_have_a_value(self, name):
        search = registry.declared("way", name).get("SEARCH", {})
        assert search.keys() <= settings_with("sasrec", name).keys()

    def test_without_a_skip_it_is_worth_nothing(self, name):
        step = random_step(4)
        step = step._replace(skipped=step.skipped & False, rejected=step.rejected[:0])
        way, settings = way_named(name), settings_with("sasrec", name)
        step = step._replace(settings=settings)
        if way.second:
            step = with_second_pass(step, 1)
        if way.loss and not way.weights:  # negbt compares two passes with dropout
            assert way.loss(step).item() == pytest.approx(0, abs=1e-15)
        if registry.declared("way", name).get("LABELS", True):
            assert way.base(step).item() == pytest.approx(cross_entropy(step).item(), rel=1e-12)


@pytest.mark.parametrize(("model", "way"), CARRIED)
class TestCarried:
    """Each way on each encoder that can carry it."""

    @staticmethod
    def fitted(model, way, train=None, **settings):
        recommender = find_model(model)(N_TRACKS, settings_with(model, way, **settings))
        train = train or random_sessions(60, N_TRACKS, seed=1)
        last = train.tracks.values[train.tracks.offsets[1:] - 1]
        history = recommender.fit(train, replace(train, target=last), seed=3, threads=1)
        return recommender, history

    @staticmethod
    @cache
    def trained(model, way):
        """The model of the tests that only read one, and its history."""
        return TestCarried.fitted(model, way)

    def test_it_trains_and_says_its_loss(self, model, way):
        _, history = self.trained(model, way)
        for row in history:
            assert math.isfinite(row["loss"])
            assert (row["loss_skip"] is None) == (way_named(way).loss is None)

    def test_the_labels_decide_and_are_the_same_at_every_call(self, model, way):
        contexts = random_sessions(9, N_TRACKS, seed=2)
        if not registry.reads_labels(way):
            plain = settings_with(model, way, labels="right") | {"targets": "next"}
            with pytest.raises(UserError, match="the model has no setting 'labels'"):
                find_model(model)(N_TRACKS, plain)
            return
        scores = {
            labels: self.fitted(model, way, labels=labels)[0].score(contexts) for labels in LABELS
        }
        assert torch.equal(scores["right"], self.trained(model, way)[0].score(contexts))
        again = self.fitted(model, way, labels="shuffled")[0].score(contexts)
        assert torch.equal(scores["shuffled"], again)
        assert not torch.equal(scores["right"], scores["shuffled"])
        assert not torch.equal(scores["right"], scores["inverted"])

    def test_a_loaded_model_scores_the_same(self, model, way):
        recommender, _ = self.trained(model, way)
        loaded = find_model(model)(N_TRACKS, recommender.settings)
        loaded.load_state(recommender.state())
        contexts = random_sessions(9, N_TRACKS, seed=2)
        assert torch.equal(recommender.score(contexts), loaded.score(contexts))

    def test_low_precision_trains_nearly_the_same(self, model, way):
        losses = [
            self.fitted(model, way, precision=precision, dropout=0.0, max_epochs=1)[1][0]["loss"]
            for precision in ("float32", "bfloat16")
        ]
        assert losses[0] == pytest.approx(losses[1], rel=0.05)

    def test_small_steps_lower_its_loss(self, model, way):
        settings = settings_with(model, way, dropout=0.0, learning_rate=1e-4, batch_size=40)
        recommender = find_model(model)(N_TRACKS, settings)
        recommender.initialise(1)
        train = random_sessions(40, N_TRACKS, seed=1)
        batches = Training(recommender, None, train, train, seed=1).batches
        (batch,) = batches.epoch(np.random.default_rng(1))
        step = TrainStep(recommender, steps=8, rng=np.random.default_rng(1))
        losses = []
        for _ in range(8):
            step.rng = np.random.default_rng(1)
            losses.append(float(step(batch)[0]))
        assert losses[-1] < losses[0]


class TestLabels:
    @pytest.mark.parametrize(
        ("way", "targets", "decide"),
        [
            (None, "listened", True),
            ("gbce", "listened", True),
            ("pairwise", "listened", False),
            ("pairwise", "labelled", True),
        ],
    )
    def test_they_say_what_a_target_is_where_nothing_else_reads_them(self, way, targets, decide):
        train = sequences([[5, 6, 7, 8]], [[False, False, True, False]])
        plain = settings_of("sasrec", "orig") if way is None else settings_with("sasrec", way)
        found = {}
        for labels in LABELS:
            changed = {"labels": labels, "targets": targets}
            recommender = find_model("sasrec")(N_TRACKS, plain | changed)
            recommender.initialise(1)
            batches = Training(recommender, None, train, train, seed=1).batches
            (batch,) = batches.epoch(np.random.default_rng(1))
            found[labels] = batch.targets.tolist()
        assert found["right"] == [6, 8, 8]
        if not decide:
            assert found["inverted"] == found["shuffled"] == found["right"]
        else:
            assert found["inverted"] == [7, 7]
            seen = seen_labels(train, "shuffled", stays="first")
            [skipped] = np.flatnonzero(seen.skipped.values)
            assert skipped > 0
            assert 5 + skipped not in found["shuffled"]

    def test_by_hand(self):
        train = sequences([[1, 2, 3]], [[True, False, None]])
        assert seen_labels(train, "right", stays="last") is train
        inverted = seen_labels(train, "inverted", stays="last")
        assert inverted.skipped.values.tolist() == [False, True, False]
        assert inverted.listened.values.tolist() == [True, False, False]
        with pytest.raises(UserError, match="labels is right, inverted, shuffled, not 'wrong'"):
            seen_labels(train, "wrong", stays="last")

    @pytest.mark.parametrize("stays", ["last", "first"])
    def test_shuffled_labels_are_those_of_the_session_in_an_order_that_sees_no_label(self, stays):
        train = relabelled(random_sessions(500, N_TRACKS, seed=1), 2)
        found = seen_labels(train, "shuffled", stays=stays)
        rows = train.tracks.row_of_value()
        for ours, theirs in (
            (found.skipped, train.skipped),
            (found.unknown, train.unknown),
            (found.listened, train.listened),
        ):
            assert np.array_equal(np.bincount(rows, ours.values), np.bincount(rows, theirs.values))
        assert not (found.skipped.values & found.unknown.values).any()
        # One play keeps its label.
        offsets = train.tracks.offsets
        kept = offsets[1:] - 1 if stays == "last" else offsets[:-1]
        assert np.array_equal(found.skipped.values[kept], train.skipped.values[kept])
        assert np.array_equal(found.unknown.values[kept], train.unknown.values[kept])
        # Elsewhere no more agreement than chance gives, which is that of two random orders.
        inner = np.setdiff1d(np.arange(len(rows)), kept)
        rate = np.bincount(rows[inner], train.skipped.values[inner]) / (train.tracks.lengths - 1)
        agree = (found.skipped.values & train.skipped.values)[inner].mean()
        assert agree == pytest.approx((rate[rows[inner]] ** 2).mean(), abs=0.015)
        # The order is that of the plays, whatever the labels and the other sessions are.
        marked = replace(train, skipped=Ragged(np.arange(len(rows)), train.skipped.offsets))
        marked = replace(marked, unknown=None)
        order = seen_labels(marked, "shuffled", stays=stays).skipped.values
        assert np.array_equal(found.skipped.values, train.skipped.values[order])
        alone = seen_labels(train.take(np.array([7])), "shuffled", stays=stays)
        assert np.array_equal(alone.skipped.values, found.take(np.array([7])).skipped.values)

    def test_targets_are_by_the_right_labels(self):
        train = random_sessions(40, N_TRACKS, seed=1)
        right, shuffled = (
            next(
                Batches(train, 40, seen=seen_labels(train, labels, stays="first")).epoch(
                    np.random.default_rng(1)
                )
            )
            for labels in ("right", "shuffled")
        )
        assert np.array_equal(right.next_target, shuffled.next_target)
        assert np.array_equal(right.may_be_target, shuffled.may_be_target)
        assert not np.array_equal(right.skipped, shuffled.skipped)
        assert not np.array_equal(right.next_listened, shuffled.next_listened)


def test_a_bidirectional_model_makes_no_prediction_before_a_skip():
    with pytest.raises(UserError, match="the way not-to-recommend needs a prediction at every"):
        find_model("bert4rec")(N_TRACKS, settings_with("bert4rec", "not-to-recommend"))
