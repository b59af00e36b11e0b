"""Deep energies: the contract over all entries, chains against laws, estimates against sums."""

import itertools
import math

import contract
import pytest
import torch
from planted_deep_energy import FAULTS
from planting import property_tests
from torch import nn

from dgm import zoo
from dgm.data.worlds import all_states
from dgm.deep_energy import boltzmann_generator
from dgm.deep_energy.annealing import annealed_log_z
from dgm.deep_energy.boltzmann_generator import BoltzmannGenerator, log_ratio
from dgm.deep_energy.contrast import Contrast
from dgm.deep_energy.deep_energy import DeepEnergy
from dgm.deep_energy.double_well import DoubleWell
from dgm.deep_energy.ising import IsingModel
from dgm.deep_energy.langevin import Langevin, langevin_variance
from dgm.deep_energy.mala import MALA
from dgm.deep_energy.matching import DenoisingMatch, SlicedMatch
from dgm.deep_energy.noise_contrast import NoiseContrast
from dgm.deep_energy.plane_energy import GridLikelihood, PlaneEnergy
from dgm.deep_energy.replay_buffer import ReplayBuffer
from dgm.distribution.normal import StandardNormal
from dgm.distribution.support import Levels, Reals
from dgm.flow.elementwise import Scale
from dgm.flow.flow import Flow
from dgm.nets.energy_net import ConvEnergy, Waves
from dgm.train.unattended import tend
from dgm.zoo.studies import finishing, long_chains

_GAP = "start_from_starts_nearer_to_the_data"  # its loss is a gap, which says nothing of progress


@contract.over("deep_energy", without={"contrastive_energy": _GAP})
def test_contract(entry, promise):
    promise(entry)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def ripple(u):
    """An energy of one number (B, 1) that is no Gaussian: two wells of unequal depth."""
    return 2 * (u[:, 0].square() - 1).square() + 0.7 * u[:, 0]


def bins_of(law, edges):
    """Masses of exp(-law) / Z between the edges, by a fine sum."""
    x = torch.linspace(-4, 4, 80_001, dtype=torch.float64)[:, None]
    mass = (-law(x)).softmax(0)
    return torch.stack(
        [mass[(x[:, 0] >= a) & (x[:, 0] < b)].sum() for a, b in itertools.pairwise(edges)]
    )


def plane(objective=None, seed=0, std=0.6):
    """A small energy of points with its Z on a grid, every number moved, its Gaussian elsewhere."""
    torch.manual_seed(seed)
    model = zoo.get("plane_energy").build(Reals((2,)), hidden=(9, 7))
    if objective is not None:
        model.model.objective = objective
    contract.moved(model, std).double()
    model.model.centre.copy_(torch.tensor([0.3, -0.2]))
    model.model.spread.fill_(1.3)
    return model


# --- properties, each of which a planted fault below must break -----------------------------------


def langevin_on_a_gaussian_has_the_variance_that_is_said():
    for step, variance, temperature in ((0.5, 1.0, 1.0), (0.2, 0.4, 1.0), (0.3, 1.0, 0.5)):
        walk = Langevin(step, temperature)
        x = torch.zeros(60_000, 1, dtype=torch.float64)
        x, share = walk(lambda u: 0.5 * u.square().sum(1) / variance, x, 60, seeded())  # noqa: B023
        expected = langevin_variance(step, variance, temperature)
        assert share == 1.0
        assert x.var().item() == pytest.approx(expected, rel=0.025)
        assert x.mean().abs() < 0.02


def corrected_chains_keep_the_law_at_any_step():
    """Chains that begin at exact draws of a law of two wells still follow it, bin by bin."""
    grid = torch.linspace(-4, 4, 80_001, dtype=torch.float64)[:, None]
    first = torch.multinomial((-ripple(grid)).softmax(0), 40_000, True, generator=seeded())
    edges = [-4, -1.3, -1, -0.7, 0, 0.7, 1, 1.3, 4]
    p = bins_of(ripple, edges)
    for step in (0.05, 0.3):
        x, share = MALA(step)(ripple, grid[first], 40, seeded(1))
        found = torch.stack(
            [((x >= a) & (x < b)).double().mean() for a, b in itertools.pairwise(edges)]
        )
        error = (p * (1 - p) / len(x)).sqrt()
        assert 0.05 < share < 0.99
        assert ((found - p).abs() < 4.5 * error).all(), ((found - p) / error).tolist()


