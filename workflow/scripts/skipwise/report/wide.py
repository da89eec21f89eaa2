"""Comparisons as the papers print them: one row per data set and metric, one column per model and
variant, and the difference under each value.

The long rows, which csv and parquet hold, are the source; nothing is computed here.  The number
that a paper prints is kept apart from ours, in a field of its own.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from skipwise.core.schemas import CANDIDATES
from skipwise.evaluation.comparisons import REFERENCE


class Cell(NamedTuple):
    """One value of this run; its difference from orig with limits, none for orig itself; whether
    p_holm is below 1 − level; and the number of the paper, if it prints one.
    """

    value: float
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    clear: bool = False
    printed: str | None = None  # with the paper's own decimals

    @property
    def star(self) -> str:
        """What marks a clear difference."""
        return "*" if self.clear else ""


class Wide(NamedTuple):
    """A table in the layout of the papers, of one split and candidate set.

    ``models`` has by the paper's name of a model the paper's names of its variants, in the order of
    the cells; ``rows`` data set, metric and cells, None where this run has no value.
    """

    split: str
    candidates: str
    headline: list[str]  # the data sets that lead with these candidates
    models: dict[str, list[str]]
    rows: list[tuple[str, str, list[Cell | None]]]
    source: str  # of the printed numbers, "" if there is none
    level: float  # of the intervals
    caveat: str  # on the number of seeds, "" if there are enough

    @property
    def heading(self) -> str:
        """What tells this table from the others."""
        leads = f"; headline of {', '.join(self.headline)}" if self.headline else ""
        return f"{self.candidates} candidates, split {self.split}{leads}"

    @property
    def starts(self) -> list[int]:
        """The first cell of each model."""
        lengths = [len(variants) for variants in self.models.values()]
        return [sum(lengths[:at]) for at in range(len(lengths))]

    @property
    def note(self) -> str:
        """How to read it."""
        grey = (
            " In grey italics what the paper prints, for its own sample of the data and among its "
            f"sampled candidates; it is no number of this run: {self.source}."
            if self.source
            else ""
        )
        return (
            f"{self.caveat}Means over seeds and test sessions; under each the change from orig "
            f"(S-) on the same sessions. *: p, Holm below {1 - self.level:.2g}, corrected over the "
            f"rows of the long form with the same metric, candidates, data set and split.{grey}"
        )


def papers_layout(
    rows: list[dict],
    *,
    models: Mapping[str, str],
    variants: Mapping[str, str],
    printed: Iterable[dict],
    forms: Mapping[str, str],
    level: float,
    caveat: str = "",
) -> list[Wide]:
    """The ``rows`` of a table of comparisons against orig: one table per split and candidate set,
    first the set that models are selected on.

    ``models`` and ``variants`` give the paper's names of ours; a variant without one keeps its own.
    ``printed`` has the cells of the paper's table, as in resources/paper_results.csv, with values
    as text.  A data set of this run stands beside the paper's of the same raw form, which ``forms``
    has; ``level`` is that of the intervals, and ``caveat`` a sentence that heads every note.
    """
    rows = [row for row in rows if row["reference"] == REFERENCE]
    cells = {
        (cell["form"], cell["model"], cell["variant"], f"{cell['metric']}_{cell['k']}"): cell
        for cell in printed
    }
    columns = {
        model: list(
            dict.fromkeys([REFERENCE, *(r["variant"] for r in rows if r["model"] == model)])
        )
        for model in models
        if any(row["model"] == model for row in rows)
    }
    heads = {
        models[model]: [variants.get(variant, variant) for variant in names]
        for model, names in columns.items()
    }
    found = []
    for split in dict.fromkeys(row["split"] for row in rows):
        for candidates in CANDIDATES:
            part = [row for row in rows if (row["split"], row["candidates"]) == (split, candidates)]
            lines: dict[tuple[str, str], dict] = {}
            for row in part:
                line = lines.setdefault((row["dataset"], row["metric"]), {})
                line[row["model"], row["variant"]] = _variant(row, level)
                line.setdefault((row["model"], REFERENCE), _value(row["reference_value"]))
            papers: dict[str, None] = {}
            for (dataset, metric), line in lines.items():
                for place in line:
                    cell = cells.get((forms.get(dataset), *place, metric))
                    if cell and line[place]:
                        line[place] = line[place]._replace(printed=cell["value"])
                        papers[cell["source"]] = None
            if part:
                found.append(
                    Wide(
                        split,
                        candidates,
                        list(dict.fromkeys(row["dataset"] for row in part if row["headline"])),
                        heads,
                        [
                            (*at, [line.get((m, v)) for m, names in columns.items() for v in names])
                            for at, line in lines.items()
                        ],
                        "; ".join(papers),
                        level,
                        caveat,
                    )
                )
    return sorted(found, key=lambda table: not table.headline)


def _value(value: float | None) -> Cell | None:
    return None if value is None else Cell(value)


def _variant(row: dict, level: float) -> Cell | None:
    if row["value"] is None:
        return None
    clear = row["p_holm"] is not None and row["p_holm"] < 1 - level
    return Cell(
        row["value"], row["difference"], row["difference_low"], row["difference_high"], clear
    )
