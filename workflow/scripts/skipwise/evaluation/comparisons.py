"""Paired comparisons of variants: what a variant gains on the same sessions, with an interval
(docs/protocol.md, comparisons).

``orig`` is the variant that others are compared with, and ``blind``, which sees no label, the one
that ``orig`` is.
"""

from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np

from skipwise.core.artifacts import read_artifact, read_json
from skipwise.core.errors import UserError
from skipwise.core.paths import VariantKey, by_variant, hive_keys
from skipwise.core.schemas import CANDIDATES, HEADLINES
from skipwise.evaluation.intervals import (
    MANY,
    Estimate,
    Ratio,
    estimate,
    first_less_others,
    holm,
    sign_flip_p,
)
from skipwise.ranking import metrics

REFERENCE = "orig"
BLIND = "blind"
# The candidate set that a data set and split leads with, under a name that is the same for all.
HEADLINE = "headline"
# What is the same of all runs on the same test sessions.
OF_SESSIONS = ("session_id", "cluster", "skip_share", "is_repeat", "target_popularity")


@dataclass(frozen=True)
class Ranked:
    """The ranks of one model and variant on the test sessions of one data set and split, all seeds.

    Sessions are in the order of their id; NaN is a rank past the cut-off.
    """

    seeds: tuple[str, ...]
    session_id: np.ndarray  # (S,)
    cluster: np.ndarray  # (S,) equal for sessions that are not independent
    n_candidates: np.ndarray  # (S,) of the sampled ones
    skip_share: np.ndarray  # (S,) of the context
    is_repeat: np.ndarray  # (S,) whether the target is in the context
    target_popularity: np.ndarray  # (S,) plays of the target in training
    rank: dict[str, np.ndarray]  # by candidates: (seeds, S)
    skip_rank: dict[str, np.ndarray]  # by candidates: (seeds, P) of every unseen skip
    skip_outranks: np.ndarray  # (seeds, P) whether it scores at least as high as the target
    skip_session: np.ndarray  # (P,) index of its session
    learned: bool = True  # whether every training learned more than what is popular

    @classmethod
    def read(cls, paths: list[str]) -> "Ranked":
        """Read the ``ranks`` artifacts of the seeds; raises UserError where they did not rank the
        same sessions.
        """
        tables = [read_artifact("ranks", path) for path in paths]
        first = tables[0]
        lists = [table["skip_ranks_full"].combine_chunks() for table in tables]
        for table, skips in zip(tables, lists, strict=True):
            if (
                any(table[name] != first[name] for name in OF_SESSIONS)
                or skips.value_lengths() != lists[0].value_lengths()
            ):
                raise UserError(f"{', '.join(paths)} did not rank the same sessions")
        return cls(
            tuple(hive_keys(path).get("seed", str(at)) for at, path in enumerate(paths, 1)),
            first["session_id"].to_numpy(),
            first["cluster"].to_numpy(),
            first["n_candidates"].to_numpy(),
            first["skip_share"].to_numpy(),
            first["is_repeat"].to_numpy(),
            first["target_popularity"].to_numpy(),
            {
                kind: np.stack([_floats(table[f"rank_{kind}"]) for table in tables])
                for kind in CANDIDATES
            },
            {
                kind: np.stack(
                    [
                        _floats(table[f"skip_ranks_{kind}"].combine_chunks().flatten())
                        for table in tables
                    ]
                )
                for kind in HEADLINES
            },
            np.stack(
                [
                    table["skip_outranks"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
                    for table in tables
                ]
            ),
            np.repeat(np.arange(first.num_rows), lists[0].value_lengths().to_numpy()),
        )

    def is_of_the_sessions_of(self, other: "Ranked") -> bool:
        """Whether both ranked the same test sessions, and not only ones with the same numbers."""
        return all(
            np.array_equal(getattr(self, name), getattr(other, name))
            for name in (*OF_SESSIONS, "n_skips")
        )

    @cached_property
    def n_skips(self) -> np.ndarray:
        """(S,) unseen skips of each session."""
        return np.bincount(self.skip_session, minlength=len(self.session_id)).astype(np.float64)

    def metric(self, name: str, k: int, candidates: str) -> np.ndarray:
        """(seeds, S) values of a rank metric."""
        return metrics.METRICS[name](self.rank[candidates].astype(np.float64), k)

    def of_skips(self, name: str, k: int, candidates: str) -> np.ndarray:
        """(seeds, S) sums of a rank metric over the unseen skips of each session."""
        return self._per_session(
            metrics.METRICS[name](self.skip_rank[candidates].astype(np.float64), k)
        )

    def led_by(self, candidates: str) -> "Ranked":
        """The sessions that count among these candidates, with their ranks as ``HEADLINE`` too."""
        counted = self.among(candidates)
        return replace(
            counted,
            rank=counted.rank | {HEADLINE: counted.rank[candidates]},
            skip_rank=counted.skip_rank | {HEADLINE: counted.skip_rank[candidates]},
        )

    def among(self, candidates: str) -> "Ranked":
        """The sessions that count among these candidates: among new ones those with a new
        target.
        """
        return subset(self, ~self.is_repeat) if candidates == "new" else self

    def ordered_pairs(self) -> np.ndarray:
        """(seeds, S) unseen skips of each session that score below its target."""
        return self._per_session(~self.skip_outranks)

    def _per_session(self, of_skip: np.ndarray) -> np.ndarray:
        n = len(self.session_id)
        return np.stack(
            [np.bincount(self.skip_session, row.astype(np.float64), minlength=n) for row in of_skip]
        )


def _floats(column) -> np.ndarray:
    # Half the memory of float64, and exact for ranks below 2^24.
    return column.to_numpy(zero_copy_only=False).astype(np.float32)


# Data set, split, model and variant; a name that the configuration lacks is None.
RunKey = tuple[str, str, str | None, str | None]


def reference_of(references: Mapping[str, Mapping[str, str]], model: str, variant: str) -> str:
    """The variant that a variant is compared with, as :meth:`RankedRuns.against_reference` says."""
    usual = BLIND if variant == REFERENCE else REFERENCE
    return references.get(model, {}).get(variant, usual)


class RankedRuns:
    """The ranks of a run of the workflow by data set, split, model and variant, in the order of the
    configuration.

    With ``headlines``, by data set and split, ranks are those of the sessions that count among that
    candidate set (:meth:`Ranked.led_by`).  ``unlearned`` are those of which a training learned
    nothing.
    """

    def __init__(
        self,
        paths: list[str],
        headlines: dict[tuple[str, str], str] | None = None,
        unlearned: Container[tuple[str, ...]] = (),
    ):
        self.headlines, self._unlearned = headlines, unlearned
        self._paths = by_variant(paths)
        # A reference is wanted once for each of its variants; more than a few runs of the papers'
        # size would fill the memory.
        self._read = lru_cache(maxsize=8)(self._ranked)

    def __contains__(self, key: RunKey) -> bool:
        return key in self._paths

    def __getitem__(self, key: RunKey) -> Ranked:
        return self._read(key)

    def _ranked(self, key: VariantKey) -> Ranked:
        ranked = replace(Ranked.read(self._paths[key]), learned=key not in self._unlearned)
        return ranked.led_by(self.headlines[key[:2]]) if self.headlines else ranked

    def splits(self) -> list[tuple[str, str]]:
        """Data sets with their splits."""
        return list(dict.fromkeys((dataset, split) for dataset, split, *_ in self._paths))

    def seeds(self) -> Iterator[tuple[str, int]]:
        """The data set and the number of seeds of each run."""
        for (dataset, *_), paths in self._paths.items():
            yield dataset, len(paths)

    def models(self, dataset: str, split: str) -> dict[str, list[str]]:
        """Models of a data set and split with their variants."""
        found: dict[str, list[str]] = {}
        for of_dataset, of_split, model, variant in self._paths:
            if (of_dataset, of_split) == (dataset, split):
                found.setdefault(model, []).append(variant)
        return found

    def against_reference(
        self, references: Mapping[str, Mapping[str, str]]
    ) -> Iterator[tuple[dict[str, str], Ranked, Ranked]]:
        """Keys, reference and variant of every variant that has a reference: that which
        ``references`` names by model and variant; else of ``orig`` it is ``blind``, which sees no
        label, and of every other one ``orig``.
        """
        for dataset, split in self.splits():
            for model, variants in self.models(dataset, split).items():
                for variant in variants:
                    name = reference_of(references, model, variant)
                    if variant == BLIND or name not in variants:
                        continue
                    keys = {
                        "dataset": dataset,
                        "split": split,
                        "model": model,
                        "variant": variant,
                        "reference": name,
                    }
                    reference, ranked = (
                        self[dataset, split, model, name],
                        self[dataset, split, model, variant],
                    )
                    if not np.array_equal(ranked.session_id, reference.session_id):
                        raise ValueError(f"{keys}: not the test sessions of the reference")
                    yield keys, reference, ranked


def headlines(split_files: list[str]) -> dict[tuple[str, str], str]:
    """By data set and split the candidate set that models are selected on and tables lead with,
    from the files ``split.json``.
    """
    found = {}
    for path in split_files:
        keys = hive_keys(path)
        found[keys["dataset"], keys["split"]] = read_json(path)["headline"]
    return found


@dataclass(frozen=True)
class Measure:
    """A number that a variant and its reference are compared by: one ratio, or the first less the
    second.
    """

    name: str
    candidates: str
    ratios: Callable[[Ranked], list[Ratio]]

    def of_seeds(self, ranked: Ranked) -> np.ndarray:
        """(seeds,) the number of each seed; NaN where it is not defined."""
        with np.errstate(divide="ignore", invalid="ignore"):
            values = [
                part.numerator.sum(1) / part.denominator.sum() for part in self.ratios(ranked)
            ]
        return values[0] if len(values) == 1 else values[0] - values[1]


def mean_measure(name: str, k: int, candidates: str) -> Measure:
    """A rank metric of the target, a mean over sessions."""
    return Measure(f"{name}_{k}", candidates, lambda ranked: [_mean(ranked, name, k, candidates)])


def _mean(ranked: Ranked, name: str, k: int, candidates: str) -> Ratio:
    return Ratio(ranked.metric(name, k, candidates), np.ones(len(ranked.session_id)))


def skip_measures(cutoffs: dict[str, list[int]], candidates: str) -> list[Measure]:
    """The measures of skip down-ranking (docs/protocol.md, metrics): means over unseen skips among
    full or new candidates.
    """

    def of_skips(name: str, k: int) -> Callable[[Ranked], list[Ratio]]:
        return lambda ranked: [Ratio(ranked.of_skips(name, k, candidates), ranked.n_skips)]

    def target_less_skips(name: str, k: int) -> Callable[[Ranked], list[Ratio]]:
        return lambda ranked: [_mean(ranked, name, k, candidates), *of_skips(name, k)(ranked)]

    return [
        Measure("mrr_skipped_10", candidates, of_skips("map", 10)),
        *(Measure(f"hr_skipped_{k}", candidates, of_skips("hr", k)) for k in cutoffs["hr"]),
        Measure("delta_hr_10", candidates, target_less_skips("hr", 10)),
        Measure("delta_ndcg_10", candidates, target_less_skips("ndcg", 10)),
        Measure(
            "pairwise_accuracy",
            candidates,
            lambda ranked: [Ratio(ranked.ordered_pairs(), ranked.n_skips)],
        ),
    ]


@dataclass(frozen=True)
class Intervals:
    """How numbers get their intervals: the key ``intervals`` of the configuration."""

    level: float
    equivalence: float
    least_deciding: int
    seed: int

    def difference(self, measure: Measure, ours: Ranked, orig: Ranked) -> Estimate:
        """Estimate of ours − orig in a measure, on the same sessions and, where both have several,
        on the same seeds.
        """
        ours, orig = same_seeds(ours, orig)
        parts = zip(measure.ratios(ours), measure.ratios(orig), strict=True)
        changes = [Ratio(one.numerator - other.numerator, one.denominator) for one, other in parts]
        flipped = first_less_others(
            np.stack([of.numerator.mean(0) / max(of.denominator.sum(), 1) for of in changes], 1)
        )
        found = estimate(changes, first_less_others, ours.cluster)
        index = np.unique(ours.cluster, return_inverse=True)[1]
        if found.deciding and np.count_nonzero(of_clusters := np.bincount(index, flipped)) < MANY:
            found = replace(found, sign_flip=sign_flip_p(of_clusters, self.seed))
        return found

    def p(self, found: Estimate) -> float | None:
        """The p-value, None where too few sessions decide for one."""
        return known(found.p) if found.deciding >= self.least_deciding else None

    def p_within(self, found: Estimate) -> float | None:
        """The p-value of "it is not practically nothing", None where that is not asked."""
        if not self.equivalence or found.deciding < self.least_deciding:
            return None
        return known(found.p_within(self.equivalence))

    def columns(self, found: Estimate, name: str) -> dict:
        """What every table says of an estimate."""
        low, high = found.interval(self.level)
        return {
            name: known(found.value),
            f"{name}_low": known(low),
            f"{name}_high": known(high),
            "p": self.p(found),
            "detectable": known(found.detectable(self.level)),
            "design_effect": known(found.design_effect),
            "deciding": found.deciding,
        }


def same_seeds(one: Ranked, other: Ranked) -> tuple[Ranked, Ranked]:
    """Both with the seeds that both have; a model with one seed is compared with every seed of the
    other.
    """
    if one.seeds == other.seeds or 1 in (len(one.seeds), len(other.seeds)):
        return one, other
    common = tuple(seed for seed in one.seeds if seed in other.seeds)
    if not common:
        raise UserError(
            f"no seed in common: {' '.join(one.seeds)} and {' '.join(other.seeds)}; take runs of "
            "the same seeds"
        )
    return _of_seeds(one, common), _of_seeds(other, common)


def _of_seeds(ranked: Ranked, seeds: tuple[str, ...]) -> Ranked:
    at = [ranked.seeds.index(seed) for seed in seeds]
    return replace(
        ranked,
        seeds=seeds,
        rank={kind: rank[at] for kind, rank in ranked.rank.items()},
        skip_rank={kind: rank[at] for kind, rank in ranked.skip_rank.items()},
        skip_outranks=ranked.skip_outranks[at],
    )


def compared(measure: Measure, ours: Ranked, orig: Ranked, intervals: Intervals) -> dict:
    """The columns that every table of comparisons has, of one row, but for ``p_holm``, and the
    ``estimate`` that they are of.

    ``seed_sd`` is the standard deviation over the seeds of the difference, None with one seed.
    ``sessions`` are those that the measure is about: of a skip metric those with unseen skips.
    """
    ours, orig = same_seeds(ours.among(measure.candidates), orig.among(measure.candidates))
    found = intervals.difference(measure, ours, orig)
    value, reference = measure.of_seeds(ours), measure.of_seeds(orig)
    change = value - reference
    return {
        "reference_value": known(reference.mean()),
        "value": known(value.mean()),
        "estimate": found,
        **intervals.columns(found, "difference"),
        "relative_change": known(found.value / reference.mean()) if reference.mean() else None,
        "seed_sd": known(change.std(ddof=1)) if len(change) > 1 else None,
        "sessions": int(np.count_nonzero(measure.ratios(ours)[0].denominator)),
        "seeds": " ".join(ours.seeds if len(ours.seeds) > 1 else orig.seeds),
    }


def subset(ranked: Ranked, inside: np.ndarray) -> Ranked:
    """The sessions ``inside`` (S,), a mask, with their skips."""
    place = np.cumsum(inside) - 1
    kept = inside[ranked.skip_session]
    return Ranked(
        ranked.seeds,
        ranked.session_id[inside],
        ranked.cluster[inside],
        ranked.n_candidates[inside],
        ranked.skip_share[inside],
        ranked.is_repeat[inside],
        ranked.target_popularity[inside],
        {kind: rank[:, inside] for kind, rank in ranked.rank.items()},
        {kind: rank[:, kept] for kind, rank in ranked.skip_rank.items()},
        ranked.skip_outranks[:, kept],
        place[ranked.skip_session[kept]],
        ranked.learned,
    )


def known(value: float) -> float | None:
    """None for what is not a number."""
    return float(value) if np.isfinite(value) else None


def with_holm(rows: list[dict], family: tuple[str, ...]) -> list[dict]:
    """The rows with ``p_holm``, Holm's adjusted p-value over the rows that agree in the columns
    ``family``, and where they have ``p_within`` with ``p_within_holm``.
    """
    families: dict[tuple, list[int]] = {}
    for at, row in enumerate(rows):
        families.setdefault(tuple(row[name] for name in family), []).append(at)
    adjusted: list[dict[str, float | None]] = [{} for _ in rows]
    for members in families.values():
        for name in ("p", "p_within"):
            if all(name in rows[at] for at in members):
                found = holm([rows[at][name] for at in members])
                for at, p in zip(members, found, strict=True):
                    adjusted[at][f"{name}_holm"] = p
    return [row | its for row, its in zip(rows, adjusted, strict=True)]


def quartiles(share: np.ndarray) -> np.ndarray:
    """(S,) quartile 1..4 of each session by its skip share; equal shares are in one quartile, so
    quartiles differ in size.
    """
    return np.searchsorted(np.quantile(share, [0.25, 0.5, 0.75]), share, side="left") + 1
