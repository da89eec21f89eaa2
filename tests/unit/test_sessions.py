"""Every SQL step on a hand-made table, the skip labels as truth tables, the sample, and the splits
against the protocol.
"""

import hashlib
import json
import random
import statistics
import zlib
from collections.abc import Iterable
from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from examples import label_and_sample_sessions
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from skipwise.core.artifacts import read_artifact, read_json, write_artifact, write_json
from skipwise.core.errors import UserError
from skipwise.core.registry import names, parameters
from skipwise.core.schemas import ARTIFACTS, CONTEXT
from skipwise.sessions.label import label_plays
from skipwise.sessions.recipe import Machine, Recipe
from skipwise.sessions.sample import draw_sample
from skipwise.sessions.sequences import Sequences
from skipwise.sessions.split import PARTS, split_sessions
from skipwise.sessions.steps import Steps
from skipwise.training.batches import Batches

pytestmark = pytest.mark.long

START = datetime(2020, 1, 1)
TYPES = {field.name: field.type for field in ARTIFACTS["events"].schema} | {
    "gap": pa.float64(),
    "length": pa.float64(),
    "n": pa.int64(),
    "piece": pa.int32(),
    "session_id": pa.int64(),
    "cluster_key": pa.string(),
    "track_id": pa.int64(),
    "n_plays": pa.int64(),
    "n_skips": pa.int64(),
}
KEYED = "session_key position track_key skipped"
PLAY = ("session_key", "position", "track_key", "skipped", "started_at")
LISTED = ("session_id", "position", "track_id", "skipped", "started_at", "day")


@pytest.fixture
def steps():
    with Steps() as steps:
        yield steps


def make(steps: Steps, table: str, columns: tuple[str, ...] | str, rows: list[tuple]) -> None:
    """Create ``table`` of these columns, and for plays the context columns with nulls; a started_at
    is in seconds.
    """
    names = columns.split() if isinstance(columns, str) else list(columns)
    context = (
        [field.name for field in CONTEXT if field.name not in names] if "position" in names else []
    )
    arrays = {name: [row[i] for row in rows] for i, name in enumerate(names)}
    if "started_at" in arrays:
        arrays["started_at"] = [
            None if at is None else START + timedelta(seconds=at) for at in arrays["started_at"]
        ]
    arrays |= {name: [None] * len(rows) for name in context}
    frame = pa.table({name: pa.array(values, TYPES[name]) for name, values in arrays.items()})  # noqa: F841, the SQL reads it
    steps.connection.sql(f"create or replace temp table {table} as from frame")


def rows(steps: Steps, table: str, columns: str) -> list[tuple]:
    """The rows of these columns of ``table``, sorted."""
    found = steps.connection.sql(f"select {', '.join(columns.split())} from {table}").fetchall()
    return sorted(found, key=lambda row: [(value is None, value) for value in row])


def sample_plays(steps: Steps, *, sessions: dict, **rules) -> dict:
    """Take ``plays`` to ``sampled`` and ``tracks``; returns the counts."""
    recipe = Recipe("mine", sessions=sessions, **rules)
    counts = label_plays(steps, recipe)
    steps.table("drawn", "draw", seed=str(sessions["sampling_seed"]))
    draw_sample(steps, recipe)
    steps.table("tracks", "count_tracks")
    return counts | steps.row("count_sampled")


def one_line(error: pytest.ExceptionInfo) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


# --- Sessions


def test_drop_batch_scrobbles_keeps_the_first_of_a_user_and_second(steps):
    plays = [
        ("u", 1, "a", None, 0),
        ("u", 2, "b", None, 0),
        ("u", 3, "c", None, 0),
        ("u", 4, "d", None, 60),
        ("u", 6, "e", None, 61),
        ("u", 5, "f", None, 61),
        ("v", 7, "a", None, 0),
        ("v", 8, "a", None, 60),
        ("v", 9, "y", None, 90),
        ("v", 9, "x", None, 90),
    ]
    make(steps, "plays", PLAY, plays)
    steps.table("kept", "drop_batch_scrobbles")
    assert rows(steps, "kept", "session_key position track_key") == [
        ("u", 1, "a"),
        ("u", 4, "d"),
        ("u", 5, "f"),
        ("v", 7, "a"),
        ("v", 8, "a"),
        ("v", 9, "x"),
    ]
    assert steps.connection.table("kept").columns == steps.connection.table("plays").columns


def test_sessionise_given_counts_positions_anew(steps):
    plays = [
        ("s", 3, "a", True, None),
        ("s", 10, "c", None, None),
        ("s", 5, "b", False, None),
        ("r", 2, "z", True, 100),
        ("r", 2, "y", True, 70),
        ("r", 4, "x", True, 130.5),
    ]
    make(steps, "plays", PLAY, plays[:3])
    steps.table("sessionised", "sessionise_given")
    assert rows(steps, "sessionised", "session_key position track_key skipped gap") == [
        ("s", 1, "a", True, None),
        ("s", 2, "b", False, None),
        ("s", 3, "c", None, None),
    ]
    make(steps, "plays", PLAY, plays[3:])
    steps.table("sessionised", "sessionise_given")
    assert rows(steps, "sessionised", "session_key position track_key gap") == [
        ("r", 1, "y", 30.0),
        ("r", 2, "z", 30.5),
        ("r", 3, "x", None),
    ]


def test_sessionise_given_breaks_ties_of_position_by_track(steps):
    make(steps, "plays", PLAY, [("s", 1, "b", True, None), ("s", 1, "a", False, None)])
    steps.table("sessionised", "sessionise_given")
    assert rows(steps, "sessionised", "position track_key") == [(1, "a"), (2, "b")]


def test_sessionise_given_goes_by_time_where_there_is_one(steps):
    """`read_events` of the form events: without `time` the order of the rows is the order of the
    plays.
    """
    make(
        steps,
        "plays",
        PLAY,
        [("s", 1, "last", None, 400), ("s", 2, "first", None, 0), ("s", 3, "second", None, 190)],
    )
    steps.table("sessionised", "sessionise_given")
    assert rows(steps, "sessionised", "position track_key gap") == [
        (1, "first", 190.0),
        (2, "second", 210.0),
        (3, "last", None),
    ]


def test_sessionise_by_gap(steps):
    """A gap of exactly session_gap goes on with the session; users do not mix; plays of one second
    keep their order.
    """
    plays = [
        ("u", 9, "g", None, 5000),
        ("u", 1, "a", None, 0),
        ("u", 2, "b", None, 1200),
        ("u", 5, "d", None, 2401.5),
        ("u", 4, "e", None, 2401.5),
        ("u", 7, "c", None, 2500),
        ("u", 6, "f", None, 2500),
        ("v", 3, "a", None, 10),
        ("v", 8, "b", True, 600),
        ("v", 7, "c", None, 1801),
    ]
    make(steps, "plays", PLAY, plays)
    steps.table("sessionised", "sessionise_by_gap", session_gap=1200)
    assert rows(steps, "sessionised", "session_key position track_key gap skipped") == [
        ("u@2020-01-01T00:00:00", 1, "a", 1200.0, None),
        ("u@2020-01-01T00:00:00", 2, "b", None, None),
        ("u@2020-01-01T00:40:01", 1, "e", 0.0, None),
        ("u@2020-01-01T00:40:01", 2, "d", 98.5, None),
        ("u@2020-01-01T00:40:01", 3, "f", 0.0, None),
        ("u@2020-01-01T00:40:01", 4, "c", None, None),
        ("u@2020-01-01T01:23:20", 1, "g", None, None),
        ("v@2020-01-01T00:00:10", 1, "a", 590.0, None),
        ("v@2020-01-01T00:00:10", 2, "b", None, True),
        ("v@2020-01-01T00:30:01", 1, "c", None, None),
    ]


def test_both_ways_to_sessions_give_the_same_columns(steps):
    make(steps, "plays", PLAY, [("u", 1, "a", None, 0)])
    steps.table("one", "sessionise_given")
    steps.table("two", "sessionise_by_gap", session_gap=1200)
    columns = [*PLAY, *(field.name for field in CONTEXT if field.name not in PLAY), "gap"]
    assert (
        sorted(steps.connection.table("one").columns)
        == sorted(steps.connection.table("two").columns)
        == sorted(columns)
    )


# --- Skip labels


@pytest.mark.parametrize("raw", [True, False, None])
def test_label_given(steps, raw):
    """The raw label, null where there is none."""
    make(
        steps,
        "sessionised",
        (*PLAY, "gap"),
        [("s", 1, "a", raw, None, 1.0), ("s", 2, "b", not raw, None, None)],
    )
    steps.table("labelled", "skip_rules/given")
    assert rows(steps, "labelled", "position skipped")[0] == (1, raw)
    assert "gap" not in steps.connection.table("labelled").columns


