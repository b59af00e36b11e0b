"""Chapter 10: one law in every order, causal networks, MADE's masks, orders of images, series."""

import itertools
import math
from functools import partial

import contract
import pytest
import torch
from torch import nn
from torch.distributions import MultivariateNormal

from dgm import data
from dgm.audit import audit
from dgm.autoregressive.conditional import LevelConditional, MixtureConditional
from dgm.autoregressive.factorization import Autoregressive
from dgm.autoregressive.fvsbn import FVSBN
from dgm.autoregressive.linear import LinearAutoregression
from dgm.autoregressive.made import MADE
from dgm.autoregressive.nade import NADE
from dgm.autoregressive.order_ensemble import OrderEnsemble
from dgm.autoregressive.ordering import (
    depth_upscaling_ranks,
    join_depth,
    multi_scale_ranks,
    order_of_ranks,
    parallel_groups,
    raster_ranks,
    size_and_depth_ranks,
    size_upscaling_ranks,
    split_depth,
    subscale_ranks,
)
from dgm.autoregressive.recurrent import Recurrent
from dgm.autoregressive.tabular import ChainTables
from dgm.train import fit
from dgm.zoo import autoregressive as zoo_models

pytestmark = pytest.mark.usefixtures("float64")
randomized = partial(contract.moved, std=0.5)

WITHOUT = {
    # a Gaussian autoregression is a Gaussian: it cannot fit two of them (AR(2) below instead)
    "linear_autoregression": "fits_a_toy_law",
}


@contract.over("autoregressive", chapter="10", without=WITHOUT)
def test_contract(entry, promise):
    torch.set_default_dtype(torch.float32)
    promise(entry)


NETS = {
    "fvsbn": FVSBN,
    "nade": lambda *a: NADE(*a, width=9),
    "made": lambda *a: MADE(*a, width=11),
    "made_deep": lambda *a: MADE(*a, width=7, blocks=2),
    "made_narrow": lambda *a: MADE(*a, width=2, blocks=0),
    "rnn": lambda *a: Recurrent(*a, width=6, cell=nn.RNN),
    "gru": lambda *a: Recurrent(*a, width=6, cell=nn.GRU),
    "lstm": lambda *a: Recurrent(*a, width=6),
}
STEPPING = ("nade", "rnn", "gru", "lstm")


def states(size, levels=2):
    """Every vector of integers, (levels ** size, size)."""
    return torch.cartesian_prod(*[torch.arange(levels)] * size).view(-1, size)


def over_levels(name, size, levels=2, order=None, embed_dim=2, n_features=2):
    """A small randomised model of `size` integers."""
    conditional = LevelConditional(levels, size, embed_dim, n_features)
    net = NETS[name](size, conditional.in_features, conditional.out_features)
    return randomized(Autoregressive(net, conditional, (size,), order))


# --- the chain rule -------------------------------------------------------------------------------


def test_tables_give_the_same_nats_in_all_24_orders():
    joint = torch.rand(2, 2, 2, 2) ** 4
    joint /= joint.sum()
    x, exact = states(4), joint.flatten().log()
    for order in itertools.permutations(range(4)):
        model = ChainTables((4,), 2, order).from_joint(joint)
        torch.testing.assert_close(model.log_prob(x), exact, rtol=0, atol=1e-12)
        assert model(x).exp().sum(-1).sub(1).abs().max() < 1e-12


def test_tables_hold_the_conditionals_of_the_joint():
    joint = torch.rand(3, 3, 3)
    joint /= joint.sum()
    model = ChainTables((3,), 3, order=(2, 0, 1)).from_joint(joint)
    x = torch.tensor([[1, 2, 0]])
    given = joint[1, :, 0] / joint[1, :, 0].sum()  # p(x_1 | x_2 = 0, x_0 = 1), which comes last
    torch.testing.assert_close(model(x)[0, 1].exp(), given)
    torch.testing.assert_close(model(x)[0, 2].exp(), joint.sum((0, 1)))  # comes first


@pytest.mark.parametrize("name", NETS)
def test_probabilities_of_all_2_to_the_10_states_sum_to_one(name):
    model = over_levels(name, 10, order=torch.randperm(10).tolist())
    assert abs(model.log_prob(states(10)).exp().sum().item() - 1) < 1e-9


@pytest.mark.parametrize("name", NETS)
def test_jacobian_of_the_network_is_strictly_triangular(name):
    net = randomized(NETS[name](6, 2, 3))
    full = torch.autograd.functional.jacobian(lambda h: net(h)[0], torch.randn(1, 6, 2))
    moved = full[:, :, 0].abs().amax((1, 3))  # (6, 6): out row t by in row s
    assert moved.triu().max() == 0
    if name != "made_narrow":
        assert (moved.tril(-1) + torch.ones(6, 6).triu() > 0).all(), "some variable is not seen"


