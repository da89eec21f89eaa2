# Tables and figures.


rule make_hr_ndcg_table:
    """All models of all data sets: HR, NDCG and MAP with intervals."""
    input:
        ranks=each_run(f"<results>/ranks/{RUN}/ranks.parquet"),
        metrics=each_run(f"<results>/metrics/{RUN}/metrics.parquet"),
        code=code("tables.py", "bootstrap.py", "metrics.py"),
    output:
        **table("hr_ndcg"),
    log:
        "<logs>/make_hr_ndcg_table.log",
    benchmark:
        "<benchmarks>/make_hr_ndcg_table.jsonl"
    conda:
        "../../envs/skipwise.yaml"
    threads: 1
    resources:
        mem="2GB",
        runtime=30,
    params:
        simulated=simulated(),
        cutoffs=lookup(dpath="metrics", within=config),
        intervals=lookup(dpath="intervals", within=config),
    message:
        "Making the table hr_ndcg"
    script:
        "../scripts/make_hr_ndcg_table.py"


rule make_datasets_table:
    """What every data set holds and what the filters left."""
    input:
        stats=expand(
            "<results>/sessions/dataset={dataset}/stats.json",
            dataset=config["datasets"],
        ),
        splits=expand(
            "<results>/splits/dataset={dataset}/split={split}/split.json",
            dataset=config["datasets"],
            split=config["splits"],
        ),
        code=code("tables.py"),
    output:
        **table("datasets"),
    log:
        "<logs>/make_datasets_table.log",
    benchmark:
        "<benchmarks>/make_datasets_table.jsonl"
    conda:
        "../../envs/skipwise.yaml"
    threads: 1
    resources:
        mem="1GB",
        runtime=10,
    params:
        registry=lookup(dpath="registry", within=config),
    message:
        "Making the table datasets"
    script:
        "../scripts/make_datasets_table.py"


rule plot_hit_rates:
    """HR@k by model and variant with intervals."""
    input:
        table="<results>/tables/hr_ndcg.parquet",
        code=code("plots.py"),
    output:
        report(
            "<results>/figures/hit_rates.svg",
            caption="../report/hit_rates.rst",
            category="Figures",
        ),
    log:
        "<logs>/plot_hit_rates.log",
    benchmark:
        "<benchmarks>/plot_hit_rates.jsonl"
    conda:
        "../../envs/skipwise.yaml"
    threads: 1
    resources:
        mem="1GB",
        runtime=10,
    message:
        "Plotting hit rates"
    script:
        "../scripts/plot_hit_rates.py"
