"""Sequence models: causal, normalised, cached = uncached, and each layer against a reference."""

import itertools
import math
from functools import partial
from types import SimpleNamespace

import contract
import pytest
import torch
import torch.nn.functional as F
from matplotlib import pyplot as plt
from torch import nn

from dgm import zoo
from dgm.audit import audit
from dgm.autoregressive.autoregressive import Autoregressive
from dgm.autoregressive.law import LevelLaw
from dgm.data.markov import QuantisedEcho
from dgm.distribution.support import Levels
from dgm.measure.influence import influence
from dgm.nets.lstm import RecurrentBackbone
from dgm.nets.tokens import TokenNet
from dgm.nets.transformer import CausalAttention, Transformer, rotary
from dgm.nets.wavenet import GatedResidualBlock, WaveNet, delayed, receptive_field
from dgm.plot import tokens
from dgm.sequence import token_sampling
from dgm.sequence.context_counts import ContextCounts
from dgm.sequence.stream import stream_log_prob, write
from dgm.zoo.sequence import train_text

pytestmark = pytest.mark.usefixtures("float64")
randomized = partial(contract.moved, std=0.4)


@contract.over("sequence")
def test_contract(entry, promise):
    torch.set_default_dtype(torch.float32)
    promise(entry)


BACKBONES = {
    "wavenet": lambda width=8: WaveNet(width, n_layers=3, n_blocks=2),
    "lstm": lambda width=8: RecurrentBackbone(width, n_layers=2),
    "transformer": lambda width=8: Transformer(width, n_layers=2, n_heads=2),
}


def over(backbone, shape=(8,), levels=3, places=False, dropout=0.0, model=Autoregressive):
    """The law of tokens around a backbone, as the zoo builds it."""
    data = Levels(shape, levels)
    net = TokenNet(backbone, levels, data.dims, places, dropout)
    return model(net, LevelLaw(levels, data.dims, background=False), data)


def made(name, shape=(8,), levels=3, places=False, dropout=0.0):
    return randomized(over(BACKBONES[name](), shape, levels, places, dropout))


def of_length(model, length):
    """The same network and law for sequences of another length."""
    data = Levels((length,), model.data.levels)
    return Autoregressive(model.net, model.law, data).eval()


def steps_of(model, v):
    """Numbers of the network step by step, (B, T, levels)."""
    state, rows = None, []
    for t in range(v.shape[1]):
        out, state = model.net.step(t, v, state)
        rows.append(out)
    return torch.stack(rows, 1)


def after(prefix, length):
    """What `sample` gets to keep these first tokens."""
    known = F.pad(prefix, (0, length - len(prefix)))[None]
    return dict(known=known, mask=torch.arange(length) < len(prefix))


def every(levels, length):
    return torch.cartesian_prod(*[torch.arange(levels)] * length)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


each_backbone = pytest.mark.parametrize("name", BACKBONES)


# --- the chain rule -------------------------------------------------------------------------------


@each_backbone
def test_probabilities_of_all_256_binary_sequences_sum_to_one(name):
    log_p = made(name, (8,), 2).log_prob(every(2, 8))
    assert log_p.logsumexp(0).item() == pytest.approx(0, abs=1e-12)


@each_backbone
@pytest.mark.parametrize(("shape", "levels"), [((6,), 5), ((1, 2, 3), 17)])
def test_untrained_model_scores_log_levels_for_every_token_the_first_included(name, shape, levels):
    model = over(BACKBONES[name](), shape, levels)
    x = torch.randint(levels, (4, *shape))
    log_p = model.place_terms(x)
    assert log_p.shape == x.shape
    torch.testing.assert_close(log_p, torch.full_like(log_p, -math.log(levels)))
    loss = torch.full((4,), 6 * math.log(levels))
    torch.testing.assert_close(model.loss(x), loss)


@each_backbone
def test_jacobian_of_the_logits_is_strictly_triangular(name):
    net = made(name).net
    x = torch.randint(3, (1, 8))

    def logits(start):
        h = start + net.embed(torch.cat((torch.tensor([[3]]), x[:, :-1]), 1))
        return net.head(net.backbone(h))[0].sum(-1)

    jacobian = torch.autograd.functional.jacobian(logits, torch.zeros(1, 8, 8))[:, 0]
    seen = jacobian.abs().sum(-1) > 0  # (output t, input position s), which holds token s - 1
    assert torch.equal(seen, torch.ones(8, 8).tril().bool())


