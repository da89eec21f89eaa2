"""The law of the house: a module imports rooms on lower floors and its own, and nothing circles."""

import subprocess
import sys
from graphlib import TopologicalSorter

import pytest
from examples import ROOT
from skipwise.core.imports import modules
from skipwise.core.registry import LIBRARY

FLOORS = {"core": 0, "sessions": 1, "raw": 2, "recommender": 2, "simulation": 3, "ranking": 3}
FLOORS |= {"training": 4, "models": 5, "evaluation": 6, "report": 7, "commands": 8, "library": 9}
FLOORS |= {"__main__": 10}
MODULES = [path for path in sorted(LIBRARY.rglob("*.py")) if path != LIBRARY / "__init__.py"]
AT_START = """
import sys
from skipwise.core import config, imports, paths, registry
from skipwise.training import memory
print({"torch", "pandas", "scipy", "sklearn"} & {*sys.modules})
"""


def room(path):
    return path.relative_to(LIBRARY).with_suffix("").parts[0]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(LIBRARY)))
def test_a_module_imports_lower_floors_and_its_own_room(path):
    others = {found for found in modules(path) if room(found) != room(path)}
    assert {found for found in others if FLOORS[room(found)] >= FLOORS[room(path)]} == set()


def test_no_import_circles():
    TopologicalSorter({path: modules(path) for path in MODULES}).prepare()  # CycleError names them


def test_what_snakemake_reads_at_every_start_is_light():
    command = [sys.executable, "-c", AT_START]
    done = subprocess.run(command, cwd=ROOT / "workflow/scripts", capture_output=True, text=True)
    assert done.stdout == "set()\n", done.stderr
