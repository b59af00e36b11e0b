"""GANs: the contract over all entries, what the game and its parts promise, planted faults."""

import math

import contract
import pytest
import torch
from planted_gan import FAULTS
from planting import property_tests
from torch import nn
from torch.distributions import Normal

import dgm.gan.optimum as optimum
from dgm import zoo
from dgm.distribution.normal import StandardNormal
from dgm.distribution.support import Levels, Reals
from dgm.gan.dirac import dirac_orbit
from dgm.gan.games import Minimax, NonSaturating, RelativisticPair, Wasserstein
from dgm.gan.gan import GAN
from dgm.gan.penalties import UnitSlope, ZeroSlope, squared_slope
from dgm.gan.spectral import SpectralWeight, spectrally_normalised
from dgm.measure.judge import Judge
from dgm.measure.mode_coverage import mode_coverage
from dgm.measure.precision_recall import precision_recall
from dgm.nets.strided import GrowingGenerator, StridedCritic
from dgm.train import TrainingDiverged
from dgm.train.game import play
from dgm.zoo.studies import judges, ring_coverage

NAMES = [name for name, room in zoo.modules().items() if room == "gan"]
SHEET = {0: (-1.386294, 0.0), 1: (-1.163451, 0.111421), 2: (-0.712633, 0.336831),
         4: (-0.120854, 0.632720), 10: (0.0, math.log(2))}  # fmt: skip


@contract.over("gan")
def test_contract(entry, promise):
    promise(entry)


def test_draws_are_decoded_codes_of_the_prior():
    gan = zoo.get("conv_gan").small()[0]
    z = gan.prior.sample(4, generator=torch.Generator().manual_seed(2))
    assert torch.equal(gan.sample(4, generator=torch.Generator().manual_seed(2)), gan.decode(z))


@pytest.mark.parametrize("name", NAMES)
def test_a_gan_draws_and_claims_no_density(name):
    model = zoo.get(name).small()[0]
    assert hasattr(model, "sample")
    for claim in ("log_prob", "elbo", "iw_bound", "energy", "score"):
        assert not hasattr(model, claim), claim


def small(game=None, penalty=None, seed=0, data=None):
    """Two small networks, their weights moved about; four points of the plane."""
    torch.manual_seed(seed)
    data = data or Reals((2,))
    nets = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, data.dims)), nn.Sequential(
        nn.Flatten(), nn.Linear(data.dims, 7), nn.Tanh(), nn.Linear(7, 1))  # fmt: skip
    gan = GAN(data, *nets, game or NonSaturating(), StandardNormal((3,)), penalty)
    return contract.moved(gan, 0.3), torch.randn(4, 2)


def two_bells(shift):
    x = torch.linspace(-14, 24, 7601).double()
    return [Normal(m, 1.0).log_prob(x) for m in (0.0, float(shift))], 0.005


# --- properties, each of which a planted fault below must break -----------------------------------


def the_best_critic_is_the_log_ratio_and_none_is_better():
    """On a law of five values: gradient descent of the critic's loss ends at log p - log q."""
    p = torch.tensor([0.1, 0.2, 0.3, 0.35, 0.05]).double()
    q = torch.tensor([0.3, 0.1, 0.3, 0.1, 0.2]).double()
    best = optimum.best_logit(p.log(), q.log())
    logit = torch.zeros(5).double().requires_grad_()
    adam = torch.optim.LBFGS([logit], max_iter=60)

    def closure():
        adam.zero_grad()
        none = torch.zeros(5).double()
        real, fake = Minimax().critic(logit, none), Minimax().critic(none, logit)
        loss = (p * real + q * fake).sum()
        loss.backward()
        return loss

    adam.step(closure)
    torch.testing.assert_close(logit.detach(), best, atol=1e-4, rtol=0)
    torch.testing.assert_close(logit.detach().sigmoid(), p / (p + q), atol=1e-4, rtol=0)
    # no other critic has more value; the pairs prefer the right order too
    top = optimum.game_value(best, p.log(), q.log(), 1.0)
    torch.manual_seed(0)
    for _ in range(20):
        other = best + 0.3 * torch.randn(5).double()
        assert optimum.game_value(other, p.log(), q.log(), 1.0) < top
    pairs = RelativisticPair()
    assert pairs.critic(torch.ones(1), torch.zeros(1)) < pairs.critic(torch.zeros(1), torch.ones(1))
    assert pairs.generator(torch.ones(1), torch.zeros(1)) > 0.7


