"""Convolutional networks between images and codes: an encoder and a decoder of residual blocks.

Residual blocks: He et al. (2016), arXiv:1603.05027. Upsampling by rearranged channels: Shi et al.
(2016), arXiv:1609.05158. Needs torch only.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import pixel_shuffle, silu


class ResidualConv(nn.Module):
    """h + conv1x1(dropout(silu(conv3x3(silu(h))))); (B, C, H, W) -> the same."""

    def __init__(self, channels: int, dropout: float = 0.0):
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 1)
        self.dropout = nn.Dropout(dropout)

    def forward(self, h: Tensor) -> Tensor:
        """h (B, C, H, W) -> (B, C, H, W)."""
        return h + self.second(self.dropout(silu(self.first(silu(h)))))


def _coarse(shape: tuple[int, ...], halvings: int) -> tuple[int, int]:
    """Height and width after so many halvings, or a ValueError."""
    if len(shape) != 3 or halvings < 1 or shape[1] % 2**halvings or shape[2] % 2**halvings:
        need = f"images (C, H, W) with sides divisible by {2**halvings}"
        raise ValueError(f"data must be {need}, got shape {shape}")
    return shape[1] >> halvings, shape[2] >> halvings


class ImageEncoder(nn.Module):
    """(B, C, H, W) -> (B, out_features): a block at every resolution, then one linear map.

    Parameters
    ----------
    shape : (C, H, W), the sides divisible by 2^halvings.
    out_features : numbers per image. width : channels. halvings : times the sides are halved.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        out_features: int,
        width: int = 32,
        halvings: int = 1,
        dropout: float = 0.0,
    ):
        super().__init__()
        height, wide = _coarse(shape, halvings)
        self.first = nn.Conv2d(shape[0], width, 3, padding=1)
        self.place = nn.Parameter(torch.zeros(1, width, *shape[1:]))
        layers = []
        for _ in range(halvings):
            layers += [ResidualConv(width, dropout), nn.Conv2d(width, width, 2, stride=2)]
        self.blocks = nn.Sequential(*layers, ResidualConv(width, dropout))
        self.dropout = nn.Dropout(dropout)
        self.last = nn.Linear(width * height * wide, out_features)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, C, H, W) -> (B, out_features)."""
        h = self.blocks(self.first(x) + self.place)
        return self.last(self.dropout(silu(h)).flatten(1))


class ImageDecoder(nn.Module):
    """(B, features) -> (B, C, H, W, values): one linear map, then a block at every resolution.

    ``values`` numbers for every pixel: the logits of its levels, say.
    """

    def __init__(
        self,
        features: int,
        shape: tuple[int, ...],
        values: int,
        width: int = 32,
        halvings: int = 1,
        dropout: float = 0.0,
    ):
        super().__init__()
        self.coarse, self.values = _coarse(shape, halvings), values
        self.first = nn.Linear(features, width * math.prod(self.coarse))
        self.block = ResidualConv(width, dropout)
        self.widen = nn.ModuleList(nn.Conv2d(width, 4 * width, 1) for _ in range(halvings))
        self.finer = nn.ModuleList(ResidualConv(width, dropout) for _ in range(halvings))
        self.place = nn.Parameter(torch.zeros(1, width, *shape[1:]))
        self.dropout = nn.Dropout(dropout)
        self.last = nn.Conv2d(width, shape[0] * values, 1)

    def forward(self, z: Tensor) -> Tensor:
        """z (B, features) -> (B, C, H, W, values)."""
        h = self.block(self.first(z).unflatten(1, (-1, *self.coarse)))
        for i, (widen, block) in enumerate(zip(self.widen, self.finer, strict=True)):
            h = pixel_shuffle(widen(h), 2)
            h = block(h + self.place if i == len(self.finer) - 1 else h)
        out = self.last(self.dropout(silu(h)))
        return out.unflatten(1, (-1, self.values)).movedim(2, -1)
