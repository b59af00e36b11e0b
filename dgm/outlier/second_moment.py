"""Which data a density prefers, from moments: slope and bend of log p at one point.

Nalisnick et al. (2019), arXiv:1810.09136, section 5, eqs. 4-5, where the slope's part is left out
(they take equal means). Exact where log p is quadratic. Needs torch only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor


class Moments(NamedTuple):
    """Mean (D,) and covariance (D, D) of rows."""

    mean: Tensor
    covariance: Tensor


def moments(u: Tensor) -> Moments:
    """Mean and covariance (divided by N) of rows u (N >= 2, D).

    Raises
    ------
    ValueError
        u is no matrix of at least two rows.

    Examples
    --------
    >>> moments(torch.tensor([[0.0, 1.0], [2.0, 1.0]])).covariance
    tensor([[1., 0.],
            [0., 0.]])
    """
    if not isinstance(u, Tensor) or u.ndim != 2 or len(u) < 2:
        raise ValueError(f"u must be rows (N >= 2, D), got {getattr(u, 'shape', type(u).__name__)}")
    centred = u - u.mean(0)
    return Moments(u.mean(0), centred.T @ centred / len(u))


def slope_and_bend(
    log_prob: Callable[[Tensor], Tensor], at: Tensor, at_once: int = 64
) -> tuple[Tensor, Tensor]:
    """Gradient (D,) and Hessian (D, D) of ``log_prob`` of rows, (B, D) -> (B,), at one point.

    The Hessian is taken column by column, from the gradient's derivative along each axis.

    Raises
    ------
    ValueError
        ``at`` is no vector.

    Examples
    --------
    >>> slope_and_bend(lambda u: -u.square().sum(1), torch.tensor([1.0, 0.0]))[1]
    tensor([[-2., -0.],
            [-0., -2.]])
    """
    if at.ndim != 1:
        raise ValueError(f"at must be a vector (D,), got shape {tuple(at.shape)}")
    columns = []
    for axes in torch.eye(len(at)).to(at).split(at_once):
        u = at.expand(len(axes), -1).clone().requires_grad_()
        (slope,) = torch.autograd.grad(log_prob(u).sum(), u, create_graph=True)
        (column,) = torch.autograd.grad((slope * axes).sum(), u)
        columns.append(column)
    bend = torch.cat(columns)
    return slope[0].detach(), (bend + bend.T) / 2


def foretold_gap(
    slope: Tensor, bend: Tensor, at: Tensor, inside: Moments, outside: Moments
) -> Tensor:
    """E log p over the outside less E log p over the inside, () nats, from moments alone.

    log p is taken as its second-order expansion around ``at``: with moments m and C of a set,
    E log p = log p(at) + slope . (m - at) + tr(bend (C + (m - at)(m - at)^T)) / 2.
    Above zero the outsiders are the more likely ones.

    Examples
    --------
    >>> zero, eye = torch.zeros(2), torch.eye(2)
    >>> foretold_gap(zero, -eye, zero, Moments(zero, eye), Moments(zero, eye / 4))
    tensor(0.7500)
    """

    def mean_of(part: Moments) -> Tensor:
        away = part.mean - at
        return slope @ away + 0.5 * ((bend * part.covariance).sum() + away @ bend @ away)

    return mean_of(outside) - mean_of(inside)
