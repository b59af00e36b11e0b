"""Adaptive quadrature in one and two dimensions, and the chi-square of counts."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

_NODES, _WEIGHTS = (torch.from_numpy(a) for a in np.polynomial.legendre.leggauss(5))
N_KNOWN = 2048  # known points to look closely at
LOST = 0.002  # share of them that may lie on peaks which are not seen


class Masses(NamedTuple):
    """Mass in every cell of a grid, an estimate of the total error, and what was overlooked.

    ``unseen`` is the share of the known points whose density is over twice that of every node near
    it: a peak between the nodes, which neither the masses nor the error know of.
    """

    cells: Tensor
    error: float
    unseen: float


def adaptive_masses(
    log_density: Callable[[Tensor], Tensor],
    edges: list[Tensor],
    tolerance: float = 1e-6,
    max_points: int = 400_000,
    known: Tensor | None = None,
) -> Masses:
    """Mass of exp(log_density) in every cell of a grid.

    A cell is cut in halves (quarters in 2-D) until its five-point Gauss-Legendre value and that
    of its parts agree, and until the nodes have seen the density of the first ``known`` points
    (M, D) in it: a peak between all nodes leaves no trace in their values. `log_density` takes
    (N, D) points. The cells have shape `[len(e) - 1 for e in edges]`.
    """
    grid = [torch.stack((e[:-1], e[1:]), -1) for e in edges]  # D times (cells, 2)
    index = torch.cartesian_prod(*[torch.arange(len(g)) for g in grid]).reshape(-1, len(edges))
    boxes = torch.stack([g[i] for g, i in zip(grid, index.T, strict=True)], 1)  # (N, D, 2)
    owner = torch.arange(len(boxes))
    values, _ = _cell_integrals(log_density, boxes)
    known = boxes.new_zeros(0, len(edges)) if known is None else known[:N_KNOWN]
    place, inside = cell_of(known, edges)
    known, place = known[inside], place[inside]
    height = log_density(known).exp() if len(known) else known[:, 0]
    masses, error, points, unseen = values.new_zeros(len(boxes)), 0.0, 0, 0
    n_parts = 2 ** len(edges)
    while len(boxes):
        children = _split(boxes)  # (N, 2**D, D, 2)
        parts, highest = _cell_integrals(log_density, children.flatten(0, 1))
        parts = parts.view(len(boxes), -1)
        change = (parts.sum(1) - values).abs()
        # a known point that stands out from the nodes of its part
        place = place * n_parts + _half_of(known, boxes[place])
        out = height > 2 * highest[place]
        overlooked = torch.zeros_like(change, dtype=torch.bool)
        overlooked[place[out] // n_parts] = True
        active = ~(change <= tolerance) | overlooked
        points += n_parts * int(active.sum()) * n_parts * len(_NODES) ** len(edges)
        if points > max_points:  # those of the next round counted in
            error += change[active].sum().item()
            unseen = int(out.sum())
            active = torch.zeros_like(active)
        masses.index_add_(0, owner[~active], parts[~active].sum(1))
        # the boxes that are cut again, and the known points in them
        parent, part = place // n_parts, place % n_parts
        stays = active[parent]
        known, height = known[stays], height[stays]
        place = ((active.cumsum(0) - 1)[parent] * n_parts + part)[stays]
        boxes, values = children[active].flatten(0, 1), parts[active].flatten()
        owner = owner[active].repeat_interleave(n_parts)
    return Masses(masses.view(*[len(g) for g in grid]), error, unseen / max(1, len(inside)))


def cell_of(points: Tensor, edges: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Number of the grid cell of every point (N, D), and whether it is in one, each (N,)."""
    columns = zip(points.T.contiguous(), edges, strict=True)
    index = torch.stack([torch.bucketize(c, e) - 1 for c, e in columns])
    sizes = torch.tensor([len(e) - 1 for e in edges])[:, None]
    inside = ((index >= 0) & (index < sizes)).all(0)
    return index[0] if len(edges) == 1 else index[0] * sizes[1] + index[1], inside


def _half_of(points: Tensor, boxes: Tensor) -> Tensor:
    """Which part of its box (N, D, 2), in the order of `_split`, every point (N, D) is in."""
    upper = (points > boxes.mean(-1)).long()  # (N, D)
    return (upper * 2 ** torch.arange(points.shape[1] - 1, -1, -1)).sum(1)


def _split(boxes: Tensor) -> Tensor:
    """Halve every side: (N, D, 2) -> (N, 2**D, D, 2)."""
    middle = boxes.mean(-1)  # (N, D)
    halves = torch.stack(
        (torch.stack((boxes[..., 0], middle), -1), torch.stack((middle, boxes[..., 1]), -1)), 2
    )  # (N, D, half, 2)
    n_dims = boxes.shape[1]
    choice = torch.cartesian_prod(*[torch.arange(2)] * n_dims).reshape(-1, n_dims)  # (2**D, D)
    return torch.stack([halves[:, d, choice[:, d]] for d in range(n_dims)], 2)


def _cell_integrals(
    log_density: Callable[[Tensor], Tensor], boxes: Tensor
) -> tuple[Tensor, Tensor]:
    """Gauss-Legendre integral of every box (N, D, 2), and the highest density at its nodes."""
    n_dims, n_nodes = boxes.shape[1], len(_NODES)
    pick = torch.cartesian_prod(*[torch.arange(n_nodes)] * n_dims).reshape(-1, n_dims)
    low, high = boxes[:, None, :, 0], boxes[:, None, :, 1]  # (N, 1, D)
    points = low + (high - low) * (_NODES[pick] + 1) / 2  # (N, nodes**D, D)
    weights = (_WEIGHTS[pick] / 2).prod(1) * (high - low).prod(-1)  # (N, nodes**D)
    density = log_density(points.flatten(0, 1)).exp().view(len(boxes), -1)
    return (density * weights).sum(1), density.amax(1)


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
