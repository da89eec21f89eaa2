# Tuning: `snakemake --cores 8 tune` only searches.  With `tuning.settings: search` the trainings
# wait for the searches and use what they find.


rule tune:
    """The searches of all variants, scored on validation data."""
    input:
        result("table").format(table="tuning", format="csv"),
        expand(result("tuned"), dataset=config["datasets"]),


rule search_settings:
    """Search the settings of one variant; the test data is not read."""
    input:
        train=result("train"),
        valid=result("valid"),
        tracks=result("tracks"),
        split=result("split"),
        first=trials_of_reference,
        code=code("training.tuning", model=model_file_of, way=way_of),
    output:
        trials=result("trials"),
        best=result("best"),
    log:
        f"<logs>/search_settings/{VARIANT}.log",
    benchmark:
        f"<benchmarks>/search_settings/{VARIANT}.jsonl"
    wildcard_constraints:
        model=regex_of(own_models()),
    conda:
        "../../envs/skipwise.yaml"
    threads: lookup(dpath="threads/train", within=config)
    resources:
        mem=memory_of_catalogue,
        # The same at every attempt: the next one goes on where this one ended.
        runtime=720,
        gpu=gpus_of_run,
    params:
        search=search,
        trials=lambda wildcards: checked.trials(config, wildcards.model, wildcards.variant),
    message:
        "Searching settings of {wildcards.model} {wildcards.variant} on {wildcards.dataset}"
    script:
        "../scripts/search_settings.py"


rule collect_settings:
    """What the searches of one data set found, in one file that resources/tuned can take."""
    input:
        best=lambda wildcards: each_search("best", wildcards.dataset),
        code=code("training.tuning"),
    output:
        result("tuned"),
    log:
        "<logs>/collect_settings/{dataset}.log",
    benchmark:
        "<benchmarks>/collect_settings/{dataset}.jsonl"
    conda:
        "../../envs/skipwise.yaml"
    threads: 1
    resources:
        mem=by_attempt(1, "GB"),
        runtime=by_attempt(10),
    params:
        seed=config["tuning"]["seed"],
        command=tune_command(),
    message:
        "Collecting the settings found on {wildcards.dataset}"
    script:
        "../scripts/collect_settings.py"
