"""A linear probe that looks at the test part once: fitted on train, its penalty chosen on val.

Linear classifiers of frozen features: Alain and Bengio (2016), arXiv:1610.01644. The ridge probe
leaves each example out in closed form: Golub, Heath and Wahba (1979),
doi:10.1080/00401706.1979.10489751, eq. 2.3. Needs torch and scikit-learn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from dgm.evaluate import linear_probe

PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1)  # inverse strengths that a probe may choose from
RIDGES = tuple(10.0**k for k in range(-3, 5))


@dataclass(frozen=True)
class Probed:
    """What a probe found: accuracy on test and val, the inverse penalty, the majority's rate."""

    accuracy: float
    val: float
    c: float
    majority: float


def check_classes(y: Tensor, name: str = "y") -> None:
    """Raise a ValueError unless y (N,) holds whole numbers of at least two classes."""
    whole = isinstance(y, Tensor) and y.ndim == 1 and not y.is_floating_point()
    if not whole or len(y.unique()) < 2:
        got = y.unique().tolist() if whole else type(y).__name__
        raise ValueError(f"{name} must hold labels (N,) of at least two classes, got {got}")


def majority_rate(y: Tensor, test_y: Tensor) -> float:
    """Accuracy on test of always answering the commonest label of train."""
    return (test_y == y.mode().values).double().mean().item()


def honest_probe(
    h: Sequence[Tensor], y: Sequence[Tensor], penalties: Sequence[float] = PENALTIES
) -> Probed:
    """Logistic regression of features: ``h`` and ``y`` are (train, val, test), each (N, ...).

    The penalty is that of the best validation accuracy, the strongest where several are equal;
    the test part is looked at once, with it. Constant features answer as the majority does.

    Raises
    ------
    ValueError
        Not three parts, one class only, lengths that differ, or features that are not finite.
    """
    if len(h) != 3 or len(y) != 3:
        raise ValueError(f"h and y must be (train, val, test), got {len(h)} and {len(y)} parts")
    if not all(part.isfinite().all() for part in h):
        raise ValueError("h holds NaN or infinite features")
    check_classes(y[0])
    found = {c: linear_probe(h[0], y[0], h[1], y[1], c=c) for c in sorted(penalties)}
    best = max(found, key=found.get)
    test = linear_probe(h[0], y[0], h[2], y[2], c=best)
    return Probed(test, found[best], best, majority_rate(y[0], y[2]))


def standardised(h: Tensor, *others: Tensor) -> list[Tensor]:
    """Rows in float64 with mean 0 and deviation 1 over h; a constant column becomes zeros."""
    h = h.detach().flatten(1).double()
    mean, std = h.mean(0), h.std(0, correction=0)
    scale = torch.where(std > 1e-9 * (1 + mean.abs()), std, torch.inf)
    rows = (part.detach().flatten(1).double() for part in (h, *others))
    return [(part - mean) / scale for part in rows]


def ridge_probe(
    h: Tensor, y: Tensor, test_h: Tensor, test_y: Tensor, classes: int,
    ridges: Sequence[float] = RIDGES,
) -> float:  # fmt: skip
    """Test accuracy of ridge regression onto one-hot labels; the ridge is chosen on h, y alone.

    Each example is left out in turn, in closed form: its error is the residual over one minus its
    leverage. So few labels need no others to choose by. h (N, D) is taken as it is, see
    `standardised`; ``classes`` is how many there are, seen or not.
    """
    check_classes(y)
    target = one_hot(y.long(), classes).double() - 1 / classes
    left, values, right = torch.linalg.svd(h, full_matrices=False)
    best, least = None, torch.inf
    for ridge in sorted(ridges, reverse=True):
        shrink = values.square() / (values.square() + ridge)
        fitted = left @ (shrink[:, None] * (left.T @ target))
        leverage = (left.square() * shrink).sum(1).clamp_max(1 - 1e-9)
        error = ((target - fitted) / (1 - leverage)[:, None]).square().mean().item()
        if error < least:
            weights = right.T @ ((values / (values.square() + ridge))[:, None] * (left.T @ target))
            best, least = weights, error
    return ((test_h @ best).argmax(1) == test_y).double().mean().item()


def label_curve(
    h: Tensor, y: Tensor, test_h: Tensor, test_y: Tensor, counts: Sequence[int],
    draws: int = 5, seed: int = 0,
) -> dict[int, list[float]]:  # fmt: skip
    """Test accuracies by number of labels, ``draws`` of each; labels are drawn evenly by class.

    Pictures without labels are there: all of h set the scale of the features. The labels of a
    draw are all that its probe sees, its ridge is chosen by them too. The same seed draws the same
    labels for every code, so that codes can be compared draw by draw.

    Raises
    ------
    ValueError
        A count is below the number of classes or above the number of examples.
    """
    check_classes(y)
    classes = y.unique()
    if not all(len(classes) <= n <= len(y) for n in counts):
        raise ValueError(
            f"counts must lie in {len(classes)} (one label a class) .. {len(y)}, got {list(counts)}"
        )
    rows, test_rows = standardised(h, test_h)
    generator = torch.Generator().manual_seed(seed)
    curve: dict[int, list[float]] = {n: [] for n in counts}
    for _ in range(draws):
        # one of each class first, then the second of each, ...: prefixes are even
        order = torch.randperm(len(y), generator=generator)
        turn = torch.zeros(len(y), dtype=torch.long)
        for k in classes:
            mine = (y[order] == k).nonzero().flatten()
            turn[mine] = torch.arange(len(mine))
        order = order[turn.argsort(stable=True)]
        for n in counts:
            few = order[:n]
            part = ridge_probe(rows[few], y[few], test_rows, test_y, int(y.max()) + 1)
            curve[n].append(part)
    return curve
