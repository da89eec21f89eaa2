"""The tables of comparisons from hand-made ranks, with the values written as arithmetic."""

from collections import defaultdict
from math import log2
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from examples import ROOT, default_config, given_for, ranks_table, splits_of
from skipwise.core import paths
from skipwise.core.artifacts import read_artifact, write_artifact, write_json
from skipwise.core.errors import UserError
from skipwise.core.registry import find
from skipwise.evaluation.comparisons import (
    Intervals,
    Ranked,
    RankedRuns,
    headlines,
    mean_measure,
    quartiles,
    skip_measures,
    subset,
    with_holm,
)
from skipwise.ranking.metrics import compute_metrics, summarise
from skipwise.report.tables import recsys24_main
from skipwise.report.write import SIMULATED, make_table

INTERVALS = {"level": 0.95, "equivalence": 0.002, "least_deciding": 20, "seed": 1}
CUTOFFS = {"hr": [1, 5, 10, 20], "ndcg": [5, 10, 20], "map": [10]}
# With the plain names of the models.
PAPERS = default_config()["papers"]
PAPERS = {"models": PAPERS["field"], "variants": PAPERS["variants"]}
PRINTED = str(ROOT / "resources/paper_results.csv")


def write_ranks(
    folder,
    rank,
    *,
    dataset="toy",
    model="sasrec",
    variant="orig",
    seed=1,
    **given,
):
    """The ranks of a run in the path that the workflow uses; ``given`` as in ranks_table."""
    keys = {"dataset": dataset, "model": model, "variant": variant, "seed": seed}
    path = paths.result("ranks", folder, split="paper", **keys)
    write_artifact(ranks_table(rank, **given), "ranks", path)
    return str(path)


def outputs(folder, name="table") -> dict[str, str]:
    return {kind: str(folder / f"{name}.{kind}") for kind in ("csv", "parquet", "html", "tex")}


def made(name, folder, ranks, *, headline="full", **settings) -> list[dict]:
    files = outputs(folder)
    settings = {
        "simulated": [],
        "intervals": INTERVALS,
        "metrics": CUTOFFS,
        "papers": PAPERS,
        "forms": {},
    } | settings
    needs = {"ranks": ranks, "split": splits_of(ranks, headline), "papers": PRINTED}
    make_table(name, given_for(needs, files, settings))
    assert all(Path(path).exists() for path in files.values())
    return pq.read_table(files["parquet"], partitioning=None).to_pylist()


@pytest.fixture
def two_seeds(tmp_path):
    """SASRec with two seeds on four sessions; unseen skips in the first two."""
    orig = [([1, 4, 30, 10], [[2, 12], [5], [], []]), ([2, 4, 11, 10], [[1, 12], [5], [], []])]
    ours = [([1, 2, 8, 10], [[4, 50], [9], [], []]), ([1, 1, 9, 21], [[3, 11], [2], [], []])]
    return [
        write_ranks(tmp_path, rank, skips=skips, variant=variant, seed=seed)
        for variant, runs in (("orig", orig), ("contrastive-hidden", ours))
        for seed, (rank, skips) in enumerate(runs, start=1)
    ]


