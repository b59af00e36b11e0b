"""Faults of residual flows: each plants itself and names the property it must break."""

import torch
from torch.nn.functional import softplus

from dgm.residual import log_det as module
from dgm.residual.block import ResidualBlock
from dgm.residual.contractive import LearnedConcat
from dgm.residual.lip_swish import ConcatLipSwish, LipSwish
from dgm.residual.log_det import DenseLogDet, SeriesLogDet
from dgm.residual.n_terms import GeometricTerms, PoissonTerms
from dgm.residual.spectral import SpectralConv2d, SpectralLayer

_NORM, _BELOW = (
    "norm_of_a_convolution_is_that_of_its_dense_matrix",
    "layers_are_below_their_coefficient",
)
_FIXED, _ROULETTE = (
    "fixed_terms_average_to_the_truncated_series",
    "roulette_averages_to_the_whole_series",
)
_WEIGHTS = "weights_of_the_roulette_are_one_over_the_frequency_of_the_term"
_SLOPES, _GRADIENT = (
    "slopes_of_activations_are_at_most_one",
    "neumann_gradient_averages_to_the_exact_one",
)
_INVERSE = "inverse_undoes_the_block_at_the_rate_of_its_constant"


def one_power_iteration_in_eval_mode(patch):
    right = SpectralLayer.__init__

    def init(layer, *args, **options):
        right(layer, *args, **options)
        layer.n_eval = 1

    patch.setattr(SpectralLayer, "__init__", init)
    return _BELOW


def norm_of_the_reshaped_kernel(patch):
    """(out, in k k): what `torch.nn.utils.spectral_norm` takes; it is not that of the map."""
    patch.setattr(
        SpectralConv2d, "norm", lambda layer: torch.linalg.matrix_norm(layer.weight.flatten(1), 2)
    )
    return _NORM


def stride_ignored_in_the_norm(patch):
    right = SpectralConv2d.norm

    def norm(layer):
        stride, layer.stride = layer.stride, 1
        left, layer.left_over = layer.left_over, (0, 0)
        found = right(layer)
        layer.stride, layer.left_over = stride, left
        return found

    patch.setattr(SpectralConv2d, "norm", norm)
    return _NORM


def padding_ignored_in_the_adjoint(patch):
    right = SpectralConv2d.adjoint

    def adjoint(layer, u, weight):
        if layer.padding == 0:
            return right(layer, u, weight)
        full = torch.nn.functional.conv_transpose2d(u, weight, stride=layer.stride)
        sides = layer.v.shape[2:]
        return torch.nn.functional.interpolate(full, size=sides)

    patch.setattr(SpectralConv2d, "adjoint", adjoint)
    return _NORM


def every_layer_is_divided_by_its_norm_and_not_multiplied_by_c(patch):
    patch.setattr(
        SpectralLayer, "scaled_weight", lambda layer: layer.weight / layer.norm().clamp_min(1.0)
    )
    return _BELOW


def lip_swish_without_its_factor(patch):
    def forward(layer, x):
        return x * torch.sigmoid(x * softplus(layer.b))

    patch.setattr(LipSwish, "forward", forward)
    return _SLOPES


def concat_lip_swish_without_its_factor(patch):
    def forward(layer, x):
        return torch.cat((layer.lip_swish(x), layer.lip_swish(-x)), dim=1)

    patch.setattr(ConcatLipSwish, "forward", forward)
    return _SLOPES


def concatenation_without_normalised_shares(patch):
    patch.setattr(LearnedConcat, "etas", lambda layer: softplus(layer.share) + 0.1)
    return "learned_concatenation_does_not_stretch"


def concatenation_with_shares_that_add_up_to_one(patch):
    """eta_1 + eta_2 = 1 shrinks: no harm to the constant, but to what the block can do."""
    patch.setattr(LearnedConcat, "etas", lambda layer: layer.share.softmax(0))
    return "learned_concatenation_does_not_stretch"


def inverse_with_the_wrong_sign(patch):
    def inverse(block, z):
        x = z
        for _ in range(12):
            x = z + block.net(x)
        return x

    patch.setattr(ResidualBlock, "inverse", inverse)
    return _INVERSE


def inverse_in_a_single_step(patch):
    patch.setattr(ResidualBlock, "inverse", lambda block, z: z - block.net(z))
    return _INVERSE


def determinant_of_g_alone(patch):
    def forward(how, x, g, graph):
        return torch.linalg.slogdet(module.jacobian_rows(x, g, graph)).logabsdet

    patch.setattr(DenseLogDet, "forward", forward)
    return "dense_log_det_is_that_of_the_jacobian"


