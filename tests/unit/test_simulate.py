"""Simulated raw files are in the official forms, have the published aggregates, and hold the effect
that they say.
"""

import bz2
import gzip
import io
import itertools
import re
import tarfile

import numpy as np
import polars as pl
import pytest
from skipwise.core.errors import UserError
from skipwise.raw.extract import read_plays
from skipwise.raw.forms.lfm1k import MEMBER
from skipwise.raw.forms.mssd import COLUMNS
from skipwise.raw.ledger import Ledger
from skipwise.simulation.listeners import Listeners, simulate_plays
from skipwise.simulation.writers import simulate_raw

pytestmark = pytest.mark.long

NAMES = {
    "mssd": "training_set_0.tar.gz",
    "lfm1k": "lastfm-dataset-1K.tar.gz",
    "lfm2b": "listening-events.tsv.bz2",
}
SIMULATION = {"sessions": 2000, "tracks": 1500, "users": 150, "seed": 1}
SMALL = {"sessions": 60, "tracks": 80, "users": 5, "seed": 1}


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """One simulated file of each form."""
    folder = tmp_path_factory.mktemp("raw")
    for form, name in NAMES.items():
        simulate_raw(folder / name, form=form, simulation=SIMULATION)
    return {form: folder / name for form, name in NAMES.items()}


def read(path, form: str) -> pl.DataFrame:
    return pl.concat(read_plays(path, {"form": form}, Ledger(str(path), 0.0)))


def members(path) -> dict[str, bytes]:
    with tarfile.open(path) as archive:
        return {member.name: archive.extractfile(member).read() for member in archive}


@pytest.fixture(scope="module")
def logs(raw) -> dict[str, pl.DataFrame]:
    """The logs of the simulated MSSD archive as they stand there, all 21 columns."""
    return {
        name: pl.read_csv(io.BytesIO(content)) for name, content in members(raw["mssd"]).items()
    }


@pytest.fixture(scope="module")
def mssd(logs) -> pl.DataFrame:
    return pl.concat(logs.values())


# --- Every form


@pytest.mark.parametrize("form", NAMES)
def test_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path, form):
    for name, seed in {"one": 1, "two": 1, "other": 2}.items():
        simulate_raw(tmp_path / name / NAMES[form], form=form, simulation=SMALL | {"seed": seed})
    one, two, other = (
        (tmp_path / name / NAMES[form]).read_bytes() for name in ("one", "two", "other")
    )
    assert one == two
    assert one != other


def test_gzip_headers_hold_neither_a_name_nor_the_time_of_writing(tmp_path):
    simulate_raw(tmp_path / NAMES["mssd"], form="mssd", simulation=SMALL)
    header = (tmp_path / NAMES["mssd"]).read_bytes()[:10]
    assert header[:4] == b"\x1f\x8b\x08\x00"  # no optional fields, so no file name
    assert int.from_bytes(header[4:8], "little") == 1_530_000_000


def test_a_form_that_cannot_be_simulated(tmp_path):
    with pytest.raises(
        UserError, match="the form 'movielens' cannot be simulated; mssd, lfm1k, lfm2b can"
    ):
        simulate_raw(tmp_path / "u.data", form="movielens", simulation=SMALL)
    assert list(tmp_path.iterdir()) == []


def test_mssd_is_read_back(raw, mssd):
    frame = read(raw["mssd"], "mssd")
    assert frame.height == mssd.height
    assert frame["session_key"].n_unique() == SIMULATION["sessions"]
    assert frame["track_key"].n_unique() <= SIMULATION["tracks"]
    expected = mssd.select("session_id", "session_position", "track_id_clean", "skip_2")
    assert frame.select("session_key", "position", "track_key", "skipped").rows() == expected.rows()
    assert frame.null_count().sum_horizontal().item() == 0
    assert frame["day"].is_between(0, 65).all()


