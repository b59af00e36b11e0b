"""Linear codes: subspaces, exact densities, unmixing, certificates of sparsity, exact diagnosis."""

import math

import contract
import numpy as np
import pytest
import torch
from scipy.linalg import subspace_angles
from sklearn import decomposition
from sklearn.linear_model import Lasso
from torch import distributions as D

from dgm.data.party import party
from dgm.data.worlds import linear_gaussian
from dgm.distribution.normal import StandardNormal
from dgm.distribution.support import Levels, Reals
from dgm.linear.dictionary import DictionaryLearner
from dgm.linear.exact_codes import exact_codes, settle
from dgm.linear.ica import ICA, SechSources, fastica, nearest_rotation, whitening
from dgm.linear.linear_autoencoder import LinearAutoencoder
from dgm.linear.linear_vae import LinearVAE
from dgm.linear.noisy_or import NoisyOr, log1mexp, signed_sum
from dgm.linear.noisy_or_bounds import NoisyOrBounds, _tighten, conjugate
from dgm.linear.pca import PCA
from dgm.linear.probabilistic_pca import ProbabilisticPCA
from dgm.linear.sparse_coding import fista, ista, kkt_gap, soft_threshold, sparse_objective
from dgm.measure.amari import amari_index
from dgm.measure.filters import localisation, orientation
from dgm.measure.principal_angles import principal_angles
from dgm.train import fit
from dgm.zoo import linear as zoo_linear

pytestmark = pytest.mark.usefixtures("float64")

TOY = "fits_a_toy_law"
NO_DENSITY = ("pca", "linear_autoencoder", "sparse_coder")
STRAIGHT = ("probabilistic_pca", "linear_vae", "ica")  # no linear map makes two humps: own tests
ABSENT = dict.fromkeys((*NO_DENSITY, *STRAIGHT, "noisy_or"), TOY)  # the last reads only 0 and 1


@contract.over("linear", without=ABSENT)
def test_contract(entry, promise):
    torch.set_default_dtype(torch.float32)
    promise(entry)


def stretched(n=2000, dims=10):
    """Gaussian rows with distinct variances along random directions, off centre."""
    turn = torch.linalg.qr(torch.randn(dims, dims))[0]
    return torch.randn(n, dims) * torch.linspace(3, 0.3, dims) @ turn.T + torch.randn(dims)


def lbfgs(model, x, rounds=40):
    """Full-batch minimisation of the mean loss to rounding."""
    options = {"max_iter": 100, "tolerance_grad": 1e-13, "tolerance_change": 1e-16}
    optimizer = torch.optim.LBFGS(
        [p for p in model.parameters() if p.requires_grad],
        history_size=30, line_search_fn="strong_wolfe", **options,
    )  # fmt: skip

    def closure():
        optimizer.zero_grad()
        loss = model.loss(x).mean()
        loss.backward()
        return loss

    for _ in range(rounds):
        optimizer.step(closure)
    return model


# --- PCA and angles -------------------------------------------------------------------------------


def test_pca_is_that_of_scikit_learn():
    x = stretched()
    model, other = PCA(Reals((10,)), 3), decomposition.PCA(3).fit(x.numpy())
    model.fit_to(x)
    ours, theirs = model.axes.T.numpy(), other.components_
    np.testing.assert_allclose(ours, theirs * np.sign((ours * theirs).sum(1))[:, None], atol=1e-10)
    n = len(x)
    np.testing.assert_allclose(
        model.eigenvalues[:3] * n / (n - 1), other.explained_variance_, rtol=1e-10
    )
    np.testing.assert_allclose(
        model(x), other.inverse_transform(other.transform(x.numpy())), atol=1e-10
    )


def test_pca_loses_the_tail_of_the_eigenvalues_and_nobody_loses_less():
    x = stretched()
    for d in (1, 4, 10):
        model = PCA(Reals((10,)), d)
        model.fit_to(x)
        tail = model.eigenvalues[d:].sum()
        torch.testing.assert_close(model.loss(x).mean(), tail, rtol=0, atol=1e-10)
        other = torch.linalg.qr(torch.randn(10, d))[0]
        centred = x - x.mean(0)
        assert (centred - centred @ other @ other.T).square().sum(1).mean() >= tail - 1e-10


def test_pca_reads_images_and_keeps_small_eigenvalues_in_single_precision():
    torch.set_default_dtype(torch.float32)
    x = torch.randn(500, 1, 2, 3) * torch.tensor([1e3, 1, 1, 1, 1, 1e-2]).view(1, 2, 3)
    model = PCA(Reals((1, 2, 3)), 2)
    model.fit_to(x)
    exact = torch.linalg.eigvalsh(torch.cov(x.flatten(1).double().T, correction=0)).flip(0)
    assert model(x).shape == x.shape
    torch.testing.assert_close(model.eigenvalues.double(), exact, rtol=1e-2, atol=0)


def test_pca_of_fewer_rows_than_columns_keeps_orthonormal_axes():
    model = PCA(Reals((6,)), 5)
    x = torch.randn(3, 6)
    model.fit_to(x)
    torch.testing.assert_close(model.axes.T @ model.axes, torch.eye(5))
    torch.testing.assert_close(model(x), x)


def test_principal_angles_are_those_of_scipy_and_resolve_tiny_ones():
    for p, q in ((3, 3), (2, 4), (4, 1)):
        a, b = torch.randn(7, p), torch.randn(7, q)
        expected = np.sort(subspace_angles(a.numpy(), b.numpy()))
        np.testing.assert_allclose(principal_angles(a, b), expected, atol=1e-12)
    for angle in (1e-9, 1e-3, 1.0, math.pi / 2):
        tilted = torch.tensor([[math.cos(angle)], [math.sin(angle)], [0.0]])
        found = principal_angles(tilted, torch.tensor([[1.0], [0], [0]]))
        assert found.item() == pytest.approx(angle, rel=1e-9)


