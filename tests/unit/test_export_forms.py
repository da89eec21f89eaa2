"""Results in the forms of other tools: read by trec_eval, by our own readers, and by hand."""

import csv
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import pytrec_eval
from examples import default_config, random_sessions, sequences, settings_of, splits_of, write_part
from skipwise.commands import export
from skipwise.commands.cli import main
from skipwise.core.artifacts import read_artifact, read_json, write_artifact
from skipwise.core.errors import UserError
from skipwise.evaluation.rank_sessions import rank_test_sessions
from skipwise.evaluation.run_files import ranks_of_run
from skipwise.ranking.metrics import CUTOFFS, summarise
from skipwise.raw.extract import extract_events
from skipwise.report.tables import recsys24_main
from skipwise.report.write import write_table
from skipwise.sessions.sequences import Sequences
from skipwise.training.saved import load_model
from skipwise.training.train import train_model

N = 40
RUN = "dataset=toy/split=paper/model={}/variant=orig/seed=1"
SPLIT = "dataset=toy/split=paper"


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    """Random sessions, and on them a model whose scores all differ and one with many equal."""
    folder = tmp_path_factory.mktemp("it's results")
    names = ("train", "valid", "test")
    parts = {part: str(folder / "splits" / SPLIT / f"{part}.parquet") for part in names}
    for seed, (part, path) in enumerate(parts.items()):
        write_part(random_sessions(60, N, seed=seed), part, path)
    tracks = folder / "sessions/dataset=toy/tracks.parquet"
    keys = [f"artist {i}\ttitle" for i in range(1, N + 1)]
    counts = {"n_plays": [1] * N, "n_skips": [0] * N}
    write_artifact(
        pa.table({"track_id": range(1, N + 1), "track_key": keys, **counts}), "tracks", tracks
    )
    (split,) = splits_of(list(parts.values()))
    for model in ("sasrec", "markov"):
        settings = settings_of(model, "orig") | ({"max_epochs": 1} if model == "sasrec" else {})
        train_model(
            parts["train"], parts["valid"], str(tracks), split,
            folder / "models" / RUN.format(model), model=model, recommender=model, variant="orig",
            settings=settings, seed=1, threads=1,
        )  # fmt: skip
    return folder


def ranks(results: Path, model: str) -> pa.Table:
    """The ranks of the workflow."""
    test = Sequences.read("test", results / "splits" / SPLIT / "test.parquet")
    fitted = load_model(results / "models" / RUN.format(model))
    return rank_test_sessions(fitted, test, np.zeros(N + 1, int), candidates=5, seed=1)


@pytest.mark.parametrize("candidates", ["full", "new"])
def test_trec_eval_gives_our_metrics(results, tmp_path, candidates):
    folder = results / "models" / RUN.format("sasrec")
    written = list(export.export_trec(folder, tmp_path, candidates=candidates))
    run_file, *qrels = written
    assert run_file == tmp_path / "trec" / RUN.format("sasrec") / "run.txt"
    assert [path.name for path in qrels] == ["qrels.full.txt", "qrels.new.txt"]
    with open(run_file, encoding="utf-8") as file:
        lists = pytrec_eval.parse_run(file)
    assert all(len(set(scores.values())) == len(scores) for scores in lists.values())
    with open(qrels[candidates == "new"], encoding="utf-8") as file:
        judged = pytrec_eval.parse_qrel(file)
    names = {"hr": "success", "ndcg": "ndcg_cut", "map": "map_cut"}
    wanted = {f"{names[metric]}.{','.join(map(str, CUTOFFS[metric]))}" for metric in names}
    theirs = pytrec_eval.RelevanceEvaluator(judged, wanted).evaluate(lists)
    ours = pl.DataFrame(summarise(ranks(results, "sasrec"), CUTOFFS)).filter(
        candidates=candidates, subset="all"
    )
    compared = 0
    for metric, name in names.items():
        for k in CUTOFFS[metric]:
            value = ours.filter(metric=metric, k=k)["value"].item()
            mean = np.mean([of_session[f"{name}_{k}"] for of_session in theirs.values()])
            assert mean == pytest.approx(value, abs=1e-6), (metric, k)
            compared += 0 < value < 1
    assert compared >= 6
    # New: sessions whose target is in the context are not judged, and no list has such a track.
    assert (len(judged) < 60) == (candidates == "new")


