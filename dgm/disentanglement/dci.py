"""DCI: disentanglement, completeness and informativeness from the importances of trees.

Eastwood and Williams (2018), A framework for the quantitative evaluation of disentangled
representations, https://openreview.net/forum?id=By-7dz-AZ. Needs torch and scikit-learn.

Note: random forests by default, in seconds for 10,000 codes; Locatello et al. (2019) boost trees,
``make=GradientBoostingClassifier``, some minutes for the values of dSprites.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import torch
from sklearn.ensemble import RandomForestClassifier
from torch import Tensor

FOREST = functools.partial(
    RandomForestClassifier, n_estimators=20, min_samples_leaf=4, max_features=None, random_state=0
)


@dataclass(frozen=True)
class DCI:
    """Scores in 0 .. 1, and the importances (d, K) that gave them."""

    disentanglement: float
    completeness: float
    informativeness: float
    importances: Tensor


def concentration(weights: Tensor) -> Tensor:
    """1 - entropy of each row of weights (n, m), in units of log m: 1 at one entry, 0 if even.

    A row without weight counts as even; a single column is concentrated by itself.

    >>> concentration(torch.tensor([[2.0, 0.0], [1.0, 1.0], [0.0, 0.0]]))
    tensor([1., 0., 0.])
    """
    total, m = weights.sum(1, keepdim=True), weights.shape[1]
    if m < 2:
        return torch.ones(len(weights), dtype=weights.dtype)
    p = torch.where(total > 0, weights / total.clamp_min(1e-12), 1 / m)
    return (1 + torch.special.entr(p).sum(1) / -torch.tensor(float(m)).log()).clamp(0, 1)


def scores_of_importances(importances: Tensor) -> tuple[float, float]:
    """Disentanglement (each code one factor) and completeness (each factor one code) of (d, K).

    Codes count by what they are worth to all factors, factors by what all codes are worth to them;
    nothing of worth at all gives 0.
    """
    total = importances.sum()
    if total <= 0:
        return 0.0, 0.0
    by_code, by_factor = importances.sum(1) / total, importances.sum(0) / total
    disentangled = (by_code * concentration(importances)).sum().item()
    return disentangled, (by_factor * concentration(importances.T)).sum().item()


def dci(
    codes: Tensor, factors: Tensor, test_codes: Tensor, test_factors: Tensor,
    make: Callable = FOREST,
) -> DCI:  # fmt: skip
    """DCI of codes (N, d) and factors (N, K), informativeness on those of the test.

    Parameters
    ----------
    make : ``make()`` is a classifier with ``fit``, ``score`` and ``feature_importances_``.

    Raises
    ------
    ValueError
        Codes and factors are not of one length, or a factor is constant.
    """
    # what is asked
    if len(codes) != len(factors) or len(test_codes) != len(test_factors):
        lengths = [len(t) for t in (codes, factors, test_codes, test_factors)]
        raise ValueError(f"codes and factors must be of one length, got {lengths}")
    if not (codes.isfinite().all() and test_codes.isfinite().all()):
        raise ValueError("codes must be finite, got NaN or infinite values")
    if (factors == factors[:1]).all(0).any():
        raise ValueError("factors must vary, but one has a single value")
    # one classifier a factor
    columns, accuracy = [], []
    for k in range(factors.shape[1]):
        model = make().fit(codes.double().numpy(), factors[:, k].numpy())
        columns.append(torch.as_tensor(model.feature_importances_, dtype=torch.float64).abs())
        accuracy.append(model.score(test_codes.double().numpy(), test_factors[:, k].numpy()))
    importances = torch.stack(columns, 1)  # (d, K)
    return DCI(*scores_of_importances(importances), sum(accuracy) / len(accuracy), importances)