# --- the linear autoencoder -----------------------------------------------------------------------


def test_linear_autoencoder_finds_the_span_but_not_the_axes():
    x, model, exact = stretched(), LinearAutoencoder(Reals((10,)), 3), PCA(Reals((10,)), 3)
    exact.fit_to(x)
    lbfgs(model, x)
    tail = exact.eigenvalues[3:].sum()
    torch.testing.assert_close(model.loss(x).mean(), tail, rtol=0, atol=1e-8)
    assert principal_angles(model.decoder, exact.axes).max() < 1e-4
    assert principal_angles(model.encoder.T, exact.axes).max() < 1e-4
    gram = model.decoder.T @ model.decoder
    assert (gram - gram.diagonal().diag()).abs().max() > 0.01
    projection = model.decoder @ model.encoder
    torch.testing.assert_close(projection, exact.axes @ exact.axes.T, atol=1e-4, rtol=0)


def test_linear_autoencoder_does_not_change_under_a_change_of_code():
    model, x, a = LinearAutoencoder(Reals((5,)), 2), torch.randn(7, 5), torch.randn(2, 2)
    before = model(x)
    with torch.no_grad():
        model.encoder.copy_(a @ model.encoder)
        model.decoder.copy_(model.decoder @ a.inverse())
    torch.testing.assert_close(model(x), before)


# --- probabilistic PCA and the linear VAE ---------------------------------------------------------


def random_ppca(dims=6, latent=2):
    model = ProbabilisticPCA(Reals((dims,)), latent)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.7 * torch.randn_like(p))
    return model


def covariance_of(model):
    return model.weight @ model.weight.T + model.log_variance.exp() * torch.eye(len(model.mean))


def test_probabilistic_pca_is_the_gaussian_with_that_covariance():
    model, x = random_ppca(), torch.randn(20, 6)
    exact = D.MultivariateNormal(model.mean, covariance_of(model))
    torch.testing.assert_close(model.log_prob(x), exact.log_prob(x))


def test_probabilistic_pca_posterior_is_that_of_the_joint_gaussian():
    model, x = random_ppca(), torch.randn(5, 6)
    gain = model.weight.T @ covariance_of(model).inverse()  # Cov(z, x) Cov(x)^-1
    posterior = model.posterior(x)
    torch.testing.assert_close(posterior.mean, (x - model.mean) @ gain.T)
    expected = torch.eye(2) - gain @ model.weight
    torch.testing.assert_close(posterior.covariance_matrix, expected.expand(5, 2, 2))


def test_probabilistic_pca_solves_what_scikit_learn_solves_and_no_step_improves_it():
    x = stretched()
    model = ProbabilisticPCA(Reals((10,)), 4)
    model.fit_to(x)
    n, other = len(x), decomposition.PCA(4).fit(x.numpy())
    variance = other.noise_variance_ * (n - 1) / n  # scikit-learn divides by N - 1
    assert model.log_variance.exp().item() == pytest.approx(variance, rel=1e-10)
    model.loss(x).mean().backward()
    assert all(p.grad.abs().max() < 1e-10 for p in model.parameters())


def test_probabilistic_pca_of_fewer_rows_than_columns_still_sits_at_a_maximum():
    x = torch.randn(5, 8)
    model = ProbabilisticPCA(Reals((8,)), 2).fit_to(x)
    values = torch.linalg.eigvalsh(torch.cov(x.T, correction=0)).flip(0)
    assert model.log_variance.exp().item() == pytest.approx(values[2:].mean().item(), rel=1e-10)
    model.loss(x).mean().backward()
    assert all(p.grad.abs().max() < 1e-10 for p in model.parameters())


def test_probabilistic_pca_refuses_data_without_noise():
    with pytest.raises(ValueError, match="x lies in 2 dimensions"):
        ProbabilisticPCA(Reals((5,)), 2).fit_to(torch.randn(50, 2) @ torch.randn(2, 5))


def test_samples_of_probabilistic_pca_have_its_covariance():
    model = random_ppca()
    x = model.sample(200_000)
    torch.testing.assert_close(torch.cov(x.T), covariance_of(model), atol=0.1, rtol=0.02)
    torch.testing.assert_close(x.mean(0), model.mean, atol=0.03, rtol=0)


@pytest.mark.parametrize("name", ["probabilistic_pca", "linear_vae"])
def test_the_linear_gaussian_world_is_fitted_to_its_entropy(name):
    torch.set_default_dtype(torch.float32)
    world = linear_gaussian(n=20_000)
    model = getattr(zoo_linear, name)(Reals((4,)), latent_dim=2)
    if name == "probabilistic_pca":
        model.fit_to(world.train)
    else:
        fit(model, world.train, steps=1500, batch_size=256, lr=2e-2, progress=False)
    excess = world.law.log_prob(world.test) - model.log_prob(world.test)
    assert -0.01 < excess.mean() < 0.02


def random_vae(**options):
    model = LinearVAE(Reals((6,)), 3, **options)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.6 * torch.randn_like(p))
    return model


def test_the_gap_of_the_linear_vae_is_the_divergence_to_the_true_posterior():
    model, x = random_vae(), torch.randn(9, 6)
    twin = ProbabilisticPCA(Reals((6,)), 3)
    with torch.no_grad():
        twin.mean.copy_(model.mean), twin.weight.copy_(model.weight)
        twin.log_variance.copy_(model.log_variance)
    torch.testing.assert_close(model.log_prob(x), twin.log_prob(x))
    q = model.posterior(x)
    q = D.MultivariateNormal(q.mean, torch.diag_embed(q.variance))
    gap = D.kl_divergence(q, twin.posterior(x))
    torch.testing.assert_close(model.log_prob(x) - model.elbo(x), gap)


