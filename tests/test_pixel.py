"""Pixel models: the contract, what each network can see, cached draws, completions, upscaling."""

import copy
import itertools
import math
from functools import partial
from types import SimpleNamespace

import contract
import pytest
import torch

from dgm.audit import audit
from dgm.autoregressive.autoregressive import Autoregressive
from dgm.autoregressive.law import LevelLaw, LogisticMixtureLaw
from dgm.distribution.discretized_logistic import DiscretizedLogisticMixture
from dgm.distribution.support import Levels, Reals
from dgm.measure.receptive_field import seen_from
from dgm.nets.gated_pixelcnn import GatedPixelCNN
from dgm.nets.pixel_network import (
    CachedPixelNetwork,
    PixelNetwork,
    level_features,
    n_level_features,
)
from dgm.nets.pixelcnn import CausalStack, MaskedBlock, MaskedConv2d, raster_mask
from dgm.nets.pixelrnn import DiagonalBiLSTM, DiagonalLSTM, RowLSTM, skew, unskew
from dgm.nets.subscale import SubscaleNetwork, from_slices, to_slices
from dgm.pixel import ordering
from dgm.pixel.depth_upscaling import DepthUpscaling
from dgm.pixel.size_upscaling import SizeUpscaling
from dgm.train.shifts import WholeShifts
from dgm.zoo import pixel as systems

pytestmark = pytest.mark.usefixtures("float64")
moved = partial(contract.moved, std=0.4)

LEAK, ONE, LAW = (
    "no leak from the future",
    "sums or integrates to one",
    "samples follow the density",
)


@contract.over("pixel")
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


def chain(net, shape, levels, law=None, condition=None, **more):
    """The chain rule in raster order, weights as they start."""
    data = Levels(shape, levels)
    law = law or LevelLaw(levels, data.dims)
    kind = CachedPixelNetwork if hasattr(net, "cache") else PixelNetwork
    net = kind(net, shape, levels, law.out_features, **more)
    return Autoregressive(net, law, data, ordering.raster_order(*shape), condition)


def model_of(name, shape, levels, **more):
    stack = NETS[name](n_level_features(shape, levels), shape)
    return moved(chain(stack, shape, levels, **more))


def gated(shape, levels, n_classes=0, **sizes):
    features, sizes = n_level_features(shape, levels), {"width": 6, "blocks": 3} | sizes
    stack = GatedPixelCNN(features, shape, n_classes=n_classes, **sizes)
    return moved(chain(stack, shape, levels, None, Levels((), n_classes) if n_classes else None))


def subscale(shape, levels, scale=2, **more):
    return moved(systems.subscale(Levels(shape, levels), scale, 6, 2, **more))


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


def masks_of(model):
    return [m.mask for m in model.modules() if isinstance(m, MaskedConv2d)]


def test_masks_by_layer_a_first_then_b_whatever_is_loaded():
    """A weights file cannot bring or repair a mask: it holds none."""
    model = systems.pixelcnn(Levels((1, 8, 8), 17), width=8, blocks=3)
    first, *later = masks_of(model)
    assert torch.equal(first, raster_mask(7, strict=True))
    assert len(later) == 3
    assert all(torch.equal(mask, raster_mask(3, strict=False)) for mask in later)
    assert not any("mask" in name for name in model.state_dict())
    broken = copy.deepcopy(model)
    for mask in masks_of(broken):
        mask.zero_()
    broken.load_state_dict(model.state_dict())
    assert all(not mask.any() for mask in masks_of(broken))


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
    model.net.stack.first.mask.copy_(raster_mask(3, strict=False))
    report = audit(model, torch.randint(2, (8, 1, 3, 3)))
    assert report[LEAK].verdict == report[ONE].verdict == "FAIL"


def test_audit_catches_the_right_moving_map_not_shifted():
    class Unshifted(DiagonalBiLSTM):
        def forward(self, x):
            return self.left(x) + self.right(x.flip(3)).flip(3)

    net = CausalStack(3, (1, 3, 3), 6, [Unshifted(6)], first=3)
    report = audit(chain(net, (1, 3, 3), 2), torch.randint(2, (8, 1, 3, 3)))
    assert report[LEAK].verdict == report[ONE].verdict == "FAIL"


