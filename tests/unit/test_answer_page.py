"""The pages of the study: their tables and figures are those of the shipped files, and the tool
that ships them.
"""

import importlib
import re

import polars as pl
import pytest
from examples import ROOT
from skipwise.core.artifacts import write_json
from skipwise.core.paths import result

PAGES = ROOT / "docs/answer"
TABLES = {
    "methods": pl.DataFrame(
        {
            "dataset": ["explorer-sim", "explorer-sim", "ml100k"],
            "variant": ["pairwise", "skip-head", "pairwise"],
            "over_orig": [0.0271, -0.0164, 0.1],
            "over_orig_low": [0.011, -0.03, 0.0],
            "over_orig_high": [0.043, -0.002, 0.2],
            "sessions": [3412, 3412, 951],
        }
    )
}
HEAD = "# The answer\n\n## Ways\n\nFrom `methods.csv`, 95 % intervals.\n\n"
MARKS = "<!-- table: methods; dataset=explorer-sim; variant over_orig -->\n{}<!-- end -->\n"


@pytest.fixture
def tool(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "tools")
    return importlib.import_module("collect_answer")


@pytest.mark.parametrize("name", sorted(path.name for path in PAGES.glob("*.md")))
def test_every_figure_of_a_page_is_in_the_shipped_files(tool, name):
    page, tables = (PAGES / name).read_text(encoding="utf-8"), tool.read(PAGES)
    assert tool.filled(page, tables) == page, "run `python tools/collect_answer.py`"
    assert tool.unsupported(page, tables) == []


def test_what_is_shipped_is_small_and_is_read(tool):
    size = sum(path.stat().st_size for path in PAGES.glob("*.csv"))
    assert size <= tool.MOST
    pages = "".join(path.read_text(encoding="utf-8") for path in PAGES.glob("*.md"))
    figures = {path.name for path in PAGES.glob("*.svg")}
    assert figures == set(re.findall(r"\((gains_[\w-]+\.svg)\)", pages))


@pytest.mark.parametrize(
    "text",
    [
        "On `explorer-sim` the way `pairwise` gains +.027.",
        "`skip-head` costs .016, of 3,412 sessions.",
        "`skip-head` costs 1.6 % points in 5 seeds of SASRec on ML-100K, HR@10 and the top-20.",
        "| `ml100k` | `pairwise` | .100 | 951 |",
        "The code says `0.999`, and [so](page0.5.md) does https://example.org/0.777",
    ],
)
def test_a_figure_that_a_row_has_is_supported(tool, text):
    assert tool.unsupported(HEAD + text, TABLES) == []


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("On `explorer-sim` the way `pairwise` gains +.028.", "+.028"),
        ("`skip-head` gains +.016.", "+.016"),  # it costs so much
        ("`skip-head` costs .0271.", ".0271"),  # of another way
        ("| `ml100k` | `skip-head` | .100 |", ".100"),  # no row has both
        ("Of 3,413 sessions.", "3,413"),
        ("A share of 12 %.", "12 %"),
        ("## Elsewhere\n\nA section that names no file: .027", ".027"),
    ],
)
def test_a_figure_that_no_row_has_is_named(tool, text, number):
    [found] = tool.unsupported(HEAD + text, TABLES)
    assert found.startswith(f"{number} in: ")


def test_a_table_of_the_page_is_made_from_its_file(tool):
    page = HEAD + MARKS.format("old rows\n")
    made = tool.filled(page, TABLES)
    assert "| variant | over_orig |\n| --- | --- |\n" in made
    assert (
        "| pairwise | 0.0271 [0.0110, 0.0430] |\n| skip-head | −0.0164 [−0.0300, −0.0020] |" in made
    )
    assert "old rows" not in made
    assert tool.filled(made, TABLES) == made
    assert tool.unsupported(made, TABLES) == []


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("table: methods", "table: absent", "no absent.csv"),
        ("variant over_orig", "variant gain", "no column gain"),
        ("explorer-sim", "moods-sim", "no row with dataset=moods-sim"),
    ],
)
def test_a_table_that_the_files_cannot_give_is_an_error(tool, old, new, message):
    with pytest.raises(SystemExit, match=message):
        tool.filled(MARKS.format("").replace(old, new), TABLES)


