"""Coupling flows of chapter 13: NICE, RealNVP, Glow and Flow++, for vectors and for images.

With ``levels`` the flow is wrapped in `Dequantize` and offers bounds; without, it has an exact
density.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from dgm import data
from dgm.distribution.logistic import StandardLogistic
from dgm.distribution.normal import StandardNormal
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
from dgm.train import Fit, fit
from dgm.zoo.entry import Entry, Recipe

Shape = tuple[int, ...]


def _net(channels: int, out: int, place: Shape, width: int, dropout: float) -> nn.Module:
    """A conditioner: convolutions where there is a place (H, W), else a perceptron."""
    if place:
        return ResNet(channels, out, width, blocks=2, dropout=dropout, positions=place)
    return ResidualMLP(channels, out, width, blocks=1, dropout=dropout)


def _stack(
    shape: Shape, steps: Sequence[int], make: Callable[[int, Shape], list[nn.Module]]
) -> list[nn.Module]:
    """``steps[i]`` steps at level i of an image, or all of them in a row on a vector."""
    if len(shape) == 1:
        return [layer for _ in range(sum(steps)) for layer in make(shape[0], ())]
    channels, height, width = shape
    levels = []
    for i, n in enumerate(steps):
        place = (
            height >> (i + 1),
            width >> (i + 1),
        )  # four times the channels, less those left behind
        levels.append([layer for _ in range(n) for layer in make(channels << (i + 2), place)])
    return [Multiscale(shape, levels)]


def _model(layers: list, shape: Shape, levels: int | None, noise=None) -> nn.Module:
    """The flow over a standard normal, its logit first and dequantised where data are integers."""
    if levels is None:
        return Flow(layers, StandardNormal(shape), shape)
    flow = Flow([Logit(levels), *layers], StandardNormal((torch.Size(shape).numel(),)), shape)
    return Dequantize(flow, levels, noise)


def _halves(shape: Shape) -> Tensor:
    """Order of the flat pixels: first one colour of the checkerboard, then the other."""
    if len(shape) == 1:
        return torch.arange(shape[0])
    return checkerboard_mask(shape).flatten().argsort(descending=True, stable=True)


def nice(
    shape: Shape,
    levels: int | None = None,
    couplings: int = 4,
    width: int = 64,
    dropout: float = 0.0,
) -> nn.Module:
    """NICE: additive couplings, logistic base. Note: data are first scaled to [0, 2], counted."""
    size = torch.Size(shape).numel()
    layers = [Flatten(shape), Permute(size, _halves(shape)), Scale((size,), 2 / (levels or 2))]
    for _ in range(couplings):
        layers.append(AdditiveCoupling(_net(size // 2, size // 2, (), width, dropout)))
    flow = Flow([*layers, Scale((size,))], StandardLogistic((size,)), shape)
    return flow if levels is None else Dequantize(flow, levels)


def realnvp(
    shape: Shape,
    levels: int | None = None,
    steps: Sequence[int] = (4, 4),
    width: int = 32,
    dropout: float = 0.0,
) -> nn.Module:
    """RealNVP: checkerboard couplings (of half the width), then multi-scale channel couplings.

    Note: ActNorm stands in for the paper's batch normalisation, which ties the examples of a batch.
    """

    def step(channels: int, place: Shape) -> list[nn.Module]:
        net = _net(channels // 2, channels, place, width, dropout)
        return [ActNorm(channels), AffineCoupling(net)]

    layers = []
    for first in (1, 0, 1, 0) if len(shape) == 3 else ():
        net = _net(shape[0], 2 * shape[0], shape[1:], width // 2, dropout)
        layers += [MaskedCoupling(net, checkerboard_mask(shape, first)), ActNorm(shape[0])]
    return _model(layers + _stack(shape, steps, step), shape, levels)


def glow(
    shape: Shape,
    levels: int | None = None,
    steps: Sequence[int] = (4, 4),
    width: int = 32,
    dropout: float = 0.0,
) -> nn.Module:
    """Glow: steps of ActNorm, 1x1 convolution and affine coupling, in a multi-scale stack."""

    def step(channels: int, place: Shape) -> list[nn.Module]:
        net = _net(channels // 2, channels, place, width, dropout)
        return [ActNorm(channels), InvertibleConv1x1(channels), AffineCoupling(net)]

    return _model(_stack(shape, steps, step), shape, levels)


def flowpp(
    shape: Shape,
    levels: int | None = None,
    steps: Sequence[int] = (4, 4),
    width: int = 32,
    components: int = 4,
    sharpness: float = 3.0,
    dropout: float = 0.0,
    noise_width: int = 64,
    noise_dropout: float = 0.0,
) -> nn.Module:
    """Flow++: Glow with mixture couplings and learned noise. Note: no attention."""

    def step(channels: int, place: Shape) -> list[nn.Module]:
        out = channels // 2 * (2 + 3 * components)
        net = _net(channels // 2, out, place, width, dropout)
        coupling = LogisticMixtureCoupling(net, components, sharpness=sharpness)
        return [ActNorm(channels), InvertibleConv1x1(channels), coupling]

    layers = _stack(shape, steps, step)
    if levels is None:
        return _model(layers, shape, levels)
    size, hidden = torch.Size(shape).numel(), (noise_width, noise_width)
    encoder = nn.Sequential(
        nn.Flatten(), MLP(size, noise_width, hidden[:1], noise_dropout), nn.SiLU()
    )
    head = nn.Sequential(
        nn.Dropout(noise_dropout),
        MLP(noise_width, 2 * size, (), zero_last=True),
        nn.Unflatten(1, (2 * shape[0], *shape[1:])),
    )
    noise = FlowNoise(encoder, [ConditionalAffine(head)], levels)
    return _model(layers, shape, levels, noise)


def _tiny(build: Callable[..., nn.Module], **sizes) -> Callable[[int], tuple[nn.Module, Tensor]]:
    """A small dequantised model of 4x4 images with five grey levels, and a batch of them."""

    def make(seed: int = 0) -> tuple[nn.Module, Tensor]:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            model = build((1, 4, 4), 5, **sizes)
            x = torch.randint(0, 5, (32, 1, 4, 4))
            model.train().loss(x)  # data-dependent initialisation
            for parameter in model.parameters():
                parameter.data += 0.1 * torch.randn_like(parameter)
        return model.eval(), x

    return make


def _fit(model: nn.Module, seed: int, name: str, n: int | None = None, **settings) -> Fit:
    """Fit a data set; a toy is drawn anew, with ``n`` points and another seed than its test set."""
    dataset = data.load(name) if n is None else data.load(name, n=n, seed=seed + 1)
    return fit(model, dataset, clip_norm=1.0, seed=seed, progress=False, **settings)


_DIGITS = dict(name="digits", steps=1400, lr=2e-3, weight_decay=0.1, warmup=100, average=0.998)
_PLANE = dict(n=50_000, steps=4500, batch_size=512, lr=5e-3, average=0.995, eval_every=500)
_TOYS = ("moons", "eight_gaussians", "rings", "spirals", "checkerboard")


_SIZES = dict(steps=(3,), width=128, components=32, sharpness=5.0)


def _digits(**sizes) -> Recipe:
    return Recipe(sizes, _fit, _DIGITS)


def _entry(name: str, title: str, build: Callable, layers: str, rows: str, **rest) -> Entry:
    """What the four entries share; ``layers`` are the flow files a reader copies beside flow.py."""
    files = tuple(f"flow/{file}.py" for file in ("flow", *layers.split()))
    common = dict(family="flow", chapter="13_coupling_flows", branch=("explicit", "exact", "flow"))
    return Entry(name, title, build=build, files=files, rows=tuple(rows.split()), **common, **rest)


ENTRIES = (
    _entry(
        "nice",
        "NICE",
        nice,
        "coupling elementwise dequantize",
        "N2 N15",
        paper="Dinh, Krueger and Bengio (2015)",
        url="https://arxiv.org/abs/1410.8516",
        tiny=_tiny(nice, width=16),
        recipes={"digits": _digits(width=128, dropout=0.3)},
    ),
    _entry(
        "realnvp",
        "RealNVP",
        realnvp,
        "coupling masked_coupling multiscale elementwise actnorm dequantize",
        "N1 N3 N15",
        paper="Dinh, Sohl-Dickstein and Bengio (2017)",
        url="https://arxiv.org/abs/1605.08803",
        tiny=_tiny(realnvp, steps=(1, 1), width=8),
        recipes={"digits": _digits(steps=(4, 4), dropout=0.2)},
    ),
    _entry(
        "glow",
        "Glow",
        glow,
        "coupling actnorm invertible_conv multiscale elementwise dequantize",
        "N4 N15",
        paper="Kingma and Dhariwal (2018)",
        url="https://arxiv.org/abs/1807.03039",
        tiny=_tiny(glow, steps=(1, 1), width=8),
        recipes={"digits": _digits(steps=(8, 4), width=28, dropout=0.2)},
    ),
    _entry(
        "flowpp",
        "Flow++",
        flowpp,
        "mixture_coupling actnorm invertible_conv multiscale elementwise dequantize",
        "N5 N15",
        paper="Ho, Chen, Srinivas, Duan and Abbeel (2019)",
        url="https://arxiv.org/abs/1902.00275",
        tiny=_tiny(flowpp, steps=(1, 1), width=8, components=2, noise_width=8),
        recipes={
            "digits": _digits(steps=(4, 4), dropout=0.2, noise_dropout=0.2),
            **{name: Recipe(_SIZES, _fit, {"name": name, **_PLANE}) for name in _TOYS},
        },
    ),
)
