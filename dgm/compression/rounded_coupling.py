"""A coupling of whole numbers: some move by a rounded function of the others, modulo levels.

Hoogeboom, Peters, van den Berg and Welling (2019), Integer discrete flows, arXiv:1905.07376;
modulo the number of levels: Tran et al. (2019), arXiv:1905.10347. Needs torch only.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot


class RoundedCoupling(nn.Module):
    """y_moved = (x_moved + round(t(x_seen))) mod L, y_seen = x_seen: a bijection of integers.

    The integers are given by marks (B, D, L): a one at the level, zeros elsewhere. A rounded shift
    has no gradient. Going back, it counts as a random one, the nearest whole number to t plus
    logistic noise of scale ``softness``: so t learns what the shifts next to it would have cost,
    and the more of that the nearer it is to one of them. With ``straight`` it counts as t itself
    wherever t is, as the straight-through gradient of Hoogeboom et al. does.

    Parameters
    ----------
    net : nn.Module
        Maps what is seen, scaled to -1 .. 1, (B, n_seen), to (B, n_moved); 1 is half of the levels.
    seen, moved : list of int
        Which of the D entries; no entry is both.
    levels : int
        L, at least 2.

    Examples
    --------
    >>> layer = RoundedCoupling(nn.Linear(1, 1), seen=[0], moved=[1], levels=5)
    >>> x = torch.cartesian_prod(torch.arange(5), torch.arange(5))
    >>> y = layer(one_hot(x, 5).float()).argmax(-1)
    >>> bool((layer.inverse(y) == x).all()), len(y.unique(dim=0))
    (True, 25)
    """

    def __init__(
        self, net: nn.Module, seen: list[int], moved: list[int], levels: int,
        softness: float = 0.2, straight: bool = False,
    ):  # fmt: skip
        super().__init__()
        if set(seen) & set(moved) or not seen or not moved:
            raise ValueError(f"seen and moved must be disjoint and not empty: {seen}, {moved}")
        if levels < 2 or not softness > 0:
            raise ValueError(f"levels >= 2 and softness > 0 needed, got {levels} and {softness}")
        self.net, self.levels, self.softness, self.straight = net, levels, softness, straight
        self.register_buffer("seen", torch.tensor(seen), persistent=False)
        self.register_buffer("moved", torch.tensor(moved), persistent=False)
        every = torch.arange(levels)
        # from[m, k]: the level that a shift by k brings to m
        self.register_buffer("origin", (every[:, None] - every) % levels, persistent=False)

    def _shift(self, v: Tensor) -> Tensor:
        """What is added, before rounding, (B, n_moved), given all levels v (B, D) as floats."""
        half = (self.levels - 1) / 2
        return half * self.net(v[:, self.seen] / half - 1)

    def _shares(self, t: Tensor) -> Tensor:
        """How much of every shift 0 .. L - 1 there is in t (B, n_moved): (B, n_moved, L)."""
        chosen = torch.remainder(t.detach().round(), self.levels).long()
        chosen = one_hot(chosen, self.levels).to(t.dtype)
        if self.straight:  # one more of t is one level more: half the way from one less
            soft = t.unsqueeze(-1) * (chosen.roll(1, -1) - chosen.roll(-1, -1)) / 2
        else:
            every = torch.arange(self.levels, dtype=t.dtype, device=t.device)
            half = self.levels / 2  # signed distances around the circle of levels
            away = torch.remainder(t.unsqueeze(-1) - every + half, self.levels) - half
            edges = ((h - away) / self.softness for h in (0.5, -0.5))
            above, below = (torch.sigmoid(edge) for edge in edges)
            soft = above - below
        return chosen + soft - soft.detach()

    def forward(self, marks: Tensor) -> Tensor:
        """Marks (B, D, L) of x -> marks of y."""
        every = torch.arange(self.levels, dtype=marks.dtype, device=marks.device)
        shares = self._shares(self._shift(marks @ every))
        before = marks[:, self.moved][:, :, self.origin]  # (B, n_moved, L, L)
        after = (before * shares.unsqueeze(2)).sum(-1)
        return marks.index_copy(1, self.moved, after)

    def inverse(self, y: Tensor) -> Tensor:
        """Integers y (B, D) -> x (B, D), exactly."""
        shift = self._shift(y.to(next(self.parameters()).dtype)).round().long()
        return y.index_copy(1, self.moved, (y[:, self.moved] - shift) % self.levels)
