"""What a model claims and what a draw costs; the rows of the last chapter; planted faults."""

import math
import time

import pytest
import torch
from planted_drawing_cost import FAULTS
from planting import property_tests
from torch import nn

import dgm.measure.drawing_cost as cost
from dgm import zoo
from dgm.plot.live.families import family_plane
from dgm.plot.tree import FAMILY_COLORS
from dgm.zoo import side_by_side
from dgm.zoo.studies import hybrid_draws, more_draws


def offering(*methods):
    """A module that has the methods named, and no others."""
    model = nn.Module()
    for name in methods:
        object.__setattr__(model, name, lambda *_: None)
    return model


def around(name, inner, *methods):
    model = offering(*methods)
    setattr(model, name, inner)
    return model


class Chain(nn.Module):
    """A schedule that is asked twice a step, and two layers of unequal size."""

    def __init__(self, steps):
        super().__init__()
        self.steps = steps
        self.schedule, self.first, self.second = nn.Linear(1, 1), nn.Linear(7, 15), nn.Linear(15, 7)

    def sample(self, n):
        x = torch.zeros(n, 7)
        for _ in range(self.steps):
            self.schedule(self.schedule(torch.zeros(1, 1)))
            x = self.second(self.first(x))
        return x


# --- properties, each of which a planted fault below must break -----------------------------------


def what_a_model_offers_is_the_strongest_of_its_methods():
    dense = offering("log_prob")
    wrapped = around("flow", dense, "elbo", "sample")
    cases = {
        "exact": offering("log_prob", "elbo", "sample"),
        "bound": offering("elbo", "energy", "sample"),
        "bound, exact for reals": wrapped,
        "up to a constant": offering("energy", "sample"),
        "none": offering("sample"),
    }
    for word, model in cases.items():
        assert cost.likelihood_of(model) == word
    estimator = around("model", wrapped, "elbo", "sample")
    assert cost.likelihood_of(estimator) == "bound, exact for reals"


def the_runs_of_the_network_are_counted_and_nothing_is_left_behind():
    for steps in (1, 5):
        model = Chain(steps)
        assert cost.evaluations(model.second, lambda model=model: model.sample(3)) == steps
        assert cost.evaluations(model, lambda: None) == 0
        assert not any(m._forward_hooks for m in model.modules())
    model = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 3))
    assert cost.evaluations(model, lambda: [model(torch.zeros(1, 3)) for _ in range(4)]) == 4


def a_small_schedule_does_not_decide():
    model = Chain(6)  # of 234 weights that run, the schedule holds 2
    assert cost.evaluations(model, lambda: model.sample(1)) == 6


def seconds_are_the_least_of_the_repeats_and_of_the_processor():
    waits = iter((2_000_000, 20_000, 1_000_000))
    least = cost.processor_seconds(lambda: sum(range(next(waits))), repeats=3)
    waits = iter((2_000_000,))
    once = cost.processor_seconds(lambda: sum(range(next(waits))))
    assert 0 <= least < once / 5
    assert cost.processor_seconds(lambda: time.sleep(0.2)) < 0.1


def the_exponent_of_a_power_is_found():
    sizes = (3, 10, 40, 50)
    assert cost.growth(sizes, [7 * s**1.5 for s in sizes]) == pytest.approx(1.5)
    assert cost.growth(sizes, [2.0] * 4) == pytest.approx(0)
    assert cost.growth((1, 2), (4, 1)) == pytest.approx(-2)


def the_class_score_is_known_for_certain_and_for_equal_draws():
    certain = 1e3 * torch.eye(5).repeat(7, 1)
    assert cost.class_score(certain) == pytest.approx(5)
    assert cost.class_score(torch.randn(1, 5).repeat(6, 1)) == pytest.approx(1)
    p = torch.tensor([[0.75, 0.25], [0.25, 0.75]])
    divergence = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    assert cost.class_score(p.log()) == pytest.approx(math.exp(divergence))


PROPERTIES = (
    what_a_model_offers_is_the_strongest_of_its_methods,
    the_runs_of_the_network_are_counted_and_nothing_is_left_behind,
    a_small_schedule_does_not_decide,
    seconds_are_the_least_of_the_repeats_and_of_the_processor,
    the_exponent_of_a_power_is_found,
    the_class_score_is_known_for_certain_and_for_equal_draws,
)

test_property, test_planted_fault = property_tests(PROPERTIES, FAULTS)


