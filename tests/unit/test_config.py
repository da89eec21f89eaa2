"""The default configuration fits its schema, a mistake in it is one line that names the key, and
what follows from it.
"""

import copy
import datetime
import os
import re

import pytest
import yaml
from examples import ROOT, default_config, with_those_below
from jsonschema import Draft202012Validator
from skipwise.core.config import (
    begins_with,
    controls,
    model_file,
    own_space,
    raw_entry,
    reference,
    run_settings,
    runs,
    searched_as,
    searches,
    seeds,
    sessions,
    variants,
)
from skipwise.core.errors import UserError
from skipwise.core.mistakes import check_config
from skipwise.core.reading import take_replacements
from skipwise.core.registry import metrics, names
from skipwise.core.shards import raw_files
from skipwise.simulation.listeners import Listeners
from snakemake.utils import validate

SCHEMA = yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text(encoding="utf-8"))
DEFAULT = default_config()
OVERLAYS = sorted(
    path.name
    for path in (ROOT / "config").glob("*.yaml")
    if path.name not in ("config.yaml", "datasets.yaml")
)
REGISTRIES = ("model_registry", "registry")


def mistake(config: dict) -> str:
    with pytest.raises(UserError) as error:
        check_config(config, SCHEMA)
    message = str(error.value)
    assert "\n" not in message
    return message


def changed(*path, value) -> dict:
    """The default configuration with ``value`` at this path of keys."""
    config = copy.deepcopy(DEFAULT)
    *folders, last = path
    at = config
    for key in folders:
        at = at[key]
    at[last] = value
    return config


def without(*path) -> dict:
    config = copy.deepcopy(DEFAULT)
    *folders, last = path
    at = config
    for key in folders:
        at = at[key]
    del at[last]
    return config


# --- The default configuration, its schema and its overlays


def test_the_schema_is_one():
    Draft202012Validator.check_schema(SCHEMA)


def test_the_default_configuration_is_right():
    before = copy.deepcopy(DEFAULT)
    check_config(DEFAULT, SCHEMA)
    assert before == DEFAULT


def schema_defaults(schema: dict, path: tuple[str, ...] = ()):
    """Path and default of every key that has one and is not a section."""
    for key, part in schema.get("properties", {}).items():
        if "properties" in part:
            yield from schema_defaults(part, (*path, key))
        elif "default" in part:
            yield (*path, key), part["default"]


@pytest.mark.parametrize(
    ("path", "default"),
    [pytest.param(*found, id=".".join(found[0])) for found in schema_defaults(SCHEMA)],
)
def test_the_schema_has_the_default_of_the_default_configuration(path, default):
    value = DEFAULT
    for key in path:
        value = value[key]
    assert value == default
    assert type(value) is type(default)


SECTIONS = [key for key, part in SCHEMA["properties"].items() if "properties" in part]


def test_sections_are_the_same_in_schema_and_default():
    assert {key for key, value in DEFAULT.items() if isinstance(value, dict)} == {
        *SECTIONS,
        *REGISTRIES,
        "models_by_dataset",
        "seeds_by_dataset",
        "n_sessions_by_dataset",
    }
    assert set(DEFAULT) == set(SCHEMA["properties"]) - {"pathvars"}


@pytest.mark.parametrize("section", SECTIONS)
def test_a_section_has_the_same_keys_in_schema_and_default_and_a_default_for_each(section):
    properties = SCHEMA["properties"][section]["properties"]
    assert list(DEFAULT[section]) == list(properties)
    assert all("default" in part for part in properties.values())
    # The names of metrics are checked against the functions that there are.
    assert (SCHEMA["properties"][section]["additionalProperties"] is False) == (
        section != "metrics"
    )


def closed(schema: dict, path: str = "top"):
    """Path and subschema of every object that names its keys."""
    if "properties" in schema:
        yield path, schema
    for key, part in schema.get("properties", {}).items():
        yield from closed(part, f"{path}.{key}")
    for key in ("additionalProperties", "items"):
        if isinstance(schema.get(key), dict):
            yield from closed(schema[key], f"{path}.*")


@pytest.mark.parametrize(
    ("path", "part"), [pytest.param(*found, id=found[0]) for found in closed(SCHEMA)]
)
def test_every_object_of_the_schema_is_closed_and_every_key_described(path, part):
    # A variant may override any setting of its model, which the model itself checks.
    # The names of metrics are checked against the functions that there are.
    if path != "top.metrics":
        assert part["additionalProperties"] is ("variants" in path)
    for key, value in part["properties"].items():
        assert value.get("description"), f"{path}.{key}"


def test_a_missing_section_is_filled_in_by_the_schema():
    """Snakemake's validate does it; check_config lets it pass."""
    config = {key: DEFAULT[key] for key in SCHEMA["required"]}
    check_config(config, SCHEMA)


def test_names_in_the_schema_are_those_of_the_code():
    registry = SCHEMA["properties"]["registry"]["additionalProperties"]["properties"]
    assert list(registry["simulation"]["properties"]) == ["world", *Listeners.__dataclass_fields__]
    # Several entries may use the file of one model.
    assert {model_file(DEFAULT, entry) for entry in DEFAULT["model_registry"]} == set(
        names("model")
    )
    assert set(DEFAULT["metrics"]) == set(metrics())
    assert "enum" not in registry["form"].keys() | SCHEMA["properties"]["splits"]["items"].keys()


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_overlay_is_right_on_top(overlay):
    names = with_those_below(overlay)
    merged = default_config(*(yaml.safe_load((ROOT / name).read_text("utf-8")) for name in names))
    check_config(merged, SCHEMA)
    assert merged != DEFAULT
    assert runs(merged)


def test_there_are_the_overlays_of_the_papers_and_of_real_data():
    assert {"paper.yaml", "real.yaml"} <= set(OVERLAYS)


@pytest.mark.parametrize("name", DEFAULT["registry"])
def test_every_data_set_of_the_registry_may_be_chosen(name):
    check_config(default_config({"datasets": [name]}), SCHEMA)
    entry = DEFAULT["registry"][name]
    assert {"title", "licence", "citation", "note"} <= entry.keys()
    assert (
        "simulation" in entry
        or any("urls" in file for file in entry.get("files", []))
        or "how_to_get" in entry
    )


def test_the_default_needs_no_download():
    assert all("simulation" in DEFAULT["registry"][name] for name in DEFAULT["datasets"])


