"""What a label and a skip are worth to each model as its field builds it: what each variant
changes, on the same sessions; whether its settings are tuned, the table hr_ndcg says. The row
*orig* says what the labels bring at all (next listened against plain next targets), the other rows
what the use of skips adds to that. A variant helps where the interval of *variant − reference* lies
above 0 and *p, Holm* is small; with fewer than three seeds a difference may be luck of the start.
"""

from skipwise.report import variants
from skipwise.report.write import Given

NEEDS = ("ranks", "split")
SETTINGS = ("simulated", "references", "intervals", "papers")
GIGABYTES = 4
MINUTES = 60
TITLE = "What skips bring to each model as its field builds it"
note = variants.note
COLUMNS = variants.comparison_columns()
MEASURES = variants.rank_measures({"hr": (1, 5, 10, 20), "map": (10,)})


def rows(given: Given) -> list[dict]:
    """The change that every variant brings to its model; entries that are only the papers' are in
    recsys24_main.
    """
    papers = given.settings["papers"]
    of_papers = set(papers["models"].values()) - set(papers.get("field", {}).values())
    return variants.rows_of_models(given, MEASURES, lambda model: model not in of_papers)
