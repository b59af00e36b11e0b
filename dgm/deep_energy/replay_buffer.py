"""A replay buffer: chains that go on where they stopped, some of them begun anew each time.

Tieleman (2008), doi:10.1145/1390156.1390290; with fresh starts: Du and Mordatch (2019),
arXiv:1903.08689, section 3.2. Needs torch only.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ReplayBuffer(nn.Module):
    """Chains kept between the steps of training.

    Own methods: ``fill``, ``take``, ``put``.

    Parameters
    ----------
    dims : int
        Numbers in the state of a chain.
    size : int
        How many chains.
    fresh : float
        Chance that a chain that is taken begins anew, 0 .. 1.

    Raises
    ------
    ValueError
        A count is no whole number of at least 1 (an empty buffer has nothing to give), or fresh is
        no share.

    Examples
    --------
    >>> buffer = ReplayBuffer(dims=2, size=10, fresh=0.0)
    >>> buffer.fill(torch.zeros(10, 2))
    >>> rows, x = buffer.take(4, torch.randn(4, 2))
    >>> buffer.put(rows, x + 1)
    >>> int(buffer.chains.sum())
    8
    """

    def __init__(self, dims: int, size: int = 1000, fresh: float = 0.05):
        super().__init__()
        for name, count in dict(dims=dims, size=size).items():
            if type(count) is not int or count < 1:
                raise ValueError(f"{name} must be a whole number of at least 1, got {count!r}")
        if not 0 <= fresh <= 1:
            raise ValueError(f"fresh must lie in 0 .. 1, got {fresh!r}")
        self.fresh = fresh
        self.register_buffer("chains", torch.zeros(size, dims))

    def fill(self, x: Tensor) -> None:
        """Begin all chains at x (size, dims)."""
        if x.shape != self.chains.shape:
            raise ValueError(f"x must be {tuple(self.chains.shape)}, got {tuple(x.shape)}")
        self.chains.copy_(x)

    def take(
        self, n: int, fresh: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Rows (n,) of different chains and their states (n, dims), some of them from ``fresh``.

        Raises
        ------
        ValueError
            n is more than there are chains.
        """
        if not 1 <= n <= len(self.chains):
            raise ValueError(f"n must be 1 .. {len(self.chains)} chains, got {n}")
        device = self.chains.device
        rows = torch.randperm(len(self.chains), generator=generator, device=device)[:n]
        anew = torch.rand(n, 1, generator=generator, device=device) < self.fresh
        return rows, torch.where(anew, fresh, self.chains[rows].to(fresh.dtype))

    def put(self, rows: Tensor, x: Tensor) -> None:
        """Keep states x (n, dims) of the chains in these rows."""
        self.chains[rows] = x.detach().to(self.chains.dtype)
