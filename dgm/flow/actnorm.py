"""Activation normalisation: scale and shift per channel, set by the first batch, then learned.

Kingma and Dhariwal (2018), Glow, arXiv:1807.03039, section 3.1. Needs torch only.
"""

import torch
from torch import Tensor, nn


class ActNorm(nn.Module):
    """z = (x + shift) * exp(log_scale) per channel; the first batch leaves with mean 0, sd 1.

    The flag that says whether this has happened is a buffer, so it is saved with the weights.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(channels))
        self.log_scale = nn.Parameter(torch.zeros(channels))
        self.register_buffer("initialized", torch.tensor(False))

    @torch.no_grad()
    def _initialize(self, x: Tensor) -> None:
        features = x.transpose(0, 1).flatten(1)  # (C, B * H * W)
        self.shift.copy_(-features.mean(1))
        self.log_scale.copy_(-features.std(1, unbiased=False).clamp_min(1e-3).log())
        self.initialized.fill_(True)

    def _per_channel(self, x: Tensor) -> tuple[Tensor, Tensor]:
        view = (-1, *[1] * (x.dim() - 2))
        return self.shift.view(view), self.log_scale.view(view)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, C, ...) -> z (B, C, ...) and log|det dz/dx| = H W sum(log_scale) (B,), nats."""
        if self.training and not self.initialized:
            self._initialize(x)
        shift, log_scale = self._per_channel(x)
        positions = x[0, 0].numel()
        return (x + shift) * log_scale.exp(), (positions * self.log_scale.sum()).expand(len(x))

    def inverse(self, z: Tensor) -> Tensor:
        """z (B, C, ...) -> x (B, C, ...)."""
        shift, log_scale = self._per_channel(z)
        return z * (-log_scale).exp() - shift
