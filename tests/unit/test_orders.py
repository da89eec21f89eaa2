"""Kendall's τ between measurements of the same models, its interval, and what changes place."""

import numpy as np
import polars as pl
import pytest
from examples import given_for, ranks_table, splits_of
from scipy.stats import kendalltau
from skipwise.core.artifacts import write_artifact
from skipwise.evaluation.orders import Measured, agreement, resampled, tau
from skipwise.report.drawing import plot_figure
from skipwise.report.write import make_table

INTERVALS = {"level": 0.95, "equivalence": 0.002, "least_deciding": 20, "seed": 1}
HOW = {"draws": 500, "level": 0.95, "seed": 1}


def of_means(means, *, noise=0.0, seeds=3, clusters=200, seed=1) -> Measured:
    """Models with these means; what clusters and seeds add differs from model to model."""
    rng = np.random.default_rng(seed)
    sums = [
        mean + noise * (rng.normal(size=(seeds, clusters)) + 0.1 * rng.normal(size=(seeds, 1)))
        for mean in means
    ]
    return Measured(sums, np.ones(clusters))


@pytest.mark.parametrize("seed", range(4))
def test_tau_is_that_of_scipy(seed):
    values = np.random.default_rng(seed).integers(0, 6, (2, 12))  # with ties
    first, second = np.triu_indices(12, 1)
    found = tau(*np.sign(values[:, first] - values[:, second]))
    assert found == pytest.approx(kendalltau(*values).statistic)


def test_without_noise_the_interval_is_the_value():
    found = agreement(of_means([3, 2, 1, 0]), of_means([3, 1, 2, 0]), together=False, **HOW)
    assert (found.tau, found.low, found.high) == pytest.approx(((5 - 1) / 6,) * 3)
    assert (found.pairs, found.changed, found.told) == (6, [(1, 2)], [(1, 2)])


def test_a_change_that_is_noise_is_not_told():
    one, other = (of_means([9, 1, 1.01], noise=1.0, seed=seed) for seed in (1, 6))
    found = agreement(one, other, together=False, **HOW)
    assert found.told == []
    assert found.low < found.high <= 1
    # Far apart they are told.
    other = of_means([9, 5, 1], noise=1.0, seed=2)
    one = of_means([9, 1, 5], noise=1.0, seed=1)
    assert agreement(one, other, together=False, **HOW).told == [(2, 1)]


def test_what_is_drawn_together_agrees_with_itself():
    one = of_means([1, 1, 1, 1], noise=1.0)
    assert agreement(one, one, together=True, **HOW)[:3] == pytest.approx((1, 1, 1))
    assert agreement(one, one, together=False, **HOW).low < 0.9


def test_models_that_are_all_tied_have_no_agreement():
    found = agreement(of_means([1, 1, 1]), of_means([3, 2, 1]), together=False, **HOW)
    assert np.isnan(found.tau)


def test_resampling_has_the_spread_of_clusters_and_seeds():
    rng = np.random.default_rng(3)
    sums = rng.normal(size=(5, 300))
    draws = resampled(Measured([sums], np.ones(300)), 4000, np.random.default_rng(1))[:, 0]
    over_clusters = sums.mean(0).var() / 300
    over_seeds = sums.mean(1).var() / 5
    both = sums.var() / 300 / 5
    # The seed × cluster part is in both and, of a product of resamplings, counted once more.
    assert draws.mean() == pytest.approx(sums.mean(), abs=0.01)
    assert over_clusters <= draws.var() * 1.1
    assert draws.var() == pytest.approx(over_clusters + over_seeds + both, rel=0.35)


@pytest.fixture
def ranks(tmp_path):
    """Four models, of which the last two change place in the temporal split and no other does."""
    found = []
    hits = {"paper": {"a": 300, "b": 200, "c": 150, "d": 50}}
    hits["temporal"] = hits["paper"] | {"c": 50, "d": 150}
    for split, of_models in hits.items():
        for model, n in of_models.items():
            keys = f"dataset=toy/split={split}/model={model}/variant=orig/seed=1"
            rank = np.where(np.arange(400) < n, 3, 50).tolist()
            found.append(str(tmp_path / "ranks" / keys / "ranks.parquet"))
            sampled = [1] * 400 if model == "d" else [20] * 400
            write_artifact(ranks_table(rank, sampled=sampled), "ranks", found[-1])
    return found


def test_the_table_has_splits_and_candidates(ranks, tmp_path):
    paths = {kind: str(tmp_path / f"t.{kind}") for kind in ("csv", "parquet", "html", "tex")}
    needs = {"ranks": ranks, "split": splits_of(ranks)}
    settings = {"simulated": [], "intervals": INTERVALS}
    make_table("split_agreement", given_for(needs, paths, settings))
    table = pl.read_parquet(paths["parquet"]).filter(metric="hr_10")
    assert table.select("first", "second").rows() == [
        ("paper full", "temporal full"),
        *(
            (f"{split} {one}", f"{split} {other}")
            for split in ("paper", "temporal")
            for one, other in (("full", "new"), ("full", "sampled"), ("new", "sampled"))
        ),
    ]
    first = table.row(0, named=True)
    assert first["tau"] == pytest.approx((5 - 1) / 6)
    assert (first["pairs"], first["changed"]) == (6, 1)
    assert first["change_place"] == "c orig > d orig"
    assert (first["best_first"], first["best_second"]) == ("a orig", "a orig")
    of_sampled = table.row(2, named=True)
    assert of_sampled["best_second"] == "d orig"
    # Three pairs of the other three are tied among sampled candidates: τ_b = −3 / √(6 · 3).
    assert of_sampled["tau"] == pytest.approx(-3 / np.sqrt(18))


def test_the_figure_has_the_place_of_every_model(tmp_path):
    rows = [
        {"dataset": "toy", "data": "real", "split": split, "model": model, "variant": "orig"}
        | {"candidates": kind, "hr_10": value + (kind == "sampled") * (model == "b")}
        for split in ("paper", "temporal")
        for kind in ("full", "sampled")
        for model, value in (("a", 0.3), ("b", 0.2), ("c", 0.1))
        if (model, split) != ("c", "temporal")
    ]
    pl.DataFrame(rows).write_parquet(tmp_path / "hr_ndcg.parquet")
    paths = {kind: str(tmp_path / f"figure.{kind}") for kind in ("svg", "parquet")}
    plot_figure(
        "rank_agreement", given_for({"hr_ndcg": str(tmp_path / "hr_ndcg.parquet")}, paths, {})
    )
    numbers = pl.read_parquet(paths["parquet"])
    assert set(numbers["model"]) == {"a", "b"}  # c is not in every measurement
    places = numbers.filter(split="paper").select("candidates", "model", "place").rows()
    assert sorted(places) == [
        ("full", "a", 1),
        ("full", "b", 2),
        ("sampled", "a", 2),
        ("sampled", "b", 1),
    ]
    assert "place by HR@10" in (tmp_path / "figure.svg").read_text(encoding="utf-8")
