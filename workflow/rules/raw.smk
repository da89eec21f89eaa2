# Raw data: simulated or downloaded, then read into events, a shard a job.


rule simulate_raw:
    """Write a raw file of simulated listeners in an official form."""
    input:
        code=code("datasets/simulate.py"),
    output:
        "<resources>/raw/{dataset}/{file}",
    log:
        "<logs>/simulate_raw/dataset={dataset}/{file}.log",
    benchmark:
        "<benchmarks>/simulate_raw/dataset={dataset}/{file}.jsonl"
    wildcard_constraints:
        dataset=regex_of(simulated()),
        file="[^/]+",
    conda:
        "../../envs/skipwise.yaml"
    threads: 1
    resources:
        mem=by_attempt(2, "GB"),
        runtime=by_attempt(30),
    params:
        form=registry_value("form"),
        simulation=registry_value("simulation"),
    message:
        "Simulating {wildcards.dataset}: {wildcards.file}"
    script:
        "../scripts/simulate_raw.py"


# The script checks the checksum, so that it can say which address gave what, and try the next one.
rule retrieve_raw:
    """Download a raw file, resumed where it broke, from the second address where the first fails."""
    output:
        ensure("<resources>/raw/{dataset}/{file}", non_empty=True),
    log:
        "<logs>/retrieve_raw/dataset={dataset}/{file}.log",
    benchmark:
        "<benchmarks>/retrieve_raw/dataset={dataset}/{file}.jsonl"
    wildcard_constraints:
        dataset=regex_of(downloadable()),
        file="[^/]+",
    localrule: True
    conda:
        "../../envs/skipwise.yaml"
    threads: 1
    resources:
        mem=by_attempt(500, "MB"),
        runtime=by_attempt(240),
    params:
        urls=lambda wildcards: file_entry(wildcards)["urls"],
        checksums=checksums,
    message:
        "Downloading {wildcards.file} of {wildcards.dataset}"
    script:
        "../scripts/retrieve_raw.py"


rule extract_events:
    """Read one raw file as a stream: one row a play, as the raw data has it."""
    input:
        raw=raw_file,
        code=code("datasets/*.py", "draws.py"),
    output:
        events="<results>/events/dataset={dataset}/shard={shard}/events.parquet",
        rejected="<results>/events/dataset={dataset}/shard={shard}/rejected.parquet",
        source="<results>/events/dataset={dataset}/shard={shard}/source.json",
    log:
        "<logs>/extract_events/dataset={dataset}/shard={shard}.log",
    benchmark:
        "<benchmarks>/extract_events/dataset={dataset}/shard={shard}.jsonl"
    conda:
        "../../envs/skipwise.yaml"
    threads: lookup(dpath="threads/data", within=config)
    resources:
        mem=by_attempt(2, "GB"),
        runtime=by_attempt(240),
    params:
        entry=raw_entry,
        tolerance=lookup(dpath="raw/tolerance", within=config),
    message:
        "Reading {input.raw}"
    script:
        "../scripts/extract_events.py"