def test_the_terms_of_the_linear_vae_are_the_means_of_draws():
    model, x = random_vae(variance=0.7), torch.randn(4, 6)
    q = model.posterior(x)
    z = q.sample((100_000,))
    decoded = D.Independent(D.Normal(model.mean + z @ model.weight.T, 0.7**0.5), 1)
    terms = model.terms(x)
    drawn = decoded.log_prob(x)
    error = 5 * drawn.std(0) / len(z) ** 0.5
    assert ((drawn.mean(0) - terms["reconstruction"]).abs() < error).all()
    base = D.kl.kl_divergence(q.base_dist, D.Normal(0.0, 1.0))
    torch.testing.assert_close(model.kl_dims(x), base)
    torch.testing.assert_close(terms["kl"], base.sum(1))


def test_the_linear_vae_ends_at_maximum_likelihood_on_the_principal_axes():
    x, model, exact = stretched(dims=6), LinearVAE(Reals((6,)), 3), ProbabilisticPCA(Reals((6,)), 3)
    exact.fit_to(x)
    lbfgs(model, x)
    torch.testing.assert_close(model.elbo(x).mean(), exact.log_prob(x).mean(), atol=1e-8, rtol=0)
    torch.testing.assert_close(model.log_prob(x), model.elbo(x), atol=1e-6, rtol=0)
    gram = model.weight.T @ model.weight
    assert (gram - gram.diagonal().diag()).abs().max() < 1e-3 * gram.max()


def test_directions_below_the_noise_collapse():
    x, axes = stretched(), PCA(Reals((10,)), 10)
    axes.fit_to(x)
    variance = axes.eigenvalues[3:5].mean().item()  # four directions above it
    model = lbfgs(LinearVAE(Reals((10,)), 6, variance=variance), x)
    kl = model.kl_dims(x).mean(0).sort().values
    assert kl[:2].max() < 1e-6
    assert kl[2:].min() > 1e-2


# --- ICA ------------------------------------------------------------------------------------------

MIXING = ((1.0, 0.6, 0.2), (0.4, 1.0, -0.5), (-0.3, 0.5, 1.0))


def sources(kind, n=10_000, dim=2):
    law = {"laplace": D.Laplace(0.0, 1.0), "uniform": D.Uniform(-1.0, 1.0)}
    return (law | {"gaussian": D.Normal(0.0, 1.0)})[kind].sample((n, dim))


def mixed(kind, **sizes):
    z = sources(kind, **sizes)
    mixing = torch.tensor(MIXING)[: z.shape[1], : z.shape[1]]
    return z @ mixing.T + 1.0, mixing


@pytest.mark.parametrize("kind", ["laplace", "uniform"])
@pytest.mark.parametrize("dim", [2, 3])
def test_fastica_unmixes_what_is_not_gaussian(kind, dim):
    x, mixing = mixed(kind, dim=dim)
    w = fastica(x)
    assert amari_index(w @ mixing) < 0.05
    torch.testing.assert_close(torch.cov((x @ w.T).T, correction=0), torch.eye(dim))
    theirs = decomposition.FastICA(
        dim, whiten="unit-variance", tol=1e-8, max_iter=500, random_state=0
    )
    theirs = torch.from_numpy(theirs.fit(x.numpy()).components_)
    assert amari_index(w @ theirs.inverse()) < 1e-3  # the same fixed point


def test_gaussian_sources_stay_at_chance():
    x, mixing = mixed("gaussian")
    z = (x - x.mean(0)) @ whitening(x).T @ torch.randn(2, 2).svd()[0]
    turns = [nearest_rotation(torch.randn(2, 2)) @ whitening(x) for _ in range(400)]
    chance = torch.stack([amari_index(w @ mixing) for w in turns])
    assert chance.mean().item() == pytest.approx(math.log(2) / 2 / (math.pi / 4), abs=0.04)
    found = []
    for seed in range(12):
        x, mixing = mixed("gaussian")
        g = torch.Generator().manual_seed(seed)
        found.append(amari_index(fastica(x, generator=g) @ mixing))
    assert torch.stack(found).mean() > 0.2
    assert torch.cov(z.T).sub(torch.eye(2)).abs().max() < 1e-3


def test_amari_index_of_known_products():
    permuted = torch.tensor([[0.0, -3, 0], [0.5, 0, 0], [0, 0, 7]])
    assert amari_index(permuted) == 0
    assert amari_index(torch.ones(4, 4)) == 1
    turn = torch.tensor([[math.cos(0.3), -math.sin(0.3)], [math.sin(0.3), math.cos(0.3)]])
    assert amari_index(turn).item() == pytest.approx(math.tan(0.3))
    product = torch.randn(3, 3)
    scaled = torch.diag(torch.tensor([2.0, -5, 0.1])) @ product
    assert amari_index(scaled[[2, 0, 1]]) != amari_index(torch.randn(3, 3))
    with pytest.raises(ValueError, match="product"):
        amari_index(torch.zeros(2, 2))


def test_one_column_is_not_broadcast_over_the_mixing():
    for bad in (torch.zeros(4, 1), torch.zeros(4, 3), torch.full((4, 2), math.nan)):
        for method in (ICA(Reals((2,))).forward, ICA(Reals((2,))).inverse):
            with pytest.raises(ValueError, match=r"\b(x|z)\b"):
                method(bad)