@pytest.mark.parametrize(
    ("gap", "expected"),
    [
        (0.0, True),
        (1.0, True),
        (29.999, True),
        (30.0, False),
        (31.0, False),
        (1200.0, False),
        (None, None),
    ],
)
@pytest.mark.parametrize("raw", [True, False, None])
def test_label_gap_below(steps, gap, raw, expected):
    """The raw label has no say; that of the last play of a session, which has no gap, is
    unknown.
    """
    make(steps, "sessionised", (*PLAY, "gap"), [("s", 1, "a", raw, None, gap)])
    steps.table("labelled", "skip_rules/gap_below", seconds=30)
    assert rows(steps, "labelled", "position skipped") == [(1, expected)]
    assert "gap" not in steps.connection.table("labelled").columns


LENGTHS = {
    # Three gaps: the median 200 is the length, skipped below 170.
    "odd": [(100.0, True), (200.0, False), (210.0, False)],
    "edge": [(170.0, False), (200.0, False), (200.0, False)],
    "below": [(169.999, True), (200.0, False), (200.0, False)],
    # Four gaps: the median is (200 + 300) / 2 = 250, skipped below 220.
    "even": [(100.0, True), (200.0, True), (300.0, False), (400.0, False)],
    # Two gaps are too few; the default length is 180, skipped below 150.
    "two": [(149.0, True), (1000.0, False)],
    "one at the edge": [(150.0, False)],
    # The last play of a session has no gap: its label is unknown, and it supports no length.
    "with last": [(160.0, False), (1000.0, False), (None, None)],
    "only last": [(None, None), (None, None), (None, None)],
    "last aside": [(100.0, True), (200.0, False), (210.0, False), (None, None)],
    # A short track: its median 25 less 30 is below every gap.
    "short": [(20.0, False), (25.0, False), (26.0, False)],
}


def measure(steps: Steps, min_support: int) -> None:
    """Lengths from the gaps of the table ``sessionised``."""
    steps.connection.sql(
        "create or replace temp table gaps as "
        "select track_key, gap, count(*) as n from sessionised where gap is not null group by all"
    )
    steps.table("lengths", "measure_tracks", session_gap=None, min_support=min_support)


@pytest.mark.parametrize("track", LENGTHS)
def test_label_length_margin(steps, track):
    plays = [
        (f"s{i}", 1 + j, name, None, None, gap)
        for j, (name, cases) in enumerate(LENGTHS.items())
        for i, (gap, _) in enumerate(cases)
    ]
    make(steps, "sessionised", (*PLAY, "gap"), plays)
    measure(steps, 3)
    steps.table("labelled", "skip_rules/length_margin", margin=30, default_length=180)
    assert steps.rows("labelled") == len(plays)
    found = [
        row[2:]
        for row in rows(steps, "labelled", "session_key position track_key skipped")
        if row[2] == track
    ]
    assert found == [(track, skipped) for _, skipped in LENGTHS[track]]
    assert "gap" not in steps.connection.table("labelled").columns


def test_count_gaps_are_those_between_the_plays_of_a_listener(steps):
    plays = [
        ("u", 1, "a", None, 0),
        ("u", 2, "b", None, 100),
        ("u", 4, "a", None, 250),
        ("u", 3, "b", None, 250),  # at one time by position: b before a
        ("u", 5, "a", None, 350),
        ("u", 6, "c", None, 9000),
        ("v", 1, "a", None, 50),
        ("v", 2, "c", None, 150),
    ]
    make(steps, "plays", PLAY, plays)
    steps.table("gaps", "count_gaps", longest=3600)
    # u: a-100-b-150-b-0-a-100-a-8650-c; v: a-100-c
    assert rows(steps, "gaps", "track_key gap n") == [
        ("a", 100.0, 3),
        ("b", 0.0, 1),
        ("b", 150.0, 1),
    ]
    steps.table("gaps", "count_gaps", longest=None)
    assert rows(steps, "gaps", "track_key gap n")[1] == ("a", 8650.0, 1)


def test_measure_tracks_takes_the_median_of_the_gaps_within_a_session(steps):
    gaps = [
        ("odd", 100.0, 1),
        ("odd", 200.0, 1),
        ("odd", 300.0, 1),
        ("even", 100.0, 1),
        ("even", 200.0, 1),
        ("even", 250.0, 2),
        ("even", 9999.0, 5),  # longer than the session gap
        ("heavy", 10.0, 5),
        ("heavy", 20.0, 4),
        ("rare", 10.0, 2),
        ("two files", 10.0, 1),
        ("two files", 10.0, 1),
        ("two files", 30.0, 1),
    ]
    make(steps, "gaps", ("track_key", "gap", "n"), gaps)
    steps.table("lengths", "measure_tracks", session_gap=1200, min_support=3)
    assert rows(steps, "lengths", "track_key length") == [
        ("even", 225.0),
        ("heavy", 10.0),
        ("odd", 200.0),
        ("two files", 10.0),
    ]


@pytest.mark.parametrize("seed", range(5))
def test_measure_tracks_is_the_median(steps, seed):
    chance = random.Random(seed)
    values = [chance.choice([1.0, 2.5, 7.0, 100.0, 250.0]) for _ in range(chance.randrange(1, 12))]
    make(steps, "gaps", ("track_key", "gap", "n"), [("t", value, 1) for value in values])
    steps.table("lengths", "measure_tracks", session_gap=None, min_support=1)
    assert rows(steps, "lengths", "length") == [(statistics.median(values),)]


def test_count_session_gaps_is_what_sessionising_at_each_gap_gives(steps):
    frame = pa.Table.from_pylist(user_events(), schema=ARTIFACTS["events"].schema)  # noqa: F841, the SQL reads it
    steps.connection.sql("create or replace temp table plays as from frame")
    gaps = [60.0, 1200.0, 5000.0]
    steps.table("compared", "count_session_gaps", session_gaps=gaps, zero_gaps=7)
    for gap in gaps:
        steps.table("sessionised", "sessionise_by_gap", session_gap=gap)
        expected = steps.connection.sql(
            "select count(*), count_if(n > 5) from (select count(*) as n from sessionised group "
            "by session_key)"
        ).fetchall()
        found = steps.connection.sql(
            f"select sessions, sessions_longer_than_5 from compared where session_gap = {gap}"
        ).fetchall()
        assert found == expected
    assert rows(steps, "compared", "plays zero_gaps") == [(420, 7)] * 3


def test_compare_skip_rules_by_hand(steps):
    make(
        steps,
        "gaps",
        ("track_key", "gap", "n"),
        [("a", 20.0, 3), ("a", 160.0, 2), ("b", 140.0, 1), ("b", 1300.0, 9)],
    )
    make(steps, "lengths", ("track_key", "length"), [("a", 200.0)])
    margin = {"name": "length_margin", "margin": 30, "default_length": 180, "min_support": 1}
    below = {"name": "gap_below", "seconds": 30}
    cases = [
        (margin, 1200, 3 + 2 + 1),  # a below 170, b below 150
        (margin | {"margin": 40}, 1200, 3),  # a below 160, b below 140
        (margin | {"default_length": 0}, 1200, 3 + 2),
        (below, 1200, 3),
        (below | {"seconds": 150}, 1200, 3 + 1),
        (below | {"seconds": 2000}, 1200, 3 + 2 + 1),  # 1300 is no gap of a session
        (below | {"seconds": 2000}, 3600, 3 + 2 + 1 + 9),
    ]
    for rule, session_gap, expected in cases:
        steps.table("sessionised", "gaps_as_plays", session_gap=session_gap)
        recipe = Recipe("", rule)
        steps.table("labelled", f"skip_rules/{recipe.rule}", **recipe.parameters)
        found = steps.value("select coalesce(sum(n) filter (skipped), 0)::bigint from labelled")
        assert found == expected, rule


def test_invert_exchanges_skipped_and_listened(steps):
    make(steps, "labelled", KEYED, [("s", 1, "a", True), ("s", 2, "b", False), ("s", 3, "c", None)])
    steps.table("inverted", "invert")
    assert rows(steps, "inverted", "session_key position track_key skipped") == [
        ("s", 1, "a", False),
        ("s", 2, "b", True),
        ("s", 3, "c", None),
    ]