# --- Mistakes


@pytest.mark.parametrize(
    ("path", "value", "where", "hint"),
    [
        (("dataset",), ["mssd"], "top level", "datasets"),
        (("sessions", "n_session"), 10, "sessions", "n_sessions"),
        (("neural", "dropuot"), 0.1, "neural", "dropout"),
        (("contrastive", "tua"), 0.1, "contrastive", "tau"),
        (("threads", "trian"), 1, "threads", "train"),
        (("registry", "mssd", "skip_rul"), {}, "registry.mssd", "skip_rule"),
        (
            ("registry", "mssd-sim", "simulation", "skipshare"),
            0.4,
            "registry.mssd-sim.simulation",
            "skip_share",
        ),
        (("registry", "ml100k", "files", 0, "url"), "x", "registry.ml100k.files.0", "urls"),
        (("model_registry", "sasrec", "familly"), "neural", "model_registry.sasrec", "family"),
    ],
)
def test_a_typo_of_a_key_is_named_with_the_key_that_was_meant(path, value, where, hint):
    message = mistake(changed(*path, value=value))
    assert f"configuration, {where}: unknown key '{path[-1]}'; did you mean '{hint}'?" in message


def test_a_typo_lists_the_known_keys():
    assert mistake(changed("temporal_split", "zzz", value=1)) == (
        "configuration, temporal_split: unknown key 'zzz'. Known: valid_share, test_share"
    )


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        (("neural", "dropout"), "high", "neural.dropout: 'high' is not of type 'number'"),
        (("neural", "dropout"), 1.0, "neural.dropout: 1.0"),
        (("neural", "learning_rate"), 0, "neural.learning_rate: 0"),
        (("sessions", "n_sessions"), 0, "sessions.n_sessions: 0"),
        (("sessions", "n_sessions"), True, "sessions.n_sessions: True"),
        (("sessions", "n_sessions"), 2.5, "sessions.n_sessions: 2.5"),
        (("seeds",), "[3]", "seeds: '[3]' is not of type 'array'"),
        (("seeds",), [1, 1], "seeds: [1, 1]"),
        (("seeds",), [], "seeds: []"),
        (
            ("splits",),
            ["papr"],
            "splits: unknown split 'papr'; did you mean 'paper'? Known: authors_code, paper, "
            "temporal",
        ),
        (("metrics", "hr"), [0], "metrics.hr.0: 0"),
        (("neural",), None, "neural: None"),
        (("temporal_split", "test_share"), 0.5, "temporal_split.test_share: 0.5"),
        (
            ("registry", "mssd", "form"),
            "msd",
            "registry.mssd.form: unknown raw form 'msd'; did you mean 'mssd'?",
        ),
        (("registry", "mssd", "session_gap"), 0, "registry.mssd.session_gap: 0"),
        (("registry", "ml100k", "files", 0, "md5"), "123", "registry.ml100k.files.0.md5: '123'"),
        (
            ("registry", "ml100k", "files", 0, "name"),
            "../x",
            "registry.ml100k.files.0.name: '../x'",
        ),
        (
            ("model_registry", "sasrec", "variants", "orig"),
            1,
            "model_registry.sasrec.variants.orig: 1",
        ),
    ],
)
def test_a_wrong_value_is_named_with_its_key(path, value, expected):
    assert mistake(changed(*path, value=value)).startswith(f"configuration, {expected}")


@pytest.mark.parametrize(
    ("path", "where", "key"),
    [
        (("models",), "top level", "models"),
        (("registry", "mssd", "session_gap"), "registry.mssd", "session_gap"),
        (
            ("registry", "mssd-sim", "simulation", "tracks"),
            "registry.mssd-sim.simulation",
            "tracks",
        ),
        (("model_registry", "sasrec", "variants"), "model_registry.sasrec", "variants"),
    ],
)
def test_a_missing_key_is_named(path, where, key):
    assert mistake(without(*path)) == f"configuration, {where}: the key '{key}' is missing"


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (
            {"name": "gap_belo", "seconds": 30},
            ": unknown skip rule 'gap_belo'; did you mean 'gap_below'? "
            "Known: gap_below, given, known_length, length_margin",
        ),
        ({"name": "gap_below"}, ": the skip rule gap_below needs `seconds`"),
        ({"name": "gap_below", "seconds": 0}, ".seconds: 0 is not above 0"),
        (
            {"name": "gap_below", "seconds": "30"},
            ".seconds: '30' is text to YAML; write 30, without quotes",
        ),
        (
            {"name": "gap_below", "second": 30},
            ": the skip rule gap_below has no parameter 'second'; did you mean 'seconds'? "
            "Known: seconds",
        ),
        (
            {"name": "given", "seconds": 30},
            ": the skip rule given has no parameter 'seconds'. Known: ",
        ),
        ({"name": "length_margin"}, ": the skip rule length_margin needs `default_length`"),
        (
            {"name": "length_margin", "margin": 30, "default_length": 180},
            ": the skip rule length_margin needs `min_support`",
        ),
        (
            {"name": "length_margin", "margin": 30, "default_length": 180, "min_support": 2.5},
            ".min_support: 2.5 is not a whole number from 1",
        ),
    ],
)
def test_a_wrong_skip_rule_is_named_with_what_it_takes(rule, expected):
    message = mistake(changed("registry", "mssd", "skip_rule", value=rule))
    message, _, _ = message.partition(" (in a list of --config")
    assert message == f"configuration, registry.mssd.skip_rule{expected}"


def test_a_rule_that_derives_nothing_is_not_compared():
    message = mistake(changed("lfm_skip_rules", "rules", value=[{"name": "given"}]))
    assert "lfm_skip_rules.rules.0: the rule given does not derive skips from time" in message


def test_an_unknown_metric_is_named():
    message = mistake(changed("metrics", "ndgc", value=[5]))
    expected = "metrics: unknown metric 'ndgc'; did you mean 'ndcg'? Known: hr, ndcg, map"
    assert message == f"configuration, {expected}"


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("temporal_split", {"test_share": 0.1}, "the split temporal needs `valid_share`"),
        ("paper_split", {"share": 0.1}, "the split paper has no parameter 'share'. Known: "),
    ],
)
def test_the_parameters_of_a_split_are_those_of_its_sql(key, value, expected):
    config = default_config({"splits": ["paper", "temporal"]}) | {key: value}
    assert mistake(config) == f"configuration, {key}: {expected}"


