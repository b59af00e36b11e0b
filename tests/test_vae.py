"""VAEs: the bound three ways, its gap, importance weights, gradients, likelihoods, collapse."""

import math
from functools import partial
from types import SimpleNamespace

import contract
import pytest
import torch
from torch import distributions as D
from torch import nn

from dgm import data, zoo
from dgm.audit import audit
from dgm.distribution.binned_gaussian import BinnedGaussianDecoder
from dgm.distribution.discretized_logistic import (
    DiscretizedLogisticMixture,
    LogisticMixtureDecoder,
)
from dgm.distribution.likelihood import BernoulliDecoder, NormalDecoder, SoftmaxDecoder
from dgm.distribution.normal import StandardNormal
from dgm.distribution.support import Levels, Reals
from dgm.measure.active_units import active_units, activity
from dgm.train.jitter import Jitter
from dgm.vae.expected_terms import expected_terms, normal_nodes
from dgm.vae.gaussian_posterior import GaussianEncoder, GaussianPosterior
from dgm.vae.gradient_estimators import (
    leave_one_out,
    optimal_baseline,
    reparameterised_gradients,
    score_function_gradients,
)
from dgm.vae.importance_weighted import ImportanceWeighted
from dgm.vae.vae import ROWS_AT_ONCE, VAE
from dgm.vae.window_decoder import WindowDecoder

pytestmark = pytest.mark.usefixtures("float64")
randomised = partial(contract.moved, std=0.6)


@contract.over("vae")
def test_contract(entry, promise):
    torch.set_default_dtype(torch.float32)
    promise(entry)


def net(inputs, outputs):
    return nn.Sequential(nn.Linear(inputs, 8), nn.Tanh(), nn.Linear(8, outputs))


def small_vae(latent_dim=2, levels=3, pixels=3):
    """A nonlinear VAE of integer triples, weights randomised."""
    data = Levels((pixels,), levels)
    encoder = GaussianEncoder(net(pixels, 2 * latent_dim), latent_dim)
    decoder = SoftmaxDecoder(net(latent_dim, pixels * levels), data)
    return randomised(VAE(data, encoder, decoder, StandardNormal((latent_dim,))))


def expectations(model, x):
    """E_q of log p(x|z), log p(z) and log q(z|x) by quadrature, (B,) each."""
    return expected_terms(model, x, 48).values()


# --- the bound -----------------------------------------------------------------------------------


def test_the_three_forms_of_the_elbo_agree():
    model, x = small_vae(), torch.randint(3, (6, 3))
    q = model.posterior(x)
    log_lik, log_prior, log_q = expectations(model, x)
    weight = log_lik + log_prior - log_q
    split = log_lik - D.kl_divergence(q, D.Independent(D.Normal(torch.zeros(6, 2), 1.0), 1))
    entropy = log_lik + log_prior + q.entropy()
    torch.testing.assert_close(weight, split, rtol=0, atol=1e-6)
    torch.testing.assert_close(weight, entropy, rtol=0, atol=1e-6)
    with torch.no_grad():
        draws = model.elbo(x.repeat(20_000, 1)).view(-1, 6)
    error = draws.std(0) / len(draws) ** 0.5
    assert ((draws.mean(0) - weight).abs() < 5 * error).all()


def linear_world_vae(law, latent_dim=2):
    """A VAE whose generative part is the linear Gaussian law; its posterior is any Gaussian."""
    d, dims = latent_dim, len(law.bias)
    decoder = nn.Linear(d, 2 * dims)
    floor = 1e-3
    with torch.no_grad():
        decoder.weight.zero_()
        decoder.weight[:dims] = law.weight
        decoder.bias[:dims] = law.bias
        decoder.bias[dims:] = math.log(law.noise**2 - floor)
    data, encoder = Reals((dims,)), GaussianEncoder(nn.Linear(dims, 2 * d), d)
    encoder = randomised(encoder, std=0.3)
    return VAE(data, encoder, NormalDecoder(decoder, data, floor), StandardNormal((d,)))


def test_the_gap_is_the_divergence_from_the_true_posterior():
    world = data.load("linear_gaussian", n=100)
    model, x = linear_world_vae(world.law), world.test[:10].double()
    log_lik, log_prior, log_q = expectations(model, x)
    gap = world.law.log_prob(x) - (log_lik + log_prior - log_q)
    q, p = model.posterior(x), world.law.posterior(x)
    q = D.MultivariateNormal(q.mean, scale_tril=torch.diag_embed(q.stddev))
    torch.testing.assert_close(gap, D.kl_divergence(q, p), rtol=0, atol=1e-8)


