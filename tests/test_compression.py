"""Compression: the contract of the integer flow, tables, stacks, codecs of every family, files."""

import copy
import io
import json
import math
import random
import subprocess
import sys
import zlib
from itertools import product

import contract
import numpy as np
import pytest
import torch
from PIL import Image
from planted_compression import FAULTS
from planting import property_tests
from torch import nn
from torch.nn.functional import one_hot

from dgm import zoo
from dgm.compression import container
from dgm.compression.bit_meter import BitMeter
from dgm.compression.bit_stack import BitStack
from dgm.compression.bit_swap import BitSwap
from dgm.compression.bits_back import BitsBack, pixel_table
from dgm.compression.buckets import Buckets
from dgm.compression.chain_codec import ChainCodec
from dgm.compression.container import Container, data_digest, model_digest
from dgm.compression.flow_codec import FlowCodec
from dgm.compression.integer_flow import IntegerFlow, LeavingStage
from dgm.compression.integer_table import IntegerTable
from dgm.compression.mixture_codec import MixtureCodec
from dgm.compression.order_codec import OrderCodec
from dgm.compression.rans import Rans
from dgm.compression.rounded_coupling import RoundedCoupling
from dgm.compression.top_down_codec import TopDownCodec
from dgm.distribution.likelihood import BernoulliLikelihood
from dgm.distribution.support import Levels
from dgm.zoo import codecs, packing
from dgm.zoo.compression import leaving_order
from dgm.zoo.studies import bytes_on_disk, shifts_or_laws

CODED = ("made", "gated_pixelcnn", "vae", "bottom_up_vae", "resnet_vae", "absorbing_diffusion",
         "categorical_mixture", "discretized_mixture", "integer_flow")  # fmt: skip
LATENT = ("vae", "bottom_up_vae", "resnet_vae", "categorical_mixture", "discretized_mixture")


@contract.over("compression")
def test_contract(entry, promise):
    promise(entry)


def laws(n=200, k=7, spread=3.0):
    """Random log masses (n, k) in float64, and a symbol (n,) of each."""
    log_p = (spread * torch.randn(n, k)).double().log_softmax(1)
    return log_p, torch.multinomial(log_p.exp(), 1)[:, 0]


def filled(n_words=40):
    """A stack with random-looking bits to draw from."""
    stack = codecs.new_stack()
    stack.fill(n_words, "test")
    return stack


def small(name, n=9):
    """A small model of the zoo and n draws of it."""
    model = zoo.get(name).small()[0]
    return model, model.sample(n, generator=torch.Generator().manual_seed(1))


def calm(name, n):
    """A small model whose posteriors stay within the buckets, and n draws; a VAE's narrow."""
    entry = zoo.get(name)
    torch.manual_seed(0)
    model = contract.moved(entry.build(Levels((1, 4, 4), 5), **entry.tiny.sizes), 0.05)
    if name == "vae":
        model.encoder.net.last.bias.data[model.prior.shape[0] :] -= 3  # log variances
    return model, model.sample(n, generator=torch.Generator().manual_seed(1))


def plain_words(log_p, symbols):
    """The words of the plain stack after pushing these, the last one first."""
    plain, table = Rans(), IntegerTable()(log_p).tolist()
    for v, row in reversed(list(zip(symbols.tolist(), table, strict=True))):
        plain.push(v, row)
    return plain.words()


# --- properties, each of which a planted fault must break -----------------------------------------


def tables_sum_to_their_total_and_leave_nothing_out():
    for precision, k in product((8, 16, 24), (1, 2, 7, 100)):
        found = IntegerTable(precision)(laws(50, k)[0])
        assert (found.sum(1) == 2**precision).all()
        assert found.min() >= 1
    far = IntegerTable()(torch.tensor([[0.0, -1e4, -math.inf]]))
    assert far.tolist() == [[2**24 - 2, 1, 1]]


def tables_cost_next_to_nothing():
    log_p, _ = laws(500, 17)
    log_q = (IntegerTable()(log_p).double() / 2**24).log()
    excess = (log_p.exp() * (log_p - log_q)).sum(1)
    assert 0 <= excess.max() < 2e-6
    assert excess.mean() < 5e-7