def test_a_dictionary_starts_by_its_generator_alone():
    x, model = torch.randn(40, 4), DictionaryLearner(Reals((4,)), 5, 0.1, fista)
    before = torch.get_rng_state()
    starts = []
    for seed in (0, 0, 1):
        model.start_from(x, generator=torch.Generator().manual_seed(seed))
        starts.append(model.atoms.detach().clone())
    assert torch.equal(starts[0], starts[1])
    assert not torch.equal(starts[0], starts[2])
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("name", ["pca", "linear_autoencoder", "sparse_coder"])
def test_codes_that_are_no_numbers_are_refused(name):
    model = getattr(zoo_linear, name)(Reals((3,)))
    with pytest.raises(ValueError, match=r"\b(z|h)\b"):
        model.decode(torch.full((2, model.encode(torch.zeros(1, 3)).shape[1]), math.nan))


def test_sech_sources_are_normalised_and_sampled_by_their_cdf():
    law = SechSources(1)
    grid = torch.linspace(-40, 40, 80_001)
    density = law.log_prob(grid[:, None]).exp()
    assert torch.trapezoid(density, grid).item() == pytest.approx(1, abs=1e-9)
    assert torch.trapezoid(density * grid**2, grid).item() == pytest.approx(math.pi**2 / 4)
    z = law.sample(200_000)
    assert z.var().item() == pytest.approx(math.pi**2 / 4, rel=0.03)
    assert (z < 1).double().mean().item() == pytest.approx(
        2 / math.pi * math.atan(math.e), abs=5e-3
    )


def test_ica_is_a_flow_whose_natural_gradient_climbs_to_the_fastica_answer():
    x, mixing = mixed("laplace")
    model = ICA(Reals((2,)))
    model.start_from(x)
    values = [model.natural_gradient_step(x, rate=0.5) for _ in range(150)]
    assert (np.diff(values) <= 1e-12).all()
    assert amari_index(model.weight.detach() @ mixing) < 0.03
    z, log_det = model(x[:4])
    torch.testing.assert_close(model.inverse(z), x[:4])
    brute = torch.func.jacrev(lambda v: model(v[None])[0][0])(x[0])
    torch.testing.assert_close(log_det[0], brute.slogdet()[1])


def test_the_natural_gradient_is_the_update_of_bell_sejnowski_and_amari():
    x, model, rate = torch.randn(50, 3), ICA(Reals((3,))), 0.1
    with torch.no_grad():
        model.weight.add_(0.3 * torch.randn(3, 3))
    w = model.weight.detach().clone()
    z = x @ w.T
    expected = w + rate * (torch.eye(3) - torch.tanh(z).T @ z / 50) @ w
    model.natural_gradient_step(x, rate)
    torch.testing.assert_close(model.weight.detach(), expected)


def test_with_gaussian_sources_every_rotation_is_as_good():
    model, x = ICA(Reals((3,)), StandardNormal((3,))), torch.randn(20, 3)
    before = model.log_prob(x)
    with torch.no_grad():
        model.weight.copy_(nearest_rotation(torch.randn(3, 3)) @ model.weight)
    torch.testing.assert_close(model.log_prob(x), before)


def test_whitening_refuses_a_flat_direction():
    x = torch.randn(100, 1) @ torch.randn(1, 2)
    with pytest.raises(ValueError, match="x has a flat direction"):
        whitening(x)


def test_the_party_is_standardised_reproducible_and_not_gaussian():
    sounds = party(seconds=1.0, rate=4000)
    for s in sounds.values():
        assert s.shape == (4000,)
        assert abs(s.mean()) < 1e-5
        assert s.var(correction=0).item() == pytest.approx(1, abs=1e-4)
    kurtosis = {name: s.pow(4).mean().item() - 3 for name, s in sounds.items()}
    assert kurtosis["organ"] < -0.5
    assert min(kurtosis["drums"], kurtosis["singer"]) > 1
    assert torch.equal(party(1.0, 4000)["drums"], sounds["drums"])
    with pytest.raises(ValueError, match="seconds"):
        party(seconds=0)
    stacked = torch.stack(tuple(sounds.values()), 1).double()
    assert amari_index(fastica(stacked @ torch.tensor(MIXING).T) @ torch.tensor(MIXING)) < 0.05


# --- sparse codes ---------------------------------------------------------------------------------


def planted_code(n=64, m=128, active=6, rows=8):
    dictionary = torch.nn.functional.normalize(torch.randn(n, m), dim=0)
    h = torch.zeros(rows, m)
    for row in h:
        row[torch.randperm(m)[:active]] = torch.randn(active)
    return dictionary, h, h @ dictionary.T


@pytest.mark.parametrize("solver", [ista, fista])
def test_solvers_reach_the_minimum_of_scikit_learn(solver):
    dictionary, _, x = planted_code()
    x = x + 0.01 * torch.randn_like(x)
    h = solver(x, dictionary, 0.05, steps=3000)
    assert kkt_gap(x, h, dictionary, 0.05).max() < 1e-7
    lasso = Lasso(alpha=0.05 / 64, fit_intercept=False, tol=1e-12, max_iter=100_000)
    expected = np.stack([lasso.fit(dictionary.numpy(), row.numpy()).coef_ for row in x])
    np.testing.assert_allclose(h, expected, atol=1e-5)


@pytest.mark.parametrize("solver", [ista, fista])
def test_the_objective_never_rises_and_keeps_its_bound(solver):
    dictionary, _, x = planted_code()
    best = sparse_objective(x, fista(x, dictionary, 0.05, 4000), dictionary, 0.05)
    distance = fista(x, dictionary, 0.05, 4000).square().sum(1)
    lipschitz = torch.linalg.matrix_norm(dictionary, 2) ** 2
    before = torch.full((8,), torch.inf)
    for k in (*range(1, 40), 80, 160):
        now = sparse_objective(x, solver(x, dictionary, 0.05, k), dictionary, 0.05)
        assert (now <= before + 1e-12).all()
        assert (now - best <= lipschitz * distance / (2 * k) + 1e-12).all()
        before = now


