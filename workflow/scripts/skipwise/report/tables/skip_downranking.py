"""Whether skipped tracks sink when the model is told of skips, on the skips of the test sessions
that the model has not seen. For metrics *of skips* lower is better (↓): the variant works where the
interval of *variant − reference* lies below 0. Δ is the metric of the target less that of the
skips, and pairwise accuracy the share of skips that the target is ranked before; for both higher is
better (↑). A model that ranks everything worse also pushes skips down, so read it beside the table
recsys24_main.
"""

from skipwise.core.schemas import HEADLINES
from skipwise.evaluation.comparisons import skip_measures
from skipwise.report import variants
from skipwise.report.write import Given

NEEDS = ("ranks", "split")
SETTINGS = ("simulated", "references", "intervals", "metrics")
FAMILY = "neural"
GIGABYTES = 4
MINUTES = 60
TITLE = "Do skipped tracks sink?"
COLUMNS = variants.comparison_columns()


def note(given: Given) -> str:
    return variants.note(
        given,
        "hr_skipped and mrr_skipped: lower is better; delta: of the target less of the skips; "
        "pairwise_accuracy: target ranked before a skipped track of its session. A skip metric is "
        "a mean over unseen skips. ",
    )


def rows(given: Given) -> list[dict]:
    """Metrics of the unseen skips of the test sessions."""
    found: list[dict] = []
    measures = [
        measure
        for candidates in HEADLINES
        for measure in skip_measures(given.settings["metrics"], candidates)
    ]
    for keys, orig, ours in variants.pairs(given):
        found += variants.rows_of_pair(given, keys, measures, ours, orig)
    return variants.corrected(found)
