"""Checks of dequantised models: a density on x + u, with u in [0, 1), bounds the mass of x."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from dgm.audit.chance import MARKOV, SIGMAS
from dgm.audit.density import LEAST, frequencies, state_counts
from dgm.audit.quadrature import LOST, adaptive_masses
from dgm.audit.report import Finding, LeftOut
from dgm.audit.subject import N_SAMPLES, Subject

NOISES = 100_000  # numbers of noise to look at
ENOUGH = 50  # effective draws that a mean must rest on to be judged
NOT_DEQUANTISED = LeftOut("no part with log_prob is given x plus noise: not dequantised")


@dataclass
class Inner:
    """The density inside a dequantised model: it is asked about y = scale * (x + u)."""

    module: nn.Module
    scale: float
    noise: Tensor  # u of every call seen, (calls, B, ...)


def inner_of(s: Subject) -> Inner | None:
    """Watch which part with log_prob receives x plus noise, in units of levels or of [0, 1)."""
    if not s.offers("elbo") or not s.discrete or not s.facts.levels_known or s.facts.parts:
        return None
    parts = [c for c in s.model.children() if callable(getattr(c, "log_prob", None))]
    repeats = min(512, max(4, NOISES // s.x.numel()), s.rows("elbo", 512 * len(s.x)) // len(s.x))
    for child in parts if repeats >= 1 else ():
        seen: list[Tensor] = []
        with _replaced(child, partial(_tap, child, seen)):
            s.draws("elbo", s.x, repeats=repeats)
        shaped = [y for y in seen if y.shape[1:] == s.shape and len(y) % len(s.x) == 0]
        for scale in (1.0, 1 / s.levels, 1 / (s.levels - 1)):
            noise = [y.view(-1, *s.x.shape) / scale - s.x for y in shaped]  # (calls, B, ...)
            if noise and max(u.abs().max().item() for u in noise) <= 1.5:
                return Inner(child, scale, torch.cat(noise))
    return None


def _tap(module: nn.Module, seen: list[Tensor], y: Tensor, *args: object) -> Tensor:
    """`module.log_prob(y)`, with y noted down."""
    seen.extend(() if args else (y,))
    return type(module).log_prob(module, y, *args)


@contextmanager
def _replaced(module: nn.Module, log_prob: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """Answer for `module.log_prob` for a while."""
    module.log_prob = log_prob
    try:
        yield
    finally:
        del module.log_prob


def noise_fills_bin(s: Subject) -> Finding | LeftOut:
    """The noise stays in its bin; where it claims to be uniform (log q = 0) it is."""
    inner = s.once(inner_of)
    if inner is None:
        return NOT_DEQUANTISED
    u = inner.noise.flatten()
    low, high = u.min().item(), u.max().item()
    note = f"u from {low:.3f} to {high:.3f}"
    if low < -1e-6 or high > 1 + 1e-6:
        return Finding(max(-low, high - 1), 1e-6, note + ": it leaves the bin")
    if s.once(_uniform_scores).std() > 1e-9:
        return Finding(0.0, 0.0, note + " (learned: its density is checked by the bits)")
    rank = torch.arange(len(u), dtype=u.dtype) / len(u)
    distance = (u.sort().values - rank).abs().max().item()  # Kolmogorov-Smirnov
    return Finding(distance, 3 / math.sqrt(len(u)), note + ", distance from uniform")


@torch.no_grad()
def _uniform_scores(s: Subject) -> Tensor:
    """elbo - log(levels**-D) where the inner density is uniform on the cube, (repeats, B)."""
    inner = s.once(inner_of)
    repeats = max(8, min(512, s.rows("elbo", 512 * len(s.x)) // len(s.x)))
    side = inner.scale * s.levels

    def log_prob(y: Tensor) -> Tensor:
        inside = ((y >= 0) & (y <= side + 1e-9)).flatten(1).all(1)
        score = y.new_full((len(y),), -s.dims * math.log(side))
        return score.masked_fill(~inside, -math.inf)

    x = s.x.clone()
    x[0], x[-1] = 0, s.levels - 1  # the two corners, where noise may fall out of the cube
    with _replaced(inner.module, log_prob):
        scores = s.draws("elbo", x, repeats=repeats)
    return scores + s.dims * math.log(s.levels)


def bits(s: Subject) -> Finding | LeftOut:
    """With a uniform density inside, the model scores log2(levels) bits per dimension."""
    if s.once(inner_of) is None:
        return NOT_DEQUANTISED
    excess = s.once(_uniform_scores)
    if not excess.isfinite().all():
        return Finding(math.inf, 0, "not finite: the noise leaves 0 .. levels")
    if excess.std() <= 1e-9:
        gap = excess.abs().max().item() / s.dims / math.log(2)
        return Finding(gap, 1e-6, f"{math.log2(s.levels):.4f} expected, bits per dim")
    weights = excess.exp().flatten()  # E[1/q(u)] = volume of the bin = 1
    n_effective = (weights.sum().square() / weights.square().sum()).item()
    if n_effective < 100:  # too uneven for a mean: the bound must still be a bound
        error = (excess.std() / math.sqrt(excess.numel())).item()
        note = f"learned noise: {excess.mean():.3f} +- {error:.3f} nats above, in standard errors"
        return Finding(excess.mean().item() / error, SIGMAS, note)
    error = (weights.std() / math.sqrt(len(weights))).item()
    note = f"mean of 1/q(u) {weights.mean():.3f} +- {error:.3f}, in standard errors"
    return Finding(abs(weights.mean().item() - 1) / error, SIGMAS, note)


def exact_masses(s: Subject) -> Tensor | LeftOut:
    """Mass of every state by quadrature of the inner density over its bin, (levels,) * D."""
    inner = s.once(inner_of)
    if inner is None:
        return NOT_DEQUANTISED
    if s.dims > 2:
        return LeftOut(f"D = {s.dims}: bin masses are integrated for D = 1 and 2")
    edges = [inner.scale * torch.arange(s.levels + 1, dtype=torch.float64)] * s.dims

    def log_density(points: Tensor) -> Tensor:
        with torch.no_grad():
            parts = points.reshape(-1, *s.shape).split(8192)
            return torch.cat([inner.module.log_prob(p) for p in parts])

    # where the inner density draws, its draws say where to look closely
    known = None
    if callable(getattr(inner.module, "sample", None)):
        known = inner.scale * s.once(_inner_draws)
    found = adaptive_masses(log_density, edges, known=known)
    if found.unseen > LOST:
        return LeftOut(f"{found.unseen:.1%} of the draws lie on peaks no quadrature resolved")
    return found.cells


@torch.no_grad()
def bin_masses(s: Subject, repeats: int = 2048) -> Finding | LeftOut:
    """Weights exp(elbo) average to the exact mass of the bin, for the states that can be judged.

    Those are the likely ones whose mean does not rest on a few large weights; a mean so far above
    the mass that chance can be left out (Markov) counts everywhere.
    """
    masses = s.once(exact_masses)
    if isinstance(masses, LeftOut):
        return masses
    masses = masses.flatten()
    likely = masses > masses.sum() / (4 * masses.numel())
    if not likely.any():  # without mass, or not a number
        return Finding(math.nan, 0, f"the masses of the bins sum to {masses.sum():.3g}")
    # means of the weights, and how many of them carry each
    weights = s.draws("elbo", s.states, repeats=repeats).exp()  # (repeats, states)
    mean, error = weights.mean(0), weights.std(0) / math.sqrt(repeats)
    n_effective = weights.sum(0).square() / weights.square().sum(0).clamp_min(1e-300)
    above = (mean / masses)[likely].log().max().item()
    if above > MARKOV:
        return Finding(above, MARKOV, "log of the mean weight over the mass (Markov)")
    # where rare large weights may not have come up, a mean below the mass says little
    enough = torch.where(mean < masses, max(ENOUGH, 0.08 * repeats), ENOUGH)
    judged = likely & (n_effective >= enough)
    if not judged.any():
        most = n_effective[likely].max()
        return LeftOut(f"weights too uneven to see anything ({most:.0f} effective of {repeats})")
    z = ((mean - masses).abs() / (error + 1e-3 * masses + 1e-12))[judged].max().item()
    blind = int((likely & ~judged).sum())
    note = f"worst of {int(judged.sum())} states" + (f", {blind} not seen" if blind else "")
    return Finding(z, SIGMAS + 2, note + ", in standard errors")


@torch.no_grad()
def _inner_draws(s: Subject) -> Tensor:
    """Draws of the inner density in units of levels, (N_SAMPLES, D)."""
    inner = s.once(inner_of)
    return inner.module.sample(N_SAMPLES).reshape(N_SAMPLES, -1) / inner.scale


def bins_total(s: Subject) -> Finding | LeftOut:
    """Bin masses sum to what the inner density puts inside the cube."""
    masses = s.once(exact_masses)
    if isinstance(masses, LeftOut):
        return masses
    if not callable(getattr(s.once(inner_of).module, "sample", None)):
        return LeftOut("the density inside cannot be sampled")
    y = s.once(_inner_draws)
    inside = ((y >= 0) & (y <= s.levels)).all(1).double().mean().item()
    error = math.sqrt(max(inside * (1 - inside), 1e-4) / len(y))
    note = f"masses sum to {masses.sum():.4f}, share of draws in the cube {inside:.4f}"
    gap = abs(masses.sum().item() - inside) / error
    return Finding(gap, SIGMAS, note + ", in standard errors")


def bin_frequencies(s: Subject) -> Finding | LeftOut:
    """Sampled integers are as frequent as the bin masses say.

    Draws outside the cube are allowed to land in the nearest bin.
    """
    masses = s.once(exact_masses)
    if isinstance(masses, LeftOut):
        return masses
    if why := s.lacks("sample") or s.too_few(len(s.samples), LEAST, "drawing"):
        return why
    masses, n = masses.flatten(), len(s.samples)
    y = s.once(_inner_draws)
    outside = ((y < 0) | (y > s.levels)).any(1)
    moved = state_counts(s, y[outside].floor().clamp(0, s.levels - 1)) / len(y)
    counts = state_counts(s)
    most = masses + 1.2 * moved + (20 / n) * (moved > 0)
    masses = torch.where(moved > 0, (counts / n).clamp(masses, most), masses)
    return frequencies(counts, masses / masses.sum(), "bins", n)
