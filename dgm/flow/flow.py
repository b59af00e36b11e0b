"""A normalising flow: invertible layers that carry data to a base density, and their log-dets.

Rezende and Mohamed (2015), arXiv:1505.05770; Papamakarios et al. (2021), arXiv:1912.02762, eq. 2-6.
Needs torch only.
"""

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn


class Flow(nn.Module):
    """log p(x) = log p_base(z) + log|det dz/dx| with z = f(x), exact.

    Parameters
    ----------
    layers : iterable of nn.Module
        Each with ``forward(x) -> (z, log_det (B,))`` and ``inverse(z) -> x``; the first one touches
        the data.
    base : nn.Module
        A density of z: ``log_prob(z) -> (B,)`` and ``sample(n, generator=)``. A mixture, another
        flow or a table will do.
    data : Reals (support.py)
        What x is: ``check(x)`` and ``count(n)``. Integers need a `Dequantize` around the flow.

    Examples
    --------
    >>> from dgm.distribution.normal import StandardNormal
    >>> from dgm.distribution.support import Reals
    >>> flow = Flow([], StandardNormal((2,)), Reals((2,)))
    >>> flow.log_prob(torch.zeros(1, 2))  # -log(2 pi)
    tensor([-1.8379])
    """

    def __init__(self, layers: Iterable[nn.Module], base: nn.Module, data: object):
        super().__init__()
        self.layers, self.base, self.data = nn.ModuleList(layers), base, data

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, *shape) -> z and log|det dz/dx| (B,), nats."""
        log_det = x.new_zeros(len(x))
        for layer in self.layers:
            x, change = layer(x)
            log_det = log_det + change
        return x, log_det

    def inverse(self, z: Tensor) -> Tensor:
        """z -> x (B, *shape), the layers undone in reverse order."""
        for layer in reversed(self.layers):
            z = layer.inverse(z)
        return z

    def log_prob(self, x: Tensor) -> Tensor:
        """Exact log density (B,), nats.

        Raises
        ------
        ValueError
            x is not what ``data`` says: floats of its shape, finite.
        """
        z, log_det = self(self.data.check(x, trusted=self.training))
        return self.base.log_prob(z) + log_det

    def loss(self, x: Tensor) -> Tensor:
        """Negative log density (B,), nats."""
        return -self.log_prob(x)

    @torch.no_grad()
    def sample(
        self, n: int, *, temperature: float = 1.0, generator: torch.Generator | None = None
    ) -> Tensor:
        """n draws (n, *shape), made in eval mode: one of the base, and the layers undone.

        Parameters
        ----------
        temperature : factor on the draw of the base; below 1 it is no longer one of p.
        generator : on the model's device; equal ones give equal draws.
        """
        if not 0 < temperature < math.inf:
            raise ValueError(f"temperature must be above 0 and finite, got {temperature}")
        training = [module for module in self.modules() if module.training]  # none in eval mode
        for module in training:
            module.training = False
        x = self.inverse(temperature * self.base.sample(self.data.count(n), generator=generator))
        for module in training:
            module.training = True
        return x
