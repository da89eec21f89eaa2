"""What is wrong in a configuration: every mistake with its key, what it is and the remedy."""

import datetime
import difflib
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from skipwise.core import paths, registry
from skipwise.core.conditions import parse_rule
from skipwise.core.config import (
    TUNED,
    is_external,
    is_random,
    is_untuned,
    model_file,
    models,
    run_settings,
    runs,
    sessions,
    shipped,
    split_parameters,
    tuned,
    variants,
    way_settings,
)
from skipwise.core.errors import UserError

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError


def _by_name(of_each: dict) -> dict:
    """The JSON Schema of entries by name."""
    return {"type": "object", "additionalProperties": of_each}


# What a search found for a variant, and the file of settings that come with the project: that by
# split, model and variant.
_FOUND = {
    "type": "object",
    "required": ["settings", "configured", "trials", "value"],
    "additionalProperties": False,
    "properties": {
        "settings": {"type": "object"},
        "configured": {"type": "object"},
        "trials": {"type": "integer"},
        "value": {"type": "number"},
    },
}
_SHIPPED = {
    "type": "object",
    "required": ["seed", "splits"],
    "properties": {"seed": {"type": "integer"}, "splits": _by_name(_by_name(_by_name(_FOUND)))},
}
# Keys of a data set's entry that say how a table of the user's own is laid out, and the defaults
# that Snakemake fills in.
OF_TABLES = {
    **dict.fromkeys(("columns", "session_ids", "separator", "null_values")),
    **{"time_unit": "s", "time_is": "start", "duration_unit": "s", "quote": '"'},
}


def check_config(config: dict, schema: dict) -> None:
    """Raise UserError with one line that names the key, for the first of :func:`mistakes`."""
    for key, wrong in mistakes(config, schema):
        raise UserError(f"configuration, {key}: {wrong}")


def mistakes(config: dict, schema: dict) -> list[tuple[str, str]]:
    """Key and mistake of what is wrong in ``config``: keys and numbers that are none, else against
    the schema, else names that must be in a registry or have a file, else the parameters of what is
    found by its file, else values that the file of a model does not allow.
    """
    steps = (
        _keys_that_are_no_text(config),
        _not_finite(config),
        _schema_mistakes(config, schema),
        _name_mistakes(config),
        _parameter_and_limit_mistakes(config),
        _setting_mistakes(config, schema.get("properties", {})),
    )
    # A step takes for granted what the one before has checked.
    return next((found for step in steps if (found := list(dict.fromkeys(step)))), [])


def _schema_mistakes(config: dict, schema: dict) -> Iterator[tuple[str, str]]:
    errors = _validator()(schema).iter_errors(config)
    for error in sorted(errors, key=lambda error: list(map(str, error.absolute_path))):
        yield from _explain(error)


def _setting_mistakes(config: dict, shared: dict) -> Iterator[tuple[str, str]]:
    for model in config["models"]:
        for key, name, value in _model_settings(config, model):
            limits = _limits(config, model, shared).get(name, {})
            yield from ((key, wrong) for wrong in setting_mistakes(value, limits))


def setting_mistakes(value: Any, limits: dict) -> Iterator[str]:
    """What is wrong with the value of a setting, whose JSON Schema is ``limits``."""
    yield from (wrong for _, wrong in _not_finite(value))
    if limits:
        yield from map(_what, _validator()(limits).iter_errors(value))
    if isinstance(value, str) and _number(value) is not None:
        yield _as_number(value)


def _limits(config: dict, model: str, shared: dict) -> dict[str, dict]:
    """By setting of a model the JSON Schema of its values: what its file declares as ``LIMITS``,
    and for neural models those of the keys that all of them share.
    """
    limits = registry.declared("model", model_file(config, model)).get("LIMITS", {})
    if config["model_registry"][model]["family"] == "neural":
        ways = (way.replace("-", "_") for way in registry.names("way"))
        for key in ("neural", *ways):
            limits = shared.get(key, {}).get("properties", {}) | limits
    return limits


