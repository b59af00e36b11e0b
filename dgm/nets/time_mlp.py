"""A field over rows, f(t, z): a perceptron of two hidden layers whose divergence is a closed form.

Gates and shifts by time: Grathwohl et al. (2019), arXiv:1810.01367, appendix B.1 ("concatsquash").
The divergence is the trace of a product of three matrices with diagonal ones between them, which
one more matrix product gives. Needs torch only.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, silu


def _silu_and_slope(a: Tensor) -> tuple[Tensor, Tensor]:
    """silu(a) and its derivative."""
    s = torch.sigmoid(a)
    h = a * s
    return h, s + h * (1 - s)


class TimeMLP(nn.Module):
    """f(t, z) = b(t) z + c(t) + W3 h(g2(t) W2 h(g1(t) W1 z + s1(t)) + s2(t)), rows (B, features).

    g, s, b, c come from a small network of the time.

    `with_trace` gives tr df/dz = D b(t) + d2 . (W2 * (W1 W3)^T) d1 beside it, d the slopes of the
    units with their gates: exact, at the price of one more hidden layer.

    Parameters
    ----------
    features : int
        D.
    width : int
        Hidden units of each of the two layers.
    dropout : float
        Of hidden units in training, in `forward` only.

    Raises
    ------
    ValueError
        features or width below 1, dropout outside of [0, 1).

    Examples
    --------
    >>> net, z = TimeMLP(3, width=8), torch.randn(4, 3)
    >>> velocity, trace = net.with_trace(torch.tensor(0.5), z)
    >>> torch.allclose(velocity, net(torch.tensor(0.5), z))
    True
    """

    def __init__(self, features: int, width: int = 64, dropout: float = 0.0):
        super().__init__()
        if features < 1 or width < 1 or not 0 <= dropout < 1:
            raise ValueError(
                "features and width must be at least 1, dropout in [0, 1), got "
                f"{features}, {width}, {dropout}"
            )
        self.dropout = nn.Dropout(dropout)
        self.first = nn.Linear(features, width)
        self.second = nn.Linear(width, width)
        self.third = nn.Linear(width, features)
        nn.init.normal_(self.third.weight, std=0.1 / math.sqrt(width))
        nn.init.zeros_(self.third.bias)
        # what the time says: gates and shifts of both layers, a slope, a shift of the whole
        sizes = (width, width, width, width, 1, features)
        self.sizes = sizes
        self.clock = nn.Sequential(nn.Linear(5, 32), nn.SiLU(), nn.Linear(32, sum(sizes)))
        nn.init.normal_(self.clock[2].weight, std=0.01)
        nn.init.zeros_(self.clock[2].bias)

    def _times(self, t: Tensor, z: Tensor) -> tuple[Tensor, ...]:
        """Gates and shifts of both layers, slope b and shift c, at time t: (1 or B, ...)."""
        t = torch.as_tensor(t, dtype=z.dtype, device=z.device).reshape(-1, 1)
        waves = torch.arange(1, 3, dtype=z.dtype, device=z.device) * math.pi * t
        said = self.clock(torch.cat((2 * t - 1, waves.sin(), waves.cos()), 1))
        g1, s1, g2, s2, b, c = said.split(self.sizes, 1)
        return 1 + g1, s1, 1 + g2, s2, b, c

    def forward(self, t: Tensor, z: Tensor) -> Tensor:
        """Time t, a number or (B, 1), and z (B, features) -> velocity (B, features)."""
        g1, s1, g2, s2, b, c = self._times(t, z)
        h = self.dropout(silu(g1 * self.first(z) + s1))
        h = self.dropout(silu(g2 * self.second(h) + s2))
        return b * z + c + self.third(h)

    def with_trace(self, t: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        """Velocity (B, features) and its divergence (B,), exact."""
        g1, s1, g2, s2, b, c = self._times(t, z)
        h1, d1 = _silu_and_slope(g1 * self.first(z) + s1)
        h2, d2 = _silu_and_slope(g2 * self.second(h1) + s2)
        loop = self.second.weight * (self.first.weight @ self.third.weight).T  # (width, width)
        trace = (g2 * d2 * linear(g1 * d1, loop)).sum(1) + z.shape[1] * b.squeeze(1)
        return b * z + c + self.third(h2), trace
