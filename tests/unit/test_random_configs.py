"""A configuration, whatever is in it, is accepted or rejected in one line that names the key."""

from collections import Counter

import pytest
from configs import PATH, SCHEMA, configurations
from hypothesis import HealthCheck, given, settings
from skipwise.core.config import run_settings, runs
from skipwise.core.errors import UserError
from skipwise.core.mistakes import check_config
from skipwise.core.shards import raw_files
from snakemake.utils import validate

pytestmark = pytest.mark.long


def test_it_is_accepted_or_the_key_is_named():
    ended = Counter()

    @settings(
        max_examples=200,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(configurations())
    def check(drawn):
        config, paths = drawn
        try:
            check_config(config, SCHEMA)
            validate(config, str(PATH))  # fills in what has a default
            for dataset in config["datasets"]:
                raw_files(dataset, config["registry"][dataset], "resources")
            for run in runs(config):
                run_settings(config, run["model"], run["variant"])
        except UserError as error:
            message = str(error)
            assert "\n" not in message
            assert any(str(key) in message for path in paths for key in (path[0], path[-1])), (
                message,
                paths,
            )
            ended["rejected"] += 1
        else:
            ended["accepted"] += 1

    check()
    # Both happen often, or this test would show nothing.
    assert min(ended["accepted"], ended["rejected"]) >= 30, ended
