"""Scores of pictures: moments, an exact world, typicality, ratios, codes, regret, the sets."""

import itertools
import math
import zlib

import contract
import pytest
import torch
from planted_outlier import FAULTS
from torch import nn

from dgm import data, zoo
from dgm.data import outlier_sets as sets
from dgm.distribution.gaussian import FullGaussian
from dgm.distribution.support import Levels, Reals
from dgm.outlier import biased_bits, class_scores, doubt, input_complexity, regret, upper_layers
from dgm.outlier import likelihood_ratio as ratios
from dgm.outlier import second_moment as moment
from dgm.outlier.typicality import Typicality, dealt_batches
from dgm.zoo import outlier
from dgm.zoo.studies import clothes_scores as study

# The flow is `realnvp` for pictures only: what is held on points of the plane is held of that.
_POINTS = (
    "sums_or_integrates_to_one samples_agree_with_density bin_masses_are_those_of_the_levels "
    "inverse_undoes_forward log_det_is_the_autograd_one"
)
# Default sizes are for sides of 28 and 256 levels; smaller pictures need sizes of their own.
_LARGE = "models_any_data_or_says_why_not"
WITHOUT = dict(fashion_flow=_POINTS, fashion_hierarchy=_LARGE, fashion_diffusion=_LARGE)


@contract.over("outlier", without=WITHOUT)
def test_contract(entry, promise):
    promise(entry)


def made(seed=0):
    return torch.Generator().manual_seed(seed)


def rows(n, dims, seed, shift=0.0):
    mix = torch.randn(dims, dims, generator=made(seed + 100), dtype=torch.float64)
    return shift + torch.randn(n, dims, generator=made(seed), dtype=torch.float64) @ mix


# --- properties, each of which a planted fault below must break -----------------------------------


def the_foretold_gap_of_a_gaussian_is_the_measured_one():
    inside, outside = rows(40, 3, 0), rows(25, 3, 1, shift=0.7)
    law = FullGaussian(Reals((3,))).double().fit_to(inside)
    at = torch.tensor([0.3, -0.2, 0.1], dtype=torch.float64)  # any point will do
    slope, bend = moment.slope_and_bend(law.log_prob, at, at_once=2)
    told = moment.foretold_gap(slope, bend, at, moment.moments(inside), moment.moments(outside))
    with torch.no_grad():
        seen = law.log_prob(outside).mean() - law.log_prob(inside).mean()
    torch.testing.assert_close(told, seen, rtol=1e-9, atol=1e-9)


def the_world_is_that_of_all_its_states():
    world = biased_bits.BiasedBits(9, 0.8)
    states = torch.tensor(list(itertools.product((0, 1), repeat=9)))
    nats = -world.log_prob(states)
    p = (-nats).exp()
    assert p.sum().item() == pytest.approx(1)
    entropy = (p * nats).sum().item()
    assert entropy == pytest.approx(-9 * (0.8 * math.log(0.8) + 0.2 * math.log(0.2)))
    assert world.entropy == pytest.approx(entropy)
    assert world.spread == pytest.approx((p * (nats - entropy) ** 2).sum().sqrt().item())
    assert world.mode_nats == pytest.approx(nats.min().item())
    near, likelier = (nats - entropy).abs() <= 1.5, nats <= world.nats[7] + 1e-6
    assert world.typical_mass(1.5).item() == pytest.approx(p[near].sum().item())
    assert world.likelier_mass(world.nats[7].item()).item() == pytest.approx(p[likelier].sum())
    draws = world.sample(20_000, made())
    assert draws.double().mean().item() == pytest.approx(0.8, abs=0.005)


def batches_are_refused_on_either_side():
    nats = 100 + 5 * torch.randn(500, generator=made(), dtype=torch.float64)
    test = Typicality(nats, nats[:300])
    limit = test.threshold(4, 0.05, 500, made(1))
    sides = torch.tensor([[80.0] * 4, [120.0] * 4, [100.0] * 4])
    assert (test.distance(sides) > limit).tolist() == [True, True, False]
    torch.testing.assert_close(test.distance(sides)[:2].mean(), torch.tensor(20.0).double(),
                               atol=0.5, rtol=0)  # fmt: skip


def the_threshold_comes_from_validation_batches():
    val = torch.randn(300, generator=made(3), dtype=torch.float64) * 4 + 50
    test = Typicality(torch.full((10,), 50.0), val)
    for m in (1, 7):
        again = test.distance(dealt_batches(val, m, 800, made(5)))
        limit = test.threshold(m, 0.1, 800, made(5))
        assert (again > limit).double().mean().item() == pytest.approx(0.1, abs=0.005)
    limits = [test.threshold(m, 0.1, 800, made(5)).item() for m in (1, 7)]
    assert limits[0] / limits[1] == pytest.approx(math.sqrt(7), rel=0.25)  # means scatter less


