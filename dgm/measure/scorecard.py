"""A scorecard of codes: one number a wish, near 1 for the ideal code and near 0 for a useless one.

The wishes are those of Bengio, Courville and Vincent (2013), arXiv:1206.5538, section 3; sparsity
is that of Hoyer (2004), section 3.1; the silhouette that of Rousseeuw (1987),
doi:10.1016/0377-0427(87)90125-7. Needs torch only.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from dgm.measure.probe import check_classes, majority_rate, ridge_probe, standardised


def _code_rows(h: Tensor, least: int = 2) -> Tensor:
    """h (N, ...) as rows in float64; a ValueError unless N >= ``least`` and all is finite."""
    if not isinstance(h, Tensor) or h.ndim < 2 or len(h) < least or not h.isfinite().all():
        got = tuple(h.shape) if isinstance(h, Tensor) else type(h).__name__
        raise ValueError(f"h must be finite codes (N >= {least}, ...), got {got}")
    return h.detach().flatten(1).double()


def _labelled(h: Tensor, y: Tensor) -> Tensor:
    """Rows of h, where y (N,) has a label for each and at least two classes."""
    rows = _code_rows(h)
    check_classes(y)
    if len(y) != len(rows):
        raise ValueError(f"y has {len(y)} labels for {len(rows)} codes")
    return rows


def axis_alignment(h: Tensor, factors: Tensor) -> float:
    """A proxy of interpretability: how well single entries of the code follow single factors.

    For each factor (N, F), a number that grows, the largest squared rank correlation with any
    entry of h; their mean. 1 where each factor has an entry that rises or falls with it, 1/2 for
    two factors turned by 45 degrees, about 1/N for noise. Constant entries count as 0.
    """
    rows = _code_rows(h, 3)
    if factors.ndim != 2 or len(factors) != len(rows):
        raise ValueError(f"factors must be ({len(rows)}, F), got {tuple(factors.shape)}")
    a, b = (standardised(_ranks(t))[0] for t in (rows, factors.double()))
    return (a.T @ b / len(a)).square().amax(0).mean().item()


def _ranks(t: Tensor) -> Tensor:
    """Ranks of each column of t (N, D), equal values sharing their mean rank."""
    found = []
    for column in t.T:
        _, place, count = column.unique(return_inverse=True, return_counts=True)
        found.append((count.cumsum(0) - (count - 1) / 2).double()[place])
    return torch.stack(found, 1)


def sparsity(h: Tensor) -> float:
    """Hoyer's (sqrt(D) - |h|_1 / |h|_2) / (sqrt(D) - 1), the mean over codes.

    1 for one entry that is not zero, 0 for equal sizes everywhere; about 1 - sqrt(2 / pi) for a
    Gaussian code of many entries. A code of zeros counts as 0; D must be at least 2.
    """
    rows = _code_rows(h, 1)
    d = rows.shape[1] ** 0.5
    if d == 1:
        raise ValueError("h must have at least two entries, got one")
    length = rows.norm(dim=1)
    ratio = torch.where(length > 0, rows.abs().sum(1) / length.clamp_min(1e-300), d)
    return ((d - ratio) / (d - 1)).mean().item()


def silhouette(h: Tensor, y: Tensor) -> float:
    """Mean of (b - a) / max(a, b): a to the own class, b to the nearest other one, by distance.

    Near 1 for tight clusters far apart, about 0 for shuffled labels, below 0 for wrong ones. A
    class of one example counts as 0, and so do codes that are all equal.
    """
    rows = _labelled(h, y)
    classes, place = y.unique(return_inverse=True)
    member = torch.nn.functional.one_hot(place, len(classes)).double()  # (N, K)
    count = member.sum(0)
    total = torch.cdist(rows, rows, compute_mode="donot_use_mm_for_euclid_dist") @ member
    own = total.gather(1, place[:, None]).squeeze(1) / (count[place] - 1).clamp_min(1)
    others = (total / count).scatter(1, place[:, None], torch.inf).amin(1)
    score = (others - own) / torch.maximum(own, others).clamp_min(1e-300)
    return torch.where(count[place] > 1, score, 0.0).mean().item()


def hierarchy(h: Tensor, fine: Tensor, coarse: Tensor) -> float:
    """Whether classes of one family are nearer to each other than to others, by class means.

    Over all triples of classes (one, another of its family, one of another family): twice the
    share in which the relative is nearer, less one; equal distances count half. 1 for a tree, 0
    for chance and for codes that are all equal.

    Raises
    ------
    ValueError
        A fine class lies in two families, or no triple exists.
    """
    rows = _labelled(h, fine)
    classes = fine.unique()
    family = torch.stack([coarse[fine == k][0] for k in classes])
    if any((coarse[fine == k] != f).any() for k, f in zip(classes, family, strict=True)):
        raise ValueError("coarse must be one family for each class of fine")
    means = torch.stack([rows[fine == k].mean(0) for k in classes])
    d = torch.cdist(means, means, compute_mode="donot_use_mm_for_euclid_dist")
    same = family[:, None] == family
    kin = same & ~torch.eye(len(classes), dtype=torch.bool)
    triples = kin[:, :, None] & ~same[:, None, :]  # (one, relative, stranger)
    if not triples.any():
        raise ValueError("coarse must have a family of two classes and another family")
    nearer = (d[:, :, None] < d[:, None, :]).double() + 0.5 * (d[:, :, None] == d[:, None, :])
    return 2 * nearer[triples].mean().item() - 1


def straightness_of_classes(h: Tensor, y: Tensor, pairs: int = 1000, seed: int = 0) -> float:
    """Linear interpolation: is the code midway between two of a class one of that class?

    By the nearest other code to the midpoint; corrected for chance, (share - c) / (1 - c) with c
    the share that random codes would have. 1 for convex classes, 0 for a code that says nothing.
    """
    rows = _labelled(h, y)
    generator = torch.Generator().manual_seed(seed)
    first = torch.randint(len(rows), (pairs,), generator=generator)
    among = (y[first][:, None] == y) & (torch.arange(len(y)) != first[:, None])
    kept = among.any(1)
    first, among = first[kept], among[kept].double()
    if not len(first):
        raise ValueError("y must have a class of at least two examples")
    second = torch.multinomial(among, 1, generator=generator).squeeze(1)
    middle = (rows[first] + rows[second]) / 2
    # the nearest code that is neither end; of equally near ones each counts
    d = torch.cdist(middle, rows, compute_mode="donot_use_mm_for_euclid_dist")
    d.scatter_(1, torch.stack((first, second), 1), torch.inf)
    nearest = (d <= d.amin(1, keepdim=True) + 1e-12).double()
    same = (y == y[first][:, None]).double()
    share = ((nearest * same).sum(1) / nearest.sum(1)).mean()
    others = len(y) - 2
    chance = (same.sum(1) - 2).div(others).mean() if others else torch.tensor(0.0)
    return ((share - chance) / (1 - chance).clamp_min(1e-12)).item()


def invariance(h: Tensor, moved: Tensor) -> float:
    """1 - |h(x) - h(moved x)|^2 over |h(x) - h(x')|^2 of two different x, both means.

    1 where what was done to x leaves no trace; 0 where x moved is as far off as another picture.
    Codes that are all equal count as 0: they are invariant to everything.
    """
    rows, others = _code_rows(h), _code_rows(moved)
    if rows.shape != others.shape:
        raise ValueError(f"moved must have shape {tuple(h.shape)}, got {tuple(moved.shape)}")
    apart = 2 * rows.var(0, correction=1).sum()
    if apart <= 1e-18:
        return 0.0
    return (1 - (rows - others).square().sum(1).mean() / apart).item()


def downstream_use(h: Tensor, y: Tensor, test_h: Tensor, test_y: Tensor) -> float:
    """A ridge probe's test accuracy above the majority's, over what there is: 1 never errs."""
    _labelled(h, y)
    rows, test_rows = standardised(h, test_h)
    accuracy = ridge_probe(rows, y, test_rows, test_y, int(max(y.max(), test_y.max())) + 1)
    most = majority_rate(y, test_y)
    return (accuracy - most) / max(1 - most, 1e-12)


def wishes_of(
    encode: Callable[[Tensor], Tensor], train: dict[str, Tensor], test: dict[str, Tensor]
) -> dict[str, float]:
    """The whole card of a code: ``encode(x)`` gives (N, D).

    ``train`` and ``test`` hold x and classes y; ``test`` also ``moved``, the same x moved a little,
    ``factors`` (N, F), numbers that grow, and ``fine`` and ``family`` (N,), classes and theirs.
    """
    with torch.no_grad():
        h, test_h, moved = encode(train["x"]), encode(test["x"]), encode(test["moved"])
    y = test["y"]
    rows, moved = standardised(test_h, moved)
    return {
        "one entry, one factor": axis_alignment(rows, test["factors"]),
        "sparsity": sparsity(test_h),
        "clusters": silhouette(rows, y),
        "hierarchy": hierarchy(rows, test["fine"], test["family"]),
        "straight paths": straightness_of_classes(rows, y),
        "invariance": invariance(rows, moved),
        "downstream use": downstream_use(h, train["y"], test_h, y),
    }