def _series(sign, share, noise=None):
    """The series with parts exchanged: sign of term k, what it is divided by, the noise."""

    def forward(how, x, g, graph):
        v = torch.randint_like(x, 2) * 2 - 1 if noise is None else noise(x)
        total, w = x.new_zeros(len(x)), v
        for k, weight in enumerate(how.n_terms.weights(), start=1):
            (w,) = torch.autograd.grad(g, x, w, retain_graph=True)
            total = total + sign(k) * weight / share(k) * (w * v).flatten(1).sum(1)
        return total

    return forward


def _turning(k):
    return (-1) ** (k + 1)


def signs_of_the_series_do_not_alternate(patch):
    patch.setattr(SeriesLogDet, "forward", _series(lambda k: 1, lambda k: k))
    return _FIXED


def terms_are_not_divided_by_k(patch):
    patch.setattr(SeriesLogDet, "forward", _series(_turning, lambda k: 1))
    return _FIXED


def noise_without_unit_variance(patch):
    uniform = lambda x: torch.rand_like(x) * 2 - 1  # noqa: E731
    patch.setattr(SeriesLogDet, "forward", _series(_turning, lambda k: k, uniform))
    return _FIXED


def trace_as_a_mean_over_dimensions(patch):
    patch.setattr(SeriesLogDet, "forward", _series(_turning, lambda k: 6 * k))
    return _FIXED


def a_truncated_series_claimed_whole(patch):
    """Random numbers of terms, each counted once."""
    for law in (GeometricTerms, PoissonTerms):
        patch.setattr(law, "at_least", lambda self, m: 1.0)
    return _ROULETTE


def weights_of_the_probability_that_the_series_ends_there(patch):
    """1 / P(M = m) in the place of 1 / P(M >= m)."""
    patch.setattr(GeometricTerms, "at_least", lambda self, m: self.p * (1 - self.p) ** m)
    return _WEIGHTS


def weights_one_term_late(patch):
    patch.setattr(GeometricTerms, "at_least", lambda self, m: (1 - self.p) ** (m - 1))
    return _WEIGHTS


def multiplied_by_the_probability(patch):
    right = PoissonTerms.at_least
    patch.setattr(PoissonTerms, "at_least", lambda self, m: 1 / right(self, m))
    return _WEIGHTS


def _neumann(sign, scale, graph_inside=False):
    def by_neumann(how, x, g, v, weights):
        w, left = v, weights[0] * v
        for k, weight in enumerate(weights[1:], start=1):
            options = dict(create_graph=True) if graph_inside else dict(retain_graph=True)
            (w,) = torch.autograd.grad(g, x, w, **options)
            left = left + sign(k) * scale(k) * weight * w
        (last,) = torch.autograd.grad(g, x, left, create_graph=True)
        return (last * v).flatten(1).sum(1)

    return by_neumann


def neumann_series_without_signs(patch):
    patch.setattr(SeriesLogDet, "_by_neumann", _neumann(lambda k: 1, lambda k: 1))
    return _GRADIENT


def neumann_series_with_the_factors_of_the_logarithm(patch):
    alternate = lambda k: (-1) ** k  # noqa: E731
    patch.setattr(SeriesLogDet, "_by_neumann", _neumann(alternate, lambda k: 1 / (k + 1)))
    return _GRADIENT


def the_scalar_of_the_gradient_reported_as_log_det(patch):
    alternate = lambda k: (-1) ** k  # noqa: E731
    patch.setattr(SeriesLogDet, "_by_neumann", _neumann(alternate, lambda k: 1))
    return "neumann_gives_the_value_of_the_series"


def every_product_of_the_neumann_series_keeps_its_graph(patch):
    alternate = lambda k: (-1) ** k  # noqa: E731
    patch.setattr(SeriesLogDet, "_by_neumann", _neumann(alternate, lambda k: 1, True))
    return "memory_of_the_neumann_gradient_does_not_grow"


FAULTS = [
    one_power_iteration_in_eval_mode, norm_of_the_reshaped_kernel, stride_ignored_in_the_norm,
    padding_ignored_in_the_adjoint, every_layer_is_divided_by_its_norm_and_not_multiplied_by_c,
    lip_swish_without_its_factor, concat_lip_swish_without_its_factor,
    concatenation_without_normalised_shares, concatenation_with_shares_that_add_up_to_one,
    inverse_with_the_wrong_sign, inverse_in_a_single_step, determinant_of_g_alone,
    signs_of_the_series_do_not_alternate, terms_are_not_divided_by_k, noise_without_unit_variance,
    trace_as_a_mean_over_dimensions, a_truncated_series_claimed_whole,
    weights_of_the_probability_that_the_series_ends_there, weights_one_term_late,
    multiplied_by_the_probability, neumann_series_without_signs,
    neumann_series_with_the_factors_of_the_logarithm,
    the_scalar_of_the_gradient_reported_as_log_det,
    every_product_of_the_neumann_series_keeps_its_graph,
]  # fmt: skip
