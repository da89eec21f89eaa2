"""What of the comparison with peers can be tested without them: the data, the clock, the tables,
the message.
"""

import importlib
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest
from examples import ROOT


@pytest.fixture
def tool(monkeypatch):
    """Import a file of tools/ or tools/peers/ by its name."""
    for folder in ("tools", "tools/peers"):
        monkeypatch.syspath_prepend(ROOT / folder)
    return importlib.import_module


def answer(peer, model, settings, rate, *, ranked=10.0, **more):
    measured = {
        "step_ms": 1e3 / rate,
        "sessions_per_s": rate,
        "targets_per_s": 15 * rate,
        "ranked_per_s": ranked,
    }
    keys = {"peer": peer, "model": model, "settings": settings, "tracks": 100, "version": "1.0"}
    return keys | measured | {"train_gib": 1.0, "peak_gib": 2.0} | more


def test_the_data_is_what_the_scripts_of_the_peers_read(tool, tmp_path):
    n_tracks = 1_003
    tool("bench_peers").write_data(tmp_path, n_tracks, n_sessions=50, n_contexts=7)
    for name, n in (("sessions", 50), ("contexts", 7), ("catalogue", 51)):
        table = pq.read_table(tmp_path / f"{name}.parquet")
        assert table.column_names == ["session_id", "tracks", "skipped"]
        assert table["session_id"].to_pylist() == list(range(n))
        assert [len(s) for s in table["skipped"].to_pylist()] == [
            len(t) for t in table["tracks"].to_pylist()
        ]
    lists = tool("measure").lists
    for name in ("sessions", "contexts"):
        made = lists(tmp_path / f"{name}.parquet")
        assert all(10 <= len(tracks) <= 20 for tracks in made)
        assert all(1 <= track <= n_tracks for tracks in made for track in tracks)
    # Every track once, so that a peer that learns its catalogue from the plays has the whole of it.
    catalogue = lists(tmp_path / "catalogue.parquet")
    assert sorted(track for tracks in catalogue for track in tracks) == list(range(1, n_tracks + 1))
    assert {len(tracks) for tracks in catalogue} == {20, 3}


def test_our_script_reads_the_data_as_sequences(tool, tmp_path):
    tool("bench_peers").write_data(tmp_path, 100, n_sessions=5, n_contexts=3)
    ours = tool("skipwise_models")
    contexts = ours.read(tmp_path / "contexts.parquet")
    assert [contexts.tracks.take(np.array([i])).values.tolist() for i in range(3)] == tool(
        "measure"
    ).lists(tmp_path / "contexts.parquet")
    assert contexts.skipped.offsets.tolist() == contexts.tracks.offsets.tolist()


def test_the_clock_leaves_out_the_first_steps_and_takes_the_median_window(tool, monkeypatch):
    measure = tool("measure")
    # Two steps of 50 s warm up; then windows of 2, 1 and 1 steps, of 4 s, 8 s and 4 s; nothing
    # after is counted.
    times = iter([50.0, 100.0, 102.0, 104.0, 112.0, 116.0, 999.0])
    monkeypatch.setattr(measure.time, "perf_counter", lambda: next(times))
    clock = measure.Clock(seconds=3, windows=3, warm_up=2)
    assert [clock.tick(8, 80) for _ in range(7)] == [False] * 5 + [True] * 2
    # Seconds a step 2, 8 and 4; sessions a second 16 / 4, 8 / 8 and 8 / 4; targets ten times those.
    assert clock.step_ms == 4_000
    assert clock.rates() == [2, 20]


def test_epochs_follow_each_other_until_the_clock_has_enough(tool, monkeypatch):
    measure = tool("measure")
    seconds = iter(range(100))
    monkeypatch.setattr(measure.time, "perf_counter", lambda: float(next(seconds)))
    clock = measure.Clock(seconds=1, windows=3, warm_up=1)
    assert list(measure.counted(lambda: iter("ab"), clock, lambda batch: (1,))) == [
        "a",
        "b",
        "a",
        "b",
    ]


