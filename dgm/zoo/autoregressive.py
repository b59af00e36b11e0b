"""Chapter 10: the chain rule by tables, FVSBN, NADE, MADE, a recurrent network; tables and series.

Integers get a softmax over levels out of a few shared features, real values a mixture of Gaussians.
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from dgm import data
from dgm.autoregressive.conditional import LevelConditional, MixtureConditional
from dgm.autoregressive.factorization import Autoregressive
from dgm.autoregressive.fvsbn import FVSBN
from dgm.autoregressive.linear import LinearAutoregression
from dgm.autoregressive.made import MADE
from dgm.autoregressive.nade import NADE
from dgm.autoregressive.order_ensemble import OrderEnsemble
from dgm.autoregressive.recurrent import Recurrent
from dgm.autoregressive.tabular import ChainTables
from dgm.train import Fit, fit
from dgm.zoo.entry import Entry, Recipe

Shape = tuple[int, ...]
Order = Sequence[int] | Tensor | None


def _over_levels(
    make_net: Callable, shape: Shape, levels: int, order: Order, embed_dim: int | None,
    n_features: int | None, **sizes: object,
) -> Autoregressive:  # fmt: skip
    """A causal network, a softmax over the levels, and an order."""
    conditional = LevelConditional(levels, math.prod(shape), embed_dim, n_features)
    net = make_net(conditional.size, conditional.in_features, conditional.out_features, **sizes)
    return Autoregressive(net, conditional, shape, order)


def chain_tables(shape: Shape, levels: int, order: Order = None) -> ChainTables:
    """The chain rule with a table for each variable: for a handful of integers."""
    return ChainTables(shape, levels, order)


def fvsbn(
    shape: Shape, levels: int, order: Order = None, embed_dim: int = 3, n_features: int = 4
) -> Autoregressive:
    """A row of softmax regressions."""
    return _over_levels(FVSBN, shape, levels, order, embed_dim, n_features)


def nade(
    shape: Shape,
    levels: int,
    order: Order = None,
    width: int = 128,
    dropout: float = 0.0,
    embed_dim: int = 3,
    n_features: int = 4,
) -> Autoregressive:
    """NADE with a softmax over levels."""
    sizes = dict(width=width, dropout=dropout)
    return _over_levels(NADE, shape, levels, order, embed_dim, n_features, **sizes)


def made(
    shape: Shape,
    levels: int,
    order: Order = None,
    width: int = 200,
    blocks: int = 1,
    dropout: float = 0.0,
    embed_dim: int = 3,
    n_features: int = 4,
) -> Autoregressive:
    """MADE with residual blocks and a softmax over levels, in one order."""
    sizes = dict(width=width, blocks=blocks, dropout=dropout)
    return _over_levels(MADE, shape, levels, order, embed_dim, n_features, **sizes)


def made_orders(
    shape: Shape,
    levels: int,
    n_orders: int = 8,
    width: int = 200,
    blocks: int = 1,
    dropout: float = 0.0,
    embed_dim: int = 3,
    n_features: int = 4,
    any_order: bool = False,
) -> OrderEnsemble:
    """One MADE for ``n_orders`` orders, the probabilities averaged."""
    conditional = LevelConditional(levels, math.prod(shape), embed_dim, n_features)
    widths = conditional.size, conditional.in_features, conditional.out_features
    net = MADE(*widths, width=width, blocks=blocks, dropout=dropout)
    return OrderEnsemble(net, conditional, shape, n_orders, any_order=any_order)


def recurrent(
    shape: Shape,
    levels: int,
    order: Order = None,
    width: int = 96,
    cell: str = "LSTM",
    dropout: float = 0.0,
    embed_dim: int | None = 3,
    n_features: int | None = 4,
) -> Autoregressive:
    """An RNN, GRU or LSTM along the variables."""
    if cell not in ("RNN", "GRU", "LSTM"):
        raise ValueError(f"cell is RNN, GRU or LSTM, got {cell!r}")
    sizes = dict(width=width, cell=getattr(nn, cell), dropout=dropout)
    return _over_levels(Recurrent, shape, levels, order, embed_dim, n_features, **sizes)


def made_mixture(
    shape: Shape,
    levels: int | None = None,
    order: Order = None,
    n_components: int = 10,
    width: int = 64,
    blocks: int = 1,
    dropout: float = 0.0,
) -> Autoregressive:
    """MADE for real values: each conditional a mixture of Gaussians (as in RNADE)."""
    if levels is not None:
        raise ValueError(f"levels must be None, a mixture is for real values; got {levels}")
    conditional = MixtureConditional(math.prod(shape), n_components)
    widths = conditional.size, conditional.in_features, conditional.out_features
    net = MADE(*widths, width=width, blocks=blocks, dropout=dropout)
    return Autoregressive(net, conditional, shape, order)


def linear_autoregression(
    shape: Shape, levels: int | None = None, lags: int = 2
) -> LinearAutoregression:
    """A Gaussian around a weighted sum of the last values, for series (T,)."""
    if levels is not None or len(shape) != 1:
        raise ValueError(f"shape is (T,) and levels None, got {shape} and {levels}")
    return LinearAutoregression(shape[0], min(lags, shape[0] - 1))


def train_on_digits(model: nn.Module, seed: int, **settings: object) -> Fit:
    """From the digits' own pixel frequencies, with weight decay and averaged weights."""
    digits = data.load("digits")
    model.start_from(digits.train)
    common = dict(warmup=50, clip_norm=1.0, average=0.998, progress=False)
    return fit(model, digits, seed=seed, **common, **settings)


