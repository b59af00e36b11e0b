"""Dequantisation: a continuous density bounds the probability of integers, if noise fills the bin.

Uniform noise: Theis et al. (2016), arXiv:1511.01844, eq. 5-8. Variational noise: Ho et al. (2019),
Flow++, arXiv:1902.00275, eqs. 8-10. Needs torch only.
"""

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid


class UniformNoise(nn.Module):
    """u ~ U[0, 1) in every dimension: log q(u|x) = 0."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, ...) floats -> u (B, ...) in [0, 1) and log q(u|x) (B,), nats."""
        return torch.rand_like(x), x.new_zeros(len(x))


class FlowNoise(nn.Module):
    """u = sigmoid(g(eps; x)), a conditional flow that learns where in the bin to look.

    eps is standard logistic, so with g = identity the noise is exactly uniform. ``encoder`` maps
    x, rescaled from 0 .. levels - 1 to [-1, 1], to a context; every layer is called as
    ``layer(h, context)`` and returns its output and log-determinant.
    """

    def __init__(self, encoder: nn.Module, layers: Iterable[nn.Module], levels: int):
        super().__init__()
        self.encoder, self.layers, self.levels = encoder, nn.ModuleList(layers), levels

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, ...) floats -> u (B, ...) in (0, 1) and log q(u|x) (B,), nats."""
        h = torch.logit(torch.rand_like(x).clamp(1e-6, 1 - 1e-6))
        log_q = (logsigmoid(h) + logsigmoid(-h)).flatten(1).sum(1)
        context = self.encoder(2 * x / (self.levels - 1) - 1)
        for layer in self.layers:
            h, log_det = layer(h, context)
            log_q = log_q - log_det
        log_slope = logsigmoid(h) + logsigmoid(-h)  # of the sigmoid that closes the box
        return torch.sigmoid(h), log_q - log_slope.flatten(1).sum(1)


class ConditionalAffine(nn.Module):
    """h * exp(log_scale(context)) + shift(context): the simplest layer of a `FlowNoise`.

    ``net`` maps the context to (B, 2C, ...).
    """

    def __init__(self, net: nn.Module, max_log_scale: float = 2.0):
        super().__init__()
        self.net, self.max_log_scale = net, max_log_scale

    def forward(self, h: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """h (B, C, ...) -> (B, C, ...) and log-determinant (B,), nats."""
        shift, s = self.net(context).chunk(2, dim=1)
        log_scale = self.max_log_scale * torch.tanh(s / self.max_log_scale)
        return h * log_scale.exp() + shift, log_scale.flatten(1).sum(1)


class Dequantize(nn.Module):
    """Turn a density p over [0, levels)^D into bounds on the probability of integers x.

    P(x) = integral of p(x + u) over u in [0, 1)^D >= exp E_q[log p(x + u) - log q(u|x)].
    There is no ``log_prob``: only bounds can be had.

    Parameters
    ----------
    flow : module with ``log_prob`` and ``sample``, a density of x + u in [0, levels)^D.
    levels : number of integer values, 0 .. levels - 1.
    noise : module x -> (u, log q(u|x)); `UniformNoise` if None.
    """

    def __init__(self, flow: nn.Module, levels: int, noise: nn.Module | None = None):
        super().__init__()
        if levels < 2:
            raise ValueError(f"levels must be at least 2, got {levels}")
        self.flow, self.levels = flow, levels
        self.noise = UniformNoise() if noise is None else noise

    def _check(self, x: Tensor) -> None:
        if x.is_floating_point() or x.dtype == torch.bool:
            raise ValueError(f"x must be integers as stored, got {x.dtype}")
        shape = getattr(self.flow, "shape", None)
        if shape is not None and tuple(x.shape[1:]) != shape:
            raise ValueError(f"x must have shape (B, {shape}), got {tuple(x.shape)}")
        if len(x) == 0:
            raise ValueError("x is an empty batch")
        low, high = int(x.min()), int(x.max())
        if low < 0 or high >= self.levels:
            raise ValueError(f"x must lie in 0 .. {self.levels - 1}, got values {low} .. {high}")

    def dequantize(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Integers x (B, ...) -> x + u in the model's precision, and log q(u|x) (B,), nats."""
        self._check(x)
        like = next(self.parameters(), torch.empty(0))
        x = x.to(like.dtype)
        u, log_q = self.noise(x)
        return x + u, log_q

    def elbo(self, x: Tensor) -> Tensor:
        """One-sample lower bound on log P(x) (B,), nats."""
        y, log_q = self.dequantize(x)
        return self.flow.log_prob(y) - log_q

    def iw_bound(self, x: Tensor, k: int) -> Tensor:
        """Importance-weighted bound with k draws (B,), nats; rises to log P(x) with k."""
        if k < 1:
            raise ValueError(f"k must be at least 1, got {k}")
        log_w = self.elbo(x.repeat_interleave(k, 0)).view(len(x), k)
        return torch.logsumexp(log_w, 1) - math.log(k)

    def loss(self, x: Tensor) -> Tensor:
        """Negative one-sample bound (B,), nats."""
        return -self.elbo(x)

    def _integers(self, y: Tensor) -> Tensor:
        stored = torch.uint8 if self.levels <= 256 else torch.int64
        return y.floor().clamp(0, self.levels - 1).to(stored)

    def sample(self, n: int, **options) -> Tensor:
        """n draws of the density, rounded down: integers as stored (uint8 up to 256 levels)."""
        return self._integers(self.flow.sample(n, **options))

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        """Integers x (B, ...) -> the code z of the middles of their bins."""
        self._check(x)
        return self.flow(x + 0.5)[0]

    @torch.no_grad()
    def decode(self, z: Tensor) -> Tensor:
        """Codes z -> integers x (B, ...)."""
        return self._integers(self.flow.inverse(z))
