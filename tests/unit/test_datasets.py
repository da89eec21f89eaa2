"""Every raw form is read from small files, and whatever is wrong with a file is one line that says
where.
"""

import bz2
import contextlib
import gzip
import io
import json
import logging
import tarfile
from datetime import datetime, timedelta

import polars as pl
import pytest
from exports import zip_of
from skipwise.core.artifacts import read_artifact
from skipwise.core.conditions import parse_rule
from skipwise.core.errors import UserError
from skipwise.core.registry import find, names
from skipwise.core.schemas import ARTIFACTS
from skipwise.raw import tables
from skipwise.raw.extract import extract_events, read_plays
from skipwise.raw.ledger import Ledger


def write(path, content):
    """Write text or bytes and give the path."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def read(path, entry: dict, tolerance: float = 0.001) -> pl.DataFrame:
    frame = pl.concat(read_plays(path, entry, Ledger(str(path), tolerance)))
    return frame.select([name for name in ARTIFACTS["events"].schema.names if name in frame])


def mistake(path, entry: dict) -> str:
    """The one line that the whole extraction of ``path`` ends with; it names the file and leaves no
    output.
    """
    events, source = path.with_name("events.parquet.out"), path.with_name("source.json.out")
    with pytest.raises(UserError) as error:
        extract_events(path, events, source, entry=entry)
    message = str(error.value)
    assert "\n" not in message
    assert str(path) in message
    assert not events.exists()
    assert not source.exists()
    return message


def plays_or_none(path, entry: dict) -> pl.DataFrame | None:
    """The plays of a file, or None where it is a user's mistake; any other error goes on."""
    with contextlib.suppress(UserError):
        return read(path, entry)
    return None


