"""Gaps between groups: demographic parity and equalised odds, of decisions and over thresholds.

Dwork et al. (2012), arXiv:1104.3913; Hardt, Price and Srebro (2016), arXiv:1610.02413, definition
2.1; that they conflict: Kleinberg et al. (2017), arXiv:1609.05807. Needs torch only.
"""

import torch
from torch import Tensor


def _checked_groups(decision: Tensor, s: Tensor, y: Tensor | None = None) -> int:
    """The number of groups; a ValueError unless there are two, and the rest is (N,) beside them."""
    for name, column in (("decision", decision), ("s", s), ("y", y)):
        if column is not None and (column.ndim != 1 or len(column) != len(s) or not len(s)):
            raise ValueError(f"{name} must be (N >= 1,), as s is, got {tuple(column.shape)}")
    if s.is_floating_point() or s.min() < 0:
        raise ValueError(f"s must be integers from 0, got {s.dtype} from {s.min()}")
    n_groups = int(s.max()) + 1
    if n_groups < 2:
        raise ValueError("s must name two groups at least, all rows are of group 0")
    if y is not None and not set(y.unique().tolist()) <= {0, 1}:
        raise ValueError(f"y must be 0 or 1, got {y.unique().tolist()}")
    v = decision.double()
    if not ((v >= 0) & (v <= 1)).all():
        raise ValueError("decision must lie in 0 .. 1: a yes or no, or the chance of a yes")
    return n_groups


def selection_rates(decision: Tensor, s: Tensor, among: Tensor | None = None) -> Tensor:
    """P(yes | s) of every group (K,), among the rows where ``among`` is true (all if not given).

    Raises
    ------
    ValueError
        A column has another length, one group only, or a group without a row.

    Examples
    --------
    >>> selection_rates(torch.tensor([1, 0, 1, 1]), torch.tensor([0, 0, 1, 1])).tolist()
    [0.5, 1.0]
    """
    n_groups = _checked_groups(decision, s)
    rows = torch.ones_like(s, dtype=torch.bool) if among is None else among
    sizes = torch.bincount(s[rows], minlength=n_groups)
    if (sizes == 0).any():
        empty = (sizes == 0).nonzero().flatten().tolist()
        raise ValueError(f"s has no row of group {empty} to count: the rate of none is undefined")
    yes = torch.bincount(s[rows], weights=decision[rows].double(), minlength=n_groups)
    return yes / sizes


def demographic_parity_gap(decision: Tensor, s: Tensor) -> float:
    """Largest difference of P(yes | s) between groups; 0 where all are chosen equally often."""
    rates = selection_rates(decision, s)
    return (rates.max() - rates.min()).item()


def equalised_odds_gap(decision: Tensor, s: Tensor, y: Tensor) -> float:
    """Largest difference of P(yes | s, y) between groups, the larger of y = 0 and y = 1.

    A class that nobody has is left out; a group without a member of a class that others have is a
    ValueError.
    """
    _checked_groups(decision, s, y)
    of_class = [selection_rates(decision, s, y == k) for k in (0, 1) if (y == k).any()]
    return max((rates.max() - rates.min()).item() for rates in of_class)


def gaps_by_threshold(score: Tensor, s: Tensor, y: Tensor, thresholds: Tensor) -> Tensor:
    """Accuracy, parity gap and odds gap of "yes where score >= t", for thresholds (T,): (T, 3)."""
    rows = []
    for t in thresholds.tolist():
        yes = (score >= t).long()
        right = (yes == y).double().mean().item()
        rows.append((right, demographic_parity_gap(yes, s), equalised_odds_gap(yes, s, y)))
    return torch.tensor(rows, dtype=torch.float64)


def parity_under_equal_odds(rates: tuple[float, float], true: float, false: float) -> float:
    """The parity gap of a decision with equal odds: |r_1 - r_0| (true - false), exact.

    With shares r_s of y = 1 in the groups, and P(yes | y = 1) and P(yes | y = 0) equal in both,
    P(yes | s) = r_s true + (1 - r_s) false. So it is zero only for equal shares or a decision that
    does not look at y.

    >>> round(parity_under_equal_odds((0.3, 0.7), 0.9, 0.2), 10)
    0.28
    """
    for name, value in (("rates", rates[0]), ("rates", rates[1]), ("true", true), ("false", false)):
        if not 0 <= value <= 1:
            raise ValueError(f"{name} must lie in 0 .. 1, got {value}")
    return abs((rates[1] - rates[0]) * (true - false))
