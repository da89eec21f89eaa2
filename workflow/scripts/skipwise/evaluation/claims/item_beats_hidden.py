"""Which query of the contrastive term is better, as P1's table prints it."""

from collections.abc import Iterator
from dataclasses import replace

from skipwise.evaluation.evidence import HIT, Claim, Evidence

PLACE = 4
CLAIM = Claim(
    "c = e beats c = ŷ",
    "Looking back only, the track embedding is a slightly better query than the prediction (P1).",
    "HR@10, c = e − c = ŷ",
    in_hr=True,
)
# P1 prints HR@10 .5165 with c = e and .5270 with c = ŷ; only at HR@1 is c = e the better one.
BIDIRECTIONAL = replace(
    CLAIM,
    papers_say="Looking both ways, the prediction is the better query from k = 5 on (P1).",
    sign=-1,
)
WORLDS = {
    "true": {("Uni", "S+ c=e"): {"better": 0.5}, ("Bi", "S+ c=ŷ"): {"better": 0.5}},
    "false": {("Uni", "S+ c=ŷ"): {"better": 0.5}, ("Bi", "S+ c=e"): {"better": 0.5}},
    "absent": {},
}


def rows(evidence: Evidence) -> Iterator[dict]:
    """One row per data set, split and transformer."""
    item, hidden = (evidence.variants_of.get(name) for name in ("S+ c=e", "S+ c=ŷ"))
    for dataset, split in evidence.runs.splits():
        for role, claim in (("Uni", CLAIM), ("Bi", BIDIRECTIONAL)):
            model = evidence.models.get(role)
            pair = evidence.paired((dataset, split, model, item), (dataset, split, model, hidden))
            if pair:
                keys = {"dataset": dataset, "split": split, "model": model}
                named = keys | {"variant": f"{item} − {hidden}"}
                yield evidence.difference(claim, named, HIT, *pair)
