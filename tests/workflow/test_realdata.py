"""The real file of MovieLens 100K through the whole DAG; run with `pytest -m realdata`."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from examples import movielens_ratings
from skipwise.core import paths
from skipwise.core.artifacts import read_artifact, read_json
from skipwise.evaluation.intervals import mean_estimate
from skipwise.ranking.metrics import ndcg

pytestmark = pytest.mark.realdata


@pytest.fixture(scope="module")
def ratings(tmp_path_factory) -> Path:
    return movielens_ratings(tmp_path_factory.mktemp("recbole"))


def test_movielens_through_the_whole_dag(project, ratings):
    overlay = project.overlay(
        "real.yaml",
        "models: [popularity, session-popularity, decayed-popularity, markov, item-knn, "
        "session-knn, ease, wrmf, bpr, sasrec]\n"
        f"seeds: [2]\nneural: {{dimension: 64, max_epochs: 25}}\nregistry: {{ml100k: {{paths: "
        f"['{ratings}']}}}}\n",
    )
    project.made(configs=("config/real.yaml", overlay), cores=2)
    counts = read_json(project / "results/sessions/dataset=ml100k/stats.json")["counts"]
    # The published counts of the set; a rating below 4 is a skip.
    assert counts["plays_read"] == 100_000
    assert counts["skip_share_before_filter"] == pytest.approx((6_110 + 11_370 + 27_145) / 100_000)
    table = pq.read_table(project / "results/tables/hr_ndcg.parquet").to_pylist()
    assert {row["data"] for row in table} == {"real"}
    assert len(table) == 21 * 2

    def rank(model: str) -> np.ndarray:
        keys = {"dataset": "ml100k", "split": "paper", "model": model, "variant": "orig", "seed": 2}
        run = paths.result("ranks", project / "results", **keys)
        return read_artifact("ranks", run)["rank_full"].to_numpy()

    gain = ndcg(rank("sasrec"), 10) - ndcg(rank("popularity"), 10)
    low, _ = mean_estimate(gain[None], np.arange(len(gain))).interval(0.95)
    assert low > 0
