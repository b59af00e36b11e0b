"""Langevin chains that go on from update to update: where the negatives of an energy model live.

Tieleman (2008), doi:10.1145/1390156.1390290 (chains that persist); Du and Mordatch (2019),
arXiv:1903.08689, section 3 (a store of chains, some begun anew); the walk: Roberts and Tweedie
(1996), doi:10.2307/3318418. Needs torch only.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


class LangevinReplay(nn.Module):
    """u <- u + (a / 2) grad log g(u) + sqrt(T a) e, held in a box; many chains, a few at a time.

    In training each call takes ``n_chains`` of the ``n_kept`` chains at random, begins a share
    ``fresh`` of them anew, walks, and puts them back. In eval mode all begin anew and none is kept.
    The store is no part of the weights.

    Parameters
    ----------
    start : nn.Module
        ``draw(y, generator)`` gives points (B, *shape), see class_gaussians.py.
    step_size : float
        a. The walk is stable where the curvature of log g stays below 4 / a.
    box : float
        Every coordinate is held in -box .. box, so that exp(log g) has a finite integral.
    temperature : float
        T; at 1 the law of a long walk with small steps is g / Z. At 0 it climbs.
    n_chains, n_kept, steps : int
        Chains of a call, chains in store, steps of a call.
    fresh : float
        Share of the chains of a call that begin anew.

    Examples
    --------
    >>> from dgm.distribution.support import Levels, Reals
    >>> from dgm.jem.class_gaussians import ClassGaussians
    >>> start = ClassGaussians(Reals((2,)), Levels((), 3))
    >>> chains = LangevinReplay(start, step_size=0.1, box=4.0, n_chains=6, n_kept=20, steps=5)
    >>> chains(lambda u: -u.square().sum(1) / 2).shape
    torch.Size([6, 2])
    """

    def __init__(
        self, start: Any, step_size: float, box: float, temperature: float = 1.0,
        n_chains: int = 64, n_kept: int = 1000, steps: int = 10, fresh: float = 0.05,
    ):  # fmt: skip
        super().__init__()
        for name, value in (("step_size", step_size), ("box", box)):
            if not 0 < value < math.inf:
                raise ValueError(f"{name} must be positive and finite, got {value!r}")
        if not 0 <= temperature < math.inf:
            raise ValueError(f"temperature must be finite and at least 0, got {temperature!r}")
        if not 0 <= fresh <= 1:
            raise ValueError(f"fresh must be a share from 0 to 1, got {fresh!r}")
        count = start.data.count
        self.start, self.step_size, self.box = start, step_size, box
        self.temperature, self.fresh = temperature, fresh
        self.n_chains = count(n_chains, "n_chains", least=1)
        self.n_kept = count(n_kept, "n_kept", least=self.n_chains)
        self.steps = count(steps, "steps", least=1)
        empty = torch.full((n_kept, *start.data.shape), math.nan)  # NaN: not begun yet
        self.register_buffer("kept", empty, persistent=False)

    def begin(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """n new points (n, *shape), of classes drawn evenly."""
        k = self.start.labels.levels
        y = torch.randint(k, (n,), generator=generator, device=self.kept.device)
        return self.start.draw(y, generator).clamp(-self.box, self.box)

    def restart(self) -> None:
        """Forget all chains."""
        self.kept.fill_(math.nan)

    def slope(self, log_g: Callable[[Tensor], Tensor], u: Tensor) -> Tensor:
        """Gradient of log g at u (B, *shape), each example by itself."""
        with torch.enable_grad():
            u = u.detach().requires_grad_()
            return torch.autograd.grad(log_g(u).sum(), u)[0]

    def walk(
        self, log_g: Callable[[Tensor], Tensor], u: Tensor, steps: int,
        generator: torch.Generator | None = None,
    ) -> Tensor:  # fmt: skip
        """Where u (B, *shape) is after so many steps; log_g: (B, *shape) -> (B,). No gradient."""
        u, a = u.detach(), self.step_size
        for _ in range(steps):
            noise = torch.randn(u.shape, generator=generator, device=u.device).to(u)
            u = u + a / 2 * self.slope(log_g, u) + math.sqrt(self.temperature * a) * noise
            u = u.clamp(-self.box, self.box)
        return u

    @torch.no_grad()
    def forward(self, log_g: Callable[[Tensor], Tensor]) -> Tensor:
        """Negatives (n_chains, *shape): chains of the store, moved on; without gradient."""
        if not self.training:
            return self.walk(log_g, self.begin(self.n_chains), self.steps)
        rows = torch.randperm(self.n_kept, device=self.kept.device)[: self.n_chains]
        u = self.kept[rows]
        again = torch.rand(self.n_chains, device=u.device) < self.fresh
        again |= u.flatten(1).isnan().any(1)
        shape = (-1, *[1] * (u.dim() - 1))
        u = torch.where(again.view(shape), self.begin(self.n_chains), u)
        self.kept[rows] = u = self.walk(log_g, u, self.steps)
        return u
