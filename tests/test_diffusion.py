"""Scores and diffusion: the contract, identities, closed forms, enumerations, planted faults."""

import itertools
import math

import contract
import pytest
import torch
from planted_diffusion import FAULTS
from planting import property_tests
from torch import nn

import dgm.diffusion.score_matching as score_matching
from dgm import zoo
from dgm.continuous.ffjord import FFJORD
from dgm.continuous.ode_layer import ODELayer
from dgm.continuous.solver import Solver
from dgm.continuous.trace import ExactTrace
from dgm.diffusion.absorbing import AbsorbingDiffusion
from dgm.diffusion.ddim import DDIM
from dgm.diffusion.diffusion import Diffusion
from dgm.diffusion.edm import EDM
from dgm.diffusion.exact_denoiser import MixtureInNoise
from dgm.diffusion.forward_process import VariancePreserving
from dgm.diffusion.langevin import AnnealedLangevin
from dgm.diffusion.ncsn import NCSN
from dgm.diffusion.parameterisation import (
    LevelsGivenNoise,
    NormalGivenNoise,
    PredictData,
    PredictLevels,
    PredictNoise,
    PredictVelocity,
    implied_noise,
)
from dgm.diffusion.probability_flow import ProbabilityFlow
from dgm.diffusion.schedule import BetaSchedule, CosineSchedule, LearnedSchedule, LinearSchedule
from dgm.diffusion.straightness import straightness
from dgm.diffusion.variance import FixedShare, LearnedShare
from dgm.distribution.normal import StandardNormal
from dgm.distribution.support import Levels, Reals
from dgm.nets.denoising import DenoisingMLP, DenoisingUNet

PROCESS = VariancePreserving()
DOUBLE = torch.float64


@contract.over("diffusion")
def test_contract(entry, promise):
    promise(entry)


# --- properties, each of which a planted fault below must break -----------------------------------


class ExactGaussian(nn.Module):
    """The best predictor of data N(mean, variance), and p(x | z_0) of the variance given."""

    def __init__(self, mean, variance, final):
        super().__init__()
        one = torch.ones(1, dtype=DOUBLE)
        self.law = MixtureInNoise(one, mean * one[:, None], variance * one)
        self.final = final

    def forward(self, z, gamma, y=None):
        return self.law(z, gamma)

    def reconstruction(self, z, gamma, y=None):
        return NormalGivenNoise(self(z, gamma), torch.full_like(z, 0.5 * math.log(self.final)))


def gaussian_chain(share):
    """DDPM's chain on N(0, 1) with the best predictor: T = 1000, the first step as p(x | z_0)."""
    predictor = ExactGaussian(0.0, 1.0, 1e-4)
    predictor.anchor = nn.Parameter(torch.zeros(1, dtype=DOUBLE))
    chain = Reals((1,)), BetaSchedule(1000), predictor, PROCESS
    return Diffusion(*chain, 999, 1, FixedShare(share)).eval()


def the_bound_on_a_gaussian_is_its_entropy():
    """Variances of the step forward: 1.41894 nats; of the step back: 1.88383 (facts, sheet 50).

    In closed form, where the squared error of the best x_hat has the mean sigma_t^2, and by draws.
    """
    torch.manual_seed(0)
    log_kept = torch.log1p(-torch.linspace(1e-4, 0.02, 1000, dtype=DOUBLE)).cumsum(0)
    gamma = torch.log(-torch.expm1(log_kept)) - log_kept
    x_hat = torch.sigmoid(gamma).sqrt()[:, None]
    x = torch.distributions.Normal(0.0, 1.0).icdf((torch.arange(999, dtype=DOUBLE) + 0.5) / 999)
    x = x[:, None] / x.square().mean().sqrt()
    for share, nats in ((1.0, 1.418939), (0.0, 1.88383)):
        steps = PROCESS.cost_of_step(0 * x_hat[1:], x_hat[1:], gamma[:-1], gamma[1:], share)
        clean = 0.5 * math.log(2 * math.pi * 1e-4) + 0.5 * torch.sigmoid(gamma[0]).item() / 1e-4
        prior = PROCESS.cost_of_prior(x, gamma[-1]).mean().item()
        assert steps.sum().item() + clean + prior == pytest.approx(nats, abs=1e-5)
        by_draws = gaussian_chain(share).step_costs(x).sum(0).mean().item()
        assert by_draws == pytest.approx(nats, abs=0.12)


