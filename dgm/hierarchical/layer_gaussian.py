"""A diagonal Gaussian over one layer of a hierarchical VAE, and the heads that make one.

Sonderby et al. (2016), arXiv:1602.02282, eqs. 1-8; the soft bound on the numbers of a network:
Vahdat and Kautz (2020), arXiv:2007.03898, appendix A. Needs torch only.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn


class LayerGaussian(NamedTuple):
    """N(mean, diag exp(log_var)) over a layer z (B, C, ...): numbers (C,) or maps (C, H, W).

    Every value is a sum over the units of the layer, (B,) nats.

    Examples
    --------
    >>> unit = LayerGaussian(torch.zeros(1, 1), torch.zeros(1, 1))
    >>> LayerGaussian(torch.ones(1, 1), torch.zeros(1, 1)).kl(unit)  # a half
    tensor([0.5000])
    """

    mean: Tensor
    log_var: Tensor

    def draw(self, temperature: float = 1.0, generator: torch.Generator | None = None) -> Tensor:
        """z = mean + temperature * stddev * eps, (B, C, ...)."""
        shape, like = self.mean.shape, self.mean
        eps = torch.randn(shape, generator=generator, dtype=like.dtype, device=like.device)
        return self.mean + temperature * (0.5 * self.log_var).exp() * eps

    def log_prob(self, z: Tensor) -> Tensor:
        """log N(z) (B,), nats, exact."""
        squared = (z - self.mean).square() * (-self.log_var).exp()
        return -0.5 * (squared + self.log_var + math.log(2 * math.pi)).flatten(1).sum(1)

    def kl(self, other: "LayerGaussian") -> Tensor:
        """KL(self || other) in closed form, (B,) nats."""
        change = self.log_var - other.log_var
        shift = (self.mean - other.mean).square() * (-other.log_var).exp()
        return 0.5 * (change.exp() + shift - 1 - change).flatten(1).sum(1)

    def split(self, n: int) -> tuple["LayerGaussian", "LayerGaussian"]:
        """The laws of the first n channels and of the others."""
        first = LayerGaussian(self.mean[:, :n], self.log_var[:, :n])
        return first, LayerGaussian(self.mean[:, n:], self.log_var[:, n:])


class LayerHead(nn.Module):
    """What a network makes of what it sees, read as a `LayerGaussian`.

    Parameters
    ----------
    net : nn.Module
        Gives (B, 2 C, ...): means, then log variances.
    bound : float
        Neither can be larger than this, by a tanh.

    Raises
    ------
    ValueError
        A bound that is not above 0; numbers that are not two for every unit.
    """

    def __init__(self, net: nn.Module, bound: float = 8.0):
        super().__init__()
        if not 0 < bound < math.inf:
            raise ValueError(f"bound must be finite and above 0, got {bound}")
        self.net, self.bound = net, bound

    def forward(self, h: Tensor) -> LayerGaussian:
        """h (B, ...) -> a law of z (B, C, ...)."""
        out = self.net(h)
        if out.shape[1] % 2:
            raise ValueError(f"net must give a mean and a log variance a unit, got {out.shape[1]}")
        mean, log_var = (self.bound * torch.tanh(out / self.bound)).chunk(2, dim=1)
        return LayerGaussian(mean, log_var)


class UnitGaussian(nn.Module):
    """N(0, I) over z (B, *shape), whatever is above: the prior of a top layer."""

    def __init__(self, shape: tuple[int, ...]):
        super().__init__()
        self.shape = tuple(shape)

    def forward(self, h: Tensor) -> LayerGaussian:
        """h (B, ...) -> N(0, I) of (B, *shape)."""
        zero = h.new_zeros(len(h), *self.shape)
        return LayerGaussian(zero, zero)
