"""Mixtures of the zoo: Gaussian, categorical, binned, the memorisers, and the deep mixtures."""

import math

import torch
from torch import Tensor, nn

from dgm import data
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
from dgm.train import Fit, fit
from dgm.zoo.entry import Entry, Recipe

BRANCH = ("explicit", "exact", "mixture")
CHAPTER = "02_mixtures_and_unbounded_likelihood"


def gaussian_mixture(
    shape: tuple[int, ...],
    levels: int | None = None,
    n_components: int = 8,
    full: bool = True,
    floor: float = 1e-3,
) -> GaussianMixture:
    """Gaussians for points (D,)."""
    return GaussianMixture(n_components, math.prod(shape), full, floor)


def categorical_mixture(
    shape: tuple[int, ...], levels: int, n_components: int = 60
) -> CategoricalMixture:
    """Tables of pixel shares for integer images."""
    return CategoricalMixture(n_components, shape, levels)


def discretized_mixture(
    shape: tuple[int, ...], levels: int, n_components: int = 100
) -> DiscretizedMixture:
    """Diagonal Gaussians cut into bins, for integer images."""
    return DiscretizedMixture(n_components, shape, levels)


def kernel_density(
    shape: tuple[int, ...], levels: int | None = None, n_points: int = 1000, bandwidth: float = 0.3
) -> KernelDensity:
    """Room for memorised points (D,); assign ``points`` or load a state."""
    return KernelDensity(torch.zeros(n_points, math.prod(shape)), bandwidth)


def pixel_kernel_density(
    shape: tuple[int, ...], levels: int, n_points: int = 1000, bandwidth: float = 2.0
) -> PixelKernelDensity:
    """Room for memorised integer images; assign ``images`` or load a state."""
    empty = torch.zeros(n_points, *shape, dtype=torch.uint8)
    return PixelKernelDensity(empty, levels, bandwidth)


def deep_gaussian_mixture(
    shape: tuple[int, ...],
    levels: int | None = None,
    n_codes: int = 101,
    hidden: tuple[int, ...] = (64, 64),
    floor: float = 1e-2,
) -> DeepMixture:
    """A curve of Gaussians through the plane: one latent dimension on a grid."""
    net = MLP(1, 2 * math.prod(shape), hidden, activation=nn.Tanh)
    with torch.no_grad():  # steeper first units: a curve that can bend from the start
        net[0].weight.mul_(3.0)
        net[0].bias.mul_(3.0)
    return DeepMixture(GaussianDecoder(net, floor), *normal_grid(n_codes))


def deep_mixture(
    shape: tuple[int, ...],
    levels: int,
    n_codes: int = 4096,
    n_drawn: int | None = 512,
    latent_dim: int = 8,
    hidden: tuple[int, ...] = (256, 256),
    n_features: int = 2,
    dropout: float = 0.3,
) -> DeepMixture:
    """Thousands of components out of one small network, for integer images."""
    net = MLP(latent_dim, math.prod(shape) * n_features, hidden, dropout, nn.GELU)
    decoder = CategoricalDecoder(net, shape, levels, n_features)
    n_drawn = None if n_drawn is None else min(n_drawn, n_codes)
    return DeepMixture(decoder, normal_codes(n_codes, latent_dim), n_drawn=n_drawn)


def train_deep_mixture(model: DeepMixture, seed: int) -> Fit:
    """A minute of AdamW on the digits; weights averaged, the best by validation kept."""
    digits = data.load("digits")
    model.decoder.start_from(digits.train)
    return fit(
        model,
        digits,
        steps=1500,
        batch_size=128,
        lr=2e-3,
        weight_decay=0.1,
        warmup=50,
        average=0.99,
        seed=seed,
    )


def _randomised(model: nn.Module, x: Tensor, seed: int) -> tuple[nn.Module, Tensor]:
    """Move the parameters away from where they start."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.4 * torch.empty_like(p).normal_(generator=generator))
    return model, x


def _points(seed: int, n: int = 16) -> Tensor:
    return torch.randn(n, 2, generator=torch.Generator().manual_seed(seed))


def _pixels(seed: int, n: int = 16) -> Tensor:
    """Images (n, 1, 2, 2) of 3 levels: 81 states, all of which can be enumerated."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 3, (n, 1, 2, 2), generator=generator, dtype=torch.uint8)