def tar_gz(members: dict[str, str | bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in members.items():
            raw = content.encode() if isinstance(content, str) else content
            member = tarfile.TarInfo(name)
            member.size = len(raw)
            archive.addfile(member, io.BytesIO(raw))
    return out.getvalue()


def changed(text: str, line: int, column: int, cell: str, separator: str) -> str:
    """``text`` with one cell replaced; lines count from 1, columns from 0."""
    lines = text.splitlines()
    cells = lines[line - 1].split(separator)
    cells[column] = cell
    lines[line - 1] = separator.join(cells)
    return "\n".join(lines) + "\n"


def short(value) -> str | None:
    """Parameter ids without the content of files."""
    return "content" if isinstance(value, bytes) or "\n" in str(value) else None


def with_bom_and_crlf(text: str) -> bytes:
    return b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode()


# --- MSSD

MSSD = {"form": "mssd"}
MSSD_HEADER = "session_id,session_position,track_id_clean,skip_1,skip_2,skip_3,"
MSSD_HEADER += "hist_user_behavior_is_shuffle,hour_of_day,premium,context_type,session_length\n"
MSSD_LOG = (
    MSSD_HEADER
    + "0_aa,1,t_1,true,true,true,false,9,true,radio,2\n"
    + "0_aa,2,t_2,False,True,True,True,9,False,catalog,2\n"
    + "65_bb,1,t_1,0,0,1,1,23,0,charts,2\n"
    + "65_bb,2,t_3,0,0,0,0,0,1,radio,2\n"
)
MSSD_PLAYS = [
    ("0_aa", 1, "t_1", True, 0, 9, True, False, "radio"),
    ("0_aa", 2, "t_2", True, 0, 9, False, True, "catalog"),
    ("65_bb", 1, "t_1", False, 65, 23, False, True, "charts"),
    ("65_bb", 2, "t_3", False, 65, 0, True, False, "radio"),
]
MSSD_COLUMNS = [
    "session_key",
    "position",
    "track_key",
    "skipped",
    "day",
    "hour",
    "premium",
    "shuffle",
    "context_type",
]
MEMBERS = [f"training_set/log_0_201807{day}_000000000000.csv" for day in (15, 16, 17)]


def mssd_log(first_day: int, sessions: int) -> str:
    """A log with two plays a session."""
    rows = [
        f"{first_day}_{session:08x},{position},t_{session * 7919 % 9973},"
        "false,true,true,false,9,true,radio,2\n"
        for session in range(sessions)
        for position in (1, 2)
    ]
    return MSSD_HEADER + "".join(rows)


def test_mssd_log_with_every_spelling_of_a_boolean(tmp_path):
    frame = read(write(tmp_path / "log_mini.csv", MSSD_LOG), MSSD)
    assert frame.columns == MSSD_COLUMNS
    assert frame.rows() == MSSD_PLAYS


def test_mssd_gzipped_log(tmp_path):
    path = write(tmp_path / "log_0_20180715_000000000000.csv.gz", gzip.compress(MSSD_LOG.encode()))
    assert read(path, MSSD).rows() == MSSD_PLAYS


@pytest.mark.parametrize("prefix", ["training_set/", "./training_set/", ""])
def test_mssd_archive_of_several_logs(tmp_path, prefix, caplog):
    members = {
        f"{prefix}log_0_20180715_000000000000.csv": MSSD_LOG,
        f"{prefix}README.txt": "not a log",
        f"{prefix}log_3_20180918_000000000000.csv": mssd_log(7, 2),
    }
    with caplog.at_level(logging.WARNING, logger="skipwise"):
        frame = read(write(tmp_path / "training_set_0.tar.gz", tar_gz(members)), MSSD)
    assert frame.rows()[:4] == MSSD_PLAYS
    assert frame["session_key"].to_list()[4:] == [
        "7_00000000",
        "7_00000000",
        "7_00000001",
        "7_00000001",
    ]
    assert [record.getMessage().split(": ")[1] for record in caplog.records] == [
        "1 members do not belong to the data set and were not read"
    ]


def test_mssd_columns_are_found_by_name_whatever_else_there_is(tmp_path):
    table = pl.read_csv(MSSD_LOG.encode(), infer_schema=False)
    shuffled = table.with_columns(date=pl.lit("1969-12-31"), note=pl.lit('a, "b"')).select(
        sorted([*table.columns, "date", "note"])
    )
    assert read(write(tmp_path / "log.csv", shuffled.write_csv()), MSSD).rows() == MSSD_PLAYS


def test_mssd_byte_order_mark_and_windows_line_ends(tmp_path):
    assert read(write(tmp_path / "log.csv", with_bom_and_crlf(MSSD_LOG)), MSSD).rows() == MSSD_PLAYS


def test_mssd_without_a_newline_at_the_end(tmp_path):
    assert read(write(tmp_path / "log.csv", MSSD_LOG.rstrip()), MSSD).rows() == MSSD_PLAYS


def test_mssd_context_may_be_empty_and_the_day_missing(tmp_path):
    text = MSSD_HEADER + "nonumber,1,t_1,0,0,0,,,,,1\n"
    assert read(write(tmp_path / "log.csv", text), MSSD).rows() == [
        ("nonumber", 1, "t_1", False, None, None, None, None, None),
    ]


@pytest.mark.parametrize(
    ("column", "cell", "expected"),
    [
        (1, "six", "line 3: column 'session_position' holds 'six', which is not a whole number"),
        (1, "2.0", "line 3: column 'session_position' holds '2.0', which is not a whole number"),
        (1, "9999999999", "line 3: column 'session_position' holds '9999999999'"),
        (1, "", "line 3: column 'session_position' is empty"),
        (0, "", "line 3: column 'session_id' is empty"),
        (2, "", "line 3: column 'track_id_clean' is empty"),
        (2, '""', "line 3: column 'track_id_clean' is empty"),
        (3, "", "line 3: column 'skip_1' is empty"),
        (4, "yes", "line 3: column 'skip_2' holds 'yes', which is not a boolean"),
        (7, "noon", "line 3: column 'hour_of_day' holds 'noon'"),
        (7, "300", "line 3: column 'hour_of_day' holds '300'"),
        (4, "false", "line 3: the skip flags are not nested"),  # skip_1 true, skip_2 false
        (5, "false", "line 3: the skip flags are not nested"),  # skip_2 true, skip_3 false
    ],
)
def test_mssd_wrong_cell(tmp_path, column, cell, expected):
    text = changed(MSSD_LOG, 3, 3, "true", ",")
    assert expected in mistake(
        write(tmp_path / "log.csv", changed(text, 3, column, cell, ",")), MSSD
    )


def test_mssd_counts_the_rows_that_break_the_nesting(tmp_path):
    text = changed(changed(MSSD_LOG, 4, 3, "1", ","), 5, 4, "1", ",")
    message = mistake(write(tmp_path / "log.csv", text), MSSD)
    assert "line 4" in message
    assert "2 of 4 rows" in message


def test_mssd_wrong_cell_of_an_archive_names_the_member(tmp_path):
    members = {MEMBERS[0]: MSSD_LOG, MEMBERS[1]: changed(MSSD_LOG, 4, 1, "x", ",")}
    message = mistake(write(tmp_path / "training_set_0.tar.gz", tar_gz(members)), MSSD)
    assert f"{MEMBERS[1]}, line 4: column 'session_position' holds 'x'" in message


@pytest.mark.parametrize(
    ("old", "new", "hint"),
    [
        ("track_id_clean", "track_id", "no column 'track_id_clean'; did you mean 'track_id'?"),
        ("skip_2", "skip-2", "no column 'skip_2'; did you mean 'skip"),
        ("session_position", "x", "no column 'session_position'"),
    ],
)
def test_mssd_missing_column(tmp_path, old, new, hint):
    assert hint in mistake(write(tmp_path / "log.csv", MSSD_LOG.replace(old, new)), MSSD)


def test_mssd_row_with_too_few_cells(tmp_path):
    message = mistake(write(tmp_path / "log.csv", MSSD_LOG + "65_bb,3\n"), MSSD)
    assert "line 6: 2 fields where 11 are expected" in message


def test_mssd_row_with_too_many_cells(tmp_path):
    message = mistake(
        write(tmp_path / "log.csv", MSSD_LOG + "65_bb,3,t_3,0,0,0,0,0,1,radio,3,more\n"), MSSD
    )
    assert "line 6: 12 fields where 11 are expected" in message


ARCHIVE = tar_gz({name: mssd_log(day, 60) for day, name in enumerate(MEMBERS)})


def test_mssd_whole_archive_for_the_damaged_ones(tmp_path):
    assert read(write(tmp_path / "training_set_0.tar.gz", ARCHIVE), MSSD).height == 3 * 60 * 2


@pytest.mark.parametrize("share", [0.0, 0.01, 0.2, 0.5, 0.8, 0.95, 0.99])
def test_mssd_archive_cut_short(tmp_path, share):
    path = write(tmp_path / "training_set_0.tar.gz", ARCHIVE[: int(share * len(ARCHIVE))])
    assert "get it again" in mistake(path, MSSD)


def test_mssd_archive_cut_short_anywhere_loses_no_log_silently(tmp_path):
    """Also between two logs and within a header, where the part before looks like a whole
    archive.
    """
    path = tmp_path / "training_set_0.tar.gz"
    plays = {
        size: plays_or_none(write(path, ARCHIVE[:size]), MSSD) for size in range(0, len(ARCHIVE), 7)
    }
    assert {size: frame.height for size, frame in plays.items() if frame is not None} == {}


def bytes_that_change_the_plays(path, archive: bytes, entry: dict) -> list[int]:
    """Places of the archive whose damage gives other plays instead of an error."""
    whole = read(write(path, archive), entry)
    silent = []
    for at in range(len(archive) // 10, len(archive), len(archive) // 20):
        damaged = bytearray(archive)
        damaged[at] ^= 0x04
        plays = plays_or_none(write(path, bytes(damaged)), entry)
        if plays is not None and not plays.equals(whole):
            silent.append(at)
    return silent


def test_mssd_archive_with_a_damaged_byte_is_not_read_as_something_else(tmp_path):
    """The checksum at the end of the gzip stream tells, where the damage itself decodes."""
    assert bytes_that_change_the_plays(tmp_path / "training_set_0.tar.gz", ARCHIVE, MSSD) == []


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("training_set_0.tar.gz", tar_gz({}), "holds no training_set/log_*.csv"),
        (
            "training_set_0.tar.gz",
            tar_gz({"test_set/x.csv": MSSD_LOG}),
            "holds no training_set/log_*.csv",
        ),
        ("training_set_0.tar.gz", tar_gz({MEMBERS[0]: MSSD_HEADER}), "holds no plays"),
        ("training_set_0.tar.gz", tar_gz({MEMBERS[0]: ""}), f"{MEMBERS[0]} is empty"),
        ("training_set_0.tar.gz", "<html>moved</html>" * 100, "damaged"),
        ("log.csv", "", "is empty"),
        ("log.csv", "\r\n\n", "is empty"),
        ("log.csv", MSSD_HEADER, "holds no plays"),
        ("log.csv", MSSD_HEADER.rstrip(), "holds no plays"),
        ("log.csv.gz", gzip.compress(b"", mtime=0), "is empty"),
        ("log.csv.gz", gzip.compress(MSSD_LOG.encode(), mtime=0)[:-9], "damaged or cut short"),
        ("log.csv.gz", MSSD_LOG, "damaged"),
        ("log.csv", MSSD_LOG.encode() + b"0_cc,1,t_\xff,0,0,0,0,9,1,radio,1\n", "utf-8"),
        ("log-zip.csv", zip_of({"log.csv": MSSD_LOG}), "is not delimited text"),
        ("log.csv", MSSD_LOG.encode("utf-16"), "is UTF-16; write it as UTF-8"),
    ],
    ids=short,
)
def test_mssd_file_that_is_something_else(tmp_path, name, content, expected):
    assert expected in mistake(write(tmp_path / name, content), MSSD)


# --- Last.fm

LFM1K = {"form": "lfm1k"}
LFM1K_NAME = "userid-timestamp-artid-artname-traid-traname.tsv"
LFM1K_LOG = (
    'user_000001\t2009-05-04T23:08:57Z\tf1b1cf71\tDeep Dish\t\tFuck "Me" Pumps\n'
    'user_000001\t2009-05-04T13:54:10Z\t\t"Weird Al\tb2\tEat It\n'
    "user_000002\t2006-08-13T00:00:00Z\ta7f7df4a\tSigur Rós\tc3\tGlósóli\n"
)
LFM1K_PLAYS = [
    ("user_000001", -1, 'Deep Dish\tFuck "Me" Pumps', datetime(2009, 5, 4, 23, 8, 57)),
    ("user_000001", -2, '"Weird Al\tEat It', datetime(2009, 5, 4, 13, 54, 10)),
    ("user_000002", -3, "Sigur Rós\tGlósóli", datetime(2006, 8, 13)),
]
LFM2B = {"form": "lfm2b"}
LFM2B_LOG = (
    "user_id\ttrack_id\talbum_id\ttimestamp\n"
    "31435\t53\t7\t2019-01-21 11:22:08\n"
    '31435\t"54\t\t2019-01-21 11:22:08\n'
    "2\t53\t7\t2005-02-14 00:00:00\n"
)
LFM2B_PLAYS = [
    ("31435", 2, "53", datetime(2019, 1, 21, 11, 22, 8)),
    ("31435", 3, '"54', datetime(2019, 1, 21, 11, 22, 8)),
    ("2", 4, "53", datetime(2005, 2, 14)),
]
LASTFM_COLUMNS = ["session_key", "position", "track_key", "started_at"]


def test_lfm1k_bare_quotes_empty_mbids_and_newest_first(tmp_path):
    frame = read(write(tmp_path / LFM1K_NAME, LFM1K_LOG), LFM1K)
    assert frame.columns == LASTFM_COLUMNS
    assert frame.rows() == LFM1K_PLAYS


def test_lfm1k_archive_reads_the_listening_member_alone(tmp_path):
    members = {
        "lastfm-dataset-1K/README.txt": "x",
        "lastfm-dataset-1K/userid-profile.tsv": "#id\tgender\n",
        f"lastfm-dataset-1K/{LFM1K_NAME}": LFM1K_LOG,
    }
    assert (
        read(write(tmp_path / "lastfm-dataset-1K.tar.gz", tar_gz(members)), LFM1K).rows()
        == LFM1K_PLAYS
    )


@pytest.mark.parametrize("form", [LFM1K, LFM2B], ids=["lfm1k", "lfm2b"])
@pytest.mark.parametrize("packing", ["", "bz2", "xz", "zip"])
def test_lastfm_in_another_packing(tmp_path, form, packing):
    member, log, plays = {
        "lfm1k": (LFM1K_NAME, LFM1K_LOG, LFM1K_PLAYS),
        "lfm2b": ("listening-events.tsv", LFM2B_LOG, LFM2B_PLAYS),
    }[form["form"]]
    members = {"data/README.txt": "x", f"data/{member}": log}
    if packing == "zip":
        path = write(tmp_path / "data.zip", zip_of(members))
    else:
        path = tmp_path / f"data.tar{packing and '.'}{packing}"
        with tarfile.open(path, f"w:{packing}") as archive:
            for name, content in members.items():
                info = tarfile.TarInfo(name)
                info.size = len(content.encode())
                archive.addfile(info, io.BytesIO(content.encode()))
    assert read(path, form).rows() == plays


@pytest.mark.parametrize(
    "time", ["0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "2999-01-01T00:00:00Z", "0"]
)
def test_lastfm_time_that_cannot_be(tmp_path, time):
    log = changed(LFM1K_LOG, 2, 1, time, "\t")
    assert f"line 2: column 'timestamp' holds '{time}', which is not between 1990" in mistake(
        write(tmp_path / LFM1K_NAME, log), LFM1K
    )


@pytest.mark.parametrize(("form", "log"), [(LFM1K, LFM1K_LOG), (LFM2B, LFM2B_LOG)])
def test_lastfm_archive_with_two_logs(tmp_path, form, log):
    name = {"lfm1k": LFM1K_NAME, "lfm2b": "listening-events.tsv"}[form["form"]]
    archive = tar_gz({f"a/{name}": log, f"b/{name}": log})
    assert f"has two members {name}" in mistake(write(tmp_path / "x.tar.gz", archive), form)


def test_a_log_that_is_called_like_an_archive(tmp_path):
    assert read(write(tmp_path / "2020.zip.tsv", LFM1K_LOG), LFM1K).rows() == LFM1K_PLAYS


def test_lfm1k_byte_order_mark_and_windows_line_ends(tmp_path):
    assert (
        read(write(tmp_path / LFM1K_NAME, with_bom_and_crlf(LFM1K_LOG)), LFM1K).rows()
        == LFM1K_PLAYS
    )


def test_lfm1k_same_track_name_of_two_artists_is_two_tracks(tmp_path):
    text = changed(LFM1K_LOG, 2, 5, "Glósóli", "\t")
    assert read(write(tmp_path / LFM1K_NAME, text), LFM1K)["track_key"].n_unique() == 3


@pytest.mark.parametrize(
    ("line", "column", "cell", "expected"),
    [
        (2, 0, "", "line 2: column 'user' is empty"),
        (3, 5, "", "line 3: column 'track' is empty"),
        (2, 1, "", "line 2: column 'timestamp' is empty"),
        (1, 1, "04/05/2009", "line 1: column 'timestamp' holds '04/05/2009'"),
        (3, 1, "2006-13-01T00:00:00Z", "line 3: column 'timestamp' holds '2006-13-01T00:00:00Z'"),
    ],
)
def test_lfm1k_wrong_cell(tmp_path, line, column, cell, expected):
    assert expected in mistake(
        write(tmp_path / LFM1K_NAME, changed(LFM1K_LOG, line, column, cell, "\t")), LFM1K
    )


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        (LFM1K_NAME, "", "is empty"),
        (
            LFM1K_NAME,
            "user\t2009-05-04T23:08:57Z\tartist\ttrack\n",
            "line 1: 4 fields where 6 are expected",
        ),
        (
            LFM1K_NAME,
            LFM1K_LOG + "user_000003\t2009-05-04T23:08:57Z\n",
            "line 4: 2 fields where 6 are expected",
        ),
        (LFM1K_NAME, LFM1K_LOG.encode().replace("ó".encode(), b"\xf3"), "utf-8"),
        (
            "lastfm-dataset-1K.tar.gz",
            tar_gz({"lastfm-dataset-1K/README.txt": "x"}),
            f"has no member {LFM1K_NAME}",
        ),
        (
            "lastfm-dataset-1K.tar.gz",
            tar_gz({LFM1K_NAME: LFM1K_LOG * 500})[:-200],
            "damaged or cut short",
        ),
        ("lastfm-dataset-1K.tar.gz", "<html>moved</html>" * 100, "damaged"),
        ("lastfm-dataset-1K.tar.gz", b"", "damaged"),
    ],
    ids=short,
)
def test_lfm1k_file_that_is_something_else(tmp_path, name, content, expected):
    assert expected in mistake(write(tmp_path / name, content), LFM1K)


