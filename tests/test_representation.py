"""Codes: the contract, maps that move no probability, learners, probes, wishes, faults."""

import math

import contract
import pytest
import torch
from planted_representation import FAULTS
from torch import nn

from dgm import zoo
from dgm.distribution.support import Levels
from dgm.evaluate import linear_probe
from dgm.measure import code_length, layers, paths, probe, scorecard
from dgm.representation import contrastive
from dgm.representation.contrastive import ContrastiveLearner
from dgm.representation.masked_prediction import MaskedPrediction
from dgm.representation.views import Views
from dgm.representation.winding import Winding

WITHOUT = {"contrastive": "batch_row_equals_single"}  # its negatives are the rest of the batch


@contract.over("representation", without=WITHOUT)
def test_contract(entry, promise):
    promise(entry)


def blobs(n=60, classes=3, spread=0.05, dims=4, seed=0):
    """Codes (n, dims) of tight classes, and labels."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % classes
    centres = 3 * torch.eye(classes, dims)
    return centres[y] + spread * torch.randn(n, dims, generator=generator), y


# --- properties, each of which a planted fault below must break -----------------------------------


def winding_moves_no_probability():
    """Determinant one and equal lengths at every point, in the plane and beyond; it is undone."""
    for dims, turns, stages in ((2, 0.7, 1), (3, 1.3, 2), (5, 0.4, 3), (11, 0.3, 3)):
        winding = Winding(dims, turns, stages).double()
        z = torch.randn(6, dims).double()
        wound, log_det = winding(z)
        slope = torch.autograd.functional.jacobian
        jacobian = torch.stack([slope(lambda v, w=winding: w(v[None])[0][0], row) for row in z])
        torch.testing.assert_close(torch.linalg.slogdet(jacobian)[1], log_det, atol=1e-9, rtol=0)
        torch.testing.assert_close(wound.norm(dim=1), z.norm(dim=1))
        torch.testing.assert_close(winding.inverse(wound), z, atol=1e-9, rtol=0)
        assert (wound - z).abs().max() > 0.1
    still, z = Winding(7, 0.0, 3), torch.randn(4, 7)
    assert torch.equal(still(z)[0], z)


def the_contrast_is_the_share_of_the_own_view():
    """By hand: loops over candidates."""
    a, b, t = torch.randn(4, 3).double(), torch.randn(4, 3).double(), 0.3
    rows = [v / v.norm() for v in (*a, *b)]
    by_hand = []
    for i in range(8):
        weight = [math.exp(float(rows[i] @ rows[j]) / t) for j in range(8)]
        own = (i + 4) % 8
        by_hand.append(-math.log(weight[own] / sum(w for j, w in enumerate(weight) if j != i)))
    expected = torch.tensor(by_hand).double().view(2, 4).mean(0)
    torch.testing.assert_close(contrastive.info_nce(a, b, t), expected)
    torch.testing.assert_close(contrastive.info_nce(3 * a, b / 5, t), expected)
    alone = contrastive.info_nce(a[:1], b[:1], t)
    torch.testing.assert_close(alone, torch.zeros(1).double())
    same = contrastive.info_nce(torch.ones(5, 2), torch.ones(5, 2), t)
    torch.testing.assert_close(same, torch.full((5,), math.log(9)))


class Decoder(nn.Module):
    """Logits that are sure of level 1 everywhere."""

    def forward(self, code):
        logits = torch.zeros(len(code), 3, 16)
        logits[:, 1] = 20.0
        return logits.flatten(1)


def hidden_pixels_alone_are_predicted_and_unseen():
    seen = []

    class Encoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(1))

        def forward(self, u):
            seen.append(u)
            return u.flatten(1)

    model = MaskedPrediction(Levels((1, 4, 4), 3), Encoder(), Decoder(), patch=2, share=0.25)
    x = torch.full((50, 1, 4, 4), 2)
    shown = model.loss(x)
    picture, mask = seen[0].chunk(2, 1)
    assert ((picture == 0) == (mask == 0)).all()
    assert (mask.flatten(1).sum(1) == 12).all()
    assert len(mask.flatten(1).unique(dim=0)) == 4  # one square of four, whole
    torch.testing.assert_close(shown, torch.full((50,), 16 * 20.0), atol=1e-3, rtol=0)
    x[0, 0, 0, 0] = 1  # right there and wrong elsewhere: a hidden pixel of four, or none
    torch.manual_seed(0)
    values = torch.stack([model.loss(x)[0] for _ in range(60)])
    assert {round(v, 1) for v in values.tolist()} == {320.0, 240.0}
    model.encode(x)
    assert (seen[-1][:, 1:] == 1).all()


def layers_are_what_the_modules_return():
    net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(inplace=True), nn.Linear(4, 2))
    x = torch.randn(5, 3)
    found = layers.layer_outputs(net, lambda: net(x), ["0", "1", "2"])
    with torch.no_grad():
        before = net[0](x)
        torch.testing.assert_close(found["0"], before)
        torch.testing.assert_close(found["1"], before.relu())
        torch.testing.assert_close(found["2"], net(x))
    assert not any(module._forward_hooks for module in net.modules())
    with pytest.raises(ZeroDivisionError):
        layers.layer_outputs(net, lambda: 1 / 0, ["0"])
    assert not net[0]._forward_hooks


def a_probe_meets_the_test_part_once():
    """Noise of many entries: a probe that saw the test part would do better than chance."""
    torch.manual_seed(0)
    h = [torch.randn(n, 40) for n in (60, 50, 400)]
    y = [torch.randint(3, (n,)) for n in (60, 50, 400)]
    found = probe.honest_probe(h, y)
    assert found.accuracy < 0.42
    asked = []
    right = probe.linear_probe

    def counting(a, b, c_h, c_y, c=1.0):
        asked.append(len(c_h))
        return right(a, b, c_h, c_y, c=c)

    probe.linear_probe = counting
    try:
        again = probe.honest_probe(h, y)
    finally:
        probe.linear_probe = right
    assert asked == [50] * len(probe.PENALTIES) + [400]
    assert again == found
    assert found.val == linear_probe(h[0], y[0], h[1], y[1], c=found.c)
    assert found.accuracy == linear_probe(h[0], y[0], h[2], y[2], c=found.c)


def few_labels_are_all_a_draw_sees():
    h, y = blobs(90, 3, 2.5)
    test_h, test_y = blobs(600, 3, 2.5, seed=1)
    curve = probe.label_curve(h, y, test_h, test_y, (3, 9, 90), draws=4)
    assert [len(part) for part in curve.values()] == [4, 4, 4]
    assert max(curve[90]) - min(curve[90]) < 1e-12  # all labels are all labels
    rows, test_rows = probe.standardised(h, test_h)
    by_hand = []
    for ridge in probe.RIDGES:  # each example left out by a fit without it
        target = torch.nn.functional.one_hot(y, 3).double() - 1 / 3
        error = 0.0
        for i in range(len(y)):
            keep = torch.arange(len(y)) != i
            gram = rows[keep].T @ rows[keep] + ridge * torch.eye(4).double()
            w = torch.linalg.solve(gram, rows[keep].T @ target[keep])
            error += (rows[i] @ w - target[i]).square().sum().item()
        gram = rows.T @ rows + ridge * torch.eye(4).double()
        w = torch.linalg.solve(gram, rows.T @ target)
        hits = ((test_rows @ w).argmax(1) == test_y).double().mean().item()
        by_hand.append((error, -ridge, hits))
    assert curve[90][0] == pytest.approx(min(by_hand)[2], abs=1e-12)
    # labels are drawn evenly, and not the same ones each time
    asked, right = [], probe.ridge_probe

    def asking(few, labels, *given):
        asked.append((few, labels))
        return right(few, labels, *given)

    probe.ridge_probe = asking
    try:
        probe.label_curve(h, y, test_h, test_y, (9,), draws=5)
    finally:
        probe.ridge_probe = right
    assert all(labels.bincount(minlength=3).tolist() == [3, 3, 3] for _, labels in asked)
    assert not torch.equal(asked[0][0], asked[1][0])


def the_code_is_paid_block_by_block():
    h, y = blobs(200, 4, 0.01)
    torch.manual_seed(0)
    order = torch.randperm(200)
    h, y = h[order], y[order]
    uniform = 200 * 2
    first = code_length.prequential_bits(h, y, 4, blocks=(1.0,))
    assert first == uniform
    found = code_length.code_length(h, y, 4)
    assert found["uniform"] == uniform
    assert 8 + math.log2(3) < found["bits"] < 0.35 * uniform  # 4 labels of 2 bits come uncoded
    by_name = {c: code_length.prequential_bits(h, y, 4, c=c) for c in code_length.STRENGTHS}
    assert found["bits"] == pytest.approx(min(by_name.values()) + math.log2(3))
    # rows that say nothing: no better than the labels' own frequencies, not a bit below
    noise = code_length.code_length(torch.randn(200, 4), torch.randint(4, (200,)), 4)
    assert 0.97 * uniform < noise["bits"] < 1.2 * uniform
    constant = code_length.prequential_bits(torch.ones(200, 4), y, 4)
    assert constant == pytest.approx(uniform, rel=0.06)


def wishes_have_their_known_values():
    generator = torch.Generator().manual_seed(0)
    n = 400
    factors = torch.rand(n, 2, generator=generator)
    noise, y = torch.randn(n, 2, generator=generator), torch.arange(n) % 4
    turn = torch.tensor([[1.0, 1.0], [-1.0, 1.0]]) / 2**0.5
    assert scorecard.axis_alignment(factors.exp(), factors) == pytest.approx(1)
    assert scorecard.axis_alignment((factors - 0.5) @ turn, factors) == pytest.approx(0.5, abs=0.08)
    assert scorecard.axis_alignment(noise, factors) < 0.03
    assert scorecard.axis_alignment(torch.ones(n, 2), factors) == 0
    one_hot = torch.nn.functional.one_hot(y, 4).float()
    wide = torch.randn(50, 4000, generator=generator)
    assert scorecard.sparsity(one_hot) == pytest.approx(1)
    assert scorecard.sparsity(torch.ones(3, 7)) == pytest.approx(0, abs=1e-12)
    assert scorecard.sparsity(wide) == pytest.approx(1 - (2 / math.pi) ** 0.5, abs=0.01)
    assert scorecard.sparsity(torch.zeros(3, 7)) == 0
    tight = one_hot + 1e-3 * torch.randn(n, 4, generator=generator)
    assert scorecard.silhouette(tight, y) > 0.99
    shuffled = y[torch.randperm(n, generator=generator)]
    assert abs(scorecard.silhouette(tight, shuffled)) < 0.1
    assert scorecard.silhouette(torch.ones(n, 2), y) == 0
    from sklearn.metrics import silhouette_score

    some, few = noise[:40], y[:40]
    right = silhouette_score(some.numpy(), few.numpy())
    assert scorecard.silhouette(some, few) == pytest.approx(right, abs=1e-6)
    family = y // 2
    tree = torch.stack((10.0 * family, (y % 2).float()), 1)
    crossed = torch.stack(((y % 2).float(), (y % 2 != family).float()), 1)  # kin face each other
    assert scorecard.hierarchy(tree, y, family) == 1
    assert scorecard.hierarchy(crossed, y, family) == -1
    assert scorecard.hierarchy(torch.ones(n, 2), y, family) == 0
    straight = scorecard.straightness_of_classes
    assert straight(tight, y) == pytest.approx(1)
    assert abs(straight(noise, y)) < 0.1
    assert abs(straight(torch.ones(n, 2), y)) < 0.02
    # a class of two arms with the other in the middle: not straight
    arms = torch.where(torch.arange(n) // 4 % 2 == 0, -9.0, 9.0)[:, None] * (y == 0)[:, None]
    assert straight(arms + 0.1 * noise[:, :1], (y == 0).long()) < 0.75
    # between two ends lie the other class only; ends are no neighbours of their middle
    pairs = torch.tensor([[-2.0], [2.0], [0.3], [-0.3], [9.0], [-9.0]])
    assert straight(pairs, torch.tensor([0, 0, 1, 1, 2, 2]), pairs=600) == 0
    assert scorecard.invariance(noise, noise) == 1
    others = torch.randn(n, 2, generator=generator)
    assert abs(scorecard.invariance(noise, others)) < 0.1
    assert scorecard.invariance(torch.ones(n, 2), torch.ones(n, 2)) == 0
    half, rest = slice(0, 200), slice(200, n)
    use = scorecard.downstream_use
    assert use(tight[half], y[half], tight[rest], y[rest]) == 1
    assert abs(use(noise[half], y[half], noise[rest], y[rest])) < 0.12
    assert abs(use(torch.ones(200, 2), y[half], torch.ones(200, 2), y[rest])) < 1e-9


def paths_are_scored_between_their_ends():
    torch.manual_seed(0)
    a, b = torch.randn(30, 50), torch.randn(30, 50)
    lines, arcs = paths.straight(a, b, 5), paths.arc(a, b, 5)
    for path in (lines, arcs):
        torch.testing.assert_close(path[0], a)
        torch.testing.assert_close(path[-1], b, atol=1e-5, rtol=0)
    torch.testing.assert_close(lines[2], (a + b) / 2)
    assert lines[2].norm(dim=1).mean() < 0.8 * arcs[2].norm(dim=1).mean()
    # a judge that sees class 2 in the middle only, and classes 0 and 1 at the ends
    ends = torch.tensor([[-1.0, 0.0]]), torch.tensor([[1.0, 0.0]])
    path = paths.straight(*ends, 7)

    def judge(x):
        side = torch.stack((-9 * x[:, 0], 9 * x[:, 0], 8 - 20 * x[:, 0].abs()), 1)
        return side

    found = paths.judged(path, lambda z: z, judge)
    assert found["kept"] == pytest.approx(4 / 5)
    assert found["length"] == pytest.approx((2 / 3 + 1 / 3 + 0 + 1 / 3 + 2 / 3) / 5 / 2**0.5)
    sure = judge(path[1:-1].flatten(0, 1)).softmax(1).amax(1).mean().item()
    assert found["confidence"] == pytest.approx(sure)


PROPERTIES = [
    winding_moves_no_probability, the_contrast_is_the_share_of_the_own_view,
    hidden_pixels_alone_are_predicted_and_unseen, layers_are_what_the_modules_return,
    a_probe_meets_the_test_part_once, few_labels_are_all_a_draw_sees,
    the_code_is_paid_block_by_block, wishes_have_their_known_values,
    paths_are_scored_between_their_ends,
]  # fmt: skip
BY_NAME = {check.__name__: check for check in PROPERTIES}


@pytest.mark.parametrize("check", PROPERTIES, ids=BY_NAME.keys())
def test_property(check):
    torch.manual_seed(0)
    check()


@pytest.mark.parametrize("plant", FAULTS, ids=lambda plant: plant.__name__)
def test_a_planted_fault_is_caught(plant, monkeypatch):
    torch.manual_seed(0)
    name = plant(monkeypatch)
    with pytest.raises((AssertionError, RuntimeError, IndexError, ValueError)):
        BY_NAME[name]()


# --- what is not planted --------------------------------------------------------------------------


def test_equal_likelihood_whatever_the_turns():
    """The same weights, three windings: log p(x) agrees, the codes do not."""
    entry = zoo.get("wound_flow")
    model, x = entry.small()
    flow, v = model.flow.double(), x.double() + 0.5
    found, codes = [], []
    for turns in (0.0, 0.2, 5.0):
        flow.layers[-1].turns = turns
        found.append(flow.log_prob(v))
        codes.append(flow(v)[0])
    assert (torch.stack(found) - found[0]).abs().max() < 1e-9
    assert (codes[0] - codes[2]).abs().mean() > 0.1
    assert (codes[0] - codes[1]).abs().mean() > 0.01


def test_windings_of_one_seed_are_equal_and_of_others_not():
    z = torch.randn(5, 9)
    a, b, c = (Winding(9, 0.5, 2, seed)(z)[0] for seed in (3, 3, 4))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)


def test_views_move_pictures_and_leave_what_has_no_spread():
    u = torch.rand(4, 1, 8, 8) * 2 - 1
    still = Views(0, 0, 0, 0, 0)
    torch.testing.assert_close(still(u), u, atol=1e-5, rtol=0)
    for name in ("shift", "turn", "scale", "gain", "noise"):
        moved = Views(**dict(shift=0, turn=0, scale=0, gain=0, noise=0) | {name: 0.3})
        torch.manual_seed(0)
        first = moved(u)
        assert not torch.allclose(first, u, atol=1e-3), name
        assert not torch.allclose(moved(u), first), name


def test_the_scorecard_is_all_of_its_functions():
    h, y = blobs(80, 4, 0.1)
    part = {"x": h, "y": y}
    test = part | {"moved": h + 0.01, "factors": h[:, :2], "fine": y, "family": y // 2}
    found = scorecard.wishes_of(lambda x: x, part, test)
    assert len(found) == 7
    assert found["downstream use"] == 1
    assert found["invariance"] > 0.99


def test_sequences_and_maps_become_rows():
    maps = torch.arange(2 * 3 * 4 * 4.0).view(2, 3, 4, 4)
    pooled = layers.as_rows(maps, most=12)
    torch.testing.assert_close(pooled[0, 0], maps[0, 0, :2, :2].mean())
    steps = torch.arange(2 * 6 * 5.0).view(2, 6, 5)
    torch.testing.assert_close(
        layers.as_rows(steps, most=10)[1], steps[1].view(2, 3, 5).mean(1).flatten()
    )
    assert layers.as_rows(maps, most=48).equal(maps.flatten(1))
    assert layers.as_rows(maps, most=1).shape == (2, 3)


def test_rows_in_parts_are_rows_at_once():
    net, x = nn.Sequential(nn.Flatten(), nn.Linear(4, 3)), torch.randn(7, 2, 2)
    at_once = layers.rows_by_layer(net, net, ["1"], x)
    in_parts = layers.rows_by_layer(net, net, ["1"], x, at_once=3)
    torch.testing.assert_close(in_parts["1"], at_once["1"])


# --- bad input ------------------------------------------------------------------------------------


def test_bad_input_is_named():
    h, y = blobs()
    net = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
    parts, labels = (h, h, h), (y, y, y)
    one = torch.zeros(60, dtype=torch.long)
    data = Levels((1, 4, 4), 3)
    encoder = nn.Linear(4, 2)
    for match, call in (
        ("dims must be", lambda: Winding(1, 0.5)),
        ("turns must be finite", lambda: Winding(4, math.inf)),
        ("stages must be", lambda: Winding(4, 0.5, 0)),
        ("shift must be", lambda: Views(shift=-1)),
        ("temperature must be", lambda: ContrastiveLearner(data, encoder, encoder, Views(), 0.0)),
        ("temperature must be", lambda: contrastive.info_nce(h, h, -1.0)),
        ("a and b must be", lambda: contrastive.info_nce(h, h[:3], 1.0)),
        ("patch must divide", lambda: MaskedPrediction(data, encoder, encoder, 3)),
        ("share must lie", lambda: MaskedPrediction(data, encoder, encoder, 2, 1.0)),
        ("names must be modules", lambda: layers.layer_outputs(net, lambda: net(h), ["7"])),
        ("names must be modules", lambda: layers.layer_outputs(net, lambda: net(h), ["0", "0"])),
        ("are not called", lambda: layers.layer_outputs(net, lambda: None, ["0"])),
        ("is called twice", lambda: layers.layer_outputs(net, lambda: net(net(h)), ["0"])),
        ("h must be", lambda: layers.as_rows(torch.zeros(3))),
        ("h and y must be", lambda: probe.honest_probe(parts[:2], labels)),
        ("at least two classes", lambda: probe.honest_probe(parts, (one, y, y))),
        ("NaN", lambda: probe.honest_probe((h / 0, h, h), labels)),
        ("counts must lie", lambda: probe.label_curve(h, y, h, y, (2,))),
        ("counts must lie", lambda: probe.label_curve(h, y, h, y, (61,))),
        ("at least two classes", lambda: code_length.prequential_bits(h, one, 3)),
        ("y must lie in", lambda: code_length.prequential_bits(h, y, 2)),
        ("blocks must rise", lambda: code_length.prequential_bits(h, y, 3, blocks=(0.5, 0.4, 1.0))),
        ("blocks must rise", lambda: code_length.prequential_bits(h, y, 3, blocks=(0.5,))),
        ("factors must be", lambda: scorecard.axis_alignment(h, h[:3])),
        ("h must be finite", lambda: scorecard.silhouette(h / 0, y)),
        ("at least two entries", lambda: scorecard.sparsity(h[:, :1])),
        ("at least two classes", lambda: scorecard.silhouette(h, one)),
        ("y has", lambda: scorecard.silhouette(h, y[:5])),
        ("coarse must be one family", lambda: scorecard.hierarchy(h, y, torch.arange(60))),
        ("coarse must have a family", lambda: scorecard.hierarchy(h, y, y)),
        ("moved must have", lambda: scorecard.invariance(h, h[:5])),
        ("at least two examples", lambda: scorecard.straightness_of_classes(h[:3], y[:3])),
        ("steps at least 3", lambda: paths.straight(h, h, 2)),
    ):
        with pytest.raises(ValueError, match=match):
            call()


def test_constant_codes_have_defined_scores():
    y = torch.arange(60) % 3
    constant = torch.ones(60, 4)
    found = probe.honest_probe((constant,) * 3, (y,) * 3)
    assert found.accuracy == found.majority == pytest.approx(1 / 3)
    curve = probe.label_curve(constant, y, constant, y, (3, 30), draws=2)
    assert all(0 <= a <= 0.4 for part in curve.values() for a in part)
