"""The command line: what it prints, on small folders that the library made, and one line for every
mistake.
"""

import gzip
import hashlib
import json
import math
import os
import re
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
import torch
import yaml
from configs import SCHEMA
from examples import (
    ROOT,
    FixedScores,
    cyclic_sessions,
    default_config,
    label_and_sample_sessions,
    random_sessions,
    ranks_table,
    sequences,
    settings_of,
    splits_of,
    write_part,
)
from safetensors.torch import save_file
from skipwise.commands.cli import main
from skipwise.commands.recommend import TrainedModel, read_session, top
from skipwise.core.artifacts import read_artifact, read_json, write_artifact, write_json
from skipwise.core.errors import UserError
from skipwise.core.mistakes import check_config
from skipwise.core.registry import find_model
from skipwise.evaluation.rank_sessions import rank_test_sessions
from skipwise.evaluation.run_files import ranks_of_run
from skipwise.ranking.metrics import CUTOFFS, summarise
from skipwise.raw.extract import extract_events
from skipwise.report.tables import answer
from skipwise.sessions.catalogue import Catalogue
from skipwise.sessions.sequences import Sequences
from skipwise.training.saved import load_model
from skipwise.training.train import train_model

pytestmark = pytest.mark.long


@pytest.fixture
def run(capsys, monkeypatch):
    """Call the command line; gives status, output and messages."""

    def call(*arguments) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["skipwise", *map(str, arguments)])
        status = 0
        try:
            main()
        except SystemExit as end:
            status = end.code or 0
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return call


def failure(run, *arguments) -> str:
    """The one line that a mistake ends in."""
    status, out, err = run(*arguments)
    assert status == 1
    assert out == ""
    (line,) = err.splitlines()
    return line


SHUFFLED = {"labels": "shuffled"}
N = 12
KEYS = [f"t{(7 * i) % N}" for i in range(N)]  # track 1 is KEYS[0]


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    """Sessions that walk round a circle of tracks, and models trained on them."""
    folder = tmp_path_factory.mktemp("results")
    parts = {}
    for part, seed in (("train", 1), ("valid", 2), ("test", 3)):
        parts[part] = str(folder / f"splits/dataset=circle/split=paper/{part}.parquet")
        write_part(cyclic_sessions(60, N, seed=seed), part, Path(parts[part]))
    tracks = folder / "sessions/dataset=circle/tracks.parquet"
    counts = {"n_plays": [1] * N, "n_skips": [0] * N}
    write_artifact(
        pa.table({"track_id": range(1, N + 1), "track_key": KEYS, **counts}), "tracks", tracks
    )
    (split,) = splits_of(list(parts.values()))
    for model, variant in (("markov", "orig"), ("sasrec", "orig"), ("wrmf", "nr")):
        settings = settings_of(model, variant)
        train_model(
            parts["train"], parts["valid"], str(tracks), split,
            model_folder(folder, model, variant), model=model, recommender=model, variant=variant,
            settings=settings, seed=1, threads=1,
        )  # fmt: skip
    return folder


def model_folder(results: Path, model: str, variant: str = "orig") -> Path:
    return results / f"models/dataset=circle/split=paper/model={model}/variant={variant}/seed=1"


def session_file(path: Path, ids: list[int], **columns) -> Path:
    pl.DataFrame({"track": [KEYS[i - 1] for i in ids], **columns}).write_csv(path)
    return path


