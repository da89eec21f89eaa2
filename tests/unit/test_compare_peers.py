"""What of the comparison of quality can be tested without a peer: the ranks of run files, the
trials, the early stop, going on, the messages, and the reference SASRec.
"""

import importlib
import json
import math
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from examples import ROOT, cyclic_sessions, random_sessions, settings_of, write_part
from skipwise.evaluation.run_files import ranks_of_run
from skipwise.models.sasrec import SASRec
from skipwise.ranking.metrics import summarise
from skipwise.sessions.sequences import Sequences

N_TRACKS = 40


@pytest.fixture
def tool(monkeypatch):
    """Import a file of tools/ or tools/peers/ by its name."""
    for folder in ("tools", "tools/peers"):
        monkeypatch.syspath_prepend(ROOT / folder)
    return importlib.import_module


def contexts(quality, tracks, targets):
    return quality.Contexts(np.arange(1, len(tracks) + 1), tracks, np.array(targets))


def run(quality, rows):
    return quality.Run(*map(np.array, zip(*rows, strict=True)))


@pytest.fixture
def results(tmp_path):
    """A results folder with the split of a data set of random sessions."""
    folder = tmp_path / "splits/dataset=tiny/split=paper"
    for seed, part in enumerate(("train", "valid", "test")):
        write_part(random_sessions(30, N_TRACKS, seed=seed), part, folder / f"{part}.parquet")
    sessions = tmp_path / "sessions/dataset=tiny"
    sessions.mkdir(parents=True)
    pq.write_table(pa.table({"track_id": range(1, N_TRACKS + 1)}), sessions / "tracks.parquet")
    return tmp_path


def random_run(quality, asked, seed):
    scores = np.random.default_rng(seed).integers(0, 90, (len(asked), N_TRACKS)).astype(float)
    return quality.best(asked.sessions, scores, np.arange(1, N_TRACKS + 1), top=25)


def test_the_metrics_of_a_run_in_both_candidate_sets(tool):
    quality = tool("quality")
    tracks, targets = [[1, 2], [3, 4], [5, 6], [7]], [3, 3, 9, 1]
    asked = contexts(quality, tracks, targets)
    found = run(
        quality,
        [
            *[(1, 1, 9.0), (1, 2, 8.0), (1, 3, 7.0), (1, 4, 7.0), (1, 5, 6.0)],  # 4; new: 2
            *[(2, 3, 9.0), (2, 4, 8.0)],  # 1, a repeat
            *[(3, 5, 1.0), (3, 8, 0.5)],  # its target is not in the run
        ],  # session 4 is not in the run
    )
    ranks, counts = quality.ranks(found, asked, "full")
    assert ranks.tolist() == [4, 1, 0, 0]
    assert counts.all()
    assert quality.metrics(found, asked, "full") == {
        "sessions": 4,
        "left_out": 0,
        "hr_10": 2 / 4,
        "ndcg_10": pytest.approx((1 / math.log2(5) + 1) / 4),
    }
    ranks, counts = quality.ranks(found, asked, "new")
    assert ranks[counts].tolist() == [2, 0, 0]
    assert quality.metrics(found, asked, "new") == {
        "sessions": 3,
        "left_out": 1,
        "hr_10": pytest.approx(1 / 3),
        "ndcg_10": pytest.approx(1 / math.log2(3) / 3),
    }


def test_a_rank_past_ten_is_a_miss(tool):
    quality = tool("quality")
    asked = contexts(quality, [[1], [1]], [30, 31])
    rows = [(s, t, -float(t)) for s in (1, 2) for t in range(21, 33)]
    assert quality.ranks(run(quality, rows), asked, "full")[0].tolist() == [10, 11]
    found = quality.metrics(run(quality, rows), asked, "full")
    assert (found["hr_10"], found["ndcg_10"]) == (0.5, pytest.approx(0.5 / math.log2(11)))


