"""Chapter 10: one law in every order, causal networks, MADE's masks, labels, tables and series."""

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
from dgm.autoregressive.autoregressive import Autoregressive
from dgm.autoregressive.law import LevelLaw
from dgm.autoregressive.linear import LinearAutoregression
from dgm.autoregressive.order_ensemble import OrderEnsemble
from dgm.autoregressive.tabular import ChainTables
from dgm.distribution.support import Levels, Reals
from dgm.nets.fvsbn import FVSBN
from dgm.nets.made import MADE
from dgm.nets.nade import NADE
from dgm.nets.recurrent import Recurrent
from dgm.nets.value_embedding import LevelVectors, StandardScores
from dgm.train import fit
from dgm.zoo import autoregressive as zoo_models

pytestmark = pytest.mark.usefixtures("float64")
randomized = partial(contract.moved, std=0.5)

WITHOUT = {
    # a Gaussian autoregression is a Gaussian: it cannot fit two of them (AR(2) below instead)
    "linear_autoregression": "fits_a_toy_law",
}


@contract.over("autoregressive", without=WITHOUT)
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
    law = LevelLaw(levels, size, n_features)
    net = NETS[name](size, LevelVectors(levels, embed_dim), law.out_features)
    return randomized(Autoregressive(net, law, Levels((size,), levels), order))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


# --- the chain rule -------------------------------------------------------------------------------


def test_tables_give_the_same_nats_in_all_24_orders():
    joint = torch.rand(2, 2, 2, 2) ** 4
    joint /= joint.sum()
    x, exact = states(4), joint.flatten().log()
    for order in itertools.permutations(range(4)):
        model = ChainTables(Levels((4,), 2), order).from_joint(joint)
        torch.testing.assert_close(model.log_prob(x), exact, rtol=0, atol=1e-12)
        assert model(x).exp().sum(-1).sub(1).abs().max() < 1e-12


def test_tables_hold_the_conditionals_of_the_joint():
    joint = torch.rand(3, 3, 3)
    joint /= joint.sum()
    model = ChainTables(Levels((3,), 3), order=(2, 0, 1)).from_joint(joint)
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
    net = randomized(NETS[name](6, StandardScores(6), 3))
    full = torch.autograd.functional.jacobian(lambda v: net(v)[0], torch.randn(1, 6))
    moved = full[:, :, 0].abs().amax(1)  # (6, 6): out row t by value s
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
    quick = model.sample(200, generator=generator(3))
    assert torch.equal(quick, model.sample(200, cached=False, generator=generator(3)))


@pytest.mark.parametrize("name", STEPPING)
def test_steps_give_the_rows_of_the_full_pass(name):
    model, v, state = over_levels(name, 6, 3), torch.randint(3, (4, 6)), None
    for t in range(6):
        out, state = model.net.step(t, v, state)
        torch.testing.assert_close(out, model.net(v)[:, t], rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["made", "fvsbn"])
def test_a_sample_takes_exactly_d_calls_of_the_network(name):
    model, calls = over_levels(name, 7), []
    model.net.register_forward_hook(lambda *a: calls.append(1))
    model.sample(3)
    assert len(calls) == 7


def test_place_terms_add_up_and_low_temperature_takes_the_likeliest():
    model, x = over_levels("made", 5, 3), states(5, 3)
    torch.testing.assert_close(model.place_terms(x).sum(1), model.log_prob(x))
    torch.testing.assert_close(
        model.place_terms(x), model(x).log_softmax(-1).gather(2, x[..., None])[..., 0]
    )
    greedy = model.sample(4, temperature=1e-9)
    assert (greedy == greedy[0]).all()
    logits = model(greedy[:1])[0]
    assert torch.equal(logits.argmax(1), greedy[0])


def test_full_logits_need_no_shared_features():
    data, law = Levels((4,), 3), LevelLaw(3, size=4)
    model = randomized(Autoregressive(FVSBN(4, LevelVectors(3), 3), law, data))
    assert abs(model.log_prob(states(4, 3)).exp().sum().item() - 1) < 1e-9


