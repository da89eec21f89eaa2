"""Bootstrap intervals over sessions."""

import numpy as np


def mean_interval(
    values: np.ndarray, rng: np.random.Generator, *, resamples: int = 10_000, level: float = 0.95
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean of ``values`` (S,), one value a session.

    A resample of S sessions is a multinomial draw of how often each *distinct* value comes up, and a rank metric takes few
    distinct values.  So this is the ordinary bootstrap, at a cost that hardly grows with the number of sessions.
    Differences of two models go in as the difference in each session, which makes the bootstrap a paired one.
    """
    # Sums of the same terms in another order are one value; blocks bound the memory where values are many after all.
    distinct, counts = np.unique(np.round(values, 12), return_counts=True)
    n = len(values)
    block = max(1, 2**22 // len(distinct))
    sizes = [min(block, resamples - start) for start in range(0, resamples, block)]
    means = np.concatenate([rng.multinomial(n, counts / n, size=size) @ distinct / n for size in sizes])
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
