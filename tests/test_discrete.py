"""Discrete codes: bounds against sums over all codes, moving averages worked out by hand."""

import contract
import planted_discrete as planted
import pytest
import torch
from planted_discrete import CODES, DATA, random_table, small_categorical, small_vq, two_level_prior
from torch import nn

from dgm import zoo
from dgm.audit import audit
from dgm.data import load
from dgm.discrete.categorical import CategoricalPosterior, CategoricalVAE, LeaveOneOut
from dgm.discrete.codebook import Codebook
from dgm.discrete.estimators import (
    all_codes,
    enumerated_gradient,
    leave_one_out_gradients,
    relaxed_gradients,
)
from dgm.discrete.gumbel import GumbelSoftmax
from dgm.discrete.two_level import TwoLevelCodebook, TwoLevelPrior
from dgm.discrete.usage import bit_shares, code_usage, perplexity
from dgm.discrete.vq_vae import VQVAE
from dgm.distribution.support import Levels
from dgm.nets.code_network import CoarseContext, CodeNetwork
from dgm.nets.conv_map import MapDecoder, MapEncoder
from dgm.nets.gated_pixelcnn import GatedPixelCNN

pytestmark = pytest.mark.usefixtures("float64")

SLOW = "fits_a_toy_law"  # one code for 2 x 2 pixels, and the codes have no say in the loss


@contract.over("discrete", without={"vq_vae": SLOW, "vq_vae_2": SLOW})
def test_contract(entry, promise):
    torch.set_default_dtype(torch.float32)
    promise(entry)


# --- healthy and planted --------------------------------------------------------------------------


@pytest.mark.parametrize("check", planted.HEALTHY, ids=lambda f: f.__name__)
def test_property_holds(check):
    check(planted.HEALTHY[check])


@pytest.mark.parametrize(("fault", "check"), planted.FAULTS, ids=lambda f: f.__name__)
def test_planted_fault_is_caught(fault, check):
    with pytest.raises(AssertionError):
        check(fault)


def test_the_audit_sees_codes_that_are_not_charged_for():
    """Once encoder and decoder agree, the "masses" of all pictures sum to more than one."""
    x, line = planted.all_pictures()[::5], "exp(elbo) sums to one"
    for cls, verdict in ((VQVAE, "pass"), (planted.FreeCodes, "FAIL")):
        model = small_vq(cls).train()
        model.beta = 0.0
        steps = torch.optim.Adam(model.parameters(), 0.05)
        for _ in range(150):
            steps.zero_grad()
            model.loss(planted.all_pictures()).mean().backward()
            steps.step()
        assert audit(model.eval(), x, progress=False)[line].verdict == verdict


# --- codebooks ------------------------------------------------------------------------------------


def test_commitment_pulls_the_features_and_not_the_vectors():
    book, h = Codebook(4, 3).eval(), torch.randn(2, 3, 2, 2, requires_grad=True)
    _, codes, distance = book(h)
    chosen = book.vectors[codes[:, 0]].movedim(-1, 1)
    (grad,) = torch.autograd.grad(distance.sum(), h)
    torch.testing.assert_close(grad, 2 * (h - chosen))
    torch.testing.assert_close(distance, (h - chosen).square().sum((1, 2, 3)))
    assert not any(True for _ in book.parameters())


def test_the_state_of_a_codebook_is_saved_whole():
    book = Codebook(4, 3)
    book(torch.randn(8, 3, 2, 2))
    assert set(book.state_dict()) == {"vectors", "counts", "sums", "placed"}
    other = Codebook(4, 3)
    other.load_state_dict(book.state_dict())
    h = torch.randn(8, 3, 2, 2)
    book(h)
    other(h)  # the next step of the averages is the same too
    torch.testing.assert_close(other.vectors, book.vectors)
    assert other.placed


def test_k_means_finds_clusters_that_are_far_apart_and_only_once():
    centres = 20 * torch.randn(6, 3)
    rows = (centres.repeat(10, 1) + 0.1 * torch.randn(60, 3)).view(60, 3, 1, 1)
    book = Codebook(6, 3)
    book.eval()(rows)
    assert not book.placed, "in eval mode nothing is placed"
    book.train()(rows)
    assert book.placed
    assert torch.cdist(centres, book.vectors).min(1).values.max() < 0.3
    assert code_usage(book.eval()(rows)[1], 6).min() > 0.1
    before = book.vectors.clone()
    book.train()(rows + 50.0)
    assert (book.vectors - before).abs().max() < 2.0, "later batches move it a little, no more"


