"""Codes that keep a secret: contract, distances and bounds by hand, quadrature, gaps, probes."""

import gzip
import hashlib
import math

import contract
import pytest
import torch
from planted_fairness import FAULTS
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits, one_hot, softplus

from dgm import zoo
from dgm.data import census as census_file
from dgm.data import known_bias as worlds
from dgm.data.census import census
from dgm.data.known_bias import KnownBias, known_bias
from dgm.data.unfair_sprites import unfair_sprites
from dgm.distribution.support import Levels, Reals
from dgm.fairness import group_gaps as gaps
from dgm.fairness import random_feature_mmd as distances
from dgm.fairness import sensitive_probe as probes
from dgm.fairness.fair_vae import FairVAE
from dgm.fairness.flexibly_fair import FlexiblyFairVAE
from dgm.fairness.group_adversary import GroupAdversary
from dgm.measure import two_sample
from dgm.nets.mlp import MLP
from dgm.zoo.fairness import deep_adversary, linear_adversary


@contract.over("fairness", without={"flexibly_fair_vae": "fits_a_toy_law"})  # T is no part of it
def test_contract(entry, promise):
    promise(entry)


def two_groups(n=7, m=5, dims=3, seed=0):
    """Two small samples of different size and law, float64."""
    made = torch.Generator().manual_seed(seed)
    a = torch.randn(n, dims, generator=made, dtype=torch.float64)
    return a, 0.5 + 1.3 * torch.randn(m, dims, generator=made, dtype=torch.float64)


def fair_model(seed=0, kind=None, **sizes):
    """A small fair VAE in float64, moved, with shares that are not even."""
    torch.manual_seed(seed)
    kind = Levels((2,), 3) if kind is None else kind
    sizes = dict(n_groups=2, n_classes=3, latent_dim=1, style_dim=1, width=5) | sizes
    model = contract.moved(zoo.get("fair_vae").build(kind, **sizes), 0.3).double()
    model.log_class.copy_(torch.tensor([0.5, 0.3, 0.2]).log()[: sizes["n_classes"]])
    model.log_group.copy_(torch.tensor([0.7, 0.3]).log())
    return model


def flexible_model(seed=0):
    torch.manual_seed(seed)
    build = zoo.get("flexibly_fair_vae").build
    sizes = dict(n_attributes=3, latent_dim=5, width=6, independence=2.5, attribute_weight=1.7)
    return contract.moved(build(Levels((2,), 3), **sizes), 0.3).double()


# --- properties, each of which a planted fault below must break -----------------------------------


def random_features_approach_the_kernel():
    a, b = two_groups()
    for width in (0.7, 3.0):
        psi = distances.RandomFeatures(3, 40_000, width).double()
        exact = (-(a[:, None] - b[None]).square().sum(2) / width).exp()
        torch.testing.assert_close(psi(a) @ psi(b).T, exact, rtol=0, atol=0.02)


def feature_distances_are_those_of_their_gram_matrix():
    a, b = two_groups()
    psi = distances.RandomFeatures(3, 4, 2.0).double()
    of_a, of_b = psi(a), psi(b)
    cross = (of_a @ of_b.T).mean()
    inside, apart = [], []
    for rows in (of_a, of_b):
        gram, n = rows @ rows.T, len(rows)
        inside.append(gram.mean())
        apart.append((gram.sum() - gram.diagonal().sum()) / (n * (n - 1)))
    for unbiased, parts in ((False, inside), (True, apart)):
        found = distances.random_feature_mmd(of_a, of_b, unbiased)
        torch.testing.assert_close(found, sum(parts) - 2 * cross)


def the_kernel_distance_is_that_of_the_book():
    a, b = two_groups()
    for bandwidth in (0.6, 1.9):
        book = two_sample.mmd(a, b, bandwidth=bandwidth).distance
        mine = distances.kernel_mmd(a, b, 2 * bandwidth**2).item()
        assert mine == pytest.approx(book, abs=1e-12)


