"""The claims of both papers, each with what this run measured: holds, does not hold, or cannot be
told.

A claim *holds* in a row where the whole interval and the estimate of every single seed lie on the
claimed side of 0 and Holm's p-value over the whole table is below 1 − level; it *does not hold*
where the same is true of the other side; everything else *cannot be told*.  As a whole it holds
where it holds in every row, and does not where it does not in any.  The headline is the full
catalogue.  docs/protocol.md, findings.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from skipwise.core.schemas import ARTIFACTS
from skipwise.evaluation.bootstrap import Estimate, resampled_sums
from skipwise.evaluation.comparisons import (
    REFERENCE,
    Measure,
    Ranked,
    Resampling,
    Runs,
    known,
    mean_measure,
    quartiles,
    skip_measures,
    with_holm,
)
from skipwise.report.write import data_source, write_table

HOLDS, FAILS, UNKNOWN = "holds", "does not hold", "cannot be told"
ON_SIMULATED = "Simulated listeners: says that the workflow can tell, nothing about real ones."
HIT = mean_measure("hr", 10, "full")


@dataclass(frozen=True)
class Claim:
    """A sentence of the papers; ``sign`` is the side of 0 on which the estimate lies where it is
    true.
    """

    name: str
    papers_say: str
    measured: str
    sign: int = 1


HELPS = Claim(
    "helps everywhere",
    "The contrastive term helps every model on every data set (P1, P2).",
    "HR@10, variant − orig",
)
SMALL_K = Claim(
    "most at small k",
    "The gain is largest at small k (P1, P2).",
    "relative gain at HR@1 − relative gain at HR@20",
)
UNI = Claim(
    "unidirectional beats bidirectional",
    "SASRec is better than BERT4Rec (P1, P2).",
    "HR@10, SASRec − BERT4Rec",
)
ITEM = Claim(
    "c = e beats c = ŷ",
    "The track embedding is a slightly better query than the prediction (P1).",
    "HR@10, c = e − c = ŷ",
)
BEST = Claim(
    "SASRec is best",
    "SASRec is the best model on every data set (P2).",
    "HR@10, SASRec − the best of the papers' others",
)
ORDER = Claim(
    "MSSD > LFM-2B > LFM-1K",
    "Hit rates are highest on MSSD, then on LFM-2B, then on LFM-1K (P2).",
    "HR@10 of SASRec",
)
GROWS = Claim(
    "gain grows with skips",
    "Sessions with more skips gain more (P2).",
    "gain in HR@10 of the quarter of sessions with most skips − of the quarter with fewest",
)
SINK = Claim(
    "skips sink",
    "Skipped tracks are ranked lower with the term (P2).",
    "MRR@10 of unseen skips, variant − orig",
    -1,
)
RISE = Claim(
    "skips sink", "BERT4Rec on MSSD is the exception: skipped tracks rise (P2).", SINK.measured
)
FACTORS = Claim(
    "skips help factorisation",
    "WRMF and BPR gain from skips, as left out and more as negatives (P2).",
    "HR@10, variant − orig",
)
CLAIMS = (HELPS, SMALL_K, UNI, ITEM, BEST, ORDER, GROWS, SINK, FACTORS)


def make_findings_table(
    ranks: list[str],
    paper_results: str,
    outputs: dict[str, str],
    *,
    simulated: list[str],
    intervals: dict,
    papers: dict,
    forms: dict[str, str],
) -> None:
    """Every claim of the papers on every data set and model that this run can put it to.

    ``papers`` says which models and variants the papers mean, ``forms`` maps data sets to their raw
    forms, by which the printed numbers of ``paper_results`` are found.  A claim that this run
    cannot be put to has one row that says why.
    """
    evidence = _Evidence(
        Runs(ranks), Resampling(**intervals), papers, forms, pl.read_csv(paper_results)
    )
    rows = with_holm(
        [row | {"data": data_source(row["dataset"], simulated)} for row in evidence.rows()]
    )
    for row in rows:
        row["verdict"] = verdict(row.pop("sign"), row, intervals["level"])
        row["note"] = ON_SIMULATED if row["data"] == "simulated" else ""
    rows = [
        row
        for claim in CLAIMS
        for row in _summarised(claim, [row for row in rows if row["claim"] == claim.name])
    ]
    write_table(
        rows,
        ARTIFACTS["findings"],
        outputs,
        title="Which of the papers' claims hold here",
        note=f"estimate with its {intervals['level']:.0%} paired bootstrap interval over sessions, mean over seeds, ranked in "
        "the full catalogue; p_holm: Holm over this table. single_seed_low and single_seed_high: the least and greatest "
        "estimate of a seed, of differences. A claim holds in a row where the interval and every seed lie on its side of 0 and "
        f"p_holm < {1 - intervals['level']:.2g}. papers_print: what the papers print for it, quoted, on their data.",
        level=intervals["level"],
    )


def _summarised(claim: Claim, rows: list[dict]) -> list[dict]:
    """The rows of a claim after one that counts them, for simulated and real data apart."""
    shared = {"claim": claim.name, "papers_say": claim.papers_say}
    if not rows:
        note = "This run lacks the models, variants or data sets that the claim is about."
        return [shared | {"measured": claim.measured, "verdict": UNKNOWN, "note": note}]
    summarised = []
    for data in dict.fromkeys(row["data"] for row in rows):
        part = [row for row in rows if row["data"] == data]
        counts = {
            kind: sum(row["verdict"] == kind for row in part) for kind in (HOLDS, FAILS, UNKNOWN)
        }
        overall = HOLDS if counts[HOLDS] == len(part) else FAILS if counts[FAILS] else UNKNOWN
        note = (
            ", ".join(f"{kind} in {count}" for kind, count in counts.items())
            + f" of {len(part)} rows. {part[0]['note']}"
        )
        summarised += [
            shared
            | {"measured": "all rows", "data": data, "verdict": overall, "note": note.strip()},
            *part,
        ]
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


class _Evidence:
    def __init__(
        self,
        runs: Runs,
        resampling: Resampling,
        papers: dict,
        forms: dict[str, str],
        printed: pl.DataFrame,
    ):
        self.runs, self.resampling, self.forms = runs, resampling, forms
        self.models, self.variants = papers["models"], papers["variants"]
        place = ("table", "form", "model", "variant", "metric", "k")
        self.printed = {
            tuple(cell[name] for name in place): cell["value"] for cell in printed.to_dicts()
        }
        self.neural = [
            self.models[name]
            for name in ("SASRec", "BERT4Rec", "GRU4Rec", "Caser")
            if name in self.models
        ]
        self.contrastive = [
            self.variants[name] for name in ("S+ c=e", "S+ c=ŷ") if name in self.variants
        ]
        self.factorization = [self.models[name] for name in ("WRMF", "BPR") if name in self.models]

    def rows(self) -> Iterator[dict]:
        """A row a claim, data set and model, without ``p_holm``, ``data``, ``verdict`` and ``note``
        and with ``sign``.
        """
        for dataset, split in self.runs.splits():
            yield from self._gains(dataset, split)
            yield from self._queries_and_contexts(dataset, split)
            yield from self._best(dataset, split)
        yield from self._order()

    def _gains(self, dataset: str, split: str) -> Iterator[dict]:
        """What a variant gains over its model's reference."""
        for keys, orig, ours in self.runs.against_reference():
            model, variant = keys["model"], keys["variant"]
            if (keys["dataset"], keys["split"]) != (dataset, split):
                continue
            if model in self.factorization and variant in (
                self.variants.get("BL"),
                self.variants.get("NR"),
            ):
                yield self._difference(FACTORS, keys, HIT, ours, orig)
            if model not in self.neural or variant not in self.contrastive:
                continue
            yield self._difference(HELPS, keys, HIT, ours, orig)
            yield self._row(SMALL_K, keys, self._relative_gains(ours, orig), ours)
            yield self._row(GROWS, keys, self._gain_by_skips(ours, orig), ours)
            exception = self.forms[dataset] == "mssd" and model == self.models.get("BERT4Rec")
            yield self._difference(
                RISE if exception else SINK, keys, skip_measures({"hr": []})[0], ours, orig
            )

    def _queries_and_contexts(self, dataset: str, split: str) -> Iterator[dict]:
        uni, bi = (self.models.get(name) for name in ("Uni", "Bi"))
        for variant in (REFERENCE, *self.contrastive):
            one, other = ((dataset, split, model, variant) for model in (uni, bi))
            if one in self.runs and other in self.runs:
                keys = {
                    "dataset": dataset,
                    "split": split,
                    "model": f"{uni} − {bi}",
                    "variant": variant,
                }
                yield self._difference(UNI, keys, HIT, self.runs[one], self.runs[other])
        for model in (uni, bi):
            item, hidden = (
                (dataset, split, model, self.variants.get(name)) for name in ("S+ c=e", "S+ c=ŷ")
            )
            if item in self.runs and hidden in self.runs:
                keys = {
                    "dataset": dataset,
                    "split": split,
                    "model": model,
                    "variant": f"{item[3]} − {hidden[3]}",
                }
                yield self._difference(ITEM, keys, HIT, self.runs[item], self.runs[hidden])

    def _best(self, dataset: str, split: str) -> Iterator[dict]:
        """SASRec's least advantage over the papers' other models, each with skips: the least of
        each resample too.
        """
        ours, negatives = self.variants.get("ours"), self.variants.get("NR")
        wanted = [(model, ours) for model in self.neural] + [
            (model, negatives) for model in self.factorization
        ]
        keys = [(dataset, split, *run) for run in wanted if (dataset, split, *run) in self.runs]
        sasrec = (dataset, split, self.models.get("SASRec"), ours)
        others = [key for key in keys if key != sasrec]
        if sasrec not in keys or not others:
            return
        hits = {key: _per_session(HIT, self.runs[key]) for key in keys}
        columns = np.stack([hits[sasrec] - hits[key] for key in others], axis=1) / len(hits[sasrec])
        found = self.resampling.estimate(columns, lambda sums: sums.min(-1))
        nearest = others[int(columns.sum(0).argmin())]
        named = {
            "dataset": dataset,
            "split": split,
            "model": f"{sasrec[2]} − {nearest[2]}",
            "variant": ours,
        }
        yield self._row(BEST, named, found, self.runs[sasrec])

    def _order(self) -> Iterator[dict]:
        """Data sets have sessions of their own, so each is resampled on its own."""
        model, variant = self.models.get("SASRec"), self.variants.get("ours")
        for split in dict.fromkeys(split for _, split in self.runs.splits()):
            found = {}
            for dataset, of_split in self.runs.splits():
                key = (dataset, split, model, variant)
                if of_split == split and key in self.runs:
                    found.setdefault(self.forms[dataset], (dataset, self.runs[key]))
            for better, worse in (("mssd", "lfm2b"), ("lfm2b", "lfm1k")):
                if better in found and worse in found:
                    names, parts = zip(found[better], found[worse], strict=True)
                    keys = {"dataset": names[0], "split": split, "model": model, "variant": variant}
                    row = self._row(ORDER, keys, self._unpaired(*parts), parts[0])
                    yield row | {"measured": f"{ORDER.measured}, {names[0]} − {names[1]}"}

    def _difference(
        self, claim: Claim, keys: dict, measure: Measure, ours: Ranked, orig: Ranked
    ) -> dict:
        row = self._row(claim, keys, self.resampling.difference(measure, ours, orig), ours)
        if ours.seeds == orig.seeds:
            of_seeds = measure.of_seeds(ours) - measure.of_seeds(orig)
            row |= {
                "single_seed_low": known(of_seeds.min()),
                "single_seed_high": known(of_seeds.max()),
            }
        return row

    def _relative_gains(self, ours: Ranked, orig: Ranked) -> Estimate:
        columns = [
            _per_session(mean_measure("hr", k, "full"), ranked)
            for k in (1, 20)
            for ranked in (ours, orig)
        ]
        return self.resampling.estimate(
            np.stack(columns, axis=1),
            lambda sums: sums[..., 0] / sums[..., 1] - sums[..., 2] / sums[..., 3],
        )

    def _gain_by_skips(self, ours: Ranked, orig: Ranked) -> Estimate:
        quartile = quartiles(orig.skip_share)
        gain = _per_session(HIT, ours) - _per_session(HIT, orig)
        columns = [
            column * (quartile == number)
            for number in (4, 1)
            for column in (gain, np.ones_like(gain))
        ]
        return self.resampling.estimate(
            np.stack(columns, axis=1),
            lambda sums: sums[..., 0] / sums[..., 1] - sums[..., 2] / sums[..., 3],
        )

    def _unpaired(self, better: Ranked, worse: Ranked) -> Estimate:
        rng, means, drawn = self.resampling.rng(), [], []
        for ranked in (better, worse):
            hits = _per_session(HIT, ranked)
            means.append(hits.mean())
            drawn.append(
                resampled_sums(hits[:, None], rng, resamples=self.resampling.resamples)[:, 0]
                / len(hits)
            )
        return Estimate.of(float(means[0] - means[1]), drawn[0] - drawn[1], self.resampling.level)

    def _row(self, claim: Claim, keys: dict, found: Estimate, ranked: Ranked) -> dict:
        return {
            "claim": claim.name,
            "papers_say": claim.papers_say,
            "measured": claim.measured,
            **keys,
            "candidates": "full",
            "estimate": known(found.value),
            "estimate_low": known(found.low),
            "estimate_high": known(found.high),
            "p": known(found.p),
            "sign": claim.sign,
            "papers_print": self._papers_print(claim, keys),
            "sessions": len(ranked.session_id),
            "seeds": " ".join(ranked.seeds),
        }

    def _papers_print(self, claim: Claim, keys: dict) -> str | None:
        """The printed numbers of a row about one model and variant: ``metric orig → variant
        (table)``.
        """
        metric, k = ("mrr_skipped", 10) if claim.name == SINK.name else ("hr", 10)
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


def _per_session(measure: Measure, ranked: Ranked) -> np.ndarray:
    """(S,) mean over the seeds of a measure that is a mean over sessions."""
    return measure.ratios(ranked)[0].numerator.mean(0)
