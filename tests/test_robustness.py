"""Robust classification: contract, attacks on models of known distance, densities, detectors."""

import math

import contract
import pytest
import torch
from planted_robustness import FAULTS
from planting import property_tests
from torch import nn

from dgm import zoo
from dgm.distribution.normal import StandardNormal
from dgm.distribution.support import Levels, Reals
from dgm.flow.flow import Flow
from dgm.nets.class_mlps import ClassMLPs
from dgm.robustness import boundary_attack as walks
from dgm.robustness import cw_l2 as slopes
from dgm.robustness import pgd_l2 as balls
from dgm.robustness.analysis_by_synthesis import AnalysisBySynthesis
from dgm.robustness.class_conditional_flow import ClassFlow, ClassNormals
from dgm.robustness.detector import LikelihoodDetector
from dgm.zoo import attacked
from dgm.zoo.studies import attacked_digits, clean_digits, plain_cnn


@contract.over("robustness")
def test_contract(entry, promise):
    promise(entry)


def linear_pair(n=20, dims=12, seed=0):
    """Points of a box, logits of two classes, who belongs where, and the exact distances."""
    made = torch.Generator().manual_seed(seed)
    w, u = torch.randn(dims, generator=made), 0.35 + 0.3 * torch.rand(n, dims, generator=made)
    b = -(w @ u.mean(0))

    def logits(v):
        return torch.stack((v @ w + b, torch.zeros(len(v))), 1)

    return u, logits, logits(u).argmax(1), (u @ w + b).abs() / w.norm()


def far(u, v):
    return (v - u).flatten(1).norm(dim=1)


def class_flow_of_the_plane(seed=0, split=False):
    """A class-conditional flow of points, moved, with classes that are not equally common."""
    torch.manual_seed(seed)
    sizes = dict(n_classes=3, steps=(3,), width=5, split=split)
    model = contract.moved(zoo.get("class_flow").build(Reals((2,)), **sizes), 0.3)
    model.log_prior.copy_(torch.tensor([0.6, 0.3, 0.1]).log())
    return model.double()


def small_abs(seed=0, **sizes):
    torch.manual_seed(seed)
    decoders = ClassMLPs(3, 1, 4, hidden=6)
    with torch.no_grad():
        decoders.first *= 2
        decoders.turn.normal_()
    sizes = dict(samples=40, steps=60, noise=0.3, beta=0.05) | sizes
    data, labels = Levels((1, 2, 2), 9), Levels((), 3)
    return AnalysisBySynthesis(data, labels, nn.Linear(7, 2), decoders, 1, **sizes).double().eval()


# --- properties, each of which a planted fault must break -----------------------------------------


def both_attacks_find_the_distance_of_a_linear_model():
    u, logits, y, exact = linear_pair()
    v, found = slopes.cw_l2(logits, u, y, steps=300, searches=12, rate=0.03)
    assert found.all()
    assert (logits(v).argmax(1) != y).all()
    assert ((far(u, v) / exact - 1).abs() < 0.02).all()
    starts = torch.stack([u[y != k][0] for k in y])
    made = torch.Generator().manual_seed(0)
    walked = walks.boundary_attack(
        lambda v: logits(v).argmax(1) != y, u, starts, 800, generator=made
    )
    ratio = far(u, walked) / exact
    assert ((ratio > 0.9999) & (ratio < 1.02)).all()


def pgd_stays_in_ball_and_box_and_finds_the_worst_of_a_linear_model():
    made = torch.Generator().manual_seed(0)
    w, u = torch.randn(9, generator=made), torch.rand(7, 9, generator=made)
    for radius in (0.0, 0.05, 3.0):
        v = balls.pgd_l2(lambda v: v @ w, u, radius)
        assert (far(u, v) <= radius + 1e-6).all()
        assert (v.min() >= 0) & (v.max() <= 1)
        assert (v @ w >= u @ w - 1e-6).all()
    inside = 0.5 + 0.1 * (u - 0.5)
    v = balls.pgd_l2(lambda v: v @ w, inside, 0.2)
    torch.testing.assert_close(v @ w, inside @ w + 0.2 * w.norm(), rtol=1e-4, atol=1e-5)


