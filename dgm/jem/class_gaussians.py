"""A Gaussian for each class, wide along a few directions: the law an energy model departs from.

Yang and Ji (2021), JEM++, arXiv:2109.09032, section 3.3 (a start that has seen the data in place
of uniform noise). Needs torch only.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn


class ClassGaussians(nn.Module):
    """u = mean_y + F_y a + s_y e with a (R,), e (D,) standard normal, one (mean, F, s) for each y.

    The principal directions of the examples of each class, with their spread; what is left over is
    equal noise. Before `fit_to` it is the standard normal for every class.

    Parameters
    ----------
    data : what x is: ``shape``, ``dims``, ``count(n)``.
    labels : what y is, ``Levels((), K)``: ``levels``, ``check(y, name)``.
    rank : int
        R, the directions of a class; at most D - 1 of them.

    Examples
    --------
    >>> from dgm.distribution.support import Levels, Reals
    >>> start = ClassGaussians(Reals((2,)), Levels((), 3), rank=1)
    >>> start.fit_to(torch.randn(30, 2), torch.arange(30) % 3)
    >>> u = start.draw(torch.tensor([0, 2, 2, 1]))
    >>> u.shape, start.log_prob(u).shape
    (torch.Size([4, 2]), torch.Size([4]))
    """

    def __init__(self, data: Any, labels: Any, rank: int = 8):
        super().__init__()
        self.data, self.labels = data, labels
        rank = min(data.count(rank, "rank", least=0), data.dims - 1)
        self.register_buffer("mean", torch.zeros(labels.levels, data.dims))
        self.register_buffer("factor", torch.zeros(labels.levels, data.dims, rank))
        self.register_buffer("spread", torch.ones(labels.levels))

    @torch.no_grad()
    def fit_to(self, u: Tensor, y: Tensor) -> None:
        """Take over the examples u (N, *shape), floats, of the classes y (N,).

        Raises
        ------
        ValueError : u or y is not finite, of another shape or length, or a class has no two rows.
        """
        rows, y = self.data.finite(u, "u").flatten(1), self.labels.check(y, "y")
        if rows.shape[1] != self.data.dims or len(rows) != len(y):
            need = f"({len(y)}, {self.data.dims}) numbers"
            raise ValueError(f"u must hold {need}, an example for each y, got {tuple(u.shape)}")
        rank = self.factor.shape[2]
        for k in range(self.labels.levels):
            of_class = rows[y == k]
            if len(of_class) < 2:
                raise ValueError(f"y must hold two examples of each class, got {len(of_class)} {k}")
            mean = of_class.mean(0)
            _, s, v = torch.linalg.svd(of_class - mean, full_matrices=False)
            variances = s.square() / (len(of_class) - 1)  # along the principal directions
            r = min(rank, len(variances))
            left = (variances[r:].sum() / (self.data.dims - r)).clamp_min(1e-6)
            self.mean[k] = mean
            self.factor[k].zero_()
            self.factor[k, :, :r] = v[:r].T * (variances[:r] - left).clamp_min(0).sqrt()
            self.spread[k] = left.sqrt()

    def log_prob(self, u: Tensor) -> Tensor:
        """log of the mean of the K densities at u (B, *shape), (B,) nats, exact.

        The directions of a class are orthogonal, so no matrix is inverted: along direction r the
        variance is spread^2 + |factor_r|^2, across all of them spread^2.
        """
        rows, r = u.flatten(1), self.factor.shape[2]
        away = rows[:, None] - self.mean  # (B, K, D)
        noise = self.spread.square()  # (K,)
        squares = self.factor.square().sum(1)  # (K, R)
        along = torch.einsum("bkd,kdr->bkr", away, self.factor).square()
        shrunk = along / (noise[:, None] + squares)  # (B, K, R)
        distance = (away.square().sum(2) - shrunk.sum(2)) / noise
        log_det = (noise[:, None] + squares).log().sum(1) + (self.data.dims - r) * noise.log()
        each = -0.5 * (distance + log_det + self.data.dims * math.log(2 * math.pi))
        return each.logsumexp(1) - math.log(len(self.mean))

    @torch.no_grad()
    def draw(self, y: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """One point (B, *shape) for each class in y (B,). The generator lives on its device."""
        y = self.labels.check(y, "y")
        size, made = (len(y), self.factor.shape[2]), dict(generator=generator, device=y.device)
        a, e = torch.randn(*size, **made), torch.randn(len(y), self.data.dims, **made)
        a, e = a.to(self.mean), e.to(self.mean)
        along = (self.factor[y] @ a[:, :, None]).squeeze(2)  # (B, D)
        rows = self.mean[y] + along + self.spread[y, None] * e
        return rows.view(len(y), *self.data.shape)
