"""Total correlation of codes: the nats that they share, in closed form for Gaussians.

Watanabe (1960), doi:10.1147/rd.41.0066; the Gaussian form as a measure of codes: Locatello et al.
(2019), arXiv:1811.12359, section 5.2. Needs torch only.
"""

import torch
from torch import Tensor


def gaussian_total_correlation(z: Tensor, least_variance: float = 1e-6) -> float:
    """TC of the Gaussian with the covariance C of z (N, d): (sum log C_jj - log det C) / 2, nats.

    Exact for Gaussians, of other laws a measure of linear dependence. Entries of a variance below
    ``least_variance`` share nothing and are left out; fewer than two others give 0.

    Raises
    ------
    ValueError
        z is no (N, d) of finite floats, or N is not above d: the estimate would be infinite.

    Examples
    --------
    >>> two = torch.randn(20_000, 2)
    >>> two[:, 1] = 0.9 * two[:, 0] + 0.19**0.5 * two[:, 1]
    >>> abs(gaussian_total_correlation(two) - 0.830) < 0.03  # -log(1 - 0.9^2) / 2
    True
    """
    if z.ndim != 2 or not z.is_floating_point() or not z.isfinite().all():
        raise ValueError(f"z must be finite floats (N, d), got {tuple(z.shape)}")
    if len(z) <= z.shape[1]:
        raise ValueError(f"z must have more rows than entries, got {tuple(z.shape)}")
    away = (z - z.mean(0)).double()
    away = away[:, away.var(0) > least_variance]
    if away.shape[1] < 2:
        return 0.0
    correlation = torch.corrcoef(away.T)
    return -0.5 * torch.linalg.slogdet(correlation)[1].item()


def correlated_gaussians(n: int, rho: float, d: int = 2, seed: int = 0) -> Tensor:
    """n draws (n, d) of unit Gaussians whose pairs all have correlation rho.

    TC = -(log(1 + (d - 1) rho) + (d - 1) log(1 - rho)) / 2, `equal_correlation_nats`.
    """
    made = torch.Generator().manual_seed(seed)
    c = torch.full((d, d), float(rho)).fill_diagonal_(1.0)
    return torch.randn(n, d, generator=made) @ torch.linalg.cholesky(c).T


def equal_correlation_nats(rho: float, d: int = 2) -> float:
    """TC of d unit Gaussians whose pairs all have correlation rho, nats, exact.

    Raises
    ------
    ValueError
        No Gaussian has such correlations.
    """
    if not -1 / max(d - 1, 1) < rho < 1:
        raise ValueError(f"rho must lie between {-1 / max(d - 1, 1)} and 1, got {rho}")
    logs = torch.tensor([1 + (d - 1) * rho, 1 - rho], dtype=torch.float64).log()
    return -0.5 * (logs[0] + (d - 1) * logs[1]).item()