def a_refused_proposal_leaves_the_state_as_it_was():
    walk = MALA(30.0)  # nearly all are refused
    x = torch.randn(500, 1, dtype=torch.float64, generator=seeded())
    after, share = walk(ripple, x, 1, seeded(1))
    assert (after == x).double().mean().item() == pytest.approx(1 - share)
    assert share < 0.2


def the_step_settles_where_the_share_is_right():
    walk, x = MALA(0.01, share=0.6), torch.zeros(400, 20)
    for _ in range(90):
        x, share = walk(lambda u: 0.5 * u.square().sum(1), x, 2, seeded(2))
        walk.settle(share)
    assert share == pytest.approx(0.6, abs=0.08)
    assert walk.step > 0.1


def the_contrast_has_the_gradient_of_the_likelihood():
    """With chains that are exact draws: the gradient of -log p, whose Z is summed on a grid."""

    class Exact(nn.Module):
        def forward(self, energy, u, steps, generator=None):
            return whole.sample(len(u)), 1.0

        def settle(self, share):
            pass

    whole = plane(Contrast(ReplayBuffer(2, 40_000, fresh=0.0)))
    whole.model.walker = Exact()
    x = torch.randn(40_000, 2, dtype=torch.float64, generator=seeded()) * 0.5 + 1
    parameters = list(whole.model.net.parameters())
    found = torch.autograd.grad(whole.model.loss(x).mean(), parameters)
    exact = torch.autograd.grad(-whole.log_prob(x).mean(), parameters)
    size = max(true.abs().max() for true in exact)
    assert size > 0.1
    for mine, true in zip(found, exact, strict=True):
        torch.testing.assert_close(mine, true, rtol=0, atol=0.05 * size.item())


def chains_go_on_in_training_and_stand_still_in_eval_mode():
    model = zoo.get("contrastive_energy").build(Reals((3,)), hidden=(4,), chains=30, chain_steps=2)
    x = torch.randn(20, 3)
    model.start_from(x)
    buffer, begun = model.objective.buffer, model.objective.buffer.chains.clone()
    model.eval().loss(x)
    assert torch.equal(buffer.chains, begun)
    model.train().loss(x)
    moved = (buffer.chains != begun).any(1)
    assert 5 < moved.sum() <= 20  # the rows that were taken, but for refused ones


def fresh_chains_are_as_many_as_asked_for():
    for share in (0.0, 0.3, 1.0):
        buffer = ReplayBuffer(dims=2, size=6000, fresh=share)
        rows, state = buffer.take(5000, torch.ones(5000, 2), seeded())
        assert len(rows.unique()) == 5000
        assert state[:, 0].mean().item() == pytest.approx(share, abs=0.025)


def noise_contrast_is_least_at_the_right_log_z():
    """At the true law and log Z: the least loss of all classifiers, and no slope in log_z."""
    objective = NoiseContrast(ratio=3)
    whole = plane(objective)
    x = whole.sample(60_000, generator=seeded())
    with torch.no_grad():
        objective.log_z.copy_(whole.log_z())
        log_odds = whole.log_prob(x) - whole.model.base_log_prob(x) - math.log(3)
        noise = whole.model.base_draws(60_000)
        of_noise = whole.log_prob(noise) - whole.model.base_log_prob(noise) - math.log(3)
    best = nn.functional.softplus(-log_odds).mean() + 3 * nn.functional.softplus(of_noise).mean()
    loss = whole.model.loss(x).mean()
    assert loss.item() == pytest.approx(best.item(), abs=0.02)
    (slope,) = torch.autograd.grad(loss, objective.log_z)
    assert slope.abs() < 0.012


