"""Classifiers as energies: the contract, sums on grids, walks against laws, measures, faults."""

import math

import contract
import pytest
import torch
from planted_jem import FAULTS
from planting import property_tests
from torch import nn
from torch.nn.functional import cross_entropy

from dgm import zoo
from dgm.distribution.support import Levels, Reals
from dgm.jem.class_gaussians import ClassGaussians
from dgm.jem.joint_energy import JointEnergyModel
from dgm.jem.langevin_replay import LangevinReplay
from dgm.measure import auroc as areas
from dgm.measure import calibration
from dgm.measure import pgd as attack
from dgm.nets.mlp import MLP
from dgm.nets.smooth_conv import SmoothConvNet
from dgm.train import TrainingDiverged
from dgm.train.guarded import guarded_fit
from dgm.zoo.studies import joint_calibration, joint_or_plain

NAMES = ("jem", "joint_mlp")


@contract.over("jem")
def test_contract(entry, promise):
    promise(entry)


def gaussians(dims=3, classes=4, rank=2, seed=0):
    """Gaussians of a few classes fitted to made points, in float64."""
    torch.manual_seed(seed)
    start = ClassGaussians(Reals((dims,)), Levels((), classes), rank).double()
    y = torch.arange(200) % classes
    mix = torch.randn(dims, dims).double()
    start.fit_to(torch.randn(200, dims).double() @ mix + y[:, None], y)
    return start


def plane_model(seed=0, weight=1.0):
    """A perceptron of points of the plane in three classes, moved, in float64."""
    start = gaussians(2, 3, 1, seed)
    chains = LangevinReplay(start, step_size=0.05, box=8.0, n_chains=6, n_kept=10, steps=3)
    net = MLP(2, 3, hidden=(5, 7))
    return contract.moved(
        JointEnergyModel(Reals((2,)), Levels((), 3), net, chains, weight=weight), 0.4
    ).double()


def grid(n=200, reach=8.0):
    """Centres (n^2, 2) of cells and the log of a cell's area."""
    side = reach * (2 * (torch.arange(n).double() + 0.5) / n - 1)
    return torch.cartesian_prod(side, side), 2 * math.log(2 * reach / n)


# --- properties, each of which a planted fault below must break -----------------------------------


@torch.no_grad()
def energy_is_minus_the_log_sum_over_classes():
    model = plane_model()
    x = torch.randn(7, 2).double()
    joint = -model.joint_energy(x)
    by_hand = joint.exp().sum(1).log()
    torch.testing.assert_close(-model.energy(x), by_hand, rtol=0, atol=1e-9)
    torch.testing.assert_close(joint - by_hand[:, None], model.posterior(x).logits)


@torch.no_grad()
def what_all_logits_share_moves_no_class():
    model = plane_model()
    x = 2 * torch.randn(50, 2).double()
    torch.testing.assert_close(model.posterior(x).probs, model.net(x).softmax(1))
    torch.testing.assert_close((-model.joint_energy(x)).softmax(1), model.net(x).softmax(1))
    torch.testing.assert_close(
        -model.joint_energy(x) - model.net(x), model.chains.start.log_prob(x)[:, None].expand(50, 3)
    )


def the_loss_has_the_gradient_of_the_joint_likelihood():
    """Z summed on a grid; negatives drawn from the grid's law in place of chains."""
    nodes, log_area = grid()

    class Exact(nn.Module):
        def __init__(self, start):
            super().__init__()
            self.start = start

        def forward(self, log_g):
            mass = log_g(nodes).softmax(0)
            return nodes[torch.multinomial(mass, 200_000, replacement=True)]

    model = plane_model().train()
    x, y = model.chains.start.draw(torch.tensor([0, 2, 2, 1, 0])), torch.tensor([0, 2, 1, 1, 2])
    parameters = list(model.parameters())
    log_z = model.log_g(nodes).logsumexp(0) + log_area
    exact = torch.autograd.grad((log_z - model.log_g(x, y)).mean(), parameters)
    model.chains = Exact(model.chains.start)
    found = torch.autograd.grad(model.loss(x, y).mean(), parameters)
    for mine, true in zip(found, exact, strict=True):
        torch.testing.assert_close(mine, true, rtol=0, atol=0.02)
    log_z = model.log_g(nodes).logsumexp(0)
    exact = torch.autograd.grad((log_z - model.log_g(x)).mean(), parameters)
    found = torch.autograd.grad(model.loss(x).mean(), parameters)
    for mine, true in zip(found, exact, strict=True):
        torch.testing.assert_close(mine, true, rtol=0, atol=0.02)


