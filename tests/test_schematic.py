"""Schematics: every one is whole, readable, told in words, and drawn from the model it is given."""

import inspect
import itertools
import pkgutil
import re
import xml.etree.ElementTree as ElementTree

import pytest
import torch

from dgm import zoo
from dgm.distribution.support import Levels, Reals
from dgm.flow.coupling import AdditiveCoupling, AffineCoupling
from dgm.flow.masked_coupling import MaskedCoupling, channel_mask, checkerboard_mask
from dgm.flow.mixture_coupling import LogisticMixtureCoupling
from dgm.nets.gated_pixelcnn import GatedPixelCNN
from dgm.nets.made import MADE
from dgm.nets.pixelcnn import CausalStack, MaskedBlock, MaskedConv2d
from dgm.nets.pixelrnn import RowLSTM
from dgm.nets.transformer import CausalAttention, Transformer, TransformerBlock
from dgm.nets.value_embedding import LevelVectors
from dgm.nets.wavenet import GatedResidualBlock, WaveNet
from dgm.pixel.ordering import raster_ranks, size_upscaling_ranks, subscale_ranks
from dgm.plot import shapes, wiring
from dgm.plot.schematic import WIDTH, Diagram, Schematic, panels
from dgm.plot.shapes import KINDS, SIZE, text_width
from dgm.plot.wiring import (
    autoencoder,
    autoregressive,
    compression,
    continuous,
    deep_energy,
    diffusion,
    discrete,
    disentanglement,
    energy,
    fairness,
    flow,
    gan,
    geometry,
    hierarchical,
    hybrid,
    jem,
    joint,
    layers,
    linear,
    mixture,
    outlier,
    pixel,
    pixel_order,
    posterior,
    representation,
    residual,
    robustness,
    sequence,
    vae,
)
from dgm.residual.contractive import DenseContractive
from dgm.residual.lip_swish import ConcatLipSwish
from dgm.residual.spectral import SpectralLinear
from dgm.zoo.flow import flowpp, glow, nice, realnvp

SVG = "{http://www.w3.org/2000/svg}"
GREY = Levels((1, 8, 8), 17)
NET = torch.nn.Linear(2, 2)


def _made(width=8):
    return MADE(4, LevelVectors(3, 2), 3, width=width)


def _stack(*parts, first=3):
    return CausalStack(1, (1, 8, 8), 4, parts, first=first)


def _dense_net(depth=2):
    def layer(i, n_in, n_out, coefficient):
        return SpectralLinear(n_in, n_out, coefficient)

    return DenseContractive(8, 6, depth, layer, ConcatLipSwish, 0.9)


def _hierarchies():
    small = {"sides": (1, 2), "channels": (2, 2), "width": 4}
    numbers = {"z_dims": (2, 2), "width": 4}
    kind = Levels((1, 4, 4), 2)
    sizes = {"bottom_up_vae": numbers, "ladder_vae": numbers, "biva": small}
    models = {name: zoo.get(name).build(kind, **size) for name, size in sizes.items()}
    deep = zoo.get("nvae").build(kind, sides=(1, 2, 2, 2), channels=(1,) * 4, width=4)
    return hierarchical.layer_dependence(models | {"nvae": deep})


