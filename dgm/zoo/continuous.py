"""Structured and continuous flows of chapter 15: splines, masked autoregressive, Sylvester, FFJORD.

Of `Levels` each is wrapped in `Dequantize` and offers bounds; of `Reals` it has an exact density.
"""

from collections.abc import Sequence

from torch import nn

from dgm.continuous.ffjord import FFJORD
from dgm.continuous.ode_layer import ODELayer
from dgm.continuous.solver import Solver
from dgm.continuous.trace import ExactTrace
from dgm.distribution.normal import StandardNormal
from dgm.distribution.support import Levels, Reals
from dgm.flow.actnorm import ActNorm
from dgm.flow.convolution_exponential import ConvolutionExponential
from dgm.flow.dequantize import Dequantize
from dgm.flow.elementwise import Flatten, Permute
from dgm.flow.generalised_sylvester import AsPicture, GeneralisedSylvester
from dgm.flow.invertible_conv import InvertibleConv1x1
from dgm.flow.masked_autoregressive import MaskedAutoregressive
from dgm.flow.normal_scores import NormalScores
from dgm.flow.spline import RationalQuadratic, ScaleAndShift
from dgm.flow.transform_coupling import TransformCoupling
from dgm.nets.gated_pixelcnn import GatedPixelCNN
from dgm.nets.masked_mlp import MaskedMLP
from dgm.nets.mlp import ResidualMLP
from dgm.nets.raster import RasterNetwork
from dgm.nets.resnet import ResNet
from dgm.nets.time_mlp import TimeMLP
from dgm.train.jitter import Jitter
from dgm.zoo.dequantised import in_levels, noise_of, opened, over_normal
from dgm.zoo.entry import Entry, Recipe, Tiny
from dgm.zoo.matching import match_and_fit

CHAPTER = "15_structured_and_continuous_flows"
BRANCH = ("explicit", "exact", "flow")

# --- the systems ----------------------------------------------------------------------------------


def spline_flow(
    data: Levels | Reals, steps: Sequence[int] = (4, 4), width: int = 32, bins: int = 8,
    bound: float = 5.0, dropout: float = 0.0, noise_width: int = 0, noise_dropout: float = 0.0,
    marginals: bool = True, mixing: bool = True,
) -> nn.Module:  # fmt: skip
    """Neural spline flow: Glow's stack with rational-quadratic splines in its couplings.

    Note: the paper's pictures have no histograms (``marginals``) and no learned noise. Without
    ``mixing`` there are no 1x1 convolutions, and only the swap of halves mixes entries.
    """
    spline = RationalQuadratic(bins, bound)

    def step(channels: int, place: tuple[int, ...]) -> list[nn.Module]:
        half = channels // 2
        sizes = half, half * spline.size, width
        if place:
            net = ResNet(*sizes, blocks=2, dropout=dropout, positions=place)
        else:
            net = ResidualMLP(*sizes, blocks=1, dropout=dropout)
        matrix = [InvertibleConv1x1(channels)] if mixing else []
        return [ActNorm(channels), *matrix, TransformCoupling(net, spline)]

    return over_normal(data, in_levels(data, steps, step), marginals, noise_width, noise_dropout)


def maf(
    data: Levels | Reals, layers: int = 5, width: int = 64, blocks: int = 2, bins: int = 8,
    bound: float = 5.0, dropout: float = 0.0, noise_width: int = 0, noise_dropout: float = 0.0,
    marginals: bool = True,
) -> nn.Module:  # fmt: skip
    """Masked autoregressive flow: each entry through a map chosen by those before, order reversed.

    Note: ``bins`` of a spline; 0 is the paper's affine map. The networks are masked perceptrons, or
    gated masked convolutions of ``blocks`` layers where ``blocks`` is not 0 and pictures are grey.
    """
    count = data.count(layers, "layers", least=1)
    transform = RationalQuadratic(bins, bound) if bins else ScaleAndShift()
    grey = blocks and len(data.shape) == 3 and data.shape[0] == 1
    stack: list[nn.Module] = [Flatten(data.shape)]
    for k in range(count):
        if grey:
            seen = GatedPixelCNN(2, (2, *data.shape[1:]), width, blocks, dropout=dropout)
            net = RasterNetwork(seen, data.shape[1:], transform.size, dropout)
        else:
            net = MaskedMLP(data.dims, transform.size, width, dropout=dropout)
        between = [Permute(data.dims)] if k else []
        stack += [*between, ActNorm(data.dims), MaskedAutoregressive(net, transform)]
    return over_normal(data, stack, marginals, noise_width, noise_dropout)


