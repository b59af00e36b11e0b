"""Hierarchical VAEs: the contract over all entries, what each paper's part does, planted faults."""

import math

import contract
import pytest
import torch
from planted_hierarchical import FAULTS
from planting import property_tests
from torch import nn
from torch.distributions import Normal, kl_divergence

from dgm import zoo
from dgm.distribution.support import Levels
from dgm.hierarchical.inference import PrecisionWeighted, ResidualNormal, SumOfBoth
from dgm.hierarchical.layer import Layer
from dgm.hierarchical.layer_gaussian import LayerGaussian, LayerHead, UnitGaussian
from dgm.hierarchical.skipping import SkippingAdamW
from dgm.hierarchical.state import Added, Replaced
from dgm.hierarchical.top_down import TopDown
from dgm.nets.hierarchy import BottleneckCell, DepthwiseCell, Grow, LinearCell
from dgm.plot.wiring.hierarchical import facts
from dgm.zoo.hierarchical import DEEP_DIGITS, layers_of_numbers, very_deep_vae
from dgm.zoo.studies import depth_or_width, inference_direction

BITS = Levels((1, 2, 2), 2)
NAMES = [name for name, room in zoo.modules().items() if room == "hierarchical"]


@contract.over("hierarchical")
def test_contract(entry, promise):
    promise(entry)


def tiny(name="biva", std=0.4, seed=0, **sizes):
    """A small model of 2 x 2 bits, its weights moved about, in float64; all its 16 states.

    Means and log variances stay below 0.4, so that weights p / q have no long tails.
    """
    torch.manual_seed(seed)
    chain = name in ("bottom_up_vae", "ladder_vae")
    sizes = (dict(z_dims=(1, 2)) if chain else dict(sides=(1, 1), channels=(3, 2))) | sizes
    model = zoo.get(name).build(BITS, **{"width": 5} | sizes)
    states = torch.cartesian_prod(*[torch.arange(2)] * 4).view(16, 1, 2, 2)
    for head in model.modules():
        if isinstance(head, LayerHead):
            head.bound = 0.4
    return contract.moved(model, std).double(), states


def law(*shape):
    return LayerGaussian(torch.randn(7, *shape).double(), torch.randn(7, *shape).double())


# --- properties, each of which a planted fault below must break -----------------------------------


def kl_in_closed_form_is_the_mean_log_ratio():
    """And that of torch.distributions, summed over all units of a layer."""
    torch.manual_seed(0)
    q, p = law(2, 3), law(2, 3)
    as_normal = [Normal(g.mean, (0.5 * g.log_var).exp()) for g in (q, p)]
    expected = kl_divergence(*as_normal).flatten(1).sum(1)
    torch.testing.assert_close(q.kl(p), expected)
    z = q.draw()
    torch.testing.assert_close(q.log_prob(z), as_normal[0].log_prob(z).flatten(1).sum(1))


@torch.no_grad()
def probabilities(model, states, n=20_000):
    """p(x) of every state by draws from the prior, layer by layer: mean and standard error."""
    h = model._start(n)
    for level in model.layers:
        h = level.update(h, level.prior(h).draw())
    each = torch.stack([model.decoder(h).log_prob(x.expand(n, *x.shape)).exp() for x in states])
    return each.mean(1), each.std(1) / n**0.5


def weights_average_to_the_probability(name="biva", k=None):
    """The mean of p(x, z) / q(z|x) is p(x) for each of the 16 states, that of L^{>k} too."""
    model, states = tiny(name)
    torch.manual_seed(1)
    p, error = probabilities(model, states)
    for low in range(len(model.layers)) if k is None else (k,):
        with torch.no_grad():
            weights = model.bound_above(states.repeat(4000, 1, 1, 1), low).exp().view(4000, 16)
        z = (weights.mean(0) - p) / (weights.var(0) / 4000 + error**2).sqrt()
        assert z.abs().max() < 4.5, low


def elbo_is_the_bound_with_one_draw(name="biva"):
    model, states = tiny(name)
    torch.manual_seed(2)
    with torch.no_grad():
        rows = states.repeat(6000, 1, 1, 1)
        a, b = (v.view(6000, 16).mean(1) for v in (model.elbo(rows), model.iw_bound(rows, 1)))
    error = ((a.var() + b.var()) / 6000).sqrt()
    assert abs(a.mean() - b.mean()) < 4 * error


