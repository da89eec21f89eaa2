"""The files by which others install, cite and find the project agree with each other."""

import re
import tomllib

import pytest
import yaml
from examples import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def read_yaml(name: str) -> dict:
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


def pins(name: str) -> dict[str, str]:
    """By normalised name the version of every requirement of a file, all of them exact."""
    lines = (ROOT / "envs" / name).read_text(encoding="utf-8").splitlines()
    found = [line.split("#")[0].strip() for line in lines]
    pairs = [line.split("==") for line in found if line]
    return {re.sub(r"[-_.]+", "-", package).lower(): version for package, version in pairs}


@pytest.mark.parametrize(
    ("wanted", "locked"),
    [
        ("requirements.in", ("requirements.txt",)),
        ("requirements-test.in", ("requirements.txt", "requirements-test.txt")),
    ],
)
def test_the_lock_has_what_is_required(wanted, locked):
    versions: dict[str, str] = {}
    for name in locked:
        versions |= pins(name)
    required = pins(wanted)
    assert required
    assert {package: versions.get(package) for package in required} == required


def test_conda_installs_the_lock_and_a_python_that_is_allowed():
    environment = read_yaml("envs/skipwise.yaml")
    *others, (_, of_pip) = [
        next(iter(entry.items())) if isinstance(entry, dict) else (entry, None)
        for entry in environment["dependencies"]
    ]
    assert of_pip == ["-r requirements.txt"]
    assert (ROOT / "envs/requirements.txt").is_file()
    python, pip = (name for name, _ in others)
    assert pip == "pip"
    least = PROJECT["requires-python"].removeprefix(">=")
    found = python.removeprefix("python=")
    assert tuple(map(int, found.split("."))) >= tuple(map(int, least.split(".")))


def test_the_citation_is_of_this_version_and_of_both_papers():
    citation = read_yaml("CITATION.cff")
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
    assert citation["title"] == PROJECT["name"]
    assert citation["version"] == PROJECT["version"]
    assert citation["license"] == PROJECT["license"]
    printed = (ROOT / "resources/paper_results.csv").read_text(encoding="utf-8")
    for reference in citation["references"]:
        assert f"arXiv {reference['url'].rpartition('/')[2]}" in printed
    assert len(citation["references"]) == 2


def test_the_catalogue_is_told_what_works():
    usage = read_yaml(".snakemake-workflow-catalog.yml")["usage"]
    software = usage["software-stack-deployment"]
    # As many rules name a conda file as run a script; no rule names a container.
    rules = "".join(
        path.read_text(encoding="utf-8") for path in sorted((ROOT / "workflow/rules").glob("*.smk"))
    )
    assert software["conda"] == (rules.count("    conda:\n") == rules.count("    script:\n") > 0)
    assert software["apptainer"] == software["apptainer+conda"] == ("container:" in rules)
    assert usage["report"] == ("report(" in rules)
    assert usage["mandatory-flags"]["flags"] == ""


def test_every_line_of_the_slurm_profile_that_a_site_sets_says_so():
    """Jobs, waiting, partition, account and resources per rule; array jobs stay off."""
    lines = (ROOT / "profiles/slurm/profile.yaml").read_text(encoding="utf-8").splitlines()
    for key in ("jobs", "latency-wait", "slurm_partition", "slurm_account", "set-resources"):
        (at,) = [i for i, line in enumerate(lines) if re.match(rf"(  )?(# )?{key}:", line)]
        assert lines[at - 1].lstrip(" #").startswith("site: "), key
    assert not [key for key in read_yaml("profiles/slurm/profile.yaml") if "array" in key]
