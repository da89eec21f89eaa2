"""Ragged arrays and sequences against plain Python lists."""

import itertools

import numpy as np
import pyarrow as pa
import pytest
from examples import sequences
from hypothesis import given, settings
from hypothesis import strategies as st
from skipwise.core.artifacts import write_artifact
from skipwise.core.errors import UserError
from skipwise.core.schemas import ARTIFACTS
from skipwise.sessions.sequences import Ragged, Sequences

ROWS = st.lists(st.lists(st.integers(1, 50), max_size=6), max_size=8)


def ragged(rows, kind=np.int32):
    return Ragged(
        np.array([value for row in rows for value in row], kind), np.cumsum([0, *map(len, rows)])
    )


def lists(rows: Ragged):
    return [rows.values[start:stop].tolist() for start, stop in itertools.pairwise(rows.offsets)]


@settings(deadline=None)
@given(ROWS, st.data())
def test_rows_behave_like_lists(rows, data):
    picks = data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=10)) if rows else []
    all_rows = ragged(rows)
    assert len(all_rows) == len(rows)
    assert all_rows.lengths.tolist() == [len(row) for row in rows]
    assert all_rows.row_of_value().tolist() == [i for i, row in enumerate(rows) for _ in row]
    taken = all_rows.take(np.array(picks, np.int64))
    assert lists(taken) == [rows[i] for i in picks]
    assert taken.values.dtype == np.int32
    width = max(map(len, rows), default=0)
    assert all_rows.padded().shape == (len(rows), width)
    assert all_rows.padded(-1).tolist() == [row + [-1] * (width - len(row)) for row in rows]


@settings(deadline=None)
@given(ROWS, st.data())
def test_arrow_lists_are_read_whatever_their_chunks_and_slices(rows, data):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(rows)), max_size=3)))
    parts = [rows[start:stop] for start, stop in itertools.pairwise([0, *cuts, len(rows)])]
    kind = pa.list_(pa.int32())
    # Each chunk is a slice of a longer array, so its offsets do not start at 0 and its values go on
    # after it.
    chunks = [pa.array([[91, 92], [], *part, [93]], kind).slice(2, len(part)) for part in parts]
    read = Ragged.from_arrow(pa.chunked_array(chunks, kind))
    assert lists(read) == rows
    # What is beside a slice must not come back.
    assert read.offsets[0] == 0
    assert read.values.tolist() == [value for row in rows for value in row]
    assert read.padded().tolist() == ragged(rows).padded().tolist()


def test_arrow_lists_of_booleans_are_read_from_a_slice():
    column = pa.chunked_array(
        [pa.array([[True], [False, True], [], [True, True, False]], pa.list_(pa.bool_()))]
    )
    read = Ragged.from_arrow(column.slice(1, 3))
    assert read.values.dtype == bool
    assert lists(read) == [[False, True], [], [True, True, False]]


def test_a_column_without_chunks_has_no_rows():
    read = Ragged.from_arrow(pa.chunked_array([], pa.list_(pa.int32())))
    assert len(read) == 0
    assert read.values.tolist() == []


def test_padding_is_zero_or_what_is_asked():
    rows = ragged([[3, 4], [], [5]])
    assert rows.padded().tolist() == [[3, 4], [0, 0], [5, 0]]
    assert rows.padded().dtype == np.int32
    assert ragged([[True], [], [False, True]], bool).padded(False).tolist() == [
        [True, False],
        [False, False],
        [False, True],
    ]


def test_rows_that_are_all_empty_have_no_columns():
    rows = ragged([[], [], []])
    assert rows.padded().shape == (3, 0)
    assert rows.row_of_value().tolist() == []
    assert lists(rows.take(np.array([2, 0]))) == [[], []]


def test_taking_does_not_change_what_it_takes_from():
    rows = ragged([[1, 2], [3]])
    rows.take(np.array([1])).values[:] = 99
    assert lists(rows) == [[1, 2], [3]]


def written(path, part, rows, times=None):
    names = ("session_id", "tracks", "skipped", "target", "unseen_skips", "time", "cluster")
    columns = [*zip(*rows, strict=True), times or [None] * len(rows), range(5, 5 + len(rows))]
    table = pa.table(dict(zip(names, map(list, columns), strict=True)), ARTIFACTS[part].schema)
    write_artifact(table, part, path)
    return path


def test_a_test_artifact_is_read_in_the_order_of_session_ids(tmp_path):
    rows = [
        (30, [4, 5, 4], [True, False, False], 6, [7, 8]),
        (10, [1, 2], [False, False], 3, []),
        (20, [9], [False], 1, [2]),
    ]
    read = Sequences.read("test", written(tmp_path / "test.parquet", "test", rows))
    assert len(read) == 3
    assert read.session_id.tolist() == [10, 20, 30]
    assert lists(read.tracks) == [[1, 2], [9], [4, 5, 4]]
    assert lists(read.skipped) == [[False, False], [False], [True, False, False]]
    assert read.target.tolist() == [3, 1, 6]
    assert lists(read.unseen_skips) == [[], [2], [7, 8]]
    assert (read.session_id.dtype, read.tracks.values.dtype, read.skipped.values.dtype) == (
        np.int32,
        np.int32,
        bool,
    )
    assert np.issubdtype(read.target.dtype, np.integer)
    assert read.cluster.tolist() == [6, 7, 5]
    assert read.take(np.array([2, 0])).cluster.tolist() == [5, 6]


