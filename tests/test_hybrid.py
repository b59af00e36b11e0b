"""Hybrid models: their laws by sums and integrals, what a weight may touch, who has a label."""

import contract
import pytest
import torch
from planted_hybrid import FAULTS
from planting import property_tests
from torch import nn
from torch.distributions import Categorical

from dgm import data, zoo
from dgm.data import turned_digits
from dgm.data.dataset import Dataset
from dgm.distribution.support import Levels, Reals
from dgm.hybrid.diva import DIVA, LabelGaussians
from dgm.hybrid.hybrid_flow import HybridFlow
from dgm.hybrid.hybrid_vae import HybridVAE
from dgm.hybrid.m2 import M2
from dgm.hybrid.semi_supervised import SemiSupervised, few_labels
from dgm.zoo.hybrid import classifier_of
from dgm.zoo.labelled import moved_copies, train_semi
from dgm.zoo.studies import turned_domains

ALONE = "every_parameter_gets_gradient"  # without labels its two heads learn nothing


@contract.over("hybrid", without={"diva": ALONE})
def test_contract(entry, promise):
    promise(entry)


# --- what the properties look at ------------------------------------------------------------------


def moved_model(name, kind, std=0.5, **sizes):
    """An entry of this kind of data in float64, away from where it starts."""
    torch.manual_seed(0)
    return contract.moved(zoo.get(name).build(kind, **sizes), std).double()


def states(dims, levels):
    """Every vector of so many levels, (levels^dims, dims)."""
    return torch.cartesian_prod(*[torch.arange(levels)] * dims).reshape(-1, dims)


def line(n=4001, reach=12.0):
    """Points of the line (n, 1) and the width of their cells."""
    z = torch.linspace(-reach, reach, n, dtype=torch.float64)
    return z[:, None], (z[1] - z[0]).item()


def averages_to(log_w, law, error_of_law=0.0):
    """The mean of the weights (N, ...) is the law, within 4.5 standard errors."""
    w = log_w.exp()
    error = (w.var(0) / len(w) + error_of_law**2).sqrt()
    assert ((w.mean(0) - law).abs() < 4.5 * error + 1e-9).all(), (w.mean(0), law, error)


# --- properties -----------------------------------------------------------------------------------


def hybrid_of_the_plane(weight=1.0):
    return moved_model("hybrid_coupling", Reals((2,)), 0.2, n_classes=3, steps=2, width=4,
                       weight=weight)  # fmt: skip


@torch.no_grad()
def classes_and_places_add_up_to_one():
    model = hybrid_of_the_plane()
    side = torch.linspace(-25, 25, 1001, dtype=torch.float64)
    joint = model.joint_log_prob(torch.cartesian_prod(side, side))
    assert joint.shape[1] == 3
    assert joint.exp().sum().item() * 0.05**2 == pytest.approx(1, abs=2e-3)


@torch.no_grad()
def the_weight_multiplies_log_x_and_nothing_else():
    x, y = torch.randn(5, 2).double(), torch.tensor([0, 1, 2, 2, 1])
    whole = hybrid_of_the_plane()
    log_y = whole.posterior(x).log_prob(y)
    log_x = whole.flow.log_prob(x)
    for weight in (0.0, 0.3, 1.0, 4.0):
        model = hybrid_of_the_plane(weight)
        torch.testing.assert_close(model.loss(x, y), -log_y - weight * log_x)
        torch.testing.assert_close(model.loss(x), -weight * log_x)
        torch.testing.assert_close(model.log_prob(x), log_x)
        torch.testing.assert_close(
            model.joint_log_prob(x).gather(1, y[:, None])[:, 0], log_y + log_x
        )


@torch.no_grad()
def bounds_of_bins_average_to_their_mass():
    """Of 9 states and 3 classes: mean weights are P(x, y), found on a grid of each bin."""
    kind, k = Levels((2,), 3), 3
    model = moved_model("hybrid_coupling", kind, 0.4, n_classes=k, steps=2, width=4)
    with torch.no_grad():
        model.head.weight.mul_(4)  # a class that changes within a bin
    x = states(2, 3)
    inside = (torch.arange(60, dtype=torch.float64) + 0.5) / 60
    u = torch.cartesian_prod(inside, inside)  # (3600, 2)
    v = (x[:, None] + u).reshape(-1, 2)
    z, _ = model.flow(v)
    log_y = model.head(z).log_softmax(1)
    law = (log_y + model.flow.log_prob(v)[:, None]).exp().view(9, -1, k).mean(1)  # (9, K)
    for y in range(k):
        many = torch.full((9 * 8000,), y)
        log_w = model.joint_elbo(x.repeat(8000, 1), many).view(8000, 9)
        averages_to(log_w, law[:, y], 1e-4 * law[:, y])
    assert model.joint_elbo(x, torch.zeros(9).long()).shape == (9,)