def part_of_study(study, name: str, dataset: str, **columns) -> None:
    tables = study / name / "tables"
    tables.mkdir(parents=True)
    rows = {"headline": [True, False, True], "dataset": dataset, "value": [0.123456, 1.0, 2.0]}
    pl.DataFrame(rows | columns).write_csv(tables / "slices.csv")


def test_the_tool_ships_leading_rows_and_what_the_study_took(tool, tmp_path):
    study, pages = tmp_path / "study", tmp_path / "pages"
    part_of_study(study, "ways", "a", slice=["cold", "cold", "night"])
    (study / "ways/tables/headroom.csv").write_text("headline,dataset,oracle\n")
    (study / "ways/tables/skip_gains.csv").write_text("dataset\na\n")
    (study / "ways/tables/findings.csv").write_text("claim,dataset\nskips sink,a\nof all,\n")
    of_skips = "metric,dataset\nhr_skipped_1,a\nhr_skipped_20,a\n"
    (study / "ways/tables/skip_downranking.csv").write_text(of_skips)
    (study / "ways/figures").mkdir()
    (study / "ways/figures/gains.svg").write_text("<svg/>")
    keys = {"dataset": "a", "split": "paper", "model": "sasrec", "variant": "orig"}
    for seed in (1, 2):
        write_json({"seconds": 1800.0}, result("run", study / "ways", **keys, seed=seed))
    trials = result("trials", study / "ways", **keys)
    trials.parent.mkdir(parents=True)
    pl.DataFrame({"seconds": [900.0, 900.0, 1800.0]}).write_parquet(trials)

    found = tool.collect(study, pages)
    assert (pages / "slices.csv").read_text() == "dataset,value,slice\na,0.123456,cold\n"
    assert found["study"].rows() == [("ways", 2, 1.0, 3, 1.0)]
    assert (pages / "findings.csv").read_text() == "claim,dataset\nskips sink,a\n"
    assert (pages / "skip_downranking.csv").read_text() == "metric,dataset\nhr_skipped_20,a\n"
    assert (pages / "gains_ways.svg").read_text() == "<svg/>"
    assert tool.read(pages).keys() == {"findings", "skip_downranking", "slices", "study"}


def test_parts_are_made_one_at_a_time(tool, tmp_path):
    """What is shipped of a data set stays until the data set itself is made again."""
    pages = tmp_path / "pages"
    nothing, something = [None] * 3, ["a lot"] * 3
    for machine, dataset, said in ((1, "b", something), (2, "a", nothing), (3, "b", nothing)):
        part_of_study(tmp_path / str(machine), dataset, dataset, said=said)
        tool.collect(tmp_path / str(machine), pages)
        rows = (pages / "slices.csv").read_text().splitlines()[1:]
        if machine == 2:
            assert rows == ["a,0.123456,", "a,2.0,", "b,0.123456,a lot", "b,2.0,a lot"]
    assert rows == ["a,0.123456,", "a,2.0,", "b,0.123456,", "b,2.0,"]
    assert tool.read(pages)["study"]["part"].to_list() == ["a", "b"]


def test_a_part_with_other_models_leaves_those_that_are_shipped(tool, tmp_path):
    pages = tmp_path / "pages"
    for machine, model in ((1, "sasrec"), (2, "caser"), (3, "sasrec")):
        part_of_study(tmp_path / str(machine), "part", "a", model=[model, model, None])
        tool.collect(tmp_path / str(machine), pages)
    rows = tool.read(pages)["slices"]
    assert rows["model"].to_list() == ["sasrec", None, "caser"]


def test_tables_too_large_to_ship_are_an_error(tool, tmp_path):
    with pytest.raises(SystemExit, match="run `make answer` first"):
        tool.collect(tmp_path, tmp_path / "pages")
    tables = tmp_path / "ways/tables"
    tables.mkdir(parents=True)
    pl.DataFrame({"dataset": ["x" * 100] * 6000}).write_csv(tables / "slices.csv")
    with pytest.raises(SystemExit, match="of at most 500,000"):
        tool.collect(tmp_path, tmp_path / "pages")
