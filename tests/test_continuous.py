"""Structured and continuous flows: the contract, what each layer promises, planted faults."""

import math

import contract
import pytest
import torch
from planted_continuous import FAULTS
from planting import property_tests
from torch import nn

from dgm import zoo
from dgm.continuous import flow_matching
from dgm.continuous.ffjord import FFJORD
from dgm.continuous.flow_matching import FlowMatching, round_way, straight_way
from dgm.continuous.ode_layer import ODELayer
from dgm.continuous.solver import Solver
from dgm.continuous.trace import ExactTrace, HutchinsonTrace
from dgm.distribution.normal import StandardNormal
from dgm.distribution.support import Levels, Reals
from dgm.flow.convolution_exponential import ConvolutionExponential, convolution_series
from dgm.flow.elementwise import Permute
from dgm.flow.emerging import EmergingConvolution, PeriodicConvolution
from dgm.flow.generalised_sylvester import AsPicture, GeneralisedSylvester
from dgm.flow.masked_autoregressive import MaskedAutoregressive
from dgm.flow.normal_scores import NormalScores
from dgm.flow.spline import RationalQuadratic, ScaleAndShift, checked_knots, spline_inverse
from dgm.flow.transform_coupling import TransformCoupling
from dgm.nets.gated_pixelcnn import GatedPixelCNN
from dgm.nets.masked_mlp import MaskedMLP
from dgm.nets.raster import RasterNetwork
from dgm.nets.time_mlp import TimeMLP
from dgm.zoo.studies import likelihood_or_matching


@contract.over("continuous")
def test_contract(entry, promise):
    promise(entry)


def moved(module, std=0.4):
    """In float64, every parameter away from where it starts."""
    torch.manual_seed(1)
    return contract.moved(module, std).double()


def jacobian(layer, x):
    """(B, D, D) of a layer, one example at a time."""
    rows = [torch.autograd.functional.jacobian(lambda v: layer(v[None])[0][0], r) for r in x]
    return torch.stack([j.reshape(x[0].numel(), x[0].numel()) for j in rows])


def check_log_det(layer, x, atol=1e-9):
    """The claimed log-determinant is that of the Jacobian."""
    found = layer(x)[1].detach()
    torch.testing.assert_close(found, jacobian(layer, x).slogdet()[1], atol=atol, rtol=0)


def pictures(*shape):
    torch.manual_seed(0)
    return torch.randn(*shape, dtype=torch.float64)


def field_of(dims=4, width=7, std=0.3):
    torch.manual_seed(0)
    return moved(TimeMLP(dims, width), std)


def layer_of(dims=4, solver=None, trace=None):
    return ODELayer(field_of(dims), trace or ExactTrace(), solver or Solver("dopri5", tol=1e-9))


# --- properties, each of which a planted fault below must break -----------------------------------


def exponential_is_the_dense_one():
    """exp of the matrix of the convolution, and its trace is the log-determinant."""
    x, layer = pictures(2, 3, 4, 5), moved(ConvolutionExponential(3, start=0.3), 0.2)
    kernel = layer.bounded()
    units = torch.eye(60, dtype=torch.float64).view(60, 3, 4, 5)
    dense = nn.functional.conv2d(units, kernel, padding=1).flatten(1).T  # (60, 60)
    z, log_det = layer(x)
    expected = x.flatten(1) @ torch.matrix_exp(dense).T
    torch.testing.assert_close(z.flatten(1), expected, atol=1e-10, rtol=0)
    torch.testing.assert_close(log_det, dense.trace().expand(2), atol=1e-10, rtol=0)
    torch.testing.assert_close(torch.matrix_exp(dense).slogdet()[1], log_det[0], atol=1e-9, rtol=0)


