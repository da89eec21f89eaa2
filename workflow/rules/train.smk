# Training and ranking: one job per data set, split, model, variant and seed.


rule train_model:
    """Fit one model on one split, then rank the test sessions and measure their cosines.

    In one job, as starting Python and torch takes longer than ranking a sample.  A job that runs
    again for its ranks alone takes its finished training over from the checkpoints.
    """
    input:
        train=result("train"),
        valid=result("valid"),
        tracks=result("tracks"),
        split=result("split"),
        test=result("test"),
        best=best_of_search,
        code=code("training.train", model=model_file_of, way=way_of),
        evaluation=code("evaluation.rank_sessions", "evaluation.cosines", model=model_file_of),
    output:
        weights=result("weights"),
        history=result("history"),
        run=result("run"),
        ranks=result("ranks"),
        cosines=result("cosines"),
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
        candidates=lookup(dpath="candidates", within=config),
        threads=lookup(dpath="threads/train", within=config),  # which change the last digits
    message:
        "Training {wildcards.model} {wildcards.variant} on {wildcards.dataset}, seed {wildcards.seed}"
    script:
        "../scripts/train_model.py"
