"""Networks that look at something noisy and know how noisy it is: a small U-Net, a perceptron.

U-Net: Ronneberger et al. (2015), arXiv:1505.04597, as Ho et al. (2020), arXiv:2006.11239, use it;
features scaled and shifted by the condition: Perez et al. (2018), arXiv:1709.07871. Needs torch
only.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import pixel_shuffle, pixel_unshuffle, silu


class NoiseLevel(nn.Module):
    """Noise level (B,), and a label if there are any, to features (B, width).

    Sines and cosines of the level at a few frequencies, then two layers. ``classes`` labels have a
    learned vector each; one more stands for "no label", which is what None means.
    """

    def __init__(self, width: int, classes: int = 0, scale: float = 10.0, frequencies: int = 4):
        super().__init__()
        self.scale, self.frequencies, self.classes = scale, frequencies, classes
        self.first = nn.Linear(2 * frequencies + 1, width)
        self.second = nn.Linear(width, width)
        self.labels = nn.Embedding(classes + 1, width) if classes else None

    def forward(self, level: Tensor, y: Tensor | None = None) -> Tensor:
        """level (B,) and labels y (B,) or None -> (B, width)."""
        u = level[:, None] / self.scale
        waves = u * (0.5 * math.pi * 2.0 ** torch.arange(self.frequencies).to(u))  # (B, F)
        h = silu(self.first(torch.cat((u, waves.sin(), waves.cos()), 1)))
        if self.labels is not None:
            y = torch.full_like(level, self.classes, dtype=torch.long) if y is None else y
            h = h + self.labels(y)
        return silu(self.second(h))


class ConditionedBlock(nn.Module):
    """h + conv3x3(dropout(silu(gain * conv3x3(silu(norm(h))) + shift))), gain and shift by c."""

    def __init__(self, channels: int, condition: int, dropout: float = 0.0):
        super().__init__()
        self.norm = nn.GroupNorm(max(1, min(8, channels // 4)), channels)
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.tell = nn.Linear(condition, 2 * channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        self.dropout = nn.Dropout(dropout)
        nn.init.zeros_(self.tell.weight)
        nn.init.zeros_(self.tell.bias)
        with torch.no_grad():
            self.second.weight.mul_(0.1)

    def forward(self, h: Tensor, c: Tensor) -> Tensor:
        """h (B, C, H, W) and c (B, condition) -> (B, C, H, W)."""
        gain, shift = self.tell(c)[..., None, None].chunk(2, 1)  # (B, C, 1, 1)
        inner = (1 + gain) * self.first(silu(self.norm(h))) + shift
        return h + self.second(self.dropout(silu(inner)))


class DenoisingUNet(nn.Module):
    """``net(z, level, y)``: pictures (B, C, H, W), their noise level (B,), labels -> (B, O, H, W).

    Two sides: patches of the picture, and half of that, where one layer of attention lets every
    place look at every other. The places of both sides are known to the network.

    Parameters
    ----------
    channels : int
        C of what comes in.
    side : (int, int)
        (H, W), divisible by twice the patch.
    out_channels : int
        O; all outputs are zero at first.
    width : int
        Channels of the finer side; the coarser one has ``widen`` times as many.
    blocks : int
        On the way down, in the middle (twice as many), and on the way up.
    patch : int
        Side of the patches that are one place of the finer side.

    Examples
    --------
    >>> net = DenoisingUNet(1, (8, 8), 3, width=8, blocks=1)
    >>> net(torch.randn(5, 1, 8, 8), torch.zeros(5)).shape
    torch.Size([5, 3, 8, 8])
    """

    def __init__(
        self, channels: int, side: tuple[int, int], out_channels: int, width: int = 32,
        blocks: int = 2, patch: int = 1, dropout: float = 0.0, classes: int = 0, widen: int = 2,
    ):  # fmt: skip
        super().__init__()
        if min(channels, out_channels, width, blocks, patch, widen) < 1 or not 0 <= dropout < 1:
            raise ValueError("widths, blocks, patch must be at least 1 and dropout in [0, 1)")
        if any(s % (2 * patch) for s in side):
            raise ValueError(f"side must be divisible by {2 * patch}, got {tuple(side)}")
        high, wide, deep = side[0] // patch, side[1] // patch, widen * width
        # what comes in: the noise level, patches and their places
        self.patch, condition = patch, 2 * width
        self.level = NoiseLevel(condition, classes)
        self.stem = nn.Conv2d(channels * patch**2, width, 3, padding=1)
        self.place = nn.Parameter(0.02 * torch.randn(1, width, high, wide))
        self.coarse_place = nn.Parameter(0.02 * torch.randn(1, deep, high // 2, wide // 2))

        def stack(n: int, c: int) -> nn.ModuleList:
            return nn.ModuleList(ConditionedBlock(c, condition, dropout) for _ in range(n))

        # down, across, up, out
        self.down = stack(blocks, width)
        self.shrink = nn.Conv2d(width, deep, 2, stride=2)
        self.middle = stack(2 * blocks, deep)
        self.attend = nn.MultiheadAttention(deep, max(1, deep // 32), batch_first=True)
        self.grow = nn.Conv2d(deep, 4 * width, 1)
        self.join = nn.Conv2d(2 * width, width, 1)
        self.up = stack(blocks, width)
        self.dropout = nn.Dropout(dropout)
        self.last = nn.Conv2d(width, out_channels * patch**2, 1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def _looked_round(self, h: Tensor) -> Tensor:
        """h (B, C, H, W) plus what its places read from each other."""
        rows = h.flatten(2).mT  # (B, HW, C)
        return h + self.attend(rows, rows, rows, need_weights=False)[0].mT.view_as(h)

    def forward(self, z: Tensor, level: Tensor, y: Tensor | None = None) -> Tensor:
        """z (B, C, H, W), level (B,), labels y (B,) or None -> (B, O, H, W)."""
        c = self.level(level, y)
        # down to the coarse side
        h = self.stem(pixel_unshuffle(z, self.patch)) + self.place
        for block in self.down:
            h = block(h, c)
        fine, h = h, self.shrink(h) + self.coarse_place
        # in the middle every place sees every other
        for i, block in enumerate(self.middle):
            h = self._looked_round(block(h, c)) if i == len(self.middle) // 2 else block(h, c)
        # and up again, beside what was known on the way down
        h = self.join(torch.cat((fine, pixel_shuffle(self.grow(h), 2)), 1))
        for block in self.up:
            h = block(h, c)
        return pixel_shuffle(self.last(self.dropout(silu(h))), self.patch)


class DenoisingMLP(nn.Module):
    """The same question asked of data of any shape: ``net(z, level, y)``, (B, *) -> (B, O, *).

    Examples
    --------
    >>> net = DenoisingMLP(features=2, out_values=1, width=8)
    >>> net(torch.randn(5, 2), torch.zeros(5)).shape
    torch.Size([5, 2])
    """

    def __init__(
        self, features: int, out_values: int = 1, width: int = 64, blocks: int = 2,
        dropout: float = 0.0, classes: int = 0, in_values: int = 1,
    ):  # fmt: skip
        super().__init__()
        if min(features, out_values, width, blocks, in_values) < 1 or not 0 <= dropout < 1:
            raise ValueError("features, width, blocks must be at least 1 and dropout in [0, 1)")
        self.level = NoiseLevel(width, classes)
        self.first = nn.Linear(features * in_values, width)
        self.blocks = nn.ModuleList(nn.Linear(width, width) for _ in range(blocks))
        self.tell = nn.ModuleList(nn.Linear(width, 2 * width) for _ in range(blocks))
        self.dropout = nn.Dropout(dropout)
        self.last, self.out_values = nn.Linear(width, features * out_values), out_values
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, z: Tensor, level: Tensor, y: Tensor | None = None) -> Tensor:
        """z (B, C, ...), level (B,), labels y (B,) or None -> (B, C' O, ...), zero at first."""
        c = self.level(level, y)
        h = self.first(z.flatten(1))
        for block, tell in zip(self.blocks, self.tell, strict=True):
            gain, shift = tell(c).chunk(2, 1)
            h = h + self.dropout(silu((1 + gain) * block(silu(h)) + shift))
        return self.last(silu(h))
