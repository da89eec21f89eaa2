"""The papers' tables of what skips are worth, from ranks: each variant against ``orig`` on the same
sessions.
"""

from collections.abc import Iterator

import polars as pl

from skipwise.core.schemas import ARTIFACTS
from skipwise.evaluation.comparisons import (
    CANDIDATES,
    REFERENCE,
    Measure,
    Resampling,
    Runs,
    compared,
    mean_measure,
    quartiles,
    skip_measures,
    subset,
    with_holm,
)
from skipwise.report.write import data_source, write_table

RECSYS24 = {"hr": (1, 5, 10, 20), "map": (10,)}
MURS23 = {"hr": (1, 5, 10, 20)}
_NOTE = (
    "orig and value are means over seeds; difference = value − orig on the same sessions, with a {level:.0%} paired bootstrap "
    "interval over sessions; p_holm: Holm over the whole table; seed_sd: standard deviation of the difference over the seeds, "
    "which the interval does not contain. full: ranked in the whole catalogue; sampled: among sampled candidates."
)


def make_murs23_context_table(
    ranks: list[str],
    outputs: dict[str, str],
    *,
    simulated: list[str],
    intervals: dict,
    papers: dict,
) -> None:
    """P1's table: transformers that look back (Uni) or both ways (Bi), without skips (S-) and with
    them (S+).

    ``papers`` is the key of the configuration that says which models and variants these are; others
    are left out.
    """
    resampling = Resampling(**intervals)
    contexts = {papers["models"][name]: name for name in ("Uni", "Bi") if name in papers["models"]}
    skips = {papers["variants"][name]: name for name in papers["variants"] if name.startswith("S+")}
    rows = []
    for keys, orig, ours in Runs(ranks).against_reference():
        if keys["model"] in contexts and keys["variant"] in skips:
            named = keys | {"context": contexts[keys["model"]], "skips": skips[keys["variant"]]}
            rows += _rows(named, _rank_measures(MURS23), ours, orig, resampling, simulated)
    title = "Context and skips (Seshadri & Knees, MuRS 2023)"
    _write(rows, "murs23_context", outputs, title, f"orig is S-. {_NOTE}", intervals)


def make_recsys24_main_table(
    ranks: list[str], outputs: dict[str, str], *, simulated: list[str], intervals: dict
) -> None:
    """P2's main table: the relative change that every variant brings to its model."""
    resampling = Resampling(**intervals)
    rows = []
    for keys, orig, ours in Runs(ranks).against_reference():
        rows += _rows(keys, _rank_measures(RECSYS24), ours, orig, resampling, simulated)
    title = "What skips bring to each model (Seshadri, Shashaani & Knees, RecSys 2024)"
    _write(rows, "recsys24_main", outputs, title, _NOTE, intervals)


def make_skip_downranking_table(
    ranks: list[str],
    outputs: dict[str, str],
    *,
    simulated: list[str],
    intervals: dict,
    cutoffs: dict,
) -> None:
    """Whether skipped tracks sink: metrics of the unseen skips of the test sessions."""
    resampling = Resampling(**intervals)
    rows = []
    for keys, orig, ours in Runs(ranks).against_reference():
        rows += _rows(keys, skip_measures(cutoffs), ours, orig, resampling, simulated)
    note = "hr_skipped and mrr_skipped: lower is better; delta: of the target less of the skips; pairwise_accuracy: target "
    note += (
        "ranked before a skipped track of its session. A skip metric is a mean over unseen skips. "
    )
    _write(rows, "skip_downranking", outputs, "Do skipped tracks sink?", note + _NOTE, intervals)


def make_by_skip_share_table(
    ranks: list[str], outputs: dict[str, str], *, simulated: list[str], intervals: dict
) -> None:
    """The gain of each variant by quartile of the share of skips in the session's context."""
    resampling = Resampling(**intervals)
    rows = []
    for keys, orig, ours in Runs(ranks).against_reference():
        quartile = quartiles(orig.skip_share)
        for number in range(1, 5):
            inside = quartile == number
            if not inside.any():
                continue
            share = orig.skip_share[inside]
            named = keys | {
                "quartile": number,
                "share_low": float(share.min()),
                "share_high": float(share.max()),
            }
            parts = subset(ours, inside), subset(orig, inside)
            rows += _rows(
                named, _rank_measures({"hr": (10,), "ndcg": (10,)}), *parts, resampling, simulated
            )
    note = "Quartiles of the share of skipped plays in the test context; equal shares are in one quartile. "
    _write(rows, "by_skip_share", outputs, "Gain by share of skips", note + _NOTE, intervals)


