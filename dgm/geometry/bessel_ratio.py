"""I_nu(kappa) / I_{nu-1}(kappa), the ratio of two modified Bessel functions, without either.

Gautschi and Slavik (1978), Math. Comp. 32, for the continued fraction. The functions themselves
leave the range of float32 at order 50. Needs torch only.
"""

import math

import torch
from torch import Tensor


def bessel_ratio(order: float, kappa: Tensor, terms: int = 128) -> Tensor:
    """I_order(kappa) / I_{order-1}(kappa), shaped like kappa, in (0, 1).

    The continued fraction 1 / (2 nu / kappa + 1 / (2 (nu + 1) / kappa + ...)), from the back; what
    is left out after ``terms`` is given by the first two terms of its expansion at large orders
    (of the equation r' = 1 - r^2 - (2 nu - 1) r / kappa), so that large kappa need no more terms.
    With order m / 2 it is the length of the mean of a von Mises-Fisher law in m dimensions.

    Raises
    ------
    ValueError
        order below 1/2, kappa not positive and finite, or no terms.

    Examples
    --------
    >>> bessel_ratio(1.5, torch.tensor([10.0]))  # three dimensions: coth(10) - 1 / 10
    tensor([0.9000])
    """
    if not 0.5 <= order < math.inf or terms < 1:
        raise ValueError(f"order must be at least 1/2 and terms 1, got {order} and {terms}")
    if not ((kappa > 0) & kappa.isfinite()).all():
        raise ValueError("kappa must be positive and finite")
    rest = kappa.new_tensor(order + terms - 0.5)
    size = torch.hypot(kappa, rest)
    ratio = kappa / (rest + size) * (1 - 0.5 * rest / size.square())
    for k in reversed(range(terms)):
        ratio = 1 / (2 * (order + k) / kappa + ratio)
    return ratio
