"""Measures on laws where the answer is known."""

import math

import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

from dgm import data, evaluate
from dgm.evaluate import Estimate, bits_per_dim, linear_probe, nats


class Normal(nn.Module):
    """A standard normal law per dimension; notes mode, gradient and sizes it was called with."""

    def __init__(self):
        super().__init__()
        self.shift, self.drop, self.calls = nn.Parameter(torch.zeros(1)), nn.Dropout(), []

    def log_prob(self, x):
        self.calls.append((self.training, torch.is_grad_enabled(), len(x)))
        return -(0.5 * (x - self.shift) ** 2 + 0.5 * math.log(2 * math.pi)).sum(1)

    def sample(self, n):
        return torch.randn(n, 2)


class Latent(nn.Module):
    """p(x) = N(0, 2) through z ~ N(0, 1), x | z ~ N(z, 1), with the prior as posterior."""

    def __init__(self):
        super().__init__()
        self.sizes = []

    def log_weights(self, x, k):
        self.sizes.append(len(x) * k)
        z = torch.randn(k, len(x), 1)
        return torch.distributions.Normal(z, 1.0).log_prob(x).sum(2)  # (k, B)

    def elbo(self, x):
        return self.log_weights(x, 1)[0]

    def iw_bound(self, x, k):
        return self.log_weights(x, k).logsumexp(0) - math.log(k)


def points(n=500, d=2, seed=0, shift=0.0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed)) + shift


def test_nats_are_the_negative_log_likelihood_with_its_standard_error():
    x = points()
    found = nats(Normal(), x, batch_size=64)
    each = (0.5 * x.double() ** 2 + 0.5 * math.log(2 * math.pi)).sum(1)
    assert found.mean == pytest.approx(each.mean().item(), rel=1e-6)
    assert found.standard_error == pytest.approx(each.std().item() / math.sqrt(500), rel=1e-5)
    assert found.n == 500


def test_the_model_is_measured_in_eval_mode_without_gradient_and_left_as_it_was():
    model = Normal()
    model.drop.eval()
    nats(model, points(100), batch_size=64)
    assert model.calls == [(False, False, 64), (False, False, 36)]
    assert (model.training, model.drop.training) == (True, False)


def test_the_mode_comes_back_after_an_error():
    model = Normal()
    with pytest.raises(ValueError, match="NaN for example 3 of x"):
        nats(model, torch.tensor([0.0, 0, 0, math.nan, 0]).unsqueeze(1), batch_size=2)
    with pytest.raises(AttributeError):
        evaluate.sampling_time(Latent())
    assert model.training


def test_the_bounds_are_ordered_and_the_importance_weighted_one_meets_the_exact_value():
    x, model = points(400, 1) * math.sqrt(2), Latent()
    exact = -torch.distributions.Normal(0.0, math.sqrt(2)).log_prob(x).mean().item()
    loose = 0.5 * math.log(2 * math.pi) + 0.5 * (1 + (x**2).mean().item())  # E of -log p(x | z)
    assert nats(model, x, repeats=300).mean == pytest.approx(loose, abs=0.05)
    bounds = [nats(model, x, k=k).mean for k in (1, 4, 32, 2000)]
    assert bounds == sorted(bounds, reverse=True)
    assert bounds[-1] == pytest.approx(exact, abs=5e-3)


def test_many_importance_samples_do_not_need_much_memory():
    model = Latent()
    nats(model, points(10, 1), k=300, batch_size=512)
    assert max(model.sizes) <= 512
    nats(model, points(3, 1), k=4000, batch_size=512)
    assert max(model.sizes) <= 512
    assert sum(model.sizes) == 10 * 300 + 3 * 4000


def test_draws_taken_in_parts_are_one_bound():
    """Weights 1, 2, 3 ... in turn: log of their mean, however they are cut."""

    class Counting(nn.Module):
        def __init__(self):
            super().__init__()
            self.drawn = 0

        def iw_bound(self, x, k):
            weights = torch.arange(self.drawn + 1, self.drawn + k + 1.0)
            self.drawn += k
            return weights.mean().log().expand(len(x))

    for batch_size in (3, 7, 100):
        found = nats(Counting(), torch.zeros(1, 1), k=10, batch_size=batch_size)
        assert found.mean == pytest.approx(-math.log(5.5), abs=1e-6)