def _model_settings(config: dict, model: str) -> Iterator[tuple[str, str, Any]]:
    """Key, name and value of every setting that a model's own entry gives."""
    if is_external(config, model):
        return
    entry = config["model_registry"][model]
    for name, value in entry.get("settings", {}).items():
        yield f"model_registry.{model}.settings.{name}", name, value
    for variant in variants(config, model):
        for name, value in entry["variants"][variant].items():
            yield f"model_registry.{model}.variants.{variant}.{name}", name, value


def _name_mistakes(config: dict) -> Iterator[tuple[str, str]]:
    """Names that no registry and no file has."""
    yield from _empty_keys(config)
    for key, entries in (
        ("datasets", "registry"),
        ("models", "model_registry"),
        ("models_by_dataset", "registry"),
        ("seeds_by_dataset", "registry"),
        ("n_sessions_by_dataset", "registry"),
    ):
        for name in config.get(key, ()):
            if name not in config[entries]:
                yield key, f"'{name}' is not in {entries}{_known(name, config[entries])}"
    for dataset, chosen in config.get("models_by_dataset", {}).items():
        key, known = f"models_by_dataset.{dataset}", config["model_registry"]
        for model in chosen:
            if model not in known:
                yield key, f"'{model}' is not in model_registry{_known(model, known)}"
    for split in config.get("splits", ()):
        yield from _unknown("splits", "split", split)
    for key in config:
        if key.endswith("_split"):
            yield from _unknown(key, "split", key.removesuffix("_split"))
    for name in config.get("metrics", ()):
        if name not in registry.metrics():
            yield "metrics", f"unknown metric '{name}'{_known(name, registry.metrics())}"
    for place, rule in enumerate(config.get("lfm_skip_rules", {}).get("rules", ())):
        yield from _unknown(f"lfm_skip_rules.rules.{place}", "skip rule", rule["name"])
    for name, entry in config["registry"].items():
        yield from _unknown(f"registry.{name}.form", "raw form", entry["form"])
        yield from _unknown(f"registry.{name}.skip_rule", "skip rule", entry["skip_rule"]["name"])
        if world := entry.get("simulation", {}).get("world"):
            yield from _unknown(f"registry.{name}.simulation.world", "world", world)


def _parameter_and_limit_mistakes(config: dict) -> Iterator[tuple[str, str]]:
    """What the schema and the names allow and that is wrong nevertheless."""
    for model in config["models"]:
        yield from _model_mistakes(config, model)
    for split in config.get("splits", ()):
        parameters = registry.parameters("split", split)
        given = split_parameters(config, split)
        yield from _parameter_mistakes(f"{split}_split", f"the split {split}", parameters, given)
    for place, rule in enumerate(config.get("lfm_skip_rules", {}).get("rules", ())):
        key = f"lfm_skip_rules.rules.{place}"
        yield from rule_mistakes(key, rule)
        if not registry.derives_skips(rule["name"]):
            yield key, f"the rule {rule['name']} does not derive skips from time"
        elif "track_length" in registry.statement("skip rule", rule["name"]):
            yield key, f"{rule['name']} reads given lengths, which gaps do not have; leave it out"
    yield from _limit_mistakes(config)
    tuning = config.get("tuning", {})
    for dataset in config["datasets"] if tuning.get("settings") == "search" else ():
        for model in models(config, dataset):
            if not is_untuned(config, model):
                seed = tuning.get("seed", 0)
                yield from _seed_mistakes(config, dataset, model, seed, "tuning.seed")
    for name, entry in config["registry"].items():
        yield from rule_mistakes(f"registry.{name}.skip_rule", entry["skip_rule"])
    for name in config["datasets"]:
        entry = config["registry"][name]
        yield from entry_mistakes(f"registry.{name}", entry)
        if entry.get("keep_share") is not None and sessions(config, name)["n_sessions"] is None:
            of_dataset = name in config.get("n_sessions_by_dataset", {})
            which = f"n_sessions_by_dataset.{name}" if of_dataset else "sessions.n_sessions"
            yield (
                f"registry.{name}",
                f"keep_share lets a share of the sessions through, and {which}: null takes all; "
                "give a number of sessions, or set keep_share: null",
            )


