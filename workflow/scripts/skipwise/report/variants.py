"""What the tables of comparisons share: each variant against its reference on the same sessions."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import polars as pl
import pyarrow as pa

from skipwise.core.artifacts import read_json
from skipwise.core.paths import VariantKey, hive_keys, variant_key
from skipwise.core.schemas import CANDIDATES, Artifact, required, rows_of
from skipwise.evaluation.comparisons import (
    Intervals,
    Measure,
    Ranked,
    RankedRuns,
    compared,
    headlines,
    mean_measure,
    with_holm,
)
from skipwise.evaluation.intervals import LEAST_SEEDS, Estimate
from skipwise.report.wide import Wide, papers_layout
from skipwise.report.write import Given

# Rows whose p-values are corrected together.
FAMILY = ("dataset", "split", "candidates", "metric")
# Numbers of seeds that a study may have.
STUDY_SEEDS = (3, 5, 10)
_NOTE = (
    "The reference of orig is blind, which sees no label, and so is that of a way that predicts "
    "the next track, listened or not; that of every other variant is orig, whose targets are the "
    "next listened tracks. Both values are means over seeds; difference = "
    "value − reference on the same sessions, with its {level:.0%} interval over clusters of "
    "sessions and over seeds. p_holm: Holm over the rows of one metric, candidate set, data set "
    "and split; no p where too few sessions are deciding, that is differ. detectable: the "
    "smallest difference that such a study shows with power 0.8, before that correction. "
    "design_effect: how much wider than for independent sessions. full: ranked in the whole "
    "catalogue; new: without the tracks of the context, on the sessions whose target is new; "
    "sampled: among sampled candidates. "
    "headline: the set that models are selected on."
)


def note(given: Given, before: str = "") -> str:
    """How to read a table of comparisons, behind what only this one says."""
    return of_which_trainings(given) + before + _NOTE.format(level=given.level)


def of_which_trainings(given: Given) -> str:
    """Which data sets have too few seeds for intervals that cover them; "" if none has."""
    most: dict[str, int] = {}
    for dataset, seeds in RankedRuns(given["ranks"]).seeds():
        most[dataset] = max(most.get(dataset, 0), seeds)
    few = [dataset for dataset, seeds in most.items() if seeds < LEAST_SEEDS]
    if not few:
        return ""
    return (
        f"With fewer than {LEAST_SEEDS} seeds ({', '.join(few)}) intervals are of these very "
        "trainings and say nothing about others. "
    )


def unlearned(paths: Iterable[str]) -> dict[VariantKey, list[str]]:
    """By data set, split, model and variant the seeds whose training learned nothing but what is
    popular; ``paths`` are those of ``run.json``.
    """
    found: dict[VariantKey, list[str]] = {}
    for path in paths:
        if read_json(path).get("learned") is False:
            found.setdefault(variant_key(path), []).append(hive_keys(path)["seed"])
    return found


def which_unlearned(given: Given) -> str:
    """The trainings of a table with runs that learned nothing; "" if all did."""
    named = ", ".join(
        f"{' '.join(place)} (seeds {' '.join(seeds)})"
        for place, seeds in unlearned(given["run"]).items()
    )
    return (
        named and f"On validation data no better than popularity by two standard errors: {named}. "
    )


def which_unfinished(given: Given) -> str:
    """The models of which trainings were still rising when ``max_epochs`` ended them, and how many
    of each; "" if patience ended all.
    """
    trainings, unfinished = Counter[tuple](), Counter[tuple]()
    for path in given["run"]:
        run, place = read_json(path), variant_key(path)[:3]
        trainings[place] += 1
        most = run["settings"].get("max_epochs")
        if most and run["epochs"] >= most:
            unfinished[place] += most - run["best_epoch"] < run["settings"]["patience"]
    named = ", ".join(
        f"{' '.join(place)} ({n} of {trainings[place]})" for place, n in (+unfinished).items()
    )
    return named and (
        f"Trainings that were still rising when max_epochs ended them: {named}. More epochs may "
        "change their order. "
    )


def without_chance(given: Given) -> set[str]:
    """The models whose training draws nothing at random: one seed says all about them."""
    models = given.settings["model_registry"].items()
    return {name for name, model in models if model["family"] == "baseline"}


def comparison_columns(*keys: pa.Field) -> Artifact:
    """One row per data set, split, candidate set, model, variant and metric.

    ``keys`` stand before ``metric``.  ``difference`` is value − reference_value and
    ``relative_change`` is difference / reference_value.  What is undefined, for example a change of
    nothing, is null.
    """
    names = ("dataset", "data", "split", "candidates", "model", "variant", "reference")
    numbers = ("reference_value", "value", "difference", "difference_low", "difference_high")
    tests = ("relative_change", "p", "p_holm", "detectable", "seed_sd", "design_effect")
    return rows_of(
        *(required(name, pa.string()) for name in names),
        *keys,
        required("metric", pa.string()),
        required("headline", pa.bool_()),
        *(pa.field(name, pa.float64()) for name in (*numbers, *tests)),
        required("deciding", pa.int64()),
        required("sessions", pa.int64()),
        required("seeds", pa.string()),
    )


def pairs(given: Given) -> Iterator[tuple[dict[str, str], Ranked, Ranked]]:
    """Keys, reference and variant of every variant that is not the reference itself.  A table that
    may have other variants than those of the papers declares the setting ``references``.
    """
    return RankedRuns(given["ranks"]).against_reference(given.settings.get("references", {}))


def controls(given: Given, model: str, variants: Iterable[str]) -> dict[str, str]:
    """By control with shuffled labels the variant it controls, of those of a model that ran."""
    found = given.settings["controls"].get(model, {}).items()
    return {name: its["of"] for name, its in found if {name, its["of"]} <= {*variants}}


def shown_controls(given: Given, model: str, variants: Iterable[str]) -> dict[str, str]:
    """By variant its control; where there are two, the one with the right targets."""
    of_model = given.settings["controls"].get(model, {})
    found = sorted(controls(given, model, variants), key=lambda name: not of_model[name]["all"])
    return {of_model[name]["of"]: name for name in found}


def with_controls(given: Given, frame: pl.DataFrame) -> pl.DataFrame:
    """The rows with ``control_of``, the variant that a row is the control of, null for others;
    without those of a second control.
    """
    parts = []
    for part in frame.partition_by("dataset", "split", "model", maintain_order=True):
        model, ran = part["model"][0], part["variant"].unique()
        found, shown = controls(given, model, ran), shown_controls(given, model, ran).values()
        named = pl.col("variant").replace_strict(found, default=None, return_dtype=pl.String)
        kept = pl.col("control_of").is_null() | pl.col("variant").is_in([*shown])
        parts.append(part.with_columns(control_of=named).filter(kept))
    return pl.concat(parts) if parts else frame.with_columns(control_of=pl.lit(None, pl.String))


def rows_of_models(
    given: Given, measures: list[Measure], wanted: Callable[[str], bool]
) -> list[dict]:
    """One row per measure of every variant of the models that are ``wanted``."""
    found: list[dict] = []
    for keys, reference, variant in pairs(given):
        if wanted(keys["model"]):
            found += rows_of_pair(given, keys, measures, variant, reference)
    return corrected(found)


def corrected(rows: list[dict]) -> list[dict]:
    """The rows with ``p_holm``."""
    return with_holm(rows, FAMILY)


def in_papers_layout(
    given: Given,
    rows: list[dict],
    table: str,
    models: Mapping[str, str],
    names: Mapping[str, str],
) -> list[Wide]:
    """The rows in the layout of the papers; ``table`` is that of resources/paper_results.csv,
    ``models`` and ``names`` give the paper's names of our models and variants.
    """
    [papers] = given["papers"]
    assert given.level is not None
    return papers_layout(
        rows,
        models=models,
        variants=names,
        printed=pl.read_csv(papers, schema_overrides={"value": pl.String})
        .filter(table=table)
        .to_dicts(),
        forms=given.settings["forms"],
        level=given.level,
        caveat=of_which_trainings(given),
    )


def rank_measures(cutoffs: Mapping[str, Sequence[int]]) -> list[Measure]:
    """Rank metrics of the target at these cut-offs, in each candidate set."""
    return [
        mean_measure(name, k, candidates)
        for candidates in CANDIDATES
        for name, ks in cutoffs.items()
        for k in ks
    ]


def rows_of_pair(
    given: Given, keys: dict, measures: list[Measure], ours: Ranked, orig: Ranked
) -> Iterator[dict]:
    """One row per measure, without ``p_holm``."""
    intervals = Intervals(**given.settings["intervals"])
    headline = headlines(given["split"])[keys["dataset"], keys["split"]]
    for measure in measures:
        named = keys | {
            "data": given.source(keys["dataset"]),
            "candidates": measure.candidates,
            "metric": measure.name,
            "headline": measure.candidates == headline,
        }
        yield named | compared(measure, ours, orig, intervals)


def gains(given: Given, intervals: Intervals) -> Iterator[tuple[dict[str, str], int, Estimate]]:
    """Keys, number of test sessions and gain in HR@10 among headline candidates, of every variant
    that is no control and has seeds enough to tell anything.
    """
    candidates = headlines(given["split"])
    registry = given.settings["model_registry"]
    for keys, reference, ranked in pairs(given):
        settings = registry[keys["model"]]["variants"][keys["variant"]]
        if settings.get("labels", "right") != "right":
            continue
        measure = mean_measure("hr", 10, candidates[keys["dataset"], keys["split"]])
        ours = ranked.among(measure.candidates)
        found = intervals.difference(measure, ours, reference.among(measure.candidates))
        if len(found.components) > 1:  # over clusters and over seeds
            shared = {"data": given.source(keys["dataset"]), "candidates": measure.candidates}
            yield keys | shared, len(ours.session_id), found
