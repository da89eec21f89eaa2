# Tables and figures.


rule make_hr_ndcg_table:
    """All models of all data sets: HR, NDCG and MAP with intervals."""
    input:
        ranks=each_run(f"<results>/ranks/{RUN}/ranks.parquet"),
        metrics=each_run(f"<results>/metrics/{RUN}/metrics.parquet"),
        code=code(*PAGE, "tables.py", "bootstrap.py", "metrics.py"),
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
        mem=by_attempt(2, "GB"),
        runtime=by_attempt(30),
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
        code=code(*PAGE, "tables.py"),
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
        mem=by_attempt(1, "GB"),
        runtime=by_attempt(10),
    params:
        registry=lookup(dpath="registry", within=config),
    message:
        "Making the table datasets"
    script:
        "../scripts/make_datasets_table.py"


rule make_murs23_context_table:
    """P1's table: uni- or bidirectional, without skips and with them."""
    input:
        ranks=each_run(f"<results>/ranks/{RUN}/ranks.parquet"),
        code=code(
            "bootstrap.py",
            "columns.py",
            "comparison_tables.py",
            "comparisons.py",
            "metrics.py",
            *PAGE,
            "tables.py",
        ),
    output:
        **table("murs23_context"),
    log:
        "<logs>/make_murs23_context_table.log",
    benchmark:
        "<benchmarks>/make_murs23_context_table.jsonl"
    conda:
        "../../envs/skipwise.yaml"
    threads: 1
    resources:
        mem=by_attempt(4, "GB"),
        runtime=by_attempt(60),
    params:
        simulated=simulated(),
        intervals=lookup(dpath="intervals", within=config),
        papers=lookup(dpath="papers", within=config),
    message:
        "Making the table murs23_context"
    script:
        "../scripts/make_murs23_context_table.py"


rule make_recsys24_main_table:
    """P2's table: what skips bring to each model."""
    input:
        ranks=each_run(f"<results>/ranks/{RUN}/ranks.parquet"),
        code=code(
            "bootstrap.py",
            "columns.py",
            "comparison_tables.py",
            "comparisons.py",
            "metrics.py",
            *PAGE,
            "tables.py",
        ),
    output:
        **table("recsys24_main"),
    log:
        "<logs>/make_recsys24_main_table.log",
    benchmark:
        "<benchmarks>/make_recsys24_main_table.jsonl"
    conda:
        "../../envs/skipwise.yaml"
    threads: 1
    resources:
        mem=by_attempt(4, "GB"),
        runtime=by_attempt(60),
    params:
        simulated=simulated(),
        intervals=lookup(dpath="intervals", within=config),
    message:
        "Making the table recsys24_main"
    script:
        "../scripts/make_recsys24_main_table.py"


rule make_skip_downranking_table:
    """Whether skipped tracks sink."""
    input:
        ranks=each_run(f"<results>/ranks/{RUN}/ranks.parquet", neural_models()),
        code=code(
            "bootstrap.py",
            "columns.py",
            "comparison_tables.py",
            "comparisons.py",
            "metrics.py",
            *PAGE,
            "tables.py",
        ),
    output:
        **table("skip_downranking"),
    log:
        "<logs>/make_skip_downranking_table.log",
    benchmark:
        "<benchmarks>/make_skip_downranking_table.jsonl"
    conda:
        "../../envs/skipwise.yaml"
    threads: 1
    resources:
        mem=by_attempt(4, "GB"),
        runtime=by_attempt(60),
    params:
        simulated=simulated(),
        intervals=lookup(dpath="intervals", within=config),
        cutoffs=lookup(dpath="metrics", within=config),
    message:
        "Making the table skip_downranking"
    script:
        "../scripts/make_skip_downranking_table.py"


rule make_by_skip_share_table:
    """What skips bring by the share of skips in a session."""
    input:
        ranks=each_run(f"<results>/ranks/{RUN}/ranks.parquet", neural_models()),
        code=code(
            "bootstrap.py",
            "columns.py",
            "comparison_tables.py",
            "comparisons.py",
            "metrics.py",
            *PAGE,
            "tables.py",
        ),
    output:
        **table("by_skip_share"),
    log:
        "<logs>/make_by_skip_share_table.log",
    benchmark:
        "<benchmarks>/make_by_skip_share_table.jsonl"
    conda:
        "../../envs/skipwise.yaml"
    threads: 1
    resources:
        mem=by_attempt(4, "GB"),
        runtime=by_attempt(60),
    params:
        simulated=simulated(),
        intervals=lookup(dpath="intervals", within=config),
    message:
        "Making the table by_skip_share"
    script:
        "../scripts/make_by_skip_share_table.py"


rule make_paper_comparison_table:
    """What the papers print, and this run."""
    input:
        hr_ndcg="<results>/tables/hr_ndcg.parquet",
        recsys24="<results>/tables/recsys24_main.parquet",
        skip_downranking="<results>/tables/skip_downranking.parquet",
        papers="resources/paper_results.csv",
        code=code("columns.py", "comparison_tables.py", *PAGE, "tables.py"),
    output:
        **table("paper_comparison"),
    log:
        "<logs>/make_paper_comparison_table.log",
    benchmark:
        "<benchmarks>/make_paper_comparison_table.jsonl"
    conda:
        "../../envs/skipwise.yaml"
    threads: 1
    resources:
        mem=by_attempt(4, "GB"),
        runtime=by_attempt(60),
    params:
        forms=forms(),
    message:
        "Making the table paper_comparison"
    script:
        "../scripts/make_paper_comparison_table.py"


