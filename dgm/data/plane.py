"""Laws in the plane with exactly known densities and entropies, which the 2-D toys are made of.

Each law offers `log_prob(x)`, `sample(n)`, `entropy()` and `bounds`, the box that holds its mass.
A density with no closed form (a noisy curve) is a quadrature, good to 1e-8 nats where mass is.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from dgm.data.dataset import check_positive

Bounds = tuple[float, float, float, float]  # left, right, bottom, top


def grid_points(bounds: Bounds, step: float) -> tuple[Tensor, float]:
    """Points (N, 2) float64 of a regular grid over the box, and the area of one cell."""
    left, right, bottom, top = bounds
    nx, ny = math.ceil((right - left) / step), math.ceil((top - bottom) / step)
    x, y = (
        torch.linspace(a, b, n + 1, dtype=torch.float64)
        for a, b, n in ((left, right, nx), (bottom, top, ny))
    )
    return torch.cartesian_prod(x, y), (right - left) * (top - bottom) / (nx * ny)


def grid_entropy(log_prob: Callable[[Tensor], Tensor], bounds: Bounds, step: float) -> float:
    """Minus the integral of p log p by the trapezoid rule, nats.

    For a smooth density that vanishes at the border its error falls faster than any power of
    the step. A quarter of the smallest standard deviation, in a box of eight of them around the
    mass, gives the laws of this file to about 1e-8.
    """
    points, area = grid_points(bounds, step)
    log_p = log_prob(points)
    return float(-(log_p.exp() * log_p).sum() * area)


def check_points(x: Tensor) -> None:
    """Raise a ValueError unless x is a floating point (B, 2)."""
    if x.ndim != 2 or x.shape[1] != 2 or not x.is_floating_point():
        raise ValueError(
            f"x must be floating point of shape (B, 2), got {x.dtype} {tuple(x.shape)}"
        )


class NoisyCurves:
    """A uniform choice among curves, a uniform place on it, and Gaussian noise around that place.

    The density is an integral along each curve, taken by Gauss-Legendre quadrature with nodes
    closer together than the noise is wide: good to 1e-8 nats where mass is, to 1e-5 anywhere. A
    curve that stands still is a Gaussian, and exact: this is also the law of their mixtures.

    Parameters
    ----------
    curves : sequence of callables
        Each maps u (n,) in [0, 1] to points (n, 2).
    noise : float
        Standard deviation of the noise in each coordinate.
    """

    def __init__(self, curves: Sequence[Callable[[Tensor], Tensor]], noise: float):
        check_positive("noise", noise)
        self.curves, self.noise = tuple(curves), noise
        u = torch.linspace(0, 1, 1001, dtype=torch.float64)
        places = torch.stack([curve(u) for curve in self.curves])  # (K, 1001, 2)
        speed = places.diff(dim=1).norm(dim=2).max().item() * 1000
        nodes, weights = np.polynomial.legendre.leggauss(1 + math.ceil(2.0 * speed / noise))
        u = torch.from_numpy((nodes + 1) / 2)
        self.nodes = torch.stack([curve(u) for curve in self.curves])  # (K, N, 2)
        self.log_weights = torch.from_numpy(weights / 2).log()  # (N,), weights sum to 1
        low, high = places.amin((0, 1)) - 6 * noise, places.amax((0, 1)) + 6 * noise
        self.bounds: Bounds = (low[0].item(), high[0].item(), low[1].item(), high[1].item())
        self._entropy: float | None = None

    def joint_log_prob(self, x: Tensor) -> Tensor:
        """x (B, 2) -> (B, K) nats: log p(x, y) of the point and the curve it came from."""
        check_points(x)
        nodes, log_weights = self.nodes.to(x), self.log_weights.to(x)
        constant = math.log(2 * math.pi * self.noise**2) + math.log(len(self.curves))
        parts = []
        for rows in x.split(2048):  # (B', K, N) must fit in memory
            a, b = ((rows[:, i, None, None] - nodes[..., i]) / self.noise for i in (0, 1))
            parts.append((log_weights - (a**2 + b**2) / 2).logsumexp(2) - constant)
        return torch.cat(parts) if parts else x.new_zeros(0, len(self.curves))

    def log_prob(self, x: Tensor) -> Tensor:
        """x (B, 2) -> (B,) nats, exact."""
        return self.joint_log_prob(x).logsumexp(1)

    def draw(self, n: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Points (n, 2) float32 and the curve (n,) int64 each came from."""
        u = torch.rand(n, generator=generator)
        y = torch.randint(len(self.curves), (n,), generator=generator)
        places = torch.stack([curve(u) for curve in self.curves])[y, torch.arange(n)]
        return places + self.noise * torch.randn(n, 2, generator=generator), y

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Points (n, 2) float32."""
        return self.draw(n, generator)[0]

    def entropy(self) -> float:
        """Nats, by converged quadrature on a grid."""
        if self._entropy is None:
            left, right, low, high = self.bounds
            margin = 2 * self.noise  # beyond the six standard deviations of the bounds
            box = (left - margin, right + margin, low - margin, high + margin)
            self._entropy = grid_entropy(self.log_prob, box, self.noise / 4)
        return self._entropy


class Checkerboard:
    """Uniform on the eight dark unit squares of a 4 x 4 board centred on the origin."""

    bounds: Bounds = (-2.0, 2.0, -2.0, 2.0)

    def log_prob(self, x: Tensor) -> Tensor:
        """x (B, 2) -> (B,) nats, exact: -log 8 on a dark square, minus infinity elsewhere."""
        check_points(x)
        dark = (x.floor().sum(1) % 2 == 0) & (x >= -2).all(1) & (x < 2).all(1)
        return x.new_full((len(x),), -math.inf).masked_fill(dark, -math.log(8))

    def draw(self, n: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Points (n, 2) float32 and the square (n,) int64, 0 to 7, each lies in."""
        y = torch.randint(8, (n,), generator=generator)
        row, column = y // 2, 2 * (y % 2) + (y // 2) % 2
        corner = torch.stack((column, row), 1) - 2
        return corner + torch.rand(n, 2, generator=generator).clamp(max=1 - 1e-6), y

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Points (n, 2) float32."""
        return self.draw(n, generator)[0]

    def entropy(self) -> float:
        """Nats: log of the dark area."""
        return math.log(8)


class Pinwheel:
    """Five Gaussian blades bent by a twist: points turn by an angle that grows with the radius.

    The twist keeps area, so the density is that of the straight blades at the untwisted point
    and the entropy that of the straight blades. After Johnson et al. (2016), arXiv:1603.06277.
    """

    def __init__(self, n_blades: int = 5, radial: float = 0.5, tangential: float = 0.1):
        check_positive("radial", radial)
        check_positive("tangential", tangential)
        self.n_blades, self.radial, self.tangential = n_blades, radial, tangential
        self.distance, self.rate = 2.0, 0.6  # of a blade's middle from the origin; radians per unit
        reach = self.distance + 5 * radial
        self.bounds: Bounds = (-reach, reach, -reach, reach)

    def _turn(self, x: Tensor, angle: Tensor) -> Tensor:
        c, s = angle.cos(), angle.sin()
        return torch.stack((c * x[..., 0] - s * x[..., 1], s * x[..., 0] + c * x[..., 1]), -1)

    def _angles(self, like: Tensor) -> Tensor:
        return torch.arange(self.n_blades).to(like) * (2 * math.pi / self.n_blades)

    def straight_log_prob(self, x: Tensor) -> Tensor:
        """(B, 2) untwisted points -> (B, K) nats: log of point and blade."""
        a = self._turn(x[:, None], -self._angles(x))  # (B, K, 2), the blade along the first axis
        radial = (a[..., 0] - self.distance) / self.radial
        log_norm = math.log(2 * math.pi * self.radial * self.tangential * self.n_blades)
        return -(radial**2 + (a[..., 1] / self.tangential) ** 2) / 2 - log_norm

    def joint_log_prob(self, x: Tensor) -> Tensor:
        """x (B, 2) -> (B, K) nats, exact: log p(x, y) of the point and its blade."""
        check_points(x)
        return self.straight_log_prob(self._turn(x, -self.rate * x.norm(dim=1)))

    def log_prob(self, x: Tensor) -> Tensor:
        """x (B, 2) -> (B,) nats, exact."""
        return self.joint_log_prob(x).logsumexp(1)

    def draw(self, n: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Points (n, 2) float32 and the blade (n,) int64 each came from."""
        y = torch.randint(self.n_blades, (n,), generator=generator)
        spread = torch.tensor((self.radial, self.tangential))
        a = torch.randn(n, 2, generator=generator) * spread + torch.tensor((self.distance, 0.0))
        x = self._turn(a, self._angles(a)[y])
        return self._turn(x, self.rate * x.norm(dim=1)), y

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Points (n, 2) float32."""
        return self.draw(n, generator)[0]

    def entropy(self) -> float:
        """Nats, by converged quadrature over the straight blades."""
        return grid_entropy(
            lambda x: self.straight_log_prob(x).logsumexp(1), self.bounds, self.tangential / 2
        )
