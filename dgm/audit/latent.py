"""Checks of latent-variable models, whose parts are at hand: posterior, likelihood and prior.

`model.posterior(x)` gives one draw z (B, d) and its log density (B,), `model.likelihood` has
`log_prob(x, z)` and `sample(z)`, `model.prior` has `log_prob(z)` and `sample(n)`. Each part is held
against its own draws, then the bounds against the parts.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dgm.audit import density
from dgm.audit.quadrature import adaptive_masses, cover
from dgm.audit.report import Finding
from dgm.audit.subject import N_SAMPLES, DoesNotApply, Subject, seeded

N_ROWS = 8
MAX_LAW_STATES = 1024


@torch.no_grad()
def parts_of(s: Subject) -> nn.Module:
    """The model, if it is made of a posterior, a likelihood and a prior that can be asked."""
    reason = DoesNotApply("no posterior(x) -> (z, log q), likelihood and prior to take apart")
    wanted = {"likelihood": ("log_prob", "sample"), "prior": ("log_prob", "sample")}
    for part, methods in wanted.items():
        found = getattr(s.model, part, None)
        if not all(callable(getattr(found, m, None)) for m in methods):
            raise reason
    if s.y is not None or not isinstance(getattr(s.model, "posterior", None), nn.Module):
        raise reason
    drawn = s.model.posterior(s.x[:2])
    if not isinstance(drawn, tuple) or len(drawn) != 2 or drawn[0].dim() != 2:
        raise reason
    return s.model


def is_latent(s: Subject) -> bool:
    """Whether the parts can be taken apart."""
    try:
        s.once(parts_of)
    except DoesNotApply:
        return False
    return True


@dataclass
class Draws:
    """What the parts say at draws of the posterior, (B,) nats each."""

    z: Tensor  # (B, d)
    log_q: Tensor
    log_prior: Tensor
    log_likelihood: Tensor

    @property
    def log_weight(self) -> Tensor:
        """log p(x, z) - log q(z|x), (B,) nats: what the bounds average."""
        return self.log_likelihood + self.log_prior - self.log_q


@torch.no_grad()
def draw(s: Subject, x: Tensor) -> Draws:
    """One draw of z for every row of x, and its three log densities."""
    parts = s.once(parts_of)
    z, log_q = parts.posterior(x)
    return Draws(z, log_q, parts.prior.log_prob(z), parts.likelihood.log_prob(x, z))


def _rows(s: Subject, repeats: int) -> Tensor:
    """The first examples again and again, (repeats * rows, ...)."""
    return s.x[:N_ROWS].repeat(repeats, *[1] * (s.x.dim() - 1))


def _mean_is_zero(difference: Tensor, note: str) -> Finding:
    """Whether draws (N, rows) have mean zero, in every column and over all, in standard errors."""
    found = torch.cat((difference, difference.mean(1, keepdim=True)), 1)
    z = (found.mean(0).abs() / (found.std(0) / math.sqrt(len(found)) + 1e-6)).max().item()
    return Finding(z, density.SIGMAS, f"{note} {difference.mean():.4f} nats, in standard errors")


# --- the parts ------------------------------------------------------------------------------------


@torch.no_grad()
def posterior_density(s: Subject) -> Finding:
    """log q is the normalised density of the draws it comes with: E[f / q] = 1 for a density f."""
    parts, worst = s.once(parts_of), None
    for row in s.x[:2]:
        z, log_q = parts.posterior(row.expand(N_SAMPLES // 2, *row.shape))
        if (z.std(0) < 1e-9).any():
            note = "draws for equal examples of a batch are equal: noise left out, or shared"
            return Finding(math.inf, 0, note)
        found = density.ratio_to_fit(z, log_q)
        worst = found if worst is None or not found.measured <= worst.measured else worst
    return worst


def _prior_subject(s: Subject) -> Subject:
    """The prior as a model of its own, with draws of the posterior as its batch."""
    return Subject(s.once(parts_of).prior, draw(s, _rows(s, 2)).z, seed=s.seed)


def prior_density(s: Subject) -> Finding:
    """The prior's density is normalised and is the density of its samples."""
    return density.samples_follow(s.once(_prior_subject))


class _Given(nn.Module):
    """p(x|z) for one z: a model without latent variables."""

    def __init__(self, likelihood: nn.Module, z: Tensor):
        super().__init__()
        self.likelihood, self.z = likelihood, z

    def log_prob(self, x: Tensor) -> Tensor:
        return self.likelihood.log_prob(x, self.z.expand(len(x), -1))

    def sample(self, n: int) -> Tensor:
        return self.likelihood.sample(self.z.expand(n, -1))


def _given_subjects(s: Subject) -> list[Subject]:
    """p(x|z) at two draws of the posterior and one of the prior."""
    likelihood = s.once(parts_of).likelihood
    with torch.no_grad():
        z = torch.cat((draw(s, s.x[:2]).z, s.model.prior.sample(1).to(s.dtype)))
    return [
        Subject(_Given(likelihood, row[None]), s.x, None, s.levels, s.bounds, s.seed) for row in z
    ]


def likelihood_total(s: Subject) -> Finding:
    """p(x|z) sums or integrates to one over x, for several z."""
    found = [density.total(given) for given in s.once(_given_subjects)]
    return max(found, key=lambda f: math.inf if math.isnan(f.measured) else f.measured)


