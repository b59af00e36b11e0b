"""The smallest game: data at 0, the generator a point theta, the critic a line of slope psi.

Mescheder et al. (2018), arXiv:1801.04406, section 2 (the Dirac-GAN). Needs torch only.
"""

import math

import torch
from torch import Tensor


def dirac_orbit(
    steps: int, rate: float = 0.1, alternate: bool = False, penalty: float = 0.0,
    start: tuple[float, float] = (1.0, 0.0),
) -> Tensor:  # fmt: skip
    """Gradient steps of both players, (steps + 1, 2): theta and psi, from ``start``.

    The critic climbs, and the generator descends, softplus(psi theta), less ``penalty`` / 2 psi^2
    for the critic (the slope of a line is psi everywhere: R1). ``alternate``: the generator answers
    the critic's new slope, else both move at once. The equilibrium is (0, 0).

    Raises
    ------
    ValueError : steps below 1, a rate not positive, a negative penalty.

    Examples
    --------
    >>> dirac_orbit(200).norm(dim=1)[-1] > 1, dirac_orbit(200, penalty=1.0).norm(dim=1)[-1] < 1
    (tensor(True), tensor(True))
    """
    if steps < 1 or not 0 < rate < math.inf or not 0 <= penalty < math.inf:
        got = f"{steps}, {rate} and {penalty}"
        raise ValueError(f"steps >= 1, rate > 0 and penalty >= 0 needed, got {got}")
    theta, psi = start
    orbit = [start]
    for _ in range(steps):
        # value of the game: log sigmoid(0) + log sigmoid(-psi theta); slopes by either player
        said = 1 / (1 + math.exp(-psi * theta))
        new_psi = psi + rate * (-said * theta - penalty * psi)
        seen = new_psi if alternate else psi
        theta = theta + rate * seen / (1 + math.exp(-seen * theta))
        psi = new_psi
        orbit.append((theta, psi))
    return torch.tensor(orbit)