def test_an_unknown_way_is_named():
    variants = {"orig": {}, "mine": {"way": "contrastve"}}
    message = mistake(changed("model_registry", "sasrec", "variants", value=variants))
    assert message.startswith(
        "configuration, model_registry.sasrec.variants.mine: unknown way 'contrastve'; "
        "did you mean 'contrastive'?"
    )


def test_an_unknown_data_set():
    message = mistake(changed("datasets", value=["mssd-sim", "lfm1k-smi"]))
    assert "datasets: 'lfm1k-smi' is not in registry; did you mean 'lfm1k-sim'?" in message
    assert message.endswith("Known: " + ", ".join(DEFAULT["registry"]))


def test_an_unknown_model_lists_the_known_ones():
    message = mistake(changed("models", value=["popularity", "sasrek"]))
    assert "models: 'sasrek' is not in model_registry; did you mean 'sasrec'?" in message
    assert message.endswith("Known: " + ", ".join(DEFAULT["model_registry"]))


def test_a_model_without_a_file_lists_those_that_have_one():
    config = changed(
        "model_registry", "my-model", value={"family": "neural", "variants": {"orig": {}}}
    )
    config["models"] = ["my-model"]
    message = mistake(config)
    assert "'my-model'" in message
    assert ", ".join(names("model")) in message


def test_a_model_that_is_not_run_needs_no_file():
    check_config(
        changed("model_registry", "my-model", value={"family": "neural", "variants": {"orig": {}}}),
        SCHEMA,
    )


MINE = {
    "form": "events",
    "paths": ["mine.csv"],
    "columns": {"session": "visit", "track": "song"},
    "skipped_when": "skip",
    "skip_rule": {"name": "given"},
    "session_gap": None,
}


def with_mine(*left_out: str, **values) -> dict:
    entry = {key: value for key, value in {**MINE, **values}.items() if key not in left_out}
    return default_config({"datasets": ["mine"], "registry": {"mine": entry}})


@pytest.mark.parametrize(
    ("left_out", "values"),
    [
        ((), {}),
        (("skipped_when",), {"skip_rule": {"name": "gap_below", "seconds": 30}}),
        (
            (),
            {
                "columns": {"user": "who", "track": "song", "time": "at"},
                "session_gap": 1200,
                "time_unit": "ms",
            },
        ),
    ],
)
def test_a_data_set_of_the_users_own(left_out, values):
    check_config(with_mine(*left_out, **values), SCHEMA)


@pytest.mark.parametrize(
    ("left_out", "values", "expected"),
    [
        (("columns",), {}, "columns"),
        (("skipped_when",), {}, "skipped_when"),
        (("paths",), {}, "paths"),
        ((), {"columns": {"session": "visit"}}, "'track' is missing"),
        (
            (),
            {"columns": {"sesion": "visit", "track": "song"}},
            "unknown key 'sesion'; did you mean 'session'?",
        ),
        ((), {"columns": {"track": "song"}}, "session"),  # neither session nor user
        (
            ("columns", "skipped_when"),
            {"form": "lfm1k", "session_gap": 1200, "disliked_when": "hate"},
            "the form lfm1k has no dislikes",
        ),
        (
            (),
            {"disliked_when": "hate", "skip_rule": {"name": "gap_below", "seconds": 30}},
            "disliked_when: dislikes add to the labels of `skipped_when`",
        ),
        (
            (),
            {"skip_rule": {"name": "gap_below", "seconds": 30}},
            "skipped_when: its labels would be replaced",
        ),
        (("columns", "skipped_when"), {"form": "movielens"}, "skipped_when"),
        (("columns",), {"form": "mssd"}, "skipped_when: the form mssd has no columns for a rule"),
        (("skipped_when",), {"form": "mssd"}, "columns: the form mssd knows its columns"),
        (("columns", "skipped_when"), {"form": "mssd", "time_unit": "ms"}, "time_unit: the form"),
        (
            ("columns",),
            {"form": "yambda", "session_gap": 9, "skip_rule": {"name": "gap_below", "seconds": 4}},
            "which derives skips from time; set skip_rule: {name: given}",
        ),
        (
            ("columns", "skipped_when"),
            {"form": "mssd", "session_gap": 1200},
            "session_gap: the form mssd has sessions; set it to null",
        ),
        (("columns",), {"form": "movielens"}, "session_gap: the form movielens has no sessions"),
        (
            ("paths",),
            {"files": [{"name": "mine.csv"}]},
            "urls",
        ),  # neither an address nor a simulation
    ],
)
def test_an_incomplete_data_set_is_named_before_anything_runs(left_out, values, expected):
    message = mistake(with_mine(*left_out, **values))
    assert "registry.mine" in message
    assert expected in message


def test_an_incomplete_data_set_that_is_not_run_is_no_mistake():
    check_config(with_mine("columns") | {"datasets": ["mssd-sim"]}, SCHEMA)


def test_a_share_that_is_kept_and_all_sessions_contradict_each_other():
    config = with_mine(keep_share=0.1)
    config["sessions"]["n_sessions"] = None
    assert "registry.mine: keep_share" in mistake(config)
    check_config(config | {"n_sessions_by_dataset": {"mine": 50}}, SCHEMA)
    of_it = with_mine(keep_share=0.1) | {"n_sessions_by_dataset": {"mine": None}}
    assert "n_sessions_by_dataset.mine: null takes all" in mistake(of_it)
    check_config(
        config | {"registry": config["registry"] | {"mine": MINE | {"keep_share": None}}}, SCHEMA
    )


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("keep_share", 0),
        ("keep_share", 1.5),
        ("parts", 0),
        ("until", "June 2009"),
        ("until", "2009-6-1"),
    ],
)
def test_a_wrong_value_of_a_data_set_is_named(key, value):
    assert f"registry.mine.{key}: " in mistake(with_mine(**{key: value}))


# --- Raw files and shards


