"""Pixel models: the contract, what each network can see, cached draws, completions, upscaling."""

import doctest
import importlib
import itertools
import math
from functools import partial

import contract
import pytest
import torch
from torch import nn
from torch.distributions import Categorical

from dgm.audit import audit
from dgm.autoregressive import ordering, pixelrnn
from dgm.autoregressive.depth_upscaling import DepthUpscaling
from dgm.autoregressive.gated_pixelcnn import GatedPixelCNN
from dgm.autoregressive.pixel_model import LevelSoftmax, PixelModel, level_features
from dgm.autoregressive.pixelcnn import (
    CausalStack,
    MaskedBlock,
    MaskedConv2d,
    raster_mask,
    seen_from,
)
from dgm.autoregressive.pixelrnn import DiagonalBiLSTM, DiagonalLSTM, RowLSTM, skew, unskew
from dgm.autoregressive.subscale import Subscale, from_slices, to_slices
from dgm.distribution.discretized_logistic import DiscretizedLogisticMixture
from dgm.nets.resnet import ResNet

pytestmark = pytest.mark.usefixtures("float64")
moved = partial(contract.moved, std=0.4)

FILES = ("pixel_model", "pixelcnn", "pixelrnn", "gated_pixelcnn", "subscale", "depth_upscaling")
LEAK, ONE, LAW = (
    "no leak from the future",
    "sums or integrates to one",
    "samples follow the density",
)


@contract.over("autoregressive", chapter="11")
def test_contract(entry, promise):
    torch.set_default_dtype(torch.float32)
    promise(entry)


def seeded(seed=1):
    return torch.Generator().manual_seed(seed)


def all_images(levels, *shape):
    """Every image of a shape, (levels**D, *shape)."""
    states = torch.cartesian_prod(*[torch.arange(levels)] * math.prod(shape))
    return states.view(-1, *shape)


NETS = {
    "pixelcnn": lambda f, s: CausalStack(f, s, 6, [MaskedBlock(6), MaskedBlock(6)], first=3),
    "row": lambda f, s: CausalStack(f, s, 6, [RowLSTM(6)], first=3),
    "diagonal": lambda f, s: CausalStack(f, s, 6, [DiagonalBiLSTM(6)], first=3),
    "gated": lambda f, s: GatedPixelCNN(f, s, width=6, blocks=3, first=3),
}


def model_of(name, shape, levels, **more):
    net = NETS[name](shape[0] * (1 + min(levels, 32)), shape)
    return moved(PixelModel(net, shape, levels, **more))


def gated(shape, levels, n_classes=0, **sizes):
    features = shape[0] * (1 + min(levels, 32))
    net = GatedPixelCNN(features, shape, n_classes=n_classes, **{"width": 6, "blocks": 3} | sizes)
    return moved(PixelModel(net, shape, levels, n_classes))


def subscale(shape, levels, scale=2, **more):
    h, w = shape[1] // scale, shape[2] // scale
    features = (7 if "given_levels" in more else 4) * scale**2
    encoder = ResNet(features, 5, 6, 1, positions=(h, w))
    decoder = GatedPixelCNN(3, (1, h, w), 6, 2, first=3, context_dim=5)
    return moved(Subscale(encoder, decoder, shape, levels, scale, **more))


# --- what a network can see -----------------------------------------------------------------------


@pytest.mark.parametrize("kernel", [1, 3, 5, 7])
def test_masks_keep_the_taps_of_the_paper(kernel):
    assert raster_mask(kernel, strict=True).sum() == (kernel**2 - 1) // 2
    assert raster_mask(kernel, strict=False).sum() == (kernel**2 + 1) // 2
    flat = raster_mask(kernel, strict=True).flatten()
    assert (flat.diff() <= 0).all()  # ones, then zeros: the taps that come first in raster order


def test_a_mask_survives_weight_decay_and_averaging():
    conv = MaskedConv2d(2, 3, 3, strict=True)
    x = torch.randn(1, 2, 5, 5)
    before = conv(x)
    with torch.no_grad():
        conv.weight.add_(7.0 * (1 - conv.mask))
    assert torch.equal(conv(x), before)


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("channels", [1, 3])
def test_jacobian_of_the_parameters_is_strictly_triangular(name, channels):
    """By autograd through the network alone: place t uses strictly earlier places."""
    net = moved(NETS[name](channels * 4, (channels, 4, 5)))
    x = torch.randn(1, channels * 4, 4, 5)
    jacobian = torch.func.jacrev(lambda v: net(v)[0].flatten(1).sum(0))(x)[:, 0].abs()
    uses = jacobian.sum(1).flatten(1)  # (20, 20): output place, input place
    assert (uses.triu() == 0).all()
    assert uses.tril(-1).max() > 0


