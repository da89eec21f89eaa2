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
