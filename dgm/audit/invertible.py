"""Checks of flows: forward and inverse undo each other, log_det is the autograd one."""

from __future__ import annotations

import torch
from torch import Tensor

from dgm.audit.report import Finding, LeftOut
from dgm.audit.subject import Subject

MAX_JACOBIAN_DIMS = 256


def _not_a_flow(s: Subject) -> LeftOut | None:
    return None if s.facts.flow else LeftOut("not a flow: forward does not give (z, log_det)")


@torch.no_grad()
def round_trip(s: Subject) -> Finding | LeftOut:
    """inverse(forward(x)) = x, and forward(inverse(z)) = z on points between the z."""
    if why := _not_a_flow(s) or s.lacks("inverse"):
        return why
    rows = min(s.rows("forward", len(s.x)), s.rows("inverse", len(s.x)))
    if why := s.too_few(rows, min(2, len(s.x)), "inverse"):
        return why
    data, y = s.x[:rows], None if s.y is None else s.y[:rows]
    z = s.flow(data, y=y)[0]
    x = s.inverse(z, y=y)
    if x.shape != data.shape:
        note = f"inverse returns shape {tuple(x.shape)}, not {tuple(data.shape)}"
        return Finding(float("inf"), 0, note)
    between = (z + z.roll(1, 0)) / 2  # stays inside any convex set of z
    again = s.flow(s.inverse(between, y=y), y=y)[0]
    there, back = _relative(x, data), _relative(again, between)
    note = f"inverse(forward(x)): {there:.1g}, forward(inverse(z)): {back:.1g}, relative"
    # max() would let a nan slip through in second place
    return Finding(there + back, max(1e-5, s.tight), note)


def _relative(a: Tensor, b: Tensor) -> float:
    return ((a - b).abs() / (1 + b.abs())).max().item()


def log_det(s: Subject, n_examples: int = 3) -> Finding | LeftOut:
    """log_det equals log|det| of the Jacobian by automatic differentiation."""
    if why := _not_a_flow(s):
        return why
    if s.dims > MAX_JACOBIAN_DIMS:
        return LeftOut(f"D = {s.dims} is over {MAX_JACOBIAN_DIMS}: audit a smaller one")
    if why := s.too_few(s.rows("forward", 3 * s.dims, 3.0), 3 * s.dims, "a Jacobian"):
        return why
    # claimed, and by autograd
    claimed, pairs = s.flow(s.x)[1].detach(), []
    for i in range(min(n_examples, len(s.x))):
        jacobian = _jacobian(s, i)
        if jacobian.shape[0] != jacobian.shape[1]:
            n_out, n_in = jacobian.shape
            note = f"z has {n_out} numbers where x has {n_in}: a part was dropped or added"
            return Finding(float("inf"), s.tight, note)
        pairs.append((claimed[i], torch.linalg.slogdet(jacobian).logabsdet))
    # equal, opposite, or no log-determinant at all
    worst = max(((a - e).abs() / (1 + e.abs())).item() for a, e in pairs)
    opposite = max(((a + e).abs() / (1 + e.abs())).item() for a, e in pairs)
    if s.facts.flow == "maybe" and min(worst, opposite) > s.tight:
        return LeftOut("forward gives a number beside its output, which is no log-determinant")
    sign = " (it is its negative)" if worst > s.tight >= opposite else ""
    caution = " (D < 4 hides some faults: try D >= 4)" if s.dims < 4 else ""
    return Finding(worst, s.tight, f"D = {s.dims}, relative{sign}{caution}")


def _jacobian(s: Subject, i: int) -> Tensor:
    """dz/dx of example i, (D_z, D_x): the example is repeated, row r asked for output r."""
    n_out = s.call("forward", s.x[i : i + 1], y=None if s.y is None else s.y[i : i + 1])[0].numel()
    x = s.x[i : i + 1].repeat(n_out, *[1] * (s.x.dim() - 1)).requires_grad_()
    y = None if s.y is None else s.y[i : i + 1].expand(n_out, *s.y.shape[1:])
    z = s.call("forward", x, y=y)[0].reshape(n_out, n_out)
    (gradient,) = torch.autograd.grad(z.diagonal().sum(), x)
    return gradient.reshape(n_out, -1)
