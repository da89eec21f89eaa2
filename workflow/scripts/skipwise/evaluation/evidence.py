"""Claims of the papers, the evidence that a run has on them, and the verdicts.

A claim *holds* in a row if the whole interval and the estimate of every single seed lie on the
claimed side of 0 and Holm's p-value over the whole table is below 1 − level; it *does not hold* if
the same is true of the other side; everything else *cannot be told*.  As a whole it holds if it
holds in every row, and does not if it does not in any.  docs/protocol.md, findings.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from skipwise.core.registry import declared, find, names
from skipwise.evaluation.bootstrap import Estimate
from skipwise.evaluation.comparisons import (
    HEADLINE,
    REFERENCE,
    Measure,
    Ranked,
    RankedRuns,
    Resampling,
    RunKey,
    known,
    mean_measure,
)

HOLDS, FAILS, UNKNOWN = "holds", "does not hold", "cannot be told"
HIT = mean_measure("hr", 10, HEADLINE)


@dataclass(frozen=True)
class Claim:
    """A sentence of the papers; ``sign`` is the side of 0 on which the estimate lies if it is true.

    ``printed`` is the metric, with its cut-off, of the papers' numbers that are quoted with a row.
    """

    name: str
    papers_say: str
    measured: str
    sign: int = 1
    printed: tuple[str, int] = ("hr", 10)


class Evidence:
    """The ranks of a run, and what the papers call its models and variants.

    ``papers`` is the key of the configuration, ``forms`` maps data sets to raw forms, by which the
    printed numbers are found: ``printed`` has the cells of the papers' tables.
    """

    def __init__(
        self,
        runs: RankedRuns,
        resampling: Resampling,
        papers: dict,
        forms: dict[str, str],
        printed: list[dict],
    ):
        self.runs, self.resampling, self.forms = runs, resampling, forms
        self.models, self.variants_of = papers["models"], papers["variants"]
        place = ("table", "form", "model", "variant", "metric", "k")
        self.printed = {tuple(cell[name] for name in place): cell["value"] for cell in printed}
        self.neural = [
            self.models[name]
            for name in ("SASRec", "BERT4Rec", "GRU4Rec", "Caser")
            if name in self.models
        ]
        self.contrastive = [
            self.variants_of[name] for name in ("S+ c=e", "S+ c=ŷ") if name in self.variants_of
        ]
        self.factorization = [self.models[name] for name in ("WRMF", "BPR") if name in self.models]

    def headline(self, keys: dict) -> str:
        """The candidate set of a row."""
        assert self.runs.headlines
        return self.runs.headlines[keys["dataset"], keys["split"]]

    def variants(self) -> Iterator[tuple[dict[str, str], Ranked, Ranked]]:
        """Keys, reference and variant of the papers' neural models with the contrastive term."""
        for keys, orig, ours in self.runs.against_reference():
            if keys["model"] in self.neural and keys["variant"] in self.contrastive:
                yield keys, orig, ours

    def paired(self, one: RunKey, other: RunKey) -> tuple[Ranked, Ranked] | None:
        """The ranks of two runs, None if one of them is missing."""
        if one in self.runs and other in self.runs:
            return self.runs[one], self.runs[other]
        return None

    def difference(
        self, claim: Claim, keys: dict, measure: Measure, ours: Ranked, orig: Ranked
    ) -> dict:
        row = self.row(claim, keys, self.resampling.difference(measure, ours, orig), ours)
        if ours.seeds == orig.seeds:
            of_seeds = measure.of_seeds(ours) - measure.of_seeds(orig)
            row |= {
                "single_seed_low": known(of_seeds.min()),
                "single_seed_high": known(of_seeds.max()),
            }
        return row

    def row(self, claim: Claim, keys: dict, found: Estimate, ranked: Ranked) -> dict:
        return {
            "claim": claim.name,
            "papers_say": claim.papers_say,
            "measured": claim.measured,
            **keys,
            "candidates": self.headline(keys),
            "estimate": known(found.value),
            "estimate_low": known(found.low),
            "estimate_high": known(found.high),
            "p": known(found.p),
            "sign": claim.sign,
            "papers_print": self.papers_print(claim, keys),
            "sessions": len(ranked.session_id),
            "seeds": " ".join(ranked.seeds),
        }

    def papers_print(self, claim: Claim, keys: dict) -> str | None:
        """The printed numbers of a row about one model and variant: ``metric orig → variant
        (table)``.
        """
        metric, k = claim.printed
        found = []
        for table in dict.fromkeys(place[0] for place in self.printed):
            values = [
                self.printed.get(
                    (table, self.forms[keys["dataset"]], keys["model"], variant, metric, k)
                )
                for variant in (REFERENCE, keys["variant"])
            ]
            if None not in values:
                found.append(f"{metric} at {k} {values[0]:.3f} → {values[1]:.3f} ({table})")
        return "; ".join(found) or None


