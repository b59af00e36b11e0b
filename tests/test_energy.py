"""Energies: the contract over all entries, sums against sums, chains against laws, faults."""

import math

import contract
import pytest
import torch
from planted_energy import FAULTS
from planting import property_tests

from dgm import zoo
from dgm.distribution.support import Levels
from dgm.energy import hopfield
from dgm.energy.annealed_rbm import AnnealedRBM
from dgm.energy.boltzmann_machine import BoltzmannMachine
from dgm.energy.dbm import DBM
from dgm.energy.dbn import DBN, SigmoidLayer
from dgm.energy.enumerated_rbm import EnumeratedRBM
from dgm.energy.modern_hopfield import ModernHopfield
from dgm.energy.negative_phase import ContrastiveDivergence, PersistentChains
from dgm.energy.rbm import RBM
from dgm.energy.tempering import ParallelTempering
from dgm.train import fit

_NO_BITS = "fits_a_toy_law"  # its toys have three levels; test_bits_are_learned below has two
NAMES = ("boltzmann_machine", "small_rbm", "rbm", "dbn", "dbm")


@contract.over("energy", without=dict.fromkeys(NAMES, _NO_BITS))
def test_contract(entry, promise):
    promise(entry)


def states(n):
    """All 2^n rows of n bits, in float64."""
    return torch.cartesian_prod(*[torch.arange(2)] * n).view(-1, n).double()


def machine(dims=3, hidden=4, std=0.8, seed=0, negatives=None):
    """A small RBM of bits (dims,), every number moved, its base another law, in float64."""
    torch.manual_seed(seed)
    negatives = negatives or ContrastiveDivergence(1)
    rbm = contract.moved(RBM(Levels((dims,), 2), hidden, negatives), std).double()
    rbm.base_logits.copy_(0.7 * torch.randn(dims))
    return rbm


def energy_by_hand(rbm, v, h, beta=1.0):
    """E_beta(v, h) from its definition, for one v and one h."""
    a, b, c = rbm.visible_bias, rbm.hidden_bias, rbm.base_logits
    full = -(a @ v) - b @ h - v @ rbm.weight @ h
    return beta * full - (1 - beta) * (c @ v)


def law_by_hand(rbm, beta=1.0):
    """p_beta(v) of all states (2^D,) and log Z_beta, by a double sum."""
    d, h = rbm.weight.shape
    energies = torch.stack([
        torch.stack([energy_by_hand(rbm, v, g, beta) for g in states(h)]) for v in states(d)
    ])  # fmt: skip
    log_p = torch.logsumexp(-energies, 1).detach()
    return log_p.softmax(0), log_p.logsumexp(0)


def frequencies(v):
    """How often each state occurs in rows v (n, D), in the order of `states`."""
    place = 2 ** torch.arange(v.shape[1] - 1, -1, -1)
    return torch.bincount((v.long() * place).sum(1), minlength=2 ** v.shape[1]) / len(v)


def agree(found, p, n, sigmas=4.5):
    """Frequencies of n independent draws against p."""
    error = (p * (1 - p) / n).sqrt()
    assert ((found - p).abs() <= sigmas * error + 1e-9).all(), ((found - p) / error).tolist()


# --- properties, each of which a planted fault below must break -----------------------------------


def free_energy_is_the_sum_over_hidden_units():
    rbm = machine()
    for beta in (1.0, 0.4, 0.0):
        p, log_z = law_by_hand(rbm, beta)
        found = -rbm.free_energy(states(3), beta)
        torch.testing.assert_close(found.logsumexp(0), log_z, rtol=0, atol=1e-9)
        torch.testing.assert_close(found.softmax(0), p, rtol=0, atol=1e-9)
    x = states(3).long()
    torch.testing.assert_close(rbm.energy(x), rbm.free_energy(states(3)))


def sums_over_either_side_are_equal():
    for dims, hidden in ((5, 7), (7, 5)):
        exact = EnumeratedRBM(machine(dims, hidden))
        over = exact.log_z_over_hidden(), exact.log_z_over_visible()
        torch.testing.assert_close(*over, rtol=0, atol=1e-9)
        assert exact.log_prob(states(dims).long()).exp().sum().item() == pytest.approx(1, abs=1e-9)


