"""Checking the configuration and what follows from it: raw files, shards, runs and their settings.

Plain Python without heavy imports, because Snakemake reads it at every start.
"""

import datetime
import difflib
import glob
import math
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import yaml

from skipwise.core import paths, registry
from skipwise.core.conditions import parse_rule
from skipwise.core.errors import UserError

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

# Settings that come with the project, one file per data set.
TUNED = registry.PROJECT / "resources" / "tuned"
# What tables say of entries that are never tuned, by their ``settings_of``.
UNTUNED = {"papers": "as in the papers", "defaults": "defaults, not tuned"}
SHIPPED_KEYS = {"settings", "configured", "trials", "value"}

# Keys of a data set's entry that say how a table of the user's own is laid out, and the defaults
# that Snakemake fills in.
OF_TABLES = {
    **dict.fromkeys(("columns", "session_ids", "separator", "null_values")),
    **{"time_unit": "s", "time_is": "start", "duration_unit": "s", "quote": '"'},
}
# Keys of a data set's entry of which null is a value; any other that is null is left out.
NULLS = {"session_gap", "keep_share", "quote"}

# Suffixes that are not part of a shard's name.
_SUFFIX = re.compile(
    r"(\.tar)?(\.(gz|bz2|zst|tgz|zip|csv|tsv|tab|txt|data|inter|parquet|pq|json|ndjson|jsonl|tar))*$",
    re.IGNORECASE,
)


def read_yaml(path: Path) -> dict:
    """The keys of a file; raises UserError that names file and line if it is not YAML."""
    try:
        text = path.read_text(encoding="utf-8")
        try:
            found = yaml.load(text, Loader=yaml.CSafeLoader)  # ten times as fast
            tree = yaml.compose(text, Loader=yaml.CSafeLoader)
        except (AttributeError, yaml.MarkedYAMLError):
            # Not every build of PyYAML has it, and of a mistake, such as a tab, this one says more.
            found, tree = yaml.safe_load(text), yaml.compose(text)
        if twice := next(_keys_given_twice(tree), None):
            line = twice.start_mark.line + 1
            raise UserError(
                f"{path}, line {line}: the key '{twice.value}' is there twice; take one of them out"
            )
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise UserError(f"{path}{line}: not valid YAML ({error.problem}); correct it") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        said = " ".join(str(error).split())
        raise UserError(f"{path}: not valid YAML ({said}); write it in UTF-8") from error
    except ValueError as error:  # of a date that is not in the calendar
        raise UserError(f"{path}: a date or number cannot be ({error}); correct it") from error
    if not isinstance(found, dict):
        raise UserError(f"{path}: a configuration has keys at top level, such as `datasets: […]`")
    return found


def _keys_given_twice(tree: yaml.Node | None) -> Iterator[yaml.ScalarNode]:
    """The second one of two equal keys of a mapping: YAML would silently take the last."""
    seen, nodes = set(), [tree] if tree else []
    while nodes:
        node = nodes.pop()
        if id(node) in seen:  # an alias
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            nodes += node.value
        elif isinstance(node, yaml.MappingNode):
            keys = set()
            for key, value in node.value:
                nodes.append(value)
                if isinstance(key, yaml.ScalarNode) and not key.tag.endswith(":merge"):
                    if (key.tag, key.value) in keys:
                        yield key
                    keys.add((key.tag, key.value))


def unshared(value: Any) -> Any:
    """A copy in which what aliases of YAML share is there several times."""
    if isinstance(value, dict):
        return {key: unshared(inner) for key, inner in value.items()}
    return [*map(unshared, value)] if isinstance(value, list) else value


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


