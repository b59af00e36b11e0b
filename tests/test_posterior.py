"""Posteriors and priors: log-dets against autograd, families against densities that are known."""

import math
from functools import partial

import contract
import pytest
import torch
from torch import distributions as D
from torch import nn

from dgm.nets.masked_mlp import MaskedMLP
from dgm.vae.autoregressive_prior import AutoregressivePrior
from dgm.vae.flow_posterior import FlowPosterior
from dgm.vae.four_sensors import FourSensors
from dgm.vae.gaussian_posterior import GaussianPosterior
from dgm.vae.householder import Householder
from dgm.vae.inverse_autoregressive import InverseAutoregressive
from dgm.vae.planar import Planar, invertible_direction
from dgm.vae.sylvester import (
    HouseholderBasis,
    OrthogonalBasis,
    ReversalBasis,
    Sylvester,
    orthogonalise,
    sylvester_step,
)
from dgm.vae.vamp_prior import VampPrior

pytestmark = pytest.mark.usefixtures("float64")
randomized = partial(contract.moved, std=0.6)

SLOW = "fits_a_toy_law"  # they differ from the triangular variant by a basis, and cost 20 s each


@contract.over(
    "vae",
    chapter="06",
    without={
        "orthogonal_sylvester_vae": SLOW,
        "householder_sylvester_vae": SLOW,
        "sylvester_conv_vae": SLOW,  # 400 steps leave its convolutions half a nat short
    },
)
def test_contract(entry, promise):
    torch.set_default_dtype(torch.float32)
    promise(entry)


DIM, CONTEXT = 5, 3


def sylvester(basis, m):
    return Sylvester(nn.Linear(CONTEXT, m * (m + 2)), basis, m)


def layers():
    """One randomised layer of every kind, on 5 coordinates and a context of 3."""
    linear = lambda n: nn.Linear(CONTEXT, n)  # noqa: E731
    made = {
        "householder": Householder(linear(DIM), DIM, 3),
        "planar": Planar(linear(2 * DIM + 1), DIM),
        "sylvester_orthogonal": sylvester(OrthogonalBasis(linear(DIM * 2), DIM, 2), 2),
        "sylvester_square": sylvester(OrthogonalBasis(linear(DIM * DIM), DIM, DIM), DIM),
        "sylvester_householder": sylvester(HouseholderBasis(linear(2 * DIM), DIM, 2), DIM),
        "sylvester_identity": sylvester(ReversalBasis(DIM, False), DIM),
        "sylvester_reversal": sylvester(ReversalBasis(DIM, True), DIM),
        "sylvester_one_column": sylvester(OrthogonalBasis(linear(DIM), DIM, 1), 1),
        "iaf": InverseAutoregressive(MaskedMLP(DIM, 2, 16, CONTEXT)),
    }
    return {name: randomized(layer) for name, layer in made.items()}


NAMES = sorted(layers())


