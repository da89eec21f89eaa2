"""How much skips can be worth in simulated worlds, whose truth is known, and what a variant catches
of it. The truth ranks tracks by the probability that they are the next listened one, given the
plays, or the plays and their labels; the difference is the headroom, the most that labels in the
input are worth to a model that has learned everything else. A model that has not may gain more,
because labels also help it to learn: that is in its distance to the truth.
"""

from typing import NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa

from skipwise.core.artifacts import read_artifact
from skipwise.core.paths import hive_keys
from skipwise.core.schemas import required, rows_of
from skipwise.evaluation.comparisons import (
    BLIND,
    HEADLINE,
    Ranked,
    RankedRuns,
    headlines,
    known,
    reference_of,
    same_seeds,
)
from skipwise.evaluation.intervals import Estimate, Ratio, estimate, mean_estimate
from skipwise.ranking.metrics import METRICS
from skipwise.report.columns import Column, describe
from skipwise.report.variants import of_which_trainings
from skipwise.report.write import Given

NEEDS = ("truth", "ranks", "split")
SETTINGS = ("simulated", "references", "worlds", "intervals")
OPTIONAL = True
TITLE = "Headroom: what skips can be worth, and what is caught"
MEASURES = (("hr", 10), ("ndcg", 10))
TRUTHS = ("blind", "plays", "labels")

_value, _gain = describe("reference_value").show, describe("difference").show
EXPLAINS = {
    "world": Column("world", "How the listeners and their platform are made."),
    "right_verdict": Column("right verdict", "What a study of this world should find."),
    "gain": Column("gain", "Variant − reference, on all test sessions.", _gain),
    "truth_blind": Column("truth, blind", "Ranked by the next play, given the plays.", _value),
    "truth_plays": Column(
        "truth, plays", "Ranked by the next listened track, given the plays.", _value
    ),
    "truth_labels": Column("truth, labels", "The same, given the labels too.", _value),
    "headroom": Column("headroom", "Truth with labels − truth with plays.", _gain),
    "caught": Column(
        "caught",
        "Gain as a share of the headroom; none where that is less than twice its half interval.",
        "{:+.0%}".format,
    ),
    "left": Column("left", "Truth with labels − variant.", _gain),
    "of_the_way": Column(
        "of the way",
        "Gain as a share of the way from the reference to the truth with labels.",
        "{:+.0%}".format,
    ),
    "truth_error": Column(
        "error of the truth", "Truth with labels, less the same from half of the particles.", _gain
    ),
    "truth_sessions": Column("sessions of the truth", "Test sessions ranked by the truth."),
}
_INTERVALS = ("gain", "headroom", "caught", "left", "of_the_way", "truth_error")
_KEYS = ("dataset", "data", "world", "split", "candidates", "model", "variant")
COLUMNS = rows_of(
    *(required(name, pa.string()) for name in _KEYS),
    pa.field("reference", pa.string()),
    required("metric", pa.string()),
    pa.field("value", pa.float64()),
    *(pa.field(f"truth_{name}", pa.float64()) for name in TRUTHS),
    *(
        pa.field(f"{name}{end}", pa.float64())
        for name in _INTERVALS
        for end in ("", "_low", "_high")
    ),
    required("truth_sessions", pa.int64()),
    required("right_verdict", pa.string()),
)


def note(given: Given) -> str:
    return (
        f"{of_which_trainings(given)}Among headline candidates. The truth is ranked on a random "
        "sample of the test sessions, the same for every model; intervals are over clusters of "
        "sessions and over seeds. The reference of orig, and of a way that predicts the next "
        "track, listened or not, is blind, that of every other variant orig. Targets are the last "
        "listened tracks of their sessions, which no ranking knows, so the truth with "
        "plays only may be slightly beaten."
    )


class Truth(NamedTuple):
    """Metrics of the ranking by the truth on the sessions of a :class:`Ranked`."""

    inside: np.ndarray  # (S,) whether a session was ranked by the truth
    values: dict[str, np.ndarray]  # (S,) by state of knowledge, 0 for other sessions
    half: np.ndarray  # (S,) with labels and half of the particles


