"""Where each use of skips helps: what each variant changes on parts of the test sessions, by their
target. Whether it is in the context already (*repeat*) or not (*new*); whether it is among the more
played half of the targets in training (*head*) or not (*tail*), and whether it had fewer than five
plays there (*cold*). A gain that is on the head alone may be popularity; one on cold targets is
none that counting could give.
"""

import numpy as np
import pyarrow as pa

from skipwise.core.schemas import required
from skipwise.evaluation.comparisons import Ranked, subset
from skipwise.report import variants
from skipwise.report.columns import Column
from skipwise.report.write import Given

NEEDS = ("ranks", "split")
SETTINGS = ("simulated", "intervals")
GIGABYTES = 4
MINUTES = 60
TITLE = "Gain by kind of target"
COLUMNS = variants.comparison_columns(required("slice", pa.string()))
EXPLAINS = {"slice": Column("target", "Kind of target: of which sessions the row is.")}
MEASURES = variants.rank_measures({"hr": (10,)})
COLD = 5


def note(given: Given) -> str:
    return variants.note(
        given,
        f"Sessions by their target; head: above the median of plays in training, cold: below "
        f"{COLD} plays. ",
    )


def slices(ranked: Ranked) -> dict[str, np.ndarray]:
    """By name, (S,) which sessions are in a slice."""
    plays = ranked.target_popularity
    head = plays > np.median(plays)
    return {
        "repeat": ranked.is_repeat,
        "new": ~ranked.is_repeat,
        "head": head,
        "tail": ~head,
        "cold": plays < COLD,
    }


def rows(given: Given) -> list[dict]:
    """The change that every variant brings, by slice; a slice without a session has no row."""
    found: list[dict] = []
    for keys, orig, ours in variants.pairs(given):
        for name, inside in slices(orig).items():
            parts = subset(ours, inside), subset(orig, inside)
            measures = [m for m in MEASURES if len(parts[1].among(m.candidates).session_id)]
            found += variants.rows_of_pair(given, keys | {"slice": name}, measures, *parts)
    return variants.corrected(found)
