"""RowAdam against dense Adam, whose gradient is zero for the rows that a step does not touch;
DenseAdam against torch's.
"""

import numpy as np
import pytest
import torch
from skipwise.training.optim import DenseAdam, RowAdam

pytestmark = pytest.mark.long

STEPS, ROWS, WIDTH, RATE = 300, 60, 4, 0.005
UNTOUCHED = slice(0, 3)
# So small an ε adds nothing to any √v: what then differs is the closed form and rounding.
NO_EPSILON = 1e-30


class Race:
    """Both optimisers on the same table and gradients; rows come up every 1 to 250 steps, the first
    three never.
    """

    def __init__(self, seed: int, *, kind=torch.float32, scale=1.0, eps=1e-8, betas=(0.9, 0.999)):
        self.random = np.random.default_rng(seed)
        self.start = 0.1 * torch.randn(
            ROWS, WIDTH, generator=torch.Generator().manual_seed(seed)
        ).to(kind)
        self.lazy, self.dense = self.start.clone(), self.start.clone().requires_grad_()
        self.rows = RowAdam(self.lazy, lr=RATE, steps=STEPS, eps=eps, betas=betas)
        self.adam = torch.optim.Adam([self.dense], lr=RATE, eps=eps, betas=betas)
        self.often = np.concatenate([[0.0] * 3, 1 / np.geomspace(1, 250, ROWS - 3)])
        self.scale = scale
        self.idle: list[int] = []

    def step(self) -> float:
        """One step; the largest deviation of the rows that the step reads, before it changes
        them.
        """
        rows = torch.from_numpy(np.flatnonzero(self.random.random(ROWS) < self.often))
        self.idle += (self.rows.step - self.rows.last[rows]).tolist()
        read = (self.rows.read(rows) - self.dense.detach()[rows]).abs().max().item()
        # Gradients of either sign with a size between 0.5 and 1.5 of the scale.
        sizes = self.random.uniform(0.5, 1.5, (len(rows), WIDTH)) * self.random.choice(
            [-1, 1], (len(rows), WIDTH)
        )
        gradient = torch.from_numpy(self.scale * sizes).to(self.start.dtype)
        self.rows.update(gradient)
        self.dense.grad = torch.zeros_like(self.dense).index_copy_(0, rows, gradient)
        self.adam.step()
        return read

    def run(self, moments) -> dict[str, float]:
        """Largest deviations: of table and state at ``moments`` after catch_up_all, of the rows
        read at every step.
        """
        found = dict.fromkeys(("table", "mean", "square", "read"), 0.0)
        for step in range(1, STEPS + 1):
            found["read"] = max(found["read"], self.step())
            if step in moments:
                self.rows.catch_up_all()
                state = self.adam.state[self.dense]
                pairs = {"table": (self.lazy, self.dense.detach())}
                pairs |= {
                    "mean": (self.rows.mean, state["exp_avg"]),
                    "square": (self.rows.square, state["exp_avg_sq"]),
                }
                for name, (ours, theirs) in pairs.items():
                    found[name] = max(found[name], (ours - theirs).abs().max().item())
        return found

    def moved(self) -> float:
        """The largest distance of an element from where it started."""
        return (self.dense.detach() - self.start).abs().max().item()


MOMENTS = {
    "never before the end": {STEPS},
    "now and then": {1, 40, 41, 170, 299, STEPS},
    "always": set(range(1, STEPS + 1)),
}


@pytest.mark.parametrize("moments", MOMENTS.values(), ids=MOMENTS.keys())
@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.8, 0.99)])
@pytest.mark.parametrize("seed", range(3))
def test_the_closed_form_is_that_of_dense_adam(seed, betas, moments):
    """In double precision with next to no ε: nothing but rounding is left, at most 8e-16 over
    twelve seeds.
    """
    race = Race(seed, kind=torch.float64, eps=NO_EPSILON, betas=betas)
    found = race.run(moments)
    assert race.moved() > 20 * RATE
    assert max(race.idle) > 100 or len(moments) > 1  # otherwise nothing was caught up
    assert max(found.values()) < 3e-15


@pytest.mark.parametrize("moments", MOMENTS.values(), ids=MOMENTS.keys())
@pytest.mark.parametrize("seed", range(3))
def test_rows_are_where_dense_adam_has_them_in_single_precision(seed, moments):
    """As in training.  Over twelve seeds the largest deviation was 1.5e-6 of the largest
    movement.
    """
    race = Race(seed)
    found = race.run(moments)
    assert race.moved() > 20 * RATE
    assert max(found["table"], found["read"]) < 3e-6 * race.moved()
    assert found["mean"] < 3e-7  # of values about 1
    assert found["square"] < 6e-7


@pytest.mark.parametrize("gap", [1, 2, 17, 250])
@pytest.mark.parametrize("at", [1, 2, 50])
def test_one_row_after_a_gap(at, gap):
    """One gradient at step ``at``, then ``gap`` steps without, in plain Python from the definition
    of Adam.
    """
    first, second, eps, gradient = 0.9, 0.999, 1e-30, -0.3
    expected, mean, square = 1.0, 0.0, 0.0
    for step in range(1, at + gap + 1):
        now = gradient if step == at else 0.0
        mean, square = first * mean + (1 - first) * now, second * square + (1 - second) * now**2
        expected -= RATE * mean / (1 - first**step) / ((square / (1 - second**step)) ** 0.5 + eps)
    table = torch.ones(2, 1, dtype=torch.float64)
    optimiser = RowAdam(table, lr=RATE, steps=at + gap, eps=eps)
    none, row = torch.empty(0, dtype=torch.int64), torch.tensor([0])
    for step in range(1, at + gap + 1):
        rows = row if step == at else none
        optimiser.read(rows)
        optimiser.update(torch.full((len(rows), 1), gradient, dtype=torch.float64))
    optimiser.catch_up_all()
    assert table[0].item() == pytest.approx(expected, abs=1e-14)
    assert optimiser.mean[0].item() == pytest.approx(mean, rel=1e-12)
    assert optimiser.square[0].item() == pytest.approx(square, rel=1e-12)
    assert table[1].item() == 1.0