def small_m2(std=0.4):
    """An M2 of three ternary digits, one latent number and four classes of unequal frequency."""
    model = moved_model("m2", Levels((3,), 3), std, n_classes=4, latent_dim=1, width=6)
    counts = torch.tensor([1.0, 2.0, 5.0, 3.0])
    return M2(model.data, model.labels, model.classifier, model.trunk, model.encoder,
              model.decoder, model.z_prior, counts).double()  # fmt: skip


@torch.no_grad()
def exact_joint(model, x):
    """log p(x, y) (N, K) of an M2 with one latent number, by a sum over the line."""
    (z, width), k = line(), model.labels.levels
    log_prior = -0.5 * z[:, 0].square() - 0.5 * torch.log(torch.tensor(2 * torch.pi).double())
    found = []
    for y in range(k):
        shown = torch.zeros(len(z), k).double()
        shown[:, y] = 1
        law = model.decoder(torch.cat((z, shown), 1))
        rows = [law.log_prob(row.expand(len(z), *row.shape)) for row in x]
        found.append((torch.stack(rows) + log_prior).logsumexp(1))
    frequency = torch.tensor([1.0, 2.0, 5.0, 3.0]).double() / 11
    return torch.stack(found, 1) + torch.log(torch.tensor(width)) + frequency.log()


@torch.no_grad()
def all_classes_in_one_batch_equal_a_loop():
    model, x = small_m2(), states(3, 3)[::2]
    torch.manual_seed(3)
    together = model.joint_elbo(x)
    for y in range(4):
        torch.manual_seed(3)
        alone = model.joint_elbo(x, torch.full((len(x),), y))
        torch.testing.assert_close(together[:, y], alone)


@torch.no_grad()
def weights_of_a_labelled_picture_average_to_its_law():
    model, x = small_m2(), states(3, 3)[[0, 5, 16, 26]]
    law = exact_joint(model, x).exp()
    assert exact_joint(model, states(3, 3)).exp().sum().item() == pytest.approx(1, abs=1e-6)
    log_w = model.joint_elbo(x.repeat(20_000, 1)).view(20_000, 4, 4)
    averages_to(log_w, law)


@torch.no_grad()
def the_unlabelled_bound_is_the_mean_over_classes_and_their_entropy():
    model, x = small_m2(), states(3, 3)
    torch.manual_seed(3)
    found = model.elbo(x)
    torch.manual_seed(3)
    q = model.posterior(x)
    expected = (q.probs * model.joint_elbo(x)).sum(1) + q.entropy()
    torch.testing.assert_close(found, expected)
    many = torch.stack([model.elbo(x) for _ in range(400)]).mean(0)
    assert (many < exact_joint(model, x).logsumexp(1) + 0.05).all()


@torch.no_grad()
def importance_weights_average_to_the_law_of_x():
    model, x = small_m2(), states(3, 3)[[1, 8, 20]]
    law = exact_joint(model, x).logsumexp(1).exp()
    log_w = torch.stack([model.iw_bound(x, 5) for _ in range(6000)])
    averages_to(log_w, law)


@torch.no_grad()
def draws_follow_the_class_asked_for():
    model, x = small_m2(), states(3, 3)
    law = exact_joint(model, x).log_softmax(0).exp()  # (27, 4), p(x | y)
    place = torch.tensor([9, 3, 1])
    for y in (0, 3):
        drawn = model.sample(20_000, y=torch.full((20_000,), y)).long()
        share = torch.bincount((drawn * place).sum(1), minlength=27) / 20_000
        error = (law[:, y] * (1 - law[:, y]) / 20_000).sqrt()
        assert ((share - law[:, y]).abs() < 4.5 * error + 1e-4).all()


class Spoken(nn.Module):
    """Says fixed bounds: -3 of a picture, -2 of a picture and its label, and 70 % for class 1."""

    def __init__(self):
        super().__init__()
        self.data = Levels((1,), 2)

    def elbo(self, x):
        return torch.full((len(x),), -3.0)

    def joint_elbo(self, x, y):
        return torch.full((len(x),), -2.0)

    def posterior(self, x):
        return Categorical(probs=torch.tensor([[0.3, 0.7]]).expand(len(x), 2))


