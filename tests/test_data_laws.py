"""Known laws are what they say: densities, entropies, samples and labels agree, exactly."""

import math

import pytest
import torch
from torch.distributions import (
    Categorical,
    Independent,
    MixtureSameFamily,
    MultivariateNormal,
    Normal,
)

from dgm import data
from dgm.data.markov import Autoregressive2, QuantisedAutoregressive2
from dgm.data.plane import grid_points
from dgm.data.worlds import all_states

TOYS = ["eight_gaussians", "two_gaussians", "moons", "rings", "spirals", "checkerboard", "pinwheel"]
WORLDS = [("bars", {}), ("bars", {"side": 4}), ("ising", {}), ("ising", {"side": 4})]
WORLDS += [("integer_grid", {}), ("integer_grid", {"of": "pinwheel", "levels": 64})]
LAWS = [(name, {}) for name in [*TOYS, "linear_gaussian", "ar2", "audio"]] + WORLDS


def toy_law(name):
    return data.load(name, n=2).law


@pytest.mark.parametrize("name", TOYS)
def test_density_of_a_toy_integrates_to_one(name):
    law = toy_law(name)
    if name == "checkerboard":  # midpoints, as its density jumps
        points, area = grid_points((-3.01, 3.0, -3.01, 3.0), 0.01)
    else:
        points, area = grid_points(law.bounds, 0.05)
    assert law.log_prob(points).exp().sum() * area == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(("name", "options"), LAWS)
def test_entropy_is_the_mean_of_minus_log_p(name, options):
    d = data.load(name, n=2, **options)
    x = d.law.sample(10_000 if d.dims < 100 else 2_000, torch.Generator().manual_seed(1))
    nats = -d.law.log_prob(x).double()
    error = nats.std() / len(x) ** 0.5
    assert abs(nats.mean() - d.entropy) < 4 * error + 1e-6
    assert error < 0.01 * d.dims + 0.02  # or the line above says nothing


@pytest.mark.parametrize("name", TOYS)
def test_samples_of_a_toy_fall_where_its_density_is(name):
    law, n, bins, fine = toy_law(name), 40_000, 16, 12
    left, right, bottom, top = law.bounds
    low, extent = torch.tensor((left, bottom)), torch.tensor((right - left, top - bottom))
    cells = (torch.cartesian_prod(*[torch.arange(bins * fine)] * 2) + 0.5) / (bins * fine)
    p = law.log_prob(cells * extent + low).exp().reshape(bins, fine, bins, fine).sum((1, 3))
    expected = (p / p.sum() * n).flatten()
    x = (law.sample(n, torch.Generator().manual_seed(2)) - low) / extent * bins
    at = x.floor().long().clamp(0, bins - 1)
    seen = torch.bincount(at[:, 0] * bins + at[:, 1], minlength=bins**2)
    often = expected > 5
    chi2 = ((seen - expected)[often] ** 2 / expected[often]).sum()
    dof = often.sum()
    assert (chi2 - dof) / (2 * dof) ** 0.5 < 5
    assert seen[~often].sum() < expected[~often].sum() + 5 * (expected[~often].sum() ** 0.5 + 1)


@pytest.mark.parametrize("name", ["two_gaussians", "moons", "rings", "spirals", "pinwheel"])
def test_labels_follow_the_joint_law(name):
    d = data.load(name, n=20_000)
    posterior = d.law.joint_log_prob(d.train).softmax(1)
    log_p = posterior.clamp(min=1e-12).log()
    surprise = -log_p.gather(1, d.train_y[:, None])[:, 0]
    expected = torch.special.entr(posterior).sum(
        1
    )  # its mean, if labels are drawn from the posterior
    gap = surprise - expected
    assert abs(gap.mean()) < 4 * gap.std() / len(gap) ** 0.5 + 1e-6