class TestRecsys24:
    def test_values_are_means_over_seeds_and_sessions(self, two_seeds, tmp_path):
        rows = {
            (row["candidates"], row["metric"]): row
            for row in made("recsys24_main", tmp_path, two_seeds)
        }
        assert rows.keys() == {
            (c, m)
            for c in ("full", "new", "sampled")
            for m in ("hr_1", "hr_5", "hr_10", "hr_20", "map_10")
        }
        row = rows["full", "hr_10"]
        assert row["reference_value"] == pytest.approx((3 / 4 + 3 / 4) / 2)
        assert row["value"] == pytest.approx((4 / 4 + 3 / 4) / 2)
        assert row["difference"] == pytest.approx(1 / 8)
        assert row["relative_change"] == pytest.approx((7 / 8) / (6 / 8) - 1)
        assert row["difference_low"] <= row["difference"] <= row["difference_high"]
        # The seeds' differences are 1/4 and 0.
        assert row["seed_sd"] == pytest.approx(np.std([1 / 4, 0], ddof=1))
        assert (row["dataset"], row["data"], row["sessions"], row["seeds"]) == (
            "toy",
            "real",
            4,
            "1 2",
        )
        orig_ap = [1, 1 / 4, 0, 1 / 10], [1 / 2, 1 / 4, 0, 1 / 10]
        ours_ap = [1, 1 / 2, 1 / 8, 1 / 10], [1, 1, 1 / 9, 0]
        assert rows["full", "map_10"]["reference_value"] == pytest.approx(np.mean(orig_ap))
        assert rows["full", "map_10"]["value"] == pytest.approx(np.mean(ours_ap))

    def test_the_interval_is_paired_and_that_of_resampled_sessions(self, tmp_path):
        rng = np.random.default_rng(1)
        orig = rng.integers(1, 40, 300)
        ours = np.where(rng.random(300) < 0.1, rng.integers(1, 40, 300), orig)
        ranks = [
            write_ranks(tmp_path, orig),
            write_ranks(tmp_path, ours, variant="contrastive-item"),
        ]
        row = next(
            row for row in made("recsys24_main", tmp_path, ranks) if row["metric"] == "hr_10"
        )
        gain = (ours <= 10).astype(float) - (orig <= 10)
        plain = gain[rng.integers(0, 300, (20_000, 300))].mean(1)
        assert row["difference"] == pytest.approx(gain.mean())
        limits = np.quantile(plain, [0.025, 0.975])
        assert (row["difference_low"], row["difference_high"]) == pytest.approx(
            limits, abs=0.25 * plain.std()
        )

    def test_among_new_candidates_only_sessions_with_a_new_target_count(self, tmp_path):
        """Targets 2 and 4 of 5 repeat.  The sampled ranks are those of all sessions."""
        repeat = [False, True, False, True, False]
        orig = {"new": [8, None, 11, None, 30], "repeat": repeat}
        ours = {"new": [1, None, 10, None, 12], "repeat": repeat}
        ranks = [
            write_ranks(tmp_path, [12, 1, 15, 1, 40], sampled=[1, 1, 1, 1, 11], **orig),
            write_ranks(
                tmp_path, [3, 11, 14, 1, 20], sampled=[1] * 5, variant="contrastive-item", **ours
            ),
        ]
        rows = {
            row["candidates"]: row
            for row in made("recsys24_main", tmp_path, ranks, headline="new")
            if row["metric"] == "hr_10"
        }
        values = {
            name: [row[key] for key in ("sessions", "reference_value", "value", "headline")]
            for name, row in rows.items()
        }
        assert values == {
            "full": [5, 2 / 5, 2 / 5, False],
            "new": [3, pytest.approx(1 / 3), pytest.approx(2 / 3), True],
            "sampled": [5, 4 / 5, 5 / 5, False],
        }
        assert rows["new"]["difference"] == pytest.approx(1 / 3)
        assert rows["full"]["difference"] == 0

    def test_orig_is_compared_with_blind_and_every_other_variant_with_orig(self, tmp_path):
        hits = {"blind": 1, "contrastive-item": 4, "orig": 2, "bl": 3}
        ranks = [
            write_ranks(tmp_path, [1] * n + [50] * (4 - n), variant=variant)
            for variant, n in hits.items()
        ]
        # Without blind nothing is said of orig, and without orig nothing of the others.
        ranks += [
            write_ranks(tmp_path, [1, 1, 1, 1], model="caser", variant=variant)
            for variant in ("orig", "contrastive-item")
        ]
        ranks += [
            write_ranks(tmp_path, [1, 1, 1, 1], model="gru4rec", variant=variant)
            for variant in ("blind", "contrastive-item")
        ]
        rows = [
            row
            for row in made("recsys24_main", tmp_path, ranks)
            if (row["candidates"], row["metric"]) == ("full", "hr_1")
        ]
        columns = ("model", "variant", "reference", "reference_value", "value", "difference")
        assert [tuple(row[name] for name in columns) for row in rows] == [
            ("sasrec", "contrastive-item", "orig", 2 / 4, 4 / 4, 2 / 4),
            ("sasrec", "orig", "blind", 1 / 4, 2 / 4, 1 / 4),
            ("sasrec", "bl", "orig", 2 / 4, 3 / 4, 1 / 4),
            ("caser", "contrastive-item", "orig", 1, 1, 0),
        ]

    def test_a_further_model_changes_no_row_but_for_holm(self, two_seeds, tmp_path):
        before = made("recsys24_main", tmp_path, two_seeds)
        more = [
            write_ranks(tmp_path, [3, 9, 1, 2], model="wrmf", variant=variant)
            for variant in ("orig", "bl", "nr")
        ]
        after = made("recsys24_main", tmp_path, more[:1] + two_seeds + more[1:])
        strip = [
            {key: value for key, value in row.items() if key != "p_holm"}
            for row in after
            if row["model"] == "sasrec"
        ]
        assert strip == [
            {key: value for key, value in row.items() if key != "p_holm"} for row in before
        ]
        assert {row["variant"] for row in after if row["model"] == "wrmf"} == {"bl", "nr"}

    def test_the_rows_of_a_metric_are_corrected(self, tmp_path):
        """Two variants, of which one differs from orig in 60 of 200 sessions and one in 30."""
        rank = np.full(200, 50)
        ranks = [
            write_ranks(tmp_path, np.where(np.arange(200) < hits, 1, rank), variant=variant)
            for variant, hits in (("orig", 0), ("contrastive-item", 60), ("contrastive-hidden", 30))
        ]
        rows = made("recsys24_main", tmp_path, ranks)
        of_one = [row for row in rows if (row["candidates"], row["metric"]) == ("full", "hr_10")]
        assert [row["deciding"] for row in of_one] == [60, 30]
        # Every one of the sessions that differ says the same, so the flipped signs decide.
        assert [row["p"] for row in of_one] == [1 / 10_001] * 2
        assert [row["p_holm"] for row in of_one] == [2 / 10_001] * 2

    def test_where_few_sessions_differ_there_is_no_p_value(self, two_seeds, tmp_path):
        for row in made("recsys24_main", tmp_path, two_seeds):
            assert row["deciding"] <= 4
            assert row["p"] is row["p_holm"] is None

    def test_without_a_variant_the_table_is_empty_and_whole(self, tmp_path):
        assert (
            made(
                "recsys24_main",
                tmp_path,
                [write_ranks(tmp_path, [1, 2], model="popularity")],
            )
            == []
        )
        assert pq.read_schema(outputs(tmp_path)["parquet"]) == recsys24_main.COLUMNS.schema

    def test_a_variant_that_saw_other_sessions_is_an_error(self, tmp_path):
        ranks = [
            write_ranks(tmp_path, [1, 2, 3]),
            write_ranks(tmp_path, [1, 2], variant="contrastive-item"),
        ]
        with pytest.raises(ValueError, match="not the test sessions"):
            made("recsys24_main", tmp_path, ranks)
        ranks = [
            write_ranks(tmp_path, [1, 2, 3], model="bpr"),
            write_ranks(tmp_path, [1, 2], model="bpr", seed=2),
        ]
        with pytest.raises(UserError, match="did not rank the same sessions"):
            RankedRuns(ranks)["toy", "paper", "bpr", "orig"]

    def test_pages_say_simulated(self, two_seeds, tmp_path):
        rows = made("recsys24_main", tmp_path, two_seeds, simulated=["toy"])
        assert {row["data"] for row in rows} == {"simulated"}
        page = Path(outputs(tmp_path)["html"]).read_text(encoding="utf-8")
        assert SIMULATED in page
        assert "95 % interval over clusters of sessions and over seeds" in page
        assert "With fewer than 3 seeds (toy) intervals are of these very trainings" in page


