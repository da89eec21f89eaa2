"""Logs that people have: each is read right, or refused in one line that says what to do.

The folders in ``cases`` are small files after public bug reports, each with one trap.
"""

import bz2
import csv
import glob
import gzip
import io
import json
import re
import sys
import tarfile
import warnings
import zipfile
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from examples import label_and_sample_sessions
from exports import zip_of
from skipwise.commands.cli import main
from skipwise.commands.preview import preview
from skipwise.core.artifacts import read_artifact, read_json
from skipwise.core.errors import UserError
from skipwise.core.shards import raw_files
from skipwise.raw import archives
from skipwise.raw.extract import extract_events
from skipwise.raw.guess import unit_of
from skipwise.raw.tables import read_rows
from skipwise.raw.tabular import MISSING
from skipwise.raw.times import Stopwatch

pytestmark = pytest.mark.long

CASES = Path(__file__).parent / "cases"
BY_USER = {"user": "user", "track": "track", "time": "time"}
BY_SESSION = {"session": "session", "track": "track"}
SESSIONS = {"n_sessions": None, "min_length": 1, "max_length": 20, "sampling_seed": 1}


def events_of(folder: Path, path: Path, **entry) -> pl.DataFrame:
    """The events of one file, under the tolerance of the default configuration."""
    entry = {"form": "events", **entry}
    extract_events(path, folder / "events", folder / "source", folder / "rejected", entry=entry)
    return pl.DataFrame(read_artifact("events", folder / "events"))


def refused(folder: Path, path: Path, **entry) -> str:
    """The one line with which a file is refused."""
    with pytest.raises(UserError) as error:
        events_of(folder, path, **entry)
    assert "\n" not in str(error.value)
    return str(error.value)


def sampled(
    folder: Path, patterns: list, columns: dict | None, *, session_gap=None, rule=None, **entry
) -> tuple[pl.DataFrame, dict]:
    """Session key, track and label of all sessions of some files, and stats.json."""
    shards = raw_files("mine", {"paths": [str(pattern) for pattern in patterns]}, "")
    out = {shard: folder / f"events/shard={shard}" for shard in shards}
    for shard, path in shards.items():
        out[shard].mkdir(parents=True)
        entry = {"form": "events", "columns": columns, **entry}
        extract_events(path, out[shard] / "events", out[shard] / "source", entry=entry)
    outputs = {name: str(folder / name) for name in ("sessions", "tracks", "keys", "stats")}
    label_and_sample_sessions(
        [str(at / "events") for at in out.values()],
        [str(at / "source") for at in out.values()],
        dataset="mine",
        skip_rule=rule or {"name": "given"},
        session_gap=session_gap,
        sessions=SESSIONS,
        columns=columns,
        session_ids=entry.get("session_ids"),
        **{f"out_{name}": path for name, path in outputs.items()},
    )
    plays = pl.read_parquet(outputs["sessions"])
    plays = plays.join(pl.read_parquet(outputs["keys"]), on="session_id")
    plays = plays.join(pl.read_parquet(outputs["tracks"]), on="track_id")
    return plays.sort("session_key", "piece", "position"), read_json(outputs["stats"])


@pytest.fixture
def label(capsys, monkeypatch):
    """Rows of ``skipwise label``, or the line that it ends with."""

    def call(*arguments) -> pl.DataFrame | str:
        monkeypatch.setattr(sys, "argv", ["skipwise", "label", *map(str, arguments)])
        try:
            main()
        except SystemExit as end:
            if end.code:
                (line,) = capsys.readouterr().err.splitlines()
                return line
        return pl.read_csv(io.StringIO(capsys.readouterr().out), infer_schema=False)

    return call


class TestQuotes:
    def test_a_bare_quote_in_a_column_that_nobody_asked_for_costs_no_row(self, tmp_path):
        path = CASES / "bare_quotes/plays.csv"
        found = events_of(tmp_path, path, columns=BY_USER, skipped_when="skipped")
        assert found["track_key"].to_list() == ["t1", "t2", "t3"]
        assert found["skipped"].to_list() == [False, True, False]

    def test_label_keeps_them_too(self, label):
        found = label(CASES / "bare_quotes/label.csv", "--skipped-when", "skipped")
        assert found["track"].to_list() == ["t1", "t2", "t3", "t4"]
        assert found["title"].to_list() == ['abc"', 'def"', "ghi", "jkl"]

    @pytest.mark.parametrize("cell", ['"abc', '"abc\nu,t9,1,def', '"a"" b', '"abc\nu,t9,1,"def'])
    def test_a_quote_that_does_not_close_names_its_line(self, tmp_path, cell):
        path = tmp_path / "plays.csv"
        path.write_text(f"user,track,time,title\nu,t1,100,x\nu,t2,110,{cell}\nu,t3,120,y\n")
        message = refused(tmp_path, path, columns=BY_USER)
        assert f"{path}, line 3: a quote opens and does not close" in message

    def test_quotes_may_be_ordinary_characters(self, tmp_path):
        path = tmp_path / "plays.csv"
        path.write_text('user,track,time\nu,"t1,100\n')
        found = events_of(tmp_path, path, columns=BY_USER, quote=None)
        assert found["track_key"].to_list() == ['"t1']

    @pytest.mark.parametrize("block", [32, 64, 2**24])
    def test_a_cell_over_lines_and_blocks(self, tmp_path, monkeypatch, block):
        """Lines are those of the file, whatever the cells above them hold."""
        monkeypatch.setattr(archives, "BLOCK", block)
        path = tmp_path / "plays.csv"
        rows = ['u,"t\n1",100', "u,t2,110", 'u,"t""3",x'] + [f"u,t{at},{at}" for at in range(40)]
        path.write_text("\n".join(["user,track,time", *rows]) + "\n")
        message = refused(tmp_path, path, columns=BY_USER)
        assert "line 5: the time 'x'" in message
        path.write_text("\n".join(["user,track,time", *rows[:2], *rows[3:]]) + "\n")
        tracks = events_of(tmp_path, path, columns=BY_USER)["track_key"].to_list()
        assert tracks == ["t\n1", "t2", *(f"t{at}" for at in range(40))]


def fuzzed(rng: np.random.Generator) -> str:
    """A table with quotes, separators, line ends and missing cells wherever they may come."""
    pieces = ["a", "b", '"', '""', ",", "\n", "\r\n", "", " ", "é", '"x"', "1"]
    n = int(rng.integers(1, 30))
    return "user,track,title\n" + "".join(rng.choice(pieces, n)) + "\nu,t,x\n"


@pytest.mark.parametrize("seed", range(300))
def test_no_row_of_quote_heavy_text_is_lost_in_silence(tmp_path, seed):
    """Every record that Python's csv finds is read or rejected, or the file is refused."""
    rng = np.random.default_rng(seed)
    text = fuzzed(rng)
    path = tmp_path / "plays.csv"
    path.write_bytes(text.encode())
    body = text.split("\n", 1)[1].replace("\r\n", "\n")
    read = csv.reader(io.StringIO(body, newline=""))
    records = [cells for cells in read if len(cells) > 1 or "".join(cells).strip()]
    sound = [cells for cells in records if len(cells) == 3 and cells[0] and cells[1]]
    entry = {"form": "events", "columns": {"session": "user", "track": "track"}}
    outputs = [tmp_path / name for name in ("events", "source", "rejected")]
    refusal = ""
    try:
        extract_events(path, *outputs, entry=entry, tolerance=1)
    except UserError as error:
        refusal = str(error)
    if refusal:
        assert "a quote opens and does not close" in refusal
        return
    found = pl.DataFrame(read_artifact("events", tmp_path / "events"))
    assert found.select("session_key", "track_key").rows() == [tuple(cells[:2]) for cells in sound]
    rejected = read_artifact("rejected", tmp_path / "rejected").num_rows
    assert found.height + rejected == len(records)


