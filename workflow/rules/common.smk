# The check of the configuration, and named functions for inputs and params.

import json
import os
import sys
from glob import glob
from pathlib import Path

import yaml
from snakemake.exceptions import WorkflowError
from snakemake.utils import validate

sys.path.insert(0, str(Path(workflow.basedir, "workflow", "scripts")))

from skipwise import config as checked
from skipwise import memory
from skipwise.artifacts import whole_file
from skipwise.errors import UserError
from skipwise.snakemake_timers import look_twice_a_second

look_twice_a_second()

SCHEMA = Path(workflow.basedir, "workflow", "schemas", "config.schema.yaml")
RUN = "dataset={dataset}/split={split}/model={model}/variant={variant}/seed={seed}"
FORMATS = ("csv", "parquet", "html", "tex")
PAGE = ("page.html.jinja", "pages.py")
TABLES = (
    "findings",
    "hr_ndcg",
    "murs23_context",
    "recsys24_main",
    "skip_downranking",
    "by_skip_share",
    "paper_comparison",
    "datasets",
)
FIGURES = ("hit_rates", "gain_by_skip_share", "rank_distribution", "learning_curves", "query_cosines")

try:
    checked.check_config(config, yaml.safe_load(SCHEMA.read_text(encoding="utf-8")))
    validate(config, str(SCHEMA))
    SHARDS = {
        dataset: checked.raw_files(dataset, config["registry"][dataset], workflow.pathvars.get("resources"))
        for dataset in config["datasets"]
    }
    checked.check_external_ranks(config, workflow.pathvars.get("results"))
except UserError as error:
    raise WorkflowError(str(error)) from None


def code(*modules):
    """Library files that define the numbers of an output. Snakemake does not see imports, so they are named as input."""
    # Relative to the working folder, so that a folder that is moved or mounted elsewhere is still up to date:
    # workflow.source_path() would give, and Snakemake remember, an absolute path.
    library = os.path.relpath(Path(workflow.basedir, "workflow", "scripts", "skipwise"))
    found = {module: sorted(glob(f"{library}/{module}")) for module in modules}
    for module, paths in found.items():
        if not paths:
            raise WorkflowError(f"the workflow names {module} as code, which is not in {library}")
    return sum(found.values(), [])


def regex_of(names):
    """A wildcard constraint that matches these data sets or models and nothing else."""
    return "|".join(sorted(names)) or "none"


def simulated():
    """Names of the simulated data sets of the registry."""
    return [name for name, entry in config["registry"].items() if "simulation" in entry]


def downloadable():
    """Names of the data sets of the registry that have an address."""
    return [
        name
        for name, entry in config["registry"].items()
        if any("urls" in file for file in entry.get("files", []))
    ]


def file_entry(wildcards):
    """The registry's entry of one file."""
    files = config["registry"][wildcards.dataset]["files"]
    return next(file for file in files if file["name"] == wildcards.file)


def checksums(wildcards):
    """The checksums that the registry has for a file and for a member of it."""
    return {
        name: value for name, value in file_entry(wildcards).items() if name in ("md5", "sha256", "member")
    }


def by_attempt(value, unit=""):
    """A resource that grows with every attempt: a job that was too large or too long fits in the next one."""
    return lambda wildcards, attempt: f"{attempt * value}{unit}" if unit else attempt * value


def memory_of_catalogue(wildcards, input, attempt):
    """Memory of a job that holds a model: what its training takes, and Snakemake's own."""
    import pyarrow.parquet as pq

    def rows(path):
        # Where the file is not there yet, Snakemake knows this error of `open` and asks again when the job is due.
        with open(path, "rb") as file:
            return pq.read_metadata(file).num_rows

    family = config["model_registry"][wildcards.model]["family"]
    # Sessions have vectors in a factorisation alone, whose jobs have the train sequences as input.
    n_sessions = rows(input.train) if family == "factorization" else 0
    taken = memory.training_memory(
        family, settings(wildcards), n_tracks=rows(input.tracks), n_sessions=n_sessions
    )
    return f"{attempt * (taken + memory.SNAKEMAKE) // 10**6}MB"


def registry_entry(*keys):
    """A params function: these keys of the data set's registry entry, those that are there."""

    def entry(wildcards):
        whole = config["registry"][wildcards.dataset]
        return {key: whole[key] for key in keys if key in whole}

    return entry


def registry_value(key):
    """A params function: one value of the data set's registry entry, None where it is not there."""
    return lambda wildcards: config["registry"][wildcards.dataset].get(key)


def shards(pattern):
    """An input function: one path for each shard of the data set."""
    return lambda wildcards: expand(pattern, dataset=wildcards.dataset, shard=SHARDS[wildcards.dataset])


