"""How far from chance: bounds that hold for any law, so that a healthy model seldom fails.

A check makes many comparisons; it may give a false alarm once in 100,000 audits, over all of them
together (Bonferroni), so that some thirty checks fail a healthy model less than once in 1,000.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from dgm.audit.report import Finding, LeftOut

ALPHA = 1e-5  # false alarms of one check
SIGMAS = 6.0  # the same for a few comparisons of means that are nearly normal
MARKOV = math.log(1 / ALPHA)  # a mean of exp(this) has this small a chance where at most one is due


def deviations(n_comparisons: int) -> float:
    """What the largest of so many standardised sums may reach, by the tail exp(-z**2 / 2)."""
    return math.sqrt(2 * math.log(2 * max(n_comparisons, 1) / ALPHA))


def bernstein(total: Tensor, variance: Tensor, largest: float | Tensor = 1.0) -> Tensor:
    """Sums of differences of mean zero, on a scale where the tail is below exp(-z**2 / 2).

    Freedman (1975), doi:10.1214/aop/1176996452: for martingale differences of at most `largest`
    with sum of conditional variances `variance`. It holds for rare counts too.
    """
    t = total.abs()
    return t / (variance + largest * t / 3 + 1e-12).sqrt()


def counts_follow(log_p: Tensor, hit: Tensor, what: str, in_turn: bool = True) -> Finding:
    """Whether values that came up, hit (N, M, K) of 0 and 1, were drawn from exp(log_p).

    Counts less their conditional expectations have mean zero whatever the dependence; so has log p
    plus the entropy, and both times what the rest says. Where the M variables of a row came in
    turn, each given those before it, sums may run over them too; else over independent rows only.
    """
    p, log_p = log_p.exp(), log_p.clamp_min(-700)
    context = (log_p - log_p.mean(0)).clamp(-8, 8)  # what the rest adds: draws that ignore it fail
    surprise = ((hit - p) * log_p).sum(2)  # (N, M)
    along = ((hit - p) * context).sum(2)
    spread = (p * log_p.square()).sum(2) - (p * log_p).sum(2).square()
    spread_along = (p * context.square()).sum(2) - (p * context).sum(2).square()
    found = []
    for over in ((0,), (0, 1)) if in_turn else ((0,),):
        reach = surprise.abs().amax(over)
        found += [
            bernstein(surprise.sum(over), spread.sum(over), reach),
            bernstein(along.sum(over), spread_along.sum(over), 16.0),
            bernstein((hit - p).sum(over), (p * (1 - p)).sum(over)),
        ]
    if not in_turn and len(p) >= 64:  # rows are independent, whatever their variables are
        for rows in (surprise.sum(1), along.sum(1)):
            found.append(rows.sum().abs() / (rows - rows.mean()).square().sum().sqrt())
    z = torch.cat([f.flatten() for f in found])
    note = f"{len(p)} samples, worst of {len(z)} {what}, in standard errors"
    return Finding(z.max().item(), deviations(len(z)), note)


def mean_is_zero(
    values: Tensor, what: str, least: float = 30.0, tolerance: float | None = None
) -> Finding | LeftOut:
    """Whether columns of values (N, M) have mean zero; those resting on a few rows are left out."""
    mean, spread = values.mean(0), values.std(0)
    square = values.square()
    n_effective = square.sum(0).square() / square.square().sum(0).clamp_min(1e-300)
    seen = (n_effective >= least) & (spread > 0)
    if not seen.any():
        return LeftOut(f"{what}: rests on a few samples ({n_effective.max():.0f} effective)")
    z = (mean.abs() / (spread / math.sqrt(len(values))).clamp_min(1e-12))[seen]
    blind = f", {int((~seen).sum())} not seen" if not seen.all() else ""
    note = f"{what}, worst of {len(z)}{blind}, in standard errors"
    allowed = deviations(len(z)) if tolerance is None else tolerance
    return Finding(z.max().item(), allowed, note)


def ratio_is_one(log_ratio: Tensor, what: str, enough: float = 50) -> Finding | LeftOut:
    """Whether exp(log_ratio) (N,) has mean one; what it could not see is left out.

    A mean above 1 / ALPHA is decisive whatever the spread (Markov), and so is a mean of the log
    above zero (Jensen). Else the mean is judged where enough rows carry it; one below one only
    where one in twelve does, as rare large terms may not have come up.
    """
    n = len(log_ratio)
    above = ratio_at_most_one(log_ratio, what)
    if isinstance(above, Finding) and above.measured > above.tolerance:
        return above
    ratio = log_ratio.exp()
    n_effective = (ratio.sum().square() / ratio.square().sum().clamp_min(1e-300)).item()
    mean, error = ratio.mean().item(), (ratio.std() / math.sqrt(n)).item()
    if not n_effective >= (
        enough if mean > 1 - SIGMAS * (error + 0.005) else max(enough, 0.08 * n)
    ):
        return LeftOut(f"{what}: too uneven to see anything ({n_effective:.0f} effective of {n})")
    note = f"{what}: mean {mean:.3f} +- {error:.3f}, in standard errors"
    return Finding(abs(mean - 1) / (error + 0.005), SIGMAS, note)


def ratio_at_most_one(log_ratio: Tensor, what: str) -> Finding | LeftOut:
    """Evidence that exp(log_ratio) (N,) has a mean above one; below one is none."""
    n = len(log_ratio)
    if log_ratio.isnan().any():
        return Finding(math.nan, 0, f"{what} is nan")
    # so large that chance can be left out: Markov
    log_mean = (log_ratio.logsumexp(0) - math.log(n)).item()
    if log_mean > MARKOV:
        note = f"{what}: mean exp({log_mean:.1f}), where one is due: log of it (Markov)"
        return Finding(log_mean, MARKOV, note)
    # else by standard errors, of the log (Jensen) and of the mean
    finite = log_ratio.clamp_min(-1e6)
    mean, error = finite.mean().item(), (finite.std() / math.sqrt(n)).item()
    ratio = log_ratio.exp()
    n_effective = (ratio.sum().square() / ratio.square().sum().clamp_min(1e-300)).item()
    z_log = mean / (error + 1e-9)
    z_mean = (ratio.mean().item() - 1) / (ratio.std().item() / math.sqrt(n) + 0.005)
    if z_log > SIGMAS:
        note = f"{what}: mean of the log {mean:.2f} +- {error:.2f}, in standard errors"
        return Finding(z_log, SIGMAS, note)
    if n_effective >= 50:
        note = f"{what}: mean {ratio.mean().item():.3f}, above one in standard errors"
        return Finding(max(z_mean, 0.0), SIGMAS, note)
    return LeftOut(f"{what}: too uneven to see anything ({n_effective:.0f} effective of {n})")
