"""Subscale pixel networks: small interleaved images one after the other, each by the same two nets.

Menick & Kalchbrenner (2019), arXiv:1812.01608, section 3 (subscale order, size and depth
upscaling). The decoder is a causal stack with a cache, that of gated_pixelcnn.py. Goes under the
chain rule of dgm/autoregressive in subscale order (dgm/pixel/ordering.py). Needs torch only.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def to_slices(x: Tensor, scale: int) -> Tensor:
    """Images (B, 1, H, W) -> their slices (B, scale^2, H / scale, W / scale), in their order.

    Slice s holds the pixels (i, j) with s = (i mod scale) scale + (j mod scale).
    """
    return F.pixel_unshuffle(x, scale)


def from_slices(slices: Tensor, scale: int) -> Tensor:
    """Undo `to_slices`: (B, K scale^2, h, w) -> (B, K, h scale, w scale)."""
    return F.pixel_shuffle(slices, scale)


def end_features(x: Tensor, levels: int) -> Tensor:
    """What the networks see of levels (B, C, h, w), (B, 3 C, h, w): the level, and both ends."""
    level = 2 * x / (levels - 1) - 1
    return torch.cat((level, (x == 0).to(level.dtype), (x == levels - 1).to(level.dtype)), 1)


class SubscaleNetwork(nn.Module):
    """Logits of every pixel given the slices before its own, and the pixels before it in its own.

    The encoder looks at the whole of every earlier slice and may mix all places; the decoder goes
    through the slice at hand in raster order, and is strictly causal. Values v (B, D) come slice by
    slice. With a map ``y`` of coarse values (B, 1, H, W), v are the fine ones of a picture
    levels * y + v: depth upscaling.

    Parameters
    ----------
    encoder : nn.Module
        (B, C, h, w) -> (B, context, h, w), C = 4 scale^2, or 7 scale^2 with ``coarse_levels``:
        three features of each slice, zero where it is not known yet, and whether it is.
    decoder : nn.Module
        ``decoder(h, context)``: (B, 3, h, w) -> (B, decoder.width, h, w), and
        ``decoder.cache(n, context)``, a function (h, i, j) -> (n, decoder.width).
    shape : (1, H, W)
        Of the images; H and W are multiples of ``scale``.
    levels : int
        Values 0 .. levels - 1 of v, and logits for each.
    scale : int
        Slices in each direction; 1 for plain raster order.
    skip : int
        Slices that are never asked for, and answered by zeros: 1 for size upscaling.
    coarse_levels : int
        Values of the map y; 0 for none.
    top : int, optional
        No picture has levels * y + v >= top: such a v has the logit -inf. By default all may be.

    Note: no self-attention in the decoder, and slices are not moved to sit around the next one.

    Examples
    --------
    >>> from dgm.nets.gated_pixelcnn import GatedPixelCNN
    >>> encoder, decoder = nn.Conv2d(16, 5, 1), GatedPixelCNN(3, (1, 4, 4), 6, context_dim=5)
    >>> net = SubscaleNetwork(encoder, decoder, (1, 8, 8), levels=4)
    >>> net(torch.zeros(3, 64, dtype=torch.long)).shape
    torch.Size([3, 64, 4])
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        shape: tuple[int, int, int],
        levels: int,
        scale: int = 2,
        skip: int = 0,
        coarse_levels: int = 0,
        top: int | None = None,
    ):
        super().__init__()
        if len(shape) != 3 or shape[0] != 1 or scale < 1 or shape[1] % scale or shape[2] % scale:
            raise ValueError(f"shape is (1, H, W), multiples of scale, got {shape} and {scale}")
        if levels < 2 or coarse_levels < 0 or not 0 <= skip < scale**2:
            raise ValueError(
                "levels >= 2, coarse_levels >= 0 and 0 <= skip < scale^2, "
                f"got {levels}, {coarse_levels} and {skip}"
            )
        self.encoder, self.decoder = encoder, decoder
        self.shape, self.levels, self.scale, self.skip = tuple(shape), levels, scale, skip
        self.coarse_levels, self.top = coarse_levels, top
        self.small = (shape[1] // scale, shape[2] // scale)
        self.head = nn.Conv2d(decoder.width, levels, 1)
        nn.init.zeros_(self.head.weight)

    def _slices(self, v: Tensor) -> Tensor:
        """Values in their order (B, D) as images (B, scale^2, h, w)."""
        return v.unflatten(1, (self.scale**2, *self.small))

    def _context(self, slices: Tensor, s: int, y: tuple[Tensor, ...]) -> Tensor:
        """The encoder's view of the first s of the slices (B, scale^2, h, w), and of all of y."""
        known = torch.zeros_like(slices, dtype=self.head.weight.dtype)
        known[:, :s] = 1
        h = end_features(slices.to(known.dtype), self.levels) * known.repeat(1, 3, 1, 1)
        h = torch.cat((h, known), 1)
        if y:
            coarse = to_slices(y[0], self.scale).to(h.dtype)
            h = torch.cat((h, end_features(coarse, self.coarse_levels)), 1)
        return self.encoder(h)

    def _possible(self, logits: Tensor, coarse: Tensor) -> Tensor:
        """Logits (..., levels), -inf where levels * coarse (...) + value would be top or more."""
        value = torch.arange(self.levels, device=logits.device)
        impossible = self.levels * coarse.unsqueeze(-1) + value >= self.top
        return logits.masked_fill(impossible, -math.inf)

    def forward(self, v: Tensor, *y: Tensor) -> Tensor:
        """Values v (B, D) in their order, and the map y (B, 1, H, W) if any -> (B, D, levels)."""
        slices = self._slices(v)
        seen = slices.to(self.head.weight.dtype)
        parts = [seen.new_zeros(len(v), self.levels, *self.small)] * self.skip
        for s in range(self.skip, slices.shape[1]):
            here = end_features(seen[:, s : s + 1], self.levels)
            h = self.decoder(here, self._context(slices, s, y))
            parts.append(self.head(F.silu(h)))  # (B, levels, h, w)
        out = torch.stack(parts, 1).movedim(2, -1).flatten(1, 3)  # (B, D, levels)
        if y and self.top is not None:
            out = self._possible(out, to_slices(y[0], self.scale).flatten(1))
        return out

    def step(self, t: int, v: Tensor, state: tuple | None, *y: Tensor) -> tuple[Tensor, tuple]:
        """Logits (B, levels) of value t, v[:, :t] being final, and the state for value t + 1."""
        s, place = divmod(t, math.prod(self.small))
        if s < self.skip:
            return self.head.weight.new_zeros(len(v), self.levels), None
        if place == 0:  # a new slice
            context = self._context(self._slices(v), s, y)
            grid = context.new_zeros(len(v), 3, *self.small)
            state = self.decoder.cache(len(v), context), grid
        cache, grid = state
        width = self.small[1]
        if place > 0:  # the place before is final now
            i, j = divmod(place - 1, width)
            last = v[:, t - 1, None, None, None].to(grid.dtype)
            grid[:, :, i, j] = end_features(last, self.levels)[..., 0, 0]
        h = cache(grid, *divmod(place, width))[..., None, None]  # (B, width, 1, 1)
        out = self.head(F.silu(h))[..., 0, 0]
        if y and self.top is not None:
            out = self._possible(out, to_slices(y[0], self.scale).flatten(1)[:, t])
        return out, state
