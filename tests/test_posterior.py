"""Posteriors and priors: log-dets against autograd, families against densities that are known."""

import math
from functools import partial

import contract
import pytest
import torch
from torch import distributions as D
from torch import nn

from dgm import zoo
from dgm.autoregressive.autoregressive import Autoregressive
from dgm.autoregressive.law import MixtureLaw
from dgm.data.four_sensors import FourSensors
from dgm.distribution.support import Levels, Reals
from dgm.nets.masked_mlp import MaskedMLP
from dgm.posterior.flow_posterior import FlowEncoder
from dgm.posterior.full_covariance import FullCovariance
from dgm.posterior.householder import Householder
from dgm.posterior.inverse_autoregressive import InverseAutoregressive
from dgm.posterior.planar import Planar, invertible_direction
from dgm.posterior.sylvester import (
    HouseholderBasis,
    OrthogonalBasis,
    ReversalBasis,
    Sylvester,
    orthogonalise,
    sylvester_step,
)
from dgm.posterior.vamp_prior import VampPrior
from dgm.vae.gaussian_posterior import GaussianEncoder

pytestmark = pytest.mark.usefixtures("float64")
randomized = partial(contract.moved, std=0.6)

SLOW = "fits_a_toy_law"  # they differ from the triangular variant by a basis, and cost 20 s each


