"""Multi-scale flows: squeeze space into channels, and leave half of them behind at every level.

Dinh et al. (2017), RealNVP, arXiv:1605.08803, section 3.6; Glow, arXiv:1807.03039, figure 2b.
Needs torch only.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.functional import pixel_shuffle, pixel_unshuffle


class Squeeze(nn.Module):
    """(B, C, H, W) -> (B, 4C, H/2, W/2): every 2x2 block becomes four channels; log det = 0."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, C, H, W) -> z (B, 4C, H/2, W/2) and zeros (B,)."""
        if x.shape[2] % 2 or x.shape[3] % 2:
            raise ValueError(f"squeeze needs even height and width, got {tuple(x.shape[2:])}")
        return pixel_unshuffle(x, 2), x.new_zeros(len(x))

    def inverse(self, z: Tensor) -> Tensor:
        """z (B, 4C, H/2, W/2) -> x (B, C, H, W)."""
        return pixel_shuffle(z, 2)


class Multiscale(nn.Module):
    """Levels of layers; before each the image is squeezed, after each but the last it is halved.

    ``levels[i]`` holds the layers that act on (4 C_i, H / 2^(i+1), W / 2^(i+1)), where C_0 = C and
    C_(i+1) = 2 C_i. All that is left behind, and the rest at the end, makes one flat z (B, C H W).

    Raises
    ------
    ValueError
        No level, or a height or width that cannot be halved once for each.
    """

    def __init__(self, shape: tuple[int, int, int], levels: Iterable[Iterable[nn.Module]]):
        super().__init__()
        self.levels = nn.ModuleList(nn.ModuleList(layers) for layers in levels)
        self.squeeze, self.shape = Squeeze(), tuple(shape)
        n, sides = len(self.levels), self.shape[1:]
        if n < 1 or any(side % 2**n for side in sides):
            raise ValueError(f"levels must be 1 or more that divide an image of {sides}, got {n}")

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, C, H, W) -> z (B, C H W) and log|det dz/dx| (B,), nats."""
        left, log_det = [], x.new_zeros(len(x))
        for i, layers in enumerate(self.levels):
            x, _ = self.squeeze(x)
            for layer in layers:
                x, change = layer(x)
                log_det = log_det + change
            if i + 1 < len(self.levels):
                x, out = x.chunk(2, dim=1)
                left.append(out.flatten(1))
        return torch.cat([*left, x.flatten(1)], dim=1), log_det

    def _split(self, z: Tensor) -> list[Tensor]:
        """Cut the flat z into what each level left behind, as images."""
        c, h, w = self.shape
        shapes = []
        for _ in self.levels:
            c, h, w = 2 * c, h // 2, w // 2
            shapes.append((c, h, w))
        shapes[-1] = (2 * c, h, w)  # the last level leaves nothing behind: all its channels remain
        parts = z.split([a * b * d for a, b, d in shapes], dim=1)
        return [part.unflatten(1, shape) for part, shape in zip(parts, shapes, strict=True)]

    def inverse(self, z: Tensor) -> Tensor:
        """z (B, C H W) -> x (B, C, H, W)."""
        *left, x = self._split(z)
        for i in reversed(range(len(self.levels))):
            if i + 1 < len(self.levels):
                x = torch.cat((x, left[i]), dim=1)
            for layer in reversed(self.levels[i]):
                x = layer.inverse(x)
            x = self.squeeze.inverse(x)
        return x