class TestPapersLayout:
    """Forty sessions: the target goes from rank 30 to 1 on toy, and stays where it is on other."""

    @pytest.fixture
    def ranks(self, tmp_path):
        moved = {"orig": [30] * 40, "contrastive-hidden": [1] * 40, "contrastive-item": [30] * 40}
        return [
            write_ranks(
                tmp_path,
                rank if dataset == "toy" else [3] * 40,
                dataset=dataset,
                model=model,
                variant=variant,
            )
            for dataset, models in (("toy", ("sasrec", "wrmf")), ("other", ("sasrec",)))
            for model in models
            for variant, rank in moved.items()
        ]

    def wide(self, name, tmp_path, ranks, **settings):
        papers = PAPERS | {"models": PAPERS["models"] | {"SASRec": "sasrec"}}
        settings |= {"simulated": [], "intervals": INTERVALS, "papers": papers}
        needs = {"ranks": ranks, "split": splits_of(ranks, "new"), "papers": PRINTED}
        given = given_for(needs, {}, settings)
        table = find("table", name)
        return table.wide(given, table.rows(given))

    def test_one_row_per_data_set_and_metric_and_the_models_side_by_side(self, ranks, tmp_path):
        found = self.wide("recsys24_main", tmp_path, ranks, forms={})
        assert [table.candidates for table in found] == ["new", "full", "sampled"]
        assert found[0].heading == "new candidates, split paper; headline of toy, other"
        assert found[0].models == {
            "SASRec": ["orig", "ours", "contrastive-item"],
            "WRMF": ["orig", "ours", "contrastive-item"],
        }
        assert found[0].starts == [0, 3]
        cells = {(dataset, metric): cells for dataset, metric, cells in found[0].rows}
        assert list(cells) == [
            (dataset, metric)
            for dataset in ("toy", "other")
            for metric in ("hr_1", "hr_5", "hr_10", "hr_20", "map_10")
        ]
        orig, ours, item, *_ = cells["toy", "hr_10"]
        assert (orig.value, orig.difference, ours.value, ours.difference) == (0, None, 1, 1)
        assert (ours.star, item.star, item.difference) == ("*", "", 0)
        assert cells["other", "hr_10"][3:] == [None] * 3  # no such run
        assert not any(cell.printed for line in cells.values() for cell in line if cell)
        assert found[0].source == ""

    def test_what_the_paper_prints_stands_apart_and_only_by_the_form(self, ranks, tmp_path):
        renamed = [path.replace("model=sasrec/", "model=sasrec-papers/") for path in ranks]
        for old, new in zip(ranks, renamed, strict=True):
            Path(new).parent.mkdir(parents=True, exist_ok=True)
            Path(old).rename(new)
        papers = default_config()["papers"]
        settings = {"forms": {"toy": "mssd"}, "papers": papers}
        for name, source, printed in (
            ("recsys24_main", "2409.07367", ["0.377", "0.410", None]),
            ("murs23_context", "2309.11623", ["0.2821", "0.3049", "0.3073"]),
        ):
            needs = {"ranks": renamed, "split": splits_of(renamed, "new"), "papers": PRINTED}
            files = outputs(tmp_path, name)
            settings |= {"simulated": [], "intervals": INTERVALS}
            make_table(name, given_for(needs, files, settings))
            given = given_for(needs, {}, settings)
            table = find("table", name)
            for wide in table.wide(given, table.rows(given)):
                cells = {(row[0], row[1]): row[2] for row in wide.rows}
                assert [cell.printed for cell in cells["toy", "hr_1"]] == printed
                assert [cell.printed for cell in cells["other", "hr_1"]] == [None] * 3
                assert source in wide.source
                assert "no number of this run" in wide.note
                assert wide.note.startswith("With fewer than 3 seeds (toy, other) intervals are of")
            page, tex = (Path(files[kind]).read_text(encoding="utf-8") for kind in ("html", "tex"))
            assert page.index('class="wide"') < page.index('class="long"') < page.index('id="rows"')
            assert f"</span>{printed[0]}</i>" in page
            assert rf"\textcolor{{gray}}{{{printed[0]}}}" in tex
            assert tex.count(r"\begin{table}") == tex.count(r"\end{table}") == 3
            assert printed[0] not in Path(files["csv"]).read_text(encoding="utf-8")


