"""The tables and the figure from hand-made artifacts."""

import csv
import math
import xml.etree.ElementTree as ElementTree
from collections import defaultdict
from itertools import cycle
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest
from examples import given_for, ranks_table, splits_of
from skipwise.core.artifacts import read_artifact, write_artifact, write_json
from skipwise.core.paths import hive_keys
from skipwise.ranking.metrics import compute_metrics
from skipwise.report.drawing import plot_figure
from skipwise.report.tables import datasets as datasets_table
from skipwise.report.tables import hr_ndcg
from skipwise.report.write import SIMULATED, make_table

log2 = math.log2
CUTOFFS = {"hr": [1, 5, 10, 20], "ndcg": [5, 10, 20], "map": [10]}
NAMES = ["hr_1", "hr_5", "hr_10", "hr_20", "ndcg_5", "ndcg_10", "ndcg_20", "map_10"]
INTERVALS = {"level": 0.95, "equivalence": 0.002, "least_deciding": 20, "seed": 1}
SOURCES = defaultdict(lambda: "tuned, 20 trials")
SOURCES["dataset=toy-sim/split=paper/model=popularity/variant=orig"] = "nothing to tune"

# Ranks of ten sessions in the whole catalogue; among the sampled candidates every rank is one
# better, at least 1.
RANKS = {
    ("popularity", "orig", 1): [12, 30, None, 7, 25, 18, 3, 40, None, 9],
    ("sasrec", "orig", 1): [1, 2, 5, 6, 10, 11, 20, 21, None, 3],
    ("sasrec", "orig", 2): [2, 2, 4, 8, 10, 9, 30, 1, None, 1],
}


def write_run(
    folder, ranks, *, dataset="toy-sim", split="paper", model="sasrec", variant="orig", seed=1
) -> tuple[str, str]:
    """The ranks and metrics of a run in the paths that the workflow uses."""
    run = f"dataset={dataset}/split={split}/model={model}/variant={variant}/seed={seed}"
    paths = (
        str(folder / "ranks" / run / "ranks.parquet"),
        str(folder / "metrics" / run / "metrics.parquet"),
    )
    n = len(ranks)
    table = ranks_table(
        ranks,
        sampled=[None if rank is None else max(1, rank - 1) for rank in ranks],
        skips=[[4]] * n,
        repeat=[i % 2 == 0 for i in range(n)],
    )
    write_artifact(table, "ranks", paths[0])
    compute_metrics(*paths, cutoffs=CUTOFFS)
    return paths


@pytest.fixture
def runs(tmp_path):
    return [
        write_run(tmp_path, ranks, model=model, variant=variant, seed=seed)
        for (model, variant, seed), ranks in RANKS.items()
    ]


def outputs(folder, name="hr_ndcg") -> dict[str, str]:
    return {kind: str(folder / f"{name}.{kind}") for kind in ("csv", "parquet", "html", "tex")}


def write_run_json(ranks: str, learned: bool | None, best: int = 5) -> str:
    """The ``run.json`` of the training behind these ranks, of which epoch ``best`` is the best."""
    path = ranks.replace("ranks.parquet", "run.json")
    its = {"settings": {"max_epochs": 10, "patience": 5}, "epochs": 10, "best_epoch": best}
    write_json({"learned": learned} | (its if "sasrec" in path else {"settings": {}}), path)
    return path


def make(
    runs,
    folder,
    *,
    simulated=("toy-sim",),
    headline="full",
    learned=(None, True, True),
    best=(0, 5, 5),
    **changed,
) -> dict[str, str]:
    """``learned`` says of each run whether it learned anything, and ``best`` is its best epoch."""
    paths = outputs(folder)
    ranks, metric_files = zip(*runs, strict=True)
    settings = {"simulated": list(simulated), "metrics": CUTOFFS, "intervals": INTERVALS} | changed
    settings["sources"] = SOURCES
    needs = {
        "ranks": list(ranks),
        "metrics": list(metric_files),
        "split": splits_of(ranks, headline),
        "run": [
            write_run_json(*of_run)
            for of_run in zip(ranks, cycle(learned), cycle(best), strict=False)
        ],
    }
    make_table("hr_ndcg", given_for(needs, paths, settings))
    return paths


def text(path: str) -> str:
    with open(path, encoding="utf-8") as stream:
        return stream.read()