@pytest.mark.parametrize("name", NETS)
def test_all_512_binary_images_sum_to_one(name):
    model = model_of(name, (1, 3, 3), 2)
    assert model.log_prob(all_images(2, 1, 3, 3)).exp().sum().item() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("name", NETS)
def test_colours_come_one_after_the_other_and_sum_to_one(name):
    model = model_of(name, (2, 2, 2), 2)
    assert model.order.tolist() == [0, 4, 1, 5, 2, 6, 3, 7]
    assert model.log_prob(all_images(2, 2, 2, 2)).exp().sum().item() == pytest.approx(1, abs=1e-12)
    assert audit(model, torch.randint(2, (8, 2, 2, 2)))[LEAK].verdict == "pass"


def reached(steps, layers, height, width, i, j):
    """Places a stack of moves can reach from (i, j): one strict first step, then ``layers``."""
    first, later = steps
    places = {(i + a, j + b) for a, b in first}
    for _ in range(layers):
        places |= {(p + a, q + b) for p, q in places for a, b in later}
    inside = torch.zeros(height, width, dtype=torch.bool)
    for p, q in places:
        if 0 <= p < height and 0 <= q < width:
            inside[p, q] = True
    return inside


def seen(net, n_features, height, width, i, j):
    return seen_from(net, torch.randn(32, n_features, height, width), i, j) > 0


def test_blind_spot_of_pixelcnn_is_the_one_of_its_moves():
    """Masked 3x3 moves, combined, never reach far to the right of the rows above."""
    first = [(-1, -1), (-1, 0), (-1, 1), (0, -1)]
    net = moved(NETS["pixelcnn"](2, (1, 7, 7)))
    found = seen(net, 2, 7, 7, 4, 2)
    assert torch.equal(found, reached((first, [*first, (0, 0)]), 2, 7, 7, 4, 2))
    deep = moved(CausalStack(2, (1, 7, 7), 4, [MaskedBlock(4) for _ in range(12)], first=3))
    found = seen(deep, 2, 7, 7, 4, 2)
    assert not found[3, 4:].any()  # the blind spot stays, whatever the depth
    assert found[3, :4].all()


def earlier(height, width, i, j):
    return (torch.arange(height * width) < i * width + j).view(height, width)


@pytest.mark.parametrize(("i", "j"), [(4, 2), (3, 0), (6, 6), (0, 0), (0, 3)])
def test_gated_stacks_see_all_earlier_pixels_and_diagonals_all_but_one(i, j):
    """What comes from the right ends a row above, where no feature has used its last pixel."""
    deep = moved(GatedPixelCNN(2, (1, 7, 7), 4, blocks=6, first=3), std=0.2)
    assert torch.equal(seen(deep, 2, 7, 7, i, j), earlier(7, 7, i, j))
    layers = [DiagonalBiLSTM(4), DiagonalBiLSTM(4)]
    diagonal = moved(CausalStack(2, (1, 7, 7), 4, layers, first=3), std=0.2)
    expected = earlier(7, 7, i, j)
    if i > 0 and j < 5:  # nearer to the border the first convolution reaches it
        expected[i - 1, 6] = False
    assert torch.equal(seen(diagonal, 2, 7, 7, i, j), expected)


def test_row_lstm_sees_a_triangle():
    net = moved(CausalStack(2, (1, 7, 9), 4, [RowLSTM(4)], first=3))
    found = seen(net, 2, 7, 9, 5, 4)
    for above in range(1, 6):
        columns = found[5 - above].nonzero()[:, 0]
        assert columns.max() == min(8, 4 + above)  # one column wider with every row
    assert not found[4, 6:].any()


# --- recurrent layers against plain loops ---------------------------------------------------------


