"""Jobs that are stopped or killed, and a second call of Snakemake."""

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
from conftest import TINY, Project

RUN = "dataset=mssd-sim/split=paper/model=sasrec/variant=contrastive-hidden/seed=1"
WEIGHTS = f"results/models/{RUN}/model.safetensors"
CHECKPOINTS = "results/checkpoints"
# Long enough to be stopped in the middle.
LONG = "neural: {min_epochs: 40, max_epochs: 40}\n"


# A worker's tests share the undisturbed run.
pytestmark = pytest.mark.xdist_group("interruption")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The run that is stopped in the tests, made to its end."""
    project = Project(tmp_path_factory.mktemp("undisturbed"))
    project.made(WEIGHTS, configs=(TINY, project.overlay("long.yaml", LONG)))
    return project


@pytest.fixture
def project(undisturbed, tmp_path):
    """A copy of it without what the training made."""
    shutil.copytree(undisturbed.folder, tmp_path / "copy", symlinks=True)
    copy = Project.at(tmp_path / "copy")
    for made in ("results/models", "results/ranks", CHECKPOINTS, "logs/train_model"):
        shutil.rmtree(copy / made)
    return copy


def jobs_of(project) -> list[int]:
    """Processes that run a script of this project's training rule."""
    found = []
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                with open(f"/proc/{entry.name}/cmdline", "rb") as file:
                    command = file.read().decode().split("\0")
                inside = os.readlink(f"/proc/{entry.name}/cwd") == str(project.folder)
            except OSError:
                continue
            if inside and any("train_model.py" in part for part in command) and "-c" not in command:
                found.append(int(entry.name))
    return found


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL], ids=lambda number: number.name
)
def test_a_training_job_that_is_stopped_goes_on_to_the_same_bytes(project, undisturbed, number):
    configs = TINY, "long.yaml"
    command = [sys.executable, "-m", "snakemake", WEIGHTS, "--cores", "1", "--configfile", *configs]
    with subprocess.Popen(
        command,
        cwd=project.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"NO_COLOR": "1"},
    ) as running:
        deadline = time.monotonic() + 120
        while not list((project / CHECKPOINTS).glob("*.safetensors")):
            assert running.poll() is None, running.stdout.read()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        [job] = jobs_of(project)
        sent = time.monotonic()
        os.kill(job, number)
        printed = running.communicate(timeout=60)[0]
    assert time.monotonic() - sent < 30
    assert running.returncode != 0
    assert not (project / WEIGHTS).exists()
    if number != signal.SIGKILL:
        assert f"stopped by {number.name} in epoch" in printed
        assert "Traceback" not in printed
    [kept] = (project / CHECKPOINTS).iterdir()
    assert kept.name == f"{RUN.replace('/', ',')}.safetensors"
    project.made(WEIGHTS, configs=configs)
    [log] = (project / "logs/train_model").rglob("*.log")
    assert "continues from" in log.read_text()
    assert "epoch 1 of" not in log.read_text()  # which was behind it
    assert (project / WEIGHTS).read_bytes() == (undisturbed / WEIGHTS).read_bytes()
    [kept] = (project / CHECKPOINTS).iterdir()
    assert {path.stat().st_nlink for path in kept.glob("*.*")} == {2}  # no room on the disk
    partial = [path for path in (project / "results").rglob("*") if "partial" in path.name]
    assert partial == []
