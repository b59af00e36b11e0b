"""Checks of latent-variable models, whose parts are at hand: posterior, likelihood and prior.

Each part (see parts.py) is held against its own draws, then the bounds against the parts.
"""

from __future__ import annotations

import copy
import math
from dataclasses import replace

import torch
from torch import Tensor

from dgm.audit import density, stein
from dgm.audit.chance import SIGMAS
from dgm.audit.facts import examine
from dgm.audit.parts import Given, draw, draws_of_posterior, log_likelihood, sample_given
from dgm.audit.quadrature import adaptive_masses, cover
from dgm.audit.report import Finding, LeftOut
from dgm.audit.subject import N_SAMPLES, SECONDS, Subject, seeded

N_ROWS = 8
MAX_LAW_STATES = 1024
NO_PARTS = LeftOut("no posterior(x), likelihood(z) and prior to take apart")


def rows_of(s: Subject, repeats: int) -> Tensor:
    """The first examples again and again, (repeats * rows, ...)."""
    return s.x[:N_ROWS].repeat(repeats, *[1] * (s.x.dim() - 1))


def affordable(s: Subject, want: int, calls: int = 1) -> int:
    """Repeats of the first examples that fit into the time, `want` at most, for so many calls."""
    name = "elbo" if s.offers("elbo") else "loss"
    n = min(N_ROWS, len(s.x))
    return s.rows(name, want * n, SECONDS / calls) // n if s.offers(name) else want


def _mean_is_zero(difference: Tensor, size: Tensor, note: str) -> Finding:
    """Whether draws (N, rows) have mean zero, in every column and over all, in standard errors.

    `size` holds numbers as large as those that were subtracted: they are rounded.
    """
    rounding = (1e-6 if size.dtype == torch.float64 else 4e-6) * (1 + size.abs().mean())
    found = torch.cat((difference, difference.mean(1, keepdim=True)), 1).double()
    z = (found.mean(0).abs() / (found.std(0) / math.sqrt(len(found)) + rounding)).max().item()
    return Finding(z, SIGMAS, f"{note} {difference.mean():.4f} nats, in standard errors")


def _worst(found: list[Finding | LeftOut]) -> Finding | LeftOut:
    """The finding that exceeds its tolerance most; a word where there is none."""
    measured = [f for f in found if isinstance(f, Finding)]
    if not measured:
        return found[0]
    return max(measured, key=lambda f: math.inf if math.isnan(f.measured) else f.measured)


# --- the parts ------------------------------------------------------------------------------------


@torch.no_grad()
def posterior_density(s: Subject) -> Finding | LeftOut:
    """log q is the normalised density of the draws it comes with: E[f / q] = 1 for a density f."""
    if not s.facts.parts:
        return NO_PARTS
    found, n = [], N_SAMPLES // 2
    in_a_batch = N_ROWS * affordable(s, n, calls=2) >= n
    for row in s.x[:2]:
        z, log_q = draws_of_posterior(s, row, n, in_a_batch)
        if (z.std(0) < 1e-9).any():
            note = "draws for equal examples of a batch are equal: noise left out, or shared"
            return Finding(math.inf, 0, note)
        found.append(density.ratio_to_fit(z, log_q))
    return _worst(found)


def _prior_subject(s: Subject) -> Subject:
    """The prior as a model of its own, with draws of the posterior as its batch."""
    return examine(s.model.prior, draw(s, rows_of(s, 2)).z, seed=s.seed, share=0.5)


def prior_density(s: Subject) -> Finding | LeftOut:
    """The prior's density is normalised and is the density of its samples."""
    return density.samples_follow(s.once(_prior_subject)) if s.facts.parts else NO_PARTS


def _given_subjects(s: Subject) -> list[Subject]:
    """p(x|z) at two draws of the posterior and one of the prior."""
    with torch.no_grad():
        z = torch.cat((draw(s, s.x[:2]).z, s.model.prior.sample(1).to(s.dtype)))
    return [
        examine(
            Given(s.model, row[None]),
            s.x,
            None,
            s.levels,
            bounds=s.bounds,
            seed=s.seed,
            share=0.25,
        )
        for row in z
    ]


def likelihood_total(s: Subject) -> Finding | LeftOut:
    """p(x|z) sums or integrates to one over x, for several z."""
    if not s.facts.parts:
        return NO_PARTS
    return _worst([density.total(given) for given in s.once(_given_subjects)])


def likelihood_samples(s: Subject) -> Finding | LeftOut:
    """Samples of the likelihood are as frequent as p(x|z) says."""
    if not s.facts.parts:
        return NO_PARTS
    found = []
    for given in s.once(_given_subjects)[1:]:
        one = density.samples_follow(given)
        other = stein.gibbs if given.discrete else stein.stein
        found.append(other(given) if isinstance(one, LeftOut) else one)
    return _worst(found)


# --- the bounds -----------------------------------------------------------------------------------


def _repeated(s: Subject, name: str) -> tuple[Tensor, int] | LeftOut:
    """The batch as often as a noisy method can be drawn, and how often that is."""
    if why := (None if s.facts.parts else NO_PARTS) or s.lacks(name):
        return why
    repeats = affordable(s, 1024, calls=3)
    return s.too_few(repeats, 8, f"drawing the {name}") or (rows_of(s, repeats), repeats)