def test_a_vector_that_nobody_chooses_restarts_at_a_feature_and_others_stay():
    for share, moves in ((0.5, True), (0.0, False)):
        book = Codebook(3, 1, decay=0.5, k_means=False, restart_below=share).train()
        book.vectors.copy_(torch.tensor([[0.0], [10.0], [900.0]]))
        book.sums.copy_(book.vectors)
        h = torch.tensor([0.1, 9.0, 0.3, 9.5]).view(1, 1, 2, 2)
        book(h)
        book(h)
        assert bool((h - book.vectors[2]).abs().min() < 1e-4) is moves
        assert (book.vectors[:2, 0] - torch.tensor([0.15, 9.4])).abs().max() < 0.5
        if moves:  # as if chosen like the mean: it is not restarted again at once
            assert book.counts[2] > 0.5 * book.counts.mean()


def test_a_codebook_far_away_collapses_and_either_cure_saves_it():
    """Vectors that begin far off: one is nearest to all features and takes them all."""
    features, used = 0.3 * torch.randn(64, 4, 2, 2), {}
    for name, cure in {"none": {}, "k_means": {"k_means": True}, "restarts": {"r": 0.1}}.items():
        torch.manual_seed(1)
        book = Codebook(16, 4, 0.9, cure.get("k_means", False), cure.get("r", 0.0)).train()
        if name != "k_means":
            book.vectors.add_(20.0)
            book.sums.copy_(book.vectors)
        for _ in range(60):
            book(features)
        used[name] = perplexity(code_usage(book.eval()(features)[1], 16)).item()
    assert used["none"] < 2
    assert min(used["k_means"], used["restarts"]) > 8


def test_codes_are_chosen_in_full_precision_under_autocast():
    book, h = Codebook(64, 8).float().eval(), torch.randn(8, 8, 6, 6, dtype=torch.float32)
    h = h + 30  # 16 bits would see no difference
    book.vectors.add_(30)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        codes = book(h)[1]
    assert torch.equal(codes, book(h)[1])


def test_usage_and_perplexity_of_known_codes():
    usage = code_usage(torch.tensor([[[0, 3], [3, 3]]]), 5)
    torch.testing.assert_close(usage.double(), torch.tensor([0.25, 0, 0, 0.75, 0]))
    assert perplexity(torch.tensor([1.0, 0.0])) == 1
    torch.testing.assert_close(perplexity(torch.full((7,), 1 / 7)), torch.tensor(7.0))


# --- VQ-VAE ---------------------------------------------------------------------------------------


def test_draws_follow_the_sum_over_all_codes():
    model, x = small_vq(), planted.all_pictures()
    codes = all_codes(2, 3).view(-1, 1, 1, 2)
    with torch.no_grad():
        p = planted.exact_log_prob(model, x, codes).exp()
    drawn = model.sample(20_000, generator=torch.Generator().manual_seed(0))
    place = 2 ** torch.arange(7, -1, -1)
    found = code_usage((drawn.flatten(1).long() * place).sum(1), 256)
    assert (found - p).abs().max() < 0.012


def test_beta_and_commitment_change_the_loss_and_not_the_bound():
    model, x = small_vq(), planted.all_pictures()[::7]
    elbo, terms = model.elbo(x), model.terms(x)
    model.beta, model.commitment = 0.0, 3.0
    distance = model._quantised(x)[2]
    torch.testing.assert_close(model.elbo(x), elbo)
    torch.testing.assert_close(model.loss(x), 3 * distance - terms["reconstruction"])
    model.beta = 2.0
    expected = 3 * distance - terms["reconstruction"] + 2 * terms["kl"]
    torch.testing.assert_close(model.loss(x), expected)


def test_the_prior_moves_neither_encoder_nor_decoder():
    model, x = small_vq(), planted.all_pictures()[:20]
    model.loss(x).sum().backward()
    with_prior = [
        p.grad.clone() for p in (*model.encoder.parameters(), *model.decoder.parameters())
    ]
    model.zero_grad()
    model.beta = 0.0
    model.loss(x).sum().backward()
    alone = [p.grad for p in (*model.encoder.parameters(), *model.decoder.parameters())]
    for a, b in zip(with_prior, alone, strict=True):
        torch.testing.assert_close(a, b)
    assert model.prior.logits.grad is None