def structured_log_dets_are_the_autograd_ones():
    x = pictures(2, 2, 4, 5)
    net = GatedPixelCNN(2, (2, 4, 5), width=3, blocks=1)
    basis = ConvolutionExponential(2, start=0.3)
    for layer in (
        ConvolutionExponential(2, 5, start=0.3),
        EmergingConvolution(2),
        PeriodicConvolution(2),
        GeneralisedSylvester(basis, net, channels=2),
        NormalScores(),
    ):
        check_log_det(moved(layer, 0.2), x)
    check_log_det(NormalScores(most=1.0), 3 * x)
    check_log_det(moved(PeriodicConvolution(3), 0.2), pictures(2, 3, 5, 4))


def layers_undo_themselves():
    x, rows = pictures(3, 2, 4, 5), pictures(5, 4)
    net = GatedPixelCNN(2, (2, 4, 5), width=3, blocks=1)
    spline = RationalQuadratic(3, bound=2.0)
    for layer in (
        ConvolutionExponential(2, start=0.3),
        EmergingConvolution(2),
        PeriodicConvolution(2),
        GeneralisedSylvester(ConvolutionExponential(2), net, channels=2),
        NormalScores(most=1.5),
    ):
        layer = moved(layer, 0.2)
        torch.testing.assert_close(layer.inverse(layer(x)[0]), x, atol=1e-8, rtol=0)
    for layer in (
        MaskedAutoregressive(MaskedMLP(4, spline.size, width=9), spline),
        MaskedAutoregressive(MaskedMLP(4, 2, width=9), ScaleAndShift()),
        TransformCoupling(nn.Linear(2, 2 * spline.size), spline),
        layer_of(),
    ):
        layer = layer if isinstance(layer, ODELayer) else moved(layer)
        torch.testing.assert_close(layer.inverse(layer(rows)[0]), rows, atol=1e-7, rtol=0)


def spline_slope_is_its_derivative():
    spline = RationalQuadratic(5, bound=3.0)
    numbers = 2 * pictures(7, 1, spline.size).expand(-1, 41, -1)
    x = torch.linspace(-4, 4, 41, dtype=torch.float64).expand(7, -1).clone().requires_grad_()
    y, log_slope = spline(x, numbers)
    (slope,) = torch.autograd.grad(y.sum(), x)
    torch.testing.assert_close(log_slope, slope.log(), atol=1e-9, rtol=0)
    assert (y.diff(dim=1) > 0).all()
    torch.testing.assert_close(spline.inverse(y, numbers), x, atol=1e-9, rtol=0)
    outside = x.abs() > 3
    assert torch.equal(y[outside], x[outside])


def spline_meets_its_knots_with_its_slopes():
    """At every inner knot: the height of that knot, and from both sides its slope."""
    spline = RationalQuadratic(4, bound=2.0)
    numbers = pictures(spline.size)
    places, heights, slopes = spline.knots(numbers)
    for shift in (-1e-8, 1e-8):
        y, log_slope = spline(places[1:-1] + shift, numbers.expand(3, -1))
        torch.testing.assert_close(y, heights[1:-1], atol=1e-6, rtol=0)
        torch.testing.assert_close(log_slope.exp(), slopes[1:-1], atol=1e-5, rtol=0)


def spline_starts_as_the_identity():
    spline, x = RationalQuadratic(6, bound=2.5), pictures(50)
    y, log_slope = spline(x, x.new_zeros(50, spline.size))
    torch.testing.assert_close(y, x, atol=1e-9, rtol=0)
    torch.testing.assert_close(log_slope, 0 * x, atol=1e-9, rtol=0)


def two_masked_layers_let_all_see_all():
    """One layer is triangular; with the order reversed in between, the first sees the last."""
    first, second = (moved(MaskedAutoregressive(MaskedMLP(4, 2, width=9), ScaleAndShift()))
                     for _ in range(2))  # fmt: skip
    x, turn = pictures(3, 4), Permute(4)
    assert not jacobian(first, x).triu(1).any()
    both = lambda v: second(turn(first(v)[0])[0])  # noqa: E731
    assert (jacobian(both, x).abs() > 1e-9).all()


