"""Garbage is looked for rarely in our own processes, and left alone at their end."""

import gc
import subprocess
import sys

import pytest
from examples import ROOT

# Registered before what freezes, hence called after it.
PRINTED = """
import atexit, gc, sys
atexit.register(lambda: print(gc.get_threshold()[0], gc.get_freeze_count() > 0))
"""
RULE = """
from skipwise.core.log import rule_log
with rule_log(sys.argv[1], "rule"):
"""
COMMAND = """
from skipwise.commands.cli import main
sys.argv[1:] = ["--help"]
main()
"""


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (RULE + "    pass", "100000 True"),
        (RULE + "    import duckdb; duckdb.sql('select 1')", "100000 False"),
        (COMMAND, "100000 True"),
        ("import skipwise.library", f"{gc.get_threshold()[0]} False"),
    ],
    ids=["rule", "rule with duckdb", "command", "library"],
)
def test_it_is_looked_for_rarely_in_our_own_processes_only(tmp_path, code, expected):
    done = subprocess.run(
        [sys.executable, "-c", PRINTED + code, tmp_path / "log"],
        cwd=ROOT / "workflow/scripts",
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == expected
    assert done.stderr == ""
