"""A coupling of whole numbers: some move by a rounded function of the others, modulo levels.

Hoogeboom, Peters, van den Berg and Welling (2019), Integer discrete flows, arXiv:1905.07376;
modulo the number of levels: Tran et al. (2019), arXiv:1905.10347. Needs torch only.
"""

import torch
from torch import Tensor, nn


class _RoundedShift(torch.autograd.Function):
    """(x + round(t)) mod levels; for the gradient x + t (straight through)."""

    @staticmethod
    def forward(ctx: object, x: Tensor, t: Tensor, levels: int) -> Tensor:
        """Floats that hold whole numbers 0 .. levels - 1, like x."""
        return torch.remainder(x + t.round(), levels)

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        """As if nothing had been rounded."""
        return gradient, gradient, None


class RoundedCoupling(nn.Module):
    """y_moved = (x_moved + round(t(x_seen))) mod levels, y_seen = x_seen: a bijection of integers.

    Parameters
    ----------
    net : nn.Module
        Maps what is seen, scaled to -1 .. 1, (B, n_seen), to (B, n_moved); 1 is half of the levels.
    seen, moved : list of int
        Which of the D entries; no entry is both.
    levels : int
        At least 2.

    Examples
    --------
    >>> layer = RoundedCoupling(nn.Linear(1, 1), seen=[0], moved=[1], levels=5)
    >>> x = torch.cartesian_prod(torch.arange(5.0), torch.arange(5.0))
    >>> bool((layer.inverse(layer(x)) == x).all()), len(layer(x).unique(dim=0))
    (True, 25)
    """

    def __init__(self, net: nn.Module, seen: list[int], moved: list[int], levels: int):
        super().__init__()
        if set(seen) & set(moved) or not seen or not moved:
            raise ValueError(f"seen and moved must be disjoint and not empty: {seen}, {moved}")
        if levels < 2:
            raise ValueError(f"levels must be at least 2, got {levels}")
        self.net, self.levels = net, levels
        self.register_buffer("seen", torch.tensor(seen), persistent=False)
        self.register_buffer("moved", torch.tensor(moved), persistent=False)

    def _shift(self, x: Tensor) -> Tensor:
        """What is added to the moved entries of x (B, D), before rounding, (B, n_moved)."""
        half = (self.levels - 1) / 2
        return half * self.net(x[:, self.seen] / half - 1)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, D), floats that hold whole numbers -> the same."""
        moved = _RoundedShift.apply(x[:, self.moved], self._shift(x), self.levels)
        return x.index_copy(1, self.moved, moved)

    def inverse(self, y: Tensor) -> Tensor:
        """y (B, D) -> x (B, D), exactly."""
        moved = _RoundedShift.apply(y[:, self.moved], -self._shift(y), self.levels)
        return y.index_copy(1, self.moved, moved)