def ode_log_det_is_the_autograd_one():
    layer = layer_of(solver=Solver("rk4", steps=24))
    check_log_det(layer, pictures(2, 4), atol=1e-5)


def one_noise_serves_a_whole_solve():
    """Two integrals with the same noise agree; so the noise is drawn when the solve begins."""
    layer, x = layer_of(trace=HutchinsonTrace(), solver=Solver("rk4", steps=3)), pictures(6, 4)
    drawn = []
    right = layer.trace.noise
    layer.trace.noise = lambda z: drawn.append(right(z)) or drawn[-1]
    layer(x)
    assert len(drawn) == 1, f"noise was drawn {len(drawn)} times in a solve"
    assert drawn[0].shape == (1, 6, 4)


def estimated_traces_average_to_the_exact_one():
    """Within four standard errors; of n noises too, with a variance n times smaller."""
    field, z = field_of(), pictures(1, 4)
    exact = ExactTrace()(field, torch.tensor(0.3), z, None)[1]
    spread = []
    for n in (1, 5):
        many, trace = z.expand(4000, -1).clone(), HutchinsonTrace(n)
        torch.manual_seed(0)
        found = trace(field, torch.tensor(0.3), many, trace.noise(many))[1].detach()
        error = found.std() / 4000**0.5
        assert abs(found.mean() - exact) < 4 * error
        spread.append(found.var().item())
    assert spread[0] / spread[1] == pytest.approx(5, rel=0.2)


def energy_of_a_constant_field_is_the_square_of_its_way():
    field = nn.Module()
    field.forward = lambda t, z: z * 0 + z.new_tensor([3.0, 4.0])
    layer = ODELayer(field, ExactTrace(), Solver("rk4", steps=2))
    z, log_det, energy = layer.integrate(pictures(3, 2))
    torch.testing.assert_close(energy, torch.full((3,), 25.0).double())
    torch.testing.assert_close(z, pictures(3, 2) - z.new_tensor([3.0, 4.0]))
    assert not log_det.any()


def kinetic_weight_changes_the_loss_only():
    layer, x = layer_of(2), pictures(5, 2)
    parts = StandardNormal((2,)), Reals((2,))
    free, paid = FFJORD(layer, *parts), FFJORD(layer, *parts, kinetic=0.5)
    torch.testing.assert_close(free.log_prob(x), paid.log_prob(x), atol=1e-6, rtol=0)
    z, log_det, energy = layer.integrate(x)
    torch.testing.assert_close((z, log_det), layer(x), atol=1e-6, rtol=0)
    torch.testing.assert_close(paid.loss(x) - free.loss(x), 0.5 * energy, atol=1e-6, rtol=0)


def velocity_is_the_derivative_of_the_way():
    x0, x1 = pictures(4, 3), pictures(5, 3)[1:]
    for way in (flow_matching.straight_way, flow_matching.round_way):
        t = torch.full((4, 1), 0.3, dtype=torch.float64, requires_grad=True)
        place, velocity = way(x0, x1, t)
        slopes = [torch.autograd.grad(p.sum(), t, retain_graph=True)[0] for p in place.T]
        torch.testing.assert_close(velocity, torch.cat(slopes, 1))
        for end, at in ((0.0, x0), (1.0, x1)):
            torch.testing.assert_close(way(x0, x1, torch.full((4, 1), end).double())[0], at)


def the_way_back_ends_within_the_tolerance():
    """Tighter solvers come back closer, and a tight one to nine digits."""
    x, ends = pictures(6, 4), []
    for tol in (1e-3, 1e-6, 1e-9):
        layer = layer_of(solver=Solver("dopri5", tol=tol))
        ends.append((layer.inverse(layer(x)[0]) - x).abs().max().item())
    assert ends[0] > ends[1] > ends[2]
    assert ends[2] < 1e-7


