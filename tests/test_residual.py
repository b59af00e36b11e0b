"""Residual flows: the contract, norms, inverses, log-determinants, and the faults they reveal."""

import math

import contract
import pytest
import torch
from planted_residual import FAULTS
from planting import property_tests
from torch import nn
from torch.autograd.graph import saved_tensors_hooks

from dgm.distribution.support import Levels, Reals
from dgm.residual.block import NotContracting, ResidualBlock
from dgm.residual.contractive import Contractive, DenseContractive, LearnedConcat
from dgm.residual.lip_swish import ConcatLipSwish, LipSwish
from dgm.residual.log_det import DenseLogDet, SeriesLogDet, jacobian_rows
from dgm.residual.n_terms import FixedTerms, GeometricTerms, PoissonTerms
from dgm.residual.spectral import SpectralConv2d, SpectralLinear, held
from dgm.residual.unbiased_bound import UnbiasedBound
from dgm.zoo.residual import residual_flow
from dgm.zoo.studies import invertible_classifiers

pytestmark = pytest.mark.usefixtures("float64")


@contract.over("residual")
def test_contract(entry, promise):
    promise(entry)


def matrix_layer(_, n_in, n_out, coefficient):
    return SpectralLinear(n_in, n_out, coefficient, n_eval=200)


def nets(coefficient=0.9, dims=5):
    """A plain and a dense net, their weights moved far enough that the coefficient binds."""
    torch.manual_seed(0)
    plain = Contractive((dims, 17, 13, dims), matrix_layer, LipSwish, coefficient)
    dense = DenseContractive(dims, 7, 3, matrix_layer, ConcatLipSwish, coefficient)
    return [contract.moved(net, 1.5) for net in (plain, dense)]


def dense_map(layer):
    """The matrix of a layer's linear map with the weights as given, (out, in)."""
    shape = layer.v.shape[1:]
    basis = torch.eye(shape.numel()).view(-1, *shape)
    with torch.no_grad():
        return layer.run(basis, layer.weight).flatten(1).T


class Matrix(nn.Module):
    """g(x) = J x."""

    def __init__(self, matrix):
        super().__init__()
        self.matrix = nn.Parameter(matrix)

    def forward(self, x):
        return x @ self.matrix.T


def contraction(dims=6, norm=0.9, seed=0):
    torch.manual_seed(seed)
    matrix = torch.randn(dims, dims)
    return norm * matrix / torch.linalg.matrix_norm(matrix, 2)


# --- properties, each of which a planted fault below must break -----------------------------------

GEOMETRY = [(3, 1, 1), (3, 2, 1), (4, 2, 0), (3, 3, 1), (1, 1, 0)]  # kernel, stride, padding


def norm_of_a_convolution_is_that_of_its_dense_matrix():
    for kernel, stride, padding in GEOMETRY:
        torch.manual_seed(1)
        layer = SpectralConv2d((2, 7, 6), 3, kernel, 0.5, stride, padding, n_eval=300).eval()
        matrix = dense_map(layer)
        assert layer.norm().item() == pytest.approx(
            torch.linalg.matrix_norm(matrix, 2).item(), rel=1e-4
        )
        u = torch.randn(1, *layer.run(layer.v, layer.weight).shape[1:])
        torch.testing.assert_close(layer.adjoint(u, layer.weight).flatten(), matrix.T @ u.flatten())


def layers_are_below_their_coefficient():
    torch.manual_seed(2)
    layers = [SpectralLinear(30, 20, 0.8), SpectralConv2d((3, 6, 5), 4, 3, 0.8)]
    layers.append(SpectralConv2d((3, 6, 5), 4, 3, 0.8, stride=2))
    for layer in layers:
        contract.moved(layer, 1.0)
        factor = (layer.scaled_weight() / layer.weight).flatten()[0]
        norm = torch.linalg.matrix_norm(dense_map(layer), 2) * factor
        assert 0.75 < norm <= 0.8 * 1.01


