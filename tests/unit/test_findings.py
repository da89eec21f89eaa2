"""The verdicts on the papers' claims: planted ranks of which each claim's truth is known."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from examples import ROOT, default_config, given_for, splits_of
from skipwise.core.registry import find, names
from skipwise.evaluation.evidence import FAILS, HOLDS, UNKNOWN, ordered_claims, verdict
from skipwise.report.tables.findings import AS_BUILT, AS_PRINTED, ON_SIMULATED
from skipwise.report.write import make_table
from test_comparisons import INTERVALS, outputs, write_ranks

# With the plain names of the models.
PAPERS = default_config()["papers"]
PAPERS = {"models": PAPERS["field"], "variants": PAPERS["variants"]}
NEURAL = ("sasrec", "bert4rec", "gru4rec", "caser")
N = 400
SHARE = np.linspace(0.05, 0.9, N)


def found(folder, ranks, *, simulated=(), forms=None, headline="full", papers=PAPERS) -> list[dict]:
    settings = {
        "simulated": list(simulated),
        "intervals": INTERVALS,
        "papers": papers,
        "forms": forms or {"toy": "mssd"},
    }
    needs = {
        "ranks": ranks,
        "split": splits_of(ranks, headline),
        "papers": str(ROOT / "resources/paper_results.csv"),
    }
    make_table("findings", given_for(needs, outputs(folder), settings))
    return pq.read_table(outputs(folder)["parquet"], partitioning=None).to_pylist()


def verdicts(rows, claim, **where) -> set[str]:
    """Verdicts of a claim's rows about single models."""
    rows = [row for row in rows if row["claim"] == claim and row["model"] is not None]
    return {
        row["verdict"] for row in rows if all(row[key] == value for key, value in where.items())
    }


def planted(folder, hit_rates, *, dataset="toy", skip_rank=None, seed=1) -> list[str]:
    """Ranks that are 1 in a share of the sessions and 50 in the others; the share may be a function
    of the skip share.
    """
    paths = []
    for (model, variant), rate in hit_rates.items():
        rng = np.random.default_rng([seed, 7])  # the same sessions are easy for all
        hit = rng.random(N) < (rate(SHARE) if callable(rate) else rate)
        skips = [[(skip_rank or {}).get((model, variant), 5)]] * N
        paths.append(
            write_ranks(
                folder,
                np.where(hit, 1, 50),
                skips=skips,
                share=SHARE,
                dataset=dataset,
                model=model,
                variant=variant,
            )
        )
    return paths


def everything(better: float) -> dict:
    """Hit rates in which all that the papers say of hit rates is true (better > 0) or the other way
    round.
    """
    rates = {}
    for i, model in enumerate(NEURAL):
        base = 0.5 - 0.1 * better * i
        rates[model, "orig"] = base
        rates[model, "contrastive-hidden"] = base + 0.1 * better
        rates[model, "contrastive-item"] = base + 0.2 * better
    for model in ("wrmf", "bpr"):
        rates[model, "orig"] = 0.3
        rates[model, "bl"] = 0.3 + 0.1 * better
        rates[model, "nr"] = 0.3 + 0.2 * better
    return rates


def test_what_is_true_holds(tmp_path):
    sinks = {
        (model, variant): 20
        for model in NEURAL
        for variant in ("contrastive-hidden", "contrastive-item")
    }
    rows = found(
        tmp_path, planted(tmp_path, everything(1), skip_rank=sinks), forms={"toy": "lfm2b"}
    )
    for claim in (
        "helps everywhere",
        "unidirectional beats bidirectional",
        "c = e beats c = ŷ",
        "SASRec is best",
    ):
        assert verdicts(rows, claim) == {HOLDS}, claim
    assert verdicts(rows, "skips sink") == {HOLDS}
    assert verdicts(rows, "skips help factorisation") == {HOLDS}
    summary = next(
        row for row in rows if row["claim"] == "helps everywhere" and row["model"] is None
    )
    assert summary["verdict"] == HOLDS
    assert summary["note"] == "holds in 8, does not hold in 0, cannot be told in 0 of 8 rows."


