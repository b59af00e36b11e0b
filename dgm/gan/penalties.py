"""What the critic pays for its slope: towards one between data and fakes, or zero at either.

Unit slope: Gulrajani et al. (2017), arXiv:1704.00028, eq. 3. Zero slope at data (R1) and at fakes
(R2): Mescheder et al. (2018), arXiv:1801.04406, eq. 9. Needs torch only.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor


def squared_slope(critic: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Squared length (B,) of the critic's gradient at each x (B, ...), itself differentiable.

    >>> squared_slope(lambda x: 3 * x[:, 0] + 4 * x[:, 1], torch.zeros(1, 2))
    tensor([25.])
    """
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
    return gradient.flatten(1).square().sum(1)


def _weight(weight: float) -> float:
    """The weight, or a ValueError."""
    if not 0 < weight < math.inf:
        raise ValueError(f"weight must be positive and finite, got {weight!r}")
    return weight


class UnitSlope:
    """weight (|slope| - 1)^2 at points between data and fakes: what W1 asks of its critic.

    Parameters
    ----------
    weight : 10 in the paper for pictures, 0.1 for points of the plane.
    """

    def __init__(self, weight: float = 10.0):
        self.weight = _weight(weight)

    def __call__(self, critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor) -> Tensor:
        """Data and fakes (B, ...) -> (B,)."""
        share = torch.rand(len(real), *[1] * (real.ndim - 1), dtype=real.dtype, device=real.device)
        between = share * real + (1 - share) * fake  # one share for a whole example
        return self.weight * ((squared_slope(critic, between) + 1e-12).sqrt() - 1).square()


class ZeroSlope:
    """weight / 2 |slope|^2 at data (R1), at fakes (R2), or at both: the game then comes to rest.

    Parameters
    ----------
    weight : of either. at_real, at_fake : where it is taken.
    """

    def __init__(self, weight: float = 1.0, at_real: bool = True, at_fake: bool = True):
        if not (at_real or at_fake):
            raise ValueError("at_real, at_fake: at least one must be True")
        self.weight, self.at_real, self.at_fake = _weight(weight), at_real, at_fake

    def __call__(self, critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor) -> Tensor:
        """Data and fakes (B, ...) -> (B,)."""
        places = [real] * self.at_real + [fake] * self.at_fake
        slopes = squared_slope(critic, torch.cat(places)).view(len(places), -1)
        return 0.5 * self.weight * slopes.sum(0)
