"""Sprites with something that is no factor: noise around them, or a colour at random.

The variants of Locatello et al. (2019), arXiv:1811.12359, appendix H, with bits for grey values:
the likelihood stays that of independent bits.
"""

import torch
from torch import Tensor

COLOURS = torch.tensor([[(k >> c) & 1 for c in range(3)] for k in range(1, 8)])  # all but black


def _bits(x: Tensor) -> None:
    """Raise a ValueError unless x is pictures of one channel of bits."""
    if x.ndim != 4 or x.shape[1] != 1 or x.dtype != torch.uint8 or (x > 1).any():
        raise ValueError(f"x must be bits (N, 1, H, W) uint8, got {x.dtype} {tuple(x.shape)}")


def noisy(x: Tensor, share: float = 0.1, seed: int = 0) -> Tensor:
    """Sprites x (N, 1, H, W) with this share of the black pixels turned white.

    Raises
    ------
    ValueError
        x is no bits, or the share lies outside 0 .. 1.
    """
    _bits(x)
    if not 0 <= share <= 1:
        raise ValueError(f"share must lie in 0 .. 1, got {share}")
    made = torch.Generator().manual_seed(seed)
    return x | (torch.rand(x.shape, generator=made) < share).to(x.dtype)


def coloured(x: Tensor, seed: int = 0) -> Tensor:
    """Sprites x (N, 1, H, W) in one of seven colours each, (N, 3, H, W), bits of three channels.

    Raises
    ------
    ValueError
        x is no bits.
    """
    _bits(x)
    made = torch.Generator().manual_seed(seed)
    which = torch.randint(len(COLOURS), (len(x),), generator=made)
    return x * COLOURS[which][:, :, None, None].to(x.dtype)
