# Sessions: sessionise, label, cut and filter, one job per part of the listeners; sample from all parts; split.


rule count_gaps:
    """The pauses between the plays of one part, from which the lengths of tracks are derived."""
    input:
        events=shards("events"),
        code=code("sessions.lengths"),
    output:
        gaps=result("gaps"),
        gap_sessions=result("gap_sessions"),
    log:
        f"<logs>/count_gaps/{PART}.log",
    benchmark:
        f"<benchmarks>/count_gaps/{PART}.jsonl"
    conda:
        "../../envs/skipwise.yaml"
    threads: lookup(dpath="threads/data", within=config)
    resources:
        mem=by_attempt(2, "GB"),
        runtime=by_attempt(60),
    params:
        recipe=recipe("session_gap"),
        session_gaps=lookup(dpath="lfm_skip_rules/session_gaps", within=config),
    message:
        "Counting pauses of {wildcards.dataset}, part {wildcards.part}"
    script:
        "../scripts/count_gaps.py"


rule measure_tracks:
    """The length of every track, derived from the pauses after it."""
    input:
        gaps=parts("gaps"),
        code=code("sessions.lengths"),
    output:
        result("lengths"),
    log:
        f"<logs>/measure_tracks/{DATASET}.log",
    benchmark:
        f"<benchmarks>/measure_tracks/{DATASET}.jsonl"
    conda:
        "../../envs/skipwise.yaml"
    threads: lookup(dpath="threads/data", within=config)
    resources:
        mem=by_attempt(2, "GB"),
        runtime=by_attempt(60),
    params:
        recipe=recipe("skip_rule", "session_gap"),
    message:
        "Measuring the tracks of {wildcards.dataset}"
    script:
        "../scripts/measure_tracks.py"


rule label_sessions:
    """The labelled sessions of one part that can be in the sample, and the counts of every filter."""
    input:
        events=shards("events"),
        lengths=lengths,
        code=code("sessions.label", skip_rule=skip_rule_of),
    output:
        labelled=result("labelled"),
        counts=result("counts"),
    log:
        f"<logs>/label_sessions/{PART}.log",
    benchmark:
        f"<benchmarks>/label_sessions/{PART}.jsonl"
    conda:
        "../../envs/skipwise.yaml"
    threads: lookup(dpath="threads/data", within=config)
    resources:
        mem=by_attempt(2, "GB"),
        runtime=by_attempt(60),
    params:
        recipe=recipe(
            *("skip_rule", "session_gap", "sessions", "keep_share"),
            *("form", "columns", "session_ids"),
        ),
    message:
        "Labelling the sessions of {wildcards.dataset}, part {wildcards.part}"
    script:
        "../scripts/label_sessions.py"


rule sample_sessions:
    """Sampled sessions with skip labels and dense track ids, and the counts of every step."""
    input:
        labelled=parts("labelled"),
        counts=parts("counts"),
        sources=shards("source"),
        code=code("sessions.sample"),
    output:
        sessions=result("sessions"),
        tracks=result("tracks"),
        session_keys=result("keys"),
        stats=result("stats"),
    log:
        f"<logs>/sample_sessions/{DATASET}.log",
    benchmark:
        f"<benchmarks>/sample_sessions/{DATASET}.jsonl"
    conda:
        "../../envs/skipwise.yaml"
    threads: lookup(dpath="threads/data", within=config)
    resources:
        mem=by_attempt(2, "GB"),
        runtime=by_attempt(60),
    params:
        recipe=recipe(
            "skip_rule", "session_gap", "sessions", "keep_share", "columns", "session_ids"
        ),
    message:
        "Sampling the sessions of {wildcards.dataset}"
    script:
        "../scripts/sample_sessions.py"


rule split_sessions:
    """Train sequences, and contexts with targets for validation and test."""
    input:
        sessions=result("sessions"),
        session_keys=result("keys"),
        code=code("sessions.split", split="split"),
    output:
        train=result("train"),
        valid=result("valid"),
        test=result("test"),
        stats=result("split"),
    log:
        f"<logs>/split_sessions/{SPLIT}.log",
    benchmark:
        f"<benchmarks>/split_sessions/{SPLIT}.jsonl"
    conda:
        "../../envs/skipwise.yaml"
    threads: lookup(dpath="threads/data", within=config)
    resources:
        mem=by_attempt(4, "GB"),
        runtime=by_attempt(30),
    params:
        parameters=lambda wildcards: checked.split_parameters(config, wildcards.split),
        headline=lookup(dpath="candidates/headline", within=config),
    message:
        "Splitting {wildcards.dataset}: {wildcards.split}"
    script:
        "../scripts/split_sessions.py"
