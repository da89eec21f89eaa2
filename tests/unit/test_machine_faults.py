"""What a machine lacks is one line with the remedy, whichever library says it."""

import errno
import logging
import os
import platform
import subprocess
import sys

import duckdb
import numpy as np
import pytest
import torch
from examples import ROOT
from safetensors import SafetensorError
from safetensors.torch import save_file
from skipwise.core.artifacts import whole_file, write_json
from skipwise.core.errors import machine_fault
from skipwise.core.log import rule_log


def raised(work) -> BaseException:
    with pytest.raises(
        (RuntimeError, MemoryError, OSError, duckdb.Error, SafetensorError)
    ) as caught:
        work()
    return caught.value


def too_much_for_duckdb():
    with duckdb.connect(
        config={"memory_limit": "5MB", "threads": 1, "max_temp_directory_size": "0MB"}
    ) as connection:
        connection.sql("select list(range) from range(10000000)").fetchall()


@pytest.mark.parametrize(
    "work",
    [
        lambda: torch.empty(2**50),
        lambda: np.empty(2**55),
        too_much_for_duckdb,
        lambda: bytearray(2**60),
    ],
    ids=["torch", "numpy", "duckdb", "python"],
)
def test_memory(work):
    line = machine_fault(raised(work), "train_model")
    assert line.startswith(
        "not enough memory; run fewer jobs at once (--cores), or give the job more"
    )
    assert "--set-resources train_model:mem_mb=" in line
    assert "\n" not in line


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (errno.ENOSPC, "the disk is full; free some space"),
        (errno.EDQUOT, "the disk is full; free some space"),
        (errno.EROFS, "may not be read or written"),
        (errno.EACCES, "may not be read or written"),
    ],
)
def test_disk(number, expected):
    assert expected in machine_fault(OSError(number, "words of the system", "a/b"), "x")


@pytest.mark.parametrize(
    "error",
    [KeyError("x"), OSError(errno.ENOENT, "No such file", "a"), RuntimeError("shapes do not fit")],
)
def test_an_error_of_ours_is_no_fault_of_the_machine(error):
    assert machine_fault(error, "x") is None


def test_the_file_is_named_that_could_not_be_written(tmp_path, capfd):
    def job():
        with (
            rule_log(str(tmp_path / "job.log"), "train_model"),
            whole_file(tmp_path / "model.safetensors") as partial,
        ):
            partial.symlink_to("/dev/full")
            write_to = str(partial)
            with open(write_to, "wb") as out:
                out.write(b"x" * 100_000)

    with pytest.raises(SystemExit) as end:
        job()
    assert end.value.code == 1
    [line] = capfd.readouterr().err.splitlines()
    assert line.startswith(f"train_model: ERROR: {tmp_path}/model.safetensors: the disk is full")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["job.log"]


def test_safetensors_says_it_in_words_of_its_own(tmp_path):
    error = raised(lambda: save_file({"a": torch.zeros(3)}, tmp_path / "no" / "such"))
    assert machine_fault(error, "x") is None


def test_a_job_that_is_killed_leaves_a_log_that_is_not_empty(tmp_path):
    log = tmp_path / "job.log"
    with rule_log(str(log), "train_model"):
        [line] = log.read_text().splitlines()
    assert f"train_model starts on {platform.node()}, process {os.getpid()}" in line


def test_a_log_on_a_full_disk_is_no_traceback_a_line(capfd, tmp_path):
    with rule_log("/dev/full", "job"):
        logging.getLogger("skipwise").info("lost")
        write_json({}, tmp_path / "made.json")
    assert capfd.readouterr().err == ""
    assert (tmp_path / "made.json").exists()


def test_a_training_without_address_space_ends_in_one_line(tmp_path):
    """A job whose memory is cut short below what it allocates: RLIMIT_AS, once all is imported."""
    code = f"""
import resource, sys
sys.path.insert(0, {str(ROOT / "workflow/scripts")!r})
import torch
from skipwise.core.log import rule_log
with rule_log({str(tmp_path / "job.log")!r}, "train_model"):
    used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 2**28, used + 2**28))
    torch.zeros(2**29)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert line.startswith("train_model: ERROR: not enough memory")
