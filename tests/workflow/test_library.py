"""skipwise as a library: an installed wheel outside the project, doctests and notebooks."""

import doctest
import json
import subprocess
import sys

import numpy as np
import pandas as pd
import polars as pl
import pytest
import skipwise
from conftest import run_installed
from examples import ROOT
from skipwise import library
from skipwise.core.artifacts import read_artifact

RUN = "dataset=mssd-sim/split=paper/model={model}/variant={variant}/seed=1"
NOTEBOOKS = sorted(ROOT.glob("docs/tutorials/*.ipynb"))
# The lines that the README shows.
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture
def model(finished):
    run = RUN.format(model="sasrec", variant="orig")
    return skipwise.load(finished / "results/models" / run)


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_with_the_wheel_alone(installed, finished, tmp_path, notebook):
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    assert all(not cell.get("outputs") for cell in cells)
    (tmp_path / "cells.py").write_text("\n\n".join(code), encoding="utf-8")
    (tmp_path / "results").symlink_to(finished / "results")
    done = run_installed(installed, tmp_path, "cells.py")
    assert done.returncode == 0, done.stdout


def test_the_lines_of_the_readme_run_with_the_wheel_alone(installed, finished, tmp_path):
    [lines] = [
        block.split("\n```")[0] for block in README.split("```python\n")[1:] if "skipwise" in block
    ]
    (tmp_path / "results").symlink_to(finished / "results")
    done = run_installed(installed, tmp_path, "-c", lines + "\nprint(best)")
    assert done.returncode == 0, done.stdout
    assert "track" in done.stdout


def test_the_installed_command_answers_outside_the_project(installed, tmp_path):
    done = run_installed(installed, tmp_path, "-m", "skipwise", "--help")
    assert done.returncode == 0, done.stdout
    assert "recommend" in done.stdout
    code = "import skipwise; print(skipwise.__file__)"
    assert run_installed(installed, tmp_path, "-c", code).stdout.startswith(str(installed))


def test_examples_of_docstrings(model):
    a, b, c = model.tracks.head(3)
    found = doctest.DocTestFinder(exclude_empty=True).find(library, "library")
    examples = {"model": model, "a": a, "b": b, "c": c, "read": skipwise.read}
    runner = doctest.DocTestRunner()
    for test in found:
        test.globs |= examples
        runner.run(test)
    assert runner.failures == 0
    assert runner.tries >= 4


def test_the_rank_of_the_last_track_is_its_place_among_the_recommended(model):
    tracks = model.tracks.to_list()
    rng = np.random.default_rng(1)
    rows = [
        {"session": f"s{i}", "track": tracks[at], "skipped": bool(rng.random() < 0.4)}
        for i in range(6)
        for at in rng.choice(len(tracks), 4, replace=False)
    ]
    found = model.rank(pl.DataFrame(rows))
    assert found["session"].to_list() == [f"s{i}" for i in range(6)]
    before = pl.DataFrame([row for at, row in enumerate(rows) if at % 4 < 3])
    for new_only, column in ((False, "rank"), (True, "rank_new")):
        order = model.recommend(before, k=len(tracks), new_only=new_only)
        placed = found.join(order, on=["session", "track"], suffix="_there")
        assert placed[column].to_list() == placed["rank_there"].to_list()


def test_tables_of_every_kind_go_in(model):
    plays = pl.DataFrame({"track": model.tracks[[5, 7, 9]], "skipped": [False, True, False]})
    expected = model.recommend(plays, k=4)
    for table in (pd.DataFrame(plays.to_dict(as_series=False)), plays.to_arrow()):
        assert model.recommend(table, k=4).equals(expected)
    assert expected.height == 4


def test_files_of_every_kind_go_in(model, tmp_path):
    tracks = model.tracks[[5, 7, 9, 5]]
    plays = pl.DataFrame({"session": list("aabb"), "track": tracks, "skipped": [0, 1, 0, 0]})
    plays.write_csv(tmp_path / "plays.csv")
    plays.write_ndjson(tmp_path / "plays.jsonl")
    plays.write_parquet(tmp_path / "plays.parquet")
    expected = model.recommend(plays, k=4)
    assert expected["session"].unique().sort().to_list() == ["a", "b"]
    for path in tmp_path.iterdir():
        assert model.recommend(path, k=4).equals(expected)


def test_a_file_whose_columns_cannot_be_told_is_refused(model, tmp_path):
    path = tmp_path / "plays.csv"
    path.write_text("session,track,skipped,note,note\n1,a,1,,\n")
    with pytest.raises(skipwise.UserError, match="the column 'note' twice"):
        model.recommend(path)


def test_similar_tracks_are_those_of_the_largest_cosine(model):
    vectors = model._trained.model.vectors.numpy()[1:]
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosine = unit @ unit[4]
    order = [at for at in np.argsort(-cosine, kind="stable") if at != 4][:6]
    found = model.similar(model.tracks[4], k=6)
    assert found["track"].to_list() == model.tracks[[int(at) for at in order]].to_list()
    assert found["cosine"].to_numpy() == pytest.approx(cosine[order], abs=1e-6)


