"""Faults of discrete codes, planted one at a time, and the properties that must catch them.

A property takes the class or function it is about, so that the same lines hold the healthy one and
refuse the faulty one. `FAULTS` pairs every fault with the property that catches it.
"""

import math

import torch
from torch import nn
from torch.nn.functional import one_hot

from dgm.autoregressive.autoregressive import Autoregressive
from dgm.autoregressive.law import LevelLaw
from dgm.discrete.categorical import CategoricalPosterior, CategoricalVAE, LeaveOneOut
from dgm.discrete.codebook import Codebook
from dgm.discrete.estimators import all_codes, enumerated_gradient
from dgm.discrete.gumbel import GumbelSoftmax
from dgm.discrete.two_level import TwoLevelPrior
from dgm.discrete.usage import bit_shares, code_usage, perplexity
from dgm.discrete.vq_vae import VQVAE
from dgm.distribution.level_table import LevelTable
from dgm.distribution.likelihood import SoftmaxDecoder
from dgm.distribution.support import Levels
from dgm.nets.code_network import CoarseContext, CodeNetwork
from dgm.nets.gated_pixelcnn import GatedPixelCNN

DATA = Levels((1, 2, 4), 2)  # 256 pictures
CODES = Levels((1, 1, 2), 3)  # 9 maps


def random_table(codes):
    table = LevelTable(codes)
    table.logits.data.normal_()
    return table


def small_vq(cls=VQVAE):
    """Eight bits as two codes of three, all of it enumerable."""
    torch.manual_seed(3)
    net = nn.Sequential(nn.ConvTranspose2d(4, 2, 2, 2), nn.Flatten())
    encoder, decoder = nn.Conv2d(1, 4, 2, 2), SoftmaxDecoder(net, DATA)
    model = cls(DATA, encoder, Codebook(3, 4), decoder, random_table(CODES))
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.7 * torch.randn_like(p))
    return model.eval()


def small_categorical(cls=CategoricalVAE, temperature=0.6):
    """Eight bits through two variables of three values."""
    torch.manual_seed(4)
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(8, 6))
    decoder = SoftmaxDecoder(nn.Linear(6, 16), DATA)
    model = cls(DATA, encoder, decoder, random_table(Levels((2,), 3)), GumbelSoftmax(temperature))
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.5 * torch.randn_like(p))
    return model.eval()


def all_pictures():
    return all_codes(8, 2).view(-1, 1, 2, 4).to(torch.uint8)


def exact_log_prob(model, x, codes):
    """log of the sum over all codes of p(codes) p(x | codes), (B,)."""
    each = [
        model.prior.log_prob(k[None])
        + model.likelihood(k[None].expand(len(x), *k.shape)).log_prob(x)
        for k in codes
    ]
    return torch.stack(each).logsumexp(0)


# --- properties -----------------------------------------------------------------------------------


def gradient_passes_straight_through(cls):
    """The value is that of the vectors, the derivative in h the identity; vectors get none."""
    book, h = cls(5, 3).eval(), torch.randn(2, 3, 4, 2, requires_grad=True)
    passed, codes, _ = book(h)
    assert torch.equal(passed.detach(), book.vectors[codes[:, 0]].movedim(-1, 1)) or (
        (passed - book.vectors[codes[:, 0]].movedim(-1, 1)).abs().max() < 1e-12
    )
    weight = torch.randn_like(h)
    (grad,) = torch.autograd.grad((passed * weight).sum(), h)
    torch.testing.assert_close(grad, weight)


def eval_mode_changes_no_buffer(cls):
    book = cls(5, 3, k_means=False).eval()
    before = {k: v.clone() for k, v in book.state_dict().items()}
    book(torch.randn(4, 3, 2, 2))
    assert all(torch.equal(v, before[k]) for k, v in book.state_dict().items())


