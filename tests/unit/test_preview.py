"""What a file is taken for: every form and entry is recognised, the numbers are right, the overlay
fits the configuration, and what is no log is one line.
"""

import copy
import gzip
import re
import sys

import polars as pl
import pytest
import yaml
from examples import ROOT, default_config
from exports import KUAIRAND, array, layouts, lines, listen, stream, vk_lsvd, zipped, zvuk
from skipwise.commands.cli import main
from skipwise.commands.label import label_file
from skipwise.commands.preview import identify, preview
from skipwise.core.errors import UserError
from skipwise.core.mistakes import check_config
from skipwise.core.registry import declared, find, names
from skipwise.core.shards import raw_files
from skipwise.raw.glimpse import Glimpse
from snakemake.utils import update_config

SCHEMA = yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text("utf-8"))
DEFAULT = default_config()
REGISTRY = DEFAULT["registry"]
DERIVED = DEFAULT["lfm_skip_rules"]["rules"]


def previewed(*paths, **options) -> tuple[str, dict]:
    """The comments and the overlay, which must be a configuration that finds the files."""
    text = preview([*paths], **options)
    overlay = yaml.safe_load(text)
    config = copy.deepcopy(DEFAULT)
    update_config(config, overlay)
    check_config(config, SCHEMA)
    [name] = overlay["datasets"]
    found = raw_files(name, config["registry"][name], "resources")
    assert [*found.values()] == [str(path) for path in paths]
    return "".join(line for line in text.splitlines(True) if line.startswith("#")), overlay


def refused(*paths, **options) -> str:
    with pytest.raises(UserError) as error:
        preview([*paths], **options)
    assert "\n" not in str(error.value)
    assert str(paths[-1]) in str(error.value)
    return str(error.value)


ENTRY = {
    "columns": {"user": "user_id", "track": "track_id", "time": "event_time"},
    "session_gap": 1200,
    "skipped_when": "skipped",
    "skip_rule": {"name": "given"},
}
LOG = "user,track,started_at,seconds_played,title\n" + "".join(
    f"u{at % 2},t{at % 5},2021-03-01T{8 + at // 30:02}:{at % 60:02}:00Z,{10 * (at % 10)},x\n"
    for at in range(40)
)