def samples_follow_the_bound_with_many_draws(name="biva"):
    model, states = tiny(name)
    with torch.no_grad():
        torch.manual_seed(3)
        weights = torch.stack([model.iw_bound(states, 200).exp() for _ in range(40)])
        x = model.sample(40_000, generator=torch.Generator().manual_seed(0))
    p, error = weights.mean(0), weights.std(0) / 40**0.5
    place = torch.tensor([8, 4, 2, 1])
    seen = torch.bincount((x.flatten(1) * place).sum(1), minlength=16) / 40_000
    z = (seen - p) / (p * (1 - p) / 40_000 + error**2).sqrt()
    assert z.abs().max() < 4.5


def merging_is_the_product_of_two_gaussians():
    """The law of z under said(z) * prior(z), worked out on a grid."""
    said, p = (LayerGaussian(torch.tensor([[m]]), torch.tensor([[v]])) for m, v in
               ((1.0, 0.5), (-0.5, -1.0)))  # fmt: skip
    q = PrecisionWeighted(lambda d: said)(None, None, p)
    z = torch.linspace(-8, 8, 4001)
    density = torch.softmax(said.log_prob(z[:, None]) + p.log_prob(z[:, None]), 0)
    mean = (density * z).sum()
    variance = (density * (z - mean) ** 2).sum()
    torch.testing.assert_close(q.mean[0, 0], mean, atol=1e-4, rtol=0)
    torch.testing.assert_close(q.log_var.exp()[0, 0], variance, atol=1e-4, rtol=0)


def the_cost_of_a_residual_is_that_of_its_change():
    """Equation 2 of NVAE: (dm^2 / v + dv - log dv - 1) / 2."""
    torch.manual_seed(4)
    p, change = law(2), law(2)
    q = ResidualNormal(lambda both: change)(p.mean, p.mean, p)
    dm, log_dv = change
    expected = 0.5 * (dm**2 / p.log_var.exp() + log_dv.exp() - log_dv - 1).sum(1)
    torch.testing.assert_close(q.kl(p), expected)


def bounds_know_nothing_of_the_settings_of_training():
    for change in (dict(free_bits=3.0), dict(beta=0.1), dict(spectral=1.0)):
        model, states = tiny()
        other, _ = tiny()
        for key, value in change.items():
            setattr(other, key, value)
        for method in ("elbo", "layer_kl"):
            torch.manual_seed(5)
            expected = getattr(model.train(), method)(states)
            torch.manual_seed(5)
            assert torch.equal(getattr(other.train(), method)(states), expected), change


def temperature_widens_the_draws_and_nothing_else():
    """At temperature t the top layer, N(0, I), has the standard deviation t; bounds stay."""
    model, states = tiny("ladder_vae")
    torch.manual_seed(6)
    before = model.iw_bound(states, 3)
    for t in (0.3, 1.0, 2.0):
        z = model.draw(20_000, temperature=t, generator=torch.Generator().manual_seed(1))
        assert z[0].std().item() == pytest.approx(t, rel=0.05)
        given = model.layers[1].prior(model.layers[0].update(None, z[0]))
        spread = ((z[1] - given.mean) / (0.5 * given.log_var).exp()).std()
        assert spread.item() == pytest.approx(t, rel=0.05)
    torch.manual_seed(6)
    assert torch.equal(model.iw_bound(states, 3), before)


def fixed_layers_stay_and_the_others_are_drawn_given_them():
    model, _ = tiny("ladder_vae", std=0.8)
    top = torch.full((20_000, 1), 1.5).double()
    z = model.draw(20_000, fixed=[top], generator=torch.Generator().manual_seed(2))
    assert torch.equal(z[0], top)
    given = model.layers[1].prior(model.layers[0].update(None, top))
    assert ((z[1].mean(0) - given.mean[0]).abs() < 0.05 * (0.5 * given.log_var[0]).exp()).all()
    assert z[1].std() > 0.1


def kl_of_a_layer_is_held_against_the_state_above_it():
    """By hand, for a ladder of two layers, on the noise the model uses."""
    model, x = tiny("ladder_vae", std=0.8)
    torch.manual_seed(7)
    found = model.layer_kl(x)
    torch.manual_seed(7)
    top, low = model.layers
    d1 = low.read(model.data.scaled(x, dtype=torch.float64))
    q2 = top.posterior.head(top.read(d1))
    z2 = q2.draw()
    p1 = low.prior(top.update(None, z2))
    q1 = low.posterior(None, d1, p1)
    zero = torch.zeros_like(z2)
    expected = torch.stack((q2.kl(LayerGaussian(zero, zero)), q1.kl(p1)), 1)
    torch.testing.assert_close(found, expected)
    assert found.shape == (16, 2)