def averages_are_those_worked_out_by_hand(cls):
    """Two steps of decay 1/2, three vectors of one number, one of them never chosen."""
    book = cls(3, 1, decay=0.5, k_means=False, restart_below=0.0)
    book.vectors.copy_(torch.tensor([[0.0], [10.0], [90.0]]))
    book.sums.copy_(book.vectors)
    book.train()
    book(torch.tensor([1.0, 3.0, 11.0, -1.0]).view(1, 1, 2, 2))  # codes 0 0 1 0
    # counts (1 + 3) / 2, (1 + 1) / 2, 1 / 2; sums (0 + 3) / 2, (10 + 11) / 2, 90 / 2
    expected = torch.tensor([0.75, 10.5, 90.0])
    torch.testing.assert_close(book.vectors[:, 0], expected, rtol=2e-5, atol=2e-5)
    book(torch.tensor([1.0, 9.0, 9.0, 10.0]).view(1, 1, 2, 2))  # codes 0 1 1 1
    # counts (2 + 1) / 2, (1 + 3) / 2, 1 / 4; sums (1.5 + 1) / 2, (10.5 + 28) / 2, 22.5
    expected = torch.tensor([1.25 / 1.5, 19.25 / 2, 90.0])
    torch.testing.assert_close(book.vectors[:, 0], expected, rtol=5e-5, atol=5e-5)
    for _ in range(3000):
        book(torch.tensor([1.0, 9.0, 9.0, 10.0]).view(1, 1, 2, 2))
        assert book.vectors.isfinite().all(), "a vector that nobody chooses runs away"
    expected = torch.tensor([1.0, 28 / 3])  # and the one that nobody chooses takes none of them
    torch.testing.assert_close(book.vectors[:2, 0], expected, rtol=5e-5, atol=5e-5)


def nearest_is_the_nearest(cls):
    book, rows = cls(7, 3).eval(), 2 * torch.randn(200, 3)
    book.vectors.copy_(torch.randn(7, 3) * torch.linspace(0.2, 3, 7).unsqueeze(1))
    assert torch.equal(book.nearest(rows), torch.cdist(rows, book.vectors).argmin(1))


def usage_is_that_of_an_epoch(measure):
    """Eight codes in turn, used alike, though no batch of four holds more than four of them."""
    codes = torch.arange(64).view(16, 1, 2, 2) % 8
    torch.testing.assert_close(measure(codes, 8), torch.tensor(8.0))
    assert measure(codes[:1], 8) < 4.01


def bound_charges_for_codes_and_pixels(cls):
    """log p(x | k) + log p(k), below the sum over all codes; over all x it sums to at most one."""
    model, x = small_vq(cls), all_pictures()
    codes = all_codes(2, 3).view(-1, 1, 1, 2)
    with torch.no_grad():
        elbo, exact = model.elbo(x), exact_log_prob(model, x, codes)
        torch.testing.assert_close(exact.exp().sum(), torch.tensor(1.0))
        assert (elbo <= exact + 1e-9).all()
        assert elbo.exp().sum() <= 1 + 1e-9
        k = model.encode(x)
        own = model.likelihood(k).log_prob(x) + model.prior.log_prob(k)
    torch.testing.assert_close(elbo, own)


def bits_are_those_of_the_pixels(shares):
    """Uniform codes, uniform pixels: log2 of the levels, and the codes spread over the pixels."""
    nats = {
        "reconstruction": torch.tensor([-64 * math.log(17)]),
        "kl": torch.tensor([16 * math.log(32)]),
    }
    found = shares(nats, 64)
    torch.testing.assert_close(found["decoder"], torch.tensor([math.log2(17)]))
    torch.testing.assert_close(found["codes"], torch.tensor([16 * 5 / 64]))


def relaxed_argmax_is_an_exact_draw(cls):
    """Frequencies of the largest entry are the softmax of the logits, at any temperature."""
    logits = torch.tensor([0.0, 1.0, 2.5, -1.0])
    for temperature in (0.3, 2.0):
        torch.manual_seed(0)
        z = cls(temperature)(logits.expand(40_000, -1))
        torch.testing.assert_close(z.sum(-1), torch.ones(40_000))
        found = code_usage(z.argmax(-1), 4)
        assert (found - logits.softmax(0)).abs().max() < 0.012, (temperature, found)


def evaluated_law_knows_no_temperature(cls):
    cold, warm = small_categorical(cls, 0.2), small_categorical(cls, 5.0)
    x = all_pictures()[::9]
    with torch.no_grad():
        torch.testing.assert_close(cold.posterior(x).logits, warm.posterior(x).logits)
        for name in ("elbo", "terms"):
            torch.manual_seed(0)
            one = getattr(cold, name)(x)
            torch.manual_seed(0)
            other = getattr(warm, name)(x)
            torch.testing.assert_close(one, other)


