"""Raw files are read as streams of blocks: nothing depends on where a block ends, wrong rows are
set apart and counted, and whatever is wrong with an archive is an error and never other plays."""

import bz2
import gzip
import io
import itertools
import logging
import random
import tarfile
import zlib

import polars as pl
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from skipwise.core.artifacts import read_artifact, read_json
from skipwise.core.errors import UserError
from skipwise.raw import archives, writer
from skipwise.raw.archives import Block, prefetched, tar_members, text_blocks
from skipwise.raw.extract import extract_events, read_plays
from skipwise.raw.forms import mssd
from skipwise.raw.forms.lfm1k import MEMBER as LFM1K_MEMBER
from skipwise.raw.forms.mssd import COLUMNS, whole_sessions
from skipwise.raw.ledger import Ledger
from skipwise.raw.scrobbles import listening_times
from skipwise.raw.tabular import Layout, parse_block
from skipwise.raw.writer import part_of
from skipwise.sessions.draw import bound, draws
from skipwise.sessions.label import label_sessions
from skipwise.sessions.recipe import Machine, Recipe
from skipwise.sessions.sample import sample_sessions
from skipwise.sessions.steps import Steps

pytestmark = pytest.mark.long

MEMBER = "training_set/log_0_20180715_000000000000.csv"
MSSD = {"form": "mssd"}
HEADER = ",".join(COLUMNS)


def session_rows(name: str, length: int, chance: random.Random) -> list[dict[str, str]]:
    """The rows of one MSSD session with all 21 columns."""
    rows = []
    for position in range(1, length + 1):
        skip = chance.random() < 0.4
        row = dict.fromkeys(COLUMNS, "0")
        row |= {
            "session_id": name,
            "session_position": str(position),
            "session_length": str(length),
        }
        row |= {f"skip_{i}": str(skip).lower() for i in (1, 2, 3)} | {
            "not_skipped": str(not skip).lower()
        }
        row |= {
            "track_id_clean": f"t_{chance.randrange(50)}",
            "hist_user_behavior_is_shuffle": "false",
            "premium": "true",
        }
        row |= {
            "hour_of_day": "9",
            "context_type": "radio",
            "date": "2018-07-15",
            "hist_user_behavior_reason_end": "trackdone",
        }
        rows.append(row)
    return rows


def log_rows(sessions: int = 100, seed: int = 1) -> list[dict[str, str]]:
    chance = random.Random(seed)
    named = (
        session_rows(f"{i % 66}_s{seed}-{i}", chance.randrange(10, 21), chance)
        for i in range(sessions)
    )
    return [row for rows in named for row in rows]


def text(rows: list[dict[str, str]], columns=COLUMNS) -> str:
    return (
        "\n".join(
            [",".join(columns), *(",".join(row[column] for column in columns) for row in rows)]
        )
        + "\n"
    )


