"""Times the way from an MSSD archive to sampled sessions, beside other ways to read the same logs:
`make bench-data`.

The logs have the real shape, 3.3 million rows each, and are made once by simulate_raw (a minute and
600 MB a log).  Run it on an idle machine: every way runs in a process of its own, so that its peak
memory is its own, and the best of --repeat runs counts.
"""

import argparse
import gzip
import json
import os
import resource
import subprocess
import sys
import tarfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "workflow" / "scripts"))

SESSIONS = 196_000  # of a log, which are 3.3 million rows
FULL = 426e9  # bytes of all 660 logs of MSSD
# As in the registry: of all sessions 1 % are kept, and the papers sampled 450,000 of 160 million.
KEEP_SHARE = 0.01
SAMPLED = 450_000 / 160e6


def make_log(folder: Path, log: int) -> Path:
    """One simulated log, as plain csv."""
    from skipwise.simulation.writers import simulate_raw

    csv = folder / f"log_{log}_20180715_000000000000.csv"
    if not csv.exists():
        archive = folder / f"log_{log}.tar.gz"
        simulate_raw(
            archive,
            form="mssd",
            simulation={"sessions": SESSIONS, "tracks": 100_000, "logs": 1, "seed": log + 1},
        )
        with tarfile.open(archive) as members:
            partial = csv.with_suffix(".partial")
            partial.write_bytes(members.extractfile(members.next()).read())
            partial.rename(csv)
        archive.unlink()
    return csv


def make_archive(folder: Path, logs: list[Path]) -> Path:
    """The logs in one tar.gz, packed about as hard as the real ones; each log is packed once, as a
    gzip stream of its own.
    """
    path = folder / f"training_set_{len(logs)}.tar.gz"
    packed = [log.with_suffix(".tar.part.gz") for log in logs]
    for log, part in zip(logs, packed, strict=True):
        if not part.exists():
            member = tarfile.TarInfo(f"training_set/{log.name}")
            member.size = log.stat().st_size
            padding = bytes(-member.size % tarfile.BLOCKSIZE)
            part.write_bytes(
                gzip.compress(member.tobuf() + log.read_bytes() + padding, compresslevel=6)
            )
    end = gzip.compress(bytes(2 * tarfile.BLOCKSIZE))
    path.write_bytes(b"".join([*(part.read_bytes() for part in packed), end]))
    return path


def sessions_settings(n_sessions: int) -> dict:
    return {
        "n_sessions": n_sessions,
        "min_length": 6,
        "max_length": 20,
        "sampling_seed": 1,
        "skip_polarity": "right",
    }


def run_events(archive: str, out: str, keep_share: float | None) -> None:
    """Archive to events, as the rule extract_events does it."""
    from skipwise.raw.extract import extract_events

    entry = {"form": "mssd"}
    if keep_share:
        entry["keep"] = {"share": keep_share, "sampling_seed": 1, "max_length": 20}
    extract_events(
        archive,
        f"{out}/events.parquet",
        f"{out}/source.json",
        f"{out}/rejected.parquet",
        entry=entry,
    )


def run_sessions(out: str, n_sessions: int, keep_share: float | None) -> None:
    """Events to sampled sessions, as the rules label_sessions and sample_sessions do it."""
    from skipwise.sessions.label import label_sessions
    from skipwise.sessions.recipe import Machine, Recipe
    from skipwise.sessions.sample import sample_sessions

    recipe = Recipe("bench", sessions=sessions_settings(n_sessions), keep_share=keep_share)
    machine = Machine(threads=2, memory=2000)
    labelled, counts = f"{out}/labelled.parquet", f"{out}/counts.json"
    label = {"part": 0, "out_labelled": labelled, "out_counts": counts}
    label_sessions([f"{out}/events.parquet"], None, recipe, machine, **label)
    outputs = {f"out_{name}": f"{out}/{name}" for name in ("sessions", "tracks", "keys", "stats")}
    sources = [f"{out}/source.json"]
    sample_sessions([labelled], [counts], sources, recipe, machine, **outputs)


def run_polars(logs: list[str]) -> None:
    """The fastest parser alone, the same columns of the plain csv, one log after the other."""
    import polars as pl
    from skipwise.raw.forms.mssd import _LAYOUT

    for log in logs:
        pl.read_csv(
            log, columns=list(_LAYOUT.columns), schema_overrides=_LAYOUT.columns, quote_char=None
        )


def run_gzip(archive: str) -> None:
    """Plain decompression."""
    subprocess.run(["gzip", "-dc", archive], stdout=subprocess.DEVNULL, check=True)


