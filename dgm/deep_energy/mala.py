"""MALA: Langevin's step as a proposal, accepted or refused so that the law is exact at any step.

Metropolis et al. (1953), doi:10.1063/1.1699114; Roberts and Tweedie (1996), doi:10.2307/3318418;
the share to accept: Roberts and Rosenthal (1998), doi:10.1111/1467-9868.00123. Needs torch only.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn


def _slope(energy: Callable[[Tensor], Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
    """Energies (B,) of x (B, ...) and their gradients, like x, without graph."""
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        e = energy(x)
        return e.detach(), torch.autograd.grad(e.sum(), x)[0]


class MALA(nn.Module):
    """Propose y = x - a dE(x) + sqrt(2 a) noise, take it with probability min(1, r), where

    log r = E(x) - E(y) + log q(x | y) - log q(y | x), q the law of the proposal. Chains that follow
    exp(-E) / Z keep following it, whatever the step.

    Own methods: ``move``, ``settle``.

    Parameters
    ----------
    step : float
        a at first.
    share : float
        What `settle` aims at: the share of proposals to be taken, .57 where dimensions are many.

    Raises
    ------
    ValueError
        step is not positive, or share not between 0 and 1.

    Examples
    --------
    >>> walk = MALA(step=0.5)
    >>> x, taken = walk(lambda x: 0.5 * x.square().sum(1), torch.zeros(5000, 1), steps=50)
    >>> abs(x.var().item() - 1) < 0.1
    True
    """

    def __init__(self, step: float, share: float = 0.57):
        super().__init__()
        if not 0 < step < math.inf:
            raise ValueError(f"step must be positive and finite, got {step!r}")
        if not 0 < share < 1:
            raise ValueError(f"share must lie between 0 and 1, got {share!r}")
        self.share = share
        self.register_buffer("step", torch.tensor(float(step)))

    def move(
        self,
        energy: Callable[[Tensor], Tensor],
        state: tuple[Tensor, Tensor, Tensor],
        generator: torch.Generator | None = None,
    ) -> tuple[tuple[Tensor, Tensor, Tensor], Tensor]:
        """One step of states (x, E(x), dE(x)); the states after it, and which were taken (B,)."""
        # propose
        x, e, slope = state
        a = self.step.to(x.dtype)
        like = dict(generator=generator, device=x.device, dtype=x.dtype)
        there = (2 * a).sqrt() * torch.randn(x.shape, **like)
        y = x - a * slope + there
        # weigh: the way back needs this noise from y
        f, slope_there = _slope(energy, y)
        back = x - y + a * slope_there
        log_r = e - f + (there.square() - back.square()).flatten(1).sum(1) / (4 * a)
        # take
        taken = torch.rand(len(x), **like).log() < log_r  # a NaN is refused
        wide = taken.view(-1, *[1] * (x.ndim - 1))
        after = torch.where(wide, y, x), torch.where(taken, f, e)
        return (*after, torch.where(wide, slope_there, slope)), taken

    def settle(self, accepted: float) -> None:
        """A longer step where more than ``share`` was taken, a shorter one where less."""
        self.step *= math.exp(0.2 * (accepted - self.share))

    def forward(
        self,
        energy: Callable[[Tensor], Tensor],
        x: Tensor,
        steps: int = 1,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, float]:
        """Chains x (B, ...) after ``steps``, without gradient, and the share of steps taken."""
        state, shares = (x.detach(), *_slope(energy, x)), []
        for _ in range(steps):
            state, taken = self.move(energy, state, generator)
            shares.append(taken.to(x.dtype).mean())
        return state[0], float(torch.stack(shares).mean()) if shares else 1.0
