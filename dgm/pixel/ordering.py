"""Orders in which to draw an image: raster, multi-scale, subscale, upscaling.

Menick & Kalchbrenner (2019), subscale pixel networks, arXiv:1812.01608, section 3 and figure 2;
parallel groups: Reed et al. (2017), arXiv:1703.03664, figure 2. Needs torch only.
"""

import torch
from torch import Tensor


def _places(height: int, width: int, scale: int = 1) -> tuple[Tensor, Tensor]:
    """Row and column of every pixel, (H, W) each."""
    if height < 1 or width < 1 or scale < 1 or height % scale or width % scale:
        raise ValueError(
            f"height and width must be multiples of scale >= 1, got {height}, {width}, {scale}"
        )
    return torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")


def raster_ranks(height: int, width: int) -> Tensor:
    """Line by line, from left to right: ranks 1 .. HW, (H, W)."""
    i, j = _places(height, width)
    return i * width + j + 1


def raster_order(channels: int, height: int, width: int) -> Tensor:
    """order (D,): line by line, the colours of a place one after the other.

    order[t] is the flat index, in (C, H, W), of the value that comes t-th.
    """
    return torch.arange(channels * height * width).view(channels, -1).T.flatten()


def multi_scale_ranks(height: int, width: int, scale: int = 2) -> Tensor:
    """First every scale-th pixel of every scale-th line, then all others line by line."""
    i, j = _places(height, width, scale)
    later = (i % scale > 0) | (j % scale > 0)
    return ranks_of_key(later * height * width + raster_ranks(height, width))


def parallel_groups(height: int, width: int) -> Tensor:
    """Three *groups*, (H, W) in 1 .. 3: a coarse image, the columns between, the lines between.

    Pixels of a group are drawn at once, independent of each other given the groups before. That
    is no reordering of the chain rule but a restriction of the model.
    """
    i, j = _places(height, width, 2)
    return torch.where(i % 2 == 1, 3, torch.where(j % 2 == 1, 2, 1))


def subscale_ranks(height: int, width: int, scale: int = 2) -> Tensor:
    """scale ** 2 interleaved small images one after the other, each line by line.

    Slice s = (i mod scale) scale + (j mod scale); rank = s HW / scale^2 + i // scale W / scale +
    j // scale + 1.
    """
    i, j = _places(height, width, scale)
    slice_ = (i % scale) * scale + j % scale
    small = (height // scale) * (width // scale)
    return slice_ * small + (i // scale) * (width // scale) + j // scale + 1


def size_upscaling_ranks(height: int, width: int, scale: int = 2) -> tuple[Tensor, Tensor]:
    """Ranks as `subscale_ranks`, and stages (H, W): 1 the small image, 2 the rest.

    The small image has a model of its own; the rest sees all of it and the slices drawn so far.
    """
    rank = subscale_ranks(height, width, scale)
    return rank, 1 + (rank > height * width // scale**2).long()


def depth_upscaling_ranks(height: int, width: int, scale: int = 2) -> tuple[Tensor, Tensor]:
    """Ranks (2, H, W): the coarse value of every pixel in subscale order, then the fine ones.

    And stages (2, H, W): 1 for the plane of coarse values, 2 for the fine.
    """
    rank = subscale_ranks(height, width, scale)
    stage = torch.ones_like(rank)
    return torch.stack((rank, rank + height * width)), torch.stack((stage, stage + 1))


def size_and_depth_ranks(height: int, width: int, scale: int = 2) -> tuple[Tensor, Tensor]:
    """Ranks of `depth_upscaling_ranks`; stages: coarse small image, coarse image, fine values."""
    rank, _ = depth_upscaling_ranks(height, width, scale)
    stage = size_upscaling_ranks(height, width, scale)[1]
    return rank, torch.stack((stage, torch.full_like(stage, 3)))


def ranks_of_key(key: Tensor) -> Tensor:
    """Ranks 1 .. D of the entries of ``key`` by size, ties in raster order; same shape."""
    return key.flatten().argsort(stable=True).argsort().view(key.shape) + 1


def order_of_ranks(rank: Tensor) -> Tensor:
    """order (D,): the flat index of the variable with rank t + 1, from ranks of any shape.

    Raises
    ------
    ValueError : rank does not hold each of 1 .. D once (groups, say).

    Examples
    --------
    >>> order_of_ranks(subscale_ranks(2, 4)).tolist()
    [0, 2, 1, 3, 4, 6, 5, 7]
    """
    flat = rank.flatten()
    if flat.sort().values.tolist() != list(range(1, len(flat) + 1)):
        raise ValueError(f"rank must hold each of 1 .. {len(flat)} once, got {flat.tolist()[:8]}")
    return flat.argsort()


def split_depth(x: Tensor, step: int) -> tuple[Tensor, Tensor]:
    """Integers as (coarse, fine), x = step coarse + fine: bits of a byte for step = 2 ** k."""
    if x.is_floating_point() or step < 1:
        raise ValueError(f"x holds integers and step >= 1, got x of {x.dtype} and step {step}")
    return x // step, x % step


def join_depth(coarse: Tensor, fine: Tensor, step: int) -> Tensor:
    """Undo `split_depth`."""
    return step * coarse + fine
