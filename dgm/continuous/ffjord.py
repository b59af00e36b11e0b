"""FFJORD: a continuous flow with a free-form field, trained by maximum likelihood.

Grathwohl, Chen, Bettencourt, Sutskever and Duvenaud (2019), arXiv:1810.01367, eqs. 2-8; kinetic
penalty: Finlay et al. (2020), arXiv:2002.02798. Needs torch only.
"""

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn


class FFJORD(nn.Module):
    """log p(x) = log p_base(z) + log|det|, x brought to z by simple layers and then by a field.

    Parameters
    ----------
    ode : nn.Module
        `ODELayer`: ``ode(x) -> (z, log_det)``, ``integrate(x)`` with the energy, ``inverse(z)``.
    base : nn.Module
        A density of z: ``log_prob(z)``, ``sample(n, generator=)``.
    data : Reals (support.py)
        What x is: ``check(x)``, ``count(n)``. Integers need a `Dequantize` around it.
    before : iterable of nn.Module
        Layers of closed form between data and field, such as a logit.
    kinetic : float
        Weight of the energy of the path in `loss`, and nowhere else.

    Notes
    -----
    As exact as the solver; with an estimated trace `log_prob` is an unbiased estimate. Own methods:
    ``prepare``, x as the field sees it.

    Examples
    --------
    >>> from dgm.continuous.ode_layer import ODELayer
    >>> from dgm.continuous.solver import Solver
    >>> from dgm.continuous.trace import ExactTrace
    >>> from dgm.distribution.normal import StandardNormal
    >>> from dgm.distribution.support import Reals
    >>> from dgm.nets.time_mlp import TimeMLP
    >>> ode = ODELayer(TimeMLP(2, width=8), ExactTrace(), Solver("rk4"))
    >>> model = FFJORD(ode, StandardNormal((2,)), Reals((2,)))
    >>> model.log_prob(model.sample(5)).shape
    torch.Size([5])
    """

    def __init__(
        self,
        ode: nn.Module,
        base: nn.Module,
        data: object,
        before: Iterable[nn.Module] = (),
        kinetic: float = 0.0,
    ):
        super().__init__()
        if not 0 <= kinetic < math.inf:
            raise ValueError(f"kinetic must be finite and at least 0, got {kinetic}")
        self.before, self.ode = nn.ModuleList(before), ode
        self.base, self.data, self.kinetic = base, data, kinetic

    def prepare(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, *shape) -> what the field sees at t = 1, and log-determinant (B,), nats."""
        log_det = x.new_zeros(len(x))
        for layer in self.before:
            x, change = layer(x)
            log_det = log_det + change
        return x, log_det

    def _score(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Log density and, where it counts in the loss, the energy of the path, (B,) each."""
        h, first = self.prepare(self.data.check(x, trusted=self.training))
        z, log_det, energy = self.ode.integrate(h) if self.kinetic else (*self.ode(h), 0.0)
        return self.base.log_prob(z) + first + log_det, energy

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, *shape) -> z and log|det dz/dx| (B,), nats."""
        h, first = self.prepare(x)
        z, log_det = self.ode(h)
        return z, first + log_det

    def inverse(self, z: Tensor) -> Tensor:
        """z -> x (B, *shape)."""
        z = self.ode.inverse(z)
        for layer in reversed(self.before):
            z = layer.inverse(z)
        return z

    def log_prob(self, x: Tensor) -> Tensor:
        """Log density (B,), nats; a ValueError if x is not what ``data`` says."""
        return self._score(x)[0]

    def loss(self, x: Tensor) -> Tensor:
        """Negative log density plus ``kinetic`` times the energy of the path (B,)."""
        log_p, energy = self._score(x)
        return self.kinetic * energy - log_p

    @torch.no_grad()
    def sample(
        self, n: int, *, temperature: float = 1.0, generator: torch.Generator | None = None
    ) -> Tensor:
        """n draws (n, *shape), made in eval mode: one of the base, carried from t = 0 to t = 1.

        Parameters
        ----------
        temperature : factor on the draw of the base; below 1 it is no longer one of p.
        generator : on the model's device; equal ones give equal draws.
        """
        if not 0 < temperature < math.inf:
            raise ValueError(f"temperature must be above 0 and finite, got {temperature}")
        z = temperature * self.base.sample(self.data.count(n), generator=generator)
        if not len(z):
            return z.reshape(0, *self.data.shape)
        # dropout and the like rest while drawing, and are put back
        training = [module for module in self.modules() if module.training]
        for module in training:
            module.training = False
        x = self.inverse(z)
        for module in training:
            module.training = True
        return x
