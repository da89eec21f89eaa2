"""The search on validation data: the same trials whatever stops it, and settings that travel."""

import gc
import json
import math
import multiprocessing
import os
import random
import shutil
import signal
import sys
import time
import weakref
from collections import Counter
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import optuna
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from configs import SCHEMA
from examples import ROOT, default_config, given_for, settings_of
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from skipwise.core import config as checked
from skipwise.core import mistakes, registry
from skipwise.core.artifacts import read_artifact, read_json, write_artifact, write_json
from skipwise.core.config import run_settings, search_space, settings_source, variants
from skipwise.core.errors import UserError
from skipwise.core.schemas import ARTIFACTS
from skipwise.report.write import make_table
from skipwise.training import tuning
from skipwise.training.train import train_model
from skipwise.training.tuning import (
    Search,
    at_edge,
    best,
    collect_settings,
    open_study,
    rows,
    search_settings,
)
from test_checkpoints import write_data

pytestmark = pytest.mark.long

DEFAULT = default_config()
TRIALS = 8  # two of which the sampler chooses by the six before
RATE = {"low": 0.0005, "high": 0.1, "log": True}
SPACE = {
    "learning_rate": RATE,
    "dropout": {"low": 0.0, "high": 0.5},
    "batch_size": {"choices": [8, 16, 32]},
}


