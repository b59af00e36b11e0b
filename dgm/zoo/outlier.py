"""Models of clothes for chapter 26: what would they say to a digit? All are small, of 28 by 28.

The weights are of 1,600 pictures, the training part of ``fashion_small`` and 1,000 more that come
with no part of it; what the chapter measures on is in neither (`fashion_training`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from dgm import data as datasets
from dgm.autoregressive.autoregressive import Autoregressive
from dgm.autoregressive.law import LogisticMixtureLaw
from dgm.distribution.discretized_logistic import (
    DiscretizedLogisticMixture,
    LogisticMixtureDecoder,
)
from dgm.distribution.normal import StandardNormal
from dgm.distribution.support import Levels
from dgm.evaluate import nats
from dgm.nets.conv import ImageDecoder, ImageEncoder
from dgm.nets.gated_pixelcnn import GatedPixelCNN
from dgm.nets.hierarchy import PictureHead
from dgm.nets.pixel_network import CachedPixelNetwork, n_level_features
from dgm.outlier.likelihood_ratio import MutatedPixels
from dgm.pixel.ordering import raster_order
from dgm.train import Fit, fit
from dgm.vae.gaussian_posterior import GaussianEncoder
from dgm.vae.vae import VAE
from dgm.zoo import load
from dgm.zoo.deep_energy import smoothed_energy
from dgm.zoo.diffusion import levels_diffusion
from dgm.zoo.entry import Entry, Recipe, Tiny
from dgm.zoo.flow import realnvp
from dgm.zoo.hierarchical import biva

CHAPTER = "26_out_of_distribution"
BRANCH = ("explicit", "exact", "autoregressive")
DATA = "fashion_small"


# --- the pictures ---------------------------------------------------------------------------------


def fashion_training() -> Tensor:
    """1,600 pictures of clothes to train on: the official ones 0 to 599 and 1000 to 1999.

    Numbers 600 to 799 validate, 800 to 999 test: `fashion_small`, which comes with the package and
    whose 600 are the only ones to train on without a network (or a folder in DGM_DATA).
    """
    here, official = datasets.load(DATA), datasets.load("fashion_mnist")
    first = torch.cat((official.train, official.val, official.test))[:2000]
    if not torch.equal(first[:600], here.train):
        raise ValueError("fashion_mnist does not begin with the training part of fashion_small")
    return torch.cat((here.train, first[1000:]))


def fashion_labels() -> Tensor:
    """(1600,) classes of `fashion_training`."""
    official = datasets.load("fashion_mnist")
    y = torch.cat((official.train_y, official.val_y, official.test_y))[:2000]
    return torch.cat((y[:600], y[1000:]))


# --- the systems ----------------------------------------------------------------------------------


def _of_pictures(data: Levels) -> Levels:
    if not isinstance(data, Levels) or len(data.shape) != 3:
        raise ValueError(f"data must be images, Levels of shape (C, H, W), got {data}")
    return data


def fashion_pixels(
    data: Levels, width: int = 24, blocks: int = 5, n_components: int = 5,
    dilations: Sequence[int] = (1, 2, 1, 4, 1),
) -> Autoregressive:  # fmt: skip
    """Pixel model of clothes: a gated PixelCNN with mixtures of logistics, no place known to it."""
    shape, levels = _of_pictures(data).shape, data.levels
    sizes = dict(dilations=dilations, places=False)
    stack = GatedPixelCNN(n_level_features(shape, levels), shape, width, blocks, **sizes)
    law = LogisticMixtureLaw(DiscretizedLogisticMixture, levels, data.dims, n_components)
    net = CachedPixelNetwork(stack, shape, levels, law.out_features)
    return Autoregressive(net, law, data, raster_order(*shape))


def fashion_background(
    data: Levels, width: int = 24, blocks: int = 5, n_components: int = 5,
    dilations: Sequence[int] = (1, 2, 1, 4, 1),
) -> Autoregressive:  # fmt: skip
    """Background of clothes: the same pixel model, of pictures with some pixels drawn anew."""
    return fashion_pixels(data, width, blocks, n_components, dilations)


def fashion_flow(
    data: Levels, steps: Sequence[int] = (4, 4), width: int = 24, noise_width: int = 16
) -> nn.Module:
    """Flow of clothes: RealNVP with learned noise, its box opened by a plain logit."""
    return realnvp(_of_pictures(data), steps, width, noise_width=noise_width, marginals=False)


def fashion_vae(
    data: Levels, latent_dim: int = 16, width: int = 20, halvings: int = 2, n_components: int = 3
) -> VAE:
    """VAE of clothes: residual convolutions, a mixture of logistics for every pixel."""
    shape = _of_pictures(data).shape
    read = ImageEncoder(shape, 2 * latent_dim, width, halvings)
    paint = ImageDecoder(latent_dim, shape, 3 * n_components, width, halvings)
    decoder = LogisticMixtureDecoder(paint, data, n_components)
    prior = StandardNormal((latent_dim,))
    return VAE(data, GaussianEncoder(read, latent_dim), decoder, prior)


def fashion_hierarchy(
    data: Levels, sides: Sequence[int] = (1, 7, 14), channels: Sequence[int] = (16, 4, 2),
    width: int = 24, inner: int = 16, n_components: int = 3,
) -> nn.Module:  # fmt: skip
    """Hierarchy of clothes: BIVA with three layers, a mixture of logistics for every pixel."""
    model = biva(_of_pictures(data), tuple(sides), tuple(channels), width, inner=inner)
    head = PictureHead(width, sides[-1], data.shape, 3 * n_components, inner)
    model.decoder = LogisticMixtureDecoder(head, data, n_components)
    return model


def fashion_diffusion(
    data: Levels, width: int = 24, blocks: int = 1, patch: int = 2, n_features: int = 8,
    steps: int = 1000, strata: int = 8,
) -> nn.Module:  # fmt: skip
    """Diffusion of clothes: a law over the levels at every pixel, the schedule learned."""
    sizes = dict(width=width, blocks=blocks, patch=patch, n_features=n_features)
    return levels_diffusion(_of_pictures(data), steps=steps, strata=strata, **sizes)


def fashion_energy(
    data: Levels, widths: Sequence[int] = (16, 32), hidden: int = 64, noise: float = 0.3,
    steps: int = 100,
) -> nn.Module:  # fmt: skip
    """Energy of clothes: convolutions, slopes matched in noise; its Z is not known."""
    return smoothed_energy(_of_pictures(data), tuple(widths), hidden, noise, steps=steps)


# --- how they train -------------------------------------------------------------------------------


def fit_clothes(
    model: nn.Module, dataset: Any, seed: int, *, scored: int | None = None, **settings: Any
) -> Fit:  # fmt: skip
    """`fit` on the 1,600 pictures of `fashion_training`; ``dataset`` gives those to validate on.

    ``scored``: how many test pictures train.py takes a score of.
    """
    pictures = fashion_training()
    if hasattr(model, "start_from"):
        model.start_from(pictures)
    return fit(model, pictures, val=dataset.val, seed=seed, progress=False, **settings)


def fit_background(
    model: nn.Module, dataset: Any, seed: int, *, rate: float, **settings: Any
) -> Fit:
    """Go on from the stored pixel model, on pictures of which a share ``rate`` is drawn anew.

    Note: Ren et al. train the background from nothing, with a penalty on its weights.
    """
    model.load_state_dict(load("fashion_pixels", DATA).state_dict())
    spoilt = MutatedPixels(dataset.levels, rate)
    fitted = fit(
        model, fashion_training(), seed=seed, augment=spoilt, progress=False, **settings
    )  # fmt: skip
    return replace(fitted, best_val=nats(model, dataset.val, batch_size=40).mean)


_FIT = dict(warmup=50, average=0.99, clip_norm=1.0, weight_decay=0.01)
_SPOILT = dict(steps=130, batch_size=16, lr=1e-3, warmup=20, average=0.97, clip_norm=1.0)
_GATED = ("van den Oord et al. (2016)", "https://arxiv.org/abs/1606.05328")
_REN = ("Ren et al. (2019)", "https://arxiv.org/abs/1906.02845")
_DINH = ("Dinh, Sohl-Dickstein and Bengio (2017)", "https://arxiv.org/abs/1605.08803")
_KINGMA = ("Kingma and Welling (2014)", "https://arxiv.org/abs/1312.6114")
_MAALOE = ("Maaloe et al. (2019)", "https://arxiv.org/abs/1902.02102")
_VARIATIONAL = ("Kingma, Salimans, Poole, Ho (2021)", "https://arxiv.org/abs/2107.00630")
_SAREMI = ("Saremi, Hyvarinen (2019)", "https://arxiv.org/abs/1903.02334")
_CHAIN = Tiny(Levels((1, 2, 3), 3), dict(width=6, blocks=2, n_components=2, dilations=(1, 2)))
_BOUND = ("explicit", "bound", "latent")


def _clothes(train: Any = fit_clothes, **settings: Any) -> dict[str, Recipe]:
    return {DATA: Recipe({}, _FIT | settings, train)}


ENTRIES = (
    Entry(
        fashion_pixels, "O1", _GATED, _CHAIN,
        _clothes(steps=750, batch_size=16, lr=4e-3, weight_decay=0.02, eval_every=250),
    ),
    Entry(
        fashion_background, "O1", _REN, _CHAIN,
        {DATA: Recipe({}, _SPOILT | dict(rate=0.1), fit_background)},
    ),
    Entry(
        fashion_flow, "O1", _DINH,
        Tiny(Levels((1, 4, 4), 5), dict(steps=(1, 1), width=8, noise_width=5), std=0.1),
        _clothes(steps=900, batch_size=16, lr=3e-3, eval_every=300),
        branch=("explicit", "exact", "flow"),
    ),
    Entry(
        fashion_vae, "O1", _KINGMA,
        Tiny(Levels((1, 2, 2), 3), dict(latent_dim=2, width=8, halvings=1, n_components=2), 0.1),
        _clothes(steps=600, batch_size=32, lr=2e-3, eval_every=200),
        branch=_BOUND,
    ),
    Entry(
        fashion_hierarchy, "O1", _MAALOE,
        Tiny(
            Levels((1, 2, 2), 3),
            dict(sides=(1, 2), channels=(3, 2), width=6, inner=5, n_components=2), std=0.2,
        ),
        _clothes(steps=600, batch_size=32, lr=2e-3, eval_every=200),
        branch=_BOUND,
    ),
    Entry(
        fashion_diffusion, "O1", _VARIATIONAL,
        Tiny(
            Levels((1, 2, 2), 3), dict(steps=3, strata=3, width=8, patch=1, n_features=2), std=0.2
        ),
        _clothes(steps=450, batch_size=32, lr=2e-3, eval_every=225, scored=200),
        branch=("explicit", "bound", "diffusion"),
    ),
    Entry(
        fashion_energy, "O1", _SAREMI,
        Tiny(Levels((1, 4, 4), 5), dict(widths=(3, 4), hidden=5, steps=5), std=0.3),
        branch=("explicit", "unnormalised", "energy"),
    ),
)  # fmt: skip
