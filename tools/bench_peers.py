"""Times training and ranking of skipwise and its peers on the same data: `make bench-peers`.  Run
it on an idle machine.

Each peer runs in its own environment, `.venv-peers/<peer>`, by its own script in tools/peers, which
says which part of the peer it drives.  All use two threads.  Columns: `as shipped`, and `same
settings`, which are torch's float32 matrix products by oneDNN
(`torch.set_float32_matmul_precision("medium")`) and glibc's large allocations kept.  Ratios are
ours / peer at the same settings; for SASRec, ours is `SASRec orig`.  If the processor multiplies
bfloat16, "medium" rounds to it, and a peer then ranks by rounded scores; our ranks stay exact.

torch's fused attention can be slower with "medium" from 17 tokens on.  It takes no dropout, so
training does not use it; RePlay without it (`--settings math` of its script) was no faster in
training and slower in ranking, so it is left on.

If a machine is slow or fast for minutes, `--in-turn 3` is more reliable than one run: ratios of
training only, each peer's run between two of ours.
"""

import argparse
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).parent))

from bench_training import sessions

ROOT = Path(__file__).parents[1]
SESSIONS = 16_384
CONTEXTS = 4_096
LENGTH = 20
SETTINGS = ("shipped", "same")
FIGURES = ("step_ms", "sessions_per_s", "targets_per_s", "ranked_per_s")
# Ours also ranks to a cut-off: ranks to 10 say as much as a list of the best 10.
CUTOFFS = {
    "ranked_per_s": "all ranks",
    "ranked_to_1000_per_s": "ranks to 1,000",
    "ranked_to_10_per_s": "ranks to 10",
}
OURS = {"SASRec": "SASRec orig", "GRU4Rec": "GRU4Rec orig"}

# Peer: its script, its models and their kinds.
PEERS = {
    "skipwise": (
        "skipwise_models.py",
        {
            "SASRec orig": "SASRec",
            "SASRec contrastive-hidden": "SASRec",
            "SASRec orig, bfloat16": "SASRec",
            "GRU4Rec orig": "GRU4Rec",
            "GRU4Rec orig, bfloat16": "GRU4Rec",
        },
    ),
    "replay": ("replay_sasrec.py", {"1,000 shared negatives": "SASRec"}),
    "rectools": ("rectools_sasrec.py", {"sampled-1000": "SASRec", "sampled-1": "SASRec"}),
    "recbole": ("recbole_models.py", {"SASRec": "SASRec", "GRU4Rec": "GRU4Rec"}),
    "cornac": ("cornac_gru4rec.py", {"shipped": "GRU4Rec", "sampled-1000": "GRU4Rec"}),
}


class MissingError(Exception):
    """A peer cannot run here; the message names the remedy."""


def python_of(peer: str, root: Path = ROOT) -> Path:
    """The interpreter of a peer's environment.  Raises MissingError if there is none."""
    if peer == "skipwise":
        return Path(sys.executable)
    python = root / ".venv-peers" / peer / "bin" / "python"
    if not python.exists():
        raise MissingError(
            f"{peer}: no environment {python.parents[1]}; make it with `make "
            f".venv-peers/{peer}/.installed`"
        )
    return python


def write_data(
    folder: Path, n_tracks: int, n_sessions: int = SESSIONS, n_contexts: int = CONTEXTS
) -> None:
    """The files that tools/peers/measure.py describes."""
    rng = np.random.default_rng(1)
    for name, n in (("sessions", n_sessions), ("contexts", n_contexts)):
        made = sessions(n, n_tracks, rng)
        _write(
            folder / f"{name}.parquet", made.tracks.offsets, made.tracks.values, made.skipped.values
        )
    tracks = rng.permutation(np.arange(1, n_tracks + 1, dtype=np.int32))
    ends = np.append(np.arange(0, n_tracks, LENGTH), n_tracks)
    _write(folder / "catalogue.parquet", ends, tracks, np.zeros(n_tracks, bool))


