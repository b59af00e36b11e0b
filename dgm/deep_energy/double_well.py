"""A double well: the energy of a particle with two places to be, whose free energies are known.

The two-dimensional test of Noe et al. (2019), Boltzmann generators, arXiv:1812.01729, supplement.
Needs torch only.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class DoubleWell(nn.Module):
    """E(x) = a x1^4 / 4 - b x1^2 / 2 + c x1 + d x2^2 / 2, in units of the temperature.

    Wells near x1 = -sqrt(b / a) and +sqrt(b / a), the left one deeper for c > 0.

    Own methods: ``free_energy_difference``, ``left``, ``barrier``.

    Parameters
    ----------
    a, b, d : float
        Positive.
    c : float
        The tilt.

    Raises
    ------
    ValueError
        a, b or d is not positive.

    Examples
    --------
    >>> well = DoubleWell()
    >>> round(well.free_energy_difference(), 3), round(well.barrier(), 1)
    (-4.777, 11.5)
    """

    def __init__(self, a: float = 1.0, b: float = 6.0, c: float = 1.0, d: float = 1.0):
        super().__init__()
        for name, value in dict(a=a, b=b, d=d).items():
            if not 0 < value < math.inf:
                raise ValueError(f"{name} must be positive and finite, got {value!r}")
        self.a, self.b, self.c, self.d = a, b, c, d

    def _along(self, x: Tensor) -> Tensor:
        return self.a * x**4 / 4 - self.b * x**2 / 2 + self.c * x

    def energy(self, x: Tensor) -> Tensor:
        """E (B,) of points x (B, 2)."""
        return self._along(x[:, 0]) + 0.5 * self.d * x[:, 1].square()

    def left(self, x: Tensor) -> Tensor:
        """Which of the points x (B, 2) are in the left well, (B,): those with x1 < 0."""
        return x[:, 0] < 0

    def free_energy_difference(self) -> float:
        """F(left) - F(right) = log P(right) - log P(left), by a sum over a million points."""
        x = torch.linspace(-8, 8, 1_000_001, dtype=torch.float64)
        mass = (-self._along(x)).softmax(0)
        return (mass[x > 0].sum().log() - mass[x < 0].sum().log()).item()

    def barrier(self) -> float:
        """Energy of the highest point between the wells above that of the left well."""
        x = torch.linspace(-8, 8, 1_000_001, dtype=torch.float64)
        e = self._along(x)
        lowest = e[x < 0].argmin()
        return (e[lowest:][x[lowest:] < 1e-9].max() - e[lowest]).item()