@torch.no_grad()
def the_law_of_departure_is_a_mixture_of_gaussians():
    start = gaussians()
    u = 2 * torch.randn(30, 3).double()
    each = []
    for mean, factor, spread in zip(start.mean, start.factor, start.spread, strict=True):
        covariance = factor @ factor.T + spread**2 * torch.eye(3).double()
        each.append(torch.distributions.MultivariateNormal(mean, covariance).log_prob(u))
    expected = torch.stack(each).logsumexp(0) - math.log(4)
    torch.testing.assert_close(start.log_prob(u), expected, rtol=0, atol=1e-9)
    drawn = start.draw(torch.full((60_000,), 2))
    covariance = start.factor[2] @ start.factor[2].T + start.spread[2] ** 2 * torch.eye(3).double()
    torch.testing.assert_close(drawn.mean(0), start.mean[2], rtol=0, atol=0.06)
    torch.testing.assert_close(torch.cov(drawn.T), covariance, rtol=0.06, atol=0.06)


@torch.no_grad()
def a_walk_has_the_variance_of_its_steps():
    """On a standard normal: 1 / (1 - a / 4), temperature times; without temperature it climbs."""
    for a, t in ((0.8, 1.0), (0.8, 0.25)):
        start = ClassGaussians(Reals((2,)), Levels((), 2))
        chains = LangevinReplay(start, a, box=50.0, temperature=t)
        u = chains.walk(lambda v: -v.square().sum(1) / 2, torch.zeros(40_000, 2).double(), 25)
        assert u.var().item() == pytest.approx(t / (1 - a / 4), rel=0.03)
    still = LangevinReplay(start, 0.5, box=50.0, temperature=0.0)
    u = still.walk(lambda v: -v.square().sum(1) / 2, torch.ones(1, 2).double(), 3)
    torch.testing.assert_close(u, torch.full((1, 2), 0.75**3).double())


@torch.no_grad()
def chains_go_on_and_some_begin_anew():
    flat = lambda u: 0.0 * u.sum(1)  # noqa: E731
    start = ClassGaussians(Reals((2,)), Levels((), 2))
    start.mean.fill_(5.0)
    chains = LangevinReplay(start, 1e-6, box=9.0, n_chains=40, n_kept=40, steps=1, fresh=0.25)
    torch.manual_seed(0)
    first = chains.train()(flat)
    assert (first - 5).abs().max() < 6
    assert not chains.kept.isnan().any()
    chains.kept.fill_(-7.0)
    share = torch.stack([(chains(flat) > -6).all(1).double().mean() for _ in range(8)])
    assert share[0] < 0.6
    assert share[-1] > 0.7
    chains.kept.fill_(-7.0)
    chains.eval()(flat)
    assert (chains.kept == -7).all()
    chains.restart()
    assert chains.kept.isnan().all()


@torch.no_grad()
def draws_of_a_class_climb_its_own_logit():
    """Two classes with a net of opposite slopes: draws of either go their way."""
    points, labels = Reals((2,)), Levels((), 2)
    chains = LangevinReplay(ClassGaussians(points, labels), 0.2, box=9.0)
    net = nn.Linear(2, 2)
    net.weight.data, net.bias.data = torch.tensor([[3.0, 0.0], [-3.0, 0.0]]), torch.zeros(2)
    model = JointEnergyModel(points, labels, net, chains, draw_steps=60)
    made = torch.Generator().manual_seed(0)
    for y, mean in ((0, 3.0), (1, -3.0)):
        drawn = model.sample(2000, y=torch.full((2000,), y), generator=made)
        torch.testing.assert_close(drawn.mean(0), torch.tensor([mean, 0.0]), rtol=0, atol=0.1)
    model.net.bias.data = torch.tensor([2.0, 0.0])  # p(x) leans to class 0
    assert model.sample(2000, generator=made)[:, 0].mean() > 0.3