class Given(nn.Module):
    """log p(x) = x, whatever it is."""

    def log_prob(self, x):
        return x[:, 0]


def test_infinities_are_told_apart():
    impossible = nats(Given(), torch.tensor([[0.0], [-math.inf]]))
    assert (impossible.mean, impossible.standard_error) == (math.inf, math.inf)
    assert str(impossible) == "inf ± inf"
    with pytest.raises(ValueError, match=r"\+inf for example 1 of x"):
        nats(Given(), torch.tensor([[0.0], [math.inf]]))


def test_bits_of_a_shape_that_is_none_are_refused():
    for bad in ((-2, -2), 0, (3, 0), 2.5, (1.5,), ("3",)):
        with pytest.raises((ValueError, TypeError)):
            bits_per_dim(1.0, bad)


def test_baselines_are_the_known_ones():
    """Places that are constant, fair coins and one level: entropies known by hand."""
    g = torch.Generator().manual_seed(0)
    x = torch.zeros(3000, 1, 4, 4, dtype=torch.uint8)
    x[:, :, 2:] = 3 * torch.randint(2, (3000, 1, 2, 4), generator=g)
    toy = data.dataset.Dataset(
        name="toy", shape=(1, 4, 4), levels=4, source="here",
        train=x[:2000], val=x[2000:2500], test=x[2500:],
    )  # fmt: skip
    found = evaluate.baselines(toy)
    assert found["uniform"] == 2
    assert found["histogram for each place"] == pytest.approx(0.5, abs=0.01)
    mixed = -0.75 * math.log2(0.75) - 0.25 * math.log2(0.25)
    assert found["one histogram"] == pytest.approx(mixed, abs=0.02)
    for name in ("gzip", "xz", "PNG", "WebP"):
        assert 0.5 < found[name] < 1.3, name  # no code beats the entropy
    reals = data.load("two_gaussians", n=4000)
    std = reals.train.std(0)
    gauss = (std.log() + 0.5 * math.log(2 * math.pi * math.e)).mean().item() / math.log(2)
    assert evaluate.baselines(reals) == {"Gaussian for each entry": pytest.approx(gauss, abs=0.03)}
    with pytest.raises(ValueError, match="data set of dgm"):
        evaluate.baselines(x)


def test_repeats_lower_the_noise_but_not_the_spread_over_examples():
    x, model = points(50, 1), Latent()

    def spread(repeats):
        return torch.tensor([nats(model, x, repeats=repeats, seed=s).mean for s in range(40)]).std()

    assert spread(25) < spread(1) / 3
    assert nats(model, x.repeat(2, 1), repeats=400).standard_error == pytest.approx(
        ((x**2).std() / 2 / 10).item(), rel=0.15
    )


def test_the_seed_decides_and_the_callers_noise_is_untouched():
    x, model = points(20, 1), Latent()
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first, again, other = (nats(model, x, seed=s) for s in (0, 0, 1))
    assert first == again != other
    assert torch.equal(torch.get_rng_state(), before)


def test_the_noise_is_not_the_noise_of_data_drawn_from_the_same_seed():
    class Echo(Normal):
        def log_prob(self, x):
            return (x * torch.randn_like(x)).sum(1)

    torch.manual_seed(0)
    x = torch.randn(1000, 1)
    assert abs(nats(Echo(), x, batch_size=1000).mean) < 0.2  # 1 if they were the same