def one_jump_is_many_steps():
    gammas = torch.tensor([-3.0, -1.0, 0.5, 2.0], dtype=DOUBLE)
    torch.manual_seed(0)
    x = torch.full((200_000, 1), 0.7, dtype=DOUBLE)
    z = PROCESS.noised(x, gammas[0].expand(len(x)), torch.randn_like(x))
    for s, t in itertools.pairwise(gammas):
        z = PROCESS.step_forward(z, s, t, torch.randn_like(x))
    alpha, sigma = PROCESS.signal_and_noise(gammas[-1], x)
    assert z.mean().item() == pytest.approx(0.7 * alpha.item(), abs=0.01)
    assert z.var().item() == pytest.approx(sigma.item() ** 2, rel=0.01)


def a_step_back_is_bayes_rule():
    """q(z_s | z_t, x) is q(z_t | z_s) q(z_s | x) / q(z_t | x), on a grid."""
    gamma_s, gamma_t = torch.tensor(-0.4, dtype=DOUBLE), torch.tensor(0.7, dtype=DOUBLE)
    grid = torch.linspace(-8, 8, 4001, dtype=DOUBLE)[:, None]
    x, z_t = torch.full_like(grid, 0.6), torch.full_like(grid, -0.3)
    alpha_s, sigma_s = PROCESS.signal_and_noise(gamma_s, grid)
    mean_t = PROCESS.step_forward(grid, gamma_s, gamma_t, torch.zeros_like(grid))
    new = PROCESS.step_forward(0 * grid, gamma_s, gamma_t, torch.ones_like(grid))
    log_p = -0.5 * ((z_t - mean_t) / new) ** 2 - 0.5 * ((grid - alpha_s * x) / sigma_s) ** 2
    p = log_p.softmax(0)
    mean, log_var, _ = PROCESS.step_back(z_t, x, gamma_s, gamma_t)
    expected = (p * grid).sum()
    assert mean[0].item() == pytest.approx(expected.item(), abs=1e-6)
    variance = (p * (grid - expected) ** 2).sum().item()
    assert torch.as_tensor(log_var).exp().item() == pytest.approx(variance, rel=1e-5)


def the_cost_of_a_step_is_a_divergence_of_two_gaussians():
    torch.manual_seed(0)
    gamma_s, gamma_t = torch.tensor([-0.4], dtype=DOUBLE), torch.tensor([0.9], dtype=DOUBLE)
    x, x_hat, z = torch.randn(3, 1, 5, dtype=DOUBLE)
    for share in (0.0, 0.3, 1.0):
        mean, back, forward = PROCESS.step_back(z, x, gamma_s, gamma_t)
        other = PROCESS.step_back(z, x_hat, gamma_s, gamma_t)[0]
        q = torch.distributions.Normal(mean, (0.5 * back).exp())
        p = torch.distributions.Normal(other, (0.5 * (share * forward + (1 - share) * back)).exp())
        found = PROCESS.cost_of_step(x, x_hat, gamma_s, gamma_t, share)
        torch.testing.assert_close(found, torch.distributions.kl_divergence(q, p).sum(1))


def the_prior_term_is_a_divergence_from_the_unit_normal():
    x, gamma = torch.randn(4, 3, dtype=DOUBLE), torch.full((4,), 1.2, dtype=DOUBLE)
    alpha, sigma = PROCESS.signal_and_noise(gamma, x)
    q = torch.distributions.Normal(alpha * x, sigma.expand_as(x))
    unit = torch.distributions.Normal(torch.zeros_like(x), 1.0)
    expected = torch.distributions.kl_divergence(q, unit).sum(1)
    torch.testing.assert_close(PROCESS.cost_of_prior(x, gamma), expected)


def small(name="levels_diffusion", seed=0, **sizes):
    """Of rows of four levels, where the network is a perceptron: quick."""
    entry = zoo.get(name)
    torch.manual_seed(seed)
    model = entry.build(Levels((4,), 3), **entry.tiny.sizes | sizes)
    return contract.moved(model, 0.2).double()


