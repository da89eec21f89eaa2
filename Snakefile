# skipwise: from raw listening logs to the tables and figures of two papers on skip-aware music
# recommendation.
#
# Data only moves forward: each stage reads earlier stages and writes one folder.  A row is:
#
#   resources/raw/<dataset>/<file>                              (files as retrieved or simulated)
#   results/events/dataset=…/shard=…/events.parquet             a play, as in the raw data
#   results/events/dataset=…/shard=…/rejected.parquet           an invalid row: file, line, reason
#   results/gaps, results/lengths                               for derived skips: lengths of tracks
#   results/labelled/dataset=…/part=…/labelled.parquet          a labelled play that may be sampled
#   results/sessions/dataset=…/{sessions,tracks,keys}.parquet   a play of a sampled session
#   results/splits/dataset=…/split=…/{train,valid,test}.parquet a session: context, target, skips
#   results/models/<run>/                                       (weights, history.parquet, run.json)
#   results/ranks/<run>/                                        a test session: ranks of its tracks
#   results/cosines/<run>/                                      a test session, of neural models
#   results/released/<run>/                                     a metric of the papers' code
#   results/responses/<run>/                                    a test session: the answer to a skip
#   results/metrics/<run>/                                      a metric
#   results/truth/dataset=…/split=…/                            a test session, ranked by the truth
#   results/tables, results/figures                             (the papers' tables and more)
#   results/provenance.json                                     (sources of all numbers)
#   results/tuning/dataset=…/split=…/model=…/variant=…/trials.parquet   a trial of a search
#   results/tuning/<dataset>.yaml                               (what the searches found)
#
# <run> is dataset=…/split=…/model=…/variant=…/seed=….  One DuckDB glob over a stage has these keys
# as columns.  The grammar of the paths is in workflow/scripts/skipwise/core/paths.py, every
# column of every file in core/schemas.py, every key of the configuration in config/README.md.

from snakemake.utils import min_version

min_version("9.27")

# Not workflow.basedir, which is another folder where this workflow is a module of another one.
PROJECT = workflow.current_basedir.get_path_or_uri(secret_free=True)


configfile: f"{PROJECT}/config/config.yaml"
configfile: f"{PROJECT}/config/datasets.yaml"


include: "workflow/rules/common.smk"


wildcard_constraints:
    dataset="[a-z][a-z0-9-]*",
    shard="[A-Za-z0-9_-]+",
    part=r"\d+",
    split="[a-z_]+",
    model="[a-z][a-z0-9-]*",
    variant="[a-z][a-z0-9-]*",
    seed=r"\d+",
    table=regex_of(registry.names("table")),
    figure=regex_of(registry.names("figure")),


include: "workflow/rules/raw.smk"
include: "workflow/rules/sessions.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/tune.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/headroom.smk"
include: "workflow/rules/report.smk"


rule all:
    default_target: True
    input:
        expand(result("table"), table=in_all("table"), format="csv"),
        expand(result("figure"), figure=in_all("figure"), format="svg"),
        result("provenance"),


report: "workflow/report/workflow.rst"


# What will be downloaded is said before the first job.
onstart:
    announce_downloads()


# The configuration of the last run, for `make report`.
onsuccess:
    keep_config()