def test_eight_gaussians_are_the_mixture_of_torch():
    law = toy_law("eight_gaussians")
    angle = torch.arange(8).double() * math.pi / 4
    means = 2 * torch.stack((angle.cos(), angle.sin()), 1)
    parts = Independent(Normal(means, torch.tensor(0.2).double()), 1)
    reference = MixtureSameFamily(Categorical(torch.ones(8).double()), parts)
    x = torch.randn(200, 2, generator=torch.Generator().manual_seed(0)).double() * 2
    torch.testing.assert_close(law.log_prob(x), reference.log_prob(x))


def test_moons_are_those_of_scikit_learn():
    from sklearn.datasets import make_moons

    d = data.load("moons", n=2, noise=0.1)
    x = torch.from_numpy(make_moons(20_000, noise=0.1, random_state=0)[0])
    nats = -d.law.log_prob(x)
    assert abs(nats.mean() - d.entropy) < 4 * nats.std() / len(x) ** 0.5


def test_toy_densities_hold_in_float32_and_for_an_empty_batch():
    for name in TOYS:
        law = toy_law(name)
        x = law.sample(500)
        torch.testing.assert_close(
            law.log_prob(x).double(), law.log_prob(x.double()), atol=1e-4, rtol=1e-4
        )
        assert law.log_prob(x[:0]).shape == (0,)


@pytest.mark.parametrize(("name", "options"), WORLDS)
def test_probabilities_of_an_exact_world_sum_to_one_and_match_frequencies(name, options):
    d = data.load(name, **options)
    states = all_states(d.levels, d.shape)
    p = d.law.log_prob(states).exp()
    assert p.sum() == pytest.approx(1, abs=1e-9)
    assert len(torch.unique(states.flatten(1), dim=0)) == d.levels**d.dims
    n = 50_000
    seen = torch.bincount(
        d.law.index(d.law.sample(n, torch.Generator().manual_seed(3))), minlength=len(p)
    )
    often = p * n > 5
    z = (seen - p * n)[often] / (p * n)[often].sqrt()
    assert abs((z**2).mean() - 1) < 6 * (2 / often.sum()) ** 0.5


def test_ising_log_z_by_transfer_matrix():
    row = 2 * all_states(2, (3,)).double() - 1
    inside = 0.4 * (row[:, 1:] * row[:, :-1]).sum(1)
    matrix = (0.4 * row @ row.T + (inside[:, None] + inside) / 2).exp()
    ends = (inside / 2).exp()
    log_z = (ends @ matrix @ matrix @ ends).log()
    assert data.load("ising").law.log_z == pytest.approx(log_z.item(), abs=1e-10)


def test_bars_without_noise_would_be_the_patterns():
    law = data.load("bars", flip=1e-6).law
    best = law.states[law.log_p > -10].flatten(1)
    assert len(best) == 14  # 8 + 8 patterns, of which all-off and all-on occur in both
    assert law.log_p.max().exp() == pytest.approx(2 / 16, abs=1e-4)


def test_linear_gaussian_posterior_is_bayes_rule():
    law = data.load("linear_gaussian").law
    x = law.sample(50).double()
    z = torch.randn(50, law.weight.shape[1], dtype=torch.float64)
    prior = Normal(0, 1).log_prob(z).sum(1)
    likelihood = Normal(z @ law.weight.T + law.bias, law.noise).log_prob(x).sum(1)
    torch.testing.assert_close(prior + likelihood - law.posterior(x).log_prob(z), law.log_prob(x))


def test_ar2_is_the_gaussian_with_its_autocovariance():
    law = Autoregressive2(12, 0.9, 0.15, 0.7)
    cov = [law.variance, law.variance * law.correlation]
    for _ in range(10):
        cov.append(law.a * cov[-1] + law.b * cov[-2])
    lag = (torch.arange(12)[:, None] - torch.arange(12)).abs()
    reference = MultivariateNormal(
        torch.zeros(12).double(), torch.tensor(cov, dtype=torch.float64)[lag]
    )
    x = law.sample(100).double()
    torch.testing.assert_close(law.log_prob(x), reference.log_prob(x), atol=1e-9, rtol=1e-9)
    assert law.entropy() == pytest.approx(reference.entropy().item(), abs=1e-9)


