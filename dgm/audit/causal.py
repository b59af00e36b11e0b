"""Checks of autoregressive models: nothing of the future, the sum of conditionals, their samples.

A model is taken for one when it offers `log_prob` and `forward(x)` gives the parameters of every
variable given those before it, (B, *shape, K). `model.order` (D,) names the flat index of the
variable that comes t-th; without it the order is that in which the numbers are stored.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from dgm.audit.report import Finding
from dgm.audit.subject import MAX_STATES, DoesNotApply, Subject

N_PLACES = 64  # variables that are changed, one at a time
N_EXAMPLES = 4
MAX_VALUES = 16  # of the last variable, to find out what the parameters mean


def _parameters_of(s: Subject, x: Tensor, y: Tensor | None = None) -> Tensor:
    """Parameters of every conditional, (B, D, K), variables in the order of generation."""
    out = s.call("forward", x, y=y)
    return out.reshape(len(x), s.dims, -1)[:, order_of(s)]


def _repeated(s: Subject, n: int, repeats: int) -> tuple[Tensor, Tensor | None]:
    """The first n examples and their conditions, each `repeats` times in a row."""
    y = None if s.y is None else s.y[:n].repeat_interleave(repeats, 0)
    return s.x[:n].repeat_interleave(repeats, 0), y


@torch.no_grad()
def _needs_conditionals(s: Subject) -> None:
    """Raise `DoesNotApply` unless this is an autoregressive model."""
    reason = "not autoregressive: no log_prob beside a forward with parameters (B, *shape, K)"
    if s.invertible or not (s.offers("log_prob") and s.offers("forward")):
        raise DoesNotApply(reason)
    out = s.call("forward", s.x[:2])
    if not isinstance(out, Tensor) or out.shape[:-1] != s.x[:2].shape:
        raise DoesNotApply(reason)


def order_of(s: Subject) -> Tensor:
    """order[t] is the flat index of the variable that comes t-th, (D,)."""
    order = getattr(s.model, "order", None)
    if not isinstance(order, Tensor):
        return torch.arange(s.dims)
    if not torch.equal(order.flatten().sort().values, torch.arange(s.dims)):
        raise ValueError(f"order must hold each of 0..{s.dims - 1} once, got {order.tolist()}")
    return order.flatten()


@torch.no_grad()
def no_leak(s: Subject) -> Finding:
    """Changing a variable moves no parameter of itself or of a variable that comes earlier."""
    s.once(_needs_conditionals)
    order, n = order_of(s), min(N_EXAMPLES, len(s.x))
    when = torch.linspace(0, s.dims - 1, min(N_PLACES, s.dims)).round().long()  # (T,)
    x, y = _repeated(s, n, len(when))
    flat = x.reshape(len(x), -1).clone()
    rows = torch.arange(len(flat))
    place = order[when].repeat(n)
    flat[rows, place] = _other_values(s, flat[rows, place])
    before = _parameters_of(s, s.x[:n], s.y if s.y is None else s.y[:n])  # (n, D, K)
    after = _parameters_of(s, flat.view_as(x), y).unflatten(0, (n, -1))  # (n, T, D, K)
    moved = ((after - before[:, None]).abs() / (1 + before[:, None].abs())).amax((0, 3))  # (T, D)
    later = torch.arange(s.dims) > when[:, None]
    leak = moved.masked_fill(later, 0)
    if not moved.isfinite().all():
        return Finding(math.inf, 1e-9, "forward is not finite")
    if leak.max() > 1e-9:
        t, d = divmod(int(leak.argmax()), s.dims)
        note = f"x at {order[when[t]]} (number {when[t]}) moves the law of {order[d]} (number {d})"
        return Finding(leak.max().item(), 1e-9, note)
    used, possible = int((moved[later] > 1e-9).sum()), int(later.sum())
    note = f"{used} of {possible} pairs of earlier and later are used"
    return Finding(math.inf if possible and not used else leak.max().item(), 1e-9, note)


def _other_values(s: Subject, v: Tensor) -> Tensor:
    """Values the variables do not have: another level, or a real number elsewhere."""
    if not s.discrete:
        return v + s.x.std().clamp_min(0.1) * (1 + torch.rand_like(v))
    levels = s.levels or max(2, int(s.x.max()) + 1)
    step = torch.randint(1, levels, v.shape)
    return ((v.long() + step) % levels).to(v.dtype)


class _Shares(NamedTuple):
    """Whether the parameters are logits, told by the last variable in the order."""

    are_logits: bool
    factor: float  # log p = factor * logits + constant


@torch.no_grad()
def _read_logits(s: Subject) -> _Shares:
    """Compare ratios of probability, as the last variable runs over its levels, with forward."""
    s.once(_needs_conditionals)
    n, last = min(2 * N_EXAMPLES, len(s.x)), order_of(s)[-1]
    logits = _parameters_of(s, s.x[:n], s.y if s.y is None else s.y[:n])[:, -1]
    if not s.discrete or s.levels is None or logits.shape[1] != s.levels:
        return _Shares(False, math.nan)
    values = torch.linspace(0, s.levels - 1, min(MAX_VALUES, s.levels)).round().long()
    x, y = _repeated(s, n, len(values))
    flat = x.reshape(len(x), -1).clone()
    flat[:, last] = values.repeat(n).to(flat.dtype)
    odds = s.call("log_prob", flat.view_as(x), y=y).view(n, -1)
    odds, claimed = odds - odds[:, :1], logits[:, values] - logits[:, values[:1]]
    factor = ((odds * claimed).sum() / claimed.square().sum().clamp_min(1e-12)).item()
    rest = (odds - factor * claimed).abs().max() / odds.abs().max().clamp_min(1e-9)
    return _Shares(rest.item() < 1e-6, factor)


def _log_conditionals(s: Subject, x: Tensor, y: Tensor | None = None) -> Tensor:
    """log p of every level of every variable given those before, (B, D, levels), in the order."""
    if not s.once(_read_logits).are_logits:
        raise DoesNotApply("the K parameters are not the logits of the levels")
    return _parameters_of(s, x, y).log_softmax(-1)


def _in_order(s: Subject, x: Tensor) -> Tensor:
    """Integers x (B, ...) -> (B, D, 1), variables in the order of generation."""
    return x.reshape(len(x), -1)[:, order_of(s)].long()[..., None]


@torch.no_grad()
def sum_of_conditionals(s: Subject) -> Finding:
    """log_prob is the sum of the log conditionals of forward, over all variables."""
    parts = _log_conditionals(s, s.x, s.y).gather(2, _in_order(s, s.x))[..., 0]
    exact, claimed = parts.sum(1), s.call("log_prob", s.x)
    gap = ((claimed - exact).abs() / (1 + exact.abs())).max().item()
    note = "largest relative difference on x"
    if gap > 1e-6:
        close = [t for t in (0, -1) if torch.allclose(claimed, exact - parts[:, t])]
        lost = "the first variable is not counted" if 0 in close else "the last one is left out"
        factor = s.once(_read_logits).factor
        note = lost if close else f"log_prob goes with {factor:.3g} times the logits"
    return Finding(gap, 1e-6, note)


@torch.no_grad()
def samples_follow_conditionals(s: Subject) -> Finding:
    """Each sampled variable is as frequent as its law given the sampled ones before it says.

    Counts minus their conditional expectations have mean zero, whatever the dependence; so have
    log p plus the entropy, and both times what the past says. It works for any D, not enumerated.
    """
    s.needs("sample")
    _log_conditionals(s, s.x[:2], s.y if s.y is None else s.y[:2])
    x = (
        s.samples
        if s.dims * math.log(s.levels) < math.log(MAX_STATES)
        else s.sample(_affordable(s))
    )
    log_p = torch.cat([_log_conditionals(s, part, s.first_y(len(part))) for part in x.split(256)])
    p = log_p.exp()
    hit = torch.zeros_like(p).scatter_(2, _in_order(s, x), 1.0)
    surprise = (hit * log_p).sum(2) - (p * log_p).sum(2)  # (N, D), mean zero given the past
    spread = (p * log_p.square()).sum(2) - (p * log_p).sum(2).square()
    z = [(surprise.sum().abs() / (spread.sum().sqrt() + 1e-9))[None]]
    context = log_p - log_p.mean(0)  # what the past adds: samples that ignore it do not follow it
    along = ((hit - p) * context).sum()
    variance = (p * context.square()).sum() - (p * context).sum(2).square().sum()
    z.append((along.abs() / (variance.sqrt() + 1e-9))[None])
    for over in ((0,), (0, 1)):
        excess, variance = (hit - p).sum(over), (p * (1 - p)).sum(over)
        z.append((excess.abs() / variance.sqrt())[variance >= 25])
    note = f"{len(x)} samples, worst of {sum(map(len, z))} counts, in standard errors"
    return Finding(torch.cat(z).max().item(), 6.0, note)


def _affordable(s: Subject, budget: float = 4e9) -> int:
    """Samples to draw, fewer of a large model: D passes over D variables each."""
    cost = s.dims**2 * sum(p.numel() for p in s.model.parameters())
    return int(min(1024, max(32, budget / max(cost, 1))))