CASES = {
    "layer_dependence": _hierarchies,
    "two_heads": joint.two_heads,
    "bayes_classifier": joint.bayes_classifier,
    "bayes_classifier 2": lambda: joint.bayes_classifier(2),
    "machines": energy.machines,
    "phases": deep_energy.phases,
    "one_network": jem.one_network,
    "made_up_tasks": representation.made_up_tasks,
    "bits_back_steps": compression.bits_back_steps,
    "integer_stage": compression.integer_stage,
    "noise_chain": diffusion.noise_chain,
    "mixture_cause": mixture.mixture_cause,
    "linear_codes": linear.linear_codes,
    "autoencoders": autoencoder.autoencoders,
    "vae_bound": vae.vae_bound,
    "importance_draws": vae.importance_draws,
    "importance_draws 2": lambda: vae.importance_draws(2),
    "latent_spaces": geometry.latent_spaces,
    "posterior_ladder": posterior.posterior_ladder,
    "prior_ladder": posterior.prior_ladder,
    "code_map": discrete.code_map,
    "two_levels": discrete.two_levels,
    "relaxed_draw": discrete.relaxed_draw,
    "chain_rule": lambda: autoregressive.chain_rule([2, 0, 3, 1]),
    "chain_rule 5": lambda: autoregressive.chain_rule(range(5)),
    "made_masks": lambda: autoregressive.made_masks(_made()),
    "made_masks ordered": lambda: autoregressive.made_masks(_made(), torch.tensor([2, 0, 3, 1])),
    "nade_sum": autoregressive.nade_sum,
    "recurrent_chain": autoregressive.recurrent_chain,
    "masked_convolution": lambda: pixel.masked_convolution(
        MaskedConv2d(1, 1, 5, strict=True), MaskedConv2d(1, 1, 3)
    ),
    "two_stacks": lambda: pixel.two_stacks(GatedPixelCNN(1, (1, 8, 8), 4, 3)),
    "two_stacks dilated": lambda: pixel.two_stacks(
        GatedPixelCNN(1, (1, 8, 8), 4, 6, kernel=5, first=7, dilations=(1, 2))
    ),
    "row_lstm_steps": lambda: pixel_order.row_lstm_steps(RowLSTM(4)),
    "diagonal_steps": pixel_order.diagonal_steps,
    "pixel_order": lambda: pixel_order.pixel_order(subscale_ranks(4, 4), 7, "Subscale order"),
    "pixel_order raster": lambda: pixel_order.pixel_order(raster_ranks(8, 8), title="Raster"),
    "upscaling": pixel_order.upscaling,
    "dilated": lambda: sequence.dilated(WaveNet(4, 4)),
    "dilated long": lambda: sequence.dilated(WaveNet(4, 6, 2)),
    "gated_block": lambda: sequence.gated_block(GatedResidualBlock(4, 4)),
    "gated_block last": lambda: sequence.gated_block(GatedResidualBlock(4, 32, last=True)),
    "lstm_gates": sequence.lstm_gates,
    "transformer_block": lambda: sequence.transformer_block(TransformerBlock(72, 4)),
    "attention_sight": lambda: sequence.attention_sight(CausalAttention(8, 2)),
    "coupling additive": lambda: flow.coupling(AdditiveCoupling(NET)),
    "coupling affine": lambda: flow.coupling(AffineCoupling(NET)),
    "coupling mixture": lambda: flow.coupling(LogisticMixtureCoupling(NET, 4)),
    "coupling_masks": lambda: flow.coupling_masks(
        MaskedCoupling(NET, checkerboard_mask((1, 6, 6))), channel_mask((4, 3, 3))
    ),
    "multiscale": lambda: flow.multiscale(glow(GREY, steps=(4, 4), width=4)),
    "multiscale realnvp": lambda: flow.multiscale(realnvp(GREY, steps=(2,), width=4)),
    "multiscale flowpp": lambda: flow.multiscale(flowpp(GREY, steps=(2, 3), width=4)),
    "learned_noise": lambda: flow.learned_noise(flowpp(GREY, steps=(1,), width=4)),
    "learned_noise uniform": lambda: flow.learned_noise(nice(GREY, width=4)),
    "residual_steps": residual.residual_steps,
    "priced_code": disentanglement.priced_code,
    "two_sides": hybrid.two_sides,
    "class_and_style": hybrid.class_and_style,
    "three_codes": hybrid.three_codes,
    "beside_the_group": fairness.beside_the_group,
    "named_codes": fairness.named_codes,
    "beside_the_likelihood": outlier.beside_the_likelihood,
    "two_ways_to_a_class": robustness.two_ways_to_a_class,
    "dense_block": lambda: residual.dense_block(_dense_net()),
    "structured_steps": continuous.structured_steps,
    "two_trainings": continuous.two_trainings,
    "stack": lambda: layers.stack(_stack(MaskedBlock(4), MaskedBlock(4), first=7)),
    "stack titled": lambda: layers.stack(Transformer(8, 3, 2), "A Transformer"),
    "two_players": gan.two_players,
    "stack flow": lambda: layers.stack(nice(Reals((4,)), width=4)),
}
DRAWN = {}


def drawn(name):
    if name not in DRAWN:
        torch.manual_seed(0)
        DRAWN[name] = CASES[name]()
    return DRAWN[name]


def public_functions():
    for module in pkgutil.iter_modules(wiring.__path__, "dgm.plot.wiring."):
        found = __import__(module.name, fromlist=["_"])
        for name, thing in inspect.getmembers(found, inspect.isfunction):
            if thing.__module__ == module.name and thing.__annotations__["return"] is Schematic:
                yield name


