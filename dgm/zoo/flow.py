"""Coupling flows of chapter 13: NICE, RealNVP, Glow and Flow++, for vectors and for images.

Of `Levels` each is wrapped in `Dequantize` and offers bounds; of `Reals` it has an exact density.
"""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from dgm.distribution.logistic import StandardLogistic
from dgm.distribution.normal import StandardNormal
from dgm.distribution.support import Levels, Reals
from dgm.flow.actnorm import ActNorm
from dgm.flow.coupling import AdditiveCoupling, AffineCoupling
from dgm.flow.dequantize import ConditionalAffine, Dequantize, FlowNoise
from dgm.flow.elementwise import Flatten, Logit, Permute, Scale
from dgm.flow.flow import Flow
from dgm.flow.invertible_conv import InvertibleConv1x1
from dgm.flow.masked_coupling import MaskedCoupling, checkerboard_mask
from dgm.flow.mixture_coupling import LogisticMixtureCoupling
from dgm.flow.multiscale import Multiscale
from dgm.nets.mlp import MLP, ResidualMLP
from dgm.nets.resnet import ResNet
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


def _in_levels(data: Levels | Reals, steps: Sequence[int], step: Callable) -> list[nn.Module]:
    """``steps[i]`` steps at level i of an image, or all of them in a row on a vector.

    ``step(channels, place)`` gives the layers of one; an image at level i has 2^(i + 2) times the
    channels: four times as many at every squeeze, less the half that was left behind.
    """
    counts = [data.count(n, "steps") for n in steps]
    if len(data.shape) == 1 and data.dims % 2 == 0:
        return [layer for _ in range(sum(counts)) for layer in step(data.dims, ())]
    if len(data.shape) != 3 or not steps or any(side % 2 ** len(steps) for side in data.shape[1:]):
        raise ValueError(
            f"data must be vectors of even length, or images that can be halved {len(steps)} "
            f"times; got shape {data.shape}"
        )
    channels, height, width = data.shape
    levels = []
    for i, n in enumerate(counts):
        place = (height >> (i + 1), width >> (i + 1))
        levels.append([layer for _ in range(n) for layer in step(channels << (i + 2), place)])
    return [Multiscale(data.shape, levels)]


def _over_normal(
    data: Levels | Reals, layers: list[nn.Module], noise: nn.Module | None = None
) -> nn.Module:
    """The layers over a standard normal, a logit before them and dequantised if data are levels."""
    base, reals = StandardNormal((data.dims,)), Reals(data.shape)
    if isinstance(data, Reals):
        return Flow(layers, base, reals)
    return Dequantize(Flow([Logit(data.levels), *layers], base, reals), data, noise)


def _one_colour_first(shape: tuple[int, ...]) -> Tensor:
    """Order of the flat pixels: first one colour of the checkerboard, then the other."""
    if len(shape) != 3:
        return torch.arange(torch.Size(shape).numel())
    return checkerboard_mask(shape).flatten().argsort(descending=True, stable=True)


