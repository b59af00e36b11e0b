"""Colour: the sprites are what their factors say, and models use red, green and blue rightly."""

import hashlib
import math

import contract
import pytest
import torch

from dgm import data
from dgm.data.color_sprites import COLOR_COUNTS, GROUND, draw_color_sprites
from dgm.distribution.support import Levels, Reals
from dgm.flow.coupling import AffineCoupling
from dgm.flow.masked_coupling import MaskedCoupling, channel_mask
from dgm.flow.multiscale import Multiscale, Squeeze
from dgm.nets.resnet import ResNet
from dgm.zoo import flow, pixel

# --- the data -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sprites():
    return data.load("color_sprites")


def test_every_combination_of_factors_is_in_one_part_and_looks_different(sprites):
    parts = (sprites.train, sprites.val, sprites.test)
    labels = torch.cat((sprites.train_y, sprites.val_y, sprites.test_y))
    assert [len(part) for part in parts] == [9832, 1228, 1228]
    assert torch.equal(
        labels.unique(dim=0), torch.cartesian_prod(*[torch.arange(k) for k in COLOR_COUNTS])
    )
    pictures = torch.cat(parts)
    assert torch.equal(draw_color_sprites(labels), pictures)
    assert len(pictures.flatten(1).unique(dim=0)) == math.prod(COLOR_COUNTS)
    assert pictures.unique().tolist() == list(range(8))  # every level is used
    digest = hashlib.md5(sprites.train.numpy().tobytes()).hexdigest()
    assert digest == "c268ce21f7a801ecebf023205256935a"  # on every machine


def middle(pictures):
    """Centre of the pixels that are not of the ground, (N, 2) row and column."""
    ink = (pictures != torch.tensor(GROUND)[:, None, None]).any(1).double()
    at = torch.arange(16.0, dtype=torch.float64)
    total = ink.sum((1, 2))
    return torch.stack(((ink.sum(2) * at).sum(1), (ink.sum(1) * at).sum(1)), 1) / total[:, None]


def test_each_factor_changes_what_it_should():
    base = torch.tensor([[0, 0, 3, 3, 3]])

    def turned(factor, values):
        factors = base.repeat(len(values), 1)
        factors[:, factor] = torch.tensor(values)
        return draw_color_sprites(factors)

    x, y = middle(turned(3, range(8))), middle(turned(4, range(8)))
    assert (x.diff(dim=0)[:, 1] > 0.3).all()
    assert (x[:, 0] - x[0, 0]).abs().max() < 0.15  # rows: only the smooth rim may count or not
    assert torch.equal(y, x.flip(1))  # a disc: what holds across holds upright
    area = (turned(2, range(4)) != torch.tensor(GROUND)[:, None, None]).any(1).sum((1, 2))
    assert (area.diff() > 0).all()
    colors = turned(1, [0, 2, 4, 8])[:, :, 9, 9].double()  # red, yellow, green, blue; lower right
    pure = torch.tensor([[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 1]]).bool()
    assert colors[pure].min() > 2 * colors[~pure].max()
    assert len({tuple(p.flatten().tolist()) for p in turned(0, range(4))}) == 4


def test_edges_are_smooth_and_corners_are_bare():
    reds = draw_color_sprites(torch.tensor([[0, 0, 3, 3, 3]]))[0, 0]
    assert len(reds.unique()) >= 6  # a hard edge would have two, and the light's
    places = [[x, y] for x in (0, 7) for y in (0, 7)]
    factors = torch.tensor([[shape, 0, 3, *place] for shape in range(4) for place in places])
    corners = draw_color_sprites(factors)[:, :, [0, 0, -1, -1], [0, -1, 0, -1]]
    assert (corners == torch.tensor(GROUND)[:, None]).all(1).float().mean() > 0.9


@pytest.mark.parametrize("wrong", [[4, 0, 0, 0, 0], [0, -1, 0, 0, 0], [0, 0, 0, 0], [0.0] * 5])
def test_factors_that_are_none_are_refused(wrong):
    with pytest.raises(ValueError, match="factors must be integers"):
        draw_color_sprites(torch.tensor([wrong]))


# --- pixel models: red, then green given red, then blue given both --------------------------------

CHAINS = ("pixelcnn", "row_lstm", "diagonal_bilstm", "gated_pixelcnn", "pixelcnnpp")


def chain(name, shape, levels=8):
    model = getattr(pixel, name)(Levels(shape, levels), width=6, blocks=2)
    return contract.moved(model.double(), std=0.4)