@each_backbone
@pytest.mark.parametrize("shape", [(8,), (1, 2, 4)])
def test_a_token_changes_only_the_predictions_after_it(name, shape):
    model = made(name, shape, places=True)
    x = torch.randint(3, (1, *shape))
    for s in range(8):
        other = x.clone().flatten(1)
        other[0, s] = (other[0, s] + 1) % 3
        change = (model(other.view_as(x)) - model(x)).abs().flatten(0, -2).sum(-1)
        assert (change[: s + 1] == 0).all()
        assert (change[s + 1 :] > 1e-9).all()


@each_backbone
def test_permuting_the_future_leaves_the_past_alone(name):
    model, x = made(name, (12,)), torch.randint(3, (5, 12))
    shuffled = torch.cat((x[:, :7], x[:, 7 + torch.randperm(5)]), 1)
    assert torch.equal(model(x)[:, :8], model(shuffled)[:, :8])
    assert not torch.equal(model(x)[:, 8:], model(shuffled)[:, 8:])


@each_backbone
def test_no_weight_knows_the_length(name):
    long, x = made(name, (40,)), torch.randint(3, (2, 40))
    short = made(name, (8,))
    short.load_state_dict(long.state_dict())
    torch.testing.assert_close(short.place_terms(x[:, :8]), long.place_terms(x)[:, :8])
    assert torch.equal(of_length(long, 8).log_prob(x[:, :8]), short.log_prob(x[:, :8]))


# --- cached = uncached ----------------------------------------------------------------------------


