"""Kendall's τ between measurements of the same models, its interval, and what changes place."""

import numpy as np
import polars as pl
import pytest
from examples import given_for, ranks_table, splits_of
from scipy.stats import kendalltau
from skipwise.core.artifacts import write_artifact, write_json
from skipwise.core.paths import beside
from skipwise.evaluation.orders import Measured, agreement, tau
from skipwise.report.drawing import plot_figure
from skipwise.report.write import make_table

INTERVALS = {"level": 0.95, "equivalence": 0.002, "least_deciding": 20, "seed": 1}


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


def test_without_noise_the_bounds_are_the_value():
    found = agreement(of_means([3, 2, 1, 0]), of_means([3, 1, 2, 0]), 0.95)
    assert (found.tau, found.low, found.high) == pytest.approx(((5 - 1) / 6,) * 3)
    assert (found.pairs, found.told) == (6, 6)
    assert found.changed == found.reversed == [(1, 2)]


def test_a_change_that_is_noise_is_not_told():
    one, other = (of_means([9, 1, 1.01], noise=1.0, seed=seed) for seed in (1, 6))
    found = agreement(one, other, 0.95)
    assert (found.told, found.reversed) == (2, [])
    assert (found.low, found.high) == pytest.approx((1 / 3, 1))
    # Far apart it is told.
    other = of_means([9, 5, 1], noise=1.0, seed=2)
    one = of_means([9, 1, 5], noise=1.0, seed=1)
    assert agreement(one, other, 0.95).reversed == [(2, 1)]


def test_fewer_seeds_tell_fewer_pairs():
    means = [0.5 * i for i in range(8)]
    few, many = (
        agreement(*(of_means(means, noise=3.0, seeds=n, seed=seed) for seed in (1, 2)), 0.95)
        for n in (3, 12)
    )
    assert few.told < many.told
    assert few.high - few.low > many.high - many.low


@pytest.mark.parametrize("order", [1.0, 0.8, 0.0])
@pytest.mark.parametrize("seeds", [3, 5])
def test_the_bounds_cover_the_truth(order, seeds):
    """Close models: τ of the measured means is far below the truth, its bounds hold it."""
    rng = np.random.default_rng(4)
    first, second = np.triu_indices(6, 1)
    covered, off = 0, []
    for seed in range(40):
        one = rng.normal(size=6)
        other = order * one + np.sqrt(1 - order**2) * rng.normal(size=6)
        truth = tau(np.sign(one[first] - one[second]), np.sign(other[first] - other[second]))
        how = {"noise": 3.0, "seeds": seeds, "clusters": 60}
        found = agreement(
            of_means(one, **how, seed=2 * seed), of_means(other, **how, seed=2 * seed + 1), 0.95
        )
        covered += found.low <= truth <= found.high
        off.append(truth - found.tau)
    assert covered >= 38
    assert order < 1 or np.mean(off) > 0.1


def test_models_that_are_all_tied_have_no_agreement():
    found = agreement(of_means([1, 1, 1]), of_means([3, 2, 1]), 0.95)
    assert np.isnan(found.tau)


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


def table_of(ranks, folder, failed="none") -> pl.DataFrame:
    """The rows of HR@10; models whose path has ``failed`` learned nothing."""
    paths = {kind: str(folder / f"t.{kind}") for kind in ("csv", "parquet", "html", "tex")}
    needs = {"ranks": ranks, "split": splits_of(ranks), "run": []}
    for path in ranks:
        needs["run"].append(str(beside(path, "run")))
        write_json({"learned": failed not in path}, needs["run"][-1])
    settings = {"simulated": [], "intervals": INTERVALS}
    make_table("split_agreement", given_for(needs, paths, settings))
    return pl.read_parquet(paths["parquet"]).filter(metric="hr_10")


def test_a_model_that_learned_nothing_has_no_place(ranks, tmp_path):
    first = table_of(ranks, tmp_path, "split=temporal/model=d").row(0, named=True)
    assert (first["models"], first["pairs"], first["changed"]) == (3, 3, 0)


def test_the_table_has_splits_and_candidates(ranks, tmp_path):
    table = table_of(ranks, tmp_path)
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