def categorical_bounds_are_bounds(cls):
    """Mean elbo <= exact; 40,000 weights come to it; the elbo's mean is worked out by sums."""
    model, x, codes = small_categorical(cls), all_pictures()[::16], all_codes(2, 3)
    with torch.no_grad():
        exact = exact_log_prob(model, x, codes)
        q = model.posterior(x)
        log_q = torch.stack([q.log_prob(k.expand(len(x), -1)) for k in codes])  # (9, B)
        torch.testing.assert_close(log_q.exp().sum(0), torch.ones(len(x)))
        log_p = torch.stack([
            model.likelihood(k.expand(len(x), -1)).log_prob(x) + model.prior.log_prob(k[None])
            for k in codes
        ])  # fmt: skip
        expected = (log_q.exp() * (log_p - log_q)).sum(0)
        drawn = torch.stack([model.elbo(x) for _ in range(3000)])
        assert (expected < exact).all()
        error = drawn.std(0) / 3000**0.5
        assert ((drawn.mean(0) - expected).abs() < 4.5 * error).all()
        weights = model.iw_bound(x, 40_000)
        assert (weights - exact).abs().mean() < 0.05


def leave_one_out_gradient_is_exact_in_the_mean(cls):
    """The gradient in the encoder's bias, averaged over draws, is that of the enumerated bound."""
    model, x = small_categorical(), all_pictures()[37:38]
    bias = model.encoder[1].bias

    def value(z):
        with torch.no_grad():
            return model.likelihood(z.argmax(-1)).log_prob(x.expand(len(z), 1, 2, 4))

    logits = model.encoder(DATA.scaled(x, dtype=bias.dtype)).detach().view(2, 3)
    of_value = enumerated_gradient(value, logits).flatten()
    kl = model.posterior(x).kl(model.prior.logits.log_softmax(-1)).sum()
    expected = torch.autograd.grad(kl, bias)[0] - of_value
    many = cls(model, k=3).loss(x.expand(20_000, 1, 2, 4)).mean()
    found = torch.autograd.grad(many, bias)[0]
    assert (found - expected).abs().max() < 0.03, (found, expected)


def two_level_prior(cls=TwoLevelPrior):
    torch.manual_seed(5)
    top, bottom = Levels((1, 1, 1), 2), Levels((1, 2, 2), 2)
    stack = GatedPixelCNN(3, (1, 2, 2), 4, 1, context_dim=4, first=3)
    net = CodeNetwork(stack, (2, 2), 2, 3, CoarseContext(2, 4, (2, 2)))
    fine = Autoregressive(net, LevelLaw(2, 4), bottom, condition=top)
    prior = cls(Levels((5,), 2), random_table(top), fine)
    with torch.no_grad():
        for p in prior.parameters():
            p.add_(0.8 * torch.randn_like(p))
    return prior.eval()


def two_level_draws_follow_the_prior(cls):
    """32 rows of codes: their masses sum to one, and draws are as frequent."""
    prior, rows = two_level_prior(cls), all_codes(5, 2)
    with torch.no_grad():
        p = prior.log_prob(rows).exp()
        torch.testing.assert_close(p.sum(), torch.tensor(1.0))
        drawn = prior.sample(8000, generator=torch.Generator().manual_seed(0))
    place = 2 ** torch.arange(4, -1, -1)
    assert (code_usage((drawn * place).sum(1), 32) - p).abs().max() < 0.02


# --- faults ---------------------------------------------------------------------------------------


class PassedTwice(Codebook):  # straight-through doubled: the stop is forgotten on one side
    def forward(self, h):
        passed, codes, distance = super().forward(h)
        return passed + h - h.detach(), codes, distance


class FollowsAlways(Codebook):  # the codebook moves in eval mode
    def forward(self, h):
        out = super().forward(h)
        self.follow(h.detach().movedim(1, -1).flatten(0, -2), out[1].flatten())
        return out


class CountsOfTheBatch(Codebook):  # counts not averaged: sums of many batches over one batch's
    def follow(self, rows, codes):
        super().follow(rows, codes)
        counts = one_hot(codes, self.n_codes).to(rows.dtype).sum(0)
        self.vectors.copy_(self.sums / counts.clamp(min=1).unsqueeze(1))


class NotSmoothed(Codebook):  # a count of zero blows a vector up
    def follow(self, rows, codes):
        chose = one_hot(codes, self.n_codes).to(rows.dtype)
        self.counts.lerp_(chose.sum(0), 1 - self.decay)
        self.sums.lerp_(chose.T @ rows.detach(), 1 - self.decay)
        self.vectors.copy_(self.sums / self.counts.unsqueeze(1))


class WrongExpansion(Codebook):  # |h - e|^2 without its factor 2
    def nearest(self, rows):
        return (self.vectors.square().sum(1) - rows @ self.vectors.T).argmin(1)


def usage_of_batches(codes, n_codes):  # the mean of what batches use
    each = [perplexity(code_usage(part, n_codes)) for part in codes.split(1)]
    return torch.stack(each).mean()


