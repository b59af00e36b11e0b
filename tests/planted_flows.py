"""Flows and dequantised flows, healthy and with planted faults."""

import math
from collections.abc import Callable, Iterable

import torch
from planted import (
    BINLAW,
    BINS,
    BITS,
    DET,
    DRAWN,
    EVAL,
    EXACT,
    FLOAT,
    GRAD,
    IW1,
    LAW,
    LOAD,
    NOISE,
    ONE,
    RISE,
    ROW,
    SHAPE,
    STATE,
    TRIP,
    WEIGHT,
    conv,
    healthy,
    images,
    integers,
    net,
    planted,
    table,
)
from torch import nn
from torch.nn.functional import logsigmoid

from dgm.distribution.logistic import StandardLogistic
from dgm.distribution.normal import StandardNormal
from dgm.distribution.support import Levels, Reals
from dgm.flow.actnorm import ActNorm
from dgm.flow.coupling import AdditiveCoupling, AffineCoupling
from dgm.flow.dequantize import ConditionalAffine, Dequantize, FlowNoise
from dgm.flow.elementwise import Logit, Permute, Scale
from dgm.flow.flow import Flow
from dgm.flow.invertible_conv import InvertibleConv1x1
from dgm.flow.masked_coupling import MaskedCoupling, checkerboard_mask
from dgm.flow.mixture_coupling import LogisticMixtureCoupling
from dgm.flow.multiscale import Multiscale
from dgm.mixture.gaussian_mixture import GaussianMixture

IMAGE = Reals((1, 4, 4))


def over(layers: Iterable[nn.Module], base: nn.Module) -> Flow:
    """A flow of vectors, as long as those of the base."""
    return Flow(layers, base, Reals(base.shape))


# --- healthy models -------------------------------------------------------------------------------


