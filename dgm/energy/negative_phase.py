"""Where the negatives of an RBM come from: short chains from the data, or chains that go on.

Contrastive divergence: Hinton (2002), doi:10.1162/089976602760128018. Persistent chains: Younes
(1989); Tieleman (2008), doi:10.1145/1390156.1390290. Needs torch only.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ContrastiveDivergence(nn.Module):
    """CD-k: every chain starts at an example and takes k Gibbs sweeps.

    Parameters
    ----------
    sweeps : int
        k, at least 1.

    Raises
    ------
    ValueError
        sweeps is no whole number of at least 1.

    Examples
    --------
    >>> ContrastiveDivergence(10).sweeps
    10
    """

    def __init__(self, sweeps: int = 1):
        super().__init__()
        if type(sweeps) is not int or sweeps < 1:
            raise ValueError(f"sweeps must be a whole number of at least 1, got {sweeps!r}")
        self.sweeps = sweeps

    def forward(self, rbm: nn.Module, v: Tensor) -> Tensor:
        """Rows v (B, D) -> where their chains are after k sweeps, (B, D)."""
        for _ in range(self.sweeps):
            v = rbm.sweep(v)
        return v


class PersistentChains(nn.Module):
    """PCD: chains that go on from where the last step of training left them.

    They are part of the state: a run that is resumed goes on with them. In eval mode they are
    advanced and not kept.

    Parameters
    ----------
    dims : int
        Visible units.
    n_chains : int
        How many chains.
    sweeps : int
        Gibbs sweeps in each step of training.

    Raises
    ------
    ValueError
        A count is no whole number of at least 1.

    Examples
    --------
    >>> PersistentChains(64, n_chains=100).chains.shape
    torch.Size([100, 64])
    """

    def __init__(self, dims: int, n_chains: int = 100, sweeps: int = 1):
        super().__init__()
        for name, count in (("dims", dims), ("n_chains", n_chains), ("sweeps", sweeps)):
            if type(count) is not int or count < 1:
                raise ValueError(f"{name} must be a whole number of at least 1, got {count!r}")
        self.sweeps = sweeps
        self.register_buffer("chains", torch.zeros(n_chains, dims, dtype=torch.uint8))

    def forward(self, rbm: nn.Module, v: Tensor) -> Tensor:
        """The chains (n_chains, D) after the next sweeps; of the rows v only the type is used."""
        state = self.chains.to(v.dtype)
        for _ in range(self.sweeps):
            state = rbm.sweep(state)
        if self.training:
            self.chains.copy_(state)
        return state