def chains(seed):
    torch.manual_seed(seed)
    build = zoo.get("fashion_pixels").build
    sizes = dict(width=5, blocks=2, n_components=2, dilations=(1, 2))
    return contract.moved(build(Levels((1, 3, 4), 7), **sizes), 0.3).double().eval()


def the_ratio_is_of_two_models_and_maps_add_up():
    model, background = chains(0), chains(1)
    score = ratios.LikelihoodRatio(model, background)
    x = torch.randint(7, (5, 1, 3, 4), generator=made())
    found = score(x)
    torch.testing.assert_close(found, model.log_prob(x) - background.log_prob(x))
    assert found.abs().min() > 1e-3
    assert score.map(x).shape == x.shape
    torch.testing.assert_close(score.map(x).flatten(1).sum(1), found)
    for other in (model, chains(0)):
        with pytest.raises(ValueError, match="background"):
            ratios.LikelihoodRatio(model, other)


def mutated_pixels_are_drawn_anew_at_the_rate():
    x = torch.full((200, 1, 5, 6), 3, dtype=torch.uint8)
    torch.manual_seed(0)
    new = ratios.MutatedPixels(8, 0.4)(x, 0)
    assert new.dtype == x.dtype
    assert (new != 3).double().mean().item() == pytest.approx(0.4 * 7 / 8, abs=0.02)
    counts = torch.bincount(new[new != 3].long(), minlength=8)
    assert (counts[[0, 7]] > 0.7 * counts[counts > 0].double().mean()).all()
    assert int(new.max()) == 7


def deflated_lengths_are_bits_of_the_best_filter():
    ramp = torch.arange(64, dtype=torch.uint8).view(1, 1, 8, 8) * 3
    lengths = []
    for rest in (ramp, torch.where(torch.arange(8) > 0, ramp.diff(dim=3, prepend=ramp[..., :1] * 0),
                                   ramp)):  # fmt: skip
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        lengths.append(len(packer.compress(rest.numpy().tobytes()) + packer.flush()))
    bits = input_complexity.deflate_bits(ramp).item()
    assert bits <= 8 * min(lengths) + 3
    assert bits % 8 == 3
    assert bits > 8 * 5
    both = torch.cat((ramp, 0 * ramp))
    assert input_complexity.deflate_bits(both)[0].item() == bits


def adaptive_lengths_are_those_of_coding_pixel_by_pixel():
    x = torch.randint(0, 3, (2, 1, 4, 5), dtype=torch.uint8, generator=made(2)) * 9
    for picture, bits in zip(x[:, 0].tolist(), input_complexity.adaptive_bits(x), strict=True):
        at = lambda r, c: picture[r][c] if r >= 0 and c >= 0 else 0  # noqa: B023, E731
        counts, spent = torch.full((2, 256), 1 / 16, dtype=torch.float64), 0.0
        for r, c in itertools.product(range(4), range(5)):
            a, b, d = at(r, c - 1), at(r - 1, c), at(r - 1, c - 1)
            guess = sorted((a, b, a + b - d))[1]
            row = counts[int(a == b == d)]
            spent -= math.log2(row[(picture[r][c] - guess) % 256] / row.sum())
            row[(picture[r][c] - guess) % 256] += 1
        assert bits.item() == pytest.approx(spent)


def excess_is_counted_in_bits():
    log_p, code = torch.tensor([-10 * math.log(2), -3.0]), torch.tensor([16.0, 4.0])
    found = input_complexity.excess_bits(log_p, code)
    torch.testing.assert_close(found, torch.tensor([6.0, 4 - 3 / math.log(2)]))


def waic_is_the_mean_less_the_variance():
    log_p = torch.tensor([[-4.0, -1.0], [-6.0, -1.0], [-5.0, -4.0]])
    torch.testing.assert_close(doubt.waic(log_p), torch.tensor([-6.0, -5.0]))


class LinearVAE(nn.Module):
    """x = z + noise of deviation 1/2 in two dimensions; q is off by ``off``."""

    def __init__(self, off):
        super().__init__()
        self.off = off

    def posterior(self, x):
        return torch.distributions.Normal(0.8 * x + self.off, torch.full_like(x, 0.2**0.5))

    def likelihood(self, z):
        law = torch.distributions.Normal(z, 0.5)

        class Law:
            def log_prob(self, x):
                return law.log_prob(x).sum(1)

        return Law()


