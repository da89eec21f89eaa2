"""The eight extensions of docs/extending.md, and a claim, run as printed and touch nothing else."""

import json
import re

import numpy as np
import polars as pl
import pytest
from conftest import TINY
from examples import ROOT

PAGE = (ROOT / "docs/extending.md").read_text(encoding="utf-8")
BLOCK = re.compile(
    r"<!-- (file|append|overlay): (\S+) -->\n```\w+\n(.*?)^```$", re.DOTALL | re.MULTILINE
)
FILES = {path: text for kind, path, text in BLOCK.findall(PAGE) if kind == "file"}
APPENDED = {path: text for kind, path, text in BLOCK.findall(PAGE) if kind == "append"}
[OVERLAY] = [text for kind, _, text in BLOCK.findall(PAGE) if kind == "overlay"]
ROOMS = {
    "models": "A model",
    "training/ways": "A way to use skips",
    "sessions/sql/skip_rules": "A skip rule",
    "sessions/sql/splits": "A split",
    "raw/forms": "A raw form",
    "report/tables": "A table",
    "report/figures": "A figure",
    "evaluation/claims": "A claim",
}


def plays(path) -> None:
    """Listeners whose plays follow each other after 20 to 200 seconds, as ndjson."""
    rng = np.random.default_rng(1)
    rows = [
        {"user": i // 60, "track": int(80 * rng.random() ** 2), "at": 1_600_000_000 + 120 * i}
        for i in range(6000)
    ]
    for row in rows:
        row["at"] += int(rng.integers(0, 100))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def test_each_change_is_one_new_file():
    sections = dict(re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE))
    for room, title in ROOMS.items():
        [(kind, path, _)] = BLOCK.findall(sections[title])
        assert (kind, path.rpartition("/")[0]) == ("file", f"workflow/scripts/skipwise/{room}")
        assert not (ROOT / path).exists()
    assert [*APPENDED] == ["workflow/scripts/skipwise/ranking/metrics.py"]
    assert len(re.findall("^def ", APPENDED[next(iter(APPENDED))], re.MULTILINE)) == 1


@pytest.fixture
def extended(project):
    for path, text in FILES.items():
        (project / path).write_text(text, encoding="utf-8")
    for path, text in APPENDED.items():
        before = (project / path).read_text(encoding="utf-8")
        (project / path).write_text(f"{before}\n\n{text}", encoding="utf-8")
    plays(project / "plays.ndjson")
    return project


def test_all_run_together(extended):
    configs = (TINY, extended.overlay("extended.yaml", OVERLAY))
    tables = ("hr_ndcg", "past_cutoff", "datasets", "findings")
    targets = [f"results/tables/{name}.csv" for name in tables]
    targets += ["results/figures/target_popularity.svg"]
    extended.made(*targets, cores=2, configs=configs)
    tables = extended / "results/tables"

    # The model and the way: three runs, and the loss reaches the model.
    table = pl.read_csv(tables / "hr_ndcg.csv").filter(candidates="full")
    runs = table.select("dataset", "split", "model", "variant").rows()
    variants = [
        ("popularity", "orig"),
        ("running-mean", "orig"),
        ("running-mean", "hinge"),
    ]
    places = [(d, s) for d in ("mssd-sim", "mine") for s in ("paper", "by_session")]
    assert runs == [(*place, *variant) for place in places for variant in variants]
    of_model = table.filter(model="running-mean", dataset="mssd-sim", split="paper")
    assert of_model["ndcg_20"].n_unique() == 2
    history = next((extended / "results/models").rglob("variant=hinge/*/history.parquet"))
    losses = pl.read_parquet(history, hive_partitioning=False)
    assert (losses["loss_skip"] > 0).all()
    expected = 0.5 * losses["loss_skip"] + losses["loss_base"]
    assert ((losses["loss"] - expected).abs() < 1e-5).all()

    # The raw form and the skip rule: skips are those that the rule makes of the lengths.
    datasets = pl.read_csv(tables / "datasets.csv").filter(dataset="mine", split="paper")
    assert datasets["form"].to_list() == ["ndjson"]
    assert datasets["plays_read"].to_list() == [6000]
    assert 0 < datasets["skip_share"][0] < 1
    assert datasets["skip_rule"][0].startswith("share_heard share=0.6")

    # The split: no session is in two parts.
    folder = extended / "results/splits/dataset=mine/split=by_session"
    parts = [
        set(pl.read_parquet(folder / f"{part}.parquet", hive_partitioning=False)["session_id"])
        for part in ("train", "valid", "test")
    ]
    assert sum(map(len, parts)) == len(set.union(*parts))

    # The metric: with its interval, and by the formula.
    assert {"rbp_10", "rbp_10_low", "rbp_10_high"} <= {*table.columns}
    ranks = pl.read_parquet(
        extended / "results/ranks/dataset=mine/split=paper/model=popularity/variant=orig/seed=1",
        hive_partitioning=False,
    )["rank_full"]
    formula = [0.2 * 0.8 ** (rank - 1) if rank and rank <= 10 else 0 for rank in ranks]
    value = table.filter(dataset="mine", split="paper", model="popularity")["rbp_10"][0]
    assert value == pytest.approx(np.mean(formula), abs=1e-6)

    # The table, the figure and the claim.
    assert pl.read_csv(tables / "past_cutoff.csv").height == 12
    assert "Share of the test sessions." in (tables / "past_cutoff.html").read_text("utf-8")
    assert "running-mean" in (extended / "results/figures/target_popularity.svg").read_text("utf-8")
    findings = pl.read_csv(tables / "findings.csv").filter(claim="a mean beats popularity")
    assert findings.height == 2 + 4  # one row of all, for real and simulated data, and the places
    kinds = {job.partition(" ")[0] for job in extended.planned("extended.yaml")}
    assert kinds == {"Making", "Plotting", "Recording"}  # tables, figures and their sources