def test_audit_catches_generation_in_reverse_and_a_cache_off_by_one():
    class Reversed(Autoregressive):
        def sample(self, n, **options):
            return super().sample(n, **options).flip(2, 3)

    class Late(CachedPixelNetwork):
        def step(self, t, v, state, *y):
            before, own = state or (None, None)
            out, own = super().step(t, v, own, *y)
            return out if before is None else before, (out, own)

    shape, x = (1, 2, 3), torch.randint(2, (8, 1, 2, 3))
    reverse = gated(shape, 2)
    reverse.__class__ = Reversed
    late = gated(shape, 2)
    late.net.__class__ = Late
    for model in (reverse, late):
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
    step, whole = model.net.stack.cache(5, y), model.net.stack(h, y)
    for i, j in itertools.product(range(shape[1]), range(shape[2])):
        torch.testing.assert_close(step(h, i, j), whole[:, :, i, j], rtol=0, atol=1e-12)


@pytest.mark.parametrize("shape", [(1, 3, 4), (2, 2, 3)])
def test_steps_give_the_rows_of_the_whole_pass(shape):
    """Also with later values in place, which no row may use."""
    model = gated(shape, 4)
    v, state = torch.randint(4, (5, math.prod(shape))), None
    whole = model.net(v)
    for t in range(v.shape[1]):
        out, state = model.net.step(t, v, state)
        torch.testing.assert_close(out, whole[:, t], rtol=0, atol=1e-12)


def test_cached_draws_look_at_one_place_at_a_time():
    """The cached pass never runs the whole network; a stack without a cache has no steps."""
    model = gated((1, 4, 4), 3)
    model.net.forward = model.net.stack.forward = None
    assert model.sample(2).shape == (2, 1, 4, 4)
    assert not hasattr(model_of("row", (1, 4, 4), 3).net, "step")