def test_unknown_labels_may_be_read_as_listened(steps):
    make(steps, "labelled", KEYED, [("s", 1, "a", True), ("s", 2, "b", False), ("s", 3, "c", None)])
    steps.table("read", "read_unknown_as_listened")
    assert rows(steps, "read", "session_key position track_key skipped") == [
        ("s", 1, "a", True),
        ("s", 2, "b", False),
        ("s", 3, "c", False),
    ]


def test_inverted_polarity_is_the_opposite_of_every_label(tmp_path):
    """The same sessions, since all have at least one skip and one listened play."""
    events, rules = FORMS["given"]
    events = [event for event in events if event["skipped"] is not None]
    found = {}
    for polarity in ("right", "inverted"):
        sessions = SESSIONS | {"n_sessions": None, "skip_polarity": polarity}
        outputs = sample(tmp_path / polarity, {"e": events}, sessions=sessions, **rules)
        keys = {
            row["session_id"]: row["session_key"]
            for row in read_artifact("keys", outputs["keys"]).to_pylist()
        }
        found[polarity] = {
            (keys[row["session_id"]], row["position"]): row["skipped"]
            for row in read_artifact("sessions", outputs["sessions"]).to_pylist()
        }
        assert read_json(outputs["stats"])["rules"]["skip_polarity"] == polarity
    both = found["right"].keys() & found["inverted"].keys()
    assert len(both) > 100
    assert all(found["right"][key] != found["inverted"][key] for key in both)


def test_label_length_margin_parameters(steps):
    cases = [("x", 100.0), ("x", 140.0), ("y", 90.0)]
    make(
        steps,
        "sessionised",
        (*PLAY, "gap"),
        [(f"s{i}", 1, track, None, None, gap) for i, (track, gap) in enumerate(cases)],
    )
    labels = {}
    for margin, support, default in (
        (0, 2, 91),
        (0, 3, 91),
        (19, 2, 109),
        (21, 2, 111),
        (-30, 2, 0),
    ):
        measure(steps, support)
        steps.table("labelled", "skip_rules/length_margin", margin=margin, default_length=default)
        labels[margin, support, default] = [
            row[1] for row in rows(steps, "labelled", "session_key skipped")
        ]
    assert labels == {
        (0, 2, 91): [True, False, True],  # x: length 120; y: 91
        (0, 3, 91): [False, False, True],  # x: 91 too
        (19, 2, 109): [True, False, False],  # x: 101; y: 90, which 90 is not below
        (21, 2, 111): [False, False, False],  # x: 99; y: 90
        (-30, 2, 0): [True, True, False],  # x: 150; y: 30
    }


# --- Cut, filter, sample, count


def test_cut(steps):
    plays = [("long", i, f"t{i}", i == 4) for i in range(1, 8)] + [
        ("short", 1, "t1", True),
        ("short", 2, "t2", False),
    ]
    make(steps, "labelled", KEYED, plays)
    steps.table("pieces", "cut", max_length=3)
    assert rows(steps, "pieces", "session_key piece position track_key skipped") == [
        ("long", 0, 1, "t1", False),
        ("long", 0, 2, "t2", False),
        ("long", 0, 3, "t3", False),
        ("long", 1, 1, "t4", True),
        ("long", 1, 2, "t5", False),
        ("long", 1, 3, "t6", False),
        ("long", 2, 1, "t7", False),
        ("short", 0, 1, "t1", True),
        ("short", 0, 2, "t2", False),
    ]


def test_filter(steps):
    pieces = [
        ("a", 0, 1, "x", True),
        ("a", 0, 2, "y", False),
        ("a", 0, 3, "z", True),
        ("a", 1, 1, "x", True),  # too short
        ("b", 0, 1, "x", False),  # no skip
        ("b", 0, 2, "y", False),
        ("b", 0, 3, "z", False),
        ("c", 0, 1, "x", None),  # just long enough: an unknown label counts as a play
        ("c", 0, 2, "y", True),
        ("d", 0, 1, "x", None),  # and as no skip
        ("d", 0, 2, "y", False),
    ]
    make(steps, "pieces", "session_key piece position track_key skipped", pieces)
    steps.table("eligible", "filter", min_length=2)
    assert rows(steps, "eligible", "session_key piece n_plays n_skips") == [
        ("a", 0, 3, 2),
        ("c", 0, 2, 1),
    ]


def test_sessions_are_cut_before_they_are_filtered(steps):
    """The rules hold for pieces: the whole session would pass where a piece does not."""
    plays = [
        ("first", i, "t", i == 1, None) for i in range(1, 8)
    ]  # pieces of 3, 3, 1; the skip is in the first
    plays += [
        ("last", i, "t", i == 7, None) for i in range(1, 8)
    ]  # the only skip is in the piece that is too short
    plays += [("each", i, "t", i % 3 == 0, None) for i in range(1, 7)]  # a skip in either piece
    make(steps, "plays", PLAY, plays)
    settings = {"min_length": 2, "max_length": 3, "n_sessions": None, "sampling_seed": 1}
    counts = sample_plays(steps, skip_rule={"name": "given"}, session_gap=None, sessions=settings)
    assert rows(steps, "sampled", "session_key piece n_plays n_skips") == [
        ("each", 0, 3, 1),
        ("each", 1, 3, 1),
        ("first", 0, 3, 1),
    ]
    assert counts["sessions_formed"] == 3
    assert counts["pieces_cut"] == 3 + 3 + 2
    assert counts["sessions_eligible"] == counts["sessions"] == 3


def test_sessions_are_labelled_before_they_are_cut(steps):
    """The last play of a piece has a next play, in the next piece; only the last of the session is
    unknown.
    """
    make(steps, "plays", PLAY, [("u", i, f"t{i}", None, 10 * i) for i in range(1, 7)])
    settings = {"min_length": 2, "max_length": 3, "n_sessions": None, "sampling_seed": 1}
    sample_plays(
        steps, skip_rule={"name": "gap_below", "seconds": 30}, session_gap=1200, sessions=settings
    )
    assert [row[2] for row in rows(steps, "pieces", "piece position skipped")] == [
        True,
        True,
        True,
        True,
        True,
        None,
    ]


def draw(seed: int, session_key: str, piece: int) -> int:
    """The hash that orders sessions: the last 8 bytes of an md5 digest as a number."""
    text = "\x1f".join([str(seed), session_key, str(piece)])
    return int.from_bytes(hashlib.md5(text.encode()).digest()[8:], "little")


@pytest.mark.parametrize("n_sessions", [1, 4, 10, 11, None])
@pytest.mark.parametrize("seed", [1, 2])
def test_sample_is_the_smallest_hashes_of_the_key(steps, n_sessions, seed):
    eligible = [(f"s{i}", piece, 6 + i, 1) for i in range(5) for piece in (0, 1)]
    make(steps, "eligible", "session_key piece n_plays n_skips", eligible)
    steps.table("drawn", "draw", seed=str(seed))
    steps.table("sampled", "sample", n_sessions=n_sessions, keys_hold_user=False)
    expected = sorted(eligible, key=lambda row: draw(seed, row[0], row[1]))[:n_sessions]
    assert rows(steps, "sampled", "session_id session_key piece n_plays n_skips") == [
        (i, *row) for i, row in enumerate(expected, start=1)
    ]


def test_count_tracks_and_select_sessions(steps):
    pieces = [
        ("a", 0, 1, "x", True, 100),
        ("a", 0, 2, "y", False, 200),
        ("a", 1, 1, "rare", None, 300),  # no skip that is known of
        ("b", 0, 1, "y", False, 100),
        ("b", 0, 2, "w", True, 150),
        ("c", 0, 1, "not sampled", True, 0),
        ("c", 0, 2, "x", True, 50),
        ("c", 0, 3, "x", True, 60),
    ]
    make(steps, "pieces", "session_key piece position track_key skipped started_at", pieces)
    sampled = [(1, "b", 0, 2, 1), (2, "a", 1, 1, 0), (3, "a", 0, 2, 1)]
    make(steps, "sampled", "session_id session_key piece n_plays n_skips", sampled)
    steps.table("tracks", "count_tracks")
    # y has two plays; rare, w and x have one and stand in the order of their keys.
    assert rows(steps, "tracks", "track_id track_key n_plays n_skips") == [
        (1, "y", 2, 0),
        (2, "rare", 1, 0),
        (3, "w", 1, 1),
        (4, "x", 1, 1),
    ]
    found = steps.query("select_sessions")
    assert found.columns == ARTIFACTS["sessions"].schema.names
    plays = sorted(row[:5] for row in found.fetchall())
    assert plays == [
        (1, 1, 1, False, START + timedelta(seconds=100)),
        (1, 2, 3, True, START + timedelta(seconds=150)),
        (2, 1, 2, None, START + timedelta(seconds=300)),
        (3, 1, 4, True, START + timedelta(seconds=100)),
        (3, 2, 1, False, START + timedelta(seconds=200)),
    ]