def wide(model):
    """Less of everything between the ends, so that no term of a small bound vanishes."""
    with torch.no_grad():
        model.schedule.low.fill_(-1.5)
        model.schedule.wide.fill_(2.0)
    return model


def elbo_is_minus_the_sum_of_every_term():
    """Steps, both ends and all strata: means of `elbo`, of `loss` in training, of `step_costs`."""
    x = torch.randint(3, (1, 4)).expand(8000, -1)
    for strata in (1, 2, 5):
        model = wide(small(steps=5, strata=strata))
        with torch.no_grad():
            torch.manual_seed(0)
            every = model.step_costs(x).sum(0)
            drawn, trained = -model.elbo(x), model.train().loss(x)
            model.eval()
        for found in (drawn, trained):
            error = ((found.var() + every.var()) / len(x)).sqrt()
            assert abs(found.mean() - every.mean()) < 5 * error
        assert every.mean() > 0.5


def path_weights_average_to_a_probability():
    """Importance weights along the whole chain: their means sum to one over all pictures."""
    model = wide(small("levels_diffusion", steps=3))
    states = torch.cartesian_prod(*[torch.arange(3)] * 4).view(81, 4)
    torch.manual_seed(0)
    k = 600
    x = states.repeat(k, 1)
    with torch.no_grad():
        w = log_weights(model, x).view(k, 81).exp().mean(0)
    assert w.sum().item() == pytest.approx(1.0, abs=0.03)
    # and draws have those frequencies
    n = 60_000
    drawn = model.sample(n, generator=torch.Generator().manual_seed(0)).flatten(1).long()
    code = (drawn * torch.tensor([27, 9, 3, 1])).sum(1)
    seen = torch.bincount(code, minlength=81) / n
    assert (seen - w).abs().sum() < 0.07, (seen - w).abs().sum()


def log_weights(model, x):
    """log p(x, z_0 .. z_1) - log q(z_0 .. z_1 | x) of one path for each x, by plain densities."""
    u, steps = model.data.scaled(x, dtype=DOUBLE), model.steps
    gamma = [model.schedule(torch.tensor(i / steps, dtype=DOUBLE)) for i in range(steps + 1)]
    alpha, sigma = PROCESS.signal_and_noise(gamma[-1], u)
    normal = torch.distributions.Normal
    q = normal(alpha * u, sigma.expand_as(u))
    z = q.sample()
    log_w = (normal(0.0, 1.0).log_prob(z) - q.log_prob(z)).flatten(1).sum(1)
    for i in range(steps, 0, -1):
        x_hat = model.predictor(z, gamma[i].expand(len(z)))
        laws = []
        for guess in (u, x_hat):
            mean, log_var, _ = PROCESS.step_back(z, guess, gamma[i - 1], gamma[i])
            laws.append(normal(mean, (0.5 * log_var).exp().expand_as(mean)))
        z = laws[0].sample()
        log_w = log_w + (laws[1].log_prob(z) - laws[0].log_prob(z)).flatten(1).sum(1)
    return log_w + model.predictor.reconstruction(z, gamma[0].expand(len(z))).log_prob(x)


def bins_of_a_ddpm_sum_to_one():
    model = small("ddpm")
    z, gamma = torch.randn(50, 4, dtype=DOUBLE), torch.full((50,), -1.0, dtype=DOUBLE)
    with torch.no_grad():
        law = model.predictor.reconstruction(z, gamma)
        states = torch.cartesian_prod(*[torch.arange(3)] * 4).view(81, 4)
        p = sum(law.log_prob(x.expand(50, 4)).exp() for x in states)
    torch.testing.assert_close(p, torch.ones(50, dtype=DOUBLE))


def predictions_are_of_the_same_data():
    """Noise, data and v of one z lead to the same x_hat."""
    torch.manual_seed(0)
    x, eps = torch.randn(2, 6, 3, dtype=DOUBLE)
    gamma = torch.linspace(-3, 3, 6, dtype=DOUBLE)
    z = PROCESS.noised(x, gamma, eps)
    alpha, sigma = PROCESS.signal_and_noise(gamma, z)
    for kind, truth in (
        (PredictNoise, eps),
        (PredictData, x),
        (PredictVelocity, alpha * eps - sigma * x),
    ):
        predictor = kind(lambda z, gamma, y, truth=truth: truth, NormalGivenNoise)
        torch.testing.assert_close(predictor(z, gamma), x)
    torch.testing.assert_close(implied_noise(z, x, gamma), eps)