def nets_are_below_their_coefficient():
    """The largest singular value of the Jacobian at many places."""
    for net in nets(0.9):
        x = (3 * torch.randn(400, 5)).requires_grad_()
        slopes = torch.linalg.matrix_norm(jacobian_rows(x, net(x), False), 2)
        assert slopes.max() <= 0.9


def slopes_of_activations_are_at_most_one():
    """Sheet of known suprema: 1.09984 / 1.1, and 1.10436 / 1.1 before the factor of 1.004."""
    x = torch.linspace(-8, 8, 200_001).view(-1, 1)
    single, double = LipSwish(), ConcatLipSwish()
    for activation, expected in ((single, 1.099839 / 1.1), (double, 1.003965 / 1.004)):
        for b in (-1.0, 0.5, 2.0):
            for module in activation.modules():
                if isinstance(module, LipSwish):
                    nn.init.constant_(module.b, b)
            y, slope = torch.func.jvp(activation, (x,), (torch.ones_like(x),))
            found = slope.norm(dim=1).max().item()
            assert y.shape[1] == (1 if activation is single else 2)
            assert found == pytest.approx(expected, abs=2e-5)
            assert found <= 1


def learned_concatenation_does_not_stretch():
    torch.manual_seed(3)
    concat = LearnedConcat(Matrix(torch.linalg.qr(torch.randn(4, 4))[0]))
    for share in (0.0, 0.0), (3.0, -1.0), (1.0, 4.0):
        concat.share.data = torch.tensor(share)
        h = torch.randn(9, 4)
        out = concat(h)
        assert out.shape == (9, 8)
        torch.testing.assert_close(out.norm(dim=1), h.norm(dim=1))


def inverse_undoes_the_block_at_the_rate_of_its_constant():
    for net in nets(0.9):
        block = ResidualBlock(net, DenseLogDet(), held=held).eval()
        x = 2 * torch.randn(50, 5)
        z = block(x)[0].detach()
        torch.testing.assert_close(block.inverse(z), x, atol=1e-9, rtol=0)
        with torch.no_grad():
            at, first = z, (net(z)).norm(dim=1)
            for n in range(1, 12):
                at = z - net(at)
                assert ((at - x).norm(dim=1) <= 0.9**n / 0.1 * first + 1e-12).all()


def dense_log_det_is_that_of_the_jacobian():
    for net in nets():
        block = ResidualBlock(net, DenseLogDet()).eval()
        x = torch.randn(3, 5)
        _, log_det = block(x)
        for k in range(3):
            found = torch.autograd.functional.jacobian(lambda v, b=block: b(v)[0], x[k : k + 1])
            exact = found.view(5, 5).slogdet()[1]
            torch.testing.assert_close(log_det[k], exact)


def series_of(matrix, n):
    """The first n terms of log det(I + J), exact traces."""
    power, total = torch.eye(len(matrix)), 0.0
    for k in range(1, n + 1):
        power = power @ matrix
        total += (-1) ** (k + 1) * power.trace().item() / k
    return total


def estimates(n_terms, calls, rows=200, neumann=True, matrix=None):
    """Means over the rows of many calls, (calls,): each call draws one number of terms."""
    block = ResidualBlock(
        Matrix(contraction() if matrix is None else matrix), SeriesLogDet(n_terms, neumann)
    )
    x = torch.zeros(rows, 6)
    with torch.no_grad():
        return torch.stack([block(x)[1].mean() for _ in range(calls)])


def z_score(draws, exact):
    return abs(draws.mean().item() - exact) / (draws.std().item() / len(draws) ** 0.5)


def fixed_terms_average_to_the_truncated_series():
    matrix = contraction()
    for n in (1, 2, 5):
        assert z_score(estimates(FixedTerms(n), 100), series_of(matrix, n)) < 4
    assert abs(series_of(matrix, 5) - torch.eye(6).add(matrix).slogdet()[1].item()) > 0.005


