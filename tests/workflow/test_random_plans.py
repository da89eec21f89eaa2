"""Random configurations that are accepted can be planned."""

import json
import re

import pytest
from configs import PATH, SCHEMA, configurations
from hypothesis import HealthCheck, Phase, given, settings
from skipwise.core.errors import UserError
from skipwise.core.mistakes import check_config, check_shipped
from skipwise.core.shards import raw_files
from snakemake.utils import validate


def accepted(count: int) -> list[dict]:
    """The first ``count`` random configurations that pass the check."""
    found: list[dict] = []

    @settings(
        max_examples=40 * count,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(configurations())
    def draw(drawn):
        config = drawn[0]
        try:
            check_config(config, SCHEMA)
            validate(config, str(PATH))
            check_shipped(config, SCHEMA)
            for dataset in config["datasets"]:
                raw_files(dataset, config["registry"][dataset], "resources")
        except UserError:
            return
        found.append(config)

    draw()
    assert len(found) >= count
    return found[:count]


def plan(project, config: dict) -> None:
    """A dry run of the configuration alone, in the place of the default one."""
    (project / "config/config.yaml").write_text(json.dumps(config), encoding="utf-8")
    (project / "config/datasets.yaml").write_text("{}", encoding="utf-8")
    done = project.snakemake("--dry-run", configs=())
    assert done.returncode == 0, done.stdout
    assert re.search(r"^train_model +\d+$", done.stdout, re.MULTILINE), done.stdout


def test_some_can_be_planned(project):
    for config in accepted(3):
        plan(project, config)


@pytest.mark.slow
def test_twenty_can_be_planned(project):
    for config in accepted(20):
        plan(project, config)