def parts(pattern):
    """An input function: one path for each part of the data set."""

    def paths(wildcards):
        count = config["registry"][wildcards.dataset].get("parts", 1)
        return expand(pattern, dataset=wildcards.dataset, part=range(count))

    return paths


def parts_of(datasets, pattern):
    """One path for each part of these data sets."""
    return [
        path
        for dataset in datasets
        for path in expand(pattern, dataset=dataset, part=range(config["registry"][dataset].get("parts", 1)))
    ]


def lengths(wildcards):
    """The lengths of tracks, where the skip rule of the data set needs them."""
    needed = config["registry"][wildcards.dataset]["skip_rule"]["name"] == "length_margin"
    return f"<results>/lengths/dataset={wildcards.dataset}/lengths.parquet" if needed else []


def derived():
    """Names of the data sets of this run whose skips are told from time."""
    return [name for name in config["datasets"] if checked.derives_skips(config["registry"][name])]


def tables():
    """The tables of this run; rules that derive skips are compared where there is a data set that needs one."""
    return [*TABLES, *(["lfm_skip_rules"] if derived() else [])]


def raw_entry(wildcards):
    """What reading a raw file depends on: a changed sample size does not concern it."""
    entry = registry_entry("form", "columns", "time_unit", "skipped_when", "until", "parts")(wildcards)
    share = config["registry"][wildcards.dataset].get("keep_share")
    if share is not None:
        sessions = config["sessions"]
        keep = {
            "share": share,
            "sampling_seed": sessions["sampling_seed"],
            "max_length": sessions["max_length"],
        }
        entry["keep"] = keep
    return entry


def raw_file(wildcards):
    """The raw file of a shard."""
    return SHARDS[wildcards.dataset][wildcards.shard]


def settings(wildcards):
    """The merged settings of a run."""
    return checked.run_settings(config, wildcards.model, wildcards.variant)


def gpus_of_run(wildcards):
    """How many GPUs a job wants that trains or ranks a model."""
    return int(settings(wildcards).get("device") == "cuda")


def own_models():
    """The models of the configuration that the workflow trains and ranks; the others' ranks come from other tools."""
    return [model for model in config["models"] if not checked.is_external(config, model)]


def neural_models():
    """The models of the configuration that have an encoder."""
    return [model for model in config["models"] if config["model_registry"][model]["family"] == "neural"]


def each_run(pattern, models=None):
    """One path for each run of the configuration, or of some of its models, in the order of the tables."""
    return [pattern.format(**run) for run in checked.runs(config) if models is None or run["model"] in models]


def each_trial(pattern):
    """One path for each trial of the tuning, the same number for every variant of every neural model."""
    return [
        pattern.format(dataset=dataset, split=split, model=model, variant=variant, trial=trial)
        for dataset in config["datasets"]
        for split in config["splits"]
        for model in neural_models()
        for variant in checked.variants(config, model)
        for trial in range(config["tuning"]["trials"])
    ]


def forms():
    """The raw form of each data set of the configuration."""
    return {name: config["registry"][name]["form"] for name in config["datasets"]}


def in_report(path, name, kind):
    """A file that the report shows. Categories and labels are sorted by name, hence the numbers: findings come first."""
    category = "1 Findings" if name == "findings" else {"table": "2 Tables", "figure": "3 Figures"}[kind]
    return report(path, caption=f"../report/{name}.rst", category=category, labels={kind: name})


def table(name):
    """The files of a table by format; the page is part of the report."""
    files = {suffix: f"<results>/tables/{name}.{suffix}" for suffix in FORMATS}
    return files | {"html": in_report(files["html"], name, "table")}


def figure(name):
    """The files of a figure: what is drawn, and the numbers it draws."""
    drawn = in_report(f"<results>/figures/{name}.svg", name, "figure")
    return {"svg": drawn, "parquet": f"<results>/figures/{name}.parquet"}


def keep_config():
    """Write the merged configuration of the run that has just ended to ``config.yaml`` in the results folder."""
    # Through json, as yaml would not write Snakemake's own kinds of mapping.
    plain = json.loads(json.dumps(config))
    with whole_file(Path(workflow.pathvars.get("results"), "config.yaml")) as partial:
        partial.write_text(yaml.safe_dump(plain, sort_keys=False, allow_unicode=True), encoding="utf-8")


def queries():
    """By model and variant, the query of the contrastive term; null where there is none."""
    return {
        model: {
            variant: checked.run_settings(config, model, variant).get("query")
            for variant in checked.variants(config, model)
        }
        for model in neural_models()
    }
