"""The figures of the study: their numbers are those of the tables, and they are drawn."""

import polars as pl
import pytest
from examples import given_for
from skipwise.report.drawing import plot_figure

KEYS = {"dataset": "explorer-sim", "data": "simulated", "split": "paper", "model": "sasrec"}


def figure(name: str, folder, **tables: list[dict]) -> tuple[pl.DataFrame, str]:
    """Numbers and svg of a figure that is made from these tables."""
    for table, rows in tables.items():
        pl.DataFrame(rows).write_parquet(folder / f"{table}.parquet")
    needs = {table: str(folder / f"{table}.parquet") for table in tables}
    paths = {kind: str(folder / f"{name}.{kind}") for kind in ("svg", "parquet")}
    controls = {"sasrec": {"pairwise-shuffled": {"of": "pairwise", "all": False}}}
    plot_figure(name, given_for(needs, paths, {"controls": controls}))
    return pl.read_parquet(paths["parquet"]), (folder / f"{name}.svg").read_text(encoding="utf-8")


def test_headroom_bars_have_the_truth_of_each_world(tmp_path):
    rows = [
        KEYS
        | {"variant": variant, "metric": metric, "value": value}
        | {"truth_plays": 0.3, "truth_labels": 0.4}
        for metric in ("hr_10", "ndcg_10")
        for variant, value in (("orig", 0.2), ("pairwise", 0.25), ("pairwise-shuffled", 0.24))
    ]
    numbers, svg = figure("headroom_bars", tmp_path, headroom=rows)
    assert numbers["value"].to_list() == [0.2, 0.25]
    assert numbers["truth_labels"].to_list() == [0.4, 0.4]
    assert "truth, plays and labels" in svg
    assert "sasrec pairwise" in svg


def compared(variant: str, metric: str, difference: float, **changed) -> dict:
    ends = {"difference": difference, "difference_low": difference - 1}
    row = KEYS | {"variant": variant, "reference": "orig", "metric": metric, "headline": True}
    return row | ends | {"difference_high": difference + 1} | changed


def test_accuracy_and_skips_are_both_against_the_reference(tmp_path):
    gains = [
        compared("pairwise", "hr_10", 0.1),
        compared("pairwise", "hr_20", 0.9),
        compared("pairwise", "hr_10", 0.8, headline=False),
        compared("skip-head", "hr_10", 0.7, reference="blind"),
        compared("negbt", "hr_10", -0.2),
        compared("pairwise-shuffled", "hr_10", 0.1),
    ]
    skips = [
        compared("pairwise", "hr_skipped_20", -0.3),
        compared("pairwise", "hr_skipped_10", 0.5),
        compared("skip-head", "hr_skipped_20", 0.6, reference="blind"),
        compared("negbt", "hr_skipped_20", 0.4),
        compared("pairwise-shuffled", "hr_skipped_20", 0.1),
    ]
    numbers, svg = figure("accuracy_and_skips", tmp_path, skip_gains=gains, skip_downranking=skips)
    rows = numbers.select("variant", "targets", "skips", "skips_low", "skips_high").rows()
    assert rows[0] == pytest.approx(("pairwise", 0.1, -0.3, -1.3, 0.7))
    assert rows[1] == pytest.approx(("skip-head", 0.7, 0.6, -0.4, 1.6))
    assert rows[2:] == [pytest.approx(("negbt", -0.2, 0.4, -0.6, 1.4))]
    assert "negbt − orig" in svg
    assert "skip-head − no labels" in svg


def test_the_funnel_has_every_stage(tmp_path):
    counts = {"plays_read": 1000, "sessions_formed": 90, "sessions_eligible": 60}
    counts |= {"sessions": 50, "train_sessions": 50, "test_sessions": 0}
    numbers, svg = figure("funnel", tmp_path, datasets=[KEYS | counts])
    assert numbers["count"].to_list() == list(counts.values())
    assert numbers["stage"].to_list()[-1] == "test sessions"
    assert "1,000" in svg
    assert "simulated data" in svg