@pytest.mark.parametrize("separator", [",", "\t", ";", "|"])
@pytest.mark.parametrize("quoted", [False, True])
def test_a_row_of_empty_cells_is_a_wrong_row_whatever_separates_them(tmp_path, separator, quoted):
    """A line of tabs is no blank line."""
    first = '"u","t"' if quoted else "u,t"
    path = tmp_path / "plays.txt"
    path.write_text(f"session,track\n{first}\n,\n \n\nu,t2\n".replace(",", separator))
    message = refused(tmp_path, path, columns=BY_SESSION)
    assert "line 3: column 'session' is empty" in message
    assert "1 of 3 rows" in message


@pytest.mark.parametrize("quoted", [False, True])
def test_a_line_with_only_a_control_character_is_a_wrong_row(tmp_path, quoted):
    first = '"u","t"' if quoted else "u,t"
    path = tmp_path / "plays.csv"
    path.write_text(f"session,track\n{first}\n\x1f\nu,t2\n")
    message = refused(tmp_path, path, columns=BY_SESSION)
    assert "line 3: " in message
    assert "1 of 3 rows" in message


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16", "utf-16-le", "utf-8-sig"])
@pytest.mark.parametrize("quoted", [False, True])
def test_another_encoding_loses_no_row_in_silence(tmp_path, encoding, quoted):
    """Rows that are not UTF-8 are rejected with their line; UTF-16 is named."""
    first = '"u","t"' if quoted else "u,t"
    path = tmp_path / "plays.csv"
    path.write_bytes(f"session,track\n{first}\nu,Café\nu,t3\n".encode(encoding))
    if encoding == "utf-8-sig":
        found = events_of(tmp_path, path, columns=BY_SESSION)
        assert found["track_key"].to_list() == ["t", "Café", "t3"]
        return
    message = refused(tmp_path, path, columns=BY_SESSION)
    if encoding.startswith("utf-16"):
        assert "UTF-16" in message or "not delimited text" in message
    else:
        assert "line 3: not valid utf-8" in message
        assert "1 of 3 rows" in message


class TestIds:
    def test_a_number_with_decimals_is_the_number(self, tmp_path):
        plays, stats = sampled(
            tmp_path, [CASES / "float_ids/*.csv"], BY_SESSION, skipped_when="skipped"
        )
        assert stats["counts"]["tracks"] == 7
        assert set(plays["track_key"]) == {str(track) for track in range(100, 107)}

    def test_uuids_are_text(self, tmp_path):
        path = CASES / "uuid_ids/plays.parquet"
        found = events_of(tmp_path, path, columns=BY_USER, skipped_when="skipped")
        rows = duckdb.sql(f"select track::varchar from '{path}'").fetchall()
        assert [(track,) for track in found["track_key"]] == rows

    @pytest.mark.parametrize(
        ("tracks", "expected"),
        [
            (pa.array([b"ab", b"\xff\x00"]), ["ab", "ff00"]),
            (pa.array(["x", "y"]).dictionary_encode(), ["x", "y"]),
            (pa.array([100.0, 7.0]), ["100", "7"]),
            (pa.array([100, 7], pa.decimal128(10, 2)), ["100", "7"]),
            (pa.array([100, 7], pa.decimal256(50, 2)), ["100", "7"]),
            (pa.array([2**64 - 1, 7], pa.uint64()), [str(2**64 - 1), "7"]),
            (pa.array(["007", "7"]), ["007", "7"]),
            (
                pa.array([0, 1_500_000_000], pa.timestamp("ns")),
                ["1970-01-01 00:00:00", "1970-01-01 00:00:01.5"],
            ),
            (
                pa.array([0, 1500], pa.timestamp("ms")),
                ["1970-01-01 00:00:00", "1970-01-01 00:00:01.5"],
            ),
            (
                pa.array([0, 1500], pa.timestamp("us", "UTC")),
                ["1970-01-01 00:00:00+00:00", "1970-01-01 00:00:00.0015+00:00"],
            ),
            (pa.array(["[10,000 Days]", '["Heroes"]']), ["[10,000 Days]", '["Heroes"]']),
            (
                pa.ExtensionArray.from_storage(pa.json_(), pa.array(["[1998]", "7"])),
                ["[1998]", "7"],
            ),
        ],
        ids=[
            *("binary", "dictionary", "float", "decimal", "decimal256", "uint64", "text"),
            *("nanoseconds", "milliseconds", "zone", "titles", "json"),
        ],
    )
    def test_ids_in_parquet(self, tmp_path, tracks, expected):
        path = tmp_path / "plays.parquet"
        pq.write_table(pa.table({"session": ["s", "s"], "track": tracks}), path)
        assert events_of(tmp_path, path, columns=BY_SESSION)["track_key"].to_list() == expected

    @pytest.mark.parametrize(
        ("tracks", "expected"),
        [
            (pa.array([1.0, float("nan")]), "stands for a missing id"),
            (pa.array([1.0, 2.0**53]), "too large to be exact"),  # 2⁵³ + 1, too
            (pa.array([1.0, 2.0**24], pa.float32()), "too large to be exact"),
            (pa.array([1.0, 0.5]), "is not a whole number"),
            (pa.array(["a", "9007199254740994.0"]), "too large to be exact"),
            (pa.array(["a", "1.23457e+18"]), "is a rounded number"),
            (pa.array(["[1998]", '["x", "y"]']), "is a list or an object; write one row per play"),
            (pa.array(["{x}", '{"id": 5}']), "is a list or an object; write one row per play"),
            (pa.array(["[x]", '["a", [1] ]']), "is a list or an object; write one row per play"),
            (pa.array(["[x]", "[1,2,3]"]), "is a list or an object; write one row per play"),
            (pa.array(["[x]", "[1, 2]"]), "is a list or an object; write one row per play"),
            (pa.array(["a", "1.2345678E7"]), "is a rounded number"),
            (pa.array(["a", "1.2345678e7"]), "is a rounded number"),
            *((pa.array(["None at all", word]), "stands for a missing id") for word in MISSING[1:]),
        ],
    )
    def test_ids_that_are_none(self, tmp_path, tracks, expected):
        path = tmp_path / "plays.parquet"
        pq.write_table(pa.table({"session": ["s", "s"], "track": tracks}), path)
        message = refused(tmp_path, path, columns=BY_SESSION)
        assert "row 2: column 'track'" in message
        assert expected in message