PROPERTIES = [
    exponential_is_the_dense_one, structured_log_dets_are_the_autograd_ones,
    layers_undo_themselves, spline_slope_is_its_derivative, spline_meets_its_knots_with_its_slopes,
    spline_starts_as_the_identity, two_masked_layers_let_all_see_all,
    ode_log_det_is_the_autograd_one, one_noise_serves_a_whole_solve,
    estimated_traces_average_to_the_exact_one, kinetic_weight_changes_the_loss_only,
    energy_of_a_constant_field_is_the_square_of_its_way, velocity_is_the_derivative_of_the_way,
    the_way_back_ends_within_the_tolerance,
]  # fmt: skip

test_property, test_planted_fault = property_tests(PROPERTIES, FAULTS)


# --- more of the solver and the fields ------------------------------------------------------------


def test_fixed_steps_converge_at_the_order_of_their_method():
    """dz/dt = z over one unit of time: halving the step divides the error by 2 to the order."""
    for method, order in (("euler", 1), ("midpoint", 2), ("rk4", 4)):
        errors = []
        for steps in (8, 16):
            one = torch.ones(1, 1, dtype=torch.float64)
            end = Solver(method, steps=steps)(lambda t, s: s, (one,), 0.0, 1.0)[0]
            errors.append(abs(end.item() - math.e))
        assert errors[0] / errors[1] == pytest.approx(2**order, rel=0.15), method


def test_of_a_linear_field_the_log_determinant_is_minus_the_trace():
    matrix = pictures(3, 3)
    field = nn.Module()
    field.forward = lambda t, z: z @ matrix.T
    x = pictures(4, 3)
    z, log_det = ODELayer(field, ExactTrace(), Solver("dopri5", tol=1e-10))(x)
    torch.testing.assert_close(z, x @ torch.matrix_exp(-matrix).T, atol=1e-8, rtol=0)
    torch.testing.assert_close(log_det, -matrix.trace().expand(4), atol=1e-8, rtol=0)


def test_the_adjoint_gives_the_gradient_of_the_solver():
    gradients = []
    for adjoint in (False, True):
        field = field_of()
        solver = Solver("dopri5", tol=1e-9, adjoint=adjoint)
        end = solver(_Alone(field), (pictures(3, 4),), 0.0, 1.0)[0]
        end.square().sum().backward()
        gradients.append(torch.cat([p.grad.flatten() for p in field.parameters()]))
    torch.testing.assert_close(*gradients, atol=1e-6, rtol=1e-5)


class _Alone(nn.Module):
    """A field of one tensor as a field of a state of one."""

    def __init__(self, field):
        super().__init__()
        self.field = field

    def forward(self, t, state):
        return (self.field(t, state[0]),)


def test_path_begins_at_the_code_and_ends_at_the_data():
    layer, z = layer_of(2), pictures(5, 2)
    places = layer.path(z, 4)
    assert places.shape == (5, 5, 2)
    assert torch.equal(places[0], z)
    torch.testing.assert_close(places[-1], layer.inverse(z), atol=1e-6, rtol=0)


def test_evaluations_are_counted():
    solver = Solver("rk4", steps=5)
    solver(lambda t, s: s, (torch.ones(1, 1),), 0.0, 1.0)
    assert solver.evaluations == 20
    solver(lambda t, s: s, (torch.ones(1, 1),), 0.0, 1.0)
    assert solver.evaluations == 20


def test_flow_matching_finds_the_field_of_two_gaussians():
    """From N(0, 1) to N(1, 1/4): the least loss of straight ways is pi s / 2 = .785 (s = 1/2)."""
    torch.manual_seed(0)
    flow = zoo.get("ffjord").build(Reals((1,)), width=16, solver_steps=8)
    matching = FlowMatching(flow)
    assert matching.way is straight_way
    x = 1 + 0.5 * torch.randn(8000, 1)
    from dgm.train import fit

    fit(matching, x, steps=500, lr=5e-3, batch_size=256, average=0.98, progress=False)
    with torch.no_grad():
        assert matching.loss(x).mean().item() == pytest.approx(math.pi / 4, abs=0.05)
        gap = torch.distributions.Normal(1.0, 0.5).log_prob(x[:, 0]) - flow.log_prob(x)
    assert gap.mean() < 0.02