def test_ar2_entropy_rate_is_the_integral_of_its_log_spectrum():
    law = Autoregressive2(16, 0.95, 0.1, 1.3)
    w = torch.arange(4096).double() * (2 * math.pi / 4096)
    z = torch.polar(torch.ones_like(w), -w)
    log_spectrum = 2 * (math.log(law.noise) - (1 - law.a * z - law.b * z**2).abs().log())
    rate = (math.log(2 * math.pi * math.e) + log_spectrum.mean()) / 2  # Kolmogorov
    assert law.entropy_rate() == pytest.approx(rate.item(), abs=1e-9)
    longer = Autoregressive2(17, 0.95, 0.1, 1.3)
    assert longer.entropy() - law.entropy() == pytest.approx(law.entropy_rate(), abs=1e-9)


def test_quantised_audio_sums_to_one_is_stationary_and_has_its_entropy():
    law = QuantisedAutoregressive2(5, 4, 0.9, 0.1, 0.8)
    states = all_states(4, (5,)).long()
    p = law.log_prob(states).exp()
    assert p.sum() == pytest.approx(1, abs=1e-9)
    assert torch.special.entr(p).sum() == pytest.approx(law.entropy(), abs=1e-9)
    first, last = (
        torch.zeros(4, 4).double().index_put_(tuple(states[:, at].T), p, True)
        for at in ([0, 1], [3, 4])
    )
    torch.testing.assert_close(first, last, atol=1e-9, rtol=0)
    seen = (law.sample(100_000, torch.Generator().manual_seed(4)) == 0).double().mean(0)
    assert (seen - first.sum(1)[0]).abs().max() < 5 * (0.25 / 100_000) ** 0.5


def test_quantised_audio_rings_like_the_resonator_it_quantises():
    law, real = QuantisedAutoregressive2(8, 64, 0.9, 0.1, 2.0), Autoregressive2(8, 0.9, 0.1, 2.0)
    level = torch.arange(64).double() - 31.5
    pair = law.log_start.exp()
    variance = (pair.sum(1) * level**2).sum()
    correlation = (pair * level[:, None] * level).sum() / variance
    assert correlation == pytest.approx(real.correlation, abs=0.01)
    assert variance == pytest.approx(real.variance, rel=0.05)
    assert law.entropy_rate() == pytest.approx(real.entropy_rate(), abs=0.01)


def test_laws_refuse_data_of_another_kind():
    bad = [
        ("moons", torch.zeros(3, 3)),
        ("moons", torch.zeros(3, 2).long()),
        ("bars", torch.zeros(3, 1, 3, 3)),
    ]
    bad += [
        ("bars", torch.full((1, 1, 3, 3), 2)),
        ("ar2", torch.zeros(2, 5)),
        ("audio", torch.full((1, 128), 32)),
    ]
    for name, x in bad:
        with pytest.raises(ValueError, match="x must be"):
            data.load(name, n=2).law.log_prob(x)
    with pytest.raises(ValueError, match="no vocabulary"):
        data.load("digits").decode(torch.zeros(3))


def test_two_gaussians_have_the_entropy_of_a_one_dimensional_integral():
    """Across the line through both it is a mixture in 1-D, along the other axis one Gaussian."""
    d = data.load("two_gaussians", n=10)
    x = torch.linspace(-9, 9, 200_001, dtype=torch.float64)
    normal = torch.distributions.Normal(torch.tensor([-1.5, 1.5]).double(), 0.5)
    log_p = normal.log_prob(x[:, None]).logsumexp(1) - math.log(2)
    across = -torch.trapezoid(log_p.exp() * log_p, x).item()
    along = 0.5 * math.log(2 * math.pi * math.e * 0.25)
    assert d.entropy == pytest.approx(across + along, abs=1e-8)