@pytest.mark.parametrize("entry", systems.ENTRIES, ids=lambda entry: entry.name)
def test_equal_generators_give_equal_draws_and_modes_stay(entry):
    torch.set_default_dtype(torch.float32)
    model = entry.small(0)[0].train()
    model.requires_grad_(False)
    modes = [module.training for module in model.modules()]
    state = torch.get_rng_state()
    a, b, c = (model.sample(8, generator=seeded(seed)) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(a, b)
    assert not torch.equal(a, c)
    assert a.dtype == torch.uint8
    assert model.sample(0).shape == (0, *model.data.shape)
    assert [module.training for module in model.modules()] == modes


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
    drawn = (
        model.place_terms(x[given]).flatten(1)[:, :2].sum(1).exp()
    )  # p(x1) p(x2 | x1): as if nothing were known
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
    terms = model(x).gather(-1, x.unsqueeze(-1)).squeeze(-1)
    torch.testing.assert_close(terms, model.place_terms(x))
    torch.testing.assert_close(terms.flatten(1).sum(1), exact)


def test_a_label_moves_the_draws():
    model = gated((1, 2, 2), 3, n_classes=2)
    with torch.no_grad():
        model.net.stack.layers[0].condition.weight.mul_(20)
    a, b = (model.sample(4000, y=torch.tensor(c), generator=seeded()) for c in (0, 1))
    assert (a.float().mean(0) - b.float().mean(0)).abs().max() > 0.1


def test_mixture_law_on_the_gated_network_sums_to_one():
    law = LogisticMixtureLaw(DiscretizedLogisticMixture, 5, 4, n_components=2)
    model = moved(chain(GatedPixelCNN(6, (1, 2, 2), 6, 2), (1, 2, 2), 5, law))
    x = all_images(5, 1, 2, 2)
    assert model(x).shape == (625, 1, 2, 2, 6)
    assert model.log_prob(x).exp().sum().item() == pytest.approx(1, abs=1e-10)


def test_start_from_puts_every_pixel_at_its_frequencies():
    """In raster order with colours innermost, and slice by slice."""
    torch.set_default_dtype(torch.float32)
    x = torch.randint(3, (50, 2, 4, 4)) * (torch.rand(50, 2, 4, 4) < 0.7)
    colour = systems.gated_pixelcnn(Levels((2, 4, 4), 3), width=4, blocks=1)
    slices = systems.subscale(Levels((1, 4, 4), 3), width=4, blocks=1)
    for model, images in ((colour, x), (slices, x[:, :1])):
        model.start_from(images)
        found = model.law(torch.zeros(1, model.data.dims, 3))[0, model.rank]
        expected = model.data.frequencies(images).log().flatten(0, -2)
        torch.testing.assert_close(found, expected)


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
    model.net.noise = 1.0
    quiet = model.log_prob(x)
    assert torch.equal(model.log_prob(x), quiet)
    model.train()
    assert not torch.equal(model.log_prob(x), quiet)
    first = model(x)[:, 0, 0, 0]  # nothing before it: no noise can reach it
    torch.testing.assert_close(first, first[:1].expand(64, 5))


# --- subscale and upscaling -----------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_order_is_the_rank_formula_and_slices_follow_it(scale):
    model = systems.subscale(Levels((1, 4, 8), 3), scale, width=6, blocks=1)
    ranks = ordering.subscale_ranks(4, 8, scale)
    assert torch.equal(model.order, ordering.order_of_ranks(ranks))
    x = torch.randint(3, (2, 1, 4, 8))
    assert torch.equal(model.in_order(x), to_slices(x, scale).flatten(1))
    assert torch.equal(from_slices(to_slices(x, scale), scale), x)


def test_raster_order_has_the_colours_of_a_place_together():
    assert ordering.raster_order(1, 2, 3).tolist() == [0, 1, 2, 3, 4, 5]
    assert ordering.raster_order(3, 1, 2).tolist() == [0, 2, 4, 1, 3, 5]


@pytest.mark.parametrize("kind", ["plain", "fine", "skip"])
def test_subscale_steps_cached_and_whole_are_equal(kind):
    rest = dict(plain={}, fine=dict(coarse_levels=3, top=5), skip=dict(skip=1))[kind]
    model = subscale((1, 6, 4), 2, **rest)
    y = torch.randint(3, (4, 1, 6, 4)) if kind == "fine" else None
    fast, slow = (model.sample(4, y=y, generator=seeded(), cached=c) for c in (True, False))
    assert torch.equal(fast, slow)
    v, given, state = torch.randint(2, (4, 24)), () if y is None else (y,), None
    whole = model.net(v, *given)
    for t in range(24):
        out, state = model.net.step(t, v, state, *given)
        torch.testing.assert_close(out, whole[:, t], rtol=0, atol=1e-12)


def test_size_upscaling_adds_up_and_keeps_the_small_image():
    """log p(x) = log p(small) + log p(rest | small), over all 256 images, and in draws."""
    first, rest = model_of("gated", (1, 1, 2), 2), subscale((1, 2, 4), 2, skip=1)
    model = SizeUpscaling(first, rest, 2)
    x = all_images(2, 1, 2, 4)
    small = to_slices(x, 2)[:, :1]
    terms = model.terms(x)
    assert terms["small"].exp().sum().item() == pytest.approx(2**6, rel=1e-9)
    assert sum(terms.values()).exp().sum().item() == pytest.approx(1, abs=1e-9)
    torch.testing.assert_close(terms["small"], first.log_prob(small))
    kept = model.sample(6, small=small[-6:], generator=seeded(2))
    assert torch.equal(to_slices(kept, 2)[:, :1], small[-6:].to(torch.uint8))
    drawn = model.sample(6, generator=seeded())
    again = first.sample(6, generator=seeded())
    assert torch.equal(to_slices(drawn, 2)[:, :1], again)


def test_what_is_skipped_costs_nothing_and_has_no_say():
    """Slice 0 of a network that skips it: zeros, and no decoder call."""
    model, calls = subscale((1, 4, 4), 3, skip=1), []
    model.net.decoder.register_forward_hook(lambda *_: calls.append(1))
    v = torch.randint(3, (2, 16))
    out = model.net(v)
    assert not out[:, :4].any()
    assert out[:, 4:].any()
    assert len(calls) == 3


def test_depth_upscaling_splits_exactly_and_gives_no_mass_beyond_the_last_level():
    coarse = model_of("gated", (1, 2, 2), 3)
    fine = subscale((1, 2, 2), 2, scale=1, coarse_levels=3, top=5)
    model = DepthUpscaling(coarse, fine, Levels((1, 2, 2), 5), step=2)
    x = all_images(5, 1, 2, 2)
    terms = model.terms(x)
    torch.testing.assert_close(terms["coarse"], coarse.log_prob(x // 2))
    torch.testing.assert_close(model.log_prob(x), terms["coarse"] + fine.log_prob(x % 2, x // 2))
    assert model.log_prob(x).exp().sum().item() == pytest.approx(1, abs=1e-12)
    assert model.sample(500).max() <= 4
    high = torch.full((50, 1, 2, 2), 2)
    assert (model.sample(50, coarse=high) == 4).all()


def test_both_upscalings_at_once_sum_to_one_and_have_three_terms():
    model = moved(systems.size_and_depth_upscaling(Levels((1, 2, 2), 3), width=4, blocks=1))
    x = all_images(3, 1, 2, 2)
    assert model.log_prob(x).exp().sum().item() == pytest.approx(1, abs=1e-12)
    parts = model.coarse.terms(x // 2) | {"fine": model.terms(x)["fine"]}
    torch.testing.assert_close(sum(parts.values()), model.log_prob(x))


# --- orders of an image ---------------------------------------------------------------------------


def test_orders_are_the_printed_grids():
    assert ordering.subscale_ranks(4, 4).tolist() == [
        [1, 5, 2, 6], [9, 13, 10, 14], [3, 7, 4, 8], [11, 15, 12, 16]]  # fmt: skip
    assert ordering.multi_scale_ranks(4, 4).tolist() == [
        [1, 5, 2, 6], [7, 8, 9, 10], [3, 11, 4, 12], [13, 14, 15, 16]]  # fmt: skip
    assert ordering.raster_ranks(2, 3).tolist() == [[1, 2, 3], [4, 5, 6]]
    assert ordering.parallel_groups(4, 4).tolist() == [[1, 2, 1, 2], [3, 3, 3, 3]] * 2


@pytest.mark.parametrize(("height", "width", "scale"), [(4, 4, 2), (8, 8, 2), (8, 8, 4), (6, 9, 3)])
def test_ranks_are_permutations(height, width, scale):
    grids = [ordering.raster_ranks(height, width)]
    grids += [ordering.multi_scale_ranks(height, width, scale)]
    grids += [ordering.subscale_ranks(height, width, scale)]
    grids += [ordering.size_upscaling_ranks(height, width, scale)[0]]
    grids += [ordering.depth_upscaling_ranks(height, width, scale)[0]]
    for rank in grids:
        order = ordering.order_of_ranks(rank)
        assert rank.flatten()[order].tolist() == list(range(1, len(order) + 1))


def test_subscale_draws_whole_small_images_in_turn():
    rank = ordering.subscale_ranks(6, 6, 3)
    for s, (i, j) in enumerate(itertools.product(range(3), range(3))):
        assert torch.equal(rank[i::3, j::3], ordering.raster_ranks(2, 2) + 4 * s)


def test_stages_of_upscaling_rise_with_the_rank():
    for rank, stage in (
        ordering.size_upscaling_ranks(4, 4),
        ordering.depth_upscaling_ranks(4, 4),
        ordering.size_and_depth_ranks(4, 4),
    ):
        assert (stage.flatten()[ordering.order_of_ranks(rank)].diff() >= 0).all()
    rank, stage = ordering.size_upscaling_ranks(4, 4)
    assert stage[::2, ::2].tolist() == [[1, 1], [1, 1]]
    assert int((stage == 1).sum()) == 4


def test_depth_splits_without_loss():
    x = torch.arange(256)
    coarse, fine = ordering.split_depth(x, 2**5)
    assert coarse.max() == 7
    assert torch.equal(ordering.join_depth(coarse, fine, 2**5), x)


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
    raises("n", model.sample, -1)
    raises("temperature", model.sample, 1, temperature=0)
    raises("y", model.sample, 2, y=torch.tensor([0, 2]))
    raises("y", model.sample, 2, y=torch.tensor([0, 1, 1]))
    raises("y", model.log_prob, x, torch.tensor([0.0, 1.0]))
    raises("y", model.log_prob, x, torch.tensor([-1, 0]))
    raises("y", model_of("row", (1, 4, 4), 3).log_prob, x, torch.tensor([0, 1]))


def test_bad_conditions_of_upscaling_are_named():
    x = torch.zeros(2, 1, 4, 4, dtype=torch.long)
    size = moved(systems.size_upscaling(Levels((1, 4, 4), 3), width=4, blocks=1))
    raises("small", size.sample, 2, small=torch.zeros(2, 1, 3, 2, dtype=torch.long))
    raises("small", size.sample, 2, small=torch.full((2, 1, 2, 2), 3))
    raises("known", size.sample, 3, small=torch.zeros(2, 1, 2, 2, dtype=torch.long))
    raises("y", subscale((1, 4, 4), 3).sample, 2, y=x)
    fine = subscale((1, 4, 4), 2, coarse_levels=3, top=5)
    raises("y", fine.sample, 2)
    raises("y", fine.log_prob, x, torch.full_like(x, 3))
    raises("coarse", DepthUpscaling(subscale((1, 4, 4), 3), fine, Levels((1, 4, 4), 5), 2).sample,
           2, coarse=x + 3)  # fmt: skip


GOOD = Levels((1, 4, 4), 3)


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("kernel", lambda: MaskedConv2d(1, 1, 4)),
        ("kernel", lambda: RowLSTM(3, 2)),
        ("width", lambda: RowLSTM(0)),
        ("width", lambda: DiagonalLSTM(0)),
        ("kernel", lambda: GatedPixelCNN(3, (1, 4, 4), kernel=4)),
        ("first", lambda: GatedPixelCNN(3, (1, 4, 4), first=1)),
        ("first", lambda: CausalStack(3, (1, 4, 4), 4, [], first=1)),
        ("layers", lambda: systems.pixelcnn(GOOD, blocks=-1)),
        ("width", lambda: systems.pixelcnn(GOOD, width=0)),
        ("dropout", lambda: systems.pixelcnn(GOOD, dropout=math.nan)),
        ("layers", lambda: systems.row_lstm(GOOD, blocks=0)),
        ("width", lambda: systems.diagonal_bilstm(GOOD, width=0)),
        ("blocks", lambda: systems.gated_pixelcnn(GOOD, blocks=0)),
        ("width", lambda: systems.gated_pixelcnn(GOOD, width=0)),
        ("dropout", lambda: systems.gated_pixelcnn(GOOD, dropout=1.0)),
        ("noise", lambda: systems.gated_pixelcnn(GOOD, noise=1.5)),
        ("levels", lambda: systems.class_pixelcnn(GOOD, n_classes=1)),
        ("n_components", lambda: systems.pixelcnnpp(GOOD, n_components=0)),
        ("context_dim", lambda: GatedPixelCNN(3, (1, 4, 4), n_classes=2, context_dim=2)),
        ("shape", lambda: PixelNetwork(NETS["gated"](4, (1, 4, 4)), (4, 4), 3, 3)),
        ("shape", lambda: SubscaleNetwork(None, None, (1, 5, 4), 3)),
        ("skip", lambda: systems.subscale(GOOD, skip=4)),
        ("data", lambda: systems.pixelcnn(Levels((16,), 3))),
        ("data", lambda: systems.gated_pixelcnn(Reals((1, 4, 4)))),
        ("data", lambda: systems.subscale(GOOD, scale=3)),
        ("data", lambda: systems.subscale(GOOD, scale=0)),
        ("data", lambda: systems.size_upscaling(Levels((3, 4, 4), 3))),
        ("scale", lambda: systems.size_upscaling(GOOD, scale=1)),
        ("step", lambda: systems.depth_upscaling(GOOD, step=3)),
        ("step", lambda: systems.size_and_depth_upscaling(GOOD, step=0)),
        ("order", lambda: SizeUpscaling(gated((1, 2, 2), 3), gated((1, 4, 4), 3))),
        ("first", lambda: SizeUpscaling(gated((1, 3, 2), 3), subscale((1, 4, 4), 3))),
        ("levels", lambda: SizeUpscaling(gated((1, 2, 2), 2), subscale((1, 4, 4), 3))),
        ("coarse", lambda: DepthUpscaling(gated((1, 4, 4), 3), gated((1, 4, 4), 3), GOOD, 2)),
        ("i", lambda: seen_from(NETS["gated"](4, (1, 4, 4)), torch.randn(1, 4, 4, 4), 4, 0)),
        ("scale", lambda: ordering.subscale_ranks(4, 6, 4)),
        ("rank", lambda: ordering.order_of_ranks(ordering.parallel_groups(4, 4))),
        ("x", lambda: ordering.split_depth(torch.rand(3), 4)),
        ("step", lambda: ordering.split_depth(torch.arange(3), 0)),
    ],
)
def test_sizes_that_cannot_work_are_refused_when_built(name, make):
    raises(name, make)


def test_whole_shifts_move_pictures_and_nothing_else():
    """Each moved picture is its neighbourhood of nine with zeros from outside; later none is."""
    x = torch.randint(1, 6, (400, 2, 3, 4), dtype=torch.uint8)
    shifts, framed = WholeShifts(until=50), torch.nn.functional.pad(x, (1, 1, 1, 1))
    torch.manual_seed(4)
    found = shifts(x, 7)
    nine = [framed[:, :, i : i + 3, j : j + 4] for i in range(3) for j in range(3)]
    same = torch.stack([(found == part).flatten(1).all(1) for part in nine])  # (9, N)
    assert same.any(0).all()
    assert same.sum(1).min() > 20
    assert found.dtype == x.dtype
    torch.manual_seed(4)
    assert torch.equal(shifts(x, 7), found)
    left = lambda step: (shifts(x, step) == x).flatten(1).all(1).double().mean().item()  # noqa: E731
    assert left(0) < 0.2 < 0.6 < left(44) < left(49) == 1
    with pytest.raises(ValueError, match="until"):
        WholeShifts(0)


def test_the_recipe_of_large_digits_trains_twice_and_each_time_has_a_checkpoint(tmp_path):
    entry = next(e for e in systems.ENTRIES if e.name == "class_pixelcnn")
    recipe = entry.recipes["mnist"]
    x, y = torch.randint(4, (6, 1, 4, 4), dtype=torch.uint8), torch.arange(6)
    dataset = SimpleNamespace(train=x, train_y=y, val=x, val_y=y)
    few = dict(steps=3, batch_size=2, warmup=0, eval_every=1, moved=2, progress=False)
    ends = []
    for checkpoint in (None, tmp_path / "run.safetensors"):
        torch.manual_seed(0)
        model = entry.build(Levels((1, 4, 4), 4), width=4, blocks=2)
        settings = recipe.fit | few | dict(checkpoint=checkpoint)
        assert math.isfinite(recipe.train(model, dataset, 0, **settings).best_val)
        ends.append(model.state_dict())
    assert {p.name for p in tmp_path.iterdir()} == {"run.safetensors", "first-run.safetensors"}
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


def test_mnist_recipe_takes_a_step_at_its_own_size():
    torch.set_default_dtype(torch.float32)
    entry = next(e for e in systems.ENTRIES if e.name == "gated_pixelcnn")
    recipe = entry.recipes["mnist"]
    assert recipe.scale == "gpu"
    x = torch.randint(256, (2, 1, 28, 28), dtype=torch.uint8)
    model = entry.build(Levels((1, 28, 28), 256), **recipe.sizes)
    dataset = SimpleNamespace(train=x, val=x)
    found = recipe.train(model, dataset, 0, **recipe.fit | dict(steps=1, batch_size=1, warmup=0))
    assert math.isfinite(found.best_val)