@pytest.mark.parametrize("seed", range(3))
def test_both_candidate_sets_are_those_of_skipwise_evaluate(tool, results, tmp_path, seed):
    quality, folder = tool("quality"), results / "splits/dataset=tiny/split=paper"
    asked = quality.read(folder / "test.parquet")
    found, path = random_run(quality, asked, seed), tmp_path / "run.parquet"
    quality.write_run(path, found)
    names = {"session": "session_id", "item": "track_id", "score": "score"}
    theirs = ranks_of_run(path, folder / "test.parquet", **names)
    rows = summarise(theirs, {"hr": [10], "ndcg": [10]}).to_pylist()
    for candidates in ("full", "new"):
        ranks, counts = quality.ranks(quality.read_run(path), asked, candidates)
        theirs_here = np.array(theirs[f"rank_{candidates}"].fill_null(0))
        assert ranks[counts].tolist() == theirs_here[counts].tolist()
        ours = quality.metrics(found, asked, candidates)
        found_here = {
            f"{row['metric']}_10": row["value"]
            for row in rows
            if (row["subset"], row["candidates"]) == ("all", candidates)
        }
        for name in ("hr_10", "ndcg_10"):
            assert ours[name] == pytest.approx(found_here[name])


def test_new_is_full_of_a_run_without_the_tracks_of_the_context(tool, results):
    quality = tool("quality")
    asked = quality.read(results / "splits/dataset=tiny/split=paper/test.parquet")
    found = random_run(quality, asked, 1)
    seen = {(s, t) for s, ts in zip(asked.sessions, asked.tracks, strict=True) for t in ts}
    keep = [(s, t) not in seen for s, t in zip(found.sessions, found.tracks, strict=True)]
    without = quality.Run(found.sessions[keep], found.tracks[keep], found.scores[keep])
    ranks, counts = quality.ranks(found, asked, "new")
    assert 0 < counts.sum() < len(counts)
    assert (ranks[counts] == quality.ranks(without, asked, "full")[0][counts]).all()


def test_a_run_file_may_hold_ranks(tool, tmp_path):
    quality = tool("quality")
    asked = contexts(quality, [[1]], [3])
    columns = {"session_id": [1, 1], "track_id": [2, 3], "rank": [1, 2]}
    pq.write_table(pa.table(columns), tmp_path / "run.parquet")
    assert quality.ranks(quality.read_run(tmp_path / "run.parquet"), asked, "full")[0] == [2]


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"session_id": [1], "score": [1.0]}, "no column track_id"),
        ({"session_id": [1], "track_id": [1], "score": [float("nan")]}, "not a finite number"),
        ({"session_id": [7], "track_id": [1], "score": [1.0]}, "session 7 .* not in the split"),
        ({"session_id": [1] * 2, "track_id": [5] * 2, "score": [1.0, 2.0]}, "twice"),
    ],
)
def test_a_wrong_run_file_is_one_clear_error(tool, tmp_path, columns, says):
    quality = tool("quality")
    pq.write_table(pa.table(columns), tmp_path / "run.parquet")
    asked = contexts(quality, [[1]], [3])
    with pytest.raises(ValueError, match=says):
        quality.metrics(quality.read_run(tmp_path / "run.parquet"), asked, "full")


def test_a_data_set_without_repeats_is_chosen_by_new(tool):
    quality, compare = tool("quality"), tool("compare_peers")
    assert compare.headline(contexts(quality, [[1, 2], [2]], [3, 1])) == "new"
    assert compare.headline(contexts(quality, [[1, 2], [2]], [3, 2])) == "full"


def test_trials_are_as_many_for_each_model_and_never_change(tool):
    compare = tool("compare_peers")
    for model in compare.MODELS:
        trials = model.trials(6)
        assert trials == model.trials(6)
        assert len({json.dumps(trial) for trial in trials}) == 6
        assert trials[0] == model.first
        assert model.trials(3) == trials[:3]
        assert all(trial[name] in model.space[name] for trial in trials[1:] for name in model.space)
        assert (ROOT / "tools" / "peers" / model.script).exists()


