"""Sequence models of the zoo: WaveNet, LSTM and Transformer behind one law of tokens."""

import torch
from torch import Tensor, nn

from dgm import data
from dgm.autoregressive.lstm import RecurrentBackbone
from dgm.autoregressive.token_model import TokenModel
from dgm.autoregressive.transformer import Transformer
from dgm.autoregressive.wavenet import WaveNet
from dgm.train import Fit, fit
from dgm.zoo.entry import Entry, Recipe

BRANCH = ("explicit", "exact", "autoregressive")
CHAPTER = "12_sequences"


def wavenet(
    shape: tuple[int, ...],
    levels: int,
    width: int = 48,
    n_layers: int = 6,
    n_blocks: int = 1,
    dropout: float = 0.0,
    places: bool = False,
    length: int | None = None,
) -> TokenModel:
    """Dilated convolutions over tokens; ``length`` stands in for that of a sequence's shape."""
    net = WaveNet(width, n_layers, n_blocks, dropout)
    return TokenModel(net, (length,) if length else shape, levels, places, dropout)


def token_lstm(
    shape: tuple[int, ...],
    levels: int,
    width: int = 96,
    n_layers: int = 1,
    dropout: float = 0.0,
    places: bool = False,
    length: int | None = None,
) -> TokenModel:
    """LSTM cells over tokens."""
    net = RecurrentBackbone(width, n_layers, dropout)
    return TokenModel(net, (length,) if length else shape, levels, places, dropout)


def transformer(
    shape: tuple[int, ...],
    levels: int,
    width: int = 48,
    n_layers: int = 2,
    n_heads: int = 4,
    dropout: float = 0.0,
    places: bool = False,
    length: int | None = None,
) -> TokenModel:
    """Attention over tokens."""
    net = Transformer(width, n_layers, n_heads, dropout)
    return TokenModel(net, (length,) if length else shape, levels, places, dropout)


def train_digit_tokens(model: TokenModel, seed: int, lr: float, weight_decay: float) -> Fit:
    """The digits as 64 tokens of 17 levels; weights averaged, the best by validation kept."""
    return fit(
        model,
        data.load("digits"),
        steps=600,
        batch_size=64,
        lr=lr,
        weight_decay=weight_decay,
        warmup=50,
        clip_norm=1.0,
        average=0.99,
        seed=seed,
    )


def train_text(model: TokenModel, seed: int, lr: float) -> Fit:
    """Help pages in overlapping windows as long as the model's; validated on windows of 64."""
    text = data.load("text")
    return fit(
        model,
        text.train.flatten().unfold(0, model.length, 16),  # (N, length), one every 16 characters
        val=text.val,
        steps=600,
        batch_size=32,
        lr=lr,
        weight_decay=0.01,
        warmup=50,
        clip_norm=1.0,
        average=0.98,
        seed=seed,
    )


def _tiny(build, seed: int, **sizes) -> tuple[nn.Module, Tensor]:
    """A small model of 4 tokens of 3 levels, moved away from where it starts, and a batch."""
    generator = torch.Generator().manual_seed(seed)
    model = build((4,), 3, **sizes)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.4 * torch.empty_like(p).normal_(generator=generator))
    return model, torch.randint(0, 3, (16, 4), generator=generator)


def _tiny_wavenet(seed: int = 0) -> tuple[nn.Module, Tensor]:
    return _tiny(wavenet, seed, width=8, n_layers=2)


def _tiny_token_lstm(seed: int = 0) -> tuple[nn.Module, Tensor]:
    return _tiny(token_lstm, seed, width=8, n_layers=2)


def _tiny_transformer(seed: int = 0) -> tuple[nn.Module, Tensor]:
    return _tiny(transformer, seed, width=8, n_layers=2, n_heads=2)


def _entry(name: str, title: str, build, tiny, file: str, rows: str, source: tuple, **recipes):
    """An entry of this chapter; for pixels and text, a recipe's sizes and its rates."""
    (pixels, *pixel_rates), (text, text_lr) = recipes["pixels"], recipes["text"]
    pixel_settings = dict(zip(("lr", "weight_decay"), pixel_rates, strict=True))
    recipes = {
        "digits": Recipe(pixels, train_digit_tokens, pixel_settings, seeds=3),
        "text": Recipe(text, train_text, {"lr": text_lr}, seeds=3),
    }
    return Entry(
        name=name,
        title=title,
        family="autoregressive",
        build=build,
        files=(f"autoregressive/{file}", "autoregressive/token_model.py"),
        chapter=CHAPTER,
        rows=tuple(rows.split()),
        paper=source[0],
        url=source[1],
        branch=BRANCH,
        tiny=tiny,
        recipes=recipes,
    )


OORD = "van den Oord et al. (2016), WaveNet", "https://arxiv.org/abs/1609.03499"
HOCHREITER = "Hochreiter & Schmidhuber (1997), Long Short-Term Memory"
HOCHREITER = HOCHREITER, "https://doi.org/10.1162/neco.1997.9.8.1735"
VASWANI = "Vaswani et al. (2017), Attention Is All You Need", "https://arxiv.org/abs/1706.03762"

ENTRIES = (
    _entry("wavenet", "WaveNet", wavenet, _tiny_wavenet, "wavenet.py", "A5 A6 A8", OORD,
           pixels=(dict(width=72, n_layers=6, dropout=0.3, places=True), 7e-3, 1.0),
           text=(dict(width=68, n_layers=7, length=128), 1e-2)),
    _entry("token_lstm", "LSTM", token_lstm, _tiny_token_lstm, "lstm.py", "A6 A8", HOCHREITER,
           pixels=(dict(width=150, dropout=0.4, places=True), 8e-3, 0.5),
           text=(dict(width=150, length=128), 1.5e-2)),
    _entry("transformer", "Transformer", transformer, _tiny_transformer, "transformer.py",
           "A6 A8", VASWANI,
           pixels=(dict(width=72, n_layers=3, dropout=0.2, places=True), 5e-3, 0.5),
           text=(dict(width=72, n_layers=3, length=128), 1e-2)),
)  # fmt: skip
