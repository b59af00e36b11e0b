"""Flows of residual blocks of chapter 14: i-ResNet, Residual flow, i-DenseNet.

Of `Levels` each is dequantised and offers bounds; of `Reals` it has an exact density. In training
log-determinants are estimated; in eval mode they are exact up to `EXACT_DIMS` entries, and beyond
that without bias.
"""

from collections.abc import Callable, Sequence
from functools import partial

from torch import nn

from dgm.distribution.support import Levels, Reals
from dgm.flow.actnorm import ActNorm
from dgm.flow.elementwise import Flatten
from dgm.flow.invertible_conv import InvertibleConv1x1
from dgm.flow.multiscale import Multiscale
from dgm.residual.block import ResidualBlock
from dgm.residual.contractive import Contractive, DenseContractive
from dgm.residual.lip_swish import ConcatLipSwish, LipSwish
from dgm.residual.log_det import DenseLogDet, SeriesLogDet
from dgm.residual.n_terms import FixedTerms, GeometricTerms
from dgm.residual.spectral import SpectralConv2d, SpectralLinear, held
from dgm.residual.unbiased_bound import UnbiasedBound
from dgm.zoo.dequantised import jitter_and_fit, over_normal
from dgm.zoo.entry import Entry, Recipe, Tiny

CHAPTER = "14_residual_flows"
BRANCH = ("explicit", "exact", "flow")
EXACT_DIMS = 256

# --- what the systems share -----------------------------------------------------------------------


def _map_of(place: tuple[int, ...], kernels: Sequence[int]) -> Callable[..., nn.Module]:
    """What makes the i-th linear map of a net: a matrix, or on a place (H, W) a convolution."""

    def matrix(i: int, n_in: int, n_out: int, coefficient: float) -> nn.Module:
        return SpectralLinear(n_in, n_out, coefficient)

    def convolution(i: int, n_in: int, n_out: int, coefficient: float) -> nn.Module:
        shape, kernel = (n_in, *place), kernels[i % len(kernels)]
        return SpectralConv2d(shape, n_out, kernel, coefficient, per_place=i == 0)

    return convolution if place else matrix


def _plain(
    width: int, depth: int, coefficient: float, activation: Callable, channels: int,
    place: tuple[int, ...],
) -> nn.Module:  # fmt: skip
    """g of i-ResNet and Residual flow: ``depth`` maps, kernels 3-1-3 on images."""
    kernels = (3, *[1] * (depth - 2), 3)
    widths = (channels, *[width] * (depth - 1), channels)
    return Contractive(widths, _map_of(place, kernels), activation, coefficient)


def _dense(
    grown: int, depth: int, coefficient: float, channels: int, place: tuple[int, ...]
) -> nn.Module:
    """g of i-DenseNet: ``depth`` maps that add ``grown`` channels each, and one back."""
    kernels = (*[3] * depth, 1)
    return DenseContractive(
        channels, grown, depth, _map_of(place, kernels), ConcatLipSwish, coefficient
    )


def _stack(
    data: Levels | Reals, blocks: Sequence[int], net: Callable, terms: object, mixing: bool,
    flat: bool,
) -> list[nn.Module]:  # fmt: skip
    """ActNorm, 1x1 convolution (with ``mixing``), residual block, over and over; ActNorm last.

    ``blocks[i]`` blocks at level i of an image, or all in a row on a vector and a ``flat`` image.
    ``net(channels, place)`` makes g.
    """
    counts = [data.count(n, "blocks", least=1) for n in blocks]
    small = data.dims <= EXACT_DIMS
    in_eval = DenseLogDet() if small else SeriesLogDet(GeometricTerms(0.5, n_exact=5))

    def steps(n: int, channels: int, place: tuple[int, ...]) -> list[nn.Module]:
        layers = []
        for _ in range(n):
            block = ResidualBlock(net(channels, place), SeriesLogDet(terms), in_eval, held)
            layers += [ActNorm(channels), *_mix(channels, mixing), block]
        return [*layers, ActNorm(channels), *_mix(channels, mixing)]

    # a vector
    if flat or len(data.shape) == 1:
        flatten = [Flatten(data.shape)] if len(data.shape) != 1 else []
        return [*flatten, *steps(sum(counts), data.dims, ())]
    # an image
    if len(data.shape) != 3 or not counts or any(s % 2 ** len(counts) for s in data.shape[1:]):
        raise ValueError(
            f"data must be vectors, or images that can be halved {len(counts)} times, once for "
            f"each number in blocks; got shape {data.shape}"
        )
    channels, height, width = data.shape
    levels = [steps(n, channels << (i + 2), (height >> (i + 1), width >> (i + 1)))
              for i, n in enumerate(counts)]  # fmt: skip
    return [Multiscale(data.shape, levels)]


def _mix(channels: int, mixing: bool) -> list[nn.Module]:
    """An invertible matrix over the channels, or nothing; of one channel ActNorm says it all."""
    return [InvertibleConv1x1(channels)] if mixing and channels > 1 else []