def test_the_early_stop_keeps_the_best_look(tool, monkeypatch, results):
    quality = tool("quality")
    split = results / "splits/dataset=tiny/split=paper"
    job = quality.Job(split, N_TRACKS, 8, "m", {}, 1, "test", "full", Path("unused"), 1)
    values = iter([0.1, 0.3, 0.2, *[0.3] * 40])
    monkeypatch.setattr(quality, "metrics", lambda *_: {"ndcg_10": next(values)})
    clock = iter(range(0, 1000, 7))  # training and looks take 7 s each
    monkeypatch.setattr(quality.time, "perf_counter", lambda: next(clock))
    asked = []
    looks = quality.EarlyStop(job, lambda contexts: asked.append(contexts) or len(asked))
    stops = [looks.look(epoch) for epoch in range(1, quality.MIN_EPOCHS + 1)]
    assert looks.found()["looks"][:3] == [(1, 7.0, 0.1), (2, 14.0, 0.3), (3, 21.0, 0.2)]
    assert stops == [False] * (quality.MIN_EPOCHS - 1) + [True]
    assert (looks.epoch, looks.value) == (2, 0.3)
    # Epoch 1 predicts the validation and the test contexts, as does epoch 2: its test run is kept.
    assert looks.run == 4
    assert [one is looks.contexts for one in asked[:5]] == [False, True, False, True, False]


class FakeStart:
    """In place of a peer: a run with random scores by the seed of the job."""

    def __init__(self, quality):
        self.quality, self.jobs = quality, []

    def __call__(self, of, model, job, out, threads):
        self.jobs.append((model.peer, job["part"], job["seed"], job["settings"]))
        found = random_run(self.quality, of.contexts[job["part"]], len(self.jobs))
        self.quality.write_run(out, found)
        return {"version": "1.0", "seconds": 2.0}


@pytest.fixture
def compare(tool, monkeypatch, results):
    """The tool without peers, with its jobs in `compare.jobs` and a call in `compare.run`."""
    module = tool("compare_peers")
    fake = FakeStart(tool("quality"))
    monkeypatch.setattr(module, "start", fake)
    monkeypatch.setattr(module, "python_of", lambda *_: Path(sys.executable))
    monkeypatch.setattr(module, "jobs", fake.jobs, raising=False)

    def call(*arguments):
        given = ["--datasets", "tiny", "--results", str(results), "--peers", "implicit"]
        monkeypatch.setattr(sys, "argv", ["compare_peers.py", *given, *arguments])
        with pytest.raises(SystemExit) as ended:
            module.main()
        return ended.value.code

    monkeypatch.setattr(module, "run", call, raising=False)
    return module


def test_a_job_that_is_done_is_not_run_again(compare, results, capsys):
    sizes = ["--quick-trials", "2", "--seeds", "3", "--models", "ALS"]
    assert compare.run(*sizes) == 0
    assert [job[1:3] for job in compare.jobs] == [("valid", 1)] * 2 + [
        ("test", seed) for seed in (1, 2, 3)
    ]
    printed = capsys.readouterr().out
    compare.jobs.clear()
    assert compare.run(*sizes) == 0
    assert compare.jobs == []
    assert capsys.readouterr().out == printed
    folder = results / "peers/dataset=tiny/peer=implicit/model=ALS"
    (run,) = folder.glob("trial=*/seed=2/run.parquet")
    run.unlink()
    assert compare.run(*sizes) == 0
    assert [job[1:3] for job in compare.jobs] == [("test", 2)]
    # A smaller run, which may choose another setting, costs a larger one nothing.
    assert compare.run("--quick-trials", "1", "--seeds", "1", "--models", "ALS") == 0
    compare.jobs.clear()
    assert compare.run(*sizes) == 0
    assert compare.jobs == []
    # Another split is another job.
    compare.jobs.clear()
    folder = results / "splits/dataset=tiny/split=paper"
    write_part(random_sessions(30, N_TRACKS, seed=9), "train", folder / "train.parquet")
    assert compare.run(*sizes) == 0
    assert len(compare.jobs) == 5


