"""A table as a page for the browser: one file without network that sorts, searches and reads on a
phone, in the dark, on paper.

The page says where the data are from, which seeds, candidates and sessions are behind the rows, and
what each column means. The best value of a column is bold among comparable rows only: same data
set, split, candidates, metric.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jinja2
import polars as pl

from skipwise.core.artifacts import whole_file

SIMULATED = "Simulated data: the listeners are made up by this workflow. The figures say nothing about real listeners."
MISSING = "–"


def _decimals(value: float) -> str:
    return f"{value:.4f}".replace("-", "−")


def _signed(value: float) -> str:
    return f"{value:+.4f}".replace("-", "−")


def _share(value: float) -> str:
    return f"{value:.1%}".replace("%", " %")


def _change(value: float) -> str:
    return f"{value:+.1%}".replace("-", "−").replace("%", " %")


def _p(value: float) -> str:
    return "< 0.0001" if value < 0.00005 else _decimals(value)


def _count(value: int) -> str:
    return f"{value:,}"


def _few(value: float) -> str:
    return f"{value:.4g}"


def _metric(name: str) -> str:
    """A metric with its direction: ``hr_skipped_10`` gives ``HR@10 of skips ↓``."""
    found = re.fullmatch(r"(delta_)?(hr|ndcg|map|mrr)(_skipped)?_(\d+)", name)
    if not found:
        return f"{name.replace('_', ' ')} ↑"
    delta, metric, skipped, k = found.groups()
    return f"{'Δ ' if delta else ''}{metric.upper()}@{k}{' of skips' if skipped else ''} {_arrow(name)}"


def _lower_is_better(metric: str) -> bool:
    return "_skipped_" in metric


def _arrow(metric: str) -> str:
    return "↓" if _lower_is_better(metric) else "↑"


class Column(NamedTuple):
    """How a column is headed, explained and printed."""

    label: str
    meaning: str
    show: Callable = str


# fmt: off
COLUMNS = {
    "dataset": Column("data set", "Name in the registry of the configuration."),
    "data": Column("data", "Where the data are from: real listeners, or simulated ones, made up by this workflow."),
    "split": Column("split", "How sessions are parted into train, validation and test; paper is that of the papers."),
    "model": Column("model", "The recommender."),
    "variant": Column(
        "variant", "What it is told of skips; orig: nothing. contrastive-: P2's term, with the embedding of the last listened "
        "track (item) or the prediction (hidden) as the query; bl: skips left out; nr: skips as negatives."),
    "candidates": Column("candidates", "Tracks that the target is ranked among: all, or a sample, which flatters."),
    "sessions": Column("sessions", "Sessions behind the row.", _count),
    "seeds": Column("seeds", "Seeds of training; values are means over them."),
    "metric": Column("metric", "↑: higher is better. ↓: lower is better.", _metric),
    "orig": Column("orig", "The metric of the model without skips.", _decimals),
    "value": Column("variant", "The metric of the variant.", _decimals),
    "difference": Column("variant − orig", "Difference on the same sessions, with its interval in brackets.", _signed),
    "relative_change": Column("relative change", "Difference in per cent of orig.", _change),
    "p": Column("p", "Two-sided, of the paired bootstrap.", _p),
    "p_holm": Column("p, Holm", "Corrected for all rows of the table.", _p),
    "seed_sd": Column("SD over seeds", "Of the difference; the interval does not contain it.", _decimals),
    "context": Column("context", "Uni: the model looks back only. Bi: both ways."),
    "skips": Column("skips", "S+: with skips, by the query of the contrastive term; S- is orig."),
    "quartile": Column("quartile", "Quarter of the sessions by share of skips; 1 has the fewest."),
    "share": Column("share of skips", "Least and greatest share of skips in the context in this quarter.", _share),
    "table": Column("paper", "murs23: Seshadri & Knees 2023; recsys24: Seshadri, Shashaani & Knees 2024."),
    "form": Column("form", "Raw form of the data, by which the papers' data set and ours are matched."),
    "source": Column("source", "Where the printed value stands."),
    "paper": Column("paper prints", "Quoted; the papers rank among sampled candidates.", _decimals),
    "paper_relative_change": Column("paper, change", "Change against orig in the paper.", _change),
    "ours_sampled": Column("here, sampled", "This run, among sampled candidates, with the interval of hr_ndcg.", _decimals),
    "ours_sampled_relative_change": Column("here, sampled, change", "Change against orig, sampled candidates.", _change),
    "ours_full": Column("here, full", "This run, in the full catalogue, with the interval of hr_ndcg.", _decimals),
    "ours_full_relative_change": Column("here, full, change", "Change against orig, full catalogue.", _change),
    "claim": Column("claim", "A claim of the papers."),
    "verdict": Column(
        "verdict", "holds, does not hold: the interval and every seed lie on one side of 0, and p, Holm is small. "
        "Else cannot be told."),
    "measured": Column("measured", "The quantity that decides."),
    "estimate": Column("estimate", "Its value, with the interval in brackets.", _signed),
    "single_seed": Column("single seeds", "Least and greatest estimate of a seed.", _signed),
    "papers_print": Column("papers print", "Quoted, on their data."),
    "trial": Column("trial", "0 has the configured settings."),
    "learning_rate": Column("learning rate", "Of Adam.", _few),
    "alpha": Column("α", "Weight of the contrastive term.", _few),
    "tau": Column("τ", "Temperature of the contrastive term.", _few),
    "valid_ndcg_10": Column("validation NDCG@10 ↑", "Of the best epoch; decides.", _decimals),
    "valid_hr_10": Column("validation HR@10 ↑", "Of the best epoch.", _decimals),
    "best_epoch": Column("best epoch", "By validation NDCG@10.", _count),
    "epochs": Column("epochs", "Trained.", _count),
    "seconds": Column("seconds", "Of training.", "{:.1f}".format),
    "chosen": Column("chosen", "The best trial of its variant.", lambda value: "yes" if value else "no"),
    "skip_rule": Column("skip rule", "What makes a play a skip."),
    "session_gap_minutes": Column("session gap, min", "A longer pause ends a session.", _few),
    "sessions_longer_than_5": Column("sessions > 5 plays", "Sessions of more than five plays.", _count),
    "skip_share": Column("share of skips", "Of all plays.", _share),
    "zero_gaps": Column("plays at one second", "Plays that start at the second of the one before; left out.", _count),
    "check_sessions": Column("notebook: sessions", "What the authors' notebook counts.", _count),
    "check_sessions_longer_than_5": Column("notebook: sessions > 5", "What the authors' notebook counts.", _count),
    "licence": Column("licence", "Of the data."),
    "plays_read": Column("plays read", "Rows of the raw files that are plays.", _count),
    "sessions_formed": Column("sessions formed", "Before any filter.", _count),
    "sessions_eligible": Column("sessions eligible", "That pass every filter; the sample is drawn from them.", _count),
    "plays": Column("plays", "Of the sampled sessions.", _count),
    "tracks": Column("tracks", "Of the sampled sessions: the catalogue.", _count),
    "length_median": Column("median length, plays", "Of the sampled sessions.", _few),
    "length_mean": Column("mean length, plays", "Of the sampled sessions.", _few),
    "train_sessions": Column("train sessions", "Sessions to train on.", _count),
    "test_sessions": Column("test sessions", "Sessions to test on.", _count),
    "unseen_target_share": Column("unseen targets", "Share of test targets that no train sequence holds.", _share),
}
# fmt: on
# What rows must share to be compared, and the columns whose best value is marked among them.
_COMPARABLE = ("dataset", "split", "candidates", "table", "form", "metric", "quartile")
_OF_THE_PAPER = ("table", "form", "metric")
_MARKED = (
    *("orig", "value", "difference", "relative_change", "valid_ndcg_10", "valid_hr_10"),
    *("paper", "paper_relative_change"),
    *(
        f"ours_{candidates}{end}"
        for candidates in ("sampled", "full")
        for end in ("", "_relative_change")
    ),
)
# Columns that a reader picks one value of, and those that head the page when all rows share them.
_FILTERS = (
    "claim",
    "verdict",
    "dataset",
    "split",
    "candidates",
    "table",
    "model",
    "variant",
    "skips",
    "quartile",
    "metric",
)
_FACTS = (
    "split",
    "candidates",
    "table",
    "form",
    "context",
    "skips",
    "licence",
    "sessions",
    "seeds",
)
_VERDICTS = {"holds": "✓", "does not hold": "✗", "cannot be told": "?"}


class _Cell(NamedTuple):
    text: str
    key: float | str | None  # what the column is sorted by
    interval: str = ""
    best: bool = False


def describe(name: str) -> Column:
    """The column of a table by its name in the csv; metrics like ``hr_10`` are told from their
    names.
    """
    if name in COLUMNS:
        return COLUMNS[name]
    if re.fullmatch(r"(hr|ndcg|map)_\d+", name):
        return Column(
            _metric(name),
            "Mean over seeds and test sessions, with its interval in brackets; ↑: higher is better.",
            _decimals,
        )
    raise KeyError(f"pages.COLUMNS does not explain the column {name}")


def write_page(
    frame: pl.DataFrame, path: str | Path, *, title: str, note: str, level: float | None = None
) -> None:
    """Write the page of a table to ``path``.

    ``frame`` has the columns of the csv, at least ``data``; ``note`` says how to read it, ``level``
    is that of its intervals. Raises KeyError for a column that has no explanation.
    """
    simulated = frame.filter(data="simulated")
    listed = frame
    overview = []
    if "verdict" in frame.columns:
        overview = _overview(frame)
        listed = frame.filter(pl.col("model").is_not_null()).drop("papers_say", "note")
    facts, dropped = _facts(listed, level)
    shown = [name for name in _columns(listed) if name not in dropped]
    best = _best(listed)
    run = "model" in shown and "variant" in shown and "claim" not in shown
    if run:
        shown = ["model", *(name for name in shown if name not in ("model", "variant"))]
    rows = []
    for at, row in enumerate(listed.to_dicts()):
        cells = [_cell(name, row, at in best.get(name, ())) for name in shown]
        if run:
            cells[0] = _Cell(f"{row['model']} {row['variant']}", f"{row['model']} {row['variant']}")
        rows.append((cells, {name: row[name] for name in _FILTERS if row.get(name) is not None}))
    head = [
        {
            "name": name,
            "label": "model and variant" if run and name == "model" else describe(name).label,
            "number": any(isinstance(cells[i].key, int | float) for cells, _ in rows),
        }
        for i, name in enumerate(shown)
    ]
    page = _TEMPLATE.render(
        title=title,
        note=note,
        warning=SIMULATED if len(simulated) else "",
        simulated=", ".join(_distinct(simulated, "dataset")),
        facts=facts,
        overview=overview,
        symbols=_VERDICTS,
        head=head,
        rows=rows,
        filters=[
            (name, describe(name), _distinct(listed, name))
            for name in _FILTERS
            if len(_distinct(listed, name)) > 1
        ],
        show=lambda name, value: describe(name).show(value),
        marked=bool(best),
        glossary=[(name, describe(name)) for name in (*shown, *(["variant"] if run else []))],
    )
    with whole_file(path) as partial:
        partial.write_text(page, encoding="utf-8")


def _distinct(frame: pl.DataFrame, name: str) -> list:
    return (
        frame[name].drop_nulls().unique(maintain_order=True).to_list()
        if name in frame.columns
        else []
    )


def _columns(frame: pl.DataFrame) -> list[str]:
    """The columns of the page: a value and its limits stand in one, two limits alone too; what is
    behind a row last.
    """
    names = dict.fromkeys(re.sub("_(low|high)$", "", name) for name in frame.columns)
    return sorted(
        names, key=lambda name: "seeds" in names and name in ("source", "sessions", "seeds")
    )


def _cell(name: str, row: dict, best: bool) -> _Cell:
    show = describe(name).show
    low, high = (row.get(f"{name}_{end}") for end in ("low", "high"))
    if name not in row:
        return _Cell(MISSING, None) if low is None else _Cell(f"{show(low)} to {show(high)}", low)
    value = row[name]
    if value is None:
        return _Cell(MISSING, None)
    interval = "" if low is None else f"[{show(low)}, {show(high)}]"
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return _Cell(show(value), value if number else show(value), interval, best)


def _facts(frame: pl.DataFrame, level: float | None) -> tuple[list[tuple[str, str]], set[str]]:
    """What stands above the table, and the columns that need not stand in it because all rows
    agree.
    """
    sources = (
        frame.select("dataset", "data").drop_nulls().unique(maintain_order=True).rows()
        if len(frame)
        else []
    )
    facts = (
        [("Data", ", ".join(f"{dataset} ({data})" for dataset, data in sources))] if sources else []
    )
    alone = {
        name
        for name in (*_FACTS, "dataset", "data")
        if len(_distinct(frame, name)) == 1 and not frame[name].has_nulls()
    }
    for name in _FACTS:
        values = [describe(name).show(value) for value in _distinct(frame, name)]
        if values and (name in alone or name in ("split", "candidates", "seeds")):
            facts.append(
                (
                    describe(name).label.capitalize(),
                    (" or " if name == "seeds" else ", ").join(values),
                )
            )
    if level is not None:
        facts.append(
            (
                "Intervals",
                f"{level:.0%}".replace("%", " %") + " bootstrap over test sessions, in [brackets]",
            )
        )
    # One row alone keeps what names it.
    return facts, alone & {"data"} if len(frame) == 1 else alone


def _best(frame: pl.DataFrame) -> dict[str, set[int]]:
    """By column, the rows whose value is the best of their comparable rows, or prints like it.  One
    row alone is not marked.
    """
    found: dict[str, set[int]] = {}
    metrics = [
        name
        for name in frame.columns
        if f"{name}_low" in frame.columns and re.fullmatch(r"(hr|ndcg|map)_\d+", name)
    ]
    for name in (*metrics, *(name for name in _MARKED if name in frame.columns)):
        keys = (
            _OF_THE_PAPER
            if name.startswith("paper")
            else [key for key in _COMPARABLE if key in frame.columns]
        )
        groups: dict[tuple, list[tuple[int, float]]] = {}
        for at, row in enumerate(frame.to_dicts()):
            if row[name] is not None:
                groups.setdefault(tuple(row[key] for key in keys), []).append((at, row[name]))
        for group in groups.values():
            metric = frame["metric"][group[0][0]] if "metric" in frame.columns else name
            if name == "relative_change" and metric.startswith("delta_"):
                continue  # orig may be negative, and then the sign says nothing
            value = (min if _lower_is_better(metric) else max)(value for _, value in group)
            show = describe(name).show
            if len(group) > 1:
                found.setdefault(name, set()).update(
                    at for at, other in group if show(other) == show(value)
                )
    return found


def _overview(findings: pl.DataFrame) -> list[dict]:
    """A row a claim and kind of data: the verdict and in how many rows it is which."""
    rows = []
    of_all, single = (
        findings.filter(pl.col("model").is_null()),
        findings.filter(pl.col("model").is_not_null()),
    )
    for row in of_all.to_dicts():
        part = single.filter(
            pl.col("claim") == row["claim"], pl.col("data").eq_missing(pl.lit(row["data"]))
        )
        counts = {verdict: part.filter(verdict=verdict).height for verdict in _VERDICTS}
        # A claim that this run cannot be put to has no rows, and a note that says why.
        rows.append(row | {"counts": counts if len(part) else None})
    return rows


_TEMPLATE = jinja2.Environment(
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=jinja2.StrictUndefined,
    keep_trailing_newline=True,
).from_string(Path(__file__).with_name("page.html.jinja").read_text(encoding="utf-8"))