def test_context_comes_along(steps):
    context = {"day": 3, "hour": 23, "premium": True, "shuffle": False, "context_type": "radio"}
    context |= {"is_organic": False, "is_random": True}
    make(
        steps,
        "plays",
        (*PLAY, *context),
        [("s", i, f"t{i}", i == 1, None, *context.values()) for i in (1, 2)],
    )
    settings = {"min_length": 2, "max_length": 3, "n_sessions": None, "sampling_seed": 1}
    sample_plays(steps, skip_rule={"name": "given"}, session_gap=None, sessions=settings)
    for row in steps.query("select_sessions").to_arrow_table().to_pylist():
        assert {name: row[name] for name in context} == context


def test_count_steps(steps):
    sessionised = [("a", i, "t", None if i == 2 else i == 1, None, None) for i in range(1, 7)]
    sessionised += [("b", i, "t", False, None, None) for i in range(1, 6)]
    sessionised += [("c", 1, "t", None, None, None)]
    make(steps, "sessionised", (*PLAY, "gap"), sessionised)
    steps.table("labelled", "skip_rules/given")
    steps.table("pieces", "cut", max_length=3)
    eligible = [("a", 0, 3, 1), ("a", 1, 3, 2), ("b", 0, 3, 1), ("z", 0, 9, 5)]
    make(steps, "eligible", "session_key piece n_plays n_skips", eligible)
    assert steps.row("count_steps") == {
        "plays_sessionised": 12,
        "sessions_formed": 3,
        "sessions_longer_than_5": 1,
        "plays_without_given_label": 2,
        "plays_skipped": 1,
        "pieces_cut": 2 + 2 + 1,
        "sessions_eligible": 4,
    }


def test_count_sampled(steps):
    sampled = [(1, "a", 0, 3, 1), (2, "a", 1, 3, 2), (3, "b", 0, 3, 1), (4, "q", 0, 7, 4)]
    make(steps, "sampled", "session_id session_key piece n_plays n_skips", sampled)
    # Unknown labels of the sample: two in (a, 0), one in (q, 0); (a, 2) and (z, 0) are not in it.
    labels = {("a", 0): (None, True, None), ("a", 1): (True,), ("a", 2): (None,)}
    labels |= {("q", 0): (False, None), ("z", 0): (None, None)}
    pieces = [
        (*key, position, "t", label)
        for key, of_piece in labels.items()
        for position, label in enumerate(of_piece, start=1)
    ]
    make(steps, "pieces", "session_key piece position track_key skipped", pieces)
    assert steps.row("count_sampled") == {
        "sessions": 4,
        "plays": 16,
        "plays_unknown": 3,
        "skip_share": pytest.approx(8 / 16),
        "length_mean": 4.0,
        "length_quantiles": [3, 3, 3, 3, 7],
    }


def make_keys(steps: Steps, sessions: Iterable[int], key=lambda session: f"s{session}") -> None:
    """The keys of sessions, with one of the raw data by ``key``; no two are of one user."""
    make(
        steps,
        "keys",
        "session_id session_key cluster_key",
        [(session, key(session), key(session)) for session in sessions],
    )


def list_sessions(steps: Steps) -> None:
    """Take ``plays`` and ``keys`` to ``listed``."""
    steps.table("clustered", "cluster_sessions")
    steps.connection.sql("drop table if exists listed")
    steps.append("listed", "list_sessions", first=0, last=10**6)


@pytest.mark.parametrize("keys_hold_user", [True, False])
def test_the_cluster_of_a_session_is_its_user_or_itself(steps, keys_hold_user):
    key = "ann@home@2020-01-01T00:00:00" if keys_hold_user else "of@day"
    make(steps, "eligible", "session_key piece n_plays n_skips", [(key, 0, 6, 1)])
    steps.table("drawn", "draw", seed="1")
    steps.table("sampled", "sample", n_sessions=1, keys_hold_user=keys_hold_user)
    expected = "ann@home" if keys_hold_user else "of@day"
    assert rows(steps, "sampled", "session_key cluster_key") == [(key, expected)]


@pytest.mark.parametrize(
    ("keys", "clusters"),
    [
        # Two users, one with two sessions of which one has two pieces.
        ([("a1", "a"), ("a1", "a"), ("a2", "a"), ("b1", "b")], [1, 1, 1, 2]),
        # One user: what is left are the sessions.
        ([("a1", "a"), ("a1", "a"), ("a2", "a")], [1, 1, 2]),
        # No users.
        ([("x", "x"), ("x", "x"), ("y", "y")], [1, 1, 2]),
    ],
)
def test_sessions_of_one_user_are_one_cluster(steps, keys, clusters):
    make(steps, "plays", LISTED, [(i, 1, 1, True, None, 0) for i in range(len(keys))])
    named = [(i, *both) for i, both in enumerate(keys)]
    make(steps, "keys", "session_id session_key cluster_key", named)
    list_sessions(steps)
    found = rows(steps, "listed", "session_id cluster")
    assert found == list(enumerate(clusters))


def test_list_sessions(steps):
    plays = [
        (2, 2, 7, False, 50, None),
        (2, 1, 5, True, 20, None),
        (2, 3, 5, False, 90, None),
        (1, 1, 9, True, None, 4),
        (1, 2, 8, True, None, 4),
        (3, 1, 1, None, None, 4),
        (3, 2, 2, False, None, 4),
        (3, 3, 3, None, None, 4),
    ]
    make(steps, "plays", LISTED, plays)
    make_keys(steps, (1, 2, 3))
    list_sessions(steps)
    day = (START - datetime(1970, 1, 1)).days + 20 / 86400
    assert rows(steps, "listed", "session_id tracks skipped listened time") == [
        (1, [9, 8], [True, True], None, 4.0),
        (2, [5, 7, 5], [True, False, False], [2, 3], pytest.approx(day, abs=1e-9)),
        (3, [1, 2, 3], [None, False, None], [2], 4.0),
    ]


# --- The sample does not depend on files, shards or cores

SESSIONS = {"min_length": 6, "max_length": 20, "n_sessions": 12, "sampling_seed": 1}
MARGIN = {"name": "length_margin", "margin": 30, "min_support": 3, "default_length": 180}


def user_events(n_users: int = 6, n_plays: int = 70) -> list[dict]:
    """Plays of users with pauses, so that there are several sessions a user, some of them longer
    than 20.
    """
    chance = random.Random(7)
    rows = []
    for user in range(n_users):
        second = 0
        for position in range(1, n_plays + 1):
            second += chance.choice([0, 40, 100, 200, 220, 240]) if chance.random() < 0.95 else 5000
            rows.append(
                dict.fromkeys(ARTIFACTS["events"].schema.names)
                | {
                    "part": 0,
                    "session_key": f"u{user}",
                    "position": position,
                    "track_key": f"t{min(chance.randrange(15), chance.randrange(15))}",
                    "started_at": START + timedelta(seconds=second),
                }
            )
    return rows


def given_events(n_sessions: int = 40) -> list[dict]:
    chance = random.Random(8)
    return [
        dict.fromkeys(ARTIFACTS["events"].schema.names)
        | {
            "part": 0,
            "session_key": f"{session % 5}_{session}",
            "position": position,
            "track_key": f"t{min(chance.randrange(30), chance.randrange(30))}",
            "skipped": chance.random() < 0.4,
            "day": session % 5,
        }
        for session in range(n_sessions)
        for position in range(1, chance.randrange(4, 30))
    ]


FORMS = {
    "given": (given_events(), {"skip_rule": {"name": "given"}, "session_gap": None}),
    "by gap": (user_events(), {"skip_rule": MARGIN, "session_gap": 1200}),
}


def sample(
    folder, shards: dict[str, list[dict]], threads: int = 1, *, sessions=SESSIONS, **rules
) -> dict:
    """Write event shards as they are, without sorting them, and sample from them; returns the
    outputs by name.
    """
    folder.mkdir()
    for name, events in shards.items():
        pq.write_table(
            pa.Table.from_pylist(events, schema=ARTIFACTS["events"].schema),
            folder / f"{name}.parquet",
        )
        write_json({"file": name}, folder / f"{name}.json")
    outputs = {name: folder / f"out_{name}" for name in ("sessions", "tracks", "keys", "stats")}
    label_and_sample_sessions(
        [str(folder / f"{name}.parquet") for name in shards],
        [str(folder / f"{name}.json") for name in shards],
        **{f"out_{name}": str(path) for name, path in outputs.items()},
        dataset="mine",
        sessions=sessions,
        threads=threads,
        **rules,
    )
    return outputs


