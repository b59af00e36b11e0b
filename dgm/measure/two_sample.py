"""Are two samples of one law? Kernel distances, and the chance of one as large if they were.

Gretton et al. (2012), JMLR 13, eq. 3 (unbiased MMD); Szekely and Rizzo (2013), eq. 2 (energy
distance); Phipson and Smyth (2010), arXiv:1603.05766, eq. 2 (its p-value). Needs torch only.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class TwoSample:
    """Distance between two samples and the chance of one as large if their laws were equal."""

    distance: float
    p_value: float

    def __str__(self) -> str:
        return f"{self.distance:.4g} (p = {self.p_value:.3g})"


def _points(a: Tensor, b: Tensor) -> Tensor:
    """Stack two samples as rows (N + M, D), float64, after checking them."""
    for name, sample in (("a", a), ("b", b)):
        if sample.ndim == 0 or len(sample) < 2:
            raise ValueError(f"{name} needs at least 2 rows, got shape {tuple(sample.shape)}")
        if not sample.to(torch.float64).isfinite().all():
            raise ValueError(f"{name} holds NaN or infinite values")
    if a.shape[1:] != b.shape[1:]:
        raise ValueError(f"a and b differ in shape: {tuple(a.shape[1:])}, {tuple(b.shape[1:])}")
    return torch.cat((a, b)).detach().to("cpu", torch.float64).reshape(len(a) + len(b), -1)


def _permutation_test(kernel: Tensor, n: int, permutations: int, seed: int) -> TwoSample:
    """Squared kernel distance of the first ``n`` rows from the rest, unbiased, and its p-value."""
    if permutations < 1:
        raise ValueError(f"permutations must be at least 1, got {permutations}")
    total, m = len(kernel), len(kernel) - n
    generator = torch.Generator().manual_seed(seed)
    orders = [torch.arange(total)]
    orders += [torch.randperm(total, generator=generator) for _ in range(permutations)]
    first = torch.zeros(len(orders), total, dtype=kernel.dtype)
    first.scatter_(1, torch.stack(orders)[:, :n], 1.0)  # (P + 1, N + M): who is in sample one
    kernel = kernel.clone().fill_diagonal_(0)
    rows = first @ kernel
    inside, cross = (rows * first).sum(1), (rows * (1 - first)).sum(1)
    outside = kernel.sum() - inside - 2 * cross
    distance = inside / (n * (n - 1)) + outside / (m * (m - 1)) - 2 * cross / (n * m)
    at_least = int((distance[1:] >= distance[0] - 1e-12).sum())
    return TwoSample(distance[0].item(), (1 + at_least) / (1 + permutations))


def mmd(
    a: Tensor, b: Tensor, *, bandwidth: float | None = None, permutations: int = 200, seed: int = 0
) -> TwoSample:
    """Return the unbiased squared maximum mean discrepancy of two samples and its p-value.

    Gaussian kernel exp(-d^2 / (2 bandwidth^2)); the bandwidth is the median distance of the pooled
    sample unless given. Needs memory for (N + M)^2 numbers: a few thousand rows.

    Raises
    ------
    ValueError
        Fewer than two rows, different shapes, values that are not finite, bandwidth <= 0.
    """
    if bandwidth is not None and not bandwidth > 0:
        raise ValueError(f"bandwidth must be above 0, got {bandwidth}")
    points = _points(a, b)
    distances = torch.cdist(points, points)
    if bandwidth is None:
        upper = torch.ones_like(distances, dtype=torch.bool).triu(1)
        bandwidth = distances[upper].median().item() or 1.0
    kernel = (-0.5 * (distances / bandwidth) ** 2).exp()
    return _permutation_test(kernel, len(a), permutations, seed)


def energy_distance(a: Tensor, b: Tensor, *, permutations: int = 200, seed: int = 0) -> TwoSample:
    """Return 2 E|X - Y| - E|X - X'| - E|Y - Y'|, unbiased, of two samples and its p-value.

    Has no bandwidth to choose; may be slightly negative when the laws are equal.

    Raises
    ------
    ValueError
        Fewer than two rows, different shapes, values that are not finite.
    """
    points = _points(a, b)
    return _permutation_test(-torch.cdist(points, points), len(a), permutations, seed)