def touch(folder, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


@pytest.mark.parametrize(
    ("name", "shard"),
    [
        ("training_set_0.tar.gz", "training_set_0"),
        ("log_0_20180715_000000000000.csv.gz", "log_0_20180715_000000000000"),
        ("lastfm-dataset-1K.tar.gz", "lastfm-dataset-1K"),
        ("listening-events.tsv.bz2", "listening-events"),
        ("u.data", "u"),
        ("ml-100k.zip", "ml-100k"),
        ("ml-100k.inter", "ml-100k"),
        ("plays.2020.parquet", "plays-2020"),
        ("my plays (1).csv", "my-plays--1-"),
        ("set.tgz", "set"),
    ],
)
def test_shard_of_a_file(tmp_path, name, shard):
    touch(tmp_path, name)
    assert raw_files("mine", {"paths": [str(tmp_path / name)]}, "resources") == {
        shard: str(tmp_path / name)
    }


def test_files_stand_under_the_resources_of_their_data_set():
    entry = {"files": [{"name": "b.tar.gz"}, {"name": "a.tar.gz"}]}
    assert raw_files("mine", entry, "elsewhere") == {
        "b": "elsewhere/raw/mine/b.tar.gz",
        "a": "elsewhere/raw/mine/a.tar.gz",
    }


def test_patterns_are_sorted_and_keep_their_order(tmp_path):
    touch(tmp_path, *(f"b/{i}.csv" for i in (5, 2, 8, 1, 7, 3, 6, 4)), "a/9.csv", "a/notes.txt")
    entry = {"paths": [f"{tmp_path}/b/*.csv", f"{tmp_path}/a/*.csv"]}
    expected = [(str(i), f"{tmp_path}/b/{i}.csv") for i in range(1, 9)] + [
        ("9", f"{tmp_path}/a/9.csv")
    ]
    assert list(raw_files("mine", entry, "resources").items()) == expected


def test_local_paths_win_over_files(tmp_path):
    touch(tmp_path, "ml.zip")
    entry = DEFAULT["registry"]["ml100k"] | {"paths": [str(tmp_path / "ml.zip")]}
    assert raw_files("ml100k", entry, "resources") == {"ml": str(tmp_path / "ml.zip")}


def test_a_name_with_the_letters_of_a_pattern_is_found(tmp_path):
    touch(tmp_path, "plays[1].csv")
    entry = {"paths": [str(tmp_path / "plays[1].csv")]}
    assert raw_files("mine", entry, "resources") == {"plays-1-": str(tmp_path / "plays[1].csv")}


def test_a_file_that_two_patterns_match_is_read_once(tmp_path):
    touch(tmp_path, "log_1.csv", "log_2.csv")
    entry = {"paths": [f"{tmp_path}/log_1.csv", f"{tmp_path}/*.csv"]}
    assert raw_files("mine", entry, "resources") == {
        f"log_{i}": f"{tmp_path}/log_{i}.csv" for i in (1, 2)
    }


def missing(name: str, entry: dict) -> str:
    with pytest.raises(UserError) as error:
        raw_files(name, entry, "resources")
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    "name", [name for name, entry in DEFAULT["registry"].items() if "paths" in entry]
)
def test_missing_local_files_say_how_to_get_them(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    entry = DEFAULT["registry"][name]
    message = missing(name, entry)
    assert message.startswith(f"{name}: no file matches ")
    assert all(path in message for path in entry["paths"])
    assert message.endswith(entry["how_to_get"])
    touch(tmp_path, entry["paths"][0].replace("*", "training_set_0"))
    assert len(raw_files(name, entry, "resources")) == 1


def test_missing_local_files_without_a_remedy(tmp_path):
    assert missing("mine", {"paths": [f"{tmp_path}/no.csv"]}) == (
        f"mine: no file matches {tmp_path}/no.csv. Check `paths` in the configuration."
    )


def test_a_folder_is_no_file(tmp_path):
    os.mkdir(tmp_path / "folder")
    assert "is a folder; name its files" in missing("mine", {"paths": [str(tmp_path / "folder")]})


@pytest.mark.parametrize(
    ("one", "two", "shard"),
    [
        ("log_0.csv", "log_0.csv.gz", "log_0"),
        ("a b.csv", "a-b.csv", "a-b"),
    ],
)
def test_two_files_of_one_shard_are_both_named(tmp_path, one, two, shard):
    touch(tmp_path, one, two)
    message = missing("mine", {"paths": [str(tmp_path / one), str(tmp_path / two)]})
    assert f"{tmp_path / one}" in message
    assert f"{tmp_path / two}" in message
    assert f"shard '{shard}'" in message


# --- Runs and settings


def test_runs_are_in_the_order_of_the_tables():
    config = default_config(
        {
            "datasets": ["lfm1k-sim", "mssd-sim"],
            "models": ["sasrec", "popularity"],
            "seeds": [3, 1],
            "seeds_by_dataset": {"lfm1k-sim": [3, 1]},
        }
    )
    sasrec = [
        ("sasrec", variant, seed)
        for variant in ("blind", "orig", "contrastive-item", "contrastive-hidden")
        for seed in (3, 1)
    ]
    expected = [
        {"dataset": dataset, "split": "paper", "model": model, "variant": variant, "seed": seed}
        for dataset in ("lfm1k-sim", "mssd-sim")
        for model, variant, seed in [*sasrec, ("popularity", "orig", 3)]
    ]
    assert runs(config) == expected


def test_a_variant_of_null_is_left_out():
    config = default_config(
        {
            "models": ["sasrec"],
            "model_registry": {"sasrec": {"variants": {"contrastive-item": None}}},
        }
    )
    check_config(config, SCHEMA)
    assert variants(config, "sasrec") == ["blind", "orig", "contrastive-hidden"]
    assert "contrastive-item" not in {run["variant"] for run in runs(config)}
    assert variants(DEFAULT, "sasrec") == [
        "blind",
        "orig",
        "contrastive-item",
        "contrastive-hidden",
    ]


def test_only_models_with_randomness_have_all_seeds():
    config = default_config({"seeds": [4, 2, 7]})
    found = {
        model: seeds(config, "mssd-sim", model)
        for model in ("popularity", "session-popularity", "wrmf", "sasrec")
    }
    assert found == {
        "popularity": [4],
        "session-popularity": [4],
        "wrmf": [4, 2, 7],
        "sasrec": [4, 2, 7],
    }


@pytest.mark.parametrize(
    ("entry", "read"),
    [
        ({"time_is": "end", "skip_rule": {"name": "gap_below", "seconds": 30}}, True),
        ({"form": "spotify", "skip_rule": {"name": "gap_below", "seconds": 30}}, True),
        ({"time_is": "end", "skip_rule": {"name": "given"}}, False),
        ({"skip_rule": {"name": "gap_below", "seconds": 30}}, False),
    ],
)
def test_reading_knows_of_the_rule_only_where_it_orders_plays(entry, read):
    """Else a changed rule would read the raw files again; `label` reads them with it."""
    config = default_config({"registry": {"mine": {"form": "events"} | entry}})
    assert raw_entry(config, "mine").get("skip_rule") == (entry["skip_rule"] if read else None)


def test_no_result_has_the_seed_of_the_search():
    """Else one of the trainings of a tuned variant would be the one that won, by luck, too."""
    search = {"tuning": {"settings": "search", "seed": 3}}
    assert mistake(default_config(search)) == (
        "configuration, seeds: 3 is the seed of the trainings that settings were chosen by "
        "(tuning.seed); take others"
    )
    of_one = search | {"seeds": [1], "seeds_by_dataset": {"lfm1k-sim": [2, 3]}}
    assert mistake(default_config(of_one)).startswith(
        "configuration, seeds_by_dataset.lfm1k-sim: 3"
    )
    for fine in (
        {"tuning": {"settings": "search"}},
        {"tuning": {"settings": "configured", "seed": 3}},
        search | {"models": ["popularity", "item-knn", "sasrec-papers"]},
    ):
        check_config(default_config(fine), SCHEMA)


def test_a_data_set_may_have_seeds_of_its_own():
    config = default_config({"seeds": [4, 2], "seeds_by_dataset": {"lfm1k-sim": [7, 8, 9]}})
    check_config(config, SCHEMA)
    assert seeds(config, "lfm1k-sim", "sasrec") == [7, 8, 9]
    assert seeds(config, "lfm1k-sim", "popularity") == [7]
    assert seeds(config, "mssd-sim", "sasrec") == seeds(config, "mssd", "sasrec") == [4, 2]
    assert {run["seed"] for run in runs(config) if run["dataset"] == "lfm1k-sim"} == {7, 8, 9}
    message = mistake(default_config({"seeds_by_dataset": {"lfm1k-smi": [1]}}))
    assert "seeds_by_dataset: 'lfm1k-smi' is not in registry; did you mean 'lfm1k-sim'?" in message


def test_an_empty_key_is_refused_wherever_it_is():
    models = {"sasrec-papers": {"settings": {"a": [{"": 1}]}}}
    message = mistake(default_config({"model_registry": models, "models": ["popularity"]}))
    assert "model_registry.sasrec-papers.settings.a: an empty key" in message


def test_a_data_set_may_have_a_size_of_its_own():
    config = default_config({"n_sessions_by_dataset": {"lfm1k-sim": None, "mssd-sim": 300}})
    check_config(config, SCHEMA)
    assert sessions(config, "lfm1k-sim") == config["sessions"] | {"n_sessions": None}
    assert sessions(config, "mssd-sim")["n_sessions"] == 300
    assert sessions(config, "lfm2b-sim") == config["sessions"]
    message = mistake(default_config({"n_sessions_by_dataset": {"lfm1k-smi": 3}}))
    assert "n_sessions_by_dataset: 'lfm1k-smi' is not in registry" in message
    assert "n_sessions_by_dataset.mssd-sim" in mistake(
        default_config({"n_sessions_by_dataset": {"mssd-sim": 0}})
    )


def test_a_data_set_may_have_models_of_its_own():
    def models_of(config: dict, dataset: str) -> list[str]:
        found = [run["model"] for run in runs(config) if run["dataset"] == dataset]
        return list(dict.fromkeys(found))

    config = default_config(
        {
            "models": ["wrmf", "popularity", "sasrec"],
            "models_by_dataset": {"lfm1k-sim": ["sasrec", "popularity"], "lfm2b-sim": ["caser"]},
        }
    )
    check_config(config, SCHEMA)
    assert models_of(config, "lfm1k-sim") == ["popularity", "sasrec"]
    # Without a model of its own that runs, a data set has all.
    assert models_of(config, "mssd-sim") == models_of(config, "lfm2b-sim") == config["models"]
    message = mistake(default_config({"models_by_dataset": {"lfm1k-smi": ["sasrec"]}}))
    assert "'lfm1k-smi' is not in registry; did you mean 'lfm1k-sim'?" in message
    message = mistake(default_config({"models_by_dataset": {"lfm1k-sim": ["sasrek"]}}))
    assert "models_by_dataset.lfm1k-sim: 'sasrek' is not in model_registry" in message


def test_the_default_shows_the_spread_over_seeds_on_one_data_set():
    found = {
        run["dataset"]: {
            other["seed"] for other in runs(DEFAULT) if other["dataset"] == run["dataset"]
        }
        for run in runs(DEFAULT)
    }
    assert found == {"mssd-sim": {1, 2, 3}, "lfm1k-sim": {1}, "lfm2b-sim": {1}}


def test_the_contrastive_settings_are_in_the_contrastive_variants_alone():
    config = default_config({"contrastive": {"tau": 0.3, "alpha": 2.0}})
    orig = run_settings(config, "sasrec", "orig")
    assert orig == run_settings(DEFAULT, "sasrec", "orig")
    assert not orig.keys() & {"tau", "alpha", "beta"}
    assert orig["way"] is None
    for variant, query in {"contrastive-item": "item", "contrastive-hidden": "hidden"}.items():
        found = run_settings(config, "sasrec", variant)
        given = {"way": "contrastive", "query": query, "tau": 0.3, "alpha": 2.0, "beta": 1.0}
        assert found == orig | given


def test_settings_of_a_neural_model_are_shared_and_its_own():
    found = run_settings(DEFAULT, "sasrec", "orig")
    assert found == {
        **DEFAULT["neural"],
        "max_length": 20,
        "way": None,
        "layers": 2,
        "heads": 2,
        "feed_forward": 256,
        "norm": "pre",
        "positions": "end",
    }


def test_a_variant_overrides_its_model_and_a_model_what_is_shared():
    overlay = {
        "model_registry": {
            "sasrec": {
                "settings": {"dropout": 0.5, "layers": 3},
                "variants": {"contrastive-item": {"layers": 1, "tau": 9}},
            }
        }
    }
    config = default_config(overlay)
    assert run_settings(config, "sasrec", "orig") == run_settings(DEFAULT, "sasrec", "orig") | {
        "dropout": 0.5,
        "layers": 3,
    }
    found = run_settings(config, "sasrec", "contrastive-item")
    assert (found["dropout"], found["layers"], found["tau"], found["query"]) == (0.5, 1, 9, "item")


def test_blind_differs_from_orig_in_its_targets_alone():
    """Every model whose settings have targets has both variants; the papers print no blind."""
    found = {}
    for model in DEFAULT["models"]:
        if DEFAULT["model_registry"][model].get("settings_of") == "papers":
            assert "blind" not in variants(DEFAULT, model)
        elif "targets" in (orig := run_settings(DEFAULT, model, "orig")):
            assert orig["targets"] == "listened"
            assert run_settings(DEFAULT, model, "blind") == orig | {"targets": "next"}
            found[model_file(DEFAULT, model)] = DEFAULT["model_registry"][model]["family"]
        else:
            assert "blind" not in variants(DEFAULT, model)
    baselines = {name for name, family in found.items() if family == "baseline"}
    assert baselines == {"markov", "item-knn", "session-knn"}
    neural = {name for name, family in found.items() if family == "neural"}
    assert neural == {"sasrec", "bert4rec", "gru4rec", "caser"} == found.keys() - baselines


@pytest.mark.parametrize("model", ["markov", "sasrec", "bert4rec", "gru4rec", "caser"])
def test_the_authors_code_trains_on_plain_next_tracks_whatever_the_variant(model):
    for variant in variants(DEFAULT, model):
        of_variant = run_settings(DEFAULT, model, variant)
        of_code = run_settings(DEFAULT, model, variant, "authors_code")
        assert of_code == of_variant | {"targets": "next"}
        for split in ("paper", "temporal"):
            assert run_settings(DEFAULT, model, variant, split) == of_variant


def test_a_split_gives_no_targets_to_a_model_without_that_setting():
    for model in ("popularity", "wrmf", "ease"):
        found = run_settings(DEFAULT, model, "orig", "authors_code")
        assert found == run_settings(DEFAULT, model, "orig")


def entry_like(model: str, **more) -> dict:
    """The default configuration with another entry for the file of ``model``."""
    entry = copy.deepcopy(DEFAULT["model_registry"][model])
    return default_config({"model_registry": {"another": entry | {"model": model} | more}})


def test_several_entries_may_use_the_file_of_one_model():
    config = entry_like("sasrec", settings={"layers": 1, "heads": 1, "feed_forward": 8})
    config["models"] = ["sasrec", "another"]
    check_config(config, SCHEMA)
    assert model_file(config, "another") == model_file(config, "sasrec") == "sasrec"
    assert {run["model"] for run in runs(config)} == {"sasrec", "another"}
    assert run_settings(config, "another", "orig")["heads"] == 1
    assert run_settings(config, "sasrec", "orig") == run_settings(DEFAULT, "sasrec", "orig")


def test_an_unknown_file_of_an_entry_is_named():
    config = entry_like("sasrec")
    config["models"] = ["another"]
    config["model_registry"]["another"]["model"] = "sasrek"
    message = mistake(config)
    assert "model_registry.another.model: unknown model 'sasrek'; did you mean 'sasrec'?" in message


@pytest.mark.parametrize(
    ("section", "key"), [("candidates", "headline"), ("sessions", "unknown_labels")]
)
def test_a_set_of_words_is_checked(section, key):
    message = mistake(changed(section, key, value="nwe"))
    assert f"{section}.{key}" in message
    assert "'nwe'" in message


def test_other_families_have_their_own_settings_alone():
    assert run_settings(DEFAULT, "popularity", "orig") == {}
    assert run_settings(DEFAULT, "wrmf", "orig") == DEFAULT["model_registry"]["wrmf"]["settings"]


@pytest.mark.parametrize(
    ("section", "key"),
    [("sessions", "n_sessions"), ("metrics", "hr"), ("intervals", "seed"), ("threads", "rank")],
)
def test_what_does_not_concern_training_is_not_in_its_settings(section, key):
    config = changed(section, key, value=[3] if key == "hr" else 3)
    for model in DEFAULT["models"]:
        for variant in variants(DEFAULT, model):
            assert run_settings(config, model, variant) == run_settings(DEFAULT, model, variant)


def test_settings_do_not_change_the_configuration():
    before = copy.deepcopy(DEFAULT)
    run_settings(DEFAULT, "sasrec", "contrastive-item")["tau"] = 5
    run_settings(DEFAULT, "wrmf", "orig")["factors"] = 5
    assert before == DEFAULT


def test_a_rank_cutoff_below_the_metrics_is_named():
    message = mistake(changed("candidates", "rank_cutoff", value=15))
    assert message.startswith(
        "configuration, candidates.rank_cutoff: with 15 no rank is known at the cut-off 20"
    )


@pytest.mark.parametrize("cutoff", [20, None])
def test_a_rank_cutoff_that_the_metrics_do_not_reach(cutoff):
    check_config(changed("candidates", "rank_cutoff", value=cutoff), SCHEMA)


def test_the_metrics_of_unseen_skips_count_too():
    config = changed("metrics", value={"hr": [1, 5], "ndcg": [5], "map": [5]})
    config["candidates"]["rank_cutoff"] = 9
    assert "with 9 no rank is known at the cut-off 10" in mistake(config)


# --- Values that are spelled otherwise, and settings that break a model


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        (("sessions", "n_sessions"), 250.0, "sessions.n_sessions: 250.0 is not a whole number"),
        (("candidates", "sampled"), 50.0, "candidates.sampled: 50.0 is not a whole number"),
        (("seeds",), [1.0], "seeds.0: 1.0 is not a whole number to YAML; write 1"),
        (("neural", "learning_rate"), "1e-3", "'1e-3' is text to YAML; write 0.001, without"),
        (("neural", "learning_rate"), "1e-5", "write 1.0e-05, without quotes"),
        (
            ("registry", "mssd-sim", "until"),
            datetime.date(2020, 1, 1),
            "registry.mssd-sim.until: 2020-01-01 is a date to YAML; put it into quotes",
        ),
    ],
)
def test_a_value_of_another_kind_says_how_to_write_it(path, value, expected):
    assert expected in mistake(changed(*path, value=value))


