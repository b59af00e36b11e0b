"""The hierarchical VAEs of chapter 07: one skeleton, and what each paper put into it."""

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

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
from dgm.hierarchical.layer import Layer
from dgm.hierarchical.layer_gaussian import LayerHead, UnitGaussian
from dgm.hierarchical.skipping import SkippingAdamW
from dgm.hierarchical.state import Added, Joined, OnlyTheDraw, Replaced
from dgm.hierarchical.top_down import TopDown
from dgm.nets.conv import ResidualConv
from dgm.nets.hierarchy import BottleneckCell, DepthwiseCell, Grow, LinearCell, PictureHead, Shrink
from dgm.nets.level_logits import LevelLogits
from dgm.train import Fit, fit
from dgm.train.jitter import Jitter
from dgm.zoo.entry import Entry, Recipe, Tiny, warm_and_fit

CHAPTER = "07_hierarchical_vae"
BRANCH = ("explicit", "bound", "latent")
SIDES = (1, 1, 4, 4, 4, 4)  # of the layers' maps, the top one first
CHANNELS = (8, 8, 2, 2, 2, 2)  # units of a layer at each place


# --- perceptrons: layers of numbers, inferred on the way up or on the way down --------------------


def layers_of_numbers(
    data: Levels, z_dims: tuple[int, ...] = (8, 8, 16), width: int = 96, dropout: float = 0.2,
    rises: bool = False, keeps: bool = False,
) -> TopDown:  # fmt: skip
    """Layers of numbers: drawn on the way up if it ``rises``, else down, weighted by precisions.

    ``keeps``: a state that layers add to; else the layers are a Markov chain.
    """
    if not isinstance(data, Levels):
        raise ValueError(f"data must be integers as stored (Levels), got {data}")
    if not z_dims or min(z_dims) < 1:
        raise ValueError(f"z_dims must hold one size of at least 1 or more, got {z_dims}")
    layers = []
    for i, dim in enumerate(z_dims):
        top, lowest = i == 0, i == len(z_dims) - 1
        # the upward pass: from the picture, from the draw or the features of the layer below
        below = data.dims if lowest else z_dims[i + 1] if rises else width
        read = [nn.Flatten()] if lowest else []
        read += [nn.Linear(below, width), LinearCell(width, dropout), nn.GELU()]
        # the downward pass
        prior = UnitGaussian((dim,)) if top else LayerHead(nn.Linear(width, 2 * dim))
        project, cell = nn.Linear(dim, width), LinearCell(width, dropout)
        update = (
            Added(project, cell) if keeps else Replaced(nn.Sequential(project, nn.GELU(), cell))
        )
        # who infers this layer
        says = LayerHead(nn.Linear(width, 2 * dim))
        down = None if rises else FromBelow(says) if top else PrecisionWeighted(says)
        up = (says, OnlyTheDraw()) if rises else ()
        layers.append(Layer(nn.Sequential(*read), prior, update, down, *up))
    net = nn.Sequential(nn.GELU(), nn.Linear(width, 3 * data.dims))
    decoder = SoftmaxDecoder(LevelLogits(net, data.dims, data.levels, 3), data)
    return TopDown(data, layers, decoder, (width,) if keeps else ())


def bottom_up_vae(
    data: Levels, z_dims: tuple[int, ...] = (8, 8, 16), width: int = 96, dropout: float = 0.2
) -> TopDown:
    """Bottom-up VAE: layers inferred from the picture upwards, each from the draw below it."""
    return layers_of_numbers(data, z_dims, width, dropout, rises=True)


def ladder_vae(
    data: Levels, z_dims: tuple[int, ...] = (8, 8, 16), width: int = 96, dropout: float = 0.2
) -> TopDown:
    """Ladder VAE: features go up, draws come down, weighted with the prior by their precisions."""
    return layers_of_numbers(data, z_dims, width, dropout)


# --- convolutions: a state that every layer adds to -----------------------------------------------


