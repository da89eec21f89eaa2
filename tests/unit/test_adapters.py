"""Every rule's script calls its function with what Snakemake gives it, and reports a user's mistake
in one line.
"""

import json
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

import pyarrow.parquet as pq
import pytest
from examples import ROOT, SMALL, default_config, settings_of
from skipwise.core.artifacts import read_artifact
from skipwise.core.registry import declared, names
from skipwise.raw.extract import extract_events

SCRIPTS = ROOT / "workflow" / "scripts"
MSSD = default_config(SMALL)["registry"]["mssd-sim"]


class Named(list):
    """A list with names, as Snakemake's input and output are."""

    def __init__(self, *plain, **named):
        super().__init__([*plain, *named.values()])
        self._named = named

    def __getattr__(self, name):
        try:
            return self._named[name]
        except KeyError:
            raise AttributeError(name) from None

    def __getitem__(self, key):
        return self._named[key] if isinstance(key, str) else super().__getitem__(key)

    def items(self):
        return self._named.items()


def run(rule, folder, **given):
    """Run the script of ``rule`` as Snakemake does."""
    sys.path.insert(0, str(SCRIPTS))
    defaults = {
        "input": Named(),
        "output": Named(),
        "params": SimpleNamespace(),
        "wildcards": SimpleNamespace(),
    }
    snakemake = SimpleNamespace(
        log=[str(folder / "log" / f"{rule}.log")],
        rule=rule,
        threads=1,
        resources=SimpleNamespace(mem_mb=1000),
        **(defaults | given),
    )
    try:
        runpy.run_path(str(SCRIPTS / f"{rule}.py"), init_globals={"snakemake": snakemake})
    finally:
        sys.path.remove(str(SCRIPTS))


def timed_events(folder) -> str:
    """Events with times, four users who play on every 200 seconds."""
    plays = "user,track,at\n" + "".join(
        f"u{i % 4},t{i % 7},{1_600_000_000 + 50 * i}\n" for i in range(400)
    )
    (folder / "plays.csv").write_text(plays)
    entry = {"form": "events", "columns": {"user": "user", "track": "track", "time": "at"}}
    extract_events(
        folder / "plays.csv", folder / "timed.parquet", folder / "timed.json", entry=entry
    )
    return str(folder / "timed.parquet")


