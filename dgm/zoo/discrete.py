"""Chapter 08: VQ-VAE on one map of codes and on two, and a VAE of categorical codes."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from dgm.autoregressive.autoregressive import Autoregressive
from dgm.autoregressive.law import LevelLaw
from dgm.discrete.categorical import CategoricalVAE
from dgm.discrete.codebook import Codebook
from dgm.discrete.gumbel import GumbelSoftmax
from dgm.discrete.two_level import TwoLevelCodebook, TwoLevelPrior
from dgm.discrete.vq_vae import VQVAE
from dgm.distribution.level_table import LevelTable
from dgm.distribution.likelihood import SoftmaxDecoder
from dgm.distribution.support import Levels
from dgm.evaluate import nats
from dgm.nets.code_network import CoarseContext, CodeNetwork
from dgm.nets.conv_map import MapDecoder, MapEncoder, map_sides
from dgm.nets.gated_pixelcnn import GatedPixelCNN
from dgm.nets.level_logits import LevelLogits
from dgm.nets.mlp import MLP
from dgm.train import Fit, fit
from dgm.train.jitter import Jitter
from dgm.zoo.entry import Entry, Recipe, Tiny

CHAPTER = "08_discrete_codes"
BRANCH = ("explicit", "bound", "latent")


def _require_images(data: Levels, halvings: int, n_codes: int = 2) -> tuple[int, int]:
    """Sides of the map of codes, or a ValueError that names data or n_codes."""
    if n_codes < 2:
        raise ValueError(f"n_codes must be at least 2, got {n_codes}")
    if not isinstance(data, Levels):
        raise ValueError(f"data must be integers as stored (Levels), got {data}")
    return map_sides(data.shape, halvings)


def _map_decoder(features: int, data: Levels, **sizes: float) -> SoftmaxDecoder:
    """A likelihood of all pixels given a map; neighbouring levels of many share what they learn."""
    values = data.levels if data.levels <= 8 else 4 if data.levels <= 32 else 8
    net = nn.Sequential(MapDecoder(features, data.shape, values, **sizes), nn.Flatten())
    if data.levels > 8:
        net = LevelLogits(net, data.dims, data.levels, values)
    return SoftmaxDecoder(net, data)


def code_prior(
    codes: Levels,
    width: int,
    blocks: int,
    dropout: float,
    noise: float,
    coarse: Levels | None = None,
) -> Autoregressive:
    """A gated PixelCNN over a map of codes, told a coarser map if there is one."""
    place, context = codes.shape[1:], None
    if coarse is not None:
        context = CoarseContext(coarse.levels, width, place)
    told = dict(context_dim=width if coarse else 0, dropout=dropout, first=3)
    stack = GatedPixelCNN(width, codes.shape, width, blocks, **told)
    net = CodeNetwork(stack, place, codes.levels, width, context, noise)
    return Autoregressive(net, LevelLaw(codes.levels, codes.dims), codes, condition=coarse)


def vq_vae(
    data: Levels, n_codes: int = 32, dim: int = 8, width: int = 32, halvings: int = 1,
    blocks: int = 1, dropout: float = 0.0, prior_width: int = 32, prior_blocks: int = 3,
    prior_dropout: float = 0.0, noise: float = 0.0,
) -> VQVAE:  # fmt: skip
    """VQ-VAE: pictures as a map of codes, a gated PixelCNN as the prior of the map."""
    codes = Levels((1, *_require_images(data, halvings, n_codes)), n_codes)
    sizes = dict(width=width, halvings=halvings, blocks=blocks, dropout=dropout)
    encoder = MapEncoder(data.shape, dim, **sizes)
    prior = code_prior(codes, prior_width, prior_blocks, prior_dropout, noise)
    return VQVAE(data, encoder, Codebook(n_codes, dim), _map_decoder(dim, data, **sizes), prior)


def vq_vae_2(
    data: Levels, n_codes: int = 32, dim: int = 8, width: int = 32, halvings: int = 1,
    blocks: int = 1, dropout: float = 0.0, prior_width: int = 32, prior_blocks: int = 3,
    prior_dropout: float = 0.0, noise: float = 0.0,
) -> VQVAE:  # fmt: skip
    """VQ-VAE-2: a coarse map of codes above a fine one, each with its PixelCNN."""
    place = _require_images(data, halvings, n_codes)
    coarse = _require_images(data, halvings + 1)
    top, bottom = Levels((1, *coarse), n_codes), Levels((1, *place), n_codes)
    sizes = dict(width=width, halvings=halvings, blocks=blocks, dropout=dropout)
    encoder = MapEncoder(data.shape, width, **sizes)
    up = MapEncoder((width, *place), dim, width, 1, blocks, dropout)
    down = nn.Sequential(nn.Conv2d(dim, 4 * dim, 1), nn.PixelShuffle(2))
    merge = nn.Sequential(nn.SiLU(), nn.Conv2d(width + dim, dim, 1))
    books = Codebook(n_codes, dim), Codebook(n_codes, dim)
    book = TwoLevelCodebook(*books, up, down, merge, (coarse, place))
    how = prior_width, prior_blocks, prior_dropout, noise
    rows = Levels((top.dims + bottom.dims,), n_codes)
    prior = TwoLevelPrior(rows, code_prior(top, *how), code_prior(bottom, *how, top))
    return VQVAE(data, encoder, book, _map_decoder(2 * dim, data, **sizes), prior)


def categorical_vae(
    data: Levels, n_variables: int = 12, n_values: int = 8, width: int = 128,
    dropout: float = 0.0, temperature: float = 0.7,
) -> CategoricalVAE:  # fmt: skip
    """Categorical VAE: perceptrons around a few categorical codes, by Gumbel-softmax."""
    if not isinstance(data, Levels):
        raise ValueError(f"data must be integers as stored (Levels), got {data}")
    inside, hidden = n_variables * n_values, (width, width)
    encoder = nn.Sequential(nn.Flatten(), MLP(data.dims, inside, hidden, dropout, nn.GELU))
    net = MLP(inside, 3 * data.dims, hidden, dropout, nn.GELU)
    decoder = SoftmaxDecoder(LevelLogits(net, data.dims, data.levels, 3), data)
    prior = LevelTable(Levels((n_variables,), n_values))
    return CategoricalVAE(data, encoder, decoder, prior, GumbelSoftmax(temperature))


@torch.no_grad()
def code_maps(model: VQVAE, x: Tensor) -> Tensor:
    """The codes of pictures x, a few at a time."""
    return torch.cat([model.encode(part) for part in x.split(250)])


def train_two_stages(
    model: VQVAE, dataset: Any, seed: int, *, steps: int, prior: dict[str, Any],
    shift: float = 0.0, turn: float = 0.0, copies: int = 0, held_out: int | None = None,
    **settings: Any,
) -> Fit:  # fmt: skip
    """Encoder, codebook and decoder by `fit`; then the prior, on the codes that they give.

    With ``shift`` or ``turn`` pictures are jittered in the first 70 % of the first stage, and the
    prior is shown the codes of so many jittered ``copies`` too. ``prior`` are settings of the
    second stage. What is returned is of the second; its ``best_val`` is the bound of the whole.
    """
    # encoder, codebook, decoder
    val, augment = dataset.val[:held_out], None
    if shift or turn:
        augment = Jitter(dataset.levels, round(0.7 * steps), shift, turn)
    model.start_from(dataset.train)
    model.beta = 0.0
    fit(model, dataset.train, val=val, steps=steps, seed=seed, augment=augment, **settings)
    model.beta = 1.0
    # the codes, and their prior
    move = Jitter(dataset.levels, 10**9, shift, turn)
    pictures = [dataset.train] + [move(dataset.train, 0) for _ in range(copies)]
    codes = torch.cat([code_maps(model, x) for x in pictures])
    model.prior.start_from(codes)
    held = code_maps(model, val)
    done = fit(model.prior, codes, val=held, seed=seed + 1000, **settings | prior)
    return replace(done, best_val=nats(model, val, batch_size=50).mean)


def train_relaxed(
    model: CategoricalVAE, dataset: Any, seed: int, *, warm: int, steps: int, **settings: Any
) -> Fit:
    """``warm`` steps with a light KL term, so that the codes get used; then the whole of it.

    Jittered pictures in the first 70 %. The best weights are those of the least soft loss;
    ``best_val`` is their bound, by exact draws.
    """
    model.start_from(dataset.train)
    jitter = dict(levels=dataset.levels, until=round(0.7 * (warm + steps)), shift=0.25, turn=0.09)
    model.beta = 0.3
    begin = dict(steps=warm, schedule="constant", seed=seed, augment=Jitter(**jitter))
    fit(model, dataset.train, **settings | begin | {"average": 0.0})
    model.beta = 1.0
    rest = dict(steps=steps, seed=seed + 1000, augment=Jitter(**jitter, done=warm))
    done = fit(model, dataset, **settings | rest)
    return replace(done, best_val=nats(model, dataset.val, repeats=4).mean)


_COMMON = dict(clip_norm=1.0, warmup=50, progress=False)
_ON_DIGITS = dict(
    steps=1000, lr=4e-3, weight_decay=0.1, average=0.99, shift=0.3, turn=0.1, copies=9,
    prior=dict(steps=300, lr=6e-3, weight_decay=0.3), **_COMMON,
)  # fmt: skip
_ON_MNIST = dict(
    steps=4500, batch_size=32, lr=2e-3, weight_decay=0.01, average=0.995, eval_every=500,
    held_out=500, prior=dict(steps=4500, lr=3e-3, weight_decay=0.05, average=0.998), **_COMMON,
)  # fmt: skip
_RELAXED = dict(warm=400, steps=1500, lr=5e-3, weight_decay=0.1, average=0.99, **_COMMON)
_VQ = "van den Oord, Vinyals and Kavukcuoglu (2017)", "https://arxiv.org/abs/1711.00937"
_VQ2 = "Razavi, van den Oord and Vinyals (2019)", "https://arxiv.org/abs/1906.00446"
_JANG = "Jang, Gu and Poole (2017)", "https://arxiv.org/abs/1611.01144"
_SMALL = dict(n_codes=5, dim=3, width=6, prior_width=6, prior_blocks=1)
_FEW = dict(n_codes=4, dropout=0.2, prior_width=24, prior_blocks=2, prior_dropout=0.2, noise=0.1)
_TWENTY = dict(n_variables=20, n_values=4, dropout=0.1, temperature=0.4)
_LARGE = dict(n_codes=64, width=48, halvings=2, blocks=2, prior_width=44, prior_blocks=5)

ENTRIES = (
    Entry(
        vq_vae,
        "V9",
        _VQ,
        Tiny(Levels((1, 4, 4), 2), _SMALL, std=0.2),
        {
            "digits": Recipe(_FEW, _ON_DIGITS, train_two_stages, seeds=3),
            "mnist": Recipe(_LARGE, _ON_MNIST, train_two_stages),
        },
    ),
    Entry(
        vq_vae_2,
        "V9",
        _VQ2,
        Tiny(Levels((1, 8, 8), 3), _SMALL, std=0.2),
        {"digits": Recipe(_FEW, _ON_DIGITS, train_two_stages, seeds=3)},
    ),
    Entry(
        categorical_vae,
        "V9",
        _JANG,
        Tiny(Levels((1, 2, 2), 3), dict(n_variables=2, n_values=3, width=8), std=0.2),
        {"digits": Recipe(_TWENTY, _RELAXED, train_relaxed, seeds=3)},
    ),
)  # fmt: skip
