"""Any network in one or two dimensions as a normalised density, its volume summed on a grid.

p(x) = g(x) / Z with g = exp(f) or g = f^2 and Z by the midpoint rule: Davis and Rabinowitz
(1984), Methods of Numerical Integration, section 2.1.
Needs torch only.
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn


def midpoint_grid(bounds: Sequence[tuple[float, float]], n: int) -> tuple[Tensor, float]:
    """Centres (n^D, D), float64, of a grid of n cells a side over a box, and a cell's volume.

    The midpoint rule sum_i g(centre_i) * volume has an error of order 1/n^2; for a smooth g that
    dies away inside the box the error falls faster than any power of n.
    """
    axes = []
    for low, high in bounds:
        if not low < high:
            raise ValueError(f"bounds must be pairs (low, high) with low < high, got {bounds}")
        axes.append(low + (high - low) * (torch.arange(n, dtype=torch.float64) + 0.5) / n)
    volume = math.prod((high - low) / n for low, high in bounds)
    return torch.cartesian_prod(*axes).reshape(-1, len(bounds)), volume


def log_volume(log_g: Callable[[Tensor], Tensor], bounds: Sequence, n: int = 200) -> Tensor:
    """log of the integral of g over a box, by the midpoint rule; a scalar, nats.

    log_g maps float64 points (N, D) to log g (N,) or (N, 1). The cost is n^D evaluations.
    """
    nodes, volume = midpoint_grid(bounds, n)
    return log_g(nodes).flatten().logsumexp(0) + math.log(volume)


class LogSquare(nn.Module):
    """log f(x)^2 for a network f: (B, D) -> (B, 1). One of two ways to a non-negative g."""

    def __init__(self, net: nn.Module):
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        """(B, 1): log f^2, with the smallest number added so that a zero of f stays finite."""
        f = self.net(x)
        return (f.square() + torch.finfo(f.dtype).tiny).log()


class QuadratureDensity(nn.Module):
    """p(x) = g(x) / Z on a box in 1-D or 2-D, for any network that returns log g.

    With log_g = a plain network f, g = exp(f); with log_g = LogSquare(f), g = f^2. Z is summed
    anew whenever it is needed, so gradients pass through it and `loss` trains the network by
    exact maximum likelihood (exact up to the error of the grid).

    Parameters
    ----------
    log_g : maps x (B, D) to log g(x), (B, 1) or (B,).
    bounds : D pairs (low, high), D = 1 or 2; outside the box the density is zero.
    n : cells a side.

    Example
    -------
    >>> density = QuadratureDensity(nn.Sequential(nn.Linear(2, 9), nn.Tanh(), nn.Linear(9, 1)),
    ...                             bounds=[(-3, 3), (-3, 3)])
    >>> density.log_prob(torch.zeros(5, 2)).shape
    torch.Size([5])
    """

    def __init__(self, log_g: nn.Module, bounds: Sequence[tuple[float, float]], n: int = 64):
        super().__init__()
        if len(bounds) not in (1, 2):
            raise ValueError(f"bounds must be 1 or 2 pairs (a grid has n^D cells), got {bounds}")
        if n < 2:
            raise ValueError(f"n must be at least 2, got {n}")
        self.log_g = log_g
        nodes, self.cell_volume = midpoint_grid(bounds, n)
        self.register_buffer("nodes", nodes.to(torch.get_default_dtype()))  # (n^D, D)
        self.register_buffer("box", torch.tensor(bounds, dtype=self.nodes.dtype))  # (D, 2)

    def log_z(self) -> Tensor:
        """log Z, a scalar in nats."""
        return self.log_g(self.nodes).flatten().logsumexp(0) + math.log(self.cell_volume)

    def energy(self, x: Tensor) -> Tensor:
        """(B,): -log g(x), so that log p = -energy - log Z inside the box."""
        if x.dim() != 2 or x.shape[1] != len(self.box) or not x.is_floating_point() or not len(x):
            raise ValueError(
                f"x must be real, (B > 0, {len(self.box)}), got {x.dtype} {tuple(x.shape)}"
            )
        if not torch.isfinite(x).all():
            raise ValueError("x must be finite, got NaN or infinity")
        return -self.log_g(x).flatten()

    def log_prob(self, x: Tensor) -> Tensor:
        """(B,) nats, exact up to the grid for x (B, D); -inf outside the box."""
        log_p = -self.energy(x) - self.log_z()
        inside = ((x >= self.box[:, 0]) & (x <= self.box[:, 1])).all(1)
        return log_p.masked_fill(~inside, -math.inf)

    def loss(self, x: Tensor) -> Tensor:
        """(B,) nats: -log p(x)."""
        return -self.log_prob(x)

    @torch.no_grad()
    def sample(self, n: int) -> Tensor:
        """(n, D): a cell by its mass, then a uniform point of the cell.

        Note: the law of the samples is the density averaged over each cell.
        """
        cells = self.log_g(self.nodes).flatten().softmax(0).multinomial(n, replacement=True)
        width = (self.box[:, 1] - self.box[:, 0]) * len(self.nodes) ** (-1 / len(self.box))
        return self.nodes[cells] + (torch.rand_like(self.nodes[cells]) - 0.5) * width