@pytest.mark.parametrize(
    ("model", "name", "value", "expected"),
    [
        ("wrmf", "iterations", 0, "0 is less than the minimum of 1"),
        ("bpr", "iterations", 0, "0 is less than the minimum of 1"),
        ("bpr", "iterations", 10.0, "10.0 is not a whole number to YAML; write 10"),
        ("wrmf", "regularization", 0, "0 is less than or equal to the minimum of 0"),
        ("wrmf", "regularization", -1, "-1 is less than or equal to the minimum of 0"),
        ("bpr", "regularization", -1, "-1 is less than the minimum of 0"),
        ("bpr", "learning_rate", "1e-3", "'1e-3' is text to YAML; write 0.001"),
        ("sasrec", "max_epochs", 0, "0 is less than the minimum of 1"),
        ("decayed-popularity", "half_life", 0, "0 is less than or equal to the minimum of 0"),
        ("item-knn", "neighbours", 0, "0 is less than the minimum of 1"),
        ("caser", "window", 5.0, "5.0 is not a whole number to YAML; write 5"),
        ("sasrec", "tau", 0, "0 is less than or equal to the minimum of 0"),
        ("ease", "regularization", "1e3", "'1e3' is text to YAML; write 1000"),
        ("bpr", "skips", "typo", "'typo' is not one of ['preferred', "),
        ("session-knn", "idf", "no", "'no' is not of type 'boolean'"),
        ("markov", "targets", "foo", "'foo' is not one of ['listened', "),
        ("sasrec", "positions", "both", "'both' is not one of ['start', 'end']"),
    ],
)
def test_a_setting_that_breaks_a_model_is_named(model, name, value, expected):
    message = mistake(changed("model_registry", model, "settings", name, value=value))
    assert message.startswith(f"configuration, model_registry.{model}.settings.{name}: {expected}")


