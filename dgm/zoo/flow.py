"""Coupling flows of chapter 13: NICE, RealNVP, Glow and Flow++, for vectors and for images.

Of `Levels` each is wrapped in `Dequantize` and offers bounds; of `Reals` it has an exact density.
"""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from dgm.distribution.logistic import StandardLogistic
from dgm.distribution.support import Levels, Reals
from dgm.flow.actnorm import ActNorm
from dgm.flow.coupling import AdditiveCoupling, AffineCoupling
from dgm.flow.dequantize import Dequantize
from dgm.flow.elementwise import Flatten, Permute, Scale
from dgm.flow.flow import Flow
from dgm.flow.invertible_conv import InvertibleConv1x1
from dgm.flow.masked_coupling import MaskedCoupling, checkerboard_mask
from dgm.flow.mixture_coupling import LogisticMixtureCoupling
from dgm.nets.mlp import ResidualMLP
from dgm.nets.resnet import ResNet
from dgm.zoo.dequantised import in_levels, over_normal
from dgm.zoo.entry import Entry, Recipe, Tiny

CHAPTER = "13_coupling_flows"
BRANCH = ("explicit", "exact", "flow")

# --- what the systems share -----------------------------------------------------------------------


def _conditioner(
    channels: int, out: int, place: tuple[int, ...], width: int, dropout: float
) -> nn.Module:
    """The network of a coupling: convolutions where there is a place (H, W), else a perceptron."""
    if place:
        return ResNet(channels, out, width, blocks=2, dropout=dropout, positions=place)
    return ResidualMLP(channels, out, width, blocks=1, dropout=dropout)


def _one_colour_first(shape: tuple[int, ...]) -> Tensor:
    """Order of the flat pixels: first one colour of the checkerboard, then the other."""
    if len(shape) != 3:
        return torch.arange(torch.Size(shape).numel())
    return checkerboard_mask(shape).flatten().argsort(descending=True, stable=True)


