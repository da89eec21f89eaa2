"""Comparing low-precision scores with thresholds, and how far such scores can be off."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

# Scores of a row whose comparisons are counted together, eight at a time and a byte each: at most 8
# · 255.
GROUP = 8 * 128


class Lengths(NamedTuple):
    """Of vectors that were rounded to a lower precision: their lengths and how much each lost, (R,)
    float64.
    """

    length: Tensor
    lost: Tensor

    def error(self, others: "Lengths", dimension: int) -> Tensor:
        """(R,) how far a product with one of ``others``, added up in float32 in any order, can be
        from the exact one.
        """
        longest, most = others.length.max(), others.lost.max()
        return (
            added_up(self.length * longest, dimension)
            + self.lost * longest
            + (self.length + self.lost) * most
        )


def added_up(size: Tensor, dimension: int) -> Tensor:
    """How far products of float32 vectors are from the exact ones if added up in float32; ``size``
    is of lengths' products.
    """
    # The last term is for products that are too small for float32.
    return 1.01 * dimension * (2.0**-24 * size + 2.0**-125)


def round_to(vectors: Tensor, precision: torch.dtype) -> tuple[Tensor, Lengths]:
    """Vectors (R, D) float32 in another precision."""
    rounded = vectors.to(precision)
    if precision == vectors.dtype:
        length = lengths_of(vectors)
        return rounded, Lengths(length, torch.zeros_like(length))
    exact = rounded.to(vectors.dtype)
    return rounded, Lengths(lengths_of(exact), lengths_of(vectors - exact))


def lengths_of(vectors: Tensor) -> Tensor:
    """(R,) float64, at least the lengths of float32 vectors (R, D), and hardly more."""
    length = vectors.norm(dim=1)
    # Squares of numbers that are too small for float32 vanish.
    if not (length > 2.0**-50).all():
        length = vectors.double().norm(dim=1)
    return 1.001 * length.double()


def sum_of_rows(values: Tensor) -> Tensor:
    """(R,) sums of the rows of ``values`` (R, D), which are used up, the same bits on every device.

    One half is added to the other again and again; the order in which `Tensor.sum` adds depends on
    shape and device.
    """
    width = values.shape[1]
    while width > 1:
        half = width // 2
        values[:, :half] += values[:, width - half : width]
        width -= half
    return values[:, 0].clone()  # not a view, which would keep all of them


def screened(
    scores: Tensor, row: Tensor, threshold: Tensor, error: Tensor
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Compare rows of ``scores`` (R, T) with thresholds: pair p is of row ``row[p]``.  Rows ascend,
    each has a pair.

    Before they were rounded to their precision, the scores were off by at most ``error`` (P,).
    Rounding keeps order: what is above the rounded ``threshold + error`` is above the threshold,
    and what is not is below the rounded ``threshold − error``. Returns (P,) the number of scores
    that are surely above ``threshold`` (P,), and pairs and columns of the doubtful ones.
    """
    high, low = ((threshold + sign * error).float().to(scores.dtype) for sign in (1, -1))
    low = low.clamp(min=torch.finfo(low.dtype).min)  # above what stands for no score
    if scores.is_cuda:
        return _compare(scores, row, high, low)
    if padding := -scores.shape[1] % GROUP:
        scores = functional.pad(scores, (0, padding), value=-torch.inf)
    # numpy compares several times as fast as torch.
    values, above, below = _comparable(scores, high, low)
    leads = torch.ones(len(row), dtype=torch.bool)
    torch.ne(row[1:], row[:-1], out=leads[1:])
    sure = np.empty(len(row), np.int64)
    pairs, columns = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    in_row = scores.shape[1] // GROUP
    # The first pair of every row is compared in place, the others with a copy of their rows.
    others = (~leads).nonzero()[:, 0].numpy()
    for at, of_pair in (
        (leads.nonzero()[:, 0].numpy(), values),
        (others, values[row[others].numpy()]),
    ):
        if not len(at):
            continue
        groups = of_pair.reshape(-1, GROUP)
        of = np.repeat(at, in_row)
        maybe = (of_pair >= below[at]).reshape(-1, GROUP)
        n_maybe = _true(maybe)
        # Past the first blocks few groups have a score near the threshold, and those without are
        # not looked at again.
        some = np.flatnonzero(n_maybe)
        n_above = np.zeros_like(n_maybe)
        if 2 * len(some) < len(groups):
            n_above[some] = _true(groups[some] > above[of[some]])
        else:
            n_above = _true((of_pair > above[at]).reshape(-1, GROUP))
        sure[at] = n_above.reshape(len(at), in_row).sum(1)
        unclear = np.flatnonzero(n_maybe > n_above)
        group, place = divmod(
            np.flatnonzero(maybe[unclear] & (groups[unclear] <= above[of[unclear]])), GROUP
        )
        pairs.append(of[unclear[group]])
        columns.append(unclear[group] % in_row * GROUP + place)
    pair, column = (torch.from_numpy(np.concatenate(each)) for each in (pairs, columns))
    return torch.from_numpy(sure), (pair, column)


def _compare(
    scores: Tensor, row: Tensor, high: Tensor, low: Tensor
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """What :func:`screened` returns, of the rounded thresholds (P,): plain and, on a GPU, fast."""
    of_pair = scores if len(row) == len(scores) else scores.index_select(0, row)
    above = of_pair > high[:, None]
    unclear = (of_pair >= low[:, None]) ^ above
    pair, column = unclear.nonzero(as_tuple=True)
    return above.sum(1), (pair, column)


def _comparable(
    scores: Tensor, high: Tensor, low: Tensor
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores (R, T), and thresholds as (P, 1), in a type of numpy such that ``> high`` and ``>=
    low`` say the same.

    numpy has no bfloat16.  The bits of its positive numbers are integers in the same order, those
    of its negative ones are negative integers in reverse order.
    """
    high, low = high[:, None], low[:, None]
    if scores.dtype == torch.float32:
        return scores.numpy(), high.numpy(), low.numpy()
    # As integers 0 is above −0: with these signs neither zero is above ``high``, and both are at
    # least ``low``.
    high, low = high + 0.0, -(0.0 - low)
    values, above, below = (tensor.view(torch.int16).numpy() for tensor in (scores, high, low))
    if not (low > 0).all():
        values, above, below = (each ^ ((each >> 15) & 0x7FFF) for each in (values, above, below))
    return values, above, below


def _true(mask: np.ndarray) -> np.ndarray:
    """(G,) number of true values in each row of a mask (G, GROUP), many times faster than
    ``mask.sum(1)``.
    """
    # A word holds eight values, a byte each.  The bytes of the words add up without a carry into
    # the next byte.
    words = np.ascontiguousarray(mask).view(np.uint64).sum(1)
    return words.view(np.uint8).reshape(-1, 8).sum(1, dtype=np.int64)