def rows(given: Given) -> list[dict]:
    """One row per metric of every model and variant on every world."""
    candidates = headlines(given["split"])
    runs = RankedRuns(given["ranks"], candidates)
    found = []
    for path in given["truth"]:
        keys = hive_keys(path)
        dataset, split = keys["dataset"], keys["split"]
        world, verdict = given.settings["worlds"][dataset]
        ranks = pl.DataFrame(read_artifact("truth", path))
        for model, variants in runs.models(dataset, split).items():
            for variant in variants:
                ours = runs[dataset, split, model, variant]
                name = reference_of(given.settings.get("references", {}), model, variant)
                other = name if variant != BLIND and name in variants else None
                reference = runs[dataset, split, model, other] if other else None
                row = {
                    "dataset": dataset,
                    "data": given.source(dataset),
                    "world": world,
                    "right_verdict": verdict,
                    "split": split,
                    "candidates": candidates[dataset, split],
                    "model": model,
                    "variant": variant,
                    "reference": other,
                }
                for metric, k in MEASURES:
                    truth = _truth(ranks, ours, candidates[dataset, split], metric, k)
                    numbers = _numbers(ours, reference, truth, metric, k, given.level or 0.95)
                    found.append(row | {"metric": f"{metric}_{k}"} | numbers)
    return found


def _truth(ranks: pl.DataFrame, ranked: Ranked, candidates: str, metric: str, k: int) -> Truth:
    """The metric of the true ranking, on the sessions of ``ranked``."""
    sessions = pl.DataFrame({"session_id": ranked.session_id})
    particles = ranks["particles"]

    def values(knows: str, counted: object) -> np.ndarray:
        chosen = ranks.filter(knows=knows, particles=counted)
        joined = sessions.join(chosen, on="session_id", how="left", maintain_order="left")
        rank = joined[f"rank_{candidates}"].cast(pl.Float64).to_numpy()
        return METRICS[metric](np.where(np.isnan(rank), np.inf, rank), k)

    inside = np.isin(ranked.session_id, ranks["session_id"].to_numpy())
    of = {knows: values(knows, particles.max()) for knows in TRUTHS}
    return Truth(inside, of, values("labels", particles.min()))


def _numbers(
    ours: Ranked, reference: Ranked | None, truth: Truth, metric: str, k: int, level: float
) -> dict:
    """The numbers of one row."""
    value = ours.metric(metric, k, HEADLINE)
    inside, clusters = truth.inside, ours.cluster
    labels, plays = truth.values["labels"], truth.values["plays"]

    def over_truth(values: np.ndarray) -> Estimate:
        return mean_estimate(np.atleast_2d(values)[:, inside], clusters[inside])

    headroom = over_truth(labels - plays)
    estimates = {
        "headroom": headroom,
        "left": over_truth(labels - value),
        "truth_error": over_truth(labels - truth.half),
    }
    if reference:
        one, other = same_seeds(ours, reference)
        base = other.metric(metric, k, HEADLINE)
        gain = one.metric(metric, k, HEADLINE) - base
        base = np.broadcast_to(base, gain.shape)
        estimates["gain"] = mean_estimate(gain, clusters)
        # Of a smaller one the ratio and its interval are off (Fieller's problem): in a simulation
        # an interval covers the truth in .82 of cases at two standard errors, in .91 at three.
        if abs(headroom.value) > 2 * headroom.half_width((1 - level) / 2):
            estimates["caught"] = _share(gain, labels - plays, inside, clusters)
        estimates["of_the_way"] = _share(gain, labels - base, inside, clusters)
    row = {"value": known(float(value.mean())), "truth_sessions": int(inside.sum())}
    row |= {f"truth_{name}": known(float(of[inside].mean())) for name, of in truth.values.items()}
    for name, found in estimates.items():
        low, high = found.interval(level)
        row |= {name: known(found.value), f"{name}_low": known(low), f"{name}_high": known(high)}
    return row


def _share(
    gain: np.ndarray, most: np.ndarray, inside: np.ndarray, clusters: np.ndarray
) -> Estimate:
    """Ratio of the mean gain (R, S) and of the mean of ``most`` over the sessions inside."""
    return estimate(
        [Ratio(gain, np.ones(len(inside))), Ratio(most * inside, inside.astype(float))],
        lambda ratios: ratios[..., 0] / ratios[..., 1],
        clusters,
        differs=np.asarray(gain.any(axis=0)),
    )
