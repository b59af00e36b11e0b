"""Hybrid models of chapter 21: one model of pictures and classes, by a flow or by latent codes."""

from __future__ import annotations

from torch import nn

from dgm.distribution.likelihood import BernoulliDecoder, NormalDecoder, SoftmaxDecoder
from dgm.distribution.normal import StandardNormal
from dgm.distribution.support import Levels, Reals
from dgm.flow.actnorm import ActNorm
from dgm.flow.coupling import AffineCoupling
from dgm.flow.elementwise import Flatten, Permute
from dgm.flow.invertible_conv import InvertibleConv1x1
from dgm.hybrid.diva import DIVA, LabelGaussians
from dgm.hybrid.hybrid_flow import HybridBound, HybridFlow
from dgm.hybrid.hybrid_vae import HybridVAE
from dgm.hybrid.m2 import M2
from dgm.nets.conv import ImageEncoder
from dgm.nets.mlp import MLP, ResidualMLP
from dgm.vae.gaussian_posterior import GaussianEncoder
from dgm.vae.vae import VAE
from dgm.zoo.dequantised import over_normal
from dgm.zoo.entry import Entry, Recipe, Tiny
from dgm.zoo.labelled import train_semi
from dgm.zoo.residual import i_densenet, residual_flow

CHAPTER = "21_hybrid_models"
BRANCH = ("explicit", "bound", "latent")
EXACT = ("explicit", "exact", "flow")
MOST_DIMS = 256

# --- flows ----------------------------------------------------------------------------------------


def _with_head(model: nn.Module, data: Levels | Reals, n_classes: int, weight: float) -> nn.Module:
    """A flow of reals, or a dequantised one, with a linear map from its code to the classes."""
    labels = Levels((), data.count(n_classes, "n_classes", least=2))
    hybrid = HybridFlow if isinstance(data, Reals) else HybridBound
    return hybrid(model, nn.Linear(data.dims, n_classes), labels, weight)


def _small(data: Levels | Reals) -> tuple[int, ...]:
    """The shape of data of at most `MOST_DIMS` entries, or a ValueError."""
    if data.dims > MOST_DIMS:
        raise ValueError(f"data must have at most {MOST_DIMS} entries, got shape {data.shape}")
    return data.shape