class TestSessions:
    def test_sessions_are_numbered_per_user(self, tmp_path):
        columns = {**BY_USER, "session": "session"}
        plays, stats = sampled(
            tmp_path, [CASES / "session_per_user/plays.csv"], columns, skipped_when="skipped"
        )
        assert stats["counts"]["sessions_formed"] == 10
        assert plays.group_by("session_key").len()["len"].to_list() == [8] * 10
        assert set(plays["cluster_key"]) == {f"u{user}" for user in range(5)}

    def test_the_user_is_found_in_any_key(self, tmp_path):
        path = tmp_path / "plays.csv"
        path.write_text("user,session,track,skipped\nu,a@b,x,1\nu@a,b,x,1\nu,100%,x,1\nu,1,x,1\n")
        columns = {"user": "user", **BY_SESSION}
        plays, _ = sampled(tmp_path, [path], columns, skipped_when="skipped")
        assert plays["session_key"].n_unique() == 4
        assert sorted(plays["cluster_key"]) == ["u", "u", "u", "u@a"]

    def test_a_session_over_files_without_times_is_refused(self, tmp_path):
        with pytest.raises(UserError, match="2020-01 and 2020-02 have plays of 's0'.*per_file"):
            sampled(
                tmp_path, [CASES / "session_over_files/*.csv"], BY_SESSION, skipped_when="skipped"
            )

    @pytest.mark.parametrize(
        ("session_ids", "lengths"), [("per_file", [2, 2]), ("global", [4]), (None, None)]
    )
    def test_numbers_that_restart_per_file_are_a_choice(self, tmp_path, session_ids, lengths):
        for month in (1, 2):
            rows = [f"1,t{at},2020-0{month}-01T10:0{at}:00,1" for at in range(2)]
            text = "\n".join(["session,track,time,skipped", *rows])
            (tmp_path / f"{month}.csv").write_text(text)
        given = {"session_ids": session_ids} if session_ids else {}
        arguments = [tmp_path, [tmp_path / "*.csv"], {**BY_SESSION, "time": "time"}]
        if lengths is None:
            with pytest.raises(UserError, match="session_ids to per_file.*to global"):
                sampled(*arguments, skipped_when="skipped", **given)
            return
        plays, _ = sampled(*arguments, skipped_when="skipped", **given)
        assert plays.group_by("session_key").len()["len"].to_list() == lengths

    def test_the_same_plays_under_two_names_are_refused(self, tmp_path):
        with pytest.raises(UserError, match="plays and plays_copy have the same play, track 't"):
            sampled(
                tmp_path, [CASES / "file_twice/*.csv"], BY_USER, session_gap=1200,
                skipped_when="skipped",
            )  # fmt: skip

    def test_one_file_under_two_names_is_refused_in_every_form(self, tmp_path):
        """Times of Last.fm would make it a batch, which is dropped."""
        (tmp_path / "raw").mkdir()
        for name in ("a.tsv", "b.tsv"):
            rows = [f"u\tt{at}\t2019-01-21 11:0{at}:00\n" for at in range(8)]
            (tmp_path / "raw" / name).write_text("user_id\ttrack_id\ttimestamp\n" + "".join(rows))
        with pytest.raises(
            UserError, match=r"b.tsv \(shard=b\) and a.tsv \(shard=a\) are the same"
        ):
            sampled(
                tmp_path, [tmp_path / "raw/*.tsv"], None, form="lfm2b", session_gap=1200,
                rule={"name": "gap_below", "seconds": 90},
            )  # fmt: skip

    def test_copies_in_two_folders_are_refused(self, tmp_path):
        """Each numbers its own sessions, so no play is there twice.  Files of two users may be."""
        for folder, plays in (("train", "1,a,1\n"), ("old", "1,a,1\n")):
            (tmp_path / "raw" / folder).mkdir(parents=True)
            (tmp_path / "raw" / folder / "week.csv").write_text(f"session,track,skipped\n{plays}")
        given = {"session_ids": "per_file", "skipped_when": "skipped"}
        said = r"week.csv \(shard=train-week\) and week.csv \(shard=old-week\) are the same"
        with pytest.raises(UserError, match=said):
            sampled(tmp_path / "both", [tmp_path / "raw/**/week.csv"], BY_SESSION, **given)
        (tmp_path / "raw/old").rename(tmp_path / "raw/user=v")
        (tmp_path / "raw/train").rename(tmp_path / "raw/user=u")
        # A folder that names no column that is read makes no other file of a copy.
        with pytest.raises(UserError, match="are the same file"):
            sampled(tmp_path / "unread", [tmp_path / "raw/**/week.csv"], BY_SESSION, **given)
        by_label = given | {"skipped_when": "user == v"}  # a rule reads the folder
        assert sampled(
            tmp_path / "rule", [tmp_path / "raw/user=*/week.csv"], BY_SESSION, **by_label
        )[0].height
        columns = {"user": "user", **BY_SESSION}
        plays, _ = sampled(
            tmp_path / "of_users", [tmp_path / "raw/user=*/week.csv"], columns, **given
        )
        assert sorted(plays["cluster_key"]) == ["u", "v"]

    def test_plays_at_one_time_are_in_the_order_of_their_files(self, tmp_path):
        first = "user,track,time,skipped\n" + "".join(
            f"u,x{at},2020-01-01T09:5{at},0\n" for at in range(5)
        )
        (tmp_path / "m1.csv").write_text(first + "u,a,2020-01-01T10:05,0\nu,b,2020-01-01T10:05,1\n")
        (tmp_path / "m2.csv").write_text(
            "user,track,time,skipped\nu,c,2020-01-01T10:05,0\nu,d,2020-01-01T10:05,1\n"
        )
        plays, _ = sampled(
            tmp_path, [tmp_path / "m*.csv"], BY_USER, session_gap=1200, skipped_when="skipped"
        )
        assert plays["track_key"].to_list() == [*(f"x{at}" for at in range(5)), *"abcd"]

    def test_files_that_are_newest_first_are_ordered_as_one_would_be(self, tmp_path):
        """Pages of an export, the newest first: a b, then c d, are the plays d c b a."""
        rows = [f"u,{track},2020-01-01T10:05,1\n" for track in "abcd"]
        rows += [f"u,x{at},2020-01-01T09:5{at},0\n" for at in range(9, -1, -1)]
        header = "user,track,time,skipped\n"
        newer = [f"u,y{at},2020-01-01T10:1{at},0\n" for at in range(9, -1, -1)]
        (tmp_path / "all.csv").write_text(header + "".join(newer + rows))
        (tmp_path / "p2.csv").write_text(header + "".join(newer + rows[:2]))
        (tmp_path / "p10.csv").write_text(header + "".join(rows[2:]))
        orders = []
        for number, pattern in enumerate(("all.csv", "p*.csv")):
            given = {"session_gap": 1200, "skipped_when": "skipped"}
            plays, _ = sampled(tmp_path / str(number), [tmp_path / pattern], BY_USER, **given)
            orders.append(plays["track_key"].to_list())
        assert orders[0][10:14] == ["d", "c", "b", "a"]
        assert orders[1] == orders[0]

    @pytest.mark.parametrize("kind", ["zip", "tar"])
    def test_a_member_that_is_there_twice_is_refused(self, tmp_path, label, kind):
        """As zip and tar leave the older one when a file is added again."""
        path = tmp_path / f"log.{kind}"
        texts = [f"user,track,time,skipped\nu,{track},2020-01-01T10:00,1\n" for track in "ab"]
        for text in texts:
            if kind == "zip":
                with zipfile.ZipFile(path, "a") as archive, warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    archive.writestr("p.csv", text)
            else:
                with tarfile.open(path, "a") as archive:
                    member = tarfile.TarInfo("p.csv")
                    member.size = len(text)
                    archive.addfile(member, io.BytesIO(text.encode()))
        said = label(path, "--user", "user", "--time", "time", "--skipped-when", "skipped")
        assert f"log.{kind} holds p.csv twice; pack it anew, with one of them" in said

    @pytest.mark.parametrize(
        ("session_ids", "lengths"), [("per_file", [2, 2, 2]), ("global", [6]), (None, None)]
    )
    def test_members_of_an_archive_are_files(self, tmp_path, session_ids, lengths):
        path, members = tmp_path / "logs.zip", {}
        for month in (1, 2, 3):
            rows = [f"1,t{at},2020-0{month}-01T10:0{at}:00,1" for at in range(2)]
            members[f"{month}.csv"] = "\n".join(["session,track,time,skipped", *rows]).encode()
        path.write_bytes(zip_of(members))
        arguments = [tmp_path, [path], {**BY_SESSION, "time": "time"}]
        if lengths is None:
            with pytest.raises(UserError, match=r"logs.zip, 1.csv and .*logs.zip, 3.csv have play"):
                sampled(*arguments, skipped_when="skipped")
            return
        plays, _ = sampled(*arguments, skipped_when="skipped", session_ids=session_ids)
        assert plays.group_by("session_key").len()["len"].to_list() == lengths
        assert plays["session_key"][0] == ("1" if session_ids == "global" else f"1 of {path}")

    def test_the_same_plays_in_two_members_are_refused(self, tmp_path):
        path, table = tmp_path / "logs.tar.gz", (CASES / "file_twice/plays.csv").read_bytes()
        with tarfile.open(path, "w:gz") as archive:
            for name in ("plays.csv", "copy.csv"):
                member = tarfile.TarInfo(name)
                member.size = len(table)
                archive.addfile(member, io.BytesIO(table))
        with pytest.raises(UserError, match=r"gz, copy.csv and .*gz, plays.csv have the same play"):
            sampled(tmp_path, [path], BY_USER, session_gap=1200, skipped_when="skipped")

    def test_a_pattern_goes_down_folders(self, tmp_path):
        pattern = CASES / "glob_recursive/plays/**/*.csv"
        plays, stats = sampled(tmp_path, [pattern], BY_SESSION, skipped_when="skipped")
        assert stats["counts"]["sessions_formed"] == 7
        assert plays.height == 56