def test_our_reader_gets_the_same_ranks_also_of_equal_scores(results, tmp_path):
    folder = results / "models" / RUN.format("markov")
    path, *_ = export.export_trec(folder, tmp_path, candidates="full")
    names = ["session", "zero", "item", "place", "score", "tag"]
    rows = pl.read_csv(path, separator=" ", has_header=False, new_columns=names)
    assert rows["tag"].unique().to_list() == ["markov-orig-1"]
    assert rows.select("session", "score").is_duplicated().any()
    assert rows.group_by("session").len()["len"].unique().to_list() == [N]
    rows.write_csv(tmp_path / "run.csv")
    test = results / "splits" / SPLIT / "test.parquet"
    read = ranks_of_run(tmp_path / "run.csv", test, session="session", item="item", score="score")
    ours = ranks(results, "markov")
    for column in ("rank_full", "rank_new", "skip_ranks_full", "skip_outranks"):
        assert read[column].to_pylist() == ours[column].to_pylist(), column


def test_all_models_of_the_results_and_no_checkpoint(results, tmp_path):
    kept = results / "checkpoints" / RUN.format("markov").replace("/", ",") / "run.json"
    kept.parent.mkdir(parents=True)
    kept.write_bytes((results / "models" / RUN.format("markov") / "run.json").read_bytes())
    written = list(export.export_trec(results, tmp_path, depth=1))
    assert [path.relative_to(tmp_path / "trec" / SPLIT).parts[0] for path in written] == [
        *("model=markov", "qrels.full.txt", "qrels.new.txt", "model=sasrec"),
    ]


def write_empty_table(results):
    outputs = {
        kind: str(results / f"tables/recsys24_main.{kind}")
        for kind in ("csv", "parquet", "html", "tex")
    }
    note = "How to read it."
    write_table([], recsys24_main.COLUMNS, outputs, title=recsys24_main.TITLE, note=note)


def test_a_model_of_another_split_is_left_out(results, tmp_path, caplog):
    copy = tmp_path / "results"
    shutil.copytree(results, copy)
    run = copy / "models" / RUN.format("sasrec") / "run.json"
    read = json.loads(run.read_text())
    run.write_text(json.dumps(read | {"data": read["data"] | {"train": "0" * 64}}))
    written = list(export.export_trec(copy, tmp_path / "out", depth=1))
    assert not [path for path in written if "model=sasrec" in str(path)]
    assert "it was trained on another" in caplog.text
    write_empty_table(copy)
    resources = read_json(export.export_datapackage(copy))["resources"]
    (history,) = (its["path"] for its in resources if its["name"] == "history")
    assert "model=markov" in history
    with pytest.raises(UserError, match="has no model of the splits that are there"):
        list(export.export_trec(run.parent, tmp_path / "none", depth=1))


def test_a_run_has_the_best_tracks_only(results, tmp_path):
    first, *_ = export.export_trec(results / "models", tmp_path, depth=3)
    lines = first.read_text(encoding="utf-8").splitlines()
    assert len(lines) == 60 * 3
    assert [line.split(" ")[3] for line in lines[:4]] == ["1", "2", "3", "1"]


def test_recbole_plays_come_back_by_the_recbole_entry(results, tmp_path):
    """Labels too: listened, skipped and unknown."""
    train = tmp_path / "results/splits" / SPLIT / "train.parquet"
    sessions = sequences([[1, 2, 3, 1], [4, 5]], [[False, True, None, True], [None, False]])
    for part in ("train", "valid", "test"):
        write_part(sessions, part, train.with_name(f"{part}.parquet"))
    tracks = tmp_path / "results/sessions/dataset=toy/tracks.parquet"
    tracks.parent.mkdir(parents=True)
    tracks.write_bytes((results / "sessions/dataset=toy/tracks.parquet").read_bytes())
    list(export.export_recbole(tmp_path / "results", tmp_path))
    file = tmp_path / "recbole" / SPLIT / "toy/toy.inter"
    entry = default_config()["registry"]["recbole"]
    entry |= {"parts": 1, "skipped_when": "skipped:float >= 1"}
    extract_events(file, tmp_path / "e", tmp_path / "s", tmp_path / "r", entry=entry)
    events = pl.DataFrame(read_artifact("events", tmp_path / "e"))
    read = events.sort("session_key", "position").group_by("session_key", maintain_order=True)
    read = read.agg("track_key", "skipped")
    assert read["track_key"].to_list() == [["1", "2", "3", "1"], ["4", "5"]]
    assert read["skipped"].to_list() == [[False, True, None, True], [None, False]]
    assert len(read_artifact("rejected", tmp_path / "r")) == 0


