"""Projected gradient descent: the worst picture that differs by a little in every pixel.

Madry et al. (2018), arXiv:1706.06083, eq. 2.2. A slope of random answers is averaged over several:
Athalye et al. (2018), arXiv:1802.00420, section 4.2. Needs torch only.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor


def pgd(
    loss: Callable[[Tensor], Tensor],
    u: Tensor,
    radius: float,
    steps: int = 20,
    *,
    low: float = -1.0,
    high: float = 1.0,
    slope: Callable[[Tensor], Tensor] | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Pictures (B, ...) in low .. high, at most ``radius`` away from u in any pixel, of high loss.

    Begins at random in that box, goes by ``2.5 radius / steps`` along the sign of the slope, and
    returns for each example the point of highest loss that it met, u itself among them.

    Parameters
    ----------
    loss : pictures (B, ...) to what the attacker wants high, (B,); it may be random.
    slope : pictures (B, ...) to a direction (B, ...) that raises the loss; the gradient of ``loss``
        unless given. An attack through a random or costly map gives its own estimate.

    Raises
    ------
    ValueError : a negative or infinite radius, no step, or u is not finite.

    Examples
    --------
    >>> u = torch.tensor([[0.0, 0.5], [0.9, 0.0]])
    >>> pgd(lambda v: v.sum(1), u, radius=0.2, high=1.0)
    tensor([[0.2000, 0.7000],
            [1.0000, 0.2000]])
    """
    if not 0 <= radius < math.inf:
        raise ValueError(f"radius must be finite and at least 0, got {radius!r}")
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise ValueError(f"steps must be a whole number from 1, got {steps!r}")
    if not isinstance(u, Tensor) or not u.is_floating_point() or not u.isfinite().all():
        raise ValueError("u must be a tensor of finite floats")

    def gradient(v: Tensor) -> Tensor:
        with torch.enable_grad():
            v = v.detach().requires_grad_()
            return torch.autograd.grad(loss(v).sum(), v)[0]

    def within(v: Tensor) -> Tensor:
        return torch.minimum(torch.maximum(v, u - radius), u + radius).clamp(low, high)

    # the best so far is the picture itself
    u = u.detach()
    with torch.no_grad():
        best, worst = u.clone(), loss(u)
    noise = torch.rand(u.shape, generator=generator, device=u.device).to(u)
    v = within(u + radius * (2 * noise - 1))
    for step in range(steps + 1):
        with torch.no_grad():
            now = loss(v)
            better = now > worst
            best[better], worst = v[better], torch.maximum(now, worst)
        if step < steps:
            v = within(v + 2.5 * radius / steps * (slope or gradient)(v).sign())
    return best
