"""Data with a planted order, whose right answer is known, through every step from a csv file to the
metrics.
"""

import numpy as np
import polars as pl
import pytest
from examples import default_config, label_and_sample_sessions
from skipwise.core.artifacts import read_artifact, read_json
from skipwise.core.config import run_settings
from skipwise.evaluation.intervals import mean_estimate
from skipwise.evaluation.rank_sessions import rank_sessions
from skipwise.ranking.metrics import hit_rate, ndcg
from skipwise.raw.extract import extract_events
from skipwise.sessions.recipe import Machine
from skipwise.sessions.split import PARTS, split_sessions
from skipwise.training.train import train_model

pytestmark = pytest.mark.long

CONFIG = default_config(
    {
        "neural": {
            "dimension": 32,
            "dropout": 0.1,
            "learning_rate": 0.005,
            "max_epochs": 50,
            "patience": 6,
            "sampled_candidates": 200,
        }
    }
)
ENTRY = {
    "form": "events",
    "columns": {"session": "session", "track": "track"},
    "skipped_when": "skipped",
}


def planted_cycle(n_sessions: int, n_tracks: int, seed: int) -> pl.DataFrame:
    """Sessions whose listened tracks walk round a circle; a third of the plays are skipped tracks
    from anywhere.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for session in range(n_sessions):
        track = rng.integers(n_tracks)
        for _ in range(rng.integers(10, 21)):
            skipped = rng.random() < 1 / 3
            if not skipped:
                track = (track + 1) % n_tracks
            rows.append(
                (f"s{session}", f"t{rng.integers(n_tracks) if skipped else track}", skipped)
            )
    return pl.DataFrame(rows, schema=["session", "track", "skipped"], orient="row")


def ranks_of(
    frame: pl.DataFrame, folder, models: list[tuple[str, str]]
) -> dict[tuple[str, str], np.ndarray]:
    """Rank of the test target in the full catalogue by model and variant."""
    frame.write_csv(folder / "plays.csv")
    extract_events(
        folder / "plays.csv", folder / "events.parquet", folder / "source.json", entry=ENTRY
    )
    label_and_sample_sessions(
        [str(folder / "events.parquet")],
        [str(folder / "source.json")],
        out_sessions=str(folder / "sessions.parquet"),
        out_tracks=str(folder / "tracks.parquet"),
        out_keys=str(folder / "keys.parquet"),
        out_stats=str(folder / "stats.json"),
        dataset="planted",
        skip_rule={"name": "given"},
        session_gap=None,
        sessions=CONFIG["sessions"] | {"n_sessions": None},
    )
    parts = {part: str(folder / f"{part}.parquet") for part in PARTS}
    split_sessions(
        str(folder / "sessions.parquet"),
        str(folder / "keys.parquet"),
        Machine(),
        split="paper",
        parameters={},
        headline="full",
        outputs=parts,
        out_stats=str(folder / "split.json"),
    )
    ranks = {}
    for model, variant in models:
        run, settings = folder / model / variant, run_settings(CONFIG, model, variant)
        if "max_epochs" in settings:  # what learns nothing has them all
            settings["max_epochs"] = 25
        train_model(
            parts["train"],
            parts["valid"],
            str(folder / "tracks.parquet"),
            str(folder / "split.json"),
            run,
            model=model,
            recommender=model,
            variant=variant,
            settings=settings,
            seed=1,
            threads=1,
        )
        rank_sessions(
            run,
            parts["train"],
            parts["test"],
            str(run / "ranks.parquet"),
            candidates=1000,
            seed=1,
            cutoff=None,
            threads=1,
        )
        ranks[model, variant] = read_artifact("ranks", run / "ranks.parquet")[
            "rank_full"
        ].to_numpy()
    return ranks


@pytest.mark.parametrize("variant", ["orig", "contrastive-item"])
def test_sasrec_finds_a_planted_order(tmp_path, variant):
    frame = planted_cycle(800, 40, seed=1)
    ranks = ranks_of(frame, tmp_path, [("popularity", "orig"), ("sasrec", variant)])
    assert hit_rate(ranks["sasrec", variant], 1).mean() > 0.9
    assert hit_rate(ranks["popularity", "orig"], 1).mean() < 0.1
    assert read_json(tmp_path / "sasrec" / variant / "run.json")["learned"] is True
    assert read_json(tmp_path / "popularity/orig/run.json")["learned"] is None


def test_nothing_beats_popularity_where_there_is_no_order(tmp_path):
    # Popularity is skewed and everything else is chance: plays are drawn alike and independent of
    # each other.
    rng = np.random.default_rng(3)
    frame = planted_cycle(800, 100, seed=1)
    share = 1 / np.arange(1, 101)
    drawn = rng.choice(100, frame.height, p=share / share.sum())
    frame = frame.with_columns(
        track=pl.Series([f"t{i}" for i in drawn]), skipped=pl.Series(rng.random(frame.height) < 0.4)
    )
    models = [
        ("popularity", "orig"),
        ("session-popularity", "orig"),
        ("wrmf", "orig"),
        ("sasrec", "orig"),
    ]
    models += [("sasrec", "contrastive-item"), ("sasrec", "contrastive-hidden")]
    ranks = ranks_of(frame, tmp_path, models)
    popularity = ranks.pop(("popularity", "orig"))
    assert hit_rate(popularity, 10).mean() > 0.4  # what can be known is known
    for run, rank in ranks.items():
        gain = ndcg(rank, 10) - ndcg(popularity, 10)
        low, _ = mean_estimate(gain[None], np.arange(len(gain))).interval(0.99)
        assert low <= 0, run
        learned = None if run[0] != "sasrec" else False
        assert read_json(tmp_path.joinpath(*run, "run.json"))["learned"] is learned
