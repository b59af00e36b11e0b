"""The VAEs of chapter 23 whose codes have a price, and InfoGAN beside them."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import torch
from torch import nn

from dgm import evaluate
from dgm.disentanglement.annealed_capacity import AnnealedCapacity
from dgm.disentanglement.covariance_price import CovariancePrice
from dgm.disentanglement.critic_price import CriticPrice
from dgm.disentanglement.info_gan import CodesAndNoise, InfoGAN
from dgm.disentanglement.minibatch_price import MinibatchPrice
from dgm.disentanglement.priced_vae import PricedVAE, WeightedKL
from dgm.distribution.likelihood import BernoulliDecoder, NormalDecoder, SoftmaxDecoder
from dgm.distribution.normal import StandardNormal
from dgm.distribution.support import Levels, Reals
from dgm.gan.games import NonSaturating
from dgm.gan.gan import GAN
from dgm.gan.penalties import ZeroSlope
from dgm.nets.mlp import MLP
from dgm.train import Fit, fit
from dgm.vae.gaussian_posterior import GaussianEncoder
from dgm.vae.vae import VAE
from dgm.zoo.entry import Entry, Recipe, Tiny

CHAPTER = "23_disentanglement"
BRANCH = ("explicit", "bound", "latent")
MOST_LOGITS = 20_000


def _perceptron_vae(data: Levels | Reals, latent_dim: int, width: int) -> VAE:
    """A VAE of perceptrons: a coin for each bit, a table for each level, a Gaussian for reals."""
    d = min(latent_dim, data.dims) if isinstance(data, Reals) else latent_dim
    hidden, levels = (width, width), getattr(data, "levels", 2)
    values = 2 if isinstance(data, Reals) else 1 if levels == 2 else levels
    if data.dims * values > MOST_LOGITS:
        raise ValueError(f"data must need at most {MOST_LOGITS} logits, got shape {data.shape}")
    read = nn.Sequential(nn.Flatten(), MLP(data.dims, 2 * d, hidden))
    net = MLP(d, data.dims * values, hidden)
    if isinstance(data, Reals):  # it starts narrow: a wide one has no need of a code
        torch.nn.init.constant_(net[-1].bias[data.dims :], -4.0)
        decoder = NormalDecoder(net, data, floor=1e-3)
    else:
        decoder = (BernoulliDecoder if levels == 2 else SoftmaxDecoder)(net, data)
    return VAE(data, GaussianEncoder(read, d), decoder, StandardNormal((d,)))


def beta_vae(
    data: Levels | Reals, latent_dim: int = 8, width: int = 128, beta: float = 1.0,
    weight: float = 1.0,
) -> PricedVAE:  # fmt: skip
    """beta-VAE: every nat of the KL costs beta nats."""
    return PricedVAE(_perceptron_vae(data, latent_dim, width), WeightedKL(beta), weight)


def annealed_vae(
    data: Levels | Reals, latent_dim: int = 8, width: int = 128, capacity: float = 10.0,
    rise: int = 1000, gamma: float = 10.0, weight: float = 1.0,
) -> PricedVAE:  # fmt: skip
    """Annealed VAE: the KL is held at a capacity that rises for the first ``rise`` steps."""
    price = AnnealedCapacity(capacity, max(rise, 1), gamma)
    return PricedVAE(_perceptron_vae(data, latent_dim, width), price, weight)


def factor_vae(
    data: Levels | Reals, latent_dim: int = 8, width: int = 128, gamma: float = 10.0,
    critic_width: int = 64, weight: float = 1.0,
) -> PricedVAE:  # fmt: skip
    """FactorVAE: total correlation by a critic, which learns beside the VAE."""
    vae = _perceptron_vae(data, latent_dim, width)
    hidden = (critic_width, critic_width)
    critic = MLP(vae.encoder.latent_dim, 1, hidden, activation=nn.LeakyReLU)
    return PricedVAE(vae, CriticPrice(critic, gamma), weight)


def tc_vae(
    data: Levels | Reals, latent_dim: int = 8, width: int = 128, beta: float = 6.0,
    n_examples: int = 5000, weight: float = 1.0,
) -> PricedVAE:  # fmt: skip
    """beta-TCVAE: total correlation estimated from the batch."""
    return PricedVAE(
        _perceptron_vae(data, latent_dim, width), MinibatchPrice(beta, n_examples), weight
    )


def dip_vae(
    data: Levels | Reals, latent_dim: int = 8, width: int = 128, off_diagonal: float = 10.0,
    diagonal: float = 10.0, sampled: bool = False, weight: float = 1.0,
) -> PricedVAE:  # fmt: skip
    """DIP-VAE: the covariance of means (I) or of samples (II) drawn to the identity."""
    price = CovariancePrice(off_diagonal, diagonal, sampled)
    return PricedVAE(_perceptron_vae(data, latent_dim, width), price, weight)


def info_gan(
    data: Levels | Reals, n_codes: int = 5, n_noise: int = 8, width: int = 128,
    weight: float = 1.0, penalty: float = 0.1, noise: float = 0.0,
) -> InfoGAN:  # fmt: skip
    """InfoGAN: a GAN of perceptrons, some entries of whose noise are read back."""
    generator = nn.Sequential(MLP(n_codes + n_noise, data.dims, (width, width)))
    if isinstance(data, Levels):
        generator.append(nn.Tanh())
    critic = nn.Sequential(nn.Flatten(), MLP(data.dims, 1, (width, width)))
    reader = nn.Sequential(nn.Flatten(), MLP(data.dims, n_codes, (width, width)))
    prior = CodesAndNoise(n_codes, n_noise)
    gan = GAN(data, generator, critic, NonSaturating(), prior, ZeroSlope(penalty), noise)
    return InfoGAN(gan, reader, weight)


def fit_codes(model: nn.Module, dataset: Any, seed: int, **settings: Any) -> Fit:
    """`fit` without a choice by validation: a price of the batch is no held-out score.

    Where there are validation examples, the answer holds their nats at the end.
    """
    if hasattr(model, "start_from"):
        model.start_from(dataset.train)
    done = fit(model, dataset.train, seed=seed, progress=False, **settings)
    if not hasattr(dataset, "val"):
        return done
    return dataclasses.replace(done, best_val=evaluate.nats(model, dataset.val, repeats=4).mean)


def fit_game(model: nn.Module, dataset: Any, seed: int, **settings: Any) -> Fit:
    """`fit` with the optimiser of a game; the generator of levels starts at their mean."""
    mean = model.data.scaled(dataset.train).flatten(1).mean(0).clamp(-0.98, 0.98)
    torch.nn.init.zeros_(model.gan.generator[0][-1].bias).data.add_(mean.atanh())
    adam = functools.partial(torch.optim.Adam, betas=(0.0, 0.99), fused=True)
    return fit(model, dataset.train, seed=seed, optimizer=adam, progress=False, **settings)


_TINY = Tiny(Levels((1, 2, 2), 3), dict(latent_dim=2, width=8), std=0.1)
_SPRITES = dict(batch_size=64, lr=2e-3, warmup=100, eval_every=1000)
_HELD = dict(capacity=16.0, rise=4500, gamma=40.0, weight=0.25)

ENTRIES = (
    Entry(
        beta_vae, "V6 R8 D1",
        ("Higgins et al. (2017)", "https://openreview.net/forum?id=Sy2fzU9gl"), _TINY,
        {"sprites": Recipe(dict(), _SPRITES | dict(steps=3000), fit_codes)},
    ),
    Entry(
        annealed_vae, "V8", ("Burgess et al. (2018)", "https://arxiv.org/abs/1804.03599"),
        Tiny(Levels((1, 2, 2), 3), dict(latent_dim=2, width=8, rise=3), std=0.1),
        {"sprites": Recipe(_HELD, _SPRITES | dict(steps=6000), fit_codes)},
    ),
    Entry(
        factor_vae, "V7", ("Kim and Mnih (2018)", "https://arxiv.org/abs/1802.05983"),
        Tiny(Levels((1, 2, 2), 3), dict(latent_dim=2, width=8, critic_width=5), std=0.1),
    ),
    Entry(
        tc_vae, "V8 D2 D5", ("Chen et al. (2018)", "https://arxiv.org/abs/1802.04942"), _TINY,
    ),
    Entry(
        dip_vae, "V8", ("Kumar et al. (2018)", "https://arxiv.org/abs/1711.00848"), _TINY,
    ),
    Entry(
        info_gan, "R8", ("Chen et al. (2016)", "https://arxiv.org/abs/1606.03657"),
        Tiny(Reals((2,)), dict(n_codes=2, n_noise=3, width=7)),
        branch=("implicit", "adversarial"),
    ),
)  # fmt: skip