class TestRecommend:
    def test_the_next_track_of_the_circle_is_first(self, run, results, tmp_path):
        session = session_file(tmp_path / "s.csv", [3, 4, 5])
        for model in ("markov", "sasrec"):
            status, out, err = run(
                "recommend", "--run", model_folder(results, model), "--session", session, "--k", 3
            )
            assert (status, err) == (0, "")
            lines = out.splitlines()
            assert lines[0] == "rank,track,score"
            assert [line.split(",")[0] for line in lines[1:]] == ["1", "2", "3"]
            assert lines[1].split(",")[1] == KEYS[6 - 1]

    def test_the_ranking_is_that_of_the_scores(self, results):
        model = load_model(model_folder(results, "sasrec"))
        scores = model.score(sequences([[3, 4, 5], [9, 10]])).numpy()[:, 1:]
        plays = pl.DataFrame(
            {
                "session": ["a"] * 3 + ["b"] * 2,
                "track": [KEYS[i - 1] for i in (3, 4, 5, 9, 10)],
                "skipped": False,
            }
        )
        found = TrainedModel(model_folder(results, "sasrec")).recommend(plays, k=N)
        for session, row in zip("ab", scores, strict=True):
            rows = found.filter(session=session)
            assert rows["track"].to_list() == [KEYS[i] for i in np.argsort(-row)]
            assert rows["score"].to_numpy() == pytest.approx(np.sort(row)[::-1], abs=1e-6)

    def test_json_names_and_tracks_that_are_new(self, run, results, tmp_path):
        session = session_file(tmp_path / "s.csv", [4, 5, 6, 5])
        names = tmp_path / "names.csv"
        called = [f"Song {i}" for i in range(1, 10)]
        pl.DataFrame({"track": [*KEYS[:9], "NULL"], "name": [*called, "no track"]}).write_csv(names)
        out = tmp_path / "out.json"
        options = (
            "--candidates",
            "new",
            "--names",
            names,
            "--format",
            "json",
            "--out",
            out,
            "--k",
            100,
        )
        status, printed, _ = run(
            "recommend", "--run", model_folder(results, "markov"), "--session", session, *options
        )
        assert (status, printed) == (0, "")
        rows = json.loads(out.read_text())
        assert len(rows) == N - 3
        assert not {row["track"] for row in rows} & {KEYS[3], KEYS[4], KEYS[5]}
        assert {row["track"]: row["name"] for row in rows} == {
            key: f"Song {i}" if i < 10 else None
            for i, key in enumerate(KEYS, 1)
            if i not in (4, 5, 6)
        }

    def test_the_candidates_are_by_default_those_that_the_model_was_selected_on(
        self, run, results, tmp_path
    ):
        session = session_file(tmp_path / "s.csv", [4, 5, 6, 5])
        folder = tmp_path / "models/dataset=circle/split=paper/model=markov/variant=orig/seed=1"
        shutil.copytree(model_folder(results, "markov"), folder)
        tracks = results / "sessions/dataset=circle/tracks.parquet"
        options = ("--run", folder, "--session", session, "--tracks", tracks, "--k", N)
        assert read_json(folder / "run.json")["candidates"] == "full"
        answers = {}
        for selected in ("full", "new"):
            stored = read_json(folder / "run.json") | {"candidates": selected}
            write_json(stored, folder / "run.json")
            for given in (None, "full", "new"):
                more = ("--candidates", given) if given else ()
                status, out, err = run("recommend", *options, *more)
                assert (status, err) == (0, "")
                answers[selected, given] = [line.split(",")[1] for line in out.splitlines()[1:]]
        context = {KEYS[3], KEYS[4], KEYS[5]}
        full, new = answers["full", "full"], answers["full", "new"]
        assert sorted(full) == sorted(KEYS)
        assert new == [track for track in full if track not in context]  # the order is the same
        assert answers == {
            (selected, given): new if (given or selected) == "new" else full
            for selected, given in answers
        }

    def test_candidates_are_one_of_two_words(self, run, results, tmp_path):
        session = session_file(tmp_path / "s.csv", [4, 5])
        options = ("--run", model_folder(results, "markov"), "--session", session)
        status, out, err = run("recommend", *options, "--candidates", "sampled")
        assert (status, out) == (2, "")
        assert "'sampled' is not one of 'full', 'new'" in err

    def test_an_unknown_label_is_neither_a_skip_nor_listened(self, run, results, tmp_path):
        """Of the seconds of the second play nothing is known."""
        path = tmp_path / "s.csv"
        path.write_text(f"track,seconds\n{KEYS[2]},200\n{KEYS[3]},\n{KEYS[4]},200\n")
        folder = model_folder(results, "wrmf", "nr")
        _, printed, _ = run(
            "recommend", "--run", folder, "--session", path, "--skipped-when", "seconds < 30"
        )
        found = pl.read_csv(printed.encode())["score"].to_numpy()
        scores = {
            label: np.sort(
                load_model(folder).score(sequences([[3, 4, 5]], [[False, label, False]]))[0, 1:]
            )[::-1]
            for label in (None, False, True)
        }
        assert found == pytest.approx(scores[None], abs=1e-6)
        for label in (False, True):
            assert np.abs(found - scores[label]).max() > 1e-3

    def test_unknown_tracks_are_named_and_left_out(self, run, results, tmp_path):
        known = session_file(tmp_path / "known.csv", [3, 4])
        mixed = tmp_path / "mixed.csv"
        mixed.write_text(f"track\n{KEYS[2]}\nnobody\n{KEYS[3]}\nnothing\n")
        folder = model_folder(results, "sasrec")
        _, expected, _ = run("recommend", "--run", folder, "--session", known)
        status, out, err = run("recommend", "--run", folder, "--session", mixed)
        assert (status, out) == (0, expected)
        (line,) = err.splitlines()
        assert "2 (nobody, nothing)" in line

    def test_skips_reach_the_model(self, run, results, tmp_path):
        played = session_file(tmp_path / "s.csv", [3, 4, 5], seconds=[200, 10, 200])
        folder = model_folder(results, "wrmf", "nr")
        _, listened, _ = run("recommend", "--run", folder, "--session", played)
        _, skipped, _ = run(
            "recommend", "--run", folder, "--session", played, "--skipped-when", "seconds < 30"
        )
        assert listened != skipped
        model = load_model(folder)
        for printed, flags in ((listened, [False] * 3), (skipped, [False, True, False])):
            scores = model.score(sequences([[3, 4, 5]], [flags])).numpy()[0, 1:]
            found = pl.read_csv(printed.encode())
            assert found["score"].to_numpy() == pytest.approx(np.sort(scores)[::-1], abs=1e-6)

    def test_a_long_session_counts_with_its_last_plays(self, run, results, tmp_path):
        plays = [i % N + 1 for i in range(30)]
        folder = model_folder(results, "sasrec")
        length = read_json(folder / "run.json")["settings"]["max_length"] - 1
        answers = [
            run("recommend", "--run", folder, "--session", session_file(tmp_path / f"{i}.csv", of))[
                1
            ]
            for i, of in enumerate((plays, plays[-length:], plays[-length + 1 :]))
        ]
        assert answers[0] == answers[1] != answers[2]

    def test_several_sessions_keep_their_names_and_order(self, run, results, tmp_path):
        session = session_file(tmp_path / "s.csv", [9, 2, 10, 3], listener=["z", "a", "z", "a"])
        options = ("--session-column", "listener", "--k", 1)
        _, out, _ = run(
            "recommend", "--run", model_folder(results, "markov"), "--session", session, *options
        )
        assert [row[:3] for row in pl.read_csv(out.encode()).rows()] == [
            ("z", 1, KEYS[10]),
            ("a", 1, KEYS[3]),
        ]

    def test_one_session_has_one_spelling(self, tmp_path):
        (tmp_path / "s.csv").write_text("session,track\n1.0,a\n1,b\n")
        options = {"track": "track", "session": "session", "skipped_when": None}
        assert read_session(tmp_path / "s.csv", **options)["session"].to_list() == ["1", "1"]

    def test_equal_scores_are_in_the_order_of_the_tracks(self):
        scores = torch.tensor([-torch.inf, 1, 3, 1, 3, 1, 0, -torch.inf])
        for k, expected in ((3, [2, 4, 1]), (5, [2, 4, 1, 3, 5]), (99, [2, 4, 1, 3, 5, 6])):
            assert top(scores, k).tolist() == expected

    def test_keys_are_found_whatever_their_number(self, tmp_path):
        keys = [f"k{i}" for i in range(1, 500)]
        counts = {"n_plays": [1] * 499, "n_skips": [0] * 499}
        write_artifact(
            pa.table({"track_id": range(1, 500), "track_key": keys, **counts}),
            "tracks",
            tmp_path / "t.parquet",
        )
        wanted = pl.Series(["k7", "nope", "k499", "k7", "k1"])
        assert Catalogue(tmp_path / "t.parquet").ids(wanted).tolist() == [7, 0, 499, 7, 1]

    @pytest.mark.parametrize(
        ("change", "expected"),
        [
            ({"--run": "results"}, ["results is no folder of a trained model", "run.json"]),
            ({"--session": "absent.csv"}, ["absent.csv: No such file"]),
            ({"--session": "absent.parquet"}, ["absent.parquet"]),
            ({"--session": "unknown.csv"}, ["no track that is in", "tracks.parquet"]),
            ({"--session": "empty.csv"}, ["empty.csv holds no plays"]),
            ({"--session": "empty.json"}, ["empty.json holds no rows"]),
            ({"--session": "hole.csv"}, ["hole.csv, line 3", "'track' is empty"]),
            ({"--session": "half.parquet"}, ["half.parquet, row 2", "1.5", "not a whole number"]),
            ({"--session": "lasted.parquet"}, ["lasted.parquet, row 1", "'track' holds durations"]),
            (
                {"--session": "nan.parquet", "--session-column": "n"},
                ["nan.parquet, row 2: column 'n' holds 'NaN'"],
            ),
            (
                {"--session": "blank.csv", "--skipped-when": "skipped"},
                ["blank.csv, line 4: column 'skipped' holds 'maybe'"],
            ),
            ({"--names": "half.parquet"}, ["half.parquet, row 2", "not a whole number"]),
            ({"--session": "weights.csv"}, ["weights.csv is not delimited text"]),
            ({"--track": "trak"}, ["no column 'trak'", "did you mean 'track'?"]),
            ({"--skipped-when": "seconds < 30"}, ["no column 'seconds'"]),
            (
                {"--tracks": "other.parquet"},
                ["other.parquet is not the file that the model", "--tracks"],
            ),
            ({"--out": "absent/file.csv"}, ["absent: File exists"]),
        ],
        ids=lambda change: " ".join(change) if isinstance(change, dict) else "",
    )
    def test_a_mistake_is_one_line(self, run, results, tmp_path, monkeypatch, change, expected):
        monkeypatch.chdir(tmp_path)
        session_file(tmp_path / "s.csv", [3, 4])
        (tmp_path / "results").mkdir()
        (tmp_path / "absent").touch()
        pl.DataFrame({"track": pl.Series([], dtype=pl.String)}).write_csv(tmp_path / "empty.csv")
        (tmp_path / "empty.json").write_text("[]")
        (tmp_path / "unknown.csv").write_text("track\nnobody\n")
        (tmp_path / "hole.csv").write_text(f"track,n\n{KEYS[1]},1\n,2\n")
        held = {"track": [1.0, 1.5], "name": ["a", "b"]}
        pl.DataFrame(held).write_parquet(tmp_path / "half.parquet")
        lasted = pl.DataFrame({"track": [1, 2]}).cast(pl.Duration("ms"))
        lasted.write_parquet(tmp_path / "lasted.parquet")
        held = {"track": [KEYS[1]] * 2, "n": [1.0, float("nan")]}
        pl.DataFrame(held).write_parquet(tmp_path / "nan.parquet")
        (tmp_path / "blank.csv").write_text(f"track,skipped\n\n{KEYS[1]},0\n{KEYS[1]},maybe\n")
        (tmp_path / "weights.csv").write_bytes(
            (model_folder(results, "sasrec") / "model.safetensors").read_bytes()
        )
        write_artifact(
            pa.table({"track_id": [1], "track_key": ["t"], "n_plays": [1], "n_skips": [0]}),
            "tracks",
            tmp_path / "other.parquet",
        )
        options = {"--run": model_folder(results, "markov"), "--session": "s.csv"} | change
        status, out, err = run("recommend", *(word for pair in options.items() for word in pair))
        assert (status, out) == (1, "")
        *warnings, line = err.splitlines()
        assert len(warnings) == (
            change == {"--session": "unknown.csv"}
        )  # that one names the tracks first
        assert all(part in line for part in expected), line

    def test_weights_that_are_cut_short_are_one_line(self, run, results, tmp_path):
        folder = tmp_path / "models/dataset=circle/split=paper/model=sasrec/variant=orig/seed=1"
        shutil.copytree(model_folder(results, "sasrec"), folder)
        weights = folder / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-100])
        tracks = results / "sessions/dataset=circle/tracks.parquet"
        session = session_file(tmp_path / "s.csv", [3, 4])
        line = failure(run, "recommend", "--run", folder, "--session", session, "--tracks", tracks)
        assert "model.safetensors cannot be read" in line

    @pytest.mark.slow
    def test_a_million_tracks_load_in_5_seconds_and_answer_in_1(self, tmp_path):
        n = 1_000_000
        tracks = tmp_path / "sessions/dataset=big/tracks.parquet"
        keys = [f"t_{i:032x}" for i in np.random.default_rng(1).permutation(n)]
        counts = {"n_plays": np.ones(n, int), "n_skips": np.zeros(n, int)}
        write_artifact(
            pa.table({"track_id": np.arange(1, n + 1), "track_key": keys, **counts}),
            "tracks",
            tracks,
        )
        settings = settings_of("sasrec", "contrastive-hidden") | {"dimension": 128, "heads": 8}
        model = find_model("sasrec")(n, settings)
        model.initialise(1)
        folder = (
            tmp_path
            / "models/dataset=big/split=paper/model=sasrec/variant=contrastive-hidden/seed=1"
        )
        folder.mkdir(parents=True)
        save_file(model.state(), folder / "model.safetensors")
        run = {"recommender": "sasrec", "candidates": "full", "settings": settings, "n_tracks": n}
        write_json(
            run | {"data": {"tracks": hashlib.sha256(tracks.read_bytes()).hexdigest()}},
            folder / "run.json",
        )
        (tmp_path / "s.csv").write_text(
            "track\n" + "\n".join(keys[i] for i in (5, 17, n - 1, 123_456)) + "\n"
        )
        start = time.perf_counter()
        trained = TrainedModel(folder)
        loaded = time.perf_counter()
        plays = read_session(tmp_path / "s.csv", track="track", session=None, skipped_when=None)
        found = trained.recommend(plays, k=20)
        answered = time.perf_counter()
        scores = model.score(sequences([[6, 18, n, 123_457]]))[0, 1:]
        assert found["track"].to_list() == [keys[i] for i in scores.argsort(descending=True)[:20]]
        assert loaded - start < 5
        assert answered - loaded < 1