def _convolutional(
    data: Levels, sides: tuple[int, ...], channels: tuple[int, ...], width: int, dropout: float,
    make: Callable, cell: Callable, inner: int = 0,
) -> TopDown:  # fmt: skip
    """Layers of maps, ``make(read, z_channels, grow, top)`` each; ``cell(n)`` keeps n channels."""
    if not isinstance(data, Levels) or len(data.shape) != 3 or data.shape[1] != data.shape[2]:
        raise ValueError(f"data must be square images (C, S, S) of levels, got {data} {data.shape}")
    if len(sides) != len(channels) or not sides or min(sides + channels) < 1:
        got = f"got {sides} and {channels}"
        raise ValueError(f"sides and channels must be equally many, positive, one or more: {got}")
    all_sides = (*sides, data.shape[1])
    if any(low % high for high, low in pairwise(all_sides)):
        raise ValueError(f"data of side {data.shape[1]}: each side divides the next, got {sides}")
    # one layer after the other, the top one first
    layers = []
    for i, (side, below) in enumerate(pairwise(all_sides)):
        last = i == len(sides) - 1
        read = [nn.Conv2d(data.shape[0], width, 3, padding=1)] if last else []
        read += [Shrink(width, width, below // side)] if below > side else []
        grow = [Grow(width, side, below)] if below > side and not last else []
        layers.append(make(nn.Sequential(*read, cell(width)), channels[i], grow, i == 0))
    # the picture
    few = data.levels <= 32  # else neighbouring levels share what they learn: 8 numbers a pixel
    values = 1 if data.levels == 2 else data.levels if few else 8
    net = PictureHead(width, sides[-1], data.shape, values, inner or width, dropout)
    if not few:
        net = LevelLogits(nn.Sequential(net, nn.Flatten()), data.dims, data.levels, values)
    decoder = (BernoulliDecoder if data.levels == 2 else SoftmaxDecoder)(net, data)
    return TopDown(data, layers, decoder, (width, sides[0], sides[0]))


def _head(inputs: int, outputs: int, zero: bool = False) -> LayerHead:
    """A law of ``outputs`` channels read off by one 1x1 convolution."""
    net = nn.Conv2d(inputs, 2 * outputs, 1)
    for parameter in net.parameters() if zero else ():
        nn.init.zeros_(parameter)
    return LayerHead(net)


def _from_both(cell: nn.Module, width: int, z: int) -> LayerHead:
    """A law of z channels from state and features together, through a cell."""
    first, last = nn.Conv2d(2 * width, width, 1), nn.Conv2d(width, 2 * z, 1)
    return LayerHead(nn.Sequential(first, cell, last))


def resnet_vae(
    data: Levels, sides: tuple[int, ...] = SIDES, channels: tuple[int, ...] = CHANNELS,
    width: int = 32, dropout: float = 0.0, inner: int = 0,
) -> TopDown:  # fmt: skip
    """ResNet VAE: a residual state; posteriors are sums of a part from above and one from below."""
    cell = partial(ResidualConv, dropout=dropout)

    def layer(read: nn.Module, z: int, grow: list, top: bool) -> Layer:
        update = Added(nn.Conv2d(z, width, 1), nn.Sequential(cell(width), *grow))
        infer = SumOfBoth(_head(width, z), _head(width, z))
        return Layer(read, _head(width, z), update, infer)

    return _convolutional(data, sides, channels, width, dropout, layer, cell, inner)


def biva(
    data: Levels, sides: tuple[int, ...] = SIDES, channels: tuple[int, ...] = CHANNELS,
    width: int = 32, dropout: float = 0.0, inner: int = 0,
) -> TopDown:  # fmt: skip
    """BIVA: half of each layer but the top is drawn on the way up, half down; skip connections."""
    if channels and min(channels[1:], default=2) < 2:
        raise ValueError(f"channels must be at least 2 below the top layer, got {channels}")
    cell = partial(ResidualConv, dropout=dropout)

    def layer(read: nn.Module, z: int, grow: list, top: bool) -> Layer:
        update = Joined(nn.Sequential(nn.Conv2d(width + z, width, 1), cell(width), *grow))
        if top:
            return Layer(read, _head(width, z), update, FromBelow(_head(width, z)))
        infer, rising = FromBoth(_head(2 * width, z - z // 2)), _head(width, z // 2)
        absorb = Added(nn.Conv2d(z // 2, width, 1), nn.Identity())
        return Layer(read, _head(width, z), update, infer, rising, absorb)

    return _convolutional(data, sides, channels, width, dropout, layer, cell, inner)


def nvae(
    data: Levels, sides: tuple[int, ...] = SIDES, channels: tuple[int, ...] = CHANNELS,
    width: int = 32, dropout: float = 0.0, inner: int = 0, spectral: float = 0.0,
) -> TopDown:  # fmt: skip
    """NVAE: posteriors relative to the prior, depthwise cells, spectral regularisation."""
    cell = partial(ResidualConv, dropout=dropout)

    def layer(read: nn.Module, z: int, grow: list, top: bool) -> Layer:
        update = Added(nn.Conv2d(z, width, 1), nn.Sequential(DepthwiseCell(width, dropout), *grow))
        infer = ResidualNormal(_from_both(cell(width), width, z))
        return Layer(read, _head(width, z), update, infer)

    model = _convolutional(data, sides, channels, width, dropout, layer, cell, inner)
    model.spectral = spectral
    return model


def very_deep_vae(
    data: Levels, sides: tuple[int, ...] = SIDES, channels: tuple[int, ...] = CHANNELS,
    width: int = 32, dropout: float = 0.0, inner: int = 0,
) -> TopDown:  # fmt: skip
    """Very deep VAE: many small residual layers, priors that start at N(0, I)."""
    cell = partial(BottleneckCell, dropout=dropout, depth=len(sides))

    def layer(read: nn.Module, z: int, grow: list, top: bool) -> Layer:
        update = Added(nn.Conv2d(z, width, 1), nn.Sequential(cell(width), *grow))
        infer = FromBoth(_from_both(cell(width), width, z))
        return Layer(read, _head(width, z, zero=True), update, infer)

    return _convolutional(data, sides, channels, width, dropout, layer, cell, inner)


def train_hierarchy(
    model: TopDown, dataset: Any, seed: int, *, steps: int, warm: int, beta: float = 0.3,
    free_bits: float = 0.0, average: float = 0.998, **settings: Any,
) -> Fit:  # fmt: skip
    """``warm`` steps with a light KL or free bits, then the bound; pictures jittered at first."""
    model.start_from(dataset.train)
    until = round(0.7 * (warm + steps))
    jitter = dict(levels=dataset.levels, until=until, shift=0.25, turn=0.09)
    common = dict(lr=2e-3, weight_decay=0.1, clip_norm=1.0, progress=False) | settings
    model.beta, model.free_bits = beta, free_bits
    begin = dict(steps=warm, schedule="constant", seed=seed, augment=Jitter(**jitter))
    fit(model, dataset.train, **begin, **common)
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
_SKIP = partial(SkippingAdamW, clip=1.0, skip=400.0)
DEEP_DIGITS = Recipe(
    dict(sides=(1, 4, 4, 4), channels=(8, 3, 3, 3), inner=20, dropout=0.27),
    dict(steps=2300, warm=300, lr=3e-3, clip_norm=None, optimizer=_SKIP), train_hierarchy, seeds=3,
)  # fmt: skip
_MNIST = Recipe(
    dict(sides=(1, 7, 7, 14), channels=(16, 4, 4, 1), inner=12),
    dict(warm=400, steps=4800, batch_size=16, lr=2e-3, weight_decay=0.01, warmup=100,
         average=0.999, clip_norm=1.0, eval_every=1600, held_out=2000, progress=False),
    warm_and_fit,
)  # fmt: skip
_FEW = dict(sides=(1, 7, 7), channels=(16, 4, 4), inner=12)
_BITS = Recipe(_FEW, _MNIST.fit | dict(warm=600, steps=9600, eval_every=2400), warm_and_fit)

ENTRIES = (
    Entry(bottom_up_vae, "V3", _REZENDE, _TINY_CHAIN),
    Entry(ladder_vae, "V17", _SONDERBY, _TINY_CHAIN),
    Entry(resnet_vae, "V17", _KINGMA, _TINY_MAPS, {"mnist": _MNIST, "binary_mnist": _BITS}),
    Entry(biva, "V17", _MAALOE, _TINY_MAPS),
    Entry(nvae, "V17", _VAHDAT, _TINY_MAPS),
    Entry(very_deep_vae, "V17", _CHILD, _TINY_MAPS, {"digits": DEEP_DIGITS}),
)
