# Training: one job per data set, split, model, variant and seed.


rule train_model:
    """Fit one model on one split."""
    input:
        train=result("train"),
        valid=result("valid"),
        tracks=result("tracks"),
        split=result("split"),
        best=best_of_search,
        code=code("training.train", model=model_file_of, way=way_of),
    output:
        weights=result("weights"),
        history=result("history"),
        run=result("run"),
    log:
        f"<logs>/train_model/{RUN}.log",
    benchmark:
        f"<benchmarks>/train_model/{RUN}.jsonl"
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
        recommender=model_file_of,
        settings=settings,
        settings_source=settings_source,
        validation_sessions=lookup(dpath="neural/validation_sessions", within=config),
    message:
        "Training {wildcards.model} {wildcards.variant} on {wildcards.dataset}, seed {wildcards.seed}"
    script:
        "../scripts/train_model.py"
