"""The parts of a study that run nothing: its time, its overlay, what it says."""

import polars as pl
import pytest
import yaml
from examples import default_config
from skipwise.commands import controls, study
from skipwise.core.config import is_control_of, right_targets, run_settings, searched_as, variants
from skipwise.core.errors import UserError
from skipwise.report.tables import answer, methods

TEXT = """# a log
datasets: [mine]
registry:
  mine: {form: events, columns: {track: t, user: u}, session_gap: 1200, paths: [/data/My Log.csv]}
sessions: {n_sessions: null}
"""


@pytest.mark.parametrize(("text", "expected"), [("90s", 90), ("10m", 600), ("1.5h", 5400)])
def test_a_budget(text, expected):
    assert study.seconds(text) == expected


@pytest.mark.parametrize("text", ["", "10", "0m", "ten minutes", "5 d", "-3m"])
def test_what_is_no_budget(text):
    with pytest.raises(UserError, match="a budget is a time like 10m or 2h"):
        study.seconds(text)


@pytest.mark.parametrize(
    ("seconds", "words"), [(3.2, "3 s"), (89, "89 s"), (300, "5 min"), (9000, "2.5 h")]
)
def test_a_time_in_words(seconds, words):
    assert study.in_words(seconds) == words


def new(tmp_path, text=TEXT, **changed):
    said = []
    made = study.Study(
        text, tmp_path / "log.yaml", **{"budget": 60.0, "cores": 2, "say": said.append} | changed
    )
    return made, said


class Faked(study.Study):
    """A study whose runs take no time but that of ``costs``, seconds by step."""

    def __init__(self, *arguments, costs, asked=(), **options):
        """``asked`` has what the answers ask for, by the number of the run."""
        super().__init__(*arguments, **options)
        self.costs, self.ran, self.asked = list(costs), [], dict(asked)

    @property
    def left(self):
        return self._budget - sum(self.costs[: len(self.ran)])

    def _choose_sessions(self):
        return 500

    def _estimate(self):
        return self.costs[len(self.ran)]

    def _snakemake(self, targets):
        self.ran.append(yaml.safe_load(self.path.read_text()))

    def _asked_controls(self):
        return self.asked.get(len(self.ran), {})


def test_steps_run_while_they_fit_and_the_overlay_is_that_of_the_last(tmp_path):
    said = []
    running = Faked(
        TEXT,
        tmp_path / "log.yaml",
        budget=100,
        cores=2,
        say=said.append,
        costs=[10, 30, 50, 20, 20],
    )
    running.run()
    assert [step.what for step in running.done] == [
        "one seed",
        "three seeds",
        "tuned, 8 trials of a variant",
    ]
    assert running.left_out.startswith("4 more ways to use skips; five seeds")
    assert "about 20 s, 10 s are left" in running.left_out
    last = yaml.safe_load(running.path.read_text())
    assert last == running.ran[-1]
    assert last["seeds"] == [1, 2, 3]
    assert last["tuning"]["settings"] == "search"
    assert last["sessions"] == {"n_sessions": 500}
    assert running.path.read_text().startswith("# a log\n")
    assert said[1].startswith("step 2 of 5, three seeds: about 30 s")


def test_the_first_step_runs_whatever_it_costs(tmp_path):
    running = Faked(
        TEXT, tmp_path / "log.yaml", budget=5, cores=1, say=str, costs=[10, 30, 50, 20, 20]
    )
    running.run()
    assert [step.what for step in running.done] == ["one seed"]


def test_the_control_of_a_gain_runs_in_the_same_step(tmp_path):
    said, path = [], tmp_path / "log.yaml"
    control = {"skip-head-shuffled": {"way": "skip-head", "labels": "shuffled"}}
    asked = {4: {"model_registry": {"sasrec": {"variants": control}}}}
    running = Faked(TEXT, path, budget=100, cores=2, say=said.append, costs=[1] * 6, asked=asked)
    running.run()
    # The fourth step ran twice, the second time with the control, which stays.
    assert [step.what for step in running.done] == [step.what for step in study.STEPS]
    assert len(running.ran) == 6
    before, after, last = (ran["model_registry"]["sasrec"]["variants"] for ran in running.ran[3:])
    assert after == before | control == last
    assert "a use of skips gains: do shuffled labels gain as much?" in said