def test_rows_that_are_never_touched_stay_as_they_are():
    race = Race(5)
    race.run({100, STEPS})
    assert torch.equal(race.lazy[UNTOUCHED], race.start[UNTOUCHED])
    assert not race.rows.mean[UNTOUCHED].any()
    assert not race.rows.square[UNTOUCHED].any()
    assert not torch.equal(race.lazy[3:], race.start[3:])


def test_the_table_is_updated_in_place():
    table = torch.ones(3, 2)
    optimiser = RowAdam(table, lr=0.1, steps=1)
    optimiser.read(torch.tensor([2]))
    optimiser.update(torch.tensor([[1.0, -1.0]]))
    # The first step of Adam has the length of the learning rate, whatever the gradient.
    torch.testing.assert_close(table, torch.tensor([[1.0, 1.0], [1.0, 1.0], [0.9, 1.1]]))


def test_catching_up_twice_is_catching_up_once():
    race = Race(6)
    for _ in range(50):
        race.step()
    race.rows.catch_up_all()
    once = race.lazy.clone()
    race.rows.catch_up_all()
    assert torch.equal(race.rows.read(torch.arange(ROWS)), once)
    assert torch.equal(race.lazy, once)


@pytest.mark.parametrize("block", [1, 7, ROWS, 1000])
def test_blocks_cover_the_table(block):
    races = [Race(7), Race(7)]
    for race in races:
        for _ in range(60):
            race.step()
    races[0].rows.catch_up_all()
    races[1].rows.catch_up_all(block=block)
    assert torch.equal(races[0].lazy, races[1].lazy)
    assert (races[1].rows.last == 60).all()


# --- gradients so small that ε is not small beside √v


@pytest.mark.parametrize("scale", [1e-6, 1e-7, 1e-8, 1e-9, 1e-10])
def test_tiny_gradients_differ_within_a_bound(scale):
    """Over eight seeds the largest deviation was 8 % of the largest movement (at 1e-10), and 0.8
    learning rates (at 1e-8).
    """
    race = Race(1, scale=scale)
    found = race.run({STEPS})
    deviation = max(found["table"], found["read"])
    assert deviation < 0.1 * race.moved()
    assert deviation < RATE
    # The state knows no ε.
    assert found["mean"] < 3e-7 * scale
    assert found["square"] < 1e-6 * scale**2
    assert torch.equal(race.lazy[UNTOUCHED], race.start[UNTOUCHED])


# By how much the drift after a single gradient at step s may be too large: the limit for √v far
# below ε, which is Σ_j c_j √(1−β2^{s+j}) β2^{−j/2} / √(1−β2^{s+1}) / Σ_j c_j with c_j = β1^j /
# (1−β1^{s+j}).
TOO_FAR = {1: 1.7617, 10: 1.2926, 100: 1.0458, 1000: 1.0077}


@pytest.mark.parametrize(("at", "limit"), TOO_FAR.items())
@pytest.mark.parametrize("gradient", [1e-5, 1e-7, 1e-9, 1e-12])
def test_a_waiting_row_drifts_too_far_by_a_bounded_factor(at, limit, gradient):
    """ε′ keeps its size while √v shrinks, so a row drifts the right way and a bit too far: most in
    the first steps.
    """
    first, second, eps = 0.9, 0.999, 1e-8
    mean, square = (1 - first) * gradient, (1 - second) * gradient**2
    dense = 0.0
    for j in range(1, 251):
        step = at + j
        root = (square * second**j / (1 - second**step)) ** 0.5
        dense -= RATE * mean * first**j / (1 - first**step) / (root + eps)
    table = torch.zeros(1, 1, dtype=torch.float64)
    optimiser = RowAdam(table, lr=RATE, steps=at + 250)
    optimiser.step = at - 1
    optimiser.read(torch.tensor([0]))
    optimiser.update(torch.full((1, 1), gradient, dtype=torch.float64))
    before = table.item()
    optimiser.step = at + 250
    optimiser.catch_up_all()
    factor = (table.item() - before) / dense
    assert 1 < factor < limit
    if gradient == 1e-12:
        assert factor > 1 + 0.99 * (limit - 1)  # the limit is reached, so it is the right one


def test_dense_adam_is_that_of_torch_to_the_bit():
    random = torch.Generator().manual_seed(1)
    start = [torch.randn(shape, generator=random) for shape in ((40, 4), (4,), ())]
    ours, theirs = ([torch.nn.Parameter(tensor.clone()) for tensor in start] for _ in range(2))
    one, other = DenseAdam(ours, lr=RATE), torch.optim.Adam(theirs, lr=RATE, fused=True)
    for step in range(50):
        for mine, torchs in zip(ours, theirs, strict=True):
            # One has no gradient now and then.
            mine.grad = torch.randn(mine.shape, generator=random) if mine.ndim or step % 3 else None
            torchs.grad = None if mine.grad is None else mine.grad.clone()
        one.step()
        other.step()
        assert all(weight.grad is None for weight in ours)
    assert all(map(torch.equal, ours, theirs))
    assert all(
        torch.equal(other.state[weight]["exp_avg_sq"], square)
        for weight, square in zip(theirs, one.square, strict=True)
    )