def tar_gz(members: list[tuple[tarfile.TarInfo | str, bytes]]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, content in members:
            member = tarfile.TarInfo(name) if isinstance(name, str) else name
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return out.getvalue()


def read(path, entry: dict, tolerance: float = 0.001) -> pl.DataFrame:
    return pl.concat(read_plays(path, entry, Ledger(str(path), tolerance)))


def mistake(path, entry: dict, tolerance: float = 0.001) -> str:
    with pytest.raises(UserError) as error:
        read(path, entry, tolerance)
    assert "\n" not in str(error.value)
    return str(error.value)


def extracted(
    folder, content: bytes | str, entry=MSSD, name: str = "log.csv", tolerance: float = 0.01
):
    """Plays, rejected rows and source of a file."""
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    outputs = [folder / f"{output}.out" for output in ("events", "source", "rejected")]
    extract_events(path, *outputs, entry=entry, tolerance=tolerance)
    return (
        read_artifact("events", outputs[0]),
        read_artifact("rejected", outputs[2]).to_pylist(),
        read_json(outputs[1]),
    )


# --- Blocks


@pytest.fixture(params=[997, 2**26])
def block(request, monkeypatch):
    """Blocks of a few lines up to all at once."""
    monkeypatch.setattr(archives, "BLOCK", request.param)
    return request.param


@pytest.mark.parametrize("end", ["", "\n"])
def test_blocks_hold_every_line_once_with_its_number(block, end):
    lines = ["the header", *(f"line {i}" * (i % 5) for i in range(2, 200))]
    stream = io.BytesIO(("\n".join(lines) + end).encode())
    found = {}
    blocks = list(text_blocks(stream.read, "x"))
    for piece in blocks:
        names, *found_lines = piece.text.removesuffix(b"\n").split(b"\n")
        assert names == b"the header"
        for at, line in enumerate(found_lines):
            found[piece.first_line + at] = line.decode()
    assert found == dict(enumerate(lines[1:], start=2))
    assert [piece.last for piece in blocks] == [False] * (len(blocks) - 1) + [True]


def test_a_file_without_line_ends_is_not_held_in_memory(monkeypatch):
    monkeypatch.setattr(archives, "BLOCK", 1000)
    with pytest.raises(UserError, match="x has a line of more than 1000 bytes"):
        list(text_blocks(io.BytesIO(b"h\n" + bytes(100_000)).read, "x"))


def test_prefetched_gives_the_items_in_order_and_their_error():
    def items():
        yield from range(5)
        raise UserError("after five")

    stream = prefetched(items())
    assert list(itertools.islice(stream, 5)) == [0, 1, 2, 3, 4]
    with pytest.raises(UserError, match="after five"):
        next(stream)


def test_prefetched_stops_when_its_user_does():
    made = []

    def items():
        for i in range(1000):
            made.append(i)
            yield i

    stream = prefetched(items())
    next(stream)
    stream.close()
    assert len(made) < 10


def test_mssd_does_not_depend_on_blocks(tmp_path, block):
    """Sessions are whole wherever a block ends, in logs that are in order and in one that is
    not.
    """
    rows = log_rows(60)
    mixed = random.Random(5).sample(rows, len(rows))
    expected = {}
    for row in rows:
        expected.setdefault(row["session_id"], []).append(
            (int(row["session_position"]), row["track_id_clean"])
        )
    for given_rows in (rows, mixed):
        (tmp_path / "log.csv").write_text(text(given_rows))
        plays = read(tmp_path / "log.csv", MSSD, tolerance=0)
        found = {}
        for session, position, track in plays.select(
            "session_key", "position", "track_key"
        ).iter_rows():
            found.setdefault(session, []).append((position, track))
        assert found == expected  # every session in the order of its positions


@pytest.mark.parametrize("form", ["lfm1k", "lfm2b"])
def test_lastfm_does_not_depend_on_blocks(tmp_path, block, form):
    if form == "lfm1k":
        content = "".join(
            f"user_{i % 7}\t2008-05-04T23:{i % 60:02}:57Z\t\tArtist {i}\t\tSong {i % 9}\n"
            for i in range(300)
        )
        position = [-i for i in range(1, 301)]
    else:
        content = "user_id\ttrack_id\talbum_id\ttimestamp\n"
        content += "".join(
            f"{i % 7}\t{i % 9}\t1\t2008-05-04 23:{i % 60:02}:57\n" for i in range(300)
        )
        position = list(range(2, 302))
    path = tmp_path / "listening.tsv"
    path.write_text(content)
    plays = read(path, {"form": form}, tolerance=0)
    assert plays["position"].to_list() == position
    assert plays["started_at"].dt.minute().to_list() == [i % 60 for i in range(300)]


# --- Archives

GOOD = text(log_rows(30)).encode()


def written(folder, members) -> object:
    path = folder / "training_set_0.tar.gz"
    path.write_bytes(tar_gz(members))
    return path


def link(name: str, kind: bytes, target: str) -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member, b""


UNSAFE = {
    "parent folder": (f"../{MEMBER}", GOOD),
    "parent folder within": (f"training_set/../../{MEMBER}", GOOD),
    "absolute": (f"/{MEMBER}", GOOD),
    "symbolic link": link(MEMBER, tarfile.SYMTYPE, "/etc/passwd"),
    "hard link": link(MEMBER, tarfile.LNKTYPE, "training_set/other.csv"),
    "device": link(MEMBER, tarfile.CHRTYPE, ""),
    "not UTF-8": ("training_set/l\udcffog.csv", GOOD),
    "another name": ("training_set/log_0_20180715.csv", GOOD),
    "folder of the name": link(f"{MEMBER}/x", tarfile.FIFOTYPE, ""),
}


@pytest.mark.parametrize("what", UNSAFE)
def test_only_the_expected_members_are_read_and_others_counted(tmp_path, monkeypatch, caplog, what):
    """Nothing is written anywhere but to the output, and a sound log beside the odd member is
    read.
    """
    monkeypatch.chdir(tmp_path)
    alone, beside = tmp_path / "alone", tmp_path / "beside"
    alone.mkdir()
    beside.mkdir()
    assert "holds no training_set/log_*.csv" in mistake(written(alone, [UNSAFE[what]]), MSSD)
    other = MEMBER.replace("log_0", "log_1")
    with caplog.at_level(logging.WARNING, logger="skipwise"):
        plays = read(written(beside, [UNSAFE[what], (other, GOOD)]), MSSD)
    assert plays["session_key"].n_unique() == 30
    assert "1 members do not belong to the data set" in caplog.records[-1].getMessage()
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} == {
        "training_set_0.tar.gz"
    }