def scored(tmp_path: Path, *, levels: int) -> tuple[Sequences, np.ndarray, Path]:
    """Test sessions over 40 tracks with scores of ``levels`` values, hence ties, and their split on
    disk.
    """
    test = random_sessions(80, 40, seed=3)
    scores = np.random.default_rng(4).integers(0, levels, (len(test) + 1, 41)).astype(np.float32)
    write_part(test, "test", tmp_path / "test.parquet")
    write_part(random_sessions(50, 40, seed=5), "train", tmp_path / "train.parquet")
    return test, scores, tmp_path / "test.parquet"


def run_file(scores: np.ndarray, path: Path, *, best: int | None = None) -> pl.DataFrame:
    """All tracks of all sessions with their scores, or the ``best`` of each."""
    frame = pl.DataFrame(
        {
            "session": np.repeat(np.arange(1, len(scores)), 40),
            "item": np.tile(np.arange(1, 41), len(scores) - 1),
        }
    ).with_columns(score=scores[1:, 1:].ravel())
    if best:
        frame = frame.filter(
            pl.col("score").rank("ordinal", descending=True).over("session") <= best
        )
    frame = frame.sample(fraction=1, shuffle=True, seed=1)
    frame.write_parquet(path) if path.suffix == ".parquet" else frame.write_csv(path)
    return frame