def generalised_sylvester(
    data: Levels | Reals, steps: Sequence[int] = (4, 4), width: int = 16, blocks: int = 1,
    dropout: float = 0.0, noise_width: int = 0, noise_dropout: float = 0.0, marginals: bool = True,
) -> nn.Module:  # fmt: skip
    """Generalised Sylvester flow: masked steps in a basis that a convolution exponential chose.

    Note: a vector is a picture of one row, and is not squeezed.
    """

    def step(channels: int, place: tuple[int, ...]) -> list[nn.Module]:
        net = GatedPixelCNN(channels, (channels, *place), width, blocks, dropout=dropout)
        basis = ConvolutionExponential(channels)
        mixing = InvertibleConv1x1(channels)
        return [ActNorm(channels), mixing, GeneralisedSylvester(basis, net, channels)]

    if len(data.shape) == 1:
        row = (1, 1, data.dims)
        counts = [data.count(n, "steps") for n in steps]
        layers = [layer for _ in range(sum(counts)) for layer in step(1, row[1:])]
        layers = [AsPicture(row), *layers, Flatten(row)]
    else:
        layers = in_levels(data, steps, step)
    return over_normal(data, layers, marginals, noise_width, noise_dropout)


def ffjord(
    data: Levels | Reals, width: int = 64, solver_steps: int = 8, kinetic: float = 0.0,
    dropout: float = 0.0, noise_width: int = 0, noise_dropout: float = 0.0, marginals: bool = True,
) -> nn.Module:  # fmt: skip
    """FFJORD: a differential equation with a free field, its divergence exact by a closed form.

    Note: the solver takes ``solver_steps`` steps of order four; for others see `Solver`.
    """
    steps = data.count(solver_steps, "solver_steps", least=1)
    field = TimeMLP(data.dims, width, dropout)
    ode = ODELayer(field, ExactTrace(), Solver("rk4", steps=steps))
    base, reals = StandardNormal((data.dims,)), Reals(data.shape)
    if isinstance(data, Reals):
        return FFJORD(ode, base, reals, [Flatten(data.shape)], kinetic)
    before = [opened(data, marginals), NormalScores(), Flatten(data.shape), ActNorm(data.dims)]
    flow = FFJORD(ode, base, reals, before, kinetic)
    return Dequantize(flow, data, noise_of(data, noise_width, noise_dropout))


# --- recipes --------------------------------------------------------------------------------------


_FIT_15 = dict(clip_norm=1.0, progress=False)
_DIGITS_15 = dict(_FIT_15, lr=2e-3, weight_decay=0.1, warmup=50)
_NOISE_15 = dict(noise_width=64, noise_dropout=0.2)
_NO_HISTOGRAMS = _NOISE_15 | dict(marginals=False)
_LAWS = ("moons", "checkerboard")
_PLANE_DATA = dict(n=50_000, seed=1)  # other points than the test set of the chapter
_PLANE_FIT = dict(_FIT_15, batch_size=256, lr=5e-3, average=0.99, eval_every=300)
_MOONS_FIT = dict(_PLANE_FIT, steps=800)
# jumps: many bins, and no matrix between couplings, since the edges are along the axes
_BOARD_FIT = dict(_PLANE_FIT, steps=2600, batch_size=512, average=0.995, eval_every=500)
_BOARD = dict(width=128, bins=32, bound=3.0)

