"""An exact world whose most likely states are never seen: D coins that fall on 1 too often.

Typical sets: Cover and Thomas (2006), Elements of Information Theory, section 3.1. A state's
probability depends on how many ones it has, so all 2^D states are D + 1 kinds. Needs torch only.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


class BiasedBits:
    """D independent bits, each 1 with probability ``rate``; all figures exact, in nats.

    Parameters
    ----------
    dims : int
        D, at least 1.
    rate : float
        In (1/2, 1), so that all ones is the most likely state.

    Raises
    ------
    ValueError
        Values out of range.

    Examples
    --------
    >>> world = BiasedBits(100, 0.8)
    >>> print(f"{world.entropy:.2f} +- {world.spread:.2f}, the mode {world.mode_nats:.2f}")
    50.04 +- 5.55, the mode 22.31
    >>> world.typical_mass(2 * world.spread).item() > 0.95
    True
    """

    def __init__(self, dims: int, rate: float):
        if type(dims) is not int or dims < 1 or not 0.5 < rate < 1:
            raise ValueError(f"dims >= 1 and rate in (.5, 1) needed, got {dims!r} and {rate!r}")
        self.dims, self.rate = dims, rate
        ones = torch.arange(dims + 1, dtype=torch.float64)  # the kinds of states
        choose = [math.lgamma(dims + 1) - math.lgamma(k + 1) - math.lgamma(dims - k + 1)
                  for k in range(dims + 1)]  # fmt: skip
        self.log_states = torch.tensor(choose, dtype=torch.float64)  # log of how many of each kind
        self.nats = -ones * math.log(rate) - (dims - ones) * math.log(1 - rate)  # of one state each
        self.mass = (self.log_states - self.nats).exp()  # (D + 1,), sums to 1

    @property
    def entropy(self) -> float:
        """Mean nats of a state."""
        return (self.mass * self.nats).sum().item()

    @property
    def spread(self) -> float:
        """Standard deviation of the nats of a state."""
        return (self.mass * (self.nats - self.entropy).square()).sum().sqrt().item()

    @property
    def mode_nats(self) -> float:
        """Nats of all ones."""
        return self.nats[-1].item()

    def log_prob(self, x: Tensor) -> Tensor:
        """log p (B,) of bits x (B, D)."""
        if x.ndim != 2 or x.shape[1] != self.dims or bool(((x != 0) & (x != 1)).any()):
            raise ValueError(f"x must be bits (B, {self.dims}), got shape {tuple(x.shape)}")
        return -self.nats[x.long().sum(1)]

    def typical_mass(self, width: float) -> Tensor:
        """Probability of a state whose nats are within ``width`` of the entropy."""
        return self.mass[(self.nats - self.entropy).abs() <= width].sum()

    def likelier_mass(self, nats: float) -> Tensor:
        """Probability of a state with no more than these nats: at least this likely."""
        return self.mass[self.nats <= nats + 1e-9].sum()

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """n states (n, D), int64."""
        return (torch.rand(n, self.dims, generator=generator) < self.rate).long()


def gaussian_shell(dims: int) -> tuple[float, float, float]:
    """Nats of a draw of N(0, I) in D dimensions: mean, standard deviation, and those of the mode.

    D log(2 pi e) / 2, sqrt(D / 2), D log(2 pi) / 2: |x|^2 is a chi-square variable.

    >>> print("%.2f %.2f %.2f" % gaussian_shell(784))
    1112.45 19.80 720.45
    """
    mode = 0.5 * dims * math.log(2 * math.pi)
    return mode + 0.5 * dims, math.sqrt(dims / 2), mode
