# Tables and figures: each is one file in skipwise/report that declares what it needs.


rule make_table:
    """One table as csv, parquet, html and tex."""
    input:
        unpack(needed("table")),
        code=code("report.write", table="table"),
    output:
        csv=result("table").replace("{format}", "csv"),
        parquet=result("table").replace("{format}", "parquet"),
        html=in_report(result("table").replace("{format}", "html"), "table"),
        tex=result("table").replace("{format}", "tex"),
    log:
        "<logs>/make_table/{table}.log",
    benchmark:
        "<benchmarks>/make_table/{table}.jsonl"
    conda:
        "../../envs/skipwise.yaml"
    threads: cores("table")
    resources:
        mem=gigabytes("table"),
        runtime=minutes("table"),
    params:
        settings=settings_needed("table"),
        caption=caption("table"),
    message:
        "Making the table {wildcards.table}"
    script:
        "../scripts/make_table.py"


rule plot_figure:
    """One figure as svg, and the numbers it draws as parquet."""
    input:
        unpack(needed("figure")),
        code=code("report.drawing", figure="figure"),
    output:
        svg=in_report(result("figure").replace("{format}", "svg"), "figure"),
        parquet=result("figure").replace("{format}", "parquet"),
    log:
        "<logs>/plot_figure/{figure}.log",
    benchmark:
        "<benchmarks>/plot_figure/{figure}.jsonl"
    conda:
        "../../envs/skipwise.yaml"
    threads: cores("figure")
    resources:
        mem=gigabytes("figure"),
        runtime=minutes("figure"),
    params:
        settings=settings_needed("figure"),
        caption=caption("figure"),
    message:
        "Plotting the figure {wildcards.figure}"
    script:
        "../scripts/plot_figure.py"


# What changes without the configuration, such as the git revision, is no input: it must re-run nothing.
rule record_provenance:
    """The sources of the numbers: configuration, raw checksums, seeds, and the data of every model."""
    input:
        runs=each_run("run", own_models()),
        stats=each_split("stats"),
        code=code("core.provenance"),
    output:
        result("provenance"),
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
        "Recording the sources of the numbers"
    script:
        "../scripts/record_provenance.py"