def roulette_averages_to_the_whole_series():
    matrix = contraction(norm=0.6)
    exact = torch.eye(6).add(matrix).slogdet()[1].item()
    for law in (GeometricTerms(0.4, 0), GeometricTerms(0.5, 2), PoissonTerms(2.0, 3)):
        assert z_score(estimates(law, 1500, rows=40, matrix=matrix), exact) < 4


def weights_of_the_roulette_are_one_over_the_frequency_of_the_term():
    for law in (GeometricTerms(0.4, 1), PoissonTerms(1.5, 2)):
        torch.manual_seed(4)
        drawn = [law.weights() for _ in range(20_000)]
        for k in (1, 2, 3, 4):
            counted = [weights[k - 1] if len(weights) >= k else 0.0 for weights in drawn]
            counted = torch.tensor(counted)
            assert abs(counted.mean() - 1) <= 4 * counted.std() / 20_000**0.5


def neumann_gives_the_value_of_the_series():
    """Under the same noise: its value is no by-product of the gradient, but the estimate."""
    for n_terms in (FixedTerms(1), FixedTerms(4), GeometricTerms(0.5, 2)):
        net, x = nets()[0], torch.randn(7, 5)
        values = []
        for neumann in (True, False):
            torch.manual_seed(5)
            values.append(ResidualBlock(net, SeriesLogDet(n_terms, neumann))(x)[1])
        torch.testing.assert_close(*values)


def neumann_gradient_averages_to_the_exact_one():
    """For g(x) = J x it is the transpose of (I + J)^-1."""
    matrix = contraction(norm=0.8)
    block = ResidualBlock(Matrix(matrix), SeriesLogDet(GeometricTerms(0.5, 3)))
    x, seen = torch.zeros(50, 6), []
    for _ in range(400):
        seen.append(torch.autograd.grad(block(x)[1].mean(), block.net.matrix)[0])
    seen, exact = torch.stack(seen), torch.linalg.inv(torch.eye(6) + matrix).T
    z = (seen.mean(0) - exact) / (seen.std(0) / 20)
    assert z.square().mean() < 2.5


def saved_bytes(log_det, terms):
    """Bytes that autograd keeps for the backward pass of a block, after the forward pass."""
    net, kept = nets()[0], []
    block, x = ResidualBlock(net, log_det), torch.randn(64, 5)
    with saved_tensors_hooks(lambda t: kept.append(t.nbytes) or t, lambda t: t):
        block(x)
    return sum(kept)


def memory_of_the_neumann_gradient_does_not_grow():
    few, many = (saved_bytes(SeriesLogDet(FixedTerms(n)), n) for n in (2, 12))
    assert many == few
    through = [saved_bytes(SeriesLogDet(FixedTerms(n), neumann=False), n) for n in (2, 12)]
    assert through[1] > 3 * through[0]


PROPERTIES = [
    norm_of_a_convolution_is_that_of_its_dense_matrix, layers_are_below_their_coefficient,
    nets_are_below_their_coefficient, slopes_of_activations_are_at_most_one,
    learned_concatenation_does_not_stretch, inverse_undoes_the_block_at_the_rate_of_its_constant,
    dense_log_det_is_that_of_the_jacobian, fixed_terms_average_to_the_truncated_series,
    roulette_averages_to_the_whole_series,
    weights_of_the_roulette_are_one_over_the_frequency_of_the_term,
    neumann_gives_the_value_of_the_series, neumann_gradient_averages_to_the_exact_one,
    memory_of_the_neumann_gradient_does_not_grow,
]  # fmt: skip

test_property, test_planted_fault = property_tests(PROPERTIES, FAULTS, seed=6)


# --- what each part promises ----------------------------------------------------------------------


def test_truncation_bias_is_within_the_papers_bound():
    """Behrmann et al., theorem 4: D times the rest of the series of log(1 - c)."""
    for c in (0.5, 0.9):
        matrix = contraction(norm=c)
        exact = torch.eye(6).add(matrix).slogdet()[1].item()
        for n in (1, 3, 8):
            rest = -6 * (math.log(1 - c) + sum(c**k / k for k in range(1, n + 1)))
            assert abs(series_of(matrix, n) - exact) <= rest