def test_lfm1k_archive_with_a_damaged_byte_is_not_read_as_something_else(tmp_path):
    users = "".join(LFM1K_LOG.replace("user_00", f"user_{i * 7919 % 97:02}") for i in range(60))
    archive = tar_gz({LFM1K_NAME: users})
    assert bytes_that_change_the_plays(tmp_path / "lastfm-dataset-1K.tar.gz", archive, LFM1K) == []


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("listening-events.tsv.bz2", bz2.compress(LFM2B_LOG.encode())),
        ("listening-events.tsv", LFM2B_LOG),
        ("listening-events.tsv", with_bom_and_crlf(LFM2B_LOG)),
        ("listening-events.tsv", LFM2B_LOG.replace("2019-01-21 ", "2019-01-21T")),
    ],
    ids=["bz2", "plain", "BOM and CRLF", "T in the time"],
)
def test_lfm2b(tmp_path, name, content):
    frame = read(write(tmp_path / name, content), LFM2B)
    assert frame.columns == LASTFM_COLUMNS
    assert frame.rows() == LFM2B_PLAYS


def test_lfm2b_of_two_compressed_streams(tmp_path):
    """As parallel compressors write it."""
    halves = [bz2.compress(part.encode()) for part in (LFM2B_LOG[:60], LFM2B_LOG[60:])]
    assert (
        read(write(tmp_path / "listening-events.tsv.bz2", b"".join(halves)), LFM2B).rows()
        == LFM2B_PLAYS
    )


