"""Latent geometry: laws on spheres and rotations against quadrature, curves with known lengths."""

import itertools
import math

import contract
import pytest
import torch
from planted_geometry import FAULTS, PROPERTIES
from torch.nn.functional import normalize

from dgm import data, zoo
from dgm.data.turning import draw_views, turning_molecule, uniform_turns
from dgm.distribution.support import Levels, Reals
from dgm.geometry.bessel_ratio import bessel_ratio
from dgm.geometry.geodesic import curve_energy, curve_length, geodesic, straight_line
from dgm.geometry.latent_graph import LatentGraph
from dgm.geometry.pullback import PullbackMetric
from dgm.geometry.rbf_precision import RBFSpread
from dgm.geometry.rotation import (
    WrappedRotation,
    WrappedRotationEncoder,
    gram_schmidt,
    hat,
    rotation_exp,
    rotation_log,
)
from dgm.geometry.turned_points import TurnedPoints
from dgm.geometry.uniform_rotation import UniformRotation
from dgm.geometry.uniform_sphere import UniformSphere
from dgm.geometry.von_mises_fisher import (
    VonMisesFisher,
    VonMisesFisherEncoder,
    angle_law,
    angle_slope,
    reflect_onto,
)
from dgm.plot.globe import globe as globe_of_pictures
from dgm.train import fit
from dgm.zoo.geometry import train_turning, turn_together

pytestmark = pytest.mark.usefixtures("float64")

SLOW = "fits_a_toy_law"  # 20 s each; the hyperspherical one by a test of its own, without dropout


@contract.over(
    "geometry",
    without={"hyperspherical_vae": SLOW, "rotation_vae": SLOW, "riemannian_vae": SLOW},
)
def test_contract(entry, promise):
    torch.set_default_dtype(torch.float32)
    promise(entry)


def around(m, kappa, n=1):
    """A law around the last axis, n times."""
    mean = torch.zeros(n, 1, m)
    mean[..., -1] = 1
    return VonMisesFisher(mean, torch.full((n, 1), float(kappa)))


# --- the von Mises-Fisher law ---------------------------------------------------------------------

KL_VALUES = [
    (2, 1, 0.21048),
    (3, 10, 1.99573),
    (5, 1, 0.09592),
    (10, 20, 4.76210),
    (20, 50, 11.17365),
    (40, 100, 22.32284),
]


@pytest.mark.parametrize(("m", "kappa", "value"), KL_VALUES)
def test_kl_has_its_known_values(m, kappa, value):
    assert around(m, kappa).kl().item() == pytest.approx(value, abs=1e-5)


def test_kl_in_three_dimensions_is_the_closed_form():
    for k in (0.01, 1.0, 10.0, 300.0):
        closed = k / math.tanh(k) - 1 + math.log(k) - (k + math.log(-math.expm1(-2 * k) / 2))
        assert around(3, k).kl().item() == pytest.approx(closed, abs=1e-10)


def test_kl_of_a_small_kappa_is_its_square_over_twice_m():
    for m in (2, 3, 11):
        assert around(m, 1e-3).kl().item() == pytest.approx(1e-6 / (2 * m), rel=1e-3)


def test_kl_of_two_spheres_is_twice_that_of_one():
    mean = normalize(torch.randn(3, 2, 4), dim=-1)
    q = VonMisesFisher(mean, torch.full((3, 2), 7.0))
    torch.testing.assert_close(q.kl(), 2 * around(4, 7.0, 3).kl())


@pytest.mark.parametrize("m", [2, 3, 5, 11, 41])
def test_bessel_ratio_is_the_mean_length_by_quadrature(m):
    kappa = torch.logspace(-4, 5, 60)
    mean_drop = angle_law(kappa, m)[1]
    ratio = bessel_ratio(m / 2, kappa)
    torch.testing.assert_close(1 - ratio, mean_drop, rtol=1e-6, atol=1e-10)
    low = bessel_ratio(m / 2, kappa.float())
    torch.testing.assert_close(low.double(), ratio, rtol=2e-6, atol=0)


