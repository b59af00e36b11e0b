"""The ladder of posteriors of chapter 06: one base VAE, and layers on top of its Gaussian."""

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from dgm import data
from dgm.distribution.likelihood import CategoricalLikelihood
from dgm.distribution.normal import StandardNormal
from dgm.nets.level_logits import LevelLogits
from dgm.nets.masked_mlp import MaskedMLP
from dgm.nets.mlp import MLP
from dgm.train import Fit, fit
from dgm.vae.flow_posterior import FlowPosterior
from dgm.vae.householder import Householder
from dgm.vae.inverse_autoregressive import InverseAutoregressive
from dgm.vae.planar import Planar
from dgm.vae.sylvester import HouseholderBasis, OrthogonalBasis, ReversalBasis, Sylvester
from dgm.vae.vae import VAE
from dgm.zoo.entry import Entry, Recipe
from dgm.zoo.vae import Jitter

Shape = tuple[int, ...]


def base_vae(
    shape: Shape,
    levels: int,
    layers: Iterable[nn.Module] = (),
    prior: nn.Module | None = None,
    latent_dim: int = 8,
    width: int = 128,
    dropout: float = 0.2,
) -> VAE:
    """What all rungs share: perceptrons, a Gaussian start, a categorical likelihood, N(0, I)."""
    n_pixels = math.prod(shape)
    read = MLP(n_pixels, width // 2, (width,), dropout, nn.GELU)
    encoder = nn.Sequential(nn.Flatten(), read, nn.GELU())
    posterior = FlowPosterior(encoder, nn.Linear(width // 2, 2 * latent_dim), layers, levels)
    tilt = MLP(latent_dim, 3 * n_pixels, (width, width), dropout, nn.GELU)
    likelihood = CategoricalLikelihood(LevelLogits(tilt, n_pixels, levels, 3), shape, levels)
    return VAE(posterior, likelihood, StandardNormal((latent_dim,)) if prior is None else prior)


def _read(width: int, n: int) -> nn.Module:
    """n parameters of a layer, read off the context."""
    return nn.Linear(width // 2, n)


def gaussian_vae(shape: Shape, levels: int, latent_dim: int = 8, width: int = 128) -> VAE:
    """The lowest rung of both ladders: diagonal Gaussian, standard normal prior."""
    return base_vae(shape, levels, latent_dim=latent_dim, width=width)


def householder_vae(
    shape: Shape, levels: int, latent_dim: int = 8, width: int = 128, reflections: int = 8
) -> VAE:
    """A Gaussian whose axes turn with the image."""
    layer = Householder(_read(width, latent_dim), latent_dim, reflections)
    return base_vae(shape, levels, [layer], latent_dim=latent_dim, width=width)


def planar_vae(
    shape: Shape, levels: int, latent_dim: int = 8, width: int = 128, n_layers: int = 8
) -> VAE:
    """Planar layers: one hidden unit each."""
    size = 2 * latent_dim + 1
    layers = [Planar(_read(width, size), latent_dim) for _ in range(n_layers)]
    return base_vae(shape, levels, layers, latent_dim=latent_dim, width=width)


def _sylvester(width: int, m: int, bases: Iterable[nn.Module]) -> list[nn.Module]:
    return [Sylvester(_read(width, m * (m + 2)), basis, m) for basis in bases]


def orthogonal_sylvester_vae(
    shape: Shape,
    levels: int,
    latent_dim: int = 8,
    width: int = 128,
    n_vectors: int = 4,
    n_layers: int = 4,
) -> VAE:
    """O-SNF: each layer has an orthonormal basis of a part of the latent space."""
    d, m = latent_dim, n_vectors
    bases = [OrthogonalBasis(_read(width, d * m), d, m) for _ in range(n_layers)]
    return base_vae(shape, levels, _sylvester(width, m, bases), latent_dim=d, width=width)


def householder_sylvester_vae(
    shape: Shape,
    levels: int,
    latent_dim: int = 8,
    width: int = 128,
    reflections: int = 4,
    n_layers: int = 4,
) -> VAE:
    """H-SNF: each layer's basis is a product of reflections."""
    d, size = latent_dim, latent_dim * reflections
    bases = [HouseholderBasis(_read(width, size), d, reflections) for _ in range(n_layers)]
    return base_vae(shape, levels, _sylvester(width, d, bases), latent_dim=d, width=width)


def triangular_sylvester_vae(
    shape: Shape, levels: int, latent_dim: int = 8, width: int = 128, n_layers: int = 4
) -> VAE:
    """T-SNF: the coordinates as they are and reversed, in turns."""
    bases = [ReversalBasis(latent_dim, reverse=bool(i % 2)) for i in range(n_layers)]
    return base_vae(
        shape, levels, _sylvester(width, latent_dim, bases), latent_dim=latent_dim, width=width
    )


def iaf_vae(
    shape: Shape,
    levels: int,
    latent_dim: int = 8,
    width: int = 128,
    iaf_width: int = 40,
    n_layers: int = 4,
    open_gate: float = 4.0,
) -> VAE:
    """Inverse autoregressive layers, near the identity at the start."""
    layers = []
    for _ in range(n_layers):
        net = MaskedMLP(latent_dim, 2, iaf_width, width // 2)
        layers.append(InverseAutoregressive(net, open_gate))
    return base_vae(shape, levels, layers, latent_dim=latent_dim, width=width)


def train_posterior(
    model: VAE, seed: int, steps: int = 2000, warm: int = 400, beta: float = 0.3
) -> Fit:
    """``warm`` steps with a light KL term, so that the codes get used; then the bound itself.

    Jittered digits at first; weights averaged, the best by validation kept.
    """
    digits = data.load("digits")
    model.likelihood.net.start_from(digits.train)
    if hasattr(model.prior, "start_from") and hasattr(model.prior, "pseudo_inputs"):
        model.prior.start_from(digits.train)
    jitter = Jitter(digits.levels, round(0.7 * (warm + steps)), shift=0.25, turn=0.09)
    common = dict(lr=2e-3, weight_decay=0.1, clip_norm=1.0, augment=jitter, progress=False)
    model.beta = beta
    fit(model, digits.train, steps=warm, schedule="constant", seed=seed, **common)
    model.beta = 1.0
    return fit(model, digits, steps=steps, average=0.998, warmup=50, seed=seed + 1000, **common)


def tiny_vae(build: Callable[..., VAE], **sizes) -> Callable[[int], tuple[nn.Module, Tensor]]:
    """A small randomised model of 2 by 2 images with three grey levels, and a batch of them."""

    def make(seed: int = 0) -> tuple[nn.Module, Tensor]:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            model = build((1, 2, 2), 3, latent_dim=2, width=8, **sizes).eval()
            with torch.no_grad():
                for parameter in model.parameters():
                    parameter.add_(0.2 * torch.randn_like(parameter))
            return model, torch.randint(3, (16, 1, 2, 2), dtype=torch.uint8)

    return make


_SHARED = "vae/vae.py vae/flow_posterior.py distribution/likelihood.py distribution/normal.py"


def rung(build: Callable, title: str, files: str, source: tuple, recipe=None, **tiny) -> Entry:
    """An entry of chapter 06; it is called what its builder is called."""
    return Entry(
        name=build.__name__,
        title=title,
        family="vae",
        build=build,
        files=tuple(f"{_SHARED} {files}".split()),
        chapter="06_posteriors_and_priors",
        rows=("V20",),
        paper=source[0],
        url=source[1],
        branch=("explicit", "bound", "latent"),
        tiny=tiny_vae(build, **tiny),
        recipes={"digits": recipe or Recipe({}, train_posterior, seeds=3)},
    )


_REZENDE = "Rezende and Mohamed (2015)", "https://arxiv.org/abs/1505.05770"
_TOMCZAK = "Tomczak and Welling (2016)", "https://arxiv.org/abs/1611.09630"
_BERG = "van den Berg, Hasenclever, Tomczak and Welling (2018)", "https://arxiv.org/abs/1803.05649"
_KINGMA = "Kingma et al. (2016)", "https://arxiv.org/abs/1606.04934"
_AUTO = "Kingma and Welling (2014)", "https://arxiv.org/abs/1312.6114"

ENTRIES = (
    rung(gaussian_vae, "VAE, Gaussian posterior", "", _AUTO),
    rung(householder_vae, "VAE, Householder flow", "vae/householder.py", _TOMCZAK, reflections=2),
    rung(planar_vae, "VAE, planar flow", "vae/planar.py", _REZENDE, n_layers=2),
    rung(triangular_sylvester_vae, "VAE, Sylvester flow (triangular)", "vae/sylvester.py", _BERG,
          n_layers=2),
    rung(householder_sylvester_vae, "VAE, Sylvester flow (Householder)", "vae/sylvester.py",
          _BERG, n_layers=2, reflections=2),
    rung(orthogonal_sylvester_vae, "VAE, Sylvester flow (orthogonal)", "vae/sylvester.py", _BERG,
          n_layers=2, n_vectors=2),
    rung(iaf_vae, "VAE, inverse autoregressive flow", "vae/inverse_autoregressive.py", _KINGMA,
          n_layers=2, iaf_width=8),
)  # fmt: skip