def test_fvsbn_with_two_levels_is_logistic_regression():
    """Beside scikit-learn, without penalty, for the last of three variables."""
    from sklearn.linear_model import LogisticRegression

    x = states(3)[torch.multinomial(torch.rand(8), 3000, replacement=True)]
    embed, law = LevelVectors(2, dim=1).requires_grad_(False), LevelLaw(2, 3, n_features=1)
    law.features.requires_grad_(False)
    model = Autoregressive(FVSBN(3, embed, 1), law, Levels((3,), 2))
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
    net, law = FVSBN(4, LevelVectors(3, 2), 2), LevelLaw(3, 4, n_features=2)
    model = Autoregressive(net, law, Levels((4,), 3), [2, 0, 3, 1])
    nn.init.zeros_(model.net.weight)
    model.start_from(x)
    counts = torch.stack([(x == k).sum(0) for k in range(3)], 1) + 0.5
    share = counts / counts.sum(1, keepdim=True)
    torch.testing.assert_close(model(x[:1])[0].exp(), share)


# --- MADE -----------------------------------------------------------------------------------------


def test_masks_multiply_to_a_strictly_triangular_connection():
    net = MADE(5, StandardScores(5), 1, width=13, blocks=1)
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
    net = randomized(MADE(5, StandardScores(5), 2, width=9))
    rank = torch.tensor([4, 1, 3, 0, 2])
    full = torch.autograd.functional.jacobian(lambda v: net(v, rank)[0], torch.randn(1, 5))
    moved = full[:, :, 0].abs().amax(1) > 0
    assert torch.equal(moved, rank[:, None] > rank)


def ensemble(size=5, levels=3, n_orders=4, any_order=False):
    """A small randomised mixture over orders."""
    law, data = LevelLaw(levels, size, n_features=2), Levels((size,), levels)
    net = MADE(size, LevelVectors(levels, 2), 2, width=10)
    return randomized(OrderEnsemble(net, law, data, n_orders, any_order=any_order))


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


def test_units_of_the_data_change_the_density_by_their_jacobian():
    torch.manual_seed(2)
    model = zoo_models.made_mixture(Reals((3,)), n_components=4, width=8).double().eval()
    x = torch.randn(500, 3) * torch.tensor([1.0, 2.0, 0.5]) + 1
    model.start_from(x)
    before = model.log_prob(x)
    model.start_from(100 * x)
    torch.testing.assert_close(model.log_prob(100 * x), before - 3 * math.log(100))


def test_ar2_reaches_its_entropy_rate_and_coefficients():
    series = data.load("ar2")
    law, test = series.law, series.test.double()
    model = LinearAutoregression(series.kind, 2)
    model.start_from(series.train.double())
    excess = (law.log_prob(test) - model.log_prob(test)).detach()
    assert abs(excess.mean()) < 4 * excess.std() / len(excess) ** 0.5 + 0.01
    assert model.entropy_rate() == pytest.approx(law.entropy_rate(), abs=0.01)
    assert model.coefficients.tolist() == pytest.approx([law.a, law.b], abs=0.01)
    drawn = model.sample(2000)
    assert -law.log_prob(drawn).mean().item() == pytest.approx(law.entropy(), abs=1)


def test_linear_autoregression_is_a_gaussian_and_start_its_maximum():
    model = randomized(LinearAutoregression(Reals((5,)), 2), std=0.3)
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
    model = zoo_models.made(Levels((3,), 3), order=[2, 1, 0], width=32, n_features=2)
    fit(model, x, steps=400, batch_size=512, lr=1e-2, progress=False)
    cross = -(joint.flatten() * model.log_prob(states(3, 3))).sum()
    assert cross - (-(joint * joint.log()).sum()) < 0.01


# --- planted faults the audit must see ------------------------------------------------------------


class LeakyMADE(MADE):
    """>= for > at the output: each variable sees itself."""

    def masks(self, rank=None):
        first, hidden, _, direct = super().masks(rank)
        asked = torch.arange(1, self.size + 1).repeat_interleave(self.out_features)
        return first, hidden, (asked[:, None] >= self.degree).to(direct.dtype), direct


