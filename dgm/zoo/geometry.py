"""The latent spaces of chapter 09: spheres, the rotations of space, a plane with a metric."""

from typing import Any

import torch
from torch import nn

from dgm.distribution.binned_gaussian import BinnedGaussianDecoder
from dgm.distribution.likelihood import BernoulliDecoder, SoftmaxDecoder
from dgm.distribution.normal import StandardNormal
from dgm.distribution.support import Levels
from dgm.geometry.rbf_precision import RBFSpread
from dgm.geometry.rotation import WrappedRotationEncoder
from dgm.geometry.turned_points import TurnedPoints
from dgm.geometry.uniform_rotation import UniformRotation
from dgm.geometry.uniform_sphere import UniformSphere
from dgm.geometry.von_mises_fisher import VonMisesFisherEncoder
from dgm.nets.level_logits import LevelLogits
from dgm.nets.mlp import MLP
from dgm.train import Fit, fit
from dgm.train.jitter import Jitter
from dgm.vae.gaussian_posterior import GaussianEncoder
from dgm.vae.vae import VAE
from dgm.zoo.entry import Entry, Recipe, Tiny, warm_and_fit

CHAPTER = "09_latent_geometry"
BRANCH = ("explicit", "bound", "latent")


def _level_decoder(data: Levels, latent_dim: int, width: int, dropout: float) -> nn.Module:
    """Perceptrons from the numbers of a code to logits of bits, or to tilts of levels."""
    hidden = (width, width)
    if data.levels == 2:
        net = nn.Sequential(nn.Flatten(), MLP(latent_dim, data.dims, hidden, dropout, nn.GELU))
        return BernoulliDecoder(net, data)
    tilt = MLP(latent_dim, 3 * data.dims, hidden, dropout, nn.GELU)
    net = LevelLogits(nn.Sequential(nn.Flatten(), tilt), data.dims, data.levels, 3)
    return SoftmaxDecoder(net, data)


def _require_levels(data: object) -> None:
    if not isinstance(data, Levels):
        raise ValueError(f"data must be integers as stored (Levels), got {data}")


