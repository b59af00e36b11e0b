"""From the values of an image to numbers for the law of each: any causal stack over the grid.

van den Oord, Kalchbrenner & Kavukcuoglu (2016), arXiv:1601.06759, eqs. 1-2 (raster order, colours
one after the other). Goes with the stacks of pixelcnn.py, pixelrnn.py, gated_pixelcnn.py, and under
the chain rule of dgm/autoregressive. Needs torch only.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def level_features(x: Tensor, levels: int, knots: int = 32) -> Tensor:
    """What a network sees of levels (B, C, H, W): (B, C * F, H, W), F = 1 + min(levels, knots).

    The level on [-1, 1], and hat functions at the knots: one-hot where each level has its own, else
    each level shared between its two neighbours.
    """
    knots = min(levels, knots)
    t = x.unsqueeze(2) / (levels - 1)  # (B, C, 1, H, W) in [0, 1]
    at = torch.arange(knots, device=x.device).view(-1, 1, 1)
    hats = (1 - ((knots - 1) * t - at).abs()).clamp(min=0)
    return torch.cat((2 * t - 1, hats), 2).flatten(1, 2)


def n_level_features(shape: tuple[int, int, int], levels: int, knots: int = 32) -> int:
    """Channels C * F of `level_features`: what a stack for images of that shape takes in."""
    return shape[0] * (1 + min(levels, knots))


class PixelNetwork(nn.Module):
    """Numbers for every value of an image given those before it, through a causal stack.

    Values v (B, D) come in raster order, the colours of one place one after the other. The stack
    uses earlier *places*; the colours of the place itself meet here, in the last layer.

    Parameters
    ----------
    stack : nn.Module
        ``stack(h)``, or ``stack(h, y)`` with labels: (B, C * F, H, W), see `level_features`, to
        (B, stack.width, H, W), where each place has used strictly earlier places.
    shape : (int, int, int)
        (C, H, W) of the images.
    levels : int
        Values 0 .. levels - 1 of a pixel.
    out_features : int
        Numbers O for each value; all are zero at first.
    noise : float
        Share of the pixels that the stack sees moved by up to 3 levels, in training only.
    dropout : float
        Of the last features, in training only.

    Note: the papers split all feature maps by colour; for grey images that is the same.

    Examples
    --------
    >>> from dgm.nets.pixelcnn import CausalStack, MaskedBlock
    >>> stack = CausalStack(5, (1, 8, 8), 6, [MaskedBlock(6)])
    >>> net = PixelNetwork(stack, (1, 8, 8), levels=4, out_features=4)
    >>> net(torch.zeros(3, 64, dtype=torch.long)).shape
    torch.Size([3, 64, 4])
    """

    def __init__(
        self,
        stack: nn.Module,
        shape: tuple[int, int, int],
        levels: int,
        out_features: int,
        noise: float = 0.0,
        dropout: float = 0.0,
    ):
        super().__init__()
        if len(shape) != 3 or min(shape) < 1 or levels < 2:
            raise ValueError(f"shape is (C, H, W) and levels >= 2, got {shape} and {levels}")
        if not (0 <= noise <= 1 and 0 <= dropout < 1):
            raise ValueError(f"noise in [0, 1], dropout in [0, 1), got {noise} and {dropout}")
        self.stack, self.shape, self.levels, self.noise = stack, tuple(shape), levels, noise
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Conv2d(stack.width, out_features, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        n_colours = shape[0]
        self.colours = nn.Embedding(n_colours * levels, stack.width) if n_colours > 1 else None

    def _images(self, v: Tensor) -> Tensor:
        """Values in their order (B, D) on the grid, (B, C, H, W)."""
        channels, height, width = self.shape
        return v.unflatten(1, (height, width, channels)).movedim(-1, 1)

    def _seen(self, x: Tensor) -> Tensor:
        """Features of images x (B, C, H, W), with noise on them in training."""
        if self.training and self.noise:
            moved = (x + torch.randint(-3, 4, x.shape, device=x.device)).clamp(0, self.levels - 1)
            x = torch.where(torch.rand(x.shape, device=x.device) < self.noise, moved, x)
        return level_features(x.to(self.head.weight.dtype), self.levels)

    def _numbers(self, h: Tensor, x: Tensor) -> Tensor:
        """Features (B, width, H, W) and the values themselves (B, C, H, W) -> (B, D, O)."""
        h = h.unsqueeze(1)  # (B, 1, width, H, W)
        if self.colours is not None:
            first = self.levels * torch.arange(x.shape[1], device=x.device).view(-1, 1, 1)
            own = self.colours(x + first).movedim(-1, 2)  # (B, C, width, H, W)
            h = h + own.cumsum(1) - own  # colours before this one
        out = self.head(self.dropout(F.silu(h)).flatten(0, 1))
        out = out.unflatten(0, (len(x), -1))  # (B, C, O, H, W)
        return out.permute(0, 3, 4, 1, 2).flatten(1, 3)

    def forward(self, v: Tensor, *y: Tensor) -> Tensor:
        """Values v (B, D) in their order, and labels if the stack takes them -> (B, D, O)."""
        x = self._images(v)
        return self._numbers(self.stack(self._seen(x), *y), x)


class CachedPixelNetwork(PixelNetwork):
    """A `PixelNetwork` that draws one place at a time, out of what its stack has kept.

    ``stack.cache(n, y)`` returns a function (h, i, j) -> (n, width), the feature of place (i, j);
    it is called in raster order, with h (n, C * F, H, W) final before (i, j).
    """

    def step(self, t: int, v: Tensor, state: tuple | None, *y: Tensor) -> tuple[Tensor, tuple]:
        """Numbers (B, O) for value t, v[:, :t] being final, and the state for value t + 1."""
        channels, height, width = self.shape
        place, colour = divmod(t, channels)
        if state is None:
            n_features = n_level_features(self.shape, self.levels)
            grid = self.head.weight.new_zeros(len(v), n_features, height, width)
            state = self.stack.cache(len(v), *y), grid, None
        cache, grid, h = state
        if colour == 0:
            if place > 0:  # the place before is final now
                i, j = divmod(place - 1, width)
                last = v[:, t - channels : t, None, None]  # (B, C, 1, 1)
                grid[:, :, i, j] = level_features(last.to(grid.dtype), self.levels)[..., 0, 0]
            h = cache(grid, *divmod(place, width))[..., None, None]  # (B, width, 1, 1)
        own = v[:, t - colour : t - colour + channels, None, None]
        return self._numbers(h, own)[:, colour], (cache, grid, h)
