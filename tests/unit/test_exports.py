"""Files that people ask a service for, and published logs: made-up samples that have every field
of the published schema (docs/data.md), read by their form and registry entry.
"""

import json
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest
from examples import default_config, label_and_sample_sessions
from exports import (
    ENDS,
    KUAIRAND,
    PRIVATE,
    START,
    array,
    layouts,
    lines,
    listen,
    stream,
    tarred,
    vk_lsvd,
    zipped,
    zvuk,
)
from skipwise.core.artifacts import read_artifact, read_json
from skipwise.core.config import raw_entry
from skipwise.core.errors import UserError
from skipwise.raw import tables
from skipwise.raw.extract import extract_events

REGISTRY = default_config()["registry"]


def events_of(path: Path, name: str, **changed) -> pl.DataFrame:
    """The events of a file by an entry of the registry."""
    out = path.parent
    entry = REGISTRY[name] | {"parts": 1} | changed
    extract_events(path, out / "events", out / "source", out / "rejected", entry=entry)
    return pl.DataFrame(read_artifact("events", out / "events"))


def refused(path: Path, name: str, **changed) -> str:
    with pytest.raises(UserError) as error:
        events_of(path, name, **changed)
    assert "\n" not in str(error.value)
    return str(error.value)


def left_out(path: Path) -> dict:
    return read_json(path.parent / "source")["left_out"]


# --- Spotify


