"""Which way to use skips helps, and is it the skips: every variant of every neural model in HR@10,
against *orig*, which sees labels through its targets only, and against *blind*, which sees none.
The outcome is that against the one of the two that predicts the same targets.
Next to it stands the control of the way, which sees the labels of every session in another order: a
gain that the control has, too, does not come from skips. The last columns are what the way costs in
training. config/methods.yaml runs it.
"""

from collections import Counter
from collections.abc import Iterator

import pyarrow as pa

from skipwise.core.artifacts import read_json
from skipwise.core.paths import VariantKey, by_variant
from skipwise.core.registry import reads_labels
from skipwise.core.schemas import required, rows_of
from skipwise.evaluation.comparisons import (
    BLIND,
    REFERENCE,
    Intervals,
    Measure,
    Ranked,
    RankedRuns,
    compared,
    headlines,
    known,
    mean_measure,
    reference_of,
    with_holm,
)
from skipwise.evaluation.evidence import FAILS, HOLDS, UNLEARNED, verdict
from skipwise.report.columns import Column, describe
from skipwise.report.variants import controls as controls_of
from skipwise.report.variants import (
    of_which_trainings,
    shown_controls,
    unlearned,
    which_unfinished,
    which_unlearned,
)
from skipwise.report.write import Given

NEEDS = ("ranks", "split", "run")
SETTINGS = ("simulated", "references", "controls", "intervals")
FAMILY = "neural"
TARGET = "answer"
GIGABYTES = 4
MINUTES = 60
TITLE = "Which way to use skips helps"
# What a variant is compared with: the name of the columns.
COMPARED = ("over_orig", "over_blind", "control_gain", "over_control")
COLUMNS = rows_of(
    *(required(name, pa.string()) for name in ("dataset", "data", "split", "candidates")),
    *(required(name, pa.string()) for name in ("model", "variant")),
    pa.field("way", pa.string()),
    required("outcome", pa.string()),
    pa.field("value", pa.float64()),
    *(pa.field(f"{name}{end}", pa.float64()) for name in COMPARED for end in ("", "_low", "_high")),
    *(
        pa.field(name, pa.float64())
        for name in ("p_holm", "detectable", "detectable_holm", "seed_sd")
    ),
    *(pa.field(name, pa.float64()) for name in ("epochs", "epoch_seconds", "cost", "peak_gib")),
    required("sessions", pa.int64()),
    required("seeds", pa.string()),
)
_gain = describe("difference").show
EXPLAINS = {
    "way": Column("way", "The file in training/ways; none: no use of skips but in the targets."),
    "outcome": Column(
        "outcome",
        "On the gain over orig or, of orig and of ways that predict the next track, over blind, "
        "after Holm's correction; helps: and, of a way that reads labels, more than its control.",
    ),
    "over_orig": Column("− orig", "HR@10, variant − orig, on the same sessions.", _gain),
    "over_blind": Column("− blind", "HR@10, variant − blind, which sees no label.", _gain),
    "control_gain": Column(
        "control − reference",
        "The same way with shuffled labels, over orig or blind as in the outcome.",
        _gain,
    ),
    "over_control": Column("− control", "HR@10, variant − its control.", _gain),
    "detectable_holm": Column(
        "detectable, Holm",
        "The same if it is the first that Holm's correction over these rows lets pass.",
        _gain,
    ),
    "epochs": Column("epochs", "Of a training, mean over seeds.", "{:.1f}".format),
    "epoch_seconds": Column("s/epoch", "Seconds of an epoch, mean over seeds.", "{:.2f}".format),
    "cost": Column("cost", "Seconds of an epoch, by those of orig.", "{:.2f}".format),
    "peak_gib": Column("peak, GiB", "Largest memory of a training.", "{:.2f}".format),
}
HELPS, COSTS, NOTHING, UNKNOWN = "helps", "costs", "practically nothing", "cannot be told"
NOT_THE_SKIPS = "helps, and so may shuffled labels"
UNTRIED = "gains; its control did not run"
UNTAUGHT = "gains; its control learned nothing"
# Rows whose p-values are corrected together.
FAMILY_OF_ROWS = ("dataset", "split")


def note(given: Given) -> str:
    intervals = given.settings["intervals"]
    return (
        f"{of_which_trainings(given)}{which_unlearned(given)}{which_unfinished(given)}"
        "HR@10 among headline candidates, mean over seeds, with "
        f"{intervals['level']:.0%} intervals over clusters of sessions and over seeds; p_holm: "
        "Holm over the rows of a data set and split. An outcome follows the law of "
        "the findings: the interval is on one side of 0 and p_holm is small, or it is within "
        f"±{intervals['equivalence']:g} after the same correction, which is practically nothing; "
        f"where a training learned nothing, nothing is told. A way that reads labels {HELPS} if it "
        "is also better than its control. Seconds are of the machine as busy as it was."
    )


def rows(given: Given) -> list[dict]:
    """One row per data set, split, neural model and variant that is no control."""
    intervals = Intervals(**given.settings["intervals"])
    found = list(_rows(given, intervals))
    for name in ("gain", "beyond"):
        each = with_holm([row[name] | row for row in found], FAMILY_OF_ROWS)
        for row, its in zip(found, each, strict=True):
            row[name] |= {key: its[key] for key in ("p_holm", "p_within_holm")}
    tests = Counter(_family(row) for row in found if row["gain"]["p"] is not None)
    for row in found:
        row |= {"p_holm": row["gain"]["p_holm"], "outcome": _outcome(row, intervals)}
        if row["gain"]["p"] is not None:
            most = row["gain"]["estimate"].detectable(intervals.level, tests=tests[_family(row)])
            row["detectable_holm"] = known(most)
    return found