PROPERTIES = [
    kl_in_closed_form_is_the_mean_log_ratio, weights_average_to_the_probability,
    elbo_is_the_bound_with_one_draw, samples_follow_the_bound_with_many_draws,
    merging_is_the_product_of_two_gaussians, the_cost_of_a_residual_is_that_of_its_change,
    bounds_know_nothing_of_the_settings_of_training,
    temperature_widens_the_draws_and_nothing_else,
    fixed_layers_stay_and_the_others_are_drawn_given_them,
    kl_of_a_layer_is_held_against_the_state_above_it,
]  # fmt: skip


@pytest.mark.parametrize("name", ["bottom_up_vae", "nvae"])
def test_weights_average_to_the_probability_in_other_models_too(name):
    weights_average_to_the_probability(name, k=0)
    elbo_is_the_bound_with_one_draw(name)


test_property, test_planted_fault = property_tests(PROPERTIES, FAULTS)


# --- what each paper put in -----------------------------------------------------------------------


def parts(n=5, c=2):
    torch.manual_seed(8)
    return torch.randn(n, 3), torch.randn(n, 3), law(c)


def test_a_merged_posterior_is_never_wider_than_the_prior():
    said, prior = law(4), law(4)
    q = PrecisionWeighted(lambda d: said)(None, None, prior)
    assert (q.log_var < torch.minimum(said.log_var, prior.log_var)).all()
    between = (q.mean - said.mean) * (q.mean - prior.mean)
    assert (between <= 0).all()


def test_a_silent_residual_posterior_is_the_prior():
    head = LayerHead(nn.Linear(4, 4))
    nn.init.zeros_(head.net.weight)
    nn.init.zeros_(head.net.bias)
    prior = LayerGaussian(torch.randn(3, 2), torch.randn(3, 2))
    q = ResidualNormal(head)(torch.randn(3, 2), torch.randn(3, 2), prior)
    assert q.kl(prior).abs().max() < 1e-6


def test_a_sum_posterior_adds_means_and_log_variances():
    above, below, prior = law(2), law(2), law(2)
    q = SumOfBoth(lambda h: above, lambda d: below)(None, None, prior)
    torch.testing.assert_close(q.mean, above.mean + below.mean)
    torch.testing.assert_close(q.log_var, above.log_var + below.log_var)


def test_priors_of_the_very_deep_vae_start_at_the_standard_normal():
    model = zoo.get("very_deep_vae").build(BITS, sides=(1, 2), channels=(2, 1), width=4)
    for level in model.layers:
        p = level.prior(torch.randn(3, 4, 1, 1))
        assert not p.mean.any()
        assert not p.log_var.any()


def test_the_head_bounds_means_and_log_variances():
    head = LayerHead(nn.Identity(), bound=5.0)
    p = head(torch.tensor([[1e4, -1e4]]))
    assert (p.mean.item(), p.log_var.item()) == pytest.approx((5.0, -5.0))


def test_growing_from_one_place_gives_every_place_weights_of_its_own():
    grow = Grow(2, 1, 3)
    out = grow(torch.ones(1, 2, 1, 1))
    assert out.shape == (1, 2, 3, 3)
    assert out.flatten().unique().numel() == 18


def test_only_biva_draws_on_both_ways():
    ways = {}
    for name in NAMES:
        model, _ = tiny(name)
        ways[name] = {(lv.rising is not None, lv.posterior is not None) for lv in model.layers}
    up, down, both = (True, False), (False, True), (True, True)
    assert ways.pop("bottom_up_vae") == {up}
    assert ways.pop("biva") == {down, both}  # the top layer is drawn at the turn
    assert all(way == {down} for way in ways.values())


