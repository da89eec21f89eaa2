"""skipwise as a module of another workflow."""

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
