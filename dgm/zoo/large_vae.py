"""The VAEs of chapter 06 on pictures of 28 by 28: networks that read and paint, and recipes."""

from torch import nn

from dgm.distribution.support import Levels
from dgm.nets.conv import ResidualConv
from dgm.nets.hierarchy import Grow, PictureHead, Shrink
from dgm.nets.level_logits import LevelLogits
from dgm.zoo.entry import Recipe, Tiny, warm_and_fit


def _quarter(data: Levels) -> int:
    """A quarter of the side of square pictures, where most blocks work."""
    if not isinstance(data, Levels) or len(data.shape) != 3 or data.shape[1] != data.shape[2]:
        raise ValueError(f"data must be square images (C, S, S) of levels, got {data} {data.shape}")
    if data.shape[1] % 4:
        raise ValueError(f"data must have sides that 4 divides, got shape {data.shape}")
    return data.shape[1] // 4


def reader(data: Levels, out_features: int, width: int, thin: int = 24) -> nn.Module:
    """(B, C, S, S) -> (B, out_features): halved at once and once more, few channels at the end."""
    side = _quarter(data)
    blocks = [Shrink(data.shape[0], width, 2), ResidualConv(width), Shrink(width, width, 2)]
    blocks += [ResidualConv(width), ResidualConv(width), nn.SiLU(), nn.Conv2d(width, thin, 1)]
    return nn.Sequential(*blocks, nn.Flatten(), nn.Linear(thin * side**2, out_features))


def painter(data: Levels, features: int, width: int, inner: int = 12) -> nn.Module:
    """(B, features) -> logits (B, C S S levels): blocks at a quarter, at half, few at the whole."""
    side = _quarter(data)
    blocks = [nn.Linear(features, width * side**2), nn.Unflatten(1, (width, side, side))]
    blocks += [ResidualConv(width), ResidualConv(width)]
    blocks += [Grow(width, side, 2 * side), ResidualConv(width)]
    head = PictureHead(width, 2 * side, data.shape, 8, inner)  # 8 numbers a pixel
    return LevelLogits(nn.Sequential(*blocks, head, nn.Flatten()), data.dims, data.levels, 8)


TINY = Tiny(Levels((1, 4, 4), 3), dict(latent_dim=3, width=2, m=2), std=0.2)
GREY = Recipe(
    dict(latent_dim=32, width=40),
    dict(warm=400, steps=9000, batch_size=16, lr=3e-3, weight_decay=0.01, warmup=100,
         average=0.999, clip_norm=1.0, eval_every=1500, held_out=2000, progress=False),
    warm_and_fit,
)  # fmt: skip
BITS = Recipe(
    dict(latent_dim=40, width=200, dropout=0.1),
    dict(warm=4000, steps=36_000, lr=1e-3, weight_decay=0.01, warmup=200, average=0.999,
         clip_norm=1.0, eval_every=2000, progress=False),
    warm_and_fit,
)  # fmt: skip
GPU = Recipe(
    dict(latent_dim=32, width=512), dict(steps=30_000, lr=1e-3, eval_every=1000), scale="gpu"
)