def _model_mistakes(config: dict, model: str) -> Iterator[tuple[str, str]]:
    entry = config["model_registry"][model]
    key = f"model_registry.{model}"
    if is_external(config, model):
        if variants(config, model) != ["orig"] or entry.get("settings"):
            yield (
                key,
                "the family external has only the variant orig and no settings; give every run of "
                "another tool a name of its own",
            )
        return
    file = model_file(config, model)
    yield from _unknown(key if file == model else f"{key}.model", "model", file)
    for variant in variants(config, model):
        settings = entry.get("settings", {}) | entry["variants"][variant]
        if settings.get("way") is not None:
            yield from _unknown(f"{key}.variants.{variant}", "way", settings["way"])
            settings = config.get("neural", {}) | way_settings(config, settings["way"]) | settings
            if (epochs := settings.get("reference_epochs")) and epochs >= settings["max_epochs"]:
                yield (
                    f"{key}.variants.{variant}",
                    f"reference_epochs ({epochs}) leaves none of max_epochs to the way itself",
                )


def _limit_mistakes(config: dict) -> Iterator[tuple[str, str]]:
    """Numbers that contradict each other."""
    sessions = config.get("sessions", {})
    if sessions.get("min_length", 0) > sessions.get("max_length", float("inf")):
        yield "sessions", "min_length is greater than max_length, so no session would be kept"
    cutoff = config.get("candidates", {}).get("rank_cutoff")
    # 10 is the cut-off of the metrics of unseen skips.
    largest = max([10, *(k for ks in config.get("metrics", {}).values() for k in ks)])
    if cutoff is not None and cutoff < largest:
        yield (
            "candidates.rank_cutoff",
            f"with {cutoff} no rank is known at the cut-off {largest} of the metrics; raise it, or "
            "set it to null",
        )


def _seed_mistakes(
    config: dict, dataset: str, model: str, seed: int, where: str
) -> Iterator[tuple[str, str]]:
    """The seed of a search among those of a tuned model's results: the training that won would be
    one of them, and it won by luck, too.  Baselines have no seeds.
    """
    if not is_random(config, model):
        return
    by_dataset = config.get("seeds_by_dataset", {})
    key = f"seeds_by_dataset.{dataset}" if dataset in by_dataset else "seeds"
    if seed in by_dataset.get(dataset, config.get("seeds", ())):
        yield (
            key,
            f"{seed} is the seed of the trainings that settings were chosen by ({where}); take "
            "others",
        )