def only_the_unbiased_distance_is_zero_in_mean():
    """Over many pairs of samples of one law; the other is 1/n + 1/m of 1 - E k above it."""
    made = torch.Generator().manual_seed(0)
    n, m, reps, width = 6, 4, 1000, 2.0
    found = []
    for _ in range(reps):
        z = torch.randn(n + m, 1, generator=made, dtype=torch.float64)
        found.append([distances.kernel_mmd(z[:n], z[n:], width, u) for u in (True, False)])
    unbiased, biased = torch.tensor(found).unbind(1)
    error = 4 * unbiased.std() / math.sqrt(reps)
    assert unbiased.mean().abs() < error
    mean_kernel = 1 / math.sqrt(1 + 4 / width)  # E exp(-(a - b)^2 / width), a - b of N(0, 2)
    expected = (1 / n + 1 / m) * (1 - mean_kernel)
    assert abs(biased.mean() - expected) < 4 * biased.std() / math.sqrt(reps)


def exchanged_groups_give_the_null():
    a, b = two_groups(9, 4)
    psi = distances.RandomFeatures(3, 6, 2.0).double()(torch.cat((a, b)))
    s = torch.tensor([0] * 9 + [1] * 4)
    for unbiased in (False, True):
        null = distances.permuted_mmd(psi, s, 50, 3, unbiased)
        first = distances.random_feature_mmd(psi[s == 0], psi[s == 1], unbiased)
        torch.testing.assert_close(null[0], first)
        made, rows = torch.Generator().manual_seed(3), []
        for _ in range(50):
            t = s[torch.randperm(13, generator=made)]
            rows.append(distances.random_feature_mmd(psi[t == 0], psi[t == 1], unbiased))
        torch.testing.assert_close(null[1:], torch.stack(rows))


def by_hand(model, x, s, y=None):
    """The bound of (24.1) and (24.2), class after class in a loop, under the same noise."""
    u = model.data.scaled(x, dtype=torch.float64)
    q = model.encoder(torch.cat((u, one_hot(s, 2)), 1))
    z1 = q.from_noise(torch.randn(len(x), 1, dtype=torch.float64))
    noise = torch.randn(len(x), 1, dtype=torch.float64)
    shares, log_q = model.log_class, model.classifier(z1).log_softmax(1)
    total = model.decoder(torch.cat((z1, one_hot(s, 2)), 1)).log_prob(x) - q.log_prob(z1)
    each = []
    for k in range(3):
        of_k = one_hot(torch.full((len(x),), k), 3)
        style = model.style_encoder(torch.cat((z1, of_k), 1))
        z2 = style.from_noise(noise)
        c = shares[k] + model.code_decoder(torch.cat((z2, of_k), 1)).log_prob(z1)
        each.append(c + model.style_prior.log_prob(z2) - style.log_prob(z2))
    each = torch.stack(each, 1)
    classes = (log_q.exp() * each).sum(1) - (log_q.exp() * log_q).sum(1)
    if y is not None:
        classes = torch.where(y < 0, classes, each.gather(1, y.clamp_min(0)[:, None])[:, 0])
    return total + classes


def the_bound_sums_the_classes():
    model = fair_model()
    x, s = torch.tensor([[0, 2], [1, 1], [2, 0], [0, 0]]), torch.tensor([0, 1, 1, 0])
    for y in (None, torch.tensor([2, 0, 1, 1]), torch.tensor([-1, 0, -1, 2])):
        torch.manual_seed(5)
        found = model.elbo(x, s, y)
        torch.manual_seed(5)
        torch.testing.assert_close(found, by_hand(model, x, s, y))


@torch.no_grad()
def exact_by_quadrature(model, x, s):
    """log p(x|s) (B,): z1 and z2 on grids, classes summed."""
    z = torch.linspace(-9, 9, 481, dtype=torch.float64)[:, None]
    step = math.log((z[1] - z[0]).item())
    log_z1 = []
    for k in range(3):
        law = model.code_decoder(torch.cat((z, one_hot(torch.full((481,), k), 3)), 1))
        each = -0.5 * (
            (z.T - law.mean).square() / law.variance + (2 * math.pi * law.variance).log()
        )
        prior = model.style_prior.log_prob(z)[:, None]  # (z2, z1) grid
        log_z1.append(model.log_class[k] + (each + prior).logsumexp(0) + step)
    log_z1 = torch.stack(log_z1).logsumexp(0)
    found = []
    for row, group in zip(x, s, strict=True):
        shown = one_hot(group.expand(481), 2)
        log_x = model.decoder(torch.cat((z, shown), 1)).log_prob(row.expand(481, 2))
        found.append((log_x + log_z1).logsumexp(0) + step)
    return torch.stack(found)