def levels_are_weighed_by_bayes_rule():
    data = Levels((1, 1, 2), 4)
    predictor = PredictLevels(lambda z, gamma, y: torch.zeros(len(z), 4, 1, 2), data, 4)
    x = torch.randint(4, (60, 1, 1, 2), generator=torch.Generator().manual_seed(1))
    predictor.start_from(x)
    predictor.double()
    gamma = torch.tensor([0.3], dtype=DOUBLE)
    z = torch.tensor([[[[0.2, -0.8]]]], dtype=DOUBLE)
    alpha, sigma = PROCESS.signal_and_noise(gamma, z)
    prior, values = data.frequencies(x).double(), torch.linspace(-1, 1, 4, dtype=DOUBLE)
    near = torch.exp(-0.5 * ((z[..., None] - alpha[..., None] * values) / sigma[..., None]) ** 2)
    post = prior * near
    post = post / post.sum(-1, keepdim=True)
    torch.testing.assert_close(predictor(z, gamma), (post * values).sum(-1))


def the_last_step_adds_no_noise():
    """At the end DDIM gives x_hat rounded, and z_0 is no noisier than the schedule says."""
    model = small("levels_diffusion", steps=6)
    made = torch.Generator().manual_seed(0)
    start = torch.randn(5, 4, dtype=DOUBLE, generator=made)
    once = DDIM(4)(model, 5, start=start)
    assert torch.equal(once, DDIM(4)(model, 5, start=start))
    edm = zoo.get("edm").build(Reals((2,)), width=8)
    x = torch.randn(4, 2)
    with torch.no_grad():
        last = edm.heun(x, torch.tensor([0.5, 0.0]))
        torch.testing.assert_close(last, edm.denoised(x, torch.full((4,), 0.5)))


def ddim_carries_a_gaussian_to_a_gaussian():
    """With the exact denoiser of N(m, v): the mean and the variance of the draws, at both etas."""
    predictor = ExactGaussian(0.4, 0.3, 1e-3)
    predictor.anchor = nn.Parameter(torch.zeros(1, dtype=DOUBLE))
    model = Diffusion(Reals((1,)), LinearSchedule(-7, 8), predictor, PROCESS, 20, 4).eval()
    for eta in (0.0, 1.0):
        sampler = DDIM(200, eta)
        made = torch.Generator().manual_seed(0)
        x = rough(sampler, model, made)
        assert x.mean().item() == pytest.approx(0.4, abs=0.02)
        assert x.var().item() == pytest.approx(0.3, rel=0.06)


def rough(sampler, model, made):
    """Draws of reals by DDIM, which rounds levels: z_0 over alpha_0 in their place."""
    path = []
    z = torch.randn(20_000, 1, dtype=DOUBLE, generator=made)
    model.data.stored = lambda v: v
    model.data.unscaled = lambda v: v
    sampler(model, len(z), start=z, generator=made, path=path)
    t, z, x_hat = path[-1]
    gamma = (model.schedule(torch.full((len(z),), u, dtype=DOUBLE)) for u in (0.0, t))
    gamma_s, gamma_t = gamma
    z = sampler.step(PROCESS, z, x_hat, gamma_s, gamma_t, made)
    return z / PROCESS.signal_and_noise(gamma_s, z)[0]