def the_value_at_the_best_critic_is_two_divergences_less_log_four():
    """To a millionth on a grid, with the values of the closed sheet."""
    for shift, (value, divergence) in SHEET.items():
        (log_p, log_q), cell = two_bells(shift)
        found = optimum.game_value(log_p - log_q, log_p, log_q, cell)
        assert found == pytest.approx(optimum.best_game_value(log_p, log_q, cell), abs=1e-6)
        assert found == pytest.approx(value, abs=2e-6)
        assert optimum.jensen_shannon(log_p, log_q, cell) == pytest.approx(divergence, abs=2e-6)


def each_network_gets_the_gradient_of_its_own_loss_alone():
    gan, x = small(penalty=ZeroSlope(0.5))
    gan.critic_loss(x).sum().backward()
    assert all(p.grad is None for p in gan.generator.parameters())
    critic = [p.grad.clone() for p in gan.critic.parameters()]
    assert all(g.abs().sum() > 0 for g in critic[:-1])
    gan.zero_grad()
    gan.generator_loss(x).sum().backward()
    assert all(p.grad is None for p in gan.critic.parameters())
    assert all(p.grad.abs().sum() > 0 for p in gan.generator.parameters())
    assert all(p.requires_grad for p in gan.parameters())
    # the gradient of `loss` is both at once
    gan.zero_grad()
    torch.manual_seed(1)
    gan.critic_loss(x).sum().backward()
    alone = [p.grad.clone() for p in gan.critic.parameters()]
    gan.zero_grad()
    torch.manual_seed(1)
    gan.loss(x).sum().backward()
    for a, p in zip(alone, gan.critic.parameters(), strict=True):
        torch.testing.assert_close(p.grad, a)


def a_step_of_the_generator_moves_its_draws_to_what_the_critic_likes():
    for game in (NonSaturating(), Minimax(), Wasserstein(), RelativisticPair()):
        gan, x = small(game, seed=3)
        z = torch.randn(64, 3)
        before = gan._logit(gan.generator(z)).mean()
        step = torch.optim.SGD(gan.generator.parameters(), lr=0.02)
        for _ in range(20):
            step.zero_grad()
            loss = gan.generator_loss(x.repeat(16, 1)).mean()
            assert loss.requires_grad, "no gradient reaches the generator"
            loss.backward()
            step.step()
        assert gan._logit(gan.generator(z)).mean() > before, type(game).__name__


def the_unit_slope_is_asked_for_between_pairs():
    real = torch.zeros(6, 2, 3)
    fake = torch.ones(6, 2, 3) * torch.arange(1, 7.0)[:, None, None]
    seen = []

    def critic(x):
        seen.append(x.detach().clone())
        return x.flatten(1).sum(1) * scale

    scale = torch.tensor(1 / math.sqrt(6), requires_grad=True)
    torch.manual_seed(0)
    assert UnitSlope(3.0)(critic, real, fake).abs().max() < 1e-4  # the slope is one
    share = (seen[0] / fake).flatten(1)
    torch.testing.assert_close(share, share[:, :1].expand(6, 6))  # one share a pair
    assert share.min() > 0
    assert share.max() < 1
    assert share[:, 0].unique().numel() == 6
    # a slope of three costs weight (3 - 1)^2, and the critic learns from it
    cost = UnitSlope(3.0)(lambda x: 3 * critic(x), real, fake)
    torch.testing.assert_close(cost.detach(), torch.full((6,), 12.0), atol=1e-3, rtol=0)
    assert cost.requires_grad
    cost.sum().backward()
    assert scale.grad > 0


def the_zero_slope_is_asked_for_at_data_and_at_fakes():
    def critic(x):
        return x.square().sum(1)  # the squared slope is 4 |x|^2

    real, fake = torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.tensor([[3.0, 0.0], [1.0, 1.0]])
    r1, r2 = 2 * real.square().sum(1), 2 * fake.square().sum(1)
    torch.testing.assert_close(ZeroSlope(0.7, True, False)(critic, real, fake), 0.7 * r1)
    torch.testing.assert_close(ZeroSlope(0.7, False, True)(critic, real, fake), 0.7 * r2)
    torch.testing.assert_close(ZeroSlope(0.7)(critic, real, fake), 0.7 * (r1 + r2))