@pytest.mark.parametrize(
    ("milliseconds", "right"),
    [
        ([200, 200, 20, 200], 0),  # seconds
        ([500], 1),  # of one play nobody can tell
        ([300] * 95 + [180_000] * 5, 100),  # most are skipped at once
        ([0, 0, 180_000, 200_000], 4),
    ],
)
def test_the_unit_of_durations_is_told_of_enough_of_them(milliseconds, right):
    found, reasons = Stopwatch("ms", "duration").read(pl.Series(milliseconds))
    assert found.count() == right
    assert reasons.count() == len(milliseconds) - right


class TestTimes:
    @pytest.mark.parametrize(
        ("times", "unit", "expected"),
        [
            (["1588334400"], "ms", "one in seconds, set time_unit: s"),
            (["1588334400000"], "s", "one in milliseconds, set time_unit: ms"),
            (["1588334400000000"], "s", "one in microseconds, set time_unit: us"),
            (["20200101", "20200102"], "s", "a date written as a number"),
            (["43831.5"], "s", "a day of a spreadsheet"),
            (["1969-12-31"], "s", "is not between 1990 and 2100"),
            (["9999-12-31T00:00:00"], "s", "is not between 1990 and 2100"),
            (["-86400"], "s", "is not between 1990 and 2100"),
            (["1588334400", "1000"], "s", "is not between 1990 and 2100"),
            (["26472240", "26472244"], "s", "one in minutes, write it as ISO text"),
            (["2019", "2020"], "s", "a year, write it as ISO text"),
            (["202001", "202002"], "s", "a month, write it as ISO text"),
            (["2458970.5"], "s", "a Julian day, write it as ISO text"),
            (["202001011000"], "ms", "a date and time written as a number"),
            (["20200101100000"], "us", "a date and time written as a number"),
        ],
    )
    @pytest.mark.parametrize("suffix", ["csv", "parquet", "ndjson"])
    def test_times_that_cannot_be(self, tmp_path, times, unit, expected, suffix):
        path = tmp_path / f"plays.{suffix}"
        frame = pl.DataFrame({"user": "u", "track": "t", "time": times})
        getattr(frame, f"write_{suffix}")(path)
        message = refused(tmp_path, path, columns=BY_USER, time_unit=unit)
        assert f"'{times[-1] if len(times) == 2 and '1000' in times else times[0]}'" in message
        assert expected in message

    def test_dates_of_parquet_are_held_to_the_same(self, tmp_path):
        path = tmp_path / "plays.parquet"
        duckdb.sql(
            "copy (select 'u' as user, 't' as track, timestamptz '1969-12-31 23:00:00+00' as time) "
            f"to '{path}'"
        )
        assert "row 1: the time '1969-12-31" in refused(tmp_path, path, columns=BY_USER)

    def test_seconds_read_as_milliseconds(self, tmp_path):
        path = CASES / "seconds_as_ms/plays.csv"
        assert "line 2" in refused(tmp_path, path, columns=BY_USER, time_unit="ms")

    def test_a_clock_may_start_nowhere(self, tmp_path):
        path = tmp_path / "plays.csv"
        path.write_text("user,track,time\n" + "".join(f"u,t,{at}\n" for at in range(0, 60000, 500)))
        assert events_of(tmp_path, path, columns=BY_USER).height == 120

    @pytest.mark.parametrize("first", [7200, 90_000, 604_800, 5_000_000])
    def test_such_a_clock_may_have_run_for_days(self, tmp_path, first):
        """Of a log in daily files only one begins near 0."""
        path = tmp_path / "plays.csv"
        path.write_text(f"user,track,time\nu,t,{first}\nu,t,{first + 200}\n")
        assert events_of(tmp_path, path, columns=BY_USER).height == 2
        assert unit_of(pl.Series([first, first + 200])) == "s"

    @pytest.mark.parametrize(
        "times",
        [
            (" 2020-01-01T10:00:00", "2020-01-01T10:01:00 ", "2020-01-02T10:00:00"),
            ("2020-01-01T10:00:00Z", "2020-01-01 10:01:00", " 2020-01-02T12:00:00+02:00"),
            (" 1577872800", "1577872860 ", "1577959200"),
        ],
    )
    def test_spaces_and_zones_in_some_cells_change_no_time(self, tmp_path, times):
        path = tmp_path / "plays.csv"
        path.write_text("user,track,time\n" + "".join(f"u,t,{time}\n" for time in times))
        found = events_of(tmp_path, path, columns=BY_USER)
        assert [str(at) for at in found["started_at"]] == [
            "2020-01-01 10:00:00",
            "2020-01-01 10:01:00",
            "2020-01-02 10:00:00",
        ]

    def test_a_first_time_that_is_missing_says_nothing_of_the_others(self, tmp_path):
        path = tmp_path / "plays.csv"
        path.write_text("user,track,time\nu,a,NaN\nu,b,2020-01-01T10:00:00\nu,c,1588334400\n")
        message = refused(tmp_path, path, columns=BY_USER)
        assert "line 2: the time 'NaN' is not ISO text" in message
        assert "2 of 3 rows" in message

    def test_times_in_32_bits_are_rounded(self, tmp_path):
        path = tmp_path / "plays.parquet"
        times = pa.array([1588334400.0, 1588334430.0], pa.float32())
        pq.write_table(pa.table({"user": ["u"] * 2, "track": ["t"] * 2, "time": times}), path)
        assert "is a rounded number" in refused(tmp_path, path, columns=BY_USER)

    @pytest.mark.parametrize(
        ("unit", "times", "wrong"),
        [
            (
                "ms",
                ("1.60946E+12", "1.60946E+12", "1609459200000"),
                "line 2: the time '1.60946E",
            ),
            ("s", ("1609459200", "1.6094e+09", "1.6094e+09"), "line 3: the time '1.6094e+09' is a"),
            ("s", ("1.609459200000000000e+09", "1609459200.0"), None),
            ("s", ("1.6094592E9", "1.6094592E9"), None),  # as Java writes it, exact
            ("ms", ("1.6094592e+12", "1609459200000", "1609459200000"), None),  # as R does
            ("s", ("1.6e+99999999999999999999", "1609459200"), "line 2: the time '1.6e+9999"),
        ],
    )
    def test_times_that_a_spreadsheet_rounded(self, tmp_path, unit, times, wrong):
        path = tmp_path / "plays.csv"
        path.write_text("user,track,time\n" + "".join(f"u,t,{time}\n" for time in times))
        entry = {"columns": BY_USER, "time_unit": unit}
        if wrong:
            assert wrong in refused(tmp_path, path, **entry)
        else:
            found = events_of(tmp_path, path, **entry)
            assert {str(at) for at in found["started_at"]} == {"2021-01-01 00:00:00"}

    @pytest.mark.parametrize("newest_first", [False, True])
    def test_plays_at_one_time_are_in_the_order_of_the_file(self, tmp_path, newest_first):
        """Two users, whose rows are mixed; a play of b lies at the edge of two blocks of rows."""
        rows = [f"{user},{track},2021-01-01T10:{at:02}:00,1" for at, user, track in [
            (0, "a", "1"), (1, "b", "1"), (3, "a", "2"), (3, "a", "3"), (3, "b", "2"),
            (3, "b", "3"), (5, "a", "4"), (6, "b", "4"),
        ]]  # fmt: skip
        path = tmp_path / "plays.csv"
        rows = rows[::-1] if newest_first else rows
        path.write_text("\n".join(["user,track,time,skipped", *rows]))
        plays, _ = sampled(tmp_path, [path], BY_USER, session_gap=1200, skipped_when="skipped")
        assert plays["track_key"].to_list() == list("12341234")

    def test_quick_skips_end_in_the_order_of_the_file(self, tmp_path):
        """Ends are cut to seconds: what is derived of them may be early by less than one."""
        ends = [("05", 200), ("05", 500), ("06", 1850), ("06", 0), ("59", 50_000)]
        for name, rows in (("up", ends), ("down", ends[::-1])):
            path, tracks = tmp_path / f"{name}.csv", "abcde" if name == "up" else "edcba"
            lines = [
                f"u,{track},2021-01-01T10:00:{end},{ms},1"
                for track, (end, ms) in zip(tracks, rows, strict=True)
            ]
            path.write_text("\n".join(["user,track,end,ms,skipped", *lines]))
            columns = {"user": "user", "track": "track", "time": "end", "duration": "ms"}
            out = tmp_path / name
            plays, _ = sampled(
                out, [path], columns, session_gap=1200,
                skipped_when="skipped", time_is="end", duration_unit="ms",
            )  # fmt: skip
            assert plays["track_key"].to_list() == list("abcde")

    def test_each_table_of_an_archive_has_its_own_order(self, tmp_path):
        """And two plays of one that are out of order say little."""
        down = [(at, f"t{99 - at}") for at in range(20, 0, -1)]
        tables = {
            "a.csv": [(2, "x"), (1, "y")],
            "b.csv": [(at // 2, f"s{at:02}") for at in range(2, 42)],
            "c.csv": [*down, (0, "t100"), (0, "t099")],
        }
        rows = {
            name: "".join(f"{name[0]},{t},{1_600_000_000 + 60 * at},1\n" for at, t in its)
            for name, its in tables.items()
        }
        members = {name: f"user,track,time,skipped\n{text}".encode() for name, text in rows.items()}
        path = tmp_path / "logs.zip"
        path.write_bytes(zip_of(members))
        plays, _ = sampled(tmp_path, [path], BY_USER, session_gap=1200, skipped_when="skipped")
        assert plays["track_key"].to_list() == [
            *("y", "x"),
            *(f"s{at:02}" for at in range(2, 42)),
            *("t099", "t100"),
            *(f"t{99 - at}" for at in range(1, 21)),
        ]

    def test_quick_plays_are_no_batch_where_ends_are_logged(self, tmp_path):
        path = tmp_path / "plays.csv"
        rows = [f"u,t{at},{1_600_000_000 + 400 * at},199000" for at in range(4)]
        rows[1:1] = ["u,a,1600000002,900", "u,b,1600000002,1400"]
        path.write_text("\n".join(["user,track,end,ms", *rows]))
        columns = {"user": "user", "track": "track", "time": "end", "duration": "ms"}
        rule = {"name": "gap_below", "seconds": 30}
        plays, _ = sampled(
            tmp_path, [path], columns, session_gap=1200, rule=rule, skip_rule=rule,
            time_is="end", duration_unit="ms",
        )  # fmt: skip
        assert plays.height == 6

    def test_a_play_that_began_long_before_another_one_ended_stays_there(self, tmp_path):
        path = tmp_path / "plays.csv"
        path.write_text(
            "user,track,end,s\nu,a,2021-01-01T10:05:00,60\nu,b,2021-01-01T10:06:00,600\n"
        )
        columns = {"user": "user", "track": "track", "time": "end", "duration": "s"}
        found = events_of(tmp_path, path, columns=columns, time_is="end")
        starts = ["2021-01-01 10:04:00", "2021-01-01 09:56:00"]
        assert [str(at) for at in found["started_at"]] == starts

    def test_categories_of_text(self, tmp_path):
        path = CASES / "categorical_time/plays.parquet"
        found = events_of(tmp_path, path, columns=BY_USER, skipped_when="skipped")
        assert [str(at) for at in found["started_at"]] == [
            "2020-01-01 10:00:00",
            "2020-01-01 10:01:00",
            "2020-01-02 10:00:00",
        ]

    def test_ends_and_durations_give_starts(self, tmp_path, label):
        ends = pl.read_csv(CASES / "end_times/end.csv")
        lasted = [200_000, 200_000, 20_000, 200_000, 200_000, 200_000]
        ends.with_columns(ms=pl.Series(lasted)).write_csv(tmp_path / "end.csv")
        rule = ("--rule", "gap_below", "--seconds", 30)
        starts = label(CASES / "end_times/start.csv", *rule)
        options = ("--time-is", "end", "--duration", "ms", "--duration-unit", "ms")
        found = label(tmp_path / "end.csv", *rule, *options)
        assert found["skipped"].to_list() == starts["skipped"].to_list()
        assert found.filter(pl.col("skipped") == "true")["track"].to_list() == ["C"]
        assert "duration" in label(tmp_path / "end.csv", *rule, "--time-is", "end")
        assert "duration_unit: ms" in label(tmp_path / "end.csv", *rule, *options[:4])
        ends.with_columns(ms=pl.Series(lasted) // 1000).write_csv(tmp_path / "end.csv")
        assert "set duration_unit: s" in label(tmp_path / "end.csv", *rule, *options)

    @pytest.mark.parametrize("time", ["time '10:00:00'", "interval 3 hours"])
    def test_a_time_of_day_is_none(self, tmp_path, time):
        path = tmp_path / "plays.parquet"
        duckdb.sql(f"copy (select 'u' as user, 't' as track, {time} as time) to '{path}'")
        refused(tmp_path, path, columns=BY_USER)


class TestLabels:
    def test_nan_is_no_value(self, tmp_path):
        path = CASES / "nan_rule/plays.parquet"
        for rule in ("left > 0.5", "left < 0.1"):
            found = events_of(tmp_path, path, columns=BY_USER, skipped_when=rule)
            assert found["skipped"].to_list() == [None, False, None]

    @pytest.mark.parametrize("spelling", [("yes", "no"), ("T", "F"), ("Y", "n"), ("1.0", "0.0")])
    def test_spellings_of_a_boolean(self, tmp_path, spelling):
        path = tmp_path / "plays.csv"
        cells = [*spelling, "", "NaN"]
        path.write_text("session,track,skip\n" + "".join(f"s,t,{cell}\n" for cell in cells))
        found = events_of(tmp_path, path, columns=BY_SESSION, skipped_when="skip")
        assert found["skipped"].to_list() == [True, False, None, None]

    @pytest.mark.parametrize("rule", ["end == fwdbtn", "end != trackdone"])
    def test_a_rule_on_text(self, tmp_path, rule):
        path = tmp_path / "plays.csv"
        cells = ("fwdbtn", "fwdbtn ", "trackdone", "", "NaN", "None", "NULL", "null", "\\N", "<NA>")
        path.write_text("session,track,end\n" + "".join(f"s,t,{cell}\n" for cell in cells))
        found = events_of(tmp_path, path, columns=BY_SESSION, skipped_when=rule)
        assert found["skipped"].to_list() == [True, True, False, *[None] * 7]

    @pytest.mark.parametrize("suffix", ["csv", "parquet"])
    @pytest.mark.parametrize("rule", ["skip == true", "skip != False"])
    def test_a_rule_that_compares_with_true_reads_a_boolean(self, tmp_path, suffix, rule):
        path = tmp_path / f"plays.{suffix}"
        frame = pl.DataFrame({"session": "s", "track": "t", "skip": [1, 0, None]})
        getattr(frame, f"write_{suffix}")(path)
        found = events_of(tmp_path, path, columns=BY_SESSION, skipped_when=rule)
        assert found["skipped"].to_list() == [True, False, None]

    @pytest.mark.parametrize(
        ("kind", "second"),
        [(pl.Duration("ms"), 10**3), (pl.Duration("ns"), 10**9), (pl.Time, 10**9)],
    )
    def test_a_rule_on_durations_compares_seconds(self, tmp_path, label, kind, second):
        path = tmp_path / "plays.parquet"
        played = pl.Series([10 * second, 40 * second, None]).cast(kind)
        pl.DataFrame({"session": "s", "track": "t", "played": played}).write_parquet(path)
        found = events_of(tmp_path, path, columns=BY_SESSION, skipped_when="played < 30")
        assert found["skipped"].to_list() == [True, False, None]
        assert label(path, "--session", "session", "--skipped-when", "played < 30").height == 3
        assert "played < 30" in preview([path])

    def test_a_rule_on_dates_is_refused(self, tmp_path):
        path = tmp_path / "plays.parquet"
        at = pa.array([10, 40], pa.timestamp("ms"))
        pq.write_table(pa.table({"session": ["s"] * 2, "track": ["t"] * 2, "at": at}), path)
        message = refused(tmp_path, path, columns=BY_SESSION, skipped_when="at < 30")
        assert "column 'at' holds '1970-01-01 00:00:00.010', which is not a number" in message

    @pytest.mark.parametrize("rule", ["end == fwdbtn", "end != trackdone"])
    def test_a_rule_on_categories(self, tmp_path, rule):
        path = tmp_path / "plays.parquet"
        ends = pa.array(["fwdbtn", "trackdone", None]).dictionary_encode()
        pq.write_table(pa.table({"session": ["s"] * 3, "track": ["t"] * 3, "end": ends}), path)
        found = events_of(tmp_path, path, columns=BY_SESSION, skipped_when=rule)
        assert found["skipped"].to_list() == [True, False, None]

    def test_a_short_row_is_a_wrong_row_and_a_blank_one_is_none(self, tmp_path):
        path = tmp_path / "plays.csv"
        path.write_text("session,track,skip\ns,t,1\n\ns,t\n")
        message = refused(tmp_path, path, columns=BY_SESSION, skipped_when="skip")
        assert "line 4: 2 fields where 3 are expected" in message
        assert "1 of 2 rows" in message

    def test_of_yambda_only_listens_are_plays(self, tmp_path):
        entry = {"form": "yambda", "skipped_when": "played_ratio_pct < 50"}
        path = CASES / "yambda_multi_event/multi_event.parquet"
        found = events_of(tmp_path, path, **entry)
        assert found.height == 6
        assert found["skipped"].sum() == 2
        assert read_json(tmp_path / "source")["left_out"] == {"not a listen": 2}

    @pytest.mark.parametrize("event", ["LISTEN", "0"])
    def test_an_event_that_yambda_does_not_have_is_named(self, tmp_path, event):
        frame = pl.read_parquet(CASES / "yambda_multi_event/multi_event.parquet")
        path = tmp_path / "multi_event.parquet"
        frame.with_columns(event_type=pl.lit(event)).write_parquet(path)
        message = refused(tmp_path, path, form="yambda", skipped_when="played_ratio_pct < 50")
        assert f"column 'event_type' holds '{event}', which is none of listen" in message


class TestLabelCommand:
    def test_tables_of_an_archive_with_columns_in_another_order(self, label, tmp_path):
        path = tmp_path / "logs.zip"
        members = {
            "1.csv": b"session,track,skip\ns,a,1\n",
            "2.csv": b"skip,more,track,session\n0,x,b,r\n",
        }
        path.write_bytes(zip_of(members))
        found = label(path, "--session", "session", "--skipped-when", "skip")
        assert found.select("session", "track", "more", "skipped").rows() == [
            ("r", "b", "x", "false"),
            ("s", "a", None, "true"),
        ]

    def test_batches_are_left_out_before_lengths_are_derived(self, label, tmp_path):
        path = CASES / "label_batch/plays.csv"
        rule = {"name": "length_margin", "margin": 30, "min_support": 3, "default_length": 180}
        found = label(path)
        assert found.filter(pl.col("skipped") == "true").select("track", "position").rows() == [
            ("A", "5")
        ]
        plays, _ = sampled(tmp_path, [path], BY_USER, session_gap=1200, rule=rule)
        assert plays.filter("skipped").select("track_key", "position").rows() == [("A", 5)]

    def test_the_length_in_the_log_decides_where_there_is_one(self, label, tmp_path):
        """Starts are 100 s apart; an empty cell, NaN, zero and less are no length."""
        path = tmp_path / "log.csv"
        rows = [f"u,{track},{100 * at},{length}" for at, (track, length) in enumerate(
            [("a", 90), ("b", 240), ("c", ""), ("d", "NaN"), ("e", 0), ("f", -1), ("g", 1)]
        )]  # fmt: skip
        path.write_text("\n".join(["user,track,time,seconds", *rows]))
        found = label(path, "--rule", "known_length", "--length", "seconds", "--margin", 0)
        assert found["skipped"].to_list() == ["false", *["true"] * 5, None]
        found = label(path, "--rule", "known_length")
        assert found["skipped"].to_list() == ["true"] * 6 + [None]

    @pytest.mark.parametrize(
        ("length", "options", "expected"),
        [
            ("10:00", (), "the length '10:00' is not between 0 and 24 hours in seconds"),
            ('"600,0"', (), "the length '600,0' is not"),
            ("600000", (), "set duration_unit: ms"),
            ("600", ("--duration-unit", "ms"), "less than a second.*set duration_unit: s"),
            (" 300", (), None),
        ],
    )
    def test_a_length_that_cannot_be_is_a_wrong_row(
        self, label, tmp_path, length, options, expected
    ):
        path = tmp_path / "log.csv"
        rows = [f"u,t{at},{1588334400 + 200 * at},{length}" for at in range(3)]
        path.write_text("\n".join(["user,track,time,length", *rows]))
        found = label(path, "--rule", "known_length", "--length", "length", *options)
        if expected:
            assert re.search(f"log.csv, line 2: .*{expected}", found)
        else:
            assert found["skipped"].to_list() == ["true", "true", None]

    def test_sessions_of_any_length(self, label, tmp_path):
        rows = [f"u,t{at % 50},{int(at % 7 == 0)}" for at in range(2**15 + 2)]
        (tmp_path / "long.csv").write_text("\n".join(["user,track,skipped", *rows]))
        found = label(tmp_path / "long.csv", "--session", "user", "--skipped-when", "skipped")
        assert found["position"].to_list() == [str(at) for at in range(1, 2**15 + 3)]


TABLE = [("u", "t1", "2020-01-01T10:00:00"), ("u", "t2", "2020-01-01T10:03:00")]


def text_of(separator: str) -> bytes:
    rows = [("user", "track", "time"), *TABLE]
    return "".join(separator.join(row) + "\n" for row in rows).encode()


def objects(lines: bool) -> bytes:
    rows = [dict(zip(("user", "track", "time"), row, strict=True)) for row in TABLE]
    if lines:
        return "".join(json.dumps(row) + "\n" for row in rows).encode()
    return json.dumps(rows, indent=1).encode()


def packed(content: bytes) -> bytes:
    return pa.Codec("zstd").compress(content, asbytes=True)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("plays.csv", text_of(",")),
        ("plays.csv", text_of(";")),
        ("plays.txt", text_of("|")),
        ("plays.txt", text_of("\t")),
        ("plays.TSV", text_of("\t")),
        ("plays.csv", b"\xef\xbb\xbf" + text_of(";").replace(b"\n", b"\r\n")),
        ("plays.csv", b'"user","track","time"\n' + text_of(",").split(b"\n", 1)[1]),
        ("plays.csv.gz", gzip.compress(text_of(","))),
        ("PLAYS.CSV.GZ", gzip.compress(text_of(","))),
        ("plays.tsv.bz2", bz2.compress(text_of("\t"))),
        ("plays.csv.zst", packed(text_of(","))),
        ("plays.zip", zip_of({"a/plays.csv": text_of(","), "__MACOSX/._plays.csv": b"x"})),
        ("plays.ndjson", objects(lines=True)),
        ("plays.jsonl.gz", gzip.compress(objects(lines=True))),
        ("plays.json", objects(lines=True)),
        ("plays.json", objects(lines=False)),
        ("plays.json.gz", gzip.compress(objects(lines=False))),
    ],
    ids=lambda given: given if isinstance(given, str) else "",  # bytes have the time of packing
)
def test_every_kind_of_table(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    found = events_of(tmp_path, path, columns=BY_USER)
    rows = found.select("session_key", "track_key", "started_at").rows()
    assert [(user, track, at.isoformat()) for user, track, at in rows] == TABLE


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("plays.csv", text_of(",").decode().encode("utf-16"), "is UTF-16"),
        ("plays.csv", text_of(",") + b"u,caf\xe9,2020-01-01\n", "line 4: not valid utf-8"),
        ("plays.csv", text_of(",") + b'u,"caf\xe9",2020-01-01\n', "line 4: not valid utf-8"),
        ("plays.csv", text_of(",").replace(b"\n", b"\r"), "carriage return"),
        ("plays.csv.gz", text_of(","), "damaged"),
        ("plays.csv.bz2", text_of(","), "damaged"),
        ("plays.csv.zst", text_of(","), "damaged"),
        ("plays.csv.zst", packed(text_of(",") * 999)[:-9], "damaged"),
        ("plays.zip", text_of(","), "damaged"),
        ("plays.zip", zip_of({"a.csv": b"", "b.json": b""}), "one kind"),
        ("plays.ndjson", objects(lines=True) + b"{oops\n", "line 3: not a json object"),
        ("plays.ndjson", objects(lines=True) + b'{"user": "\xe9"}\n', "line 3: not a json object"),
        ("plays.ndjson", b'{"user": "u"}\n', "no column 'track'"),
        ("plays.ndjson", b"\n" + objects(lines=False)[1:], "line 3: not a json object"),
        ("plays.ndjson", b'["u", "t", 1]\n["u", "t", 2]\n', "line 1: not a json object"),
        ("plays.json", b'[["u", "t", 1]]', "line 1: not a json object"),
        ("plays.json", objects(lines=False)[:-9], "not a readable json"),
    ],
)  # fmt: skip
def test_tables_that_are_something_else(tmp_path, name, content, expected):
    path = tmp_path / name
    path.write_bytes(content)
    message = refused(tmp_path, path, columns=BY_USER)
    assert expected in message
    assert str(path) in message