def test_lfm2b_columns_are_found_by_name(tmp_path):
    table = pl.read_csv(LFM2B_LOG.encode(), separator="\t", quote_char=None, infer_schema=False)
    text = table.select("timestamp", "track_id", "user_id", country=pl.lit("AT")).write_csv(
        separator="\t", quote_style="never"
    )
    assert read(write(tmp_path / "listening-events.tsv", text), LFM2B).rows() == LFM2B_PLAYS


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("l.tsv.bz2", bz2.compress(LFM2B_LOG.encode())[:-5], "damaged or cut short"),
        ("l.tsv.bz2", LFM2B_LOG, "damaged"),
        ("l.tsv.bz2", b"", "is empty"),
        ("l.tsv", LFM2B_LOG.splitlines()[0] + "\n", "holds no plays"),
        (
            "l.tsv",
            LFM2B_LOG.replace("timestamp", "time_stamp"),
            "no column 'timestamp'; did you mean 'time_stamp'?",
        ),
        ("l.tsv", changed(LFM2B_LOG, 3, 1, "", "\t"), "line 3: column 'track_id' is empty"),
        (
            "l.tsv",
            changed(LFM2B_LOG, 3, 3, "yesterday", "\t"),
            "line 3: column 'timestamp' holds 'yesterday'",
        ),
        ("l.tsv", LFM2B_LOG.encode() + b"\xe9\t1\t2\t2005-02-14 00:00:00\n", "utf-8"),
    ],
    ids=short,
)
def test_lfm2b_file_that_is_something_else(tmp_path, name, content, expected):
    assert expected in mistake(write(tmp_path / name, content), LFM2B)


# --- MovieLens

MOVIELENS = {"form": "movielens", "skipped_when": "rating < 4"}
U_DATA = "196\t242\t3\t881250949\n186\t302\t4\t891717742\n196\t51\t5\t881250949\n"
INTER_HEADER = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
MOVIELENS_PLAYS = [
    ("196", 1, "242", True, datetime(1997, 12, 4, 15, 55, 49)),
    ("186", 2, "302", False, datetime(1998, 4, 4, 19, 22, 22)),
    ("196", 3, "51", False, datetime(1997, 12, 4, 15, 55, 49)),
]


def swapped_inter() -> str:
    table = pl.read_csv((INTER_HEADER + U_DATA).encode(), separator="\t", infer_schema=False)
    return table.select(table.columns[::-1]).write_csv(separator="\t")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("u.data", U_DATA),
        ("u.data", with_bom_and_crlf(U_DATA)),
        (
            "ml-100k.zip",
            zip_of({"ml-100k/README": "x", "ml-100k/u.data": U_DATA, "ml-100k/u1.base": "x"}),
        ),
        ("ml-100k.inter", INTER_HEADER + U_DATA),
        ("ml-100k.inter", with_bom_and_crlf(INTER_HEADER + U_DATA)),
        ("ml-100k.inter", swapped_inter()),
    ],
    ids=[
        "u.data",
        "u.data with BOM and CRLF",
        "zip",
        "inter",
        "inter with BOM and CRLF",
        "inter in another order",
    ],
)
def test_movielens(tmp_path, name, content):
    frame = read(write(tmp_path / name, content), MOVIELENS).drop("member", strict=False)
    assert frame.columns == ["session_key", "position", "track_key", "skipped", "started_at"]
    assert frame.rows() == MOVIELENS_PLAYS


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("rating < 4", [True, False, False]),
        ("rating<=4", [True, True, False]),
        ("rating == 4", [False, True, False]),
        ("rating != 4", [True, False, True]),
        ("rating > 3.5", [False, True, True]),
        ("rating >= 5", [False, False, True]),
    ],
)
def test_every_comparison_of_a_rule(tmp_path, rule, expected):
    path = write(tmp_path / "u.data", U_DATA)
    assert read(path, {"form": "movielens", "skipped_when": rule})["skipped"].to_list() == expected


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("u.data", "", "is empty"),
        (
            "u.data",
            changed(U_DATA, 2, 2, "good", "\t"),
            "line 2: column 'rating' holds 'good', which is not a number",
        ),
        ("u.data", changed(U_DATA, 2, 1, "", "\t"), "line 2: column 'item_id' is empty"),
        ("u.data", changed(U_DATA, 3, 3, "monday", "\t"), "line 3: the time 'monday'"),
        ("u.data", changed(U_DATA, 3, 3, "nan", "\t"), "line 3: the time 'nan'"),
        ("u.data", U_DATA.replace("\t", ","), "line 1: 1 fields where 4 are expected"),
        ("u.data", U_DATA.encode() + b"1\t\xe9\t3\t5\n", "utf-8"),
        ("ml-100k.inter", INTER_HEADER, "holds no plays"),
        ("ml-100k.zip", U_DATA, "is damaged"),
        ("ml-100k.zip", b"", "is damaged"),
        ("ml-100k.zip", zip_of({"ml-1m/ratings.dat": U_DATA}), "u.data"),
        ("ml-100k.zip", zip_of({"ml-100k/u.data": U_DATA * 100})[:-30], "damaged"),
    ],
    ids=short,
)
def test_movielens_file_that_is_something_else(tmp_path, name, content, expected):
    assert expected in mistake(write(tmp_path / name, content), MOVIELENS)