def test_ratios_are_at_the_same_settings(tool):
    bench = tool("bench_peers")
    rows = bench.joined(
        [
            answer("recbole", "GRU4Rec", "shipped", 1.0),
            answer("recbole", "GRU4Rec", "same", 2.0),
            answer("replay", "1,000 shared negatives", "same", 7.0),
            answer("replay", "1,000 shared negatives", "shipped", 10.0),
            answer("replay", "1,000 shared negatives", "same", 20.0, ranked=4.0, train_gib=3.0),
            answer("rectools", "sampled-1", "same", 20.0),
            answer(
                "skipwise",
                "SASRec orig",
                "shipped",
                300.0,
                ranked_to_1000_per_s=50.0,
                ranked_to_10_per_s=70.0,
            ),
            answer(
                "skipwise",
                "SASRec orig",
                "same",
                400.0,
                ranked=20.0,
                ranked_to_1000_per_s=60.0,
                ranked_to_10_per_s=80.0,
            ),
        ]
    )
    ours, peer, gru = rows
    # The later answer counts; RecTools has none for the other settings.
    assert peer["sessions_per_s"] == (10.0, 20.0)
    assert peer["train_gib"] == 3.0
    assert bench.ratio(rows, peer, "sessions_per_s") == 400 / 20
    assert bench.ratio(rows, peer, "ranked_to_1000_per_s", "ranked_per_s") == 60 / 4
    assert bench.ratio(rows, ours, "sessions_per_s") is None
    # Ours of that kind was not measured.
    assert bench.ratio(rows, gru, "sessions_per_s") is None
    lines = bench.tables(rows).splitlines()
    assert (
        "| 100 | replay | 1.0 | 1,000 shared negatives | 100 → 50 | 10 → 20 | 150 → 300 | 3.0 | "
        "20 | 20 |" in lines
    )
    assert "| 100 | replay | 1,000 shared negatives | 10 | 4.0 | 2.0 | 5.0 | 15 | 20 |" in lines
    assert "| 100 | skipwise | SASRec orig, ranks to 1,000 | 50 | 60 | 2.0 | – | – | – |" in lines


def test_a_peer_without_an_environment_is_one_clear_line(tool, tmp_path):
    bench = tool("bench_peers")
    with pytest.raises(
        bench.MissingError,
        match=r"^replay: no environment .*replay; .*`make .venv-peers/replay/.installed`$",
    ):
        bench.python_of("replay", tmp_path)
    assert bench.python_of("skipwise", tmp_path).samefile(sys.executable)


def test_a_script_that_fails_is_one_clear_line(tool, tmp_path):
    bench = tool("bench_peers")
    with pytest.raises(
        bench.MissingError, match="^skipwise, SASRec orig, 100 tracks, same: .*sessions.parquet"
    ):
        bench.measure("skipwise", "SASRec orig", "same", tmp_path, 100, 0.1)


def test_a_peer_runs_between_two_runs_of_ours(tool, monkeypatch, capsys):
    bench = tool("bench_peers")
    ran = []

    def measure(peer, model, settings, folder, n_tracks, seconds):
        assert (folder / "sessions.parquet").exists()
        if settings == "shipped" and peer == "cornac":
            raise bench.MissingError(f"{peer}: too little memory?")
        ran.append((peer, model))
        # Ours gets slower, the peer stays as it is.
        return {"sessions_per_s": 10.0 if peer == "cornac" else 100.0 - 10 * len(ran)}

    monkeypatch.setattr(bench, "measure", measure)
    ratios = bench.in_turn(100, "cornac", "shipped", "same", rounds=2, seconds=0.1)
    assert ran == [
        ("skipwise", "GRU4Rec orig"),
        *[("cornac", "shipped"), ("skipwise", "GRU4Rec orig")] * 2,
    ]
    assert ratios == [(90 + 70) / 2 / 10, (70 + 50) / 2 / 10]
    ran.clear()
    bench.compare_in_turn([100], ["skipwise", "cornac"], 1, 0.1)
    printed = capsys.readouterr()
    assert printed.err.splitlines() == ["cornac: too little memory?"] * 2
    first, second = printed.out.splitlines()[-2:]
    assert first == "| 100 | cornac | shipped | – | 7.0 (7.0) |"
    assert second.startswith("| 100 | cornac | sampled-1000 | – | ")


def test_every_peer_has_a_script_and_exact_versions(tool):
    for peer, (script, models) in tool("bench_peers").PEERS.items():
        assert (ROOT / "tools" / "peers" / script).exists()
        assert models
        if peer != "skipwise":
            lines = (
                (ROOT / "envs" / "peers" / f"{peer}.txt").read_text(encoding="utf-8").splitlines()
            )
            packages = [line for line in lines if not line.startswith("#")]
            assert "torch==2.13.0" in packages
            assert all("==" in package for package in packages)