def test_every_schematic_is_among_the_cases():
    assert set(public_functions()) == {name.split()[0] for name in CASES}


@pytest.mark.parametrize("name", CASES)
def test_page_is_well_formed_and_says_in_words_what_it_shows(name):
    html = drawn(name)._repr_html_()
    root = ElementTree.fromstring(html)
    pictures = [s for s in root.iter(f"{SVG}svg") if s.get("role") == "img"]
    assert len(pictures) == len(drawn(name).diagrams)
    for svg in pictures:
        title, desc = svg.find(f"{SVG}title"), svg.find(f"{SVG}desc")
        assert svg.get("aria-labelledby").split() == [title.get("id"), desc.get("id")]
        assert title.text.strip()
        assert len(desc.text.split()) >= 6
    ids = [e.get("id") for e in root.iter() if e.get("id")]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("name", CASES)
def test_page_has_the_colours_of_the_page_and_asks_nothing_of_another_host(name):
    html = drawn(name)._repr_html_()
    used = set(re.findall(r"#[0-9a-fA-F]{3,8}\b", html))
    assert used <= {color for color, _ in KINDS.values()}
    assert not re.search(r"\b(black|white|rgb\()", html)
    assert not re.search(r"<script|@import|url\(|href|src=", html)
    assert re.findall(r"https?://[^\"]*", html).count("http://www.w3.org/2000/svg") == len(
        re.findall(r"https?://", html)
    )


@pytest.mark.parametrize("name", CASES)
def test_running_again_changes_nothing(name):
    torch.manual_seed(0)
    first = CASES[name]()._repr_html_()
    assert first == drawn(name)._repr_html_()
    assert "0x" not in repr(drawn(name))


def overlaps(a, b):
    return all(
        min(a.span(k)[1], b.span(k)[1]) - max(a.span(k)[0], b.span(k)[0]) > 0.5 for k in (0, 1)
    )


@pytest.mark.parametrize("name", CASES)
def test_nothing_overlaps_or_leaves_the_panel(name):
    for panel in drawn(name).diagrams:
        for a, b in itertools.combinations(panel.boxes, 2):
            assert not overlaps(a, b), (panel.title, a, b)
        for box in panel.boxes:
            assert box.span(0)[0] >= -2, (panel.title, box)
            assert box.span(1)[0] >= -2, (panel.title, box)
        assert panel.extent()[0] <= WIDTH


@pytest.mark.parametrize("name", CASES)
def test_text_fits_its_box(name):
    for panel in drawn(name).diagrams:
        for box in panel.boxes:
            if box.kind and box.text != "dot":
                lines = box.text.split("\n")
                room = box.width - (14 if box.kind in ("network", "noise") else 6)
                assert max(text_width(line, SIZE) for line in lines) <= room, (panel.title, box)
                assert 18 * len(lines) <= box.height, (panel.title, box)


@pytest.mark.parametrize("name", CASES)
def test_no_arrow_runs_through_a_box(name):
    for panel in drawn(name).diagrams:
        for route in panel.routes:
            for (ax, ay), (bx, by) in itertools.pairwise(route):
                for k in range(1, 60):
                    x, y = ax + (bx - ax) * k / 60, ay + (by - ay) * k / 60
                    point = shapes.Box(x, y, 0.0, 0.0)
                    hit = [b for b in panel.boxes if b.text != "dot" and _inside(point, b)]
                    assert hit == [], (panel.title, route, hit)


def _inside(point, box):
    return all(box.span(k)[0] + 1.5 < (point.x, point.y)[k] < box.span(k)[1] - 1.5 for k in (0, 1))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (lambda: sequence.dilated(WaveNet(4, 2)), lambda: sequence.dilated(WaveNet(4, 3))),
        (
            lambda: sequence.gated_block(GatedResidualBlock(4, 4)),
            lambda: sequence.gated_block(GatedResidualBlock(4, 2)),
        ),
        (
            lambda: pixel.two_stacks(GatedPixelCNN(1, (1, 8, 8), 4, 2)),
            lambda: pixel.two_stacks(GatedPixelCNN(1, (1, 8, 8), 4, 2, first=7)),
        ),
        (
            lambda: flow.multiscale(glow(GREY, steps=(1, 2), width=4)),
            lambda: flow.multiscale(glow(GREY, steps=(2, 1), width=4)),
        ),
        (
            lambda: autoregressive.made_masks(_made(6)),
            lambda: autoregressive.made_masks(_made(5)),
        ),
        (
            lambda: pixel_order.row_lstm_steps(RowLSTM(4, 3)),
            lambda: pixel_order.row_lstm_steps(RowLSTM(4, 5)),
        ),
        (
            lambda: sequence.transformer_block(TransformerBlock(8, 2)),
            lambda: sequence.transformer_block(TransformerBlock(8, 4)),
        ),
    ],
)
def test_schematic_follows_the_model(one, other):
    drawings = [[panel.svg().split("</desc>")[1] for panel in f().diagrams] for f in (one, other)]
    assert drawings[0] != drawings[1]