def test_movielens_rating_that_is_missing_is_no_label(tmp_path):
    path = write(tmp_path / "u.data", changed(U_DATA, 2, 2, "", "\t"))
    assert read(path, MOVIELENS)["skipped"].to_list() == [True, None, False]


def test_movielens_zip_with_a_damaged_byte(tmp_path):
    """Each byte of the compressed member in turn."""
    path = tmp_path / "ml-100k.zip"
    archive = zip_of(
        {
            "ml-100k/u.data": "".join(
                f"{i}\t{i * i}\t{i % 5 + 1}\t{881250949 + i}\n" for i in range(60)
            )
        }
    )
    start = archive.index(b"u.data") + len("u.data")
    for at in range(start, start + 120):
        damaged = bytearray(archive)
        damaged[at] ^= 0xFF
        with pytest.raises(UserError) as error:
            read(write(path, bytes(damaged)), MOVIELENS)
        assert "\n" not in str(error.value)


def test_a_form_that_has_its_unit_is_not_to_be_given_another(tmp_path):
    """`check` refuses the key `time_unit` of such a form."""
    message = mistake(write(tmp_path / "u.data", b"1\t2\t5\t881250949000\n"), MOVIELENS)
    assert "it is one in milliseconds, write it in seconds, as the form has it" in message
    assert "time_unit" not in message


def test_movielens_rule_on_a_column_that_it_does_not_have(tmp_path):
    message = mistake(
        write(tmp_path / "u.data", U_DATA), {"form": "movielens", "skipped_when": "ratings < 4"}
    )
    assert "no column 'ratings'; did you mean 'rating'?" in message


@pytest.mark.parametrize("rule", ["rating", "rating == good"])
def test_movielens_rule_that_does_not_fit_the_column(tmp_path, rule):
    """A number is no label and no text."""
    message = mistake(
        write(tmp_path / "u.data", U_DATA), {"form": "movielens", "skipped_when": rule}
    )
    assert rule in message


# --- Anything a user has

GIVEN = {"form": "events", "columns": {"session": "visit", "track": "song"}, "skipped_when": "skip"}
TIMED = {"form": "events", "columns": {"user": "who", "track": "song", "time": "at"}}
EVENTS_LOG = "visit,song,skip\nv1,x,true\nv1,y,False\nv2,x,1\nv2,z,0\nv2,z,\n"
EVENTS_PLAYS = [
    ("v1", 1, "x", True),
    ("v1", 2, "y", False),
    ("v2", 3, "x", True),
    ("v2", 4, "z", False),
    ("v2", 5, "z", None),
]


def timed(*times: str) -> str:
    return "who,song,at\n" + "".join(f"u,s{i},{time}\n" for i, time in enumerate(times))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("mine.csv", EVENTS_LOG),
        ("mine.tsv", EVENTS_LOG.replace(",", "\t")),
        ("mine.tab", EVENTS_LOG.replace(",", "\t")),
        ("mine.csv", with_bom_and_crlf(EVENTS_LOG)),
        (
            "mine.csv",
            "skip,other,song,visit\ntrue,1,x,v1\nfalse,2,y,v1\n1,3,x,v2\n0,4,z,v2\n,5,z,v2\n",
        ),
        ("mine.csv", EVENTS_LOG.replace("v1", '"v1"').replace("x", '"x"')),
    ],
    ids=["csv", "tsv", "tab", "BOM and CRLF", "other order and an extra column", "quoted"],
)
def test_events_text_with_given_sessions_and_a_boolean(tmp_path, name, content):
    frame = read(write(tmp_path / name, content), GIVEN)
    assert frame.columns == ["session_key", "position", "track_key", "skipped"]
    assert frame.rows() == EVENTS_PLAYS


def test_events_parquet_with_given_sessions_and_a_boolean(tmp_path):
    path = tmp_path / "mine.parquet"
    table = {
        "more": range(5),
        "song": ["x", "y", "x", "z", "z"],
        "skip": [True, False, True, False, None],
    }
    pl.DataFrame(table | {"visit": ["v1", "v1", "v2", "v2", "v2"]}).write_parquet(path)
    assert read(path, GIVEN).rows() == EVENTS_PLAYS


@pytest.mark.parametrize(
    "labels",
    [[1, 0, None], ["True", "false", None], ["1", "0", None]],
    ids=["int", "words", "digits"],
)
def test_events_parquet_spells_booleans_as_csv_does(tmp_path, labels):
    path = tmp_path / "mine.parquet"
    pl.DataFrame({"visit": [7, 7, 7], "song": [1, 2, 3], "skip": labels}).write_parquet(path)
    extract_events(path, tmp_path / "events", tmp_path / "source", entry=GIVEN)
    table = read_artifact("events", tmp_path / "events", ["session_key", "track_key", "skipped"])
    assert [tuple(row.values()) for row in table.to_pylist()] == [
        ("7", "1", True),
        ("7", "2", False),
        ("7", "3", None),
    ]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("played < 30", [True, False, False, None]),
        ("played >= 30.0", [False, True, True, None]),
        ("end == fwdbtn", [True, False, False, None]),
        ("end != 'fwdbtn'", [False, True, True, None]),
    ],
)
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_events_rule_on_a_column(tmp_path, suffix, rule, expected):
    table = {"visit": ["v"] * 4, "song": list("abcd"), "played": [29.9, 30, 200, None]}
    frame = pl.DataFrame(table | {"end": ["fwdbtn", "trackdone", "endplay", None]}, strict=False)
    path = tmp_path / f"mine.{suffix}"
    frame.write_parquet(path) if suffix == "parquet" else frame.write_csv(path)
    assert read(path, {**GIVEN, "skipped_when": rule})["skipped"].to_list() == expected


