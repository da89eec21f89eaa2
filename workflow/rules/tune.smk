# Tuning: `snakemake --cores 8 tune`. Not a part of `all`.


rule tune:
    """The same number of trials for every variant of every neural model, scored on validation data."""
    input:
        result("table").format(table="tuning", format="csv"),
        each_split("best"),


rule run_trial:
    """Train with the settings of one trial; the test data is not read."""
    input:
        train=result("train"),
        valid=result("valid"),
        tracks=result("tracks"),
        split=result("split"),
        code=code("training.tuning", model=model_file_of, skip_loss=skip_loss_of),
    output:
        history=result("trial_history"),
        trial=result("trial"),
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
        recommender=model_file_of,
        settings=settings,
        tuning=lookup(dpath="tuning", within=config),
        seed=config["seeds"][0],
    message:
        "Trial {wildcards.trial} of {wildcards.model} {wildcards.variant} on {wildcards.dataset}"
    script:
        "../scripts/run_trial.py"


rule collect_trials:
    """Overlays with the best settings of every variant."""
    input:
        trials=each_trial("trial"),
        histories=each_trial("trial_history"),
        code=code("training.tuning"),
    output:
        each_split("best"),
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
    message:
        "Collecting the trials"
    script:
        "../scripts/collect_trials.py"