def test_the_table_has_the_setting_that_validation_chose_and_both_candidates(
    compare, results, capsys
):
    assert compare.run("--quick-trials", "3", "--seeds", "2") == 0
    folder = results / "peers/dataset=tiny/peer=implicit/model=ALS"
    asked = compare.quality.read(results / "splits/dataset=tiny/split=paper/test.parquet")
    lines = (results / "peers/peers.csv").read_text(encoding="utf-8").splitlines()
    rows = list(compare.csv.DictReader(lines))
    assert [(row["model"], row["candidates"], row["seeds"]) for row in rows] == [
        ("ALS", "full", "2"),
        ("ALS", "new", "2"),
        ("ItemKNN", "full", "1"),
        ("ItemKNN", "new", "1"),
    ]
    valid = compare.quality.read(results / "splits/dataset=tiny/split=paper/valid.parquet")
    of_trials = [
        compare.quality.metrics(
            compare.quality.read_run(folder / f"trial={i}/run.parquet"), valid, "full"
        )["ndcg_10"]
        for i in range(3)
    ]
    model = next(model for model in compare.MODELS if model.name == "ALS")
    chosen = int(np.argmax(of_trials))
    assert json.loads(rows[0]["settings"]) == model.trials(3)[chosen]
    assert float(rows[0]["valid_ndcg_10"]) == pytest.approx(of_trials[chosen])
    of_seeds = [
        compare.quality.metrics(
            compare.quality.read_run(folder / f"trial={chosen}/seed={seed}/run.parquet"),
            asked,
            "new",
        )["hr_10"]
        for seed in (1, 2)
    ]
    assert float(rows[1]["hr_10"]) == pytest.approx(sum(of_seeds) / 2)
    assert float(rows[1]["hr_10_sd"]) == pytest.approx(abs(of_seeds[0] - of_seeds[1]) / 2**0.5)
    assert int(rows[1]["sessions"]) + int(rows[1]["left_out"]) == 30
    assert rows[2]["hr_10_sd"] == ""
    assert "| tiny | implicit | 1.0 | ALS |" in capsys.readouterr().out


def test_a_missing_environment_is_one_clear_line(tool, monkeypatch, tmp_path):
    compare = tool("compare_peers")
    monkeypatch.setattr(compare, "ROOT", tmp_path)
    monkeypatch.setattr(sys, "argv", ["compare_peers.py"])
    with pytest.raises(SystemExit) as ended:
        compare.main()
    assert ended.value.code == (
        f"rectools: no environment {tmp_path / '.venv-peers' / 'rectools'}; make it with `make "
        ".venv-peers/rectools/.installed`"
    )


def test_a_missing_split_is_one_clear_line(compare):
    said = compare.run("--datasets", "other")
    assert said.startswith("other: no ")
    assert said.endswith(
        "make it with `snakemake --cores 1 results/splits/dataset=other/split=paper/test.parquet`"
    )


def test_what_is_no_split_is_one_clear_line(compare, results):
    (results / "splits/dataset=tiny/split=paper/valid.parquet").write_bytes(b"nothing")
    assert "is not a split of skipwise" in compare.run()
    assert compare.jobs == []


def test_too_few_trials_are_one_clear_line(compare, capsys):
    assert compare.run("--quick-trials", "0") == 2
    assert "--quick-trials is 0; it must be at least 1" in capsys.readouterr().err


def test_a_script_that_fails_is_one_clear_line(tool, results):
    compare = tool("compare_peers")
    of = compare.case("tiny", "paper", results)
    model = compare.Model("implicit", "ItemKNN", "implicit_quality.py", {})
    job = {"settings": {"weighting": "none"}, "seed": 1, "part": "test"}
    job |= {"candidates": "full", "dimension": 8}
    with pytest.raises(
        compare.MissingError, match="^implicit ItemKNN on tiny, {.*}: KeyError: 'none'$"
    ):
        compare.start(of, model, job, results / "run.parquet", 1)


