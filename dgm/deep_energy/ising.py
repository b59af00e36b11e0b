"""The Ising magnet in the plane: two numbers, an exact normaliser, and chains that flip spins.

Ising (1925); the transfer matrix: Kramers and Wannier (1941), doi:10.1103/PhysRev.60.252; heat
bath: Glauber (1963), doi:10.1063/1.1703954. Needs torch only.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid


class IsingModel(nn.Module):
    """Spins s = 2x - 1 on a grid with free borders: E = -J (sum of s s' of neighbours) - h sum s.

    log Z is exact: rows of the grid are added one by one, over all 2^W states of a row. The same
    sums, walked back, draw exactly; the two chains are there to be held against that.

    Own methods: ``statistics``, ``log_z``, ``heat_bath``, ``metropolis``.

    Parameters
    ----------
    data : what x is: pictures (1, H, W) of two levels, W at most 10.
    coupling, field : float
        J and h at the start, both learned.

    Raises
    ------
    ValueError
        data is no picture of two levels and one channel, or too wide.

    Examples
    --------
    >>> from dgm.distribution.support import Levels
    >>> model = IsingModel(Levels((1, 2, 2), 2), coupling=0.0)
    >>> round(model.log_z().item(), 4)  # four free spins: 4 log 2
    2.7726
    """

    def __init__(self, data, coupling: float = 0.2, field: float = 0.0):
        super().__init__()
        shape = getattr(data, "shape", ())
        if getattr(data, "levels", None) != 2 or len(shape) != 3 or shape[0] != 1:
            raise ValueError(f"data must be pictures (1, H, W) of two levels, got {data!r} {shape}")
        if shape[2] > 10:
            raise ValueError(f"data must be at most 10 wide, 2^W states of a row; got {shape}")
        self.data = data
        self.coupling = nn.Parameter(torch.tensor(float(coupling)))
        self.field = nn.Parameter(torch.tensor(float(field)))

    def statistics(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Sum of s s' over neighbours, and sum of s, of pictures x (B, 1, H, W): (B,) each."""
        s = 2 * self.data.check(x).to(self.coupling.dtype)[:, 0] - 1
        down, right = s[:, 1:] * s[:, :-1], s[..., 1:] * s[..., :-1]
        return down.sum((1, 2)) + right.sum((1, 2)), s.sum((1, 2))

    def energy(self, x: Tensor) -> Tensor:
        """E (B,): log p = -energy - log Z, nats."""
        bonds, total = self.statistics(x)
        return -self.coupling * bonds - self.field * total

    def _rows(self) -> tuple[Tensor, Tensor, list[Tensor]]:
        """States of a row (2^W, W); J s s' between rows; log sums of the rows up to each, by state.

        The sums (H of (2^W,)) hold everything above and the row itself.
        """
        _, height, width = self.data.shape
        bits = torch.cartesian_prod(*[torch.arange(2)] * width).view(-1, width)
        row = 2 * bits.to(self.coupling) - 1
        within = self.coupling * (row[:, 1:] * row[:, :-1]).sum(1) + self.field * row.sum(1)
        between = self.coupling * row @ row.T  # (2^W, 2^W)
        sums = [within]
        for _ in range(height - 1):
            sums.append(within + torch.logsumexp(sums[-1] + between, 1))
        return row, between, sums

    def log_z(self) -> Tensor:
        """log Z, nats, exact: 2^W by 2^W terms for each row."""
        return torch.logsumexp(self._rows()[2][-1], 0)

    def log_prob(self, x: Tensor) -> Tensor:
        """Exact log mass (B,), nats."""
        return -self.energy(x) - self.log_z()

    def loss(self, x: Tensor) -> Tensor:
        """Negative log mass (B,), nats."""
        return -self.log_prob(x)

    def _pull(self, s: Tensor) -> Tensor:
        """J times the sum of the neighbours' spins, plus h: (n, H, W)."""
        around = torch.zeros_like(s)
        around[:, 1:] += s[:, :-1]
        around[:, :-1] += s[:, 1:]
        around[..., 1:] += s[..., :-1]
        around[..., :-1] += s[..., 1:]
        return self.coupling * around + self.field

    def _colours(self) -> Tensor:
        """The two colours of a checkerboard (2, H, W): spins of one are no neighbours."""
        _, height, width = self.data.shape
        at = torch.arange(height)[:, None] + torch.arange(width)
        return torch.stack((at % 2 == 0, at % 2 == 1)).to(self.coupling.device)

    def heat_bath(self, s: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """One Gibbs sweep of spins s (n, H, W): each given its neighbours, colour by colour."""
        for colour in self._colours():
            u = torch.rand(s.shape, generator=generator, device=s.device, dtype=s.dtype)
            up = u.log() < logsigmoid(2 * self._pull(s))
            s = torch.where(colour, 2 * up.to(s.dtype) - 1, s)
        return s

    def metropolis(self, s: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """One Metropolis sweep: each spin turns with probability min(1, exp(-change of E))."""
        for colour in self._colours():
            u = torch.rand(s.shape, generator=generator, device=s.device, dtype=s.dtype)
            turns = u.log() < -2 * s * self._pull(s)
            s = torch.where(colour & turns, -s, s)
        return s

    @torch.no_grad()
    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """n draws (n, 1, H, W), exact: the last row by its sum, then each row given the next."""
        n, (row, between, sums) = self.data.count(n), self._rows()
        log_w, found = sums[-1].expand(max(n, 1), -1), []
        for k in range(len(sums)):
            at = torch.multinomial(log_w.softmax(1), 1, generator=generator)[:, 0]
            found.append(row[at])
            log_w = between[at] + sums[len(sums) - 2 - k]
        s = torch.stack(found[::-1], 1)[:n, None]
        return self.data.stored((s > 0).to(s.dtype))