def the_walk_never_leaves_the_wrong_side():
    u, logits, y, _ = linear_pair(n=11, seed=3)
    starts = torch.stack([u[y != k][0] for k in y])
    for steps in (0, 30, 150):
        made = torch.Generator().manual_seed(1)
        v = walks.boundary_attack(
            lambda v: logits(v).argmax(1) != y, u, starts, steps, generator=made
        )
        assert (logits(v).argmax(1) != y).all()
        assert (far(u, v) <= far(u, starts) + 1e-6).all()


def pictures_stay_in_the_box():
    """The nearest wrong point lies outside of the box: both attacks end on its wall."""
    u = torch.tensor([[0.1, 0.5], [0.2, 0.9]])

    def logits(v):
        return torch.stack((v @ torch.tensor([3.0, 1.0]) - 0.4, torch.zeros(len(v))), 1)

    v, found = slopes.cw_l2(logits, u, torch.zeros(2).long(), steps=300, searches=8)
    starts = torch.tensor([[0.0, 0.0], [0.0, 0.1]])
    made = torch.Generator().manual_seed(0)
    walked = walks.boundary_attack(
        lambda v: logits(v).argmax(1) != 0, u, starts, 600, generator=made
    )
    for at in (v, walked):
        assert (at.min() >= 0) & (at.max() <= 1)
        by_hand = torch.tensor([0.14142, 0.53852])  # at (0, 0.4)
        torch.testing.assert_close(far(u, at), by_hand, rtol=0.03, atol=0)
    assert found.all()


def with_the_hinge_the_detector_stays_silent():
    """Wrong is v0 < 1/2, alarm is v1 < 3/4: the nearest point with both has a known distance."""
    u = torch.tensor([[0.7, 0.5], [0.6, 0.7]])

    def logits(v):
        return torch.stack((v[:, 0], 1 - v[:, 0]), 1)

    def alarm(v):
        return 0.75 - v[:, 1]

    y = torch.zeros(2).long()
    v, found = slopes.cw_l2(logits, u, y, steps=300, searches=9, extra=alarm)
    assert found.all()
    assert (alarm(v) <= 0).all()
    assert (logits(v).argmax(1) == 1).all()
    exact = torch.tensor([math.hypot(0.2, 0.25), math.hypot(0.1, 0.05)])
    torch.testing.assert_close(far(u, v), exact, rtol=0.02, atol=0)


def the_threshold_is_the_quantile_of_what_it_was_given():
    detector = LikelihoodDetector(rate=0.1)
    clean = torch.stack((torch.arange(101.0), torch.full((101,), -500.0)), 1)
    detector.fit_to(clean)
    assert detector.threshold.item() == pytest.approx(10.0)
    assert detector.false_positive_rate(clean) == pytest.approx(10 / 101)
    new = torch.tensor([[9.0, -1.0], [-700.0, 30.0]])
    assert detector.alarm(new).tolist() == [True, False]
    assert detector.hinge(new).tolist() == [1.0, -20.0]


def the_threshold_comes_from_validation_pictures():
    """5 % of validation pictures are below it, and of test pictures another share."""
    threshold = attacked.threshold_of("digits", "JEM", rate=0.05)
    model, val = zoo.load("jem", "digits"), attacked.data.load("digits").val
    with torch.no_grad():
        scores = model.logits(model.data.scaled(val)).amax(1)
    assert (scores < threshold).double().mean().item() == pytest.approx(0.05, abs=0.004)


def pictures_wrong_before_have_no_distance():
    values = torch.tensor([0.5, 0.0, math.nan])
    assert attacked_digits.listed(values, torch.tensor([True, False, True])) == [0.5, None, None]