class TestTables:
    def test_of_a_log_without_a_right_row_the_first_one_is_named(self, tmp_path):
        path = tmp_path / "plays.csv"
        path.write_text(re.sub(r"2021-03-01T(\S+?)Z", r"01.03.2021 \1", LOG))
        message = refused(path, named={"user": "user", "track": "track", "time": "started_at"})
        assert ", line 2: " in message
        assert "01.03.2021 08:00:00" in message

    def test_rows_of_a_parquet_file_have_numbers_of_their_own(self, tmp_path):
        path = tmp_path / "plays.parquet"
        plays = pl.read_csv(LOG.encode(), try_parse_dates=True)
        lasted = pl.col("seconds_played").cast(pl.Duration("ms"))
        plays.with_columns(user=lasted).write_parquet(path)
        named = {"user": "user", "track": "track", "time": "started_at"}
        assert ", row 1: column 'user' holds durations" in refused(path, named=named)

    def test_a_column_of_times_that_cannot_be_read_is_not_passed_over(self, tmp_path):
        path = tmp_path / "plays.csv"
        path.write_text(re.sub(r"2021-03-01T(\S+?)Z", r"01.03.2021 \1", LOG))
        message = refused(path)
        assert "column 'started_at' is called like a time, and '01.03.2021 08:00:00'" in message
        nested = tmp_path / "plays.parquet"
        held = {"user": ["u"] * 5, "track": ["t"] * 5, "timestamp": [[1, 2]] * 5}
        pl.DataFrame(held).write_parquet(nested)
        assert "'timestamp' is called like a time, and [1, 2] is none" in refused(nested)
        # With sessions given, times are not needed.
        path.write_text(path.read_text().replace("user,", "session,"))
        comments, _ = previewed(path)
        assert "the plays of a session are in the order of the file" in comments

    def test_numbers_that_may_be_a_skip_are_pointed_out(self, tmp_path):
        path = tmp_path / "plays.csv"
        path.write_text(LOG.replace("seconds_played", "мс"), encoding="utf-8")
        comments, overlay = previewed(path)
        assert overlay["registry"]["mine"]["skip_rule"]["name"] == "length_margin"
        assert "not used  мс: if one of them shows a skip, say so: --skipped-when 'мс < 30'" in (
            comments
        )
        assert "not used" not in previewed(path, skipped_when="мс < 30")[0]

    def test_a_log_with_named_columns(self, tmp_path):
        path = tmp_path / "plays.csv"
        path.write_text(LOG + "u1,t1,never,3,x\n")
        comments, overlay = previewed(path)
        assert overlay["registry"]["mine"] == {
            "form": "events",
            "columns": {"track": "track", "user": "user", "time": "started_at"},
            "session_gap": 1200,
            "skipped_when": "seconds_played < 30",
            "skip_rule": {"name": "given"},
            "paths": [str(path)],
        }
        assert overlay["sessions"] == {"n_sessions": None}
        for said in (
            "seconds_played (integer)",
            "text with a zone",
            "41 read, 1 rejected",
            f"{path}, line 42: the time 'never'",
            "a run ends with more than 0.1%",
            "40 of 5 tracks and 2 users",
            "2021-03-01 08:00 to 2021-03-01 09:39 UTC",
            "30.0%  seconds_played < 30 (in the overlay)",
            "gap_below seconds=30",
        ):
            assert said in comments

    @pytest.mark.parametrize(
        ("header", "row", "expected"),
        [
            ("userId,songId,ts,skip", "u,t,1614585600,true", {"skipped_when": "skip"}),
            ("uid,item_id,timestamp,played_pct", "u,t,1614585600000,70", {"time_unit": "ms"}),
            ("session_id,track_id,skipped", "s,t,1", {"session_gap": None}),
            ("session,user,song,rating", "s,u,t,5", {"skipped_when": "rating < 4"}),
            ("user,track,time", "u,t,2021-03-01 08:00:00", {"skip_rule": DERIVED[0]}),
            ("user,track,time,watch_ratio", "u,t,1614585600,0.9", {}),
            (
                "user,track,time,not_skipped",
                "u,t,1614585600,0",
                {"skipped_when": "not_skipped == 0"},
            ),
            (
                "user,track,time,neverSkipped",
                "u,t,1614585600,No",
                {"skipped_when": "neverSkipped == No"},
            ),
            ("user,track,time,not_skipped", "u,t,1614585600,1", {"skip_rule": DERIVED[0]}),
            (
                "user,track,time,spentMs",
                "u,t,1614585600,90000",
                {"skipped_when": "spentMs < 30000"},
            ),
            (
                "user,track,time,playback secs",
                "u,t,1614585600,90",
                {"skipped_when": "playback secs < 30"},
            ),
            *(
                (
                    f"user,track,time,{name}",
                    "u,t,1614585600,90000",
                    {"skipped_when": f"{name} < 30000"},
                )
                for name in ("msplayed", "MSPlayed", "video_play_time_ms", "playback_position_ms")
            ),
            *(
                (f"user,track,time,{name}", f"u,t,1614585600,{value}", {"skipped_when": rule})
                for name, value, rule in (
                    ("play_duration", 200_000, "play_duration < 30000"),
                    ("play_duration", 5000, "play_duration < 30"),
                    ("completion", 98, "completion < 50"),
                    ("play_ratio", 1.4, "play_ratio < 0.5"),
                    ("watch_ratio", 2.5, "watch_ratio < 0.5"),
                    ("played_seconds", 9000, "played_seconds < 30"),
                )
            ),
            (
                "user,track,end_time,ms_played,skipped",
                "u,t,2021-03-01 08:00,90000,1",
                {"time_is": "end", "columns": {"duration": "ms_played"}, "duration_unit": "ms"},
            ),
            (
                "user,track,time,seconds_listened_to",
                "u,t,1614585600,90",
                {"skipped_when": "seconds_listened_to < 30"},
            ),
            (
                "user,track,time_of_play",
                "u,t,1614585600",
                {"columns": {"time": "time_of_play"}, "skip_rule": DERIVED[0]},
            ),
            ("user,track,endTime,skip", "u,t,2021-03-01 08:00,1", {"columns": {"time": "endTime"}}),
            ("user,track,created_at,skip", "u,t,1614585600,1", {"columns": {"time": "created_at"}}),
            *(
                (f"user,track,time,{name}", f"u,t,1614585600,{value}", {"skip_rule": DERIVED[0]})
                for name, value in (
                    *(("duration_ms", 180000), ("playlist_id", 100), ("play_count", 100)),
                    *(("generation", 2020), ("registration_year", 2020), ("display_ms", 2000)),
                    *(("shared", 1), ("listeners", 1000), ("listened_at", 1614585600)),
                )
            ),
        ],
    )
    def test_columns_and_rules_by_their_names(self, tmp_path, header, row, expected):
        path = tmp_path / "log.csv"
        path.write_text(f"{header}\n{row}\n{row}\n")
        entry = identify(Glimpse(path), REGISTRY, DERIVED).entry
        for key, value in expected.items():
            if isinstance(value, dict):
                assert value.items() <= entry[key].items()
            else:
                assert entry[key] == value
        if not expected:
            assert entry["skipped_when"] == "watch_ratio < 0.5"

    def test_cells_of_any_kind_stay_in_the_comments(self, tmp_path):
        path = tmp_path / "plays.csv"
        path.write_text(LOG + 'u1,t1,"nev\u2028\ner\a: [",3,x\n', encoding="utf-8")
        comments, _ = previewed(path)
        assert "the time 'nev  er : ['" in comments

    def test_only_some_rows_are_counted(self, tmp_path, monkeypatch):
        monkeypatch.setattr("skipwise.raw.tables._ROWS", 10)
        path = tmp_path / "plays.parquet"
        pl.read_csv(LOG.encode()).write_parquet(path)
        comments, overlay = previewed(path, most=20)
        assert "20 read, the first ones" in comments
        assert "sessions" not in overlay

    def test_several_files_of_one_kind(self, tmp_path):
        for name in ("a.csv", "b.csv"):
            (tmp_path / name).write_text(LOG.replace("2021", "2021" if name == "a.csv" else "2022"))
        comments, _ = previewed(tmp_path / "a.csv", tmp_path / "b.csv")
        assert "80 of 5 tracks" in comments

    def test_a_rule_that_one_of_the_files_cannot_have_has_no_share(self, tmp_path):
        rows = "u,t,2021-03-01 08:00:00,1"
        (tmp_path / "a.csv").write_text(f"user,track,time,skipped,rating\n{rows},5\n")
        (tmp_path / "b.csv").write_text(f"user,track,time,skipped\n{rows}\n")
        comments, overlay = previewed(tmp_path / "a.csv", tmp_path / "b.csv")
        assert overlay["registry"]["mine"]["skipped_when"] == "skipped"
        assert "     –  rating < 4\n" in comments

    def test_an_end_without_a_duration_is_pointed_out(self, tmp_path):
        path = tmp_path / "plays.csv"
        path.write_text("user,track,end_time,skipped\nu,t,2021-03-01 08:00:00,1\n")
        assert "end_time is called like an end and read as a start" in previewed(path)[0]

    @pytest.mark.parametrize(
        ("time", "expected"),
        [
            ("2021-03-01T08:00:00-05:00", "text with a zone"),
            ("2021-03-01 08:00:00.5Z", "text with a zone"),
            ("2021-03-01 08:00:00", "text without a zone"),
            ("1.614585600000e+09", "unix numbers in s"),
        ],
    )
    def test_how_times_are_written(self, tmp_path, time, expected):
        path = tmp_path / "plays.csv"
        path.write_text(f"user,track,time,skipped\nu,t,{time},1\n")
        assert f"times are {expected}" in previewed(path)[0]

    def test_nested_and_missing_numbers_are_passed_over(self, tmp_path):
        path = tmp_path / "plays.csv"
        rows = "".join(f"u,t,2021-03-01 08:0{at}:00,{at * 20 or 'NaN'}\n" for at in range(5))
        path.write_text(f"user,track,time,seconds_played\n{rows}")
        assert identify(Glimpse(path), REGISTRY, DERIVED).rules == ["seconds_played < 30"]
        path = tmp_path / "plays.parquet"
        held = {"user": ["u"], "track": ["t"], "ended_at": ["2021-03-01 08:00:00"]}
        pl.DataFrame(held | {"skipped": [True], "listened": [[1, 2]]}).write_parquet(path)
        assert identify(Glimpse(path), REGISTRY, DERIVED).rules == ["skipped"]

    def test_a_folder_is_a_column_where_the_file_has_none(self, tmp_path):
        path = tmp_path / "date=2021-03-01/plays.csv"
        path.parent.mkdir()
        path.write_text("user_id,track_id,event_time,skipped\nu,t,2021-03-01 08:00:00,1\n")
        assert previewed(path)[1]["registry"]["mine"]["columns"]["time"] == "event_time"
        assert list(label_file(path, entry=ENTRY).columns)[:4] == [
            *("user_id", "track_id", "event_time", "session"),
        ]

    def test_a_folder_is_a_column(self, tmp_path):
        path = tmp_path / "user=ann/plays.csv"
        path.parent.mkdir()
        path.write_text("track,time,skipped\nt,2021-03-01 08:00:00,1\n")
        comments, overlay = previewed(path)
        assert overlay["registry"]["mine"]["columns"]["user"] == "user"
        assert "1 of 1 tracks and 1 users" in comments

    def test_empty_columns_of_a_spreadsheet_are_none(self, tmp_path):
        path = tmp_path / "plays.csv"
        path.write_text("user,track,time,skipped,,\nu,t,2021-03-01 08:00:00,1,,\n")
        assert (
            "columns   user (text), track (text), time (text), skipped (integer)\n"
            in (previewed(path)[0])
        )

    def test_a_file_twice_is_read_once_and_a_copy_is_said(self, tmp_path):
        path, copy = tmp_path / "plays.csv", tmp_path / "copy.csv"
        path.write_text(LOG)
        copy.write_text(LOG)
        assert preview([path, tmp_path / "." / "plays.csv"]) == preview([path])
        assert "a run ends here: mine: " in preview([path, copy])
        assert "have the same play" in preview([path, copy])

    def test_what_a_skip_is_may_be_said_of_a_form(self, tmp_path):
        (tmp_path / "ratings.inter").write_text(
            "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
            + "".join(f"1\t{at}\t{at % 5}\t{880_000_000 + at}\n" for at in range(20))
        )
        read = yaml.safe_load(
            preview([tmp_path / "ratings.inter"], skipped_when="rating:float < 2")
        )
        [entry] = read["registry"].values()
        assert entry["skipped_when"] == "rating:float < 2"
        assert entry.keys() == {"skipped_when", "skip_rule", "paths"}
        path = tmp_path / "Streaming_History_Audio_2021.json"
        path.write_text(array([stream(at) for at in range(9)]))
        read = yaml.safe_load(preview([path], skipped_when="ms_played < 30000"))
        assert read["registry"]["spotify"]["skipped_when"] == "ms_played < 30000"
        # Of a column that the form does not read, it is a table like any other.
        yambda = {"uid": [1], "timestamp": [5], "item_id": [2], "is_organic": [1], "liked": [0]}
        yambda |= {"played_ratio_pct": [9], "track_length_seconds": [180]}
        pl.DataFrame(yambda).write_parquet(tmp_path / "y.parquet")
        assert [*yaml.safe_load(preview([tmp_path / "y.parquet"]))["registry"]] == ["yambda"]
        read = yaml.safe_load(preview([tmp_path / "y.parquet"], skipped_when="liked == 0"))
        assert read["registry"]["mine"]["form"] == "events"
        names = "userid-timestamp-artid-artname-traid-traname.tsv"
        (tmp_path / names).write_text("user_000001\t2009-05-04T23:08:57Z\t\ta\t\tb\n")
        with pytest.raises(UserError, match="the form lfm1k has no columns for a rule"):
            preview([tmp_path / names], skipped_when="played < 3")

    def test_a_table_of_recbole_without_ratings(self, tmp_path):
        path = tmp_path / "plays.inter"
        path.write_text("user_id:token\titem_id:token\ttimestamp:float\n1\t2\t1600000000\n")
        said = preview([path])
        assert "track: item_id:token, user: user_id:token, time: timestamp:float" in said

    def test_files_of_different_kinds_are_refused(self, tmp_path):
        (tmp_path / "a.csv").write_text(LOG)
        (tmp_path / "b.jsonl").write_text(lines([listen(0)]))
        assert "preview them one by one" in refused(tmp_path / "a.csv", tmp_path / "b.jsonl")


