"""The audit of the contrastive term: the term as the papers' text has it, with each switch to what
the released code does alone, and with all of them, against *orig* of the same model and against
the text. What predicts the next track, listened to or not, stands against *blind* too, which does
so without a label, and what has wrong labels against the same with the right ones. A gain that
stays with shuffled labels does not come from skips; one that is there with a linear-GELU head and
not without it repairs the head. config/audit.yaml runs it; docs/released_code.md explains the
switches.
"""

from collections.abc import Iterator

import pyarrow as pa

from skipwise.core.artifacts import read_json
from skipwise.core.paths import VariantKey, variant_key
from skipwise.core.schemas import required
from skipwise.evaluation.comparisons import BLIND, REFERENCE, RankedRuns
from skipwise.report import variants
from skipwise.report.columns import Column
from skipwise.report.write import Given

NEEDS = ("ranks", "split", "run")
SETTINGS = ("simulated", "intervals")
FAMILY = "neural"
GIGABYTES = 4
MINUTES = 60
TARGET = "audit"
TITLE = "What the contrastive term gains as written, and as released"
COLUMNS = variants.comparison_columns(
    required("query", pa.string()), required("switches", pa.string())
)
EXPLAINS = {
    "query": Column("query", "Of the contrastive term: item is c = e, hidden is c = ŷ."),
    "switches": Column("what differs", "Settings that differ from the papers' text."),
}
MEASURES = variants.rank_measures({"hr": (10,), "map": (10,)})
# What the papers' text says.
TEXT = {
    "negatives_from": "own",
    "empty_slots": "masked",
    "no_next_positive": "dropped",
    "heldout_labels": "unused",
    "labels": "right",
    "targets": "listened",
}


def note(given: Given) -> str:
    return variants.note(
        given,
        f"{variants.which_unlearned(given)}Each variant stands against orig, against the text's "
        "term, if it predicts the next track against blind, and if its labels are wrong against "
        "the same with the right ones. ",
    )


def rows(given: Given) -> list[dict]:
    """A row per measure of every variant with the term, and of blind, and of each that it is
    compared with.
    """
    runs = RankedRuns(given["ranks"], unlearned=variants.unlearned(given["run"]))
    found: list[dict] = []
    for keys, reference in _pairs(_settings(given["run"])):
        dataset, split, model = (keys[name] for name in ("dataset", "split", "model"))
        if (dataset, split, model, reference) in runs:
            pair = [runs[dataset, split, model, name] for name in (keys["variant"], reference)]
            made = variants.rows_of_pair(given, keys | {"reference": reference}, MEASURES, *pair)
            # Of a training that learned nothing nothing is told.
            learned = all(ranked.learned for ranked in pair)
            found += made if learned else [row | {"p": None} for row in made]
    return variants.corrected(found)


def switches(settings: dict) -> str:
    """What a variant's settings change of the text, in words of the configuration."""
    return ", ".join(
        f"{name}: {settings[name]}"
        for name, text in TEXT.items()
        if settings.get(name, text) != text
    )


def _settings(paths: list[str]) -> dict[VariantKey, dict]:
    """The settings of blind and of every variant with the term, from its first seed."""
    found: dict[VariantKey, dict] = {}
    for path in paths:
        key, settings = variant_key(path), read_json(path)["settings"]
        if key[3] == BLIND or str(settings.get("way")).startswith("contrastive"):
            found.setdefault(key, settings)
    return found


def _pairs(of_variants: dict[VariantKey, dict]) -> Iterator[tuple[dict, str]]:
    """Keys of each variant with a variant that it is compared with."""
    # By what is switched, and the first variant of what is the same but for that.
    named: dict[tuple, str] = {}
    for key, settings in of_variants.items():
        named.setdefault((*key[:3], settings.get("query"), switches(settings)), key[3])
    for key, settings in of_variants.items():
        dataset, split, model, variant = key
        query, switched = settings.get("query"), switches(settings)
        keys = {
            "dataset": dataset,
            "split": split,
            "model": model,
            "variant": variant,
            "query": query or "none",
            "switches": switched or "the papers' text",
        }
        yield keys | ({} if query else {"switches": f"no term, {switched}"}), REFERENCE
        if not query:
            continue
        if settings.get("targets") == "next":
            yield keys, BLIND
        # The text's term, and the same with the right labels.
        for other in dict.fromkeys(("", switches(settings | {"labels": "right"}))):
            reference = named.get((*key[:3], query, other))
            if reference and reference != variant:
                yield keys, reference
