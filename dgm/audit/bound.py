"""Checks of evidence bounds: elbo = iw_bound(1) <= iw_bound(k) rising <= exact."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from dgm.audit.bins import exact_masses
from dgm.audit.density import SIGMAS
from dgm.audit.latent import draw, exact_log_prob, is_latent
from dgm.audit.report import Finding
from dgm.audit.subject import DoesNotApply, Subject

KS = (1, 4, 16, 64)
MAX_BOUND_STATES = 4096
N_ROWS = 8  # examples whose bounds are averaged


def elbo_is_iw_1(s: Subject) -> Finding:
    """elbo and iw_bound(x, 1) are the same bound in the mean."""
    s.needs("elbo", "iw_bound")
    x = s.x[:N_ROWS]
    a = s.mean_and_error("elbo", x, repeats=256)
    b = s.mean_and_error("iw_bound", x, 1, repeats=256)
    z = (a[0] - b[0]).abs() / (a[1].hypot(b[1]) + 1e-6)
    return Finding(z.max().item(), SIGMAS, "in standard errors")


def bounds_rise(s: Subject) -> Finding:
    """iw_bound rises with k, from the elbo at k = 1."""
    s.needs("iw_bound")
    means, errors = _means(s)
    drop = (means[:-1] - means[1:]) / (errors[:-1].hypot(errors[1:]) + 1e-6)
    values = ", ".join(f"{m:.3f}" for m in means.tolist())
    note = f"mean at k = {', '.join(map(str, KS))}: {values} nats; drop in standard errors"
    return Finding(drop.max().item(), SIGMAS, note)


def iw_of_weights(s: Subject, k: int = 8, repeats: int = 128) -> Finding:
    """iw_bound with k draws is the log of the mean of k weights, in the mean.

    The weights are those of the parts where there are parts, else exp(elbo).
    """
    s.needs("iw_bound")
    x = s.x[:N_ROWS]
    if is_latent(s):
        many = x.repeat(k * repeats, *[1] * (x.dim() - 1))
        log_w = draw(s, many).log_weight.view(k, repeats, -1)
    else:
        s.needs("elbo")
        log_w = s.draws("elbo", x, repeats=k * repeats).view(k, repeats, -1)
    own = log_w.logsumexp(0) - math.log(k)  # (repeats, rows)
    claimed = s.draws("iw_bound", x, k, repeats=repeats)
    error = ((own.var(0) + claimed.var(0)) / repeats).sqrt()
    gap = claimed.mean(0) - own.mean(0)
    note = f"k = {k}: differs by {gap.mean():.3f} nats from draws of its own, in standard errors"
    return Finding((gap.abs() / (error + 1e-6)).max().item(), SIGMAS, note)


def _means(s: Subject) -> tuple[Tensor, Tensor]:
    """Mean of iw_bound over some examples for every k of KS, and its standard error."""
    x = s.x[:N_ROWS]
    found = [s.mean_and_error("iw_bound", x, k, repeats=max(16, 256 // k)) for k in KS]
    means = torch.stack([m.mean() for m, _ in found])
    return means, torch.stack([e.square().sum().sqrt() / len(e) for _, e in found])


def _exact(s: Subject) -> Tensor:
    """log p(x) of the batch: log_prob, the reference, or the bin mass, (B,)."""
    with torch.no_grad():
        if s.reference is not None:
            return s.reference(s.x)
        if s.offers("log_prob"):
            return s.call("log_prob", s.x)
        if is_latent(s):
            return exact_log_prob(s, s.x[:N_ROWS])
    masses, _ = s.once(exact_masses)
    place = s.levels ** torch.arange(s.dims - 1, -1, -1)
    return masses.flatten()[(s.x.reshape(len(s.x), -1).long() * place).sum(1)].log()


def below_exact(s: Subject) -> Finding:
    """No bound lies above the exact value."""
    if not (s.offers("elbo") or s.offers("iw_bound")):
        raise DoesNotApply("the model has no elbo and no iw_bound")
    x = s.x[:N_ROWS]
    exact = _exact(s)[:N_ROWS]
    known = exact.isfinite()  # a bin may hold less mass than a number can say
    if not known.any():
        raise DoesNotApply("the exact values are out of reach")
    bounds = {"elbo": ()} if s.offers("elbo") else {}
    bounds |= {"iw_bound": (64,)} if s.offers("iw_bound") else {}
    worst, gaps = -math.inf, []
    for name, args in bounds.items():
        mean, error = s.mean_and_error(name, x, *args, repeats=512 // max((2, *args)))
        above = ((mean - exact) / (error + 1e-6))[known]
        worst = max(worst, above.max().item())
        gaps.append(f"{name} {(exact - mean)[known].mean():.3f}")
    note = f"nats below the exact value: {', '.join(gaps)}; excess in standard errors"
    return Finding(worst, SIGMAS + 2, note)


@torch.no_grad()
def weights_sum(s: Subject, repeats: int = 64) -> Finding:
    """exp(elbo) and exp(iw_bound) are unbiased for p(x): over a small world they sum to one."""
    s.needs("elbo")
    if not s.discrete:
        raise DoesNotApply("the data are real numbers: no states to sum over")
    if is_latent(s):  # a mean of weights with long tails would tell less
        raise DoesNotApply("made of parts, which are held against one another above")
    if hasattr(s.model, "dequantize") or _is_dequantised(s):
        raise DoesNotApply("dequantised: see the bin masses")
    states = s.states
    if len(states) > MAX_BOUND_STATES:
        raise DoesNotApply(f"{len(states)} states are too many for a noisy sum: audit fewer")
    name, args = "elbo", ()
    if s.offers("iw_bound"):  # unbiased too, and steadier
        name, args = "iw_bound", (max(1, min(64, 200_000 // (repeats * len(states)))),)
    weights = s.draws(name, states, *args, repeats=repeats).exp()  # (repeats, states)
    n_effective = weights.sum(0).square() / weights.square().sum(0).clamp_min(1e-300)
    share = weights.sum(0) / weights.sum()
    if share[n_effective < repeats / 8].sum() > 0.02:
        raise DoesNotApply("weights too uneven for a mean: the posterior is far off")
    error = (weights.sum(1).std() / math.sqrt(repeats)).item()
    total = weights.mean(0).sum().item()
    note = f"{name}: {total:.4f} +- {error:.4f}, in standard errors"
    return Finding(abs(total - 1) / (error + 1e-4), SIGMAS, note)


def _is_dequantised(s: Subject) -> bool:
    try:
        s.once(exact_masses)
    except DoesNotApply as reason:
        return str(reason).startswith("D =")
    return True