@pytest.mark.parametrize("name", NETS)
def test_order_says_who_sees_whom(name):
    order = [3, 0, 4, 1, 2]
    model, x = over_levels(name, 5, 3, order), torch.tensor([[0, 1, 2, 1, 0]])
    before = model(x)
    for t, d in enumerate(order):
        other = x.clone()
        other[0, d] = (x[0, d] + 1) % 3
        moved = {k for k in range(5) if not torch.equal(model(other)[0, k], before[0, k])}
        assert moved <= set(order[t + 1 :])
        assert moved or t == 4 or name == "made_narrow"


def test_a_network_in_another_order_is_the_permuted_model():
    order = [2, 0, 1]
    torch.manual_seed(1)
    plain = over_levels("made", 3)
    torch.manual_seed(1)
    permuted = over_levels("made", 3, order=order)
    x = states(3)
    torch.testing.assert_close(permuted.log_prob(x), plain.log_prob(x[:, order]), rtol=0, atol=0)


@pytest.mark.parametrize("name", STEPPING)
@pytest.mark.parametrize("order", [None, [3, 0, 4, 1, 2]])
def test_sampling_by_steps_draws_what_full_passes_draw(name, order):
    model = over_levels(name, 5, 4, order)
    quick = model.sample(200, generator=torch.Generator().manual_seed(3))
    model.net.__class__ = type("Slow", (type(model.net),), {"step": property(_absent)})
    assert not hasattr(model.net, "step")
    slow = model.sample(200, generator=torch.Generator().manual_seed(3))
    assert torch.equal(quick, slow)


def _absent(self):
    raise AttributeError("step")


@pytest.mark.parametrize("name", ["made", "fvsbn"])
def test_a_sample_takes_exactly_d_calls_of_the_network(name):
    model, calls = over_levels(name, 7), []
    model.net.register_forward_hook(lambda *a: calls.append(1))
    model.sample(3)
    assert len(calls) == 7


def test_terms_add_up_and_low_temperature_takes_the_likeliest():
    model, x = over_levels("made", 5, 3), states(5, 3)
    torch.testing.assert_close(model.terms(x).sum(1), model.log_prob(x))
    torch.testing.assert_close(
        model.terms(x), model(x).log_softmax(-1).gather(2, x[..., None])[..., 0]
    )
    greedy = model.sample(4, temperature=1e-9)
    assert (greedy == greedy[0]).all()
    logits = model(greedy[:1])[0]
    assert torch.equal(logits.argmax(1), greedy[0])


def test_one_hot_and_full_logits_need_no_shared_features():
    conditional = LevelConditional(3, 4, embed_dim=None, n_features=None)
    model = randomized(Autoregressive(FVSBN(4, 3, 3), conditional, (4,)))
    assert abs(model.log_prob(states(4, 3)).exp().sum().item() - 1) < 1e-9
    assert conditional.embed(torch.tensor([[2]])).tolist() == [[[0, 0, 1]]]


def test_fvsbn_with_two_levels_is_logistic_regression():
    """Beside scikit-learn, without penalty, for the last of three variables."""
    from sklearn.linear_model import LogisticRegression

    x = states(3)[torch.multinomial(torch.rand(8), 3000, replacement=True)]
    conditional = LevelConditional(2, 3, embed_dim=1, n_features=1)
    conditional.embedding.requires_grad_(False)
    conditional.features.requires_grad_(False)
    model = Autoregressive(FVSBN(3, 1, 1), conditional, (3,))
    model.start_from(x)
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=200, tolerance_grad=1e-9)
    optimizer.step(lambda: _backward(model, x, optimizer))
    reference = LogisticRegression(C=1e10, tol=1e-9).fit(x[:, :2].numpy(), x[:, 2].numpy())
    expected = torch.as_tensor(reference.predict_log_proba(states(3)[:, :2].numpy()))
    torch.testing.assert_close(model(states(3))[:, 2].detach(), expected, rtol=0, atol=1e-3)


def _backward(model, x, optimizer):
    optimizer.zero_grad()
    loss = model.loss(x).mean()
    loss.backward()
    return loss


