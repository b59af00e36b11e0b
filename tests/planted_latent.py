"""Models with latent variables, healthy and with planted faults."""

import math

import torch
from planted import (
    EXACT,
    GRAD,
    IW1,
    JOINT,
    KL,
    LOGMEAN,
    PARTS,
    POST,
    PRIOR,
    RISE,
    ROW,
    STATE,
    X_LAW,
    X_ONE,
    healthy,
    net,
    planted,
    table,
)
from torch import nn
from torch.nn.functional import softplus

from dgm.distribution.discretized_logistic import LogisticMixtureDecoder
from dgm.distribution.likelihood import (
    BernoulliDecoder,
    BernoulliLikelihood,
    CategoricalLikelihood,
    GaussianLikelihood,
    NormalDecoder,
    SoftmaxDecoder,
)
from dgm.distribution.normal import StandardNormal
from dgm.distribution.support import Levels, Reals
from dgm.flow.coupling import AffineCoupling
from dgm.flow.flow import Flow
from dgm.mixture.gaussian_mixture import GaussianMixture
from dgm.vae.gaussian_posterior import GaussianEncoder, GaussianPosterior
from dgm.vae.vae import VAE

SHAPE, LEVELS = (1, 2, 2), 3
PIXELS, BITS = Levels(SHAPE, LEVELS), Levels(SHAPE, 2)


def flat(inputs, outputs):
    """A small network on flattened images."""
    return nn.Sequential(nn.Flatten(), net(inputs, outputs))


def pixels(levels=LEVELS):
    return torch.randint(levels, (12, *SHAPE), dtype=torch.uint8)


class Encoder(GaussianEncoder):
    """A Gaussian encoder whose posterior is of another kind, mostly a wrong one."""

    def __init__(self, net, dim, kind=GaussianPosterior):
        super().__init__(net, dim)
        self.kind = kind

    def forward(self, u):
        q = super().forward(u)
        return self.kind(q.mean, q.log_var)


class Decoder(nn.Module):
    """Another decoder, its likelihood turned into one of another kind by ``change``."""

    def __init__(self, decoder, change):
        super().__init__()
        self.decoder, self.change = decoder, change

    def forward(self, z):
        return self.change(self.decoder(z))


def encoder(kind=GaussianPosterior, dim=2):
    return Encoder(flat(4, 2 * dim), dim, kind)


def far(model, x, options):
    """A posterior that stands away from the prior, where more can be told."""
    head = model.encoder.net[1][2]
    head.weight.data *= 4
    head.bias.data[:] = torch.tensor([1.0, -1.0, -1.0, 0.5])
    return model, x, options


def softmax(change=None, dim=2):
    decoder = SoftmaxDecoder(net(dim, 4 * LEVELS), PIXELS, background=False)
    return decoder if change is None else Decoder(decoder, change)


def bits(change=None, dim=2):
    decoder = BernoulliDecoder(net(dim, 4), BITS, background=False)
    return decoder if change is None else Decoder(decoder, change)


def vae(kind=VAE, dim=2, beta=1.0, **parts):
    """A VAE of 2 x 2 pixels of three levels with two latent variables, or with other parts."""
    parts = {
        "data": PIXELS,
        "encoder": encoder(dim=dim),
        "decoder": softmax(dim=dim),
        "prior": StandardNormal((dim,)),
    } | parts
    model = kind(**parts, beta=beta)
    return model, pixels(model.data.levels), {}


def vae_of_a_table(change=None, latent=2, dims=2):
    data = Reals((dims,))
    decoder = NormalDecoder(net(latent, 2 * dims), data, 0.1)
    decoder = decoder if change is None else Decoder(decoder, change)
    start = GaussianEncoder(net(dims, 2 * latent), latent)
    return VAE(data, start, decoder, StandardNormal((latent,))), table(dims), {}


# --- healthy models -------------------------------------------------------------------------------


@healthy
def vae_2d():
    return vae()


@healthy
def vae_5d_with_beta():
    return vae(dim=5, beta=4.0)


@healthy
def vae_of_bits():
    return vae(data=BITS, decoder=bits())


@healthy
def vae_with_logistic_mixtures():
    return vae(decoder=LogisticMixtureDecoder(net(2, 4 * 6), PIXELS, 2))


@healthy
def vae_of_a_plane():
    return vae_of_a_table()


@healthy
def vae_of_a_table_5d():
    return vae_of_a_table(latent=3, dims=5)


