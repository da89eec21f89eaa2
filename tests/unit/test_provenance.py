"""What run.json and provenance.json say of where numbers come from."""

import shutil
import subprocess
from importlib.metadata import version

import pytest
from skipwise.core import provenance
from skipwise.core.artifacts import read_json, write_json

CONFIG = {
    "datasets": ["toy"],
    "sessions": {"sampling_seed": 3},
    "candidates": {"seed": 4},
    "intervals": {"seed": 5},
}


def git(folder, *command: str) -> str:
    who = ["-c", "user.name=a", "-c", "user.email=a@b"]
    return subprocess.run(
        ["git", "-C", folder, *who, *command], capture_output=True, text=True, check=True
    ).stdout.strip()


@pytest.fixture
def checkout(tmp_path):
    folder = tmp_path / "checkout"
    folder.mkdir()
    git(folder, "init", "--quiet")
    (folder / "Snakefile").write_text("rule all:\n")
    (folder / ".gitignore").write_text("results/\ncopy/\n")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "first")
    return folder


def test_a_clean_checkout_has_a_revision_and_is_not_dirty(checkout):
    (checkout / "results").mkdir()
    (checkout / "results/table.csv").touch()  # ignored
    assert provenance.git_state(checkout) == {
        "revision": git(checkout, "rev-parse", "HEAD"),
        "dirty": False,
    }


@pytest.mark.parametrize("name", ["Snakefile", "new_model.py"])
def test_a_changed_or_new_file_makes_it_dirty(checkout, name):
    (checkout / name).write_text("changed")
    assert provenance.git_state(checkout)["dirty"] is True


def test_a_folder_without_git_and_a_machine_without_git_have_none(checkout, tmp_path, monkeypatch):
    nothing = {"revision": None, "dirty": None}
    shutil.copytree(checkout, tmp_path / "copy", ignore=shutil.ignore_patterns(".git"))
    assert provenance.git_state(tmp_path / "copy") == nothing
    # A copy that the repository around it ignores does not have its revision.
    shutil.copytree(tmp_path / "copy", checkout / "copy")
    assert provenance.git_state(checkout / "copy") == nothing
    monkeypatch.setenv("PATH", str(tmp_path))
    assert provenance.git_state(checkout) == nothing


def test_the_processor_is_named(tmp_path):
    listed = tmp_path / "cpuinfo"
    listed.write_text("processor\t: 0\nmodel name\t: Fast One @ 3 GHz: new\nflags\t\t: fpu\n")
    assert provenance.cpu_model(listed) == "Fast One @ 3 GHz: new"


def test_versions_are_those_that_are_installed():
    assert provenance.environment()["versions"]["torch"] == version("torch")
    assert None not in provenance.environment()["versions"].values()


def test_the_hash_of_a_configuration_is_of_its_values_and_not_of_their_order():
    turned = dict(reversed(CONFIG.items()))
    assert provenance.config_hash(turned) == provenance.config_hash(CONFIG)
    assert provenance.config_hash(CONFIG | {"candidates": {"seed": 5}}) != provenance.config_hash(
        CONFIG
    )


def test_runs_of_one_environment_stand_together(tmp_path):
    environment, files = provenance.environment() | {"threads": 1}, []
    for seed, revision in ((1, "a"), (2, "b"), (3, "a")):
        files.append(
            tmp_path / f"dataset=toy/split=paper/model=sasrec/variant=orig/seed={seed}/run.json"
        )
        git_state = {"revision": revision, "dirty": False}
        write_json(
            environment | {"git": git_state, "seed": seed, "data": {"train": "0" * 64}}, files[-1]
        )
    stats = tmp_path / "dataset=toy/stats.json"
    write_json({"sources": [{"file": "plays.csv", "sha256": "1" * 64}], "counts": {}}, stats)
    provenance.record_provenance(files, [stats], tmp_path / "provenance.json", config=CONFIG)
    found = read_json(tmp_path / "provenance.json")
    assert found["config"] == CONFIG
    assert found["config_sha256"] == provenance.config_hash(CONFIG)
    assert found["seeds"] == {
        "training": {"toy": [1, 2, 3]},
        "sessions": 3,
        "candidates": 4,
        "intervals": 5,
    }
    assert found["raw"] == {"toy": [{"file": "plays.csv", "sha256": "1" * 64}]}
    by_revision = {
        group["git"]["revision"]: [run["seed"] for run in group["runs"]]
        for group in found["trained"]
    }
    assert by_revision == {"a": ["1", "3"], "b": ["2"]}
