"""Ranks of made-up models of which is known what is true: the worlds of the claims."""

from collections.abc import Callable, Iterable
from functools import cache, partial

import numpy as np
from skipwise.core.schemas import HEADLINES
from skipwise.evaluation.comparisons import HEADLINE, Ranked, RankedRuns, RunKey
from skipwise.evaluation.evidence import Evidence

# The papers' words for models and variants, and their names here.
PAPERS = {
    "models": {"Uni": "sasrec", "Bi": "bert4rec", "SASRec": "sasrec", "BERT4Rec": "bert4rec"}
    | {"WRMF": "wrmf"},
    "variants": {"orig": "orig", "ours": "contrastive-hidden", "BL": "bl", "NR": "nr"}
    | {"S-": "orig", "S+ c=ŷ": "contrastive-hidden", "S+ c=e": "contrastive-item"},
}
VARIANTS = {
    "sasrec": ("orig", "contrastive-hidden", "contrastive-item"),
    "bert4rec": ("orig", "contrastive-hidden", "contrastive-item"),
    "wrmf": ("orig", "bl", "nr"),
}
FORMS = {"a": "mssd", "b": "lfm2b", "c": "lfm1k"}


class PlantedRuns(RankedRuns):
    """Runs in memory, each drawn when it is first read."""

    def __init__(self, runs: dict[RunKey, Callable[[], Ranked]]):
        super().__init__([], {key[:2]: "full" for key in runs})
        self._paths = {key: [] for key in runs}
        self._read = cache(lambda key: runs[key]())


def evidence(
    world: dict,
    rng: np.random.Generator,
    intervals,
    *,
    datasets: Iterable[str] = ("a",),
    seeds: int = 3,
    users: int | None = 100,
    sessions: int = 800,
    also: Iterable[tuple[str, str]] = (),
) -> Evidence:
    """What a run finds in a world, with the papers' models and ``also`` others; sessions of one
    user are alike, None: all are independent.
    """
    runs: dict[RunKey, Callable[[], Ranked]] = {}
    planted = [(model, variant) for model, variants in VARIANTS.items() for variant in variants]
    for dataset in datasets:
        listeners = Listeners(rng, sessions, users)
        for model, variant in dict.fromkeys([*planted, *also]):
            effects = planted_effects(world, FORMS[dataset], model, variant)
            runs[dataset, "paper", model, variant] = partial(listeners.ranked, effects, seeds)
    validation = {key: float(key[3] in ("contrastive-hidden", "nr")) for key in runs}
    return Evidence(PlantedRuns(runs), intervals, PAPERS, FORMS, (), validation)


def other_models(worlds: dict) -> list[tuple[str, str]]:
    """The models with their variants that worlds name and the papers do not."""
    named = [pattern[-2:] for world in worlds.values() for pattern in world]
    return [run for run in named if run[0] != "*" and run[0] not in PAPERS["models"]]


def planted_effects(world: dict, form: str, model: str, variant: str) -> dict[str, float]:
    """The sum of the effects that a world plants in a run."""
    found: dict[str, float] = {}
    for pattern, effects in world.items():
        if all(map(_fits, pattern, ((form,) if len(pattern) == 3 else ()) + (model, variant))):
            for name, size in effects.items():
                found[name] = found.get(name, 0.0) + size
    return found


def _fits(word: str, name: str) -> bool:
    if word in ("*", name):
        return True
    if word == "S+":
        return name.startswith("contrastive")
    return name in (PAPERS["models"].get(word), PAPERS["variants"].get(word))


class Listeners:
    """Test sessions: how hard each is to predict, and who it is of."""

    def __init__(self, rng: np.random.Generator, n: int, users: int | None):
        self.rng, self.n = rng, n
        self.user = rng.integers(0, users, n) if users else np.arange(n)
        self.hard = rng.normal(0, 1.2, n) + rng.normal(0, 0.5, self.user.max() + 1)[self.user]
        self.share = rng.uniform(0.05, 0.9, n)
        self.skip_session = np.flatnonzero(rng.random(n) < 0.7)
        self.skip_hard = rng.normal(0.3, 1.2, len(self.skip_session))

    def ranked(self, effects: dict[str, float], seeds: int) -> Ranked:
        """A model that is ``better`` by so much in the logarithm of its ranks, more so
        ``with_skips`` in the session, or ``better_below_the_first`` place only; and whose
        unseen skips are lower by ``sinks``.  What users, seeds and sessions add differs from model
        to model too.
        """
        rng, size = self.rng, (seeds, self.n)
        better = effects.get("better", 0.0) + effects.get("with_skips", 0.0) * (
            self.share - self.share.mean()
        )
        of_user = rng.normal(0, 0.1, self.user.max() + 1)[self.user]
        of_seed = rng.normal(0, 0.03, (seeds, 1))
        log_rank = 2.4 + self.hard + of_user + of_seed + rng.normal(0, 0.6, size) - better
        rank = np.maximum(np.ceil(np.exp(log_rank)), 1)
        if by := effects.get("better_below_the_first"):
            rank = np.where(rank > 1, np.maximum(np.ceil(rank * np.exp(-by)), 2), rank)
        skip = 2.4 + self.skip_hard + of_seed + effects.get("sinks", 0.0)
        skip = np.ceil(np.exp(skip + rng.normal(0, 0.6, (seeds, len(self.skip_session)))))
        full, skips = np.where(rank > 1000, np.nan, rank), np.where(skip > 1000, np.nan, skip)
        return Ranked(
            tuple(str(seed + 1) for seed in range(seeds)),
            np.arange(self.n),
            self.user,
            np.full(self.n, 1064),
            self.share,
            np.zeros(self.n, bool),
            np.full(self.n, 3),
            dict.fromkeys((*HEADLINES, HEADLINE, "sampled"), full),
            dict.fromkeys((*HEADLINES, HEADLINE), skips),
            skip <= rank[:, self.skip_session],
            self.skip_session,
        )
