"""The table headroom from hand-made ranks and truths."""

import csv

import pyarrow as pa
import pytest
from examples import given_for, ranks_table, splits_of
from skipwise.core.artifacts import write_artifact
from skipwise.core.paths import result
from skipwise.report.tables import headroom
from skipwise.report.write import make_table

INTERVALS = {"level": 0.95, "equivalence": 0.002, "least_deciding": 20, "seed": 1}
HIT, MISS = 1, 50
N = 200
# Of 200 sessions: how many of the first have their target at rank 1; the others have it at 50.
HITS = {"blind": 20, "orig": 40, "feedback-input": 60}
TRUTHS = {"blind": 50, "plays": 70, "labels": 90}  # of the first 100 sessions


def made(folder, *, headline="full", truths=TRUTHS, half=88) -> dict[tuple[str, str], dict]:
    """The rows of the table by variant and metric."""
    keys = {"dataset": "toy-sim", "split": "paper"}
    ranks = []
    for variant, hits in HITS.items():
        # Hits are spread over both halves of the sessions in the same share.
        at = [HIT if i % 100 < hits / 2 else MISS for i in range(N)]
        path = result("ranks", folder, **keys, model="sasrec", variant=variant, seed=1)
        write_artifact(ranks_table(at), "ranks", path)
        ranks.append(str(path))
    rows = [
        (session, session, knows, particles, rank, rank)
        for knows, hits in truths.items()
        for particles, number in ((8, half if knows == "labels" else hits), (16, hits))
        for session in range(1, 101)
        for rank in [HIT if session <= number else MISS]
    ]
    names = ("session_id", "cluster", "knows", "particles", "rank_full", "rank_new")
    truth = result("truth", folder, **keys)
    columns = zip(*rows, strict=True)
    write_artifact(pa.table(dict(zip(names, map(list, columns), strict=True))), "truth", truth)
    needs = {"truth": str(truth), "ranks": ranks, "split": splits_of(ranks, headline)}
    settings = {
        "simulated": ["toy-sim"],
        "worlds": {"toy-sim": ["moods", "Labels gain."]},
        "intervals": INTERVALS,
    }
    outputs = {kind: str(folder / f"headroom.{kind}") for kind in ("csv", "parquet", "html", "tex")}
    make_table("headroom", given_for(needs, outputs, settings))
    with open(outputs["csv"], encoding="utf-8", newline="") as stream:
        return {(row["variant"], row["metric"]): row for row in csv.DictReader(stream)}


def number(row: dict, name: str) -> float:
    return float(row[name])


def test_a_row_has_the_truth_the_headroom_and_what_is_caught(tmp_path):
    row = made(tmp_path)["feedback-input", "hr_10"]
    assert (row["world"], row["right_verdict"], row["data"]) == (
        "moods",
        "Labels gain.",
        "simulated",
    )
    assert row["reference"] == "orig"
    assert row["truth_sessions"] == "100"
    assert number(row, "value") == pytest.approx(60 / 200)
    assert number(row, "gain") == pytest.approx((60 - 40) / 200)
    for knows, hits in TRUTHS.items():
        assert number(row, f"truth_{knows}") == pytest.approx(hits / 100)
    assert number(row, "headroom") == pytest.approx(0.2)
    assert number(row, "caught") == pytest.approx(0.1 / 0.2)
    assert number(row, "left") == pytest.approx(0.9 - 0.3)
    assert number(row, "of_the_way") == pytest.approx(0.1 / (0.9 - 0.2), abs=1e-5)
    assert number(row, "truth_error") == pytest.approx(0.02)
    for name in headroom._INTERVALS:
        assert number(row, f"{name}_low") < number(row, name) < number(row, f"{name}_high")


def test_the_reference_of_orig_is_blind_which_has_none(tmp_path):
    rows = made(tmp_path)
    assert rows["orig", "hr_10"]["reference"] == "blind"
    assert number(rows["orig", "hr_10"], "gain") == pytest.approx(0.1)
    blind = rows["blind", "hr_10"]
    assert (blind["reference"], blind["gain"], blind["caught"]) == ("", "", "")
    assert number(blind, "left") == pytest.approx(0.8)


def test_nothing_is_caught_of_a_headroom_whose_interval_holds_0(tmp_path):
    row = made(tmp_path, truths=TRUTHS | {"plays": 90})["feedback-input", "hr_10"]
    assert (row["caught"], row["caught_low"]) == ("", "")
    assert number(row, "headroom") == 0


def test_a_rank_of_1_counts_fully_in_ndcg(tmp_path):
    rows = made(tmp_path, headline="new")
    assert rows["orig", "ndcg_10"]["truth_labels"] == rows["orig", "hr_10"]["truth_labels"]
    assert {row["candidates"] for row in rows.values()} == {"new"}


def test_the_page_says_what_its_columns_are(tmp_path):
    made(tmp_path)
    page = (tmp_path / "headroom.html").read_text(encoding="utf-8")
    for words in ("right verdict", "Truth with labels − truth with plays", "Simulated data"):
        assert words in page
