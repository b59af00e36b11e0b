"""Networks of hierarchical VAEs: changes of resolution, a bottleneck cell, a depthwise cell.

Bottleneck: Child (2021), arXiv:2011.10650, figure 3. Depthwise separable cell with squeeze and
excitation: Vahdat and Kautz (2020), arXiv:2007.03898, section 3.1. Needs torch only.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, silu


class Shrink(nn.Conv2d):
    """(B, C, H, W) -> (B, out, H / factor, W / factor): every patch to one place."""

    def __init__(self, channels: int, out_channels: int, factor: int):
        super().__init__(channels, out_channels, factor, stride=factor)


class Grow(nn.Module):
    """(B, C, S, S) -> (B, C, side, side): every place to a patch, plus a learned map of places.

    From one place (S = 1) this is a linear map with weights of its own for every place.
    """

    def __init__(self, channels: int, from_side: int, side: int):
        super().__init__()
        if from_side < 1 or side % from_side:
            raise ValueError(f"side must be a multiple of from_side, got {from_side} and {side}")
        factor = side // from_side
        self.spread = nn.ConvTranspose2d(channels, channels, factor, stride=factor)
        self.place = nn.Parameter(torch.zeros(1, channels, side, side))

    def forward(self, h: Tensor) -> Tensor:
        """h (B, C, S, S) -> (B, C, side, side)."""
        return self.spread(h) + self.place


class BottleneckCell(nn.Module):
    """h + conv1x1(gelu(conv(gelu(conv(gelu(conv1x1(gelu(h)))))))), half as wide inside.

    The last convolution starts small, so that a stack of ``depth`` cells starts with the size of h.
    """

    def __init__(self, channels: int, dropout: float = 0.0, depth: int = 1, kernel: int = 3):
        super().__init__()
        inner = max(1, channels // 2)
        sizes = ((channels, inner, 1), (inner, inner, kernel), (inner, inner, kernel))
        self.inside = nn.ModuleList(nn.Conv2d(i, o, k, padding=k // 2) for i, o, k in sizes)
        self.last = nn.Conv2d(inner, channels, 1)
        self.dropout = nn.Dropout(dropout)
        with torch.no_grad():
            self.last.weight.mul_(depth**-0.5)

    def forward(self, h: Tensor) -> Tensor:
        """h (B, C, H, W) -> the same."""
        update = h
        for conv in self.inside:
            update = conv(gelu(update))
        return h + self.last(self.dropout(gelu(update)))


class DepthwiseCell(nn.Module):
    """h + a tenth of: widen by 1x1, 5x5 within each channel, 1x1 back, gates for the channels.

    Note: without the batch normalisation of NVAE.
    """

    def __init__(self, channels: int, dropout: float = 0.0, expand: int = 3, kernel: int = 5):
        super().__init__()
        wide = expand * channels
        self.widen = nn.Conv2d(channels, wide, 1)
        self.within = nn.Conv2d(wide, wide, kernel, padding=kernel // 2, groups=wide)
        self.narrow = nn.Conv2d(wide, channels, 1)
        self.gates = nn.Sequential(
            nn.Linear(channels, max(4, channels // 4)), nn.SiLU(),
            nn.Linear(max(4, channels // 4), channels),
        )  # fmt: skip
        self.dropout = nn.Dropout(dropout)

    def forward(self, h: Tensor) -> Tensor:
        """h (B, C, H, W) -> the same."""
        inner = silu(self.within(silu(self.widen(silu(h)))))
        update = self.narrow(self.dropout(inner))
        gates = torch.sigmoid(self.gates(update.mean((2, 3))))
        return h + 2 * gates[:, :, None, None] * update


class LinearCell(nn.Module):
    """h + linear(dropout(gelu(linear(h)))); (B, C) -> the same."""

    def __init__(self, channels: int, dropout: float = 0.0):
        super().__init__()
        self.first, self.last = nn.Linear(channels, channels), nn.Linear(channels, channels)
        self.dropout = nn.Dropout(dropout)

    def forward(self, h: Tensor) -> Tensor:
        """h (B, C) -> (B, C)."""
        return h + self.last(self.dropout(gelu(self.first(h))))


class PictureHead(nn.Module):
    """State (B, channels, S, S) -> (B, C, H, W, values): grown to the picture, one cell, 1x1.

    Parameters
    ----------
    shape : (C, H, W), the sides a multiple of ``from_side``.
    values : numbers for every pixel, the logits of its levels, say.
    inner : channels at the full resolution.
    """

    def __init__(
        self, channels: int, from_side: int, shape: tuple[int, ...], values: int, inner: int,
        dropout: float = 0.0,
    ):  # fmt: skip
        super().__init__()
        factor, self.values = shape[1] // from_side, values
        self.spread = nn.ConvTranspose2d(channels, inner, factor, stride=factor)
        self.place = nn.Parameter(torch.zeros(1, inner, *shape[1:]))
        self.mix = nn.Conv2d(inner, inner, 3, padding=1)
        self.dropout = nn.Dropout(dropout)
        self.last = nn.Conv2d(inner, shape[0] * values, 1)

    def forward(self, h: Tensor) -> Tensor:
        """h (B, channels, S, S) -> (B, C, H, W, values)."""
        h = self.spread(silu(h)) + self.place
        h = h + self.mix(silu(h))
        out = self.last(self.dropout(silu(h)))
        return out.unflatten(1, (-1, self.values)).movedim(2, -1)