def shuffled(events: list[dict], seed: int = 1) -> list[dict]:
    return random.Random(seed).sample(events, len(events))


def in_shards(rows: list[dict], names: list[str]) -> dict[str, list[dict]]:
    """The rows in several shards, plays of one time in one: of two files the first is first."""
    shards: dict[str, list[dict]] = {name: [] for name in names}
    for row in rows:
        place = f"{row['session_key']} {row['started_at'] or row['position']}"
        shards[names[zlib.crc32(place.encode()) % len(names)]].append(row)
    assert all(shards.values())
    return shards


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("form", FORMS)
def test_sample_does_not_depend_on_rows_shards_or_cores(tmp_path, form, threads):
    events, rules = FORMS[form]
    mixed = shuffled(events)
    layouts = {
        "one": {"events": events},
        "shuffled": {"events": mixed},
        "three": in_shards(mixed, ["b", "a", "c"]),
        "other order": in_shards(mixed, ["z", "y"]),
    }
    found = {
        name: sample(tmp_path / name, shards, threads, **rules) for name, shards in layouts.items()
    }
    reference = sample(tmp_path / "reference", {"events": events}, 1, **rules)
    assert read_json(reference["stats"])["counts"]["sessions"] == 12
    for outputs in found.values():
        for name in ("sessions", "tracks", "keys"):
            assert outputs[name].read_bytes() == reference[name].read_bytes()
        stats = read_json(outputs["stats"])
        assert stats["counts"] == read_json(reference["stats"])["counts"]


@pytest.mark.parametrize("form", FORMS)
def test_bigger_sample_contains_the_smaller_with_the_same_ids(tmp_path, form):
    events, rules = FORMS[form]
    plays = {}
    for n in (5, 12, None):
        outputs = sample(
            tmp_path / str(n), {"events": events}, sessions=SESSIONS | {"n_sessions": n}, **rules
        )
        keys = read_artifact("keys", outputs["keys"]).to_pylist()
        assert [row["session_id"] for row in keys] == list(range(1, len(keys) + 1))
        names = {
            row["track_id"]: row["track_key"]
            for row in read_artifact("tracks", outputs["tracks"]).to_pylist()
        }
        rows = read_artifact("sessions", outputs["sessions"]).to_pylist()
        plays[n] = keys, [row | {"track_id": names[row["track_id"]]} for row in rows]
    everything = plays[None]
    assert len(everything[0]) > 12
    for n in (5, 12):
        assert plays[n][0] == everything[0][:n]
        assert plays[n][1] == [row for row in everything[1] if row["session_id"] <= n]


def test_another_seed_gives_another_sample(tmp_path):
    events, rules = FORMS["given"]
    keys = [
        read_artifact(
            "keys",
            sample(
                tmp_path / str(seed),
                {"e": events},
                sessions=SESSIONS | {"sampling_seed": seed},
                **rules,
            )["keys"],
        )
        for seed in (1, 2)
    ]
    assert set(keys[0]["session_key"].to_pylist()) != set(keys[1]["session_key"].to_pylist())


@pytest.mark.parametrize("form", FORMS)
def test_track_ids_are_dense_by_frequency_and_key(tmp_path, form):
    events, rules = FORMS[form]
    outputs = sample(tmp_path / "out", {"events": events}, **rules)
    tracks = read_artifact("tracks", outputs["tracks"]).to_pylist()
    plays = read_artifact("sessions", outputs["sessions"]).to_pylist()
    assert [row["track_id"] for row in tracks] == list(range(1, len(tracks) + 1))
    order = [(-row["n_plays"], row["track_key"]) for row in tracks]
    assert order == sorted(order)
    assert len({n for n, _ in order}) < len(order)  # there are ties, so the key had a say
    for row in tracks:
        of_track = [play for play in plays if play["track_id"] == row["track_id"]]
        assert row["n_plays"] == len(of_track) > 0
        assert row["n_skips"] == sum(play["skipped"] is True for play in of_track)


@pytest.mark.parametrize("form", FORMS)
def test_sampled_sessions_keep_the_rules_and_the_counts(tmp_path, form):
    events, rules = FORMS[form]
    outputs = sample(tmp_path / "out", {"events": events}, **rules)
    keys = read_artifact("keys", outputs["keys"]).to_pylist()
    plays = read_artifact("sessions", outputs["sessions"]).to_pylist()
    for key in keys:
        of_session = [play for play in plays if play["session_id"] == key["session_id"]]
        assert [play["position"] for play in of_session] == list(range(1, key["n_plays"] + 1))
        assert 6 <= key["n_plays"] <= 20
        assert sum(play["skipped"] is True for play in of_session) == key["n_skips"] >= 1
    stats = json.loads(outputs["stats"].read_text())
    assert stats["dataset"] == "mine"
    assert stats["sources"] == [{"file": "events"}]
    assert stats["rules"] == {
        "skip_rule": rules["skip_rule"],
        "session_gap": rules["session_gap"],
        **SESSIONS,
    }
    counts = stats["counts"]
    assert counts["plays_read"] == len(events)
    assert counts["sessions"] == len(keys) == 12
    assert counts["plays"] == len(plays)
    assert counts["tracks"] == read_artifact("tracks", outputs["tracks"]).num_rows
    assert counts["skip_share"] == pytest.approx(
        sum(play["skipped"] is True for play in plays) / len(plays)
    )
    # The last plays of sessions, where skips are derived from time.
    unknown = sum(play["skipped"] is None for play in plays)
    assert counts["plays_unknown"] == unknown
    assert (unknown > 0) == (form == "by gap")
    seconds = {(event["session_key"], event["started_at"]) for event in events}
    assert counts.get("batch_scrobbles_dropped", 0) == (
        len(events) - len(seconds) if form == "by gap" else 0
    )


def test_fewer_sessions_than_asked_for_is_a_warning(tmp_path, caplog):
    events, rules = FORMS["given"]
    with caplog.at_level("WARNING", logger="skipwise"):
        outputs = sample(
            tmp_path / "out", {"events": events}, sessions=SESSIONS | {"n_sessions": 1000}, **rules
        )
    n = read_artifact("keys", outputs["keys"]).num_rows
    assert [record.getMessage() for record in caplog.records] == [
        f"mine: {n} sessions are eligible, 1000 were asked for; all are taken"
    ]


@pytest.mark.parametrize(
    ("events", "min_length"),
    [
        ([event | {"skipped": False} for event in given_events(10)], 6),  # no skip
        ([event | {"skipped": None} for event in given_events(10)], 6),  # no label
        (given_events(10), 21),  # all pieces too short
        ([], 6),  # nothing at all
    ],
    ids=["no skip", "no label", "too short", "no plays"],
)
def test_no_session_left_is_one_line_with_the_counts(tmp_path, events, min_length):
    with pytest.raises(UserError) as error:
        sample(
            tmp_path / "out",
            {"events": events},
            sessions=SESSIONS | {"min_length": min_length},
            skip_rule={"name": "given"},
            session_gap=None,
        )
    message = one_line(error)
    assert message.startswith("mine: no session is left")
    assert (
        f"{len(events)} plays in {len({event['session_key'] for event in events})} sessions"
        in message
    )
    assert f"at least {min_length} plays" in message
    assert "skip_rule" in message
    assert not any(path.name.startswith("out_") for path in (tmp_path / "out").iterdir())


@pytest.mark.parametrize(
    ("session_gap", "skip_rule"),
    [(1200, {"name": "given"}), (None, {"name": "gap_below", "seconds": 30}), (1200, MARGIN)],
)
def test_rules_that_need_a_time_say_so(tmp_path, session_gap, skip_rule):
    with pytest.raises(UserError) as error:
        sample(
            tmp_path / "out",
            {"events": given_events(5)},
            session_gap=session_gap,
            skip_rule=skip_rule,
        )
    message = one_line(error)
    assert message.startswith("mine: ")
    assert "need the time of every play" in message


# --- Splits


Plays = list[tuple[int, bool | None]]


def put_sessions(
    steps: Steps,
    sessions: dict[int, Plays],
    days: dict[int, int] | None = None,
    key=lambda session: f"s{session}",
) -> None:
    """Sessions of (track, skipped), the day of each, and what it is a piece of."""
    plays = [
        (session, position, track, skipped, None, (days or {}).get(session, 0))
        for session, tracks in sessions.items()
        for position, (track, skipped) in enumerate(tracks, start=1)
    ]
    make(steps, "plays", LISTED, plays)
    make_keys(steps, sessions, key)
    list_sessions(steps)


