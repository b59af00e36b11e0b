"""Checks of exact densities: they sum or integrate to one, and samples follow them."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from dgm.audit.quadrature import adaptive_masses, chi_square_z, cover
from dgm.audit.report import Finding
from dgm.audit.subject import N_FIT, N_SAMPLES, DoesNotApply, Subject

SIGMAS = 6.0  # what counts as more than chance: about one false alarm in 1e9
MAX_KERNEL_DIMS = 8


def total(s: Subject) -> Finding:
    """The probabilities of all states, or the integral of the density, is one."""
    s.needs("log_prob")
    if s.discrete:
        mass = s.once(_state_masses).sum().item()
        return Finding(abs(mass - 1), 1e-6, f"{mass:.7f} over all states")
    if s.dims > 2:
        raise DoesNotApply(f"D = {s.dims}: no quadrature; 'samples follow the density' needs it")
    masses, _, error = s.once(_grid)
    mass = masses.sum().item()
    if math.isnan(mass):
        note = "log_prob is nan near the samples: it must be -inf there, or pass bounds="
        return Finding(mass, 0.01, note)
    return Finding(abs(mass - 1), 0.01, f"{mass:.4f} by quadrature, error {error:.1g}")


def _state_masses(s: Subject) -> Tensor:
    """Probability of every state of a small world, (levels**D,)."""
    return s.evaluate("log_prob", s.states).exp()


def _grid(s: Subject) -> tuple[Tensor, list[Tensor], float]:
    """Masses on a grid that covers some of the samples and the data, its edges, its error."""
    points = s.x.reshape(len(s.x), -1)
    if s.offers("sample"):
        drawn = s.samples[:N_FIT].reshape(-1, s.dims).to(points.dtype)
        points = torch.cat((drawn, points))
    edges = cover(points, s.bounds)
    masses, error = adaptive_masses(lambda p: _log_prob_flat(s, p), edges)
    return masses, edges, error


def _log_prob_flat(s: Subject, points: Tensor) -> Tensor:
    return s.evaluate("log_prob", points.reshape(-1, *s.shape))


def samples_follow(s: Subject) -> Finding:
    """How often samples fall somewhere is what the density says."""
    s.needs("log_prob", "sample")
    if s.discrete:
        return frequencies(state_counts(s), s.once(_state_masses), "states")
    if s.invertible and s.dims > 2:
        return _latent_ratio(s)
    if s.dims <= 2:
        return _cells(s)
    return _fit_ratio(s)


def frequencies(counts: Tensor, masses: Tensor, what: str, n: int = N_SAMPLES) -> Finding:
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
    masses, edges, _ = s.once(_grid)
    fresh = s.samples[N_FIT:].reshape(-1, s.dims).to(s.x.dtype)
    index = torch.stack(
        [torch.bucketize(c, e) - 1 for c, e in zip(fresh.T.contiguous(), edges, strict=True)]
    )
    sizes = torch.tensor(masses.shape)[:, None]
    inside = ((index >= 0) & (index < sizes)).all(0)
    flat = index[0] if s.dims == 1 else index[0] * sizes[1] + index[1]
    counts = torch.bincount(flat[inside], minlength=masses.numel())
    z, n = chi_square_z(counts, masses.flatten(), len(fresh))
    note = f"chi-square of {len(fresh)} samples on {n} cells, in standard deviations"
    return Finding(z, SIGMAS, note)


@torch.no_grad()
def _latent_ratio(s: Subject) -> Finding:
    """Flows: z = forward(sample) against log_prob - log_det, the density of z."""
    z, log_det = s.call("forward", s.samples, y=s.first_y(len(s.samples)))
    z = z.reshape(len(z), -1)
    log_p = s.evaluate("log_prob", s.samples) - log_det  # (N,), what the model says of z
    finite = z.isfinite().all(1)  # a logit in the flow may round to infinity far out
    if finite.double().mean() < 0.8:
        return Finding(math.inf, 0, "forward(sample) is not finite for over a fifth of the samples")
    fit, test = z[:N_FIT][finite[:N_FIT]], z[N_FIT:].nan_to_num(0, 0, 0)
    shrink = math.sqrt(1 - min(0.5, math.sqrt(2 / s.dims)))
    q = torch.distributions.Normal(fit.mean(0), shrink * fit.std(0).clamp(min=1e-12))
    log_ratio = q.log_prob(test).sum(1) - log_p[N_FIT:]
    log_ratio = log_ratio.masked_fill(~finite[N_FIT:], -math.inf)  # there q has no mass
    return _ratio(log_ratio, f"in z, D = {s.dims}")


def _fit_ratio(s: Subject) -> Finding:
    """Other densities: a density fitted to some samples against log_prob on the rest."""
    x = s.samples.reshape(len(s.samples), -1).to(s.x.dtype)
    return ratio_to_fit(x, s.evaluate("log_prob", s.samples))


def ratio_to_fit(x: Tensor, log_p: Tensor) -> Finding:
    """E_p[q/p] = 1 over draws x (N, D) of p, for a q fitted to the first N_FIT of them."""
    fit = _kernels if x.shape[1] <= MAX_KERNEL_DIMS else _normal
    log_q = fit(x[:N_FIT], x[N_FIT:])
    enough = 50 if fit is _kernels else 0.05 * len(log_q)  # a normal may be far from p
    return _ratio(log_q - log_p[N_FIT:], f"D = {x.shape[1]}", enough)


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


def _ratio(log_ratio: Tensor, where: str, enough: float = 50) -> Finding:
    """E_p[q/p] = 1 for any density q, where p is both normalised and what was sampled."""
    ratio = log_ratio.exp()
    n_effective = (ratio.sum().square() / ratio.square().sum()).item()
    error = (ratio.std() / math.sqrt(len(ratio))).item()
    mean = ratio.mean().item()
    note = f"mean of q/p over samples {mean:.3f} +- {error:.3f} {where}, in standard errors"
    if n_effective < enough and (enough > 50 or abs(mean - 1) < 0.9):
        return _one_sided(log_ratio, f"importance weights too uneven ({n_effective:.0f} effective)")
    return Finding(abs(mean - 1) / (error + 0.005), SIGMAS, note)


def _one_sided(log_ratio: Tensor, reason: str) -> Finding:
    """E_p[log q/p] <= 0: what is left where q/p varies too much, and only its violation tells."""
    mean, error = log_ratio.mean().item(), (log_ratio.std() / math.sqrt(len(log_ratio))).item()
    if not mean > SIGMAS * error:
        raise DoesNotApply(reason)
    note = f"log_prob is {mean:.2f} nats below a density fitted to the samples, in standard errors"
    return Finding(mean / error, SIGMAS, note)


def reference(s: Subject) -> Finding:
    """log_prob equals an independent reference."""
    s.needs("log_prob")
    if s.reference is None:
        raise DoesNotApply("no reference= was given")
    with torch.no_grad():
        claimed, exact = s.call("log_prob", s.x), s.reference(s.x)
    gap = ((claimed - exact).abs() / (1 + exact.abs())).max().item()
    return Finding(gap, 1e-5, "largest relative difference on x")