def test_bessel_ratio_lies_between_its_bounds():
    for m in (3, 40, 1000):
        nu, k = m / 2, torch.logspace(-2, 4, 40)
        low = k / (nu - 0.5 + torch.hypot(k, torch.tensor(nu + 0.5)))
        high = k / (nu - 1 + torch.hypot(k, torch.tensor(nu + 1)))
        ratio = bessel_ratio(nu, k)
        assert ((ratio > low - 1e-12) & (ratio < high + 1e-12)).all()


def test_density_integrates_to_one_over_the_sphere():
    t = (torch.arange(4000) + 0.5) / 4000 * 2 * math.pi
    circle = torch.stack((t.cos(), t.sin()), -1)[:, None]
    q = VonMisesFisher(normalize(torch.tensor([[[0.6, -0.8]]]), dim=-1), torch.tensor([[3.0]]))
    assert q.log_prob(circle).exp().mean() * 2 * math.pi == pytest.approx(1, abs=1e-10)
    z = UniformSphere(3).double().sample(200_000)
    mass = around(3, 2.0).log_prob(z).exp() * 4 * math.pi
    assert mass.mean() == pytest.approx(1, abs=5 * mass.std().item() / 200_000**0.5)


@pytest.mark.parametrize("m", [2, 3, 4, 12])
@pytest.mark.parametrize("kappa", [0.05, 2.0, 60.0])
def test_draws_follow_the_density(m, kappa):
    """Mean, second moment of the coordinate along the mean, and its rank: uniform."""
    torch.manual_seed(0)
    z = around(m, kappa).rsample((20_000,))[:, 0, 0]
    w = z[:, -1]
    mean = bessel_ratio(m / 2, torch.tensor(kappa))
    assert abs(w.mean() - mean) < 5 * w.std() / 20_000**0.5
    second = 1 - (m - 1) * mean / kappa  # E w^2
    assert abs(w.square().mean() - second) < 5 * w.square().std() / 20_000**0.5
    assert (z[:, :-1].mean(0).abs() < 5 * z[:, :-1].std(0) / 20_000**0.5).all()
    assert (z.norm(dim=-1) - 1).abs().max() < 1e-12


def test_the_exact_sampler_of_three_dimensions_and_woods_agree():
    torch.manual_seed(0)
    q = around(3, 4.0)
    exact = q._around_e1((20_000,), None)[0].flatten().sort().values
    point = normalize(torch.randn(60_000, 1, 1, 3), dim=-1)
    angle, taken = q.angles(point, torch.rand(60_000, 1, 1))
    wood = angle[taken][:20_000].sort().values
    assert (exact - wood).abs().mean() < 0.012  # the distance of two empirical laws
    assert taken.double().mean() > 0.65


@pytest.mark.parametrize("m", [2, 3, 7, 30])
def test_slope_is_minus_the_change_of_the_rank_over_the_density(m):
    """Against a fine sum over the angle and a difference in kappa."""
    grid = (torch.arange(200_000) + 0.5) / 200_000 * math.pi
    for kappa in (0.3, 5.0, 80.0):

        def ranks(k):
            f = ((m - 2) * grid.sin().log() - k * (1 - grid.cos())).exp()
            return f.cumsum(0) / f.sum()

        step = 1e-3 * kappa
        change = (ranks(kappa + step) - ranks(kappa - step)) / (2 * step)
        density = ranks(kappa).diff() / (math.pi / 200_000)
        for rank in (0.1, 0.5, 0.95):
            i = int((ranks(kappa) < rank).sum())
            slope = angle_slope(grid[i : i + 1] + math.pi / 400_000, torch.tensor([kappa]), m)
            assert slope.item() == pytest.approx((-change[i] / density[i]).item(), rel=2e-3)