def test_encoder_gradient_is_the_decoders_at_the_chosen_vectors():
    """Straight through: d log p(x|z)/dz at z = e_k, times dh/dw; no other path."""
    model, x = small_vq(), planted.all_pictures()[3:9]
    model.beta = model.commitment = 0.0
    h = model.encoder(DATA.scaled(x, dtype=torch.float64))
    z = model.codebook.features(model.encode(x)).requires_grad_()
    (at_z,) = torch.autograd.grad(-model.decoder(z).log_prob(x).sum(), z)
    expected = torch.autograd.grad(h, model.encoder.weight, at_z)[0]
    (found,) = torch.autograd.grad(model.loss(x).sum(), model.encoder.weight)
    torch.testing.assert_close(found, expected)


def test_any_codes_give_a_bound_and_more_codes_a_better_one():
    model, x = small_vq(), planted.all_pictures()[::11]
    codes = all_codes(2, 3).view(-1, 1, 1, 2)
    with torch.no_grad():
        exact = planted.exact_log_prob(model, x, codes)
        some = planted.exact_log_prob(model, x, codes[:4])
    assert (some < exact).all()


def test_reconstruction_is_the_mean_at_the_codes():
    model, x = small_vq(), planted.all_pictures()[::50]
    torch.testing.assert_close(model(x), model.likelihood(model.encode(x)).mean)


def test_two_levels_come_back_from_their_codes_in_order():
    place, codes = ((1, 2), (2, 4)), torch.arange(10).unsqueeze(0)
    books = Codebook(11, 3), Codebook(11, 2)
    up, down = nn.AvgPool2d(2), nn.Upsample(scale_factor=2)
    book = TwoLevelCodebook(*books, up, down, nn.Conv2d(5, 2, 1), place).eval()
    top, bottom = book.maps(codes)
    assert top.tolist() == [[[[0, 1]]]]
    assert bottom.tolist() == [[[[2, 3, 4, 5], [6, 7, 8, 9]]]]
    built = nn.Conv2d(5, 2, 1)
    book.up, book.merge = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(2, 3, 1)), built
    h = torch.randn(4, 2, 2, 4)
    passed, found, distance = book(h)
    torch.testing.assert_close(book.features(found), passed)
    assert found.shape == (4, 10)
    coarse = book.top.features(book.maps(found)[0])
    fine = book.bottom.features(book.maps(found)[1])
    at_top = (book.up(h) - coarse).square().sum((1, 2, 3))
    at_bottom = (built(torch.cat((h, down(coarse)), 1)) - fine).square().sum((1, 2, 3))
    torch.testing.assert_close(distance, at_top + at_bottom)


def test_two_level_prior_is_its_terms_and_starts_at_the_frequencies():
    prior, rows = two_level_prior(), all_codes(5, 2)
    terms = prior.terms(rows)
    torch.testing.assert_close(terms["coarse"], prior.top.log_prob(rows[:, :1].view(-1, 1, 1, 1)))
    torch.testing.assert_close(sum(terms.values()), prior.log_prob(rows))


# --- networks -------------------------------------------------------------------------------------


@pytest.mark.parametrize("told", [False, True])
def test_code_network_draws_the_same_step_by_step_and_sees_no_future(told):
    stack = GatedPixelCNN(5, (1, 3, 4), 6, 2, context_dim=7 if told else 0, first=3)
    context = CoarseContext(9, 7, (3, 4)) if told else None
    net = contract.moved(CodeNetwork(stack, (3, 4), 9, 5, context, noise=0.5), 0.4)
    v, y = torch.randint(9, (2, 12)), (torch.randint(9, (2, 1, 1, 2)),) if told else ()
    out, state = net(v, *y), None
    for t in range(12):
        step, state = net.step(t, v, state, *y)
        torch.testing.assert_close(step, out[:, t])
    for t in range(12):
        other = v.clone()
        other[:, t:] = (other[:, t:] + 1) % 9
        torch.testing.assert_close(net(other, *y)[:, : t + 1], out[:, : t + 1])
        if t < 11:
            assert not torch.equal(net(other, *y)[:, t + 1 :], out[:, t + 1 :])
    if told:
        assert not torch.allclose(net(v, (y[0] + 1) % 9), out)
    assert not torch.allclose(net.train()(v, *y), out), "noise in training"