@torch.no_grad()
def bounds_stay_below_the_exact_likelihood_and_reach_it():
    model = fair_model()
    x, s = torch.tensor([[0, 2], [1, 1], [2, 0], [0, 0]]), torch.tensor([0, 1, 1, 0])
    exact = exact_by_quadrature(model, x, s)
    many, groups = x.repeat(3000, 1), s.repeat(3000)
    draws = model.elbo(many, groups).view(3000, 4)
    assert (draws.mean(0) < exact + 4 * draws.std(0) / 3000**0.5).all()
    torch.testing.assert_close(model.iw_bound(x, 20_000, s), exact, rtol=0, atol=0.05)
    other = torch.stack([exact_by_quadrature(model, x, torch.full_like(s, k)) for k in (0, 1)], 1)
    mixed = (other + model.log_group).logsumexp(1)  # log p(x)
    torch.testing.assert_close(model.iw_bound(x, 20_000), mixed, rtol=0, atol=0.05)


def the_loss_is_the_bound_the_label_and_the_penalty():
    model = fair_model(strength=3.0, label_weight=2.0, n_features=8).train()
    x, s = torch.tensor([[0, 2], [1, 1], [2, 0], [0, 0]]), torch.tensor([0, 1, 1, 0])
    y = torch.tensor([2, -1, 1, 1])
    torch.manual_seed(1)
    found = model.loss(x, s, y)
    torch.manual_seed(1)
    bound = model.elbo(x, s, y)
    torch.manual_seed(1)
    z1 = model.codes(x, s).rsample()
    psi = model.penalty.features(z1)
    penalty = (psi[s == 0].mean(0) - psi[s == 1].mean(0)).square().sum()
    log_q = model.classifier(z1).log_softmax(1)
    missed = torch.stack([-log_q[0, 2], log_q.new_zeros(()), -log_q[2, 1], -log_q[3, 1]])
    torch.testing.assert_close(found, -bound + 2 * missed + 3 * penalty)


def the_adversary_learns_what_the_code_unlearns():
    torch.manual_seed(0)
    guess = GroupAdversary(nn.Linear(2, 2))
    z, s = torch.randn(40, 2, requires_grad=True), torch.arange(40) % 2
    before = guess(z, s)
    before.backward()
    with torch.no_grad():
        assert guess(z - 0.1 * 40 * z.grad, s) > before  # downhill for the code: harder to guess
        for p in guess.parameters():
            p -= 0.1 * p.grad
        assert guess(z, s) < before  # downhill for the network: guessed better


def critic_and_codes_move_by_their_own_part_only():
    model = flexible_model().train()
    x = torch.randint(3, (12, 2), generator=torch.Generator().manual_seed(2))
    a = torch.randint(2, (12, 3), generator=torch.Generator().manual_seed(3))
    torch.manual_seed(4)
    model.loss(x, a).mean().backward()
    found = {name: p.grad.clone() for name, p in model.named_parameters()}
    # each part by itself
    model.zero_grad()
    torch.manual_seed(4)
    q = model.posterior(x)
    codes = q.rsample()
    fixed = codes.detach()
    first = [torch.randperm(12) for _ in range(4)]
    columns = [fixed[:, :2], fixed[:, 2:3], fixed[:, 3:4], fixed[:, 4:]]
    mixed = torch.cat([c[r] for c, r in zip(columns, first, strict=True)], 1)
    (softplus(-model.critic(fixed)) + softplus(model.critic(mixed))).mean().backward()
    own = {n: p.grad for n, p in model.named_parameters() if n.startswith("critic")}
    for name, slope in own.items():
        torch.testing.assert_close(found[name], slope)
    model.zero_grad()
    bound = model.likelihood(codes).log_prob(x) - q.log_prob(codes) + model.prior.log_prob(codes)
    guessed = binary_cross_entropy_with_logits(codes[:, 2:], a.double(), reduction="none").sum(1)
    (-bound + 1.7 * guessed + 2.5 * model.critic(codes)[:, 0]).mean().backward()
    for name, p in model.named_parameters():
        if not name.startswith("critic"):
            torch.testing.assert_close(found[name], p.grad)