def claiming(size: int, content: bytes) -> bytes:
    """A tar.gz whose only header says ``size``, with ``content`` behind it."""
    member = tarfile.TarInfo(MEMBER)
    member.size = size
    return gzip.compress(member.tobuf() + content)


def test_a_header_that_claims_4_gb_with_little_behind_it(tmp_path):
    path = tmp_path / "training_set_0.tar.gz"
    path.write_bytes(claiming(4 * 2**30, GOOD))
    assert "bytes before the size in its header" in mistake(path, MSSD)


def test_a_sparse_member_of_4_gb_is_not_unrolled(tmp_path):
    member = tarfile.TarInfo(MEMBER)
    member.type = tarfile.GNUTYPE_SPARSE
    header = bytearray(member.tobuf(tarfile.GNU_FORMAT))
    header[386 : 386 + 24] = b"00000000000\0" + b"00000000000\0"
    header[483 : 483 + 12] = b"40000000000\0"
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header[:512])
    path = tmp_path / "training_set_0.tar.gz"
    path.write_bytes(gzip.compress(bytes(header) + bytes(1024)))
    assert "holds no training_set/log_*.csv" in mistake(path, MSSD)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_an_archive_broken_at_three_places(tmp_path, block, share):
    archive = tar_gz(
        [(MEMBER, GOOD), (MEMBER.replace("log_0", "log_1"), text(log_rows(30, seed=2)).encode())]
    )
    path = tmp_path / "training_set_0.tar.gz"
    at = int(share * len(archive))
    path.write_bytes(archive[:at])
    assert "damaged or cut short" in mistake(path, MSSD)
    path.write_bytes(archive[:at] + bytes(40) + archive[at + 40 :])
    assert str(path) in mistake(path, MSSD)


def test_an_archive_in_several_gzip_streams_is_one(tmp_path):
    out = gzip.decompress(tar_gz([(MEMBER, GOOD)]))
    path = tmp_path / "training_set_0.tar.gz"
    path.write_bytes(gzip.compress(out[:1000]) + gzip.compress(out[1000:]))
    assert read(path, MSSD)["session_key"].n_unique() == 30


def test_one_big_archive_of_the_training_set_is_read(tmp_path):
    members = [
        (MEMBER.replace("log_0", f"log_{i}"), text(log_rows(10, seed=i)).encode())
        for i in range(1, 6)
    ]
    path = tmp_path / "20181113_training_set.tar.gz"
    path.write_bytes(tar_gz(members))
    assert read(path, MSSD)["session_key"].n_unique() == 50


def test_members_that_nobody_reads_are_passed_over(tmp_path):
    path = written(
        tmp_path, [("a", b"x" * 3000), ("b", b"second"), ("c", b"y" * 512), ("d", b"fourth")]
    )
    names = []
    for name, content in tar_members(path, lambda name: name in "bd"):
        names.append((name, content(3)))  # and not the rest
    assert names == [("b", b"sec"), ("d", b"fou")]


# --- bz2

LFM2B_TEXT = "user_id\ttrack_id\talbum_id\ttimestamp\n" + "".join(
    f"{i % 50}\t{i * 7919 % 1000}\t1\t2008-05-04 {i % 24:02}:00:00\n" for i in range(5000)
)


