"""Compares the quality of other libraries on our splits: `make compare-peers`.

Each peer runs in its own environment, by its script in tools/peers (`<peer>_quality.py`, and
`reference_sasrec.py`, a plain SASRec that shares no code with anything else), with d = 64.  It
trains on the train sequences, a session being a user, and writes a run file of the best 100 tracks
after each context; tools/peers/quality.py says how ranks follow from it.

Every neural model has the same number of trials, and so has every other one: its defaults, and
settings drawn once and for all from the lists below.  NDCG@10 of the validation targets chooses,
in the data set's headline candidates: `new`, without the context's tracks, where no validation
target repeats a track, else `full`.  The test contexts are ranked only with the best setting, once
per seed.

A job whose answer is in results/peers is not run again, unless its data or its settings changed.
"""

import argparse
import csv
import hashlib
import itertools
import json
import os
import statistics
import subprocess
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent / "peers"))

import quality
from bench_peers import MissingError, number, python_of

ROOT = Path(__file__).parents[1]
PARTS = ("train", "valid", "test")
CHOSEN_BY = f"ndcg_{quality.CUTOFF}"
MEASURED = (f"hr_{quality.CUTOFF}", CHOSEN_BY)
NEIGHBOURS = {"weighting": ["cosine", "tf-idf", "bm25"], "K": [10, 20, 50, 100, 200]}


@dataclass(frozen=True)
class Model:
    """A model of a peer, and the values of its settings that trials are drawn from."""

    peer: str
    name: str
    script: str
    space: dict[str, list]
    # Of trial 0, where the peer's defaults do not say everything.
    first: dict = field(default_factory=dict)
    is_seeded: bool = True

    @property
    def is_neural(self) -> bool:
        """Whether a trial takes minutes."""
        return self.name in ("SASRec", "GRU4Rec")

    @property
    def environment(self) -> str:
        """The folder in .venv-peers; the workflow's own environment has the others."""
        return self.peer if self.peer in ("rectools", "replay", "cornac") else "skipwise"

    def trials(self, n: int) -> list[dict]:
        """The settings of n trials, or of fewer if there are no more."""
        every = [
            dict(zip(self.space, values, strict=True))
            for values in itertools.product(*self.space.values())
        ]
        rng = np.random.default_rng(zlib.crc32(f"{self.peer} {self.name}".encode()))
        drawn = [every[i] for i in rng.permutation(len(every)) if every[i] != self.first]
        return [self.first, *drawn][:n]


MODELS = [
    Model(
        "reference",
        "SASRec",
        "reference_sasrec.py",
        {
            "layers": [1, 2],
            "heads": [1, 2, 4],
            "dropout": [0.2, 0.35, 0.5],
            "learning_rate": [1e-3, 2e-3],
            "norm": ["pre", "post"],
        },
    ),
    Model(
        "rectools",
        "SASRec",
        "rectools_quality.py",
        {
            "n_blocks": [1, 2],
            "n_heads": [1, 2, 4],
            "dropout_rate": [0.2, 0.35, 0.5],
            "lr": [1e-3, 2e-3, 5e-3],
            "batch_size": [64, 128],
        },
    ),
    Model(
        "rectools",
        "EASE",
        "rectools_quality.py",
        {"regularization": [50.0, 100.0, 200.0, 1000.0, 2000.0]},
        is_seeded=False,
    ),
    Model(
        "rectools",
        "ItemKNN",
        "rectools_quality.py",
        NEIGHBOURS,
        {"weighting": "cosine", "K": 20},
        is_seeded=False,
    ),
    Model(
        "replay",
        "SASRec",
        "replay_quality.py",
        {
            "num_blocks": [1, 2],
            "num_heads": [1, 2, 4],
            "dropout": [0.2, 0.3, 0.5],
            "learning_rate": [1e-3, 2e-3, 5e-3],
            "batch_size": [64, 128],
        },
    ),
    Model(
        "cornac",
        "GRU4Rec",
        "cornac_quality.py",
        {
            "loss": ["cross-entropy", "bpr-max"],
            "learning_rate": [0.02, 0.05, 0.1],
            "dropout_p_embed": [0.0, 0.25, 0.5],
            "dropout_p_hidden": [0.0, 0.25, 0.5],
            "batch_size": [64, 128, 512],
        },
    ),
    Model(
        "implicit",
        "ALS",
        "implicit_quality.py",
        {
            "alpha": [2.0, 5.0, 10.0, 20.0],
            "regularization": [0.1, 1.0, 10.0, 30.0, 100.0],
            "iterations": [15, 30],
        },
    ),
    Model(
        "implicit",
        "ItemKNN",
        "implicit_quality.py",
        NEIGHBOURS,
        {"weighting": "cosine", "K": 20},
        is_seeded=False,
    ),
]


@dataclass(frozen=True)
class Case:
    """A data set's split, and what is known of it before any peer runs."""

    dataset: str
    folder: Path
    n_tracks: int
    candidates: str
    digest: str
    contexts: dict[str, quality.Contexts]