def tables_do_not_feel_the_last_digits():
    """Of double precision they feel none; single precision they would."""
    log_p, _ = laws(2000, 17)
    table = IntegerTable()
    assert torch.equal(table(log_p + 1e-10 * torch.randn_like(log_p)), table(log_p))
    assert torch.equal(table(log_p + 7.0), table(log_p))  # nor a constant


def the_fast_stack_has_the_words_of_the_plain_one():
    for k in (2, 7, 1024):
        log_p, symbols = laws(300, k)
        stack = codecs.new_stack()
        stack.push(symbols, log_p)
        words = np.frombuffer(stack.to_bytes(), dtype="<u4").tolist()
        assert words == plain_words(log_p, symbols)


def what_is_pushed_comes_back_last_first():
    stack, pushed = filled(), []
    before = stack.to_bytes()
    for k in (2, 5, 300):
        log_p, symbols = laws(50, k)
        stack.push(symbols, log_p)
        pushed.append((log_p, symbols))
    stack = BitStack(IntegerTable(), stack.to_bytes())
    for log_p, symbols in reversed(pushed):
        assert torch.equal(stack.pop(log_p), symbols)
    assert stack.to_bytes() == before


def scrambling_undoes_itself_and_keeps_the_length():
    stack = filled(20)
    before = stack.to_bytes()
    stack.scramble("a", depth=5)
    after = stack.to_bytes()
    assert len(after) == len(before)
    assert after[: 4 * 14] == before[: 4 * 14]  # below the depth
    assert after[-4:] == before[-4:]  # the word on top
    assert all(after[4 * i : 4 * i + 4] != before[4 * i : 4 * i + 4] for i in range(14, 19))
    stack.scramble("b", depth=5)
    assert stack.to_bytes() != before
    stack.scramble("b", depth=5)
    stack.scramble("a", depth=5)
    assert stack.to_bytes() == before


def every_codec_gives_back_what_went_in():
    for name in CODED:
        model, x = small(name)
        codec, stack = codecs.codec_of(model), filled()
        before = stack.to_bytes()
        codec.encode(x, stack)
        assert stack.to_bytes() != before
        stack = codecs.new_stack(stack.to_bytes())
        found = codec.decode(len(x), stack)
        assert found.dtype == x.dtype
        assert torch.equal(found, x), name
        assert stack.to_bytes() == before, f"{name}: bits are missing, or too many"


def codes_are_as_long_as_the_model_says():
    """Sums over many draws: exact models to a thousandth, bounds to their noise."""
    for name in ("made", "integer_flow", "gated_pixelcnn"):
        model, x = small(name, 400)
        stack = filled()
        before = stack.bits
        codecs.codec_of(model).encode(x, stack)
        nats = model.log_prob(x).sum().item()
        assert stack.bits - before == pytest.approx(-nats / math.log(2), rel=1e-3, abs=2), name
    for name in ("vae", "bottom_up_vae", "resnet_vae"):
        model, x = calm(name, 150)
        stack = filled(200)
        before = stack.bits
        codecs.codec_of(model).encode(x, stack)
        values = torch.stack([model.elbo(x).detach() for _ in range(20)])
        nats, noise = values.mean(0).sum().item(), 4 * values.std(0).square().sum().sqrt().item()
        found = (before - stack.bits) * math.log(2)
        assert found == pytest.approx(nats, rel=0.005, abs=noise), name


def codes_come_in_the_order_of_the_model():
    """One picture costs what its own factors cost, in the model's order and in no other."""
    model, x = small("made", 30)
    meter = BitMeter(IntegerTable(), 30)
    ChainCodec(model).encode(x, meter)
    nats = -model.log_prob(x).double().detach()
    torch.testing.assert_close(meter.bits * math.log(2), nats, rtol=0, atol=0.01)


def a_bijection_of_all_integers():
    model = zoo.get("integer_flow").small()[0]
    x = torch.tensor(list(product(range(5), repeat=4))).view(-1, 1, 2, 2).to(torch.uint8)
    z = model(x)
    assert len(z.unique(dim=0)) == len(x)
    assert 0 <= z.min() <= z.max() == 4
    moved = z != x.flatten(1)[:, [1, 2, 3, 0]]  # as they leave
    assert moved.any(), "nothing is moved"
    assert torch.equal(model.inverse(z), x)
    assert model.log_prob(x).exp().sum().item() == pytest.approx(1, abs=1e-5)