@torch.no_grad()
def elbo_of_parts(s: Subject) -> Finding | LeftOut:
    """elbo is log p(x|z) + log p(z) - log q(z|x) in the mean, whatever `beta` is."""
    found = _repeated(s, "elbo")
    if isinstance(found, LeftOut):
        return found
    x, repeats = found
    with seeded(s.seed):  # the same noise, so that mostly the difference is zero exactly
        claimed = s.call("elbo", x)
    with seeded(s.seed):
        parts = draw(s, x).log_weight
    if isinstance(getattr(s.model, "beta", None), float | int):
        other = replace(s, model=copy.deepcopy(s.model))
        other.model.beta = 2 * s.model.beta + 1
        with seeded(s.seed):
            gap = (other.call("elbo", x) - claimed).abs().max().item()
        if gap > s.tight * 1e-3:
            return Finding(math.inf, SIGMAS, f"another beta moves the elbo by {gap:.2g}")
    return _mean_is_zero(
        (claimed - parts).view(repeats, -1), claimed, "elbo - log p(x, z) + log q:"
    )


@torch.no_grad()
def kl_term(s: Subject) -> Finding | LeftOut:
    """terms(x)["kl"] is log q(z|x) - log p(z) in the mean: the KL divergence from the prior."""
    found = _repeated(s, "terms")
    if isinstance(found, LeftOut):
        return found
    x, repeats = found
    with seeded(s.seed):
        terms = s.call("terms", x)
    if "kl" not in terms:
        return LeftOut(f"terms(x) has no 'kl', only {', '.join(terms)}")
    with seeded(s.seed):
        parts = draw(s, x)
    difference = terms["kl"] - (parts.log_q - parts.log_prior)
    return _mean_is_zero(difference.view(repeats, -1), parts.log_q, "kl - log q + log p(z):")


# --- the model as a whole -------------------------------------------------------------------------


@torch.no_grad()
def exact_log_prob(s: Subject, x: Tensor) -> Tensor:
    """log p(x) (B,) by integrating over z: quadrature for d <= 2, else z from the prior.

    Where draws from the prior are too uneven to trust, nan.
    """
    if draw(s, x[:1]).z.shape[1] <= 2 and affordable(s, N_SAMPLES) >= 4000:
        return torch.stack([_quadrature_over_z(s, row) for row in x])
    n = min(N_SAMPLES, affordable(s, N_SAMPLES))
    if n < 800:
        return x.new_full((len(x),), math.nan, dtype=s.dtype)
    z = s.model.prior.sample(n).to(s.dtype)
    log_p = torch.stack([log_likelihood(s, row.expand(n, *row.shape), z) for row in x])
    n_effective = 1 / log_p.softmax(1).square().sum(1)
    return torch.where(n_effective > 400, log_p.logsumexp(1) - math.log(n), math.nan)


def _quadrature_over_z(s: Subject, row: Tensor) -> Tensor:
    """log of the integral of p(x|z) p(z), scaled so that it is about one."""
    found = draw(s, row.expand(1024, *row.shape))
    scale = found.log_weight.logsumexp(0) - math.log(1024)
    z = torch.cat((found.z, s.model.prior.sample(1024).to(found.z.dtype)))

    def log_joint(z: Tensor) -> Tensor:
        x = row.expand(len(z), *row.shape)
        return log_likelihood(s, x, z) + s.model.prior.log_prob(z) - scale

    found = adaptive_masses(log_joint, cover(z, None), tolerance=1e-4, max_points=40_000)
    return found.cells.sum().log() + scale


@torch.no_grad()
def samples_follow_parts(s: Subject) -> Finding | LeftOut:
    """Samples of the model are draws of the likelihood at draws of the prior.

    In a small world their frequencies are held against the mean of p(x|z) over draws of the prior,
    elsewhere means and products against fresh draws of the parts.
    """
    if why := (None if s.facts.parts else NO_PARTS) or s.lacks("sample"):
        return why
    n = min(1024, len(s.samples))
    if why := s.too_few(n, 256, "drawing"):
        return why
    n_states = s.levels**s.dims if s.enumerable else math.inf
    if n_states <= MAX_LAW_STATES:
        z = s.model.prior.sample(min(N_SAMPLES, 300_000 // n_states)).to(s.dtype)
        many = s.states.repeat_interleave(len(z), 0).split(len(z))
        masses = torch.stack([log_likelihood(s, x, z).exp().mean() for x in many])
        n = int(len(s.samples) / (1 + len(s.samples) / len(z)))  # the masses are uncertain too
        counts = density.state_counts(s) * (n / len(s.samples))
        return density.frequencies(counts, masses, "states", n)
    own = sample_given(s, s.model.prior.sample(n).to(s.dtype))
    x = torch.stack((s.samples[:n].to(s.dtype), own.to(s.dtype))).flatten(2)  # (2, N, D)
    x = (x - x.mean((0, 1))) / x.std((0, 1)).clamp_min(1e-6)
    found = torch.cat((x, x.square(), x * x.roll(1, 2)), 2)
    error = (found.var(1).sum(0) / n).sqrt() + 1e-6
    z = ((found.mean(1)[0] - found.mean(1)[1]).abs() / error).max().item()
    note = "means and products of neighbours against draws of the parts, in standard errors"
    return Finding(z, SIGMAS, note)