def case(dataset: str, split: str, results: Path) -> Case:
    """The split in results.  Raises MissingError if it is not made or is something else."""
    folder = results / "splits" / f"dataset={dataset}" / f"split={split}"
    tracks = results / "sessions" / f"dataset={dataset}" / "tracks.parquet"
    for path in (tracks, *(folder / f"{part}.parquet" for part in PARTS)):
        if not path.exists():
            raise MissingError(
                f"{dataset}: no {path}; make it with `snakemake --cores 1 "
                f"results/splits/dataset={dataset}/split={split}/test.parquet`"
            )
    found = hashlib.sha256()
    for part in PARTS:
        found.update((folder / f"{part}.parquet").read_bytes())
    try:
        contexts = {part: quality.read(folder / f"{part}.parquet") for part in ("valid", "test")}
        n_tracks = pq.read_metadata(tracks).num_rows
    except (pa.ArrowException, KeyError) as error:
        raise MissingError(f"{dataset}: {folder} is not a split of skipwise: {error}") from error
    return Case(
        dataset, folder, n_tracks, headline(contexts["valid"]), found.hexdigest()[:16], contexts
    )


def headline(valid: quality.Contexts) -> str:
    """The candidates that choose: `new` if no target repeats a track of its context."""
    repeats = (
        target in tracks
        for target, tracks in zip(valid.targets.tolist(), valid.tracks, strict=True)
    )
    return "full" if any(repeats) else "new"


def ran(
    of: Case, model: Model, folder: Path, settings: dict, *, seed: int, part: str, options: dict
) -> dict:
    """The answer of one job with the measures of its run file.

    The job is run if the folder does not hold the same job's answer.  Raises MissingError if it
    gives none.
    """
    job = {"settings": settings, "seed": seed, "part": part, "candidates": of.candidates}
    job |= {"dimension": options["dimension"], "data": of.digest}
    run, kept = folder / "run.parquet", folder / "answer.json"
    answer = json.loads(kept.read_text()) if kept.exists() and run.exists() else {}
    if answer.get("job") != job:
        folder.mkdir(parents=True, exist_ok=True)
        kept.unlink(missing_ok=True)
        answer = {"job": job} | start(of, model, job, run, options["threads"])
        written = kept.with_suffix(".tmp")
        written.write_text(json.dumps(answer))
        written.rename(kept)
    try:
        read = quality.read_run(run)
        measured = {
            candidates: quality.metrics(read, of.contexts[part], candidates)
            for candidates in quality.CANDIDATES
        }
    except (OSError, ValueError) as error:
        raise MissingError(f"{run}: {error}; remove it to run the job again") from error
    return answer | measured


def start(of: Case, model: Model, job: dict, run: Path, threads: int) -> dict:
    """Run the peer's script and return what it says."""
    arguments = {
        "split": of.folder,
        "tracks": of.n_tracks,
        "dimension": job["dimension"],
        "model": model.name,
        "settings": json.dumps(job["settings"]),
        "seed": job["seed"],
        "part": job["part"],
        "candidates": job["candidates"],
        "out": run,
        "threads": threads,
    }
    command = [str(python_of(model.environment, ROOT)), str(ROOT / "tools/peers" / model.script)]
    command += [f"--{name}={value}" for name, value in arguments.items()]
    limits = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))
    done = subprocess.run(
        command, env=os.environ | limits, capture_output=True, text=True, check=False
    )
    if done.returncode:
        last = done.stderr.strip() or f"killed by signal {-done.returncode}: too little memory?"
        raise MissingError(
            f"{model.peer} {model.name} on {of.dataset}, {job['settings']}: {last.splitlines()[-1]}"
        )
    return json.loads(done.stdout.splitlines()[-1])


def folder_of(of: Case, model: Model, results: Path) -> Path:
    """Where the jobs of a model are."""
    return (
        results / "peers" / f"dataset={of.dataset}" / f"peer={model.peer}" / f"model={model.name}"
    )


def tried(
    of: Case, model: Model, results: Path, options: dict
) -> tuple[list[dict], int, float | None]:
    """The settings of the trials, which of them validation chooses, and its value; one setting
    leaves nothing to choose, and has none.
    """
    asked = model.trials(options["trials" if model.is_neural else "quick_trials"])
    values = []
    for i, settings in enumerate(asked if len(asked) > 1 else []):
        folder = folder_of(of, model, results) / f"trial={i}"
        found = ran(of, model, folder, settings, seed=1, part="valid", options=options)
        say(of, model, f"trial {i}", found, settings)
        values.append(found[of.candidates][CHOSEN_BY])
    chosen = int(np.argmax(values)) if values else 0
    return asked, chosen, values[chosen] if values else None