class TestMurs23:
    def test_it_holds_the_transformers_under_the_papers_names(self, tmp_path):
        ranks = [
            write_ranks(tmp_path, [1, 3, 9], model=model, variant=variant)
            for model in ("wrmf", "sasrec", "bert4rec", "gru4rec")
            for variant in ("orig", "contrastive-hidden", "contrastive-item", "bl")
        ]
        rows = made("murs23_context", tmp_path, ranks, papers=PAPERS)
        assert {(row["model"], row["context"]) for row in rows} == {
            ("sasrec", "Uni"),
            ("bert4rec", "Bi"),
        }
        assert {(row["variant"], row["skips"]) for row in rows} == {
            ("contrastive-hidden", "S+ c=ŷ"),
            ("contrastive-item", "S+ c=e"),
        }
        assert [row["metric"] for row in rows[:4]] == ["hr_1", "hr_5", "hr_10", "hr_20"]


class TestSkips:
    def test_values(self, two_seeds, tmp_path):
        table = made("skip_downranking", tmp_path, two_seeds)
        rows = {row["metric"]: row for row in table if row["candidates"] == "full"}
        # Three unseen skips; orig ranks them 2, 12, 5 and 1, 12, 5; ours 4, 50, 9 and 3, 11, 2.
        assert rows["mrr_skipped_10"]["reference_value"] == pytest.approx(
            ((1 / 2 + 0 + 1 / 5) / 3 + (1 + 0 + 1 / 5) / 3) / 2
        )
        assert rows["mrr_skipped_10"]["value"] == pytest.approx(
            ((1 / 4 + 0 + 1 / 9) / 3 + (1 / 3 + 0 + 1 / 2) / 3) / 2
        )
        assert rows["hr_skipped_5"]["reference_value"] == pytest.approx((2 / 3 + 2 / 3) / 2)
        assert rows["hr_skipped_5"]["value"] == pytest.approx((1 / 3 + 2 / 3) / 2)
        assert rows["delta_hr_10"]["reference_value"] == pytest.approx(3 / 4 - 2 / 3)
        assert rows["delta_hr_10"]["value"] == pytest.approx((4 / 4 + 3 / 4) / 2 - 2 / 3)
        gain = np.mean(
            [
                1 / log2(2),
                1 / log2(3),
                1 / log2(9),
                1 / log2(11),
                1 / log2(2),
                1 / log2(2),
                1 / log2(10),
                0,
            ]
        )
        skips = np.mean([1 / log2(5), 0, 1 / log2(10), 1 / log2(4), 0, 1 / log2(3)])
        assert rows["delta_ndcg_10"]["value"] == pytest.approx(gain - skips)
        # Pairs in order: orig 1<2, 1<12, 4<5 and not 2<1, 2<12, 4<5; ours 1<4, 1<50, 2<9 and 1<3,
        # 1<11, 1<2.
        assert rows["pairwise_accuracy"]["reference_value"] == pytest.approx((3 / 3 + 2 / 3) / 2)
        assert rows["pairwise_accuracy"]["value"] == pytest.approx(1)
        # No target repeats and no track of a context scores higher, so new candidates say the same.
        new = {row["metric"]: row for row in table if row["candidates"] == "new"}
        assert len(table) == len(rows) + len(new)
        assert new == {
            metric: row | {"candidates": "new", "headline": False} for metric, row in rows.items()
        }

    def test_they_are_those_of_the_metrics_artifact(self, tmp_path):
        rng = np.random.default_rng(3)
        skips = [rng.integers(1, 30, rng.integers(0, 4)).tolist() for _ in range(50)]
        new = [[rank if rng.random() < 0.7 else None for rank in ranks] for ranks in skips]
        path = write_ranks(
            tmp_path,
            rng.integers(1, 30, 50),
            skips=skips,
            skips_new=new,
            repeat=(rng.random(50) < 0.3).tolist(),
        )
        ranked = Ranked.read([path])
        table = summarise(read_artifact("ranks", path), CUTOFFS).to_pylist()
        metrics = {
            (
                row["candidates"],
                f"{row['metric']}_{row['k']}" if row["k"] else row["metric"],
            ): row["value"]
            for row in table
            if row["subset"] == "all"
        }
        for candidates in ("full", "new"):
            of_candidates = ranked.among(candidates)
            for measure in skip_measures(CUTOFFS, candidates):
                assert measure.of_seeds(of_candidates) == pytest.approx(
                    [metrics[candidates, measure.name]], abs=1e-12
                ), (candidates, measure.name)

    def test_the_interval_of_a_mean_over_skips_resamples_sessions(self, tmp_path):
        rng = np.random.default_rng(4)
        skips = [
            [int(rank) for rank in rng.integers(1, 25, size)] for size in rng.integers(0, 5, 200)
        ]
        lower = [[rank + int(rng.integers(0, 6)) for rank in session] for session in skips]
        ranks = [
            write_ranks(tmp_path, [5] * 200, skips=skips),
            write_ranks(tmp_path, [5] * 200, skips=lower, variant="nr"),
        ]
        orig, ours = (Ranked.read([path]) for path in ranks)
        found = Intervals(**INTERVALS).difference(skip_measures(CUTOFFS, "full")[0], ours, orig)
        values = [
            np.array([sum(1 / r for r in session if r <= 10) for session in run])
            for run in (lower, skips)
        ]
        counts = np.array([len(session) for session in skips])
        chosen = rng.integers(0, 200, (20_000, 200))
        plain = (values[0] - values[1])[chosen].sum(1) / counts[chosen].sum(1)
        assert found.value == pytest.approx((values[0] - values[1]).sum() / counts.sum())
        assert found.interval(0.95) == pytest.approx(
            np.quantile(plain, [0.025, 0.975]), abs=0.15 * plain.std()
        )

    def test_where_nothing_was_skipped_nothing_is_known(self, tmp_path):
        ranks = [
            write_ranks(tmp_path, [1, 2]),
            write_ranks(tmp_path, [2, 1], variant="contrastive-item"),
        ]
        rows = {row["metric"]: row for row in made("skip_downranking", tmp_path, ranks)}
        assert rows["mrr_skipped_10"]["value"] is None
        assert rows["pairwise_accuracy"]["p_holm"] is None

    def test_among_new_candidates_tracks_of_the_context_are_no_skips_to_find(self, tmp_path):
        """The second target repeats, so its skips do not count; the first of the others is a track
        of the context: it has no rank, which is past every cut-off.
        """
        repeat = {"repeat": [False, True, False]}
        skips = [[1, 6], [2], [9]]
        ranks = [
            write_ranks(tmp_path, [2, 3, 4], skips=skips, skips_new=new, variant=variant, **repeat)
            for variant, new in (
                ("orig", [[None, 5], [1], [8]]),
                ("contrastive-item", [[None, 2], [1], [4]]),
            )
        ]
        rows = {
            row["metric"]: row
            for row in made("skip_downranking", tmp_path, ranks, headline="new")
            if row["candidates"] == "new"
        }
        mrr = rows["mrr_skipped_10"]
        assert mrr["sessions"] == 2
        assert mrr["reference_value"] == pytest.approx((0 + 1 / 5 + 1 / 8) / 3)
        assert mrr["value"] == pytest.approx((0 + 1 / 2 + 1 / 4) / 3)
        assert rows["delta_hr_10"]["value"] == pytest.approx(2 / 2 - 2 / 3)
        # By scores: 1 before 2, 6 and 9 after their targets.
        assert rows["pairwise_accuracy"]["value"] == pytest.approx(2 / 3)
        assert all(row["headline"] for row in rows.values())


