"""What follows from a configuration: runs, their settings, searches.

Plain Python without heavy imports, because Snakemake reads it at every start.
"""

from functools import cache
from typing import Any

from skipwise.core import registry
from skipwise.core.reading import read_yaml

# Settings that come with the project, one file per data set.
TUNED = registry.PROJECT / "resources" / "tuned"
# What tables say of entries that are never tuned, by their ``settings_of``.
UNTUNED = {"papers": "as in the papers", "defaults": "defaults, not tuned"}


def split_parameters(config: dict, split: str) -> dict:
    """The parameters of a split: the key ``<split>_split`` of the configuration, if it has any."""
    return dict(config.get(f"{split}_split", {}))


def rule_words(rule: dict) -> str:
    """A skip rule in words: its name and its parameters."""
    parameters = (f"{name}={value}" for name, value in rule.items() if name != "name")
    return " ".join([rule["name"], *parameters])


def is_external(config: dict, model: str) -> bool:
    """Whether the ranks of a model come from another tool."""
    return config["model_registry"][model]["family"] == "external"


def is_random(config: dict, model: str) -> bool:
    """Whether a model has trainings that differ by their seed: baselines and runs of another tool
    have none.
    """
    return config["model_registry"][model]["family"] not in ("baseline", "external")


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
    if is_external(config, model) or is_untuned(config, model):
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
    if config["tuning"]["settings"] != "shipped" or is_untuned(config, model):
        return None
    searched = searched_as(config, model, variant)
    found = tuned(dataset).get("splits", {}).get(split, {}).get(model, {}).get(searched)
    if not found:
        return None
    settings = run_settings(config, model, variant)
    changed = any(settings.get(name) != value for name, value in found["configured"].items())
    return None if changed else found


@cache
def tuned(dataset: str) -> dict:
    """The settings that come with the project for a data set, empty where there are none."""
    path = TUNED / f"{dataset}.yaml"
    return read_yaml(path) if path.is_file() else {}


def settings_source(config: dict, dataset: str, split: str, model: str, variant: str) -> str:
    """Where the settings of a run are from, in words: tuned with how many trials, as in the papers,
    defaults that are not tuned, or as configured.
    """
    if is_external(config, model):
        return "of another tool"
    if is_untuned(config, model):
        return UNTUNED[config["model_registry"][model]["settings_of"]]
    if not search_space(config, model, variant):
        return "nothing to tune"
    found = shipped(config, dataset, split, model, variant)
    if not found and config["tuning"]["settings"] != "search":
        return "as configured"
    of = [variant, begins_with(config, model, variant)]
    number = found["trials"] if found else sum(trials(config, model, name) for name in of if name)
    return f"tuned, {number} trial{'s' if number > 1 else ''}"


def is_untuned(config: dict, model: str) -> bool:
    """Whether an entry says that its settings are the papers' or defaults, which nothing tunes."""
    return config["model_registry"][model].get("settings_of", "field") in UNTUNED


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


def raw_entry(config: dict, dataset: str) -> dict:
    """What reading a raw file depends on: a changed sample size does not concern it."""
    whole = config["registry"][dataset]
    wanted = (
        *("form", "columns", "time_unit", "time_is", "duration_unit", "session_ids"),
        *("separator", "quote", "null_values", "skipped_when", "disliked_when", "until", "parts"),
    )
    entry = {key: whole[key] for key in wanted if key in whole}
    time_is = registry.declared("raw form", whole["form"]).get("TIME_IS", whole.get("time_is"))
    if time_is == "end" and registry.derives_skips(whole["skip_rule"]["name"]):
        entry["skip_rule"] = whole["skip_rule"]  # plays that end at one time are in no order then
    if whole.get("keep_share") is not None:
        sampled = {key: config["sessions"][key] for key in ("sampling_seed", "max_length")}
        entry["keep"] = {"share": whole["keep_share"], **sampled}
    return entry


def seeds(config: dict, dataset: str, model: str) -> list[int]:
    """The seeds of a model on a data set; one for baselines, which have no randomness, and for the
    runs of other tools.
    """
    chosen = config.get("seeds_by_dataset", {}).get(dataset, config["seeds"])
    return chosen if is_random(config, model) else chosen[:1]
