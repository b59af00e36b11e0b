"""Mixtures: densities against references, EM, the unbounded likelihood and its floor."""

import math
from functools import partial

import contract
import numpy as np
import pytest
import torch
from sklearn.mixture import GaussianMixture as SklearnMixture
from sklearn.neighbors import KernelDensity as SklearnKernelDensity
from torch import distributions as D
from torch import nn

from dgm.distribution.support import Levels, Reals
from dgm.mixture.categorical_mixture import CategoricalMixture
from dgm.mixture.deep_mixture import (
    CategoricalDecoder,
    DeepMixture,
    GaussianDecoder,
    normal_codes,
    normal_grid,
)
from dgm.mixture.discretized_mixture import DiscretizedMixture, log_bin_mass
from dgm.mixture.gaussian_mixture import GaussianMixture
from dgm.mixture.kernel_density import KernelDensity, PixelKernelDensity

POINT = Reals((1,))
pytestmark = pytest.mark.usefixtures("float64")

randomized = partial(contract.moved, std=0.6)


FILES = (
    "gaussian_mixture",
    "categorical_mixture",
    "discretized_mixture",
    "kernel_density",
    "deep_mixture",
)


MEMORISERS = ("kernel_density", "pixel_kernel_density")  # training them on their own points is O4


@contract.over("mixture", without=dict.fromkeys(MEMORISERS, "fits_a_toy_law"))
def test_contract(entry, promise):
    torch.set_default_dtype(torch.float32)
    promise(entry)


def blobs(n=300):
    """Three elongated clusters, (n, 2)."""
    centre = torch.tensor([[-3.0, 0.0], [3.0, 1.0], [0.0, 4.0]])[torch.arange(n) % 3]
    return centre + torch.randn(n, 2) @ torch.tensor([[1.0, 0.6], [0.0, 0.5]])


def memoriser(points, bandwidth=1.0):
    return KernelDensity(Reals((points.shape[1],)), points, bandwidth)


def all_states(n_pixels, levels):
    """Every integer image, (levels ** n_pixels, 1, 1, n_pixels)."""
    grid = torch.cartesian_prod(*[torch.arange(levels)] * n_pixels)
    return grid.reshape(-1, 1, 1, n_pixels)


def pixel_models():
    """One small model of integer images of each kind, 3 pixels, 4 levels."""
    data = Levels((1, 1, 3), 4)
    net = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 6))
    images = torch.randint(0, data.levels, (6, *data.shape))
    return {
        "categorical": randomized(CategoricalMixture(3, data)),
        "discretized": randomized(DiscretizedMixture(3, data)),
        "memoriser": PixelKernelDensity(data, images, bandwidth=0.7),
        "deep": randomized(DeepMixture(data, CategoricalDecoder(net, data, 2), normal_codes(5, 2))),
    }


# --- densities against references ---------------------------------------------------------------


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize(("floor", "k"), [(0.0, 4), (0.3, 4), (0.0, 3)])  # also K = D
def test_gaussian_mixture_is_torch_distributions(full, floor, k):
    model = randomized(GaussianMixture(k, Reals((3,)), full=full, floor=floor))
    x = torch.randn(50, 3) * 3
    parts = D.MultivariateNormal(model.means, covariance_matrix=model.covariance())
    reference = D.MixtureSameFamily(D.Categorical(logits=model.logits), parts)
    torch.testing.assert_close(model.log_prob(x), reference.log_prob(x), rtol=0, atol=1e-12)


def test_gaussian_mixture_is_scikit_learn_before_and_after_em():
    x = blobs()
    start = x[:3].numpy()
    reference = SklearnMixture(3, means_init=start, reg_covar=0, tol=0, max_iter=20, n_init=1)
    reference.weights_init = np.ones(3) / 3
    reference.precisions_init = np.stack([np.linalg.inv(np.cov(x.T.numpy()))] * 3)
    with pytest.warns(Warning, match="converge"):
        reference.fit(x.numpy())
    model = GaussianMixture(3, Reals((2,)), full=True)
    with torch.no_grad():
        model.logits.zero_()
        model.means.copy_(x[:3])
        factor = torch.linalg.cholesky(x.T.cov())
        model.log_scale.copy_(factor.diagonal().log().expand(3, 2))
        model.lower.copy_(factor.tril(-1).expand(3, 2, 2))
    for _ in range(20):
        model.em_step(x)
    expected = torch.as_tensor(reference.score_samples(x.numpy()))
    torch.testing.assert_close(model.log_prob(x), expected, rtol=0, atol=1e-8)
    probs = torch.as_tensor(reference.predict_proba(x.numpy()))
    torch.testing.assert_close(model.posterior(x).probs, probs, rtol=0, atol=1e-8)