class TestSkipShare:
    def test_gain_by_quartile(self, tmp_path):
        share = [0.1, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.9]
        ranks = [
            write_ranks(tmp_path, [20] * 8, share=share),
            write_ranks(
                tmp_path, [20, 20, 20, 20, 20, 1, 1, 1], share=share, variant="contrastive-item"
            ),
        ]
        rows = made("by_skip_share", tmp_path, ranks)
        hits = {
            row["quartile"]: row
            for row in rows
            if row["candidates"] == "full" and row["metric"] == "hr_10"
        }
        # Quartile limits are 0.175, 0.35 and 0.525.
        assert [hits[q]["sessions"] for q in (1, 2, 3, 4)] == [2, 2, 2, 2]
        assert [hits[q]["difference"] for q in (1, 2, 3, 4)] == [0, 0, 1 / 2, 1]
        assert hits[3]["share_low"] == pytest.approx(0.4)
        assert hits[4]["share_high"] == pytest.approx(0.9)
        assert len(rows) == 3 * 2 * 4  # candidates × metrics × quartiles

    def test_equal_shares_are_in_one_quartile(self):
        share = np.array([0.5] * 6 + [0.1, 0.9])
        found = quartiles(share)
        assert len(set(found[:6])) == 1
        assert found[6] <= found[0] < found[7]

    def test_a_subset_is_what_its_sessions_are(self, two_seeds):
        ranked = Ranked.read(two_seeds[:2])
        part = subset(ranked, np.array([False, True, False, True]))
        assert part.rank["full"].tolist() == [[4, 10], [4, 10]]
        assert part.skip_rank["full"].tolist() == [[5], [5]]
        assert part.n_skips.tolist() == [1, 0]
        assert part.cluster.tolist() == [2, 4]


