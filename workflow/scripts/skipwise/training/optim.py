"""Adam for the weights of a network, and for a table of which a step touches few rows."""

from collections.abc import Iterable
from itertools import accumulate

import numpy as np
import torch
from torch import Tensor
from torch.optim.adam import adam


class DenseAdam:
    """Adam of whole tensors: torch's fused kernel, bit by bit what ``torch.optim.Adam(weights,
    lr=lr, fused=True)`` does.

    That class imports torch's compiler when it is made, which takes a second of every training.
    """

    def __init__(self, weights: Iterable[Tensor], *, lr: float):
        self.weights, self.lr = list(weights), lr
        self.mean = [torch.zeros_like(weight) for weight in self.weights]
        self.square = [torch.zeros_like(weight) for weight in self.weights]
        self.steps = [torch.zeros((), device=weight.device) for weight in self.weights]

    @torch.no_grad()
    def step(self) -> None:
        """One step of each weight that has a gradient, which is gone after it."""
        state = zip(self.weights, self.mean, self.square, self.steps, strict=True)
        moved = [(weight, weight.grad, *rest) for weight, *rest in state if weight.grad is not None]
        if moved:
            columns = (list(column) for column in zip(*moved, strict=True))
            _fused_step(*columns, lr=self.lr, betas=(0.9, 0.999), eps=1e-8)
        for weight in self.weights:
            weight.grad = None


def _fused_step(
    weights: list[Tensor],
    gradients: list[Tensor],
    mean: list[Tensor],
    square: list[Tensor],
    steps: list[Tensor],
    *,
    lr: float,
    betas: tuple[float, float],
    eps: float,
) -> None:
    """One step of Adam, in place, on tensors with their moments and numbers of steps."""
    adam(
        weights,
        gradients,
        mean,
        square,
        [],
        steps,
        lr=lr,
        beta1=betas[0],
        beta2=betas[1],
        eps=eps,
        weight_decay=0.0,
        amsgrad=False,
        maximize=False,
        foreach=False,
        fused=True,
    )


class RowAdam:
    """Adam over the rows of a table, at a cost per step that depends on the touched rows only.

    Dense Adam moves every row at every step: a row without a gradient still drifts on its decaying
    momentum.  Here a row's drift is applied when it is next touched, in closed form.  After the
    update of step s, g steps without a gradient move it by

        −lr · m / (√v + ε') · Σ_{j=1..g} (β1/√β2)^j · √(1−β2^{s+j}) / (1−β1^{s+j})

    and the sum is F(s) − (β1/√β2)^g · F(s+g) with F(s) the same sum to infinity, tabulated once for
    all steps.  m and v decay by β1^g and β2^g.  So :meth:`read` gives a row where dense Adam has
    it, but for float error and for one thing: dense Adam adds ε to a √v that shrinks while the row
    waits, here ε' keeps its size relative to √v.  With ε = 1e-8 the drift after one gradient of
    size 1e-6 is at most 1.5 % too large in the first steps, 0.2 % after a thousand; for larger
    gradients less.

    ``table`` (N, D) is updated in place and must not require a gradient.  A step reads its rows,
    computes their gradient and updates them; what :meth:`read` caught up is written back with the
    update, so each row is fetched once and stored once.
    """

    def __init__(
        self,
        table: Tensor,
        *,
        lr: float,
        steps: int,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ):
        self.table, self.lr, self.betas, self.eps = table, lr, betas, eps
        self.step = 0
        self.mean = torch.zeros_like(table)
        self.square = torch.zeros_like(table)
        self.last = torch.zeros(len(table), dtype=torch.int64, device=table.device)
        self._decay = betas[0] / np.sqrt(betas[1])
        self._drift = torch.from_numpy(_drift_to_infinity(steps + 1, betas)).to(table.device)

    def read(self, rows: Tensor) -> Tensor:
        """Rows (R,), distinct, where dense Adam would have them after the last step: a copy (R, D)
        for :meth:`update`.
        """
        block, mean, square = (
            whole.index_select(0, rows) for whole in (self.table, self.mean, self.square)
        )
        last = self.last.index_select(0, rows)
        gap = (self.step - last).double()
        first, second = self.betas
        drift = self._drift[last] - self._decay**gap * self._drift[self.step]
        bias = (1 - second ** (last + 1).double()).sqrt()
        # One tensor for each factor of a row, (R, 1), in the precision of the table.
        move, eps, of_mean, of_square = (
            factor.to(block.dtype).unsqueeze(1)
            for factor in (-self.lr * drift, self.eps * bias, first**gap, second**gap)
        )
        # The root of 0, of a row never touched, takes torch 17 times as long as another; what is
        # added is far below ε².
        block.addcmul_(move, mean / square.add(1e-36).sqrt_().add_(eps))
        self._held = rows, block, mean.mul_(of_mean), square.mul_(of_square)
        return block

    def update(self, gradient: Tensor) -> None:
        """One Adam step of the rows that :meth:`read` gave last, with their gradient (R, D)."""
        _, block, mean, square = self._held
        taken = torch.full((), self.step, dtype=torch.float32, device=block.device)
        _fused_step(
            [block],
            [gradient],
            [mean],
            [square],
            [taken],
            lr=self.lr,
            betas=self.betas,
            eps=self.eps,
        )
        self.step += 1
        self._write()

    def catch_up_all(self, block: int = 65_536) -> None:
        """Bring the whole table up to date, before it is evaluated or saved."""
        for rows in torch.arange(len(self.table), device=self.table.device).split(block):
            self.read(rows)
            self._write()

    def _write(self) -> None:
        rows, *held = self._held
        for whole, part in zip((self.table, self.mean, self.square), held, strict=True):
            if whole.device.type == "cpu":
                # numpy's assignment takes two thirds of the time of `index_copy_`.
                whole.numpy()[rows.numpy()] = part.numpy()
            else:
                whole.index_copy_(0, rows, part)
        self.last.index_fill_(0, rows, self.step)


def _drift_to_infinity(steps: int, betas: tuple[float, float]) -> np.ndarray:
    """F(s) for s = 0..steps: Σ_{j≥1} r^j a(s+j) with r = β1/√β2 and a(t) = √(1−β2^t)/(1−β1^t).

    Computed backwards: F(s) = r (a(s+1) + F(s+1)).
    """
    first, second = betas
    ratio = first / np.sqrt(second)
    # Past the last step the sum is started with a = 1, so far out that what is wrong with it has
    # decayed below 1e-16.
    beyond = int(np.ceil(np.log(1e-18) / np.log(ratio)))
    t = np.arange(1.0, steps + beyond + 1)
    bias = np.sqrt(1 - second**t) / (1 - first**t)
    backwards = accumulate(
        bias[::-1].tolist(), lambda after, a: ratio * (a + after), initial=ratio / (1 - ratio)
    )
    return np.array(list(backwards))[::-1][: steps + 1].copy()
