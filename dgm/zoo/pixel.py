"""Pixel models of chapter 11: one causal network after the other under the same chain rule."""

from collections.abc import Callable, Sequence

from torch import nn

from dgm.autoregressive.autoregressive import Autoregressive
from dgm.autoregressive.law import LevelLaw, LogisticMixtureLaw
from dgm.data.dataset import Dataset
from dgm.distribution.discretized_logistic import DiscretizedLogisticMixture
from dgm.distribution.support import Levels
from dgm.nets.gated_pixelcnn import GatedPixelCNN
from dgm.nets.pixel_network import CachedPixelNetwork, PixelNetwork, n_level_features
from dgm.nets.pixelcnn import CausalStack, MaskedBlock
from dgm.nets.pixelrnn import DiagonalBiLSTM, RowLSTM
from dgm.nets.resnet import ResNet
from dgm.nets.subscale import SubscaleNetwork
from dgm.pixel.depth_upscaling import DepthUpscaling
from dgm.pixel.ordering import order_of_ranks, raster_order, subscale_ranks
from dgm.pixel.size_upscaling import SizeUpscaling
from dgm.train import Fit, fit
from dgm.zoo.entry import Entry, Recipe, Tiny, start_and_fit
from dgm.zoo.large_pixel import ON_MNIST

CHAPTER = "11_pixel_models"
BRANCH = ("explicit", "exact", "autoregressive")


def _pixel_features(data: Levels) -> int:
    """Channels that a stack is shown of an image; a ValueError for data that are no images."""
    if not isinstance(data, Levels) or len(data.shape) != 3:
        raise ValueError(f"data must be images, Levels of shape (C, H, W), got {data}")
    return n_level_features(data.shape, data.levels)


def _slice_sides(data: Levels, scale: int) -> tuple[int, int]:
    """Height and width of every scale-th pixel of an image, or a ValueError."""
    _pixel_features(data)
    _, height, width = data.shape
    if data.shape[0] != 1 or scale < 1 or height % scale or width % scale:
        raise ValueError(f"data must be (1, H, W), multiples of scale {scale}, got {data.shape}")
    return height // scale, width // scale


