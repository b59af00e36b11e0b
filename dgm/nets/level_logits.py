"""Logits of ordered levels from a few numbers a pixel: features that tilt a background.

Two features that start as v and v^2 make every pixel a discretised Gaussian times its background
(exponential tilting of a base law: Efron and Tibshirani 1996, doi:10.1214/aos/1032181161).
Needs torch only.
"""

import torch
from torch import Tensor, nn


class LevelLogits(nn.Module):
    """logits_dv = sum_r net(z)_dr features_rv, (B, n_pixels * levels).

    Neighbouring levels share what they learn, unlike in a table with a free logit for each. The
    background that is tilted, a table for every pixel, is added by the decoder.

    Parameters
    ----------
    net : nn.Module
        Maps z (B, d) to (B, n_pixels * n_features).
    n_pixels, levels : int
        Sizes of an image.
    n_features : int
        Numbers a pixel.

    Raises
    ------
    ValueError
        A count below 1, or fewer than 2 levels.
    """

    def __init__(self, net: nn.Module, n_pixels: int, levels: int, n_features: int = 2):
        super().__init__()
        if n_pixels < 1 or n_features < 1 or levels < 2:
            raise ValueError(
                f"n_pixels, n_features >= 1 and levels >= 2, got {n_pixels}, {n_features}, {levels}"
            )
        self.net, self.n_pixels = net, n_pixels
        v = torch.linspace(-1, 1, levels)
        self.features = nn.Parameter(torch.stack([v ** (r + 1) for r in range(n_features)]))

    def forward(self, z: Tensor) -> Tensor:
        """z (B, d) -> logits (B, n_pixels * levels)."""
        tilt = self.net(z).view(len(z), self.n_pixels, -1)  # (B, n_pixels, n_features)
        return (tilt @ self.features).flatten(1)