def shifted(x, by, **options):
    """Marks of x (B, 2), five levels, after a coupling that adds ``by`` to the second; it too."""
    layer = RoundedCoupling(nn.Linear(1, 1), [0], [1], 5, **options).double()
    nn.init.constant_(layer.net.weight, 0.0)
    nn.init.constant_(layer.net.bias, by / 2)  # 1 is half of the levels, which is 2
    return layer(one_hot(x, 5).double()), layer


def shifts_are_rounded_and_wrap():
    x = torch.tensor([[0, 0], [3, 3], [1, 4]])
    for by, expected in ((1.7, [2, 0, 1]), (-0.6, [4, 2, 3]), (0.4, [0, 3, 4])):
        marks, layer = shifted(x, by)
        assert (marks.sum(-1) - 1).abs().max() < 1e-9
        y = marks.argmax(-1)
        assert y.tolist() == [[a, b] for a, b in zip([0, 3, 1], expected, strict=True)]
        torch.testing.assert_close(marks.detach(), one_hot(y, 5).double())
        assert torch.equal(layer.inverse(y), x)


def a_shift_learns_what_its_neighbours_would_cost():
    """The gradient is that of the mean over a logistic shift, worked out from its CDF."""
    cost, x, by = torch.tensor([0.0, 3.0, -1.0, 5.0, 2.0]).double(), torch.tensor([[1, 4]]), 1.3
    for softness in (0.1, 0.25):
        marks, layer = shifted(x, by, softness=softness)
        (marks[0, 1] @ cost).backward()
        t = torch.tensor(by, dtype=torch.float64, requires_grad=True)
        k = torch.arange(-8, 9).double()
        mass = ((k + 0.5 - t) / softness).sigmoid() - ((k - 0.5 - t) / softness).sigmoid()
        (mass @ cost[((4 + k) % 5).long()]).backward()
        assert layer.net.bias.grad.item() == pytest.approx(2 * t.grad.item(), rel=0.03)
    marks, layer = shifted(x, by, straight=True)
    (marks[0, 1] @ cost).backward()  # 4 + 1 mod 5 is 0: neighbours 1 and 4
    assert layer.net.bias.grad.item() == pytest.approx(2 * (3.0 - 2.0) / 2)


def buckets_have_equal_mass_under_the_prior():
    buckets = Buckets(64)
    zero = torch.zeros(1).double()
    masses = buckets.log_masses(zero, zero)
    torch.testing.assert_close(masses, buckets.uniform(1), rtol=0, atol=1e-9)
    mean, log_std = torch.tensor([0.3, -2.0]).double(), torch.tensor([-1.0, 0.5]).double()
    masses = buckets.log_masses(mean, log_std)
    normal = torch.distributions.Normal(mean[:, None], log_std.exp()[:, None])
    by_hand = normal.cdf(buckets.edges).diff(dim=1, prepend=torch.zeros(2, 1).double())
    torch.testing.assert_close(masses.exp()[:, :-1], by_hand, rtol=0, atol=1e-9)
    assert (masses.exp().sum(1) - 1).abs().max() < 1e-9


def few_bits_are_needed_first_with_bit_swap():
    """Both ways cost the same in the end; before anything is written one layer is drawn."""

    class Watched(BitStack):
        lowest = math.inf

        def pop(self, log_p):
            found = super().pop(log_p)
            self.lowest = min(self.lowest, self.bits)
            return found

    model, x = calm("bottom_up_vae", 1)
    needed, taken = [], []
    for swap in (True, False):
        stack = Watched(IntegerTable())
        stack.fill(100, "test")
        before = stack.bits
        BitSwap(model, Buckets(256), pixel_table, swap).encode(x, stack)
        needed.append(before - stack.lowest)
        taken.append(stack.bits - before)
    assert needed[0] < 0.8 * needed[1]
    assert abs(taken[0] - taken[1]) < 0.2 * needed[1]