@torch.no_grad()
def denoising_gives_the_mean_before_the_noise():
    """Of a Gaussian of variance v + s^2 the mean before the noise is u v / (v + s^2)."""
    start = ClassGaussians(Reals((2,)), Levels((), 2))
    start.spread.fill_(math.sqrt(0.7 + 0.3**2))
    chains = LangevinReplay(start, 0.1, box=9.0)
    model = JointEnergyModel(Reals((2,)), Levels((), 2), nn.Linear(2, 2), chains, noise=0.3)
    model.net.weight.data.zero_()
    u = torch.randn(6, 2)
    torch.testing.assert_close(model.denoise(u), u * 0.7 / (0.7 + 0.09))


def no_example_sees_its_batch():
    torch.manual_seed(0)
    for name in NAMES:
        model, x, *_ = zoo.get(name).small()
        with torch.no_grad():
            whole, alone = (
                model.energy(x),
                torch.cat([model.energy(x[i : i + 1]) for i in range(4)]),
            )
            torch.testing.assert_close(whole[:4], alone, rtol=1e-4, atol=1e-4)
            u = torch.randn(5, *model.data.shape)
            slopes = model.chains.slope(model.log_g, u)
            torch.testing.assert_close(
                slopes[:2], model.chains.slope(model.log_g, u[:2]), rtol=1e-3, atol=1e-3
            )


def the_calibration_error_is_that_of_the_definition():
    p = torch.tensor([[0.95, 0.05], [0.85, 0.15], [0.1, 0.9], [0.6, 0.4], [0.35, 0.65]])
    y = torch.tensor([0, 1, 1, 0, 0])
    # ten bins: (.9, 1] {.95 right}, (.8, .9] {.85 wrong, .9 right}, (.5, .6] {.6}, (.6, .7] {.65}
    expected = (1 * 0.05 + 2 * abs(0.5 - 0.875) + 1 * 0.4 + 1 * 0.65) / 5
    assert calibration.calibration_error(p, y, 10) == pytest.approx(expected, abs=1e-6)
    torch.manual_seed(0)
    p = torch.randn(20_000, 5).softmax(1)
    y = torch.multinomial(p, 1).squeeze(1)
    null = calibration.calibration_null(p[:1000], repeats=20)
    assert calibration.calibration_error(p, y) < 0.012
    assert 0.01 < null.mean() < 0.05
    assert torch.equal(null, calibration.calibration_null(p[:1000], repeats=20))
    assert not torch.equal(null, calibration.calibration_null(p[:1000], repeats=20, seed=1))


def the_temperature_is_found():
    torch.manual_seed(0)
    logits = 2 * torch.randn(40_000, 4)
    y = torch.multinomial(logits.softmax(1), 1).squeeze(1)
    assert calibration.best_temperature(3 * logits, y) == pytest.approx(3, rel=0.04)
    assert calibration.best_temperature(logits / 2, y) == pytest.approx(0.5, rel=0.04)


def the_area_counts_pairs():
    torch.manual_seed(0)
    a, b = torch.randint(9, (60,)).double() + 2, torch.randint(9, (45,)).double()
    pairs = (a[:, None] > b).double() + 0.5 * (a[:, None] == b).double()
    area = areas.auroc(a, b)
    assert area.value == pytest.approx(pairs.mean().item(), abs=1e-12)
    assert area.value > 0.6
    again = [
        areas.auroc(torch.randint(9, (60,)) + 2.0, torch.randint(9, (45,)) * 1.0).value
        for _ in range(400)
    ]
    assert area.standard_error == pytest.approx(torch.tensor(again).std().item(), rel=0.3)
    assert areas.auroc(b, a).value == pytest.approx(1 - area.value)


def an_attack_stays_in_its_box_and_is_the_best_there():
    """On a linear map the worst point is a corner, and the loss rises by radius |w|_1."""
    torch.manual_seed(0)
    w, u = torch.randn(6), 0.5 * torch.rand(20, 6) - 0.25
    found = attack.pgd(lambda v: v @ w, u, 0.3)
    torch.testing.assert_close(found, u + 0.3 * w.sign())
    near = 0.95 * torch.ones(4, 6)
    assert attack.pgd(lambda v: v @ w, near, 0.3).abs().max() <= 1
    torch.testing.assert_close(attack.pgd(lambda v: v @ w, u, 0.0), u)
    wavy = lambda v: (9 * v).sin().sum(1)  # noqa: E731
    for seed in (0, 1):
        made = torch.Generator().manual_seed(seed)
        found = attack.pgd(wavy, u, 0.2, steps=3, generator=made)
        assert (wavy(found) >= wavy(u)).all()
        assert (found - u).abs().max() <= 0.2 + 1e-6
    uphill = attack.pgd(lambda v: v @ w, u, 0.3, slope=lambda v: w.expand_as(v))
    torch.testing.assert_close(uphill, u + 0.3 * w.sign())