def contents(paths: dict[str, str]) -> dict[str, bytes]:
    found = {}
    for kind, path in paths.items():
        with open(path, "rb") as stream:
            found[kind] = stream.read()
    return found


def read_csv(path: str) -> list[dict[str, str]]:
    with open(path, encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_a_training_that_learned_nothing_is_named(runs, tmp_path):
    said = "no better than popularity by two standard errors: toy-sim paper sasrec orig (seeds 2)."
    assert said in text(make(runs, tmp_path / "some", learned=(None, True, False))["html"])
    assert "no better than popularity" not in text(make(runs, tmp_path / "none")["html"])


def test_trainings_that_more_epochs_would_change_are_counted(runs, tmp_path):
    """Ten epochs at most, and a patience of five: after epoch 5 it was not patience that ended."""
    said = "still rising when max_epochs ended them: toy-sim paper sasrec (1 of 2)."
    assert said in text(make(runs, tmp_path / "some", best=(0, 5, 6))["html"])
    assert "still rising" not in text(make(runs, tmp_path / "none")["html"])


def test_keys_of_a_path():
    run = "dataset=mssd-sim/split=paper/model=session-popularity/variant=orig/seed=12"
    path = f"results/ranks/{run}/ranks.parquet"
    assert hive_keys(path) == {
        "dataset": "mssd-sim",
        "split": "paper",
        "model": "session-popularity",
        "variant": "orig",
        "seed": "12",
    }


def test_rows_and_values_of_the_csv(runs, tmp_path):
    rows = read_csv(make(runs, tmp_path / "tables")["csv"])
    keys = ("dataset", "data", "split", "model", "variant", "settings", "candidates")
    keys += ("headline", "sessions", "repeats_left_out", "seeds")
    # Every second target repeats, which is no new candidate.
    kinds = [
        ("full", "true", "10", "0"),
        ("new", "false", "5", "5"),
        ("sampled", "false", "10", "0"),
    ]
    assert [tuple(row[key] for key in keys) for row in rows] == [
        ("toy-sim", "simulated", "paper", model, "orig", settings, *kind, seeds)
        for model, settings, seeds in (
            ("popularity", "nothing to tune", "1"),
            ("sasrec", "tuned, 20 trials", "1 2"),
        )
        for kind in kinds
    ]
    assert list(rows[0]) == [
        *keys,
        *(f"{name}{end}" for name in NAMES for end in ("", "_low", "_high")),
    ]
    popularity, popularity_new, popularity_sampled, sasrec, sasrec_new, _ = rows

    def written(value):
        return f"{value:.6f}"

    # popularity: 3, 7, 9, 12, 18, …
    assert [popularity[f"hr_{k}"] for k in (1, 5, 10, 20)] == [
        "0.000000",
        "0.100000",
        "0.300000",
        "0.500000",
    ]
    assert popularity["ndcg_5"] == written(1 / log2(4) / 10)
    assert popularity["ndcg_10"] == written((1 / log2(4) + 1 / log2(8) + 1 / log2(10)) / 10)
    assert popularity["map_10"] == written((1 / 3 + 1 / 7 + 1 / 9) / 10)
    assert popularity_sampled["map_10"] == written((1 / 2 + 1 / 6 + 1 / 8) / 10)
    # The targets that are new: 30, 7, 18, 40, 9, and of sasrec 2, 6, 11, 21, 3 and 2, 8, 9, 1, 1.
    assert popularity_new["hr_10"] == written(2 / 5)
    assert popularity_new["map_10"] == written((1 / 7 + 1 / 9) / 5)
    assert sasrec_new["hr_5"] == written((2 / 5 + 3 / 5) / 2)
    # sasrec: the mean over two seeds, 1, 2, 3, 5, 6, 10, 11, 20, … and 1, 1, 2, 2, 4, 8, 9, 10, …
    assert [sasrec[f"hr_{k}"] for k in (1, 5, 10, 20)] == [
        "0.150000",
        "0.450000",
        "0.700000",
        "0.800000",
    ]
    assert sasrec["map_10"] == written(
        (
            1
            + 1 / 2
            + 1 / 3
            + 1 / 5
            + 1 / 6
            + 1 / 10
            + 1
            + 1
            + 1 / 2
            + 1 / 2
            + 1 / 4
            + 1 / 8
            + 1 / 9
            + 1 / 10
        )
        / 20
    )
    one = 1 + 1 / log2(3) + 1 / log2(4) + 1 / log2(6)
    two = 1 + 1 + 1 / log2(3) + 1 / log2(3) + 1 / log2(5)
    assert sasrec["ndcg_5"] == written((one + two) / 20)


def test_intervals_hold_their_values(runs, tmp_path):
    for row in read_csv(make(runs, tmp_path / "tables")["csv"]):
        for name in NAMES:
            low, value, high = (float(row[f"{name}{end}"]) for end in ("_low", "", "_high"))
            assert 0 <= low <= value <= high <= 1, (row["model"], name)
        assert float(row["hr_20_low"]) < float(row["hr_20_high"])


def test_interval_of_a_binomial_mean(tmp_path):
    """10 of 20 sessions hit: the interval of Clopper & Pearson, as scipy's binomtest has it."""
    runs = [write_run(tmp_path, [3] * 10 + [50] * 10)]
    row = read_csv(make(runs, tmp_path / "tables")["csv"])[0]
    assert (row["hr_10"], row["hr_10_low"], row["hr_10_high"]) == (
        "0.500000",
        "0.271958",
        "0.728042",
    )


def test_sessions_are_resampled_after_the_mean_over_seeds(tmp_path):
    """Each session is hit under one of two seeds, so every session counts one half and no
    resampling changes the mean.
    """
    runs = [
        write_run(tmp_path, [1] * 5 + [50] * 5, seed=1),
        write_run(tmp_path, [50] * 5 + [1] * 5, seed=2),
    ]
    row = read_csv(make(runs, tmp_path / "tables")["csv"])[0]
    assert [row[f"hr_1{end}"] for end in ("", "_low", "_high")] == ["0.500000"] * 3


def test_interval_without_width_holds_its_value(tmp_path):
    """Six sessions of rank 2, so that no session differs from another: the limits are the value, to
    the last bit or around it, and where it is 0 or 1 the other is that of six that all agree.
    """
    row = pl.read_parquet(make([write_run(tmp_path, [2] * 6)], tmp_path / "tables")["parquet"]).row(
        0, named=True
    )
    for name in NAMES:
        assert row[f"{name}_low"] <= row[name] <= row[f"{name}_high"], name
        width = 1 - 0.025 ** (1 / 6) if row[name] in (0, 1) else 0
        assert row[f"{name}_high"] - row[f"{name}_low"] == pytest.approx(width, abs=1e-12), name


def test_sessions_are_matched_between_seeds_by_their_place(tmp_path):
    """The same hits under both seeds: the interval is that of one seed."""
    ranks = [1] * 5 + [50] * 5
    both = [write_run(tmp_path, ranks, seed=1), write_run(tmp_path, ranks, seed=2)]
    two, one = (
        read_csv(make(runs, tmp_path / f"{len(runs)}")["csv"])[0] for runs in (both, both[:1])
    )
    assert two.pop("seeds") == "1 2"
    assert one.pop("seeds") == "1"
    assert two == one


def test_a_further_model_changes_no_other_row(runs, tmp_path):
    few = read_csv(make(runs[:1], tmp_path / "few")["csv"])
    assert read_csv(make(runs, tmp_path / "all")["csv"])[:3] == few


def test_the_level_is_used(runs, tmp_path):
    wide, narrow = (
        read_csv(make(runs, tmp_path / str(level), intervals=INTERVALS | {"level": level})["csv"])[
            0
        ]
        for level in (0.95, 0.5)
    )
    assert float(narrow["hr_20_high"]) - float(narrow["hr_20_low"]) < float(
        wide["hr_20_high"]
    ) - float(wide["hr_20_low"])


def test_parquet_has_the_schema_and_the_numbers_of_the_csv(runs, tmp_path):
    paths = make(runs, tmp_path / "tables")
    table = pq.read_table(paths["parquet"])
    columns = hr_ndcg.columns(given_for({}, {}, {"metrics": CUTOFFS}))
    assert table.schema.equals(columns.schema)
    for exact, rounded in zip(table.to_pylist(), read_csv(paths["csv"]), strict=True):
        for name, value in exact.items():
            if isinstance(value, float):
                assert float(rounded[name]) == pytest.approx(value, abs=5.1e-7)
            elif isinstance(value, bool):
                assert rounded[name] == str(value).lower()
            else:
                assert rounded[name] == str(value)


def test_pages_show_values_with_their_intervals(tmp_path):
    runs = [write_run(tmp_path, [3] * 10 + [50] * 10)]
    paths = make(runs, tmp_path / "tables")
    for kind, interval in (
        ("html", '<span class="interval">[0.2720, 0.7280]</span>'),
        ("tex", "[0.2720, 0.7280]"),
    ):
        page = text(paths[kind])
        assert f"0.5000 {interval}" in page
        assert "sasrec" in page
        assert "sampled candidates, which flatters every model" in page
    assert "95 % interval over clusters of sessions" in text(paths["html"])
    assert r"95\% interval over clusters of sessions" in text(
        paths["tex"]
    )  # a bare % would hide the rest of the line
    assert r"hr\_10" in text(paths["tex"])


def test_simulated_data_are_marked_as_such(tmp_path):
    simulated, real = write_run(tmp_path, [3] * 10), write_run(tmp_path, [4] * 10, dataset="mssd")
    cases = {
        "simulated": ([simulated], ["simulated"] * 3),
        "mixed": ([real, simulated], ["real"] * 3 + ["simulated"] * 3),
        "real": ([real], ["real"] * 3),
    }
    for name, (runs, data) in cases.items():
        paths = make(runs, tmp_path / name)
        assert [row["data"] for row in read_csv(paths["csv"])] == data
        for kind in ("html", "tex"):
            page = text(paths[kind])
            assert page.count(SIMULATED) == (name != "real"), (name, kind)
            assert ("imulated" in page) == (name != "real"), (name, kind)


@pytest.mark.parametrize(
    ("metric", "k", "value", "bound"),
    [
        ("hr", 5, 0.95, "HR@k"),
        ("ndcg", 10, 0.9, "NDCG@10"),
        ("map", 10, 0.001, "MAP@10"),
        ("hr", 20, 1.5, "HR@k"),
    ],
)
@pytest.mark.parametrize("candidates", ["full", "new", "sampled"])
def test_metrics_that_break_the_bounds_make_no_table(
    runs, tmp_path, metric, k, value, bound, candidates
):
    path = runs[1][1]
    table = pl.from_arrow(read_artifact("metrics", path))
    wrong = (pl.col("metric") == metric) & (pl.col("k") == k) & (pl.col("candidates") == candidates)
    table = table.with_columns(
        value=pl.when(wrong & (pl.col("subset") == "all")).then(value).otherwise("value")
    )
    write_artifact(table.to_arrow(), "metrics", path)
    with pytest.raises(
        ValueError, match=rf"^toy-sim, paper, sasrec orig, {candidates} candidates breaks .*{bound}"
    ):
        make(runs[1:2], tmp_path / "tables")
    assert not (tmp_path / "tables").exists()


def test_a_candidate_set_without_a_session_has_no_row(tmp_path):
    run = write_run(tmp_path, [3])  # the only target repeats
    rows = read_csv(make([run], tmp_path / "tables", headline="full")["csv"])
    assert [row["candidates"] for row in rows] == ["full", "sampled"]


def test_the_headline_is_that_of_the_data_set_and_split(runs, tmp_path):
    rows = read_csv(make(runs, tmp_path / "tables", headline="new")["csv"])
    assert [row["headline"] for row in rows] == ["false", "true", "false"] * 2


def test_table_has_the_same_bytes_again(runs, tmp_path):
    first, second = (contents(make(runs, tmp_path / name)) for name in ("first", "second"))
    assert first == second


# --- data sets


def stats(**changed) -> dict:
    counts = {
        "plays_read": 1000,
        "sessions_formed": 90,
        "sessions_eligible": 70,
        "sessions": 60,
        "plays": 800,
        "plays_unknown": 60,
        "tracks": 55,
        "skip_share": 0.25,
        "length_quantiles": [6, 9, 13, 18, 20],
        "length_mean": 800 / 60,
        "more": 7,
    }
    return {"counts": counts | changed, "rules": {"min_length": 6}}


REGISTRY = {
    "toy-sim": {
        "form": "mssd",
        "licence": "made by this workflow",
        "simulation": {"sessions": 90},
        "skip_rule": {"name": "length_margin", "margin": 30, "min_support": 3},
    },
    "ml": {
        "form": "events",
        "licence": "research",
        "skip_rule": {"name": "given"},
        "skipped_when": "rating < 4",
    },
    "unused": {"form": "mssd", "licence": "none", "skip_rule": {"name": "given"}},
}


def make_datasets(folder, tables, *, datasets=("toy-sim", "ml")) -> dict[str, str]:
    found: dict[str, list[str]] = {"stats": [], "splits": []}
    own = {"toy-sim": stats(), "ml": stats(plays_read=2000, length_quantiles=[6, 8, 9, 11, 20])}
    own["ml"]["rules"] |= {"unknown_labels": "listened", "skip_polarity": "inverted"}
    for dataset in datasets:
        found["stats"].append(str(folder / f"sessions/dataset={dataset}/stats.json"))
        write_json(own[dataset], found["stats"][-1])
        for split, train in (("paper", 58), ("temporal", 40)):
            path = str(folder / f"splits/dataset={dataset}/split={split}/split.json")
            counts = {"sessions": 60, "train": train, "valid": 5, "test": train // 2}
            shares = {"valid": 0.005, "test": 0.25}
            about = {"unseen_target_share": 1 / 8, "repeat_target_share": shares, "headline": "new"}
            about["test_sessions_with_a_piece_in_train"] = 6
            write_json({"split": split, "counts": counts} | about, path)
            found["splits"].append(path)
    paths = outputs(tables, "datasets")
    needs = {"stats": found["stats"], "split": found["splits"]}
    make_table(
        "datasets", given_for(needs, paths, {"registry": REGISTRY, "simulated": ["toy-sim"]})
    )
    return paths


def test_rows_of_the_data_sets(tmp_path):
    paths = make_datasets(tmp_path, tmp_path / "tables")
    table = pq.read_table(paths["parquet"])
    common = (90, 70, 60, 800, 55, 0.25, 60 / 800)
    shares = (0.125, 6, 0.25, "new")
    toy = (
        "toy-sim",
        "simulated",
        "mssd",
        "made by this workflow",
        "length_margin margin=30 min_support=3",
        1000,
        *common,
    )
    ml = ("ml", "real", "events", "research", "given (rating < 4), inverted", 2000, *common)
    mean = pytest.approx(40 / 3)
    assert [tuple(row.values()) for row in table.to_pylist()] == [
        (*toy, "kept", 13, mean, "paper", 58, 29, *shares),
        (*toy, "kept", 13, mean, "temporal", 40, 20, *shares),
        (*ml, "listened", 9, mean, "paper", 58, 29, *shares),
        (*ml, "listened", 9, mean, "temporal", 40, 20, *shares),
    ]
    first = read_csv(paths["csv"])[0]
    assert first["dataset"] == "toy-sim"
    assert first["length_mean"] == "13.333333"
    assert float(first["length_median"]) == 13
    assert list(first) == datasets_table.COLUMNS.schema.names


def test_pages_of_the_data_sets(tmp_path):
    for name, datasets in (("both", ["toy-sim", "ml"]), ("real", ["ml"])):
        paths = make_datasets(tmp_path / name, tmp_path / name, datasets=datasets)
        for kind, share in (("html", "12.5 %"), ("tex", "0.1250")):
            page = text(paths[kind])
            assert (SIMULATED in page) == (name == "both")
            assert share in page
        assert "given (rating &lt; 4)" in text(paths["html"])
        assert r"unseen\_target\_share" in text(paths["tex"])


def test_table_of_the_data_sets_has_the_same_bytes_again(tmp_path):
    first, second = (
        contents(make_datasets(tmp_path, tmp_path / name)) for name in ("first", "second")
    )
    assert first == second


# --- figure


def draw(table, folder, name="hit_rates"):
    """The svg of the figure; its numbers lie beside it."""
    outputs = {kind: str(folder / f"{name}.{kind}") for kind in ("svg", "parquet")}
    plot_figure("hit_rates", given_for({"hr_ndcg": table}, outputs, {}))
    return Path(outputs["svg"])


def words(figure) -> list[str]:
    tree = ElementTree.parse(figure).getroot()
    assert tree.tag == "{http://www.w3.org/2000/svg}svg"
    return [
        "".join(element.itertext()) for element in tree.iter("{http://www.w3.org/2000/svg}text")
    ]


def test_figure_names_models_data_and_cutoffs(runs, tmp_path):
    runs.append(write_run(tmp_path, [3] * 10, dataset="mssd", split="temporal"))
    table = make(runs, tmp_path / "tables")["parquet"]
    found = words(draw(table, tmp_path))
    assert {
        "popularity orig",
        "sasrec orig",
        "HR@1",
        "HR@5",
        "HR@10",
        "HR@20",
        "hit rate, full candidates",
    } <= set(found)
    everything = " ".join(found)
    assert everything.count("toy-sim") == everything.count("(simulated data)") == 1
    assert everything.count("mssd, temporal split") == everything.count("(real data)") == 1
    assert found.count("sasrec orig") == 1  # the panels share their rows


def test_figure_of_real_data_does_not_say_simulated(tmp_path):
    table = make([write_run(tmp_path, [3, 9, 30], dataset="mssd")], tmp_path / "tables")["parquet"]
    assert "simulated" not in text(draw(table, tmp_path))


def test_figure_shows_the_full_catalogue(runs, tmp_path):
    """The points of HR@1 … HR@20 of the only model stand where the values of the full catalogue
    are.
    """
    table = make(runs[:1], tmp_path / "tables")["parquet"]
    both = draw(table, tmp_path, "both").read_bytes()
    pl.read_parquet(table).filter(pl.col("candidates") == "full").write_parquet(
        tmp_path / "full.parquet"
    )
    assert draw(tmp_path / "full.parquet", tmp_path).read_bytes() == both
    pl.read_parquet(table).with_columns(hr_20=pl.col("hr_20") + 0.01).write_parquet(
        tmp_path / "full.parquet"
    )
    assert draw(tmp_path / "full.parquet", tmp_path).read_bytes() != both


def test_figure_of_the_headline_candidates(runs, tmp_path):
    table = make(runs, tmp_path / "tables", headline="new")["parquet"]
    svg = draw(table, tmp_path)
    assert "hit rate, new candidates" in words(svg)
    rows = pq.read_table(svg.with_suffix(".parquet")).to_pylist()
    assert {row["candidates"] for row in rows} == {"new"}
    # Of the new targets 30, 7, 18, 40, 9 of popularity, and 2, 6, 11, 21, 3 and 2, 8, 9, 1, 1.
    assert [row["hr"] for row in rows] == pytest.approx(
        [0, 0, 2 / 5, 3 / 5, 2 / 10, 5 / 10, 8 / 10, 9 / 10]
    )


def test_figure_has_the_same_bytes_again(runs, tmp_path):
    table = make(runs, tmp_path / "tables")["parquet"]
    first, second = (draw(table, tmp_path, name) for name in ("first", "second"))
    assert first.read_bytes() == second.read_bytes()
    assert first.with_suffix(".parquet").read_bytes() == second.with_suffix(".parquet").read_bytes()


def test_numbers_beside_the_figure(runs, tmp_path):
    table = make(runs, tmp_path / "tables")["parquet"]
    rows = pq.read_table(draw(table, tmp_path).with_suffix(".parquet")).to_pylist()
    assert [(row["model"], row["variant"], row["k"]) for row in rows] == [
        (model, "orig", k) for model in ("popularity", "sasrec") for k in (1, 5, 10, 20)
    ]
    assert {(row["dataset"], row["data"], row["split"]) for row in rows} == {
        ("toy-sim", "simulated", "paper")
    }
    assert [row["hr"] for row in rows] == pytest.approx(
        [0, 1 / 10, 3 / 10, 5 / 10, 3 / 20, 9 / 20, 14 / 20, 16 / 20]
    )
    assert all(row["hr_low"] <= row["hr"] <= row["hr_high"] for row in rows)


@pytest.mark.parametrize(
    "seeds",
    [[[50] * 3], [[1] * 3], [[1, 50, 50], [50, 1, 50], [50, 50, 1], [50, 50, 50], [50, 50, 50]]],
    ids=["no hit", "all hits", "each session once in five seeds"],
)
def test_figure_of_intervals_without_width(tmp_path, seeds):
    runs = [write_run(tmp_path, ranks, seed=seed) for seed, ranks in enumerate(seeds)]
    table = make(runs, tmp_path / "tables")["parquet"]
    assert "sasrec orig" in words(draw(table, tmp_path))