@pytest.mark.parametrize(
    ("best", "expected"),
    [
        ("wrmf bl", {"skips": "unobserved", "labels": "shuffled"}),
        ("sasrec orig", {"labels": "shuffled"}),
        (
            "sasrec contrastive-item",
            {"way": "contrastive", "query": "item", "labels": "shuffled", "targets": "labelled"},
        ),
        ("sasrec next", {"way": "feedback-input", "targets": "next", "labels": "shuffled"}),
        ("sasrec gbce", {"way": "gbce", "labels": "shuffled"}),
    ],
)
def test_the_controls_that_an_answer_asks_for(tmp_path, best, expected):
    with pytest.raises(UserError, match=r"has no tables/answer\.parquet; make it with snakemake"):
        controls.asked_controls(tmp_path)
    ways = {"next": {"way": "feedback-input", "targets": "next"}, "gbce": {"way": "gbce"}}
    config, overlay = answered(tmp_path, best, {"sasrec": {"variants": ways}})
    model, variant = best.split(" ")
    name = f"{variant}-all-shuffled" if "labelled" in expected.values() else f"{variant}-shuffled"
    assert overlay == {"model_registry": {model: {"variants": {name: expected}}}}
    assert_found(config, model, variant, name)


@pytest.mark.parametrize(
    ("split", "more"),
    [
        ("authors_code", {}),
        ("paper", {"neural": {"targets": "next"}}),
        ("paper", {"model_registry": {"sasrec": {"settings": {"targets": "next"}}}}),
    ],
    ids=["by the split", "of all models", "of the model"],
)
def test_a_way_whose_targets_see_no_label_has_one_control(tmp_path, split, more):
    way = {
        "fi": {"way": "feedback-input"},
        "fi-l": {"way": "feedback-input", "targets": "listened"},
    }
    config, overlay = answered(tmp_path, "sasrec fi", {"sasrec": {"variants": way}}, more, split)
    control = {"way": "feedback-input", "labels": "shuffled"}
    assert overlay == {"model_registry": {"sasrec": {"variants": {"fi-shuffled": control}}}}
    assert_found(config, "sasrec", "fi", "fi-shuffled", split)


def test_the_last_run_may_be_of_other_models_than_the_answer(tmp_path):
    for overlay in ({}, {"sasrec": {"variants": {"orig": None}}}):
        best = "sasrec orig" if overlay else "sasrec gone"
        with pytest.raises(UserError, match=f"is of a run without {best}, which .* is of; make"):
            answered(tmp_path, best, overlay)


@pytest.mark.parametrize(
    ("best", "outcome", "ran", "expected"),
    [
        ("wrmf bl", methods.HELPS, True, []),
        ("wrmf bl", methods.UNTRIED, True, ["lo-shuffled"]),
        ("sasrec lo", methods.UNTRIED, True, ["lo-shuffled", "lo-all-shuffled"]),
        ("wrmf bl", methods.UNTRIED, False, []),
    ],
    ids=["none", "a gain", "that of the answer", "of an earlier run"],
)
def test_every_gain_of_the_methods_asks_for_its_control(tmp_path, best, outcome, ran, expected):
    way = {"way": "listened-only"}
    rows = {"split": "paper", "model": "sasrec", "variant": "lo", "outcome": outcome}
    (tmp_path / "tables").mkdir()
    pl.DataFrame([rows]).write_parquet(tmp_path / "tables/methods.parquet")
    config, overlay = answered(tmp_path, best, {"sasrec": {"variants": {"lo": way} if ran else {}}})
    asked = overlay["model_registry"].get("sasrec", {"variants": {}})["variants"]
    assert list(asked) == expected
    for name in asked:
        assert searched_as(config, "sasrec", name) == "lo"
        found = run_settings(config, "sasrec", name, "paper")
        assert right_targets(found) == ("all" not in name)


def answered(folder, best, registry, more=None, split="paper") -> tuple[dict, dict]:
    """The configuration with the controls that an answer asks for, and the overlay that has them;
    ``best`` gains without one.
    """
    overlays = [{"model_registry": registry}, *([more] if more else [])]
    (folder / "config.yaml").write_text(yaml.safe_dump(default_config(*overlays)))
    (folder / "tables").mkdir(exist_ok=True)
    rows = {"with_skips": [best, "sasrec blind"], "answer": [answer.UNTRIED, answer.WORTH]}
    table = pl.DataFrame(rows | {"split": [split, "paper"]})
    table.write_parquet(folder / "tables/answer.parquet")
    overlay = controls.asked_controls(folder)
    return default_config(*overlays, overlay), overlay


