# The check of the configuration, and named functions for inputs and params.

import json
import os
import sys
from functools import cache
from pathlib import Path

import yaml
from snakemake.common.configfile import load_configfile
from snakemake.exceptions import WorkflowError
from snakemake.utils import update_config, validate

PROJECT = Path(PROJECT)
sys.path[:0] = [str(PROJECT / "workflow" / folder) for folder in ("scripts", "rules")]

from skipwise.core import config as checked
from skipwise.core import imports, mistakes, reading, registry, shards
from skipwise.core.artifacts import whole_file
from skipwise.core.downloads import announced
from skipwise.core.errors import UserError
from skipwise.core.garbage import collect_rarely
from skipwise.core.paths import DATASET, PART, RAW, RESULTS, RUN, SHARD, SPLIT, VARIANT
from skipwise.report import words
from skipwise.training import memory
from snakemake_timers import look_twice_a_second

collect_rarely()
look_twice_a_second()

SCHEMA = PROJECT / "workflow/schemas/config.schema.yaml"
FORMATS = ("csv", "parquet", "html", "tex")

try:
    registered = reading.read_yaml(PROJECT / "config/datasets.yaml")
    # Also where another workflow, for example one by snakedeploy, names config/config.yaml only.
    whole = reading.unshared(registered.get("registry", {}))
    if isinstance(config.setdefault("registry", {}), dict):
        update_config(whole, config["registry"])
        config["registry"] = whole
    overlays = map(load_configfile, workflow.overwrite_configfiles)
    reading.take_replacements(config, registered, *overlays)
    schema = reading.read_yaml(SCHEMA)
    mistakes.check_config(config, schema)
    validate(config, str(SCHEMA))
    SHARDS = {
        dataset: shards.raw_files(
            dataset, config["registry"][dataset], workflow.pathvars.get("resources")
        )
        for dataset in config["datasets"]
    }
    mistakes.check_shipped(config, schema)
    mistakes.check_external_ranks(config, workflow.pathvars.get("results"))
except UserError as error:
    raise WorkflowError(str(error)) from None


def result(artifact):
    """The pattern of an artifact's path, with its keys as wildcards."""
    return f"<results>/{RESULTS[artifact]}"


# --- What a job's numbers depend on: library files as input, because Snakemake does not see imports.


@cache
def reached(*files):
    """The library files that these reach, relative to the working folder, so that a folder that is
    moved or mounted elsewhere is still up to date: Snakemake would remember an absolute path.
    """
    return [os.path.relpath(path) for path in imports.closure(*files)]


def code(*modules, **things):
    """An input function: what the modules of a rule reach, and the things that its job names.

    ``code("sessions.split", split="split")``: the module, and the file of the split that the
    wildcard ``split`` names; instead of a wildcard's name a function of the wildcards may be given.
    """
    files = [registry.LIBRARY.joinpath(*module.split(".")).with_suffix(".py") for module in modules]

    def paths(wildcards):
        chosen = {
            kind: name(wildcards) if callable(name) else wildcards[name]
            for kind, name in things.items()
        }
        found = [
            registry.file(kind.replace("_", " "), name) for kind, name in chosen.items() if name
        ]
        return reached(*files, *found)

    return paths


def form_of(wildcards):
    """The raw form of a data set."""
    return config["registry"][wildcards.dataset]["form"]


def skip_rule_of(wildcards):
    """The skip rule of a data set."""
    return config["registry"][wildcards.dataset]["skip_rule"]["name"]


def world_of(wildcards):
    """The world of a simulated data set."""
    return config["registry"][wildcards.dataset]["simulation"].get("world", "near")


def model_file_of(wildcards):
    """The name of the file of a run's model."""
    return checked.model_file(config, wildcards.model)


def way_of(wildcards):
    """The way of a run to use skips, None for a variant without one."""
    return settings(wildcards).get("way")


# --- Names of data sets and models, for wildcard constraints.


def regex_of(names):
    """A wildcard constraint that matches these names and nothing else."""
    return "|".join(sorted(names)) or "none"


def simulated():
    """Names of the simulated data sets of the registry; with ``paths`` its files are a user's own."""
    return [name for name, entry in made_here() if "simulation" in entry]


def made_here():
    """Name and entry of the data sets of the registry whose raw files the workflow makes or gets."""
    return [its for its in config["registry"].items() if "paths" not in its[1]]


