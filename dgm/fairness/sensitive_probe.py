"""What a code still knows: a fresh, strong classifier looks for the group, beside chance.

That the probe must be stronger than the training's own adversary: Elazar and Goldberg (2018),
arXiv:1808.06640; p-value: Phipson and Smyth (2010), arXiv:1603.05766, eq. 2. Needs torch and
scikit-learn.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor


@dataclass(frozen=True)
class Leak:
    """What a probe found on test codes.

    ``accuracy`` beside ``majority``, the share of the largest group; ``area`` under the ROC curve,
    1/2 for chance (of more groups: the mean of each against the rest); ``p_value``, the chance of
    an area as large if code and group were independent.
    """

    accuracy: float
    majority: float
    area: float
    p_value: float


def boosted_probe(seed: int = 0) -> object:
    """Gradient-boosted trees that stop by themselves, a scikit-learn classifier not yet fitted."""
    return HistGradientBoostingClassifier(
        max_iter=120, learning_rate=0.1, max_leaf_nodes=15, early_stopping=True, random_state=seed
    )


def wide_probe(seed: int = 0) -> object:
    """A wide perceptron on scaled codes, a scikit-learn classifier not yet fitted."""
    net = MLPClassifier(
        (256, 128), alpha=1e-3, batch_size=128, early_stopping=True, max_iter=40,
        n_iter_no_change=6, random_state=seed,
    )  # fmt: skip
    return make_pipeline(StandardScaler(), net)


def sensitive_probe(
    codes: Tensor, s: Tensor, test_codes: Tensor, test_s: Tensor, probe: object | None = None,
    permutations: int = 400, seed: int = 0,
) -> Leak:  # fmt: skip
    """Fit a probe of the group on codes (N, D), s (N,), and measure it on test codes alone.

    The p-value exchanges the groups of the test rows: the fitted probe stays as it is. A code that
    is constant gives the majority, an area of 1/2 and a p-value of 1.

    Parameters
    ----------
    codes, s : (N, D) and (N,) to learn from.
    test_codes, test_s : (M, D) and (M,) to be measured on; no row of them is learned from.
    probe : a scikit-learn classifier with ``predict_proba``; `boosted_probe` where not given.
    permutations, seed : of the p-value.

    Raises
    ------
    ValueError
        Shapes do not fit, a part holds one group only, or test groups that were never seen.
    """
    # what there is to learn from, and to be measured on
    for name, z, groups in (("codes", codes, s), ("test_codes", test_codes, test_s)):
        if z.ndim != 2 or groups.shape != z.shape[:1] or z.shape[1] != codes.shape[1]:
            raise ValueError(f"{name} must be (N, D) beside (N,), got {tuple(z.shape)}")
        if len(groups.unique()) < 2:
            raise ValueError(f"{name} must hold two groups at least: of one there is no secret")
    if not set(test_s.unique().tolist()) <= set(s.unique().tolist()):
        raise ValueError("test_s must hold groups that s has")
    # learn, then ask
    probe = boosted_probe(seed) if probe is None else probe
    probe.fit(codes.detach().numpy(), s.numpy())
    chance = torch.as_tensor(probe.predict_proba(test_codes.detach().numpy()))  # (M, K)
    groups = torch.as_tensor(probe.classes_)
    right = (groups[chance.argmax(1)] == test_s).double().mean().item()
    majority = test_s.unique(return_counts=True)[1].max().item() / len(test_s)
    # beside exchanged groups
    made = torch.Generator().manual_seed(seed)
    orders = [torch.arange(len(test_s))]
    orders += [torch.randperm(len(test_s), generator=made) for _ in range(permutations)]
    areas = _areas(chance, groups, test_s[torch.stack(orders)])
    above = int((areas[1:] >= areas[0] - 1e-12).sum())
    return Leak(right, majority, areas[0].item(), (1 + above) / (1 + permutations))


def _areas(chance: Tensor, groups: Tensor, s: Tensor) -> Tensor:
    """Area under the ROC curve (P,), by ranks, for scores (M, K) and groups s (P, M)."""
    found, columns = [], range(1, 2) if len(groups) == 2 else range(len(groups))
    for k in columns:
        score = chance[:, k].contiguous()
        ordered = score.sort().values
        low = torch.searchsorted(ordered, score)
        ranks = (
            low + torch.searchsorted(ordered, score, right=True) + 1
        ).double() / 2  # ties: mean
        member = (s == groups[k]).double()
        n = member.sum(1)
        if (n > 0).all():
            found.append((member @ ranks - n * (n + 1) / 2) / (n * (s.shape[1] - n)))
    return torch.stack(found).mean(0)