def cells(panel, color):
    return panel.svg().count(f'fill="{KINDS[color][0]}" fill-opacity=".6"')


def test_mask_shows_as_many_taps_as_the_layer_keeps():
    strict, other = pixel.masked_convolution(
        MaskedConv2d(1, 1, 5, strict=True), MaskedConv2d(1, 1, 5)
    ).diagrams
    assert (cells(strict, "data"), cells(other, "data")) == (12, 12)
    assert (cells(strict, "network"), cells(other, "network")) == (0, 1)


def test_dilations_reach_as_many_inputs_as_the_network_says():
    net = WaveNet(4, 3)
    panel = sequence.dilated(net).diagrams[0]
    assert sum(box.kind == "data" for box in panel.boxes) == net.receptive_field == 8


def test_attention_without_a_mask_is_drawn_as_it_is():
    layer = CausalAttention(8, 2)
    assert cells(sequence.attention_sight(layer, 5).diagrams[0], "data") == 15
    layer.weights = lambda h: torch.ones(1, 2, 5, 5)
    assert cells(sequence.attention_sight(layer, 5).diagrams[0], "data") == 25


def test_repeated_layers_are_counted():
    assert layers.repeats(list("abcabcabcd")) == [(3, ["a", "b", "c"]), (1, ["d"])]
    assert layers.repeats(list("aab")) == [(2, ["a"]), (1, ["b"])]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: Diagram("", "words"), "title and says: empty"),
        (lambda: Diagram("a", "words").node("box", "x", 0, 0), "kind: got 'box'.*data, latent"),
        (lambda: flow.coupling(NET), "layer: got Linear; known are AdditiveCoupling"),
        (lambda: flow.multiscale(NET), "model: Linear holds no Multiscale"),
        (lambda: layers.stack(NET), "net: Linear has no layers"),
        (lambda: autoregressive.chain_rule([0, 2]), "order: got"),
        (lambda: autoregressive.made_masks(_made(9)), "net: 4 variables and 9 units"),
        (lambda: pixel_order.pixel_order(raster_ranks(4, 4), 17), "ranks:.*17"),
        (lambda: flow.coupling_masks(checkerboard_mask((1, 9, 9))), "mask: 9 × 9 is too large"),
        (lambda: joint.bayes_classifier(4), "n_classes: got 4"),
        (lambda: vae.importance_draws(9), "k: got 9"),
    ],
)
def test_what_cannot_be_drawn_is_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_a_panel_wider_than_a_phone_is_refused():
    d = Diagram("wide", "a node far to the right")
    d.node("data", "x", 400, 20)
    with pytest.raises(ValueError, match="at most 340"):
        panels(d)._repr_html_()


def test_order_of_size_upscaling_can_be_drawn():
    panel = pixel_order.pixel_order(size_upscaling_ranks(4, 4)[0], 5).diagrams[0]
    assert cells(panel, "data") == 4


def test_a_column_is_nodes_and_an_arrow_from_each_to_the_next():
    by_hand = Diagram("One", "Three things in a row.")
    nodes = [
        by_hand.node(kind, text, 90, y)
        for kind, text, y in (("data", "x", 45), ("network", "net", 105), ("latent", "z", 165))
    ]
    by_hand.arrow(nodes[0], nodes[1], "read")
    by_hand.arrow(nodes[1], nodes[2])
    parts = [("data", "x"), ("network", "net"), ("latent", "z")]
    at_once = Diagram("One", "Three things in a row.")
    assert at_once.column(90, parts, ["read"], step=60) == nodes
    assert at_once.svg() == by_hand.svg()
    placed = Diagram("One", "Three things in a row.")
    placed.column(90, [("data", "x", 45), ("network", "net", 105, 80)])
    assert [(box.y, box.width) for box in placed.boxes][1] == (105, 80)
