"""The track embedding is a slightly better query than the prediction (P1)."""

from collections.abc import Iterator

from skipwise.evaluation.evidence import HIT, Claim, Evidence

PLACE = 4
CLAIM = Claim(
    "c = e beats c = ŷ",
    "The track embedding is a slightly better query than the prediction (P1).",
    "HR@10, c = e − c = ŷ",
)


def rows(evidence: Evidence) -> Iterator[dict]:
    """One row per data set, split and transformer."""
    item, hidden = (evidence.variants_of.get(name) for name in ("S+ c=e", "S+ c=ŷ"))
    for dataset, split in evidence.runs.splits():
        for model in (evidence.models.get(name) for name in ("Uni", "Bi")):
            pair = evidence.paired((dataset, split, model, item), (dataset, split, model, hidden))
            if pair:
                keys = {"dataset": dataset, "split": split, "model": model}
                named = keys | {"variant": f"{item} − {hidden}"}
                yield evidence.difference(CLAIM, named, HIT, *pair)