def split(steps: Steps, name: str, **shares) -> dict[str, dict[int, tuple]]:
    """(context tracks, context skips, target, unseen skips) by part and session."""
    steps.table("parts", f"splits/{name}", **shares)
    parts: dict[str, dict[int, tuple]] = {part: {} for part in PARTS}
    for part, session, *row in steps.connection.sql(
        "select part, session_id, tracks, skipped, target, unseen_skips from parts"
    ).fetchall():
        assert session not in parts[part]
        parts[part][session] = tuple(row)
    return parts


def session(text: str) -> Plays:
    """``"1 2- 3?"`` is track 1 listened, 2 skipped, 3 of unknown label."""
    labels = {"-": True, "?": None}
    return [(int(word.rstrip("-?")), labels.get(word[-1], False)) for word in text.split()]


HAND = {
    1: session("11 12- 13 14- 15 16- 17 18-"),  # listened at 1, 3, 5, 7: t0 = 3, t1 = 5, t2 = 7
    2: session("21- 22 23 24"),  # t0 = 2, the first that will do
    3: session("31 32 33"),  # l_{m-2} = 1: too early
    4: session("41- 42- 43- 44- 45 46"),  # only two listened
    5: session("51- 52- 53- 54- 55-"),  # none listened
    6: session("61 62 61- 62 61- 63- 63 61-"),  # t0 = 2, t1 = 4, t2 = 7; repeats stay
    7: session("71 72? 73- 74 75? 76 77? 78 79- 80?"),  # t0 = 4, t1 = 6, t2 = 8: 1 is one too many
    8: session("81 82 83? 84? 85? 86-"),  # only two that are known to be listened
}


def test_split_paper_by_hand(steps):
    put_sessions(steps, HAND)
    assert split(steps, "paper") == {
        "train": {
            1: ([11, 12, 13], [False, True, False], None, []),
            2: ([21, 22], [True, False], None, []),
            6: ([61, 62], [False, False], None, []),
            7: ([71, 72, 73, 74], [False, None, True, False], None, []),
        },
        "valid": {
            1: ([11, 12, 13], [False, True, False], 15, []),
            2: ([21, 22], [True, False], 23, []),
            6: ([61, 62], [False, False], 62, []),
            7: ([71, 72, 73, 74], [False, None, True, False], 76, []),
        },
        "test": {
            1: ([11, 12, 13, 14, 15], [False, True, False, True, False], 17, [16, 18]),
            2: ([21, 22, 23], [True, False, False], 24, []),
            6: ([61, 62, 61, 62], [False, False, True, False], 63, [61, 63, 61]),
            7: (
                [71, 72, 73, 74, 75, 76],
                [False, None, True, False, None, False],
                78,
                [79],  # the labels of 77 and 80 are not known
            ),
        },
    }


def test_split_authors_code_by_hand(steps):
    """Plain next tracks, whatever their labels: train x_1..x_{n-3}, validation target x_{n-1}, test
    target x_n.
    """
    code = {1: session("11 12- 13 14 15- 16- 17-"), 5: HAND[5], 8: session("81- 82? 83 84? 85?")}
    put_sessions(steps, code)
    assert split(steps, "authors_code") == {
        "train": {
            1: ([11, 12, 13, 14], [False, True, False, False], None, []),
            5: ([51, 52], [True, True], None, []),
            8: ([81, 82], [True, None], None, []),
        },
        "valid": {
            1: ([11, 12, 13, 14, 15], [False, True, False, False, True], 16, []),
            5: ([51, 52, 53], [True] * 3, 54, []),
            8: ([81, 82, 83], [True, None, False], 84, []),
        },
        "test": {
            1: ([11, 12, 13, 14, 15, 16], [False, True, False, False, True, True], 17, []),
            5: ([51, 52, 53, 54], [True] * 4, 55, []),
            8: ([81, 82, 83, 84], [True, None, False, None], 85, []),
        },
    }


def test_split_temporal_by_hand(steps):
    """Eleven sessions: the day decides, then the id.  Session 3 is of the last day but too short
    for the split.
    """
    sessions = {i: session(f"{i}1- {i}2 {i}3- {i}4 {i}5- {i}6 {i}7-") for i in range(1, 12)}
    days = dict.fromkeys(sessions, 1) | {4: 9, 7: 5, 8: 5, 1: 9}
    sessions[3], days[3] = session("31 32- 33"), 99
    put_sessions(steps, sessions, days)
    parts = split(steps, "temporal", valid_share=0.2, test_share=0.2)
    assert {part: set(found) for part, found in parts.items()} == {
        "train": {2, 5, 6, 9, 10, 11},
        "valid": {7, 8},
        "test": {1, 4},
    }
    # A training session is trained on as far as its last listened track.
    assert parts["train"][2] == (
        [21, 22, 23, 24, 25, 26],
        [True, False, True, False, True, False],
        None,
        [],
    )
    assert parts["valid"][7] == ([71, 72, 73, 74], [True, False, True, False], 76, [])
    assert parts["test"][4] == ([41, 42, 43, 44], [True, False, True, False], 46, [45, 47])


def test_temporal_split_goes_by_the_first_play_where_there_are_times(steps):
    plays = [
        (i, position, 10 * i + position, position == 1, start + position, None)
        for i, start in enumerate([5000, 100, 90_000, 0], start=1)
        for position in range(1, 6)
    ]
    make(steps, "plays", LISTED, plays)
    make_keys(steps, range(1, 5))
    list_sessions(steps)
    parts = split(steps, "temporal", valid_share=0.25, test_share=0.25)
    assert {part: set(found) for part, found in parts.items()} == {
        "train": {4, 2},
        "valid": {1},
        "test": {3},
    }


def test_pieces_of_one_session_are_in_one_part(steps):
    """Ten sessions in order of time, of which 7, 8 and 9 are pieces of one: the part of the first
    of them is that of all.
    """
    sessions = {i: session("1- 2 3 4 5") for i in range(1, 11)}
    days = {i: i for i in sessions}
    put_sessions(steps, sessions, days, key=lambda i: "long" if i in (7, 8, 9) else f"s{i}")
    parts = split(steps, "temporal", valid_share=0.2, test_share=0.2)
    assert {part: set(found) for part, found in parts.items()} == {
        "train": {1, 2, 3, 4, 5, 6},
        "valid": {7, 8, 9},
        "test": {10},
    }


@pytest.fixture(scope="module")
def module_steps():
    with Steps() as steps:
        yield steps


PLAYS = st.tuples(st.integers(1, 30), st.sampled_from([True, True, False, False, None]))
MANY = st.lists(st.lists(PLAYS, min_size=1, max_size=12), min_size=1, max_size=12).map(
    lambda found: dict(enumerate(found, start=1))
)
QUICK = settings(
    max_examples=60, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)


def listened_positions(plays: Plays) -> list[int]:
    return [position for position, (_, skipped) in enumerate(plays, start=1) if skipped is False]


def upto(plays: Plays, position: int) -> tuple[list[int], list[bool | None]]:
    """x_1..x_position and their skips."""
    return [track for track, _ in plays[:position]], [skipped for _, skipped in plays[:position]]


def splittable(plays: Plays) -> bool:
    listened = listened_positions(plays)
    return len(listened) >= 3 and listened[-3] >= 2


def expected_test(plays: Plays) -> tuple:
    """The test row of ``paper`` and ``temporal``."""
    *_, t1, t2 = listened_positions(plays)
    return (*upto(plays, t1), plays[t2 - 1][0], [track for track, skipped in plays[t1:] if skipped])


@QUICK
@given(sessions=MANY)
def test_split_paper_is_what_the_protocol_says(module_steps, sessions):
    put_sessions(module_steps, sessions)
    parts = split(module_steps, "paper")
    kept = {i: plays for i, plays in sessions.items() if splittable(plays)}
    assert set(parts["train"]) == set(parts["valid"]) == set(parts["test"]) == set(kept)
    for i, plays in kept.items():
        t0, t1, t2 = listened_positions(plays)[-3:]
        assert parts["train"][i] == (*upto(plays, t0), None, [])
        assert parts["valid"][i] == (*upto(plays, t0), plays[t1 - 1][0], [])
        assert parts["test"][i] == expected_test(plays)
        # Train sequence, skips up to t1, its target, skips, the test target, skips: all of the
        # session, nothing twice, but for unknown labels, which may stand among the skips.
        tracks, skips, target, unseen = parts["test"][i]
        assert tracks[:t0] == parts["train"][i][0]
        assert False not in skips[t0 : t1 - 1]
        assert tracks[t1 - 1] == parts["valid"][i][2]
        assert skips[t1 - 1] is False
        unknown = sum(skipped is None for _, skipped in plays[t1:])
        assert len(tracks) + 1 + len(unseen) + unknown == len(plays)
        assert False not in [skipped for _, skipped in plays[t1 : t2 - 1]]
        assert target == plays[t2 - 1][0]