def test_findings_are_of_the_headline_candidates(tmp_path):
    """In the catalogue the variant is worse, among new candidates better; a quarter of the targets
    repeat.
    """
    repeat = np.arange(N) % 4 == 0
    ranks = []
    for variant, full, new in (("orig", 1, 50), ("contrastive-hidden", 50, 1)):
        among = [None if again else new for again in repeat]
        skips = {"skips": [[5]] * N, "skips_new": [[4 if variant == "orig" else 8]] * N}
        given = skips | {"new": among, "repeat": repeat.tolist(), "share": SHARE}
        ranks.append(write_ranks(tmp_path, [full] * N, variant=variant, **given))
    for headline, expected, sessions, sinks in (
        ("full", FAILS, N, 0),
        ("new", HOLDS, N * 3 // 4, 1 / 8 - 1 / 4),
    ):
        rows = found(tmp_path, ranks, headline=headline)
        assert verdicts(rows, "helps everywhere") == {expected}
        by_claim = {row["claim"]: row for row in rows if row["model"]}
        row = by_claim["helps everywhere"]
        assert (row["candidates"], row["sessions"]) == (headline, sessions)
        assert abs(row["estimate"]) == 1
        assert by_claim["skips sink"]["estimate"] == pytest.approx(sinks)


def test_a_run_without_labels_makes_no_claim_of_its_own(tmp_path):
    """orig against blind is no variant with the term."""
    rates = {("sasrec", "orig"): 0.5, ("sasrec", "contrastive-hidden"): 0.6}
    before = found(tmp_path, planted(tmp_path, rates))
    assert found(tmp_path, planted(tmp_path, rates | {("sasrec", "blind"): 0.1})) == before


def test_what_is_false_does_not_hold(tmp_path):
    rows = found(tmp_path, planted(tmp_path, everything(-1)))
    for claim in (
        "helps everywhere",
        "unidirectional beats bidirectional",
        "c = e beats c = ŷ",
        "SASRec is best",
    ):
        assert verdicts(rows, claim) == {FAILS}, claim


def test_where_nothing_differs_nothing_can_be_told(tmp_path):
    rows = found(tmp_path, planted(tmp_path, everything(0)))
    assert {row["verdict"] for row in rows} == {UNKNOWN}


def test_bert4rec_on_mssd_is_the_exception(tmp_path):
    sasrec, bert4rec = "sasrec-papers", "bert4rec-papers"  # of which the papers print numbers
    rates = {
        (model, variant): 0.5
        for model in (sasrec, bert4rec)
        for variant in ("orig", "contrastive-hidden")
    }
    sinks = {(sasrec, "contrastive-hidden"): 9, (bert4rec, "contrastive-hidden"): 9}
    ranks = planted(tmp_path, rates, skip_rank=sinks)
    papers = default_config()["papers"]
    on_mssd = found(tmp_path, ranks, forms={"toy": "mssd"}, papers=papers)
    assert verdicts(on_mssd, "skips sink", model=sasrec) == {HOLDS}
    assert verdicts(on_mssd, "skips sink", model=bert4rec) == {
        FAILS
    }  # the papers say that they rise there
    elsewhere = found(tmp_path, ranks, forms={"toy": "lfm1k"}, papers=papers)
    assert verdicts(elsewhere, "skips sink", model=bert4rec) == {HOLDS}
    row = next(row for row in on_mssd if row["claim"] == "skips sink" and row["model"] == sasrec)
    assert row["estimate"] == pytest.approx(1 / 9 - 1 / 5)
    assert row["papers_print"] == "mrr_skipped at 10 0.960 → 0.950 (recsys24-skips)"


def test_every_claim_is_put_to_both_settings_of_a_model(tmp_path):
    rates = {
        ("sasrec-papers", "orig"): 0.5,
        ("sasrec-papers", "contrastive-hidden"): 0.7,
        ("sasrec", "orig"): 0.7,
        ("sasrec", "contrastive-hidden"): 0.5,
        ("wrmf", "orig"): 0.5,
        ("wrmf", "nr"): 0.7,
    }
    rows = found(tmp_path, planted(tmp_path, rates), papers=default_config()["papers"])
    told = {
        (row["model"], row["settings"]): (row["verdict"], row["other_settings"])
        for row in rows
        if row["claim"] == "helps everywhere" and row["model"]
    }
    assert told == {
        ("sasrec-papers", AS_PRINTED): (HOLDS, FAILS),
        ("sasrec", AS_BUILT): (FAILS, HOLDS),
    }
    # A model that is the same in both has one row.
    of_wrmf = [row for row in rows if row["model"] == "wrmf" and row["variant"] == "nr"]
    assert [row["other_settings"] for row in of_wrmf] == [None]


def test_a_gain_that_grows_with_skips(tmp_path):
    rates = {
        ("sasrec", "orig"): 0.3,
        ("sasrec", "contrastive-hidden"): lambda share: 0.3 + 0.6 * (share > 0.6),
    }
    rows = found(tmp_path, planted(tmp_path, rates))
    assert verdicts(rows, "gain grows with skips") == {HOLDS}
    row = next(row for row in rows if row["claim"] == "gain grows with skips" and row["model"])
    assert row["estimate"] == pytest.approx(0.6, abs=0.12)
    rates["sasrec", "contrastive-hidden"] = lambda share: 0.3 + 0.6 * (share < 0.3)
    assert verdicts(found(tmp_path, planted(tmp_path, rates)), "gain grows with skips") == {FAILS}


def test_a_gain_at_small_k(tmp_path):
    orig = [1] * 100 + [15] * 100 + [50] * 200
    ours = [1] * 200 + [50] * 200
    ranks = [write_ranks(tmp_path, orig), write_ranks(tmp_path, ours, variant="contrastive-item")]
    row = next(
        row for row in found(tmp_path, ranks) if row["claim"] == "most at small k" and row["model"]
    )
    assert row["estimate"] == pytest.approx(200 / 100 - 200 / 200)
    assert row["verdict"] == HOLDS
    # Turned round, the loss is largest at small k.
    ranks = [
        write_ranks(tmp_path, ours, model="caser"),
        write_ranks(tmp_path, orig, model="caser", variant="contrastive-item"),
    ]
    row = next(
        row for row in found(tmp_path, ranks) if row["claim"] == "most at small k" and row["model"]
    )
    assert row["estimate"] == pytest.approx(100 / 200 - 200 / 200)
    assert row["verdict"] == FAILS


def test_data_sets_in_their_order(tmp_path):
    ranks, forms = [], {"a": "mssd", "b": "lfm2b", "c": "lfm1k"}
    for dataset, rate in (("a", 0.8), ("b", 0.5), ("c", 0.52)):
        ranks += planted(
            tmp_path, {("sasrec", "contrastive-hidden"): rate}, dataset=dataset, seed=ord(dataset)
        )
    rows = [
        row
        for row in found(tmp_path, ranks, forms=forms)
        if row["claim"] == "MSSD > LFM-2B > LFM-1K" and row["model"]
    ]
    assert [(row["measured"], row["verdict"]) for row in rows] == [
        ("HR@10 of SASRec, a − b", HOLDS),
        ("HR@10 of SASRec, b − c", UNKNOWN),
    ]


def test_the_best_is_measured_against_the_nearest(tmp_path):
    rates = {
        ("sasrec", "contrastive-hidden"): 0.6,
        ("gru4rec", "contrastive-hidden"): 0.5,
        ("wrmf", "nr"): 0.2,
    }
    row = next(
        row
        for row in found(tmp_path, planted(tmp_path, rates))
        if row["claim"] == "SASRec is best" and row["model"]
    )
    assert row["model"] == "sasrec − gru4rec"
    assert row["estimate"] == pytest.approx(0.1, abs=0.05)


def test_a_claim_that_cannot_be_put_says_why(tmp_path):
    rows = found(tmp_path, [write_ranks(tmp_path, [1, 2, 3], model="popularity")])
    assert [row["claim"] for row in rows] == [
        find("claim", name).CLAIM.name for name in ordered_claims()
    ]
    assert sorted(ordered_claims()) == names("claim")
    assert {row["verdict"] for row in rows} == {UNKNOWN}
    assert all("lacks" in row["note"] for row in rows)


def test_simulated_data_is_called_so_in_every_row(tmp_path):
    rows = found(tmp_path, planted(tmp_path, everything(1)), simulated=["toy"])
    assert all(
        ON_SIMULATED in row["note"] and row["data"] == "simulated"
        for row in rows
        if "lacks" not in row["note"]
    )
    assert ON_SIMULATED in Path(outputs(tmp_path)["csv"]).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("sign", "low", "high", "p_holm", "expected"),
    [
        (1, 0.1, 0.2, 0.01, HOLDS),
        (1, -0.2, -0.1, 0.01, FAILS),
        (-1, -0.2, -0.1, 0.01, HOLDS),
        (-1, 0.1, 0.2, 0.01, FAILS),
        (1, 0.1, 0.2, 0.051, UNKNOWN),
        (1, -0.1, 0.2, 0.01, UNKNOWN),
        (1, None, None, None, UNKNOWN),
    ],
)
def test_a_verdict_takes_the_interval_and_the_correction(sign, low, high, p_holm, expected):
    row = {"estimate_low": low, "estimate_high": high, "p_holm": p_holm}
    assert verdict(sign, row, 0.95) == expected


def test_a_seed_that_says_the_opposite_leaves_it_open(tmp_path):
    """One collapsed run of the reference makes a large mean difference; the other seeds do not see
    it.
    """
    ours, fine, collapsed = [1] * 300 + [50] * 100, [1] * 304 + [50] * 96, [50] * 400
    ranks = [
        write_ranks(tmp_path, rank, variant=variant, seed=seed)
        for variant, runs in (("orig", (fine, collapsed)), ("contrastive-hidden", (ours, ours)))
        for seed, rank in enumerate(runs, start=1)
    ]
    row = next(
        row for row in found(tmp_path, ranks) if row["claim"] == "helps everywhere" and row["model"]
    )
    assert row["estimate_low"] > 0
    assert row["p_holm"] < 0.001
    assert (row["single_seed_low"], row["single_seed_high"]) == pytest.approx((-0.01, 0.75))
    assert row["verdict"] == UNKNOWN
