"""How much noise a step back adds: from the variance of q(z_s | z_t, x) to that of q(z_t | z_s).

Ho et al. (2020), arXiv:2006.11239, section 3.2, for the two ends; a learned place between them on
the scale of logarithms: Nichol and Dhariwal (2021), arXiv:2102.09672, eq. 15. Needs torch only.
"""

import torch
from torch import Tensor, nn


class FixedShare(nn.Module):
    """The same place at every time: 0 is the variance of the step back, 1 that of the step forward.

    The first is right where the data are one point, the second where they are N(0, 1).
    """

    def __init__(self, value: float):
        super().__init__()
        if not 0 <= value <= 1:
            raise ValueError(f"value must lie in 0 .. 1, got {value!r}")
        self.value = float(value)

    def forward(self, t: Tensor) -> Tensor:
        """t (...) -> (...)."""
        return torch.full_like(t, self.value)


class LearnedShare(nn.Module):
    """A place in 0 .. 1 for every time: the logistic of a line of ``knots`` straight pieces.

    Examples
    --------
    >>> LearnedShare(4)(torch.tensor([0.0, 0.3, 1.0])).tolist()
    [0.5, 0.5, 0.5]
    """

    def __init__(self, knots: int = 16):
        super().__init__()
        if knots < 1:
            raise ValueError(f"knots must be at least 1, got {knots!r}")
        self.logits = nn.Parameter(torch.zeros(knots + 1))

    def forward(self, t: Tensor) -> Tensor:
        """t (...) in 0 .. 1 -> (...)."""
        place = t * (len(self.logits) - 1)
        left = place.floor().clamp(0, len(self.logits) - 2).long()
        share = place - left
        return torch.sigmoid(self.logits[left] * (1 - share) + self.logits[left + 1] * share)