def test_a_setting_of_a_variant_is_named_too():
    config = changed("model_registry", "wrmf", "variants", "orig", value={"alpha": 1})
    assert "model_registry.wrmf.variants.orig.alpha: 1 is less than or equal" in mistake(config)


# --- Overlays that replace


def test_an_overlay_may_change_the_skip_rule():
    """Snakemake merges overlays key by key."""
    config = copy.deepcopy(DEFAULT)
    config["registry"]["lfm1k-sim"]["skip_rule"] |= {"name": "gap_below", "seconds": 30}
    take_replacements(config, DEFAULT)
    assert config["registry"]["lfm1k-sim"]["skip_rule"] == {"name": "gap_below", "seconds": 30}
    check_config(config, SCHEMA)


def test_a_parameter_that_the_overlay_itself_gives_is_still_a_mistake():
    config = copy.deepcopy(DEFAULT)
    rule = {"name": "gap_below", "seconds": 30, "margin": 7}
    config["registry"]["lfm1k-sim"]["skip_rule"] |= rule
    take_replacements(config, DEFAULT)
    assert "gap_below has no parameter 'margin'" in mistake(config)


def test_a_number_is_finite_wherever_it_stands():
    for path, value in (
        (("raw", "tolerance"), float("nan")),
        (("registry", "mssd", "session_gap"), float("nan")),
        (("registry", "lfm1k", "skip_rule", "margin"), float("-inf")),
        (("neural", "learning_rate"), float("inf")),
        (("model_registry", "ease", "settings", "unheard"), float("nan")),
        (("temporal_split",), {"valid_share": float("nan")}),
        (("metrics", "hr"), [1, float("inf")]),
    ):
        inner = {list: ".1", dict: ".valid_share"}.get(type(value), "")
        key = ".".join(path) + inner
        message = mistake(changed(*path, value=value))
        assert message.startswith(f"configuration, {key}: ")
        assert message.endswith("is not a finite number")