rule make_findings_table:
    """Which of the papers' claims hold here."""
    input:
        ranks=each_run(f"<results>/ranks/{RUN}/ranks.parquet"),
        papers="resources/paper_results.csv",
        code=code(
            "bootstrap.py", "columns.py", "comparisons.py", "findings.py", "metrics.py", *PAGE, "tables.py"
        ),
    output:
        **table("findings"),
    log:
        "<logs>/make_findings_table.log",
    benchmark:
        "<benchmarks>/make_findings_table.jsonl"
    conda:
        "../../envs/skipwise.yaml"
    threads: 1
    resources:
        mem=by_attempt(4, "GB"),
        runtime=by_attempt(60),
    params:
        simulated=simulated(),
        intervals=lookup(dpath="intervals", within=config),
        papers=lookup(dpath="papers", within=config),
        forms=forms(),
    message:
        "Making the table findings"
    script:
        "../scripts/make_findings_table.py"


rule plot_hit_rates:
    """HR@k by model and variant with intervals."""
    input:
        table="<results>/tables/hr_ndcg.parquet",
        code=code("columns.py", "figures.py", "plots.py"),
    output:
        **figure("hit_rates"),
    log:
        "<logs>/plot_hit_rates.log",
    benchmark:
        "<benchmarks>/plot_hit_rates.jsonl"
    conda:
        "../../envs/skipwise.yaml"
    threads: 1
    resources:
        mem=by_attempt(1, "GB"),
        runtime=by_attempt(10),
    message:
        "Plotting hit rates"
    script:
        "../scripts/plot_hit_rates.py"


rule plot_gain_by_skip_share:
    """What skips bring by the share of skips in a session."""
    input:
        table="<results>/tables/by_skip_share.parquet",
        code=code("columns.py", "figures.py", "plots.py"),
    output:
        **figure("gain_by_skip_share"),
    log:
        "<logs>/plot_gain_by_skip_share.log",
    benchmark:
        "<benchmarks>/plot_gain_by_skip_share.jsonl"
    conda:
        "../../envs/skipwise.yaml"
    threads: 1
    resources:
        mem=by_attempt(1, "GB"),
        runtime=by_attempt(10),
    message:
        "Plotting gain by skip share"
    script:
        "../scripts/plot_gain_by_skip_share.py"


rule plot_rank_distribution:
    """Ranks of targets and of unseen skips."""
    input:
        ranks=each_run(f"<results>/ranks/{RUN}/ranks.parquet", neural_models()),
        code=code("columns.py", "figures.py", "plots.py"),
    output:
        **figure("rank_distribution"),
    log:
        "<logs>/plot_rank_distribution.log",
    benchmark:
        "<benchmarks>/plot_rank_distribution.jsonl"
    conda:
        "../../envs/skipwise.yaml"
    threads: 1
    resources:
        mem=by_attempt(2, "GB"),
        runtime=by_attempt(30),
    params:
        simulated=simulated(),
    message:
        "Plotting rank distribution"
    script:
        "../scripts/plot_rank_distribution.py"


rule plot_learning_curves:
    """Validation NDCG@10 by epoch."""
    input:
        histories=each_run(f"<results>/models/{RUN}/history.parquet", neural_models()),
        code=code("columns.py", "figures.py", "plots.py"),
    output:
        **figure("learning_curves"),
    log:
        "<logs>/plot_learning_curves.log",
    benchmark:
        "<benchmarks>/plot_learning_curves.jsonl"
    conda:
        "../../envs/skipwise.yaml"
    threads: 1
    resources:
        mem=by_attempt(1, "GB"),
        runtime=by_attempt(10),
    params:
        simulated=simulated(),
    message:
        "Plotting learning curves"
    script:
        "../scripts/plot_learning_curves.py"


rule plot_query_cosines:
    """Cosines of queries with next-positives and skips, without the contrastive term and with it."""
    input:
        cosines=each_run(f"<results>/cosines/{RUN}/cosines.parquet", neural_models()),
        code=code("columns.py", "figures.py", "plots.py"),
    output:
        **figure("query_cosines"),
    log:
        "<logs>/plot_query_cosines.log",
    benchmark:
        "<benchmarks>/plot_query_cosines.jsonl"
    conda:
        "../../envs/skipwise.yaml"
    threads: 1
    resources:
        mem=by_attempt(2, "GB"),
        runtime=by_attempt(30),
    params:
        queries=queries(),
        simulated=simulated(),
    message:
        "Plotting query cosines"
    script:
        "../scripts/plot_query_cosines.py"


# What changes without the configuration, the git revision say, is no input: it must make nothing run again.
rule record_provenance:
    """Where the numbers come from: configuration, raw checksums, seeds, and what every model was trained on."""
    input:
        runs=each_run(f"<results>/models/{RUN}/run.json"),
        stats=expand(
            "<results>/sessions/dataset={dataset}/stats.json",
            dataset=config["datasets"],
        ),
        code=code("provenance.py"),
    output:
        "<results>/provenance.json",
    log:
        "<logs>/record_provenance.log",
    benchmark:
        "<benchmarks>/record_provenance.jsonl"
    localrule: True
    conda:
        "../../envs/skipwise.yaml"
    threads: 1
    resources:
        mem=by_attempt(1, "GB"),
        runtime=by_attempt(10),
    params:
        config=config,
    message:
        "Recording where the numbers come from"
    script:
        "../scripts/record_provenance.py"