@QUICK
@given(
    sessions=MANY.map(
        lambda found: {i: plays for i, plays in found.items() if len(plays) >= 5}
    ).filter(bool)
)
def test_split_authors_code_is_what_the_protocol_says(module_steps, sessions):
    put_sessions(module_steps, sessions)
    parts = split(module_steps, "authors_code")
    for part in PARTS:
        assert set(parts[part]) == set(sessions)
    for i, plays in sessions.items():
        n = len(plays)
        assert parts["train"][i] == (*upto(plays, n - 3), None, [])
        assert parts["valid"][i] == (*upto(plays, n - 2), plays[n - 2][0], [])
        assert parts["test"][i] == (*upto(plays, n - 1), plays[n - 1][0], [])


SHARES = st.sampled_from([(0.1, 0.1), (0.2, 0.3), (0.3, 0.3), (0.05, 0.4), (0.45, 0.45)])


@QUICK
@given(sessions=MANY, days=st.lists(st.integers(0, 4), min_size=12, max_size=12), shares=SHARES)
def test_split_temporal_is_what_the_protocol_says(module_steps, sessions, days, shares):
    valid_share, test_share = shares
    put_sessions(module_steps, sessions, dict(enumerate(days, start=1)))
    parts = split(module_steps, "temporal", valid_share=valid_share, test_share=test_share)
    kept = {i: plays for i, plays in sessions.items() if splittable(plays)}
    # Each session is in one part, so no play of a test session is trained on.
    in_time = sorted(kept, key=lambda i: (days[i - 1], i))
    parted = [sorted(parts[part], key=lambda i: (days[i - 1], i)) for part in PARTS]
    assert [i for part in parted for i in part] == in_time
    n = len(kept)
    assert abs(len(parts["test"]) - test_share * n) <= 1
    assert abs(len(parts["test"]) + len(parts["valid"]) - (test_share + valid_share) * n) <= 1
    for i, plays in kept.items():
        last = listened_positions(plays)[-1]
        if i in parts["train"]:
            assert parts["train"][i] == (*upto(plays, last), None, [])
        elif i in parts["valid"]:
            assert parts["valid"][i] == (*expected_test(plays)[:3], [])
        else:
            assert parts["test"][i] == expected_test(plays)


# --- The splits as files


def session_file(path, sessions: dict[int, Plays], *, day: bool = True) -> str:
    table = [
        dict.fromkeys(ARTIFACTS["sessions"].schema.names)
        | {
            "session_id": i,
            "position": position,
            "track_id": track,
            "skipped": skipped,
            "day": i % 7 if day else None,
        }
        for i, plays in sessions.items()
        for position, (track, skipped) in enumerate(plays, start=1)
    ]
    write_artifact(
        pa.Table.from_pylist(table, schema=ARTIFACTS["sessions"].schema), "sessions", path
    )
    return str(path)


def keys_file(source: str) -> str:
    """The keys of a file of sessions, of which no two are of one user."""
    ids = pl.read_parquet(source)["session_id"].unique().sort()
    named = ids.cast(pl.String).alias("session_key")
    keys = pl.DataFrame([ids, named, named.alias("cluster_key")]).with_columns(
        piece=pl.lit(0, pl.Int32), n_plays=pl.lit(1, pl.Int16), n_skips=pl.lit(0, pl.Int16)
    )
    write_artifact(keys.to_arrow(), "keys", f"{source}-keys")
    return f"{source}-keys"


def split_files(folder, source: str, name: str, threads: int = 1, headline: str = "auto") -> dict:
    outputs = {part: str(folder / f"{part}.parquet") for part in PARTS}
    shares = {"valid_share": 0.2, "test_share": 0.2}
    split_sessions(
        source,
        keys_file(source),
        Machine(threads),
        split=name,
        parameters=shares if parameters("split", name) else {},
        headline=headline,
        outputs=outputs,
        out_stats=str(folder / "split.json"),
    )
    return {part: read_artifact(part, path).to_pylist() for part, path in outputs.items()}


@pytest.mark.parametrize("name", ["paper", "temporal", "authors_code"])
def test_a_split_does_not_depend_on_how_many_sessions_are_gathered_at_once(
    tmp_path, monkeypatch, name
):
    sessions = {i: session(f"{i} {i + 1}- {i + 2} {i + 3} {i + 4}- {i + 5}") for i in range(1, 12)}
    source = session_file(tmp_path / "sessions", sessions)
    folders = tmp_path / "whole", tmp_path / "in-ranges"
    split_files(folders[0], source, name)
    monkeypatch.setattr("skipwise.sessions.split.AT_ONCE", 4)
    split_files(folders[1], source, name)
    names = sorted(path.name for path in folders[0].iterdir())
    assert len(names) == 4
    for part in names:
        assert (folders[0] / part).read_bytes() == (folders[1] / part).read_bytes()


def test_split_files_are_artifacts_and_are_counted(tmp_path):
    sessions = {
        1: session("1 2- 3 4- 5 6- 9 8-"),
        2: session("1- 3 5 9"),
        3: session("1 2 3"),
        4: session("7 2- 3 2 9-"),
    }
    found = split_files(tmp_path, session_file(tmp_path / "sessions", sessions), "paper")
    assert [row["session_id"] for row in found["train"]] == [
        1,
        2,
    ]  # 3 is too short, 4 has its l_{m-2} at 1
    assert found["test"] == [
        {
            "session_id": 1,
            "tracks": [1, 2, 3, 4, 5],
            "skipped": [False, True, False, True, False],
            "target": 9,
            "unseen_skips": [6, 8],
            "time": 1.0,
            "cluster": 1,
        },
        {
            "session_id": 2,
            "tracks": [1, 3, 5],
            "skipped": [True, False, False],
            "target": 9,
            "unseen_skips": [],
            "time": 2.0,
            "cluster": 2,
        },
    ]
    stats = read_json(tmp_path / "split.json")
    assert stats == {
        "split": "paper",
        "counts": {"sessions": 4, "train": 2, "valid": 2, "test": 2},
        "test_sessions_with_a_piece_in_train": 0,
        "unseen_target_share": 1.0,  # 9 is in no train sequence
        "repeat_target_share": {"valid": 0.0, "test": 0.0},
        "headline": "new",
    }


@pytest.mark.parametrize("name", names("split"))
def test_a_split_keeps_the_time_of_each_session_in_days(tmp_path, name):
    plays = [session("1 2- 3 4- 5 6- 9 8-")] * 20
    starts = [timedelta(days=40 - i, hours=6) for i in range(20)]
    table = [
        {
            "session_id": i + 1,
            "position": position,
            "track_id": track,
            "skipped": skipped,
            "started_at": datetime(1970, 1, 1) + starts[i] + timedelta(seconds=position),
        }
        for i, of_session in enumerate(plays)
        for position, (track, skipped) in enumerate(of_session, start=1)
    ]
    sessions = pa.Table.from_pylist(table, schema=ARTIFACTS["sessions"].schema)
    write_artifact(sessions, "sessions", tmp_path / "sessions")
    found = split_files(tmp_path, str(tmp_path / "sessions"), name)
    for row in [row for part in PARTS for row in found[part]]:
        expected = 40 - (row["session_id"] - 1) + 6 / 24 + 1 / 86400
        assert row["time"] == pytest.approx(expected, abs=1e-9)


def repeating(valid: int, test: int, of: int) -> dict[int, Plays]:
    """So many sessions, in which the first few validation and test targets are repeats."""
    return {
        i: [
            (1, True),
            (2, False),
            (2 if i <= valid else 3, False),
            (2 if i <= test else 4, False),
        ]
        for i in range(1, of + 1)
    }


