"""Kills Snakemake and its jobs with SIGKILL at random moments and checks that the next call ends as
if nothing had happened.

    python tools/kill_test.py --moments 20
    python tools/kill_test.py --moments 10 --run quick --kinds everything

For each kind of process (Snakemake itself, a training, a DuckDB job) a small run on simulated data
is killed that many times.  After each kill `snakemake --rerun-incomplete` must finish.  Of the kind
`everything` all processes are killed, Snakemake first, again and again on the way through one run,
in which no training may begin again that Snakemake has seen end.  Every file must exist, with the
bytes of an undisturbed run unless it contains times, and nothing else may be left under results/.
The last lines are the counts.
"""

import argparse
import contextlib
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[1]
TARGET = "results/tables/hr_ndcg.csv"
OVERLAY = """
datasets: [mssd-sim]
models: [popularity, sasrec]
neural: {min_epochs: 30, max_epochs: 30}
model_registry: {sasrec: {variants: {orig: null, contrastive-item: null}}}
"""
# Configurations of the runs: the small one, and that of `make tables`.
RUNS = {"small": ("tests/workflow/tiny.yaml", "small.yaml"), "quick": ("config/quick.yaml",)}
RUN = "dataset=mssd-sim/split=paper/model=sasrec/variant=contrastive-hidden/seed=1"
# The folders that are deleted before the run that is killed, and the scripts of which one is
# killed; none means Snakemake itself.
KINDS = {
    "snakemake": ([""], ()),
    "training": (
        [f"{stage}/{RUN}" for stage in ("models", "ranks", "cosines", "metrics")]
        + ["checkpoints", "tables"],
        ("train_model",),
    ),
    # With all that follows: Snakemake does not make a missing intermediate file for an existing
    # table.
    "duckdb": (
        [
            *("labelled", "sessions", "splits", "models", "checkpoints"),
            *("ranks", "cosines", "metrics", "tables"),
        ],
        ("label_sessions", "sample_sessions", "split_sessions"),
    ),
}
EVERYTHING = "everything"
# These contain times of day or seconds.
TIMED = ("history.parquet", "run.json")


def start(folder: Path, *arguments: str) -> subprocess.Popen:
    """Snakemake on the run that is prepared in ``folder``, with its output in a file."""
    command = [sys.executable, "-m", "snakemake", TARGET, "--cores", "2", *arguments]
    configs = (folder / "configs.txt").read_text().split()
    with (folder / "output.txt").open("w") as out:
        return subprocess.Popen(
            [*command, "--configfile", *configs],
            cwd=folder,
            stdout=out,
            stderr=out,
        )


def finish(folder: Path, *arguments: str) -> None:
    """Run Snakemake, which must succeed."""
    if start(folder, *arguments).wait(timeout=900):
        raise RuntimeError((folder / "output.txt").read_text())