class TestPaperComparison:
    @pytest.fixture
    def tables(self, tmp_path):
        """The tables of a run of SASRec on a data set in the form of MSSD, where the second of
        four targets repeats.
        """
        new = {"repeat": [False, True, False, False], "model": "sasrec-papers"}
        ranks = {
            "orig": write_ranks(
                tmp_path,
                [1, 4, 30, 10],
                skips=[[2], [], [], []],
                sampled=[1, 2, 3, 4],
                dataset="mssd-sim",
                **new,
            ),
            "blind": write_ranks(tmp_path, [9] * 4, dataset="mssd-sim", variant="blind", **new),
            "contrastive-hidden": write_ranks(
                tmp_path,
                [1, 1, 30, 10],
                skips=[[4], [], [], []],
                skips_new=[[3], [], [], []],
                sampled=[1, 1, 3, 4],
                dataset="mssd-sim",
                variant="contrastive-hidden",
                **new,
            ),
        }
        metric_files = [path.replace("ranks", "metrics") for path in ranks.values()]
        for path, metrics in zip(ranks.values(), metric_files, strict=True):
            compute_metrics(path, metrics, cutoffs=CUTOFFS)
        names = ("hr_ndcg", "recsys24_main", "skip_downranking")
        needs = {"ranks": list(ranks.values()), "metrics": metric_files, "papers": PRINTED}
        needs |= {"split": splits_of(needs["ranks"]), "run": []}
        settings = {"simulated": ["mssd-sim"], "intervals": INTERVALS, "metrics": CUTOFFS}
        settings["sources"] = defaultdict(lambda: "as configured")
        settings |= {"papers": default_config()["papers"], "forms": {"mssd-sim": "mssd"}}
        for name in names:
            make_table(name, given_for(needs, outputs(tmp_path, name), settings))
        return {name: outputs(tmp_path, name)["parquet"] for name in names}

    def rows(self, tables, tmp_path, forms):
        needs = tables | {"papers": PRINTED}
        given = given_for(needs, outputs(tmp_path, "paper"), {"forms": forms})
        make_table("paper_comparison", given)
        return pq.read_table(outputs(tmp_path, "paper")["parquet"], partitioning=None).to_pylist()

    def test_every_printed_cell_is_there_once_and_ours_beside_it(self, tables, tmp_path):
        rows = self.rows(tables, tmp_path, {"mssd-sim": "mssd"})
        assert len(rows) == 2 * 3 * 4 + 3 * 5 * (4 * 2 + 2 * 3) + 3 * 2 * 2
        cell = {
            (row["table"], row["form"], row["model"], row["variant"], row["metric"]): row
            for row in rows
        }
        row = cell["recsys24", "mssd", "sasrec-papers", "contrastive-hidden", "hr_1"]
        assert row["paper"] == 0.410
        assert row["paper_relative_change"] == pytest.approx(0.410 / 0.377 - 1)
        assert (row["ours_sampled"], row["ours_full"], row["ours_new"]) == (2 / 4, 2 / 4, 1 / 3)
        assert row["ours_sampled_relative_change"] == pytest.approx(1)
        assert (row["dataset"], row["data"]) == ("mssd-sim", "simulated")
        assert "arXiv 2409.07367" in row["source"]
        orig = cell["murs23", "mssd", "sasrec-papers", "orig", "hr_5"]
        assert orig["paper"] == 0.4803
        assert orig["paper_relative_change"] is None
        # Not that of the row orig − blind.
        assert (orig["ours_sampled"], orig["ours_full"], orig["ours_new"]) == (4 / 4, 2 / 4, 1 / 3)
        assert orig["ours_full_relative_change"] is None
        skips = cell[
            "recsys24-skips", "mssd", "sasrec-papers", "contrastive-hidden", "mrr_skipped_10"
        ]
        assert (skips["paper"], skips["ours_full"], skips["ours_sampled"]) == (0.950, 1 / 4, None)
        assert skips["ours_new"] == 1 / 3

    def test_a_cell_without_a_counterpart_stays_and_is_empty(self, tables, tmp_path):
        rows = self.rows(tables, tmp_path, {"mssd-sim": "events"})
        assert len(rows) == 246
        assert all(row["ours_full"] is None and row["dataset"] is None for row in rows)

    @pytest.mark.parametrize(
        ("cell", "value"),
        [
            (("murs23", "mssd", "bert4rec-papers", "contrastive-item", "hr_1"), 0.2339),
            (("recsys24", "lfm2b", "bpr-defaults", "nr", "hr_20"), 0.348),
            (("recsys24", "lfm1k", "wrmf-defaults", "bl", "hr_5"), 0.146),
            (("recsys24", "lfm1k", "caser-papers", "orig", "map_10"), 0.037),
            (("recsys24", "mssd", "bert4rec-papers", "contrastive-hidden", "hr_10"), 0.693),
            (
                (
                    "recsys24-skips",
                    "lfm2b",
                    "sasrec-papers",
                    "contrastive-hidden",
                    "mrr_skipped_10",
                ),
                0.911,
            ),
        ],
    )
    def test_cells_of_the_papers(self, tables, tmp_path, cell, value):
        rows = self.rows(tables, tmp_path, {"mssd-sim": "mssd"})
        names = ("table", "form", "model", "variant", "metric")
        assert [row["paper"] for row in rows if tuple(row[name] for name in names) == cell] == [
            value
        ]


