"""The audit is itself audited: planted faults are caught by their check, healthy models pass."""

import math

import planted_autoregressive  # noqa: F401 (registers its cases, as all of these do)
import planted_latent  # noqa: F401
import planted_mixtures  # noqa: F401
import planted_pixel  # noqa: F401
import pytest
import torch
from planted import HEALTHY, PLANTED, table
from planted_flows import realnvp
from readers_models import RIGHT, WRONG
from torch import nn

import dgm.audit.passport
from dgm.audit import audit
from dgm.audit.chance import bernstein, deviations, ratio_at_most_one
from dgm.audit.cost import SECONDS_A_FLOP, cost_of

SEEDS = 2  # measured once over 5 (planted) and 25 (healthy): caught every time, no false alarm
READERS_SEEDS = 5  # of small models; convolutions and large ones once


def sized(readers):
    """Every reader's model at each of its sizes."""
    pairs = [(r, size) for r in readers for size in r.sizes]
    return [pytest.param(r, size, id=f"{r.name}-{size}") for r, size in pairs]


def audits_of(reader, size):
    """Reports of a reader's model under several seeds."""
    small = size <= 10 and "pixel" not in reader.name
    for seed in range(READERS_SEEDS if small else 1):
        torch.manual_seed(seed)
        model, x, options = reader.build(size)
        yield audit(model, x, seed=seed, progress=False, **options)


@pytest.mark.parametrize(("reader", "size"), sized(RIGHT))
def test_a_readers_right_model_raises_no_alarm(reader, size):
    for report in audits_of(reader, size):
        assert not report.failures, str(report)
        assert set(reader.decided) <= set(report.decided), report.headline


@pytest.mark.parametrize(("reader", "size"), sized(WRONG))
def test_a_readers_wrong_model_does_not_pass(reader, size):
    for report in audits_of(reader, size):
        assert not report.passed, str(report)
        assert set(reader.caught_by) <= {c.name for c in report.failures}, str(report)
        assert report.failures or "not decided" in report.headline


def test_at_least_twelve_readers_models_right_and_wrong():
    assert len(RIGHT) >= 6
    assert len(WRONG) >= 15
    assert {2, 784} <= {size for r in RIGHT for size in r.sizes}


@pytest.mark.parametrize("case", PLANTED, ids=lambda c: c.name)
def test_planted_fault_is_caught_by_its_checks(case):
    model, x, options = case.build(0)
    failed = {c.name for c in audit(model, x, **options).failures}
    assert set(case.caught_by) <= failed


@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize("case", HEALTHY, ids=lambda c: c.name)
def test_healthy_model_passes(case, seed):
    model, x, options = case.build(seed)
    audit(model, x, seed=seed, **options).assert_passed()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(25))
def test_no_false_alarm_and_no_escape_over_seeds(seed):
    for case in HEALTHY:
        model, x, options = case.build(seed)
        audit(model, x, seed=seed, **options).assert_passed()
    for case in PLANTED if seed < 5 else ():
        model, x, options = case.build(seed)
        failed = {c.name for c in audit(model, x, seed=seed, **options).failures}
        assert set(case.caught_by) <= failed, case.name


def test_at_least_130_faults_and_no_check_without_one():
    assert len(PLANTED) >= 130
    caught = {name for case in (*PLANTED, *WRONG) for name in case.caught_by}
    untested = set(dgm.audit.passport.CHECKS) - caught
    assert not untested


def test_model_random_state_and_mode_are_left_alone():
    model, x = realnvp(4).train(), table(4)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    audit(model, x)
    assert torch.equal(torch.rand(3), expected)
    assert model.training
    assert all(v.dtype == torch.float32 for v in model.parameters())
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


def test_same_seed_same_report():
    torch.manual_seed(0)
    model, x = realnvp(2), table(2)
    assert str(audit(model, x, seed=3)) == str(audit(model, x, seed=3))


def test_report_reads_as_text_and_html():
    report = audit(realnvp(4), table(4))
    text, html = str(report), report._repr_html_()
    assert "round trip" in text
    assert "do not apply" in text
    assert max(map(len, text.splitlines())) <= 112
    assert 'scope="col"' in html
    assert "<caption" in html
    assert "http" not in html
    assert html.count("<tr>") == 1 + sum(check.verdict != "n/a" for check in report.checks)
    assert "no posterior" in html.split("<details>")[1]
    assert report["round trip"].verdict == "pass"
    with pytest.raises(KeyError, match="no check 'shape'"):
        report["shape"]