def mssd(folder):
    path = folder / "log_mini.csv"
    row = "0_aa,{at},10,t_{at},{skip},{skip},{skip},false,9,true,radio\n"
    path.write_text(
        "session_id,session_position,session_length,track_id_clean,skip_1,skip_2,skip_3,"
        "hist_user_behavior_is_shuffle,hour_of_day,premium,context_type\n"
        + "".join(row.format(at=at, skip=at % 2) for at in range(1, 11))
    )
    return path


def lfm1k(folder):
    path = folder / "userid-timestamp-artid-artname-traid-traname.tsv"
    rows = [f"user_1\t2009-05-04T23:{at:02}:57Z\t\tAn artist\t\tTrack {at % 4}" for at in range(9)]
    path.write_text("\n".join(reversed(rows)) + "\n")
    return path


def lfm2b(folder):
    path = folder / "listening-events.tsv.gz"
    rows = [f"7\t{at % 4}\t1\t2019-01-21 11:{at:02}:00" for at in range(9)]
    text = "\n".join(["user_id\ttrack_id\talbum_id\ttimestamp", *rows]) + "\n"
    path.write_bytes(gzip.compress(text.encode()))
    return path


def movielens(folder):
    rows = "".join(f"1\t{at}\t{1 + at % 5}\t{881250949 + at}\n" for at in range(20))
    return zipped(folder / "ml-100k.zip", {"ml-100k/README": "x", "ml-100k/u.data": rows})