@pytest.mark.parametrize("m", [2, 3, 6])
def test_gradient_of_an_expectation_is_exact(m):
    """E[(a z)^2] by its formula; without the correction for rejection m = 6 would be off."""
    torch.manual_seed(1)
    kappa = torch.full((1, 1), 2.0, requires_grad=True)
    raw = torch.randn(1, 1, m, requires_grad=True)
    a = torch.randn(m)

    def formula(raw, kappa):
        mean = normalize(raw, dim=-1)[0, 0]
        length = 1 - angle_law(kappa[0, 0], m)[1]
        second = 1 - (m - 1) * length / kappa[0, 0]
        along = (a * mean).sum() ** 2
        return second * along + (1 - second) / (m - 1) * (a.square().sum() - along)

    truth = torch.autograd.grad(formula(raw, kappa), (raw, kappa))
    n = 40_000
    many_raw, many = raw.expand(n, 1, m), kappa.expand(n, 1)
    many_raw = many_raw.detach().clone().requires_grad_()
    many = many.detach().clone().requires_grad_()
    z = VonMisesFisher(normalize(many_raw, dim=-1), many).rsample()
    value = (z * a).sum(-1).square().sum()
    found = torch.autograd.grad(value, (many_raw, many))
    for got, want in zip(found, truth, strict=True):
        got = got.reshape(n, -1)
        error = got.std(0) / n**0.5
        assert ((got.mean(0) - want.reshape(-1)).abs() < 5 * error + 1e-12).all()


@pytest.mark.parametrize("kappa", [1e-4, 1e-2, 1.0, 1e3, 1e5])
def test_everything_is_finite_in_single_precision(kappa):
    for m in (2, 3, 5, 41):
        mean = normalize(torch.randn(500, 1, m), dim=-1).float().requires_grad_()
        k = torch.full((500, 1), kappa, dtype=torch.float32, requires_grad=True)
        q = VonMisesFisher(mean, k)
        z = q.rsample()
        total = (q.log_prob(z) + q.kl() + z.square()[..., 0].sum(-1)).sum()
        total.backward()
        assert mean.grad.isfinite().all()
        assert k.grad.isfinite().all()
        assert (z.norm(dim=-1) - 1).abs().max() < 2e-6
        assert q.kl().detach().double().sub(around(m, kappa).kl()).abs().max() < 2e-4 * 500


def test_reflection_takes_e1_to_the_mean_wherever_it_is():
    first = torch.zeros(6, 1, 4)
    first[..., 0] = 1
    mean = normalize(torch.randn(6, 1, 4), dim=-1)
    mean[0, 0] = torch.tensor([1.0, 0, 0, 0])
    mean[1, 0] = torch.tensor([-1.0, 0, 0, 0])
    mean = mean.requires_grad_()
    torch.testing.assert_close(reflect_onto(mean, first), mean)
    z = torch.randn(6, 1, 4)
    moved = reflect_onto(mean, z)
    torch.testing.assert_close(moved.norm(dim=-1), z.norm(dim=-1))
    moved.sum().backward()
    assert mean.grad.isfinite().all()


def test_draws_are_those_of_the_generator_given():
    q = around(4, 3.0, 5)
    seeded = lambda seed: torch.Generator().manual_seed(seed)  # noqa: E731
    assert torch.equal(q.rsample((2,), seeded(1)), q.rsample((2,), seeded(1)))
    assert not torch.equal(q.rsample((2,), seeded(1)), q.rsample((2,), seeded(2)))


# --- rotations ------------------------------------------------------------------------------------


def test_exp_is_the_matrix_exponential_and_log_undoes_it():
    size = torch.cat((torch.logspace(-12, -1, 50), torch.rand(100) * 3.1))
    size = torch.cat((size, math.pi - torch.logspace(-9, -1, 50)))
    v = normalize(torch.randn(200, 3), dim=-1) * size[:, None]
    r = rotation_exp(v)
    torch.testing.assert_close(r, torch.matrix_exp(hat(v)), rtol=0, atol=1e-13)
    torch.testing.assert_close(rotation_log(r), v, rtol=0, atol=1e-12)
    assert rotation_log(torch.eye(3)).abs().max() == 0
    torch.testing.assert_close(
        rotation_log(rotation_exp(v.float()))[:150].double(), v[:150], rtol=0, atol=2e-6
    )


