"""Every entry through the CDF of its own histogram: a flow that starts where a histogram ends.

Marginal Gaussianisation: Chen and Gopinath (2000), "Gaussianization", section 3; here with a
piecewise linear CDF, one piece a level, and a logit behind it. Needs torch only.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid


class MarginalLogit(nn.Module):
    """x in [0, levels) -> logit(alpha + (1 - 2 alpha) F(x)), F the CDF of each entry, unbounded.

    A level that is seen often gets much room, so that a spike at black is as broad as all greys
    together, and what the later layers do not say of an entry its histogram says. Until
    `start_from` all levels are alike, and this is `Logit` of elementwise.py.

    Parameters
    ----------
    shape : tuple of int
        Of one example; every entry has a histogram of its own.
    levels : int
        At least 2.
    alpha : float
        Keeps the edges away from 0 and 1, as in `Logit`.

    Notes
    -----
    The histograms are a buffer, not learned. Positions within [0, 1] are found in float64.

    Examples
    --------
    >>> layer = MarginalLogit((2,), levels=4)
    >>> z, log_det = layer(torch.tensor([[0.5, 2.5]]))
    >>> layer.inverse(z).round(decimals=4)
    tensor([[0.5000, 2.5000]])
    """

    def __init__(self, shape: tuple[int, ...], levels: int, alpha: float = 1e-4):
        super().__init__()
        if levels < 2 or not 0 < alpha < 0.5:
            raise ValueError(f"need levels >= 2 and 0 < alpha < 0.5, got {levels} and {alpha}")
        self.levels, self.alpha = levels, alpha
        self.register_buffer("log_mass", torch.full((math.prod(shape), levels), -math.log(levels)))

    @torch.no_grad()
    def start_from(self, x: Tensor, data: object, shared: float = 0.2) -> None:
        """Take the histograms from training data x (N, *shape).

        Parameters
        ----------
        data : Levels (support.py)
            What x is: ``frequencies(x)``.
        shared : share of the mean over all entries in each: it lends levels that are rare at one
            place, and common at others, some room.
        """
        mass = data.frequencies(x).flatten(0, -2)
        self.log_mass.copy_(((1 - shared) * mass + shared * mass.mean(0)).log())

    def _bins(self) -> tuple[Tensor, Tensor]:
        """Masses and upper ends of the bins, (D, levels) each, in float64."""
        mass = self.log_mass.double().softmax(-1)
        return mass, mass.cumsum(-1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, *shape) -> z (B, *shape) and log|det dz/dx| (B,), nats."""
        (mass, upper), v = self._bins(), x.flatten(1).double()
        level = v.detach().floor().clamp(0, self.levels - 1).long()  # (B, D)
        mass, upper = (table.expand(len(v), -1, -1).gather(-1, level.unsqueeze(-1)).squeeze(-1)
                       for table in (mass, upper))  # fmt: skip
        cdf = upper - mass * (level + 1 - v)
        z = torch.logit(self.alpha + (1 - 2 * self.alpha) * cdf)
        slope = math.log1p(-2 * self.alpha) + mass.log()
        log_det = (slope - logsigmoid(z) - logsigmoid(-z)).sum(1)
        return z.view(x.shape).to(x.dtype), log_det.to(x.dtype)

    def inverse(self, z: Tensor) -> Tensor:
        """z (B, *shape) -> x (B, *shape)."""
        (mass, upper), flat = self._bins(), z.flatten(1).double()
        cdf = (torch.sigmoid(flat) - self.alpha) / (1 - 2 * self.alpha)
        at = cdf.t().contiguous()  # (D, B)
        level = torch.searchsorted(upper, at, right=True).clamp(max=self.levels - 1)
        x = level + 1 - (upper.gather(-1, level) - at) / mass.gather(-1, level)
        return x.t().reshape(z.shape).to(z.dtype)
