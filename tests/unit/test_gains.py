"""The tables answer, slices and loss_audit and the figure gains, from planted ranks."""

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from examples import default_config, given_for, ranks_table, sequences, splits_of, write_part
from skipwise.core import registry
from skipwise.core.artifacts import write_artifact, write_json
from skipwise.core.registry import find
from skipwise.core.schemas import ARTIFACTS
from skipwise.evaluation.intervals import Component, Estimate
from skipwise.report.drawing import plot_figure
from skipwise.report.tables import answer, loss_audit
from skipwise.report.tables.power import needed
from skipwise.report.write import make_table

INTERVALS = {"level": 0.95, "equivalence": 0.002, "least_deciding": 20, "seed": 1}
TERM = {"way": "contrastive", "query": "hidden", "targets": "listened", "labels": "right"}
RELEASED = {"negatives_from": "own", "empty_slots": "masked", "no_next_positive": "dropped"}
# Settings of each variant, and the number of 400 sessions that it finds.
VARIANTS = {
    "orig": ({"targets": "listened"}, 100),
    "blind": ({"targets": "next"}, 90),
    "contrastive-hidden": (TERM, 160),
    "shuffled": (TERM | {"labels": "shuffled"}, 160),
    "batch": (
        TERM | RELEASED | {"way": "contrastive-released", "negatives_from": "batch"},
        110,
    ),
    "other-item": (TERM | {"query": "item", "targets": "next"}, 101),
    "other-inverted": (TERM | {"query": "item", "targets": "next", "labels": "inverted"}, 100),
    "pairwise": ({"way": "pairwise", "targets": "listened"}, 200),
}

# Those that only the audit needs.
AUDITED = ("blind", "other-inverted")


@pytest.fixture
def files(tmp_path):
    """Ranks and ``run.json`` of three seeds of every variant, which find the first sessions."""
    found = {"ranks": [], "run": []}
    for variant, (settings, hits) in VARIANTS.items():
        for seed in (1, 2, 3):
            keys = f"dataset=toy-sim/split=paper/model=sasrec/variant={variant}/seed={seed}"
            rank = np.where(np.arange(400) < hits + seed, 3, 50).tolist()
            found["ranks"].append(str(tmp_path / "ranks" / keys / "ranks.parquet"))
            write_artifact(
                ranks_table(rank, sampled=rank, skips=[[40]] * 400), "ranks", found["ranks"][-1]
            )
            found["run"].append(str(tmp_path / "models" / keys / "run.json"))
            write_json({"settings": settings}, found["run"][-1])
    return found | {"split": splits_of(found["ranks"], "full")}


def made(name, needs, folder, **settings) -> pl.DataFrame:
    kinds = ("csv", "parquet", "html", "tex")
    paths = {kind: str(folder / f"{name}.{kind}") for kind in kinds}
    settings = {"simulated": ["toy-sim"], "intervals": INTERVALS} | settings
    make_table(name, given_for(needs, paths, settings))
    return pl.read_parquet(paths["parquet"])


def test_every_variant_with_the_term_stands_against_orig_and_the_text(files, tmp_path):
    table = made("loss_audit", files, tmp_path).filter(
        metric="hr_10", candidates="full", headline=True
    )
    rows = table.select("variant", "reference", "query", "switches").rows()
    assert rows == [
        ("blind", "orig", "none", "no term, targets: next"),
        ("contrastive-hidden", "orig", "hidden", "the papers' text"),
        ("shuffled", "orig", "hidden", "labels: shuffled"),
        ("shuffled", "contrastive-hidden", "hidden", "labels: shuffled"),
        ("batch", "orig", "hidden", "negatives_from: batch"),
        ("batch", "contrastive-hidden", "hidden", "negatives_from: batch"),
        # Of this query there is no variant with the text's own term.
        ("other-item", "orig", "item", "targets: next"),
        ("other-item", "blind", "item", "targets: next"),
        ("other-inverted", "orig", "item", "labels: inverted, targets: next"),
        ("other-inverted", "blind", "item", "labels: inverted, targets: next"),
        ("other-inverted", "other-item", "item", "labels: inverted, targets: next"),
    ]
    differences = table["difference"].to_list()
    assert differences == pytest.approx(
        [-0.025, 0.15, 0.15, 0, 0.025, -0.125, 0.0025, 0.0275, 0, 0.025, -0.0025]
    )
    told = table["p_holm"].to_list()
    assert told[1] < 0.001
    assert told[3] is None  # no session differs


