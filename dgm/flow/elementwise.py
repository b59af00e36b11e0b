"""Elementwise layers that flows begin and end with: logit, diagonal scaling, reversal of features.

Dinh et al. (2017), arXiv:1605.08803, section 4.1 (logit); Dinh et al. (2015), arXiv:1410.8516,
eq. 9 (scaling). Needs torch only.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid


class Logit(nn.Module):
    """Open the box: x in [0, levels) -> logit(alpha + (1 - 2 alpha) x / levels), unbounded.

    ``alpha`` keeps the edges away from 0 and 1. The Jacobian of both steps is counted, so densities
    downstream stay densities of x.
    """

    def __init__(self, levels: float = 1.0, alpha: float = 0.05):
        super().__init__()
        if not 0 < alpha < 0.5 or levels <= 0:
            raise ValueError(f"need 0 < alpha < 0.5 and levels > 0, got {alpha} and {levels}")
        self.levels, self.alpha = levels, alpha

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, ...) -> z (B, ...) and log|det dz/dx| (B,), nats."""
        slope = (1 - 2 * self.alpha) / self.levels
        z = torch.logit(self.alpha + slope * x)
        log_det = torch.log(x.new_tensor(slope)) - logsigmoid(z) - logsigmoid(-z)
        return z, log_det.flatten(1).sum(1)

    def inverse(self, z: Tensor) -> Tensor:
        """z (B, ...) -> x (B, ...)."""
        return (torch.sigmoid(z) - self.alpha) * self.levels / (1 - 2 * self.alpha)


class Scale(nn.Module):
    """z = x * exp(log_scale), one learned factor per dimension: NICE's only change of volume."""

    def __init__(self, shape: tuple[int, ...], start: float = 1.0):
        super().__init__()
        if start <= 0:
            raise ValueError(f"start must be positive, got {start}")
        self.log_scale = nn.Parameter(torch.full(shape, math.log(start)))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, ...) -> z (B, ...) and log|det dz/dx| (B,), nats."""
        return x * self.log_scale.exp(), self.log_scale.sum().expand(len(x))

    def inverse(self, z: Tensor) -> Tensor:
        """z (B, ...) -> x (B, ...)."""
        return z * (-self.log_scale).exp()


class Permute(nn.Module):
    """Features (or channels) in another, fixed order; log det = 0. Without ``order``: reversed.

    The order is given, not learned: it is not saved with the weights.
    """

    def __init__(self, features: int, order: Tensor | None = None):
        super().__init__()
        order = torch.arange(features - 1, -1, -1) if order is None else order
        if sorted(order.tolist()) != list(range(features)):
            raise ValueError(f"order must be a permutation of {features} features")
        self.register_buffer("order", order.clone(), persistent=False)
        self.register_buffer("undo", order.argsort(), persistent=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, C, ...) -> z (B, C, ...) and zeros (B,)."""
        return x[:, self.order], x.new_zeros(len(x))

    def inverse(self, z: Tensor) -> Tensor:
        """z (B, C, ...) -> x (B, C, ...)."""
        return z[:, self.undo]


class Flatten(nn.Module):
    """(B, *shape) -> (B, D): for layers that know nothing of images; log det = 0."""

    def __init__(self, shape: tuple[int, ...]):
        super().__init__()
        self.shape = tuple(shape)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, *shape) -> z (B, D) and zeros (B,)."""
        return x.flatten(1), x.new_zeros(len(x))

    def inverse(self, z: Tensor) -> Tensor:
        """z (B, D) -> x (B, *shape)."""
        return z.unflatten(1, self.shape)
