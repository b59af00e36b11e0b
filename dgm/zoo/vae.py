"""The VAEs of chapter 05: one for images, bits and points; one whose codes are a plane."""

from typing import Any

import torch
from torch import nn

from dgm.distribution.likelihood import BernoulliDecoder, NormalDecoder, SoftmaxDecoder
from dgm.distribution.normal import StandardNormal
from dgm.distribution.support import Levels, Reals
from dgm.nets.conv import ImageDecoder, ImageEncoder
from dgm.nets.level_logits import LevelLogits
from dgm.nets.mlp import MLP
from dgm.train import Fit, fit
from dgm.train.jitter import Jitter
from dgm.vae.gaussian_posterior import GaussianEncoder
from dgm.vae.vae import VAE
from dgm.zoo.entry import Entry, Recipe, Tiny, warm_and_fit

CHAPTER = "05_vae"
BRANCH = ("explicit", "bound", "latent")


def vae(
    data: Levels | Reals,
    latent_dim: int = 16,
    width: int = 32,
    halvings: int = 1,
    dropout: float = 0.0,
) -> VAE:
    """Variational autoencoder: residual convolutions for images, perceptrons for points.

    Points (D,) get at most D latent dimensions: more would have nothing to say.
    """
    latent_dim = min(latent_dim, data.dims) if isinstance(data, Reals) else latent_dim
    prior = StandardNormal((latent_dim,))
    if isinstance(data, Reals):
        return VAE(data, *_parts_for_points(data, latent_dim, width, dropout), prior)
    if len(data.shape) != 3:
        raise ValueError(f"data must be images (C, H, W) or points (D,), got shape {data.shape}")
    few = data.levels <= 32  # else neighbouring levels share what they learn: 8 numbers a pixel
    values = 1 if data.levels == 2 else data.levels if few else 8
    read = ImageEncoder(data.shape, 2 * latent_dim, width, halvings, dropout)
    net = ImageDecoder(latent_dim, data.shape, values, width, halvings, dropout)
    if not few:
        net = LevelLogits(nn.Sequential(net, nn.Flatten()), data.dims, data.levels, values)
    decoder = (BernoulliDecoder if data.levels == 2 else SoftmaxDecoder)(net, data)
    return VAE(data, GaussianEncoder(read, latent_dim), decoder, prior)


def _parts_for_points(
    data: Reals, latent_dim: int, width: int, dropout: float
) -> tuple[nn.Module, nn.Module]:
    """Encoder, and a Gaussian decoder that starts narrow: a wide one has no need of a code."""
    if len(data.shape) != 1:
        raise ValueError(f"data must be images (C, H, W) or points (D,), got shape {data.shape}")
    hidden = (2 * width, 2 * width)
    read = MLP(data.dims, 2 * latent_dim, hidden, dropout)
    net = MLP(latent_dim, 2 * data.dims, hidden, dropout)
    with torch.no_grad():
        net[-1].bias[data.dims :].fill_(-4.0)
    return GaussianEncoder(read, latent_dim), NormalDecoder(net, data, floor=1e-3)


def vae_plane(data: Levels | Reals, width: int = 32, dropout: float = 0.0) -> VAE:
    """VAE with a plane of codes: the same with two latent dimensions, to walk in."""
    return vae(data, latent_dim=2, width=width, dropout=dropout)


def train_jittered(
    model: VAE, dataset: Any, seed: int, *, steps: int, shift: float, turn: float, **settings: Any
) -> Fit:
    """`fit` on pictures that are jittered in the first 70 % of the steps."""
    model.start_from(dataset.train)
    jitter = Jitter(dataset.levels, round(0.7 * steps), shift, turn)
    return fit(model, dataset, steps=steps, seed=seed, augment=jitter, **settings)


_KINGMA = "Kingma and Welling (2014), Auto-encoding variational Bayes"
_SOURCE = (_KINGMA, "https://arxiv.org/abs/1312.6114")
_DIGITS = dict(
    lr=2e-3, weight_decay=0.1, warmup=100, average=0.998, clip_norm=1.0, shift=0.3, turn=0.1,
    progress=False,
)  # fmt: skip
_ON_MNIST = dict(
    warm=1000, steps=5500, batch_size=32, lr=2e-3, weight_decay=0.01, warmup=100, average=0.999,
    clip_norm=1.0, eval_every=500, held_out=1000, progress=False,
)  # fmt: skip

ENTRIES = (
    Entry(
        vae,
        "V1 V2 V4 V5",
        _SOURCE,
        Tiny(Levels((1, 2, 2), 3), dict(latent_dim=2, width=8), std=0.1),
        {
            "digits": Recipe(
                dict(dropout=0.3), dict(steps=3000, **_DIGITS), train_jittered, seeds=3
            ),
            "mnist": Recipe(dict(latent_dim=32, width=24, halvings=2), _ON_MNIST, warm_and_fit),
            "mnist_gpu": Recipe(
                dict(latent_dim=50, width=64, halvings=2, dropout=0.1),
                dict(_ON_MNIST, steps=40_000, batch_size=128),
                warm_and_fit,
                of="mnist",
                scale="gpu",
            ),
        },
    ),
    Entry(
        vae_plane,
        "R11",
        _SOURCE,
        Tiny(Levels((1, 2, 2), 2), dict(width=8), std=0.1),
        {"digits": Recipe(dict(dropout=0.2), dict(steps=2000, **_DIGITS), train_jittered)},
    ),
)