def worlds():
    """By simulated data set of this run its world and the verdict that is right in it."""
    named = {
        name: config["registry"][name]["simulation"].get("world", "near")
        for name in config["datasets"]
        if name in simulated()
    }
    return {
        name: [world, registry.declared("world", world)["VERDICT"]] for name, world in named.items()
    }


def downloadable():
    """Names of the data sets of the registry that have an address."""
    return [
        name
        for name, entry in made_here()
        if any("urls" in file for file in entry.get("files", []))
    ]


def derived():
    """Names of the data sets of this run whose skips are derived from time."""
    return [
        name
        for name in config["datasets"]
        if registry.derives_skips(config["registry"][name]["skip_rule"]["name"])
    ]


def own_models():
    """The models that the workflow trains and ranks; other tools give the ranks of the others."""
    return [model for model in config["models"] if not checked.is_external(config, model)]


def neural_models():
    """The models of the configuration that have an encoder."""
    return models_of("neural")


def models_of(family):
    """The models of the configuration of one family; all of them for None."""
    families = {model: config["model_registry"][model]["family"] for model in config["models"]}
    return [model for model, its in families.items() if family in (its, None)]


# --- Inputs: one path per shard, part, run or search.


def file_entry(wildcards):
    """The registry's entry of one file."""
    files = config["registry"][wildcards.dataset]["files"]
    return next(file for file in files if file["name"] == wildcards.file)


def checksums(wildcards):
    """The checksums that the registry has for a file and for a member of it."""
    return checksums_of(file_entry(wildcards))


def checksums_of(entry):
    """Those of the registry's entry of one file."""
    return {name: entry[name] for name in ("md5", "sha256", "member") if name in entry}


def checksums_of_download(wildcards):
    """The checksums that a downloaded file of a shard has to have, None for any other."""
    if wildcards.dataset not in downloadable():
        return None
    files = config["registry"][wildcards.dataset]["files"]
    name = Path(raw_file(wildcards)).name
    return checksums_of(next(file for file in files if file["name"] == name))


def raw_file(wildcards):
    """The raw file of a shard."""
    return SHARDS[wildcards.dataset][wildcards.shard]


def stamp(wildcards):
    """Size and time of a user's own raw file, so that an older file in its place is read too."""
    if "paths" not in config["registry"][wildcards.dataset]:
        return None
    found = os.stat(raw_file(wildcards))
    return [found.st_size, found.st_mtime_ns]


def shards(artifact):
    """An input function: one path per shard of the data set."""
    return lambda wildcards: expand(
        result(artifact), dataset=wildcards.dataset, shard=SHARDS[wildcards.dataset]
    )


def parts(artifact):
    """An input function: one path per part of the data set."""
    return lambda wildcards: parts_of([wildcards.dataset], artifact)


def parts_of(datasets, artifact):
    """One path per part of these data sets."""
    return [
        path
        for dataset in datasets
        for path in expand(
            result(artifact),
            dataset=dataset,
            part=range(config["registry"][dataset].get("parts", 1)),
        )
    ]


def lengths(wildcards):
    """The lengths of tracks, if the skip rule of the data set reads them."""
    if registry.reads_lengths(skip_rule_of(wildcards)):
        return result("lengths").format(dataset=wildcards.dataset)
    return []


def each_run(artifact, models=None):
    """One path per run of the configuration, or of some of its models, in the order of the tables."""
    pattern = result(artifact)
    return [
        pattern.format(**run)
        for run in checked.runs(config)
        if models is None or run["model"] in models
    ]


def each_search(artifact, dataset=None):
    """One path per search of the tuning, or per search of one data set."""
    return [
        result(artifact).format(**found)
        for found in checked.searches(config)
        if dataset in (None, found["dataset"])
    ]


def best_of_search(wildcards):
    """What a search found for a run, if the run takes its settings from one."""
    if config["tuning"]["settings"] != "search":
        return []
    if not checked.search_space(config, wildcards.model, wildcards.variant):
        return []
    searched = checked.searched_as(config, wildcards.model, wildcards.variant)
    return result("best").format(**{**wildcards, "variant": searched})


def trials_of_reference(wildcards):
    """The trials of the variant that the search of a way begins with."""
    reference = checked.begins_with(config, wildcards.model, wildcards.variant)
    return result("trials").format(**{**wildcards, "variant": reference}) if reference else []