def entry_mistakes(key: str, entry: dict) -> Iterator[tuple[str, str]]:
    """What the entry of a data set lacks; the file of its form says what it needs."""
    form = entry["form"]
    declared = registry.declared("raw form", form)
    for needed in declared.get("NEEDS", ()):
        if needed not in entry:
            yield key, f"the form {form} needs `{needed}`"
    if "columns" in entry and not entry["columns"].keys() & {"session", "user"}:
        yield (
            key,
            "columns needs `session` (sessions as they are) or `user` (sessions from gaps in time)",
        )
    columns = entry.get("columns", {})
    has_sessions, gap = declared.get("SESSIONS", False), entry["session_gap"]
    if "columns" not in declared.get("NEEDS", ()):
        for name, default in OF_TABLES.items():
            if entry.get(name, default) != default:
                yield f"{key}.{name}", f"the form {form} knows its columns; leave it out"
        if has_sessions and gap is not None:
            yield f"{key}.session_gap", f"the form {form} has sessions; set it to null"
        if not has_sessions and gap is None:
            yield (
                f"{key}.session_gap",
                f"the form {form} has no sessions, so that all plays of a user would be one; set "
                "seconds such as 1200",
            )
    if {"session", "user"} <= columns.keys() and entry["session_gap"] is not None:
        yield (
            key,
            "columns names both `session` and `user`, whose sessions are given; set session_gap: "
            "null, or leave out `session` for sessions from gaps in time",
        )
    if "columns" in entry and "until" in entry and "time" not in columns:
        yield f"{key}.until", "plays have no time; name its column, `columns.time`"
    is_end = entry.get("time_is") == "end"
    if is_end != ("duration" in columns):
        yield (
            f"{key}.time_is",
            "`time_is: end` and `columns.duration`, from which starts are derived, go together",
        )
    if is_end and "time" not in columns:
        yield f"{key}.time_is", "plays have no time; name its column, `columns.time`"
    if columns and "session" not in columns and entry["session_gap"] is None:
        yield (
            f"{key}.session_gap",
            "columns names no `session`, so that all plays of a user would be one; set seconds "
            "such as 1200, or name the column of the user as `session` too",
        )
    labelled = "skipped_when" in entry or registry.derives_skips(entry["skip_rule"]["name"])
    if declared.get("LABELS") == "skipped_when" and not labelled:
        yield key, "give `skipped_when`, or a skip_rule that derives skips from time"
    if "disliked_when" in entry:
        if not declared.get("DISLIKES"):
            yield f"{key}.disliked_when", f"the form {entry['form']} has no dislikes; leave it out"
        if registry.derives_skips(entry["skip_rule"]["name"]):
            yield (
                f"{key}.disliked_when",
                "dislikes add to the labels of `skipped_when`; set skip_rule: {name: given}",
            )
    takes_rule = "skipped_when" in (*declared.get("NEEDS", ()), declared.get("LABELS"))
    if "skipped_when" in entry and not takes_rule and "RULES" not in declared:
        yield f"{key}.skipped_when", f"the form {form} has no columns for a rule; leave it out"
    if "skipped_when" in entry and registry.derives_skips(entry["skip_rule"]["name"]):
        or_out = "" if "skipped_when" in declared.get("NEEDS", ()) else "leave it out, or "
        yield (
            f"{key}.skipped_when",
            "its labels would be replaced by those of the skip_rule, which derives skips from "
            f"time; {or_out}set skip_rule: {{name: given}}",
        )
    for name in ("skipped_when", "disliked_when"):
        try:
            parse_rule(entry.get(name, "unused"))
        except UserError as error:
            yield f"{key}.{name}", str(error)
    try:
        datetime.date.fromisoformat(entry.get("until", "2000-01-01"))
    except ValueError as error:
        yield f"{key}.until", f"{entry['until']} is no date: {error}"
    separator, quote = entry.get("separator", ","), entry.get("quote", '"')
    if not separator.isascii() or separator in ("\n", "\r", "\0", quote):
        yield (
            f"{key}.separator",
            f"{separator!r} cannot stand between cells; write the file with one of , tab ; |",
        )
    if not entry.keys() & {"files", "paths"}:
        yield key, "give `paths`, or `files` to download"
    elif not entry.keys() & {"paths", "simulation"} and not all(
        "urls" in file for file in entry["files"]
    ):
        yield key, "files need `urls`; for files that are already here give `paths`"


def rule_mistakes(key: str, rule: dict) -> Iterator[tuple[str, str]]:
    """A skip rule with other parameters than those of its SQL."""
    name = rule["name"]
    yield from _not_finite(rule, key)
    needed = registry.rule_parameters(name)
    given = {parameter: value for parameter, value in rule.items() if parameter != "name"}
    yield from _parameter_mistakes(key, f"the skip rule {name}", needed, given)
    support = rule.get("min_support", 1)
    if not (support >= 1 and float(support).is_integer()):
        yield f"{key}.min_support", f"{support} is not a whole number from 1"
    for parameter, low in registry.lower_bounds("skip rule", name).items():
        if given.get(parameter, low + 1) <= low:
            yield f"{key}.{parameter}", f"{given[parameter]} is not above {low:g}"


