"""What the metric of the papers' released code would print for the models of this run: next to the
full catalogue the same models among the candidates of a batch, and with the queries of all batches
merged, as MAP and the MRR of skips have them there. Gains are those over *orig* of the same model:
a metric that inflates both may still turn the sign. docs/released_code.md explains it.
"""

from collections.abc import Iterator

import numpy as np
import polars as pl
import pyarrow as pa

from skipwise.core.artifacts import read_artifact
from skipwise.core.paths import VariantKey, by_variant
from skipwise.core.schemas import required, rows_of
from skipwise.evaluation.comparisons import (
    REFERENCE,
    RankedRuns,
    known,
    mean_measure,
    skip_measures,
)
from skipwise.report.columns import Column, describe
from skipwise.report.write import Given

NEEDS = ("ranks", "released")
SETTINGS = ("simulated",)
FAMILY = "neural"
TARGET = "answer"
GIGABYTES = 4
TITLE = "What the released metric would print"
KINDS = ("full", "sampled", "merged")
COLUMNS = rows_of(
    *(required(name, pa.string()) for name in ("dataset", "data", "split", "model", "variant")),
    required("metric", pa.string()),
    required("batch", pa.int64()),
    *(pa.field(f"value_{kind}", pa.float64()) for kind in KINDS),
    *(pa.field(f"gain_{kind}{end}", pa.float64()) for kind in KINDS for end in ("", "_sd")),
    required("seeds", pa.string()),
)
_value, _gain = describe("value").show, describe("difference").show
_WHAT = {
    "full": "in the full catalogue",
    "sampled": "among the candidates of a batch, session by session",
    "merged": "as released, with sessions of one place in all batches as one query",
}
EXPLAINS = {
    "batch": Column("batch", "Sessions in a batch of the released metric; the papers have 64."),
    **{f"value_{kind}": Column(kind, f"The metric {_WHAT[kind]}.", _value) for kind in KINDS},
    **{f"gain_{kind}": Column(f"{kind} − orig", "Variant − orig.", _gain) for kind in KINDS},
    **{f"gain_{kind}_sd": Column("SD", "Over seeds, of the gain.", _value) for kind in KINDS},
}
NOTE = (
    "Means over seeds. The MRR of skips is here that of the first unseen skip of a session among "
    "its candidates and, in the full catalogue, the mean over all unseen skips; lower is better. "
    "HR is not merged in the released code. There is no interval: merged queries are no sample of "
    "independent sessions. SD needs two seeds."
)
MEASURES = {
    "hr_10": mean_measure("hr", 10, "full"),
    "map_10": mean_measure("map", 10, "full"),
    "mrr_skipped_10": skip_measures({"hr": []}, "full")[0],
}
# By kind, (R,) values of the seeds.
Values = dict[str, np.ndarray]


def rows(given: Given) -> Iterator[dict]:
    """One row per data set, split, neural model, variant, metric and size of a batch."""
    runs, printed = RankedRuns(given["ranks"]), _printed(given["released"])
    for dataset, split in runs.splits():
        for model, variants in runs.models(dataset, split).items():
            for variant in variants:
                place = (dataset, split, model)
                ranked = runs[*place, variant]
                for metric, measure in MEASURES.items():
                    for batch in sorted({key[1] for key in printed[*place, variant]}):
                        values = printed[*place, variant][metric, batch]
                        values |= {"full": measure.of_seeds(ranked)}
                        reference: Values = {}
                        if variant != REFERENCE and REFERENCE in variants:
                            reference = dict(printed[*place, REFERENCE][metric, batch])
                            reference["full"] = measure.of_seeds(runs[*place, REFERENCE])
                        yield {
                            "dataset": dataset,
                            "data": given.source(dataset),
                            "split": split,
                            "model": model,
                            "variant": variant,
                            "metric": metric,
                            "batch": batch,
                            "seeds": " ".join(ranked.seeds),
                            **_numbers(values, reference),
                        }


def _printed(paths: list[str]) -> dict[VariantKey, dict[tuple[str, int], Values]]:
    """By run but for its seed, and by metric and batch: the values of the seeds in their order."""
    found: dict[VariantKey, dict[tuple[str, int], Values]] = {}
    for place, of_variant in by_variant(paths).items():
        of_seeds = [pl.DataFrame(read_artifact("released", path)) for path in of_variant]
        for (metric, batch), part in pl.concat(of_seeds).group_by(
            "metric", "batch", maintain_order=True
        ):
            values = {
                kind: part[kind].cast(pl.Float64).to_numpy() for kind in ("sampled", "merged")
            }
            found.setdefault(place, {})[str(metric), int(str(batch))] = values
    return found


def _numbers(values: Values, reference: Values) -> dict:
    row: dict[str, float | None] = {}
    for kind in KINDS:
        row[f"value_{kind}"] = known(values[kind].mean())
        if reference:
            gain = values[kind] - reference[kind]
            row[f"gain_{kind}"] = known(gain.mean())
            row[f"gain_{kind}_sd"] = known(gain.std(ddof=1)) if len(gain) > 1 else None
    return row
