"""The table of Seshadri & Knees (MuRS 2023), made by this run: a transformer that looks back (Uni,
SASRec) or both ways (Bi, BERT4Rec), without the term (*orig*) and with it (S+), by the query of the
contrastive term. Skips help where the interval of *variant − orig* lies above 0.
"""

import pyarrow as pa

from skipwise.core.schemas import required
from skipwise.evaluation.comparisons import REFERENCE
from skipwise.report import variants
from skipwise.report.wide import Wide
from skipwise.report.write import Given

NEEDS = ("ranks", "split", "papers")
SETTINGS = ("simulated", "intervals", "papers", "forms")
GIGABYTES = 4
MINUTES = 60
TITLE = "Context and skips (Seshadri & Knees, MuRS 2023)"
COLUMNS = variants.comparison_columns(
    required("context", pa.string()), required("skips", pa.string())
)
MEASURES = variants.rank_measures({"hr": (1, 5, 10, 20)})


def note(given: Given) -> str:
    return variants.note(given, "orig is S-. ")


def rows(given: Given) -> list[dict]:
    """Models and variants are those that ``papers`` names; others are left out."""
    contexts, skips = _names(given)
    found: list[dict] = []
    for keys, orig, ours in variants.pairs(given):
        if keys["model"] in contexts and keys["variant"] in skips:
            keys |= {"context": contexts[keys["model"]], "skips": skips[keys["variant"]]}
            found += variants.rows_of_pair(given, keys, MEASURES, ours, orig)
    return variants.corrected(found)


def wide(given: Given, rows: list[dict]) -> list[Wide]:
    """The rows in the layout of the paper, under its names."""
    contexts, skips = _names(given)
    return variants.in_papers_layout(given, rows, "murs23", contexts, skips | {REFERENCE: "S-"})


def _names(given: Given) -> tuple[dict[str, str], dict[str, str]]:
    """The paper's names of our models and of the variants with skips."""
    papers = given.settings["papers"]
    contexts = {papers["models"][name]: name for name in ("Uni", "Bi") if name in papers["models"]}
    return contexts, {
        its: name for name, its in papers["variants"].items() if name.startswith("S+")
    }