def test_events_rule_on_the_session_column_changes_no_key(tmp_path):
    path = write(tmp_path / "mine.csv", "visit,song\n1,x\n7,y\n")
    assert read(path, {**GIVEN, "skipped_when": "visit < 4"}).rows() == [
        ("1", 1, "x", True),
        ("7", 2, "y", False),
    ]


def test_events_without_a_label(tmp_path):
    entry = {"form": "events", "columns": {"session": "visit", "track": "song"}}
    frame = read(write(tmp_path / "mine.csv", EVENTS_LOG), entry)
    assert frame.rows() == [play[:3] for play in EVENTS_PLAYS]


MOMENT = datetime(2020, 2, 1, 10, 0, 5)


@pytest.mark.parametrize(
    ("text", "unit", "expected"),
    [
        ("2020-02-01T10:00:05Z", "s", MOMENT),
        ("2020-02-01T10:00:05", "s", MOMENT),
        ("2020-02-01 10:00:05", "s", MOMENT),
        ("2020-02-01T12:00:05+02:00", "s", MOMENT),
        ("2020-02-01T10:00:05.250Z", "s", MOMENT.replace(microsecond=250_000)),
        ("2020-02-01T10:00:05Z", "ms", MOMENT),
        ("1580551205", "s", MOMENT),
        ("1580551205.25", "s", MOMENT.replace(microsecond=250_000)),
        ("1580551205250", "ms", MOMENT.replace(microsecond=250_000)),
    ],
)
def test_events_times_in_text(tmp_path, text, unit, expected):
    frame = read(write(tmp_path / "mine.csv", timed(text)), {**TIMED, "time_unit": unit})
    assert frame.rows() == [("u", 1, "s0", expected)]


@pytest.mark.parametrize(
    ("times", "unit"),
    [
        (pl.Series([MOMENT]), "s"),
        (pl.Series([MOMENT]).cast(pl.Datetime("ns")), "s"),
        (
            pl.Series([MOMENT]).dt.replace_time_zone("UTC").dt.convert_time_zone("Europe/Vienna"),
            "s",
        ),
        (pl.Series([1580551205]), "s"),
        (pl.Series([1580551205000]), "ms"),
        (pl.Series(["2020-02-01T10:00:05Z"]), "s"),
    ],
    ids=["timestamp", "nanoseconds", "with a zone", "seconds", "milliseconds", "text"],
)
def test_events_times_in_parquet(tmp_path, times, unit):
    path = tmp_path / "mine.parquet"
    pl.DataFrame({"who": ["u"], "song": ["s"], "at": times}).write_parquet(path)
    assert read(path, {**TIMED, "time_unit": unit})["started_at"].to_list() == [MOMENT]


@pytest.mark.parametrize(
    ("times", "row", "cell"),
    [
        (["yesterday"], 1, "yesterday"),
        (["2020-02-01T10:00:05Z", "oops"], 2, "oops"),
        (["oops", "2020-02-01T10:00:05Z"], 1, "oops"),
        (["1580551205", "oops", "1580551206"], 2, "oops"),
        (["2020-02-30T10:00:05Z"], 1, "2020-02-30T10:00:05Z"),
        (["1580551205", "nan"], 2, "nan"),
        (["1580551205", "1e30"], 2, "1e30"),
        (["01/02/2020 10:00"], 1, "01/02/2020 10:00"),  # January or February? Not ISO.
    ],
)
def test_events_wrong_time(tmp_path, times, row, cell):
    message = mistake(write(tmp_path / "mine.csv", timed(*times)), TIMED)
    assert f"row {row}" in message or f"line {row + 1}" in message
    assert f"'{cell}'" in message


@pytest.mark.parametrize("times", [["1580551205", ""], ["2020-02-01T10:00:05Z", ""], ["", ""]])
def test_events_empty_time(tmp_path, times):
    message = mistake(write(tmp_path / "mine.csv", timed(*times)), TIMED)
    row = times.index("") + 1
    assert f"row {row}" in message or f"line {row + 1}" in message


def test_events_milliseconds_taken_for_seconds_are_not_the_year_52055(tmp_path):
    assert "time_unit" in mistake(write(tmp_path / "mine.csv", timed("1580551205000")), TIMED)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"session": "visit", "track": "songs"}, "no column 'songs'; did you mean 'song'?"),
        ({"session": "session_id", "track": "song"}, "no column 'session_id'"),
        ({"user": "visit", "track": "song", "time": "when"}, "no column 'when'"),
    ],
)
def test_events_wrong_column_name_lists_those_there_are(tmp_path, suffix, columns, expected):
    path = tmp_path / f"mine.{suffix}"
    frame = pl.read_csv(EVENTS_LOG.encode())
    frame.write_parquet(path) if suffix == "parquet" else frame.write_csv(path)
    message = mistake(path, {**GIVEN, "columns": columns})
    assert expected in message
    assert "visit, song, skip" in message


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_events_wrong_column_of_the_rule_lists_those_there_are(tmp_path, suffix):
    path = tmp_path / f"mine.{suffix}"
    frame = pl.read_csv(EVENTS_LOG.encode())
    frame.write_parquet(path) if suffix == "parquet" else frame.write_csv(path)
    message = mistake(path, {**GIVEN, "skipped_when": "skips"})
    assert "no column 'skips'; did you mean 'skip'?" in message
    assert "visit, song, skip" in message


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("mine.csv", "", "is empty"),
        ("mine.csv", "visit,song,skip\n", "holds no plays"),
        ("mine.csv", "visit,song,skip\nv1,x,true\n,y,true\n", "line 3: column 'visit' is empty"),
        ("mine.csv", "visit,song,skip\nv1,x,true\nv1,,true\n", "line 3: column 'song' is empty"),
        ("mine.csv", 'visit,song,skip\nv1,x,true\nv1,"",true\n', "line 3: column 'song' is empty"),
        (
            "mine.csv",
            "visit,song,skip\nv1,x,true\nv1,y,maybe\n",
            "line 3: column 'skip' holds 'maybe', which is not a boolean",
        ),
        (
            "mine.csv",
            "visit,song,skip\nv1,x,true\nv1,y,1,2\n",
            "line 3: 4 fields where 3 are expected",
        ),
        ("mine.csv", "visit,song,skip\nv1,caf\xe9,true\n".encode("latin-1"), "utf-8"),
        ("mine.parquet", "visit,song,skip\n", "not a readable parquet file"),
        ("mine.parquet", b"", "not a readable parquet file"),
    ],
    ids=short,
)
def test_events_file_that_is_something_else(tmp_path, name, content, expected):
    assert expected in mistake(write(tmp_path / name, content), GIVEN)


