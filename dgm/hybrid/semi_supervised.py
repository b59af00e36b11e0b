"""Few labels, many pictures: the objective that weighs both, and the choice of who has a label.

Kingma, Mohamed, Rezende and Welling (2014), arXiv:1406.5298, eqs. 8-9 and section 4
(alpha = 0.1 N). Needs torch only.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy


def few_labels(y: Tensor, n: int, n_classes: int, seed: int = 0) -> Tensor:
    """Rows (n,) of examples that keep their label, as many of each class as of any other.

    Parameters
    ----------
    y : (N,) labels of all examples.
    n : how many rows, at least one of each class and no more than N.
    seed : of the choice.

    Raises
    ------
    ValueError
        n is out of range, a label is, or a class has too few examples.

    Examples
    --------
    >>> y = torch.tensor([0, 1, 1, 0, 1, 0, 0])
    >>> y[few_labels(y, 4, n_classes=2)].sort().values
    tensor([0, 0, 1, 1])
    """
    if not n_classes <= n <= len(y):
        raise ValueError(f"n must lie in {n_classes} .. {len(y)}: a label for each class; got {n}")
    if int(y.min()) < 0 or int(y.max()) >= n_classes:
        raise ValueError(f"y must be integers 0 .. {n_classes - 1}, got {y.min()} .. {y.max()}")
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(seed))
    if n == len(y):
        return order
    ranks = torch.zeros(len(y), dtype=torch.long)  # the how-manieth of its class each row is
    for k in range(n_classes):
        of_class = y[order] == k
        ranks[of_class] = torch.arange(int(of_class.sum()))
    chosen = order[ranks.argsort(stable=True)[:n]]  # the first of each class, the second ...
    if y[chosen].bincount(minlength=n_classes).min() < n // n_classes:
        raise ValueError(f"y must hold at least {n // n_classes} examples of each class")
    return chosen


class SemiSupervised(nn.Module):
    """The loss of a model with and without labels, an example of each kind in every row.

    Over N examples, n of them with labels, the paper's J = sum_labelled L + sum_unlabelled U +
    alpha * mean_labelled(-log q(y|x)). Divided by N, with alpha = share * N:

        (n / N) L(x', y') + (1 - n / N) U(x) + share * (-log q(y' | x'))

    where x is drawn of those without a label and x' of those with one, as often as it takes.

    Parameters
    ----------
    model : nn.Module
        ``elbo(x)``, ``joint_elbo(x, y)``, ``posterior(x)`` and ``data``: an `M2`.
    n_labelled, n_total : int
        n and N.
    share : float
        0.1 in the paper.

    Raises
    ------
    ValueError
        No labelled examples, more of them than examples, or a negative share.
    """

    def __init__(self, model: nn.Module, n_labelled: int, n_total: int, share: float = 0.1):
        super().__init__()
        if not 1 <= n_labelled <= n_total:
            raise ValueError(
                f"n_labelled must lie in 1 .. n_total: without a label no class has a name; got "
                f"{n_labelled} of {n_total}"
            )
        if not 0 <= share < math.inf:
            raise ValueError(f"share must be finite and at least 0, got {share!r}")
        self.model, self.data = model, model.data
        self.labelled, self.share = n_labelled / n_total, share

    def loss(self, x: Tensor, x_labelled: Tensor, y: Tensor) -> Tensor:
        """(B,), of pictures x without labels beside as many with labels y; no nats of a picture."""
        log_q = -cross_entropy(self.model.posterior(x_labelled).logits, y, reduction="none")
        loss = -self.labelled * self.model.joint_elbo(x_labelled, y) - self.share * log_q
        if self.labelled == 1:  # nobody is without a label
            return loss
        return loss - (1 - self.labelled) * self.model.elbo(x)

    def rows(self, x: Tensor, y: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What `loss` trains on: of x (N, *shape), y (N,) the ``chosen`` rows (n,) are labelled.

        Gives the pictures without a label, and the labelled ones with their labels, repeated until
        there are as many. No other label is handed on.
        """
        hidden = torch.ones(len(x), dtype=torch.bool)
        hidden[chosen] = False
        others = x[hidden] if hidden.any() else x
        again = chosen.repeat(math.ceil(len(others) / len(chosen)))[: len(others)]
        return others, x[again], y[again]