def test_kernel_density_is_scikit_learn():
    points, x = torch.randn(40, 3), torch.randn(20, 3)
    reference = SklearnKernelDensity(bandwidth=0.4).fit(points.numpy()).score_samples(x.numpy())
    ours = KernelDensity(Reals((3,)), points, 0.4).log_prob(x)
    torch.testing.assert_close(ours, torch.as_tensor(reference), rtol=0, atol=1e-10)


def test_leave_one_out_is_a_model_of_the_others():
    points = torch.randn(9, 2)
    expected = [memoriser(torch.cat((points[:i], points[i + 1 :])), 0.5) for i in range(9)]
    each = torch.stack([m.log_prob(points[i : i + 1])[0] for i, m in enumerate(expected)])
    torch.testing.assert_close(memoriser(points, 0.5).leave_one_out(), each)


def test_bin_mass_is_a_difference_of_normal_cdfs():
    mean, log_scale = 4 * torch.rand(20), torch.randn(20)
    normal = D.Normal(mean[:, None], log_scale.exp()[:, None])
    cdf = normal.cdf(torch.arange(4) + 0.5)  # (20, 4), edges of five bins
    ones = torch.ones(20, 1)
    expected = torch.cat((cdf, ones), 1) - torch.cat((0 * ones, cdf), 1)
    torch.testing.assert_close(log_bin_mass(mean, log_scale, 5).exp(), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("log_scale", [-6.0, 0.0, 6.0])
def test_bin_mass_and_its_gradient_stay_finite_far_out(dtype, log_scale):
    mean = torch.tensor([-50.0, 0.2, 8.0, 90.0], dtype=dtype, requires_grad=True)
    scale = torch.full_like(mean, log_scale).requires_grad_()
    mass = log_bin_mass(mean, scale, 17)
    assert mass.isfinite().all()
    torch.testing.assert_close(mass.logsumexp(1).detach(), torch.zeros(4, dtype=dtype))
    assert all(g.isfinite().all() for g in torch.autograd.grad(mass.sum(), (mean, scale)))


def test_gaussian_density_integrates_to_one():
    model = randomized(GaussianMixture(3, Reals((2,)), full=True, floor=0.1))
    line = torch.linspace(-15, 15, 601)
    grid = torch.cartesian_prod(line, line)
    assert model.log_prob(grid).exp().sum().item() * 0.05**2 == pytest.approx(1, abs=1e-8)


@pytest.mark.parametrize("kind", ["categorical", "discretized", "memoriser", "deep"])
def test_mass_sums_to_one_and_is_bounded_by_one(kind):
    log_mass = pixel_models()[kind].log_prob(all_states(3, 4))
    assert log_mass.exp().sum().item() == pytest.approx(1, abs=1e-12)
    assert log_mass.max() <= 0


@pytest.mark.parametrize("kind", ["categorical", "discretized", "memoriser", "deep"])
def test_samples_follow_the_mass(kind):
    model, states = pixel_models()[kind], all_states(3, 4)
    draws = model.sample(20_000, generator=torch.Generator().manual_seed(1)).long()
    index = (draws.flatten(1) * torch.tensor([16, 4, 1])).sum(1)
    share = torch.bincount(index, minlength=64) / 20_000
    mass = model.log_prob(states).exp()
    assert ((share - mass).abs() < 5 * (mass * (1 - mass) / 20_000).sqrt() + 1e-4).all()


@pytest.mark.parametrize("full", [False, True])
def test_gaussian_samples_have_the_moments(full):
    model = randomized(GaussianMixture(3, Reals((2,)), full=full, floor=0.2))
    x = model.sample(200_000)
    pi = model.prior.probs
    mean = pi @ model.means
    spread = model.covariance() + torch.einsum("ki,kj->kij", model.means, model.means)
    covariance = torch.einsum("k,kij->ij", pi, spread) - torch.outer(mean, mean)
    torch.testing.assert_close(x.mean(0), mean, rtol=0, atol=0.03)
    torch.testing.assert_close(x.T.cov(), covariance, rtol=0.03, atol=0.03)


# --- the latent variable (F15) ------------------------------------------------------------------


def test_marginal_is_the_sum_over_z():
    model = randomized(GaussianMixture(2, Reals((1,))))
    x = torch.linspace(-4, 4, 101)[:, None]
    pi, sd = model.prior.probs, model.covariance()[:, 0, 0].sqrt()
    by_hand = sum(
        pi[k] * D.Normal(model.means[k, 0], sd[k]).log_prob(x[:, 0]).exp() for k in (0, 1)
    )
    assert (model.log_prob(x).exp() - by_hand).abs().max() < 1e-12


@pytest.mark.parametrize("kind", ["categorical", "discretized", "deep"])
def test_posterior_is_the_joint_over_the_marginal(kind):
    model, x = pixel_models()[kind], all_states(3, 4)
    expected = (model.joint_log_prob(x) - model.log_prob(x)[:, None]).exp()
    torch.testing.assert_close(model.posterior(x).probs, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("floor", [0.0, 0.5])
def test_em_never_falls(full, floor):
    x = blobs()
    model = GaussianMixture(4, Reals((2,)), full=full, floor=floor)
    model.start_from(x)
    trace = torch.stack([model.em_step(x) for _ in range(100)])
    assert trace.diff().min() > -1e-9
    assert trace[-1] > trace[0] + 0.1


def test_em_respects_the_floor_where_it_binds():
    x = blobs() * torch.tensor([1.0, 0.01])
    model = GaussianMixture(3, Reals((2,)), full=True, floor=0.05)
    model.start_from(x)
    trace = torch.stack([model.em_step(x) for _ in range(50)])
    assert torch.linalg.eigvalsh(model.covariance()).min() >= 0.05 - 1e-12
    assert trace.diff().min() > -1e-9


def test_em_and_gradient_reach_the_same_optimum():
    x = blobs()
    by_em, by_gradient = GaussianMixture(3, Reals((2,))), GaussianMixture(3, Reals((2,)))
    by_em.start_from(x, generator=torch.Generator().manual_seed(2))
    by_gradient.load_state_dict(by_em.state_dict())
    for _ in range(300):
        by_em.em_step(x)
    lbfgs = torch.optim.LBFGS(
        by_gradient.parameters(), max_iter=500, tolerance_grad=1e-10, line_search_fn="strong_wolfe"
    )

    def closure():
        lbfgs.zero_grad()
        loss = by_gradient.loss(x).mean()
        loss.backward()
        return loss

    lbfgs.step(closure)
    assert abs(by_em.loss(x).mean() - by_gradient.loss(x).mean()) < 1e-8
    torch.testing.assert_close(by_em.means, by_gradient.means, rtol=0, atol=1e-4)
    torch.testing.assert_close(by_em.prior.probs, by_gradient.prior.probs, rtol=0, atol=1e-4)


def test_em_stands_still_where_the_gradient_is_zero():
    x = blobs()
    model = GaussianMixture(3, Reals((2,)), full=True)
    model.start_from(x)
    for _ in range(400):
        model.em_step(x)
    model.loss(x).mean().backward()
    assert max(p.grad.abs().max() for p in model.parameters()) < 1e-6


@pytest.mark.parametrize("levels", [2, 5])
def test_categorical_em_never_falls(levels):
    x = torch.randint(0, levels, (60, 1, 2, 3))
    model = randomized(CategoricalMixture(4, Levels((1, 2, 3), levels)))
    trace = torch.stack([model.em_step(x) for _ in range(60)])
    assert trace.diff().min() > -1e-9


def test_smoothed_em_raises_the_log_posterior():
    x, smoothing = torch.randint(0, 3, (60, 1, 2, 3)), 5.0
    model = randomized(CategoricalMixture(4, Levels((1, 2, 3), 3)))
    trace = []
    for _ in range(40):
        background = (torch.nn.functional.one_hot(x.flatten(1), 3).sum(0) + 1 / 3) / 61
        prior = smoothing * (background * model.pixel_logits.log_softmax(2)).sum()
        trace.append(prior.item() + len(x) * model.em_step(x, smoothing).item())
    assert np.diff(trace).min() > -1e-9


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("k", [2, 3])  # K = D = 2 too: a transposed axis would fit
def test_one_em_step_by_hand(full, k):
    x = blobs(40)
    model = GaussianMixture(k, Reals((2,)), full=full)
    model.start_from(x, generator=torch.Generator().manual_seed(0))
    r = model.posterior(x).probs
    model.em_step(x)
    for j in range(k):
        weight = r[:, j] / r[:, j].sum()
        mean = weight @ x
        spread = (weight[:, None] * (x - mean)).T @ (x - mean)
        expected = spread if full else spread.diagonal().diag()
        torch.testing.assert_close(model.prior.probs[j], r[:, j].mean())
        torch.testing.assert_close(model.means[j], mean)
        torch.testing.assert_close(model.covariance()[j], expected)


# --- the unbounded likelihood (F9) --------------------------------------------------------------


def shrinking(x, sd, floor, dims_shrunk):
    """Total log-likelihood when one of two components sits on x[0] with deviation sd."""
    model = GaussianMixture(2, Reals((x.shape[1],)), floor=floor)
    with torch.no_grad():
        model.logits.zero_()
        model.means[0], model.means[1] = x[0], 0.0
        model.log_scale.zero_()
        model.log_scale[0, :dims_shrunk] = math.log(sd)
        return model.log_prob(x).sum().item()


@pytest.mark.parametrize(("dim", "shrunk"), [(1, 1), (3, 3), (3, 1), (5, 2)])
def test_slope_is_the_number_of_collapsed_dimensions(dim, shrunk):
    x = torch.randn(20, dim)
    values = [shrinking(x, 10.0**-k, 0.0, shrunk) for k in range(4, 9)]
    assert np.diff(values) == pytest.approx(shrunk * math.log(10), abs=1e-3)


def test_with_a_floor_the_collapse_gains_nothing():
    x = torch.randn(20, 1)
    values = [shrinking(x, 10.0**-k, 0.01, 1) for k in range(4, 9)]
    assert np.ptp(values) < 1e-5


@pytest.mark.parametrize("floor", [1e-4, 0.1, 1.0])
def test_floor_gives_the_analytic_bound_and_it_is_reached(floor):
    bound = -0.5 * 3 * math.log(2 * math.pi * floor)
    model = randomized(GaussianMixture(4, Reals((3,)), full=True, floor=floor), std=2.0)
    with torch.no_grad():
        model.log_scale.fill_(-30.0)
        model.lower.zero_()
        model.logits.zero_()
        model.logits[0] = 50.0
    assert model.log_prob(torch.randn(500, 3)).max() <= bound
    assert model.log_prob(model.means[:1]).item() == pytest.approx(bound, abs=1e-9)


@pytest.mark.parametrize("floor", [0.0, 0.05])
def test_deep_gaussian_mixture_is_unbounded_only_without_floor(floor):
    x = torch.randn(10, 2)
    codes, log_weights = normal_grid(41)
    decoder = GaussianDecoder(nn.Linear(1, 4), Reals((2,)), floor)
    model = DeepMixture(Reals((2,)), decoder, codes, log_weights)
    values = []
    for log_variance in (-10.0, -20.0, -30.0):
        with torch.no_grad():  # one half-line of codes with its mean on x[0] would do: here a ramp
            decoder.net.weight.zero_()
            decoder.net.bias.copy_(torch.tensor([*x[0], 0.0, 0.0]))
            decoder.net.weight[2:] = -log_variance / 6  # variance exp(log_variance) at z = -6
        values.append(model.log_prob(x)[0].item())
    bound = -math.log(2 * math.pi * floor) if floor else math.inf
    assert max(values) <= bound
    assert (values[2] - values[0] > 5) == (floor == 0)


def test_bernoulli_likelihood_is_bounded_and_the_bound_is_reached_by_memorising():
    x = torch.randint(0, 2, (8, 1, 4, 4))
    model = CategoricalMixture(8, Levels((1, 4, 4), 2))
    with torch.no_grad():
        model.pixel_logits.copy_(60.0 * torch.nn.functional.one_hot(x.flatten(1), 2))
        model.logits.zero_()
    assert model.log_prob(x).sum().item() == pytest.approx(-8 * math.log(8), abs=1e-9)
    assert model.log_prob(x).max() <= 0


# --- memorising (O4) ----------------------------------------------------------------------------


def test_memoriser_of_pixels_ends_at_log_n_on_its_own_images_and_nowhere_else():
    images = torch.randint(0, 5, (10, 1, 2, 4))
    model = PixelKernelDensity(Levels((1, 2, 4), 5), images, bandwidth=0.03)
    torch.testing.assert_close(model.log_prob(images), torch.full((10,), -math.log(10)))
    assert model.log_prob((images + 1) % 5).max() < -500


def test_memoriser_of_points_has_no_best_bandwidth_on_its_own_points():
    points = torch.randn(30, 2)
    totals = [memoriser(points, h).log_prob(points).mean().item() for h in (1e-2, 1e-3, 1e-4)]
    assert np.diff(totals) == pytest.approx(2 * math.log(10), abs=1e-2)


# --- deep mixtures ------------------------------------------------------------------------------


def test_a_linear_decoder_on_a_grid_is_probabilistic_pca():
    w, noise = torch.randn(3, 1), 0.3
    net = nn.Linear(1, 6)
    with torch.no_grad():
        net.weight.copy_(torch.cat((w, torch.zeros(3, 1))))
        net.bias.copy_(torch.cat((torch.ones(3), torch.full((3,), math.log(noise)))))
    model = DeepMixture(
        Reals((3,)), GaussianDecoder(net, Reals((3,))), *normal_grid(201, reach=8.0)
    )
    exact = D.MultivariateNormal(torch.ones(3), w @ w.T + noise * torch.eye(3))
    x = exact.sample((20,))
    torch.testing.assert_close(model.log_prob(x), exact.log_prob(x), rtol=0, atol=1e-10)


def test_quadrature_over_the_latent_converges():
    net = randomized(nn.Sequential(nn.Linear(1, 16), nn.Tanh(), nn.Linear(16, 4)))
    x = torch.randn(10, 2)
    models = [
        DeepMixture(Reals((2,)), GaussianDecoder(net, Reals((2,)), 0.1), *normal_grid(n))
        for n in (200, 800)
    ]
    values = [model.log_prob(x) for model in models]
    assert (values[0] - values[1]).abs().max() < 1e-8


@pytest.mark.parametrize("at_once", [1, 100, 50_000_000])
def test_log_prob_of_a_deep_mixture_is_read_off_its_table_in_parts_of_any_size(at_once):
    data = Levels((1, 2, 3), 5)
    decoder = randomized(CategoricalDecoder(nn.Linear(2, 6 * 3), data, 3))
    decoder.values_at_once = at_once
    x, z = torch.randint(5, (4, 1, 2, 3)), torch.randn(7, 2)
    table, v = decoder.table(z).detach(), x.flatten(1)  # (7, 6, 5), (4, 6)
    by_hand = [[sum(table[k, d, row[d]] for d in range(6)) for k in range(7)] for row in v]
    assert torch.allclose(decoder.log_prob(x, z), torch.tensor(by_hand))


def test_two_features_v_and_v_squared_make_a_gaussian_read_at_the_integers():
    decoder = CategoricalDecoder(nn.Linear(1, 2), Levels((1, 1, 1), 9), 2)
    v = torch.arange(9.0)
    with torch.no_grad():
        decoder.background.zero_()
        decoder.features.copy_(torch.stack((v, v.square())))
        decoder.net.weight.zero_()
        decoder.net.bias.copy_(torch.tensor([3.0 / 4, -1 / 8]))  # mean 3, variance 4
    expected = D.Normal(3.0, 2.0).log_prob(v).log_softmax(0)
    torch.testing.assert_close(decoder.table(torch.zeros(1, 1))[0, 0], expected)


# --- chance -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["gaussian", "categorical", "discretized"])
def test_a_start_follows_its_generator_alone(name):
    model, x = every_model()[name]

    def start(seed):
        model.start_from(x, generator=torch.Generator().manual_seed(seed))
        return torch.cat([p.detach().flatten() for p in model.parameters()])

    before = torch.get_rng_state()
    first, again, other = start(0), start(0), start(1)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(before, torch.get_rng_state())


def test_codes_follow_their_seed_alone():
    before = torch.get_rng_state()
    assert torch.equal(normal_codes(8, 2, seed=3), normal_codes(8, 2, seed=3))
    assert not torch.equal(normal_codes(8, 2, seed=3), normal_codes(8, 2, seed=4))
    assert torch.equal(before, torch.get_rng_state())


def test_a_memoriser_remembers_what_it_is_fitted_to():
    points, images = torch.randn(4, 2), torch.randint(0, 4, (4, 1, 1, 3))
    model = memoriser(torch.zeros(9, 2), 0.5)
    assert model.fit_to(points) is model
    torch.testing.assert_close(model.log_prob(points), memoriser(points, 0.5).log_prob(points))
    pixels = PixelKernelDensity(Levels((1, 1, 3), 4), images * 0, 0.01).fit_to(images)
    assert (pixels.log_prob(images) > -math.log(4) - 1e-9).all()


# --- the interface ------------------------------------------------------------------------------


def every_model():
    gaussian = randomized(GaussianMixture(3, Reals((2,)), full=True, floor=0.1))
    net = nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 4))
    deep = randomized(
        DeepMixture(Reals((2,)), GaussianDecoder(net, Reals((2,)), 0.1), *normal_grid(9))
    )
    real = {"gaussian": gaussian, "points": memoriser(torch.randn(5, 2)), "deep real": deep}
    return {name: (m, torch.randn(7, 2)) for name, m in real.items()} | {
        name: (m, torch.randint(0, 4, (7, 1, 1, 3))) for name, m in pixel_models().items()
    }


