"""From the logistic scale to the normal one: what follows a logistic law becomes standard normal.

Normal scores: Blom (1958), Statistical estimates and transformed beta-variables; as a first layer
of a flow: Meng, Song, Song and Ermon (2020), Gaussianization flows, arXiv:2003.01941. Needs torch
only.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid


class NormalScores(nn.Module):
    """z = Phi^-1(sigmoid(x)), Phi the normal distribution function; to be put after a logit.

    Beyond |x| = ``most`` a straight line goes on, so that nothing becomes infinite.

    Raises
    ------
    ValueError
        ``most`` is not between 0 and 12.

    Examples
    --------
    >>> layer = NormalScores()
    >>> z, log_det = layer(torch.tensor([[0.0, 2.0]]))
    >>> torch.allclose(layer.inverse(z), torch.tensor([[0.0, 2.0]]), atol=1e-5)
    True
    """

    def __init__(self, most: float = 9.0):
        super().__init__()
        if not 0 < most <= 12:
            raise ValueError(f"most must lie in 0 .. 12, got {most}")
        self.most = most

    def _curve(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Phi^-1(sigmoid(x)) and the log of its slope, by the tail that is not near one."""
        below = -torch.special.ndtri(torch.sigmoid(-x.abs()))  # at least 0
        log_density = -0.5 * (below.square() + math.log(2 * math.pi))
        return below * x.sign(), logsigmoid(x) + logsigmoid(-x) - log_density

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, ...) -> z (B, ...) and log|det dz/dx| (B,), nats."""
        inner = x.clamp(-self.most, self.most)
        z, log_slope = self._curve(inner)
        z = z + (x - inner) * log_slope.exp()
        return z, log_slope.flatten(1).sum(1)

    def inverse(self, z: Tensor) -> Tensor:
        """z (B, ...) -> x (B, ...)."""
        end, log_slope = self._curve(z.new_tensor(self.most))
        inner = z.clamp(-end, end)
        tail = torch.special.log_ndtr(-inner.abs())
        x = torch.log(-torch.expm1(tail)) - tail  # logit of Phi(|z|)
        return x * inner.sign() + (z - inner) * (-log_slope).exp()