def yambda(folder):
    columns = {"uid": [1] * 10, "timestamp": [5 * at for at in range(10)], "item_id": range(10)}
    columns |= {"is_organic": [1] * 10, "played_ratio_pct": [10 * at for at in range(10)]}
    pl.DataFrame(columns | {"track_length_seconds": [180] * 10}).write_parquet(folder / "x.parquet")
    return folder / "x.parquet"


def spotify(folder):
    return layouts(folder)["zip"]


def listenbrainz(folder):
    path = folder / "2.jsonl"
    path.write_text(lines([listen(at) for at in range(9)]))
    return path


def kuairand(folder):
    path = folder / "log_standard_4_08_to_4_21_1k.csv"
    path.write_text(KUAIRAND)
    return path


def recbole(folder):
    path = folder / "mine.inter"
    header = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
    path.write_text(header + "1\t2\t3\t881250949\n1\t3\t4\t881250950\n")
    return path


FORMS = {
    "mssd": (mssd, "mssd", "50.0%"),
    "lfm1k": (lfm1k, "lfm1k", "length_margin"),
    "lfm2b": (lfm2b, "lfm2b", "length_margin"),
    "movielens": (movielens, "ml100k", "60.0%  rating < 4"),
    "yambda": (yambda, "yambda", "50.0%  played_ratio_pct < 50"),
    "spotify": (spotify, "spotify", "28.6%  reason_end == fwdbtn"),
    "listenbrainz": (listenbrainz, "listenbrainz", "known_length"),
    "events, zvuk": (zvuk, "zvuk", "50.0%  play_duration < 30"),
    "events, kuairand": (kuairand, "kuairand", "50.0%  long_view == 0"),
    "events, vk-lsvd": (vk_lsvd, "vk-lsvd", "33.3%  dislike"),
    "events, recbole": (recbole, "recbole", "50.0%  rating:float < 4"),
}


