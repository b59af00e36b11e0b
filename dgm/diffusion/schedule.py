"""How much noise at which time: gamma(t), minus the log of the signal-to-noise ratio.

The notation of Kingma et al. (2021), arXiv:2107.00630, sections 3.1 and 3.2 and appendix H for a
learned one; betas of Ho et al. (2020), arXiv:2006.11239, section 4; cosine of Nichol and Dhariwal
(2021), arXiv:2102.09672, eq. 17. Needs torch only.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus


def _checked_ends(low: float, high: float) -> None:
    if not -40 <= low < high <= 40:
        raise ValueError(f"low < high, both in -40 .. 40, got low = {low!r} and high = {high!r}")


class LinearSchedule(nn.Module):
    """gamma(t) = low + (high - low) t: every step divides the signal-to-noise ratio by the same."""

    def __init__(self, low: float = -7.0, high: float = 7.0):
        super().__init__()
        _checked_ends(low, high)
        self.low, self.high = float(low), float(high)

    def forward(self, t: Tensor) -> Tensor:
        """t (...) in 0 .. 1 -> gamma (...), rising."""
        return self.low + (self.high - self.low) * t


class CosineSchedule(nn.Module):
    """alpha(t) = cos(pi t / 2), so gamma(t) = 2 log tan(pi t / 2), cut off at low and high."""

    def __init__(self, low: float = -9.0, high: float = 9.0):
        super().__init__()
        _checked_ends(low, high)
        ends = [2 / math.pi * math.atan(math.exp(g / 2)) for g in (low, high)]
        self.first, self.last = ends

    def forward(self, t: Tensor) -> Tensor:
        """t (...) in 0 .. 1 -> gamma (...), rising."""
        angle = 0.5 * math.pi * (self.first + (self.last - self.first) * t)
        return 2 * (angle.sin().log() - angle.cos().log())


class BetaSchedule(nn.Module):
    """The schedule of DDPM: T steps, in each of which a share beta of the variance is noise.

    beta rises in equal steps from ``first`` to ``last``. t = 0 is after the first step and t = 1
    after the last; between the steps gamma is a straight line.

    Raises
    ------
    ValueError
        Fewer than 2 steps, or betas outside of 0 < first <= last < 1.
    """

    def __init__(self, steps: int = 1000, first: float = 1e-4, last: float = 0.02):
        super().__init__()
        if steps < 2 or not 0 < first <= last < 1:
            raise ValueError(f"steps >= 2, 0 < first <= last < 1, got {steps}, {first}, {last}")
        beta = torch.linspace(first, last, steps, dtype=torch.float64)
        log_kept = torch.log1p(-beta).cumsum(0)  # log of alpha^2
        gamma = torch.log(-torch.expm1(log_kept)) - log_kept
        self.register_buffer("gamma", gamma.to(torch.get_default_dtype()), persistent=False)

    def forward(self, t: Tensor) -> Tensor:
        """t (...) in 0 .. 1 -> gamma (...), rising."""
        gamma = self.gamma.to(t.dtype)
        place = t * (len(gamma) - 1)
        left = place.floor().clamp(0, len(gamma) - 2).long()
        share = place - left
        return gamma[left] * (1 - share) + gamma[left + 1] * share


class LearnedSchedule(nn.Module):
    """A rising line of ``knots`` straight pieces; both ends and all pieces are parameters.

    Parameters
    ----------
    low, high : float
        Ends to start from.
    knots : int
        Pieces, of equal length in t.

    Examples
    --------
    >>> schedule = LearnedSchedule(-5.0, 5.0, knots=4)
    >>> schedule(torch.tensor([0.0, 0.5, 1.0])).tolist()
    [-5.0, 0.0, 5.0]
    """

    def __init__(self, low: float = -6.0, high: float = 6.0, knots: int = 16):
        super().__init__()
        _checked_ends(low, high)
        if knots < 1:
            raise ValueError(f"knots must be at least 1, got {knots!r}")
        self.low = nn.Parameter(torch.tensor(float(low)))
        wide = math.log(math.expm1(high - low)) if high - low < 30 else high - low
        self.wide = nn.Parameter(torch.tensor(wide))  # softplus gives high - low
        self.pieces = nn.Parameter(torch.zeros(knots))

    def forward(self, t: Tensor) -> Tensor:
        """t (...) in 0 .. 1 -> gamma (...), rising."""
        shares = self.pieces.softmax(0)
        before = shares.cumsum(0) - shares
        place = t * len(shares)
        k = place.floor().clamp(0, len(shares) - 1).long()
        return self.low + softplus(self.wide) * (before[k] + shares[k] * (place - k))
