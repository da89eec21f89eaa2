"""The verdicts on the papers' claims: planted ranks of which each claim's truth is known."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from examples import ROOT, default_config, given_for, splits_of
from skipwise.core import paths
from skipwise.core.artifacts import write_json
from skipwise.core.registry import find, names
from skipwise.evaluation.comparisons import Intervals
from skipwise.evaluation.evidence import (
    FAILS,
    HOLDS,
    MIXED,
    UNKNOWN,
    Claim,
    ordered_claims,
    summarised,
    verdict,
)
from skipwise.report.tables.findings import AS_BUILT, AS_PRINTED, ON_SIMULATED
from skipwise.report.write import make_table
from test_comparisons import INTERVALS, outputs, write_ranks

pytestmark = pytest.mark.long

# With the plain names of the models.
PAPERS = default_config()["papers"]
PAPERS = {"models": PAPERS["field"], "variants": PAPERS["variants"]}
NEURAL = ("sasrec", "bert4rec", "gru4rec", "caser")
N = 400
SHARE = np.linspace(0.05, 0.9, N)


def found(
    folder, ranks, *, simulated=(), forms=None, headline="full", papers=PAPERS, failed="none"
) -> list[dict]:
    """The rows; of the trainings whose path has ``failed`` nothing was learned."""
    settings = {
        "simulated": list(simulated),
        "intervals": INTERVALS,
        "papers": papers,
        "forms": forms or {"toy": "mssd"},
    }
    needs = {
        "ranks": ranks,
        "run": [write_validation(path, learned=failed not in path) for path in ranks],
        "split": splits_of(ranks, headline),
        "papers": str(ROOT / "resources/paper_results.csv"),
    }
    make_table("findings", given_for(needs, outputs(folder), settings))
    return pq.read_table(outputs(folder)["parquet"], partitioning=None).to_pylist()


def write_validation(ranks: str, *, learned: bool = True) -> str:
    """The run.json of a run; variants with skips are the best of their models on validation."""
    path = paths.beside(ranks, "run")
    better = not any(f"variant={name}/" in ranks for name in ("orig", "blind"))
    run = {"valid_ndcg_10": 0.1 + 0.1 * better, "settings": {}, "learned": learned}
    write_json(run, path)
    return str(path)


def verdicts(rows, claim, **where) -> set[str]:
    """Verdicts of a claim's rows about single models."""
    rows = [row for row in rows if row["claim"] == claim and row["model"] is not None]
    return {
        row["verdict"] for row in rows if all(row[key] == value for key, value in where.items())
    }


def planted(folder, hit_rates, *, dataset="toy", skip_rank=None, seed=1) -> list[str]:
    """Ranks that are 1 in a share of the sessions and 50 in the others, for three seeds that agree;
    the share may be a function of the skip share.
    """
    found = []
    for (model, variant), rate in hit_rates.items():
        rng = np.random.default_rng([seed, 7])  # the same sessions are easy for all
        hit = rng.random(N) < (rate(SHARE) if callable(rate) else rate)
        skips = [[(skip_rank or {}).get((model, variant), 5)]] * N
        keys = {"dataset": dataset, "model": model, "variant": variant}
        found += thrice(folder, np.where(hit, 1, 50), skips=skips, share=SHARE, **keys)
    return found


def thrice(folder, rank, **given) -> list[str]:
    """The same ranks for three seeds."""
    return [write_ranks(folder, rank, seed=seed, **given) for seed in (1, 2, 3)]


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
        "SASRec is best",
    ):
        assert verdicts(rows, claim) == {HOLDS}, claim
    assert verdicts(rows, "skips sink") == {HOLDS}
    assert verdicts(rows, "skips help factorisation") == {HOLDS}
    summary = next(
        row for row in rows if row["claim"] == "helps everywhere" and row["model"] is None
    )
    assert summary["verdict"] == HOLDS
    assert summary["reason"] == "holds in 8, does not hold in 0, cannot be told in 0 of 8 rows"