def test_the_times_are_read_where_every_session_has_one(tmp_path):
    rows = [(2, [4, 5], [False, False], None, []), (1, [6], [False], None, [])]
    for times, expected in (([8.5, 7.0], [7.0, 8.5]), ([8.5, None], None), (None, None)):
        read = Sequences.read("train", written(tmp_path / "train.parquet", "train", rows, times))
        assert (None if read.time is None else read.time.tolist()) == expected
    read = Sequences.read("train", written(tmp_path / "train.parquet", "train", rows, [8.5, 7.0]))
    assert read.take(np.array([1, 0, 1])).time.tolist() == [8.5, 7.0, 8.5]


def test_an_unknown_label_is_neither_skipped_nor_listened(tmp_path):
    rows = [(1, [4, 5, 4], [None, True, False], 6, []), (2, [1, 2], [False, None], 3, [])]
    read = Sequences.read("test", written(tmp_path / "test.parquet", "test", rows))
    assert lists(read.skipped) == [[False, True, False], [False, False]]
    assert lists(read.unknown) == [[True, False, False], [False, True]]
    assert lists(read.listened) == [[False, False, True], [True, False]]
    taken = read.take(np.array([1, 1, 0]))
    assert lists(taken.unknown) == [[False, True], [False, True], [True, False, False]]
    assert lists(taken.listened) == [[True, False], [True, False], [False, False, True]]


def test_labels_that_are_all_known_need_no_memory(tmp_path):
    rows = [(1, [4, 5], [True, False], 6, [])]
    read = Sequences.read("test", written(tmp_path / "test.parquet", "test", rows))
    assert read.unknown is read.take(np.array([0])).unknown is None
    assert lists(read.listened) == [[False, True]]


def test_feedback_leaves_unknown_labels_out():
    """Track 1 is listened and unknown, 2 skipped and unknown, 3 unknown alone, 4 skipped and
    listened.
    """
    parts = sequences([[1, 1, 2, 2, 3, 4, 4]], [[False, None, True, None, None, True, False]])
    listened, rejected = (found.toarray().tolist() for found in parts.listened_and_rejected(4))
    assert listened == [[0, 1, 0, 0, 1]]
    assert rejected == [[0, 0, 1, 0, 0]]


@settings(deadline=None)
@given(st.lists(st.lists(st.integers(1, 5), max_size=8), min_size=1, max_size=8))
def test_distinct_tracks_are_those_of_a_set(rows):
    assert lists(sequences(rows).distinct_tracks()) == [sorted(set(row)) for row in rows]


def test_a_target_in_its_context_is_a_repeat():
    parts = sequences([[1, 2, 1], [3], [4, 5], [6]], targets=[1, 4, 5, 3])
    assert parts.repeats().tolist() == [True, False, True, False]
    assert parts.take(np.array([], np.int64)).repeats().tolist() == []


def test_train_has_padding_for_its_null_targets(tmp_path):
    rows = [(1, [4, 5], [False, False], None, []), (2, [6], [False], None, [])]
    read = Sequences.read("train", written(tmp_path / "train.parquet", "train", rows))
    assert read.target.tolist() == [0, 0]
    assert np.issubdtype(read.target.dtype, np.integer)


def test_a_part_without_sessions_is_read(tmp_path):
    write_artifact(ARTIFACTS["test"].schema.empty_table(), "test", tmp_path / "test.parquet")
    read = Sequences.read("test", tmp_path / "test.parquet")
    assert len(read) == len(read.tracks) == len(read.unseen_skips) == 0


def test_another_artifact_is_refused(tmp_path):
    write_artifact(
        ARTIFACTS["metrics"].schema.empty_table(), "metrics", tmp_path / "metrics.parquet"
    )
    with pytest.raises(
        UserError, match=r"metrics\.parquet does not have the columns of a test file"
    ):
        Sequences.read("test", tmp_path / "metrics.parquet")


def test_sessions_are_taken_whole():
    parts = sequences(
        [[1, 2], [3], [4, 5, 6]],
        [[True, False], [False], [False, True, False]],
        targets=[7, 8, 9],
        unseen=[[1], [], [2, 3]],
    )
    taken = parts.take(np.array([2, 0, 0]))
    assert taken.session_id.tolist() == [3, 1, 1]
    assert lists(taken.tracks) == [[4, 5, 6], [1, 2], [1, 2]]
    assert lists(taken.skipped) == [[False, True, False], [True, False], [True, False]]
    assert taken.target.tolist() == [9, 7, 7]
    assert lists(taken.unseen_skips) == [[2, 3], [1], [1]]


@settings(deadline=None)
@given(st.lists(st.lists(st.integers(1, 9), max_size=6), min_size=1, max_size=8))
def test_plays_are_counted(rows):
    parts = sequences(rows)
    expected = [[row.count(track) for track in range(12)] for row in rows]
    matrix = parts.matrix(11)
    assert matrix.shape == (len(rows), 12)
    assert matrix.toarray().tolist() == expected
    assert parts.counts(11).tolist() == [sum(column) for column in zip(*expected, strict=True)]