@pytest.mark.parametrize("suffix", ["csv", "parquet", "ndjson"])
def test_a_column_may_have_any_name(tmp_path, label, suffix):
    path = tmp_path / f"plays.{suffix}"
    frame = pl.DataFrame({"line": ["s", "s"], "a \"b' ~/c": ["x", "y"], "text": ["1", "0"]})
    getattr(frame, f"write_{suffix}")(path)
    columns = {"session": "line", "track": "a \"b' ~/c"}
    found = events_of(tmp_path, path, columns=columns, skipped_when="text")
    assert found["track_key"].to_list() == ["x", "y"]
    assert found["session_key"].to_list() == ["s", "s"]
    options = ("--session", "line", "--track", columns["track"], "--skipped-when", "text")
    assert label(path, *options)["line"].to_list() == ["s", "s"]


@pytest.mark.parametrize(
    "header",
    ['"user","long\nname","track","time","skipped"', 'user,track,time,skipped,"long\nname"'],
)
def test_a_line_break_in_the_header_is_named(tmp_path, header):
    path = tmp_path / "plays.csv"
    path.write_text(f"{header}\nu,x,a,2020-01-01,1\n")
    said = refused(tmp_path, path, columns=BY_USER, skipped_when="skipped")
    assert "plays.csv: a quote of its first line does not end there" in said