@pytest.mark.parametrize("shape", [(3, 5), (5, 3), (1, 4), (4, 1)])
def test_unskew_undoes_skew_and_columns_are_diagonals(shape):
    x = torch.randn(2, 3, *shape)
    skewed = skew(x)
    assert torch.equal(unskew(skewed), x)
    for i, j in itertools.product(*map(range, shape)):
        assert torch.equal(skewed[:, :, i, i + j], x[:, :, i, j])
    assert skewed.count_nonzero() == x.numel()


def cell(gates, c):
    o, f, i, g = gates.chunk(4)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def test_row_lstm_is_its_recurrence():
    layer, x = moved(RowLSTM(3)), torch.randn(1, 3, 4, 5)
    h = c = {j: torch.zeros(3) for j in range(-1, 6)}
    w, u = layer.from_input, layer.from_state.weight
    for i in range(4):
        row, memory = {-1: torch.zeros(3), 5: torch.zeros(3)}, {-1: None, 5: None}
        for j in range(5):
            left = x[0, :, i, j - 1] if j else torch.zeros(3)
            gates = w.bias + w.weight[:, :, 0, 0] @ left + w.weight[:, :, 0, 1] @ x[0, :, i, j]
            gates = gates + sum(u[:, :, k] @ h[j + k - 1] for k in range(3))
            row[j], memory[j] = cell(gates, c[j])
            torch.testing.assert_close(layer(x)[0, :, i, j], row[j])
        h, c = row, memory


def test_diagonal_lstm_is_its_recurrence():
    """Each cell reads the cells on its left and above; its memory comes from the left."""
    layer, x = moved(DiagonalLSTM(3)), torch.randn(1, 3, 4, 5)
    zero, h, c = torch.zeros(3), {}, {}
    w, u = layer.from_input, layer.from_state.weight
    for i, j in itertools.product(range(4), range(5)):
        gates = w.bias + w.weight[:, :, 0, 0] @ x[0, :, i, j]
        gates = gates + u[:, :, 0] @ h.get((i - 1, j), zero) + u[:, :, 1] @ h.get((i, j - 1), zero)
        h[i, j], c[i, j] = cell(gates, c.get((i, j - 1), zero))
        torch.testing.assert_close(layer(x)[0, :, i, j], h[i, j])


# --- planted faults -------------------------------------------------------------------------------


def test_audit_catches_the_wrong_mask():
    model = model_of("pixelcnn", (1, 3, 3), 2)
    model.net.first.mask.copy_(raster_mask(3, strict=False))
    report = audit(model, torch.randint(2, (8, 1, 3, 3)))
    assert report[LEAK].verdict == report[ONE].verdict == "FAIL"


def test_audit_catches_the_right_moving_map_not_shifted():
    class Unshifted(DiagonalBiLSTM):
        def forward(self, x):
            return self.left(x) + self.right(x.flip(3)).flip(3)

    net = CausalStack(3, (1, 3, 3), 6, [Unshifted(6)], first=3)
    report = audit(PixelModel(net, (1, 3, 3), 2), torch.randint(2, (8, 1, 3, 3)))
    assert report[LEAK].verdict == report[ONE].verdict == "FAIL"


def test_audit_catches_generation_in_reverse_and_a_cache_off_by_one():
    class Reversed(PixelModel):
        def sample(self, n, **options):
            return super().sample(n, **options).flip(2, 3)

    class Late(GatedPixelCNN):
        def cache(self, n, y=None):
            step = super().cache(n, y)
            last = []

            def off_by_one(x, i, j):
                last.append(step(x, i, j))
                return last[max(0, len(last) - 2)]

            return off_by_one

    x = torch.randint(2, (8, 1, 2, 3))
    for model in (
        Reversed(NETS["gated"](3, (1, 2, 3)), (1, 2, 3), 2),
        PixelModel(Late(3, (1, 2, 3), 6, 2), (1, 2, 3), 2),
    ):
        report = audit(moved(model, std=1.0), x)
        assert report[LEAK].verdict == report[ONE].verdict == "pass"
        assert report[LAW].verdict == "FAIL"