def the_posterior_is_bayes_rule_with_the_prior():
    model, x = class_flow_of_the_plane(), torch.randn(5, 2, dtype=torch.float64)
    with torch.no_grad():
        by_hand = model.class_log_prob(x).exp() * torch.tensor([0.6, 0.3, 0.1])
        total = by_hand.sum(1)
        torch.testing.assert_close(model.posterior(x).probs, by_hand / total[:, None])
        torch.testing.assert_close(model.log_prob(x), total.log())
        y = torch.tensor([0, 1, 2, 0, 1])
        model.class_weight = 7.0
        log_y = model.posterior(x).logits.gather(1, y[:, None]).squeeze(1)
        torch.testing.assert_close(model.loss(x, y), -model.log_prob(x) - 7 * log_y)


def densities_of_classes_integrate():
    """p(x | y) of every class integrates to one, with all or half of the code knowing the class."""
    side = torch.linspace(-60, 60, 2401, dtype=torch.float64)
    grid = torch.cartesian_prod(side, side)
    for split in (False, True):
        model = class_flow_of_the_plane(split=split)
        with torch.no_grad():
            log_p = torch.cat([model.class_log_prob(part) for part in grid.split(200_000)])
        mass = log_p.exp().sum(0) * (side[1] - side[0]) ** 2
        torch.testing.assert_close(mass, torch.ones(3, dtype=torch.float64), rtol=0, atol=0.01)


def bounds_have_the_slope_at_the_best_code():
    """The slope of l_k is that of its value by differences: the best code moves along."""
    model, u = small_abs(), torch.rand(3, 1, 2, 2, dtype=torch.float64)
    u.requires_grad_()
    found = torch.autograd.grad(model.bounds(u).sum(), u)[0]
    assert found.abs().max() > 1e-3
    turn = torch.randn_like(u)
    with torch.no_grad():
        apart = model.bounds(u + 1e-4 * turn).sum() - model.bounds(u - 1e-4 * turn).sum()
    assert apart.item() / 2e-4 == pytest.approx((found * turn).sum().item(), rel=0.02, abs=1e-4)


def the_search_is_as_good_as_a_fine_grid():
    model, u = small_abs(), torch.rand(6, 1, 2, 2, dtype=torch.float64)
    line = torch.linspace(-5, 5, 4001, dtype=torch.float64)[:, None]
    with torch.no_grad():
        painted = torch.sigmoid(model.decoders(line.expand(3, 4001, 1)))  # (K, N, D)
        off = (u.flatten(1)[:, None, None] - painted).square().sum(3)  # (B, K, N)
        best = -(off + 0.05 * line.square().sum(1)).amin(2) / 4
        torch.testing.assert_close(model.bounds(u), best, rtol=0, atol=2e-3)


def files_are_asked_in_whole_levels():
    """Of a file the answer is that at whole levels, and the slope is the one there."""
    u, logits = torch.rand(6, 3, dtype=torch.float64), lambda v: torch.stack((v, v**3), 1).sum(2)
    file = attacked.whole_levels(u, 5)
    torch.testing.assert_close((4 * file).frac(), torch.zeros_like(u))
    assert (file - u).abs().max() <= 0.125
    assert (file != u).all()
    who, asked = attacked.of_files(attacked.Attacked("sums", logits), 5), u.clone().requires_grad_()
    torch.testing.assert_close(who.logits(u), logits(file))
    slope = torch.autograd.grad(who.logits(asked)[:, 1].sum(), asked)[0]
    torch.testing.assert_close(slope, 3 * file**2)


def masses_of_integers_sum_to_one_with_learned_noise():
    torch.manual_seed(3)
    sizes = dict(n_classes=3, steps=(2,), width=5, noise_width=4)
    model = contract.moved(zoo.get("class_flow").build(Levels((2,), 3), **sizes), 0.3).eval()
    every = torch.cartesian_prod(torch.arange(3), torch.arange(3)).repeat(20_000, 1)
    with torch.no_grad():
        torch.manual_seed(4)
        log_w = model.elbo(every)
        torch.manual_seed(4)
        torch.testing.assert_close(model.loss(every), -log_w)
    mass = log_w.double().exp().view(20_000, 9).sum(1)
    error = mass.std().item() / 20_000**0.5
    assert error < 0.02
    assert mass.mean().item() == pytest.approx(1.0, abs=5 * error)


