# skipwise: from raw listening logs to the tables and figures of two papers on skip-aware music recommendation.
#
# The way of the data, a folder a stage; there is no way back:
#
#   resources/raw/<dataset>/<file>                                     raw files as retrieved or simulated
#   results/events/dataset=…/shard=…/events.parquet                    a play, as the raw data has it
#   results/events/dataset=…/shard=…/rejected.parquet                  a row that is wrong: file, line, reason
#   results/gaps, results/lengths                                      for skips derived from time: lengths of tracks
#   results/labelled/dataset=…/part=…/labelled.parquet                 a play of a session that may be sampled, labelled
#   results/sessions/dataset=…/{sessions,tracks,keys}.parquet          a play of a sampled session, labelled, dense ids
#   results/splits/dataset=…/split=…/{train,valid,test}.parquet        a session: context, target, unseen skips
#   results/models/dataset=…/split=…/model=…/variant=…/seed=…/         weights, history.parquet, run.json
#   results/ranks/dataset=…/split=…/model=…/variant=…/seed=…/          a test session: ranks of target and skips
#   results/cosines/dataset=…/split=…/model=…/variant=…/seed=…/        a test session: cosines of its query, neural models only
#   results/metrics/dataset=…/split=…/model=…/variant=…/seed=…/        a metric
#   results/tables, results/figures                                    what the papers print
#   results/provenance.json                                            revision, versions, seeds, raw checksums, configuration
#   results/tuning/dataset=…/split=…/model=…/variant=…/trial=…/        what `snakemake tune` tried, on validation data
#
# Keys stand in the path as key=value, so one DuckDB glob over a stage has them as columns.  Every column of every file is
# in workflow/scripts/skipwise/columns.py, every key of the configuration in config/README.md.

from snakemake.utils import min_version

min_version("9.27")


configfile: "config/config.yaml"
configfile: "config/datasets.yaml"


include: "workflow/rules/common.smk"


wildcard_constraints:
    dataset="[a-z][a-z0-9-]*",
    shard="[A-Za-z0-9_-]+",
    part=r"\d+",
    split="[a-z_]+",
    model="[a-z][a-z0-9-]*",
    variant="[a-z][a-z0-9-]*",
    seed=r"\d+",
    trial=r"\d+",
    table=regex_of(registry.names("table")),
    figure=regex_of(registry.names("figure")),


include: "workflow/rules/raw.smk"
include: "workflow/rules/sessions.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/tune.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/report.smk"


rule all:
    default_target: True
    input:
        expand(result("table"), table=in_all("table"), format="csv"),
        expand(result("figure"), figure=in_all("figure"), format="svg"),
        result("provenance"),


report: "workflow/report/workflow.rst"


# What was made last, and with which overlays, for `make report`.
onsuccess:
    keep_config()