def slices_average_to_the_trace():
    """Along random signs: the trace of the Hessian, and half the squared slope, by autograd."""
    whole = plane(SlicedMatch(slices=1500))
    model, u = whole.model, torch.randn(3, 2, dtype=torch.float64, generator=seeded())
    found = model.objective(model, u).detach()
    for k in range(3):
        one = lambda v: model.tilted(v[None])[0]  # noqa: E731
        hessian = torch.autograd.functional.hessian(one, u[k])
        slope = torch.autograd.functional.jacobian(one, u[k])
        expected = -hessian.trace() + 0.5 * slope.square().sum()
        off = 2 * hessian[0, 1].abs() / 1500**0.5  # of a mean of signs
        assert (found[k] - expected).abs() < 4.5 * off + 1e-9


def sliced_matching_of_a_gaussian_is_least_at_its_variance():
    """J(v) = -D / (2 v) for the right v, and more for others."""
    x = 0.8 * torch.randn(200_000, 2, dtype=torch.float64, generator=seeded())
    found = {}
    for spread in (0.7, 0.8, 0.9):
        model = DeepEnergy(Reals((2,)), Flat(), SlicedMatch(), Langevin(0.1)).double()
        model.spread.fill_(spread)
        found[spread] = model.loss(x).mean().item()
    assert found[0.8] == min(found.values())
    assert found[0.8] == pytest.approx(-2 / (2 * 0.64), rel=0.02)


def denoising_learns_the_variance_with_the_noise():
    """Of a Gaussian: v + noise^2 has the least loss, half of D v / (v + noise^2)."""
    x = 0.8 * torch.randn(200_000, 2, dtype=torch.float64, generator=seeded())
    found = {}
    for spread in (0.8, (0.64 + 0.25) ** 0.5, 1.1):
        model = DeepEnergy(Reals((2,)), Flat(), DenoisingMatch(0.5), Langevin(0.1)).double()
        model.spread.fill_(spread)
        torch.manual_seed(9)
        found[spread] = model.loss(x).mean().item()
    best = (0.64 + 0.25) ** 0.5
    assert found[best] == min(found.values())
    assert found[best] == pytest.approx(0.5 * 2 * 0.64 / 0.89, rel=0.02)


def the_best_guess_of_a_gaussian_is_its_posterior_mean():
    model = DeepEnergy(Reals((2,)), Flat(), DenoisingMatch(0.5), Langevin(0.1)).double()
    model.centre.copy_(torch.tensor([1.0, -2.0]))
    model.spread.fill_((0.64 + 0.25) ** 0.5)
    u = torch.randn(5, 2, dtype=torch.float64)
    expected = model.centre + 0.64 / 0.89 * (u - model.centre)
    torch.testing.assert_close(model.best_guess(u), expected)


def the_grid_sums_what_the_plane_holds():
    """log Z against a sum of another rule, and against the loss of the grid."""
    whole = plane()
    at = torch.linspace(-7, 7, 701, dtype=torch.float64)
    points = torch.cartesian_prod(at, at)
    exact = torch.logsumexp(-whole.model.tilted(points), 0) + 2 * math.log(0.02)
    torch.testing.assert_close(whole.log_z(), exact, rtol=0, atol=1e-3)
    x = torch.randn(5, 2, dtype=torch.float64)
    loss = GridLikelihood(n=150)(whole.model, x)
    torch.testing.assert_close(loss, -whole.log_prob(x), rtol=0, atol=1e-3)


def annealed_weights_average_to_z():
    whole = plane(std=0.9)
    weights, ends = annealed_log_z(whole.model, MALA(0.3), 3000, 60, seeded())
    w = (weights - whole.log_z()).exp().detach()
    assert abs(w.mean().item() - 1) < 4.5 * w.std().item() / 3000**0.5
    few, _ = annealed_log_z(whole.model, MALA(0.3), 20_000, 2, seeded())
    w = (few - whole.log_z()).exp().detach()
    assert abs(w.mean().item() - 1) < 4.5 * w.std().item() / 20_000**0.5
    held = whole.sample(20_000, generator=seeded(1)).mean(0)
    found = (weights.softmax(0)[:, None] * ends).sum(0)  # weighted ends have the model's means
    assert (found - held).abs().max() < 0.3