def _affine(net: Callable[[int, int], nn.Module], channels: int) -> nn.Module:
    return AffineCoupling(net(channels // 2, channels))


def _mixture(components: int, sharpness: float, net: Callable, channels: int) -> nn.Module:
    out = channels // 2 * (2 + 3 * components)
    return LogisticMixtureCoupling(net(channels // 2, out), components, sharpness=sharpness)


def _glow_layers(
    data: Levels | Reals,
    steps: Sequence[int],
    width: int,
    dropout: float,
    coupling: Callable[[Callable[[int, int], nn.Module], int], nn.Module],
    mixing: bool = True,
) -> list[nn.Module]:
    """Glow's stack with any ``coupling(net, channels)``; without ``mixing`` no 1x1 convolution."""

    def step(channels: int, place: tuple[int, ...]) -> list[nn.Module]:
        net = partial(_conditioner, place=place, width=width, dropout=dropout)
        last = coupling(net, channels)
        return [ActNorm(channels), *([InvertibleConv1x1(channels)] if mixing else []), last]

    return in_levels(data, steps, step)


# --- the systems ----------------------------------------------------------------------------------


def nice(
    data: Levels | Reals, couplings: int = 4, width: int = 64, dropout: float = 0.0
) -> nn.Module:
    """NICE: additive couplings, logistic base. Note: data are first scaled to [0, 2], counted."""
    size, levels = data.dims, getattr(data, "levels", 2)
    if size % 2:
        raise ValueError(f"data must have an even number of entries to halve, got {data.shape}")
    order = _one_colour_first(data.shape)
    layers = [Flatten(data.shape), Permute(size, order), Scale((size,), 2 / levels)]
    for _ in range(data.count(couplings, "couplings")):
        layers.append(AdditiveCoupling(_conditioner(size // 2, size // 2, (), width, dropout)))
    flow = Flow([*layers, Scale((size,))], StandardLogistic((size,)), Reals(data.shape))
    return flow if isinstance(data, Reals) else Dequantize(flow, data)


def realnvp(
    data: Levels | Reals, steps: Sequence[int] = (4, 4), width: int = 32, dropout: float = 0.0,
    noise_width: int = 0, marginals: bool = True,
) -> nn.Module:  # fmt: skip
    """RealNVP: checkerboard couplings (of half the width), then multi-scale channel couplings.

    Note: ActNorm stands in for the paper's batch normalisation, which ties the examples of a batch.
    ``marginals`` (marginal.py) and learned noise of ``noise_width`` (Flow++) are not in the paper.
    """
    layers, shape = [], data.shape
    for first in (1, 0, 1, 0) if len(shape) == 3 else ():
        net = _conditioner(shape[0], 2 * shape[0], shape[1:], width // 2, dropout)
        layers += [MaskedCoupling(net, checkerboard_mask(shape, first)), ActNorm(shape[0])]
    layers += _glow_layers(data, steps, width, dropout, _affine, mixing=False)
    return over_normal(data, layers, marginals, noise_width)


def glow(
    data: Levels | Reals, steps: Sequence[int] = (4, 4), width: int = 32, dropout: float = 0.0,
    noise_width: int = 0, marginals: bool = True,
) -> nn.Module:  # fmt: skip
    """Glow: steps of ActNorm, 1x1 convolution and affine coupling, in a multi-scale stack.

    Note: ``marginals`` and learned noise of ``noise_width`` as in `realnvp`.
    """
    layers = _glow_layers(data, steps, width, dropout, _affine)
    return over_normal(data, layers, marginals, noise_width)


def flowpp(
    data: Levels | Reals, steps: Sequence[int] = (4, 4), width: int = 32, components: int = 4,
    sharpness: float = 3.0, dropout: float = 0.0, noise_width: int = 64, noise_dropout: float = 0.0,
    marginals: bool = True,
) -> nn.Module:  # fmt: skip
    """Flow++: Glow with mixture couplings and learned noise.

    Note: no attention, and the learned noise is factorised given x (see dequantize.py);
    ``marginals`` (marginal.py) are not in the paper.
    """
    coupling = partial(_mixture, components, sharpness)
    layers = _glow_layers(data, steps, width, dropout, coupling)
    return over_normal(data, layers, marginals, noise_width, noise_dropout)


_FIT = dict(clip_norm=1.0, progress=False)
DIGITS_FIT = dict(_FIT, steps=1400, lr=2e-3, weight_decay=0.1, warmup=100, average=0.998)
_PLANE = Recipe(
    sizes=dict(steps=(3,), width=128, components=32, sharpness=5.0),
    fit=dict(_FIT, steps=4500, batch_size=512, lr=5e-3, average=0.995, eval_every=500),
    data=dict(n=50_000, seed=1),  # other points than the test set of the chapter
)
_ON_MNIST = dict(_FIT, batch_size=16, lr=3e-3, warmup=200, average=0.999, weight_decay=0.01)
_ON_MNIST |= dict(eval_every=1000, held_out=1000)
_MNIST_GPU = Recipe(
    dict(steps=(8, 8), width=96, sharpness=5.0, noise_width=128),
    dict(_FIT, steps=14_000, batch_size=128, warmup=100, average=0.999, eval_every=1000),
    of="mnist",
    scale="gpu",
)
_TOYS = ("moons", "eight_gaussians", "rings", "spirals", "checkerboard")
_IMAGES, _STEP = Levels((1, 4, 4), 5), dict(steps=(1, 1), width=8)


def _digits_recipe(**sizes: float | Sequence[int]) -> Recipe:
    """The recipe of the chapter's comparison on 8 by 8 digits: one budget for all."""
    return Recipe(sizes, DIGITS_FIT, seeds=3)


ENTRIES = (
    Entry(
        nice, "N2 N15", ("Dinh, Krueger and Bengio (2015)", "https://arxiv.org/abs/1410.8516"),
        Tiny(_IMAGES, dict(width=16), std=0.1),
        dict(digits=_digits_recipe(width=128, dropout=0.3)),
    ),
    Entry(
        realnvp, "N1 N3 N15",
        ("Dinh, Sohl-Dickstein and Bengio (2017)", "https://arxiv.org/abs/1605.08803"),
        Tiny(_IMAGES, _STEP, std=0.1),
        dict(
            digits=_digits_recipe(steps=(4, 4), dropout=0.2, marginals=False),
            mnist=Recipe(dict(steps=(4, 4), noise_width=64), dict(_ON_MNIST, steps=6000)),
        ),
    ),
    Entry(
        glow, "N4 N15", ("Kingma and Dhariwal (2018)", "https://arxiv.org/abs/1807.03039"),
        Tiny(_IMAGES, _STEP, std=0.1),
        dict(
            digits=_digits_recipe(steps=(8, 4), width=28, dropout=0.2, marginals=False),
            mnist=Recipe(dict(steps=(8, 4), noise_width=64), dict(_ON_MNIST, steps=6000)),
        ),
    ),
    Entry(
        flowpp, "N5 N15",
        ("Ho, Chen, Srinivas, Duan and Abbeel (2019)", "https://arxiv.org/abs/1902.00275"),
        Tiny(_IMAGES, _STEP | dict(components=2, noise_width=8), std=0.1),
        dict(
            digits=_digits_recipe(steps=(4, 4), dropout=0.2, noise_dropout=0.2, marginals=False),
            **dict.fromkeys(_TOYS, _PLANE),
            mnist=Recipe(dict(steps=(6, 4), width=36, sharpness=5.0), dict(_ON_MNIST, steps=8000)),
            mnist_gpu=_MNIST_GPU,
        ),
    ),
)  # fmt: skip
