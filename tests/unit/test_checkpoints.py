"""A training that is stopped anywhere and goes on has the weights of one that was not."""

import errno
import json
import logging
import os
import shutil
import signal
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from examples import random_sessions, settings_of, write_part
from safetensors import SafetensorError, safe_open
from skipwise.core.artifacts import write_json
from skipwise.core.errors import StoppedError
from skipwise.core.registry import find_model
from skipwise.training import checkpoints
from skipwise.training import loop as training
from skipwise.training.checkpoints import Checkpoint, StopSignal
from skipwise.training.loop import TrainStep
from skipwise.training.train import train_model

pytestmark = pytest.mark.long

N_TRACKS = 50
EPOCHS = 4
BATCHES = 3  # 40 sessions, 16 at once


def fitted(
    model="sasrec", checkpoint=None, seed=1, valid_seed=2, variant="contrastive-hidden", **changes
):
    """State and history after a training; ``seconds`` are left out of the history."""
    settings = (
        settings_of(model, variant)
        | {
            "dimension": 16,
            "sampled_candidates": 10,
            "batch_size": 16,
            "min_epochs": 1,
            "max_epochs": EPOCHS,
            "patience": 9,
            "learning_rate": 0.02,
        }
        | changes
    )
    recommender = find_model(model)(N_TRACKS, settings)
    train, valid = (
        random_sessions(40, N_TRACKS, seed=1),
        random_sessions(20, N_TRACKS, seed=valid_seed),
    )
    history = recommender.fit(train, valid, seed=seed, threads=1, checkpoint=checkpoint)
    return recommender.state(), [
        {
            name: value
            for name, value in row.items()
            if name not in ("seconds", "sessions_per_second")
        }
        for row in history
    ]


def assert_same(found, expected):
    assert found[1] == expected[1]
    assert found[0].keys() == expected[0].keys()
    for name, tensor in expected[0].items():
        assert torch.equal(found[0][name], tensor), name


def send_after(monkeypatch, steps: int, number: int = signal.SIGTERM) -> list[int]:
    """Send this process a signal in the middle of a step, once; the list has an item for every
    step.
    """
    taken: list[int] = []
    step = TrainStep.__call__

    def counted(self, batch):
        taken.append(1)
        if len(taken) == steps:
            os.kill(os.getpid(), number)
        return step(self, batch)

    monkeypatch.setattr(TrainStep, "__call__", counted)
    return taken


@pytest.mark.parametrize("model", ["sasrec", "bert4rec", "gru4rec", "caser"])
@pytest.mark.parametrize("stop", [1, BATCHES - 1, BATCHES, BATCHES + 1, BATCHES * EPOCHS - 1])
def test_a_stopped_training_goes_on_to_the_same_weights(monkeypatch, tmp_path, model, stop):
    expected = fitted(model)
    checkpoint = Checkpoint(tmp_path / "c.safetensors", "same")
    with monkeypatch.context() as patch:
        send_after(patch, stop)
        with pytest.raises(
            StoppedError,
            match=f"stopped by SIGTERM in epoch {(stop - 1) // BATCHES + 1}; .*c.safetensors",
        ):
            fitted(model, checkpoint)
    taken = send_after(monkeypatch, 10**9)
    assert_same(fitted(model, checkpoint), expected)
    assert len(taken) == BATCHES * EPOCHS - stop


@pytest.mark.parametrize("stop", [1, BATCHES, BATCHES + 1, 2 * BATCHES, 2 * BATCHES + 1])
def test_a_frozen_reference_is_kept(monkeypatch, tmp_path, stop):
    way = {"variant": "orig", "way": "pairwise", "reference_epochs": 2, "alpha": 5.0}
    expected = fitted(**way)
    checkpoint = Checkpoint(tmp_path / "c.safetensors", "same")
    with monkeypatch.context() as patch:
        send_after(patch, stop)
        with pytest.raises(StoppedError):
            fitted(checkpoint=checkpoint, **way)
    assert_same(fitted(checkpoint=checkpoint, **way), expected)