def guidance_moves_towards_the_label():
    """(1 + w) x_hat(y) - w x_hat(no label), in DDIM and in the model's own draws."""
    model = small("guided_diffusion")
    seen = []

    class Stand(nn.Module):
        def forward(self, z, gamma, y=None):
            none = y is None
            y = torch.full((len(z),), 3) if none else y
            return torch.where(y == 3, 0.1, 0.5).to(z).view(-1, 1).expand_as(z)

        def reconstruction(self, z, gamma, y=None):
            return LevelsGivenNoise(model.data, torch.zeros(*z.shape, 3))

    model.predictor = Stand()
    y, z = torch.zeros(2, dtype=torch.long), torch.zeros(2, 4, dtype=DOUBLE)
    found = DDIM(2, guidance=2.0)._guided(model, z, torch.zeros(2, dtype=DOUBLE), y)
    torch.testing.assert_close(found, torch.full_like(z, 3 * 0.5 - 2 * 0.1))
    model.anchor = nn.Parameter(torch.zeros(1, dtype=DOUBLE))
    model.step = lambda z, i, before, x_hat, generator: seen.append(x_hat) or z
    model.sample(2, y=y, guidance=2.0)
    torch.testing.assert_close(seen[0], torch.full_like(z, 1.3))


def the_flow_without_noise_has_the_density_of_the_data():
    """log p by the solver against the closed form, of a mixture in the plane."""
    law = MixtureInNoise(
        torch.tensor([0.3, 0.7]), torch.tensor([[-1.0, 0.2], [0.8, -0.5]]), torch.tensor([0.1, 0.3])
    ).double()
    low, high = -6.0, 14.0
    field = ProbabilityFlow(law, PROCESS, low, high)
    ode = ODELayer(field, ExactTrace(), Solver("dopri5", tol=1e-7))
    flow = FFJORD(ode, StandardNormal((2,)), Reals((2,))).double()
    x = law.sample(20, generator=torch.Generator().manual_seed(0))
    alpha, sigma = PROCESS.signal_and_noise(torch.tensor(low, dtype=DOUBLE), x)
    found = flow.log_prob(x)
    # the density of z_0 = alpha (data + s eps) at x
    exact = law.log_prob(x / alpha, (sigma / alpha).expand(len(x))) - 2 * alpha.log()
    torch.testing.assert_close(found.detach(), exact, atol=2e-3, rtol=0)


def an_absorbing_bound_is_the_mean_over_orders():
    """Enumerated: four pixels, 24 orders, 16 masks; at one stage for each pixel."""
    model = small("absorbing_diffusion", strata=1)
    x = torch.tensor([[0, 2, 1, 0], [2, 2, 0, 1]])
    with torch.no_grad():
        orders = [
            model.order_log_prob(x, torch.tensor(o)) for o in itertools.permutations(range(4))
        ]
        mean = torch.stack(orders).mean(0)
        many = x.repeat(8000, 1)
        torch.manual_seed(0)
        by_stage = model.stage_costs(many).sum(0).view(-1, 2)
        for strata in (1, 2, 4):
            model.strata = strata
            drawn = -model.elbo(many).view(-1, 2)
            error = (drawn.var(0) / len(drawn)).sqrt()
            assert ((drawn.mean(0) + mean).abs() < 5 * error).all()
        trained = model.train().loss(many).view(-1, 2)
    for found in (by_stage, trained):
        error = (found.var(0) / len(found)).sqrt()
        assert ((found.mean(0) + mean).abs() < 5 * error).all()


def every_order_is_a_law():
    model = small("absorbing_diffusion")
    states = torch.cartesian_prod(*[torch.arange(3)] * 4).view(81, 4)
    with torch.no_grad():
        laws = [
            model.order_log_prob(states, torch.tensor(o)).exp()
            for o in itertools.permutations(range(4))
        ]
    laws = torch.stack(laws)
    torch.testing.assert_close(laws.sum(1), torch.ones(24, dtype=DOUBLE))
    n = 20_000
    drawn = model.sample(n, generator=torch.Generator().manual_seed(0)).flatten(1).long()
    code = (drawn * torch.tensor([27, 9, 3, 1])).sum(1)
    seen = torch.bincount(code, minlength=81) / n
    assert (seen - laws.mean(0)).abs().sum() < 0.08