class TestSpotify:
    @pytest.mark.parametrize("layout", ["zip", "Streaming_History_Audio_2021_0", "endsong_0"])
    def test_plays_of_every_layout(self, tmp_path, layout):
        path = layouts(tmp_path)[layout]
        found = events_of(path, "spotify")
        assert found["skipped"].to_list() == [label for _, _, label in ENDS]
        assert found["track_key"].to_list() == [f"spotify:track:{at % 5}" for at in range(7)]
        assert found["shuffle"].to_list() == [at % 2 == 0 for at in range(7)]
        assert found["started_at"].to_list() == [
            START + timedelta(seconds=200 * at, milliseconds=-30_000 - at) for at in range(7)
        ]
        person = {"zip": str(path), "endsong_0": "ann"}.get(layout, str(tmp_path))
        assert set(found["session_key"]) == {person}
        books = {} if layout == "endsong_0" else {"an audiobook": 1}
        assert left_out(path) == {"a podcast": 1} | books

    @pytest.mark.parametrize("layout", ["zip", "Streaming_History_Audio_2021_0", "endsong_0"])
    def test_addresses_countries_and_devices_reach_no_artifact(self, tmp_path, layout):
        """Not even by an invalid row, which is listed with what is wrong."""
        path = layouts(tmp_path)[layout]
        if path.suffix == ".json":
            rows = json.loads(path.read_text())
            rows.append(stream(20, ts="monday", is_old=layout == "endsong_0"))
            path.write_text(array(rows))
        out = {name: tmp_path / name for name in ("events", "source", "rejected")}
        extract_events(path, *out.values(), entry=REGISTRY["spotify"], tolerance=0.5)
        written = [out["source"].read_text()]
        written += [str(pq.read_table(out[name]).to_pylist()) for name in ("events", "rejected")]
        secrets = [*PRIVATE.values(), "An artist", "samsung", "203.0", "Mozilla"]
        assert [word for word in secrets for text in written if word in text] == []

    @pytest.mark.parametrize(
        ("rule", "expected"),
        [
            ("ms_played < 30003", [True] * 3 + [False] * 4),
            ("reason_end == fwdbtn", [True, False, True, False, False, False, False]),
            ("skipped", [True, False, None, None, None, None, False]),
        ],
    )
    def test_another_definition_of_a_skip(self, tmp_path, rule, expected):
        path = layouts(tmp_path)["zip"]
        assert events_of(path, "spotify", skipped_when=rule)["skipped"].to_list() == expected

    def test_a_rule_may_not_name_what_is_not_read(self, tmp_path):
        message = refused(layouts(tmp_path)["zip"], "spotify", skipped_when="conn_country == SE")
        assert "no column 'conn_country'" in message

    def test_plays_that_end_at_one_time_are_no_batch_for_a_rule_of_gaps(self, tmp_path):
        """Their starts are not moved to one, of which all but the first would be left out."""
        path = tmp_path / "Streaming_History_Audio_2021_0.json"
        rows = [stream(at, ms_played=played) for at, played in ((0, 9000), (1, 200), (1, 1100))]
        path.write_text(array(rows))
        rule = {"name": "gap_below", "seconds": 30}
        config = default_config({"registry": {"spotify": {"skip_rule": rule}}})
        starts = events_of(path, "spotify", **raw_entry(config, "spotify"))["started_at"]
        assert starts.n_unique() == 3

    def test_files_of_ones_own_are_left_out(self, tmp_path):
        path = tmp_path / "endsong_0.json"
        path.write_text(array([stream(0), stream(1, spotify_track_uri=None)]))
        assert events_of(path, "spotify").height == 1
        assert left_out(path) == {"no track of Spotify": 1}

    def test_the_history_of_one_year_is_refused(self, tmp_path):
        """The smaller package of account data says nothing of skips."""
        path = tmp_path / "StreamingHistory_music_0.json"
        row = {"endTime": "2021-03-01 20:00", "artistName": "a", "trackName": "b", "msPlayed": 9}
        path.write_text(array([row]))
        assert "has no column 'ts'" in refused(path, "spotify")

    def test_an_archive_of_something_else_is_refused(self, tmp_path):
        path = zipped(tmp_path / "x.zip", {"photos/1.jpg": b"x"})
        assert "holds no *Streaming_History_Audio_*.json" in refused(path, "spotify")

    @pytest.mark.parametrize("chunk", [1, 7, 100, 2**20])
    def test_an_array_in_an_archive_is_read_in_pieces(self, tmp_path, monkeypatch, chunk):
        monkeypatch.setattr(tables, "_HEAD", chunk)
        rows = [stream(at, master_metadata_track_name='é "]" , {') for at in range(9)]
        name = "Streaming_History_Audio_2021_0.json"
        path = zipped(tmp_path / "x.zip", {name: json.dumps(rows, indent=2)})
        assert events_of(path, "spotify").height == 9

    @pytest.mark.parametrize("end", [-1, -2, -30])
    def test_an_array_that_is_cut_short_is_refused(self, tmp_path, end):
        name = "Streaming_History_Audio_2021_0.json"
        path = zipped(tmp_path / "x.zip", {name: array([stream(0), stream(1)])[:end]})
        assert "not readable as json" in refused(path, "spotify")

    @pytest.mark.parametrize("names", [("Streaming_History_Audio_2021_0", "again"), ("twice",)])
    def test_the_same_plays_in_two_layouts_are_refused(self, tmp_path, names):
        paths, text = layouts(tmp_path), array([*map(stream, range(7))])
        paths["again"] = tmp_path / "Streaming_History_Audio_2021_1.json"
        paths["again"].write_text(text)
        members = {f"a/Streaming_History_Audio_2021_{at}.json": text for at in range(2)}
        paths["twice"] = zipped(tmp_path / "twice.zip", members)
        shards = []
        for name in names:
            out = tmp_path / f"shard={name}"
            out.mkdir()
            entry = REGISTRY["spotify"]
            extract_events(paths[name], out / "events", out / "source", entry=entry)
            shards.append(out)
        with pytest.raises(UserError, match="have the same play"):
            label_and_sample_sessions(
                *([str(out / name) for out in shards] for name in ("events", "source")),
                dataset="mine",
                form="spotify",
                session_gap=1200,
                sessions={"n_sessions": None, "min_length": 1, "max_length": 20},
                **{f"out_{name}": "" for name in ("sessions", "tracks", "keys", "stats")},
            )


