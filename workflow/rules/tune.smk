# Tuning: `snakemake --cores 8 tune`. Not a part of `all`.

TRIAL = "dataset={dataset}/split={split}/model={model}/variant={variant}/trial={trial}"
BEST = "<results>/tuning/dataset={dataset}/split={split}/best.yaml"


rule tune:
    """The same number of trials for every variant of every neural model, scored on validation data."""
    input:
        "<results>/tables/tuning.csv",
        expand(BEST, dataset=config["datasets"], split=config["splits"]),


rule run_trial:
    """Train with the settings of one trial; the test data is not read."""
    input:
        train="<results>/splits/dataset={dataset}/split={split}/train.parquet",
        valid="<results>/splits/dataset={dataset}/split={split}/valid.parquet",
        tracks="<results>/sessions/dataset={dataset}/tracks.parquet",
        code=lambda wildcards: MODEL_CODE[wildcards.model] + code("tuning.py"),
    output:
        history=f"<results>/tuning/{TRIAL}/history.parquet",
        trial=f"<results>/tuning/{TRIAL}/trial.json",
    log:
        f"<logs>/run_trial/{TRIAL}.log",
    benchmark:
        f"<benchmarks>/run_trial/{TRIAL}.jsonl"
    conda:
        "../../envs/skipwise.yaml"
    threads: lookup(dpath="threads/train", within=config)
    resources:
        mem=memory_of_catalogue,
        runtime=by_attempt(720),
        gpu=gpus_of_run,
    params:
        settings=settings,
        tuning=lookup(dpath="tuning", within=config),
        seed=config["seeds"][0],
    message:
        "Trial {wildcards.trial} of {wildcards.model} {wildcards.variant} on {wildcards.dataset}"
    script:
        "../scripts/run_trial.py"


rule collect_trials:
    """All trials in a table, and overlays with the best settings."""
    input:
        trials=each_trial(f"<results>/tuning/{TRIAL}/trial.json"),
        histories=each_trial(f"<results>/tuning/{TRIAL}/history.parquet"),
        code=code("columns.py", *PAGE, "tables.py", "tuning.py"),
    output:
        **table("tuning"),
        overlays=expand(BEST, dataset=config["datasets"], split=config["splits"]),
    log:
        "<logs>/collect_trials.log",
    benchmark:
        "<benchmarks>/collect_trials.jsonl"
    conda:
        "../../envs/skipwise.yaml"
    threads: 1
    resources:
        mem=by_attempt(1, "GB"),
        runtime=by_attempt(10),
    params:
        simulated=simulated(),
        budget=config["tuning"]["trials"],
    message:
        "Collecting the trials"
    script:
        "../scripts/collect_trials.py"