def streams(n: int) -> bytes:
    content = LFM2B_TEXT.encode()
    size = -(-len(content) // n)
    return b"".join(bz2.compress(content[at : at + size]) for at in range(0, len(content), size))


@pytest.mark.parametrize("n", [1, 2, 3, 40])
def test_bz2_of_any_number_of_streams(tmp_path, n):
    path = tmp_path / "listening-events.tsv.bz2"
    path.write_bytes(streams(n))
    plays = read(path, {"form": "lfm2b"})
    assert plays["track_key"].to_list() == [str(i * 7919 % 1000) for i in range(5000)]


@pytest.mark.parametrize("n", [1, 40])
def test_damaged_bz2_is_an_error_wherever_it_is(tmp_path, n):
    path = tmp_path / "listening-events.tsv.bz2"
    packed = streams(n)
    # The very start of a stream after the first is its magic number: without it, it belongs to the
    # one before.
    for at in range(12, len(packed), len(packed) // 23):
        path.write_bytes(packed[:at])
        if not packed.startswith(b"BZh", at):  # what ends with a stream is a whole file
            assert "damaged or cut short" in mistake(path, {"form": "lfm2b"})
        path.write_bytes(packed[:at] + bytes([packed[at] ^ 0x10]) + packed[at + 1 :])
        assert "listening-events.tsv.bz2" in mistake(path, {"form": "lfm2b"})


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("2009-05-04T23:08:57Z", "2009-05-04 23:08:57"),
        ("2009-05-04 23:08:57", "2009-05-04 23:08:57"),
        ("1241478537", "2009-05-04 23:08:57"),
        ("0", "1970-01-01 00:00:00"),
        ("yesterday", None),
        ("-5", None),
        ("1241478537000", None),  # milliseconds would be the year 41311
        ("2009-02-30 00:00:00", None),
        ("", None),
    ],
)
def test_listening_times(cell, expected):
    """Also among others of the other kind."""
    for column in ([cell], [cell, "2009-05-04 23:08:57"], [cell, "1241478537"]):
        found = listening_times(pl.Series(column, dtype=pl.String))[0]
        assert (None if found is None else str(found)) == expected


def test_plays_after_the_last_day_are_left_out_and_counted(tmp_path):
    days = ["2009-06-29", "2009-06-30", "2009-07-01", "2013-09-28"]
    content = "".join(f"u\t{day}T23:59:59Z\t\ta\t\tb\n" for day in days)
    events, rejected, source = extracted(
        tmp_path, content, {"form": "lfm1k", "until": "2009-06-30"}, LFM1K_MEMBER
    )
    assert [str(row["started_at"])[:10] for row in events.to_pylist()] == days[:2]
    assert rejected == []
    assert source["left_out"] == {"after 2009-06-30": 2}
    assert (source["rows"], source["plays"]) == (4, 2)


# --- Wrong rows are set apart


def with_fault(fault: str) -> tuple[list[dict[str, str]], set[int], str]:
    """Rows of 40 sessions with one fault; the lines that are to be set apart, and words of the
    reason of one.
    """
    rows = log_rows(40)
    at = next(i for i, row in enumerate(rows) if i > 200 and row["session_position"] == "4")
    name = rows[at]["session_id"]
    if fault == "cell":
        rows[at]["session_position"] = "four"
    elif fault == "nesting":
        rows[at] |= {"skip_1": "true", "skip_2": "false"}
    elif fault == "row twice":
        rows.insert(at, dict(rows[at]))
    elif fault == "position twice":
        rows[at]["session_position"] = "3"
    elif fault == "row missing":
        del rows[at]
    elif fault == "last row missing":
        last = max(i for i, row in enumerate(rows) if row["session_id"] == name)
        del rows[last]
    elif fault == "length":
        rows[at]["session_length"] = "3"
    elif fault == "all lengths":
        for row in rows:
            row["session_length"] = "20" if row["session_id"] == name else row["session_length"]
        assert sum(row["session_id"] == name for row in rows) < 20
    lines = {line for line, row in enumerate(rows, start=2) if row["session_id"] == name}
    words = {
        "cell": "holds 'four'",
        "nesting": "not nested",
        "row twice": "twice",
        "position twice": "twice",
    }
    return rows, lines, words.get(fault, "session_length")


