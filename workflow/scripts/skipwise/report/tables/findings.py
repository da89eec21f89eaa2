"""Each claim of the papers and what this run says of it: first claim by claim, then row by row, a
row a data set, model and variant. Every claim is put to the models as the papers print them and as
their field builds them; *other settings* has the verdict of the same row with the other ones. A
claim holds in a row where the interval of the estimate, over clusters of sessions and over seeds,
lies on the claimed side of 0, after Holm's correction for the claim's rows of that data set. Where
it cannot be told, the reason stands beside it, and *detectable* says how large an effect would have
shown: a small run tells little, which is no evidence against a claim. On simulated listeners a
verdict says that the workflow can tell, nothing about real ones.
"""

import polars as pl
import pyarrow as pa

from skipwise.core.artifacts import read_json
from skipwise.core.paths import variant_key
from skipwise.core.registry import find
from skipwise.core.schemas import required, rows_of
from skipwise.evaluation.comparisons import (
    Intervals,
    RankedRuns,
    RunKey,
    headlines,
)
from skipwise.evaluation.evidence import (
    Evidence,
    judged,
    ordered_claims,
    rows_of_claims,
    summarised,
)
from skipwise.evaluation.intervals import LEAST_SEEDS
from skipwise.report.variants import unlearned, which_unlearned
from skipwise.report.write import Given

NEEDS = ("ranks", "run", "split", "papers", "claims")
SETTINGS = ("simulated", "intervals", "papers", "forms")
CATEGORY = "1 Findings"
GIGABYTES = 4
MINUTES = 60
TITLE = "Which of the papers' claims hold here"
AS_PRINTED, AS_BUILT = "as the papers print them", "as their field builds them"
IN_BOTH = "the same in both"
# What tells a row from every other one.
PLACE = ("claim", "measured", "dataset", "split", "model", "variant")
ON_SIMULATED = "Simulated listeners: says that the workflow can tell, nothing about real ones."
# One row per claim of the papers, data set and model.
COLUMNS = rows_of(
    *(
        required(name, pa.string())
        for name in ("claim", "papers_say", "verdict", "reason", "measured")
    ),
    pa.field("settings", pa.string()),
    pa.field("other_settings", pa.string()),
    *(
        pa.field(name, pa.string())
        for name in ("dataset", "data", "split", "model", "variant", "candidates")
    ),
    *(
        pa.field(name, pa.float64())
        for name in ("estimate", "estimate_low", "estimate_high", "p", "p_holm", "detectable")
    ),
    pa.field("single_seed_low", pa.float64()),
    pa.field("single_seed_high", pa.float64()),
    pa.field("design_effect", pa.float64()),
    pa.field("papers_print", pa.string()),
    pa.field("deciding", pa.int64()),
    pa.field("sessions", pa.int64()),
    pa.field("seeds", pa.string()),
    required("note", pa.string()),
)


def note(given: Given) -> str:
    intervals = given.settings["intervals"]
    level, practically = intervals["level"], intervals["equivalence"]
    return (
        f"{which_unlearned(given)}estimate with its {level:.0%} interval over clusters of sessions "
        "and over seeds, ranked among the candidates of the row; p_holm: Holm over the claim's "
        "rows of the data set and split. single_seed_low and single_seed_high: the least and "
        "greatest estimate of a seed, of differences. A claim holds in a row where the interval "
        f"lies on its side of 0 and p_holm < {1 - level:.2g}, and does not where that is so of the "
        f"other side or, of a difference in HR@10, it is within ±{practically:g} after the same "
        "correction, which is practically nothing. With fewer than "
        f"{LEAST_SEEDS} seeds, or if a training learned nothing, nothing can be told about a "
        "method. detectable: the smallest effect that "
        "this run shows with power 0.8, before Holm's correction. design_effect: how much wider "
        "the interval is than for independent sessions. papers_print: what the papers print for "
        "it, quoted, on their data."
    )


def _evidence(given: Given, models: dict[str, str]) -> Evidence:
    settings = given.settings
    return Evidence(
        RankedRuns(given["ranks"], headlines(given["split"]), unlearned(given["run"])),
        Intervals(**settings["intervals"]),
        settings["papers"] | {"models": models},
        settings["forms"],
        pl.read_csv(given["papers"]).to_dicts(),
        _validation(given["run"]),
        settings["simulated"],
    )


def _validation(runs: list[str]) -> dict[RunKey, float]:
    """The validation NDCG@10 of each variant that is no control, mean over its seeds."""
    found: dict[RunKey, list[float]] = {}
    for path in runs:
        run = read_json(path)
        if run["valid_ndcg_10"] is not None and run["settings"].get("labels", "right") == "right":
            found.setdefault(variant_key(path), []).append(run["valid_ndcg_10"])
    return {key: sum(values) / len(values) for key, values in found.items()}


def _set_side_by_side(found: list[dict], papers: dict) -> None:
    """Add to each row the verdict of the row about the same model with the other settings."""
    as_printed = {
        name: papers["models"][role]
        for role, name in papers.get("field", {}).items()
        if role in papers["models"]
    }
    verdicts: dict[tuple, dict[str, str]] = {}
    for row in found:
        first = row["model"].split(" − ")[0]
        same = (
            row["claim"],
            row["papers_say"],
            row["dataset"],
            row["split"],
            as_printed.get(first, first),
            row["variant"],
        )
        row["others"] = verdicts.setdefault(same, {})
        row["others"][row["settings"]] = row["verdict"]
    for row in found:
        others = row.pop("others")
        row["other_settings"] = others.get(
            AS_BUILT if row["settings"] == AS_PRINTED else AS_PRINTED
        )


def rows(given: Given) -> list[dict]:
    """Every claim on every data set and model of the run, behind one row that counts them.

    A claim that this run cannot be put to has one row that says why.
    """
    papers = given.settings["papers"]
    rows_by_place: dict[tuple, dict] = {}
    for words, models in ((AS_PRINTED, papers["models"]), (AS_BUILT, papers.get("field", {}))):
        for row in rows_of_claims(_evidence(given, models)):
            row |= {"settings": words, "data": given.source(row["dataset"])}
            # A model that is the same in both, such as WRMF, has one row.
            place = tuple(row[name] for name in PLACE)
            if place in rows_by_place:
                rows_by_place[place]["settings"] = IN_BOTH
            else:
                rows_by_place[place] = row
    found = judged(list(rows_by_place.values()), Intervals(**given.settings["intervals"]))
    for row in found:
        if row["data"] == "simulated":
            row["note"] = f"{row['note']} {ON_SIMULATED}".strip()
    _set_side_by_side(found, papers)
    listed: list[dict] = []
    for name in ordered_claims():
        claim = find("claim", name).CLAIM
        listed += summarised(claim, [row for row in found if row["claim"] == claim.name])
    return listed