# --- layers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_log_det_is_the_autograd_one(name):
    layer, z, context = layers()[name], 2 * torch.randn(6, DIM), torch.randn(6, CONTEXT)
    out, log_det = layer(z, context)
    assert out.shape == z.shape
    assert log_det.shape == (6,)
    for b in range(6):
        move = lambda v, b=b: layer(v[None], context[b : b + 1])[0][0]  # noqa: E731
        brute = torch.func.jacrev(move)(z[b]).slogdet()[1]
        torch.testing.assert_close(log_det[b], brute, rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", NAMES)
def test_layer_is_one_to_one_even_with_large_weights(name):
    """The determinant of the Jacobian keeps its sign everywhere."""
    layer, context = randomized(layers()[name], std=1.0), torch.randn(1, CONTEXT)
    move = lambda v: layer(v[None], context)[0][0]  # noqa: E731
    signs = [torch.func.jacrev(move)(4 * torch.randn(DIM)).slogdet()[0] for _ in range(40)]
    assert len({s.item() for s in signs}) == 1


@pytest.mark.parametrize("name", ["householder", "iaf"])
def test_inverse_undoes_forward(name):
    layer, z, context = layers()[name], torch.randn(6, DIM), torch.randn(6, CONTEXT)
    torch.testing.assert_close(layer.inverse(layer(z, context)[0], context), z, rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_of_a_layer_gets_a_gradient(name):
    layer = layers()[name]
    z, log_det = layer(torch.randn(6, DIM), torch.randn(6, CONTEXT))
    (z.pow(3).sum() + log_det.sum()).backward()
    for parameter_name, p in layer.named_parameters():
        assert p.grad.abs().max() > 0, parameter_name


def test_householder_is_orthogonal_and_volume_preserving():
    layer = layers()["householder"]
    context = torch.randn(1, CONTEXT)
    h = torch.func.jacrev(lambda v: layer(v[None], context)[0][0])(torch.randn(DIM))
    assert (h @ h.T - torch.eye(DIM)).abs().max() < 1e-14
    assert abs(abs(h.det()) - 1) < 1e-14


def test_dim_reflections_make_any_orthogonal_matrix():
    """Fitted vectors reproduce a random rotation: the count of the paper suffices."""
    q = torch.linalg.qr(torch.randn(3, 3))[0]
    found = torch.eye(3)
    for i in range(3):  # textbook QR by reflections: column i goes to the axis i
        v = (found @ q)[:, i].clone()
        v[:i] = 0
        v[i] += math.copysign(v.norm().item(), v[i].item())
        v = v / v.norm()
        found = found - 2 * v[:, None] * (v @ found)
    signs = (found @ q).diagonal().sign()
    torch.testing.assert_close(found.T * signs, q, rtol=0, atol=1e-12)


def test_planar_direction_is_moved_only_as_far_as_needed():
    u, w = 5 * torch.randn(200, 4), torch.randn(200, 4)
    moved = invertible_direction(u, w)
    assert ((moved * w).sum(1) > -1).all()
    change = moved - u
    along = (change * w).sum(1, keepdim=True) * w / w.square().sum(1, keepdim=True)
    torch.testing.assert_close(change, along, rtol=0, atol=1e-12)


def test_planar_is_a_sylvester_layer_of_one_column():
    """u tanh(w^T z + b) = Q R tanh(R~ Q^T z + b) where u is parallel to w."""
    w, scale, b = torch.randn(1, DIM), 0.7, torch.randn(1, 1)
    norm = w.norm()
    net = nn.Module()
    net.forward = lambda c: torch.cat((scale * w / norm, w, b), 1)
    u = invertible_direction(scale * w / norm, w)
    z = torch.randn(1, DIM)
    ours = Planar(net, DIM)(z, None)
    r, r_tilde = (u @ w.T / norm).view(1, 1, 1), norm.view(1, 1, 1)
    other = sylvester_step(z, (w / norm)[:, :, None], r, r_tilde, b)
    torch.testing.assert_close(ours, other, rtol=0, atol=1e-12)


def test_orthogonalisation_converges_to_the_nearest_orthogonal_matrix():
    """Bjorck's limit is U V^T of the singular value decomposition."""
    q = torch.randn(20, 6, 4)
    ours = orthogonalise(q)
    assert (ours.mT @ ours - torch.eye(4)).abs().max() < 1e-10
    u, _, vh = torch.linalg.svd(q, full_matrices=False)
    torch.testing.assert_close(ours, u @ vh, rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    "basis",
    [
        OrthogonalBasis(nn.Linear(CONTEXT, 8), 4, 2),
        HouseholderBasis(nn.Linear(CONTEXT, 12), 4, 3),
        ReversalBasis(4, True),
    ],
)
def test_bases_are_orthonormal(basis):
    q = randomized(basis.double())(torch.randn(7, CONTEXT))
    torch.testing.assert_close(
        q.mT @ q, torch.eye(q.shape[2], dtype=q.dtype).expand(7, -1, -1), rtol=0, atol=1e-10
    )


def test_iaf_jacobian_is_triangular_in_its_order():
    layer, context = layers()["iaf"], torch.randn(1, CONTEXT)
    move = lambda v: layer(v[None], context)[0][0].flip(0)  # noqa: E731
    jacobian = torch.func.jacrev(move)(torch.randn(DIM))
    assert jacobian.triu(1).abs().max() == 0
    assert (jacobian.tril(-1).abs().sum(1)[1:] > 0).all()


def test_masked_net_is_strictly_autoregressive():
    net = randomized(MaskedMLP(DIM, 3, width=32))
    jacobian = torch.func.jacrev(lambda v: net(v[None])[0])(torch.randn(DIM))  # (D, 3, D)
    for i in range(DIM):
        assert jacobian[i, :, i:].abs().max() == 0
        assert i == 0 or (jacobian[i, :, :i].abs() > 0).all()


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("dim", lambda: Householder(nn.Identity(), 0)),
        ("n_reflections", lambda: Householder(nn.Identity(), 2, 0)),
        ("dim", lambda: Planar(nn.Identity(), 0)),
        ("n_vectors", lambda: Sylvester(nn.Identity(), nn.Identity(), 0)),
        ("n_vectors", lambda: OrthogonalBasis(nn.Identity(), 2, 3)),
        ("n_reflections", lambda: HouseholderBasis(nn.Identity(), 2, 0)),
        ("dim", lambda: ReversalBasis(0, True)),
        ("features", lambda: MaskedMLP(0, 2)),
        ("levels", lambda: FlowPosterior(nn.Identity(), nn.Identity(), [], levels=1)),
        ("dim", lambda: AutoregressivePrior(nn.Identity(), 0)),
        ("n_components", lambda: AutoregressivePrior(nn.Identity(), 2, 0)),
    ],
)
def test_bad_sizes_are_named(name, make):
    with pytest.raises(ValueError, match=rf"\b{name}\b"):
        make()