def test_implicit_ranks_a_split(tool, results):
    compare = tool("compare_peers")
    of = compare.case("tiny", "paper", results)
    for model in compare.MODELS:
        if model.peer == "implicit":
            options = {"dimension": 4, "threads": 1}
            found = compare.ran(
                of, model, results / model.name, model.first, seed=1, part="test", options=options
            )
            assert found["full"]["sessions"] == 30
            assert found["version"]


def test_a_peer_that_fails_is_one_clear_line_and_the_others_go_on(
    tool, compare, monkeypatch, capsys
):
    working = compare.start

    def start(of, model, *rest):
        if model.name == "ALS":
            raise compare.MissingError("implicit ALS on tiny, {}: out of luck")
        return working(of, model, *rest)

    monkeypatch.setattr(compare, "start", start)
    assert compare.run("--quick-trials", "1") == 1
    # One setting leaves nothing to choose by the validation data.
    assert [job[:3] for job in compare.jobs] == [("implicit", "test", 1)]
    printed = capsys.readouterr()
    assert "implicit ALS on tiny, {}: out of luck" in printed.err.splitlines()
    assert "| tiny | implicit | 1.0 | ItemKNN |" in printed.out


def on_a_circle(tool, script, tmp_path, settings):
    """The looks of a script's SASRec after some epochs on a circle of tracks."""
    sessions = cyclic_sessions(60, 10, seed=1)
    for part in ("train", "valid", "test"):
        write_part(sessions, part, tmp_path / f"{part}.parquet")
    quality = tool("quality")
    job = quality.Job(tmp_path, 10, 16, "SASRec", settings, 1, "test", "full", Path("unused"), 1)
    return tool(script).fitted(job)


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_the_reference_learns_what_can_be_learnt(tool, monkeypatch, tmp_path, norm):
    quality = tool("quality")
    monkeypatch.setattr(quality, "MOST_EPOCHS", 30)
    settings = {"norm": norm, "layers": 1, "learning_rate": 0.01}
    looks = on_a_circle(tool, "reference_sasrec", tmp_path, settings)
    ranks, _ = quality.ranks(looks.run, looks.contexts, "full")
    assert (ranks == 1).mean() > 0.9


def test_the_reference_sees_no_later_track_and_no_padding(tool):
    module = tool("reference_sasrec")
    torch.manual_seed(1)
    model = module.SASRec(20, 8, module.DEFAULTS).eval()
    first = model(torch.tensor([[1, 2, 3, 4]]))
    assert torch.allclose(first[:, :3], model(torch.tensor([[1, 2, 3, 9]]))[:, :3], atol=1e-6)
    assert not torch.allclose(first[:, 3], model(torch.tensor([[1, 2, 3, 9]]))[:, 3], atol=1e-3)
    padded = model(module.padded([[1, 2, 3, 4], [5, 6, 7, 8, 9, 10]]))[0]
    assert torch.allclose(padded[2:], first[0], atol=1e-6)


def test_our_looks_are_the_validation_of_the_product(tool, monkeypatch, tmp_path):
    quality = tool("quality")
    monkeypatch.setattr(quality, "MOST_EPOCHS", 6)
    settings = settings_of("sasrec", "blind") | {"max_epochs": 6, "min_epochs": 6}
    looks = on_a_circle(tool, "skipwise_quality", tmp_path, settings)
    model = SASRec(10, settings)
    valid = Sequences.read("valid", tmp_path / "valid.parquet")
    history = model.fit(
        Sequences.read("train", tmp_path / "train.parquet"), valid, seed=1, threads=1
    )
    assert [value for _, _, value in looks.looks] == pytest.approx(
        [row["valid_ndcg_10"] for row in history]
    )
    seconds = [taken for _, taken, _ in looks.looks]
    assert seconds == sorted(seconds)