def compared(of: Case, model: Model, results: Path, *, seeds: int, options: dict) -> list[dict]:
    """The trials, the seeds with the best setting, and the model's row for each candidate set."""
    asked, chosen, value = tried(of, model, results, options)
    tests = []
    for seed in range(1, seeds + 1 if model.is_seeded else 2):
        folder = folder_of(of, model, results) / f"trial={chosen}" / f"seed={seed}"
        found = ran(of, model, folder, asked[chosen], seed=seed, part="test", options=options)
        say(of, model, f"seed {seed}", found, asked[chosen])
        tests.append(found)
    return list(rows(of, model, len(asked), value, tests))


def say(of: Case, model: Model, what: str, found: dict, settings: dict) -> None:
    """One line of progress."""
    values = ", ".join(f"{name} {found[of.candidates][name]:.4f}" for name in MEASURED)
    print(
        f"{of.dataset} {model.peer} {model.name} {what} ({found['seconds']} s): {values} "
        f"{json.dumps(settings)}",
        file=sys.stderr,
        flush=True,
    )


def rows(
    of: Case, model: Model, trials: int, valid: float | None, tests: list[dict]
) -> Iterator[dict]:
    """The model's row of the table for each candidate set, the data set's headline first."""
    for candidates in sorted(quality.CANDIDATES, key=lambda name: name != of.candidates):
        row = {
            "dataset": of.dataset,
            "peer": model.peer,
            "version": tests[0]["version"],
            "model": model.name,
            "settings": json.dumps(tests[0]["job"]["settings"]),
            "trials": trials,
            f"valid_{CHOSEN_BY}": valid,
            "candidates": candidates,
            "sessions": tests[0][candidates]["sessions"],
            "left_out": tests[0][candidates]["left_out"],
            "seeds": len(tests),
        }
        for name in MEASURED:
            values = [test[candidates][name] for test in tests]
            row[name] = statistics.mean(values)
            row[f"{name}_sd"] = statistics.stdev(values) if len(values) > 1 else None
        row["seconds"] = statistics.median(test["seconds"] for test in tests)
        yield row


def table(found: list[dict]) -> str:
    """The rows as Markdown."""
    heads = ["data set", "peer", "version", "model", "setting", "trials", "candidates", "sessions"]
    heads += ["left out", "HR@10", "NDCG@10", "s a training"]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for row in found:
        settings = json.loads(row["settings"])
        said = ", ".join(f"{name} {value}" for name, value in settings.items()) or "defaults"
        cells = [row["dataset"], row["peer"], row["version"], row["model"], said, row["trials"]]
        cells += [row["candidates"], f"{row['sessions']:,}", f"{row['left_out']:,}"]
        cells += [spread(row[name], row[f"{name}_sd"], row["seeds"]) for name in MEASURED]
        cells += [number(row["seconds"])]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def spread(mean: float, sd: float | None, seeds: int) -> str:
    """Mean ± standard deviation over so many seeds."""
    figures = f"{mean:.4f}".removeprefix("0")
    return figures if sd is None else f"{figures} ± {sd:.4f} ({seeds})".replace("± 0", "± ")


def write_csv(path: Path, found: list[dict]) -> None:
    """The table's numbers in full."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(found[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(found)


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    peers = list(dict.fromkeys(model.peer for model in MODELS))
    names = list(dict.fromkeys(model.name for model in MODELS))
    parser.add_argument("--datasets", nargs="+", default=["mssd-sim"])
    parser.add_argument("--split", default="paper")
    parser.add_argument("--peers", nargs="+", choices=peers, default=peers)
    parser.add_argument("--models", nargs="+", choices=names, default=names)
    parser.add_argument("--trials", type=int, default=8, help="settings tried for neural models")
    parser.add_argument("--quick-trials", type=int, default=64, help="and for the others")
    parser.add_argument("--seeds", type=int, default=5, help="trainings with the best setting")
    parser.add_argument("--dimension", type=int, default=64)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--results", type=Path, default=ROOT / "results")
    given = parser.parse_args()
    for name in ("trials", "quick_trials", "seeds", "dimension", "threads"):
        if getattr(given, name) < 1:
            parser.error(
                f"--{name.replace('_', '-')} is {getattr(given, name)}; it must be at least 1"
            )
    models = [model for model in MODELS if model.peer in given.peers and model.name in given.models]
    try:
        for model in models:
            python_of(model.environment, ROOT)
        cases = [case(dataset, given.split, given.results) for dataset in given.datasets]
    except MissingError as error:
        sys.exit(str(error))
    options = {
        name: getattr(given, name) for name in ("trials", "quick_trials", "dimension", "threads")
    }
    found, failed = [], False
    for of, model in itertools.product(cases, models):
        try:
            found += compared(of, model, given.results, seeds=given.seeds, options=options)
        except MissingError as error:
            print(error, file=sys.stderr, flush=True)
            failed = True
            continue
        write_csv(given.results / "peers" / "peers.csv", found)
    print(table(found))
    sys.exit(int(failed))


if __name__ == "__main__":
    main()
