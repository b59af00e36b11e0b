"""Calibration: do predictions of 80 per cent come true in 80 per cent of the cases?

Naeini et al. (2015), doi:10.1609/aaai.v29i1.9602 (the binned error); Guo et al. (2017),
arXiv:1706.04599 (equal bins, one temperature for all). Needs torch only.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Reliability(NamedTuple):
    """Bins (low, high] of confidence: examples, mean confidence and accuracy (NaN if none)."""

    count: Tensor
    confidence: Tensor
    accuracy: Tensor

    def error(self) -> float:
        """The calibration error: |accuracy - confidence| of the bins, weighted by their counts."""
        seen = self.count > 0
        apart = (self.accuracy - self.confidence).abs()[seen]
        return (self.count[seen] / self.count.sum() * apart).sum().item()


def _checked(p: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Probabilities (N, K) in float64 and labels (N,) as int64, or a ValueError that names one."""
    if not isinstance(p, Tensor) or p.ndim != 2 or len(p) == 0 or not p.is_floating_point():
        raise ValueError(f"p must be floats (N >= 1, K), got {getattr(p, 'shape', type(p))}")
    p = p.detach().double()
    if not bool((p >= 0).all()) or not bool(((p.sum(1) - 1).abs() < 1e-4).all()):
        raise ValueError("p must hold probabilities, each row with the sum 1")
    if not isinstance(y, Tensor) or y.shape != p.shape[:1] or y.is_floating_point():
        raise ValueError(f"y must be {len(p)} integers, got {getattr(y, 'shape', type(y))}")
    if int(y.min()) < 0 or int(y.max()) >= p.shape[1]:
        raise ValueError(
            f"y must lie in 0 .. {p.shape[1] - 1}, got {int(y.min())} .. {int(y.max())}"
        )
    return p, y.long()


def reliability(p: Tensor, y: Tensor, n_bins: int = 15) -> Reliability:
    """Predictions p (N, K) of labels y (N,), binned by their largest probability.

    >>> p = torch.tensor([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4]])
    >>> round(reliability(p, torch.tensor([0, 1, 0])).error(), 4)  # (2 * 0.4 + 1 * 0.4) / 3
    0.4
    """
    if isinstance(n_bins, bool) or not isinstance(n_bins, int) or n_bins < 1:
        raise ValueError(f"n_bins must be a whole number from 1, got {n_bins!r}")
    p, y = _checked(p, y)
    confidence, said = p.max(1)
    right = (said == y).double()
    bins = (confidence * n_bins - 1e-6).ceil().long().clamp(1, n_bins) - 1  # (low, high]
    count = torch.zeros(n_bins, dtype=torch.float64).index_add(0, bins, torch.ones_like(right))
    sums = [torch.zeros_like(count).index_add(0, bins, v) / count for v in (confidence, right)]
    return Reliability(count, *sums)


def calibration_error(p: Tensor, y: Tensor, n_bins: int = 15) -> float:
    """The expected calibration error of p (N, K) for y (N,), a share in 0 .. 1."""
    return reliability(p, y, n_bins).error()


def calibration_null(p: Tensor, n_bins: int = 15, repeats: int = 200, seed: int = 0) -> Tensor:
    """Calibration errors (repeats,) of labels drawn from p itself: what perfection would show."""
    generator = torch.Generator().manual_seed(seed)
    rows = p.detach().double()
    found = []
    for _ in range(repeats):
        y = torch.multinomial(rows, 1, generator=generator).squeeze(1)
        found.append(calibration_error(p, y, n_bins))
    return torch.tensor(found, dtype=torch.float64)


def best_temperature(logits: Tensor, y: Tensor) -> float:
    """T > 0 for which softmax(logits / T) gives y the most likelihood; logits (N, K), y (N,).

    The objective is convex in 1 / T, so a bisection on its slope finds it, between 1/100 and 100.
    """
    _checked(logits.softmax(1), y)
    f, y = logits.detach().double(), y.long()
    of_label = f.gather(1, y[:, None]).squeeze(1)

    def slope(inverse: float) -> float:  # of the mean log likelihood, falling in 1 / T
        return (of_label - ((inverse * f).softmax(1) * f).sum(1)).mean().item()

    low, high = 0.01, 100.0
    for _ in range(80):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if slope(middle) > 0 else (low, middle)
    return 1 / low
