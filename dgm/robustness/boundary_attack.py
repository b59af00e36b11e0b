"""The boundary attack: from a wrong picture towards the right one, never leaving the wrong side.

Brendel, Rauber and Bethge (2018), arXiv:1712.04248, section 2. It sees decisions only, so a slope
that is flat, false or hidden does not protect. Needs torch only.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def _each(scale: Tensor, v: Tensor) -> Tensor:
    """scale (B,) in the shape that multiplies v (B, ...)."""
    return scale.view(-1, *[1] * (v.dim() - 1))


def _row_norms(v: Tensor) -> Tensor:
    """Euclidean norm of every row, (B,)."""
    return v.flatten(1).norm(dim=1)


def to_the_boundary(
    wrong: Callable[[Tensor], Tensor], u: Tensor, v: Tensor, halvings: int = 10
) -> Tensor:
    """The point nearest to u on the line from v, among those found wrong by halving; v is wrong."""
    near, far = v.new_zeros(len(v)), v.new_ones(len(v))  # parts of the way from u to v
    for _ in range(halvings):
        middle = (near + far) / 2
        is_wrong = wrong(u + _each(middle, u) * (v - u))
        near, far = torch.where(is_wrong, near, middle), torch.where(is_wrong, middle, far)
    return u + _each(far, u) * (v - u)


@torch.no_grad()
def boundary_attack(
    wrong: Callable[[Tensor], Tensor],
    u: Tensor,
    starts: Tensor,
    steps: int = 1000,
    *,
    low: float = 0.0,
    high: float = 1.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Walk along the border of what is wrong, ever nearer to u; all pictures (B, ...) at once.

    A step goes a little sideways, on the sphere around u, and then a little inwards; it is taken
    where the new picture is still wrong. Both lengths grow after a success and shrink after a
    failure, for each picture alone, so that about half of the moves sideways (asked for in every
    fifth step) and a quarter of the whole steps are wrong.

    Parameters
    ----------
    wrong : pictures (B, ...) to (B,) bool, True where the attacker has what he wants.
    starts : pictures (B, ...) from which to begin, wrong in every row.
    steps : of the walk, 1.2 questions of ``wrong`` each; ten come before, to reach the border, and
        ten after.

    Returns
    -------
    Pictures (B, ...), wrong, in the box, and never farther away than the starts.

    Raises
    ------
    ValueError : starts of another shape, outside of the box, or one that is not wrong.

    Examples
    --------
    >>> right = lambda v: v[:, 0] > 0.5
    >>> made = torch.Generator().manual_seed(0)
    >>> u, start = torch.tensor([[0.2, 0.5]]), torch.tensor([[0.9, 0.9]])
    >>> v = boundary_attack(right, u, start, 300, generator=made)
    >>> round((v - u).norm().item(), 2)
    0.3
    """
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 0:
        raise ValueError(f"steps must be a whole number from 0, got {steps!r}")
    if starts.shape != u.shape or starts.min() < low or starts.max() > high:
        raise ValueError(f"starts must be pictures {tuple(u.shape)} in {low} .. {high}")
    if not wrong(starts).all():
        raise ValueError("starts must be wrong pictures, every one")
    v = to_the_boundary(wrong, u, starts.clone())
    sideways, inwards = (u.new_full((len(u),), length) for length in (0.1, 0.02))
    for step in range(steps):
        # sideways: noise without its part along the way, back onto the sphere around u
        away = v - u
        radius = _row_norms(away)
        unit = away / _each(radius.clamp_min(1e-12), u)
        noise = torch.randn(u.shape, generator=generator, dtype=u.dtype, device=u.device)
        noise = noise - _each((noise * unit).flatten(1).sum(1), u) * unit
        noise = noise * _each(sideways * radius / _row_norms(noise).clamp_min(1e-12), u)
        turned = away + noise
        turned = turned * _each(radius / _row_norms(turned).clamp_min(1e-12), u)
        if step % 5 == 0:
            good = wrong((u + turned).clamp(low, high))
            sideways = (sideways * torch.where(good, 1.3, 0.77)).clamp(1e-4, 0.5)
        # inwards, into the box; taken where it is wrong still and nearer than before
        candidate = (u + _each(1 - inwards, u) * turned).clamp(low, high)
        accepted = wrong(candidate) & (_row_norms(candidate - u) < radius)
        v = torch.where(_each(accepted, u), candidate, v)
        inwards = (inwards * torch.where(accepted, 1.1, 0.965)).clamp(1e-6, 0.3)
    return to_the_boundary(wrong, u, v)
