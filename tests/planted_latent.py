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

from dgm.distribution.discretized_logistic import LogisticMixtureLikelihood
from dgm.distribution.likelihood import (
    BernoulliLikelihood,
    CategoricalLikelihood,
    GaussianLikelihood,
)
from dgm.distribution.normal import StandardNormal
from dgm.flow.coupling import AffineCoupling
from dgm.flow.flow import Flow
from dgm.mixture.gaussian_mixture import GaussianMixture
from dgm.vae.gaussian_posterior import GaussianPosterior
from dgm.vae.vae import VAE

SHAPE, LEVELS = (1, 2, 2), 3


def flat(inputs, outputs):
    """A small network on flattened images."""
    return nn.Sequential(nn.Flatten(), net(inputs, outputs))


def pixels(levels=LEVELS):
    return torch.randint(levels, (12, *SHAPE), dtype=torch.uint8)


def posterior(kind=GaussianPosterior, dim=2, levels=LEVELS, **options):
    return kind(flat(4, 2 * dim), dim, levels, **options)


def far(model, x, options):
    """A posterior that stands away from the prior, where more can be told."""
    head = model.posterior.net[1][2]
    head.weight.data *= 4
    head.bias.data[:] = torch.tensor([1.0, -1.0, -1.0, 0.5])
    return model, x, options


def categorical(kind=CategoricalLikelihood, dim=2):
    return kind(net(dim, 4 * LEVELS), SHAPE, LEVELS)


def vae(kind=VAE, dim=2, **parts):
    """A VAE of 2 x 2 pixels of three levels with two latent variables, or with other parts."""
    beta = parts.pop("beta", 1.0)
    parts = {
        "posterior": posterior(dim=dim),
        "likelihood": categorical(dim=dim),
        "prior": StandardNormal((dim,)),
    } | parts
    model = kind(*parts.values(), beta=beta)
    return model, pixels(model.levels), {}


def vae_of_a_table(kind=GaussianLikelihood, latent=2, dims=2):
    likelihood = kind(net(latent, 2 * dims), 0.1)
    start = GaussianPosterior(net(dims, 2 * latent), latent)
    return VAE(start, likelihood, StandardNormal((latent,))), table(dims), {}


# --- healthy models -------------------------------------------------------------------------------


@healthy
def vae_2d():
    return vae()


@healthy
def vae_5d_with_beta():
    return vae(dim=5, beta=4.0)


@healthy
def vae_of_bits():
    likelihood = BernoulliLikelihood(nn.Sequential(net(2, 4), nn.Unflatten(1, SHAPE)), SHAPE)
    return vae(likelihood=likelihood, posterior=posterior(levels=2))


@healthy
def vae_with_logistic_mixtures():
    return vae(likelihood=LogisticMixtureLikelihood(net(2, 4 * 6), SHAPE, LEVELS, 2))


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
    return vae(prior=GaussianMixture(3, 2))


@healthy
def vae_with_a_flow_prior():
    layers = [AffineCoupling(net(1, 2)) for _ in range(2)]
    return vae(prior=Flow(layers, StandardNormal((2,)), (2,)))


class ClosedForm(VAE):
    """The KL by its formula: a bound of less variance, whose exponential means nothing."""

    def terms(self, x):
        return super().terms(x) | {"kl": self.posterior.kl(x).sum(1)}

    def iw_bound(self, x, k):
        many = x.repeat_interleave(k, 0)
        terms, (z, log_q) = super().terms(many), self.posterior(many)
        log_w = self.likelihood.log_prob(many, z) + self.prior.log_prob(z) - log_q
        return log_w.view(len(x), k).logsumexp(1) - math.log(k) + 0 * terms["kl"][: len(x)]


@healthy
def vae_with_kl_by_formula():
    return vae(ClosedForm)


class Bent(nn.Module):
    """A posterior flow: a Gaussian, then z + u tanh(w z + b) for each coordinate, with u w > -1."""

    sign, fold = 1, 1.0

    def __init__(self, start, dim):
        super().__init__()
        self.start = start
        self.u, self.w, self.b = (nn.Parameter(0.5 * torch.randn(dim)) for _ in range(3))

    def slopes(self):
        return 0.9 * self.fold * self.u.tanh(), self.w.tanh()

    def forward(self, x):
        z, log_q = self.start(x)
        u, w = self.slopes()
        h = (w * z + self.b).tanh()
        log_det = (1 + u * w * (1 - h.square())).abs().log().sum(1)
        return z + u * h, log_q - self.sign * log_det


