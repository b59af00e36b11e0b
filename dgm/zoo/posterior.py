"""The two ladders of chapter 06 over one base VAE: richer posteriors, learned priors."""

from collections.abc import Iterable
from typing import Any

from torch import nn

from dgm.autoregressive.autoregressive import Autoregressive
from dgm.autoregressive.law import MixtureLaw
from dgm.distribution.likelihood import SoftmaxDecoder
from dgm.distribution.normal import StandardNormal
from dgm.distribution.support import Levels, Reals
from dgm.flow.coupling import AffineCoupling
from dgm.flow.flow import Flow
from dgm.mixture.gaussian_mixture import GaussianMixture
from dgm.nets.conv import ImageDecoder, ImageEncoder
from dgm.nets.level_logits import LevelLogits
from dgm.nets.masked_mlp import MaskedMLP
from dgm.nets.mlp import MLP
from dgm.posterior.flow_posterior import FlowEncoder
from dgm.posterior.full_covariance import FullCovariance
from dgm.posterior.householder import Householder
from dgm.posterior.inverse_autoregressive import InverseAutoregressive
from dgm.posterior.planar import Planar
from dgm.posterior.sylvester import HouseholderBasis, OrthogonalBasis, ReversalBasis, Sylvester
from dgm.posterior.vamp_prior import VampPrior
from dgm.train import Fit, fit
from dgm.train.jitter import Jitter
from dgm.vae.gaussian_posterior import GaussianEncoder
from dgm.vae.vae import VAE
from dgm.zoo import large_vae
from dgm.zoo.entry import Entry, Recipe, Tiny

CHAPTER = "06_posteriors_and_priors"
BRANCH = ("explicit", "bound", "latent")


def gaussian_vae(
    data: Levels,
    latent_dim: int = 8,
    width: int = 128,
    dropout: float = 0.2,
    layers: Iterable[nn.Module] = (),
    prior: nn.Module | None = None,
    log_std: bool = True,
) -> VAE:
    """VAE, Gaussian posterior: perceptrons and N(0, I), under ``layers`` and with a ``prior``."""
    if not isinstance(data, Levels):
        raise ValueError(f"data must be integers as stored (Levels), got {data}")
    hidden, context = (width, width), width // 2
    read = MLP(data.dims, context, (width,), dropout, nn.GELU)
    start = GaussianEncoder(nn.Linear(context, 2 * latent_dim), latent_dim, log_std=log_std)
    encoder = FlowEncoder(nn.Sequential(nn.Flatten(), read, nn.GELU()), start, layers)
    tilt = LevelLogits(
        MLP(latent_dim, 3 * data.dims, hidden, dropout, nn.GELU), data.dims, data.levels, 3
    )
    prior = StandardNormal((latent_dim,)) if prior is None else prior
    return VAE(data, encoder, SoftmaxDecoder(tilt, data), prior)


def log_variance_vae(data: Levels, latent_dim: int = 8, width: int = 128) -> VAE:
    """VAE, Gaussian posterior by log variances: the same laws; its width moves half as fast."""
    return gaussian_vae(data, latent_dim, width, log_std=False)