def labelled_and_unlabelled_have_their_shares():
    x, y = torch.zeros(5, 1).long(), torch.ones(5).long()
    cost = -torch.tensor(0.7).log()
    for n, share in ((1, 0.1), (10, 0.5), (40, 0.0)):
        loss = SemiSupervised(Spoken(), n, 40, share).loss(x, x, y)
        expected = n / 40 * 2 + (1 - n / 40) * 3 + share * cost
        torch.testing.assert_close(loss, expected.expand(5))


def labels_that_are_hidden_stay_hidden():
    x, y = torch.arange(60)[:, None] % 50, torch.arange(60) % 3
    chosen = few_labels(y, 7, 3, seed=1)
    semi = SemiSupervised(Spoken(), 7, 60)
    others, again, known = semi.rows(torch.arange(60)[:, None], y, chosen)
    assert len(others) == len(again) == len(known) == 53
    assert set(again[:, 0].tolist()) == set(chosen.tolist())
    assert not set(others[:, 0].tolist()) & set(chosen.tolist())
    assert torch.equal(known, y[again[:, 0]])
    scrambled = 2 - y
    scrambled[chosen] = y[chosen]
    for one, other in zip(semi.rows(x, y, chosen), semi.rows(x, scrambled, chosen), strict=True):
        assert torch.equal(one, other)


@torch.no_grad()
def alpha_multiplies_the_class_and_nothing_else():
    kind = Levels((1, 2, 2), 3)
    x, y = torch.randint(3, (6, 1, 2, 2)), torch.tensor([0, 1, 2, 2, 1, 0])
    model = moved_model("hybrid_vae", kind, n_classes=3, latent_dim=2, width=6)
    torch.manual_seed(1)
    terms = model.terms(x, y)
    for weight in (0.0, 1.0, 7.5):
        weighted = HybridVAE(model.vae, model.head, model.labels, weight)
        torch.manual_seed(1)
        expected = terms["kl"] - terms["reconstruction"] - weight * terms["log_y"]
        torch.testing.assert_close(weighted.loss(x, y), expected)
        torch.manual_seed(1)
        torch.testing.assert_close(weighted.elbo(x), terms["reconstruction"] - terms["kl"])


@torch.no_grad()
def the_code_of_a_vae_tells_the_class():
    """Mean weights of x and y are the integral of p(x|z) p(y|z) p(z) over a latent line."""
    kind = Levels((3,), 3)
    model = moved_model("hybrid_vae", kind, 0.7, n_classes=3, latent_dim=1, width=6)
    (z, width), x = line(), states(3, 3)[[2, 13]]
    log_z = -0.5 * z[:, 0].square() - 0.5 * torch.log(torch.tensor(2 * torch.pi).double())
    log_y = model.head(z).log_softmax(1)
    for row in x:
        log_x = model.vae.likelihood(z).log_prob(row.expand(len(z), 3))
        law = (log_x + log_z)[:, None] + log_y
        law = law.logsumexp(0).exp() * width  # (K,)
        for y in range(3):
            log_w = model.joint_elbo(row.expand(20_000, 3), torch.full((20_000,), y))
            averages_to(log_w, law[y])


def small_diva(std=0.5):
    return moved_model(
        "diva", Levels((3,), 3), std, n_classes=4, n_domains=2, latent_dim=1, width=6
    )


@torch.no_grad()
def weights_of_three_codes_average_to_the_law():
    """Against the mean of p(x|z) over draws of the priors of y and d, which are even."""
    model, n, x = small_diva(), 60_000, torch.tensor([[0, 2, 1]])
    for y, d in ((0, 1), (3, 0)):
        y, d = torch.full((n,), y), torch.full((n,), d)
        of_d, of_x, of_y = model.prior.parts
        z = torch.cat((of_d.sample(n, y=d), of_x.sample(n), of_y.sample(n, y=y)), 1).double()
        p = model.likelihood(z).log_prob(x.expand(n, 3)).exp() / 8  # p(y) p(d) = 1/4 1/2
        averages_to(model.elbo(x.expand(n, 3), y, d), p.mean(), p.std() / n**0.5)


@torch.no_grad()
def what_is_not_given_is_summed_out():
    model, x = small_diva(), states(3, 3)
    parts = []
    for y in range(4):
        for d in range(2):
            torch.manual_seed(2)
            parts.append(model.elbo(x, *(torch.full((27,), v) for v in (y, d))))
    torch.manual_seed(2)
    torch.testing.assert_close(torch.stack(parts).logsumexp(0), model.elbo(x))
    prior = LabelGaussians(Levels((), 3), 1)
    z, width = line()
    mass = prior.double().log_prob(z).exp().sum().item() * width
    assert mass == pytest.approx(1, abs=1e-6)


