"""Checks of exact densities: they sum or integrate to one, and samples follow them."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from dgm.audit.chance import SIGMAS, bernstein, deviations, ratio_is_one
from dgm.audit.proposal import HeavyMixture, ProductLaw
from dgm.audit.quadrature import LOST, Masses, adaptive_masses, cell_of, chi_square_z, cover
from dgm.audit.report import Finding, LeftOut
from dgm.audit.subject import N_FIT, Subject

MAX_KERNEL_DIMS = 8
MAX_FIT_DIMS = 64  # beyond, no density fitted to draws overlaps with another
LEAST = 256  # samples
COARSE = 0.3  # nats: an error of log p this large is not worth a word


def total(s: Subject) -> Finding | LeftOut:
    """The probabilities of all states, or the integral of the density, is one."""
    if why := s.lacks("log_prob"):
        return why
    if s.discrete:
        return _total_of_states(s) if s.enumerable else _total_by_fit(s)
    if s.dims > 2:
        return _total_by_fit(s)
    found, _ = s.once(grid)
    mass = found.cells.sum().item()
    if math.isnan(mass):
        note = "log_prob is nan near the samples: it must be -inf there, or pass bounds="
        return Finding(mass, 0.01, note)
    note, gap = f"{mass:.4f} by quadrature, error {found.error:.1g}", abs(mass - 1)
    if found.unseen > LOST and mass <= 1.01:  # what is not seen could only add to it
        return LeftOut(f"{note}, and {found.unseen:.1%} of the samples on peaks it cannot resolve")
    if 0.01 < gap <= 0.01 + found.error:
        return LeftOut(f"{note}: too coarse to tell")
    return Finding(gap, 0.01, note)


def _total_of_states(s: Subject) -> Finding | LeftOut:
    mass = s.once(_state_masses).sum().item()
    if not s.facts.levels_known and mass < 1 - s.tight:
        return LeftOut(f"{mass:.4f} over the {s.levels} levels seen: pass levels=")
    return Finding(abs(mass - 1), s.tight, f"{mass:.7f} over all states")


def _state_masses(s: Subject) -> Tensor:
    """Probability of every state of a small world, (levels**D,)."""
    return s.evaluate("log_prob", s.states).exp()


def grid(s: Subject) -> tuple[Masses, list[Tensor]]:
    """Masses on a grid that covers some of the samples and the data, and its edges."""
    points = s.x.reshape(len(s.x), -1)
    known = None
    if s.offers("sample"):
        known = s.samples.reshape(-1, s.dims).to(points.dtype)
        points = torch.cat((known[:N_FIT], points))
    edges = cover(points, s.bounds)
    found = adaptive_masses(
        lambda p: s.evaluate("log_prob", p.reshape(-1, *s.shape)), edges, known=known
    )
    return found, edges


# --- densities beyond the plane: against one fitted to the draws ----------------------------------


def fitted(s: Subject) -> HeavyMixture | ProductLaw | LeftOut:
    """A law fitted to half of the samples: heavy-tailed for reals, a product for whole numbers."""
    what = f"{s.levels}**{s.dims} states" if s.discrete else f"D = {s.dims}"
    if why := s.lacks("sample"):
        return LeftOut(f"{what} are too many to sum over, and {why.why}")
    if s.dims > MAX_FIT_DIMS and not s.discrete:
        return LeftOut(f"{what}: no fitted density would overlap with it")
    if why := s.too_few(len(s.samples), 2 * LEAST, "drawing"):
        return why
    half = s.samples[: len(s.samples) // 2].reshape(-1, s.dims)
    if s.discrete:
        inside = 0 <= int(half.min()) <= int(half.max()) < s.levels
        return (
            ProductLaw(half, s.levels, s.dtype) if inside else LeftOut("samples leave the levels")
        )
    half = half.to(s.dtype)
    return HeavyMixture(half) if half.isfinite().all() else LeftOut("samples are not finite")


def fresh_ratios(s: Subject) -> tuple[Tensor, Tensor] | LeftOut:
    """log p - log q at draws of the model that q was not fitted to, and at draws of q, (N,)."""
    q = s.once(fitted)
    if isinstance(q, LeftOut):
        return q
    n = s.rows("log_prob", len(s.samples) // 2)
    if why := s.too_few(n, LEAST, "log_prob"):
        return why
    own = s.samples[-n:].reshape(n, -1)
    own, other = own if s.discrete else own.to(s.dtype), q.sample(n)
    both = [
        s.evaluate("log_prob", x.view(n, *s.shape)).nan_to_num(-math.inf, math.inf, -math.inf)
        - q.log_prob(x)
        for x in (own, other)
    ]
    return both[0], both[1]


def _total_by_fit(s: Subject) -> Finding | LeftOut:
    """E_q[p / q] = 1, for a q fitted to the model's own draws."""
    ratios = s.once(fresh_ratios)
    if isinstance(ratios, LeftOut):
        return ratios
    return ratio_is_one(ratios[1], f"p/q over draws of a fitted q, D = {s.dims}")