def each_split(artifact):
    """One path per data set, and per split if the artifact belongs to one."""
    return expand(result(artifact), dataset=config["datasets"], split=config["splits"])


# --- Tables and figures: each is one file that declares what it needs.


def declared(kind, wildcards):
    """What the file of a table or figure declares."""
    return registry.declared(kind, wildcards[kind])


def needed(kind):
    """An input function: what a table or figure declares in ``NEEDS``, by name."""

    def inputs(wildcards):
        of_file = declared(kind, wildcards)
        return {need: paths_of_need(need, of_file.get("FAMILY")) for need in of_file["NEEDS"]}

    return inputs


def paths_of_need(need, family=None):
    """The paths behind one word of ``NEEDS``; of runs only those of a ``family``, if one is named."""
    if need in registry.names("table"):
        return [result("table").format(table=need, format="parquet")]
    if need in ("gaps", "gap_sessions"):
        return parts_of(derived(), need)
    if need in ("trials", "best"):
        return each_search(need)
    if need in ("stats", "split", "sessions", "test"):
        return each_split(need)
    if need == "truth":
        return [result(need).format(**found) for found in checked.truths(config)]
    if need == "papers":
        return [os.path.relpath(PROJECT / "resources/paper_results.csv")]
    if need == "skip_rules":
        rules = (rule["name"] for rule in config["lfm_skip_rules"]["rules"])
        return [os.path.relpath(registry.file("skip rule", rule)) for rule in rules]
    if need == "claims":
        files = (registry.file("claim", name) for name in registry.names("claim"))
        return reached(*files)
    # Of a model of another tool there are ranks, and no training.
    models = own_models() if need == "run" else config["models"]
    return each_run(need, [model for model in models if model in models_of(family)])


def settings_needed(kind):
    """A params function: the values that a table or figure declares in ``SETTINGS``, by name."""
    own = {
        "simulated": simulated,
        "worlds": worlds,
        "forms": forms,
        "queries": queries,
        "references": references,
        "controls": controls,
        "sources": sources,
    }

    def values(wildcards):
        names = declared(kind, wildcards).get("SETTINGS", ())
        return {name: own[name]() if name in own else config[name] for name in names}

    return values


def caption(kind):
    """A params function: the caption of a table or figure, which is the docstring of its file."""
    ending = f"\n\n{words.glossary()}" if kind == "figure" else ""
    return lambda wildcards: declared(kind, wildcards)["caption"] + ending


def in_all(kind):
    """The tables or figures of this run's target ``all``: those that are for it and have something to read."""
    targets = {"all", "tune"} if config["tuning"]["settings"] == "search" else {"all"}
    chosen = []
    for name in registry.names(kind):
        of_file = registry.declared(kind, name)
        reads = all(paths_of_need(need) for need in of_file["NEEDS"]) or not of_file.get("OPTIONAL")
        if of_file.get("TARGET", "all") in targets and reads:
            chosen.append(name)
    return chosen


def in_report(path, kind):
    """A file that the report shows. It sorts categories by name, hence the numbers: findings come first."""
    title = {"table": "2 Tables", "figure": "3 Figures"}[kind]
    return report(
        path,
        caption="../report/caption.rst",
        category=lambda wildcards: declared(kind, wildcards).get("CATEGORY", title),
        labels={kind: f"{{{kind}}}"},
    )


# --- Params and resources.


def by_attempt(value, unit=""):
    """A resource that grows with every attempt: a job that was too large or too long fits in the next one."""
    return lambda wildcards, attempt: f"{attempt * value}{unit}" if unit else attempt * value


def gigabytes(kind):
    """Memory of a table or figure."""
    return lambda wildcards, attempt: f"{attempt * declared(kind, wildcards).get('GIGABYTES', 2)}GB"


def minutes(kind):
    """Longest running time of a table or figure."""
    return lambda wildcards, attempt: attempt * declared(kind, wildcards).get("MINUTES", 30)


def cores(kind):
    """Cores of a table or figure: those of the group of jobs that it declares, else one."""
    return lambda wildcards: config["threads"].get(declared(kind, wildcards).get("THREADS"), 1)


