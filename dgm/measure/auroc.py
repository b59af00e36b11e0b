"""Area under the ROC curve of a score, with its standard error.

Hanley and McNeil (1982), doi:10.1148/radiology.143.1.7063747 (it is a probability of ranks);
DeLong et al. (1988), doi:10.2307/2531595 (its error). Needs torch only.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor


class Area(NamedTuple):
    """An area with its standard error; prints as ``0.913 ± 0.008``."""

    value: float
    standard_error: float

    def __str__(self) -> str:
        return f"{self.value:.3f} ± {self.standard_error:.3f}"


def auroc(inside: Tensor, outside: Tensor) -> Area:
    """How often a score of ``inside`` (N,) is above one of ``outside`` (M,), ties counted half.

    1/2 is chance; below it the score points the wrong way.

    Raises
    ------
    ValueError : a score that is not (N >= 2,) numbers, or NaN.

    Examples
    --------
    >>> auroc(torch.tensor([3.0, 2.0]), torch.tensor([1.0, 2.0])).value
    0.875
    """
    for name, score in (("inside", inside), ("outside", outside)):
        if not isinstance(score, Tensor) or score.ndim != 1 or len(score) < 2:
            raise ValueError(
                f"{name} must be (N >= 2,), got {getattr(score, 'shape', type(score))}"
            )
        if score.isnan().any():
            raise ValueError(f"{name} holds NaN")
    a, b = inside.detach().double(), outside.detach().double()
    below = torch.searchsorted(b.sort()[0], a), torch.searchsorted(b.sort()[0], a, right=True)
    above = torch.searchsorted(a.sort()[0], b), torch.searchsorted(a.sort()[0], b, right=True)
    of_inside = (below[0] + below[1]).double() / (2 * len(b))  # (N,): share of outside below each
    of_outside = 1 - (above[0] + above[1]).double() / (
        2 * len(a)
    )  # (M,): share of inside above each
    variance = of_inside.var() / len(a) + of_outside.var() / len(b)
    return Area(of_inside.mean().item(), math.sqrt(variance.item()))
