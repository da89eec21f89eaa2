"""`skipwise study` from a log to the answer."""

import os
import re
import shlex
import subprocess
import sys

import numpy as np
import polars as pl
import pytest
from conftest import run_installed

NAMED = ("--track", "трек", "--user", "имя", "--time", "когда", "--skipped-when", "мс < 30000")


@pytest.fixture
def log(tmp_path):
    """A csv with semicolons and Russian names: 40 users with two sessions of eight plays each."""
    rng = np.random.default_rng(1)
    rows = [
        {
            "имя": f"u{user}",
            "когда": 1_700_000_000 + session * 90_000 + play * 200,
            "трек": f"t{(user + play * int(rng.integers(1, 3))) % 40}",
            "мс": int(rng.choice([2_000, 150_000], p=[0.4, 0.6])),
        }
        for user in range(40)
        for session in range(2)
        for play in range(8)
    ]
    pl.DataFrame(rows).write_csv(tmp_path / "журнал.csv", separator=";")
    return tmp_path / "журнал.csv"


def run(project, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "skipwise", "study", *arguments],
        cwd=project.folder,
        env=os.environ | {"PYTHONPATH": str(project / "workflow/scripts")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def test_an_installed_skipwise_studies_a_log_until_the_budget_ends(installed, log, tmp_path):
    folder = tmp_path / "where the user is"
    folder.mkdir()
    arguments = (str(log), *NAMED, "--budget", "5s", "--cores", "2", "--yes")
    done = run_installed(installed, folder, "-m", "skipwise", "study", *arguments)
    assert done.returncode == 0, done.stdout
    assert "step 1 of 5, one seed" in done.stdout
    assert "Cannot be told: fewer than 3 seeds." in done.stdout
    assert re.search(r"for \d+\.\d% of \d+ test sessions with the best use", done.stdout)
    assert "(real data, split paper, seeds 1)" in done.stdout
    assert "Ran: one seed. Left out: three seeds; tuned" in done.stdout
    # Its results are in a folder of its own.
    [page] = re.findall(r"Read on: (.*?/results/study/log-[^/]*/tables/answer\.html)", done.stdout)
    assert page.startswith(str(folder))
    assert os.path.isfile(page)
    assert not (folder / "results/tables").exists()
    overlay = log.with_name("журнал.study.yaml")
    assert overlay.read_text(encoding="utf-8").startswith("# журнал.csv: form events")
    [command] = re.findall(r"The same again, in .*: (\S*/bin/snakemake .*)", done.stdout)
    again = run_installed(installed, folder, *shlex.split(command))
    assert "Nothing to be done" in again.stdout, again.stdout


def test_what_is_no_log_is_one_line(project, tmp_path):
    (tmp_path / "letter.txt").write_text("Dear all,\nplease find attached nothing.\n")
    done = run(project, str(tmp_path / "letter.txt"), "--yes")
    assert done.returncode == 1
    [line] = done.stderr.strip().splitlines()
    assert "is no log of plays" in line


def test_nobody_to_ask_is_one_line(project, log):
    done = run(project, str(log), *NAMED)
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].endswith("say --yes")
    assert not log.with_name("журнал.study.yaml").exists()
