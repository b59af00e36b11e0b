"""Typicality: a batch is of the kind if its mean surprise is the usual one, from both sides.

Nalisnick et al. (2019), arXiv:1906.02994, section 3: the distance of the batch's mean nats from the
entropy, and a threshold from batches of validation data. Needs torch only.
"""

from __future__ import annotations

import torch
from torch import Tensor


def dealt_batches(
    values: Tensor, m: int, n: int, generator: torch.Generator | None = None
) -> Tensor:
    """n batches (n, m) of values (N,), each drawn without putting back.

    Raises
    ------
    ValueError
        m is not in 1 .. N, or n below 1.
    """
    if values.ndim != 1 or not 1 <= m <= len(values) or n < 1:
        raise ValueError(f"values (N,), 1 <= m <= N and n >= 1 needed: {values.shape}, {m}, {n}")
    chosen = torch.rand(n, len(values), generator=generator).argsort(1)[:, :m]
    return values[chosen]


class Typicality:
    """Accepts batches whose mean nats lie close enough to the entropy.

    Parameters
    ----------
    train_nats : Tensor
        (N,) -log p of training examples: their mean stands for the model's entropy.
    val_nats : Tensor
        (V,) of validation examples, from which thresholds are taken; never those of the test.

    Raises
    ------
    ValueError
        Either is no vector of two or more finite numbers.

    Examples
    --------
    >>> made = torch.Generator().manual_seed(0)
    >>> nats = lambda n: 0.5 * torch.randn(n, 784, generator=made).square().sum(1)
    >>> test = Typicality(nats(2000), nats(2000))
    >>> limit = test.threshold(5, 0.05, generator=made)
    >>> bool(test.distance(torch.zeros(1, 5)) > limit)  # five times the mode
    True
    """

    def __init__(self, train_nats: Tensor, val_nats: Tensor):
        for name, nats in (("train_nats", train_nats), ("val_nats", val_nats)):
            if nats.ndim != 1 or len(nats) < 2 or not bool(nats.isfinite().all()):
                raise ValueError(f"{name} must be (N >= 2,) finite nats, got {tuple(nats.shape)}")
        self.entropy, self.val_nats = train_nats.double().mean(), val_nats.double()

    def distance(self, nats: Tensor) -> Tensor:
        """|mean nats - entropy| of batches (..., M), (...,) nats: large on either side."""
        return (nats.double().mean(-1) - self.entropy).abs()

    def threshold(
        self, m: int, alpha: float = 0.05, n: int = 1000, generator: torch.Generator | None = None
    ) -> Tensor:
        """The distance that a share alpha of n validation batches of m pictures exceeds, ()."""
        if not 0 < alpha < 1:
            raise ValueError(f"alpha must lie in (0, 1), got {alpha!r}")
        batches = dealt_batches(self.val_nats, m, n, generator)
        return self.distance(batches).quantile(1 - alpha)