@each_backbone
@pytest.mark.parametrize("places", [False, True])
@pytest.mark.parametrize(("dtype", "near"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_stepwise_logits_are_those_of_the_full_pass_at_every_place(name, places, dtype, near):
    model, x = made(name, (40,), places=places).to(dtype), torch.randint(3, (5, 40))
    torch.testing.assert_close(steps_of(model, x), model.net(x), rtol=0, atol=near)


@each_backbone
@pytest.mark.parametrize("given", [0, 1, 5, 19])
def test_cached_and_uncached_sampling_draw_the_same(name, given):
    model, prefix = made(name, (20,)), torch.randint(3, (given,))
    draws = [
        model.sample(7, **after(prefix, 20), cached=cached, generator=generator())
        for cached in (True, False)
    ]
    assert torch.equal(*draws)
    assert torch.equal(draws[0][:, :given], prefix.expand(7, given))


def test_queue_forgets_exactly_what_is_outside_the_receptive_field():
    net = randomized(WaveNet(4, n_layers=3))
    h, state = torch.randn(1, 30, 4), None
    field = net.receptive_field
    for t in range(30):
        out, state = net.step(h[:, t], state)
    torch.testing.assert_close(out, net(h)[:, -1])
    changed = torch.cat((torch.randn(1, 30 - field, 4), h[:, -field:]), 1)
    torch.testing.assert_close(net(changed)[:, -1], out)
    assert sum(len(queue) for queue in state) == field - 1


@each_backbone
def test_sampling_ignores_dropout_and_leaves_the_mode_alone(name):
    model = made(name, dropout=0.5)
    calm = model.sample(20, generator=generator())
    assert torch.equal(model.train().sample(20, generator=generator()), calm)
    assert model.training


@each_backbone
def test_continuations_of_a_prefix_follow_the_conditional_law(name):
    model, prefix = made(name, (4,), 2), torch.tensor([1, 0])
    states = torch.cat((prefix.expand(4, 2), every(2, 2)), 1)
    expected = model.log_prob(states).softmax(0)
    drawn = model.sample(4000, **after(prefix, 4), generator=generator())
    counts = torch.bincount(drawn[:, 2] * 2 + drawn[:, 3], minlength=4)
    error = (expected * (1 - expected) / 4000).sqrt()
    assert ((counts / 4000 - expected).abs() < 4.5 * error).all()


@each_backbone
def test_greedy_takes_the_likeliest_token_every_time(name):
    model = made(name)
    x = torch.zeros(1, 8, dtype=torch.long)
    for t in range(8):
        x[0, t] = model(x)[0, t].argmax()
    assert torch.equal(model.sample(3, adjust=token_sampling.greedy), x.expand(3, 8))


def test_temperature_draws_from_the_power_of_each_conditional():
    model = made("lstm", (1,), 3)
    p = (2.0 * model(torch.zeros(1, 1, dtype=torch.long))[0, 0]).softmax(0)
    drawn = model.sample(20_000, temperature=0.5, generator=generator())
    share = torch.bincount(drawn[:, 0], minlength=3) / 20_000
    torch.testing.assert_close(share, p, rtol=0, atol=0.015)


def test_images_come_out_as_stored():
    model = made("wavenet", (1, 2, 3), 17)
    assert model.sample(2).dtype == torch.uint8
    assert model.sample(2).shape == (2, 1, 2, 3)


# --- WaveNet --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n_blocks", "field"), [(1, 1024), (2, 2047), (3, 3070)])
def test_receptive_field_of_blocks_of_ten_layers(n_blocks, field):
    assert receptive_field([2**i for i in range(10)] * n_blocks) == field == n_blocks * 1023 + 1
    net = randomized(WaveNet(4, 10, n_blocks), std=0.1)
    with torch.no_grad():  # no unit of the last layers shall be asleep
        net.blocks[0].skip.bias.add_(10.0)
        net.out.bias.add_(10.0)
    h = torch.randn(1, field + 5, 4, requires_grad=True)
    (gradient,) = torch.autograd.grad(net(h)[0, -1].sum(), h)
    reached = gradient[0].abs().sum(-1).nonzero()[:, 0]
    assert reached.tolist() == list(range(5, field + 5))


@pytest.mark.parametrize(("dilations", "k", "field"), [([1], 2, 2), ([1, 2, 4], 3, 15), ([], 2, 1)])
def test_receptive_field_by_hand(dilations, k, field):
    assert receptive_field(dilations, k) == field


def test_dilations_may_be_given_and_reach_what_sums_of_them_reach():
    net = randomized(WaveNet(4, (1, 5, 2)), std=0.1)
    with torch.no_grad():
        net.blocks[0].skip.bias.add_(10.0)
        net.out.bias.add_(10.0)
    h = torch.randn(1, 12, 4, requires_grad=True)
    (gradient,) = torch.autograd.grad(net(h)[0, -1].sum(), h)
    reached = {11 - int(t) for t in gradient[0].abs().sum(-1).nonzero()[:, 0]}
    assert reached == {a + b + c for a in (0, 1) for b in (0, 5) for c in (0, 2)}
    assert net.receptive_field == 9
    torch.manual_seed(0)
    doubling = WaveNet(4, 3, n_blocks=2)
    torch.manual_seed(0)
    assert torch.equal(WaveNet(4, (1, 2, 4), n_blocks=2)(h), doubling(h))


def test_wavenet_of_pixels_starts_at_the_histogram_of_every_place():
    torch.set_default_dtype(torch.float32)
    data = Levels((1, 2, 3), 4)
    model, x = zoo.get("pixel_wavenet").build(data, width=8), torch.randint(4, (200, 1, 2, 3))
    model.start_from(x)
    shares = data.frequencies(x).flatten(0, -2).log()  # (6, 4)
    by_hand = shares.gather(1, x.flatten(1).T).sum(0)
    assert torch.allclose(model.log_prob(x), by_hand, atol=1e-4)
    assert model.net.backbone.receptive_field == 16


@pytest.mark.parametrize("dilation", [1, 3, 16])
def test_block_is_a_dilated_convolution_padded_on_the_left(dilation):
    block, h = randomized(GatedResidualBlock(4, dilation)), torch.randn(2, 10, 4)
    kernel = torch.stack(block.taps.weight.chunk(2, dim=1), -1)  # (out, in, tap)
    padded = F.pad(h.mT, (dilation, 0))
    f, g = F.conv1d(padded, kernel, block.taps.bias, dilation=dilation).chunk(2, 1)
    z = (f.tanh() * g.sigmoid()).mT
    out, skip = block(h)
    torch.testing.assert_close(out, h + F.linear(z, block.residual.weight, block.residual.bias))
    torch.testing.assert_close(skip, F.linear(z, block.skip.weight, block.skip.bias))


def test_delay_moves_into_the_future():
    h = torch.arange(1.0, 6.0).view(1, 5, 1)
    assert delayed(h, 2).flatten().tolist() == [0, 0, 1, 2, 3]
    assert delayed(h, 9).flatten().tolist() == [0] * 5


# --- LSTM -----------------------------------------------------------------------------------------


def test_lstm_is_its_equations():
    net, h = randomized(RecurrentBackbone(3)), torch.randn(2, 6, 3)
    c = hidden = torch.zeros(2, 3)
    cells = net.cells
    for t in range(6):
        gates = F.linear(h[:, t], cells.weight_ih_l0, cells.bias_ih_l0)
        gates = gates + F.linear(hidden, cells.weight_hh_l0, cells.bias_hh_l0)
        i, f, g, o = gates.chunk(4, 1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        hidden = o.sigmoid() * c.tanh()
        torch.testing.assert_close(net(h)[:, t], hidden)


def test_forget_gate_starts_open():
    cells = RecurrentBackbone(5, 2).cells
    for k in range(2):
        assert (getattr(cells, f"bias_ih_l{k}")[5:10] == 1).all()


# --- Transformer ----------------------------------------------------------------------------------


def test_rotary_is_a_rotation_of_complex_pairs():
    h = torch.randn(2, 7, 6)
    frequency = 10_000.0 ** (-torch.arange(3) / 3)
    angle = torch.arange(4, 11)[:, None] * frequency
    turned = torch.complex(h[..., :3], h[..., 3:]) * torch.polar(torch.ones_like(angle), angle)
    expected = torch.cat((turned.real, turned.imag), -1)
    torch.testing.assert_close(rotary(h, first=4), expected)


def test_product_of_rotated_query_and_key_depends_on_their_distance_alone():
    q, k = torch.randn(2, 1, 8)
    products = [(rotary(q, first=s + 5) * rotary(k, first=s)).sum().item() for s in (0, 1, 17, 300)]
    assert products == pytest.approx([products[0]] * 4, abs=1e-10)
    assert (rotary(q, first=6) * rotary(k)).sum().item() != pytest.approx(products[0], abs=1e-3)


def test_attention_is_the_softmax_average_of_values():
    layer, h = randomized(CausalAttention(8, 2)), torch.randn(3, 6, 8)
    weights = layer.weights(h)  # (3, 2, 6, 6)
    torch.testing.assert_close(weights.sum(-1), torch.ones(3, 2, 6))
    assert (weights.triu(1) == 0).all()
    read = weights @ layer.heads(h)[2]
    expected = layer.out(read.transpose(1, 2).reshape(3, 6, 8))
    torch.testing.assert_close(layer(h), expected)


def test_attention_at_position_zero_is_torch_multihead_attention():
    """One position has angle zero, and so no rotation: the law of nn.MultiheadAttention."""
    layer, reference = randomized(CausalAttention(8, 2)), nn.MultiheadAttention(8, 2)
    with torch.no_grad():
        reference.in_proj_weight.copy_(layer.qkv.weight)
        reference.in_proj_bias.copy_(layer.qkv.bias)
        reference.out_proj.weight.copy_(layer.out.weight)
        reference.out_proj.bias.copy_(layer.out.bias)
    h = torch.randn(1, 5, 8)
    torch.testing.assert_close(
        layer(h.transpose(0, 1))[:, 0], reference(h[0:1], h[0:1], h[0:1])[0][0]
    )


# --- which tokens may be drawn --------------------------------------------------------------------


@pytest.mark.parametrize("top_k", [1, 3, 7, 99])
def test_top_k_keeps_the_k_likeliest_and_their_ratios(top_k):
    logits = torch.randn(4, 5, 7)
    kept = token_sampling.keep_top_k(logits, top_k)
    assert (kept.isfinite().sum(-1) == min(top_k, 7)).all()
    assert torch.equal(kept[kept.isfinite()], logits[kept.isfinite()])
    lowest = kept.masked_fill(~kept.isfinite(), math.inf).amin(-1)
    highest = logits.masked_fill(kept.isfinite(), -math.inf).amax(-1)
    assert (lowest >= highest).all()


@pytest.mark.parametrize("top_p", [1e-6, 0.3, 0.9, 1.0])
def test_nucleus_is_the_smallest_set_with_its_mass(top_p):
    p = torch.randn(50, 6).softmax(-1)
    kept = token_sampling.keep_nucleus(p.log(), top_p).isfinite()
    for row, mask in zip(p, kept, strict=True):
        assert row[mask].sum() >= top_p - 1e-12
        sizes = [
            n
            for n in range(1, 7)
            if any(row[list(c)].sum() >= top_p - 1e-12 for c in itertools.combinations(range(6), n))
        ]
        assert mask.sum() == sizes[0]


def test_nucleus_of_one_rules_nothing_out():
    logits = 30 * torch.randn(20, 96)
    assert torch.equal(token_sampling.keep_nucleus(logits.float(), 1.0), logits.float())


def test_equal_logits_are_cut_to_the_right_number():
    assert token_sampling.keep_top_k(torch.zeros(5), 2).isfinite().sum() == 2
    assert token_sampling.keep_nucleus(torch.zeros(5), 0.4).isfinite().sum() == 2
    assert token_sampling.greedy(torch.zeros(5)).exp().tolist() == [1, 0, 0, 0, 0]


@each_backbone
@pytest.mark.parametrize("cut", ["top_k", "nucleus"])
def test_a_cut_is_made_after_the_temperature(name, cut):
    """Temperature first: at 0.5 the nucleus of 0.8 is smaller than at 1."""
    model = made(name, (1,), 5)
    log_p = model(torch.zeros(1, 1, dtype=torch.long))[0, 0]
    if cut == "top_k":
        adjust = partial(token_sampling.keep_top_k, top_k=3)
    else:
        adjust = partial(token_sampling.keep_nucleus, top_p=0.8)
    drawn = model.sample(9000, temperature=0.5, adjust=adjust, generator=generator())[:, 0]
    share, p = torch.bincount(drawn, minlength=5) / 9000, adjust(2 * log_p).softmax(0)
    assert ((share - p).abs() < 4.5 * (p * (1 - p) / 9000).sqrt() + 1e-9).all()


def test_small_temperatures_approach_greedy():
    model = made("lstm")
    cold = model.sample(3, temperature=1e-4, generator=generator())
    assert torch.equal(cold, model.sample(3, adjust=token_sampling.greedy))


def test_sampling_with_a_cut_never_draws_what_is_ruled_out():
    model = made("transformer", (6,), 5)
    drawn = model.sample(200, adjust=lambda h: token_sampling.keep_top_k(h, 2))
    log_p = model(drawn)
    rank = (log_p > log_p.gather(-1, drawn[..., None])).sum(-1)
    assert rank.max() == 1


# --- planted faults: what each check catches ------------------------------------------------------


def leaks(model, x):
    """Does the prediction of a token change with the token itself?"""
    other = x.clone()
    other[:, 4] = (other[:, 4] + 1) % model.data.levels
    return not torch.equal(model(x)[:, :5], model(other)[:, :5])


@each_backbone
def test_a_missing_shift_is_a_leak_and_does_not_sum_to_one(name):
    model, x = made(name, (4,), 3), torch.randint(3, (3, 4))
    net = model.net
    net.forward = lambda v: net.head(net.backbone(net.embed(v)))
    assert abs(model.log_prob(every(3, 4)).exp().sum() - 1) > 1e-3
    other = x.clone()
    other[:, 0] = (other[:, 0] + 1) % 3
    assert not torch.equal(model(x)[:, 0], model(other)[:, 0])


def test_padding_on_the_wrong_side_is_a_leak(monkeypatch):
    model, x = made("wavenet", (8,)), torch.randint(3, (3, 8))
    assert not leaks(model, x)
    early = lambda h, by: torch.cat((h[:, by:], torch.zeros_like(h[:, :by])), 1)  # noqa: E731
    monkeypatch.setattr("dgm.nets.wavenet.delayed", early)
    assert leaks(model, x)


def test_a_rotation_off_by_one_in_the_cache_is_noticed(monkeypatch):
    model, x = made("transformer", (6,)), torch.randint(3, (3, 6))
    monkeypatch.setattr(
        "dgm.nets.transformer.rotary",
        lambda h, first=0: rotary(h, max(0, first - 1)),
    )
    assert (steps_of(model, x) - model.net(x)).abs().max() > 1e-3


def test_a_queue_one_too_short_is_noticed():
    net, h = randomized(WaveNet(4, 3)), torch.randn(2, 12, 4)
    state = [[torch.zeros(2, 4)] * max(1, block.dilation - 1) for block in net.blocks]
    outs = []
    for t in range(12):
        out, state = net.step(h[:, t], state)
        outs.append(out)
    assert (torch.stack(outs, 1) - net(h)).abs().max() > 1e-3


class FirstTokenFree(Autoregressive):
    """Wrong on purpose: the first token is not paid for."""

    def log_prob(self, x):
        return self.place_terms(x)[:, 1:].sum(1)


def test_an_unmodelled_first_token_is_caught_by_the_audit():
    model = over(RecurrentBackbone(8), (4,), model=FirstTokenFree)
    report = audit(model, torch.randint(3, (16, 4)))
    assert report["sums or integrates to one"].verdict == "FAIL"


# --- bad input ------------------------------------------------------------------------------------


@each_backbone
def test_bad_sequences_are_refused_by_name(name):
    model = made(name)
    good = torch.randint(3, (2, 8))
    bad = (good + 3, good - 3, good[:0], good[:, :0], torch.cat((good, good), 1), good.double())
    for wrong in (*bad, good > 1, good[0], good[None]):
        with pytest.raises(ValueError, match=r"\bx\b"):
            model.log_prob(wrong)


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"temperature": 0.0}, "temperature"),
        ({"temperature": -1.0}, "temperature"),
        ({"temperature": math.inf}, "temperature"),
        ({"known": torch.zeros(1, 8, dtype=torch.long)}, "mask"),
        ({"mask": torch.ones(8, dtype=torch.bool)}, "known"),
        (after(torch.zeros(9, dtype=torch.long), 9), "known"),
        (after(torch.full((2,), 3), 8), "known"),
        (after(torch.full((2,), -1), 8), "known"),
        (after(torch.zeros(2), 8), "known"),
        ({**after(torch.zeros(2).long(), 8), "mask": torch.ones(8)}, "mask"),
        ({"known": torch.zeros(3, 8).long(), "mask": torch.ones(8).bool()}, "known"),
    ],
)
def test_bad_options_of_sample_are_refused_by_name(options, name):
    with pytest.raises(ValueError, match=rf"\b{name}\b"):
        made("lstm").sample(2, **options)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: made("lstm").sample(-1), "n"),
        (lambda: TokenNet(RecurrentBackbone(8), 1, 4), "levels"),
        (lambda: TokenNet(RecurrentBackbone(8), 2, 0), "size"),
        (lambda: WaveNet(8, 0), "n_layers"),
        (lambda: WaveNet(8, (1, 0)), "dilation"),
        (lambda: WaveNet(8, ()), "n_layers"),
        (lambda: WaveNet(0, 3), "width"),
        (lambda: RecurrentBackbone(8, 0), "n_layers"),
        (lambda: Transformer(8, 0, 2), "n_layers"),
        (lambda: Transformer(10, 2, 4), "width"),
        (lambda: CausalAttention(8, 0), "n_heads"),
        (lambda: token_sampling.keep_top_k(torch.zeros(2), 0), "top_k"),
        (lambda: token_sampling.keep_top_k(torch.zeros(2), 1.5), "top_k"),
        (lambda: token_sampling.keep_nucleus(torch.zeros(2), 0.0), "top_p"),
        (lambda: token_sampling.keep_nucleus(torch.zeros(2), 1.1), "top_p"),
        (lambda: token_sampling.keep_nucleus(torch.zeros(2), math.nan), "top_p"),
    ],
)
def test_bad_arguments_are_refused_by_name(make, name):
    with pytest.raises(ValueError, match=rf"\b{name}\b"):
        make()