class UnshiftedRecurrent(Recurrent):
    """Each step sees its own variable: the shift is missing."""

    def forward(self, v):
        return super().forward(torch.cat((v[:, 1:], v[:, :1]), 1))


class ForgetfulNADE(NADE):
    """The cache is one step late: drawing leaves out the variable just drawn."""

    def step(self, t, v, state):
        state = self.bias.expand(len(v), -1) if t == 0 else state
        out, last = state.sigmoid() @ self.out[t], max(t - 1, 0)
        return out, state + self.embed(v[:, last]) @ self.into[last]


class Reversed(Autoregressive):
    """Says it comes in order, and draws as if it came in reverse."""

    def sample(self, n, **options):
        return super().sample(n, **options).flip(1)


class Unnormalised(OrderEnsemble):
    """The mean of the logs in place of the log of the mean."""

    def log_prob(self, x):
        return self.order_log_probs(x).mean(0)


def audited(net, size=5, levels=3, cls=Autoregressive):
    """The audit of a model of integers around this network."""
    law, kind = LevelLaw(levels, size, n_features=2), Levels((size,), levels)
    model = cls(net(size, LevelVectors(levels, 2), 2), law, kind).float()
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


# --- labels, known values, and what a draw promises -----------------------------------------------


class ByLabel(nn.Module):
    """A causal network and a logit more for every label: the smallest that takes y."""

    def __init__(self, size, levels, n_labels):
        super().__init__()
        self.net = NADE(size, LevelVectors(levels, 2), levels, width=5)
        self.label = nn.Embedding(n_labels, levels)

    def forward(self, v, y):
        return self.net(v) + self.label(y)[:, None]

    def step(self, t, v, state, y):
        out, state = self.net.step(t, v, state)
        return out + self.label(y), state


def labelled(size=4, levels=3, n_labels=2, order=(2, 0, 3, 1)):
    law, kind = LevelLaw(levels, size), Levels((size,), levels)
    net = ByLabel(size, levels, n_labels)
    return randomized(Autoregressive(net, law, kind, order, Levels((), n_labels)))


def test_labels_left_out_are_summed_out():
    model, x = labelled(), states(4, 3)
    both = torch.stack([model.log_prob(x, torch.full((81,), k)) for k in range(2)])
    torch.testing.assert_close(both.exp().sum(1), torch.ones(2))
    torch.testing.assert_close(model.log_prob(x).exp(), both.exp().mean(0))
    torch.testing.assert_close(model.joint_log_prob(x), both.T - math.log(2))
    torch.testing.assert_close(model.place_terms(x).sum(1), model.log_prob(x))
    own = model(x).gather(-1, x[..., None])[..., 0]  # p(x_d | before), the labels weighed
    torch.testing.assert_close(own, model.place_terms(x))


def test_draws_of_a_label_follow_it_and_the_first_known_values():
    model, x = labelled(), states(4, 3)
    mask = torch.tensor([True, False, True, False])  # places 2 and 0 come first
    y, known = torch.ones((), dtype=torch.long), torch.tensor([[2, 0, 1, 0]])
    drawn = model.sample(6000, y=y, known=known, mask=mask, generator=generator())
    assert (drawn[:, mask] == known[:, mask]).all()
    of_known = (x[:, mask] == known[:, mask]).all(1)
    expected = model.log_prob(x[of_known], y).softmax(0)
    code = drawn[:, 1] * 3 + drawn[:, 3]
    share = torch.bincount(code, minlength=9) / 6000
    error = (expected * (1 - expected) / 6000).sqrt()
    assert ((share - expected).abs() < 4.5 * error).all()