def each_head_teaches_its_own_encoder_alone():
    model = small_diva()
    x, y, d = states(3, 3), torch.arange(27) % 4, torch.arange(27) % 2
    for part, own in (("log_d", 0), ("log_y", 2)):
        model.zero_grad()
        model.terms(x, y, d)[part].sum().backward()
        for i, encoder in enumerate(model.encoders):
            heard = any(p.grad is not None and p.grad.abs().sum() > 0 for p in encoder.parameters())
            assert heard == (i == own), (part, i)


def four_quarter_turns_are_none():
    x = data.load("digits").test[:6]
    turn = turned_digits.turned
    assert torch.equal(turn(x, 90), torch.rot90(x, 1, (2, 3)))
    assert torch.equal(turn(turn(turn(turn(x, 90), 90), 90), 90), x)
    assert torch.equal(turn(x, 0), x)


PROPERTIES = (
    classes_and_places_add_up_to_one, the_weight_multiplies_log_x_and_nothing_else,
    bounds_of_bins_average_to_their_mass, all_classes_in_one_batch_equal_a_loop,
    weights_of_a_labelled_picture_average_to_its_law,
    the_unlabelled_bound_is_the_mean_over_classes_and_their_entropy,
    importance_weights_average_to_the_law_of_x, draws_follow_the_class_asked_for,
    labelled_and_unlabelled_have_their_shares, labels_that_are_hidden_stay_hidden,
    alpha_multiplies_the_class_and_nothing_else, the_code_of_a_vae_tells_the_class,
    weights_of_three_codes_average_to_the_law, what_is_not_given_is_summed_out,
    each_head_teaches_its_own_encoder_alone, four_quarter_turns_are_none,
)  # fmt: skip

test_property, test_planted_fault = property_tests(PROPERTIES, FAULTS)


# --- choices and training -------------------------------------------------------------------------


def test_few_labels_are_of_all_classes_alike_and_another_seed_chooses_others():
    y = data.load("digits").train_y
    for n in (10, 57, 100, 1000):
        rows = few_labels(y, n, 10, seed=3)
        assert len(rows.unique()) == n
        counts = y[rows].bincount(minlength=10)
        assert n == 1000 or counts.max() - counts.min() <= 1
    assert not torch.equal(few_labels(y, 100, 10, 0), few_labels(y, 100, 10, 1))
    assert torch.equal(few_labels(y, 100, 10, 0), few_labels(y, 100, 10, 0))


