"""A globe of pictures: what a decoder makes of the points of a sphere, seen from all sides."""

import math
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate


def globe(
    decode: Callable[[Tensor], Tensor], n_frames: int = 16, parallels: int = 11, size: int = 280
) -> Iterator[np.ndarray]:
    """Frames for `slider`: the globe turns once about its vertical axis, pictures and all.

    Parameters
    ----------
    decode : points of the sphere (N, 3), right, up and towards us -> grey pictures (N, H, H) in
        0 .. 1.
    n_frames, parallels, size : frames of a turn, rows of pictures, pixels of a frame's side.

    Raises
    ------
    ValueError : a count that is not positive.
    """
    if min(n_frames, parallels, size) < 1:
        raise ValueError(f"expected counts of at least 1; got {n_frames, parallels, size}")
    # points on parallels, as many on each as there is room, decoded once
    rows = []
    for latitude in torch.linspace(-1.35, 1.35, parallels):
        n = max(1, round(2 * parallels * latitude.cos().item()))
        longitude = 2 * math.pi * torch.arange(n) / n
        ring = (longitude.sin(), latitude.tan().expand(n), longitude.cos())
        rows.append(latitude.cos() * torch.stack(ring, 1))
    points = torch.cat(rows)
    pictures = decode(points)
    # turned to the left
    for k in range(n_frames):
        a = 2 * math.pi * k / n_frames
        x, y, z = points.unbind(1)
        turned = torch.stack(
            (x * math.cos(a) - z * math.sin(a), y, z * math.cos(a) + x * math.sin(a)), 1
        )
        yield _seen(turned, pictures, size, 3.4 / parallels)


def _seen(points: Tensor, pictures: Tensor, size: int, share: float) -> np.ndarray:
    """One frame: pictures (N, H, H) at points (N, 3), smaller and darker towards the rim."""
    at = torch.linspace(-1 / 0.9, 1 / 0.9, size)
    sheet = 0.16 * (1 - at.square()[:, None] - at.square()).clamp_min(0).sqrt()  # the ball
    near = points[:, 2]
    # those that face us, the nearest last
    for i in near.argsort()[(near <= 0.05).sum() :].tolist():
        side = max(1, round(share * 0.45 * size * (0.35 + 0.65 * near[i].item())))
        small = interpolate(pictures[i][None, None], (side, side), mode="bilinear", antialias=True)[
            0, 0
        ]
        left = round(size * (0.5 + 0.45 * points[i, 0].item()) - side / 2)
        top = round(size * (0.5 - 0.45 * points[i, 1].item()) - side / 2)
        spot = sheet[max(top, 0) : top + side, max(left, 0) : left + side]
        lit = small[: len(spot), : spot.shape[1]] * (0.4 + 0.6 * near[i])
        spot.copy_(torch.maximum(spot, lit))
    return (8 * (31 * sheet.clamp(0, 1)).round()).to(torch.uint8).numpy()  # 32 greys: small files


def bright(x: Tensor, levels: int) -> Tensor:
    """Pictures of levels (N, C, H, W) -> 0 .. 1 with channels last, (N, H, W, C), as numbers."""
    return (x.float() / (levels - 1)).clamp(0, 1).movedim(1, -1)