def scores_of_a_gaussian_are_matched():
    """For s = (m - x) / v the objective is least at the true m and v, where it is -1 / (2 v)."""
    torch.manual_seed(0)
    x = 0.5 + 1.3 * torch.randn(200_000, 1, dtype=DOUBLE)
    m, v = x.mean(), x.var()

    def linear(mean, variance):
        return lambda x: (mean - x) / variance

    eps, signs = torch.randn_like(x), torch.randn_like(x).sign()
    for name in ("explicit", "sliced"):
        extra = () if name == "explicit" else (signs,)
        call = getattr(score_matching, f"{name}_score_matching")
        least = call(linear(m, v), x, *extra).mean().item()
        assert least == pytest.approx(-0.5 / v.item(), rel=1e-4)
        for other in (linear(m + 0.2, v), linear(m, 1.2 * v), linear(m, 0.8 * v)):
            assert call(other, x, *extra).mean().item() > least + 1e-4
    sigma, values = 0.8, {}
    for factor in (0.8, 1.0, 1.2):
        in_noise = linear(m, factor * (v + sigma**2))
        found = score_matching.denoising_score_matching(in_noise, x, sigma, eps)
        values[factor] = found.mean().item()
    assert values[1.0] < min(values[0.8], values[1.2])


def annealed_walks_find_the_weights():
    """Two modes of weights .8 and .2: right when annealed, half and half when walked plainly."""
    means = torch.tensor([[5.0, 5.0], [-5.0, -5.0]])
    law = MixtureInNoise(torch.tensor([0.8, 0.2]), means, torch.ones(2))
    made = torch.Generator().manual_seed(0)
    start = 16 * torch.rand(1500, 2, generator=made) - 8
    noises = torch.logspace(math.log10(20), -0.5, 12)
    annealed = AnnealedLangevin(noises, 60, 0.1)(law.score, 20 * start / 8, made)
    plain = AnnealedLangevin(noises[-1:], 720, 1.0)(law.score, start, made)
    share = [(x.sum(1) > 0).float().mean().item() for x in (annealed, plain)]
    assert share[0] == pytest.approx(0.8, abs=0.05)
    assert share[1] == pytest.approx(0.5, abs=0.06)
    assert annealed[annealed.sum(1) > 0].var(0).mean() == pytest.approx(1.1, abs=0.2)


def heun_is_of_second_order():
    law = MixtureInNoise(torch.tensor([1.0]), torch.tensor([[0.7]]), torch.tensor([0.25])).double()
    edm = EDM(Reals((1,)), nn.Linear(1, 1), steps=4)
    edm.denoised = law.denoised
    x, errors = 3 * torch.ones(1, 1, dtype=DOUBLE), []
    exact = 0.7 + (x - 0.7) * math.sqrt((0.25 + 0.5**2) / (0.25 + 3.0**2))
    for n in (8, 16, 32):
        levels = torch.linspace(3, 0.5, n + 1, dtype=DOUBLE)
        errors.append((edm.heun(x, levels) - exact).abs().item())
    assert errors[0] / errors[1] > 3.5
    assert errors[1] / errors[2] > 3.5


def preconditioning_keeps_unit_size():
    """Input and target of the network have variance one at every noise."""
    torch.manual_seed(0)
    x, eps = 0.5 * torch.randn(200_000, 1), torch.randn(200_000, 1)
    seen = []

    class Keep(nn.Module):
        def forward(self, z, level):
            seen.append(z)
            return torch.zeros_like(z)

    edm = EDM(Reals((1,)), Keep(), deviation=0.5)
    for sigma in (0.05, 0.5, 5.0):
        level = torch.full((len(x),), sigma)
        skip = edm.denoised(x + sigma * eps, level)
        whole = math.sqrt(sigma**2 + 0.25)
        target = (x - skip) / (sigma * 0.5 / whole)
        assert seen[-1].var().item() == pytest.approx(1, abs=0.02)
        assert target.var().item() == pytest.approx(1, abs=0.02)


PROPERTIES = (
    the_bound_on_a_gaussian_is_its_entropy, one_jump_is_many_steps, a_step_back_is_bayes_rule,
    the_cost_of_a_step_is_a_divergence_of_two_gaussians,
    the_prior_term_is_a_divergence_from_the_unit_normal, elbo_is_minus_the_sum_of_every_term,
    path_weights_average_to_a_probability, bins_of_a_ddpm_sum_to_one,
    predictions_are_of_the_same_data, levels_are_weighed_by_bayes_rule,
    the_last_step_adds_no_noise, ddim_carries_a_gaussian_to_a_gaussian,
    guidance_moves_towards_the_label, the_flow_without_noise_has_the_density_of_the_data,
    an_absorbing_bound_is_the_mean_over_orders, every_order_is_a_law,
    scores_of_a_gaussian_are_matched, annealed_walks_find_the_weights, heun_is_of_second_order,
    preconditioning_keeps_unit_size,
)  # fmt: skip