def magnet(shape=(1, 3, 4), coupling=0.5, field=-0.2):
    return IsingModel(Levels(shape, 2), coupling, field).double()


def rows_add_up_to_all_states():
    model = magnet()
    states = all_states(2, (1, 3, 4))
    expected = torch.logsumexp(-model.energy(states), 0)
    torch.testing.assert_close(model.log_z(), expected, rtol=0, atol=1e-9)
    single = torch.zeros(1, 1, 3, 4, dtype=torch.uint8)  # all down: 17 bonds, 12 spins
    assert model.energy(single).item() == pytest.approx(-0.5 * 17 - 0.2 * 12)


def both_chains_keep_the_law_of_the_magnet():
    model = magnet((1, 2, 3), coupling=0.6, field=0.15)
    states = all_states(2, (1, 2, 3))
    p = model.log_prob(states).exp().detach()
    place = 2 ** torch.arange(5, -1, -1)
    start = states[torch.multinomial(p, 60_000, True, generator=seeded())][:, 0]
    for sweep in (model.heat_bath, model.metropolis):
        s = 2 * start.double() - 1
        for k in range(3):
            s = sweep(s, seeded(k + 1)).detach()
        found = torch.bincount(((s > 0).flatten(1).long() * place).sum(1), minlength=64) / 60_000
        error = (p * (1 - p) / 60_000).sqrt()
        assert ((found - p).abs() < 4.5 * error + 1e-9).all(), sweep.__name__


def its_gradient_is_a_difference_of_means():
    """Autograd of log p, finite differences, and data minus model means: all the same."""
    model = magnet()
    x = model.sample(50, generator=seeded())
    exact = torch.autograd.grad(model.log_prob(x).mean(), [model.coupling, model.field])
    states = all_states(2, (1, 3, 4))
    p = model.log_prob(states).exp()
    for k, true in enumerate(exact):
        means = model.statistics(x)[k].mean() - (p * model.statistics(states)[k]).sum()
        torch.testing.assert_close(means, true, rtol=0, atol=1e-9)


def flat_generator(by_energy, scale=1.0):
    """A flow that is a Gaussian of deviation ``scale``, towards a double well."""
    flow = Flow([Scale((2,), 1 / scale)], StandardNormal((2,)), Reals((2,)))
    return BoltzmannGenerator(flow, DoubleWell(b=1.0, c=0.4).energy, by_energy)


def weights_give_z_and_the_free_energies():
    well, model = DoubleWell(b=1.0, c=0.4), flat_generator(0.5, scale=1.6)
    x, log_w = model.weighted(200_000, seeded())
    at = torch.linspace(-8, 8, 1601, dtype=torch.float64)
    z = (-well.energy(torch.cartesian_prod(at, at))).exp().sum().item() * 0.01**2
    w = log_w.double().exp()
    assert abs(w.mean().item() - z) < 4.5 * w.std().item() / 200_000**0.5
    found, error = boltzmann_generator.log_ratio(log_w, well.left(x))
    assert 0.001 < error < 0.02
    assert abs(found - well.free_energy_difference()) < 4.5 * error


def the_error_of_a_ratio_is_that_of_repeats():
    well, model = DoubleWell(b=1.0, c=0.4), flat_generator(0.5, scale=1.6)
    found = []
    for seed in range(150):
        x, log_w = model.weighted(1000, seeded(seed))
        found.append(boltzmann_generator.log_ratio(log_w, well.left(x)))
    values, errors = torch.tensor(found).T
    assert errors.mean().item() == pytest.approx(values.std().item(), rel=0.2)