def realnvp(dims: int, coupling: Callable = AffineCoupling, flow: Callable = Flow) -> Flow:
    """Three couplings on a table of `dims` columns."""
    layers = [coupling(net(dims // 2, dims)) for _ in range(3)]
    return flow([*layers, Scale((dims,))], StandardNormal((dims,)), Reals((dims,)))


def glow(norm: Callable = ActNorm, mix: Callable = InvertibleConv1x1, levels: int = 2) -> Flow:
    """Multi-scale flow on (1, 4, 4) images: ActNorm, 1x1 convolution, coupling at two scales."""
    steps = [[norm(c), mix(c), AffineCoupling(conv(c // 2, c))] for c in (4, 8)[:levels]]
    return Flow([Multiscale((1, 4, 4), steps)], StandardNormal((16,)), IMAGE)


def binned(dims: int = 2, levels: int = 4, noise: nn.Module | None = None) -> Dequantize:
    """A flow on a box of integers."""
    layers = [
        Logit(levels),
        AffineCoupling(net(dims // 2, dims)),
        AffineCoupling(net(dims // 2, dims)),
    ]
    return Dequantize(over(layers, StandardLogistic((dims,))), Levels((dims,), levels), noise)


def learned_noise(dims: int = 2) -> FlowNoise:
    """Variational noise with one conditional layer."""
    return FlowNoise(
        net(dims, 4),
        [ConditionalAffine(net(4, 2 * dims), max_log_scale=0.5)],
        Levels((dims,), 4),
    )


@healthy
def realnvp_2d():
    return realnvp(2), table(2), {}


@healthy
def realnvp_6d():
    return realnvp(6), table(6), {}


@healthy
def nice_4d():
    layers = [AdditiveCoupling(net(2, 2)) for _ in range(4)]
    return over([*layers, Scale((4,))], StandardLogistic((4,))), table(4), {}


@healthy
def glow_image():
    return glow(), images(), {}


@healthy
def masked_image():
    masks = (checkerboard_mask((1, 4, 4), first) for first in (0, 1))
    return (
        Flow([MaskedCoupling(conv(1, 2), m) for m in masks], StandardNormal((1, 4, 4)), IMAGE),
        images(),
        {},
    )


@healthy
def flow_plus_plus_4d():
    layers = [LogisticMixtureCoupling(net(2, 2 * 8), 2), Permute(4), AffineCoupling(net(2, 4))]
    return over(layers, StandardLogistic((4,))), table(4), {}


@healthy
def logit_flow_on_a_box():
    return (
        over([Logit(1.0), *realnvp(2).layers], StandardNormal((2,))),
        torch.rand(12, 2),
        {"bounds": (0.0 - 0.05 / 0.9, 1.0 + 0.05 / 0.9)},
    )


@healthy
def dequantized_1d_pair():
    return binned(2), integers(2), {}


@healthy
def dequantized_glow_image():
    step = [ActNorm(4), AffineCoupling(conv(2, 4))]
    flow = Flow([Logit(5), Multiscale((1, 4, 4), [step])], StandardNormal((16,)), IMAGE)
    model = Dequantize(flow, Levels((1, 4, 4), 5))
    return model, torch.randint(5, (8, 1, 4, 4), dtype=torch.uint8), {}


@healthy
def variational_2d():
    return binned(2, noise=learned_noise()), integers(2), {}


@healthy
def flow_with_mixture_base():
    flow = realnvp(2)
    flow.base = GaussianMixture(3, Reals((2,)))
    return flow, table(2), {}


# --- planted faults: flows ------------------------------------------------------------------------


class SignOfLogDet(AffineCoupling):
    def forward(self, x):
        z, log_det = super().forward(x)
        return z, -log_det


class MeanForSum(AffineCoupling):
    def forward(self, x):
        return super().forward(x)[0], self._shift_and_log_scale(x.chunk(2, 1)[0])[1].flatten(
            1
        ).mean(1)


class SummedOverBatch(AffineCoupling):
    def forward(self, x):
        z, log_det = super().forward(x)
        return z, log_det.sum().expand(len(x))


class UnboundedLogDet(AffineCoupling):
    def forward(self, x):
        raw = self.net(x.chunk(2, 1)[0]).chunk(2, 1)[1]
        return super().forward(x)[0], raw.flatten(1).sum(1)


class FlipNotUndone(AffineCoupling):
    def inverse(self, z):
        a, b = super().inverse(z).chunk(2, 1)
        return torch.cat((b, a), 1)


@planted(DET)
def sign_of_log_det():
    return realnvp(4, SignOfLogDet), table(4), {}


@planted(DET, ONE, LAW)
def sign_of_log_det_2d():
    return realnvp(2, SignOfLogDet), table(2), {}


@planted(DET)
def mean_for_sum():
    return realnvp(4, MeanForSum), table(4), {}


@planted(ROW, DET)
def summed_over_batch():
    return realnvp(4, SummedOverBatch), table(4), {}


@planted(DET)
def log_det_of_the_unbounded_scale():
    return realnvp(2, lambda n: UnboundedLogDet(n, max_log_scale=0.5)), table(2), {}


@planted(TRIP)
def flip_not_undone_in_inverse():
    return realnvp(4, FlipNotUndone), table(4), {}


class NotReversed(Flow):
    def inverse(self, z):
        for layer in self.layers:
            z = layer.inverse(z)
        return z


@planted(TRIP)
def layers_not_reversed():
    return realnvp(4, flow=NotReversed), table(4), {}


class LacksLogTwoPi(StandardNormal):
    def log_prob(self, z):
        return -0.5 * z.square().flatten(1).sum(1)


def on_base(base: Callable, dims: int) -> Flow:
    flow = realnvp(dims)
    flow.base = base((dims,))
    return flow


@planted(ONE, LAW)
def base_lacks_log_two_pi():
    return on_base(LacksLogTwoPi, 2), table(2), {}


@planted(LAW)
def base_lacks_log_two_pi_6d():
    return on_base(LacksLogTwoPi, 6), table(6), {}


class Subtracted(Flow):
    def log_prob(self, x):
        z, log_det = self(x)
        return self.base.log_prob(z) - log_det


@planted(LAW)
def log_det_subtracted():
    return realnvp(2, flow=Subtracted), table(2), {}


class Tempered(Flow):
    def sample(self, n, *, temperature=0.7, generator=None):
        return super().sample(n, temperature=temperature, generator=generator)


@planted(LAW)
def temperature_left_in_sample():
    return realnvp(4, flow=Tempered), table(4), {}


class TemperedDensity(StandardNormal):
    def log_prob(self, z):
        return super().log_prob(z / 0.7)


@planted(ONE, LAW)
def temperature_leaks_into_log_prob():
    return on_base(TemperedDensity, 2), table(2), {}


@planted(LAW)
def temperature_leaks_into_log_prob_6d():
    return on_base(TemperedDensity, 6), table(6), {}


class ForgetsPixels(InvertibleConv1x1):
    def forward(self, x):
        return super().forward(x)[0], self.log_scale.sum().expand(len(x))


@planted(DET)
def convolution_forgets_height_times_width():
    return glow(mix=ForgetsPixels), images(), {}


class TransposedLU(InvertibleConv1x1):
    def inverse(self, z):
        return torch.einsum("ij,bj...->bi...", torch.linalg.inv(self.weight()).T, z)


@planted(TRIP)
def transposed_lu():
    return glow(mix=TransposedLU), images(), {}


class DetNotLog(InvertibleConv1x1):
    def forward(self, x):
        return super().forward(x)[0], x[0, 0].numel() * self.log_scale.exp().sum().expand(len(x))


@planted(DET)
def scale_for_its_log():
    return glow(mix=DetNotLog), images(), {}


class NormForgetsPixels(ActNorm):
    def forward(self, x):
        return super().forward(x)[0], self.log_scale.sum().expand(len(x))


@planted(DET)
def actnorm_sums_only_over_channels():
    return glow(norm=NormForgetsPixels), images(), {}


class ChannelSum(AffineCoupling):
    def forward(self, x):
        z, _ = super().forward(x)
        s = self._shift_and_log_scale(x.chunk(2, 1)[0])[1]
        return z, s.sum(1).flatten(1).mean(1)


@planted(DET)
def coupling_sums_only_over_channels():
    flow = glow()
    flow.layers[0].levels[0][2].__class__ = ChannelSum
    return flow, images(), {}


class PartDropped(Flow):
    def log_prob(self, x):
        z, log_det = self(x)
        return self.base.log_prob(z[:, len(z[0]) // 2 :]) + log_det


@planted(LAW)
def split_part_dropped():
    flow = glow()
    flow.__class__ = PartDropped
    return flow, images(), {}


class DropsInForward(Multiscale):
    def forward(self, x):
        z, log_det = super().forward(x)
        return z[:, len(z[0]) // 2 :], log_det


@planted(DET)
def split_part_not_in_z():
    flow = glow()
    flow.layers[0].__class__ = DropsInForward
    return flow, images(), {}


class NoJacobian(Logit):
    def forward(self, x):
        return super().forward(x)[0], x.new_zeros(len(x))


@planted(DET, ONE)
def logit_jacobian_missing():
    flow = over([NoJacobian(1.0), *realnvp(2).layers], StandardNormal((2,)))
    return flow, torch.rand(12, 2), {"bounds": (0.0, 1.0)}


class BatchStatistics(nn.Module):
    def __init__(self, features):
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(features))

    def forward(self, x):
        scale = x.std(0, keepdim=True) if len(x) > 1 else torch.ones_like(x)
        return (x + self.shift) / scale, -scale.log().sum().expand(len(x))

    def inverse(self, z):
        return z - self.shift


@planted(ROW)
def batch_statistics_in_eval():
    return over([BatchStatistics(4), *realnvp(4).layers], StandardNormal((4,))), table(4), {}


class MaskAttribute(MaskedCoupling):
    def __init__(self, net, mask):
        super().__init__(net, mask)
        del self._buffers["mask"]
        self.mask = mask


@planted(STATE)
def mask_as_a_plain_attribute():
    masks = (checkerboard_mask((1, 4, 4), first) for first in (0, 1))
    return (
        Flow([MaskAttribute(conv(1, 2), m) for m in masks], StandardNormal((1, 4, 4)), IMAGE),
        images(),
        {},
    )


class PlainList(Flow):
    def __init__(self, layers, base, data):
        super().__init__([], base, data)
        del self._modules["layers"]
        self.layers = list(layers)


@planted(STATE)
def layers_in_a_plain_list():
    return realnvp(4, flow=PlainList), table(4), {}


class Unused(Flow):
    def __init__(self, *args):
        super().__init__(*args)
        self.extra = nn.Parameter(torch.zeros(3))


@planted(GRAD)
def parameter_without_use():
    return realnvp(4, flow=Unused), table(4), {}


class DetachedScale(Scale):
    def forward(self, x):
        with torch.no_grad():
            return super().forward(x)


@planted(GRAD)
def gradient_cut_off():
    flow = realnvp(4)
    flow.layers[3].__class__ = DetachedScale
    return flow, table(4), {}


class Counting(Flow):
    def __init__(self, *args):
        super().__init__(*args)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x):
        self.calls += 1
        return super().forward(x)


@planted(EVAL)
def forward_changes_a_buffer():
    return realnvp(4, flow=Counting), table(4), {}


class AlwaysDropout(Flow):
    def log_prob(self, x):
        return super().log_prob(nn.functional.dropout(x, 0.2, training=True))


@planted(EVAL)
def dropout_left_on_in_eval():
    return realnvp(4, flow=AlwaysDropout), table(4), {}


class DoubleConstant(StandardNormal):
    def log_prob(self, z):
        return super().log_prob(z) + torch.zeros(len(z), dtype=torch.float64)


@planted(FLOAT)
def constant_in_double_precision():
    return on_base(DoubleConstant, 4), table(4), {}


class WithGradient(Flow):
    def sample(self, n, *, generator=None):
        return self.inverse(self.base.sample(n, generator=generator))


@planted(DRAWN)
def samples_carry_gradient():
    model = realnvp(4, flow=WithGradient)
    return model, table(4), {}


class BatchMean(Flow):
    def log_prob(self, x):
        return super().log_prob(x).mean()


@planted(SHAPE)
def batch_reduced_in_the_model():
    return realnvp(4, flow=BatchMean), table(4), {}


class PerDimension(Flow):
    def log_prob(self, x):
        return super().log_prob(x) / x[0].numel()


@planted(ONE, LAW)
def nats_per_dimension():
    return realnvp(2, flow=PerDimension), table(2), {}


class ShortBisection(LogisticMixtureCoupling):
    def inverse(self, z, tol=1e-2, max_iter=200):
        return super().inverse(z, tol, max_iter)


@planted(TRIP)
def bisection_stops_early():
    return over([ShortBisection(net(2, 16), 2)], StandardNormal((4,))), table(4), {}


class OnlyLogPdf(LogisticMixtureCoupling):
    def forward(self, x):
        z, log_det = super().forward(x)
        a, b = x.chunk(2, 1)
        y = (z[:, : b.shape[1]] - self._mixture(a, b)[0]) * (-self._mixture(a, b)[1]).exp()
        return z, log_det + (logsigmoid(y) + logsigmoid(-y)).sum(1)


@planted(DET)
def logit_of_the_cdf_not_counted():
    return over([OnlyLogPdf(net(2, 16), 2)], StandardNormal((4,))), table(4), {}


# --- planted faults: dequantisation ---------------------------------------------------------------


class Noise(nn.Module):
    """Noise in [low, high) that claims to be uniform over the bin."""

    def __init__(self, low, high):
        super().__init__()
        self.low, self.high = low, high

    def forward(self, x):
        return self.low + (self.high - self.low) * torch.rand_like(x), x.new_zeros(len(x))


@planted(NOISE)
def noise_over_half_the_bin():
    return binned(noise=Noise(0.0, 0.5)), integers(), {}


@planted(NOISE)
def noise_over_half_the_bin_16d():
    return binned(16, noise=Noise(0.0, 0.5)), integers(16), {}


@planted(NOISE)
def noise_left_out():
    return binned(noise=Noise(0.0, 0.0)), integers(), {}


@planted(NOISE, BITS)
def noise_around_the_integers():
    model = binned(noise=Noise(-0.5, 0.5))
    model.flow.layers[0] = Scale((2,))  # a flow on the whole plane, so that nothing is nan
    return model, integers(), {}


class Scaled(Dequantize):
    """Dequantize with the data scaled to [0, 1): its Jacobian is `jacobian` * D log levels."""

    jacobian = 1.0

    def elbo(self, x):
        y, log_q = self.dequantize(x)
        constant = self.jacobian * x[0].numel() * math.log(self.data.levels)
        return self.flow.log_prob(y / self.data.levels) - log_q - constant

    def sample(self, n, *, generator=None):
        return self.data.stored(self.flow.sample(n, generator=generator) * self.data.levels)


class NoLog256(Scaled):
    jacobian = 0.0


def scaled(kind: type[Scaled], dims: int = 2) -> Scaled:
    layers = [Logit(1.0), AffineCoupling(net(dims // 2, dims))]
    data = Levels((dims,), 256 if dims > 2 else 4)
    return kind(over(layers, StandardLogistic((dims,))), data)


@healthy
def dequantized_and_scaled():
    return scaled(Scaled), integers(), {}


@planted(BITS, WEIGHT)
def log_levels_jacobian_missing():
    return scaled(NoLog256), integers(), {}


@planted(BITS)
def log_256_jacobian_missing_16d():
    return scaled(NoLog256, 16), integers(16, 256), {}


class WrongSign(FlowNoise):
    def forward(self, x):
        u, log_q = super().forward(x)
        return u, -log_q


@planted(EXACT, WEIGHT)
def log_q_with_the_wrong_sign():
    noise = learned_noise()
    noise.__class__ = WrongSign
    return binned(noise=noise), integers(), {}


class NoLogQ(FlowNoise):
    def forward(self, x):
        return super().forward(x)[0], x.new_zeros(len(x))


@planted(NOISE, WEIGHT)
def log_q_left_out():
    noise = learned_noise()
    noise.__class__ = NoLogQ
    return binned(noise=noise), integers(), {}


class NoSlope(FlowNoise):
    def forward(self, x):
        u, log_q = super().forward(x)
        return u, log_q + (u.log() + (1 - u).log()).sum(1)


@planted(EXACT)
def slope_of_the_closing_sigmoid_missing():
    noise = learned_noise()
    noise.__class__ = NoSlope
    return binned(noise=noise), integers(), {}


@planted(BITS)
def slope_of_the_closing_sigmoid_missing_16d():
    noise = learned_noise(16)
    noise.__class__ = NoSlope
    return binned(16, noise=noise), integers(16), {}


@planted(NOISE)
def log_q_left_out_16d():
    noise = learned_noise(16)
    noise.__class__ = NoLogQ
    return binned(16, noise=noise), integers(16), {}


@healthy
def variational_16d():
    return binned(16, noise=learned_noise(16)), integers(16), {}


@planted(BINS)
def inner_density_not_normalised():
    model = binned()
    model.flow.base = LacksLogTwoPi((2,))
    return model, integers(), {}


class NotLoaded(Scale):
    def _load_from_state_dict(self, *args):
        pass


@planted(LOAD)
def a_layer_does_not_load():
    flow = realnvp(4)
    flow.layers[3].__class__ = NotLoaded
    return flow, table(4), {}


class NoLogK(Dequantize):
    def iw_bound(self, x, k):
        return super().iw_bound(x, k) + math.log(k)


def remade(kind: type[Dequantize]) -> Dequantize:
    model = binned()
    model.__class__ = kind
    return model


@planted(EXACT)
def iw_bound_without_log_k():
    return remade(NoLogK), integers(), {}


class MinimumBound(Dequantize):
    def iw_bound(self, x, k):
        return self.elbo(x.repeat_interleave(k, 0)).view(len(x), k).amin(1)


@planted(RISE)
def bound_falls_with_k():
    return remade(MinimumBound), integers(), {}


class NegatedElbo(Dequantize):
    def elbo(self, x):
        return -super().elbo(x)

    def iw_bound(self, x, k):
        return super().iw_bound(x, k)


@planted(BITS, WEIGHT)
def elbo_negated():
    return remade(NegatedElbo), integers(), {}


class DividedElbo(Dequantize):
    def elbo(self, x):
        return super().elbo(x) / x[0].numel()


@planted(BITS, WEIGHT)
def elbo_per_dimension():
    return remade(DividedElbo), integers(), {}


class OtherIw(Dequantize):
    def iw_bound(self, x, k):
        return super().iw_bound(x, k) / x[0].numel()


@planted(IW1)
def iw_bound_per_dimension():
    return remade(OtherIw), integers(), {}


class Rounded(Dequantize):
    def sample(self, n, *, generator=None):
        return self.data.stored(self.flow.sample(n, generator=generator).round())


@planted(BINLAW)
def samples_rounded_not_floored():
    return remade(Rounded), integers(), {}


class ElboSummed(Dequantize):
    def elbo(self, x):
        return super().elbo(x).sum().expand(len(x))


@planted(ROW)
def elbo_summed_over_the_batch():
    return remade(ElboSummed), integers(), {}