class TestEvaluate:
    @pytest.mark.parametrize("name", ["run.csv", "run.parquet", "run.tsv.gz"])
    def test_a_run_with_all_tracks_has_the_ranks_of_the_workflow(self, tmp_path, name):
        test, scores, path = scored(tmp_path, levels=15)
        popularity = Sequences.read("train", tmp_path / "train.parquet").counts(40)
        expected = rank_test_sessions(FixedScores(scores), test, popularity, candidates=5, seed=1)
        frame = run_file(
            scores, tmp_path / ("run.parquet" if name.endswith("parquet") else "run.csv")
        )
        if name == "run.tsv.gz":
            (tmp_path / name).write_bytes(gzip.compress(frame.write_csv(separator="\t").encode()))
        found = ranks_of_run(tmp_path / name, path, session="session", item="item", score="score")
        write_artifact(found, "ranks", tmp_path / "ranks.parquet")
        write_artifact(expected, "ranks", tmp_path / "expected.parquet")
        found, expected = (
            read_artifact("ranks", tmp_path / f"{which}.parquet") for which in ("ranks", "expected")
        )
        assert len(set(expected["rank_full"].to_pylist())) > 10
        for column in set(found.column_names) - {"rank_sampled", "n_candidates"}:
            assert found[column].equals(expected[column]), column
        assert found["rank_sampled"].null_count == found.num_rows

    def test_items_may_be_spelled_as_other_tools_do(self, tmp_path):
        """12.0 after a join in pandas, categories, a space before each cell."""
        _, scores, path = scored(tmp_path, levels=15)
        plain = run_file(scores, tmp_path / "run.parquet")
        options = {"session": "session", "item": "item", "score": "score"}
        expected = ranks_of_run(tmp_path / "run.parquet", path, **options)
        plain.with_columns(
            pl.col("item").cast(pl.Float64),
            pl.col("session").cast(pl.String).cast(pl.Categorical),
            score=" " + pl.col("score").cast(pl.String),
        ).write_parquet(tmp_path / "other.parquet")
        assert ranks_of_run(tmp_path / "other.parquet", path, **options).equals(expected)
        spaced = plain.select(pl.format(" {}", column).alias(column) for column in plain.columns)
        spaced.write_csv(tmp_path / "spaced.csv")
        assert ranks_of_run(tmp_path / "spaced.csv", path, **options).equals(expected)

    @pytest.mark.parametrize(
        ("column", "cells", "expected"),
        [
            ("item", [3.0, 12.5], "holds '12.5', which is not a whole number"),
            ("item", [3.0, 2.0**60], "is a floating number too large to be exact"),
            ("session", [1.0, 1.5], "holds '1.5', which is not a whole number"),
            ("score", ["1", "x"], "holds 'x', which is not a finite number"),
        ],
    )
    def test_a_wrong_cell_is_named_with_its_row(self, tmp_path, column, cells, expected):
        write_part(sequences([[1, 2], [3]], targets=[3, 2]), "test", tmp_path / "test.parquet")
        run = pl.DataFrame({"session": [1, 1], "item": [3, 2], "score": [1, 2]})
        run = run.with_columns(pl.Series(column, cells))
        run.write_parquet(tmp_path / "run.pq")
        run.write_ndjson(tmp_path / "run.ndjson")
        names = {"session": "session", "item": "item", "score": "score"}
        with pytest.raises(UserError) as error:
            ranks_of_run(tmp_path / "run.pq", tmp_path / "test.parquet", **names)
        assert str(error.value).startswith(f"{tmp_path}/run.pq, row 2: column '{column}' ")
        assert expected in str(error.value)
        if column == "score":
            with pytest.raises(UserError, match=r"run\.ndjson, line 2: column 'score'"):
                ranks_of_run(tmp_path / "run.ndjson", tmp_path / "test.parquet", **names)

    def test_a_short_list_has_the_ranks_up_to_its_end(self, tmp_path, run):
        test, scores, path = scored(tmp_path, levels=10**6)  # no ties
        run_file(scores, tmp_path / "all.csv")
        run_file(scores, tmp_path / "short.csv", best=10)
        options = {"session": "session", "item": "item", "score": "score"}
        everything = ranks_of_run(tmp_path / "all.csv", path, **options)["rank_full"].to_pylist()
        short = ranks_of_run(tmp_path / "short.csv", path, **options)
        assert short["rank_full"].to_pylist() == [
            rank if rank <= 10 else None for rank in everything
        ]
        # Which of two tracks past the end is better is not known.
        for row in short.to_pylist():
            for skip, outranks in zip(row["skip_ranks_full"], row["skip_outranks"], strict=True):
                neither = skip is None and row["rank_full"] is None
                assert outranks == (None if neither else (skip or 99) <= (row["rank_full"] or 98))
        status, _, err = run("evaluate", tmp_path / "short.csv", "--test", path, "--score", "score")
        absent = sum(rank > 10 for rank in everything)
        assert status == 0
        assert f"the target of {absent} of {len(test)} sessions is not in the run" in err
        assert "10 to 10 items" in err

    def test_ranks_are_taken_as_they_are_and_keys_may_stand_for_ids(self, tmp_path):
        write_part(
            sequences([[1, 2], [3]], targets=[3, 1], unseen=[[2], []]),
            "test",
            tmp_path / "test.parquet",
        )
        write_part(sequences([[1, 1, 3]]), "train", tmp_path / "train.parquet")
        tracks = pa.table(
            {
                "track_id": [1, 2, 3],
                "track_key": ["a", "b", "c"],
                "n_plays": [1] * 3,
                "n_skips": [0] * 3,
            }
        )
        write_artifact(tracks, "tracks", tmp_path / "tracks.parquet")
        (tmp_path / "run.csv").write_text("s,track,place\n1,c,7\n1,b,2\n2,b,1\n")
        found = ranks_of_run(
            tmp_path / "run.csv",
            tmp_path / "test.parquet",
            session="s",
            item="track",
            rank="place",
            track_keys=True,
            tracks=tmp_path / "tracks.parquet",
        ).to_pylist()
        assert [row["rank_full"] for row in found] == [7, None]
        assert [row["skip_ranks_full"] for row in found] == [[2], []]
        assert [row["skip_outranks"] for row in found] == [[True], []]
        assert [row["target_popularity"] for row in found] == [1, 2]

    @pytest.mark.parametrize("track_keys", [False, True])
    @pytest.mark.parametrize("by", ["score", "place"])
    def test_ranks_without_the_tracks_of_the_context(self, tmp_path, by, track_keys):
        """Session 1 has the context a, b, b, d and the target c behind a and b; of its skips, e is
        before c, d is in the context and g is not in the run.  The target of session 2 repeats,
        and so it has no rank among new ones, but its skip has.  Session 3 has no row.
        """
        write_part(
            sequences(
                [[1, 2, 2, 4], [3, 5], [1]],
                [[True, None, False, False], [False, False], [None]],
                targets=[3, 5, 2],
                unseen=[[5, 4, 7], [6], [3]],
            ),
            "test",
            tmp_path / "test.parquet",
        )
        write_part(sequences([[1, 1, 3]]), "train", tmp_path / "train.parquet")
        keys = [*"abcdefg"]
        tracks = {"track_id": range(1, 8), "track_key": keys}
        counts = {"n_plays": [1] * 7, "n_skips": [0] * 7}
        write_artifact(pa.table(tracks | counts), "tracks", tmp_path / "tracks.parquet")
        # By the place in the list; those scores are all different.
        lists = {1: "abecdf", 2: "cefab"}
        rows = [
            (session, track if track_keys else keys.index(track) + 1, place, -place)
            for session, order in lists.items()
            for place, track in enumerate(order, start=1)
        ]
        columns = ["session", "item", "place", "score"]
        pl.DataFrame(rows[::-1], columns, orient="row").write_csv(tmp_path / "run.csv")
        found = ranks_of_run(
            tmp_path / "run.csv",
            tmp_path / "test.parquet",
            session="session",
            item="item",
            track_keys=track_keys,
            tracks=tmp_path / "tracks.parquet",
            **{"score" if by == "score" else "rank": by},
        ).to_pylist()
        assert [(row["rank_full"], row["rank_new"], row["is_repeat"]) for row in found] == [
            (4, 2, False),  # without a and b before it; d is behind it
            (2, None, True),
            (None, None, False),
        ]
        assert [row["skip_ranks_full"] for row in found] == [[3, 5, None], [3], [None]]
        assert [row["skip_ranks_new"] for row in found] == [[1, None, None], [1], [None]]
        assert [row["skip_outranks"] for row in found] == [[True, False, False], [False], [None]]
        # Of all plays of the context, whatever is not known.
        assert [row["skip_share"] for row in found] == [1 / 4, 0, 0]

    def test_a_tie_with_a_track_of_the_context_counts_in_the_catalogue_alone(self, tmp_path):
        test = sequences([[1, 1, 2]], targets=[3])
        write_part(test, "test", tmp_path / "test.parquet")
        write_part(sequences([[1, 1, 3]]), "train", tmp_path / "train.parquet")
        (tmp_path / "run.csv").write_text("s,i,x\n1,1,5\n1,2,5\n1,3,5\n1,4,5\n1,5,9\n1,6,1\n")
        found = ranks_of_run(
            tmp_path / "run.csv", tmp_path / "test.parquet", session="s", item="i", score="x"
        ).to_pylist()
        assert [(row["rank_full"], row["rank_new"]) for row in found] == [(5, 3)]

    def test_metrics_of_a_run_whose_targets_all_repeat(self, tmp_path, run):
        write_artifact(
            ranks_table([1, 3], repeat=[True, True], n_candidates=0),
            "ranks",
            tmp_path / "r.parquet",
        )
        status, out, err = run("evaluate", tmp_path / "r.parquet", "--format", "csv")
        assert (status, err) == (0, "")
        found = pl.read_csv(out.encode()).filter(metric="hr", k=1)
        values = dict(found.filter(subset="all").select("candidates", "value").rows())
        assert values == {"full": 1 / 2, "new": None}

    def test_every_metric_is_printed(self, tmp_path, run):
        test, scores, _ = scored(tmp_path, levels=50)
        ranks = rank_test_sessions(
            FixedScores(scores), test, np.ones(41, int), candidates=5, seed=1
        )
        path = tmp_path / "dataset=d/model=m/variant=v/seed=1/ranks.parquet"
        write_artifact(ranks, "ranks", path)
        expected = pl.DataFrame(summarise(ranks, CUTOFFS))
        status, out, err = run("evaluate", path, "--format", "csv")
        assert (status, err) == (0, "")
        found = pl.read_csv(out.encode())
        assert found["value"].to_numpy() == pytest.approx(expected["value"].to_numpy())
        assert found.select("dataset", "model", "variant").unique().rows() == [("d", "m", "v")]
        status, out, _ = run("evaluate", path)
        assert out.splitlines()[0].split() == ["metric", "k", "candidates", "subset", "m", "v", "1"]
        assert len(out.splitlines()) == 1 + expected.height

    def test_another_tool_stands_beside_the_workflow(self, tmp_path, run):
        test, scores, path = scored(tmp_path, levels=50)
        own = rank_test_sessions(FixedScores(scores), test, np.ones(41, int), candidates=5, seed=1)
        write_artifact(own, "ranks", tmp_path / "own.parquet")
        run_file(scores, tmp_path / "run.csv")
        theirs = tmp_path / "theirs.parquet"
        status, _, _ = run("evaluate", tmp_path / "run.csv", "--test", path, "--write", theirs)
        assert status == 0
        status, out, _ = run("evaluate", tmp_path / "own.parquet", theirs)
        rows = [line.split()[-2:] for line in out.splitlines()[1:] if " full " in line]
        assert len(rows) > 20
        assert all(own == theirs for own, theirs in rows)
        sampled = [line.split()[-1] for line in out.splitlines()[1:] if " sampled " in line]
        assert set(sampled) == {"–"}

    @pytest.mark.parametrize(
        ("text", "options", "expected"),
        [
            ("session,item,score\n1,3,x\n", (), ["line 2", "'score' holds 'x'", "finite"]),
            ("session,item,score\n1,3,nan\n", (), ["line 2", "finite"]),
            ("session,item,score\n1,3,1\n9,3,1\n", (), ["session 9 is not in"]),
            ("session,item,score\na,3,1\n", (), ["line 2", "'session' holds 'a'", "session_id"]),
            ("session,item,score\n1,3,1\n1,3,2\n", (), ["session 1 has item '3' twice"]),
            (
                "session,item,score\n1,1,1\n",
                (),
                ["target of none of the 2 sessions", "--track-keys"],
            ),
            ("session,track,score\n1,1,1\n", (), ["no column 'item'"]),
            ("session,item,rank\n1,3,0\n", ("--rank", "rank"), ["'rank' holds '0'", "rank from 1"]),
            (
                "session,item,rank\n1,3,2\n1,2,2\n",
                ("--rank", "rank"),
                ["two items at rank 2", "ties"],
            ),
            ("session,item,rank\n1,3,2\n", ("--rank", "rank", "--score", "rank"), ["either"]),
            ("session,item,score\n", (), ["run.csv is empty"]),
            ("session,item,score\n1,3,10000000000000001.0\n", (), ["is too large to be exact"]),
            ("session,item,score\n1,3,9007199254740993\n", (), ["is too large to be exact"]),
            ("session,item,score\n\n1,3,1\n1,2,x\n", (), ["run.csv, line 4: column 'score'"]),
            ("session,score\n1,1\n", ("--item", "session"), ["two of them are named 'session'"]),
        ],
    )
    def test_a_wrong_run_is_one_line(self, tmp_path, run, text, options, expected):
        write_part(sequences([[1, 2], [3]], targets=[3, 2]), "test", tmp_path / "test.parquet")
        write_part(sequences([[1, 1, 3]]), "train", tmp_path / "train.parquet")
        (tmp_path / "run.csv").write_text(text)
        options = options or ("--score", "score")
        line = failure(
            run, "evaluate", tmp_path / "run.csv", "--test", tmp_path / "test.parquet", *options
        )
        assert all(part in line for part in expected), line

    def test_an_item_that_is_no_track_key_takes_no_rank(self, tmp_path, run):
        write_part(sequences([[1, 2], [3]], targets=[3, 2]), "test", tmp_path / "test.parquet")
        write_part(sequences([[1, 1, 3]]), "train", tmp_path / "train.parquet")
        its = {"track_id": [1, 2, 3], "track_key": ["a", "b", "c"]}
        counts = {"n_plays": [1] * 3, "n_skips": [0] * 3}
        write_artifact(pa.table(its | counts), "tracks", tmp_path / "tracks.parquet")
        (tmp_path / "run.csv").write_text("session,item,score\n1,c,1\n1,zzz,2\n")
        line = failure(
            *(run, "evaluate", tmp_path / "run.csv", "--test", tmp_path / "test.parquet"),
            *("--score", "score", "--track-keys", "--tracks", tmp_path / "tracks.parquet"),
        )
        assert "session 1 has the item 'zzz', which is no track_key of" in line

    def test_what_is_no_ranks_file_is_one_line(self, tmp_path, run):
        (tmp_path / "run.csv").write_text("session,item,score\n1,3,2\n")
        assert "no ranks.parquet" in failure(run, "evaluate", tmp_path / "run.csv")
        assert "is a folder" in failure(run, "evaluate", tmp_path)
        assert "No such file" in failure(run, "evaluate", tmp_path / "absent.parquet")
        assert "--test" in failure(run, "evaluate", tmp_path / "run.csv", "--score", "score")


