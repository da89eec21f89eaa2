"""What ``import skipwise`` offers, where several sessions or files are given; the pages run the
rest.
"""

import uuid

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import skipwise
from examples import random_sessions, write_part
from skipwise.core.errors import UserError
from test_export_forms import RUN, SPLIT, results  # noqa: F401 (a fixture)

SKIPS = ("skip_ranks_full", "skip_ranks_new", "skip_outranks")


@pytest.fixture
def model(results):  # noqa: F811
    return skipwise.load(results / "models" / RUN.format("sasrec"))


@pytest.mark.parametrize("first", ["unknown", "a long session"])
def test_sessions_in_any_order_have_the_ranks_that_they_have_alone(model, first):
    keys = model.tracks.to_list()
    plays = {"A": keys[1:5], "B": keys[10:14]}
    before = ["of no catalogue"] if first == "unknown" else keys[:30]
    rows = [("A", key) for key in before]
    alone = {
        name: model.rank({"track": [key for at, key in rows if at == name] + its})
        for name, its in plays.items()
    }
    rows += [(name, plays[name][at]) for at in range(4) for name in "BA"]
    table = {"session": [name for name, _ in rows], "track": [key for _, key in rows]}
    found = model.rank(table)
    assert found["session"].to_list() == ["A", "B"]
    for name, its in alone.items():
        assert found.filter(session=name).drop("session").equals(its.drop("session"))
    assert model.recommend(table, k=1)["session"].to_list() == ["A", "B"]


def test_uuids_of_a_table_in_memory_are_text():
    """Polars would read them as bytes, which for some are text."""
    ids = [uuid.UUID("61626364-6566-6768-696a-6b6c6d6e6f70"), uuid.UUID(int=7)]
    device = [None, uuid.UUID(int=1)]
    columns = {"session": ["a", "a"], "track": ids, "skipped": [True, False], "device": device}
    for table in (columns, pa.table(columns)):
        found = skipwise.read(table, session="session", track="track", skipped_when="skipped")
        assert found["track"].to_list() == [str(held) for held in ids]


def test_tables_of_pandas_are_read_as_they_are():
    """Sorted or filtered they have an index, which is no column."""
    columns = {"session": ["a"] * 3, "track": [uuid.UUID(int=at) for at in range(3)]}
    table = pd.DataFrame(columns | {"skip": [1, 0, 0]}).sort_values("track", ascending=False)
    found = skipwise.read(table, session="session", track="track", skipped_when="skip")
    assert found["track"].to_list() == [str(held) for held in reversed(columns["track"])]
    assert not {"__index_level_0__", "index"} & {*found.columns}
    by_session = table.set_index("session")
    again = skipwise.read(by_session, session="session", track="track", skipped_when="skip")
    assert again.equals(found)


def test_columns_that_are_read_once_keep_their_first_play():
    table = {"session": iter("aaa"), "track": map(str, [1, 2, 3]), "skip": iter([0, 1, 0])}
    found = skipwise.read(table, session="session", track="track", skipped_when="skip")
    assert found["track"].to_list() == ["1", "2", "3"]


def test_large_numbers_and_one_value_for_all_rows_are_read():
    table = {"track": [2**63 + 5, 7], "session": "a", "skip": [0, 1]}
    found = skipwise.read(table, session="session", track="track", skipped_when="skip")
    assert found["track"].to_list() == [2**63 + 5, 7]


@pytest.mark.parametrize("k", [0, -1, 2.0, True, None])
def test_a_wrong_number_of_tracks_is_said(model, k):
    key = model.tracks[0]
    for ask in (model.recommend, model.similar):
        with pytest.raises(UserError, match="k is a whole number from 1 on"):
            ask([key] if ask == model.recommend else key, k=k)


def test_ids_have_one_spelling(ranked):
    test = ranked["a"].with_name("test.parquet")
    ids = pl.read_parquet(test).select(session="session_id", item="target", score=pl.lit(1.0))
    spelled = ids.with_columns(pl.format("00{}", "item").alias("item"))
    assert skipwise.evaluate(spelled, test).equals(skipwise.evaluate(ids, test))


@pytest.fixture
def ranked(tmp_path):
    """By name the ranks of a run of another tool on two splits of the same session numbers."""
    found = {}
    for split, seed in (("a", 1), ("b", 2)):
        folder = tmp_path / split
        folder.mkdir()
        write_part(random_sessions(30, 40, seed=seed), "test", folder / "test.parquet")
        write_part(random_sessions(30, 40, seed=9), "train", folder / "train.parquet")
        test = pl.read_parquet(folder / "test.parquet")
        run = test.select("session_id", item=pl.lit([*range(1, 41)]).cast(pl.List(pl.Int64)))
        run = run.explode("item").rename({"session_id": "session"})
        scores = np.random.default_rng(seed).permutation(run.height)
        found[split] = folder / "ranks.parquet"
        skipwise.evaluate(
            run.with_columns(score=scores), folder / "test.parquet", write=found[split]
        )
    return found


def test_runs_on_other_sessions_are_not_compared(ranked):
    same = skipwise.compare(ranked["a"], ranked["a"])
    assert same["difference"].item() == 0
    with pytest.raises(UserError, match="did not rank the same sessions"):
        skipwise.compare(ranked["a"], ranked["b"])
    with pytest.raises(UserError, match="did not rank the same sessions"):
        skipwise.compare([ranked["a"], ranked["b"]], ranked["a"])
    tables = [pl.read_parquet(path) for path in ranked.values()]
    none = [pl.lit([], table.schema[name]).alias(name) for table in tables[:1] for name in SKIPS]
    alike = [ranked["a"].with_name(f"alike_{at}.parquet") for at in range(2)]
    for table, path in zip(tables, alike, strict=True):  # that have no unseen skips to differ in
        schema = pq.read_schema(ranked["a"])
        pq.write_table(table.with_columns(none).to_arrow().cast(schema), path)
    with pytest.raises(UserError, match="did not rank the same sessions"):
        skipwise.compare(alike, alike[0])


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ({"candidates": "sampled"}, "no ranks among sampled candidates"),
        ({"candidates": "foo"}, "candidates is one of"),
        ({"level": 95}, "level is between 0 and 1"),
        ({"metric": "hr_0"}, "unknown metric 'hr_0'"),
    ],
)
def test_what_cannot_be_compared_is_said(ranked, named, message):
    with pytest.raises(UserError, match=message):
        skipwise.compare(ranked["a"], ranked["a"], **named)


def test_variants_are_no_seeds(ranked, tmp_path):
    for variant in ("blind", "orig"):
        run = tmp_path / f"{SPLIT}/model=m/variant={variant}/seed=1/ranks.parquet"
        run.parent.mkdir(parents=True)
        run.write_bytes(ranked["a"].read_bytes())
    with pytest.raises(UserError, match="are not two seeds of one variant"):
        skipwise.compare(tmp_path / SPLIT, ranked["a"])


def test_items_that_are_no_track_ids_are_refused(ranked):
    test = ranked["a"].with_name("test.parquet")
    run = {"session": [1, 1], "item": [0, 1], "score": [2.0, 1.0]}
    with pytest.raises(UserError, match="has the item '0', which is no track id"):
        skipwise.evaluate(run, test)


def test_whole_scores_that_are_no_longer_told_apart_are_refused(ranked):
    test = ranked["a"].with_name("test.parquet")
    run = {"session": [1, 1], "item": [1, 2], "score": [2**60, 2**60 - 1]}
    with pytest.raises(UserError, match="holds '1152921504606846976', which is too large"):
        skipwise.evaluate(run, test)