@healthy
def vae_12d():
    """More dimensions than kernels can cover."""
    return vae(dim=12)


@healthy
def vae_with_a_mixture_prior():
    return vae(prior=GaussianMixture(3, Reals((2,))))


@healthy
def vae_with_a_flow_prior():
    layers = [AffineCoupling(net(1, 2)) for _ in range(2)]
    return vae(prior=Flow(layers, StandardNormal((2,)), Reals((2,))))


class ClosedForm(VAE):
    """The KL by its formula: a bound of less variance, whose exponential means nothing."""

    def terms(self, x):
        return super().terms(x) | {"kl": self.posterior(x).kl()}


@healthy
def vae_with_kl_by_formula():
    return vae(ClosedForm)


class BentPosterior:
    """A Gaussian, then z + u tanh(w z + b) for each coordinate."""

    def __init__(self, start, u, w, b, sign):
        self.start, self.slopes, self.b, self.sign = start, (u, w), b, sign

    def rsample(self, sample_shape=(), generator=None):
        z0, (u, w) = self.start.rsample(sample_shape, generator), self.slopes
        h = (w * z0 + self.b).tanh()
        log_det = (1 + u * w * (1 - h.square())).abs().log().sum(-1)
        self.log_q = self.start.log_prob(z0) - self.sign * log_det
        return z0 + u * h

    def log_prob(self, z):
        return self.log_q


class Bent(nn.Module):
    """A posterior flow with u w > -1."""

    sign = 1

    def __init__(self, start, dim):
        super().__init__()
        self.start = start
        self.u, self.w, self.b = (nn.Parameter(0.5 * torch.randn(dim)) for _ in range(3))

    def slopes(self):
        return 0.9 * self.u.tanh(), self.w.tanh()

    def forward(self, u):
        return BentPosterior(self.start(u), *self.slopes(), self.b, self.sign)


def bent(kind=Bent, dim=2):
    return vae(encoder=kind(encoder(dim=dim), dim), dim=dim)


@healthy
def vae_with_a_flow_posterior():
    return bent()


@healthy
def vae_with_a_flow_posterior_4d():
    return bent(dim=4)


# --- planted faults: the posterior ----------------------------------------------------------------


class NoNoise(GaussianPosterior):
    def from_noise(self, eps):
        return super().from_noise(0 * eps)


@planted(POST)
def noise_left_at_zero():
    return vae(encoder=encoder(NoNoise))


class SharedNoise(GaussianPosterior):
    def from_noise(self, eps):
        return super().from_noise(eps.flatten(0, -2)[0].expand_as(eps))


@planted(POST)
def one_noise_for_the_whole_batch():
    return vae(encoder=encoder(SharedNoise))


class VarianceAsStd(GaussianPosterior):
    def from_noise(self, eps):
        return self.mean + self.variance * eps


@planted(POST)
def log_variance_used_as_log_std():
    model = vae(encoder=encoder(VarianceAsStd))
    model[0].encoder.net[1][2].bias.data[2:] = -1.0
    return model


class MeanOverLatents(GaussianPosterior):
    def log_prob(self, z):
        return super().log_prob(z) / z.shape[-1]


@planted(POST)
def log_q_averaged_over_latents():
    return vae(encoder=encoder(MeanOverLatents))


class LacksTwoPi(GaussianPosterior):
    def log_prob(self, z):
        return super().log_prob(z) + 0.5 * z.shape[-1] * math.log(2 * math.pi)


@planted(POST)
def log_q_lacks_log_two_pi():
    return vae(encoder=encoder(LacksTwoPi))


@planted(POST)
def log_q_lacks_log_two_pi_12d():
    return vae(encoder=encoder(LacksTwoPi, dim=12), dim=12)


class SignFlipped(Bent):
    sign = -1


class CountedTwice(Bent):
    sign = 2


class NotCounted(Bent):
    sign = 0


def steep(kind):
    """A flow that stretches, so that its log-determinant counts."""
    model, x, options = bent(kind)
    model.encoder.u.data[:], model.encoder.w.data[:] = 3.0, 2.0
    return model, x, options


@healthy
def vae_with_a_steep_flow_posterior():
    return steep(Bent)


@planted(POST)
def log_det_of_the_posterior_with_the_wrong_sign():
    return steep(SignFlipped)


@planted(POST)
def log_det_of_the_posterior_counted_twice():
    return steep(CountedTwice)