def test_maps_have_the_sides_they_say():
    encode = MapEncoder((2, 8, 12), 5, width=4, halvings=2, blocks=2)
    decode = MapDecoder(5, (2, 8, 12), values=3, width=4, halvings=2)
    h = encode(torch.randn(6, 2, 8, 12))
    assert h.shape == (6, 5, 2, 3)
    assert decode(h).shape == (6, 2, 8, 12, 3)


# --- categorical ----------------------------------------------------------------------------------


def test_categorical_posterior_agrees_with_torch():
    logits = torch.randn(4, 3, 5)
    q, torchs = CategoricalPosterior(logits), torch.distributions.Categorical(logits=logits)
    codes = q.sample((7,))
    assert codes.shape == (7, 4, 3)
    torch.testing.assert_close(q.log_prob(codes), torchs.log_prob(codes).sum(-1))
    other = torch.distributions.Categorical(logits=torch.randn(3, 5))
    kl = torch.distributions.kl_divergence(torchs, other).sum(1)
    torch.testing.assert_close(q.kl(other.logits), kl)
    many = q.sample((20_000,))
    found = torch.stack([code_usage(many[:, 1, 2], 5)])
    assert (found - torchs.probs[1, 2]).abs().max() < 0.02


def test_a_hard_draw_is_one_hot_with_the_gradient_of_the_soft_one():
    logits = torch.randn(50, 4, requires_grad=True)
    weight, grads = torch.randn(50, 4), {}
    for hard in (False, True):
        torch.manual_seed(1)
        z = GumbelSoftmax(0.7, hard)(logits)
        (grads[hard],) = torch.autograd.grad((z * weight).sum(), logits)
        if hard:
            assert set(z.detach().round(decimals=6).flatten().tolist()) == {0.0, 1.0}
    torch.testing.assert_close(grads[False], grads[True])


def test_estimators_of_the_gradient():
    """Enumeration against autograd; the score function without bias; relaxed ones cold and warm."""
    logits, table = torch.randn(2, 3), 2 * torch.randn(3, 3)
    f = lambda z: (z[:, 0] @ table * z[:, 1]).sum(1)  # noqa: E731
    leaf = logits.clone().requires_grad_()
    p = leaf.softmax(1)
    (expected,) = torch.autograd.grad((p[0] @ table * p[1]).sum(), leaf)
    torch.testing.assert_close(enumerated_gradient(f, logits), expected)
    seeded = lambda: torch.Generator().manual_seed(0)  # noqa: E731
    for k, n in ((1, 60_000), (4, 15_000)):
        found = leave_one_out_gradients(f, logits, n, k, seeded())
        error = found.std(0) / n**0.5
        assert found.shape == (n, 2, 3)
        assert ((found.mean(0) - expected).abs() < 4.5 * error).all(), k
    bias = {}
    for temperature in (0.3, 3.0):
        found = relaxed_gradients(f, logits, 40_000, GumbelSoftmax(temperature), seeded())
        bias[temperature] = (found.mean(0) - expected).norm(), found.var(0).sum()
    assert bias[0.3][0] < bias[3.0][0]
    assert bias[0.3][1] > bias[3.0][1]
    again = leave_one_out_gradients(f, logits, 5, 2, seeded())
    torch.testing.assert_close(again, leave_one_out_gradients(f, logits, 5, 2, seeded()))
    assert not torch.equal(again, leave_one_out_gradients(f, logits, 5, 2))


def test_a_linear_function_has_no_baseline_to_gain_when_draws_agree():
    """One value with all the mass: every estimate is zero, whatever f."""
    logits = torch.tensor([[50.0, 0.0, 0.0]])
    found = leave_one_out_gradients(lambda z: 7 + z[:, 0, 0], logits, 10, 4)
    assert found.abs().max() < 1e-12


# --- training -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["vq_vae", "vq_vae_2"])
def test_two_stages_are_the_same_for_a_seed_and_the_second_moves_the_prior_alone(name):
    from dataclasses import replace

    torch.set_default_dtype(torch.float32)
    entry, found = zoo.get(name), []
    digits = load("digits")
    few = replace(digits, train=digits.train[:40], val=digits.val[:20])
    recipe = entry.recipes["digits"]
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        model = entry.build(digits.kind, **recipe.sizes | dict(width=8, prior_width=8))
        short = dict(recipe.fit, steps=3, copies=1, prior=dict(recipe.fit["prior"], steps=2))
        done = recipe.train(model, few, seed, **short)
        assert not model.training
        with torch.no_grad():
            assert abs(done.best_val + model.elbo(few.val).mean()) < 1e-3
        found.append(model)
    a, b, c = (model.state_dict() for model in found)
    assert all(torch.equal(v, b[k]) for k, v in a.items())
    assert not torch.equal(a["encoder.layers.0.weight"], c["encoder.layers.0.weight"])
    assert model.beta == 1.0


