"""Faults of structured and continuous flows: each names the property it must break."""

import math

import torch

from dgm.continuous import flow_matching
from dgm.continuous.ffjord import FFJORD
from dgm.continuous.ode_layer import ODELayer
from dgm.continuous.solver import Solver
from dgm.continuous.trace import HutchinsonTrace
from dgm.flow import convolution_exponential, emerging, spline
from dgm.flow.convolution_exponential import ConvolutionExponential
from dgm.flow.elementwise import Permute
from dgm.flow.emerging import EmergingConvolution, PeriodicConvolution
from dgm.flow.generalised_sylvester import GeneralisedSylvester
from dgm.flow.masked_autoregressive import MaskedAutoregressive
from dgm.flow.normal_scores import NormalScores
from dgm.flow.spline import RationalQuadratic
from dgm.nets.time_mlp import TimeMLP

_EXP, _SPLINE = "exponential_is_the_dense_one", "spline_slope_is_its_derivative"
_ODE = "ode_log_det_is_the_autograd_one"


def trace_without_height_and_width(patch):
    right = ConvolutionExponential.forward

    def forward(layer, x):
        z, log_det = right(layer, x)
        return z, log_det / (x.shape[2] * x.shape[3])

    patch.setattr(ConvolutionExponential, "forward", forward)
    return _EXP


def trace_of_the_corner_tap(patch):
    right = ConvolutionExponential.forward

    def forward(layer, x):
        corner = layer.bounded()[:, :, 0, 0].diagonal().sum() * x.shape[2] * x.shape[3]
        return right(layer, x)[0], corner.expand(len(x))

    patch.setattr(ConvolutionExponential, "forward", forward)
    return _EXP


def series_without_factorials(patch):
    def series(x, kernel, tol=None, max_terms=60):
        total = term = x
        for k in range(1, 12):
            term = torch.nn.functional.conv2d(term, kernel, padding=1) / min(k, 2)
            total = total + term
        return total

    patch.setattr(convolution_exponential, "convolution_series", series)
    return _EXP


def inverse_by_the_same_kernel(patch):
    def inverse(layer, z):
        return convolution_exponential.convolution_series(z, layer.bounded())

    patch.setattr(ConvolutionExponential, "inverse", inverse)
    return "layers_undo_themselves"


def slope_at_the_wrong_knot(patch):
    right = spline._pieces

    def pieces(value, knots, table):
        places, heights, slopes = table
        return right(value, knots, (places, heights, slopes.roll(1, -1)))

    patch.setattr(spline, "_pieces", pieces)
    return "spline_meets_its_knots_with_its_slopes"


def log_slope_without_the_square(patch):
    right = spline.spline_forward

    def forward(x, knots):
        y, log_slope = right(x, knots)
        return y, 0.5 * log_slope

    patch.setattr(spline, "spline_forward", forward)
    return _SPLINE


def tails_with_the_slope_of_the_last_piece(patch):
    right = spline.spline_forward

    def forward(x, knots):
        y, log_slope = right(x, knots)
        outside = x.abs() >= knots[0][..., -1]
        return y, torch.where(outside, knots[2][..., -2].log(), log_slope)

    patch.setattr(spline, "spline_forward", forward)
    return _SPLINE


def slopes_that_start_at_the_softplus_of_zero(patch):
    right = RationalQuadratic.knots

    def knots(spline, numbers):
        places, heights, slopes = right(spline, numbers)
        slopes = torch.cat((slopes[..., :1], 0.693 * slopes[..., 1:-1], slopes[..., -1:]), -1)
        return places, heights, slopes

    patch.setattr(RationalQuadratic, "knots", knots)
    return "spline_starts_as_the_identity"


def order_not_reversed(patch):
    patch.setattr(Permute, "forward", lambda layer, x: (x, x.new_zeros(len(x))))
    patch.setattr(Permute, "inverse", lambda layer, z: z)
    return "two_masked_layers_let_all_see_all"


def drawn_in_one_pass(patch):
    def inverse(layer, z):
        return layer.transform.inverse(z, layer.net(z))

    patch.setattr(MaskedAutoregressive, "inverse", inverse)
    return "layers_undo_themselves"


def basis_counted_in_the_determinant(patch):
    right = GeneralisedSylvester.forward

    def forward(layer, x):
        z, log_det = right(layer, x)
        return z, log_det + layer.basis(x)[1]

    patch.setattr(GeneralisedSylvester, "forward", forward)
    return "structured_log_dets_are_the_autograd_ones"


def not_brought_back_from_the_basis(patch):
    def forward(layer, x):
        u = layer.basis(x)[0]
        moved, log_det = layer.step(u)
        return x + moved, log_det

    patch.setattr(GeneralisedSylvester, "forward", forward)
    return "structured_log_dets_are_the_autograd_ones"


def own_channel_seen_by_the_mask(patch):
    right = emerging._before_mask

    def mask(channels, kernel_size):
        found = right(channels, kernel_size)
        middle = kernel_size // 2
        found[:, :, middle, middle] = torch.ones(channels, channels).tril(0)
        return found

    patch.setattr(emerging, "_before_mask", mask)
    return "structured_log_dets_are_the_autograd_ones"