def test_exp_has_a_gradient_at_no_rotation_at_all():
    v = torch.zeros(1, 3, requires_grad=True)
    rotation_exp(v)[0, 2, 1].backward()
    torch.testing.assert_close(v.grad, torch.tensor([[1.0, 0, 0]]))


def angle_mass(q, n=4000):
    """Weights (n,) and rotations about one axis: Haar is (2 - 2 cos t) 4 pi dt, 0 < t < pi."""
    t = (torch.arange(n) + 0.5) / n * math.pi
    axis = torch.tensor([1.0, 2.0, -2.0]) / 3
    weight = (2 - 2 * t.cos()) * 4 * math.pi * math.pi / n
    return weight, q.log_prob(rotation_exp(t[:, None] * axis)[:, None])[:, 0]


ROTATION_KL = [(0.3, 3.74659), (0.8, 0.95042), (1.5, 0.01737)]


@pytest.mark.parametrize(("stddev", "kl"), ROTATION_KL)
def test_wrapped_density_integrates_to_one_and_has_its_known_kl(stddev, kl):
    q = WrappedRotation(torch.eye(3)[None], torch.full((1, 3), stddev))
    weight, log_q = angle_mass(q)
    assert (weight * log_q.exp()).sum() == pytest.approx(1, abs=1e-6)
    found = (weight * log_q.exp() * (log_q + math.log(8 * math.pi**2))).sum()
    assert found == pytest.approx(kl, abs=2e-5)


def test_uneven_density_integrates_to_one_by_uniform_draws():
    torch.manual_seed(0)
    prior = UniformRotation().double()
    q = WrappedRotation(prior.sample(1), torch.tensor([[0.5, 1.1, 0.8]]))
    mass = q.log_prob(prior.sample(100_000)[:, None]).exp() * 8 * math.pi**2
    assert mass.mean() == pytest.approx(1, abs=5 * mass.std().item() / 100_000**0.5)


def test_rotation_draws_follow_their_density():
    """The mean of 1 / (8 pi^2 q) over draws is one."""
    torch.manual_seed(0)
    q = WrappedRotation(UniformRotation().double().sample(1), torch.tensor([[1.0, 1.2, 0.9]]))
    z = q.rsample((50_000,))
    weight = (-q.log_prob(z) - math.log(8 * math.pi**2)).exp()
    assert weight.mean() == pytest.approx(1, abs=5 * weight.std().item() / 50_000**0.5 + 0.01)
    assert (z.mT @ z - torch.eye(3)).abs().max() < 1e-12


def test_uniform_rotations_are_rotations_and_have_no_mean():
    r = UniformRotation().double().sample(20_000)
    assert (torch.linalg.det(r) - 1).abs().max() < 1e-12
    assert r.mean(0).abs().max() < 5 * (1 / 3 / 20_000) ** 0.5
    angle = rotation_log(r).norm(dim=-1)
    assert angle.mean() == pytest.approx(math.pi / 2 + 2 / math.pi, abs=0.03)


def test_six_numbers_give_a_rotation_and_every_rotation():
    r = gram_schmidt(torch.randn(50, 6))
    torch.testing.assert_close(r.mT @ r, torch.eye(3).expand(50, 3, 3))
    torch.testing.assert_close(torch.linalg.det(r), torch.ones(50))
    six = torch.cat((r[..., 0] * 3, r[..., 1] + 2 * r[..., 0]), -1)
    torch.testing.assert_close(gram_schmidt(six), r)


