"""Do two scores put models in the same order? Spearman's rank correlation, and how sure it is.

Spearman (1904), doi:10.2307/1412159; percentile intervals: Efron (1979),
doi:10.1214/aos/1176344552. Needs torch only.
"""

import torch
from torch import Tensor


def ranks(values: Tensor) -> Tensor:
    """Values (..., N) -> their ranks, float64, 1 the smallest; equal ones share the mean rank.

    >>> ranks(torch.tensor([3.0, 1.0, 3.0]))
    tensor([2.5000, 1.0000, 2.5000], dtype=torch.float64)
    """
    below = (values[..., :, None] > values[..., None, :]).sum(-1)
    equal = (values[..., :, None] == values[..., None, :]).sum(-1)
    return below.double() + (equal.double() + 1) / 2


def rank_correlation(scores: Tensor) -> Tensor:
    """Scores (..., m, N) of N models -> the correlations of their ranks (..., m, m).

    A score that is the same for all models has no order: NaN.

    Raises
    ------
    ValueError
        There are fewer than three models, or scores are not finite.
    """
    if scores.ndim < 2 or scores.shape[-1] < 3 or not scores.isfinite().all():
        raise ValueError(f"scores must be finite (..., m, N >= 3), got {tuple(scores.shape)}")
    away = ranks(scores)
    away = away - away.mean(-1, keepdim=True)
    away = away / away.square().sum(-1, keepdim=True).sqrt()
    return away @ away.mT


def rank_correlation_interval(
    scores: Tensor, share: float = 0.95, n_resamples: int = 500, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """Ends (m, m) of the middle ``share`` of the correlations of models drawn with replacement.

    Raises
    ------
    ValueError
        As `rank_correlation`; the share lies outside 0 .. 1, or nothing is resampled.
    """
    if not 0 < share < 1 or n_resamples < 1:
        raise ValueError(f"expected 0 < share < 1, n_resamples >= 1; got {share}, {n_resamples}")
    rank_correlation(scores)
    made = torch.Generator().manual_seed(seed)
    n = scores.shape[-1]
    rows = torch.randint(n, (n_resamples, n), generator=made)
    found = rank_correlation(scores[:, rows].movedim(1, 0)).nan_to_num(0)
    tail = (1 - share) / 2
    return found.quantile(tail, 0), found.quantile(1 - tail, 0)