@planted(POST)
def log_det_of_the_posterior_not_counted():
    return steep(NotCounted)


class Folded(Bent):
    def slopes(self):
        return self.u, self.w  # their product may fall below -1


@planted(POST)
def diagonal_that_breaks_invertibility():
    model, x, options = bent(Folded)
    model.encoder.u.data[:], model.encoder.w.data[:] = 2.5, -2.5
    model.encoder.b.data[:] = 0.0
    return model, x, options


class BatchNormalised(GaussianPosterior):
    def __init__(self, mean, log_var):
        super().__init__(mean - mean.mean(0), log_var)


@planted(ROW)
def posterior_mean_less_that_of_the_batch():
    return far(*vae(encoder=encoder(BatchNormalised)))


# --- planted faults: the likelihood ---------------------------------------------------------------


class MeanOverPixels(CategoricalLikelihood):
    def log_prob(self, x):
        return super().log_prob(x) / x[0].numel()


@planted(X_ONE, X_LAW)
def likelihood_averaged_over_pixels():
    return vae(decoder=softmax(lambda p: MeanOverPixels(PIXELS, p.table)))


class SoftmaxOverPixels(CategoricalLikelihood):
    def log_prob(self, x):
        return CategoricalLikelihood(self.data, self.table.log_softmax(-2)).log_prob(x)


@planted(X_ONE, X_LAW)
def softmax_over_pixels_not_levels_given_z():
    return vae(decoder=softmax(lambda p: SoftmaxOverPixels(PIXELS, p.table)))


class ProbabilitiesForLogits(BernoulliLikelihood):
    def log_prob(self, x):
        p = torch.sigmoid(self.logits)
        return (x * p - softplus(p)).flatten(1).sum(1)


@planted(X_LAW, JOINT)
def probabilities_given_for_logits():
    return vae(data=BITS, decoder=bits(lambda p: ProbabilitiesForLogits(BITS, p.logits)))


class Rounded(BernoulliLikelihood):
    def sample(self, generator=None):
        return self.data.stored(self.mean.round().detach())


@planted(X_LAW, JOINT)
def likeliest_pixels_for_samples():
    return vae(data=BITS, decoder=bits(lambda p: Rounded(BITS, p.logits)))


class EdgesWithoutTails:
    """One logistic per pixel; outer bins are as wide as the others."""

    def __init__(self, out):
        mean, s = out.view(len(out), 2, *SHAPE).unbind(1)
        self.mean, self.log_scale = 1 + mean, s.tanh()

    def log_prob(self, x):
        a, b = ((x + d - self.mean) / self.log_scale.exp() for d in (-0.5, 0.5))
        return (b.sigmoid() - a.sigmoid()).log().flatten(1).sum(1)

    @torch.no_grad()
    def sample(self, generator=None):
        u = torch.empty_like(self.mean).uniform_(generator=generator)
        return PIXELS.stored((self.mean + self.log_scale.exp() * u.logit(1e-7)).round())


@planted(X_ONE, X_LAW)
def outer_bins_without_their_tails():
    return vae(decoder=Decoder(net(2, 8), EdgesWithoutTails))


class VarianceForStd(GaussianLikelihood):
    def log_prob(self, x):
        return torch.distributions.Normal(self.mean, self.variance).log_prob(x).sum(1)


@planted(X_LAW)
def variance_for_the_std_of_x():
    model, x, options = vae_of_a_table(lambda p: VarianceForStd(p.mean, p.variance))
    model.decoder.decoder.net[2].bias.data[2:] = 1.5
    return model, x, options


class DividedVariance(GaussianLikelihood):
    def log_prob(self, x):
        squared = (x - self.mean).square() / self.variance
        return -0.5 * (squared + math.log(2 * math.pi)).sum(1)


@planted(X_ONE, X_LAW)
def log_variance_of_x_not_counted():
    model, x, options = vae_of_a_table(lambda p: DividedVariance(p.mean, p.variance))
    model.decoder.decoder.net[2].bias.data[2:] = 1.5
    return model, x, options


# --- planted faults: the prior --------------------------------------------------------------------


class WideSamples(StandardNormal):
    def sample(self, n, *, generator=None):
        return 1.5 * super().sample(n, generator=generator)


@planted(PRIOR)
def prior_samples_too_wide():
    return vae(prior=WideSamples((2,)))


@planted(PRIOR)
def prior_samples_too_wide_12d():
    return vae(dim=12, prior=WideSamples((12,)))


