"""What every data set holds and what the filters left of it, from plays read to test sessions. Look
at the share of skips, and at the share of targets that no train sequence holds: no model here can
find those.
"""

import pyarrow as pa

from skipwise.core.artifacts import read_json
from skipwise.core.conditions import label_rules
from skipwise.core.config import rule_words
from skipwise.core.paths import hive_keys
from skipwise.core.schemas import required, rows_of
from skipwise.report.write import Given

NEEDS = ("stats", "split")
SETTINGS = ("registry", "simulated")
GIGABYTES = 1
MINUTES = 10
TITLE = "Data sets"
NOTE = (
    "skip_share and lengths are those of the sampled sessions; unseen_target_share is the share "
    "of test targets that no train sequence holds; test_sessions_with_a_piece_in_train are those "
    "of which another piece is trained on, a long session being cut into pieces; "
    "repeat_target_share the share that is a track of its context. unknown_share is the share of "
    "plays without a label: they are context, never a target, query, positive or negative, unless "
    "unknown_labels says listened. headline_candidates: the set that models are selected on, new "
    "where under 1 % of the validation targets repeat."
)
# One row per data set and split.  The rows keep the order of the configuration.
COLUMNS = rows_of(
    required("dataset", pa.string()),
    required("data", pa.string()),
    required("form", pa.string()),
    required("licence", pa.string()),
    required("skip_rule", pa.string()),
    required("plays_read", pa.int64()),
    required("sessions_formed", pa.int64()),
    required("sessions_eligible", pa.int64()),
    required("sessions", pa.int64()),
    required("plays", pa.int64()),
    required("tracks", pa.int64()),
    required("skip_share", pa.float64()),
    required("unknown_share", pa.float64()),
    required("unknown_labels", pa.string()),
    required("length_median", pa.float64()),
    required("length_mean", pa.float64()),
    required("split", pa.string()),
    required("train_sessions", pa.int64()),
    required("test_sessions", pa.int64()),
    required("unseen_target_share", pa.float64()),
    required("test_sessions_with_a_piece_in_train", pa.int64()),
    required("repeat_target_share", pa.float64()),
    required("headline_candidates", pa.string()),
)


def rows(given: Given) -> list[dict]:
    """One row per data set and split."""
    found, registry = [], given.settings["registry"]
    by_dataset = {hive_keys(path)["dataset"]: read_json(path) for path in given["stats"]}
    for path in given["split"]:
        dataset = hive_keys(path)["dataset"]
        entry, split, stat = registry[dataset], read_json(path), by_dataset[dataset]
        counts = stat["counts"]
        found.append(
            {
                "dataset": dataset,
                "data": given.source(dataset),
                "form": entry["form"],
                "licence": entry["licence"],
                "skip_rule": _rule_words(entry, stat["rules"]),
                "plays_read": counts["plays_read"],
                "sessions_formed": counts["sessions_formed"],
                "sessions_eligible": counts["sessions_eligible"],
                "sessions": counts["sessions"],
                "plays": counts["plays"],
                "tracks": counts["tracks"],
                "skip_share": counts["skip_share"],
                "unknown_share": counts["plays_unknown"] / counts["plays"],
                "unknown_labels": stat["rules"].get("unknown_labels", "kept"),
                "length_median": counts["length_quantiles"][2],
                "length_mean": counts["length_mean"],
                "split": split["split"],
                "train_sessions": split["counts"]["train"],
                "test_sessions": split["counts"]["test"],
                "unseen_target_share": split["unseen_target_share"],
                "test_sessions_with_a_piece_in_train": split["test_sessions_with_a_piece_in_train"],
                "repeat_target_share": split["repeat_target_share"]["test"],
                "headline_candidates": split["headline"],
            }
        )
    return found


def _rule_words(entry: dict, used: dict) -> str:
    """The rule of an entry, and whether its labels are ``used`` inverted, as an audit does."""
    words = rule_words(entry["skip_rule"])
    rules = " or ".join(label_rules(entry))
    words = f"{words} ({rules})" if rules else words
    return f"{words}, inverted" if used.get("skip_polarity") == "inverted" else words
