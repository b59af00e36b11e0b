"""Convolutions between codes and pictures without blocks: the networks of a GAN.

Radford et al. (2016), arXiv:1511.06434 (strides in place of pooling, leaky rectifiers); no batch
normalisation: an example must not see its batch. Needs torch only.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, pixel_shuffle


def _smallest(shape: tuple[int, ...], halvings: int) -> tuple[int, int]:
    """Height and width after so many halvings, or a ValueError."""
    part = 2**halvings
    if len(shape) != 3 or not halvings or any(side % part for side in shape[1:]):
        need = f"images (C, H, W) with sides divisible by {part}"
        raise ValueError(f"data must be {need}, got shape {shape}")
    return shape[1] // part, shape[2] // part


class StridedCritic(nn.Module):
    """(B, C, H, W) -> (B,): a convolution of stride 2 for each halving, then two linear maps.

    Parameters
    ----------
    shape : (C, H, W). widths : channels after each halving. hidden : units before the last map.
    """

    def __init__(
        self, shape: tuple[int, ...], widths: tuple[int, ...] = (32, 64), hidden: int = 128
    ):
        super().__init__()
        height, wide = _smallest(shape, len(widths))
        sizes = (shape[0], *widths)
        self.layers = nn.ModuleList(nn.Conv2d(a, b, 4, 2, 1) for a, b in pairwise(sizes))
        self.hidden = nn.Linear(widths[-1] * height * wide, hidden)
        self.last = nn.Linear(hidden, 1, bias=False)  # it would cancel in pairs

    def features(self, x: Tensor) -> Tensor:
        """x (B, C, H, W) -> (B, hidden), what the last map sees."""
        for layer in self.layers:
            x = leaky_relu(layer(x), 0.2)
        return leaky_relu(self.hidden(x.flatten(1)), 0.2)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, C, H, W) -> (B,)."""
        return self.last(self.features(x)).squeeze(1)


class GrowingGenerator(nn.Module):
    """(B, features) -> (B, C, H, W) in -1 .. 1: a linear map, then sides that double.

    Parameters
    ----------
    widths : channels at the smallest side and after each doubling but the last, where one
        convolution gives the four pixels of each place.
    """

    def __init__(self, features: int, shape: tuple[int, ...], widths: tuple[int, ...] = (64, 32)):
        super().__init__()
        self.smallest = _smallest(shape, len(widths))
        self.first = nn.Linear(features, widths[0] * self.smallest[0] * self.smallest[1])
        self.grow = nn.ModuleList(nn.Conv2d(a, 4 * b, 3, padding=1) for a, b in pairwise(widths))
        self.mix = nn.ModuleList(nn.Conv2d(b, b, 3, padding=1) for b in widths[1:])
        self.last = nn.Conv2d(widths[-1], 4 * shape[0], 3, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        """z (B, features) -> (B, C, H, W)."""
        h = leaky_relu(self.first(z).unflatten(1, (-1, *self.smallest)), 0.2)
        for grow, mix in zip(self.grow, self.mix, strict=True):
            h = leaky_relu(pixel_shuffle(grow(h), 2), 0.2)
            h = leaky_relu(mix(h), 0.2)
        return torch.tanh(pixel_shuffle(self.last(h), 2))
