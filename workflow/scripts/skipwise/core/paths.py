"""The grammar of the paths, written here and nowhere else: stage, keys as ``key=value``, file.

``results/ranks/dataset=mssd/split=paper/model=sasrec/variant=orig/seed=1/ranks.parquet``: one
DuckDB glob over a stage then returns the keys as columns.  Rules, readers and commands take paths
from here.
"""

import re
from collections.abc import Iterable
from pathlib import Path

from skipwise.core.errors import UserError

DATASET = "dataset={dataset}"
SHARD = f"{DATASET}/shard={{shard}}"
PART = f"{DATASET}/part={{part}}"
SPLIT = f"{DATASET}/split={{split}}"
VARIANT = f"{SPLIT}/model={{model}}/variant={{variant}}"
RUN = f"{VARIANT}/seed={{seed}}"

# Where each artifact lies in the folder of the results.
RESULTS = {
    "events": f"events/{SHARD}/events.parquet",
    "rejected": f"events/{SHARD}/rejected.parquet",
    "source": f"events/{SHARD}/source.json",
    "gaps": f"gaps/{PART}/gaps.parquet",
    "gap_sessions": f"gaps/{PART}/gap_sessions.parquet",
    "lengths": f"lengths/{DATASET}/lengths.parquet",
    "labelled": f"labelled/{PART}/labelled.parquet",
    "counts": f"labelled/{PART}/counts.json",
    "sessions": f"sessions/{DATASET}/sessions.parquet",
    "tracks": f"sessions/{DATASET}/tracks.parquet",
    "keys": f"sessions/{DATASET}/keys.parquet",
    "stats": f"sessions/{DATASET}/stats.json",
    "train": f"splits/{SPLIT}/train.parquet",
    "valid": f"splits/{SPLIT}/valid.parquet",
    "test": f"splits/{SPLIT}/test.parquet",
    "split": f"splits/{SPLIT}/split.json",
    "weights": f"models/{RUN}/model.safetensors",
    "history": f"models/{RUN}/history.parquet",
    "run": f"models/{RUN}/run.json",
    "checkpoint": f"checkpoints/{RUN.replace('/', ',')}.safetensors",
    "finished": f"checkpoints/{RUN.replace('/', ',')}",
    "ranks": f"ranks/{RUN}/ranks.parquet",
    "cosines": f"cosines/{RUN}/cosines.parquet",
    "released": f"released/{RUN}/released.parquet",
    "responses": f"responses/{RUN}/responses.parquet",
    "metrics": f"metrics/{RUN}/metrics.parquet",
    "truth": f"truth/{SPLIT}/truth.parquet",
    "trials": f"tuning/{VARIANT}/trials.parquet",
    "best": f"tuning/{VARIANT}/best.json",
    "tuned": "tuning/{dataset}.yaml",
    "journal": f"checkpoints/{VARIANT.replace('/', ',')}.journal",
    "trial_checkpoint": f"checkpoints/{VARIANT.replace('/', ',')},trial.safetensors",
    "table": "tables/{table}.{format}",
    "figure": "figures/{figure}.{format}",
    "provenance": "provenance.json",
    "config": "config.yaml",
}
RAW = "raw/{dataset}/{file}"  # in the folder of the resources

VariantKey = tuple[str, str, str, str]  # data set, split, model, variant

_KEY = re.compile(r"(\w+)=([^/]+)")


def result(artifact: str, results: str | Path, **keys: object) -> Path:
    """The path of an artifact below the folder ``results``; ``keys`` must hold every key of it."""
    return Path(results, RESULTS[artifact].format(**keys))


def hive_keys(path: str | Path) -> dict[str, str]:
    """The keys in a path: ``…/dataset=a/split=b/x.parquet`` gives ``{"dataset": "a", "split":
    "b"}``.
    """
    return dict(_KEY.findall(str(path)))


def variant_key(path: str | Path) -> VariantKey:
    """Data set, split, model and variant of a file of a run or of a search."""
    keys = hive_keys(path)
    return keys["dataset"], keys["split"], keys["model"], keys["variant"]


def by_variant(paths: Iterable[str]) -> dict[VariantKey, list[str]]:
    """The files of the runs of each variant, one a seed, in the order of ``paths``."""
    found: dict[VariantKey, list[str]] = {}
    for path in paths:
        found.setdefault(variant_key(path), []).append(path)
    return found


def beside(path: str | Path, artifact: str) -> Path | None:
    """The path of another artifact with the keys of ``path``; None for a path without keys."""
    for folder in Path(path).absolute().parents:
        if folder.name.startswith("dataset="):
            return result(artifact, folder.parents[1], **hive_keys(Path(path).absolute()))
    return None


def tracks_beside(path: str | Path) -> Path:
    """The ``tracks.parquet`` of the data set that a path below the results belongs to.

    Raises UserError if it is not where the workflow puts it.
    """
    tracks = beside(Path(path).resolve(), "tracks")
    if tracks and tracks.is_file():
        return tracks
    raise UserError(
        f"the tracks.parquet that belongs to {path} is not where the workflow puts it; "
        "name it with --tracks"
    )


def found(artifact: str, results: str | Path, **keys: str) -> list[Path]:
    """The files of an artifact that exist below ``results``, in order; a key that is not given may
    be anything.
    """
    pattern = re.sub(r"\{(\w+)\}", lambda key: keys.get(key[1], "*"), RESULTS[artifact])
    return sorted(Path(results).glob(pattern))
