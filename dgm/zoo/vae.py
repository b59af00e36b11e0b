"""The VAEs of chapter 05: one for images, points and bits; one whose codes are a plane."""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import affine_grid, grid_sample

from dgm import data
from dgm.distribution.likelihood import (
    BernoulliLikelihood,
    CategoricalLikelihood,
    GaussianLikelihood,
)
from dgm.distribution.normal import StandardNormal
from dgm.nets.conv import ImageDecoder, ImageEncoder
from dgm.nets.mlp import MLP
from dgm.train import Fit, fit
from dgm.vae.gaussian_posterior import GaussianPosterior
from dgm.vae.vae import VAE
from dgm.zoo.entry import Entry, Recipe

GPU = {  # binarised MNIST on one GPU; not run by the committed notebooks
    "data": "mnist",
    "sizes": dict(latent_dim=50, width=64, halvings=2, dropout=0.1),
    "fit": dict(
        steps=40_000, batch_size=128, lr=1e-3, warmup=500, clip_norm=1.0, average=0.999,
        weight_decay=0.01, eval_every=1000,
    ),
}  # fmt: skip


def vae(
    shape: tuple[int, ...],
    levels: int | None = None,
    latent_dim: int = 16,
    width: int = 32,
    halvings: int = 1,
    dropout: float = 0.0,
) -> VAE:
    """Convolutions for integer images (C, H, W), perceptrons and a Gaussian for points (D,)."""
    if levels is None:
        return _vae_of_points(math.prod(shape), min(latent_dim, math.prod(shape)), width, dropout)
    prior = StandardNormal((latent_dim,))
    encoder = ImageEncoder(shape, 2 * latent_dim, width, halvings, dropout)
    values = 1 if levels == 2 else levels
    decoder = ImageDecoder(latent_dim, shape, values, width, halvings, dropout)
    if levels == 2:
        likelihood = BernoulliLikelihood(decoder, shape)
    else:
        likelihood = CategoricalLikelihood(decoder, shape, levels)
    return VAE(GaussianPosterior(encoder, latent_dim, levels), likelihood, prior)


def _vae_of_points(size: int, latent_dim: int, width: int, dropout: float) -> VAE:
    """Perceptrons, and a Gaussian that starts narrow: a wide one has no need of a code."""
    encoder = MLP(size, 2 * latent_dim, (2 * width, 2 * width), dropout)
    decoder = MLP(latent_dim, 2 * size, (2 * width, 2 * width), dropout)
    with torch.no_grad():
        decoder[-1].bias[size:].fill_(-4.0)
    likelihood = GaussianLikelihood(decoder, floor=1e-3, shape=(size,))
    return VAE(GaussianPosterior(encoder, latent_dim), likelihood, StandardNormal((latent_dim,)))


class Jitter:
    """Small shifts, turns and scalings of integer images, fewer and fewer until step ``until``.

    They are not draws of the law of the data, so training must end without them. ``shift`` is in
    pixels, ``turn`` in radians, both standard deviations.
    """

    def __init__(self, levels: int, until: int, shift: float, turn: float):
        self.levels, self.until, self.shift, self.turn, self.step = levels, until, shift, turn, 0

    def __call__(self, x: Tensor) -> Tensor:
        """x (B, C, H, W) integers -> the same, some of them moved."""
        self.step += 1
        share = max(0.0, 1 - self.step / self.until) ** 0.5  # moved images in this batch
        if share == 0:
            return x
        n, side = len(x), x.shape[-1]
        angle, scale = self.turn * torch.randn(n), 1 + 0.5 * self.turn * torch.randn(n)
        across, up = 2 / side * self.shift * torch.randn(2, n)
        cos, sin = angle.cos() * scale, angle.sin() * scale
        maps = torch.stack((cos, -sin, across, sin, cos, up), 1).view(n, 2, 3).to(x.device)
        grid = affine_grid(maps, list(x.shape), align_corners=False)
        moved = grid_sample(x.float(), grid, mode="bicubic", align_corners=False)
        moved = moved.round().clamp(0, self.levels - 1).to(x.dtype)
        chosen = (torch.rand(n) < share).view(-1, 1, 1, 1).to(x.device)
        return torch.where(chosen, moved, x)


def train_vae(
    model: VAE, seed: int, steps: int = 3000, shift: float = 0.3, turn: float = 0.1
) -> Fit:
    """AdamW on the digits, jittered at first; weights averaged, the best by validation kept."""
    digits = data.load("digits")
    model.likelihood.net.start_from(digits.train)
    jitter = Jitter(digits.levels, round(0.7 * steps), shift, turn)
    return fit(
        model, digits, steps=steps, lr=2e-3, weight_decay=0.1, warmup=100, average=0.998,
        clip_norm=1.0, seed=seed, augment=jitter, progress=False,
    )  # fmt: skip


def _tiny(shape: tuple[int, ...], levels: int | None, latent_dim: int):
    """A small randomised model of 2 by 2 images, and a batch of them."""

    def make(seed: int = 0) -> tuple[nn.Module, Tensor]:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            model = vae(shape, levels, latent_dim, width=8)
            with torch.no_grad():
                for parameter in model.parameters():
                    parameter.add_(0.1 * torch.randn_like(parameter))
            return model, torch.randint(levels, (16, *shape), dtype=torch.uint8)

    return make


def _entry(name: str, title: str, rows: str, tiny, recipe: Recipe) -> Entry:
    files = ("vae/vae.py", "vae/gaussian_posterior.py", "distribution/likelihood.py")
    return Entry(
        name=name,
        title=title,
        family="vae",
        build=vae,
        files=(*files, "distribution/normal.py"),
        chapter="05_vae",
        rows=tuple(rows.split()),
        paper="Kingma and Welling (2014), Auto-Encoding Variational Bayes",
        url="https://arxiv.org/abs/1312.6114",
        branch=("explicit", "bound", "latent"),
        tiny=tiny,
        recipes={"digits": recipe},
    )


ENTRIES = (
    _entry("vae", "Variational autoencoder", "V1 V2 V4 V5", _tiny((1, 2, 2), 3, 2),
           Recipe(dict(dropout=0.3), train_vae, seeds=3)),
    _entry("vae_plane", "VAE with a plane of codes", "R11", _tiny((1, 2, 2), 2, 1),
           Recipe(dict(latent_dim=2, dropout=0.2), train_vae, dict(steps=2000))),
)  # fmt: skip