def test_switches_are_the_settings_that_differ_from_the_text():
    defaults = default_config()["contrastive_released"] | TERM
    assert loss_audit.switches(defaults) == ""
    all_of_them = {
        "negatives_from": "batch",
        "empty_slots": "kept",
        "no_next_positive": "first",
        "heldout_labels": "used",
        "labels": "inverted",
        "targets": "next",
    }
    assert loss_audit.switches(defaults | all_of_them) == ", ".join(
        f"{name}: {value}" for name, value in all_of_them.items()
    )


@pytest.fixture
def gains(files, tmp_path):
    """The figure's numbers and svg, with the model's family as a neural and as a baseline one."""
    over_orig = {
        name: [path for path in paths if not any(f"variant={audit}/" in path for audit in AUDITED)]
        for name, paths in files.items()
    }
    table = made("skip_gains", over_orig, tmp_path, papers={"models": {}, "field": {}})
    table.head(0).write_parquet(tmp_path / "recsys24_main.parquet")
    needs = {name: [str(tmp_path / f"{name}.parquet")] for name in ("skip_gains", "recsys24_main")}

    def figure(family="neural", second=None, **changed):
        controls = {"shuffled": {"of": "contrastive-hidden", "all": False}}
        if second:
            controls[second] = {"of": "contrastive-hidden", "all": True}
        paths = {kind: str(tmp_path / f"gains.{kind}") for kind in ("svg", "parquet")}
        variants = {name: its for name, (its, _) in VARIANTS.items() if name not in AUDITED}
        registry = {"sasrec": {"family": family, "variants": variants}}
        settings = {"intervals": INTERVALS | changed, "model_registry": registry}
        settings["controls"] = {"sasrec": controls}
        plot_figure("gains", given_for(needs, paths, settings))
        return pl.read_parquet(paths["parquet"]), (tmp_path / "gains.svg").read_text()

    return figure


def test_the_figure_has_every_variant_once_and_says_which_are_told(gains):
    numbers, svg = gains(equivalence=0.01)
    found = dict(numbers.select("variant", "told").rows())
    assert found == {
        "contrastive-hidden": True,
        "shuffled": True,
        "batch": False,
        "other-item": False,
        "pairwise": True,
    }
    assert "sasrec: pairwise − orig" in svg
    assert "within ±0.01" in svg
    assert "toy-sim" in svg
    assert "(simulated data)" in svg


def test_one_seed_is_told_only_of_a_model_without_chance(gains, tmp_path):
    table = pl.read_parquet(tmp_path / "skip_gains.parquet")
    table.with_columns(seeds=pl.lit("1")).write_parquet(tmp_path / "skip_gains.parquet")
    assert not gains()[0]["told"].any()
    assert gains(family="baseline")[0]["told"].any()


def test_a_control_stands_in_the_row_of_its_way(gains):
    numbers, svg = gains()
    shown = dict(numbers.select("variant", "control_of").drop_nulls().rows())
    assert shown == {"shuffled": "contrastive-hidden"}
    assert "with shuffled labels" in svg
    plot = find("figure", "gains").draw(numbers)
    [axis] = plot.axes
    assert [label.get_text() for label in axis.get_yticklabels()][::-1] == [
        f"sasrec: {variant} − orig"
        for variant in ("contrastive-hidden", "batch", "other-item", "pairwise")
    ]
    drawn = {bar.get_label(): bar.lines[0].get_xydata().tolist() for bar in axis.containers}
    assert drawn["with shuffled labels"] == [pytest.approx([0.15, 2.7])]
    assert [y for _, y in drawn["told from 0"]] == [3, 0]
    # Of two controls the one with the right targets is shown.
    numbers, _ = gains(second="other-item")
    assert "other-item" not in numbers["variant"].to_list()
    assert dict(numbers.select("variant", "control_of").drop_nulls().rows()) == shown


