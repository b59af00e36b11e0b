"""A Boltzmann generator: a flow proposes, a known energy weighs, and means come out right.

Noe et al. (2019), arXiv:1812.01729, eqs. 4-8; the effective sample size: Kong (1992). Needs torch
only.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn


def effective_sample_size(log_w: Tensor) -> float:
    """(sum w)^2 / sum w^2 of log weights (n,): so many equal draws tell as much, at most n.

    >>> effective_sample_size(torch.zeros(5))
    5.0
    """
    return (2 * log_w.logsumexp(0) - (2 * log_w).logsumexp(0)).exp().item()


def log_ratio(log_w: Tensor, first: Tensor) -> tuple[float, float]:
    """log of weight outside ``first`` (a bool for each) over that inside, and its standard error.

    The error is that of a ratio of two means, to first order.

    Raises
    ------
    ValueError
        All of the draws are on one side.

    >>> log_ratio(torch.zeros(4), torch.tensor([True, False, False, False]))[0]
    1.0986122886681098
    """
    if first.all() or not first.any():
        raise ValueError("log_w: all draws are on one side of first, so there is no ratio")
    w = (log_w - log_w.max()).exp().double()
    inside, outside = (w * first).sum(), (w * ~first).sum()
    influence = w * (~first) / outside - w * first / inside  # of each draw on the log of the ratio
    return (outside / inside).log().item(), influence.square().sum().sqrt().item()


class BoltzmannGenerator(nn.Module):
    """A flow q trained towards p(x) = exp(-E(x)) / Z, from examples and from the energy itself.

    Own methods: ``weighted``.

    Parameters
    ----------
    flow : nn.Module
        ``log_prob``, ``inverse`` and ``base`` of points (flow.py).
    energy : callable
        Points (B, *shape) -> (B,).
    by_energy : float
        Share of the loss that is E[log q + E] over the flow's own draws; the rest is -log q of
        examples. 0 never asks for the energy, 1 never for examples (and may forget a well).

    Raises
    ------
    ValueError
        by_energy is no share.

    Examples
    --------
    >>> from dgm import zoo
    >>> from dgm.deep_energy.double_well import DoubleWell
    >>> from dgm.distribution.support import Reals
    >>> flow = zoo.get("spline_flow").build(Reals((2,)), steps=(2,), width=8)
    >>> model = BoltzmannGenerator(flow, DoubleWell().energy)
    >>> x, log_w = model.weighted(100)
    >>> x.shape, log_w.shape
    (torch.Size([100, 2]), torch.Size([100]))
    """

    def __init__(self, flow: nn.Module, energy: Callable[[Tensor], Tensor], by_energy: float = 0.5):
        super().__init__()
        if not 0 <= by_energy <= 1:
            raise ValueError(f"by_energy must lie in 0 .. 1, got {by_energy!r}")
        self.data, self.flow, self.energy_of, self.by_energy = flow.data, flow, energy, by_energy

    def start_from(self, x: Tensor) -> None:
        """As the flow does, where it can."""
        if hasattr(self.flow, "start_from"):
            self.flow.start_from(x)

    def energy(self, x: Tensor) -> Tensor:
        """E of points x, (B,): log p = -energy - log Z."""
        return self.energy_of(self.data.check(x))

    def loss(self, x: Tensor) -> Tensor:
        """Both parts, (B,) nats, the second up to log Z, of as many draws as there are examples."""
        told = -self.flow.log_prob(x)
        if not self.by_energy:
            return told
        # draws, their log q by the way there (the inverse layers pass gradients)
        z = self.flow.base.sample(len(x)).to(x.dtype)
        y = self.flow.inverse(z)
        own = self.flow.log_prob(y) + self.energy_of(y)
        return (1 - self.by_energy) * told + self.by_energy * own

    @torch.no_grad()
    def weighted(self, n: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """n draws (n, *shape) of the flow and log w = -E - log q (n,): the mean of w is Z."""
        x = self.flow.sample(self.data.count(n, least=1), generator=generator)
        return x, -self.energy_of(x) - self.flow.log_prob(x)

    @torch.no_grad()
    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """n draws of p, as far as 20 n weighted ones can tell: drawn again by their weights."""
        n = self.data.count(n)
        x, log_w = self.weighted(20 * max(n, 1), generator)
        p = log_w.softmax(0)
        return x[torch.multinomial(p, n, True, generator=generator)] if n else x[:0]