def energy_training_is_the_divergence_up_to_log_z():
    """E[log q + E] over the flow's draws is KL(q | p) - log Z, in nats; examples give -log q."""
    model = flat_generator(1.0, scale=1.3)
    x, log_w = model.weighted(100_000, seeded())
    loss = torch.cat([model.loss(torch.randn(20_000, 2)) for _ in range(5)]).detach()
    assert loss.mean().item() == pytest.approx(-log_w.mean().item(), abs=0.04)
    half = flat_generator(0.0)
    torch.testing.assert_close(half.loss(x), -half.flow.log_prob(x))


class Flat(nn.Module):
    """A network that says nothing: the Gaussian alone."""

    def __init__(self):
        super().__init__()
        self.none = nn.Parameter(torch.zeros(1))

    def forward(self, u):
        return 0 * u[:, :1] * self.none


class Trap(nn.Module):
    """A model whose loss explodes from its tenth step on while its rate is large."""

    def __init__(self):
        super().__init__()
        self.data, self.walker = Reals((1,)), Langevin(0.1)
        self.weight = nn.Parameter(torch.zeros(()))
        self.register_buffer("seen", torch.zeros(()))

    def loss(self, x):
        self.seen += 1
        wrong = self.seen == 35  # once only where what is seen comes back too
        return (self.weight - 1) * torch.ones(len(x)) * (float("nan") if wrong else 1.0)


def trouble_is_undone_and_training_goes_on():
    """Weights, buffers and moments of the last good look are back; the step is shorter."""
    model, calls = Trap(), []
    right = model.loss

    def loss(x):
        calls.append((model.weight.item(), model.seen.item(), model.walker.step.item()))
        return right(x) if len(calls) < 60 else model.weight * torch.ones(len(x))

    model.loss = loss
    done = tend(model, torch.zeros(40, 1), steps=80, batch_size=4, lr=0.01, look_every=10)
    assert len(calls) == 80
    assert [t[0] for t in done.trouble] == [40, 50, 60]  # what was seen came back: again at 35
    assert all(math.isnan(t[1]) for t in done.trouble)
    assert calls[40][:2] == calls[30][:2]
    assert calls[40][2] == pytest.approx(0.05)
    assert calls[50][2] == pytest.approx(0.025)
    assert done.trouble[2][2] == pytest.approx(0.125)
    assert math.isfinite(model.weight.item())


PROPERTIES = (
    langevin_on_a_gaussian_has_the_variance_that_is_said, corrected_chains_keep_the_law_at_any_step,
    a_refused_proposal_leaves_the_state_as_it_was, the_step_settles_where_the_share_is_right,
    the_contrast_has_the_gradient_of_the_likelihood,
    chains_go_on_in_training_and_stand_still_in_eval_mode, fresh_chains_are_as_many_as_asked_for,
    noise_contrast_is_least_at_the_right_log_z, slices_average_to_the_trace,
    sliced_matching_of_a_gaussian_is_least_at_its_variance,
    denoising_learns_the_variance_with_the_noise,
    the_best_guess_of_a_gaussian_is_its_posterior_mean, the_grid_sums_what_the_plane_holds,
    annealed_weights_average_to_z, rows_add_up_to_all_states,
    both_chains_keep_the_law_of_the_magnet, its_gradient_is_a_difference_of_means,
    weights_give_z_and_the_free_energies, the_error_of_a_ratio_is_that_of_repeats,
    energy_training_is_the_divergence_up_to_log_z, trouble_is_undone_and_training_goes_on,
)  # fmt: skip

test_property, test_planted_fault = property_tests(PROPERTIES, FAULTS)


# --- studies and bad input ------------------------------------------------------------------------


def test_unattended_trainings_are_on_file():
    found = {(run["name"], run["seed"]) for run in finishing.load()}
    assert found == {(name, seed) for name in finishing.NAMES for seed in finishing.SEEDS}


def test_long_chains_are_on_file():
    found = long_chains.load()
    assert set(found) == {long_chains.REAL_DIGITS, *map(str, long_chains.LENGTHS)}


