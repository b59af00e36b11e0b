"""Annealing along the path of an RBM: an estimate of log Z, draws, and a bound from below.

Annealed importance sampling: Neal (2001), arXiv:physics/9803008; of RBMs: Salakhutdinov and Murray
(2008), doi:10.1145/1390156.1390266. The bound: Burda, Grosse and Salakhutdinov (2015),
arXiv:1412.8566. Needs torch only.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus


class AnnealedRBM(nn.Module):
    """An RBM reached by annealing: start at independent pixels, then one sweep at each beta.

    This procedure is a model of its own, whose last step may be taken as *the* draw. Backwards from
    x it gives an unbiased estimate of the probability that the procedure ends at x, so its log is
    a bound (``elbo``); forwards it gives an unbiased estimate of Z, whose log is too low on average
    and log p(x) with it too high. The two enclose the truth as far as the procedure reaches it.

    Own methods: ``log_z_weights``, ``log_z``.

    Parameters
    ----------
    rbm : nn.Module
        With data, free_energy(v, beta), sweep(v, beta), start(n), base_logits; see rbm.py.
    steps : int
        Number of sweeps; beta rises evenly from 1 / steps to 1.

    Raises
    ------
    ValueError
        steps is no whole number of at least 1.

    Examples
    --------
    >>> from dgm.distribution.support import Levels
    >>> from dgm.energy.negative_phase import ContrastiveDivergence
    >>> from dgm.energy.rbm import RBM
    >>> rbm = RBM(Levels((1, 4, 4), 2), hidden=8, negatives=ContrastiveDivergence(1))
    >>> annealed = AnnealedRBM(rbm, steps=50)
    >>> annealed.sample(3).shape
    torch.Size([3, 1, 4, 4])
    """

    def __init__(self, rbm: nn.Module, steps: int = 1000):
        super().__init__()
        self.rbm, self.data = rbm, rbm.data
        self.steps = rbm.data.count(steps, "steps", least=1)

    def _betas(self) -> list[float]:
        return [(t + 1) / self.steps for t in range(self.steps)]

    def start_from(self, x: Tensor) -> None:
        """As the RBM: the path starts at the pixels' frequencies in x (N, *shape)."""
        self.rbm.start_from(x)

    def loss(self, x: Tensor) -> Tensor:
        """The RBM's: a surrogate for training, (B,), without a unit."""
        return self.rbm.loss(x)

    def _log_start(self, v: Tensor) -> Tensor:
        """log p_0(v), independent pixels, (B,) nats."""
        c = self.rbm.base_logits
        return (v * c - softplus(c)).sum(1)

    def elbo(self, x: Tensor) -> Tensor:
        """log of an unbiased estimate that the procedure draws x (B, *shape), (B,) nats.

        A sweep is reversible, so the same sweeps with beta falling lead back to the start:
        log w = log p_0(v_0) + sum over t of F_t(v_{t-1}) - F_t(v_t), with v_T = x.
        """
        v = self.data.rows(x, self.rbm.weight.dtype)
        log_w = 0.0
        for beta in reversed(self._betas()):
            with torch.no_grad():
                before = self.rbm.sweep(v, beta)
            log_w = log_w + self.rbm.free_energy(before, beta) - self.rbm.free_energy(v, beta)
            v = before
        return log_w + self._log_start(v)

    @torch.no_grad()
    def log_z_weights(
        self, n: int, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Log weights (n,), whose exp averages to Z, and the ends (n, D) of their chains."""
        rbm, before = self.rbm, 0.0
        v = rbm.start(self.data.count(n, least=1), generator)
        log_w = softplus(rbm.base_logits).sum() + len(rbm.hidden_bias) * math.log(2)  # log Z_0
        for beta in self._betas():
            log_w = log_w + rbm.free_energy(v, before) - rbm.free_energy(v, beta)
            v, before = rbm.sweep(v, beta, generator), beta
        return log_w, v

    def log_z(self, n: int = 100, generator: torch.Generator | None = None) -> tuple[float, float]:
        """Estimate of log Z from n chains and its standard error, nats.

        The error is that of the mean weight, divided by it; it is blind to modes that no chain has
        found.
        """
        log_w = self.log_z_weights(n, generator)[0].double()
        relative = (log_w - log_w.max()).exp()
        error = (relative.std() / relative.mean() / math.sqrt(n)).item() if n > 1 else math.nan
        return (log_w.logsumexp(0) - math.log(n)).item(), error

    @torch.no_grad()
    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """Ends of n chains: ``steps`` Gibbs sweeps while beta rises to 1."""
        v = self.rbm.start(self.data.count(n), generator)
        for beta in self._betas() if n else ():
            v = self.rbm.sweep(v, beta, generator)
        return self.data.stored(v.view(n, *self.data.shape))