def regret_is_what_the_posterior_had_lost():
    x = torch.randn(4, 2, generator=made(), dtype=torch.float64)
    args = dict(steps=150, lr=0.05, draws=400, generator=made(1))
    nothing = regret.likelihood_regret(LinearVAE(0.0), x, **args)
    assert 0 <= nothing.min() <= nothing.max() < 0.15
    off = regret.likelihood_regret(LinearVAE(0.5), x, **args)
    lost = 0.5 * 0.5**2 / 0.2 * 2  # KL of a shifted Gaussian, two dimensions
    assert (off - lost).abs().max() < 0.35
    few = regret.likelihood_regret(LinearVAE(0.5), x, steps=5, lr=0.02, draws=3)
    assert few.min() >= 0


class Steps(nn.Module):
    """A hierarchy whose bound falls by three nats a layer, with noise of mean zero."""

    def __init__(self):
        super().__init__()
        self.turn = 1.0

    def bound_above(self, x, k):
        self.turn = -self.turn
        return x.flatten(1).sum(1) - 3.0 * k + self.turn


def the_upper_bound_lacks_what_the_low_layers_say():
    x = torch.randn(5, 1, 2, 2, generator=made())
    whole = x.flatten(1).sum(1)
    torch.testing.assert_close(upper_layers.upper_bound(Steps(), x, 0, 4), whole)
    torch.testing.assert_close(upper_layers.upper_bound(Steps(), x, 2, 2), whole - 6)
    torch.testing.assert_close(upper_layers.low_layers_say(Steps(), x, 2), torch.full((5,), 6.0))
    model, x, *_ = zoo.get("fashion_hierarchy").small()
    assert upper_layers.upper_bound(model, x, 1, 2).shape == (16,)


def class_scores_are_those_by_hand():
    logits = torch.tensor([[2.0, 0.0, 0.0], [5.0, 5.0, 5.0]])
    p = math.exp(2) / (math.exp(2) + 2)
    torch.testing.assert_close(class_scores.max_softmax(logits), torch.tensor([p, 1 / 3]))
    energy = torch.tensor([math.log(math.exp(2) + 2), 5 + math.log(3)])
    torch.testing.assert_close(class_scores.free_energy_score(logits), energy)


def areas_are_one_where_outsiders_score_lower():
    scores = {"test": torch.tensor([5.0, 6, 7]), "digits": torch.tensor([1.0, 2]),
              "noise": torch.tensor([8.0, 9]), "validation": torch.tensor([0.0, 1.0])}  # fmt: skip
    found = study.areas(scores)
    assert list(found) == ["digits", "noise"]
    assert found["digits"].value == 1
    assert found["noise"].value == 0


class Uniform(nn.Module):
    def log_prob(self, x):
        return torch.full((len(x),), -784 * math.log(256))


class Noisy(nn.Module):
    def elbo(self, x):
        return x.float().flatten(1).sum(1) + torch.randn(len(x))


def scores_are_sums_over_pixels_and_alike_for_every_set():
    x = torch.zeros(45, 1, 28, 28, dtype=torch.uint8)
    torch.testing.assert_close(
        study.log_probs(Uniform(), x), torch.full((45,), -784 * math.log(256)).double()
    )
    noisy = Noisy()
    one, other = study.log_probs(noisy, x[:10]), study.log_probs(noisy, x[:10] + 1)
    torch.testing.assert_close(other - one, torch.full((10,), 784.0).double(), atol=1e-3, rtol=0)


def a_score_does_not_depend_on_the_other_pictures():
    model = study.stored("pixels")
    x = study.clothes_and_others()["test"][:5]
    with torch.no_grad():
        torch.testing.assert_close(
            study.log_probs(model, x)[:2], study.log_probs(model, x[:2]), rtol=1e-5, atol=0.01
        )


def no_measured_picture_is_trained_on(monkeypatch=None):
    small = data.load("fashion_small")
    official = outlier.fashion_training()
    keys = {row.numpy().tobytes() for row in official}
    assert len(official) == 1600
    for part in (small.val, small.test):
        assert not any(row.numpy().tobytes() in keys for row in part)
    assert torch.equal(official[:600], small.train)
    assert len(outlier.fashion_labels()) == 1600
    assert torch.equal(outlier.fashion_labels()[:600], small.train_y)


def all_sets_are_pictures_of_one_size_as_stored():
    found = sets.outlier_sets(7) | sets.clothes_parts(7) | {"s": sets.tuning_sprites(7)}
    for x in found.values():
        assert x.shape == (7, 1, 28, 28)
        assert x.dtype == torch.uint8
    clothes = data.load("fashion_small")
    assert torch.equal(found["digits"], data.load("mnist_test").test[:7])
    assert torch.equal(found["inverted"].int(), 255 - clothes.test[:7].int())
    assert (found["constant"] == found["constant"][:, :, :1, :1]).all()
    assert found["noise"].float().std().item() == pytest.approx(73.9, abs=3)
    assert torch.equal(found["test"], clothes.test[:7])
    assert torch.equal(sets.outlier_sets(7)["noise"], found["noise"])
    assert not torch.equal(sets.outlier_sets(7, seed=1)["noise"], found["noise"])