def test_sylvester_refuses_a_diagonal_that_breaks_invertibility():
    z, q, b = torch.randn(1, 2), torch.eye(2)[None], torch.zeros(1, 2)
    r = torch.diag_embed(torch.tensor([[-1.5, 0.5]]))
    with pytest.raises(ValueError, match=r"invertibility.*got -1.5"):
        sylvester_step(z, q, r, torch.eye(2)[None], b)
    with pytest.raises(ValueError, match=r"\br_tilde\b.*upper triangular"):
        sylvester_step(z, q, torch.eye(2)[None], torch.ones(1, 2, 2), b)
    sylvester_step(z, q, r * 0.66, torch.eye(2)[None], b)  # -0.99: still one to one


def test_dependent_columns_are_refused():
    with pytest.raises(ValueError, match=r"\bq\b.*dependent"):
        orthogonalise(torch.ones(1, 3, 2))


# --- the posterior --------------------------------------------------------------------------------


def posterior_of(made, dim=2, context=3, levels=None):
    encoder = nn.Sequential(nn.Linear(4, context), nn.Tanh())
    return randomized(FlowPosterior(encoder, nn.Linear(context, 2 * dim), made, levels), std=0.4)


def planar_flow(dim=2, context=3):
    return [Planar(nn.Linear(context, 2 * dim + 1), dim) for _ in range(3)]


def iaf_flow(dim=2, context=3):
    return [InverseAutoregressive(MaskedMLP(dim, 2, 12, context)) for _ in range(3)]


def sylvester_flow(dim=2, context=3):
    net = lambda: nn.Linear(context, dim * (dim + 2))  # noqa: E731
    return [Sylvester(net(), ReversalBasis(dim, bool(i % 2)), dim) for i in range(3)]


FLOWS = {"planar": planar_flow, "iaf": iaf_flow, "sylvester": sylvester_flow}


def grid(reach=7.0, n=400):
    """Midpoints (n * n, 2) of the cells of a square, and the area of one."""
    t = (torch.arange(n) + 0.5) / n * 2 * reach - reach
    return torch.cartesian_prod(t, t), (2 * reach / n) ** 2


@pytest.mark.parametrize("name", FLOWS)
def test_posterior_is_a_density_of_its_draws(name):
    """The mean over noise of target(z) / q(z), by quadrature, is the mass of the target: one.

    Independent of the Jacobians: the target is a Gaussian, the weights use log q alone.
    """
    posterior = posterior_of(FLOWS[name]())
    eps, area = grid(reach=8.0, n=800)
    x = torch.randn(1, 4).expand(len(eps), -1)
    with torch.no_grad():
        z, log_q = posterior(x, eps)
        typical = posterior(x[:500])[0]
    base = D.Independent(D.Normal(torch.zeros(2), torch.ones(2)), 1).log_prob(eps)
    target = D.Independent(D.Normal(typical.mean(0), 0.5 * typical.std(0)), 1)
    total = (target.log_prob(z) - log_q + base).exp().sum() * area
    assert abs(total - 1) < 0.02


def test_flow_posterior_without_layers_is_the_gaussian():
    posterior, x = posterior_of([]), torch.randn(6, 4)
    z, log_q = posterior(x)
    mean, s = posterior.start(posterior.context(x)).chunk(2, 1)
    law = D.Independent(D.Normal(mean, (5 * torch.tanh(s / 5)).exp()), 1)
    torch.testing.assert_close(log_q, law.log_prob(z), rtol=0, atol=1e-12)


def test_integers_are_scaled_and_noise_can_be_given():
    posterior = posterior_of(planar_flow(), levels=5)
    x, eps = torch.randint(0, 5, (6, 4)), torch.randn(6, 2)
    other = FlowPosterior(posterior.encoder, posterior.start, posterior.layers)
    torch.testing.assert_close(posterior(x, eps), other(x / 2 - 1.0, eps))


