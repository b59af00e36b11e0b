"""Sequence models: causal, normalised, cached = uncached, and each layer against a reference."""

import itertools
import math
from functools import partial

import contract
import pytest
import torch
import torch.nn.functional as F
from matplotlib import pyplot as plt
from torch import nn

from dgm.audit import audit
from dgm.autoregressive import token_sampling
from dgm.autoregressive.influence import influence
from dgm.autoregressive.lstm import RecurrentBackbone
from dgm.autoregressive.token_model import TokenModel
from dgm.autoregressive.transformer import CausalAttention, Transformer, rotary
from dgm.autoregressive.wavenet import GatedResidualBlock, WaveNet, delayed, receptive_field
from dgm.plot import tokens

pytestmark = pytest.mark.usefixtures("float64")
randomized = partial(contract.moved, std=0.4)


@contract.over("autoregressive", chapter="12")
def test_contract(entry, promise):
    torch.set_default_dtype(torch.float32)
    promise(entry)


BACKBONES = {
    "wavenet": lambda width=8: WaveNet(width, n_layers=3, n_blocks=2),
    "lstm": lambda width=8: RecurrentBackbone(width, n_layers=2),
    "transformer": lambda width=8: Transformer(width, n_layers=2, n_heads=2),
}


def made(name, shape=(8,), levels=3, places=False, dropout=0.0):
    return randomized(TokenModel(BACKBONES[name](), shape, levels, places, dropout))


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
def test_a_shorter_sequence_has_the_mass_of_all_that_begin_with_it(name):
    model, states = made(name, (4,), 3), every(3, 4)
    whole = model.log_prob(states).exp().view(9, 9).sum(1)
    torch.testing.assert_close(model.log_prob(every(3, 2)).exp(), whole)


@each_backbone
@pytest.mark.parametrize(("shape", "levels"), [((6,), 5), ((1, 2, 3), 17)])
def test_untrained_model_scores_log_levels_for_every_token_the_first_included(name, shape, levels):
    model = TokenModel(BACKBONES[name](), shape, levels)
    x = torch.randint(levels, (4, *shape))
    log_p = model.token_log_prob(x)
    assert log_p.shape == x.shape
    torch.testing.assert_close(log_p, torch.full_like(log_p, -math.log(levels)))
    loss = torch.full((4,), 6 * math.log(levels))
    torch.testing.assert_close(model.loss(x), loss)


@each_backbone
def test_jacobian_of_the_logits_is_strictly_triangular(name):
    model = made(name)
    x = torch.randint(3, (1, 8))

    def logits(start):
        h = start + model.embedding(torch.cat((torch.tensor([[3]]), x[:, :-1]), 1))
        return model.head(model.backbone(h))[0].sum(-1)

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
    short, long = made(name, (8,)), made(name, (40,))
    long.load_state_dict(short.state_dict())
    x = torch.randint(3, (2, 8))
    assert torch.equal(short.log_prob(x), long.log_prob(x))


# --- cached = uncached ----------------------------------------------------------------------------