def answered(folder, variants, *, families=None, seeds=(1, 2, 3), sessions=2000, failed="") -> dict:
    """The one row of ``answer`` on planted variants: model, settings, validation and hits.

    Of the variant ``failed`` the last training learned nothing.
    """
    needs = {"ranks": [], "run": []}
    for name, (model, settings, valid, hits) in variants.items():
        for seed in seeds:
            keys = f"dataset=toy-sim/split=paper/model={model}/variant={name}/seed={seed}"
            rank = np.where((np.arange(sessions) * 7 + seed) % sessions < hits, 3, 50).tolist()
            needs["ranks"].append(str(folder / "ranks" / keys / "ranks.parquet"))
            write_artifact(ranks_table(rank, sampled=rank), "ranks", needs["ranks"][-1])
            needs["run"].append(str(folder / "models" / keys / "run.json"))
            run = {"settings": settings, "valid_ndcg_10": valid}
            run["learned"] = (name, seed) != (failed, seeds[-1])
            write_json(run, needs["run"][-1])
    needs["split"] = splits_of(needs["ranks"], "full")
    models: dict[str, dict] = {}
    for name, (model, settings, *_) in variants.items():
        models.setdefault(model, {"family": "neural", "variants": {}})["variants"][name] = settings
    for model, its in (families or {}).items():
        models[model] |= its
    [row] = made("answer", needs, folder, model_registry=models).to_dicts()
    assert row["sentence"] in (folder / "answer.html").read_text().replace("&#34;", '"')
    return row


BLIND = {"targets": "next"}
# The same with all labels shuffled, those of its targets too.
CONTROL = TERM | {"labels": "shuffled", "targets": "labelled"}
PLANTED = {
    "blind": ("sasrec", BLIND, 0.10, 500),
    "orig": ("sasrec", {"targets": "listened"}, 0.11, 520),
    "contrastive-item": ("sasrec", TERM, 0.12, 800),
    "plain": ("wrmf", {"skips": "preferred"}, 0.09, 900),
    "nr": ("wrmf", {"skips": "rejected"}, 0.08, 950),
    "shuffled": ("sasrec", CONTROL, 0.2, 510),
}


def test_the_answer_is_of_the_best_on_validation_with_labels_and_without(tmp_path):
    row = answered(tmp_path, PLANTED)
    # By the test data it would be others, and the control with wrong labels is none of them.
    assert (row["with_skips"], row["without"]) == ("sasrec contrastive-item", "sasrec blind")
    assert row["answer"] == answer.WORTH
    assert row["difference"] == pytest.approx(0.15)
    assert row["sentence"].startswith(
        "toy-sim (simulated data, split paper, 2,000 test sessions, seeds 1 2 3): the best use of "
        "skips, sasrec contrastive-item, has an HR@10 of 0.400, the best without labels, sasrec "
        "blind, 0.250: +0.150 ("
    )
    assert row["sentence"].endswith("In short: skips are worth something.")


@pytest.mark.parametrize(
    ("failed", "told"),
    [
        ("contrastive-item", answer.UNLEARNED),
        ("blind", answer.UNLEARNED),
        ("shuffled", answer.UNTAUGHT),
    ],
)
def test_the_answer_needs_trainings_that_learned(tmp_path, failed, told):
    assert answered(tmp_path, PLANTED, failed=failed)["answer"] == told


def test_what_the_answer_may_be(tmp_path):
    def of(hits, folder, **more):
        changed = PLANTED | {"contrastive-item": ("sasrec", TERM, 0.12, hits)}
        return answered(tmp_path / folder, changed, **more)["answer"]

    assert of(200, "less") == answer.COST
    assert of(505, "same") == f"{answer.UNKNOWN}: too few sessions differ"
    assert of(530, "hardly") != answer.NOTHING
    assert of(800, "one", seeds=(1,)) == f"{answer.UNKNOWN}: fewer than 3 seeds"
    one = answered(tmp_path / "two", PLANTED, seeds=(1, 2))
    # Nothing is said of what would have shown, as a difference of any size would not.
    assert one["sentence"].endswith("whether labels or chance made the difference is not known.")
    fixed = {"sasrec": {"family": "baseline"}}
    assert of(800, "fixed", seeds=(1,), families=fixed) == answer.WORTH


def test_a_gain_that_shuffled_labels_have_too_is_not_told(tmp_path):
    row = answered(tmp_path / "both", PLANTED | {"shuffled": ("sasrec", CONTROL, 0.2, 790)})
    assert row["answer"] == answer.SHUFFLED
    assert row["sentence"].endswith("In short: cannot be told: shuffled labels may gain as much.")
    # One with the right targets gains by these, so it does not say that it is not the labels.
    of_way = ("sasrec", TERM | {"labels": "shuffled"}, 0.2, 790)
    assert answered(tmp_path / "way", PLANTED | {"of-way": of_way})["answer"] == answer.WORTH