def assert_found(config, model, variant, name, split="paper"):
    """The answer finds the control among the settings of what ran, and it has no own search."""
    ran = {one: run_settings(config, model, one, split) for one in variants(config, model)}
    assert [one for one, its in ran.items() if is_control_of(its, ran[variant])] == [name]
    assert searched_as(config, model, name) == variant


def test_a_later_call_keeps_the_sessions_that_an_earlier_one_chose(tmp_path):
    first, _ = new(tmp_path)
    assert first._chosen_before() == study.NOT_CHOSEN
    first._write(study.STEPS[0], 12_000)
    assert new(tmp_path)[0]._chosen_before() == 12_000
    # What only measured a training has chosen nothing: a stop there must not leave a small sample.
    first._write(study.STEPS[0], study.SAMPLE, study.TO_MEASURE)
    assert new(tmp_path)[0]._chosen_before() == study.NOT_CHOSEN
    first._write(study.STEPS[0], 12_000)
    other = TEXT.replace("My Log", "Another")
    assert new(tmp_path, other)[0]._chosen_before() == study.NOT_CHOSEN


def test_two_logs_share_no_results(tmp_path):
    names = {
        new(tmp_path, TEXT.replace("/data/My Log.csv", path))[0].dataset
        for path in ("/data/My Log.csv", "/other/My Log.csv", "/data/журнал.csv")
    }
    assert len(names) == 3
    assert all(name.startswith("log-") for name in names)


def test_a_data_set_of_the_registry(tmp_path):
    text = study.registered("mssd", [tmp_path / "log.tar.gz"])
    assert "# licence: " in text
    assert yaml.safe_load(text)["registry"]["mssd"]["paths"] == [str(tmp_path / "log.tar.gz")]
    with pytest.raises(UserError, match="nothing-like-it is no file, and no data set"):
        study.registered("nothing-like-it", [])


def test_the_reason_of_a_failed_run():
    printed = "Building\nmake_table: ERROR: x.csv, row 3: no track\nRemoving output\n"
    assert study._reason(printed) == "make_table: ERROR: x.csv, row 3: no track"
    assert study._reason("configuration, seeds: none\n  File x") == "configuration, seeds: none"
    assert study._reason("a\nthe last\n\n") == "the last"
    of_the_files = "WorkflowError in file common.smk, line 54:\nmssd: no file\n  File x, line 54\n"
    assert study._reason(of_the_files) == "mssd: no file"
    assert study._reason("") == "Snakemake failed"


def test_a_row_of_the_answer_in_plain_words():
    row = {"with_skips": "sasrec contrastive-item", "without": "item-knn blind"}
    row |= {"value": 0.155, "reference_value": 0.169, "sessions": 4660, "seeds": "1 2 3"}
    row |= {"difference": -0.014, "difference_low": -0.03, "difference_high": 0.002}
    row |= {"data": "simulated", "split": "paper", "within": ""}
    said = (
        "The next track that is listened to is among the first ten recommendations for 15.5% of "
        "4,660 test sessions with the best use of skips (sasrec, contrastive, query = track) and "
        "for 16.9% without any (item-knn, no labels): −1.4 points{} (simulated data, split paper, "
        "seeds 1 2 3)."
    )
    assert study._in_plain_words(row) == said.format(", interval −3.0 to +0.2")
    alone = row | {"difference_low": None, "difference_high": None}
    assert study._in_plain_words(alone) == said.format("")
    # What is known of the model alone is said too: the models may make the difference.
    pair = {"within": "item-knn orig − blind", "within_difference": 0.004}
    pair |= {"within_difference_low": -0.007, "within_difference_high": 0.015}
    assert study._in_plain_words(row | pair).endswith(
        ". Within item-knn orig − blind: +0.4 points, interval −0.7 to +1.5."
    )


def test_progress_is_a_line_a_minute_where_nobody_looks(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr(study.time, "monotonic", lambda: now[0])
    progress = study.Progress()
    for now[0] in (1.0, 59.0, 61.0, 100.0, 122.0):
        progress.show(f"at {now[0]:.0f} s")
    assert capsys.readouterr().err == "at 61 s\nat 122 s\n"