@torch.no_grad()
def a_sweep_keeps_the_law():
    """Chains that start at draws of p_beta follow it after a sweep."""
    n = 60_000
    for beta in (1.0, 0.4):
        rbm = machine(std=1.2)
        p, _ = law_by_hand(rbm, beta)
        v = states(3)[torch.multinomial(p, n, replacement=True)]
        v = rbm.sweep(v, beta)
        assert ((v == 0) | (v == 1)).all()
        agree(frequencies(v), p, n)
        moved = torch.zeros(n, 3, dtype=torch.float64)
        for _ in range(30):
            moved = rbm.sweep(moved, beta)
        agree(frequencies(moved), p, n)


def the_loss_has_the_gradient_of_the_likelihood():
    """With exact draws for negatives: E_data of the energy's gradient less E_model of it."""

    class Exact(torch.nn.Module):
        def forward(self, rbm, v):
            p = (-rbm.free_energy(states(3))).softmax(0)
            return states(3)[torch.multinomial(p, 200_000, replacement=True)]

    rbm = machine(negatives=Exact())
    x = states(3)[torch.tensor([1, 1, 6, 7])].long()
    parameters = list(rbm.parameters())
    found = torch.autograd.grad(rbm.loss(x).mean(), parameters)
    exact = torch.autograd.grad(EnumeratedRBM(rbm).loss(x).mean(), parameters)
    for mine, true in zip(found, exact, strict=True):
        torch.testing.assert_close(mine, true, rtol=0, atol=0.006)


@torch.no_grad()
def short_chains_start_at_the_data():
    """CD-1 from one state has the law of one sweep from it, CD-2 that of two."""
    rbm, n = machine(std=1.0), 60_000
    v, h = states(3), states(4)
    up = torch.stack([(h * q + (1 - h) * (1 - q)).prod(1) for q in rbm.hidden_logits(v).sigmoid()])
    down = torch.stack(
        [(v * q + (1 - v) * (1 - q)).prod(1) for q in rbm.visible_logits(h).sigmoid()]
    )
    step = up @ down  # (8, 8), rows sum to one
    for k, law in ((1, step[5]), (2, (step @ step)[5])):
        found = ContrastiveDivergence(k)(rbm, v[5].expand(n, 3))
        agree(frequencies(found), law, n)


def persistent_chains_go_on_in_training_alone():
    rbm = machine(dims=8, negatives=PersistentChains(8, n_chains=50))
    chains, x = rbm.negatives, torch.ones(4, 8).long()
    rbm.eval().loss(x)
    assert not chains.chains.any()
    rbm.visible_bias.data.fill_(-20.0)  # a chain that starts at an example would need a sweep
    rbm.weight.data.zero_()
    chains.train()
    rbm.loss(x)
    assert not chains.chains.any()
    rbm.visible_bias.data.fill_(20.0)
    rbm.loss(x)
    assert chains.chains.all()
    rbm.weight.data.fill_(10.0)  # all on stays on, and all off stays off: it is remembered
    rbm.visible_bias.data.fill_(-20.0)
    rbm.hidden_bias.data.fill_(-40.0)
    rbm.loss(0 * x)
    assert chains.chains.all()


@torch.no_grad()
def exchanges_keep_the_law_of_every_temperature():
    rbm, n = machine(std=1.3), 60_000
    tempering = ParallelTempering(3, n_sets=1, n_betas=3).double()
    laws = [law_by_hand(rbm, beta)[0] for beta in (0.0, 0.5, 1.0)]
    v = torch.stack([states(3)[torch.multinomial(p, n, replacement=True)] for p in laws])
    for even in (True, False):
        after, taken = tempering.swap(rbm, v, even)
        low = 0 if even else 1
        moved = torch.where(taken[0][:, None], v[low + 1], v[low])
        assert torch.equal(after[low], moved)
        assert torch.equal(after[2 if even else 0], v[2 if even else 0])
        for chain, p in zip(after, laws, strict=True):
            agree(frequencies(chain), p, n)
        # the joint law of both, where an exchange that is always taken would show
        log_r = (laws[low][:, None] * laws[low + 1]).log()
        expected = (log_r.T - log_r).exp().clamp(max=1)
        rate = (laws[low][:, None] * laws[low + 1] * expected).sum()
        assert taken.double().mean().item() == pytest.approx(rate.item(), abs=0.012)


