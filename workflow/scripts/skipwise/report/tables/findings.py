"""Each claim of the papers and what this run says of it: first claim by claim, then row by row, a
row a data set, model and variant. A claim holds in a row where the interval of the estimate and
every single seed lie on the claimed side of 0, after Holm's correction for all rows; most rows of a
small run cannot be told, which is no evidence against a claim. On simulated listeners a verdict
says that the workflow can tell, nothing about real ones.
"""

import polars as pl
import pyarrow as pa

from skipwise.core.registry import find
from skipwise.core.schemas import required, rows_of
from skipwise.evaluation.comparisons import RankedRuns, Resampling, headlines, with_holm
from skipwise.evaluation.evidence import (
    Evidence,
    ordered_claims,
    rows_of_claims,
    summarised,
    verdict,
)
from skipwise.report.write import Given

NEEDS = ("ranks", "split", "papers", "claims")
SETTINGS = ("simulated", "intervals", "papers", "forms")
GIGABYTES = 4
MINUTES = 60
TITLE = "Which of the papers' claims hold here"
ON_SIMULATED = "Simulated listeners: says that the workflow can tell, nothing about real ones."
# One row per claim of the papers, data set and model.
COLUMNS = rows_of(
    *(required(name, pa.string()) for name in ("claim", "papers_say", "verdict", "measured")),
    *(
        pa.field(name, pa.string())
        for name in ("dataset", "data", "split", "model", "variant", "candidates")
    ),
    *(
        pa.field(name, pa.float64())
        for name in ("estimate", "estimate_low", "estimate_high", "p", "p_holm")
    ),
    pa.field("single_seed_low", pa.float64()),
    pa.field("single_seed_high", pa.float64()),
    pa.field("papers_print", pa.string()),
    pa.field("sessions", pa.int64()),
    pa.field("seeds", pa.string()),
    required("note", pa.string()),
)


def note(given: Given) -> str:
    level = given.settings["intervals"]["level"]
    return (
        f"estimate with its {level:.0%} paired bootstrap interval over sessions, mean over seeds, "
        "ranked among the candidates of the row; p_holm: Holm over this table. single_seed_low and "
        "single_seed_high: the least and greatest estimate of a seed, of differences. A claim "
        "holds in a row where the interval and every seed lie on its side of 0 and "
        f"p_holm < {1 - level:.2g}. papers_print: what the papers print for it, quoted, on their "
        "data."
    )


def rows(given: Given) -> list[dict]:
    """Every claim on every data set and model of the run, behind one row that counts them.

    A claim that this run cannot be put to has one row that says why.
    """
    settings = given.settings
    evidence = Evidence(
        RankedRuns(given["ranks"], headlines(given["split"])),
        Resampling(**settings["intervals"]),
        settings["papers"],
        settings["forms"],
        pl.read_csv(given["papers"]).to_dicts(),
    )
    found = with_holm(
        [row | {"data": given.source(row["dataset"])} for row in rows_of_claims(evidence)]
    )
    for row in found:
        row["verdict"] = verdict(row.pop("sign"), row, settings["intervals"]["level"])
        row["note"] = ON_SIMULATED if row["data"] == "simulated" else ""
    listed: list[dict] = []
    for name in ordered_claims():
        claim = find("claim", name).CLAIM
        listed += summarised(claim, [row for row in found if row["claim"] == claim.name])
    return listed
