"""Chapter 10: the chain rule by tables, FVSBN, NADE, MADE, a recurrent network; tables and series.

Integers get a softmax over levels out of a few shared features, real values a mixture of Gaussians.
"""

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from dgm.autoregressive.autoregressive import Autoregressive
from dgm.autoregressive.law import LevelLaw, MixtureLaw
from dgm.autoregressive.linear import LinearAutoregression
from dgm.autoregressive.order_ensemble import OrderEnsemble
from dgm.autoregressive.tabular import ChainTables
from dgm.distribution.support import Levels, Reals
from dgm.nets.fvsbn import FVSBN
from dgm.nets.made import MADE
from dgm.nets.nade import NADE
from dgm.nets.recurrent import Recurrent
from dgm.nets.value_embedding import LevelVectors, StandardScores
from dgm.zoo.entry import Entry, Recipe, Tiny

CHAPTER = "10_autoregressive"
BRANCH = ("explicit", "exact", "autoregressive")

Order = Sequence[int] | Tensor | None

# --- what the systems share -----------------------------------------------------------------------


def _needs_kind(kind: type[Levels] | type[Reals], data: Levels | Reals) -> None:
    """Raise a ValueError that names data unless it is of this kind."""
    if not isinstance(data, kind):
        raise ValueError(f"data must be {kind.__name__}, got {data} of shape {data.shape}")


def _net_and_law(
    make_net: Callable[..., nn.Module],
    data: Levels,
    embed_dim: int,
    n_features: int,
    **sizes: object,
) -> tuple[nn.Module, LevelLaw]:
    """A causal network that sees vectors of the levels, and a softmax over the levels."""
    _needs_kind(Levels, data)
    law = LevelLaw(data.levels, data.dims, n_features)
    embed = LevelVectors(data.levels, embed_dim)
    return make_net(data.dims, embed, law.out_features, **sizes), law


# --- the systems ----------------------------------------------------------------------------------


def chain_tables(data: Levels, order: Order = None) -> ChainTables:
    """Chain rule by tables: one for each variable, for a handful of integers."""
    _needs_kind(Levels, data)
    return ChainTables(data, order)


def fvsbn(
    data: Levels, order: Order = None, embed_dim: int = 3, n_features: int = 4
) -> Autoregressive:
    """Fully visible belief net: a row of softmax regressions."""
    return Autoregressive(*_net_and_law(FVSBN, data, embed_dim, n_features), data, order)


def nade(
    data: Levels,
    order: Order = None,
    width: int = 128,
    dropout: float = 0.0,
    embed_dim: int = 3,
    n_features: int = 4,
) -> Autoregressive:
    """NADE: one hidden layer for each variable, out of one running sum."""
    sizes = dict(width=width, dropout=dropout)
    return Autoregressive(*_net_and_law(NADE, data, embed_dim, n_features, **sizes), data, order)


def made(
    data: Levels,
    order: Order = None,
    width: int = 200,
    blocks: int = 1,
    dropout: float = 0.0,
    embed_dim: int = 3,
    n_features: int = 4,
) -> Autoregressive:
    """MADE: a residual network with masks, in one order."""
    sizes = dict(width=width, blocks=blocks, dropout=dropout)
    return Autoregressive(*_net_and_law(MADE, data, embed_dim, n_features, **sizes), data, order)


def made_orders(
    data: Levels,
    n_orders: int = 8,
    width: int = 200,
    blocks: int = 1,
    dropout: float = 0.0,
    embed_dim: int = 3,
    n_features: int = 4,
    any_order: bool = False,
) -> OrderEnsemble:
    """MADE, several orders: one network for ``n_orders`` of them, the probabilities averaged."""
    sizes = dict(width=width, blocks=blocks, dropout=dropout)
    net, law = _net_and_law(MADE, data, embed_dim, n_features, **sizes)
    return OrderEnsemble(net, law, data, n_orders, any_order=any_order)


def recurrent(
    data: Levels,
    order: Order = None,
    width: int = 96,
    cell: str = "LSTM",
    dropout: float = 0.0,
    embed_dim: int = 3,
    n_features: int = 4,
) -> Autoregressive:
    """Recurrent network (LSTM): one cell along the variables; or an RNN, or a GRU."""
    if cell not in ("RNN", "GRU", "LSTM"):
        raise ValueError(f"cell is RNN, GRU or LSTM, got {cell!r}")
    sizes = dict(width=width, cell=getattr(nn, cell), dropout=dropout)
    net, law = _net_and_law(Recurrent, data, embed_dim, n_features, **sizes)
    return Autoregressive(net, law, data, order)