def test_recbole_cases_are_a_prediction_each(tmp_path, results):
    parts = results.parent / "small/splits" / SPLIT
    write_part(sequences([[1, 2, 3]], [[False, True, None]]), "train", parts / "train.parquet")
    for part in ("valid", "test"):
        held_out = sequences([[1, 2, 3]], [[False, True, None]], targets=[7], unseen=[[8]])
        write_part(held_out, part, parts / f"{part}.parquet")
    tracks = results.parent / "small/sessions/dataset=toy/tracks.parquet"
    tracks.parent.mkdir(parents=True)
    tracks.write_bytes((results / "sessions/dataset=toy/tracks.parquet").read_bytes())
    written = list(export.export_recbole(parts, tmp_path))
    assert [path.name for path in written] == [
        *("toy.inter", "toy.train.inter", "toy.valid.inter", "toy.test.inter", "toy.item"),
    ]
    head = (
        "user_id:token\titem_id_list:token_seq\tskipped_list:float_seq\titem_id:token\t"
        "skipped:float\n"
    )
    texts = [path.read_text(encoding="utf-8") for path in written]
    assert texts[1] == head + "1\t1\t0\t2\t1\n1\t1 2\t0 1\t3\t\n"
    assert texts[2] == texts[3] == head + "1\t1 2 3\t0 1 nan\t7\t0\n"
    assert texts[4].splitlines()[:2] == ["item_id:token\ttrack_key:token", "1\tartist 1 title"]
    assert len(texts[4].splitlines()) == 1 + N


def test_a_data_package_says_what_is_in_each_file(results):
    write_empty_table(results)
    package = read_json(export.export_datapackage(results))
    resources = {resource["name"]: resource for resource in package["resources"]}
    assert {"recsys24-main", "train", "test", "tracks", "history"} <= resources.keys()
    for resource in resources.values():
        found = resource["path"] if isinstance(resource["path"], list) else [resource["path"]]
        fields = [field["name"] for field in resource["schema"]["fields"]]
        for path in found:
            assert not path.startswith("/")
            file = results / path
            if resource["format"] == "csv":
                with open(file, encoding="utf-8", newline="") as rows:
                    assert next(csv.reader(rows)) == fields
            else:
                assert pq.read_schema(file).names == fields
    assert len(resources["history"]["path"]) == 2
    assert resources["tracks"]["schema"]["primaryKey"] == ["track_id"]
    kinds = {field["name"]: field for field in resources["test"]["schema"]["fields"]}
    assert kinds["session_id"] == {
        "name": "session_id",
        "type": "integer",
        "constraints": {"required": True},
    }
    assert (kinds["tracks"]["type"], kinds["time"]["type"]) == ("list", "number")
    explained = {
        f["name"]: f["description"] for f in resources["recsys24-main"]["schema"]["fields"]
    }
    assert all(explained.values())
    assert explained["difference_low"] == "Lower limit of the interval of difference."
    assert resources["recsys24-main"]["title"] == recsys24_main.TITLE


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{empty}", "--form", "trec"], "holds no trained model; name the folder of the results"),
        (["{empty}", "--form", "recbole"], "holds no split; name the folder of the results"),
        (["{empty}", "--form", "datapackage"], "has no tables/*.csv"),
        (["{results}", "--form", "recbole", "--depth", "3"], "--depth and --candidates are for"),
        (["{results}", "--form", "datapackage", "--out", "x"], "no --out for it"),
    ],
)
def test_a_mistake_is_one_line(results, tmp_path, monkeypatch, capsys, arguments, message):
    named = [a.format(results=results, empty=tmp_path) for a in arguments]
    monkeypatch.setattr(sys, "argv", ["skipwise", "export", *named])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_the_command_prints_the_files_that_it_wrote(results, tmp_path, monkeypatch, capsys):
    folder = results / "models" / RUN.format("markov")
    named = ["export", folder, "--form", "trec", "--depth", "2", "--out", tmp_path]
    monkeypatch.setattr(sys, "argv", ["skipwise", *map(str, named)])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 0
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 3
    assert all(Path(path).is_file() for path in printed)