def probes_are_scored_on_codes_they_have_not_seen(patch=None):
    digits = joint_or_plain.data.load("digits")
    asked = []

    def probe(h, y, test_h, test_y, c):
        asked.append((len(h), len(test_h), torch.equal(y, digits.train_y)))
        assert torch.equal(test_y, digits.test_y)
        assert not torch.equal(h[:5], test_h[:5])
        return 0.5

    kept, joint_or_plain.linear_probe = joint_or_plain.linear_probe, probe
    try:
        torch.manual_seed(0)
        found = joint_or_plain.probes(zoo.get("jem").build(digits.kind), digits)
    finally:
        joint_or_plain.linear_probe = kept
    assert asked == [(1000, 447, True)] * 5
    assert list(found) == ["pixels", "layer 1", "layer 2", "layer 3", "layer 4"]


def an_energy_apart_pulls_at_no_class():
    """Its log-sum-exp is the last output, the softmax that of the others; tied, all are pulled."""
    torch.manual_seed(0)
    out = torch.randn(5, 4).double().requires_grad_()
    f = joint_calibration.EnergyApart(nn.Identity())(out)
    torch.testing.assert_close(f.softmax(1), out[:, :3].softmax(1))
    torch.testing.assert_close(f.logsumexp(1), out[:, 3])
    slope = torch.autograd.grad(f.logsumexp(1).sum(), out)[0]
    torch.testing.assert_close(slope, torch.tensor([0.0, 0, 0, 1]).double().expand(5, 4))
    tied = torch.autograd.grad(out[:, :3].logsumexp(1).sum(), out)[0]
    torch.testing.assert_close(tied[:, :3], out[:, :3].softmax(1))


def a_study_of_few_labels_sees_no_others():
    seen, pictures = [], []

    def fit(model, pairs, **settings):
        pictures.append(pairs[0])
        seen.append((len(pairs[0]), pairs[1].bincount().tolist(), settings["augment"] is None))
        return model.eval() and guarded_fit(model, pairs, steps=1, progress=False)

    kept, joint_calibration.guarded_fit = joint_calibration.guarded_fit, fit
    try:
        found = joint_calibration.train_and_ask("apart", 30, 0.7, 0)
        for seed in (1, 2):
            joint_calibration.train_and_ask("plain", 20, 0.0, seed)
    finally:
        joint_calibration.guarded_fit = kept
    assert seen == [(30, [3] * 10, False), *2 * [(20, [2] * 10, True)]]
    assert not torch.equal(*pictures[1:])  # every seed has its own
    assert {"ece", "val_ece", "null", "over", "temperature"} <= found.keys()


class Touchy(nn.Module):
    """A model whose loss is as large as it is told to be at some calls."""

    def __init__(self, bad=(), loss=1e6):
        super().__init__()
        self.data, self.weight = Reals((2,)), nn.Parameter(torch.zeros(2))
        self.bad, self.big, self.calls, self.restarted = set(bad), loss, 0, 0

    def restart(self):
        self.restarted += 1

    def loss(self, x):
        self.calls += 1
        out = (x - self.weight).square().sum(1)
        return out * self.big if self.calls in self.bad else out


def a_run_that_goes_wrong_goes_back_and_on():
    x = torch.randn(64, 2) + 3
    settings = dict(steps=30, batch_size=16, eval_every=10, lr=0.1, progress=False)
    calm = Touchy()
    assert guarded_fit(calm, x, **settings).rollbacks == ()
    assert calm.calls == 30
    for loss in (1e6, math.nan):
        model = Touchy(bad=(15,), loss=loss)
        fitted = guarded_fit(model, x, **settings)
        assert fitted.rollbacks == (10,)
        assert model.calls == 40
        assert model.restarted == 1
        assert model.weight.isfinite().all()
        assert len(fitted.train_loss) == 30
        assert max(fitted.train_loss) < 1e3
        assert (model.weight.mean() < calm.weight.mean()).all()  # half the rate from there on
    with pytest.raises(TrainingDiverged):
        guarded_fit(Touchy(bad=range(1000)), x, attempts=2, **settings)