# --- ListenBrainz


INFO = [{"duration_ms": 90_000}, {"duration": 240}, {}, {"duration_ms": 0}, {"duration": "3:20"}]
LENGTHS = [90.0, 240.0, None, None, None]


class TestListenBrainz:
    def plays(self, is_dump: bool) -> str:
        return lines([listen(at, is_dump=is_dump, **info) for at, info in enumerate(INFO)])

    def check(self, found: pl.DataFrame, person: str) -> None:
        assert found["track_key"].to_list() == [f"Éa\tTrack {at % 3}" for at in range(5)]
        assert found["track_length"].to_list() == LENGTHS
        assert found["started_at"].to_list() == [
            START + timedelta(seconds=100 * at) for at in range(5)
        ]
        assert set(found["session_key"]) == {person}
        assert found["skipped"].null_count() == 5

    def test_an_export(self, tmp_path):
        members = {
            "user.json": '{"user_id": 7, "username": "ann"}\n',
            "listens/2021/2.jsonl": self.plays(False),
            "feedback.jsonl": '{"recording_msid": null, "score": 1, "created": 1614628800}\n',
            "pinned_recording.jsonl": "",
        }
        path = zipped(tmp_path / "listenbrainz_ann_1614628800.zip", members)
        self.check(events_of(path, "listenbrainz"), str(path))

    def test_a_file_of_an_export_belongs_to_the_folder_above_listens(self, tmp_path):
        path = tmp_path / "ann/listens/2021/2.jsonl"
        path.parent.mkdir(parents=True)
        path.write_text(self.plays(False))
        self.check(events_of(path, "listenbrainz"), str(tmp_path / "ann"))

    @pytest.mark.parametrize("suffix", ["tar.zst", "tar.xz", "tar"])
    def test_a_dump(self, tmp_path, suffix):
        top = "listenbrainz-listens-dump-183-20200727-001004-full"
        members = {f"{top}/COPYING": "CC0", f"{top}/TIMESTAMP": "2020-07-27"}
        members[f"{top}/listens/2021/2.listens"] = self.plays(True)
        path = tarred(tmp_path / f"{top}.{suffix}", members)
        self.check(events_of(path, "listenbrainz"), "ann")

    def test_a_file_of_a_dump(self, tmp_path):
        path = tmp_path / "2.listens"
        path.write_text(self.plays(True))
        self.check(events_of(path, "listenbrainz"), "ann")

    def test_times_in_another_unit_are_not_to_be_set(self, tmp_path):
        path = tmp_path / "1.jsonl"
        path.write_text(
            lines([listen(at) | {"listened_at": 1614628800000 + at} for at in range(9)])
        )
        message = refused(path, "listenbrainz")
        assert "it is one in milliseconds, write it in seconds, as the form has it" in message

    def test_a_listen_without_a_name_is_rejected(self, tmp_path):
        broken = listen(0)
        broken["track_metadata"]["track_name"] = ""
        path = tmp_path / "2.jsonl"
        path.write_text(lines([broken]))
        assert "line 1: column 'track' is empty" in refused(path, "listenbrainz")

    def test_the_length_that_the_data_gives_decides(self, tmp_path):
        """Starts are 100 s apart: a track of 90 s was over, one of 240 s was not, and for one of
        unknown length it depends on the default.
        """
        path = tmp_path / "2.jsonl"
        path.write_text(self.plays(False))
        events_of(path, "listenbrainz")
        outputs = {f"out_{name}": str(tmp_path / name) for name in ("sessions", "tracks", "keys")}
        label_and_sample_sessions(
            [str(tmp_path / "events")],
            [str(tmp_path / "source")],
            dataset="mine",
            skip_rule=REGISTRY["listenbrainz"]["skip_rule"],
            session_gap=1200,
            sessions={"n_sessions": None, "min_length": 1, "max_length": 20, "sampling_seed": 1},
            **outputs,
            out_stats=str(tmp_path / "stats"),
        )
        labels = pl.read_parquet(tmp_path / "sessions").sort("position")["skipped"]
        assert labels.to_list() == [False, True, True, True, None]