def test_gradient_of_a_rotation_law_is_finite_and_right():
    torch.manual_seed(0)
    six = torch.randn(40, 6, requires_grad=True)
    stddev = (0.02 + torch.rand(40, 3)).requires_grad_()
    q = WrappedRotation(gram_schmidt(six), stddev)
    q.log_prob(q.rsample((50,))).sum().backward()
    assert six.grad.isfinite().all()
    # log q of its own draw falls by one for each log stddev where nothing wraps
    narrow = torch.full((4000, 3), 0.05, requires_grad=True)
    q = WrappedRotation(torch.eye(3).expand(4000, 3, 3), narrow)
    q.log_prob(q.rsample()).sum().backward()
    assert (narrow.grad.mean(0) * 0.05).sub(-1).abs().max() < 0.01


def test_codes_that_differ_by_one_rotation_on_the_right_turn_together():
    turns = uniform_turns(9, torch.Generator().manual_seed(0))
    fixed = UniformRotation().double().sample(1)
    assert turn_together(turns @ fixed, turns) < 1e-24
    assert turn_together(fixed @ turns, turns) > 0.1


# --- metrics and curves ---------------------------------------------------------------------------


def globe(z):
    """Longitude and latitude (B, 2) -> the unit sphere (B, 3)."""
    a, b = z.unbind(1)
    return torch.stack((a.cos() * b.cos(), a.sin() * b.cos(), b.sin()), 1)


def test_metric_of_a_linear_map_is_w_transposed_w():
    w = torch.randn(5, 2)
    metric, z = PullbackMetric(lambda z: z @ w.T), torch.randn(7, 2)
    torch.testing.assert_close(metric.matrix(z), (w.T @ w).expand(7, 2, 2))
    log_volume = 0.5 * torch.logdet(w.T @ w)
    torch.testing.assert_close(metric.log_volume(z), log_volume.expand(7))
    step = torch.randn(7, 2)
    torch.testing.assert_close(metric.squared_speed(z, step), (step @ w.T).square().sum(1))


def test_metric_of_the_globe_is_known():
    z = torch.tensor([[0.3, 0.7], [2.0, -1.0]])
    expected = torch.diag_embed(torch.stack((z[:, 1].cos().square(), torch.ones(2)), 1))
    torch.testing.assert_close(PullbackMetric(globe).matrix(z), expected)


def test_ambient_weights_enter_the_metric():
    w = torch.rand(5) + 0.5
    plain = PullbackMetric(lambda z: z @ a.T)
    a = torch.randn(5, 2)
    metric, z = PullbackMetric(lambda z: z @ a.T, lambda x: w.expand_as(x)), torch.randn(3, 2)
    torch.testing.assert_close(metric.matrix(z), (a.T @ (w[:, None] * a)).expand(3, 2, 2))
    assert (metric.matrix(z) - plain.matrix(z)).abs().max() > 1e-3
    step = torch.randn(3, 2)
    torch.testing.assert_close(metric.squared_speed(z, step), (w * (step @ a.T).square()).sum(1))


@pytest.mark.parametrize(("start", "end"), [((0.0, 0.6), (2.0, 0.7)), ((0.1, -0.9), (2.8, 1.1))])
def test_geodesic_on_the_globe_is_a_great_circle(start, end):
    metric, start, end = PullbackMetric(globe), torch.tensor(start), torch.tensor(end)
    points = geodesic(metric, start, end, n_waves=12, steps=100)
    truth = torch.acos((globe(start[None]) * globe(end[None])).sum())
    length, energy = curve_length(metric, points), curve_energy(metric, points)
    assert length == pytest.approx(truth.item(), rel=1e-2)
    assert length < curve_length(metric, straight_line(start, end))
    assert 2 * energy == pytest.approx(length.item() ** 2, rel=1e-3)  # constant speed
    assert 2 * energy >= length**2
    torch.testing.assert_close(points[[0, -1]], torch.stack((start, end)))
    normal = torch.linalg.cross(globe(start[None]), globe(end[None]))[0]
    assert (globe(points) @ normal).abs().max() < 0.02  # in the plane of the circle