def test_start_from_is_the_law_of_independent_variables():
    x = torch.randint(0, 3, (400, 4)) * torch.tensor([1, 0, 1, 1])
    model = Autoregressive(FVSBN(4, 2, 2), LevelConditional(3, 4, 2, 2), (4,), [2, 0, 3, 1])
    nn.init.zeros_(model.net.weight)
    model.start_from(x)
    counts = torch.stack([(x == k).sum(0) for k in range(3)], 1) + 0.5
    share = counts / counts.sum(1, keepdim=True)
    torch.testing.assert_close(model(x[:1])[0].exp(), share)


# --- MADE -----------------------------------------------------------------------------------------


def test_masks_multiply_to_a_strictly_triangular_connection():
    net = MADE(5, 1, 1, width=13, blocks=1)
    first, hidden, last, direct = net.masks()
    paths = last @ hidden @ hidden @ first + direct
    assert torch.equal(paths > 0, torch.ones(5, 5).tril(-1) > 0)
    assert net.degree.min() == 1
    assert net.degree.max() == 4


@pytest.mark.parametrize("size", [1, 2])
def test_made_of_one_or_two_variables_is_a_law(size):
    model = over_levels("made", size, 3)
    assert abs(model.log_prob(states(size, 3)).exp().sum().item() - 1) < 1e-12


def test_any_rank_gives_a_network_causal_in_that_order():
    net, rank = randomized(MADE(5, 2, 2, width=9)), torch.tensor([4, 1, 3, 0, 2])
    full = torch.autograd.functional.jacobian(lambda h: net(h, rank)[0], torch.randn(1, 5, 2))
    moved = full[:, :, 0].abs().amax((1, 3)) > 0
    assert torch.equal(moved, rank[:, None] > rank)


def ensemble(size=5, levels=3, n_orders=4, any_order=False):
    """A small randomised mixture over orders."""
    conditional = LevelConditional(levels, size, 2, 2)
    net = MADE(size, 2, 2, width=10)
    return randomized(OrderEnsemble(net, conditional, (size,), n_orders, any_order=any_order))


def test_ensemble_averages_probabilities_not_their_logs():
    model, x = ensemble(), states(5, 3)
    each = model.order_log_probs(x)
    torch.testing.assert_close(each.exp().sum(1), torch.ones(4), rtol=0, atol=1e-9)
    torch.testing.assert_close(model.log_prob(x).exp(), each.exp().mean(0))
    assert each.mean(0).exp().sum() < 0.99  # logs averaged: mass is lost
    assert (model.log_prob(x).mean() >= each.mean()).item()


def test_training_loss_of_the_ensemble_is_one_random_order():
    model, x = ensemble(size=3, n_orders=2).train(), states(3, 3)
    kept = {tuple(row) for row in (-model.order_log_probs(x)).detach().tolist()}
    assert {tuple(model.loss(x).detach().tolist()) for _ in range(60)} == kept
    model.any_order = True
    seen = {tuple(model.loss(x).detach().tolist()) for _ in range(200)}
    assert len(seen) == 6  # of 3! orders
    assert torch.equal(model.eval().loss(x), -model.log_prob(x))


# --- real values ----------------------------------------------------------------------------------


def test_mixture_conditional_is_torch_distributions():
    conditional = randomized(MixtureConditional(3, 4))
    conditional.mean.copy_(torch.randn(3))
    conditional.scale.copy_(torch.rand(3) + 0.5)
    out, v = torch.randn(6, 3, 12), torch.randn(6, 3) * 2
    params = conditional(out)
    log_w, mean, log_s = params.chunk(3, -1)
    parts = torch.distributions.Normal(mean, log_s.exp())
    law = torch.distributions.MixtureSameFamily(
        torch.distributions.Categorical(logits=log_w), parts
    )
    torch.testing.assert_close(conditional.log_prob(params, v), law.log_prob(v))
    torch.testing.assert_close(conditional(out[:, 1:2], 1), params[:, 1:2])


def test_units_of_the_data_change_the_density_by_their_jacobian():
    torch.manual_seed(2)
    model = zoo_models.made_mixture((3,), n_components=4, width=8).double().eval()
    x = torch.randn(500, 3) * torch.tensor([1.0, 2.0, 0.5]) + 1
    model.start_from(x)
    before = model.log_prob(x)
    model.start_from(100 * x)
    torch.testing.assert_close(model.log_prob(100 * x), before - 3 * math.log(100))


def test_ar2_reaches_its_entropy_rate_and_coefficients():
    series = data.load("ar2")
    law, test = series.law, series.test.double()
    model = LinearAutoregression(128, 2)
    model.start_from(series.train.double())
    excess = (law.log_prob(test) - model.log_prob(test)).detach()
    assert abs(excess.mean()) < 4 * excess.std() / len(excess) ** 0.5 + 0.01
    assert model.entropy_rate() == pytest.approx(law.entropy_rate(), abs=0.01)
    assert model.coefficients.tolist() == pytest.approx([law.a, law.b], abs=0.01)
    drawn = model.sample(2000)
    assert -law.log_prob(drawn).mean().item() == pytest.approx(law.entropy(), abs=1)


