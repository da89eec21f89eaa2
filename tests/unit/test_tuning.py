"""The search on validation data: equal budgets, the same draws for all, and no test data."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from examples import default_config, given_for, settings_of
from scipy.stats import loguniform
from skipwise.core.artifacts import write_artifact, write_json
from skipwise.core.config import check_config, run_settings
from skipwise.core.errors import UserError
from skipwise.core.schemas import ARTIFACTS
from skipwise.report.write import make_table
from skipwise.training.tuning import collect_trials, trial_settings
from sklearn.model_selection import ParameterSampler
from snakemake.utils import update_config
from test_config import SCHEMA

SPACE = {"learning_rate": [0.0005, 0.02], "alpha": [0.05, 2.0], "tau": [0.05, 1.0]}


def trials(variant, n=50, seed=1):
    settings = settings_of("sasrec", variant)
    return [trial_settings(settings, SPACE, trial, seed) for trial in range(n)]


def test_the_first_trial_is_the_configuration():
    assert trials("contrastive-hidden")[0] == settings_of("sasrec", "contrastive-hidden")


@pytest.mark.parametrize("variant", ["orig", "contrastive-item", "contrastive-hidden"])
def test_trials_differ_in_what_is_searched_alone_and_stay_inside(variant):
    first, *others = trials(variant)
    searched = {"learning_rate"} if variant == "orig" else set(SPACE)
    for settings in others:
        assert {name for name in settings if settings[name] != first[name]} == searched
        assert all(
            SPACE[name][0] * 0.99 <= settings[name] <= SPACE[name][1] * 1.01 for name in searched
        )


def test_every_variant_gets_the_same_draws():
    item, hidden, orig = (
        trials(variant)[1:] for variant in ("contrastive-item", "contrastive-hidden", "orig")
    )
    assert [s["learning_rate"] for s in item] == [s["learning_rate"] for s in orig]
    assert [(s["alpha"], s["tau"]) for s in item] == [(s["alpha"], s["tau"]) for s in hidden]


def test_draws_are_log_uniform_and_depend_on_the_seed():
    rates = sorted(settings["learning_rate"] for settings in trials("orig", 400)[1:])
    assert rates[200] == pytest.approx((0.0005 * 0.02) ** 0.5, rel=0.35)
    assert trials("orig", 5, seed=2)[1:] != trials("orig", 5)[1:]
    # A larger budget contains the smaller.
    assert trials("orig", 8)[:5] == trials("orig", 5)


@pytest.mark.parametrize("seed", [0, 1, 7, 2**31])
def test_draws_are_those_of_scikit_learn(seed):
    """The sampler that drew them in the releases before 0.2."""
    ranges = {name: loguniform(*limits) for name, limits in SPACE.items()}
    drawn = list(ParameterSampler(ranges, 40, random_state=seed))
    for trial, settings in enumerate(trials("contrastive-item", 41, seed)[1:]):
        expected = {name: float(f"{value:.3g}") for name, value in drawn[trial].items()}
        assert {name: settings[name] for name in SPACE} == expected


def write_trial(folder, variant, trial, best, **settings):
    path = folder / f"dataset=toy/split=paper/model=sasrec/variant={variant}/trial={trial}"
    row = {"loss": 1.0, "valid_hr_10": 0.2, "seconds": 2.0}
    history = [
        {"epoch": 1, "valid_ndcg_10": best / 2, "best": False},
        {"epoch": 2, "valid_ndcg_10": best, "best": True},
    ]
    rows = pa.Table.from_pylist(
        [row | epoch for epoch in history], schema=ARTIFACTS["history"].schema
    )
    write_artifact(rows, "history", path / "history.parquet")
    write_json({"settings": settings, "seed": 1}, path / "trial.json")
    return str(path / "trial.json")


def test_the_best_trial_on_validation_becomes_an_overlay(tmp_path):
    ours = {"learning_rate": 0.01, "alpha": 1.0, "tau": 0.1}
    files = [
        write_trial(tmp_path, "orig", 0, 0.3, learning_rate=0.005),
        write_trial(tmp_path, "orig", 1, 0.3, learning_rate=0.001),
        write_trial(tmp_path, "contrastive-hidden", 0, 0.1, **ours),
        write_trial(tmp_path, "contrastive-hidden", 1, 0.4, **ours | {"tau": 0.7}),
    ]
    tables = {kind: str(tmp_path / f"tuning.{kind}") for kind in ("csv", "parquet", "html", "tex")}
    overlay = tmp_path / "dataset=toy/split=paper/best.yaml"
    collect_trials(files, [str(overlay)])
    settings = {"simulated": ["toy"], "tuning": {"trials": 2}}
    make_table("tuning", given_for({"trial": files}, tables, settings))
    rows = pq.read_table(tables["parquet"], partitioning=None).to_pylist()
    assert [(row["variant"], row["trial"], row["chosen"]) for row in rows] == [
        ("orig", 0, True),  # the first of equals
        ("orig", 1, False),
        ("contrastive-hidden", 0, False),
        ("contrastive-hidden", 1, True),
    ]
    assert (rows[0]["alpha"], rows[3]["tau"], rows[3]["seconds"], rows[3]["best_epoch"]) == (
        None,
        0.7,
        4.0,
        2,
    )
    made = yaml.safe_load(overlay.read_text(encoding="utf-8"))
    assert made["datasets"] == ["toy"]
    config = default_config()
    update_config(config, made | {"datasets": ["mssd-sim"]})
    check_config(config, SCHEMA)
    assert run_settings(config, "sasrec", "contrastive-hidden")["tau"] == 0.7
    assert run_settings(config, "sasrec", "contrastive-hidden")["query"] == "hidden"
    assert run_settings(config, "sasrec", "orig")["learning_rate"] == 0.005


def test_a_range_the_wrong_way_round_is_named():
    config = default_config({"tuning": {"tau": [1.0, 0.1]}})
    with pytest.raises(
        UserError, match=r"tuning\.tau: the lowest value 1\.0 is not below the highest, 0\.1"
    ):
        check_config(config, SCHEMA)
