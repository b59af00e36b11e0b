"""Normalisation: volumes by quadrature, and networks made densities on a grid."""

import math

import contract
import pytest
import torch
from torch import nn

from dgm.audit import audit
from dgm.energy.quadrature import LogSquare, QuadratureDensity, log_volume, midpoint_grid


@contract.over("energy")
def test_contract(entry, promise) -> None:
    promise(entry)


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
    model = QuadratureDensity(wrap(net(dims)), [(-3.0, 2.0)] * dims, n=200).double()
    finer = log_volume(model.log_prob, [(-3.0, 2.0)] * dims, n=331)
    assert abs(finer.exp() - 1) < 1e-3


def test_quadrature_density_passes_the_audit() -> None:
    model = QuadratureDensity(net(2), [(-3.0, 3.0), (-2.0, 2.0)], n=256)
    audit(model, torch.rand(32, 2) * 2 - 1, bounds=(-3.0, 3.0)).assert_passed()


def test_outside_the_box_the_density_is_zero_and_energy_plus_log_z_is_minus_log_p() -> None:
    model = QuadratureDensity(net(1), [(-1.0, 1.0)])
    assert model.log_prob(torch.tensor([[1.5]])).exp().item() == 0
    x = torch.linspace(-1, 1, 5)[:, None]
    torch.testing.assert_close(model.log_prob(x), -model.energy(x) - model.log_z())


def test_exact_likelihood_gradient_fits_a_known_law() -> None:
    torch.manual_seed(0)
    x = torch.randn(2000, 1)
    model = QuadratureDensity(net(1), [(-5.0, 5.0)])
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
    model = QuadratureDensity(net(1), [(-2.0, 2.0)], n=400)
    mass = model.log_prob(model.nodes).exp() * model.cell_volume
    mean = (mass[:, None] * model.nodes).sum(0)
    torch.testing.assert_close(model.sample(20_000).mean(0), mean, atol=0.04, rtol=0)


@pytest.mark.parametrize("bounds", [[], [(0.0, 1.0)] * 3, [(1.0, 1.0)]])
def test_quadrature_density_names_bad_bounds(bounds: list) -> None:
    with pytest.raises(ValueError, match="bounds"):
        QuadratureDensity(net(1), bounds)


def test_quadrature_density_names_a_bad_x() -> None:
    with pytest.raises(ValueError, match="x must"):
        QuadratureDensity(net(1), [(-1.0, 1.0)]).log_prob(torch.zeros(3, 2))
    with pytest.raises(ValueError, match="x must"):
        QuadratureDensity(net(1), [(-1.0, 1.0)]).log_prob(torch.full((3, 1), math.nan))
    with pytest.raises(ValueError, match="n must"):
        QuadratureDensity(net(1), [(-1.0, 1.0)], n=1)