@pytest.mark.parametrize("form", ["lfm1k", "lfm2b"])
def test_lastfm_is_read_back(raw, form):
    frame = read(raw[form], form)
    assert frame.null_count().sum_horizontal().item() == 0
    assert frame["session_key"].n_unique() == SIMULATION["users"]
    line = frame["position"].abs().to_list()
    assert line == list(range(line[0], line[0] + frame.height))
    # Positions ascend in time within a user, whichever way the file runs.
    by_position = frame.sort("position").select(
        (pl.col("started_at").diff() >= pl.duration(seconds=0)).over("session_key")
    )
    assert by_position.to_series().drop_nulls().all()


# --- MSSD


def test_mssd_members_and_columns(logs):
    assert len(logs) == Listeners(1, 1).logs
    for name, frame in logs.items():
        assert re.fullmatch(r"training_set/log_\d_\d{8}_000000000000\.csv", name)
        assert tuple(frame.columns) == COLUMNS
    assert len(COLUMNS) == 21


def test_mssd_official_order_of_the_columns():
    assert " ".join(COLUMNS) == (
        "session_id session_position session_length track_id_clean skip_1 skip_2 skip_3 "
        "not_skipped context_switch "
        "no_pause_before_play short_pause_before_play long_pause_before_play "
        "hist_user_behavior_n_seekfwd "
        "hist_user_behavior_n_seekback hist_user_behavior_is_shuffle hour_of_day date premium "
        "context_type "
        "hist_user_behavior_reason_start hist_user_behavior_reason_end"
    )


def test_mssd_no_session_is_torn_over_two_logs(logs):
    sessions = [set(frame["session_id"]) for frame in logs.values()]
    assert sum(map(len, sessions)) == len(set.union(*sessions)) == SIMULATION["sessions"]


def test_mssd_sessions_are_whole_and_of_10_to_20_plays(mssd):
    sessions = mssd.group_by("session_id").agg(
        pl.len(),
        pl.col("session_position"),
        pl.col("session_length").unique(),
        pl.col("context_type").n_unique(),
    )
    assert sessions["len"].min() == 10
    assert sessions["len"].max() == 20
    assert sessions["session_position"].to_list() == [
        list(range(1, n + 1)) for n in sessions["len"]
    ]
    assert sessions["session_length"].to_list() == [[n] for n in sessions["len"]]
    assert sessions["context_type"].unique().to_list() == [1]
    # 2,000 sessions: the standard error is 1.1 percentage points.
    assert (sessions["len"] == 20).mean() == pytest.approx(0.45, abs=0.035)


def test_mssd_skip_flags_are_nested_and_not_skipped_is_none_of_them(mssd):
    assert mssd.filter(pl.col("skip_1") & ~pl.col("skip_2")).is_empty()
    assert mssd.filter(pl.col("skip_2") & ~pl.col("skip_3")).is_empty()
    assert mssd.filter(pl.col("skip_3") & pl.col("not_skipped")).is_empty()
    shares = mssd.select(pl.col("skip_1", "skip_2", "skip_3").mean()).row(0)
    assert 0 < shares[0] < shares[1] < shares[2] < 1


def test_mssd_plays_that_are_neither_skipped_nor_not(mssd):
    """About 1.4 %; with 32,000 plays the standard error is 0.07 percentage points."""
    assert (~mssd["skip_3"] & ~mssd["not_skipped"]).mean() == pytest.approx(0.014, abs=0.002)


def test_mssd_skip_share_of_the_default(mssd):
    assert Listeners(1, 1).skip_share == 0.46
    assert 0.40 <= mssd["skip_2"].mean() <= 0.52
    assert mssd["skip_2"].mean() == pytest.approx(0.46, abs=0.02)


@pytest.mark.parametrize("share", [0.2, 0.7])
def test_mssd_skip_share_follows_the_parameter(tmp_path, share):
    path = tmp_path / NAMES["mssd"]
    simulate_raw(path, form="mssd", simulation=SIMULATION | {"sessions": 500, "skip_share": share})
    assert read(path, "mssd")["skipped"].mean() == pytest.approx(share, abs=0.03)