@torch.no_grad()
def annealed_weights_average_to_z():
    rbm = machine(std=1.2)
    log_z = law_by_hand(rbm)[1]
    torch.manual_seed(0)
    for steps in (2, 4, 30):
        log_w, v = AnnealedRBM(rbm, steps).log_z_weights(40_000)
        w = (log_w - log_z).exp()
        assert abs(w.mean() - 1) < 4.5 * w.std() / 200, steps
    weighted = torch.zeros(8, dtype=torch.float64)
    place = (v.long() * torch.tensor([4, 2, 1])).sum(1)
    weighted.index_add_(0, place, w / w.sum())
    torch.testing.assert_close(weighted, law_by_hand(rbm)[0], rtol=0, atol=0.015)


@torch.no_grad()
def the_reverse_bound_averages_to_the_law_of_the_draws():
    """exp(elbo) has the mean with which the procedure ends at x, for every x."""
    rbm, n = machine(std=1.5), 40_000
    for steps in (1, 3):
        annealed = AnnealedRBM(rbm, steps)
        drawn = frequencies(annealed.sample(n))
        for x, share in zip(states(3).long(), drawn, strict=True):
            w = annealed.elbo(x.expand(n, 3)).exp()
            error = (w.var() / n + share * (1 - share) / n).sqrt()
            assert abs(w.mean() - share) < 4.5 * error, (steps, x)


@torch.no_grad()
def enumerated_draws_follow_the_law():
    for dims, hidden in ((3, 2), (3, 5)):
        exact, n = EnumeratedRBM(machine(dims, hidden, std=1.0)), 60_000
        agree(frequencies(exact.sample(n)), law_by_hand(exact.rbm)[0], n)


def energy_counts_every_pair_once():
    torch.manual_seed(0)
    model = contract.moved(BoltzmannMachine(Levels((4,), 2)), 0.9).double()
    weight = model.weight()
    assert not weight.diagonal().any()
    assert torch.equal(weight, weight.T)
    for s in states(4):
        pairs = sum(weight[i, j] * s[i] * s[j] for i in range(4) for j in range(i))
        expected = -pairs - model.bias @ s
        torch.testing.assert_close(model.energy(s.long()[None])[0], expected)


def the_gradient_is_the_difference_of_moments():
    """d(-log p) / dW_ij = E_model[s_i s_j] - E_data[s_i s_j]: autograd and sums agree."""
    torch.manual_seed(0)
    model = contract.moved(BoltzmannMachine(Levels((4,), 2)), 0.9).double()
    x = states(4)[torch.tensor([3, 3, 9, 14, 0])]
    of_pairs, of_bias = torch.autograd.grad(model.loss(x.long()).mean(), [model.pairs, model.bias])
    mean, second = model.moments()
    i, j = torch.triu_indices(4, 4, 1)
    torch.testing.assert_close(of_bias, mean - x.mean(0))
    torch.testing.assert_close(of_pairs, (second - x.T @ x / 5)[i, j])


@torch.no_grad()
def gibbs_chains_follow_the_boltzmann_machine():
    torch.manual_seed(0)
    model = contract.moved(BoltzmannMachine(Levels((4,), 2), sweeps=25), 0.7).double()
    p = model.log_prob(states(4).long()).exp()
    agree(frequencies(model.sample(60_000)), p, 60_000)