def test_three_steps_of_fista_by_hand():
    """One column, L = 4, penalty 1: h <- soft(y + (2 x - 4 y) / 4, 1 / 4), y from t = 1, 1.618."""
    dictionary, x = torch.tensor([[2.0, 0.0], [0.0, 1.0]]), torch.tensor([[1.0, 3.0]])

    def step(y):  # by hand, entry by entry; L = 4
        first = y[0] - (4 * y[0] - 2) / 4
        second = y[1] - (y[1] - 3) / 4
        return [math.copysign(max(abs(u) - 0.25, 0), u) for u in (first, second)]

    h, y, t = [0.0, 0.0], [0.0, 0.0], 1.0
    for _ in range(3):
        new, t_next = step(y), (1 + math.sqrt(1 + 4 * t * t)) / 2
        y = [b + (t - 1) / t_next * (b - a) for a, b in zip(h, new, strict=True)]
        h, t = new, t_next
    assert fista(x, dictionary, 1.0, 3)[0].tolist() == pytest.approx(h, abs=1e-12)
    assert h[1] > ista(x, dictionary, 1.0, 3)[0, 1] + 0.05  # momentum did something


def test_fista_restarts_where_momentum_overshoots():
    """D = diag(1, 0.1), without a price: plain FISTA swings beyond x, and t is set back to 1."""
    dictionary, x = torch.diag(torch.tensor([1.0, 0.1])), torch.tensor([[1.0, 0.1]])

    def objective(h):
        return sparse_objective(x, h, dictionary, 0.0).item()

    h = y = torch.zeros(1, 2)
    t, restarts = 1.0, 0
    for k in range(1, 120):
        new = y + (x - y @ dictionary.T) @ dictionary
        if objective(new) > objective(h):
            new, t, restarts = h + (x - h @ dictionary.T) @ dictionary, 1.0, restarts + 1
        t_next = (1 + math.sqrt(1 + 4 * t * t)) / 2
        y, h, t = new + (t - 1) / t_next * (new - h), new, t_next
        if k in (30, 119):
            torch.testing.assert_close(fista(x, dictionary, 0.0, k), h, rtol=0, atol=1e-12)
    assert restarts > 0


def test_fista_needs_fewer_steps_than_ista():
    dictionary, _, x = planted_code()
    best = sparse_objective(x, fista(x, dictionary, 0.05, 4000), dictionary, 0.05)

    def gap(solver, steps):
        return (
            sparse_objective(x, solver(x, dictionary, 0.05, steps), dictionary, 0.05) - best
        ).max()

    assert gap(fista, 60) < 0.1 * gap(ista, 60)


def test_the_code_is_zero_exactly_from_the_largest_correlation_on():
    dictionary, _, x = planted_code(rows=1)
    edge = (x @ dictionary).abs().max().item()
    assert (fista(x, dictionary, edge * (1 + 1e-9), 200) == 0).all()
    assert (fista(x, dictionary, edge * 0.999, 200) != 0).sum() == 1


def test_soft_threshold_is_the_minimiser_of_its_scalar_problem():
    u, t = torch.linspace(-3, 3, 13), 0.8
    grid = torch.linspace(-4, 4, 80_001)
    value = 0.5 * (grid - u[:, None]).square() + t * grid.abs()
    torch.testing.assert_close(soft_threshold(u, t), grid[value.argmin(1)], atol=1e-4, rtol=0)


def test_a_warm_start_at_the_answer_stays_there():
    dictionary, _, x = planted_code()
    h = fista(x, dictionary, 0.05, 5000)
    for solver in (ista, fista):
        torch.testing.assert_close(solver(x, dictionary, 0.05, 3, start=h), h, atol=1e-9, rtol=0)


def test_exact_codes_are_the_minimum_to_rounding():
    dictionary, _, x = planted_code(rows=40)
    x = x + 0.05 * torch.randn_like(x)
    h = exact_codes(x, dictionary, 0.1, fista, kkt_gap)
    assert kkt_gap(x, h, dictionary, 0.1).max() < 1e-13
    lasso = Lasso(alpha=0.1 / 64, fit_intercept=False, tol=1e-12, max_iter=100_000)
    expected = np.stack([lasso.fit(dictionary.numpy(), row.numpy()).coef_ for row in x])
    np.testing.assert_allclose(h, expected, atol=1e-6)
    assert ((h != 0).numpy() == (expected != 0)).all()
    # few first steps, and more rounds in their place
    torch.testing.assert_close(
        exact_codes(x, dictionary, 0.1, fista, kkt_gap, steps=3), h, rtol=0, atol=1e-12
    )
    assert (
        kkt_gap(
            x, exact_codes(x, dictionary, 0.1, fista, kkt_gap, 3, rounds=1), dictionary, 0.1
        ).max()
        > 1e-3
    )


def test_exact_codes_in_single_precision_stay_there():
    dictionary, _, x = (t.float() for t in planted_code(rows=40))
    h = exact_codes(x, dictionary, 0.1, fista, kkt_gap)
    assert h.dtype == torch.float32
    assert kkt_gap(x, h, dictionary, 0.1).max() < 1e-4