def test_published_recipe_is_as_it_was_published():
    model = finishing.as_published(0)
    walk = model.walker
    assert walk.step == 10
    assert (2 * 10.0 * walk.temperature) ** 0.5 == pytest.approx(0.005)
    assert (walk.clip, walk.box) == (0.01, (0.0, 1.0))
    x, _ = walk(lambda u: 1e6 * u.sum(1), torch.full((500, 3), 0.5), 1, seeded())
    assert (x - 0.4).abs().max() < 0.03  # at most ten times a hundredth, and the noise
    starts = model.objective.buffer.chains
    assert starts.min() >= 0
    assert starts.max() <= 1
    assert starts.std().item() == pytest.approx(12**-0.5, rel=0.01)


def test_bad_input_is_named():
    net, walk = Flat(), Langevin(0.1)
    slow = DenoisingMatch(0.1)
    buffer, plain = ReplayBuffer(2, 5), Reals((2,))
    tiny = zoo.get("plane_energy").build(Reals((2,)))
    model = DeepEnergy(plain, net, slow, walk)
    for match, call in (
        ("step must be positive", lambda: Langevin(0.0)),
        ("temperature must be positive", lambda: Langevin(0.1, temperature=0.0)),
        ("clip must be positive", lambda: Langevin(0.1, clip=0.0)),
        ("box must be", lambda: Langevin(0.1, box=(1.0, 0.0))),
        ("step must be positive", lambda: MALA(-1.0)),
        ("share must lie", lambda: MALA(0.1, share=1.0)),
        ("run away", lambda: langevin_variance(2.0)),
        ("variance must be positive", lambda: langevin_variance(0.1, variance=0.0)),
        ("size must be", lambda: ReplayBuffer(2, 0)),
        ("dims must be", lambda: ReplayBuffer(0, 5)),
        ("fresh must lie", lambda: ReplayBuffer(2, 5, fresh=1.5)),
        ("n must be 1 .. 5 chains", lambda: buffer.take(6, torch.zeros(6, 2))),
        ("x must be", lambda: buffer.fill(torch.zeros(4, 2))),
        ("steps must be", lambda: Contrast(buffer, steps=0)),
        ("noise must not be negative", lambda: Contrast(buffer, noise=-0.1)),
        ("penalty must not be negative", lambda: Contrast(buffer, penalty=-1.0)),
        ("noise must be positive", lambda: DenoisingMatch(0.0)),
        ("slices must be", lambda: SlicedMatch(0)),
        ("ratio must be", lambda: NoiseContrast(0)),
        ("n must be", lambda: GridLikelihood(n=1)),
        ("reach must be", lambda: GridLikelihood(reach=0.0)),
        ("data must be points", lambda: PlaneEnergy(DeepEnergy(Reals((3,)), net, slow, walk))),
        ("steps must be", lambda: DeepEnergy(plain, net, slow, walk, steps=0)),
        ("x must be", lambda: model.energy(torch.zeros(3, 5))),
        ("chains must be", lambda: annealed_log_z(tiny.model, MALA(0.1), chains=0)),
        ("a must be positive", lambda: DoubleWell(a=0.0)),
        ("by_energy must lie", lambda: flat_generator(2.0)),
        ("all draws are on one side", lambda: log_ratio(torch.zeros(2), torch.ones(2).bool())),
        ("data must be pictures", lambda: IsingModel(Levels((1, 3, 3), 3))),
        ("data must be at most 10 wide", lambda: IsingModel(Levels((1, 3, 11), 2))),
        ("features must be", lambda: Waves(0)),
        ("pitch must be positive", lambda: Waves(2, pitch=0.0)),
        ("data must be images", lambda: ConvEnergy((1, 6, 6))),
        ("shrink must lie", lambda: tend(Trap(), torch.zeros(4, 1), shrink=1.0)),
        ("steps must be", lambda: tend(Trap(), torch.zeros(4, 1), steps=0)),
    ):
        with pytest.raises(ValueError, match=match):
            call()