def likelihood_samples(s: Subject) -> Finding:
    """Samples of the likelihood are as frequent as p(x|z) says."""
    found = [density.samples_follow(given) for given in s.once(_given_subjects)[1:]]
    return max(found, key=lambda f: math.inf if math.isnan(f.measured) else f.measured)


# --- the bounds -----------------------------------------------------------------------------------


@torch.no_grad()
def elbo_of_parts(s: Subject, repeats: int = 1024) -> Finding:
    """elbo is log p(x|z) + log p(z) - log q(z|x) in the mean, whatever `beta` is."""
    s.once(parts_of)
    s.needs("elbo")
    x = _rows(s, repeats)
    with seeded(s.seed):  # the same noise, so that mostly the difference is zero exactly
        claimed = s.call("elbo", x)
    with seeded(s.seed):
        parts = draw(s, x).log_weight
    if isinstance(getattr(s.model, "beta", None), float | int):
        other = copy.copy(s)
        other.model = copy.deepcopy(s.model)
        other.model.beta = 2 * s.model.beta + 1
        with seeded(s.seed):
            gap = (other.call("elbo", x) - claimed).abs().max().item()
        if gap > 1e-9:
            return Finding(math.inf, density.SIGMAS, f"another beta moves the elbo by {gap:.2g}")
    return _mean_is_zero((claimed - parts).view(repeats, -1), "elbo - log p(x, z) + log q:")


@torch.no_grad()
def kl_term(s: Subject, repeats: int = 1024) -> Finding:
    """terms(x)["kl"] is log q(z|x) - log p(z) in the mean: the KL divergence from the prior."""
    s.once(parts_of)
    s.needs("terms")
    x = _rows(s, repeats)
    with seeded(s.seed):
        terms = s.call("terms", x)
    if "kl" not in terms:
        raise DoesNotApply(f"terms(x) has no 'kl', only {', '.join(terms)}")
    with seeded(s.seed):
        parts = draw(s, x)
    difference = terms["kl"] - (parts.log_q - parts.log_prior)
    return _mean_is_zero(difference.view(repeats, -1), "kl - log q + log p(z):")


# --- the model as a whole -------------------------------------------------------------------------


@torch.no_grad()
def exact_log_prob(s: Subject, x: Tensor) -> Tensor:
    """log p(x) (B,) by integrating over z: quadrature for d <= 2, else z from the prior.

    Where draws from the prior are too uneven to trust, nan.
    """
    parts = s.once(parts_of)
    if draw(s, x[:1]).z.shape[1] <= 2:
        return torch.stack([_quadrature_over_z(s, row) for row in x])
    z = parts.prior.sample(N_SAMPLES)
    log_p = torch.stack([parts.likelihood.log_prob(row.expand(len(z), *row.shape), z) for row in x])
    weight = log_p.softmax(1)
    n_effective = 1 / weight.square().sum(1)
    return torch.where(n_effective > 400, log_p.logsumexp(1) - math.log(len(z)), math.nan)


def _quadrature_over_z(s: Subject, row: Tensor) -> Tensor:
    """log of the integral of p(x|z) p(z), scaled so that it is about one."""
    found = draw(s, row.expand(1024, *row.shape))
    scale = found.log_weight.logsumexp(0) - math.log(1024)
    z = torch.cat((found.z, s.model.prior.sample(1024).to(found.z.dtype)))

    def log_joint(z: Tensor) -> Tensor:
        x = row.expand(len(z), *row.shape)
        return s.model.likelihood.log_prob(x, z) + s.model.prior.log_prob(z) - scale

    masses, _ = adaptive_masses(log_joint, cover(z, None), tolerance=1e-4, max_points=40_000)
    return masses.sum().log() + scale


@torch.no_grad()
def samples_follow_parts(s: Subject) -> Finding:
    """Samples of the model are draws of the likelihood at draws of the prior.

    In a small world their frequencies are held against the mean of p(x|z) over draws of the prior,
    elsewhere means and products against fresh draws of the parts.
    """
    parts = s.once(parts_of)
    s.needs("sample")
    n_states = s.levels**s.dims if s.discrete and s.levels else math.inf
    if n_states <= MAX_LAW_STATES:
        z = parts.prior.sample(min(N_SAMPLES, 300_000 // n_states))
        many = s.states.repeat_interleave(len(z), 0).split(len(z))
        masses = torch.stack([parts.likelihood.log_prob(x, z).exp().mean() for x in many])
        n = int(N_SAMPLES / (1 + N_SAMPLES / len(z)))  # the masses are uncertain too
        counts = density.state_counts(s) * (n / N_SAMPLES)
        return density.frequencies(counts, masses, "states", n)
    x = torch.stack((s.sample(1024), parts.likelihood.sample(parts.prior.sample(1024))))
    x = x.flatten(2).to(s.dtype)  # (2, N, D)
    x = (x - x.mean((0, 1))) / x.std((0, 1)).clamp_min(1e-6)
    found = torch.cat((x, x.square(), x * x.roll(1, 2)), 2)
    error = (found.var(1).sum(0) / 1024).sqrt() + 1e-6
    z = ((found.mean(1)[0] - found.mean(1)[1]).abs() / error).max().item()
    note = "means and products of neighbours against draws of the parts, in standard errors"
    return Finding(z, density.SIGMAS, note)
