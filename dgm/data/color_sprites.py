"""Sprites in colour: discs, squares, triangles and hearts of one hue, lit from the upper left.

Small, so that models of colour learn in minutes and can be checked exactly: at 8 levels a pixel
has 512 colours, which can all be enumerated. Five known factors decide everything.
"""

import math

import torch
from torch import Tensor

from dgm.data.dataset import Dataset, split_parts
from dgm.data.sprites import choose_examples

COLOR_FACTORS = ("shape", "hue", "size", "x", "y")
COLOR_COUNTS = (4, 12, 4, 8, 8)  # values of each factor: 12,288 pictures
SIDE, LEVELS = 16, 8
GROUND = (0.0, 0.0, 1.0)  # red, green and blue where there is no sprite, in levels


def color_sprites(n: int | None = None, seed: int = 0) -> Dataset:
    """Sprites in colour, (3, 16, 16), 8 levels a channel, labels (N, 5) the numbers of `shape`
    (disc, square, triangle, heart), `hue` (from red over green and blue), `size`, `x` and `y`.

    All 12,288 pictures in a random order: four fifths train, a tenth each for validation and test;
    or ``n`` training pictures and n // 8 each, different ones. A picture is one of 12,288 equally
    frequent ones: 9.4 nats, 0.018 bits per dimension, is what a model that knew them would need.
    """
    total = math.prod(COLOR_COUNTS)
    picks, sizes = choose_examples(total, n, seed)
    y = torch.stack(torch.unravel_index(picks, COLOR_COUNTS), 1)
    source = f"drawn by formula: {sum(sizes)} of a grid of {total} {COLOR_COUNTS}"
    parts = split_parts(draw_color_sprites(y), y, sizes)
    return Dataset(
        name="color_sprites", shape=(3, SIDE, SIDE), levels=LEVELS, source=source, **parts
    )


def draw_color_sprites(factors: Tensor) -> Tensor:
    """Factor numbers (N, 5) int64 -> pictures (N, 3, 16, 16) uint8 in 0 .. 7.

    Raises
    ------
    ValueError
        factors are no integers (N, 5), or there are not so many values.
    """
    counts = torch.tensor(COLOR_COUNTS)
    right = factors.ndim == 2 and factors.shape[1] == 5 and not factors.is_floating_point()
    if not right or ((factors < 0) | (factors >= counts)).any():
        raise ValueError(
            f"factors must be integers (N, 5), not negative and below {COLOR_COUNTS}, "
            f"got {factors.dtype} {tuple(factors.shape)}"
        )
    # every outline once, whatever its hue
    outlines, which = factors[:, [0, 2, 3, 4]].unique(dim=0, return_inverse=True)
    parts = [_outline(part) for part in outlines.split(128)] or [_outline(outlines)]
    cover, gleam, rest = torch.cat(parts)[which].movedim(1, 0).unsqueeze(2)  # (N, 1, 16, 16) each
    # the colour shines through where there is no gleam
    ground = torch.tensor(GROUND).double()[:, None, None]
    levels = (LEVELS - 1) * (gleam + rest * _hue_colors(factors[:, 1])) + (1 - cover) * ground
    return (levels + 0.5 - 1e-6).floor().to(torch.uint8)  # no half that rounding could tip


def _outline(factors: Tensor, fine: int = 4) -> Tensor:
    """Shape, size, x and y (N, 4) -> (N, 3, 16, 16): the share of a pixel that a sprite covers,
    the white light that it gives, and how much of its colour; means of ``fine`` by ``fine`` points.
    """
    shape, size, x, y = (v[:, None, None].double() for v in factors.unbind(1))
    # the points, in the frame of a sprite of radius 1: u to the right, v down
    at = (torch.arange(SIDE * fine) + 0.5).double() / fine  # in pixels
    radius, middle = 2.75 + 0.75 * size, [5.3 + 5.4 / 7 * k for k in (x, y)]
    u, v = (at - middle[0]) / radius, (at[:, None] - middle[1]) / radius  # (N, 1, S), (N, S, 1)
    u, v = torch.broadcast_tensors(u, v)
    # lighter to the upper left, darker downwards
    cover = _in_shape(shape, u, v).double()
    light = cover * (1 - 0.11 * (v + 1).clamp(0, 2))
    gleam = 0.35 * (-(u + v) / 2).clamp(0, 1)
    points = torch.stack((cover, light * gleam, light * (1 - gleam)), 1)
    return points.unflatten(2, (SIDE, fine)).unflatten(4, (SIDE, fine)).mean((3, 5))


def _in_shape(shape: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """Whether points (N, S, S) lie in the shape of radius 1 whose number is ``shape`` (N, 1, 1)."""
    disc = u * u + v * v <= 1
    square = torch.maximum(u.abs(), v.abs()) <= 0.86
    triangle = (v <= 0.72) & (v >= 1.735 * u.abs() - 1.05)
    a, b = 1.08 * u, 0.09 - 1.15 * v
    a2, b2 = a * a, b * b  # a power would take seconds
    ring = a2 + b2 - 0.72
    heart = ring * ring * ring <= a2 * b2 * b
    return torch.where(shape == 0, disc, square).where(shape < 2, triangle.where(shape == 2, heart))


def _hue_colors(hue: Tensor) -> Tensor:
    """Hue numbers (N,) -> red, green and blue (N, 3, 1, 1) in 0 .. 1, a turn for all hues."""
    turn = hue[:, None].double() / COLOR_COUNTS[1] - torch.arange(3).double() / 3
    return (0.56 + 0.62 * torch.cos(2 * math.pi * turn)).clamp(0, 1)[:, :, None, None]