def _additive(net: Callable[[int, int], nn.Module], channels: int) -> nn.Module:
    return AdditiveCoupling(net(channels // 2, channels // 2))


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

    return _in_levels(data, steps, step)


def _learned_noise(data: Levels, width: int, dropout: float) -> FlowNoise:
    """Noise whose scale and shift in every bin are a function of the whole x."""
    encoder = nn.Sequential(nn.Flatten(), MLP(data.dims, width, (width,), dropout), nn.SiLU())
    last = MLP(width, 2 * data.dims, (), zero_last=True)
    halves = nn.Unflatten(1, (2 * data.shape[0], *data.shape[1:]))
    head = nn.Sequential(nn.Dropout(dropout), last, halves)
    return FlowNoise(encoder, [ConditionalAffine(head)], data)


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
    data: Levels | Reals, steps: Sequence[int] = (4, 4), width: int = 32, dropout: float = 0.0
) -> nn.Module:
    """RealNVP: checkerboard couplings (of half the width), then multi-scale channel couplings.

    Note: ActNorm stands in for the paper's batch normalisation, which ties the examples of a batch.
    """
    layers, shape = [], data.shape
    for first in (1, 0, 1, 0) if len(shape) == 3 else ():
        net = _conditioner(shape[0], 2 * shape[0], shape[1:], width // 2, dropout)
        layers += [MaskedCoupling(net, checkerboard_mask(shape, first)), ActNorm(shape[0])]
    layers += _glow_layers(data, steps, width, dropout, _affine, mixing=False)
    return _over_normal(data, layers)


def glow(
    data: Levels | Reals, steps: Sequence[int] = (4, 4), width: int = 32, dropout: float = 0.0
) -> nn.Module:
    """Glow: steps of ActNorm, 1x1 convolution and affine coupling, in a multi-scale stack."""
    return _over_normal(data, _glow_layers(data, steps, width, dropout, _affine))


def flowpp(
    data: Levels | Reals,
    steps: Sequence[int] = (4, 4),
    width: int = 32,
    components: int = 4,
    sharpness: float = 3.0,
    dropout: float = 0.0,
    noise_width: int = 64,
    noise_dropout: float = 0.0,
) -> nn.Module:
    """Flow++: Glow with mixture couplings and learned noise.

    Note: no attention, and the learned noise is factorised given x (see dequantize.py).
    """
    coupling = partial(_mixture, components, sharpness)
    layers = _glow_layers(data, steps, width, dropout, coupling)
    if isinstance(data, Reals):
        return _over_normal(data, layers)
    return _over_normal(data, layers, _learned_noise(data, noise_width, noise_dropout))


COUPLINGS = dict(additive=_additive, affine=_affine, mixture=partial(_mixture, 4, 3.0))


def coupling_ablation(
    data: Levels, coupling: str, learned_noise: bool, mixing: bool, dropout: float = 0.2
) -> Dequantize:
    """Flow++ as on the digits with parts exchanged: its coupling, noise, 1x1 convolutions.

    With ``("mixture", True, True)`` it is that Flow++; with ``("affine", False, True)`` a Glow.
    """
    if coupling not in COUPLINGS:
        raise ValueError(f"coupling must be one of {', '.join(COUPLINGS)}, got {coupling!r}")
    layers = _glow_layers(data, (4, 4), 32, dropout, COUPLINGS[coupling], mixing)
    return _over_normal(data, layers, _learned_noise(data, 64, dropout) if learned_noise else None)


_FIT = dict(clip_norm=1.0, progress=False)
DIGITS_FIT = dict(_FIT, steps=1400, lr=2e-3, weight_decay=0.1, warmup=100, average=0.998)
_PLANE = Recipe(
    sizes=dict(steps=(3,), width=128, components=32, sharpness=5.0),
    fit=dict(_FIT, steps=4500, batch_size=512, lr=5e-3, average=0.995, eval_every=500),
    data=dict(n=50_000, seed=1),  # other points than the test set of the chapter
)
_MNIST = Recipe(
    sizes=dict(steps=(8, 8), width=96, noise_width=128),
    fit=dict(
        _FIT, steps=20_000, batch_size=128, lr=1e-3, warmup=100, average=0.999, eval_every=1000
    ),
    scale="gpu",
)
_TOYS = ("moons", "eight_gaussians", "rings", "spirals", "checkerboard")
_IMAGES = Levels((1, 4, 4), 5)

ENTRIES = (
    Entry(
        nice,
        "N2 N15",
        ("Dinh, Krueger and Bengio (2015)", "https://arxiv.org/abs/1410.8516"),
        Tiny(_IMAGES, dict(width=16), std=0.1),
        recipes=dict(digits=Recipe(dict(width=128, dropout=0.3), DIGITS_FIT, seeds=3)),
    ),
    Entry(
        realnvp,
        "N1 N3 N15",
        ("Dinh, Sohl-Dickstein and Bengio (2017)", "https://arxiv.org/abs/1605.08803"),
        Tiny(_IMAGES, dict(steps=(1, 1), width=8), std=0.1),
        recipes=dict(digits=Recipe(dict(steps=(4, 4), dropout=0.2), DIGITS_FIT, seeds=3)),
    ),
    Entry(
        glow,
        "N4 N15",
        ("Kingma and Dhariwal (2018)", "https://arxiv.org/abs/1807.03039"),
        Tiny(_IMAGES, dict(steps=(1, 1), width=8), std=0.1),
        recipes=dict(digits=Recipe(dict(steps=(8, 4), width=28, dropout=0.2), DIGITS_FIT, seeds=3)),
    ),
    Entry(
        flowpp,
        "N5 N15",
        ("Ho, Chen, Srinivas, Duan and Abbeel (2019)", "https://arxiv.org/abs/1902.00275"),
        Tiny(_IMAGES, dict(steps=(1, 1), width=8, components=2, noise_width=8), std=0.1),
        recipes=dict(
            digits=Recipe(dict(steps=(4, 4), dropout=0.2, noise_dropout=0.2), DIGITS_FIT, seeds=3),
            **dict.fromkeys(_TOYS, _PLANE),
            mnist=_MNIST,
        ),
    ),
)