# --- sampling -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("first", [3, 7])
@pytest.mark.parametrize("shape", [(1, 6, 5), (3, 4, 4)])
def test_cached_draws_equal_slow_draws(kernel, first, shape):
    model = gated(shape, 4, n_classes=3, kernel=kernel, first=first)
    y = torch.arange(5) % 3
    fast = model.sample(5, y=y, generator=seeded())
    slow = model.sample(5, y=y, generator=seeded(), cached=False)
    assert torch.equal(fast, slow)
    h = torch.randn(5, shape[0] * 5, *shape[1:])
    step, whole = model.net.cache(5, y), model.net(h, y)
    for i, j in itertools.product(range(shape[1]), range(shape[2])):
        torch.testing.assert_close(step(h, i, j), whole[:, :, i, j], rtol=0, atol=1e-12)


def test_cached_draws_look_at_one_place_at_a_time():
    """The cached pass never runs the whole network."""
    model = gated((1, 4, 4), 3)
    model.net.forward = None
    assert model.sample(2).shape == (2, 1, 4, 4)


def test_samples_leave_the_training_mode_as_it_was():
    model = gated((1, 2, 2), 3).train()
    model.sample(2)
    assert model.training


@pytest.fixture
def small_world():
    """A model of 2x2 images of 3 levels, all 81 of them, and their log p."""
    model = model_of("gated", (1, 2, 2), 3)
    x = all_images(3, 1, 2, 2)
    return model, x, model.log_prob(x).detach()


def shares(x, states):
    """How often each of the states is in x."""
    place = 3 ** torch.arange(3, -1, -1)
    rank = (x.flatten(1).long() * place).sum(1)
    return torch.bincount(rank, minlength=81)[(states.flatten(1) * place).sum(1)] / len(x)


def test_completing_the_lower_half_is_exact(small_world):
    model, x, log_p = small_world
    known, mask = torch.tensor([[[[2, 0], [0, 0]]]]), torch.tensor([[[True, True], [False, False]]])
    draws = model.sample(20_000, known=known, mask=mask, generator=seeded())
    assert (draws[:, 0, 0] == torch.tensor([2, 0])).all()
    given = (x[:, 0, 0] == torch.tensor([2, 0])).all(1)
    exact = log_p[given].softmax(0)
    error = (exact * (1 - exact) / 20_000).sqrt()
    assert ((shares(draws, x[given]) - exact).abs() < 5 * error).all()


def test_completing_the_upper_half_is_not_exact(small_world):
    """Early pixels are drawn without regard to later ones that are known."""
    model, x, log_p = small_world
    known, mask = torch.tensor([[[[0, 0], [2, 0]]]]), torch.tensor([[[False, False], [True, True]]])
    draws = model.sample(20_000, known=known, mask=mask, generator=seeded())
    given = (x[:, 0, 1] == torch.tensor([2, 0])).all(1)
    exact = log_p[given].softmax(0)
    table = model(x[given]).log_softmax(-1).gather(-1, x[given].unsqueeze(-1)).flatten(1)
    drawn = table[:, :2].sum(1).exp()  # p(x1) p(x2 | x1): as if nothing were known
    error = (drawn * (1 - drawn) / 20_000).sqrt()
    found = shares(draws, x[given])
    assert ((found - drawn).abs() < 5 * error).all()
    assert ((found - exact).abs() > 5 * error).any()


def test_temperature_is_a_power_of_each_conditional(small_world):
    model, x, _ = small_world
    first = model(x[:1])[0, 0, 0, 0]
    draws = model.sample(20_000, temperature=0.5, generator=seeded())[:, 0, 0, 0]
    share = torch.bincount(draws.long(), minlength=3) / 20_000
    assert (share - (2 * first).softmax(0)).abs().max() < 0.02


# --- labels, laws, features -----------------------------------------------------------------------


def test_without_a_label_it_is_summed_out():
    model, x = gated((1, 2, 2), 3, n_classes=4), all_images(3, 1, 2, 2)
    per_class = torch.stack([model.log_prob(x, torch.tensor(c)) for c in range(4)])
    torch.testing.assert_close(per_class.exp().sum(1), torch.ones(4))
    exact = (per_class.exp().mean(0)).log()
    torch.testing.assert_close(model.log_prob(x), exact)
    terms = model(x).gather(-1, x.unsqueeze(-1)).flatten(1).sum(1)
    torch.testing.assert_close(terms, exact)


def test_a_label_moves_the_draws():
    model = gated((1, 2, 2), 3, n_classes=2)
    with torch.no_grad():
        model.net.layers[0].condition.weight.mul_(20)
    a, b = (model.sample(4000, y=torch.tensor(c), generator=seeded()) for c in (0, 1))
    assert (a.float().mean(0) - b.float().mean(0)).abs().max() > 0.1