def test_a_training_that_learned_nothing_tells_nothing(tmp_path):
    rows = found(
        tmp_path, planted(tmp_path, everything(1)), failed="model=gru4rec/variant=orig/seed=2"
    )
    helps = [row for row in rows if row["claim"] == "helps everywhere" and row["model"]]
    of_it = {row["reason"] for row in helps if row["model"] == "gru4rec"}
    assert of_it == {"a training learned nothing"}
    assert {row["verdict"] for row in helps if row["model"] != "gru4rec"} == {HOLDS}


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
        ranks += thrice(tmp_path, [full] * N, variant=variant, **given)
    for headline, expected, sessions in (("full", FAILS, N), ("new", HOLDS, N * 3 // 4)):
        rows = found(tmp_path, ranks, headline=headline)
        assert verdicts(rows, "helps everywhere") == {expected}
        by_claim = {row["claim"]: row for row in rows if row["model"]}
        row = by_claim["helps everywhere"]
        assert (row["candidates"], row["sessions"]) == (headline, sessions)
        assert abs(row["estimate"]) == 1


def test_a_run_without_labels_makes_no_claim_of_its_own(tmp_path):
    """orig against blind is no variant with the term."""
    rates = {("sasrec", "orig"): 0.5, ("sasrec", "contrastive-hidden"): 0.6}
    before = found(tmp_path, planted(tmp_path, rates))
    assert found(tmp_path, planted(tmp_path, rates | {("sasrec", "blind"): 0.1})) == before


def test_what_is_false_does_not_hold(tmp_path):
    rows = found(tmp_path, planted(tmp_path, everything(-1)))
    for claim in ("helps everywhere", "unidirectional beats bidirectional"):
        assert verdicts(rows, claim) == {FAILS}, claim
    assert verdicts(rows, "SASRec is best", model="sasrec − gru4rec") == {FAILS}
    summary = next(row for row in rows if row["claim"] == "SASRec is best")
    assert summary["verdict"] == FAILS


def test_where_nothing_differs_nothing_can_be_told(tmp_path):
    rates = dict.fromkeys(everything(0), 0.5)
    rows = found(tmp_path, planted(tmp_path, rates))
    assert {row["verdict"] for row in rows} == {UNKNOWN}


def test_the_better_query_is_that_of_the_papers_table(tmp_path):
    """P1 prints HR@10 .5867 and .5836 for c = e and ŷ looking back, .5165 and .5270 both ways."""
    rates = {
        (model, variant): rate
        for model in ("sasrec", "bert4rec")
        for variant, rate in (("contrastive-item", 0.6), ("contrastive-hidden", 0.5))
    }
    rows = found(tmp_path, planted(tmp_path, rates))
    assert verdicts(rows, "c = e beats c = ŷ", model="sasrec") == {HOLDS}
    assert verdicts(rows, "c = e beats c = ŷ", model="bert4rec") == {FAILS}


def test_skips_sink_relative_to_the_target(tmp_path):
    """The skips of half of the sessions pass from above the target to below it."""
    sasrec, bert4rec = "sasrec-papers", "bert4rec-papers"  # of which the papers print numbers
    ranks = []
    for model in (sasrec, bert4rec):
        for variant, of_half in (("orig", 5), ("contrastive-hidden", 50)):
            skips = [[of_half]] * (N // 2) + [[5]] * (N // 4) + [[]] * (N // 4)
            keys = {"model": model, "variant": variant}
            ranks += thrice(tmp_path, [10] * N, skips=skips, share=SHARE, **keys)
    papers = default_config()["papers"]
    on_mssd = found(tmp_path, ranks, papers=papers)
    assert verdicts(on_mssd, "skips sink") == {HOLDS}
    row = next(row for row in on_mssd if row["claim"] == "skips sink" and row["model"] == sasrec)
    assert row["estimate"] == pytest.approx(2 / 3)
    assert (row["sessions"], row["deciding"]) == (N * 3 // 4, N // 2)
    assert row["note"].startswith("Change of the target's HR@10 on the 300 sessions")
    assert row["papers_print"] == "mrr_skipped at 10 0.960 → 0.950 (recsys24-skips)"
    # P2 says that they rise with BERT4Rec on MSSD, and nothing about simulated listeners.
    exception = "skips rise with BERT4Rec on MSSD"
    assert verdicts(on_mssd, exception) == {FAILS}
    assert verdicts(found(tmp_path, ranks, papers=papers, simulated=["toy"]), exception) == set()
    lfm1k = found(tmp_path, ranks, papers=papers, forms={"toy": "lfm1k"})
    assert verdicts(lfm1k, exception) == set()


def test_a_random_ranker_lets_no_skip_sink(tmp_path):
    """It pulls skips that ranked above their target to both sides of it, and the target down."""
    rng = np.random.default_rng(1)
    ranks = thrice(tmp_path, [10] * N, skips=[[5]] * N, share=SHARE)
    for seed in (1, 2, 3):
        skips = rng.integers(1, 1000, (N, 1)).tolist()
        keys = {"skips": skips, "share": SHARE, "variant": "contrastive-item", "seed": seed}
        ranks.append(write_ranks(tmp_path, rng.integers(1, 1000, N).tolist(), **keys))
    rows = found(tmp_path, ranks)
    (row,) = (row for row in rows if row["claim"] == "skips sink" and row["model"])
    assert row["estimate_low"] > 0
    assert (row["verdict"], row["reason"]) == (UNKNOWN, "the target falls too")


def test_every_claim_is_put_to_both_settings_of_a_model(tmp_path):
    rates = {
        ("sasrec-papers", "orig"): 0.5,
        ("sasrec-papers", "contrastive-hidden"): 0.7,
        ("sasrec", "orig"): 0.7,
        ("sasrec", "contrastive-hidden"): 0.5,
        ("wrmf", "orig"): 0.5,
        ("wrmf", "nr"): 0.7,
    }
    papers = default_config()["papers"]
    papers["models"] |= {"WRMF": "wrmf"}
    rows = found(tmp_path, planted(tmp_path, rates), papers=papers)
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
    claim = "gain grows with skips"
    rates = {
        ("sasrec", "orig"): 0.3,
        ("sasrec", "contrastive-hidden"): lambda share: 0.3 + 0.6 * (share > 0.6),
    }
    ranks = planted(tmp_path, rates)
    rows = found(tmp_path, ranks)
    assert verdicts(rows, claim) == {HOLDS}
    absolute, relative = (row for row in rows if row["claim"] == claim and row["model"])
    orig, ours = (
        pq.read_table(path, partitioning=None)["rank_full"].to_numpy() <= 10
        for path in (ranks[0], ranks[3])
    )
    slopes = [np.polyfit(SHARE, hit, 1)[0] for hit in (ours, orig)]
    assert absolute["estimate"] == pytest.approx(slopes[0] - slopes[1], rel=1e-3)
    assert relative["estimate"] == pytest.approx(
        slopes[0] / ours.mean() - slopes[1] / orig.mean(), rel=1e-3
    )
    assert "100, 100, 100, 100" in absolute["note"]
    rates["sasrec", "contrastive-hidden"] = lambda share: 0.3 + 0.6 * (share < 0.3)
    assert verdicts(found(tmp_path, planted(tmp_path, rates)), claim) == {FAILS}
    # Without a gain there is nothing to grow.
    rates["sasrec", "contrastive-hidden"] = lambda share: 0.3 - 0.3 * (share < 0.5)
    rows = found(tmp_path, planted(tmp_path, rates))
    assert {(row["verdict"], row["reason"]) for row in rows if row["claim"] == claim} >= {
        (UNKNOWN, "no gain")
    }


def test_a_gain_at_small_k(tmp_path):
    orig = [1] * 100 + [15] * 100 + [50] * 200
    ours = [1] * 200 + [50] * 200
    ranks = [
        *thrice(tmp_path, orig),
        *thrice(tmp_path, ours, variant="contrastive-item"),
        *thrice(tmp_path, ours, model="caser"),
        *thrice(tmp_path, orig, model="caser", variant="contrastive-item"),
    ]
    gained, lost = (
        row for row in found(tmp_path, ranks) if row["claim"] == "most at small k" and row["model"]
    )
    assert gained["estimate"] == pytest.approx(200 / 100 - 200 / 200)
    assert gained["verdict"] == HOLDS
    # Turned round there is a loss, and the claim is about a gain.
    assert lost["estimate"] == pytest.approx(100 / 200 - 200 / 200)
    assert (lost["verdict"], lost["reason"]) == (UNKNOWN, "no gain")


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
        ("HR@10 of SASRec among sampled candidates, a − b", HOLDS),
        ("HR@10 of SASRec among sampled candidates, b − c", UNKNOWN),
    ]


def test_data_sets_are_compared_among_as_many_candidates(tmp_path):
    ranks = []
    for dataset, rank, candidates in (("a", 1, 1064), ("b", 50, 700)):
        keys = {"dataset": dataset, "variant": "contrastive-hidden", "n_candidates": candidates}
        ranks += thrice(tmp_path, [rank] * N, **keys)
    rows = found(tmp_path, ranks, forms={"a": "mssd", "b": "lfm2b"})
    (row,) = (row for row in rows if row["claim"] == "MSSD > LFM-2B > LFM-1K" and row["model"])
    assert (row["verdict"], row["reason"]) == (UNKNOWN, "not defined")
    assert row["note"] == "Candidates of a session: 1064 and 700."


def test_the_best_is_measured_against_each_with_its_best_variant(tmp_path):
    rates = {
        ("sasrec", "contrastive-hidden"): 0.6,
        ("sasrec", "orig"): 0.1,
        ("gru4rec", "contrastive-hidden"): 0.5,
        ("wrmf", "orig"): 0.9,
        ("wrmf", "nr"): 0.2,
    }
    rows = [
        row
        for row in found(tmp_path, planted(tmp_path, rates))
        if row["claim"] == "SASRec is best" and row["model"]
    ]
    assert [(row["model"], row["variant"]) for row in rows] == [
        ("sasrec − gru4rec", "contrastive-hidden − contrastive-hidden"),
        ("sasrec − wrmf", "contrastive-hidden − nr"),
    ]
    assert [row["estimate"] for row in rows] == pytest.approx([0.1, 0.4], abs=0.05)


def test_a_claim_that_cannot_be_put_says_why(tmp_path):
    rows = found(tmp_path, [write_ranks(tmp_path, [1, 2, 3], model="popularity")])
    assert [row["claim"] for row in rows] == [
        find("claim", name).CLAIM.name for name in ordered_claims()
    ]
    assert sorted(ordered_claims()) == names("claim")
    assert {row["verdict"] for row in rows} == {UNKNOWN}
    assert all("lacks" in row["reason"] for row in rows)


def test_simulated_data_is_called_so_in_every_row(tmp_path):
    rows = found(tmp_path, planted(tmp_path, everything(1)), simulated=["toy"])
    assert all(
        ON_SIMULATED in row["note"] and row["data"] == "simulated" for row in rows if row["model"]
    )
    assert ON_SIMULATED in Path(outputs(tmp_path)["csv"]).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, (HOLDS, "")),
        ({"sign": -1}, (FAILS, "")),
        ({"estimate_low": -0.2, "estimate_high": -0.1}, (FAILS, "")),
        ({"sign": -1, "estimate_low": -0.2, "estimate_high": -0.1}, (HOLDS, "")),
        ({"p_holm": 0.051}, (UNKNOWN, "not after Holm's correction")),
        ({"estimate_low": -0.1, "p_holm": 0.2}, (UNKNOWN, "the interval holds 0")),
        ({"p_holm": None}, (UNKNOWN, "too few sessions differ")),
        ({"estimate_low": None, "p_holm": None}, (UNKNOWN, "not defined")),
        ({"p_within_holm": 0.01, "p_holm": 1}, (FAILS, "within ±0.002")),
        ({"p_within_holm": 0.01}, (FAILS, "within ±0.002")),
        ({"p_within_holm": 0.06}, (HOLDS, "")),
        ({"p_within_holm": None}, (HOLDS, "")),
        ({"seeds": "1 2"}, (UNKNOWN, "fewer than 3 seeds")),
        ({"unless": "no gain"}, (UNKNOWN, "no gain")),
    ],
)
def test_a_verdict_takes_the_interval_and_the_correction(changed, expected):
    row = {
        "sign": 1,
        "estimate_low": 0.1,
        "estimate_high": 0.2,
        "p_holm": 0.01,
        "p_within_holm": 1.0,
        "seeds": "1 2 3",
        "unless": "",
    }
    assert verdict(row | changed, Intervals(**INTERVALS)) == expected


