"""Residual flows: the contract, norms, inverses, log-determinants, and the faults they reveal."""

import math

import contract
import pytest
import torch
from planted_residual import FAULTS
from torch import nn
from torch.autograd.graph import saved_tensors_hooks

from dgm.residual.block import NotContracting, ResidualBlock
from dgm.residual.contractive import Contractive, DenseContractive, LearnedConcat
from dgm.residual.lip_swish import ConcatLipSwish, LipSwish
from dgm.residual.log_det import DenseLogDet, SeriesLogDet, jacobian_rows
from dgm.residual.n_terms import FixedTerms, GeometricTerms, PoissonTerms
from dgm.residual.spectral import SpectralConv2d, SpectralLinear, held

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
            jacobian = torch.autograd.functional.jacobian(lambda v: block(v)[0], x[k : k + 1])
            exact = jacobian.view(5, 5).slogdet()[1]
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
        assert z_score(estimates(law, 3000, rows=20, matrix=matrix), exact) < 4


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


def mean_gradient(log_det, net, x, calls):
    """The gradient of the mean log-det in all parameters and x: mean over calls and error."""
    block, leaves = ResidualBlock(net, log_det).eval(), [*net.parameters(), x]
    seen = []
    for _ in range(calls):
        found = torch.autograd.grad(
            block(x)[1].sum(), leaves, allow_unused=True, materialize_grads=True
        )
        seen.append(torch.cat([g.flatten() for g in found]))
    seen = torch.stack(seen)
    return seen.mean(0), seen.std(0) / calls**0.5


def neumann_gradient_averages_to_the_exact_one():
    net = nets(0.6)[0]
    x = torch.randn(40, 5).requires_grad_()
    exact, _ = mean_gradient(DenseLogDet(), net, x, 1)
    mean, error = mean_gradient(SeriesLogDet(GeometricTerms(0.5, 3)), net, x, 400)
    assert ((mean - exact) / (error + 1e-9)).square().mean() < 1.5
    cosine = torch.nn.functional.cosine_similarity(mean, exact, dim=0)
    assert cosine > 0.99


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


@pytest.mark.parametrize("holds", PROPERTIES, ids=lambda f: f.__name__)
def test_property(holds):
    torch.manual_seed(6)
    holds()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda f: f.__name__)
def test_a_planted_fault_breaks_its_property(fault, monkeypatch):
    broken = fault(monkeypatch)
    by_name = {holds.__name__: holds for holds in PROPERTIES}
    torch.manual_seed(6)
    with pytest.raises(AssertionError):
        by_name[broken]()


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


def test_gradient_of_the_roulette_is_infinite_variance_free_below_the_root():
    """Sheet 38: geometric terms have a finite variance where the radius is below sqrt(1 - p)."""
    torch.manual_seed(7)
    spreads = {}
    for n_exact in (0, 2, 10):
        spreads[n_exact] = estimates(GeometricTerms(0.5, n_exact), 400, rows=50).std().item()
    assert spreads[0] > 2 * spreads[2] > 10 * spreads[10]
