"""Checks of evidence bounds: elbo = iw_bound(1) <= iw_bound(k) rising <= exact.

A bound whose KL is integrated has E exp(elbo) below p(x): only a sum above one is evidence. The
weights of an importance-weighted bound are those of `iw_bound(x, 1)`, or of the parts.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from dgm.audit.bins import exact_masses, inner_of
from dgm.audit.chance import SIGMAS, ratio_at_most_one
from dgm.audit.density import LEAST, fitted
from dgm.audit.latent import exact_log_prob
from dgm.audit.parts import draw
from dgm.audit.report import Finding, LeftOut
from dgm.audit.subject import Subject

KS = (1, 4, 16, 64)
MAX_BOUND_STATES = 4096
N_ROWS = 8  # examples whose bounds are averaged


def elbo_is_iw_1(s: Subject) -> Finding | LeftOut:
    """elbo and iw_bound(x, 1) are the same bound in the mean."""
    if why := s.lacks("elbo", "iw_bound"):
        return why
    x = s.x[:N_ROWS]
    repeats = min(256, s.rows("elbo", 256 * len(x)) // len(x))
    if why := s.too_few(repeats, 16, "drawing the bound"):
        return why
    a = s.mean_and_error("elbo", x, repeats=repeats)
    b = s.mean_and_error("iw_bound", x, 1, repeats=repeats)
    z = (a[0] - b[0]).abs() / (a[1].hypot(b[1]) + s.tight)
    return Finding(z.max().item(), SIGMAS, "in standard errors")


def bounds_rise(s: Subject) -> Finding | LeftOut:
    """iw_bound rises with k, from the elbo at k = 1."""
    if why := s.lacks("iw_bound"):
        return why
    x = s.x[:N_ROWS]
    most = s.rows("iw_bound", 1024 * len(x), 2.0, 4) // len(x)  # of k = 4
    ks = [k for k in KS if k <= most // 4]
    if why := s.too_few(len(ks), 2, "drawing the bound"):
        return why
    found = [s.mean_and_error("iw_bound", x, k, repeats=max(16, min(256, most) // k)) for k in ks]
    means = torch.stack([m.mean() for m, _ in found])
    errors = torch.stack([e.square().sum().sqrt() / len(e) for _, e in found])
    drop = (means[:-1] - means[1:]) / (errors[:-1].hypot(errors[1:]) + s.tight)
    values = ", ".join(f"{m:.3f}" for m in means.tolist())
    note = f"mean at k = {', '.join(map(str, ks))}: {values} nats; drop in standard errors"
    return Finding(drop.max().item(), SIGMAS, note)


def iw_of_weights(s: Subject, k: int = 8) -> Finding | LeftOut:
    """iw_bound with k draws is the log of the mean of k weights, in the mean.

    The weights are those of the parts where there are parts, else exp(iw_bound(x, 1)).
    """
    if why := s.lacks("iw_bound"):
        return why
    x = s.x[:N_ROWS]
    repeats = min(128, s.rows("iw_bound", 128 * len(x), 1.0, k) // len(x))
    if why := s.too_few(repeats, 16, "drawing the bound"):
        return why
    if s.facts.parts:
        many = x.repeat(k * repeats, *[1] * (x.dim() - 1))
        log_w = draw(s, many).log_weight.view(k, repeats, -1)
    else:
        log_w = s.draws("iw_bound", x, 1, repeats=k * repeats).view(k, repeats, -1)
    own = log_w.logsumexp(0) - math.log(k)  # (repeats, rows)
    claimed = s.draws("iw_bound", x, k, repeats=repeats)
    error = ((own.var(0) + claimed.var(0)) / repeats).sqrt()
    gap = claimed.mean(0) - own.mean(0)
    note = f"k = {k}: differs by {gap.mean():.3f} nats from draws of its own, in standard errors"
    return Finding((gap.abs() / (error + s.tight)).max().item(), SIGMAS, note)


def _exact(s: Subject) -> Tensor | LeftOut:
    """log p(x) of the batch: log_prob, the reference, or the bin mass, (B,)."""
    with torch.no_grad():
        if s.reference is not None:
            return s.reference(s.x)
        if s.offers("log_prob"):
            return s.call("log_prob", s.x)
        if s.facts.parts:
            return exact_log_prob(s, s.x[:N_ROWS])
    masses = s.once(exact_masses)
    if isinstance(masses, LeftOut):
        return masses
    place = s.levels ** torch.arange(s.dims - 1, -1, -1)
    return masses.flatten()[(s.x.reshape(len(s.x), -1).long() * place).sum(1)].log()


def below_exact(s: Subject) -> Finding | LeftOut:
    """No bound lies above the exact value."""
    if not (s.offers("elbo") or s.offers("iw_bound")):
        return LeftOut("the model has no elbo and no iw_bound")
    exact = _exact(s)
    if isinstance(exact, LeftOut):
        return exact
    x, exact = s.x[:N_ROWS], exact[:N_ROWS]
    known = exact.isfinite()  # a bin may hold less mass than a number can say
    if not known.any():
        return LeftOut("the exact values are out of reach")
    bounds = {"elbo": ()} if s.offers("elbo") else {}
    bounds |= {"iw_bound": (64,)} if s.offers("iw_bound") else {}
    worst, gaps = -math.inf, []
    for name, args in bounds.items():
        want = 512 // max((2, *args))
        repeats = min(want, s.rows(name, want * len(x), 3.0, *args) // len(x))
        if repeats < 8:
            continue
        mean, error = s.mean_and_error(name, x, *args, repeats=repeats)
        above = ((mean - exact) / (error + s.tight))[known]
        worst = max(worst, above.max().item())
        gaps.append(f"{name} {(exact - mean)[known].mean():.3f}")
    if not gaps:
        return LeftOut("drawing the bound takes too long")
    note = f"nats below the exact value: {', '.join(gaps)}; excess in standard errors"
    return Finding(worst, SIGMAS + 2, note)


@torch.no_grad()
def weights_sum(s: Subject, repeats: int = 64) -> Finding | LeftOut:
    """exp(elbo) is at most p(x) in the mean, exp(iw_bound) is p(x): over all x they add up to one.

    Only what lies above one is evidence against an elbo, whose KL may be integrated.
    """
    if why := s.lacks("elbo"):
        return why
    if s.facts.parts:  # a mean of weights with long tails would tell less
        return LeftOut("made of parts, which are held against one another above")
    if s.once(inner_of) is not None:
        return LeftOut("dequantised: see the bin masses")
    if not s.enumerable:
        return _bound_by_fit(s)
    if len(s.states) > MAX_BOUND_STATES:
        return LeftOut(f"{len(s.states)} states are too many for a noisy sum: audit fewer")
    if s.offers("iw_bound"):  # unbiased, and steadier
        k = max(1, min(64, 200_000 // (repeats * len(s.states))))
        found = _sum_of(s, "iw_bound", repeats, k)
        if isinstance(found, Finding):
            return found
    return _sum_of(s, "elbo", repeats)


def _sum_of(s: Subject, name: str, repeats: int, *args: int) -> Finding | LeftOut:
    """The sum of exp(bound) over all states, two-sided for the unbiased iw_bound."""
    weights = s.draws(name, s.states, *args, repeats=repeats).exp()  # (repeats, states)
    error = (weights.sum(1).std() / math.sqrt(repeats)).item()
    total = weights.mean(0).sum().item()
    z = (total - 1) / (error + 1e-4)
    note = f"{name}: {total:.4f} +- {error:.4f}, in standard errors"
    if name == "elbo":
        return Finding(max(z, 0.0), SIGMAS, note + " above one (a bound may lie below)")
    n_effective = weights.sum(0).square() / weights.square().sum(0).clamp_min(1e-300)
    share = weights.sum(0) / weights.sum()
    if share[n_effective < repeats / 8].sum() > 0.02:
        return LeftOut("weights too uneven for a mean: the posterior is far off")
    if not s.facts.levels_known:
        z = max(z, 0.0)
    return Finding(abs(z), SIGMAS, note)


def _bound_by_fit(s: Subject) -> Finding | LeftOut:
    """E_q[exp(elbo) / q] is at most one, for a law q fitted to the model's draws."""
    q = s.once(fitted)
    if isinstance(q, LeftOut):
        return q
    n = s.rows("elbo", 4096)
    if why := s.too_few(n, LEAST, "drawing the elbo"):
        return why
    x = q.sample(n)
    log_ratio = s.evaluate("elbo", x.view(n, *s.shape)) - q.log_prob(x)
    return ratio_at_most_one(log_ratio, "exp(elbo)/q over draws of a fitted q")