class TestForms:
    @pytest.mark.parametrize("case", FORMS)
    def test_each_is_recognised(self, tmp_path, case):
        made, name, said = FORMS[case]
        path = made(tmp_path)
        comments, overlay = previewed(path)
        assert overlay["registry"] == {name: {"paths": [str(path)]}}
        assert f"form {case.split(',')[0]}, data set {name}" in comments
        assert said in comments

    def test_every_form_recognises_its_files_or_is_told_its_columns(self):
        assert {case.split(",")[0] for case in FORMS} == {*names("raw form")}
        for form in names("raw form"):
            told = "columns" in declared("raw form", form).get("NEEDS", ())
            assert hasattr(find("raw form", form), "recognises") != told

    @pytest.mark.parametrize("layout", ["zip", "Streaming_History_Audio_2021_0", "endsong_0"])
    def test_every_layout_of_spotify(self, tmp_path, layout):
        comments, _ = previewed(layouts(tmp_path)[layout])
        assert "1 left out: a podcast" in comments
        assert "7 of 5 tracks and 1 users" in comments


class TestOther:
    @pytest.mark.parametrize(
        ("name", "content", "expected"),
        [
            ("songs.csv", b"title_of_it,length\nx,3\n", "no column is called like a track"),
            ("songs.csv", b"track,length\nx,3\n", "no column is called like a user or session"),
            ("log.csv", b"session,track\nu,t\n", "no column that shows a skip"),
            ("log.csv", b"user,track,skipped\nu,t,1\n", "name one: --time, or --session"),
            ("log.csv", b"user,track,endTime\nu,t,2021-03-01\n", "only from the starts"),
            ("log.csv", b"user,track,time,skipped\n", "holds no plays: it has a header and no"),
            ("empty.csv", b"", "is empty"),
            ("a.pdf", b"%PDF-1.7\n\0\xff", "no column is called like a track"),
            ("a.bin", bytes(range(256)), "is not delimited text"),
            ("a.parquet", b"no", "is not a readable parquet file"),
            ("a.zip", b"no", "is damaged"),
            ("a.csv.gz", b"no", "is damaged"),
            ("StreamingHistory_music_0.json", array([{"endTime": "x"}]).encode(), "no column"),
            ("a.txt", "no log, but a text of one line".encode("utf-16"), "is UTF-16"),
        ],
    )
    def test_what_is_no_log_is_one_line(self, tmp_path, name, content, expected):
        path = tmp_path / name
        path.write_bytes(content)
        assert expected in refused(path)

    def test_a_zip_of_other_things(self, tmp_path):
        path = zipped(tmp_path / "x.zip", {"photos/1.jpg": b"\0", "2.pdf": b"\0"})
        assert "one kind" in refused(path)

    def test_a_history_without_plays(self, tmp_path):
        path = tmp_path / "endsong_0.json"
        path.write_text(array([stream(0, spotify_track_uri=None)]))
        assert "no plays" in refused(path)


def test_the_command_writes_the_overlay(tmp_path, monkeypatch, capsys):
    (tmp_path / "plays.csv").write_text(LOG)
    arguments = ["preview", str(tmp_path / "plays.csv"), "--out", str(tmp_path / "mine.yaml")]
    monkeypatch.setattr(sys, "argv", ["skipwise", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    assert capsys.readouterr().out == ""
    assert yaml.safe_load((tmp_path / "mine.yaml").read_text("utf-8"))["datasets"] == ["mine"]