def bent(kind=Bent, dim=2):
    return vae(posterior=kind(posterior(dim=dim), dim), dim=dim)


@healthy
def vae_with_a_flow_posterior():
    return bent()


@healthy
def vae_with_a_flow_posterior_4d():
    return bent(dim=4)


# --- planted faults: the posterior ----------------------------------------------------------------


class NoNoise(GaussianPosterior):
    def forward(self, x):
        return self.moments(x)[0], super().forward(x)[1]


@planted(POST)
def noise_left_at_zero():
    return vae(posterior=posterior(NoNoise))


class SharedNoise(GaussianPosterior):
    def forward(self, x):
        mean, log_var = self.moments(x)
        eps = torch.randn_like(mean[:1]).expand_as(mean)
        log_q = -0.5 * (eps.square() + log_var + math.log(2 * math.pi)).sum(1)
        return mean + (0.5 * log_var).exp() * eps, log_q


@planted(POST)
def one_noise_for_the_whole_batch():
    return vae(posterior=posterior(SharedNoise))


class VarianceAsStd(GaussianPosterior):
    def forward(self, x):
        mean, log_var = self.moments(x)
        eps = torch.randn_like(mean)
        log_q = -0.5 * (eps.square() + log_var + math.log(2 * math.pi)).sum(1)
        return mean + log_var.exp() * eps, log_q


@planted(POST)
def log_variance_used_as_log_std():
    model = vae(posterior=posterior(VarianceAsStd))
    model[0].posterior.net[1][2].bias.data[2:] = -1.0
    return model


class MeanOverLatents(GaussianPosterior):
    def forward(self, x):
        z, log_q = super().forward(x)
        return z, log_q / self.latent_dim


@planted(POST)
def log_q_averaged_over_latents():
    return vae(posterior=posterior(MeanOverLatents))


class LacksTwoPi(GaussianPosterior):
    def forward(self, x):
        z, log_q = super().forward(x)
        return z, log_q + 0.5 * self.latent_dim * math.log(2 * math.pi)


@planted(POST)
def log_q_lacks_log_two_pi():
    return vae(posterior=posterior(LacksTwoPi))


@planted(POST)
def log_q_lacks_log_two_pi_12d():
    return vae(posterior=posterior(LacksTwoPi, dim=12), dim=12)


class SignFlipped(Bent):
    sign = -1


class CountedTwice(Bent):
    sign = 2


class NotCounted(Bent):
    sign = 0


def steep(kind):
    """A flow that stretches, so that its log-determinant counts."""
    model, x, options = bent(kind)
    model.posterior.u.data[:], model.posterior.w.data[:] = 3.0, 2.0
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
    model.posterior.u.data[:], model.posterior.w.data[:] = 2.5, -2.5
    model.posterior.b.data[:] = 0.0
    return model, x, options


class BatchNormalised(GaussianPosterior):
    def moments(self, x):
        mean, log_var = super().moments(x)
        return mean - mean.mean(0), log_var


@planted(ROW)
def posterior_mean_less_that_of_the_batch():
    return far(*vae(posterior=posterior(BatchNormalised)))


# --- planted faults: the likelihood ---------------------------------------------------------------


class MeanOverPixels(CategoricalLikelihood):
    def log_prob(self, x, z):
        return super().log_prob(x, z) / x[0].numel()


@planted(X_ONE, X_LAW)
def likelihood_averaged_over_pixels():
    return vae(likelihood=categorical(MeanOverPixels))


class SoftmaxOverPixels(CategoricalLikelihood):
    def table(self, z):
        return self.net(z).view(len(z), *self.shape, self.levels).log_softmax(-2)

    def sample(self, z):
        return CategoricalLikelihood(self.net, self.shape, self.levels).sample(z)


@planted(X_ONE, X_LAW)
def softmax_over_pixels_not_levels_given_z():
    return vae(likelihood=categorical(SoftmaxOverPixels))


class ProbabilitiesForLogits(BernoulliLikelihood):
    def log_prob(self, x, z):
        p = torch.sigmoid(self.logits(z))
        return (x * p - softplus(p)).flatten(1).sum(1)


@planted(X_LAW, JOINT)
def probabilities_given_for_logits():
    likelihood = ProbabilitiesForLogits(nn.Sequential(net(2, 4), nn.Unflatten(1, SHAPE)), SHAPE)
    return vae(likelihood=likelihood, posterior=posterior(levels=2))