# --- long sequences, and pictures -----------------------------------------------------------------


@each_backbone
@pytest.mark.parametrize("length", [3, 8, 9, 30])
def test_a_stream_is_scored_once_token_by_token_with_enough_before_it(name, length):
    model, stream = made(name, (8,)), torch.randint(3, (length,))
    found = stream_log_prob(model, stream, keep=5)
    assert found.shape == (length,)
    for t in range(length):
        begin = 0 if t < 8 else 3 * ((t - 8) // 3 + 1)
        window = stream[None, begin : t + 1]
        assert t < 8 or window.shape[1] > 5
        alone = of_length(model, window.shape[1]).place_terms(window)[0, -1]
        torch.testing.assert_close(found[t], alone)


def test_written_text_goes_on_after_its_prompt():
    model, prompt = made("transformer", (8,)), torch.tensor([1, 2, 0])
    first, again = (write(model, prompt, 30, 5, generator=generator()) for _ in range(2))
    assert len(first) == 30
    assert torch.equal(first, again)
    assert torch.equal(first[:3], prompt)
    greedy = write(model, prompt, 20, 5, adjust=token_sampling.greedy)
    assert (
        greedy[8] == of_length(model, 6)(torch.cat((greedy[3:8], prompt[:1]))[None])[0, 5].argmax()
    )


def test_bad_streams_are_refused_by_name():
    model, stream = made("lstm"), torch.zeros(20, dtype=torch.long)
    for keep in (0, 8):
        with pytest.raises(ValueError, match="keep"):
            stream_log_prob(model, stream, keep)
        with pytest.raises(ValueError, match="keep"):
            write(model, stream, 30, keep)
    for wrong in (stream[None], stream[:0]):
        with pytest.raises(ValueError, match="stream"):
            stream_log_prob(model, wrong, 3)


@each_backbone
def test_influence_is_the_jacobian_and_triangular(name):
    model, x = made(name, (2, 2, 2), places=True), torch.randint(3, (1, 2, 2, 2))
    found, net = influence(model, x), model.net
    assert torch.equal(found > 0, torch.ones(8, 8).tril().bool())
    direction = torch.randn(3, generator=generator())
    h = net.embed(torch.cat((torch.tensor([[3]]), x.flatten(1)[:, :-1]), 1))
    log_p = lambda h: net.head(net.backbone(h + net.places.weight)).log_softmax(-1)  # noqa: E731
    jacobian = torch.autograd.functional.jacobian(lambda h: (log_p(h) @ direction)[0], h)
    torch.testing.assert_close(found, jacobian[:, 0].norm(dim=-1))


# --- counts of what followed ----------------------------------------------------------------------


@pytest.mark.parametrize("order", [0, 1, 3])
def test_counts_are_a_law_of_sequences_that_sums_to_one(order):
    total = sum(ContextCounts(2, order).read(x).sum().exp() for x in every(2, 6))
    assert total.item() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("order", [0, 2, 5])
def test_masses_of_the_next_token_sum_to_one_and_read_tells_them(order):
    counts, tokens = ContextCounts(4, order, discount=0.6), torch.randint(4, (300,)) // 2
    for token in tokens:
        table = counts.table()
        assert table.min() > 0
        assert table.sum().item() == pytest.approx(1, abs=1e-12)
        assert counts.read(token[None]).exp().item() == pytest.approx(table[token].item())


def test_counts_of_two_tokens_by_hand():
    """abab|?: after b came a (1 of 1); alone, a was new once and b once, twice each is not counted.

    Counts: a {b: 2}, b {a: 1}, alone {a: 2 (start, after b), b: 1 (after a)}.
    """
    counts = ContextCounts(3, order=1, discount=0.5)
    counts.read(torch.tensor([0, 1, 0, 1]))
    alone = torch.tensor([1.5, 0.5, 0]) / 3 + 0.5 * 2 / 3 * torch.full((3,), 1 / 3)
    after_b = torch.tensor([0.5, 0, 0]) + 0.5 * alone
    torch.testing.assert_close(counts.table(), after_b)


def test_counts_come_to_the_law_of_a_markov_chain():
    chain = torch.tensor([[0.8, 0.2, 0.0], [0.0, 0.5, 0.5], [0.6, 0.0, 0.4]])
    x, u = [0], torch.rand(20_000)
    for t in range(1, 20_000):
        x.append(int((chain[x[-1]].cumsum(0) < u[t]).sum()))
    counts = ContextCounts(3, order=1)
    log_p = counts.read(torch.tensor(x))
    for v in range(3):
        counts.past = [v]
        torch.testing.assert_close(counts.table(), chain[v], rtol=0, atol=0.02)
    law = torch.linalg.matrix_power(chain, 99)[0]
    rate = (law * torch.special.entr(chain).sum(1)).sum()
    assert -log_p[10_000:].mean().item() == pytest.approx(rate.item(), abs=0.03)


@pytest.mark.parametrize(
    ("options", "name"),
    [(dict(order=-1), "order"), (dict(discount=1.0), "discount"), (dict(levels=0), "levels")],
)
def test_bad_counts_are_refused_by_name(options, name):
    with pytest.raises(ValueError, match=rf"\b{name}\b"):
        ContextCounts(**{"levels": 3, "order": 2, **options})
    for wrong in (torch.tensor([3]), torch.tensor([-1]), torch.ones(2), torch.zeros(1, 2).long()):
        with pytest.raises(ValueError, match="tokens"):
            ContextCounts(3, 2).read(wrong)


# --- a sound with a long memory -------------------------------------------------------------------


def test_echo_sums_to_one_and_has_its_entropy():
    law, x = QuantisedEcho(6, 4, 0.8, 0.1, 0.8, delay=3, echo=0.8), every(4, 6)
    log_p = law.log_prob(x)
    assert log_p.exp().sum().item() == pytest.approx(1, abs=1e-12)
    assert -(log_p.exp() * log_p).sum().item() == pytest.approx(law.entropy(), abs=1e-9)
    torch.testing.assert_close(law.place_log_prob(x).sum(1), log_p)
    for t in range(1, 7):  # every value brings the same, whatever came before
        seen = law.place_log_prob(x)[:, :t].sum(1).exp()
        p = torch.zeros(4**t).index_add(0, (x[:, :t] * 4 ** torch.arange(t)).sum(1), log_p.exp())
        torch.testing.assert_close(p[(x[:, :t] * 4 ** torch.arange(t)).sum(1)], seen)


def test_draws_of_the_echo_follow_its_law():
    law = QuantisedEcho(5, 3, 0.8, 0.1, 0.8, delay=3, echo=0.7)
    drawn, x = law.sample(50_000, generator()), every(3, 5)
    code = (drawn * 3 ** torch.arange(4, -1, -1)).sum(1)
    share, p = torch.bincount(code, minlength=243) / 50_000, law.log_prob(x).exp()
    assert ((share - p).abs() < 5 * (p * (1 - p) / 50_000).sqrt() + 1e-4).all()


def test_echo_comes_back_after_its_delay_through_the_resonator():
    """The residual of the resonator is white but for its copy one delay ago, of known size."""
    law = QuantisedEcho(400, 64, 0.8, 0.1, 1.5, delay=100, echo=0.8)
    w = (law.sample(3000, generator()) - 32).double()
    u = w[:, 2:] - law.weights[1] * w[:, 1:-1] - law.weights[2] * w[:, :-2]
    late = u[:, 250:298]
    size = (late**2).mean()
    for lag in (1, 2, 3, 50, 99, 101):
        assert abs((late * u[:, 250 - lag : 298 - lag]).mean() / size) < 0.02, lag
    before = u[:, 150:198]
    slope = (late * before).mean() / (before**2).mean()
    assert slope.item() == pytest.approx(0.8, abs=0.02)
    noise = law.log_noise.exp() @ (torch.arange(64).double() - 32) ** 2
    fresh = (noise + 1 / 12).item()  # of a puff, and of rounding its mean to whole levels
    assert (u[:, :90] ** 2).mean().item() == pytest.approx(fresh, rel=0.03)
    assert size.item() == pytest.approx((1 + 0.8**2 + 0.8**4) * fresh, rel=0.05)


@pytest.mark.parametrize(
    ("options", "name"),
    [(dict(delay=2), "delay"), (dict(echo=1.0), "echo"), (dict(noise=0.0), "noise")],
)
def test_bad_echoes_are_refused_by_name(options, name):
    sizes = dict(length=9, levels=8, radius=0.8, frequency=0.1, noise=1.0, delay=4, echo=0.5)
    with pytest.raises(ValueError, match=rf"\b{name}\b"):
        QuantisedEcho(**sizes | options)
    with pytest.raises(ValueError, match=r"\bx\b"):
        QuantisedEcho(**sizes).log_prob(torch.full((2, 9), 8))


def test_recipe_for_a_gpu_takes_a_step_at_its_own_size():
    torch.set_default_dtype(torch.float32)
    entry, kind = zoo.get("transformer"), Levels((1, 28, 28), 256)
    recipe = entry.recipes["mnist"]
    assert recipe.scale == "gpu"
    model = entry.build(kind, **recipe.sizes)
    x = torch.randint(256, (1, 1, 28, 28), dtype=torch.uint8)
    few = SimpleNamespace(train=x, val=x)
    settings = dict(steps=1, batch_size=1, eval_every=1, warmup=0, average=0.0)
    fitted = recipe.train(model, few, seed=0, **recipe.fit | settings)
    assert fitted.best_val < 784 * math.log(256) - 1  # what it cost untrained, less what it learned


def test_text_recipe_trains_on_longer_windows_than_it_is_scored_on():
    torch.set_default_dtype(torch.float32)
    model = zoo.get("wavenet").build(Levels((6,), 3), width=8, n_layers=2)
    x = (torch.arange(600).view(100, 6) // 2) % 3  # 001122001122...
    few = SimpleNamespace(train=x, val=x[:9])
    settings = dict(steps=60, batch_size=8, lr=2e-2, eval_every=20, progress=False)
    fitted = train_text(model, few, seed=0, length=12, **settings)
    assert fitted.best_val == pytest.approx(model.loss(x[:9]).mean().item(), abs=1e-3)
    assert fitted.best_val < 3  # 6 log 3 = 6.6


def test_pictures_of_tokens_check_what_they_are_given():
    assert len(tokens.characters("ab\nc", torch.ones(4)).axes[0].texts) == 4
    assert tokens.attention(torch.eye(3), "abc").axes
    with pytest.raises(ValueError, match="bits"):
        tokens.characters("abc", torch.ones(4))
    with pytest.raises(ValueError, match="weights"):
        tokens.attention(torch.eye(4), "abc")
    plt.close("all")