PROPERTIES = (
    files_are_asked_in_whole_levels,
    masses_of_integers_sum_to_one_with_learned_noise,
    both_attacks_find_the_distance_of_a_linear_model,
    pgd_stays_in_ball_and_box_and_finds_the_worst_of_a_linear_model,
    the_walk_never_leaves_the_wrong_side,
    pictures_stay_in_the_box,
    with_the_hinge_the_detector_stays_silent,
    the_threshold_is_the_quantile_of_what_it_was_given,
    the_threshold_comes_from_validation_pictures,
    pictures_wrong_before_have_no_distance,
    the_posterior_is_bayes_rule_with_the_prior,
    densities_of_classes_integrate,
    bounds_have_the_slope_at_the_best_code,
    the_search_is_as_good_as_a_fine_grid,
)

test_property, test_planted_fault = property_tests(PROPERTIES, FAULTS)


# --- more of attacks ------------------------------------------------------------------------------


def test_a_margin_is_the_lead_over_the_best_other_class():
    f = torch.tensor([[3.0, 1.0, 2.5], [0.0, 4.0, -1.0]])
    assert slopes.margins(f, torch.tensor([0, 2])).tolist() == [0.5, -5.0]


def test_kappa_asks_for_a_lead():
    u, logits, y, exact = linear_pair(n=6)
    v, found = slopes.cw_l2(logits, u, y, kappa=0.3, steps=200, searches=8)
    assert found.all()
    assert (slopes.margins(logits(v), y) < -0.3).all()
    assert (far(u, v) > exact).all()


def test_what_cannot_be_fooled_comes_back_as_it_was():
    u = torch.rand(4, 3)
    v, found = slopes.cw_l2(
        lambda v: torch.stack((v.sum(1) * 0 + 1, v.sum(1) * 0), 1), u, torch.zeros(4).long(),
        steps=5, searches=2,
    )  # fmt: skip
    assert not found.any()
    assert torch.equal(v, u)


def test_equal_generators_walk_equally_and_others_do_not():
    u, logits, y, _ = linear_pair(n=5)
    starts = torch.stack([u[y != k][0] for k in y])

    def walked(seed):
        made = torch.Generator().manual_seed(seed)
        return walks.boundary_attack(
            lambda v: logits(v).argmax(1) != y, u, starts, 40, generator=made
        )

    assert torch.equal(walked(0), walked(0))
    assert not torch.equal(walked(0), walked(1))


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda u, f, y: slopes.cw_l2(f, u, y, steps=0), "steps"),
        (lambda u, f, y: slopes.cw_l2(f, u, y, searches=1.5), "searches"),
        (lambda u, f, y: slopes.cw_l2(f, u + 1, y), "u must"),
        (lambda u, f, y: slopes.cw_l2(f, u, y[:2]), "y must"),
        (lambda u, f, y: walks.boundary_attack(lambda v: v[:, 0] > 9, u, u), "starts"),
        (lambda u, f, y: walks.boundary_attack(lambda v: v[:, 0] > 0, u, u[:1]), "starts"),
        (lambda u, f, y: walks.boundary_attack(lambda v: v[:, 0] > 0, u, u, -1), "steps"),
        (lambda u, f, y: balls.pgd_l2(lambda v: v.sum(1), u, -1.0), "radius"),
        (lambda u, f, y: balls.pgd_l2(lambda v: v.sum(1), u, 1.0, 0), "steps"),
        (lambda u, f, y: balls.pgd_l2(lambda v: v.sum(1), u * math.nan, 1.0), "u must"),
        (lambda u, f, y: LikelihoodDetector(1.0), "rate"),
        (lambda u, f, y: LikelihoodDetector().score(u[0]), "class_log_prob"),
        (lambda u, f, y: ClassNormals(3, 2, 4), "classed"),
        (lambda u, f, y: small_abs(noise=0.0), "noise"),
        (lambda u, f, y: small_abs().loss(torch.zeros(2, 1, 2, 2).int(), y[:1]), "y must"),
    ],
)
def test_bad_input_is_named(call, named):
    u, logits, y, _ = linear_pair(n=4)
    with pytest.raises(ValueError, match=named):
        call(u, logits, y)


