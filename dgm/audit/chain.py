"""Whether `forward` gives the laws of a chain rule, and how its numbers are laid out.

Logits come as (B, *shape, K), (B, K, H, W), (B, C K, H, W), (B, D K), or as one number for each
bit, (B, *shape). Which it is, is told by `log_prob`: the sum of the log masses of what x holds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from dgm.audit.subject import Subject

MAX_VALUES = 16  # of the last variable, to find out what the parameters mean
N_EXAMPLES = 8
_LAYOUTS = ("last", "first", "middle")


@dataclass(frozen=True)
class Chain:
    """How the output of forward is to be read."""

    layout: str
    n_values: int  # K of (B, D, K); a bit has two logits, one of them zero
    are_logits: bool
    factor: float = 1.0  # log p goes with this times the logits
    sure: bool = True  # log_prob says so; only a loss does, where it is False
    stated: bool = False  # `model.order` says which variable comes when

    def table(self, out: Tensor, shape: torch.Size) -> Tensor:
        """Parameters of every conditional, (B, D, K), variables as they are stored."""
        return _laid_out(out, shape, self.layout)


def _laid_out(out: Tensor, shape: torch.Size, layout: str) -> Tensor:
    """(B, ...) -> (B, D, K), under one of the layouts; a single number becomes two logits."""
    n, dims = len(out), math.prod(shape)
    if layout == "last":
        table = out.reshape(n, dims, -1)
    elif layout == "first":
        table = out.reshape(n, -1, dims).mT
    else:  # the K of every channel beside one another
        table = out.reshape(n, shape[0], -1, dims // shape[0]).transpose(2, 3).reshape(n, dims, -1)
    return torch.cat((torch.zeros_like(table), table), 2) if table.shape[2] == 1 else table


def find_chain(s: Subject, out: object) -> Chain | None:
    """The chain that forward spells out, or None: a model that is something else."""
    claimed = next((n for n in ("log_prob", "loss") if s.offers(n)), None)
    if claimed is None or not isinstance(out, Tensor) or out.dim() < 2 or len(out) != len(s.x[:2]):
        return None
    if out[0].numel() % s.dims or (not s.discrete and out[0].numel() == s.dims):
        return None
    # normalised tables that add up to what the model claims
    stated = isinstance(getattr(s.model, "order", None), Tensor)
    if s.discrete:
        for layout, table in _tables(s, out):
            if _adds_up(s, table, claimed):
                return Chain(layout, table.shape[2], True, 1.0, claimed == "log_prob", stated)
    if claimed == "loss":
        return None
    # odds of two levels; then parameters of any other law
    for layout, table in _tables(s, out) if s.discrete else ():
        factor = _odds_factor(s, layout, table.shape[2])
        if factor is not None:
            return Chain(layout, table.shape[2], True, factor, True, stated)
    if out.shape[:-1] == s.x[:2].shape:
        return Chain("last", out.shape[-1], False, math.nan, True, stated)
    return None


def _tables(s: Subject, out: Tensor) -> Iterator[tuple[str, Tensor]]:
    """Every way to read the output as logits that cover the values of x."""
    for layout in _LAYOUTS:
        if layout == "middle" and (len(s.shape) < 2 or s.shape[0] == 1):
            continue
        table = _laid_out(out, s.shape, layout)
        enough = table.shape[2] == s.levels if s.facts.levels_known else table.shape[2] >= s.levels
        if enough:
            yield layout, table


def _adds_up(s: Subject, table: Tensor, claimed: str) -> bool:
    """Whether log_prob, or minus the loss, is the sum of the log masses of x, or its mean."""
    x = s.x[:2]
    terms = table.log_softmax(-1).gather(2, x.reshape(len(x), -1).long()[..., None])[..., 0]
    value, sums = s.call(claimed, x), terms.sum(1)
    if claimed == "log_prob":
        return _close(value, sums)
    if value.dim() == 0:
        return _close(-value, sums.mean()) or _close(-value, terms.mean())
    return _close(-value, sums) or _close(-value, terms.mean(1))


def _close(a: Tensor, b: Tensor) -> bool:
    return bool(((a - b).abs() <= 1e-4 * (1 + b.abs())).all())


def order_of(s: Subject) -> Tensor:
    """order[t] is the flat index of the variable that comes t-th, (D,): stated, or as stored."""
    order = getattr(s.model, "order", None)
    if not isinstance(order, Tensor):
        return torch.arange(s.dims)
    if not torch.equal(order.flatten().sort().values.cpu(), torch.arange(s.dims)):
        raise ValueError(f"order must hold each of 0..{s.dims - 1} once, got {order.tolist()}")
    return order.flatten()


def _odds_factor(s: Subject, layout: str, n_values: int) -> float | None:
    """c where, as the last variable runs over its values, log_prob goes with c times the logits."""
    n, last = min(N_EXAMPLES, len(s.x)), order_of(s)[-1]
    y = None if s.y is None else s.y[:n]
    logits = _laid_out(s.call("forward", s.x[:n], y=y), s.shape, layout)[:, last]
    values = torch.linspace(0, n_values - 1, min(MAX_VALUES, n_values)).round().long()
    flat = s.x[:n].reshape(n, -1).repeat_interleave(len(values), 0)
    flat[:, last] = values.repeat(n).to(flat.dtype)
    y = None if y is None else y.repeat_interleave(len(values), 0)
    odds = s.call("log_prob", flat.view(-1, *s.shape), y=y).view(n, -1)
    odds, claimed = odds - odds[:, :1], logits[:, values] - logits[:, values[:1]]
    factor = ((odds * claimed).sum() / claimed.square().sum().clamp_min(1e-12)).item()
    rest = (odds - factor * claimed).abs().max() / odds.abs().max().clamp_min(1e-9)
    return factor if rest.item() < s.tight else None