def test_the_audit_accepts_it_against_the_exact_density():
    world = data.load("linear_gaussian", n=100)
    model = linear_world_vae(world.law)
    report = audit(model, world.test[:16].double(), reference=world.law.log_prob)
    report.assert_passed()
    assert report["bounds <= exact"].verdict == "pass"


@pytest.mark.parametrize("weight", [0.0, 0.5, 4.0])
def test_beta_weighs_the_loss_and_nothing_else(weight):
    model, x = small_vae(), torch.randint(3, (6, 3))
    torch.manual_seed(1)
    parts = (model.data, model.encoder, model.decoder, model.prior)
    terms, other = model.terms(x), VAE(*parts, weight)
    torch.manual_seed(1)
    torch.testing.assert_close(other.loss(x), weight * terms["kl"] - terms["reconstruction"])
    torch.manual_seed(1)
    torch.testing.assert_close(other.elbo(x), terms["reconstruction"] - terms["kl"])


def test_free_nats_are_not_charged():
    model, x = small_vae(), torch.randint(3, (6, 3))
    model.free_nats = 1e6
    torch.manual_seed(1)
    terms = model.terms(x)
    torch.manual_seed(1)
    torch.testing.assert_close(model.loss(x), 1e6 - terms["reconstruction"])


def test_quadrature_nodes_are_scipys_and_integrate_polynomials():
    from scipy.special import roots_hermitenorm

    nodes, weights = normal_nodes(1, 12)
    x, w = (torch.tensor(t) for t in roots_hermitenorm(12))
    torch.testing.assert_close(nodes[:, 0], x, rtol=0, atol=1e-12)
    torch.testing.assert_close(weights, w / w.sum(), rtol=0, atol=1e-12)
    nodes, weights = normal_nodes(2, 5)
    assert (weights * nodes[:, 0] ** 4 * nodes[:, 1] ** 2).sum().item() == pytest.approx(3)


def test_closed_kl_is_torchs_and_the_mean_of_draws():
    model, x = small_vae(), torch.randint(3, (4, 3))
    q = model.posterior(x)
    reference = D.kl_divergence(q.base_dist, D.Normal(torch.zeros(4, 2), 1.0))
    torch.testing.assert_close(q.unit_kl(), reference, rtol=0, atol=1e-12)
    torch.testing.assert_close(q.kl(), reference.sum(1), rtol=0, atol=1e-12)
    with torch.no_grad():
        draws = model.terms(x.repeat(25_000, 1))["kl"].view(-1, 4)
    error = draws.std(0) / len(draws) ** 0.5
    assert ((draws.mean(0) - reference.sum(1)).abs() < 4 * error).all()


def test_a_posterior_is_torchs_gaussian_and_its_draws_carry_a_gradient():
    model, x = small_vae(), torch.randint(3, (5, 3))
    q, z = model.posterior(x), torch.randn(7, 5, 2)
    reference = D.Independent(D.Normal(q.mean, q.stddev), 1)
    torch.testing.assert_close(q.log_prob(z), reference.log_prob(z), rtol=0, atol=1e-12)
    torch.testing.assert_close(q.entropy(), reference.entropy(), rtol=0, atol=1e-12)
    assert q.rsample((7,)).shape == z.shape
    drawn = q.rsample().sum()
    assert torch.autograd.grad(drawn, model.encoder.net[0].weight)[0].abs().sum() > 0


def test_a_gaussian_at_one_of_width_one_costs_half_a_nat():
    q = GaussianPosterior(torch.ones(1, 3), torch.zeros(1, 3))
    torch.testing.assert_close(q.unit_kl(), torch.full((1, 3), 0.5))


def test_log_variance_is_bounded_whatever_the_network_says():
    for said in (1e4, -1e4):
        encoder = GaussianEncoder(nn.Linear(1, 2), 1)
        with torch.no_grad():
            encoder.net.weight.zero_()
            encoder.net.bias.fill_(said)
        assert encoder(torch.zeros(1, 1)).log_var.abs().item() == pytest.approx(10)