FAULTS = (
    "cell",
    "nesting",
    "row twice",
    "position twice",
    "row missing",
    "last row missing",
    "length",
    "all lengths",
)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_wrong_row_takes_its_session_along_and_nothing_else(tmp_path, block, fault):
    rows, lines, words = with_fault(fault)
    events, rejected, source = extracted(tmp_path, text(rows))
    assert {row["line"] for row in rejected} == lines
    assert {row["file"] for row in rejected} == {str(tmp_path / "log.csv")}
    assert any(words in row["reason"] for row in rejected)
    assert len(set(events["session_key"].to_pylist())) == 39
    assert source["rows"] == len(rows) == source["plays"] + source["rejected"]
    # One row in 600 is wrong, whatever it takes along.
    assert read(tmp_path / "log.csv", MSSD, tolerance=1 / 400).height == source["plays"]
    with pytest.raises(UserError, match=r"1 of \d+ rows"):
        read(tmp_path / "log.csv", MSSD, tolerance=1 / 800)


def test_more_wrong_rows_than_tolerated_are_one_error_that_names_the_first(tmp_path):
    rows = log_rows(100)
    for at in (700, 300, 900):
        rows[at]["hour_of_day"] = "noon"
    (tmp_path / "log.csv").write_text(text(rows))
    message = mistake(tmp_path / "log.csv", MSSD, tolerance=2 / len(rows))
    assert "line 302: column 'hour_of_day' holds 'noon'" in message
    assert f"3 of {len(rows)} rows" in message
    assert "raw.tolerance" in message


def test_lines_in_an_archive_are_those_of_the_member(tmp_path):
    rows, lines, _ = with_fault("cell")
    other = MEMBER.replace("log_0", "log_1")
    archive = tar_gz([(MEMBER, GOOD), (other, text(rows).encode())])
    _, rejected, _ = extracted(tmp_path, archive, name="training_set_0.tar.gz")
    assert {row["line"] for row in rejected} == lines
    assert {row["file"] for row in rejected} == {f"{tmp_path / 'training_set_0.tar.gz'}, {other}"}


def test_what_was_set_apart_is_counted_in_stats(tmp_path):
    rows, lines, _ = with_fault("nesting")
    extracted(tmp_path, text(rows))
    stats = sampled(tmp_path, {"log": tmp_path / "log.csv"}, n_sessions=20, tolerance=0.01)["stats"]
    assert stats["counts"]["rows_rejected"] == len(lines)
    assert stats["counts"]["plays_read"] == len(rows)
    assert stats["counts"]["plays_sessionised"] == len(rows) - len(lines)


def test_a_session_in_two_logs_is_an_error(tmp_path):
    """Within a block it is set apart; wherever else it is, no session is taken twice."""
    rows = log_rows(20)
    logs = {name: tmp_path / f"{name}.csv" for name in ("log_a", "log_b")}
    for path in logs.values():
        path.write_text(text(rows))
    with pytest.raises(UserError, match="has two plays at position"):
        sampled(tmp_path, logs, n_sessions=5)


def test_a_log_that_is_there_twice_in_an_archive_is_an_error(tmp_path, block):
    path = written(tmp_path, [(MEMBER, GOOD), (MEMBER.replace("log_0", "log_1"), GOOD)])
    with pytest.raises(UserError, match="has two plays at position"):
        sampled(tmp_path, {"training_set_0": path}, n_sessions=5)


def test_whole_sessions_of_a_shuffled_log_by_hand():
    rows = pl.DataFrame(
        {
            "line": [2, 3, 4, 5, 6, 7],
            "session_id": ["b", "a", "b", "c", "a", "d"],
            "session_position": [2, 1, 1, 1, 2, 2],
            "session_length": [2, 2, 2, 3, 2, 2],
        }
    )
    whole, rest, wrong = whole_sessions(rows, last=False)
    assert whole["line"].to_list() == [4, 2, 3, 6]
    assert rest["line"].to_list() == [5, 7]
    assert wrong.is_empty()
    whole, rest, wrong = whole_sessions(rows, last=True)
    assert whole["line"].to_list() == [4, 2, 3, 6]
    assert rest.is_empty()
    assert wrong.select("line", "fault").rows() == [(5, "missing"), (7, "missing")]


# --- Cells: the fast parser is never believed where the slow one finds something