def flat_couplings(
    data: Levels | Reals, steps: int, width: int, dropout: float, mixing: bool = True
) -> list[nn.Module]:
    """Couplings of perceptrons over all entries at once, a matrix or a reversal before each."""
    size = data.dims
    if size % 2 or len(_small(data)) not in (1, 3):
        raise ValueError(f"data must be vectors or images of an even size, got shape {data.shape}")
    layers = [Flatten(data.shape)] if len(data.shape) == 3 else []
    for _ in range(data.count(steps, "steps", least=1)):
        mix = InvertibleConv1x1(size) if mixing else Permute(size)
        net = ResidualMLP(size // 2, size, width, blocks=1, dropout=dropout)
        layers += [ActNorm(size), mix, AffineCoupling(net)]
    return layers


def hybrid_coupling(
    data: Levels | Reals, n_classes: int = 10, steps: int = 4, width: int = 64,
    dropout: float = 0.0, mixing: bool = True, weight: float = 1.0,
) -> nn.Module:  # fmt: skip
    """Hybrid coupling flow: couplings of perceptrons, and a linear classifier of their code.

    ``mixing`` puts an invertible matrix over all entries (a 1x1 convolution of one place) before
    each coupling; without it the entries are reversed.
    """
    layers = flat_couplings(data, steps, width, dropout, mixing)
    return _with_head(over_normal(data, layers, False), data, n_classes, weight)


def hybrid_residual(
    data: Levels | Reals, n_classes: int = 10, blocks: int = 4, width: int = 64,
    weight: float = 1.0,
) -> nn.Module:  # fmt: skip
    """Hybrid residual flow: residual blocks of perceptrons, a linear classifier of their code."""
    flat = dict(blocks=(blocks,), depth=2, marginals=False, flat=len(_small(data)) > 1)
    return _with_head(residual_flow(data, width=width, **flat), data, n_classes, weight)


def hybrid_dense(
    data: Levels | Reals, n_classes: int = 10, blocks: int = 4, grown: int = 32,
    weight: float = 1.0,
) -> nn.Module:  # fmt: skip
    """Hybrid i-DenseNet: dense blocks of perceptrons, and a linear classifier of their code."""
    flat = dict(blocks=(blocks,), depth=2, marginals=False, flat=len(_small(data)) > 1)
    return _with_head(i_densenet(data, grown=grown, **flat), data, n_classes, weight)


# --- codes ----------------------------------------------------------------------------------------


def _reader(data: Levels | Reals, out: int, width: int, dropout: float) -> nn.Sequential:
    """Scaled x to ``out`` numbers."""
    return nn.Sequential(nn.Flatten(), MLP(data.dims, out, (width, width), dropout))


def _writer(data: Levels | Reals, codes: int, width: int, dropout: float) -> nn.Module:
    """Codes to p(x|z): a coin for each bit, a table for each pixel, a Gaussian for each real."""
    if isinstance(data, Reals):
        net = MLP(codes, 2 * data.dims, (width, width), dropout)
        return NormalDecoder(net, data, floor=1e-3)
    values = 1 if data.levels == 2 else data.levels
    if data.dims * values > 20_000:
        raise ValueError(f"data must have at most 20,000 logits, got {data.dims} of {values}")
    net = MLP(codes, data.dims * values, (width, width), dropout)
    return (BernoulliDecoder if data.levels == 2 else SoftmaxDecoder)(net, data)


def _codes_of(data: Levels | Reals, latent_dim: int) -> int:
    """Entries of a code: of reals no more than they have themselves."""
    return min(latent_dim, data.dims) if isinstance(data, Reals) else latent_dim


def hybrid_vae(
    data: Levels | Reals, n_classes: int = 10, latent_dim: int = 16, width: int = 64,
    dropout: float = 0.0, weight: float = 1.0,
) -> HybridVAE:  # fmt: skip
    """Hybrid VAE: a VAE of perceptrons with a linear classifier of its code."""
    d = _codes_of(data, latent_dim)
    encoder = GaussianEncoder(_reader(data, 2 * d, width, dropout), d)
    vae = VAE(data, encoder, _writer(data, d, width, dropout), StandardNormal((d,)))
    return HybridVAE(vae, nn.Linear(d, n_classes), Levels((), n_classes), weight)


def m2(
    data: Levels | Reals, n_classes: int = 10, latent_dim: int = 8, width: int = 64,
    dropout: float = 0.0, channels: int = 0,
) -> M2:  # fmt: skip
    """M2: a VAE with the class as a latent variable, summed out where it is not known.

    The classifier is a perceptron, or with ``channels`` residual convolutions of so many.
    """
    d, k = _codes_of(data, latent_dim), n_classes
    classifier = classifier_of(data, n_classes, width, dropout, channels)
    trunk = nn.Sequential(nn.Flatten(), MLP(data.dims, width, (width,), dropout), nn.SiLU())
    encoder = GaussianEncoder(MLP(width + k, 2 * d, (width,), dropout), d)
    decoder, prior = _writer(data, d + k, width, dropout), StandardNormal((d,))
    return M2(data, Levels((), k), classifier, trunk, encoder, decoder, prior)


def classifier_of(
    data: Levels | Reals, n_classes: int, width: int, dropout: float, channels: int = 0
) -> nn.Module:
    """Scaled x to class logits: the classifier of `m2`, and its baseline alone."""
    if channels:
        return ImageEncoder(data.shape, n_classes, channels, 2, dropout)
    return _reader(data, n_classes, width, dropout)


def diva(
    data: Levels | Reals, n_classes: int = 10, n_domains: int = 5, latent_dim: int = 8,
    width: int = 64, dropout: float = 0.0, class_weight: float = 1.0, domain_weight: float = 1.0,
) -> DIVA:  # fmt: skip
    """DIVA: a VAE with a code of the domain, one of the class and one of all the rest."""
    d = latent_dim
    encoders = [GaussianEncoder(_reader(data, 2 * d, width, dropout), d) for _ in range(3)]
    domains = Levels((), data.count(n_domains, "n_domains", least=2))
    classes = Levels((), data.count(n_classes, "n_classes", least=2))
    decoder = _writer(data, 3 * d, width, dropout)
    priors = LabelGaussians(domains, d), StandardNormal((d,)), LabelGaussians(classes, d)
    heads = nn.Linear(d, n_domains), nn.Sequential(nn.SiLU(), nn.Linear(d, n_classes))
    return DIVA(data, encoders, decoder, *priors, *heads, domain_weight, class_weight)


# --- recipes --------------------------------------------------------------------------------------

FLOW_FIT = dict(
    clip_norm=1.0, progress=False, steps=400, batch_size=64, lr=3e-3, weight_decay=0.1, warmup=50,
    average=0.98, eval_every=100,
)  # fmt: skip
COUPLING_SIZES = dict(steps=4, width=96, dropout=0.2)
M2_SIZES = dict(latent_dim=4, width=88, dropout=0.2)
M2_FIT = dict(
    share=1.0, warm=500, settle=400, shift=0.3, turn=0.1, clip_norm=1.0, progress=False, steps=500,
    batch_size=32, lr=2e-3, weight_decay=0.05, warmup=50, average=0.99, eval_every=250,
)  # fmt: skip
M2_MNIST_SIZES = dict(latent_dim=10, width=240, channels=12, dropout=0.1)
M2_MNIST = dict(
    M2_FIT, n_labels=100, warm=400, settle=1500, shift=1.5, turn=0.15, steps=5500, batch_size=32,
    lr=1.5e-3, average=0.998, weight_decay=0.01, eval_every=2750, held_out=1000,
)  # fmt: skip
_NALISNICK = (
    "Nalisnick, Matsukawa, Teh, Gorur and Lakshminarayanan (2019)",
    "https://arxiv.org/abs/1902.02767",
)
_KINGMA14 = ("Kingma, Mohamed, Rezende and Welling (2014)", "https://arxiv.org/abs/1406.5298")
_SMALL_IMAGE = Levels((1, 2, 2), 3)

ENTRIES = (
    Entry(
        hybrid_coupling, "N14 F3", _NALISNICK,
        Tiny(Levels((1, 2, 2), 4), dict(n_classes=3, steps=2, width=8), std=0.1),
        branch=EXACT,
    ),
    Entry(
        hybrid_dense, "N14",
        ("Perugachi-Diaz, Tomczak and Bhulai (2021)", "https://arxiv.org/abs/2102.02694"),
        Tiny(Levels((1, 2, 2), 4), dict(n_classes=3, blocks=1, grown=6), std=0.1),
        branch=EXACT,
    ),
    Entry(
        hybrid_vae, "V19",
        ("Tomczak (2022), Deep Generative Modeling",
         "https://doi.org/10.1007/978-3-030-93158-2"),
        Tiny(_SMALL_IMAGE, dict(n_classes=3, latent_dim=2, width=8), std=0.1),
    ),
    Entry(
        m2, "V12", _KINGMA14, Tiny(_SMALL_IMAGE, dict(n_classes=3, latent_dim=2, width=8), std=0.1),
        dict(
            digits=Recipe(M2_SIZES, M2_FIT | dict(n_labels=100), train_semi, seeds=3),
            binary_mnist=Recipe(M2_MNIST_SIZES, M2_MNIST, train_semi),
        ),
    ),
    Entry(
        diva, "V13", ("Ilse, Tomczak, Louizos and Welling (2020)", "https://arxiv.org/abs/1905.10427"),
        Tiny(_SMALL_IMAGE, dict(n_classes=3, n_domains=2, latent_dim=2, width=8), std=0.1),
    ),
)  # fmt: skip
