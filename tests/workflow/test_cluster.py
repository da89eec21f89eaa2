"""The workflow through the Slurm profile: the same tables, and what Slurm does to jobs.

Not part of `make test`: it needs root, installs Debian's Slurm and takes minutes.  Run it with
`make test-cluster`.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import TINY, Project

pytestmark = pytest.mark.cluster

ONE = "datasets: [mssd-sim]\n"
# What a site sets, and times that fit a test.
SITE = [
    "--default-resources",
    "slurm_account=lab",
    "slurm_partition=main",
    "mem_mb=500",
    "runtime=10",
]
SITE += ["--slurm-init-seconds-before-status-checks", "1", "--latency-wait", "5"]
WEIGHTS = (
    "results/models/dataset=mssd-sim/split=paper/model=sasrec/variant=orig/seed=1/model.safetensors"
)
# Slurm without control groups looks at the memory of a job every two seconds; this training is long
# enough to be seen.
SECONDS = "neural: {dimension: 32, min_epochs: 400, max_epochs: 400}\n" + ONE
ENVIRONMENT = os.environ | {"NO_COLOR": "1", "SLURM_CONF": "/etc/slurm/slurm.conf"}


@pytest.fixture(scope="module")
def slurm():
    """Two nodes on this machine, from Debian's packages."""
    script = Path(__file__).with_name("slurm.sh")
    try:
        subprocess.run([script, "start"], check=True, timeout=600)
        yield
    finally:
        subprocess.run([script, "stop"], check=True, timeout=120)


def submit(
    project: Project, target: str, *configs: str, options: tuple[str, ...] = ()
) -> subprocess.CompletedProcess:
    command = [
        sys.executable,
        "-m",
        "snakemake",
        target,
        "--profile",
        "profiles/slurm",
        *SITE,
        *options,
    ]
    return subprocess.run(
        [*command, "--configfile", *configs],
        cwd=project.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        env=ENVIRONMENT,
        timeout=1500,
    )


def jobs(since: float) -> list[dict[str, str]]:
    """What Slurm's database has of the jobs submitted since then."""
    names = ["JobID", "State", "NodeList", "Comment"]
    start = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(since))
    command = [
        "sacct",
        "-X",
        "--noheader",
        "--parsable2",
        f"--starttime={start}",
        f"--format={','.join(names)}",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=ENVIRONMENT)
    return [dict(zip(names, line.split("|"), strict=True)) for line in done.stdout.splitlines()]


def test_the_tables_are_those_of_a_local_run(slurm, tmp_path):
    target = "results/tables/hr_ndcg.csv"
    here, there = (Project(tmp_path / name) for name in ("here", "there"))
    here.made(target, cores=2, configs=(TINY, here.overlay("one.yaml", ONE)))
    started = time.time()
    done = submit(there, target, TINY, there.overlay("one.yaml", ONE))
    assert done.returncode == 0, done.stdout
    for path in sorted((here / "results/tables").iterdir()):
        assert (there / f"results/tables/{path.name}").read_bytes() == path.read_bytes(), path.name
    found = jobs(started)
    assert {job["State"] for job in found} == {"COMPLETED"}
    assert {job["NodeList"] for job in found} == {"node1", "node2"}
    ran = {job["Comment"].split("_wildcards")[0] for job in found}
    assert ran >= {
        f"rule_{rule}"
        for rule in (
            "simulate_raw",
            "extract_events",
            "train_model",
            "compute_metrics",
        )
    }


def test_a_training_past_its_time_limit_goes_on_in_the_next_attempt(slurm, tmp_path):
    # Longer than the minute that the first attempt has.
    long = "neural: {dimension: 32, min_epochs: 2500, max_epochs: 2500}\n" + ONE
    here, there = (Project(tmp_path / name) for name in ("here", "there"))
    here.made(WEIGHTS, configs=(TINY, here.overlay("long.yaml", long)))
    options = ("--set-resources", "train_model:runtime=attempt")
    done = submit(there, WEIGHTS, TINY, there.overlay("long.yaml", long), options=options)
    assert done.returncode == 0, done.stdout
    assert "TIMEOUT" in done.stdout
    [log] = (there / "logs/train_model").rglob("*.log")
    assert "continues from" in log.read_text()
    assert (there / WEIGHTS).read_bytes() == (here / WEIGHTS).read_bytes()


def states(since: float, rule: str) -> list[str]:
    """The states of the jobs of a rule, in the order in which they were submitted."""
    of_rule = [job for job in jobs(since) if job["Comment"].startswith(f"rule_{rule}_")]
    return [job["State"] for job in sorted(of_rule, key=lambda job: int(job["JobID"]))]


def test_a_training_that_exceeds_its_memory_gets_more(slurm, tmp_path):
    project, started = Project(tmp_path), time.time()
    options = ("--set-resources", "train_model:mem_mb=500*attempt")
    done = submit(project, WEIGHTS, TINY, project.overlay("seconds.yaml", SECONDS), options=options)
    assert done.returncode == 0, done.stdout
    assert "exceeded memory limit" in done.stdout
    first, *_, last = states(started, "train_model")
    assert first != "COMPLETED"
    assert last == "COMPLETED"
    assert (project / WEIGHTS).exists()


def test_a_training_that_exceeds_its_memory_at_every_attempt_ends_the_run(slurm, tmp_path):
    project, started = Project(tmp_path), time.time()
    options = ("--set-resources", "train_model:mem_mb=500")
    done = submit(project, WEIGHTS, TINY, project.overlay("seconds.yaml", SECONDS), options=options)
    assert done.returncode != 0
    assert "exceeded memory limit" in done.stdout
    assert len(states(started, "train_model")) == 3
    assert "COMPLETED" not in states(started, "train_model")
    assert not (project / WEIGHTS).exists()
    assert (project / "results/splits/dataset=mssd-sim/split=paper/train.parquet").exists()