PROPERTIES = (
    the_foretold_gap_of_a_gaussian_is_the_measured_one, the_world_is_that_of_all_its_states,
    batches_are_refused_on_either_side, the_threshold_comes_from_validation_batches,
    the_ratio_is_of_two_models_and_maps_add_up, mutated_pixels_are_drawn_anew_at_the_rate,
    deflated_lengths_are_bits_of_the_best_filter,
    adaptive_lengths_are_those_of_coding_pixel_by_pixel, excess_is_counted_in_bits,
    waic_is_the_mean_less_the_variance, regret_is_what_the_posterior_had_lost,
    the_upper_bound_lacks_what_the_low_layers_say, class_scores_are_those_by_hand,
    areas_are_one_where_outsiders_score_lower,
    scores_are_sums_over_pixels_and_alike_for_every_set,
    a_score_does_not_depend_on_the_other_pictures, no_measured_picture_is_trained_on,
    all_sets_are_pictures_of_one_size_as_stored,
)  # fmt: skip
BY_NAME = {check.__name__: check for check in PROPERTIES}
HERE_ONLY = {"no_measured_picture_is_trained_on"}  # needs the 2,000 pictures


def official_pictures_are_here():
    try:
        return len(outlier.fashion_training()) == 1600
    except (ValueError, OSError):
        return False


@pytest.mark.parametrize("name", BY_NAME)
def test_property(name):
    if name in HERE_ONLY and not official_pictures_are_here():
        pytest.skip("the training pictures are not here: set DGM_DATA")
    torch.manual_seed(0)
    BY_NAME[name]()


@pytest.mark.parametrize("plant", FAULTS, ids=lambda plant: plant.__name__)
def test_a_planted_fault_is_caught(plant, monkeypatch):
    torch.manual_seed(0)
    name = plant(monkeypatch)
    if name in HERE_ONLY and not official_pictures_are_here():
        pytest.skip("the training pictures are not here: set DGM_DATA")
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        BY_NAME[name]()


# --- bad input, what is on file -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: moment.moments(torch.zeros(3)), "u must"),
        (lambda: moment.slope_and_bend(lambda u: u.sum(1), torch.zeros(2, 2)), "at must"),
        (lambda: biased_bits.BiasedBits(0, 0.8), "dims"),
        (lambda: biased_bits.BiasedBits(5, 0.5), "rate"),
        (lambda: biased_bits.BiasedBits(5, 0.8).log_prob(torch.full((2, 5), 2)), "bits"),
        (lambda: Typicality(torch.zeros(1), torch.zeros(5)), "train_nats"),
        (lambda: Typicality(torch.zeros(5), torch.tensor([0.0, math.nan])), "val_nats"),
        (lambda: Typicality(torch.zeros(5), torch.zeros(5)).threshold(2, 1.0), "alpha"),
        (lambda: dealt_batches(torch.zeros(5), 6, 1), "m <= N"),
        (lambda: ratios.MutatedPixels(256, 0.0), "rate"),
        (lambda: input_complexity.deflate_bits(torch.zeros(1, 1, 2, 2)), "uint8"),
        (lambda: input_complexity.excess_bits(torch.zeros(2), torch.zeros(3)), "log_p"),
        (lambda: doubt.waic(torch.zeros(1, 4)), "K >= 2"),
        (lambda: regret.likelihood_regret(LinearVAE(0), torch.zeros(1, 2), steps=0), "steps"),
        (lambda: upper_layers.upper_bound(None, None, 0, 0), "draws"),
        (lambda: class_scores.max_softmax(torch.zeros(3)), "logits"),
        (lambda: sets.outlier_sets(0), "n must"),
        (lambda: outlier.fashion_pixels(Reals((3,))), "data must"),
    ],
)
def test_bad_input_is_named(call, says):
    with pytest.raises(ValueError, match=says):
        call()


def test_scores_on_file_are_whole_and_of_the_stored_models():
    found = study.load()
    assert {name for name, _ in found} >= {*study.LIKELIHOODS, "energy", "regret", "softmax"}
    for (name, _), of in found.items():
        assert all(len(v) == study.N and v.isfinite().all() for v in of.values()), name
    x = study.clothes_and_others()["digits"][:40]
    for name in ("pixels", "vae"):
        again = study.log_probs(study.stored(name), x, study.REPEATS.get(name, 1))
        torch.testing.assert_close(again, found[name, 0]["digits"][:40], atol=0.5, rtol=1e-3)
