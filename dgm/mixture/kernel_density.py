"""Kernel density estimates: the memoriser, a mixture with one component on every training example.

Parzen (1962), doi:10.1214/aoms/1177704472, eq. 1.4; Rosenblatt (1956). Needs torch only.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class KernelDensity(nn.Module):
    """p(x) = 1/N sum_n N(x; x_n, h^2 I) for real x (B, D): density, unbounded as h -> 0.

    Parameters
    ----------
    points : (N, D)
        The memorised examples, kept as a buffer.
    bandwidth : float
        h > 0, in the units of x. Its log is the only parameter.

    Examples
    --------
    >>> KernelDensity(torch.zeros(4, 2), bandwidth=1.0).log_prob(torch.zeros(1, 2)).exp()
    tensor([0.1592], grad_fn=<ExpBackward0>)
    """

    def __init__(self, points: Tensor, bandwidth: float = 1.0):
        super().__init__()
        if points.ndim != 2 or len(points) == 0 or not points.is_floating_point():
            raise ValueError(f"points is (N, D) float, got {tuple(points.shape)} {points.dtype}")
        if not 0 < bandwidth < math.inf:
            raise ValueError(f"bandwidth is positive and finite, got {bandwidth}")
        self.register_buffer("points", points.clone())
        self.log_bandwidth = nn.Parameter(torch.tensor(math.log(bandwidth), dtype=points.dtype))

    def _pairs(self, x: Tensor) -> Tensor:
        """log N(x_b; x_n, h^2 I), (B, N)."""
        if x.ndim != 2 or x.shape[1] != self.points.shape[1] or len(x) == 0:
            raise ValueError(f"x has shape {tuple(x.shape)}, expected (B, {self.points.shape[1]})")
        if not x.is_floating_point() or not torch.isfinite(x).all():
            raise ValueError(f"x must hold finite floats, got {x.dtype} (NaN and infinity refused)")
        squared = (x[:, None, :] - self.points).square().sum(-1)
        constant = x.shape[1] * (self.log_bandwidth + 0.5 * math.log(2 * math.pi))
        return -0.5 * squared * (-2 * self.log_bandwidth).exp() - constant

    def log_prob(self, x: Tensor) -> Tensor:
        """Exact log density, (B,) nats."""
        return self._pairs(x).logsumexp(1) - math.log(len(self.points))

    def loss(self, x: Tensor) -> Tensor:
        """Negative log density, (B,) nats. On the memorised points it has no minimum in h."""
        return -self.log_prob(x)

    def leave_one_out(self) -> Tensor:
        """log density of every memorised point under all the others, (N,) nats."""
        pairs = self._pairs(self.points)
        itself = torch.eye(len(pairs), dtype=torch.bool, device=pairs.device)
        return pairs.masked_fill(itself, -math.inf).logsumexp(1) - math.log(len(pairs) - 1)

    @torch.no_grad()
    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw (n, D): a memorised point plus noise of scale h."""
        uniform = self.points.new_ones(len(self.points))
        points = self.points[torch.multinomial(uniform, n, replacement=True, generator=generator)]
        return points + self.log_bandwidth.exp() * torch.empty_like(points).normal_(
            generator=generator
        )


class PixelKernelDensity(nn.Module):
    """P(x) = 1/N sum_n prod_d k_h(x_d | x_nd) for integers x (B, *shape): mass, never above 1.

    The kernel of a pixel is a bell curve read at the integers and normalised over them,
    k_h(v | c) = exp(-(v - c)^2 / 2 h^2) / sum_u exp(-(u - c)^2 / 2 h^2).

    Parameters
    ----------
    images : (N, *shape)
        The memorised examples, integers in 0 .. levels-1, kept as a buffer.
    levels : int
        Values a pixel can take.
    bandwidth : float
        h > 0, in levels. Its log is the only parameter.
    """

    def __init__(self, images: Tensor, levels: int, bandwidth: float = 1.0):
        super().__init__()
        if not 0 < bandwidth < math.inf:
            raise ValueError(f"bandwidth is positive and finite, got {bandwidth}")
        self.levels, self.shape = levels, images.shape[1:]
        self._check(images, "images")
        self.register_buffer("images", images.clone())
        self.log_bandwidth = nn.Parameter(torch.tensor(math.log(bandwidth)))

    def _check(self, x: Tensor, name: str) -> None:
        if x.shape[1:] != self.shape or len(x) == 0:
            raise ValueError(
                f"{name} has shape {tuple(x.shape)}, expected (B, *{tuple(self.shape)})"
            )
        if not torch.equal(x.long().to(x.dtype), x) or x.min() < 0 or x.max() >= self.levels:
            raise ValueError(
                f"{name} must hold integers in 0 .. {self.levels - 1}, got {x.dtype} "
                f"in {x.min().item()} .. {x.max().item()}"
            )

    def kernel(self) -> Tensor:
        """log k_h(v | c), (levels, levels): row c, column v; every row sums to one in mass."""
        v = torch.arange(self.levels, device=self.images.device).to(self.log_bandwidth)
        squared = (v[:, None] - v).square()
        return (-0.5 * squared * (-2 * self.log_bandwidth).exp()).log_softmax(1)

    def log_prob(self, x: Tensor) -> Tensor:
        """Exact log mass, (B,) nats; at most -log N + log(copies of x) as h -> 0."""
        self._check(x, "x")
        table = self.kernel()[self.images.flatten(1).long()].flatten(1)  # (N, D * levels)
        one_hot = F.one_hot(x.flatten(1).long(), self.levels).flatten(1).to(table.dtype)
        return (one_hot @ table.T).logsumexp(1) - math.log(len(table))

    def loss(self, x: Tensor) -> Tensor:
        """Negative log mass, (B,) nats."""
        return -self.log_prob(x)

    @torch.no_grad()
    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw (n, *shape): a memorised image with every pixel moved by the kernel."""
        uniform = torch.ones(len(self.images), device=self.images.device)
        rows = torch.multinomial(uniform, n, replacement=True, generator=generator)
        probs = self.kernel().exp()[self.images[rows].flatten().long()]  # (n * D, levels)
        x = torch.multinomial(probs, 1, generator=generator).view(n, *self.shape)
        return x.to(self.images.dtype)