def test_a_seed_has_64_bits():
    assert "seeds.0: 18446744073709551616 is greater than the maximum" in mistake(
        changed("seeds", value=[2**64])
    )


def test_targets_of_a_variant_may_be_by_the_labels_that_it_sees():
    entry = {"way": "contrastive", "query": "item", "labels": "shuffled", "targets": "labelled"}
    check_config(changed("model_registry", "sasrec", "variants", "x", value=entry), SCHEMA)


def test_an_overlay_may_take_out_a_column():
    config = {"registry": {"mine": {"columns": {"track": "t", "session": None, "user": "u"}}}}
    take_replacements(config, {})
    assert config["registry"]["mine"]["columns"] == {"track": "t", "user": "u"}


# --- Own tables

TIMED = {"user": "user", "track": "track", "time": "time"}


def test_own_tables_with_every_key_are_right():
    columns = TIMED | {"duration": "ms"}
    keys = {"time_is": "end", "duration_unit": "ms", "time_unit": "us", "separator": ";"}
    keys |= {"quote": None, "null_values": ["NA"], "until": "2020-12-31"}
    check_config(with_mine(columns=columns, session_gap=1200, **keys), SCHEMA)


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"time_is": "end"}, "registry.mine.time_is: `time_is: end` and `columns.duration`"),
        ({"columns": TIMED | {"duration": "ms"}}, "registry.mine.time_is"),
        ({"until": "2020-01-01"}, "registry.mine.until: plays have no time"),
        ({"columns": TIMED | {"session": "s"}, "session_gap": 1200}, "set session_gap: null"),
        ({"separator": ";;"}, "registry.mine.separator"),
        ({"separator": "§"}, "registry.mine.separator: '§' cannot stand between cells"),
        ({"separator": '"'}, "registry.mine.separator"),
        ({"until": "2020-02-31", "columns": TIMED, "session_gap": 9}, "2020-02-31 is no date"),
        ({"skipped_when": ""}, "registry.mine.skipped_when: '' is no column and no rule"),
        ({"skipped_when": "x <"}, "registry.mine.skipped_when: 'x <' is no column and no rule"),
        ({"skipped_when": "x <= two"}, "mine.skipped_when: 'x <= two' compares with 'two'"),
        ({"disliked_when": "< 3"}, "registry.mine.disliked_when: '< 3' is no column"),
        ({"columns": TIMED, "session_gap": None}, "registry.mine.session_gap: columns names no"),
        ({"columns": TIMED, "session_gap": 0.1}, "registry.mine.session_gap: 0.1"),
    ],
)
def test_keys_of_own_tables_that_contradict_each_other(entry, expected):
    assert expected in mistake(with_mine(**entry))