def spectral_weights_follow_the_largest_singular_value():
    torch.manual_seed(0)
    weight = torch.randn(4, 3, 2).requires_grad_()
    norm = SpectralWeight(weight).train()
    with torch.no_grad():  # training moves the weight: the vector follows
        weight[0] += 6
    for _ in range(20):
        normed = norm(weight)
    largest = torch.linalg.matrix_norm(weight.flatten(1), 2)
    torch.testing.assert_close(normed, weight / largest, atol=1e-4, rtol=0)
    # the gradient is that of W / s(W)
    towards = torch.randn(4, 3, 2)
    (found,) = torch.autograd.grad((norm(weight) * towards).sum(), weight)
    (right,) = torch.autograd.grad((weight / largest * towards).sum(), weight)
    torch.testing.assert_close(found, right, atol=1e-4, rtol=1e-3)
    # in eval mode nothing moves
    norm.eval()
    with torch.no_grad():
        weight[:, 1] += 5
    before = norm.left.clone()
    norm(weight)
    assert torch.equal(norm.left, before)


def the_model_ends_with_the_running_average():
    """After two steps: first a tenth of the start, then two elevenths of the first average."""
    kept = {}
    for average in (0.0, 0.9):
        for steps in (1, 2):
            gan, _ = small(seed=5)
            start = [p.detach().clone() for p in gan.parameters()]
            x = torch.randn(50, 2, generator=torch.Generator().manual_seed(0))
            common = dict(batch_size=10, lr=0.05, progress=False, seed=2, eval_every=10)
            play(gan, x, steps=steps, average=average, **common)
            kept[average, steps] = [p.detach() for p in gan.parameters()]
    for k, first in enumerate(start):
        once = 0.1 * first + 0.9 * kept[0.0, 1][k]
        torch.testing.assert_close(kept[0.9, 1][k], once)
        twice = 2 / 11 * once + 9 / 11 * kept[0.0, 2][k]
        torch.testing.assert_close(kept[0.9, 2][k], twice)


class Says(nn.Module):
    """A generator that always gives the same."""

    def __init__(self, u):
        super().__init__()
        self.u = u

    def forward(self, z):
        return self.u


def levels_come_back_as_they_were():
    """A generator that says a level gives that level; noise stays within the bin."""
    data = Levels((1, 2, 3), 5)
    for level in range(5):
        x = torch.full((7, 1, 2, 3), level, dtype=torch.uint8)
        gan = small(data=data)[0]
        gan.generator = Says(data.scaled(x) - 0.2 / 4)  # a little less than the level
        assert torch.equal(gan.sample(7), x)
        gan.noise = 0.9
        v = data.unscaled(gan._real(x))
        assert torch.equal(data.stored(v + 0.5), x)
        assert 0.3 < (v - level).abs().max() < 0.45 + 1e-5, "noise beyond its share of the bin"


PROPERTIES = (
    the_best_critic_is_the_log_ratio_and_none_is_better,
    the_value_at_the_best_critic_is_two_divergences_less_log_four,
    each_network_gets_the_gradient_of_its_own_loss_alone,
    a_step_of_the_generator_moves_its_draws_to_what_the_critic_likes,
    the_unit_slope_is_asked_for_between_pairs,
    the_zero_slope_is_asked_for_at_data_and_at_fakes,
    spectral_weights_follow_the_largest_singular_value,
    the_model_ends_with_the_running_average,
    levels_come_back_as_they_were,
)

test_property, test_planted_fault = property_tests(PROPERTIES, FAULTS)


# --- the parts, on numbers known beforehand -------------------------------------------------------


def slope(game, logit, which="generator"):
    logit = torch.tensor([float(logit)]).double().requires_grad_()
    (found,) = torch.autograd.grad(getattr(game, which)(torch.zeros(1).double(), logit), logit)
    return found.item()


@pytest.mark.parametrize("logit", [-9.0, -1.0, 0.0, 2.5])
def test_the_minimax_generator_is_flat_where_the_other_is_steep(logit):
    d = 1 / (1 + math.exp(-logit))
    assert slope(Minimax(), logit) == pytest.approx(-d)
    assert slope(NonSaturating(), logit) == pytest.approx(-(1 - d))
    assert slope(Wasserstein(), logit) == -1


def test_an_undecided_critic_pays_two_log_two():
    zero = torch.zeros(3)
    for game in (Minimax(), NonSaturating()):
        torch.testing.assert_close(game.critic(zero, zero), torch.full((3,), 2 * math.log(2)))
    torch.testing.assert_close(RelativisticPair().critic(zero, zero), torch.full((3,), math.log(2)))