# --- bad input ------------------------------------------------------------------------------------

BAD = {
    "n_codes": [
        lambda: Codebook(0, 3),
        lambda: Codebook(1, 3),
        lambda: Codebook(True, 3),
        lambda: zoo.get("vq_vae").build(Levels((1, 4, 4), 3), n_codes=1),
        lambda: TwoLevelCodebook(
            Codebook(4, 2), Codebook(5, 2), *[nn.Identity()] * 3, ((1, 1),) * 2
        ),
        lambda: CodeNetwork(GatedPixelCNN(3, (1, 2, 2), 4, 1), (2, 2), 1, 3),
    ],
    "dim": [lambda: Codebook(4, 0), lambda: bit_shares({}, 0)],
    "decay": [lambda: Codebook(4, 3, decay=1.0), lambda: Codebook(4, 3, decay=float("nan"))],
    "restart_below": [lambda: Codebook(4, 3, restart_below=-0.1)],
    "codes must": [
        lambda: Codebook(4, 3).features(torch.full((1, 1, 2, 2), 4)),
        lambda: Codebook(4, 3).features(torch.full((1, 1, 2, 2), -1)),
        lambda: Codebook(4, 3).features(torch.zeros(1, 1, 2, 2)),
        lambda: Codebook(4, 3).features(torch.zeros(4, dtype=torch.long)),
        lambda: code_usage(torch.tensor([0, 4]), 4),
        lambda: code_usage(torch.tensor([], dtype=torch.long), 4),
        lambda: code_usage(torch.tensor([0.5]), 4),
        lambda: two_level_prior().log_prob(torch.full((2, 5), 2)),
        lambda: two_level_prior().log_prob(torch.zeros(2, 4, dtype=torch.long)),
    ],
    "temperature": [
        lambda: GumbelSoftmax(0.0),
        lambda: GumbelSoftmax(-1.0),
        lambda: GumbelSoftmax(float("nan")),
        lambda: zoo.get("categorical_vae").build(DATA, temperature=0.0),
    ],
    "commitment": [lambda: small_vq(lambda *a: VQVAE(*a, commitment=-1.0))],
    "beta": [lambda: small_vq(lambda *a: VQVAE(*a, beta=float("inf")))],
    "prior must": [
        lambda: VQVAE(DATA, nn.Identity(), Codebook(4, 2), nn.Identity(), random_table(CODES))
    ],
    "data": [
        lambda: TwoLevelPrior(Levels((6,), 2), two_level_prior().top, two_level_prior().bottom),
        lambda: zoo.get("vq_vae").build(Levels((1, 5, 4), 3)),
        lambda: zoo.get("vq_vae_2").build(Levels((1, 6, 6), 3)),
    ],
    "logits": [lambda: enumerated_gradient(lambda z: z.sum((1, 2)), torch.zeros(3))],
    "n_values": [lambda: all_codes(40, 2)],
    "k must": [
        lambda: LeaveOneOut(small_categorical(), k=1),
        lambda: leave_one_out_gradients(lambda z: z.sum((1, 2)), torch.zeros(2, 3), 5, k=0),
        lambda: small_categorical().iw_bound(planted.all_pictures()[:2], 0),
    ],
    "n must": [
        lambda: relaxed_gradients(lambda z: z.sum((1, 2)), torch.zeros(2, 3), 0, GumbelSoftmax())
    ],
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_named(name):
    for call in BAD[name]:
        with pytest.raises(ValueError, match=name):
            call()


def test_codes_of_another_map_are_refused():
    book = TwoLevelCodebook(Codebook(4, 2), Codebook(4, 2), *[nn.Identity()] * 3, ((1, 1), (2, 2)))
    with pytest.raises(ValueError, match="codes must"):
        book.maps(torch.zeros(3, 4, dtype=torch.long))


def test_temperature_is_no_part_of_the_class_interface():
    assert "temperature" not in vars(small_categorical())
    assert isinstance(small_categorical(), CategoricalVAE)