def test_headline_says_what_was_decided_and_nothing_is_passed_by_default():
    torch.manual_seed(0)
    right = audit(realnvp(4), table(4))
    assert right.passed
    assert {"density", "log-determinant", "gradients"} <= set(right.decided)
    assert right.headline.startswith("decided: density")

    class OnlyLogProb(nn.Module):  # nothing can decide whether it is a density
        def log_prob(self, x):
            return -x.square().sum(1)

    report = audit(OnlyLogProb(), table(9))
    assert not report.failures
    assert not report.passed
    assert report.headline == "decided: nothing; not decided: density"
    with pytest.raises(AssertionError, match="not decided: density"):
        report.assert_passed()


class Slow(nn.Module):
    """Bits in a chain of 784, drawn one after the other by a costly network."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(784, 2000), nn.Linear(2000, 2000), nn.Linear(2000, 784))

    def log_prob(self, x):
        return nn.functional.logsigmoid(self.net(x.double())).sum(1)

    @torch.no_grad()
    def sample(self, n):
        x = torch.zeros(n, 784)
        for i in range(784):
            x[:, i] = torch.bernoulli(torch.sigmoid(self.net(x)[:, i]))
        return x


def test_long_work_is_refused_before_it_is_begun():
    """All draws it would take are 8192 x 784 passes; not even one draw is finished."""
    report = audit(Slow(), torch.randint(2, (8, 784)), levels=2)
    assert "takes too long" in report["samples follow the density"].note
    assert report["samples are well formed"].verdict == "n/a"


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_cost_of_a_call_counts_its_products(dtype):
    net, x = nn.Linear(300, 400).to(dtype), torch.randn(10, 300, dtype=dtype)
    cost = cost_of(lambda: net(x), 10, limit=1.0)
    assert cost.row >= 2 * 300 * 400 * SECONDS_A_FLOP[dtype]
    assert cost.rows(1.0) == pytest.approx(1 / cost.row, rel=0.01)
    assert cost_of(lambda: net(x), 10, limit=1e-6) is None


def test_chance_bounds_keep_what_they_promise():
    """Rare counts and heavy tails: over 4000 healthy trials the bound is never reached."""
    torch.manual_seed(0)
    p = torch.rand(4000, 1) ** 4
    hits = (torch.rand(4000, 500) < p).double()
    z = bernstein((hits - p).sum(1), 500 * (p * (1 - p))[:, 0])
    assert z.max() < deviations(4000)
    assert bernstein(torch.tensor(60.0), torch.tensor(25.0)) > deviations(1)
    heavy = ratio_at_most_one(torch.full((100,), 12.0), "ratio")
    assert heavy.measured > heavy.tolerance  # Markov: a mean of e^12 where one is due


class Raises(nn.Module):
    def log_prob(self, x):
        raise RuntimeError("no <idea>")


def test_error_inside_a_model_is_a_failure_with_its_message():
    report = audit(Raises(), table(2))
    assert not report.passed
    assert "RuntimeError: no <idea>" in str(report)
    assert "no &lt;idea&gt;" in report._repr_html_()
    with pytest.raises(AssertionError, match="no <idea>"):
        report.assert_passed()


class Labelled(nn.Module):
    """A density of x given one of three labels."""

    def __init__(self):
        super().__init__()
        self.mean = nn.Parameter(torch.randn(3, 2))

    def log_prob(self, x, y):
        normal = torch.distributions.Normal(self.mean[y], 1.0)
        return normal.log_prob(x).sum(1)

    def loss(self, x, y):
        return -self.log_prob(x, y)

    def sample(self, n, y):
        with torch.no_grad():
            return self.mean[y] + torch.randn_like(self.mean[y])


def test_conditions_are_passed_on():
    y = torch.arange(12) % 3
    report = audit(Labelled(), table(2), y=y).assert_passed()
    assert report["sums or integrates to one"].verdict == "pass"
    assert report["samples follow the density"].verdict == "pass"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": "flow"}, "model must be an nn.Module, got str"),
        ({"model": nn.Module()}, "it has none"),
        ({"x": table(2)[:0]}, "at least one example"),
        ({"x": [1.0]}, "x must be a tensor .* got list"),
        ({"x": table(2) * float("nan")}, "NaN"),
        ({"x": torch.tensor([[1, 7]]), "levels": 4}, r"x must lie in 0\.\.3, got 1\.\.7"),
        ({"y": torch.zeros(3)}, "y must be a tensor with 12"),
        ({"levels": 1}, "levels must be a whole number of at least 2, got 1"),
        ({"bounds": (1.0, 0.0)}, "low < high"),
        ({"randomize": -1.0}, "randomize must be zero or more"),
    ],
)
def test_bad_input_is_named(change, message):
    options = {"model": realnvp(2), "x": table(2)} | change
    with pytest.raises(ValueError, match=message):
        audit(options.pop("model"), options.pop("x"), **options)


class ThinCurve(nn.Module):
    """x1 is normal, x2 a wave of x1 with a spread so small that a coarse grid steps over it."""

    def __init__(self, spread, factor=1.0):
        super().__init__()
        self.spread, self.factor = spread, factor
        self.shift = nn.Parameter(torch.zeros(()))

    def log_prob(self, x):
        rest = (x[:, 1] - 2 * torch.sin(3 * x[:, 0]) - self.shift) / self.spread
        square = x[:, 0].square() + rest.square()
        return -0.5 * square - math.log(2 * math.pi * self.spread) + math.log(self.factor)

    @torch.no_grad()
    def sample(self, n):
        x, noise = torch.randn(n), self.spread * torch.randn(n)
        return torch.stack((x, 2 * torch.sin(3 * x) + self.shift + noise), 1)


def audit_of_curve(spread, factor=1.0):
    torch.manual_seed(0)
    model = ThinCurve(spread, factor)
    return audit(model, model.sample(16), randomize=0.0, progress=False)


def test_quadrature_looks_closely_where_the_samples_lie():
    right, wrong = audit_of_curve(0.02), audit_of_curve(0.02, factor=0.9)
    assert right.passed, str(right)
    assert {"sums or integrates to one", "samples follow the density"} <= {
        c.name for c in right.checks if c.verdict == "pass"
    }
    assert "sums or integrates to one" in {c.name for c in wrong.failures}, str(wrong)


@pytest.mark.parametrize("factor", [1.0, 0.9])
def test_peaks_too_sharp_for_quadrature_are_not_decided_by_it(factor):
    report = audit_of_curve(3e-4, factor)
    assert report["sums or integrates to one"].verdict == "n/a", str(report)
    assert "peaks it cannot resolve" in report["sums or integrates to one"].note
    assert not report.failures or factor < 1


class Bins(nn.Module):
    """Whole numbers 0..3, dequantised by uniform noise, over a density of x + u."""

    def __init__(self, flow):
        super().__init__()
        self.levels, self.flow = 4, flow

    def elbo(self, x):
        return self.flow.log_prob(x + torch.rand(x.shape, dtype=torch.get_default_dtype()))


class Nowhere(nn.Module):
    """A density whose log is not a number, or minus infinity, on all of the cube."""

    def __init__(self, value):
        super().__init__()
        self.value, self.scale = value, nn.Parameter(torch.zeros(()))

    def log_prob(self, y):
        return y.sum(1) * self.scale * 0 + self.value


@pytest.mark.parametrize("value", [float("nan"), -1e5])
def test_bins_without_mass_are_a_finding_and_no_error(value):
    torch.manual_seed(0)
    x = torch.randint(4, (12, 2))
    report = audit(Bins(Nowhere(value)), x, levels=4, progress=False)
    line = report["exp(elbo) averages to the bin mass"]
    assert "Error" not in line.note, str(report)


class Slope(nn.Module):
    """Independent densities on (0, 4) that rise like (1 + y) / 12."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.zeros(()))

    def log_prob(self, y):
        inside = ((y >= 0) & (y <= 4)).all(1)
        score = ((1 + y.clamp(0, 4)) / 12).log().sum(1) + 0 * self.scale
        return score.masked_fill(~inside, -torch.inf)

    def sample(self, n):
        return (1 + 24 * torch.rand(n, 2)).sqrt() - 1


class LateNoise(Bins):
    """Noise near the upper end of its bin, of density 12 u**11: rare small u carry the mean."""

    def __init__(self, sign):
        super().__init__(Slope())
        self.sign = sign

    def elbo(self, x):
        u = torch.rand(x.shape, dtype=torch.get_default_dtype()) ** (1 / 12)
        log_q = (math.log(12) + 11 * u.log()).sum(1)
        return self.flow.log_prob(x + u) - self.sign * log_q


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("sign", [1, -1])
def test_uneven_weights_are_no_false_alarm_but_too_large_ones_are_found(sign, seed):
    torch.manual_seed(seed)
    report = audit(LateNoise(sign), torch.randint(4, (12, 2)), levels=4, progress=False)
    line = report["exp(elbo) averages to the bin mass"]
    assert line.verdict == ("n/a" if sign == 1 else "FAIL"), str(report)