@pytest.mark.parametrize(
    "game", [Wasserstein(), RelativisticPair()], ids=lambda g: type(g).__name__
)
def test_games_of_pairs_see_differences_only(game):
    a, b = torch.randn(2, 5).double()
    torch.testing.assert_close(game.critic(a + 3, b + 3), game.critic(a, b))


def test_a_learned_critic_approaches_the_value_of_two_bells():
    """A line for N(0, 1) against N(2, 1): the value within .01 of the sheet."""
    torch.manual_seed(0)
    a, b = torch.randn(20_000, 1), 2 + torch.randn(20_000, 1)
    critic, game = nn.Linear(1, 1), Minimax()
    adam = torch.optim.Adam(critic.parameters(), lr=0.05)
    for _ in range(300):
        adam.zero_grad()
        loss = game.critic(critic(a), critic(b)).mean()
        loss.backward()
        adam.step()
    assert -loss.item() == pytest.approx(-0.712633, abs=0.01)
    # the logit is log p - log q = 2 - 2 x
    assert critic.weight.item() == pytest.approx(-2, abs=0.1)
    assert critic.bias.item() == pytest.approx(2, abs=0.1)


@pytest.mark.parametrize("shift", [1.0, 3.0])
def test_a_critic_of_unit_slope_finds_the_distance_of_two_bells(shift):
    """In one dimension W1 of N(0, 1) and N(d, 1) is d."""
    torch.manual_seed(0)
    critic = nn.Sequential(nn.Linear(1, 32), nn.LeakyReLU(), nn.Linear(32, 1))
    adam, game, penalty = (
        torch.optim.Adam(critic.parameters(), lr=3e-3),
        Wasserstein(),
        UnitSlope(10),
    )
    for _ in range(500):
        a, b = torch.randn(256, 1), shift + torch.randn(256, 1)
        adam.zero_grad()
        loss = game.critic(critic(a)[:, 0], critic(b)[:, 0]) + penalty(critic, a, b)
        loss.mean().backward()
        adam.step()
    a, b = torch.randn(20_000, 1), shift + torch.randn(20_000, 1)
    assert -game.critic(critic(a), critic(b)).mean().item() == pytest.approx(
        shift, abs=0.15 * shift
    )


def test_the_smallest_game_circles_and_a_penalty_brings_it_to_rest():
    at_once = dirac_orbit(400).norm(dim=1)
    in_turn = dirac_orbit(400, alternate=True).norm(dim=1)
    at_rest = dirac_orbit(400, penalty=1.0).norm(dim=1)
    assert at_once[-1] > 1.2
    assert in_turn[-200:].min() > 0.8
    assert in_turn[-200:].max() < 1.2
    assert at_rest[-1] < 0.01
    # the first step by hand: psi falls by rate / 2, then theta moves by rate psi sigmoid
    theta, psi = dirac_orbit(1, rate=0.2, alternate=True)[1].tolist()
    assert psi == pytest.approx(-0.1)
    assert theta == pytest.approx(1 + 0.2 * -0.1 / (1 + math.exp(0.1)))
    assert dirac_orbit(1, rate=0.2)[1, 0] == 1


def test_spectral_weights_make_a_network_that_stretches_nothing():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 6), nn.LeakyReLU(), nn.Linear(6, 3))
    for parameter in net.parameters():
        nn.init.normal_(parameter, std=3)
    net = spectrally_normalised(net).train()
    for _ in range(30):
        net(torch.zeros(1, 4))
    a, b = torch.randn(2, 500, 4)
    assert ((net(a) - net(b)).norm(dim=1) / (a - b).norm(dim=1)).max() <= 1.001


def test_networks_of_pictures_have_the_shapes_they_say():
    critic = StridedCritic((2, 12, 8), (3, 5), 7)
    generator = GrowingGenerator(4, (2, 12, 8), (6, 3))
    u = generator(torch.randn(5, 4))
    assert u.shape == (5, 2, 12, 8)
    assert u.abs().max() < 1
    assert critic(u).shape == (5,)
    for build in (lambda: StridedCritic((1, 6, 6), (3, 5)), lambda: GrowingGenerator(4, (1, 6, 6))):
        with pytest.raises(ValueError, match=r"data must be images .* divisible by 4"):
            build()


# --- the loop ------------------------------------------------------------------------------------


