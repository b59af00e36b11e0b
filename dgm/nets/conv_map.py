"""Convolutional networks between images and coarse maps of features, where a code has a place.

Strided convolutions and residual blocks: van den Oord et al. (2017), arXiv:1711.00937, section 4.1.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import pixel_shuffle, silu

from dgm.nets.conv import ResidualConv


class ResidualMap(ResidualConv):
    """The residual block of `conv.py`; in training, dropout takes whole channels."""

    def __init__(self, channels: int, dropout: float = 0.0):
        super().__init__(channels)
        self.dropout = nn.Dropout2d(dropout)


def map_sides(shape: tuple[int, ...], halvings: int) -> tuple[int, int]:
    """Height and width after so many halvings.

    Raises
    ------
    ValueError
        No images, or sides that cannot be halved so often; it names data.
    """
    if halvings < 1:
        raise ValueError(f"halvings must be at least 1, got {halvings}")
    part = 2**halvings
    if len(shape) != 3 or any(side % part for side in shape[1:]):
        need = f"images (C, H, W) with sides divisible by {part}"
        raise ValueError(f"data must be {need}, got shape {shape}")
    return shape[1] // part, shape[2] // part


class MapEncoder(nn.Module):
    """(B, C, H, W) -> (B, out_features, H / 2^halvings, W / 2^halvings).

    Parameters
    ----------
    shape : (C, H, W), the sides divisible by 2^halvings.
    out_features : numbers at every place of the map.
    width, halvings, blocks : channels; halvings by convolutions of stride 2, a block after each;
        further residual blocks on the map.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        out_features: int,
        width: int = 32,
        halvings: int = 1,
        blocks: int = 1,
        dropout: float = 0.0,
    ):
        super().__init__()
        map_sides(shape, halvings)
        layers = []
        for k in range(halvings):
            before = width if k else shape[0]
            layers += [nn.Conv2d(before, width, 4, 2, padding=1), ResidualMap(width, dropout)]
        layers += [ResidualMap(width, dropout) for _ in range(blocks)]
        self.layers = nn.Sequential(*layers, nn.SiLU(), nn.Conv2d(width, out_features, 1))

    def forward(self, u: Tensor) -> Tensor:
        """u (B, C, H, W) -> features (B, out_features, h, w)."""
        return self.layers(u)


class MapDecoder(nn.Module):
    """(B, features, h, w) -> (B, C, H, W, values): ``values`` numbers for every pixel.

    Parameters
    ----------
    features : of the map. shape : (C, H, W) of the images. values : numbers a pixel.
    width, halvings, blocks : as in `MapEncoder`; places are doubled by rearranging channels.
    """

    def __init__(
        self,
        features: int,
        shape: tuple[int, ...],
        values: int,
        width: int = 32,
        halvings: int = 1,
        blocks: int = 1,
        dropout: float = 0.0,
    ):
        super().__init__()
        sides, self.values = map_sides(shape, halvings), values
        self.first = nn.Conv2d(features, width, 3, padding=1)
        self.place = nn.Parameter(torch.zeros(1, width, *sides))
        layers = [ResidualMap(width, dropout) for _ in range(blocks)]
        for _ in range(halvings - 1):
            layers += [nn.Conv2d(width, 4 * width, 1), nn.PixelShuffle(2)]
            layers += [ResidualMap(width, dropout)]
        self.layers = nn.Sequential(*layers)
        self.last = nn.Conv2d(width, 4 * shape[0] * values, 3, padding=1)

    def forward(self, h: Tensor) -> Tensor:
        """h (B, features, h, w) -> (B, C, H, W, values)."""
        h = self.layers(self.first(h) + self.place)
        out = pixel_shuffle(self.last(silu(h)), 2)  # (B, C values, H, W)
        return out.unflatten(1, (-1, self.values)).movedim(2, -1)