def test_linear_autoregression_is_a_gaussian_and_start_its_maximum():
    model = randomized(LinearAutoregression(5, 2), std=0.3)
    eye = torch.eye(5)
    zero = model(torch.zeros(1, 5))[0]
    to_noise = torch.stack([e - model(e[None])[0, :, 0] for e in eye], 1)  # x -> noise, linear
    scale = to_noise.inverse() @ zero[:, 1].exp().diag()
    law = MultivariateNormal(torch.zeros(5), scale @ scale.T)
    x = torch.randn(40, 5)
    torch.testing.assert_close(model.log_prob(x), law.log_prob(x))
    model.start_from(x)
    gradient = torch.autograd.grad(model.loss(x).mean(), list(model.parameters()))
    assert max(g.abs().max() for g in gradient) < 1e-10


def test_made_learns_a_small_integer_law_in_reversed_order():
    torch.set_default_dtype(torch.float32)
    joint = torch.rand(3, 3, 3) ** 3 + 0.01
    joint /= joint.sum()
    x = states(3, 3)[torch.multinomial(joint.flatten(), 20_000, replacement=True)]
    model = zoo_models.made((3,), 3, order=[2, 1, 0], width=32, n_features=2)
    fit(model, x, steps=400, batch_size=512, lr=1e-2, progress=False)
    cross = -(joint.flatten() * model.log_prob(states(3, 3))).sum()
    assert cross - (-(joint * joint.log()).sum()) < 0.01


# --- orders of an image ---------------------------------------------------------------------------


def test_orders_are_the_printed_grids():
    assert subscale_ranks(4, 4).tolist() == [
        [1, 5, 2, 6], [9, 13, 10, 14], [3, 7, 4, 8], [11, 15, 12, 16]]  # fmt: skip
    assert multi_scale_ranks(4, 4).tolist() == [
        [1, 5, 2, 6], [7, 8, 9, 10], [3, 11, 4, 12], [13, 14, 15, 16]]  # fmt: skip
    assert raster_ranks(2, 3).tolist() == [[1, 2, 3], [4, 5, 6]]
    assert parallel_groups(4, 4).tolist() == [[1, 2, 1, 2], [3, 3, 3, 3]] * 2


@pytest.mark.parametrize(("height", "width", "scale"), [(4, 4, 2), (8, 8, 2), (8, 8, 4), (6, 9, 3)])
def test_ranks_are_permutations(height, width, scale):
    grids = [raster_ranks(height, width), multi_scale_ranks(height, width, scale)]
    grids += [subscale_ranks(height, width, scale), size_upscaling_ranks(height, width, scale)[0]]
    grids += [depth_upscaling_ranks(height, width, scale)[0]]
    for rank in grids:
        order = order_of_ranks(rank)
        assert rank.flatten()[order].tolist() == list(range(1, len(order) + 1))


def test_subscale_draws_whole_small_images_in_turn():
    rank = subscale_ranks(6, 6, 3)
    for s, (i, j) in enumerate(itertools.product(range(3), range(3))):
        small = rank[i::3, j::3]
        assert torch.equal(small, raster_ranks(2, 2) + 4 * s)


def test_stages_of_upscaling_rise_with_the_rank():
    for rank, stage in (
        size_upscaling_ranks(4, 4),
        depth_upscaling_ranks(4, 4),
        size_and_depth_ranks(4, 4),
    ):
        assert (stage.flatten()[order_of_ranks(rank)].diff() >= 0).all()
    rank, stage = size_upscaling_ranks(4, 4)
    assert stage[::2, ::2].tolist() == [[1, 1], [1, 1]]
    assert int((stage == 1).sum()) == 4


def test_depth_splits_without_loss():
    x = torch.arange(256)
    coarse, fine = split_depth(x, 2**5)
    assert coarse.max() == 7
    assert torch.equal(join_depth(coarse, fine, 2**5), x)


# --- planted faults the audit must see ------------------------------------------------------------


class LeakyMADE(MADE):
    """>= for > at the output: each variable sees itself."""

    def masks(self, rank=None):
        first, hidden, _, direct = super().masks(rank)
        asked = torch.arange(1, self.size + 1).repeat_interleave(self.out_features)
        return first, hidden, (asked[:, None] >= self.degree).to(direct.dtype), direct


