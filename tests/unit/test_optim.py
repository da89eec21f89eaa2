"""RowAdam against dense Adam, whose gradient is zero for the rows that a step does not touch."""

import numpy as np
import pytest
import torch
from skipwise.optim import RowAdam

STEPS, ROWS, WIDTH, RATE = 300, 60, 4, 0.005
UNTOUCHED = slice(0, 3)
# So small an ε adds nothing to any √v: what then differs is the closed form and rounding.
NO_EPSILON = 1e-30


class Race:
    """Both optimisers on the same table and gradients; rows come up every 1 to 250 steps, the first three never."""

    def __init__(self, seed: int, *, kind=torch.float32, scale=1.0, eps=1e-8, betas=(0.9, 0.999)):
        self.random = np.random.default_rng(seed)
        self.start = 0.1 * torch.randn(ROWS, WIDTH, generator=torch.Generator().manual_seed(seed)).to(kind)
        self.lazy, self.dense = self.start.clone(), self.start.clone().requires_grad_()
        self.rows = RowAdam(self.lazy, lr=RATE, steps=STEPS, eps=eps, betas=betas)
        self.adam = torch.optim.Adam([self.dense], lr=RATE, eps=eps, betas=betas)
        self.often = np.concatenate([[0.0] * 3, 1 / np.geomspace(1, 250, ROWS - 3)])
        self.scale = scale
        self.idle: list[int] = []

    def step(self) -> float:
        """One step; the largest deviation of the rows that the step reads, before it changes them."""
        rows = torch.from_numpy(np.flatnonzero(self.random.random(ROWS) < self.often))
        self.idle += (self.rows.step - self.rows.last[rows]).tolist()
        self.rows.catch_up(rows)
        read = (self.lazy[rows] - self.dense.detach()[rows]).abs().max().item()
        # Gradients of either sign with a size between 0.5 and 1.5 of the scale.
        sizes = self.random.uniform(0.5, 1.5, (len(rows), WIDTH)) * self.random.choice([-1, 1], (len(rows), WIDTH))
        gradient = torch.from_numpy(self.scale * sizes).to(self.start.dtype)
        self.rows.update(rows, gradient)
        self.dense.grad = torch.zeros_like(self.dense).index_copy_(0, rows, gradient)
        self.adam.step()
        return read

    def run(self, moments) -> dict[str, float]:
        """Largest deviations: of table and state at ``moments`` after catch_up_all, of the rows read at every step."""
        found = dict.fromkeys(("table", "mean", "square", "read"), 0.0)
        for step in range(1, STEPS + 1):
            found["read"] = max(found["read"], self.step())
            if step in moments:
                self.rows.catch_up_all()
                state = self.adam.state[self.dense]
                pairs = {"table": (self.lazy, self.dense.detach())}
                pairs |= {"mean": (self.rows.mean, state["exp_avg"]), "square": (self.rows.square, state["exp_avg_sq"])}
                for name, (ours, theirs) in pairs.items():
                    found[name] = max(found[name], (ours - theirs).abs().max().item())
        return found

    def moved(self) -> float:
        """The largest distance of an element from where it started."""
        return (self.dense.detach() - self.start).abs().max().item()


MOMENTS = {"never before the end": {STEPS}, "now and then": {1, 40, 41, 170, 299, STEPS}, "always": set(range(1, STEPS + 1))}


@pytest.mark.parametrize("moments", MOMENTS.values(), ids=MOMENTS.keys())
@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.8, 0.99)])
@pytest.mark.parametrize("seed", range(3))
def test_the_closed_form_is_that_of_dense_adam(seed, betas, moments):
    race = Race(seed, kind=torch.float64, eps=NO_EPSILON, betas=betas)
    found = race.run(moments)
    assert race.moved() > 20 * RATE
    assert max(found.values()) < TIGHT


@pytest.mark.parametrize("moments", MOMENTS.values(), ids=MOMENTS.keys())
@pytest.mark.parametrize("seed", range(3))
def test_rows_are_where_dense_adam_has_them_in_single_precision(seed, moments):
    race = Race(seed)
    found = race.run(moments)
    assert max(found["table"], found["read"]) < SINGLE * race.moved()
    print("RATIO", max(found["table"], found["read"]) / race.moved(), found)