# --- more of models -------------------------------------------------------------------------------


def test_draws_of_a_class_follow_its_density():
    model = class_flow_of_the_plane(split=True)
    x = model.sample(2000, y=torch.full((2000,), 2), generator=torch.Generator().manual_seed(0))
    z = model(x)[0]
    mean, scale = model.base.shift[2, 0].item(), 1.0
    assert z[:, 0].mean().abs() < 0.1
    assert z[:, 1].mean().item() == pytest.approx(mean, abs=4 * scale / 2000**0.5)
    assert z[:, 1].std().item() == pytest.approx(scale, rel=0.08)


def test_pictures_lie_in_the_middles_of_bins():
    model, x, _ = zoo.get("class_flow").small()
    u = x.float() / (model.data.levels - 1)
    logits = model.picture_logits(u).log_softmax(1)
    torch.testing.assert_close(logits, model.posterior(x).logits, rtol=1e-4, atol=1e-4)


def test_a_flow_without_layers_is_a_gaussian_for_each_class():
    flow = Flow([], StandardNormal((2,)), Reals((2,)))
    model, x = ClassFlow(flow, ClassNormals(2, 3), Levels((), 3)), torch.randn(4, 2)
    with torch.no_grad():
        for k in range(3):
            law = torch.distributions.Normal(model.base.shift[k], 1.0)
            torch.testing.assert_close(model.class_log_prob(x)[:, k], law.log_prob(x).sum(1))


def test_decoders_side_by_side_are_those_one_by_one():
    nets = contract.moved(ClassMLPs(3, 2, 5, hidden=4), 0.3)
    z, y = torch.randn(7, 2), torch.tensor([0, 2, 2, 1, 0, 1, 2])
    every = nets(z.expand(3, 7, 2))
    torch.testing.assert_close(nets.of(z, y), every[y, torch.arange(7)])


def test_far_from_every_class_the_floor_makes_the_posterior_even():
    model = small_abs(floor=1e3)
    p = model.posterior(torch.zeros(2, 1, 2, 2).int()).probs
    torch.testing.assert_close(p, torch.full_like(p, 1 / 3), rtol=0, atol=1e-3)
    sharp = small_abs(floor=0.0).posterior(torch.zeros(2, 1, 2, 2).int()).probs
    assert (sharp.amax(1) > 0.4).all()


# --- what is on file ------------------------------------------------------------------------------


def test_every_cell_of_the_studies_is_there():
    runs = attacked_digits.load()
    for name, systems in attacked.NAMES.items():
        for system in systems:
            attacks = ["none", "slope", "slope, long", "decisions"]
            if (name, system) == ("mnist", "ABS"):  # too many searches
                attacks.remove("slope, long")
            for attack in attacks:
                found = attacked_digits.run_of(runs, name, system, attack)
                assert len(found.get("distance", found.get("pgd"))) > 5
    systems = {(run["system"], run["seed"]) for run in clean_digits.load()}
    assert systems == {(n, s) for n in ("plain", *clean_digits.TRAINED) for s in range(3)}


def test_the_cnn_scores_what_was_stored():
    assert plain_cnn.stored_accuracy() > 0.985
    u, y = attacked.attacked_pictures("mnist", "test", 500)
    who = attacked.attacked_classifier("mnist", "CNN")
    assert (who.says(u) == y).double().mean().item() == pytest.approx(0.99, abs=0.015)
