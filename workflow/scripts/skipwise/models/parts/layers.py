"""Layers that draw from a given generator."""

import numpy as np
import torch
from torch import Tensor, nn

from skipwise.core.errors import UserError


class Dropout(nn.Module):
    """Dropout that draws from a given generator, so that a run does not depend on global state.

    A mask element takes 16 random bits, so the rate is exact to 1 / 65,536.  The generator gives
    the seed of each mask; on a CPU numpy then draws, compares and converts the bits several times
    as fast as torch.
    """

    def __init__(self, rate: float, generator: torch.Generator):
        super().__init__()
        self.generator = generator
        self.dropped = round(rate * 2**16)  # of 65,536 values

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.dropped == 0:
            return x
        seed = int(torch.empty((), dtype=torch.int64).random_(generator=self.generator))
        kept = 1 - self.dropped / 2**16
        if x.device.type != "cpu":
            generator = torch.Generator(x.device).manual_seed(seed)
            return x * torch.empty_like(x).bernoulli_(kept, generator=generator).div_(kept)
        words = np.random.SFC64(seed).random_raw(-(-x.numel() // 4))
        mask = (words.view(np.uint16)[: x.numel()] >= np.uint16(self.dropped)).astype(np.float32)
        mask *= np.float32(1 / kept)
        return x * torch.from_numpy(mask).view(x.shape)


def check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    """Raise UserError where a setting is none of its choices."""
    if value not in choices:
        raise UserError(f"the setting {name} is {' or '.join(choices)}, not {value!r}")


def linear(inputs: int, outputs: int, generator: torch.Generator) -> nn.Linear:
    """A linear layer with Xavier-uniform weights and zero bias from the given generator."""
    # Drawn over below, with the global generator left alone.  (torch's own `skip_init` imports
    # sympy, half a second.)
    with torch.random.fork_rng(devices=[]):
        layer = nn.Linear(inputs, outputs)
    nn.init.xavier_uniform_(layer.weight, generator=generator)
    nn.init.zeros_(layer.bias)
    return layer