def points(n=60):
    return torch.randn(n, 2, generator=torch.Generator().manual_seed(4))


def test_the_critic_takes_its_steps_on_batches_of_its_own():
    gan, seen = small()[0], []
    right = gan.critic_loss
    gan.critic_loss = lambda x: (seen.append(x.clone()), right(x))[1]
    play(gan, points(), steps=2, batch_size=20, critic_steps=3, progress=False)
    assert len(seen) == 6
    first = torch.cat(seen[:3])
    assert first.unique(dim=0).shape[0] == 60, "three batches of one epoch"


def test_both_rates_are_used_and_the_schedule_too():
    for rates in (dict(lr=1e-30, critic_lr=0.01), dict(lr=0.01, critic_lr=1e-30)):
        gan = small()[0]
        start = {k: t.clone() for k, t in gan.state_dict().items()}
        play(gan, points(), steps=3, progress=False, **rates)
        moved = {
            k.split(".")[0] for k, t in gan.state_dict().items() if not torch.equal(t, start[k])
        }
        assert moved == {"critic" if rates["lr"] < 1e-9 else "generator"}
    gan = small()[0]
    start = {k: t.clone() for k, t in gan.state_dict().items()}
    play(gan, points(), steps=3, schedule=lambda step: 0.0, progress=False)
    assert all(torch.equal(t, start[k]) for k, t in gan.state_dict().items())


def test_equal_seeds_give_equal_games_and_the_global_stream_stays():
    ends = []
    for seed in (1, 1, 2):
        gan = small()[0]
        stream = torch.get_rng_state()
        play(gan, points(), steps=4, batch_size=9, seed=seed, progress=False)
        assert torch.equal(torch.get_rng_state(), stream)
        assert not gan.training
        ends.append(gan.state_dict()["generator.0.weight"])
    assert torch.equal(ends[0], ends[1])
    assert not torch.equal(ends[0], ends[2])


def test_the_best_review_is_kept():
    gan, seen, scores = small()[0], [], iter([3.0, 1.0, 2.0])

    def score(model):
        assert not model.training
        seen.append({k: t.clone() for k, t in model.state_dict().items()})
        return next(scores)

    fit = play(gan, points(), steps=6, eval_every=2, score=score, average=0.5, progress=False)
    assert (fit.best_step, fit.best_val, fit.val_loss) == (4, 1.0, [3.0, 1.0, 2.0])
    assert all(torch.equal(t, seen[1][k]) for k, t in gan.state_dict().items())


def test_divergence_is_reported_and_the_last_good_weights_are_back():
    gan, kept = small(Wasserstein())[0], []

    def rate(step):
        return 1.0 if step < 4 else 1e30

    def score(model):
        kept.append({k: t.clone() for k, t in model.state_dict().items()})
        return -len(kept)

    with pytest.raises(TrainingDiverged, match=r"diverged.*weights of step 4") as found:
        play(gan, points(), steps=20, eval_every=2, schedule=rate, score=score, progress=False)
    assert 4 < found.value.step <= 8
    assert all(torch.equal(t, kept[-1][k]) for k, t in gan.state_dict().items())
    assert not gan.training


def test_a_loss_beyond_all_measure_counts_as_diverged():
    gan = small()[0]
    with pytest.raises(TrainingDiverged):
        play(gan, points(), steps=4, eval_every=2, most=0.1, progress=False)


# --- measures of draws ----------------------------------------------------------------------------


def test_precision_falls_for_strange_draws_and_recall_for_missing_ones():
    torch.manual_seed(0)
    real = torch.cat((torch.randn(150, 3), 20 + torch.randn(150, 3)))
    assert precision_recall(real, real) == (1.0, 1.0)
    one_cluster = torch.randn(300, 3)
    precision, recall = precision_recall(real, one_cluster)
    assert precision > 0.8
    assert 0.35 < recall <= 0.5
    half_strange = torch.cat((real[::2], 100 + torch.randn(150, 3)))
    precision, recall = precision_recall(real, half_strange)
    assert precision == 0.5
    assert recall > 0.8
    # by hand, k = 1: radii of 0, 1, 5 are 1, 1, 4; the draws 1.5 and 9.5
    by_hand = torch.tensor([[0.0], [1.0], [5.0]]), torch.tensor([[1.5], [9.5]])
    assert precision_recall(*by_hand, k=1) == (0.5, 1.0)