@pytest.mark.parametrize(
    ("verdicts", "refuted_by_one", "expected"),
    [
        ((HOLDS, HOLDS), False, HOLDS),
        ((FAILS, FAILS), False, FAILS),
        ((UNKNOWN, UNKNOWN), True, UNKNOWN),
        ((HOLDS, UNKNOWN), True, MIXED),
        ((HOLDS, FAILS, UNKNOWN), False, MIXED),
        ((HOLDS, FAILS, UNKNOWN), True, FAILS),
    ],
)
def test_a_claim_is_neither_harsher_nor_kinder_than_its_rows(verdicts, refuted_by_one, expected):
    shared = {"data": "real", "settings": "as printed", "other_settings": None}
    claim = Claim("a claim", "It is so.", "HR@10", refuted_by_one=refuted_by_one)
    summary, *rows = summarised(claim, [shared | {"verdict": verdict} for verdict in verdicts])
    assert len(rows) == len(verdicts)
    assert summary["verdict"] == expected
    counts = [verdicts.count(kind) for kind in (HOLDS, FAILS, UNKNOWN)]
    assert summary["reason"] == (
        "holds in {}, does not hold in {}, cannot be told in {} of {} rows".format(
            *counts, len(verdicts)
        )
    )


def test_a_seed_that_says_the_opposite_leaves_it_open(tmp_path):
    """One collapsed run of the reference makes a large mean difference; the other seeds do not see
    it.
    """
    ours, fine, collapsed = [1] * 300 + [50] * 100, [1] * 304 + [50] * 96, [50] * 400
    ranks = [
        write_ranks(tmp_path, rank, variant=variant, seed=seed)
        for variant, runs in (
            ("orig", (fine, fine, collapsed)),
            ("contrastive-hidden", (ours, ours, ours)),
        )
        for seed, rank in enumerate(runs, start=1)
    ]
    row = next(
        row for row in found(tmp_path, ranks) if row["claim"] == "helps everywhere" and row["model"]
    )
    assert row["estimate"] == pytest.approx((0.75 - 0.02) / 3)
    assert (row["single_seed_low"], row["single_seed_high"]) == pytest.approx((-0.01, 0.75))
    assert row["estimate_low"] < 0 < row["estimate_high"]
    assert row["verdict"] == UNKNOWN
