# The truth of simulated data sets: the best ranking that there is.


rule measure_headroom:
    """Rank test sessions of a simulated data set by the truth, with and without the labels."""
    input:
        test=result("test"),
        tracks=result("tracks"),
        session_keys=result("keys"),
        code=code("simulation.oracle", world=world_of),
    output:
        result("truth"),
    log:
        f"<logs>/measure_headroom/{SPLIT}.log",
    benchmark:
        f"<benchmarks>/measure_headroom/{SPLIT}.jsonl"
    wildcard_constraints:
        dataset=regex_of(simulated()),
    conda:
        "../../envs/skipwise.yaml"
    threads: 1
    resources:
        mem=by_attempt(3, "GB"),
        runtime=by_attempt(240),
    params:
        simulation=registry_value("simulation"),
        headroom=lookup(dpath="headroom", within=config),
    message:
        "Ranking the test sessions of {wildcards.dataset} by the truth"
    script:
        "../scripts/measure_headroom.py"