def test_settle_by_hand_and_where_it_must_not():
    """D = (1 .6; 0 .8): h1 + .6 h2 = x1 - price s1, .6 h1 + h2 = .6 x1 + .8 x2 - price s2."""
    dictionary, x = torch.tensor([[1.0, 0.6], [0.0, 0.8]]), torch.tensor([[2.0, 1.0]])
    guess = torch.tensor([[0.1, 0.1]])  # only its signs count
    first, second = 2.0 - 0.1, 0.6 * 2.0 + 0.8 - 0.1
    h2 = (second - 0.6 * first) / (1 - 0.36)
    expected = [first - 0.6 * h2, h2]
    assert settle(x, guess, dictionary, 0.1)[0].tolist() == pytest.approx(expected, abs=1e-12)
    assert settle(x, guess * torch.tensor([1, 0]), dictionary, 0.1).tolist() == [[1.9, 0]]
    wrong = torch.tensor([[0.1, -0.1]])  # its solution has two positive numbers
    assert settle(x, wrong, dictionary, 0.1).equal(wrong)
    twins = torch.ones(2, 2)  # singular: any solution may come, a worse one may not
    settled = sparse_objective(x, settle(x, guess, twins, 0.1), twins, 0.1)
    assert settled <= sparse_objective(x, guess, twins, 0.1)
    assert settle(x, 0 * guess, dictionary, 0.1).equal(0 * guess)


def test_exact_codes_of_equal_atoms_are_as_good_as_fista():
    dictionary, _, x = planted_code(rows=6)
    twins = torch.cat((dictionary, dictionary), dim=1)
    best = sparse_objective(x, fista(x, dictionary, 0.1, 2000), dictionary, 0.1)
    found = sparse_objective(x, exact_codes(x, twins, 0.1, fista, kkt_gap), twins, 0.1)
    torch.testing.assert_close(found, best, rtol=0, atol=1e-6)


def planted_patches(dim=32, n_atoms=64, rows=6000, active=3):
    truth = torch.nn.functional.normalize(torch.randn(dim, n_atoms), dim=0)
    h = torch.zeros(rows, n_atoms)
    places = torch.rand(rows, n_atoms).argsort(1)[:, :active]
    values = (0.5 + torch.rand(rows, active)) * torch.randn(rows, active).sign()
    return truth, h.scatter(1, places, values) @ truth.T


def test_planted_atoms_come_back():
    torch.set_default_dtype(torch.float32)
    truth, x = planted_patches()
    model = DictionaryLearner(Reals((32,)), 64, 0.3, fista, steps=20)
    model.start_from(x)
    for batch in x[torch.randint(len(x), (350, 256))]:
        model.learn(batch)
    cosine = (model.dictionary.T @ truth).abs().amax(0)
    assert (cosine > 0.99).float().mean() >= 0.95


def test_the_gradient_of_the_dictionary_is_that_of_the_minimum():
    model = DictionaryLearner(Reals((5,)), 8, 0.2, fista, steps=3000)
    x, move = torch.randn(4, 5), torch.randn(5, 8)
    model.loss(x).sum().backward()
    slope = (model.atoms.grad * move).sum()
    values = []
    for step in (1e-5, -1e-5):
        other = DictionaryLearner(Reals((5,)), 8, 0.2, fista, steps=3000)
        with torch.no_grad():
            other.atoms.copy_(model.atoms + step * move)
        values.append(other.loss(x).sum())
    torch.testing.assert_close((values[0] - values[1]) / 2e-5, slope, rtol=1e-4, atol=1e-6)


def test_unused_atoms_begin_anew_and_lengths_stay_one():
    model = DictionaryLearner(Reals((4,)), 6, 0.5, fista)
    with torch.no_grad():
        model.usage[2] = 0.0
    before = model.dictionary.detach().clone()
    model.learn(0.01 * torch.randn(30, 4))  # nothing is worth an atom
    assert not torch.allclose(before[:, 2], model.dictionary[:, 2])
    torch.testing.assert_close(before[:, :2], model.dictionary[:, :2].detach())
    torch.testing.assert_close(model.dictionary.norm(dim=0), torch.ones(6))


def test_learning_lowers_the_loss():
    _, x = planted_patches(rows=500)
    model = DictionaryLearner(Reals((32,)), 64, 0.1, fista)
    before = model.loss(x).mean()
    for _ in range(5):
        model.learn(x, forget=0.5)
    assert model.loss(x).mean() < 0.8 * before


def test_dots_waves_and_crosses_have_known_place_and_orientation():
    dot = torch.zeros(12, 12)
    dot[4, 7] = -2.0
    y, x = torch.meshgrid(torch.arange(12.0), torch.arange(12.0), indexing="ij")
    wave, other = torch.cos(1.6 * x + 0.3), torch.cos(1.6 * y + 0.3)
    images = torch.stack((dot, wave, wave + other, other))[:, None]
    place, agree = localisation(images), orientation(images, size=64)
    assert place[0] == 1
    assert (place[1:] < 0.35).all()
    assert agree[0] < 0.05
    assert agree[2] < 0.05
    assert agree[1] > 0.9
    torch.testing.assert_close(agree[1], agree[3])


# --- noisy-OR -------------------------------------------------------------------------------------


def clinic(causes=10, findings=8):
    """A random diagnosis network; a third of the edges is missing."""
    strength = torch.rand(findings, causes) * (torch.rand(findings, causes) < 0.67) * 0.95
    prior = 0.02 + 0.3 * torch.rand(causes)
    return NoisyOr.from_probabilities(
        Levels((findings,), 2), prior, strength, 0.01 + 0.1 * torch.rand(findings)
    )


def all_findings(n):
    return (torch.arange(2**n)[:, None] >> torch.arange(n)) & 1


