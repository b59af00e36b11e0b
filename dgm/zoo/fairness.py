"""Fair codes of chapter 24: a VAE whose code forgets a group, one that forgets what is named."""

from __future__ import annotations

import torch
from torch import nn

from dgm.distribution.likelihood import BernoulliDecoder, NormalDecoder, SoftmaxDecoder
from dgm.distribution.normal import StandardNormal
from dgm.distribution.support import Levels, Reals
from dgm.fairness.fair_vae import FairVAE
from dgm.fairness.flexibly_fair import FlexiblyFairVAE
from dgm.fairness.group_adversary import GroupAdversary
from dgm.fairness.random_feature_mmd import GroupMMD, RandomFeatures
from dgm.nets.mlp import MLP
from dgm.vae.gaussian_posterior import GaussianEncoder
from dgm.zoo.entry import Entry, Tiny

CHAPTER = "24_fair_and_invariant"
BRANCH = ("explicit", "bound", "latent")
MOST_LOGITS = 20_000


def _narrow(net: MLP) -> MLP:
    """Means and log variances that begin at about e^-3: a code is then worth having."""
    with torch.no_grad():
        net[-1].bias[len(net[-1].bias) // 2 :] -= 3.0
    return net


def _fair_decoder(data: Levels | Reals, codes: int, width: int) -> nn.Module:
    """Codes to p(x|codes): Gaussians of reals, coins of bits, tables of levels."""
    hidden = (width, width)
    if isinstance(data, Reals):
        return NormalDecoder(_narrow(MLP(codes, 2 * data.dims, hidden)), data, floor=1e-2)
    per_entry = 1 if data.levels == 2 else data.levels
    n_logits = per_entry * data.dims
    if n_logits > MOST_LOGITS:
        raise ValueError(f"data must have at most {MOST_LOGITS} logits, got {n_logits}")
    decoder = BernoulliDecoder if per_entry == 1 else SoftmaxDecoder
    return decoder(MLP(codes, n_logits, hidden), data)


def fair_vae(
    data: Levels | Reals, n_groups: int = 2, n_classes: int = 2, latent_dim: int = 8,
    style_dim: int = 4, width: int = 64, strength: float = 0.0, label_weight: float = 1.0,
    n_features: int = 256,
) -> FairVAE:  # fmt: skip
    """Variational fair autoencoder: a code beside the group, penalised where groups differ."""
    d = min(latent_dim, data.dims) if isinstance(data, Reals) else latent_dim
    groups = Levels((), data.count(n_groups, "n_groups", least=2))
    labels = Levels((), data.count(n_classes, "n_classes", least=2))
    encoder = GaussianEncoder(MLP(data.dims + n_groups, 2 * d, (width, width)), d)
    classifier = MLP(d, n_classes, (width,))
    style_encoder = GaussianEncoder(MLP(d + n_classes, 2 * style_dim, (width,)), style_dim)
    code_decoder = NormalDecoder(
        MLP(style_dim + n_classes, 2 * d, (width,)), Reals((d,)), floor=1e-2
    )
    penalty = GroupMMD(RandomFeatures(d, n_features, (d, d / 10)), n_groups)
    return FairVAE(
        data, groups, labels, encoder, classifier, style_encoder, code_decoder,
        _fair_decoder(data, d + n_groups, width), StandardNormal((style_dim,)), penalty, strength,
        label_weight,
    )  # fmt: skip


def flexibly_fair_vae(
    data: Levels | Reals, n_attributes: int = 2, latent_dim: int = 10, width: int = 64,
    attribute_weight: float = 1.0, independence: float = 1.0,
) -> FlexiblyFairVAE:  # fmt: skip
    """Flexibly fair VAE: one code for each attribute, left out when it is used."""
    d = latent_dim
    attributes = Levels((data.count(n_attributes, "n_attributes", least=1),), 2)
    reader = nn.Sequential(nn.Flatten(), MLP(data.dims, 2 * d, (width, width)))
    critic = MLP(d, 1, (width, width))
    return FlexiblyFairVAE(
        data, attributes, GaussianEncoder(reader, d), _fair_decoder(data, d, width),
        StandardNormal((d,)), critic, attribute_weight, independence,
    )  # fmt: skip


def linear_adversary(d: int, n_groups: int = 2) -> GroupAdversary:
    """A weak one: a linear map of the code."""
    return GroupAdversary(nn.Linear(d, n_groups))


def deep_adversary(d: int, n_groups: int = 2, width: int = 64) -> GroupAdversary:
    """A stronger one: a perceptron of two hidden layers."""
    return GroupAdversary(MLP(d, n_groups, (width, width)))


ENTRIES = (
    Entry(
        fair_vae, "V10",
        ("Louizos, Swersky, Li, Welling and Zemel (2016)", "https://arxiv.org/abs/1511.00830"),
        Tiny(
            Levels((1, 2, 2), 3), dict(latent_dim=3, style_dim=2, width=8, n_features=16), std=0.1
        ),
    ),
    Entry(
        flexibly_fair_vae, "V10", ("Creager et al. (2019)", "https://arxiv.org/abs/1906.02589"),
        Tiny(Levels((1, 2, 2), 3), dict(latent_dim=4, width=8), std=0.1),
    ),
)  # fmt: skip
