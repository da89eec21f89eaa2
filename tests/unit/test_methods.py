"""The table methods, from planted ranks: gains, controls, outcomes and costs."""

import re

import numpy as np
import polars as pl
import pytest
from examples import given_for, ranks_table, splits_of
from scipy import stats
from skipwise.core.artifacts import read_json, write_artifact, write_json
from skipwise.report.write import make_table

INTERVALS = {"level": 0.95, "equivalence": 0.01, "least_deciding": 20, "seed": 1}
N = 600
# Of each variant its settings, the sessions whose target it finds, and the seconds of an epoch.
VARIANTS = {
    "blind": ({"targets": "next"}, 100, 2.0),
    "orig": ({}, 160, 2.0),
    "pairwise": ({"way": "pairwise"}, 260, 3.0),
    "pairwise-shuffled": ({"way": "pairwise", "labels": "shuffled"}, 170, 3.0),
    # A second control, whose targets see no right label: it is no row and not compared.
    "pairwise-all-shuffled": (
        {"way": "pairwise", "labels": "shuffled", "targets": "labelled"},
        20,
        3.0,
    ),
    "skip-head": ({"way": "skip-head"}, 260, 2.5),
    "skip-head-shuffled": ({"way": "skip-head", "labels": "shuffled"}, 257, 2.5),
    "negbt": ({"way": "negbt"}, 60, 4.0),
    "gbce": ({"way": "gbce"}, 160, 2.0),
    "listened-only": ({"way": "listened-only"}, 180, 1.0),
    # Better than blind, which has its targets, and worse than orig; and so is its control.
    "feedback-input": ({"way": "feedback-input", "targets": "next"}, 130, 2.0),
    "feedback-input-shuffled": (
        {"way": "feedback-input", "targets": "next", "labels": "shuffled"},
        90,
        2.0,
    ),
}


def planted(folder, *, seeds=(1, 2, 3), peak=2**30, leave_out=()) -> dict:
    """Ranks and ``run.json`` of every variant; those of listened-only find others than orig."""
    found = {"ranks": [], "run": []}
    for variant, (settings, hits, seconds) in VARIANTS.items():
        if variant in leave_out:
            continue
        for seed in seeds:
            keys = f"dataset=toy/split=paper/model=sasrec/variant={variant}/seed={seed}"
            inside = np.arange(N) < hits
            if variant == "listened-only":
                inside = inside[::-1]
            rank = np.where(inside, 3, 50).tolist()
            found["ranks"].append(str(folder / "ranks" / keys / "ranks.parquet"))
            write_artifact(ranks_table(rank), "ranks", found["ranks"][-1])
            found["run"].append(str(folder / "models" / keys / "run.json"))
            run = {"settings": settings, "epochs": 10 * seed, "seconds": 10 * seed * seconds}
            if peak:
                run["peak_bytes"] = peak * seed
            write_json(run, found["run"][-1])
    return found | {"split": splits_of(found["ranks"], "full")}


def table(folder, needs) -> dict[str, dict]:
    """The rows by variant."""
    paths = {kind: str(folder / f"methods.{kind}") for kind in ("csv", "parquet", "html", "tex")}
    entries = {name: settings for name, (settings, *_) in VARIANTS.items()}
    of_next = {name: "blind" for name, its in entries.items() if its.get("targets") == "next"}
    settings = {"simulated": [], "intervals": INTERVALS}
    settings["references"] = {"sasrec": of_next | {"orig": "blind"}}
    settings["controls"] = {
        "sasrec": {
            name: {"of": re.sub("(-all)?-shuffled", "", name), "all": name.endswith("all-shuffled")}
            for name in VARIANTS
            if name.endswith("-shuffled")
        }
    }
    make_table("methods", given_for(needs, paths, settings))
    rows = pl.read_parquet(paths["parquet"]).to_dicts()
    return {row["variant"]: row for row in rows}


def test_gains_stand_next_to_those_of_the_control(tmp_path):
    rows = table(tmp_path, planted(tmp_path))
    assert set(rows) == {name for name in VARIANTS if not name.endswith("-shuffled")}
    found = rows["pairwise"]
    assert found["value"] == pytest.approx(260 / N)
    assert found["over_orig"] == pytest.approx(100 / N)
    assert found["over_blind"] == pytest.approx(160 / N)
    assert found["control_gain"] == pytest.approx(10 / N)
    assert found["over_control"] == pytest.approx(90 / N)
    # The interval of a mean of independent sessions, as every seed finds the same.
    share = 100 / N
    error = np.sqrt(share * (1 - share) / (N - 1))
    assert found["over_orig_low"] == pytest.approx(share - 1.964 * error, abs=1e-4)
    assert rows["negbt"]["control_gain"] is rows["negbt"]["over_control"] is None
    assert rows["feedback-input"]["control_gain"] == pytest.approx(-10 / N)
    assert rows["orig"]["over_orig"] is None
    assert rows["orig"]["over_blind"] == pytest.approx(60 / N)
    assert rows["blind"]["over_orig"] == pytest.approx(-60 / N)