def test_a_control_takes_what_the_search_of_its_way_found():
    entry = {
        "contrastive-item-shuffled": {"way": "contrastive", "query": "item", "labels": "shuffled"},
        "inverted": {"way": "contrastive", "query": "hidden", "labels": "inverted"},
        "no-twin": {"way": "contrastive", "query": "item", "tau": 0.2, "labels": "shuffled"},
        "of-targets": {
            "way": "contrastive",
            "query": "item",
            "labels": "shuffled",
            "targets": "labelled",
        },
    }
    overlay = {"models": ["sasrec"], "model_registry": {"sasrec": {"variants": entry}}}
    config = default_config(overlay)
    taken = {name: searched_as(config, "sasrec", name) for name in variants(config, "sasrec")}
    assert taken == {name: name for name in taken} | {
        "contrastive-item-shuffled": "contrastive-item",
        "of-targets": "contrastive-item",
        "inverted": "contrastive-hidden",
    }
    found = {
        "contrastive-item-shuffled": {"of": "contrastive-item", "all": False},
        "of-targets": {"of": "contrastive-item", "all": True},
    }
    assert controls(config, "sasrec") == found
    # A variant that is left out has no search to take.
    config = default_config(
        overlay, {"model_registry": {"sasrec": {"variants": {"contrastive-item": None}}}}
    )
    assert searched_as(config, "sasrec", "contrastive-item-shuffled") == "contrastive-item-shuffled"


def test_the_search_of_a_way_begins_with_the_variant_of_its_targets():
    config = default_config(
        yaml.safe_load((ROOT / "config/methods.yaml").read_text(encoding="utf-8"))
    )
    begins = {name: begins_with(config, "sasrec", name) for name in variants(config, "sasrec")}
    assert begins["blind"] is begins["orig"] is None
    # They are compared with the same variant.
    compared = {name: reference(config, "sasrec", name) for name in begins}
    assert compared.pop("orig") == compared.pop("orig-shuffled") == "blind"
    assert {name: first for name, first in begins.items() if first}.items() <= compared.items()
    of_next = {name for name, first in begins.items() if first == "blind"}
    assert of_next == {
        name
        for name in begins
        if name.startswith(("contrastive-released", "feedback-input-next", "skip-head"))
    }
    assert {*begins.values()} == {None, "blind", "orig"}
    assert begins_with(config, "wrmf", "nr") is None
    for orig in (None, {"way": "gbce"}):
        alone = default_config({"model_registry": {"sasrec": {"variants": {"orig": orig}}}})
        assert begins_with(alone, "sasrec", "contrastive-item") is None
    assert begins_with(alone, "sasrec", "orig") is None
    assert own_space(config, "sasrec", "contrastive-item") == ["alpha", "tau"]
    assert own_space(config, "sasrec", "listened-only") == own_space(config, "wrmf", "nr") == []


def test_a_control_has_no_search_of_its_own():
    methods = yaml.safe_load((ROOT / "config/methods.yaml").read_text(encoding="utf-8"))
    config = default_config(methods)
    searched = {(run["model"], run["variant"]) for run in searches(config)}
    assert not [run for run in searched if run[1].endswith("-shuffled")]
    assert {run for run in searched if run[0] == "sasrec"} == {
        ("sasrec", name) for name in variants(config, "sasrec") if not name.endswith("-shuffled")
    }


def test_the_worlds_of_the_study_are_without_controls():
    names = ("methods.yaml", "answer_worlds.yaml")
    parts = [yaml.safe_load((ROOT / "config" / name).read_text(encoding="utf-8")) for name in names]
    first, both = default_config(parts[0]), default_config(*parts)
    left = set(variants(first, "sasrec")) - set(variants(both, "sasrec"))
    assert left == {name for name in variants(first, "sasrec") if name.endswith("-shuffled")}
    of_make = dict(re.findall(r"^(\w+) := (.*)$", (ROOT / "Makefile").read_text("utf-8"), re.M))
    worlds = {
        name for name, its in both["registry"].items() if "world" in its.get("simulation", {})
    }
    of_all_ways = worlds - {"sparse-sim"}  # too large for them
    assert set(of_make["WAYS_IN"].split()) == of_all_ways | {"ml100k"}


@pytest.mark.parametrize(
    ("overlay", "expected"),
    [
        ("model_registry: {wrmf: {variants: {no: {}}}}", "variants: the key False is no text"),
        ("1: 2", "top level: the key 1 is no text to YAML; write it in quotes"),
        ("temporl_split: {test_share: 0.3}", "unknown split 'temporl'; did you mean 'temporal'"),
        (
            "lfm_skip_rules: {rules: [{name: known_length, margin: 30, min_support: 3, "
            "default_length: 180}]}",
            "known_length reads given lengths",
        ),
    ],
)
def test_what_would_be_passed_over_or_break_a_job_is_named(overlay, expected):
    assert expected in mistake(default_config(yaml.safe_load(overlay)))


def test_a_name_that_snakemake_reads_as_another_is_refused(tmp_path):
    (tmp_path / "{dataset}.csv").write_text("x")
    with pytest.raises(UserError, match="has braces in its name"):
        raw_files("mine", {"paths": [str(tmp_path / "*.csv")]}, "resources")


def test_a_key_of_an_entry_that_is_null_is_taken_out():
    """So that its skips can be derived instead."""
    rule = {"name": "gap_below", "seconds": 5}
    config = with_mine(columns={"user": "who", "track": "song", "time": "at"}, session_gap=1200)
    config["registry"]["mine"] |= {"skipped_when": None, "skip_rule": rule, "keep_share": None}
    take_replacements(config, config)
    assert "skipped_when" not in config["registry"]["mine"]
    assert config["registry"]["mine"]["keep_share"] is None
    check_config(config, SCHEMA)


@pytest.mark.parametrize("key", sorted(set(DEFAULT) - {*SCHEMA["required"]}))
def test_a_key_that_has_a_default_may_be_left_out(key):
    """Snakemake fills it in; of `metrics` it filled in what was refused then."""
    config = {name: value for name, value in default_config().items() if name != key}
    check_config(config, SCHEMA)
    validate(config, str(ROOT / "workflow/schemas/config.schema.yaml"))
    assert key in config or "default" not in SCHEMA["properties"][key]
