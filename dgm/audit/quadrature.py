"""Adaptive quadrature in one and two dimensions, and the chi-square of counts."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

_NODES, _WEIGHTS = (torch.from_numpy(a) for a in np.polynomial.legendre.leggauss(5))


def adaptive_masses(
    log_density: Callable[[Tensor], Tensor],
    edges: list[Tensor],
    tolerance: float = 1e-6,
    max_points: int = 400_000,
) -> tuple[Tensor, float]:
    """Mass of exp(log_density) in every cell of a grid, and an estimate of the total error.

    A cell is cut in halves (quarters in 2-D) until its five-point Gauss-Legendre value and that
    of its parts agree; `log_density` takes (N, D) points. Returns masses of shape
    `[len(e) - 1 for e in edges]`.
    """
    grid = [torch.stack((e[:-1], e[1:]), -1) for e in edges]  # D times (cells, 2)
    index = torch.cartesian_prod(*[torch.arange(len(g)) for g in grid]).reshape(-1, len(edges))
    boxes = torch.stack([g[i] for g, i in zip(grid, index.T, strict=True)], 1)  # (N, D, 2)
    owner = torch.arange(len(boxes))
    values = _cell_integrals(log_density, boxes)
    masses, error, points = values.new_zeros(len(boxes)), 0.0, 0
    while len(boxes):
        children = _split(boxes)  # (N, 2**D, D, 2)
        points += children[..., 0, 0].numel() * len(_NODES) ** len(edges)
        parts = _cell_integrals(log_density, children.flatten(0, 1)).view(len(boxes), -1)
        change = (parts.sum(1) - values).abs()
        active = ~(change <= tolerance)
        if points > max_points:
            error += change[active].sum().item()
            active = torch.zeros_like(active)
        masses.index_add_(0, owner[~active], parts[~active].sum(1))
        boxes, values = children[active].flatten(0, 1), parts[active].flatten()
        owner = owner[active].repeat_interleave(2 ** len(edges))
    return masses.view(*[len(g) for g in grid]), error


def _split(boxes: Tensor) -> Tensor:
    """Halve every side: (N, D, 2) -> (N, 2**D, D, 2)."""
    middle = boxes.mean(-1)  # (N, D)
    halves = torch.stack(
        (torch.stack((boxes[..., 0], middle), -1), torch.stack((middle, boxes[..., 1]), -1)), 2
    )  # (N, D, half, 2)
    n_dims = boxes.shape[1]
    choice = torch.cartesian_prod(*[torch.arange(2)] * n_dims).reshape(-1, n_dims)  # (2**D, D)
    return torch.stack([halves[:, d, choice[:, d]] for d in range(n_dims)], 2)


def _cell_integrals(log_density: Callable[[Tensor], Tensor], boxes: Tensor) -> Tensor:
    """Gauss-Legendre integral of every box (N, D, 2) -> (N,)."""
    n_dims, n_nodes = boxes.shape[1], len(_NODES)
    pick = torch.cartesian_prod(*[torch.arange(n_nodes)] * n_dims).reshape(-1, n_dims)
    low, high = boxes[:, None, :, 0], boxes[:, None, :, 1]  # (N, 1, D)
    points = low + (high - low) * (_NODES[pick] + 1) / 2  # (N, nodes**D, D)
    weights = (_WEIGHTS[pick] / 2).prod(1) * (high - low).prod(-1)  # (N, nodes**D)
    density = log_density(points.flatten(0, 1)).exp().view(len(boxes), -1)
    return (density * weights).sum(1)


def cover(points: Tensor, bounds: tuple[Tensor, Tensor] | None, n_cells: int = 8) -> list[Tensor]:
    """Grid edges for each column of `points` (N, D): quantiles inside, growing cells outside."""
    middle = torch.linspace(0, 1, n_cells + 1, dtype=points.dtype)
    tail = points.new_tensor([0.005, 0.03])  # thin cells: mass may crowd against a bound
    quantile = torch.cat((middle, tail, 1 - tail)).sort().values
    steps = points.new_tensor([0.25, 1.0, 4.0, 16.0])
    edges = []
    for d, column in enumerate(points.T):
        inner = column.quantile(quantile)
        size = (inner[-1] - inner[0]).clamp(min=1e-3)
        e = torch.cat((inner[0] - size * steps.flip(0), inner, inner[-1] + size * steps))
        if bounds is not None:
            low, high = bounds[0][d], bounds[1][d]
            e = torch.cat((low[None], e[(e > low) & (e < high)], high[None]))
        edges.append(e.unique())
    return edges


def chi_square_z(counts: Tensor, masses: Tensor, n: int) -> tuple[float, int]:
    """How many standard deviations `n` draws are from the masses, and the number of cells.

    Draws and mass outside the cells form one more cell. Pearson's statistic over cells with at
    least 5 expected draws (the rest is pooled), on a normal scale by Wilson and Hilferty (1931).
    """
    outside = torch.stack((n - counts.sum().double(), n * (1 - masses.sum()).clamp(min=0)))
    counts = torch.cat((counts.double(), outside[:1]))
    expected = torch.cat((n * masses, outside[1:]))
    # cells that expect fewer than five are pooled
    order = expected.argsort()
    counts, expected = counts[order], expected[order]
    n_pooled = int((expected < 5).sum())
    while 0 < n_pooled < len(expected) and expected[:n_pooled].sum() < 5:
        n_pooled += 1
    if n_pooled:
        counts = torch.cat((counts[:n_pooled].sum()[None], counts[n_pooled:]))
        expected = torch.cat((expected[:n_pooled].sum()[None], expected[n_pooled:]))
    if len(counts) < 2:
        return 0.0, 1
    # Wilson and Hilferty: the cube root is nearly normal
    statistic = ((counts - expected).square() / expected.clamp(min=1e-9)).sum().item()
    k = len(counts) - 1
    return ((statistic / k) ** (1 / 3) - 1 + 2 / (9 * k)) / math.sqrt(2 / (9 * k)), k + 1