def test_every_rule_has_a_script_that_the_test_runs(tmp_path):
    keys = "dataset=mssd-sim/split=paper/model=sasrec/variant=contrastive-item/seed=1"
    wildcards = SimpleNamespace(
        dataset="mssd-sim",
        split="paper",
        model="sasrec",
        variant="contrastive-item",
        seed="1",
        shard="training_set_0",
        part="0",
    )

    def at(path):
        return str(tmp_path / path)

    def made(kind, name, *formats):
        return Named(**{suffix: at(f"{kind}/{name}.{suffix}") for suffix in formats})

    split = {
        part: at(f"dataset=mssd-sim/split=paper/{part}.parquet")
        for part in ("train", "valid", "test")
    }
    model = {
        "weights": at(f"models/{keys}/model.safetensors"),
        "history": at(f"models/{keys}/history.parquet"),
        "run": at(f"models/{keys}/run.json"),
    }
    stats = at("dataset=mssd-sim/stats.json")
    split_stats = at("dataset=mssd-sim/split=paper/split.json")
    config = default_config(SMALL)
    ranks = [at(f"{keys}/ranks.parquet")]
    found = {name: at(f"tuning/{keys}/{name}") for name in ("trials.parquet", "best.json")}
    results = str(ROOT / "resources" / "paper_results.csv")
    sessions = config["sessions"] | {"n_sessions": 150}
    recipe = {"dataset": "mssd-sim", "skip_rule": MSSD["skip_rule"], "sessions": sessions}
    settings = config | {
        "references": {"sasrec": {"orig": "blind", "contrastive-item": "orig"}},
        "controls": {"sasrec": {}},
        "simulated": ["mssd-sim"],
        "worlds": {"mssd-sim": ["near", "Labels add little."]},
        "forms": {"mssd-sim": "mssd"},
        "queries": {"sasrec": {"contrastive-item": "item"}},
        "sources": {keys.rpartition("/")[0]: "tuned, 2 trials"},
        "registry": config["registry"] | {"mine": {}},
    }
    calls = {
        "simulate_raw": {
            "output": Named(at("training_set_0.tar.gz")),
            "params": SimpleNamespace(
                form="mssd", simulation=MSSD["simulation"] | {"sessions": 200, "tracks": 60}
            ),
        },
        "extract_events": {
            "input": Named(raw=at("training_set_0.tar.gz")),
            "output": Named(
                events=at("events.parquet"),
                source=at("source.json"),
                rejected=at("rejected.parquet"),
            ),
            "params": SimpleNamespace(entry={"form": "mssd"}, tolerance=0.001, checksums=None),
        },
        "label_sessions": {
            "input": Named(events=[at("events.parquet")], lengths=[]),
            "output": Named(labelled=at("labelled.parquet"), counts=at("counts.json")),
            "params": SimpleNamespace(recipe=recipe),
        },
        "sample_sessions": {
            "input": Named(
                labelled=[at("labelled.parquet")],
                counts=[at("counts.json")],
                sources=[at("source.json")],
            ),
            "output": Named(
                sessions=at("dataset=mssd-sim/sessions.parquet"),
                tracks=at("tracks.parquet"),
                session_keys=at("keys.parquet"),
                stats=stats,
            ),
            "params": SimpleNamespace(recipe=recipe),
        },
        # Skips that are derived from time: from plays of the form events.
        "count_gaps": {
            "input": Named(events=[timed_events(tmp_path)]),
            "output": Named(
                gaps=at("dataset=mine/gaps.parquet"),
                gap_sessions=at("dataset=mine/gap_sessions.parquet"),
            ),
            "params": SimpleNamespace(
                recipe={"dataset": "mine", "session_gap": 1200}, session_gaps=[900, 1200]
            ),
        },
        "measure_tracks": {
            "input": Named(gaps=[at("dataset=mine/gaps.parquet")]),
            "output": Named(at("lengths.parquet")),
            "params": SimpleNamespace(
                recipe={
                    "dataset": "mine",
                    "skip_rule": {"name": "length_margin", "min_support": 3},
                    "session_gap": 1200,
                }
            ),
        },
        "split_sessions": {
            "input": Named(
                sessions=at("dataset=mssd-sim/sessions.parquet"), session_keys=at("keys.parquet")
            ),
            "output": Named(**split, stats=split_stats),
            "params": SimpleNamespace(parameters={}, headline="auto"),
        },
        "measure_headroom": {
            "input": Named(
                test=split["test"], tracks=at("tracks.parquet"), session_keys=at("keys.parquet")
            ),
            "output": Named(at("dataset=mssd-sim/split=paper/truth.parquet")),
            "params": SimpleNamespace(
                simulation=MSSD["simulation"] | {"sessions": 200, "tracks": 60},
                headroom={"sessions": 10, "particles": 8, "seed": 1},
            ),
        },
        "search_settings": {
            "input": Named(
                tracks=at("tracks.parquet"), split=split_stats, first=[], code=[__file__], **split
            ),
            "output": Named(trials=found["trials.parquet"], best=found["best.json"]),
            "params": SimpleNamespace(
                search={
                    "recommender": "sasrec",
                    "settings": settings_of("sasrec", "contrastive-item") | {"max_epochs": 1},
                    "space": {"tau": {"low": 0.1, "high": 1.0}},
                    "seed": 1,
                    "validation_sessions": 50,
                },
                trials=2,
            ),
        },
        "collect_settings": {
            "input": Named(best=[found["best.json"]]),
            "output": Named(at("tuning/mssd-sim.yaml")),
            "params": SimpleNamespace(seed=0, command="snakemake tune"),
        },
        "train_model": {
            "input": Named(
                tracks=at("tracks.parquet"),
                best=found["best.json"],
                split=split_stats,
                code=[__file__],
                **split,
            ),
            "output": Named(
                ranks=at(f"{keys}/ranks.parquet"),
                cosines=at(f"{keys}/cosines.parquet"),
                **model,
            ),
            "params": SimpleNamespace(
                recommender="sasrec",
                settings=settings_of("sasrec", "contrastive-item") | {"max_epochs": 1},
                settings_source="tuned, 2 trials",
                validation_sessions=50,
                candidates={"sampled": 20, "seed": 1, "rank_cutoff": 20},
            ),
        },
        "probe_model": {
            "input": Named(weights=model["weights"], train=split["train"], test=split["test"]),
            "output": Named(
                released=at(f"{keys}/released.parquet"), responses=at(f"{keys}/responses.parquet")
            ),
            "params": SimpleNamespace(candidates={"sampled": 50, "seed": 1}),
        },
        "compute_metrics": {
            "input": Named(ranks=at(f"{keys}/ranks.parquet")),
            "output": Named(at(f"{keys}/metrics.parquet")),
            "params": SimpleNamespace(cutoffs=config["metrics"]),
        },
        "record_provenance": {
            "input": Named(runs=[model["run"]], stats=[stats]),
            "output": Named(at("provenance.json")),
            "params": SimpleNamespace(config=config),
        },
    }
    for rule, given in calls.items():
        run(rule, tmp_path, wildcards=wildcards, **given)

    # Every table and figure from what it declares; tables that others need come first.
    needs = {
        "ranks": ranks,
        "metrics": [at(f"{keys}/metrics.parquet")],
        "history": [model["history"]],
        "run": [model["run"]],
        "cosines": [at(f"{keys}/cosines.parquet")],
        "stats": [stats],
        "split": [split_stats],
        "sessions": [at("dataset=mssd-sim/sessions.parquet")],
        "test": [split["test"]],
        "gaps": [at("dataset=mine/gaps.parquet")],
        "gap_sessions": [at("dataset=mine/gap_sessions.parquet")],
        "trials": [found["trials.parquet"]],
        "best": [found["best.json"]],
        "truth": [at("dataset=mssd-sim/split=paper/truth.parquet")],
        "released": [at(f"{keys}/released.parquet")],
        "responses": [at(f"{keys}/responses.parquet")],
        "papers": results,
        "claims": [],
        "skip_rules": [],
    }
    tables = {name: at(f"table/{name}.parquet") for name in names("table")}
    needed = {name: declared("table", name)["NEEDS"] for name in tables}
    for kind, rule, formats in (
        ("table", "make_table", ("csv", "parquet", "html", "tex")),
        ("figure", "plot_figure", ("svg", "parquet")),
    ):
        for name in sorted(names(kind), key=lambda name: bool({*needed.get(name, ())} & {*tables})):
            its = declared(kind, name)
            given = {need: (needs | tables)[need] for need in its["NEEDS"]}
            run(
                rule,
                tmp_path,
                wildcards=SimpleNamespace(**{kind: name}),
                input=Named(**given, code=[__file__]),
                output=made(kind, name, *formats),
                params=SimpleNamespace(
                    settings={key: settings[key] for key in its.get("SETTINGS", ())}
                ),
            )
        calls[rule] = {}
    scripts = {path.stem for path in SCRIPTS.glob("*.py")}
    assert scripts - calls.keys() == {"retrieve_raw"}  # which tests/workflow runs against a server
    assert (
        json.loads((tmp_path / "models" / keys / "run.json").read_text())["variant"]
        == "contrastive-item"
    )
    assert read_artifact("ranks", at(f"{keys}/ranks.parquet")).num_rows > 100
    shown = pq.read_table(at("figure/query_cosines.parquet"))["to"].to_pylist()
    assert shown == ["next-positive", "skips"]
    assert "SIMULATED" in (tmp_path / "table/hr_ndcg.html").read_text().upper()
    assert "trial 1 complete, 2 of 2" in (tmp_path / "log" / "search_settings.log").read_text()
    assert "contrastive-item:" in (tmp_path / "tuning/mssd-sim.yaml").read_text()
    best = json.loads(Path(found["best.json"]).read_text())["settings"]
    assert json.loads(Path(model["run"]).read_text())["settings"]["tau"] == best["tau"]
    assert (tmp_path / "log" / "train_model.log").read_text().count("epoch 1 of at most 1") == 1


def test_a_users_mistake_is_one_line_and_a_status(tmp_path, capfd):
    (tmp_path / "log_mini.csv").write_text("session_id,position\n1,2\n")
    with pytest.raises(SystemExit) as end:
        run(
            "extract_events",
            tmp_path,
            input=Named(raw=str(tmp_path / "log_mini.csv")),
            output=Named(
                **{name: str(tmp_path / name) for name in ("source", "rejected")},
                events=str(tmp_path / "events.parquet"),
            ),
            params=SimpleNamespace(entry={"form": "mssd"}, tolerance=0.001, checksums=None),
        )
    assert end.value.code == 1
    shown = capfd.readouterr().err.strip().splitlines()
    assert len(shown) == 1
    assert "log_mini.csv has no column 'session_position'; did you mean 'session_id'?" in shown[0]
    assert not (tmp_path / "events.parquet").exists()


def test_an_error_of_ours_is_reported_with_its_traceback(tmp_path, capfd):
    with pytest.raises(KeyError):
        run(
            "compute_metrics",
            tmp_path,
            params=SimpleNamespace(cutoffs={}),
            input=Named(ranks="x"),
            output={},
        )
    assert "an error of skipwise" in (tmp_path / "log" / "compute_metrics.log").read_text()