@pytest.mark.parametrize("name", CHAINS)
def test_a_colour_sees_those_before_it_at_its_place_and_no_other(name):
    """One value is changed: what comes later in raster order, colours innermost, may change."""
    model = chain(name, (3, 4, 4))
    x = torch.randint(8, (6, 3, 4, 4), generator=torch.Generator().manual_seed(0))
    i, j = 1, 2
    before = model(x)  # (B, 3, 4, 4, K)
    for color in range(3):
        other = x.clone()
        other[:, color, i, j] = (x[:, color, i, j] + 3) % 8
        changed = (model(other) - before).abs().amax((0, -1)) > 1e-9  # (3, 4, 4)
        at_place = changed[:, i, j].tolist()
        assert at_place == [later > color for later in range(3)], "R, then G, then B"
        order = changed.flatten(1).T.flatten()  # in the order of the chain
        first = 3 * (4 * i + j) + color
        assert not order[: first + 1].any()
        assert changed[:, i, j + 1].all(), "the next place sees every colour"


@pytest.mark.parametrize("name", CHAINS)
def test_the_512_colours_of_a_pixel_sum_to_one(name):
    model = chain(name, (3, 2, 3))
    x = torch.randint(8, (1, 3, 2, 3), generator=torch.Generator().manual_seed(1))
    x = x.repeat(512, 1, 1, 1)
    x[:, :, 1, 1] = torch.cartesian_prod(*[torch.arange(8)] * 3)
    p = model.place_terms(x)[:, :, 1, 1].sum(1).exp()
    assert p.sum().item() == pytest.approx(1, abs=1e-6 if name == "pixelcnnpp" else 1e-12)


# --- flows: channels are split in halves, colours stay together at a place ------------------------


def by_autograd(layer, x):
    """log|det| of one example's Jacobian, and the layer's own."""
    z, log_det = layer(x)
    jacobian = torch.func.jacrev(lambda v: layer(v[None])[0].flatten())(x[0]).flatten(1)
    return torch.linalg.slogdet(jacobian).logabsdet, log_det[0], z


def test_a_channel_mask_needs_an_even_number_so_colours_are_squeezed_first():
    with pytest.raises(ValueError, match="even number of channels, got 3"):
        channel_mask((3, 4, 4))
    squeezed, _ = Squeeze()(torch.arange(3.0).view(1, 3, 1, 1).expand(1, 3, 2, 2))
    assert squeezed.flatten().tolist() == [0] * 4 + [1] * 4 + [2] * 4  # colour by colour
    mask = channel_mask((12, 2, 2))
    assert mask[:, 0, 0].tolist() == [1] * 6 + [0] * 6  # red and half of green are seen first
    layer = contract.moved(MaskedCoupling(ResNet(12, 24, 8, blocks=1), mask).double(), std=0.3)
    x = torch.randn(2, 12, 2, 2, dtype=torch.float64)
    truth, own, z = by_autograd(layer, x)
    torch.testing.assert_close(own, truth)
    torch.testing.assert_close(layer.inverse(z), x)
    assert torch.equal(z[:, :6], x[:, :6])
    assert (z[:, 6:] != x[:, 6:]).all()


def test_multiscale_couplings_of_colours_invert_and_count_volume():
    levels = [[AffineCoupling(ResNet(c // 2, c, 8, blocks=1)) for _ in range(2)] for c in (12, 24)]
    flow_of_colours = contract.moved(Multiscale((3, 4, 4), levels).double(), std=0.3)
    x = torch.randn(2, 3, 4, 4, dtype=torch.float64)
    truth, own, z = by_autograd(flow_of_colours, x)
    torch.testing.assert_close(own, truth)
    torch.testing.assert_close(flow_of_colours.inverse(z), x)


@pytest.mark.parametrize("name", ["nice", "realnvp", "glow", "flowpp"])
def test_flows_take_colour_pictures(name):
    sizes = {} if name == "nice" else dict(steps=(1, 1))
    build = getattr(flow, name)
    x = torch.randn(1, 3, 4, 4, dtype=torch.float64)
    model = contract.moved(build(Reals((3, 4, 4)), width=8, **sizes).double(), std=0.1)
    truth, own, z = by_autograd(model, x)
    torch.testing.assert_close(own, truth)
    torch.testing.assert_close(model.inverse(z), x)
    shown = build(Levels((3, 4, 4), 8), width=8, **sizes)
    drawn = shown.sample(5, generator=torch.Generator().manual_seed(0))
    assert (drawn.shape, drawn.dtype) == ((5, 3, 4, 4), torch.uint8)
    assert shown.elbo(drawn).shape == (5,)
