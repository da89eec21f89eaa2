# Evaluation: ranks and cosines of every test session, then arithmetic on them.


rule rank_sessions:
    """Rank the target and the unseen skips of every test session."""
    input:
        weights=result("weights"),
        run=result("run"),
        train=result("train"),
        tracks=result("tracks"),
        test=result("test"),
        code=code("evaluation.rank_sessions", model=model_file_of, way=way_of),
    output:
        result("ranks"),
    log:
        f"<logs>/rank_sessions/{RUN}.log",
    benchmark:
        f"<benchmarks>/rank_sessions/{RUN}.jsonl"
    wildcard_constraints:
        model=regex_of(own_models()),
    conda:
        "../../envs/skipwise.yaml"
    threads: lookup(dpath="threads/rank", within=config)
    resources:
        mem=memory_of_catalogue,
        runtime=by_attempt(240),
        gpu=gpus_of_run,
    params:
        candidates=lookup(dpath="candidates", within=config),
    message:
        "Ranking the test sessions of {wildcards.dataset} with {wildcards.model} {wildcards.variant}, seed {wildcards.seed}"
    script:
        "../scripts/rank_sessions.py"


rule measure_cosines:
    """Cosines of every test session's query with its target and its skips."""
    input:
        weights=result("weights"),
        run=result("run"),
        tracks=result("tracks"),
        test=result("test"),
        code=code("evaluation.cosines", model=model_file_of, way=way_of),
    output:
        result("cosines"),
    log:
        f"<logs>/measure_cosines/{RUN}.log",
    benchmark:
        f"<benchmarks>/measure_cosines/{RUN}.jsonl"
    wildcard_constraints:
        model=regex_of(neural_models()),
    conda:
        "../../envs/skipwise.yaml"
    threads: lookup(dpath="threads/rank", within=config)
    resources:
        mem=memory_of_catalogue,
        runtime=by_attempt(60),
    message:
        "Cosines of {wildcards.model} {wildcards.variant} on {wildcards.dataset}, seed {wildcards.seed}"
    script:
        "../scripts/measure_cosines.py"


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