def test_round_ways_leave_two_normals_alone():
    """Their mean velocity is zero at every time, place by place."""
    torch.manual_seed(0)
    x0, x1, t = torch.randn(200_000, 1), torch.randn(200_000, 1), torch.full((200_000, 1), 0.7)
    place, velocity = round_way(x0, x1, t)
    assert place.std().item() == pytest.approx(1, abs=0.01)
    assert abs((place * velocity).mean().item()) < 0.02


def test_a_dequantised_flow_can_be_matched():
    model = zoo.get("ffjord").build(Levels((1, 2, 2), 3), width=5, noise_width=4)
    x = torch.randint(3, (6, 1, 2, 2))
    loss = FlowMatching(model, round_way).loss(x)
    assert loss.shape == (6,)
    loss.sum().backward()
    assert model.flow.ode.field.first.weight.grad.abs().sum() > 0


def test_raster_network_sees_earlier_places_only():
    net = moved(RasterNetwork(GatedPixelCNN(2, (2, 3, 4), width=4, blocks=2), (3, 4), 3))
    x = pictures(1, 12)
    rows = torch.autograd.functional.jacobian(lambda v: net(v)[0].sum(1), x)[:, 0]
    assert not rows.triu(0).any()
    assert rows.tril(-1).any(1)[1:].all()


def test_normal_scores_bring_logistic_draws_to_the_normal_law():
    torch.manual_seed(0)
    z = NormalScores()(torch.logit(torch.rand(100_000, 1)))[0]
    for level in (-2.0, -0.5, 1.0):
        expected = torch.distributions.Normal(0.0, 1.0).cdf(torch.tensor(level)).item()
        assert (z < level).float().mean().item() == pytest.approx(expected, abs=0.01)


def test_as_picture_is_only_a_view():
    x, layer = pictures(2, 12), AsPicture((2, 2, 3))
    z, log_det = layer(x)
    assert z.shape == (2, 2, 2, 3)
    assert torch.equal(layer.inverse(z), x)
    assert not log_det.any()


# --- bad input and what does not converge ---------------------------------------------------------


def explode(method="dopri5"):
    Solver(method, tol=1e-6)(lambda t, s: (s[0].square(),), (torch.ones(1, 1),), 0.0, 2.0)


LINE = torch.linspace(-2, 2, 4)


