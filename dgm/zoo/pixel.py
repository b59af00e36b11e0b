"""Pixel models of chapter 11: one network after the other under the same exact probability."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from dgm import data
from dgm.autoregressive.depth_upscaling import DepthUpscaling
from dgm.autoregressive.gated_pixelcnn import GatedPixelCNN
from dgm.autoregressive.pixel_model import PixelModel
from dgm.autoregressive.pixelcnn import CausalStack, MaskedBlock
from dgm.autoregressive.pixelrnn import DiagonalBiLSTM, RowLSTM
from dgm.autoregressive.subscale import Subscale
from dgm.distribution.discretized_logistic import DiscretizedLogisticMixture
from dgm.nets.resnet import ResNet
from dgm.train import Fit, fit
from dgm.zoo.entry import Entry, Recipe

Shape = tuple[int, ...]


def _features(shape: Shape, levels: int) -> int:
    """Channels of what a network sees of an image; a ValueError for data that are no images."""
    if len(shape) != 3 or levels is None:
        raise ValueError(f"shape is (C, H, W) and levels >= 2, got {shape} and {levels}")
    return shape[0] * (1 + min(levels, 32))


def _stack(shape: Shape, levels: int, width: int, layers: list, **rest) -> PixelModel:
    net = CausalStack(_features(shape, levels), shape, width, layers)
    return PixelModel(net, shape, levels, **rest)


def pixelcnn(
    shape: Shape, levels: int, width: int = 48, blocks: int = 6, dropout: float = 0.0,
    noise: float = 0.0,
) -> PixelModel:  # fmt: skip
    """Masked convolutions, blind spot and all."""
    layers = [MaskedBlock(width, dropout=dropout) for _ in range(blocks)]
    return _stack(shape, levels, width, layers, noise=noise)


def row_lstm(
    shape: Shape, levels: int, width: int = 24, blocks: int = 2, dropout: float = 0.0,
    noise: float = 0.0,
) -> PixelModel:  # fmt: skip
    """A PixelRNN whose state runs down the rows."""
    layers = [RowLSTM(width) for _ in range(blocks)]
    return _stack(shape, levels, width, layers, dropout=dropout, noise=noise)


def diagonal_bilstm(
    shape: Shape, levels: int, width: int = 24, blocks: int = 2, dropout: float = 0.0,
    noise: float = 0.0,
) -> PixelModel:  # fmt: skip
    """A PixelRNN whose two states run along the diagonals."""
    layers = [DiagonalBiLSTM(width) for _ in range(blocks)]
    return _stack(shape, levels, width, layers, dropout=dropout, noise=noise)


def gated_pixelcnn(
    shape: Shape, levels: int, width: int = 32, blocks: int = 5, n_classes: int = 0,
    dropout: float = 0.0, noise: float = 0.0,
) -> PixelModel:  # fmt: skip
    """Two stacks of gated convolutions: no blind spot. With labels if n_classes > 0."""
    net = GatedPixelCNN(
        _features(shape, levels), shape, width, blocks, n_classes=n_classes, dropout=dropout
    )
    return PixelModel(net, shape, levels, n_classes, noise=noise)


def class_pixelcnn(
    shape: Shape, levels: int, width: int = 32, blocks: int = 5, n_classes: int = 2,
    dropout: float = 0.0, noise: float = 0.0,
) -> PixelModel:  # fmt: skip
    """The gated network told the label, which is summed out where it is not known."""
    return gated_pixelcnn(shape, levels, width, blocks, n_classes, dropout, noise)


def pixelcnnpp(
    shape: Shape, levels: int, width: int = 32, blocks: int = 5, components: int = 5,
    dropout: float = 0.0, noise: float = 0.0,
) -> PixelModel:  # fmt: skip
    """The likelihood of PixelCNN++, a mixture of discretised logistics, on the gated network."""
    net = GatedPixelCNN(_features(shape, levels), shape, width, blocks, dropout=dropout)
    means = torch.linspace(-1, 1, components + 2)[1:-1]
    start = torch.cat((torch.zeros(components), means, torch.full((components,), -2.0)))
    law = DiscretizedLogisticMixture
    return PixelModel(net, shape, levels, law=law, start=start, noise=noise)


def _subscale(
    shape: Shape, levels: int, scale: int, width: int, blocks: int, dropout: float, **rest
) -> Subscale:
    if len(shape) != 3 or levels is None:
        raise ValueError(f"shape is (1, H, W) and levels >= 2, got {shape} and {levels}")
    place = shape[1] // scale, shape[2] // scale
    features = (7 if "given_levels" in rest else 4) * scale**2
    encoder = ResNet(features, width, width, blocks, dropout, positions=place)
    sizes = dict(first=3, context_dim=width, dropout=dropout)
    decoder = GatedPixelCNN(3, (1, *place), width, blocks, **sizes)
    return Subscale(encoder, decoder, shape, levels, scale, **rest)


def subscale(
    shape: Shape, levels: int, scale: int = 2, width: int = 32, blocks: int = 3,
    dropout: float = 0.0,
) -> Subscale:  # fmt: skip
    """Interleaved slices, one after the other."""
    return _subscale(shape, levels, scale, width, blocks, dropout)


def size_upscaling(
    shape: Shape, levels: int, scale: int = 2, width: int = 32, blocks: int = 3,
    dropout: float = 0.0,
) -> Subscale:  # fmt: skip
    """A gated PixelCNN for the small image, a subscale network for the rest."""
    small = (1, shape[1] // scale, shape[2] // scale) if len(shape) == 3 else shape
    first = gated_pixelcnn(small, levels, width, blocks, dropout=dropout)
    return _subscale(shape, levels, scale, width, blocks, dropout, first=first)


def depth_upscaling(
    shape: Shape, levels: int, step: int = 2, scale: int = 2, width: int = 32, blocks: int = 3,
    dropout: float = 0.0,
) -> DepthUpscaling:  # fmt: skip
    """Coarse values of all pixels by one subscale network, fine ones by another."""
    n_coarse = -(-levels // step) if levels else None
    coarse = _subscale(shape, n_coarse, scale, width, blocks, dropout)
    rest = dict(given_levels=n_coarse, top=levels)
    fine = _subscale(shape, step, scale, width, blocks, dropout, **rest)
    return DepthUpscaling(coarse, fine, levels, step)


def start_from(model: nn.Module, x: Tensor) -> None:
    """Start every pixel at how often its levels occur in x (N, *shape), before it sees others."""
    if hasattr(model, "background") and model.background.shape[-1] == model.levels:
        counts = torch.nn.functional.one_hot(x.long(), model.levels).sum(0) + 0.5
        with torch.no_grad():
            model.background.copy_((counts / counts.sum(-1, keepdim=True)).log())


def train_pixels(model: nn.Module, seed: int, **settings) -> Fit:
    """AdamW on the digits; averaged weights, the best by validation kept.

    A model with labels trains on log p(x | y) and is chosen by log p(x), the label summed out.
    """
    digits = data.load("digits")
    start_from(model, digits.train)
    labelled = bool(getattr(model, "n_classes", 0))
    examples = (digits.train, digits.train_y) if labelled else digits.train
    common = dict(val=digits.val, weight_decay=0.5, warmup=50, clip_norm=1.0, progress=False)
    return fit(model, examples, seed=seed, **common, **settings)


def _tiny(
    build: Callable[..., nn.Module], shape: Shape = (1, 2, 3), levels: int = 3, **sizes
) -> Callable[[int], tuple]:
    """A small model with moved weights, a batch, and labels where the model takes them."""

    def make(seed: int = 0) -> tuple:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            model = build(shape, levels, **sizes)
            for parameter in model.parameters():
                parameter.data += 0.3 * torch.randn_like(parameter)
            x = torch.randint(0, levels, (16, *shape), dtype=torch.uint8)
            y = torch.randint(0, getattr(model, "n_classes", 0) or 1, (16,))
        return (model.eval(), x, y) if getattr(model, "n_classes", 0) else (model.eval(), x)

    return make


_BASE = dict(steps=700, batch_size=32, lr=5e-3, average=0.997)
RNN = "van den Oord, Kalchbrenner and Kavukcuoglu (2016)", "https://arxiv.org/abs/1601.06759"
GATED = "van den Oord et al. (2016)", "https://arxiv.org/abs/1606.05328"
PLUS = "Salimans, Karpathy, Chen and Kingma (2017)", "https://arxiv.org/abs/1701.05517"
SPN = "Menick and Kalchbrenner (2019)", "https://arxiv.org/abs/1812.01608"


def _entry(
    name: str, title: str, build: Callable, tiny: Callable, files: str, rows: str, source: tuple,
    **sizes,
) -> Entry:  # fmt: skip
    """What the entries share; ``sizes`` are those of the recipe on digits."""
    settings = sizes.pop("settings", _BASE)
    return Entry(
        name=name,
        title=title,
        family="autoregressive",
        build=build,
        files=tuple(f"autoregressive/{file}.py" for file in files.split()),
        chapter="11_pixel_models",
        rows=tuple(rows.split()),
        paper=source[0],
        url=source[1],
        branch=("explicit", "exact", "autoregressive"),
        tiny=tiny,
        recipes={"digits": Recipe(sizes, train_pixels, settings, seeds=3)},
    )


ENTRIES = (
    _entry(
        "pixelcnn", "PixelCNN", pixelcnn, _tiny(pixelcnn, width=8, blocks=2),
        "pixelcnn pixel_model", "A3", RNN, width=64, dropout=0.2, noise=0.1,
    ),
    _entry(
        "row_lstm", "Row LSTM", row_lstm, _tiny(row_lstm, width=6, blocks=1),
        "pixelrnn pixelcnn pixel_model", "A2", RNN, width=40, dropout=0.3, noise=0.1,
    ),
    _entry(
        "diagonal_bilstm", "Diagonal BiLSTM", diagonal_bilstm,
        _tiny(diagonal_bilstm, width=6, blocks=1),
        "pixelrnn pixelcnn pixel_model", "A2", RNN, width=40, dropout=0.3, noise=0.1,
    ),
    _entry(
        "gated_pixelcnn", "Gated PixelCNN", gated_pixelcnn,
        _tiny(gated_pixelcnn, width=6, blocks=2),
        "gated_pixelcnn pixel_model", "A2 A3", GATED, dropout=0.3, noise=0.1,
    ),
    _entry(
        "pixelcnnpp", "PixelCNN++ likelihood", pixelcnnpp,
        _tiny(pixelcnnpp, width=6, blocks=2, components=2),
        "gated_pixelcnn pixel_model", "A3", PLUS, dropout=0.3, noise=0.1,
    ),
    _entry(
        "class_pixelcnn", "Gated PixelCNN with labels", class_pixelcnn,
        _tiny(class_pixelcnn, width=6, blocks=2),
        "gated_pixelcnn pixel_model", "A2 A3", GATED, n_classes=10, width=36, dropout=0.3,
        noise=0.2, settings=_BASE | dict(steps=1500, lr=7e-3, average=0.998),
    ),
    _entry(
        "subscale", "Subscale pixel network", subscale,
        _tiny(subscale, (1, 4, 4), 2, width=6, blocks=2),
        "subscale gated_pixelcnn", "A4", SPN, dropout=0.3,
    ),
    _entry(
        "size_upscaling", "Size upscaling", size_upscaling,
        _tiny(size_upscaling, (1, 4, 4), 2, width=6, blocks=2),
        "subscale gated_pixelcnn pixel_model", "A4", SPN, dropout=0.3,
    ),
    _entry(
        "depth_upscaling", "Depth upscaling", depth_upscaling,
        _tiny(depth_upscaling, (1, 4, 4), 3, width=6, blocks=2),
        "depth_upscaling subscale gated_pixelcnn", "A4", SPN, step=4, width=24, dropout=0.3,
    ),
)  # fmt: skip