LOG = """who,at,song,seconds_played,note
u,100,a,100,x
u,100,b,100,same second
u,200,c,20,
v,5000,a,100,
u,220,a,100,
u,9000,c,100,later
"""


class TestLabel:
    @pytest.fixture
    def log(self, tmp_path) -> Path:
        (tmp_path / "log.csv").write_text(LOG)
        return tmp_path / "log.csv"

    COLUMNS = ("--user", "who", "--time", "at", "--track", "song")
    BELOW = (*COLUMNS, "--rule", "gap_below", "--seconds")

    def test_a_rule_on_a_column(self, run, log):
        status, out, err = run("label", log, *self.COLUMNS, "--skipped-when", "seconds_played < 30")
        assert status == 0
        assert "6 plays in 3 sessions, 16.7 % of them skipped" in err
        found = pl.read_csv(out.encode())
        assert found.columns == [
            "who",
            "at",
            "song",
            "seconds_played",
            "note",
            "session",
            "position",
            "skipped",
        ]
        assert found.select("who", "at", "song", "position", "skipped").rows() == [
            ("u", 100, "a", 1, False),
            ("u", 100, "b", 2, False),
            ("u", 200, "c", 3, True),
            ("u", 220, "a", 4, False),
            ("u", 9000, "c", 1, False),
            ("v", 5000, "a", 1, False),
        ]
        assert found["session"].n_unique() == 3
        assert found["note"].to_list() == ["x", "same second", None, None, "later", None]

    def test_skips_from_gaps(self, run, log):
        _, out, err = run("label", log, *self.COLUMNS, "--rule", "gap_below", "--seconds", 50)
        assert "1 plays at the same second" in err
        found = pl.read_csv(out.encode())
        assert found.select("at", "song", "skipped").rows() == [
            (100, "a", False),
            (200, "c", True),
            (220, "a", None),  # the last play of a session has no next one that would tell
            (9000, "c", None),
            (5000, "a", None),
        ]

    def test_skips_from_lengths(self, run, log):
        """With a support of one play the length of a is 100 s and that of c 20 s, the median gaps
        after them.
        """
        options = ("--min-support", 1, "--margin", 0)
        _, out, _ = run("label", log, *self.COLUMNS, *options)
        assert pl.read_csv(out.encode())["skipped"].to_list() == [False, False, None, None, None]
        _, out, _ = run(
            "label", log, *self.COLUMNS, "--min-support", 2, "--default-length", 90, "--margin", 10
        )
        assert pl.read_csv(out.encode())["skipped"].to_list() == [False, True, None, None, None]

    def test_sessions_as_they_are(self, run, log):
        options = (
            "--session",
            "who",
            "--track",
            "song",
            "--skipped-when",
            "seconds_played < 30",
            "--format",
            "json",
        )
        _, out, _ = run("label", log, *options)
        rows = json.loads(out)
        assert [(row["session"], row["position"], row["song"]) for row in rows] == [
            *(("u", i, song) for i, song in enumerate("abcac", 1)),
            ("v", 1, "a"),
        ]

    def test_the_labels_are_those_of_the_workflow(self, run, tmp_path):
        rng = np.random.default_rng(7)
        plays = pl.DataFrame(
            {
                "user": [f"u{i}" for i in rng.integers(0, 4, 600)],
                "time": 1_600_000_000 + rng.integers(0, 40_000, 600),
                "track": [f"t{i}" for i in rng.integers(0, 9, 600)],
            }
        )
        plays.write_parquet(tmp_path / "plays.parquet")
        _, out, _ = run("label", tmp_path / "plays.parquet")
        rule = {"name": "length_margin", "margin": 30, "min_support": 3, "default_length": 180}
        stats, _ = inspected(tmp_path, plays, rule)
        labels = pl.read_csv(out.encode())
        assert stats["counts"]["plays_sessionised"] == labels.height
        assert stats["counts"]["sessions_formed"] == labels["session"].n_unique()
        # Of all plays: an unknown label, that of the last play of a session, is no skip.
        assert stats["counts"]["skip_share_before_filter"] == pytest.approx(
            labels["skipped"].sum() / labels.height
        )
        assert labels["skipped"].null_count() == labels["session"].n_unique()
        assert 0.1 < labels["skipped"].mean() < 0.9

    def test_lists_go_to_json_and_not_to_csv(self, run, tmp_path):
        path = tmp_path / "log.parquet"
        pl.DataFrame(
            {"user": ["u"], "time": [100], "track": ["a"], "tags": [["x", "y"]]}
        ).write_parquet(path)
        assert json.loads(run("label", path, "--format", "json")[1])[0]["tags"] == ["x", "y"]
        status, out, err = run("label", path)
        assert (status, out) == (1, "")
        assert "column 'tags' holds List(String) values" in err.splitlines()[-1]

    @pytest.mark.parametrize(
        ("options", "expected"),
        [
            (("--user", "nobody", "--time", "at", "--track", "song"), ["no column 'nobody'"]),
            ((*COLUMNS[:3], "note", "--track", "song"), ["line 2", "time 'x' is neither"]),
            (("--session", "who", "--track", "song"), ["--skipped-when"]),
            ((*COLUMNS, "--time-is", "end"), ["--time-is", "--duration"]),
            ((*COLUMNS, "--session-ids", "global"), ["--session-ids is about", "--session"]),
            ((*COLUMNS, "--skipped-when", "note < 3"), ["'note' holds 'x'"]),
            ((*COLUMNS, "--skipped-when", "note <"), ["'note <' is no column and no rule"]),
            ((*BELOW, "nan"), ["gap_below.seconds: nan is not a finite number"]),
            ((*BELOW, "-5"), ["gap_below.seconds: -5.0 is not above 0"]),
            ((*BELOW, "0"), ["gap_below.seconds: 0.0 is not above 0"]),
            ((*COLUMNS, "--rule", "gap_below", "--skipped-when", "skip"), ["leave one out"]),
            ((*COLUMNS, "--parameter", "magrin=5"), ["no parameter 'magrin'", "it has"]),
            ((*COLUMNS, "--length", "note"), ["length_margin reads no --length", "known_length"]),
            ((*BELOW, "5", "--margin", "3"), ["gap_below has no parameter 'margin'"]),
            ((*COLUMNS, "--margin", "3", "--skipped-when", "skip"), ["leave one out"]),
            ((*COLUMNS, "--margin", "nan"), ["length_margin.margin: nan is not a finite number"]),
        ],
    )
    def test_a_mistake_is_one_line(self, run, log, options, expected):
        line = failure(run, "label", log, *options)
        assert all(part in line for part in expected), line

    @pytest.mark.parametrize(
        ("second", "expected"),
        [
            ("song,who,at,skip\na,u,1,0", "logs.zip, 2.csv has no column 'track'"),
            ("user,track,time\nu,a,100", "1.csv and .*2.csv have the same play, track 'a' of 'u'"),
        ],
    )
    def test_members_of_an_archive_that_do_not_go_together(self, run, tmp_path, second, expected):
        with zipfile.ZipFile(tmp_path / "logs.zip", "w") as archive:
            archive.writestr("1.csv", "user,track,time\nu,a,100\nu,b,900")
            archive.writestr("2.csv", second)
        assert re.search(expected, failure(run, "label", tmp_path / "logs.zip"))

    def test_sessions_of_the_members_of_an_archive(self, run, tmp_path):
        with zipfile.ZipFile(tmp_path / "logs.zip", "w") as archive:
            archive.writestr("1.csv", "s,track,time,skip\n1,a,100,0\n1,b,900,1")
            archive.writestr("2.csv", "s,track,time,skip\n1,c,500,0")
        options = ("--session", "s", "--time", "time", "--skipped-when", "skip")
        line = failure(run, "label", tmp_path / "logs.zip", *options)
        assert "have plays of session '1'; set session_ids to per_file" in line
        for numbered, positions in (("global", [1, 2, 3]), ("per_file", [1, 2, 1])):
            _, out, _ = run("label", tmp_path / "logs.zip", *options, "--session-ids", numbered)
            assert pl.read_csv(out.encode())["position"].to_list() == positions

    def test_an_array_without_plays(self, run, tmp_path):
        (tmp_path / "empty.json").write_text("[]")
        assert "holds no plays" in failure(run, "label", tmp_path / "empty.json", *self.COLUMNS)