def told(valid, *looks):
    """The answer of a training with looks of one epoch each."""
    looks = [[epoch, *look] for epoch, look in enumerate(looks, 1)]
    return {"version": "1", "valid": valid, "epochs": 1, "looks": looks}


def test_time_to_quality_is_that_of_the_best_peer_s_worst_round(tool):
    time_to = tool("time_to_quality")
    found = {
        ("skipwise", "SASRec"): [told(0.9, (1.0, 0.3), (2.0, 0.9)), told(0.5, (3.0, 0.5))],
        ("a", "SASRec"): [told(0.6, (8.0, 0.6)), told(0.5, (4.0, 0.4), (8.0, 0.5))],
        ("b", "SASRec"): [told(0.8, (2.0, 0.8)), told(0.4, (2.0, 0.4))],
        ("c", "GRU4Rec"): [told(0.3, (1.0, 0.3)), told(0.3, (1.0, 0.3))],
    }
    assert time_to.quality_of(found) == (("a", "SASRec"), 0.5)
    of = tool("compare_peers").Case("tiny", Path("unused"), 1, "full", "", {})
    rows = {row["peer"]: row for row in time_to.rows(of, found)}
    assert {name: row["rounds"] for name, row in rows.items()} == {
        "skipwise": [2.0, 3.0],
        "a": [8.0, 8.0],
        "b": [2.0, None],
        "c": [None, None],
    }
    assert rows["skipwise"]["seconds"] == 2.5
    assert [rows[name]["seconds"] for name in "abc"] == [8.0, None, None]
    assert rows["a"]["is_best_peer"]
    assert rows["a"]["epoch_seconds"] == 6.0
    assert "| .7000 | 2.0 | 2.5 | 2.0, 3.0 | 0.31 |" in time_to.table(list(rows.values()))


def test_time_to_quality_trains_in_turn_with_the_chosen_settings(
    tool, monkeypatch, results, capsys
):
    time_to, compare = tool("time_to_quality"), tool("compare_peers")
    jobs = []

    def start(of, model, job, out, threads):
        jobs.append((model.peer, model.name, job["seed"], job["settings"]))
        random = random_run(tool("quality"), of.contexts["valid"], len(jobs))
        tool("quality").write_run(out, random)
        return told(0.5, (1.0, 0.5)) | {"seconds": 1.0}

    monkeypatch.setattr(compare, "start", start)
    monkeypatch.setattr(time_to, "python_of", lambda *_: Path(sys.executable))
    call = ["time_to_quality.py", "--datasets", "tiny", "--results", str(results)]
    monkeypatch.setattr(sys, "argv", [*call, "--rounds", "2", "--trials", "2"])
    with pytest.raises(SystemExit, match="no .*sasrec.*run.json; make it with `snakemake"):
        time_to.main()
    for name in ("sasrec", "gru4rec"):
        folder = results / f"models/dataset=tiny/split=paper/model={name}/variant=blind/seed=1"
        folder.mkdir(parents=True)
        (folder / "run.json").write_text(json.dumps({"settings": {"of": name}}))
    time_to.main()
    models = [(model.peer, model.name) for model in time_to.OURS + time_to.THEIRS]
    n = 2 * len(models)
    assert [job[:3] for job in jobs[-n:]] == [(*model, seed) for seed in (1, 2) for model in models]
    assert jobs[-n][3] == {"of": "sasrec"}
    for peer, name, _, settings in jobs[-n:]:
        model = next(
            one for one in time_to.OURS + time_to.THEIRS if (one.peer, one.name) == (peer, name)
        )
        assert peer == "skipwise" or settings in model.trials(2)
    assert "| tiny | skipwise | 1 | SASRec |" in capsys.readouterr().out
    assert (results / "peers/time_to_quality.csv").exists()
    jobs.clear()
    time_to.main()
    assert jobs == []
