"""Bounds on the likelihood of a noisy-OR network whose cost is linear in everything.

Jaakkola & Jordan (1999), Variational Probabilistic Inference and the QMR-DT Network, JAIR 10,
doi:10.1613/jair.583, section 4 (from above by a tangent, from below by Jensen's inequality).
Needs torch only.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid


def conjugate(lam: Tensor) -> Tensor:
    """f*(lam) of the concave f(a) = log(1 - e^-a): f(a) <= lam a - f*(lam), for all lam > 0.

    Equality at lam = 1 / (e^a - 1).
    """
    return (lam + 1) * torch.log1p(lam) - lam * lam.log()


def _log_absent(a: Tensor) -> Tensor:
    """f(a) = log(1 - e^-a), what a positive finding adds, for a > 0."""
    return torch.log(-torch.expm1(-a))


def _over_causes(log_odds: Tensor, slope: Tensor) -> Tensor:
    """log E_z[e^(z . slope)], (B,): a sum over causes, since they are independent a priori."""
    log_p = logsigmoid(log_odds) + slope
    return torch.logaddexp(logsigmoid(-log_odds).expand_as(log_p), log_p).sum(1)


@torch.enable_grad()
def _tighten(bound: Callable[[Tensor], Tensor], start: Tensor, steps: int, sign: int) -> Tensor:
    """Free parameters (B, ...) that push ``bound`` (B,) down (sign 1) or up (sign -1).

    Any value gives a valid bound; every example keeps the best it has met.
    """
    free = start.detach().clone().requires_grad_()
    best, best_value = start.detach().clone(), bound(start).detach()
    optimizer = torch.optim.Adam([free], lr=0.1)
    for _ in range(steps):
        value = sign * bound(free)
        optimizer.zero_grad()
        value.sum().backward(inputs=[free])
        optimizer.step()
        with torch.no_grad():
            now = bound(free)
            better = sign * now < sign * best_value
            best[better], best_value[better] = free.detach()[better], now[better]
    return best


class NoisyOrBounds(nn.Module):
    """Brackets on log p(x) of a `NoisyOr` network, for findings x (B, D).

    Every positive finding is replaced by an exponential of a linear function of the causes, from
    above by a tangent, from below by sharing its weight out. Then the sum over causes is a product.

    Parameters
    ----------
    network : nn.Module
        The model that is bounded: ``data`` (a `Levels`, for its ``check(x)``), ``prior_logit``
        (d,), ``weight`` (D, d) and ``leak`` (D,), the last two positive.
    signed_sum : callable
        Sums some findings exactly, as `signed_sum` of the network's file does.
    steps : int
        Of Adam on the free parameters of the bounds, for every call.

    Notes
    -----
    Own methods: ``upper``, ``lower``.

    Examples
    --------
    >>> from dgm.distribution.support import Levels
    >>> from dgm.linear.noisy_or import NoisyOr, signed_sum
    >>> model, x = NoisyOr(Levels((3,), 2), n_causes=2), torch.tensor([[1, 0, 1]])
    >>> bounds = NoisyOrBounds(model, signed_sum)
    >>> bool(bounds.lower(x) <= model.log_prob(x) <= bounds.upper(x))
    True
    """

    def __init__(self, network: nn.Module, signed_sum: Callable, steps: int = 200):
        super().__init__()
        self.steps = network.data.count(steps, "steps", least=1)
        self.network, self.signed_sum = network, signed_sum

    def upper(self, x: Tensor, n_exact: int = 0) -> Tensor:
        """Upper bound on log p(x), (B,) nats; the first ``n_exact`` positive findings are exact."""
        x, weight, leak, odds = self._read(x, n_exact)

        def terms(log_lam: Tensor) -> tuple[Tensor, Tensor]:
            lam = log_lam.exp() * x  # (B, D), 0 for absent findings
            constant = torch.where(x > 0, lam * leak - conjugate(log_lam.exp()), -leak)
            return constant, (lam - (1 - x)).unsqueeze(2) * weight  # (B, D), (B, D, d)

        def bound(log_lam: Tensor) -> Tensor:
            constant, slope = terms(log_lam)
            return constant.sum(1) + _over_causes(odds, slope.sum(1))

        middle = leak + odds.sigmoid() @ weight.T  # a at the prior mean
        start = -torch.log(torch.expm1(middle)).expand_as(x)
        log_lam = _tighten(bound, start, self.steps, sign=1)
        return self._finish(x, *terms(log_lam), weight, leak, odds, n_exact)

    def lower(self, x: Tensor, n_exact: int = 0) -> Tensor:
        """Lower bound on log p(x), (B,) nats; the first ``n_exact`` positive findings are exact."""
        x, weight, leak, odds = self._read(x, n_exact)
        base = _log_absent(leak)  # (D,), what a finding adds with no cause

        def terms(share_logits: Tensor) -> tuple[Tensor, Tensor]:
            share = share_logits.softmax(2).clamp_min(1e-12)  # (B, D, d), one over the causes
            gain = share * (_log_absent(leak[:, None] + weight / share) - base[:, None])
            there = x.unsqueeze(2) > 0
            return torch.where(x > 0, base, -leak), torch.where(there, gain, -weight)

        def bound(share_logits: Tensor) -> Tensor:
            constant, slope = terms(share_logits)
            return constant.sum(1) + _over_causes(odds, slope.sum(1))

        start = (weight + 1e-6).log().expand(len(x), *weight.shape)
        share_logits = _tighten(bound, start, self.steps, sign=-1)
        return self._finish(x, *terms(share_logits), weight, leak, odds, n_exact)

    def _finish(self, x, constant, slope, weight, leak, odds, n_exact: int) -> Tensor:
        """Sum over the causes, with the first positive findings of every row left as they are."""
        values = []
        for row, c, s in zip(x, constant, slope, strict=True):
            exact = (row > 0) & ((row > 0).cumsum(0) <= n_exact)
            shift = s[~exact].sum(0)
            rest = self.signed_sum(odds, shift, weight[exact], leak[exact])
            values.append(c[~exact].sum() + rest)
        return torch.stack(values)

    def _read(self, x: Tensor, n_exact: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Findings as floats, and the network's numbers without their gradients."""
        weight, leak = self.network.weight.detach(), self.network.leak.detach()
        found = self.network.data.check(x).to(leak)
        self.network.data.count(n_exact, "n_exact")
        return found, weight, leak, self.network.prior_logit.detach()