@pytest.mark.parametrize("name", FLOWS)
def test_log_q_of_a_posterior_is_the_autograd_one(name):
    posterior, x, eps = posterior_of(FLOWS[name]()), torch.randn(3, 4), torch.randn(3, 2)
    _, log_q = posterior(x, eps)
    for b in range(3):
        draw = lambda e, b=b: posterior(x[b : b + 1], e[None])[0][0]  # noqa: E731
        brute = torch.func.jacrev(draw)(eps[b]).slogdet()[1]
        base = D.Normal(0.0, 1.0).log_prob(eps[b]).sum()
        torch.testing.assert_close(log_q[b], base - brute, rtol=0, atol=1e-10)


def test_householder_cannot_change_the_kl_to_a_standard_normal():
    """Draw for draw: lengths are kept, and so is the volume (section 67, item 10)."""
    posterior = posterior_of([Householder(nn.Linear(3, 6), 6, 4)], dim=6)
    x, eps = torch.randn(50, 4), torch.randn(50, 6)
    z, log_q = posterior(x, eps)
    plain = FlowPosterior(posterior.encoder, posterior.start, [])
    z0, log_q0 = plain(x, eps)
    prior = D.Independent(D.Normal(torch.zeros(6), torch.ones(6)), 1)
    difference = (log_q - prior.log_prob(z)) - (log_q0 - prior.log_prob(z0))
    assert difference.abs().max() < 1e-10
    assert (z - z0).norm(dim=1).min() > 1e-3  # but the codes themselves moved


def test_householder_posterior_is_the_gaussian_with_rotated_covariance():
    posterior = posterior_of([Householder(nn.Linear(3, 3), 3, 2)], dim=3)
    x = torch.randn(1, 4)
    mean, s = posterior.start(posterior.context(x)).chunk(2, 1)
    scale = (5 * torch.tanh(s / 5)).exp()[0]
    h = torch.func.jacrev(lambda v: posterior.layers[0](v[None], posterior.context(x))[0][0])(
        mean[0]
    )
    law = D.MultivariateNormal(h @ mean[0], h @ torch.diag(scale**2) @ h.T)
    z, log_q = posterior(x.expand(20, -1))
    torch.testing.assert_close(log_q, law.log_prob(z), rtol=0, atol=1e-9)


# --- priors ---------------------------------------------------------------------------------------


def tiny_vamp(levels=None, **options):
    posterior = GaussianPosterior(nn.Sequential(nn.Flatten(), nn.Linear(4, 4)), 2, levels)
    return randomized(posterior, std=0.3), VampPrior(posterior, 3, (1, 2, 2), levels, **options)


def priors():
    """Every learned prior of this chapter over two coordinates."""
    return {
        "vamp": randomized(tiny_vamp(5)[1], std=0.5),
        "autoregressive": randomized(AutoregressivePrior(MaskedMLP(2, 9, 12), 2, 3), std=0.25),
    }


@pytest.mark.parametrize("name", ["vamp", "autoregressive"])
def test_prior_integrates_to_one_and_samples_follow_it(name):
    prior = priors()[name]
    points, area = grid(reach=14.0, n=700)
    with torch.no_grad():
        p = prior.log_prob(points).exp() * area
    assert abs(p.sum() - 1) < 1e-3
    z = prior.sample(40_000)
    mean, second = p @ points, p @ points.square()
    error = z.std(0) / 200
    assert ((z.mean(0) - mean).abs() < 5 * error).all()
    assert ((z.square().mean(0) - second).abs() < 5 * z.square().std(0) / 200).all()
    inside = (points.prod(1) > 0).to(p) @ p  # and their dependence
    assert abs((z.prod(1) > 0).double().mean() - inside) < 5 * 0.5 / 200


def test_vamp_prior_is_the_mixture_of_its_posteriors():
    posterior, prior = tiny_vamp()
    z, law = torch.randn(7, 2), posterior.distribution(prior.pseudo_inputs())
    reference = D.MixtureSameFamily(D.Categorical(logits=prior.logits), law)
    torch.testing.assert_close(prior.log_prob(z), reference.log_prob(z), rtol=0, atol=1e-12)