@pytest.mark.parametrize(
    ("repeats", "headline", "expected"),
    [
        ((1, 0, 100), "auto", "full"),  # 1 % is not under 1 %
        ((1, 0, 101), "auto", "new"),
        ((0, 101, 101), "full", "full"),
        ((0, 100, 101), "auto", "new"),  # test targets have no say
        ((2, 0, 101), "auto", "full"),
        ((101, 0, 101), "auto", "full"),
        ((100, 50, 101), "new", "new"),
        ((0, 0, 101), "full", "full"),
    ],
)
def test_the_headline_goes_by_the_share_of_validation_targets_that_repeat(
    tmp_path, repeats, headline, expected
):
    valid, test, of = repeats
    source = session_file(tmp_path / "sessions", repeating(valid, test, of))
    found = split_files(tmp_path, source, "paper", headline=headline)
    stats = read_json(tmp_path / "split.json")
    assert stats["headline"] == expected
    assert stats["repeat_target_share"] == pytest.approx({"valid": valid / of, "test": test / of})
    for part, share in stats["repeat_target_share"].items():
        assert share == pytest.approx(
            Sequences.read(part, tmp_path / f"{part}.parquet").repeats().mean()
        )
        assert len(found[part]) == of


@pytest.mark.parametrize("repeats", [(9, 0, 9), (0, 9, 9)])
def test_new_candidates_without_a_new_target_are_one_line(tmp_path, repeats):
    source = session_file(tmp_path / "sessions", repeating(*repeats))
    with pytest.raises(UserError) as error:
        split_files(tmp_path, source, "paper", headline="new")
    assert "every target is a track of its context" in one_line(error)
    assert "set candidates.headline to full" in one_line(error)


# --- Unknown labels, from the label to the batches of training


def labelled_events(n_sessions: int = 60) -> list[dict]:
    """Sessions as they are in which every play has a track of its own, a fifth of them without a
    label.
    """
    chance, events = random.Random(9), []
    for number in range(n_sessions):
        for position in range(1, chance.randrange(7, 24)):
            events.append(
                dict.fromkeys(ARTIFACTS["events"].schema.names)
                | {
                    "part": 0,
                    "session_key": f"{number % 5}_{number}",
                    "position": position,
                    "track_key": f"t{len(events)}",
                    "skipped": chance.choice([True, True, False, False, None]),
                    "day": number % 5,
                }
            )
    return events


@pytest.fixture(params=["paper", "temporal"])
def parts_of_unknown(request, tmp_path):
    """What a reading of unknown labels makes of them: the parts of a split, the raw label of each
    track, and stats.json.
    """
    events = labelled_events()

    def made(reading: str) -> tuple[dict[str, Sequences], dict[int, bool | None], dict]:
        sessions = SESSIONS | {"n_sessions": None, "unknown_labels": reading}
        folder = tmp_path / reading
        outputs = sample(folder, {"e": events}, sessions=sessions, **FORMS["given"][1])
        split_files(folder, str(outputs["sessions"]), request.param)
        parts = {part: Sequences.read(part, folder / f"{part}.parquet") for part in PARTS}
        tracks = read_artifact("tracks", outputs["tracks"]).to_pylist()
        of_key = {event["track_key"]: event["skipped"] for event in events}
        labels = {row["track_id"]: of_key[row["track_key"]] for row in tracks}
        return parts, labels, read_json(outputs["stats"])

    return made


def test_a_play_of_unknown_label_is_context_and_nothing_else(parts_of_unknown):
    parts, labels, stats = parts_of_unknown("kept")
    assert stats["counts"]["plays_unknown"] == sum(label is None for label in labels.values())
    assert stats["rules"]["unknown_labels"] == "kept"

    def labels_of(tracks) -> list[bool | None]:
        return [labels[track] for track in tracks.tolist()]

    for part, found in parts.items():
        raw = labels_of(found.tracks.values)
        assert found.skipped.values.tolist() == [label is True for label in raw], part
        assert found.unknown.values.tolist() == [label is None for label in raw], part
        assert found.listened.values.tolist() == [label is False for label in raw], part
        assert found.unknown.values.sum() > 5
        if part != "train":
            assert set(labels_of(found.target)) == {False}
    assert set(labels_of(parts["test"].unseen_skips.values)) == {True}
    used = 0
    for batch in Batches(parts["train"], 16).epoch(np.random.default_rng(1)):
        masked = batch.mask(0.5, np.random.default_rng(1))
        for chosen in (batch.listened, batch.may_be_target, batch.queries, masked):
            assert set(labels_of(batch.tracks[chosen])) == {False}
        assert set(labels_of(batch.targets)) == {False}
        assert set(labels_of(batch.tracks[batch.skipped])) == {True}
        # A play of unknown label has a target: it is context.
        real = batch.tracks > 0
        used += sum(label is None for label in labels_of(batch.tracks[real & batch.predicted]))
    assert used > 5


def test_unknown_labels_that_are_read_as_listened_are_listened(parts_of_unknown):
    kept, labels, _ = parts_of_unknown("kept")
    parts, same_labels, stats = parts_of_unknown("listened")
    assert same_labels == labels  # the same sessions: an unknown label was no skip before
    assert stats["counts"]["plays_unknown"] == 0
    assert stats["rules"]["unknown_labels"] == "listened"
    for part, found in parts.items():
        assert found.unknown is None
        raw = [labels[track] for track in found.tracks.values.tolist()]
        assert found.skipped.values.tolist() == [label is True for label in raw], part
        assert found.listened.values.tolist() == [label is not True for label in raw], part
    assert {labels[track] for track in parts["test"].target.tolist()} == {False, None}
    assert len(parts["test"]) > len(kept["test"])  # more sessions have three listened plays


def test_the_last_play_of_a_session_is_unknown_where_skips_are_derived(tmp_path):
    """So it is the test target only where unknown labels are read as listened."""
    events, rules = FORMS["by gap"]
    last = {}
    for reading in ("kept", "listened"):
        sessions = SESSIONS | {"n_sessions": None, "unknown_labels": reading}
        outputs = sample(tmp_path / reading, {"e": events}, sessions=sessions, **rules)
        plays = read_artifact("sessions", outputs["sessions"]).to_pylist()
        labels: dict[int, list[bool | None]] = {}
        for play in plays:
            labels.setdefault(play["session_id"], []).append(play["skipped"])
        assert not any(None in of_session[:-1] for of_session in labels.values())
        last[reading] = [of_session[-1] for of_session in labels.values()]
    # The last play of a piece that is cut off has a next one, whose time tells.
    assert {None, False} <= set(last["kept"])
    assert last["listened"] == [bool(label) for label in last["kept"]]


def test_unseen_target_share_counts_targets_out_of_every_train_sequence(tmp_path):
    sessions = {
        1: session("1- 2 3 4"),  # target 4: trained on in session 2
        2: session("1- 4 3 5"),  # target 5: in no train sequence
        3: session("6- 4 5 9"),  # target 9: as a skip in the train sequence of session 4
        4: session("9- 4 5 2"),
    }
    split_files(tmp_path, session_file(tmp_path / "sessions", sessions), "paper")
    assert read_json(tmp_path / "split.json")["unseen_target_share"] == pytest.approx(1 / 4)


@pytest.mark.parametrize("name", names("split"))
def test_split_does_not_depend_on_cores(tmp_path, name):
    chance = random.Random(3)
    sessions = {
        i: [
            (chance.randrange(1, 40), chance.random() < 0.4) for _ in range(chance.randrange(6, 21))
        ]
        for i in range(1, 80)
    }
    source = session_file(tmp_path / "sessions", sessions)
    files = {}
    for threads in (1, 2):
        folder = tmp_path / str(threads)
        folder.mkdir()
        split_files(folder, source, name, threads)
        files[threads] = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert set(files[1]) == {"train.parquet", "valid.parquet", "test.parquet", "split.json"}
    assert files[1] == files[2]


@pytest.mark.parametrize(
    ("sessions", "name", "part"),
    [
        ({1: session("1 2 3")}, "paper", "train"),
        ({1: session("1- 2- 3- 4- 5- 6-")}, "paper", "train"),
        ({1: session("1- 2 3 4")}, "temporal", "valid"),
        ({1: session("1 2- 3")}, "authors_code", "train"),
    ],
)
def test_an_empty_part_is_one_line_that_names_it(tmp_path, sessions, name, part):
    source = session_file(tmp_path / "sessions", sessions)
    with pytest.raises(UserError) as error:
        split_files(tmp_path, source, name)
    message = one_line(error)
    assert f"the split '{name}' leaves no {part} session" in message
    assert source in message


def test_temporal_split_without_a_time_is_one_line(tmp_path):
    source = session_file(
        tmp_path / "sessions", {i: session("1- 2 3 4") for i in range(1, 9)}, day=False
    )
    with pytest.raises(UserError) as error:
        split_files(tmp_path, source, "temporal")
    assert "needs a time or a day for every session" in one_line(error)
