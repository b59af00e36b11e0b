"""Joint models p(x, y): a classifier made of densities, and two heads on one trunk."""

import itertools

import contract
import pytest
import torch

from dgm.audit import audit
from dgm.distribution.gaussian import FullGaussian
from dgm.distribution.level_table import LevelTable
from dgm.hybrid.generative_classifier import GenerativeClassifier
from dgm.hybrid.shared_trunk import SharedTrunk


@contract.over("hybrid")
def test_contract(entry, promise) -> None:
    promise(entry)


def tiny_tables(seed: int = 0) -> GenerativeClassifier:
    torch.manual_seed(seed)
    tables = [LevelTable((3,), 2) for _ in range(3)]
    for table in tables:
        torch.nn.init.normal_(table.logits)
    return GenerativeClassifier(tables, torch.tensor([1, 2, 3])).double()


def states(levels: int, dims: int) -> torch.Tensor:
    return torch.tensor(list(itertools.product(range(levels), repeat=dims)))


def test_joint_sums_to_one_over_every_x_and_y() -> None:
    joint = tiny_tables().log_joint(states(2, 3)).exp()
    torch.testing.assert_close(joint.sum(), torch.tensor(1.0).double())
    torch.testing.assert_close(joint.sum(0), torch.tensor([1.0, 2.0, 3.0]).double() / 6)


def test_posterior_times_marginal_is_the_joint() -> None:
    model, x = tiny_tables(), states(2, 3)
    again = model.posterior(x).probs * model.log_prob(x).exp()[:, None]
    torch.testing.assert_close(again, model.log_joint(x).exp())


def test_loss_is_the_joint_with_a_label_and_the_marginal_without() -> None:
    model, x = tiny_tables(), states(2, 3)
    y = torch.arange(8) % 3
    torch.testing.assert_close(model.loss(x, y), -model.log_joint(x)[torch.arange(8), y])
    torch.testing.assert_close(model.loss(x), -model.log_prob(x))


def test_generative_classifier_passes_the_audit() -> None:
    audit(tiny_tables(), states(2, 3), levels=2).assert_passed()
    pair = GenerativeClassifier([FullGaussian(2), FullGaussian(2)])
    audit(pair, torch.randn(16, 2)).assert_passed()


def test_samples_have_the_class_asked_for() -> None:
    near = FullGaussian.fit(torch.randn(20, 2))
    far = FullGaussian.fit(torch.randn(20, 2) + 100)
    y = torch.tensor([1, 0, 0, 1, 1])
    x = GenerativeClassifier([near, far]).sample(5, y=y)
    assert ((x[:, 0] > 50).long() == y).all()


def test_generative_classifier_names_bad_input() -> None:
    model = GenerativeClassifier([FullGaussian(2), FullGaussian(2)])
    with pytest.raises(ValueError, match="conditionals"):
        GenerativeClassifier([FullGaussian(2)])
    with pytest.raises(ValueError, match="class_counts"):
        GenerativeClassifier([FullGaussian(2), FullGaussian(2)], torch.tensor([1, 0]))
    with pytest.raises(ValueError, match="y must"):
        model.loss(torch.zeros(2, 2), torch.tensor([0, 2]))
    with pytest.raises(ValueError, match="y must"):
        model.sample(3, y=torch.zeros(2, dtype=torch.long))


def trunk(dims: int = 4, seed: int = 0) -> SharedTrunk:
    torch.manual_seed(seed)
    return SharedTrunk((dims,), levels=2, n_classes=3, window=3, hidden_dim=5).double()


def test_shared_trunk_sums_to_one_and_parts_add_up() -> None:
    model, x = trunk(), states(2, 4)
    torch.testing.assert_close(model.log_prob(x).exp().sum(), torch.tensor(1.0).double())
    y = torch.arange(16) % 3
    terms = model.terms(x, y)
    torch.testing.assert_close(terms["log_x"], model.log_prob(x))
    classes = model.class_logits(x).log_softmax(1)[torch.arange(16), y]
    torch.testing.assert_close(terms["log_y_given_x"], classes)
    torch.testing.assert_close(model.loss(x, y, 0.5), -classes - 0.5 * terms["log_x"])


def test_shared_trunk_features_see_only_earlier_pixels() -> None:
    model = trunk(6)
    x = torch.zeros(1, 6, dtype=torch.long)
    changed = x.clone()
    changed[0, 3] = 1
    same = torch.isclose(model._features(x), model._features(changed)).all(1)[0]
    assert same.tolist() == [True] * 4 + [False] * 2


def test_shared_trunk_samples_follow_its_masses() -> None:
    model = trunk(3)
    x = states(2, 3)
    torch.manual_seed(1)
    index = (model.sample(20_000).long() * torch.tensor([4, 2, 1])).sum(1)
    frequency = index.bincount(minlength=8) / 20_000
    torch.testing.assert_close(frequency.double(), model.log_prob(x).exp(), atol=0.015, rtol=0)


@pytest.mark.parametrize(
    "x", [torch.zeros(2, 4), torch.full((2, 4), 2), torch.zeros(2, 5).long(), torch.zeros(0, 4)]
)
def test_shared_trunk_names_a_bad_x(x: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="x must"):
        trunk().log_prob(x)
