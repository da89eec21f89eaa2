"""Where numbers come from: revision, versions, processor, seeds, checksums (``run.json``,
``provenance.json``).
"""

import hashlib
import json
import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from skipwise.core.artifacts import read_json, write_json
from skipwise.core.paths import hive_keys

# The packages that compute.
PACKAGES = (
    "duckdb",
    "implicit",
    "numpy",
    "polars",
    "pyarrow",
    "scipy",
    "scikit-learn",
    "snakemake",
    "torch",
)
PROJECT = Path(__file__).parents[4]


def environment() -> dict:
    """What a job runs on: git revision, versions and processor."""
    return {
        "git": git_state(PROJECT),
        "versions": {name: _version(name) for name in PACKAGES},
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cpu": cpu_model(),
    }


def git_state(folder: Path) -> dict:
    """``revision``, and ``dirty`` where a file is changed or new; both None where git does not know
    the folder.
    """
    revision, changed = (
        _git(folder, "rev-parse", "HEAD"),
        _git(folder, "status", "--porcelain", "--", "."),
    )
    # The revision of a repository around this folder says nothing of a copy that is not in it.
    if revision is None or changed is None or not _git(folder, "ls-files", "Snakefile"):
        return {"revision": None, "dirty": None}
    return {"revision": revision, "dirty": bool(changed)}


def _git(folder: Path, *command: str) -> str | None:
    """What git prints, None where it cannot."""
    # Jobs run side by side: none may lock the index to refresh it.
    settings = os.environ | {"GIT_OPTIONAL_LOCKS": "0"}
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *command],
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
            env=settings,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def cpu_model(listed: Path = Path("/proc/cpuinfo")) -> str | None:
    """The name of the processor, None if the system does not say."""
    if listed.exists():
        for line in listed.read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or None


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def record_provenance(
    run_files: list[str], stats_files: list[str], out: str | Path, *, config: dict
) -> None:
    """Write ``provenance.json``: the configuration and its hash, the raw files, and what every
    model was trained on.

    ``run_files`` are the ``run.json`` of the models and ``stats_files`` the ``stats.json`` of the
    data sets, with their keys in the path.  Models of the same environment stand together, so there
    is one entry where nothing has changed between them.
    """
    trained: dict[str, dict] = {}
    seeds: dict[str, set[int]] = {}
    for path in run_files:
        run = read_json(path)
        seeds.setdefault(hive_keys(path)["dataset"], set()).add(run["seed"])
        entry = {
            name: run[name] for name in ("git", "versions", "python", "machine", "cpu", "threads")
        }
        group = trained.setdefault(json.dumps(entry, sort_keys=True), entry | {"runs": []})
        group["runs"].append(hive_keys(path) | {"data": run["data"]})
    write_json(
        {
            "config": config,
            "config_sha256": config_hash(config),
            "seeds": {
                "training": {dataset: sorted(used) for dataset, used in seeds.items()},
                "sessions": config["sessions"]["sampling_seed"],
                "candidates": config["candidates"]["seed"],
                "intervals": config["intervals"]["seed"],
            },
            "raw": {hive_keys(path)["dataset"]: read_json(path)["sources"] for path in stats_files},
            "trained": list(trained.values()),
            "recorded": environment(),
        },
        out,
    )


def config_hash(config: dict) -> str:
    """SHA-256 of the configuration as json with sorted keys: the same in whatever order keys and
    overlays were given.
    """
    return hashlib.sha256(
        json.dumps(config, sort_keys=True, ensure_ascii=False).encode()
    ).hexdigest()
