"""What the rank of a session's target is worth (docs/protocol.md, metrics).

A rank counts from 1; NaN stands for a rank past the cut-off, which is worse than any ``k``.  These
three are in a file of their own because training validates with them: a metric that is added to
metrics.py must not train a model again.
"""

import numpy as np


def hit_rate(rank: np.ndarray, k: int) -> np.ndarray:
    """HR@k of each session: 1 if the target is among the first k."""
    return (rank <= k).astype(np.float64)


def ndcg(rank: np.ndarray, k: int) -> np.ndarray:
    """NDCG@k of each session: 1 / log2(rank + 1), as one track is relevant and the ideal is 1."""
    return np.where(rank <= k, 1 / np.log2(np.where(rank <= k, rank, 1) + 1), 0.0)


def average_precision(rank: np.ndarray, k: int) -> np.ndarray:
    """AP@k of each session: 1 / rank, because one track is relevant, so MAP@k = MRR@k."""
    return np.where(rank <= k, 1 / np.where(rank <= k, rank, 1), 0.0)


def validation_metrics(ranks: np.ndarray) -> dict[str, float]:
    """Means over validation sessions, as a history has them; NaN if there is none."""
    return {
        "valid_ndcg_10": float(ndcg(ranks, 10).mean()),
        "valid_hr_10": float(hit_rate(ranks, 10).mean()),
    }