test_property, test_planted_fault = property_tests(PROPERTIES, FAULTS)


# --- the parts, on numbers known beforehand -------------------------------------------------------


@pytest.mark.parametrize(
    "schedule", [LinearSchedule(), CosineSchedule(), BetaSchedule(50), LearnedSchedule()]
)
def test_noise_only_grows(schedule):
    if isinstance(schedule, LearnedSchedule):
        contract.moved(schedule, 0.5)
    gamma = schedule(torch.linspace(0, 1, 301))
    assert (gamma[1:] > gamma[:-1]).all()


def test_the_betas_are_those_of_ddpm():
    gamma = BetaSchedule(1000).gamma
    assert torch.sigmoid(-gamma[-1]).item() == pytest.approx(4.036e-5, rel=1e-3)
    assert torch.sigmoid(gamma[0]).item() == pytest.approx(1e-4, rel=1e-4)
    assert BetaSchedule(50)(torch.tensor([0.0, 1.0])).tolist() == pytest.approx(
        BetaSchedule(50).gamma[[0, -1]].tolist()
    )


def test_the_cosine_is_one():
    t = torch.linspace(0, 1, 7).double()
    schedule = CosineSchedule(-9, 9)
    angle = 0.5 * math.pi * (schedule.first + (schedule.last - schedule.first) * t)
    torch.testing.assert_close(torch.sigmoid(-schedule(t)).sqrt(), angle.cos())


def test_a_learned_schedule_learns_all_of_itself():
    model = small("levels_diffusion", steps=7)
    x = torch.randint(3, (64, 4))
    model.train().loss(x).mean().backward()
    for parameter in model.schedule.parameters():
        assert parameter.grad.abs().sum() > 0


def test_a_share_lies_between_its_ends():
    share = contract.moved(LearnedShare(5), 2.0)(torch.linspace(0, 1, 50))
    assert ((share > 0) & (share < 1)).all()
    assert FixedShare(0.25)(torch.zeros(3)).tolist() == [0.25] * 3


def test_labels_are_left_out_as_often_as_said():
    model = small("guided_diffusion")
    seen = []
    model.predictor.register_forward_pre_hook(lambda m, a: seen.append(a[2]))
    model.drop = 0.3
    x, y = torch.zeros(4000, 4, dtype=torch.long), torch.ones(4000, dtype=torch.long)
    model.train().loss(x, y)
    none = (torch.cat(seen) == model.condition.levels).float().mean().item()
    assert none == pytest.approx(0.3, abs=0.03)
    assert not torch.equal(model.eval().terms(x, y)["diffusion"], model.terms(x)["diffusion"])


def test_a_network_without_labels_is_that_of_the_last_label():
    net = contract.moved(DenoisingUNet(1, (4, 4), 1, width=4, blocks=1, classes=3), 0.3)
    z, level = torch.randn(2, 1, 4, 4), torch.zeros(2)
    none = net(z, level)
    assert torch.equal(none, net(z, level, torch.full((2,), 3)))
    assert not torch.equal(none, net(z, level, torch.zeros(2, dtype=torch.long)))
    other = contract.moved(DenoisingMLP(3, width=4, classes=2), 0.3)
    assert not torch.equal(other(z[:, 0, 0, :3], level), other(z[:, 0, 0, :3], level + 1))


def test_a_path_is_kept_where_it_is_asked_for():
    model, path = small("levels_diffusion", steps=4), []
    model.sample(3, path=path)
    assert [i for i, _, _ in path] == [4, 3, 2, 1]
    path = []
    small("absorbing_diffusion").sample(2, path=path)
    assert [seen.sum().item() for _, seen in path] == [0, 2, 4, 6]


