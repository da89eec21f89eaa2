"""What the tuning tried, on validation data, and what it chose. Every variant has the same number
of trials, so none is favoured.
"""

import pyarrow as pa

from skipwise.core.schemas import required, rows_of
from skipwise.report.write import Given
from skipwise.training.tuning import trial_rows

NEEDS = ("trial", "trial_history")
SETTINGS = ("simulated", "tuning")
GIGABYTES = 1
MINUTES = 10
TARGET = "tune"
TITLE = "Tuning on validation data"
# One row per trial of the tuning.  alpha and tau are null for variants without the contrastive
# term.
COLUMNS = rows_of(
    *(required(name, pa.string()) for name in ("dataset", "data", "split", "model", "variant")),
    required("trial", pa.int32()),
    required("learning_rate", pa.float64()),
    pa.field("alpha", pa.float64()),
    pa.field("tau", pa.float64()),
    required("valid_ndcg_10", pa.float64()),
    required("valid_hr_10", pa.float64()),
    required("best_epoch", pa.int32()),
    required("epochs", pa.int32()),
    required("seconds", pa.float64()),
    required("chosen", pa.bool_()),
)


def note(given: Given) -> str:
    return (
        f"{given.settings['tuning']['trials']} trials for every variant, trial 0 with the "
        "configured settings; chosen: the highest validation NDCG@10 of a variant. No test data is "
        "read."
    )


def rows(given: Given) -> list[dict]:
    """One row per trial."""
    return [row | {"data": given.source(row["dataset"])} for row in trial_rows(given["trial"])]
