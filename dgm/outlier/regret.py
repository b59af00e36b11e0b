"""Likelihood regret: what a VAE's bound gains on one picture when q is fitted to that picture.

Xiao, Yan and Amit (2020), arXiv:2003.02977, eq. 6. Needs torch only.
Note: mean and log variance of q are fitted, not the weights of a copied encoder.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def _bound(model: nn.Module, x: Tensor, mean: Tensor, log_var: Tensor, eps: Tensor) -> Tensor:
    """ELBO (B,) of a diagonal q, over draws eps (S, B, d), KL from N(0, I) in closed form."""
    z = mean + (0.5 * log_var).exp() * eps
    many = x.repeat(len(eps), *[1] * (x.ndim - 1))
    log_p = model.likelihood(z.flatten(0, 1)).log_prob(many).view(len(eps), -1).mean(0)
    kl = 0.5 * (mean.square() + log_var.exp() - log_var - 1).sum(1)
    return log_p - kl


def likelihood_regret(
    model: nn.Module, x: Tensor, steps: int = 20, lr: float = 0.05, draws: int = 4,
    generator: torch.Generator | None = None,
) -> Tensor:  # fmt: skip
    """Gain of the bound (B,) nats; never below zero, as the best q met is kept. High: an outsider.

    Parameters
    ----------
    model : VAE with prior N(0, I)
        ``posterior(x)`` with ``mean`` and ``stddev`` (B, d); ``likelihood(z)`` with ``log_prob``.
    x : (B, *shape), as stored.
    steps, lr : of Adam, on mean and log variance of each picture's own q.
    draws : of q at every step; before and after are judged on one set of draws, the same for both.

    Raises
    ------
    ValueError
        A count below 1.
    """
    if steps < 1 or draws < 1 or not lr > 0:
        raise ValueError(f"steps, draws >= 1 and lr > 0 needed, got {steps}, {draws}, {lr}")
    # where q begins
    with torch.no_grad():
        q = model.posterior(x)
        first = q.mean.clone(), 2 * q.stddev.log()
    mean, log_var = (part.clone().requires_grad_() for part in first)
    eps = torch.randn(draws, *mean.shape, generator=generator, dtype=mean.dtype)
    optimizer = torch.optim.Adam([mean, log_var], lr=lr)
    # some steps up; every picture keeps its best
    best = before = None
    for step in range(steps + 1):
        with torch.enable_grad():
            bound = _bound(model, x, mean, log_var, eps)
            if step < steps:
                slopes = torch.autograd.grad(-bound.sum(), (mean, log_var))
        best = bound.detach() if best is None else torch.maximum(best, bound.detach())
        before = bound.detach() if before is None else before
        if step < steps:
            mean.grad, log_var.grad = slopes
            optimizer.step()
    return best - before
