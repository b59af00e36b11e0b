"""SAP: how much better the best single code predicts a factor than the second best.

Kumar, Sattigeri and Balakrishnan (2018), arXiv:1711.00848, section 3; a linear support vector
machine on one code at a time, with the settings of Locatello et al. (2019), arXiv:1811.12359,
appendix B. Needs torch only.

All machines of a factor (each code, each value against the rest) have two weights, and are found
together by Newton's method.
"""

import torch
from torch import Tensor


def _newton_step(w: Tensor, u: Tensor, sign: Tensor, cost: Tensor) -> Tensor:
    """One step on |w|^2 / 2 + sum cost max(0, 1 - sign f)^2, for w (d, V, 2) and u (N, d, 2)."""
    margin = 1 - sign[:, None] * torch.einsum("dvi,ndi->ndv", w, u)  # (N, d, V)
    active = cost[:, None] * (margin > 0)
    slope = w - 2 * torch.einsum("ndv,ndi->dvi", active * margin * sign[:, None], u)
    curve = 2 * torch.einsum("ndv,ndi,ndj->dvij", active, u, u) + torch.eye(2).to(w)
    return torch.linalg.solve(curve, slope[..., None])[..., 0]


def single_code_machines(codes: Tensor, labels: Tensor, c: float = 0.01, steps: int = 30) -> Tensor:
    """Weights (d, V, 2) of linear machines, slope and offset, one for each code and value.

    Squared hinge, the offset regularised like the slope, each value weighted by N / (V count): what
    scikit-learn's ``LinearSVC(C=c, class_weight="balanced")`` finds of the single code.
    ``labels`` (N,) are 0 .. V - 1 and all occur.
    """
    n, n_values = len(codes), int(labels.max()) + 1
    own = torch.nn.functional.one_hot(labels, n_values).to(codes)  # (N, V)
    share = own.sum(0)
    # of two values the first is the negative of the second: both are solved, none is lost
    sign = 2 * own - 1
    cost = torch.where(own > 0, n / (2 * share), n / (2 * (n - share)))
    if n_values > 2:  # balanced over values, as the library weighs one value against the rest
        weight = (n / (n_values * share))[labels]
        cost = torch.where(own > 0, weight[:, None], weight.new_ones(()))
    u = torch.stack((codes, torch.ones_like(codes)), 2)  # (N, d, 2)
    w = codes.new_zeros(codes.shape[1], n_values, 2)
    for _ in range(steps):
        move = _newton_step(w, u, sign, c * cost)
        w = w - move
        if move.abs().max() < 1e-9:
            break
    return w


def separated_attribute_predictability(
    codes: Tensor, factors: Tensor, test_codes: Tensor, test_factors: Tensor, c: float = 0.01
) -> float:
    """SAP: mean over factors of the test accuracy of the best code less the second best.

    One number cannot be cut into many classes by one linear machine each, so a code that is the
    factor stays far below 1. A single code has a second best of 0.

    Raises
    ------
    ValueError
        Codes and factors are not of one length, codes are not finite, or a factor is constant.
    """
    if len(codes) != len(factors) or len(test_codes) != len(test_factors):
        lengths = [len(t) for t in (codes, factors, test_codes, test_factors)]
        raise ValueError(f"codes and factors must be of one length, got {lengths}")
    if not (codes.isfinite().all() and test_codes.isfinite().all()):
        raise ValueError("codes must be finite, got NaN or infinite values")
    gaps, test_codes = [], test_codes.double()
    for k in range(factors.shape[1]):
        values, labels = factors[:, k].unique(return_inverse=True)
        if len(values) < 2:
            raise ValueError(f"factors must vary, but number {k} has one value only")
        w = single_code_machines(codes.double(), labels, c)
        scores = test_codes[:, :, None] * w[:, :, 0] + w[:, :, 1]  # (N, d, V)
        right = values[scores.argmax(2)] == test_factors[:, k, None]
        best = torch.nn.functional.pad(right.double().mean(0), (0, 1)).sort(descending=True).values
        gaps.append((best[0] - best[1]).item())
    return sum(gaps) / len(gaps)