def test_vamp_prior_with_the_data_as_inputs_is_the_aggregate_posterior():
    """The prior that maximises the ELBO of a given encoder on given data."""
    posterior, _ = tiny_vamp(5)
    x = torch.randint(1, 4, (20, 1, 2, 2), dtype=torch.uint8)
    best = VampPrior(posterior, 20, (1, 2, 2), 5)
    best.start_from(x)
    z = posterior.distribution(x).sample((200,)).flatten(0, 1)
    aggregate = posterior.distribution(x).log_prob(z[:, None]).logsumexp(1) - math.log(20)
    torch.testing.assert_close(best.log_prob(z), aggregate, rtol=0, atol=1e-9)
    for other in (tiny_vamp(5)[1], priors()["autoregressive"]):
        assert other.log_prob(z).mean() < aggregate.mean()


def test_vamp_prior_does_not_own_the_encoder_and_trains_it_all_the_same():
    posterior, prior = tiny_vamp(5)
    assert set(prior.state_dict()) == {"raw", "logits"}
    prior.log_prob(torch.randn(3, 2)).sum().backward()
    assert all(p.grad.abs().max() > 0 for p in (*posterior.parameters(), *prior.parameters()))
    u = prior.pseudo_inputs()
    assert u.min() > 0
    assert u.max() < 4


@pytest.mark.parametrize(
    ("match", "options"),
    [
        (r"\bn_inputs\b", {"n_inputs": 0}),
        (r"\bweights\b.*sum to 1, got a sum of 1.2", {"weights": torch.tensor([0.5, 0.7])}),
        (r"\bweights\b.*positive", {"weights": torch.tensor([1.5, -0.5])}),
        (r"\bweights\b.*2 positive", {"weights": torch.ones(3) / 3}),
        (r"\bposterior\b.*distribution", {"posterior": nn.Identity()}),
    ],
)
def test_vamp_prior_refuses_what_is_no_mixture(match, options):
    made = {"posterior": tiny_vamp()[0], "n_inputs": 2, "shape": (4,)} | options
    with pytest.raises(ValueError, match=match):
        VampPrior(**made)


def test_autoregressive_prior_of_one_component_is_an_affine_chain():
    """With one Gaussian per step the density is that of the inverse chain: eps -> z."""
    prior = randomized(AutoregressivePrior(MaskedMLP(4, 3, 12), 4, 1), std=0.5)
    z = torch.randn(1, 4)

    def noise(v):
        _, m, s = prior.conditionals(v[None])
        return ((v[None, :, None] - m) * (-s).exp())[0, :, 0]

    brute = torch.func.jacrev(noise)(z[0]).slogdet()[1]
    base = D.Normal(0.0, 1.0).log_prob(noise(z[0])).sum()
    torch.testing.assert_close(prior.log_prob(z)[0], base + brute, rtol=0, atol=1e-10)


# --- posteriors that can be seen ------------------------------------------------------------------


def test_the_sum_sensor_has_its_textbook_posterior():
    """Linear and Gaussian: the one of the four that is known in closed form."""
    torch.set_default_dtype(torch.float32)
    sensors, a, s = FourSensors(), torch.ones(2, 1), 0.3
    covariance = torch.linalg.inv(torch.eye(2) + a @ a.T / s**2)
    mean = covariance @ a[:, 0] * 1.5 / s**2
    z = torch.randn(50, 2)
    reference = D.MultivariateNormal(mean, covariance).log_prob(z)
    torch.testing.assert_close(sensors.log_posterior(z, 0), reference, rtol=1e-4, atol=1e-3)
    exact = D.Normal(0.0, math.sqrt(2 + s**2)).log_prob(torch.tensor(1.5))
    assert abs(sensors.evidence[0] - exact) < 1e-4


def test_the_gap_of_a_gaussian_is_its_kl():
    """Quadrature over the noise against the closed form, for the sum sensor."""
    torch.set_default_dtype(torch.float32)
    sensors = FourSensors()
    q = FlowPosterior(nn.Identity(), nn.Linear(4, 4), [])
    with torch.no_grad():
        mean, s = q.start(sensors.example(0)).chunk(2, 1)
    a = torch.ones(2, 1)
    covariance = torch.linalg.inv(torch.eye(2) + a @ a.T / 0.09)
    truth = D.MultivariateNormal(covariance @ a[:, 0] * 1.5 / 0.09, covariance)
    law = D.MultivariateNormal(mean[0], torch.diag((5 * torch.tanh(s[0] / 5)).exp() ** 2))
    expected = D.kl_divergence(law, truth).item()
    assert sensors.gaps(q)[0] == pytest.approx(expected, abs=2e-3 * (1 + expected))
