"""Convolutional conditioner: gated residual blocks over an image, all at one resolution.

Gated blocks as in PixelCNN++ and Flow++: Ho et al. (2019), arXiv:1902.00275, section 3.3.
Needs torch only.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import glu, silu


class GatedBlock(nn.Module):
    """h + gate(conv(dropout(silu(conv(silu(h)))))); (B, C, H, W) -> the same."""

    def __init__(self, channels: int, dropout: float = 0.0):
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, 2 * channels, 1)
        self.dropout = nn.Dropout2d(dropout)

    def forward(self, h: Tensor) -> Tensor:
        """h (B, C, H, W) -> (B, C, H, W)."""
        update = self.second(self.dropout(silu(self.first(silu(h)))))
        return h + glu(update, dim=1)


class ResNet(nn.Module):
    """(B, channels, H, W) -> (B, out_channels, H, W); the last layer starts at zero.

    ``positions`` (H, W) adds a learned embedding of the place, so that the net may treat border and
    centre differently.
    """

    def __init__(
        self,
        channels: int,
        out_channels: int,
        width: int = 32,
        blocks: int = 2,
        dropout: float = 0.0,
        positions: tuple[int, int] | None = None,
    ):
        super().__init__()
        if min(channels, out_channels, width) < 1 or blocks < 0 or not 0 <= dropout < 1:
            raise ValueError(
                "channels, out_channels, width must be at least 1, blocks at least 0, 0 <= dropout "
                f"< 1; got {channels}, {out_channels}, {width}, {blocks}, {dropout}"
            )
        self.first = nn.Conv2d(channels, width, 3, padding=1)
        self.place = None if positions is None else nn.Parameter(torch.zeros(1, width, *positions))
        self.blocks = nn.ModuleList(GatedBlock(width, dropout) for _ in range(blocks))
        self.last = nn.Conv2d(width, out_channels, 1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, channels, H, W) -> (B, out_channels, H, W)."""
        h = self.first(x)
        if self.place is not None:
            h = h + self.place
        for block in self.blocks:
            h = block(h)
        return self.last(silu(h))