def test_events_rule_that_needs_a_number(tmp_path):
    path = write(tmp_path / "mine.csv", "visit,song,played\nv,x,12\nv,y,n/a\n")
    message = mistake(path, {**GIVEN, "skipped_when": "played < 30"})
    assert "line 3: column 'played' holds 'n/a', which is not a number" in message


@pytest.mark.parametrize(
    ("values", "rule"), [(["12", "n/a"], "played < 30"), ([12, 40], "played == short")]
)
def test_events_parquet_rule_that_does_not_fit_the_column(tmp_path, values, rule):
    path = tmp_path / "mine.parquet"
    pl.DataFrame({"visit": ["v", "v"], "song": ["x", "y"], "played": values}).write_parquet(path)
    assert "played" in mistake(path, {**GIVEN, "skipped_when": rule})


def test_events_parquet_label_that_is_no_boolean(tmp_path):
    path = tmp_path / "mine.parquet"
    pl.DataFrame(
        {"visit": ["v", "v"], "song": ["x", "y"], "skip": ["true", "perhaps"]}
    ).write_parquet(path)
    assert "perhaps" in mistake(path, GIVEN)


@pytest.mark.parametrize("column", ["who", "song", "at"])
def test_events_parquet_with_a_column_of_lists(tmp_path, column):
    path = tmp_path / "mine.parquet"
    pl.DataFrame(
        {"who": ["u"], "song": ["s"], "at": [1580551205]} | {column: [[1, 2]]}
    ).write_parquet(path)
    assert f"'{column}'" in mistake(path, TIMED)


def test_events_parquet_with_an_empty_key(tmp_path):
    path = tmp_path / "mine.parquet"
    pl.DataFrame({"visit": ["v", None], "song": ["x", "y"], "skip": [True, True]}).write_parquet(
        path
    )
    assert "row 2: column 'visit' is empty" in mistake(path, GIVEN)


def test_events_need_a_session_or_a_user(tmp_path):
    path = write(tmp_path / "mine.csv", EVENTS_LOG)
    with pytest.raises(UserError, match=r"give `session`.* or `user`"):
        read(path, {**GIVEN, "columns": {"track": "song"}})


# --- Yambda

YAMBDA = {"form": "yambda", "skipped_when": "played_ratio_pct < 50"}


def listens(path, **changed) -> object:
    columns = {
        "uid": pl.Series([10, 10, 20], dtype=pl.UInt32),
        "timestamp": pl.Series([15929455, 15929460, 18111700], dtype=pl.UInt32),
        "item_id": pl.Series([6928395, 6417612, 6928395], dtype=pl.UInt32),
        "is_organic": pl.Series([1, 0, 1], dtype=pl.UInt8),
        "played_ratio_pct": pl.Series([100, 49, 50], dtype=pl.UInt16),
        "track_length_seconds": pl.Series([180, 200, 180], dtype=pl.UInt32),
    }
    pl.DataFrame(
        {name: column for name, column in (columns | changed).items() if column is not None}
    ).write_parquet(path)
    return path


@pytest.mark.parametrize("rows", [1, 2, 2**20])
def test_yambda(tmp_path, monkeypatch, rows):
    """However many rows are read at a time."""
    monkeypatch.setattr(tables, "_ROWS", rows)
    frame = read(listens(tmp_path / "listens.parquet"), YAMBDA)
    assert frame.columns == [
        "session_key",
        "position",
        "track_key",
        "skipped",
        "started_at",
        "is_organic",
    ]
    start = datetime(1970, 1, 1)
    assert frame.rows() == [
        ("10", 1, "6928395", False, start + timedelta(seconds=15929455), True),
        ("10", 2, "6417612", True, start + timedelta(seconds=15929460), False),
        ("20", 3, "6928395", False, start + timedelta(seconds=18111700), True),
    ]


def test_yambda_rule_is_a_parameter(tmp_path):
    path = listens(tmp_path / "listens.parquet")
    assert read(path, YAMBDA | {"skipped_when": "played_ratio_pct <= 50"})["skipped"].to_list() == [
        False,
        True,
        True,
    ]
    assert read(path, YAMBDA | {"skipped_when": "track_length_seconds > 190"})[
        "skipped"
    ].to_list() == [False, True, False]


def test_yambda_organic_plays_reach_the_events(tmp_path):
    path = listens(tmp_path / "listens.parquet")
    extract_events(path, tmp_path / "events", tmp_path / "source", entry=YAMBDA)
    assert read_artifact("events", tmp_path / "events")["is_organic"].to_pylist() == [
        True,
        False,
        True,
    ]


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"item_id": None}, "no column 'item_id'"),
        ({"played_ratio_pct": None}, "no column 'played_ratio_pct'"),
        ({"uid": pl.Series([10, None, 20], dtype=pl.UInt32)}, "row 2: column 'uid' is empty"),
        ({"timestamp": pl.Series([10, None, 20], dtype=pl.UInt32)}, "row 2: the time is empty"),
        ({"played_ratio_pct": pl.Series(["a", "1", "2"])}, "'a', which is not a number"),
    ],
)
def test_yambda_file_that_is_something_else(tmp_path, changed, expected):
    assert expected in mistake(listens(tmp_path / "listens.parquet", **changed), YAMBDA)


# The published events of one user: a time in steps of 5 seconds, a track, a type.  Track 1 is
# disliked while it plays, 2 a day later, 3 and a like of 4 taken back, 5 by somebody else; the time
# of the play of 6 is that of its end, and 7 is disliked twice before that is taken back.
EVENTS_OF_YAMBDA = [
    *[(10, 1000, 1, "listen"), (10, 1060, 1, "dislike"), (10, 90_000, 1, "listen")],
    *[(10, 2000, 2, "listen"), (10, 88_400, 2, "dislike")],
    *[(10, 3000, 3, "listen"), (10, 3010, 3, "dislike"), (10, 9000, 3, "undislike")],
    *[(10, 4000, 4, "listen"), (10, 4005, 4, "like"), (10, 4010, 4, "unlike")],
    *[(10, 5000, 5, "listen"), (20, 5000, 5, "dislike")],
    *[(10, 6095, 6, "dislike"), (10, 6200, 6, "listen")],
    *[(10, 7000, 7, "listen"), (10, 7005, 7, "dislike"), (10, 7010, 7, "dislike")],
    *[(10, 7100, 7, "undislike")],
]