LAYOUT = Layout(
    {"name": pl.String, "n": pl.Int32, "flag": pl.Boolean, "note": pl.String, "small": pl.Int8},
    required=frozenset({"name", "n", "flag"}),
)
ODD = [
    "",
    " ",
    "x",
    "1",
    "-1",
    "+1",
    " 7",
    "7 ",
    "1.0",
    "1e3",
    "0x1f",
    "99999999999",
    "128",
    "-129",
    "nan",
    "null",
    "None",
    "true",
    "True",
    "TRUE",
    "yes",
    "0",
    "１",
    "é",
    '"',
    '""',
    '"a,b"',
    '"a',
    'a"b',
    "a,b",
    "\t",
    "\x00",
    "\ufeff",
]
CELL = st.sampled_from(ODD) | st.text(
    st.characters(exclude_characters="\n\r", exclude_categories=["Cs"]), max_size=4
)
MANY = settings(
    max_examples=200, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)


def by_hand(cells: list[str]) -> tuple | None:
    """What a row means, or None where it is wrong."""
    name, n, flag, note, small = cells
    flags = {"true": True, "1": True, "false": False, "0": False}
    try:
        number = _whole(n, 2**31)
        few = None if small == "" else _whole(small, 2**7)
    except ValueError:
        return None
    if name == "" or flag.strip().lower() not in flags:
        return None
    return name, number, flags[flag.strip().lower()], note or None, few


def _whole(cell: str, limit: int) -> int:
    if not cell.strip().lstrip("+-").isascii() or not cell.strip().lstrip("+-").isdigit():
        raise ValueError(cell)
    value = int(cell)
    if not -limit <= value < limit:
        raise ValueError(cell)
    return value


@MANY
@given(column=st.integers(0, 4), cell=CELL, before=st.integers(0, 3), last=st.booleans())
def test_a_bad_cell_is_read_right_or_set_apart(column, cell, before, last):
    """One odd cell among sound rows: the other rows come through, and this one means what it says
    or is set apart.
    """
    sound = ["a", "5", "true", "b", "3"]
    odd = [*sound[:column], cell, *sound[column + 1 :]]
    rows = [sound] * before + [odd] + ([] if last else [sound])
    data = "".join(",".join(row) + "\n" for row in rows).encode()
    right, wrong = parse_block(Block("x", b"name,n,flag,note,small\n" + data, 2, True), LAYOUT)
    others = [line for line in range(2, 2 + len(rows)) if line != before + 2]
    assert set(others) <= set(right["line"].to_list())
    assert sorted([*right["line"].to_list(), *wrong["line"].to_list()]) == list(
        range(2, 2 + len(rows))
    )
    for row in right.rows():
        if row[0] != before + 2:
            assert row[1:] == ("a", 5, True, "b", 3)
        elif '"' not in cell and "," not in cell:
            assert row[1:] == by_hand(odd)
    if '"' not in cell and "," not in cell and by_hand(odd) is not None:
        assert right.height == len(rows)
    if cell in ("a,b", '"a', 'a"b,c'):
        assert wrong["line"].to_list() == [before + 2]


@MANY
@given(
    st.lists(
        st.lists(st.sampled_from(["a", "1", "true", ""]), min_size=1, max_size=7),
        min_size=1,
        max_size=5,
    )
)
def test_rows_with_too_many_or_too_few_cells_are_set_apart_even_where_they_make_up_for_each_other(
    rows,
):
    data = "".join(",".join(row) + "\n" for row in rows).encode()
    right, wrong = parse_block(Block("x", b"name,n,flag,note,small\n" + data, 2, True), LAYOUT)
    blank = {line for line, row in enumerate(rows, start=2) if row == [""]}
    expected = {
        line for line, row in enumerate(rows, start=2) if len(row) == 5 and by_hand(row) is not None
    }
    assert set(right["line"].to_list()) == expected
    assert set(wrong["line"].to_list()) == set(range(2, 2 + len(rows))) - expected - blank


@pytest.mark.parametrize(
    "spelling", [("true", "false"), ("True", "False"), ("1", "0"), ("TRUE", "FALSE")]
)
def test_every_spelling_of_booleans_is_the_same_log(tmp_path, spelling):
    yes, no = spelling
    rows = log_rows(20)
    path = tmp_path / "log.csv"
    path.write_text(text(rows))
    expected = read(path, MSSD)
    flags = (
        "skip_1",
        "skip_2",
        "skip_3",
        "not_skipped",
        "premium",
        "hist_user_behavior_is_shuffle",
    )
    spelled = [row | {flag: yes if row[flag] == "true" else no for flag in flags} for row in rows]
    path.write_text(text(spelled))
    assert read(path, MSSD, tolerance=0).equals(expected)


