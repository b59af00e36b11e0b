"""Chapter 1: joint models p(x, y), volumes by quadrature, and the first simple distributions."""

import itertools
import math

import contract
import pytest
import torch
from torch import nn

from dgm.audit import audit
from dgm.distribution.gaussian import FullGaussian
from dgm.distribution.level_table import LevelTable
from dgm.distribution.support import Levels, Reals
from dgm.joint.generative_classifier import GenerativeClassifier
from dgm.joint.quadrature import LogSquare, QuadratureDensity, log_volume, midpoint_grid
from dgm.joint.shared_trunk import SharedTrunk

LINE, PLANE = Reals((1,)), Reals((2,))


@contract.over("joint")
def test_contract(entry, promise) -> None:
    promise(entry)


def tiny_tables(seed: int = 0) -> GenerativeClassifier:
    torch.manual_seed(seed)
    data = Levels((3,), 2)
    tables = [LevelTable(data) for _ in range(3)]
    for table in tables:
        torch.nn.init.normal_(table.logits)
    return GenerativeClassifier(data, Levels((), 3), tables, torch.tensor([1, 2, 3])).double()


def states(levels: int, dims: int) -> torch.Tensor:
    return torch.tensor(list(itertools.product(range(levels), repeat=dims)))


def test_joint_sums_to_one_over_every_x_and_y() -> None:
    joint = tiny_tables().joint_log_prob(states(2, 3)).exp()
    torch.testing.assert_close(joint.sum(), torch.tensor(1.0).double())
    torch.testing.assert_close(joint.sum(0), torch.tensor([1.0, 2.0, 3.0]).double() / 6)


def test_posterior_times_marginal_is_the_joint() -> None:
    model, x = tiny_tables(), states(2, 3)
    again = model.posterior(x).probs * model.log_prob(x).exp()[:, None]
    torch.testing.assert_close(again, model.joint_log_prob(x).exp())


def test_loss_is_the_joint_with_a_label_and_the_marginal_without() -> None:
    model, x = tiny_tables(), states(2, 3)
    y = torch.arange(8) % 3
    torch.testing.assert_close(model.loss(x, y), -model.joint_log_prob(x)[torch.arange(8), y])
    torch.testing.assert_close(model.loss(x), -model.log_prob(x))


def pair_of() -> GenerativeClassifier:
    parts = [FullGaussian(PLANE), FullGaussian(PLANE)]
    return GenerativeClassifier(PLANE, Levels((), 2), parts)


def test_generative_classifier_passes_the_audit() -> None:
    audit(tiny_tables(), states(2, 3)).assert_passed()
    audit(pair_of(), torch.randn(16, 2)).assert_passed()


def test_samples_have_the_class_asked_for() -> None:
    near = FullGaussian(PLANE).fit_to(torch.randn(20, 2))
    far = FullGaussian(PLANE).fit_to(torch.randn(20, 2) + 100)
    y = torch.tensor([1, 0, 0, 1, 1])
    x = GenerativeClassifier(PLANE, Levels((), 2), [near, far]).sample(5, y=y)
    assert ((x[:, 0] > 50).long() == y).all()


def test_generative_classifier_names_bad_input() -> None:
    model, two = pair_of(), Levels((), 2)
    with pytest.raises(ValueError, match="conditionals"):
        GenerativeClassifier(PLANE, two, [FullGaussian(PLANE)])
    with pytest.raises(ValueError, match="class_counts"):
        GenerativeClassifier(PLANE, two, list(model.conditionals), torch.tensor([1, 0]))
    with pytest.raises(ValueError, match="y must"):
        model.loss(torch.zeros(2, 2), torch.tensor([0, 2]))
    with pytest.raises(ValueError, match="y must"):
        model.sample(3, y=torch.zeros(2, dtype=torch.long))


def trunk(dims: int = 4, seed: int = 0) -> SharedTrunk:
    torch.manual_seed(seed)
    return SharedTrunk(Levels((dims,), 2), Levels((), 3), window=3, hidden_dim=5).double()


