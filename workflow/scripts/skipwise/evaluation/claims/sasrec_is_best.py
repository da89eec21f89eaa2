"""SASRec is the best model on every data set (P2)."""

from collections.abc import Iterator

from skipwise.evaluation.evidence import HIT, Claim, Evidence

PLACE = 5
CLAIM = Claim(
    "SASRec is best",
    "SASRec is the best model on every data set (P2).",
    "HR@10, SASRec − another model, each with its best variant on validation",
    in_hr=True,
    refuted_by_one=True,
)
WORLDS = {
    "true": {("SASRec", "*"): {"better": 0.5}},
    "false": {("SASRec", "*"): {"better": -0.5}},
    "absent": {},
}


def rows(evidence: Evidence) -> Iterator[dict]:
    """One row per data set, split and other model."""
    sasrec = evidence.models.get("SASRec")
    rivals = [model for model in evidence.neural + evidence.factorization if model != sasrec]
    for dataset, split in evidence.runs.splits():
        ours = evidence.best_variant(dataset, split, sasrec)
        for model in rivals:
            theirs = evidence.best_variant(dataset, split, model)
            if ours and theirs:
                keys = {
                    "dataset": dataset,
                    "split": split,
                    "model": f"{sasrec} − {model}",
                    "variant": f"{ours[3]} − {theirs[3]}",
                }
                pair = evidence.runs[ours], evidence.runs[theirs]
                yield evidence.difference(CLAIM, keys, HIT, *pair)