def per_session(measure: Measure, ranked: Ranked) -> np.ndarray:
    """(S,) mean over the seeds of a measure that is a mean over sessions."""
    return measure.ratios(ranked)[0].numerator.mean(0)


def rows_of_claims(evidence: Evidence) -> Iterator[dict]:
    """One row per claim, data set and model, without ``p_holm`` and ``verdict`` and with ``sign``.

    Claims come in the order of their ``PLACE``.
    """
    for name in ordered_claims():
        yield from find("claim", name).rows(evidence)


def ordered_claims() -> list[str]:
    """The names of all claims by their ``PLACE``."""
    return sorted(names("claim"), key=lambda name: declared("claim", name)["PLACE"])


def summarised(claim: Claim, rows: list[dict]) -> list[dict]:
    """The rows of a claim behind one that counts them, separately for simulated and real data and
    for the two settings of the models.
    """
    shared = {"claim": claim.name, "papers_say": claim.papers_say}
    if not rows:
        note = "This run lacks the models, variants or data sets that the claim is about."
        return [shared | {"measured": claim.measured, "verdict": UNKNOWN, "note": note}]
    summarised = []
    for data, settings in dict.fromkeys((row["data"], row["settings"]) for row in rows):
        part = [row for row in rows if (row["data"], row["settings"]) == (data, settings)]
        counts = {
            kind: sum(row["verdict"] == kind for row in part) for kind in (HOLDS, FAILS, UNKNOWN)
        }
        overall = HOLDS if counts[HOLDS] == len(part) else FAILS if counts[FAILS] else UNKNOWN
        note = (
            ", ".join(f"{kind} in {count}" for kind, count in counts.items())
            + f" of {len(part)} rows. "
        )
        unlike = sum(row["other_settings"] not in (None, row["verdict"]) for row in part)
        if unlike:
            note += f"The other settings say something else in {unlike}. "
        counting = {"measured": "all rows", "data": data, "settings": settings}
        note = (note + part[0]["note"]).strip()
        summarised += [shared | counting | {"verdict": overall, "note": note}, *part]
    return summarised


def verdict(sign: int, row: dict, level: float) -> str:
    """The verdict of a row with ``estimate_low``, ``estimate_high`` and ``p_holm``; ``sign`` is the
    claimed side of 0.

    ``single_seed_low`` and ``single_seed_high``, the least and greatest estimate of a seed, count
    where the row has them.
    """
    if row["p_holm"] is None or row["p_holm"] >= 1 - level:
        return UNKNOWN
    lows, highs = (
        [
            row[f"{of}_{end}"]
            for of in ("estimate", "single_seed")
            if row.get(f"{of}_{end}") is not None
        ]
        for end in ("low", "high")
    )
    if min(lows) > 0:
        return HOLDS if sign > 0 else FAILS
    if max(highs) < 0:
        return HOLDS if sign < 0 else FAILS
    return UNKNOWN