def test_log_standard_deviations_are_half_the_log_variances():
    out, u = nn.Linear(3, 4), torch.randn(5, 3)
    q = GaussianEncoder(out, 2, log_std=True)(u)
    mean, s = out(u).chunk(2, 1)
    torch.testing.assert_close(q.mean, mean)
    torch.testing.assert_close(q.stddev, (5 * torch.tanh(s / 5)).exp(), rtol=0, atol=1e-12)


# --- importance weights --------------------------------------------------------------------------


def test_importance_weighted_bounds_are_those_of_the_fact_sheet():
    """A world with log p(x) = -2.3113 and q 1.79 times as wide, .947 deviations off."""
    width, shift = 1.79, 0.947
    z = shift + math.sqrt(width) * torch.randn(600_000)
    log_w = 0.5 * ((z - shift) ** 2 / width - z**2 + math.log(width)) - 2.3113
    for k, known in ((1, -2.864), (2, -2.523), (5, -2.378), (10, -2.341), (50, -2.317)):
        bound = (log_w.view(-1, k).logsumexp(1) - math.log(k)).mean().item()
        assert bound == pytest.approx(known, abs=0.005)
    variance = width / math.sqrt(2 * width - 1) * math.exp(shift**2 / (2 * width - 1)) - 1
    assert variance / 2 == pytest.approx(0.289, abs=0.002)


def test_importance_weighted_bound_meets_the_exact_value():
    model, x = small_vae(latent_dim=1), torch.randint(3, (5, 3))
    z = torch.linspace(-9, 9, 2001)[:, None]
    log_prior = model.prior.log_prob(z) + math.log(18 / 2000)
    exact = torch.stack([
        (model.likelihood(z).log_prob(row.expand(len(z), -1)) + log_prior).logsumexp(0) for row in x
    ])  # fmt: skip
    states = torch.cartesian_prod(*[torch.arange(3)] * 3)
    total = sum(
        (model.likelihood(z).log_prob(s.expand(len(z), -1)) + log_prior).logsumexp(0).exp()
        for s in states
    )
    assert total.item() == pytest.approx(1, abs=1e-9)
    with torch.no_grad():
        bounds = [
            torch.stack([model.iw_bound(x, k) for _ in range(n)])
            for k, n in ((1, 4000), (10, 400), (400, 100))
        ]
    gaps = [(exact - b.mean(0)).mean().item() for b in bounds]
    assert gaps[0] > gaps[1] > gaps[2] > -0.002
    assert gaps[2] < 0.02