def test_power_iteration_moves_its_vector_in_training_only():
    layer = SpectralLinear(6, 4, 0.9, n_steps=1)
    before = layer.v.clone()
    layer.eval()(torch.zeros(1, 6))
    assert torch.equal(layer.v, before)
    layer.train()(torch.zeros(1, 6))
    moved = dense_map(layer).T @ dense_map(layer) @ before.flatten()
    torch.testing.assert_close(layer.v.flatten(), moved / moved.norm())
    for _ in range(300):
        layer(torch.zeros(1, 6))
    exact = torch.linalg.matrix_norm(layer.weight, 2)
    torch.testing.assert_close(layer.norm(), exact)


def test_a_layer_that_is_small_enough_is_left_as_it_is():
    layer = SpectralLinear(6, 4, 0.9).eval()
    layer.weight.data *= 0.1 / torch.linalg.matrix_norm(layer.weight, 2)
    assert torch.equal(layer.scaled_weight(), layer.weight)


def test_norm_is_differentiable_in_the_weights():
    layer = SpectralLinear(6, 4, 0.9, n_eval=500).eval()
    (found,) = torch.autograd.grad(layer.norm(), layer.weight)
    (exact,) = torch.autograd.grad(torch.linalg.matrix_norm(layer.weight, 2), layer.weight)
    torch.testing.assert_close(found, exact, atol=1e-5, rtol=0)


def test_held_layers_keep_their_weights_and_let_go_of_them():
    net = nets()[0]
    x = torch.randn(3, 5)
    expected = net(x)
    layer = net.parts[0]
    with held(net):
        torch.testing.assert_close(net(x), expected)
        assert layer.scaled_weight() is layer.held
    assert layer.held is None
    with pytest.raises(RuntimeError, match="inside"), held(net):
        raise RuntimeError("inside")
    assert layer.held is None


def test_per_place_shifts_differ_by_place_and_leave_the_slope():
    layer = SpectralConv2d((2, 4, 4), 3, 3, 0.9, per_place=True).eval()
    nn.init.normal_(layer.bias)
    assert layer.bias.shape == (3, 4, 4)
    torch.testing.assert_close(layer(torch.zeros(1, 2, 4, 4))[0], layer.bias)


@pytest.mark.parametrize("coefficient", [1.0, 1.5, 0.0, -0.2, math.nan])
def test_a_coefficient_of_one_or_more_is_refused_with_the_number(coefficient):
    for make in (
        lambda: SpectralLinear(2, 2, coefficient),
        lambda: Contractive((2, 3, 2), matrix_layer, LipSwish, coefficient),
        lambda: DenseContractive(2, 3, 2, matrix_layer, ConcatLipSwish, coefficient),
    ):
        with pytest.raises(ValueError, match=rf"coefficient .*{coefficient}"):
            make()


def test_an_inverse_that_does_not_converge_says_how_far_it_is():
    expanding = ResidualBlock(Matrix(1.3 * torch.eye(2)), DenseLogDet())
    with pytest.raises(NotContracting, match=r"moves by \d"):
        expanding.inverse(torch.ones(1, 2))
    slow = ResidualBlock(Matrix(0.99 * torch.eye(2)), DenseLogDet())
    with pytest.raises(NotContracting, match="after 10 steps"):
        slow.inverse(torch.ones(1, 2), max_iter=10)
    assert slow.inverse(torch.ones(1, 2), tol=0.5).shape == (1, 2)
    assert slow.inverse(torch.ones(0, 2)).shape == (0, 2)


def test_bad_settings_are_named():
    for make, name in (
        (lambda: FixedTerms(0), "n"),
        (lambda: GeometricTerms(0.0), "p"),
        (lambda: GeometricTerms(1.0), "p"),
        (lambda: GeometricTerms(0.5, -1), "n_exact"),
        (lambda: PoissonTerms(0.0), "rate"),
        (lambda: SpectralLinear(2, 2, 0.9, n_steps=0), "n_steps"),
    ):
        with pytest.raises(ValueError, match=rf"\b{name}\b"):
            make()


