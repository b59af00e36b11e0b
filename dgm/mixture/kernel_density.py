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
    data : Reals (support.py)
        Points (D,): ``dims``, ``check(x)``, ``count(n)``.
    points : (N, D)
        The memorised examples, kept as a buffer.
    bandwidth : float
        h > 0, in the units of x. Its log is the only parameter.

    Notes
    -----
    Own methods: ``leave_one_out``.

    Examples
    --------
    >>> from dgm.distribution.support import Reals
    >>> model = KernelDensity(Reals((2,)), torch.zeros(4, 2), bandwidth=1.0)
    >>> model.log_prob(torch.zeros(1, 2)).exp()
    tensor([0.1592], grad_fn=<ExpBackward0>)
    """

    def __init__(self, data: object, points: Tensor, bandwidth: float = 1.0):
        super().__init__()
        if len(data.shape) != 1:
            raise ValueError(f"data must be points (D,), got shape {data.shape}")
        if not 0 < bandwidth < math.inf:
            raise ValueError(f"bandwidth is positive and finite, got {bandwidth}")
        self.data = data
        self.register_buffer("points", data.check(points, "points").clone())
        self.log_bandwidth = nn.Parameter(torch.tensor(math.log(bandwidth), dtype=points.dtype))

    @torch.no_grad()
    def fit_to(self, x: Tensor) -> "KernelDensity":
        """Memorise x (N, D) in place of what was memorised; the bandwidth stays; self."""
        self.points = self.data.check(x).clone()
        return self

    def _pairs(self, x: Tensor) -> Tensor:
        """log N(x_b; x_n, h^2 I), (B, N)."""
        squared = (x[:, None, :] - self.points).square().sum(-1)
        constant = x.shape[1] * (self.log_bandwidth + 0.5 * math.log(2 * math.pi))
        return -0.5 * squared * (-2 * self.log_bandwidth).exp() - constant

    def log_prob(self, x: Tensor) -> Tensor:
        """Exact log density, (B,) nats."""
        x = self.data.check(x, trusted=self.training)
        return self._pairs(x).logsumexp(1) - math.log(len(self.points))

    def loss(self, x: Tensor) -> Tensor:
        """Negative log density, (B,) nats. On the memorised points it has no minimum in h."""
        return -self.log_prob(x)

    def leave_one_out(self) -> Tensor:
        """log density of every memorised point under all the others, (N,) nats; needs N >= 2."""
        if len(self.points) < 2:
            raise ValueError("points must hold 2 or more: one has no others")
        pairs = self._pairs(self.points)
        itself = torch.eye(len(pairs), dtype=torch.bool, device=pairs.device)
        return pairs.masked_fill(itself, -math.inf).logsumexp(1) - math.log(len(pairs) - 1)

    @torch.no_grad()
    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """Draw (n, D): a memorised point plus noise of scale h.

        The generator lives on the model's device.
        """
        size, device = (self.data.count(n),), self.points.device
        rows = torch.randint(len(self.points), size, generator=generator, device=device)
        points = self.points[rows]
        noise = torch.empty_like(points).normal_(generator=generator)
        return points + self.log_bandwidth.exp() * noise


class PixelKernelDensity(nn.Module):
    """P(x) = 1/N sum_n prod_d k_h(x_d | x_nd) for integers x (B, *shape): mass, never above 1.

    The kernel of a pixel is a bell curve read at the integers and normalised over them,
    k_h(v | c) = exp(-(v - c)^2 / 2 h^2) / sum_u exp(-(u - c)^2 / 2 h^2).

    Parameters
    ----------
    data : Levels (support.py)
        What x is: ``shape``, ``levels``, ``check(x)``, ``stored(v)``, ``count(n)``.
    images : (N, *shape)
        The memorised examples, kept as stored in a buffer.
    bandwidth : float
        h > 0, in levels. Its log is the only parameter.

    Notes
    -----
    Own methods: ``kernel``.

    Examples
    --------
    >>> from dgm.distribution.support import Levels
    >>> images = torch.tensor([[[[0, 4]]], [[[3, 3]]]])
    >>> model = PixelKernelDensity(Levels((1, 1, 2), 5), images, bandwidth=0.01)
    >>> model.log_prob(images)  # log 1/2: one of two
    tensor([-0.6931, -0.6931], grad_fn=<SubBackward0>)
    """

    def __init__(self, data: object, images: Tensor, bandwidth: float = 1.0):
        super().__init__()
        if not 0 < bandwidth < math.inf:
            raise ValueError(f"bandwidth is positive and finite, got {bandwidth}")
        self.data = data
        self.register_buffer("images", data.stored(data.check(images, "images")))
        self.log_bandwidth = nn.Parameter(torch.tensor(math.log(bandwidth)))

    @torch.no_grad()
    def fit_to(self, x: Tensor) -> "PixelKernelDensity":
        """Memorise x (N, *shape) in place of what was memorised; the bandwidth stays; self."""
        self.images = self.data.stored(self.data.check(x))
        return self

    def kernel(self) -> Tensor:
        """log k_h(v | c), (levels, levels): row c, column v; every row sums to one in mass."""
        v = torch.arange(self.data.levels, device=self.images.device).to(self.log_bandwidth)
        squared = (v[:, None] - v).square()
        return (-0.5 * squared * (-2 * self.log_bandwidth).exp()).log_softmax(1)

    def log_prob(self, x: Tensor) -> Tensor:
        """Exact log mass, (B,) nats; at most -log N + log(copies of x) as h -> 0."""
        v = self.data.check(x, trusted=self.training).flatten(1)
        table = self.kernel()[self.images.flatten(1).long()].flatten(1)  # (N, D * levels)
        one_hot = F.one_hot(v, self.data.levels).flatten(1).to(table.dtype)
        return (one_hot @ table.T).logsumexp(1) - math.log(len(table))

    def loss(self, x: Tensor) -> Tensor:
        """Negative log mass, (B,) nats."""
        return -self.log_prob(x)

    @torch.no_grad()
    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """Draw (n, *shape) as stored: a memorised image, every pixel moved by the kernel.

        The generator lives on the model's device.
        """
        if self.data.count(n) == 0:
            return self.images[:0]
        size, device = (n,), self.images.device
        rows = torch.randint(len(self.images), size, generator=generator, device=device)
        probs = self.kernel().exp()[self.images[rows].flatten().long()]  # (n * D, levels)
        x = torch.multinomial(probs, 1, generator=generator).view(n, *self.data.shape)
        return self.data.stored(x)
