"""Chapter 2: mixtures of Gaussians, of tables, of bins, the memorisers, and the deep mixtures."""

import torch
from torch import nn

from dgm.distribution.support import Levels, Reals
from dgm.mixture.categorical_mixture import CategoricalMixture
from dgm.mixture.deep_mixture import (
    CategoricalDecoder,
    DeepMixture,
    GaussianDecoder,
    normal_codes,
    normal_grid,
)
from dgm.mixture.discretized_mixture import DiscretizedMixture
from dgm.mixture.gaussian_mixture import GaussianMixture
from dgm.mixture.kernel_density import KernelDensity, PixelKernelDensity
from dgm.nets.mlp import MLP
from dgm.zoo.entry import Entry, Recipe, Tiny

CHAPTER = "02_mixtures_and_unbounded_likelihood"
BRANCH = ("explicit", "exact", "mixture")


def _must_be(data: Levels | Reals, kind: type) -> None:
    """Raise a ValueError that names data unless it is of this kind, and points if real."""
    if not isinstance(data, kind) or (kind is Reals and len(data.shape) != 1):
        what = "Reals of shape (D,)" if kind is Reals else "Levels"
        raise ValueError(f"data must be {what}, got {data} of shape {data.shape}")


def gaussian_mixture(
    data: Reals, n_components: int = 8, full: bool = True, floor: float = 1e-3
) -> GaussianMixture:
    """Mixture of Gaussians: for points (D,), with a floor on the variance."""
    _must_be(data, Reals)
    return GaussianMixture(n_components, data, full, floor)


def categorical_mixture(data: Levels, n_components: int = 60) -> CategoricalMixture:
    """Mixture of categorical pixels: tables of pixel shares for integer images."""
    _must_be(data, Levels)
    return CategoricalMixture(n_components, data)


def discretized_mixture(data: Levels, n_components: int = 100) -> DiscretizedMixture:
    """Mixture of Gaussians cut into bins: for integer images, exact mass."""
    _must_be(data, Levels)
    return DiscretizedMixture(n_components, data)


def kernel_density(data: Reals, n_points: int = 1000, bandwidth: float = 0.3) -> KernelDensity:
    """Kernel density estimate: random points, until `fit_to` memorises others."""
    _must_be(data, Reals)
    return KernelDensity(data, torch.randn(n_points, *data.shape), bandwidth)


def pixel_kernel_density(
    data: Levels, n_points: int = 1000, bandwidth: float = 2.0
) -> PixelKernelDensity:
    """Memoriser of integer images: random ones, until `fit_to` memorises others."""
    _must_be(data, Levels)
    images = torch.randint(data.levels, (n_points, *data.shape))
    return PixelKernelDensity(data, images, bandwidth)


def deep_gaussian_mixture(
    data: Reals, n_codes: int = 101, hidden: tuple[int, ...] = (64, 64), floor: float = 1e-2
) -> DeepMixture:
    """Deep latent variable model: a curve of Gaussians, one latent dimension on a grid."""
    _must_be(data, Reals)
    net = MLP(1, 2 * data.dims, hidden, activation=nn.Tanh)
    with torch.no_grad():  # steeper first units: a curve that can bend from the start
        net[0].weight.mul_(3.0)
        net[0].bias.mul_(3.0)
    return DeepMixture(data, GaussianDecoder(net, data, floor), *normal_grid(n_codes))


def deep_mixture(
    data: Levels,
    n_codes: int = 4096,
    n_drawn: int | None = None,
    latent_dim: int = 8,
    hidden: tuple[int, ...] = (256, 256),
    n_features: int = 2,
    dropout: float = 0.3,
) -> DeepMixture:
    """Deep mixture: thousands of components out of one small network, for integer images."""
    _must_be(data, Levels)
    net = MLP(latent_dim, data.dims * n_features, hidden, dropout, nn.GELU)
    decoder = CategoricalDecoder(net, data, n_features)
    return DeepMixture(data, decoder, normal_codes(n_codes, latent_dim), n_drawn=n_drawn)


SOURCES_OF_MIXTURES = {
    "EM": ("Dempster, Laird & Rubin (1977), Maximum Likelihood from Incomplete Data via the EM "
           "Algorithm", "https://doi.org/10.1111/j.2517-6161.1977.tb01600.x"),
    "bins": ("Salimans et al. (2017), PixelCNN++", "https://arxiv.org/abs/1701.05517"),
    "kernels": ("Parzen (1962), On Estimation of a Probability Density Function and Mode",
                "https://doi.org/10.1214/aoms/1177704472"),
    "deep": ("Mattei & Frellsen (2018), Leveraging the Exact Likelihood of Deep Latent Variable "
             "Models", "https://arxiv.org/abs/1802.04826"),
    "codes": ("Correia et al. (2023), Continuous Mixtures of Tractable Probabilistic Models",
              "https://arxiv.org/abs/2209.10584"),
}  # fmt: skip

ENTRIES = (
    Entry(
        gaussian_mixture,
        "F15 F9",
        SOURCES_OF_MIXTURES["EM"],
        Tiny(Reals((2,)), {"n_components": 3, "floor": 0.05}, std=0.4),
    ),
    Entry(
        categorical_mixture,
        "F15 F9",
        SOURCES_OF_MIXTURES["EM"],
        Tiny(Levels((1, 2, 2), 3), {"n_components": 3}, std=0.4),
    ),
    Entry(
        discretized_mixture,
        "F15",
        SOURCES_OF_MIXTURES["bins"],
        Tiny(Levels((1, 2, 2), 3), {"n_components": 3}, std=0.4),
    ),
    Entry(
        kernel_density,
        "O4",
        SOURCES_OF_MIXTURES["kernels"],
        Tiny(Reals((2,)), {"n_points": 6, "bandwidth": 0.5}, std=0.1),
    ),
    Entry(
        pixel_kernel_density,
        "O4",
        SOURCES_OF_MIXTURES["kernels"],
        Tiny(Levels((1, 2, 2), 3), {"n_points": 6, "bandwidth": 0.8}, std=0.1),
    ),
    Entry(
        deep_gaussian_mixture,
        "F9",
        SOURCES_OF_MIXTURES["deep"],
        Tiny(Reals((2,)), {"n_codes": 9, "hidden": (8,), "floor": 0.05}, std=0.4),
    ),
    Entry(
        deep_mixture,
        "F15 O4",
        SOURCES_OF_MIXTURES["codes"],
        Tiny(
            Levels((1, 2, 2), 3),
            {"n_codes": 8, "latent_dim": 2, "hidden": (8,), "dropout": 0.0},
            std=0.4,
        ),
        recipes={
            "digits": Recipe(  # a minute of AdamW; weights averaged, the best by validation kept
                sizes={"n_drawn": 512},
                fit={
                    "steps": 1500,
                    "batch_size": 128,
                    "lr": 2e-3,
                    "weight_decay": 0.1,
                    "warmup": 50,
                    "average": 0.99,
                },
            ),
            "mnist": Recipe(
                sizes={"n_codes": 1024, "n_drawn": 256, "latent_dim": 10, "dropout": 0.0},
                fit={
                    "steps": 320,
                    "batch_size": 128,
                    "lr": 4e-3,
                    "weight_decay": 0.02,
                    "warmup": 20,
                    "average": 0.97,
                    "clip_norm": 1.0,
                    "eval_every": 80,
                    "held_out": 500,
                    "progress": False,
                },
            ),
        },
    ),
)