def patterns(n=3, units=40, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.randint(2, (n, units), generator=generator) - 1


def hebb_is_the_mean_product_without_a_diagonal():
    x = patterns()
    weight = hopfield.hebb(x)
    expected = sum(torch.outer(row, row) for row in x.float()) / 40
    torch.testing.assert_close(weight, expected - torch.diag(expected.diagonal()))


def energy_never_rises():
    """One unit at a time, for random symmetric weights; the energy is -1/2 sum W_ij s_i s_j."""
    torch.manual_seed(0)
    a = torch.randn(30, 30).double()
    network = hopfield.Hopfield((a + a.T).fill_diagonal_(0.0))
    s = patterns(50, 30, seed=1).double()
    before = network.energy(s)
    torch.testing.assert_close(before, -0.5 * torch.einsum("bi,ij,bj->b", s, network.weight, s))
    for _ in range(3):
        for i in torch.randperm(30).tolist():
            s = network.sweep(s, torch.tensor([i]))
            after = network.energy(s)
            assert (after <= before + 1e-9).all()
            before = after
        assert torch.equal(s, network.sweep(s, torch.arange(0)))
    resting = network.recall(patterns(50, 30, seed=2))
    assert torch.equal(network.at_once(resting), resting)


def recall_is_softmax_attention():
    torch.manual_seed(0)
    stored, s = torch.randn(9, 5).double(), torch.randn(4, 5).double()
    network = ModernHopfield(stored, beta=0.7)
    attention = torch.nn.functional.scaled_dot_product_attention
    expected = attention(s[None], stored[None], stored[None], scale=0.7)[0]
    torch.testing.assert_close(network(s), expected, rtol=0, atol=1e-9)
    before, after = network.energy(s), network.energy(network(s))
    assert (after <= before).all()
    s.requires_grad_()
    (slope,) = torch.autograd.grad(network.energy(s).sum(), s)
    torch.testing.assert_close(s - slope, network(s))


def belief_net(dims=4, hidden=3, std=0.9, seed=0):
    """A small DBN in float64, and log p(x) of all its states by a sum over h."""
    torch.manual_seed(seed)
    above = EnumeratedRBM(RBM(Levels((hidden,), 2), 5, ContrastiveDivergence(1)))
    net = DBN(Levels((dims,), 2), [SigmoidLayer(dims, hidden)], above)
    net = contract.moved(net, std).double()
    h, v = states(hidden), states(dims)
    log_v = torch.stack([
        (v * logits - torch.nn.functional.softplus(logits)).sum(1)
        for logits in net.layers[0].down(h)
    ])  # fmt: skip
    return net, (log_v + net.top.log_prob(h.long())[:, None]).logsumexp(0)


@torch.no_grad()
def weights_of_a_belief_net_average_to_its_law():
    net, exact = belief_net(std=0.6)
    for x, log_p in zip(states(4).long(), exact, strict=True):
        w = (net.elbo(x.expand(20_000, 4)) - log_p).exp()
        assert abs(w.mean() - 1) < 4.5 * w.std() / 20_000**0.5
    agree(frequencies(net.sample(60_000)), exact.exp(), 60_000)


def a_stack_starts_at_its_rbm():
    """The copy of an RBM under its own law of h, turned round: every guess weighs log p(v)."""
    below = machine(4, 3)
    above = machine(3, 4)
    above.weight.data, above.visible_bias.data = below.weight.data.T, below.hidden_bias.data
    above.hidden_bias.data = below.visible_bias.data
    layer = SigmoidLayer(4, 3).double().copy_of(below)
    net = DBN(Levels((4,), 2), [layer], EnumeratedRBM(above))
    x = states(4).long()
    exact = EnumeratedRBM(below).log_prob(x)
    torch.testing.assert_close(net.elbo(x), exact, rtol=0, atol=1e-9)
    torch.testing.assert_close(net.iw_bound(x, 3), exact, rtol=0, atol=1e-9)


def the_bound_of_a_belief_net_has_its_gradient():
    """The mean gradient of one guess is that of the sum over guesses."""
    net, _ = belief_net(std=0.5)
    x, h = torch.tensor([[1, 0, 0, 1]]), states(3)
    parameters = list(net.parameters())
    found = torch.autograd.grad(net.elbo(x.expand(100_000, 4)).mean(), parameters)
    layer, v = net.layers[0], x.double().expand(8, 4)
    logits = layer.up(v)
    log_q = (h * logits - torch.nn.functional.softplus(logits)).sum(1)
    down = layer.down(h)
    log_p = (v * down - torch.nn.functional.softplus(down)).sum(1) + net.top.log_prob(h.long())
    exact = torch.autograd.grad((log_q.exp() * (log_p - log_q)).sum(), parameters)
    for mine, true in zip(found, exact, strict=True):
        torch.testing.assert_close(mine, true, rtol=0, atol=0.02)


def deep_machine(std=0.7, top_std=None):
    torch.manual_seed(0)
    model = contract.moved(DBM(Levels((3,), 2), hidden=2, top=4), std).double()
    if top_std == 0:
        model.top_weight.data.zero_()
    return model


def a_deep_machine_is_the_sum_over_all_its_bits():
    model = deep_machine()
    v, h, g = states(3), states(2), states(4)
    logs = []
    for s in v:
        pairs = [
            model.visible_bias @ s + model.hidden_bias @ t + model.top_bias @ u
            + s @ model.weight @ t + t @ model.top_weight @ u
            for t in h for u in g
        ]  # fmt: skip
        logs.append(torch.stack(pairs).logsumexp(0))
    expected = torch.stack(logs).log_softmax(0)
    torch.testing.assert_close(model.log_prob(v.long()), expected, rtol=0, atol=1e-9)
    with torch.no_grad():
        agree(frequencies(model.sample(60_000)), expected.exp(), 60_000)


@torch.no_grad()
def mean_field_bounds_the_deep_machine():
    model = deep_machine()
    x = states(3).long()
    bounds = torch.stack([model.mean_field_bound(x, steps) for steps in (1, 2, 5, 30)])
    assert (bounds[1:] >= bounds[:-1] - 1e-12).all()
    assert (bounds[-1] <= model.log_prob(x)).all()
    assert (bounds[-1] > model.log_prob(x) - 0.5).all()
    flat = deep_machine(top_std=0)
    torch.testing.assert_close(flat.mean_field_bound(x), flat.log_prob(x), rtol=0, atol=1e-9)


PROPERTIES = (
    free_energy_is_the_sum_over_hidden_units, sums_over_either_side_are_equal,
    a_sweep_keeps_the_law, the_loss_has_the_gradient_of_the_likelihood,
    short_chains_start_at_the_data, persistent_chains_go_on_in_training_alone,
    exchanges_keep_the_law_of_every_temperature, annealed_weights_average_to_z,
    the_reverse_bound_averages_to_the_law_of_the_draws, enumerated_draws_follow_the_law,
    energy_counts_every_pair_once, the_gradient_is_the_difference_of_moments,
    gibbs_chains_follow_the_boltzmann_machine, hebb_is_the_mean_product_without_a_diagonal,
    energy_never_rises, recall_is_softmax_attention, weights_of_a_belief_net_average_to_its_law,
    a_stack_starts_at_its_rbm, the_bound_of_a_belief_net_has_its_gradient,
    a_deep_machine_is_the_sum_over_all_its_bits, mean_field_bounds_the_deep_machine,
)  # fmt: skip

test_property, test_planted_fault = property_tests(PROPERTIES, FAULTS)


# --- values of theory -----------------------------------------------------------------------------


def test_errors_of_one_step_follow_the_load():
    """A unit of a stored pattern flips with probability Q(1 / sqrt(load)), N large."""
    for load in (0.10, 0.15, 0.25):
        wrong = []
        for seed in range(6):
            x = patterns(round(500 * load), 500, seed).float()
            after = hopfield.Hopfield(hopfield.hebb(x)).at_once(x)
            wrong.append((after != x).float().mean().item())
        expected = 0.5 * math.erfc(1 / math.sqrt(2 * load))
        found = sum(wrong) / len(wrong)
        assert found == pytest.approx(expected, rel=0.15, abs=2e-4), load


def test_recall_breaks_down_between_a_tenth_and_a_quarter():
    kept = {}
    for load in (0.05, 0.25):
        x = patterns(round(400 * load), 400).float()
        network = hopfield.Hopfield(hopfield.hebb(x))
        resting = network.recall(x, 30, torch.Generator().manual_seed(0))
        kept[load] = (resting * x).mean().item()
    assert kept[0.05] > 0.999
    assert kept[0.25] < 0.6


def test_ten_thousand_patterns_are_recalled_in_one_step():
    x = patterns(10_000, 64).float()
    noisy = x[:200].clone()
    noisy[:, :8] *= -1
    network = ModernHopfield(x, beta=0.5)
    assert torch.equal(network(noisy).sign(), x[:200])


def test_pseudo_inverse_keeps_patterns_that_resemble_each_other():
    x = patterns(6, 60)
    x[:, :40] = 1  # two thirds in common
    network = hopfield.Hopfield(hopfield.pseudo_inverse(x).clone())
    assert torch.equal(network.at_once(x), x.float())
    hebbian = hopfield.Hopfield(hopfield.hebb(x))
    assert not torch.equal(hebbian.at_once(x), x.float())


def test_a_random_machine_has_its_log_z_by_annealing():
    rbm = machine(12, 7, std=0.7)
    exact = EnumeratedRBM(rbm).log_z_over_hidden().item()
    estimate, error = AnnealedRBM(rbm, 1000).log_z(200)
    assert 0 < error < 0.05
    assert abs(estimate - exact) < 4 * error + 0.005


def test_bits_are_learned():
    """Each machine within 0.1 nats of the entropy of a law of four bits that it can hold."""
    torch.manual_seed(0)
    states_ = states(4).long()
    log_p = torch.tensor([3.0, 0, 0, 1, 0, 2, 0, 0, 0, 0, 2, 0, 1, 0, 0, 3]).log_softmax(0)
    rows = torch.multinomial(log_p.exp(), 12_000, replacement=True)
    train, test = states_[rows[:8000]], states_[rows[8000:]]
    for name in ("boltzmann_machine", "small_rbm", "dbm"):
        model = contract.moved(zoo.get(name).build(Levels((4,), 2)), 0.5)
        fit(model, train, steps=600, batch_size=256, lr=0.1, progress=False)
        excess = log_p[rows[8000:]] - model.log_prob(test).detach()
        error = 4.5 * excess.std() / len(excess) ** 0.5
        allowed = 0.25 if name == "boltzmann_machine" else 0.1  # pairs do not hold all of it
        assert -error <= excess.mean() <= allowed, name


# --- bad input ------------------------------------------------------------------------------------


def test_bad_input_is_named():
    symmetric = hopfield.hebb(patterns())
    crooked = symmetric.clone()
    crooked[0, 1] += 1
    bits = Levels((3,), 2)
    network, cd = hopfield.Hopfield(symmetric), ContrastiveDivergence(1)
    for match, call in (
        ("weight must be symmetric", lambda: hopfield.Hopfield(crooked)),
        ("weight must have a zero diagonal", lambda: hopfield.Hopfield(symmetric + torch.eye(40))),
        ("weight must be square", lambda: hopfield.Hopfield(symmetric[:3])),
        (r"patterns must hold \+1 and -1", lambda: hopfield.hebb(patterns() * 2)),
        (r"s must hold \+1 and -1", lambda: network.recall(torch.zeros(2, 40))),
        (r"s must be a tensor", lambda: network.energy(torch.ones(2, 39))),
        ("beta must be positive", lambda: ModernHopfield(torch.eye(3), beta=0.0)),
        ("patterns must be finite", lambda: ModernHopfield(torch.eye(3).long())),
        ("s must be a tensor", lambda: ModernHopfield(torch.eye(3))(torch.ones(2, 4))),
        ("data must be", lambda: RBM(Levels((3,), 3), 2, cd)),
        ("hidden must be", lambda: RBM(bits, 0, cd)),
        ("sweeps must be", lambda: RBM(bits, 2, cd, sweeps=0)),
        ("sweeps must be", lambda: ContrastiveDivergence(0)),
        ("n_chains must be", lambda: PersistentChains(3, 0)),
        ("n_betas must be", lambda: ParallelTempering(3, 1, 1)),
        ("steps must be", lambda: AnnealedRBM(RBM(bits, 2, cd), 0)),
        ("at most 20 units", lambda: EnumeratedRBM(RBM(Levels((21,), 2), 21, cd))),
        ("data must be at most 16 bits", lambda: BoltzmannMachine(Levels((17,), 2))),
        ("hidden must be at most 16", lambda: DBM(bits, hidden=17)),
        ("layers must fit", lambda: DBN(bits, [SigmoidLayer(2, 3)], BoltzmannMachine(bits))),
    ):
        with pytest.raises(ValueError, match=match):
            call()