def draws_are_clean_after_scrambling():
    """q halves its mass between codes 0 and 1; without mixing it draws what was just written.

    -ELBO is (4 + 1) / 2 + 3 - 1 bits. A uniform prior of 8 writes z on top, where a half is read.
    """
    log_prior = torch.full((1, 8), -math.log(8)).double()
    log_q = torch.tensor([[0.5, 0.5] + [1e-12] * 6]).double().log()
    log_p = torch.full((8, 16), -math.log(16)).double()
    log_p[1] = torch.tensor([0.5] + [0.5 / 15] * 15).double().log()
    taken = []
    for clean in (True, False):
        stack, n = filled(), 500
        before = stack.bits
        for i in range(n):
            if clean:
                stack.scramble(str(i), depth=2)
            z = stack.pop(log_q)
            stack.push(torch.tensor([0]), log_p[z])
            stack.push(z, log_prior)
        taken.append((stack.bits - before) / n)
    assert taken[0] == pytest.approx(4.5, abs=4 * 1.5 / n**0.5)
    assert taken[1] == pytest.approx(6.0, abs=0.1)


def mixtures_get_the_bits_of_their_component_back():
    data = Levels((1, 1, 3), 4)
    torch.manual_seed(0)
    weights, table = torch.randn(5).log_softmax(0), (0.3 * torch.randn(5, 3, 4)).log_softmax(2)
    x = torch.randint(4, (400, 1, 1, 3))
    terms = weights + table[:, torch.arange(3), x.flatten(1)].sum(2).T
    lengths = []
    for back in (True, False):
        stack = filled()
        before = stack.bits
        MixtureCodec(data, weights, table, back).encode(x, stack)
        lengths.append((stack.bits - before) * math.log(2))
    assert lengths[0] == pytest.approx(-terms.logsumexp(1).sum().item(), rel=0.01)
    assert lengths[1] == pytest.approx(-terms.amax(1).sum().item(), rel=0.01)