def permuted_codes_break_every_tie_but_that_inside_z():
    model = flexible_model()
    torch.manual_seed(0)
    z = torch.arange(400.0)[:, None] + torch.tensor([[0.0, 0.5, 1000, 2000, 3000]])
    mixed = model.permuted(z)
    assert torch.equal(mixed.sort(0).values, z)  # every column has its own values
    assert (mixed[:, 1] - mixed[:, 0] == 0.5).all()  # z stays whole
    rows = mixed[:, 1:] - torch.tensor([0.5, 1000, 2000, 3000])
    for i in range(4):
        for j in range(i):
            together = (rows[:, i] == rows[:, j]).double().mean()
            assert together < 0.05, (i, j)


def the_critic_finds_the_dependence_of_gaussians():
    """KL(q(z, b) || q(z) q(b)) = -log(1 - rho^2) / 2, and 0 for independent codes."""
    for rho in (0.8, 0.0):
        torch.manual_seed(0)
        model = FlexiblyFairVAE(
            Reals((2,)), Levels((1,), 2), zoo.get("flexibly_fair_vae").build(
                Reals((2,)), n_attributes=1, latent_dim=2, width=8).encoder,
            nn.Identity(), nn.Identity(), MLP(2, 1, (32, 32)),
        )  # fmt: skip
        optimiser = torch.optim.Adam(model.critic.parameters(), 1e-2)
        for _ in range(200):
            eps = torch.randn(256, 2)
            codes = torch.stack((eps[:, 0], rho * eps[:, 0] + (1 - rho**2) ** 0.5 * eps[:, 1]), 1)
            real, mixed = model.critic(codes), model.critic(model.permuted(codes))
            optimiser.zero_grad()
            (softplus(-real) + softplus(mixed)).mean().backward()
            optimiser.step()
        eps = torch.randn(20_000, 2)
        codes = torch.stack((eps[:, 0], rho * eps[:, 0] + (1 - rho**2) ** 0.5 * eps[:, 1]), 1)
        found = model.dependence(codes).mean().item()
        assert found == pytest.approx(-0.5 * math.log(1 - rho**2), abs=0.1)


COUNTED = (  # decision, s, y: group 0 has 6 rows, group 1 has 3
    torch.tensor([1, 1, 0, 0, 0, 1, 1, 1, 0]),
    torch.tensor([0, 0, 0, 0, 0, 0, 1, 1, 1]),
    torch.tensor([1, 1, 1, 0, 0, 0, 1, 0, 0]),
)


def gaps_are_those_counted_by_hand():
    decision, s, y = COUNTED
    torch.testing.assert_close(
        gaps.selection_rates(decision, s), torch.tensor([3 / 6, 2 / 3], dtype=torch.float64)
    )
    assert gaps.demographic_parity_gap(decision, s) == pytest.approx(1 / 6)
    # y = 1: 2/3 and 1/1; y = 0: 1/3 and 1/2
    assert gaps.equalised_odds_gap(decision, s, y) == pytest.approx(1 / 3)
    three = torch.cat((s, torch.tensor([2, 2])))
    yes = torch.cat((decision, torch.tensor([0, 0])))
    assert gaps.demographic_parity_gap(yes, three) == pytest.approx(2 / 3)
    rows = gaps.gaps_by_threshold(decision.double(), s, y, torch.tensor([0.5, 2.0]))
    right = (decision == y).double().mean().item()
    torch.testing.assert_close(
        rows, torch.tensor([[right, 1 / 6, 1 / 3], [5 / 9, 0, 0]], dtype=torch.float64)
    )


