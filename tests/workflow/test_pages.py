"""Every code block of the README, the contribution guide and the pages of documentation works as
printed.

``DECISIONS`` says of each block that it runs, is planned, is a file that others read, runs in
another test, or why it does not run.  A new block without a decision fails.  SQL runs as the README
says, from ``query.sql``.  The blocks of a page run in their order in one folder, a copy of the
finished tiny run, in which ``config/quick.yaml`` is the tiny configuration.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
import pytest
from conftest import TINY, Project
from examples import ROOT
from skipwise.core.artifacts import read_artifact
from skipwise.simulation.writers import simulate_raw

PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    *sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("docs/**/*.md")),
]


class Block(NamedTuple):
    """A fenced block of a page."""

    page: str
    language: str
    text: str


class Run(NamedTuple):
    """Run as printed; these words stand in what it prints."""

    prints: tuple[str, ...] = ()


class Plan(NamedTuple):
    """Planned only, for this reason: Snakemake or make with ``--dry-run``; these words stand in the
    plan.
    """

    why: str
    prints: tuple[str, ...] = ()


class Save(NamedTuple):
    """A file that later blocks of the page read."""

    name: str


class Elsewhere(NamedTuple):
    """Run by a test of this name in tests/workflow."""

    test: str


class Shown(NamedTuple):
    """Not run, for this reason."""

    why: str


RUN_QUERY = '''.venv/bin/python -c "import duckdb; duckdb.sql(open('query.sql').read()).show()"'''
SNAKEMAKE = ".venv/bin/snakemake "
# By page, the beginning of a block; the longest that fits counts.
DECISIONS: dict[str, dict[str, Run | Plan | Save | Elsewhere | Shown]] = {
    "README.md": {
        "make tables": Plan(
            "minutes; CI runs `make test`",
            ("config/quick.yaml", "results/tables/hr_ndcg.csv", "pytest"),
        ),
        "flowchart LR": Shown("a picture that the host of the repository draws"),
        "select\n    dataset,\n    count(distinct session_id)": Run(
            ("mssd-sim", "lfm2b-sim", "skip_share")
        ),
        "select\n    dataset,\n    variant,": Run(("mssd-sim", "lfm2b-sim", "hr_10")),
        "select dataset, variant, seed, epoch": Run(("mssd-sim", "lfm2b-sim", "valid_ndcg_10")),
        RUN_QUERY: Run(("mssd-sim", "lfm2b-sim", "valid_ndcg_10")),
        "./skipwise inspect": Run(
            ("sessions in the sample", "popularity orig 1", "pairwise_accuracy")
        ),
        "./skipwise study": Elsewhere(
            "test_an_installed_skipwise_studies_a_log_until_the_budget_ends"
        ),
        "datasets: [mine]": Save("mine.yaml"),
        SNAKEMAKE + "--cores 2 --configfile mine.yaml": Plan(
            "minutes; the tutorial runs it with the quick settings",
            ("Training sasrec contrastive-item on mine",),
        ),
        "model_registry:\n  sasrec": Elsewhere("test_a_variant_takes_the_printed_line"),
        "import skipwise": Elsewhere("test_the_lines_of_the_readme_run_with_the_wheel_alone"),
    },
    "CONTRIBUTING.md": {
        "make test": Plan("it is what runs this test", ("pytest", "snakemake --lint")),
        ".venv/bin/python -m pytest tests/unit/test_metrics.py": Shown(
            "tests and checks of the default suite"
        ),
    },
    "docs/architecture.md": {
        "Snakefile": Shown("a tree of folders"),
        "configfile": Elsewhere("test_another_workflow_uses_it_as_a_module"),
    },
    "docs/extending.md": {"": Elsewhere("test_all_run_together")},
    "docs/data.md": {SNAKEMAKE: Elsewhere("test_open_data_in_one_command")},
    "docs/index.md": {"make tables": Plan("minutes", ("config/quick.yaml",))},
    "docs/cluster.md": {
        SNAKEMAKE + "--profile profiles/slurm": Plan(
            "needs Slurm, see test_cluster.py", ("Training sasrec",)
        ),
        SNAKEMAKE + "--profile profiles/slurm \\\n    --set-resources": Plan(
            "needs Slurm", ("Training sasrec",)
        ),
        "squeue": Shown("needs Slurm"),
    },
    "docs/tutorials/own_data.md": {
        "./skipwise study": Elsewhere(
            "test_an_installed_skipwise_studies_a_log_until_the_budget_ends"
        ),
        SNAKEMAKE + "--cores 2 --configfile config/quick.yaml mine.yaml": Run(),
    },
    "docs/tutorials/recommend.md": {
        "import duckdb": Run(),
        "./skipwise recommend": Run(("rank,track,score", "\n5,t_")),
        "./skipwise evaluate": Run(("sasrec contrastive-hidden 1", "sasrec orig 1", "mrr_skipped")),
        "./skipwise inspect": Run(("Most played tracks",)),
        "echo user,time,track": Run(
            ("Aria,ann@2024-05-01T10:00:00,1,true", "Ballad,ann@2024-05-01T10:00:00,2,false")
        ),
    },
    "docs/tutorials/other_tools.md": {
        "./skipwise export results --form recbole": Run(("mssd-sim.train.inter", "mssd-sim.item")),
        "benchmark_filename": Shown("settings of RecBole, which is not installed here"),
        "import duckdb": Run(),
        "./skipwise evaluate": Run(("run.csv", "no rank, which is a miss")),
        "./skipwise export results --form trec": Run(("run.txt", "qrels.new.txt")),
        "datasets": Save("with_last_tracks.yaml"),
        SNAKEMAKE: Run(),
    },
    "docs/tutorials/parquet.md": {
        "import duckdb": Run(("mssd-sim", "skip_share")),
        "with ranks as": Run(("gain_in_hr_10",)),
        "select dataset, reason": Run(("reason",)),
    },
    "docs/tutorials/mssd.md": {
        "resources/raw/mssd": Shown("names of files"),
        "datasets: [mssd]": Save("only_mssd.yaml"),
        SNAKEMAKE + "--dry-run": Run(
            (
                "Reading resources/raw/mssd/training_set_1.tar.gz",
                "Training sasrec contrastive-hidden on mssd, seed 5",
            )
        ),
        "datasets: [mssd]\nsessions:": Save("first_look.yaml"),
        SNAKEMAKE + "--cores 2 --configfile first_look.yaml": Run(
            ("sessions in the sample", "split paper")
        ),
        SNAKEMAKE + "--cores all": Plan(
            "gated data, days", ("Training sasrec contrastive-hidden on mssd, seed 5",)
        ),
    },
}


def blocks(page: str) -> list[Block]:
    text = (ROOT / page).read_text(encoding="utf-8")
    fenced = [
        Block(page, *found)
        for found in re.findall(r"^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    ]
    assert text.count("\n```") == 2 * len(fenced), f"{page}: a fence is not closed, or indented"
    return fenced


def decision(block: Block) -> Run | Plan | Save | Elsewhere | Shown:
    """The decision with the longest beginning of the block."""
    fitting = [start for start in DECISIONS.get(block.page, {}) if block.text.startswith(start)]
    assert fitting, (
        f"{block.page}: no decision for the block that begins with {block.text.splitlines()[0]!r}"
    )
    return DECISIONS[block.page][max(fitting, key=len)]


def test_every_block_has_a_decision_and_every_decision_a_block():
    everywhere = [block for page in PAGES for block in blocks(page)]
    made = [decision(block) for block in everywhere]
    assert all(block.language for block in everywhere)
    unused = [
        (page, start)
        for page in DECISIONS
        for start, one in DECISIONS[page].items()
        if not any(one is m for m in made)
    ]
    assert unused == []
    tests = "".join(
        path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py")
    )
    assert all(f"def {one.test}(" in tests for one in made if isinstance(one, Elsewhere))


@pytest.fixture
def folder(copy) -> Path:
    """A copy of the finished tiny run with what its user has: an environment, and quick settings
    that are quick.
    """
    folder = copy.folder
    (folder / ".venv").symlink_to(sys.prefix)
    shutil.copy2(folder / TINY, folder / "config/quick.yaml")
    return folder


def call(command: str, folder: Path) -> str:
    """Run a printed command as a shell does; gives what it printed."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        env=os.environ | {"NO_COLOR": "1"},
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}"
    return done.stdout