class Rounded(BernoulliLikelihood):
    def sample(self, z):
        return self.mean(z).round().to(torch.uint8).detach()


@planted(X_LAW, JOINT)
def likeliest_pixels_for_samples():
    likelihood = Rounded(nn.Sequential(net(2, 4), nn.Unflatten(1, SHAPE)), SHAPE)
    return vae(likelihood=likelihood, posterior=posterior(levels=2))


class EdgesWithoutTails(nn.Module):
    """One logistic per pixel; outer bins are as wide as the others."""

    def __init__(self, net):
        super().__init__()
        self.net, self.shape, self.levels = net, SHAPE, LEVELS

    def check(self, x):
        pass

    def moments(self, z):
        mean, s = self.net(z).view(len(z), 2, *self.shape).unbind(1)
        return 1 + mean, s.tanh()

    def log_prob(self, x, z):
        mean, s = self.moments(z)
        a, b = ((x + d - mean) / s.exp() for d in (-0.5, 0.5))
        return (b.sigmoid() - a.sigmoid()).log().flatten(1).sum(1)

    def mean(self, z):
        return self.moments(z)[0]

    @torch.no_grad()
    def sample(self, z):
        mean, s = self.moments(z)
        value = mean + s.exp() * torch.rand_like(mean).logit(1e-7)
        return value.round().clamp(0, self.levels - 1).to(torch.uint8)


@planted(X_ONE, X_LAW)
def outer_bins_without_their_tails():
    return vae(likelihood=EdgesWithoutTails(net(2, 8)))


class VarianceForLog(GaussianLikelihood):
    def log_prob(self, x, z):
        mean, variance = self.moments(z)
        return torch.distributions.Normal(mean, variance).log_prob(x).sum(1)


@planted(X_LAW)
def variance_for_the_std_of_x():
    model, x, options = vae_of_a_table(VarianceForLog)
    model.likelihood.net[2].bias.data[2:] = 1.5
    return model, x, options


class DividedVariance(GaussianLikelihood):
    def log_prob(self, x, z):
        mean, variance = self.moments(z)
        squared = (x - mean).square() / variance
        return -0.5 * (squared + math.log(2 * math.pi)).sum(1)


@planted(X_ONE, X_LAW)
def log_variance_of_x_not_counted():
    model, x, options = vae_of_a_table(DividedVariance)
    model.likelihood.net[2].bias.data[2:] = 1.5
    return model, x, options


# --- planted faults: the prior --------------------------------------------------------------------


class WideSamples(StandardNormal):
    def sample(self, n):
        return 1.5 * super().sample(n)


@planted(PRIOR)
def prior_samples_too_wide():
    return vae(prior=WideSamples((2,)))


@planted(PRIOR)
def prior_samples_too_wide_12d():
    return vae(dim=12, prior=WideSamples((12,)))


class WeightsNotNormalised(GaussianMixture):
    def joint_log_prob(self, x):
        return self.logits + self._component_log_prob(x)


@planted(PRIOR)
def weights_of_the_prior_not_normalised():
    model = vae(prior=WeightsNotNormalised(3, 2))
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
    return vae(prior=Detached(3, 2))


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
        mean, log_var = self.posterior.moments(x)
        inverse = (-log_var).exp()
        kl = 0.5 * ((1 + mean.square()) * inverse - 1 + log_var)
        return super().terms(x) | {"kl": kl.sum(1)}


@planted(PARTS, KL, IW1)
def arguments_of_the_kl_formula_swapped():
    return far(*vae(SwappedFormula))


class MeanFormula(ClosedForm):
    def terms(self, x):
        return super().terms(x) | {"kl": self.posterior.kl(x).mean(1)}


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
    def sample(self, n):
        return self.likelihood.sample(0.2 * self.prior.sample(n))


@planted(JOINT)
def temperature_left_in_the_sample_of_a_vae():
    model, x, options = vae(NarrowSample)
    model.likelihood.net[0].weight.data *= 4
    return model, x, options


class SampleFromMean(VAE):
    def sample(self, n):
        return self.likelihood.mean(self.prior.sample(n)).detach()


@planted(JOINT)
def mean_of_x_for_a_sample():
    model, x, options = vae_of_a_table(latent=2, dims=4)
    model.__class__ = SampleFromMean
    return model, x, options
