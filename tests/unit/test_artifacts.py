"""Artifacts have the declared types and order, appear whole or not at all, and say so when they are
something else.
"""

import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from skipwise.core.artifacts import read_artifact, read_json, whole_file, write_artifact, write_json
from skipwise.core.errors import UserError
from skipwise.core.schemas import ARTIFACTS, Artifact

TRACKS = {
    "track_id": [2, 1, 3],
    "track_key": ["b", "a", "c"],
    "n_plays": [5, 9, 1],
    "n_skips": [0, 4, 1],
}


def tracks(**columns) -> pa.Table:
    """A table of three tracks, int64 where the artifact has int32; a column is replaced, or left
    out with None.
    """
    return pa.table(
        {name: values for name, values in {**TRACKS, **columns}.items() if values is not None}
    )


def one_line(error: pytest.ExceptionInfo) -> str:
    message = str(error.value)
    assert "\n" not in message
    return message


def test_written_table_has_the_declared_types_and_is_read_back(tmp_path):
    path = tmp_path / "new" / "folder" / "tracks.parquet"
    write_artifact(tracks(), "tracks", path)
    table = read_artifact("tracks", path)
    assert table.schema.equals(ARTIFACTS["tracks"].schema)
    assert table.to_pylist() == [
        {"track_id": 1, "track_key": "a", "n_plays": 9, "n_skips": 4},
        {"track_id": 2, "track_key": "b", "n_plays": 5, "n_skips": 0},
        {"track_id": 3, "track_key": "c", "n_plays": 1, "n_skips": 1},
    ]
    assert pq.ParquetFile(path).metadata.row_group(0).column(0).compression == "ZSTD"


def test_columns_take_the_declared_order_and_others_are_dropped(tmp_path):
    shuffled = tracks(extra=[7, 8, 9]).select(
        ["n_skips", "extra", "track_key", "track_id", "n_plays"]
    )
    write_artifact(shuffled, "tracks", tmp_path / "tracks.parquet")
    assert pq.read_schema(tmp_path / "tracks.parquet").names == [
        "track_id",
        "track_key",
        "n_plays",
        "n_skips",
    ]


def test_list_columns_are_cast_too(tmp_path):
    table = pa.table(
        {
            "session_id": [1],
            "tracks": [[3, 4]],
            "skipped": [[False, True]],
            "target": pa.array([None], pa.int64()),
            "unseen_skips": pa.array([[]], pa.list_(pa.int64())),
            "time": pa.nulls(1),
            "cluster": [1],
        }
    )
    write_artifact(table, "train", tmp_path / "train.parquet")
    read = read_artifact("train", tmp_path / "train.parquet")
    assert read.schema.field("tracks").type == pa.list_(pa.int32())
    row = {
        "session_id": 1,
        "tracks": [3, 4],
        "skipped": [False, True],
        "target": None,
        "unseen_skips": [],
        "time": None,
        "cluster": 1,
    }
    assert read.to_pylist() == [row]


def test_rows_are_sorted_by_every_column_of_the_order(tmp_path):
    rows = [
        (2, "a", 0, 1),
        (1, "b", 0, 1),
        (1, "a", 1, 2),
        (1, "a", 1, 1),
        (1, "a", 0, 10),
        (1, "a", 0, 2),
    ]
    schema, order = ARTIFACTS["labelled"]
    others = {"track_key": "t", "skipped": False, "n_plays": 6, "n_skips": 1}
    values = [
        dict.fromkeys(schema.names) | others | dict(zip(order, row, strict=True)) for row in rows
    ]
    for name, given in {"one": values, "two": values[::-1]}.items():
        write_artifact(pa.Table.from_pylist(given, schema=schema), "labelled", tmp_path / name)
    read = read_artifact("labelled", tmp_path / "one", list(order))
    assert [tuple(row.values()) for row in read.to_pylist()] == sorted(rows)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_an_artifact_without_an_order_keeps_its_rows(tmp_path):
    plain = Artifact(pa.schema([pa.field("name", pa.string(), nullable=False)]), ())
    write_artifact(pa.table({"name": ["z", "a", "m"]}), plain, tmp_path / "plain.parquet")
    assert pq.read_table(tmp_path / "plain.parquet")["name"].to_pylist() == ["z", "a", "m"]


@pytest.mark.parametrize("name", [name for name, artifact in ARTIFACTS.items() if artifact.order])
def test_every_order_names_columns_of_its_schema(name):
    schema, order = ARTIFACTS[name]
    assert set(order) <= set(schema.names)
    assert len(set(schema.names)) == len(schema.names)


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        ({"n_skips": None}, "n_skips"),
        ({"track_id": [1, None, 3]}, "track_id"),
        ({"track_key": ["a", None, "c"]}, "track_key"),
        ({"track_id": [1, 2, 2**31]}, "2147483648"),
        ({"track_id": [1.0, 2.5, 3.0]}, "2.5"),
        ({"n_plays": ["1", "two", "3"]}, "two"),
    ],
    ids=["missing column", "null id", "null key", "too big", "not whole", "text"],
)
def test_a_table_that_does_not_fit_is_a_value_error_and_leaves_no_file(tmp_path, wrong, what):
    with pytest.raises(ValueError, match=what):
        write_artifact(tracks(**wrong), "tracks", tmp_path / "tracks.parquet")
    assert os.listdir(tmp_path) == []


