"""Sparse codes for a given dictionary: the lasso by ISTA and FISTA, with a certificate.

Olshausen & Field (1996), doi:10.1038/381607a0; ISTA and FISTA: Beck & Teboulle (2009),
doi:10.1137/080716542, eqs. 1.4, 4.1-4.3; restart: O'Donoghue & Candes (2015), arXiv:1204.3982.
Needs torch only.
"""

import math

import torch
from torch import Tensor


def soft_threshold(u: Tensor, threshold: Tensor | float) -> Tensor:
    """Move every number towards zero by ``threshold``, and stop there: sign(u) max(|u| - t, 0)."""
    return u - u.clamp(-threshold, threshold)  # two passes over u


def sparse_objective(x: Tensor, h: Tensor, dictionary: Tensor, penalty: float) -> Tensor:
    """F(h) = |x - D h|^2 / 2 + penalty |h|_1, (B,), for x (B, n), h (B, m), D (n, m)."""
    return 0.5 * (x - h @ dictionary.T).square().sum(1) + penalty * h.abs().sum(1)


def kkt_gap(x: Tensor, h: Tensor, dictionary: Tensor, penalty: float) -> Tensor:
    """How far h (B, m) is from optimal, (B,): 0 exactly at the minimum.

    There D^T (x - D h) equals penalty sign(h) where h is active, and is at most penalty in size
    elsewhere; returned is the largest departure, in the units of the penalty.
    """
    pull = (x - h @ dictionary.T) @ dictionary  # (B, m)
    inactive = (pull.abs() - penalty).clamp_min(0)
    return torch.where(h == 0, inactive, (pull - penalty * h.sign()).abs()).amax(1)


def _prepare_code(x: Tensor, dictionary: Tensor, penalty: float, start: Tensor | None):
    """Check the arguments; the first code (B, m) and L, the largest squared singular value."""
    if dictionary.ndim != 2 or 0 in dictionary.shape or not torch.isfinite(dictionary).all():
        raise ValueError(f"dictionary must be finite (n, m), got {tuple(dictionary.shape)}")
    n, m = dictionary.shape
    if x.ndim != 2 or x.shape[1] != n or len(x) == 0:
        raise ValueError(f"x must be (B, {n}) with B > 0, got {tuple(x.shape)}")
    if not x.is_floating_point() or not torch.isfinite(x).all():
        raise ValueError(f"x must be finite floats, got {x.dtype} (NaN and infinity refused)")
    if not 0 <= penalty < math.inf:
        raise ValueError(f"penalty is finite and at least 0, got {penalty}")
    if start is not None and start.shape != (len(x), m):
        raise ValueError(f"start must be ({len(x)}, {m}), got {tuple(start.shape)}")
    h = x.new_zeros(len(x), m) if start is None else start
    return h, torch.linalg.matrix_norm(dictionary, 2).square().clamp_min(1e-12)


@torch.no_grad()
def ista(
    x: Tensor, dictionary: Tensor, penalty: float, steps: int = 100, start: Tensor | None = None
) -> Tensor:
    """``steps`` of h <- soft(h - D^T (D h - x) / L, penalty / L): the code (B, m).

    The objective never rises, and its distance from the minimum falls at least like 1 / steps.
    """
    h, lipschitz = _prepare_code(x, dictionary, penalty, start)
    scaled = dictionary / lipschitz  # (n, m)
    for _ in range(steps):
        h = soft_threshold(torch.addmm(h, x - h @ dictionary.T, scaled), penalty / lipschitz)
    return h


@torch.no_grad()
def fista(
    x: Tensor, dictionary: Tensor, penalty: float, steps: int = 100, start: Tensor | None = None
) -> Tensor:
    """ISTA from a point ahead: momentum makes the bound fall like 1 / steps^2. Code (B, m).

    Momentum overshoots. Where an example's objective rises, its step is taken again without
    momentum, which starts afresh (restart by function value): so here too it never rises.
    """
    h, lipschitz = _prepare_code(x, dictionary, penalty, start)
    scaled, threshold = dictionary / lipschitz, penalty / lipschitz

    def look(x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """What is left of x after D h, (B, n), and the objective, (B,)."""
        left = torch.addmm(x, h, dictionary.T, alpha=-1)
        return left, 0.5 * left.norm(dim=1).square() + penalty * h.norm(1, dim=1)

    left, value = look(x, h)
    ahead, left_ahead, t = h, left, x.new_ones(len(x), 1)
    for _ in range(steps):
        new = soft_threshold(torch.addmm(ahead, left_ahead, scaled), threshold)
        new_left, new_value = look(x, new)
        if len(up := (new_value > value).nonzero()[:, 0]):  # these examples again
            t[up] = 1.0
            new[up] = soft_threshold(torch.addmm(h[up], left[up], scaled), threshold)
            new_left[up], new_value[up] = look(x[up], new[up])
        t_next = (1 + (1 + 4 * t.square()).sqrt()) / 2
        further = 1 + (t - 1) / t_next  # 1 and the momentum
        ahead = h.lerp(new, further)
        left_ahead = left.lerp(new_left, further)  # linear: no product with D
        h, left, value, t = new, new_left, new_value, t_next
    return h
