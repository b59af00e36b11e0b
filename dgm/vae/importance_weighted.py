"""Train by the importance-weighted bound: several draws for an example, their mean in the log.

Burda, Grosse and Salakhutdinov (2016), arXiv:1509.00519, eqs. 8-14. Needs torch only.
"""

import torch
from torch import Tensor, nn


class ImportanceWeighted(nn.Module):
    """The same model with another loss: -iw_bound(x, k) in place of -elbo(x).

    The gradient of an example is that of its k log weights, each with its share of the sum of the
    weights: good draws teach, bad ones are hardly heard.

    Parameters
    ----------
    model : nn.Module
        With ``data``, ``elbo``, ``iw_bound`` and ``sample``, a `VAE` say.
    k : int
        Draws for each example, at least 1.
    """

    def __init__(self, model: nn.Module, k: int):
        super().__init__()
        if k < 1:
            raise ValueError(f"k must be at least 1, got {k}")
        self.model, self.data, self.k = model, model.data, k

    def loss(self, x: Tensor) -> Tensor:
        """-`iw_bound` with k draws (B,), nats, an upper bound on -log p(x)."""
        return -self.model.iw_bound(x, self.k)

    def elbo(self, x: Tensor) -> Tensor:
        """One-sample lower bound of the model (B,), nats."""
        return self.model.elbo(x)

    def iw_bound(self, x: Tensor, k: int) -> Tensor:
        """Bound of the model with k draws (B,), nats."""
        return self.model.iw_bound(x, k)

    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """n draws of the model (n, *shape), as stored."""
        return self.model.sample(n, generator=generator)