def run_pandas(logs: list[str]) -> None:
    """The papers' way on the plain csv: read, sum the flags, keep groups by size and skips, group
    into lists.
    """
    import pandas as pd

    for log in logs:
        plays = pd.read_csv(log)
        plays["skipped"] = plays[["skip_1", "skip_2", "skip_3"]].astype(int).sum(axis=1) >= 2
        groups = plays.groupby("session_id")
        plays = plays[
            (groups["skipped"].transform("size") >= 6) & (groups["skipped"].transform("sum") >= 1)
        ]
        plays.groupby("session_id")[["track_id_clean", "skipped"]].agg(list)


def run_duckdb(logs: list[str]) -> None:
    """Plain DuckDB from the plain csv to lists."""
    import duckdb

    connection = duckdb.connect(config={"threads": 2})
    for log in logs:
        connection.sql(
            f"""
            create or replace temp table sessions as
            select
                session_id,
                list(track_id_clean order by session_position) as tracks,
                list(skip_2 order by session_position) as skipped
            from read_csv('{log}')
            group by session_id
            having count(*) >= 6 and count_if(skip_2) >= 1
            """
        )


WAYS = {
    function.__name__.removeprefix("run_"): function
    for function in (run_events, run_sessions, run_polars, run_gzip, run_pandas, run_duckdb)
}


def measured(way: str, *arguments, repeat: int) -> tuple[float, float, float]:
    """Best seconds, those of all cores together, and largest peak memory in GiB of a way, without
    the imports.
    """
    runs = []
    for _ in range(repeat):
        command = [sys.executable, __file__, "--run", way, json.dumps(arguments)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        runs.append(json.loads(done.stdout.splitlines()[-1]))
    seconds, cores, memory = zip(*runs, strict=True)
    return min(seconds), min(cores), max(memory)


def run(way: str, arguments: list) -> None:
    """Run one way in this process and print its seconds and peak memory."""
    import duckdb  # noqa: F401, imports are not what is timed
    import polars  # noqa: F401

    if way == "pandas":
        import pandas  # noqa: F401
    started, before = time.perf_counter(), sum(os.times()[:4])
    WAYS[way](*arguments)
    seconds, cores = time.perf_counter() - started, sum(os.times()[:4]) - before
    peak = max(
        resource.getrusage(who).ru_maxrss
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    print(json.dumps([seconds, cores, peak / 2**20]))


def table(folder: Path, shards: list[int], repeat: int) -> list[str]:
    """The rows of the table of docs/performance.md."""
    lines = [
        "| shards | way | s | core s | rows/s | MB/s of csv | peak GiB | all of MSSD, h |",
        "|---|---|---|---|---|---|---|---|",
    ]
    logs = [make_log(folder, log) for log in range(max(shards))]
    out = folder / "out"
    out.mkdir(exist_ok=True)
    for n in shards:
        archive, paths = make_archive(folder, logs[:n]), [str(log) for log in logs[:n]]
        size, rows = sum(log.stat().st_size for log in logs[:n]), 0
        n_sessions = round(n * SESSIONS * SAMPLED)
        ways = {
            f"archive → events, {KEEP_SHARE:.0%} kept": (
                "events",
                str(archive),
                str(out),
                KEEP_SHARE,
            ),
            "events → sampled sessions": ("sessions", str(out), n_sessions, KEEP_SHARE),
            "archive → events, all kept": ("events", str(archive), str(out), None),
            "polars alone, plain csv": ("polars", paths),
            "`gzip -dc` of the archive": ("gzip", str(archive)),
            "DuckDB, plain csv": ("duckdb", paths),
            "pandas, plain csv (papers)": ("pandas", paths),
        }
        for name, (way, *arguments) in ways.items():
            seconds, cores, peak = measured(
                way, *arguments, repeat=1 if way == "pandas" else repeat
            )
            rows = rows or json.loads((out / "source.json").read_text())["rows"]
            hours = FULL / (size / seconds) / 3600
            rates = f"{rows / seconds:,.0f} | {size / seconds / 1e6:,.0f}"
            figures = f"{seconds:.2f} | {cores:.2f} | {rates} | {peak:.2f} | {hours:.2f}"
            lines.append(f"| {n} | {name} | {figures} |")
            print(lines[-1], flush=True)
    return lines


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--folder",
        type=Path,
        default=ROOT / "resources/raw/bench",
        help="where logs and archives are kept",
    )
    parser.add_argument("--shards", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--run", nargs=2, metavar=("WAY", "ARGUMENTS"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.run:
        run(given.run[0], json.loads(given.run[1]))
        return
    given.folder.mkdir(parents=True, exist_ok=True)
    print(f"load before: {os.getloadavg()[0]:.1f}; {os.cpu_count()} cores", flush=True)
    lines = table(given.folder, given.shards, given.repeat)
    print("\n" + "\n".join(lines))
    print(f"\nload after: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