def inspected(folder: Path, plays: pl.DataFrame, skip_rule: dict) -> tuple[dict, Path]:
    """The sessions of plays (user, time, track) as the workflow leaves them, as data set
    ``mine``.
    """
    plays.write_csv(folder / "plays.csv")
    columns = {"user": "user", "time": "time", "track": "track"}
    extract_events(
        folder / "plays.csv",
        folder / "events.parquet",
        folder / "source.json",
        entry={"form": "events", "columns": columns},
    )
    results = folder / "results/sessions/dataset=mine"
    label_and_sample_sessions(
        [str(folder / "events.parquet")],
        [str(folder / "source.json")],
        **{
            f"out_{name}": str(results / f"{name}.parquet")
            for name in ("sessions", "tracks", "keys")
        },
        out_stats=str(results / "stats.json"),
        dataset="mine",
        skip_rule=skip_rule,
        session_gap=1200,
        sessions={"n_sessions": None, "min_length": 6, "max_length": 20, "sampling_seed": 1},
    )
    return read_json(results / "stats.json"), folder / "results"


class TestControls:
    def test_the_overlay_is_printed_or_written(self, run, tmp_path):
        (tmp_path / "config.yaml").write_text(yaml.safe_dump(default_config()))
        (tmp_path / "tables").mkdir()
        item = {"way": "contrastive", "query": "item", "targets": "labelled"} | SHUFFLED
        for best, answered, overlay in (
            ("wrmf bl", answer.WORTH, {}),
            (
                "wrmf bl",
                answer.UNTRIED,
                {"wrmf": {"variants": {"bl-shuffled": {"skips": "unobserved"} | SHUFFLED}}},
            ),
            (
                "sasrec contrastive-item",
                answer.UNTRIED,
                {"sasrec": {"variants": {"contrastive-item-all-shuffled": item}}},
            ),
        ):
            row = {"with_skips": best, "answer": answered, "split": "paper"}
            pl.DataFrame([row]).write_parquet(tmp_path / "tables/answer.parquet")
            status, out, err = run("controls", tmp_path)
            assert (status, err) == (0, "")
            assert yaml.safe_load(out).get("model_registry", {}) == overlay
            check_config(default_config({"model_registry": overlay}), SCHEMA)
            assert run("controls", tmp_path, "--out", tmp_path / "more.yaml") == (0, "", "")
            assert (tmp_path / "more.yaml").read_text() == out

    def test_a_folder_without_an_answer(self, run, tmp_path):
        assert "has no tables/answer.parquet" in failure(run, "controls", tmp_path)