def full_covariance_vae(data: Levels, latent_dim: int = 8, width: int = 128) -> VAE:
    """VAE, Gaussian posterior with a full covariance: a triangular layer on the diagonal one."""
    read = nn.Linear(width // 2, latent_dim * (latent_dim - 1) // 2)
    layers = [FullCovariance(read, latent_dim)]
    return gaussian_vae(data, latent_dim, width, layers=layers)


def householder_vae(
    data: Levels, latent_dim: int = 8, width: int = 128, reflections: int = 8
) -> VAE:
    """VAE, Householder flow: a Gaussian whose axes turn with the image."""
    layers = [Householder(nn.Linear(width // 2, latent_dim), latent_dim, reflections)]
    return gaussian_vae(data, latent_dim, width, layers=layers)


def planar_vae(data: Levels, latent_dim: int = 8, width: int = 128, n_layers: int = 8) -> VAE:
    """VAE, planar flow: layers of one hidden unit each."""
    reads = [nn.Linear(width // 2, 2 * latent_dim + 1) for _ in range(n_layers)]
    layers = [Planar(read, latent_dim) for read in reads]
    return gaussian_vae(data, latent_dim, width, layers=layers)


def _sylvester(bases: Iterable[nn.Module], context: int, m: int) -> list[nn.Module]:
    """A Sylvester layer of m hidden units on every basis."""
    return [Sylvester(nn.Linear(context, m * (m + 2)), basis, m) for basis in bases]


def triangular_sylvester_vae(
    data: Levels, latent_dim: int = 8, width: int = 128, n_layers: int = 4
) -> VAE:
    """VAE, Sylvester flow (triangular): the coordinates as they are and reversed, in turns."""
    bases = [ReversalBasis(latent_dim, reverse=bool(i % 2)) for i in range(n_layers)]
    layers = _sylvester(bases, width // 2, latent_dim)
    return gaussian_vae(data, latent_dim, width, layers=layers)


def householder_sylvester_vae(
    data: Levels, latent_dim: int = 8, width: int = 128, reflections: int = 4, n_layers: int = 4
) -> VAE:
    """VAE, Sylvester flow (Householder): each layer's basis is a product of reflections."""
    reads = [nn.Linear(width // 2, latent_dim * reflections) for _ in range(n_layers)]
    bases = [HouseholderBasis(read, latent_dim, reflections) for read in reads]
    layers = _sylvester(bases, width // 2, latent_dim)
    return gaussian_vae(data, latent_dim, width, layers=layers)


def orthogonal_sylvester_vae(
    data: Levels, latent_dim: int = 8, width: int = 128, n_vectors: int = 4, n_layers: int = 4
) -> VAE:
    """VAE, Sylvester flow (orthogonal): each layer moves a part of the latent space."""
    reads = [nn.Linear(width // 2, latent_dim * n_vectors) for _ in range(n_layers)]
    bases = [OrthogonalBasis(read, latent_dim, n_vectors) for read in reads]
    layers = _sylvester(bases, width // 2, n_vectors)
    return gaussian_vae(data, latent_dim, width, layers=layers)


def iaf_vae(
    data: Levels, latent_dim: int = 8, width: int = 128, iaf_width: int = 40, n_layers: int = 4
) -> VAE:
    """VAE, inverse autoregressive flow: layers near the identity at the start."""
    nets = [MaskedMLP(latent_dim, 2, iaf_width, width // 2) for _ in range(n_layers)]
    layers = [InverseAutoregressive(net, open_gate=4.0) for net in nets]
    return gaussian_vae(data, latent_dim, width, layers=layers)


def mixture_prior_vae(
    data: Levels, latent_dim: int = 8, width: int = 128, n_components: int = 32
) -> VAE:
    """VAE, mixture prior: a mixture of Gaussians in the place of N(0, I)."""
    prior = GaussianMixture(n_components, Reals((latent_dim,)))
    return gaussian_vae(data, latent_dim, width, prior=prior)


def vamp_prior_vae(data: Levels, latent_dim: int = 8, width: int = 128, n_inputs: int = 32) -> VAE:
    """VAE, VampPrior: the posteriors of learned pseudo-inputs as the prior."""
    model = gaussian_vae(data, latent_dim, width)
    model.prior = VampPrior(model.encoder, n_inputs, data)
    return model


def flow_prior_vae(
    data: Levels, latent_dim: int = 8, width: int = 128, flow_width: int = 48, n_layers: int = 6
) -> VAE:
    """VAE, flow prior: RealNVP couplings over the codes."""
    sizes = (latent_dim // 2, latent_dim, (flow_width,))
    nets = [MLP(*sizes, dropout=0.2, zero_last=True) for _ in range(n_layers)]
    base = StandardNormal((latent_dim,))
    prior = Flow([AffineCoupling(net) for net in nets], base, Reals((latent_dim,)))
    return gaussian_vae(data, latent_dim, width, prior=prior)


def _chain_prior(latent_dim: int, width: int, n_components: int, dropout: float) -> Autoregressive:
    """p(z) as a product of mixtures of Gaussians, each coordinate given those before it."""
    law = MixtureLaw(latent_dim, n_components)
    net = MaskedMLP(latent_dim, law.out_features, width, dropout=dropout)
    return Autoregressive(net, law, Reals((latent_dim,)))


def autoregressive_prior_vae(
    data: Levels, latent_dim: int = 8, width: int = 128, prior_width: int = 64
) -> VAE:
    """VAE, autoregressive prior: each code coordinate a mixture given those before it."""
    prior = _chain_prior(latent_dim, prior_width, n_components=4, dropout=0.2)
    return gaussian_vae(data, latent_dim, width, prior=prior)


def sylvester_conv_vae(
    data: Levels, latent_dim: int = 16, width: int = 40, n_layers: int = 3, dropout: float = 0.0
) -> VAE:
    """VAE, Sylvester posterior and autoregressive prior: the best of both, on convolutions."""
    if not isinstance(data, Levels) or len(data.shape) != 3:
        raise ValueError(f"data must be images (C, H, W) of levels, got {data} {data.shape}")
    context, d = 48, latent_dim
    read = nn.Sequential(ImageEncoder(data.shape, context, width, 1, dropout), nn.GELU())
    bases = (HouseholderBasis(nn.Linear(context, 4 * d), d, 4) for _ in range(n_layers))
    layers = _sylvester(bases, context, d)
    start = GaussianEncoder(nn.Linear(context, 2 * d), d, log_std=True)
    encoder = FlowEncoder(read, start, layers)
    net = ImageDecoder(d, data.shape, data.levels, width, 1, dropout)
    return VAE(data, encoder, SoftmaxDecoder(net, data), _chain_prior(d, 64, 4, dropout))


def sylvester_picture_vae(data: Levels, latent_dim: int = 32, width: int = 40, m: int = 16) -> VAE:
    """VAE of large pictures: Sylvester posterior (m units), autoregressive prior, residual nets."""
    read, d = nn.Sequential(large_vae.reader(data, 48, width), nn.GELU()), latent_dim
    bases = (OrthogonalBasis(nn.Linear(48, d * m), d, m) for _ in range(2))
    start = GaussianEncoder(nn.Linear(48, 2 * d), d, log_std=True)
    encoder = FlowEncoder(read, start, _sylvester(bases, 48, m))
    decoder = SoftmaxDecoder(large_vae.painter(data, d, width), data)
    return VAE(data, encoder, decoder, _chain_prior(d, 64, 4, 0.0))


def train_warm(
    model: VAE, dataset: Any, seed: int, steps: int = 2000, warm: int = 400, beta: float = 0.3
) -> Fit:
    """``warm`` steps with a light KL term, then the bound; pictures jittered in the first 70 %."""
    model.start_from(dataset.train)
    if isinstance(model.prior, VampPrior):
        model.prior.start_from(dataset.train)
    jitter = dict(levels=dataset.levels, until=round(0.7 * (warm + steps)), shift=0.25, turn=0.09)
    common = dict(lr=2e-3, weight_decay=0.1, clip_norm=1.0, progress=False)
    first, rest = Jitter(**jitter), Jitter(**jitter, done=warm)
    begin = dict(steps=warm, schedule="constant", seed=seed, augment=first)
    go_on = dict(steps=steps, average=0.998, warmup=50, seed=seed + 1000, augment=rest)
    model.beta = beta
    fit(model, dataset.train, **begin, **common)
    model.beta = 1.0
    return fit(model, dataset, **go_on, **common)


_DIGITS = {"digits": Recipe(train=train_warm, seeds=3)}
_BEST = Recipe(dict(dropout=0.33), dict(steps=2000, warm=300), train_warm, seeds=3)
_MNIST, _BINARY = {"mnist": large_vae.GPU}, {"binary_mnist": large_vae.BITS}
_KINGMA14 = ("Kingma and Welling (2014)", "https://arxiv.org/abs/1312.6114")
_KINGMA19 = ("Kingma and Welling (2019), section 2.5", "https://arxiv.org/abs/1906.02691")
_REZENDE = ("Rezende and Mohamed (2015)", "https://arxiv.org/abs/1505.05770")
_TOMCZAK = ("Tomczak and Welling (2016)", "https://arxiv.org/abs/1611.09630")
_BERG = ("van den Berg, Hasenclever, Tomczak, Welling (2018)", "https://arxiv.org/abs/1803.05649")
_KINGMA16 = ("Kingma et al. (2016)", "https://arxiv.org/abs/1606.04934")
_DILOK = ("Dilokthanakul et al. (2016)", "https://arxiv.org/abs/1611.02648")
_VAMP = ("Tomczak and Welling (2018)", "https://arxiv.org/abs/1705.07120")
_CHEN = ("Chen et al. (2017)", "https://arxiv.org/abs/1611.02731")


def _tiny(**sizes: int) -> Tiny:
    return Tiny(Levels((1, 2, 2), 3), dict(latent_dim=2, width=8) | sizes, std=0.2)


ENTRIES = (
    Entry(gaussian_vae, "V4 V20", _KINGMA14, _tiny(), _DIGITS | _MNIST | _BINARY),
    Entry(log_variance_vae, "V20", _KINGMA14, _tiny(), _DIGITS),
    Entry(full_covariance_vae, "V20", _KINGMA19, _tiny(), _DIGITS),
    Entry(householder_vae, "V20", _TOMCZAK, _tiny(reflections=2), _DIGITS),
    Entry(planar_vae, "V20", _REZENDE, _tiny(n_layers=2), _DIGITS),
    Entry(triangular_sylvester_vae, "V20", _BERG, _tiny(n_layers=2), _DIGITS),
    Entry(householder_sylvester_vae, "V20", _BERG, _tiny(n_layers=2, reflections=2), _DIGITS),
    Entry(orthogonal_sylvester_vae, "V20", _BERG, _tiny(n_layers=2, n_vectors=2), _DIGITS),
    Entry(iaf_vae, "V20", _KINGMA16, _tiny(n_layers=2, iaf_width=8), _DIGITS | _MNIST),
    Entry(mixture_prior_vae, "V20", _DILOK, _tiny(n_components=3), _DIGITS),
    Entry(vamp_prior_vae, "V20", _VAMP, _tiny(n_inputs=3), _DIGITS),
    Entry(flow_prior_vae, "V20", _CHEN, _tiny(n_layers=2, flow_width=8), _DIGITS),
    Entry(autoregressive_prior_vae, "V20", _CHEN, _tiny(prior_width=8), _DIGITS),
    Entry(sylvester_conv_vae, "V20", _BERG, _tiny(n_layers=2), {"digits": _BEST}),
    Entry(sylvester_picture_vae, "V20", _BERG, large_vae.TINY, {"mnist": large_vae.GREY}),
)