def a_damaged_stream_is_never_read():
    """Ten thousand mutations of one file: flips, cuts, swaps, insertions, foreign bytes."""
    packed = Container("made digits", b"12345678", (3, 1, 8, 8), b"abcdefgh", bytes(range(200)),
                       b"note").to_bytes()  # fmt: skip
    assert Container.from_bytes(packed).stream == bytes(range(200))
    rng, refused = random.Random(0), 0
    for _ in range(10_000):
        bad, kind = bytearray(packed), rng.randrange(6)
        at, to = sorted((rng.randrange(len(bad)), rng.randrange(len(bad))))
        if kind == 0:
            bad[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            bad = bad[:at]
        elif kind == 2:
            bad[at], bad[to] = bad[to], bad[at]
        elif kind == 3:
            bad[at:at] = rng.randbytes(1 + to % 9)
        elif kind == 4:
            del bad[at : to + 1]
        else:
            bad[at:to] = rng.randbytes(to - at)
        if bytes(bad) == packed:
            continue
        with pytest.raises(ValueError, match=r"content is (no packed|cut|too|of v|damaged)"):
            Container.from_bytes(bytes(bad))
        refused += 1
    assert refused > 9_900


def a_stream_of_another_model_is_refused():
    model, x = small("made")
    content = packing.pack_pictures(model, "made", x)
    assert torch.equal(packing.unpack_pictures(model, content), x)
    other = copy.deepcopy(model)
    with torch.no_grad():
        next(other.parameters()).view(-1)[0].add_(1e-3)
    with pytest.raises(ValueError, match="made by another model"):
        packing.unpack_pictures(other, content)


def other_pictures_are_never_given_silently():
    """The arithmetic of the decoder differs: simulated by a law that is a little off."""
    model, x = small("made", 20)
    content = packing.pack_pictures(model, "made", x)
    codec = codecs.codec_of(model)
    codec.model.law.background.data.add_(0.05 * torch.randn_like(codec.model.law.background))
    with pytest.raises(ValueError, match="decodes to other data"):
        container.read_packed(content, model_digest(model), codec, codecs.new_stack)


def pictures_of_any_size_come_back_from_tiles():
    for size in ((1, 28, 28), (3, 30, 41), (1, 1, 1), (4, 57, 3)):
        picture = torch.randint(256, size, dtype=torch.uint8)
        tiles = packing.to_tiles(picture, (1, 28, 20))
        assert tiles.shape[1:] == (1, 28, 20)
        assert len(tiles) == size[0] * -(-size[1] // 28) * -(-size[2] // 20)
        assert torch.equal(packing.from_tiles(tiles, size), picture)


PROPERTIES = (
    tables_sum_to_their_total_and_leave_nothing_out, tables_cost_next_to_nothing,
    tables_do_not_feel_the_last_digits, the_fast_stack_has_the_words_of_the_plain_one,
    what_is_pushed_comes_back_last_first, scrambling_undoes_itself_and_keeps_the_length,
    every_codec_gives_back_what_went_in, codes_are_as_long_as_the_model_says,
    codes_come_in_the_order_of_the_model, a_bijection_of_all_integers, shifts_are_rounded_and_wrap,
    a_shift_learns_what_its_neighbours_would_cost,
    buckets_have_equal_mass_under_the_prior,
    few_bits_are_needed_first_with_bit_swap, draws_are_clean_after_scrambling,
    mixtures_get_the_bits_of_their_component_back, a_damaged_stream_is_never_read,
    a_stream_of_another_model_is_refused, other_pictures_are_never_given_silently,
    pictures_of_any_size_come_back_from_tiles,
)  # fmt: skip

test_property, test_planted_fault = property_tests(PROPERTIES, FAULTS)


# --- the same bits elsewhere ----------------------------------------------------------------------

ELSEWHERE = """
import sys, torch
torch.set_num_threads(2)
from dgm import zoo
from dgm.zoo import packing
model = zoo.get(sys.argv[1]).small()[0]
x = packing.unpack_pictures(model, open(sys.argv[2], "rb").read())
torch.save(x, sys.argv[3])
"""


@pytest.mark.parametrize("name", ["integer_flow", "vae"])
def test_another_process_with_more_threads_decodes(name, tmp_path):
    model, x = small(name, 20)
    (tmp_path / "packed").write_bytes(packing.pack_pictures(model, name, x))
    files = [str(tmp_path / part) for part in ("packed", "x")]
    subprocess.run([sys.executable, "-c", ELSEWHERE, name, *files], check=True, timeout=120)
    assert torch.equal(torch.load(files[1]), x)


@pytest.mark.parametrize(("name", "options"), [
    ("made", {"at_once": 4}), ("gated_pixelcnn", {"at_once": 9}), ("integer_flow", {"at_once": 4}),
    ("absorbing_diffusion", {"at_once": 4}), ("vae", {"clean": False}),
    ("bottom_up_vae", {"swap": False}), ("categorical_mixture", {"back": False}),
])  # fmt: skip
def test_options_change_the_stream_and_not_what_comes_back(name, options):
    model, x = small(name)
    streams = []
    for chosen in ({}, options):
        codec, stack = codecs.codec_of(model, **chosen), filled()
        codec.encode(x, stack)
        streams.append(stack.to_bytes())
        stack = codecs.new_stack(streams[-1])
        assert torch.equal(codec.decode(len(x), stack), x)
        assert stack.to_bytes() == filled().to_bytes()
    if options != {"at_once": 9}:  # as many as there are
        assert streams[0] != streams[1]


def test_nothing_at_all_is_packed_as_nothing():
    model, x = small("made")
    assert codecs.codec_of(model).decode(0, codecs.new_stack()).shape == (0, *x.shape[1:])
    for name in ("integer_flow", "vae", "absorbing_diffusion"):
        model = small(name)[0]
        assert len(codecs.codec_of(model).decode(0, codecs.new_stack())) == 0


def test_labels_choose_the_law_of_a_chain():
    model = zoo.get("class_pixelcnn").small()[0]
    x, y = model.sample(6), torch.tensor([1] * 6)
    meter = BitMeter(IntegerTable(), 6)
    ChainCodec(model, y=1).encode(x, meter)
    nats = -model.log_prob(x, y).double().detach()
    torch.testing.assert_close(meter.bits * math.log(2), nats, rtol=0, atol=0.01)
    with pytest.raises(ValueError, match="y must"):
        ChainCodec(model)
    with pytest.raises(ValueError, match="y must"):
        ChainCodec(small("made")[0], y=1)


def test_the_meter_counts_what_the_stack_takes():
    for name in ("made", "integer_flow", "absorbing_diffusion"):
        model, x = small(name, 40)
        meter, stack = BitMeter(IntegerTable(), 40), filled()
        before = stack.bits
        codec = codecs.codec_of(model)
        codec.encode(x, meter)
        codec.encode(x, stack)
        assert meter.bits.shape == (40,)
        assert meter.bits.sum().item() == pytest.approx(stack.bits - before, abs=2), name


def test_orders_are_permutations_that_differ():
    codec = OrderCodec(small("absorbing_diffusion")[0])
    found = [codec.order(i).tolist() for i in range(20)]
    dims = codec.data.dims
    assert all(sorted(order) == list(range(dims)) for order in found)
    assert len({tuple(order) for order in found}) > 5


def test_coin_flips_are_a_table():
    data = Levels((2,), 4)
    likelihood = BernoulliLikelihood(data, torch.tensor([[0.3, -1.0]]).double())
    table = pixel_table(likelihood, 4)
    x = torch.tensor([[1, 3]])
    by_table = table[torch.arange(2), x[0]].sum()
    torch.testing.assert_close(by_table, likelihood.log_prob(x)[0])
    assert (table.logsumexp(1).abs() < 1e-9).all()


def test_places_leave_once_and_the_checkerboard_first():
    for shape in ((1, 8, 8), (2, 4, 6), (5,), (1, 1, 1), (1, 3, 4), (1, 2, 4)):
        order = leaving_order(shape)
        dims = math.prod(shape)
        assert sorted(place for group in order for place in group) == list(range(dims))
    first = leaving_order((1, 4, 4))[0]
    assert all((place // 4 + place % 4) % 2 for place in first)
    assert len(first) == 8


def test_terms_of_stages_add_up_and_a_blind_law_sees_nothing():
    model, x = small("integer_flow")
    assert list(model.terms(x)) == ["stage 1", "stage 2", "stage 3"]
    torch.testing.assert_close(sum(model.terms(x).values()), model.log_prob(x))
    entry = zoo.get("integer_flow")
    blind = entry.build(entry.tiny.data, **entry.tiny.sizes, looks=False)
    assert all(stage.net is None for stage in blind.stages)
    assert len(blind.stages) == 3


def test_networks_of_the_study_are_blind_and_stay_so(monkeypatch):
    built, settings = [], dict(steps=3, batch_size=20, lr=0.1, shift=0.0, turn=0.0, progress=False)
    right = shifts_or_laws.integer_flow

    def keep(*sizes, **options):
        built.append(right(*sizes, **options))
        return built[-1]

    monkeypatch.setattr(shifts_or_laws, "integer_flow", keep)
    monkeypatch.setattr(shifts_or_laws, "FIT", settings)
    for looks in (True, False):
        shifts_or_laws.run_of_shifts("none", looks, 0)
        first = built[-1].stages[0]
        tables = first.law(torch.stack((torch.zeros(32), torch.full((32,), 16.0)))).table()
        assert bool((tables[0] - tables[1]).abs().max() > 1e-4) == looks
        assert not torch.equal(tables[:1], first.law_of(first.start[None], 17).table())


# --- words to begin with, files -------------------------------------------------------------------


@pytest.mark.parametrize("name", LATENT)
def test_the_words_to_begin_with_are_enough_for_the_first_draws(name):
    model, x = small(name)
    words = codecs.words_to_begin_with(model)
    assert words >= 1

    class Watched(BitStack):
        def pop(self, log_p):
            found = super().pop(log_p)
            assert self.bits > 0
            return found

    stack = Watched(IntegerTable())
    stack.fill(words, "begin")
    codecs.codec_of(model).encode(x, stack)


def test_nothing_is_laid_under_what_draws_nothing():
    assert codecs.words_to_begin_with(small("made")[0]) == 0
    assert codecs.words_to_begin_with(small("integer_flow")[0]) == 0


def test_files_of_all_models_and_formats_are_listed_and_formats_lose_nothing():
    listed = {(file["of"], file["by"]) for file in bytes_on_disk.load()}
    models = {(of, name) for of, names in bytes_on_disk.MODELS.items() for name in names}
    sizes = bytes_on_disk.formats()
    assert listed >= models | {(of, name) for of in bytes_on_disk.MODELS for name in sizes}
    assert {file["by"]: file["bytes"] for file in bytes_on_disk.load()
            if file["of"] == "digits"}["bz2"] == sizes["bz2"]("digits")  # fmt: skip
    assert sizes["PNG"]("digits") > 1000  # asserts that what comes back is equal


# --- bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("call", "word"), [
    (lambda: IntegerTable(25), "precision"), (lambda: IntegerTable(0), "precision"),
    (lambda: IntegerTable(per_bit=0), "per_bit"),
    (lambda: IntegerTable()(torch.zeros(3)), "log_p"),
    (lambda: IntegerTable()(torch.zeros(2, 3, dtype=torch.long)), "log_p"),
    (lambda: IntegerTable()(torch.tensor([[0.0, math.nan]])), "log_p"),
    (lambda: IntegerTable()(torch.tensor([[0.0, math.inf]])), "log_p"),
    (lambda: IntegerTable()(torch.full((1, 2), -math.inf)), "log_p"),
    (lambda: IntegerTable(4)(torch.zeros(1, 9)), "log_p"),
    (lambda: BitStack(IntegerTable(), b"123"), "content"),
    (lambda: BitStack(IntegerTable(), bytes(8)), "content"),
    (lambda: filled().fill(2, "again"), "fill"),
    (lambda: filled().push(torch.tensor([4]), torch.zeros(1, 4)), "symbols"),
    (lambda: filled().push(torch.tensor([-1]), torch.zeros(1, 4)), "symbols"),
    (lambda: filled().push(torch.tensor([1, 2]), torch.zeros(1, 4)), "symbols"),
    (lambda: filled().push(torch.tensor([1.0]), torch.zeros(1, 4)), "symbols"),
    (lambda: Rans().push(0, [3, 4]), "frequencies"), (lambda: Rans().push(2, [4, 4]), "symbol"),
    (lambda: Rans().push(0, [0, 8]), "symbol"),
    (lambda: Buckets(3), "n must"), (lambda: Buckets(0), "n must"),
    (lambda: Buckets(2.0), "n must"),
    (lambda: RoundedCoupling(nn.Linear(1, 1), [0], [0], 3), "seen"),
    (lambda: RoundedCoupling(nn.Linear(1, 1), [], [0], 3), "seen"),
    (lambda: RoundedCoupling(nn.Linear(1, 1), [1], [0], 1), "levels"),
    (lambda: RoundedCoupling(nn.Linear(1, 1), [1], [0], 3, softness=0.0), "softness"),
    (lambda: LeavingStage([], [0], [0], None, None, torch.zeros(3), 3), "leaves"),
    (lambda: IntegerFlow([], Levels((1,), 3)), "stages"),
    (lambda: codecs.codec_of(zoo.get("nice").small()[0]), "model must"),
    (lambda: BitsBack(small("mixture_prior_vae")[0], Buckets(4)), "model must"),
    (lambda: BitSwap(small("resnet_vae")[0], Buckets(4), pixel_table), "model must"),
    (lambda: TopDownCodec(small("bottom_up_vae")[0], Buckets(4), pixel_table), "model must"),
    (lambda: pixel_table(object(), 3), "likelihood"),
    (lambda: MixtureCodec(Levels((2,), 3), torch.zeros(2), torch.zeros(2, 3, 3)), "table"),
    (lambda: FlowCodec(small("integer_flow")[0]).encode(torch.zeros(2, 3), filled()), "x must"),
    (lambda: FlowCodec(small("integer_flow")[0]).decode(-1, filled()), "n must"),
])  # fmt: skip
def test_bad_input_is_named(call, word):
    with pytest.raises(ValueError, match=word):
        call()


def test_foreign_and_odd_containers_say_what_is_wrong():
    packed = Container("m", bytes(8), (2, 3), bytes(8), b"1234").to_bytes()
    for bad, word in ((b"", "no packed data"), (b"\x89PNG\r\n", "no packed data"),
                      (packed[:5], "cut short"), (packed[:12], "cut short"),
                      (packed + b"x", "too long"), (packed[:4] + b"\x02" + packed[5:], "version 2"),
                      (packed[:-1] + b"x", "damaged")):  # fmt: skip
        with pytest.raises(ValueError, match=word):
            Container.from_bytes(bad)
    model, x = small("made")
    content = Container("m", model_digest(model), (2, 3), bytes(8), b"1234").to_bytes()
    with pytest.raises(ValueError, match="holds"):
        packing.unpack_pictures(model, content)
    assert data_digest(x) == data_digest(x.long())
    assert data_digest(x) != data_digest(x.flatten(1))


# --- the command ----------------------------------------------------------------------------------


def test_pictures_of_a_reader_are_packed_and_unpacked(tmp_path, capsys):
    rng, saved = np.random.default_rng(0), {}
    for name, shape in (("grey", (9, 30)), ("color", (5, 4, 3)), ("clear", (4, 4, 4))):
        saved[name] = rng.integers(0, 256, shape, dtype=np.uint8)
        Image.fromarray(saved[name]).save(tmp_path / f"{name}.png")
    Image.fromarray(saved["grey"] > 99).save(tmp_path / "bits.png")
    saved["bits"] = np.where(saved["grey"] > 99, 255, 0)
    files = [str(tmp_path / f"{name}.png") for name in saved]
    packing.main(["pack", str(tmp_path / "out.dgmc"), *files, "--model", "vae mnist"])
    said = capsys.readouterr().out
    assert said.startswith("4 pictures, ")
    packing.main(["unpack", str(tmp_path / "out.dgmc"), str(tmp_path / "back")])
    for name, pixels in saved.items():
        with Image.open(tmp_path / "back" / f"{name}.png") as found:
            assert np.array_equal(np.array(found), pixels), name
    # a second time nothing is written over
    with pytest.raises(SystemExit, match="there already"):
        packing.main(["unpack", str(tmp_path / "out.dgmc"), str(tmp_path / "back")])


def test_the_command_refuses_what_it_cannot_pack(tmp_path):
    Image.fromarray(np.zeros((3, 3), dtype=np.uint16)).save(tmp_path / "deep.png")
    (tmp_path / "text.png").write_text("no picture")
    for name, word in (("deep", "8 bits"), ("text", "no picture"), ("gone", "gone.png")):
        with pytest.raises(SystemExit, match=word):
            packing.main(["pack", str(tmp_path / "out"), str(tmp_path / f"{name}.png")])
    Image.fromarray(np.zeros((3, 3), dtype=np.uint8)).save(tmp_path / "good.png")
    out = [str(tmp_path / "out"), str(tmp_path / "good.png")]
    refused = {"vae digits": "256 levels", "nothing mnist": "no system", "vae": "and its data"}
    for model, word in refused.items():
        with pytest.raises(SystemExit, match=word):
            packing.main(["pack", *out, "--model", model])
    assert not (tmp_path / "out").exists()


def test_names_in_a_file_lead_nowhere_else(tmp_path):
    model = zoo.load("vae", "mnist")
    index = zlib.compress(json.dumps([["../../elsewhere", 1, 3, 3]]).encode())
    tiles = packing.to_tiles(torch.zeros(1, 3, 3, dtype=torch.uint8), (1, 28, 28))
    (tmp_path / "in").write_bytes(packing.pack_pictures(model, "vae mnist", tiles, index))
    packing.unpack(tmp_path / "in", tmp_path / "a" / "b" / "c")
    assert [p.name for p in (tmp_path / "a" / "b" / "c").iterdir()] == ["elsewhere.png"]


def test_the_door_leads_to_the_command():
    done = subprocess.run([sys.executable, "-m", "dgm.compression", "--help"], timeout=120,
                          capture_output=True, text=True)  # fmt: skip
    assert done.returncode == 0
    assert "unpack" in done.stdout


def test_png_bytes_are_a_picture():
    picture = torch.randint(256, (3, 4, 5), dtype=torch.uint8)
    with Image.open(io.BytesIO(packing.as_png(picture))) as found:
        assert np.array_equal(np.array(found), picture.movedim(0, 2).numpy())
