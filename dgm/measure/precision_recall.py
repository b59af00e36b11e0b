"""Precision: are draws like data? Recall: are all data like some draw? By neighbourhoods.

Kynkaanniemi et al. (2019), arXiv:1904.06991, eqs. 1 and 2. Needs torch only.
"""

import torch
from torch import Tensor


def _covered(points: Tensor, centres: Tensor, k: int) -> float:
    """Share of points (N, D) that lie in the ball of some centre (M, D) to its k-th neighbour."""
    radius = torch.cdist(centres, centres).kthvalue(k + 1, dim=1).values  # the first is itself
    return (torch.cdist(points, centres) <= radius).any(1).double().mean().item()


def precision_recall(real: Tensor, fake: Tensor, k: int = 3) -> tuple[float, float]:
    """Shares of fakes near data and of data near fakes, in features real (N, D) and fake (M, D).

    Near: within the distance from a point of the other sample to that one's k-th neighbour there.
    Draws that copy data have precision one; a sample that misses a class loses its recall.
    Compare only samples of equal size.

    Raises
    ------
    ValueError : samples that are not (N, D), or with no more than k rows.

    Examples
    --------
    >>> a = torch.randn(200, 2)
    >>> precision_recall(a, a), precision_recall(a, a + 100)
    ((1.0, 1.0), (0.0, 0.0))
    """
    for name, sample in (("real", real), ("fake", fake)):
        if sample.ndim != 2 or len(sample) <= k or sample.shape[1] != real.shape[-1]:
            need = f"(N, D) with N > k = {k}"
            raise ValueError(f"{name} must be {need}, got shape {tuple(sample.shape)}")
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    real, fake = real.detach(), fake.detach()
    return _covered(fake, real, k), _covered(real, fake, k)