def test_labels_are_passed_batch_by_batch():
    class Conditional(Normal):
        def log_prob(self, x, y):
            return x[:, 0] * 0 + y

    y = torch.arange(10)
    assert nats(Conditional(), points(10), y=y, batch_size=4).mean == -4.5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"x": torch.zeros(0, 2)}, "x must be a tensor of at least one example"),
        ({"k": 0}, "k must be a whole number from 1"),
        ({"k": math.nan}, "k must be a whole number"),
        ({"k": 10**9}, "k must be a whole number from 1 to a million"),
        ({"x": [1.0]}, "x must be a tensor.*got list"),
        ({"k": 5}, r"k=5 needs iw_bound\(x, k\), which Normal lacks"),
        ({"batch_size": 0}, "batch_size must be"),
        ({"repeats": 0}, "repeats must be"),
        ({"y": torch.zeros(3)}, "y has 3 rows, x has 9"),
        ({"model": nn.Linear(2, 2)}, "Linear offers neither log_prob"),
    ],
)
def test_bad_input_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        nats(**({"model": Normal(), "x": points(9)} | options))


def test_a_value_summed_over_the_batch_is_refused():
    class Summed(Normal):
        def log_prob(self, x):
            return super().log_prob(x).sum()

    with pytest.raises(ValueError, match="one value per example"):
        nats(Summed(), points(9))


def test_a_uniform_law_over_levels_costs_log2_levels_bits_per_dimension():
    assert bits_per_dim(64 * math.log(17), (1, 8, 8)) == pytest.approx(math.log2(17))
    assert bits_per_dim(Estimate(math.log(2), 0.1, 5), 1) == pytest.approx(1.0)
    with pytest.raises(ValueError, match="shape_or_dims"):
        bits_per_dim(1.0, (1, 0))


@pytest.mark.parametrize(
    ("estimate", "text"),
    [
        (Estimate(93.4123, 0.5234, 447), "93.41 ± 0.52"),
        (Estimate(1234.5, 12.3, 9), "1234 ± 12"),
        (Estimate(2.0, 0.00042, 9), "2.00000 ± 0.00042"),
        (Estimate(2.0, 0.0, 9), "2.00 ± 0"),
        (Estimate(2.0, math.nan, 1), "2.00 ± nan"),
    ],
)
def test_an_estimate_prints_two_digits_of_its_error(estimate, text):
    assert str(estimate) == text
    assert float(estimate) == estimate.mean


def test_sampling_time_is_milliseconds_per_sample(monkeypatch):
    clock = iter([0.0, 9.0, 10.0, 10.5, 20.0, 20.25, 30.0, 31.0])  # the first run warms up
    monkeypatch.setattr(evaluate.time, "perf_counter", lambda: next(clock))
    assert evaluate.sampling_time(Normal(), 5) == pytest.approx(1000 * 0.25 / 5)


def test_a_linear_probe_separates_what_a_line_separates_and_nothing_else():
    h, test_h = points(400, 5), points(300, 5, seed=1)
    line, other = (h[:, 0] > 0).long(), (test_h[:, 0] > 0).long()
    assert linear_probe(h, line, test_h, other) > 0.97
    xor, other = (h[:, 0] * h[:, 1] > 0).long(), (test_h[:, 0] * test_h[:, 1] > 0).long()
    assert linear_probe(h, xor, test_h, other) < 0.65


def test_a_linear_probe_does_not_depend_on_the_scale_of_the_features():
    h, test_h = points(200, 3), points(200, 3, seed=1)
    y, test_y = ((t[:, 0] + t[:, 1] > 0.5).long() for t in (h, test_h))
    mean, std = h.mean(0), h.std(0, correction=0)
    reference = LogisticRegression(max_iter=2000).fit((h - mean) / std, y)
    expected = reference.score((test_h - mean) / std, test_y)
    for scale in (1.0, 1000.0):
        assert linear_probe(scale * h, y, scale * test_h, test_y) == pytest.approx(expected)
    with pytest.raises(ValueError, match="test_y has 3 labels for 200 rows"):
        linear_probe(h, y, test_h, test_y[:3])
    with pytest.raises(ValueError, match="y holds one class"):
        linear_probe(h, y * 0, test_h, test_y)


def test_a_set_for_testing_only_has_the_baselines_that_need_no_training():
    found = evaluate.baselines(data.load("mnist_test"))
    assert set(found) == {"uniform", "gzip", "xz", "PNG", "WebP"}
    assert 1.3 < found["xz"] < found["gzip"] < found["PNG"] < 8 == found["uniform"]
    assert 1.5 < found["WebP"] < 1.54  # several files: none may be higher than 16,383 pixels
