"""The copy that is audited: in double precision, away from the initial point, its facts found."""

from __future__ import annotations

import copy
import math
from contextlib import suppress
from dataclasses import replace

import torch
from torch import Tensor, nn

from dgm.audit.facts import examine, whole_numbers
from dgm.audit.subject import Subject, seeded, working_in


def prepared(
    model: nn.Module,
    x: Tensor,
    y: Tensor | None,
    levels: int | None,
    randomize: float,
    options: dict[str, object],
) -> tuple[Subject, torch.dtype]:
    """The model's copy with its facts, and what it computes in.

    That is float64, unless the model casts inside, or would take too long and needs no more.
    """
    found = []
    for dtype in (torch.float64, torch.float32):
        with working_in(dtype), seeded(options["seed"]):
            trial = copy.deepcopy(model).to("cpu", dtype)
            data, given = (t if t is None else t.detach().to("cpu") for t in (x, y))
            floats = data.is_floating_point()
            data = data.long() if floats and whole_numbers(data) else data
            data, given = (t.to(dtype) if _is_real(t) else t for t in (data, given))
            first = examine(trial.eval(), data, given, levels, floats, **options)
            moved = _away_from_the_start(first, randomize)
            subject = examine(moved, data, given, levels, floats, **options)
            found.append((subject, dtype))
            if not subject.facts.faults and not _dear(subject):
                return found[-1]
    double, single = found
    as_good = len(single[0].facts.faults) <= len(double[0].facts.faults)
    better = len(single[0].facts.faults) < len(double[0].facts.faults)
    return single if better or (as_good and not double[0].facts.faults) else double


def _is_real(t: Tensor | None) -> bool:
    return t is not None and t.is_floating_point()


def _dear(s: Subject) -> bool:
    """Whether double precision takes long (convolutions) and float32 is enough for the checks."""
    if s.facts.flow or (s.offers("elbo") and not s.facts.parts):
        return False
    names = [n for n in ("log_prob", "elbo", "loss", "energy") if s.offers(n)]
    return bool(names) and s.rows(names[0], 100, 1.0) < 100


def _away_from_the_start(s: Subject, randomize: float) -> nn.Module:
    """The model initialised on x, its weights moved, in eval mode."""
    s.model.train()
    name = next((n for n in ("loss", "log_prob", "elbo", "energy") if s.offers(n)), None)
    if name is not None:
        with suppress(Exception), torch.no_grad():  # the checks report what goes wrong here
            s.call(name, s.x)
    moved = _moved(s.model, randomize)
    for half in range(1, 5):  # a deep stack may need a smaller move to stay in range
        if _in_range(replace(s, model=moved, _known={}, _costs={}), name):
            break
        moved = _moved(s.model, randomize / 2**half)
    return moved


@torch.no_grad()
def _moved(model: nn.Module, randomize: float) -> nn.Module:
    """A copy in eval mode with every weight moved at random."""
    moved = copy.deepcopy(model).eval()
    for p in moved.parameters():
        if p.is_floating_point():
            fan_in = p[0].numel() if p.dim() > 1 else 1
            p.add_(torch.randn_like(p), alpha=randomize / math.sqrt(fan_in))
    return moved


@torch.no_grad()
def _in_range(s: Subject, name: str | None, n: int = 256) -> bool:
    """Whether values are finite, a flow can tell its own samples apart in float64, and the
    samples of a plane can be covered by a grid: the move shall hide no fault behind rounding."""
    with suppress(Exception):  # out of range too; what still fails after a smaller move is reported
        if name is not None and not s.call(name, s.x).isfinite().all():
            return False
        if not s.offers("inverse") or not s.offers("sample"):
            return True
        n = min(n, s.rows("sample", n), s.rows("inverse", n))
        if n < 2:
            return True
        drawn = s.sample(n)
        own = _returning(s, drawn, s.first_y(n))
        compact = _compact(drawn.flatten(1), s.x.flatten(1))
        return _returning(s, s.x, s.y) == 1 and own > 0.95 and compact
    return False


def _compact(drawn: Tensor, x: Tensor) -> bool:
    """Whether draws (N, D), D <= 2, are no heap of spikes and tails, nor far wider than the data.

    98 % of them must lie within 20 times the width of their inner half, and 100 times that of x.
    """
    if drawn.shape[1] > 2:
        return True
    q = drawn.quantile(drawn.new_tensor([0.01, 0.25, 0.75, 0.99]), dim=0)
    limit = torch.minimum(20 * (q[2] - q[1]), 100 * (x.amax(0) - x.amin(0)).clamp_min(0.1))
    return bool((q[3] - q[0] <= limit).all())


def _returning(s: Subject, x: Tensor, y: Tensor | None) -> float:
    """Share of x that inverse(forward(x)) gives back."""
    again = s.inverse(s.flow(x, y=y)[0], y=y)
    close = ((again - x).abs() <= 5 * s.tight * (1 + x.abs())).reshape(len(x), -1).all(1)
    return close.double().mean().item()
