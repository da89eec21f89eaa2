"""The main table of Seshadri, Shashaani & Knees (RecSys 2024), made by this run: what each variant
changes of its own model, on the same sessions. The variant helps where the interval of *variant −
orig* lies above 0 and *p, Holm* is small. With three seeds or more the interval contains the spread
over seeds, which stands beside it; with fewer a difference may be luck of the start.
"""

from skipwise.report import variants
from skipwise.report.wide import Wide
from skipwise.report.write import Given

NEEDS = ("ranks", "split", "papers")
SETTINGS = ("simulated", "intervals", "papers", "forms")
GIGABYTES = 4
MINUTES = 60
TITLE = "What skips bring to each model (Seshadri, Shashaani & Knees, RecSys 2024)"
note = variants.note
COLUMNS = variants.comparison_columns()
MEASURES = variants.rank_measures({"hr": (1, 5, 10, 20), "map": (10,)})


def rows(given: Given) -> list[dict]:
    """The change that every variant brings to its model, as the papers print the models."""
    models = given.settings["papers"]["models"].values()
    return variants.rows_of_models(given, MEASURES, lambda model: model in models)


def wide(given: Given, rows: list[dict]) -> list[Wide]:
    """The rows in the layout of the paper, under its names; S- and S+ are those of the other."""
    papers = given.settings["papers"]
    models = {its: name for name, its in papers["models"].items() if name not in ("Uni", "Bi")}
    names = papers["variants"].items()
    its_variants = {its: name for name, its in names if not name.startswith(("S-", "S+"))}
    return variants.in_papers_layout(given, rows, "recsys24", models, its_variants)