class FreeCodes(VQVAE):  # the prior is left out of the bound
    def elbo(self, x):
        return self.terms(x)["reconstruction"]


class UniformCodes(VQVAE):  # codes charged by another prior than they are drawn from
    def elbo(self, x):
        return self.terms(x)["reconstruction"] - 0.5 * self.terms(x)["kl"]


def bits_of_codes(terms, dims):  # per code, not per pixel
    return bit_shares(terms, 16)


class WrongSign(GumbelSoftmax):  # + log E in the place of - log E
    def forward(self, logits, generator=None):
        noise = torch.empty_like(logits).exponential_(generator=generator).log()
        return ((logits + noise) / self.temperature).softmax(-1)


class OneNoise(GumbelSoftmax):  # one noise for all values of a variable: no noise at all
    def forward(self, logits, generator=None):
        noise = -torch.empty_like(logits[..., :1]).exponential_(generator=generator).log()
        return ((logits + noise) / self.temperature).softmax(-1)


class WarmLaw(CategoricalVAE):  # the temperature in the law that is evaluated
    def _law_of(self, x):
        return CategoricalPosterior(super()._law_of(x).logits / self.relax.temperature)


class RelaxedBound(CategoricalVAE):  # the "bound" evaluated at relaxed draws
    def terms(self, x):
        q = self._law_of(x)
        reconstruction = self.decoder(self.relax(q.logits).flatten(1)).log_prob(x)
        return super().terms(x) | {"reconstruction": reconstruction}


class OwnBaseline(LeaveOneOut):  # each draw is in its own baseline: a gradient (k - 1) / k as long
    def loss(self, x):
        q = self.model.posterior(x)
        codes, many = q.sample((self.k,)), x.repeat(self.k, 1, 1, 1)
        r = self.model.likelihood(codes.flatten(0, 1)).log_prob(many).view(self.k, -1)
        score = ((r - r.mean(0)).detach() * q.log_prob(codes)).mean(0)
        return q.kl(self.model.prior.logits.log_softmax(-1)) - r.mean(0) - (score - score.detach())


class FineFirst(TwoLevelPrior):  # draws in another order than masses are asked in
    def sample(self, n, *, generator=None):
        top = self.top.sample(n, generator=generator).long()
        bottom = self.bottom.sample(n, y=top, generator=generator).long()
        return torch.cat((bottom.flatten(1), top.flatten(1)), 1)


class FineAlone(TwoLevelPrior):  # the fine map drawn given another coarse one
    def sample(self, n, *, generator=None):
        rows = super().sample(n, generator=generator)
        return torch.cat((rows[:, :1].flip(0), rows[:, 1:]), 1)


HEALTHY = {
    gradient_passes_straight_through: Codebook,
    eval_mode_changes_no_buffer: Codebook,
    averages_are_those_worked_out_by_hand: Codebook,
    nearest_is_the_nearest: Codebook,
    usage_is_that_of_an_epoch: lambda codes, n: perplexity(code_usage(codes, n)),
    bound_charges_for_codes_and_pixels: VQVAE,
    bits_are_those_of_the_pixels: bit_shares,
    relaxed_argmax_is_an_exact_draw: GumbelSoftmax,
    evaluated_law_knows_no_temperature: CategoricalVAE,
    categorical_bounds_are_bounds: CategoricalVAE,
    leave_one_out_gradient_is_exact_in_the_mean: LeaveOneOut,
    two_level_draws_follow_the_prior: TwoLevelPrior,
}
FAULTS = [
    (PassedTwice, gradient_passes_straight_through),
    (FollowsAlways, eval_mode_changes_no_buffer),
    (CountsOfTheBatch, averages_are_those_worked_out_by_hand),
    (NotSmoothed, averages_are_those_worked_out_by_hand),
    (WrongExpansion, nearest_is_the_nearest),
    (usage_of_batches, usage_is_that_of_an_epoch),
    (FreeCodes, bound_charges_for_codes_and_pixels),
    (UniformCodes, bound_charges_for_codes_and_pixels),
    (bits_of_codes, bits_are_those_of_the_pixels),
    (WrongSign, relaxed_argmax_is_an_exact_draw),
    (OneNoise, relaxed_argmax_is_an_exact_draw),
    (WarmLaw, evaluated_law_knows_no_temperature),
    (RelaxedBound, categorical_bounds_are_bounds),
    (OwnBaseline, leave_one_out_gradient_is_exact_in_the_mean),
    (FineFirst, two_level_draws_follow_the_prior),
    (FineAlone, two_level_draws_follow_the_prior),
]