def _family(row: dict) -> tuple:
    return tuple(row[name] for name in FAMILY_OF_ROWS)


def _rows(given: Given, intervals: Intervals) -> Iterator[dict]:
    """The rows without ``p_holm`` and outcome, for which they have what :func:`compared` says of
    the ``gain`` that is judged and of the one ``beyond`` the control.
    """
    candidates = headlines(given["split"])
    runs = RankedRuns(given["ranks"], unlearned=unlearned(given["run"]))
    costs = _costs(given["run"])
    for dataset, split in runs.splits():
        measure = mean_measure("hr", 10, candidates[dataset, split])
        for model, variants in runs.models(dataset, split).items():
            place = dataset, split, model
            controls = shown_controls(given, model, variants)
            of_any = controls_of(given, model, variants)
            of_model = given.settings["controls"].get(model, {})
            for variant in variants:
                if variant in of_any:
                    continue
                ours = runs[*place, variant]
                reference = reference_of(given.settings["references"], model, variant)
                control = controls.get(variant)
                # What labels add to the targets of orig is said by a control with these targets.
                if reference == REFERENCE and control and of_model[control]["all"]:
                    control = None
                pairs = (
                    (variant, REFERENCE),
                    (variant, BLIND),
                    (control, reference),
                    (variant, control),
                )
                over = {
                    name: _compared(measure, runs[*place, one], runs[*place, other], intervals)
                    if one != other and {one, other} <= {*variants}
                    else {"p": None, "p_within": None}
                    for name, (one, other) in zip(COMPARED, pairs, strict=True)
                }
                gain = over["over_blind" if reference == BLIND else "over_orig"]
                if variant == BLIND:  # whose difference from orig is tested once, in orig's row
                    gain = gain | {"p": None, "p_within": None}
                yield {
                    "dataset": dataset,
                    "data": given.source(dataset),
                    "split": split,
                    "candidates": measure.candidates,
                    "model": model,
                    "variant": variant,
                    "value": float(measure.of_seeds(ours).mean()),
                    "gain": gain,
                    "beyond": over["over_control"],
                    "detectable": gain.get("detectable"),
                    "seed_sd": gain.get("seed_sd"),
                    **{
                        f"{name}{end}": its.get(f"difference{end}")
                        for name, its in over.items()
                        for end in ("", "_low", "_high")
                    },
                    **costs[*place, variant],
                    "cost": _ratio(costs, (*place, variant), (*place, REFERENCE)),
                    "sessions": len(ours.among(measure.candidates).session_id),
                    "seeds": " ".join(ours.seeds),
                }


def _costs(paths: list[str]) -> dict[VariantKey, dict]:
    """By variant, what its trainings took; memory only if all of them recorded it."""
    found = {}
    for key, of_variant in by_variant(paths).items():
        its = [read_json(path) for path in of_variant]
        peaks = [run["peak_bytes"] for run in its if "peak_bytes" in run]
        found[key] = {
            "way": its[0]["settings"].get("way"),
            "epochs": sum(run["epochs"] for run in its) / len(its),
            "epoch_seconds": sum(run["seconds"] / run["epochs"] for run in its) / len(its),
            "peak_gib": max(peaks) / 2**30 if len(peaks) == len(its) else None,
        }
    return found


def _ratio(costs: dict, one: tuple, other: tuple) -> float | None:
    if other not in costs:
        return None
    return costs[one]["epoch_seconds"] / costs[other]["epoch_seconds"]


def _outcome(row: dict, intervals: Intervals) -> str:
    if row["variant"] == BLIND:
        return "the reference"
    told, reason = _told(row["gain"], row["seeds"], intervals)
    if told == HOLDS and row["beyond"].get("difference") is not None:
        beyond, reason = _told(row["beyond"], row["seeds"], intervals)
        if reason == UNLEARNED:
            return UNTAUGHT
        return HELPS if beyond == HOLDS else NOT_THE_SKIPS
    if told == HOLDS:
        of_labels = row["variant"] == REFERENCE or reads_labels(row["way"])
        return UNTRIED if of_labels else HELPS
    if told == FAILS:
        return NOTHING if reason.startswith("within") else COSTS
    return f"{UNKNOWN}: {reason}"


def _compared(measure: Measure, ours: Ranked, other: Ranked, intervals: Intervals) -> dict:
    """What :func:`compared` says, with ``unless``, why nothing can be told of it, or ""."""
    learned = ours.learned and other.learned
    found = compared(measure, ours, other, intervals)
    return found | {
        "p_within": intervals.p_within(found["estimate"]),
        "unless": "" if learned else UNLEARNED,
    }


def _told(gain: dict, seeds: str, intervals: Intervals) -> tuple[str, str]:
    """The verdict of the findings on a gain in HR@10, with its corrected p-values."""
    row = {f"estimate_{end}": gain.get(f"difference_{end}") for end in ("low", "high")}
    row |= {key: gain[key] for key in ("p_holm", "p_within_holm")}
    return verdict(row | {"sign": 1, "seeds": seeds, "unless": gain.get("unless", "")}, intervals)
