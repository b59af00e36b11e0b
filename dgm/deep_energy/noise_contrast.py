"""Noise-contrastive estimation: tell data from noise of a known law, and log Z is learned too.

Gutmann and Hyvarinen (2010), proceedings.mlr.press/v9/gutmann10a, eqs. 3-5. Needs torch only.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus


class NoiseContrast(nn.Module):
    """A classifier of data against noise whose log odds are log p(u) - log(ratio * p_noise(u)).

    log p(u) = -E(u) - log_z with a learned ``log_z``; the noise is the Gaussian that the model
    tilts. With plenty of data the best classifier has the true log p, and log_z is log Z.

    Parameters
    ----------
    ratio : int
        Draws of noise for each example.

    Raises
    ------
    ValueError
        ratio is no whole number of at least 1.

    Examples
    --------
    >>> NoiseContrast(ratio=4).log_z.item()
    0.0
    """

    def __init__(self, ratio: int = 1):
        super().__init__()
        if type(ratio) is not int or ratio < 1:
            raise ValueError(f"ratio must be a whole number of at least 1, got {ratio!r}")
        self.ratio = ratio
        self.log_z = nn.Parameter(torch.zeros(()))
        self.register_buffer("log_ratio", torch.tensor(float(ratio)).log())

    def forward(self, model: nn.Module, u: Tensor) -> Tensor:
        """Of rows u (B, D): (B,) nats of the classifier on an example and its draws of noise."""
        noise = model.base_draws(self.ratio * len(u)).to(u.dtype)
        both = torch.cat((u, noise))
        log_odds = -model.tilted(both) - self.log_z - model.base_log_prob(both) - self.log_ratio
        of_data, of_noise = log_odds.tensor_split((len(u),))
        wrong = softplus(of_noise).view(self.ratio, len(u)).sum(0)
        return softplus(-of_data) + wrong
