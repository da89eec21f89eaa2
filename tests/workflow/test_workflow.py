"""The workflow as a whole: style, plans, a run from empty folders, what a change runs again."""

import fnmatch
import hashlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import torch
import yaml
from conftest import TINY
from examples import ROOT, default_config, with_those_below
from skipwise.core.artifacts import read_artifact, read_json, write_json
from skipwise.core.config import begins_with, searches, variants
from skipwise.core.registry import find, names
from skipwise.core.schemas import ARTIFACTS, Artifact
from skipwise.evaluation.rank_sessions import rank_sessions
from skipwise.ranking import metrics
from skipwise.report.write import Given
from skipwise.training.saved import load_model

OVERLAYS = sorted(
    path.name
    for path in (ROOT / "config").glob("*.yaml")
    if path.name not in ("config.yaml", "datasets.yaml")
)


def tool(*command: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [str(Path(sys.executable).with_name(command[0])), *command[1:]],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


# Of tiny.yaml: popularity, WRMF and both settings of SASRec on the first data set, and popularity
# and one of the two on the others.
TINY_RUNS = (1 + 3 + 4 + 2) + (1 + 2) + (1 + 4)


class TestStyle:
    @pytest.mark.parametrize(
        "command",
        [
            ("snakemake", "--lint"),
            ("snakefmt", "--check", "Snakefile", "workflow"),
            ("ruff", "check", "."),
            ("mypy",),
            ("ruff", "format", "--check", "."),
        ],
        ids=" ".join,
    )
    def test_it_passes(self, command):
        done = tool(*command)
        assert done.returncode == 0, done.stdout + done.stderr


class TestPlan:
    def test_the_default_runs_all_models_on_one_data_set_and_few_on_two(self, project):
        printed = project.made("--dry-run", configs=())
        assert (
            printed.count("Training sasrec contrastive-item") == 3 + 1 + 1
        )  # three seeds on the first data set
        # Baselines have one seed; WRMF and BPR have three variants, a neural model four, and as in
        # the papers transformers three, the others two.
        all_models = 11 + 3 * (4 * 3 + 4 * 4 + 2 * 3 + 2 * 2)
        few = 3 + 4 * 3 + 4 + 3
        assert printed.count("Training") == all_models + 2 * few

    def test_jobs_that_use_a_gpu_ask_for_one(self, project):
        for name in ("train", "tune"):
            rules = (
                project / f"workflow/rules/{name}.smk"
            )  # in whose plan a message stands in the place of the resources
            rules.write_text(
                re.sub(r"    message:\n.*\n", "", rules.read_text(encoding="utf-8")),
                encoding="utf-8",
            )
        overlay = project.overlay("gpu.yaml", "neural: {device: cuda}\ntuning: {trials: 1}\n")
        printed = project.made("--dry-run", "all", "tune", configs=(TINY, overlay))
        jobs = re.findall(r"^rule (\w+):\n((?:    .*\n)+)", printed, re.MULTILINE)
        family = {
            name: model["family"] for name, model in default_config()["model_registry"].items()
        }
        asked = {
            (rule, family[model[1]], "gpu=1" in job)
            for rule, job in jobs
            if (model := re.search(r"model=([a-z0-9-]+)", job))
        }
        neural = {(rule, "neural", True) for rule in ("train_model", "search_settings")}
        others = {("search_settings", "factorization", False)} | {
            ("train_model", kind, False) for kind in ("baseline", "factorization")
        }
        assert neural | others <= asked
        assert not {(rule, kind, not gpu) for rule, kind, gpu in neural | others} & asked

    def test_the_quick_run_is_a_part_of_the_default(self, project):
        printed = project.made(
            "--dry-run", "results/tables/hr_ndcg.csv", configs=("config/quick.yaml",)
        )
        assert printed.count("Training") == 8 + 2 * 3 + 4 + 3

    def test_tuning_searches_every_variant_and_never_reads_the_test(self, project):
        printed = project.made("--dry-run", "tune", configs=())
        jobs = re.findall(
            r"^Job \d+: Searching settings of (\S+ \S+) on (\S+)\nReason: (.*)$",
            printed,
            re.MULTILINE,
        )
        config = default_config()
        wanted = {(f"{its['model']} {its['variant']}", its["dataset"]) for its in searches(config)}
        assert {job[:2] for job in jobs} == wanted
        assert len(jobs) == len(wanted)
        searched = {its["model"] for its in searches(config)}
        assert {"session-knn", "wrmf", "bpr", "sasrec", "bert4rec", "gru4rec", "caser"} <= searched
        assert "Training" not in printed
        # As nothing is there yet, the reason names every file that a job reads and another one
        # makes.
        for name, dataset, reason in jobs:
            model, variant = name.split()
            read = re.findall(r"results/\S+\.parquet", reason.split("Input files")[1])
            split = f"results/splits/dataset={dataset}/split=paper"
            tracks = f"results/sessions/dataset={dataset}/tracks.parquet"
            expected = [tracks, f"{split}/train.parquet", f"{split}/valid.parquet"]
            if first := begins_with(config, model, variant):
                run = f"dataset={dataset}/split=paper/model={model}/variant={first}"
                expected.append(f"results/tuning/{run}/trials.parquet")
            assert sorted(read) == expected

    def test_one_plan_searches_trains_the_winners_and_makes_the_tables(self, project):
        overlay = project.overlay(
            "search.yaml", "tuning: {settings: search}\nseeds_by_dataset: {lfm1k-sim: [1, 2]}\n"
        )
        printed = project.made("--dry-run", configs=(TINY, overlay))
        assert "Making the table tuning" in printed
        assert printed.count("Searching settings") == (3 + 4) + 4
        trained = re.findall("^Job.*: Training", printed, re.MULTILINE)
        # One data set has two seeds.
        assert len(trained) == (1 + 3 + 4 + 2) + (1 + 2 * 2) + (1 + 4)
        for model, variant, reason in re.findall(
            r"Training (\S+) (\S+) on .*\nReason: (.*)$", printed, re.MULTILINE
        ):
            best = f"model={model}/variant={variant}/best.json"
            # The papers' entries are never tuned.
            assert (best in reason) == (model not in ("popularity", "sasrec-papers"))

    @pytest.mark.parametrize("overlay", OVERLAYS)
    def test_every_overlay_plans(self, project, overlay):
        # Raw files that only their owners have are stood in for by empty ones: a plan does not read
        # them.
        for name in (
            "mssd/training_set_0.tar.gz",
            "mssd/training_set_1.tar.gz",
            "lfm2b/listening-events.tsv.bz2",
            "lfm1k/lastfm-dataset-1K.tar.gz",
        ):
            path = project / "resources/raw" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        printed = project.made("--dry-run", configs=with_those_below(overlay))
        assert "Making the table hr_ndcg" in printed

    def test_a_key_of_one_world_is_not_that_of_the_others(self, project):
        """Their entries share one in the registry."""
        rule = "registry: {near-sim: {skip_rule: {name: gap_below, seconds: 30}}}\n"
        overlay = project.overlay("rule.yaml", f"datasets: [near-sim, coinflip-sim]\n{rule}")
        counted = [job for job in project.planned(overlay) if job.startswith("Counting")]
        assert counted
        assert not [job for job in counted if "coinflip-sim" in job]

    def test_missing_data_is_one_clear_line(self, project):
        done = project.snakemake("--dry-run", configs=("config/paper.yaml",))
        assert done.returncode != 0
        assert "ask Spotify Research" in done.stdout
        assert "resources/raw/mssd/" in done.stdout
        assert "Traceback" not in done.stdout

    def test_the_scheduler_looks_twice_a_second(self, project):
        """Reading our rules corrects the timers in that process (rules/snakemake_timers.py)."""
        code = (
            "import sys\nfrom snakemake.cli import main\nfrom snakemake.scheduling.job_scheduler "
            "import JobScheduler\n"
            "try: main(['--dry-run', '--quiet', 'all', '--cores', '1', '--configfile', "
            f"'{TINY}'])\n"
            "except SystemExit: print(JobScheduler._schedule_reevalutation.__module__)"
        )
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=project.folder,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.split()[-1] == "snakemake_timers"


class TestRun:
    def test_every_artifact_has_its_schema_and_its_order(self, finished):
        seen = set()
        for path in (finished / "results").rglob("*.parquet"):
            name = path.stem
            artifact = _artifact(path)
            table = pq.read_table(path, partitioning=None)
            assert table.schema.equals(artifact.schema), path
            assert pq.ParquetFile(path).metadata.row_group(0).column(0).compression == "ZSTD"
            if artifact.order:
                assert table.equals(
                    table.sort_by([(column, "ascending") for column in artifact.order])
                ), path
                assert (
                    table.group_by(list(artifact.order)).aggregate([]).num_rows == table.num_rows
                ), path
            seen.add(name)
        # Those of a search, of the study and of the truth of simulated worlds are made elsewhere.
        others = {"trials", "tuning", "loss_audit", "truth", "headroom", "methods", "power"}
        others |= {"split_agreement", "rank_agreement", "released", "responses"}
        others |= {"evaluation_audit", "responsiveness"}
        others |= {"headroom_bars", "accuracy_and_skips", "funnel"}
        assert seen == {*ARTIFACTS, *names("table"), *names("figure")} - others

    def test_the_table_holds_every_run_and_keeps_its_bounds(self, finished):
        table = pq.read_table(finished / "results/tables/hr_ndcg.parquet").to_pylist()
        assert len(table) == TINY_RUNS * 3  # three sets of candidates
        assert {row["data"] for row in table} == {"simulated"}
        for row in table:
            metrics.check_bounds({name: row[name] for name in _metric_names()}, str(row["model"]))
            for name in _metric_names():
                assert row[f"{name}_low"] <= row[name] <= row[f"{name}_high"]
            if row["candidates"] == "sampled":
                full = next(
                    other
                    for other in table
                    if other["candidates"] == "full" and _same_run(other, row)
                )
                assert row["hr_10"] >= full["hr_10"]

    def test_pages_and_figures_say_simulated(self, finished):
        pages = [
            path
            for kind in ("html", "tex", "csv", "svg")
            for path in (finished / "results").rglob(f"*.{kind}")
        ]
        assert len(pages) == 12 * 3 + 6
        for path in pages:
            assert "simulated" in path.read_text(encoding="utf-8").lower(), path

    def test_a_model_folder_says_what_was_run(self, finished):
        run = "dataset=mssd-sim/split=paper/model=sasrec/variant=contrastive-hidden/seed=1"
        folder = finished / "results/models" / run
        run = read_json(folder / "run.json")
        assert run["settings"]["query"] == "hidden"
        assert run["settings"]["tau"] == 0.1
        assert read_artifact("history", folder / "history.parquet").num_rows == run["epochs"] == 2
        assert load_model(folder).n_tracks == run["n_tracks"]

    @pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
    def test_a_model_from_a_gpu_is_ranked_without_one(self, finished, tmp_path, caplog):
        run = "dataset=mssd-sim/split=paper/model=sasrec/variant=orig/seed=1"
        shutil.copytree(finished / "results/models" / run, tmp_path / "model")
        saved = read_json(tmp_path / "model/run.json")
        saved["settings"]["device"] = "cuda"
        write_json(saved, tmp_path / "model/run.json")
        train, test = (
            str(finished / f"results/splits/dataset=mssd-sim/split=paper/{part}.parquet")
            for part in ("train", "test")
        )
        candidates = default_config(yaml.safe_load((ROOT / TINY).read_text(encoding="utf-8")))[
            "candidates"
        ]
        rank_sessions(
            tmp_path / "model",
            train,
            test,
            str(tmp_path / "ranks.parquet"),
            candidates=candidates["sampled"],
            seed=candidates["seed"],
            cutoff=candidates["rank_cutoff"],
            threads=1,
        )
        assert "no GPU here" in caplog.text
        assert read_artifact("ranks", tmp_path / "ranks.parquet").equals(
            read_artifact("ranks", finished / "results/ranks" / run / "ranks.parquet")
        )

    def test_it_says_where_the_numbers_come_from(self, finished):
        found = read_json(finished / "results/provenance.json")
        [environment] = found["trained"]
        assert len(environment["runs"]) == TINY_RUNS
        assert environment["threads"] == 1
        assert environment["git"] == {
            "revision": None,
            "dirty": None,
        }  # this copy of the project is no checkout
        assert found["seeds"]["training"] == {name: [1] for name in found["raw"]}
        for name, sources in found["raw"].items():
            for source in sources:
                raw = finished / "resources/raw" / name / source["file"]
                assert source["sha256"] == hashlib.sha256(raw.read_bytes()).hexdigest()

    def test_nothing_is_left_to_do(self, finished):
        assert finished.planned() == []
        assert "Nothing to be done" in finished.made(cores=2)

    def test_the_configuration_is_kept_for_the_report(self, finished):
        assert "Nothing to be done" in finished.made("--dry-run", configs=("results/config.yaml",))

    def test_no_half_written_file_is_left(self, finished):
        assert not [
            path
            for path in (finished / "results").rglob("*")
            if "partial" in path.name or path.name == ".duckdb"
        ]

    def test_every_model_of_the_registry_runs(self, finished, project):
        configs = TINY, "tests/workflow/all_models.yaml"
        project.made("results/tables/hr_ndcg.csv", configs=configs, cores=2)
        config = default_config()
        run = {
            (row["model"], row["variant"])
            for made in (project, finished)
            for row in pq.read_table(made / "results/tables/hr_ndcg.parquet").to_pylist()
            if "model" not in config["model_registry"][row["model"]]
        }
        assert run == {
            (model, variant)
            for model, entry in config["model_registry"].items()
            if "model" not in entry  # those are further settings of the same files
            for variant in variants(config, model)
        }

    def test_a_search_reaches_the_tables_and_what_it_finds_can_be_shipped(self, project):
        few = (
            "datasets: [mssd-sim]\nmodels: [popularity, wrmf, sasrec]\nseeds: [1, 2]\n"
            "model_registry:\n"
            "  wrmf: {variants: {orig: null, bl: null}}\n"
            "  sasrec: {variants: {blind: null, contrastive-hidden: null}}\n"
        )
        overlay = project.overlay(
            "search.yaml", few + "tuning: {settings: search, trials: 3, quick_trials: 4}\n"
        )
        targets = ("results/tables/hr_ndcg.csv", "results/tables/tuning.csv")
        file = "results/tuning/mssd-sim.yaml"
        project.made(*targets, file, configs=(TINY, overlay), cores=2)
        table = pq.read_table(project / "results/tables/hr_ndcg.parquet").to_pylist()
        assert {(row["model"], row["settings"]) for row in table} == {
            ("popularity", "nothing to tune"),
            ("wrmf", "tuned, 4 trials"),
            ("sasrec", "tuned, 3 trials"),
            ("sasrec", "tuned, 5 trials"),
        }
        best = read_json(
            project / "results/tuning/dataset=mssd-sim/split=paper/model=wrmf/variant=nr/best.json"
        )
        for seed in (1, 2):
            run = f"dataset=mssd-sim/split=paper/model=wrmf/variant=nr/seed={seed}"
            found = read_json(project / "results/models" / run / "run.json")
            assert best["settings"].items() <= found["settings"].items()
            assert found["settings_source"] == "tuned, 4 trials"
        tuned = pq.read_table(project / "results/tables/tuning.parquet").to_pylist()
        assert [row["variant"] for row in tuned] == ["nr", "orig", "contrastive-item"]
        # A way goes on from the trials of orig, with what is best there.
        assert [row["trials"] for row in tuned] == [4, 3, 5]
        [file_of_way] = (project / "results/tuning").rglob(
            "variant=contrastive-item/trials.parquet"
        )
        own = pq.read_table(file_of_way, partitioning=None)["settings"].to_pylist()
        assert len({json.loads(settings)["learning_rate"] for settings in own}) == 1
        assert len({json.loads(settings)["tau"] for settings in own}) == len(own) == 2

        # The file names the command, and a run with it in resources/tuned has the same models.
        text = (project / file).read_text(encoding="utf-8")
        assert f"--configfile {TINY} search.yaml -- tune" in text
        (project / "resources/tuned").mkdir(parents=True, exist_ok=True)
        shutil.copy(project / file, project / "resources/tuned/mssd-sim.yaml")
        shipped = project.overlay("shipped.yaml", few)
        before = (project / "results/tables/hr_ndcg.csv").read_bytes()
        project.made(targets[0], configs=(TINY, shipped), cores=2)
        assert (project / "results/tables/hr_ndcg.csv").read_bytes() == before

    def test_one_core_in_another_folder_gives_the_same_bytes(self, finished, copy):
        """A data set from its raw data on, a run of every other model, all tables and figures."""
        again = (
            "lfm2b-sim",
            "dataset=mssd-sim,split=paper,model=popularity,variant=orig",
            "dataset=mssd-sim,split=paper,model=wrmf,variant=bl",
            "dataset=lfm1k-sim,split=paper,model=sasrec-papers,variant=contrastive-hidden",
        )
        removed = [
            path.relative_to(copy.folder)
            for folder in ("resources/raw", "results")
            for path in sorted((copy / folder).rglob("*"))
            if path.is_file()
            and (
                path.parent.name in ("tables", "figures")
                or any(name in str(path).replace("/", ",") for name in again)
            )
        ]
        for path in removed:
            (copy / path).unlink()
        copy.made(cores=1)
        theirs, ours = finished.results(), copy.results()
        assert ours.keys() == theirs.keys()
        assert len(ours) == 12 * 4 + 6 * 2  # tables in four forms; figures and their numbers
        timed = "history.parquet", "run.json"
        assert {path.name for path in removed} >= {"model.safetensors", "ranks.parquet", *timed}
        assert [
            str(path)
            for path in removed
            if path.name not in timed
            and (finished / path).read_bytes() != (copy / path).read_bytes()
        ] == []


class TestRerun:
    """What a change runs again, planned on a copy of the finished run."""

    @pytest.fixture(autouse=True)
    def _nothing_is_left_to_do_before(self, copy):
        assert copy.planned() == []

    def trained(self, messages: list[str]) -> set[tuple[str, str]]:
        words = (message.split() for message in messages if message.startswith("Training"))
        return {(model, variant) for _, model, variant, *_ in words}

    def test_tau_retrains_the_contrastive_variants_only(self, copy):
        overlay = copy.overlay("tau.yaml", "contrastive: {tau: 0.2}\n")
        planned = copy.planned(overlay)
        assert self.trained(planned) == {
            ("sasrec", "contrastive-item"),
            ("sasrec", "contrastive-hidden"),
            ("sasrec-papers", "contrastive-hidden"),
        }
        assert not [
            message
            for message in planned
            if message.startswith(("Simulating", "Reading", "Labelling", "Splitting"))
        ]

    def test_shipped_settings_retrain_what_they_change_only(self, copy):
        config = default_config(yaml.safe_load((ROOT / TINY).read_text(encoding="utf-8")))
        configured = {
            "regularization": config["model_registry"]["wrmf"]["settings"]["regularization"]
        }
        found = {"settings": {"regularization": 0.5}, "configured": configured}
        found |= {"trials": 20, "value": 0.1}
        folder = copy / "resources/tuned"
        folder.mkdir(parents=True, exist_ok=True)
        for path in folder.glob("*.yaml"):
            path.unlink()
        before = {message for message in copy.planned() if message.startswith("Training")}
        file = yaml.safe_dump({"seed": 0, "splits": {"paper": {"wrmf": {"bl": found}}}})
        (folder / "mssd-sim.yaml").write_text(file, encoding="utf-8")
        planned = {message for message in copy.planned() if message.startswith("Training")}
        assert planned - before == {"Training wrmf bl on mssd-sim, seed 1"}

    def test_another_revision_runs_nothing_again(self, copy):
        for command in (
            ["init", "--quiet"],
            ["add", "."],
            ["commit", "--quiet", "--message", "first"],
        ):
            subprocess.run(
                ["git", "-c", "user.name=a", "-c", "user.email=a@b", *command],
                cwd=copy.folder,
                check=True,
            )
        assert copy.planned() == []

    def test_another_configuration_is_recorded_anew(self, copy):
        planned = copy.planned(copy.overlay("tuning.yaml", "tuning: {trials: 3}\n"))
        assert planned == ["Recording the sources of the numbers"]

    @pytest.mark.parametrize(
        "reaching",
        [
            {
                "core/log.py": set(),
                "commands/label.py": set(),
                "evaluation/cosines.py": {"models/", "ranks/", "cosines/"},
                "evaluation/claims/sasrec_is_best.py": {"tables/findings."},
                "report/tables/datasets.py": {"tables/datasets."},
                "report/figures/hit_rates.py": {"figures/hit_rates."},
            },
            {
                "sessions/sequences.py": {"models/", "ranks/", "cosines/"},
                "sessions/sql/cut.sql": {"labelled/"},
                "sessions/sql/skip_rules/gap_below.sql": {"tables/lfm_skip_rules."},
                "raw/forms/lfm2b.py": {"events/dataset=lfm2b-sim/"},
                "simulation/listeners.py": {"resources/raw/"},
                "recommender.py": {"models/", "ranks/", "cosines/"},
                "ranking/candidates.py": {"models/", "ranks/", "cosines/"},
                "training/ways/contrastive.py": {
                    f"{made}/*{model}/variant=contrastive"
                    for made in ("models", "ranks", "cosines")
                    for model in ("sasrec", "sasrec-papers")
                },
                "models/wrmf.py": {"models/*wrmf", "ranks/*wrmf", "cosines/*wrmf"},
            },
        ],
        ids=["last rooms", "first rooms"],
    )
    def test_a_changed_file_runs_the_rules_that_reach_it(self, copy, reaching):
        """A file of each room is changed.  What reaches it is made again, what is made of that as
        well, and nothing else."""
        library = "workflow/scripts/skipwise"
        for name in reaching:
            comment = "\n-- changed\n" if name.endswith(".sql") else "\n# changed\n"
            path = copy / library / name
            path.write_text(path.read_text(encoding="utf-8") + comment, encoding="utf-8")
        printed = copy.made("--detailed-summary", "all").splitlines()
        rows = [line.split("\t") for line in printed if line.count("\t") == 7]
        inputs = {output: set(read.split(",")) for output, _, _, _, read, *_ in rows[1:]}
        for name, starts in reaching.items():
            reached = {output for output, read in inputs.items() if f"{library}/{name}" in read}
            patterns = [f"{start}*" for start in starts]
            made = {output.removeprefix("results/") for output in reached}
            assert not [p for p in patterns if not fnmatch.filter(made, p)], name
            assert not [m for m in made if not any(fnmatch.fnmatch(m, p) for p in patterns)], name
        again = {f"{library}/{name}" for name in reaching}
        while more := {out for out, read in inputs.items() if read & again} - again:
            again |= more
        assert {output for output, *_, plan in rows[1:] if plan != "no update"} == again & set(
            inputs
        )

    def test_a_changed_cutoff_retrains_nothing(self, copy):
        overlay = copy.overlay("cutoff.yaml", "metrics: {hr: [1, 5, 10, 20, 50]}\n")
        planned = copy.planned(overlay)
        assert len([message for message in planned if message.startswith("Metrics")]) == (TINY_RUNS)
        assert self.trained(planned) == set()
        copy.made(
            "results/tables/hr_ndcg.csv", configs=("tests/workflow/tiny.yaml", overlay), cores=2
        )
        assert "hr_50_low" in (copy / "results/tables/hr_ndcg.csv").read_text().splitlines()[0]

    def test_a_metric_is_added_and_trains_nothing(self, copy):
        path = copy / "workflow/scripts/skipwise/ranking/metrics.py"
        added = '\n\n@metric("first")\ndef first(rank, k):\n    return (rank == 1).astype(float)\n'
        path.write_text(path.read_text(encoding="utf-8") + added, encoding="utf-8")
        planned = copy.planned(copy.overlay("first.yaml", "metrics: {first: [1]}\n"))
        assert len([message for message in planned if message.startswith("Metrics")]) == TINY_RUNS
        assert self.trained(planned) == set()

    def test_ranks_are_made_again_without_a_training(self, copy):
        run = "dataset=mssd-sim/split=paper/model=sasrec/variant=orig/seed=1"
        ranks = f"results/ranks/{run}/ranks.parquet"
        before = (copy / f"results/models/{run}/run.json").read_bytes()
        overlay = copy.overlay("cutoff.yaml", "candidates: {rank_cutoff: 20}\n")
        copy.made(ranks, configs=(TINY, overlay))
        assert "has ended before" in (copy / f"logs/train_model/{run}.log").read_text()
        assert (copy / f"results/models/{run}/run.json").read_bytes() == before
        assert 15 < pc.max(read_artifact("ranks", copy / ranks)["rank_full"]).as_py() <= 20
        longer = copy.overlay("longer.yaml", "neural: {max_epochs: 3}\n")
        copy.made(ranks, configs=(TINY, overlay, longer))
        assert read_json(copy / f"results/models/{run}/run.json")["epochs"] == 3

    def test_a_new_variant_is_a_line_and_trains_nothing_else(self, copy):
        overlay = copy.overlay(
            "variant.yaml",
            "model_registry: {sasrec: {variants: {contrastive-cold: "
            "{way: contrastive, query: hidden, tau: 0.05}}}}\n",
        )
        assert self.trained(copy.planned(overlay)) == {("sasrec", "contrastive-cold")}

    def test_more_sessions_keep_the_raw_data_and_the_events(self, copy):
        overlay = copy.overlay("sessions.yaml", "sessions: {n_sessions: 300}\n")
        planned = copy.planned(overlay)
        assert len([message for message in planned if message.startswith("Labelling")]) == 3
        assert not [message for message in planned if message.startswith(("Simulating", "Reading"))]


def _artifact(path: Path) -> Artifact:
    """What the file should be; tables and figures declare their own columns."""
    if path.stem == "hr_ndcg":
        given = Given({}, {"metrics": default_config()["metrics"]})
        return find("table", "hr_ndcg").columns(given)
    kind = {"tables": "table", "figures": "figure"}.get(path.parent.name)
    return find(kind, path.stem).COLUMNS if kind else ARTIFACTS[path.stem]


def _metric_names() -> list[str]:
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text(encoding="utf-8"))
    return [f"{name}_{k}" for name, ks in config["metrics"].items() for k in ks]


def _same_run(one: dict, other: dict) -> bool:
    return all(one[key] == other[key] for key in ("dataset", "split", "model", "variant"))
