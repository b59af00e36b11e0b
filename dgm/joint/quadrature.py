"""Any network in one or two dimensions as a normalised density, its volume summed on a grid.

p(x) = g(x) / Z with g = exp(f) or g = f^2 and Z by the midpoint rule: Davis and Rabinowitz
(1984), Methods of Numerical Integration, section 2.1. Needs torch only.
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
        if not -math.inf < low < high < math.inf:
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
    data : Reals (support.py)
        Points (D,), D = 1 or 2: ``shape``, ``check(x)``, ``count(n)``.
    log_g : nn.Module
        Maps x (B, D) to log g(x), (B, 1) or (B,).
    bounds : D pairs (low, high)
        Outside the box the density is zero.
    n : int
        Cells a side.

    Notes
    -----
    Own methods: ``log_z``.

    Examples
    --------
    >>> from dgm.distribution.support import Reals
    >>> net = nn.Sequential(nn.Linear(2, 9), nn.Tanh(), nn.Linear(9, 1))
    >>> density = QuadratureDensity(Reals((2,)), net, bounds=[(-3, 3), (-3, 3)])
    >>> density.log_prob(torch.zeros(5, 2)).shape
    torch.Size([5])
    """

    def __init__(
        self, data: object, log_g: nn.Module, bounds: Sequence[tuple[float, float]], n: int = 64
    ):
        super().__init__()
        if data.shape not in ((1,), (2,)):
            raise ValueError(f"data must be points (1,) or (2,), a grid is n^D, got {data.shape}")
        if len(bounds) != data.dims:
            raise ValueError(f"bounds must be {data.dims} pairs (low, high), got {bounds}")
        data.count(n, least=2)
        self.data, self.log_g = data, log_g
        nodes, self.cell_volume = midpoint_grid(bounds, n)  # (n^D, D)
        box = torch.tensor(bounds).to(torch.get_default_dtype())  # (D, 2)
        self.register_buffer("nodes", nodes.to(box), persistent=False)
        self.register_buffer("box", box, persistent=False)

    def log_z(self) -> Tensor:
        """log Z, a scalar in nats."""
        return self.log_g(self.nodes).flatten().logsumexp(0) + math.log(self.cell_volume)

    def energy(self, x: Tensor) -> Tensor:
        """(B,): -log g(x), so that log p = -energy - log Z inside the box."""
        return -self.log_g(self.data.check(x, trusted=self.training)).flatten()

    def log_prob(self, x: Tensor) -> Tensor:
        """(B,) nats, exact up to the grid for x (B, D); -inf outside the box."""
        log_p = -self.energy(x) - self.log_z()
        inside = ((x >= self.box[:, 0]) & (x <= self.box[:, 1])).all(1)
        return log_p.masked_fill(~inside, -math.inf)

    def loss(self, x: Tensor) -> Tensor:
        """(B,) nats: -log p(x)."""
        return -self.log_prob(x)

    @torch.no_grad()
    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """(n, D): a cell by its mass, then a uniform point of the cell.

        The generator lives on the model's device.

        Note: the law of the samples is the density averaged over each cell.
        """
        if self.data.count(n) == 0:
            return self.nodes.new_empty(0, self.data.dims)
        mass = self.log_g(self.nodes).flatten().softmax(0)
        cells = mass.multinomial(n, replacement=True, generator=generator)
        width = (self.box[:, 1] - self.box[:, 0]) * len(self.nodes) ** (-1 / len(self.box))
        uniform = torch.empty_like(self.nodes[cells]).uniform_(generator=generator)
        return self.nodes[cells] + (uniform - 0.5) * width
