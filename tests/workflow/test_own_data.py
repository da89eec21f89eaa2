"""A table in a folder of its user: which sessions it has, and when it is read again."""

import hashlib
import os
import shutil
import subprocess
import sys

import polars as pl
import pytest
from conftest import TINY
from examples import ROOT
from exports import zipped
from skipwise.commands.preview import preview

OVERLAY = """
datasets: [mine]
registry:
  mine:
    form: events
    paths: [plays.csv]
    columns: {user: user, session: session, track: track, time: time}
    skipped_when: skipped
    skip_rule: {name: given}
    session_gap: null
sessions: {n_sessions: null}
"""


@pytest.fixture
def run(project, tmp_path_factory):
    """Call Snakemake from a folder that holds the data only."""
    folder = tmp_path_factory.mktemp("elsewhere")
    shutil.copy(ROOT / "tests/unit/cases/session_per_user/plays.csv", folder)
    (folder / "mine.yaml").write_text(OVERLAY)

    def call(*arguments: str) -> str:
        command = [sys.executable, "-m", "snakemake", "-s", str(project / "Snakefile")]
        target = "results/sessions/dataset=mine/sessions.parquet"
        done = subprocess.run(
            [*command, *arguments, "--cores", "1", "--configfile", "mine.yaml", "--", target],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    call.folder = folder
    return call


def test_sessions_of_users_and_an_older_file_in_place_of_the_one_that_was_read(run):
    run()
    keys = run.folder / "results/sessions/dataset=mine/keys.parquet"
    found = pl.read_parquet(keys, hive_partitioning=False)
    assert found.height == 10
    assert set(found["n_plays"]) == {8}
    assert set(found["cluster_key"]) == {f"u{user}" for user in range(5)}
    assert "Nothing to be done" in run("--dry-run")
    older = run.folder / "older.csv"
    older.write_text((run.folder / "plays.csv").read_text().replace("u4,", "u5,"))
    os.utime(older, (1_500_000_000, 1_500_000_000))
    older.replace(run.folder / "plays.csv")
    run()
    found = pl.read_parquet(keys, hive_partitioning=False)
    assert set(found["cluster_key"]) == {"u0", "u1", "u2", "u3", "u5"}


def test_the_overlay_that_preview_writes_runs_as_it_is(run):
    written = preview([run.folder / "plays.csv"])
    (run.folder / "mine.yaml").write_text(written, encoding="utf-8")
    run()
    keys = run.folder / "results/sessions/dataset=mine/keys.parquet"
    found = pl.read_parquet(keys, hive_partitioning=False)
    assert found.height == 10
    assert set(found["cluster_key"]) == {f"u{user}" for user in range(5)}


def test_files_of_a_user_stay_wherever_they_lie(project):
    """Where downloads and simulated data lie, older than the project."""
    ratings = "".join(
        f"{at // 20}\t{at % 7}\t{at % 5 + 1}\t{880_000_000 + at}\n" for at in range(400)
    )
    raw = project / "resources/raw"
    named = [raw / "ml100k/ml-100k.zip", raw / "by-hand/ml-100k.zip", raw / "near-sim/mine.zip"]
    for path in named:
        path.parent.mkdir(parents=True)
        zipped(path, {"ml-100k/u.data": ratings})
        os.utime(path, (1_000_000_000, 1_000_000_000))
    content = named[0].read_bytes()
    film = "form: movielens, skipped_when: rating < 4, skip_rule: {name: given}, session_gap: 1200"
    address = "http://127.0.0.1:1/ml-100k.zip"
    md5 = hashlib.md5(content).hexdigest()
    overlay = project.overlay(
        "own.yaml",
        "datasets: [ml100k, by-hand, near-sim]\nsessions: {n_sessions: null}\nregistry:\n"
        "  ml100k: {paths: [resources/raw/ml100k/ml-100k.zip]}\n"
        f"  by-hand: {{{film}, files: [{{name: ml-100k.zip, urls: [{address}], md5: '{md5}'}}]}}\n"
        f"  near-sim: {{{film}, paths: [resources/raw/near-sim/mine.zip]}}\n",
    )
    datasets = ("ml100k", "by-hand", "near-sim")
    made = [f"results/sessions/dataset={name}/sessions.parquet" for name in datasets]
    printed = project.made(*made, configs=(TINY, overlay), cores=2)
    assert "Simulating" not in printed
    assert all(path.read_bytes() == content for path in named)
    plays = [pl.read_parquet(project / path, hive_partitioning=False).height for path in made]
    assert plays == [400, 400, 400]
    # Another file is wanted, which cannot be had: the one that is there does not stand for it.
    text = (project / overlay).read_text()
    (project / overlay).write_text(text.replace(md5, "0" * 32).replace(":1/", ":2/"))
    for _ in range(2):
        done = project.snakemake(made[1], configs=(TINY, overlay))
        assert done.returncode != 0
        assert "is expected" in done.stdout
    assert named[1].read_bytes() == content