def test_an_inch_sign_in_the_header_is_no_line_break(tmp_path):
    path = tmp_path / "plays.csv"
    path.write_text('usr,track,time,skipped,12"\nu,a,2020-01-01,1,x\n')
    said = refused(tmp_path, path, columns=BY_USER, skipped_when="skipped")
    assert "no column 'user'" in said
    assert "12" in said


def test_preview_says_why_no_row_can_be_read(tmp_path):
    path = tmp_path / "plays.csv"
    path.write_bytes("user,track,time,skipped\nu,é,2020-01-01,1\n".encode("latin-1"))
    with pytest.raises(UserError, match=r"no row that can be read \(line 2: not valid utf-8"):
        preview([path])


@pytest.mark.parametrize("column", ["user", "track", "time", "skipped"])
def test_lists_are_no_cells(tmp_path, label, column):
    path = tmp_path / "plays.parquet"
    row = {"user": "u", "track": "t", "time": 100, "skipped": True} | {column: [1]}
    pl.DataFrame([row]).write_parquet(path)
    message = refused(tmp_path, path, columns=BY_USER, skipped_when="skipped")
    assert f"column '{column}' holds" in message
    assert f"column '{column}' holds" in label(path, "--skipped-when", "skipped")


def test_null_values_and_a_given_separator(tmp_path):
    path = tmp_path / "plays.csv"
    path.write_text("session#track#skip\ns#t,1#NA\ns#t2#-\ns#t2#1\n")
    entry = {"separator": "#", "null_values": ["NA", "-"], "skipped_when": "skip"}
    found = events_of(tmp_path, path, columns=BY_SESSION, **entry)
    assert found["track_key"].to_list() == ["t,1", "t2", "t2"]
    assert found["skipped"].to_list() == [None, None, True]