def take_replacements(config: dict, *files: dict) -> None:
    """Change ``config``, which Snakemake merged key by key from ``files`` and what is given
    besides, to what they say: a skip rule of another name does not keep parameters of the one
    before that it does not have, and a column or key of an entry that is null is none.
    """
    entries = config.get("registry")
    for name, entry in entries.items() if isinstance(entries, dict) else ():
        if not isinstance(entry, dict):
            continue
        if isinstance(rule := entry.get("skip_rule"), dict):
            known = rule.get("name") in registry.names("skip rule")
            wanted = _rule_parameters(rule["name"]) if known else set()
            wanted |= _given_with_name(rule, [_rule_of(file, name) for file in files])
            entry["skip_rule"] = {key: rule[key] for key in rule if key in wanted}
        for key in [key for key, value in entry.items() if value is None and key not in NULLS]:
            del entry[key]
        if isinstance(columns := entry.get("columns"), dict):
            entry["columns"] = {key: name for key, name in columns.items() if name is not None}


def _rule_of(file: dict, dataset: str) -> dict:
    """The skip rule that a file gives for a data set, empty if it gives none."""
    for key in ("registry", dataset, "skip_rule"):
        file = file.get(key) or {}
        if not isinstance(file, dict):
            return {}
    return file


def _given_with_name(rule: dict, files: list[dict]) -> set[str]:
    """The keys of a merged skip rule that were given with its name, or after it."""
    merged: dict = {}
    for given in files:
        merged |= given
    besides = {key: value for key, value in rule.items() if merged.get(key, ...) != value}
    name, keys = None, {"name"}
    for given in [*files, besides]:
        if given.get("name", name) != name:
            name, keys = given["name"], {"name"}
        keys |= given.keys()
    return keys


def _rule_parameters(name: str) -> set[str]:
    """The parameters of a skip rule: those of its SQL and of the lengths that it reads."""
    return registry.parameters("skip rule", name) | (
        {"min_support"} if reads_lengths(name) else set()
    )


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
        if not derives_skips(rule["name"]):
            yield key, f"the rule {rule['name']} does not derive skips from time"
        elif "track_length" in registry.statement("skip rule", rule["name"]):
            yield key, f"{rule['name']} reads given lengths, which gaps do not have; leave it out"
    yield from _limit_mistakes(config)
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
    labelled = "skipped_when" in entry or derives_skips(entry["skip_rule"]["name"])
    if declared.get("LABELS") == "skipped_when" and not labelled:
        yield key, "give `skipped_when`, or a skip_rule that derives skips from time"
    if "disliked_when" in entry:
        if not declared.get("DISLIKES"):
            yield f"{key}.disliked_when", f"the form {entry['form']} has no dislikes; leave it out"
        if derives_skips(entry["skip_rule"]["name"]):
            yield (
                f"{key}.disliked_when",
                "dislikes add to the labels of `skipped_when`; set skip_rule: {name: given}",
            )
    takes_rule = "skipped_when" in (*declared.get("NEEDS", ()), declared.get("LABELS"))
    if "skipped_when" in entry and not takes_rule and "RULES" not in declared:
        yield f"{key}.skipped_when", f"the form {form} has no columns for a rule; leave it out"
    if "skipped_when" in entry and derives_skips(entry["skip_rule"]["name"]):
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
    needed = _rule_parameters(name)
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


def derives_skips(rule: str) -> bool:
    """Whether a skip rule derives skips from the times of the plays: its SQL reads their gaps."""
    sql = registry.statement("skip rule", rule).replace("exclude (gap)", "")
    return bool(re.search(r"\bgap\b", sql))


def reads_lengths(rule: str) -> bool:
    """Whether a skip rule reads the lengths of tracks: its SQL names the table."""
    return bool(re.search(r"\blengths\b", registry.statement("skip rule", rule)))


def split_parameters(config: dict, split: str) -> dict:
    """The parameters of a split: the key ``<split>_split`` of the configuration, if it has any."""
    return dict(config.get(f"{split}_split", {}))


def rule_words(rule: dict) -> str:
    """A skip rule in words: its name and its parameters."""
    parameters = (f"{name}={value}" for name, value in rule.items() if name != "name")
    return " ".join([rule["name"], *parameters])


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