def _tiny_gaussian_mixture(seed: int = 0) -> tuple[nn.Module, Tensor]:
    return _randomised(gaussian_mixture((2,), n_components=3, floor=0.05), _points(seed), seed)


def _tiny_categorical_mixture(seed: int = 0) -> tuple[nn.Module, Tensor]:
    return _randomised(categorical_mixture((1, 2, 2), 3, n_components=3), _pixels(seed), seed)


def _tiny_discretized_mixture(seed: int = 0) -> tuple[nn.Module, Tensor]:
    return _randomised(discretized_mixture((1, 2, 2), 3, n_components=3), _pixels(seed), seed)


def _tiny_kernel_density(seed: int = 0) -> tuple[nn.Module, Tensor]:
    return KernelDensity(_points(seed + 1, 6), 0.5), _points(seed)


def _tiny_pixel_kernel_density(seed: int = 0) -> tuple[nn.Module, Tensor]:
    return PixelKernelDensity(_pixels(seed + 1, 6), 3, 0.8), _pixels(seed)


def _tiny_deep_gaussian_mixture(seed: int = 0) -> tuple[nn.Module, Tensor]:
    model = deep_gaussian_mixture((2,), n_codes=9, hidden=(8,), floor=0.05)
    return _randomised(model, _points(seed), seed)


def _tiny_deep_mixture(seed: int = 0) -> tuple[nn.Module, Tensor]:
    sizes = {"n_codes": 8, "n_drawn": None, "latent_dim": 2, "hidden": (8,), "dropout": 0.0}
    return _randomised(deep_mixture((1, 2, 2), 3, **sizes), _pixels(seed), seed)


def _entry(
    name: str, title: str, build, tiny, file: str, rows: str, source: tuple, **more
) -> Entry:
    """An entry of this chapter: one file to copy, paper and address from ``source``."""
    return Entry(
        name=name,
        title=title,
        family="mixture",
        build=build,
        files=(f"mixture/{file}",),
        chapter=CHAPTER,
        rows=tuple(rows.split()),
        paper=source[0],
        url=source[1],
        branch=BRANCH,
        tiny=tiny,
        **more,
    )


EM = "Dempster, Laird & Rubin (1977), Maximum Likelihood from Incomplete Data via the EM Algorithm"
EM = EM, "https://doi.org/10.1111/j.2517-6161.1977.tb01600.x"
BINS = "Salimans et al. (2017), PixelCNN++", "https://arxiv.org/abs/1701.05517"
PARZEN = "Parzen (1962), On Estimation of a Probability Density Function and Mode"
PARZEN = PARZEN, "https://doi.org/10.1214/aoms/1177704472"
MATTEI = "Mattei & Frellsen (2018), Leveraging the Exact Likelihood of Deep Latent Variable Models"
MATTEI = MATTEI, "https://arxiv.org/abs/1802.04826"
CORREIA = "Correia et al. (2023), Continuous Mixtures of Tractable Probabilistic Models"
CORREIA = CORREIA, "https://arxiv.org/abs/2209.10584"

ENTRIES = (
    _entry("gaussian_mixture", "Mixture of Gaussians", gaussian_mixture,
           _tiny_gaussian_mixture, "gaussian_mixture.py", "F15 F9", EM),
    _entry("categorical_mixture", "Mixture of categorical pixels", categorical_mixture,
           _tiny_categorical_mixture, "categorical_mixture.py", "F15 F9", EM),
    _entry("discretized_mixture", "Mixture of Gaussians cut into bins", discretized_mixture,
           _tiny_discretized_mixture, "discretized_mixture.py", "F15", BINS),
    _entry("kernel_density", "Kernel density estimate", kernel_density,
           _tiny_kernel_density, "kernel_density.py", "O4", PARZEN),
    _entry("pixel_kernel_density", "Memoriser of integer images", pixel_kernel_density,
           _tiny_pixel_kernel_density, "kernel_density.py", "O4", PARZEN),
    _entry("deep_gaussian_mixture", "Deep latent variable model", deep_gaussian_mixture,
           _tiny_deep_gaussian_mixture, "deep_mixture.py", "F9", MATTEI),
    _entry("deep_mixture", "Deep mixture", deep_mixture,
           _tiny_deep_mixture, "deep_mixture.py", "F15 O4", CORREIA,
           recipes={"digits": Recipe(sizes={}, train=train_deep_mixture)}),
)  # fmt: skip