def test_shared_trunk_sums_to_one_and_parts_add_up() -> None:
    model, x = trunk(), states(2, 4)
    torch.testing.assert_close(model.log_prob(x).exp().sum(), torch.tensor(1.0).double())
    y = torch.arange(16) % 3
    terms = model.terms(x, y)
    torch.testing.assert_close(terms["log_x"], model.log_prob(x))
    classes = model.posterior(x).logits[torch.arange(16), y]
    torch.testing.assert_close(terms["log_y_given_x"], classes)
    torch.testing.assert_close(model.loss(x, y, 0.5), -classes - 0.5 * terms["log_x"])


def test_shared_trunk_features_see_only_earlier_pixels() -> None:
    model = trunk(6)
    x = torch.zeros(1, 6, dtype=torch.long)
    changed = x.clone()
    changed[0, 3] = 1
    same = torch.isclose(model._features(x), model._features(changed)).all(1)[0]
    assert same.tolist() == [True] * 4 + [False] * 2


def test_shared_trunk_samples_follow_its_masses() -> None:
    model = trunk(3)
    x = states(2, 3)
    torch.manual_seed(1)
    index = (model.sample(20_000).long() * torch.tensor([4, 2, 1])).sum(1)
    frequency = index.bincount(minlength=8) / 20_000
    torch.testing.assert_close(frequency.double(), model.log_prob(x).exp(), atol=0.015, rtol=0)


@pytest.mark.parametrize(
    "x",
    [torch.zeros(2, 4), torch.full((2, 4), 2), torch.zeros(2, 5).long(), torch.zeros(0, 4).long()],
)
def test_shared_trunk_names_a_bad_x(x: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="x must"):
        trunk().log_prob(x)


# --- the simplest laws ----------------------------------------------------------------------------


@pytest.mark.parametrize("pseudo_count", [0.0, 0.1, 3.0])
def test_a_level_table_counts_and_imagines(pseudo_count: float) -> None:
    x = torch.tensor([[0, 2], [0, 1], [1, 2], [0, 2]])
    table = LevelTable(Levels((2,), 3)).fit_to(x, pseudo_count).logits.softmax(1)
    counts = torch.tensor([[3.0, 1, 0], [0, 1, 3]])
    torch.testing.assert_close(table, (counts + pseudo_count) / (4 + 3 * pseudo_count))


def test_a_level_table_of_nothing_is_uniform_and_needs_imagination() -> None:
    model, none = LevelTable(Levels((2,), 3)), torch.zeros(0, 2, dtype=torch.long)
    model.fit_to(torch.zeros(4, 2, dtype=torch.long), 0.1).fit_to(none, 0.1)
    torch.testing.assert_close(model.log_prob(none.new_zeros(1, 2)).item(), -2 * math.log(3))
    for pseudo_count in (0.0, -1.0, math.nan):
        with pytest.raises(ValueError, match=r"\bx\b|pseudo_count"):
            model.fit_to(none, pseudo_count)


def test_a_full_gaussian_has_the_moments_of_its_rows() -> None:
    x = torch.randn(50, 2) @ torch.tensor([[1.0, 0.7], [0.0, 0.4]]) + 3
    model = FullGaussian(PLANE).fit_to(x, ridge=0.5)
    covariance = torch.cov(x.T, correction=0) + 0.5 * torch.eye(2)
    law = torch.distributions.MultivariateNormal(x.mean(0), covariance)
    torch.testing.assert_close(model.log_prob(x), law.log_prob(x))
    with pytest.raises(ValueError, match="flat"):
        FullGaussian(PLANE).fit_to(x * torch.tensor([1.0, 0.0]))


# --- volumes -------------------------------------------------------------------------------------


def net(dims: int, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(dims, 16), nn.Tanh(), nn.Linear(16, 1))


@pytest.mark.parametrize("sigma", [0.3, 1.0, 2.5])
def test_gaussian_volume_is_sqrt_2_pi_sigma_squared(sigma: float) -> None:
    z = log_volume(lambda x: -(x**2) / (2 * sigma**2), [(-25, 25)], n=1000).exp()
    assert abs(z - math.sqrt(2 * math.pi * sigma**2)) < 1e-9


