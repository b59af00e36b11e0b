"""IRS: how little a code moves when all factors but its own do.

Suter, Miladinovic, Schoelkopf and Bauer (2019), Robustly disentangled causal mechanisms,
arXiv:1811.00007, section 4.2, with the quantile of the code of Locatello et al. (2019).
Needs torch only.
"""

import torch
from torch import Tensor


def robustness_table(codes: Tensor, factors: Tensor, quantile: float = 0.99) -> Tensor:
    """1 - (how far code j goes while factor k stands still) / (how far it ever goes), (d, K).

    The distance is the ``quantile`` of |code - its mean| among examples that share a value of the
    factor, averaged over the values. A constant code is robust against nothing that is its own: 0.

    Raises
    ------
    ValueError
        Codes are no finite floats (N, d), factors no whole numbers (N, K), a factor is constant,
        or the quantile lies outside 0 .. 1.
    """
    # what is asked
    if codes.ndim != 2 or not codes.is_floating_point() or not codes.isfinite().all():
        raise ValueError(f"codes must be finite floats (N, d), got {tuple(codes.shape)}")
    if factors.ndim != 2 or len(factors) != len(codes) or factors.is_floating_point():
        raise ValueError(f"factors must be whole numbers ({len(codes)}, K), got {factors.dtype}")
    if (factors == factors[:1]).all(0).any():
        raise ValueError("factors must vary, but one has a single value")
    if not 0 < quantile <= 1:
        raise ValueError(f"quantile must lie in 0 < quantile <= 1, got {quantile}")
    # the farthest of all, then the farthest of each group
    farthest = (codes - codes.mean(0)).abs().amax(0)  # (d,)
    columns = []
    for column in factors.unbind(1):
        groups = [codes[column == value] for value in column.unique()]
        away = [(g - g.mean(0)).abs().quantile(quantile, 0) for g in groups]
        columns.append(torch.stack(away).mean(0))
    moved = torch.stack(columns, 1)  # (d, K)
    table = 1 - moved / farthest.clamp_min(1e-12)[:, None]
    return torch.where(farthest[:, None] > 0, table, 0.0)


def interventional_robustness(codes: Tensor, factors: Tensor, quantile: float = 0.99) -> float:
    """IRS: the best factor of every code, averaged with the reach of the codes as weights.

    1: nothing but its factor moves a code. Noise is above 0, as a quantile is no maximum. Codes
    that are all constant score 0.
    """
    best = robustness_table(codes, factors, quantile).amax(1)
    reach = (codes - codes.mean(0)).abs().amax(0)
    return ((best * reach).sum() / reach.sum().clamp_min(1e-12)).item()