def overlap(log_ratio_p: Tensor, log_ratio_q: Tensor, where: str) -> Finding | LeftOut:
    """E_p[q / (p + q)] = E_q[p / (p + q)], for draws of p and of q and log p - log q at both.

    Both are the integral of p q / (p + q) (Bennett 1976, doi:10.1016/0021-9991(76)90078-4), where p
    is normalised and is what was sampled; their terms lie between 0 and 1, whatever the tails.
    """
    a, b = (-log_ratio_p).sigmoid(), log_ratio_q.sigmoid()
    n, shared = len(a), a.sum() + b.sum()
    if shared < 40:
        return LeftOut(f"p and a density fitted to its samples hardly overlap {where}")
    slope = (a * (1 - a)).mean() + (b * (1 - b)).mean()
    error = ((a.var() + b.var()) / n).sqrt()
    z = bernstein(a.sum() - b.sum(), n * (a.var() + b.var())).item()
    seen = (error / slope.clamp_min(1e-9)).item()
    if z < deviations(1) and seen > COARSE:
        return LeftOut(f"a fitted density {where} sees log p to {seen:.2g} nats only")
    note = f"against a fitted density {where}: log p seen to {seen:.2g} nats, in standard errors"
    return Finding(z, deviations(1), note)


def samples_follow(s: Subject) -> Finding | LeftOut:
    """How often samples fall somewhere is what the density says."""
    if why := s.lacks("log_prob", "sample"):
        return why
    if s.enumerable:
        return _state_frequencies(s)
    if why := s.too_few(len(s.samples), LEAST, "drawing"):
        return why
    if s.dims <= 2 and not s.discrete and s.once(grid)[0].unseen <= LOST:
        return _cells(s)
    if s.facts.flow == "sure":
        return _latent_ratio(s)
    ratios = s.once(fresh_ratios)
    if isinstance(ratios, LeftOut):
        return ratios
    return overlap(*ratios, f"D = {s.dims}")


def _state_frequencies(s: Subject) -> Finding | LeftOut:
    if not s.facts.levels_known and s.once(_state_masses).sum() < 1 - s.tight:
        return LeftOut("the number of levels is not known: pass levels=")
    return s.too_few(len(s.samples), LEAST, "drawing") or frequencies(
        state_counts(s), s.once(_state_masses), "states", len(s.samples)
    )


def frequencies(counts: Tensor, masses: Tensor, what: str, n: int) -> Finding:
    """Chi-square of counts of n samples against masses, in standard deviations."""
    z, n_cells = chi_square_z(counts, masses, n)
    note = f"chi-square of {n} samples on {n_cells} {what}, in standard deviations"
    return Finding(z, SIGMAS, note)


def state_counts(s: Subject, x: Tensor | None = None) -> Tensor:
    """How often each state of a small world is in x (default: the samples), (levels**D,)."""
    x = (s.samples if x is None else x).reshape(-1, s.dims).long()
    inside = ((x >= 0) & (x < s.levels)).all(1)
    place = s.levels ** torch.arange(s.dims - 1, -1, -1)
    return torch.bincount((x[inside] * place).sum(1), minlength=len(s.states))


