"""Every rule's script calls its function with what Snakemake gives it, and reports a user's mistake
in one line.
"""

import json
import runpy
import sys
from types import SimpleNamespace

import pytest
from examples import ROOT, SMALL, default_config, settings_of
from skipwise.core.artifacts import read_artifact
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
        trial="1",
        part="0",
    )

    def at(path):
        return str(tmp_path / path)

    def figure(name):
        return Named(svg=at(f"{name}.svg"), parquet=at(f"{name}.parquet"))

    tables = {
        name: {suffix: at(f"{name}.{suffix}") for suffix in ("csv", "parquet", "html", "tex")}
        for name in (
            "hr_ndcg",
            "datasets",
            "murs23_context",
            "recsys24_main",
            "skip_downranking",
            "by_skip_share",
            "paper_comparison",
            "findings",
            "tuning",
            "lfm_skip_rules",
        )
    }
    split = {part: at(f"{part}.parquet") for part in ("train", "valid", "test")}
    model = {
        "weights": at(f"models/{keys}/model.safetensors"),
        "history": at(f"models/{keys}/history.parquet"),
        "run": at(f"models/{keys}/run.json"),
    }
    stats = at("dataset=mssd-sim/stats.json")
    split_stats = at("dataset=mssd-sim/split.json")
    config = default_config(SMALL)
    ranks = [at(f"{keys}/ranks.parquet")]
    trial = {name: at(f"{keys}/trial=1/{name}") for name in ("history.parquet", "trial.json")}
    common = {"simulated": ["mssd-sim"], "intervals": config["intervals"]}
    papers, forms = config["papers"], {"mssd-sim": "mssd"}
    results = str(ROOT / "resources" / "paper_results.csv")
    sampling = {
        "skip_rule": MSSD["skip_rule"],
        "session_gap": None,
        "sessions": config["sessions"] | {"n_sessions": 150},
        "keep_share": None,
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
            "params": SimpleNamespace(entry={"form": "mssd"}, tolerance=0.001),
        },
        "label_sessions": {
            "input": Named(events=[at("events.parquet")], lengths=[]),
            "output": Named(labelled=at("labelled.parquet"), counts=at("counts.json")),
            "params": SimpleNamespace(**sampling),
        },
        "sample_sessions": {
            "input": Named(
                labelled=[at("labelled.parquet")],
                counts=[at("counts.json")],
                sources=[at("source.json")],
            ),
            "output": Named(
                sessions=at("sessions.parquet"),
                tracks=at("tracks.parquet"),
                session_keys=at("keys.parquet"),
                stats=stats,
            ),
            "params": SimpleNamespace(**sampling),
        },
        # Skips that are told from time: from plays of the form events, beside the simulated
        # sessions.
        "count_gaps": {
            "input": Named(events=[timed_events(tmp_path)]),
            "output": Named(
                gaps=at("dataset=mine/gaps.parquet"),
                gap_sessions=at("dataset=mine/gap_sessions.parquet"),
            ),
            "params": SimpleNamespace(session_gap=1200, session_gaps=[900, 1200]),
        },
        "measure_tracks": {
            "input": Named(gaps=[at("dataset=mine/gaps.parquet")]),
            "output": Named(at("lengths.parquet")),
            "params": SimpleNamespace(skip_rule={"min_support": 3}, session_gap=1200),
        },
        "make_lfm_skip_rules_table": {
            "input": Named(
                gaps=[at("dataset=mine/gaps.parquet")],
                gap_sessions=[at("dataset=mine/gap_sessions.parquet")],
            ),
            "output": Named(**tables["lfm_skip_rules"]),
            "params": SimpleNamespace(
                rules=config["lfm_skip_rules"]["rules"], registry={"mine": {}}
            ),
        },
        "split_sessions": {
            "input": Named(sessions=at("sessions.parquet")),
            "output": Named(**split, stats=split_stats),
            "params": SimpleNamespace(shares=config["temporal_split"]),
        },
        "train_model": {
            "input": Named(tracks=at("tracks.parquet"), code=[__file__], **split),
            "output": Named(**model),
            "params": SimpleNamespace(
                settings=settings_of("sasrec", "contrastive-item") | {"max_epochs": 1}
            ),
        },
        "rank_sessions": {
            "input": Named(**model, **split),
            "output": Named(at(f"{keys}/ranks.parquet")),
            "params": SimpleNamespace(candidates={"sampled": 20, "seed": 1, "rank_cutoff": 20}),
        },
        "measure_cosines": {
            "input": Named(**model, **split),
            "output": Named(at(f"{keys}/cosines.parquet")),
        },
        "compute_metrics": {
            "input": Named(ranks=at(f"{keys}/ranks.parquet")),
            "output": Named(at(f"{keys}/metrics.parquet")),
            "params": SimpleNamespace(cutoffs=config["metrics"]),
        },
        "make_hr_ndcg_table": {
            "input": Named(ranks=ranks, metrics=[at(f"{keys}/metrics.parquet")]),
            "output": Named(**tables["hr_ndcg"]),
            "params": SimpleNamespace(cutoffs=config["metrics"], **common),
        },
        "make_murs23_context_table": {
            "input": Named(ranks=ranks),
            "output": Named(**tables["murs23_context"]),
            "params": SimpleNamespace(papers=papers, **common),
        },
        "make_recsys24_main_table": {
            "input": Named(ranks=ranks),
            "output": Named(**tables["recsys24_main"]),
            "params": SimpleNamespace(**common),
        },
        "make_skip_downranking_table": {
            "input": Named(ranks=ranks),
            "output": Named(**tables["skip_downranking"]),
            "params": SimpleNamespace(cutoffs=config["metrics"], **common),
        },
        "make_by_skip_share_table": {
            "input": Named(ranks=ranks),
            "output": Named(**tables["by_skip_share"]),
            "params": SimpleNamespace(**common),
        },
        "make_paper_comparison_table": {
            "input": Named(
                **{name: tables[name]["parquet"] for name in ("hr_ndcg", "skip_downranking")},
                recsys24=tables["recsys24_main"]["parquet"],
                papers=results,
            ),
            "output": Named(**tables["paper_comparison"]),
            "params": SimpleNamespace(forms=forms),
        },
        "make_findings_table": {
            "input": Named(ranks=ranks, papers=results),
            "output": Named(**tables["findings"]),
            "params": SimpleNamespace(papers=papers, forms=forms, **common),
        },
        "run_trial": {
            "input": Named(tracks=at("tracks.parquet"), train=split["train"], valid=split["valid"]),
            "output": Named(history=trial["history.parquet"], trial=trial["trial.json"]),
            "params": SimpleNamespace(
                settings=settings_of("sasrec", "contrastive-item") | {"max_epochs": 1},
                tuning=config["tuning"],
                seed=1,
            ),
        },
        "collect_trials": {
            "input": Named(trials=[trial["trial.json"]]),
            "output": Named(
                **tables["tuning"], overlays=[at("dataset=mssd-sim/split=paper/best.yaml")]
            ),
            "params": SimpleNamespace(simulated=["mssd-sim"], budget=2),
        },
        "make_datasets_table": {
            "input": Named(stats=[stats], splits=[split_stats]),
            "output": Named(**tables["datasets"]),
            "params": SimpleNamespace(registry=config["registry"]),
        },
        "plot_hit_rates": {
            "input": Named(table=at("hr_ndcg.parquet")),
            "output": figure("hit_rates"),
        },
        "plot_gain_by_skip_share": {
            "input": Named(table=at("by_skip_share.parquet")),
            "output": figure("gain_by_skip_share"),
        },
        "plot_rank_distribution": {
            "input": Named(ranks=[at(f"{keys}/ranks.parquet")]),
            "output": figure("rank_distribution"),
            "params": SimpleNamespace(simulated=["mssd-sim"]),
        },
        "plot_learning_curves": {
            "input": Named(histories=[model["history"]]),
            "output": figure("learning_curves"),
            "params": SimpleNamespace(simulated=["mssd-sim"]),
        },
        "plot_query_cosines": {
            "input": Named(cosines=[at(f"{keys}/cosines.parquet")]),
            "output": figure("query_cosines"),
            "params": SimpleNamespace(
                simulated=["mssd-sim"], queries={"sasrec": {"contrastive-item": "item"}}
            ),
        },
        "record_provenance": {
            "input": Named(runs=[model["run"]], stats=[stats]),
            "output": Named(at("provenance.json")),
            "params": SimpleNamespace(config=config),
        },
    }
    for rule, given in calls.items():
        run(rule, tmp_path, wildcards=wildcards, **given)
    scripts = {path.stem for path in SCRIPTS.glob("*.py")}
    assert scripts - calls.keys() == {"retrieve_raw"}  # which tests/workflow runs against a server
    assert (
        json.loads((tmp_path / "models" / keys / "run.json").read_text())["variant"]
        == "contrastive-item"
    )
    assert read_artifact("ranks", at(f"{keys}/ranks.parquet")).num_rows > 100
    assert read_artifact("query_cosines", at("query_cosines.parquet"))["to"].to_pylist() == [
        "next-positive",
        "skips",
    ]
    assert "SIMULATED" in (tmp_path / "hr_ndcg.html").read_text().upper()
    assert "trial 1 of sasrec" in (tmp_path / "log" / "run_trial.log").read_text()
    assert "model_registry" in (tmp_path / "dataset=mssd-sim/split=paper/best.yaml").read_text()
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
            params=SimpleNamespace(entry={"form": "mssd"}, tolerance=0.001),
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