@pytest.mark.parametrize(
    "change",
    ["CRLF", "BOM", "other order", "extra column", "no last newline", "quoted", "blank lines"],
)
def test_layouts_that_are_the_same_log(tmp_path, block, change):
    rows = log_rows(20)
    path = tmp_path / "log.csv"
    path.write_text(text(rows))
    expected = read(path, MSSD)
    content = {
        "CRLF": text(rows).replace("\n", "\r\n"),
        "BOM": "\ufeff" + text(rows),
        "other order": text(rows, COLUMNS[::-1]),
        "extra column": text(
            [row | {"extra": "a"} for row in rows], [*COLUMNS[:4], "extra", *COLUMNS[4:]]
        ),
        "no last newline": text(rows).rstrip(),
        "quoted": text(rows).replace("radio", '"radio"'),
        "blank lines": text(rows) + "\n\r\n",
    }[change]
    path.write_bytes(content.encode())
    assert read(path, MSSD, tolerance=0).equals(expected)


@pytest.mark.parametrize("column", list(mssd._LAYOUT.columns))
def test_every_missing_or_doubled_column_is_named(tmp_path, column):
    path = tmp_path / "log.csv"
    rows = log_rows(3)
    path.write_text(text(rows, [name for name in COLUMNS if name != column]))
    assert f"no column '{column}'" in mistake(path, MSSD)
    path.write_text(text(rows, [*COLUMNS, column]))
    assert f"has the column '{column}' twice" in mistake(path, MSSD)


# --- The sample


def sampled(
    folder,
    raw: dict,
    *,
    n_sessions: int,
    keep_share=None,
    parts: int = 1,
    threads: int = 1,
    tolerance=0.001,
    cut=20,
):
    """Sample from raw files by shard name, all the way; gives bytes of the outputs and the
    stats.
    """
    out = folder / f"run-{len(list(folder.iterdir()))}"
    out.mkdir()
    sessions = {"n_sessions": n_sessions, "min_length": 6, "max_length": cut, "sampling_seed": 1}
    entry = MSSD | {"parts": parts}
    if keep_share:
        entry["keep"] = {"share": keep_share, "sampling_seed": 1, "max_length": cut}
    recipe, machine = Recipe("mine", sessions=sessions, keep_share=keep_share), Machine(threads)
    for shard, path in raw.items():
        extract_events(
            path,
            out / f"{shard}.events",
            out / f"{shard}.source",
            out / "rejected",
            entry=entry,
            tolerance=tolerance,
        )
    for part in range(parts):
        label_sessions(
            [str(out / f"{shard}.events") for shard in raw],
            None,
            recipe,
            machine,
            part=part,
            out_labelled=str(out / f"{part}.labelled"),
            out_counts=str(out / f"{part}.counts"),
        )
    outputs = {name: str(out / name) for name in ("sessions", "tracks", "keys", "stats")}
    sample_sessions(
        [str(out / f"{part}.labelled") for part in range(parts)],
        [str(out / f"{part}.counts") for part in range(parts)],
        [str(out / f"{shard}.source") for shard in raw],
        recipe,
        machine,
        **{f"out_{name}": path for name, path in outputs.items()},
    )
    found = {name: (out / name).read_bytes() for name in ("sessions", "tracks", "keys")}
    return found | {"stats": read_json(out / "stats")}


def archives_of(
    folder, logs: list[list[dict]], split: list[int], name: str = "training_set_{}"
) -> dict:
    """The logs in archives of so many logs each."""
    made, left = (
        {},
        [
            (MEMBER.replace("20180715", f"201807{15 + i}"), text(rows).encode())
            for i, rows in enumerate(logs)
        ],
    )
    for i, n in enumerate(split):
        shard = name.format(i)
        made[shard] = folder / f"{shard}.tar.gz"
        made[shard].write_bytes(tar_gz(left[:n]))
        left = left[n:]
    assert not left
    return made