def the_known_frontier_is_the_best_of_all_thresholds():
    law = KnownBias()
    found = law.frontier(7)
    t = torch.linspace(-3, 3, 601, dtype=torch.float64)
    every = law.outcome(t[:, None].expand(-1, 601), t[None].expand(601, -1))
    for accuracy, parity in zip(found["accuracy"], found["parity"], strict=True):
        best = every["accuracy"][every["parity"] <= parity + 2e-3].max()
        assert abs(best - accuracy) < 2e-3
    assert found["parity"][-1] < 1e-9
    same = law.equal_odds()
    apart = gaps.parity_under_equal_odds(law.rates, *[r.item() for r in law.rates_of(
        torch.tensor(same["t"], dtype=torch.float64), 0)])  # fmt: skip
    assert same["odds"] == 0
    assert same["parity"] == pytest.approx(apart, abs=1e-9)


def known_bias_rows_follow_their_law():
    d = known_bias(40_000)
    merit, proxy = d.law.causes(d.test)
    chosen = gaps.selection_rates(d.test_y.double(), d.test_s)
    torch.testing.assert_close(
        chosen, torch.tensor([0.3, 0.7], dtype=torch.float64), rtol=0, atol=0.012
    )
    t0, t1 = d.law.best_thresholds(torch.tensor(0.1, dtype=torch.float64))
    yes = torch.where(d.test_s == 1, merit > t1, merit > t0).long()
    exact = {k: v.item() for k, v in d.law.outcome(t0, t1).items()}
    assert (yes == d.test_y).double().mean().item() == pytest.approx(exact["accuracy"], abs=0.007)
    assert gaps.demographic_parity_gap(yes, d.test_s) == pytest.approx(exact["parity"], abs=0.02)
    # what sees x alone: the posterior of both, by Bayes' rule
    s_odds, blind = torch.stack((proxy, -proxy)) * 2 * d.law.proxy, d.law.blind()
    joint = {}
    for s, share in ((0, 0.6), (1, 0.4)):
        for y, rate in ((0, 1 - d.law.rates[s]), (1, d.law.rates[s])):
            log_p = math.log(share * rate) - (merit - (2 * y - 1) * d.law.merit) ** 2 / 2
            joint[s, y] = (log_p - (proxy - (2 * s - 1) * d.law.proxy) ** 2 / 2).exp()
    assert s_odds.isfinite().all()
    guess = (joint[0, 1] + joint[1, 1] > joint[0, 0] + joint[1, 0]).long()
    assert (guess == d.test_y).double().mean().item() == pytest.approx(blind["accuracy"], abs=0.007)
    assert gaps.demographic_parity_gap(guess, d.test_s) == pytest.approx(blind["parity"], abs=0.02)
    guess = (joint[1, 0] + joint[1, 1] > joint[0, 0] + joint[0, 1]).long()
    assert (guess == d.test_s).double().mean().item() == pytest.approx(blind["group"], abs=0.007)


def a_probe_of_noise_finds_nothing_and_one_of_a_riddle_all():
    made = torch.Generator().manual_seed(0)
    z, s = torch.randn(1500, 3, generator=made), torch.randint(2, (1500,), generator=made)
    noise = probes.sensitive_probe(z[:900], s[:900], z[900:], s[900:], permutations=99)
    assert abs(noise.area - 0.5) < 0.07
    assert noise.p_value > 0.05
    riddle = z + 0.0
    riddle[:, 1] = z[:, 1].abs() * (2 * s - 1) * z[:, 0].sign()  # no column alone shows it
    for probe in (probes.boosted_probe(), probes.wide_probe()):
        found = probes.sensitive_probe(
            riddle[:900], s[:900], riddle[900:], s[900:], probe, permutations=99
        )
        assert found.accuracy > 0.9, probe
        assert found.p_value == 0.01
    assert noise.majority == max((s[900:] == k).double().mean().item() for k in (0, 1))


def areas_are_those_of_scikit_learn():
    from sklearn.metrics import roc_auc_score

    made = torch.Generator().manual_seed(0)
    chance = (torch.rand(60, 3, generator=made, dtype=torch.float64) * 8).round()
    s = torch.randint(3, (2, 60), generator=made)
    found = probes._areas(chance, torch.arange(3), s)
    for row, area in zip(s, found, strict=True):
        each = [roc_auc_score(row == k, chance[:, k]) for k in range(3)]
        assert area.item() == pytest.approx(sum(each) / 3)