def test_probabilities_go_in_and_come_out():
    strength = torch.tensor([[0.8, 0.0], [0.3, 0.99]])
    model = NoisyOr.from_probabilities(Levels((2,), 2), [0.1, 0.4], strength, [0.05, 0.2])
    torch.testing.assert_close(model.prior_logit.sigmoid(), torch.tensor([0.1, 0.4]))
    torch.testing.assert_close(1 - (-model.weight).exp(), strength)
    torch.testing.assert_close(1 - (-model.leak).exp(), torch.tensor([0.05, 0.2]))
    both = 1 - 0.95 * (1 - 0.8)  # cause 1 alone and the leak: P(finding 1 | z = (1, 0))
    z10 = model.joint_log_prob(torch.tensor([[1, 0], [1, 1]])).logsumexp(0)[1].exp()
    assert z10.item() == pytest.approx(0.1 * 0.6 * both)


def test_quickscore_equals_enumeration():
    model, x = clinic(), all_findings(8)
    exact, quick = model.log_prob(x).exp(), model.quickscore(x).exp()
    assert exact.sum().item() == pytest.approx(1, abs=1e-12)
    assert (exact - quick).abs().max() < 1e-12


def test_quickscore_reaches_where_enumeration_cannot():
    model = clinic(causes=500, findings=40)
    with torch.no_grad():
        model.prior_logit.fill_(-6.0)
    x = torch.zeros(1, 40, dtype=torch.uint8)
    x[0, :5] = 1
    drawn = model.sample(300_000)
    with pytest.raises(ValueError, match="use quickscore"):
        model.log_prob(x)
    single = [model.quickscore(torch.eye(40, dtype=torch.uint8)[[k]]) for k in range(2)]
    assert all(torch.isfinite(v) for v in (*single, model.quickscore(x)))
    silent = (drawn.sum(1) == 0).double().mean().item()
    p = model.quickscore(torch.zeros(1, 40, dtype=torch.uint8)).exp().item()
    assert silent == pytest.approx(p, abs=5 * (p / 3e5) ** 0.5)


def test_the_gradient_diagnoses():
    model, x = clinic(), all_findings(8)[[0, 7, 77, 255]]
    z = model.states()
    expected = model.posterior(x).probs @ z
    torch.testing.assert_close(model.cause_probs(x), expected.detach(), atol=1e-9, rtol=0)


def test_explaining_away():
    model = NoisyOr.from_probabilities(
        Levels((2,), 2), [0.1, 0.1], [[0.9, 0.9], [0.0, 0.9]], [0.01, 0.01]
    )
    alone, with_reason = model.cause_probs(torch.tensor([[1, 0], [1, 1]]))
    assert alone[0] > 0.4 > 0.15 > with_reason[0]


def test_signed_sum_of_nothing_is_one_and_of_one_finding_its_chance():
    odds, shift = torch.tensor([0.3]).logit(), torch.zeros(1)
    none = signed_sum(odds, shift, torch.zeros(0, 1), torch.zeros(0))
    assert none.exp().item() == pytest.approx(1)
    one = signed_sum(odds, shift, torch.tensor([[0.7]]), torch.tensor([0.2]))
    chance = 1 - math.exp(-0.2) * (0.7 + 0.3 * math.exp(-0.7))
    assert one.exp().item() == pytest.approx(chance)


def test_log1mexp_is_exact_at_both_ends():
    a = torch.tensor([1e-12, 1e-3, math.log(2), 5.0, 40.0])
    expected = [math.log(-math.expm1(-v)) for v in a.tolist()]
    np.testing.assert_allclose(log1mexp(a), expected, rtol=1e-12, atol=1e-15)
    a.requires_grad_()
    log1mexp(a).sum().backward()
    np.testing.assert_allclose(a.grad, 1 / np.expm1(a.detach().numpy()), rtol=1e-9)


def test_the_tangent_lies_above_and_touches():
    a = torch.linspace(0.01, 6, 300)
    f = log1mexp(a)
    for lam in (0.01, 0.3, 2.0, 50.0):
        assert (lam * a - conjugate(torch.tensor(lam)) >= f - 1e-12).all()
    best = 1 / torch.expm1(a)
    torch.testing.assert_close(best * a - conjugate(best), f)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_bounds_bracket_and_close_as_findings_become_exact(seed):
    torch.manual_seed(seed)
    model = clinic(causes=6, findings=6)
    x = all_findings(6)[torch.randint(64, (6,))]
    bounds, exact = NoisyOrBounds(model, signed_sum, steps=60), model.log_prob(x)
    above, below = torch.full((6,), torch.inf), torch.full((6,), -torch.inf)
    for n_exact in range(7):
        up, low = bounds.upper(x, n_exact), bounds.lower(x, n_exact)
        assert (low <= exact + 1e-9).all()
        assert (exact <= up + 1e-9).all()
        assert (up <= above + 1e-9).all(), "an exact finding loosened the bound"
        assert (low >= below - 1e-9).all()
        above, below = up, low
    torch.testing.assert_close(up, exact, atol=1e-9, rtol=0)
    torch.testing.assert_close(low, exact, atol=1e-9, rtol=0)


def test_the_first_findings_are_exact_and_no_others():
    model = clinic(causes=6, findings=4)
    bounds, one = NoisyOrBounds(model, signed_sum, steps=40), torch.tensor([[0, 1, 0, 0]])
    exact = model.log_prob(one)
    for bound in (bounds.upper, bounds.lower):
        assert (bound(one, 0) - exact).abs().item() > 1e-4  # none is: a bound
        torch.testing.assert_close(bound(one, 1), exact, atol=1e-9, rtol=0)
        two = bound(torch.tensor([[0, 1, 0, 1]]), 1) - model.log_prob(torch.tensor([[0, 1, 0, 1]]))
        assert two.abs().item() > 1e-5  # the second is not


