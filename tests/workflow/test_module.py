"""skipwise as a module of another workflow."""

import shutil
import subprocess
import sys

from conftest import TINY

OUTER = """
configfile: "{project}/config/config.yaml"
configfile: "{project}/config/datasets.yaml"
configfile: "{project}/{tiny}"


module skipwise:
    snakefile:
        "{project}/Snakefile"
    config:
        config


use rule * from skipwise


rule count:
    default_target: True
    input:
        "results/splits/dataset=mssd-sim/split=paper/split.json",
    output:
        "count.txt",
    shell:
        "grep -c headline {{input}} > {{output}}"
"""


def test_another_workflow_uses_it_as_a_module(project, tmp_path_factory):
    outer = tmp_path_factory.mktemp("outer")
    (outer / "Snakefile").write_text(
        OUTER.format(project=project.folder, tiny=TINY), encoding="utf-8"
    )
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--cores", "1"],
        cwd=outer,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert int((outer / "count.txt").read_text()) == 1
    assert not (project / "results").exists()


# What `snakedeploy deploy-workflow` writes into workflow/Snakefile, next to copies of config/ and
# profiles/.  snakedeploy itself is no requirement of the tests: it needs Python below 3.13.
DEPLOYED = """
from snakemake.utils import min_version


min_version("6.10.0")


configfile: "config/config.yaml"


module skipwise:
    snakefile:
        "{project}/Snakefile"
    config:
        config


use rule * from skipwise
"""


def test_it_runs_as_snakedeploy_deploys_it_from_a_clone(project, tmp_path):
    deployed = tmp_path / "deployed"
    for folder in ("config", "profiles"):
        shutil.copytree(project / folder, deployed / folder)
    (deployed / "workflow").mkdir()
    (deployed / "workflow/Snakefile").write_text(
        DEPLOYED.format(project=project.folder), encoding="utf-8"
    )
    target = "results/splits/dataset=mssd-sim/split=paper/split.json"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "snakemake", "--cores", "1", "--dry-run", target),
            *("--configfile", str(project / TINY)),
        ],
        cwd=deployed,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "Simulating mssd-sim" in done.stdout
