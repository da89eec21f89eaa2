"""How the columns of tables are headed, explained and printed on a page."""

import re
from collections.abc import Callable
from typing import NamedTuple

from skipwise.ranking.metrics import METRICS


def _decimals(value: float) -> str:
    return f"{value:.4f}".replace("-", "−")


def _signed(value: float) -> str:
    return f"{value:+.4f}".replace("-", "−")


def _share(value: float) -> str:
    return f"{value:.1%}".replace("%", " %")


def _change(value: float) -> str:
    return f"{value:+.1%}".replace("-", "−").replace("%", " %")


def _p(value: float) -> str:
    return "< 0.0001" if value < 0.00005 else _decimals(value)


def _count(value: int) -> str:
    return f"{value:,}"


def _few(value: float) -> str:
    return f"{value:.4g}"


def _metric(name: str) -> str:
    """A metric with its direction: ``hr_skipped_10`` gives ``HR@10 of skips ↓``."""
    found = re.fullmatch(rf"(delta_)?({'|'.join([*METRICS, 'mrr'])})(_skipped)?_(\d+)", name)
    if not found:
        return f"{name.replace('_', ' ')} ↑"
    delta, metric, skipped, k = found.groups()
    of_skips = " of skips" if skipped else ""
    return f"{'Δ ' if delta else ''}{metric.upper()}@{k}{of_skips} {_arrow(name)}"


def is_metric(name: str) -> bool:
    """Whether a column is a metric of targets at a cut-off, like ``hr_10``."""
    metric, _, k = name.rpartition("_")
    return metric in METRICS and k.isdigit()


def lower_is_better(metric: str) -> bool:
    return "_skipped_" in metric


def _arrow(metric: str) -> str:
    return "↓" if lower_is_better(metric) else "↑"


class Column(NamedTuple):
    """How a column is headed, explained and printed."""

    label: str
    meaning: str
    show: Callable = str