@pytest.mark.parametrize(
    "other",
    [TERM | {"labels": "shuffled"}, CONTROL | {"tau": 0.7}],
    ids=["right targets", "another way"],
)
def test_a_gain_without_its_control_is_not_told(tmp_path, other):
    row = answered(tmp_path, PLANTED | {"shuffled": ("sasrec", other, 0.2, 510)})
    assert row["answer"] == answer.UNTRIED
    assert row["sentence"].endswith("its control with shuffled labels did not run.")


def test_a_way_that_reads_no_label_has_a_control_of_its_targets(tmp_path):
    for way, told in (("gbce", answer.WORTH), ("feedback-input", answer.UNTRIED)):
        of_way = {"way": way, "targets": "listened"}
        changed = {"contrastive-item": ("sasrec", of_way, 0.12, 800)}
        changed["shuffled"] = ("sasrec", of_way | {"labels": "shuffled"}, 0.2, 510)
        assert answered(tmp_path / way, PLANTED | changed)["answer"] == told


def test_a_better_model_is_no_use_of_skips(tmp_path):
    """The best with labels is another model than the best without, which alone makes it better."""
    two = {
        "blind": ("sasrec", BLIND, 0.12, 500),
        "orig": ("sasrec", {"targets": "listened"}, 0.11, 500),
        "plain": ("wrmf", {"skips": "preferred"}, 0.11, 800),
        "nr": ("wrmf", {"skips": "rejected"}, 0.13, 800),
        "shuffled": ("wrmf", {"skips": "rejected", "labels": "shuffled"}, 0.13, 600),
    }
    row = answered(tmp_path / "same", two)
    assert row["answer"] == answer.MODELS
    assert (row["within"], row["within_difference"]) == ("wrmf nr − plain", 0)
    assert "make the difference (wrmf nr − plain: +0.000" in row["sentence"]
    row = answered(tmp_path / "told", two | {"plain": ("wrmf", {"skips": "preferred"}, 0.11, 650)})
    assert (row["answer"], row["within_difference"]) == (answer.WORTH, pytest.approx(0.075))
    # The other way round: a model that cannot use labels says nothing of their cost.
    row = answered(tmp_path / "alone", two | {"blind": ("knn", BLIND, 0.14, 1000)})
    assert (row["answer"], row["within"]) == (answer.MODELS, "")
    assert row["sentence"].endswith(
        "make the difference (the better one has no variant of the other side)."
    )


def test_a_difference_within_the_band_is_practically_nothing(tmp_path):
    changed = PLANTED | {"contrastive-item": ("sasrec", TERM, 0.12, 524)}
    row = answered(tmp_path, changed, sessions=20_000)
    assert row["answer"] == answer.NOTHING
    assert row["sentence"].endswith("In short: practically nothing (within ±0.002).")


@pytest.mark.parametrize(
    ("settings", "sees"),
    [
        ({}, False),
        ({"targets": "next", "way": None}, False),
        ({"skips": "preferred"}, False),
        ({"targets": "listened"}, True),
        ({"targets": "next", "way": "feedback-input"}, True),
        ({"targets": "next", "way": "gbce"}, False),
        ({"skips": "unobserved"}, True),
    ],
)
def test_who_sees_labels(settings, sees):
    assert registry.uses_labels(settings) is sees


def test_slices_are_of_the_targets_and_a_gain_stays_in_its_slice(tmp_path):
    n = 400
    repeat, plays = np.arange(n) % 4 == 0, np.where(np.arange(n) < 200, 50, np.arange(n) % 8)
    files = []
    for variant, better in (("orig", False), ("contrastive-item", True)):
        for seed in (1, 2, 3):
            keys = f"dataset=toy-sim/split=paper/model=sasrec/variant={variant}/seed={seed}"
            rank = np.where(better & (plays < 5), 5, 50)
            files.append(str(tmp_path / "ranks" / keys / "ranks.parquet"))
            table = ranks_table(rank, sampled=rank, repeat=repeat, popularity=plays)
            write_artifact(table, "ranks", files[-1])
    needs = {"ranks": files, "split": splits_of(files, "full")}
    needs |= plays_of(tmp_path, n, organic=[None] * n, random=[None] * n)
    table = made("slices", needs, tmp_path)
    full = table.filter(candidates="full")
    assert dict(full.select("slice", "sessions").rows()) == {
        "repeat": 100,
        "new": 300,
        "head": 200,
        "tail": 200,
        "cold": 125,
        "short": 400,  # all contexts have one track
    }
    gain = dict(full.select("slice", "difference").rows())
    assert gain == pytest.approx(
        {
            "repeat": 0.5,
            "new": 0.25,
            "head": 0,
            "tail": 125 / 200,
            "cold": 1,
            "short": 125 / 400,
        }
    )
    # A repeated target is no new candidate.
    assert "repeat" not in table.filter(candidates="new")["slice"].to_list()


