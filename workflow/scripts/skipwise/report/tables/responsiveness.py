"""Does a model listen: what it does when one play is skipped that was listened to, everything else
being the same. *fall* is how far tracks like that play go down, in doublings of their rank; the
target should fall less. A model that sees no label at prediction cannot respond, and has 0. For
ways that predict skips, the AUC tells the unseen skips of a session from its target.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from skipwise.core.artifacts import read_artifact
from skipwise.core.paths import by_variant, hive_keys
from skipwise.core.schemas import required, rows_of
from skipwise.evaluation.comparisons import known
from skipwise.evaluation.intervals import mean_estimate
from skipwise.report.columns import Column, describe
from skipwise.report.write import Given

NEEDS = ("responses",)
SETTINGS = ("simulated", "intervals")
FAMILY = "neural"
TARGET = "answer"
TITLE = "What a model does when a play is skipped"
KEYS = ("dataset", "split", "model", "variant")
NUMBERS = ("fall", "target_fall", "beyond_target", "beyond_input")
LABELS_IN_INPUT = "feedback-input"
COLUMNS = rows_of(
    *(required(name, pa.string()) for name in ("dataset", "data", "split", "model", "variant")),
    *(pa.field(f"{name}{end}", pa.float64()) for name in NUMBERS for end in ("", "_low", "_high")),
    *(pa.field(name, pa.float64()) for name in ("near_before", "near_after", "auc", "auc_sd")),
    required("sessions", pa.int64()),
    required("seeds", pa.string()),
)
_signed = describe("difference").show
EXPLAINS = {
    "fall": Column("fall", "Of tracks like the play: mean of log2(rank after / before).", _signed),
    "target_fall": Column("target's fall", "The same of the target.", _signed),
    "beyond_target": Column("beyond the target's", "The one fall less the other.", _signed),
    "beyond_input": Column(
        "beyond labels in the input",
        "The fall less that of the model that only sees the labels in its input.",
        _signed,
    ),
    "near_before": Column(
        "in the top 20, before", "Tracks like the play, of ten.", "{:.2f}".format
    ),
    "near_after": Column("in the top 20, after", "The same once it is skipped.", "{:.2f}".format),
    "auc": Column(
        "AUC of skips", "Of a predicted skip: unseen skips and targets.", "{:.3f}".format
    ),
    "auc_sd": Column("SD", "Over seeds, of the AUC.", "{:.3f}".format),
}


def note(given: Given) -> str:
    return (
        "On a random sample of the test sessions, the same for every model; the play is the last "
        "listened one of the context, and the ten tracks like it have the largest cosine of train "
        f"sessions. {given.level:.0%} intervals over clusters of sessions and over seeds. Wang et "
        "al. (RecSys 2023) say that the not-to-recommend loss makes a model more responsive: that "
        "is not-to-recommend-input beyond labels in the input."
    )


def rows(given: Given) -> Iterator[dict]:
    """One row per data set, split, neural model and variant."""
    level, runs = given.settings["intervals"]["level"], by_variant(given["responses"])
    for place, paths in runs.items():
        frames = [pl.DataFrame(read_artifact("responses", path)) for path in paths]
        asked = [frame.drop_nulls("fall") for frame in frames]
        values = {
            name: np.stack([frame[name].to_numpy() for frame in asked])
            for name in ("fall", "target_fall", "near_before", "near_after")
        }
        values["beyond_target"] = values["fall"] - values["target_fall"]
        only_input = runs.get((*place[:3], LABELS_IN_INPUT), [])
        if place[3] != LABELS_IN_INPUT and len(only_input) == len(paths):
            others = [read_artifact("responses", path)["fall"].drop_null() for path in only_input]
            values["beyond_input"] = values["fall"] - np.stack(others)
        clusters = asked[0]["cluster"].to_numpy()
        aucs = np.array([auc(frame) for frame in frames])
        row: dict[str, Any] = dict(zip(KEYS, place, strict=True))
        for name in values.keys() & {*NUMBERS}:
            found = mean_estimate(values[name], clusters)
            low, high = found.interval(level)
            row |= {
                name: known(found.value),
                f"{name}_low": known(low),
                f"{name}_high": known(high),
            }
        for name in ("near_before", "near_after"):
            row[name] = known(values[name].mean()) if values[name].size else None
        yield row | {
            "data": given.source(place[0]),
            "auc": known(aucs.mean()),
            "auc_sd": known(aucs.std(ddof=1)) if len(aucs) > 1 else None,
            "sessions": len(clusters),
            "seeds": " ".join(hive_keys(path)["seed"] for path in paths),
        }


def auc(frame: pl.DataFrame) -> float:
    """The share of pairs of an unseen skip and a target, of any sessions, in which the skip has the
    higher logit, ties half; NaN without either.
    """
    targets = frame["target_logit"].drop_nulls().to_numpy()
    skips = frame["skip_logits"].explode().drop_nulls().to_numpy()
    if not len(targets) or not len(skips):
        return np.nan
    ordered = np.sort(targets)
    below, up_to = (np.searchsorted(ordered, skips, side) for side in ("left", "right"))
    return float((below + up_to).mean() / 2 / len(targets))
