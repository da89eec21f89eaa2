"""Claims of the papers, the evidence that a run has on them, and the verdicts.

A claim *holds* in a row if the whole interval of its estimate, over clusters of sessions and over
seeds, lies on the claimed side of 0 and Holm's p-value over the claim's rows of that data set and
split is below 1 − level; it *does not hold* if that is true of the other side, or if the estimate
is within what is practically nothing after the same correction; everything else *cannot be told*,
and the row says why.  docs/protocol.md, findings.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from skipwise.core.registry import declared, find, names
from skipwise.evaluation.comparisons import (
    HEADLINE,
    REFERENCE,
    Intervals,
    Measure,
    Ranked,
    RankedRuns,
    RunKey,
    known,
    mean_measure,
    same_seeds,
    with_holm,
)
from skipwise.evaluation.intervals import LEAST_SEEDS, Estimate, Ratio, estimate

UNLEARNED = "a training learned nothing"
HOLDS, FAILS, UNKNOWN, MIXED = "holds", "does not hold", "cannot be told", "mixed"
# Rows whose p-values are corrected together.
FAMILY = ("claim", "dataset", "split")
HIT = mean_measure("hr", 10, HEADLINE)


@dataclass(frozen=True)
class Claim:
    """A sentence of the papers; ``sign`` is the side of 0 on which the estimate lies if it is true.

    ``of_a_gain``: the claim is about how a gain is distributed, so it needs a gain to be there.
    ``in_hr``: the estimate is a difference in HR@10, so ``intervals.equivalence`` says what is
    practically nothing.  ``refuted_by_one``: one row that does not hold refutes all of them.
    ``printed`` is the metric, with its cut-off, of the papers' numbers that are quoted with a row.
    """

    name: str
    papers_say: str
    measured: str
    sign: int = 1
    of_a_gain: bool = False
    in_hr: bool = False
    refuted_by_one: bool = False
    printed: tuple[str, int] = ("hr", 10)


class Evidence:
    """The ranks of a run, and what the papers call its models and variants.

    ``papers`` is the key of the configuration, ``forms`` maps data sets to raw forms, by which the
    printed numbers are found: ``printed`` has the cells of the papers' tables.  ``validation`` has
    the mean validation NDCG@10 of runs, and ``simulated`` names data sets.
    """

    def __init__(
        self,
        runs: RankedRuns,
        intervals: Intervals,
        papers: dict,
        forms: dict[str, str],
        printed: Iterable[dict] = (),
        validation: Mapping[RunKey, float] | None = None,
        simulated: Iterable[str] = (),
    ):
        self.runs, self.intervals, self.forms = runs, intervals, forms
        self.validation, self.simulated = validation or {}, frozenset(simulated)
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
        for keys, orig, ours in self.runs.against_reference({}):
            if keys["model"] in self.neural and keys["variant"] in self.contrastive:
                yield keys, orig, ours

    def paired(self, one: RunKey, other: RunKey) -> tuple[Ranked, Ranked] | None:
        """The ranks of two runs, None if one of them is missing."""
        if one in self.runs and other in self.runs:
            return self.runs[one], self.runs[other]
        return None

    def best_variant(self, dataset: str, split: str, model: str | None) -> RunKey | None:
        """The run of a model's variant that is best on validation data; None without one."""
        keys = [
            (dataset, split, model, variant)
            for variant in self.runs.models(dataset, split).get(model or "", [])
            if (dataset, split, model, variant) in self.validation
        ]
        return max(keys, key=lambda key: self.validation[key], default=None)

    def difference(
        self, claim: Claim, keys: dict, measure: Measure, ours: Ranked, orig: Ranked
    ) -> dict:
        """The row of a paired difference."""
        ours, orig = same_seeds(ours, orig)
        of_seeds = measure.of_seeds(ours) - measure.of_seeds(orig)
        return self.row(claim, keys, self.intervals.difference(measure, ours, orig), ours, orig) | {
            "single_seed_low": known(of_seeds.min()),
            "single_seed_high": known(of_seeds.max()),
        }

    def row(
        self, claim: Claim, keys: dict, found: Estimate, ours: Ranked, orig: Ranked, note: str = ""
    ) -> dict:
        """The row of any estimate about ours and orig."""
        unless = "" if ours.learned and orig.learned else UNLEARNED
        if claim.of_a_gain and not unless:
            gain = self.intervals.difference(HIT, ours, orig)
            unless = "" if gain.interval(self.intervals.level)[0] > 0 else "no gain"
        return {
            "claim": claim.name,
            "papers_say": claim.papers_say,
            "measured": claim.measured,
            **keys,
            "candidates": self.headline(keys),
            **self.intervals.columns(found, "estimate"),
            "sign": claim.sign,
            "p_within": self.intervals.p_within(found) if claim.in_hr else None,
            "unless": unless,
            "papers_print": self.papers_print(claim, keys),
            "sessions": len(ours.session_id),
            "seeds": " ".join(ours.seeds if len(ours.seeds) < len(orig.seeds) else orig.seeds),
            "note": note,
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


def hits(ranked: Ranked) -> np.ndarray:
    """(seeds, S) HR@10 of each session."""
    return HIT.ratios(ranked)[0].numerator


def estimate_of(
    ours: Ranked,
    orig: Ranked,
    columns: Callable[[Ranked], list[np.ndarray]],
    shared: list[np.ndarray],
    statistic: Callable[[np.ndarray], np.ndarray],
) -> Estimate:
    """Estimate of a statistic of the means of ``columns`` (seeds, S) of ours, those of orig and of
    ``shared`` ones (S,), in this order.  Sessions in which ours and orig differ decide.
    """
    ours, orig = same_seeds(ours, orig)
    pairs = list(zip(columns(ours), columns(orig), strict=True))
    differs = np.logical_or.reduce([(one != other).any(0) for one, other in pairs])
    stacked = [*(one for one, _ in pairs), *(other for _, other in pairs), *shared]
    ones = np.ones(len(ours.session_id))
    means = [Ratio(column, ones) for column in stacked]
    return estimate(means, statistic, ours.cluster, differs=differs)


def rows_of_claims(evidence: Evidence) -> Iterator[dict]:
    """One row per claim, data set and model, as :func:`judged` wants them; ``unless`` is a reason
    why nothing can be told, or "".

    Claims come in the order of their ``PLACE``.
    """
    for name in ordered_claims():
        yield from find("claim", name).rows(evidence)


def ordered_claims() -> list[str]:
    """The names of all claims by their ``PLACE``."""
    return sorted(names("claim"), key=lambda name: declared("claim", name)["PLACE"])


def judged(rows: list[dict], intervals: Intervals) -> list[dict]:
    """The rows with ``p_holm``, ``verdict`` and ``reason``."""
    own = ("sign", "p_within", "p_within_holm", "unless")
    found = []
    for row in with_holm(rows, FAMILY):
        decided, reason = verdict(row, intervals)
        kept = {name: row[name] for name in row if name not in own}
        found.append(kept | {"verdict": decided, "reason": reason})
    return found


def verdict(row: dict, intervals: Intervals) -> tuple[str, str]:
    """The verdict of a row with ``p_holm`` and ``p_within_holm``, and the reason if it is not the
    estimate's side of 0.
    """
    low, high = row["estimate_low"], row["estimate_high"]
    if len(row["seeds"].split()) < LEAST_SEEDS:
        return UNKNOWN, f"fewer than {LEAST_SEEDS} seeds"
    if row["unless"]:
        return UNKNOWN, row["unless"]
    if row["p_holm"] is None:
        return UNKNOWN, "not defined" if low is None else "too few sessions differ"
    if row["p_within_holm"] is not None and row["p_within_holm"] < 1 - intervals.level:
        return FAILS, f"within ±{intervals.equivalence:g}"
    if row["p_holm"] < 1 - intervals.level:
        for side in (1, -1):
            if min(side * low, side * high) > 0:
                return (HOLDS if side == row["sign"] else FAILS), ""
    return UNKNOWN, "the interval holds 0" if low <= 0 <= high else "not after Holm's correction"


def summarised(claim: Claim, rows: list[dict]) -> list[dict]:
    """The rows of a claim behind one that counts them, separately for simulated and real data and
    for the two settings of the models.

    All rows agree on the verdict of the claim, or it is mixed; of a claim that one row refutes one
    that does not hold decides.
    """
    shared = {"claim": claim.name, "papers_say": claim.papers_say}
    if not rows:
        reason = "this run lacks the models, variants or data sets that the claim is about"
        measured = {"measured": claim.measured, "verdict": UNKNOWN}
        return [shared | measured | {"reason": reason, "note": ""}]
    summarised = []
    for data, settings in dict.fromkeys((row["data"], row["settings"]) for row in rows):
        part = [row for row in rows if (row["data"], row["settings"]) == (data, settings)]
        counts = {
            kind: sum(row["verdict"] == kind for row in part) for kind in (HOLDS, FAILS, UNKNOWN)
        }
        overall = next((kind for kind, count in counts.items() if count == len(part)), MIXED)
        if claim.refuted_by_one and counts[FAILS]:
            overall = FAILS
        reason = ", ".join(f"{kind} in {count}" for kind, count in counts.items())
        reason += f" of {len(part)} rows"
        unlike = sum(row["other_settings"] not in (None, row["verdict"]) for row in part)
        if unlike:
            reason += f"; the other settings say something else in {unlike}"
        counting = {"measured": "all rows", "data": data, "settings": settings, "reason": reason}
        summarised += [shared | counting | {"verdict": overall, "note": ""}, *part]
    return summarised