def work_through(page: str, folder: Path) -> None:
    """Do what the decisions on a page's blocks say, in order."""
    for block in blocks(page):
        made = decision(block)
        if isinstance(made, Save):
            (folder / made.name).write_text(block.text, encoding="utf-8")
        elif isinstance(made, Run | Plan):
            command = block.text
            if block.language == "sql":
                (folder / "query.sql").write_text(block.text, encoding="utf-8")
                command = RUN_QUERY
            elif block.language == "python":
                command = f".venv/bin/python -c {shlex.quote(block.text)}"
            elif isinstance(made, Plan):
                dry = {
                    "make": "make --dry-run",
                    ".venv/bin/snakemake": ".venv/bin/snakemake --dry-run",
                }
                for program, planned in dry.items():
                    command = re.sub(
                        rf"^{re.escape(program)}\b", planned, command, flags=re.MULTILINE
                    )
                assert "--dry-run" in command
            printed = call(command, folder)
            for words in made.prints:
                assert words in printed, f"{command}\n{printed}"


def plays(path: Path) -> None:
    """A log as a user has it."""
    rng = np.random.default_rng(1)
    n = 6000
    pl.DataFrame(
        {
            "user": [f"u{i // 60}" for i in range(n)],
            "track": [f"t{i}" for i in (80 * rng.random(n) ** 2).astype(int)],
            "started_at": [1_600_000_000 + 200 * i for i in range(n)],
            "seconds_played": rng.choice([12.5, 200.0], n, p=[0.3, 0.7]),
        }
    ).write_csv(path)


