"""The table datasets."""

from skipwise.core.artifacts import read_json
from skipwise.core.paths import hive_keys
from skipwise.core.schemas import ARTIFACTS
from skipwise.report.write import write_table


def make_datasets_table(
    stats: list[str], splits: list[str], outputs: dict[str, str], *, registry: dict
) -> None:
    """What every data set holds and what the filters left; ``splits`` are the ``split.json`` of the
    data sets in ``stats``.
    """
    rows = []
    by_dataset = {hive_keys(path)["dataset"]: read_json(path) for path in stats}
    for path in splits:
        dataset = hive_keys(path)["dataset"]
        entry, split, stat = registry[dataset], read_json(path), by_dataset[dataset]
        counts = stat["counts"]
        rows.append(
            {
                "dataset": dataset,
                "data": "simulated" if "simulation" in entry else "real",
                "form": entry["form"],
                "licence": entry["licence"],
                "skip_rule": " ".join(_rule_words(entry)),
                "plays_read": counts["plays_read"],
                "sessions_formed": counts["sessions_formed"],
                "sessions_eligible": counts["sessions_eligible"],
                "sessions": counts["sessions"],
                "plays": counts["plays"],
                "tracks": counts["tracks"],
                "skip_share": counts["skip_share"],
                "length_median": counts["length_quantiles"][2],
                "length_mean": counts["length_mean"],
                "split": split["split"],
                "train_sessions": split["counts"]["train"],
                "test_sessions": split["counts"]["test"],
                "unseen_target_share": split["unseen_target_share"],
            }
        )
    write_table(
        rows,
        ARTIFACTS["datasets"],
        outputs,
        title="Data sets",
        note="skip_share and lengths are those of the sampled sessions; unseen_target_share is the share of test targets that "
        "no train sequence holds.",
    )


def _rule_words(entry: dict) -> list[str]:
    rule = dict(entry["skip_rule"])
    words = [rule.pop("name"), *(f"{name}={value}" for name, value in rule.items())]
    return words + ([f"({entry['skipped_when']})"] if "skipped_when" in entry else [])