def test_hooks_go_when_a_draw_fails():
    model = nn.Linear(2, 2)
    with pytest.raises(ZeroDivisionError):
        cost.evaluations(model, lambda: 1 / 0)
    assert not model._forward_hooks


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (lambda: cost.likelihood_of(nn.Linear(1, 1)), "model"),
        (lambda: cost.processor_seconds(lambda: None, 0), "repeats"),
        (lambda: cost.growth([1, 2], [1]), "sizes"),
        (lambda: cost.growth([2, 2], [1, 3]), "sizes"),
        (lambda: cost.growth([1, 2], [0, 3]), "positive"),
        (lambda: cost.class_score(torch.zeros(3)), "logits"),
        (lambda: cost.class_score(torch.full((3, 2), math.nan)), "logits"),
        (lambda: family_plane([], "s", ("a",), alt="none"), "places"),
        (lambda: family_plane([("a", "b", "no", 1.0, [1.0])], "s", ("a",), alt="x"), "family"),
        (lambda: family_plane([("a", "b", "flow", 0.0, [1.0])], "s", ("a",), alt="x"), "seconds"),
        (lambda: family_plane([("a", "b", "flow", 1.0, [])], "s", ("a",), alt="x"), "values"),
        (lambda: family_plane([("a", "b", "flow", 1.0, [None])], "s", ("a",), alt="x"), "axis"),
    ],
)
def test_bad_input_is_named(call, word):
    with pytest.raises(ValueError, match=word):
        call()


# --- the rows of the last chapter -----------------------------------------------------------------


def test_every_row_stands_on_systems_colours_and_figures_that_exist():
    judged = side_by_side.judged_draws()
    for row in side_by_side.ROWS.values():
        assert row.family in FAMILY_COLORS
        assert {row.large, row.small, row.growing} <= set(zoo.modules())
        if row.large != more_draws.PCA_NAME:
            assert zoo.header(row.large, "mnist")["seeds"]
        assert {"frechet", "precision", "recall"} <= set(judged[row.large])


@pytest.mark.parametrize("name", side_by_side.ROWS)
def test_a_row_can_be_grown_and_drawn_from(name):
    torch.manual_seed(0)
    model, draw = side_by_side.grown(name, 8)
    x = draw(3)
    assert x.shape[0] == 3
    assert x[0].numel() == 64
    assert x.min() >= 0
    assert x.max() < side_by_side.LEVELS_OF_GROWN
    assert sum(p.numel() for p in model.parameters()) > 0


def test_only_chains_need_as_many_runs_as_pixels():
    for name, runs in (("autoregressive", 64), ("VAE", 1), ("GAN", 1), ("coupling flow", 1)):
        torch.manual_seed(0)
        model, draw = side_by_side.grown(name, 8)
        assert cost.evaluations(model, lambda draw=draw: draw(1)) == runs, name


def test_draws_of_a_model_with_labels_are_of_all_classes_and_repeatable():
    model = zoo.load("conv_gan", "mnist")
    a, b = (side_by_side.drawing(model, "conv_gan", seed)(4) for seed in (0, 0))
    assert a.equal(b)
    assert not a.equal(side_by_side.drawing(model, "conv_gan", 1)(4))


def test_codes_are_given_by_those_who_have_them():
    x = torch.zeros(3, 1, 8, 8, dtype=torch.uint8)
    widths = {"vae": 16, "vq_vae": None, "flowpp": 64, "deep_mixture": 4096, "very_deep_vae": None}
    for name, width in widths.items():
        code = side_by_side.code_of(zoo.load(name, "digits"), x)
        assert code.shape == (3, width or code.shape[1])
        assert code.isfinite().all()
    for name in ("wavenet", "contrastive_energy", "levels_diffusion", "relativistic_gan"):
        assert side_by_side.code_of(zoo.load(name, "digits"), x) is None


def test_pca_stands_on_file_with_its_draws():
    found = more_draws.load()[more_draws.PCA_NAME]
    assert found["latent_dim"] in more_draws.DIRECTIONS
    assert more_draws.drawn_by_pca().shape == (12, 1, 28, 28)
    model = side_by_side.large_model(more_draws.PCA_NAME)
    assert sum(p.numel() for p in model.parameters()) == found["parameters"]


def test_the_stored_draws_of_hybrids_are_complete():
    runs = hybrid_draws.load()
    for system in (*hybrid_draws.STORED, *hybrid_draws.WEIGHTS):
        seeds = {run["seed"] for run in runs if run["system"] == system}
        assert seeds == set(range(1 if system in hybrid_draws.ONCE else 3)), system
        assert all(1 <= run["score"] <= 10 for run in runs)


def test_the_plane_says_where_a_family_has_no_place():
    places = [("A", "a", "flow", 0.01, [1.0, 2.0]), ("B", "b", "latent", 2.0, [None, 3.0])]
    page = family_plane(places, "seconds", ("bits", "distance"), "T", "two families").data
    assert FAMILY_COLORS["flow"] in page
    assert '"y":[null,3.0]' in page
    assert page == family_plane(places, "seconds", ("bits", "distance"), "T", "two families").data