def test_no_terms_at_all_count_nothing():
    class NoTerms:
        def weights(self):
            return []

    block = ResidualBlock(Matrix(contraction()), SeriesLogDet(NoTerms()))
    assert torch.equal(block(torch.ones(3, 6))[1], torch.zeros(3))


def test_training_estimates_and_evaluation_is_exact():
    block = ResidualBlock(Matrix(contraction()), SeriesLogDet(FixedTerms(1)), DenseLogDet())
    exact = torch.eye(6).add(block.net.matrix).slogdet()[1]
    x = torch.randn(4, 6)
    torch.testing.assert_close(block.eval()(x)[1], exact.expand(4))
    assert (block.train()(x)[1] - exact).abs().min() > 1e-3
    with torch.no_grad():
        z, log_det = block.eval()(x)
    assert not z.requires_grad
    assert not log_det.requires_grad


def test_sure_terms_make_the_dice_quieter():
    torch.manual_seed(7)
    matrix = contraction(norm=0.9)
    spreads = [
        estimates(GeometricTerms(0.5, n), 300, rows=2000, matrix=matrix).std().item()
        for n in (0, 3, 12)
    ]
    assert spreads[0] > 2 * spreads[1] > 4 * spreads[2]


def test_a_bound_on_estimated_log_determinants_offers_no_importance_weights():
    model = residual_flow(Levels((1, 18, 16), 3), blocks=(1,), width=4, n_exact=1)
    assert isinstance(model, UnbiasedBound)
    assert not hasattr(model, "iw_bound")
    assert not hasattr(model, "log_prob")
    x = torch.randint(3, (2, 1, 18, 16))
    model.start_from(x)
    assert model.loss(x).shape == (2,)
    assert model.eval().encode(x).shape == (2, 288)
    torch.manual_seed(8)
    expected = -model.elbo(x)
    torch.manual_seed(8)
    assert torch.equal(model.loss(x), expected)
    draws = [model.sample(3, temperature=t, generator=torch.Generator().manual_seed(0))
             for t in (1.0, 1.0, 0.3)]  # fmt: skip
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


def test_large_reals_are_refused():
    with pytest.raises(ValueError, match="data of reals must have at most 256"):
        residual_flow(Reals((257,)))


def test_pictures_are_flattened_or_squeezed():
    kind = Levels((1, 4, 8), 4)
    flat = residual_flow(kind, blocks=(1, 2), width=5, flat=True)
    deep = residual_flow(kind, blocks=(1, 2), width=5)
    for model, shapes in ((flat, [(32,)] * 3), (deep, [(4, 2, 4), (8, 1, 2), (8, 1, 2)])):
        blocks = [m for m in model.modules() if isinstance(m, ResidualBlock)]
        assert [tuple(b.net.parts[0].v.shape[1:]) for b in blocks] == shapes


def test_the_classifiers_of_the_study_are_invertible_but_for_the_free_one():
    kind = Levels((1, 8, 8), 17)
    x = torch.randint(17, (5, 1, 8, 8))
    for body in ("affine", "additive", "i-ResNet"):
        torch.manual_seed(9)
        model = invertible_classifiers.InvertibleClassifier(body, kind, steps=1, width=6).train()
        model.loss(x, torch.arange(5))
        contract.moved(model, 0.1)
        torch.testing.assert_close(model.reconstruct(x), x.double(), atol=1e-3, rtol=0)
    with pytest.raises(ValueError, match="body"):
        invertible_classifiers.InvertibleClassifier("other", kind)


def test_the_study_is_whole():
    runs = invertible_classifiers.load()
    cells = {(run["body"], run["seed"]) for run in runs}
    expected = {(b, s) for b in invertible_classifiers.BODIES for s in invertible_classifiers.SEEDS}
    assert cells == expected
    assert all(0 <= run["test"] <= 20 for run in runs)