def test_a_training_may_be_stopped_after_every_step(monkeypatch, tmp_path):
    expected, found = fitted(), None
    checkpoint = Checkpoint(tmp_path / "c.safetensors", "same")
    stops = 0
    while found is None:
        with monkeypatch.context() as patch:
            send_after(patch, 1, signal.SIGINT)
            try:
                found = fitted(checkpoint=checkpoint)
            except StoppedError:
                stops += 1
        assert stops <= BATCHES * EPOCHS
    assert stops == BATCHES * EPOCHS
    assert_same(found, expected)


def test_a_killed_training_goes_on_from_its_last_epoch(monkeypatch, tmp_path):
    """Nothing can be saved on SIGKILL; what the last epoch left is there."""
    expected = fitted()
    checkpoint = Checkpoint(tmp_path / "c.safetensors", "same")

    class Killed(BaseException):
        pass

    with monkeypatch.context() as patch:
        steps = []
        step = TrainStep.__call__

        def dies(self, batch):
            steps.append(1)
            if len(steps) == 2 * BATCHES + 2:
                raise Killed
            return step(self, batch)

        patch.setattr(TrainStep, "__call__", dies)
        with pytest.raises(Killed):
            fitted(checkpoint=checkpoint)
    taken = send_after(monkeypatch, 10**9)
    assert_same(fitted(checkpoint=checkpoint), expected)
    assert len(taken) == 2 * BATCHES


def test_patience_is_remembered(monkeypatch, tmp_path):
    """The best epoch, and what the model was there, may lie before the break."""
    changes = {"learning_rate": 0.3, "patience": 2, "max_epochs": 30}
    expected = fitted(**changes)
    best = next(row["epoch"] for row in expected[1] if row["best"])
    assert best < len(expected[1]) < 30
    checkpoint = Checkpoint(tmp_path / "c.safetensors", "same")
    with monkeypatch.context() as patch:
        send_after(patch, best * BATCHES + 1)
        with pytest.raises(StoppedError):
            fitted(checkpoint=checkpoint, **changes)
    assert_same(fitted(checkpoint=checkpoint, **changes), expected)