def _write(path: Path, offsets: np.ndarray, tracks: np.ndarray, skipped: np.ndarray) -> None:
    ids = np.arange(len(offsets) - 1, dtype=np.int32)
    # Tracks as int64: RePlay passes the column to torch unchanged.
    lists = (
        pa.ListArray.from_arrays(offsets.astype(np.int32), values)
        for values in (tracks.astype(np.int64), skipped)
    )
    pq.write_table(
        pa.table(dict(zip(("session_id", "tracks", "skipped"), (ids, *lists), strict=True))), path
    )


def measure(
    peer: str, model: str, settings: str, folder: Path, n_tracks: int, seconds: float
) -> dict:
    """The answer of a peer's script.  Raises MissingError if it gives none."""
    script = ROOT / "tools" / "peers" / PEERS[peer][0]
    arguments = [
        "--data",
        folder,
        "--tracks",
        n_tracks,
        "--model",
        model,
        "--settings",
        settings,
        "--seconds",
        seconds,
    ]
    done = subprocess.run(
        [str(a) for a in (python_of(peer), script, *arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        last = (
            done.stderr.strip() or f"killed by signal {-done.returncode}: too little memory?"
        ).splitlines()[-1]
        raise MissingError(f"{peer}, {model}, {n_tracks:,} tracks, {settings}: {last}")
    return json.loads(done.stdout.splitlines()[-1]) | {"peer": peer}


def joined(answers: list[dict]) -> list[dict]:
    """One row for each catalogue, peer and model, with numbers as shipped and at the same settings.

    ``answers`` may come in any order.  Of two answers the later counts; one without its counterpart
    at the other settings is left out.
    """
    latest = {(one["tracks"], one["peer"], one["model"], one["settings"]): one for one in answers}
    rows = []
    for tracks in sorted({one["tracks"] for one in answers}):
        for peer, (_, models) in PEERS.items():
            for model, kind in models.items():
                shipped, same = (
                    latest.get((tracks, peer, model, settings)) for settings in SETTINGS
                )
                if shipped and same:
                    row = {
                        "tracks": tracks,
                        "peer": peer,
                        "model": model,
                        "kind": kind,
                        "version": shipped["version"],
                    }
                    memory = {
                        name: max(shipped[name], same[name]) for name in ("train_gib", "peak_gib")
                    }
                    rows.append(
                        row
                        | memory
                        | {
                            name: (shipped[name], same[name])
                            for name in {*FIGURES, *CUTOFFS}
                            if name in shipped
                        }
                    )
    return rows


def ratio(rows: list[dict], row: dict, figure: str, of_peer: str | None = None) -> float | None:
    """Ours / peer at the same settings; None for our own rows and if ours was not measured."""
    ours = [
        one
        for one in rows
        if (one["peer"], one["model"], one["tracks"])
        == ("skipwise", OURS[row["kind"]], row["tracks"])
    ]
    if row["peer"] == "skipwise" or not ours:
        return None
    return ours[0][figure][1] / row[of_peer or figure][1]


def in_turn(
    n_tracks: int, peer: str, model: str, settings: str, *, rounds: int, seconds: float
) -> list[float]:
    """The ratio of training speeds, ours / peer in sessions per second, for each round.

    Each run of the peer is between two of ours, which are averaged, because a shared machine is
    slow or fast for minutes.
    """
    with tempfile.TemporaryDirectory() as folder:
        write_data(Path(folder), n_tracks, n_contexts=64)

        def rate(*which: str) -> float:
            return measure(*which, settings, Path(folder), n_tracks, seconds)["sessions_per_s"]

        of_ours = "skipwise", OURS[PEERS[peer][1][model]]
        ratios, before = [], rate(*of_ours)
        for _ in range(rounds):
            theirs, after = rate(peer, model), rate(*of_ours)
            ratios.append((before + after) / 2 / theirs)
            before = after
    return ratios


def compare_in_turn(tracks: list[int], peers: list[str], rounds: int, seconds: float) -> None:
    """Print a table of the ratios, one row for each catalogue and model of a peer."""
    print("Training, sessions a second, ours / peer, in turn: the median (each round).\n")
    print("| tracks | peer | model | as shipped | same settings |\n|---|---|---|---|---|")
    for n_tracks in tracks:
        for peer in peers:
            for model in PEERS[peer][1] if peer != "skipwise" else ():
                cells = []
                for settings in SETTINGS:
                    try:
                        ratios = in_turn(
                            n_tracks, peer, model, settings, rounds=rounds, seconds=seconds
                        )
                    except MissingError as error:
                        print(error, file=sys.stderr, flush=True)
                        cells.append("–")
                        continue
                    cells.append(
                        f"{number(statistics.median(ratios))} ({', '.join(map(number, ratios))})"
                    )
                print(f"| {n_tracks:,} | {peer} | {model} | {' | '.join(cells)} |", flush=True)


def number(value: float | None) -> str:
    """A number for the table, with a decimal if it is small."""
    return "–" if value is None else f"{value:,.{int(value < 10)}f}"


def tables(rows: list[dict]) -> str:
    """Markdown tables of training and of ranking."""
    lines = [
        "Training. s/s: sessions a second, as shipped → same settings; t/s: targets a second.",
        "",
        "| tracks | peer | version | model | step, ms | s/s | t/s | peak GiB | ours / peer, s/s "
        "| ours / peer, t/s |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    pair = " → ".join
    for row in rows:
        cells = [f"{row['tracks']:,}", row["peer"], row["version"], row["model"]]
        cells += [
            pair(number(v) for v in row[figure])
            for figure in ("step_ms", "sessions_per_s", "targets_per_s")
        ]
        cells += [number(row["train_gib"])]
        cells += [
            number(ratio(rows, row, figure)) for figure in ("sessions_per_s", "targets_per_s")
        ]
        lines.append("| " + " | ".join(cells) + " |")
    lines += [
        "",
        "Ranking of the whole catalogue, sessions a second: the best 10 tracks from the peers, "
        "exact ranks from ours.",
        "",
        "| tracks | peer | model | as shipped | same settings | peak GiB | ours / peer, all "
        "ranks | to 1,000 | to 10 |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        for figure, named in CUTOFFS.items():
            if figure not in row:
                continue
            name = f"{row['model']}, {named}" if row["peer"] == "skipwise" else row["model"]
            cells = [
                f"{row['tracks']:,}",
                row["peer"],
                name,
                *map(number, row[figure]),
                number(row["peak_gib"]),
            ]
            cells += [number(ratio(rows, row, ours, "ranked_per_s")) for ours in CUTOFFS]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tracks", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--peers", nargs="+", choices=list(PEERS), default=list(PEERS))
    parser.add_argument(
        "--seconds", type=float, default=1.5, help="of each of the three windows of steps"
    )
    parser.add_argument(
        "--answers",
        type=Path,
        help="file of answers, one JSON a line: those in it are kept, new ones added",
    )
    parser.add_argument(
        "--in-turn",
        type=int,
        metavar="ROUNDS",
        help="only ratios of training, each peer between runs of ours",
    )
    given = parser.parse_args()
    try:
        for peer in given.peers:
            python_of(peer)
    except MissingError as error:
        sys.exit(str(error))
    if given.in_turn:
        compare_in_turn(given.tracks, given.peers, given.in_turn, given.seconds)
        return
    kept = (
        given.answers.read_text().splitlines() if given.answers and given.answers.exists() else []
    )
    answers = [json.loads(line) for line in kept]
    for n_tracks in given.tracks:
        with tempfile.TemporaryDirectory() as folder:
            write_data(Path(folder), n_tracks)
            for peer in given.peers:
                for model, settings in itertools.product(PEERS[peer][1], SETTINGS):
                    try:
                        found = measure(
                            peer, model, settings, Path(folder), n_tracks, given.seconds
                        )
                    except MissingError as error:
                        print(error, file=sys.stderr, flush=True)
                        continue
                    answers.append(found)
                    print(json.dumps(found), file=sys.stderr, flush=True)
                    if given.answers:
                        with given.answers.open("a") as file:
                            file.write(json.dumps(found) + "\n")
    print(tables(joined(answers)))


if __name__ == "__main__":
    main()
