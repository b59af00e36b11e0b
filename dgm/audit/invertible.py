"""Checks of flows: forward and inverse undo each other, log_det is the autograd one."""

from __future__ import annotations

import torch
from torch import Tensor

from dgm.audit.report import Finding
from dgm.audit.subject import DoesNotApply, Subject

MAX_JACOBIAN_DIMS = 256


def _needs_flow(s: Subject) -> None:
    if not s.invertible:
        raise DoesNotApply("not a flow: it has no forward and inverse on real values")


@torch.no_grad()
def round_trip(s: Subject) -> Finding:
    """inverse(forward(x)) = x, and forward(inverse(z)) = z on points between the z."""
    _needs_flow(s)
    z = s.call("forward", s.x)[0]
    x = s.call("inverse", z)
    if x.shape != s.x.shape:
        note = f"inverse returns shape {tuple(x.shape)}, not {tuple(s.x.shape)}"
        return Finding(float("inf"), 0, note)
    between = (z + z.roll(1, 0)) / 2  # stays inside any convex set of z
    again = s.call("forward", s.call("inverse", between))[0]
    there, back = _relative(x, s.x), _relative(again, between)
    note = f"inverse(forward(x)): {there:.1g}, forward(inverse(z)): {back:.1g}, relative"
    # max() would let a nan slip through in second place
    return Finding(there + back, 1e-5, note)


def _relative(a: Tensor, b: Tensor) -> float:
    return ((a - b).abs() / (1 + b.abs())).max().item()


def log_det(s: Subject, n_examples: int = 3) -> Finding:
    """log_det equals log|det| of the Jacobian by automatic differentiation."""
    _needs_flow(s)
    if s.dims > MAX_JACOBIAN_DIMS:
        raise DoesNotApply(f"D = {s.dims} is over {MAX_JACOBIAN_DIMS}: audit a smaller one")
    claimed = s.call("forward", s.x)[1].detach()
    worst = 0.0
    for i in range(min(n_examples, len(s.x))):
        jacobian = _jacobian(s, i)
        if jacobian.shape[0] != jacobian.shape[1]:
            n_out, n_in = jacobian.shape
            note = f"z has {n_out} numbers where x has {n_in}: a part was dropped or added"
            return Finding(float("inf"), 1e-6, note)
        exact = torch.linalg.slogdet(jacobian).logabsdet
        worst = max(worst, ((claimed[i] - exact).abs() / (1 + exact.abs())).item())
    caution = " (D < 4 hides some faults: try D >= 4)" if s.dims < 4 else ""
    return Finding(worst, 1e-6, f"D = {s.dims}, relative{caution}")


def _jacobian(s: Subject, i: int) -> Tensor:
    """dz/dx of example i, (D_z, D_x): the example is repeated, row r asked for output r."""
    n_out = s.call("forward", s.x[i : i + 1])[0].numel()
    x = s.x[i : i + 1].repeat(n_out, *[1] * (s.x.dim() - 1)).requires_grad_()
    y = None if s.y is None else s.y[i : i + 1].expand(n_out, *s.y.shape[1:])
    z = s.call("forward", x, y=y)[0].reshape(n_out, n_out)
    (gradient,) = torch.autograd.grad(z.diagonal().sum(), x)
    return gradient.reshape(n_out, -1)