_DIGITS_ODE = dict(
    _DIGITS_15, steps=120, warmup=10, average=0.97, eval_every=40,
    augment=Jitter(levels=17, until=96, shift=0.3, turn=0.1),
    match=dict(
        steps=2000, lr=2e-3, weight_decay=0.1, average=0.995,
        augment=Jitter(levels=17, until=1600, shift=0.3, turn=0.1),
    ),
)  # fmt: skip
_PLANE_ODE = dict(
    _PLANE_FIT, steps=450, lr=4e-3, average=0.98, eval_every=50,
    match=dict(steps=2500, lr=4e-3, average=0.995),
)  # fmt: skip
_MNIST_ODE = dict(
    _FIT_15, steps=60, batch_size=64, lr=2e-4, average=0.9, eval_every=60, held_out=250,
    scored=500, round_ways=True,
    match=dict(steps=16_000, batch_size=128, lr=1.5e-3, warmup=100, average=0.999),
)  # fmt: skip

_PICTURES, _STEPS = Levels((1, 4, 4), 5), dict(steps=(1, 1), width=6)

ENTRIES = (
    Entry(
        spline_flow, "N13",
        ("Durkan, Bekasov, Murray and Papamakarios (2019)", "https://arxiv.org/abs/1906.04032"),
        Tiny(_PICTURES, _STEPS | dict(bins=3, noise_width=6), std=0.1),
        dict(
            digits=Recipe(
                _NO_HISTOGRAMS | dict(steps=(4, 4), width=28, bound=4.0, dropout=0.2),
                dict(_DIGITS_15, average=0.998, steps=330),
            ),
            moons=Recipe(dict(steps=(3,), width=64, bins=24), _MOONS_FIT, data=_PLANE_DATA),
            checkerboard=Recipe(
                dict(_BOARD, steps=(3,), mixing=False), _BOARD_FIT, data=_PLANE_DATA, seeds=3
            ),
        ),
    ),
    Entry(
        maf, "N13",
        ("Papamakarios, Pavlakou and Murray (2017)", "https://arxiv.org/abs/1705.07057"),
        Tiny(_PICTURES, dict(layers=2, width=6, blocks=1, bins=3), std=0.1),
        dict(
            digits=Recipe(
                _NO_HISTOGRAMS
                | dict(layers=2, width=24, blocks=3, bins=12, bound=4.0, dropout=0.4),
                dict(_DIGITS_15, average=0.998, steps=520), seeds=3,
            ),
            moons=Recipe(dict(layers=4, width=64, bins=16), _MOONS_FIT, data=_PLANE_DATA),
            checkerboard=Recipe(dict(_BOARD, layers=3), _BOARD_FIT, data=_PLANE_DATA, seeds=3),
        ),
    ),
    Entry(
        generalised_sylvester, "N13",
        ("Hoogeboom, Garcia Satorras, Tomczak, Welling (2020)", "https://arxiv.org/abs/2006.01910"),
        Tiny(_PICTURES, dict(steps=(2,), width=6), std=0.1),
        dict(
            digits=Recipe(
                _NO_HISTOGRAMS | dict(steps=(4, 2), width=24, dropout=0.1),
                dict(_DIGITS_15, average=0.998, steps=200),
            )
        ),
    ),
    Entry(
        ffjord, "N6",
        ("Grathwohl, Chen, Bettencourt et al. (2019)", "https://arxiv.org/abs/1810.01367"),
        Tiny(_PICTURES, dict(width=8, solver_steps=12), std=0.03),
        dict(
            digits=Recipe(
                _NOISE_15 | dict(width=256, dropout=0.3), _DIGITS_ODE, match_and_fit
            ),
            **dict.fromkeys(
                _LAWS, Recipe(dict(width=96), _PLANE_ODE, match_and_fit, _PLANE_DATA, seeds=3)
            ),
            mnist=Recipe(dict(width=400), _MNIST_ODE, match_and_fit),
        ),
    ),
)  # fmt: skip
