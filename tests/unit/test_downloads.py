"""What is said before a download."""

from examples import default_config
from skipwise.core.downloads import announced


def test_size_licence_time_and_disk(tmp_path):
    config = default_config({"datasets": ["ml100k", "yambda", "mssd-sim", "mssd"]})
    films, music = announced(config, str(tmp_path))
    assert films == (
        "ml100k: downloads 5 MB (MovieLens 100K; licence: research use, no redistribution "
        "(GroupLens)); about 1 min on two cores and 0.1 GB of disk until its sessions are made"
    )
    assert music.startswith("yambda: downloads 369 MB (Yandex Yambda, 50 million plays; licence: A")


def test_what_is_there_or_ones_own_is_not_announced(tmp_path):
    own = {"registry": {"yambda": {"paths": ["x.parquet"]}}}
    config = default_config({"datasets": ["ml100k", "yambda"]}, own)
    there = tmp_path / "raw/ml100k/ml-100k.zip"
    there.parent.mkdir(parents=True)
    there.touch()
    assert announced(config, str(tmp_path)) == []


def test_a_size_that_nobody_knows(tmp_path):
    files = [{"name": "x.csv", "urls": ["https://example.org/x.csv"]}]
    config = {"datasets": ["mine"], "registry": {"mine": {"files": files}}}
    [said] = announced(config, str(tmp_path))
    assert said == "mine: downloads a file of unknown size (no title; licence: not stated)"