@contract.over(
    "posterior",
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
        "full_covariance": FullCovariance(linear(DIM * (DIM - 1) // 2), DIM),
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


def test_large_matrices_are_made_orthogonal_in_single_precision_too():
    q = orthogonalise(torch.randn(8, 64, 64, dtype=torch.float32))
    assert (q.mT @ q - torch.eye(64, dtype=torch.float32)).abs().max() < 1e-5


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
        ("dim", lambda: FullCovariance(nn.Identity(), 0)),
        ("n_vectors", lambda: Sylvester(nn.Identity(), nn.Identity(), 0)),
        ("n_vectors", lambda: OrthogonalBasis(nn.Identity(), 2, 3)),
        ("n_reflections", lambda: HouseholderBasis(nn.Identity(), 2, 0)),
        ("dim", lambda: ReversalBasis(0, True)),
        ("features", lambda: MaskedMLP(0, 2)),
        ("data", lambda: zoo.get("gaussian_vae").build(Reals((4,)))),
        ("data", lambda: zoo.get("sylvester_conv_vae").build(Levels((4,), 3))),
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


def encoder_of(made, dim=2, context=3):
    net = nn.Sequential(nn.Linear(4, context), nn.Tanh())
    start = GaussianEncoder(nn.Linear(context, 2 * dim), dim)
    return randomized(FlowEncoder(net, start, made), std=0.4)


def drawn(encoder, x, eps):
    """The draw made of eps, and its log density."""
    q = encoder(x)
    z = q.from_noise(eps)
    return z, q.log_prob(z)


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
    encoder = encoder_of(FLOWS[name]())
    eps, area = grid(reach=8.0, n=800)
    x = torch.randn(1, 4)
    with torch.no_grad():
        z, log_q = drawn(encoder, x, eps[:, None])
        typical = encoder(x).rsample((500,))[:, 0]
    base = D.Independent(D.Normal(torch.zeros(2), torch.ones(2)), 1).log_prob(eps)
    target = D.Independent(D.Normal(typical.mean(0), 0.5 * typical.std(0)), 1)
    total = (target.log_prob(z[:, 0]) - log_q[:, 0] + base).exp().sum() * area
    assert abs(total - 1) < 0.02


def test_without_layers_the_posterior_is_the_gaussian():
    encoder, x = encoder_of([]), torch.randn(6, 4)
    q, z = encoder(x), torch.randn(9, 6, 2)
    law = encoder.start(encoder.net(x))
    torch.testing.assert_close(q.log_prob(z), law.log_prob(z), rtol=0, atol=1e-12)


def test_many_draws_are_those_of_each_example():
    encoder, x, eps = encoder_of(planar_flow()), torch.randn(3, 4), torch.randn(5, 3, 2)
    z, log_q = drawn(encoder, x, eps)
    for k in range(5):
        for b in range(3):
            alone = drawn(encoder, x[b : b + 1], eps[k, b : b + 1])
            torch.testing.assert_close((z[k, b : b + 1], log_q[k, b : b + 1]), alone)


def test_a_posterior_of_layers_knows_its_last_draw_only():
    q = encoder_of(planar_flow())(torch.randn(3, 4))
    z = q.rsample()
    assert q.log_prob(z).shape == (3,)
    for other in (z.clone(), torch.randn(3, 2)):
        with pytest.raises(ValueError, match=r"\bz\b.*last draw"):
            q.log_prob(other)
    q.rsample()
    with pytest.raises(ValueError, match=r"\bz\b"):
        q.log_prob(z)


@pytest.mark.parametrize("name", FLOWS)
def test_log_q_of_a_posterior_is_the_autograd_one(name):
    encoder, x, eps = encoder_of(FLOWS[name]()), torch.randn(3, 4), torch.randn(3, 2)
    log_q = drawn(encoder, x, eps)[1]
    for b in range(3):
        draw = lambda e, b=b: drawn(encoder, x[b : b + 1], e[None])[0][0]  # noqa: E731
        brute = torch.func.jacrev(draw)(eps[b]).slogdet()[1]
        base = D.Normal(0.0, 1.0).log_prob(eps[b]).sum()
        torch.testing.assert_close(log_q[b], base - brute, rtol=0, atol=1e-10)


def test_householder_cannot_change_the_kl_to_a_standard_normal():
    """Draw for draw: lengths are kept, and so is the volume."""
    encoder = encoder_of([Householder(nn.Linear(3, 6), 6, 4)], dim=6)
    x, eps = torch.randn(50, 4), torch.randn(50, 6)
    z, log_q = drawn(encoder, x, eps)
    z0, log_q0 = drawn(FlowEncoder(encoder.net, encoder.start, []), x, eps)
    prior = D.Independent(D.Normal(torch.zeros(6), torch.ones(6)), 1)
    difference = (log_q - prior.log_prob(z)) - (log_q0 - prior.log_prob(z0))
    assert difference.abs().max() < 1e-10
    assert (z - z0).norm(dim=1).min() > 1e-3  # but the codes themselves moved


def turned_law(encoder, x):
    """The Gaussian that a linear layer makes of the start, in closed form."""
    h = encoder.net(x)
    start, move = encoder.start(h), lambda v: encoder.layers[0](v[None], h)[0][0]
    a = torch.func.jacrev(move)(start.mean[0])
    return D.MultivariateNormal(a @ start.mean[0], a @ torch.diag(start.variance[0]) @ a.T)


@pytest.mark.parametrize("layer", ["householder", "full_covariance"])
def test_a_linear_layer_makes_a_gaussian_with_a_full_covariance(layer):
    made = {
        "householder": Householder(nn.Linear(3, 3), 3, 2),
        "full_covariance": FullCovariance(nn.Linear(3, 3), 3),
    }[layer]
    encoder, x = encoder_of([made], dim=3), torch.randn(1, 4)
    law, (z, log_q) = turned_law(encoder, x), drawn(encoder, x, torch.randn(20, 1, 3))
    torch.testing.assert_close(log_q[:, 0], law.log_prob(z[:, 0]), rtol=0, atol=1e-9)
    assert law.covariance_matrix.triu(1).abs().max() > 1e-3


def test_a_triangular_layer_reaches_every_gaussian():
    """mean and Cholesky factor solved for by hand: L = (I + T) diag s, mean = (I + T) m."""
    factor = torch.tensor([[0.5, 0.0, 0.0], [-1.0, 2.0, 0.0], [0.3, 0.7, 1.5]])
    mean, s = torch.tensor([1.0, -2.0, 0.4]), factor.diagonal()
    unit = factor / s  # I + T, columns divided
    below = torch.ones(3, 3, dtype=torch.bool).tril(-1)
    net = nn.Module()
    net.forward = lambda context: unit[below].expand(len(context), -1)
    start = D.Independent(D.Normal(torch.linalg.solve(unit, mean), s), 1)
    z0 = start.sample((5,))
    z, log_det = FullCovariance(net, 3)(z0, torch.zeros(5, 1))
    reference = D.MultivariateNormal(mean, scale_tril=factor).log_prob(z)
    torch.testing.assert_close(start.log_prob(z0) - log_det, reference, rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", FLOWS)
def test_a_posterior_draws_from_its_generator_alone(name):
    q, state = encoder_of(FLOWS[name]())(torch.randn(3, 4)), torch.get_rng_state()
    z = [q.rsample((2,), generator=torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    assert torch.equal(z[0], z[1])
    assert not torch.equal(z[0], z[2])
    assert torch.equal(state, torch.get_rng_state())


# --- priors ---------------------------------------------------------------------------------------


PIXELS = Levels((1, 2, 2), 5)


def tiny_vamp(data=PIXELS, **options):
    encoder = GaussianEncoder(nn.Sequential(nn.Flatten(), nn.Linear(4, 4)), 2)
    return randomized(encoder, std=0.3), VampPrior(encoder, 3, data, **options)


def chain(dim, n_components):
    law = MixtureLaw(dim, n_components)
    return Autoregressive(MaskedMLP(dim, law.out_features, 12), law, Reals((dim,)))


def priors():
    """Every learned prior of this chapter over two coordinates."""
    return {
        "vamp": randomized(tiny_vamp()[1], std=0.5),
        "autoregressive": randomized(chain(2, 3), std=0.25),
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


@pytest.mark.parametrize("name", ["vamp", "autoregressive"])
def test_a_prior_draws_from_its_generator_alone(name):
    prior = priors()[name]
    state = torch.get_rng_state()
    z = [prior.sample(20, generator=torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    assert torch.equal(z[0], z[1])
    assert not torch.equal(z[0], z[2])
    assert torch.equal(state, torch.get_rng_state())
    assert prior.sample(0).shape == (0, 2)
    with pytest.raises(ValueError, match=r"\bn\b"):
        prior.sample(-1)


def test_vamp_prior_is_the_mixture_of_its_posteriors():
    encoder, prior = tiny_vamp(Reals((1, 2, 2)))
    z, q = torch.randn(7, 2), encoder(prior.pseudo_inputs())
    law = D.Independent(D.Normal(q.mean, q.stddev), 1)
    reference = D.MixtureSameFamily(D.Categorical(logits=prior.logits), law)
    torch.testing.assert_close(prior.log_prob(z), reference.log_prob(z), rtol=0, atol=1e-12)


def test_vamp_prior_with_the_data_as_inputs_is_the_aggregate_posterior():
    """The prior that maximises the ELBO of a given encoder on given data."""
    encoder, _ = tiny_vamp()
    x = torch.randint(1, 4, (20, 1, 2, 2), dtype=torch.uint8)
    best = VampPrior(encoder, 20, PIXELS)
    best.start_from(x)
    assert sorted(best.pseudo_inputs().flatten().round().tolist()) == sorted(x.flatten().tolist())
    q = encoder(PIXELS.scaled(x))
    z = q.rsample((200,)).flatten(0, 1)
    aggregate = q.log_prob(z[:, None]).logsumexp(1) - math.log(20)
    torch.testing.assert_close(best.log_prob(z), aggregate, rtol=0, atol=1e-9)
    for other in (tiny_vamp()[1], priors()["autoregressive"]):
        assert other.log_prob(z).mean() < aggregate.mean()


def test_vamp_prior_does_not_own_the_encoder_and_trains_it_all_the_same():
    encoder, prior = tiny_vamp()
    assert set(prior.state_dict()) == {"raw", "logits"}
    prior.log_prob(torch.randn(3, 2)).sum().backward()
    assert all(p.grad.abs().max() > 0 for p in (*encoder.parameters(), *prior.parameters()))
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
    ],
)
def test_vamp_prior_refuses_what_is_no_mixture(match, options):
    made = {"encoder": tiny_vamp()[0], "n_inputs": 2, "data": PIXELS} | options
    with pytest.raises(ValueError, match=match):
        VampPrior(**made)


def test_a_posterior_of_layers_cannot_be_a_vamp_prior():
    prior = VampPrior(encoder_of(planar_flow()), 2, Reals((4,)))
    with pytest.raises(ValueError, match=r"\bz\b.*last draw"):
        prior.log_prob(torch.zeros(3, 2))


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
    encoder = FlowEncoder(nn.Identity(), GaussianEncoder(nn.Linear(4, 4), 2), [])
    with torch.no_grad():
        q = encoder(sensors.example(0))
    a = torch.ones(2, 1)
    covariance = torch.linalg.inv(torch.eye(2) + a @ a.T / 0.09)
    truth = D.MultivariateNormal(covariance @ a[:, 0] * 1.5 / 0.09, covariance)
    law = D.MultivariateNormal(q.mean[0], torch.diag(q.variance[0]))
    expected = D.kl_divergence(law, truth).item()
    assert sensors.gaps(encoder)[0] == pytest.approx(expected, abs=2e-3 * (1 + expected))
