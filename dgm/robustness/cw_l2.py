"""Carlini and Wagner's attack: the nearest picture in the Euclidean norm that is called otherwise.

Carlini and Wagner (2017), arXiv:1608.04644, sections V and VI (f6, tanh variable, search over c);
a second hinge for a detector: Carlini and Wagner (2017), arXiv:1705.07263. Needs torch only.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

EDGE = 1e-3  # how far inside -1 .. 1 a black or white pixel begins: nearer, tanh hardly moves it


def margins(logits: Tensor, y: Tensor) -> Tensor:
    """Logit of the class y less the best other one, (B,): negative where the class is lost."""
    own = logits.gather(1, y[:, None]).squeeze(1)
    others = logits.scatter(1, y[:, None], -math.inf)
    return own - others.amax(1)


class _Target:
    """What the attacker wants of each picture, and the nearest one that gave it so far."""

    def __init__(
        self, logits: Callable, u: Tensor, y: Tensor, kappa: float, extra: Callable | None
    ):
        self.logits, self.u, self.y, self.kappa, self.extra = logits, u, y, kappa, extra
        self.nearest, self.distance = u.clone(), u.new_full((len(u),), math.inf)

    def hinge_and_success(self, v: Tensor) -> tuple[Tensor, Tensor]:
        """What is to be pushed to zero (B,), and where v (B, ...) is adversarial (B,)."""
        margin = margins(self.logits(v), self.y)
        hinge, success = (margin + self.kappa).clamp_min(0), margin < -self.kappa
        if self.extra is not None:
            alarm = self.extra(v)
            hinge, success = hinge + alarm.clamp_min(0), success & (alarm <= 0)
        return hinge, success

    def take(self, v: Tensor, success: Tensor) -> Tensor:
        """Keep the rows of v (B, ...) that succeed nearer than before; distances (B,) of v."""
        distance = (v - self.u).flatten(1).norm(dim=1)
        better = success & (distance < self.distance)
        self.nearest[better] = v[better]
        self.distance = torch.where(better, distance, self.distance)
        return distance


def _check_attack(u: Tensor, y: Tensor, low: float, high: float, **counts: int) -> None:
    """Raise a ValueError that names what no attack can begin with."""
    for name, n in counts.items():
        if isinstance(n, bool) or not isinstance(n, int) or n < 1:
            raise ValueError(f"{name} must be a whole number from 1, got {n!r}")
    floats = isinstance(u, Tensor) and u.is_floating_point() and u.numel() > 0
    if not floats or not (u.min() >= low and u.max() <= high):
        raise ValueError(f"u must be floats in {low} .. {high}")
    if not isinstance(y, Tensor) or y.shape != u.shape[:1] or y.is_floating_point():
        raise ValueError(f"y must hold a class for each of {len(u)} pictures")


def cw_l2(
    logits: Callable[[Tensor], Tensor],
    u: Tensor,
    y: Tensor,
    *,
    steps: int = 200,
    searches: int = 6,
    rate: float = 0.1,
    kappa: float = 0.0,
    first_c: float = 0.1,
    low: float = 0.0,
    high: float = 1.0,
    extra: Callable[[Tensor], Tensor] | None = None,
) -> tuple[Tensor, Tensor]:
    """Minimise |v - u|^2 + c max(0, margin + kappa) over v in the box, c by search.

    v = low + (high - low) (1 + tanh w) / 2 keeps it there without a projection. A picture that is
    misclassified as it is comes back unchanged, at distance 0: leave such pictures out of rates.

    Parameters
    ----------
    logits : pictures (B, ...) to (B, K), with a slope; log densities will do.
    y : the true classes (B,).
    steps, searches : of Adam for one c, its rate falling to zero; values of c for each picture.
    kappa : by how much the other class must win for a success.
    first_c : where the search begins; it goes up or down tenfold until it turns, then by halving
        of its logarithm.
    extra : pictures to a hinge (B,), at most 0 where a detector is content. It is added to the
        other one, and a success needs both.

    Returns
    -------
    nearest, found
        Pictures (B, ...), u itself where there was no success; and where there was one (B,).

    Raises
    ------
    ValueError : no step or search, u outside of the box or no floats, labels that do not fit.

    Examples
    --------
    >>> line = lambda v: torch.stack((v[:, 0], 1 - v[:, 0]), 1)  # class 0 right of the middle
    >>> v, found = cw_l2(line, torch.tensor([[0.8, 0.5]]), torch.tensor([0]))
    >>> round((v - torch.tensor([[0.8, 0.5]])).norm().item(), 2), bool(found)
    (0.3, True)
    """
    _check_attack(u, y, low, high, steps=steps, searches=searches)
    u, width = u.detach(), high - low
    target = _Target(logits, u, y.long(), kappa, extra)
    # the picture itself first: at distance zero nothing is nearer
    with torch.no_grad():
        target.take(u, target.hinge_and_success(u)[1])
    inside = (2 * (u - low) / width - 1).clamp(-1 + EDGE, 1 - EDGE)
    c, least, most = (u.new_full((len(u),), value) for value in (first_c, 0.0, math.inf))
    for _ in range(searches):
        w, ever = torch.atanh(inside), torch.zeros(len(u), dtype=torch.bool, device=u.device)
        optimiser = torch.optim.Adam([w], lr=rate)
        for step in range(steps):
            optimiser.param_groups[0]["lr"] = rate * (1 - step / steps)
            with torch.enable_grad():
                v = low + width * (1 + torch.tanh(w.requires_grad_())) / 2
                hinge, success = target.hinge_and_success(v)
                cost = (v - u).square().flatten(1).sum(1) + c * hinge
                w.grad = torch.autograd.grad(cost.sum(), w)[0]
            target.take(v.detach(), success)
            ever |= success
            optimiser.step()
        # a success asks for a smaller c, a failure for a larger one
        most, least = torch.where(ever, c, most), torch.where(ever, least, c)
        between = torch.where(least > 0, (least * most).sqrt(), c / 10)
        c = torch.where(most.isinf(), 10 * c, between)
    return target.nearest, target.distance < math.inf