def test_laws_of_a_pixel_are_what_they_say():
    logits, x = torch.randn(7, 5), torch.randint(5, (7,))
    law = LevelSoftmax(logits, 5)
    torch.testing.assert_close(law.log_prob(x), Categorical(logits=logits).log_prob(x))
    net = GatedPixelCNN(6, (1, 2, 2), 6, 2)
    model = PixelModel(net, (1, 2, 2), 5, law=DiscretizedLogisticMixture, start=torch.randn(6))
    moved(model)
    x = all_images(5, 1, 2, 2)
    assert model(x).shape == (625, 1, 2, 2, 6)
    assert model.log_prob(x).exp().sum().item() == pytest.approx(1, abs=1e-10)
    table = DiscretizedLogisticMixture(model(x), 5).table()
    picked = table.gather(-1, x.unsqueeze(-1)).flatten(1).sum(1)
    torch.testing.assert_close(model.log_prob(x), picked)


def test_level_features_are_one_hot_or_shared_between_neighbours():
    x = torch.arange(17).view(1, 1, 1, 17)
    features = level_features(x.double(), 17)[0, :, 0]
    assert torch.equal(features[1:].round(decimals=9), torch.eye(17))
    torch.testing.assert_close(features[0], torch.linspace(-1, 1, 17))
    many = level_features(torch.arange(256.0).view(1, 1, 1, 256), 256)[0, 1:, 0]
    torch.testing.assert_close(many.sum(0), torch.ones(256))
    assert ((many > 0).sum(0) <= 2).all()


def test_noise_is_on_the_context_only_and_in_training_only():
    model, x = gated((1, 3, 3), 5), torch.randint(5, (64, 1, 3, 3))
    model.noise = 1.0
    quiet = model.log_prob(x)
    assert torch.equal(model.log_prob(x), quiet)
    model.train()
    assert not torch.equal(model.log_prob(x), quiet)
    first = model(x)[:, 0, 0, 0]  # nothing before it: no noise can reach it
    torch.testing.assert_close(first, first[:1].expand(64, 5))


# --- subscale and upscaling -----------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_order_is_the_rank_formula(scale):
    shape, h, w = (1, 4, 8), 4 // scale, 8 // scale
    encoder = ResNet(4 * scale**2, 5, 6, 1, positions=(h, w))
    decoder = GatedPixelCNN(3, (1, h, w), 6, 1, context_dim=5)
    model = Subscale(encoder, decoder, shape, 3, scale)
    ranks = ordering.subscale_ranks(4, 8, scale)
    assert torch.equal(model.order, ordering.order_of_ranks(ranks))
    x = torch.randn(2, 1, 4, 8)
    assert torch.equal(from_slices(to_slices(x, scale), scale), x)


def test_subscale_draws_cached_and_slow_are_equal():
    model = subscale((1, 6, 4), 5)
    fast, slow = (model.sample(4, generator=seeded(), cached=c) for c in (True, False))
    assert torch.equal(fast, slow)
    fine = subscale((1, 6, 4), 2, given_levels=3, top=5)
    given = torch.randint(3, (4, 1, 6, 4))
    fast, slow = (fine.sample(4, given, generator=seeded(), cached=c) for c in (True, False))
    assert torch.equal(fast, slow)


def test_subscale_without_its_first_slice_adds_up():
    """Size upscaling: log p(x) = log p(small) + log p(rest | small), and small is kept."""
    first = model_of("gated", (1, 2, 2), 3)
    model = subscale((1, 4, 4), 3, first=first)
    x = model.sample(6, generator=seeded())
    small = to_slices(x, 2)[:, :1]
    terms = model(x).log_softmax(-1).gather(-1, x.long().unsqueeze(-1))[:, 0, ..., 0]
    torch.testing.assert_close(terms[:, ::2, ::2].flatten(1).sum(1), first.log_prob(small))
    again = model.sample(6, small=small, generator=seeded(2))
    assert torch.equal(to_slices(again, 2)[:, :1], small)


