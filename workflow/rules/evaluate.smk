# Evaluation: arithmetic on the ranks of every test session.


rule compute_metrics:
    """Metrics of one run from its ranks."""
    input:
        ranks=result("ranks"),
        code=code("ranking.metrics"),
    output:
        result("metrics"),
    log:
        f"<logs>/compute_metrics/{RUN}.log",
    benchmark:
        f"<benchmarks>/compute_metrics/{RUN}.jsonl"
    conda:
        "../../envs/skipwise.yaml"
    threads: 1
    resources:
        mem=by_attempt(1, "GB"),
        runtime=by_attempt(10),
    params:
        cutoffs=lookup(dpath="metrics", within=config),
    message:
        "Metrics of {wildcards.model} {wildcards.variant} on {wildcards.dataset}, seed {wildcards.seed}"
    script:
        "../scripts/compute_metrics.py"


rule probe_model:
    """What the released metric would print for a saved model, and how it responds to a skip."""
    input:
        weights=result("weights"),
        run=result("run"),
        train=result("train"),
        tracks=result("tracks"),
        test=result("test"),
        code=code("evaluation.probe", model=model_file_of, way=way_of),
    output:
        released=result("released"),
        responses=result("responses"),
    log:
        f"<logs>/probe_model/{RUN}.log",
    benchmark:
        f"<benchmarks>/probe_model/{RUN}.jsonl"
    wildcard_constraints:
        model=regex_of(own_models()),
    conda:
        "../../envs/skipwise.yaml"
    threads: lookup(dpath="threads/train", within=config)
    resources:
        mem=memory_of_catalogue,
        runtime=by_attempt(120),
        gpu=gpus_of_run,
    params:
        candidates=lookup(dpath="candidates", within=config),
    message:
        "Probing {wildcards.model} {wildcards.variant} on {wildcards.dataset}, seed {wildcards.seed}"
    script:
        "../scripts/probe_model.py"
