"""Cosines of queries with targets and skips, on a hand-made table and with a saved model."""

import math

import numpy as np
import pyarrow as pa
import pytest
import torch
from examples import random_sessions, sequences, settings_of
from safetensors.torch import save_file
from skipwise.core.artifacts import read_artifact, write_artifact, write_json
from skipwise.core.registry import find_model
from skipwise.evaluation import cosines
from skipwise.evaluation.cosines import session_cosines
from skipwise.training.saved import RUN, WEIGHTS

# Directions of the tracks 1..5 in degrees, and their lengths, which a cosine does not see; row 0 is
# padding.
DEGREES = [0, 0, 30, 60, 90, 180]
LENGTHS = [0, 1, 2, 3, 0.5, 7]
# ŷ of the sessions below stands at these angles.
PREDICTED = {1: 0, 2: 90, 3: 45}


class Fixed:
    """A model of which table and queries are known."""

    vectors = torch.tensor(
        [
            [n * math.cos(math.radians(a)), n * math.sin(math.radians(a))]
            for a, n in zip(DEGREES, LENGTHS, strict=True)
        ]
    )

    def queries(self, contexts):
        angles = torch.deg2rad(
            torch.tensor([float(PREDICTED[i]) for i in contexts.session_id.tolist()])
        )
        return 3 * torch.stack([angles.cos(), angles.sin()], dim=1)


def cos(degrees):
    return math.cos(math.radians(degrees))


@pytest.fixture
def sessions():
    return sequences(
        [[1, 2, 3], [4, 5, 5], [3, 4], [1, 2]],
        [[False, True, True], [True, False, True], [True, True], [False, False]],
        targets=[4, 1, 5, 3],
        unseen=[[5, 3], [], [2], [1]],
    )


def test_values(sessions):
    rows = session_cosines(Fixed(), sessions).to_pylist()
    assert [row["session_id"] for row in rows] == [1, 2, 3]  # session 4 has no skip in its context
    expected = [
        {
            "hidden_target": cos(90),
            "hidden_skips": (cos(30) + cos(60)) / 2,
            "hidden_unseen_skips": (cos(180) + cos(60)) / 2,
            "item_target": cos(90),
            "item_skips": (cos(30) + cos(60)) / 2,
            "item_unseen_skips": (cos(180) + cos(60)) / 2,
        },
        {
            "hidden_target": cos(90),
            "hidden_skips": (cos(0) + cos(90)) / 2,
            "hidden_unseen_skips": None,
            "item_target": cos(180),  # the last listened track is 5, though the last play is a skip
            "item_skips": (cos(90) + cos(0)) / 2,
            "item_unseen_skips": None,
        },
        {
            "hidden_target": cos(180 - 45),
            "hidden_skips": (cos(60 - 45) + cos(90 - 45)) / 2,
            "hidden_unseen_skips": cos(45 - 30),
            "item_target": None,  # nothing was listened to
            "item_skips": None,
            "item_unseen_skips": None,
        },
    ]
    for row, values in zip(rows, expected, strict=True):
        for name, value in values.items():
            assert row[name] == (None if value is None else pytest.approx(value, abs=1e-6)), (
                row["session_id"],
                name,
            )


def test_sessions_without_a_skip_give_no_row(sessions):
    table = session_cosines(Fixed(), sessions.take(np.array([3])))
    assert table.num_rows == 0
    assert table.column_names[0] == "session_id"


@pytest.fixture
def model():
    model = find_model("sasrec")(40, settings_of("sasrec", "orig"))
    model.initialise(1)
    return model


def test_batches_change_nothing(model, monkeypatch):
    sessions = random_sessions(50, 40, seed=1)
    whole = session_cosines(model, sessions)
    monkeypatch.setattr(cosines, "BATCH", 7)
    parts = session_cosines(model, sessions)
    assert parts["session_id"] == whole["session_id"]
    for name in whole.column_names[1:]:
        one, other = (table[name].to_numpy() for table in (whole, parts))
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_memory_does_not_grow_with_the_sessions(model, monkeypatch):
    """No batch is larger than BATCH, and none is empty."""
    seen = []
    queries = model.queries
    monkeypatch.setattr(
        model, "queries", lambda contexts: seen.append(len(contexts)) or queries(contexts)
    )
    monkeypatch.setattr(cosines, "BATCH", 16)
    n = session_cosines(model, random_sessions(60, 40, seed=2)).num_rows
    assert max(seen) == 16
    assert min(seen) > 0
    assert sum(seen) == n


def test_cosine_of_a_real_prediction(model):
    """ŷ · e / (|ŷ| |e|) of a session that stands alone."""
    sessions = random_sessions(8, 40, seed=3)
    row = session_cosines(model, sessions).to_pylist()[0]
    at = int(np.flatnonzero(sessions.session_id == row["session_id"])[0])
    one = sessions.take(np.array([at]))
    query, target = model.queries(one)[0].double(), model.table[one.target[0]].double()
    assert row["hidden_target"] == pytest.approx(
        float(query @ target / (query.norm() * target.norm())), abs=1e-6
    )


def test_artifact_of_a_saved_model(tmp_path, model):
    save_file(model.state(), tmp_path / WEIGHTS)
    run = {"model": "its-name", "recommender": "sasrec", "candidates": "full", "n_tracks": 40}
    write_json(run | {"settings": model.settings}, tmp_path / RUN)
    rows = [(2, [1, 2], [False, True], 3, [], None, 1), (1, [4, 5], [True, False], 6, [7], None, 1)]
    names = ("session_id", "tracks", "skipped", "target", "unseen_skips", "time", "cluster")
    test = pa.table(
        {
            name: pa.array(column)
            for name, column in zip(names, zip(*rows, strict=True), strict=True)
        }
    )
    write_artifact(test, "test", tmp_path / "test.parquet")
    for name in ("first", "second"):
        cosines.measure_cosines(
            tmp_path, str(tmp_path / "test.parquet"), str(tmp_path / f"{name}.parquet"), threads=1
        )
    table = read_artifact("cosines", tmp_path / "first.parquet")
    assert table["session_id"].to_pylist() == [1, 2]
    assert table["hidden_unseen_skips"].null_count == 1
    assert (tmp_path / "first.parquet").read_bytes() == (tmp_path / "second.parquet").read_bytes()
