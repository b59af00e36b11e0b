"""2-D toys whose density and entropy are known exactly: how far is a model from the truth?

Every one is `n` training, n // 2 validation and n // 2 test points, float32 (N, 2), drawn with
`seed`; the labels say which part of the law a point came from. `data.law` is the law itself.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from dgm.data.dataset import Dataset, check_positive, from_law
from dgm.data.plane import Checkerboard, NoisyCurves, Pinwheel

Curve = Callable[[Tensor], Tensor]


def _still(x: float, y: float) -> Curve:
    """A curve that stays at one place."""
    return lambda u: torch.stack((x + 0 * u, y + 0 * u), 1)


def _arc(radius: float, start: float, stop: float, x: float = 0.0, y: float = 0.0) -> Curve:
    """Part of a circle around (x, y), from angle start to stop, at constant speed."""

    def arc(u: Tensor) -> Tensor:
        t = start + (stop - start) * u
        return torch.stack((x + radius * t.cos(), y + radius * t.sin()), 1)

    return arc


def _spiral(turn: float, start: float = math.pi / 2, stop: float = 3 * math.pi) -> Curve:
    """A spiral of Archimedes from radius 0.5 to 3, evenly filled along its length (nearly)."""

    def spiral(u: Tensor) -> Tensor:
        t = (start**2 + (stop**2 - start**2) * u).sqrt()
        return torch.stack(((t + turn).cos(), (t + turn).sin()), 1) * (t / math.pi)[:, None]

    return spiral


def eight_gaussians(
    n: int = 10_000, noise: float = 0.2, radius: float = 2.0, seed: int = 0
) -> Dataset:
    """Eight equal round Gaussians of standard deviation `noise` on a circle."""
    check_positive("radius", radius)
    angles = [k * math.pi / 4 for k in range(8)]
    places = [_still(radius * math.cos(t), radius * math.sin(t)) for t in angles]
    return from_law("eight_gaussians", NoisyCurves(places, noise), n, seed)


def two_gaussians(
    n: int = 10_000, noise: float = 0.5, distance: float = 3.0, seed: int = 0
) -> Dataset:
    """Two equal round Gaussians of standard deviation `noise`, `distance` apart along x."""
    check_positive("distance", distance)
    places = [_still(-distance / 2, 0.0), _still(distance / 2, 0.0)]
    return from_law("two_gaussians", NoisyCurves(places, noise), n, seed)


def moons(n: int = 10_000, noise: float = 0.1, seed: int = 0) -> Dataset:
    """Two interleaved half circles with noise: the law of scikit-learn's make_moons."""
    arcs = [_arc(1.0, 0.0, math.pi), _arc(1.0, math.pi, 2 * math.pi, 1.0, 0.5)]
    return from_law("moons", NoisyCurves(arcs, noise), n, seed)


def rings(n: int = 10_000, noise: float = 0.1, n_rings: int = 2, seed: int = 0) -> Dataset:
    """Concentric circles of radius 1, 2, ... with noise, each with the same probability."""
    if not isinstance(n_rings, int) or not 1 <= n_rings <= 8:
        raise ValueError(f"n_rings must be an integer from 1 to 8, got {n_rings!r}")
    circles = [_arc(k + 1.0, 0.0, 2 * math.pi) for k in range(n_rings)]
    return from_law("rings", NoisyCurves(circles, noise), n, seed)


def spirals(n: int = 10_000, noise: float = 0.1, seed: int = 0) -> Dataset:
    """Two interleaved spirals with noise."""
    return from_law("spirals", NoisyCurves([_spiral(0.0), _spiral(math.pi)], noise), n, seed)


def checkerboard(n: int = 10_000, seed: int = 0) -> Dataset:
    """Uniform on the dark squares of a 4 x 4 board; entropy log 8."""
    return from_law("checkerboard", Checkerboard(), n, seed)


def pinwheel(
    n: int = 10_000, radial: float = 0.5, tangential: float = 0.1, seed: int = 0
) -> Dataset:
    """Five bent Gaussian blades; `radial` and `tangential` are their standard deviations."""
    return from_law("pinwheel", Pinwheel(5, radial, tangential), n, seed)