def test_the_readme(folder):
    plays(folder / "plays.csv")
    work_through("README.md", folder)


@pytest.mark.parametrize(
    "page", ["CONTRIBUTING.md", "docs/index.md", "docs/cluster.md", "docs/tutorials/parquet.md"]
)
def test_a_page_without_more(folder, page):
    work_through(page, folder)


def test_a_trained_model_is_used(folder):
    work_through("docs/tutorials/recommend.md", folder)


def test_ones_own_data_takes_the_printed_overlay(folder):
    overlay = next(
        block.text for block in blocks("README.md") if block.text.startswith("datasets: [mine]")
    )
    assert len(overlay.strip().splitlines()) < 15
    (folder / "mine.yaml").write_text(overlay, encoding="utf-8")
    plays(folder / "plays.csv")
    work_through("docs/tutorials/own_data.md", folder)
    table = (folder / "results/tables/hr_ndcg.csv").read_text(encoding="utf-8")
    assert table.splitlines()[1].startswith("mine,real,paper,popularity,orig,nothing to tune,full")
    assert "session_gap 1200" in call("./skipwise inspect mine", folder)


def test_another_tool_stands_in_the_table(folder):
    work_through("docs/tutorials/other_tools.md", folder)
    table = pl.read_csv(folder / "results/tables/hr_ndcg.csv")
    assert table["model"].unique(maintain_order=True).to_list() == [
        "popularity",
        "sasrec",
        "last-tracks",
    ]
    assert set(table.filter(model="last-tracks")["candidates"]) == {"full", "new"}
    (row,) = table.filter(model="last-tracks", candidates="full").to_dicts()
    # The same figure from the split: the rank is the place from the end of the context.
    test = read_artifact(
        "test", folder / "results/splits/dataset=mssd-sim/split=paper/test.parquet"
    ).to_pylist()
    latest = [list(dict.fromkeys(reversed(session["tracks"]))) for session in test]
    hits = [session["target"] in tracks[:10] for session, tracks in zip(test, latest, strict=True)]
    assert row["hr_10"] == pytest.approx(np.mean(hits), abs=1e-6)
    assert 0 < np.mean(hits) < 1


def test_a_model_of_another_tool_needs_its_ranks_and_no_variants(project):
    """Without a rule that makes them Snakemake would keep the tables of the last run."""
    absent = "models: [popularity, theirs]\nmodel_registry:\n"
    absent += "  theirs: {family: external, variants: {orig: {}}}\n"
    done = project.snakemake("--dry-run", configs=(TINY, project.overlay("absent.yaml", absent)))
    assert done.returncode != 0
    (line,) = [line for line in done.stdout.splitlines() if "family external" in line]
    assert (
        "results/ranks/dataset=mssd-sim/split=paper/model=theirs/variant=orig/seed=1/ranks.parquet"
        in line
    )
    several = absent.replace("orig: {}", "orig: {}, better: {}")
    done = project.snakemake("--dry-run", configs=(TINY, project.overlay("several.yaml", several)))
    assert done.returncode != 0
    assert "model_registry.theirs: the family external has only the variant orig" in done.stdout


def test_the_papers_are_planned_with_mssd_at_hand(folder):
    for number in range(2):
        path = folder / f"resources/raw/mssd/training_set_{number}.tar.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        simulate_raw(path, form="mssd", simulation={"sessions": 300, "tracks": 120, "seed": number})
    work_through("docs/tutorials/mssd.md", folder)


def test_pages_are_built_and_every_link_leads_somewhere(tmp_path):
    project = Project(tmp_path)
    zensical = [str(Path(sys.executable).with_name("zensical")), "build", "--strict", "--clean"]
    done = subprocess.run(zensical, cwd=project.folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    for page in PAGES[2:]:
        html = (project / "site" / Path(page).relative_to("docs").with_suffix(".html")).read_text(
            encoding="utf-8"
        )
        loaded = re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=\"?(https?:[^\" >]+)", html)
        assert loaded == [], f"{page} loads {loaded} from the network"
    assert "mine.yaml" in (project / "site/tutorials/own_data.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", ["docs/differences.md", "docs/configuration.md"])
def test_a_page_that_is_made_of_others_has_no_block_of_its_own(page):
    assert blocks(page) == []
    assert "--8<--" in (ROOT / page).read_text(encoding="utf-8")