def test_the_bound_in_parts_is_the_bound_with_its_gradient():
    """More draws than are held at once: each part on the noise it would have had."""
    model, x = small_vae(), torch.randint(3, (3, 3))
    k = 2 * ROWS_AT_ONCE // 3 + 5  # two whole parts and a bit
    sizes = []
    count = model.decoder.register_forward_pre_hook(lambda _, z: sizes.append(len(z[0])))
    torch.manual_seed(3)
    bound = model.iw_bound(x, k)
    found = torch.autograd.grad(bound.sum(), list(model.parameters()))
    count.remove()
    assert len(sizes) == 3
    assert max(sizes) <= ROWS_AT_ONCE
    assert sum(sizes) == 3 * k
    torch.manual_seed(3)
    q = model.posterior(x)
    z = torch.cat([q.rsample((size // 3,)) for size in sizes])
    many = x.repeat(k, 1)
    log_p = model.likelihood(z.flatten(0, 1)).log_prob(many) + model.prior.log_prob(z.flatten(0, 1))
    whole = (log_p.view(k, 3) - q.log_prob(z)).logsumexp(0) - math.log(k)
    torch.testing.assert_close(bound, whole, rtol=0, atol=1e-10)
    expected = torch.autograd.grad(whole.sum(), list(model.parameters()))
    torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-10)


def test_training_with_k_draws_is_training_the_bound():
    model, x = small_vae(), torch.randint(3, (6, 3))
    torch.manual_seed(1)
    bound = model.iw_bound(x, 5)
    torch.manual_seed(1)
    torch.testing.assert_close(ImportanceWeighted(model, 5).loss(x), -bound)


# --- gradients -----------------------------------------------------------------------------------


def test_gradient_estimators_have_the_variances_of_the_fact_sheet():
    mean, std = torch.ones(1), torch.ones(1)
    f = lambda z: z[:, 0].square()  # noqa: E731
    n = 400_000
    estimates = {
        4: reparameterised_gradients(f, mean, std, n),
        30: score_function_gradients(f, mean, std, n),
        18: score_function_gradients(f, mean, std, n, baseline=2.0),
    }
    for variance, draws in estimates.items():
        assert draws.mean().item() == pytest.approx(2, abs=5 * (variance / n) ** 0.5)
        assert draws.var().item() == pytest.approx(variance, rel=0.04)


def test_the_optimal_baseline_is_the_best_one():
    mean, std = torch.ones(1), torch.ones(1)
    f = lambda z: z[:, 0].square()  # noqa: E731
    best = optimal_baseline(f, mean, std, 400_000)
    assert best.item() == pytest.approx(4, rel=0.03)  # E[z^2 (z - 1)^2]
    spread = [
        score_function_gradients(f, mean, std, 400_000, baseline=b).var().item()
        for b in (best, best - 1, best + 1)
    ]
    assert spread[0] < min(spread[1:])


def test_leave_one_out_keeps_the_estimate_unbiased():
    z = 1 + torch.randn(4, 200_000)
    draws = (leave_one_out(z.square()) * (z - 1)).mean(0)
    assert draws.mean().item() == pytest.approx(2, abs=5 * (draws.var().item() / 200_000) ** 0.5)


def test_a_jump_makes_reparameterisation_biased():
    f = lambda z: (z[:, 0] > 0).to(z) + 0 * z[:, 0]  # noqa: E731
    mean, std = torch.zeros(1), torch.ones(1)
    assert reparameterised_gradients(f, mean, std, 100).abs().max() == 0
    true = 1 / math.sqrt(2 * math.pi)
    assert score_function_gradients(f, mean, std, 200_000).mean().item() == pytest.approx(
        true, abs=0.01
    )


# --- likelihoods ---------------------------------------------------------------------------------


def logistic_cdf(x, mean, scale):
    return torch.sigmoid((x - mean) / scale)


@pytest.mark.parametrize("levels", [2, 3, 17, 256])
def test_discretised_logistics_are_differences_of_cdfs(levels):
    parameters = torch.randn(20, 3 * 4)
    logits, means, log_scales = parameters.chunk(3, -1)
    scales = (7 * torch.tanh(log_scales / 7)).exp()
    edges = 2 * (torch.arange(levels - 1) + 0.5) / (levels - 1) - 1  # on [-1, 1]
    cdf = (logits.softmax(-1)[..., None] * logistic_cdf(
        edges, means[..., None], scales[..., None])).sum(1)  # fmt: skip
    ends = torch.zeros(20, 1), torch.ones(20, 1)
    expected = torch.cat((ends[0], cdf, ends[1]), 1).diff(dim=1)  # (20, levels)
    law = DiscretizedLogisticMixture(parameters, levels)
    torch.testing.assert_close(law.table().exp(), expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(law.table().logsumexp(1), torch.zeros(20), rtol=0, atol=1e-12)
    every = torch.arange(levels).expand(20, -1)
    one_by_one = torch.stack([law.log_prob(v) for v in every.T], 1)
    torch.testing.assert_close(one_by_one, law.table(), rtol=0, atol=1e-12)
    torch.testing.assert_close(law.mean(), expected @ torch.arange(levels).double())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [0.0, 30.0, 1e4])
def test_discretised_logistics_stay_finite_with_their_gradients(dtype, size):
    parameters = (size * torch.randn(50, 6, dtype=dtype)).requires_grad_()
    table = DiscretizedLogisticMixture(parameters, 256).table()
    assert table.isfinite().all()
    table.sum().backward()
    assert parameters.grad.isfinite().all()


def test_discretised_logistic_samples_follow_their_table():
    parameters = torch.randn(1, 6).expand(200_000, -1)
    law = DiscretizedLogisticMixture(parameters, 7)
    seen = torch.bincount(law.sample(), minlength=7) / 200_000
    p = law.table()[0].exp()
    assert ((seen - p).abs() < 5 * (p * (1 - p) / 200_000).sqrt() + 1e-6).all()


def test_likelihoods_are_torchs():
    z, shape = torch.randn(6, 2), (1, 2, 2)
    bits, counts = torch.randint(2, (6, *shape)), torch.randint(17, (6, *shape))
    head = net(2, 4)
    logits = head(z).view(6, *shape)
    one = BernoulliDecoder(head, Levels(shape, 2))(z)
    sixteen = BernoulliDecoder(head, Levels(shape, 17))(z)
    expected = D.Bernoulli(logits=logits).log_prob(bits.double()).flatten(1).sum(1)
    torch.testing.assert_close(one.log_prob(bits), expected)
    binomial = D.Binomial(16, logits=logits)
    expected = binomial.log_prob(counts.double()).flatten(1).sum(1)
    torch.testing.assert_close(sixteen.log_prob(counts), expected, rtol=0, atol=1e-4)
    torch.testing.assert_close(sixteen.mean, binomial.mean)
    tables = net(2, 4 * 17)
    softmax = SoftmaxDecoder(tables, Levels(shape, 17))(z)
    reference = D.Categorical(logits=tables(z).view(6, *shape, 17))
    expected = reference.log_prob(counts).flatten(1).sum(1)
    torch.testing.assert_close(softmax.log_prob(counts), expected)
    moments, x = net(2, 6), torch.randn(6, 3)
    mean, log_var = moments(z).chunk(2, 1)
    expected = D.Normal(mean, (log_var.exp() + 0.1).sqrt()).log_prob(x).sum(1)
    normal = NormalDecoder(moments, Reals((3,)), 0.1)(z)
    torch.testing.assert_close(normal.log_prob(x), expected)


def integer_decoders():
    data = Levels((1, 1, 2), 5)
    return {
        "bernoulli": BernoulliDecoder(net(2, 2), data),
        "softmax": SoftmaxDecoder(net(2, 2 * 5), data),
        "logistics": LogisticMixtureDecoder(net(2, 2 * 6), data, 2),
        "binned": BinnedGaussianDecoder(net(2, 2 * 2), data),
        "window": WindowDecoder(net(2, 2 * 5), data, 1),
    }


@pytest.mark.parametrize("name", integer_decoders())
def test_every_likelihood_sums_to_one_and_its_samples_follow_it(name):
    decoder = randomised(integer_decoders()[name])
    states = torch.cartesian_prod(torch.arange(5), torch.arange(5)).view(-1, 1, 1, 2)
    z = torch.randn(1, 2)
    p = decoder(z.expand(25, -1)).log_prob(states).exp()
    assert p.sum().item() == pytest.approx(1, abs=1e-5)
    likelihood = decoder(z.expand(40_000, -1))
    draws = likelihood.sample()
    assert draws.dtype == torch.uint8
    seen = (draws.long().flatten(1) @ torch.tensor([5, 1])).bincount(minlength=25) / 40_000
    assert ((seen - p).abs() < 5 * (p * (1 - p) / 40_000).sqrt() + 1e-6).all()
    if name != "window":  # which has no mean
        expected = (p[:, None] * states.flatten(1)).sum(0)
        torch.testing.assert_close(likelihood.mean[0].flatten(), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", integer_decoders())
def test_a_likelihood_draws_from_its_generator_alone(name):
    likelihood = randomised(integer_decoders()[name])(torch.randn(50, 2))
    draws = [likelihood.sample(torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    state = torch.get_rng_state()
    likelihood.sample(torch.Generator())
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("name", ["bernoulli", "softmax", "window"])
def test_a_decoder_starts_at_independent_pixels(name):
    x = torch.tensor([[0, 4], [1, 4], [1, 3]]).view(3, 1, 1, 2)
    decoder = integer_decoders()[name]
    decoder.net = nn.Linear(2, decoder.net[-1].out_features).requires_grad_(False)
    decoder.net.weight.zero_(), decoder.net.bias.zero_()
    decoder.start_from(x)
    frequencies = decoder.data.frequencies(x)  # half a count for each level beside the three
    assert frequencies[0, 0, 0].tolist() == pytest.approx(
        [v / 5.5 for v in (1.5, 2.5, 0.5, 0.5, 0.5)]
    )
    likelihood = decoder(torch.randn(3, 2))
    if name == "bernoulli":
        expected = (frequencies @ torch.arange(5.0)).expand(3, -1, -1, -1)
        torch.testing.assert_close(likelihood.mean, expected, rtol=1e-5, atol=1e-6)
    else:
        table = frequencies.log().expand(3, -1, -1, -1, -1)
        expected = table.gather(-1, x.unsqueeze(-1)).flatten(1).sum(1)
        torch.testing.assert_close(likelihood.log_prob(x), expected, rtol=1e-5, atol=1e-6)


def test_the_background_can_be_left_out():
    for kind in (BernoulliDecoder, SoftmaxDecoder):
        decoder = kind(
            nn.Linear(2, 4), Levels((4,) if kind is BernoulliDecoder else (2,), 2), False
        )
        decoder.start_from(torch.zeros(1, *decoder.data.shape, dtype=torch.int64))
        assert len(list(decoder.parameters())) == 2


@pytest.mark.parametrize("levels", [2, 17, 256])
def test_binned_gaussian_is_a_difference_of_cdfs(levels):
    decoder = randomised(BinnedGaussianDecoder(net(2, 6), Levels((3,), levels)), std=1.5)
    likelihood = decoder(torch.randn(40, 2))
    edges = torch.arange(levels - 1) + 0.5
    scale = likelihood.log_scale.exp()[..., None]
    cdf = D.Normal(likelihood.location[..., None], scale).cdf(edges)
    ends = torch.zeros(40, 3, 1), torch.ones(40, 3, 1)
    expected = torch.cat((ends[0], cdf, ends[1]), -1).diff(dim=-1)
    torch.testing.assert_close(likelihood.table.exp(), expected, rtol=0, atol=1e-10)


def test_binned_gaussian_stays_finite_with_its_gradients():
    torch.set_default_dtype(torch.float32)
    decoder = BinnedGaussianDecoder(nn.Linear(1, 200), Levels((100,), 256))
    with torch.no_grad():
        decoder.net.bias.normal_(std=30)
    table = decoder(torch.randn(4, 1)).table
    assert table.isfinite().all()
    table.sum().backward()
    assert all(p.grad.isfinite().all() for p in decoder.parameters())


@pytest.mark.parametrize("window", [0, 1, 2])
def test_windows_see_so_far_back_and_no_further(window):
    decoder = randomised(WindowDecoder(net(2, 9), Levels((3,), 3), window))
    z, states = torch.randn(1, 2), torch.cartesian_prod(*[torch.arange(3)] * 3)
    p = decoder(z.expand(27, -1)).log_prob(states).exp()
    assert p.sum().item() == pytest.approx(1, abs=1e-12)
    draws = decoder(z.expand(60_000, -1)).sample().long() @ torch.tensor([9, 3, 1])
    seen = draws.bincount(minlength=27) / 60_000
    assert ((seen - p).abs() < 5 * (p * (1 - p) / 60_000).sqrt() + 1e-6).all()
    x = torch.tensor([[0, 1, 2], [2, 1, 2]])  # the first pixel moves; who notices?
    table = decoder(z.expand(2, -1)).table(x)
    moved = [bool((table[0, d] != table[1, d]).any()) for d in range(3)]
    assert moved == [False, window >= 1, window >= 2]


def test_grey_cross_entropy_is_not_a_likelihood():
    """The loss of many tutorials: summed over the 17 grey levels it is not one."""
    logit, grey = torch.tensor(0.3), torch.arange(17) / 16
    log_p = grey * logit - nn.functional.softplus(logit)
    assert log_p.exp().sum() > 5


# --- collapse ------------------------------------------------------------------------------------


def test_active_units_of_a_known_code():
    encoder = GaussianEncoder(nn.Linear(2, 6), 3)
    with torch.no_grad():
        encoder.net.weight.zero_()
        encoder.net.weight[0, 0], encoder.net.weight[1, 1] = 2.0, 0.01
    x = torch.tensor([[1.0, 1.0], [-1.0, -1.0], [1.0, -1.0], [-1.0, 1.0]])
    torch.testing.assert_close(activity(encoder, x), torch.tensor([16 / 3, 4e-4 / 3, 0.0]))
    assert active_units(encoder, x) == 1
    assert active_units(encoder, x, threshold=1e-5) == 2


# --- drawing, starting, training ------------------------------------------------------------------


def test_samples_of_a_model_come_from_its_generator_and_leave_its_mode_alone():
    model = zoo.get("vae").build(Levels((1, 2, 2), 3), latent_dim=2, width=8, dropout=0.9)
    model.train()
    model.encoder.eval()  # a part in another mode than the whole
    draws = [model.sample(40, generator=torch.Generator().manual_seed(s)) for s in (1, 1, 2)]
    assert model.training
    assert model.decoder.net.dropout.training
    assert not model.encoder.training
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    state = torch.get_rng_state()
    model.sample(3, generator=torch.Generator())
    assert torch.equal(state, torch.get_rng_state())
    assert model.sample(0).shape == (0, 1, 2, 2)


def test_a_model_starts_at_the_level_frequencies():
    digits = data.load("digits")
    model = zoo.get("vae").build(digits.kind, latent_dim=2, width=8)
    model.start_from(digits.train)
    expected = digits.kind.frequencies(digits.train).log()
    torch.testing.assert_close(model.decoder.background, expected.double(), rtol=0, atol=1e-6)


def test_jitter_depends_on_the_step_and_not_on_how_often_it_was_called():
    x = data.load("digits").train[:64]
    jitter = Jitter(17, until=50, shift=0.3, turn=0.1)
    torch.manual_seed(4)
    first = jitter(x, 7)
    jitter(x, 8)
    torch.manual_seed(4)
    assert torch.equal(jitter(x, 7), first)
    torch.manual_seed(4)
    assert torch.equal(Jitter(17, 50, 0.3, 0.1, done=5)(x, 2), first)  # a second part of training
    assert first.dtype == x.dtype
    assert first.max() <= 16
    moved = lambda step: (jitter(x, step) != x).flatten(1).any(1).float().mean()  # noqa: E731
    assert moved(0) > 0.8 > 0.4 > moved(44) > moved(49) == 0


# --- bad input -----------------------------------------------------------------------------------


def sigmoid_net():
    return nn.Sequential(nn.Linear(2, 4), nn.Sigmoid())


PIXELS = Levels((2,), 3)
PARTS = {
    "data": PIXELS, "encoder": nn.Identity(), "decoder": nn.Identity(), "prior": nn.Identity()
}  # fmt: skip
BAD = {
    "latent_dim": lambda: GaussianEncoder(nn.Linear(2, 2), 0),
    "max_log_var": lambda: GaussianEncoder(nn.Linear(2, 2), 1, 0.0),
    "beta": lambda: VAE(**PARTS, beta=-1.0),
    "free_nats": lambda: VAE(**PARTS, free_nats=-1.0),
    "k": lambda: small_vae().iw_bound(torch.zeros(2, 3, dtype=torch.int64), 0),
    "n": lambda: small_vae().sample(-1),
    "x": lambda: small_vae().posterior(torch.full((2, 3), 3)),
    "net": lambda: SoftmaxDecoder(sigmoid_net(), PIXELS),
    "floor": lambda: NormalDecoder(nn.Linear(2, 2), Reals((1,)), 0.0),
    "n_components": lambda: LogisticMixtureDecoder(nn.Linear(2, 2), PIXELS, 0),
    "parameters": lambda: DiscretizedLogisticMixture(torch.zeros(2, 4), 3),
    "std": lambda: score_function_gradients(torch.sum, torch.zeros(1), -torch.ones(1), 3),
    "values": lambda: leave_one_out(torch.zeros(1)),
    "window": lambda: WindowDecoder(nn.Linear(2, 2), PIXELS, 2),
    "dim": lambda: normal_nodes(0, 3),
    "threshold": lambda: active_units(None, torch.zeros(2, 2), 0.0),
    "until": lambda: Jitter(17, 0, 0.3, 0.1),
    "shift": lambda: Jitter(17, 5, -0.3, 0.1),
    "data": lambda: zoo.get("vae").build(Levels((7,), 3)),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_arguments_are_named(name):
    with pytest.raises(ValueError, match=rf"\b{name}\b"):
        BAD[name]()


@pytest.mark.parametrize("name", integer_decoders())
def test_networks_of_the_wrong_width_are_named(name):
    decoder = integer_decoders()[name]
    decoder.net = nn.Linear(2, 7)
    with pytest.raises(ValueError, match=r"\bnet\b.*got 7"):
        decoder(torch.zeros(3, 2))
    with pytest.raises(ValueError, match=r"\blatent_dim\b"):
        GaussianEncoder(nn.Linear(4, 3), 2)(torch.zeros(2, 4))


def test_the_gpu_recipe_takes_a_few_steps_on_a_cpu():
    torch.set_default_dtype(torch.float32)
    recipe = zoo.get("vae").recipes["mnist_gpu"]
    x = torch.randint(2, (8, 1, 28, 28), dtype=torch.uint8)
    model = zoo.get("vae").build(Levels((1, 28, 28), 2), **recipe.sizes)
    few = {"warm": 2, "steps": 2, "batch_size": 4, "eval_every": 2}
    recipe.train(model, SimpleNamespace(train=x, val=x), 0, **recipe.fit | few)
    assert model.sample(2).shape == (2, 1, 28, 28)