def test_depth_upscaling_splits_exactly_and_gives_no_mass_beyond_the_last_level():
    coarse = model_of("gated", (1, 2, 2), 3)
    fine = subscale((1, 2, 2), 2, scale=1, given_levels=3, top=5)
    model = DepthUpscaling(coarse, fine, levels=5, step=2)
    x = all_images(5, 1, 2, 2)
    terms = model.terms(x)
    torch.testing.assert_close(terms["coarse"], coarse.log_prob(x // 2))
    torch.testing.assert_close(model.log_prob(x), terms["coarse"] + fine.log_prob(x % 2, x // 2))
    assert model.log_prob(x).exp().sum().item() == pytest.approx(1, abs=1e-12)
    assert model.sample(500).max() <= 4


# --- bad input ------------------------------------------------------------------------------------


def raises(name, call, *args, **kwargs):
    with pytest.raises(ValueError, match=rf"\b{name}\b"):
        call(*args, **kwargs)


def test_bad_arguments_are_named():
    model, x = gated((1, 4, 4), 3, n_classes=2), torch.zeros(2, 1, 4, 4, dtype=torch.long)
    mask = torch.ones(1, 4, 4, dtype=torch.bool)
    raises("mask", model.sample, 2, known=x, mask=mask[:, :2])
    raises("mask", model.sample, 2, known=x, mask=mask.float())
    raises("mask", model.sample, 2, known=x)
    raises("known", model.sample, 2, mask=mask)
    raises("known", model.sample, 3, known=x, mask=mask)
    raises("known", model.sample, 2, known=x + 3, mask=mask)
    raises("known", model.sample, 2, known=x[..., :2], mask=mask)
    raises("n", model.sample, 0)
    raises("temperature", model.sample, 1, temperature=0)
    raises("y", model.sample, 2, y=torch.tensor([0, 2]))
    raises("y", model.sample, 2, y=torch.tensor([0, 1, 1]))
    raises("y", model.log_prob, x, torch.tensor([0.0, 1.0]))
    raises("y", model.log_prob, x, torch.tensor([-1, 0]))
    raises("y", model_of("row", (1, 4, 4), 3).log_prob, x, torch.tensor([0, 1]))


def test_bad_sizes_are_named():
    raises("kernel", MaskedConv2d, 1, 1, 4)
    raises("kernel", RowLSTM, 3, 2)
    raises("kernel", GatedPixelCNN, 3, (1, 4, 4), kernel=4)
    raises("first", GatedPixelCNN, 3, (1, 4, 4), first=1)
    raises("first", CausalStack, 3, (1, 4, 4), 4, [], first=1)
    raises("width", MaskedBlock, 1)
    raises("blocks", GatedPixelCNN, 3, (1, 4, 4), blocks=0)
    raises("context_dim", GatedPixelCNN, 3, (1, 4, 4), n_classes=2, context_dim=2)
    net = NETS["gated"](4, (1, 4, 4))
    raises("levels", PixelModel, net, (1, 4, 4), 1)
    raises("shape", PixelModel, net, (4, 4), 3)
    raises("noise", PixelModel, net, (1, 4, 4), 3, noise=1.5)
    raises("parameters", LevelSoftmax, torch.zeros(2, 3), 4)
    raises("shape", Subscale, net, net, (1, 5, 4), 3, 2)
    raises("i", seen_from, net, torch.randn(1, 4, 4, 4), 4, 0)
    model, fine = subscale((1, 4, 4), 3), subscale((1, 4, 4), 2, given_levels=3, top=5)
    raises("small", model.sample, 2, small=torch.zeros(2, 1, 3, 2, dtype=torch.long))
    raises("small", model.sample, 2, small=torch.full((2, 1, 2, 2), 3))
    raises("given", model.sample, 2, given=torch.zeros(2, 1, 4, 4, dtype=torch.long))
    raises("given", fine.sample, 2)
    raises("given", fine.log_prob, torch.zeros(1, 1, 4, 4).long(), torch.full((1, 1, 4, 4), 3))
    raises("step", DepthUpscaling, model, fine, 5, 3)


@pytest.mark.parametrize("name", FILES)
def test_docstring_examples_run(name):
    torch.set_default_dtype(torch.float32)
    module = importlib.import_module(f"dgm.autoregressive.{name}")
    names = {"torch": torch, "nn": nn, "F": torch.nn.functional}
    assert doctest.testmod(module, extraglobs=names).failed == 0
    assert pixelrnn.skew is skew