def test_a_column_may_be_a_folder(tmp_path):
    """As Hive, Spark and DuckDB write them."""
    folder = tmp_path / "plays/session=a%20b"
    folder.mkdir(parents=True)
    pl.DataFrame({"track": ["x", "y"]}).write_parquet(folder / "0.parquet")
    found = events_of(tmp_path, folder / "0.parquet", columns=BY_SESSION)
    assert found.select("session_key", "track_key").rows() == [("a b", "x"), ("a b", "y")]


@pytest.mark.parametrize("suffix", ["csv", "ndjson"])
def test_wrong_rows_within_the_tolerance_are_listed(tmp_path, suffix):
    path = tmp_path / f"plays.{suffix}"
    frame = pl.DataFrame({"session": ["s"] * 2000, "track": [f"t{at}" for at in range(2000)]})
    getattr(frame, f"write_{suffix}")(path)
    bad = path.read_text() + ("s\n" if suffix == "csv" else "[1]\n")
    path.write_text(bad)
    assert events_of(tmp_path, path, columns=BY_SESSION).height == 2000
    (row,) = read_artifact("rejected", tmp_path / "rejected").to_pylist()
    assert (row["file"], row["line"]) == (str(path), 2002 if suffix == "csv" else 2001)


def test_an_empty_parquet_file_holds_no_plays(tmp_path):
    path = tmp_path / "plays.parquet"
    pl.DataFrame({"session": [], "track": []}).write_parquet(path)
    assert "holds no plays" in refused(tmp_path, path, columns=BY_SESSION)


