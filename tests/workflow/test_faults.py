"""What machines do to a run: each ends in one clear line, nothing computed is lost, and the same
command goes on from there.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import TINY

RUN = "dataset=mssd-sim/split=paper/model=sasrec/variant=orig/seed=1"
RANKS = f"results/ranks/{RUN}/ranks.parquet"
MODEL = f"results/models/{RUN}"


def said(done: subprocess.CompletedProcess, *parts: str) -> str:
    """The one line of a failed run that holds all ``parts``; a traceback is none."""
    assert done.returncode != 0, done.stdout
    assert "Traceback" not in done.stdout
    found = [line for line in done.stdout.splitlines() if all(part in line for part in parts)]
    assert found, done.stdout
    return found[0]


def half_written(project) -> list[Path]:
    """Temporary files below results/, and checkpoints of trainings that have not ended."""
    found = (path for path in (project / "results").rglob("*") if path.is_file())
    return [
        path for path in found if path.name.startswith(".") or path.parent.name == "checkpoints"
    ]


@pytest.fixture
def disk(copy):
    """The results folder of ``copy`` as a small disk of its own, without one model and what is made
    of it.

    Gives a function that mounts it anew with other options.
    """
    results, aside = copy / "results", copy / "aside"
    for stage in ("models", "ranks", "cosines", "metrics"):
        shutil.rmtree(results / stage / RUN)
    shutil.rmtree(results / "checkpoints")
    results.rename(aside)
    results.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64m", "none", results], capture_output=True
    ).returncode:
        pytest.skip("a disk can only be mounted by root")

    def remount(options: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{options}", results], check=True)

    try:
        shutil.copytree(aside, results, dirs_exist_ok=True)
        yield remount
    finally:
        subprocess.run(["umount", results], check=True)


def test_a_full_disk(copy, disk):
    usage = os.statvfs(copy / "results")
    used = (usage.f_blocks - usage.f_bfree) * usage.f_frsize
    disk(f"size={used + 4_000}")
    table = (copy / "results/tables/hr_ndcg.csv").read_bytes()
    line = said(
        copy.snakemake(RANKS), f"{MODEL}/model.safetensors", "the disk is full", "free some space"
    )
    assert line.startswith("train_model: ERROR: ")
    assert not list((copy / MODEL).glob("*"))
    assert half_written(copy) == []
    assert (copy / "results/tables/hr_ndcg.csv").read_bytes() == table
    disk("size=64m")
    copy.made(RANKS)


def test_a_results_folder_that_may_not_be_written(copy, disk):
    disk("ro")
    said(copy.snakemake(RANKS), "Read-only file system", "results/models")
    disk("rw")


def test_no_network(project):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # and nobody listens
        address = f"http://127.0.0.1:{closed.getsockname()[1]}/u.data"
        overlay = project.overlay(
            "remote.yaml",
            "datasets: [remote]\nregistry:\n  remote: {form: movielens, skipped_when: rating < "
            "4, skip_rule: {name: given}, "
            f"session_gap: 1200, files: [{{name: u.data, urls: ['{address}']}}]}}\n",
        )
        done = project.snakemake("resources/raw/remote/u.data", configs=(TINY, overlay))
    said(done, "u.data could not be downloaded", address, "refused", "`paths`")
    assert not (project / "resources/raw/remote/u.data").exists()


def test_raw_data_that_is_gone(copy):
    raw = copy / "resources/raw/mssd-sim/training_set_0.tar.gz"
    raw.rename(copy / "plays.tar.gz")
    overlay = copy.overlay("mine.yaml", "registry: {mssd-sim: {paths: [moved/*.tar.gz]}}\n")
    said(
        copy.snakemake("--dry-run", configs=(TINY, overlay)),
        "mssd-sim: no file matches moved/*.tar.gz",
        "`paths`",
    )
    (copy / "moved").mkdir()
    (copy / "plays.tar.gz").rename(copy / "moved/training_set_0.tar.gz")
    assert "Simulating" not in " ".join(copy.planned(overlay))


def test_a_clock_that_was_set_back(copy):
    raw = copy / "resources/raw/mssd-sim/training_set_0.tar.gz"
    tomorrow = time.time() + 86_400
    os.utime(raw, (tomorrow, tomorrow))
    # Small files are the same where their checksum is; this makes the file a large one.
    large = ("--max-checksum-file-size", "0")
    events = "results/events/dataset=mssd-sim/shard=training_set_0/events.parquet"
    tables = copy.results()
    assert copy.planned() == []
    said(
        copy.snakemake(events, *large),
        events,
        "older modification time",
        str(raw.relative_to(copy.folder)),
        "clock",
    )
    assert copy.results() == tables
    os.utime(raw)
    copy.made(events, *large)
    assert "Nothing to be done" in copy.made(events, *large)


def test_a_second_snakemake_in_the_folder(copy):
    shutil.rmtree(copy / MODEL)
    configs = TINY, copy.overlay("long.yaml", "neural: {min_epochs: 40, max_epochs: 40}\n")
    target = f"{MODEL}/model.safetensors"
    command = [sys.executable, "-m", "snakemake", target, "--cores", "1", "--configfile", *configs]
    environment = os.environ | {"NO_COLOR": "1"}
    with subprocess.Popen(
        command,
        cwd=copy.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
        start_new_session=True,
    ) as first:
        while not list((copy / "results/checkpoints").glob("*.safetensors")):
            assert first.poll() is None, first.stdout.read()
            time.sleep(0.01)
        # The first waits while the second is called; else it may end, and take its locks away, at
        # that very moment.
        os.killpg(first.pid, signal.SIGSTOP)
        assert first.poll() is None, "the first had ended before the second was called"
        try:
            second = copy.snakemake(target, configs=configs)
        finally:
            os.killpg(first.pid, signal.SIGCONT)
        printed = first.communicate(timeout=120)[0]
    assert first.returncode == 0, printed
    said(second, "Directory cannot be locked")
    assert "--unlock" in second.stdout
    assert (copy / target).exists()
    assert half_written(copy) == []


def test_too_little_memory(copy):
    overlay = copy.overlay("large.yaml", "neural: {dimension: 1000000000}\n")
    done = copy.snakemake(f"{MODEL}/model.safetensors", configs=(TINY, overlay))
    line = said(done, "this training takes up to", "GiB are there", "neural.dimension")
    [log] = (copy / "logs/train_model" / RUN).parent.glob("seed=1.log")
    sentence = line.removeprefix("train_model: ERROR: ").split(";")[0]
    assert sentence in log.read_text().replace("\n", " ")
