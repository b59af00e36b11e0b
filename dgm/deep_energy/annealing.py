"""Annealed importance sampling between a Gaussian and a deep energy: an estimate of log Z.

Neal (2001), arXiv:physics/9803008, eqs. 3-8. Needs torch only.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn


@torch.no_grad()
def annealed_log_z(
    model: nn.Module,
    walker: nn.Module,
    chains: int = 50,
    steps: int = 500,
    generator: torch.Generator | None = None,
    wait: int = 1,
    watch: Callable[[int, Tensor], None] | None = None,
) -> tuple[Tensor, Tensor]:
    """Log weights (chains,) whose exponentials average to Z, and where the chains end (chains, D).

    Chains start at the Gaussian that the model tilts and pass E_b = base + b * net, b from 0 to 1:
    at each b the weight takes in the change of energy, then the chain moves ``wait`` steps.
    log of the mean weight is too low on average, and less so the slower it goes: log p that is
    built on it flatters.

    Parameters
    ----------
    model : `DeepEnergy`: ``base_draws``, ``base_log_prob``, ``net``, ``spread``, ``data``.
    walker : moves that leave exp(-E) as it is: `MALA`. It settles its step on the way, by what the
        chains do, so that the average is Z only nearly; fix the step where it must be exact.
    watch : told (step, states) after each.

    Raises
    ------
    ValueError
        A count is no whole number of at least 1.

    Examples
    --------
    >>> from dgm import zoo
    >>> from dgm.deep_energy.mala import MALA
    >>> from dgm.distribution.support import Reals
    >>> plane = zoo.get("plane_energy").build(Reals((2,)))
    >>> log_w, ends = annealed_log_z(plane.model, MALA(0.3), chains=200, steps=50)
    >>> abs(log_w.logsumexp(0) - math.log(200) - plane.log_z()).item() < 0.05
    True
    """
    for name, count in dict(chains=chains, steps=steps, wait=wait).items():
        if type(count) is not int or count < 1:
            raise ValueError(f"{name} must be a whole number of at least 1, got {count!r}")
    # Z of the Gaussian is known; so is the slope of E_b in b, which is what the net says
    u = model.base_draws(chains, generator)
    log_w = u.new_zeros(chains)
    log_w += model.data.dims * (0.5 * math.log(2 * math.pi) + model.spread.log())
    betas = torch.linspace(0, 1, steps + 1).tolist()
    for k in range(1, steps + 1):
        log_w -= (betas[k] - betas[k - 1]) * model.net(u)[:, 0]

        def energy(v: Tensor, b: float = betas[k]) -> Tensor:
            return b * model.net(v)[:, 0] - model.base_log_prob(v)

        u, share = walker(energy, u, wait, generator)
        walker.settle(share)
        if watch is not None:
            watch(k, u)
    return log_w, u