def test_a_column_that_may_be_null_may_be_null(tmp_path):
    row = dict.fromkeys(ARTIFACTS["events"].schema.names) | {
        "part": 0,
        "session_key": "u",
        "position": 1,
        "track_key": "t",
    }
    write_artifact(
        pa.Table.from_pylist([row], schema=ARTIFACTS["events"].schema),
        "events",
        tmp_path / "events",
    )
    assert read_artifact("events", tmp_path / "events").to_pylist() == [row]


def test_whole_file_appears_at_the_end_of_the_block(tmp_path):
    path = tmp_path / "deep" / "file.txt"
    with whole_file(path) as partial:
        partial.write_text("new")
        assert partial.parent == path.parent
        assert not path.exists()
    assert path.read_text() == "new"
    assert os.listdir(path.parent) == ["file.txt"]


def write_half_and_fail(path):
    with whole_file(path) as partial:
        partial.write_text("half")
        raise KeyboardInterrupt


def test_whole_file_leaves_nothing_when_the_block_fails(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        write_half_and_fail(tmp_path / "file.txt")
    assert os.listdir(tmp_path) == []


def test_whole_file_keeps_the_old_file_when_the_block_fails(tmp_path):
    (tmp_path / "file.txt").write_text("old")
    with pytest.raises(KeyboardInterrupt):
        write_half_and_fail(tmp_path / "file.txt")
    assert os.listdir(tmp_path) == ["file.txt"]
    assert (tmp_path / "file.txt").read_text() == "old"


def test_a_failed_write_keeps_the_old_artifact(tmp_path):
    path = tmp_path / "tracks.parquet"
    write_artifact(tracks(), "tracks", path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="track_id"):
        write_artifact(tracks(track_id=[1, 2, None]), "tracks", path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["tracks.parquet"]


def test_the_same_table_gives_the_same_bytes(tmp_path):
    for name in ("one", "two"):
        write_artifact(tracks(), "tracks", tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_reading_some_columns_gives_them_in_the_asked_order(tmp_path):
    write_artifact(tracks(), "tracks", tmp_path / "tracks.parquet")
    table = read_artifact("tracks", tmp_path / "tracks.parquet", ["n_plays", "track_id"])
    assert table.to_pydict() == {"n_plays": [9, 5, 1], "track_id": [1, 2, 3]}


def whole_artifact(path) -> bytes:
    write_artifact(tracks(), "tracks", path)
    return path.read_bytes()


BROKEN = {
    "missing": lambda path: None,
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("track_id,track_key\n1,a\n" * 10),
    "cut short": lambda path: path.write_bytes(whole_artifact(path)[:-10]),
    "damaged": lambda path: path.write_bytes(
        whole_artifact(path).replace(b"\x28\xb5\x2f\xfd", b"\0\0\0\0")
    ),
    "another artifact": lambda path: write_artifact(
        pa.table({"a": [1]}), Artifact(pa.schema([("a", pa.int64())]), ()), path
    ),
    "a wrong type": lambda path: pq.write_table(tracks(), path),
    "a missing column": lambda path: pq.write_table(tracks(track_key=None), path),
}


@pytest.mark.parametrize(
    "columns", [None, ["track_id", "track_key"]], ids=["all columns", "two columns"]
)
@pytest.mark.parametrize("case", BROKEN)
def test_reading_what_is_not_the_artifact_is_one_line_that_names_the_file(tmp_path, case, columns):
    path = tmp_path / "tracks.parquet"
    BROKEN[case](path)
    with pytest.raises(UserError) as error:
        read_artifact("tracks", path, columns)
    message = one_line(error)
    assert str(path) in message
    assert "run snakemake again" in message


def test_json_is_sorted_readable_and_read_back(tmp_path):
    value = {"b": [1, 2.5, None], "a": "Sigur Rós"}
    write_json(value, tmp_path / "new" / "x.json")
    text = (tmp_path / "new" / "x.json").read_text(encoding="utf-8")
    assert text == '{\n  "a": "Sigur Rós",\n  "b": [\n    1,\n    2.5,\n    null\n  ]\n}\n'
    assert read_json(tmp_path / "new" / "x.json") == value


def test_json_that_cannot_be_written_leaves_no_file(tmp_path):
    with pytest.raises(TypeError):
        write_json({"a": object()}, tmp_path / "x.json")
    assert os.listdir(tmp_path) == []