def plays_of(folder, n, organic, random, lengths=None, **of_target) -> dict[str, str]:
    """The artifacts `sessions` and `test` of n sessions: track 7 in the context, a skip and then 7
    as the target, whose play has these flags; all other plays have the opposite ones.  ``lengths``
    are those of the contexts as the test part has them.
    """
    ids = np.arange(1, n + 1)

    def flags(of_target):
        other = [None if flag is None else not flag for flag in of_target]
        return [flag for pair in zip(other, other, of_target, strict=True) for flag in pair]

    columns = {
        "session_id": np.repeat(ids, 3),
        "position": [1, 2, 3] * n,
        "track_id": [7, 8, 7] * n,
        "skipped": [False, True, False] * n,
        "is_organic": flags(organic),
        "is_random": flags(random),
        **{name: [value for value in its for _ in range(3)] for name, its in of_target.items()},
    }
    schema = ARTIFACTS["sessions"].schema
    columns |= {name: [None] * 3 * n for name in schema.names if name not in columns}
    files = {
        "sessions": str(folder / "sessions/dataset=toy-sim/sessions.parquet"),
        "test": str(folder / "splits/dataset=toy-sim/split=paper/test.parquet"),
    }
    write_artifact(
        pa.table({name: columns[name] for name in schema.names}), "sessions", files["sessions"]
    )
    contexts = [[7] * length for length in lengths or [1] * n]
    contexts = sequences(contexts, targets=[7] * n, unseen=[[8]] * n)
    write_part(contexts, "test", files["test"])
    return files


def test_slices_by_the_origin_of_the_play_of_the_target(tmp_path):
    """A gain that is on what a recommender chose stays there."""
    n = 400
    organic = [None if i % 8 == 0 else i % 2 == 0 for i in range(n)]
    random = [i % 5 == 0 for i in range(n)]
    recommended = np.array([flag is False for flag in organic])
    files = []
    for variant, better in (("orig", False), ("contrastive-item", True)):
        for seed in (1, 2, 3):
            keys = f"dataset=toy-sim/split=paper/model=sasrec/variant={variant}/seed={seed}"
            rank = np.where(better & recommended, 5, 50)
            files.append(str(tmp_path / "ranks" / keys / "ranks.parquet"))
            write_artifact(ranks_table(rank, sampled=rank), "ranks", files[-1])
    needs = {"ranks": files, "split": splits_of(files, "full")}
    table = made("slices", needs | plays_of(tmp_path, n, organic, random), tmp_path)
    found = table.filter(candidates="full").select("slice", "sessions", "difference").rows()
    assert found[-3:] == [("organic", 150, 0), ("recommended", 200, 1), ("random", 80, 0.5)]


