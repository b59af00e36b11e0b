"""Chapter 12: WaveNet, LSTM and Transformer as laws of tokens: digits, text and sound."""

from collections.abc import Sequence

from torch import Tensor, nn

from dgm.autoregressive.autoregressive import Autoregressive
from dgm.autoregressive.law import LevelLaw
from dgm.data.dataset import Dataset
from dgm.distribution.support import Levels
from dgm.nets.lstm import RecurrentBackbone
from dgm.nets.tokens import TokenNet
from dgm.nets.transformer import Transformer
from dgm.nets.wavenet import WaveNet
from dgm.train import Fit, fit
from dgm.zoo.entry import Entry, Recipe, Tiny

CHAPTER = "12_sequences"
BRANCH = ("explicit", "exact", "autoregressive")


def _over_tokens(backbone: nn.Module, data: Levels, places: bool, dropout: float) -> Autoregressive:
    """The backbone behind a start symbol and a shift, in front of a softmax over the levels."""
    if not isinstance(data, Levels):
        raise ValueError(f"data must be Levels, got {data} of shape {data.shape}")
    net = TokenNet(backbone, data.levels, data.dims, places, dropout)
    return Autoregressive(net, LevelLaw(data.levels, data.dims, background=False), data)


def wavenet(
    data: Levels,
    width: int = 48,
    n_layers: int = 6,
    n_blocks: int = 1,
    dropout: float = 0.0,
    places: bool = False,
) -> Autoregressive:
    """WaveNet: dilated convolutions over tokens."""
    return _over_tokens(WaveNet(width, n_layers, n_blocks, dropout), data, places, dropout)


def pixel_wavenet(
    data: Levels,
    width: int = 32,
    dilations: Sequence[int] = (1, 2, 4, 8),
    dropout: float = 0.0,
) -> Autoregressive:
    """WaveNet over pixels: dilations as they are given; each place starts at its histogram."""
    if not isinstance(data, Levels):
        raise ValueError(f"data must be Levels, got {data} of shape {data.shape}")
    backbone = WaveNet(width, dilations, dropout=dropout)
    net = TokenNet(backbone, data.levels, data.dims, places=True, dropout=dropout)
    return Autoregressive(net, LevelLaw(data.levels, data.dims), data)


def token_lstm(
    data: Levels,
    width: int = 96,
    n_layers: int = 1,
    dropout: float = 0.0,
    places: bool = False,
) -> Autoregressive:
    """LSTM: cells over tokens."""
    return _over_tokens(RecurrentBackbone(width, n_layers, dropout), data, places, dropout)


def transformer(
    data: Levels,
    width: int = 48,
    n_layers: int = 2,
    n_heads: int = 4,
    dropout: float = 0.0,
    places: bool = False,
) -> Autoregressive:
    """Transformer: attention over tokens."""
    return _over_tokens(Transformer(width, n_layers, n_heads, dropout), data, places, dropout)


class _AnyLength(nn.Module):
    """The loss of sequences of any length, by the network of a model without places."""

    def __init__(self, model: Autoregressive):
        super().__init__()
        self.model = model

    def loss(self, x: Tensor) -> Tensor:
        """-log p(x), (B,) nats, of sequences x (B, T) of any length T."""
        data = Levels(tuple(x.shape[1:]), self.model.data.levels)
        return Autoregressive(self.model.net, self.model.law, data).loss(x)


def train_text(
    model: Autoregressive, dataset: Dataset, seed: int, length: int, **settings: object
) -> Fit:
    """Train on overlapping windows of ``length`` characters, one every 16; validate on the set's.

    No weight of the network knows how long a sequence is, so the model keeps its own length.
    """
    windows = dataset.train.flatten().unfold(0, length, 16)  # (N, length)
    return fit(_AnyLength(model), windows, val=dataset.val, seed=seed, **settings)


# --- the catalogue --------------------------------------------------------------------------------

DIGITS_FIT = dict(steps=600, batch_size=64, warmup=50, clip_norm=1.0, average=0.99, progress=False)
TEXT_FIT = dict(
    length=128, steps=600, batch_size=32, weight_decay=0.01, warmup=50, clip_norm=1.0,
    average=0.98, progress=False,
)  # fmt: skip
_FOUR = Levels((4,), 3)

ENTRIES = (
    Entry(
        wavenet,
        "A5 A6 A8",
        ("van den Oord et al. (2016), WaveNet", "https://arxiv.org/abs/1609.03499"),
        Tiny(_FOUR, dict(width=8, n_layers=2), std=0.4),
        recipes=dict(
            digits=Recipe(
                dict(width=72, n_layers=6, dropout=0.3, places=True),
                dict(DIGITS_FIT, lr=7e-3, weight_decay=1.0),
                seeds=3,
            ),
            text=Recipe(
                dict(width=68, n_layers=7), dict(TEXT_FIT, lr=1e-2), train_text, seeds=3
            ),
        ),
    ),
    Entry(
        pixel_wavenet,
        "A5 A6",
        ("van den Oord et al. (2016), WaveNet", "https://arxiv.org/abs/1609.03499"),
        Tiny(_FOUR, dict(width=8, dilations=(1, 2)), std=0.4),
        recipes=dict(
            mnist=Recipe(
                dict(dilations=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1, 27)),
                dict(
                    steps=4000, batch_size=16, lr=5e-3, weight_decay=0.02, warmup=200,
                    clip_norm=1.0, average=0.999, eval_every=1000, held_out=300,
                    mixed_precision=True, progress=False,
                ),
            ),
        ),
    ),
    Entry(
        token_lstm,
        "A6 A8",
        (
            "Hochreiter & Schmidhuber (1997), Long Short-Term Memory",
            "https://doi.org/10.1162/neco.1997.9.8.1735",
        ),
        Tiny(_FOUR, dict(width=8, n_layers=2), std=0.4),
        recipes=dict(
            digits=Recipe(
                dict(width=150, dropout=0.4, places=True),
                dict(DIGITS_FIT, lr=8e-3, weight_decay=0.5),
                seeds=3,
            ),
            text=Recipe(dict(width=150), dict(TEXT_FIT, lr=1.5e-2), train_text, seeds=3),
        ),
    ),
    Entry(
        transformer,
        "A6 A8",
        (
            "Vaswani et al. (2017), Attention Is All You Need",
            "https://arxiv.org/abs/1706.03762",
        ),
        Tiny(_FOUR, dict(width=8, n_layers=2, n_heads=2), std=0.4),
        recipes=dict(
            digits=Recipe(
                dict(width=72, n_layers=3, dropout=0.2, places=True),
                dict(DIGITS_FIT, lr=5e-3, weight_decay=0.5),
                seeds=3,
            ),
            text=Recipe(
                dict(width=72, n_layers=3), dict(TEXT_FIT, lr=1e-2), train_text, seeds=3
            ),
            mnist=Recipe(
                dict(width=256, n_layers=6, n_heads=8, dropout=0.1, places=True),
                dict(
                    steps=30_000, batch_size=64, eval_every=1000, lr=3e-4, warmup=500,
                    clip_norm=1.0, average=0.999, weight_decay=0.1, progress=False,
                ),
                scale="gpu",
            ),
        ),
    ),
)  # fmt: skip