def test_fewer_stages_are_the_same_bound_read_in_groups():
    """Stages of two: independent given what is seen, so the bound is no better than one by one."""
    one, two = small("absorbing_diffusion"), small("absorbing_diffusion", stages=2)
    two.load_state_dict(one.state_dict())
    x = torch.randint(3, (1, 4)).repeat(4000, 1)
    with torch.no_grad():
        costs = two.stage_costs(x)
    assert costs.shape == (2, 4000)
    assert costs.sum(0).mean() > 0


def test_straight_lines_are_straight():
    a, b = torch.randn(2, 5, 3)
    line = torch.stack([a + t * (b - a) for t in (0, 0.3, 0.4, 1)])
    torch.testing.assert_close(straightness(line), torch.ones(5))


def test_ncsn_scores_at_the_smallest_noise_unless_told():
    model = zoo.get("ncsn").small()[0]
    x = torch.randn(4, 3)
    assert torch.equal(model.score(x), model.score(x, model.sigmas[-1].expand(4)))
    assert not hasattr(model, "log_prob")


def test_relu_has_no_trace_to_match():
    """Why explicit score matching needs smooth units: a line's kinks have no slope."""
    net = nn.Sequential(nn.Linear(1, 6), nn.ReLU(), nn.Linear(6, 1)).double()
    x = torch.randn(50, 1, dtype=DOUBLE)
    step = torch.autograd.functional.hessian(lambda v: net(v).sum(), x[:1])
    assert step.abs().max() == 0
    assert score_matching.explicit_score_matching(net, x).shape == (50,)


_KIND = Levels((1, 2, 2), 3)


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: LinearSchedule(1.0, 1.0), "low"),
        (lambda: CosineSchedule(math.nan, 1.0), "low"),
        (lambda: BetaSchedule(1), "steps"),
        (lambda: BetaSchedule(10, 0.0), "first"),
        (lambda: LearnedSchedule(knots=0), "knots"),
        (lambda: FixedShare(1.5), "value"),
        (lambda: LearnedShare(0), "knots"),
        (lambda: DDIM(0), "steps"),
        (lambda: DDIM(True), "steps"),
        (lambda: DDIM(5, eta=2.0), "eta"),
        (lambda: DDIM(5, guidance=-1.0), "guidance"),
        (lambda: AnnealedLangevin([1.0, 2.0]), "sigmas"),
        (lambda: AnnealedLangevin([1.0], rate=0.0), "rate"),
        (lambda: NCSN(Reals((2,)), nn.Identity(), torch.tensor([0.1, 0.2]), None), "sigmas"),
        (lambda: EDM(Reals((2,)), nn.Identity(), deviation=0.0), "deviation"),
        (lambda: EDM(Reals((2,)), nn.Identity(), steps=1), "steps"),
        (lambda: ProbabilityFlow(nn.Identity(), PROCESS, 1.0, 0.0), "low"),
        (lambda: straightness(torch.zeros(1, 2, 2)), "path"),
        (lambda: MixtureInNoise(torch.ones(2), torch.zeros(2, 1), torch.ones(2)), "weights"),
        (lambda: MixtureInNoise(torch.ones(1), torch.zeros(2, 1), torch.ones(1)), "means"),
        (lambda: AbsorbingDiffusion(nn.Identity(), _KIND, stages=5), "stages"),
        (lambda: small("levels_diffusion", steps=0), "steps"),
        (lambda: zoo.get("levels_diffusion").build(Reals((2,))), "data"),
        (lambda: zoo.get("ncsn").build(Reals((2,)), n_levels=1), "n_levels"),
        (lambda: small("levels_diffusion").terms(torch.zeros(2, 4).long(), y=torch.ones(2)),
         "y"),
        (lambda: small("guided_diffusion").sample(2, y=torch.tensor(9)), "y"),
        (lambda: small("absorbing_diffusion").order_log_prob(
            torch.zeros(1, 4).long(), torch.tensor([0, 0, 1, 2])), "order"),
        (lambda: DenoisingUNet(1, (3, 4), 1), "side"),
        (lambda: DenoisingMLP(0), "features"),
        (lambda: Diffusion(_KIND, LinearSchedule(), nn.Identity(), PROCESS, drop=2.0), "drop"),
    ],
)  # fmt: skip
def test_bad_input_is_named(call, named):
    with pytest.raises(ValueError, match=rf"\b{named}\b"):
        call()