class TestPaths:
    def test_home(self, tmp_path, monkeypatch):
        monkeypatch.setenv("HOME", str(tmp_path))
        (tmp_path / "plays.csv").write_text("x")
        entry = {"paths": ["~/plays.csv"]}
        assert raw_files("mine", entry, "") == {"plays": str(tmp_path / "plays.csv")}

    def test_a_folder_and_a_link_to_nothing_are_named(self, tmp_path):
        (tmp_path / "link.csv").symlink_to(tmp_path / "gone.csv")
        with pytest.raises(UserError, match="is a folder; name its files"):
            raw_files("mine", {"paths": [str(tmp_path)]}, "")
        with pytest.raises(UserError, match=r"link.csv is a link to .*gone.csv, which is not"):
            raw_files("mine", {"paths": [str(tmp_path / "*.csv")]}, "")

    @pytest.mark.parametrize(
        ("patterns", "expected"),
        [
            (["**.csv"], r"only between slashes, as in logs/\*\*/\*.csv; correct .*/\*\*.csv"),
            (["2020/*.csv", "2021/*.csv"], "no file matches .*/2021/"),
        ],
    )
    def test_a_pattern_that_passes_over_files_is_refused(self, tmp_path, patterns, expected):
        (tmp_path / "2020").mkdir()
        for name in ("plays.csv", "2020/a.csv"):
            (tmp_path / name).write_text("x")
        with pytest.raises(UserError, match=expected):
            raw_files("mine", {"paths": [f"{tmp_path}/{pattern}" for pattern in patterns]}, "")

    def test_a_file_that_is_there_by_a_link_too_is_one(self, tmp_path):
        (tmp_path / "2020").mkdir()
        (tmp_path / "2020/plays.csv").write_text("x")
        (tmp_path / "latest").symlink_to("2020")
        found = raw_files("mine", {"paths": [f"{tmp_path}/**/*.csv"]}, "")
        assert list(found) == ["plays"]

    def test_absolute_and_relative_paths_go_together(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "a").mkdir()
        for name in ("one.csv", "two.csv", "a/two.csv"):
            (tmp_path / name).write_text("x")
        found = raw_files("mine", {"paths": ["*.csv", f"{tmp_path}/a/two.csv"]}, "")
        assert found == {"one": "one.csv", "two": "two.csv", "a-two": f"{tmp_path}/a/two.csv"}

    def test_links_that_lead_around_in_circles_are_followed_once(self, tmp_path, monkeypatch):
        """Python's glob would go 40 links deep, each of two at every step."""
        for name in ("plays.csv", "a/plays.csv", "a/.hidden/plays.csv", "a/b/plays.csv"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text("x")
        monkeypatch.chdir(tmp_path)

        def found(pattern):
            return sorted(raw_files("mine", {"paths": [pattern]}, "").values())

        patterns = ("**/*.csv", f"{tmp_path}/**/*.csv", "a/**", "*/**/plays.csv", "**/b/**/*.csv")
        for pattern in patterns:
            paths = sorted(glob.glob(pattern, recursive=True))
            assert found(pattern) == [path for path in paths if Path(path).is_file()]
        for name in ("back", "again"):
            (tmp_path / "a" / name).symlink_to(tmp_path)
        assert found("**/*.csv") == ["a/b/plays.csv", "a/plays.csv", "plays.csv"]
        assert found("**/b/**/*.csv") == ["a/b/plays.csv"]

    def test_files_are_in_the_order_in_which_they_are_named(self, tmp_path):
        """Which plays at one time have; within a pattern by their numbers."""
        names = ["b", "a", "part", "part002", "part2", "part10"]
        for name in names:
            (tmp_path / f"{name}.csv").write_text("x")
        (tmp_path / "link.csv").symlink_to(tmp_path / "b.csv")
        named = {"paths": [f"{tmp_path}/b.csv", f"{tmp_path}/*.csv"]}
        assert list(raw_files("mine", named, "")) == names

    def test_files_of_one_name_in_different_folders(self, tmp_path):
        for folder in ("a", "b"):
            (tmp_path / folder).mkdir()
            (tmp_path / folder / "plays.csv").write_text("x")
        (tmp_path / "other.csv").write_text("x")
        found = raw_files("mine", {"paths": [f"{tmp_path}/**/*.csv"]}, "")
        assert list(found) == ["a-plays", "b-plays", "other"]


def test_a_time_that_no_calendar_has_is_a_wrong_row(tmp_path, label):
    for name, kind, value in (
        ("us", pl.Datetime("us"), 2**63 - 1),
        ("ms", pl.Datetime("ms"), 9 * 10**15),
        ("zone", pl.Datetime("us", "Europe/Berlin"), 2**63 - 1),
        ("date", pl.Date, 2**31 - 1),
    ):
        times = pl.Series([0, value], dtype=pl.Int64).cast(pl.Int32 if name == "date" else pl.Int64)
        plays = {"user": ["u", "u"], "track": ["a", "b"], "time": times.cast(kind)}
        path = tmp_path / f"{name}.parquet"
        pl.DataFrame(plays).filter(pl.col("track") == "b").write_parquet(path)
        assert f"the time '{value}' is not between 1990 and 2100" in label(path)


@pytest.mark.parametrize("kind", [pl.Float16, pl.Float32, pl.Float64, pl.String])
def test_a_rule_has_the_same_labels_in_every_type(tmp_path, label, kind):
    plays = {"user": ["u"] * 3, "track": [*"abc"], "time": [1_600_000_000 + at for at in range(3)]}
    share = pl.Series([0.7, 0.1, 0.8]).cast(kind)
    pl.DataFrame(plays | {"share": share}).write_parquet(tmp_path / "plays.parquet")
    for rule, expected in (
        ("share >= 0.7", ["true", "false", "true"]),
        ("share <= 0.1", ["false", "true", "false"]),
        ("share == 0.7", ["true", "false", "false"]),
        ("share < 0.7", ["false", "true", "false"]),
    ):
        found = label(tmp_path / "plays.parquet", "--skipped-when", rule)
        assert found["skipped"].to_list() == expected, rule


@pytest.mark.parametrize(("kind", "rule"), [(pl.Float32, "x >= 1e-50"), (pl.Float16, "x >= 2049")])
def test_a_threshold_between_two_values_of_a_type_stays(tmp_path, label, kind, rule):
    x = pl.Series([0.0, 2048.0]).cast(kind)
    plays = {"user": ["u"] * 2, "track": [*"ab"], "time": [1_600_000_000, 1_600_000_001], "x": x}
    pl.DataFrame(plays).write_parquet(tmp_path / "plays.parquet")
    found = label(tmp_path / "plays.parquet", "--skipped-when", rule)
    assert found["skipped"].to_list() == ["false", "true" if kind == pl.Float32 else "false"]


def test_a_decimal_may_be_a_truth(tmp_path, label):
    plays = {"user": ["u"] * 2, "track": [*"ab"], "time": [1_600_000_000, 1_600_000_001]}
    skip = pl.Series(["1.00", "0.00"]).cast(pl.Decimal(5, 2))
    pl.DataFrame(plays | {"skip": skip}).write_parquet(tmp_path / "plays.parquet")
    found = label(tmp_path / "plays.parquet", "--skipped-when", "skip")
    assert found["skipped"].to_list() == ["true", "false"]


def test_a_column_twice_in_parquet_is_one_line(tmp_path, label):
    names = ["user", "track", "time", "o", "o"]
    table = pa.Table.from_arrays([pa.array(["u"]), pa.array(["a"]), *[pa.array([9])] * 3], names)
    pq.write_table(table, tmp_path / "plays.parquet")
    assert "has the column 'o' twice; take one of them out" in label(tmp_path / "plays.parquet")


def test_the_separator_is_the_one_with_which_the_columns_are_there(tmp_path, label):
    (tmp_path / "plays.csv").write_text("user,track,time,a|b|c|d|e\nu,t,1600000000,x\n")
    assert label(tmp_path / "plays.csv")["a|b|c|d|e"].to_list() == ["x"]
    assert "read as   track: track, user: user, time: time" in preview([tmp_path / "plays.csv"])
    (tmp_path / "other.csv").write_text(
        "userId;trackId;timestamp;skip;note (a, b, c)\nu;t;1600000000;1;x\n"
    )
    assert "track: trackId, user: userId, time: timestamp" in preview([tmp_path / "other.csv"])


def test_an_empty_line_of_quoted_cells_is_no_row(tmp_path):
    (tmp_path / "s.csv").write_text('track\n"1001"\n"1002"\n\n')
    rows = [rows.rows for rows in read_rows(tmp_path / "s.csv", ["track"])]
    assert pl.concat(rows)["track"].to_list() == ["1001", "1002"]