def test_mssd_other_columns_hold_what_the_official_ones_hold(mssd):
    pauses = mssd.select(
        pl.sum_horizontal(
            "no_pause_before_play", "short_pause_before_play", "long_pause_before_play"
        )
    )
    assert set(pauses.to_series()) == {1}
    assert mssd["hour_of_day"].is_between(0, 23).all()
    assert set(mssd["context_type"]) == {
        "editorial_playlist",
        "user_collection",
        "catalog",
        "radio",
        "charts",
        "personalized_playlist",
    }
    assert (
        mssd["session_id"]
        .str.contains(r"^\d{1,2}_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
        .all()
    )
    assert (
        mssd["track_id_clean"].str.contains(r"^t_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$").all()
    )
    absurd = (mssd["date"] == "1969-12-31").mean()
    assert 0 < absurd < 0.002
    assert mssd.group_by("session_id").agg(pl.col("premium").n_unique())["premium"].max() == 1


def test_mssd_days_are_those_of_the_session_ids(mssd):
    sane = mssd.filter(pl.col("date") != "1969-12-31")
    day = sane["session_id"].str.extract(r"^(\d+)_").cast(pl.Int64)
    since = sane["date"].str.to_date() - pl.date(2018, 7, 15)
    assert (sane.select(since.dt.total_days()).to_series() == day).all()


# --- Last.fm


@pytest.mark.parametrize("form", ["lfm1k", "lfm2b"])
def test_lastfm_session_lengths_and_batch_scrobbles(raw, form):
    frame = read(raw[form], form).sort("session_key", "started_at", "position")
    gap = frame.select(
        pl.col("started_at").diff().over("session_key").dt.total_seconds()
    ).to_series()
    sessions = (gap.is_null() | (gap > 20 * 60)).sum()
    assert frame.height / sessions == pytest.approx(18, abs=2)
    same_second = (gap == 0).mean()
    assert same_second == pytest.approx(Listeners(1, 1).batch_scrobble_share, abs=0.0015)


def test_lfm1k_text(raw):
    (name, content), *others = members(raw["lfm1k"]).items()
    assert others == []
    assert name == f"lastfm-dataset-1K/{MEMBER}"
    rows = [line.split("\t") for line in content.decode().splitlines()]
    assert {len(row) for row in rows} == {6}
    users, times, artist_ids, artists, track_ids, names = zip(*rows, strict=True)
    assert all(re.fullmatch(r"user_\d{6}", user) for user in set(users))
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", time) for time in times)
    # Users one after the other, newest first within a user.
    assert list(users) == sorted(users)
    pairs = list(zip(users, times, strict=True))
    assert all(after <= before for (a, before), (b, after) in itertools.pairwise(pairs) if a == b)
    for values in (artist_ids, track_ids):
        assert 0 < sum(value == "" for value in values) / len(values) < 0.3
    for values in (artists, names):
        assert 0 < sum('"' in value for value in values) / len(values) < 0.3
        assert "" not in values
    # A quote is bare, not doubled and not around the field.
    assert any(value.count('"') == 1 for value in names)
    assert not any('""' in value for value in names)


def test_lfm2b_text(raw):
    text = bz2.decompress(raw["lfm2b"].read_bytes()).decode()
    frame = pl.read_csv(io.StringIO(text), separator="\t")
    assert frame.columns == ["user_id", "track_id", "album_id", "timestamp"]
    assert frame["timestamp"].str.contains(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$").all()
    assert frame.group_by("track_id").agg(pl.col("album_id").n_unique())["album_id"].max() == 1


def test_early_skips_leave_no_scrobble(tmp_path):
    heights = {}
    for share in (0.0, 1.0):
        path = tmp_path / f"{share}.tsv.bz2"
        simulate_raw(
            path,
            form="lfm2b",
            simulation=SIMULATION | {"sessions": 500, "skip_share": 0.4, "early_skip_share": share},
        )
        heights[share] = read(path, "lfm2b").height
    assert heights[1.0] / heights[0.0] == pytest.approx(1 - 0.4, abs=0.03)


# --- What a skip says


def plays_and_genres(informativeness: float, seed: int = 3):
    """Sessions of 20 plays, and the genre of every play."""
    listeners = Listeners(
        sessions=1500, tracks=1500, skip_informativeness=informativeness, seed=seed
    )
    plays = simulate_plays(listeners, np.full(1500, 20), np.random.default_rng(seed))
    return plays, plays.world.genre[plays.track]


def skip_share_by_match(informativeness: float) -> tuple[float, float]:
    """Skip share of the plays after a session's first liked one: of other genres than that one's,
    and of the same.
    """
    plays, genre = plays_and_genres(informativeness)
    liked = ~plays.skipped.all(axis=1)
    first = (~plays.skipped).argmax(axis=1)
    later = (np.arange(20) > first[:, None]) & liked[:, None]
    other = genre != genre[np.arange(len(genre)), first][:, None]
    return plays.skipped[later & other].mean(), plays.skipped[later & ~other].mean()


def test_an_informative_skip_tells_the_taste():
    other, same = skip_share_by_match(1.0)
    assert other > same + 0.15


def test_a_coin_flip_skip_tells_nothing():
    """9,000 plays of other genres and 18,000 of the same: three standard errors of the difference
    are 1.9 percentage points.
    """
    other, same = skip_share_by_match(0.0)
    assert other == pytest.approx(same, abs=0.02)


def test_half_informative_lies_between():
    differences = [np.subtract(*skip_share_by_match(share)) for share in (0.0, 0.5, 1.0)]
    assert differences[0] < differences[1] - 0.03 < differences[2] - 0.06


def test_the_skip_rate_does_not_depend_on_the_informativeness():
    shares = [plays_and_genres(share)[0].skipped.mean() for share in (0.0, 0.5, 1.0)]
    assert shares == pytest.approx([0.46] * 3, abs=0.015)


def test_plays_are_within_bounds_and_some_repeat():
    plays, genre = plays_and_genres(1.0)
    assert plays.track.min() >= 0
    assert plays.track.max() < 1500
    assert plays.track.shape == plays.skipped.shape == (1500, 20)
    assert (np.diff(plays.user) >= 0).all()
    repeats = np.mean([len(set(session)) < 20 for session in plays.track])
    assert 0.5 < repeats < 1.0
    assert genre.max() < Listeners(1, 1).genres


def test_rows_leave_out_what_is_past_the_length():
    listeners = Listeners(sessions=3, tracks=30, users=2, seed=1)
    plays = simulate_plays(listeners, np.array([2, 1, 3]), np.random.default_rng(1))
    session, position = plays.rows()
    assert list(zip(session.tolist(), position.tolist(), strict=True)) == [
        (0, 0),
        (0, 1),
        (1, 0),
        (2, 0),
        (2, 1),
        (2, 2),
    ]


@pytest.mark.parametrize("form", NAMES)
def test_the_smallest_world_there_is(tmp_path, form):
    """One session of one user; fewer tracks than genres, so some genres are empty."""
    path = tmp_path / NAMES[form]
    simulate_raw(
        path,
        form=form,
        simulation={"sessions": 1, "tracks": 3, "users": 1, "early_skip_share": 0.0, "seed": 5},
    )
    frame = read(path, form)
    assert frame["session_key"].n_unique() == 1
    assert frame["track_key"].n_unique() <= 3


def test_archives_are_plain_gzip(raw):
    for form in ("mssd", "lfm1k"):
        assert len(gzip.decompress(raw[form].read_bytes())) > 100_000