NAMES = ("gaussian", "points", "deep real", "categorical", "discretized", "memoriser", "deep")


@pytest.mark.parametrize("name", NAMES)
def test_row_of_a_batch_is_a_batch_of_a_row(name):
    model, x = every_model()[name]
    assert model.log_prob(x).shape == (7,)
    torch.testing.assert_close(model.log_prob(x)[2:3], model.log_prob(x[2:3]))
    assert model.sample(4).shape == (4, *x.shape[1:])


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_gets_a_gradient(name):
    model, x = every_model()[name]
    model.loss(x).mean().backward()
    for key, p in model.named_parameters():
        assert p.grad is not None, key
        assert p.grad.isfinite().all(), key
        assert p.grad.abs().max() > 0, key


@pytest.mark.parametrize("name", NAMES)
def test_single_precision_agrees(name):
    model, x = every_model()[name]
    exact = model.log_prob(x)
    x32 = x.float() if x.is_floating_point() else x
    torch.testing.assert_close(model.float().log_prob(x32).double(), exact, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_bad_input_is_named(name):
    model, x = every_model()[name]
    bad = [x[:0], x[:, ..., :1].flatten(), x[:, :, None] if x.ndim == 2 else x[..., :1]]
    bad += [torch.full_like(x, torch.nan)] if x.ndim == 2 else [x - 9, x + 4, x + 0.5]
    for wrong in bad:
        with pytest.raises(ValueError, match="x "):
            model.log_prob(wrong)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: GaussianMixture(0, Reals((2,))), "n_components"),
        (lambda: GaussianMixture(2, Reals((2,)), floor=-1.0), "floor"),
        (lambda: GaussianMixture(2, Reals((2, 2))), "data"),
        (lambda: CategoricalMixture(2.5, Levels((1, 2, 2), 2)), "n_components"),
        (lambda: DiscretizedMixture(2, Levels((1, 2, 2), 2)), "levels"),
        (lambda: KernelDensity(Reals((1,)), torch.zeros(3), 1.0), "points"),
        (lambda: KernelDensity(Reals((1,)), torch.zeros(3, 1), 0.0), "bandwidth"),
        (lambda: PixelKernelDensity(Levels((1, 2, 2), 4), torch.full((2, 1, 2, 2), 9)), "images"),
        (lambda: GaussianDecoder(nn.Identity(), POINT, math.nan), "floor"),
        (lambda: DeepMixture(POINT, nn.Identity(), torch.zeros(3)), "codes"),
        (
            lambda: DeepMixture(POINT, nn.Identity(), torch.zeros(3, 1), torch.zeros(2)),
            "log_weights",
        ),
        (lambda: DeepMixture(POINT, nn.Identity(), torch.zeros(3, 1), n_drawn=4), "n_drawn"),
        (lambda: normal_codes(0, 2), "n and dim"),
        (lambda: normal_codes(4, 2, seed=-1), "seed"),
        (lambda: normal_grid(5, reach=math.nan), "reach"),
    ],
)
def test_bad_argument_is_named(make, name):
    with pytest.raises(ValueError, match=name):
        make()
