# Raw data: simulated or downloaded, then read into events, one job per shard.


rule simulate_raw:
    """Write a raw file of simulated listeners in an official form."""
    input:
        code=code("simulation.writers", world=world_of),
    output:
        f"<resources>/{RAW}",
    log:
        f"<logs>/simulate_raw/{DATASET}/{{file}}.log",
    benchmark:
        f"<benchmarks>/simulate_raw/{DATASET}/{{file}}.jsonl"
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
    """Download a raw file: resume a broken download, and try the second address if the first fails."""
    output:
        # Updated: a file that a user has put there is not removed before the download has ended.
        ensure(update(f"<resources>/{RAW}"), non_empty=True),
    log:
        f"<logs>/retrieve_raw/{DATASET}/{{file}}.log",
    benchmark:
        f"<benchmarks>/retrieve_raw/{DATASET}/{{file}}.jsonl"
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
    """Read one raw file as a stream: one row per play, as the raw data has it."""
    input:
        raw=raw_file,
        code=code("raw.extract", raw_form=form_of),
    output:
        events=result("events"),
        rejected=result("rejected"),
        source=result("source"),
    log:
        f"<logs>/extract_events/{SHARD}.log",
    benchmark:
        f"<benchmarks>/extract_events/{SHARD}.jsonl"
    conda:
        "../../envs/skipwise.yaml"
    threads: lookup(dpath="threads/data", within=config)
    resources:
        mem=by_attempt(2, "GB"),
        runtime=by_attempt(240),
    params:
        entry=raw_entry,
        tolerance=lookup(dpath="raw/tolerance", within=config),
        stamp=stamp,
        checksums=checksums_of_download,
    message:
        "Reading {input.raw}"
    script:
        "../scripts/extract_events.py"