@pytest.mark.parametrize("cut", [20, 7])
def test_the_sample_does_not_depend_on_archives_names_parts_cores_or_the_share_kept(tmp_path, cut):
    logs = [log_rows(80, seed=seed) for seed in range(1, 6)]
    whole = sampled(tmp_path, archives_of(tmp_path, logs, [5]), n_sessions=40, cut=cut)
    assert whole["stats"]["counts"]["sessions"] == 40
    others = {
        "two archives": (archives_of(tmp_path, logs, [2, 3]), {}),
        "renamed, other order": (archives_of(tmp_path, logs[::-1], [1, 4], "z{}"), {}),
        "an archive a log, parts": (archives_of(tmp_path, logs, [1] * 5, "y{}"), {"parts": 3}),
        "two cores": (archives_of(tmp_path, logs, [5], "x{}"), {"threads": 2, "parts": 2}),
        "a share kept": (archives_of(tmp_path, logs, [2, 3], "w{}"), {"keep_share": 0.3}),
        "a share kept, in parts": (
            archives_of(tmp_path, logs, [2, 3], "v{}"),
            {"keep_share": 0.25, "parts": 2, "threads": 2},
        ),
    }
    for name, (raw, options) in others.items():
        found = sampled(tmp_path, raw, n_sessions=40, cut=cut, **options)
        for artifact in ("sessions", "tracks", "keys"):
            assert found[artifact] == whole[artifact], (name, artifact)


def test_a_share_that_is_kept_is_all_that_is_written(tmp_path):
    rows = log_rows(400)
    events, _, source = extracted(
        tmp_path, text(rows), MSSD | {"keep": {"share": 0.1, "sampling_seed": 1, "max_length": 20}}
    )
    names = list(dict.fromkeys(row["session_id"] for row in rows))
    drawn = draws(pl.Series(names), 0, 1)
    expected = {
        name for name, draw in zip(names, drawn.tolist(), strict=True) if draw <= bound(0.1)
    }
    assert set(events["session_key"].to_pylist()) == expected
    assert 20 < len(expected) < 60
    assert source["left_out"] == {"outside keep_share": len(rows) - events.num_rows}


def test_too_small_a_share_is_an_error_that_says_which_is_enough(tmp_path):
    raw = {"log": tmp_path / "log.csv"}
    raw["log"].write_text(text(log_rows(400)))
    with pytest.raises(UserError) as error:
        sampled(tmp_path, raw, n_sessions=80, keep_share=0.1)
    message = str(error.value)
    assert "80 sessions are asked for" in message
    assert "registry.mine.keep_share" in message
    enough = float(message.split("keep_share to ")[1].split(" ")[0])
    assert (
        sampled(tmp_path, raw, n_sessions=80, keep_share=enough)["stats"]["counts"]["sessions"]
        == 80
    )


def test_draws_are_those_of_the_sql():
    names = ["0_a", "65_é", "user@2020-01-01T00:00:00"]
    with Steps() as steps:
        steps.connection.sql("create table eligible (session_key varchar, piece int)")
        for name in names:
            steps.connection.execute("insert into eligible values (?, 0), (?, 3)", [name, name])
        for seed in (1, 77):
            found = {
                (key, piece): draw
                for key, piece, draw in steps.query("draw", seed=str(seed)).fetchall()
            }
            for piece in (0, 3):
                assert [found[name, piece] for name in names] == draws(
                    pl.Series(names), piece, seed
                ).tolist()


def test_a_part_is_told_by_the_key_alone(tmp_path):
    rows = log_rows(60)
    events, *_ = extracted(tmp_path, text(rows), MSSD | {"parts": 4})
    found = {(row["session_key"], row["part"]) for row in events.to_pylist()}
    assert found == {
        (name, zlib.crc32(name.encode()) % 4) for name in {row["session_id"] for row in rows}
    }
    assert all(part == part_of(name, 4) for name, part in found)
    assert {part for _, part in found} == {0, 1, 2, 3}


def test_row_groups_are_of_one_part(tmp_path, monkeypatch):
    """So that a job reads only what is its own."""
    monkeypatch.setattr(writer, "_WAITING", 300)
    monkeypatch.setattr(archives, "BLOCK", 3000)
    rows = log_rows(100)
    extracted(tmp_path, text(rows), MSSD | {"parts": 3})
    metadata = pq.ParquetFile(tmp_path / "events.out").metadata
    assert metadata.num_row_groups > 5
    for group in range(metadata.num_row_groups):
        statistics = metadata.row_group(group).column(0).statistics
        assert statistics.min == statistics.max