def test_energy_of_a_line_does_not_depend_on_the_number_of_points():
    metric = PullbackMetric(lambda z: 3 * z)
    for n in (2, 5, 64):
        line = straight_line(torch.zeros(2), torch.ones(2), n)
        assert curve_energy(metric, line) == pytest.approx(9.0)
        assert curve_length(metric, line) == pytest.approx(3 * 2**0.5)


def test_a_path_leads_to_another_geodesic_round_a_hill():
    hill = lambda z: torch.cat((z, 3 * (-4 * z.square().sum(1, keepdim=True)).exp()), 1)  # noqa: E731
    metric, start, end = PullbackMetric(hill), torch.tensor([-1.5, 0.0]), torch.tensor([1.5, 0.0])
    over = geodesic(metric, start, end)
    way = torch.tensor([[-1.5, 0.0], [0.0, 1.2], [1.5, 0.0]])
    around_ = geodesic(metric, start, end, path=way)
    assert curve_length(metric, around_) < 0.8 * curve_length(metric, over)
    assert around_[:, 1].max() > 0.5


def test_graph_finds_the_shortest_way():
    """Round a wall of slow ground, as a brute-force search over all orders says."""
    torch.manual_seed(0)
    slow = PullbackMetric(lambda z: z, lambda x: 1 + 30 * (-20 * x[:, :1].square()).exp())
    nodes = torch.randn(7, 2)
    graph = LatentGraph(slow, nodes, k=3)
    table = torch.full((7, 7), math.inf)
    for a, edges in enumerate(graph.edges):
        for b, size in edges.items():
            table[a, b] = size
    table.fill_diagonal_(0)
    for k in range(7):  # Floyd and Warshall
        table = torch.minimum(table, table[:, k : k + 1] + table[k])
    for start in range(7):
        for end in range(7):
            if table[start, end].isfinite():
                way = graph.path(start, end)
                assert way[0] == start
                assert way[-1] == end
                size = sum(graph.edges[a][b] for a, b in itertools.pairwise(way))
                assert size == pytest.approx(table[start, end].item())


def test_spread_falls_back_to_its_floor_away_from_the_codes():
    torch.manual_seed(0)
    net = RBFSpread(torch.nn.Linear(2, 3), 2, 3, n_centers=5, floor=0.04)
    codes = torch.randn(200, 2)
    net.place(codes)
    near, far = net(codes)[..., 1], net(torch.full((1, 2), 40.0))[..., 1]
    torch.testing.assert_close(far, torch.full((1, 3), math.log(5.0)))
    assert (near < far - 0.2).double().mean() > 0.9
    spread = torch.cdist(net.centers, net.centers) + 9 * torch.eye(5)
    assert spread.min() > 0.1, "two centres in one place"


# --- the molecule ---------------------------------------------------------------------------------


def test_molecule_is_drawn_as_it_is_turned():
    turns = uniform_turns(6, torch.Generator().manual_seed(0))
    x = draw_views(turns)
    assert x.shape == (6, 3, 20, 20)
    assert Levels((3, 20, 20), 32).check(x) is not None
    half = torch.diag(torch.tensor([-1.0, -1.0, 1.0]))  # half a turn in the plane of the picture
    flipped = draw_views(half @ turns)
    assert (flipped.flip(2, 3).float() - x.float()).abs().max() <= 1
    again = turning_molecule(n=8, seed=3)
    assert torch.equal(again.train, draw_views(again.train_y.view(-1, 3, 3)))
    assert len(again.val) == len(again.test) == 2


def test_training_on_pairs_brings_codes_to_turn_with_the_pictures():
    torch.set_default_dtype(torch.float32)
    views = turning_molecule(n=300)
    torch.manual_seed(0)
    model = zoo.get("rotation_vae").build(views.kind, width=48, n_points=4)
    turns = views.train_y.view(-1, 3, 3).float()
    before = turn_together(model.eval().posterior(views.train).mean, turns).item()
    found = train_turning(model, views, seed=0, pairs=120, steps=12, rest=6)
    assert turn_together(model.posterior(views.train).mean, turns) < 0.2 * before
    assert found[-1] < found[0]