PROPERTIES = (
    energy_is_minus_the_log_sum_over_classes, what_all_logits_share_moves_no_class,
    the_loss_has_the_gradient_of_the_joint_likelihood,
    the_law_of_departure_is_a_mixture_of_gaussians, a_walk_has_the_variance_of_its_steps,
    chains_go_on_and_some_begin_anew, draws_of_a_class_climb_its_own_logit,
    denoising_gives_the_mean_before_the_noise, no_example_sees_its_batch,
    the_calibration_error_is_that_of_the_definition, the_temperature_is_found,
    the_area_counts_pairs, an_attack_stays_in_its_box_and_is_the_best_there,
    probes_are_scored_on_codes_they_have_not_seen, a_run_that_goes_wrong_goes_back_and_on,
    an_energy_apart_pulls_at_no_class, a_study_of_few_labels_sees_no_others,
)  # fmt: skip

test_property, test_planted_fault = property_tests(PROPERTIES, FAULTS)


def test_the_plain_classifier_has_no_second_term():
    model = plane_model(weight=0.0).train()
    x, y = torch.randn(5, 2).double(), torch.tensor([0, 1, 2, 1, 0])
    torch.testing.assert_close(model.loss(x, y), cross_entropy(model.net(x), y, reduction="none"))


def test_without_its_base_the_logits_are_the_net():
    model = plane_model()
    x = torch.randn(5, 2).double()
    bare = JointEnergyModel(model.data, model.labels, model.net, model.chains, base=False)
    torch.testing.assert_close(-bare.joint_energy(x), model.net(x))


# --- bad input ------------------------------------------------------------------------------------


def test_bad_input_is_named():
    points, labels = Reals((2,)), Levels((), 3)
    start = ClassGaussians(points, labels)
    model, p = plane_model(), torch.full((4, 2), 0.5)
    x, y = torch.zeros(2, 2), torch.tensor([0, 1])
    for match, call in (
        ("step_size must be positive", lambda: LangevinReplay(start, 0.0, 1.0)),
        ("box must be positive", lambda: LangevinReplay(start, 1.0, math.inf)),
        ("temperature must be", lambda: LangevinReplay(start, 1.0, 1.0, temperature=-1)),
        ("fresh must be a share", lambda: LangevinReplay(start, 1.0, 1.0, fresh=1.5)),
        ("n_kept must be", lambda: LangevinReplay(start, 1.0, 1.0, n_chains=9, n_kept=8)),
        ("noise must be", lambda: JointEnergyModel(points, labels, None, None, noise=-1.0)),
        ("y must be", lambda: model.loss(x.double(), torch.tensor([0, 3]))),
        ("y must have shape", lambda: model.sample(3, y=y)),
        ("y must hold two examples", lambda: start.fit_to(x, y)),
        ("u must hold", lambda: start.fit_to(torch.zeros(3, 2), y)),
        ("strides must be", lambda: SmoothConvNet((1, 8, 8), 3, (4,), (3,))),
        ("data must be images", lambda: SmoothConvNet((1, 7, 7), 3, (4,), (2,))),
        ("p must hold probabilities", lambda: calibration.calibration_error(2 * p, y)),
        ("y must be 4 integers", lambda: calibration.calibration_error(p, y)),
        ("n_bins must be", lambda: calibration.calibration_error(p, torch.zeros(4).long(), 0)),
        ("inside must be", lambda: areas.auroc(torch.zeros(1), torch.zeros(3))),
        ("outside holds NaN", lambda: areas.auroc(torch.zeros(2), torch.full((3,), math.nan))),
        ("radius must be", lambda: attack.pgd(lambda v: v.sum(1), x, -1.0)),
        ("steps must be", lambda: attack.pgd(lambda v: v.sum(1), x, 1.0, steps=0)),
        ("most > 0", lambda: guarded_fit(Touchy(), x, most=0.0)),
    ):
        with pytest.raises(ValueError, match=match):
            call()
