"""Projected gradient ascent in a Euclidean ball: the worst picture at a given distance.

Madry et al. (2018), arXiv:1706.06083, eq. 2.2, with the step along the gradient in place of its
sign, as the Euclidean norm asks. Needs torch only.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor


def _into_the_ball(away: Tensor, radius: float) -> Tensor:
    """Differences (B, ...) no longer than radius, shortened where they are."""
    length = away.flatten(1).norm(dim=1).clamp_min(1e-12)
    factor = (radius / length).clamp_max(1.0)
    return away * factor.view(-1, *[1] * (away.dim() - 1))


def pgd_l2(
    loss: Callable[[Tensor], Tensor],
    u: Tensor,
    radius: float,
    steps: int = 20,
    *,
    low: float = 0.0,
    high: float = 1.0,
    start: Tensor | None = None,
) -> Tensor:
    """Pictures (B, ...) in low .. high, at most ``radius`` from u in the Euclidean norm.

    Steps of ``2.5 radius / steps`` along the gradient of the loss; the point of highest loss that
    was met is returned for each picture, u itself among them.

    Parameters
    ----------
    loss : pictures (B, ...) to what the attacker wants high, (B,).
    start : where to begin (B, ...), brought into ball and box; u unless given.

    Raises
    ------
    ValueError : a negative or infinite radius, no step, or u is not finite.

    Examples
    --------
    >>> u = torch.tensor([[0.0, 0.0], [0.9, 0.0]])
    >>> pgd_l2(lambda v: v @ torch.tensor([3.0, 4.0]), u, radius=0.5).round(decimals=1)
    tensor([[0.3000, 0.4000],
            [1.0000, 0.5000]])
    """
    if not 0 <= radius < math.inf:
        raise ValueError(f"radius must be finite and at least 0, got {radius!r}")
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise ValueError(f"steps must be a whole number from 1, got {steps!r}")
    if not isinstance(u, Tensor) or not u.is_floating_point() or not u.isfinite().all():
        raise ValueError("u must be a tensor of finite floats")

    def within(v: Tensor) -> Tensor:
        """Into the box, then the ball: u lies in both, so the second leaves the first intact."""
        return u + _into_the_ball(v.clamp(low, high) - u, radius)

    u = u.detach()
    with torch.no_grad():
        best, worst = u.clone(), loss(u)
    v = within(u if start is None else start)
    for step in range(steps + 1):
        # the best so far
        v = v.detach().requires_grad_()
        with torch.enable_grad():
            now = loss(v)
        better = now.detach() > worst
        best[better], worst = v.detach()[better], torch.maximum(now.detach(), worst)
        # one step along the gradient, of equal length for every picture
        if step < steps:
            slope = torch.autograd.grad(now.sum(), v)[0].flatten(1)
            slope = slope / slope.norm(dim=1, keepdim=True).clamp_min(1e-12)
            v = within(v.detach() + 2.5 * radius / steps * slope.view_as(v))
    return best
