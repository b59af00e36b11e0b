"""Identities that decide whether samples follow a density or a mass, at any size, without its norm.

Stein (1972): over draws of a smooth density, E[f(x) g(x) + f'(x)] = 0 for its score g; with f = 1
and f = x_i, E[g_i] = 0 and E[x_i g_i] = -1. Gibbs: over draws of a mass, x_i = v is as frequent as
p(x_i = v | the others) says in the mean. Neither sees a constant in log_prob.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from dgm.audit.chance import counts_follow, mean_is_zero
from dgm.audit.report import Finding, LeftOut
from dgm.audit.subject import Subject

N_DIRECTIONS = 16
LEAST = 64  # samples
N_PLACES = 24
MAX_VALUES = 16  # a place with more is held in a random block of so many


def stein(s: Subject) -> Finding | LeftOut:
    """E[g_i] = 0 and E[x_i g_j] = -1 for i = j, for every i and in random directions."""
    if why := s.lacks("log_prob", "sample"):
        return why
    if s.discrete:
        return LeftOut("the data are whole numbers: see the Gibbs identity")
    if s.dims <= 2:
        return LeftOut("on a line or a plane samples are held against the integrated density")
    n = min(len(s.samples), s.rows("log_prob", 4096) // 3)  # a gradient takes three passes
    if why := s.too_few(n, LEAST, "drawing, and the gradient of log_prob,"):
        return why
    x = s.samples[:n].to(s.dtype)
    score = _score(s, x)
    if isinstance(score, LeftOut):
        return score
    if not _is_smooth(s, x):
        return LeftOut("log_prob jumps or ends near the samples: Stein's identity needs it smooth")
    x, g = x.reshape(n, -1), score.reshape(n, -1)
    x = (x - x.mean(0)) / x.std(0).clamp_min(1e-12)
    g = g * s.samples[:n].reshape(n, -1).to(s.dtype).std(0).clamp_min(1e-12)
    a = torch.nn.functional.normalize(torch.randn(s.dims, N_DIRECTIONS, dtype=s.dtype), dim=0)
    b = torch.nn.functional.normalize(torch.randn(s.dims, N_DIRECTIONS, dtype=s.dtype), dim=0)
    u, v = x @ a, g @ b
    values = (g, x * g + 1, v, u * v + (a * b).sum(0), (x * g + 1).mean(1, keepdim=True))
    bent = u.tanh() * v + (1 - u.tanh().square()) * (a * b).sum(0)
    return mean_is_zero(torch.cat((*values, bent), 1), f"E[g] = 0, E[x g] = -1 over {n} samples")


def _score(s: Subject, x: Tensor) -> Tensor | LeftOut:
    """Gradient of log_prob at x, like x."""
    parts = []
    for part in x.split(1024):
        part = part.detach().clone().requires_grad_()
        value = s.call("log_prob", part, y=s.first_y(len(part)))
        if not value.requires_grad:
            return LeftOut("log_prob has no gradient in x")
        parts.append(torch.autograd.grad(value.sum(), part)[0])
    score = torch.cat(parts)
    if not score.isfinite().all():
        return LeftOut("the gradient of log_prob is not finite at every sample")
    return score


def _is_smooth(s: Subject, x: Tensor, n: int = 48, n_nodes: int = 12) -> bool:
    """Whether log_prob changes along a step as its gradient on the way says, and is finite there.

    A jump, or an edge of the support, would leave a term of its own in the identity.
    """
    node, weight = (
        torch.from_numpy(a).to(s.dtype) for a in np.polynomial.legendre.leggauss(n_nodes)
    )
    x = x[:n]
    spread = x.std(0).clamp_min(1e-12)
    step = 0.5 * spread * torch.randn_like(x) / math.sqrt(min(s.dims, 16))
    ends = s.evaluate("log_prob", torch.cat((x + step, x - step))).view(2, -1)
    if not ends.isfinite().all():
        return False
    on_the_way = torch.cat([x + t * step for t in node.tolist()])
    score = _score(s, on_the_way)
    if isinstance(score, LeftOut):
        return False
    slope = (score.view(n_nodes, *x.shape) * step).flatten(2).sum(2)  # (nodes, n)
    change, gap = ends[0] - ends[1], (weight @ slope) - (ends[0] - ends[1])
    return bool((gap.abs() > 0.05 + 0.1 * change.abs()).double().mean() < 0.1)


@torch.no_grad()
def gibbs(s: Subject) -> Finding | LeftOut:
    """x_i = v is as frequent in samples as the mean of p(x_i = v | the others), at a few places."""
    if why := s.lacks("log_prob", "sample"):
        return why
    if not s.discrete:
        return LeftOut("the data are real numbers: see Stein's identity")
    if s.enumerable and len(s.samples) >= LEAST:
        return LeftOut("samples are held against the masses of all states")
    if s.facts.chain is not None and s.facts.chain.are_logits:
        return LeftOut("samples are held against the conditionals of forward")
    if not len(s.samples):
        return s.too_few(0, LEAST, "drawing")
    levels = max(s.levels, int(s.samples.max()) + 1)  # more would be no harm: a value competes
    k = min(levels, MAX_VALUES)  # with those of its block only
    affordable = s.rows("log_prob", 2_000_000)
    n_places = min(N_PLACES, s.dims)
    n = min(len(s.samples), 1024, affordable // (k * n_places))
    if n < 4 * LEAST:  # rather few places than few samples
        n_places = max(1, min(n_places, affordable // (k * 4 * LEAST)))
        n = min(len(s.samples), 1024, affordable // (k * n_places))
    if why := s.too_few(n, LEAST, "drawing, and log_prob of every value,"):
        return why
    x = s.samples[:n].reshape(n, -1)
    places = torch.randperm(s.dims)[:n_places]
    found = [_conditionals(s, x, int(place), levels, k) for place in places]
    log_p, hit = (torch.stack(parts, 1) for parts in zip(*found, strict=True))
    return counts_follow(log_p, hit, f"counts at {n_places} places", in_turn=False)


def _conditionals(s: Subject, x: Tensor, place: int, levels: int, k: int) -> tuple[Tensor, Tensor]:
    """log p(x_place = v | the others, v in a block), (n, k), and the value it has, one-hot.

    Where there are many levels they are dealt into random blocks of k, and a value competes with
    those of its own block only.
    """
    n = len(x)
    deal = torch.randperm(levels)
    block_of = deal.argsort() // k
    deal = torch.cat((deal, deal[: -levels % k]))  # the last block is filled up
    block = block_of[x[:, place].long()]
    values = deal.view(-1, k)[block]  # (n, k)
    many = x.repeat_interleave(k, 0)
    many[:, place] = values.flatten().to(many.dtype)
    log_p = s.evaluate("log_prob", many.view(-1, *s.shape)).view(n, k).double()
    log_p = log_p.masked_fill(
        block_of[values] != block[:, None], -math.inf
    )  # fillers are no rivals
    hit = (values == x[:, place, None]).double()
    return log_p.log_softmax(1), hit
