"""How long until a model is as good as the best peer's: `make time-to-quality`.  Run it on an idle
machine.

The best peer is the library whose neural model ends with the highest validation NDCG@10, the lowest
of its rounds; that value is the quality.  Each model trains with the best of the settings that
`make compare-peers` tried, ours with those of the finished training in results, `blind`.  All
train in turn, one after the other, in each round with another seed.  The seconds are those of
training alone, without reading the data and without the ranking of the validation sessions after
each epoch, which is the same for all.
"""

import argparse
import itertools
import json
import statistics
import sys
from collections.abc import Iterable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import compare_peers
from bench_peers import MissingError, number, python_of
from compare_peers import MODELS, ROOT, Case, Model

VARIANT = "blind"
OURS = [Model("skipwise", name, "skipwise_quality.py", {}) for name in ("SASRec", "GRU4Rec")]
THEIRS = [model for model in MODELS if model.is_neural]


def settings_of(of: Case, model: Model, results: Path, options: dict) -> dict:
    """The settings that validation has chosen.  Raises MissingError if nothing was tried."""
    if model not in OURS:
        asked, chosen, _ = compare_peers.tried(of, model, results, options)
        return asked[chosen]
    keys = of.folder.relative_to(results / "splits") / f"model={model.name.lower()}"
    run = results / "models" / keys / f"variant={VARIANT}" / "seed=1" / "run.json"
    if not run.exists():
        raise MissingError(f"no {run}; make it with `snakemake --cores 1 {run}`")
    return json.loads(run.read_text())["settings"]


def trained(
    of: Case, model: Model, settings: dict, seed: int, results: Path, options: dict
) -> dict:
    """The answer of one training; one that is there is not run again."""
    folder = compare_peers.folder_of(of, model, results) / f"threads={options['threads']}"
    return compare_peers.ran(
        of, model, folder / f"round={seed}", settings, seed=seed, part="valid", options=options
    )


def quality_of(found: dict[tuple[str, str], list[dict]]) -> tuple[tuple[str, str], float]:
    """The best peer's model and its quality, of the answers of all rounds by peer and model."""
    ends = {
        key: min(answer["valid"] for answer in answers)
        for key, answers in found.items()
        if key[0] != "skipwise"
    }
    best = max(ends, key=lambda key: ends[key])
    return best, ends[best]


def reached(answer: dict, quality: float) -> float | None:
    """Seconds of training until a look has the quality; None if none has."""
    return next((seconds for _, seconds, value in answer["looks"] if value >= quality), None)


def median(seconds: Iterable[float | None]) -> float | None:
    """The median of the rounds, of which those that never get there last longest; None if it is
    one of these.
    """
    middle = statistics.median(float("inf") if one is None else one for one in seconds)
    return None if middle == float("inf") else middle


def rows(of: Case, found: dict[tuple[str, str], list[dict]]) -> list[dict]:
    """One row per model."""
    best, quality = quality_of(found)
    took = {key: [reached(answer, quality) for answer in its] for key, its in found.items()}
    return [
        {
            "dataset": of.dataset,
            "peer": peer,
            "version": answers[0]["version"],
            "model": name,
            "quality": quality,
            "is_best_peer": (peer, name) == best,
            "valid_ndcg_10": statistics.median(answer["valid"] for answer in answers),
            "seconds": median(took[peer, name]),
            "rounds": took[peer, name],
            "epoch_seconds": statistics.median(
                seconds / epoch for answer in answers for epoch, seconds, _ in answer["looks"][-1:]
            ),
        }
        for (peer, name), answers in found.items()
    ]


def table(found: list[dict]) -> str:
    """The rows as Markdown."""
    heads = ["data set", "peer", "version", "model", "NDCG@10, validation", "s an epoch"]
    heads += ["s to the best peer's", "rounds", "by the best peer's"]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    best = {row["dataset"]: row["seconds"] for row in found if row["is_best_peer"]}
    for row in found:
        said = ["never" if one is None else number(one) for one in [row["seconds"], *row["rounds"]]]
        cells = [row["dataset"], row["peer"], row["version"], row["model"]]
        cells += [f"{row['valid_ndcg_10']:.4f}".removeprefix("0"), number(row["epoch_seconds"])]
        share = row["seconds"] and best[row["dataset"]] and row["seconds"] / best[row["dataset"]]
        cells += [said[0], ", ".join(said[1:]), f"{share:.2f}" if share else "–"]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def main() -> None:
    """Train all models in turn and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--datasets", nargs="+", default=["mssd-sim"])
    parser.add_argument("--split", default="paper")
    parser.add_argument("--trials", type=int, default=8, help="of `make compare-peers`")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dimension", type=int, default=64)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--results", type=Path, default=ROOT / "results")
    given = parser.parse_args()
    options = {name: getattr(given, name) for name in ("trials", "dimension", "threads")}
    try:
        for model in THEIRS:
            python_of(model.environment, ROOT)
        cases = [compare_peers.case(name, given.split, given.results) for name in given.datasets]
        chosen = {
            (of.dataset, model.peer, model.name): settings_of(of, model, given.results, options)
            for of, model in itertools.product(cases, OURS + THEIRS)
        }
        found: list[dict] = []
        for of in cases:
            answers: dict[tuple[str, str], list[dict]] = {}
            for seed, model in itertools.product(range(1, given.rounds + 1), OURS + THEIRS):
                settings = chosen[of.dataset, model.peer, model.name]
                answer = trained(of, model, settings, seed, given.results, options)
                answers.setdefault((model.peer, model.name), []).append(answer)
                epochs, seconds, _ = answer["looks"][-1]
                print(
                    f"{of.dataset} {model.peer} {model.name} round {seed}: NDCG@10 "
                    f"{answer['valid']:.4f} in epoch {answer['epochs']} of {epochs}, {seconds} s",
                    file=sys.stderr,
                    flush=True,
                )
            found += rows(of, answers)
    except MissingError as error:
        sys.exit(str(error))
    compare_peers.write_csv(given.results / "peers" / "time_to_quality.csv", found)
    print(table(found))


if __name__ == "__main__":
    main()
