"""An energy in the plane whose Z is summed on a grid: exact likelihoods, draws, and their gradient.

The law of eq. 1 of LeCun et al. (2006), with the midpoint rule. Needs torch only.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


def grid_of(low: Tensor, high: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """Middles (n * n, 2) of the cells of a box from low (2,) to high (2,), and a cell's area ()."""
    at = (torch.arange(n, dtype=low.dtype, device=low.device) + 0.5) / n
    sides = high - low
    return low + sides * torch.cartesian_prod(at, at), sides.prod() / n**2


class GridLikelihood(nn.Module):
    """E(u) + log Z, Z summed on a grid: -log p(u), exact but for the grid, gradient and all.

    Parameters
    ----------
    n : int
        Cells along a side.
    reach : float
        The box ends at so many deviations of the Gaussian that the model tilts.

    Raises
    ------
    ValueError
        n is no whole number of at least 2, or reach not positive.

    Examples
    --------
    >>> GridLikelihood(n=50).n
    50
    """

    def __init__(self, n: int = 80, reach: float = 4.5):
        super().__init__()
        if type(n) is not int or n < 2:
            raise ValueError(f"n must be a whole number of at least 2, got {n!r}")
        if not 0 < reach < math.inf:
            raise ValueError(f"reach must be positive and finite, got {reach!r}")
        self.n, self.reach = n, reach

    def cells(self, model: nn.Module, n: int | None = None) -> tuple[Tensor, Tensor]:
        """The grid of a model: middles (n * n, 2) and the area of a cell."""
        wide = self.reach * model.spread
        return grid_of(model.centre - wide, model.centre + wide, n or self.n)

    def forward(self, model: nn.Module, u: Tensor) -> Tensor:
        """Of rows u (B, 2): -log p(u), (B,) nats."""
        middles, area = self.cells(model)
        log_z = torch.logsumexp(-model.tilted(middles), 0) + area.log()
        return model.tilted(u) + log_z


class PlaneEnergy(nn.Module):
    """A deep energy of points of the plane with its exact log Z, so with ``log_prob``.

    However it was trained, its likelihood is known: what comes with the objective stays in `loss`.

    Own methods: ``log_z``.

    Parameters
    ----------
    model : nn.Module
        A `DeepEnergy` of points (B, 2).
    n : int
        Cells along a side of the grid, for Z and for draws.
    reach : as in `GridLikelihood`.

    Raises
    ------
    ValueError
        data is not of the plane.

    Examples
    --------
    >>> from dgm import zoo
    >>> from dgm.distribution.support import Reals
    >>> model = zoo.get("plane_energy").build(Reals((2,)))
    >>> model.log_prob(torch.zeros(3, 2)).shape
    torch.Size([3])
    """

    def __init__(self, model: nn.Module, n: int = 200, reach: float = 4.5):
        super().__init__()
        data = model.data
        if data.shape != (2,) or hasattr(data, "levels"):
            raise ValueError(f"data must be points of the plane (B, 2), got {data!r} {data.shape}")
        self.data, self.model, self.grid = data, model, GridLikelihood(n, reach)

    def start_from(self, x: Tensor) -> None:
        """As the model does."""
        self.model.start_from(x)

    def energy(self, x: Tensor) -> Tensor:
        """E(x), (B,) nats."""
        return self.model.energy(x)

    def log_z(self) -> Tensor:
        """log Z, nats: the midpoint rule on the grid."""
        middles, area = self.grid.cells(self.model)
        return torch.logsumexp(-self.model.tilted(middles), 0) + area.log()

    def log_prob(self, x: Tensor) -> Tensor:
        """Log density (B,), nats, exact but for the grid."""
        return -self.energy(x) - self.log_z()

    def loss(self, x: Tensor) -> Tensor:
        """The objective of the model, (B,)."""
        return self.model.loss(x)

    @torch.no_grad()
    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """n draws (n, 2): a cell by its mass, then any point in it (exact but for the grid)."""
        n = self.data.count(n)
        middles, area = self.grid.cells(self.model)
        mass = (-self.model.tilted(middles)).softmax(0).double().cumsum(0)
        like = dict(generator=generator, device=middles.device)
        u = torch.rand(n, dtype=torch.float64, **like) * mass[-1]
        cell = torch.searchsorted(mass, u).clamp(max=len(middles) - 1)
        within = torch.rand(n, 2, dtype=middles.dtype, **like) - 0.5
        return middles[cell] + area.sqrt() * within  # the cells are square