@each_backbone
@pytest.mark.parametrize("places", [False, True])
@pytest.mark.parametrize(("dtype", "near"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_stepwise_logits_are_those_of_the_full_pass_at_every_place(name, places, dtype, near):
    model = made(name, (40,), places=places).to(dtype)
    x, state, token, steps = torch.randint(3, (5, 40)), None, None, []
    for t in range(40):
        logits, state = model.step(token, t, state, n=5)
        token = x[:, t]
        steps.append(logits)
    torch.testing.assert_close(torch.stack(steps, 1), model(x), rtol=0, atol=near)


@each_backbone
@pytest.mark.parametrize("given", [0, 1, 5, 19])
def test_cached_and_uncached_sampling_draw_the_same(name, given):
    model, prefix = made(name, (20,)), torch.randint(3, (given,))
    draws = [
        model.sample(7, prefix=prefix, cached=cached, generator=generator())
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
    drawn = model.sample(4000, prefix=prefix, generator=generator())
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


def test_small_temperatures_approach_greedy():
    logits = torch.randn(9, 5)
    cold = token_sampling.with_temperature(logits, 1e-4).softmax(-1)
    torch.testing.assert_close(cold, token_sampling.greedy(logits).exp())


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
    other[:, 4] = (other[:, 4] + 1) % model.levels
    return not torch.equal(model(x)[:, :5], model(other)[:, :5])


@each_backbone
def test_a_missing_shift_is_a_leak_and_does_not_sum_to_one(name):
    model, x = made(name, (4,), 3), torch.randint(3, (3, 4))
    model.features = lambda known: model.backbone(model.embedding(torch.cat((known, x0), 1)))
    x0 = x[:, -1:]
    other = x.clone()
    other[:, 0] = (other[:, 0] + 1) % 3
    assert not torch.equal(model(x)[:, 0], model(other)[:, 0])


def test_padding_on_the_wrong_side_is_a_leak(monkeypatch):
    model, x = made("wavenet", (8,)), torch.randint(3, (3, 8))
    assert not leaks(model, x)
    early = lambda h, by: torch.cat((h[:, by:], torch.zeros_like(h[:, :by])), 1)  # noqa: E731
    monkeypatch.setattr("dgm.autoregressive.wavenet.delayed", early)
    assert leaks(model, x)


def test_a_rotation_off_by_one_in_the_cache_is_noticed(monkeypatch):
    model, x = made("transformer", (6,)), torch.randint(3, (3, 6))
    monkeypatch.setattr(
        "dgm.autoregressive.transformer.rotary",
        lambda h, first=0: rotary(h, max(0, first - 1)),
    )
    state, token, steps = None, None, []
    for t in range(6):
        logits, state = model.step(token, t, state, n=3)
        token = x[:, t]
        steps.append(logits)
    assert (torch.stack(steps, 1) - model(x)).abs().max() > 1e-3


def test_a_queue_one_too_short_is_noticed():
    net, h = randomized(WaveNet(4, 3)), torch.randn(2, 12, 4)
    state = [[torch.zeros(2, 4)] * max(1, block.dilation - 1) for block in net.blocks]
    outs = []
    for t in range(12):
        out, state = net.step(h[:, t], state)
        outs.append(out)
    assert (torch.stack(outs, 1) - net(h)).abs().max() > 1e-3


class FirstTokenFree(TokenModel):
    """Wrong on purpose: the first token is not paid for."""

    def log_prob(self, x):
        return self.token_log_prob(x)[:, 1:].sum(1)


def test_an_unmodelled_first_token_is_caught_by_the_audit():
    model = FirstTokenFree(RecurrentBackbone(8), (4,), 3)
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
        ({"prefix": torch.zeros(8, dtype=torch.long)}, "prefix"),
        ({"prefix": torch.zeros(30, dtype=torch.long)}, "prefix"),
        ({"prefix": torch.zeros(3, 2, dtype=torch.long)}, "prefix"),
        ({"prefix": torch.full((2,), 3)}, "prefix"),
        ({"prefix": torch.full((2,), -1)}, "prefix"),
        ({"prefix": torch.zeros(2)}, "prefix"),
    ],
)
def test_bad_options_of_sample_are_refused_by_name(options, name):
    with pytest.raises(ValueError, match=rf"\b{name}\b"):
        made("lstm").sample(2, **options)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: made("lstm").sample(0), "n"),
        (lambda: TokenModel(RecurrentBackbone(8), (4,), 1), "levels"),
        (lambda: TokenModel(RecurrentBackbone(8), (0,), 2), "shape"),
        (lambda: WaveNet(8, 0), "n_layers"),
        (lambda: WaveNet(0, 3), "width"),
        (lambda: RecurrentBackbone(8, 0), "n_layers"),
        (lambda: Transformer(8, 0, 2), "n_layers"),
        (lambda: Transformer(10, 2, 4), "width"),
        (lambda: CausalAttention(8, 0), "n_heads"),
        (lambda: token_sampling.with_temperature(torch.zeros(2), 0.0), "temperature"),
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
    found = model.stream_log_prob(stream, keep=5)
    assert found.shape == (length,)
    for t in range(length):
        begin = 0 if t < 8 else 3 * ((t - 8) // 3 + 1)
        window = stream[None, begin : t + 1]
        assert t < 8 or window.shape[1] > 5
        torch.testing.assert_close(found[t], model.token_log_prob(window)[0, -1])


def test_written_text_goes_on_after_its_prompt():
    model, prompt = made("transformer", (8,)), torch.tensor([1, 2, 0])
    first, again = (model.write(prompt, 30, 5, generator=generator()) for _ in range(2))
    assert len(first) == 30
    assert torch.equal(first, again)
    assert torch.equal(first[:3], prompt)
    greedy = model.write(prompt, 20, 5, adjust=token_sampling.greedy)
    assert greedy[8] == model(torch.cat((greedy[3:8], prompt[:1]))[None])[0, 5].argmax()


def test_bad_streams_are_refused_by_name():
    model, stream = made("lstm"), torch.zeros(20, dtype=torch.long)
    for keep in (0, 8):
        with pytest.raises(ValueError, match="keep"):
            model.stream_log_prob(stream, keep)
        with pytest.raises(ValueError, match="keep"):
            model.write(stream, 30, keep)
    with pytest.raises(ValueError, match="stream"):
        model.stream_log_prob(stream[None], 3)


@each_backbone
def test_influence_is_the_jacobian_and_triangular(name):
    model, x = made(name, (2, 2, 2), places=True), torch.randint(3, (1, 2, 2, 2))
    found = influence(model, x)
    assert torch.equal(found > 0, torch.ones(8, 8).tril().bool())
    direction = torch.randn(3, generator=generator())
    h = model.embedding(torch.cat((torch.tensor([[3]]), x.flatten(1)[:, :-1]), 1))
    jacobian = torch.autograd.functional.jacobian(
        lambda h: (model.head(model.backbone(h + model.places.weight)) @ direction)[0], h
    )
    torch.testing.assert_close(found, jacobian[:, 0].norm(dim=-1))


def test_pictures_of_tokens_check_what_they_are_given():
    assert len(tokens.characters("ab\nc", torch.ones(4)).axes[0].texts) == 4
    assert tokens.attention(torch.eye(3), "abc").axes
    assert tokens.dilation_tree(3, 8).axes[0].get_ylim()[1] == pytest.approx(3.4)
    with pytest.raises(ValueError, match="bits"):
        tokens.characters("abc", torch.ones(4))
    with pytest.raises(ValueError, match="weights"):
        tokens.attention(torch.eye(4), "abc")
    plt.close("all")