COLUMNS = {
    "dataset": Column("data set", "Name in the registry of the configuration."),
    "data": Column(
        "data",
        "Where the data are from: real listeners, or simulated ones, made up by this workflow.",
    ),
    "split": Column(
        "split",
        "How sessions are parted into train, validation and test; paper is that of the papers.",
    ),
    "model": Column("model", "The recommender."),
    "variant": Column(
        "variant",
        "What it is told of skips; blind: nothing, its targets are the next tracks; orig: its "
        "targets are the next listened tracks. contrastive-: P2's term, with the embedding of "
        "the last listened "
        "track (item) or the prediction (hidden) as the query; bl: skips left out; nr: skips as "
        "negatives.",
    ),
    "candidates": Column(
        "candidates",
        "Tracks that the target is ranked among. full: all; new: all but those of the context, on "
        "the sessions whose target is new; sampled: a sample, which flatters.",
    ),
    "sessions": Column("sessions", "Sessions behind the row.", _count),
    "seeds": Column("seeds", "Seeds of training; values are means over them."),
    "metric": Column("metric", "↑: higher is better. ↓: lower is better.", _metric),
    "headline": Column(
        "headline",
        "Whether models are selected on this candidate set and the findings use it.",
        lambda value: "yes" if value else "no",
    ),
    "headline_candidates": Column(
        "headline", "The candidate set that models are selected on and the findings use."
    ),
    "repeats_left_out": Column(
        "repeats left out",
        "Sessions whose target is a track of the context, and so is no new candidate.",
        _count,
    ),
    "reference": Column(
        "reference", "What the variant is compared with: orig, and blind for orig itself."
    ),
    "reference_value": Column("reference value", "The metric of the reference.", _decimals),
    "value": Column("variant", "The metric of the variant.", _decimals),
    "difference": Column(
        "variant − reference",
        "Difference on the same sessions, with its interval in brackets.",
        _signed,
    ),
    "relative_change": Column(
        "relative change", "Difference in per cent of the reference.", _change
    ),
    "p": Column("p", "Two-sided; none where too few sessions differ.", _p),
    "p_holm": Column("p, Holm", "Corrected for the rows that ask the same, see the note.", _p),
    "detectable": Column(
        "detectable",
        "The smallest effect that such a study shows with power 0.8, before Holm's correction.",
        _decimals,
    ),
    "design_effect": Column(
        "design effect",
        "How much wider the interval is than if sessions of one user were independent.",
        _few,
    ),
    "deciding": Column("deciding sessions", "Sessions in which the two compared differ.", _count),
    "seed_sd": Column("SD over seeds", "Of the difference.", _decimals),
    "context": Column("context", "Uni: the model looks back only. Bi: both ways."),
    "skips": Column("skips", "S+: with skips, by the query of the contrastive term; S- is orig."),
    "quartile": Column("quartile", "Quarter of the sessions by share of skips; 1 has the fewest."),
    "share": Column(
        "share of skips",
        "Least and greatest share of skips in the context in this quarter.",
        _share,
    ),
    "table": Column(
        "paper", "murs23: Seshadri & Knees 2023; recsys24: Seshadri, Shashaani & Knees 2024."
    ),
    "form": Column(
        "form", "Raw form of the data, by which the papers' data set and ours are matched."
    ),
    "source": Column("source", "Where the printed value stands."),
    "paper": Column("paper prints", "Quoted; the papers rank among sampled candidates.", _decimals),
    "paper_relative_change": Column("paper, change", "Change against orig in the paper.", _change),
    "ours_sampled": Column(
        "here, sampled",
        "This run, among sampled candidates, with the interval of hr_ndcg.",
        _decimals,
    ),
    "ours_sampled_relative_change": Column(
        "here, sampled, change", "Change against orig, sampled candidates.", _change
    ),
    "ours_new": Column(
        "here, new",
        "This run, without the tracks of the context, with the interval of hr_ndcg.",
        _decimals,
    ),
    "ours_new_relative_change": Column(
        "here, new, change", "Change against orig, new candidates.", _change
    ),
    "ours_full": Column(
        "here, full", "This run, in the full catalogue, with the interval of hr_ndcg.", _decimals
    ),
    "ours_full_relative_change": Column(
        "here, full, change", "Change against orig, full catalogue.", _change
    ),
    "claim": Column("claim", "A claim of the papers."),
    "verdict": Column(
        "verdict",
        "holds, does not hold: the interval lies on one side of 0, and p, Holm is small; a precise "
        "nothing does not hold either. Else cannot be told.",
    ),
    "reason": Column("reason", "Why it cannot be told, or does not hold."),
    "measured": Column("measured", "The quantity that decides."),
    "estimate": Column("estimate", "Its value, with the interval in brackets.", _signed),
    "settings": Column(
        "settings",
        "Of the model: tuned on validation with so many trials, as in the papers, defaults, or as "
        "configured.",
    ),
    "other_settings": Column(
        "other settings", "The verdict of the same row with the other settings of the model."
    ),
    "single_seed": Column("single seeds", "Least and greatest estimate of a seed.", _signed),
    "papers_print": Column("papers print", "Quoted, on their data."),
    "trials": Column("trials", "Tried settings, of a way with those of its reference.", _count),
    "pruned": Column("pruned", "Trials that were ended before their last epoch.", _count),
    "seconds": Column("seconds", "Of training, all trials.", "{:.1f}".format),
    "valid_ndcg_10_begin": Column(
        "begin: validation NDCG@10",
        "Of trial 0: the configured settings or, of a way, the best of its reference.",
        _decimals,
    ),
    "valid_ndcg_10_tuned": Column(
        "tuned: validation NDCG@10", "Of the best trial; it decided.", _decimals
    ),
    "found": Column("settings found", "Of the best trial; only what was searched."),
    "at_edge": Column(
        "at the edge", "Settings whose best value is at an end of their range: it should be wider."
    ),
    "skip_rule": Column("skip rule", "What makes a play a skip."),
    "session_gap_minutes": Column("session gap, min", "A longer pause ends a session.", _few),
    "sessions_longer_than_5": Column(
        "sessions > 5 plays", "Sessions of more than five plays.", _count
    ),
    "skip_share": Column("share of skips", "Of all plays.", _share),
    "zero_gaps": Column(
        "plays at one second", "Plays that start at the second of the one before; left out.", _count
    ),
    "check_sessions": Column("notebook: sessions", "What the authors' notebook counts.", _count),
    "check_sessions_longer_than_5": Column(
        "notebook: sessions > 5", "What the authors' notebook counts.", _count
    ),
    "licence": Column("licence", "Of the data."),
    "plays_read": Column("plays read", "Rows of the raw files that are plays.", _count),
    "sessions_formed": Column("sessions formed", "Before any filter.", _count),
    "sessions_eligible": Column(
        "sessions eligible", "That pass every filter; the sample is drawn from them.", _count
    ),
    "plays": Column("plays", "Of the sampled sessions.", _count),
    "tracks": Column("tracks", "Of the sampled sessions: the catalogue.", _count),
    "length_median": Column("median length, plays", "Of the sampled sessions.", _few),
    "length_mean": Column("mean length, plays", "Of the sampled sessions.", _few),
    "train_sessions": Column("train sessions", "Sessions to train on.", _count),
    "test_sessions": Column("test sessions", "Sessions to test on.", _count),
    "unknown_share": Column(
        "unknown labels",
        "Share of the plays of the sampled sessions whose label is unknown: context, never target, "
        "query, positive or negative.",
        _share,
    ),
    "unknown_labels": Column(
        "unknown read as", "kept unknown, or listened, as the papers' authors read them."
    ),
    "repeat_target_share": Column(
        "repeated targets", "Share of test targets that are a track of their context.", _share
    ),
    "test_sessions_with_a_piece_in_train": Column(
        "test sessions with a piece in train",
        "A long session is cut into pieces; of these another one is trained on.",
        _count,
    ),
    "unseen_target_share": Column(
        "unseen targets", "Share of test targets that no train sequence holds.", _share
    ),
}


def describe(name: str) -> Column:
    """The column of a table by its name in the csv; the name of a metric, ``hr_10``, says it all.

    Raises KeyError for a column that nothing explains: a table may do so in its ``EXPLAINS``.
    """
    if name in COLUMNS:
        return COLUMNS[name]
    if re.fullmatch(rf"({'|'.join(METRICS)})_\d+", name):
        return Column(
            _metric(name),
            "Mean over seeds and test sessions, with its interval in brackets; ↑: higher is "
            "better.",
            _decimals,
        )
    raise KeyError(f"report/columns.py does not explain the column {name}")


def meaning(name: str) -> str:
    """What a column of a csv holds, a limit of an interval too; "" for one that no page shows."""
    value, _, end = name.rpartition("_")
    if end in ("low", "high"):
        return f"{'Lower' if end == 'low' else 'Upper'} limit of the interval of {value}."
    try:
        return describe(name).meaning
    except KeyError:
        return ""
