"""SASRec is the best model on every data set (P2)."""

from collections.abc import Iterator

import numpy as np

from skipwise.evaluation.evidence import HIT, Claim, Evidence, per_session

PLACE = 5
CLAIM = Claim(
    "SASRec is best",
    "SASRec is the best model on every data set (P2).",
    "HR@10, SASRec − the best of the papers' others",
)


def rows(evidence: Evidence) -> Iterator[dict]:
    """One row per data set and split: SASRec's least advantage over the others, each with skips.

    The least is taken in each resample too.
    """
    ours, negatives = (evidence.variants_of.get(name) for name in ("ours", "NR"))
    wanted = [(model, ours) for model in evidence.neural]
    wanted += [(model, negatives) for model in evidence.factorization]
    for dataset, split in evidence.runs.splits():
        keys = [(dataset, split, *run) for run in wanted if (dataset, split, *run) in evidence.runs]
        sasrec = (dataset, split, evidence.models.get("SASRec"), ours)
        others = [key for key in keys if key != sasrec]
        if sasrec not in keys or not others:
            continue
        hits = {key: per_session(HIT, evidence.runs[key]) for key in keys}
        advantages = [hits[sasrec] - hits[key] for key in others]
        columns = np.stack(advantages, axis=1) / len(hits[sasrec])
        found = evidence.resampling.estimate(columns, lambda sums: sums.min(-1))
        nearest = others[int(columns.sum(0).argmin())]
        model = f"{sasrec[2]} − {nearest[2]}"
        named = {"dataset": dataset, "split": split, "model": model, "variant": ours}
        yield evidence.row(CLAIM, named, found, evidence.runs[sasrec])