def test_spectral_penalty_is_the_sum_of_the_largest_singular_values():
    model, x = tiny("nvae")
    maps = [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    expected = sum(torch.linalg.svdvals(m.weight.flatten(1))[0] for m in maps)
    losses = []
    for weight in (0.0, 0.7):
        model.spectral = weight
        torch.manual_seed(9)
        losses.append(model.train().loss(x))
    torch.testing.assert_close(losses[1] - losses[0], (0.7 * expected).expand(16))
    torch.manual_seed(9)
    torch.testing.assert_close(model.eval().loss(x), losses[0])  # a bound again


def test_free_bits_are_taken_of_the_mean_over_the_batch_in_each_layer():
    model, x = tiny("very_deep_vae")
    torch.manual_seed(10)
    kl = model.layer_kl(x).mean(0)
    torch.manual_seed(10)
    reconstruction = model.terms(x)["reconstruction"]
    free = kl.mean().item()  # one layer below, one above
    assert kl.min() < free < kl.max()
    model.free_bits, model.beta = free, 0.5
    torch.manual_seed(10)
    expected = 0.5 * (free + kl.max()) - reconstruction
    torch.testing.assert_close(model.loss(x), expected)


def test_terms_are_reconstruction_and_the_sum_of_the_layers():
    model, x = tiny("resnet_vae")
    torch.manual_seed(11)
    terms = model.terms(x)
    torch.manual_seed(11)
    torch.testing.assert_close(terms["kl"], model.layer_kl(x).sum(1))
    torch.manual_seed(11)
    torch.testing.assert_close(model.elbo(x), terms["reconstruction"] - terms["kl"])


def test_the_bound_of_the_upper_layers_is_below_the_bound_of_all():
    """With a posterior that is better than the prior, as after training; k = 0 is the bound."""
    model = zoo.load("very_deep_vae", "digits")
    x = zoo_digits()[:100]
    torch.manual_seed(12)
    with torch.no_grad():
        bounds = [model.bound_above(x, k).mean().item() for k in range(len(model.layers))]
        own = model.elbo(x).mean().item()
    assert bounds[0] == pytest.approx(own, abs=1.0)
    assert bounds[0] > bounds[1] + 5


def zoo_digits():
    from dgm import data

    return data.load("digits").test


def test_latents_of_a_picture_give_its_likelihood_back():
    model, x = tiny("very_deep_vae", sides=(1, 2))
    torch.manual_seed(13)
    layers = model.latents(x)
    torch.manual_seed(13)
    expected = model.terms(x)["reconstruction"]
    assert [tuple(z.shape) for z in layers] == [(16, 3, 1, 1), (16, 2, 2, 2)]
    torch.testing.assert_close(model.likelihood(layers).log_prob(x), expected)


def test_draws_are_those_of_their_generator_with_layers_fixed_and_cooled():
    model, _ = tiny("nvae")
    fixed = model.draw(6)[:1]
    draws = []
    for seed, temperature in ((1, 0.7), (1, 0.7), (2, 0.7), (1, 0.9)):
        made = torch.Generator().manual_seed(seed)
        draws.append(model.draw(6, fixed=fixed, temperature=temperature, generator=made)[1])
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    assert not torch.equal(draws[0], draws[3])
    assert model.sample(6, fixed=fixed, temperature=0.7).shape == (6, 1, 2, 2)


def test_a_step_with_a_huge_gradient_is_skipped_and_others_are_clipped():
    w = nn.Parameter(torch.zeros(2))
    optimizer = SkippingAdamW([w], lr=0.1, clip=1.0, skip=10.0)
    for size, moved in ((3.0, True), (50.0, False), (math.nan, False), (math.inf, False)):
        before = w.detach().clone()
        w.grad = torch.tensor([size, 0.0])
        optimizer.step()
        assert bool((w != before).any()) == moved, size
    assert optimizer.skipped == 3
    w.grad = torch.tensor([3.0, 4.0])
    optimizer.step()
    torch.testing.assert_close(w.grad.norm(), torch.tensor(1.0))


@pytest.mark.parametrize("cell", [BottleneckCell(6, depth=4), DepthwiseCell(6), LinearCell(6)])
def test_a_cell_is_residual(cell):
    """What it adds has the shape of what came, and is nothing where its last map is zero."""
    h = torch.randn(3, 6) if isinstance(cell, LinearCell) else torch.randn(3, 6, 4, 4)
    assert cell(h).shape == h.shape
    assert not torch.equal(cell(h), h)
    last = cell.narrow if isinstance(cell, DepthwiseCell) else cell.last
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    assert torch.equal(cell(h), h)


def test_a_chain_shows_the_picture_its_lowest_layer_only_and_a_state_shows_all():
    for keeps in (False, True):
        torch.manual_seed(14)
        model = layers_of_numbers(BITS, (2, 3), width=6, keeps=keeps).eval()
        low = torch.randn(5, 3)
        tops = torch.randn(2, 5, 2)
        pictures = [model.likelihood([top, low]).mean for top in tops]
        assert torch.equal(*pictures) != keeps


def test_facts_for_the_drawing_are_those_of_the_model():
    found = {name: facts(tiny(name)[0]) for name in NAMES}
    assert [f["keeps"] for f in found["ladder_vae"]] == [False, False]
    assert [f["prior_in_q"] for f in found["ladder_vae"]] == [False, True]
    assert all(f["prior_in_q"] and f["merge"] == "prior + change" for f in found["nvae"])
    assert [f["up"] for f in found["biva"]] == [False, True]
    assert all(f["up"] and not f["down"] and not f["merge"] for f in found["bottom_up_vae"])


def test_the_study_of_the_direction_has_every_cell_three_times():
    runs = inference_direction.load()
    cells = {(r["rises"], r["keeps"], r["seed"]) for r in runs}
    assert len(cells) == len(runs) == 12
    assert all(len(r["kl"]) == 3 and min(r["kl"]) > -0.01 for r in runs)


def test_the_flat_models_of_the_study_have_as_many_numbers_as_the_recipe():
    digits = Levels((1, 8, 8), 17)
    deep = very_deep_vae(digits, **DEEP_DIGITS.sizes)
    size = sum(p.numel() for p in deep.parameters())
    runs = depth_or_width.load()
    assert sorted(r["seed"] for r in runs) == [0, 1, 2]
    for run in runs:
        sizes = DEEP_DIGITS.sizes | depth_or_width.SIZES[run["layers"]]
        assert run["parameters"] == sum(
            p.numel() for p in very_deep_vae(digits, **sizes).parameters()
        )
        assert abs(run["parameters"] / size - 1) < 0.03


# --- bad input ------------------------------------------------------------------------------------


def level(**parts):
    head = LayerHead(nn.Linear(2, 4))
    return Layer(nn.Identity(), head, Replaced(nn.Identity()), **parts)


@pytest.mark.parametrize(("said", "make"), [
    ("layers must hold one layer or more", lambda: TopDown(BITS, [], nn.Identity(), ())),
    ("beta must be", lambda: TopDown(BITS, [nn.Identity()], nn.Identity(), (), beta=-1.0)),
    ("free_bits must be", lambda: TopDown(BITS, [nn.Identity()], nn.Identity(), (),
                                          free_bits=math.nan)),
    ("posterior and rising are both None", level),
    ("rising and absorb come together", lambda: level(rising=nn.Identity())),
    ("bound must be finite", lambda: LayerHead(nn.Identity(), bound=0.0)),
    ("a mean and a log variance", lambda: LayerHead(nn.Identity())(torch.ones(1, 3))),
    ("clip and skip", lambda: SkippingAdamW([], lr=1.0, clip=2.0, skip=1.0)),
    ("sides and channels must be equally many", lambda: tiny("nvae", channels=(2,))),
    ("sides and channels must be equally many", lambda: tiny("nvae", sides=(), channels=())),
    ("each side divides the next", lambda: tiny("nvae", sides=(1, 3))),
    ("channels must be at least 2", lambda: tiny("biva", channels=(2, 1))),
    ("z_dims must hold one size", lambda: tiny("ladder_vae", z_dims=())),
    ("z_dims must hold one size", lambda: tiny("bottom_up_vae", z_dims=(2, 0))),
    ("side must be a multiple", lambda: Grow(2, 2, 3)),
    ("temperature must be finite and above 0", lambda: tiny()[0].sample(2, temperature=0.0)),
    ("temperature must be finite and above 0", lambda: tiny()[0].draw(2, temperature=math.nan)),
    ("fixed must be the top layers", lambda: tiny()[0].sample(2, fixed=[torch.zeros(3, 3, 1, 1)])),
    ("fixed must be the top layers", lambda: tiny()[0].draw(1, fixed=tiny()[0].draw(1) * 2)),
    ("draws must be of all 2 layers", lambda: tiny()[0].likelihood(tiny()[0].draw(1)[:1])),
    ("k must leave one of 2 layers", lambda: tiny()[0].bound_above(tiny()[1], 2)),
    ("k must be a whole number", lambda: tiny()[0].bound_above(tiny()[1], -1)),
    ("k must be a whole number", lambda: tiny()[0].iw_bound(tiny()[1], 0)),
])  # fmt: skip
def test_bad_input_is_named(said, make):
    with pytest.raises(ValueError, match=said):
        make()


def test_unit_gaussian_ignores_what_is_above():
    p = UnitGaussian((2, 1))(torch.full((3, 9), 7.0))
    assert p.mean.shape == (3, 2, 1)
    assert not p.mean.any()
    assert not p.log_var.any()


def test_added_is_residual():
    added = Added(nn.Linear(1, 2, bias=False), nn.Identity())
    h, z = torch.randn(3, 2), torch.randn(3, 1)
    torch.testing.assert_close(added(h, z), h + added.project(z))