def frequencies_counted_once(patch):
    right = PeriodicConvolution.forward

    def forward(layer, x):
        response = layer._response(tuple(x.shape[2:]))
        return right(layer, x)[0], torch.linalg.slogdet(response).logabsdet.sum().expand(len(x))

    patch.setattr(PeriodicConvolution, "forward", forward)
    return "structured_log_dets_are_the_autograd_ones"


def one_triangle_for_both(patch):
    right = EmergingConvolution.inverse
    patch.setattr(EmergingConvolution, "inverse", lambda layer, z: right(layer, z.flip(2, 3)))
    return "layers_undo_themselves"


def divergence_with_the_wrong_sign(patch):
    right = ODELayer.forward

    def forward(layer, x):
        z, log_det = right(layer, x)
        return z, -log_det

    patch.setattr(ODELayer, "forward", forward)
    return _ODE


def gates_left_out_of_the_trace(patch):
    right = TimeMLP._times

    def with_trace(net, t, z):
        g1, s1, g2, s2, b, c = right(net, t, z)
        a1 = g1 * net.first(z) + s1
        h1, d1 = torch.nn.functional.silu(a1), _slope(a1)
        a2 = g2 * net.second(h1) + s2
        loop = net.second.weight * (net.first.weight @ net.third.weight).T
        trace = (_slope(a2) * (d1 @ loop.T)).sum(1) + z.shape[1] * b.squeeze(1)
        return b * z + c + net.third(torch.nn.functional.silu(a2)), trace

    patch.setattr(TimeMLP, "with_trace", with_trace)
    return _ODE


def _slope(a):
    s = torch.sigmoid(a)
    return s * (1 + a * (1 - s))


def trace_not_transposed(patch):
    right = TimeMLP.with_trace

    def with_trace(net, t, z):
        kept = net.second.weight.data
        velocity = right(net, t, z)[0]
        net.second.weight.data = kept.T
        trace = right(net, t, z)[1]
        net.second.weight.data = kept
        return velocity, trace

    patch.setattr(TimeMLP, "with_trace", with_trace)
    return _ODE


def noise_drawn_anew_at_every_evaluation(patch):
    right = HutchinsonTrace.forward

    def forward(trace, field, t, z, noise):
        return right(trace, field, t, z, trace.noise(z))

    patch.setattr(HutchinsonTrace, "forward", forward)
    return "one_noise_serves_a_whole_solve"


def noise_of_half_the_variance(patch):
    right = HutchinsonTrace.noise
    patch.setattr(HutchinsonTrace, "noise", lambda trace, z: right(trace, z) / math.sqrt(2))
    return "estimated_traces_average_to_the_exact_one"


def energy_not_squared(patch):
    right = ODELayer.integrate

    def integrate(layer, x):
        z, log_det, energy = right(layer, x)
        return z, log_det, energy.clamp_min(0).sqrt()

    patch.setattr(ODELayer, "integrate", integrate)
    return "energy_of_a_constant_field_is_the_square_of_its_way"


def energy_left_in_the_density(patch):
    right = FFJORD._score

    def score(model, x):
        log_p, energy = right(model, x)
        return log_p - model.kinetic * energy, energy

    patch.setattr(FFJORD, "_score", score)
    return "kinetic_weight_changes_the_loss_only"


def solved_with_the_clock_forward(patch):
    def forward(layer, x):
        noise, zero = layer.trace.noise(x), x.new_zeros(len(x))

        def rhs(t, state):
            return layer.trace(layer.field, t, state[0], noise)

        return layer.solver(rhs, (x, zero), 0.0, 1.0)

    patch.setattr(ODELayer, "forward", forward)
    return "layers_undo_themselves"


def divergence_per_dimension(patch):
    right = ODELayer.forward

    def forward(layer, x):
        z, log_det = right(layer, x)
        return z, log_det / x[0].numel()

    patch.setattr(ODELayer, "forward", forward)
    return _ODE


def matched_to_the_way_back(patch):
    right = flow_matching.straight_way

    def way(x0, x1, t):
        return right(x0, x1, t)[0], x0 - x1

    patch.setattr(flow_matching, "straight_way", way)
    return "velocity_is_the_derivative_of_the_way"


def round_way_without_its_factor(patch):
    right = flow_matching.round_way

    def way(x0, x1, t):
        place, velocity = right(x0, x1, t)
        return place, velocity * 2 / math.pi

    patch.setattr(flow_matching, "round_way", way)
    return "velocity_is_the_derivative_of_the_way"


def scores_without_the_normal_density(patch):
    right = NormalScores._curve

    def curve(layer, x):
        z, log_slope = right(layer, x)
        return z, log_slope - 0.5 * (z.square() + math.log(2 * math.pi))

    patch.setattr(NormalScores, "_curve", curve)
    return "structured_log_dets_are_the_autograd_ones"


def tolerance_ignored(patch):
    right = Solver.__init__

    def init(solver, method="dopri5", tol=1e-5, steps=8, adjoint=False):
        right(solver, method, 1e-3, steps, adjoint)

    patch.setattr(Solver, "__init__", init)
    return "the_way_back_ends_within_the_tolerance"


FAULTS = [
    value
    for name, value in list(globals().items())
    if callable(value) and getattr(value, "__module__", "") == __name__ and name[0] != "_"
]
