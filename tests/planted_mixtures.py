"""Mixtures, healthy and with planted faults."""

import copy
import math

import torch
from planted import LAW, ONE, REF, SUM, healthy, planted, table

from dgm.distribution.support import Levels, Reals
from dgm.mixture.categorical_mixture import CategoricalMixture
from dgm.mixture.discretized_mixture import DiscretizedMixture
from dgm.mixture.gaussian_mixture import GaussianMixture


@healthy
def gaussian_mixture_1d():
    return GaussianMixture(4, Reals((1,))), table(1), {}


@healthy
def gaussian_mixture_2d_full():
    model = GaussianMixture(3, Reals((2,)), full=True, floor=0.01)
    return model, table(2), {}


@healthy
def gaussian_mixture_4d():
    return GaussianMixture(3, Reals((4,)), full=True), table(4), {}


@healthy
def categorical_mixture_3x3():
    return (
        CategoricalMixture(3, Levels((1, 3, 3), 2)),
        torch.randint(2, (12, 1, 3, 3), dtype=torch.uint8),
        {},
    )


@healthy
def discretized_mixture_2x2():
    return DiscretizedMixture(3, Levels((1, 2, 2), 6)), torch.randint(6, (12, 1, 2, 2)), {}


# --- planted faults: mixtures ---------------------------------------------------------------------


class NotNormalised(GaussianMixture):
    def joint_log_prob(self, x):
        return (self.logits[:, None] + self._component_log_prob(x)).T


@planted(ONE, LAW)
def mixture_weights_not_normalised():
    return NotNormalised(3, Reals((2,))), table(2), {}


class MeanOfLogs(GaussianMixture):
    def log_prob(self, x):
        return self.joint_log_prob(x).mean(1)


@planted(ONE, LAW)
def log_mean_for_logsumexp():
    return MeanOfLogs(3, Reals((2,))), table(2), {}


class LacksTwoPi(GaussianMixture):
    def _component_log_prob(self, x):
        return super()._component_log_prob(x) + 0.5 * self.data.dims * math.log(2 * math.pi)


@planted(ONE, LAW)
def missing_two_pi():
    return LacksTwoPi(3, Reals((1,))), table(1), {}


@planted(LAW)
def missing_two_pi_4d():
    return LacksTwoPi(3, Reals((4,))), table(4), {}


class VarianceForStd(GaussianMixture):
    @torch.no_grad()
    def sample(self, n, *, generator=None):
        k = torch.multinomial(self.logits.softmax(0), n, replacement=True)
        return self.means[k] + (2 * self.log_scale[k]).exp() * torch.randn_like(self.means[k])


@planted(LAW)
def variance_for_standard_deviation():
    return VarianceForStd(3, Reals((2,))), table(2), {}


class HalfLogDet(GaussianMixture):
    def _component_log_prob(self, x):
        return super()._component_log_prob(x) - self.log_scale.sum(1)[:, None]


@planted(ONE, LAW)
def log_variance_for_log_std():
    return HalfLogDet(3, Reals((2,))), table(2), {}


class UniformComponents(GaussianMixture):
    @torch.no_grad()
    def sample(self, n, *, generator=None):
        other = copy.deepcopy(self)
        other.logits.zero_()
        return GaussianMixture.sample(other, n)


@planted(LAW)
def sample_ignores_the_weights():
    model = UniformComponents(3, Reals((2,)))
    model.logits.data = torch.tensor([2.0, 0.0, -2.0])
    model.means.data *= 3
    return model, table(2), {}


class TransposedFactor(GaussianMixture):
    @torch.no_grad()
    def sample(self, n, *, generator=None):
        k = torch.multinomial(self.logits.softmax(0), n, replacement=True)
        factor = torch.linalg.cholesky(self.covariance()).mT
        return self.means[k] + (factor[k] @ torch.randn_like(self.means[k])[..., None])[..., 0]


@planted(LAW)
def cholesky_factor_transposed():
    model = TransposedFactor(2, Reals((2,)), full=True)
    model.lower.data[:] = torch.tensor([[0.0, 0.0], [2.0, 0.0]])
    return model, table(2), {}


class SoftmaxOverPixels(CategoricalMixture):
    def joint_log_prob(self, x):
        mass = self.pixel_logits.log_softmax(1).flatten(1)
        return self.logits.log_softmax(0) + self._one_hot(x) @ mass.T


@planted(ONE, LAW)
def softmax_over_pixels_not_levels():
    return SoftmaxOverPixels(3, Levels((1, 2, 2), 3)), torch.randint(3, (12, 1, 2, 2)), {}


class EdgesLost(DiscretizedMixture):
    def log_prob(self, x):
        v = x.flatten(1)[:, None, :].double()  # (B, 1, D)
        a, b = ((v + d - self.means) * (-self.log_scale).exp() for d in (-0.5, 0.5))
        mass = torch.special.ndtr(b) - torch.special.ndtr(a)
        return (self.logits.log_softmax(0) + mass.log().sum(2)).logsumexp(1)


@planted(ONE, LAW)
def edge_bins_do_not_reach_to_infinity():
    return EdgesLost(3, Levels((1, 2, 2), 4)), torch.randint(4, (12, 1, 2, 2)), {}


class OutOfRange(DiscretizedMixture):
    @torch.no_grad()
    def sample(self, n, *, generator=None):
        k = torch.multinomial(self.logits.softmax(0), n, replacement=True)
        x = self.means[k] + 3 * self.log_scale[k].exp() * torch.randn_like(self.means[k])
        return x.round().long().view(n, *self.data.shape)


@planted(LAW)
def samples_leave_the_levels():
    return OutOfRange(3, Levels((1, 2, 2), 4)), torch.randint(4, (12, 1, 2, 2)), {}


@planted(REF)
def another_density_than_the_reference():
    normal = torch.distributions.Independent(
        torch.distributions.Normal(torch.zeros(2).double(), torch.ones(2).double()), 1
    )
    return GaussianMixture(2, Reals((2,))), table(2), {"reference": normal.log_prob}


class DrawnMixture(CategoricalMixture):
    """The component is drawn, not summed over: only a bound is left."""

    log_prob = None

    def elbo(self, x):
        k = torch.randint(3, (len(x), 1))
        return self.joint_log_prob(x).gather(1, k)[:, 0] + math.log(3)

    def loss(self, x):
        return -self.elbo(x)


class CountsTwice(DrawnMixture):
    def elbo(self, x):
        return super().elbo(x) + math.log(3)


@healthy
def drawn_mixture():
    return DrawnMixture(3, Levels((1, 2, 2), 2)), torch.randint(2, (12, 1, 2, 2)), {}


@planted(SUM)
def log_q_of_the_component_counted_twice():
    return CountsTwice(3, Levels((1, 2, 2), 2)), torch.randint(2, (12, 1, 2, 2)), {}