class WeightsNotNormalised(GaussianMixture):
    def joint_log_prob(self, x):
        return super().joint_log_prob(x) + self.logits.logsumexp(0)


@planted(PRIOR)
def weights_of_the_prior_not_normalised():
    model = vae(prior=WeightsNotNormalised(3, Reals((2,))))
    model[0].prior.logits.data += 1.0
    return model


class PlainScale(StandardNormal):
    def __init__(self, shape):
        super().__init__(shape)
        self.scale = torch.ones(shape)

    def log_prob(self, z):
        return super().log_prob(z / self.scale.to(z)) - self.scale.log().sum().to(z)


@planted(STATE)
def scale_of_the_prior_as_a_plain_attribute():
    return vae(prior=PlainScale((2,)))


class Detached(GaussianMixture):
    def log_prob(self, z):
        return super().log_prob(z).detach()


@planted(GRAD)
def prior_cut_off_from_the_gradient():
    return vae(prior=Detached(3, Reals((2,))))


# --- planted faults: the bounds -------------------------------------------------------------------


class SwappedKL(VAE):
    def terms(self, x):
        terms = super().terms(x)
        return terms | {"kl": -terms["kl"]}


@planted(PARTS, KL)
def arguments_of_the_kl_swapped():
    return far(*vae(SwappedKL))


class SwappedFormula(ClosedForm):
    def terms(self, x):
        q = self.posterior(x)
        kl = 0.5 * ((1 + q.mean.square()) / q.variance - 1 + q.log_var)
        return super().terms(x) | {"kl": kl.sum(1)}


@planted(PARTS, KL, IW1)
def arguments_of_the_kl_formula_swapped():
    return far(*vae(SwappedFormula))


class MeanFormula(ClosedForm):
    def terms(self, x):
        return super().terms(x) | {"kl": self.posterior(x).unit_kl().mean(1)}


@planted(PARTS, KL)
def kl_averaged_over_latents():
    return far(*vae(MeanFormula))


class KLLeftOut(VAE):
    def elbo(self, x):
        return self.terms(x)["reconstruction"]


@planted(PARTS)
def kl_left_out_of_the_elbo():
    return far(*vae(KLLeftOut))


class BetaInElbo(VAE):
    def elbo(self, x):
        return -self.loss(x)


@planted(PARTS)
def beta_in_the_elbo():
    return vae(BetaInElbo, beta=0.3)


@planted(PARTS)
def beta_in_the_elbo_though_it_is_one():
    return vae(BetaInElbo)


class NoLogK(VAE):
    def iw_bound(self, x, k):
        return super().iw_bound(x, k) + math.log(k)


@planted(LOGMEAN, EXACT)
def iw_bound_of_a_vae_without_log_k():
    return vae(NoLogK)


class AverageOfLogs(VAE):
    def iw_bound(self, x, k):
        return self.elbo(x.repeat_interleave(k, 0)).view(len(x), k).mean(1)


@planted(LOGMEAN)
def average_of_logs_for_log_of_the_average():
    return vae(AverageOfLogs)


class RowsMixed(VAE):
    def iw_bound(self, x, k):
        log_w = self.elbo(x.repeat_interleave(k, 0)).view(k, len(x))
        return log_w.logsumexp(0) - math.log(k)


@planted(LOGMEAN)
def draws_of_other_examples_in_the_iw_bound():
    return vae(RowsMixed)


class Least(VAE):
    def iw_bound(self, x, k):
        return self.elbo(x.repeat_interleave(k, 0)).view(len(x), k).amin(1)


@planted(RISE, LOGMEAN)
def least_of_k_for_their_mean():
    return vae(Least)


# --- planted faults: the model --------------------------------------------------------------------


class NarrowSample(VAE):
    def sample(self, n, *, generator=None):
        z = 0.2 * self.prior.sample(n, generator=generator)
        return self.likelihood(z).sample(generator)


@planted(JOINT)
def temperature_left_in_the_sample_of_a_vae():
    model, x, options = vae(NarrowSample)
    model.decoder.net[0].weight.data *= 4
    return model, x, options


class SampleFromMean(VAE):
    def sample(self, n, *, generator=None):
        return self.likelihood(self.prior.sample(n, generator=generator)).mean.detach()


@planted(JOINT)
def mean_of_x_for_a_sample():
    model, x, options = vae_of_a_table(latent=2, dims=4)
    model.__class__ = SampleFromMean
    return model, x, options
