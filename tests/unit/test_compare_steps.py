"""The comparison of a step in two checkouts."""

import re
import shutil
import subprocess
import sys

import pytest
from examples import ROOT

pytestmark = pytest.mark.long


def test_the_step_of_each_checkout_is_timed(tmp_path):
    slow = tmp_path / "slow"
    for folder in ("tools", "workflow/scripts"):
        shutil.copytree(
            ROOT / folder, slow / folder, ignore=shutil.ignore_patterns("__pycache__", "peers")
        )
    training = slow / "workflow/scripts/skipwise/training/loop.py"
    source = training.read_text(encoding="utf-8")
    begins = "        settings = self.model.settings\n\n        # Positions"
    assert source.count(begins) == 1
    training.write_text(
        source.replace(begins, "        time.sleep(0.3)\n" + begins), encoding="utf-8"
    )
    command = [
        sys.executable,
        ROOT / "tools/compare_steps.py",
        slow,
        ROOT,
        "--models",
        "gru4rec",
        "--tracks",
        "500",
    ]
    done = subprocess.run([*command, "--batches", "4"], capture_output=True, text=True, check=True)
    ((before, after, ratio),) = re.findall(
        r"^\| gru4rec \| (\S+) \| (\S+) \| (\S+) \| \S+ to \S+ \|$", done.stdout, re.MULTILINE
    )
    assert float(before) > 300 > float(after)
    assert float(ratio) > 1.5