def memory_of_catalogue(wildcards, input, attempt):
    """Memory of a job that holds a model: what its training takes, and Snakemake's own."""
    import pyarrow.parquet as pq

    def rows(path):
        # If the file is not there yet, Snakemake knows this error of `open` and asks again when the job is due.
        with open(path, "rb") as file:
            return pq.read_metadata(file).num_rows

    family = config["model_registry"][wildcards.model]["family"]
    # Only a factorisation has vectors of sessions; its jobs have the train sequences as input.
    n_sessions = rows(input.train) if family == "factorization" else 0
    squares, _ = memory.squares_of(model_file_of(wildcards))
    taken = memory.training_memory(
        family,
        settings(wildcards),
        n_tracks=rows(input.tracks),
        n_sessions=n_sessions,
        squares=squares,
    )
    return f"{attempt * (taken + memory.SNAKEMAKE) // 10**6}MB"


def registry_value(key):
    """A params function: one value of the data set's registry entry, None if it is not there."""
    return lambda wildcards: config["registry"][wildcards.dataset].get(key)


def recipe(*keys):
    """A params function: what the sessions of a data set depend on, as far as the rule uses it."""

    def chosen(wildcards):
        entry = config["registry"][wildcards.dataset]
        whole = {"dataset": wildcards.dataset}
        whole["sessions"] = checked.sessions(config, wildcards.dataset)
        return {key: whole[key] if key in whole else entry.get(key) for key in ("dataset", *keys)}

    return chosen


def raw_entry(wildcards):
    """What reading a raw file depends on."""
    return checked.raw_entry(config, wildcards.dataset)


def settings(wildcards):
    """The merged settings of a run."""
    return checked.run_settings(
        config, wildcards.model, wildcards.variant, wildcards.split, wildcards.dataset
    )


def settings_source(wildcards):
    """Where the settings of a run are from, in words."""
    return checked.settings_source(
        config, *(wildcards[key] for key in ("dataset", "split", "model", "variant"))
    )


def sources():
    """Where the settings of every variant are from, in words, by its part of a path."""
    keys = ("dataset", "split", "model", "variant")
    return {
        VARIANT.format(**run): checked.settings_source(config, *(run[key] for key in keys))
        for run in checked.runs(config)
    }


def search(wildcards):
    """What a search depends on, without its number of trials and threads."""
    keys = (wildcards.model, wildcards.variant)
    return {
        "recommender": model_file_of(wildcards),
        "settings": checked.run_settings(config, *keys, wildcards.split),
        "space": checked.search_space(config, *keys),
        "own": checked.own_space(config, *keys),
        "seed": config["tuning"]["seed"],
        "validation_sessions": config["neural"]["validation_sessions"],
    }


def tune_command():
    """The command that searches with this configuration."""
    overlays = [os.path.relpath(path) for path in workflow.overwrite_configfiles]
    chosen = ["--configfile", *overlays, "--"] if overlays else []
    return " ".join(["snakemake", "--cores", "all", *chosen, "tune"])


def gpus_of_run(wildcards):
    """How many GPUs a job wants that trains or ranks a model."""
    return int(settings(wildcards).get("device") == "cuda")


def forms():
    """The raw form of each data set of the configuration."""
    return {name: config["registry"][name]["form"] for name in config["datasets"]}


def queries():
    """By model and variant, the query of the contrastive term; null if there is none."""
    return {
        model: {
            variant: checked.run_settings(config, model, variant).get("query")
            for variant in checked.variants(config, model)
        }
        for model in neural_models()
    }


def references():
    """By model and variant, the variant that it is compared with."""
    return {
        model: {
            variant: checked.reference(config, model, variant)
            for variant in checked.variants(config, model)
        }
        for model in own_models()
    }


def controls():
    """By model and control with shuffled labels, what it is a control of."""
    return {model: checked.controls(config, model) for model in own_models()}


def keep_config():
    """Write the merged configuration of the run that has just ended to ``config.yaml`` in the results folder."""
    # Through json, as yaml would not write Snakemake's own kinds of mapping.
    plain = json.loads(json.dumps(config))
    with whole_file(Path(workflow.pathvars.get("results"), RESULTS["config"])) as partial:
        partial.write_text(
            yaml.safe_dump(plain, sort_keys=False, allow_unicode=True), encoding="utf-8"
        )


def announce_downloads():
    """Print size, licence, time and disk of every data set that this run will download."""
    for line in announced(config, workflow.pathvars.get("resources")):
        print(line, file=sys.stderr)
