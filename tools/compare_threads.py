"""The differences between trainings on one and on two threads.

    python tools/compare_threads.py results/splits/dataset=mssd-sim/split=paper
    results/sessions/dataset=mssd-sim/tracks.parquet

All other numbers of a run are the same at any number of cores; a matrix product of two threads adds
in another order.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
import yaml
from snakemake.utils import update_config

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow" / "scripts"))

from skipwise.core.artifacts import read_artifact
from skipwise.core.config import run_settings
from skipwise.evaluation.rank_sessions import rank_sessions
from skipwise.training.train import train_model

ROOT = Path(__file__).parents[1]


def measured(
    split: Path, tracks: Path, settings: dict, model: str, variant: str, threads: int
) -> tuple[np.ndarray, np.ndarray]:
    """Validation NDCG@10 of each epoch, and the ranks of the test targets (past the cut-off:
    infinite).
    """
    with tempfile.TemporaryDirectory() as folder:
        of_run = {
            "model": model,
            "recommender": model,
            "variant": variant,
            "settings": settings,
            "seed": 1,
            "threads": threads,
        }
        train_model(
            str(split / "train.parquet"),
            str(split / "valid.parquet"),
            str(tracks),
            str(split / "split.json"),
            folder,
            **of_run,
        )
        curve = read_artifact("history", Path(folder, "history.parquet"))[
            "valid_ndcg_10"
        ].to_numpy()
        ranks = Path(folder, "ranks.parquet")
        files = (str(split / "train.parquet"), str(split / "test.parquet"), str(ranks))
        rank_sessions(folder, *files, candidates=100, seed=1, cutoff=1000, threads=threads)
        rank = read_artifact("ranks", ranks)["rank_full"].to_pandas().fillna(np.inf).to_numpy()
    return curve, rank


def main() -> None:
    """Print one row per model and variant."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("split", type=Path)
    parser.add_argument("tracks", type=Path)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--models", nargs="+", default=["sasrec", "gru4rec"])
    options = parser.parse_args()
    config: dict = {}
    for name in ("config.yaml", "datasets.yaml"):
        update_config(config, yaml.safe_load((ROOT / "config" / name).read_text(encoding="utf-8")))
    print(
        "| model | variant | epochs | validation NDCG@10, largest difference | HR@10 | NDCG@10 "
        "| ranks that differ |\n|---|---|---|---|---|---|---|"
    )
    for model in options.models:
        for variant in ("orig", "contrastive-hidden"):
            settings = run_settings(config, model, variant) | {"max_epochs": options.epochs}
            (one, a), (two, b) = (
                measured(options.split, options.tracks, settings, model, variant, n) for n in (1, 2)
            )
            epochs = min(len(one), len(two))
            curve = np.abs(one[:epochs] - two[:epochs]).max()
            hits = [(rank <= 10).mean() for rank in (a, b)]
            gains = [np.where(rank <= 10, 1 / np.log2(rank + 1), 0).mean() for rank in (a, b)]
            print(
                f"| {model} | {variant} | {len(one)}, {len(two)} | {curve:.4f} "
                f"| {hits[0]:.4f}, {hits[1]:.4f} | {gains[0]:.4f}, {gains[1]:.4f} "
                f"| {np.mean(a != b):.3f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