@pytest.mark.parametrize(("said", "make"), [
    (r"needs a step of .*e-1\d to reach tol = 1e-06, smaller than rounding", explode),
    ("method must be one of", lambda: Solver("newton")),
    ("tol must lie in", lambda: Solver(tol=0.0)),
    ("steps be at least 1", lambda: Solver("rk4", steps=0)),
    ("n must be at least 1", lambda: HutchinsonTrace(0)),
    ("kinetic must be finite", lambda: FFJORD(None, None, None, kinetic=-1.0)),
    ("temperature must be above 0", lambda: zoo.get("ffjord").small()[0].flow.sample(
        2, temperature=0.0)),
    ("n must be at least 1", lambda: layer_of().path(pictures(1, 4), 0)),
    ("features and width must be", lambda: TimeMLP(0)),
    ("places must lie in the box -1.0 .. 1.0, got 2", lambda: checked_knots(
        LINE, LINE / 2, LINE * 0 + 1, 1.0)),
    ("heights must lie in the box -2.0 .. 2.0, got 4", lambda: checked_knots(
        LINE, 2 * LINE, LINE * 0 + 1, 2.0)),
    ("places must ascend, got a step of -1.33", lambda: checked_knots(
        LINE.flip(0), LINE, LINE * 0 + 1, 2.0)),
    ("slopes must be positive, got -1", lambda: checked_knots(LINE, LINE, LINE * 0 - 1, 2.0)),
    ("bins must be at least 2", lambda: RationalQuadratic(1)),
    ("bound positive and finite", lambda: RationalQuadratic(4, bound=math.inf)),
    ("max_log_scale must be positive", lambda: ScaleAndShift(0.0)),
    ("even number of channels", lambda: TransformCoupling(nn.Identity(), ScaleAndShift())(
        torch.zeros(1, 3))),
    (r"did not converge: after max_terms = 20 terms .* the kernel is too large",
     lambda: convolution_series(torch.ones(1, 1, 4, 4), 9 * torch.ones(1, 1, 3, 3), max_terms=20)),
    ("kernel must be finite", lambda: convolution_series(
        torch.ones(1, 1, 4, 4), math.nan * torch.ones(1, 1, 3, 3))),
    ("kernel_size odd", lambda: ConvolutionExponential(2, 4)),
    ("kernel_size odd", lambda: EmergingConvolution(2, 2)),
    ("kernel_size odd", lambda: PeriodicConvolution(0)),
    ("kernel_size must be at most H and W", lambda: PeriodicConvolution(1, 5)(
        torch.zeros(1, 1, 4, 8))),
    ("annihilates a frequency", lambda: nothing(PeriodicConvolution(1))(torch.ones(1, 1, 4, 4))),
    ("most must lie in 0 .. 12", lambda: NormalScores(20.0)),
    ("out_features >= 1", lambda: RasterNetwork(nn.Identity(), (2, 2), 0)),
    ("layers must be a whole number of at least 1", lambda: zoo.get("maf").build(
        Reals((2,)), layers=0)),
    ("solver_steps must be a whole number", lambda: zoo.get("ffjord").build(
        Reals((2,)), solver_steps=0)),
])  # fmt: skip
def test_bad_input_is_named(said, make):
    with pytest.raises(ValueError, match=said):
        make()


def nothing(layer):
    layer.kernel.data.zero_()
    return layer


def test_a_bisection_that_is_cut_short_says_so():
    net = GatedPixelCNN(1, (1, 2, 2), width=3, blocks=1)
    layer = GeneralisedSylvester(ConvolutionExponential(1), net, channels=1)
    with pytest.raises(RuntimeError, match="max_iter = 3"):
        layer.inverse(torch.randn(2, 1, 2, 2), max_iter=3)


def test_knots_given_by_hand_can_be_inverted():
    knots = checked_knots(LINE, LINE**3 / 4, LINE * 0 + 1, 2.0)
    assert spline_inverse(torch.tensor([1.0, 5.0]), knots).isfinite().all()


def test_the_affine_autoregressive_flow_is_its_formula():
    """z = x exp(s) + t with s soft-limited, numbers (t, s) of the network."""
    layer = MaskedAutoregressive(moved(MaskedMLP(3, 2, width=5)), ScaleAndShift(2.0))
    x = pictures(4, 3)
    t, s = layer.net(x).unbind(2)
    s = 2 * torch.tanh(s / 2)
    torch.testing.assert_close(layer(x)[0], x * s.exp() + t)
    torch.testing.assert_close(layer(x)[1], s.sum(1))


def test_the_study_holds_three_seeds_of_each_training():
    runs = likelihood_or_matching.load()
    pairs = {(r["method"], r["seed"]) for r in runs}
    assert pairs == {(m, s) for m in likelihood_or_matching.STEPS for s in range(3)}
    for run in runs:
        assert len(run["seconds"]) == len(run["nats"]) == len(run["evaluations"])
        assert len(run["seconds"]) == likelihood_or_matching.LOOKS
        assert sorted(run["seconds"]) == run["seconds"]
