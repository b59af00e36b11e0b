"""RealNVP's couplings on images: a binary mask says which pixels are seen and which are changed.

Dinh et al. (2017), arXiv:1605.08803, eq. 9 and figure 3. Needs torch only.
"""

import torch
from torch import Tensor, nn


def checkerboard_mask(shape: tuple[int, int, int], first: int = 1) -> Tensor:
    """Mask (C, H, W) with ``first`` at the top left pixel and alternating from there.

    >>> checkerboard_mask((1, 2, 2))
    tensor([[[1., 0.],
             [0., 1.]]])
    """
    rows, columns = torch.arange(shape[1])[:, None], torch.arange(shape[2])
    return ((rows + columns + 1 - first) % 2 == 0).float().expand(shape).contiguous()


def channel_mask(shape: tuple[int, int, int], first: int = 1) -> Tensor:
    """Mask (C, H, W) with ``first`` on the first half of the channels and the other value after.

    >>> channel_mask((2, 1, 1)).flatten()
    tensor([1., 0.])
    """
    if shape[0] % 2:
        raise ValueError(f"a channel mask needs an even number of channels, got {shape[0]}")
    half = torch.arange(shape[0]) < shape[0] // 2
    return (half == bool(first)).float()[:, None, None].expand(shape).contiguous()


class MaskedCoupling(nn.Module):
    """Scale and shift the pixels where the mask is 0, given those where it is 1.

    ``net`` maps (B, C, H, W) to (B, 2C, H, W): shift and log-scale, the latter bounded by a tanh.
    """

    def __init__(self, net: nn.Module, mask: Tensor, max_log_scale: float = 2.0):
        super().__init__()
        if not ((mask == 0) | (mask == 1)).all() or mask.min() == mask.max():
            raise ValueError("mask must hold both zeros and ones and nothing else")
        self.net, self.max_log_scale = net, max_log_scale
        self.register_buffer("mask", mask.clone(), persistent=False)

    def _shift_and_log_scale(self, x: Tensor) -> tuple[Tensor, Tensor]:
        shift, s = self.net(x * self.mask).chunk(2, dim=1)  # each (B, C, H, W)
        log_scale = self.max_log_scale * torch.tanh(s / self.max_log_scale)
        return shift * (1 - self.mask), log_scale * (1 - self.mask)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, C, H, W) -> z (B, C, H, W) and log|det dz/dx| (B,), nats."""
        shift, log_scale = self._shift_and_log_scale(x)
        return x * log_scale.exp() + shift, log_scale.flatten(1).sum(1)

    def inverse(self, z: Tensor) -> Tensor:
        """z (B, C, H, W) -> x (B, C, H, W)."""
        shift, log_scale = self._shift_and_log_scale(z)
        return (z - shift) * (-log_scale).exp()