def test_the_headline_ranks_are_those_of_the_sessions_that_count(tmp_path):
    skips = {"skips": [[1], [2], [3, 4]], "skips_new": [[1], [1], [None, 2]]}
    repeat = {"new": [4, None, 1], "repeat": [False, True, False]}
    path = write_ranks(tmp_path, [5, 6, 7], **skips, **repeat)
    key = ("toy", "paper", "sasrec", "orig")
    for headline, rank, skip_rank in (
        ("full", [5, 6, 7], [1, 2, 3, 4]),
        ("new", [4, 1], [1, np.nan, 2]),
    ):
        found = RankedRuns([path], headlines(splits_of([path], headline)))[key]
        np.testing.assert_array_equal(found.rank["headline"], [rank])
        np.testing.assert_array_equal(found.skip_rank["headline"], [skip_rank])
        assert found.session_id.tolist() == ([1, 2, 3] if headline == "full" else [1, 3])


def test_headlines_are_by_data_set_and_split(tmp_path):
    files = [str(paths.result("split", tmp_path, dataset=d, split=s)) for d in "ab" for s in "xy"]
    for path, headline in zip(files, ("full", "new", "new", "full"), strict=True):
        write_json({"headline": headline}, path)
    assert headlines(files) == {
        ("a", "x"): "full",
        ("a", "y"): "new",
        ("b", "x"): "new",
        ("b", "y"): "full",
    }