@pytest.mark.parametrize("broken", ["other", "cut", "no safetensors", "empty", "no header"])
def test_a_checkpoint_that_does_not_fit_is_not_used(monkeypatch, tmp_path, caplog, broken):
    path = tmp_path / "c.safetensors"
    with monkeypatch.context() as patch:
        send_after(patch, BATCHES + 1)
        with pytest.raises(StoppedError):
            fitted(checkpoint=Checkpoint(path, "same"))
    if broken == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    elif broken == "no safetensors":
        path.write_bytes(b"\xff" * 500)
    elif broken == "empty":
        path.write_bytes(b"")
    elif broken == "no header":
        header = json.dumps({"x": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
        path.write_bytes(len(header).to_bytes(8, "little") + header + b"\0" * 4)
    taken = send_after(monkeypatch, 10**9)
    with caplog.at_level("INFO", logger="skipwise"):
        found = fitted(checkpoint=Checkpoint(path, "another" if broken == "other" else "same"))
    assert len(taken) == BATCHES * EPOCHS
    assert_same(found, fitted())
    [line] = [record.message for record in caplog.records if "starts over" in record.message]
    assert str(path) in line
    assert "\n" not in line


def test_the_file_is_there_whole_after_every_epoch_and_nothing_beside_it(monkeypatch, tmp_path):
    path = tmp_path / "new" / "c.safetensors"
    saved = []
    save = Checkpoint.save

    def spy(self, tensors, values):
        save(self, tensors, values)
        saved.append(
            (values["epoch"], values["done"], [file.name for file in path.parent.iterdir()])
        )

    monkeypatch.setattr(Checkpoint, "save", spy)
    fitted(checkpoint=Checkpoint(path, "same"))
    assert saved == [(epoch, 0, ["c.safetensors"]) for epoch in range(2, EPOCHS + 1)]
    with safe_open(path, "pt") as file:
        names = file.keys()  # safe_open is no dict, and cannot be iterated
        parts = {name.split(".")[0] for name in names}
    assert parts >= {"model", "adam", "rows", "best", "generator"}


@pytest.mark.parametrize("stop", [None, BATCHES + 1])
def test_a_checkpoint_that_cannot_be_saved_does_not_end_the_training(
    monkeypatch, tmp_path, caplog, stop
):
    """A full disk: what was saved before stays."""
    path = tmp_path / "c.safetensors"

    def full(*_, **__):
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(checkpoints, "save_file", full)
    if stop:
        send_after(monkeypatch, stop)
        with pytest.raises(
            StoppedError, match="stopped by SIGTERM in epoch 2; nothing of it is kept"
        ):
            fitted(checkpoint=Checkpoint(path, "same"))
    else:
        assert_same(fitted(checkpoint=Checkpoint(path, "same")), fitted())
    assert list(tmp_path.iterdir()) == []
    lines = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert len(lines) == (2 if stop else EPOCHS - 1)
    assert all(
        "c.safetensors cannot be saved (I/O error: No space left on device" in line
        for line in lines
    )


def test_a_signal_during_validation_stops_after_it(monkeypatch, tmp_path):
    expected = fitted()
    checkpoint = Checkpoint(tmp_path / "c.safetensors", "same")
    with monkeypatch.context() as patch:
        ranks = training.validation_ranks
        patch.setattr(
            training,
            "validation_ranks",
            lambda *a, **k: os.kill(os.getpid(), signal.SIGTERM) or ranks(*a, **k),
        )
        taken = send_after(patch, 10**9)
        with pytest.raises(StoppedError, match="stopped by SIGTERM in epoch 2"):
            fitted(checkpoint=checkpoint)
        assert len(taken) == BATCHES
    assert_same(fitted(checkpoint=checkpoint), expected)


def test_what_a_killed_save_left_is_removed(tmp_path):
    left = tmp_path / ".c.safetensors.123.partial"
    other = tmp_path / ".d.safetensors.123.partial"
    for path in (left, other):
        path.touch()
    assert Checkpoint(tmp_path / "c.safetensors", "same").load() is None
    assert list(tmp_path.iterdir()) == [other]


def test_signals_are_as_before_afterwards(monkeypatch, tmp_path):
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    with StopSignal() as stop:
        assert stop.received is None
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.received == signal.SIGINT
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before
    monkeypatch.setattr(training, "validation_ranks", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        fitted(checkpoint=Checkpoint(tmp_path / "c", "same"))
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before


def test_no_checkpoint_no_file_and_the_signal_ends_the_process(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    send_after(monkeypatch, 2, signal.SIGINT)
    # Where a shell started the tests in the background, SIGINT is ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            fitted()
    finally:
        signal.signal(signal.SIGINT, before)
    assert list(tmp_path.iterdir()) == []


def run(folder, code, *, seed=1, threads=1, finished=None, **changes):
    """Train as the workflow does, on the data of ``folder``."""
    settings = (
        settings_of("sasrec", "contrastive-hidden")
        | {
            "dimension": 16,
            "sampled_candidates": 10,
            "batch_size": 16,
            "min_epochs": 1,
            "max_epochs": EPOCHS,
            "patience": 9,
        }
        | changes
    )
    train_model(
        *(str(folder / f"{name}.parquet") for name in ("train", "valid", "tracks")),
        str(folder / "split.json"),
        folder / "run",
        model="sasrec",
        recommender="sasrec",
        variant="contrastive-hidden",
        settings=settings,
        seed=seed,
        threads=threads,
        checkpoint=folder / "checkpoints" / "c.safetensors",
        finished=finished,
        code=[str(code)],
    )


def write_data(folder, seed: int, headline: str = "full") -> None:
    for part, sessions in (
        ("train", random_sessions(40, N_TRACKS, seed=seed)),
        ("valid", random_sessions(20, N_TRACKS, seed=2)),
    ):
        write_part(sessions, part, folder / f"{part}.parquet")
    write_json({"headline": headline}, folder / "split.json")
    ids = range(1, N_TRACKS + 1)
    pq.write_table(pa.table({"track_id": ids}), folder / "tracks.parquet")


CHANGES = [None, "seed", "threads", "setting", "data", "headline", "code"]


def make(change: str | None, folder, code) -> dict:
    """Change one thing that a training depends on, files at once; gives the changed arguments."""
    if change == "data":
        write_data(folder, seed=5)
    elif change == "headline":  # models are selected in another way
        write_data(folder, seed=1, headline="new")
    elif change == "code":
        code.write_text("2")
    changed = {"seed": {"seed": 2}, "threads": {"threads": 2}, "setting": {"tau": 0.3}}
    return changed.get(change, {})


@pytest.mark.parametrize("change", CHANGES)
def test_the_workflow_goes_on_if_all_that_matters_is_the_same(monkeypatch, tmp_path, change):
    code = tmp_path / "code.py"
    code.write_text("1")
    write_data(tmp_path, seed=1)
    with monkeypatch.context() as patch:
        send_after(patch, BATCHES + 1)
        with pytest.raises(StoppedError):
            run(tmp_path, code)
    [left] = [path for path in tmp_path.rglob("*") if path.is_file() and path.parent != tmp_path]
    assert left == tmp_path / "checkpoints" / "c.safetensors"
    changes = make(change, tmp_path, code)
    taken = send_after(monkeypatch, 10**9)
    run(tmp_path, code, **changes)
    assert len(taken) == BATCHES * EPOCHS - (BATCHES + 1 if change is None else 0)
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [
        "history.parquet",
        "model.safetensors",
        "run.json",
    ]
    assert not (tmp_path / "checkpoints" / "c.safetensors").exists()


@pytest.mark.parametrize("change", CHANGES)
def test_a_finished_training_is_taken_over_if_all_that_matters_is_the_same(
    monkeypatch, tmp_path, change
):
    code, kept = tmp_path / "code.py", tmp_path / "checkpoints" / "c"
    code.write_text("1")
    write_data(tmp_path, seed=1)
    run(tmp_path, code, finished=kept)
    files = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    shutil.rmtree(tmp_path / "run")  # as Snakemake does before a job runs again
    changes = make(change, tmp_path, code)
    before = time.time()
    steps = send_after(monkeypatch, 10**9)
    run(tmp_path, code, finished=kept, **changes)
    assert len(steps) == (0 if change is None else BATCHES * EPOCHS)
    again = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    assert again.keys() == files.keys()
    assert (again == files) is (change is None)
    assert all(path.stat().st_mtime >= before - 1 for path in (tmp_path / "run").iterdir())
    assert {path.stat().st_nlink for path in (tmp_path / "run").iterdir()} == {2}


def test_a_training_ends_where_nothing_can_be_linked(monkeypatch, tmp_path, caplog):
    def refuses(*_):
        raise OSError(errno.EPERM, "Operation not permitted")

    code, kept = tmp_path / "code.py", tmp_path / "checkpoints" / "c"
    code.write_text("1")
    write_data(tmp_path, seed=1)
    monkeypatch.setattr(os, "link", refuses)
    with caplog.at_level(logging.INFO, logger="skipwise"):
        run(tmp_path, code, finished=kept)
    assert f"cannot be kept in {kept}" in caplog.text
    assert not kept.exists()
    assert (tmp_path / "run/run.json").exists()
