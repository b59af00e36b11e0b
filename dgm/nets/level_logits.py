"""Logits of ordered levels from a few numbers a pixel: a background, and features that tilt it.

Two features that start as v and v^2 make every pixel a discretised Gaussian times its background
(exponential tilting of a base law: Efron and Tibshirani 1996, doi:10.1214/aos/1032181161).
Needs torch only.
"""

import torch
from torch import Tensor, nn


class LevelLogits(nn.Module):
    """logits_dv = background_dv + sum_r net(z)_dr features_rv, (B, n_pixels * levels).

    Neighbouring levels share what they learn, unlike in a table with a free logit for each.

    Parameters
    ----------
    net : maps z (B, d) to (B, n_pixels * n_features).
    n_pixels, levels : sizes of an image. n_features : numbers a pixel.

    Raises
    ------
    ValueError : a count below 1, or fewer than 2 levels.
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
        self.background = nn.Parameter(torch.zeros(n_pixels, levels))

    @torch.no_grad()
    def start_from(self, x: Tensor) -> None:
        """Set the background to how often every level occurs at every pixel of x (N, ...)."""
        v = torch.arange(self.background.shape[1], device=x.device)
        counts = (x.flatten(1)[:, :, None] == v).sum(0) + 0.5  # (n_pixels, levels)
        self.background.copy_((counts / counts.sum(1, keepdim=True)).log())

    def forward(self, z: Tensor) -> Tensor:
        """z (B, d) -> logits (B, n_pixels * levels)."""
        tilt = self.net(z).view(len(z), self.n_pixels, -1)  # (B, n_pixels, n_features)
        return (tilt @ self.features + self.background).flatten(1)