def test_modes_are_counted_by_good_points_only():
    modes = ring_coverage.modes()
    x = modes[:3].repeat(50, 1) + 0.1
    assert mode_coverage(x, modes, std=0.1) == (3, 1.0)
    assert mode_coverage(x, modes, std=0.01) == (0, 0.0)
    x = torch.cat((x, torch.zeros(150, 2)))
    assert mode_coverage(x, modes, std=0.1, least=0.2) == (0, 0.5)
    assert mode_coverage(x, modes, std=0.1, within=30) == (3, 1.0)
    law = ring_coverage.ring()
    assert mode_coverage(law.test, modes, ring_coverage.STD)[0] == 8


def test_the_judges_are_those_that_were_stored():
    for name, least in (("digits", 0.9), ("mnist", 0.98)):
        assert judges.accuracy(name) >= least
        assert not judges.load(name).training
    truth = judges.truth_of("digits")
    same = judges.compared(truth, truth, "digits")
    assert same == {"frechet": pytest.approx(0, abs=1e-6), "precision": 1.0, "recall": 1.0}
    assert judges.truth_of("mnist").shape == (5000, 1, 28, 28)


def test_a_judge_scores_labels_by_cross_entropy():
    torch.manual_seed(0)
    kind = Levels((1, 2, 2), 17)
    judge = Judge(kind, nn.Sequential(nn.Flatten(), nn.Linear(4, 5)), 5, classes=3).eval()
    x, y = torch.randint(17, (6, 1, 2, 2)), torch.tensor([0, 1, 2, 0, 1, 2])
    right = -judge(x).log_softmax(1)[torch.arange(6), y]
    torch.testing.assert_close(judge.loss(x, y), right)
    assert judge.accuracy(x, judge(x).argmax(1)) == 1.0


def test_studies_are_complete():
    runs = ring_coverage.load()
    pairs = {(r["game"], r["seed"]) for r in runs}
    assert pairs == {(n, s) for n in ring_coverage.NAMES for s in ring_coverage.SEEDS}
    for run in runs:
        assert run["diverged"] or len(run["step"]) == 10


# --- bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: UnitSlope(0), "weight"),
        (lambda: ZeroSlope(math.nan), "weight"),
        (lambda: ZeroSlope(1.0, False, False), "at_real"),
        (lambda: SpectralWeight(torch.ones(2, 2), steps=0), "steps"),
        (lambda: small()[0].__class__(Reals((2,)), None, None, None, None, noise=2.0), "noise"),
        (lambda: play(small()[0], points(), critic_steps=0), "critic_steps"),
        (lambda: play(small()[0], points(), lr=0.0), "lr"),
        (lambda: play(small()[0], torch.zeros(5, 3)), "data"),
        (lambda: dirac_orbit(0), "steps"),
        (lambda: dirac_orbit(5, rate=-1.0), "rate"),
        (lambda: optimum.game_value(torch.zeros(3), torch.zeros(2), torch.zeros(3), 1), "logit"),
        (lambda: optimum.game_value(*[torch.zeros(3)] * 3, cell=0.0), "cell"),
        (lambda: mode_coverage(torch.zeros(0, 2), torch.zeros(1, 2), 0.1), "x"),
        (lambda: mode_coverage(torch.zeros(1, 2), torch.zeros(1, 2), 0.0), "std"),
        (lambda: precision_recall(torch.zeros(3, 2), torch.zeros(9, 2)), "real"),
        (lambda: precision_recall(torch.zeros(9, 2), torch.zeros(9, 3)), "fake"),
        (lambda: zoo.get("relativistic_gan").build(Reals((2,)), weight=-1.0), "weight"),
        (lambda: zoo.get("minimax_gan").build(Reals((2,)), latent_dim=0), "latent_dim"),
        (lambda: judges.untrained("letters"), "name"),
    ],
)
def test_bad_input_is_named(call, named):
    with pytest.raises(ValueError, match=rf"\b{named}\b"):
        call()


def test_the_slope_is_that_of_autograd_and_differentiable():
    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 1)).double()
    x = torch.randn(3, 2, 2).double()
    jacobian = torch.autograd.functional.jacobian(lambda v: net(v).sum(0), x)[0]
    torch.testing.assert_close(squared_slope(net, x), jacobian.flatten(1).square().sum(1))
    assert squared_slope(net, x).requires_grad
    with torch.no_grad():  # where a model is measured
        torch.testing.assert_close(squared_slope(net, x), jacobian.flatten(1).square().sum(1))