def _parameter_mistakes(
    key: str, what: str, needed: set[str], given: dict
) -> Iterator[tuple[str, str]]:
    for name in given:
        if name not in needed:
            yield key, f"{what} has no parameter '{name}'{_known(name, sorted(needed))}"
    for name in sorted(needed - given.keys()):
        yield key, f"{what} needs `{name}`"


def _keys_that_are_no_text(value: object, key: str = "") -> Iterator[tuple[str, str]]:
    """Keys that YAML reads as something else: ``no`` and ``off`` are false, ``1`` is a number."""
    for name, inner in value.items() if isinstance(value, dict) else ():
        if not isinstance(name, str):
            yield key or "top level", f"the key {name} is no text to YAML; write it in quotes"
        yield from _keys_that_are_no_text(inner, f"{key}.{name}" if key else str(name))


def _not_finite(value: object, key: str = "") -> Iterator[tuple[str, str]]:
    """Numbers that are none, which pass all comparisons."""
    if isinstance(value, float) and not math.isfinite(value):
        yield key, f"{value} is not a finite number"
    pairs = value.items() if isinstance(value, dict) else ()
    for name, inner in enumerate(value) if isinstance(value, list) else pairs:
        yield from _not_finite(inner, f"{key}.{name}" if key else str(name))


def _empty_keys(value: object, key: str = "") -> Iterator[tuple[str, str]]:
    """Keys that have an empty one below them, which Snakemake cannot look up."""
    if isinstance(value, list):
        for inner in value:
            yield from _empty_keys(inner, key)
    elif isinstance(value, dict):
        for name, inner in value.items():
            if name == "":
                yield key or "top level", "an empty key; give it a name or remove it"
            yield from _empty_keys(inner, f"{key}.{name}" if key else str(name))


def _unknown(key: str, kind: str, name: str) -> Iterator[tuple[str, str]]:
    """A name that no file of this kind has."""
    if name not in registry.names(kind):
        yield key, f"unknown {kind} '{name}'{_known(name, registry.names(kind))}"


@cache
def _validator() -> type:
    # Here, as jobs that take a name or a default from this module have no schema to check; it takes
    # a tenth of a second.
    from jsonschema import Draft202012Validator
    from jsonschema.validators import extend

    def integer(_, value: object) -> bool:
        return isinstance(value, int) and not isinstance(value, bool)

    # 50.0 is no integer, which JSON Schema takes it for: it would be no index and another path.
    types = Draft202012Validator.TYPE_CHECKER.redefine("integer", integer)
    return extend(Draft202012Validator, type_checker=types)


def _explain(error: "ValidationError") -> Iterator[tuple[str, str]]:
    """Key and words of a violation of the schema; for missing keys those of all of them."""
    where = ".".join(str(part) for part in error.absolute_path) or "top level"
    if error.validator == "additionalProperties" and isinstance(error.instance, dict):
        assert isinstance(error.schema, Mapping)
        known = list(error.schema.get("properties", {}))
        patterns = error.schema.get("patternProperties", {})
        for key in error.instance:
            if key not in known and not any(re.search(pattern, str(key)) for pattern in patterns):
                yield where, f"unknown key '{key}'{_known(key, known)}"
    elif error.validator == "required":
        for key in cast(list[str], error.validator_value):
            if key not in cast(dict, error.instance):
                yield where, f"the key '{key}' is missing"
    else:
        yield where, _what(error)