# --- bad input ------------------------------------------------------------------------------------

UNIT = normalize(torch.ones(2, 1, 3, dtype=torch.float64), dim=-1)
FLAT = PullbackMetric(lambda z: z)


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("m", lambda: UniformSphere(1)),
        ("n_spheres", lambda: UniformSphere(3, 0)),
        ("m", lambda: VonMisesFisherEncoder(torch.nn.Identity(), 1)),
        ("least", lambda: VonMisesFisherEncoder(torch.nn.Identity(), 3, least=0.0)),
        ("net", lambda: VonMisesFisherEncoder(torch.nn.Identity(), 3)(torch.ones(2, 5))),
        ("kappa", lambda: VonMisesFisher(UNIT, torch.zeros(2, 1))),
        ("kappa", lambda: VonMisesFisher(UNIT, torch.full((2, 1), math.nan))),
        ("kappa", lambda: VonMisesFisher(UNIT, torch.ones(2))),
        ("mean", lambda: VonMisesFisher(UNIT[..., :1], torch.ones(2, 1))),
        ("mean", lambda: VonMisesFisher(2 * UNIT, torch.ones(2, 1))),
        ("z", lambda: UniformSphere(3).log_prob(torch.ones(2, 3))),
        ("n", lambda: UniformSphere(3).sample(-1)),
        ("n", lambda: UniformRotation().sample(1.5)),
        ("z", lambda: UniformRotation().log_prob(torch.ones(2, 3))),
        ("order", lambda: bessel_ratio(0.2, torch.ones(1))),
        ("kappa", lambda: bessel_ratio(1.5, torch.zeros(1))),
        ("stddev", lambda: WrappedRotation(torch.eye(3)[None], torch.zeros(1, 3))),
        ("mean", lambda: WrappedRotation(torch.eye(3), torch.ones(1, 3))),
        ("most", lambda: WrappedRotationEncoder(torch.nn.Identity(), 0.0)),
        ("net", lambda: WrappedRotationEncoder(torch.nn.Identity())(torch.ones(2, 5))),
        ("points", lambda: curve_length(FLAT, torch.zeros(1, 2))),
        ("start", lambda: straight_line(torch.zeros(2), torch.zeros(3))),
        ("n_points", lambda: straight_line(torch.zeros(2), torch.ones(2), 1)),
        ("n_waves", lambda: geodesic(FLAT, torch.zeros(2), torch.ones(2), n_waves=0)),
        ("path", lambda: geodesic(FLAT, torch.zeros(2), torch.ones(2), path=torch.zeros(1, 2))),
        ("z", lambda: FLAT.matrix(torch.zeros(3))),
        ("k", lambda: LatentGraph(FLAT, torch.randn(4, 2), k=4)),
        ("nodes", lambda: LatentGraph(FLAT, torch.randn(1, 2))),
        ("start", lambda: LatentGraph(FLAT, torch.randn(4, 2), k=2).path(0, 9)),
        ("floor", lambda: RBFSpread(torch.nn.Linear(2, 3), 2, 3, floor=0.0)),
        ("codes", lambda: RBFSpread(torch.nn.Linear(2, 3), 2, 3).place(torch.randn(3, 2))),
        ("shape", lambda: TurnedPoints((4,))),
        ("turns", lambda: draw_views(-torch.eye(3)[None])),
        ("n", lambda: turning_molecule(n=1)),
        ("data", lambda: zoo.get("hyperspherical_vae").build(Reals((4,)))),
        ("data", lambda: zoo.get("rotation_vae").build(Levels((4,), 3))),
        ("m", lambda: zoo.get("hyperspherical_vae").build(Levels((4,), 3), sphere_dim=0)),
    ],
)
def test_bad_input_is_named(name, make):
    with pytest.raises(ValueError, match=rf"\b{name}\b"):
        make()