def test_outcomes(tmp_path):
    rows = table(tmp_path, planted(tmp_path))
    assert {name: row["outcome"] for name, row in rows.items()} == {
        "blind": "the reference",
        "orig": "gains; its control did not run",
        "pairwise": "helps",
        "skip-head": "helps, and so may shuffled labels",
        "negbt": "costs",
        "gbce": "cannot be told: too few sessions differ",
        "listened-only": "cannot be told: the interval holds 0",
        "feedback-input": "helps",
    }


@pytest.mark.parametrize(
    ("failed", "outcome"),
    [
        ("pairwise", "cannot be told: a training learned nothing"),
        ("orig", "cannot be told: a training learned nothing"),
        ("pairwise-shuffled", "gains; its control learned nothing"),
    ],
)
def test_a_training_that_learned_nothing_tells_nothing(tmp_path, failed, outcome):
    needs = planted(tmp_path)
    [path] = [path for path in needs["run"] if f"variant={failed}/seed=2" in path]
    write_json(read_json(path) | {"learned": False}, path)
    rows = table(tmp_path, needs)
    assert rows["pairwise"]["outcome"] == outcome
    # What does not use it is told as ever.
    assert rows["feedback-input"]["outcome"] == "helps" or failed == "orig"


def test_a_gain_without_its_control_is_not_said_to_help(tmp_path):
    for left_out in (("pairwise-shuffled", "pairwise-all-shuffled"), ("pairwise-shuffled",)):
        rows = table(tmp_path, planted(tmp_path, leave_out=left_out))
        # A control with other targets does not do.
        assert rows["pairwise"]["outcome"] == "gains; its control did not run"
        assert rows["pairwise"]["over_control"] is None


def test_a_loss_that_reads_no_label_needs_no_control(tmp_path, monkeypatch):
    monkeypatch.setitem(VARIANTS, "gbce", ({"way": "gbce"}, 250, 2.0))
    assert table(tmp_path, planted(tmp_path))["gbce"]["outcome"] == "helps"


def test_what_is_detected_after_the_correction_is_larger(tmp_path):
    row = table(tmp_path, planted(tmp_path))["listened-only"]
    # Six rows have a p-value; all seeds find the same, so the width is that of the sessions.
    share = np.r_[np.full(180, 1), np.zeros(N - 180)][::-1] - np.r_[np.ones(160), np.zeros(N - 160)]
    error = share.std(ddof=1) / np.sqrt(N)
    for name, tests in (("detectable", 1), ("detectable_holm", 6)):
        width = stats.t(N - 1).ppf(1 - 0.025 / tests) + stats.t(N - 1).ppf(0.8)
        assert row[name] == pytest.approx(width * error, rel=1e-3), name


def test_a_way_that_changes_little_is_practically_nothing(tmp_path, monkeypatch):
    monkeypatch.setitem(INTERVALS, "equivalence", 0.2)
    assert table(tmp_path, planted(tmp_path))["listened-only"]["outcome"] == "practically nothing"


def test_practically_nothing_is_corrected_for_the_rows(tmp_path, monkeypatch):
    """The limit at which the interval ends is enough for one row, and not for six."""
    row = table(tmp_path, planted(tmp_path))["listened-only"]
    limit = max(abs(row["over_orig_low"]), abs(row["over_orig_high"])) * 1.001
    monkeypatch.setitem(INTERVALS, "equivalence", limit)
    assert table(tmp_path, planted(tmp_path))["listened-only"]["outcome"] != "practically nothing"


def test_one_seed_tells_nothing_about_a_way(tmp_path):
    rows = table(tmp_path, planted(tmp_path, seeds=(1,)))
    told = {row["outcome"] for name, row in rows.items() if name != "blind"}
    assert told == {"cannot be told: fewer than 3 seeds"}


def test_costs_are_those_of_an_epoch(tmp_path):
    rows = table(tmp_path, planted(tmp_path))
    found = rows["pairwise"]
    assert found["epochs"] == pytest.approx((10 + 20 + 30) / 3)
    assert found["epoch_seconds"] == pytest.approx(3.0)
    assert found["cost"] == pytest.approx(3.0 / 2.0)
    assert rows["orig"]["cost"] == pytest.approx(1.0)
    assert found["peak_gib"] == pytest.approx(3.0)


def test_what_was_not_recorded_or_run_is_left_open(tmp_path):
    left_out = ("orig", "pairwise")
    rows = table(tmp_path, planted(tmp_path, peak=None, leave_out=left_out))
    assert rows["skip-head"]["peak_gib"] is rows["skip-head"]["cost"] is None
    assert rows["skip-head"]["over_orig"] is None
    assert rows["skip-head"]["outcome"] == "cannot be told: not defined"
    # A control without its way is a variant of its own.
    assert "pairwise-shuffled" in rows


def test_a_training_records_its_memory():
    from skipwise.training.memory import peak_memory

    before = peak_memory()
    block = np.ones(before // 8 + 2**25)
    assert peak_memory() >= before + 2**27
    assert block.size