def multi_event(path, events=EVENTS_OF_YAMBDA) -> object:
    """A `multi_event.parquet` with the types of the published one."""
    uid, timestamp, item, event = zip(*events, strict=True)
    is_listen = pl.Series(event) == "listen"
    listened = [180 if is_play else None for is_play in is_listen]
    pl.DataFrame(
        {
            "uid": pl.Series(uid, dtype=pl.UInt32),
            "timestamp": pl.Series(timestamp, dtype=pl.UInt32),
            "item_id": pl.Series(item, dtype=pl.UInt32),
            "is_organic": pl.Series([1] * len(uid), dtype=pl.UInt8),
            "played_ratio_pct": pl.Series(listened, dtype=pl.UInt16).clip(upper_bound=100),
            "track_length_seconds": pl.Series(listened, dtype=pl.UInt32),
            "event_type": pl.Series(event, dtype=pl.Enum(sorted(set(event)))),
        }
    ).write_parquet(path)
    return path


@pytest.mark.parametrize("rows", [1, 3, 2**20])
def test_yambda_dislikes_are_skips_where_they_are_asked_for(tmp_path, monkeypatch, rows):
    """However many rows are read at a time."""
    monkeypatch.setattr(tables, "_ROWS", rows)
    path = multi_event(tmp_path / "multi_event.parquet")
    assert not read(path, YAMBDA)["skipped"].any()
    found = read(path, YAMBDA | {"disliked_when": "disliked"})
    plays = dict(found.select(pl.format("{} {}", "track_key", "position"), "skipped").rows())
    assert list(plays) == ["1 1", "1 2", "2 3", "3 4", "4 5", "5 6", "6 7", "7 8"]
    assert [play for play, skipped in plays.items() if skipped] == ["1 1", "6 7"]


def test_yambda_dislikes_are_events(tmp_path):
    dislikes = YAMBDA | {"disliked_when": "disliked"}
    message = mistake(listens(tmp_path / "listens.parquet"), dislikes)
    assert "no column 'event_type': disliked_when needs multi_event.parquet" in message
    path = multi_event(tmp_path / "multi_event.parquet")
    message = mistake(path, YAMBDA | {"disliked_when": "dislike"})
    assert "no column 'dislike'; did you mean 'disliked'?" in message


@pytest.mark.parametrize("rows", [1, 2**20])
def test_a_yambda_row_without_its_event_is_refused(tmp_path, monkeypatch, rows):
    """It may be a listen or a like; a file without the column holds listens alone."""
    monkeypatch.setattr(tables, "_ROWS", rows)
    path = multi_event(tmp_path / "multi_event.parquet")
    event = pl.col("event_type").cast(pl.String)
    pl.read_parquet(path).with_columns(
        event_type=pl.when(pl.int_range(pl.len()) != 2).then(event)
    ).write_parquet(path)
    assert "a row has no 'event_type'" in mistake(path, YAMBDA)


@pytest.mark.parametrize("content", [b"", b"uid,item_id\n", b"PAR1" + bytes(100)])
def test_yambda_file_that_is_no_parquet(tmp_path, content):
    assert "is not a readable parquet file" in mistake(
        write(tmp_path / "listens.parquet", content), YAMBDA
    )


# --- Rules, forms, and the artifact


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("skipped", ("skipped", None, None)),
        (" skipped ", ("skipped", None, None)),
        ("rating < 4", ("rating", "<", 4.0)),
        ("rating<=-0.5", ("rating", "<=", -0.5)),
        ("ms played >= 3e4", ("ms played", ">=", 30000.0)),
        ("rating:float == 4", ("rating:float", "==", 4.0)),
        ("end == fwdbtn", ("end", "==", "fwdbtn")),
        ("end != 'back btn'", ("end", "!=", "back btn")),
    ],
)
def test_parse_rule(rule, expected):
    assert parse_rule(rule) == expected


def test_parse_rule_that_compares_sizes_with_text():
    with pytest.raises(
        UserError, match="'rating < four' compares with 'four', which is not a number"
    ):
        parse_rule("rating < four")
    for rule in ("", "  ", "x <", "< 3", "==", "end = fwdbtn", "rating === 4", "rating <> 4"):
        with pytest.raises(UserError, match="is no column and no rule like rating < 4"):
            parse_rule(rule)


@pytest.mark.parametrize("form", names("raw form"))
def test_every_form_reads_events(form):
    assert callable(find("raw form", form).read_events)


def test_unknown_form():
    known = ", ".join(names("raw form"))
    with pytest.raises(UserError, match=f"unknown raw form 'lfm3k'; the raw forms are {known}"):
        find("raw form", "lfm3k")


def test_extract_writes_the_plays_in_order_and_where_they_come_from(tmp_path):
    path = write(
        tmp_path / "log.csv", MSSD_HEADER + "".join(MSSD_LOG.splitlines(keepends=True)[:0:-1])
    )
    extract_events(path, tmp_path / "events.parquet", tmp_path / "source.json", entry=MSSD)
    rows = read_artifact("events", tmp_path / "events.parquet").to_pylist()
    # Sessions as they come in the file, each by position.
    assert [tuple(row[column] for column in MSSD_COLUMNS) for row in rows] == MSSD_PLAYS[
        2:
    ] + MSSD_PLAYS[:2]
    assert {row["started_at"] for row in rows} == {None}
    source = json.loads((tmp_path / "source.json").read_text())
    assert source["file"] == "log.csv"
    assert source["plays"] == 4
    assert source["bytes"] == len(path.read_bytes())
    assert len(source["sha256"]) == 64


@pytest.mark.parametrize(
    ("name", "content", "entry"),
    [
        (LFM1K_NAME, LFM1K_LOG, LFM1K),
        ("l.tsv", LFM2B_LOG, LFM2B),
        ("u.data", U_DATA, MOVIELENS),
        ("mine.csv", EVENTS_LOG, GIVEN),
        ("mine.csv", timed("1580551205"), TIMED),
    ],
    ids=["lfm1k", "lfm2b", "movielens", "events", "events with time"],
)
def test_every_form_becomes_an_events_artifact(tmp_path, name, content, entry):
    path = write(tmp_path / name, content)
    extract_events(path, tmp_path / "events", tmp_path / "source", entry=entry)
    rows = read_artifact("events", tmp_path / "events").to_pylist()
    frame = read(path, entry)
    columns = frame.columns
    found = [tuple(row[column] for column in columns) for row in rows]
    assert found == frame.rows()
    assert all(row[column] is None for row in rows for column in row.keys() - {"part", *columns})
    assert {row["part"] for row in rows} == {0}
