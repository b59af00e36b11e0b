"""The ladder of priors of chapter 06 over the base VAE, and the best of both ladders."""

from torch import nn

from dgm.distribution.likelihood import CategoricalLikelihood
from dgm.distribution.normal import StandardNormal
from dgm.flow.coupling import AffineCoupling
from dgm.flow.flow import Flow
from dgm.mixture.gaussian_mixture import GaussianMixture
from dgm.nets.conv import ImageDecoder, ImageEncoder
from dgm.nets.masked_mlp import MaskedMLP
from dgm.nets.mlp import MLP
from dgm.vae.autoregressive_prior import AutoregressivePrior
from dgm.vae.flow_posterior import FlowPosterior
from dgm.vae.gaussian_posterior import GaussianPosterior
from dgm.vae.sylvester import HouseholderBasis, Sylvester
from dgm.vae.vae import VAE
from dgm.vae.vamp_prior import VampPrior
from dgm.zoo.entry import Recipe
from dgm.zoo.posterior import base_vae, rung, train_posterior

Shape = tuple[int, ...]


def mixture_prior_vae(
    shape: Shape, levels: int, latent_dim: int = 8, width: int = 128, n_components: int = 32
) -> VAE:
    """A mixture of Gaussians as the prior."""
    prior = GaussianMixture(n_components, latent_dim)
    return base_vae(shape, levels, prior=prior, latent_dim=latent_dim, width=width)


def vamp_prior_vae(
    shape: Shape, levels: int, latent_dim: int = 8, width: int = 128, n_inputs: int = 32
) -> VAE:
    """The posteriors of learned pseudo-inputs as the prior."""
    model = base_vae(shape, levels, latent_dim=latent_dim, width=width)
    net = nn.Sequential(model.posterior.encoder, model.posterior.start)
    model.posterior = GaussianPosterior(net, latent_dim, levels)
    model.prior = VampPrior(model.posterior, n_inputs, shape, levels)
    return model


def _couplings(dim: int, width: int, n_layers: int, dropout: float) -> Flow:
    nets = [MLP(dim // 2, dim, (width,), dropout, zero_last=True) for _ in range(n_layers)]
    return Flow([AffineCoupling(net) for net in nets], StandardNormal((dim,)), (dim,))


def flow_prior_vae(
    shape: Shape,
    levels: int,
    latent_dim: int = 8,
    width: int = 128,
    flow_width: int = 48,
    n_layers: int = 6,
) -> VAE:
    """RealNVP couplings over the codes as the prior."""
    prior = _couplings(latent_dim, flow_width, n_layers, dropout=0.2)
    return base_vae(shape, levels, prior=prior, latent_dim=latent_dim, width=width)


def autoregressive_prior_vae(
    shape: Shape,
    levels: int,
    latent_dim: int = 8,
    width: int = 128,
    prior_width: int = 64,
    n_components: int = 4,
) -> VAE:
    """Every code coordinate a mixture of Gaussians given those before it, as the prior."""
    net = MaskedMLP(latent_dim, 3 * n_components, prior_width, dropout=0.2)
    prior = AutoregressivePrior(net, latent_dim, n_components)
    return base_vae(shape, levels, prior=prior, latent_dim=latent_dim, width=width)


def sylvester_conv_vae(
    shape: Shape,
    levels: int,
    latent_dim: int = 16,
    width: int = 40,
    n_layers: int = 3,
    reflections: int = 4,
    context: int = 48,
    n_components: int = 4,
    dropout: float = 0.0,
) -> VAE:
    """The best of both ladders on the networks of chapter 05: Sylvester posterior, chain prior."""
    d, read = latent_dim, ImageEncoder(shape, context, width, 1, dropout)
    layers = []
    for _ in range(n_layers):
        basis = HouseholderBasis(nn.Linear(context, reflections * d), d, reflections)
        layers.append(Sylvester(nn.Linear(context, d * (d + 2)), basis, d))
    start = nn.Linear(context, 2 * d)
    posterior = FlowPosterior(nn.Sequential(read, nn.GELU()), start, layers, levels)
    decoder = ImageDecoder(d, shape, levels, width, 1, dropout)
    net = MaskedMLP(d, 3 * n_components, 64, dropout=dropout)
    prior = AutoregressivePrior(net, d, n_components)
    return VAE(posterior, CategoricalLikelihood(decoder, shape, levels), prior)


_DILOK = "Dilokthanakul et al. (2016)", "https://arxiv.org/abs/1611.02648"
_VAMP = "Tomczak and Welling (2018)", "https://arxiv.org/abs/1705.07120"
_CHEN = "Chen et al. (2017)", "https://arxiv.org/abs/1611.02731"
_BERG = "van den Berg, Hasenclever, Tomczak and Welling (2018)", "https://arxiv.org/abs/1803.05649"
HEADLINE = Recipe(dict(dropout=0.33), train_posterior, dict(steps=2000, warm=300), seeds=3)

ENTRIES = (
    rung(mixture_prior_vae, "VAE, mixture prior", "mixture/gaussian_mixture.py", _DILOK,
          n_components=3),
    rung(vamp_prior_vae, "VAE, VampPrior", "vae/gaussian_posterior.py vae/vamp_prior.py", _VAMP,
          n_inputs=3),
    rung(flow_prior_vae, "VAE, flow prior", "flow/flow.py flow/coupling.py", _CHEN, n_layers=2,
          flow_width=8),
    rung(autoregressive_prior_vae, "VAE, autoregressive prior", "vae/autoregressive_prior.py",
          _CHEN, prior_width=8, n_components=2),
    rung(sylvester_conv_vae, "VAE, Sylvester posterior and autoregressive prior",
         "vae/sylvester.py vae/autoregressive_prior.py", _BERG, HEADLINE,
         n_layers=2, reflections=2, context=4, n_components=2),
)  # fmt: skip