def raw_files(name: str, entry: dict, resources: str) -> dict[str, str]:
    """The raw files of a data set by shard name, in order: local ``paths``, else ``files`` under
    ``resources``.

    A shard has the name of its file; files of one name have those of their folders too.  Raises
    UserError when no local file is there, with what to do, when two files would be one shard, or
    when Snakemake would read a name as another.
    """
    if "paths" in entry:
        remedy = entry.get("how_to_get", "Check `paths` in the configuration.")
        found = {pattern: _matches(name, pattern) for pattern in entry["paths"]}
        # The patterns of a data set that says how to get it are the layouts that it comes in.
        absent = [
            pattern
            for pattern, files in found.items()
            if not files and not (glob.has_magic(pattern) and "how_to_get" in entry)
        ]
        if absent or not any(found.values()):
            sought = " ".join(
                ", ".join(absent or found).split()
            )  # a pattern may hold anything, the message is one line
            raise UserError(f"{name}: no file matches {sought}. {remedy}")
        files = list(dict.fromkeys(path for matches in found.values() for path in matches))
    else:
        files = [f"{resources}/raw/{name}/{file['name']}" for file in entry["files"]]
    names = Counter(_shard(Path(path).name) for path in files)
    shared = os.path.commonpath([Path(path).parent for path in files]) if len(files) > 1 else ""
    shards: dict[str, str] = {}
    for path in files:
        if "{" in path:
            raise UserError(
                f"registry.{name}: {path} has braces in its name, which Snakemake reads as "
                "wildcards; rename it"
            )
        shard = _shard(Path(path).name)
        if names[shard] > 1:
            shard = _shard(os.path.relpath(path, shared or None))
        if shard in shards:
            raise UserError(
                f"registry.{name}: {path} and {shards[shard]} would both be shard '{shard}'; "
                "rename one"
            )
        shards[shard] = path
    return shards


def _shard(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "-", _SUFFIX.sub("", name))


def _matches(name: str, pattern: str) -> list[str]:
    """The files of a pattern, in which ``**`` is any number of folders and ``~`` the user's own; a
    name that is there is taken as it is, whatever characters are in it.

    Raises UserError for a folder, for a link to nothing, and for ``**`` within a name, which would
    go down no folder.
    """
    path = os.path.expanduser(pattern)
    if not os.path.lexists(path) and any("**" in part != "**" for part in Path(path).parts):
        raise UserError(
            f"{name}: `**` is any number of folders only between slashes, as in logs/**/*.csv; "
            f"correct {pattern}"
        )
    found = [path] if os.path.lexists(path) else sorted(glob.glob(path, recursive=True))
    for file in found:
        if os.path.islink(file) and not os.path.exists(file):
            raise UserError(f"{name}: {file} is a link to {os.readlink(file)}, which is not there")
    files = [file for file in found if os.path.isfile(file)]
    if found and not files:
        raise UserError(
            f"{name}: {found[0]} is a folder; name its files, for example {found[0]}/**/*.csv"
        )
    return files


def is_external(config: dict, model: str) -> bool:
    """Whether the ranks of a model come from another tool."""
    return config["model_registry"][model]["family"] == "external"


def model_file(config: dict, model: str) -> str:
    """The name of the file that an entry of the model registry uses: its key ``model``, else its
    own name.
    """
    return config["model_registry"][model].get("model", model)


def variants(config: dict, model: str) -> list[str]:
    """The variants of a model that are not left out with null."""
    return [
        name
        for name, settings in config["model_registry"][model]["variants"].items()
        if settings is not None
    ]


