"""The hierarchical VAEs of chapter 07: one skeleton, and what each paper put into it."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch import nn

from dgm.distribution.likelihood import BernoulliDecoder, SoftmaxDecoder
from dgm.distribution.support import Levels
from dgm.hierarchical.inference import (
    FromBelow,
    FromBoth,
    PrecisionWeighted,
    ResidualNormal,
    SumOfBoth,
)
from dgm.hierarchical.layer_gaussian import GaussianHead, UnitGaussian
from dgm.hierarchical.level import Level
from dgm.hierarchical.skipping import SkippingAdamW
from dgm.hierarchical.state import Added, Joined, Replaced
from dgm.hierarchical.top_down import TopDown
from dgm.nets.conv import ResidualConv
from dgm.nets.hierarchy import BottleneckCell, DepthwiseCell, Grow, PictureHead, Shrink
from dgm.nets.level_logits import LevelLogits
from dgm.nets.mlp import MLP
from dgm.train import Fit, fit
from dgm.train.jitter import Jitter
from dgm.zoo.entry import Entry, Recipe, Tiny

CHAPTER = "07_hierarchical_vae"
BRANCH = ("explicit", "bound", "latent")
SIDES = (1, 1, 4, 4, 4, 4)  # of the layers' maps, the top one first
CHANNELS = (8, 8, 2, 2, 2, 2)  # units of a layer at each place
Make = Callable[..., Any]


# --- perceptrons: a chain of layers, inferred from below or with the prior ------------------------


def _chain(
    data: Levels, z_dims: tuple[int, ...], width: int, dropout: float, climb: bool
) -> TopDown:
    """Layers of numbers in a Markov chain; ``climb``: drawn on the way up, else on the way down."""
    if not isinstance(data, Levels):
        raise ValueError(f"data must be integers as stored (Levels), got {data}")
    if not z_dims or min(z_dims) < 1:
        raise ValueError(f"z_dims must hold one size of at least 1 or more, got {z_dims}")

    def net(inputs: int, outputs: int, *before: nn.Module) -> nn.Module:
        return nn.Sequential(*before, MLP(inputs, outputs, (width,), dropout, nn.GELU), nn.GELU())

    levels = []
    for i, dim in enumerate(z_dims):
        top, lowest = i == 0, i == len(z_dims) - 1
        below = data.dims if lowest else z_dims[i + 1] if climb else width
        read = net(below, width, *[nn.Flatten()] * lowest)
        says = GaussianHead(nn.Linear(width, 2 * dim))
        prior = UnitGaussian((dim,)) if top else GaussianHead(nn.Linear(width, 2 * dim))
        update = Replaced(net(dim, width))
        if climb:
            levels.append(Level(read, prior, update, rising=says, absorb=_Drawn()))
        else:
            infer = FromBelow(says) if top else PrecisionWeighted(says)
            levels.append(Level(read, prior, update, infer))
    tilt = LevelLogits(nn.Linear(width, 3 * data.dims), data.dims, data.levels, 3)
    return TopDown(data, levels, SoftmaxDecoder(tilt, data), ())


class _Drawn(nn.Module):
    """What is handed upwards is the draw itself: the layers of q are a Markov chain too."""

    def forward(self, d: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        return z


def bottom_up_vae(
    data: Levels, z_dims: tuple[int, ...] = (8, 8, 16), width: int = 128, dropout: float = 0.2
) -> TopDown:
    """Bottom-up VAE: layers inferred from the picture upwards, each from the draw below it."""
    return _chain(data, z_dims, width, dropout, climb=True)


def ladder_vae(
    data: Levels, z_dims: tuple[int, ...] = (8, 8, 16), width: int = 128, dropout: float = 0.2
) -> TopDown:
    """Ladder VAE: features go up, draws come down, weighted with the prior by their precisions."""
    return _chain(data, z_dims, width, dropout, climb=False)


# --- convolutions: a state that every layer adds to -----------------------------------------------


def _convolutional(
    data: Levels, sides: tuple[int, ...], channels: tuple[int, ...], width: int, dropout: float,
    make: Make, cell: Make, inner: int = 0,
) -> TopDown:  # fmt: skip
    """Layers of maps, ``make(read, z_channels, grow, top)`` each; ``cell(n)`` keeps n channels."""
    if not isinstance(data, Levels) or len(data.shape) != 3 or data.shape[1] != data.shape[2]:
        raise ValueError(f"data must be square images (C, S, S) of levels, got {data} {data.shape}")
    if len(sides) != len(channels) or not sides or min(sides + channels) < 1:
        raise ValueError(
            "sides and channels must be equally many, one or more, and positive; "
            f"got {sides} and {channels}"
        )
    all_sides = (*sides, data.shape[1])
    if any(low % high for high, low in pairwise(all_sides)):
        raise ValueError(f"data of side {data.shape[1]}: each side divides the next, got {sides}")
    # one layer after the other, the top one first
    levels = []
    for i, (side, below) in enumerate(pairwise(all_sides)):
        last = i == len(sides) - 1
        read = [nn.Conv2d(data.shape[0], width, 3, padding=1)] if last else []
        read += [Shrink(width, width, below // side)] if below > side else []
        grow = [Grow(width, side, below)] if below > side and not last else []
        levels.append(make(nn.Sequential(*read, cell(width)), channels[i], grow, i == 0))
    # the picture
    few = data.levels <= 32  # else neighbouring levels share what they learn: 8 numbers a pixel
    values = 1 if data.levels == 2 else data.levels if few else 8
    net = PictureHead(width, sides[-1], data.shape, values, inner or width, dropout)
    if not few:
        net = LevelLogits(nn.Sequential(net, nn.Flatten()), data.dims, data.levels, values)
    decoder = (BernoulliDecoder if data.levels == 2 else SoftmaxDecoder)(net, data)
    return TopDown(data, levels, decoder, (width, sides[0], sides[0]))


def _head(inputs: int, outputs: int, zero: bool = False) -> GaussianHead:
    """A law of ``outputs`` channels read off by one 1x1 convolution."""
    net = nn.Conv2d(inputs, 2 * outputs, 1)
    if zero:
        nn.init.zeros_(net.weight)
        nn.init.zeros_(net.bias)
    return GaussianHead(net)


def resnet_vae(
    data: Levels, sides: tuple[int, ...] = SIDES, channels: tuple[int, ...] = CHANNELS,
    width: int = 32, dropout: float = 0.0, inner: int = 0,
) -> TopDown:  # fmt: skip
    """ResNet VAE: a residual state; posteriors are sums of a part from above and one from below."""

    def cell(n: int) -> nn.Module:
        return ResidualConv(n, dropout)

    def level(read: nn.Module, z: int, grow: list, top: bool) -> Level:
        update = Added(nn.Conv2d(z, width, 1), nn.Sequential(cell(width), *grow))
        infer = SumOfBoth(_head(width, z), _head(width, z))
        return Level(read, _head(width, z), update, infer)

    return _convolutional(data, sides, channels, width, dropout, level, cell, inner)


def biva(
    data: Levels, sides: tuple[int, ...] = SIDES, channels: tuple[int, ...] = CHANNELS,
    width: int = 32, dropout: float = 0.0, inner: int = 0,
) -> TopDown:  # fmt: skip
    """BIVA: half of each layer is drawn on the way up, half on the way down; skip connections.

    The top layer is drawn at the turn, from what came up.
    """
    if channels and min(channels[1:], default=2) < 2:
        raise ValueError(f"channels must be at least 2 below the top layer, got {channels}")

    def cell(n: int) -> nn.Module:
        return ResidualConv(n, dropout)

    def level(read: nn.Module, z: int, grow: list, top: bool) -> Level:
        update = Joined(nn.Sequential(nn.Conv2d(width + z, width, 1), cell(width), *grow))
        if top:
            return Level(read, _head(width, z), update, FromBelow(_head(width, z)))
        infer, rising = FromBoth(_head(2 * width, z - z // 2)), _head(width, z // 2)
        absorb = Added(nn.Conv2d(z // 2, width, 1), nn.Identity())
        return Level(read, _head(width, z), update, infer, rising, absorb)

    return _convolutional(data, sides, channels, width, dropout, level, cell, inner)


def nvae(
    data: Levels, sides: tuple[int, ...] = SIDES, channels: tuple[int, ...] = CHANNELS,
    width: int = 32, dropout: float = 0.0, inner: int = 0, spectral: float = 0.0,
) -> TopDown:  # fmt: skip
    """NVAE: posteriors relative to the prior, depthwise cells, spectral regularisation."""

    def cell(n: int) -> nn.Module:
        return ResidualConv(n, dropout)

    def level(read: nn.Module, z: int, grow: list, top: bool) -> Level:
        update = Added(nn.Conv2d(z, width, 1), nn.Sequential(DepthwiseCell(width, dropout), *grow))
        mix = nn.Sequential(nn.Conv2d(2 * width, width, 1), cell(width), nn.Conv2d(width, 2 * z, 1))
        return Level(read, _head(width, z), update, ResidualNormal(GaussianHead(mix)))

    model = _convolutional(data, sides, channels, width, dropout, level, cell, inner)
    model.spectral = spectral
    return model


def very_deep_vae(
    data: Levels, sides: tuple[int, ...] = SIDES, channels: tuple[int, ...] = CHANNELS,
    width: int = 32, dropout: float = 0.0, inner: int = 0,
) -> TopDown:  # fmt: skip
    """Very deep VAE: many small residual layers, priors that start at N(0, I)."""

    def cell(n: int) -> nn.Module:
        return BottleneckCell(n, dropout, depth=len(sides))

    def level(read: nn.Module, z: int, grow: list, top: bool) -> Level:
        both = nn.Sequential(nn.Conv2d(2 * width, width, 1), cell(width), nn.Conv2d(width, 2 * z, 1))
        project = nn.Conv2d(z, width, 1)
        with torch.no_grad():
            project.weight.mul_(len(sides) ** -0.5)
        update = Added(project, nn.Sequential(cell(width), *grow))
        return Level(read, _head(width, z, zero=True), update, FromBoth(GaussianHead(both)))

    return _convolutional(data, sides, channels, width, dropout, level, cell, inner)


def train_hierarchy(
    model: TopDown, dataset: Any, seed: int, *, steps: int, warm: int, beta: float = 0.3,
    free_bits: float = 0.0, shift: float = 0.25, turn: float = 0.09, until: float = 0.7,
    average: float = 0.998, **settings: Any,
) -> Fit:  # fmt: skip
    """``warm`` steps with a light KL, or free bits in each layer, then the bound itself.

    Small pictures are jittered in the first part; weights averaged, the best by validation kept.
    """
    model.start_from(dataset.train)
    end = round(until * (warm + steps))
    jitter = dict(levels=dataset.levels, until=end, shift=shift, turn=turn)
    common = dict(lr=2e-3, weight_decay=0.1, clip_norm=1.0, progress=False) | settings
    model.beta, model.free_bits = beta, free_bits
    first = Jitter(**jitter)
    fit(model, dataset.train, steps=warm, schedule="constant", seed=seed, augment=first, **common)
    model.beta, model.free_bits = 1.0, 0.0
    rest = dict(steps=steps, average=average, warmup=50, seed=seed + 1000)
    return fit(model, dataset, augment=Jitter(**jitter, done=warm), **rest, **common)


_REZENDE = ("Rezende, Mohamed, Wierstra (2014)", "https://arxiv.org/abs/1401.4082")
_SONDERBY = ("Sonderby et al. (2016)", "https://arxiv.org/abs/1602.02282")
_KINGMA = ("Kingma et al. (2016)", "https://arxiv.org/abs/1606.04934")
_MAALOE = ("Maaloe et al. (2019)", "https://arxiv.org/abs/1902.02102")
_VAHDAT = ("Vahdat and Kautz (2020)", "https://arxiv.org/abs/2007.03898")
_CHILD = ("Child (2021)", "https://arxiv.org/abs/2011.10650")
_TINY_CHAIN = Tiny(Levels((1, 2, 2), 3), dict(z_dims=(2, 3), width=8), std=0.2)
_TINY_MAPS = Tiny(Levels((1, 2, 2), 3), dict(sides=(1, 2), channels=(3, 2), width=6), std=0.2)

ENTRIES = (
    Entry(bottom_up_vae, "V3", _REZENDE, _TINY_CHAIN),
    Entry(ladder_vae, "V17", _SONDERBY, _TINY_CHAIN),
    Entry(resnet_vae, "V17", _KINGMA, _TINY_MAPS),
    Entry(biva, "V17", _MAALOE, _TINY_MAPS),
    Entry(nvae, "V17", _VAHDAT, _TINY_MAPS),
    Entry(very_deep_vae, "V17", _CHILD, _TINY_MAPS),
)
