"""Mutual information of every code with every factor, and two scores of its table.

Mutual information gap: Chen et al. (2018), arXiv:1802.04942, eq. 6. Modularity: Ridgeway and Mozer
(2018), arXiv:1802.05312, eq. 2. Bins as in Locatello et al. (2019), arXiv:1811.12359, appendix B:
20 of equal width for each code. Needs torch only.
"""

import torch
from torch import Tensor


def _checked_codes(codes: Tensor, factors: Tensor, n_bins: int) -> None:
    """Raise a ValueError unless these are N codes with N rows of whole numbers."""
    if codes.ndim != 2 or not codes.is_floating_point() or not codes.isfinite().all():
        raise ValueError(f"codes must be finite floats (N, d), got {tuple(codes.shape)}")
    if factors.ndim != 2 or len(factors) != len(codes) or factors.is_floating_point():
        need = f"whole numbers ({len(codes)}, K)"
        raise ValueError(f"factors must be {need}, got {factors.dtype} {tuple(factors.shape)}")
    if not 2 <= n_bins <= len(codes):
        raise ValueError(f"n_bins must lie in 2 .. {len(codes)} (codes), got {n_bins}")


def code_bins(codes: Tensor, n_bins: int = 20) -> Tensor:
    """Codes (N, d) to the numbers of bins of equal width, (N, d) int64; a constant has one bin.

    >>> code_bins(torch.tensor([[0.0], [1.0], [2.0]]), 2).flatten()
    tensor([0, 1, 1])
    """
    low, high = codes.amin(0), codes.amax(0)
    share = (codes - low) / torch.where(high > low, high - low, 1)
    return (share * n_bins).long().clamp(max=n_bins - 1)


def mutual_information(codes: Tensor, factors: Tensor, n_bins: int = 20) -> Tensor:
    """I(code j; factor k) of the binned codes, (d, K) nats, float64.

    The plug-in estimate: for independent ones about (bins - 1)(values - 1) / 2N, not zero.

    Raises
    ------
    ValueError
        Codes are no finite floats (N, d), factors no whole numbers (N, K), or N < n_bins.
    """
    _checked_codes(codes, factors, n_bins)
    # how often bin and value meet, all pairs in one count
    bins, values = code_bins(codes, n_bins), factors - factors.amin(0)
    d, n_factors, most = bins.shape[1], values.shape[1], int(values.max()) + 1
    place = torch.arange(d)[:, None] * n_factors + torch.arange(n_factors)  # (d, K)
    cell = (place * n_bins + bins[:, :, None]) * most + values[:, None, :]  # (N, d, K)
    counts = torch.bincount(cell.flatten(), minlength=d * n_factors * n_bins * most)
    # sum p log p / (p p)
    p = counts.view(d, n_factors, n_bins, most).double() / len(codes)
    independent = p.sum(3, keepdim=True) * p.sum(2, keepdim=True)
    return torch.where(p > 0, p * (p / independent).log(), 0.0).nan_to_num(0).sum((2, 3))


def factor_entropies(factors: Tensor) -> Tensor:
    """H(factor k) of the frequencies (K,), nats.

    Raises
    ------
    ValueError
        A factor is constant: nothing can be known of it.
    """
    found = []
    for k, column in enumerate(factors.unbind(1)):
        p = column.unique(return_counts=True)[1].double() / len(column)
        if len(p) < 2:
            raise ValueError(f"factors must vary, but number {k} has one value only")
        found.append(-(p * p.log()).sum())
    return torch.stack(found)


def mutual_information_gap(codes: Tensor, factors: Tensor, n_bins: int = 20) -> float:
    """MIG: mean over factors of (best code's information - second best's) / H(factor).

    0: each factor is in two codes alike, or in none (constant codes too). 1: each is in one code;
    a factor of more values than bins cannot reach that. A single code has a second best of 0.

    >>> both = torch.cartesian_prod(torch.arange(4), torch.arange(5))
    >>> round(mutual_information_gap(both.float(), both), 6)
    1.0
    """
    information, entropy = mutual_information(codes, factors, n_bins), factor_entropies(factors)
    best = torch.nn.functional.pad(information, (0, 0, 0, 1)).sort(0, descending=True).values
    return ((best[0] - best[1]) / entropy).mean().item()


def modularity(codes: Tensor, factors: Tensor, n_bins: int = 20) -> float:
    """Mean over codes of 1 - (information on other factors)^2 / ((K - 1) the largest^2).

    1: each code knows one factor, and it may know little of it: noise scores far above zero, as
    its errors of estimate differ. A code that knows nothing at all (a constant) counts 0.

    Raises
    ------
    ValueError
        There is one factor: no other to know of.
    """
    squares = mutual_information(codes, factors, n_bins).square()
    n_factors = squares.shape[1]
    if n_factors < 2:
        raise ValueError(f"factors must be two or more, got {n_factors}")
    largest = squares.amax(1)
    rest = (squares.sum(1) - largest) / (largest.clamp_min(1e-300) * (n_factors - 1))
    return torch.where(largest > 1e-24, 1 - rest, 0.0).mean().item()
