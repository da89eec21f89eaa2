"""The first screen of the README, and its example of a variant; test_pages.py runs the rest."""

import re
import subprocess

import yaml
from examples import ROOT, default_config
from skipwise.core.config import variants

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, re.DOTALL)
BASH = [text for kind, text in BLOCKS if kind == "bash"]
YAML = [text for kind, text in BLOCKS if kind == "yaml"]


def test_the_first_screen_has_the_two_commands_and_says_simulated():
    assert BASH[0].split("#")[0].strip() == "make tables"
    first_screen = README[: README.index("## ")]
    assert "make test" in first_screen
    assert "simulated data" in first_screen
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert all(f"\n{target}:" in makefile for target in ("tables", "test"))


def test_make_alone_says_what_it_can_do():
    done = subprocess.run(
        ["make", "--no-print-directory"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    listed = {line.split()[1] for line in done.stdout.splitlines()}
    assert {"help", "tables", "all", "report", "test", "docs"} <= listed
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert phony
    assert listed == {*phony[1].split()}


def test_a_variant_takes_the_printed_line(project):
    line = next(block for block in YAML if "contrastive-cold" in block)
    printed = project.made(
        "--dry-run", configs=("tests/workflow/tiny.yaml", project.overlay("cold.yaml", line))
    )
    assert printed.count("Training sasrec contrastive-cold") == 2


def test_the_table_is_the_one_that_make_tables_makes():
    rows = re.findall(
        r"^\| (\S+) \| (\S+) \| [0-9.]+ \[", README[: README.index("## ")], re.MULTILINE
    )
    config = default_config(
        yaml.safe_load((ROOT / "config/quick.yaml").read_text(encoding="utf-8"))
    )
    assert rows == [
        (model, variant) for model in config["models"] for variant in variants(config, model)
    ]