def hyperspherical_vae(
    data: Levels,
    sphere_dim: int = 2,
    n_spheres: int = 1,
    width: int = 128,
    dropout: float = 0.2,
) -> VAE:
    """Hyperspherical VAE: codes on spheres, von Mises-Fisher posteriors, a uniform prior.

    ``sphere_dim`` is that of the surface: its points have one number more.
    """
    _require_levels(data)
    m = sphere_dim + 1
    read = MLP(data.dims, n_spheres * (m + 1), (width, width // 2), dropout, nn.GELU)
    encoder = VonMisesFisherEncoder(nn.Sequential(nn.Flatten(), read), m, n_spheres)
    decoder = _level_decoder(data, n_spheres * m, width, dropout)
    return VAE(data, encoder, decoder, UniformSphere(m, n_spheres))


def flat_vae(data: Levels, latent_dim: int = 2, width: int = 128, dropout: float = 0.2) -> VAE:
    """VAE with flat codes: the networks of the hyperspherical one, a Gaussian for the sphere."""
    _require_levels(data)
    read = MLP(data.dims, 2 * latent_dim, (width, width // 2), dropout, nn.GELU)
    encoder = GaussianEncoder(nn.Sequential(nn.Flatten(), read), latent_dim, log_std=True)
    decoder = _level_decoder(data, latent_dim, width, dropout)
    return VAE(data, encoder, decoder, StandardNormal((latent_dim,)))


def rotation_vae(data: Levels, width: int = 128, n_points: int = 16) -> VAE:
    """Rotation VAE: a code is a rotation of space, a picture shows learned points turned by it."""
    _require_levels(data)
    if len(data.shape) != 3:
        raise ValueError(f"data must be images (C, H, W), got shape {data.shape}")
    read = MLP(data.dims, 9, (width, width), activation=nn.GELU)
    centred = nn.BatchNorm1d(data.dims, affine=False)  # else all codes start as one
    encoder = WrappedRotationEncoder(nn.Sequential(nn.Flatten(), centred, read))
    decoder = BinnedGaussianDecoder(TurnedPoints(data.shape, n_points), data)
    return VAE(data, encoder, decoder, UniformRotation())


def riemannian_vae(
    data: Levels, latent_dim: int = 2, width: int = 96, n_centers: int = 64, floor: float = 0.05
) -> VAE:
    """Riemannian VAE: smooth networks, and a spread that grows where there were no data."""
    _require_levels(data)
    read = MLP(data.dims, 2 * latent_dim, (width, width // 2), activation=nn.SiLU)
    encoder = GaussianEncoder(nn.Sequential(nn.Flatten(), read), latent_dim, log_std=True)
    shift = MLP(latent_dim, data.dims, (width, width), activation=nn.Tanh)
    net = RBFSpread(shift, latent_dim, data.dims, n_centers, floor)
    return VAE(data, encoder, BinnedGaussianDecoder(net, data), StandardNormal((latent_dim,)))


def train_on_a_sphere(
    model: VAE, dataset: Any, seed: int, steps: int = 1200, warm: int = 300, beta: float = 0.3
) -> Fit:
    """``warm`` steps with a light KL term, then the bound; jittered pictures, weights averaged."""
    model.start_from(dataset.train)
    jitter = dict(levels=dataset.levels, until=round(0.7 * (warm + steps)), shift=0.25, turn=0.09)
    common = dict(lr=2e-3, weight_decay=0.1, clip_norm=1.0, progress=False)
    first, rest = Jitter(**jitter), Jitter(**jitter, done=warm)
    model.beta = beta
    fit(model, dataset.train, steps=warm, schedule="constant", seed=seed, augment=first, **common)
    model.beta = 1.0
    go_on = dict(steps=steps, average=0.99, warmup=50, seed=seed + 1000, augment=rest)
    return fit(model, dataset, **go_on, **common)


def train_spread_last(
    model: VAE, dataset: Any, seed: int, steps: int = 1200, last: int = 400
) -> Fit:
    """Codes and means first, under wide bells; then bells on the codes, and only their weights."""
    jitter = Jitter(dataset.levels, round(0.5 * steps), 0.2, 0.08)
    common = dict(lr=3e-3, clip_norm=1.0, warmup=50, progress=False)
    fit(model, dataset, steps=steps, seed=seed, augment=jitter, weight_decay=0.05, **common)
    with torch.no_grad():
        spread = model.decoder.net
        spread.place(model.eval().posterior(dataset.train).mean)
    others = [p for p in model.parameters() if p is not spread.raw]
    for p in others:
        p.requires_grad_(False)
    found = fit(model, dataset, steps=last, seed=seed + 1000, **common | dict(lr=2e-2))
    for p in others:
        p.requires_grad_(True)
    return found


def turn_together(codes: torch.Tensor, turns: torch.Tensor) -> torch.Tensor:
    """How far codes R_i (B, 3, 3) are from turning as their pictures do, mean squared chord.

    Only the turns between two pictures enter, T_j T_i^T: R_j should be T_j T_i^T R_i. So the codes
    may all differ from the T by one rotation on the right.
    """
    left = turns.mT @ codes  # the same for all, where the codes turn as the pictures do
    return (left - left.roll(1, 0)).square().sum((1, 2)).mean()


def train_turning(
    model: VAE, dataset: Any, seed: int, pairs: int = 600, steps: int = 400, rest: int = 150
) -> list[float]:
    """Codes from ``pairs`` batches of pictures whose turn from one to the next is known; then the
    bound, whose decoder alone learns for ``rest`` steps. Returns minus the bounds of the steps.
    """
    torch.manual_seed(seed)
    x, turns = dataset.train, dataset.train_y.view(-1, 3, 3).to(torch.float32)
    # the codes
    adam = torch.optim.AdamW(model.train().encoder.parameters(), 2e-3, weight_decay=0.05)
    for _ in range(pairs):
        i = torch.randint(len(x), (100,))
        loss = turn_together(model.posterior(x[i]).mean, turns[i])
        adam.zero_grad()
        loss.backward()
        adam.step()
    # the bound, the codes held to turn as the pictures do
    groups = [dict(params=model.encoder.parameters(), lr=3e-4)]
    groups.append(dict(params=model.decoder.parameters(), lr=5e-2))
    adam, found = torch.optim.AdamW(groups, weight_decay=0.01), []
    slow = torch.optim.lr_scheduler.OneCycleLR(adam, [3e-4, 5e-2], steps, pct_start=0.1)
    for step in range(steps):
        i = torch.randint(len(x), (64,))
        q = model.posterior(x[i])
        held = q if step >= rest else type(q)(q.mean.detach(), q.stddev.detach())
        z = held.rsample()
        bound = model.likelihood(z).log_prob(x[i]) + model.prior.log_prob(z) - held.log_prob(z)
        loss = 2000 * turn_together(q.mean, turns[i]) - bound.mean()
        adam.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 300.0)
        adam.step()
        slow.step()
        found.append(-bound.mean().item())
    model.eval()
    return found


_DAVIDSON = ("Davidson et al. (2018)", "https://arxiv.org/abs/1804.00891")
_KINGMA14 = ("Kingma and Welling (2014)", "https://arxiv.org/abs/1312.6114")
_FALORSI = ("Falorsi et al. (2019)", "https://arxiv.org/abs/1903.02958")
_ARVANITIDIS = ("Arvanitidis, Hansen, Hauberg (2018)", "https://arxiv.org/abs/1710.11379")
_DIGITS = dict(steps=1200, warm=300)
_BINARY = dict(warm=600, steps=8000, batch_size=64, lr=2e-3, warmup=200, average=0.999)
_BINARY |= dict(clip_norm=1.0, eval_every=1000, held_out=2000, progress=False)
_GLOBE = Recipe(dict(width=200, dropout=0.0), _BINARY, warm_and_fit)
_TINY = Levels((1, 2, 2), 3)

ENTRIES = (
    Entry(
        hyperspherical_vae,
        "V14",
        _DAVIDSON,
        Tiny(_TINY, dict(sphere_dim=2, n_spheres=2, width=8), std=0.2),
        {"digits": Recipe(fit=_DIGITS, train=train_on_a_sphere, seeds=3), "binary_mnist": _GLOBE},
    ),
    Entry(
        flat_vae,
        "V14",
        _KINGMA14,
        Tiny(_TINY, dict(width=8), std=0.2),
        {"digits": Recipe(fit=_DIGITS, train=train_on_a_sphere, seeds=3)},
    ),
    Entry(
        riemannian_vae,
        "V15",
        _ARVANITIDIS,
        Tiny(_TINY, dict(width=8, n_centers=5), std=0.2),
        {"digits": Recipe(train=train_spread_last, seeds=3)},
    ),
    Entry(rotation_vae, "V16", _FALORSI, Tiny(_TINY, dict(width=8, n_points=3), std=0.2)),
)