def _what(error: "ValidationError") -> str:
    """What is wrong with a value, and how YAML wants it if it is only spelled otherwise."""
    value, wanted = error.instance, error.validator_value
    if error.validator == "type":
        kinds = wanted if isinstance(wanted, list) else [wanted]
        if isinstance(value, float) and value.is_integer() and "integer" in kinds:
            return f"{value} is not a whole number to YAML; write {value:.0f}"
        numeric = {"integer", "number"} & {*kinds}
        if isinstance(value, str) and numeric and _number(value) is not None:
            return _as_number(value)
        if isinstance(value, datetime.date) and "string" in kinds:
            return f"{value} is a date to YAML; put it into quotes"
    return error.message


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _as_number(text: str) -> str:
    number = float(text)
    spelled = f"{number:.0f}" if number.is_integer() else repr(number)
    if "e" in spelled and "." not in spelled:  # which YAML would read as text again
        spelled = spelled.replace("e", ".0e")
    return (
        f"'{text}' is text to YAML; write {spelled}, without quotes (in a list of --config all is "
        "text: write it into an overlay)"
    )


def _known(name: str, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown name: what may be meant, and all known names."""
    near = difflib.get_close_matches(str(name), list(known), n=1)
    meant = f"; did you mean '{near[0]}'?" if near else "."
    return f"{meant} Known: {', '.join(known)}"


def check_shipped(config: dict, schema: dict) -> None:
    """Raise UserError if the settings that come with the project are not those of a known split,
    model or variant, if they name a setting that the variant does not have or give it a value that
    it may not have, or if the seed that they were chosen by is one of the results'.
    """
    shared = schema.get("properties", {})
    for dataset in config["datasets"] if config["tuning"]["settings"] == "shipped" else ():
        for wrong in _shipped_mistakes(config, tuned(dataset), shared):
            raise UserError(
                f"{TUNED / dataset}.yaml: {wrong}. Correct the file, or set tuning.settings: "
                "configured"
            )
        for run in runs(config | {"datasets": [dataset]}):
            if shipped(config, dataset, run["split"], run["model"], run["variant"]):
                seed, file = tuned(dataset)["seed"], f"{TUNED.name}/{dataset}.yaml"
                for key, wrong in _seed_mistakes(config, dataset, run["model"], seed, file):
                    raise UserError(
                        f"configuration, {key}: {wrong}, or set tuning.settings: configured"
                    )


def _shipped_mistakes(config: dict, file: dict, shared: dict) -> Iterator[str]:
    if not file:
        return
    if found := [*_not_finite(file), *_schema_mistakes(file, _SHIPPED)]:
        yield from (f"{key}: {what}" for key, what in found)
        return
    entries = config["model_registry"]
    for split, of_split in file["splits"].items():
        if split not in registry.names("split"):
            yield f"unknown split '{split}'{_known(split, registry.names('split'))}"
        for model, its in of_split.items():
            if model not in entries:
                yield f"'{model}' is not in model_registry{_known(model, entries)}"
                continue
            for variant, found in its.items():
                for wrong in _search_mistakes(config, model, variant, found, shared):
                    yield f"{split}, {model} {variant}: {wrong}"


def _search_mistakes(
    config: dict, model: str, variant: str, found: dict, shared: dict
) -> Iterator[str]:
    """What is wrong with what a search is said to have found for a variant."""
    known = config["model_registry"][model]["variants"]
    if variant not in known:
        yield f"no such variant in model_registry.{model}{_known(variant, known)}"
    elif known[variant] is not None:
        settings, limits = run_settings(config, model, variant), _limits(config, model, shared)
        for name, value in [*found["settings"].items(), *found["configured"].items()]:
            if name not in settings:
                yield f"no setting '{name}'{_known(name, settings)}"
            yield from (f"{name}: {what}" for what in setting_mistakes(value, limits.get(name, {})))


def check_external_ranks(config: dict, results: str) -> None:
    """Raise UserError where the ranks of another tool's model are not there: no rule makes them, so
    Snakemake would go on with the tables of the last run."""
    for run in runs(config):
        if is_external(config, run["model"]):
            path = paths.result("ranks", results, **run)
            if not path.is_file():
                raise UserError(
                    f"configuration, models: {run['model']} is of the family external, and its "
                    f"ranks are not in {path}; write them with `skipwise evaluate … --write`, and "
                    "name the model in `models` then"
                )
