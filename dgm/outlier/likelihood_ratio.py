"""Likelihood ratio: what a model knows of a picture beyond one trained on spoilt pictures.

Ren et al. (2019), arXiv:1906.02845, section 3: the background model sees training pictures some of
whose pixels were drawn anew, so that it learns what is common to all. Needs torch only.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class MutatedPixels:
    """``augment`` of a training loop: every entry is drawn anew with probability ``rate``.

    Parameters
    ----------
    levels : int
        New values are uniform in 0 .. levels - 1.
    rate : float
        In (0, 1].

    Raises
    ------
    ValueError
        Values out of range.

    Examples
    --------
    >>> x = torch.zeros(50, 1, 8, 8, dtype=torch.uint8)
    >>> changed = (MutatedPixels(256, 0.25)(x, 0) != x).float().mean()
    >>> bool(changed.sub(0.25 * 255 / 256).abs() < 0.05)
    True
    """

    def __init__(self, levels: int, rate: float):
        if levels < 2 or not 0 < rate <= 1:
            raise ValueError(f"levels >= 2 and rate in (0, 1] needed, got {levels}, {rate}")
        self.levels, self.rate = levels, rate

    def __call__(self, x: Tensor, step: int) -> Tensor:
        """x (B, ...) integers -> the same, some of them drawn anew."""
        new = torch.randint(self.levels, x.shape).to(x)
        return torch.where((torch.rand(x.shape) < self.rate).to(x.device), new, x)


class LikelihoodRatio(nn.Module):
    """log p(x) - log p_background(x): above zero where the model knows more than the background.

    Parameters
    ----------
    model, background : nn.Module
        Two models with ``log_prob(x)`` (B,); for maps also ``place_terms(x)`` (B, *shape).

    Raises
    ------
    ValueError
        Both are the same object, or have equal parameters: the ratio would say nothing.
    """

    def __init__(self, model: nn.Module, background: nn.Module):
        super().__init__()
        pairs = zip(model.parameters(), background.parameters(), strict=False)
        if model is background or all(a.shape == b.shape and a.equal(b) for a, b in pairs):
            raise ValueError("background must be another model than model, got equal weights")
        self.model, self.background = model, background

    def forward(self, x: Tensor) -> Tensor:
        """The score (B,), nats."""
        return self.model.log_prob(x) - self.background.log_prob(x)

    def map(self, x: Tensor) -> Tensor:
        """The score of every pixel (B, *shape), nats; they sum to the score."""
        return self.model.place_terms(x) - self.background.place_terms(x)