class UnshiftedRecurrent(Recurrent):
    """Each step sees its own variable: the shift is missing."""

    def forward(self, h):
        return super().forward(torch.cat((h[:, 1:], h[:, :1]), 1))


class ForgetfulNADE(NADE):
    """The cache is one step late: drawing leaves out the variable just drawn."""

    def step(self, t, h, state):
        state = self.bias.expand(len(h), -1) if t == 0 else state
        out = state.sigmoid() @ self.out[t]
        return out, state + h @ self.into[max(t - 1, 0)]


class Reversed(Autoregressive):
    """Says it comes in order, and draws as if it came in reverse."""

    def sample(self, n):
        return super().sample(n).flip(1)


class Unnormalised(OrderEnsemble):
    """The mean of the logs in place of the log of the mean."""

    def log_prob(self, x):
        return self.order_log_probs(x).mean(0)


def audited(net, size=5, levels=3, cls=Autoregressive):
    """The audit of a model of integers around this network."""
    conditional = LevelConditional(levels, size, 2, 2)
    model = cls(net(size, 2, 2), conditional, (size,)).float()
    return audit(model, torch.randint(levels, (24, size)))


FAULTS = {
    "mask": (lambda *a: LeakyMADE(*a, width=12), Autoregressive, "no leak from the future"),
    "shift": (
        lambda *a: UnshiftedRecurrent(*a, width=6),
        Autoregressive,
        "no leak from the future",
    ),
    "cache": (lambda *a: ForgetfulNADE(*a, width=9), Autoregressive, "samples follow the density"),
    "reversed": (lambda *a: MADE(*a, width=9), Reversed, "samples follow the density"),
    "logs": (lambda *a: MADE(*a, width=9), Unnormalised, "sums or integrates to one"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_audit_catches(fault):
    net, cls, check = FAULTS[fault]
    report = audited(net, cls=cls)
    assert report[check].verdict == "FAIL", str(report)


# --- bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [[0, 1, 1], [0, 1], [1, 2, 3], [[0, 1, 2]]])
def test_an_order_that_is_no_permutation_is_refused(order):
    with pytest.raises(ValueError, match=r"\border\b"):
        Autoregressive(FVSBN(3, 2, 2), LevelConditional(2, 3, 2, 2), (3,), order)
    if isinstance(order[0], int):
        with pytest.raises(ValueError, match=r"\border\b"):
            ChainTables((3,), 2, order)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: MADE(4, 1, 1, width=0), "width"),
        (lambda: MADE(4, 1, 1, blocks=-1), "blocks"),
        (lambda: MADE(4, 1, 1, dropout=1.0), "dropout"),
        (lambda: NADE(4, 1, 1, width=-3), "width"),
        (lambda: Recurrent(4, 1, 1, width=0), "width"),
        (lambda: FVSBN(0, 1, 1), "size"),
        (lambda: FVSBN(2, 1, 0), "out_features"),
        (lambda: LevelConditional(1, 4), "levels"),
        (lambda: LevelConditional(3, 4, n_features=0), "n_features"),
        (lambda: MixtureConditional(2, 0), "n_components"),
        (lambda: ChainTables((64,), 17), "levels"),
        (lambda: ChainTables((2,), 2).from_joint(torch.ones(2, 3)), "joint"),
        (lambda: LinearAutoregression(4, 4), "lags"),
        (lambda: OrderEnsemble(None, None, (2,), n_orders=0), "n_orders"),
        (lambda: zoo_models.recurrent((4,), 2, cell="LSTN"), "cell"),
        (lambda: zoo_models.made_mixture((4,), 2), "levels"),
        (lambda: subscale_ranks(4, 6, 4), "scale"),
        (lambda: order_of_ranks(parallel_groups(4, 4)), "rank"),
        (lambda: split_depth(torch.rand(3), 4), "x"),
        (lambda: split_depth(torch.arange(3), 0), "step"),
        (lambda: zoo_models.made((4,), 2).sample(2, temperature=0.0), "temperature"),
    ],
)
def test_bad_arguments_are_named(make, name):
    with pytest.raises(ValueError, match=rf"\b{name}\b"):
        make()


def test_tokens_out_of_range_say_what_came():
    model = over_levels("made", 4, 3)
    with pytest.raises(ValueError, match=r"x must lie in 0 \.\. 2, got 0 \.\. 7"):
        model.log_prob(torch.tensor([[0, 7, 1, 0]]))
    with pytest.raises(ValueError, match=r"x has shape \(1, 5\)"):
        model.log_prob(torch.zeros(1, 5, dtype=torch.long))