def test_slices_by_what_the_data_says_of_sessions_and_plays(tmp_path):
    """A gain in long sessions at night stays there."""
    n = 240
    sessions = np.arange(n)
    hour, lengths = sessions % 24, np.where(sessions % 3 == 0, 2, 1)
    gains = (hour < 6) & (lengths == 2)
    files = []
    for variant, better in (("orig", False), ("contrastive-item", True)):
        for seed in (1, 2, 3):
            keys = f"dataset=toy-sim/split=paper/model=sasrec/variant={variant}/seed={seed}"
            rank = np.where(better & gains, 5, 50)
            files.append(str(tmp_path / "ranks" / keys / "ranks.parquet"))
            write_artifact(ranks_table(rank, sampled=rank), "ranks", files[-1])
    known = {
        "shuffle": (sessions % 2 == 0).tolist(),
        "premium": [None if i < 40 else i < 140 for i in sessions],
        "hour": hour.tolist(),
        "context_type": ["radio" if i % 4 else "user_collection" for i in sessions],
    }
    none = [None] * n
    plays = plays_of(tmp_path, n, none, none, lengths=lengths.tolist(), **known)
    needs = {"ranks": files, "split": splits_of(files, "full")}
    table = made("slices", needs | plays, tmp_path).filter(candidates="full")
    found = {
        name: (size, gain)
        for name, size, gain in table.select("slice", "sessions", "difference").rows()
    }
    assert not found.keys() & {"organic", "recommended", "random"}
    assert found["short"] == (160, 0)
    assert found["long"] == (80, pytest.approx(gains.sum() / 80))
    assert found["night"] == (60, pytest.approx(gains.sum() / 60))
    assert [found[name] for name in ("morning", "afternoon", "evening")] == [(60, 0)] * 3
    assert {name: found[name][0] for name in ("shuffled", "in order", "premium", "free")} == {
        "shuffled": 120,
        "in order": 120,
        "premium": 100,
        "free": 100,
    }
    assert (found["radio"][0], found["user collection"][0]) == (180, 60)


@pytest.fixture
def noisy(tmp_path):
    """Ranks of four seeds, in which every variant finds sessions at random: pairwise more."""
    paths, rng = [], np.random.default_rng(4)
    lucky = rng.random(400)  # the sessions of all seeds
    for variant, share in {"orig": 0.3, "pairwise": 0.4, "pairwise-shuffled": 0.5}.items():
        for seed in (1, 2, 3, 4):
            keys = f"dataset=toy-sim/split=paper/model=sasrec/variant={variant}/seed={seed}"
            found = lucky + rng.normal(0, 0.2, 400) < share + rng.normal(0, 0.01)
            rank = np.where(found, 3, 50).tolist()
            paths.append(str(tmp_path / "ranks" / keys / "ranks.parquet"))
            write_artifact(ranks_table(rank, sampled=rank, skips=[[40]] * 400), "ranks", paths[-1])
    variants = {"orig": {}, "pairwise": {}, "pairwise-shuffled": {"labels": "shuffled"}}
    registry = {"sasrec": {"family": "neural", "variants": variants}}
    return {"ranks": paths, "split": splits_of(paths, "full")}, registry


def test_power_says_what_size_tells_the_gain(noisy, tmp_path):
    needs, registry = noisy
    (row,) = made("power", needs, tmp_path, model_registry=registry).to_dicts()
    assert (row["variant"], row["sessions"], row["seeds"]) == ("pairwise", 400, 4)
    assert 0.05 < row["difference"] < 0.15
    assert row["needed_3_seeds"] > row["needed_5_seeds"] > row["needed_10_seeds"] > 0
    # With more sessions than are needed the gain is told from less, and the other way round.
    assert (row["detectable"] < row["difference"]) == (row["needed_5_seeds"] < 400)


def test_a_gain_as_small_as_the_luck_of_seeds_needs_more_seeds_and_not_sessions():
    found = Estimate(0.01, (Component(1e-5, 99), Component(1e-4, 2)), crossed=0.1)
    assert needed(found, 1000, 3, 0.95) is None
    assert needed(Estimate(0.0, (Component(0.0, 99), Component(0.0, 2))), 1000, 3, 0.95) is None
    found = Estimate(0.01, (Component(1e-5, 99), Component(1e-9, 2)))
    assert needed(found, 1000, 3, 0.95) == pytest.approx(1000 * 1e-5 / (0.01 / 2.8) ** 2, rel=0.05)


def test_the_figure_power_falls_with_sessions_and_seeds(noisy, tmp_path):
    needs, registry = noisy
    paths = {kind: str(tmp_path / f"power.{kind}") for kind in ("svg", "parquet")}
    settings = {"simulated": ["toy-sim"], "intervals": INTERVALS, "model_registry": registry}
    plot_figure("power", given_for(needs, paths, settings))
    frame = pl.read_parquet(paths["parquet"])
    for curve in frame.partition_by("seeds"):
        assert curve["detectable"].is_sorted(descending=True)
    for at in frame.partition_by("sessions"):
        assert at.sort("seeds")["detectable"].is_sorted(descending=True)
    svg = (tmp_path / "power.svg").read_text()
    assert "10 seeds" in svg
    assert "pairwise: +0.1" in svg or "pairwise: +0.0" in svg