def _cells(s: Subject) -> Finding:
    """Counts in the cells of the quadrature grid, by samples that did not choose the grid."""
    found, edges = s.once(grid)
    fresh = s.samples[min(N_FIT, len(s.samples) // 2) :].reshape(-1, s.dims).to(s.x.dtype)
    cells, inside = cell_of(fresh, edges)
    counts = torch.bincount(cells[inside], minlength=found.cells.numel())
    z, n = chi_square_z(counts, found.cells.flatten(), len(fresh))
    note = f"chi-square of {len(fresh)} samples on {n} cells, in standard deviations"
    return Finding(z, SIGMAS, note)


@torch.no_grad()
def _latent_ratio(s: Subject) -> Finding | LeftOut:
    """Flows: z = forward(sample) against log_prob - log_det, the density of z."""
    n = min(len(s.samples), s.rows("forward", len(s.samples)), s.rows("log_prob", len(s.samples)))
    if why := s.too_few(n, LEAST, "forward and log_prob"):
        return why
    x = s.samples[:n]
    pairs = [s.flow(part, y=s.first_y(len(part))) for part in x.split(2048)]
    z = torch.cat([z.reshape(len(z), -1) for z, _ in pairs])
    log_p = s.evaluate("log_prob", x) - torch.cat([d for _, d in pairs])  # (N,), of z
    finite = z.isfinite().all(1)  # a logit in the flow may round to infinity far out
    if finite.double().mean() < 0.8:
        return Finding(math.inf, 0, "forward(sample) is not finite for over a fifth of the samples")
    n_fit = min(N_FIT, n // 2)
    fit, test = z[:n_fit][finite[:n_fit]], z[n_fit:].nan_to_num(0, 0, 0)
    shrink = math.sqrt(1 - min(0.5, math.sqrt(2 / s.dims)))
    q = torch.distributions.Normal(fit.mean(0), shrink * fit.std(0).clamp(min=1e-12))
    log_ratio = q.log_prob(test).sum(1) - log_p[n_fit:]
    log_ratio = log_ratio.masked_fill(~finite[n_fit:], -math.inf)  # there q has no mass
    return ratio_is_one(log_ratio, f"q/p over samples in z, D = {s.dims}")


def ratio_to_fit(x: Tensor, log_p: Tensor) -> Finding | LeftOut:
    """E_p[q/p] = 1 over draws x (N, D) of p, for a q fitted to the first N_FIT of them."""
    fit = _kernels if x.shape[1] <= MAX_KERNEL_DIMS else _normal
    log_q = fit(x[:N_FIT], x[N_FIT:])
    enough = 50 if fit is _kernels else 0.05 * len(log_q)  # a normal may be far from p
    return ratio_is_one(log_q - log_p[N_FIT:], f"q/p over draws, D = {x.shape[1]}", enough)


def _kernels(x: Tensor, test: Tensor, neighbour: int = 10) -> Tensor:
    """Log density of normal kernels on the denser rows of x (N, D) at test (M, D)."""
    dims = x.shape[1]
    width = torch.cdist(x, x).sort(1).values[:, neighbour] / math.sqrt(dims)
    core = width <= width.quantile(0.7)
    centres, width = x[core], width[core].clamp(min=1e-12)
    square = (torch.cdist(test, centres) / width).square()  # (M, kernels)
    log_kernel = -0.5 * square - dims * (width.log() + 0.5 * math.log(2 * math.pi))
    return log_kernel.logsumexp(1) - math.log(len(centres))


def _normal(x: Tensor, test: Tensor) -> Tensor:
    """Log density at test (M, D) of a normal somewhat narrower than x (N, D)."""
    dims = x.shape[1]
    shrink = 1 - min(0.5, math.sqrt(2 / dims))
    q = torch.distributions.MultivariateNormal(x.mean(0), shrink * x.T.cov())
    return q.log_prob(test)


def reference(s: Subject) -> Finding | LeftOut:
    """log_prob equals an independent reference."""
    if why := s.lacks("log_prob"):
        return why
    if s.reference is None:
        return LeftOut("no reference= was given")
    with torch.no_grad():
        claimed, exact = s.call("log_prob", s.x), s.reference(s.x)
    gap = ((claimed - exact).abs() / (1 + exact.abs())).max().item()
    return Finding(gap, max(1e-5, s.tight), "largest relative difference on x")
