"""Heads, Gaussians and tables of dgm/distribution that chapter 01 builds joints from."""

import math

import pytest
import torch
from torch import nn
from torch.distributions import MultivariateNormal

from dgm.audit import audit
from dgm.distribution.conditional import GaussianHead, SoftmaxHead
from dgm.distribution.gaussian import FullGaussian
from dgm.distribution.level_table import LevelTable
from dgm.distribution.support import Levels, Reals
from dgm.measure.divergence import alpha_divergence

THREE = Levels((), 3)


class Constant(nn.Module):
    """A network that ignores x and answers with its parameter."""

    def __init__(self, values: list[float]):
        super().__init__()
        self.values = nn.Parameter(torch.tensor(values, dtype=torch.float64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.values.expand(len(x), -1)


def test_softmax_loss_equals_the_closed_form() -> None:
    head = SoftmaxHead(THREE, Constant([2.0, 1.0, 0.0]))
    loss = head.loss(torch.zeros(3, 1), torch.tensor([0, 1, 2]))
    first = math.log(1 + math.exp(-1) + math.exp(-2))
    torch.testing.assert_close(loss, torch.tensor([first, first + 1, first + 2]).double())


def test_softmax_probabilities_sum_to_one_over_the_labels() -> None:
    torch.manual_seed(0)
    head, x = SoftmaxHead(Levels((), 5), nn.Linear(2, 5).double()), torch.randn(4, 2).double()
    mass = sum(head.log_prob(torch.full((4,), k), x).exp() for k in range(5))
    torch.testing.assert_close(mass, torch.ones(4).double())
    torch.testing.assert_close(head(x).probs.sum(1), torch.ones(4).double())


def test_gaussian_loss_equals_the_closed_form_summed_over_targets() -> None:
    head = GaussianHead(Reals((2,)), Constant([1.0, -2.0, 0.3, 4.0]), min_scale=0.1)
    y = torch.tensor([[1.5, -1.0]]).double()
    sigma = 0.1 + torch.tensor([0.3, 4.0]).double().exp().log1p()
    error = y - torch.tensor([1.0, -2.0])
    want = ((2 * math.pi * sigma**2).log() / 2 + error**2 / (2 * sigma**2)).sum(1)
    torch.testing.assert_close(head.loss(torch.zeros(1, 1), y), want)


def test_best_constant_gaussian_has_the_mean_and_deviation_of_the_data() -> None:
    torch.manual_seed(0)
    y = 3 + 0.5 * torch.randn(200, 1).double()
    head = GaussianHead(Reals((1,)), Constant([0.0, 0.0]))
    optimizer = torch.optim.LBFGS(head.parameters(), max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = head.loss(torch.zeros(200, 1), y).mean()
        loss.backward()
        return loss

    optimizer.step(closure)
    law = head(torch.zeros(1, 1))
    torch.testing.assert_close(law.mean[0], y.mean(0), atol=1e-5, rtol=0)
    deviation = y.std(0, correction=0)
    torch.testing.assert_close(law.stddev[0], deviation, atol=1e-5, rtol=0)
    entropy = 0.5 * math.log(2 * math.pi * math.e * float(deviation) ** 2)
    assert abs(closure().item() - entropy) < 1e-8


@pytest.mark.parametrize(
    "y", [torch.tensor([0, 3]), torch.tensor([-1, 0]), torch.tensor([0.0, 1.0]), torch.tensor([0])]
)
def test_softmax_head_names_a_bad_y(y: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="y must"):
        SoftmaxHead(THREE, nn.Linear(2, 3)).log_prob(y, torch.zeros(2, 2))


@pytest.mark.parametrize("y", [torch.zeros(2), torch.full((2, 1), math.nan)])
def test_gaussian_head_names_a_bad_y(y: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="y must"):
        GaussianHead(Reals((1,)), nn.Linear(2, 2)).log_prob(y, torch.zeros(2, 2))


def test_gaussian_head_needs_a_floor() -> None:
    with pytest.raises(ValueError, match="min_scale"):
        GaussianHead(Reals((1,)), nn.Linear(2, 2), min_scale=0.0)


def test_full_gaussian_equals_torch_and_the_fit_is_the_moments() -> None:
    torch.manual_seed(0)
    x = torch.randn(500, 3).double() @ torch.randn(3, 3).double() + 1
    model = FullGaussian(Reals((3,))).double().fit_to(x)
    law = MultivariateNormal(x.mean(0), x.T.cov(correction=0))
    torch.testing.assert_close(model.log_prob(x), law.log_prob(x))
    assert max(p.grad.abs().max() for p in _with_gradient(model, x)) < 1e-9  # an optimum


def _with_gradient(model: nn.Module, x: torch.Tensor) -> list[nn.Parameter]:
    model.loss(x).mean().backward()
    return list(model.parameters())


def test_full_gaussian_passes_the_audit() -> None:
    audit(FullGaussian(Reals((2,))), torch.randn(16, 2)).assert_passed()


def test_full_gaussian_samples_have_its_mean_and_covariance() -> None:
    torch.manual_seed(0)
    model = FullGaussian(Reals((2,))).fit_to(
        torch.randn(50, 2) @ torch.tensor([[1.0, 2.0], [0.0, 0.5]])
    )
    x, factor = model.sample(40_000), model.cholesky()
    torch.testing.assert_close(x.mean(0), model.mean, atol=0.05, rtol=0)
    torch.testing.assert_close(x.T.cov(), factor @ factor.T, atol=0.08, rtol=0.03)


def test_full_gaussian_names_bad_input() -> None:
    with pytest.raises(ValueError, match="data"):
        FullGaussian(Reals((2, 2)))
    with pytest.raises(ValueError, match="x must"):
        FullGaussian(Reals((2,))).log_prob(torch.zeros(3, 4))
    with pytest.raises(ValueError, match="ridge"):
        FullGaussian(Reals((2,))).fit_to(torch.ones(5, 2))
    with pytest.raises(ValueError, match="x needs"):
        FullGaussian(Reals((2,))).fit_to(torch.ones(1, 2))


def test_level_table_fit_is_the_observed_frequencies_and_a_maximum() -> None:
    x = torch.tensor([[0, 2], [1, 2], [0, 1], [0, 2]])
    model = LevelTable(Levels((2,), 3)).fit_to(x)
    want = torch.tensor([[0.75, 0.25, 0.0], [0.0, 0.25, 0.75]])
    torch.testing.assert_close(model.logits.softmax(1), want)
    smooth = LevelTable(Levels((2,), 3)).fit_to(x, pseudo_count=1.0)
    torch.testing.assert_close(smooth.logits.softmax(1), (4 * want + 1) / 7)


def test_level_table_passes_the_audit() -> None:
    audit(LevelTable(Levels((1, 2, 3), 3)), torch.randint(0, 3, (8, 1, 2, 3))).assert_passed()


def test_uniform_level_table_scores_log_levels_per_pixel() -> None:
    model = LevelTable(Levels((1, 8, 8), 17))
    loss = model.loss(torch.randint(0, 17, (3, 1, 8, 8)))
    torch.testing.assert_close(loss, torch.full((3,), 64 * math.log(17)))
    assert model.sample(5).shape == (5, 1, 8, 8)
    assert model.sample(5).dtype == torch.uint8


@pytest.mark.parametrize(
    "x",
    [torch.zeros(2, 1, 2, 2), torch.zeros(2, 4, dtype=torch.long),
     torch.full((2, 1, 2, 2), 3), torch.full((2, 1, 2, 2), -1)],
)  # fmt: skip
def test_level_table_names_a_bad_x(x: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="x must"):
        LevelTable(Levels((1, 2, 2), 3)).log_prob(x)


def test_kl_is_the_cross_entropy_minus_the_entropy_and_zero_only_for_equal_laws() -> None:
    torch.manual_seed(0)
    log_p, log_q = torch.randn(2, 9).double().log_softmax(1)
    kl = alpha_divergence(log_p, log_q)
    cross_entropy, entropy = -(log_p.exp() * log_q).sum(), -(log_p.exp() * log_p).sum()
    assert abs(kl - (cross_entropy - entropy)) < 1e-12
    assert kl > 0.01
    assert abs(alpha_divergence(log_p, log_p)) < 1e-12
    assert abs(alpha_divergence(log_p, log_q, 0.0) - alpha_divergence(log_q, log_p)) < 1e-12


@pytest.mark.parametrize("end", [0.0, 1.0])
def test_alpha_divergence_reaches_both_kl_as_limits(end: float) -> None:
    torch.manual_seed(1)
    log_p, log_q = torch.randn(2, 9).double().log_softmax(1)
    near = alpha_divergence(log_p, log_q, abs(end - 1e-5))
    assert abs(near - alpha_divergence(log_p, log_q, end)) < 1e-4


def test_kl_counts_a_state_without_mass_as_nothing_and_a_missed_state_as_infinite() -> None:
    log_p, log_q = torch.tensor([0.5, 0.5, 0.0]).log(), torch.tensor([0.25, 0.25, 0.5]).log()
    assert abs(alpha_divergence(log_p, log_q) - math.log(2)) < 1e-6
    assert alpha_divergence(log_q, log_p) == math.inf


def test_alpha_divergence_names_bad_input() -> None:
    with pytest.raises(ValueError, match="alpha"):
        alpha_divergence(torch.zeros(2), torch.zeros(2), 1.5)
    with pytest.raises(ValueError, match="log_q"):
        alpha_divergence(torch.zeros(2), torch.zeros(3))