class TestInspect:
    @pytest.fixture
    def results(self, tmp_path) -> Path:
        rng = np.random.default_rng(8)
        plays = pl.DataFrame(
            {
                "user": [f"u{i % 5}" for i in range(900)],
                "time": [
                    1_600_000_000 + 60 * i + int(rng.integers(0, 50)) + (i // 90) * 5000
                    for i in range(900)
                ],
                "track": [f"t{i}" for i in rng.integers(0, 9, 900)],
            }
        )
        return inspected(tmp_path, plays, {"name": "gap_below", "seconds": 290})[1]

    def test_the_counts_are_those_of_the_files(self, run, results):
        status, out, err = run("inspect", "mine", "--results", results, "--json")
        assert (status, err) == (0, "")
        found = json.loads(out)
        plays = pl.read_parquet(
            results / "sessions/dataset=mine/sessions.parquet", hive_partitioning=False
        )
        sessions = plays.group_by("session_id").agg(pl.len(), pl.col("skipped").sum())
        assert [tuple(row) for row in found["lengths"]] == sessions["len"].value_counts().sort(
            "len"
        ).rows()
        assert [tuple(row) for row in found["skips"]] == sessions["skipped"].value_counts().sort(
            "skipped"
        ).rows()
        assert ["sessions in the sample", sessions.height] in found["steps"]
        assert ["plays in the sample", plays.height] in found["steps"]
        assert found["skip_share"]["in the sample"] == pytest.approx(
            plays["skipped"].sum() / plays.height
        )

    def test_the_terminal_has_steps_and_bars(self, run, results):
        status, out, _ = run("inspect", "mine", "--results", results)
        assert status == 0
        assert "900  plays read" in out
        assert "n_sessions null" in out
        assert "skip_rule gap_below seconds=290" in out
        lengths = out[
            out.index("Plays of a session") : out.index("Skips of a session")
        ].splitlines()[1:-1]
        bars = {line.split()[1].count("█"): int(line.split()[2]) for line in lengths}
        assert bars[40] == max(bars.values())

    def test_a_name_that_is_not_there_is_one_line(self, run, results):
        line = failure(run, "inspect", "mime", "--results", results)
        assert "no sessions of the data set 'mime'" in line
        assert "it has mine" in line
        assert "run snakemake first" in failure(
            run, "inspect", "mine", "--results", results / "nothing"
        )


class TestStart:
    def call(self, *command: str, **options) -> subprocess.CompletedProcess:
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        environment = os.environ | {"PATH": path}
        return subprocess.run(
            command, capture_output=True, text=True, check=False, env=environment, **options
        )

    def test_it_runs_from_anywhere_without_an_installation(self, tmp_path):
        done = self.call(str(ROOT / "skipwise"), "--help", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        for command in ("recommend", "evaluate", "inspect", "label"):
            assert command in done.stdout

    def test_help_imports_nothing_heavy(self):
        code = (
            "import sys; from skipwise.commands.cli import app; app(['label', '--help'], "
            "standalone_mode=False); "
            "print(sorted({'torch', 'polars', 'duckdb', 'pyarrow', 'numpy'} & set(sys.modules)))"
        )
        done = self.call(sys.executable, "-c", code, cwd=ROOT / "workflow/scripts")
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1] == "[]"

    def test_an_environment_without_the_packages_is_one_line(self):
        code = "import sys, runpy; sys.modules['typer'] = None; "
        code += "runpy.run_module('skipwise', run_name='__main__')"
        done = self.call(sys.executable, "-c", code, cwd=ROOT / "workflow/scripts")
        assert done.returncode == 1
        assert done.stderr.splitlines() == [
            "skipwise: the package 'typer' is missing; run `make tables` first, or install "
            "envs/requirements.txt"
        ]

    def test_a_wrong_option_says_how_to_get_help(self, run):
        status, out, err = run("recommend", "--nonsense")
        assert (status, out) == (2, "")
        assert "No such option: --nonsense" in err
        assert "Try 'skipwise recommend -h' for help." in err


def test_text_is_printed_as_it_is_and_json_has_no_nan(tmp_path, run):
    plays = {"user": ["u:key:1"], "track": ["x:100:y"], "time": [1_600_000_000], "r": [math.nan]}
    plays |= {"list": [[math.inf, 1.0]], "of": [{"x": math.nan}]}
    pl.DataFrame(plays).write_parquet(tmp_path / "plays.parquet")
    path = tmp_path / "plays.parquet"
    _, table, _ = run("label", path, "--format", "table")
    assert "u:key:1" in table
    assert "x:100:y" in table
    _, text, _ = run("label", path, "--format", "json")
    row = json.loads(text, parse_constant=pytest.fail)[0]
    assert (row["r"], row["list"], row["of"]) == (None, [None, 1.0], {"x": None})
