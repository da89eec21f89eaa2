"""Checking the configuration and what follows from it: raw files, shards, runs and their settings.

Plain Python without heavy imports, because Snakemake reads it at every start.
"""

import difflib
import glob
import re
from pathlib import Path

from jsonschema import Draft202012Validator

from skipwise.core import paths, registry
from skipwise.core.errors import UserError

# Suffixes that are not part of a shard's name.
_SUFFIX = re.compile(r"(\.tar)?(\.(gz|bz2|tgz|zip|csv|tsv|tab|data|inter|parquet|tar))*$")


def check_config(config: dict, schema: dict) -> None:
    """Raise UserError with one line that names the key, for the first thing in ``config`` that is
    wrong.

    Checks the schema, and what a schema cannot say: names that must be in a registry, models that
    must have a file.
    """
    errors = sorted(
        Draft202012Validator(schema).iter_errors(config),
        key=lambda error: list(map(str, error.absolute_path)),
    )
    if errors:
        raise UserError(_explain(errors[0]))
    for key, entries in (
        ("datasets", "registry"),
        ("models", "model_registry"),
        ("seeds_by_dataset", "registry"),
    ):
        for name in config.get(key, ()):
            if name not in config[entries]:
                known = ", ".join(config[entries])
                raise UserError(
                    f"configuration, {key}: '{name}' is not in {entries}{_hint(name, config[entries])} Known: {known}"
                )
    for model in config["models"]:
        if not is_external(config, model):
            registry.file("model", model)
        elif variants(config, model) != ["orig"] or config["model_registry"][model].get("settings"):
            raise UserError(
                f"configuration, model_registry.{model}: the family external has the variant orig alone and no settings; "
                "give every run of another tool a name of its own"
            )
    lengths = config.get("sessions", {})
    if lengths.get("min_length", 0) > lengths.get("max_length", float("inf")):
        raise UserError(
            "configuration, sessions: min_length is greater than max_length, so no session would be kept"
        )
    for name in ("learning_rate", "alpha", "tau"):
        low, high = config.get("tuning", {}).get(name, (1, 2))
        if low >= high:
            raise UserError(
                f"configuration, tuning.{name}: the lowest value {low} is not below the highest, {high}"
            )
    cutoff, ks = (
        config.get("candidates", {}).get("rank_cutoff"),
        [k for ks in config.get("metrics", {}).values() for k in ks],
    )
    ks.append(10)  # of the metrics of unseen skips
    if cutoff is not None and cutoff < max(ks):
        raise UserError(
            f"configuration, candidates.rank_cutoff: with {cutoff} no rank is known at the cut-off {max(ks)} of the metrics; "
            "raise it, or set it to null"
        )
    for name in config["datasets"]:
        entry = config["registry"][name]
        lack = _lack(entry)
        if lack:
            raise UserError(f"configuration, registry.{name}: {lack}")
        if entry.get("keep_share") is not None and lengths.get("n_sessions", 1) is None:
            raise UserError(
                f"configuration, registry.{name}: keep_share lets a share of the sessions through, and sessions.n_sessions: "
                "null takes all; give a number of sessions, or set keep_share: null"
            )


def _lack(entry: dict) -> str | None:
    """What an entry of the registry lacks that its form needs, or None."""
    if entry["form"] == "events":
        if "columns" not in entry:
            return "the form events needs `columns`"
        if not entry["columns"].keys() & {"session", "user"}:
            return "columns needs `session` (sessions as they are) or `user` (sessions from gaps in time)"
    derived = entry["form"] == "events" and entry["skip_rule"]["name"] != "given"
    if (
        entry["form"] in ("events", "movielens", "yambda")
        and "skipped_when" not in entry
        and not derived
    ):
        return "give `skipped_when`, or for events a skip_rule that derives skips from time"
    if not entry.keys() & {"files", "paths"}:
        return "give `paths`, or `files` to download"
    if (
        "paths" not in entry
        and "simulation" not in entry
        and not all("urls" in file for file in entry["files"])
    ):
        return "files need `urls`; for files that are already here give `paths`"
    return None


def derives_skips(entry: dict) -> bool:
    """Whether the skips of a data set are told from the times of its plays."""
    return entry["skip_rule"]["name"] != "given"


def reads_lengths(rule: str) -> bool:
    """Whether a skip rule reads the lengths of tracks: its SQL names the table."""
    return bool(re.search(r"\blengths\b", registry.statement("skip rule", rule)))


def split_parameters(config: dict, split: str) -> dict:
    """The parameters of a split: the key ``<split>_split`` of the configuration, if it has any."""
    return dict(config.get(f"{split}_split", {}))


def rule_words(rule: dict) -> str:
    """A skip rule in words: its name and its parameters."""
    return " ".join(
        [rule["name"], *(f"{name}={value}" for name, value in rule.items() if name != "name")]
    )