PROPERTIES = (
    random_features_approach_the_kernel,
    feature_distances_are_those_of_their_gram_matrix,
    the_kernel_distance_is_that_of_the_book,
    only_the_unbiased_distance_is_zero_in_mean,
    exchanged_groups_give_the_null,
    the_bound_sums_the_classes,
    bounds_stay_below_the_exact_likelihood_and_reach_it,
    the_loss_is_the_bound_the_label_and_the_penalty,
    the_adversary_learns_what_the_code_unlearns,
    critic_and_codes_move_by_their_own_part_only,
    permuted_codes_break_every_tie_but_that_inside_z,
    the_critic_finds_the_dependence_of_gaussians,
    gaps_are_those_counted_by_hand,
    the_known_frontier_is_the_best_of_all_thresholds,
    known_bias_rows_follow_their_law,
    a_probe_of_noise_finds_nothing_and_one_of_a_riddle_all,
    areas_are_those_of_scikit_learn,
)
BY_NAME = {check.__name__: check for check in PROPERTIES}


@pytest.mark.parametrize("check", PROPERTIES, ids=lambda check: check.__name__)
def test_property(check):
    torch.manual_seed(0)
    check()


@pytest.mark.parametrize("plant", FAULTS, ids=lambda plant: plant.__name__)
def test_a_planted_fault_is_caught(plant, monkeypatch):
    torch.manual_seed(0)
    name = plant(monkeypatch)
    with pytest.raises((AssertionError, RuntimeError)):
        BY_NAME[name]()


# --- choices, data, bad input ---------------------------------------------------------------------


def test_fair_codes_leave_out_the_entries_named():
    model = flexible_model().eval()
    x = torch.randint(3, (4, 2))
    mean = model.posterior(x).mean
    assert torch.equal(model.fair_codes(x, means=True), mean)
    assert torch.equal(model.fair_codes(x, without=(1,), means=True), mean[:, [0, 1, 2, 4]])
    assert torch.equal(model.fair_codes(x, without=(2, 0), means=True), mean[:, [0, 1, 3]])
    made = torch.Generator().manual_seed
    drawn = model.fair_codes(x, without=(0,), generator=made(1))
    assert torch.equal(drawn, model.posterior(x).rsample(generator=made(1))[:, [0, 1, 3, 4]])


def test_a_penalty_counts_every_pair_and_no_group_that_is_absent():
    psi = distances.RandomFeatures(2, 16)
    z, s = torch.randn(9, 2), torch.tensor([0, 0, 0, 1, 1, 1, 2, 2, 2])
    parts = [psi(z[s == k]) for k in range(3)]
    pairs = [distances.random_feature_mmd(parts[i], parts[j]) for i, j in ((0, 1), (0, 2), (1, 2))]
    torch.testing.assert_close(distances.GroupMMD(psi, 3)(z, s), sum(pairs))
    here = s < 2
    torch.testing.assert_close(distances.GroupMMD(psi, 3)(z[here], s[here]), pairs[0])
    assert distances.GroupMMD(psi)(z[:3], s[:3]) == 0
    assert distances.GroupMMD(psi, unbiased=True)(z[2:5], s[2:5]) == 0  # one member: no pair


def test_features_are_seeded_and_follow_the_model():
    first, again = (distances.RandomFeatures(2, 5, seed=3) for _ in range(2))
    z = torch.randn(4, 2)
    assert torch.equal(first(z), again(z))
    assert not torch.equal(first(z), distances.RandomFeatures(2, 5, seed=4)(z))
    assert not first.state_dict()
    assert first.double()(z.double()).dtype == torch.float64


def test_draws_take_group_and_class():
    model = fair_model()
    with torch.no_grad():
        model.code_decoder.net[0].weight *= 8  # so that a class makes a difference
    made = torch.Generator().manual_seed
    ones = torch.ones(400, dtype=torch.long)
    first = model.sample(400, s=ones, y=ones, generator=made(0))
    assert torch.equal(first, model.sample(400, s=ones, y=ones, generator=made(0)))
    assert not torch.equal(first, model.sample(400, s=0 * ones, y=ones, generator=made(0)))
    assert not torch.equal(first, model.sample(400, s=ones, y=2 * ones, generator=made(0)))