@pytest.fixture
def data(tmp_path):
    write_split(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    """The folder of a search of all trials, which tests must not change."""
    folder = tmp_path_factory.mktemp("whole")
    write_split(folder)
    search(folder, task())
    return folder


@pytest.fixture
def searched(whole, tmp_path):
    """A copy of it, in which everything may be changed."""
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    return tmp_path


def write_split(folder: Path) -> None:
    write_data(folder, seed=1)
    write_json({"headline": "full"}, folder / "split.json")


def task(model="gru4rec", variant="orig", space=SPACE, **changed) -> Search:
    small = {"dimension": 8, "max_epochs": 5, "patience": 2, "learning_rate": 0.02}
    settings = settings_of(model, variant)
    if settings.get("max_epochs"):
        settings |= small
    return Search(model, settings | changed, space, seed=1, threads=1, validation_sessions=100)


def search(
    folder: Path,
    what: Search,
    trials: int = TRIALS,
    code: tuple[str, ...] = (),
    first: str | None = None,
) -> None:
    """Search as the workflow does, on the data of ``folder``."""
    search_settings(
        *(str(folder / f"{name}.parquet") for name in ("train", "valid", "tracks")),
        str(folder / "split.json"),
        str(folder / "trials.parquet"),
        str(folder / "best.json"),
        search=what,
        trials=trials,
        journal=folder / "checkpoints" / "search.journal",
        checkpoint=folder / "checkpoints" / "trial.safetensors",
        first=str(folder / first) if first else None,
        code=code,
    )


def found(folder: Path) -> list[dict]:
    """The rows of the trials, without the seconds that they took."""
    table = read_artifact("trials", folder / "trials.parquet")
    return table.drop_columns(["seconds"]).to_pylist()


def open_study_of(folder: Path) -> optuna.Study:
    """The search in the journal of ``folder``, as Optuna reads it."""
    journal = JournalFileBackend(str(folder / "checkpoints/search.journal"))
    return optuna.load_study(study_name=None, storage=JournalStorage(journal))


def tried(folder: Path) -> list[dict]:
    return [json.loads(row["settings"]) for row in found(folder)]


class TestSearch:
    def test_trials_are_a_budget_within_the_space_and_the_first_is_configured(self, whole):
        assert [row["trial"] for row in found(whole)] == list(range(TRIALS))
        first, *others = tried(whole)
        assert first == {"learning_rate": 0.02, "dropout": 0.1, "batch_size": 16}
        for settings in others:
            assert settings.keys() == SPACE.keys()
            assert 0.0005 <= settings["learning_rate"] <= 0.1
            assert 0 <= settings["dropout"] <= 0.5
            assert settings["batch_size"] in (8, 16, 32)
            assert settings["dropout"] == float(f"{settings['dropout']:.3g}")
        assert len({str(settings) for settings in others}) > TRIALS // 2

    def test_the_winner_is_trained_with_its_settings(self, searched):
        data = searched
        won = read_json(data / "best.json")
        complete = [row for row in found(data) if row["state"] == "complete"]
        top = max(complete, key=lambda row: row["valid_ndcg_10"])
        assert won["trial"] == top["trial"]
        assert won["settings"] == json.loads(top["settings"])
        assert (won["value"], won["trials"]) == (top["valid_ndcg_10"], TRIALS)
        # A training with the winner, as the rule does it, has the value that the search saw.
        train_model(
            *(str(data / f"{name}.parquet") for name in ("train", "valid", "tracks")),
            str(data / "split.json"),
            data / "run",
            model="mine",
            recommender="gru4rec",
            variant="orig",
            settings=task().settings,
            seed=1,
            threads=1,
            settings_source="tuned, 8 trials",
            best=str(data / "best.json"),
        )
        run = read_json(data / "run/run.json")
        assert run["settings"] == task().settings | won["settings"]
        assert run["settings_source"] == "tuned, 8 trials"
        history = read_artifact("history", data / "run/history.parquet").to_pylist()
        assert max(row["valid_ndcg_10"] for row in history) == won["value"]

    def test_another_seed_gives_another_search(self, whole, data):
        search(data, replace(task(), seed=2), trials=7)
        ours, others = ([json.loads(row["settings"]) for row in found(at)] for at in (data, whole))
        assert ours[0] == others[0] == task().configured
        assert ours[1:] != others[1:7]
        assert found(data)[0]["valid_ndcg_10"] != found(whole)[0]["valid_ndcg_10"]

    def test_one_seed_gives_one_search_and_a_larger_budget_continues_it(self, whole, data, caplog):
        caplog.set_level("INFO", "skipwise")
        search(data, task(), trials=4)
        assert found(data) == found(whole)[:4]
        caplog.clear()
        search(data, task())
        assert found(data) == found(whole)
        assert "with trial 4" in caplog.text
        assert "trial 3" not in caplog.text
        search(data, task(), trials=4)
        assert found(data) == found(whole)[:4]

    @pytest.mark.parametrize("changed", [{}, {"way": "pairwise", "reference_epochs": 1}])
    def test_a_model_is_freed_when_its_trial_ends(self, data, monkeypatch, changed):
        """Without the collector of cycles: the next trial needs the memory."""
        train, models = tuning._train, []

        def noted(model, *arguments):
            models.append(weakref.ref(model))
            gc.disable()
            state = train(model, *arguments)
            models.append(weakref.ref(model.network))
            return state

        monkeypatch.setattr(tuning, "_train", noted)
        try:
            space = {"learning_rate": RATE}
            search(data, task("sasrec", space=space, layers=1, **changed), trials=3)
            assert [model() for model in models] == [None] * 6
        finally:
            gc.enable()

    def test_a_way_begins_with_the_best_settings_of_its_reference(self, searched):
        data = searched
        values = (0.1, 0.2, 0.4, 0.3, 0.0, 0.5, 0.2, 0.1)
        states = ["complete"] * 5 + ["pruned"] + ["complete"] * 2
        rows = [
            row | {"valid_ndcg_10": value, "state": state, "seconds": 1.0}
            for row, value, state in zip(found(data), values, states, strict=True)
        ]
        by_value = [json.loads(rows[number]["settings"]) for number in (2, 3, 1, 6)]
        table = pa.Table.from_pylist(rows, schema=ARTIFACTS["trials"].schema)
        write_artifact(table, "trials", data / "first.parquet")

        tau = {"tau": {"low": 0.03, "high": 5.0, "log": True}}
        way = task(variant="contrastive-item", space=SPACE | tau)
        (data / "checkpoints/search.journal").unlink()
        search(data, replace(way, own=["tau"]), trials=6, first="first.parquet")
        first, *others = tried(data)
        assert first == by_value[0] | {"tau": 0.1}
        # One in each quarter of the range, of which the first has the configured value.
        values = [settings.pop("tau") for settings in others]
        assert sorted(values[:3]) == [0.204, 0.734, 2.64]
        assert [settings | {"tau": 0.1} for settings in others[:3]] == [first] * 3
        # The best of these with what was next best for its reference.
        best_own = max(found(data)[:4], key=lambda row: row["valid_ndcg_10"])
        assert values[3:] == [json.loads(best_own["settings"])["tau"]] * 2
        assert others[3:] == by_value[1:3]
        won = read_json(data / "best.json")
        assert won["trials"] == TRIALS + 6
        assert won["settings"] in tried(data)
        assert won["configured"] == way.configured

        # Without settings of its own it tries the best of its reference, the earlier of equals.
        (data / "checkpoints/search.journal").unlink()
        search(data, task(), trials=4, first="first.parquet")
        assert tried(data) == by_value

    def test_a_way_that_changes_nothing_has_the_result_of_its_reference(self, data):
        """To the last digit of a setting that the search would round."""
        same = task(learning_rate=0.0123456789)
        search(data, same)
        reference = read_json(data / "best.json")
        (data / "trials.parquet").rename(data / "first.parquet")
        (data / "checkpoints/search.journal").unlink()
        search(data, same, trials=4, first="first.parquet")
        won = read_json(data / "best.json")
        assert (won["settings"], won["value"]) == (reference["settings"], reference["value"])
        assert {"learning_rate": 0.0123456789} in [
            {"learning_rate": settings["learning_rate"]} for settings in tried(data)
        ]

    def test_a_way_with_another_budget_is_as_if_it_were_the_first(self, data):
        settings = {"learning_rate": 0.02, "dropout": 0.1, "batch_size": 16}
        rows = [trial(number, 0.1 - number / 100, **settings) for number in range(4)]
        table = pa.Table.from_pylist(rows, schema=ARTIFACTS["trials"].schema)
        write_artifact(table, "trials", data / "first.parquet")
        search(data, task(), trials=6, first="first.parquet")
        whole = found(data)
        assert len(whole) == 4  # its reference had no more
        (data / "checkpoints/search.journal").unlink()
        search(data, task(), trials=3, first="first.parquet")
        search(data, task(), trials=6, first="first.parquet")
        assert found(data) == whole

    def test_epochs_of_a_frozen_reference_do_not_count(self, data):
        """Nor are they pruned: they are the same with every weight."""
        alpha = {"alpha": {"low": 0.1, "high": 5.0, "log": True}}
        way = task("sasrec", "orig", alpha, way="pairwise", alpha=1.0, reference_epochs=3, layers=1)
        search(data, replace(way, own=["alpha"]), trials=3)
        rows = found(data)
        assert [row["best_epoch"] > 3 for row in rows] == [True] * 3
        assert len({row["valid_ndcg_10"] for row in rows}) > 1

    def test_a_way_takes_no_value_outside_of_its_own_range(self):
        what = task()
        begun = what.after([trial(0, 0.3, learning_rate=1e-5, dropout=0.3, batch_size=64)], 6)
        assert begun.settings == what.settings | {"dropout": 0.3}

    def test_without_a_trained_reference_a_way_begins_as_configured(self):
        what = task()
        assert what.after([], 6) == what
        assert what.after([trial(0, 0.3, "pruned", dropout=0.2)], 6) == what

    @pytest.mark.parametrize("seed", range(5))
    def test_the_first_trials_are_spread_over_the_space(self, seed):
        space = SPACE | {"neighbours": {"low": 1, "high": 100}}
        begin = {"learning_rate": 0.02, "dropout": 0.5, "batch_size": 8, "neighbours": 1}
        points = tuning.spread(space, begin, 8, seed)
        assert points[0] == begin
        # Each eighth of a range has one of eight points.
        width = math.log(RATE["high"] / RATE["low"])
        rates = [math.log(point["learning_rate"] / RATE["low"]) / width for point in points]
        assert sorted(int(8 * rate) for rate in rates) == list(range(8))
        assert sorted(min(int(16 * point["dropout"]), 7) for point in points) == list(range(8))
        found = sorted(point["neighbours"] for point in points)
        assert all(type(neighbours) is int for neighbours in found)
        assert [int((neighbours - 1) / 99 * 8) for neighbours in found] == list(range(8))
        counts = Counter(point["batch_size"] for point in points)
        assert sorted(counts.values()) in ([2, 2, 4], [2, 3, 3])

    def test_points_are_not_close(self):
        """Not on the diagonal, as one in a few draws of four points is."""
        space = {"alpha": {"low": 0.0, "high": 1.0}, "tau": {"low": 0.0, "high": 1.0}}
        for seed in range(20):
            points = tuning.spread(space, {"alpha": 0.6, "tau": 0.2}, 4, seed)
            at = [(point["alpha"], point["tau"]) for point in points]
            assert min(math.dist(*pair) for pair in combinations(at, 2)) > 0.5

    def test_the_sampler_learns_from_the_first_trial_too(self, data):
        search(data, task(), trials=2)
        study = open_study_of(data)
        first, second = study.get_trials(deepcopy=False)
        assert first.params.keys() == second.params.keys() == SPACE.keys()
        assert first.params["learning_rate"] == 0.02

    @pytest.mark.parametrize(
        ("lengths", "value", "expected"),
        [
            ([20, 20, 20, 20], 0.15, True),  # below .275, where the worst quarter ends
            ([20, 20, 20, 20], 0.35, False),  # below the median of .35 of the others
            ([20, 20, 20, 8], 0.15, False),  # only three have come as far
            ([9, 9, 9, 9], 0.15, False),
        ],
    )
    def test_only_the_worst_quarter_is_pruned_against_enough_trials(self, lengths, value, expected):
        study = optuna.create_study(direction="maximize", pruner=tuning.pruner(10))
        for length, its in zip(lengths, (0.2, 0.3, 0.4, 0.5), strict=True):
            done = dict.fromkeys(range(1, length + 1), its)
            study.add_trial(optuna.trial.create_trial(value=its, intermediate_values=done))
        trial, pruned = study.ask(), []
        for epoch in range(1, 16):
            trial.report(value, epoch)
            pruned.append(trial.should_prune())
        assert pruned == [False] * 9 + [expected] * 6

    def test_a_hopeless_trial_is_pruned_and_does_not_win(self, data, caplog):
        caplog.set_level("INFO", "skipwise")
        search(data, task(learning_rate=0.05, min_epochs=1, patience=5), trials=16)
        pruned = [row for row in found(data) if row["state"] == "pruned"]
        assert pruned
        assert all(row["epochs"] < 5 for row in pruned)
        assert read_json(data / "best.json")["trial"] not in {row["trial"] for row in pruned}
        assert caplog.text.count("best so far") == 16

    @pytest.mark.parametrize(
        ("model", "variant", "space"),
        [
            ("wrmf", "nr", {"alpha": {"low": 3.0, "high": 20.0, "log": True}}),
            ("bpr", "nr", {"skip_pair_share": {"low": 0.05, "high": 0.5}}),
            ("session-knn", "orig", {"neighbours": {"low": 2, "high": 40, "log": True}}),
            ("ease", "orig", {"weighting": {"choices": ["none", "log"]}}),
        ],
    )
    def test_a_model_without_epochs_is_ranked_on_the_validation_sessions(
        self, data, model, variant, space
    ):
        search(data, task(model, variant, space), trials=5)
        for row in found(data):
            assert (row["state"], row["epochs"], row["best_epoch"]) == ("complete", 0, None)
            assert 0 <= row["valid_ndcg_10"] <= row["valid_hr_10"] <= 1

    def test_a_training_that_diverges_is_a_trial_that_loses(self, data, monkeypatch):
        from skipwise.training import loop

        ranks = loop.validation_ranks

        def fails(ranker, *arguments, **named):
            if ranker.model.settings["learning_rate"] != 0.02:
                raise loop.DivergedError("the loss is not finite")
            return ranks(ranker, *arguments, **named)

        monkeypatch.setattr(loop, "validation_ranks", fails)
        search(data, task(), trials=4)
        assert [row["state"] for row in found(data)] == ["complete", *["diverged"] * 3]
        assert found(data)[1]["valid_ndcg_10"] is None
        assert read_json(data / "best.json")["trial"] == 0
        with pytest.raises(UserError, match="none of 3 trials of gru4rec could be trained"):
            search(data, task(learning_rate=0.01), trials=3)

    def test_settings_that_exclude_each_other_are_a_trial_that_loses(self, data):
        space = {"skip_confidence": {"low": 0.01, "high": 2.0, "log": True}}
        search(data, task("wrmf", "nr", space, alpha=5.0, skip_confidence=1.0), trials=6)
        states = [row["state"] for row in found(data)]
        assert states[0] == "complete"
        assert "impossible" in states
        # The configuration itself must be possible.
        with pytest.raises(UserError, match="alpha × skip_confidence must be above 1"):
            search(data, task("wrmf", "nr", space, alpha=5.0, skip_confidence=0.1), trials=2)

    def test_a_headline_without_a_target_is_one_clear_line(self, data, monkeypatch):
        row = {"epoch": None, "valid_ndcg_10": math.nan, "valid_hr_10": math.nan}
        monkeypatch.setattr(tuning, "validated", lambda *_: row)
        write_json({"headline": "new"}, data / "split.json")
        with pytest.raises(UserError, match="no validation session has a target among new"):
            search(data, task("session-knn", space={"neighbours": {"low": 2, "high": 40}}))


def search_in_a_process(folder: str) -> None:
    search(Path(folder), task())


class TestInterruption:
    def test_killed_thirty_times_at_random_moments_it_has_the_same_trials(
        self, whole, tmp_path, monkeypatch
    ):
        """Each process is killed by SIGKILL somewhere in its search, unless it ended before."""
        took = pq.read_table(whole / "trials.parquet", columns=["seconds"])["seconds"]
        took = sum(took.to_pylist())
        # Processes of a server that has imported everything: a start costs milliseconds.
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))  # of its imports
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["test_tuning"])
        for _ in range(2):  # the first waits until the server has imported it
            began = time.monotonic()
            empty = context.Process(target=task)
            empty.start()
            empty.join()
            start = time.monotonic() - began
        rng, kills, ended, moments = random.Random(1), 0, 0, set()
        while not ended or kills < 30:
            folder = tmp_path / f"{ended}"
            if not folder.exists():
                folder.mkdir()
                write_split(folder)
            process = context.Process(target=search_in_a_process, args=(str(folder),))
            process.start()
            process.join(rng.uniform(0, 1) * (start + took / 12) if kills < 30 else None)
            process.kill()
            process.join()
            if process.exitcode == 0:  # by itself, perhaps in the moment of the kill
                assert found(folder) == found(whole)
                assert read_json(folder / "best.json") == read_json(whole / "best.json")
                ended += 1
            else:
                assert process.exitcode == -signal.SIGKILL
                kills += 1
                journal = folder / "checkpoints/search.journal"
                moments.add(journal.stat().st_size if journal.exists() else 0)
        assert len(moments) >= 3  # they were killed at different places

    @pytest.mark.parametrize("lost", [1, 30])
    def test_a_part_of_a_line_is_cut_off(self, whole, searched, lost):
        journal = searched / "checkpoints/search.journal"
        lines = journal.read_bytes().splitlines(keepends=True)
        journal.write_bytes(b"".join(lines[: len(lines) * 2 // 3])[:-lost])
        search(searched, task(), trials=7)
        assert found(searched) == found(whole)[:7]

    @pytest.mark.parametrize(
        "content",
        [b"", b"\0" * 99, b"no\n", b'{"op_code": 4}\n', b"[1]\n[2]\n", b'{"op_code":0}\n'],
    )
    def test_an_unreadable_journal_starts_over(self, whole, searched, content, caplog):
        caplog.set_level("INFO", "skipwise")
        (searched / "checkpoints/search.journal").write_bytes(content)
        search(searched, task(), trials=2)
        assert found(searched) == found(whole)[:2]
        assert ("starts over" in caplog.text) == (b"\n" in content)

    @pytest.mark.parametrize(
        "change", ["code", "data", "settings", "space", "candidates", "nothing"]
    )
    def test_a_journal_of_anything_else_starts_over(self, data, change, caplog):
        caplog.set_level("INFO", "skipwise")
        (data / "code.py").write_text("1")
        code, what = (str(data / "code.py"),), task()
        search(data, what, trials=2, code=code)
        if change == "code":
            (data / "code.py").write_text("2")
        elif change == "data":
            write_data(data, seed=5)
        elif change == "settings":
            what = task(dropout=0.3)
        elif change == "space":
            what = task(space={"learning_rate": RATE})
        elif change == "candidates":
            write_json({"headline": "new"}, data / "split.json")
        caplog.clear()
        search(data, what, trials=2, code=code)
        assert ("the search starts over" in caplog.text) == (change != "nothing")
        assert ("continues from" in caplog.text) == (change == "nothing")

    def test_a_trial_that_a_kill_left_is_not_counted(self, tmp_path):
        study = open_study(tmp_path / "journal", "mark")
        study.ask()
        assert rows(open_study(tmp_path / "journal", "mark")) == []


class TestSpace:
    @pytest.mark.parametrize("kind", ["model", "way"])
    def test_every_search_space_names_settings_that_are_read(self, kind):
        spaces = 0
        for name in registry.names(kind):
            declared = registry.declared(kind, name)
            if "SEARCH" not in declared:
                continue
            spaces += 1
            if kind == "model":
                model = registry.find_model(name)
                known = model.SETTINGS | model.OPTIONAL
            else:
                known = {*declared["SETTINGS"], "alpha", "beta"}
            assert declared["SEARCH"].keys() <= known, name
            for its in declared["SEARCH"].values():
                ends = its.get("choices") or [its["low"], its["high"]]
                assert len(set(ends)) == len(ends) > 1
                assert isinstance(ends[0], str) or ends == sorted(ends)
                assert its.keys() <= {"low", "high", "log", "choices", "limit"}
                assert its.get("limit") in (None, "low", "high")
        assert spaces >= {"model": 10, "way": 1}[kind]

    def test_the_entries_of_the_papers_are_never_tuned(self):
        papers = [name for name in DEFAULT["model_registry"] if name.endswith("-papers")]
        assert papers
        for model in papers:
            assert search_space(DEFAULT, model, "orig") == {}
            assert source(DEFAULT, model) == "as in the papers"

    def test_the_default_is_within_and_every_variant_of_a_model_has_the_same(self):
        for model in DEFAULT["models"]:
            if checked.is_untuned(DEFAULT, model):
                continue
            declared = registry.declared("model", checked.model_file(DEFAULT, model))
            declared = declared.get("SEARCH", {})
            for variant in variants(DEFAULT, model):
                space = search_space(DEFAULT, model, variant)
                settings = run_settings(DEFAULT, model, variant)
                ours = {name: its for name, its in declared.items() if name in settings}
                assert ours == {name: space[name] for name in ours}
                losses = {"alpha", "tau"} if settings.get("way") else set()
                assert space.keys() - declared.keys() == losses

    def test_only_what_a_variant_uses_is_searched(self):
        assert search_space(DEFAULT, "popularity", "orig") == {}
        assert "skip_confidence" not in search_space(DEFAULT, "wrmf", "orig")
        assert "skip_confidence" in search_space(DEFAULT, "wrmf", "nr")
        assert "tau" not in search_space(DEFAULT, "sasrec", "blind")
        assert {"tau", "learning_rate"} <= search_space(
            DEFAULT, "sasrec", "contrastive-item"
        ).keys()

    def test_a_range_reaches_the_configured_value(self):
        config = default_config(
            {
                "neural": {"learning_rate": 0.5, "dropout": 0},
                "contrastive": {"alpha": 0},
                "model_registry": {
                    "sasrec": {"settings": {"layers": 6}},
                    "session-knn": {"settings": {"neighbours": 7.5}},
                },
            }
        )
        space = search_space(config, "sasrec", "contrastive-item")
        assert (space["learning_rate"]["low"], space["learning_rate"]["high"]) == (0.0002, 0.5)
        assert space["layers"]["choices"] == [
            *registry.declared("model", "sasrec")["SEARCH"]["layers"]["choices"],
            6,
        ]
        assert space["dropout"]["low"] == 0
        assert "alpha" not in space  # 0 has no place on a logarithmic scale
        assert "neighbours" not in search_space(config, "session-knn", "orig")  # no whole number

    def test_settings_of_the_papers_and_other_tools_are_not_searched(self):
        papers = DEFAULT["model_registry"]["sasrec"] | {"model": "sasrec", "settings_of": "papers"}
        other = {"family": "external", "variants": {"orig": {}}}
        overlay = {"model_registry": {"sasrec-papers": papers, "theirs": other}}
        config = default_config(overlay | {"models": ["sasrec", "sasrec-papers", "theirs"]})
        mistakes.check_config(
            config, yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text())
        )
        assert {its["model"] for its in checked.searches(config)} == {"sasrec"}
        assert source(config, "sasrec-papers") == "as in the papers"
        assert source(config, "theirs") == "of another tool"

    @pytest.mark.parametrize(
        ("space", "inside", "at"),
        [
            ({"low": 0.0, "high": 1.0}, [0.021, 0.5, 0.979], [0.0, 0.02, 0.98, 1.0]),
            ({"low": 0.01, "high": 1.0, "log": True}, [0.0111, 0.9], [0.01, 0.0109, 0.92]),
            ({"low": 1, "high": 100}, [3, 98], [1, 2, 99, 100]),
            ({"low": 1, "high": 100, "log": True}, [2, 91], [1, 92, 100]),
            ({"choices": [1, 2, 3]}, [2], [1, 3]),
            ({"choices": [1, 2, 3], "limit": "low"}, [1, 2], [3]),
            ({"low": 0.0, "high": 0.5, "limit": "low"}, [0.0, 0.3], [0.5]),
            ({"choices": ["a", "b"]}, ["a", "b"], []),
        ],
    )
    def test_the_edge_of_a_range(self, space, inside, at):
        assert [value for value in inside if at_edge(space, value)] == []
        assert [value for value in at if not at_edge(space, value)] == []

    def test_a_winner_at_an_edge_is_reported(self, caplog):
        trials = [
            trial(0, 0.3, dropout=0.2),
            trial(1, 0.5, dropout=0.5),
            trial(2, 0.5, dropout=0.3),
        ]
        won = best(trials, task(space={"dropout": {"low": 0.0, "high": 0.5}}))
        assert (won["trial"], won["at_edge"]) == (1, ["dropout"])  # the first of equals
        assert "the best value of dropout is at the edge of its range; widen SEARCH" in caplog.text


def trial(number: int, value: float | None, state: str = "complete", **settings) -> dict:
    return {
        "trial": number,
        "state": state,
        "valid_ndcg_10": value,
        "valid_hr_10": value,
        "best_epoch": 2,
        "epochs": 3,
        "seconds": 2.0,
        "settings": json.dumps(settings),
    }


def source(config, model, variant="orig", dataset="mssd-sim") -> str:
    return settings_source(config, dataset, "paper", model, variant)


@pytest.fixture
def ship(tmp_path, monkeypatch):
    """A function that puts settings into the project's folder of them."""
    monkeypatch.setattr(checked, "TUNED", tmp_path / "tuned")
    (tmp_path / "tuned").mkdir()

    def write(splits: dict, dataset: str = "mssd-sim", seed: int = 0) -> None:
        checked.tuned.cache_clear()
        file = yaml.safe_dump({"seed": seed, "splits": splits})
        (tmp_path / "tuned" / f"{dataset}.yaml").write_text(file)

    yield write
    checked.tuned.cache_clear()


FOUND = {
    "settings": {"learning_rate": 0.00123, "dropout": 0.4},
    "configured": {"learning_rate": 0.001, "dropout": 0.5},
    "trials": 20,
    "value": 0.1,
}


class TestShipped:
    def test_runs_have_the_settings_that_come_with_the_project(self, ship):
        ship({"paper": {"sasrec": {"orig": FOUND}}})
        mistakes.check_shipped(DEFAULT, SCHEMA)
        configured = run_settings(DEFAULT, "sasrec", "orig", "paper")
        assert configured["learning_rate"] == 0.001
        tuned = run_settings(DEFAULT, "sasrec", "orig", "paper", "mssd-sim")
        assert tuned == configured | FOUND["settings"]
        assert source(DEFAULT, "sasrec") == "tuned, 20 trials"
        for others in (("blind", "paper", "mssd-sim"), ("orig", "paper", "lfm1k-sim")):
            assert run_settings(DEFAULT, "sasrec", *others) == run_settings(
                DEFAULT, "sasrec", *others[:2]
            )
        assert source(DEFAULT, "sasrec", "blind") == "as configured"
        assert source(DEFAULT, "sasrec", dataset="lfm1k-sim") == "as configured"
        assert source(DEFAULT, "popularity") == "nothing to tune"

    @pytest.mark.parametrize("settings", ["configured", "search"])
    def test_not_if_others_are_wanted(self, ship, settings):
        ship({"paper": {"sasrec": {"orig": FOUND}}})
        config = default_config({"tuning": {"settings": settings, "trials": 7, "quick_trials": 1}})
        tuned = run_settings(config, "sasrec", "orig", "paper", "mssd-sim")
        assert tuned == run_settings(config, "sasrec", "orig", "paper")
        words = {
            "configured": ["as configured"] * 2,
            "search": ["tuned, 7 trials", "tuned, 1 trial"],
        }
        assert [source(config, model) for model in ("sasrec", "wrmf")] == words[settings]

    def test_a_setting_that_the_user_changes_is_the_users(self, ship):
        ship({"paper": {"sasrec": {"orig": FOUND}}})
        config = default_config({"neural": {"learning_rate": 0.01}})
        tuned = run_settings(config, "sasrec", "orig", "paper", "mssd-sim")
        assert (tuned["learning_rate"], tuned["dropout"]) == (0.01, 0.5)
        assert source(config, "sasrec") == "as configured"
        # Another one, which was not searched, changes nothing of it.
        config = default_config({"neural": {"dimension": 16}})
        tuned = run_settings(config, "sasrec", "orig", "paper", "mssd-sim")
        assert (tuned["learning_rate"], tuned["dimension"]) == (0.00123, 16)

    def test_not_for_the_papers_settings(self, ship):
        ship({"paper": {"sasrec": {"orig": FOUND}}})
        config = default_config({"model_registry": {"sasrec": {"settings_of": "papers"}}})
        settings = run_settings(config, "sasrec", "orig", "paper", "mssd-sim")
        assert settings["learning_rate"] == 0.001
        assert source(config, "sasrec") == "as in the papers"

    @pytest.mark.parametrize(
        ("splits", "message"),
        [
            ({"papre": {}}, "unknown split 'papre'; did you mean 'paper'?"),
            (
                {"paper": {"sasrek": {}}},
                "'sasrek' is not in model_registry; did you mean 'sasrec'?",
            ),
            (
                {"paper": {"sasrec": {"origin": FOUND}}},
                "paper, sasrec origin: no such variant in model_registry.sasrec; did you mean",
            ),
            (
                {"paper": {"sasrec": {"orig": FOUND | {"settings": {"tau": 1}}}}},
                "paper, sasrec orig: no setting 'tau'",
            ),
            (
                {"paper": {"sasrec": {"orig": {"settings": {}}}}},
                "splits.paper.sasrec.orig: the key 'configured' is missing",
            ),
            (
                {"paper": {"sasrec": {"orig": FOUND | {"setings": {}}}}},
                "splits.paper.sasrec.orig: unknown key 'setings'; did you mean 'settings'?",
            ),
            ([], "splits: [] is not of type 'object'"),
            ({"paper": None}, "splits.paper: None is not of type 'object'"),
            ({"paper": {"sasrec": [1]}}, "splits.paper.sasrec: [1] is not of type 'object'"),
            (
                {"paper": {"sasrec": {"orig": FOUND | {"trials": "many"}}}},
                "splits.paper.sasrec.orig.trials: 'many' is not of type 'integer'",
            ),
            (
                {"paper": {"sasrec": {"orig": FOUND | {"settings": {"dropout": "half"}}}}},
                "paper, sasrec orig: dropout: 'half' is not of type 'number'",
            ),
            (
                {"paper": {"sasrec": {"orig": FOUND | {"settings": {"dropout": 7.0}}}}},
                "paper, sasrec orig: dropout: 7.0 is greater than or equal to the maximum of 1",
            ),
        ],
    )
    def test_a_wrong_file_is_one_clear_line(self, ship, splits, message):
        ship(splits)
        with pytest.raises(UserError) as error:
            mistakes.check_shipped(DEFAULT, SCHEMA)
        assert message in str(error.value)
        assert "mssd-sim.yaml" in str(error.value)
        assert "\n" not in str(error.value)
        mistakes.check_shipped(default_config({"tuning": {"settings": "configured"}}), SCHEMA)

    def test_no_result_has_the_seed_that_settings_were_chosen_by(self, ship):
        """Else one of the trainings of a tuned variant would be the one that won, by luck, too."""
        ship({"paper": {"sasrec": {"orig": FOUND}}}, seed=3)
        with pytest.raises(UserError) as error:
            mistakes.check_shipped(DEFAULT, SCHEMA)
        assert str(error.value) == (
            "configuration, seeds: 3 is the seed of the trainings that settings were chosen by "
            "(tuned/mssd-sim.yaml); take others, or set tuning.settings: configured"
        )
        for others in (
            {"seeds": [1, 2]},
            {"seeds_by_dataset": {"mssd-sim": [1, 2]}},
            {"models": ["wrmf"]},
            {"models": ["item-knn"]},
            {"tuning": {"settings": "configured"}},
        ):
            mistakes.check_shipped(default_config(others), SCHEMA)

    def test_what_comes_with_the_project_fits_the_default(self):
        for path in (ROOT / "resources/tuned").glob("*.yaml"):
            file = yaml.safe_load(path.read_text(encoding="utf-8"))
            assert {"command", "revision"} <= file.keys()
            assert list(mistakes._shipped_mistakes(DEFAULT, file, SCHEMA["properties"])) == []

    def test_what_is_found_can_be_shipped(self, ship, tmp_path):
        """From the results of searches to the settings of runs."""
        space = search_space(DEFAULT, "wrmf", "nr")
        settings = run_settings(DEFAULT, "wrmf", "nr")
        what = Search("wrmf", settings, space, seed=1, threads=1, validation_sessions=9)
        values = {name: 2 if name == "iterations" else 1.5 for name in space}
        trials = [trial(0, 0.1, **what.configured), trial(1, 0.2, **values)]
        place = "dataset=mssd-sim/split=paper/model=wrmf/variant=nr/best.json"
        write_json(best(trials, what), tmp_path / place)
        checked.tuned.cache_clear()
        made = tmp_path / "tuned/mssd-sim.yaml"
        collect_settings([str(tmp_path / place)], str(made), seed=0, command="snakemake tune")
        written = yaml.safe_load(made.read_text())
        assert (written["command"], written["seed"]) == ("snakemake tune", 0)
        mistakes.check_shipped(DEFAULT, SCHEMA)
        tuned = run_settings(DEFAULT, "wrmf", "nr", "paper", "mssd-sim")
        assert tuned == settings | values
        assert source(DEFAULT, "wrmf", "nr") == "tuned, 2 trials"


def test_the_table_has_one_row_per_search(tmp_path):
    files: dict[str, list[str]] = {"trials": [], "best": []}
    for variant, edge in (("orig", {}), ("contrastive-hidden", {"tau": 0.5})):
        folder = tmp_path / f"dataset=toy/split=paper/model=sasrec/variant={variant}"
        trials = [
            trial(0, 0.1, learning_rate=0.005),
            trial(1, 0.05, "pruned", learning_rate=0.001),
            trial(2, 0.25, learning_rate=0.0123456, **edge),
        ]
        table = pa.Table.from_pylist(trials, schema=ARTIFACTS["trials"].schema)
        write_artifact(table, "trials", folder / "trials.parquet")
        space = {name: {"low": 0.0, "high": 0.5} for name in ("learning_rate", *edge)}
        what = task(space=space, **edge)
        write_json(best(trials, what), folder / "best.json")
        files["trials"].append(str(folder / "trials.parquet"))
        files["best"].append(str(folder / "best.json"))
    tables = {kind: str(tmp_path / f"tuning.{kind}") for kind in ("csv", "parquet", "html", "tex")}
    make_table("tuning", given_for(files, tables, {"simulated": ["toy"], "references": {}}))
    first, second = pq.read_table(tables["parquet"], partitioning=None).to_pylist()
    assert first == {
        "dataset": "toy",
        "data": "simulated",
        "split": "paper",
        "model": "sasrec",
        "variant": "orig",
        "trials": 3,
        "pruned": 1,
        "seconds": 6.0,
        "valid_ndcg_10_begin": 0.1,
        "valid_ndcg_10_tuned": 0.25,
        "valid_ndcg_10_reference": None,
        "found": "learning_rate 0.01235",
        "at_edge": "no",
    }
    assert second["found"] == "learning_rate 0.01235, tau 0.5"
    # The trial of orig with these settings but for tau, which it does not have.
    assert second["valid_ndcg_10_reference"] == 0.25
    assert second["at_edge"] == "tau"