def _explain(error) -> str:
    where = ".".join(str(part) for part in error.absolute_path) or "top level"
    if error.validator == "additionalProperties" and isinstance(error.instance, dict):
        known = list(error.schema.get("properties", {}))
        unknown = next((key for key in error.instance if key not in known), None)
        if unknown is not None:
            return f"configuration, {where}: unknown key '{unknown}'{_hint(unknown, known)} Known: {', '.join(known)}"
    if error.validator == "required":
        missing = next(key for key in error.validator_value if key not in error.instance)
        return f"configuration, {where}: the key '{missing}' is missing"
    if error.validator == "oneOf":
        return f"configuration, {where}: {error.instance} does not fit; {' '.join(error.schema['description'].split())}"
    return f"configuration, {where}: {error.message}"


def _hint(name: str, known) -> str:
    near = difflib.get_close_matches(str(name), list(known), n=1)
    return f"; did you mean '{near[0]}'?" if near else "."


def raw_files(name: str, entry: dict, resources: str) -> dict[str, str]:
    """The raw files of a data set by shard name, in order: local ``paths``, else ``files`` under
    ``resources``.

    Raises UserError when no local file is there, with what to do, or when two files would have the
    same shard name.
    """
    if "paths" in entry:
        remedy = entry.get("how_to_get", "Check `paths` in the configuration.")
        found = {pattern: _matches(pattern) for pattern in entry["paths"]}
        absent = [
            pattern for pattern, files in found.items() if not files and not glob.has_magic(pattern)
        ]
        if absent or not any(found.values()):
            sought = " ".join(
                ", ".join(absent or found).split()
            )  # a pattern may hold anything, the message is one line
            raise UserError(f"{name}: no file matches {sought}. {remedy}")
        files = list(dict.fromkeys(path for matches in found.values() for path in matches))
    else:
        files = [f"{resources}/raw/{name}/{file['name']}" for file in entry["files"]]
    shards: dict[str, str] = {}
    for path in files:
        shard = re.sub(r"[^A-Za-z0-9_-]", "-", _SUFFIX.sub("", Path(path).name))
        if shard in shards:
            raise UserError(
                f"registry.{name}: {path} and {shards[shard]} would both be shard '{shard}'; rename one"
            )
        shards[shard] = path
    return shards


def _matches(pattern: str) -> list[str]:
    """The files of a pattern; a name that is there is taken as it is, whatever characters are in
    it.
    """
    return [
        path
        for path in ([pattern] if Path(pattern).is_file() else sorted(glob.glob(pattern)))
        if Path(path).is_file()
    ]


def is_external(config: dict, model: str) -> bool:
    """Whether the ranks of a model come from another tool."""
    return config["model_registry"][model]["family"] == "external"


def variants(config: dict, model: str) -> list[str]:
    """The variants of a model that are not left out with null."""
    return [
        name
        for name, settings in config["model_registry"][model]["variants"].items()
        if settings is not None
    ]


def run_settings(config: dict, model: str, variant: str) -> dict:
    """The merged settings of a model's variant.

    Only what the variant uses is in it: a changed temperature does not concern ``orig``, so it does
    not retrain it.
    """
    entry = config["model_registry"][model]
    own = entry.get("settings", {}) | entry["variants"][variant]
    if entry["family"] != "neural":
        return own
    own = {"skip_loss": None} | own
    shared = {**config["neural"], "max_length": config["sessions"]["max_length"]}
    return shared | loss_settings(config, own["skip_loss"]) | own


def loss_settings(config: dict, skip_loss: str | None) -> dict:
    """The settings of a skip loss for all models: the key of the configuration with its name."""
    return config.get(skip_loss.replace("-", "_"), {}) if skip_loss else {}


def runs(config: dict) -> list[dict]:
    """Every run of the configuration in the order of the tables: data set, split, model, variant,
    seed.
    """
    return [
        {"dataset": dataset, "split": split, "model": model, "variant": variant, "seed": seed}
        for dataset in config["datasets"]
        for split in config["splits"]
        for model in config["models"]
        for variant in variants(config, model)
        for seed in seeds(config, dataset, model)
    ]


def check_external_ranks(config: dict, results: str) -> None:
    """Raise UserError where the ranks of another tool's model are not there: no rule makes them, so
    Snakemake would go on with the tables of the last run."""
    for run in runs(config):
        if is_external(config, run["model"]):
            path = paths.result("ranks", results, **run)
            if not path.is_file():
                raise UserError(
                    f"configuration, models: {run['model']} is of the family external, and its ranks are not in {path}; write "
                    "them with `skipwise evaluate … --write`, and name the model in `models` then"
                )


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