def test_a_bound_keeps_the_best_parameters_it_has_met():
    start = torch.tensor([[0.01], [-0.3]])  # one step of 0.1 overshoots the first, not the second
    best = _tighten(lambda free: free.abs().sum(1), start, steps=1, sign=1)
    torch.testing.assert_close(best, torch.tensor([[0.01], [-0.2]]), atol=1e-6, rtol=0)


def test_planted_edges_are_learned():
    torch.set_default_dtype(torch.float32)
    torch.manual_seed(3)
    strength = torch.zeros(9, 3)
    for cause in range(3):
        strength[3 * cause : 3 * cause + 3, cause] = 0.8
        strength[(3 * cause + 4) % 9, cause] = 0.6
    truth = NoisyOr.from_probabilities(Levels((9,), 2), [0.2, 0.3, 0.25], strength, [0.03] * 9)
    x = truth.sample(20_000)
    model = NoisyOr(truth.data, 3)
    fit(model, x, steps=1500, batch_size=500, lr=0.03, progress=False)
    learned = 1 - (-model.weight.detach()).exp()
    order = [int((learned.T @ strength)[:, k].argmax()) for k in range(3)]
    assert sorted(order) == [0, 1, 2]
    assert (learned[:, order] - strength).abs().max() < 0.15
    gap = (truth.log_prob(x) - model.log_prob(x)).mean()
    assert abs(gap) < 0.01


# --- bad arguments --------------------------------------------------------------------------------


ONE = Levels((1,), 2)


def planted_learner():
    return DictionaryLearner(Reals((32,)), 2, 0.1, fista)


def one_edge():
    return NoisyOrBounds(NoisyOr(ONE, 1), signed_sum)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: PCA(Reals((3,)), 0), "latent_dim"),
        (lambda: PCA(Reals((3,)), 4), "latent_dim"),
        (lambda: LinearAutoencoder(Reals((3,)), 0), "latent_dim"),
        (lambda: ProbabilisticPCA(Reals((3,)), 0), "latent_dim"),
        (lambda: ProbabilisticPCA(Reals((3,)), 3), "latent_dim"),
        (lambda: LinearVAE(Reals((3,)), 0), "latent_dim"),
        (lambda: LinearVAE(Reals((3,)), 1, variance=0.0), "variance"),
        (lambda: principal_angles(torch.zeros(3), torch.zeros(3, 1)), "a and b"),
        (lambda: SechSources(0), "dim"),
        (lambda: amari_index(torch.ones(2, 3)), "product"),
        (lambda: fastica(torch.full((9, 2), torch.nan)), r"\bx\b"),
        (lambda: fastica(torch.zeros(9)), r"\bx\b"),
        (lambda: DictionaryLearner(Reals((3,)), 0, 0.1, fista), "n_atoms"),
        (lambda: DictionaryLearner(Reals((3,)), 2, -0.1, fista), "penalty"),
        (lambda: planted_learner().learn(torch.ones(2, 32), forget=0), "forget"),
        (lambda: ista(torch.ones(2, 3), torch.ones(3, 4), -1.0, fista), "penalty"),
        (lambda: ista(torch.ones(2, 4), torch.ones(3, 4), 1.0), r"\bx\b"),
        (lambda: fista(torch.ones(2, 3), torch.full((3, 4), torch.nan), 1.0), "dictionary"),
        (lambda: exact_codes(torch.ones(2, 4), torch.ones(3, 4), 1.0, fista, kkt_gap), "x must"),
        (lambda: exact_codes(torch.ones(2, 3), torch.ones(3, 4), -1.0, fista, kkt_gap), "penalty"),
        (lambda: fista(torch.ones(2, 3), torch.ones(3, 4), 1.0, 5, torch.ones(2, 3)), "start"),
        (lambda: localisation(torch.ones(2, 3)), "filters"),
        (lambda: orientation(torch.zeros(1, 1, 3, 3)), "filters"),
        (lambda: NoisyOr(ONE, 0), "n_causes"),
        (lambda: NoisyOr(Levels((1,), 3), 2), "data"),
        (lambda: NoisyOr(ONE, 2, floor=0.0), "floor"),
        (lambda: NoisyOr.from_probabilities(ONE, [0.1], [[0.5]], [0.0]), "leak"),
        (lambda: NoisyOr.from_probabilities(ONE, [0.1], [[-0.5]], [0.1]), "strength"),
        (lambda: NoisyOr.from_probabilities(ONE, [1.2], [[0.5]], [0.1]), "prior"),
        (lambda: NoisyOr.from_probabilities(ONE, [0.1], [[0.5, 0.5]], [0.1]), "do not fit"),
        (lambda: NoisyOrBounds(NoisyOr(ONE, 1), signed_sum, steps=0), "steps"),
        (lambda: one_edge().upper(torch.tensor([[2]])), r"\bx\b"),
        (lambda: one_edge().lower(torch.tensor([[1]]), -1), "n_exact"),
        (lambda: zoo_linear.noisy_or(Levels((3,), 3)), "data"),
    ],
)  # fmt: skip
def test_bad_argument_is_named(make, name):
    with pytest.raises(ValueError, match=name):
        make()


def test_a_density_of_integers_must_be_dequantised():
    x = torch.randint(0, 17, (5, 1, 2, 2), dtype=torch.uint8)
    with pytest.raises(ValueError, match="x must be finite floats"):
        ProbabilisticPCA(Reals((1, 2, 2)), 1).log_prob(x)
    assert zoo_linear.probabilistic_pca(Levels((1, 2, 2), 17)).elbo(x).shape == (5,)