def labelled_world(scramble=False):
    """60 pictures of four bits, class 1 where the first is on; hidden ones as they are, or not."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(2, (60, 1, 2, 2), generator=generator).to(torch.uint8)
    y = x[:, 0, 0, 0].long()
    if scramble:
        chosen = few_labels(y, 6, 2, seed=0)
        hidden = torch.ones(60, dtype=torch.bool)
        hidden[chosen] = False
        y = torch.where(hidden, 1 - y, y)
    return x, y


def test_training_is_the_same_whatever_the_hidden_labels_are():
    """The choice of who has a label looks at all labels, so it is held fixed here."""
    found = []
    for scramble in (False, True):
        x, y = labelled_world(scramble)
        chosen = few_labels(labelled_world()[1], 6, 2, seed=0)
        torch.manual_seed(0)
        model = zoo.get("m2").build(Levels((1, 2, 2), 2), n_classes=2, latent_dim=1, width=6)
        semi = SemiSupervised(model, 6, 60)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        for _ in range(5):
            optimizer.zero_grad()
            semi.loss(*semi.rows(x, y, chosen)).mean().backward()
            optimizer.step()
        found.append(torch.cat([p.detach().flatten() for p in model.parameters()]))
    assert torch.equal(*found)


def test_m2_learns_a_class_from_six_labels():
    x, y = labelled_world()
    kind = Levels((1, 2, 2), 2)
    parts = dict(train=x, val=x, test=x, train_y=y, val_y=y, test_y=y)
    bits = Dataset(name="bits", shape=(1, 2, 2), levels=2, source="made here", **parts)
    torch.manual_seed(0)
    model = zoo.get("m2").build(kind, n_classes=2, latent_dim=1, width=16)
    settings = dict(steps=200, batch_size=32, lr=5e-3, warm=20, settle=20, share=1.0)
    fitted = train_semi(model, bits, 0, n_labels=6, progress=False, **settings)
    assert all(p.requires_grad for p in model.parameters())
    assert (model.posterior(x).logits.argmax(1) == y).float().mean() > 0.95
    assert 0 < fitted.best_val < 4


def test_moved_copies_depend_on_their_seed_alone():
    x = data.load("digits").train[:7]
    torch.manual_seed(5)
    before = torch.get_rng_state()
    one = moved_copies(x, 17, 0.5, 0.1, seed=1)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(one, moved_copies(x, 17, 0.5, 0.1, seed=1))
    assert not torch.equal(one, moved_copies(x, 17, 0.5, 0.1, seed=2))
    assert one.shape == x.shape
    assert one.dtype == x.dtype


def test_one_domain_is_left_out_and_the_others_are_counted_anew():
    domains = turned_digits.turned_digits((0, 20, 50))
    parts = turned_domains.without_one(domains, 1)
    x, y, d = parts["train"]
    assert len(x) == len(y) == len(d) == 1000 - (domains.train_d == 1).sum()
    assert d.unique().tolist() == [0, 1]
    assert torch.equal(x[d == 1], domains.train[domains.train_d == 2])
    assert torch.equal(parts["test"][0], turned_digits.turned(data.load("digits").test, 20.0))


# --- bad input ------------------------------------------------------------------------------------


def test_bad_input_is_named():
    kind, labels = Levels((1, 2, 2), 3), Levels((), 3)
    coupling = zoo.get("hybrid_coupling").build(kind, n_classes=3, steps=1, width=4)
    model = zoo.get("m2").build(kind, n_classes=3, width=4)
    vae = zoo.get("hybrid_vae").build(kind, n_classes=3, width=4)
    codes = zoo.get("diva").build(kind, n_classes=3, n_domains=2, width=4)
    x, y = torch.zeros(2, 1, 2, 2).long(), torch.zeros(2).long()
    parts = [getattr(model, n) for n in ("classifier", "trunk", "encoder", "decoder", "z_prior")]
    three = list(codes.encoders), codes.decoder, *codes.prior.parts, nn.Identity(), nn.Identity()
    for match, call in (
        ("y must be", lambda: coupling.loss(x, y + 3)),
        ("y must be", lambda: coupling.loss(x, y - 1)),
        ("y must hold a label for each of 2 x", lambda: coupling.loss(x, y[:1])),
        ("weight must be", lambda: HybridFlow(coupling.flow, nn.Identity(), labels, weight=-0.1)),
        ("weight must be", lambda: HybridVAE(vae.vae, vae.head, labels, float("nan"))),
        ("y must be", lambda: vae.loss(x, y + 5)),
        ("y must hold", lambda: vae.loss(x, y[:1])),
        ("y must be", lambda: model.joint_elbo(x, y + 3)),
        ("y must hold", lambda: model.joint_elbo(x, y[:1])),
        ("y must have shape", lambda: model.sample(3, y=y)),
        ("class_counts must be", lambda: M2(kind, labels, *parts, torch.tensor([1.0, 0, 1]))),
        ("n_labelled must lie", lambda: SemiSupervised(model, 0, 10)),
        ("n_labelled must lie", lambda: SemiSupervised(model, 11, 10)),
        ("share must be", lambda: SemiSupervised(model, 1, 10, -1.0)),
        ("n must lie in 3", lambda: few_labels(torch.arange(9) % 3, 2, 3)),
        ("n must lie", lambda: few_labels(torch.arange(9) % 3, 10, 3)),
        ("y must be integers", lambda: few_labels(torch.arange(9) % 4, 5, 3)),
        ("y must hold at least", lambda: few_labels(torch.tensor([0] * 9 + [1]), 8, 2)),
        ("n_domains must be", lambda: zoo.get("diva").build(kind, n_domains=1)),
        ("d must be", lambda: codes.loss(x, y, y + 2)),
        ("y must be", lambda: codes.loss(x, y + 3, y)),
        ("class_weight must be", lambda: DIVA(kind, *three, class_weight=-1.0)),
        ("latent_dim must be", lambda: LabelGaussians(labels, 0)),
        ("angles must be at least two", lambda: turned_digits.turned_digits((15,))),
        ("angles must be at least two", lambda: turned_digits.turned_digits((15, 15))),
        ("angle must be", lambda: turned_digits.turned(x.to(torch.uint8), float("inf"))),
        ("data must", lambda: zoo.get("hybrid_coupling").build(Levels((3,), 3))),
        ("data must", lambda: zoo.get("hybrid_dense").build(Levels((1, 28, 28), 256))),
        ("data must", lambda: classifier_of(Levels((1, 3, 3), 2), 3, 8, 0.0, channels=4)),
    ):
        with pytest.raises(ValueError, match=match):
            call()