def run_settings(
    config: dict, model: str, variant: str, split: str | None = None, dataset: str | None = None
) -> dict:
    """The merged settings of a model's variant: as configured, or with a ``dataset`` as its runs
    have them, which may be settings that come with the project.

    Only what the variant uses is in it: a changed temperature does not concern ``orig``, so it does
    not retrain it.  A ``split`` whose file says what a target is overrides the setting ``targets``.
    """
    entry = config["model_registry"][model]
    settings = entry.get("settings", {}) | entry["variants"][variant]
    if entry["family"] == "neural":
        settings = {"way": None} | settings
        shared = {**config["neural"], "max_length": config["sessions"]["max_length"]}
        settings = shared | way_settings(config, settings["way"]) | settings
    if split and "targets" in settings and (remarks := registry.remarks("split", split)):
        settings |= remarks
        if not registry.uses_labels(settings):
            settings.pop("labels", None)  # of a control whose targets saw labels
    if split and dataset:
        found = shipped(config, dataset, split, model, variant)
        settings |= found["settings"] if found else {}
    return settings


def search_space(config: dict, model: str, variant: str) -> dict[str, dict]:
    """The settings of a variant that a search may change, by name, each with its range.

    The files of the model and of the way declare them in ``SEARCH``.  Settings that the
    variant does not have are left out, and so are those whose configured value is not of the kind
    of the range (an ``alpha`` of 0 has no place on a logarithmic scale).  A range is widened to
    the configured value.  Empty for an entry that is never tuned and for another tool's.
    """
    if is_external(config, model) or _is_untuned(config, model):
        return {}
    settings = run_settings(config, model, variant)
    declared = registry.declared("model", model_file(config, model)).get("SEARCH", {})
    if loss := settings.get("way"):
        declared = declared | registry.declared("way", loss).get("SEARCH", {})
    spaces = {
        name: _around(space, settings[name]) for name, space in declared.items() if name in settings
    }
    return {name: space for name, space in spaces.items() if space}


def _around(space: dict, value: Any) -> dict | None:
    """A range that the configured value is in, None if it cannot be."""
    if "choices" in space:
        choices = space["choices"]
        if type(value) not in {*map(type, choices)}:
            return None
        return space | {"choices": choices if value in choices else sorted([*choices, value])}
    whole = type(space["low"]) is type(space["high"]) is int
    kinds = (int,) if whole else (int, float)
    if type(value) not in kinds or (space.get("log") and value <= 0):
        return None
    return space | {"low": min(space["low"], value), "high": max(space["high"], value)}


def searched_as(config: dict, model: str, variant: str) -> str:
    """The variant whose search a variant takes its settings from: that of a control, which sees
    other labels and is the same otherwise, is the variant it controls; else its own.
    """
    if config["model_registry"][model]["variants"][variant].get("labels", "right") == "right":
        return variant
    same = _with_right_labels(run_settings(config, model, variant))
    twins = (
        name
        for name in variants(config, model)
        if {"labels": "right"} | run_settings(config, model, name) == same
    )
    return next(twins, variant)


def _with_right_labels(settings: dict) -> dict:
    """The settings of what a variant is a control of."""
    right = settings | {"labels": "right"}
    return right | ({"targets": "listened"} if settings.get("targets") == "labelled" else {})


def controls(config: dict, model: str) -> dict[str, dict]:
    """By control with shuffled labels the variant ``of`` which it is one, and whether ``all`` that
    it sees of labels is shuffled, its targets too.
    """
    found = {}
    for name in variants(config, model):
        settings = run_settings(config, model, name)
        if settings.get("labels") == "shuffled":
            variant = searched_as(config, model, name)
            if variant != name:
                found[name] = {"of": variant, "all": not right_targets(settings)}
    return found


def right_targets(settings: dict) -> bool:
    """Whether the targets of a control are by the right labels: those of a way that reads labels
    are, unless its configuration says otherwise.
    """
    return registry.reads_labels(settings.get("way")) and settings.get("targets") == "listened"


def is_control_of(settings: dict, other: dict) -> bool:
    """Whether a training with these settings is the control of one with ``other`` that sees all
    labels in another order.
    """
    return (
        settings.get("labels") == "shuffled"
        and not right_targets(settings)
        and _with_right_labels(settings) == {"labels": "right"} | other
    )