def _digits(steps: int, lr: float, weight_decay: float = 0.3, **sizes: object) -> dict:
    """The recipe for digits, as the only one of an entry."""
    settings = dict(steps=steps, lr=lr, weight_decay=weight_decay)
    return {"digits": Recipe(sizes, train_on_digits, settings)}


def train_on_toy(model: nn.Module, seed: int, name: str, **settings: object) -> Fit:
    """On 50,000 points of a toy, drawn with another seed than its test set."""
    toy = data.load(name, n=50_000, seed=seed + 1)
    model.start_from(toy.train)
    return fit(model, toy, seed=seed, clip_norm=1.0, average=0.995, progress=False, **settings)


def _tiny(build: Callable, shape: Shape, levels: int | None, **sizes: object) -> Callable:
    """A small randomised model, and a batch of its data."""

    def make(seed: int = 0) -> tuple[nn.Module, Tensor]:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            model = build(shape, levels, **sizes)
            x = torch.randn(24, *shape) if levels is None else torch.randint(levels, (24, *shape))
            for parameter in model.parameters():
                parameter.data += 0.3 * torch.randn_like(parameter)
        return model.eval(), x if levels is None or len(shape) == 1 else x.to(torch.uint8)

    return make


def _entry(name: str, title: str, build: Callable, files: str, rows: str, **rest) -> Entry:
    """What the entries of this chapter share; ``files`` are what a reader copies."""
    paths = tuple(f"autoregressive/{file}.py" for file in files.split())
    where = dict(family="autoregressive", chapter="10_autoregressive")
    where["branch"] = ("explicit", "exact", "autoregressive")
    return Entry(name, title, build=build, files=paths, rows=tuple(rows.split()), **where, **rest)


TOY = dict(steps=1500, batch_size=512, lr=1e-2, eval_every=250)
SMALL, PICTURE = ((1, 2, 3), 3), ((1, 2, 2), 4)
FREY = "Frey, Hinton and Dayan (1996), Does the wake-sleep algorithm produce good estimators?"
NIPS8 = (
    "https://proceedings.neurips.cc/paper/1995/hash/0c8ce55163055c4da50a81e0a273468c-Abstract.html"
)
NADE_PAPER = "https://proceedings.mlr.press/v15/larochelle11a.html"

ENTRIES = (
    _entry(
        "chain_tables", "Chain rule by tables", chain_tables, "tabular", "A1",
        paper="Koller and Friedman (2009), Probabilistic Graphical Models, section 3.2",
        url="https://mitpress.mit.edu/9780262013192/probabilistic-graphical-models/",
        tiny=_tiny(chain_tables, *PICTURE, order=[2, 0, 3, 1]),
    ),
    _entry(
        "fvsbn", "Fully visible belief net", fvsbn, "fvsbn factorization conditional", "A1",
        paper=FREY, url=NIPS8, tiny=_tiny(fvsbn, *SMALL, order=[5, 0, 3, 1, 4, 2]),
        recipes=_digits(500, 3e-3),
    ),
    _entry(
        "nade", "NADE", nade, "nade factorization conditional", "A1",
        paper="Larochelle and Murray (2011)", url=NADE_PAPER, tiny=_tiny(nade, *SMALL, width=8),
        recipes=_digits(500, 1e-2, weight_decay=0.1, width=64, dropout=0.2),
    ),
    _entry(
        "made", "MADE", made, "made factorization conditional", "A1 A4",
        paper="Germain, Gregor, Murray and Larochelle (2015)",
        url="https://arxiv.org/abs/1502.03509",
        tiny=_tiny(made, *SMALL, width=12, order=[1, 0, 2, 5, 4, 3]),
        recipes=_digits(700, 3e-3, width=140, dropout=0.5),
    ),
    _entry(
        "made_orders", "MADE, several orders", made_orders,
        "made order_ensemble conditional", "A1 A4",
        paper="Uria, Murray and Larochelle (2014), a deep and tractable density estimator",
        url="https://arxiv.org/abs/1310.1757",
        tiny=_tiny(made_orders, *SMALL, width=12, n_orders=3),
        recipes=_digits(1000, 4e-3, n_orders=8, width=200, dropout=0.4),
    ),
    _entry(
        "recurrent", "Recurrent network (LSTM)", recurrent,
        "recurrent factorization conditional", "A1 A7",
        paper="Graves (2013), Generating sequences with recurrent neural networks",
        url="https://arxiv.org/abs/1308.0850", tiny=_tiny(recurrent, *SMALL, width=8),
        recipes=_digits(1000, 5e-3, weight_decay=0.1, width=128, dropout=0.4),
    ),
    _entry(
        "made_mixture", "MADE with mixtures of Gaussians", made_mixture,
        "made factorization conditional", "A8",
        paper="Uria, Murray and Larochelle (2013), RNADE",
        url="https://arxiv.org/abs/1306.0186",
        tiny=_tiny(made_mixture, (2,), None, width=8, n_components=2),
        recipes={
            "rings": Recipe(dict(n_components=24), train_on_toy, dict(name="rings", **TOY))
        },
    ),
    _entry(
        "linear_autoregression", "Linear autoregression", linear_autoregression, "linear", "A8",
        paper="Yule (1927), on a method of investigating periodicities in disturbed series",
        url="https://doi.org/10.1098/rsta.1927.0007",
        tiny=_tiny(linear_autoregression, (4,), None),
    ),
)  # fmt: skip
