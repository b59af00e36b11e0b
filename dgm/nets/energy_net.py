"""Networks that give one number, an energy: smooth, so that slopes have slopes.

SiLU: Elfwing et al. (2018), arXiv:1702.03118; no normalisation, an example must not see its batch.
Needs torch only.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import silu


class ConvEnergy(nn.Module):
    """Rows (B, C * H * W) in 0 .. 1 -> (B, 1): strided convolutions, one more, two linear maps.

    Parameters
    ----------
    shape : (C, H, W), sides divisible by 2 for each of ``widths``.
    widths : channels after each halving.
    hidden : units before the last map.
    scale : factor on the answer, so that energies of hundreds of nats need no large weights.

    Raises
    ------
    ValueError
        shape is none of such pictures.

    Examples
    --------
    >>> ConvEnergy((1, 8, 8), widths=(4, 6), hidden=10)(torch.zeros(3, 64)).shape
    torch.Size([3, 1])
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        widths: tuple[int, ...] = (24, 48),
        hidden: int = 256,
        scale: float = 10.0,
    ):
        super().__init__()
        part = 2 ** len(widths)
        if len(shape) != 3 or not widths or any(side % part for side in shape[1:]):
            need = f"images (C, H, W) with sides divisible by {part}"
            raise ValueError(f"data must be {need}, got shape {shape}")
        self.shape, self.scale = tuple(shape), scale
        places = (shape[1] // part) * (shape[2] // part)
        sizes = (shape[0], *widths)
        self.down = nn.ModuleList(nn.Conv2d(a, b, 4, 2, 1) for a, b in pairwise(sizes))
        self.mix = nn.Conv2d(widths[-1], widths[-1], 3, padding=1)
        self.hidden = nn.Linear(widths[-1] * places, hidden)
        self.last = nn.Linear(hidden, 1, bias=False)  # a constant in an energy says nothing

    def forward(self, u: Tensor) -> Tensor:
        """u (B, D) -> (B, 1)."""
        h = 1.5 * u.view(-1, *self.shape)
        for layer in self.down:
            h = silu(layer(h))
        h = silu(self.mix(h))
        return self.scale * self.last(silu(self.hidden(h.flatten(1))))


class Waves(nn.Module):
    """Rows (B, D) -> (B, 2 n): sines and cosines of n fixed random directions.

    A perceptron behind them learns narrow valleys that it is slow to find from the coordinates.
    Tancik et al. (2020), arXiv:2006.10739, eq. 5.

    Parameters
    ----------
    features : int
        D. n : how many directions.
    pitch : float
        Standard deviation of the directions' entries, radians for a unit of length.

    Raises
    ------
    ValueError
        A count is no whole number of at least 1, or pitch not positive.

    Examples
    --------
    >>> Waves(2, n=5)(torch.zeros(3, 2)).sum(1)
    tensor([5., 5., 5.])
    """

    def __init__(self, features: int, n: int = 32, pitch: float = 2.0):
        super().__init__()
        for name, count in dict(features=features, n=n).items():
            if type(count) is not int or count < 1:
                raise ValueError(f"{name} must be a whole number of at least 1, got {count!r}")
        if not pitch > 0:
            raise ValueError(f"pitch must be positive, got {pitch!r}")
        self.register_buffer("directions", pitch * torch.randn(features, n))

    def forward(self, u: Tensor) -> Tensor:
        """u (B, D) -> (B, 2 n)."""
        phase = u @ self.directions
        return torch.cat((phase.sin(), phase.cos()), 1)