@pytest.mark.parametrize("rate", [0.5, 1.0, 4.0])
def test_exponential_volume_is_one_over_the_rate(rate: float) -> None:
    z = log_volume(lambda x: -rate * x, [(0, 40 / rate)], n=50_000).exp()
    assert abs(z - 1 / rate) < 1e-6


def test_midpoint_error_falls_with_the_square_of_the_cell() -> None:
    errors = [1 - log_volume(lambda x: -x, [(0, 40)], n=n).exp() for n in (1000, 2000, 4000)]
    assert 3.9 < errors[0] / errors[1] < 4.1
    assert 3.9 < errors[1] / errors[2] < 4.1


def test_grid_covers_the_box_once() -> None:
    nodes, volume = midpoint_grid([(0, 1), (-1, 3)], 4)
    assert nodes.shape == (16, 2)
    assert volume * 16 == 4
    torch.testing.assert_close(nodes.mean(0), torch.tensor([0.5, 1.0]).double())


@pytest.mark.parametrize("dims", [1, 2])
@pytest.mark.parametrize("wrap", [lambda f: f, LogSquare])
def test_any_network_integrates_to_one_on_another_grid(dims: int, wrap) -> None:
    model = QuadratureDensity(Reals((dims,)), wrap(net(dims)), [(-3.0, 2.0)] * dims, n=200).double()
    finer = log_volume(model.log_prob, [(-3.0, 2.0)] * dims, n=331)
    assert abs(finer.exp() - 1) < 1e-3


def test_quadrature_density_passes_the_audit() -> None:
    model = QuadratureDensity(PLANE, net(2), [(-3.0, 3.0), (-2.0, 2.0)], n=256)
    audit(model, torch.rand(32, 2) * 2 - 1, bounds=(-3.0, 3.0)).assert_passed()


def test_outside_the_box_the_density_is_zero_and_energy_plus_log_z_is_minus_log_p() -> None:
    model = QuadratureDensity(LINE, net(1), [(-1.0, 1.0)])
    assert model.log_prob(torch.tensor([[1.5]])).exp().item() == 0
    x = torch.linspace(-1, 1, 5)[:, None]
    torch.testing.assert_close(model.log_prob(x), -model.energy(x) - model.log_z())


def test_exact_likelihood_gradient_fits_a_known_law() -> None:
    torch.manual_seed(0)
    x = torch.randn(2000, 1)
    model = QuadratureDensity(LINE, net(1), [(-5.0, 5.0)])
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    for _ in range(300):
        optimizer.zero_grad()
        model.loss(x).mean().backward()
        optimizer.step()
    entropy = 0.5 * math.log(2 * math.pi * math.e)
    held_out = model.loss(torch.randn(5000, 1)).mean().item()
    assert entropy - 0.04 < held_out < entropy + 0.05


def test_samples_have_the_moments_of_the_density() -> None:
    torch.manual_seed(0)
    model = QuadratureDensity(LINE, net(1), [(-2.0, 2.0)], n=400)
    mass = model.log_prob(model.nodes).exp() * model.cell_volume
    mean = (mass[:, None] * model.nodes).sum(0)
    torch.testing.assert_close(model.sample(20_000).mean(0), mean, atol=0.04, rtol=0)


@pytest.mark.parametrize("bounds", [[], [(0.0, 1.0)] * 3, [(1.0, 1.0)]])
def test_quadrature_density_names_bad_bounds(bounds: list) -> None:
    with pytest.raises(ValueError, match="bounds"):
        QuadratureDensity(LINE, net(1), bounds)


def test_quadrature_density_names_a_bad_x() -> None:
    with pytest.raises(ValueError, match="x must"):
        QuadratureDensity(LINE, net(1), [(-1.0, 1.0)]).log_prob(torch.zeros(3, 2))
    with pytest.raises(ValueError, match="x must"):
        QuadratureDensity(LINE, net(1), [(-1.0, 1.0)]).log_prob(torch.full((3, 1), math.nan))
    with pytest.raises(ValueError, match="n must"):
        QuadratureDensity(LINE, net(1), [(-1.0, 1.0)], n=1)