def test_the_hyperspherical_vae_fits_a_toy_law():
    """Its bound with 64 draws comes within .1 nats of the entropy of nine states, never below."""
    torch.set_default_dtype(torch.float32)
    torch.manual_seed(0)
    log_p = (1.5 * torch.randn(9)).log_softmax(0)
    states = torch.cartesian_prod(torch.arange(3), torch.arange(3))
    model = zoo.get("hyperspherical_vae").build(Levels((2,), 3), width=32, dropout=0.0)
    draws = states[torch.multinomial(log_p.exp(), 4000, replacement=True)]
    fit(model, draws, steps=400, batch_size=256, lr=5e-3, seed=0, progress=False)
    with torch.no_grad():
        bound = model.eval().iw_bound(states, 64)
    excess = (log_p.exp() * (log_p - bound)).sum()
    assert -0.02 < excess < 0.1


def test_the_digits_are_on_the_globe():
    """The trained code of every test digit is a unit vector, and the bound is that of its file."""
    torch.set_default_dtype(torch.float32)
    model = zoo.load("hyperspherical_vae", "digits")
    q = model.posterior(data.load("digits").test)
    torch.testing.assert_close(q.mean.norm(dim=-1), torch.ones(447, 1))
    torch.testing.assert_close(
        q.kl(),
        (q.log_prob(z := q.mean) - model.prior.log_prob(z))
        - q.kappa[:, 0] * (angle_law(q.kappa, 3)[1][:, 0]),
        rtol=1e-4,
        atol=1e-4,
    )


# --- planted faults -------------------------------------------------------------------------------


@pytest.mark.parametrize("holds", PROPERTIES)
def test_property_holds(holds):
    assert holds()


@pytest.mark.parametrize("name", FAULTS)
def test_planted_fault_is_caught(name, monkeypatch):
    *what, holds = FAULTS[name]
    monkeypatch.setattr(*what)
    assert not holds()


def test_a_metric_without_the_spread_sees_no_wall():
    """Means alone: nothing tells the data from where there were none."""
    torch.set_default_dtype(torch.float32)
    vae = zoo.load("riemannian_vae", "digits").double().requires_grad_(False)
    codes = vae.posterior(data.load("digits").train[:60]).mean
    around_ = torch.arange(24) / 24 * 2 * math.pi
    ring = 5.0 * torch.stack((around_.cos(), around_.sin()), 1).double()

    def means(z):
        return vae.likelihood(z).location.flatten(1)

    def both(z):
        return torch.cat((means(z), vae.likelihood(z).log_scale.exp().flatten(1)), 1)

    # on the way out a wall is crossed: ways are longer by much more than the means say
    lengths = {}
    for name, surface in (("means", means), ("both", both)):
        metric = PullbackMetric(surface)
        lines = [straight_line(codes.mean(0), end) for end in ring]
        lengths[name] = sum(curve_length(metric, line).item() for line in lines)
    assert lengths["both"] > 1.4 * lengths["means"]


def test_a_globe_of_pictures_turns_with_its_pictures():
    def bright_in_front(points):
        assert (points.norm(dim=1) - 1).abs().max() < 1e-5
        return (points[:, 2] > 0.8).float()[:, None, None].expand(-1, 6, 6)

    frames = list(globe_of_pictures(bright_in_front, n_frames=4, parallels=7, size=60))
    assert {frame.shape for frame in frames} == {(60, 60)}
    middle = [int(frame[25:35, 25:35].mean()) for frame in frames]
    assert middle[0] > 150
    assert max(middle[1:]) < 60
    left, right = frames[1][:, :20].max(), frames[1][:, 40:].max()
    assert left > 2 * right  # what faced us has moved to the left
    with pytest.raises(ValueError, match="at least 1"):
        next(globe_of_pictures(bright_in_front, n_frames=0))