def _high_bits(data: Levels, step: int) -> Levels:
    """The high bits of images, ``step`` values sharing a coarse one; or a ValueError."""
    _pixel_features(data)
    if not 2 <= step < data.levels:
        raise ValueError(f"step must lie in 2 .. {data.levels - 1} for this data, got {step}")
    return Levels(data.shape, -(-data.levels // step))


def _pixel_chain(
    net: type[PixelNetwork],
    stack: nn.Module,
    data: Levels,
    law: nn.Module | None = None,
    condition: Levels | None = None,
    **rest: float,
) -> Autoregressive:
    """The chain rule in raster order; a softmax over the levels unless there is another law."""
    law = law or LevelLaw(data.levels, data.dims)
    net = net(stack, data.shape, data.levels, law.out_features, **rest)
    return Autoregressive(net, law, data, raster_order(*data.shape), condition)


def pixelcnn(
    data: Levels, width: int = 48, blocks: int = 6, dropout: float = 0.0, noise: float = 0.0
) -> Autoregressive:
    """PixelCNN: masked convolutions, blind spot and all."""
    layers = [MaskedBlock(width, dropout=dropout) for _ in range(blocks)]
    stack = CausalStack(_pixel_features(data), data.shape, width, layers)
    return _pixel_chain(PixelNetwork, stack, data, noise=noise)


def row_lstm(
    data: Levels, width: int = 24, blocks: int = 2, dropout: float = 0.0, noise: float = 0.0
) -> Autoregressive:
    """Row LSTM: a PixelRNN whose state runs down the rows."""
    layers = [RowLSTM(width) for _ in range(blocks)]
    stack = CausalStack(_pixel_features(data), data.shape, width, layers)
    return _pixel_chain(PixelNetwork, stack, data, noise=noise, dropout=dropout)


def diagonal_bilstm(
    data: Levels, width: int = 24, blocks: int = 2, dropout: float = 0.0, noise: float = 0.0
) -> Autoregressive:
    """Diagonal BiLSTM: a PixelRNN whose two states run along the diagonals."""
    layers = [DiagonalBiLSTM(width) for _ in range(blocks)]
    stack = CausalStack(_pixel_features(data), data.shape, width, layers)
    return _pixel_chain(PixelNetwork, stack, data, noise=noise, dropout=dropout)


def gated_pixelcnn(
    data: Levels, width: int = 32, blocks: int = 5, dropout: float = 0.0, noise: float = 0.0,
    dilations: Sequence[int] = (1,), places: bool = True,
) -> Autoregressive:  # fmt: skip
    """Gated PixelCNN: two stacks of gated convolutions, no blind spot."""
    sizes = dict(dropout=dropout, dilations=dilations, places=places)
    stack = GatedPixelCNN(_pixel_features(data), data.shape, width, blocks, **sizes)
    return _pixel_chain(CachedPixelNetwork, stack, data, noise=noise)


def class_pixelcnn(
    data: Levels, width: int = 32, blocks: int = 5, n_classes: int = 10, dropout: float = 0.0,
    noise: float = 0.0, dilations: Sequence[int] = (1,), places: bool = True,
) -> Autoregressive:  # fmt: skip
    """Gated PixelCNN with labels: told the class, which is summed out where it is not known."""
    features, labels = _pixel_features(data), Levels((), n_classes)
    sizes = dict(n_classes=n_classes, dropout=dropout, dilations=dilations, places=places)
    stack = GatedPixelCNN(features, data.shape, width, blocks, **sizes)
    return _pixel_chain(CachedPixelNetwork, stack, data, condition=labels, noise=noise)


def pixelcnnpp(
    data: Levels, width: int = 32, blocks: int = 5, n_components: int = 5, dropout: float = 0.0,
    noise: float = 0.0,
) -> Autoregressive:  # fmt: skip
    """PixelCNN++ likelihood: a mixture of discretised logistics, on the gated network."""
    stack = GatedPixelCNN(_pixel_features(data), data.shape, width, blocks, dropout=dropout)
    law = LogisticMixtureLaw(DiscretizedLogisticMixture, data.levels, data.dims, n_components)
    return _pixel_chain(CachedPixelNetwork, stack, data, law, noise=noise)


def subscale(
    data: Levels, scale: int = 2, width: int = 32, blocks: int = 3, dropout: float = 0.0,
    skip: int = 0, coarse_levels: int = 0, top: int | None = None,
) -> Autoregressive:  # fmt: skip
    """Subscale pixel network: interleaved slices in turn; see `SubscaleNetwork` for the rest."""
    place = _slice_sides(data, scale)
    order = order_of_ranks(subscale_ranks(*data.shape[1:], scale))
    shown = (7 if coarse_levels else 4) * scale**2
    encoder = ResNet(shown, width, width, blocks, dropout, positions=place)
    sizes = dict(first=3, context_dim=width, dropout=dropout)
    decoder = GatedPixelCNN(3, (1, *place), width, blocks, **sizes)
    rest = dict(skip=skip, coarse_levels=coarse_levels, top=top)
    net = SubscaleNetwork(encoder, decoder, data.shape, data.levels, scale, **rest)
    condition = Levels(data.shape, coarse_levels) if coarse_levels else None
    return Autoregressive(net, LevelLaw(data.levels, data.dims), data, order, condition)


def size_upscaling(
    data: Levels, scale: int = 2, width: int = 32, blocks: int = 3, dropout: float = 0.0
) -> SizeUpscaling:
    """Size upscaling: a gated PixelCNN for the small image, a subscale network for the rest."""
    small = Levels((1, *_slice_sides(data, scale)), data.levels)
    first = gated_pixelcnn(small, width, blocks, dropout)
    return SizeUpscaling(first, subscale(data, scale, width, blocks, dropout, skip=1), scale)


def _with_low_bits(coarse: nn.Module, data: Levels, step: int, *sizes: float) -> DepthUpscaling:
    """A model of the high bits, and a subscale network for the low ones given them."""
    rest = dict(coarse_levels=coarse.data.levels, top=data.levels)
    return DepthUpscaling(coarse, subscale(Levels(data.shape, step), *sizes, **rest), data, step)


def depth_upscaling(
    data: Levels, step: int = 2, width: int = 32, blocks: int = 3, dropout: float = 0.0
) -> DepthUpscaling:
    """Depth upscaling: coarse values of all pixels by one subscale network, fine by another."""
    coarse = subscale(_high_bits(data, step), 2, width, blocks, dropout)
    return _with_low_bits(coarse, data, step, 2, width, blocks, dropout)


def size_and_depth_upscaling(
    data: Levels, step: int = 2, width: int = 32, blocks: int = 3, dropout: float = 0.0
) -> DepthUpscaling:
    """Size and depth upscaling: a small coarse image, a coarse one, then the fine values."""
    coarse = size_upscaling(_high_bits(data, step), 2, width, blocks, dropout)
    return _with_low_bits(coarse, data, step, 2, width, blocks, dropout)


def train_upscaling(model: nn.Module, dataset: Dataset, seed: int, **settings: float) -> Fit:
    """`fit` with the small or coarse image uniform at first; the pixels between start from data."""
    if hasattr(model, "rest"):
        model.rest.start_from(dataset.train)
    return fit(model, dataset.train, val=dataset.val, seed=seed, **settings)


_BUDGET = dict(steps=700, batch_size=32, lr=5e-3, average=0.997, weight_decay=0.5, warmup=50)
_BUDGET |= dict(clip_norm=1.0, progress=False)


def _on_digits(
    budget: dict = _BUDGET, train: Callable = start_and_fit, **sizes: float
) -> dict[str, Recipe]:
    """The recipe of the chapter's comparison on 8 by 8 digits: one budget for all but one."""
    return dict(digits=Recipe(sizes, budget, train, seeds=3))


_ON_COLOR = Recipe(
    dict(width=32, blocks=4),
    dict(_BUDGET, steps=1300, average=0.99, weight_decay=0.1, held_out=256, eval_every=650),
)
_ON_A_GPU = Recipe(  # not run yet
    dict(width=64, blocks=8, dropout=0.1, noise=0.02),
    dict(
        steps=30_000, batch_size=64, lr=2e-3, weight_decay=0.05, warmup=500, clip_norm=1.0,
        average=0.9995, eval_every=1000,
    ),
    scale="gpu",
)  # fmt: skip

PIXEL_RNN = "van den Oord, Kalchbrenner and Kavukcuoglu (2016)", "https://arxiv.org/abs/1601.06759"
GATED_PIXELS = "van den Oord et al. (2016)", "https://arxiv.org/abs/1606.05328"
PIXEL_PLUS = "Salimans, Karpathy, Chen and Kingma (2017)", "https://arxiv.org/abs/1701.05517"
SUBSCALE = "Menick and Kalchbrenner (2019)", "https://arxiv.org/abs/1812.01608"
_GRID, _SQUARE, _DEEP = Levels((1, 2, 3), 3), Levels((1, 4, 4), 2), Levels((1, 4, 4), 3)
_STACK, _LAYER = dict(width=6, blocks=2), dict(width=6, blocks=1)
_NOISY, _LSTM = dict(dropout=0.3, noise=0.1), dict(dropout=0.3, noise=0.1, width=40)
_TOLD = dict(_BUDGET, steps=1500, lr=7e-3, average=0.998)
_BITS = dict(train=train_upscaling, step=4, dropout=0.3)

ENTRIES = (
    Entry(
        pixelcnn, "A3", PIXEL_RNN, Tiny(_GRID, dict(width=8, blocks=2)),
        _on_digits(width=64, dropout=0.2, noise=0.1),
    ),
    Entry(row_lstm, "A2", PIXEL_RNN, Tiny(_GRID, _LAYER), _on_digits(**_LSTM)),
    Entry(diagonal_bilstm, "A2", PIXEL_RNN, Tiny(_GRID, _LAYER), _on_digits(**_LSTM)),
    Entry(
        gated_pixelcnn, "A2 A3", GATED_PIXELS, Tiny(_GRID, _STACK),
        _on_digits(**_NOISY) | {"color_sprites": _ON_COLOR, "mnist": _ON_A_GPU},
    ),
    Entry(
        pixelcnnpp, "A3", PIXEL_PLUS, Tiny(_GRID, _STACK | {"n_components": 2}),
        _on_digits(**_NOISY),
    ),
    Entry(
        class_pixelcnn, "A2 A3", GATED_PIXELS, Tiny(_GRID, _STACK | {"n_classes": 2}),
        _on_digits(_TOLD, n_classes=10, width=36, dropout=0.3, noise=0.2) | {"mnist": ON_MNIST},
    ),
    Entry(subscale, "A4", SUBSCALE, Tiny(_SQUARE, _STACK), _on_digits(dropout=0.3)),
    Entry(
        size_upscaling, "A4", SUBSCALE, Tiny(_SQUARE, _STACK),
        _on_digits(train=train_upscaling, dropout=0.3),
    ),
    Entry(depth_upscaling, "A4", SUBSCALE, Tiny(_DEEP, _STACK), _on_digits(width=24, **_BITS)),
    Entry(
        size_and_depth_upscaling, "A4", SUBSCALE, Tiny(_DEEP, _STACK),
        _on_digits(width=20, **_BITS),
    ),
)  # fmt: skip
