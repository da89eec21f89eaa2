"""The small tables of the study `make answer`, copied to docs/answer, and the pages' own tables.

    python tools/collect_answer.py

joins the csv files of results/answer/<part>/tables into docs/answer/<table>.csv: the rows of the
headline candidates, numbers with six significant digits.  Rows of data sets, and of models, that no
part at hand has stay as they are shipped, so the study can be made one part at a time, on any
machine; they have the columns of the newest part, and what an older one lacks is empty there.
`study.csv` has what each part cost, and `gains_<part>.svg` is its figure of all gains.  A table of
a page in docs/answer stands between two comments and is written by this tool:

    <!-- table: methods; dataset=explorer-sim model=sasrec; variant over_orig verdict -->
    <!-- end -->

The parts are: the file, conditions on its columns, and the columns to show; a column that has an
interval is shown with it.  With `--check` nothing is copied.  In both cases the figures of the
texts are checked, and those that are in no row of the files that their section names are printed.
"""

import argparse
import json
import re
import shutil
import sys
from pathlib import Path

import polars as pl

ROOT = Path(__file__).resolve().parents[1]
STUDY, PAGES = ROOT / "results/answer", ROOT / "docs/answer"
# The others are of what the raw data says of a play, which means nothing to simulated listeners and
# which MovieLens does not have.
SLICES = ("repeat", "new", "head", "tail", "cold", "short", "long")
# Of the skips of test sessions: those recommended, the same beside the target, and those that the
# target is ranked before.
OF_SKIPS = ("hr_skipped_10", "hr_skipped_20", "delta_hr_10", "pairwise_accuracy")
# Those that the page reads; a part has others, which these are made from.
TABLES = (
    *("methods", "answer", "findings", "headroom", "power", "slices", "responsiveness", "tuning"),
    *("skip_downranking", "loss_audit", "evaluation_audit", "split_agreement"),
)
# Of each row, what says how its interval came about: the run's own tables have it.
WORKINGS = ("relative_change", "seed_sd", "design_effect", "deciding")
# Of the part with two splits, the level of each model there, which other parts have in `methods`.
LEVELS = ("splits", "hr_ndcg")
_OF_LEVELS = "^(dataset|data|split|candidates|headline|model|variant|sessions|(hr|ndcg)_10.*)$"
# Sessions in a batch of the papers' released metric.
BATCH = 64
# Bytes that all files may take together.
MOST = 500_000
TABLE = re.compile(r"(<!-- table: (.+?); (.*?); (.+?) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
# A number as a page prints it: +.027, −0.5, 1,234, 12 %.  A plain whole number below 100 is none.
NUMBER = re.compile(r"(?<![\w.,])([+−]?(?:\d{1,3}(?:,\d{3})+|\d*\.\d+|\d+))( ?%)?(?![\w%]|[.,]\d)")
SMALL = 100
NAME = re.compile(r"`([^`]+)`")
# Levels that the configuration sets: they are no results.
SET = {"95 %"}


def collect(study: Path, pages: Path) -> dict[str, pl.DataFrame]:
    """Join the tables of the parts at hand with the shipped rows of other data sets; returns all
    that is shipped by the name of its file.

    Raises SystemExit if there is no table, and if they are too large to be shipped.
    """
    made: dict[str, list[pl.DataFrame]] = {}
    for path in sorted(study.glob("*/tables/*.csv")):
        if path.stem in TABLES or (path.parts[-3], path.stem) == LEVELS:
            frame = _small(_read(path))
            if path.stem == LEVELS[1]:
                frame = frame.select(pl.col(_OF_LEVELS))
            if path.stem == "skip_downranking":
                frame = frame.filter(pl.col("metric").is_in(OF_SKIPS))
            made.setdefault(path.stem, []).append(frame)
    if not made:
        raise SystemExit(f"{study} has no part with tables; run `make answer` first")
    made["study"] = [costs(study)]
    shipped = read(pages)
    pages.mkdir(parents=True, exist_ok=True)
    for name, frames in made.items():
        if not (frames := [frame for frame in frames if frame.height]):
            continue
        frame = pl.concat(frames, how="diagonal_relaxed")
        key = ["part"] if name == "study" else ["dataset", *{"model"}.intersection(frame.columns)]
        if name in shipped:
            others = shipped[name].join(frame, on=key, how="anti", nulls_equal=True)
            others = others.select(column for column in others.columns if column in frame.columns)
            frame = pl.concat([frame, others], how="diagonal_relaxed")
        frame.sort(key[0], maintain_order=True).write_csv(pages / f"{name}.csv")
    for path in study.glob("*/figures/gains.svg"):
        shutil.copyfile(path, pages / f"gains_{path.parts[-3]}.svg")
    size = sum(path.stat().st_size for path in pages.glob("*.csv"))
    if size > MOST:
        raise SystemExit(f"the tables take {size:,} bytes of at most {MOST:,}; ship fewer of them")
    return read(pages)


def _small(frame: pl.DataFrame) -> pl.DataFrame:
    """The rows of a data set that lead, with numbers of six significant digits."""
    if frame.is_empty():
        return frame
    frame = frame.filter(pl.col("dataset").is_not_null())  # else of all data sets of a part
    if "headline" in frame.columns:
        frame = frame.filter("headline").drop("headline")
    if "batch" in frame.columns:
        frame = frame.filter(pl.col("batch") == BATCH)
    if "slice" in frame.columns:
        frame = frame.filter(pl.col("slice").is_in(SLICES)).drop("p", "detectable", strict=False)
    if "metric" in frame.columns:
        frame = frame.drop(WORKINGS, strict=False)
    return frame.with_columns(pl.selectors.float().round_sig_figs(6))


def costs(study: Path) -> pl.DataFrame:
    """One row per part: its trainings and trials of searches, and the hours that each took."""
    rows = []
    for part in sorted(path for path in study.iterdir() if path.is_dir()):
        runs = [json.loads(path.read_text("utf-8")) for path in part.glob("models/**/run.json")]
        trials = [pl.read_parquet(path) for path in part.glob("tuning/**/trials.parquet")]
        seconds = sum(frame["seconds"].sum() for frame in trials)
        rows.append(
            {
                "part": part.name,
                "trainings": len(runs),
                "training_hours": round(sum(run["seconds"] for run in runs) / 3600, 2),
                "trials": sum(frame.height for frame in trials),
                "trial_hours": round(seconds / 3600, 2),
            }
        )
    return pl.DataFrame(rows)


def read(pages: Path) -> dict[str, pl.DataFrame]:
    """The shipped tables by the name of their file."""
    return {path.stem: _read(path) for path in sorted(pages.glob("*.csv"))}


def _read(path: Path) -> pl.DataFrame:
    """A table of which a column without a value has no type, so that it joins with any."""
    frame = pl.read_csv(path, infer_schema_length=None)
    empty = [name for name in frame.columns if frame[name].null_count() == frame.height]
    return frame.with_columns(pl.lit(None).alias(name) for name in empty)


def filled(page: str, tables: dict[str, pl.DataFrame]) -> str:
    """The page with its tables as the files have them.  Raises SystemExit for a file or a column
    that is not there, and for conditions that no row fulfils.
    """

    def table(match: re.Match) -> str:
        head, name, conditions, columns, _, end = match.groups()
        if name not in tables:
            raise SystemExit(f"docs/answer has no {name}.csv, which a table of the page names")
        wanted = dict(condition.split("=", 1) for condition in conditions.split())
        frame = tables[name]
        absent = [column for column in (*wanted, *columns.split()) if column not in frame.columns]
        if absent:
            raise SystemExit(f"{name}.csv has no column {absent[0]}, which the page names")
        chosen = frame.filter([pl.col(key).cast(pl.String) == wanted[key] for key in wanted])
        if chosen.is_empty():
            raise SystemExit(f"{name}.csv has no row with {conditions}, which the page names")
        return f"{head}\n{_markdown(chosen, columns.split())}\n\n{end}"

    return TABLE.sub(table, page)


def _markdown(frame: pl.DataFrame, columns: list[str]) -> str:
    lines = [columns, ["---"] * len(columns)]
    for row in frame.iter_rows(named=True):
        lines.append([_cell(row, column) for column in columns])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(row: dict, column: str) -> str:
    value = _shown(row[column])
    if row.get(f"{column}_low") is not None:
        value += f" [{_shown(row[f'{column}_low'])}, {_shown(row[f'{column}_high'])}]"
    return value


def _shown(value: object) -> str:
    if value is None:
        return "–"
    if not isinstance(value, float):
        return str(value)
    return (f"{value:.4f}" if abs(value) < 1 else f"{value:.4g}").replace("-", "−")


def unsupported(page: str, tables: dict[str, pl.DataFrame]) -> list[str]:
    """The numbers of the text that no row supports, each with its block.

    A section names its files (`methods.csv`).  A number is supported if a row of one of
    them has a cell that is printed like this: rounded to so many digits, as per cent, without its
    sign if none is printed.  If the block, a paragraph or a row of a table, has texts of the file
    in backticks, the row must have one of them; for a row of a table it must have all of them.
    """
    found = []
    text = TABLE.sub("", page)
    for section in re.split(r"^(?=#)", text, flags=re.MULTILINE):
        files = [
            tables[name] for name in NAME.findall(section.replace(".csv", "")) if name in tables
        ]
        for block in re.split(r"\n\s*\n|\n(?=[|*-] ?)", section):
            names = {name for name in NAME.findall(block) if not name.endswith(".csv")}
            plain = re.sub(r"`[^`]*`|\]\([^)]*\)|https?://\S+|^#.*", " ", block)
            for match in NUMBER.finditer(plain):
                number = match[0].strip()
                if number in SET or _is_small(*match.groups()):
                    continue
                rows = [_rows(frame, names, every=block.startswith("|")) for frame in files]
                if not any(_holds(frame, *match.groups()) for frame in rows):
                    found.append(f"{number} in: {' '.join(block.split())[:80]}")
    return found


def _is_small(number: str, percent: str | None) -> bool:
    return percent is None and number.isdigit() and int(number) < SMALL


def _rows(frame: pl.DataFrame, names: set[str], *, every: bool) -> pl.DataFrame:
    """The rows that are about the names of a block."""
    texts = [name for name, kind in frame.schema.items() if kind == pl.String]
    known = [name for name in names if any((frame[text] == name).any() for text in texts)]
    if not known:
        return frame
    about = [pl.any_horizontal([pl.col(text) == name for text in texts]) for name in known]
    return frame.filter(pl.all_horizontal(about) if every else pl.any_horizontal(about))


def _holds(frame: pl.DataFrame, number: str, percent: str | None) -> bool:
    digits = len(number.partition(".")[2])
    value = float(number.replace(",", "").replace("−", "-"))
    half = 0.5 * 10**-digits + 1e-9
    cells = frame.select(pl.selectors.numeric().cast(pl.Float64) * (100 if percent else 1))
    if number[0] not in "+−":
        cells = cells.select(pl.all().abs())
    return any(((cells[name] - value).abs() <= half).any() for name in cells.columns)


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="only check the pages")
    given = parser.parse_args(arguments)
    tables = read(PAGES) if given.check else collect(STUDY, PAGES)
    wrong = []
    for page in sorted(PAGES.glob("*.md")):
        text = page.read_text(encoding="utf-8")
        if not given.check:
            text = filled(text, tables)
            page.write_text(text, encoding="utf-8")
        wrong += [f"{page.name}: {number}" for number in unsupported(text, tables)]
    if wrong:
        raise SystemExit("\n".join(["numbers that no shipped row supports:", *wrong]))


if __name__ == "__main__":
    main(sys.argv[1:])
