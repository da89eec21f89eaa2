"""What each variant gains by quarter of the sessions, from those with the smallest share of skips
in the context (1) to those with the largest (4). The papers say that the gain grows; it does where
the estimates rise from 1 to 4 by more than their intervals are wide.
"""

import pyarrow as pa

from skipwise.core.schemas import required
from skipwise.evaluation.comparisons import quartiles, subset
from skipwise.report import variants
from skipwise.report.write import Given

NEEDS = ("ranks", "split")
SETTINGS = ("simulated", "references", "intervals")
FAMILY = "neural"
GIGABYTES = 4
MINUTES = 60
TITLE = "Gain by share of skips"
COLUMNS = variants.comparison_columns(
    required("quartile", pa.int16()),
    required("share_low", pa.float64()),
    required("share_high", pa.float64()),
)
MEASURES = variants.rank_measures({"hr": (10,), "ndcg": (10,)})


def note(given: Given) -> str:
    return variants.note(
        given,
        "Quartiles of the share of skipped plays in the test context; equal shares are in one "
        "quartile. ",
    )


def rows(given: Given) -> list[dict]:
    """The gain of each variant, and the least and greatest share of skips, by quartile."""
    found: list[dict] = []
    for keys, orig, ours in variants.pairs(given):
        quartile = quartiles(orig.skip_share)
        for number in range(1, 5):
            inside = quartile == number
            if not inside.any():
                continue
            share = orig.skip_share[inside]
            limits = {"share_low": float(share.min()), "share_high": float(share.max())}
            named = keys | {"quartile": number} | limits
            parts = subset(ours, inside), subset(orig, inside)
            found += variants.rows_of_pair(given, named, MEASURES, *parts)
    return variants.corrected(found)
