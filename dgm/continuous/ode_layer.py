"""A flow layer of infinitely many small steps: follow a field from time 1 to time 0.

Chen, Rubanova, Bettencourt and Duvenaud (2018), arXiv:1806.07366, theorem 1; Grathwohl et al.
(2019), FFJORD, arXiv:1810.01367, eq. 4; kinetic energy: Finlay, Jacobsen, Nurbekyan and Oberman
(2020), arXiv:2002.02798, eq. 8. Needs torch only.
"""

import torch
from torch import Tensor, nn


class ODELayer(nn.Module):
    """dz/dt = f(t, z), data at t = 1, code at t = 0: log det = - integral of tr df/dz over 0 .. 1.

    Parameters
    ----------
    field : nn.Module
        ``field(t, z)``: time, a number, and z (B, *shape) -> velocity like z.
    trace : nn.Module
        Of the field, exact or estimated (trace.py): ``noise(z)``, drawn once for a solve, and
        ``trace(field, t, z, noise) -> (velocity, divergence (B,))``.
    solver : nn.Module
        ``solver(rhs, state, start, end)`` (solver.py).

    Notes
    -----
    With an estimated trace the log-determinant is unbiased, not exact. The solver sees it, and the
    energy, per dimension: its tolerance is one of nats per dimension. Own methods: ``integrate``
    (with the energy of the path), ``path`` (the places on the way).

    Examples
    --------
    >>> from dgm.continuous.solver import Solver
    >>> from dgm.continuous.trace import ExactTrace
    >>> field = nn.Module()
    >>> field.forward = lambda t, z: -z  # everything shrinks by 1/e as time goes from 0 to 1
    >>> layer = ODELayer(field, ExactTrace(), Solver("rk4"))
    >>> z, log_det = layer(torch.tensor([[1.0, 2.0]]))
    >>> print(z.detach().numpy().round(3), log_det.item())  # e, 2e, and two features grown by e
    [[2.718 5.437]] 2.0
    """

    def __init__(self, field: nn.Module, trace: nn.Module, solver: nn.Module):
        super().__init__()
        self.field, self.trace, self.solver = field, trace, solver

    def integrate(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """x (B, *shape) -> z, log|det dz/dx| (B,) nats, and the energy of the path (B,).

        The energy is the integral of |velocity|^2, what moving with a straight and even pace makes
        least.
        """
        noise, dims = self.trace.noise(x), x[0].numel()  # one noise for the whole solve

        def rhs(t: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            velocity, divergence = self.trace(self.field, t, state[0], noise)
            return velocity, divergence / dims, velocity.square().flatten(1).mean(1)

        zero = x.new_zeros(len(x))
        z, gained, energy = self.solver(rhs, (x, zero, zero), 1.0, 0.0)
        # time ran backwards: a minus for both, and log det has one of its own
        return z, dims * gained, -dims * energy

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, *shape) -> z (B, *shape) and log|det dz/dx| (B,), nats; without the energy."""
        noise, dims = self.trace.noise(x), x[0].numel()

        def rhs(t: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            velocity, divergence = self.trace(self.field, t, state[0], noise)
            return velocity, divergence / dims

        z, gained = self.solver(rhs, (x, x.new_zeros(len(x))), 1.0, 0.0)
        return z, dims * gained

    def inverse(self, z: Tensor) -> Tensor:
        """z (B, *shape) -> x (B, *shape): the same equation, from 0 to 1, without the trace."""
        return self.solver(lambda t, state: (self.field(t, state[0]),), (z,), 0.0, 1.0)[0]

    @torch.no_grad()
    def path(self, z: Tensor, n: int) -> Tensor:
        """Where z (B, *shape) is at the n + 1 times 0, 1/n .. 1: (n + 1, B, *shape)."""
        if n < 1:
            raise ValueError(f"n must be at least 1, got {n}")
        places = [z]
        for k in range(n):
            rhs = lambda t, state: (self.field(t, state[0]),)  # noqa: E731
            places.append(self.solver(rhs, (places[-1],), k / n, (k + 1) / n)[0])
        return torch.stack(places)
