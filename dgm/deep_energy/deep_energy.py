"""A deep energy: a network tilts a Gaussian, p(u) = exp(-E(u)) / Z; how it is trained is passed in.

LeCun et al. (2006), A tutorial on energy-based learning; Xie et al. (2016), arXiv:1602.03264, whose
reference law is a Gaussian too. Needs torch only.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class DeepEnergy(nn.Module):
    """E(u) = net(u) + sum of ((u - centre) / spread)^2 / 2, and log p(u) = -E(u) - log Z.

    u are rows of reals: points as they are, levels brought to 0 .. 1. The Gaussian keeps Z finite
    for every network that grows less than quadratically. Z is not known, so there is no
    ``log_prob``; two energies compare two pictures.

    Own methods: ``tilted``, ``base_draws``, ``base_log_prob``, ``best_guess``.

    Parameters
    ----------
    data : what x is (support.py): ``rows``, ``count``, ``shape``, ``dims``, ``unscaled``,
        ``stored``.
    net : nn.Module
        Rows (B, D) -> (B, 1).
    objective : nn.Module
        ``objective(model, u)`` -> (B,) is what training minimises: contrast.py, matching.py,
        noise_contrast.py, plane_energy.py.
    walker : nn.Module
        Moves chains: ``walker(energy, u, steps, generator) -> (u, share)``: langevin.py, mala.py.
    steps : int
        Steps of every chain in `sample`.

    Examples
    --------
    >>> from dgm.deep_energy.langevin import Langevin
    >>> from dgm.deep_energy.matching import DenoisingMatch
    >>> from dgm.distribution.support import Reals
    >>> net = nn.Sequential(nn.Linear(2, 8), nn.SiLU(), nn.Linear(8, 1))
    >>> model = DeepEnergy(Reals((2,)), net, DenoisingMatch(0.3), Langevin(0.05), steps=10)
    >>> model.energy(torch.zeros(5, 2)).shape, model.sample(3).shape
    (torch.Size([5]), torch.Size([3, 2]))
    """

    def __init__(
        self, data, net: nn.Module, objective: nn.Module, walker: nn.Module, steps: int = 200
    ):
        super().__init__()
        self.data, self.net, self.objective, self.walker = data, net, objective, walker
        self.steps = data.count(steps, "steps", least=1)
        self.register_buffer("centre", torch.zeros(data.dims))
        self.register_buffer("spread", torch.ones(()))

    @torch.no_grad()
    def start_from(self, x: Tensor) -> None:
        """The Gaussian at the mean and one standard deviation for all entries of x, noise added.

        A buffer of the objective is filled with its draws.
        """
        u = self.data.rows(x, self.centre.dtype)
        self.centre.copy_(u.mean(0))
        noise = getattr(self.objective, "noise", 0.0)
        self.spread.copy_((u.var(0).mean() + noise**2).sqrt())
        buffer = getattr(self.objective, "buffer", None)
        if buffer is not None:
            buffer.fill(self.base_draws(len(buffer.chains)))

    def base_draws(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """n rows (n, D) of the Gaussian alone."""
        like = dict(device=self.centre.device, dtype=self.centre.dtype)
        return self.centre + self.spread * torch.randn(
            n, self.data.dims, generator=generator, **like
        )

    def base_log_prob(self, u: Tensor) -> Tensor:
        """Log density (B,) of rows u under the Gaussian alone, nats."""
        scaled = ((u - self.centre) / self.spread).square() + math.log(2 * math.pi)
        return -0.5 * scaled.sum(1) - u.shape[1] * self.spread.log()

    def tilted(self, u: Tensor) -> Tensor:
        """E(u) (B,) of rows u (B, D)."""
        return self.net(u)[:, 0] + 0.5 * ((u - self.centre) / self.spread).square().sum(1)

    def energy(self, x: Tensor) -> Tensor:
        """E of data x (B, *shape): log p = -E - log Z, (B,) nats."""
        return self.tilted(self.data.rows(x, self.centre.dtype))

    def score(self, u: Tensor) -> Tensor:
        """-dE/du (B, D) of rows u: the gradient of log p, for which no Z is needed."""
        with torch.enable_grad():
            u = u.detach().requires_grad_()
            return -torch.autograd.grad(self.tilted(u).sum(), u)[0]

    def best_guess(self, u: Tensor) -> Tensor:
        """Expected clean rows (B, D), where the objective puts noise of deviation s on the data.

        u + s^2 score(u), by Tweedie's formula; u itself where there is no noise.
        """
        noise = getattr(self.objective, "noise", 0.0)
        return u + noise**2 * self.score(u) if noise else u

    def loss(self, x: Tensor) -> Tensor:
        """What the objective makes of x, (B,); see there whether it has a unit."""
        u = self.data.rows(x, self.centre.dtype, trusted=True)
        return self.objective(self, u)

    @torch.no_grad()
    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """Ends of n chains of ``steps`` steps that start at the Gaussian, noise taken off.

        Their law is the model's where the chains are long enough, which takes a look.
        """
        u = self.base_draws(self.data.count(n), generator)
        if n:
            u, _ = self.walker(self.tilted, u, self.steps, generator)
            u = self.best_guess(u)
        v = self.data.unscaled(u, 0.0, 1.0).view(n, *self.data.shape)
        return self.data.stored(v + 0.5 if hasattr(self.data, "levels") else v)