def processes(folder: Path, script: str | None = None) -> list[int]:
    """Processes that work in ``folder``; with ``script`` those that run this rule's script."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes().decode().split("\0")
                inside = Path(os.readlink(entry / "cwd")) == folder
            except OSError:
                continue
            if inside and (
                script is None
                or ("-c" not in command and any(f"{script}.py" in part for part in command))
            ):
                found.append(int(entry.name))
    return found


def contents(folder: Path) -> dict[str, bytes | None]:
    """Every file under results/, also hidden ones; bytes of those that two runs must share."""
    results = folder / "results"
    return {
        str(path.relative_to(results)): None if path.name in TIMED else path.read_bytes()
        for path in sorted(results.rglob("*"))
        if path.is_file()
    }


def prepare(folder: Path, run: str) -> dict[str, bytes | None]:
    """Make the undisturbed run in ``folder``, if it does not exist."""
    if not (folder / TARGET).exists():
        listed = subprocess.run(
            ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout
        for name in filter(None, listed.split("\0")):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
        (folder / "small.yaml").write_text(OVERLAY)
        (folder / "configs.txt").write_text("\n".join(RUNS[run]))
        finish(folder)
    return contents(folder)


def delete(folder: Path, kind: str) -> None:
    for name in KINDS.get(kind, KINDS["snakemake"])[0]:
        shutil.rmtree(folder / "results" / name)


def watch(running: subprocess.Popen, folder: Path, script: str) -> int | None:
    """Wait for the job that runs ``script``; None if Snakemake ended before it was seen."""
    while running.poll() is None:
        if found := processes(folder, script):
            return found[0]
        time.sleep(0.005)
    return None


def duration(undisturbed: Path, folder: Path, kind: str, script: str | None) -> float:
    """Seconds that the process runs if nobody kills it."""
    shutil.copytree(undisturbed, folder, symlinks=True)
    delete(folder, kind)
    started, running = time.monotonic(), start(folder)
    if script:
        job = watch(running, folder, script)
        started = time.monotonic()
        while job and Path(f"/proc/{job}").exists():
            time.sleep(0.005)
    else:
        running.wait()
    took = time.monotonic() - started
    running.wait()
    shutil.rmtree(folder)
    return took


def trainings(folder: Path) -> tuple[set[str], set[str]]:
    """Those that the last call of Snakemake began, and those of them that ended."""
    output = (folder / "output.txt").read_text()
    begun = dict(re.findall(r"^Job (\d+): (Training .*)$", output, re.MULTILINE))
    ended = re.findall(r"^Finished jobid: (\d+)", output, re.MULTILINE)
    return set(begun.values()), {begun[job] for job in ended if job in begun}


def killed_on_the_way(
    undisturbed: Path, expected: dict, folder: Path, kills: int, delays: Callable[[], float]
) -> Counter:
    """Kill all processes of one run again and again, finish it, compare; returns how often it was
    killed, and how many trainings began again after that.

    Raises RuntimeError if one that had ended began again, and if too little was there to be killed.
    """
    shutil.copytree(undisturbed, folder, symlinks=True)
    delete(folder, EVERYTHING)
    counts: Counter = Counter()
    had_begun: set[str] = set()
    had_ended: set[str] = set()

    def note() -> None:
        begun, ended = trainings(folder)
        if begun & had_ended:
            raise RuntimeError(f"{folder}: began though they had ended: {begun & had_ended}")
        counts["trainings begun again"] += len(begun & had_begun)
        had_begun.update(begun)
        had_ended.update(ended)

    for _ in range(kills):
        running = start(folder, "--rerun-incomplete")
        while running.poll() is None and "\nJob " not in (folder / "output.txt").read_text():
            time.sleep(0.05)  # it plans
        time.sleep(delays())
        counts["killed"] += running.poll() is None
        running.kill()
        while left := processes(folder):
            for victim in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(victim, signal.SIGKILL)
            time.sleep(0.05)
        note()
        if any((folder / ".snakemake").glob("locks/*")):
            finish(folder, "--unlock")
    counts["trainings ended before the last kill"] = len(had_ended)
    finish(folder, "--rerun-incomplete")
    note()
    compare(folder, expected, f"{counts['killed']} times killed")
    if counts["killed"] < kills or not counts["trainings ended before the last kill"]:
        raise RuntimeError(f"{folder}: hardly ever there to be killed: {dict(counts)}")
    shutil.rmtree(folder)
    return counts


def compare(folder: Path, expected: dict, what: str) -> None:
    """Raises RuntimeError if the files are not those of the undisturbed run."""
    found = contents(folder)
    wrong = sorted(
        name
        for name in found.keys() | expected.keys()
        if found.get(name, b"absent") != expected.get(name, b"absent")
    )
    if wrong:
        raise RuntimeError(f"{folder}: {what}: not as undisturbed: {', '.join(wrong)}")


def trial(
    undisturbed: Path, expected: dict, folder: Path, kind: str, script: str | None, delay: float
) -> str:
    """Kill once, continue, compare; returns the outcome."""
    shutil.copytree(undisturbed, folder, symlinks=True)
    delete(folder, kind)
    running = start(folder)
    victim = watch(running, folder, script) if script else running.pid
    time.sleep(delay)
    was_there = victim is not None and running.poll() is None and Path(f"/proc/{victim}").exists()
    if was_there:
        os.kill(victim, signal.SIGKILL)
    status = running.wait(timeout=300)
    if not was_there:
        shutil.rmtree(folder)
        return "too late"
    happened = "killed" if status else "killed when its work was done"
    # Jobs of a killed Snakemake keep running, and the next call starts while they do.
    if kind == "snakemake" and any((folder / ".snakemake").glob("locks/*")):
        finish(folder, "--unlock")
    finish(folder, "--rerun-incomplete")
    while processes(folder):
        time.sleep(0.05)
    compare(folder, expected, f"{kind} {script or ''} killed after {delay:.2f} s")
    shutil.rmtree(folder)
    return happened


def main() -> None:
    """Kill, and print the counts; status 1 if a run did not end as the undisturbed one."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--moments", type=int, default=20, help="kills of each kind of process")
    parser.add_argument("--kinds", nargs="+", choices=[*KINDS, EVERYTHING], default=list(KINDS))
    parser.add_argument("--run", choices=RUNS, default="small", help="quick: that of make tables")
    parser.add_argument("--seed", type=int, default=1, help="seed of the moments")
    parser.add_argument(
        "--folder", type=Path, help="working folder; an undisturbed run in it is used again"
    )
    options = parser.parse_args()
    work = (options.folder or Path(tempfile.mkdtemp())).resolve()
    undisturbed = work / "undisturbed"
    expected = prepare(undisturbed, options.run)
    moments, failed = random.Random(options.seed), []
    if EVERYTHING in options.kinds:
        life = duration(undisturbed, work / f"{EVERYTHING}-timed", EVERYTHING, None)
        # The kills are spread over the whole run, each wherever it is by then.
        try:
            counts = killed_on_the_way(
                undisturbed,
                expected,
                work / f"{EVERYTHING}-{options.seed}",
                options.moments,
                lambda: moments.uniform(0, 2 * life / options.moments),
            )
            print(f"{EVERYTHING}: {dict(counts)} (undisturbed: {life:.1f} s)", flush=True)
        except (RuntimeError, subprocess.TimeoutExpired) as error:
            failed.append(str(error))
            print(error, flush=True)
    for kind in [kind for kind in options.kinds if kind != EVERYTHING]:
        scripts = KINDS[kind][1] or (None,)
        lives = {
            script: duration(undisturbed, work / f"{kind}-timed", kind, script)
            for script in scripts
        }
        counts = Counter()
        while counts.total() - counts["too late"] < options.moments:
            script = moments.choice(scripts)
            folder = work / f"{kind}-{options.seed}-{counts.total()}"
            delay = moments.uniform(0, lives[script])
            try:
                happened = trial(undisturbed, expected, folder, kind, script, delay)
            except (RuntimeError, subprocess.TimeoutExpired) as error:
                failed.append(str(error))
                happened = "FAILED"
                print(error, flush=True)
            if happened == "too late":
                # The machine has become faster, for example because other work on it has ended.
                lives[script] = delay
            counts[happened] += 1
            if counts["too late"] > 2 * options.moments + 5:
                sys.exit(f"{kind}: hardly ever there to be killed: {dict(counts)}")
        seconds = ", ".join(
            f"{script or 'snakemake'} {life:.1f} s" for script, life in lives.items()
        )
        print(f"{kind}: {dict(counts)} (undisturbed: {seconds})", flush=True)
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