def reference(config: dict, model: str, variant: str) -> str:
    """The variant that a variant is compared with: ``blind`` for ``orig``, its control, and a way
    that predicts the next track, listened to or not; else ``orig``, which has the same targets.
    """
    settings = run_settings(config, model, variant)
    plain = settings.get("way") and settings.get("targets") == "next"
    return "blind" if plain or searched_as(config, model, variant) == "orig" else "orig"


def begins_with(config: dict, model: str, variant: str) -> str | None:
    """The variant with whose trials the search of a way begins: the one of the same model and
    targets that uses no skips otherwise, ``orig`` or ``blind``.  None for other variants, and where
    there is no such search.
    """
    if variant in ("orig", "blind") or not run_settings(config, model, variant).get("way"):
        return None
    first = reference(config, model, variant)
    if first not in variants(config, model) or not search_space(config, model, first):
        return None
    return None if run_settings(config, model, first).get("way") else first


def own_space(config: dict, model: str, variant: str) -> list[str]:
    """The settings in the search space of a variant that its way adds to those of the model."""
    way = run_settings(config, model, variant).get("way")
    own = registry.declared("way", way).get("SEARCH", {}) if way else {}
    return [name for name in search_space(config, model, variant) if name in own]


def trials(config: dict, model: str, variant: str) -> int:
    """The number of trials of a variant; those of a model that is not neural take seconds, so it
    may have more.  A way that begins with the best of another variant has half as many for its own
    settings, and a quarter for the next best of the other.
    """
    tuning = config["tuning"]
    is_neural = config["model_registry"][model]["family"] == "neural"
    number = tuning["trials"] if is_neural else tuning["quick_trials"] or tuning["trials"]
    return -(-number // 2) + number // 4 if begins_with(config, model, variant) else number


def searches(config: dict) -> list[dict]:
    """Every variant of the configuration that has something to search of its own, on every data set
    and split, in the order of the tables.
    """
    return [
        {"dataset": dataset, "split": split, "model": model, "variant": variant}
        for dataset in config["datasets"]
        for split in config["splits"]
        for model in models(config, dataset)
        for variant in variants(config, model)
        if search_space(config, model, variant) and searched_as(config, model, variant) == variant
    ]


def shipped(config: dict, dataset: str, split: str, model: str, variant: str) -> dict | None:
    """What the project's own search found for a variant: ``settings``, ``trials`` and ``value``.

    None if ``tuning.settings`` is not ``shipped``, if there was no such search, and if the
    configuration gives a setting that was searched another value than it had in the search: then
    that value is what the user wants.
    """
    if config["tuning"]["settings"] != "shipped" or _is_untuned(config, model):
        return None
    searched = searched_as(config, model, variant)
    found = _tuned(dataset).get("splits", {}).get(split, {}).get(model, {}).get(searched)
    if not found:
        return None
    settings = run_settings(config, model, variant)
    changed = any(settings.get(name) != value for name, value in found["configured"].items())
    return None if changed else found


@cache
def _tuned(dataset: str) -> dict:
    path = TUNED / f"{dataset}.yaml"
    return read_yaml(path) if path.is_file() else {}


def settings_source(config: dict, dataset: str, split: str, model: str, variant: str) -> str:
    """Where the settings of a run are from, in words: tuned with how many trials, as in the papers,
    defaults that are not tuned, or as configured.
    """
    if is_external(config, model):
        return "of another tool"
    if _is_untuned(config, model):
        return UNTUNED[config["model_registry"][model]["settings_of"]]
    if not search_space(config, model, variant):
        return "nothing to tune"
    found = shipped(config, dataset, split, model, variant)
    if not found and config["tuning"]["settings"] != "search":
        return "as configured"
    of = [variant, begins_with(config, model, variant)]
    number = found["trials"] if found else sum(trials(config, model, name) for name in of if name)
    return f"tuned, {number} trial{'s' if number > 1 else ''}"


def _is_untuned(config: dict, model: str) -> bool:
    return config["model_registry"][model].get("settings_of", "field") in UNTUNED


def check_shipped(config: dict) -> None:
    """Raise UserError if the settings that come with the project are not those of a known split,
    model or variant, or name a setting that the variant does not have.
    """
    for dataset in config["datasets"] if config["tuning"]["settings"] == "shipped" else ():
        for wrong in _shipped_mistakes(config, _tuned(dataset)):
            raise UserError(
                f"{TUNED / dataset}.yaml: {wrong}. Correct the file, or set tuning.settings: "
                "configured"
            )


def _shipped_mistakes(config: dict, file: dict) -> Iterator[str]:
    entries = config["model_registry"]
    if file and not isinstance(file.get("splits"), dict):
        yield "the key 'splits' is missing"
        return
    for split, models in file.get("splits", {}).items():
        if split not in registry.names("split"):
            yield f"unknown split '{split}'{_known(split, registry.names('split'))}"
        for model, its in models.items():
            if model not in entries:
                yield f"'{model}' is not in model_registry{_known(model, entries)}"
                continue
            known = entries[model]["variants"]
            for variant, found in its.items():
                where = f"{split}, {model} {variant}"
                if variant not in known:
                    yield (
                        f"{where}: no such variant in model_registry.{model}"
                        f"{_known(variant, known)}"
                    )
                elif not isinstance(found, dict) or found.keys() != SHIPPED_KEYS:
                    yield f"{where}: it must have {', '.join(sorted(SHIPPED_KEYS))}"
                elif known[variant] is not None:
                    settings = run_settings(config, model, variant)
                    for name in [*found["settings"], *found["configured"]]:
                        if name not in settings:
                            yield f"{where}: no setting '{name}'{_known(name, settings)}"


def way_settings(config: dict, way: str | None) -> dict:
    """The settings of a way to use skips, for all models: the configuration's key of its name."""
    return config.get(way.replace("-", "_"), {}) if way else {}


def runs(config: dict) -> list[dict]:
    """Every run of the configuration in the order of the tables: data set, split, model, variant,
    seed.
    """
    return [
        {"dataset": dataset, "split": split, "model": model, "variant": variant, "seed": seed}
        for dataset in config["datasets"]
        for split in config["splits"]
        for model in models(config, dataset)
        for variant in variants(config, model)
        for seed in seeds(config, dataset, model)
    ]


def truths(config: dict) -> list[dict]:
    """Data set and split of every ranking by the truth (``simulation/oracle.py``): of simulated
    sessions that are read as they were written, in splits whose targets were listened to.
    """
    entries = {name: config["registry"][name] for name in config["datasets"]}
    right = config["sessions"].get("skip_polarity", "right") == "right"
    return [
        {"dataset": dataset, "split": split}
        for dataset, entry in entries.items()
        for split in config["splits"]
        if right and config["headroom"]["sessions"] and "simulation" in entry
        if entry["form"] == "mssd" and "paths" not in entry
        if registry.remarks("split", split).get("targets") != "next"
    ]


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


def models(config: dict, dataset: str) -> list[str]:
    """The models of a data set, in the order of the configuration: those of its
    ``models_by_dataset`` that are in ``models``; all, where none is.
    """
    chosen = config.get("models_by_dataset", {}).get(dataset, [])
    return [model for model in config["models"] if model in chosen] or config["models"]


def sessions(config: dict, dataset: str) -> dict:
    """The key ``sessions`` as it is for a data set."""
    of_all = config["sessions"]
    changed = config.get("n_sessions_by_dataset", {})
    return of_all | {"n_sessions": changed.get(dataset, of_all["n_sessions"])}


def seeds(config: dict, dataset: str, model: str) -> list[int]:
    """The seeds of a model on a data set; one for baselines, which have no randomness, and for the
    runs of other tools.
    """
    chosen = config.get("seeds_by_dataset", {}).get(dataset, config["seeds"])
    return (
        chosen[:1]
        if config["model_registry"][model]["family"] in ("baseline", "external")
        else chosen
    )