def test_constant_codes_keep_every_secret():
    z, s = torch.zeros(200, 2), (torch.arange(200) % 3 == 0).long()
    found = probes.sensitive_probe(z[:100], s[:100], z[100:], s[100:], permutations=49)
    assert (found.area, found.p_value) == (0.5, 1.0)
    assert found.accuracy == found.majority
    assert distances.kernel_mmd(z[:9], z[9:], 1.0) == 0


def test_decisions_may_be_chances_and_absent_classes_are_left_out():
    s = torch.tensor([0, 0, 1, 1])
    chance = torch.tensor([0.2, 0.4, 0.9, 0.5])
    assert gaps.demographic_parity_gap(chance, s) == pytest.approx(0.4)
    assert gaps.equalised_odds_gap(chance, s, torch.ones(4).long()) == pytest.approx(0.4)


def test_the_census_is_as_documented():
    content = gzip.decompress(census_file.CENSUS_FILE.read_bytes())
    readme = (census_file.CENSUS_FILE.parent / "README.md").read_text()
    assert hashlib.md5(content).hexdigest() == census_file.CENSUS_MD5
    assert f"`{census_file.CENSUS_FILE.name}`" in readme
    assert census_file.CENSUS_MD5 in readme
    assert str(len(content)) in readme
    d = census()
    assert [len(part) for part in (d.train, d.val, d.test)] == [6000, 1000, 3000]
    assert d.kind.check(d.train).shape[1] == d.kind.dims == 62
    y, rows = torch.cat((d.train_y, d.val_y, d.test_y)), content.decode().split()[1:]
    assert y.sum() == 5000
    assert [int(row[0]) for row in rows[:50]] == d.train_y[:50].tolist()
    first = [int(v) for v in rows[0].split(",")]
    assert first[1] == d.train_s[0] == d.train_a[0, 0]
    assert d.train[0, :7].tolist() == [int(first[3] >= age) for age in census_file.AGES]
    assert d.train[0, 7:14].sum() == first[4]
    assert (d.train[:, 14:17].sum(1) == 1).all()
    assert (d.train[:, 17:24].sum(1) == 1).all()


def test_unfair_sprites_lean_as_documented():
    d = unfair_sprites(6000, lean=1.5)
    for first in (0, 1):
        for second in (0, 1):
            here = (d.train_a == torch.tensor([first, second])).all(1)
            chance = 1 / (1 + math.exp(-1.5 * (first + second - 1)))
            assert d.train_y[here].double().mean().item() == pytest.approx(chance, abs=0.05)
    right = d.train[:, 0, :, 8:].double().sum((1, 2)) > d.train[:, 0, :, :8].double().sum((1, 2))
    assert (right.long() == d.train_y).double().mean() > 0.98  # large ones reach across
    ink = d.train.double().sum((1, 2, 3))
    assert ink[d.train_a[:, 0] == 1].mean() > 1.5 * ink[d.train_a[:, 0] == 0].mean()
    low = d.train[:, 0, 8:].double().sum((1, 2)) > d.train[:, 0, :8].double().sum((1, 2))
    assert (low.long() == d.train_a[:, 1]).double().mean() > 0.98
    assert not torch.equal(d.train, unfair_sprites(6000, lean=1.5, seed=1).train)


