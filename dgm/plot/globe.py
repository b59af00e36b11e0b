"""A globe of pictures: what a decoder makes of the points of a sphere, seen from all sides."""

import math
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor


def globe(
    decode: Callable[[Tensor], Tensor], n_frames: int = 16, tiles: int = 11, zoom: int = 2
) -> Iterator[np.ndarray]:
    """Frames for `slider`: the globe turns once about its vertical axis.

    Parameters
    ----------
    decode : points of the sphere (N, 3) -> grey pictures (N, H, H) in 0 .. 1.
    n_frames, tiles, zoom : frames of a turn, pictures across the disc, pixels of a pixel.

    Raises
    ------
    ValueError : a count that is not positive.
    """
    if min(n_frames, tiles, zoom) < 1:
        raise ValueError(f"expected counts of at least 1; got {n_frames, tiles, zoom}")
    # the points that are seen, and how much they face us
    at = (torch.arange(tiles) + 0.5) / tiles * 2 - 1
    y, x = torch.meshgrid(-at, at, indexing="ij")
    inside = x.square() + y.square() < 0.98
    x, y = x[inside], y[inside]
    z = (1 - x.square() - y.square()).sqrt()
    shade = (0.35 + 0.65 * z)[:, None, None]
    # turned, decoded and put in their places
    for k in range(n_frames):
        a = 2 * math.pi * k / n_frames
        points = torch.stack(
            (x * math.cos(a) + z * math.sin(a), y, z * math.cos(a) - x * math.sin(a)), 1
        )
        pictures = decode(points) * shade
        side = pictures.shape[-1]
        sheet = torch.ones(tiles, tiles, side, side)
        sheet[inside] = pictures
        out = sheet.permute(0, 2, 1, 3).reshape(tiles * side, tiles * side)
        out = out.repeat_interleave(zoom, 0).repeat_interleave(zoom, 1)
        yield (255 * out.clamp(0, 1)).round().to(torch.uint8).numpy()


def bright(x: Tensor, levels: int) -> Tensor:
    """Pictures of levels (N, C, H, W) -> 0 .. 1 with channels last, (N, H, W, C), as numbers."""
    return (x.float() / (levels - 1)).clamp(0, 1).movedim(1, -1)
