# Sessions: sessionise, label, cut, filter, a part of the listeners a job; sample from all parts; then split.


rule count_gaps:
    """The pauses between the plays of one part, from which lengths of tracks are told."""
    input:
        events=shards("<results>/events/dataset={dataset}/shard={shard}/events.parquet"),
        code=code(
            "sessions/__init__.py",
            "sessions/drop_batch_scrobbles.sql",
            "sessions/count_gaps.sql",
            "sessions/count_session_gaps.sql",
        ),
    output:
        gaps="<results>/gaps/dataset={dataset}/part={part}/gaps.parquet",
        gap_sessions="<results>/gaps/dataset={dataset}/part={part}/gap_sessions.parquet",
    log:
        "<logs>/count_gaps/dataset={dataset}/part={part}.log",
    benchmark:
        "<benchmarks>/count_gaps/dataset={dataset}/part={part}.jsonl"
    conda:
        "../../envs/skipwise.yaml"
    threads: lookup(dpath="threads/data", within=config)
    resources:
        mem=by_attempt(2, "GB"),
        runtime=by_attempt(60),
    params:
        session_gap=registry_value("session_gap"),
        session_gaps=lookup(dpath="lfm_skip_rules/session_gaps", within=config),
    message:
        "Counting pauses of {wildcards.dataset}, part {wildcards.part}"
    script:
        "../scripts/count_gaps.py"


rule measure_tracks:
    """The length of every track, as the pauses after it tell."""
    input:
        gaps=parts("<results>/gaps/dataset={dataset}/part={part}/gaps.parquet"),
        code=code("sessions/__init__.py", "sessions/measure_tracks.sql"),
    output:
        "<results>/lengths/dataset={dataset}/lengths.parquet",
    log:
        "<logs>/measure_tracks/dataset={dataset}.log",
    benchmark:
        "<benchmarks>/measure_tracks/dataset={dataset}.jsonl"
    conda:
        "../../envs/skipwise.yaml"
    threads: lookup(dpath="threads/data", within=config)
    resources:
        mem=by_attempt(2, "GB"),
        runtime=by_attempt(60),
    params:
        skip_rule=registry_value("skip_rule"),
        session_gap=registry_value("session_gap"),
    message:
        "Measuring the tracks of {wildcards.dataset}"
    script:
        "../scripts/measure_tracks.py"


rule label_sessions:
    """The labelled sessions of one part that can be in the sample, and what every filter left."""
    input:
        events=shards("<results>/events/dataset={dataset}/shard={shard}/events.parquet"),
        lengths=lengths,
        code=code(
            "draws.py",
            "sessions/__init__.py",
            "sessions/drop_batch_scrobbles.sql",
            "sessions/sessionise_given.sql",
            "sessions/sessionise_by_gap.sql",
            "sessions/label_given.sql",
            "sessions/label_gap_below.sql",
            "sessions/label_length_margin.sql",
            "sessions/invert.sql",
            "sessions/cut.sql",
            "sessions/filter.sql",
            "sessions/draw.sql",
            "sessions/sample.sql",
            "sessions/select_labelled.sql",
            "sessions/count_steps.sql",
        ),
    output:
        labelled="<results>/labelled/dataset={dataset}/part={part}/labelled.parquet",
        counts="<results>/labelled/dataset={dataset}/part={part}/counts.json",
    log:
        "<logs>/label_sessions/dataset={dataset}/part={part}.log",
    benchmark:
        "<benchmarks>/label_sessions/dataset={dataset}/part={part}.jsonl"
    conda:
        "../../envs/skipwise.yaml"
    threads: lookup(dpath="threads/data", within=config)
    resources:
        mem=by_attempt(2, "GB"),
        runtime=by_attempt(60),
    params:
        skip_rule=registry_value("skip_rule"),
        session_gap=registry_value("session_gap"),
        sessions=lookup(dpath="sessions", within=config),
        keep_share=registry_value("keep_share"),
    message:
        "Labelling the sessions of {wildcards.dataset}, part {wildcards.part}"
    script:
        "../scripts/label_sessions.py"


rule sample_sessions:
    """Sampled sessions with skip labels and dense track ids, and what every step left."""
    input:
        labelled=parts("<results>/labelled/dataset={dataset}/part={part}/labelled.parquet"),
        counts=parts("<results>/labelled/dataset={dataset}/part={part}/counts.json"),
        sources=shards("<results>/events/dataset={dataset}/shard={shard}/source.json"),
        code=code(
            "sessions/__init__.py",
            "sessions/list_drawn.sql",
            "sessions/sample.sql",
            "sessions/count_tracks.sql",
            "sessions/select_sessions.sql",
            "sessions/count_sampled.sql",
        ),
    output:
        sessions="<results>/sessions/dataset={dataset}/sessions.parquet",
        tracks="<results>/sessions/dataset={dataset}/tracks.parquet",
        session_keys="<results>/sessions/dataset={dataset}/keys.parquet",
        stats="<results>/sessions/dataset={dataset}/stats.json",
    log:
        "<logs>/sample_sessions/dataset={dataset}.log",
    benchmark:
        "<benchmarks>/sample_sessions/dataset={dataset}.jsonl"
    conda:
        "../../envs/skipwise.yaml"
    threads: lookup(dpath="threads/data", within=config)
    resources:
        mem=by_attempt(2, "GB"),
        runtime=by_attempt(60),
    params:
        skip_rule=registry_value("skip_rule"),
        session_gap=registry_value("session_gap"),
        sessions=lookup(dpath="sessions", within=config),
        keep_share=registry_value("keep_share"),
    message:
        "Sampling the sessions of {wildcards.dataset}"
    script:
        "../scripts/sample_sessions.py"


rule make_lfm_skip_rules_table:
    """What every rule that derives skips from time makes of the data sets that need one."""
    input:
        gaps=parts_of(derived(), "<results>/gaps/dataset={dataset}/part={part}/gaps.parquet"),
        gap_sessions=parts_of(derived(), "<results>/gaps/dataset={dataset}/part={part}/gap_sessions.parquet"),
        code=code(
            "skip_rules.py",
            *PAGE,
            "tables.py",
            "sessions/measure_tracks.sql",
            "sessions/compare_skip_rules.sql",
        ),
    output:
        **table("lfm_skip_rules"),
    log:
        "<logs>/make_lfm_skip_rules_table.log",
    benchmark:
        "<benchmarks>/make_lfm_skip_rules_table.jsonl"
    conda:
        "../../envs/skipwise.yaml"
    threads: lookup(dpath="threads/data", within=config)
    resources:
        mem=by_attempt(2, "GB"),
        runtime=by_attempt(60),
    params:
        rules=lookup(dpath="lfm_skip_rules/rules", within=config),
        registry=lookup(dpath="registry", within=config),
    message:
        "Making the table lfm_skip_rules"
    script:
        "../scripts/make_lfm_skip_rules_table.py"


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
        mem=by_attempt(4, "GB"),
        runtime=by_attempt(30),
    params:
        shares=lookup(dpath="temporal_split", within=config),
    message:
        "Splitting {wildcards.dataset}: {wildcards.split}"
    script:
        "../scripts/split_sessions.py"


SPLIT_CODE = {split: code(f"sessions/split_{split}.sql") for split in ("paper", "temporal", "authors_code")}