def test_bad_input_is_named():
    z, s = torch.zeros(4, 2), torch.tensor([0, 1, 0, 1])
    one = torch.zeros(4, dtype=torch.long)
    model, flexible = fair_model(), flexible_model()
    x = torch.tensor([[0, 2], [1, 1]])
    build, flex = zoo.get("fair_vae").build, zoo.get("flexibly_fair_vae").build
    features = distances.RandomFeatures(2, 3)
    probe = probes.sensitive_probe
    for match, call in (
        ("a must be rows", lambda: distances.kernel_mmd(z[:1], z, 1.0)),
        ("b must be rows", lambda: distances.kernel_mmd(z, z[:0], 1.0, unbiased=False)),
        ("b must have the 2 columns", lambda: distances.kernel_mmd(z, z[:, :1], 1.0)),
        ("width must be", lambda: distances.kernel_mmd(z, z, 0.0)),
        ("width must be", lambda: distances.RandomFeatures(2, width=math.nan)),
        ("n_features must be", lambda: distances.RandomFeatures(2, 0)),
        ("z must be", lambda: features(torch.zeros(4, 3))),
        ("s must give", lambda: distances.permuted_mmd(z, one)),
        ("permutations must be", lambda: distances.permuted_mmd(z, s, 0)),
        ("n_groups must be", lambda: distances.GroupMMD(features, 1)),
        ("s must name two groups", lambda: gaps.demographic_parity_gap(s, one)),
        ("no row of group", lambda: gaps.demographic_parity_gap(s, 2 * s)),
        ("no row of group", lambda: gaps.equalised_odds_gap(s, s, s)),
        ("decision must lie", lambda: gaps.demographic_parity_gap(3 * s, s)),
        ("decision must be", lambda: gaps.demographic_parity_gap(s[:3], s)),
        ("y must be 0 or 1", lambda: gaps.equalised_odds_gap(s, s, 2 * s)),
        ("true must lie", lambda: gaps.parity_under_equal_odds((0.3, 0.7), 1.2, 0.1)),
        ("test_codes must hold two", lambda: probe(z, s, z, one)),
        ("codes must hold two", lambda: probe(z, one, z, s)),
        ("test_s must hold groups", lambda: probe(z, s, z, 2 * s)),
        ("test_codes must be", lambda: probe(z, s, z[:, :1], s)),
        ("strength must be", lambda: build(Reals((2,)), strength=-1.0)),
        ("n_groups must be", lambda: build(Reals((2,)), n_groups=1)),
        ("s must be", lambda: model.elbo(x, torch.tensor([0, 2]))),
        ("s must hold", lambda: model.elbo(x, torch.tensor([0]))),
        ("y must be", lambda: model.loss(x, one[:2], torch.tensor([0, 3]))),
        ("y must be", lambda: model.loss(x, one[:2], torch.tensor([0, -2]))),
        ("y must hold", lambda: model.loss(x, one[:2], torch.tensor([0]))),
        ("s must have shape", lambda: model.sample(3, s=one)),
        ("independence must be", lambda: flex(Reals((2,)), independence=math.inf)),
        ("attributes: 4 of them", lambda: flex(Reals((2,)), n_attributes=4, latent_dim=4)),
        ("without must name", lambda: flexible.fair_codes(x, without=(3,))),
        ("a must be", lambda: flexible.loss(x, torch.zeros(2, 2).long())),
        ("a must have 2 rows", lambda: flexible.loss(x, torch.zeros(3, 3).long())),
        ("n must be", lambda: known_bias(4)),
        ("lean must be", lambda: unfair_sprites(lean=0)),
        ("class_counts must be", lambda: FairVAE(
            Reals((2,)), Levels((), 2), Levels((), 3), *[nn.Identity()] * 6,
            class_counts=torch.tensor([1.0, 0, 2]))),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=match):
            call()


def test_adversaries_are_as_strong_as_they_say():
    """A ring inside a ring: no line parts it."""
    torch.manual_seed(0)
    angle = 2 * math.pi * torch.rand(400)
    s = torch.arange(400) % 2
    z = (1 + s)[:, None] * torch.stack((angle.cos(), angle.sin()), 1)
    found = []
    for make in (linear_adversary, deep_adversary):
        guess = make(2)
        optimiser = torch.optim.Adam(guess.parameters(), 1e-2)
        for _ in range(150):
            optimiser.zero_grad()
            guess(z, s).backward()
            optimiser.step()
        found.append(guess.accuracy(z, s))
    assert found[0] < 0.7 < 0.97 < found[1]


def test_worlds_repeat():
    first, again = worlds.known_bias(20), worlds.known_bias(20)
    assert torch.equal(first.train, again.train)
    assert not torch.equal(first.train, worlds.known_bias(20, seed=1).train)
