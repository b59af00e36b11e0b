"""Checks of autoregressive models: nothing of the future, the sum of conditionals, their samples.

A model is taken for one when `forward(x)` gives the laws of all variables, see chain.py.
`model.order` (D,) names the flat index of the variable that comes t-th; without it the order is
that in which the numbers are stored, or any in which nothing leaks.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from dgm.audit.chain import order_of
from dgm.audit.chance import counts_follow
from dgm.audit.report import Finding, LeftOut
from dgm.audit.subject import Subject

N_PLACES = 64  # variables that are changed, one at a time
N_EXAMPLES = 4
MAX_NUMBERS = 1_500_000  # of a table of conditionals
LEAST_ROWS = 16  # samples
_NOT_ONE = LeftOut("not autoregressive: forward does not give the law of every variable")


def _parameters(s: Subject, x: Tensor, y: Tensor | None = None) -> Tensor:
    """Parameters of every conditional, (B, D, K), variables as they are stored."""
    return s.facts.chain.table(s.call("forward", x, y=y), s.shape)


@torch.no_grad()
def no_leak(s: Subject) -> Finding | LeftOut:
    """Changing a variable moves no parameter of itself or of a variable that comes earlier."""
    if s.facts.chain is None:
        return _NOT_ONE
    rows = s.rows("forward", N_PLACES * N_EXAMPLES, 4.0)
    if why := s.too_few(rows, 8, "forward"):
        return why
    n = min(N_EXAMPLES, len(s.x), max(1, rows // 16))
    order = order_of(s)
    when = torch.linspace(0, s.dims - 1, min(N_PLACES, s.dims, rows // n)).round().long()  # (T,)
    moved = _moved(s, order[when], n)[:, order]  # (T, D), in the order
    if not moved.isfinite().all():
        return Finding(math.inf, 1e-9, "forward is not finite")
    later = torch.arange(s.dims) > when[:, None]
    leak, tolerance = moved.masked_fill(later, 0), 1e-9 if s.dtype == torch.float64 else 1e-4
    used, possible = int((moved[later] > tolerance).sum()), int(later.sum())
    if leak.max() > tolerance:
        t, d = divmod(int(leak.argmax()), s.dims)
        note = f"x at {order[when[t]]} (number {when[t]}) moves the law of {order[d]} (number {d})"
        return _another_order(s, tolerance) or Finding(leak.max().item(), tolerance, note)
    measured = math.inf if possible and not used else leak.max().item()
    return Finding(measured, tolerance, f"{used} of {possible} pairs of earlier and later are used")


@torch.no_grad()
def _moved(s: Subject, places: Tensor, n: int) -> Tensor:
    """How much each variable of `places` moves the parameters of all, (T, D), over n examples."""
    y = None if s.y is None else s.y[:n]
    before = _parameters(s, s.x[:n], y)  # (n, D, K)
    largest = before.new_zeros(len(places), s.dims)
    for i in range(n):
        flat = s.x[i].reshape(1, -1).repeat(len(places), 1)
        rows = torch.arange(len(places))
        flat[rows, places] = _other_values(s, flat[rows, places])
        again = None if y is None else y[i : i + 1].expand(len(places), *y.shape[1:])
        parts = [
            _parameters(s, part, None if again is None else again[: len(part)])
            for part in flat.view(-1, *s.shape).split(256)
        ]
        gap = (torch.cat(parts) - before[i]).abs() / (1 + before[i].abs())
        largest = torch.maximum(largest, gap.amax(2).nan_to_num(math.inf, math.inf))
    return largest


def _other_values(s: Subject, v: Tensor) -> Tensor:
    """Values the variables do not have: another level, or a real number elsewhere."""
    if not s.discrete:
        return v + s.x.std().clamp_min(0.1) * (1 + torch.rand_like(v))
    step = torch.randint(1, s.levels, v.shape)
    return ((v.long() + step) % s.levels).to(v.dtype)


def _another_order(s: Subject, tolerance: float) -> Finding | LeftOut | None:
    """Where no order is stated: whether there is one without a leak; None where there is none."""
    if s.facts.chain.stated:
        return None
    if s.rows("forward", s.dims, 4.0) < s.dims:
        own = _moved(s, torch.linspace(0, s.dims - 1, 8).round().long(), 1)
        places = torch.linspace(0, s.dims - 1, 8).round().long()
        sees_itself = own[torch.arange(len(places)), places].max() > tolerance
        return None if sees_itself else LeftOut("no order of the variables is known: model.order")
    moves = _moved(s, torch.arange(s.dims), 1) > tolerance  # (D, D): i moves the law of j
    left = torch.ones(s.dims, dtype=torch.bool)
    while left.any():
        first = left & ~moves[left].any(0)  # moved by nothing that is left
        if not first.any():
            if s.facts.chain.sure or moves.diagonal().double().mean() < 0.5:
                return None
            return LeftOut("only a loss: everything moves everything, as in no chain")
        left &= ~first
    note = f"an order without a leak, other than the stored one: {int(moves.sum())} pairs are used"
    return Finding(0.0, tolerance, note)


# --- what the conditionals say --------------------------------------------------------------------


def _no_logits(s: Subject) -> LeftOut | None:
    """Why the conditionals cannot be read as masses of levels, or None."""
    if s.facts.chain is None:
        return _NOT_ONE
    if not s.facts.chain.are_logits:
        return LeftOut("the K parameters are not the logits of the levels")
    return None


def _log_conditionals(s: Subject, x: Tensor, y: Tensor | None = None) -> Tensor:
    """log p of every level of every variable given those before it, (B, D, levels)."""
    return _parameters(s, x, y).log_softmax(-1)


@torch.no_grad()
def sum_of_conditionals(s: Subject) -> Finding | LeftOut:
    """log_prob is the sum of the log conditionals of forward, over all variables."""
    if why := _no_logits(s) or s.lacks("log_prob"):
        return why
    rows = max(1, min(len(s.x), s.rows("forward", len(s.x))))
    x, y = s.x[:rows], None if s.y is None else s.y[:rows]
    parts = _log_conditionals(s, x, y).gather(2, x.reshape(rows, -1).long()[..., None])[..., 0]
    exact, claimed = parts.sum(1), s.call("log_prob", x, y=y)
    gap = ((claimed - exact).abs() / (1 + exact.abs())).max().item()
    note = "largest relative difference on x"
    if gap > s.tight:
        close = [t for t in order_of(s)[[0, -1]] if torch.allclose(claimed, exact - parts[:, t])]
        lost = f"variable {int(close[0])} is not counted" if close else ""
        note = lost or f"log_prob goes with {s.facts.chain.factor:.3g} times the logits"
    return Finding(gap, s.tight, note)


@torch.no_grad()
def samples_follow_conditionals(s: Subject) -> Finding | LeftOut:
    """Each sampled variable is as frequent as its law given the sampled ones before it says.

    It works for any D, not enumerated.
    """
    if why := s.lacks("sample") or _no_logits(s):
        return why
    size = s.dims * s.facts.chain.n_values
    n = min(len(s.samples), max(LEAST_ROWS, MAX_NUMBERS // size), s.rows("forward", 8192))
    if why := s.too_few(n, LEAST_ROWS, "drawing"):
        return why
    x = s.samples[:n]
    log_p = torch.cat([_log_conditionals(s, part, s.first_y(len(part))) for part in x.split(256)])
    hit = torch.zeros_like(log_p).scatter_(2, x.reshape(n, -1).long()[..., None], 1.0)
    return counts_follow(log_p.double(), hit.double(), "counts")