def made_mixture(
    data: Reals,
    order: Order = None,
    n_components: int = 10,
    width: int = 64,
    blocks: int = 1,
    dropout: float = 0.0,
) -> Autoregressive:
    """MADE with mixtures of Gaussians: for real values, as in RNADE."""
    _needs_kind(Reals, data)
    law = MixtureLaw(data.dims, n_components)
    net = MADE(data.dims, StandardScores(data.dims), law.out_features, width, blocks, dropout)
    return Autoregressive(net, law, data, order)


def linear_autoregression(data: Reals, lags: int = 2) -> LinearAutoregression:
    """Linear autoregression: a Gaussian around a weighted sum of the last values, for series."""
    _needs_kind(Reals, data)
    return LinearAutoregression(data, min(lags, data.dims - 1))


# --- the catalogue --------------------------------------------------------------------------------

DIGITS_FIT = dict(warmup=50, clip_norm=1.0, average=0.998, progress=False)
_SIX = Levels((1, 2, 3), 3)  # images of six pixels


def _for_the_table(steps: int, lr: float, weight_decay: float, **sizes: float) -> dict[str, Recipe]:
    """The recipe of the chapter's table."""
    settings = dict(DIGITS_FIT, steps=steps, lr=lr, weight_decay=weight_decay)
    return dict(digits=Recipe(sizes, settings, seeds=3))


_BITS = Recipe(  # of 28 by 28 black or white pixels
    dict(width=200, embed_dim=1, n_features=1),
    dict(
        steps=2600, batch_size=32, lr=3e-3, weight_decay=0.01, warmup=100, clip_norm=1.0,
        average=0.999, eval_every=500, held_out=1000, progress=False,
    ),
)  # fmt: skip

TABLES = (
    "Koller and Friedman (2009), Probabilistic Graphical Models, section 3.2",
    "https://mitpress.mit.edu/9780262013192/probabilistic-graphical-models/",
)
FREY = (
    "Frey, Hinton and Dayan (1996), Does the wake-sleep algorithm produce good estimators?",
    "https://proceedings.neurips.cc/paper/1995/hash/0c8ce55163055c4da50a81e0a273468c-Abstract.html",
)
LAROCHELLE = "Larochelle and Murray (2011)", "https://proceedings.mlr.press/v15/larochelle11a.html"
GERMAIN = "Germain, Gregor, Murray and Larochelle (2015)", "https://arxiv.org/abs/1502.03509"
DEEP_NADE = "Uria, Murray and Larochelle (2014), EoNADE", "https://arxiv.org/abs/1310.1757"
GRAVES = (
    "Graves (2013), Generating sequences with recurrent neural networks",
    "https://arxiv.org/abs/1308.0850",
)
RNADE = "Uria, Murray and Larochelle (2013), RNADE", "https://arxiv.org/abs/1306.0186"
YULE = (
    "Yule (1927), on a method of investigating periodicities in disturbed series",
    "https://doi.org/10.1098/rsta.1927.0007",
)
_TOY = dict(steps=1500, batch_size=512, lr=1e-2, eval_every=250, clip_norm=1.0, average=0.995)
_RINGS = Recipe(
    dict(n_components=24),
    dict(_TOY, progress=False),
    data=dict(n=50_000, seed=1),  # other points than the test set of the chapter
)

ENTRIES = (
    Entry(chain_tables, "A1", TABLES, Tiny(Levels((1, 2, 2), 4), dict(order=[2, 0, 3, 1]))),
    Entry(
        fvsbn, "A1", FREY, Tiny(_SIX, dict(order=[5, 0, 3, 1, 4, 2])),
        _for_the_table(500, 3e-3, 0.3),
    ),
    Entry(
        nade, "A1", LAROCHELLE, Tiny(_SIX, dict(width=8)),
        _for_the_table(500, 1e-2, 0.1, width=64, dropout=0.2) | dict(binary_mnist=_BITS),
    ),
    Entry(
        made, "A1 A4", GERMAIN, Tiny(_SIX, dict(width=12, order=[1, 0, 2, 5, 4, 3])),
        _for_the_table(700, 3e-3, 0.3, width=140, dropout=0.5),
    ),
    Entry(
        made_orders, "A1 A4", DEEP_NADE, Tiny(_SIX, dict(width=12, n_orders=3)),
        _for_the_table(1000, 4e-3, 0.3, n_orders=8, width=200, dropout=0.4),
    ),
    Entry(
        recurrent, "A1 A7", GRAVES, Tiny(_SIX, dict(width=8)),
        _for_the_table(1000, 5e-3, 0.1, width=128, dropout=0.4),
    ),
    Entry(
        made_mixture, "A8", RNADE, Tiny(Reals((2,)), dict(width=8, n_components=2)),
        dict(rings=_RINGS),
    ),
    Entry(linear_autoregression, "A8", YULE, Tiny(Reals((4,)))),
)  # fmt: skip