def test_a_measure_of_a_rank_past_the_cut_off_is_a_miss(tmp_path):
    ranked = Ranked.read([write_ranks(tmp_path, [None, 3])])
    assert mean_measure("hr", 10, "full").of_seeds(ranked).tolist() == [1 / 2]


def test_holm_leaves_out_what_is_not_known():
    rows = [{"p": 0.01, "of": 1}, {"p": None, "of": 1}, {"p": 0.04, "of": 1}, {"p": 0.03, "of": 2}]
    assert [row["p_holm"] for row in with_holm(rows, ("of",))] == [0.02, None, 0.04, 0.03]


@pytest.mark.parametrize("table", ["recsys24_main", "skip_downranking", "by_skip_share"])
def test_without_a_new_target_nothing_is_known_of_new_candidates(tmp_path, table):
    repeat = [True] * 3
    ranks = [
        write_ranks(tmp_path, [1, 4, 2], skips=[[3], [], [9]], repeat=repeat, variant=variant)
        for variant in ("orig", "contrastive-item")
    ]
    rows = made(table, tmp_path, ranks)
    new = [row for row in rows if row["candidates"] == "new"]
    assert new
    assert {row["sessions"] for row in new} == {0}
    assert {row["value"] for row in new} == {row["difference"] for row in new} == {None}
    assert {row["p_holm"] for row in new} == {None}
