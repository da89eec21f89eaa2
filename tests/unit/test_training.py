"""Mini-batches: every sequence once an epoch, as it is, with hardly any padding."""

import itertools
import json
import math
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from examples import ROOT, random_sessions, relabelled, sequences, settings_of
from skipwise.core.errors import UserError
from skipwise.core.registry import find_model
from skipwise.ranking import metrics
from skipwise.ranking.ranker import ranker, validation_ranks
from skipwise.training.batches import Batches
from skipwise.training.loop import Training, TrainStep

pytestmark = pytest.mark.long

NEURAL = ["sasrec", "bert4rec", "gru4rec", "caser"]


def rows(batches):
    """Tracks, skips and next listened positions of each sequence, without padding, in the order of
    the batches.
    """
    for batch in batches:
        for tracks, skipped, following in zip(
            batch.tracks, batch.skipped, batch.next_listened, strict=True
        ):
            length = (tracks > 0).sum()
            assert not tracks[length:].any()
            assert not skipped[length:].any()
            assert (following[length:] == -1).all()
            yield (
                tuple(tracks[:length].tolist()),
                tuple(skipped[:length].tolist()),
                tuple(following[:length].tolist()),
            )


@pytest.mark.parametrize("size", [1, 7, 64, 1000])
def test_an_epoch_holds_every_sequence_once(size):
    train = random_sessions(300, 50, seed=1)
    batches = Batches(train, size)
    epoch = list(batches.epoch(np.random.default_rng(1)))
    assert len(epoch) == len(batches) == -(-300 // size)
    expected = []
    for i in range(300):
        inside = slice(*train.tracks.offsets[i : i + 2])
        skipped = train.skipped.values[inside]
        following = [
            next((j for j in range(k + 1, len(skipped)) if not skipped[j]), -1)
            for k in range(len(skipped))
        ]
        expected.append(
            (tuple(train.tracks.values[inside].tolist()), tuple(skipped.tolist()), tuple(following))
        )
    assert sorted(rows(epoch)) == sorted(expected)


def one_batch(tracks, skipped, targets):
    (batch,) = Batches(sequences(tracks, skipped), 4, targets).epoch(np.random.default_rng(1))
    return batch


@pytest.mark.parametrize("targets", ["listened", "next"])
def test_targets_are_those_of_a_loop_whatever_the_labels(targets):
    train = relabelled(random_sessions(300, 50, seed=1, lengths=(1, 12)), seed=2)
    found = {}
    for batch in Batches(train, 16, targets).epoch(np.random.default_rng(1)):
        names = ("skipped", "listened", "may_be_target", "next_listened", "next_target", "queries")
        for tracks, *fields in zip(
            batch.tracks, *(getattr(batch, name) for name in names), strict=True
        ):
            length = (tracks > 0).sum()
            assert not any(field[length:].any() for field in fields[:3])
            assert all((field[length:] == -1).all() for field in fields[3:5])
            key = tuple(tracks[:length].tolist())
            found.setdefault(key, []).append([field[:length].tolist() for field in fields])
    expected = {}
    for start, stop in itertools.pairwise(train.tracks.offsets):
        skipped, unknown = (rows.values[start:stop] for rows in (train.skipped, train.unknown))
        listened = [not (a or b) for a, b in zip(skipped, unknown, strict=True)]
        eligible = listened if targets == "listened" else [True] * len(listened)

        def following(chosen):
            later = range(len(chosen))
            return [next((j for j in later if j > i and chosen[j]), -1) for i in later]

        following_listened = following(listened)
        fields = [
            skipped.tolist(),
            listened,
            eligible,
            following_listened,
            following(eligible),
            [a and at >= 0 for a, at in zip(listened, following_listened, strict=True)],
        ]
        key = tuple(train.tracks.values[start:stop].tolist())
        expected.setdefault(key, []).append(fields)
    assert {key: sorted(of) for key, of in found.items()} == {
        key: sorted(of) for key, of in expected.items()
    }


def test_plain_next_targets_see_no_label():
    batch = one_batch([[5, 6, 7, 8]], [[False, True, None, True]], "next")
    assert batch.next_target.tolist() == [[1, 2, 3, -1]]
    assert batch.targets.tolist() == [6, 7, 8]
    assert batch.may_be_target.all()
    # The queries of the contrastive term are listened ones whatever the targets are.
    assert batch.next_listened.tolist() == [[-1, -1, -1, -1]]
    assert not batch.queries.any()


def test_a_play_of_unknown_label_is_context_only():
    batch = one_batch([[5, 6, 7, 8, 9]], [[None, False, None, True, False]], "listened")
    assert batch.next_target.tolist() == batch.next_listened.tolist() == [[1, 4, 4, 4, -1]]
    assert batch.targets.tolist() == [6, 9, 9, 9]
    assert batch.queries.tolist() == [[False, True, False, False, False]]
    assert batch.skipped.tolist() == [[False, False, False, True, False]]
    assert batch.listened.tolist() == [[False, True, False, False, True]]


def test_targets_are_one_of_three_words():
    with pytest.raises(UserError, match="targets is listened, labelled, next, not 'nxt'"):
        Batches(sequences([[1, 2]]), 4, "nxt")


@pytest.mark.parametrize(("split", "expected"), [("paper", [7, 8]), ("authors_code", [6, 7, 8])])
def test_the_authors_code_trains_on_plain_next_tracks(split, expected):
    """Tracks 5 to 8, of which 6 is skipped; nothing is predicted at 8."""
    settings = settings_of("sasrec", "orig", split)
    model = find_model("sasrec")(9, settings)
    model.initialise(1)
    train = sequences([[5, 6, 7, 8]], [[False, True, False, False]])
    training = Training(model, None, train, train, seed=1)
    (batch,) = training.batches.epoch(np.random.default_rng(1))
    assert sorted(set(batch.targets.tolist())) == expected


@pytest.mark.parametrize("model", ["sasrec", "bert4rec", "gru4rec", "caser"])
@pytest.mark.parametrize("headline", ["full", "new"])
def test_models_are_selected_among_the_headline_candidates(model, headline):
    """The history has the NDCG of the validation sessions that count among them."""
    train = random_sessions(40, 30, seed=1)
    recommender = find_model(model)(30, settings_of(model, "orig") | {"max_epochs": 2})
    recommender.candidates = headline
    history = recommender.fit(train, train, seed=1, threads=1)
    best = next(row for row in history if row["best"])
    ranks = validation_ranks(
        ranker(recommender, train.counts(30)), train, cutoff=None, candidates=headline
    )
    assert 0 < train.repeats().sum() < 40
    assert len(ranks) == (40 if headline == "full" else 40 - train.repeats().sum())
    assert best["valid_ndcg_10"] == pytest.approx(metrics.ndcg(ranks, 10).mean(), rel=1e-9)
    assert best["valid_hr_10"] == pytest.approx(metrics.hit_rate(ranks, 10).mean(), rel=1e-9)


@pytest.mark.parametrize("headline", ["full", "new"])
def test_patience_begins_when_a_model_is_better_than_popularity(headline, caplog):
    """Each track leads to one other; only the first 8 of 60 are ever played."""
    plays = [[1 + (i + j) % 8 for j in range(3)] for i in range(40)]
    train = sequences(plays)
    valid = sequences([session[:2] for session in plays], targets=[session[2] for session in plays])
    few = {"min_epochs": 1, "patience": 2, "max_epochs": 20, "batch_size": 4}

    def epochs(learning_rate):
        settings = settings_of("sasrec", "orig") | few | {"learning_rate": learning_rate}
        model = find_model("sasrec")(60, settings)
        model.candidates = headline
        return len(model.fit(train, valid, seed=1, threads=1))

    assert epochs(1e-12) == 20
    assert "nothing is learned" in caplog.text
    caplog.clear()
    assert epochs(0.01) < 20
    assert "nothing is learned" not in caplog.text


def test_targets_are_the_next_listened_tracks():
    train = sequences([[5, 6, 7, 8]], [[False, True, False, False]])
    (batch,) = Batches(train, 4).epoch(np.random.default_rng(1))
    assert batch.next_listened.tolist() == [[2, 2, 3, -1]]
    assert batch.predicted.tolist() == [[True, True, True, False]]
    assert batch.targets.tolist() == [7, 7, 8]
    assert batch.queries.tolist() == [[True, False, True, False]]


def test_a_batch_holds_hardly_any_padding_and_epochs_differ():
    train = random_sessions(4000, 50, seed=1)
    batches, rng = Batches(train, 64), np.random.default_rng(1)
    first, second = list(batches.epoch(rng)), list(batches.epoch(rng))
    padding = 1 - sum((batch.tracks > 0).sum() for batch in first) / sum(
        batch.tracks.size for batch in first
    )
    assert padding < 0.05  # in random order it is 0.4: 9 tracks of 15 on average
    lengths = [batch.tracks.shape[1] for batch in first]
    assert lengths != sorted(lengths)
    assert sorted(rows(first)) == sorted(rows(second))
    assert list(rows(first)) != list(rows(second))


def test_every_position_of_an_epoch_weighs_the_same():
    epoch = list(Batches(random_sessions(4000, 50, seed=1), 64).epoch(np.random.default_rng(1)))
    positions = np.array([batch.predicted.sum() for batch in epoch])
    assert positions.max() > 2 * positions.min()
    weights = np.array([batch.weight for batch in epoch])
    assert weights / positions == pytest.approx(1 / positions.mean())


def test_a_train_set_without_a_target_has_weights_too():
    (batch,) = Batches(sequences([[5], [6]], [[False], [False]]), 4).epoch(np.random.default_rng(1))
    assert batch.weight == 0


@pytest.mark.parametrize("variant", ["orig", "contrastive-hidden"])
def test_a_step_goes_by_the_weight_of_its_batch(variant):
    (batch,) = Batches(random_sessions(20, 50, seed=1), 20).epoch(np.random.default_rng(1))
    assert batch.weight == 1
    losses, moments = [], []
    for weight in (1.0, 0.5):
        model = find_model("sasrec")(50, settings_of("sasrec", variant) | {"gradient_clip": 1e9})
        model.initialise(1)
        step = TrainStep(model, steps=1, rng=np.random.default_rng(1))
        losses.append(step(replace(batch, weight=weight)))
        moments.append((step.rows.mean, *step.adam.mean))
    torch.testing.assert_close(losses[1], losses[0] / 2)
    assert moments[0][0].abs().max() > 0
    for whole, half in zip(*moments, strict=True):
        torch.testing.assert_close(half, whole / 2)


def test_the_order_depends_on_the_generator_alone():
    train = random_sessions(200, 50, seed=1)
    first, again = (
        list(rows(Batches(train, 32).epoch(np.random.default_rng(3)))) for _ in range(2)
    )
    assert first == again


@pytest.mark.parametrize("headline", ["full", "new"])
def test_the_floor_is_popularity_and_two_of_its_standard_errors(headline):
    """Plays of tracks 1 to 9 in falling number; the contexts have track 1, and targets are 2 to 9
    and one that was never played.
    """
    plays = [[track] * (10 - track) for track in range(1, 10)]
    train = sequences([*plays, [1, 2]])
    targets = [2, 3, 9, 2, 20, 2]
    valid = sequences([[1]] * 6, targets=targets)
    model = find_model("gru4rec")(20, settings_of("gru4rec", "blind") | {"max_epochs": 1})
    model.candidates = headline
    model.fit(train, valid, seed=1, threads=1)
    first = 1 if headline == "full" else 0  # the rank of track 1, or none
    gains = [1 / math.log2(target - 1 + first + 1) if target < 10 else 0 for target in targets]
    mean = sum(gains) / 6
    variance = sum((gain - mean) ** 2 for gain in gains) / 6
    assert model.floor == pytest.approx(mean + 2 * math.sqrt(variance / 6))


def test_a_training_between_popularity_and_its_standard_errors_has_not_learned():
    train = random_sessions(30, 20, seed=1)
    model = find_model("gru4rec")(20, settings_of("gru4rec", "orig"))
    model.initialise(1)
    training = Training(model, None, train, train, seed=1)
    training.epoch, training.best = 100, 1
    training.history = [{"valid_ndcg_10": 0.3}]
    training.settings = training.settings | {"max_epochs": 200}
    for model.floor, is_over in ((0.31, False), (0.3, False), (0.29, True), (math.nan, True)):
        assert training.is_over is is_over


def never_played(train):
    """Validation sessions whose targets are the tracks 21 to 40."""
    return replace(train, target=(21 + np.arange(len(train)) % 20).astype(np.int32))


@pytest.mark.parametrize(("min_epochs", "expected"), [(1, 3), (6, 6), (50, 8)])
def test_training_goes_on_for_the_fewest_epochs(min_epochs, expected):
    """Validation targets that no model can know, and popularity least of all: with patience 2
    training ends soon, but not before ``min_epochs``.
    """
    train = random_sessions(30, 20, seed=1)
    epochs = {"min_epochs": min_epochs, "max_epochs": 8, "patience": 2, "learning_rate": 1e-12}
    recommender = find_model("gru4rec")(40, settings_of("gru4rec", "orig") | epochs)
    assert len(recommender.fit(train, never_played(train), seed=1, threads=1)) == expected


def test_the_log_has_a_line_an_epoch_with_the_time_left(caplog, monkeypatch):
    """A clock that goes on by a second at every look: an epoch takes some, and the epochs to come
    as many each.
    """
    ticks = itertools.count()
    monkeypatch.setattr("skipwise.training.loop.time.perf_counter", lambda: float(next(ticks)))
    caplog.set_level("INFO", "skipwise")
    train = random_sessions(30, 20, seed=1)
    settings = settings_of("gru4rec", "contrastive-item") | {"min_epochs": 4, "max_epochs": 4}
    find_model("gru4rec")(40, settings).fit(train, never_played(train), seed=1, threads=1)
    line = r"epoch (\d) of at most 4: loss [\d.]+ \(cross-entropy [\d.]+ \+ skip loss [\d.]+\), "
    line += r"validation NDCG@10 [\d.]+ .* sessions/s, at most (.*) left"
    epochs, left = zip(
        *(re.fullmatch(line, message).groups() for message in caplog.messages), strict=True
    )
    assert epochs == ("1", "2", "3", "4")
    seconds = [
        int(minutes) * 60 + int(rest) for _, minutes, rest in (time.split(":") for time in left)
    ]
    assert seconds[2] > 0
    assert seconds == [3 * seconds[2], 2 * seconds[2], seconds[2], 0]


@pytest.fixture(scope="module")
def compilers_imported():
    """By model, what of torch's compiler is imported when it has been trained, after those before
    it in one process.
    """
    code = f"""
import json, sys
sys.path[:0] = {[str(ROOT / "workflow/scripts"), str(ROOT / "tests")]!r}
from examples import ROOT, random_sessions, settings_of
from skipwise.core.registry import find_model
train, found = random_sessions(50, 30, seed=1), {{}}
for model in {NEURAL!r}:
    settings = settings_of(model, "contrastive-hidden") | {{"min_epochs": 1, "max_epochs": 1}}
    find_model(model)(30, settings).fit(train, train, seed=1, threads=1)
    found[model] = [name for name in ("torch._dynamo", "sympy") if name in sys.modules]
print(json.dumps(found))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.xdist_group("compilers")
@pytest.mark.parametrize("model", NEURAL)
def test_training_and_ranking_import_no_compiler(model, compilers_imported):
    """torch imports its compiler, and sympy, for some of what it offers: more than a second of each
    job.
    """
    assert compilers_imported[model] == []
