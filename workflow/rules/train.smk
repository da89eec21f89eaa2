# Training: one job a data set, split, model, variant and seed.

# What defines the numbers of a model, beside its own file.
FAMILY_CODE = {
    "baseline": ["models/popularity.py"],
    "factorization": [],
    "neural": [
        "evaluation.py",
        "losses.py",
        "metrics.py",
        "models/neural.py",
        "models/transformer.py",
        "optim.py",
        "ranking.py",
        "sampling.py",
        "training.py",
    ],
}
MODEL_CODE = {
    model: code(
        f"models/{checked.module_name(model)}.py",
        "models/base.py",
        "sequences.py",
        "runs.py",
        *FAMILY_CODE[config["model_registry"][model]["family"]],
    )
    for model in own_models()
}


rule train_model:
    """Fit one model on one split."""
    input:
        train="<results>/splits/dataset={dataset}/split={split}/train.parquet",
        valid="<results>/splits/dataset={dataset}/split={split}/valid.parquet",
        tracks="<results>/sessions/dataset={dataset}/tracks.parquet",
        code=lambda wildcards: MODEL_CODE[wildcards.model],
    output:
        weights=f"<results>/models/{RUN}/model.safetensors",
        history=f"<results>/models/{RUN}/history.parquet",
        run=f"<results>/models/{RUN}/run.json",
    log:
        f"<logs>/train_model/{RUN}.log",
    benchmark:
        f"<benchmarks>/train_model/{RUN}.jsonl"
    wildcard_constraints:
        model=regex_of(own_models()),
    conda:
        "../../envs/skipwise.yaml"
    threads: lookup(dpath="threads/train", within=config)
    resources:
        mem=memory_of_catalogue,
        # The same at every attempt: the next one goes on where this one ended.
        runtime=720,
        gpu=gpus_of_run,
    params:
        settings=settings,
    message:
        "Training {wildcards.model} {wildcards.variant} on {wildcards.dataset}, seed {wildcards.seed}"
    script:
        "../scripts/train_model.py"
