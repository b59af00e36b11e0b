"""The 8 by 8 digits turned by known angles: the same task in several domains, made by formula."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from dgm.data.images import digits
from dgm.distribution.support import Levels

ANGLES = (0, 15, 30, 45, 60, 75)


@dataclass(frozen=True)
class Domains:
    """Pictures with two labels: the class, and the domain that they come from.

    ``train`` (N, 1, 8, 8) uint8, ``train_y`` and ``train_d`` (N,) and so on; d counts ``angles``.
    """

    train: Tensor
    train_y: Tensor
    train_d: Tensor
    val: Tensor
    val_y: Tensor
    val_d: Tensor
    test: Tensor
    test_y: Tensor
    test_d: Tensor
    angles: tuple[float, ...]
    kind: Levels


def turned(x: Tensor, angle: float, levels: int = 17) -> Tensor:
    """Pictures (N, C, H, W) turned by so many degrees to the left, by bilinear weights, rounded.

    >>> corner = torch.zeros(1, 1, 2, 2, dtype=torch.uint8)
    >>> corner[0, 0, 0, 1] = 9  # top right
    >>> turned(corner, 90)[0, 0].tolist()  # top left
    [[9, 0], [0, 0]]
    """
    if not math.isfinite(angle):
        raise ValueError(f"angle must be a finite number of degrees, got {angle}")
    a = math.radians(angle)
    turn = torch.tensor([[math.cos(a), -math.sin(a), 0.0], [math.sin(a), math.cos(a), 0.0]])
    grid = affine_grid(turn.expand(len(x), 2, 3), list(x.shape), align_corners=False)
    moved = grid_sample(x.float(), grid, mode="bilinear", align_corners=False)
    return moved.round().clamp(0, levels - 1).to(x.dtype)


def turned_digits(angles: Sequence[float] = ANGLES) -> Domains:
    """Digits in domains: each digit is turned by one of the angles, drawn once and for all.

    So no digit is seen in two domains, and domains are of equal size. Sizes and parts are those of
    ``data.load("digits")``.

    Raises
    ------
    ValueError
        Fewer than two angles, or two that are equal: one domain is no choice of domains.
    """
    angles = tuple(float(angle) for angle in angles)
    if len(set(angles)) < len(angles) or len(angles) < 2:
        raise ValueError(f"angles must be at least two, all different, got {angles}")
    source, parts, dice = digits(), {}, torch.Generator().manual_seed(0)
    for part in ("train", "val", "test"):
        x, y = getattr(source, part), getattr(source, f"{part}_y")
        d = torch.randperm(len(x), generator=dice) % len(angles)
        views = torch.stack([turned(x, angle, source.levels) for angle in angles])  # (n, N, ...)
        parts |= {part: views[d, torch.arange(len(x))], f"{part}_y": y, f"{part}_d": d}
    return Domains(**parts, angles=angles, kind=source.kind)