def _density(
    data: Levels | Reals, layers: list[nn.Module], marginals: bool, noise_width: int,
    noise_dropout: float,
) -> nn.Module:  # fmt: skip
    """`over_normal`, where no log-determinant that is an estimate passes for an exact one."""
    if isinstance(data, Reals) and data.dims > EXACT_DIMS:
        raise ValueError(f"data of reals must have at most {EXACT_DIMS} entries for an exact "
                         f"density, got {data.dims}")  # fmt: skip
    model = over_normal(data, layers, marginals, noise_width, noise_dropout)
    return model if data.dims <= EXACT_DIMS else UnbiasedBound(model, data)


# --- the systems ----------------------------------------------------------------------------------


def iresnet(
    data: Levels | Reals, blocks: Sequence[int] = (4,), width: int = 64, depth: int = 3,
    coefficient: float = 0.9, terms: int = 5, noise_width: int = 0, noise_dropout: float = 0.0,
    marginals: bool = True, mixing: bool = False, flat: bool = False,
) -> nn.Module:  # fmt: skip
    """i-ResNet: residual blocks of Lipschitz constant below one, a truncated series in training.

    Note: ``coefficient`` is of a whole block, not of each of its layers; ActNorm, ``mixing`` (1x1
    convolutions), ``marginals`` (marginal.py) and learned noise of ``noise_width`` are options.
    """
    net = partial(_plain, width, depth, coefficient, nn.ELU)
    layers = _stack(data, blocks, net, FixedTerms(data.count(terms, "terms")), mixing, flat)
    return _density(data, layers, marginals, noise_width, noise_dropout)


def residual_flow(
    data: Levels | Reals, blocks: Sequence[int] = (4,), width: int = 64, depth: int = 3,
    coefficient: float = 0.98, n_exact: int = 2, noise_width: int = 0, noise_dropout: float = 0.0,
    marginals: bool = True, mixing: bool = True, flat: bool = False,
) -> nn.Module:  # fmt: skip
    """Residual flow: LipSwish, unbiased log-determinants by Russian roulette, Neumann gradient.

    Note: ``coefficient`` is of a whole block; ``n_exact`` terms are sure, geometrically many (1/2)
    follow; ``mixing``, ``marginals`` and learned noise as in `iresnet`.
    """
    net = partial(_plain, width, depth, coefficient, LipSwish)
    layers = _stack(data, blocks, net, GeometricTerms(0.5, n_exact), mixing, flat)
    return _density(data, layers, marginals, noise_width, noise_dropout)


def i_densenet(
    data: Levels | Reals, blocks: Sequence[int] = (4,), grown: int = 32, depth: int = 2,
    coefficient: float = 0.98, n_exact: int = 2, noise_width: int = 0, noise_dropout: float = 0.0,
    marginals: bool = True, mixing: bool = True, flat: bool = False,
) -> nn.Module:  # fmt: skip
    """i-DenseNet: a Residual flow with dense blocks, learned concatenation and CLipSwish.

    Note: the shares of the concatenation are learned from the first step; options as above.
    """
    net = partial(_dense, grown, depth, coefficient)
    layers = _stack(data, blocks, net, GeometricTerms(0.5, n_exact), mixing, flat)
    return _density(data, layers, marginals, noise_width, noise_dropout)


_DIGITS_FIT = dict(
    clip_norm=1.0, progress=False, steps=800, lr=4e-3, weight_decay=0.1, warmup=50,
    average=0.99, eval_every=400, shift=0.3,
)  # fmt: skip
_MNIST_FIT = dict(
    clip_norm=1.0, progress=False, steps=5500, batch_size=16, lr=3e-3, weight_decay=0.01,
    warmup=200, average=0.998, eval_every=1100, held_out=100,
)  # fmt: skip
_IMAGES = Levels((1, 4, 4), 5)

_ON_DIGITS = dict(blocks=(4,), depth=2, noise_width=64, noise_dropout=0.2, flat=True)

ENTRIES = (
    Entry(
        iresnet, "N7 N8 N9",
        ("Behrmann, Grathwohl, Chen, Duvenaud and Jacobsen (2019)",
         "https://arxiv.org/abs/1811.00995"),
        Tiny(_IMAGES, dict(blocks=(1, 1), width=8, depth=2), std=0.1),
    ),
    Entry(
        residual_flow, "N10",
        ("Chen, Behrmann, Duvenaud and Jacobsen (2019)", "https://arxiv.org/abs/1906.02735"),
        Tiny(_IMAGES, dict(blocks=(2,), width=8, noise_width=4, flat=True), std=0.1),
        dict(
            digits=Recipe(_ON_DIGITS | dict(width=256), _DIGITS_FIT, jitter_and_fit, seeds=3),
            mnist=Recipe(dict(blocks=(4, 4), width=44, n_exact=1, noise_width=64), _MNIST_FIT),
        ),
    ),
    Entry(
        i_densenet, "N12",
        ("Perugachi-Diaz, Tomczak and Bhulai (2021)", "https://arxiv.org/abs/2102.02694"),
        Tiny(_IMAGES, dict(blocks=(2,), grown=6, flat=True), std=0.1),
        dict(digits=Recipe(_ON_DIGITS | dict(grown=58), _DIGITS_FIT, jitter_and_fit, seeds=3)),
    ),
)  # fmt: skip