def make_paper_comparison_table(
    hr_ndcg: str,
    recsys24: str,
    skip_downranking: str,
    paper_results: str,
    outputs: dict[str, str],
    *,
    forms: dict[str, str],
) -> None:
    """Every cell of the papers' tables, and beside it what this run has for a data set of the same
    raw form.

    ``forms`` maps the data sets of this run to their forms.  The papers rank among sampled
    candidates, so ``ours_sampled`` is the counterpart.  Where this run has none, ours is null.
    """
    ours = _our_cells(
        pl.read_parquet(hr_ndcg), pl.read_parquet(recsys24), pl.read_parquet(skip_downranking)
    )
    papers = pl.read_csv(paper_results)
    place = ("table", "form", "model", "variant", "metric", "k")
    printed = {tuple(cell[name] for name in place): cell["value"] for cell in papers.to_dicts()}
    rows = []
    for cell in papers.to_dicts():
        metric = f"{cell['metric']}_{cell['k']}"
        reference = printed[tuple((cell | {"variant": REFERENCE})[name] for name in place)]
        row = {name: cell[name] for name in ("table", "form", "model", "variant", "source")}
        row |= {"metric": metric, "paper": cell["value"]}
        row["paper_relative_change"] = (
            None if cell["variant"] == REFERENCE else cell["value"] / reference - 1
        )
        places = [
            key
            for key in ours
            if forms.get(key[0]) == cell["form"]
            and key[2:] == (cell["model"], cell["variant"], metric)
        ]
        rows += [row | ours[place] for place in places] or [row]
    write_table(
        rows,
        ARTIFACTS["paper_comparison"],
        outputs,
        title="What the papers print, and this run",
        note="paper: quoted from its source; other data and other sampled candidates than ours. ours: this run, on the data "
        "set of the same raw form; a simulated one says nothing about real listeners. P2's MAP@10 breaks a bound that must "
        "hold (docs/protocol.md), and how its skip MRR was computed is not published.",
    )


def _our_cells(hr_ndcg: pl.DataFrame, *comparisons: pl.DataFrame) -> dict[tuple, dict]:
    """(data set, split, model, variant, metric) to the columns of this run."""
    cells: dict[tuple, dict] = {}

    def cell(row: dict, metric: str) -> dict:
        labels = {name: row[name] for name in ("dataset", "data", "split", "sessions", "seeds")}
        return cells.setdefault(
            (row["dataset"], row["split"], row["model"], row["variant"], metric), labels
        )

    metrics = [name.removesuffix("_low") for name in hr_ndcg.columns if name.endswith("_low")]
    for row in hr_ndcg.to_dicts():
        for metric in metrics:
            values = {
                f"ours_{row['candidates']}{end}": row[f"{metric}{end}"]
                for end in ("", "_low", "_high")
            }
            cell(row, metric).update(values)
    for row in (row for table in comparisons for row in table.to_dicts()):
        name = f"ours_{row['candidates']}"
        cell(row, row["metric"]).update(
            {f"{name}_relative_change": row["relative_change"], name: row["value"]}
        )
        cell(row | {"variant": REFERENCE}, row["metric"]).setdefault(name, row["orig"])
    return cells


def _rank_measures(cutoffs: dict[str, tuple[int, ...]]) -> list[Measure]:
    return [
        mean_measure(name, k, candidates)
        for candidates in CANDIDATES
        for name, ks in cutoffs.items()
        for k in ks
    ]


def _rows(
    keys: dict, measures: list[Measure], ours, orig, resampling: Resampling, simulated: list[str]
) -> Iterator[dict]:
    for measure in measures:
        named = keys | {
            "data": data_source(keys["dataset"], simulated),
            "candidates": measure.candidates,
            "metric": measure.name,
        }
        yield named | compared(measure, ours, orig, resampling)


def _write(
    rows: list[dict], name: str, outputs: dict[str, str], title: str, note: str, intervals: dict
) -> None:
    note = note.format(level=intervals["level"])
    write_table(
        with_holm(rows), ARTIFACTS[name], outputs, title=title, note=note, level=intervals["level"]
    )