@pytest.mark.parametrize("build", [labelled, ensemble, partial(over_levels, "fvsbn", 4, 3)])
def test_draws_keep_their_promises(build):
    model = build().train()
    model.net.eval()  # every module has a mode of its own, and keeps it
    modes = [module.training for module in model.modules()]
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first, again, other = (model.sample(40, generator=generator(s)) for s in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert [module.training for module in model.modules()] == modes
    assert model.sample(0).shape == (0, *model.data.shape)
    assert model.sample(0).dtype == first.dtype
    for n in (-1, 1.5, True):
        with pytest.raises(ValueError, match=r"\bn\b"):
            model.sample(n)


def test_temperature_and_cut_of_a_draw_come_together():
    model = over_levels("made", 1, 5)
    log_p = model(torch.zeros(1, 1, dtype=torch.long))[0, 0]
    top = log_p.topk(2).indices
    cut = lambda h: torch.full_like(h, -math.inf).scatter(1, top.expand(len(h), 2), h[:, top])  # noqa: E731
    drawn = model.sample(9000, temperature=0.5, adjust=cut, generator=generator())[:, 0]
    share = torch.bincount(drawn, minlength=5)[top] / 9000
    torch.testing.assert_close(share, (2 * log_p[top]).softmax(0), rtol=0, atol=0.02)


# --- bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [[0, 1, 1], [0, 1], [1, 2, 3], [[0, 1, 2]]])
def test_an_order_that_is_no_permutation_is_refused(order):
    kind = Levels((3,), 2)
    with pytest.raises(ValueError, match=r"\border\b"):
        Autoregressive(FVSBN(3, LevelVectors(2), 2), LevelLaw(2, 3), kind, order)
    if isinstance(order[0], int):
        with pytest.raises(ValueError, match=r"\border\b"):
            ChainTables(kind, order)


V = LevelVectors(2)
FOUR, TWO = Levels((4,), 2), Levels((2,), 2)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: MADE(4, V, 1, width=0), "width"),
        (lambda: MADE(4, V, 1, blocks=-1), "blocks"),
        (lambda: MADE(4, V, 1, dropout=1.0), "dropout"),
        (lambda: NADE(4, V, 1, width=-3), "width"),
        (lambda: Recurrent(4, V, 1, width=0), "width"),
        (lambda: FVSBN(0, V, 1), "size"),
        (lambda: FVSBN(2, V, 0), "out_features"),
        (lambda: LevelVectors(1), "levels"),
        (lambda: LevelVectors(3, 0), "dim"),
        (lambda: ChainTables(Levels((64,), 17)), "data"),
        (lambda: ChainTables(TWO).from_joint(torch.ones(2, 3)), "joint"),
        (lambda: LinearAutoregression(Reals((4,)), 4), "lags"),
        (lambda: LinearAutoregression(Reals((4, 2)), 1), "data"),
        (lambda: OrderEnsemble(None, None, TWO, n_orders=0), "n_orders"),
        (lambda: zoo_models.recurrent(FOUR, cell="LSTN"), "cell"),
        (lambda: zoo_models.made_mixture(FOUR), "data"),
        (lambda: zoo_models.linear_autoregression(FOUR), "data"),
        (lambda: zoo_models.made(Reals((4,))), "data"),
        (lambda: zoo_models.chain_tables(Reals((4,))), "data"),
        (lambda: zoo_models.made(FOUR).sample(2, temperature=0.0), "temperature"),
        (lambda: zoo_models.made(FOUR).sample(2, known=torch.zeros(2, 4).long()), "mask"),
        (lambda: zoo_models.made(FOUR).log_prob(torch.zeros(2, 4).long(), y=torch.tensor(1)), "y"),
        (lambda: zoo_models.made(FOUR).joint_log_prob(torch.zeros(2, 4).long()), "labels"),
        (lambda: labelled().log_prob(torch.zeros(2, 4).long(), torch.tensor(2)), "y"),
        (lambda: labelled().log_prob(torch.zeros(2, 4).long(), torch.tensor([0, 1, 0])), "y"),
    ],
)
def test_bad_arguments_are_named(make, name):
    with pytest.raises(ValueError, match=rf"\b{name}\b"):
        make()


def test_levels_out_of_range_say_what_came():
    model = over_levels("made", 4, 3)
    with pytest.raises(ValueError, match=r"x must be integers 0 \.\. 2, got values 0 \.\. 7"):
        model.log_prob(torch.tensor([[0, 7, 1, 0]]))
    with pytest.raises(ValueError, match=r"x must be .*\(1, 5\)"):
        model.log_prob(torch.zeros(1, 5, dtype=torch.long))
