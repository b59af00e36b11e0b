"""Data as stored to rows of floats and back: what an autoencoder's networks and its error see.

Squared error needs a scale. Pixels are brought to 0..1, so that a loss is in units of the full
grey range; see Goodfellow et al. (2016), Deep Learning, chapter 14. Needs torch only.
"""

import math

import torch
from torch import Tensor, nn


class UnitPixels(nn.Module):
    """Integers x (B, *shape) in 0 .. levels-1 to rows (B, D) in 0..1, D the number of pixels.

    Examples
    --------
    >>> pixels = UnitPixels((1, 1, 2), levels=5)
    >>> pixels(torch.tensor([[[[0, 4]]]]))
    tensor([[0., 1.]])
    """

    def __init__(self, shape: tuple[int, ...], levels: int):
        super().__init__()
        if levels < 2:
            raise ValueError(f"levels must be at least 2, got {levels}")
        if not shape or min(shape) < 1:
            raise ValueError(f"shape must hold positive sizes, got {tuple(shape)}")
        self.shape, self.levels, self.dims = tuple(shape), levels, math.prod(shape)
        self.register_buffer("top", torch.tensor(levels - 1.0))

    def forward(self, x: Tensor) -> Tensor:
        """x as stored -> rows (B, D); a ValueError unless x holds integers 0 .. levels-1."""
        if x.shape[1:] != self.shape or len(x) == 0:
            raise ValueError(f"x has shape {tuple(x.shape)}, expected (B, *{self.shape}), B >= 1")
        low, high = x.min().item(), x.max().item()
        whole = not x.is_floating_point() or torch.equal(x, x.round())
        if not whole or not 0 <= low <= high < self.levels:
            raise ValueError(
                f"x must hold integers in 0 .. {self.levels - 1}, got {x.dtype} in {low} .. {high}"
            )
        return x.flatten(1).to(self.top.dtype) / self.top

    def inverse(self, rows: Tensor) -> Tensor:
        """Rows (B, D) -> (B, *shape) floats on the scale of the levels, not rounded."""
        return (rows * self.top).view(len(rows), *self.shape)


class RealRows(nn.Module):
    """Tables and points x (B, D): finite floats, used as they are."""

    def __init__(self, dims: int):
        super().__init__()
        if dims < 1:
            raise ValueError(f"dims must be at least 1, got {dims}")
        self.shape, self.dims = (dims,), dims

    def forward(self, x: Tensor) -> Tensor:
        """x (B, D) -> the same; a ValueError unless x holds finite floats of that shape."""
        if x.shape[1:] != self.shape or len(x) == 0:
            raise ValueError(f"x has shape {tuple(x.shape)}, expected (B, {self.dims}), B >= 1")
        if not x.is_floating_point() or not torch.isfinite(x).all():
            raise ValueError(f"x must hold finite floats, got {x.dtype} (NaN and infinity refused)")
        return x

    def inverse(self, rows: Tensor) -> Tensor:
        """Rows (B, D) -> the same."""
        return rows
