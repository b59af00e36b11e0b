"""PixelCNN: masked convolutions, all conditionals of an image in one pass; it has a blind spot.

van den Oord, Kalchbrenner & Kavukcuoglu (2016), arXiv:1601.06759, section 3.4 (masks A and B),
table 1 (blocks). A stack for pixel_network.py. Needs torch only.
"""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def raster_mask(kernel: int, strict: bool) -> Tensor:
    """Taps (kernel, kernel) of a convolution that come before its centre, or not after it.

    (k^2 - 1) / 2 taps if strict (mask A: the first layer, the centre is to be predicted), else
    (k^2 + 1) / 2 (mask B: the centre's feature has used earlier pixels only).
    """
    if kernel < 1 or kernel % 2 == 0:
        raise ValueError(f"kernel must be odd and at least 1, got {kernel}")
    taps = torch.arange(kernel * kernel).view(kernel, kernel)
    centre = kernel * kernel // 2
    return (taps < centre if strict else taps <= centre).float()


class MaskedConv2d(nn.Conv2d):
    """A convolution that sees no later pixel; with ``strict`` not the present one either.

    (B, in, H, W) -> (B, out, H, W). The mask is applied at every call: a step of the optimiser,
    weight decay or averaging cannot undo it. It is no part of the state: weights from a file cannot
    bring another one.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int, strict: bool = False):
        mask = raster_mask(kernel, strict)
        super().__init__(in_channels, out_channels, kernel, padding=kernel // 2)
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, in, H, W) -> (B, out, H, W)."""
        return F.conv2d(x, self.weight * self.mask, self.bias, padding=self.padding)


class MaskedBlock(nn.Sequential):
    """Half the width, a masked convolution, the whole width again (table 1 of the paper)."""

    def __init__(self, width: int, kernel: int = 3, dropout: float = 0.0):
        if width < 2 or not 0 <= dropout < 1:
            raise ValueError(
                f"width must be at least 2, dropout in [0, 1), got {width} and {dropout}"
            )
        half = width // 2
        super().__init__(
            nn.ReLU(),
            nn.Conv2d(width, half, 1),
            nn.ReLU(),
            MaskedConv2d(half, half, kernel),
            nn.ReLU(),
            nn.Dropout2d(dropout),
            nn.Conv2d(half, width, 1),
        )


class CausalStack(nn.Module):
    """A strict masked convolution, then residual layers: h + layer(h), each causal.

    With `MaskedBlock` layers it is a PixelCNN; the layers of pixelrnn.py make it a PixelRNN.

    Parameters
    ----------
    in_features : channels of the input. shape : (C, H, W) of the images; H and W count here.
    layers : modules (B, width, H, W) -> the same, using places up to their own.
    first : odd, side of the first convolution.

    Note: a learned feature of the place is added after the first layer; the papers have none.

    Examples
    --------
    >>> net = CausalStack(3, (1, 8, 8), 4, [MaskedBlock(4), MaskedBlock(4)])
    >>> net(torch.randn(5, 3, 8, 8)).shape
    torch.Size([5, 4, 8, 8])
    """

    def __init__(
        self,
        in_features: int,
        shape: tuple[int, int, int],
        width: int,
        layers: Iterable[nn.Module],
        first: int = 7,
    ):
        super().__init__()
        layers = list(layers)
        if first < 3 or width < 1 or not layers:
            raise ValueError(
                "first must be at least 3, width at least 1, layers at least one, "
                f"got {first}, {width} and {len(layers)} layers"
            )
        self.width = width
        self.first = MaskedConv2d(in_features, width, first, strict=True)
        self.place = nn.Parameter(torch.zeros(1, width, *shape[1:]))
        self.layers = nn.ModuleList(layers)
        self.out = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, in_features, H, W) -> (B, width, H, W), strictly earlier places only."""
        h = self.first(x) + self.place
        for layer in self.layers:
            h = h + layer(h)
        return self.out(F.relu(h))
