# Sessions: sessionise, label, cut, filter, sample; then split.


rule label_and_sample_sessions:
    """Sampled sessions with skip labels and dense track ids, and what every filter left."""
    input:
        events=shards("<results>/events/dataset={dataset}/shard={shard}/events.parquet"),
        sources=shards("<results>/events/dataset={dataset}/shard={shard}/source.json"),
        code=code(
            "sessions/__init__.py",
            "sessions/drop_batch_scrobbles.sql",
            "sessions/sessionise_given.sql",
            "sessions/sessionise_by_gap.sql",
            "sessions/label_given.sql",
            "sessions/label_gap_below.sql",
            "sessions/label_length_margin.sql",
            "sessions/cut.sql",
            "sessions/filter.sql",
            "sessions/sample.sql",
            "sessions/count_tracks.sql",
            "sessions/select_sessions.sql",
            "sessions/count_steps.sql",
        ),
    output:
        sessions="<results>/sessions/dataset={dataset}/sessions.parquet",
        tracks="<results>/sessions/dataset={dataset}/tracks.parquet",
        session_keys="<results>/sessions/dataset={dataset}/keys.parquet",
        stats="<results>/sessions/dataset={dataset}/stats.json",
    log:
        "<logs>/label_and_sample_sessions/dataset={dataset}.log",
    benchmark:
        "<benchmarks>/label_and_sample_sessions/dataset={dataset}.jsonl"
    conda:
        "../../envs/skipwise.yaml"
    threads: lookup(dpath="threads/data", within=config)
    resources:
        mem="4GB",
        runtime=60,
    params:
        skip_rule=registry_value("skip_rule"),
        session_gap=registry_value("session_gap"),
        sessions=lookup(dpath="sessions", within=config),
    message:
        "Labelling and sampling the sessions of {wildcards.dataset}"
    script:
        "../scripts/label_and_sample_sessions.py"


rule split_sessions:
    """Train sequences, and contexts with targets for validation and test."""
    input:
        sessions="<results>/sessions/dataset={dataset}/sessions.parquet",
        code=code("sessions/__init__.py", "sessions/list_sessions.sql"),
        split=lambda wildcards: SPLIT_CODE[wildcards.split],
    output:
        train="<results>/splits/dataset={dataset}/split={split}/train.parquet",
        valid="<results>/splits/dataset={dataset}/split={split}/valid.parquet",
        test="<results>/splits/dataset={dataset}/split={split}/test.parquet",
        stats="<results>/splits/dataset={dataset}/split={split}/split.json",
    log:
        "<logs>/split_sessions/dataset={dataset}/split={split}.log",
    benchmark:
        "<benchmarks>/split_sessions/dataset={dataset}/split={split}.jsonl"
    conda:
        "../../envs/skipwise.yaml"
    threads: lookup(dpath="threads/data", within=config)
    resources:
        mem="4GB",
        runtime=30,
    params:
        shares=lookup(dpath="temporal_split", within=config),
    message:
        "Splitting {wildcards.dataset}: {wildcards.split}"
    script:
        "../scripts/split_sessions.py"


SPLIT_CODE = {split: code(f"sessions/split_{split}.sql") for split in ("paper", "temporal", "authors_code")}