# --- Published logs that the form events reads by an entry of the registry


class TestZvuk:
    def test_sessions_are_given(self, tmp_path):
        path = zvuk(tmp_path)
        found = events_of(path, "zvuk")
        assert found["session_key"].to_list() == ["5@1", "5@1", "5@2", "6@1"]
        assert found["skipped"].to_list() == [True, False, False, True]
        assert found["started_at"].to_list() == [
            START + timedelta(seconds=60 * at) for at in range(4)
        ]


class TestKuaiRand:
    def test_a_skip_is_no_long_view(self, tmp_path):
        path = tmp_path / "log_random_4_22_to_5_08_1k.csv"
        path.write_text(KUAIRAND)
        found = events_of(path, "kuairand")
        assert found["skipped"].to_list() == [False, True]
        assert found["track_key"].to_list() == ["1123453", "88"]
        assert found["started_at"][0] == datetime(2022, 4, 20, 20, 16, 41, 301_000)
        assert found["track_length"].to_list() == [104.4, 58.0]

    def test_hate_is_another_rule(self, tmp_path):
        path = tmp_path / "log_random_4_22_to_5_08_1k.csv"
        path.write_text(KUAIRAND)
        found = events_of(path, "kuairand", skipped_when="is_hate")
        assert found["skipped"].to_list() == [False, True]

    def test_hate_makes_a_long_view_a_skip_too(self, tmp_path):
        path = tmp_path / "log_random_4_22_to_5_08_1k.csv"
        cells = KUAIRAND.splitlines()[1].split(",")
        cells[10] = "1"  # is_hate of what was viewed long
        path.write_text(
            KUAIRAND + ",".join(cells) + "\n" + ",".join([*cells[:10], "", *cells[11:]])
        )
        found = events_of(path, "kuairand", disliked_when="is_hate")
        assert found["skipped"].to_list() == [False, True, True, False]

    def test_events_keep_whether_a_video_was_shown_at_random(self, tmp_path):
        path = tmp_path / "log_random_4_22_to_5_08_1k.csv"
        path.write_text(KUAIRAND)
        assert events_of(path, "kuairand")["is_random"].to_list() == [False, True]


class TestVkLsvd:
    @pytest.fixture
    def path(self, tmp_path):
        return vk_lsvd(tmp_path)

    def test_a_session_is_the_week_of_a_user(self, path):
        found = events_of(path, "vk-lsvd")
        users = [key.split("@")[0] for key in found["session_key"]]
        assert users == ["5470747", "4", "5470747"]
        assert found["session_key"].n_unique() == 2
        assert found["position"].to_list() == [1, 2, 3]
        assert found["skipped"].to_list() == [False, True, False]

    def test_a_dislike_is_another_rule(self, path):
        found = events_of(path, "vk-lsvd", skipped_when="dislike")
        assert found["skipped"].to_list() == [False, True, False]

    def test_a_dislike_counts_besides_the_time_spent(self, path):
        one = {"skipped_when": "timespent > 20", "disliked_when": "dislike"}
        assert events_of(path, "vk-lsvd", **one)["skipped"].to_list() == [True, True, False]


def test_an_atomic_file_of_recbole(tmp_path):
    path = tmp_path / "mine.inter"
    header = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
    path.write_text(header + '1\t"a"\t3\t881250949\n2\tb\t4.5\t881250950.0\n')
    found = events_of(path, "recbole")
    assert found.select("session_key", "track_key", "skipped").rows() == [
        ("1", '"a"', True),
        ("2", "b", False),
    ]
