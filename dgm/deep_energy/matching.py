"""Score matching: fit the slope of the energy, where no normaliser is left.

Hyvarinen (2005), JMLR 6; denoising: Vincent (2011), doi:10.1162/NECO_a_00142; sliced: Song et al.
(2019), arXiv:1905.07088, eq. 8. Needs torch only.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class DenoisingMatch(nn.Module):
    """Half the mean of (score(u + s e) s + e)^2: the score of the data *with the noise*, for any s.

    Parameters
    ----------
    noise : float
        Standard deviation s of the noise.

    Raises
    ------
    ValueError
        noise is not positive.

    Examples
    --------
    >>> DenoisingMatch(0.3).noise
    0.3
    """

    def __init__(self, noise: float):
        super().__init__()
        if not 0 < noise < math.inf:
            raise ValueError(f"noise must be positive and finite, got {noise!r}")
        self.noise = noise

    def forward(self, model: nn.Module, u: Tensor) -> Tensor:
        """Of rows u (B, D): (B,); its mean is half the squared error, in units of the noise."""
        e = torch.randn_like(u)
        with torch.enable_grad():
            noisy = (u + self.noise * e).requires_grad_()
            (slope,) = torch.autograd.grad(model.tilted(noisy).sum(), noisy, create_graph=True)
        return 0.5 * (self.noise * slope - e).square().sum(1)


class SlicedMatch(nn.Module):
    """v' (d score) v + |score|^2 / 2 for random signs v: the score of the data as they are.

    The mean over v of the first term is the trace of the score's Jacobian. A network without second
    derivatives (ReLU) would have none, so it must be smooth.

    Parameters
    ----------
    slices : int
        Directions v for each example.

    Raises
    ------
    ValueError
        slices is no whole number of at least 1.

    Examples
    --------
    >>> SlicedMatch(2).slices
    2
    """

    def __init__(self, slices: int = 1):
        super().__init__()
        if type(slices) is not int or slices < 1:
            raise ValueError(f"slices must be a whole number of at least 1, got {slices!r}")
        self.slices = slices

    def forward(self, model: nn.Module, u: Tensor) -> Tensor:
        """Of rows u (B, D): (B,); its mean is a Fisher divergence less a constant of the data."""
        with torch.enable_grad():
            u = u.detach().requires_grad_()
            (slope,) = torch.autograd.grad(model.tilted(u).sum(), u, create_graph=True)
            bend = torch.zeros_like(slope[:, 0])
            for _ in range(self.slices):
                v = torch.empty_like(u).bernoulli_().mul_(2).sub_(1)
                (along,) = torch.autograd.grad((slope * v).sum(), u, create_graph=True)
                bend = bend - (along * v).sum(1) / self.slices  # score = -slope
        return bend + 0.5 * slope.square().sum(1)