def test_compare_agrees_with_the_table(finished):
    ranks = finished / "results/ranks"
    ours, orig = (
        ranks / RUN.format(model="sasrec", variant=variant)
        for variant in ("contrastive-hidden", "orig")
    )
    [row] = skipwise.compare(ours, [orig / "ranks.parquet"]).to_dicts()
    table = pl.read_parquet(finished / "results/tables/skip_gains.parquet")
    [there] = table.filter(
        model="sasrec", variant="contrastive-hidden", metric="hr_10", candidates="full",
        dataset="mssd-sim",
    ).to_dicts()  # fmt: skip
    for name in ("value", "reference_value", "difference", "difference_low", "p", "deciding"):
        assert row[name] == there[name], name


def test_a_run_is_evaluated_and_its_ranks_compared(finished, tmp_path):
    split = finished / "results/splits/dataset=mssd-sim/split=paper"
    test = read_artifact("test", split / "test.parquet")
    # A system that knows the target.
    run = pl.DataFrame({"session": test["session_id"], "item": test["target"], "score": 1.0})
    found = skipwise.evaluate(run, split / "test.parquet", write=tmp_path / "ranks.parquet")
    assert found.filter(metric="hr", k=1, subset="all", candidates="full")["value"].item() == 1
    [row] = skipwise.compare(
        tmp_path / "ranks.parquet",
        finished / "results/ranks" / RUN.format(model="popularity", variant="orig"),
        metric="hr_1",
    ).to_dicts()
    assert row["value"] == 1
    assert row["difference_low"] > 0


def test_read_labels_as_the_workflow_does():
    plays = {
        "who": ["x"] * 4 + ["y"] * 3,
        "at": [0, 100, 130, 5000, 10, 300, 320],
        "track": list("abcdabc"),
        "gone": [False, True, False, True, False, False, True],
    }
    found = skipwise.read(plays, user="who", time="at", skipped_when="gone")
    assert found.select("track", "position", "skipped").rows() == [
        ("a", 1, False), ("b", 2, True), ("c", 3, False), ("d", 1, True),
        ("a", 1, False), ("b", 2, False), ("c", 3, True),
    ]  # fmt: skip
    assert found["session"].n_unique() == 3


PLAYS = {"track": ["a"], "user": ["u"], "time": [5]}


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda model, _: model.rank({"track": [model.tracks[0]]}), "has one play"),
        (lambda model, _: model.rank({"track": [*model.tracks[:2], "?"]}), "not know the track"),
        (lambda model, _: model.similar("?"), "not know the track '?'"),
        (lambda _, folder: skipwise.load(folder), "no folder of a trained model"),
        (lambda _, folder: skipwise.compare(folder, folder), "no ranks.parquet"),
        (lambda _, folder: skipwise.compare(folder, folder, metric="hr"), "unknown metric 'hr'"),
        (lambda _, __: skipwise.read({"track": ["a"]}, session="s"), "what a skip is"),
        (lambda _, __: skipwise.read(PLAYS, session_gap=0), "a number of seconds from 1 on, not 0"),
        (lambda _, __: skipwise.read(PLAYS, session_gap=None), "from 1 on, not None"),
        (lambda _, __: skipwise.read(PLAYS, time_unit=["s"]), "one of s, ms, us, ns"),
        (lambda _, __: skipwise.read(PLAYS, session_ids="foo"), "per_file or global, not 'foo'"),
        (lambda _, __: skipwise.read(PLAYS, time_unit="sec"), "one of s, ms, us, ns, not 'sec'"),
        (lambda _, __: skipwise.read(PLAYS | {"time": ["x"]}), "the table, row 1: the time 'x'"),
        (lambda _, __: skipwise.read(PLAYS | {"time": [1, 2]}), "the table cannot be read"),
        (lambda _, __: skipwise.read(pd.DataFrame({"a": ["x", 1]})), "the table cannot be read"),
    ],
)
def test_a_mistake_is_one_sentence(model, tmp_path, call, said):
    with pytest.raises(skipwise.UserError, match=said.replace("?", r"\?")):
        call(model, tmp_path)


def test_a_model_without_vectors_has_nothing_similar(finished):
    run = RUN.format(model="popularity", variant="orig")
    popularity = skipwise.load(finished / "results/models" / run)
    with pytest.raises(skipwise.UserError, match="no vectors"):
        popularity.similar(popularity.tracks[0])


def test_importing_skipwise_imports_nothing_heavy():
    code = "import sys, skipwise; print({'torch', 'polars', 'numpy'} & {*sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT / "workflow/scripts", capture_output=True, text=True
    )
    assert done.stdout.strip() == "set()"
    assert not hasattr(skipwise, "nothing")


def test_parquet_of_the_plays_is_read_too(tmp_path):
    pl.DataFrame(PLAYS).write_parquet(tmp_path / "p.parquet")
    assert skipwise.read(tmp_path / "p.parquet").height == 1
